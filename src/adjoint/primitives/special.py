"""The sigmoid family and the error functions: erf, erfc, erfcx, their inverses, the normal distribution."""
from __future__ import annotations

from math import comb, factorial, pi, sqrt
from typing import Any

import numpy as np

from .._scalar.coefficients import F64
from ._accuracy import measured
from ._curves import (
    curve,
    decayed,
    gauss_polynomial,
    gaussian,
    half_line,
    horner,
    inverse_gauss_polynomial,
    logistic_polynomial,
    one_and,
    scipy_special,
    wide,
)
from ._fits import ERFCX, ERFINV_FAR, ERFINV_NEAR, HAZARD_SLOPE, TAIL
from ._make import elementwise
from .arithmetic import negative
from .gamma import (
    bessel_i0,
    bessel_i0e,
    bessel_i1,
    bessel_i1e,
    betainc,
    betaln,
    digamma,
    gamma,
    igamma,
    igammac,
    lgamma,
    polygamma,
    sinc,
    trigamma,
    zeta,
)

__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "betainc", "betaln", "digamma", "entr", "erf", "erfc",
    "erfcinv", "erfcx", "erfinv", "expit", "gamma", "igamma", "igammac", "lgamma", "log_ndtr", "log_sigmoid", "logit",
    "ndtr", "ndtri", "polygamma", "sigmoid", "sinc", "softplus", "trigamma", "zeta",
]

# ------------------------------------------------------------------------------------------------------- sigmoid family


def sigmoid_kernel(x: Any, n: int) -> Any:
    """The n-th derivative of the sigmoid. Built on e = exp(-|x|), which neither overflows nor cancels."""
    a = np.abs(x)
    e = np.exp(-a)
    if n == 0:
        return np.where(x >= 0, 1.0, e) / (1.0 + e)
    r = 1.0 + e
    if n == 1:
        return e / (r * r)
    d, q = one_and(e)
    if n == 2:
        return np.copysign(1.0, x) * np.expm1(-a) * e / (d * q)
    return e / q * horner(logistic_polynomial(n), np.tanh(0.5 * x))


sigmoid = curve(
    "sigmoid", sigmoid_kernel, narrow=lambda x, n: sigmoid_kernel(x, n) if n else 1.0 / (1.0 + np.exp(-x)),
    lower=lambda s, x, n: s.sigmoid(x, order=n) if n < 3 else None, oracle="scipy.special.expit",
    domain=((-6.0, 6.0),),
    error=measured("exp(-|x|) / (1 + exp(-|x|))"),
    doc="""The logistic function 1 / (1 + exp(-x)).
    Its derivative is e / (1 + e)^2 with e = exp(-|x|), which keeps every digit where 1 - sigmoid(x) has none left.

    >>> import adjoint as ad
    >>> float(ad.sigmoid(ad.constant(0.0)))
    0.5
    """)
expit = sigmoid


def _softplus_kernel(x: Any) -> Any:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _elementwise(name: str, kernel: Any, partials: Any, **more: Any) -> Any:
    kernel = wide(kernel)
    return elementwise(name, more.pop("arity", 1), kernel, partials, kinds="f", **more)


softplus = _elementwise(
    "softplus", _softplus_kernel, lambda y, x: (sigmoid(x),),
    lower=lambda s, x: s.softplus(x), oracle=lambda x: np.logaddexp(x, 0.0),
    domain=((-6.0, 6.0),),
    error=measured("max(x, 0) + log1p(exp(-|x|))"),
    doc="The smooth ramp log(1 + exp(x)), as max(x, 0) + log1p(exp(-|x|)); its derivative is the sigmoid.")

log_sigmoid = _elementwise(
    "log_sigmoid", lambda x: -_softplus_kernel(-x), lambda y, x: (sigmoid(negative(x)),),
    lower=lambda s, x: -s.softplus(-x), oracle=lambda x: -np.logaddexp(-x, 0.0), domain=((-6.0, 6.0),),
    error=measured("-softplus(-x)"),
    doc="The logarithm of the sigmoid, -softplus(-x); its derivative is sigmoid(-x).")


def _logit_kernel(x: Any, n: int) -> Any:
    if n == 0:
        middle = np.abs(x - 0.5) < 0.25                  # 2x - 1 is exact there
        return np.where(middle, 2.0 * np.arctanh(np.where(middle, 2.0 * x - 1.0, 0.0)), np.log(x) - np.log1p(-x))
    inside = np.where((x >= 0) & (x <= 1), x + 0.0, np.nan)
    if n == 1:
        return 1.0 / (inside * (1.0 - x))
    if n == 2:
        p = inside * (1.0 - x)
        return (2.0 * x - 1.0) / (p * p)
    return factorial(n - 1) * ((1.0 - x) ** -n - (-inside) ** -n)


logit = curve(
    "logit", _logit_kernel, lower=lambda s, x, n: s.logit(x, order=n), domain=((0.05, 0.95),), oracle="scipy.special.logit",
    error=measured("2 atanh(2x - 1) near 1/2, else log(x) - log1p(-x)"),
    doc="The inverse of the sigmoid, log(x / (1 - x)); NaN outside [0, 1], infinite at its ends.")


def _entr_kernel(x: Any, n: int) -> Any:
    if n == 0:
        return np.where(x > 0, -x * np.log(np.where(x > 0, x, 1.0)), np.where(x == 0, 0.0, np.where(x < 0, -np.inf, x)))
    if n == 1:
        return -np.log(x) - 1.0
    return np.where(x >= 0, (-1) ** (n - 1) * factorial(n - 2) / (x + 0.0) ** (n - 1), np.nan)


entr = curve("entr", _entr_kernel, lower=lambda s, x, n: s.entr(x, order=n), domain=((0.1, 3.0),), oracle="scipy.special.entr",
             error=measured("-x log(x)", why="f' in float64 counts against |x f''| at its root"),
             doc="The entropy term -x log(x); 0 at 0, -inf below.")

# ------------------------------------------------------------------------------------------------------ error functions

_ROOT_PI = sqrt(pi)
_CUT = 60.0                                              # exp(-x^2 / 2) is zero beyond


def erf_derivative(x: Any, n: int, sign: float = 1.0) -> Any:
    """The n-th derivative of erf, n >= 1: Hermite polynomial times 2 / sqrt(pi) exp(-x^2)."""
    c = np.clip(x, -_CUT, _CUT)
    return gaussian(c, 2.0, horner(gauss_polynomial(n - 1, (sign * 2.0 / _ROOT_PI,), 2.0), c))


def _erf_narrow(x: Any, n: int) -> Any:
    if n == 0:
        return scipy_special().erf(x)
    c = np.clip(x, -_CUT, _CUT)
    return horner(gauss_polynomial(n - 1, (2.0 / _ROOT_PI,), 2.0), c) * np.exp(-c * c)


erf = curve(
    "erf", lambda x, n: erf_derivative(x, n) if n else scipy_special().erf(x), narrow=_erf_narrow,
    lower=lambda s, x, n: (s.erf, s.erf_slope)[n](x) if n < 2 else None, oracle="scipy.special.erf",
    error=measured("SciPy's erf; slopes exp(-x^2), the square split exactly"),
    doc="The error function 2 / sqrt(pi) integral of exp(-t^2) from 0 to x.")


def _scaled(x: Any, n: int) -> Any:
    """erfcx of order n <= 2 for x >= 0, within 3 units."""
    return decayed(half_line(ERFCX[n], 2.5, x), x, (0.5625, 0.8125, 1.0)[n], n + 1)


def _erfc_kernel(x: Any, n: int) -> Any:
    if n:
        return erf_derivative(x, n, -1.0)
    a = np.minimum(np.abs(x), _CUT)
    tail = gaussian(a, 2.0, _scaled(a, 0))
    small = np.where(a < 0.47, x, 0.0)
    return np.where(a < 0.47, 1.0 - small * (1.0 + horner(F64.ERF, small * small)), np.where(x < 0, 2.0 - tail, tail))


erfc = curve("erfc", _erfc_kernel, narrow=lambda x, n: -_erf_narrow(x, n) if n else scipy_special().erfc(x),
             lower=lambda s, x, n: (s.erfc(x) if n == 0 else -s.erf_slope(x)) if n < 2 else None,
             oracle="scipy.special.erfc",
             error=measured("erfcx times exp(-x^2), the square split exactly, a polynomial near 0 (tools/fits.py)"),
             doc="The complement 1 - erf(x), accurate where it is small.")


def erfc_ratios(x: Any, n: int) -> list[Any]:
    """r_1 .. r_n with r_k = i^k erfc(x) / i^(k-1) erfc(x), the repeated integrals of erfc, for x >= 0.7.

    From the recurrence 2k i^k erfc = i^(k-2) erfc - 2x i^(k-1) erfc, run backwards as a continued fraction of
    positive terms (Abramowitz and Stegun 7.2.5).
    """
    terms = n + 16 + int(180.0 / max(np.min(x, initial=np.inf), 0.7) ** 2)
    r: Any = 0.0
    found = []
    for k in range(terms, 0, -1):
        r = 1.0 / (2.0 * x + 2.0 * (k + 1) * r) if k < terms else 1.0 / (x + np.sqrt(x * x + 2.0 * (k + 1)))
        if k <= n:
            found.append(r)
    return found[::-1]


def _erfcx_kernel(x: Any, n: int) -> Any:
    if n < 3:
        left = x < 0
        y = _scaled(np.abs(x), n)
        if not left.any():
            return y
        c = np.maximum(np.minimum(x, 0.0), -_CUT)
        if n == 2:                                       # f'' = 2 (f + x f')
            return np.where(left, 2.0 * (_erfcx_kernel(c, 0) + c * _erfcx_kernel(c, 1)), y)
        factor = 4.0 * c if n else 2.0                   # there it is 2 exp(x^2) - erfcx(-x)
        return np.where(left, gaussian(c, -2.0, factor) + (y if n else -y), y)
    before, now = _erfcx_kernel(x, 1), _erfcx_kernel(x, 2)
    product: Any = _erfcx_kernel(x, 0)
    for k in range(3, n + 1):
        before, now = now, 2.0 * (k - 1) * before + 2.0 * x * now
    far = x > 0.75
    c = np.where(far, np.minimum(x, 1e150), 3.0)
    for k, r in enumerate(erfc_ratios(c, n), 1):
        product = (-2.0 * k) * (r * np.where(far, c / x, 1.0)) * product
    return np.where(far, product, now)


erfcx = curve("erfcx", _erfcx_kernel, oracle="scipy.special.erfcx",
              error=measured("polynomials in (x - 2.5) / (x + 2.5) (tools/fits.py); from order 3 repeated integrals of erfc "
                             "(Abramowitz and Stegun 7.2.5)"),
              doc="The scaled complement exp(x^2) erfc(x); its derivatives are repeated integrals of erfc.")


def _inverse(y: Any, first: Any, n: int, rate: float) -> Any:
    return horner(inverse_gauss_polynomial(n, rate), y) * first ** n


def _erfinv_kernel(x: Any, n: int) -> Any:
    a = np.abs(x)
    if n == 0 or n > 2:
        y = np.copysign(scipy_special().erfinv(x), x)
        return _inverse(y, _erfinv_kernel(x, 1), n, 2.0) if n else y
    near = np.minimum(a, 0.5)
    q = np.clip(1.0 - a, 0.0, 0.5)
    v = 1.0 / (1.0 + np.sqrt(-np.log(q)))
    far = horner(ERFINV_FAR[n - 1], 5.0 * v - 1.75) * v / q
    if n == 1:
        y = np.where(a < 0.5, horner(ERFINV_NEAR[0], near * near), far)
    else:
        y = np.where(a < 0.5, x * horner(ERFINV_NEAR[1], near * near), np.copysign(far / q, x))
    return np.where(a < 1, y, np.where(a == 1, np.inf if n == 1 else np.copysign(np.inf, x), np.nan))


erfinv = curve("erfinv", _erfinv_kernel, domain=((-0.9, 0.9),), oracle="scipy.special.erfinv",
               error=measured("SciPy's erfinv; slopes: polynomials in x^2 or 1 / (1 + sqrt(-log(1 - |x|))) (tools/fits.py)"),
               doc="The inverse of erf on (-1, 1); infinite at the ends, NaN beyond.")


def _erfcinv_kernel(x: Any, n: int) -> Any:
    special = scipy_special()
    y = special.erfcinv(x)
    if n == 0:
        return y
    tail = np.minimum(x, 2.0 - x)
    first = -0.5 * _ROOT_PI * np.where(tail > 0.5, np.exp(y * y), special.erfcx(np.abs(y)) / tail)
    return _inverse(y, np.where(tail > 0, first, np.where(tail == 0, -np.inf, np.nan)), n, 2.0)


erfcinv = curve("erfcinv", _erfcinv_kernel, domain=((0.1, 1.9),), oracle="scipy.special.erfcinv",
                doc="The inverse of erfc on (0, 2); infinite at the ends, NaN beyond.")

# -------------------------------------------------------------------------------------------------- normal distribution

_ROOT_HALF = sqrt(0.5)
_DENSITY = 1.0 / sqrt(2.0 * pi)


def normal_tail(a: Any) -> Any:
    """Phi(-a) exp(a^2 / 2) for a >= -0.75, within 2 units."""
    return decayed(half_line(TAIL[0], 3.5, a + 0.75), a, 1.5, 1)


def normal_cdf(x: Any) -> Any:
    """Phi(x), as the tail times an accurate Gaussian."""
    a = np.minimum(np.abs(x), _CUT)
    w = gaussian(a, 1.0, normal_tail(a))
    return np.where(x > 0, 1.0 - w, w)


def normal_derivative(x: Any, n: int) -> Any:
    """The n-th derivative of Phi, n >= 1."""
    c = np.clip(x, -_CUT, _CUT)
    return gaussian(c, 1.0, horner(gauss_polynomial(n - 1, (_DENSITY,), 1.0), c))


ndtr = curve("ndtr", lambda x, n: normal_derivative(x, n) if n else normal_cdf(x), lower=lambda s, x, n: s.ndtr(x, n),
             oracle="scipy.special.ndtr",
             error=measured("Phi(-|x|) exp(x^2 / 2), a polynomial (tools/fits.py), times exp(-x^2 / 2)"),
             doc="The normal distribution function Phi(x) = erfc(-x / sqrt(2)) / 2.")


def _ndtri_kernel(x: Any, n: int) -> Any:
    special = scipy_special()
    y = special.ndtri(x)
    if n == 0:
        return y
    tail = np.minimum(x, 1.0 - x)
    first = np.where(tail > 0.25, np.exp(0.5 * y * y), 0.5 * special.erfcx(_ROOT_HALF * np.abs(y)) / tail) / _DENSITY
    return _inverse(y, np.where(tail > 0, first, np.where(tail == 0, np.inf, np.nan)), n, 1.0)


ndtri = curve("ndtri", _ndtri_kernel, domain=((0.05, 0.95),), oracle="scipy.special.ndtri",
              doc="The quantile of the normal distribution, the inverse of ndtr on (0, 1).")


def _hazard_kernel(x: Any) -> Any:
    """phi(x) / Phi(x), the derivative of log Phi."""
    return np.where(x > 0.7, normal_derivative(x, 1) / normal_cdf(x), _DENSITY / normal_tail(-np.minimum(x, 0.7)))


def _hazard_slope_kernel(x: Any, h: Any) -> Any:
    """-h (x + h), the derivative of h = phi / Phi; left of 0.7, where that cancels, a function of its own."""
    return np.where(x > 0.7, -h * (np.minimum(x, 1e150) + h), half_line(HAZARD_SLOPE[0], 2.5, 1.0 - np.minimum(x, 0.7)))


def _log_ndtr_kernel(x: Any, n: int) -> Any:
    if n == 0:
        low = np.minimum(x, 0.0)
        return np.where(x > 0, np.log1p(-normal_cdf(-np.maximum(x, 0.0))), np.log(normal_tail(-low)) - 0.5 * low * low)
    h = _hazard_kernel(x)
    if n == 1:
        return h
    first = _hazard_slope_kernel(x, h)
    hs, gs = [h, first], [np.where(h > 0, -first / np.where(h > 0, h, 1.0), x), 1.0 + first]
    for k in range(1, n - 1):                            # h' = -h g with g = x + h
        hs.append(-sum(comb(k, j) * hs[j] * gs[k - j] for j in range(k + 1)))
        gs.append(hs[-1])
    return hs[n - 1]


log_ndtr = curve("log_ndtr", _log_ndtr_kernel, oracle="scipy.special.log_ndtr",
                 error=measured("log1p and log of Phi; slopes from phi / Phi, left of 0.7 a polynomial (tools/fits.py)"),
                 doc="The logarithm of the normal distribution function, log Phi(x).")

"""The gamma family and its relatives: gamma, digamma, polygamma, incomplete gamma and beta, zeta, Bessel, sinc."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import comb, factorial, pi, sqrt
from typing import Any

import numpy as np

from .._errors import DtypeError, complain
from .._graph import Op, Primitive
from .._trace import hooks, record
from ._accuracy import measured
from ._curves import cotangent_polynomial, curve, decayed, half_line, horner, rooted, scipy_special, tensor, wide
from ._fits import BESSEL0_FAR, BESSEL0_NEAR, BESSEL1_FAR, BESSEL1_NEAR, BESSEL1_ROOTS, LGAMMA, POLYGAMMA, SINC, SINC_ROOT
from ._make import elementwise, elementwise_infer
from ._reflection import reflected, reflected_lgamma
from ._twofold import PI, Twofold, repaired, sin_cos_pi
from .arithmetic import multiply, negative

__all__ = [
    "bessel_i0", "bessel_i0e", "bessel_i1", "bessel_i1e", "betainc", "betaln", "digamma", "gamma", "igamma", "igammac",
    "lgamma", "polygamma", "sinc", "trigamma", "zeta",
]


def _primitive(name: str, arity: int, kernel: Any, partials: Any, *, doc: str, domain: Any, oracle: Any = None,
               cases: Any = ()) -> Primitive:
    kernel = wide(kernel)
    return Primitive(name, elementwise_infer(name, ("f",) * arity, "same"), kernel, partials=partials,
                     elementwise=True, domain=domain, oracle=oracle, cases=cases, doc=doc)


def _broadcast(name: str, op: Op, *xs: Any) -> Any:
    """Record an elementwise operation of several arguments, brought to one dtype."""
    ts = list(xs)
    for k in range(1, len(ts)):
        ts[0], ts[k] = hooks.convert_pair(op, ts[0], ts[k])
    ts[1:] = [hooks.convert_pair(op, ts[0], t)[1] for t in ts[1:]]
    return record(op, *ts)


# ---------------------------------------------------------------------------------------------------------------- gamma


def _cot_pi(x: Any) -> Any:
    """cot(pi x), its argument reduced exactly."""
    r = x - np.rint(x)
    near = np.abs(r) < 0.25
    t = np.tan(pi * np.where(near, r, np.copysign(0.5 - np.abs(r), r)))
    return np.where(near, 1.0 / t, t)


def polygamma_kernel(x: Any, n: int) -> Any:
    """psi^(n)(x); left of 0 by reflection: psi^(n)(x) = (-1)^n psi^(n)(1 - x) - pi d^n/dx^n cot(pi x)."""
    left = x < 0
    right = _polygamma_right(np.where(left, 1.0 - x, x), n)
    if not np.any(left):
        return right
    if n < 3:
        y = np.array(right)
        y[left] = reflected(x[left], n, right[left])
    else:
        mirrored = (-1.0) ** n * right - pi ** (n + 1) * horner(cotangent_polynomial(n), _cot_pi(np.where(left, x, 0.5)))
        y = np.where(left, mirrored, right)
    return np.where(left & (x == np.rint(x)), np.inf if n % 2 else np.nan, y)


_PSI_SHIFT = (0.609375, 0.640625)


def _polygamma_right(x: Any, n: int) -> Any:
    """For x >= 0; at the pole at 0, where even orders differ from the two sides, by the sign of zero."""
    if n == 0:
        return scipy_special().psi(x)
    if n < 3:
        rest = decayed(half_line(POLYGAMMA[n - 1], 2.0, x), x, _PSI_SHIFT[n - 1], n)
        return 1.0 / x / x + rest if n == 1 else rest - 2.0 / x / x / x
    y = -(-1.0) ** n * factorial(n) * scipy_special().zeta(n + 1.0, np.abs(x))
    return np.where(x == 0, np.inf if n % 2 else -np.copysign(np.inf, x), y)


_with_roots = rooted("digamma", polygamma_kernel)
_POLYGAMMA: Primitive = _primitive(
    "polygamma", 1, lambda x, n: _with_roots(x, n), lambda y, x, n: (record(_POLYGAMMA.op(n=n + 1), x),),
    domain=(), oracle=lambda x, n: scipy_special().polygamma(n, x),
    cases=tuple((lambda rng, n=n: ((rng.uniform(0.5, 4.0, (3, 2)),), {"n": n})) for n in (1, 2, 3)),
    doc="The n-th derivative of digamma.")


@lru_cache(64)
def _polygamma_op(n: Any) -> Op:
    if isinstance(n, float) and n.is_integer():
        n = int(n)
    try:
        k = n.__index__()
    except AttributeError:
        raise DtypeError(complain("polygamma", "n", "an integer, the order of the derivative", repr(n))) from None
    if k < 0:
        raise DtypeError(complain("polygamma", "n", "at least 0", k))
    return _POLYGAMMA.op(n=k) if k else digamma.primitive.op()


def polygamma(n: int, x: Any) -> Any:
    """The polygamma function psi^(n)(x), the n-th derivative of digamma.

    n   integer >= 0, a Python number
    x   tensor of floats

    Raises DtypeError for an n that is not a whole number. Differentiable in x to any order. Left of 0 by reflection.

    >>> import adjoint as ad
    >>> round(float(ad.polygamma(1, ad.constant(1.0))), 4)
    1.6449
    """
    return record(_polygamma_op(n), tensor(x))


def trigamma(x: Any) -> Any:
    """The trigamma function, the derivative of digamma.

    >>> import adjoint as ad
    >>> round(float(ad.trigamma(ad.constant(1.0))), 4)
    1.6449
    """
    return record(_POLYGAMMA.op(n=1), tensor(x))


def _elementwise(name: str, kernel: Any, partials: Any, **more: Any) -> Any:
    return elementwise(name, more.pop("arity", 1), wide(kernel), partials, kinds="f", **more)


digamma = _elementwise(
    "digamma", _with_roots, lambda y, x: (record(_POLYGAMMA.op(n=1), x),), domain=((0.5, 4.0),),
    oracle="scipy.special.psi",
    error=measured("SciPy's psi, slopes by tools/fits.py, reflection (DLMF 5.5.4), series at the roots (tools/roots.py)"),
    doc="The digamma function psi(x), the derivative of log Gamma(x).")


def _lgamma_kernel(x: Any) -> Any:
    """scipy's, but around the zeros 1 and 2 a polynomial, left of 0 by reflection, and near 0 as -log |x|."""
    y = scipy_special().gammaln(np.where(np.isinf(x), np.inf, x))
    left = (x < 0) & (x > -25.0) & (x != np.rint(x))
    if left.any():
        y = np.array(y)
        y[left] = reflected_lgamma(x[left])
    tiny = (np.abs(x) < 1e-300) & (x != 0)
    if tiny.any():
        y = np.where(tiny, -np.log(np.where(tiny, np.abs(x), 1.0)), y)
    near = (x > 0.6) & (x < 2.6)
    if near.any():
        y = np.array(y)
        d = x[near]
        y[near] = (d - 1.0) * (d - 2.0) * horner(LGAMMA[0], d - 1.5)
    return y


lgamma = _elementwise(
    "lgamma", rooted("lgamma", lambda x, n: _lgamma_kernel(x)), lambda y, x: (digamma(x),), domain=((0.5, 4.0),),
    oracle="scipy.special.gammaln",
    error=measured("SciPy's gammaln, a polynomial around 1 and 2, reflection, series at roots (tools/roots.py)"),
    doc="The logarithm of |Gamma(x)|; its derivative is digamma.")


def _gamma_kernel(x: Any, n: int) -> Any:
    return scipy_special().gamma(x) * _bell(n, [polygamma_kernel(x, k) for k in range(n)])


gamma = curve("gamma", _gamma_kernel, domain=((0.5, 4.0),), oracle="scipy.special.gamma",
              doc="The gamma function, (x - 1)! for whole x.")


def _gap_kernel(a: Any, b: Any, n: int) -> Any:
    return polygamma_kernel(a, n) - polygamma_kernel(a + b, n)


_GAP: Primitive = _primitive(
    "polygamma_gap", 2, _gap_kernel,
    lambda y, a, b, n: (record(_GAP.op(n=n + 1), a, b), negative(record(_POLYGAMMA.op(n=n + 1), a + b))), domain=(),
    cases=(lambda rng: ((rng.uniform(0.5, 3.0, (3, 2)), rng.uniform(0.5, 3.0, (3, 2))), {"n": 0}),),
    doc="psi^(n)(a) - psi^(n)(a + b).")

betaln = _elementwise(
    "betaln", lambda a, b: scipy_special().betaln(a, b),
    lambda y, a, b: (record(_GAP.op(n=0), a, b), record(_GAP.op(n=0), b, a)), arity=2,
    domain=((0.5, 3.0), (0.5, 3.0)), oracle="scipy.special.betaln",
    doc="The logarithm of the beta function, log |Gamma(a) Gamma(b) / Gamma(a + b)|.")

# ----------------------------------------------------------------------------------------------------- incomplete gamma


@lru_cache(2)
def _half_line() -> tuple[Any, Any]:
    """Nodes and weights of double-exponential quadrature on (0, inf)."""
    t = np.linspace(-4.5, 4.0, 449)
    s = np.exp(0.5 * pi * np.sinh(t))
    return s, s * 0.5 * pi * np.cosh(t) * (t[1] - t[0])


def _bell(n: int, cumulants: list[Any]) -> Any:
    """The complete Bell polynomial: exp(-l) d^n exp(l) from the derivatives of l."""
    bell: list[Any] = [1.0]
    for k in range(n):
        bell.append(sum(comb(k, j) * bell[k - j] * cumulants[j] for j in range(k + 1)))
    return bell[n]


def _gamma_cumulants(a: Any, n: int) -> list[Any]:
    return [-polygamma_kernel(a, k) for k in range(n)]


def _igamma_slope_kernel(a: Any, x: Any, n: int) -> Any:
    """d^n P(a, x)/da^n: the integral of the density's derivative over (0, x), or, negated, over (x, inf) right of the
    mean. With t = x exp(-s) and t = x exp(s) the integrands decay at both ends."""
    a, x = np.broadcast_arrays(a, x)
    s, weights = _half_line()
    cumulants = [c[..., None] for c in _gamma_cumulants(a, n)]
    low = (x < a)[..., None]
    log_t = np.log(np.where(x > 0, x, 1.0))[..., None] + np.where(low, -s, s)
    cumulants[0] = cumulants[0] + log_t
    power = a[..., None] * log_t - np.exp(np.minimum(log_t, 700.0)) - scipy_special().gammaln(a)[..., None]
    values = np.where(power > -745.0, np.exp(np.minimum(power, 700.0)) * _bell(n, cumulants), 0.0)
    total = np.sum(values * weights, axis=-1)
    return np.where(x > 0, np.where(x < a, total, -total), np.where(x == 0, 0.0, np.nan))


_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def _density(a: Any, x: Any) -> Any:
    """x^(a-1) exp(-x) / Gamma(a); for a >= 10 near the mode as sqrt(a / 2 pi) / x exp(-a h(m) - Stirling's rest),
    m = x / a - 1, h(m) = m - log1p(m): large terms would cancel otherwise. Loader, Fast and accurate computation of binomial
    probabilities, 2000."""
    special = scipy_special()
    plain = np.exp(special.xlogy(a - 1.0, x) - x - special.gammaln(a))
    near = (a >= 10.0) & (np.abs(x - a) < 0.4 * a)
    if not np.any(near):
        return plain
    b, c = np.where(near, a, 10.0), np.where(near, x, 10.0)
    m = (c - b) / b
    v = m / (2.0 + m)
    w = v * v
    h = m * v - 2.0 * v * w * horner(tuple(1.0 / (2 * k + 3) for k in range(12)), w)
    rest = horner(_STIRLING, 1.0 / (b * b)) / b
    return np.where(near, np.sqrt(b / (2.0 * pi)) / c * np.exp(-b * h - rest), plain)


def _density_kernel(a: Any, x: Any, n: int) -> Any:
    p = _density(a, x)
    if n == 0:
        return p
    cumulants = _gamma_cumulants(a, n)
    cumulants[0] = cumulants[0] + np.log(x)
    return p * _bell(n, cumulants)


def _density_slope(y: Any, a: Any, x: Any, n: int) -> Any:
    slope = y * ((a - 1.0) - x) / x
    return slope if n == 0 else slope + record(_DENSITY.op(n=n - 1), a, x) * n / x


_DENSITY: Primitive = _primitive(
    "gamma_density", 2, _density_kernel,
    lambda y, a, x, n: (record(_DENSITY.op(n=n + 1), a, x), _density_slope(y, a, x, n)), domain=(),
    cases=tuple((lambda rng, n=n: ((rng.uniform(0.5, 3.0, (3, 2)), rng.uniform(0.5, 3.0, (3, 2))), {"n": n}))
                for n in (0, 1)),
    doc="The density x^(a-1) exp(-x) / Gamma(a) of the gamma distribution, differentiated n times with respect to a.")
_IGAMMA_SLOPE: Primitive = _primitive(
    "igamma_derivative", 2, _igamma_slope_kernel,
    lambda y, a, x, n: (record(_IGAMMA_SLOPE.op(n=n + 1), a, x), record(_DENSITY.op(n=n), a, x)), domain=(),
    cases=(lambda rng: ((rng.uniform(0.5, 3.0, (3, 2)), rng.uniform(0.5, 3.0, (3, 2))), {"n": 1}),),
    doc="The n-th derivative of igamma(a, x) with respect to a, by double-exponential quadrature.")

igamma = _elementwise(
    "igamma", lambda a, x: scipy_special().gammainc(a, x),
    lambda y, a, x: (record(_IGAMMA_SLOPE.op(n=1), a, x), record(_DENSITY.op(n=0), a, x)), arity=2,
    domain=((0.5, 3.0), (0.5, 3.0)), oracle="scipy.special.gammainc",
    doc="The regularized lower incomplete gamma function P(a, x).\n"
        "The derivative in x is the gamma density; the one in a is an integral, by quadrature.")
igammac = _elementwise(
    "igammac", lambda a, x: scipy_special().gammaincc(a, x),
    lambda y, a, x: (negative(record(_IGAMMA_SLOPE.op(n=1), a, x)), negative(record(_DENSITY.op(n=0), a, x))), arity=2,
    domain=((0.5, 3.0), (0.5, 3.0)), oracle="scipy.special.gammaincc",
    doc="The regularized upper incomplete gamma function Q(a, x) = 1 - P(a, x).")

# ------------------------------------------------------------------------------------------------------ incomplete beta


def _mixed_bell(m: int, n: int, cumulant: Callable[[int, int], Any]) -> Any:
    """exp(-l) d^(m+n) exp(l) / da^m db^n from the mixed derivatives of l."""
    if m + n == 0:
        return 1.0
    first = m > 0
    p, q = (m - 1, n) if first else (m, n - 1)
    total: Any = 0.0
    for j in range(p + 1):
        for k in range(q + 1):
            factor = cumulant(j + 1, k) if first else cumulant(j, k + 1)
            total = total + comb(p, j) * comb(q, k) * _mixed_bell(p - j, q - k, cumulant) * factor
    return total


def _beta_log(a: Any, b: Any, log_x: Any, log_rest: Any, m: int, n: int) -> Any:
    """The mixed derivatives of the log-density (a-1) log x + (b-1) log(1-x) - log B(a, b)."""
    shared = polygamma_kernel(a + b, m + n - 1)
    if m and n:
        return shared
    own = shared - polygamma_kernel(a if m else b, m + n - 1)
    return own + (log_x if m else log_rest) if m + n == 1 else own


def _beta_density_kernel(a: Any, b: Any, x: Any, m: int, n: int) -> Any:
    special = scipy_special()
    p = np.exp(special.xlogy(a - 1.0, x) + special.xlog1py(b - 1.0, -x) - special.betaln(a, b))
    return p * _mixed_bell(m, n, lambda j, k: _beta_log(a, b, np.log(x), np.log1p(-x), j, k))


def _beta_density_slope(y: Any, a: Any, b: Any, x: Any, m: int, n: int) -> Any:
    slope = y * ((a - 1.0) / x - (b - 1.0) / (1.0 - x))
    if m:
        slope = slope + record(_BETA_DENSITY.op(m=m - 1, n=n), a, b, x) * m / x
    if n:
        slope = slope - record(_BETA_DENSITY.op(m=m, n=n - 1), a, b, x) * n / (1.0 - x)
    return slope


def _betainc_slope_kernel(a: Any, b: Any, x: Any, m: int, n: int) -> Any:
    """d^(m+n) I_x(a, b) / da^m db^n, integrated from the nearer end with t = x exp(-s)."""
    a, b, x = np.broadcast_arrays(a, b, x)
    high = x > a / (a + b)
    nodes, weights = _half_line()
    near = np.where(high, 1.0 - x, x)[..., None]
    log_t = np.log(np.where(near > 0, near, 1.0)) - nodes
    log_rest = np.log1p(-np.minimum(np.exp(log_t), 1.0 - 1e-16))
    a_, b_, side = a[..., None], b[..., None], high[..., None]
    log_x, log_1x = np.where(side, log_rest, log_t), np.where(side, log_t, log_rest)
    power = (a_ - 1.0) * log_x + (b_ - 1.0) * log_1x + log_t - scipy_special().betaln(a_, b_)
    bell = _mixed_bell(m, n, lambda j, k: _beta_log(a_, b_, log_x, log_1x, j, k))
    total = np.sum(np.where(power > -745.0, np.exp(power) * bell, 0.0) * weights, axis=-1)
    total = np.where(high, -total, total)
    return np.where((x > 0) & (x < 1), total, np.where((x == 0) | (x == 1), 0.0, np.nan))


def _beta_case(m: int, n: int) -> Any:
    return lambda rng: ((rng.uniform(0.5, 3.0, (3, 2)), rng.uniform(0.5, 3.0, (3, 2)), rng.uniform(0.1, 0.9, (3, 2))),
                        {"m": m, "n": n})


_BETA_DENSITY: Primitive = _primitive(
    "beta_density", 3, _beta_density_kernel,
    lambda y, a, b, x, m, n: (record(_BETA_DENSITY.op(m=m + 1, n=n), a, b, x),
                              record(_BETA_DENSITY.op(m=m, n=n + 1), a, b, x),
                              _beta_density_slope(y, a, b, x, m, n)), domain=(),
    cases=(_beta_case(0, 0), _beta_case(1, 1)),
    doc="The density of the beta distribution, differentiated m times with respect to a and n times to b.")
_BETAINC_SLOPE: Primitive = _primitive(
    "betainc_derivative", 3, _betainc_slope_kernel,
    lambda y, a, b, x, m, n: (record(_BETAINC_SLOPE.op(m=m + 1, n=n), a, b, x),
                              record(_BETAINC_SLOPE.op(m=m, n=n + 1), a, b, x),
                              record(_BETA_DENSITY.op(m=m, n=n), a, b, x)), domain=(), cases=(_beta_case(1, 0),),
    doc="The derivative of betainc of order m in a and n in b, by double-exponential quadrature.")
_BETAINC = _primitive(
    "betainc", 3, lambda a, b, x: scipy_special().betainc(a, b, x),
    lambda y, a, b, x: (record(_BETAINC_SLOPE.op(m=1, n=0), a, b, x), record(_BETAINC_SLOPE.op(m=0, n=1), a, b, x),
                        record(_BETA_DENSITY.op(m=0, n=0), a, b, x)),
    domain=((0.5, 3.0), (0.5, 3.0), (0.1, 0.9)), oracle="scipy.special.betainc",
    doc="The regularized incomplete beta function I_x(a, b).")


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularized incomplete beta function I_x(a, b), elementwise with broadcasting.

    a, b   positive;  x   in [0, 1]

    The derivative in x is the beta density; those in a and b are integrals, by quadrature.

    >>> import adjoint as ad
    >>> round(float(ad.betainc(2.0, 2.0, ad.constant(0.5))), 4)
    0.5
    """
    return _broadcast("betainc", _BETAINC.op(), a, b, x)


_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _zeta_kernel(s: Any, q: Any, n: int) -> Any:
    """The n-th derivative in s, by the Euler-Maclaurin formula (DLMF 25.11.28) with Taylor coefficients in s."""
    if n == 0:
        return scipy_special().zeta(s, q)
    steps = 14
    total: Any = 0.0
    for k in range(steps):
        log = np.log(q + k)
        total = total + (-log) ** n * np.exp(-s * log)
    w = q + steps
    log = np.log(w)
    decay = [(-log) ** j / factorial(j) for j in range(n + 1)]          # of w^-s, over w^-s
    pole = [(-1.0) ** j / (s - 1.0) ** (j + 1) for j in range(n + 1)]   # of 1 / (s - 1)
    tail = w * sum(decay[j] * pole[n - j] for j in range(n + 1)) + 0.5 * decay[n]
    rising: list[Any] = [s, 1.0 + 0.0 * s, *[0.0 * s] * (n - 1)]        # of s (s + 1) ... (s + 2j - 2)
    for j, b in enumerate(_BERNOULLI, 1):
        tail = tail + b / factorial(2 * j) * w ** (1.0 - 2 * j) * sum(rising[i] * decay[n - i] for i in range(n + 1))
        for m in (2 * j - 1, 2 * j):
            rising = [(s + m) * c + (rising[i - 1] if i else 0.0) for i, c in enumerate(rising)]
    return np.where((s > 1) & (q > 0), total + factorial(n) * tail * np.exp(-s * log), np.nan)


def _zeta_slope(s: Any, q: Any, n: int) -> Any:
    slope = negative(multiply(s, record(_ZETA.op(n=n), s + 1.0, q)))
    return slope if n == 0 else slope - record(_ZETA.op(n=n - 1), s + 1.0, q) * float(n)


_ZETA: Primitive = _primitive(
    "zeta", 2, _zeta_kernel, lambda y, s, q, n: (record(_ZETA.op(n=n + 1), s, q), _zeta_slope(s, q, n)), domain=(),
    cases=tuple((lambda rng, n=n: ((rng.uniform(1.5, 4.0, (3, 2)), rng.uniform(0.5, 3.0, (3, 2))), {"n": n}))
                for n in (0, 1)),
    doc="The Hurwitz zeta function, differentiated n times with respect to its first argument.")


def zeta(x: Any, q: Any) -> Any:
    """The Hurwitz zeta function, the sum over n >= 0 of (n + q)^(-x).

    The derivative in q is -x zeta(x + 1, q); those in x are sums of their own (Euler-Maclaurin).

    >>> import adjoint as ad
    >>> round(float(ad.zeta(2.0, ad.constant(1.0))), 4)
    1.6449
    """
    return _broadcast("zeta", _ZETA.op(n=0), x, q)


# --------------------------------------------------------------------------------------------------------------- Bessel


def _bessel(n: int, x: Any, scaled: bool) -> Any:
    """I_n(x), or exp(-|x|) I_n(x)."""
    special, n = scipy_special(), abs(n)
    if not scaled:
        x = np.clip(x, -1e4, 1e4)                        # infinite from there on
    if n < 2:
        return (special.i0e, special.i1e)[n](x) if scaled else (special.i0, special.i1)[n](x)
    return special.ive(n, x) if scaled else special.iv(n, x)


def bessel_derivative(n: int, x: Any, order: int, scaled: bool = False) -> Any:
    """The derivative of I_n: 2^-order sum of C(order, j) I_(n - order + 2j); terms of one parity, nothing cancels."""
    return 0.5 ** order * sum(
        comb(order, j) * _bessel(n - order + 2 * j, x, scaled) for j in range(order + 1))


@lru_cache(1)
def _circle() -> Any:
    """1 - cos at the nodes of the trapezoidal rule for half a turn, and its weights over pi."""
    angle = np.arange(41) * (pi / 40)
    weights = np.full(41, 1 / 40)
    weights[[0, -1]] /= 2
    return 2.0 * np.sin(0.5 * angle) ** 2, weights


def _moment(a: Any, k: int) -> Any:
    """1/pi times the integral of exp(-a (1 - cos t)) (1 - cos t)^k over half a turn (DLMF 10.32.3): k = 0 is exp(-a) I_0(a).
    The rule converges geometrically; 41 nodes serve a up to 30."""
    c, weights = _circle()
    return np.exp(-a[..., None] * c) @ (weights * c ** k)


def _bessel_scaled(n: int) -> Any:
    roots = (((0.0, 0.0),) if n else ()) + (BESSEL1_ROOTS if n else ())
    near_fits, far_fits = ((BESSEL0_NEAR, BESSEL0_FAR), (BESSEL1_NEAR, BESSEL1_FAR))[n]

    def scaled(a: Any, order: int) -> Any:
        """The derivatives up to the second for a >= 0, from polynomials in a and in 1 / a."""
        y, is_near = np.empty_like(a), a < 6.0
        near, far = a[is_near], a[~is_near]
        part = horner(near_fits[order], near / 3.0 - 1.0)
        if roots:
            part = part * ((near - roots[order][0]) - roots[order][1])
        y[is_near] = decayed(part, near, 2.0, order + 2)
        part = horner(far_fits[order], 12.0 / far - 1.0) / np.sqrt(far)
        for _ in range(order):
            part = part / far
        y[~is_near] = part
        return y

    def moments(a: Any, order: int) -> Any:
        """Derivatives as moments of one sign; for large a the asymptotic series (DLMF 10.40.1)."""
        small = np.minimum(a, 30.0)
        near = (-1.0) ** order * (_moment(small, order) - (_moment(small, order + 1) if n else 0.0))
        far = np.maximum(a, 30.0)
        term, total, power = 1.0, 0.0, 1.0
        for k in range(28):
            slope = 1.0
            for m in range(order):
                slope *= -(k + 0.5 + m)
            total, power = total + slope * term * power, power / far
            term *= -(4.0 * n * n - (2 * k + 1) ** 2) / ((k + 1) * 8.0)
        series = total / (sqrt(2.0 * pi) * np.sqrt(far)) * far ** -order
        return np.where(a > 30.0, series, near)

    def kernel(x: Any, order: int) -> Any:
        y = (scaled if order < 3 else moments)(np.abs(x), order)
        if n and order == 0:
            return np.copysign(y, x)
        return y * np.sign(x) if (order + n) % 2 else y

    return kernel


bessel_i0 = curve("bessel_i0", lambda x, n: bessel_derivative(0, x, n), oracle="scipy.special.i0",
                  doc="The modified Bessel function I_0.")
bessel_i1 = curve("bessel_i1", lambda x, n: bessel_derivative(1, x, n), oracle="scipy.special.i1",
                  doc="The modified Bessel function I_1.")
_SCALED_ERROR = measured("polynomials in |x| and in 1 / |x| (tools/fits.py); from order 3 moments (DLMF 10.32.3)")
bessel_i0e = curve("bessel_i0e", _bessel_scaled(0), domain=((0.5, 3.0),), oracle="scipy.special.i0e", error=_SCALED_ERROR,
                   doc="The scaled Bessel function exp(-|x|) I_0(x); derivative 0 at the kink at 0.")
bessel_i1e = curve("bessel_i1e", _bessel_scaled(1), domain=((0.5, 3.0),), oracle="scipy.special.i1e", error=_SCALED_ERROR,
                   doc="The scaled Bessel function exp(-|x|) I_1(x).")

# ----------------------------------------------------------------------------------------------------------------- sinc


def spherical_kernel(x: Any, n: int) -> Any:
    """The spherical Bessel function j_n(pi x): upward recurrence away from 0, where it is stable, else the series."""
    z = pi * x
    far = np.abs(z) > n + 1.0
    r = np.where(np.isfinite(x), x, 0.0)
    k = np.rint(r)
    sign = 1.0 - 2.0 * np.abs(np.fmod(k, 2.0))
    sine, cosine = sign * np.sin(pi * (r - k)), sign * np.cos(pi * (r - k))
    big = np.where(far, z, 1.0)
    before, now = sine / big, sine / big / big - cosine / big
    for m in range(1, n):
        before, now = now, (2 * m + 1) * now / big - before
    up = before if n == 0 else now
    vast = np.abs(r) > 1e300                             # where pi x may overflow
    if vast.any():
        up = np.where(vast, (sine, -cosine, -sine, cosine)[n % 4] / pi / np.where(vast, x, 1.0), up)
    small = np.where(far, 0.0, z)
    q = -0.5 * small * small
    term: Any = small ** n / float(np.prod(np.arange(1.0, 2 * n + 2, 2)))
    series = term
    for m in range(1, 12 + n):
        term = term * q / (m * (2 * n + 2 * m + 1))
        series = series + term
    return np.where(np.isinf(x), 0.0, np.where(far, up, series))


@lru_cache(64)
def _sinc_terms(order: int) -> tuple[tuple[int, float], ...]:
    """The derivatives of j_0 as sums of j_k, by j_k' = (k j_(k-1) - (k+1) j_(k+1)) / (2k+1): no division by x, so that
    0 is no special place."""
    if order == 0:
        return ((0, 1.0),)
    out: dict[int, float] = {}
    for k, c in _sinc_terms(order - 1):
        if k:
            out[k - 1] = out.get(k - 1, 0.0) + c * k / (2 * k + 1)
        out[k + 1] = out.get(k + 1, 0.0) - c * (k + 1) / (2 * k + 1)
    return tuple(sorted(out.items()))


def _sinc_bend(x: Any) -> Twofold:
    """x sinc''(x) = -pi sin(pi x) (1 - 2 / (pi x)^2) - 2 cos(pi x) / x, without the sign of cos(pi rint(x))."""
    sine, cosine = sin_cos_pi(x - np.rint(x))
    z = PI * x
    return -(PI * sine * (1.0 - 2.0 / (z * z)) + 2.0 * cosine / x)


def _sinc_kernel(x: Any, n: int, careful: bool = True) -> Any:
    """Near 0 polynomials; from |x| = 1.2 on sines and cosines of the exactly reduced argument."""
    if n == 0 or n > 2:
        return pi ** n * sum(c * spherical_kernel(x, k) for k, c in _sinc_terms(n))
    a = np.abs(x)
    near = np.minimum(a, 1.2)
    y = horner(SINC[n - 1], near * near)
    y = y * x if n == 1 else y * ((near - SINC_ROOT[0]) - SINC_ROOT[1]) * (near + SINC_ROOT[0])
    is_far = a >= 1.2
    if not is_far.any():
        return y
    far = np.where(is_far & np.isfinite(x), x, 2.0)
    k = np.rint(far)
    sign = 1.0 - 2.0 * np.abs(np.fmod(k, 2.0))
    sine, cosine = np.sin(pi * (far - k)), np.cos(pi * (far - k))
    if n == 1:
        bent = cosine - sine / pi / far
    else:
        turn = 2.0 * cosine / far
        bent = -sine * (pi - (2.0 / pi) / far / far) - turn
        if careful:                                      # beyond 1e15 the fraction of x is 0, or too large to cancel
            bent = repaired(bent, np.where(is_far & (a < 1e15), 2.0 * np.abs(turn), 0.0), _sinc_bend, far)
    return np.where(is_far, np.where(np.isinf(x), 0.0, sign * bent / far), y)


sinc = curve(
    "sinc", _sinc_kernel, narrow=lambda x, n: _sinc_kernel(x, n, False), oracle="numpy.sinc",
    error=measured("sine and cosine of the exactly reduced argument, polynomials near 0 (tools/fits.py)",
                   why="f' in float64 counts against |x f''| at its roots"),
    doc="The normalized sinc sin(pi x) / (pi x), 1 at 0; its argument is reduced exactly.")

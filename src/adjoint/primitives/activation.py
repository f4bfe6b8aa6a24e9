"""Activations of neural networks: each with all its derivatives, in forms that do not cancel."""
from __future__ import annotations

from functools import lru_cache
from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from .._graph import Op, Primitive
from .._trace import record
from ._accuracy import ROUNDED, Error, measured
from ._curves import (
    curve,
    gauss_polynomial,
    gaussian,
    half_line,
    horner,
    jet_power,
    jet_sigmoid,
    leibniz,
    one_and,
    rooted,
    scipy_special,
    tensor,
    two_product,
    two_sum,
    wide,
)
from ._fits import GELU_ROOT, GELU_SLOPE, GELU_TANH_BEND, GELU_TANH_ROOT
from ._make import elementwise_infer
from ._twofold import Twofold
from .special import normal_tail, sigmoid_kernel

# ----------------------------------------------------------------------------------------------------- piecewise linear


def _gate_kernel(t: Any, x: Any, low: float, high: float, below: float, inside: float, above: float) -> Any:
    if high == _INF and inside == 1.0 and below == 0.0:
        return np.where(x > low, t, t.dtype.type(0))
    if below == above == 0.0 and inside == 1.0:
        return np.where((x > low) & (x < high), t, t.dtype.type(0))
    return _gate_wide(t, x, low, high, below, inside, above)


def _slopes(t: Any, x: Any, low: float, high: float, below: float, inside: float, above: float) -> Any:
    left, within, right = [t if s == 1.0 else t * s if s else 0.0 for s in (below, inside, above)]
    return np.where(x <= low, left, within if high == _INF else np.where(x >= high, right, within))


_INF = float("inf")


def _gate_wide(t: Any, x: Any, *slopes: float) -> Any:
    if t.dtype == np.float64:
        return _slopes(t, x, *slopes)
    return _slopes(t.astype(np.float64), x, *slopes).astype(t.dtype)


GATE: Primitive = Primitive(
    "gate", elementwise_infer("gate", ("f", "f"), "same"), _gate_kernel,
    partials=lambda y, t, x, **p: (lambda u: record(GATE.op(**p), u, x), None), elementwise=True,
    lower=lambda s, t, x, **p: s.gate(t, x, **p),
    cases=(lambda rng: ((rng.normal(size=(3, 2)), rng.normal(size=(3, 2))),
                        {"low": -0.5, "high": 0.5, "below": 0.1, "inside": 1.0, "above": 0.0}),),
    doc="t times the slope of a piecewise linear function at x: below (at and left of low), inside, above (from high "
        "on). A slope of 0 gives 0 even for an infinite t.")


def _bent(name: str, kernel: Any, knots: Any, *, doc: str, params: dict[str, Any], oracle: Any = None,
          lower: Any = None, error: Error | None = None) -> Primitive:
    """A piecewise linear function; ``knots(**params)`` gives low, high and the three slopes."""

    def partials(y: Any, x: Any, **p: Any) -> Any:
        low, high, below, inside, above = knots(**p)
        op = GATE.op(low=low, high=high, below=below, inside=inside, above=above)
        return (lambda t: record(op, t, x),)

    return Primitive(
        name, elementwise_infer(name, ("iuf" if name == "relu" else "f",), "same"), kernel, partials=partials,
        elementwise=True, lower=lower, oracle=oracle, error=error, domain=((-3.0, 3.0),) if not params else (),
        cases=(lambda rng: ((rng.uniform(-3.0, 3.0, size=(3, 4)),), dict(params)),) if params else (), doc=doc)


RELU = _bent("relu", lambda x: np.maximum(x, x.dtype.type(0)), lambda: (0.0, _INF, 0.0, 1.0, 1.0), params={},
             lower=lambda s, x: s.maximum(x, 0), oracle=lambda x: np.maximum(x, 0), doc="max(x, 0).")
RELU6 = _bent("relu6", lambda x: np.minimum(np.maximum(x, x.dtype.type(0)), x.dtype.type(6)),
              lambda: (0.0, 6.0, 0.0, 1.0, 0.0), params={},
              lower=lambda s, x: s.minimum(s.maximum(x, 0), 6), oracle=lambda x: np.clip(x, 0, 6), doc="min(max(x, 0), 6).")
HARD_TANH = _bent("hard_tanh", lambda x: np.minimum(np.maximum(x, x.dtype.type(-1)), x.dtype.type(1)),
                  lambda: (-1.0, 1.0, 0.0, 1.0, 0.0), params={},
                  lower=lambda s, x: s.minimum(s.maximum(x, -1), 1), oracle=lambda x: np.clip(x, -1, 1),
                  doc="x clipped to [-1, 1].")
HARD_SIGMOID = _bent("hard_sigmoid", wide(lambda x: (np.clip(x, -3.0, 3.0) + 3.0) / 6.0),
                     lambda: (-3.0, 3.0, 0.0, 1.0 / 6.0, 0.0), params={},
                     lower=lambda s, x: s.hard_sigmoid(x), oracle=lambda x: np.clip(x / 6 + 0.5, 0, 1), doc="relu6(x + 3) / 6.")
LEAKY = _bent("leaky_relu", wide(lambda x, slope: np.where(x > 0, x, slope * x)),
              lambda slope: (0.0, _INF, slope, 1.0, 1.0), params={"slope": 0.2},
              lower=lambda s, x, slope: s.select(x > 0.0, x, s.scaled(x, slope)),
              oracle=lambda x, slope: np.where(x > 0, x, slope * x),
              error=ROUNDED,
              doc="x where positive, else slope x.")
SOFT_SHRINK = _bent(
    "soft_shrink", wide(lambda x, width: np.where(np.abs(x) > width, x - np.copysign(width, x), 0.0 * np.sign(x))),
    lambda width: (-width, width, 1.0, 0.0, 1.0), params={"width": 0.5}, lower=lambda s, x, width: s.soft_shrink(x, width=width),
    oracle=lambda x, width: np.sign(x) * np.maximum(np.abs(x) - width, 0), doc="x moved towards 0 by width.")


def _select(name: str, keep: Any, doc: str, params: dict[str, Any]) -> Primitive:
    """x where ``keep(x, ...)``, else a constant; linear with slope 1 where kept. ``keep`` serves lowerings as well."""

    def kernel(x: Any, **p: Any) -> Any:
        return np.where(keep(x, **p), x, np.asarray(p.get("otherwise", 0.0)).astype(x.dtype))

    pick = Primitive(
        f"{name}_gate", elementwise_infer(f"{name}_gate", ("f", "f"), "same"),
        lambda t, x, **p: np.where(keep(x, **p), t, t.dtype.type(0)),
        partials=lambda y, t, x, **p: (lambda u: record(pick.op(**p), u, x), None), elementwise=True,
        lower=lambda s, t, x, **p: s.select(keep(x, **p), t, 0.0),
        cases=(lambda rng: ((rng.normal(size=(3, 4)), rng.uniform(-3.0, 3.0, size=(3, 4))), dict(params)),),
        doc=f"t where {name} keeps x, else 0.")
    return Primitive(
        name, elementwise_infer(name, ("f",), "same"), kernel, elementwise=True,
        lower=lambda s, x, **p: s.select(keep(x, **p), x, p.get("otherwise", 0.0)),
        partials=lambda y, x, **p: (lambda t: record(pick.op(**p), t, x),),
        cases=(lambda rng: ((rng.uniform(-3.0, 3.0, size=(3, 4)),), dict(params)),), doc=doc)


HARD_SHRINK = _select("hard_shrink", lambda x, width: ~(abs(x) <= width), "x where |x| > width, else 0.",
                      {"width": 0.5})
THRESHOLD = _select("threshold", lambda x, limit, otherwise: ~(x <= limit), "x where x > limit, else a constant.",
                    {"limit": 0.5, "otherwise": -1.0})

# --------------------------------------------------------------------------------------------------------- exponentials


def _elu_kernel(x: Any, n: int, alpha: float) -> Any:
    low = np.minimum(x, 0.0)
    if n == 0:
        return np.where(x >= 0, x, alpha * np.expm1(low))
    return np.where(x > 0, 1.0 if n == 1 else 0.0, alpha * np.exp(low))


def _celu_kernel(x: Any, n: int, alpha: float) -> Any:
    low = np.minimum(x, 0.0) / alpha
    if n == 0:
        return np.where(x >= 0, x, alpha * np.expm1(low))
    return np.where(x > 0, 1.0 if n == 1 else 0.0, alpha ** (1 - n) * np.exp(low))


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

ELU = curve("elu", _elu_kernel, params={"alpha": 1.3}, lower=lambda s, x, n, alpha: s.elu(x, n, alpha),
            oracle=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
            error=measured("expm1"),
            doc="x where positive, else alpha (exp(x) - 1).")
CELU = curve("celu", _celu_kernel, params={"alpha": 2.0}, lower=lambda s, x, n, alpha: s.elu(x, n, alpha, alpha),
             oracle=lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x / alpha)),
             error=measured("expm1"),
             doc="x where positive, else alpha (exp(x / alpha) - 1).")


def _selu_kernel(x: Any, n: int) -> Any:
    low = np.minimum(x, 0.0)
    if n == 0:
        return np.where(x >= 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * np.expm1(low))
    return np.where(x > 0, SELU_SCALE if n == 1 else 0.0, SELU_SCALE * SELU_ALPHA * np.exp(low))


selu = curve("selu", _selu_kernel, lower=lambda s, x, n: s.selu(x, n),
             oracle=lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(x)),
             error=measured("expm1"),
             doc="""The self-normalizing elu, 1.0507 (x where positive, else 1.6733 (exp(x) - 1)).
             Klambauer et al., arXiv:1706.02515.""")

# ----------------------------------------------------------------------------------------------------------------- gelu

_CUT = 60.0
_ROOT_TWO, _ROOT_TWO_LOW = sqrt(2.0), -9.667293313452913e-17
_ROOT_HALF, _DENSITY = sqrt(0.5), 1.0 / sqrt(2.0 * pi)


def _gelu_kernel(x: Any, n: int) -> Any:
    """x Phi(x); the left side as a function of its own times an exact Gaussian, so that it has all its digits."""
    c = np.clip(x, -_CUT, _CUT)
    if n == 2:                                           # 2 - x^2, exact also at its roots
        a = np.abs(c)
        return gaussian(c, 1.0, ((_ROOT_TWO - a) + _ROOT_TWO_LOW) * (_ROOT_TWO + a) * _DENSITY)
    if n > 2:
        return gaussian(c, 1.0, horner(gauss_polynomial(n - 2, (2.0 * _DENSITY, 0.0, -_DENSITY), 1.0), c))
    a = np.abs(c)
    if n == 0:
        low = gaussian(a, 1.0, a * normal_tail(a))
        return np.where(x >= 0, x - low, -low)
    low = gaussian(a, 1.0, ((a - GELU_ROOT[0]) - GELU_ROOT[1]) * half_line(GELU_SLOPE[0], 3.5, a))
    return np.where(x > 0, 1.0 - low, low)


def _gelu_narrow(x: Any, n: int) -> Any:
    c = np.maximum(x, -_CUT)
    if n == 0:
        return (0.5 * c) * scipy_special().erfc(-_ROOT_HALF * c)
    c = np.minimum(c, _CUT)
    density = _DENSITY * np.exp(-0.5 * (c * c))
    if n == 1:
        return 0.5 * scipy_special().erfc(-_ROOT_HALF * c) + c * density
    return density * horner(gauss_polynomial(n - 2, (2.0, 0.0, -1.0), 1.0), c)


gelu_exact = curve("gelu", _gelu_kernel, narrow=_gelu_narrow,
                   lower=lambda s, x, n: s.gelu(x, order=n), oracle=lambda x: x * scipy_special().ndtr(x),
                   error=measured("exp(-x^2 / 2) times polynomials in 1 / (|x| + 3.5) (tools/fits.py)"),
                   doc="x Phi(x), Phi the normal distribution function. Hendrycks and Gimpel, arXiv:1606.08415.")

_GELU_RATE, _GELU_CUBE = 2.0 * sqrt(2.0 / pi), 0.044715
_RATE, _CUBE = Twofold(_GELU_RATE, -9.96930880911092e-17), Twofold(_GELU_CUBE, 2.1960211427085595e-18)


def _gelu_argument(x: Any) -> tuple[Twofold, Twofold]:
    """v = 2 sqrt(2/pi) (x + w x) and w = 0.044715 x^2."""
    square, square_low = two_product(x, x)
    w, low = two_product(square, _GELU_CUBE)
    low = low + square_low * _GELU_CUBE + square * _CUBE.low
    one, one_low = two_sum(1.0, w)
    factor, factor_low = two_product(one, x)
    v, v_low = two_product(factor, _GELU_RATE)
    return Twofold(v, v_low + ((one_low + low) * x + factor_low) * _GELU_RATE + factor * _RATE.low), Twofold(w, low)


def _gelu_tanh_kernel(x: Any, n: int) -> Any:
    """x s(v), v = 2 sqrt(2/pi) (x + 0.044715 x^3), s the sigmoid: the same as x/2 (1 + tanh(v/2)) without 1 + tanh.

    With e = exp(-|v|) and c v' = v (1 + 2 g), g = w / (1 + w): f' is (1 + c v' + e) e / (1 + e)^2 left of 0 and
    (1 + (1 + c v') e) / (1 + e)^2 right.
    """
    c = np.clip(x, -25.0, 25.0)                          # beyond, s(v) is 0 or 1 to the last bit
    if n == 2:
        return _gelu_tanh_bend(np.abs(c))
    v, w = _gelu_argument(c)
    up, a = c >= 0, np.abs(v.high)
    plain, low = np.exp(-a), np.where(up, v.low, -v.low)
    e = plain - plain * low
    d, q = one_and(e)
    if n == 0:
        return np.where(up, np.maximum(x, c) / d, _times_exp(c - c * low, a, plain) / d)
    if n == 1:
        turn = v.high + (v.low + v.high * (2.0 * w.high / (1.0 + w.high)))
        y = np.where(up, 1.0 + e * (1.0 + turn), (1.0 + turn) + e)
        return np.where(up, y, _times_exp(y - y * low, a, plain)) / q
    r, d1 = 1.0 / d, _GELU_RATE * (1.0 + 3.0 * w.high)
    cubic = [v.high, d1, 3.0 * _GELU_RATE * _GELU_CUBE * c, _GELU_RATE * _GELU_CUBE] + [0.0] * (n - 3)
    s = jet_sigmoid(cubic[: n + 1], np.where(up, r, e * r), np.where(up, e * r, r))
    return factorial(n) * (s[n - 1] + c * s[n])


def _gelu_tanh_bend(a: Any) -> Any:
    """f'' for a = |x|: a polynomial in a^2 for small ones, else k (p - k q + e (p + k q)) e / (1 + e)^3, where e = exp(-v),
    k = 2 sqrt(2/pi), p = 2 + 12 w, q = a (1 + 3 w)^2; p - k q cancels and is taken in two parts."""
    root, low = GELU_TANH_ROOT
    near = np.minimum(a, 1.8)
    y = horner(GELU_TANH_BEND[0], near * near / 1.62 - 1.0) * ((near - root) - low) * (near + root)
    is_far = a > 1.8
    if not is_far.any():
        return y
    y, far = np.array(y), a[is_far]
    v, w = _gelu_argument(far)
    plain = np.exp(-v.high)
    e = plain - plain * v.low
    p, steep = w * 12.0 + 2.0, w * 3.0 + 1.0
    q = steep * steep * far * _RATE
    d, less = 1.0 + e, (p - q) * _RATE
    more = less.low + e * (p.high + q.high) * _GELU_RATE
    more = more - (less.high + more) * (e * (3.0 + e * (3.0 + e)) / (d * d * d) + v.low)
    y[is_far] = _times_exp(less.high + more, v.high, plain)
    return y


def _gelu_tanh_narrow(x: Any, n: int) -> Any:
    if n > 1:
        return _gelu_tanh_kernel(x, n)
    c = np.clip(x, -25.0, 25.0)
    square = c * c
    s = 1.0 / (1.0 + np.exp(-_GELU_RATE * c * (1.0 + _GELU_CUBE * square)))
    if n == 0:
        return np.maximum(x, c) * s
    return s * (1.0 + c * (1.0 - s) * (_GELU_RATE * (1.0 + (3.0 * _GELU_CUBE) * square)))


gelu_tanh = curve("gelu_tanh", rooted("gelu_tanh", _gelu_tanh_kernel), narrow=_gelu_tanh_narrow,
                  lower=lambda s, x, n: s.gelu_tanh(x, order=n),
                  oracle=lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3))),
                  error=measured("x sigmoid(v) with v in two numbers; series at the root of the slope (tools/roots.py), "
                                 "polynomials for f'' (tools/fits.py)"),
                  doc="x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), the approximation of gelu.")

# ----------------------------------------------------------------------------------------------- products with sigmoids


def _times_exp(factor: Any, a: Any, e: Any) -> Any:
    """factor exp(-a), in halves where e = exp(-a) has lost digits to underflow."""
    far = a > 700.0
    if not far.any():
        return factor * e
    half = np.exp(-0.5 * a)
    return np.where(far, (factor * half) * half, factor * e)


def _silu_kernel(x: Any, n: int) -> Any:
    c = np.clip(x, -800.0, 800.0)
    a = np.abs(c)
    e = np.exp(-a)
    d, q = one_and(e)
    if n == 0:
        return np.where(x >= 0, x / d, _times_exp(c, a, e) / d)
    if n == 1:
        return np.where(x >= 0, 1.0 + e * (1.0 + c), _times_exp((1.0 + c) + e, a, e)) / q
    if n == 2:
        return _times_exp((2.0 - a) + e * (2.0 + a), a, e) / (q * d)
    return leibniz(n, lambda k: sigmoid_kernel(c, k), c)


def _silu_narrow(x: Any, n: int) -> Any:
    if n > 1:
        return _silu_kernel(x, n)
    c = np.maximum(x, -700.0)
    s = 1.0 / (1.0 + np.exp(-c))
    if n == 0:
        return c * s
    c = np.minimum(c, 700.0)
    return s * (1.0 + c * (1.0 - s))


silu = curve("silu", rooted("silu", _silu_kernel), narrow=_silu_narrow,
             lower=lambda s, x, n: s.silu(x, order=n), oracle=lambda x: x * scipy_special().expit(x), domain=((-6.0, 6.0),),
             error=measured("x / (1 + exp(-x)), series at the roots of the slopes (tools/roots.py)"),
             doc="x sigmoid(x), also called swish. Elfwing et al., arXiv:1702.03118.")


def _mish_kernel(x: Any, n: int) -> Any:
    """x t, t = tanh(softplus(x)) = q / (q + 2) with q = exp(2x) + 2 exp(x); for x > 0 in e = exp(-x)."""
    c = np.clip(x, -800.0, 800.0)
    up = c > 0
    a = np.abs(c)
    e = np.exp(-a)
    base = np.where(up, 1.0, 2.0)
    r = base + e
    twice = np.where(up, 2.0 * e, e)
    d, q = one_and(twice * r, base)
    if n == 0:
        return np.where(up, x * ((1.0 + 2.0 * e) / d), _times_exp(c, a, e) * ((2.0 + e) / d))
    if n == 1:
        left = 4.0 * (1.0 + c) + e * ((6.0 + 4.0 * c) + e * (4.0 + e))
        right = 1.0 + e * (4.0 + e * ((6.0 + 4.0 * c) + 4.0 * e * (1.0 + c)))
        return np.where(up, right, _times_exp(left, a, e)) / q
    if n == 2:
        k = [8.0 * (1.0 - c), 12.0 * (2.0 - c), 8.0 * (4.0 + c), 8.0 * (2.0 + c)]
        cubic = [np.where(up, r, left) for r, left in zip(k, k[::-1])]
        product, low = two_product(twice, r)
        low = low + twice * (e - (r - base)) + (product - (d - base))        # what d lacks
        y, turn = horner(cubic, e), np.where(up, 2.0 * a, a)
        return _times_exp((y - y * (3.0 * low / d)) / (d * d * d), turn, np.exp(-turn))
    s = jet_sigmoid([c, *[1.0] * (n > 0), *[0.0] * (n - 1)], np.where(up, 1.0, e) / (1.0 + e),
                    np.where(up, e, 1.0) / (1.0 + e))
    soft = [np.maximum(c, 0.0) + np.log1p(e)] + [s[k - 1] / k for k in range(1, n + 1)]
    double = [2.0 * v for v in soft]                     # tanh(w) = 2 sigmoid(2w) - 1
    w = np.exp(-double[0])
    t = [2.0 * v for v in jet_sigmoid(double, 1.0 / (1.0 + w), w / (1.0 + w))]
    return factorial(n) * (t[n - 1] + c * t[n])


mish = curve("mish", rooted("mish", _mish_kernel), narrow=_mish_kernel, lower=lambda s, x, n: s.mish(x, order=n),
             oracle=lambda x: x * np.tanh(np.logaddexp(x, 0)), domain=((-6.0, 6.0),),
             error=measured("rational in exp(-|x|), series at the roots of the slopes (tools/roots.py)"),
             doc="x tanh(softplus(x)). Misra, arXiv:1908.08681.")

# --------------------------------------------------------------------------------------------------------------- others


def _softsign_kernel(x: Any, n: int) -> Any:
    a = np.minimum(np.abs(x), 1e300)
    u = 1.0 + a
    if n == 0:
        return np.copysign(a / u, x)
    r = (-np.sign(x)) ** (n - 1) * factorial(n)
    for _ in range(n + 1):
        r = r / u
    return r


softsign = curve("softsign", _softsign_kernel, lower=lambda s, x, n: s.softsign(x, n), oracle=lambda x: x / (1 + np.abs(x)),
                 error=measured("x / (1 + |x|)"),
                 doc="x / (1 + |x|).")

_SHRINK_SERIES = (0.0, *(2.0 * k / factorial(2 * k + 1) for k in range(1, 17)))


def _tanhshrink_kernel(x: Any, n: int) -> Any:
    """Near 0 as (x cosh x - sinh x) / cosh x, whose series has positive terms only."""
    if n == 0:
        near = np.abs(x) < 2.0
        small = np.where(near, x, 0.0)
        return np.where(near, small * horner(_SHRINK_SERIES, small * small) / np.cosh(small), x - np.tanh(x))
    if n == 1:
        t = np.tanh(x)
        return t * t
    return -(2.0 ** (n + 1)) * sigmoid_kernel(2.0 * x, n)


tanhshrink = curve("tanhshrink", _tanhshrink_kernel, lower=lambda s, x, n: s.tanhshrink(x, order=n),
                   oracle=lambda x: x - np.tanh(x),
                   error=measured("a series of positive terms near 0"),
                   doc="x - tanh(x), from a series near 0; its derivative is tanh(x)^2.")


def _log_cosh_kernel(x: Any, n: int) -> Any:
    if n == 0:
        a = np.abs(x)
        near = a < 1.0
        s = np.sinh(np.where(near, 0.5 * x, 0.0))
        return np.where(near, np.log1p(2.0 * s * s), a + (np.log1p(np.exp(-2.0 * a)) - np.log(2.0)))
    if n == 1:
        return np.tanh(x)
    return 2.0 ** n * sigmoid_kernel(2.0 * x, n - 1)


log_cosh = curve("log_cosh", _log_cosh_kernel, lower=lambda s, x, n: s.log_cosh(x, order=n), oracle=lambda x: np.log(np.cosh(x)),
                 error=measured("log1p(2 sinh(x/2)^2) near 0"),
                 doc="log(cosh(x)), as log1p(2 sinh(x/2)^2) near 0; its derivative is tanh(x).")


def _hard_silu_kernel(x: Any, n: int) -> Any:
    inside = (x > -3.0) & (x < 3.0)
    if n == 0:
        return np.where(x <= -3.0, 0.0, np.where(x >= 3.0, x, x * ((x + 3.0) / 6.0)))
    if n == 1:
        return np.where(inside, (2.0 * x + 3.0) / 6.0, np.where(x >= 3.0, 1.0, 0.0 * (x == x)))
    return np.where(inside, 1.0 / 3.0 if n == 2 else 0.0, 0.0)


hard_silu = curve("hard_silu", _hard_silu_kernel, lower=lambda s, x, n: s.hard_silu(x, order=n),
                  oracle=lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
                  error=measured("a quadratic"),
                  doc="x hard_sigmoid(x), also called hard_swish. Howard et al., arXiv:1905.02244.")


def _squareplus_kernel(x: Any, n: int, b: float) -> Any:
    """(x + q) / 2 with q = sqrt(x^2 + b); left of 0 as (b/2) / (q - x). f' = f / q, f'' = b/2 q^-3."""
    if n > 1:
        c = np.clip(x, -1e150, 1e150)
        w = c * c + b
        bend = 0.5 * b / w / np.sqrt(w)
        if n == 2:
            return bend
        c = np.clip(x, -1e100, 1e100)
        jet = [c * c + b, 2.0 * c, 1.0] + [0.0] * max(0, n - 4)
        return factorial(n - 2) * jet_power(jet[: n - 1], -1.5, bend)[n - 2]
    q = np.hypot(x, sqrt(b))
    f = np.where(x >= 0, 0.5 * x + 0.5 * q, (0.25 * b) / (0.5 * q + 0.5 * np.abs(x)))
    return f if n == 0 else np.where(np.isinf(x), (x > 0) * 1.0, f / q)


SQUAREPLUS = curve("squareplus", _squareplus_kernel, params={"b": 4.0}, lower=lambda s, x, n, b: s.squareplus(x, order=n, b=b),
                   oracle=lambda x, b: (x + np.sqrt(x * x + b)) / 2,
                   error=measured("hypot"),
                   doc="(x + sqrt(x^2 + b)) / 2.")


# -------------------------------------------------------------------------------------------------------------- calling


@lru_cache(1024)
def _bound(prim: Primitive, params: tuple[tuple[str, float], ...]) -> Op:
    return prim.op(**dict(params))


def call(prim: Primitive, x: Any, **params: float) -> Any:
    """Record a primitive with numbers as parameters."""
    return record(_bound(prim, tuple(params.items())), tensor(x))



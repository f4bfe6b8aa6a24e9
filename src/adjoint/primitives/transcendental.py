"""Powers, exponentials, logarithms, trigonometric and hyperbolic functions and their inverses.

Where the textbook derivative cancels, overflows or underflows, the slope is a primitive of its own, closed under
differentiation: the powers of 1 - x**2, 1 + x**2 and x**2 - 1 behind the inverse functions, x**(y - k) log(x)**m behind
the power, the squared hyperbolic secant, the logistic function of a difference. Those of the plane are in plane.py.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import ArgumentError, complain
from .._graph import Op, Primitive, Spec, spec
from .._operators import binary, unary
from .._tensor import Value
from .._trace import record
from . import _twofold as twofold
from ._accuracy import measured, stated
from ._curves import two_sum
from ._make import check_kind, elementwise, install
from ._twofold import repaired
from .arithmetic import add, example, helper, monomial, multiply, negative, square, wide
from .comparison import equal, logical_and, where
from .convert import cast, convert
from .plane import angle, atan2, hypot

__all__ = [
    "acos", "acosh", "angle", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "exp", "exp2", "expm1",
    "hypot", "log", "log1p", "log2", "log10", "logaddexp", "pow", "rsqrt", "sin", "sinh", "sqrt", "tan", "tanh",
    "xdivy", "xlog1py", "xlogy",
]

_LN2 = math.log(2)
_UNIT = ((-0.95, 0.95),)
_POSITIVE = ((0.1, 3.0),)
_BOTH_POSITIVE = ((0.1, 3.0), (0.1, 3.0))

# ------------------------------------------------------------------------------------------ exponentials and logarithms

exp = elementwise(
    "exp", 1, wide(np.exp), lambda r, x: (r,),
    lower=lambda s, x: s.exp(x), oracle="mpmath.exp",
    error=measured("NumPy's exp"),
    doc=example("The exponential e**x.", "round(float(ad.exp(1.0)), 4)", "2.7183"))
expm1 = elementwise(
    "expm1", 1, wide(np.expm1), lambda r, x: (exp(x),),
    lower=lambda s, x: s.expm1(x), oracle="mpmath.expm1",
    error=measured("NumPy's expm1"),
    doc=example("e**x - 1, accurate near 0.", "round(float(ad.expm1(1.0)), 4)", "1.7183"))


def _exp2_slope_kernel(x: Any, c: float) -> Any:
    top = np.where(x.real > 1000, x - 1, x)              # c < 1 keeps finite what 2**x alone would not
    return np.exp2(top) * np.where(x.real > 1000, 2 * c, c)


EXP2_SLOPE: Primitive = Primitive(
    "exp2_slope", lambda x, c: exp2.primitive.infer(x), wide(_exp2_slope_kernel), elementwise=True,
    partials=lambda r, x, c: (_exp2_slope(x, c * _LN2),), oracle=lambda x, c: c * 2 ** x,
    lower=lambda s, x, c: s.exp2_slope(x, c),
    cases=(lambda rng: ((rng.uniform(-3, 3, (2, 3)),), {"c": 0.5}),), doc="c 2**x.")


def _exp2_slope(x: Any, c: float) -> Any:
    return record(EXP2_SLOPE.op(c=c), x)


def _shifted_kernel(x: Any, c: float, n: int) -> Any:
    u = 1 + x
    r = c / u
    for _ in range(n - 1):
        r = r / u
    return r


def _shifted_lower(s: Any, x: Any, c: float, n: int) -> Any:
    u = x.to("f64") + 1.0
    r = c / u
    for _ in range(n - 1):
        r = r / u
    return r.to(x.type)


SHIFTED: Primitive = Primitive(
    "shifted_power", lambda x, c, n: log1p.primitive.infer(x), wide(_shifted_kernel), elementwise=True, lower=_shifted_lower,
    partials=lambda r, x, c, n: (_shifted(x, -n * c, n + 1),), oracle=lambda x, c, n: c / (1 + x) ** n,
    cases=(lambda rng: ((rng.uniform(-0.5, 3, (2, 3)),), {"c": 0.5, "n": 1}),
           lambda rng: ((rng.uniform(-0.5, 3, (2, 3)),), {"c": 2.0, "n": 3})),
    doc="c (1 + x)**-n, the slopes of log1p.")


def _shifted(x: Any, c: float, n: int) -> Any:
    return record(SHIFTED.op(c=c, n=n), x)


exp2: Any = elementwise(
    "exp2", 1, wide(np.exp2), lambda r, x: (_exp2_slope(x, _LN2),),
    lower=lambda s, x: s.exp2(x), oracle=lambda x: 2 ** x,
    error=measured("NumPy's exp2"),
    doc=example("The power 2**x.", "float(ad.exp2(3.0))", "8.0"))
log = elementwise(
    "log", 1, wide(np.log), lambda r, x: (lambda t: t / x,),
    lower=lambda s, x: s.log(x), oracle="mpmath.log", domain=_POSITIVE,
    error=measured("NumPy's log"),
    doc=example("The natural logarithm of x.", "round(float(ad.log(10.0)), 4)", "2.3026", "-inf at 0, NaN below."))
log1p: Any = elementwise(
    "log1p", 1, wide(np.log1p), lambda r, x: (_shifted(x, 1.0, 1),),
    lower=lambda s, x: s.log1p(x), oracle="mpmath.log1p", domain=((-0.9, 3.0),),
    error=measured("NumPy's log1p"),
    doc=example("log(1 + x), accurate near 0.", "round(float(ad.log1p(1.0)), 4)", "0.6931"))
log2 = elementwise(
    "log2", 1, wide(np.log2), lambda r, x: (monomial(x, 1 / _LN2, -2),),
    lower=lambda s, x: s.log2(x), oracle=lambda x: np.log2(x),
    domain=_POSITIVE,
    error=measured("NumPy's log2"),
    doc=example("The logarithm of x to base 2.", "float(ad.log2(8.0))", "3.0"))
log10 = elementwise(
    "log10", 1, wide(np.log10), lambda r, x: (monomial(x, 1 / math.log(10), -2),),
    lower=lambda s, x: s.log10(x), oracle="mpmath.log10",
    domain=_POSITIVE,
    error=measured("NumPy's log10"),
    doc=example("The logarithm of x to base 10.", "float(ad.log10(100.0))", "2.0"))


def _logistic_kernel(x: Any, y: Any) -> Any:
    d = np.where(x == y, 0, y - x)                       # also infinities that are equal
    b = d - y
    lost = (y - (d - b)) - (x + b)
    return 1 / (1 + np.exp(d) * (1 + np.where(np.isfinite(lost), lost, 0)))


_logistic: Any = helper(
    "logistic_difference", 2, wide(_logistic_kernel),
    lambda r, x, y: (multiply(r, _logistic(y, x)), negative(multiply(r, _logistic(y, x)))),
    lower=lambda s, x, y: s.logistic_difference(x, y), oracle=lambda x, y: 1 / (1 + np.exp(y - x)), doc="e**x / (e**x + e**y).")

logaddexp = elementwise(
    "logaddexp", 2, wide(np.logaddexp), lambda r, x, y: (_logistic(x, y), _logistic(y, x)), kinds="f",
    lower=lambda s, x, y: s.logaddexp(x, y), oracle="numpy.logaddexp",
    error=measured("NumPy's logaddexp; slopes from exp(y - x)"),
    doc=example("log(e**x + e**y).", "round(float(ad.logaddexp(1000.0, 1000.0)), 4)", "1000.6932"))

# --------------------------------------------------------------------------------------------------------------- roots

sqrt = elementwise(
    "sqrt", 1, np.sqrt, lambda r, x: (monomial(x, 0.5, -1),),
    lower=lambda s, x: s.sqrt(x), oracle="mpmath.sqrt", domain=_POSITIVE,
    error=measured("NumPy's sqrt"),
    doc=example("The square root of x.", "float(ad.sqrt(9.0))", "3.0", "Its derivative at 0 is inf."))
rsqrt = elementwise(
    "rsqrt", 1, wide(lambda x: 1 / np.sqrt(x)), lambda r, x: (monomial(x, -0.5, -3),),
    lower=lambda s, x: s.rsqrt(x), oracle=lambda x: x ** -0.5,
    domain=_POSITIVE,
    error=measured("1 / sqrt(x)"),
    doc=example("The reciprocal square root 1 / sqrt(x).", "float(ad.rsqrt(4.0))", "0.5"))


def _cbrt(x: Any) -> Any:
    r = np.cbrt(x)                                       # and a Newton step, which leaves one rounding
    return np.where((r == 0) | np.isinf(r), r, r - (r - x / (r * r)) / 3)


def _cbrt_slope_kernel(x: Any) -> Any:
    r = _cbrt(x)
    return np.where(np.isinf(x), 0, np.where(x == 0, np.inf, r / np.where(x == 0, 1, x) / 3))


_cbrt_slope: Any = helper(
    "cbrt_slope", 1, wide(_cbrt_slope_kernel), lambda r, x: (multiply(r / x, -2 / 3),), domain=_POSITIVE,
    lower=lambda s, x: s.cbrt_slope(x), oracle=lambda x: np.cbrt(x) / (3 * x), doc="The slope of the cube root, x**(-2/3) / 3.")
cbrt = elementwise(
    "cbrt", 1, wide(_cbrt), lambda r, x: (_cbrt_slope(x),), kinds="f", lower=lambda s, x: s.cbrt(x), oracle="numpy.cbrt",
    domain=_POSITIVE,
    error=measured("NumPy's cbrt and a Newton step"),
    doc=example("The real cube root of x.", "round(float(ad.cbrt(-8.0)), 4)", "-2.0", "Its derivative at 0 is inf."))

# ---------------------------------------------------------------------------------------------------------- the power


# x**y moves into itself: every derivative of it, k times in x and m times in y, is one primitive.


@lru_cache(64)
def _falling(k: int, j: int) -> tuple[float, ...]:
    """The j-th derivative of y (y - 1) ... (y - k + 1) as the coefficients of a polynomial in y, the highest first."""
    return tuple(np.polyder(np.poly(np.arange(k)), j)) if j else ()


def _power_slope_kernel(x: Any, y: Any, k: int, m: int) -> Any:
    if (k, m) == (1, 0) and x.dtype.char in "feE":
        r = y * np.power(x.astype(np.float64), y - np.float64(1))
        return (np.where(y == 0, 0, r) if (y == 0).any() else r).astype(x.dtype)
    return _any_power_slope(x, y, k=k, m=m)


def _any_power_slope_kernel(x: Any, y: Any, k: int, m: int, careful: bool = False) -> Any:
    s = y - k
    p, zero = np.power(x, s), x == 0
    rest: Any = 1.0
    if x.dtype.kind == "f":
        extreme = ((np.abs(p) < 1e-280) | (np.abs(p) > 1e280)) & ~zero
        if extreme.any():                                # in halves, with the factors between
            half = np.power(np.abs(x), 0.5 * s)
            p, rest = np.where(extreme, np.copysign(half, p), p), np.where(extreme, half, 1.0)
    logs = np.log(np.where(zero, 1, x)) if m or x.dtype.kind == "f" else 0
    if k and x.dtype.kind == "f":                        # the digits that y - k has lost, times log(x)
        b = s - y
        lost = ((y - (s - b)) - (k + b)) * logs
        back = np.where(np.abs(lost) < 1e-4, 1 + lost, np.exp(np.minimum(lost, 700)))
        p = np.where(np.isfinite(lost) & np.isfinite(p), p * back, p)
    if not m:                                            # factor by factor: their product alone may overflow
        nothing = y == 0
        for n in range(k):
            nothing = nothing | (y == n)
            p = p * np.where(nothing, 1, y - n)
        return np.where(nothing & (k > 0), 0, p * rest)
    factor: Any = 1
    for n in range(k):
        factor = factor * (y - n)
    if m:
        terms = [factor] + [math.comb(m, j) * np.polyval(_falling(k, j), y) for j in range(1, min(k, m) + 1)]
        total: Any = 0.0
        pole: Any = 0.0
        for j in reversed(range(len(terms))):            # at 0 the highest power of the logarithm decides
            total = total + terms[j] * logs ** (m - j)
            top = (s.real < 0) | ((s == 0) & (k > 0)) if j < m else s.real < 0
            pole = np.where((terms[j] != 0) & top, (-1.0) ** (m - j) * np.sign(terms[j]) * np.inf, pole)
        if careful and x.dtype.kind == "f":
            size = np.add.reduce([np.abs(t * logs ** (m - j)) for j, t in enumerate(terms)])
            total = repaired(total, np.where(zero, 0, 0.1 * size), lambda x, y: _log_factor(x, y, k, m), x, y)
        factor = np.where(zero, pole, total)
        factor = np.where((p == 0) & ~zero, 0, factor)
        p = np.where(zero, 1, p)
    return np.where(factor == 0, 0, p * factor * rest)


def _log_factor(x: Any, y: Any, k: int, m: int) -> Any:
    """The sum over j of C(m, j) d^j/dy^j (y (y - 1) ... (y - k + 1)) log(x)^(m - j)."""
    log, found = twofold.log(x), twofold.twofold(0.0)
    for j in range(min(k, m) + 1):
        part = twofold.twofold(0.0)
        for c in _falling(k, j) if j else np.poly(np.arange(k)):
            part = part * y + c
        found = found * log + part * float(math.comb(m, j))
    for _ in range(m - min(k, m)):
        found = found * log
    return found


_any_power_slope = wide(_any_power_slope_kernel, partial(_any_power_slope_kernel, careful=True))
POWER_SLOPE = Primitive(
    "power_slope", lambda x, y, k, m: _POW.prim.infer(x, y), _power_slope_kernel,
    partials=lambda r, x, y, k, m: (_power_slope(x, y, k + 1, m), _power_slope(x, y, k, m + 1)), elementwise=True,
    lower=lambda s, x, y, k, m: s.power_slope(x, y, k, m),
    cases=(lambda rng: ((rng.uniform(0.5, 3, (2, 3)), rng.uniform(-3, 3, (3,))), {"k": 1, "m": 0}),
           lambda rng: ((rng.uniform(0.5, 3, (2, 3)), rng.uniform(-3, 3, (3,))), {"k": 0, "m": 1}),
           lambda rng: ((rng.uniform(0.5, 3, (2, 3)), rng.uniform(-3, 3, (3,))), {"k": 1, "m": 1})),
    oracle=lambda x, y, k, m: {
        (1, 0): lambda: y * x ** (y - 1), (0, 1): lambda: x ** y * np.log(x),
        (1, 1): lambda: x ** (y - 1) * (1 + y * np.log(x))}[k, m](),
    doc="The derivative of x**y, k times in x and m times in y.")


def _power_slope(x: Any, y: Any, k: int, m: int) -> Any:
    return record(POWER_SLOPE.op(k=k, m=m), x, y)


def _power_kernel(x: Any, y: Any) -> Any:
    if x.dtype.kind == "i" and (y < 0).any():            # 1 / x**-y, whose whole part is 0 but for x = 1 and x = -1
        one = np.power(x, np.where(y < 0, y & 1, y))
        return np.where(y < 0, np.where(np.abs(x) == 1, one, 0), one).astype(x.dtype)
    return np.power(x, y)


_POW: Any = elementwise(
    "pow", 2, wide(_power_kernel), lambda r, x, y: (_power_slope(x, y, 1, 0), _power_slope(x, y, 0, 1)), kinds="iufc",
    domain=((0.2, 3.0), (-3.0, 3.0)),
    lower=lambda s, x, y: s.pow(x, y), oracle="numpy.power",
    error=measured("NumPy's power; slopes x**(y - k) log(x)**m"),
    doc="The power x**y.", public=False)


def _int_pow_infer(x: Spec, n: int) -> Spec:
    check_kind("pow", x.dtype, "iufc")
    if n < 0 and x.dtype.kind in "iu":
        raise ArgumentError(complain("pow", "the exponent of an integer tensor", "at least 0", n,
                                     "cast the base to float32"))
    return x


def _int_pow_kernel(x: Any, n: int) -> Any:
    if n == 2:
        return np.square(x)
    if n == 3:
        return x * x * x
    if n == -1:
        return 1 / x
    return np.power(x, x.dtype.type(n)) if n >= 0 or x.dtype.kind != "c" else 1 / np.power(x, x.dtype.type(-n))


INT_POW = Primitive(
    "int_pow", _int_pow_infer, wide(_int_pow_kernel), partials=lambda r, x, n: (_int_pow_slope(x, n),),
    elementwise=True, lower=lambda s, x, n: s.int_pow(x, n),
    cases=(lambda rng: ((rng.uniform(-3, 3, (2, 3)),), {"n": 3}),
           lambda rng: ((rng.uniform(0.5, 3, (2, 3)),), {"n": -2})),
    oracle=lambda x, n: x ** n,
    error=measured("products, NumPy's power"),
    doc="The power x**n with an integer n that is part of the program.")


def _int_pow_slope(x: Any, n: int) -> Any:
    if n in (0, 1):
        return (None, 1)[n]
    if n == 2:
        return multiply(x, 2)
    return monomial(x, float(n), 2 * (n - 1))


def _literal_power(n: int) -> Callable[[Any], Any]:
    if n == 2:
        return square  # type: ignore[no-any-return]
    if n == 1:
        return lambda x: +x
    return unary(INT_POW.op(n=n), f"pow {n}", "")


_LITERAL = {n: _literal_power(n) for n in range(-8, 17)}
_power = binary(_POW, "pow", "")
_power_reflected = binary(_POW, "pow", "", True)


@stated(_POW.prim)
def pow(x: Any, y: Any) -> Any:
    """The power x**y.

    Elementwise. x, y: tensors, arrays or Python scalars that broadcast, of a number dtype. A small Python integer as
    exponent (also 2.0 for 2) is taken literally: x**2 is x * x, with the slope 2 * x.
    Derivatives: y * x**(y - 1), which is 0 where y is 0 whatever x is; and x**y * log(x), which is 0 where x is 0 and y
    is not negative, and NaN where x is negative (TensorFlow: 0). x**0 is 1, also at x = 0.
    An integer to a negative power is 0, but for the bases 1 and -1. Raises ArgumentError for an integer tensor to a
    negative literal power.

    >>> import adjoint as ad
    >>> float(ad.pow(3.0, 2)), float(ad.constant(2.0) ** -1)
    (9.0, 0.5)
    """
    if isinstance(x, Value):
        kind = y.__class__
        if kind is int or (kind is float and x._spec.dtype.kind in "fc"):
            f = _LITERAL.get(y)
            if f is not None:
                return f(cast(x, _dtypes.int32) if x._spec.dtype.kind == "b" else x)
    elif y.__class__ is int and x.__class__ is float:
        return pow(convert(x), y)
    return _power(x, y)


pow.primitive = _POW.prim  # type: ignore[attr-defined]
install("__pow__", pow)
install("__rpow__", _power_reflected)

# ------------------------------------------------------------------------------------------------- trigonometric


sin = elementwise(
    "sin", 1, wide(np.sin), lambda r, x: (cos(x),),
    lower=lambda s, x: s.sin(x), oracle="mpmath.sin",
    error=measured("NumPy's sin"),
    doc=example("The sine of x, in radians.", "round(float(ad.sin(0.5)), 4)", "0.4794"))
cos: Any = elementwise(
    "cos", 1, wide(np.cos), lambda r, x: (negative(sin(x)),),
    lower=lambda s, x: s.cos(x), oracle="mpmath.cos",
    error=measured("NumPy's cos"),
    doc=example("The cosine of x, in radians.", "round(float(ad.cos(0.5)), 4)", "0.8776"))

_sec2: Any = helper(
    "sec2", 1, wide(lambda x: 1 / np.square(np.cos(x))), lambda r, x: (multiply(multiply(tan(x), r), 2),),
    oracle=lambda x: 1 / np.cos(x) ** 2, domain=((-1.4, 1.4),),
    lower=lambda s, x: s.sec2(x), doc="1 / cos(x)**2, the slope of tan.")


def _tan_slope(x: Any) -> Any:
    """1 / cos(x)**2, for a complex tangent as 1 / cosh(i x)**2, which does not overflow."""
    return _sech2(multiply(x, 1j)) if x._spec.dtype.kind == "c" else _sec2(x)


tan: Any = elementwise(
    "tan", 1, wide(np.tan), lambda r, x: (_tan_slope(x),),
    lower=lambda s, x: s.tan(x), oracle="mpmath.tan", domain=((-1.4, 1.4),),
    error=measured("NumPy's tan"),
    doc=example("The tangent of x, in radians.", "round(float(ad.tan(0.5)), 4)", "0.5463"))

# Slopes of the inverse functions: x**m q**(-n/2), with q = 1 - x**2, 1 + x**2 or x**2 - 1 and m 0 or 1. The factor x is
# inside since the power alone underflows first.


def _root_kernel(x: Any, form: str, n: int, m: int, careful: bool = False) -> Any:
    if x.dtype.kind == "c":
        s = {"circle": lambda: np.sqrt(1 - x) * np.sqrt(1 + x), "line": lambda: np.sqrt(1 + x * x),
             "hyperbola": lambda: np.sqrt(x - 1) * np.sqrt(x + 1)}[form]()
        return x ** m * s ** -n
    a = np.abs(x)
    if form == "circle":
        q = np.where(a < 0.5, 1 - x * x, (1 - a) * (1 + a))
    elif form == "line":
        q = 1 + x * x
    else:
        q = (x - 1) * (x + 1)
        q = np.where(x < 1, np.nan, q)
    p = q ** (n // 2)
    if n % 2:
        p = p * np.sqrt(q)
    if careful and form == "line" and n > 2:             # what rounding 1 + x^2 has lost counts n / 2 times
        p = p + p * (0.5 * n * two_sum(1.0, x * x)[1] / q)
    r = (x if m else 1) / p
    if form == "circle":
        return r
    big = a > 2.0 ** 28                                  # q is x**2, and its powers may overflow
    if big.any():
        far = 1 / np.where(big, a, 1)
        r = np.where(big, far ** (n - m) * (np.sign(x) if m else 1), r)
    return r


def _root_oracle(x: Any, form: str, n: int, m: int) -> Any:
    q = {"circle": 1 - x * x, "line": 1 + x * x, "hyperbola": x * x - 1}[form]
    return x ** m * q ** (-n / 2)


def _root_partials(r: Any, x: Any, form: str, n: int, m: int) -> Any:
    c = n if form == "circle" else -n
    if m == 0:
        return (multiply(_root(x, form, n + 2, 1), c),)
    return (add(_root(x, form, n, 0), multiply(multiply(_root(x, form, n + 2, 1), x), c)),)


def _root_infer(x: Spec, form: str, n: int, m: int) -> Spec:
    check_kind("root_power", x.dtype, "fc")
    return spec(x.shape, x.dtype)


ROOT_POWER = Primitive(
    "root_power", _root_infer, wide(_root_kernel, partial(_root_kernel, careful=True)), partials=_root_partials,
    lower=lambda s, x, **p: s.root_power(x, **p),
    elementwise=True, oracle=_root_oracle,
    cases=(lambda rng: ((rng.uniform(-0.9, 0.9, (2, 3)),), {"form": "circle", "n": 1, "m": 0}),
           lambda rng: ((rng.uniform(-0.9, 0.9, (2, 3)),), {"form": "circle", "n": 3, "m": 1}),
           lambda rng: ((rng.uniform(-3, 3, (2, 3)),), {"form": "line", "n": 2, "m": 0}),
           lambda rng: ((rng.uniform(-3, 3, (2, 3)),), {"form": "line", "n": 3, "m": 1}),
           lambda rng: ((rng.uniform(1.2, 3, (2, 3)),), {"form": "hyperbola", "n": 1, "m": 0}),
           lambda rng: ((rng.uniform(1.2, 3, (2, 3)),), {"form": "hyperbola", "n": 3, "m": 1})),
    doc="x**m times a power of 1 - x**2, 1 + x**2 or x**2 - 1: the slopes of the inverse functions.")


@lru_cache(256)
def _root_op(form: str, n: int, m: int) -> Op:
    return ROOT_POWER.op(form=form, n=n, m=m)


def _root(x: Any, form: str, n: int, m: int = 0) -> Any:
    return record(_root_op(form, n, m), x)


asin = elementwise(
    "asin", 1, wide(np.arcsin), lambda r, x: (_root(x, "circle", 1),),
    lower=lambda s, x: s.asin(x), oracle="mpmath.asin", domain=_UNIT,
    error=measured("NumPy's arcsin"),
    doc=example("The inverse sine of x, in [-pi/2, pi/2].", "round(float(ad.asin(0.5)), 4)", "0.5236"))
acos = elementwise(
    "acos", 1, wide(np.arccos), lambda r, x: (negative(_root(x, "circle", 1)),),
    lower=lambda s, x: s.acos(x), oracle="mpmath.acos", domain=_UNIT,
    error=measured("NumPy's arccos"),
    doc=example("The inverse cosine of x, in [0, pi].", "round(float(ad.acos(0.5)), 4)", "1.0472"))
atan = elementwise(
    "atan", 1, wide(np.arctan), lambda r, x: (_root(x, "line", 2),),
    lower=lambda s, x: s.atan(x), oracle="mpmath.atan",
    error=measured("NumPy's arctan"),
    doc=example("The inverse tangent of x, in [-pi/2, pi/2].", "round(float(ad.atan(0.5)), 4)", "0.4636"))
asinh = elementwise(
    "asinh", 1, wide(np.arcsinh), lambda r, x: (_root(x, "line", 1),),
    lower=lambda s, x: s.asinh(x), oracle="mpmath.asinh",
    error=measured("NumPy's arcsinh"),
    doc=example("The inverse hyperbolic sine of x.", "round(float(ad.asinh(0.5)), 4)", "0.4812"))
acosh = elementwise(
    "acosh", 1, wide(np.arccosh), lambda r, x: (_root(x, "hyperbola", 1),),
    lower=lambda s, x: s.acosh(x), oracle="mpmath.acosh", domain=((1.1, 3.0),),
    error=measured("NumPy's arccosh"),
    doc=example("The inverse hyperbolic cosine of x.", "round(float(ad.acosh(2.0)), 4)", "1.317"))
atanh = elementwise(
    "atanh", 1, wide(np.arctanh), lambda r, x: (_root(x, "circle", 2),),
    lower=lambda s, x: s.atanh(x), oracle="mpmath.atanh", domain=_UNIT,
    error=measured("NumPy's arctanh"),
    doc=example("The inverse hyperbolic tangent of x.", "round(float(ad.atanh(0.5)), 4)", "0.5493"))

# ---------------------------------------------------------------------------------------------------------- hyperbolic

sinh = elementwise(
    "sinh", 1, wide(np.sinh), lambda r, x: (cosh(x),),
    lower=lambda s, x: s.sinh(x), oracle="mpmath.sinh",
    error=measured("NumPy's sinh"),
    doc=example("The hyperbolic sine of x.", "round(float(ad.sinh(0.5)), 4)", "0.5211"))
cosh: Any = elementwise(
    "cosh", 1, wide(np.cosh), lambda r, x: (sinh(x),),
    lower=lambda s, x: s.cosh(x), oracle="mpmath.cosh",
    error=measured("NumPy's cosh"),
    doc=example("The hyperbolic cosine of x.", "round(float(ad.cosh(0.5)), 4)", "1.1276"))
tanh = elementwise(
    "tanh", 1, wide(np.tanh), lambda r, x: (_sech2(x),),
    lower=lambda s, x: s.tanh(x), oracle="mpmath.tanh",
    error=measured("NumPy's tanh"),
    doc=example("The hyperbolic tangent of x.", "round(float(ad.tanh(0.5)), 4)", "0.4621"))


def _sech2_kernel(x: Any) -> Any:
    if x.dtype.kind == "c":
        x = np.where(x.real < 0, -x, x)
    e = np.exp(-2 * (x if x.dtype.kind == "c" else np.abs(x)))
    return 4 * e / np.square(1 + e)


_sech2: Any = helper(
    "sech2", 1, wide(_sech2_kernel), lambda r, x: (multiply(multiply(tanh(x), r), -2),), kinds="fc",
    lower=lambda s, x: s.sech2(x), oracle=lambda x: 1 / np.cosh(x) ** 2,
    doc="1 / cosh(x)**2, the slope of tanh: 4 e / (1 + e)**2 with e = exp(-2 |x|).")

# ------------------------------------------------------------------- products in which a zero wins over an infinity


def _both_zero(x: Any, y: Any) -> Any:
    return logical_and(equal(x, 0), equal(y, 0))


def _at_zero(x: Any, product: Any) -> Any:
    return np.where(x == 0, x.dtype.type(0), product)


xdivy: Any = elementwise(
    "xdivy", 2, lambda x, y: _at_zero(x, np.true_divide(x, y)),
    lambda r, x, y: (lambda t: xdivy(where(_both_zero(x, y), 0, t), y), negative(xdivy(r, y))),
    lower=lambda s, x, y: s.select(x.eq(0), 0, x / y), oracle="numpy.divide",
    domain=((-3.0, 3.0), (0.5, 3.0)),
    doc=example("x / y, and 0 where x is 0, whatever y is.", "float(ad.xdivy(0.0, 0.0))", "0.0",
                "Its derivatives where both are 0 are 0."))

_log_beside = helper(
    "log_beside", 2, wide(lambda x, y: np.where((x == 0) & (y == 0), 0, np.log(y))),
    lambda r, x, y: (None, lambda t: xdivy(where(_both_zero(x, y), 0, t), y)), kinds="fc", domain=_BOTH_POSITIVE,
    lower=lambda s, x, y: s.select(x.eq(0.0) & y.eq(0.0), 0.0, s.log(y)),
    oracle=lambda x, y: np.log(y) + 0 * x, doc="log(y), and 0 where x and y are 0: the slope of xlogy in x.")

_over_1p: Any = helper(
    "over_1p", 2, wide(lambda x, y: _at_zero(x, np.true_divide(x, 1 + y))),
    lambda r, x, y: (lambda t: _over_1p(where(_both_zero(x, add(y, 1)), 0, t), y), negative(_over_1p(r, y))), kinds="fc",
    lower=lambda s, x, y: s.select(x.eq(0), 0, x / (y + 1)), oracle=lambda x, y: x / (1 + y), domain=_BOTH_POSITIVE,
    doc="x / (1 + y), and 0 where x is 0: the slope of xlog1py in y.")

_log1p_beside = helper(
    "log1p_beside", 2, wide(lambda x, y: np.where((x == 0) & (y == -1), 0, np.log1p(y))),
    lambda r, x, y: (None, lambda t: _over_1p(where(_both_zero(x, add(y, 1)), 0, t), y)), kinds="fc",
    domain=_BOTH_POSITIVE, oracle=lambda x, y: np.log1p(y) + 0 * x,
    lower=lambda s, x, y: s.select(x.eq(0.0) & y.eq(-1.0), 0.0, s.log1p(y)),
    doc="log1p(y), and 0 where x is 0 and y is -1: the slope of xlog1py in x.")

xlogy = elementwise(
    "xlogy", 2, wide(lambda x, y: _at_zero(x, x * np.log(y))),
    lambda r, x, y: (_log_beside(x, y), xdivy(x, y)),
    lower=lambda s, x, y: s.xlogy(x, y), oracle=lambda x, y: x * np.log(y), domain=_BOTH_POSITIVE,
    error=measured("x log(y)"),
    doc=example("x * log(y), and 0 where x is 0, whatever y is.", "float(ad.xlogy(0.0, 0.0))", "0.0",
                "Derivatives: log(y) and x / y; where both are 0 they are 0."))
xlog1py = elementwise(
    "xlog1py", 2, wide(lambda x, y: _at_zero(x, x * np.log1p(y))),
    lambda r, x, y: (_log1p_beside(x, y), _over_1p(x, y)), oracle=lambda x, y: x * np.log1p(y),
    lower=lambda s, x, y: s.xlog1py(x, y),
    domain=_BOTH_POSITIVE,
    error=measured("x log1p(y)"),
    doc=example("x * log(1 + y), and 0 where x is 0, whatever y is.", "float(ad.xlog1py(0.0, -1.0))", "0.0",
                "Derivatives: log(1 + y) and x / (1 + y); where x is 0 and y is -1 they are 0."))

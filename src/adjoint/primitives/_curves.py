"""Tools of the special functions and activations: wide evaluation, families of derivatives, exact products."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .._dtypes import float64
from .._graph import Primitive
from .._operators import unary
from .._tensor import Value
from .._trace import record
from ._accuracy import Error
from ._make import docstring, elementwise_infer
from ._roots import ROOTS
from .convert import cast, convert

F64 = np.dtype(np.float64)
Coefficients = tuple[float, ...]

_SPECIAL: list[Any] = []


def scipy_special() -> Any:
    """scipy.special, loaded when a kernel first needs it."""
    if not _SPECIAL:
        import scipy.special

        _SPECIAL.append(scipy.special)
    return _SPECIAL[0]


# ----------------------------------------------------------------------------------------------------------------- wide

def wide(formula: Callable[..., Any], careful: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A kernel that evaluates ``formula`` in float64 whatever the dtype, and rounds once.

    ``careful`` stands in for it where the dtype is float64 itself, so that no rounding hides what has cancelled."""
    exact = careful or formula

    def kernel(*xs: Any, **params: Any) -> Any:
        dtype = xs[-1].dtype
        if dtype == F64:
            return exact(*xs, **params)
        return formula(*[x.astype(F64) for x in xs], **params).astype(dtype)

    kernel.__module__ = formula.__module__
    return kernel


def doubled(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A derivative rule recorded in float64 whatever the dtype, and rounded once: for sums whose terms may cancel."""

    def run(*ts: Any) -> Any:
        dtype = ts[0]._spec.dtype
        if dtype.itemsize >= 8:
            return rule(*ts)
        return cast(rule(*[cast(t, float64) for t in ts]), dtype)

    return run


def rooted(name: str, kernel: Callable[..., Any]) -> Callable[..., Any]:
    """``kernel(x, n)``, but by a Taylor series near the roots of derivatives where its formula would cancel."""
    known = {n: [(high, low, radius, (0.0, *c)) for high, low, radius, c in roots]
             for (who, n), roots in ROOTS.items() if who == name}

    def rooted(x: Any, n: int = 0) -> Any:
        y = kernel(x, n)
        for high, low, radius, c in known.get(n, ()):
            d = (x - high) - low
            near = np.abs(d) < radius
            if near.any():
                y = np.array(y)
                y[near] = horner(c, d[near])
        return y

    rooted.__module__ = kernel.__module__
    return rooted


# --------------------------------------------------------------------------------------------------------------- curves

def curve(
    name: str, kernel: Callable[..., Any], *, doc: str, domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),),
    oracle: Any = None, first: Callable[..., Any] | None = None, narrow: Callable[..., Any] | None = None,
    params: dict[str, Any] | None = None, lower: Callable[..., Any] | None = None, error: Error | None = None,
) -> Any:
    """A function of one variable with all its derivatives: ``kernel(x, n, **params)`` is the n-th, in float64.

    Makes two primitives, NAME and NAME_derivative (parameter ``order``), each the other's derivative, so that every
    order has a kernel of its own and none is composed from rounded pieces. Returns the public function, or the
    primitive where there are ``params`` (then given with example values for the tests). ``first`` stands in for the
    derivative where another function is it; ``narrow(x, n)`` is a shorter formula, still in float64, that is exact enough
    for the dtypes below. ``lower(s, x, n, **params)`` gives the n-th in the scalar vocabulary, or None.
    """
    infer = elementwise_infer(name, ("f",), "same")
    brief = narrow or kernel
    exact, short = wide(lambda x, n, **p: kernel(x, n, **p)), wide(lambda x, n, **p: brief(x, n, **p))

    def value(x: Any, **p: Any) -> Any:
        return (exact if x.dtype == F64 else short)(x, n=0, **p)

    def slope(x: Any, order: int, **p: Any) -> Any:
        return (exact if x.dtype == F64 else short)(x, n=order, **p)

    value.__module__ = slope.__module__ = kernel.__module__

    def sample(order: int | None) -> Any:
        low, high = domain[0]

        def case(rng: Any) -> Any:
            given = dict(params or {}) if order is None else {"order": order, **(params or {})}
            return (rng.uniform(low, high, size=(3, 4)),), given

        return case

    if first is None:
        derivative = Primitive(
            f"{name}_derivative", elementwise_infer(f"{name}_derivative", ("f",), "same"), slope,
            partials=lambda y, x, order, **p: (record(derivative.op(order=order + 1, **p), x),), elementwise=True,
            lower=None if lower is None else lambda s, x, order, **p: lower(s, x, order, **p),
            domain=domain if not params else (), cases=(sample(1), sample(2)),
            doc=f"The derivative of {name} of order ``order``.")

        def partials(y: Any, x: Any, **p: Any) -> Any:
            return (record(derivative.op(order=1, **p), x),)
    else:
        def partials(y: Any, x: Any, **p: Any) -> Any:
            return (first(x, **p),)

    prim = Primitive(name, infer, value, partials=partials, elementwise=True, domain=domain,
                     lower=None if lower is None else lambda s, x, **p: lower(s, x, 0, **p),
                     cases=(sample(None),) if params else (), oracle=oracle, error=error, doc=doc)
    if params:
        return prim
    function: Any = unary(prim.op(), name, docstring(prim, doc, 1))
    function.primitive = prim
    return function


def tensor(x: Any) -> Any:
    return x if isinstance(x, Value) else convert(x)


# ---------------------------------------------------------------------------------------------------------- polynomials

def horner(c: Sequence[Any], x: Any) -> Any:
    """The polynomial with coefficients ``c`` (constant first) at ``x``."""
    if len(c) == 1:
        return c[0]
    r: Any = c[-1] * x
    r += c[-2]
    for a in c[-3::-1]:
        r *= x
        r += a
    return r


def half_line(c: Coefficients, k: float, x: Any) -> Any:
    """The polynomial in (x - k) / (x + k), which goes from -1 to 1 as x from 0 to infinity."""
    x = np.minimum(x, 1e300)
    return horner(c, (x - k) / (x + k))


def decayed(y: Any, x: Any, k: float, power: int) -> Any:
    """y / (x + k)**power, without the error of the sum; x + k > 0."""
    s = x + k
    _, lost = two_sum(np.minimum(x, 1e20), k)
    y = y - y * (power * lost / s)
    for _ in range(power):
        y = y / s
    return y


def derive(c: Coefficients) -> Coefficients:
    return tuple(k * a for k, a in enumerate(c))[1:] or (0.0,)


def times(a: Coefficients, b: Coefficients) -> Coefficients:
    out = [0.0] * (len(a) + len(b) - 1)
    for i, u in enumerate(a):
        for j, v in enumerate(b):
            out[i + j] += u * v
    return tuple(out)


def plus(a: Coefficients, b: Coefficients) -> Coefficients:
    n = max(len(a), len(b))
    return tuple((a[k] if k < len(a) else 0.0) + (b[k] if k < len(b) else 0.0) for k in range(n))


@lru_cache(256)
def logistic_polynomial(n: int) -> Coefficients:
    """q with sigmoid^(n)(x) = sigmoid'(x) q(tanh(x/2)), n >= 1."""
    if n == 1:
        return (1.0,)
    q = logistic_polynomial(n - 1)
    return times((0.5,), plus(times(derive(q), (1.0, 0.0, -1.0)), times(q, (0.0, -2.0))))


@lru_cache(256)
def gauss_polynomial(n: int, start: Coefficients, rate: float) -> Coefficients:
    """P with d^n/dx^n of start(x) exp(-rate x^2 / 2) = P(x) exp(-rate x^2 / 2)."""
    if n == 0:
        return start
    p = gauss_polynomial(n - 1, start, rate)
    return plus(derive(p), times(p, (0.0, -rate)))


@lru_cache(256)
def inverse_gauss_polynomial(n: int, rate: float) -> Coefficients:
    """P with y^(n) = y'^n P(y) where y' = const exp(rate y^2 / 2)."""
    if n == 1:
        return (1.0,)
    p = inverse_gauss_polynomial(n - 1, rate)
    return plus(derive(p), times(p, (0.0, (n - 1) * rate)))


@lru_cache(256)
def cotangent_polynomial(n: int) -> Coefficients:
    """C with d^n/dz^n cot(z) = C(cot z)."""
    if n == 0:
        return (0.0, 1.0)
    return times(derive(cotangent_polynomial(n - 1)), (-1.0, 0.0, -1.0))


# ------------------------------------------------------------------------------------------------------- exact products

_SPLIT = 134217729.0                                     # 2**27 + 1


def split(x: Any) -> tuple[Any, Any]:
    """x as a sum of two numbers of 26 bits (Veltkamp); |x| below 1e300."""
    c = _SPLIT * x
    high = c - (c - x)
    return high, x - high


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """a * b rounded, and the error of the rounding (Dekker)."""
    p = a * b
    ah, al = split(a)
    bh, bl = split(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """a + b rounded, and the error of the rounding (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def one_and(e: Any, one: Any = 1.0) -> tuple[Any, Any]:
    """d = 1 + e and d^2, the square with what rounding d lost; for |e| up to 1."""
    d = one + e
    return d, d * d + 2.0 * d * (e - (d - one))


def gaussian(x: Any, rate: float, factor: Any = 1.0) -> Any:
    """factor exp(-rate x^2 / 2) without the error that rounding x^2 would bring; for |x| up to 60, |rate| up to 2.

    The square of the upper half of x's bits is exact, the exponential of the rest is 1 + t (1 + t / 2 ...). Far out that of the
    square is taken as a square, so that a large factor meets it before it underflows.
    """
    high, _ = split(x)
    square = high * high
    t = (-0.5 * rate) * ((x - high) * (x + high))
    factor = factor + factor * (t + t * t * (0.5 + t / 6.0))
    far = square > 1200.0 / abs(rate)
    if not far.any():
        return factor * np.exp((-0.5 * rate) * square)
    root = np.exp((-0.25 * rate) * square)
    return np.where(far, factor * root * root, factor * np.exp((-0.5 * rate) * square))


# ----------------------------------------------------------------------------------------------------------------- jets

Jet = list[Any]                                          # Taylor coefficients, the value first


def sum_of(terms: list[Any]) -> Any:
    total = terms[0]
    for t in terms[1:]:
        total = total + t
    return total


def jet_sigmoid(v: Jet, s: Any, rest: Any) -> Jet:
    """sigmoid(v), from its value ``s`` and 1 - s = ``rest``: s' = s (1 - s) v'."""
    out, other = [s], [rest]
    for k in range(1, len(v)):
        w = [sum_of([out[i] * other[j - i] for i in range(j + 1)]) for j in range(k)]
        c = sum_of([w[j] * ((k - j) * v[k - j]) for j in range(k)]) / k
        out.append(c)
        other.append(-c)
    return out


def jet_power(v: Jet, power: float, value: Any) -> Jet:
    """v ** power from its value: w' v = power w v'."""
    out = [value]
    for k in range(1, len(v)):
        c = sum_of([(power * j - (k - j)) * v[j] * out[k - j] for j in range(1, k + 1)])
        out.append(c / (k * v[0]))
    return out


def leibniz(n: int, parts: Callable[[int], Any], x: Any) -> Any:
    """The n-th derivative of x f from the derivatives of f."""
    return n * parts(n - 1) + x * parts(n)

"""Numbers as unevaluated sums of two float64: about 100 bits, for results whose terms cancel.

Kernels take the short way first and come here only for what lost its digits there. Sums and products are exact transformations
(Dekker 1971, Knuth); exp reduces its argument by ln 2 and a table, log is one Newton step on exp. Where the machine has a type
with 11 bits more than float64, ``wider`` gives that, which is quicker; the functions take both.
"""
from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache
from math import factorial
from typing import Any

import numpy as np

from ._curves import horner, two_product, two_sum


def _settled(high: Any, low: Any) -> Twofold:
    """high + low for |low| <= |high|."""
    s = high + low
    return Twofold(s, low - (s - high))


class Twofold:
    """high + low, with |low| at most half a unit in the last place of high."""

    __slots__ = ("high", "low")
    __array_ufunc__ = None                               # an array on the left leaves the operation to us

    def __init__(self, high: Any, low: Any = 0.0) -> None:
        self.high, self.low = high, low

    def __neg__(self) -> Twofold:
        return Twofold(-self.high, -self.low)

    def __add__(self, other: Any) -> Twofold:
        o = twofold(other)
        s, e = two_sum(self.high, o.high)
        t, f = two_sum(self.low, o.low)
        first = _settled(s, e + t)
        return _settled(first.high, first.low + f)

    def __sub__(self, other: Any) -> Twofold:
        return self + -twofold(other)

    def __rsub__(self, other: Any) -> Twofold:
        return -self + other

    def __mul__(self, other: Any) -> Twofold:
        o = twofold(other)
        p, e = two_product(self.high, o.high)
        return _settled(p, e + (self.high * o.low + self.low * o.high))

    def __truediv__(self, other: Any) -> Twofold:
        o = twofold(other)
        q = self.high / o.high
        rest = self - o * q
        r = rest.high / o.high
        return _settled(q, r) + (rest - o * r).high / o.high

    def __rtruediv__(self, other: Any) -> Twofold:
        return twofold(other) / self

    __radd__ = __add__
    __rmul__ = __mul__

    def __getitem__(self, at: Any) -> Twofold:
        return Twofold(self.high[at], self.low[at] if np.ndim(self.low) else self.low)

    def scaled(self, exponent: Any) -> Twofold:
        """Times a power of two."""
        return Twofold(np.ldexp(self.high, exponent), np.ldexp(self.low, exponent))


LONG = np.dtype(np.longdouble) if np.finfo(np.longdouble).nmant > 60 else None


def wider(x: Any) -> Any:
    """Float64 numbers in something wider."""
    return Twofold(x, np.zeros_like(x)) if LONG is None else x.astype(LONG)


def _is_long(x: Any) -> bool:
    return LONG is not None and getattr(x, "dtype", None) == LONG


def rounded(x: Any) -> Any:
    """The nearest float64."""
    return x.high if x.__class__ is Twofold else x.astype(np.float64, copy=False)


def twofold(x: Any) -> Twofold:
    return x if x.__class__ is Twofold else Twofold(x)


def where(condition: Any, x: Any, y: Any) -> Any:
    """np.where for twofold numbers and for arrays."""
    if x.__class__ is not Twofold and y.__class__ is not Twofold:
        return np.where(condition, x, y)
    x, y = twofold(x), twofold(y)
    return Twofold(np.where(condition, x.high, y.high), np.where(condition, x.low, y.low))


def sqrt(x: Any) -> Any:
    """The root of positive numbers, by a Newton step."""
    if _is_long(x):
        return np.sqrt(x)
    x = twofold(x)
    r = np.sqrt(x.high)
    return _settled(r, (x - Twofold(r) * r).high / (2.0 * r))


def total(x: Any) -> Any:
    """The sums of rows (not empty), as columns; pairwise."""
    if _is_long(x):
        return np.add.reduce(x, axis=-1, keepdims=True)
    rows = Twofold(x.high.T, np.broadcast_to(x.low, x.high.shape).T)
    while len(rows.high) > 1:
        n = len(rows.high)
        half = rows[: n // 2] + rows[n // 2: n // 2 * 2]
        rows = half if n % 2 == 0 else Twofold(*[np.concatenate([a, b]) for a, b in (
            (half.high, rows.high[-1:]), (half.low, rows.low[-1:]))])
    return Twofold(rows.high.T, rows.low.T)


def dot(x: Any, y: Any) -> Any:
    """The inner products of rows, as columns."""
    if _is_long(x) and _is_long(y) and x.shape[-1] <= 2048:
        return np.vecdot(x, y)[..., None]                # one after the other, but not many
    return total(x * y)


# -------------------------------------------------------------------------------------------------- exponential, logarithm

_DIGITS = Context(prec=50)
_STEPS = 256                                             # exp(j / 256) is looked up


def _two(value: Decimal) -> tuple[float, float]:
    high = float(value)
    return high, float(_DIGITS.subtract(value, Decimal(high)))


@lru_cache(1)
def _table() -> tuple[Any, Any, int]:
    reach = _STEPS * 7 // 20 + 1                         # ln(2) / 2 < 7 / 20
    rows = [_two(_DIGITS.exp(_DIGITS.divide(Decimal(j), Decimal(_STEPS)))) for j in range(-reach, reach + 1)]
    return np.array([h for h, _ in rows]), np.array([low for _, low in rows]), reach


_SIXTH = Twofold(*_two(_DIGITS.divide(Decimal(1), Decimal(6))))
_LN2 = _two(_DIGITS.ln(Decimal(2)))


def exp(x: Any) -> Any:
    """e**x to about 100 bits; for |x| up to 700."""
    if _is_long(x):
        return np.exp(x)
    x = twofold(x)
    n = np.rint(x.high / _LN2[0])
    r = x - Twofold(*two_product(n, _LN2[0])) - n * _LN2[1]
    j = np.rint(r.high * _STEPS)
    r = r - j / _STEPS
    t = r.high
    series = _SIXTH + r * (_SIXTH * 0.25 + t * (1 / 120 + t * (1 / 720 + t * (1 / 5040 + t * (1 / 40320 + t / 362880)))))
    less = r + r * r * (r * series + 0.5)
    high, low, reach = _table()
    at = np.where(np.isfinite(j), j, 0).astype(np.intp) + reach
    near = Twofold(high[at], low[at])
    return (near + near * less).scaled(np.where(np.isfinite(n), n, 0).astype(np.intc))


@lru_cache(1)
def _fine_table() -> tuple[Any, Any, float, float]:
    """2**(j / 1024) in two parts, and ln(2) / 1024, of which the first part times a million is exact."""
    assert LONG is not None
    powers = np.exp2(np.arange(1024, dtype=LONG) / 1024)
    high = powers.astype(np.float64)
    step = _DIGITS.divide(_DIGITS.ln(Decimal(2)), Decimal(1024))
    first = round(float(step) * 2.0**42) / 2.0**42       # 32 bits
    return high, (powers - high).astype(np.float64), first, float(_DIGITS.subtract(step, Decimal(first)))


def exp_below(x: Any, low: Any) -> Any:
    """e**(x + low) for x <= 0 and the little that rounding it lost, in something wider; quicker than the machine's own."""
    if LONG is None:
        near = exp(Twofold(np.maximum(x, -740.0)) + low)
        return where(x > -740.0, near, 0.0)
    high, rest, first, second = _fine_table()
    near = np.maximum(x, -700.0)
    n = np.rint(near * (1.0 / (first + second)))
    r = near - n * first
    tail = low - n * second
    d = r + tail
    curve = d * d * (0.5 + d * (1 / 6 + d * (1 / 24 + d * (1 / 120)))) + (tail - (d - r))
    k = n.astype(np.int64)
    j = k & 1023
    scale = (((k >> 10) + 1023) << 52).view(np.float64)
    head = high.take(j)
    small = rest.take(j) + head * (d + curve)
    y = (head * scale).astype(LONG)
    y += small * scale
    far = x < -700.0
    if far.any():
        y[far] = np.exp(x[far].astype(LONG) + low[far])
    return y


def log(x: Any) -> Twofold:
    """ln x to about 100 bits (absolute), near 1 of its size; for positive x."""
    x = twofold(x)
    n = np.frexp(x.high * 2.0 ** 0.5)[1] - 1
    x = x.scaled(-n)
    near = np.log(x.high)
    return (x * exp(-near) - 1.0) + near + Twofold(*_LN2) * n.astype(np.float64)


# ------------------------------------------------------------------------------------------------------- sine and cosine

_PI_DIGITS = Decimal("3.14159265358979323846264338327950288419716939937510582")
PI = Twofold(*_two(_PI_DIGITS))
_PARTS = 64                                              # sin(pi j / 64) is looked up


def ratio(p: int, q: int) -> Twofold:
    """p / q to 106 bits."""
    return Twofold(*_two(_DIGITS.divide(Decimal(p), Decimal(q))))


@lru_cache(1)
def _sines() -> tuple[Any, Any]:
    """sin(pi j / 64) in two parts, for j up to 64."""

    def sine(j: int) -> Decimal:
        x = _DIGITS.divide(_DIGITS.multiply(_PI_DIGITS, Decimal(min(j, _PARTS - j))), Decimal(_PARTS))
        term, total, square = x, Decimal(0), _DIGITS.multiply(x, x)
        for k in range(2, 60, 2):
            total = _DIGITS.add(total, term)
            term = _DIGITS.divide(_DIGITS.multiply(term, square), Decimal(-k * (k + 1)))
        return total

    rows = [_two(sine(j)) for j in range(_PARTS + 1)]
    return np.array([h for h, _ in rows]), np.array([low for _, low in rows])


@lru_cache(1)
def _taylor() -> tuple[list[Twofold], list[Twofold]]:
    """(-1)^k / (2k+1)! and (-1)^k / (2k)!."""
    return [ratio((-1) ** k, factorial(2 * k + 1)) for k in range(8)], [ratio((-1) ** k, factorial(2 * k)) for k in range(8)]


def sin_cos_pi(r: Any) -> tuple[Twofold, Twofold]:
    """sin(pi r) and cos(pi r) to about 100 bits, of their size also near their roots; for float64 numbers |r| up to 1/2."""
    j = np.rint(r * _PARTS)
    t = PI * (r - j / _PARTS)
    square = t * t
    small, rest = [horner([*c[:4], horner([v.high for v in c[4:]], square.high)], square) for c in _taylor()]
    small = small * t
    at, (high, low) = j.astype(np.intp), _sines()
    sign = np.sign(j)
    s, c = [Twofold(high[k] * w, low[k] * w) for k, w in ((np.abs(at), sign), (_PARTS // 2 - np.abs(at), 1.0))]
    return s * rest + c * small, c * rest - s * small


def repaired(y: Any, limit: Any, careful: Callable[..., Any], *xs: Any) -> Any:
    """``y``, but where it is below ``limit`` in magnitude, having cancelled, the rounded ``careful(*xs)``."""
    bad = np.abs(y) < limit
    if not bad.any():
        return y
    out = np.array(y)
    out[bad] = careful(*[v[bad] for v in np.broadcast_arrays(*xs)]).high
    return out

"""Exact values with first and second derivatives: Taylor arithmetic of order two on mpmath numbers.

A Jet carries the value, the gradient and the Hessian with respect to some variables. Functions are written in it as in the
textbook; what cancels is healed by precision: ``exact`` repeats the evaluation with more digits until two agree.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
from mpmath import mp, mpf


class Jet:
    """A value with its derivatives: ``g[i]`` by variable i, ``h[i, j]`` (i <= j) by two; what is missing is 0."""

    __slots__ = ("g", "h", "v")

    def __init__(self, v: Any, g: dict[int, Any] | None = None, h: dict[tuple[int, int], Any] | None = None) -> None:
        self.v, self.g, self.h = v, g or {}, h or {}

    def chain(self, f: Any, f1: Any, f2: Any) -> Jet:
        """f(self) from f and its two derivatives at the value."""
        g = {i: f1 * a for i, a in self.g.items()}
        h = {k: f1 * a for k, a in self.h.items()}
        for i, a in self.g.items():
            for j, b in self.g.items():
                if i <= j:
                    h[i, j] = h.get((i, j), 0) + f2 * a * b
        return Jet(f, g, h)

    def __add__(self, other: Any) -> Jet:
        o = jet(other)
        return Jet(self.v + o.v, _merge(self.g, o.g), _merge(self.h, o.h))

    def __neg__(self) -> Jet:
        return Jet(-self.v, {k: -a for k, a in self.g.items()}, {k: -a for k, a in self.h.items()})

    def __sub__(self, other: Any) -> Jet:
        return self + (-jet(other))

    def __rsub__(self, other: Any) -> Jet:
        return jet(other) - self

    def __mul__(self, other: Any) -> Jet:
        o = jet(other)
        g = _merge({k: a * o.v for k, a in self.g.items()}, {k: a * self.v for k, a in o.g.items()})
        h = _merge({k: a * o.v for k, a in self.h.items()}, {k: a * self.v for k, a in o.h.items()})
        for i, a in self.g.items():
            for j, b in o.g.items():
                k = (i, j) if i <= j else (j, i)
                h[k] = h.get(k, 0) + (2 if i == j else 1) * a * b
        return Jet(self.v * o.v, g, h)

    def __truediv__(self, other: Any) -> Jet:
        o = jet(other)
        return self * o.chain(1 / o.v, -1 / o.v ** 2, 2 / o.v ** 3)

    def __rtruediv__(self, other: Any) -> Jet:
        return jet(other) / self

    __radd__ = __add__
    __rmul__ = __mul__


def _merge(a: dict[Any, Any], b: dict[Any, Any]) -> dict[Any, Any]:
    out = dict(a)
    for k, v in b.items():
        out[k] = out[k] + v if k in out else v
    return out


def jet(x: Any) -> Jet:
    return x if isinstance(x, Jet) else Jet(mpf(x))


def _unary(rule: Callable[[Any], tuple[Any, Any, Any]]) -> Callable[[Any], Jet]:
    def function(x: Any) -> Jet:
        x = jet(x)
        return x.chain(*rule(x.v))

    return function


def _exp(v: Any) -> tuple[Any, Any, Any]:
    e = mp.exp(v)
    return e, e, e


def _trig(f: Any, g: Any, sign: int) -> Any:
    return lambda v: (f(v), sign * g(v), -f(v))


exp = _unary(_exp)
expm1 = _unary(lambda v: (mp.expm1(v), mp.exp(v), mp.exp(v)))
log = _unary(lambda v: (mp.log(v), 1 / v, -1 / v ** 2))
log1p = _unary(lambda v: (mp.log1p(v), 1 / (1 + v), -1 / (1 + v) ** 2))
sqrt = _unary(lambda v: (mp.sqrt(v), 1 / (2 * mp.sqrt(v)), -1 / (4 * mp.sqrt(v) * v)))
cbrt = _unary(lambda v: (mp.sign(v) * mp.cbrt(abs(v)), 1 / (3 * mp.cbrt(abs(v)) ** 2),
                         -2 * mp.sign(v) / (9 * mp.cbrt(abs(v)) ** 5)))
sin = _unary(_trig(mp.sin, mp.cos, 1))
cos = _unary(_trig(mp.cos, mp.sin, -1))
sinh = _unary(lambda v: (mp.sinh(v), mp.cosh(v), mp.sinh(v)))
cosh = _unary(lambda v: (mp.cosh(v), mp.sinh(v), mp.cosh(v)))
tan = _unary(lambda v: (mp.tan(v), mp.sec(v) ** 2, 2 * mp.tan(v) * mp.sec(v) ** 2))
tanh = _unary(lambda v: (mp.tanh(v), mp.sech(v) ** 2, -2 * mp.tanh(v) * mp.sech(v) ** 2))
asin = _unary(lambda v: (mp.asin(v), 1 / mp.sqrt(1 - v * v), v / mp.sqrt(1 - v * v) ** 3))
acos = _unary(lambda v: (mp.acos(v), -1 / mp.sqrt(1 - v * v), -v / mp.sqrt(1 - v * v) ** 3))
atan = _unary(lambda v: (mp.atan(v), 1 / (1 + v * v), -2 * v / (1 + v * v) ** 2))
asinh = _unary(lambda v: (mp.asinh(v), 1 / mp.sqrt(1 + v * v), -v / mp.sqrt(1 + v * v) ** 3))
acosh = _unary(lambda v: (mp.acosh(v), 1 / mp.sqrt(v * v - 1), -v / mp.sqrt(v * v - 1) ** 3))
atanh = _unary(lambda v: (mp.atanh(v), 1 / (1 - v * v), 2 * v / (1 - v * v) ** 2))


def _gauss(v: Any) -> Any:
    return 2 / mp.sqrt(mp.pi) * mp.exp(-v * v)


erf = _unary(lambda v: (mp.erf(v), _gauss(v), -2 * v * _gauss(v)))
erfc = _unary(lambda v: (mp.erfc(v), -_gauss(v), 2 * v * _gauss(v)))


def _erfcx(v: Any) -> tuple[Any, Any, Any]:
    y = mp.exp(v * v) * mp.erfc(v)
    s = 2 * v * y - 2 / mp.sqrt(mp.pi)
    return y, s, 2 * y + 2 * v * s


def _sinc(v: Any) -> tuple[Any, Any, Any]:
    z = mp.pi * v
    if not z:
        return mpf(1), mpf(0), -mp.pi ** 2 / 3
    s, c = mp.sin(z), mp.cos(z)
    return s / z, mp.pi * (z * c - s) / z ** 2, mp.pi ** 2 * ((2 - z * z) * s - 2 * z * c) / z ** 3


def besseli(n: int, x: Any) -> Jet:
    x = jet(x)
    i = [mp.besseli(n + k, x.v) for k in range(-2, 3)]
    return x.chain(i[2], (i[1] + i[3]) / 2, (i[0] + 2 * i[2] + i[4]) / 4)


def _erfinv(v: Any) -> tuple[Any, Any, Any]:
    y = mp.erfinv(v)
    s = 1 / _gauss(y)
    return y, s, 2 * y * s * s


erfinv = _unary(_erfinv)
erfcx = _unary(_erfcx)
sinc = _unary(_sinc)
lgamma = _unary(lambda v: (mp.re(mp.loggamma(v)), mp.psi(0, v), mp.psi(1, v)))
digamma = _unary(lambda v: (mp.psi(0, v), mp.psi(1, v), mp.psi(2, v)))


def sigmoid(x: Any) -> Jet:
    return 1 / (1 + exp(-jet(x)))


def absolute(x: Any) -> Jet:
    x = jet(x)
    return -x if x.v < 0 else x


def power(x: Any, y: Any) -> Jet:
    """x**y; negative bases with whole exponents have derivatives in x only."""
    x, y = jet(x), jet(y)
    if x.v > 0:
        return exp(y * log(x))
    n = y.v
    return x.chain(x.v ** n, n * x.v ** (n - 1), n * (n - 1) * x.v ** (n - 2))


def xlogy(x: Any, y: Any) -> Jet:
    return jet(x) * log(y)


def atan2(y: Any, x: Any) -> Jet:
    y, x = jet(y), jet(x)
    t = atan(y / x) if abs(x.v) > abs(y.v) else -atan(x / y)
    return Jet(mp.atan2(y.v, x.v), t.g, t.h)


def total(xs: Sequence[Any]) -> Jet:
    out = jet(xs[0])
    for x in xs[1:]:
        out = out + x
    return out


# ------------------------------------------------------------------------------------------------------------ exact values

def _flat(r: Jet, n: int) -> list[Any]:
    zero = mpf(0)
    return [r.v, *[r.g.get(i, zero) for i in range(n)],
            *[r.h.get((i, j), zero) for i in range(n) for j in range(i, n)]]


def exact(f: Callable[..., Jet], xs: Sequence[float], wrt: Sequence[int], digits: int, floor: Any) -> list[Any] | None:
    """Value, gradient and Hessian of ``f`` at ``xs`` by the variables ``wrt``; None where one of them does not exist.

    Repeated with twice the digits until both agree to 25 places, or both are below ``floor``.
    """
    before = None
    for _ in range(5):
        with mpmath.workdps(digits):
            args = [Jet(mpf(x), {wrt.index(k): mpf(1)}) if k in wrt else mpf(x) for k, x in enumerate(xs)]
            try:
                now = _flat(f(*args), len(wrt))
            except (ZeroDivisionError, ValueError, OverflowError, mp.NoConvergence):
                return None
            if not all(mp.isfinite(v) and not isinstance(v, mpmath.mpc) for v in now):
                return None
            if before is not None and all(abs(a - b) <= abs(b) * mpf(10) ** -25 or max(abs(a), abs(b)) < floor
                                          for a, b in zip(before, now)):
                return now
        before, digits = now, 2 * digits
    raise ArithmeticError(f"the exact value at {xs} does not settle")

"""Exponentials and what is made of them, in the type of the argument: sigmoids, tanh, gelu, silu, error functions.

Each is within 2 units in the last place (float32: mostly 1), the slopes near their roots too. Three things keep the digits:
the argument is reduced with a two-part logarithm of 2, quotients and products carry the error of their rounding along
(``inverse``, ``product``: fused multiply-adds make it cheap), and a power of two is multiplied last, as two factors, so
that subnormal results are rounded once. A function and its slope are written from the same expressions, which a loop
then computes once.
"""
from __future__ import annotations

from typing import Any, NamedTuple

from . import coefficients as C
from .vocabulary import Expr, Vocabulary


class Format(NamedTuple):
    """What depends on the type."""

    c: Any                                               # coefficients
    word: str                                            # the integer of its size
    mantissa: int                                        # bits
    bias: int
    low: float                                           # exp is 0 below, infinite above
    high: float
    gone: float                                          # 110 exp(-gone) is 0
    bell: float                                          # 100 exp(-bell**2 / 2) is 0
    whole: float                                         # exp(x) - 1 is exp(x) beyond


F32 = Format(C.F32, "i32", 23, 127, -104.5, 89.0, 112.0, 14.8, 17.0)
F64 = Format(C.F64, "i64", 52, 1023, -746.0, 710.0, 754.0, 39.0, 38.0)


def format_of(x: Expr) -> Format:
    return F32 if x.type == "f32" else F64


class Power(NamedTuple):
    """exp(x) = (1 + rest + lost) a b with powers of two a and b."""

    rest: Expr
    lost: Expr
    a: Expr
    b: Expr


class Pair(NamedTuple):
    """A sum of two numbers, the second as small as the rounding error of the first."""

    head: Expr
    tail: Expr


class Exponential(Vocabulary):
    """The vocabulary with these functions."""

    # ------------------------------------------------------------------------------------------------------ exp itself

    def _power(s, x: Expr, low: Expr | None = None) -> Power:
        """exp(x + low)."""
        f = format_of(x)
        c = f.c
        magic = 1.5 * 2.0**f.mantissa + 2 * f.bias       # adding it leaves the whole number and twice the bias in the low bits
        t = s.fma(x, c.LOG2E[0], magic)
        n = t - magic
        r = s.fma(n, -c.LN2[0], x)
        if low is None:
            r, lost = s.fma(n, -c.LN2[1], r), None
        else:
            high, low = r, s.fma(n, -c.LN2[1], low)
            r = high + low
            lost = low - (r - high)
        p, square = s.polynomial(c.EXP, r), r * r
        rest = s.fma(square, p, r)
        low = s.fma(square, p, r - rest)
        return s._scaled(t, rest, low + lost if lost is not None else low)

    def _scaled(s, t: Expr, rest: Expr, lost: Expr) -> Power:
        """1 + rest + lost, times two to what is in the low bits of t."""
        f = format_of(t)
        bits = t.bits(f.word)
        half = bits >> 1
        return Power(rest, lost, (half << f.mantissa).bits(t.type), ((bits - half) << f.mantissa).bits(t.type))

    def _up_to(s, x: Expr, high: float) -> Expr:
        return s.select(x > high, high, x)

    def _from(s, x: Expr, low: float) -> Expr:
        return s.select(x < low, low, x)

    def _exp_of(s, x: Expr) -> Power:
        f = format_of(x)
        return s._power(s._up_to(s._from(x, f.low), f.high))

    def _value(s, p: Power) -> Expr:
        return s.fma(p.a, p.rest, p.a) * p.b

    def exp(s, x: Expr) -> Expr:
        return s._value(s._exp_of(x))

    def exp_sum(s, x: Expr, low: Expr) -> Expr:
        """exp(x + low) for x <= 0; ``low`` is no more than a rounding error of x, and does not count where x is far out."""
        least = format_of(x).low
        return s._value(s._power(s._from(x, least), s.select(x > least, low, 0.0)))

    def expm1(s, x: Expr) -> Expr:
        p = s._exp_of(x)
        scale = p.a * p.b
        near = s.fma(scale, p.rest, scale - 1.0)
        return s.select(x.eq(0.0), x, s.select(x > format_of(x).whole, s._value(p), near))

    def exp2(s, x: Expr) -> Expr:
        f = format_of(x)
        magic = 1.5 * 2.0**f.mantissa + 2 * f.bias
        y = s._up_to(s._from(x, f.low * 1.45), f.bias + 2.0)
        t = y + magic
        r = y - (t - magic)
        rest = s.fma(r, f.c.LN2[0], s.fma(r * r, s.polynomial(f.c.EXP2, r), r * f.c.LN2[1]))
        return s._value(s._scaled(t, rest, rest))

    # ---------------------------------------------------------------------------------------- quotients with two parts

    def _inverse(s, e: Expr) -> Pair:
        """1 / (1 + e) for 0 <= e <= 1, as q and r with q (1 + r)."""
        d = e + 1.0
        q = 1.0 / d
        return Pair(q, s.fma((d - 1.0) - e, q, s.fma(-d, q, 1.0)))

    def _product(s, x: Expr, q: Expr, r: Expr) -> Pair:
        """x q (1 + r)."""
        t = x * q
        return Pair(t, s.fma(t, r, s.fma(x, q, -t)))

    def _times(s, x: Pair, p: Power) -> Expr:
        """x exp(...)."""
        return (x.head + s.fma(x.head, p.rest, s.fma(x.tail, p.rest, x.tail))) * p.a * p.b

    # ------------------------------------------------------------------------------------------------------- sigmoids

    def _logistic(s, x: Expr) -> tuple[Power, Expr, Pair]:
        """exp(-|x|), its value e, and 1 / (1 + e)."""
        p = s._power(s._from(-abs(x), -format_of(x).gone))
        e = s._value(p)
        return p, e, s._inverse(e)

    def sigmoid(s, x: Expr, order: int = 0) -> Expr | None:
        """1 / (1 + exp(-x)), or its first or second derivative."""
        if order > 2:
            return None
        p, e, (q, r) = s._logistic(x)
        t = s._product(e, q, r)
        if order == 0:
            return s.select(x >= 0.0, s.fma(q, r, q), t.head + t.tail)
        slope = s.fma(t.head, q, s.fma(t.head, r, t.tail) * q)
        if order == 1:
            return slope
        return s._less(p) * s.fma(q, r, q) * slope * s.copysign(1.0, -x)

    def _less(s, p: Power) -> Expr:
        """1 - exp."""
        scale = p.a * p.b
        return s.fma(-scale, p.rest, 1.0 - scale)

    def softplus(s, x: Expr) -> Expr:
        _, e, _ = s._logistic(x)
        return s.select(x < 0.0, 0.0, x) + s.fma(e * e, s.horner(format_of(x).c.SOFT, e), e)

    def _double_logistic(s, x: Expr) -> tuple[Power, Expr, Pair]:
        """exp(-2 |x|), 4 times its value, and 1 / (1 + value)."""
        p = s._power(s._from(abs(x) * -2.0, -format_of(x).gone))
        e = s.fma(p.a, p.rest, p.a) * (p.b * 4.0)        # not rounded twice where it is subnormal
        d = s.fma(e, 0.25, 1.0)
        q = 1.0 / d
        return p, e, Pair(q, s.fma(s.fma(e, -0.25, d - 1.0), q, s.fma(-d, q, 1.0)))

    def tanh(s, x: Expr) -> Expr:
        p, _, (q, r) = s._double_logistic(x)
        scale = p.a * p.b
        rest = 1.0 - scale
        m = s.fma(-scale, p.rest, rest)
        lost = s.fma(-scale, p.lost, s.fma(-scale, p.rest, rest - m))
        t = s._product(m, q, r)
        return s.copysign(t.head + s.fma(lost, q, t.tail), x)

    def sech2(s, x: Expr) -> Expr:
        """The slope of tanh."""
        _, e, (q, r) = s._double_logistic(x)
        t = s._product(e, q, r)
        return s.fma(t.head, q, s.fma(t.head, r, t.tail) * q)

    # ------------------------------------------------------------------------------------------ products with sigmoids

    def silu(s, x: Expr, order: int = 0) -> Expr | None:
        """x sigmoid(x), or its first or second derivative."""
        if order > 2:
            return None
        f = format_of(x)
        p, e, (q, r) = s._logistic(x)
        t = s._product(s._up_to(abs(x), f.gone), q, r)
        if order == 0:
            return s._gated(x, t, p, f.gone)
        if order == 1:
            return s._near(x, "SILU_ROOT", -0.3, 0.3, s._gated_slope(x, t, p, e, q, r))
        m = s._less(p)
        bend = t.head * m                                # |x| tanh(|x| / 2)
        h = 2.0 - bend
        h = h + (((2.0 - h) - bend) - s.fma(t.tail, m, s.fma(t.head, m, -bend)))
        u = s._product(s.fma(p.a, p.rest, p.a), q, r)
        far = s.fma(u.head, q, s.fma(u.head, r, u.tail) * q) * h * p.b
        return s._near(abs(x), "SILU_BEND", -0.4, 0.4, far)

    def _gated(s, x: Expr, t: Pair, p: Power, whole: float) -> Expr:
        """x sigmoid: t right of 0, where it is x from ``whole`` on; t times exp left of it."""
        right = s.select(x > whole, x, t.head + t.tail)
        return s.copysign(s.select(x >= 0.0, right, s._times(t, p)), x)

    def _gated_slope(s, x: Expr, t: Pair, p: Power, e: Expr, q: Expr, r: Expr) -> Expr:
        """q (1 + e t) right of 0, e q (1 - t) left of it, q = 1 / (1 + e) being q (1 + r)."""
        right = q + s.fma(q, r, e * (t.head + t.tail) * q)
        h = 1.0 - t.head
        lost = ((1.0 - h) - t.head) - t.tail
        u = s._product(s.fma(p.a, p.rest, p.a), q, r)
        left = s.fma(u.head, h, s.fma(u.head, lost, u.tail * h)) * p.b
        return s.select(x >= 0.0, right, left)

    def _near(s, x: Expr, name: str, low: float, high: float, far: Expr) -> Expr:
        """``far``, but close to a root a polynomial times the distance."""
        root, root_low, first, *c = getattr(format_of(x).c, name)
        d = (x - root) - root_low
        near = s.fma(d, first, d * d * s.polynomial(tuple(c), d))
        middle = (low + high) / 2
        return s.select(abs(d - middle if middle else d) < (high - low) / 2, near, far)

    def gelu_tanh(s, x: Expr, order: int = 0) -> Expr | None:
        """x sigmoid(v), v = 2 sqrt(2/pi) (x + 0.044715 x**3), or its slope; v in two parts."""
        if order > 1:
            return None
        if x.type == "f32":
            return s._narrow_gelu_tanh(x.to("f64"), order).to("f32")
        rate, cube = C.F64.RATE, C.F64.RATE_CUBE
        end = 21.8                                       # beyond, the left side is 0
        a = s._up_to(abs(x), end)
        square = a * a
        bent = square * cube[0]
        bent_low = s.fma(square, cube[0], -bent) + s.fma(s.fma(a, a, -square), cube[0], s.fma(square, cube[1], rate[1]))
        u = bent + rate[0]
        back = u - bent
        u_low = ((bent - (u - back)) + (rate[0] - back)) + bent_low
        v = a * u
        p = s._power(-v, -s.fma(a, u_low, s.fma(a, u, -v)))
        e = s._value(p)
        q, r = s._inverse(e)
        if order == 0:
            return s._gated(x, s._product(a, q, r), p, end)
        twice = bent + bent                              # the slope of v is u + 2 bent
        w = u + twice
        m = a * w
        low = s.fma(a, (twice - (w - u)) + s.fma(bent_low, 2.0, u_low), s.fma(a, w, -m))
        t = s._product(m, q, r)
        return s._near(x, "GELU_TANH_ROOT", -0.45, 0.45, s._gated_slope(x, Pair(t.head, s.fma(low, q, t.tail)), p, e, q, r))

    def _narrow_gelu_tanh(s, x: Expr, order: int) -> Expr:
        """The same in float64 for float32, which takes fewer operations than two parts of everything."""
        rate, cube = C.F64.RATE[0], 0.044715
        a = s._up_to(s._from(x, -25.0), 25.0)
        square = a * a
        g = 1.0 / (s.narrow_exp(a * -rate * s.fma(square, cube, 1.0), 0.0, C.Narrow.LONG_EXP) + 1.0)
        if order == 0:
            return s.select(x > a, x, a) * g
        return g * s.fma(a * (1.0 - g), s.fma(square, 3.0 * cube * rate, rate), 1.0)

    def narrow_exp(s, x: Expr, minus: float = 0.0, c: tuple[float, ...] = C.Narrow.EXP) -> Expr:
        """exp(x) - minus, f64 in and out, to 33 bits, which do not depend on ``minus``."""
        x = s._up_to(s._from(x, -700.0), 700.0)          # past the range of float32, well inside that of float64
        magic = 1.5 * 2.0**52
        t = s.fma(x, C.F64.LOG2E[0], magic)
        r = s.fma(t - magic, -C.F64.LN2[0], x)
        p = s.fma(r * r, s.polynomial(c, r), r)
        scale = ((t.bits("i64") + 1023) << 52).bits("f64")
        return s.fma(scale, p, scale - minus if minus else scale)

    # ------------------------------------------------------------------------------------- the normal distribution, erf

    def _bell(s, a: Expr, rate: float) -> Power:
        """exp(-rate a**2), the square with its rounding error."""
        square = a * a
        return s._power(square * -rate, s.fma(a, a, -square) * -rate)

    def _tail(s, a: Expr, low: Expr | None, p: Power) -> Pair:
        """Phi(-a - low) exp(a**2 / 2) for a >= 0, times 1 + p.lost."""
        c = format_of(a).c
        k, coefficients = c.CENTRE, c.TAIL
        d = a + k
        t = 1.0 / d
        lost = (d - k) - a if low is None else (d - k) - a - low
        r = s.fma(lost, t, s.fma(-d, t, 1.0))
        y = s.fma(t, -2.0 * k, 1.0)
        rest = s.polynomial(coefficients[1:], y)
        value = s.fma(y, rest, coefficients[0])
        slope = s.fma(y, -4.0 * k * coefficients[2], -2.0 * k * coefficients[1])   # what moving t by t r does
        value_low = s.fma(t * r, slope, s.fma(y, rest, coefficients[0] - value))
        w = t * value
        return Pair(w, s.fma(w, p.lost, s.fma(w, r, s.fma(t, value_low, s.fma(t, value, -w)))))

    def gelu(s, x: Expr, order: int = 0) -> Expr | None:
        """x Phi(x), or its first or second derivative."""
        if order > 2:
            return None
        f = format_of(x)
        a = s._up_to(abs(x), f.bell)
        p = s._bell(a, 0.5)
        density = f.c.DENSITY
        if order == 2:
            h = ((f.c.ROOT2[0] - a) + f.c.ROOT2[1]) * (f.c.ROOT2[0] + a) * density[0]
            return s.fma(h, p.rest, h) * p.a * p.b
        w = s._tail(a, None, p)
        if order == 0:
            rest = s.fma(w.head, p.rest, s.fma(w.tail, p.rest, w.tail))
            z = w.head + rest
            right = s.fma(-a, z * p.a * p.b, x)
            left = s.fma(-a, z, -a * (rest - (z - w.head))) * p.a * p.b
            return s.select(x >= 0.0, right, left)
        h = s.fma(a, -density[0], w.head)
        value = s._times(Pair(h, s.fma(a, -density[1], w.tail)), p)
        return s._near(x, "GELU_ROOT", -0.35, 0.45, s.select(x >= 0.0, 1.0 - value, value))

    def _erfc_right(s, a: Expr) -> Expr:
        """erfc for a >= 0."""
        f = format_of(a)
        root = f.c.ROOT2
        a = s._up_to(a, f.bell * 0.7)
        p = s._bell(a, 1.0)
        scaled = a * root[0]
        return s._times(s._tail(scaled, s.fma(a, root[1], s.fma(a, root[0], -scaled)), p), p._replace(b=p.b * 2.0))

    def _erf_near(s, x: Expr) -> Expr:
        """erf for |x| < 1."""
        return s.fma(s.polynomial(format_of(x).c.ERF, s.select(abs(x) < 1.0, x * x, 1.0)), x, x)

    def erf(s, x: Expr) -> Expr:
        a = abs(x)
        return s.select(a < 1.0, s._erf_near(x), s.copysign(1.0 - s._erfc_right(a), x))

    def erfc(s, x: Expr) -> Expr:
        a = abs(x)
        far = s._erfc_right(a)
        return s.select(a < 0.5, 1.0 - s._erf_near(x), s.select(x < 0.0, 2.0 - far, far))

    def erf_slope(s, x: Expr) -> Expr:
        f = format_of(x)
        p = s._bell(s._up_to(abs(x), f.bell * 0.7), 1.0)
        one = x.of(f.c.ERF_SLOPE[0])
        return s._times(Pair(one, x.of(f.c.ERF_SLOPE[1])), p)


__all__ = ["F32", "F64", "Exponential", "Format", "format_of"]

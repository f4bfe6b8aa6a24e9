"""Logarithms, powers, circular and hyperbolic functions.

In float32 where that keeps the digits, else in float64 with short polynomials and rounded once (``narrow``).
"""
from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

from . import coefficients as C
from .exponential import F64, Exponential, Pair
from .vocabulary import Expr

_MAGIC = 6755399441055744.0                              # 1.5 * 2**52: adding it leaves the rounded integer in the low bits
_MAGIC32 = 12582912.0                                    # 1.5 * 2**23
_INF, _NAN = float("inf"), float("nan")
_FAR = 1e5                                               # beyond, float32 has too few bits to take off multiples of pi / 2


def _through(f: Any) -> Any:
    """A function on f64 expressions given ``short`` (float32 wants less), made to take both float types."""

    def function(s: Elementary, *xs: Expr, **params: Any) -> Expr:
        if xs[0].type == "f32":
            return f(s, *[x.to("f64") for x in xs], short=True, **params).to("f32")  # type: ignore[no-any-return]
        return f(s, *xs, short=False, **params)  # type: ignore[no-any-return]

    function.__doc__ = f.__doc__
    function.__name__ = f.__name__
    return function


def _either(f32: Callable[..., Expr], f64: Callable[..., Expr]) -> Callable[..., Expr]:
    """One function for both types, each with a way of its own."""

    def function(s: Elementary, x: Expr) -> Expr:
        return (f32 if x.type == "f32" else f64)(s, x)

    return function


class Elementary(Exponential):
    """The vocabulary with these functions."""

    # ------------------------------------------------------------------------------------------------- logarithms

    def _split32(s, x: Expr) -> tuple[Expr, Expr]:
        """k and f with x = 2**k (1 + f), f in [-1/3, 1/3], for a positive x."""
        small = x < 2.0**-126
        bits = s.select(small, x * 2.0**25, x).bits("i32")
        e = (bits - 0x3F2AAAAB) & -0x800000
        k = e.to("f32") * 2.0**-23
        return s.select(small, k - 25.0, k), (bits - e).bits("f32") - 1.0

    def _split64(s, x: Expr) -> tuple[Expr, Expr]:
        """k and f with x = 2**k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), for a positive normal x."""
        bits = x.bits("i64")
        shifted = bits + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
        k = ((shifted >> 52) | 0x4330000000000000).bits("f64") - (4503599627370496.0 + 1023.0)
        mantissa = (shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD
        return k, mantissa.bits("f64") - 1.0

    def _split(s, x: Expr) -> tuple[Expr, Expr]:
        """The same for a positive x."""
        if x.type == "f32":
            return s._split32(x)
        small = x < 2.0**-1022
        k, f = s._split64(s.select(small, x * 2.0**54, x))
        return s.select(small, k - 54.0, k), f

    def _log_edges(s, x: Expr, r: Expr) -> Expr:
        r = s.select(x.eq(0.0), -_INF, s.select(x < 0.0, _NAN, r))
        return s.select(x < _INF, r, x)                  # also NaN

    def _log_rest(s, f: Expr, low: Expr | float = 0.0) -> Expr:
        """log(1 + f) - f + low."""
        if f.type == "f32":
            return s.fma(f * f, s.fma(f, s.polynomial(C.F32.LOG, f), -0.5), low)
        q = f / (f + 2.0)
        z = q * q
        half = f * f * 0.5
        rest = q * (half + z * s.polynomial(C.F64.LOG, z))
        return rest + low - half if low.__class__ is Expr else rest - half

    def _log_sum(s, k: Expr, f: Expr, low: Expr | float = 0.0) -> Expr:
        """k log(2) + log(1 + f) + low."""
        ln2 = C.F32.LN2 if f.type == "f32" else C.F64.LN2
        return s.fma(k, ln2[0], s._log_rest(f, s.fma(k, ln2[1], low)) + f)

    def log(s, x: Expr) -> Expr:
        return s._log_edges(x, s._log_sum(*s._split(x)))

    def _log1p32(s, x: Expr) -> Expr:
        u = x + 1.0
        e = (u.bits("i32") - 0x3F2AAAAB) & -0x800000
        top = s.fma((0x40800000 - e).bits("f32"), 0.25, -1.0)   # 2**-k - 1
        m = (x.bits("i32") - e).bits("f32")              # x / 2**k
        f = m + top
        lost = m - (f - top)
        r = s._log_sum(e.to("f32") * 2.0**-23, f, s.fma(-lost, f, lost))
        return s.select(x.eq(0.0), x, s._log_edges(u, r))

    def _log1p64(s, x: Expr) -> Expr:
        u = x + 1.0
        k, f = s._split64(u)
        near = k.eq(0.0)                                 # else 1 + x is short of x's last bits: the first order brings them back
        lost = s.select(near, 0.0, s.select(k > 0.0, 1.0 - (u - x), x - (u - 1.0)) / u)
        r = s._log_sum(k, s.select(near, x, f), lost)
        return s.select(x.eq(0.0), x, s._log_edges(u, r))

    log1p = _either(_log1p32, _log1p64)

    def _log_base(s, x: Expr, whole: tuple[float, ...], rate: tuple[float, ...]) -> Expr:
        """k whole + log(1 + f) rate."""
        k, f = s._split(x)
        rest = s._log_rest(f)
        y = rest + f
        lost = rest - (y - f)
        part = y * rate[0]
        low = s.fma(y, rate[0], -part) + s.fma(y, rate[1], lost * rate[0])
        head = k * whole[0]
        total = head + part
        low = low + (part - (total - head))
        if whole[1]:
            low = low + s.fma(k, whole[1], s.fma(k, whole[0], -head))
        return s._log_edges(x, total + low)

    def log2(s, x: Expr) -> Expr:
        return s._log_base(x, (1.0, 0.0), (C.F32 if x.type == "f32" else C.F64).LOG2E)

    def log10(s, x: Expr) -> Expr:
        c: Any = C.F32 if x.type == "f32" else C.F64
        return s._log_base(x, c.LOG10_2, c.LOG10E)

    # ----------------------------------------------------------------------------------- in float64 for float32 results

    def _between(s, x: Expr, low: float, high: float) -> Expr:
        return s._up_to(s._from(x, low), high)

    def narrow_log(s, x: Expr) -> Expr:
        """log(x), f64 in and out, to 38 bits."""
        k, f = s._split64(x)
        return s._log_edges(x, s.fma(k, C.F64.LN2[0], f * s.polynomial(C.Narrow.LOG, f)))

    # ----------------------------------------------------------------------------------------------- trigonometric

    def _angle32(s, x: Expr) -> tuple[Expr, Expr, Expr]:
        """The quadrant in the low bits of a word, the rest of the angle and the rest's tail."""
        s.refuse(abs(x) > _FAR)
        t = s.fma(x, C.F32.TWO_OVER_PI[0], _MAGIC32)
        n = t - _MAGIC32
        return t.bits("i32"), s.fma(n, -C.F32.PIO2[1], s.fma(n, -C.F32.PIO2[0], x)), n * -C.F32.PIO2[2]

    def _angle(s, x: Expr, short: bool) -> tuple[Expr, Expr, Expr]:
        s.refuse(abs(x) > 3.0e13)
        c = C.F64.PIO2
        t = s.fma(x, C.F64.TWO_OVER_PI[0], _MAGIC)
        n = t - _MAGIC
        r = s.fma(n, -c[0], x)
        if short:
            return t.bits("i64"), s.fma(n, -c[1], r), r.of(0.0)
        w = n * c[1]
        error = s.fma(n, c[1], -w)                       # of the product
        y = r - w
        back = y - r
        tail = ((r - (y - back)) - (w + back)) - s.fma(n, c[2], error)
        head = y + tail
        return t.bits("i64"), head, tail - (head - y)

    def _sin_cos(s, r: Expr, tail: Expr, short: bool = False) -> tuple[Expr, Expr]:
        z = r * r
        if r.type == "f32" or short:
            c: Any = C.Narrow if short else C.F32
            return (r + s.fma(z * r, s.horner(c.SIN, z), tail),
                    s.fma(z * z, s.horner(c.COS, z), s.fma(z, -0.5, 1.0)))
        sine = r + s.fma(z * r, s.polynomial(C.F64.SIN, z), s.fma(z * tail, -0.5, tail))
        half = z * 0.5
        one = 1.0 - half
        cosine = one + (((1.0 - one) - half) + s.fma(z * z, s.polynomial(C.F64.COS, z), -(r * tail)))
        return sine, cosine

    def _turned(s, x: Expr, quarter: int) -> Expr:
        q, r, tail = s._angle32(x) if x.type == "f32" else s._angle(x, False)
        sine, cosine = s._sin_cos(r, tail)
        if quarter:
            q = q + 1
        y = s.select((q & 1).eq(0), sine, cosine)
        return (y.bits(q.type) ^ ((q & 2) << (30 if x.type == "f32" else 62))).bits(x.type)

    def sin(s, x: Expr) -> Expr:
        return s.select(x.eq(0.0), x, s._turned(x, 0))

    def cos(s, x: Expr) -> Expr:
        return s._turned(x, 1)

    def _tan(s, x: Expr, short: bool) -> Expr:
        q, r, tail = s._angle(x, short)
        sine, cosine = s._sin_cos(r, tail, short)
        even = (q & 1).eq(0)
        y = s.select(even, sine, -cosine) / s.select(even, cosine, sine)
        return s.select(x.eq(0.0), x, y)

    def _sec2(s, x: Expr, short: bool) -> Expr:
        q, r, tail = s._angle(x, short)
        sine, cosine = s._sin_cos(r, tail, short)
        c = s.select((q & 1).eq(0), cosine, sine)
        return 1.0 / (c * c)

    tan, sec2 = _through(_tan), _through(_sec2)

    # -------------------------------------------------------------------------------------------------- hyperbolic

    def _sinh(s, x: Expr, short: bool) -> Expr:
        a = s._up_to(abs(x), 700.0)
        if not short:
            s.refuse(abs(x) > 700.0)
        e = s.narrow_exp(a, 1.0) if short else s.expm1(a)
        return s.copysign((e + e / (e + 1.0)) * 0.5, x)

    def _cosh(s, x: Expr, short: bool) -> Expr:
        a = s._up_to(abs(x), 700.0)
        if not short:
            s.refuse(abs(x) > 700.0)
        e = s.narrow_exp(a) if short else s.exp(a)
        return (e + 1.0 / e) * 0.5

    sinh, cosh = _through(_sinh), _through(_cosh)

    # ------------------------------------------------------------------------------------------------------ powers

    def pow(s, x: Expr, y: Expr) -> Expr | None:
        """x**y."""
        if not x.floating:
            return None
        if x.type == "f32":
            a, b = x.to("f64"), y.to("f64")
            return s._signed(a, b, s._narrow_power(a, b)).to("f32")
        return s._signed(x, y, s._wide_power(x, y))

    def _narrow_power(s, x: Expr, y: Expr) -> Expr:
        """|x|**y in f64, to 31 bits."""
        return s.narrow_exp(y * s.narrow_log(abs(x)))

    def _wide_power(s, x: Expr, y: Expr, low: Expr | float = 0.0, factor: Expr | float = 1.0) -> Expr:
        """factor |x|**(y + low) in f64."""
        head, tail = s._long_log(abs(x))
        product = y * head
        rest = s.fma(y, head, -product) + s.fma(y, tail, head * low)
        p = s._power(s._between(product, F64.low * 1.1, F64.high * 1.1), s.select(abs(product) < -F64.low, rest, 0.0))
        nothing = s.copysign(0.0, factor) if isinstance(factor, Expr) else 0.0
        return s.select(product < F64.low * 1.1, nothing, s.fma(p.a, p.rest, p.a) * factor * p.b)

    def _long_log(s, x: Expr) -> Pair:
        """log(x) to 66 bits."""
        c = C.F64
        k, f = s._split(x)
        d = f + 2.0
        inverse = 1.0 / d
        q = f * inverse                                  # log(1 + f) = 2 q + q**3 (2/3 + ...), q = f / (2 + f)
        q_low = (s.fma(-q, d, f) - q * (f - (d - 2.0))) * inverse
        z = q * q
        z_low = s.fma(q, q, -z) + q * q_low * 2.0
        cube = z * q
        cube_low = s.fma(z, q, -cube) + s.fma(z, q_low, z_low * q)
        first = cube * c.TWO_THIRDS[0]
        low = s.fma(cube, c.TWO_THIRDS[0], -first) + s.fma(cube, c.TWO_THIRDS[1], cube_low * c.TWO_THIRDS[0])
        low = low + s.fma(q_low, 2.0, cube * (z * s.polynomial(c.LOG_LONG, z)))
        head = q * 2.0 + first
        low = low + (first - (head - q * 2.0))
        whole = k * c.LN2[0]
        total = whole + head
        low = low + (head - (total - whole)) + s.fma(k, c.LN2[1], s.fma(k, c.LN2[0], -whole))
        return Pair(s._log_edges(x, total), s.select((x > 0.0) & (x < _INF), low, 0.0))

    def _signed(s, x: Expr, y: Expr, r: Expr) -> Expr:
        """x**y from r = |x|**y, with the conventions of C's pow."""
        whole = s.rint(y).eq(y)
        odd = whole & s.rint(y * 0.5).ne(y * 0.5)
        r = s.select((s.copysign(1.0, x) < 0.0) & odd, -r, r)
        r = s.select((x < 0.0) & (x > -_INF) & ~whole, _NAN, r)
        one = y.eq(0.0) | x.eq(1.0) | (x.eq(-1.0) & abs(y).eq(_INF))
        return s.select(one, 1.0, r)

    def power_slope(s, x: Expr, y: Expr, k: int, m: int) -> Expr | None:
        """The first derivatives of x**y."""
        if not x.floating or k + m != 1:
            return None
        narrow = x.type == "f32"
        a, b = (x.to("f64"), y.to("f64")) if narrow else (x, y)
        if k:
            less = b - 1.0
            if narrow:
                r = b * s._signed(a, less, s._narrow_power(a, less))
            else:
                back = less - b
                lost = (b - (less - back)) - (back + 1.0)
                r = s._signed(a, less, s._wide_power(a, less, s.select(s.isfinite(b), lost, 0.0), b))
                r = s.select(less.eq(0.0) | a.eq(1.0), b, r)
            r = s.select(b.eq(0.0), 0.0, r)
        else:
            if narrow:
                p = s._signed(a, b, s._narrow_power(a, b))
                product = s.select(abs(p) < 1e-304, 0.0, p * s.narrow_log(a))
            else:
                logs = s._long_log(abs(a))
                product = s.select(a < 0.0, _NAN, s._wide_power(a, b, 0.0, logs.head + logs.tail))
                product = s.select(a.eq(_INF), s.select(b < 0.0, a.of(0.0), a), s.select(a.eq(1.0), 0.0, product))
            r = s.select(a.eq(0.0), s.select(b < 0.0, a.of(-_INF), 0.0), product)
        return r.to(x.type)

    def exp2_slope(s, x: Expr, c: float) -> Expr | None:
        """c 2**x."""
        if x.type != "f32":
            return None
        return (s.narrow_exp(x.to("f64") * log(2.0)) * c).to("f32")


__all__ = ["Elementary"]

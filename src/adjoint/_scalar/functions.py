"""Elementary functions in the scalar vocabulary.

float32 is computed in float64 with short polynomials and rounded once. float64 goes by reduction with a head and a
tail, so that its error stays within a few units in the last place. What a loop can't do well (an angle beyond 2**45)
is refused and left to the NumPy kernel.
"""
from __future__ import annotations

from math import log, pi, sqrt
from typing import Any

from . import coefficients as C
from .vocabulary import BITS, NAMES, Expr, Vocabulary

_MAGIC = 6755399441055744.0                              # 1.5 * 2**52: adding it leaves the rounded integer in the low bits
_LOG2E = 1.0 / log(2.0)
_LN2 = log(2.0)
_INF, _NAN = float("inf"), float("nan")


def _through(f: Any) -> Any:
    """A function on f64 expressions given ``short`` (float32 wants less), made to take both float types."""

    def function(s: Functions, *xs: Expr, **params: Any) -> Expr:
        if xs[0].type == "f32":
            return f(s, *[x.to("f64") for x in xs], short=True, **params).to("f32")  # type: ignore[no-any-return]
        return f(s, *xs, short=False, **params)  # type: ignore[no-any-return]

    function.__doc__ = f.__doc__
    function.__name__ = f.__name__
    return function


class Functions(Vocabulary):
    """The vocabulary with the functions that lowering rules use."""

    # ------------------------------------------------------------------------------------- exponentials, all on f64

    def _exp_parts(s, x: Expr, short: bool, c: tuple[float, ...] = C.EXP32) -> tuple[Expr, Expr, Expr]:
        """n (whole), its bits at the bottom of a word, and exp(r) - 1 for x = n log(2) + r."""
        t = s.fma(x, _LOG2E, _MAGIC)
        n = t - _MAGIC
        if short:
            r = s.fma(n, -_LN2, x)
            p = s.fma(r * r, s.polynomial(c, r), r)
        else:
            high = s.fma(n, -C.LN2[0], x)
            low = n * C.LN2[1]
            r = high - low
            p = s.fma(r * r, s.polynomial(C.EXP, r), ((high - r) - low) + r)
        return n, t.bits("i64"), p

    def _two_to(s, k: Expr) -> Expr:
        """2**k for an integer in the low bits of a word, -1022 <= k <= 1023."""
        return ((k + 1023) << 52).bits("f64")

    def _between(s, x: Expr, low: float, high: float) -> Expr:
        x = s.select(x < low, low, x)
        return s.select(x > high, high, x)

    def _exp(s, x: Expr, short: bool) -> Expr:
        if short:                                        # past the range of float32, well inside that of float64
            _, k, p = s._exp_parts(s._between(x, -700.0, 700.0), True)
            scale = s._two_to(k)
            return s.fma(scale, p, scale)
        n, k, p = s._exp_parts(s._between(x, -746.0, 710.0), False)
        half = ((k << 51) ^ 0).bits("i64")
        del half
        first = s.select(n < -1000.0, n.of(2.0**-600), s.select(n > 1000.0, n.of(2.0**600), 1.0))
        shift = s.select(n < -1000.0, k + 600, s.select(n > 1000.0, k - 600, k))
        scale = s._two_to(shift)
        return s.fma(scale, p, scale) * first

    exp = _through(_exp)

    def _expm1(s, x: Expr, short: bool) -> Expr:
        _, k, p = s._exp_parts(s._between(x, -60.0, 60.0 if not short else 700.0), short)
        scale = s._two_to(k)
        r = s.fma(scale, p, scale - 1.0)
        r = s.select(x.eq(0.0), x, r)
        return r if short else s.select(x > 56.0, s._exp(x, False), r)

    expm1 = _through(_expm1)

    def _exp2(s, x: Expr, short: bool) -> Expr:
        n = s.rint(s._between(x, -1076.0, 1025.0))
        return s._scaled(s._exp((s._between(x, -1076.0, 1025.0) - n) * _LN2, short), n)

    def _scaled(s, x: Expr, n: Expr) -> Expr:
        half = s.floor(n * 0.5)
        return x * s._power_of_two(half) * s._power_of_two(n - half)

    def _power_of_two(s, n: Expr) -> Expr:
        return s._two_to((n + _MAGIC).bits("i64"))

    exp2 = _through(_exp2)

    # ------------------------------------------------------------------------------------------------- logarithms

    def _log_parts(s, x: Expr) -> tuple[Expr, Expr]:
        """k and m with x = 2**k m, m in [sqrt(1/2), sqrt(2)), for a positive normal x."""
        bits = x.bits("i64")
        shifted = bits + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
        k = ((shifted >> 52) | 0x4330000000000000).bits("f64") - (4503599627370496.0 + 1023.0)
        mantissa = (shifted & 0x000FFFFFFFFFFFFF) + 0x3FE6A09E667F3BCD
        return k, mantissa.bits("f64")

    def _log_edges(s, x: Expr, r: Expr) -> Expr:
        r = s.select(x.eq(0.0), -_INF, s.select(x < 0.0, _NAN, r))
        return s.select(x < _INF, r, x)                  # also NaN

    def _log_sum(s, k: Expr, f: Expr, c: Any, short: bool) -> Expr:
        """k log(2) + log(1 + f) + c."""
        if short:
            return s.fma(k, _LN2, f * s.polynomial(C.LOG32, f))
        q = f / (f + 2.0)
        z = q * q
        half = f * f * 0.5
        rest = q * (half + z * s.polynomial(C.LOG, z))
        return k * C.LN2[0] - ((half - (rest + s.fma(k, C.LN2[1], c))) - f)

    def _log(s, x: Expr, short: bool) -> Expr:
        if short:
            k, m = s._log_parts(x)
            return s._log_edges(x, s._log_sum(k, m - 1.0, 0.0, True))
        small = x < 2.2250738585072014e-308
        k, m = s._log_parts(s.select(small, x * 2.0**54, x))
        return s._log_edges(x, s._log_sum(s.select(small, k - 54.0, k), m - 1.0, 0.0, False))

    log = _through(_log)

    def _log1p(s, x: Expr, short: bool) -> Expr:
        u = x + 1.0
        k, m = s._log_parts(u)
        near = k.eq(0.0)
        lost: Any = 0.0
        if not short:                                    # 1 + x is short of x's last bits; the first order brings them back
            lost = s.select(near, 0.0, s.select(k > 0.0, 1.0 - (u - x), x - (u - 1.0)) / u)
        r = s._log_sum(k, s.select(near, x, m - 1.0), lost, short)
        return s.select(x.eq(0.0), x, s._log_edges(u, r))

    log1p = _through(_log1p)

    def _log2(s, x: Expr, short: bool) -> Expr:
        k, m = s._log_parts(x)
        f = m - 1.0
        if not short:
            s.refuse((x < 2.2250738585072014e-308) & (x > 0.0))
        return s._log_edges(x, s.fma(s._log_sum(x.of(0.0), f, 0.0, short), _LOG2E, k))

    log2 = _through(_log2)

    def _log10(s, x: Expr, short: bool) -> Expr:
        return s._log(x, short) * (1.0 / log(10.0))

    log10 = _through(_log10)

    # ----------------------------------------------------------------------------------------------- trigonometric

    def _angle(s, x: Expr, short: bool) -> tuple[Expr, Expr, Expr]:
        """The quadrant in the low bits of a word, the rest of the angle and the rest's tail."""
        s.refuse(abs(x) > 3.0e13)
        t = s.fma(x, 2.0 / pi, _MAGIC)
        n = t - _MAGIC
        r = s.fma(n, -C.PIO2[0], x)
        if short:
            return t.bits("i64"), s.fma(n, -C.PIO2[1], r), r.of(0.0)
        w = n * C.PIO2[1]
        error = s.fma(n, C.PIO2[1], -w)                  # of the product
        y = r - w
        back = y - r
        tail = ((r - (y - back)) - (w + back)) - s.fma(n, C.PIO2[2], error)
        head = y + tail
        return t.bits("i64"), head, tail - (head - y)

    def _sin_cos(s, r: Expr, tail: Expr, short: bool) -> tuple[Expr, Expr]:
        z = r * r
        if short:
            return (s.fma(z * r, s.polynomial(C.SIN32, z), r),
                    s.fma(z * z, s.polynomial(C.COS32, z), s.fma(z, -0.5, 1.0)))
        sine = r + s.fma(z * r, s.polynomial(C.SIN, z), s.fma(z * tail, -0.5, tail))
        half = z * 0.5
        one = 1.0 - half
        cosine = one + (((1.0 - one) - half) + s.fma(z * z, s.polynomial(C.COS, z), -(r * tail)))
        return sine, cosine

    def _turned(s, x: Expr, short: bool, quarter: int) -> Expr:
        q, r, tail = s._angle(x, short)
        sine, cosine = s._sin_cos(r, tail, short)
        if quarter:
            q = q + 1
        y = s.select((q & 1).eq(0), sine, cosine)
        return (y.bits("i64") ^ ((q & 2) << 62)).bits("f64")

    def _sin(s, x: Expr, short: bool) -> Expr:
        return s.select(x.eq(0.0), x, s._turned(x, short, 0))

    def _cos(s, x: Expr, short: bool) -> Expr:
        return s._turned(x, short, 1)

    def _tan(s, x: Expr, short: bool) -> Expr:
        q, r, tail = s._angle(x, short)
        sine, cosine = s._sin_cos(r, tail, short)
        even = (q & 1).eq(0)
        y = s.select(even, sine, -cosine) / s.select(even, cosine, sine)
        return s.select(x.eq(0.0), x, y)

    def _sec2(s, x: Expr, short: bool) -> Expr:
        c = s._turned(x, short, 1)
        return 1.0 / (c * c)

    sin, cos, tan, sec2 = _through(_sin), _through(_cos), _through(_tan), _through(_sec2)

    # -------------------------------------------------------------------------------------------------- hyperbolic

    def _tanh(s, x: Expr, short: bool) -> Expr:
        a = abs(x)
        if short:                                        # shares its parts with its slope
            _, k, p = s._exp_parts(s._between(a * -2.0, -700.0, 700.0), True)
            scale = s._two_to(k)
            return s.copysign(s.fma(-scale, p, 1.0 - scale) * (1.0 / (s.fma(scale, p, scale) + 1.0)), x)
        e = s._expm1(s.select(a > 25.0, 25.0, a) * 2.0, short)
        return s.copysign(e / (e + 2.0), x)

    def _sech2(s, x: Expr, short: bool) -> Expr:
        e = s._exp(abs(x) * -2.0, short)
        if short:
            q = 1.0 / (e + 1.0)
            return e * 4.0 * (q * q)
        r = e + 1.0
        return e * 4.0 / (r * r)

    def _sinh(s, x: Expr, short: bool) -> Expr:
        a = abs(x)
        if not short:
            s.refuse(a > 700.0)
        e = s._expm1(s._between(a, 0.0, 700.0), short)
        return s.copysign((e + e / (e + 1.0)) * 0.5, x)

    def _cosh(s, x: Expr, short: bool) -> Expr:
        a = abs(x)
        if not short:
            s.refuse(a > 700.0)
        e = s._exp(s._between(a, 0.0, 700.0), short)
        return (e + 1.0 / e) * 0.5

    tanh, sech2, sinh, cosh = _through(_tanh), _through(_sech2), _through(_sinh), _through(_cosh)

    # ------------------------------------------------------------------------------------------- the sigmoid family

    def _sigmoid(s, x: Expr, short: bool, order: int = 0) -> Expr:
        e = s._exp(-abs(x), short)
        r = e + 1.0
        if short and order < 2:                          # one division for the value and its slope
            q = 1.0 / r
            return s.select(x >= 0.0, q, e * q) if order == 0 else e * (q * q)
        if order == 0:
            return s.select(x >= 0.0, 1.0, e) / r
        if order == 1:
            return e / (r * r)
        return s.copysign(1.0, x) * s._expm1(-abs(x), short) * e / (r * r * r)

    def _softplus(s, x: Expr, short: bool) -> Expr:
        return s.select(x < 0.0, 0.0, x) + s._log1p(s._exp(-abs(x), short), short)

    sigmoid, softplus = _through(_sigmoid), _through(_softplus)

    # --------------------------------------------------------------------------------------------- error functions

    def _gauss(s, x: Expr, short: bool) -> Expr:
        """exp(-x**2), x**2 with its rounding error."""
        square = x * x
        if short:
            return s._exp(-square, True)
        lost = s.fma(x, x, -square)
        return s._exp(-square, False) * (1.0 - lost)

    def _erfc_right(s, a: Expr, short: bool) -> Expr:
        """erfc for a >= 0."""
        a = s.select(a > (11.0 if short else 28.0), 11.0 if short else 28.0, a)
        y = (a - 2.0) / (a + 2.0)
        return s._gauss(a, short) * s.polynomial(C.ERFC32 if short else C.ERFC, y) / s.fma(a, 2.0, 1.0)

    def _erf(s, x: Expr, short: bool) -> Expr:
        a = abs(x)
        near = s.polynomial(C.ERF32 if short else C.ERF, s.select(a < 1.0, x * x, 1.0)) * x
        return s.select(a < 1.0, near, s.copysign(1.0 - s._erfc_right(a, short), x))

    def _erfc(s, x: Expr, short: bool) -> Expr:
        a = abs(x)
        near = 1.0 - s.polynomial(C.ERF32 if short else C.ERF, s.select(a < 0.5, x * x, 0.25)) * x
        far = s._erfc_right(a, short)
        return s.select(a < 0.5, near, s.select(x < 0.0, 2.0 - far, far))

    def _erf_slope(s, x: Expr, short: bool) -> Expr:
        return s._gauss(s._between(x, -60.0, 60.0), short) * (2.0 / sqrt(pi))

    erf, erfc, erf_slope = _through(_erf), _through(_erfc), _through(_erf_slope)

    # ------------------------------------------------------------------------------------------------------- gelu

    def _gelu(s, x: Expr, order: int) -> Expr:
        c = s._between(x, -38.5, 38.5)
        e = s._exp_between(c * c * -0.5)
        a = abs(c) * sqrt(0.5)
        a = s.select(a > 11.0, 11.0, a)
        q = 1.0 / ((a + 2.0) * s.fma(a, 2.0, 1.0))       # two quotients in one division
        y = (a - 2.0) * s.fma(a, 2.0, 1.0) * q
        tail = e * (s.polynomial(C.ERFC44, y) * (q * (a + 2.0)) * 0.5)
        phi = s.select(c < 0.0, tail, 1.0 - tail)
        if order == 0:
            return s.select(x > 38.5, x, c * phi)
        return s.fma(c * e, 1.0 / sqrt(2.0 * pi), phi)

    def _exp_between(s, x: Expr) -> Expr:
        """exp to 44 bits or so, for slopes that have a root."""
        _, k, p = s._exp_parts(s._between(x, -700.0, 700.0), True, C.EXP44)
        scale = s._two_to(k)
        return s.fma(scale, p, scale)

    def gelu(s, x: Expr, order: int = 0) -> Expr | None:
        """x Phi(x) or its slope, for float32."""
        return s._gelu(x.to("f64"), order).to("f32") if x.type == "f32" and order < 2 else None

    def gelu_tanh(s, x: Expr, order: int = 0) -> Expr | None:
        """x sigmoid(2 sqrt(2/pi) (x + 0.044715 x**3)) or its slope, for float32."""
        if x.type != "f32" or order > 1:
            return None
        w = x.to("f64")
        rate, cube = 2.0 * sqrt(2.0 / pi), 0.044715
        c = s._between(w, -25.0, 25.0)
        square = c * c
        g = 1.0 / (s._exp_between(c * -rate * s.fma(square, cube, 1.0)) + 1.0)
        if order == 0:
            return (s.select(w > c, w, c) * g).to("f32")
        return (g * s.fma(c * (1.0 - g), s.fma(square, 3.0 * cube * rate, rate), 1.0)).to("f32")

    def silu(s, x: Expr, order: int = 0) -> Expr | None:
        """x sigmoid(x) or its slope, for float32."""
        if x.type != "f32" or order > 1:
            return None
        c = s._between(x.to("f64"), -700.0, 700.0)
        g = 1.0 / (s._exp_between(-c) + 1.0)
        if order == 0:
            return s.select(x > 700.0, x, (c * g).to("f32"))
        return (g * s.fma(c, 1.0 - g, 1.0)).to("f32")

    # ---------------------------------------------------------------------------------------------- powers, products

    def pow(s, x: Expr, y: Expr) -> Expr | None:
        """x**y for float32 and x > 0."""
        return s._pow(x.to("f64"), y.to("f64")).to("f32") if x.type == "f32" else None

    def _pow(s, x: Expr, y: Expr) -> Expr:
        s.refuse(~(s.isfinite(x) & s.isfinite(y)) | (x <= 0.0))
        return s._exp(s._between(y * s._log(x, True), -700.0, 700.0), True)

    def power_slope(s, x: Expr, y: Expr, k: int, m: int) -> Expr | None:
        """The first derivatives of x**y, for float32 and x > 0."""
        if x.type != "f32" or k + m != 1:
            return None
        a, b = x.to("f64"), y.to("f64")
        if k:
            return s.select(b.eq(0.0), b, b * s._pow(a, b - 1.0)).to("f32")
        return (s._pow(a, b) * s._log(a, True)).to("f32")

    def int_pow(s, x: Expr, n: int) -> Expr | None:
        """x**n by multiplication, in float64 for float32."""
        if x.type == "f32":
            return s._product(x.to("f64"), n).to("f32") if -16 <= n <= 16 else None
        if x.type == "f64":
            return s._product(x, n) if n in (-1, 0, 1, 2, 3) else None
        return s._product(x, n) if 0 <= n <= 16 else None

    def _product(s, x: Expr, n: int) -> Expr:
        if n <= 0:
            return x.of(1) if n == 0 else 1.0 / s._product(x, -n)
        r: Expr | None = None
        while n:
            if n & 1:
                r = x if r is None else r * x
            n >>= 1
            if n:
                x = x * x
        assert r is not None
        return r

    def _rsqrt(s, x: Expr, short: bool) -> Expr:
        return 1.0 / s.sqrt(x)

    def _xlogy(s, x: Expr, y: Expr, short: bool) -> Expr:
        return s.select(x.eq(0.0), x.of(0.0), x * s._log(y, short))

    rsqrt, xlogy = _through(_rsqrt), _through(_xlogy)

    def scaled(s, x: Expr, factor: float) -> Expr:
        """x times a float64 number, rounded once."""
        return (x.to("f64") * factor).to(x.type)

    # ---------------------------------------------------------------------------------------- signs, gates, dtypes

    def sign(s, x: Expr) -> Expr:
        """-1, 0 or 1; NaN stays."""
        if x.type[0] == "u":
            return s.select(x.eq(0), x, 1)
        return s.select(x > 0, x.of(1), s.select(x < 0, x.of(-1), s.select(x.eq(0), 0, x)))

    def gate(s, t: Expr, x: Expr, low: float, high: float, below: float, inside: float, above: float) -> Expr:
        """t times the slope of a piecewise linear function at x; a slope of 0 gives 0."""
        def part(slope: float) -> Expr:
            return t if slope == 1.0 else s.scaled(t, slope) if slope else t.of(0.0)

        if high == _INF and inside == 1.0 and below == 0.0:
            return s.select(x > low, t, 0.0)
        if below == above == 0.0 and inside == 1.0:
            return s.select((x > low) & (x < high), t, 0.0)
        right = part(inside) if high == _INF else s.select(x.to("f64") >= high, part(above), part(inside))
        return s.select(x.to("f64") <= low, part(below), right)

    def cast(s, x: Expr, name: str) -> Expr | None:
        """To the dtype ``name``; floats that do not fit an integer are left to NumPy."""
        target = NAMES.get(name)
        if target is None:
            return None
        if x.floating and target[0] in "iu":
            bits = BITS[target]
            if bits < 32 or target == "u64":
                return None
            low, high = (0.0, 2.0**bits) if target[0] == "u" else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1))
            s.refuse(~((x >= low) & (x < high)))
        return x.to(target)


__all__ = ["Functions"]

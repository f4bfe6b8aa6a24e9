"""More functions of lowering rules: activations, inverse functions, functions of a point of the plane.

Those that are seldom in a hot loop are computed in float64 for float32 too, and rounded once (``wide``).
"""
from __future__ import annotations

from collections.abc import Callable
from math import factorial, pi, sqrt
from typing import Any

import numpy as np

from . import coefficients as C
from .elementary import Elementary
from .exponential import F64, Pair, format_of
from .vocabulary import Expr

_INF, _NAN = float("inf"), float("nan")
_LOG2 = C.F64.LN2[0]
_SHRINK = (0.0, *(2.0 * k / factorial(2 * k + 1) for k in range(1, 17)))   # (x - tanh(x)) cosh(x) / x in x**2
_SELU = (1.0507009873554804934193349852946, 1.7580993408473768599402175208123)   # slope right of 0, and limit left of it


def wide(f: Callable[..., Any]) -> Any:
    """A function on f64 expressions, made to take both float types; None where it has no way."""

    def function(s: Further, *xs: Expr, **params: Any) -> Expr | None:
        narrow = xs[0].type == "f32"
        made = f(s, *[x.to("f64") for x in xs] if narrow else xs, narrow=narrow, **params)
        return made.to("f32") if narrow and made is not None else made  # type: ignore[no-any-return]

    function.__doc__ = f.__doc__
    function.__name__ = f.__name__
    return function


class Further(Elementary):
    """The vocabulary with these functions."""

    def _constant_times(s, x: Expr, factor: float) -> Expr:
        """factor x for a finite x, the factor in two parts in f32."""
        if x.type == "f64":
            return x * factor
        head = float(np.float32(factor))
        low = float(np.float32(factor - head))
        return s.fma(x, head, x * low) if low else x * head

    def narrow_log1p(s, x: Expr) -> Expr:
        """log(1 + x), f64 in and out, to 38 bits."""
        u = x + 1.0
        k, f = s._split64(u)
        f = s.select(k.eq(0.0), x, f)
        return s.select(x.eq(0.0), x, s._log_edges(u, s.fma(k, _LOG2, f * s.polynomial(C.Narrow.LOG, f))))

    # ---------------------------------------------------------------------------------------------------- activations

    def elu(s, x: Expr, order: int, alpha: float, width: float = 1.0, right: float = 1.0) -> Expr:
        """right x where positive, else alpha (exp(x / width) - 1), or a derivative."""
        low = s._from(s.select(x > 0.0, 0.0, x), format_of(x).low * 1.01 * width)
        p = s._power(low) if width == 1.0 else s._power(*s._quotient(low, width))
        if order:
            left = s._constant_times(s._value(p), alpha / width**order)
            return s.select(x > 0.0, right if order == 1 else 0.0, left)
        scale = p.a * p.b
        e = s.fma(scale, p.rest, scale - 1.0)
        left = s.select(x.eq(0.0), x, s._constant_times(e, alpha))
        return s.select(x > 0.0, x if right == 1.0 else (x.to("f64") * right).to(x.type), left)

    def _quotient(s, x: Expr, d: float) -> Pair:
        head = d if x.type == "f64" else float(np.float32(d))
        q = x / head
        return Pair(q, s.fma(q, head - d, s.fma(q, -head, x)) * (1.0 / d))

    def selu(s, x: Expr, order: int) -> Expr:
        return s.elu(x, order, _SELU[1], right=_SELU[0])

    def softsign(s, x: Expr, order: int) -> Expr | None:
        """x / (1 + |x|), or its slope."""
        if order > 1:
            return None
        a = s._up_to(abs(x), 1e30 if x.type == "f32" else 1e300)
        d = a + 1.0
        q = 1.0 / d
        lost = s.select(a < 1.0, a - (d - 1.0), 1.0 - (d - a))
        r = s.fma(-lost, q, s.fma(-d, q, 1.0))
        if order == 0:
            t = s._product(a, q, r)
            return s.copysign(t.head + t.tail, x)
        t = s._product(q, q, r + r)
        return t.head + t.tail

    def ndtr(s, x: Expr, order: int) -> Expr | None:
        """The normal distribution function, or its density."""
        if order > 1:
            return None
        f = format_of(x)
        a = s._up_to(abs(x), f.bell)
        p = s._bell(a, 0.5)
        if order:
            return s._times(Pair(x.of(f.c.DENSITY[0]), x.of(f.c.DENSITY[1])), p)
        tail = s._times(s._tail(a, None, p), p)
        return s.select(x > 0.0, 1.0 - tail, tail)

    def _mish(s, x: Expr, narrow: bool, order: int) -> Expr | None:
        """x tanh(softplus(x)), or its slope, for float32."""
        if not narrow or order > 1:
            return None
        c = s._between(x, -400.0, 400.0)
        e = s.exp(-abs(c))
        up = x > 0.0
        d = s.select(up, s.fma(e * 2.0, e + 1.0, 1.0), s.fma(e, e + 2.0, 2.0))
        part = s.select(up, s.fma(e, 2.0, 1.0), e * (e + 2.0)) / d
        if order == 0:
            return s.select(up, x, c) * part
        return part + c * (s.select(up, e * e, e) * 4.0 * (e + 1.0)) / (d * d)

    def _log_cosh(s, x: Expr, narrow: bool, order: int) -> Expr | None:
        if order > 2:
            return None
        if order:
            return (s.tanh, s.sech2)[order - 1](x)
        a = abs(x)
        e = s.expm1(s._up_to(a, 1.0))
        near = s.log1p(e * (e / (e + 1.0)) * 0.5)        # cosh(x) - 1
        return s.select(a < 1.0, near, a + (s.log1p(s.exp(a * -2.0)) - _LOG2))

    def _tanhshrink(s, x: Expr, narrow: bool, order: int) -> Expr | None:
        """x - tanh(x) or its slope; near 0 by a series of positive terms."""
        if order > 1:
            return None
        t = s.tanh(x)
        if order:
            return t * t
        small = s.select(abs(x) < 2.0, x, 0.0)
        e = s.exp(abs(small))
        near = small * s.polynomial(_SHRINK, small * small) / ((e + 1.0 / e) * 0.5)
        return s.select(abs(x) < 2.0, near, x - t)

    def _squareplus(s, x: Expr, narrow: bool, order: int, b: float) -> Expr | None:
        """(x + sqrt(x**2 + b)) / 2, or its first or second derivative."""
        if order > 2:
            return None
        a = abs(x)
        if order == 2:
            c = s._up_to(a, 1e150)
            w = s.fma(c, c, b)
            return 0.5 * b / w / s.sqrt(w)
        q = s.select(a > 1e100, a, s.sqrt(s.fma(a, a, b)))
        f = s.select(x >= 0.0, a * 0.5 + q * 0.5, 0.25 * b / (a * 0.5 + q * 0.5))
        if order == 0:
            return f
        return s.select(s.isinf(x), s.select(x > 0.0, x.of(1.0), 0.0), f / q)

    def _hard_silu(s, x: Expr, narrow: bool, order: int) -> Expr:
        """x clip(x + 3, 0, 6) / 6, or a derivative."""
        inside = (x > -3.0) & (x < 3.0)
        if order == 0:
            return s.select(x <= -3.0, 0.0, s.select(x >= 3.0, x, x * ((x + 3.0) / 6.0)))
        if order == 1:
            return s.select(inside, (x * 2.0 + 3.0) / 6.0, s.select(x >= 3.0, x.of(1.0), 0.0))
        return s.select(inside, x.of(1.0 / 3.0 if order == 2 else 0.0), 0.0)

    def _hard_sigmoid(s, x: Expr, narrow: bool) -> Expr:
        return (s._between(x, -3.0, 3.0) + 3.0) / 6.0

    def _soft_shrink(s, x: Expr, narrow: bool, width: float) -> Expr:
        return s.select(abs(x) > width, x - s.copysign(width, x), s.select(x < 0.0, -0.0, abs(x) * 0.0))

    mish, log_cosh, tanhshrink = wide(_mish), wide(_log_cosh), wide(_tanhshrink)
    squareplus, hard_silu = wide(_squareplus), wide(_hard_silu)
    hard_sigmoid, soft_shrink = wide(_hard_sigmoid), wide(_soft_shrink)

    # ------------------------------------------------------------------------------------- of exponentials, logarithms

    def _difference(s, x: Expr, y: Expr) -> Pair:
        """x - y with the rounding error, 0 for equal ones; a head that is not finite has the tail 0."""
        d = s.select(x.eq(y), 0.0, x - y)
        back = d - x
        low = (x - (d - back)) - (y + back)
        return Pair(d, s.select((abs(d) < format_of(x).gone) & x.ne(y), low, 0.0))

    def logistic_difference(s, x: Expr, y: Expr) -> Expr:
        """1 / (1 + exp(y - x))."""
        d, low = s._difference(x, y)
        p = s._power(s._from(-abs(d), -format_of(x).gone), s.select(d < 0.0, low, -low))
        e = s._value(p)
        q, r = s._inverse(e)
        t = s._product(e, q, r)
        return s.select(d >= 0.0, s.fma(q, r, q), t.head + t.tail)

    def _logaddexp(s, x: Expr, y: Expr, narrow: bool) -> Expr:
        d, low = s._difference(x, y)
        e = s._value(s._power(s._from(-abs(d), -F64.gone), s.select(d < 0.0, low, -low)))
        return s.maximum(x, y) + s.fma(e * e, s.horner(C.F64.SOFT, e), e)

    def _xlog1py(s, x: Expr, y: Expr, narrow: bool) -> Expr:
        return s.select(x.eq(0.0), 0.0, x * (s.narrow_log1p if narrow else s.log1p)(y))

    def _logit(s, x: Expr, narrow: bool, order: int) -> Expr | None:
        """log(x / (1 - x)), or its slope."""
        if order > 1:
            return None
        rest = 1.0 - x
        if order:
            return 1.0 / (s.select((x >= 0.0) & (x <= 1.0), x + 0.0, _NAN) * rest)
        return s.select(abs(x - 0.5) < 0.25, s.log1p((x * 2.0 - 1.0) / rest), s.log(x) - s.log1p(-x))

    def _entr(s, x: Expr, narrow: bool, order: int) -> Expr | None:
        """-x log(x), or its slope."""
        if order > 1:
            return None
        if order:
            return -s.log(x) - 1.0
        return s.select(x.eq(0.0), 0.0, s.select(x < 0.0, -_INF, -x * s.log(x)))

    logaddexp, xlog1py, logit, entr = wide(_logaddexp), wide(_xlog1py), wide(_logit), wide(_entr)

    # ---------------------------------------------------------------------------------------------- inverse functions

    def _turn_of(s, a: Expr, narrow: bool, ratio: bool) -> Expr:
        """atan(a) for a >= 0, with ``ratio`` for 0 <= a <= 1; f64."""
        middle = a > sqrt(2.0) - 1.0
        t = s.select(middle, (a - 1.0) / (a + 1.0), a)
        base, low = s.select(middle, a.of(pi / 4), 0.0), s.select(middle, a.of(C.F64.PIO2[1] / 2), 0.0)
        if not ratio:
            far = a > sqrt(2.0) + 1.0
            t = s.select(far, -1.0 / a, t)
            base, low = s.select(far, pi / 2, base), s.select(far, C.F64.PIO2[1], low)
        z = t * t
        return base + (t + s.fma(z * t, s.polynomial((C.Narrow if narrow else C.F64).ATAN, z), low))

    def _atan(s, x: Expr, narrow: bool) -> Expr:
        return s.copysign(s._turn_of(abs(x), narrow, False), x)

    def _atan2(s, y: Expr, x: Expr, narrow: bool) -> Expr:
        a, b = abs(y), abs(x)
        up = a > b
        small, large = s.select(up, b, a), s.select(up, a, b)
        t = s._turn_of(s.select(large.eq(0.0), 0.0, s.select(small.eq(_INF), 1.0, small / large)), narrow, True)
        t = s.select(up, pi / 2 - (t - C.F64.PIO2[1]), t)
        t = s.select(s.copysign(1.0, x) < 0.0, pi - (t - 2 * C.F64.PIO2[1]), t)
        return s.copysign(s.select(x.eq(x) & y.eq(y), t, _NAN), y)

    def _arc(s, a: Expr, narrow: bool) -> tuple[Expr, Expr]:
        """asin(a) for 0 <= a <= 1/2, and acos(a) beyond; f64."""
        far = a > 0.5
        z = s.select(far, (1.0 - a) * 0.5, a * a)
        t = s.select(far, s.sqrt(z), a)
        y = s.fma(z * t, s.polynomial((C.Narrow if narrow else C.F64).ASIN, z), t)
        return y, y + y

    def _asin(s, x: Expr, narrow: bool) -> Expr:
        a = abs(x)
        near, far = s._arc(a, narrow)
        return s.copysign(s.select(a > 0.5, pi / 2 - (far - C.F64.PIO2[1]), near), x)

    def _acos(s, x: Expr, narrow: bool) -> Expr:
        a = abs(x)
        near, far = s._arc(a, narrow)
        return s.select(a > 0.5, s.select(x < 0.0, pi - (far - 2 * C.F64.PIO2[1]), far),
                        pi / 2 - (s.copysign(near, x) - C.F64.PIO2[1]))

    def _asinh(s, x: Expr, narrow: bool) -> Expr:
        a = abs(x)
        b = s._up_to(a, 2.0**28)
        square = b * b
        near = (s.narrow_log1p if narrow else s.log1p)(b + square / (s.sqrt(square + 1.0) + 1.0))
        return s.copysign(s.select(a > 2.0**28, (s.narrow_log if narrow else s.log)(a) + _LOG2, near), x)

    def _acosh(s, x: Expr, narrow: bool) -> Expr:
        t = s._up_to(x, 2.0**28) - 1.0
        near = (s.narrow_log1p if narrow else s.log1p)(t + s.sqrt(t * (t + 2.0)))
        return s.select(x > 2.0**28, (s.narrow_log if narrow else s.log)(x) + _LOG2, s.select(x < 1.0, _NAN, near))

    def _atanh(s, x: Expr, narrow: bool) -> Expr:
        a = abs(x)
        return s.copysign((s.narrow_log1p if narrow else s.log1p)((a + a) / (1.0 - a)) * 0.5, x)

    def _root_power(s, x: Expr, narrow: bool, form: str, n: int, m: int) -> Expr | None:
        """x**m q**(-n/2) with q = 1 - x**2, 1 + x**2 or x**2 - 1."""
        if n > (5 if narrow else 2) or (m and not narrow):
            return None
        a = abs(x)
        if form == "circle":
            q = (1.0 - a) * (1.0 + a)
        elif form == "line":
            q = s.fma(a, a, 1.0)
        else:
            q = s.select(x < 1.0, _NAN, (x - 1.0) * (x + 1.0))
        r = s.sqrt(q) if n % 2 else q
        for _ in range((n - 1) // 2):
            r = r * q
        r = (x if m else 1.0) / r
        if form == "circle":
            return r
        if narrow:
            return s.select(a.eq(_INF), s.copysign(0.0, x) if m else x.of(0.0), r)
        return s.select(a > 1e100, 1.0 / a if n == 1 else 1.0 / a / a, r)

    def _cbrt(s, x: Expr, narrow: bool) -> Expr:
        a = abs(x)
        small = a < 2.0**-1000
        c = s.select(small, a * 2.0**54, a)
        r = s.narrow_exp(s.narrow_log(c) * (1.0 / 3.0))
        r = (r - (r - c / (r * r)) * (1.0 / 3.0)) * s.select(small, x.of(2.0**-18), 1.0)
        return s.copysign(s.select(a.eq(0.0) | a.eq(_INF), a, r), x)

    def _cbrt_slope(s, x: Expr, narrow: bool) -> Expr:
        r = s._cbrt(x, narrow) / x / 3.0
        return s.select(s.isinf(x), 0.0, s.select(x.eq(0.0), _INF, r))

    atan, atan2, asin, acos = wide(_atan), wide(_atan2), wide(_asin), wide(_acos)
    asinh, acosh, atanh, root_power = wide(_asinh), wide(_acosh), wide(_atanh), wide(_root_power)
    cbrt, cbrt_slope = wide(_cbrt), wide(_cbrt_slope)

    # ------------------------------------------------------------------------------------------- a point of the plane

    def _near_one(s, x: Expr, y: Expr, narrow: bool) -> tuple[Expr, Expr, Expr, Expr]:
        """The point times ``up`` and ``down``, so that no square overflows or vanishes: powers of two, one of them 1."""
        one = x.of(1.0)
        if narrow:
            return x, y, one, one
        top = s.maximum(abs(x), abs(y))
        up = s.select(top < 2.0**-480, x.of(2.0**600), 1.0)
        down = s.select(top > 2.0**480, x.of(2.0**-600), 1.0)
        return x * up * down, y * up * down, up, down

    def _hypot(s, x: Expr, y: Expr, narrow: bool) -> Expr:
        u, v, up, down = s._near_one(x, y, narrow)
        r = s.sqrt(s.fma(u, u, v * v))
        return s.select(s.isinf(x) | s.isinf(y), _INF, r if narrow else r / (up * down))

    def _direction(s, x: Expr, y: Expr, narrow: bool) -> Expr:
        """x / hypot(x, y), and 0 at the origin."""
        s.refuse(s.isinf(x) | s.isinf(y))
        u, v, up, down = s._near_one(x, y, narrow)
        r = s.sqrt(s.fma(u, u, v * v))
        return s.select(r.eq(0.0), x, x / r if narrow else x * up / r * down)

    def _hypot_slope(s, x: Expr, y: Expr, narrow: bool, c: float, a: int, b: int, k: int) -> Expr | None:
        """c x**a y**b / hypot(x, y)**(a + b + k - 1), and 0 at the origin, for float32."""
        roots = a + b + k - 1
        if not narrow or roots > 6:
            return None
        s.refuse(s.isinf(x) | s.isinf(y))
        q = s.fma(x, x, y * y)
        r = x.of(c)
        for factor in [x] * a + [y] * b:
            r = r * factor
        for _ in range(roots // 2):
            r = r / q
        if roots % 2:
            r = r / s.sqrt(q)
        return s.select(q.eq(0.0), 0.0, r)

    def _turn(s, x: Expr, y: Expr, narrow: bool, c: float, n: int, part: str) -> Expr | None:
        """c times the real or imaginary part of (x + i y)**-n, and 0 at the origin."""
        if n > (2 if narrow else 1):
            return None
        s.refuse(s.isinf(x) | s.isinf(y))
        u, v, up, down = s._near_one(x, y, narrow)
        q = s.fma(u, u, v * v)
        if n == 2:
            r = c * ((u - v) * (u + v) if part == "re" else u * v * -2.0) / q / q
        else:
            r = c * ((x if part == "re" else -y) * up) / q
            r = r if narrow else r * up * down * down
        return s.select(q.eq(0.0), 0.0, r)

    hypot, direction, hypot_slope, turn = wide(_hypot), wide(_direction), wide(_hypot_slope), wide(_turn)


__all__ = ["Further"]

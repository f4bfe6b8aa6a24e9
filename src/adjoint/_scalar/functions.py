"""The scalar vocabulary with the functions that lowering rules use."""
from __future__ import annotations

from .further import Further
from .vocabulary import BITS, HALVES, NAMES, Expr

_INF = float("inf")


class Functions(Further):
    """The vocabulary with the functions that lowering rules use."""

    # ---------------------------------------------------------------------------------------------- powers, products

    def int_pow(s, x: Expr, n: int) -> Expr | None:
        """x**n: by multiplication, in float64 for float32, where that is exact enough."""
        if x.type == "f32":
            return s._power_of(x.to("f64"), n).to("f32") if -16 <= n <= 16 else None
        if x.type == "f64":
            return s._power_of(x, n) if -1 <= n <= 4 else s.pow(x, x.of(n))
        return s._power_of(x, n) if 0 <= n <= 16 else None

    def _power_of(s, x: Expr, n: int) -> Expr:
        if n <= 0:
            return x.of(1) if n == 0 else 1.0 / s._power_of(x, -n)
        r: Expr | None = None
        while n:
            if n & 1:
                r = x if r is None else r * x
            n >>= 1
            if n:
                x = x * x
        assert r is not None
        return r

    def rsqrt(s, x: Expr) -> Expr:
        """1 / sqrt(x): both roundings made good."""
        root = s.sqrt(x)
        q = 1.0 / root
        r = s.fma(s.fma(-root, root, x) * q * -0.5, q, s.fma(-root, q, 1.0))
        return s.select((x > 0.0) & (x < _INF), s.fma(q, r, q), q)

    def xlogy(s, x: Expr, y: Expr) -> Expr:
        if x.type == "f32":
            return s.select(x.eq(0.0), x.of(0.0), (x.to("f64") * s.narrow_log(y.to("f64"))).to("f32"))
        return s.select(x.eq(0.0), x.of(0.0), x * s.log(y))

    def fmod(s, x: Expr, y: Expr) -> Expr:
        """x - y * trunc(x / y), which is exact; a quotient of more than 52 bits is refused."""
        if x.type == "f32":
            return s.fmod(x.to("f64"), y.to("f64")).to("f32")
        a, b = abs(x), abs(y)
        q = s.trunc(a / b)
        s.refuse((q >= 2.0**52) & s.isfinite(a) & (b > 0.0))
        r = s.fma(-q, b, a)                              # q may be one too large, or too small
        r = s.select(r < 0.0, r + b, r)
        r = s.select(r >= b, r - b, r)
        return s.copysign(s.select(b.eq(_INF) & (a < _INF), a, r), x)

    def remainder(s, x: Expr, y: Expr) -> Expr:
        """x - y * floor(x / y)."""
        if not x.floating:
            rest = s.divided(x, y)[1]
            return rest if x.type[0] == "u" else s.select(rest.ne(0) & (rest < 0).ne(y < 0), rest + y, rest)
        rest = s.fmod(x, y)
        return s.select(rest.eq(0.0), s.copysign(0.0, y), s.select((rest < 0.0).ne(y < 0.0), rest + y, rest))

    def floor_divide(s, x: Expr, y: Expr) -> Expr:
        """floor(x / y), by way of the remainder."""
        if not x.floating:
            q, rest = s.divided(x, y)
            return q if x.type[0] == "u" else s.select(rest.ne(0) & (rest < 0).ne(y < 0), q - 1, q)
        rest = s.fmod(x, y)
        q = (x - rest) / y
        q = s.select(rest.ne(0.0) & (rest < 0.0).ne(y < 0.0), q - 1.0, q)
        whole = s.floor(q)
        whole = s.select(q - whole > 0.5, whole + 1.0, whole)
        return s.select(y.eq(0.0), x / y, s.select(q.eq(0.0), s.copysign(0.0, x / y), whole))

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
        target = NAMES.get(name) or HALVES.get(name)
        if target is None or (name in HALVES and x.type not in ("b", "f32", *HALVES.values())):
            return None                                  # by way of f32 others would be rounded twice
        if x.type in HALVES.values():
            x = x.to("f32")
        if x.floating and target[0] in "iu":
            bits = BITS[target]
            if bits < 32 or target == "u64":
                return None
            low, high = (0.0, 2.0**bits) if target[0] == "u" else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1))
            s.refuse(~((x >= low) & (x < high)))
        return x.to(target)


__all__ = ["Functions"]

"""The scalar vocabulary: what an elementwise operation does to one element, as an expression that any engine can print.

Types are named by kind and bits: f32 f64, i8 ... i64, u8 ... u64, b (a truth value), and f16 bf16, which there is nothing
for but ``convert`` and constants: what is stored in them is computed in f32 and rounded once. Operations:

    const  input  read                          values; one is read so many elements further on
    add sub mul div neg fma                     arithmetic (integers wrap); fma is a*b + c rounded once, div is of floats
    quotient rest                               of integers, towards zero; not by 0, and not by -1
    abs sqrt floor rint trunc copysign          floats, without rounding of their own but for sqrt
    lt le eq ne                                 comparisons, all false beside NaN but for ne
    and or xor not shl shr                      bits (shr fills with zeros) and truth values
    select                                      (condition, where true, where false)
    convert bitcast                             to another type by value, or keeping the bits
    refuse                                      a truth value that says: for this element ask the NumPy kernel
"""
from __future__ import annotations

from typing import Any

FLOATS = ("f32", "f64")
BITS = {"b": 1, "f16": 16, "bf16": 16, "f32": 32, "f64": 64, "i8": 8, "i16": 16, "i32": 32, "i64": 64,
        "u8": 8, "u16": 16, "u32": 32, "u64": 64}

NAMES = {"bool": "b", "float32": "f32", "float64": "f64",
         **{f"{k}{n}": f"{k[0]}{n}" for k in ("int", "uint") for n in (8, 16, 32, 64)}}   # dtypes -> types
HALVES = {"float16": "f16", "bfloat16": "bf16"}          # those that are only stored


class Expr:
    """One operation on expressions; equal ones are the same object within one builder."""

    __slots__ = ("args", "op", "s", "type", "value")

    def __init__(self, s: Vocabulary, op: str, type: str, args: tuple[Expr, ...], value: Any) -> None:
        self.s, self.op, self.type, self.args, self.value = s, op, type, args, value

    def of(self, value: Any) -> Expr:
        """A constant of this expression's type; an expression stays what it is."""
        return value if value.__class__ is Expr else self.s.const(value, self.type)

    def _two(self, op: str, a: Any, b: Any, type: str = "") -> Expr:
        return self.s.make(op, type or self.type, (self.of(a), self.of(b)))

    def __add__(self, other: Any) -> Expr:
        return self._two("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return self._two("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return self._two("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return self._two("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return self._two("and" if self.type == "b" else "mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return self._two("and" if self.type == "b" else "mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return self._two("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return self._two("div", other, self)

    def __neg__(self) -> Expr:
        return self.args[0] if self.op == "neg" else self.s.make("neg", self.type, (self,))

    def __abs__(self) -> Expr:
        if self.type[0] == "u":
            return self
        return self.s.make("abs", self.type, (self.args[0] if self.op == "neg" else self,))

    def __lt__(self, other: Any) -> Expr:
        return self._two("lt", self, other, "b")

    def __le__(self, other: Any) -> Expr:
        return self._two("le", self, other, "b")

    def __gt__(self, other: Any) -> Expr:
        return self._two("lt", other, self, "b")

    def __ge__(self, other: Any) -> Expr:
        return self._two("le", other, self, "b")

    def eq(self, other: Any) -> Expr:
        return self._two("eq", self, other, "b")

    def ne(self, other: Any) -> Expr:
        return self._two("ne", self, other, "b")

    def __and__(self, other: Any) -> Expr:
        return self._two("and", self, other)

    def __or__(self, other: Any) -> Expr:
        return self._two("or", self, other)

    def __xor__(self, other: Any) -> Expr:
        return self._two("xor", self, other)

    def __invert__(self) -> Expr:
        return self.s.make("not", self.type, (self,))

    def __lshift__(self, n: int) -> Expr:
        return self._two("shl", self, n)

    def __rshift__(self, n: int) -> Expr:
        return self._two("shr", self, n)

    def to(self, type: str) -> Expr:
        """This value as another type."""
        if type == self.type:
            return self
        halves = HALVES.values()
        if "f32" not in (type, self.type) and (type in halves or self.type in halves):
            return self.to("f32").to(type)
        return self.s.make("convert", type, (self,))

    def bits(self, type: str) -> Expr:
        """The same bits as another type."""
        return self.s.make("bitcast", type, (self,))

    @property
    def floating(self) -> bool:
        return self.type in FLOATS

    def __repr__(self) -> str:
        inside = [repr(a) for a in self.args] + ([repr(self.value)] if self.value is not None else [])
        return f"{self.op}.{self.type}({', '.join(inside)})"


class Vocabulary:
    """Makes expressions; keeps one of each, and the conditions under which the NumPy kernel has to decide."""

    def __init__(self) -> None:
        self._known: dict[Any, Expr] = {}
        self.refused: list[Expr] = []

    def make(self, op: str, type: str, args: tuple[Expr, ...] = (), value: Any = None) -> Expr:
        key = (op, type, args, repr(value) if value.__class__ is float else value)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Expr(self, op, type, args, value)
        return found

    def const(self, value: Any, type: str) -> Expr:
        number: Any = float(value) if type in FLOATS or type in HALVES.values() else bool(value) if type == "b" else int(value)
        return self.make("const", type, (), number)

    def input(self, type: str, number: int) -> Expr:
        return self.make("input", type, (), number)

    def fma(self, a: Any, b: Any, c: Any) -> Expr:
        like = next(v for v in (a, b, c) if v.__class__ is Expr)
        return self.make("fma", like.type, (like.of(a), like.of(b), like.of(c)))

    def divided(self, x: Expr, y: Expr) -> tuple[Expr, Expr]:
        """Quotient towards zero and rest of integers; both are 0 where y is."""
        by = self.select(y.eq(0) if y.type[0] == "u" else y.eq(0) | y.eq(-1), 1, y)
        quotient, rest = (self.make(op, x.type, (x, by)) for op in ("quotient", "rest"))
        if y.type[0] != "u":
            quotient = self.select(y.eq(-1), -x, quotient)
        return self.select(y.eq(0), 0, quotient), rest

    def select(self, condition: Expr, x: Any, y: Any) -> Expr:
        like = x if x.__class__ is Expr else y
        return self.make("select", like.type, (condition, like.of(x), like.of(y)))

    def one(self, op: str, x: Expr) -> Expr:
        return self.make(op, x.type, (x,))

    def absolute(self, x: Expr) -> Expr:
        return abs(x)

    def sqrt(self, x: Expr) -> Expr:
        return self.one("sqrt", x)

    def floor(self, x: Expr) -> Expr:
        return self.one("floor", x) if x.floating else x

    def ceil(self, x: Expr) -> Expr:
        return -self.one("floor", -x) if x.floating else x

    def rint(self, x: Expr) -> Expr:
        return self.one("rint", x) if x.floating else x

    def trunc(self, x: Expr) -> Expr:
        return self.one("trunc", x) if x.floating else x

    def copysign(self, x: Any, y: Expr) -> Expr:
        return self.make("copysign", y.type, (y.of(x), y))

    def isnan(self, x: Expr) -> Expr:
        return x.ne(x) if x.floating else self.const(False, "b")

    def isinf(self, x: Expr) -> Expr:
        return abs(x).eq(float("inf")) if x.floating else self.const(False, "b")

    def isfinite(self, x: Expr) -> Expr:
        return abs(x) < float("inf") if x.floating else self.const(True, "b")

    def maximum(self, x: Any, y: Any) -> Expr:
        """The larger; NaN wins."""
        x = x if x.__class__ is Expr else y.of(x)
        y = x.of(y)
        larger = x > y
        return self.select(larger | self.isnan(x) if x.floating else larger, x, y)

    def minimum(self, x: Any, y: Any) -> Expr:
        """The smaller; NaN wins."""
        x = x if x.__class__ is Expr else y.of(x)
        y = x.of(y)
        smaller = x < y
        return self.select(smaller | self.isnan(x) if x.floating else smaller, x, y)

    def polynomial(self, c: tuple[float, ...], x: Expr) -> Expr:
        """The polynomial with coefficients ``c`` (constant first), in two interleaved halves, which is sooner done."""
        if len(c) < 5:
            return self.horner(c, x)
        square = x * x
        return self.fma(self.horner(c[1::2], square), x, self.horner(c[::2], square))

    def horner(self, c: tuple[float, ...], x: Expr) -> Expr:
        """The same from the highest power down, which suits coefficients that cancel."""
        r = x.of(c[-1])
        for a in c[-2::-1]:
            r = self.fma(r, x, a)
        return r

    def place(self, index: Expr, size: int) -> Expr:
        """An index of an axis as a number from 0 on; negative ones count from the end, and one out of range is refused."""
        i = index.to("i64")
        if index.type[0] != "u":
            i = self.select(i < 0, i + size, i)
        fits = i.bits("u64") < size
        self.refuse(~fits)
        return self.select(fits, i, 0)

    def refuse(self, condition: Expr) -> None:
        """Where ``condition`` holds for any element, the whole is left to the NumPy kernels."""
        self.refused.append(condition)


__all__ = ["BITS", "FLOATS", "HALVES", "NAMES", "Expr", "Vocabulary"]

"""How a nest walks over memory, and its reductions: where they are added up, and how what was added up is put together."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._scalar import Expr
from ...plan.fusion import Nest
from .text import MEMORY, SIZE, TYPE, number

if TYPE_CHECKING:
    from .unit import UnitWriter

_WIDE = {"f16": "f64", "bf16": "f64", "f32": "f64"}      # where sums are added up
_SHORT = {"f16": "f32", "bf16": "f32"}                   # where they are compared
_MOSTLY = 4                                              # so many lines on float32 for each on float64
FEW = 512                                                # accumulators that stand on the stack


class Array:
    """Memory of a value: a pointer, its element type and how many there are."""

    __slots__ = ("pointer", "size", "type")

    def __init__(self, pointer: str, type: str, size: int) -> None:
        self.pointer, self.type, self.size = pointer, type, size


class Path:
    """How an array is walked: offset and strides along the outer axes and along the inner ones."""

    __slots__ = ("inner", "offset", "outer")

    def __init__(self, outer: list[int], inner: list[int], offset: int) -> None:
        self.outer, self.inner, self.offset = outer, inner, offset


class Reduction:
    """A reduction of a loop: its source, where it is added up, and the sum of the rounding errors."""

    __slots__ = (
        "array", "block", "by_row", "count", "errors", "how", "length", "out", "path", "shared", "shared_errors", "source",
        "wide")

    def __init__(self, how: str, out: int, count: int, source: Expr) -> None:
        self.how, self.out, self.count, self.source = how, out, count, source
        self.wide = (_WIDE if how in ("add", "mean") else _SHORT).get(source.type, source.type)
        self.array = Array("", self.wide, 0)
        self.errors: Array | None = None
        self.shared = self.shared_errors = self.array    # across rows: one for each piece
        self.block = ""
        self.by_row = False
        self.length = 1
        self.path = Path([], [], 0)

    @property
    def adds(self) -> bool:
        return self.how in ("add", "mean")


class Walker:
    """What the writer of a nest needs to read, to write and to add up."""

    def __init__(self, unit: UnitWriter, nest: Nest) -> None:
        self.unit, self.nest = unit, nest
        self.w, self.head, self.arrays = unit.w, unit.head, unit.arrays
        self.local: dict[int, Array] = {}                # buffers of one row
        self.given: dict[str, tuple[str, str]] | None = None   # outer name -> (type, own name), in a function of its own
        self.innermost = "", 0                           # the loop that was opened last, and where its body begins
        self.shifted: dict[tuple[str, int], str] = {}
        self.flag = "%refused"
        self.labels = 0

    def _exact(self, r: Reduction) -> bool:
        """Whether the sum is kept with its rounding errors."""
        return r.adds and r.source.type == "f64"

    def _name(self, theirs: str, type: str) -> str:
        """A name of the unit's function as the body knows it."""
        if self.given is None or not theirs.startswith("%"):
            return theirs
        if theirs not in self.given:
            self.given[theirs] = type, f"%g{len(self.given)}"
        return self.given[theirs][1]

    def _pointer(self, v: int, path: Path | None = None) -> tuple[str, bool]:
        """A value's memory, from where ``path`` begins in it, and whether it is a buffer of one row."""
        local = v in self.local
        pointer = self.local[v].pointer if local else self.arrays[v].pointer
        offset = 0 if path is None else path.offset
        shift = f"getelementptr inbounds {MEMORY[self.unit.type(v)]}, ptr {{}}, i64 {offset}"
        if offset and not local and v not in self.nest.at:
            key = pointer, offset                        # outside of a function of its own, so that other parts are alike
            if key not in self.shifted:
                self.shifted[key] = self.unit.w.set(shift.format(pointer))
            pointer, offset = self.shifted[key], 0
        if not local:
            pointer = self._name(pointer, "ptr")
        # What the nest itself writes has one name only: a function's pointers must not reach into each other's memory.
        return self.w.set(shift.format(pointer)) if offset else pointer, local

    def _alloca(self, type: str, size: int) -> str:
        name = self.w.fresh("m")
        self.head.append(f"  {name} = alloca {MEMORY[type]}, i64 {size}, align 64")
        return name

    def _at(self, pointer: str, type: str, path: Path, outer: list[str], inner: list[str], local: bool, further: str = "") -> str:
        """The address of an element; a buffer of one row does not move with the rows."""
        w = self.w
        at = self._sum(path, outer, inner, local)
        if further:
            at = w.set(f"add nsw i64 {at}, {further}") if at else further
        return w.set(f"getelementptr inbounds {MEMORY[type]}, ptr {pointer}, i64 {at}") if at else pointer

    def _sum(self, path: Path, outer: list[str], inner: list[str], local: bool) -> str:
        """Indices by strides, added up; "" for nothing, as an index too."""
        w = self.w
        at = ""
        terms = list(zip(inner, path.inner)) if local else [*zip(outer, path.outer), *zip(inner, path.inner)]
        for i, k in terms:
            if k and i:
                sign = "nsw" if k < 0 else "nuw nsw"
                term = i if k == 1 else w.set(f"mul {sign} i64 {i}, {k}")
                at = w.set(f"add nsw i64 {at}, {term}") if at else term
        return at

    def _open(self, low: str, high: str, step: int = 1) -> tuple[str, str, str, str]:
        w = self.w
        if self.given is None:
            self.unit.labels += 1
            self.labels = self.unit.labels
        else:
            self.labels += 1
        label, i = f"L{self.labels}", w.fresh("i")
        w.add(f"br label %{label}.in")
        w.label(f"{label}.in")
        w.add(f"br label %{label}")
        w.label(label)
        w.add(f"{i} = phi i64 [ {low}, %{label}.in ], [ {i}.n, %{label}.next ]")
        self.innermost = label, len(w.lines)
        return label, i, high, str(step)

    def _close(self, level: tuple[str, str, str, str]) -> None:
        label, i, high, step = level
        w = self.w
        w.add(f"br label %{label}.next")
        w.label(f"{label}.next")
        w.add(f"{i}.n = add nuw nsw i64 {i}, {step}")
        done = w.set(f"icmp uge i64 {i}.n, {high}")
        w.add(f"br i1 {done}, label %{label}.out, label %{label}{self._lanes(label, high)}")
        w.label(f"{label}.out")

    def _lanes(self, label: str, high: str) -> str:
        """Fills a register with float32 where little is float64: by itself the compiler goes by the widest type."""
        if self.innermost[0] != label:
            return ""
        body = self.w.lines[self.innermost[1]:]
        lanes = self.unit.width // SIZE["f32"]
        if any(f", ptr {self.flag}" in line for line in body) or (high.isdigit() and int(high) < lanes):
            return ""                                    # where a loop stays as it is the compiler would say so on stderr
        single, double = [sum(f" {type} " in line for line in body) for type in ("float", "double")]
        return f", !llvm.loop !WIDE{lanes}" if double and single >= _MOSTLY * double else ""

    # ----------------------------------------------------------------------------------------------------- reductions

    def _start(self, r: Reduction, piece: str) -> None:
        """Accumulators with their first values: on the stack where they are few."""
        if r.length <= FEW:
            r.array = Array(self._alloca(r.wide, r.length), r.wide, r.length)
            if self._exact(r):
                r.errors = Array(self._alloca("f64", r.length), "f64", r.length)
        else:
            r.array = Array(self._part(r.shared, r.length, piece), r.wide, r.length)
            if self._exact(r):
                r.errors = Array(self._part(r.shared_errors, r.length, piece), "f64", r.length)
        self._fill(r.array, number(0, r.wide) if r.adds else self._extreme(r))
        if r.errors is not None:
            self._fill(r.errors, number(0.0, "f64"))

    def _part(self, shared: Array, length: int, piece: str) -> str:
        w, pointer = self.w, self._name(shared.pointer, "ptr")
        if piece == "0":
            return pointer
        at = piece if length == 1 else w.set(f"mul nuw nsw i64 {piece}, {length}")
        return w.set(f"getelementptr inbounds {MEMORY[shared.type]}, ptr {pointer}, i64 {at}")

    def _hand_over(self, r: Reduction, piece: str) -> None:
        """What was added up on the stack goes to the piece's place."""
        if r.length > FEW:
            return
        for own, shared in ((r.array, r.shared), (r.errors, r.shared_errors)):
            if own is not None:
                to = self._part(shared, r.length, piece)
                self._each(r.length, lambda i, own=own, to=to: self.w.store(  # type: ignore[misc]
                    self.w.load(self._index(own.pointer, own.type, i), own.type), self._index(to, own.type, i), own.type))

    def _index(self, pointer: str, type: str, i: str) -> str:
        return self.w.set(f"getelementptr inbounds {MEMORY[type]}, ptr {pointer}, i64 {i}") if i else pointer

    def _extreme(self, r: Reduction) -> str:
        low = r.how == "max"
        t = r.wide
        if t[0] == "f":
            return number(float("-inf") if low else float("inf"), t)
        bits = SIZE[t] * 8
        if t[0] == "u":
            return "0" if low else str(2**bits - 1)
        return str(-(2 ** (bits - 1)) if low else 2 ** (bits - 1) - 1)

    def _fill(self, array: Array, value: str) -> None:
        t, w = TYPE[array.type], self.w
        self._each(array.size, lambda i: w.store(w.all(value, t), self._index(array.pointer, array.type, i), array.type))

    def _each(self, n: int, body: Any) -> None:
        if n == 1:
            body("")
            return
        w, lanes = self.w, 1 << min(self.unit.width // 4, n).bit_length() - 1
        level = self._open("0", str(n), lanes) if n > lanes else None
        i, self.innermost = level[1] if level else "0", ("", 0)
        if n % lanes:                                    # what was done is done again
            inside = w.set(f"icmp ult i64 {i}, {n - lanes}")
            i = w.set(f"select i1 {inside}, i64 {i}, i64 {n - lanes}")
        w.lanes = lanes
        body(i)
        w.lanes = 0
        if level:
            self._close(level)

    def _accumulate(self, r: Reduction, value: str, outer: list[str], inner: list[str]) -> None:
        w = self.w
        t = TYPE[r.wide]
        at = r.block or self._at(r.array.pointer, r.wide, r.path, outer, inner, r.by_row)
        value = w.convert(value, r.source.type, r.wide)
        if r.adds:
            if r.errors is not None and not r.block:
                self._compensated(at, self._at(r.errors.pointer, "f64", r.path, outer, inner, r.by_row), value)
                return
            before = w.load(at, r.wide)
            add = "fadd reassoc" if r.wide[0] == "f" else "add"
            w.store(w.set(f"{add} {t} {before}, {value}"), at, r.wide)
            return
        w.store(self._larger(r, w.load(at, r.wide), value), at, r.wide)

    def _joined(self, r: Reduction, a: str, b: str) -> str:
        if not r.adds:
            return self._larger(r, a, b)
        return self.w.set(f"{'fadd' if r.wide[0] == 'f' else 'add'} {self.w.vector(TYPE[r.wide])} {a}, {b}")

    def _larger(self, r: Reduction, before: str, value: str) -> str:
        w = self.w
        if r.wide[0] == "f":
            return w.call("maximum" if r.how == "max" else "minimum", r.wide, before, value)
        return w.call(("s" if r.wide[0] == "i" else "u") + r.how, r.wide, before, value)

    def _compensated(self, at: str, errors: str, value: str) -> None:
        """at += value, and the rounding error to ``errors``."""
        w = self.w
        after, lost = self._two_sum(w.load(at, "f64"), value)
        w.store(after, at, "f64")
        w.store(w.set(f"fadd {w.vector('double')} {w.load(errors, 'f64')}, {lost}"), errors, "f64")

    def _two_sum(self, before: str, value: str) -> tuple[str, str]:
        w, real = self.w, self.w.vector("double")
        after = w.set(f"fadd {real} {before}, {value}")
        back = w.set(f"fsub {real} {after}, {before}")
        first = w.set(f"fsub {real} {before}, {w.set(f'fsub {real} {after}, {back}')}")
        return after, w.set(f"fadd {real} {first}, {w.set(f'fsub {real} {value}, {back}')}")

    def _total(self, r: Reduction, value: str, errors: str, out: str) -> str:
        w = self.w
        if errors:                                       # unless the sum is infinite, where the error is NaN
            real, zero = w.vector("double"), w.all("0.0", "double")
            good = w.set(f"fcmp ord {real} {errors}, {zero}")
            errors = w.set(f"select {w.vector('i1')} {good}, {real} {errors}, {real} {zero}")
            value = w.set(f"fadd {real} {value}, {errors}")
        if r.how == "mean":
            t = TYPE[r.wide]
            value = w.set(f"fdiv {w.vector(t)} {value}, {w.all(number(float(r.count), r.wide), t)}")
        return w.convert(value, r.wide, out)

    def _finish_row(self, r: Reduction, row: str) -> None:
        w, out = self.w, self.unit.type(r.out)
        pointer, local = self._pointer(r.out) if r.out in self.local or r.out in self.arrays else ("", False)
        if not pointer:
            return
        start = "" if local else row if r.length == 1 else w.set(f"mul nuw nsw i64 {row}, {r.length}")

        def store(i: str) -> None:
            value = w.load(self._index(r.array.pointer, r.wide, i), r.wide)
            errors = w.load(self._index(r.errors.pointer, "f64", i), "f64") if r.errors is not None else ""
            at = start if not i else i if not start else w.set(f"add nuw nsw i64 {start}, {i}")
            w.store(self._total(r, value, errors, out), self._index(pointer, out, at), out)

        self._each(r.length, store)

    def _finish(self, r: Reduction, pieces: int) -> None:
        """Put the pieces' accumulators together, in order."""
        w, unit, size = self.w, self.unit, r.length
        out = unit.type(r.out)
        shared = self._name(r.shared.pointer, "ptr")
        lost_in = self._name(r.shared_errors.pointer, "ptr") if self._exact(r) else ""

        def total(i: str) -> str:
            value = w.load(self._index(shared, r.wide, i), r.wide)
            errors = w.load(self._index(lost_in, "f64", i), "f64") if lost_in else ""
            for k in range(1, pieces):
                at = w.set(f"add i64 {i}, {k * size}") if i else str(k * size)
                more = w.load(self._index(shared, r.wide, at), r.wide)
                if not r.adds:
                    value = self._larger(r, value, more)
                elif errors:
                    value, lost = self._two_sum(value, more)
                    own = w.load(self._index(lost_in, "f64", at), "f64")
                    real = w.vector("double")
                    errors = w.set(f"fadd {real} {w.set(f'fadd {real} {errors}, {own}')}, {lost}")
                else:
                    value = w.set(f"{'fadd' if r.wide[0] == 'f' else 'add'} {w.vector(TYPE[r.wide])} {value}, {more}")
            return self._total(r, value, errors, out)

        if size == 1:
            name = total("")
            unit.scalars[r.out] = name
            if r.out in self.arrays:
                w.store(name, self.arrays[r.out].pointer, out)
        elif r.out in self.arrays:
            to = self._name(self.arrays[r.out].pointer, "ptr")
            self._each(size, lambda i: w.store(total(i), self._index(to, out, i), out))


__all__ = ["FEW", "Array", "Path", "Reduction", "Walker"]

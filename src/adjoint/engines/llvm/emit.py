"""A fused unit as one LLVM function: loops over collapsed axes, one address computation for each array."""
from __future__ import annotations

from typing import Any

from ..._graph import Shape, Spec
from ..._scalar import Expr, Functions
from ...plan.fusion import REDUCTIONS, TYPES, Loop, Unit, lower
from ...plan.program import Instr
from .straight import Pieces, is_long, refuse
from .text import MEMORY, SIZE, TYPE, Writer, number

_BLOCK = 512                                             # float64 is added up in blocks, and the blocks with their errors
_STACK = 4096                                            # bytes of temporary arrays that live on the stack
_WIDE = {"f32": "f64"}


class Array:
    """Memory of a value: a pointer, its element type and how many there are."""

    __slots__ = ("pointer", "size", "type")

    def __init__(self, pointer: str, type: str, size: int) -> None:
        self.pointer, self.type, self.size = pointer, type, size


class Access:
    """An array as a loop sees it: along which axes of the loop it moves."""

    __slots__ = ("array", "moves")

    def __init__(self, array: Array, moves: tuple[bool, ...]) -> None:
        self.array, self.moves = array, moves


class Reduction:
    """A reduction of a loop: its source, where it is added up, and the sum of the rounding errors."""

    __slots__ = ("array", "block", "count", "errors", "how", "moves", "out", "source", "wide")

    def __init__(self, how: str, out: int, count: int, source: Expr, moves: tuple[bool, ...]) -> None:
        self.how, self.out, self.count, self.source, self.moves = how, out, count, source, moves
        self.wide = _WIDE.get(source.type, source.type) if how in ("add", "mean") else source.type
        self.array = Array("", self.wide, 0)
        self.errors: Array | None = None
        self.block = ""


def type_of(s: Spec) -> str:
    return TYPES[s.dtype.name]


def along(shape: Shape, space: Shape) -> tuple[bool, ...]:
    """Along which axes of ``space`` an array of ``shape`` moves (aligned from the right)."""
    lead = len(space) - len(shape)
    return tuple([k >= lead and shape[k - lead] == n and n != 1 for k, n in enumerate(space)])


def collapse(space: Shape, rows: list[tuple[bool, ...]]) -> tuple[list[int], list[list[bool]]]:
    """Axes of one element dropped, and neighbours merged that every array treats alike."""
    sizes: list[int] = []
    columns: list[tuple[bool, ...]] = []
    for k, n in enumerate(space):
        if n == 1:
            continue
        column = tuple([row[k] for row in rows])
        if columns and columns[-1] == column:
            sizes[-1] *= n
        else:
            sizes.append(n)
            columns.append(column)
    return sizes, [[c[r] for c in columns] for r in range(len(rows))]


def contiguous(sizes: list[int], moves: list[bool]) -> list[int]:
    """Strides in elements; 0 where the array stays."""
    out, step = [0] * len(sizes), 1
    for k in range(len(sizes) - 1, -1, -1):
        if moves[k]:
            out[k] = step
            step *= sizes[k]
    return out


class UnitWriter:
    """Writes the function of one unit. ``tail`` holds the bytes of scratch memory that the caller brings."""

    def __init__(self, unit: Unit, specs: dict[int, Spec], constants: dict[int, Any], name: str) -> None:
        self.unit, self.specs, self.constants, self.name = unit, specs, constants, name
        self.w = Writer()
        self.arrays: dict[int, Array] = {}
        self.scalars: dict[int, str] = {}
        self.head: list[str] = []                        # allocations on the stack
        self.scratch = 0
        self._stack = 0
        self._labels = 0
        self.refuses = False
        self.pieces: Pieces | None = None

    # ------------------------------------------------------------------------------------------------------- memory

    def temporary(self, type: str, size: int) -> Array:
        name = self.w.fresh("m")
        nbytes = size * SIZE[type]
        if self._stack + nbytes <= _STACK:
            self._stack += nbytes
            self.head.append(f"  {name} = alloca {MEMORY[type]}, i64 {size}, align 64")
        else:
            self.head.append(f"  {name} = getelementptr i8, ptr %scratch, i64 {self.scratch}")
            self.scratch += (nbytes + 63) // 64 * 64
        return Array(name, type, size)

    def write(self) -> str:
        unit, specs, w = self.unit, self.specs, self.w
        params = []
        for k, v in enumerate(unit.args):
            self.arrays[v] = Array(f"%a{k}", type_of(specs[v]), specs[v].size)
            params.append(f"ptr noalias readonly %a{k}")
        results = set(unit.results)
        for k, v in enumerate(unit.results):
            self.arrays[v] = Array(f"%r{k}", type_of(specs[v]), specs[v].size)
            params.append(f"ptr noalias %r{k}")
        params.append("ptr noalias %scratch")
        later: dict[int, int] = {}                       # value -> the last loop that reads it
        for n, loop in enumerate(unit.loops):
            for instr in loop.instrs:
                for a in instr.args:
                    later[unit.names.get(a, a)] = n
        for v in unit.args:
            if specs[v].size == 1 and v in later:
                self.scalars[v] = w.load(self.arrays[v].pointer, self.arrays[v].type)
        for v, n in unit.made.items():
            if specs[v].size > 1 and v not in results and (later.get(v, -1) > n or self._is_reduction(v)):
                self.arrays[v] = self.temporary(type_of(specs[v]), specs[v].size)
        for n, loop in enumerate(unit.loops):
            self._loop(n, loop)
        w.add(f"ret i32 {self._flag()}")
        body = [f"define internal i32 @{self.name}({', '.join(params)}) #0 {{", "entry:", *self.head]
        if self.refuses:
            body += ["  %refused = alloca i32", "  store i32 0, ptr %refused"]
        before: list[str] = []
        if self.pieces is not None:
            body.append(f"  %frame = alloca i64, i64 {len(self.pieces.slots)}")
            before = self.pieces.functions
            w.intrinsics |= self.pieces.intrinsics
        return "\n".join([*before, *body, *w.lines, "}"])

    def _is_reduction(self, v: int) -> bool:
        return any(v == i.outs[0] and i.op.prim.name in REDUCTIONS for i in self.unit.loops[self.unit.made[v]].instrs)

    def _flag(self) -> str:
        return self.w.set("load i32, ptr %refused") if self.refuses else "0"

    # ---------------------------------------------------------------------------------------------------------- loops

    def _loop(self, n: int, loop: Loop) -> None:
        if is_long(loop):
            self._long(n, loop)
            return
        unit, specs, w = self.unit, self.specs, self.w
        s = Functions()
        leaves: list[Access | str] = []
        found: dict[Any, Expr] = {}
        values: dict[int, Expr] = {}
        reductions: list[Reduction] = []

        def source(given: int) -> Expr:
            spec = specs[given]
            a = unit.names.get(given, given)
            if a in self.constants:
                return s.const(self.constants[a], type_of(spec))
            if a in values and (given == a or spec.size == 1):
                return values[a]
            key: Any = a if a in self.scalars else (a, spec.shape)
            if key not in found:
                leaves.append(self.scalars[a] if a in self.scalars
                              else Access(self.arrays[a], along(spec.shape, loop.shape)))
                found[key] = s.input(type_of(spec), len(leaves) - 1)
            return found[key]

        for instr in loop.instrs:
            out = instr.outs[0]
            if instr.op.prim.name in REDUCTIONS:
                reductions.append(self._reduction(instr, loop, source(instr.args[0])))
            else:
                values[out] = lower(s, instr.op, [source(a) for a in instr.args], type_of(specs[out]))
        stores = [(v, e) for v, e in values.items() if v in self.arrays and v in unit.made]
        if not loop.shape:
            self._straight(values, reductions, leaves, s)
            return
        whole = tuple([k != 1 for k in loop.shape])
        accesses = [leaf for leaf in leaves if isinstance(leaf, Access)]
        rows = [x.moves for x in accesses] + [r.moves for r in reductions] + [whole]
        sizes, moves = collapse(loop.shape, rows)
        strides = {id(x): contiguous(sizes, m) for x, m in zip(accesses, moves)}
        reduced = {id(r): contiguous(sizes, m) for r, m in zip(reductions, moves[len(accesses):])}
        full = contiguous(sizes, moves[-1])
        for r in reductions:
            self._start(r, reduced[id(r)])
        blocked = any(r.block for r in reductions)
        index = self._open(sizes, blocked, reductions)

        def leaf(e: Expr) -> str:
            x = leaves[e.value]
            if isinstance(x, str):
                return x
            return w.load(self._address(x.array, index, strides[id(x)]), x.array.type)

        wanted = [e for _, e in stores] + [r.source for r in reductions] + s.refused
        names = w.expressions(wanted, leaf)
        for (v, e), name in zip(stores, names):
            w.store(name, self._address(self.arrays[v], index, full), e.type)
        for r, name in zip(reductions, names[len(stores):]):
            self._accumulate(r, name, index, reduced[id(r)])
        for name in names[len(stores) + len(reductions):]:
            self._refuse(name)
        self._close(sizes, blocked, reductions, index, reduced)
        for r in reductions:
            self._finish(r)

    def _straight(self, values: dict[int, Expr], reductions: list[Reduction], leaves: list[Any], s: Functions) -> None:
        w = self.w
        wanted = [*values.values(), *[r.source for r in reductions], *s.refused]
        names = w.expressions(wanted, lambda e: leaves[e.value])
        made = dict(zip(values, names))
        for r, name in zip(reductions, names[len(values):]):
            made[r.out] = name
        for name in names[len(values) + len(reductions):]:
            self._refuse(name)
        for v, name in made.items():
            self.scalars[v] = name
            if v in self.arrays:
                w.store(name, self.arrays[v].pointer, self.arrays[v].type)

    def _refuse(self, name: str) -> None:
        self.refuses = True
        refuse(self.w, name, "%refused")

    def _long(self, n: int, loop: Loop) -> None:
        """Straight-line code in pieces."""
        unit, w = self.unit, self.w
        names = unit.names
        if self.pieces is None:
            self.pieces = Pieces(self.specs, self.constants, names)
        pieces, inside = self.pieces, {i.outs[0] for i in loop.instrs}
        outside = inside & ({names.get(a, a) for m, other in enumerate(unit.loops) if m != n
                             for i in other.instrs for a in i.args} | set(unit.results))
        self.refuses = True
        for name, takes in pieces.cut(loop, outside):
            for v in takes:
                if v not in inside and v not in pieces.stored:
                    pieces.stored.add(v)
                    w.store(self.scalars[v], pieces._at(w, pieces.slot(v)), pieces.type(v))
            w.add(f"call void @{name}(ptr %frame, ptr %refused)")
        pieces.stored |= inside
        for v in sorted(outside):
            self.scalars[v] = w.load(pieces._at(w, pieces.slot(v)), pieces.type(v))
            if v in self.arrays:
                w.store(self.scalars[v], self.arrays[v].pointer, self.arrays[v].type)

    def _address(self, array: Array, index: list[str], strides: list[int]) -> str:
        w = self.w
        at = ""
        for i, k in zip(index, strides):
            if k:
                term = i if k == 1 else w.set(f"mul nuw nsw i64 {i}, {k}")
                at = w.set(f"add nuw nsw i64 {at}, {term}") if at else term
        if not at:
            return array.pointer
        return w.set(f"getelementptr inbounds {MEMORY[array.type]}, ptr {array.pointer}, i64 {at}")

    def _open(self, sizes: list[int], blocked: bool, reductions: list[Reduction]) -> list[str]:
        w = self.w
        index = []
        self._nest: list[tuple[str, str, str, str]] = []
        steps = [(n, 1) for n in sizes]
        if blocked:
            steps[-1:] = [(sizes[-1], _BLOCK), (-1, 1)]
        for n, step in steps:
            self._labels += 1
            label = f"L{self._labels}"
            i = w.fresh("i")
            start, bound = "0", str(n)
            if n < 0:                                    # within a block
                start = outer = self._nest[-1][1]
                for r in reductions:
                    if r.block:
                        w.store(number(0.0, "f64"), r.block, "f64")
                end = w.set(f"add nuw nsw i64 {outer}, {_BLOCK}")
                inside = w.set(f"icmp ult i64 {end}, {sizes[-1]}")
                bound = w.set(f"select i1 {inside}, i64 {end}, i64 {sizes[-1]}")
            w.add(f"br label %{label}.in")
            w.label(f"{label}.in")
            w.add(f"br label %{label}")
            w.label(label)
            w.add(f"{i} = phi i64 [ {start}, %{label}.in ], [ {i}.n, %{label}.next ]")
            self._nest.append((label, i, bound, str(step)))
            index.append(i)
        if blocked:
            del index[-2]
        return index

    def _close(self, sizes: list[int], blocked: bool, reductions: list[Reduction], index: list[str],
               reduced: dict[int, list[int]]) -> None:
        w = self.w
        for depth, (label, i, bound, step) in enumerate(reversed(self._nest)):
            if blocked and depth == 1:
                for r in reductions:
                    if r.block:
                        at = self._address(r.array, index[:-1] + ["0"], reduced[id(r)])
                        errors = self._address(r.errors, index[:-1] + ["0"], reduced[id(r)])  # type: ignore[arg-type]
                        self._compensated(at, errors, w.load(r.block, "f64"))
            w.add(f"br label %{label}.next")
            w.label(f"{label}.next")
            w.add(f"{i}.n = add nuw nsw i64 {i}, {step}")
            done = w.set(f"icmp uge i64 {i}.n, {bound}")
            w.add(f"br i1 {done}, label %{label}.out, label %{label}")
            w.label(f"{label}.out")

    # ----------------------------------------------------------------------------------------------------- reductions

    def _reduction(self, instr: Instr, loop: Loop, source: Expr) -> Reduction:
        shape = self.specs[instr.args[0]].shape
        axes = instr.op.params["axes"]
        count = 1
        for k in axes:
            count *= shape[k]
        moves = tuple([k not in axes and n != 1 for k, n in enumerate(shape)])
        return Reduction(REDUCTIONS[instr.op.prim.name], instr.outs[0], count, source, moves)

    def _start(self, r: Reduction, strides: list[int]) -> None:
        size = self.specs[r.out].size
        adds = r.how in ("add", "mean")
        r.array = self.temporary(r.wide, size)
        self._fill(r.array, number(0, r.wide) if adds else self._extreme(r))
        if adds and r.wide == "f64" and r.source.type == "f64":
            r.errors = self.temporary("f64", size)
            self._fill(r.errors, number(0.0, "f64"))
            if strides[-1] == 0:
                r.block = self.temporary("f64", 1).pointer

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
        if array.size == 1:
            self.w.store(value, array.pointer, array.type)
        else:
            self._each(array.size, lambda i: self.w.store(value, self._address(array, [i], [1]), array.type))

    def _each(self, n: int, body: Any) -> None:
        nest = getattr(self, "_nest", [])
        (i,) = self._open([n], False, [])
        body(i)
        self._close([n], False, [], [i], {})
        self._nest = nest

    def _accumulate(self, r: Reduction, value: str, index: list[str], strides: list[int]) -> None:
        w = self.w
        t = TYPE[r.wide]
        if r.how in ("add", "mean"):
            value = w.convert(value, r.source.type, r.wide)
            if r.errors is not None and not r.block:
                self._compensated(self._address(r.array, index, strides), self._address(r.errors, index, strides), value)
                return
            at = r.block or self._address(r.array, index, strides)
            before = w.load(at, r.wide)
            add = "fadd reassoc" if r.wide[0] == "f" else "add"
            w.store(w.set(f"{add} {t} {before}, {value}"), at, r.wide)
            return
        at = self._address(r.array, index, strides)
        before = w.load(at, r.wide)
        if r.wide[0] == "f":
            after = w.call("maximum" if r.how == "max" else "minimum", r.wide, before, value)
        else:
            after = w.call(("s" if r.wide[0] == "i" else "u") + r.how, r.wide, before, value)
        w.store(after, at, r.wide)

    def _compensated(self, at: str, errors: str, value: str) -> None:
        """at += value, and the rounding error to ``errors``."""
        w = self.w
        before = w.load(at, "f64")
        after = w.set(f"fadd double {before}, {value}")
        back = w.set(f"fsub double {after}, {before}")
        first = w.set(f"fsub double {before}, {w.set(f'fsub double {after}, {back}')}")
        lost = w.set(f"fadd double {first}, {w.set(f'fsub double {value}, {back}')}")
        w.store(after, at, "f64")
        w.store(w.set(f"fadd double {w.load(errors, 'f64')}, {lost}"), errors, "f64")

    def _finish(self, r: Reduction) -> None:
        w, size = self.w, self.specs[r.out].size
        out = type_of(self.specs[r.out])

        def total(i: str) -> str:
            value = w.load(self._address(r.array, [i], [1]) if i else r.array.pointer, r.wide)
            if r.errors is not None:                     # unless the sum is infinite, where the error is NaN
                lost = w.load(self._address(r.errors, [i], [1]) if i else r.errors.pointer, "f64")
                good = w.set(f"fcmp ord double {lost}, 0.0")
                value = w.set(f"fadd double {value}, {w.set(f'select i1 {good}, double {lost}, double 0.0')}")
            if r.how == "mean":
                value = w.set(f"fdiv {TYPE[r.wide]} {value}, {number(float(r.count), r.wide)}")
            return w.convert(value, r.wide, out)

        if size == 1:
            name = total("")
            self.scalars[r.out] = name
            if r.out in self.arrays:
                w.store(name, self.arrays[r.out].pointer, out)
        else:
            self._each(size, lambda i: w.store(total(i), self._address(self.arrays[r.out], [i], [1]), out))


__all__ = ["UnitWriter", "type_of"]

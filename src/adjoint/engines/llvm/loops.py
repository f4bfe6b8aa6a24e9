"""Nests as LLVM code: loops over rows, reductions, and the cut into pieces that threads take."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._scalar import Expr, Functions
from ...plan.access import Access, Strides, contiguous, merged, rowwise, split
from ...plan.fusion import REDUCTIONS, Loop, Nest, lower
from ...plan.program import Instr
from .reductions import FEW, Array, Path, Reduction, Walker
from .rows import RowVectors, lanes
from .straight import refuse
from .text import MEMORY, SCALAR, SIZE, TYPE, Writer, number
from .vectors import VectorLoop

if TYPE_CHECKING:
    from .unit import UnitWriter

_BLOCK = 512                                             # float64 is added up in blocks, and the blocks with their errors
_WORTH = 400_000                                         # expressions times elements from which threads pay
_PIECE = 200_000                                         # at least so many in a piece
_PIECES = 64
_LOCAL = 65_536                                          # bytes of row buffers on a thread's stack


class _Piece:
    """One loop of the nest, made ready."""

    __slots__ = ("accesses", "blocked", "inner", "leaves", "loop", "outer", "paths", "reductions", "s", "stores", "whole")

    def __init__(self, loop: Loop) -> None:
        self.loop, self.s = loop, Functions()
        self.leaves: list[Any] = []                      # Access of the loop, or the number of a scalar
        self.stores: list[tuple[int, Expr]] = []
        self.reductions: list[Reduction] = []
        self.outer: list[int] = []
        self.inner: list[int] = []
        self.paths: dict[int, Path] = {}                 # id of an Access -> its path
        self.whole = Path([], [], 0)
        self.blocked = False


class NestWriter(Walker):
    """Writes one nest into the function of its unit, or into a function of its own that threads call."""

    def __init__(self, unit: UnitWriter, number: int, nest: Nest) -> None:
        super().__init__(unit, nest)
        self.number, self.specs, self.rows = number, unit.specs, nest.rows
        self.step = 0                                    # elements or rows of a piece
        self.pieces = [self._prepare(loop) for loop in nest.loops]
        self.lanes = lanes(self) if self.rows > 1 else 0     # rows that are worked on together

    # ------------------------------------------------------------------------------------------------------ preparation

    def _prepare(self, loop: Loop) -> _Piece:
        unit, specs = self.unit, self.specs
        piece = _Piece(loop)
        s = piece.s
        found: dict[Any, Expr] = {}
        values: dict[int, Expr] = {}
        made = self.nest.at
        number = self.nest.loops.index(loop)

        def source(given: int, shape: Any) -> Expr:
            type, access = unit.type(given), loop.reads.get((given, shape))
            places = [(s.place(source(t.given, shape), t.size), t.stride) for t in access.terms] if access else []
            for t in access.terms if access else ():
                unit.check(t, loop.reads.get((t.given, shape)))
            if access is None or given in unit.constants:
                return s.const(unit.constants[given], type)
            base = access.base
            if made.get(base) == number and base not in loop.reduced:
                return values[base]
            if specs[base].size == 1 and base in unit.scalars:
                key: Any = base
            else:
                key = (base, access.offset, loop.along(access), *places)
            if key not in found:
                piece.leaves.append((base, type) if key is base else access)
                further = s.const(0, "i64")
                for place, stride in places:
                    further = further + place * stride
                reads = key is not base and places
                found[key] = s.make("read" if reads else "input", type, (further,) if reads else (), len(piece.leaves) - 1)
            return found[key]

        for instr in loop.instrs:
            out = instr.outs[0]
            space = unit.space(instr)
            if instr.op.prim.gathers is not None and (instr.args[0], out) in loop.reads:
                values[out] = source(instr.args[0], out)
                continue
            args = [source(a, space) for a in instr.args]
            if instr.op.prim.name in REDUCTIONS:
                piece.reductions.append(self._reduction(instr, args[0]))
            else:
                values[out] = lower(s, instr.op, args, unit.type(out))
        keep = unit.outside | {b for other in self.nest.loops if other is not loop for b in _bases(other)}
        piece.stores = [(v, e) for v, e in values.items() if v in keep]
        self._axes(piece)
        return piece

    def _reduction(self, instr: Instr, source: Expr) -> Reduction:
        shape = self.specs[instr.args[0]].shape
        count = 1
        for k in instr.op.params["axes"]:
            count *= shape[k]
        return Reduction(REDUCTIONS[instr.op.prim.name], instr.outs[0], count, source)

    def _axes(self, piece: _Piece) -> None:
        """Cut the loop's axes in outer ones (the rows) and inner ones, merged where every array goes on."""
        loop = piece.loop
        accesses = [x for x in piece.leaves if isinstance(x, Access)]
        accesses += loop.puts.values()
        targets = [loop.reduced[r.out] for r in piece.reductions]
        rows: list[Strides] = [loop.along(x) for x in accesses] + [loop.along(x) for x in targets] + [contiguous(loop.shape)]
        sizes = list(loop.shape)
        if self.rows == 1:
            flat, lines = merged(sizes, rows)
            piece.outer, piece.inner = flat[:1], flat[1:]
            paths = [(line[:1], line[1:]) for line in lines]
        else:
            k = split(sizes, self.rows)
            assert k is not None
            piece.outer, first = merged(sizes[:k], [r[:k] for r in rows])
            piece.inner, then = merged(sizes[k:], [r[k:] for r in rows])
            paths = list(zip(first, then))
        every = [Path(a, b, 0) for a, b in paths]
        for x, path in zip(accesses, every):
            path.offset = x.offset
            piece.paths[id(x)] = path
        count = piece.outer[0] if self.rows == 1 else self.rows
        for r, path in zip(piece.reductions, every[len(accesses):]):
            total = self.specs[r.out].size
            r.path = path
            r.by_row = total % count == 0 and rowwise(piece.outer + piece.inner, tuple(path.outer + path.inner), 0, count,
                                                      total // count)
            r.length = total // count if r.by_row else total
        piece.whole = every[-1]

    # ---------------------------------------------------------------------------------------------------------- writing

    def write(self) -> None:
        unit = self.unit
        count = self.pieces[0].outer[0] if self.rows == 1 else self.rows
        cost = 0
        for piece in self.pieces:
            size = 1
            for n in piece.loop.shape:
                size *= n
            cost += size * len(piece.s._known)
            unit.refuses = unit.refuses or bool(piece.s.refused)
        pieces = min(_PIECES, cost // _PIECE, count) if cost > _WORTH else 1
        if sum(r.length for piece in self.pieces for r in piece.reductions if not r.by_row) * 8 * pieces > 1 << 20:
            pieces = 1
        step = -(-count // pieces)
        if self.rows == 1 and pieces > 1:
            align = 64 if count > 64 * pieces else 8 if count > 8 * pieces else 1
            step = -(-step // align) * align
        elif pieces > 1 and self.lanes:
            step = -(-step // self.lanes) * self.lanes
        pieces, self.step = -(-count // step), step
        for piece in self.pieces:
            for r in piece.reductions:
                if not r.by_row or r.length > FEW:
                    places = r.length * (count if r.by_row else pieces)
                    r.shared = unit.temporary(r.wide, places)
                    if self._exact(r):
                        r.shared_errors = unit.temporary("f64", places)
        for v, k in self.nest.at.items():                # memory of what the nest makes
            if v in unit.unit.lies:
                unit.memory(unit.unit.lies[v].base)
            elif v in unit.outside:
                if self.specs[v].size > 1:
                    unit.memory(v)
            elif any(v in _bases(loop) for loop in self.nest.loops[k + 1:]):
                self.local[v] = Array("", unit.type(v), self.specs[v].size // max(self.rows, 1) * max(self.lanes, 1))
        if sum(a.size * SIZE[a.type] for a in self.local.values()) > _LOCAL:
            for v in self.local:
                unit.memory(v)
            self.local = {}
        across = [r for p in self.pieces for r in p.reductions if not r.by_row]
        if pieces > 1:
            self._in_threads(count, step, pieces)
        elif unit.many:                                  # a function of its own: what looks the same is compiled once
            name, given = self._apart(("0", str(count), "0"), [r for r in across if r.length > 1])
            call = ", ".join([f"{t} {unit.near(theirs)}" for theirs, t in given])
            self.w.add(f"call void @{name}({call})")
            across = [r for r in across if r.length == 1]
        else:
            for v, a in self.local.items():
                self.local[v] = unit.temporary(a.type, a.size)
            self._body("0", str(count), "0")
        for r in across:
            self._finish(r, pieces)

    def _apart(self, bounds: tuple[str, str, str], finish: list[Reduction]) -> tuple[str, list[tuple[str, str]]]:
        """The body as a function of its own: its name, and (name, type) of what it takes of the unit's function."""
        unit = self.unit
        outer, w = self.w, Writer()
        self.w, self.head, self.given, self.labels = w, [], {}, 0
        for v, a in self.local.items():
            name = w.fresh("m")
            self.head.append(f"  {name} = alloca {MEMORY[a.type]}, i64 {a.size}, align 64")
            self.local[v] = Array(name, a.type, a.size)
        refuses = any(p.s.refused for p in self.pieces)
        self.flag = "%flag"
        if refuses:
            self.head += ["  %flag = alloca i32", "  store i32 0, ptr %flag"]
        self._body(*bounds)
        for r in finish:
            self._finish(r, 1)
        if refuses:
            shared = self._name("%refused", "ptr")
            w.add(f"atomicrmw or ptr {shared}, i32 {w.set('load i32, ptr %flag')} monotonic")
        w.add("ret void")
        params = [f"{'ptr noalias' if t == 'ptr' else t} {own}" for t, own in self.given.values()]
        params += [f"i64 {b}" for b in bounds if b.startswith("%")]
        name = unit.function("nest", [f"define internal void @NAME({', '.join(params)}) #0 {{", "entry:", *self.head, *w.lines,
                                      "}"])
        unit.w.intrinsics |= w.intrinsics
        given = [(theirs, t) for theirs, (t, _) in self.given.items()]
        self.w, self.head, self.given, self.flag = outer, unit.head, None, "%refused"
        return name, given

    def _in_threads(self, count: int, step: int, pieces: int) -> None:
        """The body as a function of its own, and the call that runs its pieces in threads."""
        unit, outer = self.unit, self.w
        name, given = self._apart(("%lo", "%hi", "%piece"), [])
        frame = ["define internal void @NAME(ptr %c) #1 {", "entry:"]
        for k, (_, t) in enumerate(given):
            frame += [f"  %p{k} = getelementptr i64, ptr %c, i64 {k + 1}", f"  %v{k} = load {t}, ptr %p{k}"]
        call = "".join(f"{t} %v{k}, " for k, (_, t) in enumerate(given))
        frame += ["  br label %next", "next:", "  %k = atomicrmw add ptr %c, i64 1 monotonic",
                  f"  %more = icmp ult i64 %k, {pieces}", "  br i1 %more, label %do, label %end", "do:",
                  f"  %lo = mul i64 %k, {step}", f"  %to = add i64 %lo, {step}", f"  %in = icmp ult i64 %to, {count}",
                  f"  %hi = select i1 %in, i64 %to, i64 {count}", f"  call void @{name}({call}i64 %lo, i64 %hi, i64 %k)",
                  "  br label %next", "end:", "  ret void", "}"]
        work = unit.function("work", frame)
        context = outer.fresh("c")
        unit.head.append(f"  {context} = alloca i64, i64 {len(given) + 1}")
        outer.add(f"store i64 0, ptr {context}")
        for k, (theirs, t) in enumerate(given):
            outer.add(f"store {t} {theirs}, ptr {outer.set(f'getelementptr i64, ptr {context}, i64 {k + 1}')}")
        unit.parallel(work, context)

    def _body(self, low: str, high: str, piece: str) -> None:
        for p in self.pieces:
            for r in p.reductions:
                if not r.by_row:
                    self._start(r, piece)
        if self.rows == 1:
            self._single(self.pieces[0], low, high)
        elif self.lanes:
            RowVectors(self).write(low, high)
        else:
            row = self._open(low, high)
            for p in self.pieces:
                self._row(p, row[1])
            self._close(row)
        for p in self.pieces:
            for r in p.reductions:
                if not r.by_row:
                    self._hand_over(r, piece)

    def _single(self, p: _Piece, low: str, high: str) -> None:
        """One loop: its first axis from low to high, the others inside."""
        if not p.inner and not any(r.by_row for r in p.reductions):
            self._levels(p, [(low, high)], [], self._blocks(p))
            return
        level = self._open(low, high)
        self._row(p, level[1])
        self._close(level)

    def _row(self, p: _Piece, row: str) -> None:
        for r in p.reductions:
            if r.by_row:
                self._start(r, row)
        self._levels(p, [("0", str(n)) for n in p.inner], self._outer(p, row), bool(p.inner) and self._blocks(p))
        for r in p.reductions:
            if r.by_row:
                self._finish_row(r, row)

    def _outer(self, p: _Piece, row: str) -> list[str]:
        """Indices along the outer axes."""
        if len(p.outer) <= 1:
            return [row]
        w, out, left = self.w, [], row
        for n in reversed(p.outer[1:]):
            out.append(w.set(f"urem i64 {left}, {n}"))
            left = w.set(f"udiv i64 {left}, {n}")
        return [left, *reversed(out)]

    def _blocks(self, p: _Piece) -> bool:
        """Whether sums along the innermost axis are taken in blocks."""
        found = False
        for r in p.reductions:
            strides = r.path.inner or r.path.outer
            if self._exact(r) and strides[-1] == 0 and (p.inner or not r.by_row):
                if not r.block:
                    r.block = self._alloca("f64", 1)
                found = True
        return found

    def _levels(self, p: _Piece, bounds: list[tuple[str, str]], outer: list[str], blocked: bool) -> None:
        """The loops of ``bounds`` around the elements; without ``outer`` the only one of them is the outer axis."""
        w = self.w
        vectors = VectorLoop(self, p, self.step)
        apart = bool(bounds) and vectors.lanes > 0
        open_: list[tuple[str, str, str, str]] = []
        for low, high in bounds[:-1] if blocked or apart else bounds:
            open_.append(self._open(low, high))
        if blocked:
            low, high = bounds[-1]
            block = self._open(low, high, _BLOCK)
            for r in p.reductions:
                if r.block:
                    w.store(number(0.0, "f64"), r.block, "f64")
            end = w.set(f"add nuw nsw i64 {block[1]}, {_BLOCK}")
            inside = w.set(f"icmp ult i64 {end}, {high}")
            low, high = block[1], w.set(f"select i1 {inside}, i64 {end}, i64 {high}")
            if not apart:
                open_.append(self._open(low, high))
        index = [level[1] for level in open_]
        if apart:
            vectors.write(*(low, high) if blocked else bounds[-1], outer, index)
        else:
            if bounds:
                self.w.add(SCALAR)
            self._elements(p, outer or index, index if outer else [])
        for level in reversed(open_[len(bounds) - 1:] if blocked else open_):
            self._close(level)
        if blocked:
            for r in p.reductions:
                if r.block:
                    known = [*index[:len(bounds) - 1], ""]
                    o, i = (outer, known) if outer else (known, [])
                    at = self._at(r.array.pointer, r.wide, r.path, o, i, r.by_row)
                    errors = self._at(r.errors.pointer, "f64", r.path, o, i, r.by_row)  # type: ignore[union-attr]
                    self._compensated(at, errors, w.load(r.block, "f64"))
            self._close(block)
            for level in reversed(open_[:len(bounds) - 1]):
                self._close(level)

    def _elements(self, p: _Piece, outer: list[str], inner: list[str]) -> None:
        w = self.w
        wanted = [e for _, e in p.stores] + [r.source for r in p.reductions] + p.s.refused
        names = w.expressions(wanted, lambda e, further="": self._leaf(p, e, outer, inner, further))
        for (v, e), name in zip(p.stores, names):
            put = p.loop.puts.get(v)
            path = p.whole if put is None else p.paths[id(put)]
            pointer, local = self._pointer(v if put is None else put.base, path)
            w.store(name, self._at(pointer, e.type, path, outer, inner, local), e.type)
        for r, name in zip(p.reductions, names[len(p.stores):]):
            self._accumulate(r, name, outer, inner)
        for name in names[len(p.stores) + len(p.reductions):]:
            refuse(w, name, self.flag)

    def _leaf(self, p: _Piece, e: Expr, outer: list[str], inner: list[str], further: str = "") -> str:
        """The name of an input."""
        w, x = self.w, p.leaves[e.value]
        if isinstance(x, tuple):
            return self._name(self.unit.scalars[x[0]], TYPE[x[1]])
        path, type = p.paths[id(x)], self.unit.type(x.base)
        if x.base in self.unit.ramps:
            at = self._sum(path, outer, inner, False) or "0"
            at = w.set(f"add i64 {at}, {path.offset}") if path.offset else at
            return w.convert(w.set(f"add i64 {at}, {further}") if further else at, "i64", type)
        pointer, local = self._pointer(x.base, path)
        return w.load(self._at(pointer, type, path, outer, inner, local, further), type)


def _bases(loop: Loop) -> set[int]:
    return {a.base for a in loop.reads.values()}


__all__ = ["Array", "NestWriter"]

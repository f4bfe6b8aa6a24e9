"""Nests as LLVM code: loops over rows, reductions, and the cut into pieces that threads take."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._scalar import Expr, Functions
from ...plan.access import Access, Strides, contiguous, merged, rowwise, split
from ...plan.fusion import REDUCTIONS, Loop, Nest, lower
from ...plan.program import Instr
from .straight import refuse
from .text import MEMORY, SIZE, TYPE, Writer, number
from .vectors import VectorLoop

if TYPE_CHECKING:
    from .unit import UnitWriter

_BLOCK = 512                                             # float64 is added up in blocks, and the blocks with their errors
_WIDE = {"f16": "f64", "bf16": "f64", "f32": "f64"}      # where sums are added up
_SHORT = {"f16": "f32", "bf16": "f32"}                   # where they are compared
_WORTH = 400_000                                         # expressions times elements from which threads pay
_PIECE = 100_000                                         # at least so many in a piece
_PIECES = 64
_FEW = 512                                               # accumulators that stand on the stack
_MOSTLY = 4                                              # so many lines on float32 for each on float64
_LOCAL = 65_536                                          # bytes of row buffers on a thread's stack


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


class NestWriter:
    """Writes one nest into the function of its unit, or into a function of its own that threads call."""

    def __init__(self, unit: UnitWriter, number: int, nest: Nest) -> None:
        self.unit, self.number, self.nest = unit, number, nest
        self.specs = unit.specs
        self.rows = nest.rows
        self.w = unit.w
        self.head = unit.head
        self.arrays = unit.arrays
        self.local: dict[int, Array] = {}                # buffers of one row
        self.given: dict[str, tuple[str, str]] | None = None   # outer name -> (type, own name), in a function of its own
        self.innermost = "", 0                           # the loop that was opened last, and where its body begins
        self.shifted: dict[tuple[str, int], str] = {}
        self.flag = "%refused"
        self.labels = self.step = 0
        self.pieces = [self._prepare(loop) for loop in nest.loops]

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
        pieces, self.step = -(-count // step), step
        for piece in self.pieces:
            for r in piece.reductions:
                if not r.by_row or r.length > _FEW:
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
                self.local[v] = Array("", unit.type(v), self.specs[v].size // max(self.rows, 1))
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

    def _exact(self, r: Reduction) -> bool:
        """Whether the sum is kept with its rounding errors."""
        return r.adds and r.source.type == "f64"

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

    def _body(self, low: str, high: str, piece: str) -> None:
        for p in self.pieces:
            for r in p.reductions:
                if not r.by_row:
                    self._start(r, piece)
        if self.rows == 1:
            self._single(self.pieces[0], low, high)
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

    def _alloca(self, type: str, size: int) -> str:
        name = self.w.fresh("m")
        self.head.append(f"  {name} = alloca {MEMORY[type]}, i64 {size}, align 64")
        return name

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
        w.add(f"br i1 {done}, label %{label}.out, label %{label}{self._lanes(label)}")
        w.label(f"{label}.out")

    def _lanes(self, label: str) -> str:
        """Fills a register with float32 where little is float64: by itself the compiler goes by the widest type."""
        if self.innermost[0] != label:
            return ""
        body = self.w.lines[self.innermost[1]:]
        if any(f", ptr {self.flag}" in line for line in body):
            return ""                                    # where a loop stays as it is the compiler would say so on stderr
        single, double = [sum(f" {type} " in line for line in body) for type in ("float", "double")]
        return f", !llvm.loop !WIDE{self.unit.width // SIZE['f32']}" if double and single >= _MOSTLY * double else ""

    # ----------------------------------------------------------------------------------------------------- reductions

    def _start(self, r: Reduction, piece: str) -> None:
        """Accumulators with their first values: on the stack where they are few."""
        if r.length <= _FEW:
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
        if r.length > _FEW:
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
        self._each(array.size, lambda i: self.w.store(value, self._index(array.pointer, array.type, i), array.type))

    def _each(self, n: int, body: Any) -> None:
        if n == 1:
            body("")
            return
        level = self._open("0", str(n))
        body(level[1])
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
            good = w.set(f"fcmp ord double {errors}, 0.0")
            value = w.set(f"fadd double {value}, {w.set(f'select i1 {good}, double {errors}, double 0.0')}")
        if r.how == "mean":
            value = w.set(f"fdiv {TYPE[r.wide]} {value}, {number(float(r.count), r.wide)}")
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
                    errors = w.set(f"fadd double {w.set(f'fadd double {errors}, {own}')}, {lost}")
                else:
                    value = w.set(f"{'fadd' if r.wide[0] == 'f' else 'add'} {TYPE[r.wide]} {value}, {more}")
            return self._total(r, value, errors, out)

        if size == 1:
            name = total("")
            unit.scalars[r.out] = name
            if r.out in self.arrays:
                w.store(name, self.arrays[r.out].pointer, out)
        elif r.out in self.arrays:
            to = self._name(self.arrays[r.out].pointer, "ptr")
            self._each(size, lambda i: w.store(total(i), self._index(to, out, i), out))


def _bases(loop: Loop) -> set[int]:
    return {a.base for a in loop.reads.values()}


__all__ = ["Array", "NestWriter"]

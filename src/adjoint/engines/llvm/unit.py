"""A fused unit as one LLVM function: its arguments, its memory, and its stages in order."""
from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from ..._graph import Shape, Spec
from ..._scalar import Expr, Functions
from ...plan.access import Access, Term, covers
from ...plan.fusion import REDUCTIONS, TYPES, Loop, Nest, Unit, lower, space_of
from ...plan.products import Product
from ...plan.program import Instr
from ...plan.renewal import readers
from ...plan.scan import Scan
from ...plan.scatter import Pick, Scatter
from .blas import blas
from .loops import Array, NestWriter
from .products import ProductWriter
from .scan import ScanWriter
from .scatter import ScatterWriter
from .straight import Pieces, is_long, refuse
from .text import MEMORY, SIZE, Writer, number

_STACK = 4096                                            # bytes of temporary arrays that live on the stack
_FEW = 8                                                 # stages that are written out in one function
_FRAME = 1 << 17                                         # and of what long straight-line code keeps in memory


class TooLate(Exception):
    """An element may be refused after an argument has been written over."""


class UnitWriter:
    """Writes the function of one unit. ``scratch`` holds the bytes of memory that the caller brings.

    ``renewed``: result -> the argument that it is written over; what is refused is refused before.
    """

    def __init__(self, unit: Unit, specs: dict[int, Spec], constants: dict[int, Any], name: str, width: int = 32,
                 ramps: Set[int] = frozenset(), renewed: dict[int, int] | None = None) -> None:
        self.renewed = renewed or {}
        self.unit, self.specs, self.constants, self.name, self.ramps = unit, specs, constants, name, ramps
        self.width = width                               # bytes of a vector register
        self.w = Writer()
        self.functions: list[str] = []                   # that stand beside the unit's own
        self.known: dict[str, str] = {}                  # text of such a function -> its name
        self.many = len(unit.stages) > _FEW              # whether stages are functions of their own
        self.arrays: dict[int, Array] = {}               # values in memory
        self.scalars: dict[int, str] = {}                # values of one element
        self.head: list[str] = []                        # allocations
        self.labels = 0
        self.refuses = self.early = self.threads = False # elements may be refused; before anything is written over
        self.renewing = -1                               # the first stage that does so
        self.steady: set[Scatter] = set()                # whose factors were looked at
        self.checked: set[tuple[int, int]] = set()       # indices that were looked at, and of how long an axis they are
        self.pieces: Pieces | None = None
        self.mark: int | None = None                     # adjoint_mark is called after each stage, with its number added to this
        self.products = ProductWriter(self.w, blas(), width, self.parallel, self.head, self.functions)
        self.outside: set[int] = set()                   # what the stage at hand makes for others
        self.scratch = 0
        self.places: dict[str, int] = {}                 # pointer into the scratch memory -> offset
        self._stack = 0
        self._stage = 0
        self._free: list[tuple[int, int]] = []           # (offset, bytes) in the scratch memory
        self._held: list[tuple[int, int, int]] = []      # (last stage, offset, bytes)
        self._last: dict[int, int] = {}                  # value -> the last stage that reads it

    def type(self, v: int) -> str:
        return TYPES[self.specs[v].dtype.name]

    def space(self, instr: Instr) -> Shape:
        return space_of(instr, self.specs)

    # ------------------------------------------------------------------------------------------------------- memory

    def temporary(self, type: str, size: int, last: int | None = None) -> Array:
        """Memory until the end of stage ``last`` (this one)."""
        name = self.w.fresh("m")
        nbytes = size * SIZE[type]
        if self._stack + nbytes <= _STACK:
            self._stack += nbytes
            self.head.append(f"  {name} = alloca {MEMORY[type]}, i64 {size}, align 64")
        else:
            nbytes = (nbytes + 63) // 64 * 64
            at = self._take(nbytes)
            self._held.append((self._stage if last is None else last, at, nbytes))
            self.places[name] = at
            self.head.append(f"  {name} = getelementptr i8, ptr %scratch, i64 {at}")
        return Array(name, type, size)

    def near(self, name: str) -> str:
        """The same address, made where it is used: thousands that live from the beginning on take the compiler long."""
        return self.w.set(f"getelementptr i8, ptr %scratch, i64 {self.places[name]}") if name in self.places else name

    def _take(self, nbytes: int) -> int:
        for k, (at, size) in enumerate(self._free):
            if size >= nbytes:
                self._free[k:k + 1] = [(at + nbytes, size - nbytes)] if size > nbytes else []
                return at
        at, self.scratch = self.scratch, self.scratch + nbytes
        return at

    def _give_back(self) -> None:
        """Memory that nothing reads after this stage is free."""
        for row in self._held:
            if row[0] <= self._stage:
                self._free.append(row[1:])
        self._held = [row for row in self._held if row[0] > self._stage]
        whole: list[tuple[int, int]] = []
        for at, size in sorted(self._free):
            if whole and whole[-1][0] + whole[-1][1] == at:
                whole[-1] = (whole[-1][0], whole[-1][1] + size)
            else:
                whole.append((at, size))
        self._free = whole

    def memory(self, v: int) -> Array:
        """Where a value of several elements that this stage makes lies."""
        if v not in self.arrays:
            self.arrays[v] = self.temporary(self.type(v), self.specs[v].size, self._last.get(v, self._stage))
        return self.arrays[v]

    # -------------------------------------------------------------------------------------------------------- the whole

    def write(self) -> str:
        unit, specs, w = self.unit, self.specs, self.w
        params = []
        for k, v in enumerate(unit.args):
            self.arrays[v] = Array(f"%a{k}", self.type(v), specs[v].size)
            params.append(f"ptr noalias {'' if v in self.renewed.values() else 'readonly '}%a{k}")
        for k, v in enumerate(unit.results):
            if v in self.renewed:
                self.arrays[v] = self.arrays[self.renewed[v]]
                continue
            self.arrays[v] = Array(f"%r{k}", self.type(v), specs[v].size)
            params.append(f"ptr noalias %r{k}")
        params.append("ptr noalias %scratch")
        reading = readers(unit)
        self._last = {v: max(rows) for v, rows in reading.items()}
        for v in unit.args:
            if specs[v].size == 1 and v in reading:
                self.scalars[v] = w.load(self.arrays[v].pointer, self.arrays[v].type)
        results = set(unit.results)
        if self.mark is not None:
            w.add("call void @adjoint_mark(i64 -1)")
        self.renewing = min([unit.made[v] for v in self.renewed], default=-1)
        self.steady = {stage for stage in unit.stages if isinstance(stage, Scatter) and ScatterWriter(self, stage).factors()}
        for n, stage in enumerate(unit.stages):
            if n == self.renewing and self.refuses:
                self.refuse_now()
            self._stage = n
            self.outside = {v for v, made in unit.made.items() if made == n and (v in results or reading.get(v, set()) - {n})}
            self.outside |= {v for v in unit.lies if unit.made[v] == n}
            for v, first in unit.zeroed.items():
                if first == n:
                    w.intrinsics.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
                    w.add(f"call void @llvm.memset.p0.i64(ptr {self.memory(v).pointer}, i8 0, i64 {specs[v].nbytes}, i1 false)")
            if isinstance(stage, Nest):
                NestWriter(self, n, stage).write()
            elif isinstance(stage, Product):
                self._product(stage)
            elif isinstance(stage, Scatter):
                ScatterWriter(self, stage).write()
            elif isinstance(stage, Pick):
                self._pick(stage)
            elif isinstance(stage, Scan):
                ScanWriter(self, stage).write()
            elif is_long(stage):
                self._long(n, stage)
            else:
                self._straight(stage)
            self._give_back()
            if self.mark is not None:
                w.add(f"call void @adjoint_mark(i64 {self.mark + n})")
        if self.renewed and self.refuses:
            raise TooLate
        self.refuses = self.refuses or self.early
        self.products.finish()
        w.add(f"ret i32 {w.set('load i32, ptr %refused') if self.refuses else '0'}")
        calls = self.many and self.pieces is None        # little else than calls: nothing to optimize
        body = [f"define internal i32 @{self.name}({', '.join(params)}) {'#1' if calls else '#0'} {{",
                "entry:", *self.head]
        if self.refuses:
            body += ["  %refused = alloca i32", "  store i32 0, ptr %refused"]
        before = [self.products.definitions()]
        if self.mark is not None:
            before.append("declare void @adjoint_mark(i64)")
        if self.threads:
            before += ["@adjoint_threads = external global i32", "declare void @adjoint_parallel(ptr, ptr, i32)"]
        if self.pieces is not None:
            size = self.pieces.size
            if size <= _FRAME:
                body.append(f"  %frame = alloca i8, i64 {size}, align 64")
            else:
                body.append(f"  %frame = getelementptr i8, ptr %scratch, i64 {self.scratch}")
                self.scratch += (size + 63) // 64 * 64
            before += self.pieces.functions
            w.intrinsics |= self.pieces.intrinsics
        return _with_lanes("\n".join([*before, *self.functions, *body, *w.lines, "}"]))

    def refuse_now(self) -> None:
        """Leave here if an element was refused."""
        w = self.w
        self.labels += 1
        label = f"refused{self.labels}"
        refused = w.set(f"icmp ne i32 {w.set('load i32, ptr %refused')}, 0")
        w.add(f"br i1 {refused}, label %{label}.leave, label %{label}.stay")
        w.label(f"{label}.leave")
        self.products.finish()
        w.add("ret i32 1")
        w.label(f"{label}.stay")
        self.early, self.refuses = True, False

    def check(self, term: Term, by: Access | None) -> None:
        """Note that all elements of an array are looked at whether they are indices of an axis."""
        if by is not None and covers(by, self.specs[by.base].size):
            self.checked.add((by.base, term.size))

    def parallel(self, function: str, context: str) -> None:
        """Run ``function(context)`` in every thread."""
        w = self.w
        self.threads = True
        w.add(f"call void @adjoint_parallel(ptr @{function}, ptr {context}, i32 {w.set('load i32, ptr @adjoint_threads')})")

    # --------------------------------------------------------------------------------------------------- single numbers

    def scalar(self, given: int) -> str:
        """The name of a value of one element."""
        view = self.unit.views.get(given)
        base = given if view is None else view.base
        if base in self.scalars:
            return self.scalars[base]
        if base in self.constants:
            return number(self.constants[base], self.type(base))
        offset = 0 if view is None else view.offset
        if base in self.ramps:
            return str(offset)
        array = self.arrays[base]
        at = self.w.set(f"getelementptr inbounds {MEMORY[array.type]}, ptr {array.pointer}, i64 {offset}")
        return self.w.load(at, array.type)

    def _straight(self, loop: Loop) -> None:
        w, s = self.w, Functions()
        values: dict[int, Expr] = {}
        leaves: list[int] = []
        found: dict[Any, Expr] = {}

        def source(given: int) -> Expr:
            view = self.unit.views.get(given)
            base = given if view is None else view.base
            if base in self.constants:
                return s.const(self.constants[base], self.type(given))
            if base in values:
                return values[base]
            key = (base, 0 if view is None else view.offset)
            if key not in found:
                leaves.append(given)
                found[key] = s.input(self.type(given), len(leaves) - 1)
            return found[key]

        for instr in loop.instrs:
            args = [source(a) for a in instr.args]
            out = instr.outs[0]
            values[out] = args[0] if instr.op.prim.name in REDUCTIONS else lower(s, instr.op, args, self.type(out))
        names = w.expressions([*values.values(), *s.refused], lambda e: self.scalar(leaves[e.value]))
        for name in names[len(values):]:
            self.refuses = True
            refuse(w, name, "%refused")
        for v, name in zip(values, names):
            self._keep(v, name)

    def _pick(self, stage: Pick) -> None:
        w, s, source = self.w, Functions(), stage.source
        terms, base, type = source.terms, source.base, self.type(source.base)
        places = [s.place(s.input(self.type(t.given), k), t.size) for k, t in enumerate(terms)]
        names = w.expressions([*places, *s.refused], lambda e: self.scalar(terms[e.value].given))
        for name in names[len(terms):]:
            self.refuses = True
            refuse(w, name, "%refused")
        at = str(source.offset)
        for name, t in zip(names, terms):
            at = w.set(f"add i64 {at}, {w.set(f'mul i64 {name}, {t.stride}')}")
        if base in self.ramps:
            value = w.convert(at, "i64", type)
        elif base in self.constants or self.specs[base].size == 1:
            value = self.scalar(base)
        else:
            value = w.load(w.set(f"getelementptr inbounds {MEMORY[type]}, ptr {self.arrays[base].pointer}, i64 {at}"), type)
        self._keep(stage.out, value)

    def _keep(self, v: int, name: str) -> None:
        lies = self.unit.lies.get(v)
        if lies is not None:
            array = self.memory(lies.base)
            to = self.w.set(f"getelementptr inbounds {MEMORY[array.type]}, ptr {array.pointer}, i64 {lies.offset}")
            self.w.store(name, to, array.type)
            return
        self.scalars[v] = name
        if v in self.arrays:
            self.w.store(name, self.arrays[v].pointer, self.arrays[v].type)

    def function(self, what: str, lines: list[str]) -> str:
        """The name of a function of the module, called NAME in its text; equal ones are written once."""
        text = "\n".join(lines)
        name = self.known.get(text)
        if name is None:
            name = self.known[text] = f"{self.name}_{what}{len(self.known)}"
            self.functions.append(text.replace("@NAME", f"@{name}"))
        return name

    def _product(self, p: Product) -> None:
        out, w = p.out, self.w
        if self.specs[out].size == 1 and out not in self.arrays:
            self.arrays[out] = self.temporary(p.type, 1)
        self.products.write(p, self._operand, self.memory(out).pointer, self.scalar)
        if self.specs[out].size == 1:
            self.scalars[out] = w.load(self.arrays[out].pointer, p.type)

    def _operand(self, v: int) -> str:
        """Where an operand of a product lies."""
        if v not in self.arrays:                         # a single number
            self.arrays[v] = self.temporary(self.type(v), 1, self._last[v])
            self.w.store(self.scalar(v), self.arrays[v].pointer, self.arrays[v].type)
        return self.arrays[v].pointer

    def _long(self, n: int, loop: Loop) -> None:
        """Straight-line code in loops and pieces."""
        unit, w = self.unit, self.w
        names = {v: base for v, base in unit.names.items() if self.specs[base].size == 1}
        if self.pieces is None:
            self.pieces = Pieces(self.specs, self.constants, names)
        pieces, inside = self.pieces, {i.outs[0] for i in loop.instrs}
        self.refuses = True
        given = {names.get(a, a): a for i in loop.instrs for a in i.args}
        outside = self.outside & inside                  # not what is only put together of parts
        name, takes = pieces.cut(loop, outside)
        packed: dict[int, list[tuple[int, int]]] = {}
        for v in takes:
            if v in pieces.stored:
                continue
            pieces.stored.add(v)
            view = unit.views.get(given[v])
            if view is not None and view.base in self.arrays and self.specs[view.base].size > 1:
                packed.setdefault(view.base, []).append((view.offset, v))
            else:
                w.store(self.scalar(given[v]), pieces.at(w, v), pieces.type(v))
        for base, values in packed.items():
            pieces.bring(w, self.arrays[base].pointer, self.arrays[base].type, values)
        w.add(f"call void @{name}(ptr %frame, ptr %refused)")
        pieces.stored |= inside
        for v in sorted(outside):
            self._keep(v, w.load(pieces.at(w, v), pieces.type(v)))


def _with_lanes(text: str) -> str:
    """Each mark of a loop's width as metadata of its own."""
    made: list[str] = []

    def node(found: re.Match[str]) -> str:
        n = 2 * len(made)
        made.append(f'!{n} = distinct !{{!{n}, !{n + 1}}}\n!{n + 1} = !{{!"llvm.loop.vectorize.width", i32 {found[1]}}}')
        return f"!{n}"

    return "\n".join([re.sub("!WIDE([0-9]+)", node, text), *made])


__all__ = ["TooLate", "UnitWriter"]

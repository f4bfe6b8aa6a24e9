"""Fusion: a program as units that are compiled whole, and steps of their own.

A unit is a list of stages. A stage is straight-line code on single numbers, a matrix product, or a nest: loops that run
one after the other for each row of their common rows. A loop holds elementwise operations over one number of elements
and reductions of it. A value that only its own loop needs is never written out; one that only its own nest needs is
written to a buffer of one row. Everything else is a step: a call of the NumPy kernel.
"""
from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from .._graph import By, Op, Shape, Spec
from .._scalar import HALVES, NAMES, Expr, Functions
from ..primitives.movement import RESHAPE
from .access import Access, Strides, View, contiguous, counted, finer, indexed, joined, placed, prefixes, rowwise, seen, spread
from .products import Product, products
from .program import Instr, Program
from .scan import Scan
from .scatter import Pick, Scatter, Update, updates

TYPES = {**NAMES, **HALVES}
_SHORT = frozenset(HALVES.values())                     # stored so, computed in f32 and rounded once
REDUCTIONS = {"sum": "add", "mean": "mean", "max": "max", "min": "min"}
CONSTANTS = frozenset({"literal", "full"})
_PARTS = 32                                              # inputs that are put into one result
_CHAIN = 1 << 31                                         # elements that are added by indices
_LOOK_BACK = 24                                          # stages that an operation may join


Reads = list[tuple[tuple[int, Shape | int], Access]]     # the key in a loop's ``reads``, and how it is read


class Loop:
    """Elementwise operations and reductions over the same elements; ``shape`` (without axes of length 1) holds the axes that any
    of them needs, () for straight-line code.

    reads    argument as given, and the space of who reads it (or, by indices, its result) -> Access
    reduced  reduction's result -> Access of where it is added up
    puts     value that is a part of another -> Access of where it goes
    """

    __slots__ = ("instrs", "puts", "reads", "reduced", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.instrs: list[Instr] = []
        self.reads: dict[tuple[int, Shape | int], Access] = {}
        self.reduced: dict[int, Access] = {}
        self.puts: dict[int, Access] = {}

    def along(self, access: Access) -> Strides:
        """The access's strides along the loop's axes."""
        return finer(access.shape, access.strides, self.shape)


class Nest:
    """Loops that run one after the other for each of ``rows`` rows (1: one after the other as they are)."""

    __slots__ = ("at", "choices", "loops")

    def __init__(self) -> None:
        self.loops: list[Loop] = []
        self.at: dict[int, int] = {}                     # value -> number of the loop that makes it
        self.choices: set[int] = set()                   # numbers of rows that would do

    @property
    def rows(self) -> int:
        return max(self.choices) if len(self.loops) > 1 else 1


class Unit:
    """What is compiled as one function.

    args     values that come from outside
    results  values that others need
    stages   in order: Loop with shape (), Nest, Product, Scatter, Scan or Pick
    made     value -> number of the stage that makes it
    lies     value that is nothing but a part of another -> where in it
    zeroed   value made of such parts that do not fill it -> the stage before which it is set to zero
    views    value -> where in another's memory it lies
    items    all of its operations, in the program's order; a Product stands for several
    """

    __slots__ = ("args", "items", "lies", "made", "results", "stages", "views", "zeroed")

    def __init__(self) -> None:
        self.items: list[Instr | Product | Update] = []
        self.stages: list[Any] = []
        self.made: dict[int, int] = {}
        self.views: dict[int, View] = {}
        self.lies: dict[int, View] = {}
        self.zeroed: dict[int, int] = {}
        self.args: list[int] = []
        self.results: list[int] = []

    @property
    def instrs(self) -> list[Instr]:
        """The operations one by one."""
        return [i for item in self.items for i in ((item,) if isinstance(item, Instr) else item.instrs)]

    @property
    def names(self) -> dict[int, int]:
        """View -> the value whose memory it shares."""
        return {v: view.base for v, view in self.views.items()}


class Fused:
    """A program's units and steps in order, its constants, and its ramps."""

    __slots__ = ("constants", "parts", "program", "ramps")

    def __init__(self, program: Program, parts: list[Unit | Instr], constants: dict[int, Any], ramps: set[int]) -> None:
        self.program, self.parts, self.constants, self.ramps = program, parts, constants, ramps


@lru_cache(8192)
def lowers(op: Op, types: tuple[str, ...], out: str) -> bool:
    """Whether ``op`` has a lowering for these types."""
    if op.prim.lower is None:
        return False
    s = Functions()
    result = op.prim.lower(s, *[wide(s.input(t, k)) for k, t in enumerate(types)], **op.params)
    return result.__class__ is Expr and (result.type == out or (out in _SHORT and result.type == "f32"))


def wide(x: Expr) -> Expr:
    """What operations see of a value."""
    return x.to("f32") if x.type in _SHORT else x


def lower(s: Functions, op: Op, args: list[Expr], out: str) -> Expr:
    """The operation on expressions; a view that has to be copied is its argument."""
    if op.prim.view is not None:
        return args[0]
    result = op.prim.lower(s, *[wide(x) for x in args], **op.params).to(out)  # type: ignore[misc]
    return result  # type: ignore[no-any-return]


def kind_of(instr: Instr, specs: dict[int, Spec]) -> str:
    """constant, ramp, view, reduction, point, gather, scatter, scan, parts or step."""
    prim = instr.op.prim
    if len(instr.outs) != 1 or prim.kernel is not prim.lowered:
        return "step"
    out = specs[instr.outs[0]]
    if out.dtype.name not in TYPES or out.size == 0:
        return "step"
    if prim.name in CONSTANTS:
        return "constant"
    types = []
    for a in instr.args:
        s = specs[a]
        t = TYPES.get(s.dtype.name)
        if t is None or s.size == 0:
            return "step"
        types.append(t)
    if prim.ramp:
        return "ramp" if out.size > 1 else "constant"
    if prim.view is not None and len(types) == 1:
        return "view"
    if prim.gathers is not None:
        found = prim.gathers(*[specs[a] for a in instr.args], **instr.op.params)
        return "gather" if found and all(t[0] in "iu" for t in types[1:]) else "step"
    if prim.scatters is not None and len(types) > 1:
        fits = out.size > 1 and types[0] != "b" and specs[instr.args[0]].size < _CHAIN and all(t[0] in "iu" for t in types[1:])
        return "scatter" if fits else "step"
    if prim.view is not None:
        return "step"
    if prim.overlays is not None:
        fits = out.size > 1 and specs[instr.args[1]].size < _CHAIN and all(t[0] in "iu" for t in types[2:])
        return "scatter" if fits else "step"
    if prim.scan is not None:
        return "scan" if out.size > 1 else "step"
    if prim.places is not None:
        found = out.size > 1 and len(types) <= _PARTS and placed(instr.op, [specs[a] for a in instr.args], out.shape)
        return "parts" if found else "step"
    if prim.name in REDUCTIONS:
        return "reduction" if out.dtype is specs[instr.args[0]].dtype and out.dtype.kind in "iuf" else "step"
    if prim.elementwise and lowers(instr.op, tuple(types), TYPES[out.dtype.name]):
        return "point"
    return "step"


def space_of(instr: Instr, specs: dict[int, Spec]) -> Shape:
    """What an operation goes over: its result, or what it reduces, or what it copies in another shape."""
    whole = instr.op.prim.name in REDUCTIONS or (instr.op.prim.view is not None and len(instr.args) == 1)
    return specs[instr.args[0] if whole else instr.outs[0]].shape


def fuse(program: Program) -> Fused:
    """Units and steps, every one after what it needs."""
    specs = program.specs
    kinds = [kind_of(i, specs) for i in program.instrs]
    found, gone = products(program, lambda i: i.op.prim.kernel is i.op.prim.lowered)
    items: list[Any] = list(program.instrs)
    multiplied: set[int] = set()                         # operands of products
    for n in gone:
        kinds[n] = "gone"
    for n, product in found.items():
        kinds[n], items[n] = "product", product
        multiplied.update(product.args)
    by_indices, within = updates(program, kinds)
    for n in within:
        kinds[n] = "gone"
    for n, update in by_indices.items():
        kinds[n], items[n] = "scatter", update
    constants: dict[int, Any] = {}
    wanted_by_fused: set[int] = set()
    for item, kind in zip(items, kinds):
        if kind in ("point", "reduction", "gather", "scatter", "scan", "product", "parts"):
            wanted_by_fused.update(item.args)
    for n in range(len(kinds) - 1, -1, -1):              # a view that only steps look at is a step, an operand a copy
        if kinds[n] == "view":
            instr = program.instrs[n]
            if instr.outs[0] in wanted_by_fused:
                wanted_by_fused.update(instr.args)
                if instr.outs[0] in multiplied:
                    kinds[n] = "point"
            else:
                kinds[n] = "step"
    ramps = {i.outs[0] for i, kind in zip(program.instrs, kinds) if kind == "ramp"}
    in_memory = set(program.outputs) if ramps else set()      # where a ramp is needed as an array
    for instr, kind in zip(reversed(program.instrs), reversed(kinds)) if ramps else ():
        if kind == "step" or (kind == "view" and instr.outs[0] in in_memory):
            in_memory.update(instr.args)

    # Level k: unit k, then the steps of level k.
    after_unit: dict[int, int] = {}
    after_step: dict[int, int] = {}
    units: list[Unit] = []
    steps: list[list[Instr]] = []
    first: list[Instr] = []
    last_impure = 0
    for item, kind in zip(items, kinds):
        if kind == "gone":
            continue
        if kind == "constant":
            constants[item.outs[0]] = item.op.params.get("value", 0)
            continue
        if kind == "ramp":
            if item.outs[0] in in_memory:
                first.append(item)
                after_step[item.outs[0]] = -1
            continue
        if kind == "step" and item.op.prim.pure and all(a in constants or after_step.get(a) == -1 for a in item.args):
            first.append(item)                           # constant arrays
            after_step.update(dict.fromkeys(item.outs, -1))
            continue
        level = 0
        for a in item.args:
            if a in after_unit:
                level = max(level, after_unit[a])
            elif a in after_step:
                level = max(level, after_step[a] + (kind != "step"))
        if kind == "step" and not item.op.prim.pure:
            level = last_impure = max(level, last_impure)
        while len(units) <= level:
            units.append(Unit())
            steps.append([])
        if kind == "step":
            steps[level].append(item)
            for v in item.outs:
                after_step[v] = level
        else:
            units[level].items.append(item)
            after_unit[item.outs[0]] = level

    views = {i.outs[0]: i for i, kind in zip(program.instrs, kinds) if kind == "view"}
    for unit in units:                                   # a view costs nothing: each unit that reads one has it for itself
        own = {i.outs[0] for i in unit.items}
        more: dict[int, Instr] = {}
        wanted = [a for i in unit.items for a in i.args]
        while wanted:
            a = wanted.pop()
            if a in views and a not in own and a not in more:
                more[a] = views[a]
                wanted.append(views[a].args[0])
        unit.items[:0] = [more[a] for a in sorted(more)]

    users: dict[int, set[int]] = {}                      # value -> levels of units that read it; -1: steps, outputs
    for level, unit in enumerate(units):
        for item in unit.items:
            for a in item.args:
                users.setdefault(a, set()).add(level)
        for instr in steps[level]:
            for a in instr.args:
                users.setdefault(a, set()).add(-1)
    for v in program.outputs:
        users.setdefault(v, set()).add(-1)

    parts: list[Unit | Instr] = [*first]
    for level, unit in enumerate(units):
        if unit.items:
            _Arranger(unit, specs, constants, ramps).arrange(level, users)
            parts.append(unit)
        parts.extend(steps[level])
    return Fused(program, parts, constants, ramps)


class _Arranger:
    """Puts the operations of a unit into stages, and finds what it takes and gives."""

    def __init__(self, unit: Unit, specs: dict[int, Spec], constants: dict[int, Any], ramps: set[int]) -> None:
        self.unit, self.specs, self.constants, self.ramps = unit, specs, constants, ramps
        self.late: set[int] = set()                      # reductions, complete when their loop (or row) is
        self.whole: set[int] = set()                     # reductions across rows, complete after their stage
        self.rows: dict[int, set[int]] = {}              # reduction -> numbers of rows in which it is complete by row
        self.copies = {a for item in unit.items if item.__class__ is Product for a in item.args}
        self.readers: dict[int, set[int]] = {}           # array from outside -> stages that read it

    def arrange(self, level: int, users: dict[int, set[int]]) -> None:
        unit = self.unit
        unit.stages.append(Loop(()))                     # for single numbers that nothing has to be done for
        args: dict[int, None] = {}
        for item in unit.items:
            whole = item.__class__ is Product            # an operand lies in memory even where it is constant
            for a in item.args:
                base = unit.views[a].base if a in unit.views else a
                if base not in unit.made and base not in self.ramps and (base not in self.constants or whole):
                    args[base] = None
            if isinstance(item, Product):
                unit.made[item.out] = len(unit.stages)
                unit.stages.append(item)
            elif isinstance(item, Update):
                self._scatter(item.instrs, item.base)
            elif item.op.prim.overlays is not None:
                self._scatter([item], item.args[0], 1)
            elif item.op.prim.scatters is not None and len(item.args) > 1:
                self._scatter([item])
            elif item.op.prim.scan is not None:
                self._scan(item)
            elif item.op.prim.places is not None:
                self._parts(item)
            elif item.op.prim.view is None or len(item.args) != 1 or not self._view(item):
                self._place(item)
            elif item.outs[0] in self.copies and item.outs[0] in unit.views:
                self._copy(item.outs[0])
        if not unit.stages[0].instrs:
            del unit.stages[0]
            unit.made = {v: n - 1 for v, n in unit.made.items()}
            unit.zeroed = {v: n - 1 for v, n in unit.zeroed.items()}
        unit.args = list(args)
        wanted: dict[int, None] = {}
        for item in unit.items:
            out = item.outs[0]
            if users.get(out, set()) - {level} and out not in self.constants:
                base = unit.views[out].base if out in unit.views else out
                if base in unit.made:
                    wanted[base] = None
        unit.results = list(wanted)

    def _view(self, instr: Instr) -> bool:
        given, out = instr.args[0], instr.outs[0]
        if given in self.constants:
            self.constants[out] = self.constants[given]
            return True
        shape = self.specs[given].shape
        known = self.unit.views.get(given)
        view = View(given, contiguous(shape), 0) if known is None else known
        found = seen(instr.op, shape, view.strides, view.offset)
        if found is None:
            return False
        self.unit.views[out] = View(view.base, *found)
        return True

    def _copy(self, v: int) -> None:
        """A view is written out: an operand that a product can't read where it lies."""
        specs = self.specs
        seen_as = max(specs) + 1
        specs[seen_as] = specs[v]
        self.unit.views[seen_as] = self.unit.views.pop(v)
        self._place(Instr(RESHAPE.op(shape=specs[v].shape), (seen_as,), (v,)))

    def _parts(self, instr: Instr) -> None:
        """Each input is copied to its part of the result, by the loop that makes it if there is one."""
        unit, specs, out = self.unit, self.specs, instr.outs[0]
        found = placed(instr.op, [specs[a] for a in instr.args], specs[out].shape)
        assert found is not None
        stages = []
        for a, (strides, offset) in zip(instr.args, found):
            part = max(specs) + 1
            specs[part] = specs[a]
            unit.lies[part] = View(out, strides, offset)
            self._place(Instr(RESHAPE.op(shape=specs[a].shape), (a,), (part,)))
            stages.append(unit.made[part])
        if sum(specs[a].size for a in instr.args) < specs[out].size:
            unit.zeroed[out] = min(stages)
        unit.made[out] = max(stages)
        self.whole.add(out)

    def _access(self, given: int, space: Shape, axes: tuple[int, ...] | None = None) -> Access:
        """How a value is read along ``space``; ``axes`` are its own there, the last ones by default."""
        view = self.unit.views.get(given)
        shape = self.specs[given].shape
        base, strides, offset = (given, contiguous(shape), 0) if view is None else (view.base, view.strides, view.offset)
        if axes is None:
            return Access(base, space, spread(shape, strides, space), offset)
        along = dict(zip(axes, strides))
        return Access(base, space, tuple([along.get(k, 0) for k in range(len(space))]), offset)

    def _place(self, instr: Instr) -> None:
        unit, specs, out = self.unit, self.specs, instr.outs[0]
        reduction = instr.op.prim.name in REDUCTIONS
        space = space_of(instr, specs)
        if all(n == 1 for n in space):
            if instr.op.prim.gathers is not None and len(instr.args) > 1:
                unit.made[out] = len(unit.stages)
                unit.stages.append(Pick(instr, self._gather(instr, space)[0][1]))
            else:
                self._place_number(instr)
            return
        reads: Reads = [((a, space), self._access(a, space)) for a in instr.args if a not in self.constants]
        if instr.op.prim.gathers is not None and len(instr.args) > 1:
            reads = self._gather(instr, space)
        need = self._after([access.base for _, access in reads], Nest)
        target = None
        if reduction:
            axes = instr.op.params["axes"]
            kept = contiguous(tuple([1 if k in axes else n for k, n in enumerate(space)]))
            target = Access(out, space, kept, 0)
        stages = unit.stages
        for q in range(max(need, len(stages) - _LOOK_BACK), len(stages)):
            stage = stages[q]
            if stage.__class__ is Nest and self._join(q, stage, instr, space, reads, target):
                return
        nest = Nest()
        nest.choices = set(prefixes(space))
        nest.loops.append(Loop(tuple([n for n in space if n != 1])))
        stages.append(nest)
        self._put(len(stages) - 1, nest, 0, instr, reads, target)

    def _gather(self, instr: Instr, space: Shape) -> Reads:
        """What an operation reads that takes elements of an array by indices."""
        given, out = instr.args[0], instr.outs[0]
        entries = instr.op.prim.gathers(*[self.specs[a] for a in instr.args], **instr.op.params)  # type: ignore[misc]
        whole, by = self._indexed(instr, entries, self._access(given, self.specs[given].shape), space)
        return [((given, out), whole), *[((a, out), access) for a, access in by.items()]]

    def _scatter(self, instrs: list[Instr], base: int | None = None, number: int = 0) -> None:
        """``number``: the argument that is added or put."""
        unit, specs, instr, out = self.unit, self.specs, instrs[0], instrs[-1].outs[0]
        prim, given = instr.op.prim, instr.args[number]
        rule: Any = prim.overlays if number else prim.scatters
        found = rule(*[specs[a] for a in instr.args], **instr.op.params)
        how, entries, part = found if number else ("add", found, specs[given].shape)
        shape = specs[out].shape
        if base in unit.views or base in self.ramps:     # it is written over in memory of its own
            view, base = base, max(specs) + 1
            specs[base] = specs[view]
            self._place(Instr(RESHAPE.op(shape=specs[view].shape), (view,), (base,)))
            instrs = [Instr(i.op, tuple([base if a == view else a for a in i.args]), i.outs) for i in instrs]
        target, by = self._indexed(instr, entries, Access(out, shape, contiguous(shape), 0), part)
        known = self.constants
        source = known[given] if given in known else self._access(given, part)
        unit.made[out] = len(unit.stages)
        unit.stages.append(Scatter(how, instrs, source, target, {
            t.given: by[t.given] if t.given in by else known[t.given] for t in target.terms}, base))
        self.whole.add(out)

    def _scan(self, instr: Instr) -> None:
        unit, out, known = self.unit, instr.outs[0], self.constants
        shape = self.specs[out].shape
        unit.made[out] = len(unit.stages)
        unit.stages.append(Scan(instr, shape, [known[a] if a in known else self._access(a, shape) for a in instr.args]))
        self.whole.add(out)

    def _indexed(self, instr: Instr, entries: Any, whole: Access, part: Shape) -> tuple[Access, dict[int, Access]]:
        """Where the elements of a part of an array stand, and how the indices are read that say so."""
        axes = {entry.argument: entry.axes for entry in entries if entry.__class__ is By}
        by = {a: self._access(a, part, axes[k]) for k, a in enumerate(instr.args) if k in axes and a not in self.constants}
        found = indexed(entries, whole.shape, whole.strides, whole.offset, part, instr.args)
        return counted(Access(whole.base, part, *found), {a: x for a, x in by.items() if x.base in self.ramps}), by

    def _place_number(self, instr: Instr) -> None:
        """Put an operation on single numbers into straight-line code."""
        unit, views = self.unit, self.unit.views
        need, stages = self._after([views[a].base if a in views else a for a in instr.args], Loop), unit.stages
        at = need
        if need:                                         # the first stage is one of straight-line code
            at = max(need, len(stages) - _LOOK_BACK)
            while at < len(stages) and stages[at].__class__ is not Loop:
                at += 1
            if at == len(stages):
                stages.append(Loop(()))
        stages[at].instrs.append(instr)
        unit.made[instr.outs[0]] = at

    def _after(self, bases: Iterable[int], kind: type) -> int:
        """The first stage that may read these, if it is of this kind."""
        unit, need = self.unit, 0
        for b in bases:
            q = unit.made.get(b)
            if q is not None and q >= need:
                need = q + (unit.stages[q].__class__ is not kind or b in self.whole)
        return need

    def _put(self, q: int, nest: Nest, k: int, instr: Instr, reads: Reads, target: Access | None) -> None:
        out, loop = instr.outs[0], nest.loops[k]
        loop.instrs.append(instr)
        for key, access in reads:
            loop.reads[key] = access
            if access.base not in self.unit.made and access.base not in self.ramps and self.specs[access.base].size > 1:
                self.readers.setdefault(access.base, set()).add(q)
        self.unit.made[out] = q
        nest.at[out] = k
        lies = self.unit.lies.get(out)
        if lies is not None:
            loop.puts[out] = Access(lies.base, self.specs[out].shape, lies.strides, lies.offset)
        if target is not None:
            loop.reduced[out] = target
            self.late.add(out)
            sizes = [n for n in target.shape if n != 1]
            strides = [s for n, s in zip(target.shape, target.strides) if n != 1]
            total = self.specs[out].size
            by_row = {r for r in prefixes(sizes) if total % r == 0 and rowwise(sizes, tuple(strides), 0, r, total // r)}
            self.rows[out] = by_row
            if not by_row:
                self.whole.add(out)

    def _join(self, q: int, nest: Nest, instr: Instr, space: Shape, reads: Reads, target: Access | None) -> bool:
        """Put the operation in a loop of the nest, or in a new one at its end, where that keeps every row to itself."""
        unit, specs = self.unit, self.specs
        count = 1
        for n in space:
            count *= n
        first, choices = 0, nest.choices
        related = False
        for _, access in reads:
            b = access.base
            if unit.made.get(b) != q:
                related = related or q in self.readers.get(b, ())
                continue
            related = True
            same = (b not in self.late and specs[b].size == count and access.offset == 0 and access.strides == contiguous(space)
                    and not access.terms)
            first = max(first, nest.at[b] + (not same))
            if not same:
                sizes = [n for n in space if n != 1]
                strides = tuple([s for n, s in zip(space, access.strides) if n != 1])
                total = specs[b].size
                reach = access.reach
                choices = {r for r in choices if total % r == 0 and rowwise(sizes, strides, access.offset, r, total // r, reach)}
                if b in self.late:
                    choices &= self.rows[b]
        for k in range(first, len(nest.loops)):
            loop = nest.loops[k]
            if loop.shape and _size(loop.shape) == count:
                shape = joined(loop.shape, space)
                if shape is None:
                    continue
                if len(nest.loops) == 1:                 # all in one loop: any axis may be the rows' end
                    choices = set(prefixes(shape))
                if choices:
                    loop.shape = shape
                    nest.choices = choices
                    self._put(q, nest, k, instr, reads, target)
                    return True
        choices = choices & set(prefixes(space))
        if not related or not choices:
            return False
        nest.choices = choices
        nest.loops.append(Loop(tuple([n for n in space if n != 1])))
        self._put(q, nest, len(nest.loops) - 1, instr, reads, target)
        return True


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


__all__ = ["REDUCTIONS", "TYPES", "Access", "Fused", "Loop", "Nest", "Unit", "fuse", "lower", "space_of",
           "wide"]

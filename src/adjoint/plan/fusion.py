"""Fusion: a program as loops over elements and steps of their own.

Operations with a lowering are gathered in units. A unit is a list of loops, each with one iteration space; a loop holds
elementwise operations of that shape and reductions of it. A value that only its own loop needs is never written out,
and a result of one element is a plain variable of the unit. Everything else is a step: a call of the NumPy kernel.
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any

from .._graph import Op, Shape, Spec
from .._scalar import NAMES, Expr, Functions
from .program import Instr, Program

TYPES = NAMES
REDUCTIONS = {"sum": "add", "mean": "mean", "max": "max", "min": "min"}
VIEWS = frozenset({"reshape"})
CONSTANTS = frozenset({"literal", "full"})


class Loop:
    """Elementwise operations and reductions over one iteration space; () for straight-line code."""

    __slots__ = ("instrs", "shape")

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.instrs: list[Instr] = []


class Unit:
    """What is compiled as one function.

    args       values that come from outside
    results    values that others need
    loops      in order
    made       value -> number of the loop that makes it
    names      value -> the value whose memory it shares (reshape)
    instrs     all of its operations, in the program's order
    """

    __slots__ = ("args", "instrs", "loops", "made", "names", "results")

    def __init__(self) -> None:
        self.instrs: list[Instr] = []
        self.loops: list[Loop] = []
        self.made: dict[int, int] = {}
        self.names: dict[int, int] = {}
        self.args: list[int] = []
        self.results: list[int] = []


class Fused:
    """A program's units and steps in order, and its constants."""

    __slots__ = ("constants", "parts", "program")

    def __init__(self, program: Program, parts: list[Unit | Instr], constants: dict[int, Any]) -> None:
        self.program, self.parts, self.constants = program, parts, constants


@lru_cache(8192)
def lowers(op: Op, types: tuple[str, ...], out: str) -> bool:
    """Whether ``op`` has a lowering for these types."""
    if op.prim.lower is None:
        return False
    s = Functions()
    result = op.prim.lower(s, *[s.input(t, k) for k, t in enumerate(types)], **op.params)
    return result.__class__ is Expr and result.type == out


def lower(s: Functions, op: Op, args: list[Expr], out: str) -> Expr:
    """The operation on expressions."""
    if op.prim.name == "broadcast_to":
        return args[0]
    result = op.prim.lower(s, *args, **op.params)  # type: ignore[misc]
    assert result.type == out
    return result  # type: ignore[no-any-return]


def kind_of(instr: Instr, specs: dict[int, Spec]) -> str:
    """constant, view, reduction, point or step."""
    name = instr.op.prim.name
    if len(instr.outs) != 1 or instr.op.prim.kernel is not instr.op.prim.lowered:
        return "step"
    out = specs[instr.outs[0]]
    if out.dtype.name not in TYPES or out.size == 0:
        return "step"
    if name in CONSTANTS:
        return "constant"
    types = []
    for a in instr.args:
        s = specs[a]
        t = TYPES.get(s.dtype.name)
        if t is None or s.size == 0:
            return "step"
        types.append(t)
    if name in VIEWS:
        return "view"
    if name in REDUCTIONS:
        return "reduction" if out.dtype is specs[instr.args[0]].dtype and out.dtype.kind in "iuf" else "step"
    if name == "broadcast_to":
        return "point"
    if instr.op.prim.elementwise and lowers(instr.op, tuple(types), TYPES[out.dtype.name]):
        return "point"
    return "step"


def space(s: Spec) -> Shape:
    """The iteration space of a value: one element needs no loop."""
    return () if s.size == 1 else s.shape


def fuse(program: Program) -> Fused:
    """Units and steps, every one after what it needs."""
    specs = program.specs
    kinds = [kind_of(i, specs) for i in program.instrs]
    constants: dict[int, Any] = {}
    wanted_by_fused: set[int] = set()
    for instr, kind in zip(program.instrs, kinds):
        if kind in ("point", "reduction"):
            wanted_by_fused.update(instr.args)
    for n in range(len(kinds) - 1, -1, -1):              # a view that only steps look at is a step
        if kinds[n] == "view":
            instr = program.instrs[n]
            if instr.outs[0] in wanted_by_fused:
                wanted_by_fused.update(instr.args)
            else:
                kinds[n] = "step"

    # Level k: unit k, then the steps of level k.
    after_unit: dict[int, int] = {}
    after_step: dict[int, int] = {}
    units: list[Unit] = []
    steps: list[list[Instr]] = []
    last_impure = 0
    for instr, kind in zip(program.instrs, kinds):
        if kind == "constant":
            constants[instr.outs[0]] = instr.op.params["value"]
            continue
        level = 0
        for a in instr.args:
            if a in after_unit:
                level = max(level, after_unit[a])
            elif a in after_step:
                level = max(level, after_step[a] + (kind != "step"))
        if kind == "step" and not instr.op.prim.pure:
            level = last_impure = max(level, last_impure)
        while len(units) <= level:
            units.append(Unit())
            steps.append([])
        if kind == "step":
            steps[level].append(instr)
            for v in instr.outs:
                after_step[v] = level
        else:
            units[level].instrs.append(instr)
            after_unit[instr.outs[0]] = level

    users: dict[int, set[int]] = {}                      # value -> levels of units that read it; -1: steps, outputs
    for level, unit in enumerate(units):
        for instr in unit.instrs:
            for a in instr.args:
                users.setdefault(a, set()).add(level)
        for instr in steps[level]:
            for a in instr.args:
                users.setdefault(a, set()).add(-1)
    for v in program.outputs:
        users.setdefault(v, set()).add(-1)

    parts: list[Unit | Instr] = []
    for level, unit in enumerate(units):
        if unit.instrs:
            _arrange(unit, specs, constants, level, users)
            parts.append(unit)
        parts.extend(steps[level])
    return Fused(program, parts, constants)


def _arrange(unit: Unit, specs: dict[int, Spec], constants: dict[int, Any], level: int, users: dict[int, set[int]]) -> None:
    """Put the operations of a unit into loops, and find what it takes and gives."""
    made, names, loops = unit.made, unit.names, unit.loops
    inside: set[int] = set()
    reduced: set[int] = set()
    args: dict[int, None] = {}
    by_shape: dict[Shape, list[int]] = {}
    for instr in unit.instrs:
        out = instr.outs[0]
        sources = [names.get(a, a) for a in instr.args]
        for a in sources:
            if a not in inside and a not in constants:
                args[a] = None
        if instr.op.prim.name in VIEWS:
            if sources[0] in constants:
                constants[out] = constants[sources[0]]
            else:
                names[out] = sources[0]
            continue
        reduction = instr.op.prim.name in REDUCTIONS
        shape = space(specs[instr.args[0]] if reduction else specs[out])
        need = 0
        for given, a in zip(instr.args, sources):
            if a in inside:
                same = given == a and loops[made[a]].shape == shape and a not in reduced
                need = max(need, made[a] + (0 if same else 1))
        for k in by_shape.get(shape, ()):
            if k >= need:
                number = k
                break
        else:
            number = len(loops)
            loops.append(Loop(shape))
            by_shape.setdefault(shape, []).append(number)
        loops[number].instrs.append(instr)
        made[out] = number
        inside.add(out)
        if reduction:
            reduced.add(out)
    unit.args = list(args)
    wanted: dict[int, None] = {}
    for instr in unit.instrs:
        out = instr.outs[0]
        if users.get(out, set()) - {level} and out not in constants:
            source = names.get(out, out)
            if source in inside:
                wanted[source] = None
    unit.results = list(wanted)


__all__ = ["REDUCTIONS", "TYPES", "VIEWS", "Fused", "Loop", "Unit", "fuse", "lower", "space"]

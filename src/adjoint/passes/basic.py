"""Rewrites that keep every bit: equal operations once, dead ones never, identities gone."""
from __future__ import annotations

from .._trace import LITERAL
from ..plan.program import Instr, Program

_TRANSPARENT = {"read", "identity", "stop_gradient"}


def _renamed(program: Program, instrs: list[Instr], names: dict[int, int]) -> Program:
    outputs = [names.get(v, v) for v in program.outputs]
    return Program(program.inputs, instrs, outputs, program.specs)


def drop_reads(program: Program) -> Program:
    """Operations that hand their input on unchanged are replaced by it."""
    names: dict[int, int] = {}
    kept: list[Instr] = []
    for instr in program.instrs:
        args = tuple([names.get(a, a) for a in instr.args])
        if instr.op.prim.name in _TRANSPARENT:
            names[instr.outs[0]] = args[0]
        else:
            kept.append(Instr(instr.op, args, instr.outs))
    return _renamed(program, kept, names)


def merge_same(program: Program) -> Program:
    """An operation that was computed already, with the same inputs, is not computed again."""
    names: dict[int, int] = {}
    seen: dict[object, tuple[int, ...]] = {}
    kept: list[Instr] = []
    for instr in program.instrs:
        args = tuple([names.get(a, a) for a in instr.args])
        key = (instr.op, args)
        before = seen.get(key) if instr.op.prim.pure else None
        if before is not None:
            names.update(zip(instr.outs, before))
        else:
            seen[key] = instr.outs
            kept.append(Instr(instr.op, args, instr.outs))
    return _renamed(program, kept, names)


def simplify(program: Program) -> Program:
    """Products with ones (a gradient's seed), double negatives, broadcasts and reshapes to the same shape."""
    names: dict[int, int] = {}
    made: dict[int, Instr] = {}
    kept: list[Instr] = []

    def is_one(v: int) -> bool:
        by = made.get(v)
        return by is not None and (
            (by.op.prim is LITERAL and by.op.params["value"] == 1)
            or (by.op.prim.name == "full" and by.op.params["value"] == 1))

    for instr in program.instrs:
        args = tuple([names.get(a, a) for a in instr.args])
        name, out = instr.op.prim.name, instr.outs[0]
        spec = program.specs[out]
        same = None
        if name == "multiply":
            if is_one(args[0]) and program.specs[args[1]] is spec:
                same = args[1]
            elif is_one(args[1]) and program.specs[args[0]] is spec:
                same = args[0]
        elif name == "divide":
            if is_one(args[1]) and program.specs[args[0]] is spec:
                same = args[0]
        elif name in ("reshape", "broadcast_to", "cast"):
            if program.specs[args[0]] is spec:
                same = args[0]
        elif name == "negative":
            by = made.get(args[0])
            if by is not None and by.op.prim.name == "negative":
                same = by.args[0]
        if same is not None:
            names[out] = same
            continue
        fresh = Instr(instr.op, args, instr.outs)
        kept.append(fresh)
        for v in instr.outs:
            made[v] = fresh
    return _renamed(program, kept, names)


def drop_dead(program: Program) -> Program:
    """Operations whose results nobody uses are dropped, and inputs with them."""
    wanted = set(program.outputs)
    kept: list[Instr] = []
    for instr in reversed(program.instrs):
        if not wanted.isdisjoint(instr.outs):
            wanted.update(instr.args)
            kept.append(instr)
    kept.reverse()
    inputs = [entry for entry in program.inputs if entry[0] in wanted]
    return Program(inputs, kept, program.outputs, program.specs)

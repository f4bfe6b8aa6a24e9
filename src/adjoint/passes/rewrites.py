"""Formulas written by hand, replaced by the accurate operation that they are (see _formulas; config.rewrites)."""
from __future__ import annotations

from .._config import config
from .._formulas import recognise
from ..plan.program import Instr, Program
from ..primitives.arithmetic import negative


def repair_formulas(program: Program) -> Program:
    """Values of recognised formulas come from their operation; what only the formula needed is left to ``drop_dead``."""
    if not config.rewrites:
        return program
    made: dict[int, Instr] = {}
    specs = program.specs
    kept: list[Instr] = []

    def known(v: int) -> object:
        by = made.get(v)
        return None if by is None else (by.op, by.args)

    for instr in program.instrs:
        found = recognise(instr.outs[0], known, specs.__getitem__) if _may(made, instr) else None  # type: ignore[arg-type]
        if found is None or not found.repairs:
            kept.append(instr)
        elif found.sign > 0:
            kept.append(Instr(found.op, found.leaves, instr.outs))
        else:
            fresh = max(specs) + 1
            specs[fresh] = specs[instr.outs[0]]
            kept += [Instr(found.op, found.leaves, (fresh,)), Instr(negative.primitive.op(), (fresh,), instr.outs)]
    return Program(program.inputs, kept, program.outputs, specs)


def _may(made: dict[int, Instr], instr: Instr) -> bool:
    for v in instr.outs:
        made[v] = instr                                  # as written, so that formulas are found inside of formulas
    return len(instr.outs) == 1


__all__ = ["repair_formulas"]

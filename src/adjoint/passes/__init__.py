"""The ordered list of rewrites between a recorded program and its plan."""
from __future__ import annotations

from collections.abc import Callable

from .._errors import AdjointError
from ..plan.program import Instr, Program
from .basic import drop_dead, drop_reads, merge_same, simplify
from .expand import expand
from .identity import pick_rows
from .rewrites import repair_formulas

PASSES: list[tuple[str, Callable[[Program], Program]]] = [
    ("drop reads", drop_reads),
    ("merge equal operations", merge_same),
    ("simplify", simplify),
    ("repair formulas", repair_formulas),
    ("pick rows of products", pick_rows),
    ("drop dead operations", drop_dead),
]
FOR_LOOPS: list[tuple[str, Callable[[Program], Program]]] = [
    ("expand", expand),
    ("merge equal operations", merge_same),
    ("simplify", simplify),
    ("drop dead operations", drop_dead),
]


def optimize(program: Program, check: bool = False) -> Program:
    """Run every pass in order; with ``check`` re-infer every spec after each."""
    return _run(PASSES, program, check)


def for_loops(program: Program, check: bool = False) -> Program:
    """An optimized program in operations that an engine makes loops of."""
    return _run(FOR_LOOPS, program, check)


def _run(passes: list[tuple[str, Callable[[Program], Program]]], program: Program, check: bool) -> Program:
    for name, rewrite in passes:
        program = rewrite(program)
        if check:
            verify(program, name)
    return program


def verify(program: Program, after: str) -> None:
    """Every value is defined before its use, and every operation's own rule gives the spec that is written down."""
    known = {v for v, _, _ in program.inputs}
    for instr in program.instrs:
        missing = [a for a in instr.args if a not in known]
        if missing:
            raise AdjointError(f"after pass {after!r}: {instr} uses %{missing[0]} before it is computed")
        out = instr.op.prim.infer(*[program.specs[a] for a in instr.args], **instr.op.params)
        specs = out if out.__class__ is tuple else (out,)
        if any(program.specs[k] is not s for k, s in zip(instr.outs, specs)):
            raise AdjointError(f"after pass {after!r}: {instr} should have {specs}, has "
                               f"{tuple(program.specs[k] for k in instr.outs)}")
        known.update(instr.outs)
    missing = [v for v in program.outputs if v not in known]
    if missing:
        raise AdjointError(f"after pass {after!r}: output %{missing[0]} is never computed")


__all__ = ["FOR_LOOPS", "PASSES", "Instr", "for_loops", "optimize", "verify"]

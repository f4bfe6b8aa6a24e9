"""Operations that are no loops of their own, written in operations that are: for the engines that compile loops.

A primitive's ``expand`` rule is recorded once for each kind of inputs, on tensors without values, and its operations take
the place of the one. The meaning stays the kernel's: the rules keep its accuracy and its conventions.
"""
from __future__ import annotations

from functools import lru_cache

from .._batch import argument, tracing
from .._dtypes import float32
from .._graph import Op, Spec, spec
from .._scalar import HALVES, NAMES
from .._trace import record
from ..plan.program import Instr, Program, extract
from ..primitives.convert import cast
from ..primitives.creation import FULL


def expand(program: Program) -> Program:
    """Every operation with an ``expand`` rule for its inputs is replaced by what the rule records."""
    names: dict[int, int] = {}
    kept: list[Instr] = []
    specs = program.specs
    last = max(specs, default=-1)
    for instr in program.instrs:
        args = tuple([names.get(a, a) for a in instr.args])
        prim = instr.op.prim
        body = None
        if prim.expand is not None and prim.kernel is prim.lowered:
            body = expansion(instr.op, tuple([specs[a] for a in args]))
        if body is None:
            kept.append(Instr(instr.op, args, instr.outs))
            continue
        if specs is program.specs:
            specs = dict(specs)
        inner = {v: args[at] for v, _, at in body.inputs}
        for part in body.instrs:
            outs = tuple(range(last + 1, last + 1 + len(part.outs)))
            last += len(outs)
            inner.update(zip(part.outs, outs))
            specs.update(zip(outs, [body.specs[v] for v in part.outs]))
            kept.append(Instr(part.op, tuple([inner[a] for a in part.args]), outs))
        names.update(zip(instr.outs, [inner[v] for v in body.outputs]))
    return Program(program.inputs, kept, [names.get(v, v) for v in program.outputs], specs)


@lru_cache(4096)
def expansion(op: Op, specs: tuple[Spec, ...]) -> Program | None:
    """What ``op`` is in simpler operations on inputs of these specs, expanded in turn; None where it stays as it is."""
    assert op.prim.expand is not None
    if any(s.dtype.name not in NAMES and s.dtype.name not in HALVES or s.size == 0 for s in specs):
        return None
    whole = tuple([spec(s.shape, float32) if s.dtype.name in HALVES else s for s in specs])
    if whole != specs and expansion(op, whole) is None:
        return None
    with tracing() as scratch:
        xs = [argument(scratch, s) for s in specs]
        if whole == specs:
            out = op.prim.expand(*xs, **op.params)
        else:                                            # narrow floats by way of float32
            want = op.prim.infer(*specs, **op.params)
            out = cast(record(op, *[cast(x, s.dtype) for x, s in zip(xs, whole)]), want.dtype)
        outs = out if out.__class__ is tuple else (out,)
        if out is None or any(t._spec.size == 0 for t in outs):
            return None
        body = extract(scratch.node, [t._idx for t in outs])
        values = scratch.inputs
    numbers = [Instr(FULL.op(shape=(), value=values[at], dtype=body.specs[v].dtype), (), (v,))
               for v, kind, at in body.inputs if kind == "scalar"]
    inputs = [entry for entry in body.inputs if entry[1] != "scalar"]
    scratch.forget()
    return expand(Program(inputs, numbers + body.instrs, body.outputs, body.specs))


__all__ = ["expand", "expansion"]

"""Operations that are no loops of their own, written in operations that are: for the engines that compile loops.

A primitive's ``expand`` rule is recorded once for each kind of inputs, on tensors without values, and its operations take
the place of the one. The meaning stays the kernel's: the rules keep its accuracy and its conventions.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from .._batch import argument, tracing
from .._dtypes import float32
from .._graph import Along, By, Op, Spec, spec
from .._scalar import HALVES, NAMES
from .._trace import record
from ..plan.program import Instr, Program, extract
from ..primitives.comparison import equal, logical_and, where
from ..primitives.convert import cast
from ..primitives.creation import FULL, full_of
from ..primitives.indexing import PLACES, iota, place
from ..primitives.movement import reshape, transpose


def expand(program: Program) -> Program:
    """Every operation with an ``expand`` rule for its inputs is replaced by what the rule records."""
    names: dict[int, int] = {}
    ramps: set[int] = set()
    kept: list[Instr] = []
    specs = program.specs
    last = max(specs, default=-1)
    for instr in program.instrs:
        args = tuple([names.get(a, a) for a in instr.args])
        prim = instr.op.prim
        body = None
        if prim.ramp:
            ramps.update(instr.outs)
        if prim.kernel is prim.lowered:
            if prim.expand is not None:
                body = expansion(instr.op, tuple([specs[a] for a in args]))
            elif prim.scatters is not None and len(args) > 1:
                body = spread(instr.op, tuple([specs[a] for a in args]), tuple([a in ramps for a in args]))
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

    def narrow(*xs: Any) -> Any:                         # by way of float32
        want = op.prim.infer(*specs, **op.params)
        made = record(op, *[cast(x, s.dtype) for x, s in zip(xs, whole)])
        return tuple([cast(t, s.dtype) for t, s in zip(made, want)]) if want.__class__ is tuple else cast(made, want.dtype)

    return recorded(op.prim.expand if whole == specs else narrow, specs, op.params if whole == specs else {})


def recorded(rule: Callable[..., Any], specs: tuple[Spec, ...], params: dict[str, Any]) -> Program | None:
    """The operations that ``rule`` records on inputs of these specs, expanded in turn; None where it gives None."""
    with tracing() as scratch:
        out = rule(*[argument(scratch, s) for s in specs], **params)
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


@lru_cache(4096)
def spread(op: Op, specs: tuple[Spec, ...], ramps: tuple[bool, ...]) -> Program | None:
    """What is added in zeros by indices where each element of the result gets one at most: a choice for each of them.

    So it is where every axis of what is added goes along an axis of the result, also by indices that only count (``ramps``).
    """
    assert op.prim.scatters is not None
    out, part = op.prim.infer(*specs, **op.params), specs[0].shape
    places: list[int] = []                               # axis of the result -> that of what is added, or -1
    chosen: list[tuple[int, int, tuple[int, ...]]] = []  # axis of the result, argument, its axes in what is added
    for axis, entry in enumerate(op.prim.scatters(*specs, **op.params)):
        if isinstance(entry, By):
            shape = specs[entry.argument].shape
            along = [a for a, n in zip(entry.axes, shape) if n != 1]
            if not ramps[entry.argument] or len(along) > 1 or any(part[a] > out.shape[axis] for a in along):
                chosen.append((axis, entry.argument, entry.axes))
                places.append(-1)
                continue
            entry = Along(along[0]) if along else 0
        if isinstance(entry, int) or part[entry.axis] != out.shape[axis] or entry[1:] != (0, 1):
            return None
        places.append(entry.axis)
    used = [k for k in places if k >= 0]
    if len(set(used)) != len(used) or any(n != 1 for k, n in enumerate(part) if k not in used):
        return None

    def aligned(x: Any, axes: Iterable[int]) -> Any:
        """A tensor whose axes are these of what is added, with the axes of the result."""
        axes, shape = list(axes), x._spec.shape
        order = [axes.index(k) for k in used if k in axes]
        x = transpose(x, (*order, *[k for k in range(len(shape)) if k not in order]))
        return reshape(x, tuple([shape[axes.index(k)] if k in axes else 1 for k in places]))

    def rule(g: Any, *idx: Any) -> Any:
        hit = None
        for axis, which, axes in chosen:
            n = out.shape[axis]
            same = equal(aligned(place(idx[which - 1], n), axes), iota(n, out.ndim, axis, PLACES))
            hit = same if hit is None else logical_and(hit, same)
        g = aligned(g, range(len(part)))
        return g if hit is None else where(hit, g, full_of(spec((), out.dtype), 0))

    return None if out.size == 0 or any(s.size == 0 for s in specs) else recorded(rule, specs, {})


__all__ = ["expand", "expansion", "spread"]

"""Programs traced by themselves and replayed elsewhere, as they are or on a batch of examples.

A program is traced in a trace of its own, on tensors without values, and then replayed into the current trace: each
operation once, on all examples at a time. That is the whole of ``vmap``, of vectorised jacobians and of ``function``.
"""
from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _derive
from ._cotangents import dense, fit
from ._dtypes import as_dtype, float32
from ._errors import NotSupportedError
from ._graph import NOTHING, Node, Op, Primitive, Spec, spec
from ._tensor import Tensor
from ._trace import (
    DRAW_INPUT,
    INPUT,
    READ,
    SCALAR_INPUT,
    TENSOR_INPUT,
    Trace,
    bring,
    full,
    give,
    handle,
    jump,
    live,
    local,
    place,
    record,
    recording_into,
    step,
)
from .primitives.broadcast import broadcast_to
from .primitives.movement import TRANSPOSE, reshape, transpose
from .primitives.sampling import next_draw

Env = dict[int, tuple[Any, bool]]                        # place -> (tensor, whether its first axis counts examples)


# ------------------------------------------------------------------------------------------------------------- tracing

def argument(scratch: Trace, s: Spec) -> Tensor:
    """A new input without a value."""
    t = handle(scratch, step(scratch, TENSOR_INPUT, (), s).idx, s)
    scratch.inputs.append(t)
    scratch.owners.append(t)
    return t


@contextmanager
def tracing() -> Iterator[Trace]:
    """Record into a trace of its own; variables assigned inside are as before afterwards."""
    scratch = Trace(scratch=True)
    try:
        with recording_into(scratch):
            yield scratch
    finally:
        for variable, before in reversed(scratch.assigned):
            variable._pending = before
        scratch.closed = True


def release(scratch: Trace) -> None:
    """Let go of a traced program, unless a custom gradient in it may still be asked for."""
    if not scratch.closures:
        scratch.forget()


resuming = threading.RLock()                            # a traced program may be shared by threads


@contextmanager
def resumed(scratch: Trace, state: tuple[Any, ...]) -> Iterator[None]:
    """Record behind the end that a traced program had when ``state`` was taken, and take it back afterwards."""
    with resuming:
        now = snapshot(scratch)
        _restore(scratch, state)
        scratch.closed = False
        try:
            with recording_into(scratch):
                yield
        finally:
            _restore(scratch, now)
            scratch.closed = True


def snapshot(scratch: Trace) -> tuple[Any, ...]:
    return (scratch.node, list(scratch.inputs), list(scratch.owners), dict(scratch.captures), dict(scratch.closures),
            len(scratch.handles), list(scratch.tapes))


def _restore(scratch: Trace, state: tuple[Any, ...]) -> None:
    scratch.node, inputs, owners, captures, closures, given, tapes = state
    scratch.inputs, scratch.owners = list(inputs), list(owners)
    scratch.captures, scratch.closures = dict(captures), dict(closures)
    scratch.tapes = list(tapes)
    del scratch.handles[given:]
    scratch.table, scratch.scalars = [], NOTHING


# ------------------------------------------------------------------------------------------------------------ replaying

def replay(scratch: Trace, start: Node | None, env: Env, size: int | None, keep: tuple[int, ...] = ()) -> None:
    """Record what ``scratch`` holds after ``start`` into the current trace, filling ``env``; on ``size`` examples."""
    nodes = list(scratch.node.path(start))
    nodes.reverse()
    number = len(scratch.inputs) - sum(node.op.prim is INPUT for node in nodes)  # type: ignore[union-attr]
    closures: list[_Again] = []
    for node in nodes:
        op = node.op
        assert op is not None
        if op.prim is INPUT:
            if node.idx not in env:
                env[node.idx] = _outer(scratch, node, number), False
            number += 1
            continue
        if op.prim is READ and size is None:
            env[node.idx] = _read(op, env[node.args[0]][0], scratch.reads[node.idx]), False
            continue
        pairs = [env[a] for a in node.args]
        closure = scratch.closures.get(node.idx)
        tensors, flags = [t for t, _ in pairs], [flag for _, flag in pairs]
        if closure is not None and size is not None and any(flags):   # all its results get an axis of examples
            n = op.params["outputs"]
            tensors[-n:] = [examples_of(t, flag, size) for t, flag in pairs[-n:]]
            result = _with_flag(record(op, *tensors), True)
        else:
            result = batched(op, tensors, flags, size)
        if node.spec.__class__ is tuple:
            for k, pair in enumerate(result):
                env[node.idx + k] = pair
        else:
            env[node.idx] = result
        if closure is not None:
            out = env[node.idx][0]
            again = _Again(scratch, closure, env, size, [env[k][1] for k in range(node.idx, node.end)])
            out._trace.add("closures", out._idx, again)
            closures.append(again)
    if closures:
        state = snapshot(scratch)
        held = {t._idx for t in live(scratch.handles)} | set(scratch.captures.values()) | set(keep)
        for again in closures:
            again.state = state
        if not scratch.tapes:
            for k in [k for k in env if k not in held]:
                del env[k]


def _outer(scratch: Trace, node: Node, number: int) -> Any:
    """What an input of a traced program is outside: a tensor or variable it closes over, or a Python scalar."""
    owner = scratch.owners[number]
    trace = local.trace
    if node.op is DRAW_INPUT:                            # one draw, however often it is used
        return handle(trace, place(trace, next_draw(owner)), node.spec)
    if owner is not None:
        return owner
    return handle(trace, bring(trace, SCALAR_INPUT, node.spec, scratch.inputs[number]), node.spec)


def _read(op: Op, t: Any, variable: Any) -> Any:
    trace = local.trace
    idx = place(trace, t)
    node = step(trace, op, (idx,), variable._spec)
    trace.add("reads", node.idx, variable)
    return handle(trace, node.idx, node.spec)


class _Again:
    """The gradient function of a custom gradient whose program was replayed elsewhere.

    It is run behind the end of the program it was traced in, where the tensors it closes over live, and what it records
    is replayed in turn.
    """

    __slots__ = ("closure", "env", "flags", "scratch", "size", "state")

    def __init__(self, scratch: Trace, closure: Any, env: Env, size: int | None, flags: list[bool]) -> None:
        self.scratch, self.closure, self.env, self.size, self.flags = scratch, closure, env, size, flags
        self.state: Any = None

    def __call__(self, gs: Any, want: list[bool]) -> list[Any]:
        scratch, env, outer = self.scratch, dict(self.env), (local.trace, local.tapes)
        with resumed(scratch, self.state):
            start = scratch.node
            inner: list[Any] = []
            for g, flag in zip(gs, self.flags):
                if g is not None:
                    t = argument(scratch, spec(g._spec.shape[1:], g._spec.dtype) if flag else g._spec)
                    env[t._idx] = g, flag
                    inner.append(t)
                else:
                    inner.append(None)
            pulled = self.closure(tuple(inner), want)
            inside = local.trace, local.tapes
            local.trace, local.tapes = outer
            try:
                replay(scratch, start, env, self.size)
            finally:
                local.trace, local.tapes = inside
            return [None if p is None else _outside(scratch, env, p)[0] for p in pulled]


def _outside(scratch: Trace, env: Env, t: Any) -> tuple[Any, bool]:
    return env[t._idx] if t._trace is scratch else (t, False)


def examples_of(t: Any, flag: bool, size: int | None) -> Any:
    """A tensor with a first axis that counts ``size`` examples."""
    return t if flag or size is None else broadcast_to(t, (size, *t._spec.shape))


def _full(pair: tuple[Any, bool], size: int) -> Any:
    return examples_of(pair[0], pair[1], size)


def on_examples(function: Callable[..., Any], tensors: list[Any], flags: list[bool], size: int) -> list[Any]:
    """``function`` of one example, run on all: pairs (result, whether it has an axis of examples), or None.

    It gets a tensor without a value for each flagged tensor, the others as they are, and returns a list.
    """
    with tracing() as scratch:
        args, env = [], {}
        for t, flag in zip(tensors, flags):
            if flag:
                arg = argument(scratch, spec(t._spec.shape[1:], t._spec.dtype))
                env[arg._idx] = t, True
                args.append(arg)
            else:
                args.append(t)
        outs = function(*args)
        if scratch.assigned:
            raise NotSupportedError(
                f"vmap: the function assigns to {scratch.assigned[0][0].name}, which has one value and not one for "
                f"each example; return the new value instead")
    if not scratch.closures:
        result = _in_one_step(scratch, env, outs, size)
        scratch.forget()
        return result
    replay(scratch, None, env, size)
    return [None if o is None else _outside(scratch, env, o) for o in outs]


def _in_one_step(scratch: Trace, env: Env, outs: list[Any], size: int) -> list[Any]:
    """Replay a program, or walk to where its replay ended when it was replayed from here before."""
    full(local.trace)
    trace = local.trace
    inputs = [node for node in scratch.node.path() if node.op.prim is INPUT]  # type: ignore[union-attr]
    at = []
    for number, node in enumerate(reversed(inputs)):     # all of them first: what follows depends on the structure alone
        t, flag = env[node.idx] if node.idx in env else (_outer(scratch, node, number), False)
        idx = place(trace, t)
        env[node.idx] = (handle(trace, idx, node.spec) if not flag and t.__class__ is not Tensor else t), flag
        at.append((idx, flag))
    key = ("batch", scratch.node, tuple(at), size, tuple([o._idx if _is_in(scratch, o) else None for o in outs]))

    def build() -> list[Any]:
        replay(scratch, None, env, size)
        return [env[o._idx] if _is_in(scratch, o) else None for o in outs]

    made = remembered(trace, key, build)
    return [None if o is None else pair if pair is not None else (o, False) for o, pair in zip(outs, made)]


def _is_in(scratch: Trace, o: Any) -> bool:
    return o is not None and o._trace is scratch


def remembered(trace: Trace, key: Any, build: Callable[[], list[Any]]) -> list[Any]:
    """What ``build`` gives (pairs of tensor and flag, or None), or one step along the path that it recorded before from
    here. It has to depend on ``key`` and the structure of the trace alone."""
    start, given = trace.node, len(trace.inputs)
    found = start.memo.get(key)
    if found is not None:
        node, places, inputs = found
        give(trace, node, inputs, [None] * len(inputs))
        jump(trace, node)
        return [None if p is None else (handle(trace, p[0], p[1]), p[2]) for p in places]
    known, trace.scalars = trace.scalars, NOTHING        # what is replayed does not know what was used before
    try:
        result = build()
    finally:
        trace.scalars = known
    if local.trace is trace and all(o is None for o in trace.owners[given:]) and all(
            r is None or r[0]._trace is trace for r in result):
        start.keep(key, (trace.node, [None if r is None else (r[0]._idx, r[0]._spec, r[1]) for r in result],
                         tuple(trace.inputs[given:])))
    return result


def alone(segments: list[_derive.Segment]) -> bool:
    """Whether a record is the current trace's only, with nothing in it that the structure does not show."""
    trace = local.trace
    return all(t is trace for t, _ in segments) and not trace.assigned and not trace.closures


def spans_key(segments: list[_derive.Segment], roots: list[Any]) -> tuple[Any, ...]:
    return tuple([span for _, spans in segments for span in spans]), tuple([idx for _, idx in roots])


# ----------------------------------------------------------------------------------------------- one operation, batched

def batched(op: Op, xs: list[Any], flags: list[bool], size: int | None) -> Any:
    """One operation on all examples; a pair (result, flag), or a tuple of pairs."""
    prim = op.prim
    if size is None or not any(flags):
        return _with_flag(record(op, *xs), False)
    if prim.elementwise:
        return record(op, *_aligned(xs, flags)), True
    if prim.batch is not None:
        return _normal(*prim.batch(xs, tuple([0 if flag else None for flag in flags]), **op.params))
    return _with_flag(record(MAP.op(op=op, flags=tuple(flags), size=size), *xs), True)


def _with_flag(result: Any, flag: bool) -> Any:
    return tuple([(r, flag) for r in result]) if result.__class__ is tuple else (result, flag)


def _normal(result: Any, axis: Any) -> Any:
    """A rule's result with the axis of examples in front."""
    if result.__class__ is tuple:
        axes = axis if axis.__class__ is tuple else (axis,) * len(result)
        return tuple([_normal(r, a) for r, a in zip(result, axes)])
    return (result, False) if axis is None else (to_front(result, axis), True)


def to_front(t: Any, axis: int) -> Any:
    """``t`` with ``axis`` moved in front of the others."""
    n = t._spec.ndim
    return t if axis == 0 else transpose(t, (axis, *[k for k in range(n) if k != axis]))


def from_front(t: Any, axis: int) -> Any:
    """``t`` with its first axis moved to ``axis``."""
    if axis == 0:
        return t
    order = list(range(1, t._spec.ndim))
    order.insert(axis, 0)
    return transpose(t, tuple(order))


def _aligned(xs: list[Any], flags: list[bool]) -> list[Any]:
    """Inputs whose examples broadcast as they would one by one."""
    ranks = [x._spec.ndim - flag for x, flag in zip(xs, flags)]
    most = max(ranks)
    return [reshape(x, (x._spec.shape[0], *(1,) * (most - rank), *x._spec.shape[1:])) if flag and rank < most else x
            for x, flag, rank in zip(xs, flags, ranks)]


# ----------------------------------------------------------------------------- any operation, one example after another

def _example_specs(specs: tuple[Spec, ...], flags: tuple[bool, ...]) -> list[Spec]:
    return [spec(s.shape[1:], s.dtype) if flag else s for s, flag in zip(specs, flags)]


def _map_infer(*specs: Spec, op: Op, flags: tuple[bool, ...], size: int) -> Any:
    out = op.prim.infer(*_example_specs(specs, flags), **op.params)
    if out.__class__ is tuple:
        return tuple([spec((size, *s.shape), s.dtype) for s in out])
    return spec((size, *out.shape), out.dtype)


def _map_kernel(*arrays: Any, op: Op, flags: tuple[bool, ...], size: int) -> Any:
    kernel, params = op.prim.kernel, op.params
    rows = [kernel(*[a[k, ...] if flag else a for a, flag in zip(arrays, flags)], **params) for k in range(size)]
    out = op.prim.infer(
        *[spec(a.shape[flag:], as_dtype(a.dtype)) for a, flag in zip(arrays, flags)], **params)
    if out.__class__ is tuple:
        return tuple([_stacked([row[k] for row in rows], s, size) for k, s in enumerate(out)])
    return _stacked(rows, out, size)


def _stacked(rows: list[Any], s: Spec, size: int) -> Any:
    result = np.empty((size, *s.shape), s.dtype.np)
    for k, row in enumerate(rows):
        result[k] = row
    return result


def _map_vjp(g: Any, y: Any, *xs: Any, op: Op, flags: tuple[bool, ...], size: int) -> Any:
    several = y.__class__ is tuple
    gs, ys = (list(g), list(y)) if several else ([g], [y])
    given = [k for k, c in enumerate(gs) if c is not None]

    def one(*values: Any) -> list[Any]:
        it = iter(values)
        inner = [next(it) if c is not None else None for c in gs]
        outs = [next(it) for _ in ys]
        ins = tuple(it)
        pulled = _derive.pull(op, tuple(inner) if several else inner[0], tuple(outs) if several else outs[0], ins,
                              [_derive.is_differentiable(x._spec) for x in ins])
        return [None if p is None else fit(dense(p), x._spec) for p, x in zip(pulled, ins)]

    got = on_examples(one, [gs[k] for k in given] + ys + list(xs), [True] * (len(given) + len(ys)) + list(flags), size)
    return tuple([None if p is None else _full(p, size) for p in got])


def _map_jvp(ts: tuple[Any, ...], y: Any, *xs: Any, op: Op, flags: tuple[bool, ...], size: int) -> Any:
    several = y.__class__ is tuple
    ys = list(y) if several else [y]
    given = [k for k, t in enumerate(ts) if t is not None]

    def one(*values: Any) -> list[Any]:
        it = iter(values)
        inner = tuple([None if t is None else next(it) for t in ts])
        outs = [next(it) for _ in ys]
        pushed = _derive.push(op, inner, tuple(outs) if several else outs[0], tuple(it))
        if pushed is None:
            return [None] * len(outs)
        return list(pushed) if several else [pushed]

    got = on_examples(one, [ts[k] for k in given] + ys + list(xs),
                      [flags[k] for k in given] + [True] * len(ys) + list(flags), size)
    made = [None if p is None else _full(p, size) for p in got]
    return tuple(made) if several else made[0]


MAP = Primitive(
    "map_examples", _map_infer, _map_kernel, vjp=_map_vjp, jvp=_map_jvp,
    doc="Another operation on one example after the other: what vmap does where an operation has no rule for batches.",
    cases=(lambda rng: ((rng.normal(size=(3, 2, 2)),), {"op": TRANSPOSE.op(axes=(1, 0)), "flags": (True,),
                                                        "size": 3}),))


# ------------------------------------------------------------------------------------------------------------ jacobians

BASIS = Primitive(
    "basis", lambda shape, dtype: spec((int(np.prod(shape, dtype=int)), *shape), dtype),
    lambda shape, dtype: np.eye(int(np.prod(shape, dtype=int)), dtype=dtype.np).reshape(-1, *shape)
    if 0 not in shape else np.zeros((0, *shape), dtype.np),
    doc="For each element of a shape the tensor that is one there and zero elsewhere.",
    cases=(lambda rng: ((), {"shape": (2, 3), "dtype": float32}),))


def basis(s: Spec) -> Any:
    return record(BASIS.op(shape=s.shape, dtype=s.dtype))


def jacobians(segments: list[_derive.Segment], roots: list[Any], variables: bool, target: Any, sources: list[Any],
              mode: str = "auto") -> list[Any]:
    """For each source the derivative of every element of ``target`` by every element of it; None where none leads.

    mode: "reverse" (a sweep for each element of the target), "forward" (one for each element of a source) or "auto"
    (the fewer, and reverse for complex values); either way all sweeps run as one, on a batch.
    """
    trace = local.trace
    pinned, trace.pinned = trace.pinned, True
    try:
        if mode == "auto":
            unknown = sum(s._spec.size for s in sources)
            forward = (unknown < target._spec.size and not any(t.closed for t, _ in segments)
                       and all(v._spec.dtype.kind == "f" for v in (target, *sources)))
            mode = "forward" if forward else "reverse"

        def build() -> list[Any]:
            if mode == "forward":
                found = [_jacobian_forward(segments, roots, variables, target, s) for s in sources]
            else:
                found = _jacobian_reverse(segments, roots, variables, target, sources)
            return [None if t is None else (t, False) for t in found]

        if not alone(segments) or any(v._trace is not trace for v in (target, *sources)):
            made = build()
        else:
            key = ("jacobian", mode, target._idx, tuple([s._idx for s in sources]), variables, spans_key(segments, roots))
            made = remembered(trace, key, build)
        return [None if pair is None else pair[0] for pair in made]
    finally:
        trace.pinned = pinned


def _jacobian_reverse(segments: list[_derive.Segment], roots: list[Any], variables: bool, target: Any,
                      sources: list[Any]) -> list[Any]:
    rows = target._spec.size
    got = on_examples(
        lambda ct: _derive.reverse_sweep(segments, roots, [target], [ct], sources, variables),
        [basis(target._spec)], [True], rows)
    return [None if p is None else reshape(_full(p, rows), target._spec.shape + s._spec.shape)
            for p, s in zip(got, sources)]


def _jacobian_forward(segments: list[_derive.Segment], roots: list[Any], variables: bool, target: Any,
                      source: Any) -> Any:
    marks = _derive.dependent(segments, roots, variables)
    places = [at for at in _derive.locate(source, segments) if at[1] in marks.get(at[0], ())]
    if not places:
        return None
    columns = source._spec.size
    got = on_examples(
        lambda t: _derive.forward_sweep(segments, [(*at, t) for at in places], [target]),
        [basis(source._spec)], [True], columns)[0]
    if got is None:
        return None
    flat = reshape(_full(got, columns), (columns, target._spec.size))
    return reshape(transpose(flat, (1, 0)), target._spec.shape + source._spec.shape)


def batch_jacobian(segments: list[_derive.Segment], roots: list[Any], variables: bool, target: Any, source: Any) -> Any:
    """For each example (the first axis of both) the jacobian of its target by its source."""
    trace = local.trace
    pinned, trace.pinned = trace.pinned, True
    try:
        batch, *inner = target._spec.shape
        one = spec(tuple(inner), target._spec.dtype)
        seeds = broadcast_to(reshape(basis(one), (one.size, 1, *inner)), (one.size, batch, *inner))
        got = on_examples(
            lambda ct: _derive.reverse_sweep(segments, roots, [target], [ct], [source], variables),
            [seeds], [True], one.size)[0]
        if got is None:
            return None
        rest = range(2, 1 + source._spec.ndim)
        moved = transpose(_full(got, one.size), (1, 0, *rest))
        return reshape(moved, (batch, *inner, *source._spec.shape[1:]))
    finally:
        trace.pinned = pinned


__all__ = ["MAP", "argument", "basis", "batch_jacobian", "batched", "examples_of", "from_front", "jacobians",
           "on_examples",
           "release", "replay", "spec", "to_front", "tracing"]

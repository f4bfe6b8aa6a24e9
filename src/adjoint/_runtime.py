"""Settling: pending graph -> passes -> plan -> engine -> values."""
from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from ._collector import is_long
from ._config import config
from ._errors import AdjointError, TraceError
from ._plan import Plan, engines, plan_for, watching
from ._renewal import at_once, foresee, prepared, set_pending, set_trace, set_value
from ._segments import structure
from ._tensor import Tensor, wrap
from ._trace import _BASE, ELSEWHERE, Trace, _count, hooks, line_of, local, remember, taped, user_line

_ndarray = np.ndarray


def _array(value: Any) -> Any:
    if value.__class__ is not _ndarray:
        return np.asarray(value)
    base = value.base
    if base is not None and base.__class__ is _ndarray and base.nbytes > 4 * value.nbytes + 4096:
        return value.copy()                              # a small view must not hold a large array
    return value


def settle(trace: Trace) -> None:
    """Compute what is pending in this thread's trace and still wanted, and start a new one."""
    handles = trace.handles
    pending = hooks.live(handles)                        # a pending tensor that only we refer to is nobody's
    wanted = tuple([t._idx for t in pending])
    wanting: list[Any] = []
    tapes = trace.tapes
    for tape in tapes:
        if _count(tape) > _BASE or tape._recording:
            if tape._done is None:
                wanting.append(tape)
            elif tape._gone is None:
                tape._let_go()
    if wanting:
        keep = _kept(trace, wanting, wanted)
        wanted += keep
        remember(trace)
    past = trace.past
    stopped: BaseException | None = None
    fresh: Trace | None = None
    if wanted:
        node = trace.node
        plan = node.memo.get(wanted)
        if plan is None or watching or plan.engine is not config._engine:
            plan = plan_for(node, wanted)
        check = hooks.check
        try:
            if check is not None:
                values, stopped = check(trace, plan)
            elif trace.assigned and not wanting and plan.__class__ is Plan and (
                    fresh := _renewed(trace, plan, pending, wanted)) is not None:
                values = pending = []                    # handed over
            else:
                values = plan.run(trace.inputs)
        except Exception as error:                       # the results that do not need what failed are computed all the same
            if trace.closed:                             # all is done: it came from outside
                raise
            values = [_alone(trace, idx, error) for idx in wanted]
        if past is None:
            origin: Any = ELSEWHERE
        else:
            record, memory = ref(trace), ref(past)
        for t, value in zip(pending, values):
            if value is None:
                continue
            t._value = value if value.__class__ is _ndarray and value.base is None else _array(value)
            t._origin = origin if past is None else (record, t._idx, memory)
            t._trace = None
        if wanting:
            for t in pending:
                trace.add("kept", t._idx, t)
            for idx, value in zip(keep, values[len(pending):]):
                if value is None:
                    continue
                made = wrap(_array(value))
                made._origin = (record, idx, memory)
                trace.add("kept", idx, made)
    lost = stopped
    for variable in trace.assigned:
        new = variable._pending
        if new is not None:
            if past is not None:
                past.assigned.append((new._idx, ref(variable)))
            if stopped is None:
                if new._value is not None:
                    variable._value = new._value
                else:
                    lost = trace.failures[new._idx]      # the variable stays as it was
            variable._pending = None                     # last: who interrupts before it still finds the new value
    if past is not None:
        past.fill(trace)
    if local.trace is trace:                             # before the old one closes: an interruption finds one that is open
        local.trace = fresh = Trace(False, trace.fast)
    if fresh is not None:
        fresh.long = is_long(len(handles))
    trace.closed = True
    if wanting:
        trace.nodes()
        for owner in trace.owners:                       # what the tapes hold must not live on through a variable
            if owner is not None and owner._trace is trace:
                owner._trace = None
        trace.handles, trace.tapes, trace.assigned = [], [], []
        taped.add(trace)
    else:
        trace.forget()
    hooks.reuse(handles)
    if fresh is not None:
        if hooks.check is not None:
            fresh.note_lines(True)
        if tapes:
            for tape in local.tapes:
                tape._continue_in(trace, fresh)
                fresh.patience = trace.patience
    trace.patience = None                                # last: with what it waited for gone
    if lost is not None:
        raise lost


def _renewed(trace: Trace, plan: Plan, pending: list[Any], wanted: tuple[int, ...]) -> Trace | None:
    """Run a plan that writes new values of variables over the old ones, and hand its results over.

    Returns the trace that follows, or None where nothing has been done.
    """
    if plan.prepare is None and plan.built or trace is not local.trace:
        return None
    number = {idx: k for k, idx in enumerate(wanted)}
    assigned = [(number.get(v._pending._idx, -1), v) for v in trace.assigned if v._pending is not None]
    if any(k < 0 or pending[k] is not v._pending for k, v in assigned):
        return None
    if plan.prepare is None:
        foresee(plan, trace.owners, assigned)
        return None
    found = prepared(plan, trace.inputs, assigned)
    if found is None:
        return None
    call, values = found
    values = [v if v.__class__ is _ndarray and v.base is None else _array(v) for v in values]
    past, fresh = trace.past, Trace(False, trace.fast)
    todo: list[tuple[Any, ...]] = [call]
    for t, value in zip(pending, values):
        t._origin = ELSEWHERE if past is None else (ref(trace), t._idx, ref(past))
        todo += [(set_value, t, value), (set_trace, t, None)]
    for k, variable in assigned:
        todo += [(set_value, variable, values[k]), (set_pending, variable, None)]
        if past is not None:
            todo.append((past.assigned.append, (wanted[k], ref(variable))))
    at_once([*todo, (setattr, local, "trace", fresh), (setattr, trace, "closed", True)])
    return fresh if trace.closed else None


def _alone(trace: Trace, idx: int, error: Exception) -> Any:
    """One result of a program in which something failed, or None (and the reason noted) when it needs what failed."""
    try:
        return plan_for(trace.node, (idx,)).run(trace.inputs)[0]
    except Exception as own:
        trace.add("failures", idx, own if isinstance(own, AdjointError) else error)
        return None


def _kept(trace: Trace, tapes: list[Any], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The places besides ``wanted`` whose values the tapes need."""
    key: list[Any] = ["kept", wanted]
    for tape in tapes:
        record = structure(tape._segments, tape._watched, trace)
        if record is None or trace.assigned:
            return _needed(trace, tapes, wanted)
        key += tape.__class__, tape._variables, record
    found = tuple(key)
    known = trace.node.memo.get(found)
    return trace.node.keep(found, _needed(trace, tapes, wanted)) if known is None else known  # type: ignore[no-any-return]


def _needed(trace: Trace, tapes: list[Any], wanted: tuple[int, ...]) -> tuple[int, ...]:
    found: set[int] = set()
    for tape in tapes:
        found |= tape._needs(trace)
    table = trace.nodes()
    return tuple(sorted(
        k for k in found.difference(wanted) if table[k].op.prim.name not in ("input", "literal")))  # type: ignore[union-attr]


def evaluate(t: Tensor) -> Any:
    """The value of a tensor, computed when it is not there yet."""
    trace = t._trace
    if trace is None or t._value is not None:
        return t._value
    if trace is local.trace and not trace.scratch:
        settle(trace)
        if t._value is not None:
            return t._value
    if trace.scratch:
        where = user_line()
        raise TraceError(
            f"the value of a traced tensor of shape {t._spec.shape} is needed in {where[0].co_name} ({line_of(where)}), but "
            f"while a function is traced its tensors have no values: a Python if, while, float(), print or NumPy call on "
            f"one can't be traced. Use ad.where for a choice, or call the function without the decorator")
    if t._idx in trace.failures:
        raise trace.failures[t._idx]
    if not trace.closed:                                 # another thread's: computed without touching its trace
        node, inputs = trace.node, list(trace.inputs)
        value = _array(plan_for(node, (t._idx,)).run(inputs)[0])
        if t._value is None:
            t._value = value
    if t._value is None:
        raise AdjointError("the tensor's value was lost: its computation was interrupted")
    return t._value


def evaluate_all(*values: Any) -> None:
    """Compute pending tensors, all of this thread's in one plan.

    >>> import adjoint as ad
    >>> x = ad.constant(2.0) * 3.0
    >>> ad.evaluate(x)
    >>> x
    <ad.Tensor: shape=(), dtype=float32, numpy=6.0>
    """
    for v in values:
        if v.__class__ is Tensor:
            if v._value is None:
                evaluate(v)
        elif v.__class__ is tuple or v.__class__ is list:
            evaluate_all(*v)
        elif v is None:
            continue
        elif hasattr(v, "_look"):
            v._look()
        elif isinstance(v, dict):
            evaluate_all(*v.values())
        elif isinstance(v, (list, tuple)):
            evaluate_all(*v)


hooks.settle = settle
hooks.evaluate = evaluate
__all__ = ["Plan", "engines", "evaluate", "evaluate_all", "plan_for", "settle"]

"""What operators run through, and functions of one or two tensors: written out, since a call would cost as much as a look-up."""
from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from ._config import config
from ._dtypes import weak_dtype
from ._errors import DtypeError
from ._graph import Node, Op, Spec, spec
from ._lines import note
from ._trace import (
    _CLASSES,
    _LITERAL_FLOATS,
    _LITERAL_INTS,
    INPUT,
    SCALAR_INPUT,
    Trace,
    dtype_value,
    enter,
    full,
    give,
    handle,
    hooks,
    local,
    place,
    scalar,
    undo,
)

_getframe = sys._getframe


class Recorded(NamedTuple):
    """What a function records: ``op``, of one or two arguments. ``use`` gives it native code to ask first."""

    op: Op
    arity: int
    swap: bool
    use: Callable[[Any], None]


recorded: dict[Callable[..., Any], Recorded] = {}        # the functions that are made here


def unary(op: Op, name: str, doc: str) -> Callable[[Any], Any]:
    """A function of one tensor for a primitive without parameters."""

    quick: Any = None                                    # native code that does the same in the usual case

    def use(native: Any) -> None:
        nonlocal quick
        quick = native

    def function(x: Any) -> Any:
        if quick is not None:
            t = quick(x, _getframe(1))
            if t is not None:
                return t
        trace = local.trace
        try:
            i = x._idx if x._trace is trace else enter(trace, x)
        except AttributeError:
            return slow_unary(op, x)
        here = trace.node
        node: Any = here.hint
        if node.i != i or node.op is not op:
            node = here.after(op, (i,))
            if node is None:
                if full(trace):
                    return slow_unary(op, x)
                node = here.grow(op, (i,), op.prim.infer(x._spec, **op.params))
        trace.node = node
        t = new(cls)
        t._trace = trace
        t._idx = node.idx
        t._spec = node.spec
        t._value = None
        trace.handles.append(t)
        if trace.where is not None:
            frame = _getframe(1)
            if frame.f_lasti != node.off or frame.f_code is not node.code:
                note(trace, node)
        return t

    cls: Any = _CLASSES[0]
    new: Any = object.__new__
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    recorded[function] = Recorded(op, 1, False, use)
    return function


def slow_unary(op: Op, x: Any) -> Any:
    x = hooks.convert(x)
    trace = local.trace
    i = x._idx if x._trace is trace else enter(trace, x)
    node = trace.node.after(op, (i,))
    if node is None:
        if full(trace):
            return slow_unary(op, x)
        node = trace.node.grow(op, (i,), op.prim.infer(x._spec, **op.params))
    trace.node = node
    if trace.where is not None:
        note(trace, node)
    return handle(trace, node.idx, node.spec)


def binary(op: Op, name: str, doc: str, swap: bool = False) -> Callable[[Any, Any], Any]:
    """A function (or operator) of two tensors, or a tensor and a scalar; ``swap`` for the reflected operators."""
    quick: Any = None

    def use(native: Any) -> None:
        nonlocal quick
        quick = native

    if swap:
        def function(x: Any, y: Any) -> Any:             # called for y op x where y is no tensor
            trace = local.trace
            known = trace.scalars.get(id(y))
            if known is None:
                return slow_binary(op, y, x)
            i = known[0]
            j = x._idx if x._trace is trace else enter(trace, x)
            node: Any = trace.node.hint
            if node.j != j or node.i != i or node.op is not op:
                return slow_binary(op, y, x)
            trace.node = node
            t = new(cls)
            t._trace = trace
            t._idx = node.idx
            t._spec = node.spec
            t._value = None
            trace.handles.append(t)
            if trace.where is not None:
                frame = _getframe(1)
                if frame.f_lasti != node.off or frame.f_code is not node.code:
                    note(trace, node)
            return t
    else:
        def function(x: Any, y: Any) -> Any:
            if quick is not None:
                t = quick(x, y, _getframe(1))
                if t is not None:
                    return t
            trace = local.trace
            try:
                i = x._idx if x._trace is trace else enter(trace, x)
                kind = y.__class__
                if kind is float or kind is int:
                    known = trace.scalars.get(id(y))
                    if known is None:
                        return slow_binary(op, x, y)
                    j = known[0]
                else:
                    j = y._idx if y._trace is trace else enter(trace, y)
            except AttributeError:
                return slow_binary(op, x, y)
            here = trace.node
            node: Any = here.hint
            if node.j != j or node.i != i or node.op is not op:
                node = here.after(op, (i, j))
                if node is None:
                    if kind is float or kind is int or x._spec.dtype is not y._spec.dtype or full(trace):
                        return slow_binary(op, x, y)
                    node = here.grow(op, (i, j), op.prim.infer(x._spec, y._spec, **op.params))
            trace.node = node
            t = new(cls)
            t._trace = trace
            t._idx = node.idx
            t._spec = node.spec
            t._value = None
            trace.handles.append(t)
            if trace.where is not None:
                frame = _getframe(1)
                if frame.f_lasti != node.off or frame.f_code is not node.code:
                    note(trace, node)
            return t

    cls: Any = _CLASSES[0]
    new: Any = object.__new__
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    recorded[function] = Recorded(op, 2, swap, use)
    return function


_SCALARS = (float, int, bool, complex)


def slow_binary(op: Op, x: Any, y: Any) -> Any:
    """Scalars, dtypes that differ, anything that is not a tensor yet, and programs seen for the first time."""
    trace = local.trace
    kind = y.__class__
    left = False
    if kind in _SCALARS and hasattr(x, "_spec"):
        t, value = x, y
    elif x.__class__ in _SCALARS and hasattr(y, "_spec"):
        t, value, kind, left = y, x, x.__class__, True
    else:
        return _slow_tensors(op, x, y)
    i = t._idx if t._trace is trace else enter(trace, t)
    here = trace.node
    known = trace.scalars.get(id(value))
    if known is not None and known[2].dtype is t._spec.dtype:   # it stands in this program already
        args = (known[0], i) if left else (i, known[0])
        node = here.after(op, args)
        if node is None:
            if full(trace):
                return slow_binary(op, x, y)
            specs = (known[2], t._spec) if left else (t._spec, known[2])
            node = step_to(trace, op, args, specs)
        trace.node = node
    else:
        literal = kind is not complex and value in (_LITERAL_FLOATS if kind is float else _LITERAL_INTS)
        key = (op, left, i, kind, value) if literal else (op, left, i, kind)
        node = here.memo.get(key)                        # a short cut over the scalar's own node
        if node is None:
            if full(trace):
                return slow_binary(op, x, y)
            node = _scalar_first_time(op, t, value, left, key)
        elif not literal:
            give(trace, node, (value,), (None,))
        trace.node = node
        own = node.parent
        at, other = (node.i, node.j) if left else (node.j, node.i)
        if own is not None and own.idx == at and other == i:   # beside a tensor of its dtype: found when it is used again
            trace.add("scalars", id(value), (at, value, own.spec))
    if trace.where is not None:
        frame = _getframe(2)
        if frame.f_lasti != node.off or frame.f_code is not node.code:
            note(trace, node)
    return handle(trace, node.idx, node.spec)


def _scalar_first_time(op: Op, t: Any, value: Any, left: bool, key: tuple[Any, ...]) -> Node:
    trace = local.trace
    start, given = trace.node, len(trace.handles)
    try:
        u, value = _cast_beside(t, value, op)
        i, own = place(trace, u), spec((), u._spec.dtype)
        j = scalar(trace, value, own.dtype)
        args, specs = ((j, i), (own, u._spec)) if left else ((i, j), (u._spec, own))
        node = step_to(trace, op, args, specs)
    except BaseException:
        undo(trace, start, given)
        raise
    between = [n.op for n in node.path(start)]
    inputs = sum(o is SCALAR_INPUT for o in between)
    if inputs == (len(key) == 4) and inputs == sum(o is not None and o.prim is INPUT for o in between):
        start.keep(key, node)
    return node


def step_to(trace: Trace, op: Op, args: tuple[int, ...], specs: tuple[Spec, ...]) -> Node:
    """Move ``trace`` to the node for this use of ``op`` on values of these specs."""
    here = trace.node
    node = here.after(op, args) or here.grow(op, args, op.prim.infer(*specs, **op.params))
    trace.node = node
    return node


def _cast_beside(t: Any, value: Any, op: Op) -> tuple[Any, Any]:
    """A tensor and a Python scalar brought to one dtype."""
    dtype = weak_dtype(value.__class__, t._spec.dtype)
    if dtype.kind in "iu" and not dtype.min <= value <= dtype.max:
        raise DtypeError(f"{op.name}: the integer {value} does not fit {dtype.name}; cast the tensor first")
    if dtype is not t._spec.dtype and config.spelling == "tf":
        raise DtypeError(f"cannot compute {op.name}: {value!r} does not convert to {t._spec.dtype.name}, the other operand's "
                         f"dtype; cast the tensor with tf.cast")
    return (t if dtype is t._spec.dtype else hooks.convert(t, dtype)), dtype_value(value, dtype)


def _slow_tensors(op: Op, x: Any, y: Any) -> Any:
    x, y = hooks.convert_pair(op, x, y)
    trace = local.trace
    if full(trace):
        trace = local.trace
    i, j = place(trace, x), place(trace, y)
    return record2(op, i, j, x._spec, y._spec)


def record2(op: Op, i: int, j: int, a: Spec, b: Spec) -> Any:
    trace = local.trace
    node = step_to(trace, op, (i, j), (a, b))
    if trace.where is not None:
        note(trace, node)
    return handle(trace, node.idx, node.spec)

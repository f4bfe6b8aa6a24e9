"""Assignment to a part: x[key] = value and a variable's slices."""
from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from .._dtypes import int32
from .._errors import DtypeError, IndexingError, NotSupportedError, ShapeError, TraceError, complain
from .._graph import Primitive, Shape, Spec, spec
from .._tensor import Tensor, Value, Variable
from .._trace import dtype_value, handle, local, origin_of, record, scalar, taped
from ._make import broadcast_shapes, install
from .broadcast import broadcast_to
from .comparison import equal, where
from .convert import cast, convert
from .creation import full_of, zeros_of
from .indexing import (
    TENSOR,
    Key,
    align,
    apart,
    batched_key,
    filled,
    fronted,
    getitem,
    index_infer,
    index_op,
    iota,
    parse,
    rank_of,
    result_axis,
    selected,
    selector,
    settle_order,
    shape_of_indices,
    stands,
    to_front,
)
from .movement import reshape, transpose

__all__: list[str] = []

# ---------------------------------------------------------------------------------------------------- setting of a part


def _set_infer(x: Spec, v: Spec, *idx: Spec, key: Key) -> Spec:
    part = selected(x.shape, key, shape_of_indices("setitem", idx))
    if v.dtype is not x.dtype:
        raise DtypeError(complain("setitem", "the value", f"of dtype {x.dtype.name}", v.dtype.name, "cast it first"))
    if broadcast_or_none(v.shape, part) != part:
        raise ShapeError(complain("setitem", "the value", f"of a shape that broadcasts to {part}", v.shape))
    return x


def broadcast_or_none(a: Shape, b: Shape) -> Shape | None:
    try:
        return broadcast_shapes("setitem", a, b)
    except ShapeError:
        return None


def _set_kernel(x: Any, v: Any, *idx: Any, key: Key) -> Any:
    out = np.array(x)
    try:
        out[filled(key, idx) if idx else selector(key)] = v
    except IndexError as error:
        raise IndexingError(f"setitem: an index is outside the tensor of shape {out.shape}: {error}") from None
    return out


def _set_vjp(g: Any, y: Any, x: Any, v: Any, *idx: Any, key: Key) -> tuple[Any, ...]:
    none = zeros_of(spec((), g._spec.dtype))
    gx = record(SET.op(key=key), g, none, *idx)
    gv = record(PICK.op(key=key), g, *idx) if idx else index_op(g, key)
    return (gx, gv, *[None] * len(idx))


def _set_batch(args: Any, axes: Any, key: Key) -> tuple[Any, int]:
    (x, v), idx = args[:2], args[2:]
    some = any(a is not None for a in axes[2:])
    rank = rank_of(idx, axes[2:])
    size = next(t._spec.shape[a] for t, a in zip(args, axes) if a is not None)
    x = to_front(x, axes[0], size)
    bare = tuple(t._spec.shape[:a] + t._spec.shape[a + 1:] if a is not None else t._spec.shape
                 for t, a in zip(idx, axes[2:]))
    part = selected(x._spec.shape[1:], key, broadcast_shapes("setitem", *bare) if bare else None)
    if axes[1] is not None:
        v = fronted(v, axes[1])
        v = reshape(v, (size, *[1] * (len(part) + 1 - v._spec.ndim), *v._spec.shape[1:]))
    v = broadcast_to(v, (size, *part))
    tensors = align(idx, axes[2:], rank)
    wide, tensors = batched_key(key, tensors, rank, size, True, some)
    if some:
        order = settle_order(key, rank)
        if order is not None:
            order = (*order, *range(len(order), v._spec.ndim))
            v = transpose(v, tuple(order.index(k) for k in range(len(order))))
    elif idx and apart(key):
        v = transpose(v, (*range(1, rank + 1), 0, *range(rank + 1, v._spec.ndim)))
    return record(SET.op(key=wide), x, v, *tensors), 0


SET = Primitive(
    "setitem", _set_infer, _set_kernel, vjp=_set_vjp, linear=(0, 1), joint=True, batch=_set_batch,
    overlays=lambda x, v, *idx, key: (
        "last", stands(key, x.ndim, idx, 2), selected(x.shape, key, shape_of_indices("setitem", idx))),
    oracle=lambda x, v, *idx, key: _set_kernel(x, v, *idx, key=key),
    cases=(lambda rng: ((rng.normal(size=(4, 3)), rng.normal(size=(3,))), {"key": ((0, 3, 2),)}),
           lambda rng: ((rng.normal(size=(4, 3)), rng.normal(size=(3, 1)), np.array([0, 2, 3])), {"key": (TENSOR,)}),
           lambda rng: ((rng.normal(size=(4,)), rng.normal(size=(3,)), np.array([0, 2, 2])), {"key": (TENSOR,)})),
    doc="A tensor with the part that a key selects replaced; of several values for one place the last one stays.")


def _winners(shape: Shape, key: Key, idx: tuple[Any, ...], part: Shape) -> Any:
    order = np.arange(int(np.prod(part))).reshape(part)
    last = np.zeros(shape, np.int64)
    last[filled(key, idx)] = order
    return last[filled(key, idx)] == order


def _pick_kernel(g: Any, *idx: Any, key: Key) -> Any:
    part = g[filled(key, idx)]
    return np.where(_winners(g.shape, key, idx, part.shape), part, np.zeros((), g.dtype))


def _pick_expand(g: Any, *idx: Any, key: Key) -> Any:
    part = index_op(g, key, idx)
    shape, count = part._spec.shape, part._spec.size
    order = reshape(iota(count, dtype=int32), shape)
    last = record(SET.op(key=key), full_of(spec(g._spec.shape, int32), 0), order, *idx)
    return where(equal(index_op(last, key, idx), order), part, full_of(spec((), g._spec.dtype), 0))


def _pick_vjp(h: Any, y: Any, g: Any, *idx: Any, key: Key) -> tuple[Any, ...]:
    return (record(SET.op(key=key), zeros_of(g._spec), h, *idx), *[None] * len(idx))


def _pick_batch(args: Any, axes: Any, key: Key) -> tuple[Any, int]:
    g, idx = args[0], args[1:]
    some = any(a is not None for a in axes[1:])
    rank = rank_of(idx, axes[1:])
    size = next(t._spec.shape[a] for t, a in zip(args, axes) if a is not None)
    g = to_front(g, axes[0], size)
    tensors = align(idx, axes[1:], rank)
    wide, tensors = batched_key(key, tensors, rank, size, True, some)
    y = record(PICK.op(key=wide), g, *tensors)
    if not some:
        return y, result_axis(key, rank, True)
    order = settle_order(key, rank)
    if order is not None:
        y = transpose(y, (*order, *range(len(order), y._spec.ndim)))
    return y, 0


PICK = Primitive(
    "pick", index_infer, _pick_kernel, vjp=_pick_vjp, linear=(0,), batch=_pick_batch, expand=_pick_expand,
    cases=(lambda rng: ((rng.normal(size=(4, 2)), np.array([0, 2, 2])), {"key": (TENSOR,)}),),
    oracle=lambda g, *idx, key: _pick_kernel(g, *idx, key=key),
    doc="Indexing that gives zero where a later index names the same place: the transpose of setting a part.")

# -------------------------------------------------------------------------------------------------------- x[key] = value


def _value_for(x: Any, value: Any) -> Any:
    """A value of the dtype of ``x``; what that dtype cannot hold raises."""
    dtype = x._spec.dtype
    kind = _NUMBERS.get(value.__class__)
    if kind is not None and _WIDTH[kind] <= _WIDTH[dtype.kind]:
        if dtype.kind in "iu" and not dtype.min <= value <= dtype.max:
            raise DtypeError(complain("setitem", "the value", f"within {dtype.name}'s {dtype.min}..{dtype.max}", value))
        trace = local.trace
        return handle(trace, scalar(trace, dtype_value(value, dtype), dtype), spec((), dtype))
    v = value if isinstance(value, Value) else convert(value, dtype, True)
    have = v._spec.dtype
    if have is dtype:
        return v
    if _WIDTH[have.kind] > _WIDTH[dtype.kind]:
        raise DtypeError(complain("setitem", "the value", f"of a dtype that {dtype.name} holds", have.name,
                                  "cast the value, or the tensor before"))
    return cast(v, dtype)


_NUMBERS = {bool: "b", int: "i", float: "f", complex: "c"}
_WIDTH = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def updated(x: Any, key: Any, value: Any) -> Any:
    """``x`` with the part that ``key`` selects replaced by ``value``, as a new tensor."""
    if isinstance(key, (Value, np.ndarray)) and key.ndim and key.dtype == "bool":
        v = _value_for(x, value)
        if v._spec.size == 1:
            return _filled_where(x, convert(key), reshape(v, ()))
        value = v
    parsed, tensors = parse(x, key)
    v = _value_for(x, value)
    rank = len(selected(x._spec.shape, parsed, shape_of_indices("setitem", tuple(t._spec for t in tensors))))
    extra = v._spec.ndim - rank
    if extra > 0 and all(n == 1 for n in v._spec.shape[:extra]):
        v = reshape(v, v._spec.shape[extra:])
    return record(SET.op(key=parsed), x, v, *tensors)


def _filled_where(x: Any, mask: Any, v: Any) -> Any:
    """One value under a mask: nothing has to be known about the mask."""
    shape, have = x._spec.shape, mask._spec.shape
    if have != shape[:len(have)]:
        raise IndexingError(complain("setitem", "a boolean mask", f"of shape {shape[:len(have)]}, as the axes it stands for",
                                     have))
    return where(reshape(mask, (*have, *[1] * (len(shape) - len(have)))), v, x)


def _rebind(x: Tensor, new: Tensor) -> None:
    """Make the handle ``x`` refer to ``new``; what was recorded with the old value keeps it through a handle of its own."""
    trace = local.trace
    old = Tensor.__new__(Tensor)
    old._trace, old._idx, old._spec = x._trace, x._idx, x._spec
    pending = x._value is None
    if pending and x._trace is trace:
        for n, entry in enumerate(trace.assigned):
            variable = entry[0] if trace.scratch else entry
            if variable._pending is x:
                variable._pending = old
                trace.handles.insert(-1, old)        # the last one is the new value's
            if trace.scratch and entry[1] is x:
                trace.assigned[n] = (variable, old)
    old._value = x._value
    origin = origin_of(x)
    if origin is not None:
        old._origin = x._origin  # type: ignore[attr-defined]
        if origin[0].kept.get(origin[1]) is x:
            origin[0].kept[origin[1]] = old
    if hasattr(x, "_origin"):
        del x._origin
    for held in (trace, *taped):
        at = held.captures.pop(id(x), None)
        if at is not None:
            held.captures[id(old)] = at
        if at is not None or held is not trace or (not pending and x._trace is trace):
            for n, owner in enumerate(held.owners):
                if owner is x:
                    held.owners[n] = old
                    if held.past is not None and n < len(held.past.owners):
                        held.past.owners[n] = ref(old)
                    if held.inputs[n] is x:
                        held.inputs[n] = old
    if pending and x._trace is trace:
        trace.handles.pop()                              # x stands in the list already
    else:
        trace.handles[-1] = x
    x._value = None
    x._trace, x._idx, x._spec = new._trace, new._idx, new._spec


def setitem(x: Any, key: Any, value: Any) -> None:
    if not isinstance(x, Tensor):
        raise NotSupportedError(f"{x.name}[...] = value would hide a change of state; use {x.name}[...].assign(value)")
    trace = local.trace
    if trace.scratch and x._trace is not trace and x._value is None:
        raise TraceError("setitem: the tensor was computed outside the function that is being traced; copy it first, for "
                         "example with x + 0")
    new = updated(x, key, value)
    _rebind(x, new)


install("__setitem__", setitem)


class VariableSlice(Tensor):
    """A part of a variable: a tensor that can also be assigned to."""

    __slots__ = ("_key", "_variable")
    _key: Any
    _variable: Variable

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Variable:
        """Give this part of the variable a new value."""
        return self._variable.assign(updated(self._variable, self._key, value))

    def assign_add(self, value: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Add to this part of the variable."""
        return self.assign(getitem(self._variable, self._key) + value)

    def assign_sub(self, value: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Subtract from this part of the variable."""
        return self.assign(getitem(self._variable, self._key) - value)


def _variable_getitem(v: Variable, key: Any) -> VariableSlice:
    t = getitem(v, key)
    part = VariableSlice.__new__(VariableSlice)
    part._trace, part._idx, part._spec, part._value, part._variable, part._key = t._trace, t._idx, t._spec, None, v, key
    t._trace.handles[-1] = part
    return part


setattr(Variable, "__getitem__", _variable_getitem)  # noqa: B010

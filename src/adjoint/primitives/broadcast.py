"""The sum and broadcasting: each other's transposes."""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import DType
from .._errors import ShapeError, complain
from .._graph import Op, Primitive, Shape, spec
from .._tensor import Value
from .._trace import record
from ._make import broadcast_shapes, install, normalize_axes
from .convert import cast, convert
from .movement import as_shape, front, reshape

__all__ = ["broadcast_to", "sum"]

# ------------------------------------------------------------------------------------------------------------------ sum


def reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape left when ``axes`` are reduced."""
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def restore(g: Any, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced result brought back to a shape that broadcasts with the input's."""
    return g if keepdims else reshape(g, reduced(shape, axes, True))


def spread(g: Any, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced result repeated along the axes that it was reduced over."""
    return broadcast_to(restore(g, shape, axes, keepdims), shape)


# By the type's character, since looking it up by name costs microseconds. "E" is ml_dtypes' bfloat16.
_WIDE: dict[str, np.dtype[Any]] = {
    "e": np.dtype("float32"), "E": np.dtype("float32"), "f": np.dtype("float64"), "F": np.dtype("complex128")}


def wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that sums of ``dtype`` are added up in."""
    return _WIDE.get(str(dtype.char), dtype)


_LONG = np.dtype(np.longdouble if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps else np.float64)


def widest(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype for chains of operations that can't be regrouped: beyond float64 where the machine has one."""
    if dtype.kind == "c":
        return np.dtype(np.complex128)
    return _LONG if dtype == np.float64 else np.dtype(np.float64) if dtype.kind in "fV" else dtype


_sum_of: Any = np.add.reduce


def add_up(x: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
    """The sum in a dtype wide enough that its error does not grow with the number of terms.

    NumPy adds pairwise only along the last axes of an array; elsewhere float64 goes in blocks.
    """
    work = _WIDE.get(x.dtype.char)
    if work is not None and x.dtype.itemsize == 2:
        work = _WIDE["f"]                                # a sum of bfloat16 on the way to a mean may leave float32's range
    if work is not None or x.size <= 32 or x.dtype.kind not in "fc" or not axes:
        return _sum_of(x, axes, work or x.dtype, None, keepdims)
    terms = 1
    for k in axes:
        terms *= x.shape[k]
    if terms <= 32:
        return _sum_of(x, axes, x.dtype, None, keepdims)
    first = x.ndim - len(axes)
    if axes == tuple(range(first, x.ndim)) and x.flags.c_contiguous:
        return _sum_of(x, axis=axes, keepdims=keepdims)
    kept = [k for k in range(x.ndim) if k not in axes]
    if axes == tuple(range(len(axes))):
        rows = x.reshape(-1, *[x.shape[k] for k in kept])
        parts = 16 if rows[0].size >= 64 else 2          # long rows go faster a few at a time
        while len(rows) > 32:
            size = len(rows) // parts
            folded = np.add.reduce(rows[: size * parts].reshape(parts, size, *rows.shape[1:]), axis=0)
            rows = folded if size * parts == len(rows) else np.concatenate([folded, rows[size * parts:]])
        total = np.add.reduce(rows, axis=0)
    else:
        rows = np.ascontiguousarray(np.transpose(x, [*kept, *axes]))
        total = np.add.reduce(rows.reshape(*[x.shape[k] for k in kept], -1), axis=-1)
    return total.reshape(reduced(x.shape, axes, True)) if keepdims else total


def _sum_kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    total = add_up(x, axes, keepdims)
    return total if total.dtype is x.dtype else total.astype(x.dtype)


def shift_axes(x: Any, axes: tuple[int, ...], keepdims: bool) -> dict[str, Any]:
    return {"axes": tuple([a + 1 for a in axes]), "keepdims": keepdims}


def _sum_batch(args: Any, at: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return record(SUM.op(axes=tuple([a + 1 for a in axes]), keepdims=keepdims), front(args[0], at[0])), 0


SUM: Primitive = Primitive(
    "sum", lambda x, axes, keepdims: spec(reduced(x.shape, axes, keepdims), x.dtype), _sum_kernel,
    vjp=lambda g, y, x, axes, keepdims: (spread(g, x._spec.shape, axes, keepdims),),
    linear=(0,), batch=_sum_batch, oracle=lambda x, axes, keepdims: np.sum(x, axis=axes, keepdims=keepdims),
    doc="The sum over axes.",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (0,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True}),
           lambda rng: ((rng.normal(size=(3,)),), {"axes": (), "keepdims": False})))


@lru_cache(4096)
def _sum_op(ndim: int, axis: Any, keepdims: bool) -> Op:
    return SUM.op(axes=normalize_axes("sum", axis, ndim), keepdims=bool(keepdims))


def axis_key(axis: Any) -> Any:
    """An axis argument as something hashable."""
    if axis is None or axis.__class__ is int or axis.__class__ is tuple:
        return axis
    if isinstance(axis, Value) or hasattr(axis, "tolist"):
        axis = axis.tolist()
    return tuple(axis) if isinstance(axis, list) else axis


_SUMS_AS: dict[DType, DType] = {
    _dtypes.bool_: _dtypes.int32, _dtypes.int8: _dtypes.int32, _dtypes.int16: _dtypes.int32,
    _dtypes.uint8: _dtypes.uint32, _dtypes.uint16: _dtypes.uint32}


def for_sums(t: Any, dtype: Any) -> Any:
    """``t`` in the dtype that its sums and products have: ``dtype``, or for narrow integers 32 bits."""
    if dtype is None:
        dtype = _SUMS_AS.get(t._spec.dtype)
        if dtype is None:
            return t
    return cast(t, dtype)


def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The sum of ``x`` over ``axis`` (an int, a tuple, or None for all).

    Integers narrower than 32 bits and booleans are summed as 32-bit integers. float32 is added up in float64 and
    rounded once. Raises AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> ad.sum(ad.constant([[1.0, 2.0], [3.0, 4.0]]), axis=0).tolist()
    [4.0, 6.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    if dtype is not None or (t._spec.dtype.kind in "biu" and t._spec.dtype in _SUMS_AS):
        t = for_sums(t, dtype)
    return record(_sum_op(t._spec.ndim, axis_key(axis), keepdims), t)


def sum_to(x: Any, shape: Shape) -> Any:
    """``x`` summed over the axes that broadcasting ``shape`` to it has made: the transpose of broadcasting."""
    have = x._spec.shape
    lead = len(have) - len(shape)
    axes = tuple(range(lead)) + tuple(k + lead for k, n in enumerate(shape) if n == 1 and have[k + lead] != 1)
    if axes:
        x = record(SUM.op(axes=axes, keepdims=False), x)
    return x if x._spec.shape == shape else reshape(x, shape)


# --------------------------------------------------------------------------------------------------------- broadcast_to


def _broadcast_kernel(x: Any, shape: Shape) -> Any:
    if math.prod(shape) > 4096:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, x.dtype)                       # sooner done than a view that repeats elements is made
    out[...] = x
    return out


def _broadcast_vjp(g: Any, y: Any, x: Any, shape: Shape) -> tuple[Any]:
    return (sum_to(g, x._spec.shape),)


def _broadcast_batch(args: Any, axes: Any, shape: Shape) -> Any:
    x = front(args[0], axes[0])
    n, *rest = x._spec.shape
    x = reshape(x, (n, *(1,) * (len(shape) - len(rest)), *rest))
    return record(BROADCAST.op(shape=(n, *shape)), x), 0


BROADCAST: Primitive = Primitive(
    "broadcast_to", lambda x, shape: spec(shape, x.dtype), _broadcast_kernel, view=lambda x, shape: np.broadcast_to(x, shape),
    vjp=_broadcast_vjp, linear=(0,), batch=_broadcast_batch, oracle=lambda x, shape: np.broadcast_to(x, shape),
    cases=(lambda rng: ((rng.normal(size=(3, 1)),), {"shape": (2, 3, 4)}),
           lambda rng: ((rng.normal(size=()),), {"shape": (2, 1)})),
    doc="The elements repeated along new and length-1 axes.")


@lru_cache(4096)
def _broadcast_op(have: Shape, dims: Shape) -> Op:
    if len(dims) < len(have) or min(dims, default=0) < 0 or broadcast_shapes("broadcast_to", have, dims) != dims:
        raise ShapeError(complain("broadcast_to", "shape", f"one that {have} broadcasts to", dims))
    return BROADCAST.op(shape=dims)


def broadcast_to(x: Any, shape: Any) -> Any:
    """``x`` repeated along new axes in front and along axes of length 1 until it has ``shape``.

    Raises ShapeError where ``x`` does not broadcast to ``shape``.

    >>> import adjoint as ad
    >>> ad.broadcast_to(ad.constant([1.0, 2.0]), (2, 2)).tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    t = x if isinstance(x, Value) else convert(x)
    dims = as_shape("broadcast_to", shape)
    if t._spec.shape == dims and not hasattr(t, "trainable"):
        return t
    return record(_broadcast_op(t._spec.shape, dims), t)


install("sum", sum)

"""The sum and broadcasting: each other's transposes."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .._errors import ShapeError, complain
from .._graph import Op, Primitive, Shape, spec
from .._tensor import Value
from .._trace import record
from ._make import broadcast_shapes, normalize_axes
from .convert import cast, convert
from .movement import as_shape, reshape

__all__ = ["broadcast_to", "sum"]

# ------------------------------------------------------------------------------------------------------------------- sum


def reduced(shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Shape:
    """The shape left when ``axes`` are reduced."""
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def restore(g: Any, shape: Shape, axes: tuple[int, ...], keepdims: bool) -> Any:
    """A reduced result brought back to a shape that broadcasts with the input's."""
    return g if keepdims else reshape(g, reduced(shape, axes, True))


def _sum_kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if x.dtype.itemsize == 2 and x.dtype.kind in "fV":
        return np.sum(x, axis=axes, keepdims=keepdims, dtype=np.float32).astype(x.dtype)
    return np.add.reduce(x, axis=axes, keepdims=keepdims, dtype=x.dtype)


SUM = Primitive(
    "sum", lambda x, axes, keepdims: spec(reduced(x.shape, axes, keepdims), x.dtype), _sum_kernel,
    vjp=lambda g, y, x, axes, keepdims: (broadcast_to(restore(g, x._spec.shape, axes, keepdims), x._spec.shape),),
    linear=(0,), oracle="numpy.sum", doc="The sum over axes.",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (0,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True})))


@lru_cache(4096)
def _sum_op(ndim: int, axis: Any, keepdims: bool) -> Op:
    return SUM.op(axes=normalize_axes("sum", axis, ndim), keepdims=bool(keepdims))


def sum(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The sum of ``x`` over ``axis`` (an int, a tuple, or None for all)."""
    t = x if isinstance(x, Value) else convert(x)
    if dtype is not None:
        t = cast(t, dtype)
    if axis.__class__ is list:
        axis = tuple(axis)
    return record(_sum_op(t._spec.ndim, axis, keepdims), t)


def sum_to(x: Any, shape: Shape) -> Any:
    """``x`` summed over the axes that broadcasting ``shape`` to it has made: the transpose of broadcasting."""
    have = x._spec.shape
    lead = len(have) - len(shape)
    axes = tuple(range(lead)) + tuple(k + lead for k, n in enumerate(shape) if n == 1 and have[k + lead] != 1)
    if axes:
        x = record(SUM.op(axes=axes, keepdims=False), x)
    return x if x._spec.shape == shape else reshape(x, shape)


# ---------------------------------------------------------------------------------------------------------- broadcast_to


def _broadcast_vjp(g: Any, y: Any, x: Any, shape: Shape) -> tuple[Any]:
    return (sum_to(g, x._spec.shape),)


BROADCAST = Primitive(
    "broadcast_to", lambda x, shape: spec(shape, x.dtype), lambda x, shape: np.broadcast_to(x, shape),
    vjp=_broadcast_vjp, linear=(0,), oracle="numpy.broadcast_to",
    cases=(lambda rng: ((rng.normal(size=(3, 1)),), {"shape": (2, 3, 4)}),),
    doc="The elements repeated along new and length-1 axes.")


def broadcast_to(x: Any, shape: Any) -> Any:
    """``x`` broadcast to ``shape``."""
    t = x if isinstance(x, Value) else convert(x)
    dims = as_shape("broadcast_to", shape)
    if t._spec.shape == dims and not hasattr(t, "trainable"):
        return t
    if len(dims) < t._spec.ndim or broadcast_shapes("broadcast_to", t._spec.shape, dims) != dims:
        raise ShapeError(complain("broadcast_to", "shape", f"one that {t._spec.shape} broadcasts to", dims))
    return record(BROADCAST.op(shape=dims), t)

"""Shapes: reshape, broadcast, transpose."""
from __future__ import annotations

from typing import Any

import numpy as np

from .._errors import ShapeError, complain
from .._graph import Primitive, Shape, spec
from .._tensor import Value
from .._trace import record
from ._make import install, normalize_axis
from .convert import convert

__all__ = ["reshape", "transpose"]

# --------------------------------------------------------------------------------------------------------------- reshape

RESHAPE = Primitive(
    "reshape", lambda x, shape: spec(shape, x.dtype), lambda x, shape: np.reshape(x, shape),
    vjp=lambda g, y, x, shape: (reshape(g, x._spec.shape),), linear=(0,), oracle="numpy.reshape",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"shape": (2, 6)}),),
    doc="The same elements, row-major, in another shape.")


def as_shape(name: str, shape: Any) -> Shape:
    """A shape argument as a tuple of ints."""
    if isinstance(shape, Value):
        shape = shape.tolist()
    try:
        dims = (shape.__index__(),) if not hasattr(shape, "__iter__") else tuple(
            [int(n) if isinstance(n, Value) else n.__index__() for n in shape])
    except (AttributeError, TypeError):
        raise ShapeError(complain(name, "shape", "an integer or a sequence of integers", repr(shape))) from None
    return dims


def reshape(x: Any, shape: Any) -> Any:
    """``x`` with its elements, in row-major order, in another shape; one dimension may be -1."""
    t = x if isinstance(x, Value) else convert(x)
    dims = as_shape("reshape", shape)
    if -1 in dims:
        rest = 1
        for n in dims:
            rest *= n if n != -1 else 1
        if dims.count(-1) > 1 or (rest == 0 and t._spec.size) or (rest and t._spec.size % rest):
            raise ShapeError(complain("reshape", "shape", f"one that {t._spec.size} elements fill", dims))
        dims = tuple(t._spec.size // rest if rest else 0 for _ in (0,)) if len(dims) == 1 else tuple(
            (t._spec.size // rest if rest else 0) if n == -1 else n for n in dims)
    size = 1
    for n in dims:
        size *= n
    if size != t._spec.size or min(dims, default=0) < 0:
        raise ShapeError(complain("reshape", "shape", f"one of {t._spec.size} elements (x has shape {t._spec.shape})", dims))
    return record(RESHAPE.op(shape=dims), t)


install("reshape", lambda self, *shape: reshape(self, shape[0] if len(shape) == 1 else shape))

# ------------------------------------------------------------------------------------------------------------- transpose

def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    out = [0] * len(axes)
    for k, a in enumerate(axes):
        out[a] = k
    return tuple(out)


TRANSPOSE = Primitive(
    "transpose", lambda x, axes: spec(tuple(x.shape[a] for a in axes), x.dtype), lambda x, axes: np.transpose(x, axes),
    vjp=lambda g, y, x, axes: (transpose(g, _inverse(axes)),), linear=(0,), oracle="numpy.transpose",
    cases=(lambda rng: ((rng.normal(size=(2, 3, 4)),), {"axes": (2, 0, 1)}),),
    doc="The axes in another order.")


def transpose(x: Any, axes: Any = None) -> Any:
    """``x`` with its axes in another order; reversed by default."""
    t = x if isinstance(x, Value) else convert(x)
    n = t._spec.ndim
    order = tuple(range(n))[::-1] if axes is None else tuple(normalize_axis("transpose", a, n) for a in axes)
    if sorted(order) != list(range(n)):
        raise ShapeError(complain("transpose", "axes", f"an order of the {n} axes", tuple(axes)))
    return record(TRANSPOSE.op(axes=order), t)


install("T", property(transpose))  # type: ignore[arg-type]

"""What goes by an element's place: triangles of matrices, rolling."""
from __future__ import annotations

from typing import Any

import numpy as np

from .._dtypes import int32
from .._errors import AxisError, ShapeError, complain
from .._graph import Primitive, Shape, spec
from .._tensor import Value
from .._trace import record
from ._make import normalize_axis
from .arithmetic import add
from .comparison import greater_equal, less_equal, where
from .convert import convert
from .creation import full_of
from .indexing import iota
from .joining import concat
from .movement import as_shape, define, prim_of, ravel, reshape, section

__all__ = ["roll", "tril", "triu"]

# ----------------------------------------------------------------------------------------------------------------- roll

def _roll_expand(x: Any, shift: Shape, axes: Shape) -> Any:
    for by, axis in zip(shift, axes):
        n = x._spec.shape[axis]
        at = n - by % n
        if at != n:
            x = concat([section(x, axis, at, n), section(x, axis, 0, at)], axis)
    return x


ROLL: Primitive = define(
    "roll", lambda x, shift, axes: x, lambda x, shift, axes: np.roll(x, shift, axes),
    vjp=lambda g, y, x, shift, axes: (record(ROLL.op(shift=tuple([-s for s in shift]), axes=axes), g),),
    shift=lambda x, shift, axes: {"shift": shift, "axes": tuple([a + 1 for a in axes])},
    oracle=lambda x, shift, axes: np.roll(x, shift, axes),
    cases=(lambda rng: ((rng.normal(size=(4, 3)),), {"shift": (1, -1), "axes": (0, 1)}),),
    expand=_roll_expand, doc="The elements moved round along axes.")


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """``x`` with its elements moved ``shift`` places along ``axis``; those that leave at the end come in at the front.

    shift, axis   ints, or tuples of as many; axis None rolls the flattened tensor and keeps the shape

    >>> import adjoint as ad
    >>> ad.roll(ad.arange(4), 1).tolist()
    [3, 0, 1, 2]
    """
    t = x if isinstance(x, Value) else convert(x)
    if axis is None:
        return reshape(roll(ravel(t), shift, 0), t._spec.shape)
    shifts = as_shape("roll", shift)
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple([normalize_axis("roll", a, t._spec.ndim) for a in given])
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    elif len(axes) == 1:
        axes = axes * len(shifts)
    if len(shifts) != len(axes):
        raise AxisError(complain("roll", "shift and axis", "of one length", f"{shift} and {axis}"))
    return record(ROLL.op(shift=shifts, axes=axes), t)


# ------------------------------------------------------------------------------------------------------------ triangles

def _triangle(name: str, kernel: Any, compare: Any, which: str) -> Primitive:
    def expand(x: Any, k: int) -> Any:
        rows, columns = [iota(x._spec.shape[axis], 2, axis + 2, int32) for axis in (-2, -1)]
        return where(compare(columns, add(rows, k)), x, full_of(spec((), x._spec.dtype), 0))

    return define(
        name, lambda x, k: x, kernel, vjp=lambda g, y, x, k: (record(prim_of(name).op(k=k), g),),
        shift=lambda x, k: {"k": k}, oracle=kernel, expand=expand,
        cases=(lambda rng: ((rng.normal(size=(2, 3, 4)),), {"k": 1}),), doc=f"The {which} triangle of each matrix.")


_TRIL = _triangle("tril", lambda x, k: np.tril(x, k), less_equal, "lower")
_TRIU = _triangle("triu", lambda x, k: np.triu(x, k), greater_equal, "upper")


def _take_triangle(prim: Primitive, x: Any, k: int) -> Any:
    t = x if isinstance(x, Value) else convert(x)
    if t._spec.ndim < 2:
        raise ShapeError(complain(prim.name, "x", "of at least two axes", f"shape {t._spec.shape}"))
    return record(prim.op(k=int(k)), t)


def tril(x: Any, k: int = 0) -> Any:
    """The lower triangle of each matrix: zeros above the ``k``-th diagonal.

    Raises ShapeError for fewer than two axes.
    """
    return _take_triangle(_TRIL, x, k)


def triu(x: Any, k: int = 0) -> Any:
    """The upper triangle of each matrix: zeros below the ``k``-th diagonal.

    Raises ShapeError for fewer than two axes.
    """
    return _take_triangle(_TRIU, x, k)

"""Shapes: reshape, transpose and what rearranges the elements of one tensor."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._errors import AxisError, ShapeError, complain
from .._graph import Op, Primitive, Shape, spec
from .._tensor import Value
from .._trace import record
from ._make import install, normalize_axes, normalize_axis
from .convert import convert

__all__ = [
    "atleast_nd", "diag", "diagonal", "expand_dims", "flatten", "flip", "matrix_transpose", "moveaxis", "permute_dims",
    "ravel", "reshape", "squeeze", "swapaxes", "transpose",
]


def front(t: Any, axis: int) -> Any:
    """``t`` with its batch axis first: where the rules for vmap start."""
    return t if axis == 0 else moveaxis(t, axis, 0)


def _batched(name: str, shift: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """The vmap rule of a primitive of one tensor: the batch axis first, the parameters moved past it."""

    def batch(args: Any, axes: Any, /, **params: Any) -> Any:
        x = front(args[0], axes[0])
        return record(prim_of(name).op(**shift(x, **params)), x), 0

    return batch


def prim_of(name: str) -> Primitive:
    return _PRIMS[name]


_PRIMS: dict[str, Primitive] = {}


def define(name: str, infer: Any, kernel: Any, vjp: Any, shift: Any, **more: Any) -> Primitive:
    prim: Primitive = Primitive(name, infer, kernel, vjp=vjp, linear=(0,), batch=_batched(name, shift), **more)
    _PRIMS[name] = prim
    return prim


# -------------------------------------------------------------------------------------------------------------- reshape

_CAN_REFUSE = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


def _reshape_view(x: Any, shape: Shape) -> Any:
    if _CAN_REFUSE:
        return np.reshape(x, shape, copy=False)          # raises where it can't be had without a copy
    x = x.view()
    x.shape = shape                                      # the same in older versions
    return x


RESHAPE: Primitive = define(
    "reshape", lambda x, shape: spec(shape, x.dtype), lambda x, shape: x.reshape(shape), view=_reshape_view,
    vjp=lambda g, y, x, shape: (reshape(g, x._spec.shape),),
    shift=lambda x, shape: {"shape": (x._spec.shape[0], *shape)}, oracle=lambda x, shape: np.reshape(x, shape),
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"shape": (2, 6)}),
           lambda rng: ((rng.normal(size=(1, 1)),), {"shape": ()})),
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


@lru_cache(4096)
def _reshape_op(have: Shape, dims: Shape) -> Op:
    total = 1
    for n in have:
        total *= n
    if -1 in dims:
        rest = 1
        for n in dims:
            rest *= n if n != -1 else 1
        if dims.count(-1) > 1 or rest < 0 or (rest == 0 and total) or (rest and total % rest):
            raise ShapeError(complain("reshape", "shape", f"one that {total} elements fill", dims,
                                      f"x has shape {have}"))
        dims = tuple((total // rest if rest else 0) if n == -1 else n for n in dims)
    size = 1
    for n in dims:
        size *= n
    if size != total or min(dims, default=0) < 0:
        raise ShapeError(complain("reshape", "shape", f"one of {total} elements (x has shape {have})", dims))
    return RESHAPE.op(shape=dims)


def reshape(x: Any, shape: Any, copy: bool | None = None) -> Any:
    """``x`` with its elements, in row-major order, in another shape; one dimension may be -1.

    Raises ShapeError where the elements do not fill the shape. ``copy`` is accepted and makes no difference: tensors
    are immutable.

    >>> import adjoint as ad
    >>> ad.reshape(ad.arange(4), (2, -1)).tolist()
    [[0, 1], [2, 3]]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_reshape_op(t._spec.shape, as_shape("reshape", shape)), t)


install("reshape", lambda self, *shape: reshape(self, shape[0] if len(shape) == 1 else shape))


def ravel(x: Any) -> Any:
    """``x`` as one row: shape (size,)."""
    t = x if isinstance(x, Value) else convert(x)
    return record(_reshape_op(t._spec.shape, (-1,)), t)


def flatten(x: Any) -> Any:
    """``x`` as one row: shape (size,)."""
    return ravel(x)


def expand_dims(x: Any, axis: Any = 0) -> Any:
    """``x`` with a new axis of length 1 at ``axis`` (an int, or a tuple of places in the result).

    Raises AxisError for an axis outside the result's dimensions.

    >>> import adjoint as ad
    >>> tuple(ad.expand_dims(ad.zeros((2, 3)), -1).shape)
    (2, 3, 1)
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_expand_op(t._spec.shape, tuple(axis) if isinstance(axis, (tuple, list)) else int(axis)), t)


@lru_cache(4096)
def _expand_op(shape: Shape, axis: Any) -> Op:
    count = len(axis) if isinstance(axis, tuple) else 1
    axes = normalize_axes("expand_dims", axis, len(shape) + count)
    rest = iter(shape)
    return RESHAPE.op(shape=tuple(1 if k in axes else next(rest) for k in range(len(shape) + count)))


def squeeze(x: Any, axis: Any = None) -> Any:
    """``x`` without the axes of length 1 in ``axis`` (all of them by default).

    Raises ShapeError for an axis that is longer, AxisError for one out of range.
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_squeeze_op(t._spec.shape, tuple(axis) if isinstance(axis, list) else axis), t)


@lru_cache(4096)
def _squeeze_op(shape: Shape, axis: Any) -> Op:
    if axis is None:
        return RESHAPE.op(shape=tuple(n for n in shape if n != 1))
    axes = normalize_axes("squeeze", axis, len(shape))
    for k in axes:
        if shape[k] != 1:
            raise ShapeError(complain("squeeze", "axis", "one of length 1", f"axis {k} of shape {shape}"))
    return RESHAPE.op(shape=tuple(n for k, n in enumerate(shape) if k not in axes))


def atleast_nd(x: Any, ndim: int) -> Any:
    """``x`` with axes of length 1 put in front until it has ``ndim`` of them."""
    t = x if isinstance(x, Value) else convert(x)
    lack = int(ndim) - t._spec.ndim
    return reshape(t, (1,) * lack + t._spec.shape) if lack > 0 else t


# ------------------------------------------------------------------------------------------------------------ transpose

def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    out = [0] * len(axes)
    for k, a in enumerate(axes):
        out[a] = k
    return tuple(out)


TRANSPOSE: Primitive = define(
    "transpose", lambda x, axes: spec(tuple([x.shape[a] for a in axes]), x.dtype),
    lambda x, axes: x.transpose(axes), view=lambda x, axes: x.transpose(axes),
    vjp=lambda g, y, x, axes: (record(TRANSPOSE.op(axes=_inverse(axes)), g),),
    shift=lambda x, axes: {"axes": (0, *[a + 1 for a in axes])}, oracle=lambda x, axes: np.transpose(x, axes),
    cases=(lambda rng: ((rng.normal(size=(2, 3, 4)),), {"axes": (2, 0, 1)}),),
    doc="The axes in another order.")


@lru_cache(4096)
def _transpose_op(n: int, axes: Any) -> Op:
    order = tuple(range(n))[::-1] if axes is None else tuple(normalize_axis("transpose", a, n) for a in axes)
    if sorted(order) != list(range(n)):
        raise AxisError(complain("transpose", "axes", f"an order of the {n} axes", axes))
    return TRANSPOSE.op(axes=order)


def _axes_key(axes: Any) -> Any:
    if axes is None or axes.__class__ is tuple:
        return axes
    if isinstance(axes, Value) or hasattr(axes, "tolist"):
        axes = axes.tolist()
    return tuple(axes) if isinstance(axes, list) else axes


def transpose(x: Any, axes: Any = None) -> Any:
    """``x`` with its axes in another order; reversed by default.

    Raises AxisError where ``axes`` is not an order of all axes.

    >>> import adjoint as ad
    >>> tuple(ad.transpose(ad.zeros((2, 3, 4)), (2, 0, 1)).shape)
    (4, 2, 3)
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_transpose_op(t._spec.ndim, _axes_key(axes)), t)


def permute_dims(x: Any, axes: Any) -> Any:
    """``x`` with its axes in the order ``axes``."""
    return transpose(x, axes)


def matrix_transpose(x: Any) -> Any:
    """``x`` with its last two axes exchanged. Raises ShapeError for fewer than two axes."""
    t = x if isinstance(x, Value) else convert(x)
    n = t._spec.ndim
    if n < 2:
        raise ShapeError(complain("matrix_transpose", "x", "of at least two axes", f"shape {t._spec.shape}"))
    return record(TRANSPOSE.op(axes=(*range(n - 2), n - 1, n - 2)), t)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """``x`` with two axes exchanged."""
    t = x if isinstance(x, Value) else convert(x)
    order = list(range(t._spec.ndim))
    a, b = (normalize_axis("swapaxes", k, t._spec.ndim) for k in (axis1, axis2))
    order[a], order[b] = order[b], order[a]
    return record(TRANSPOSE.op(axes=tuple(order)), t)


@lru_cache(4096)
def _move_op(n: int, source: Any, destination: Any) -> Op:
    one = not isinstance(source, tuple)
    if one != (not isinstance(destination, tuple)):
        raise AxisError(complain("moveaxis", "source and destination", "both axes or both tuples of axes",
                                 f"{source} and {destination}"))
    src = [normalize_axis("moveaxis", a, n) for a in ((source,) if one else source)]
    dst = [normalize_axis("moveaxis", a, n) for a in ((destination,) if one else destination)]
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise AxisError(complain("moveaxis", "source and destination", "as many axes each, without repeats",
                                 f"{source} and {destination}"))
    order = [a for a in range(n) if a not in src]
    for d, s in sorted(zip(dst, src)):
        order.insert(d, s)
    return TRANSPOSE.op(axes=tuple(order))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """``x`` with the axes ``source`` moved to the places ``destination``; the others keep their order."""
    t = x if isinstance(x, Value) else convert(x)
    return record(_move_op(t._spec.ndim, _axes_key(source), _axes_key(destination)), t)


# ----------------------------------------------------------------------------------------------------------------- flip

FLIP: Primitive = define(
    "flip", lambda x, axes: x, lambda x, axes: np.flip(x, axes), view=lambda x, axes: np.flip(x, axes),
    vjp=lambda g, y, x, axes: (record(FLIP.op(axes=axes), g),),
    shift=lambda x, axes: {"axes": tuple([a + 1 for a in axes])}, oracle=lambda x, axes: np.flip(x, axes),
    cases=(lambda rng: ((rng.normal(size=(2, 3)),), {"axes": (1,)}),),
    doc="The elements in reverse order along axes.")


@lru_cache(4096)
def _flip_op(n: int, axis: Any) -> Op:
    return FLIP.op(axes=normalize_axes("flip", axis, n))


def flip(x: Any, axis: Any = None) -> Any:
    """``x`` with the order of its elements reversed along ``axis`` (an int, a tuple, or None for all).

    >>> import adjoint as ad
    >>> ad.flip(ad.arange(3)).tolist()
    [2, 1, 0]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_flip_op(t._spec.ndim, _axes_key(axis)), t)


# -------------------------------------------------------------------------------------------------------------- section

def _section_kernel(x: Any, axis: int, start: int, stop: int) -> Any:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _embed_kernel(x: Any, axis: int, start: int, size: int) -> Any:
    out = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1:]), x.dtype)
    out[(slice(None),) * axis + (slice(start, start + x.shape[axis]),)] = x
    return out


def _resized(x: Any, axis: int, n: int) -> Any:
    return spec((*x.shape[:axis], n, *x.shape[axis + 1:]), x.dtype)


SECTION: Primitive = define(
    "section", lambda x, axis, start, stop: _resized(x, axis, stop - start), _section_kernel, view=_section_kernel,
    vjp=lambda g, y, x, axis, start, stop: (
        record(EMBED.op(axis=axis, start=start, size=x._spec.shape[axis]), g),),
    shift=lambda x, axis, start, stop: {"axis": axis + 1, "start": start, "stop": stop},
    oracle=lambda x, axis, start, stop: np.take(x, range(start, stop), axis),
    cases=(lambda rng: ((rng.normal(size=(4, 3)),), {"axis": 0, "start": 1, "stop": 3}),),
    doc="The elements from start to stop along one axis.")

EMBED: Primitive = define(
    "embed", lambda x, axis, start, size: _resized(x, axis, size), _embed_kernel,
    places=lambda out, x, axis, start, size: (_section_kernel(out, axis, start, start + x.shape[axis]),),
    vjp=lambda g, y, x, axis, start, size: (
        record(SECTION.op(axis=axis, start=start, stop=start + x._spec.shape[axis]), g),),
    shift=lambda x, axis, start, size: {"axis": axis + 1, "start": start, "size": size},
    oracle=lambda x, axis, start, size: np.pad(
        x, [(start, size - start - n) if k == axis else (0, 0) for k, n in enumerate(x.shape)]),
    cases=(lambda rng: ((rng.normal(size=(2, 3)),), {"axis": 1, "start": 1, "size": 5}),),
    doc="The elements put into zeros from start on along one axis.")


def section(t: Any, axis: int, start: int, stop: int) -> Any:
    """The elements from ``start`` to ``stop`` along one axis."""
    return record(SECTION.op(axis=axis, start=start, stop=stop), t)


# ------------------------------------------------------------------------------------------------------------ diagonals

def _diagonal_length(shape: Shape, offset: int) -> int:
    return max(0, min(shape[-2] + min(offset, 0), shape[-1] - max(offset, 0)))


def _put_diagonal(x: Any, offset: int, rows: int, columns: int) -> Any:
    out = np.zeros((*x.shape[:-1], rows, columns), x.dtype)
    k = np.arange(x.shape[-1])
    out[..., k - min(offset, 0), k + max(offset, 0)] = x
    return out


DIAGONAL: Primitive = define(
    "diagonal", lambda x, offset: spec((*x.shape[:-2], _diagonal_length(x.shape, offset)), x.dtype),
    lambda x, offset: np.diagonal(x, offset, -2, -1), view=lambda x, offset: np.diagonal(x, offset, -2, -1),
    vjp=lambda g, y, x, offset: (record(FROM_DIAGONAL.op(
        offset=offset, rows=x._spec.shape[-2], columns=x._spec.shape[-1]), g),),
    shift=lambda x, offset: {"offset": offset}, oracle=lambda x, offset: np.diagonal(x, offset, -2, -1),
    cases=(lambda rng: ((rng.normal(size=(2, 3, 4)),), {"offset": 1}),),
    doc="A diagonal of each matrix.")

FROM_DIAGONAL: Primitive = define(
    "from_diagonal", lambda x, offset, rows, columns: spec((*x.shape[:-1], rows, columns), x.dtype), _put_diagonal,
    vjp=lambda g, y, x, offset, rows, columns: (record(DIAGONAL.op(offset=offset), g),),
    shift=lambda x, offset, rows, columns: {"offset": offset, "rows": rows, "columns": columns},
    places=lambda out, x, offset, rows, columns: (np.diagonal(out, offset, -2, -1),),
    oracle=lambda x, offset, rows, columns: np.stack(
        [np.eye(rows, columns, offset)[i] * x[..., max(0, min(i + min(offset, 0), x.shape[-1] - 1)), None]
         for i in range(rows)], -2),
    cases=(lambda rng: ((rng.normal(size=(2, 3)),), {"offset": -1, "rows": 4, "columns": 3}),),
    doc="Matrices with a diagonal given and zeros elsewhere.")


def diagonal(x: Any, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Any:
    """The diagonal of each matrix of ``x``; ``offset`` counts to the right of the main one.

    Raises ShapeError for fewer than two axes.
    """
    t = x if isinstance(x, Value) else convert(x)
    if t._spec.ndim < 2:
        raise ShapeError(complain("diagonal", "x", "of at least two axes", f"shape {t._spec.shape}"))
    a, b = (normalize_axis("diagonal", k, t._spec.ndim) for k in (axis1, axis2))
    if a == b:
        raise AxisError(complain("diagonal", "axis1 and axis2", "different", f"{axis1} and {axis2}"))
    if (a, b) != (t._spec.ndim - 2, t._spec.ndim - 1):
        t = moveaxis(t, (a, b), (-2, -1))
    return record(DIAGONAL.op(offset=int(offset)), t)


def diag(x: Any, k: int = 0) -> Any:
    """A square matrix with the row ``x`` on its ``k``-th diagonal; of a matrix, that diagonal.

    >>> import adjoint as ad
    >>> ad.diag(ad.constant([1.0, 2.0])).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    t = x if isinstance(x, Value) else convert(x)
    if t._spec.ndim == 1:
        n = t._spec.shape[0] + abs(int(k))
        return record(FROM_DIAGONAL.op(offset=int(k), rows=n, columns=n), t)
    if t._spec.ndim != 2:
        raise ShapeError(complain("diag", "x", "a row or a matrix", f"shape {t._spec.shape}"))
    return diagonal(t, k)


install("T", property(transpose))  # type: ignore[arg-type]
install("mT", property(matrix_transpose))  # type: ignore[arg-type]
install("ravel", ravel)
install("flatten", flatten)
install("squeeze", squeeze)
install("transpose", lambda self, *axes: transpose(
    self, None if not axes else axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes))
install("swapaxes", swapaxes)
install("diagonal", diagonal)

"""Searching and sorting: argmax, sort, top_k's core, searchsorted, nonzero."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import ArgumentError, DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._tensor import Value, wrap
from .._trace import record
from ._make import check_kind, install, normalize_axis
from .broadcast import axis_key, reduced
from .comparison import equal, isnan, logical_or, where
from .convert import cast, convert
from .creation import full_of
from .indexing import iota
from .joining import PICK, SPREAD, batch_all
from .movement import as_shape, front, ravel
from .reduction import MAX, MIN

__all__ = ["argmax", "argmin", "argsort", "nonzero", "searchsorted", "sort", "top_k", "topk", "unravel_index"]

INDEX = _dtypes.int64

# --------------------------------------------------------------------------------------------------------------- argmax

def _arg(name: str, function: Any) -> Primitive:
    def infer(x: Spec, axis: int, keepdims: bool) -> Spec:
        check_kind(name, x.dtype, "biuf")
        return spec(reduced(x.shape, (axis,), keepdims), INDEX)

    def expand(x: Any, axis: int, keepdims: bool) -> Any:
        """The first place that holds the extreme; NaN is one."""
        shape = x._spec.shape
        rows = cast(x, _dtypes.uint8) if x._spec.dtype.kind == "b" else x
        extreme = record((MAX if name == "argmax" else MIN).op(axes=(axis,), keepdims=True), rows)
        hit = equal(rows, extreme)
        if rows._spec.dtype.kind == "f":
            hit = logical_or(hit, isnan(rows))
        narrow = _dtypes.int32 if shape[axis] < 1 << 31 else INDEX
        place = where(hit, iota(shape[axis], len(shape), axis, narrow), full_of(spec((), narrow), shape[axis] - 1))
        return cast(record(MIN.op(axes=(axis,), keepdims=keepdims), place), INDEX)

    prim: Primitive = Primitive(
        name, infer, lambda x, axis, keepdims: np.asarray(function(x, axis=axis, keepdims=keepdims)).astype(np.int64),
        expand=expand, batch=lambda args, axes, axis, keepdims: (
            record(prim.op(axis=axis + 1, keepdims=keepdims), front(args[0], axes[0])), 0),
        oracle=lambda x, axis, keepdims: np.apply_along_axis(
            lambda row: list(row).index((max if name == "argmax" else min)(row)), axis, x),
        cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axis": 1, "keepdims": False}),),
        doc=f"The index of the first {name[3:]}imum along an axis.")
    return prim


ARGMAX, ARGMIN = _arg("argmax", np.argmax), _arg("argmin", np.argmin)


@lru_cache(4096)
def _arg_op(prim: Primitive, shape: Shape, axis: Any, keepdims: bool) -> Op:
    k = normalize_axis(prim.name, axis, len(shape))
    if shape[k] == 0:
        raise ShapeError(complain(prim.name, "x", f"of at least one element along axis {k}", f"shape {shape}"))
    return prim.op(axis=k, keepdims=bool(keepdims))


def _arg_extreme(prim: Primitive, x: Any, axis: Any, keepdims: bool) -> Any:
    t = x if isinstance(x, Value) else convert(x)
    if axis is None:
        out = record(_arg_op(prim, (t._spec.size,), 0, False), ravel(t))
        return out.reshape((1,) * t._spec.ndim) if keepdims else out
    return record(_arg_op(prim, t._spec.shape, axis_key(axis), keepdims), t)


def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index (int64) of the first largest element along ``axis``; None: in the flattened tensor.

    Raises ShapeError for no elements, AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> int(ad.argmax(ad.constant([1.0, 3.0, 2.0])))
    1
    """
    return _arg_extreme(ARGMAX, x, axis, keepdims)


def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index (int64) of the first smallest element along ``axis``; None: in the flattened tensor."""
    return _arg_extreme(ARGMIN, x, axis, keepdims)


# ----------------------------------------------------------------------------------------------------------------- sort

def order_of(x: Any, axis: int, descending: bool) -> Any:
    """The indices that sort an array, equal elements in their order; nan is largest."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    back = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - back, axis)


def _sort_kernel(x: Any, axis: int, descending: bool) -> Any:
    order = order_of(x, axis, descending).astype(np.int64)
    return np.take_along_axis(x, order, axis), order


def _sort_infer(x: Spec, axis: int, descending: bool) -> tuple[Spec, Spec]:
    check_kind("sort", x.dtype, "biuf")
    return x, spec(x.shape, INDEX)


SORT: Primitive = Primitive(
    "sort", _sort_infer, _sort_kernel,
    vjp=lambda gs, ys, x, axis, descending: (
        record(SPREAD.op(axis=axis, size=x._spec.shape[axis]), gs[0], ys[1]),),
    jvp=lambda ts, ys, x, axis, descending: (record(PICK.op(axis=axis), ts[0], ys[1]), None),
    batch=lambda args, axes, axis, descending: (
        record(SORT.op(axis=axis + 1, descending=descending), front(args[0], axes[0])), 0),
    oracle=lambda x, axis, descending: (
        (np.flip(np.sort(x, axis), axis), np.flip(np.argsort(x, axis), axis)) if descending
        else (np.sort(x, axis), np.argsort(x, axis))),
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axis": 1, "descending": False}),
           lambda rng: ((rng.normal(size=(3, 4)),), {"axis": 0, "descending": True})),
    doc="The elements in order along an axis, and where each stood.")


def sort_pair(t: Any, axis: int, descending: bool = False) -> Any:
    """The sorted elements and their indices."""
    return record(SORT.op(axis=axis, descending=descending), t)


def _sorted(name: str, x: Any, axis: int, descending: bool, stable: bool) -> Any:
    t = x if isinstance(x, Value) else convert(x)
    if not t._spec.ndim:
        raise ShapeError(complain(name, "x", "of at least one axis", "shape ()"))
    return sort_pair(t, normalize_axis(name, axis, t._spec.ndim), bool(descending))


def sort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements of ``x`` in order along ``axis``; nan counts as largest.

    The gradient goes back to where each element stood. Raises AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> ad.sort(ad.constant([3.0, 1.0, 2.0])).tolist()
    [1.0, 2.0, 3.0]
    """
    return _sorted("sort", x, axis, descending, stable)[0]


def argsort(x: Any, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The indices (int64) that sort ``x`` along ``axis``; equal elements keep their order."""
    return _sorted("argsort", x, axis, descending, stable)[1]


# ----------------------------------------------------------------------------------------------------------------- topk

def _topk_kernel(x: Any, k: int, axis: int, largest: bool) -> Any:
    order = order_of(x, axis, largest)[(slice(None),) * axis + (slice(0, k),)].astype(np.int64)
    return np.take_along_axis(x, order, axis), order


def _topk_infer(x: Spec, k: int, axis: int, largest: bool) -> tuple[Spec, Spec]:
    check_kind("top_k", x.dtype, "biuf")
    shape = (*x.shape[:axis], k, *x.shape[axis + 1:])
    return spec(shape, x.dtype), spec(shape, INDEX)


def _topk_oracle(x: Any, k: int, axis: int, largest: bool) -> Any:
    order = np.take(np.argsort(-x if largest else x, axis=axis), range(k), axis)
    return np.take_along_axis(x, order, axis), order


TOPK: Primitive = Primitive(
    "top_k", _topk_infer, _topk_kernel,
    vjp=lambda gs, ys, x, k, axis, largest: (
        record(SPREAD.op(axis=axis, size=x._spec.shape[axis]), gs[0], ys[1]),),
    jvp=lambda ts, ys, x, k, axis, largest: (record(PICK.op(axis=axis), ts[0], ys[1]), None),
    batch=lambda args, axes, k, axis, largest: (
        record(TOPK.op(k=k, axis=axis + 1, largest=largest), front(args[0], axes[0])), 0),
    oracle=_topk_oracle, cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"k": 2, "axis": 1, "largest": True}),),
    doc="The k largest (or smallest) elements along an axis in order, and where they stood.")


def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Any, Any]:
    """The ``k`` largest elements along ``axis`` in falling order (or smallest, rising) and their indices (int64).

    Of equal elements the first comes first. Raises ShapeError for ``k`` outside 0..n, AxisError for an axis out of
    range.

    >>> import adjoint as ad
    >>> values, places = ad.top_k(ad.constant([1.0, 3.0, 2.0]), 2)
    >>> values.tolist(), places.tolist()
    ([3.0, 2.0], [1, 2])
    """
    t = x if isinstance(x, Value) else convert(x)
    if not t._spec.ndim:
        raise ShapeError(complain("top_k", "x", "of at least one axis", "shape ()"))
    at = normalize_axis("top_k", axis, t._spec.ndim)
    count = int(k)
    if not 0 <= count <= t._spec.shape[at]:
        raise ShapeError(complain("top_k", "k", f"in 0..{t._spec.shape[at]}, the length of axis {at}", count))
    return record(TOPK.op(k=count, axis=at, largest=bool(largest)), t)  # type: ignore[no-any-return]


topk = top_k


# --------------------------------------------------------------------------------------------------------- searchsorted

def _search_kernel(x: Any, v: Any, right: bool) -> Any:
    side: Any = "right" if right else "left"
    if x.ndim == 1:
        return np.asarray(np.searchsorted(x, v, side)).astype(np.int64)
    rows, sought = x.reshape(-1, x.shape[-1]), v.reshape(-1, v.shape[-1])
    found = [np.searchsorted(r, s, side) for r, s in zip(rows, sought)]
    return np.array(found, np.int64).reshape(v.shape)


def _search_infer(x: Spec, v: Spec, right: bool) -> Spec:
    check_kind("searchsorted", x.dtype, "biuf")
    if x.ndim == 0 or (x.ndim > 1 and x.shape[:-1] != v.shape[:-1]):
        raise ShapeError(complain("searchsorted", "x1", "a row, or rows that match those of x2",
                                  f"{x.shape} and {v.shape}"))
    return spec(v.shape, INDEX)


def _search_batch(args: Any, axes: Any, right: bool) -> Any:
    x, v = args
    if axes[0] is None and x._spec.ndim == 1:
        return record(SEARCH.op(right=right), x, front(v, axes[1])), 0
    x, v = batch_all(args, axes)
    n, *rest = v._spec.shape
    if x._spec.ndim == 2 and len(rest) != 1:             # a row for each member: its queries as one row
        flat = v.reshape((n, -1 if v._spec.size else 0))
        return record(SEARCH.op(right=right), x, flat).reshape((n, *rest)), 0
    return record(SEARCH.op(right=right), x, v), 0


SEARCH: Primitive = Primitive(
    "searchsorted", _search_infer, _search_kernel, batch=_search_batch,
    oracle=lambda x, v, right: np.vectorize(lambda s: np.sum(x <= s if right else x < s))(v),
    cases=(lambda rng: ((np.sort(rng.normal(size=5)), rng.normal(size=(2, 3))), {"right": False}),),
    doc="Where values would go into sorted rows.")


def searchsorted(x1: Any, x2: Any, side: str = "left", sorter: Any = None) -> Any:
    """The indices (int64) at which the values ``x2`` would go into the sorted row ``x1`` and keep it sorted.

    x1       sorted row; or sorted rows (..., n) where x2 has the same leading shape
    side     "left": before equal elements, "right": after them
    sorter   indices that sort ``x1``

    >>> import adjoint as ad
    >>> ad.searchsorted(ad.constant([1.0, 2.0, 3.0]), ad.constant([2.0, 9.0])).tolist()
    [1, 3]
    """
    if side not in ("left", "right"):
        raise ArgumentError(complain("searchsorted", "side", "'left' or 'right'", repr(side)))
    a = x1 if isinstance(x1, Value) else convert(x1)
    b = x2 if isinstance(x2, Value) else convert(x2, a._spec.dtype, True)
    if sorter is not None:
        a = record(PICK.op(axis=a._spec.ndim - 1), a, convert(sorter))
    return record(SEARCH.op(right=side == "right"), a, b)


# ------------------------------------------------------------------------------------------------------------ positions

def nonzero(x: Any) -> tuple[Any, ...]:
    """The places of the nonzero elements of ``x``: for each axis a row of indices (int64).

    The shape depends on the values, so ``x`` is computed at once; raises TraceError while a function is traced.

    >>> import adjoint as ad
    >>> [k.tolist() for k in ad.nonzero(ad.constant([0.0, 2.0, 3.0]))]
    [[1, 2]]
    """
    t = x if isinstance(x, Value) else convert(x)
    if not t._spec.ndim:
        raise ShapeError(complain("nonzero", "x", "of at least one axis", "shape ()"))
    return tuple([wrap(k.astype(np.int64)) for k in np.nonzero(t._look())])


def _unravel_infer(i: Spec, shape: Shape) -> tuple[Spec, ...]:
    check_kind("unravel_index", i.dtype, "iu")
    return (spec(i.shape, INDEX),) * len(shape)


def _unravel_kernel(i: Any, shape: Shape) -> Any:
    return [np.asarray(k, np.int64) for k in np.unravel_index(i, shape)]


UNRAVEL: Primitive = Primitive(
    "unravel_index", _unravel_infer, _unravel_kernel,
    batch=lambda args, axes, shape: (record(UNRAVEL.op(shape=shape), front(args[0], axes[0])), 0),
    oracle=lambda i, shape: tuple(
        [i // int(np.prod(shape[k + 1:], dtype=int)) % shape[k] for k in range(len(shape))]),
    cases=(lambda rng: ((rng.integers(0, 12, size=(2, 3)),), {"shape": (3, 4)}),),
    doc="Flat indices as one index for each axis.")


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Indices into a flattened tensor of ``shape`` as one tensor of indices (int64) for each axis.

    >>> import adjoint as ad
    >>> [int(k) for k in ad.unravel_index(5, (2, 3))]
    [1, 2]
    """
    t = indices if isinstance(indices, Value) else convert(indices)
    dims = as_shape("unravel_index", shape)
    if not dims:
        raise ShapeError(complain("unravel_index", "shape", "of at least one axis", dims))
    if t._spec.dtype.kind not in "iu":
        raise DtypeError(complain("unravel_index", "indices", "integers", t._spec.dtype.name))
    return record(UNRAVEL.op(shape=dims), t)  # type: ignore[no-any-return]


for _name, _function in (("argmax", argmax), ("argmin", argmin), ("argsort", argsort), ("sort", sort)):
    install(_name, _function)

"""Sums, means, extremes and products over segments: rows that share a number."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import IndexingError, ShapeError, complain
from .._graph import Primitive, spec
from .._tensor import wrap
from .._trace import record
from .arithmetic import divide, multiply
from .comparison import equal, maximum, where
from .convert import cast
from .creation import full_of, ones_of
from .indexing import TENSOR, check_range, flat_places, getitem, index_op, iota, scatter_add, to_front, unindex
from .movement import reshape, transpose
from .scatter import EXTREME as SCATTER_EXTREME
from .scatter import index_tensor, tensor

__all__ = [
    "segment_max", "segment_mean", "segment_min", "segment_prod", "segment_sum", "unsorted_segment_max",
    "unsorted_segment_mean", "unsorted_segment_min", "unsorted_segment_prod", "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
]

# A negative number drops its row: such rows go to a segment past the end, which is cut off.

_DROP = Primitive(
    "drop_negative", lambda ids, n: ids, lambda ids, n: np.where(ids < 0, ids.dtype.type(n), ids), elementwise=True,
    lower=lambda s, ids, n: s.select(ids < 0, n, ids),
    oracle=lambda ids, n: np.where(ids < 0, n, ids), cases=(lambda rng: ((np.array([-1, 0, 2]),), {"n": 3}),),
    doc="Segment numbers with the negative ones replaced by the number of segments.")


def _prepared(name: str, data: Any, segment_ids: Any, num_segments: Any) -> tuple[Any, Any, int, bool]:
    """Data and flat ids, the number of segments, and whether rows of an extra last segment have to be cut off."""
    t, ids = tensor(data), index_tensor(name, segment_ids)
    shape = ids._spec.shape
    if t._spec.shape[:len(shape)] != shape or not shape:
        raise ShapeError(complain(name, "segment_ids", "of the leading shape of data", f"{shape} for data of {t._spec.shape}"))
    n = int(num_segments)
    if n < 0:
        raise ShapeError(complain(name, "num_segments", "not negative", n))
    if len(shape) > 1:
        t = reshape(t, (ids._spec.size, *t._spec.shape[len(shape):]))
        ids = reshape(ids, (ids._spec.size,))
    value = getattr(ids, "_value", None)
    if value is not None and (not value.size or value.min() >= 0):
        check_range(name, ids, n, 0)
        return t, ids, n, False
    return t, record(_DROP.op(n=n), ids), n + 1, True


def _cut(y: Any, n: int, extra: bool) -> Any:
    return getitem(y, slice(0, n - 1)) if extra else y


def _sorted(name: str, segment_ids: Any) -> tuple[Any, int]:
    """Ids that must not decrease, and one more than the last: looked at here, since the result's shape depends on them."""
    ids = index_tensor(name, segment_ids)
    value = ids._look()
    if value.ndim != 1:
        raise ShapeError(complain(name, "segment_ids", "of one dimension", f"shape {value.shape}"))
    if value.size and (value[0] < 0 or (np.diff(value) < 0).any()):
        raise IndexingError(complain(name, "segment_ids", "sorted and not negative", value.tolist()[:8],
                                     f"unsorted_{name} takes any order"))
    return wrap(value), int(value[-1]) + 1 if value.size else 0


def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """Sums of the rows with the same number: out[s] = sum over i with segment_ids[i] = s of data[i].

    segment_ids   integers of the leading shape of ``data``; a negative one drops its row
    num_segments  number of results; empty segments give 0

    >>> import adjoint as ad
    >>> ad.unsorted_segment_sum(ad.Tensor([1., 2., 3.]), [1, 0, 1], 3).tolist()
    [2.0, 4.0, 0.0]
    """
    t, ids, n, extra = _prepared("unsorted_segment_sum", data, segment_ids, num_segments)
    return _cut(unindex(t, (TENSOR,), (ids,), (n, *t._spec.shape[1:])), n, extra)


def _counts(t: Any, ids: Any, n: int) -> Any:
    """Rows in each segment, at least 1, of a shape that divides the sums."""
    one = ones_of(spec(ids._spec.shape, t._spec.dtype))
    count = record(_AT_LEAST_ONE.op(), unindex(one, (TENSOR,), (ids,), (n,)))
    return reshape(count, (n, *[1] * (t._spec.ndim - 1)))


_AT_LEAST_ONE = Primitive(
    "at_least_one", lambda x: x, lambda x: np.maximum(x, x.dtype.type(1)), elementwise=True,
    lower=lambda s, x: s.maximum(x, 1),
    oracle=lambda x: np.maximum(x, 1), cases=(lambda rng: ((np.array([0.0, 3.0]),), {}),), doc="Counts, at least 1.")


def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """Means of the rows with the same number; empty segments give 0.

    >>> import adjoint as ad
    >>> ad.unsorted_segment_mean(ad.Tensor([1., 2., 3.]), [1, 0, 1], 3).tolist()
    [2.0, 2.0, 0.0]
    """
    t, ids, n, extra = _prepared("unsorted_segment_mean", data, segment_ids, num_segments)
    sums = unindex(t, (TENSOR,), (ids,), (n, *t._spec.shape[1:]))
    return _cut(divide(sums, _counts(t, ids, n)), n, extra)


def unsorted_segment_sqrt_n(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """Sums of the rows with the same number, divided by the square root of how many there are.

    >>> import adjoint as ad
    >>> ad.unsorted_segment_sqrt_n(ad.Tensor([1., 2., 3., 4., 4.]), [1, 1, 1, 1, 0], 2).tolist()
    [4.0, 5.0]
    """
    t, ids, n, extra = _prepared("unsorted_segment_sqrt_n", data, segment_ids, num_segments)
    sums = unindex(t, (TENSOR,), (ids,), (n, *t._spec.shape[1:]))
    return _cut(divide(sums, record(_ROOT.op(), _counts(t, ids, n))), n, extra)


_ROOT = Primitive(
    "root_of_count", lambda x: x, np.sqrt, elementwise=True, lower=lambda s, x: s.sqrt(x), oracle="numpy.sqrt",
    cases=(lambda rng: ((np.array([1.0, 3.0]),), {}),), doc="The square root of a count.")

# ------------------------------------------------------------------------------------------------------------- extremes


def _lowest(dtype: Any, largest: bool) -> Any:
    """What nothing is below (above): where a maximum (minimum) starts."""
    if dtype.kind in "fV":
        return -np.inf if largest else np.inf
    return np.iinfo(dtype).min if largest else np.iinfo(dtype).max


def _limit(dtype: Any, largest: bool) -> Any:
    """The lowest (highest) finite value."""
    if dtype.kind in "iu":
        return dtype.min if largest else dtype.max
    high = {"bfloat16": float.fromhex("0x1.fep127")}.get(dtype.name) or float(np.finfo(dtype.np).max)
    return -high if largest else high


def _extreme_kernel(x: Any, ids: Any, n: int, largest: bool, empty: float) -> Any:
    out = np.full((n, *x.shape[1:]), _lowest(x.dtype, largest), x.dtype)
    try:
        (np.maximum if largest else np.minimum).at(out.reshape(-1), flat_places(out.shape, (TENSOR,), (ids,)), x.reshape(-1))
        bare = np.bincount(ids.ravel().astype(np.int64), minlength=n) == 0
    except (IndexError, ValueError) as error:
        raise IndexingError(f"segment: a number is outside the {n} segments: {error}") from None
    if bare.any():
        out[bare] = empty
    return out


def _extreme_expand(x: Any, ids: Any, n: int, largest: bool, empty: float) -> Any:
    s = x._spec
    low = full_of(spec((n, *s.shape[1:]), s.dtype), _lowest(s.dtype.np, largest))
    y = record(SCATTER_EXTREME.op(key=(TENSOR,), largest=largest), low, x, ids)
    count = unindex(full_of(spec(ids._spec.shape, _dtypes.int32), 1), (TENSOR,), (ids,), (n,))
    bare = reshape(equal(count, 0), (n, *[1] * (s.ndim - 1)))
    return where(bare, full_of(spec((), s.dtype), empty), y)


def _shares_kernel(y: Any, x: Any, ids: Any) -> Any:
    hit = x == y[ids]
    count = scatter_add(np.zeros(y.shape, np.int64), (TENSOR,), (ids,), hit.astype(np.int64))
    return np.where(hit, (1.0 / np.maximum(count, 1)[ids]), 0.0).astype(x.dtype)


def _shares_expand(y: Any, x: Any, ids: Any) -> Any:
    hit = equal(x, index_op(y, (TENSOR,), (ids,)))
    count = index_op(unindex(cast(hit, _dtypes.int32), (TENSOR,), (ids,), y._spec.shape), (TENSOR,), (ids,))
    share = cast(divide(1.0, cast(maximum(count, 1), _dtypes.float64)), x._spec.dtype)
    return where(hit, share, full_of(spec((), x._spec.dtype), 0))


def _shares_batch(args: Any, axes: Any) -> tuple[Any, int]:
    y, x, ids, size = _flat(args[1:], axes[1:], args[0]._spec.shape, args[0], axes[0])
    shares = record(SHARES.op(), y, x, ids)
    return reshape(shares, (size, shares._spec.shape[0] // size, *shares._spec.shape[1:])), 0


def _flat(args: Any, axes: Any, n: Any, y: Any = None, y_axis: Any = None) -> tuple[Any, Any, Any, int]:
    """A batch of segmentations as one, with the numbers of each moved past those before."""
    size = next(t._spec.shape[a] for t, a in zip((*args, y), (*axes, y_axis)) if a is not None)
    x, ids = (to_front(t, a, size) for t, a in zip(args, axes))
    if y is not None:
        y = to_front(y, y_axis, size)
        n = y._spec.shape[1]
        y = reshape(y, (size * n, *y._spec.shape[2:]))
    moved = ids + cast(iota(size, 2), ids._spec.dtype) * n
    return y, reshape(x, (size * x._spec.shape[1], *x._spec.shape[2:])), reshape(moved, (moved._spec.size,)), size


def _extreme_batch(args: Any, axes: Any, n: int, largest: bool, empty: float) -> tuple[Any, int]:
    _, x, ids, size = _flat(args, axes, n)
    y = record(EXTREME.op(n=n * size, largest=largest, empty=empty), x, ids)
    return reshape(y, (size, n, *y._spec.shape[1:])), 0


SHARES = Primitive(
    "segment_shares", lambda y, x, ids: x, _shares_kernel, batch=_shares_batch, expand=_shares_expand,
    cases=(lambda rng: ((np.array([3.0, 5.0]), np.array([3.0, 5.0, 3.0]), np.array([0, 1, 0])), {}),),
    oracle=lambda y, x, ids: np.array([np.mean(np.float64(x[i] == y[k])) / max(1, np.sum((x == y[ids]) & (ids == k)))
                                       for i, k in enumerate(ids)]),
    doc="How a segment's cotangent is divided among the rows that equal its extreme.")

EXTREME = Primitive(
    "segment_extreme", lambda x, ids, n, largest, empty: spec((n, *x.shape[1:]), x.dtype), _extreme_kernel,
    vjp=lambda g, y, x, ids, n, largest, empty: (
        multiply(index_op(g, (TENSOR,), (ids,)), record(SHARES.op(), y, x, ids)), None),
    batch=_extreme_batch, expand=_extreme_expand,
    oracle=lambda x, ids, n, largest, empty: np.array([(np.max if largest else np.min)(x[ids == k], axis=0)
                                                       for k in range(n)]),
    cases=(lambda rng: ((rng.normal(size=(5, 2)), np.array([1, 0, 1, 1, 0])), {"n": 2, "largest": True, "empty": 0}),
           lambda rng: ((rng.normal(size=(4,)), np.array([1, 0, 1, 2])), {"n": 3, "largest": False, "empty": 0})),
    doc="The largest (or smallest) of the rows with the same number; equal ones share the cotangent evenly.")


def _extreme(name: str, data: Any, ids: Any, n: Any, largest: bool, zero: bool) -> Any:
    t, flat, count, extra = _prepared(name, data, ids, n)
    empty = 0 if zero else _limit(t._spec.dtype, largest)
    return _cut(record(EXTREME.op(n=count, largest=largest, empty=empty), t, flat), count, extra)


def unsorted_segment_max(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The largest of the rows with the same number; an empty segment gives the dtype's lowest finite value.

    Equal values share the gradient evenly.

    >>> import adjoint as ad
    >>> ad.unsorted_segment_max(ad.Tensor([1., 2., 3.]), [1, 0, 1], 2).tolist()
    [2.0, 3.0]
    """
    return _extreme("unsorted_segment_max", data, segment_ids, num_segments, True, False)


def unsorted_segment_min(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The smallest of the rows with the same number; an empty segment gives the dtype's highest finite value.

    >>> import adjoint as ad
    >>> ad.unsorted_segment_min(ad.Tensor([1., 2., 3.]), [1, 0, 1], 2).tolist()
    [2.0, 1.0]
    """
    return _extreme("unsorted_segment_min", data, segment_ids, num_segments, False, False)


def unsorted_segment_prod(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """Products of the rows with the same number; empty segments give 1.

    The rows of each segment are multiplied pairwise, without a division, so that derivatives are right where rows are 0.
    The numbers' value is needed at once.

    >>> import adjoint as ad
    >>> ad.unsorted_segment_prod(ad.Tensor([1., 2., 3.]), [1, 0, 1], 3).tolist()
    [2.0, 3.0, 1.0]
    """
    t, ids = tensor(data), index_tensor("unsorted_segment_prod", segment_ids)
    value = ids._look()
    t, _, n, _ = _prepared("unsorted_segment_prod", t, wrap(np.where(value < 0, 0, value)), num_segments)
    rows = value.ravel()
    at = np.flatnonzero(rows >= 0)
    at = at[np.argsort(rows[at], kind="stable")]
    counts = np.bincount(rows[at], minlength=n)
    depth = 1 << max(0, int(counts.max(initial=1)) - 1).bit_length()
    places = np.full((n, depth), t._spec.shape[0])
    places[rows[at], np.arange(at.size) - np.repeat(np.cumsum(counts) - counts, counts)] = at
    padded = record(_WITH_ONES.op(), t)
    y = index_op(padded, (TENSOR,), (wrap(places),))
    while depth > 1:
        depth //= 2
        y = multiply(getitem(y, (slice(None), slice(0, depth))), getitem(y, (slice(None), slice(depth, 2 * depth))))
    return getitem(y, (slice(None), 0))


_WITH_ONES = Primitive(
    "append_ones", lambda x: spec((x.shape[0] + 1, *x.shape[1:]), x.dtype),
    lambda x: np.concatenate([x, np.ones((1, *x.shape[1:]), x.dtype)]),
    vjp=lambda g, y, x: (getitem(g, slice(0, x._spec.shape[0])),),
    jvp=lambda ts, y, x: unindex(ts[0], ((0, x._spec.shape[0], 1),), (), y._spec.shape),
    batch=lambda args, axes: (_ones_after(args[0], axes[0]), 0),
    oracle=lambda x: np.concatenate([x, np.ones((1, *x.shape[1:]))]), cases=(lambda rng: ((rng.normal(size=(3, 2)),), {}),),
    doc="A tensor with a row of ones at its end.")


def _ones_after(x: Any, axis: int) -> Any:
    x = to_front(x, axis, 0)
    y = record(_WITH_ONES.op(), transpose(x, (1, 0, *range(2, x._spec.ndim))))
    return transpose(y, (1, 0, *range(2, x._spec.ndim)))


# -------------------------------------------------------------------------------------------------------- sorted numbers

def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """Sums of the rows of each segment: out[s] = sum over i with segment_ids[i] = s of data[i].

    segment_ids  integers, one for each row, sorted; their last sets the number of results, so they are looked at here

    Raises IndexingError where the numbers decrease or are negative.

    >>> import adjoint as ad
    >>> ad.segment_sum(ad.Tensor([1., 2., 3.]), [0, 0, 1]).tolist()
    [3.0, 3.0]
    """
    return unsorted_segment_sum(data, *_sorted("segment_sum", segment_ids))


def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """Means of the rows of each segment (see segment_sum).

    >>> import adjoint as ad
    >>> ad.segment_mean(ad.Tensor([1., 2., 3.]), [0, 0, 1]).tolist()
    [1.5, 3.0]
    """
    return unsorted_segment_mean(data, *_sorted("segment_mean", segment_ids))


def segment_max(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The largest row of each segment (see segment_sum); an empty one gives 0. Equal values share the gradient evenly.

    >>> import adjoint as ad
    >>> ad.segment_max(ad.Tensor([1., 2., 3.]), [0, 0, 1]).tolist()
    [2.0, 3.0]
    """
    return _extreme("segment_max", data, *_sorted("segment_max", segment_ids), True, True)


def segment_min(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The smallest row of each segment (see segment_sum); an empty one gives 0.

    >>> import adjoint as ad
    >>> ad.segment_min(ad.Tensor([1., 2., 3.]), [0, 0, 1]).tolist()
    [1.0, 3.0]
    """
    return _extreme("segment_min", data, *_sorted("segment_min", segment_ids), False, True)


def segment_prod(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """Products of the rows of each segment (see segment_sum); an empty one gives 1.

    >>> import adjoint as ad
    >>> ad.segment_prod(ad.Tensor([1., 2., 3.]), [0, 0, 1]).tolist()
    [2.0, 3.0]
    """
    return unsorted_segment_prod(data, *_sorted("segment_prod", segment_ids))

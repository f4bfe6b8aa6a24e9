"""Sorting, searching and counting."""
from __future__ import annotations

import builtins
from typing import Any, NamedTuple

import numpy as np

import adjoint as ad

from .. import _dtypes
from .._dtypes import as_dtype
from .._errors import ArgumentError, ShapeError, complain
from ._arrays import ints, shape_of, tensor
from ._bind import public
from ._maths import _pair

int32, int64, float32, float64, bool_ = (
    _dtypes.int32, _dtypes.int64, _dtypes.float32, _dtypes.float64, _dtypes.bool_)


class TopK(NamedTuple):
    """Values and their indices."""

    values: Any
    indices: Any


TopK.__name__ = TopK.__qualname__ = "TopKV2"


@public("math.top_k nn.top_k")
def top_k(input: Any, k: Any = 1, sorted: bool = True, index_type: Any = int32, name: str | None = None) -> TopK:
    """The ``k`` largest elements along the last axis and their indices, largest first."""
    t, count = tensor(input), ints(k)
    if not t.ndim or not 0 <= count <= t.shape[-1]:
        raise ArgumentError(complain("top_k", "k", f"between 0 and the last axis's length (shape {tuple(t.shape)})", count))
    values, indices = ad.topk(t, count)
    return TopK(values, ad.cast(indices, as_dtype(index_type)))


@public("math.in_top_k nn.in_top_k")
def in_top_k(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Any:
    """Whether each target is among the ``k`` largest predictions of its row."""
    p = tensor(predictions)
    index = ad.expand_dims(ad.cast(tensor(targets), int32), axis=1)
    mine = ad.take_along_axis(p, index, axis=1)
    return ad.less(ad.sum(ad.cast(ad.greater(p, mine), int32), 1), ad.constant(ints(k), dtype=int32))


def _descending(direction: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(f"Argument `direction` should be one of 'ASCENDING' or 'DESCENDING'. Received: {direction}")
    return direction == "DESCENDING"


@public("sort")
def sort(values: Any, axis: Any = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """The elements along an axis in order."""
    return ad.sort(tensor(values), axis=ints(axis), descending=_descending(direction))


@public("argsort")
def argsort(values: Any, axis: Any = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None) -> Any:
    """The indices, int32, that sort along an axis."""
    return ad.cast(ad.argsort(tensor(values), axis=ints(axis), descending=_descending(direction)), int32)


@public("searchsorted")
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = int32, name: str | None = None) -> Any:
    """Where ``values`` would be inserted in a sorted sequence, along the last axis."""
    s, v = _pair(sorted_sequence, values, "searchsorted")
    return ad.cast(ad.searchsorted(s, v, side=side), as_dtype(out_type))


class Unique(NamedTuple):
    """Distinct values, and where each element's value stands among them."""

    y: Any
    idx: Any


class UniqueWithCounts(NamedTuple):
    """Distinct values, where each element's value stands among them, and how often each occurs."""

    y: Any
    idx: Any
    count: Any


@public("unique")
def unique(x: Any, out_idx: Any = int32, name: str | None = None) -> Unique:
    """The distinct elements of a vector in the order of their first occurrence."""
    found = unique_with_counts(x, out_idx)
    return Unique(found.y, found.idx)


@public("unique_with_counts")
def unique_with_counts(x: Any, out_idx: Any = int32, name: str | None = None) -> UniqueWithCounts:
    """The distinct elements of a vector in the order of their first occurrence, and their counts."""
    t = tensor(x)
    if t.ndim != 1:
        raise ShapeError(complain("unique", "x", "a vector", f"shape {tuple(t.shape)}"))
    values, first, inverse, counts = np.unique(t.numpy(), return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(first, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    kind = as_dtype(out_idx).np
    return UniqueWithCounts(ad.constant(values[order]), ad.constant(place[inverse.ravel()].astype(kind)),
                            ad.constant(counts[order].astype(kind)))


@public("math.bincount")
def bincount(arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = int32,
             name: str | None = None, axis: Any = None, binary_output: bool = False) -> Any:
    """How often each integer from 0 occurs, or the sum of its weights."""
    t = ad.reshape(tensor(arr), (-1,))
    size = int(t.numpy().max()) + 1 if t.size else 0
    size = builtins.max(size, ints(minlength) or 0)
    size = size if maxlength is None else builtins.min(size, ints(maxlength))
    kept = ad.where(ad.less(t, ad.constant(size, dtype=t.dtype)), t, ad.constant(-1, dtype=t.dtype))
    parts = ad.ones(tuple(t.shape), dtype=as_dtype(dtype)) if weights is None else ad.reshape(tensor(weights), (-1,))
    total = ad.unsorted_segment_sum(parts, kept, size)
    return ad.minimum(total, ad.ones((), dtype=total.dtype)) if binary_output else total


@public("math.confusion_matrix")
def confusion_matrix(labels: Any, predictions: Any, num_classes: Any = None, weights: Any = None, dtype: Any = int32,
                     name: str | None = None) -> Any:
    """How often class i was predicted as class j."""
    y, p = ad.cast(tensor(labels), int64), ad.cast(tensor(predictions), int64)
    n = ints(num_classes) if num_classes is not None else int(builtins.max(y.numpy().max(), p.numpy().max())) + 1
    each = ad.ones(tuple(y.shape), dtype=as_dtype(dtype)) if weights is None else ad.cast(tensor(weights), dtype)
    return ad.reshape(ad.unsorted_segment_sum(each, y * ad.constant(n, dtype=int64) + p, n * n), (n, n))


@public("math.invert_permutation")
def invert_permutation(x: Any, name: str | None = None) -> Any:
    """The inverse of a permutation."""
    t = tensor(x)
    return ad.cast(ad.argsort(t), t.dtype)


@public("math.is_non_decreasing")
def is_non_decreasing(x: Any, name: str | None = None) -> Any:
    """Whether no element is smaller than the one before."""
    t = ad.reshape(tensor(x), (-1,))
    return ad.all(ad.less_equal(t[:-1], t[1:]))


@public("math.is_strictly_increasing")
def is_strictly_increasing(x: Any, name: str | None = None) -> Any:
    """Whether each element is larger than the one before."""
    t = ad.reshape(tensor(x), (-1,))
    return ad.all(ad.less(t[:-1], t[1:]))


@public("sequence_mask")
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = bool_, name: str | None = None) -> Any:
    """True at the first ``lengths`` places of each row."""
    t = tensor(lengths)
    count = int(t.numpy().max()) if maxlen is None else ints(maxlen)
    return ad.cast(ad.less(ad.arange(count, dtype=t.dtype), ad.expand_dims(t, axis=-1)), as_dtype(dtype))


@public("histogram_fixed_width")
def histogram_fixed_width(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = int32, name: str | None = None) -> Any:
    """How many values lie in each of ``nbins`` equal bins; those outside count in the first or last."""
    places = histogram_fixed_width_bins(values, value_range, nbins)
    return ad.unsorted_segment_sum(ad.ones((places.size,), dtype=as_dtype(dtype)), ad.reshape(places, (-1,)), ints(nbins))


@public("histogram_fixed_width_bins")
def histogram_fixed_width_bins(values: Any, value_range: Any, nbins: Any = 100, dtype: Any = int32,
                               name: str | None = None) -> Any:
    """The number of the bin, of ``nbins`` equal ones, that each value lies in."""
    t = tensor(values)
    low, high = ad.unstack(tensor(value_range, t.dtype))
    n = ints(nbins)
    at = ad.floor((ad.cast(t, float64) - ad.cast(low, float64)) / ad.cast(high - low, float64) * float(n))
    return ad.cast(ad.clip(at, ad.constant(0.0, dtype=float64), ad.constant(n - 1.0, dtype=float64)), as_dtype(dtype))


@public("unravel_index")
def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Any:
    """The coordinates of flat indices in an array of shape ``dims``, along the first axis."""
    t = tensor(indices)
    return ad.constant(np.stack(np.unravel_index(t.numpy(), shape_of(dims))).astype(t.dtype.np))

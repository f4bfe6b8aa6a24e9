"""Gathering, scattering and segments."""
from __future__ import annotations

from typing import Any

import adjoint as ad

from .. import _dtypes
from .._errors import ArgumentError, IndexingError, complain
from .._tensor import Value
from ._arrays import ints, shape_of, tensor
from ._bind import bind, public


def _not_negative(what: str, indices: Any) -> Any:
    """Integer indices; where their values are known, a negative one is an error as in TensorFlow."""
    t = tensor(indices)
    value = getattr(t, "_value", None)
    if value is not None and value.size and value.dtype.kind == "i" and value.min() < 0:
        raise IndexingError(complain(what, "indices", "not negative", int(value.min())))
    return t


@public("gather keras.backend.gather")
def gather(params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: int = 0,
           name: str | None = None) -> Any:
    """The slices of ``params`` along ``axis`` that ``indices`` name; from a variable, with an IndexedSlices gradient."""
    return ad.gather(tensor(params), _not_negative("gather", indices), axis=ints(axis), batch_dims=ints(batch_dims))


@public("nn.embedding_lookup")
def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """The rows of ``params`` that ``ids`` name, scaled down to ``max_norm`` where they are longer."""
    rows = gather(params, ids)
    if max_norm is None:
        return rows
    return ad.optim.clip_norm(rows, max_norm, axis=tuple(range(tensor(ids).ndim, rows.ndim)))


@public("gather_nd")
def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None, bad_indices_policy: str = "") -> Any:
    """The slices of ``params`` that the rows of ``indices`` name."""
    return ad.gather_nd(tensor(params), _not_negative("gather_nd", indices), batch_dims=ints(batch_dims))


@public("scatter_nd")
def scatter_nd(indices: Any, updates: Any, shape: Any, bad_indices_policy: str = "", name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``updates`` added in at the places that the rows of ``indices`` name."""
    return ad.scatter(tensor(indices), tensor(updates), shape_of(shape))


bind("tensor, indices, updates, bad_indices_policy=''", "tensor, indices, updates", """
    tensor_scatter_add      tensor_scatter_nd_add
    tensor_scatter_max      tensor_scatter_nd_max
    tensor_scatter_min      tensor_scatter_nd_min
    tensor_scatter_sub      tensor_scatter_nd_sub
""")

bind("tensor, indices, updates", "tensor, indices, updates", """
    tensor_scatter_update   tensor_scatter_nd_update
""")

bind("data, partitions, num_partitions", "data, partitions, num_partitions", """
    dynamic_partition       dynamic_partition
""")

bind("indices, data", "indices, data", """
    dynamic_stitch          dynamic_stitch
""")

bind("data, segment_ids, num_segments", "data, segment_ids, num_segments=ad.tensorflow._arrays.ints(num_segments)", """
    segment_sum             math.unsorted_segment_sum
    segment_max             math.unsorted_segment_max
    segment_min             math.unsorted_segment_min
    segment_prod            math.unsorted_segment_prod
    segment_mean            math.unsorted_segment_mean
""")


def _sorted_segment(kind: str) -> Any:
    def function(data: Any, segment_ids: Any, name: str | None = None) -> Any:
        ids = tensor(segment_ids)
        value = ids.numpy()
        if value.ndim != 1 or (value[1:] < value[:-1]).any():
            raise ArgumentError(complain(f"segment_{kind}", "segment_ids", "a vector in ascending order", value))
        found = getattr(ad, f"segment_{kind}")(tensor(data), ids, num_segments=int(value[-1]) + 1 if value.size else 0)
        if kind in ("max", "min"):                       # TensorFlow fills a segment without elements with 0
            there = ad.segment_sum(ad.ones((value.size,)), ids, num_segments=found.shape[0])
            there = ad.reshape(ad.greater(there, 0.0), (found.shape[0],) + (1,) * (found.ndim - 1))
            found = ad.where(there, found, ad.zeros((), dtype=found.dtype))
        return found

    function.__name__ = f"segment_{kind}"
    function.__doc__ = f"The {kind} of the rows of each segment; the ids ascend."
    return function


for _kind in ("sum", "max", "min", "prod", "mean"):
    public(f"math.segment_{_kind}")(_sorted_segment(_kind))


@public("math.unsorted_segment_sqrt_n")
def unsorted_segment_sqrt_n(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The sum of each segment's rows over the square root of their number."""
    t, ids, n = tensor(data), tensor(segment_ids), ints(num_segments)
    counts = ad.segment_sum(ad.ones(tuple(ids.shape), dtype=t.dtype), ids, num_segments=n)
    counts = ad.reshape(ad.maximum(counts, ad.ones((), dtype=t.dtype)), (n,) + (1,) * (t.ndim - ids.ndim))
    return ad.segment_sum(t, ids, num_segments=n) / ad.sqrt(counts)


@public("reverse_sequence")
def reverse_sequence(input: Any, seq_lengths: Any, seq_axis: Any = None, batch_axis: Any = None,
                     name: str | None = None) -> Any:
    """The first ``seq_lengths[i]`` elements of each sequence i run backwards."""
    t, lengths = tensor(input), tensor(seq_lengths)
    along, batch = ints(seq_axis), ints(batch_axis) or 0
    n = t.shape[along]
    steps = ad.arange(n, dtype=_dtypes.int32)
    counts = ad.expand_dims(ad.cast(lengths, _dtypes.int32), axis=1)
    places = ad.where(ad.less(steps, counts), counts - 1 - steps, steps)
    moved = ad.moveaxis(t, (batch, along), (0, 1))
    return ad.moveaxis(ad.gather(moved, places, axis=1, batch_dims=1), (0, 1), (batch, along))


_ = Value

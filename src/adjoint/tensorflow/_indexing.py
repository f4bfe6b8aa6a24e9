"""Gathering, scattering and segments."""
from __future__ import annotations

from typing import Any

import adjoint as ad

from .. import _dtypes
from .._errors import IndexingError, complain
from ._arrays import ints, shape_of, tensor
from ._bind import bind, public


def _not_negative(what: str, indices: Any) -> Any:
    """Integer indices; where their values are known, a negative one is an error as in TensorFlow."""
    t = tensor(indices)
    value = getattr(t, "_value", None)
    if value is not None and value.size and value.dtype.kind == "i" and value.min() < 0:
        raise IndexingError(complain(what, "indices", "not negative", int(value.min())))
    return t


@public("gather")
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

bind("data, segment_ids", "data, segment_ids", """
    segment_max             math.segment_max
    segment_mean            math.segment_mean
    segment_min             math.segment_min
    segment_prod            math.segment_prod
    segment_sum             math.segment_sum
""")

bind("data, segment_ids, num_segments", "data, segment_ids, num_segments", """
    unsorted_segment_max    math.unsorted_segment_max
    unsorted_segment_mean   math.unsorted_segment_mean
    unsorted_segment_min    math.unsorted_segment_min
    unsorted_segment_prod   math.unsorted_segment_prod
    unsorted_segment_sqrt_n math.unsorted_segment_sqrt_n
    unsorted_segment_sum    math.unsorted_segment_sum
""")


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


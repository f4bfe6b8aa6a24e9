"""Gathering and scattering by index tensors, and updates of a variable's parts."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .._dtypes import DType, float64, int32
from .._errors import IndexingError, ShapeError, complain
from .._graph import Primitive, Shape, Spec, spec
from .._tensor import Tensor, Value, Variable, wrap
from .._trace import record
from ._make import broadcast_shapes, normalize_axis
from .arithmetic import add, divide, multiply, subtract
from .assignment import SET
from .broadcast import broadcast_to
from .comparison import equal, maximum, where
from .convert import cast, convert
from .creation import full_of, zeros_of
from .indexing import (
    INDEX,
    TENSOR,
    UNINDEX,
    Key,
    align,
    check_range,
    flat_places,
    getitem,
    index_op,
    iota,
    normal_key,
    scatter_add,
    selected,
    stands,
    to_front,
    unindex,
)
from .movement import as_shape, reshape, transpose

__all__ = [
    "boolean_mask", "dynamic_partition", "dynamic_stitch", "gather", "gather_nd", "put_along_axis", "scatter", "take",
    "take_along_axis", "tensor_scatter_add", "tensor_scatter_max", "tensor_scatter_min", "tensor_scatter_sub",
    "tensor_scatter_update",
]


def index_tensor(name: str, x: Any) -> Any:
    """An argument as a tensor of integers."""
    t = x if isinstance(x, Value) else convert(np.asarray(x, np.int64) if isinstance(x, (list, tuple)) and not x else x)
    if t._spec.dtype.kind not in "iu":
        raise IndexingError(complain(name, "indices", "of an integer dtype", t._spec.dtype.name, "cast them to int32"))
    return t


def tensor(x: Any) -> Any:
    return x if isinstance(x, Value) else convert(x)


# ------------------------------------------------------------------------------------------------------------ gather

@lru_cache(4096)
def _axis_key(shape: Shape, axis: int) -> Key:
    return normal_key(shape, (*[(None, None, None)] * axis, TENSOR))


def take(x: Any, indices: Any, axis: int | None = None, mode: str | None = None) -> Any:
    """The slices of ``x`` along ``axis`` that ``indices`` name.

        out[..., i, ...] = x[..., indices[i], ...]

    x        tensor
    indices  integers of any shape, in [-n, n); they take the axis's place
    axis     int; may be left out for a vector, otherwise None means the flattened tensor

    Raises IndexingError for an index out of range (at this line where the indices are known, else when they are
    computed), AxisError for a bad axis. Its gradient adds up what comes from repeated indices.

    >>> import adjoint as ad
    >>> ad.take(ad.Tensor([10., 20., 30.]), [2, 0]).tolist()
    [30.0, 10.0]
    """
    t, idx = tensor(x), index_tensor("take", indices)
    if axis is None:
        if t._spec.ndim != 1:
            t = reshape(t, (t._spec.size,))
        axis = 0
    k = normalize_axis("take", axis, t._spec.ndim)
    check_range("take", idx, t._spec.shape[k], k)
    return record(INDEX.op(key=_axis_key(t._spec.shape, k)), t, idx)


def gather(params: Any, indices: Any, axis: int | None = None, batch_dims: int = 0, validate_indices: Any = None,
           name: str | None = None) -> Any:
    """The slices of ``params`` along ``axis`` that ``indices`` name, the first ``batch_dims`` axes of both matched.

    params      tensor
    indices     integers; their first ``batch_dims`` dimensions equal those of ``params``
    axis        int; by default ``batch_dims``
    batch_dims  number of leading axes that params and indices share

    The shape is params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1:]. The gradient with respect to
    a Variable whose rows are gathered is an IndexedSlices, so that it costs what was gathered.

    >>> import adjoint as ad
    >>> ad.gather(ad.Tensor([[1., 2.], [3., 4.]]), [1, 0, 1]).tolist()
    [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]
    """
    p, idx = tensor(params), index_tensor("gather", indices)
    n, m = p._spec.ndim, idx._spec.ndim
    b = batch_dims + m if batch_dims < 0 else batch_dims
    k = b if axis is None else normalize_axis("gather", axis, n)
    if not 0 <= b <= m or b > k or k >= n or p._spec.shape[:b] != idx._spec.shape[:b]:
        raise ShapeError(complain("gather", "batch_dims", "a number of leading axes, at most axis, that params and indices "
                                  "share", f"{batch_dims} for shapes {p._spec.shape} and {idx._spec.shape}, axis {k}"))
    check_range("gather", idx, p._spec.shape[k], k)
    if not b:
        return record(INDEX.op(key=_axis_key(p._spec.shape, k)), p, idx)
    if k > b:
        p = transpose(p, (*range(b), k, *range(b, k), *range(k + 1, n)))
    lead = [iota(p._spec.shape[a], m, a) for a in range(b)]
    y = record(INDEX.op(key=(TENSOR,) * (b + 1)), p, *lead, idx)
    if k > b:
        between = k - b
        y = transpose(y, (*range(b), *range(m, m + between), *range(b, m), *range(m + between, y._spec.ndim)))
    return y


def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Any:
    """The slices of ``params`` that rows of indices name: out[i] = params[indices[i, 0], ..., indices[i, K - 1]].

    params   tensor with at least K axes (after ``batch_dims`` shared ones)
    indices  integers of shape (..., K)

    >>> import adjoint as ad
    >>> ad.gather_nd(ad.Tensor([[1., 2.], [3., 4.]]), [[0, 1], [1, 0]]).tolist()
    [2.0, 3.0]
    """
    p, idx = tensor(params), index_tensor("gather_nd", indices)
    b = batch_dims
    if idx._spec.ndim <= b or p._spec.shape[:b] != idx._spec.shape[:b]:
        raise ShapeError(complain("gather_nd", "indices", f"of shape (..., K) with the {b} leading axes of params",
                                  idx._spec.shape))
    parts = split_last("gather_nd", idx, p._spec.ndim - b)
    for a, part in enumerate(parts):
        check_range("gather_nd", part, p._spec.shape[a + b], a + b)
    lead = [iota(p._spec.shape[a], idx._spec.ndim - 1, a) for a in range(b)]
    if not parts and not b:
        return broadcast_to(p, idx._spec.shape[:-1] + p._spec.shape)
    return record(INDEX.op(key=(TENSOR,) * (b + len(parts))), p, *lead, *parts)


def split_last(name: str, idx: Any, most: int) -> list[Any]:
    """The index tensors that the last axis of ``idx`` holds; a known value is split at once."""
    if not idx._spec.ndim:
        raise ShapeError(complain(name, "indices", "of shape (..., K)", "()"))
    depth = idx._spec.shape[-1]
    if depth > most:
        raise ShapeError(complain(name, "indices", f"of shape (..., K) with K at most {most}", idx._spec.shape))
    if idx.__class__ is Tensor and idx._value is not None:
        return [wrap(idx._value[..., k]) for k in range(depth)]
    return [getitem(idx, (Ellipsis, k)) for k in range(depth)]


def _along(name: str, t: Any, idx: Any, axis: int) -> tuple[Any, Any, Key, list[Any]]:
    n = t._spec.ndim
    if idx._spec.ndim != n:
        raise ShapeError(complain(name, "indices", f"of {n} dimensions, as x", f"shape {idx._spec.shape}"))
    k = normalize_axis(name, axis, n)
    have, want = list(t._spec.shape), list(idx._spec.shape)
    have[k] = want[k] = 1
    common = broadcast_shapes(name, tuple(have), tuple(want))
    whole = (*common[:k], t._spec.shape[k], *common[k + 1:])
    if whole != t._spec.shape:
        t = broadcast_to(t, whole)
    check_range(name, idx, whole[k], k)
    tensors = [idx if a == k else iota(whole[a], n, a) for a in range(n)]
    return t, idx, (TENSOR,) * n, tensors


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """Single elements along ``axis``, chosen anew at each place of the other axes.

        out[..., i, ...] = x[..., indices[..., i, ...], ...]

    indices  integers with as many dimensions as ``x``; the other axes broadcast

    >>> import adjoint as ad
    >>> ad.take_along_axis(ad.Tensor([[3., 1.], [2., 5.]]), [[1], [0]]).tolist()
    [[1.0], [2.0]]
    """
    t, idx = tensor(x), index_tensor("take_along_axis", indices)
    t, idx, key, tensors = _along("take_along_axis", t, idx, axis)
    return record(INDEX.op(key=key), t, *tensors)


def put_along_axis(x: Any, indices: Any, values: Any, axis: int = -1) -> Any:
    """``x`` with single elements along ``axis`` replaced: the counterpart of take_along_axis.

    >>> import adjoint as ad
    >>> ad.put_along_axis(ad.Tensor([[3., 1.], [2., 5.]]), [[1], [0]], 0.0).tolist()
    [[3.0, 0.0], [0.0, 5.0]]
    """
    t, idx = tensor(x), index_tensor("put_along_axis", indices)
    t, idx, key, tensors = _along("put_along_axis", t, idx, axis)
    v = values if isinstance(values, Value) else convert(values, t._spec.dtype, True)
    return record(SET.op(key=key), t, cast(v, t._spec.dtype), *tensors)


def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str | None = None) -> Any:
    """The parts of a tensor where ``mask`` is true; the mask's axes, from ``axis`` on, become one.

    The mask's value is needed at once, since the shape depends on it.

    >>> import adjoint as ad
    >>> ad.boolean_mask(ad.Tensor([1., 2., 3.]), [True, False, True]).tolist()
    [1.0, 3.0]
    """
    t = tensor if isinstance(tensor, Value) else convert(tensor)
    m = mask if isinstance(mask, Value) else convert(np.asarray(mask, bool))
    k = 0 if axis is None else normalize_axis("boolean_mask", axis, t._spec.ndim)
    if m._spec.dtype.kind != "b" or not m._spec.ndim:
        raise IndexingError(complain("boolean_mask", "mask", "booleans of at least one dimension", m._spec))
    return getitem(t, (*[slice(None)] * k, m))


def dynamic_partition(data: Any, partitions: Any, num_partitions: int, name: str | None = None) -> list[Any]:
    """``data`` split by a number for each row: part p holds the rows where ``partitions`` is p.

    The partitions' value is needed at once.

    >>> import adjoint as ad
    >>> [p.tolist() for p in ad.dynamic_partition(ad.Tensor([1., 2., 3.]), [0, 1, 0], 2)]
    [[1.0, 3.0], [2.0]]
    """
    t, ids = tensor(data), index_tensor("dynamic_partition", partitions)
    if t._spec.shape[:ids._spec.ndim] != ids._spec.shape:
        raise ShapeError(complain("dynamic_partition", "partitions", "of the leading shape of data", ids._spec.shape))
    value = ids._look()
    if value.size and (value.min() < 0 or value.max() >= num_partitions):
        raise IndexingError(complain("dynamic_partition", "partitions", f"in [0, {num_partitions})",
                                     f"{value.min()}..{value.max()}"))
    return [getitem(t, wrap(value == p)) for p in range(num_partitions)]


def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Any:
    """Rows put back to their places: out[indices[m][i]] = data[m][i]; later ones win.

    >>> import adjoint as ad
    >>> ad.dynamic_stitch([[0, 2], [1]], [[1., 3.], [2.]]).tolist()
    [1.0, 2.0, 3.0]
    """
    ids = [index_tensor("dynamic_stitch", i) for i in indices]
    parts = [tensor(d) for d in data]
    if len(ids) != len(parts) or not ids:
        raise ShapeError(complain("dynamic_stitch", "indices and data", "lists of one length", f"{len(ids)} and {len(parts)}"))
    rest = parts[0]._spec.shape[ids[0]._spec.ndim:]
    size = max((int(i._look().max()) + 1 for i in ids if i._spec.size), default=0)
    out = zeros_of(spec((size, *rest), parts[0]._spec.dtype))
    for i, d in zip(ids, parts):
        out = record(SET.op(key=(TENSOR,)), out, d, i)
    return out


# ----------------------------------------------------------------------------------------------------------- scatter

def _nd(name: str, indices: Any, shape: Shape) -> tuple[Key, list[Any], Shape]:
    idx = index_tensor(name, indices)
    parts = split_last(name, idx, len(shape))
    for a, part in enumerate(parts):
        check_range(name, part, shape[a], a)
    key = (TENSOR,) * len(parts)
    return key, parts, selected(shape, key, idx._spec.shape[:-1]) if parts else shape


def _updates(name: str, updates: Any, part: Shape, dtype: DType | None) -> Any:
    u = updates if isinstance(updates, Value) else convert(updates, dtype, True)
    if dtype is not None and u._spec.dtype is not dtype:
        u = cast(u, dtype)
    if u._spec.shape != part:
        if u._spec.ndim:
            raise ShapeError(complain(name, "updates", f"of shape {part}", u._spec.shape))
        u = broadcast_to(u, part)
    return u


def scatter(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``updates`` added in where rows of indices say (TensorFlow's scatter_nd).

        out[indices[i, 0], ..., indices[i, K - 1]] += updates[i]

    indices  integers of shape (..., K)
    updates  tensor of shape indices.shape[:-1] + shape[K:]

    >>> import adjoint as ad
    >>> ad.scatter([[1], [3], [1]], [1., 2., 3.], (4,)).tolist()
    [0.0, 4.0, 0.0, 2.0]
    """
    dims = as_shape("scatter", shape)
    key, parts, part = _nd("scatter", indices, dims)
    return unindex(_updates("scatter", updates, part, None), key, tuple(parts), dims)


def _tensor_scatter(name: str, x: Any, indices: Any, updates: Any) -> tuple[Any, Key, list[Any], Any]:
    t = tensor(x)
    key, parts, part = _nd(name, indices, t._spec.shape)
    return t, key, parts, _updates(name, updates, part, t._spec.dtype)


def tensor_scatter_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """``tensor`` with ``updates`` added where rows of indices say; repeated indices add up.

    indices  integers of shape (..., K);  updates  of shape indices.shape[:-1] + tensor.shape[K:]

    >>> import adjoint as ad
    >>> ad.tensor_scatter_add(ad.Tensor([1., 1., 1.]), [[0], [2]], [5., 6.]).tolist()
    [6.0, 1.0, 7.0]
    """
    t, key, parts, u = _tensor_scatter("tensor_scatter_add", tensor, indices, updates)
    return add(t, unindex(u, key, tuple(parts), t._spec.shape))


def tensor_scatter_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """``tensor`` with ``updates`` subtracted where rows of indices say; repeated indices add up.

    >>> import adjoint as ad
    >>> ad.tensor_scatter_sub(ad.Tensor([1., 1., 1.]), [[0], [2]], [5., 6.]).tolist()
    [-4.0, 1.0, -5.0]
    """
    t, key, parts, u = _tensor_scatter("tensor_scatter_sub", tensor, indices, updates)
    return subtract(t, unindex(u, key, tuple(parts), t._spec.shape))


def tensor_scatter_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """``tensor`` with the places that rows of indices name replaced; of repeated ones the last stays.

    >>> import adjoint as ad
    >>> ad.tensor_scatter_update(ad.Tensor([1., 1., 1.]), [[0], [2]], [5., 6.]).tolist()
    [5.0, 1.0, 6.0]
    """
    t, key, parts, u = _tensor_scatter("tensor_scatter_update", tensor, indices, updates)
    return record(SET.op(key=key), t, u, *parts)


def _extreme_args(args: Any, axes: Any, data: int) -> tuple[list[Any], list[Any], int]:
    """Batched data and index tensors made one scatter with the batch as a further index."""
    size = next(t._spec.shape[a] for t, a in zip(args, axes) if a is not None)
    rank = max(t._spec.ndim - (a is not None) for t, a in zip(args[data:], axes[data:]))
    whole = [to_front(t, a, size) for t, a in zip(args[:data], axes[:data])]
    return whole, [iota(size, rank + 1), *align(args[data:], axes[data:], rank)], size


def _extreme_infer(x: Spec, u: Spec, *idx: Spec, key: Key, largest: bool) -> Spec:
    return x


def _extreme_kernel(x: Any, u: Any, *idx: Any, key: Key, largest: bool) -> Any:
    out = np.array(x, order="C")                         # reshape must not copy
    try:
        (np.maximum if largest else np.minimum).at(out.reshape(-1), flat_places(out.shape, key, idx), u.reshape(-1))
    except IndexError as error:
        raise IndexingError(f"scatter: an index is outside the tensor of shape {out.shape}: {error}") from None
    return out


def _extreme_vjp(g: Any, y: Any, x: Any, u: Any, *idx: Any, key: Key, largest: bool) -> tuple[Any, ...]:
    wx, wu = record(EXTREME_SHARES.op(key=key), y, x, u, *idx)
    return (multiply(g, wx), multiply(index_op(g, key, idx), wu), *[None] * len(idx))


def _shares_kernel(y: Any, x: Any, u: Any, *idx: Any, key: Key) -> Any:
    hit_x, hit_u = (x == y), (u == y[(*idx, Ellipsis)])
    count = scatter_add(hit_x.astype(np.float64), key, idx, hit_u.astype(np.float64))
    share = (1.0 / np.maximum(count, 1.0)).astype(x.dtype)
    return np.where(hit_x, share, share.dtype.type(0)), np.where(hit_u, share[(*idx, Ellipsis)], share.dtype.type(0))


def _shares_expand(y: Any, x: Any, u: Any, *idx: Any, key: Key) -> Any:
    hit_x, hit_u = equal(x, y), equal(u, index_op(y, key, idx))
    count = add(cast(hit_x, int32), unindex(cast(hit_u, int32), key, idx, y._spec.shape))
    share = cast(divide(1.0, cast(maximum(count, 1), float64)), x._spec.dtype)
    none = full_of(spec((), x._spec.dtype), 0)
    return where(hit_x, share, none), where(hit_u, index_op(share, key, idx), none)


def _shares_batch(args: Any, axes: Any, key: Key) -> tuple[Any, Any]:
    data, idx, _ = _extreme_args(args, axes, 3)
    return record(EXTREME_SHARES.op(key=(TENSOR, *key)), *data, *idx), (0, 0)


def _extreme_batch(args: Any, axes: Any, key: Key, largest: bool) -> tuple[Any, int]:
    data, idx, _ = _extreme_args(args, axes, 2)
    return record(EXTREME.op(key=(TENSOR, *key), largest=largest), *data, *idx), 0


def _shares_infer(y: Spec, x: Spec, u: Spec, *idx: Spec, key: Key) -> tuple[Spec, Spec]:
    return x, u


def _shares_case(rng: Any) -> Any:
    x, u, i = np.array([1.0, 5.0, 2.0]), np.array([1.0, 4.0, 4.0]), np.array([0, 2, 2])
    return (_extreme_kernel(x, u, i, key=(TENSOR,), largest=True), x, u, i), {"key": (TENSOR,)}


EXTREME_SHARES = Primitive(
    "scatter_extreme_shares", _shares_infer, _shares_kernel, batch=_shares_batch, cases=(_shares_case,), expand=_shares_expand,
    oracle=lambda y, x, u, *idx, key: _shares_kernel(y, x, u, *idx, key=key),
    doc="How a cotangent is divided among those that equal the largest (or smallest) value.")

EXTREME = Primitive(
    "scatter_extreme", _extreme_infer, _extreme_kernel, vjp=_extreme_vjp, batch=_extreme_batch,
    overlays=lambda x, u, *idx, key, largest: ("max" if largest else "min", stands(key, x.ndim, idx, 2), u.shape),
    cases=(lambda rng: ((rng.normal(size=(4, 2)), rng.normal(size=(3, 2)), np.array([0, 2, 2])),
                        {"key": (TENSOR,), "largest": True}),
           lambda rng: ((rng.normal(size=(4,)), rng.normal(size=(3,)), np.array([0, 2, 2])),
                        {"key": (TENSOR,), "largest": False})),
    oracle=lambda x, u, *idx, key, largest: _extreme_kernel(x, u, *idx, key=key, largest=largest),
    doc="The larger (or smaller) of a tensor and what is scattered onto it; equal values share the cotangent evenly.")


def tensor_scatter_max(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """``tensor`` with each place that rows of indices name raised to the largest update for it.

    Equal values share the gradient evenly.

    >>> import adjoint as ad
    >>> ad.tensor_scatter_max(ad.Tensor([1., 1., 9.]), [[0], [2]], [5., 6.]).tolist()
    [5.0, 1.0, 9.0]
    """
    t, key, parts, u = _tensor_scatter("tensor_scatter_max", tensor, indices, updates)
    return record(EXTREME.op(key=key, largest=True), t, u, *parts)


def tensor_scatter_min(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """``tensor`` with each place that rows of indices name lowered to the smallest update for it.

    >>> import adjoint as ad
    >>> ad.tensor_scatter_min(ad.Tensor([1., 1., 9.]), [[0], [2]], [5., 6.]).tolist()
    [1.0, 1.0, 6.0]
    """
    t, key, parts, u = _tensor_scatter("tensor_scatter_min", tensor, indices, updates)
    return record(EXTREME.op(key=key, largest=False), t, u, *parts)


# ------------------------------------------------------------------------------------------- a variable's scatter updates

def _slices(v: Variable, what: str, delta: Any) -> tuple[Any, Any]:
    try:
        values, indices = delta.values, delta.indices
    except AttributeError:
        raise TypeError(complain(f"{what} on {v.name}", "the argument", "an IndexedSlices", f"{delta!r:.60}")) from None
    idx = index_tensor(what, indices)
    check_range(what, idx, v._spec.shape[0] if v._spec.shape else 0, 0)
    return idx, _updates(what, values, idx._spec.shape + v._spec.shape[1:], v._spec.dtype)


def _scattered(v: Variable, key: Key, idx: tuple[Any, ...], u: Any, how: str) -> Variable:
    if how == "update":
        new = record(SET.op(key=key), v, u, *idx)
    elif how in ("max", "min"):
        new = record(EXTREME.op(key=key, largest=how == "max"), v, u, *idx)
    else:
        delta = record(UNINDEX.op(key=key, shape=v._spec.shape), u, *idx)
        new = add(v, delta) if how == "add" else subtract(v, delta)
    return v.assign(new)


def _row_method(how: str, doc: str) -> Any:
    def method(self: Variable, sparse_delta: Any, use_locking: bool = False, name: str | None = None) -> Variable:
        idx, u = _slices(self, f"scatter_{how}", sparse_delta)
        return _scattered(self, (TENSOR,), (idx,), u, how)

    method.__name__, method.__doc__ = f"scatter_{how}", doc
    return method


def _nd_method(how: str, doc: str) -> Any:
    def method(self: Variable, indices: Any, updates: Any, name: str | None = None) -> Variable:
        what = f"scatter_nd_{how}"
        key, parts, part = _nd(what, indices, self._spec.shape)
        return _scattered(self, key, tuple(parts), _updates(what, updates, part, self._spec.dtype), how)

    method.__name__, method.__doc__ = f"scatter_nd_{how}", doc
    return method


for _how, _doc in (("add", "Add to"), ("sub", "Subtract from"), ("update", "Replace"), ("max", "Raise to a maximum"),
                   ("min", "Lower to a minimum")):
    setattr(Variable, f"scatter_{_how}", _row_method(_how, f"{_doc} the rows that an IndexedSlices names."))
    setattr(Variable, f"scatter_nd_{_how}", _nd_method(_how, f"{_doc} the places that rows of indices name."))
del _how, _doc

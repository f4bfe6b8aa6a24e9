"""Indexing: x[key] with NumPy's meaning, its transpose, and assignment to a part."""
from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import DType
from .._errors import IndexingError, NotSupportedError, ShapeError, complain
from .._graph import Along, By, Op, Primitive, Shape, Spec, spec
from .._tensor import Tensor, Value, wrap
from .._trace import record
from ._make import broadcast_shapes, install
from .broadcast import broadcast_to
from .convert import convert
from .movement import reshape, transpose

__all__: list[str] = []

# A key is a tuple with an entry for each indexed axis: an int (not negative), a slice as (start, stop, step) in the form
# of slice.indices, None for a new axis, or TENSOR where the next index tensor stands. Axes after its end are kept whole. An
# Ellipsis stands for no axis, but keeps index tensors apart.

Key = tuple[Any, ...]
TENSOR = "t"


def _length(entry: tuple[int, int, int]) -> int:
    return len(range(*entry))


def _slice(entry: tuple[int, int, int]) -> slice:
    start, stop, step = entry
    return slice(start, None if stop < 0 else stop, step)


@lru_cache(65536)
def selector(key: Key) -> tuple[Any, ...]:
    """What NumPy indexes with; the ellipsis makes it return an array, never a scalar."""
    parts = [_slice(k) if k.__class__ is tuple else k for k in key]
    return tuple(parts) if Ellipsis in key else (*parts, Ellipsis)


def filled(key: Key, idx: tuple[Any, ...]) -> tuple[Any, ...]:
    it = iter(idx)
    return tuple([next(it) if k.__class__ is str else k for k in selector(key)])


def _is_tensor(entry: Any) -> bool:
    return entry.__class__ is str


def apart(key: Key) -> bool:
    """Whether index tensors (and ints beside them) are separated, so that their axes come first in the result."""
    at = [n for n, k in enumerate(key) if k.__class__ in (int, str)]
    return bool(at) and any(map(_is_tensor, key)) and at[-1] - at[0] + 1 != len(at)


@lru_cache(65536)
def selected(shape: Shape, key: Key, index_shape: Shape | None) -> Shape:
    """The shape of x[key]; ``index_shape`` is the broadcast shape of the index tensors, None where there are none."""
    out: list[int] = []
    axis, at = 0, -1
    for k in key:
        if k is None:
            out.append(1)
            continue
        if k is Ellipsis:
            continue
        if k.__class__ is tuple:
            out.append(_length(k))
        elif at < 0 and index_shape is not None:
            at = len(out)
        axis += 1
    out.extend(shape[axis:])
    if index_shape is None:
        return tuple(out)
    if apart(key):
        at = 0
    return (*out[:at], *index_shape, *out[at:])


def places_of(key: Key, ndim: int, idx: tuple[Spec, ...]) -> list[int | Along | By] | None:
    """Where the elements of x[key] stand in x, which has ``ndim`` axes; None where none of its arguments is an index tensor."""
    return stands(key, ndim, idx, 1) if idx else None


def stands(key: Key, ndim: int, idx: tuple[Spec, ...], number: int) -> list[int | Along | By]:
    """The same for any key; the index tensors are the arguments from ``number`` on."""
    rank = max((s.ndim for s in idx), default=0)
    entries = [k for k in key if k is not Ellipsis]
    entries += [(0, 0, 1)] * (ndim - sum(k is not None for k in entries))
    first = 0
    out: list[int | Along | By] = []
    tensors = enumerate(idx, number)
    if not apart(key):
        for k in entries:
            if k.__class__ in (int, str):
                break
            first += 1
    at = rank if first == 0 else 0                       # the axis of x[key] that comes next
    for n, k in enumerate(entries):
        if n == first and first:
            at += rank
        if k is None:
            at += 1
        elif k.__class__ is tuple:
            out.append(Along(at, k[0], k[2]))
            at += 1
        elif k.__class__ is int:
            out.append(k)
        else:
            argument, s = next(tensors)
            out.append(By(argument, tuple(range(first + rank - s.ndim, first + rank))))
    return out


def shape_of_indices(name: str, idx: tuple[Spec, ...]) -> Shape | None:
    if not idx:
        return None
    for s in idx:
        if s.dtype.kind not in "iu":
            raise IndexingError(complain(name, "an index", "of an integer or boolean dtype", s.dtype.name))
    return broadcast_shapes(name, *[s.shape for s in idx]) if len(idx) > 1 else idx[0].shape


def _take_axis(key: Key) -> int:
    """The axis of a key that is one index tensor after whole axes, else -1 (the test of wholeness is the shape's)."""
    return len(key) - 1 if key and _is_tensor(key[-1]) and all(
        k.__class__ is tuple and k[0] == 0 and k[2] == 1 for k in key[:-1]) else -1


def _index_kernel(x: Any, *idx: Any, key: Key) -> Any:
    if not idx:
        return x[selector(key)]
    try:
        axis = _take_axis(key)
        if axis == 0 and x.__class__ is np.ndarray and x.shape[0]:
            return np.asarray(x.take(idx[0], 0))
        return x[filled(key, idx)]
    except IndexError as error:
        raise IndexingError(f"index: an index is outside the tensor of shape {x.shape}: {error}") from None


def index_infer(x: Spec, *idx: Spec, key: Key) -> Spec:
    return spec(selected(x.shape, key, shape_of_indices("index", idx)), x.dtype)


def _index_vjp(g: Any, y: Any, x: Any, *idx: Any, key: Key) -> tuple[Any, ...]:
    s = x._spec
    if len(idx) == 1 and key == (TENSOR,) and s.ndim > 0:
        rows = idx[0]
        flat = rows if rows._spec.ndim == 1 else reshape(rows, (rows._spec.size,))
        values = g if rows._spec.ndim == 1 else reshape(g, (rows._spec.size, *s.shape[1:]))
        return (SparseRows(flat, values, s.shape), None)
    return (unindex(g, key, idx, s.shape), *[None] * len(idx))


def SparseRows(indices: Any, values: Any, shape: Shape) -> Any:
    """The cotangent of a gather of rows; the derivative layer says how it is held."""
    return sparse_rows[0](indices, values, shape)


sparse_rows: list[Any] = [lambda indices, values, shape: unindex(values, (TENSOR,), (indices,), shape)]


def fronted(x: Any, axis: int | None) -> Any:
    """The batch axis moved to the front."""
    if not axis:
        return x
    n = x._spec.ndim
    return transpose(x, (axis, *[k for k in range(n) if k != axis]))


def to_front(t: Any, axis: int | None, size: int) -> Any:
    """The batch axis in front, made where there is none."""
    return broadcast_to(t, (size, *t._spec.shape)) if axis is None else fronted(t, axis)


def align(idx: tuple[Any, ...], axes: Any, rank: int) -> list[Any]:
    """Batched index tensors with their batch axis in front of ``rank`` others; the rest as they are."""
    out = []
    for t, a in zip(idx, axes):
        if a is not None:
            t = fronted(t, a)
            shape = t._spec.shape
            t = reshape(t, (shape[0], *[1] * (rank - len(shape) + 1), *shape[1:]))
        out.append(t)
    return out


def rank_of(idx: tuple[Any, ...], axes: Any) -> int:
    return max((t._spec.ndim - (a is not None) for t, a in zip(idx, axes)), default=0)


def iota(n: int, ndim: int = 1, axis: int = 0, dtype: DType = _dtypes.int64) -> Any:
    """0 .. n-1 along one axis of ``ndim``, the others of length 1."""
    return record(IOTA.op(n=n, ndim=ndim, axis=axis, dtype=dtype))


def _iota_kernel(n: int, ndim: int, axis: int, dtype: DType) -> Any:
    return np.arange(n, dtype=dtype.np).reshape([n if k == axis else 1 for k in range(ndim)])


IOTA = Primitive(
    "iota", lambda n, ndim, axis, dtype: spec(tuple(n if k == axis else 1 for k in range(ndim)), dtype), _iota_kernel,
    cases=(lambda rng: ((), {"n": 3, "ndim": 2, "axis": 1, "dtype": _dtypes.int64}),),
    oracle=lambda n, ndim, axis, dtype: np.expand_dims(
        np.arange(n), tuple(k for k in range(ndim) if k != axis)), ramp=True,
    doc="The integers 0 .. n-1 along one axis.")


PLACES = _dtypes.int32                                  # of what is counted along one axis: vectors hold more of these


def _place_kernel(x: Any, n: int) -> Any:
    if x.size and not (-n <= x.min() and x.max() < n):
        raise IndexingError(f"scatter: index {x[(x < -n) | (x >= n)][0]} is outside an axis of {n}")
    return np.where(x < 0, x + n, x).astype(PLACES.np)


PLACE = Primitive(
    "place", lambda x, n: spec(x.shape, PLACES), _place_kernel, elementwise=True, lower=lambda s, x, n: s.place(x, n).to("i32"),
    cases=(lambda rng: ((np.array([-1, 0, 2]),), {"n": 3}),), oracle=lambda x, n: np.where(x < 0, x + n, x),
    doc="Indices as numbers from 0 on, checked.")


def place(t: Any, n: int) -> Any:
    """Indices of an axis of ``n`` as numbers from 0 on, checked."""
    return record(PLACE.op(n=n), t)


def batched_key(key: Key, idx: list[Any], rank: int, size: int, data: bool, some: bool) -> tuple[Key, list[Any]]:
    """The key (and index tensors) for a batch axis in front of the data and, with ``some``, of index tensors."""
    if not data:
        return key, idx
    if not some:
        return ((0, size, 1), *key), idx
    return (TENSOR, *key), [iota(size, rank + 1), *idx]


def result_axis(key: Key, index_rank: int, data: bool) -> int:
    """Where the batch axis stands in the result when only the data (or only the indices) are batched."""
    if data:
        return index_rank if apart(key) else 0
    if apart(key):
        return 0
    return sum(1 for k in key[:_first(key)] if k.__class__ is tuple or k is None)


def _first(key: Key) -> int:
    return next(n for n, k in enumerate(key) if k.__class__ in (int, str))


def settle_order(key: Key, index_rank: int) -> tuple[int, ...] | None:
    """Both batched: the index axes come first with the batch axis leading; the order that puts them back, or None."""
    if apart(key):
        return None
    before = sum(1 for k in key[:_first(key)] if k.__class__ is tuple or k is None)
    if not before:
        return None
    return (0, *range(1 + index_rank, 1 + index_rank + before), *range(1, 1 + index_rank))


def _index_batch(args: Any, axes: Any, key: Key) -> tuple[Any, int]:
    x, idx = args[0], args[1:]
    data, some = axes[0] is not None, any(a is not None for a in axes[1:])
    rank = rank_of(idx, axes[1:])
    x = fronted(x, axes[0]) if data else x
    idx = align(idx, axes[1:], rank)
    wide, tensors = batched_key(key, idx, rank, x._spec.shape[0] if data else 0, data, some)
    y = record(INDEX.op(key=wide), x, *tensors)
    if not (data and some):
        return y, result_axis(key, rank, data)
    order = settle_order(key, rank)
    if order is not None:
        y = transpose(y, (*order, *range(len(order), y._spec.ndim)))
    return y, 0


def _index_cases() -> tuple[Any, ...]:
    def case(shape: Shape, key: Key, *idx: Any) -> Any:
        return lambda rng: ((rng.normal(size=shape), *[np.asarray(i) for i in idx]), {"key": key})

    return (
        case((4, 3), (1,)), case((4, 3), ((3, -1, -2), None, 2)), case((5,), (TENSOR,), [0, 3, 3, -1]),
        case((3, 4, 2), ((0, 3, 2), TENSOR), [[0, 1], [3, 3]]), case((3, 4, 2), (TENSOR, (1, 4, 1), 1), [2, 2, 0]),
        case((3, 4, 2), (TENSOR, TENSOR), [[0], [2]], [1, 3]))


INDEX = Primitive(
    "index", index_infer, _index_kernel, view=lambda x, key: x[selector(key)], vjp=_index_vjp, linear=(0,),
    gathers=lambda x, *idx, key: places_of(key, x.ndim, idx),
    batch=_index_batch, cases=_index_cases(),
    oracle=lambda x, *idx, key: x[filled(key, idx)], doc="The part of a tensor that a key selects.")

# --------------------------------------------------------------------------------------------- the transpose of indexing


_WIDE = {"float16": np.float64, "bfloat16": np.float64, "float32": np.float64, "complex64": np.complex128}


def flat_places(shape: Shape, key: Key, idx: tuple[Any, ...]) -> Any:
    """Places in the flat tensor that whole leading axes and index tensors after them select, else None.

    NumPy's ``ufunc.at`` is ten times faster on them. Raises IndexError for an index out of range.
    """
    lead = next((n for n, k in enumerate(key) if k.__class__ is str), 0)
    if not idx or len(key) != lead + len(idx) or any(k != (0, n, 1) for k, n in zip(key[:lead], shape)):
        return None
    rank = max(np.ndim(i) for i in idx)
    places: Any = np.arange(math.prod(shape[:lead])).reshape(-1, *[1] * rank)
    for n, i in zip(shape[lead:], idx):
        i = np.asarray(i).astype(np.int64)
        if i.size:
            low, high = i.min(), i.max()
            if low < -n or high >= n:
                raise IndexError(f"{low if low < -n else high} is not in [{-n}, {n})")
            if low < 0:
                i = np.where(i < 0, i + n, i)
        places = places * n + i
    width = math.prod(shape[lead + len(idx):])
    if width != 1:
        places = places[..., None] * width + np.arange(width)
    return places.reshape(-1)


def scatter_add(z: Any, key: Key, idx: tuple[Any, ...], g: Any) -> Any:
    """``z``, which is the caller's own, with ``g`` added at the part that the key selects; repeated places add up.

    Sums of narrow floats are kept in float64, unless few rows go into a large tensor.
    """
    dtype = z.dtype
    wide = _WIDE.get(dtype.name) if z.size < 8 * g.size + 1024 or dtype.itemsize == 2 else None
    into = np.ascontiguousarray(z if wide is None else z.astype(wide))   # reshape must not copy
    places = flat_places(z.shape, key, idx)
    g = g if wide is None else g.astype(wide)
    if places is None:
        np.add.at(into, filled(key, idx), g)
    else:
        np.add.at(into.reshape(-1), places, g.reshape(-1))
    return into if wide is None else into.astype(dtype)


def _unindex_kernel(g: Any, *idx: Any, key: Key, shape: Shape) -> Any:
    z = np.zeros(shape, g.dtype)
    if not idx:
        z[selector(key)] = g
        return z
    try:
        return scatter_add(z, key, idx, np.asarray(g))
    except IndexError as error:
        raise IndexingError(f"scatter: an index is outside the result of shape {shape}: {error}") from None


def _unindex_infer(g: Spec, *idx: Spec, key: Key, shape: Shape) -> Spec:
    part = selected(shape, key, shape_of_indices("scatter", idx))
    if g.shape != part:
        raise ShapeError(complain("scatter", "updates", f"of shape {part} for indices and a result of shape {shape}", g.shape))
    return spec(shape, g.dtype)


def _unindex_batch(args: Any, axes: Any, key: Key, shape: Shape) -> tuple[Any, int]:
    g, idx = args[0], args[1:]
    some = any(a is not None for a in axes[1:])
    rank = rank_of(idx, axes[1:])
    size = next(t._spec.shape[a] for t, a in zip(args, axes) if a is not None)
    g = to_front(g, axes[0], size)
    tensors = align(idx, axes[1:], rank)
    wide, tensors = batched_key(key, tensors, rank, size, True, some)
    if some:
        order = settle_order(key, rank)
        if order is not None:
            order = (*order, *range(len(order), g._spec.ndim))
            g = transpose(g, tuple(order.index(k) for k in range(len(order))))
    elif apart(key):
        g = transpose(g, (*range(1, rank + 1), 0, *range(rank + 1, g._spec.ndim)))
    return record(UNINDEX.op(key=wide, shape=(size, *shape)), g, *tensors), 0


def _unindex_cases() -> tuple[Any, ...]:
    def case(gshape: Shape, shape: Shape, key: Key, *idx: Any) -> Any:
        return lambda rng: ((rng.normal(size=gshape), *[np.asarray(i) for i in idx]), {"key": key, "shape": shape})

    return (case((3,), (4, 3), (1,)), case((2, 2), (5, 2), ((3, -1, -2),)), case((4, 2), (5, 2), (TENSOR,), [0, 3, 3, -1]),
            case((3, 2), (3, 4, 2), (TENSOR, 1), [0, 2, 2]))


def _unindex_oracle(g: Any, *idx: Any, key: Key, shape: Shape) -> Any:
    z = np.zeros(shape)
    np.add.at(z, filled(key, idx), g)
    return z


UNINDEX = Primitive(
    "unindex", _unindex_infer, _unindex_kernel,
    vjp=lambda g, y, x, *idx, key, shape: (index_op(g, key, idx), *[None] * len(idx)), linear=(0,), batch=_unindex_batch,
    cases=_unindex_cases(), oracle=_unindex_oracle, places=lambda out, *specs, key, shape: (
        (out[selector(key)],) if len(specs) == 1 else None),
    scatters=lambda g, *idx, key, shape: places_of(key, len(shape), idx),
    doc="Zeros with a tensor added in at the part that a key selects: the transpose of indexing.")


def index_op(x: Any, key: Key, idx: tuple[Any, ...] = ()) -> Any:
    return record(INDEX.op(key=key), x, *idx)


def unindex(g: Any, key: Key, idx: tuple[Any, ...], shape: Shape) -> Any:
    return record(UNINDEX.op(key=key, shape=shape), g, *idx)


# --------------------------------------------------------------------------------------------------------- x[key] itself

_PLAIN = (int, type(None))


def _entry(k: Any, n: int, axis: int) -> Any:
    """An int or a slice for an axis of length n, in the key's form."""
    if k.__class__ is tuple:
        try:
            whole = slice(*k).indices(n)
            return whole if _length(whole) else (0, 0, 1)
        except ValueError as error:
            raise IndexingError(f"index: {error}") from None
        except TypeError:
            raise IndexingError(complain("index", "the parts of a slice", "integers or None", k)) from None
    if not -n <= k < n:
        raise IndexingError(complain("index", f"the index on axis {axis}", f"in [{-n}, {n})" if n else "absent (the "
                                     "axis has length 0)", k))
    return k + n if k < 0 else k


@lru_cache(65536)
def normal_key(shape: Shape, form: Key) -> Key:
    """The key for ints, slice parts, None, Ellipsis and TENSOR marks on a tensor of this shape."""
    used = sum(1 for k in form if k is not None and k is not Ellipsis)
    gaps = sum(1 for k in form if k is Ellipsis)
    if used > len(shape):
        raise IndexingError(complain("index", "the key", f"of at most {len(shape)} indices for shape {shape}", used))
    if gaps > 1:
        raise IndexingError(complain("index", "the key", "with a single ellipsis", gaps))
    out: list[Any] = []
    axis = 0
    for k in form:
        if k is Ellipsis:
            for n in shape[axis:axis + len(shape) - used]:
                out.append((0, n, 1))
            axis += len(shape) - used
            if used == len(shape) and TENSOR in form:
                out.append(k)
        elif k is None:
            out.append(None)
        else:
            out.append(k if _is_tensor(k) else _entry(k, shape[axis], axis))
            axis += 1
    while out and Ellipsis not in out and out[-1].__class__ is tuple and out[-1] == (0, shape[axis - 1], 1):
        out.pop()
        axis -= 1
    return tuple(out)


@lru_cache(65536)
def _index_op(s: Spec, form: Key) -> Op:
    return INDEX.op(key=normal_key(s.shape, form))


def _plain(k: Any) -> Any:
    """A slice bound as an int or None."""
    if k.__class__ in _PLAIN:
        return k
    try:
        return k.__index__()
    except AttributeError:
        raise IndexingError(complain("index", "the parts of a slice", "integers or None", repr(k))) from None


def _static(key: tuple[Any, ...]) -> Key | None:
    """The form of a key without tensors; None where something in it needs more care."""
    form: list[Any] = []
    for k in key:
        c = k.__class__
        if c is int or k is None or k is Ellipsis:
            form.append(k)
        elif c is slice:
            form.append((_plain(k.start), _plain(k.stop), _plain(k.step)))
        else:
            return None
    return tuple(form)


def _as_index(k: Any) -> Any:
    """An entry that is no int, slice, None or Ellipsis: an int, or a tensor of integers or booleans."""
    if isinstance(k, Value):
        t = k
    elif isinstance(k, (bool, np.bool_)):
        return bool(k)
    elif isinstance(k, np.integer):
        return int(k)
    elif isinstance(k, (list, np.ndarray, range, tuple)) or hasattr(k, "__array__") or hasattr(k, "__adjoint_tensor__"):
        k = list(k) if isinstance(k, (range, tuple)) else k
        t = convert(np.empty(0, np.int64)) if isinstance(k, list) and not k else convert(k)
    elif hasattr(k, "__index__"):
        return k.__index__()
    else:
        raise IndexingError(complain("index", "an index", "an integer, a slice, None, an ellipsis, or an array of integers "
                                     "or booleans", repr(k)))
    if t._spec.dtype.kind not in "iub":
        raise IndexingError(complain("index", "an index tensor", "of an integer or boolean dtype", t._spec.dtype.name,
                                     "cast it to int32"))
    return t


_EXTENTS: dict[int, tuple[Any, int, int]] = {}          # id of an index array -> itself (weakly), smallest, largest


def _extent(value: Any) -> tuple[Any, int, int]:
    key = id(value)
    found = _EXTENTS[key] = weakref.ref(value, lambda _: _EXTENTS.pop(key, None)), int(value.min()), int(value.max())
    return found


def check_range(name: str, t: Any, n: int, axis: int) -> None:
    """An index tensor whose value is known is checked at once; the others when they are computed."""
    value = getattr(t, "_value", None)
    if value is None or not value.size or getattr(t, "_pending", None) is not None:
        return
    found = _EXTENTS.get(id(value))
    if found is None or found[0]() is not value or t.__class__ is not Tensor:
        found = _extent(value)
    _, low, high = found
    if low < -n or high >= n:
        raise IndexingError(complain(name, f"the indices on axis {axis}", f"in [{-n}, {n})", low if low < -n else high))


def parse(x: Any, key: Any) -> tuple[Key, tuple[Any, ...]]:
    """The key and the index tensors for x[key]; boolean masks become index tensors here, which settles them."""
    items = key if key.__class__ is tuple else (key,)
    form = _static(items)
    shape = x._spec.shape
    if form is not None:
        return normal_key(shape, form), ()
    entries: list[Any] = []
    tensors: list[Any] = []
    items = tuple(k if k is None or k is Ellipsis or k.__class__ in (int, slice) else _as_index(k) for k in items)
    used = sum((k._spec.ndim if k._spec.dtype.kind == "b" else 1) if isinstance(k, Value) else
               k is not None and k is not Ellipsis and k.__class__ is not bool for k in items)
    axis = 0
    for k in items:
        if k.__class__ is slice:
            entries.append((_plain(k.start), _plain(k.stop), _plain(k.step)))
            axis += 1
        elif k is Ellipsis:
            entries.append(k)
            axis += len(shape) - used
        elif k is None:
            entries.append(k)
        elif k.__class__ is bool or (isinstance(k, Value) and k._spec.dtype.kind == "b"):
            axis = _mask(x, k, axis, entries, tensors)
        elif isinstance(k, Value):
            if axis < len(shape):
                check_range("index", k, shape[axis], axis)
            entries.append(TENSOR)
            tensors.append(k)
            axis += 1
        else:
            entries.append(k)
            axis += 1
    return normal_key(shape, tuple(entries)), tuple(tensors)


def _mask(x: Any, k: Any, axis: int, entries: list[Any], tensors: list[Any]) -> int:
    if k.__class__ is bool or not k._spec.ndim:
        raise NotSupportedError("index: a single boolean does not index; use x[None] or a mask of the tensor's shape")
    shape = x._spec.shape
    if k._spec.shape != shape[axis:axis + k._spec.ndim]:
        raise IndexingError(complain("index", "a boolean mask", f"of shape {shape[axis:axis + k._spec.ndim]}, as the axes it "
                                     f"stands for", k._spec.shape))
    for where in np.nonzero(k._look()):
        entries.append(TENSOR)
        tensors.append(wrap(where))
    return axis + int(k._spec.ndim)


def getitem(x: Any, key: Any) -> Any:
    c = key.__class__
    if c is int:
        return record(_index_op(x._spec, (key,)), x)
    if c is slice:
        return record(_index_op(x._spec, ((_plain(key.start), _plain(key.stop), _plain(key.step)),)), x)
    if c is tuple:
        form = _static(key)
        if form is not None:
            return record(_index_op(x._spec, form), x)
    elif key is None or key is Ellipsis:
        return record(_index_op(x._spec, (key,)), x)
    elif c is Tensor and key._spec.dtype.kind in "iu" and x._spec.ndim:
        check_range("index", key, x._spec.shape[0], 0)
        return record(_ROWS, x, key)
    parsed, tensors = parse(x, key)
    return record(INDEX.op(key=parsed), x, *tensors)


_ROWS = INDEX.op(key=(TENSOR,))


def _iterate(x: Any) -> Iterator[Any]:
    if not x._spec.shape:
        raise TypeError("a tensor of shape () can't be iterated over")
    return map(x.__getitem__, range(x._spec.shape[0]))


install("__getitem__", getitem)
install("__iter__", _iterate)

"""Several tensors into one and one into several; repeating; picking along an axis."""
from __future__ import annotations

import math
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from .._config import config
from .._dtypes import as_dtype, promote
from .._errors import ArgumentError, DtypeError, IndexingError, ShapeError, complain
from .._graph import Along, By, Op, Primitive, Shape, Spec, spec
from .._tensor import Value, wrap
from .._trace import hooks, record
from ._make import broadcast_shapes, normalize_axis
from .broadcast import SUM, add_up, broadcast_to
from .convert import cast, convert
from .creation import zeros_of
from .indexing import index_op
from .movement import SECTION, as_shape, front, ravel, reshape

_MANY = 1000                                             # slices that are parts of one compiled unit

__all__ = ["broadcast_arrays", "concat", "meshgrid", "repeat", "split", "stack", "tile", "unstack"]


def common(name: str, xs: Any) -> list[Any]:
    """The items as tensors of one dtype; Python numbers take the dtype of the tensors beside them."""
    if isinstance(xs, Value):
        xs = unstack(xs)
    if not hasattr(xs, "__iter__"):
        raise ArgumentError(complain(name, "the argument", "a sequence of tensors", f"{xs!r:.60}"))
    items = list(xs)
    if not items:
        raise ShapeError(complain(name, "the sequence", "of at least one tensor", "an empty one"))
    dtypes = {t._spec.dtype for t in items if isinstance(t, Value)}
    if len(dtypes) == 1 and all(isinstance(t, Value) for t in items):
        return items
    if config.spelling == "tf" and len(dtypes) > 1:
        raise DtypeError(complain(name, "dtypes", "the same", " and ".join(sorted(d.name for d in dtypes)),
                                  "cast one of them with tf.cast"))
    want = None
    for d in sorted(dtypes, key=lambda d: d.name):
        want = d if want is None else promote(want, d)
    made = [t if isinstance(t, Value) else convert(t, want, want is not None) for t in items]
    for t in made:
        d = t._spec.dtype
        want = d if want is None else promote(want, d)
    return [t if t._spec.dtype is want else cast(t, want) for t in made]


def batch_all(args: Any, axes: Any) -> list[Any]:
    """Every argument with its batch axis first; those without one are repeated along a new one."""
    size = next(t._spec.shape[a] for t, a in zip(args, axes) if a is not None)
    return [broadcast_to(t, (size, *t._spec.shape)) if a is None else front(t, a) for t, a in zip(args, axes)]


def fill(ts: Any, xs: Any) -> list[Any]:
    """Tangents with zeros written out."""
    return [zeros_of(x._spec) if t is None else t for t, x in zip(ts, xs)]


# --------------------------------------------------------------------------------------------------------------- concat

def _concat_infer(*specs: Spec, axis: int) -> Spec:
    first = specs[0]
    for s in specs[1:]:
        if s.ndim != first.ndim or any(k != axis and a != b for k, (a, b) in enumerate(zip(s.shape, first.shape))):
            raise ShapeError(complain("concat", "shapes", f"the same apart from axis {axis}",
                                      ", ".join(str(t.shape) for t in specs[:8])))
    n = 0
    for s in specs:
        n += s.shape[axis]
    return spec((*first.shape[:axis], n, *first.shape[axis + 1:]), first.dtype)


def _concat_vjp(g: Any, y: Any, *xs: Any, axis: int) -> tuple[Any, ...]:
    if len(xs) == 1:
        return (g,)
    return tuple(record(SPLIT.op(axis=axis, sizes=tuple([x._spec.shape[axis] for x in xs])), g))


def _concat_places(out: Any, *specs: Spec, axis: int) -> list[Any]:
    views, start = [], 0
    for s in specs:
        views.append(out[(slice(None),) * axis + (slice(start, start + s.shape[axis]),)])
        start += s.shape[axis]
    return views


def _concat_batch(args: Any, axes: Any, axis: int) -> Any:
    return record(CONCAT.op(axis=axis + 1), *batch_all(args, axes)), 0


CONCAT: Primitive = Primitive(
    "concat", _concat_infer, lambda *xs, axis: np.concatenate(xs, axis), vjp=_concat_vjp,
    jvp=lambda ts, y, *xs, axis: record(CONCAT.op(axis=axis), *fill(ts, xs)), batch=_concat_batch,
    places=_concat_places, oracle=lambda *xs, axis: np.concatenate(xs, axis), doc="Tensors one after the other along an axis.",
    cases=(lambda rng: ((rng.normal(size=(2, 3)), rng.normal(size=(1, 3))), {"axis": 0}),))


def concat(arrays: Any, axis: int | None = 0) -> Any:
    """The tensors joined along an axis they have (None: flattened first).

    arrays   tensors of the same shape apart from ``axis``; dtypes are promoted to one

    Raises ShapeError where the other axes differ, AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> ad.concat([ad.constant([1.0]), ad.constant([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    ts = common("concat", arrays)
    if axis is None:
        ts, axis = [ravel(t) for t in ts], 0
    ndim = ts[0]._spec.ndim
    if not ndim:
        raise ShapeError(complain("concat", "tensors", "of at least one axis", "shape ()", "use stack"))
    return record(CONCAT.op(axis=normalize_axis("concat", axis, ndim)), *ts)


# ---------------------------------------------------------------------------------------------------------------- split

def _split_infer(x: Spec, axis: int, sizes: tuple[int, ...]) -> tuple[Spec, ...]:
    return tuple([spec((*x.shape[:axis], n, *x.shape[axis + 1:]), x.dtype) for n in sizes])


def _split_kernel(x: Any, axis: int, sizes: tuple[int, ...]) -> Any:
    lead = (slice(None),) * axis
    out, at = [], 0
    for n in sizes:
        out.append(x[(*lead, slice(at, at + n))])
        at += n
    return out if len(out) > 1 else out[0]               # one result is given bare


def _split_expand(x: Any, axis: int, sizes: tuple[int, ...]) -> Any:
    ends = [*accumulate(sizes)]
    parts = [record(SECTION.op(axis=axis, start=end - n, stop=end), x) for n, end in zip(sizes, ends)]
    return tuple(parts) if len(parts) > 1 else parts[0]


SPLIT: Primitive = Primitive(
    "split", _split_infer, _split_kernel, linear=(0,), expand=_split_expand,
    vjp=lambda gs, ys, x, axis, sizes: (record(CONCAT.op(axis=axis), *gs),),
    batch=lambda args, axes, axis, sizes: (record(SPLIT.op(axis=axis + 1, sizes=sizes), front(args[0], axes[0])), 0),
    oracle=lambda x, axis, sizes: tuple(np.split(x, np.cumsum(sizes)[:-1], axis)),
    doc="Parts of given sizes along an axis.",
    cases=(lambda rng: ((rng.normal(size=(2, 4)),), {"axis": 1, "sizes": (1, 3)}),))


@lru_cache(4096)
def _split_op(shape: Shape, parts: Any, axis: int) -> Op:
    k = normalize_axis("split", axis, len(shape))
    n = shape[k]
    if isinstance(parts, int):
        if parts < 1 or n % parts:
            raise ShapeError(complain("split", "parts", f"a divisor of {n}, the length of axis {k}", parts,
                                      "give the sizes of the parts instead"))
        sizes: tuple[int, ...] = (n // parts,) * parts
    else:
        rest, total = parts.count(-1), 0
        for m in parts:
            total += m if m != -1 else 0
        if rest == 1 and total <= n:
            parts, total = tuple([n - total if m == -1 else m for m in parts]), n
        if total != n or min(parts, default=0) < 0 or not parts:
            raise ShapeError(complain("split", "sizes", f"adding up to {n}, the length of axis {k}", parts))
        sizes = parts
    return SPLIT.op(axis=k, sizes=sizes)


def split(x: Any, parts: Any, axis: int = 0) -> tuple[Any, ...]:
    """``x`` cut along ``axis``: into ``parts`` equal parts (an int) or into parts of the given sizes (one may be -1).

    Raises ShapeError where the length of the axis does not fit. (NumPy's split takes places of the cuts instead.)

    >>> import adjoint as ad
    >>> [p.tolist() for p in ad.split(ad.arange(4), [1, 3])]
    [[0], [1, 2, 3]]
    """
    t = x if isinstance(x, Value) else convert(x)
    key = as_shape("split", parts) if hasattr(parts, "__iter__") else int(parts)
    return record(_split_op(t._spec.shape, key, axis), t)  # type: ignore[no-any-return]


# -------------------------------------------------------------------------------------------------------------- unstack

def _unstack_infer(x: Spec, axis: int) -> tuple[Spec, ...]:
    return (spec((*x.shape[:axis], *x.shape[axis + 1:]), x.dtype),) * x.shape[axis]


def _unstack_kernel(x: Any, axis: int) -> Any:
    rows = np.moveaxis(x, axis, 0)
    if len(rows) == 1:                                   # one result is given bare
        return np.asarray(rows[0])
    return [rows[k] for k in range(rows.shape[0])] if rows.ndim > 1 else [np.asarray(v) for v in rows]


def _unstack_expand(x: Any, axis: int) -> Any:
    shape = x._spec.shape
    if shape[axis] > _MANY:
        return None
    before = [(0, n, 1) for n in shape[:axis]]
    return tuple([index_op(x, (*before, k)) for k in range(shape[axis])])


UNSTACK: Primitive = Primitive(
    "unstack", _unstack_infer, _unstack_kernel, linear=(0,), expand=_unstack_expand,
    vjp=lambda gs, ys, x, axis: (record(STACK.op(axis=axis), *gs),),
    batch=lambda args, axes, axis: (record(UNSTACK.op(axis=axis + 1), front(args[0], axes[0])), 0),
    oracle=lambda x, axis: tuple([np.take(x, k, axis) for k in range(x.shape[axis])]), doc="The slices along an axis.",
    cases=(lambda rng: ((rng.normal(size=(2, 3)),), {"axis": 1}),))


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices of ``x`` along ``axis``, without that axis. Raises AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> [float(v) for v in ad.unstack(ad.constant([1.0, 2.0]))]
    [1.0, 2.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    k = normalize_axis("unstack", axis, t._spec.ndim)
    return record(UNSTACK.op(axis=k), t) if t._spec.shape[k] else ()  # type: ignore[no-any-return]


# ---------------------------------------------------------------------------------------------------------------- stack

def _stack_infer(*specs: Spec, axis: int) -> Spec:
    first = specs[0]
    for s in specs:
        if s.shape != first.shape:
            raise ShapeError(complain("stack", "shapes", "the same", ", ".join(str(t.shape) for t in specs[:8])))
    return spec((*first.shape[:axis], len(specs), *first.shape[axis:]), first.dtype)


STACK: Primitive = Primitive(
    "stack", _stack_infer, lambda *xs, axis: np.stack(xs, axis),
    vjp=lambda g, y, *xs, axis: tuple(record(UNSTACK.op(axis=axis), g)),
    jvp=lambda ts, y, *xs, axis: record(STACK.op(axis=axis), *fill(ts, xs)),
    batch=lambda args, axes, axis: (record(STACK.op(axis=axis + 1), *batch_all(args, axes)), 0),
    places=lambda out, *specs, axis: [out[(*(slice(None),) * axis, k, ...)] for k in range(len(specs))],
    oracle=lambda *xs, axis: np.stack(xs, axis), doc="Tensors side by side along a new axis.",
    cases=(lambda rng: ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {"axis": 1}),))


def stack(arrays: Any, axis: int = 0) -> Any:
    """The tensors, all of one shape, side by side along a new axis.

    Raises ShapeError where shapes differ, AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> ad.stack([ad.constant([1.0, 2.0]), ad.constant([3.0, 4.0])], axis=1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    ts = common("stack", arrays)
    return record(STACK.op(axis=normalize_axis("stack", axis, ts[0]._spec.ndim + 1)), *ts)


def stack_nested(value: Any, dtype: Any = None) -> Any:
    """A nested list that holds tensors as one tensor, through which gradients flow."""
    if dtype is None:
        dtype = _dtype_within(value)
    want = as_dtype(dtype)
    items = [stack_nested(v, want) if holds_tensor(v) else convert(v, want) for v in value]
    shapes = {t._spec.shape for t in items}
    if len(shapes) > 1:
        raise ShapeError(complain("convert", "the items of a list", "of one shape",
                                  " and ".join(str(s) for s in sorted(shapes))))
    if not items:
        return wrap(np.zeros(0, want.np))
    return record(STACK.op(axis=0), *items)


def holds_tensor(value: Any) -> bool:
    """Whether a nested list has a tensor in it."""
    return isinstance(value, (list, tuple)) and any(isinstance(v, Value) or holds_tensor(v) for v in value)


def _dtype_within(value: Any) -> Any:
    """The dtype of the tensors and arrays in a nested list: Python numbers take it."""
    want, stack_of = None, [value]
    while stack_of:
        for v in stack_of.pop():
            if isinstance(v, (list, tuple)):
                stack_of.append(v)
            elif isinstance(v, (Value, np.ndarray, np.generic)):
                d = as_dtype(v.dtype)
                want = d if want is None else promote(want, d)
    return want


hooks.stack = stack_nested

# ------------------------------------------------------------------------------------------------------------ repeating

def _counts(repeats: Any, n: int) -> Any:
    return np.repeat(np.arange(n), repeats)


def _repeat_length(repeats: Any, n: int) -> int:
    if isinstance(repeats, int):
        return n * repeats
    total = 0
    for r in repeats:
        total += r
    return total


def _gather_repeats(x: Any, axis: int, repeats: Any, size: int) -> Any:
    if isinstance(repeats, int):
        runs = x.reshape(*x.shape[:axis], size, repeats, *x.shape[axis + 1:])
        return add_up(runs, (axis + 1,)).astype(x.dtype)
    out = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1:]), x.dtype)
    np.add.at(out, (*(slice(None),) * axis, _counts(repeats, size)), x)
    return out


def _repeat_expand(x: Any, axis: int, repeats: Any) -> Any:
    if not isinstance(repeats, int):
        return None
    shape = x._spec.shape
    before, n, after = shape[:axis], shape[axis], shape[axis + 1:]
    wide = broadcast_to(reshape(x, (*before, n, 1, *after)), (*before, n, repeats, *after))
    return reshape(wide, (*before, n * repeats, *after))


def _repeat_sum_expand(x: Any, axis: int, repeats: Any, size: int) -> Any:
    if not isinstance(repeats, int):
        return None
    shape = x._spec.shape
    return record(SUM.op(axes=(axis + 1,), keepdims=False), reshape(x, (*shape[:axis], size, repeats, *shape[axis + 1:])))


REPEAT: Primitive = Primitive(
    "repeat", lambda x, axis, repeats: spec(
        (*x.shape[:axis], _repeat_length(repeats, x.shape[axis]), *x.shape[axis + 1:]), x.dtype),
    lambda x, axis, repeats: np.repeat(x, repeats, axis), linear=(0,), expand=_repeat_expand,
    vjp=lambda g, y, x, axis, repeats: (
        record(REPEAT_SUM.op(axis=axis, repeats=repeats, size=x._spec.shape[axis]), g),),
    batch=lambda args, axes, axis, repeats: (
        record(REPEAT.op(axis=axis + 1, repeats=repeats), front(args[0], axes[0])), 0),
    oracle=lambda x, axis, repeats: np.repeat(x, repeats, axis), doc="Each element several times in a row.",
    cases=(lambda rng: ((rng.normal(size=(2, 3)),), {"axis": 1, "repeats": 2}),
           lambda rng: ((rng.normal(size=(3, 2)),), {"axis": 0, "repeats": (2, 0, 1)})))

REPEAT_SUM: Primitive = Primitive(
    "repeat_sum", lambda x, axis, repeats, size: spec((*x.shape[:axis], size, *x.shape[axis + 1:]), x.dtype),
    _gather_repeats, linear=(0,), expand=_repeat_sum_expand,
    vjp=lambda g, y, x, axis, repeats, size: (record(REPEAT.op(axis=axis, repeats=repeats), g),),
    batch=lambda args, axes, axis, repeats, size: (
        record(REPEAT_SUM.op(axis=axis + 1, repeats=repeats, size=size), front(args[0], axes[0])), 0),
    oracle=lambda x, axis, repeats, size: np.stack(
        [np.take(x, np.flatnonzero(_counts(repeats, size) == k), axis).sum(axis) for k in range(size)], axis),
    doc="Sums of runs of elements along an axis: the transpose of repeat.",
    cases=(lambda rng: ((rng.normal(size=(2, 6)),), {"axis": 1, "repeats": 2, "size": 3}),
           lambda rng: ((rng.normal(size=(3, 2)),), {"axis": 0, "repeats": (2, 0, 1), "size": 3})))


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element of ``x`` ``repeats`` times in a row along ``axis`` (None: of the flattened tensor).

    repeats   an int, or one int for each element along the axis

    >>> import adjoint as ad
    >>> ad.repeat(ad.arange(3), [1, 0, 2]).tolist()
    [0, 2, 2]
    """
    t = x if isinstance(x, Value) else convert(x)
    if axis is None:
        t, axis = ravel(t), 0
    k = normalize_axis("repeat", axis, t._spec.ndim)
    counts = as_shape("repeat", repeats)
    n = t._spec.shape[k]
    if min(counts, default=0) < 0 or len(counts) not in (1, n):
        raise ShapeError(complain("repeat", "repeats", f"one count of at least 0, or {n} of them", counts))
    return record(REPEAT.op(axis=k, repeats=counts[0] if len(counts) == 1 else counts), t)


def tile(x: Any, repetitions: Any) -> Any:
    """``x`` repeated as a whole, ``repetitions[k]`` times along axis k (counted from the last axes).

    >>> import adjoint as ad
    >>> ad.tile(ad.arange(2), (2, 2)).tolist()
    [[0, 1, 0, 1], [0, 1, 0, 1]]
    """
    t = x if isinstance(x, Value) else convert(x)
    times = as_shape("tile", repetitions)
    if min(times, default=0) < 0:
        raise ShapeError(complain("tile", "repetitions", "at least 0", times))
    shape = t._spec.shape
    ndim = max(len(times), len(shape))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - len(shape)) + shape
    apart: list[int] = []
    wide: list[int] = []
    for m, n in zip(times, shape):
        apart += [1, n]
        wide += [m, n]
    return reshape(broadcast_to(reshape(t, apart), wide), tuple([m * n for m, n in zip(times, shape)]))


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """The tensors broadcast to their common shape. Raises ShapeError where there is none."""
    ts = [x if isinstance(x, Value) else convert(x) for x in arrays]
    if not ts:
        return ()
    shape = broadcast_shapes("broadcast_arrays", *[t._spec.shape for t in ts])
    return tuple([broadcast_to(t, shape) for t in ts])


def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate grids: one tensor a row, of shape (len(y), len(x), ...) for "xy" and (len(x), len(y), ...) for "ij".

    >>> import adjoint as ad
    >>> [g.tolist() for g in ad.meshgrid(ad.arange(2), ad.arange(2))]
    [[[0, 1], [0, 1]], [[0, 0], [1, 1]]]
    """
    if indexing not in ("xy", "ij"):
        raise ArgumentError(complain("meshgrid", "indexing", "'xy' or 'ij'", repr(indexing)))
    ts = [ravel(x) if isinstance(x, Value) and x._spec.ndim == 0 else convert(x) for x in arrays]
    for t in ts:
        if t._spec.ndim > 1:
            raise ShapeError(complain("meshgrid", "each argument", "a row", f"shape {t._spec.shape}"))
    n = len(ts)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    shape = [1] * n
    for t, k in zip(ts, places):
        shape[k] = t._spec.size
    return tuple([broadcast_to(reshape(t, [t._spec.size if j == k else 1 for j in range(n)]), shape)
                  for t, k in zip(ts, places)])


# ------------------------------------------------------------------------------------------------ picking along an axis

def _spread_kernel(x: Any, idx: Any, axis: int, size: int) -> Any:
    shape = (*x.shape[:axis], size, *x.shape[axis + 1:])
    if idx.size and not (-size <= idx.min() and idx.max() < size):
        raise IndexingError(f"scatter: index {idx[(idx < -size) | (idx >= size)][0]} is outside an axis of {size}")
    idx = np.where(idx < 0, idx + size, idx)
    grid = list(np.ogrid[tuple(slice(n) for n in idx.shape)])
    grid[axis] = idx
    if x.dtype.kind in "fV" and x.size:                  # counting with weights adds up in float64, and faster
        flat = np.ravel_multi_index(np.broadcast_arrays(*grid), shape).ravel()
        return np.bincount(flat, x.ravel().astype(np.float64), math.prod(shape)).reshape(shape).astype(x.dtype)
    out = np.zeros(shape, x.dtype)
    np.add.at(out, tuple(grid), x)
    return out


def _pick_kernel(x: Any, idx: Any, axis: int) -> Any:
    try:
        return np.take_along_axis(x, idx, axis)
    except IndexError as error:
        raise IndexingError(f"take_along_axis: an index is outside the tensor of shape {x.shape}: {error}") from None


def _pick_infer(x: Spec, idx: Spec, axis: int) -> Spec:
    if idx.ndim != x.ndim or any(k != axis and a != b for k, (a, b) in enumerate(zip(x.shape, idx.shape))):
        raise ShapeError(complain("pick_along", "indices", f"of x's shape {x.shape} apart from axis {axis}", idx.shape))
    return spec(idx.shape, x.dtype)


def _along(axis: int, ndim: int) -> list[Along | By]:
    return [By(1, tuple(range(ndim))) if k == axis else Along(k) for k in range(ndim)]


def _pick_case(rng: Any) -> Any:
    return (rng.normal(size=(4, 3)), rng.integers(0, 4, size=(2, 3))), {"axis": 0}


def _spread_case(rng: Any) -> Any:
    return (rng.normal(size=(2, 3)), rng.integers(0, 4, size=(2, 3))), {"axis": 0, "size": 4}


PICK: Primitive = Primitive(
    "pick_along", _pick_infer, _pick_kernel, linear=(0,), gathers=lambda x, idx, axis: _along(axis, x.ndim),
    vjp=lambda g, y, x, idx, axis: (record(SPREAD.op(axis=axis, size=x._spec.shape[axis]), g, idx), None),
    batch=lambda args, axes, axis: (record(PICK.op(axis=axis + 1), *batch_all(args, axes)), 0),
    oracle=lambda x, idx, axis: np.take_along_axis(x, idx, axis), cases=(_pick_case,),
    doc="The elements at indices along an axis, row by row.")

SPREAD: Primitive = Primitive(
    "spread_along", lambda x, idx, axis, size: spec((*x.shape[:axis], size, *x.shape[axis + 1:]), x.dtype),
    _spread_kernel, linear=(0,), scatters=lambda x, idx, axis, size: _along(axis, x.ndim),
    vjp=lambda g, y, x, idx, axis, size: (record(PICK.op(axis=axis), g, idx), None),
    batch=lambda args, axes, axis, size: (record(SPREAD.op(axis=axis + 1, size=size), *batch_all(args, axes)), 0),
    oracle=lambda x, idx, axis, size: np.stack(
        [np.where(idx == k, x, 0.0).sum(axis) for k in range(size)], axis), cases=(_spread_case,),
    doc="The elements added into zeros at indices along an axis, row by row: the transpose of pick_along.")


def pick(x: Any, idx: Any, axis: int) -> Any:
    """The elements of ``x`` at indices along an axis; both have the same other axes."""
    return record(PICK.op(axis=axis), x, idx)



"""Borders around a tensor, and one-hot rows."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import DType, as_dtype
from .._errors import NotSupportedError, ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._tensor import Value
from .._trace import record
from ._make import normalize_axis
from .arithmetic import add, multiply, subtract
from .comparison import equal, where
from .convert import cast, convert
from .creation import full_of, ones_of
from .indexing import TENSOR, Key, index_op, iota, normal_key, scatter_add
from .movement import reshape
from .scatter import index_tensor, tensor

__all__ = ["one_hot", "pad"]

# --------------------------------------------------------------------------------------------------------------- pad

Widths = tuple[tuple[int, int], ...]
_MODES = {"constant": "constant", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}


def _pad_infer(x: Spec, widths: Widths, mode: str, value: Any) -> Spec:
    return spec(tuple(n + a + b for n, (a, b) in zip(x.shape, widths)), x.dtype)


def _pad_kernel(x: Any, widths: Widths, mode: str, value: Any) -> Any:
    if mode == "constant":
        out = np.full([n + a + b for n, (a, b) in zip(x.shape, widths)], value, x.dtype)
        out[tuple([slice(a, a + n) for n, (a, _) in zip(x.shape, widths)])] = x
        return out
    return np.pad(x, widths, mode=mode)  # type: ignore[call-overload]


def _inner(shape: Shape, widths: Widths) -> Key:
    return normal_key(tuple(n + a + b for n, (a, b) in zip(shape, widths)),
                      tuple((a, a + n, None) for n, (a, _) in zip(shape, widths)))


def _pad_vjp(g: Any, y: Any, x: Any, widths: Widths, mode: str, value: Any) -> tuple[Any]:
    if mode == "constant":
        return (index_op(g, _inner(x._spec.shape, widths)),)
    return (record(FOLD.op(widths=widths, mode=mode), g),)


def _pad_batch(args: Any, axes: Any, widths: Widths, mode: str, value: Any) -> tuple[Any, int]:
    k = axes[0]
    return record(PAD.op(widths=(*widths[:k], (0, 0), *widths[k:]), mode=mode, value=value), args[0]), k


def _pad_places(out: Any, x: Spec, widths: Widths, mode: str, value: Any) -> Any:
    if mode != "constant" or value != 0:
        return None
    return (out[tuple([slice(a, a + n) for (a, _), n in zip(widths, x.shape)])],)


PAD: Primitive = Primitive(
    "pad", _pad_infer, _pad_kernel, places=_pad_places, vjp=_pad_vjp, batch=_pad_batch,
    jvp=lambda ts, y, x, widths, mode, value: record(PAD.op(widths=widths, mode=mode, value=0), ts[0]),
    oracle=lambda x, widths, mode, value: np.pad(x, widths, mode=mode, **(
        {"constant_values": value} if mode == "constant" else {})),
    cases=tuple(
        (lambda mode, value: lambda rng: ((rng.normal(size=(3, 4)),), {"widths": ((1, 2), (0, 2)), "mode": mode,
                                                                       "value": value}))(mode, value)
        for mode, value in (("constant", 0), ("constant", 2.5), ("reflect", 0), ("symmetric", 0), ("edge", 0))),
    doc="A tensor with a border around it.")


def _fold_kernel(g: Any, widths: Widths, mode: str) -> Any:
    for axis, (a, b) in enumerate(widths):
        if a or b:
            n = g.shape[axis] - a - b
            source = np.pad(np.arange(n), (a, b), mode=mode)  # type: ignore[call-overload]
            z = np.zeros((n, *np.moveaxis(g, axis, 0).shape[1:]), g.dtype)
            g = np.moveaxis(scatter_add(z, (TENSOR,), (source,), np.moveaxis(g, axis, 0)), 0, axis)
    return g


def _fold_vjp(h: Any, y: Any, g: Any, widths: Widths, mode: str) -> tuple[Any]:
    return (record(PAD.op(widths=widths, mode=mode, value=0), h),)


def _fold_batch(args: Any, axes: Any, widths: Widths, mode: str) -> tuple[Any, int]:
    k = axes[0]
    return record(FOLD.op(widths=(*widths[:k], (0, 0), *widths[k:]), mode=mode), args[0]), k


FOLD = Primitive(
    "fold_border", lambda g, widths, mode: spec(tuple(n - a - b for n, (a, b) in zip(g.shape, widths)), g.dtype),
    _fold_kernel, vjp=_fold_vjp, linear=(0,), batch=_fold_batch, oracle=_fold_kernel,
    cases=(lambda rng: ((rng.normal(size=(6, 6)),), {"widths": ((1, 2), (0, 2)), "mode": "reflect"}),),
    doc="A border added back onto the elements it was copied from: the transpose of padding.")


@lru_cache(4096)
def _checked(shape: Shape, paddings: Any, mode: Any) -> tuple[str, Widths]:
    """The mode and the widths on each axis, or an error."""
    how = _MODES.get(mode.lower() if isinstance(mode, str) else "")
    if how is None:
        raise NotSupportedError(complain("pad", "mode", "'constant', 'reflect', 'symmetric' or 'edge'", repr(mode)))
    n = len(shape)
    try:
        given = np.asarray(paddings)
    except ValueError:
        raise ShapeError(complain("pad", "paddings", f"a pair for each of the {n} axes", paddings)) from None
    if given.dtype.kind not in "iu" and given.size:
        raise ShapeError(complain("pad", "paddings", "integers", paddings))
    if given.size == 1 or given.shape == (2,):
        given = np.broadcast_to(given if given.size == 2 else given.reshape(()), (n, 2))
    if given.shape != (n, 2) and not (given.size == 0 and n == 0):
        raise ShapeError(complain("pad", "paddings", f"a pair for each of the {n} axes", f"shape {given.shape}"))
    widths = tuple((int(a), int(b)) for a, b in given)
    for size, pair in zip(shape, widths):
        limit = size - 1 if how == "reflect" else size
        if min(pair) < 0 or (how in ("reflect", "symmetric") and max(pair) > limit) or (how == "edge" and not size and max(pair)):
            raise ShapeError(complain("pad", "paddings", "not negative" if min(pair) < 0 else f"at most {limit} on an axis of "
                                      f"length {size}", pair))
    return how, widths


def pad(x: Any, paddings: Any, mode: str = "constant", constant_values: Any = 0, name: str | None = None) -> Any:
    """``x`` with a border of ``paddings[k] = (before, after)`` elements on each axis k.

    paddings         a pair for each axis; a single pair or number serves all axes
    mode             "constant", "reflect" (without the edge), "symmetric" (with it) or "edge", in any case
    constant_values  number or scalar tensor that fills a constant border

    Raises ShapeError for paddings that are negative, of the wrong number, or wider than what is reflected.

    >>> import adjoint as ad
    >>> ad.pad(ad.Tensor([1., 2., 3.]), [(1, 2)], mode="reflect").tolist()
    [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """
    t = tensor(x)
    if isinstance(paddings, (Value, np.ndarray)):
        paddings = np.asarray(paddings._look() if isinstance(paddings, Value) else paddings).tolist()
    if paddings.__class__ is list:
        paddings = tuple([tuple(p) if p.__class__ is list else p for p in paddings])
    how, widths = _checked(t._spec.shape, paddings, mode)
    if how != "constant":
        return record(PAD.op(widths=widths, mode=how, value=0), t)
    if isinstance(constant_values, (Value, np.ndarray)):
        c = cast(constant_values, t._spec.dtype)
        border = subtract(1, record(PAD.op(widths=widths, mode=how, value=0), ones_of(t._spec)))
        return add(record(PAD.op(widths=widths, mode=how, value=0), t), multiply(border, c))
    value = constant_values.item() if isinstance(constant_values, np.generic) else constant_values
    return record(PAD.op(widths=widths, mode=how, value=value), t)


# ----------------------------------------------------------------------------------------------------------- one_hot

@lru_cache(256)
def _classes(depth: int, axis: int, ndim: int) -> Any:
    return np.arange(depth).reshape([-1 if k == axis else 1 for k in range(ndim + 1)])


def _one_hot_kernel(i: Any, depth: int, axis: int, on: Any, off: Any, dtype: DType) -> Any:
    i = np.asarray(i)
    hit = np.equal(i.reshape(*i.shape[:axis], 1, *i.shape[axis:]), _classes(depth, axis, i.ndim))
    return hit.astype(dtype.np) if (on, off) == (1, 0) else np.where(hit, dtype.np.type(on), dtype.np.type(off))


def _one_hot_batch(args: Any, axes: Any, depth: int, axis: int, **rest: Any) -> tuple[Any, int]:
    k = axes[0]
    moved = axis + 1 if axis > k else axis
    y = record(ONE_HOT.op(depth=depth, axis=moved if axis > k else axis, **rest), args[0])
    return y, k + 1 if axis <= k else k


def _one_hot_expand(i: Any, depth: int, axis: int, on: Any, off: Any, dtype: DType) -> Any:
    shape = i._spec.shape
    rows = reshape(cast(i, _dtypes.int64), (*shape[:axis], 1, *shape[axis:]))
    low, high = (full_of(spec((), dtype), v) for v in (off, on))
    return where(equal(rows, iota(depth, len(shape) + 1, axis)), high, low)


ONE_HOT = Primitive(
    "one_hot", lambda i, depth, axis, on, off, dtype: spec((*i.shape[:axis], depth, *i.shape[axis:]), dtype),
    _one_hot_kernel, batch=_one_hot_batch, expand=_one_hot_expand,
    cases=(lambda rng: ((np.array([[0, 2], [5, -1]]),), {"depth": 3, "axis": 1, "on": 1, "off": 0,
                                                         "dtype": _dtypes.float64}),),
    oracle=lambda i, **p: np.moveaxis(np.where(
        (np.asarray(i)[..., None] == np.arange(p["depth"])), p["on"], p["off"]), -1, p["axis"]).astype(p["dtype"].np),
    doc="Indices as rows that hold one value at the index and another elsewhere.")


@lru_cache(1024)
def _plain_one_hot(depth: int, axis: int | None, ndim: int, dtype: DType) -> Op:
    if depth < 0:
        raise ShapeError(complain("one_hot", "depth", "not negative", depth))
    k = normalize_axis("one_hot", -1 if axis is None else axis, ndim + 1)
    return ONE_HOT.op(depth=depth, axis=k, on=1, off=0, dtype=dtype)


def one_hot(indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: int | None = None,
            dtype: Any = None, name: str | None = None) -> Any:
    """Rows of length ``depth`` with ``on_value`` at the index and ``off_value`` elsewhere.

    indices             integers of any shape; one outside [0, depth) gives a row without a hit
    depth               length of the new axis
    on_value, off_value numbers (1 and 0 by default) or scalar tensors, which get gradients
    axis                where the new axis stands; last by default
    dtype               float32 by default

    >>> import adjoint as ad
    >>> ad.one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    idx = index_tensor("one_hot", indices)
    if on_value is None and off_value is None and depth.__class__ is int and (dtype is None or dtype.__class__ is DType):
        return record(_plain_one_hot(depth, axis, idx._spec.ndim, dtype or _dtypes.DEFAULT_FLOAT), idx)
    n = int(depth)
    if n < 0:
        raise ShapeError(complain("one_hot", "depth", "not negative", n))
    k = normalize_axis("one_hot", -1 if axis is None else axis, idx._spec.ndim + 1)
    tensors = [v for v in (on_value, off_value) if isinstance(v, (Value, np.ndarray, np.generic))]
    if dtype is None and tensors:
        want = convert(tensors[0])._spec.dtype
    else:
        want = _dtypes.DEFAULT_FLOAT if dtype is None else as_dtype(dtype)
    if any(isinstance(v, Value) for v in tensors):
        hot = record(ONE_HOT.op(depth=n, axis=k, on=1, off=0, dtype=want), idx)
        on = cast(1 if on_value is None else on_value, want)
        off = cast(0 if off_value is None else off_value, want)
        return add(multiply(hot, on), multiply(subtract(1, hot), off))
    on = 1 if on_value is None else on_value.item() if hasattr(on_value, "item") else on_value
    off = 0 if off_value is None else off_value.item() if hasattr(off_value, "item") else off_value
    return record(ONE_HOT.op(depth=n, axis=k, on=on, off=off, dtype=want), idx)

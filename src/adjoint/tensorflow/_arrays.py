"""Making, reshaping, joining and indexing tensors."""
from __future__ import annotations

import builtins
from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes
from .._dtypes import as_dtype
from .._errors import ArgumentError, DtypeError, NotSupportedError, ShapeError, complain
from .._tensor import Tensor, Value, Variable
from .._trace import INPUT, READ, SCALAR_INPUT, input_number
from ..primitives._make import broadcast_shapes, normalize_axis
from ._bind import public
from ._errors import ConversionError
from ._types import TensorShape

int32, int64, float32, float64 = _dtypes.int32, _dtypes.int64, _dtypes.float32, _dtypes.float64


def tensor(x: Any, dtype: Any = None) -> Any:
    """``x`` as a tensor (Variables stay); ``dtype`` is what Python numbers and arrays take."""
    if isinstance(x, Value):
        return x
    t = ad.constant(x, dtype=dtype)
    return ad.constant(x, dtype=_dtypes.complex128) if dtype is None and t.dtype is _dtypes.complex64 and not _strong(x) else t


def _strong(x: Any) -> bool:
    """Whether there is something with a dtype of its own in a nest of numbers."""
    return hasattr(x, "dtype") or isinstance(x, (list, tuple)) and any(_strong(v) for v in x)


def known(t: Any) -> Any:
    """The value of a tensor as an array, also while a function is traced if it depends on constants alone: a shape's part."""
    trace = t._trace
    if trace is None or not trace.scratch or isinstance(t, Variable) or t._value is not None:
        return t._look()
    nodes, found = trace.nodes(), {}

    def at(idx: int) -> Any:
        if idx not in found:
            node = nodes[idx]
            if node.op.prim is INPUT:
                number = input_number(trace, idx)
                owner = trace.owners[number]
                if node.op is not SCALAR_INPUT and (owner.__class__ is not Tensor or owner._value is None):
                    return t._look()                     # says that a traced tensor has no value
                found[idx] = np.asarray(trace.inputs[number], node.spec.dtype.np)
            elif node.op.prim is READ:
                return t._look()
            else:
                out = node.op.prim.kernel(*[at(i) for i in node.args], **node.op.params)
                for k, value in enumerate(out if node.spec.__class__ is tuple else (out,)):
                    found[node.idx + k] = np.asarray(value)
        return found[idx]

    return at(t._idx)


def ints(x: Any) -> Any:
    """A shape, axis or count argument as an int, a tuple of ints or None."""
    if x is None or x.__class__ is int:
        return x
    if isinstance(x, Value):
        x = known(x).tolist()
    elif isinstance(x, (np.ndarray, np.generic)):
        x = x.tolist()
    if isinstance(x, (list, tuple)):
        return tuple([d if d.__class__ is int else ints(d) for d in x])
    try:
        return x.__index__()
    except AttributeError:
        raise DtypeError(complain("a shape or axis", "it", "an integer or a sequence of integers", repr(x))) from None


def shape_of(x: Any) -> tuple[int, ...]:
    dims = ints(x)
    return dims if isinstance(dims, tuple) else (dims,)


# ---------------------------------------------------------------------------------------------------------------- making

@public("constant keras.backend.constant")
def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Any:
    """A tensor with this value; with ``shape``, reshaped to it or filled with a single value."""
    _no_text("constant", value)
    if isinstance(value, Value):
        t = value if dtype is None else ad.cast(value, dtype)
    else:
        t = tensor(value, dtype)
    if shape is None:
        return t
    dims = shape_of(shape)
    if t.size == 1:
        return ad.broadcast_to(ad.reshape(t, ()), dims)
    if t.size != int(np.prod(dims)):
        raise TypeError(f"Eager execution of tf.constant with unsupported shape. Tensor {t} (converted from {value!r:.60}) has "
                        f"{t.size} elements, but got `shape` {list(dims)} with {int(np.prod(dims))} elements")
    return ad.reshape(t, dims)


def _no_text(what: str, value: Any) -> None:
    if isinstance(value, (str, bytes)):
        raise NotSupportedError(f"{what}: adjoint has no string tensors; keep text in Python strings (got {value!r:.40})")


@public("convert_to_tensor")
def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """``value`` as a tensor; a tensor of another dtype than ``dtype`` is an error, not a cast."""
    _no_text("convert_to_tensor", value)
    if value is None:
        raise ValueError("Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) to a Tensor.")
    if isinstance(value, Value):
        if dtype is not None and as_dtype(dtype) is not value.dtype:
            raise ConversionError(f"Tensor conversion requested dtype {as_dtype(dtype).name} for Tensor with dtype "
                                  f"{value.dtype.name}: cast it with tf.cast")
        return value.read_value() if isinstance(value, Variable) else value
    if dtype is None and dtype_hint is not None:
        try:
            return ad.constant(value, dtype=dtype_hint)
        except DtypeError:
            pass
    if isinstance(value, np.ndarray | np.generic) and dtype is not None:
        value = np.asarray(value).astype(as_dtype(dtype).np)
    return ad.constant(value, dtype=dtype)


@public("is_tensor")
def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor or a variable."""
    return isinstance(x, Value)


@public("zeros")
def zeros(shape: Any, dtype: Any = float32, name: str | None = None, layout: Any = None) -> Any:
    """A tensor of zeros."""
    return ad.zeros(shape_of(shape), dtype=dtype)


@public("ones")
def ones(shape: Any, dtype: Any = float32, name: str | None = None, layout: Any = None) -> Any:
    """A tensor of ones."""
    return ad.ones(shape_of(shape), dtype=dtype)


@public("fill")
def fill(dims: Any, value: Any, name: str | None = None, layout: Any = None) -> Any:
    """A tensor of shape ``dims`` filled with one value."""
    t = tensor(value)
    if t.ndim:
        raise ShapeError(complain("fill", "value", "a scalar", f"shape {tuple(t.shape)}"))
    return ad.broadcast_to(t, shape_of(dims))


@public("zeros_like")
def zeros_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Any:
    """Zeros of the shape (and dtype) of ``input``."""
    return ad.zeros_like(tensor(input), dtype=dtype)


@public("ones_like")
def ones_like(input: Any, dtype: Any = None, name: str | None = None, layout: Any = None) -> Any:
    """Ones of the shape (and dtype) of ``input``."""
    return ad.ones_like(tensor(input), dtype=dtype)


@public("eye linalg.eye")
def eye(num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = float32,
        name: str | None = None) -> Any:
    """The identity matrix, repeated over ``batch_shape``."""
    rows = ints(num_rows)
    made = ad.eye(rows, rows if num_columns is None else ints(num_columns), dtype=dtype)
    return made if batch_shape is None else ad.broadcast_to(made, shape_of(batch_shape) + tuple(made.shape))


_RANGES = (int32, int64, float32, float64)


@public("range")
def range_(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Any:
    """The numbers from ``start`` up to, not including, ``limit`` in steps of ``delta``; with one argument, from 0.

    int32 for Python integers, float32 where a Python float is among them, otherwise the highest dtype given.
    """
    if limit is None:
        start, limit = 0, start
    parts = (start, limit, delta)
    if dtype is None:
        dtypes = [_range_dtype(p) for p in parts]
        dtype = max(dtypes, key=lambda d: _RANGES.index(d) if d in _RANGES else -1)
    values = [known(p).item() if isinstance(p, Value) else p.item() if hasattr(p, "item") else p for p in parts]
    if values[2] == 0:
        raise ArgumentError(complain("range", "delta", "not 0", values[2]))
    if values[0] > values[1] and values[2] > 0 or values[0] < values[1] and values[2] < 0:
        raise ArgumentError(f"range: requires start <= limit when delta > 0 (or start >= limit when delta < 0), got "
                            f"{values[0]}, {values[1]}, {values[2]}")
    return ad.arange(values[0], values[1], values[2], dtype=as_dtype(dtype))


def _range_dtype(x: Any) -> Any:
    if hasattr(x, "dtype"):
        return as_dtype(x.dtype)
    return float32 if isinstance(x, float) else int32


@public("linspace")
def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Any:
    """``num`` evenly spaced values from ``start`` to ``stop``, both included, along a new axis.

    Python integers count in float64, as in TensorFlow; Python floats in float32.
    """
    if isinstance(start, int) and isinstance(stop, int):
        return ad.linspace(start, stop, ints(num), dtype=float64)
    if not isinstance(start, Value) and not isinstance(stop, Value) and np.ndim(start) == 0 == np.ndim(stop):
        dtype = next((as_dtype(v.dtype) for v in (start, stop) if hasattr(v, "dtype")), float32)
        return ad.linspace(start, stop, ints(num), dtype=dtype if dtype.kind == "f" else float64)
    a = tensor(start, stop.dtype if isinstance(stop, Value) else None)
    b = tensor(stop, a.dtype)
    if a.dtype.kind in "iu":
        a, b = ad.cast(a, float64), ad.cast(b, float64)
    count = ints(num)
    if count < 1:
        raise ArgumentError(complain("linspace", "num", "positive", count))
    shape = broadcast_shapes("linspace", tuple(a.shape), tuple(b.shape))
    at = normalize_axis("linspace", axis, len(shape) + 1)
    steps = ad.linspace(0.0, 1.0, count, dtype=a.dtype)
    steps = ad.reshape(steps, tuple(count if k == at else 1 for k in builtins.range(len(shape) + 1)))
    low = ad.expand_dims(ad.broadcast_to(a, shape), axis=at)
    high = ad.expand_dims(ad.broadcast_to(b, shape), axis=at)
    return ad.where(steps < 0.5, low + (high - low) * steps, high - (high - low) * (1.0 - steps))


@public("one_hot")
def one_hot(indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None,
            name: str | None = None) -> Any:
    """``on_value`` (1) where an index points, ``off_value`` (0) elsewhere; an index outside gives a row of ``off_value``.

    float32, unless ``dtype`` or one of the values says otherwise.
    """
    given = [v for v in (on_value, off_value) if v is not None]
    if dtype is None and given:
        dtype = tensor(given[0]).dtype
    return ad.one_hot(tensor(indices), ints(depth), on_value, off_value, axis=ints(axis), dtype=dtype)


@public("complex dtypes.complex")
def complex_(real: Any, imag: Any, name: str | None = None) -> Any:
    """The complex number real + i imag."""
    a = tensor(real)
    b = tensor(imag, a.dtype)
    if a.dtype not in (float32, float64) or a.dtype is not b.dtype:
        raise TypeError(f"The `real` and `imag` components have incorrect types: {a.dtype.name} {b.dtype.name}. They must be "
                        f"consistent, and one of {[float32, float64]}")
    kind = _dtypes.complex64 if a.dtype is float32 else _dtypes.complex128
    return ad.cast(a, kind) + ad.cast(b, kind) * 1j


@public("cast dtypes.cast keras.backend.cast")
def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """``x`` in another dtype; floats are truncated on their way to integers."""
    return ad.cast(x, dtype)


@public("saturate_cast dtypes.saturate_cast")
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """``value`` in another dtype, values outside its range taking its nearest limit."""
    t, want = tensor(value), as_dtype(dtype)
    if t.dtype.kind in "iuf" and want.kind in "iuf" and t.dtype is not want:
        low, high = builtins.max(t.dtype.min, want.min), builtins.min(t.dtype.max, want.max)
        t = ad.clip(t, ad.constant(low, dtype=t.dtype), ad.constant(high, dtype=t.dtype))
    return ad.cast(t, want)


# ----------------------------------------------------------------------------------------------------------------- shapes

@public("shape")
def shape(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    """The shape, an int32 tensor."""
    return ad.constant(np.asarray(tuple(tensor(input).shape), dtype=as_dtype(out_type or int32).np))


@public("size")
def size(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    """The number of elements, an int32 tensor."""
    return ad.constant(tensor(input).size, dtype=out_type or int32)


@public("rank")
def rank(input: Any, name: str | None = None) -> Any:
    """The number of axes, an int32 tensor."""
    return ad.constant(tensor(input).ndim, dtype=int32)


@public("reshape")
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The elements, row-major, in another shape; one dimension may be -1."""
    return ad.reshape(tensor, shape_of(shape))


@public("ensure_shape")
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """``x``, after a check that its shape is compatible with ``shape``."""
    t = tensor(x)
    if not TensorShape(shape).is_compatible_with(t.shape):
        raise ShapeError(complain("ensure_shape", "x", f"compatible with {TensorShape(shape)}", tuple(t.shape)))
    return t


@public("broadcast_to")
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """``input`` repeated to ``shape``."""
    return ad.broadcast_to(tensor(input), shape_of(shape))


@public("broadcast_static_shape")
def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    """The shape two shapes broadcast to."""
    return TensorShape(broadcast_shapes("broadcast_static_shape", tuple(shape_x), tuple(shape_y)))


@public("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    """The shape two shapes broadcast to, an int32 tensor."""
    found = broadcast_shapes("broadcast_dynamic_shape", shape_of(shape_x), shape_of(shape_y))
    return ad.constant(np.asarray(found, np.int32))


@public("transpose")
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str = "transpose") -> Any:
    """The axes in another order, reversed by default."""
    t = ad.transpose(tensor(a), ints(perm))
    return ad.conj(t) if conjugate else t


@public("linalg.matrix_transpose")
def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Any:
    """The last two axes exchanged."""
    t = ad.matrix_transpose(tensor(a))
    return ad.conj(t) if conjugate else t


@public("linalg.adjoint")
def adjoint(matrix: Any, name: str | None = None) -> Any:
    """The conjugate of the last two axes exchanged."""
    return ad.conj(ad.matrix_transpose(tensor(matrix)))


@public("expand_dims")
def expand_dims(input: Any, axis: Any, name: str | None = None) -> Any:
    """A new axis of length 1 at ``axis``."""
    return ad.expand_dims(tensor(input), axis=ints(axis))


@public("squeeze")
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """Axes of length 1 removed: all of them, or those named."""
    t = tensor(input)
    axes = ints(axis)
    if axes is None or axes == ():
        axes = tuple(k for k, n in enumerate(t.shape) if n == 1)
    return ad.squeeze(t, axis=axes) if axes != () else ad.identity(t)


@public("concat keras.backend.concatenate")
def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """Tensors joined along an existing axis."""
    return ad.concat(_alike("concat", [values] if isinstance(values, Value) and not values.ndim else values), axis=ints(axis))


@public("stack")
def stack(values: Any, axis: Any = 0, name: str = "stack") -> Any:
    """Tensors joined along a new axis."""
    return ad.stack(_alike("stack", values), axis=ints(axis))


def _alike(what: str, values: Any) -> list[Any]:
    """The values as tensors of one dtype: that of the first tensor among them, or of the first value."""
    items = list(values)
    dtype = next((v.dtype for v in items if isinstance(v, Value)), None)
    made = []
    for v in items:
        made.append(tensor(v, dtype))
        dtype = dtype or made[0].dtype
    for k, t in enumerate(made):
        if t.dtype is not made[0].dtype:
            raise DtypeError(f"cannot compute {what} as input #{k} (zero-based) was expected to be a {made[0].dtype.name} "
                             f"tensor but is a {t.dtype.name} tensor; cast one of them with tf.cast")
    return made


@public("unstack")
def unstack(value: Any, num: Any = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The slices along an axis, as a list."""
    t = tensor(value)
    if not t.ndim:
        raise ValueError("Cannot infer argument `num` from shape (): a scalar cannot be unstacked")
    at = normalize_axis("unstack", ints(axis), t.ndim)
    if num is not None and ints(num) != t.shape[at]:
        raise ShapeError(complain("unstack", "num", f"{t.shape[at]}, the axis's length", num))
    return list(ad.unstack(t, axis=at))


@public("split")
def split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None, name: str = "split") -> list[Any]:
    """Pieces along an axis: so many equal ones, or of the sizes given (one of which may be -1)."""
    return list(ad.split(tensor(value), ints(num_or_size_splits), axis=ints(axis)))


@public("tile")
def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """``input`` repeated ``multiples`` times along each axis."""
    t, times = tensor(input), shape_of(multiples)
    if len(times) != t.ndim:
        raise ShapeError(complain("tile", "multiples", f"one for each of the {t.ndim} axes", times))
    return ad.tile(t, times)


@public("repeat")
def repeat(input: Any, repeats: Any, axis: Any = None, name: str | None = None) -> Any:
    """Each element along an axis (of the flattened tensor by default) repeated."""
    counts: Any = repeats if repeats.__class__ is int else np.asarray(repeats)
    if counts.__class__ is not int and counts.ndim == 0:
        counts = int(counts)
    return ad.repeat(tensor(input), counts, axis=ints(axis))


@public("reverse")
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """The axes named run backwards."""
    return ad.flip(tensor, axis=shape_of(axis))


@public("roll")
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Any:
    """The elements moved along the axes, those that fall off coming in at the other end."""
    return ad.roll(tensor(input), ints(shift), axis=ints(axis))


@public("pad")
def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: str | None = None) -> Any:
    """``paddings[k] = (before, after)`` elements added along axis k: constant, or the edge reflected."""
    modes = {"CONSTANT": "constant", "REFLECT": "reflect", "SYMMETRIC": "symmetric"}
    if mode.upper() not in modes:
        raise ValueError(f"Unknown padding mode: {mode}. It is one of {', '.join(modes)}")
    how = modes[mode.upper()]
    if how == "constant":
        return ad.pad(tensor, ints(paddings), mode=how, constant_values=constant_values)
    return ad.pad(tensor, ints(paddings), mode=how)


@public("meshgrid")
def meshgrid(*args: Any, **kwargs: Any) -> list[Any]:
    """Coordinate tensors of the grid that one-dimensional tensors span."""
    indexing = kwargs.pop("indexing", "xy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"meshgrid() got an unexpected keyword argument {next(iter(kwargs))!r}")
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Argument `indexing` must be 'xy' or 'ij', got {indexing!r}")
    return list(ad.meshgrid(*[tensor(a) for a in args], indexing=indexing)) if args else []


@public("identity")
def identity(input: Any, name: str | None = None) -> Any:
    """A tensor with the same value; of a list, stacked."""
    return ad.identity(input)


@public("identity_n")
def identity_n(input: Any, name: str | None = None) -> list[Any]:
    """Tensors with the same values."""
    return [ad.identity(v) for v in input]


@public("stop_gradient")
def stop_gradient(input: Any, name: str | None = None) -> Any:
    """The same value, through which no gradient flows."""
    return ad.stop_gradient(input)


@public("get_static_value")
def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value as a NumPy array."""
    return tensor.numpy() if isinstance(tensor, Tensor) else tensor if isinstance(tensor, np.ndarray) else None


# --------------------------------------------------------------------------------------------------------------- choosing

@public("where")
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """``x`` where the condition holds and ``y`` elsewhere; with the condition alone, the int64 places where it holds."""
    c = tensor(condition)
    if (x is None) != (y is None):
        raise ValueError("x and y must both be non-None or both be None.")
    if c.dtype is not _dtypes.bool_:
        if x is not None:
            raise DtypeError(complain("where", "condition", "bool", c.dtype.name, "compare it with 0"))
        c = ad.not_equal(c, ad.zeros((), dtype=c.dtype))
    if x is None:
        if not c.ndim:
            return ad.zeros((int(bool(c)), 0), dtype=int64)
        return ad.cast(ad.stack(list(ad.nonzero(c)), axis=1), int64)
    a, b = _alike("where", (x, y))
    return ad.where(c, a, b)


@public("boolean_mask")
def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Any:
    """The slices of ``tensor`` where ``mask`` is true, along ``axis`` (0)."""
    t = tensor if isinstance(tensor, Value) else ad.constant(tensor)
    m = mask if isinstance(mask, Value) else ad.constant(mask)
    at = 0 if axis is None else normalize_axis("boolean_mask", ints(axis), t.ndim)
    if not m.ndim:
        raise ValueError("mask cannot be scalar.")
    if tuple(t.shape)[at:at + m.ndim] != tuple(m.shape):
        raise ShapeError(complain("boolean_mask", "mask", f"of the shape of the axes it masks, {tuple(t.shape)[at:at + m.ndim]}",
                                  tuple(m.shape)))
    return ad.boolean_mask(t, ad.cast(m, _dtypes.bool_), axis=at)


@public("slice")
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """``size`` elements from ``begin`` along each axis; -1 for all that are left."""
    t = tensor(input_)
    starts, counts = shape_of(begin), shape_of(size)
    if len(starts) != t.ndim or len(counts) != t.ndim:
        raise ShapeError(complain("slice", "begin and size", f"of length {t.ndim}", f"{len(starts)} and {len(counts)}"))
    key = []
    for b, s, n in zip(starts, counts, t.shape):
        stop = n if s == -1 else b + s
        if not (0 <= b <= n and b <= stop <= n):
            raise ArgumentError(complain("slice", "begin and size", f"within the axis's length {n}", f"{b} and {s}"))
        key.append(builtins.slice(b, stop))
    return t[tuple(key)]


@public("strided_slice")
def strided_slice(input_: Any, begin: Any, end: Any, strides: Any = None, begin_mask: int = 0, end_mask: int = 0,
                  ellipsis_mask: int = 0, new_axis_mask: int = 0, shrink_axis_mask: int = 0, var: Any = None,
                  name: str | None = None) -> Any:
    """``input_[begin:end:strides]`` along each axis, with TensorFlow's bit masks."""
    b, e = shape_of(begin), shape_of(end)
    s = (1,) * len(b) if strides is None else shape_of(strides)
    key: list[Any] = []
    for k, (low, high, step) in enumerate(zip(b, e, s)):
        bit = 1 << k
        if ellipsis_mask & bit:
            key.append(Ellipsis)
        elif new_axis_mask & bit:
            key.append(None)
        elif shrink_axis_mask & bit:
            key.append(low)
        else:
            key.append(builtins.slice(None if begin_mask & bit else low, None if end_mask & bit else high, step))
    return tensor(input_)[tuple(key)]

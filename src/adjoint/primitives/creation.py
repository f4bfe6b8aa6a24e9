"""Tensors from nothing: constant fills, ranges, identities."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import DType, as_dtype
from .._errors import ArgumentError, DtypeError, ShapeError, complain
from .._graph import Primitive, Spec, spec
from .._tensor import Value, wrap
from .._trace import record
from .arithmetic import add, multiply, subtract
from .convert import cast, convert

__all__ = [
    "arange", "empty", "empty_like", "eye", "from_dlpack", "linspace", "ones", "ones_like", "zeros", "zeros_like",
]

FULL: Primitive = Primitive(
    "full", lambda shape, value, dtype: spec(shape, dtype),
    lambda shape, value, dtype: np.full(shape, value, dtype.np),
    cases=(lambda rng: ((), {"shape": (2, 3), "value": 1, "dtype": _dtypes.float64}),),
    oracle=lambda shape, value, dtype: np.zeros(shape) + value,
    doc="A tensor filled with one value.")


def full_of(s: Spec, value: float) -> Any:
    """A tensor of this spec filled with a value."""
    dtype: DType = s.dtype
    return record(FULL.op(shape=s.shape, value=value, dtype=dtype))


def zeros_of(s: Spec) -> Any:
    return full_of(s, 0)


def ones_of(s: Spec) -> Any:
    return full_of(s, 1)


# ------------------------------------------------------------------------------------------------------------ constants

def dims_of(name: str, shape: Any) -> tuple[int, ...]:
    """A shape argument for a new tensor, checked."""
    if isinstance(shape, Value):
        shape = shape.tolist()
    try:
        dims = tuple([n.__index__() for n in shape]) if hasattr(shape, "__iter__") else (shape.__index__(),)
    except (AttributeError, TypeError):
        raise ShapeError(complain(name, "shape", "an integer or a sequence of integers", repr(shape))) from None
    if min(dims, default=0) < 0:
        raise ShapeError(complain(name, "shape", "of dimensions of at least 0", dims))
    return dims


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros of a shape; float32 by default. Raises ShapeError for a shape that is none.

    >>> import adjoint as ad
    >>> ad.zeros(2).tolist()
    [0.0, 0.0]
    """
    return wrap(np.zeros(dims_of("zeros", shape), np.float32 if dtype is None else as_dtype(dtype).np))


def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones of a shape; float32 by default. Raises ShapeError for a shape that is none."""
    return wrap(np.ones(dims_of("ones", shape), np.float32 if dtype is None else as_dtype(dtype).np))


def empty(shape: Any, dtype: Any = None) -> Any:
    """The same as ``zeros``: a tensor always has values."""
    return zeros(shape, dtype)


def like(x: Any, dtype: Any) -> tuple[tuple[int, ...], Any]:
    """The shape and NumPy dtype for a tensor made after ``x``."""
    t = x if isinstance(x, Value) else convert(x)
    return t._spec.shape, (t._spec.dtype if dtype is None else as_dtype(dtype)).np


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros of the shape and dtype of ``x``."""
    shape, kind = like(x, dtype)
    return wrap(np.zeros(shape, kind))


def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones of the shape and dtype of ``x``."""
    shape, kind = like(x, dtype)
    return wrap(np.ones(shape, kind))


def empty_like(x: Any, dtype: Any = None) -> Any:
    """The same as ``zeros_like``."""
    return zeros_like(x, dtype)


def eye(n_rows: int, n_cols: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on the ``k``-th diagonal of a matrix of zeros.

    >>> import adjoint as ad
    >>> ad.eye(2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    rows, columns = dims_of("eye", (n_rows, n_rows if n_cols is None else n_cols))
    return wrap(np.eye(rows, columns, int(k), np.float32 if dtype is None else as_dtype(dtype).np))


def from_dlpack(x: Any, copy: bool | None = None) -> Any:
    """A tensor from any object with ``__dlpack__``; its memory is shared only with ``copy=False``."""
    if isinstance(x, Value):
        return convert(x)
    if not hasattr(x, "__dlpack__"):
        raise DtypeError(complain("from_dlpack", "x", "an object with __dlpack__", type(x).__name__))
    array = np.from_dlpack(x)
    as_dtype(array.dtype)
    return wrap(array if copy is False else array.copy())


# --------------------------------------------------------------------------------------------------------------- ranges

def _number(name: str, argument: str, value: Any) -> Any:
    """A bound of a range as a Python number."""
    if isinstance(value, Value):
        value = value._look()
    if isinstance(value, (np.ndarray, np.generic)) and value.size == 1:
        value = value.item()
    if not isinstance(value, (int, float)):
        raise ArgumentError(complain(name, argument, "a number", f"{value!r:.60}"))
    return value


def _range_dtype(values: tuple[Any, ...], originals: tuple[Any, ...]) -> DType:
    dtype: DType | None = None
    for v in originals:
        if hasattr(v, "dtype"):
            d = as_dtype(v.dtype)
            dtype = d if dtype is None else _dtypes.promote(dtype, d)
    if dtype is None:
        dtype = _dtypes.DEFAULT_FLOAT if any(isinstance(v, float) for v in values) else _dtypes.DEFAULT_INT
        if dtype.kind == "i" and any(not dtype.min <= v <= dtype.max for v in values):
            dtype = _dtypes.int64
    if dtype.kind in "iub" and any(isinstance(v, float) for v in values):
        dtype = _dtypes.DEFAULT_FLOAT
    return dtype


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    """start, start + step, ... below ``stop`` (one argument: from 0); int32 for integers, float32 with a float.

    The values are start + k step, computed in float64. Raises ArgumentError for a step of 0.

    >>> import adjoint as ad
    >>> ad.arange(1, 7, 2).tolist()
    [1, 3, 5]
    """
    if dtype is None and start.__class__ is int and step == 1 and (stop is None or stop.__class__ is int):
        span = (0, start) if stop is None else (start, stop)
        if span[0] >= -0x80000000 and span[1] <= 0x80000000:
            return wrap(np.arange(span[0], span[1], dtype=np.int32))
    originals = tuple(v for v in (start, stop, step) if v is not None)
    a, b = (0, start) if stop is None else (start, stop)
    a, b, s = _number("arange", "start", a), _number("arange", "stop", b), _number("arange", "step", step)
    if s == 0:
        raise ArgumentError(complain("arange", "step", "other than 0", s))
    want = _range_dtype((a, b, s), originals) if dtype is None else as_dtype(dtype)
    if not all(map(math.isfinite, (a, b, s))):
        raise ArgumentError(complain("arange", "start, stop and step", "finite", (a, b, s)))
    if isinstance(a, int) and isinstance(b, int) and isinstance(s, int):
        return wrap(np.arange(a, b, s).astype(want.np))
    n = max(0, math.ceil((b - a) / s))
    return wrap((a + np.arange(n) * s).astype(want.np))


def linspace(start: Any, stop: Any, num: int = 50, dtype: Any = None, endpoint: bool = True, axis: int = 0) -> Any:
    """``num`` evenly spaced values from ``start`` to ``stop``, both included (``endpoint=False``: without the last).

    start, stop   numbers, or tensors that broadcast: then the points are along ``axis``, and gradients flow to both

    The values are computed in float64 and rounded once. Raises ArgumentError for a negative ``num``.

    >>> import adjoint as ad
    >>> ad.linspace(0.0, 1.0, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    try:
        n = num.__index__()
    except AttributeError:
        raise ArgumentError(complain("linspace", "num", "an integer", repr(num))) from None
    if n < 0:
        raise ArgumentError(complain("linspace", "num", "at least 0", n))
    if isinstance(start, Value) or isinstance(stop, Value):
        return _linspace_between(start, stop, n, dtype, endpoint, axis)
    if dtype is None:
        kinds = [as_dtype(v.dtype) for v in (start, stop) if hasattr(v, "dtype")]
        want = _dtypes.DEFAULT_COMPLEX if isinstance(start, complex) or isinstance(stop, complex) else (
            _dtypes.DEFAULT_FLOAT)
        if kinds and kinds[0].kind in "fc":
            want = kinds[0] if len(kinds) == 1 else _dtypes.promote(*kinds)
    else:
        want = as_dtype(dtype)
    values = np.linspace(start, stop, n, endpoint=bool(endpoint), axis=axis)
    return wrap(values.astype(want.np))


def _linspace_between(start: Any, stop: Any, n: int, dtype: Any, endpoint: bool, axis: int) -> Any:
    beside = start if isinstance(start, Value) else stop
    a = convert(start, beside._spec.dtype, True)
    b = convert(stop, beside._spec.dtype, True)
    want = _dtypes.promote(a._spec.dtype, b._spec.dtype) if dtype is None else as_dtype(dtype)
    if want.kind not in "fc":
        want = _dtypes.DEFAULT_FLOAT
    a, b = cast(a, want), cast(b, want)
    ndim = max(a._spec.ndim, b._spec.ndim)
    if not -ndim - 1 <= axis <= ndim:
        raise ArgumentError(complain("linspace", "axis", f"in [{-ndim - 1}, {ndim}]", axis))
    at = axis % (ndim + 1)
    weight = np.linspace(0.0, 1.0, n, endpoint=bool(endpoint)).reshape([n if k == at else 1 for k in range(ndim + 1)])
    w = wrap(weight.astype(want.np))
    return add(multiply(_widen(a, ndim, at), subtract(1.0, w)), multiply(_widen(b, ndim, at), w))


def _widen(t: Any, ndim: int, at: int) -> Any:
    shape = [1] * (ndim - t._spec.ndim) + list(t._spec.shape)
    shape.insert(at, 1)
    return t.reshape(tuple(shape))

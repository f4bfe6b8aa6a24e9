"""Tensors from values: arrays, numbers, lists, and fills that may be tensors themselves."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import as_dtype
from .._errors import ShapeError, complain
from .._tensor import Value, as_array, wrap
from .broadcast import broadcast_to
from .convert import cast, convert, identity
from .creation import dims_of, like
from .joining import holds_tensor, stack_nested
from .movement import reshape

__all__ = ["array", "asarray", "constant", "full", "full_like"]


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A tensor with this value.

    value   number, nested list, array or tensor; lists that hold tensors stay differentiable
    dtype   by default float32, int32, complex64 or bool for Python values, an array's own otherwise
    shape   the shape to give it: that of ``value``, one of as many elements, or any where ``value`` is a single number

    Raises ShapeError where the value does not fill the shape, DtypeError where it does not fit the dtype.

    >>> import adjoint as ad
    >>> ad.constant([1, 2, 3])
    <ad.Tensor: shape=(3,), dtype=int32, numpy=array([1, 2, 3], dtype=int32)>
    """
    if shape is None and not isinstance(value, (Value, list, tuple)):
        return wrap(as_array(value, dtype)) if not hasattr(value, "__adjoint_tensor__") else convert(value, dtype)
    t = asarray(value, dtype)
    if shape is None:
        return t
    dims = dims_of("constant", shape)
    if t._spec.shape == dims:
        return t
    if t._spec.size == 1:
        return broadcast_to(reshape(t, ()), dims)
    if t._spec.size != int(np.prod(dims, dtype=np.int64)):
        raise ShapeError(complain("constant", "shape", f"one of {t._spec.size} elements", dims))
    return reshape(t, dims)


def asarray(obj: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """``obj`` (number, nested list, array, tensor) as a tensor; gradients flow through tensors in it.

    A Variable is read: later assignments do not change the result.
    """
    want = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Value):
        if want is not None and obj._spec.dtype is not want:
            return cast(obj, want)
        return identity(obj) if hasattr(obj, "trainable") else obj
    if holds_tensor(obj):
        return stack_nested(obj, want)
    return convert(obj, want)


def array(obj: Any, dtype: Any = None) -> Any:
    """The same as ``asarray``."""
    return asarray(obj, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor filled with one value (a number, or a tensor of shape (), to which gradients flow).

    >>> import adjoint as ad
    >>> ad.full((2,), 7).tolist()
    [7, 7]
    """
    dims = dims_of("full", shape)
    if isinstance(fill_value, Value):
        t = fill_value if dtype is None else cast(fill_value, dtype)
        if t._spec.size != 1:
            raise ShapeError(complain("full", "fill_value", "a single value", f"shape {t._spec.shape}"))
        return broadcast_to(reshape(t, ()), dims)
    value = as_array(fill_value, dtype)
    if value.size != 1:
        raise ShapeError(complain("full", "fill_value", "a single value", f"shape {value.shape}"))
    return wrap(np.full(dims, value.reshape(()), value.dtype))


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """A tensor of the shape and dtype of ``x`` filled with one value."""
    shape, kind = like(x, dtype)
    return full(shape, fill_value, _dtypes.as_dtype(kind))

"""Casting, reading, and how foreign values become tensors."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dtypes
from .._config import config
from .._dtypes import DType, as_dtype, promote
from .._errors import ArgumentError, DtypeError, complain
from .._graph import Op, Primitive, spec
from .._tensor import Tensor, Value, as_array, wrap
from .._trace import hooks, record

__all__ = ["cast", "identity", "stop_gradient"]

# ------------------------------------------------------------------------------------------------------------------ cast

def _cast_kernel(x: Any, dtype: DType) -> Any:
    if dtype.kind in "iu" and x.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return np.asarray(x).astype(dtype.np)
    if x.dtype.kind == "c" and dtype.kind != "c":
        x = x.real
    with np.errstate(over="ignore"):
        return np.asarray(x).astype(dtype.np)


def _cast_partials(y: Any, x: Any, dtype: DType) -> tuple[Any, ...]:
    if dtype.kind not in "fc":
        return (None,)
    source = x.dtype
    return (lambda t: cast(t, dtype if t.dtype is source else source),)


CAST = Primitive(
    "cast", lambda x, dtype: spec(x.shape, dtype), _cast_kernel, partials=None, linear=(0,),
    vjp=lambda g, y, x, dtype: (cast(g, x.dtype) if dtype.kind in "fc" and x.dtype.kind in "fc" else None,),
    elementwise=True, domain=((-3.0, 3.0),), lower=lambda s, x, dtype: s.cast(x, dtype.name),
    doc="Convert to another dtype; floats are truncated towards zero when they become integers.",
    cases=(lambda rng: ((rng.normal(size=(3, 2)).astype(np.float32),), {"dtype": _dtypes.float64}),
           lambda rng: ((rng.normal(size=(3,)),), {"dtype": _dtypes.float32})))


def cast(x: Any, dtype: Any) -> Any:
    """The tensor converted to ``dtype``.

    Floats are truncated towards zero on the way to an integer, complex numbers lose their imaginary part on the way to
    a real dtype. Differentiable between floating and complex dtypes; a gradient stops at an integer.

    >>> import adjoint as ad
    >>> print(ad.cast(ad.constant([1.7, -1.7]), ad.int32).tolist())
    [1, -1]
    """
    want = dtype if dtype.__class__ is DType else as_dtype(dtype)
    t = x if isinstance(x, Value) else convert(x)
    if t._spec.dtype is want:
        return t if isinstance(t, Tensor) else t.read_value()  # type: ignore[union-attr]
    return record(CAST.op(dtype=want), t)


# ------------------------------------------------------------------------------------------------------------------ read

IDENTITY = Primitive(
    "identity", lambda x: x, lambda x: x, partials=lambda y, x: (1,), elementwise=True, domain=((-3.0, 3.0),),
    oracle="numpy.positive", lower=lambda s, x: x, doc="The tensor itself.")


def identity(x: Any) -> Any:
    """A tensor with the same value, recorded as an operation of its own."""
    return record(IDENTITY.op(), convert(x))


STOP = Primitive(
    "stop_gradient", lambda x: x, lambda x: x, elementwise=True, domain=((-3.0, 3.0),),
    oracle="numpy.positive", lower=lambda s, x: x, doc="The tensor with its derivative declared zero.")


def stop_gradient(x: Any, name: str | None = None) -> Any:
    """The same value, through which no gradient flows.

    >>> import adjoint as ad
    >>> x = ad.Variable(2.0)
    >>> with ad.GradientTape() as tape:
    ...     y = x * ad.stop_gradient(x)
    >>> float(tape.gradient(y, x))
    2.0
    """
    return record(STOP.op(), convert(x))


# --------------------------------------------------------------------------------------------------------------- convert

def convert(value: Any, dtype: Any = None, hint: bool = False) -> Any:
    """``value`` as a Tensor (a Tensor or Variable stays what it is); cast to ``dtype`` when that is given.

    ``hint``: the dtype is asked for of Python numbers and lists only; anything with a dtype keeps it.
    """
    if isinstance(value, Value):
        return value if dtype is None or hint or value._spec.dtype is dtype else cast(value, dtype)
    if hasattr(value, "__adjoint_tensor__"):
        return convert(value.__adjoint_tensor__(), dtype, hint)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Value) for v in _leaves(value)):
        return hooks.stack(value, dtype)
    if dtype is not None and hint and isinstance(value, (np.ndarray, np.generic)) and config.spelling != "tf":
        dtype = None
    if dtype is not None and hint:
        want = as_dtype(dtype)
        if want.kind in "iu" and _kind(value) in "fc":
            dtype = None
    try:
        return wrap(as_array(value, dtype))
    except (TypeError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise DtypeError(complain("convert", "the value", "a number, array, list or tensor", f"{value!r:.80}")) from error


def _leaves(value: Any) -> Any:
    for v in value:
        if isinstance(v, (list, tuple)):
            yield from _leaves(v)
        else:
            yield v


def _kind(value: Any) -> str:
    return np.asarray(value).dtype.kind if not isinstance(value, float) else "f"


def convert_pair(op: Op, x: Any, y: Any) -> tuple[Any, Any]:
    """The operands of a binary operation as tensors of one dtype."""
    xv, yv = isinstance(x, Value), isinstance(y, Value)
    if x is None or y is None:
        raise DtypeError(complain(op.name, "an operand", "a tensor, array or number", "None",
                                  "if it came from tape.gradient, tape.explain says why"))
    if not xv and not yv:
        if config.spelling != "tf" and hasattr(y, "dtype") and not hasattr(x, "dtype"):
            y = convert(y)
            yv = True
        else:
            x = convert(x)
            xv = True
    if not xv:
        x = convert(x, y._spec.dtype, True)
    if not yv:
        y = convert(y, x._spec.dtype, True)
    a, b = x._spec.dtype, y._spec.dtype
    if a is b:
        return x, y
    if config.spelling == "tf":
        raise DtypeError(f"cannot compute {op.name} as input #1 (zero-based) was expected to be a {a.name} tensor but is "
                            f"a {b.name} tensor; cast one of them with tf.cast")
    want = promote(a, b)
    return (x if a is want else cast(x, want)), (y if b is want else cast(y, want))


hooks.convert = convert
hooks.convert_pair = convert_pair
hooks.read = identity

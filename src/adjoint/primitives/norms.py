"""Norms of vectors."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .._errors import ArgumentError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._tensor import Value
from .._trace import record
from . import _lengths
from ._accuracy import measured, stated
from ._make import check_kind, normalize_axes
from .arithmetic import divide, divide_no_nan, multiply
from .broadcast import add_up, reduced, spread, sum
from .comparison import equal, where
from .complex import abs as absolute
from .convert import cast, convert, stop_gradient
from .movement import reshape
from .normalize import unit
from .reduction import max as largest
from .reduction import min as smallest
from .reduction import shifted
from .transcendental import pow

__all__ = ["vector_norm"]


def _infer(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
    check_kind("vector_norm", x.dtype, "fc")
    return spec(reduced(x.shape, axes, keepdims), x.dtype.real_dtype)


def _kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    size = np.abs(x)
    if size.dtype.itemsize <= 4:                         # in float64 no square of a float32 overflows or vanishes
        wide = size.astype(np.float64)
        with np.errstate(over="ignore"):
            return np.sqrt(add_up(wide * wide, axes, keepdims)).astype(size.dtype)
    if not size.size:
        return np.sqrt(np.sum(size, axis=axes, keepdims=keepdims))
    top = np.max(size, axis=axes, keepdims=True)
    exponent = np.where(np.isfinite(top), np.frexp(top)[1], 0)
    scaled = np.ldexp(size, -exponent)
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.ldexp(np.sqrt(add_up(scaled * scaled, axes, True)), exponent)
    return y if keepdims else y.reshape(reduced(x.shape, axes, False))


def _vjp(g: Any, y: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> tuple[Any]:
    shape, dtype = x._spec.shape, x._spec.dtype
    if dtype.kind == "c":
        direction = divide_no_nan(x, cast(spread(y, shape, axes, keepdims), dtype))
        return (multiply(cast(spread(g, shape, axes, keepdims), dtype), direction),)
    return (multiply(spread(g, shape, axes, keepdims), unit(x, axes)),)


NORM: Primitive = Primitive(
    "vector_norm", _infer, _kernel, vjp=_vjp, batch=shifted(lambda: NORM),
    oracle=lambda x, axes, keepdims: np.sqrt(np.sum(np.abs(x) ** 2, axis=axes, keepdims=keepdims)),
    expand=_lengths.norm,
    error=measured("rows scaled by a power of two"),
    doc="The Euclidean norm over axes.",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True})))


@lru_cache(4096)
def _op(shape: Shape, axis: Any, keepdims: bool) -> Op:
    return NORM.op(axes=normalize_axes("vector_norm", axis, len(shape)), keepdims=keepdims)


@stated(NORM)
def vector_norm(x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm (sum |x|^ord)^(1/ord) of the elements along ``axis`` (an int, a tuple, or None for all).

    ord   a positive number, inf (the largest magnitude), -inf (the smallest) or 0 (how many are not zero)

    The Euclidean norm neither overflows nor vanishes where the result is in range; its gradient x / norm(x) is 0 at 0.
    Raises ArgumentError for an ord that is none of these, DtypeError for integers, AxisError for an axis out of range.

    >>> import adjoint as ad
    >>> float(ad.vector_norm(ad.constant([3e30, 4e30])) / 1e30)
    5.0
    """
    t: Any = x if isinstance(x, Value) else convert(x)
    if axis.__class__ is list:
        axis = tuple(axis)
    if ord == 2:
        return record(_op(t._spec.shape, axis, bool(keepdims)), t)
    if not isinstance(ord, (int, float)) or not (ord >= 0 or ord == -np.inf):
        raise ArgumentError(complain("vector_norm", "ord", "a number at least 0, inf or -inf", repr(ord)))
    check_kind("vector_norm", t._spec.dtype, "fc")
    size = absolute(t)
    if ord == np.inf:
        return largest(size, axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return smallest(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(where(equal(size, 0.0), 0.0, cast(1.0, size._spec.dtype)), axis, keepdims=keepdims)
    if ord == 1:
        return sum(size, axis, keepdims=keepdims)
    top = stop_gradient(largest(size, axis=axis, keepdims=True))
    scale = where(equal(top, 0.0), cast(1.0, top._spec.dtype), top)
    total = sum(pow(divide(size, scale), float(ord)), axis, keepdims=True)
    empty = equal(total, 0.0)
    y = where(empty, 0.0, multiply(scale, pow(where(empty, cast(1.0, total._spec.dtype), total), 1.0 / float(ord))))
    return y if keepdims else reshape(y, reduced(t._spec.shape, normalize_axes("vector_norm", axis, t._spec.ndim), False))

"""Reductions: mean, product, extremes, all, any, counts."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._tensor import Value
from .._trace import record
from ._make import check_kind, install, normalize_axes
from .arithmetic import add, divide, multiply
from .broadcast import SUM, add_up, axis_key, for_sums, reduced, restore, spread, widest
from .comparison import equal, isnan, logical_and, logical_or, not_equal
from .complex import conj
from .convert import cast, convert
from .creation import full_of, zeros_of
from .cumulative import CUMPROD, pull_cumprod, shift
from .joining import batch_all
from .movement import front, reshape, section, transpose

__all__ = ["all", "amax", "amin", "any", "count_nonzero", "max", "mean", "min", "prod"]


_sum_of: Any = np.add.reduce
_product_of: Any = np.multiply.reduce


def sum_over(t: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The sum over axes that are normalized already."""
    return record(SUM.op(axes=axes, keepdims=keepdims), t)


def count_of(shape: Shape, axes: tuple[int, ...]) -> int:
    """How many elements go into each result of a reduction."""
    n = 1
    for k in axes:
        n *= shape[k]
    return n


def shifted(prim_of: Any) -> Any:
    """The vmap rule of a reduction: batch axes first, its axes one further."""

    def batch(args: Any, at: Any, axes: tuple[int, ...], **params: Any) -> Any:
        return record(prim_of().op(axes=tuple([a + 1 for a in axes]), **params), *batch_all(args, at)), 0

    return batch


def divided(t: Any, n: float) -> Any:
    """``t / n`` for a number known from shapes; 16-bit floats, whose range counts can leave, go through float32."""
    dtype = t._spec.dtype
    if n == 1 or n == 0:
        return t
    if dtype.itemsize == 2:
        return cast(divide(cast(t, _dtypes.float32), full_of(spec((), _dtypes.float32), float(n))), dtype)
    return divide(t, full_of(spec((), dtype), float(n)))


@lru_cache(8192)
def _op(prim: Primitive, shape: Shape, axis: Any, keepdims: bool, nonempty: bool) -> Op:
    axes = normalize_axes(prim.name, axis, len(shape))
    if nonempty and count_of(shape, axes) == 0 and 0 not in reduced(shape, axes, False):
        raise ShapeError(complain(prim.name, "x", "of at least one element along the axes reduced",
                                  f"shape {shape} and axes {axes}"))
    return prim.op(axes=axes, keepdims=bool(keepdims))


# ----------------------------------------------------------------------------------------------------------------- mean

def _mean_infer(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
    dtype = x.dtype if x.dtype.kind in "fc" else _dtypes.DEFAULT_FLOAT
    return spec(reduced(x.shape, axes, keepdims), dtype)


def _mean_kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    n = count_of(x.shape, axes)
    if x.dtype.kind in "biu":
        total = _sum_of(x, axis=axes, keepdims=keepdims, dtype=np.float64)
        return np.true_divide(total, n).astype(np.float32)
    mean = add_up(x, axes, keepdims) / n
    return mean if mean.dtype is x.dtype else mean.astype(x.dtype)


def _mean_vjp(g: Any, y: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> tuple[Any]:
    shape = x._spec.shape
    return (spread(divided(g, count_of(shape, axes)), shape, axes, keepdims),)


def _mean_expand(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if x._spec.dtype.kind == "f":
        return None
    total = sum_over(cast(x, _dtypes.float64), axes, keepdims)
    return cast(divide(total, float(count_of(x._spec.shape, axes))), _dtypes.DEFAULT_FLOAT)


MEAN: Primitive = Primitive(
    "mean", _mean_infer, _mean_kernel, vjp=_mean_vjp, linear=(0,), batch=shifted(lambda: MEAN), expand=_mean_expand,
    oracle=lambda x, axes, keepdims: np.mean(x, axis=axes, keepdims=keepdims), doc="The arithmetic mean over axes.",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (0,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True})))


def mean(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The arithmetic mean of ``x`` over ``axis`` (an int, a tuple, or None for all).

    float32 and narrower are added up in float64 and rounded once, so that nothing overflows on the way; integers give
    float32. The mean of no elements is nan. Raises
    AxisError for an axis out of range. (TensorFlow divides integers as integers.)

    >>> import adjoint as ad
    >>> float(ad.mean(ad.constant([1.0, 2.0, 6.0])))
    3.0
    """
    t = x if isinstance(x, Value) else convert(x)
    if dtype is not None:
        t = cast(t, dtype)
    return record(_op(MEAN, t._spec.shape, axis_key(axis), keepdims, False), t)


# -------------------------------------------------------------------------------------------------------------- product

def _flat(t: Any, axes: tuple[int, ...]) -> Any:
    """``t`` with ``axes`` as one last axis."""
    shape = t._spec.shape
    kept = tuple([k for k in range(len(shape)) if k not in axes])
    moved = t if (*kept, *axes) == tuple(range(len(shape))) else transpose(t, (*kept, *axes))
    return reshape(moved, (*[shape[k] for k in kept], count_of(shape, axes)))


def _unflat(t: Any, shape: Shape, axes: tuple[int, ...]) -> Any:
    """The inverse of ``_flat``."""
    order = (*[k for k in range(len(shape)) if k not in axes], *axes)
    t = reshape(t, tuple([shape[k] for k in order]))
    return t if order == tuple(range(len(shape))) else transpose(t, tuple([order.index(k) for k in range(len(shape))]))


def _others_kernel(x: Any) -> Any:
    z = x.astype(widest(x.dtype))
    before, after = np.ones_like(z), np.ones_like(z)
    np.multiply.accumulate(z[..., :-1], axis=-1, out=before[..., 1:])
    np.multiply.accumulate(z[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return (before * after).astype(x.dtype)


def _others_expand(x: Any) -> Any:
    axis, dtype = x._spec.ndim - 1, x._spec.dtype
    x = cast(x, _dtypes.float64) if dtype is _dtypes.float32 else x
    before, after = [shift(record(CUMPROD.op(axis=axis, reverse=back), x), axis, -1 if back else 1, 1) for back in (False, True)]
    return cast(multiply(before, after), dtype)


def _others_vjp(g: Any, y: Any, x: Any) -> tuple[Any]:
    axis = x._spec.ndim - 1
    up, down = record(CUMPROD.op(axis=axis, reverse=False), x), record(CUMPROD.op(axis=axis, reverse=True), x)
    before, after = shift(up, axis, 1, 1), shift(down, axis, -1, 1)
    left = pull_cumprod(shift(multiply(g, conj(after)), axis, -1), up, x, axis, False)
    right = pull_cumprod(shift(multiply(g, conj(before)), axis, 1), down, x, axis, True)
    return (add(left, right),)


OTHERS: Primitive = Primitive(
    "product_of_others", lambda x: x, _others_kernel, vjp=_others_vjp,
    batch=lambda args, axes: (record(OTHERS.op(), front(args[0], axes[0])), 0), expand=_others_expand,
    oracle=lambda x: np.stack([np.prod(np.delete(x, k, -1), -1) for k in range(x.shape[-1])], -1),
    cases=(lambda rng: ((rng.normal(size=(2, 4)),), {}), lambda rng: ((rng.normal(size=3) * [0, 1, 1],), {})),
    doc="For each element the product of the others along the last axis.")


def _others(x: Any, axes: tuple[int, ...]) -> Any:
    return _unflat(record(OTHERS.op(), _flat(x, axes)), x._spec.shape, axes)


def _prod_kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return _product_of(x, axis=axes, keepdims=keepdims, dtype=widest(x.dtype)).astype(x.dtype)


def _prod_expand(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The last of the running products, which do not stay for it."""
    flat = _flat(x, axes)
    axis, n = flat._spec.ndim - 1, flat._spec.shape[-1]
    last = section(record(CUMPROD.op(axis=axis, reverse=False), flat), axis, n - 1, n)
    return reshape(record(MAX.op(axes=(axis,), keepdims=False), last), reduced(x._spec.shape, axes, keepdims))


PROD: Primitive = Primitive(
    "prod", lambda x, axes, keepdims: spec(reduced(x.shape, axes, keepdims), x.dtype), _prod_kernel,
    vjp=lambda g, y, x, axes, keepdims: (multiply(spread(g, x._spec.shape, axes, keepdims), conj(_others(x, axes))),),
    jvp=lambda ts, y, x, axes, keepdims: sum_over(multiply(ts[0], _others(x, axes)), axes, keepdims),
    batch=shifted(lambda: PROD), expand=_prod_expand, oracle=lambda x, axes, keepdims: np.prod(x, axis=axes, keepdims=keepdims),
    doc="The product over axes.",
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (0,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True}),
           lambda rng: ((rng.normal(size=4) * [1, 0, 1, 0],), {"axes": (0,), "keepdims": False}),
           lambda rng: ((rng.normal(size=3),), {"axes": (), "keepdims": False})))


def prod(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """The product of ``x`` over ``axis`` (an int, a tuple, or None for all); of no elements 1.

    Derivatives of every order are products of the other elements: exact where elements are zero. Integers narrower
    than 32 bits are multiplied as 32-bit integers.

    >>> import adjoint as ad
    >>> float(ad.prod(ad.constant([2.0, 3.0])))
    6.0
    """
    t = for_sums(x if isinstance(x, Value) else convert(x), dtype)
    return record(_op(PROD, t._spec.shape, axis_key(axis), keepdims, False), t)


# ------------------------------------------------------------------------------------------------------------- extremes

def _shares_kernel(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    hit = (x == y) | ((x != x) & (y != y))
    count = np.add.reduce(hit, axis=axes, keepdims=True, dtype=np.float64)
    return (hit / count).astype(x.dtype)


def _shares_expand(x: Any, y: Any, axes: tuple[int, ...]) -> Any:
    if x._spec.dtype.kind != "f":
        return None
    hit = cast(logical_or(equal(x, y), logical_and(isnan(x), isnan(y))), x._spec.dtype)
    return divide(hit, sum_over(hit, axes, True))


SHARES: Primitive = Primitive(
    "extreme_shares", lambda x, y, axes: x, _shares_kernel, batch=shifted(lambda: SHARES), expand=_shares_expand,
    oracle=lambda x, y, axes: (x == y) / np.sum(x == y, axis=axes, keepdims=True),
    cases=(lambda rng: ((np.array([1.0, 2.0, 2.0]), np.array([2.0])), {"axes": (0,)}),),
    doc="1/m where an element equals the extreme that m elements attain, 0 elsewhere.")


def _extreme_infer(name: str) -> Any:
    def infer(x: Spec, axes: tuple[int, ...], keepdims: bool) -> Spec:
        check_kind(name, x.dtype, "biuf")
        return spec(reduced(x.shape, axes, keepdims), x.dtype)

    return infer


def _extreme(name: str, ufunc: Any) -> Primitive:
    def shares(y: Any, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        return record(SHARES.op(axes=axes), x, restore(y, x._spec.shape, axes, keepdims))

    prim: Primitive = Primitive(
        name, _extreme_infer(name), lambda x, axes, keepdims: ufunc.reduce(x, axis=axes, keepdims=keepdims),
        vjp=lambda g, y, x, axes, keepdims: (
            multiply(restore(g, x._spec.shape, axes, keepdims), shares(y, x, axes, keepdims)),),
        jvp=lambda ts, y, x, axes, keepdims: sum_over(multiply(ts[0], shares(y, x, axes, keepdims)), axes, keepdims),
        batch=shifted(lambda: prim), oracle=lambda x, axes, keepdims: ufunc.reduce(x, axis=axes, keepdims=keepdims),
        doc=f"The {name}imum over axes.",
        cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (0,), "keepdims": False}),
               lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True})))
    return prim


MAX, MIN = _extreme("max", np.maximum), _extreme("min", np.minimum)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element of ``x`` over ``axis`` (an int, a tuple, or None for all); nan if there is one.

    The gradient is split evenly between equal largest elements. Raises ShapeError for no elements, AxisError for an
    axis out of range, DtypeError for complex numbers.

    >>> import adjoint as ad
    >>> float(ad.max(ad.constant([1.0, 3.0, 2.0])))
    3.0
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(MAX, t._spec.shape, axis_key(axis), keepdims, True), t)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element of ``x`` over ``axis`` (an int, a tuple, or None for all); nan if there is one.

    The gradient is split evenly between equal smallest elements. Raises ShapeError for no elements, AxisError for an
    axis out of range, DtypeError for complex numbers.
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(MIN, t._spec.shape, axis_key(axis), keepdims, True), t)


amax, amin = max, min

# ---------------------------------------------------------------------------------------------------------- all and any

def _logical(name: str, ufunc: Any, dtype: Any, doc: str) -> Primitive:
    def kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        return ufunc.reduce(x != 0, axis=axes, keepdims=keepdims, dtype=dtype.np)

    def expand(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        if not axes:
            return None
        hit = cast(not_equal(x, zeros_of(spec((), x._spec.dtype))), dtype if summed else _dtypes.uint8)
        y = record((SUM if summed else MIN if name == "all" else MAX).op(axes=axes, keepdims=keepdims), hit)
        return y if summed else not_equal(y, zeros_of(spec((), _dtypes.uint8)))

    summed = dtype is not _dtypes.bool_
    prim: Primitive = Primitive(
        name, lambda x, axes, keepdims: spec(reduced(x.shape, axes, keepdims), dtype), kernel, expand=expand,
        batch=shifted(lambda: prim),
        oracle=lambda x, axes, keepdims: getattr(np, name)(x, axis=axes, keepdims=keepdims),
        cases=(lambda rng: ((rng.integers(0, 2, size=(3, 4)),), {"axes": (0,), "keepdims": False}),), doc=doc)
    return prim


ALL = _logical("all", np.logical_and, _dtypes.bool_, "Whether all elements over axes are nonzero.")
ANY = _logical("any", np.logical_or, _dtypes.bool_, "Whether an element over axes is nonzero.")
COUNT = _logical("count_nonzero", np.add, _dtypes.int64, "How many elements over axes are nonzero.")


def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether all elements of ``x`` over ``axis`` are true (nonzero); for no elements true."""
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(ALL, t._spec.shape, axis_key(axis), keepdims, False), t)


def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether any element of ``x`` over ``axis`` is true (nonzero); for no elements false."""
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(ANY, t._spec.shape, axis_key(axis), keepdims, False), t)


def count_nonzero(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements of ``x`` over ``axis`` are nonzero, as int64."""
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(COUNT, t._spec.shape, axis_key(axis), keepdims, False), t)


for _name, _function in (("mean", mean), ("prod", prod), ("max", max), ("min", min), ("all", all), ("any", any)):
    install(_name, _function)
install("astype", lambda self, dtype, copy=True: cast(self, dtype))

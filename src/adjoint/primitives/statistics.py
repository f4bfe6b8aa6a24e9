"""Spread and order statistics: variance, standard deviation, averages, quantiles."""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import float64
from .._errors import ArgumentError, ShapeError, complain
from .._graph import Primitive, Shape, Spec, spec
from .._tensor import Value
from .._trace import hooks, record
from . import _lengths
from . import _twofold as twofold
from ._accuracy import measured, stated
from ._curves import doubled
from ._layout import in_blocks, layout
from ._make import check_kind, elementwise, install, normalize_axes
from .arithmetic import add, divide, multiply
from .broadcast import add_up, axis_key, broadcast_to, reduced, restore, wide, widest
from .complex import conj, real
from .convert import cast, convert
from .creation import ones_of
from .movement import reshape, section, transpose
from .normalize import project
from .reduction import count_of, divided, mean, shifted, sum_over
from .sorting import sort_pair

__all__ = ["average", "median", "percentile", "quantile", "std", "var"]

# ------------------------------------------------------------------------------------------------------------- centring
# x minus its mean, where x is near it, needs the mean to more digits than the dtype has; so the difference is a
# primitive. It is a projection: linear, its own transpose and its own square.

def _centered(x: Any, axes: tuple[int, ...]) -> Any:
    """x - mean(x), in a wide dtype. In float64 the mean of the differences is taken off once more, with what they lost: a
    large mean has not the digits that elements next to it need."""
    z = x.astype(wide(x.dtype), copy=False)
    n = count_of(x.shape, axes)
    near = add_up(z, axes, True) / n
    d = z - near
    if z.dtype == np.float64 and x.dtype != z.dtype:
        return d
    back = d - z
    low = (z - (d - back)) - (near + back)
    rest = (_sum_of(d, axes, widest(d.dtype), None, True) / n).astype(d.dtype) + _sum_of(low, axes, None, None, True) / n
    return (d - rest) + low


_sum_of: Any = np.add.reduce


def _centre_infer(x: Spec, axes: tuple[int, ...]) -> Spec:
    check_kind("center", x.dtype, "fc")
    return x


CENTER: Primitive = Primitive(
    "center", _centre_infer, lambda x, axes: _centered(x, axes).astype(x.dtype), linear=(0,),
    vjp=lambda g, y, x, axes: (center(g, axes),), batch=shifted(lambda: CENTER),
    oracle=lambda x, axes: x - np.mean(x, axis=axes, keepdims=True),
    expand=_lengths.centred,
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,)}),), doc="The elements less their mean over axes.")


def center(t: Any, axes: tuple[int, ...]) -> Any:
    """``t`` less its mean over axes."""
    return record(CENTER.op(axes=axes), t)


def _over_or_zero(x: Any, y: Any) -> Any:
    out = np.zeros(np.broadcast_shapes(x.shape, y.shape), x.dtype)
    np.divide(x, y, out=out, where=y != 0)
    return out


_OVER = elementwise(
    "over_or_zero", 2, _over_or_zero,
    lambda r, x, y: (lambda t: over_or_zero(t, y), lambda t: -multiply(over_or_zero(t, y), r)), public=False,
    lower=lambda s, x, y: s.select(y.eq(0), 0, x / y),
    domain=((-3.0, 3.0), (0.5, 3.0)), oracle="numpy.divide", doc="x / y, and 0 where y is 0.")


def over_or_zero(x: Any, y: Any) -> Any:
    """x / y, and 0 with all its derivatives where y is 0."""
    return record(_OVER, x, y)


# ------------------------------------------------------------------------------------------------------------- variance

def _freedom(shape: Shape, axes: tuple[int, ...], correction: float) -> float:
    return max(count_of(shape, axes) - correction, 0)


def _squares(z: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return add_up(z.real * z.real + z.imag * z.imag if z.dtype.kind == "c" else z * z, axes, keepdims)


def _var_kernel(x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> Any:
    total = _squares(_centered(x, axes), axes, keepdims)
    out = total / _freedom(x.shape, axes, correction)
    return out.astype(x.real.dtype if x.dtype.kind == "c" else x.dtype)


def _std_kernel(x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> Any:
    z = _centered(x, axes)
    biggest = np.max(np.abs(z), axis=axes, keepdims=True, initial=0)
    power = np.frexp(np.where(np.isfinite(biggest), biggest, 1))[1]      # squares must neither overflow nor vanish
    low = np.maximum(-power, -1000)
    scaled = z * np.ldexp(np.ones_like(biggest), low)
    mean_square = np.true_divide(_squares(scaled, axes, True), _freedom(x.shape, axes, correction))
    out = np.ldexp(np.sqrt(mean_square), -low).astype(x.real.dtype if x.dtype.kind == "c" else x.dtype)
    return out if keepdims else out.reshape(reduced(x.shape, axes, False))


def _spread_infer(name: str) -> Any:
    def infer(x: Spec, axes: tuple[int, ...], correction: float, keepdims: bool) -> Spec:
        check_kind(name, x.dtype, "fc")
        return spec(reduced(x.shape, axes, keepdims), x.dtype.real_dtype)

    return infer


def _var_vjp(g: Any, y: Any, x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> tuple[Any]:
    slope = record(VAR_SLOPE.op(axes=axes, correction=correction), x)
    return (multiply(cast(restore(g, x._spec.shape, axes, keepdims), x._spec.dtype), slope),)


def _var_jvp(ts: Any, y: Any, x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> Any:
    slope = record(VAR_SLOPE.op(axes=axes, correction=correction), x)
    return real(sum_over(multiply(ts[0], conj(slope)), axes, keepdims))


def _var_slope_kernel(x: Any, axes: tuple[int, ...], correction: float) -> Any:
    free = _freedom(x.shape, axes, correction)
    return ((_centered(x, axes) * 2) / (free or np.nan)).astype(x.dtype)


VAR_SLOPE: Primitive = Primitive(
    "var_slope", lambda x, axes, correction: _centre_infer(x, axes), _var_slope_kernel, linear=(0,),
    vjp=lambda g, y, x, axes, correction: (record(VAR_SLOPE.op(axes=axes, correction=correction), g),),
    batch=shifted(lambda: VAR_SLOPE),
    expand=lambda x, axes, correction: (
        multiply(center(x, axes), 2 / _freedom(x._spec.shape, axes, correction))
        if x._spec.dtype.kind == "f" and _freedom(x._spec.shape, axes, correction) else None),
    oracle=lambda x, axes, correction: 2 * (x - np.mean(x, axis=axes, keepdims=True)) / (x.shape[axes[0]] - correction),
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,), "correction": 1}),),
    doc="2 (x - mean) / (n - correction), the slope of the variance.")


def _real_infer(name: str, x: Spec) -> Spec:
    check_kind(name, x.dtype, "f")
    return x


def _std_slope_kernel(x: Any, axes: tuple[int, ...], correction: float) -> Any:
    z = _centered(x, axes)
    biggest = np.max(np.abs(z), axis=axes, keepdims=True, initial=0)
    power = np.frexp(np.where(np.isfinite(biggest), biggest, 1))[1]
    z = np.ldexp(z, np.maximum(-power, -1000))
    free = _freedom(x.shape, axes, correction)
    length = np.sqrt(_squares(z, axes, True) * free)
    return np.divide(z, length, out=np.zeros_like(z), where=length != 0).astype(x.dtype)


def _std_bend(u: Any, _: Any, x: Any, axes: tuple[int, ...], correction: float) -> tuple[Any]:
    if x._spec.dtype is float64:
        return (record(STD_BEND.op(axes=axes, correction=correction), x, u),)
    return (doubled(lambda x, u: _std_bend_of(x, u, axes, correction))(x, u),)


def _std_bend_of(x: Any, u: Any, axes: tuple[int, ...], correction: float) -> Any:
    scale = 1 / max(_freedom(x._spec.shape, axes, correction), 1) ** 0.5
    return multiply(center(project(center(x, axes), center(u, axes), axes), axes), scale)


@in_blocks
def _std_bend_kernel(x: Any, u: Any, axes: tuple[int, ...], correction: float) -> Any:
    """(v - z <z, v> / <z, z>) / |z| with z and v the centred x and u in something wider than float64."""
    lay = layout(x, axes)
    if x.size == 0:
        return x
    z, v = (lay.apart(t).astype(np.float64, "C") for t in (x, u))
    e = np.frexp(np.max(np.abs(z - z[:, :1]), axis=1, keepdims=True))[1]
    n = float(z.shape[1])
    z, v = (t - twofold.total(t) / n for t in (twofold.wider(np.ldexp(z, -e)), twofold.wider(v)))
    square = twofold.dot(z, z)
    live = twofold.rounded(square) > 0
    square = twofold.where(live, square, 1.0)
    root = twofold.sqrt(square * float(max(_freedom(x.shape, axes, correction), 1)))
    out = v / root - z * (twofold.dot(z, v) / square / root)
    return lay.whole(np.where(live, np.ldexp(twofold.rounded(out), -e), 0.0))


STD_BEND: Primitive = Primitive(
    "std_bend", lambda x, u, axes, correction: _real_infer("std_bend", x), _std_bend_kernel, batch=shifted(lambda: STD_BEND),
    vjp=lambda w, y, x, u, axes, correction: tuple(
        hooks.pull_back(lambda x, u: _std_bend_of(x, u, axes, correction), w, (x, u))),
    cases=(lambda rng: ((rng.normal(size=(3, 4)), rng.normal(size=(3, 4))), {"axes": (1,), "correction": 1}),),
    doc="The derivative of the slope of the standard deviation in a direction.")


STD_SLOPE: Primitive = Primitive(
    "std_slope", lambda x, axes, correction: _real_infer("std_slope", x), _std_slope_kernel, vjp=_std_bend,
    jvp=lambda ts, y, x, axes, correction: _std_bend(ts[0], y, x, axes, correction)[0], batch=shifted(lambda: STD_SLOPE),
    oracle=lambda x, axes, correction: (x - np.mean(x, axis=axes, keepdims=True)) / (
        (x.shape[axes[0]] - correction) * np.std(x, axis=axes, ddof=correction, keepdims=True)),
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,), "correction": 1}),),
    expand=lambda x, axes, correction: _lengths.deviation_slope(x, axes, _freedom(x._spec.shape, axes, correction)),
    doc="(x - mean) / ((n - correction) std), the slope of the standard deviation; 0 where that is 0.")


def _std_slope(y: Any, x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> Any:
    if x._spec.dtype.kind == "f":
        return record(STD_SLOPE.op(axes=axes, correction=correction), x)
    scale = over_or_zero(divided(ones_of(y._spec), _freedom(x._spec.shape, axes, correction)), y)
    return multiply(cast(restore(scale, x._spec.shape, axes, keepdims), x._spec.dtype), center(x, axes))


def _std_vjp(g: Any, y: Any, x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> tuple[Any]:
    slope = _std_slope(y, x, axes, correction, keepdims)
    return (multiply(cast(restore(g, x._spec.shape, axes, keepdims), x._spec.dtype), slope),)


def _std_jvp(ts: Any, y: Any, x: Any, axes: tuple[int, ...], correction: float, keepdims: bool) -> Any:
    return real(sum_over(multiply(ts[0], conj(_std_slope(y, x, axes, correction, keepdims))), axes, keepdims))


def _spread_cases() -> Any:
    return (lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,), "correction": 0, "keepdims": False}),
            lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "correction": 1, "keepdims": True}))


def _expanded(rule: Any) -> Any:
    return lambda x, axes, correction, keepdims: rule(x, axes, keepdims, _freedom(x._spec.shape, axes, correction))


VAR: Primitive = Primitive(
    "var", _spread_infer("var"), _var_kernel, vjp=_var_vjp, jvp=_var_jvp, batch=shifted(lambda: VAR),
    oracle=lambda x, axes, correction, keepdims: np.var(x, axis=axes, ddof=correction, keepdims=keepdims),
    expand=_expanded(_lengths.variance), cases=_spread_cases(),
    error=measured("differences to the mean, twice", why="f' in float64 counts against |x f''| next to the mean"),
    doc="The variance over axes.")

STD: Primitive = Primitive(
    "std", _spread_infer("std"), _std_kernel, vjp=_std_vjp, jvp=_std_jvp, batch=shifted(lambda: STD),
    oracle=lambda x, axes, correction, keepdims: np.std(x, axis=axes, ddof=correction, keepdims=keepdims),
    expand=_expanded(_lengths.deviation), cases=_spread_cases(),
    error=measured("differences to the mean, twice", why="f' in float64 counts against |x f''| next to the mean"),
    doc="The standard deviation over axes.")


@lru_cache(4096)
def _spread_op(prim: Primitive, ndim: int, axis: Any, correction: Any, keepdims: bool) -> Any:
    if not isinstance(correction, (int, float)):
        raise ArgumentError(complain(prim.name, "correction", "a number", repr(correction)))
    return prim.op(axes=normalize_axes(prim.name, axis, ndim), correction=correction, keepdims=bool(keepdims))


def _floating(x: Any) -> Any:
    t = x if isinstance(x, Value) else convert(x)
    return t if t._spec.dtype.kind in "fc" else cast(t, _dtypes.DEFAULT_FLOAT)


@stated(VAR)
def var(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance of ``x`` over ``axis``: sum |x - mean|^2 / (n - correction).

    axis         an int, a tuple, or None for all
    correction   0 for the population's, 1 for the estimate from a sample

    Computed from the differences to the mean, so a large offset costs no digits; so is the derivative
    2 (x - mean) / (n - correction). nan for n = 0.

    >>> import adjoint as ad
    >>> float(ad.var(ad.constant([1.0, 3.0])))
    1.0
    """
    t = _floating(x)
    return record(_spread_op(VAR, t._spec.ndim, axis_key(axis), correction, keepdims), t)


@stated(STD)
def std(x: Any, axis: Any = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation of ``x`` over ``axis``: the root of the variance, arguments as for ``var``.

    Where all elements are equal it is 0 and its derivatives are taken as 0.

    >>> import adjoint as ad
    >>> float(ad.std(ad.constant([1.0, 3.0])))
    1.0
    """
    t = _floating(x)
    return record(_spread_op(STD, t._spec.ndim, axis_key(axis), correction, keepdims), t)


def average(x: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Any:
    """The mean of ``x`` over ``axis`` with weights: sum(w x) / sum(w).

    weights   tensor of x's shape, or a row for one axis; None for equal weights

    Raises ShapeError where the weights do not fit. Differentiable in both.

    >>> import adjoint as ad
    >>> float(ad.average(ad.constant([1.0, 5.0]), weights=ad.constant([3.0, 1.0])))
    2.0
    """
    t = _floating(x)
    if weights is None:
        return mean(t, axis, keepdims=keepdims)
    w = convert(weights, t._spec.dtype, True)
    t, w = hooks.convert_pair(_AVERAGE, t, w)
    axes = normalize_axes("average", axis_key(axis), t._spec.ndim)
    if w._spec.shape != t._spec.shape:
        if len(axes) != 1 or w._spec.shape != (t._spec.shape[axes[0]],):
            raise ShapeError(complain("average", "weights", f"of shape {t._spec.shape}, or a row along one axis",
                                      w._spec.shape))
        w = broadcast_to(reshape(w, [-1 if k == axes[0] else 1 for k in range(t._spec.ndim)]), t._spec.shape)
    return divide(sum_over(multiply(t, w), axes, keepdims), sum_over(w, axes, keepdims))


_AVERAGE = multiply.primitive.op()

# ------------------------------------------------------------------------------------------------------------ quantiles

_KEEP_NAN = elementwise(
    "nan_if_nan", 2, lambda x, y: np.asarray(np.where(np.isnan(y), y, x)), lambda r, x, y: (1, None),
    kinds="f", public=False, lower=lambda s, x, y: s.select(s.isnan(y), y, x), oracle=lambda x, y: x + 0.0 * y,
    doc="x, and nan where y is nan.")

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile_row(t: Any, q: float, method: str) -> Any:
    """One quantile along the last axis of sorted rows."""
    n, last = t._spec.shape[-1], t._spec.ndim - 1
    at = q * (n - 1)
    low = min(int(np.floor(at)), n - 1)
    weight = at - low
    if method == "lower":
        weight = 0.0
    elif method == "higher":
        weight = float(weight > 0)
    elif method == "midpoint":
        weight = 0.5 * (weight > 0)
    elif method == "nearest":
        weight = float(weight > 0.5 or (weight == 0.5 and low % 2 == 1))
    first = section(t, last, low, low + 1)
    if weight == 0.0:
        return first
    second = section(t, last, low + 1, low + 2)
    if weight == 1.0:
        return second
    return add(multiply(first, 1.0 - weight), multiply(second, weight))


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The ``q``-quantile of ``x`` over ``axis``: between the sorted elements at q (n - 1).

    q        number in 0..1, or a list of them: then they are the first axis of the result
    method   "linear", "lower", "higher", "midpoint" or "nearest"

    nan where there is one among the elements. Raises ArgumentError for ``q`` out of range, ShapeError for no elements.

    >>> import adjoint as ad
    >>> float(ad.quantile(ad.constant([1.0, 2.0, 4.0]), 0.75))
    3.0
    """
    if method not in _METHODS:
        raise ArgumentError(complain("quantile", "method", " or ".join(map(repr, _METHODS)), repr(method)))
    levels = np.asarray(q._look() if isinstance(q, Value) else q, np.float64)
    if levels.ndim > 1 or not np.all((levels >= 0) & (levels <= 1)):
        raise ArgumentError(complain("quantile", "q", "a number in 0..1 or a row of them", f"{q!r:.60}"))
    t = _floating(x)
    check_kind("quantile", t._spec.dtype, "f")
    shape = t._spec.shape
    axes = normalize_axes("quantile", axis_key(axis), t._spec.ndim)
    kept = [k for k in range(len(shape)) if k not in axes]
    n = count_of(shape, axes)
    if n == 0:
        raise ShapeError(complain("quantile", "x", "of at least one element along the axes reduced", f"shape {shape}"))
    rows = reshape(transpose(t, (*kept, *axes)), (*[shape[k] for k in kept], n))
    last = len(kept)
    ordered = sort_pair(rows, last)[0]
    final = section(ordered, last, n - 1, n)
    found = []
    for level in levels.reshape(-1).tolist():
        row = record(_KEEP_NAN, _quantile_row(ordered, level, method), final)
        found.append(reshape(row, reduced(shape, axes, keepdims)))
    return stack_rows(found) if levels.ndim else found[0]


def stack_rows(rows: list[Any]) -> Any:
    """Results side by side as the first axis."""
    return hooks.stack(rows, rows[0]._spec.dtype)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The ``q``-th percentile of ``x`` over ``axis``: ``quantile`` with q in 0..100."""
    levels = np.asarray(q._look() if isinstance(q, Value) else q, np.float64) / 100.0
    return quantile(x, levels, axis, method, keepdims)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle element of ``x`` over ``axis``, or the mean of the middle two; nan if there is one.

    >>> import adjoint as ad
    >>> float(ad.median(ad.constant([3.0, 1.0, 2.0])))
    2.0
    """
    return quantile(x, 0.5, axis, "midpoint", keepdims)


install("var", var)
install("std", std)

"""Lengths and deviations of rows in simple operations: what the ``expand`` rules of norms and variances are made of.

Narrower rows go through float64, where none of their squares overflows or vanishes. Rows of float64 are scaled by 2**600
or 2**-600 where one might.
"""
from __future__ import annotations

from typing import Any

from .._dtypes import float64
from .._trace import record
from ._exact import number, share, squares
from .arithmetic import add, divide, multiply, negative, square, subtract
from .broadcast import broadcast_to, reduced
from .comparison import equal, greater, less, less_equal, maximum, where
from .complex import abs as absolute
from .convert import cast
from .movement import reshape
from .reduction import MAX, MEAN, count_of, sum_over
from .transcendental import sqrt

Axes = tuple[int, ...]


def finished(t: Any, like: Any, axes: Axes, keepdims: bool) -> Any:
    """A reduced value in the dtype of ``like``, with its axes or without."""
    t = cast(t, like._spec.dtype)
    return t if keepdims else reshape(t, reduced(t._spec.shape, axes, False))


def scaled(x: Any, axes: Axes) -> tuple[Any, Any]:
    """x, and the power of two that it was multiplied by, row by row."""
    if x._spec.dtype is not float64:
        return cast(x, float64), None
    top = record(MAX.op(axes=axes, keepdims=True), absolute(x))
    scale = where(greater(top, 2.0**480), 2.0**-600, where(less(top, 2.0**-450), 2.0**600, number(1.0)))
    return multiply(x, scale), scale


def _times(t: Any, scale: Any) -> Any:
    return t if scale is None else multiply(t, scale)


def unscaled(t: Any, scale: Any) -> Any:
    return t if scale is None else divide(t, scale)


def _length(x: Any, axes: Axes) -> Any:
    return sqrt(sum_over(square(x), axes, True))


def ratio(x: Any, length: Any, dtype: Any) -> Any:
    """x / length in ``dtype``, below float64 by the reciprocal; 0 where the length is 0."""
    none = equal(length, 0.0)
    filled = where(none, 1.0, length)
    if dtype is float64:
        return where(none, 0.0, divide(x, filled))
    return cast(multiply(x, where(none, 0.0, divide(1.0, filled))), dtype)


def norm(x: Any, axes: Axes, keepdims: bool) -> Any:
    w, scale = scaled(x, axes)
    return finished(unscaled(_length(w, axes), scale), x, axes, keepdims)


# ----------------------------------------------------------------------------------------------------------- directions


class Direction:
    """y = x / max(|x|, floor) in float64, and r = max(|x|, floor); ``held`` where it is the floor."""

    def __init__(self, x: Any, axes: Axes, floor: float) -> None:
        w, scale = scaled(x, axes)
        length = _length(w, axes)
        size = unscaled(length, scale)
        self.held = less_equal(size, floor)
        self.r = maximum(size, floor)
        self.x, self.length = w, maximum(length, _times(number(floor), scale))

    def y(self, dtype: Any = float64) -> Any:
        return ratio(self.x, self.length, dtype)


def unit(x: Any, axes: Axes, floor: float) -> Any:
    return Direction(x, axes, floor).y(x._spec.dtype)


def projected(x: Any, g: Any, axes: Axes, floor: float) -> Any:
    """(g - y <y, g>) / r, at the largest entries by way of the others' squares; in float64 |x|^2 is two numbers."""
    exact = x._spec.dtype is float64
    (z, scale), own = scaled(x, axes), cast(g, float64)
    size = absolute(x)
    most = record(MAX.op(axes=axes, keepdims=True), size)
    hit = equal(size, most)
    along, part = multiply(z, own), square(z)

    def both(t: Any) -> tuple[Any, Any]:
        return sum_over(where(hit, 0.0, t), axes, True), sum_over(where(hit, t, 0.0), axes, True)

    (rest, top), (others, tops) = both(along), both(part)
    whole, low = squares(z, axes, _times(most, scale)) if exact else (add(others, tops), number(0.0))
    size = unscaled(sqrt(whole), scale)
    whole = where(equal(whole, 0.0), 1.0, whole)

    def over(t: Any) -> Any:
        return share(t, number(1.0), whole, low) if exact else divide(t, whole)

    largest = subtract(multiply(own, add(others, subtract(tops, part))), multiply(z, add(rest, subtract(top, along))))
    out = where(hit, over(largest), subtract(own, multiply(z, over(add(rest, top)))))
    return ratio(where(less_equal(size, floor), own, out), maximum(size, floor), x._spec.dtype)


def falling(x: Any, axes: Axes, floor: float) -> Any:
    """-1 / |x| in every entry, 0 where |x| is not above the floor."""
    to = Direction(x, axes, floor)
    slope = where(to.held, 0.0, negative(divide(1.0, where(to.held, 1.0, to.r))))
    return broadcast_to(cast(slope, x._spec.dtype), x._spec.shape)


# ----------------------------------------------------------------------------------------------------------- deviations


def _mean(x: Any, axes: Axes) -> Any:
    return record(MEAN.op(axes=axes, keepdims=True), x)


def _apart(x: Any, axes: Axes) -> tuple[Any, Any, Any]:
    """x - mean(x) in float64, what rounding it lost, and the mean of both; None where x has fewer digits."""
    w = cast(x, float64)
    near = _mean(w, axes)
    d = subtract(w, near)
    if x._spec.dtype is not float64:
        return d, None, None
    back = subtract(d, w)
    low = subtract(subtract(w, subtract(d, back)), add(near, back))
    return d, low, add(_mean(d, axes), _mean(low, axes))


def centred(x: Any, axes: Axes) -> Any:
    d, low, mean = _apart(x, axes)
    return cast(d, x._spec.dtype) if low is None else add(subtract(d, mean), low)


def variance(x: Any, axes: Axes, keepdims: bool, free: float) -> Any:
    d, _, mean = _apart(x, axes)
    total = sum_over(square(d), axes, True)
    if mean is not None:
        total = subtract(total, multiply(square(mean), float(count_of(x._spec.shape, axes))))
    return finished(divide(total, float(free)), x, axes, keepdims)


def deviation(x: Any, axes: Axes, keepdims: bool, free: float) -> Any:
    z, scale = _deviations(x, axes)
    y = sqrt(divide(sum_over(square(z), axes, True), float(free)))
    return finished(unscaled(y, scale), x, axes, keepdims)


def deviation_slope(x: Any, axes: Axes, free: float) -> Any:
    z, _ = _deviations(x, axes)
    return ratio(z, sqrt(multiply(sum_over(square(z), axes, True), float(free))), x._spec.dtype)


def _deviations(x: Any, axes: Axes) -> tuple[Any, Any]:
    if x._spec.dtype is not float64:
        return _apart(x, axes)[0], None
    return scaled(centred(x, axes), axes)

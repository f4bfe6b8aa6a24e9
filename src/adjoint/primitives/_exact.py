"""Sums and products of float64 that keep what is rounded off, as tensor code: what ``expand`` rules are made of.

Compiled loops have no type wider than float64. Here a product is followed by what its rounding loses, and a sum comes as two
numbers, so that terms may cancel (Dekker 1971; Ogita, Rump and Oishi 2005).
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .._dtypes import float64
from .._graph import Primitive, Spec, spec
from .._trace import record
from ._curves import two_product, two_sum
from ._make import broadcast_shapes, check_kind
from .arithmetic import add, multiply, subtract
from .comparison import isfinite, where
from .complex import abs as absolute
from .creation import full_of
from .reduction import MAX, count_of, sum_over

Axes = tuple[int, ...]


def _infer(name: str) -> Any:
    def infer(*specs: Spec) -> Spec:
        shape = specs[0].shape
        for s in specs:
            check_kind(name, s.dtype, "f")
            shape = broadcast_shapes(name, shape, s.shape)
        return spec(shape, float64)

    return infer


def _made(name: str, count: int, kernel: Any, lower: Any, oracle: Any, doc: str) -> Primitive:
    return Primitive(
        name, _infer(name), lambda *xs: kernel(*[x.astype(np.float64) for x in xs]), elementwise=True, oracle=oracle, doc=doc,
        lower=lambda s, *xs: lower(s, *[x.to("f64") for x in xs]),
        cases=(lambda rng: ((*rng.uniform(1.0, 2.0, size=(min(count, 3), 3, 5)), *[np.full((3, 5), 1e-17)] * (count > 3)), {}),))


# ------------------------------------------------------------------------------------------------------------- products

def _lost_kernel(x: Any, y: Any) -> Any:
    lost = two_product(x, y)[1]
    return np.where(np.isfinite(lost), lost, 0.0)


def _lost_lower(s: Any, x: Any, y: Any) -> Any:
    lost = s.fma(x, y, -(x * y))
    return s.select(s.isfinite(lost), lost, 0.0)


LOST = _made("product_lost", 2, _lost_kernel, _lost_lower, lambda x, y: np.zeros(x.shape), "What rounding x y to float64 loses.")


def _less_kernel(x: Any, a: Any, y: Any, low: Any) -> Any:
    product, lost = two_product(a, y)
    r, more = two_sum(x, -product)
    return np.where(np.isfinite(r), r + (more - lost - low * y), r)


def _less_lower(s: Any, x: Any, a: Any, y: Any, low: Any) -> Any:
    r = s.fma(-a, y, x)
    return s.select(s.isfinite(r), s.fma(-low, y, r), r)


LESS = _made("less_product", 4, _less_kernel, _less_lower, lambda x, a, y, low: x - (a + low) * y,
             "x - (a + low) y, the first part rounded once, in float64.")


def _share_kernel(a: Any, b: Any, whole: Any, low: Any) -> Any:
    product, lost = two_product(a, b)
    q = product / whole
    back, more = two_product(q, whole)
    rest = ((product - back) - more + lost - q * low) / whole
    return np.where(np.isfinite(rest), q + rest, q)


def _share_lower(s: Any, a: Any, b: Any, whole: Any, low: Any) -> Any:
    product = a * b
    q = product / whole
    rest = (s.fma(-q, whole, product) + s.fma(a, b, -product) - q * low) / whole
    return s.select(s.isfinite(rest), q + rest, q)


SHARE = _made("share_of", 4, _share_kernel, _share_lower, lambda a, b, whole, low: a * b / (whole + low),
              "a b / (whole + low) rounded once, in float64; ``low`` is what rounding the whole has lost.")


def less(x: Any, a: Any, y: Any, low: Any = None) -> Any:
    return record(LESS.op(), x, a, y, number(0.0) if low is None else low)


def share(a: Any, b: Any, whole: Any, low: Any) -> Any:
    return record(SHARE.op(), a, b, whole, low)


def number(value: float) -> Any:
    return full_of(spec((), float64), value)


# ----------------------------------------------------------------------------------------------------------------- sums

def top(x: Any, axes: Axes) -> Any:
    """The largest magnitudes of rows."""
    return record(MAX.op(axes=axes, keepdims=True), absolute(x))


def settled(high: Any, low: Any) -> tuple[Any, Any]:
    """high + low rounded, and what that loses; an infinite high alone."""
    low = where(isfinite(high), low, 0.0)
    total = add(high, low)
    lost = subtract(low, subtract(total, high))
    return total, where(isfinite(lost), lost, 0.0)


def added(t: Any, axes: Axes, most: Any, *more: Any) -> tuple[Any, Any]:
    """The sums of rows as two numbers, rounded only far below the last place of n ``most``, the largest magnitude: what is left
    of an element when a large number is added and taken off again adds up exactly, what that loses apart. ``more`` are small
    terms that belong to the sum."""
    terms = 2.0 * count_of(t._spec.shape, axes)
    reach = most * terms if most.__class__ is float else where(isfinite(most), multiply(most, terms), 0.0)
    high = subtract(add(t, reach), reach)
    low = subtract(t, high)
    for small in more:
        low = add(low, small)
    return sum_over(high, axes, True), sum_over(low, axes, True)


def inner(x: Any, y: Any, axes: Axes) -> tuple[Any, Any]:
    """The inner products of rows as two numbers."""
    return settled(*added(multiply(x, y), axes, multiply(top(x, axes), top(y, axes)), record(LOST.op(), x, y)))


def squares(x: Any, axes: Axes, most: Any = None) -> tuple[Any, Any]:
    """The sums of squares of rows as two numbers; ``most`` are the largest magnitudes where they are known."""
    most = top(x, axes) if most is None else most
    return settled(*added(multiply(x, x), axes, multiply(most, most), record(LOST.op(), x, x)))

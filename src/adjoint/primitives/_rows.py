"""Rows in simple operations: what the ``expand`` rules of the softmax family are made of.

The kernels leave the largest entry of a row out by its place; here it is known by its exponential, which is 1. ``ties``
counts how many entries have that, so the sum of the others is that of the smaller ones and ties - 1. A row that holds only
-inf has no ties and the sum 0.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from .._dtypes import DType, float32, float64, int32, int64
from .._errors import IndexingError, complain
from .._graph import Primitive, Spec, spec
from .._trace import record
from ._exact import added, number, settled, share
from ._make import broadcast_shapes, check_kind
from .arithmetic import add, divide, multiply, negative, subtract
from .broadcast import reduced, restore
from .comparison import equal, maximum, where
from .convert import cast
from .movement import reshape
from .reduction import MAX, sum_over
from .transcendental import log1p

Axes = tuple[int, ...]

# ------------------------------------------------------------------------------------------------ differences, not rounded


def _difference(x: Any, m: Any) -> tuple[Any, Any]:
    """x - m in float64 as head and tail; 0 where they are equal, also where both are infinite."""
    a, b = x.astype(np.float64), m.astype(np.float64)
    d = np.where(a == b, 0.0, a - b)
    if x.dtype != np.float64:
        return d, 0.0
    back = d - a
    low = (a - (d - back)) - (b + back)
    return d, np.where((d < 0) & (d > -1e30), low, 0.0)


def _parts(s: Any, x: Any, m: Any) -> tuple[Any, Any]:
    """The same in the type of x, for x up to m."""
    d = s.select(x.eq(m), 0.0, x - m)
    back = d - x
    return d, s.select((d < 0.0) & (d > -1e30), (x - (d - back)) - (m + back), 0.0)


def _exp_kernel(x: Any, m: Any, dtype: DType) -> Any:
    d, low = _difference(x, m)
    e = np.exp(d)
    return (e + e * low).astype(dtype.np)


def _exp_lower(s: Any, x: Any, m: Any, dtype: DType) -> Any:
    if x.type == "f32" and dtype is float64:
        a, b = x.to("f64"), m.to("f64")
        d = s.select(a.eq(b), 0.0, a - b)
        return s.exp_sum(d, d.of(0.0))
    return s.exp_sum(*_parts(s, x, m))


def _pair_infer(name: str) -> Any:
    def infer(x: Spec, m: Spec, *rest: Spec, dtype: DType | None = None) -> Spec:
        check_kind(name, x.dtype, "f")
        return spec(broadcast_shapes(name, x.shape, m.shape, *[r.shape for r in rest]), dtype or x.dtype)

    return infer


def _pair_case(*shape: int, **params: Any) -> Any:
    return lambda rng: ((rng.normal(size=(3, 4)), 3.0 + rng.normal(size=(3, 1)), *[rng.normal(size=shape)] * bool(shape)), params)


EXP_BELOW: Primitive = Primitive(
    "exp_below", _pair_infer("exp_below"), _exp_kernel, elementwise=True, lower=_exp_lower,
    oracle=lambda x, m, dtype: np.exp(x - m), cases=(_pair_case(dtype=float64),),
    doc="exp(x - m) for x up to m, with what rounding x - m loses; 1 where they are equal, also where both are infinite.")


def _below_kernel(x: Any, m: Any, c: Any) -> Any:
    d, low = _difference(x, m)
    return ((d - c.astype(np.float64)) + low).astype(x.dtype)


def _below_lower(s: Any, x: Any, m: Any, c: Any) -> Any:
    if x.type == "f32":
        return (s.select(x.eq(m), 0.0, x.to("f64") - m.to("f64")) - c.to("f64")).to("f32")
    d, low = _parts(s, x, m)
    return (d - c) + low


BELOW: Primitive = Primitive(
    "difference_less", _pair_infer("difference_less"), _below_kernel, elementwise=True, lower=_below_lower,
    oracle=lambda x, m, c: x - m - c, cases=(_pair_case(3, 1),),
    doc="(x - m) - c, with what rounding x - m loses; x - m is 0 where they are equal, also where both are infinite.")


def exp_below(x: Any, m: Any, dtype: DType) -> Any:
    return record(EXP_BELOW.op(dtype=dtype), x, m)


def below(x: Any, m: Any, c: Any) -> Any:
    return record(BELOW.op(), x, m, c)


# ---------------------------------------------------------------------------------------------------------- class numbers


def checked(labels: Any, classes: int) -> Any:
    """Labels as they are, or an IndexingError naming one that is no class."""
    if labels.size and not np.maximum.reduce(labels.astype(np.uint64), None) < classes:    # a negative label wraps around
        bad = labels[(labels < 0) | (labels >= classes)][0]
        raise IndexingError(complain("sparse_softmax_cross_entropy_with_logits", "labels",
                                     f"in [0, {classes}), the number of classes", int(bad)))
    return labels


def _class_lower(s: Any, x: Any, classes: int) -> Any:
    number = x.to("i64")
    s.refuse((number < 0) | (number >= classes))
    return number.to("i32")


CLASS: Primitive = Primitive(
    "class_number", lambda x, classes: spec(x.shape, int32), lambda x, classes: checked(x, classes).astype(np.int32),
    elementwise=True, lower=_class_lower, oracle=lambda x, classes: x,
    cases=(lambda rng: ((rng.integers(0, 4, size=5),), {"classes": 4}),), doc="Class numbers, checked.")


CLASSES: Primitive = Primitive(
    "class_numbers", lambda classes: spec((classes,), int32), lambda classes: np.arange(classes, dtype=np.int32),
    oracle=lambda classes: np.arange(classes), cases=(lambda rng: ((), {"classes": 4}),), ramp=True,
    doc="The numbers of all classes.")


def is_class(labels: Any, x: Any) -> Any:
    """For each logit whether its class is the label's; out of range is an error."""
    n, rank = x._spec.shape[-1], x._spec.ndim
    number = record(CLASS.op(classes=n), labels)
    return equal(restore(number, x._spec.shape, (rank - 1,), False), record(CLASSES.op(classes=n)))


# ----------------------------------------------------------------------------------------------------------------- the row


class Row:
    """Exponentials below the largest entry of a row and their sums; ``dtype`` is that of the exponentials.

    top     the largest entry; ``peak`` the same, but finite where all are -inf
    e       exp(x - peak)
    hit     where that is 1
    ties    how many are largest;  others: the sum of all exponentials but one
    whole   the sum of all; 1 where all are -inf (``total`` is 0 there)
    """

    def __init__(self, x: Any, axes: Axes, dtype: DType) -> None:
        self.axes = axes
        self.top, self.peak = _peak(x, axes)
        self.e = exp_below(x, self.peak, dtype)
        self.hit = equal(self.e, 1.0)
        self.ties = cast(self.sum(cast(self.hit, int32 if dtype is float32 else int64)), float64)
        more, smaller = maximum(subtract(self.ties, 1.0), 0.0), where(self.hit, 0.0, self.e)
        if x._spec.dtype is float64:
            high, low = added(smaller, axes, 1.0)
            self.others = add(add(high, more), low)
            self.total = add(add(high, self.ties), low)
        else:
            rest = cast(self.sum(smaller), float64)
            self.others, self.total = add(rest, more), add(rest, self.ties)
        self.whole = filled(self.total)

    def sum(self, t: Any) -> Any:
        return sum_over(t, self.axes, True)

    def of(self, t: Any) -> Any:
        """The sums of ``t`` over the smaller entries, and over the largest."""
        return self.sum(where(self.hit, 0.0, t)), self.sum(where(self.hit, t, 0.0))


def _peak(x: Any, axes: Axes) -> tuple[Any, Any]:
    top = record(MAX.op(axes=axes, keepdims=True), x)
    return top, maximum(top, float(np.finfo(x._spec.dtype.np).min))


def filled(total: Any) -> Any:
    return where(equal(total, 0.0), 1.0, total)


def _over(t: Any, whole: Any, dtype: DType) -> Any:
    """t / whole in ``dtype``; below float64 by the reciprocal in float64, which costs less."""
    if dtype is float64:
        return divide(t, whole)
    return cast(multiply(cast(t, float64), divide(1.0, whole)), dtype)


def dropped(t: Any, axes: Axes) -> Any:
    """``t`` without ``axes``, which have length 1."""
    return reshape(t, reduced(t._spec.shape, axes, False))


# -------------------------------------------------------------------------------------------------------------- the rules


def softmax(x: Any, axes: Axes) -> Any:
    dtype = x._spec.dtype
    e = exp_below(x, _peak(x, axes)[1], dtype)
    if dtype is float64:
        total, low = settled(*added(e, axes, 1.0))
        return share(e, number(1.0), filled(total), low)
    return _over(e, cast(filled(sum_over(e, axes, True)), float64), dtype)


def log_softmax(x: Any, axes: Axes) -> Any:
    row = Row(x, axes, x._spec.dtype)
    return below(x, row.peak, log1p(row.others))


def logsumexp(x: Any, axes: Axes, keepdims: bool) -> Any:
    row = Row(x, axes, x._spec.dtype)
    y = cast(add(cast(row.top, float64), log1p(row.others)), x._spec.dtype)
    return y if keepdims else dropped(y, axes)


def _centred(x: Any, g: Any, axes: Axes) -> tuple[Any, Any, Any, Any]:
    """Exponentials, their sum in two parts, and g less its mean under softmax, by differences to the largest entries' g."""
    e = exp_below(x, _peak(x, axes)[1], float64)
    exact = x._spec.dtype is float64
    total, low = settled(*added(e, axes, 1.0)) if exact else (sum_over(e, axes, True), None)
    g = cast(g, float64)
    hit = equal(e, 1.0)
    ties = cast(sum_over(cast(hit, int64), axes, True), float64)
    h = subtract(g, divide(sum_over(where(hit, g, 0.0), axes, True), maximum(ties, 1.0)))
    along = sum_over(multiply(e, h), axes, True)
    mean = share(along, number(1.0), filled(total), low) if exact else divide(along, filled(total))
    return e, total, low, subtract(h, mean)


def spread(x: Any, g: Any, axes: Axes) -> Any:
    e, total, low, h = _centred(x, g, axes)
    return _over(multiply(e, h), filled(total), x._spec.dtype) if low is None else share(e, h, filled(total), low)


def centre(x: Any, g: Any, axes: Axes) -> Any:
    _, total, _, h = _centred(x, g, axes)
    return cast(where(equal(total, 0.0), 0.0, h), x._spec.dtype)


def slope(x: Any, z: Any, axes: Axes) -> Any:
    """p sum(z) - z, at the largest entry as p (the others' z) - (1 - p) z."""
    row = Row(x, axes, float64)
    z = cast(z, float64)
    rest, tied = row.of(z)
    factor = divide(add(rest, tied), row.whole)
    largest = multiply(subtract(add(rest, subtract(tied, z)), multiply(row.others, z)), divide(1.0, row.whole))
    out = where(row.hit, largest, subtract(multiply(row.e, factor), z))
    return cast(where(equal(row.total, 0.0), 0.0, out), x._spec.dtype)


def rest(x: Any, g: Any, axes: Axes) -> Any:
    return subtract(0.0, slope(x, g, axes))


def cross_entropy(z: Any, x: Any, axes: Axes) -> Any:
    row = Row(x, axes, float64)
    z = cast(z, float64)
    d = where(equal(x, row.peak), 0.0, subtract(cast(x, float64), cast(row.peak, float64)))
    total, distance = row.sum(z), row.sum(where(equal(z, 0.0), 0.0, multiply(z, d)))
    level = where(equal(total, 0.0), 0.0, multiply(total, log1p(row.others)))
    return dropped(cast(subtract(level, distance), x._spec.dtype), axes)


def sparse_cross_entropy(labels: Any, x: Any) -> Any:
    axes = (x._spec.ndim - 1,)
    row = Row(x, axes, x._spec.dtype)
    own = row.sum(where(is_class(labels, x), x, 0.0))
    return dropped(negative(below(own, row.peak, log1p(row.others))), axes)


def sparse_slope(labels: Any, x: Any) -> Any:
    dtype = x._spec.dtype
    row = Row(x, (x._spec.ndim - 1,), dtype)
    e = cast(row.e, float64)
    right = where(row.hit, negative(row.others), subtract(e, row.total))
    return _over(where(is_class(labels, x), right, e), row.whole, dtype)

"""What the losses need beyond the primitives: terms whose pieces would cancel, summed in wide precision.

float32 rows are summed in float64 and rounded once; float64 rows whose terms have both signs in long double, or as two numbers.
"""
from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np

from .._dtypes import float64, int64
from .._errors import DtypeError, IndexingError, ShapeError, complain
from .._graph import Primitive, Spec, spec
from .._trace import record
from ..primitives import _twofold as twofold
from ..primitives._accuracy import measured
from ..primitives._curves import scipy_special, wide
from ..primitives._exact import added, inner, less, settled, squares, top
from ..primitives._layout import in_blocks, layout
from ..primitives._lengths import scaled, unscaled
from ..primitives._make import check_kind, elementwise_infer
from ..primitives.arithmetic import add, divide, divide_no_nan, multiply, negative, reciprocal, square, subtract
from ..primitives.broadcast import reduced, restore, sum
from ..primitives.comparison import greater, logical_and, where
from ..primitives.comparison import less as below
from ..primitives.convert import cast
from ..primitives.movement import reshape
from ..primitives.reduction import shifted
from ..primitives.special import logit
from ..primitives.transcendental import log, sqrt, xdivy, xlogy

Axes = tuple[int, ...]
_PROBABILITIES = ((0.1, 0.9), (0.1, 0.9))


def _rows_infer(name: str) -> Any:
    def infer(y: Spec, p: Spec, axes: Axes) -> Spec:
        check_kind(name, p.dtype, "f")
        if y is not p:
            raise ShapeError(complain(name, "its tensors", "of one shape and dtype", f"{y} and {p}"))
        return spec(reduced(p.shape, axes, False), p.dtype)

    return infer


def _row_cases() -> Any:
    def case(shape: tuple[int, ...], axes: Axes) -> Any:
        return lambda rng: ((rng.uniform(0.1, 1.0, size=shape), rng.uniform(0.1, 1.0, size=shape)), {"axes": axes})

    return case((3, 4), (1,)), case((3, 4), (0,)), case((2, 3, 2), (0, 2))


# ------------------------------------------------------------------------------------------------------- cross-entropy

def _cross_kernel(y: Any, p: Any, axes: Axes) -> Any:
    terms = scipy_special().xlogy(y.astype(np.float64), p.astype(np.float64))
    return (0.0 - np.add.reduce(terms, axis=axes)).astype(p.dtype)


def _cross_vjp(g: Any, out: Any, y: Any, p: Any, axes: Axes) -> Any:
    g = negative(restore(g, p._spec.shape, axes, False))
    return multiply(g, log(p)), multiply(g, xdivy(y, p))


def _cross_jvp(ts: Any, out: Any, y: Any, p: Any, axes: Axes) -> Any:
    return _sum_of(None if ts[0] is None else multiply(ts[0], log(p)),
                   None if ts[1] is None else multiply(ts[1], xdivy(y, p)), axes, -1)


def _sum_of(a: Any, b: Any, axes: Axes, sign: int) -> Any:
    total = b if a is None else a if b is None else add(a, b)
    total = sum(total, axes)
    return negative(total) if sign < 0 else total


def _cross_expand(y: Any, p: Any, axes: Axes) -> Any:
    return cast(negative(sum(xlogy(cast(y, float64), cast(p, float64)), axes)), p._spec.dtype)


CROSS: Primitive = Primitive(
    "cross_entropy", _rows_infer("cross_entropy"), _cross_kernel, vjp=_cross_vjp, jvp=_cross_jvp, cases=_row_cases(),
    batch=shifted(lambda: CROSS), expand=_cross_expand, oracle=lambda y, p, axes: -np.sum(y * np.log(p), axis=axes),
    doc="-sum(y log(p)) over axes; a term with y = 0 is 0.")


# ----------------------------------------------------------------------------------------------- Kullback and Leibler

_NEAR = 0.02
_SERIES = tuple([(1.0 if k % 2 == 0 else -1.0) / (k * (k - 1)) for k in range(2, 15)])


def _bend(u: Any) -> Any:
    """(1 + u) log(1 + u) - u for |u| < 1, by its series u^2 / 2 - u^3 / 6 + u^4 / 12 - ... where that cancels."""
    r: Any = 0.0
    for k in range(14, 1, -1):
        r = (1.0 if k % 2 == 0 else -1.0) / u.dtype.type(k * (k - 1)) + r * u
    return np.where(np.abs(u) < _NEAR, r * u * u, (1 + u) * np.log1p(u) - u)


def _terms(p: Any, q: Any) -> tuple[Any, Any]:
    """p log(p / q) as (p - q) + q h((p - q) / q) where p is near q: the first part adds up exactly, the second has one sign."""
    more = np.float64 if p.dtype.itemsize < 8 else np.longdouble
    a, b = p.astype(more), q.astype(more)
    ratio = a / b
    near = (ratio > 0.5) & (ratio < 2.0)
    apart = np.where(near, a - b, 0)
    return apart, np.where(near, b * _bend(np.where(near, apart / b, 0)), np.where(a == 0, 0, a * np.log(ratio)))


def _divergence_kernel(p: Any, q: Any, axes: Axes) -> Any:
    apart, curved = _terms(p, q)
    return (np.add.reduce(apart, axis=axes) + np.add.reduce(curved, axis=axes)).astype(p.dtype)


def _curve_lower(s: Any, p: Any, q: Any) -> Any:
    a, b = p.to("f64"), q.to("f64")
    ratio = a / b
    u = (a - b) / b
    bent = s.select(abs(u) < _NEAR, s.polynomial(_SERIES, u) * u * u, (u + 1.0) * s.log1p(u) - u)
    return s.select((ratio > 0.5) & (ratio < 2.0), b * bent, s.select(a.eq(0.0), 0.0, a * s.log(ratio)))


CURVE = Primitive(
    "kl_curve", elementwise_infer("kl_curve", ("f", "f"), float64), lambda p, q: _terms(p, q)[1].astype(np.float64),
    elementwise=True, lower=_curve_lower,
    cases=(lambda rng: ((rng.uniform(0.1, 0.9, size=5), rng.uniform(0.1, 0.9, size=5)), {}),),
    oracle=lambda p, q: p * np.log(p / q) - np.where((p / q > 0.5) & (p / q < 2), p - q, 0),
    doc="p log(p / q), less p - q where p is near q, in float64.")


def _terms_kernel(p: Any, q: Any, low: bool) -> Any:
    apart, curved = _terms(p, q)
    high = np.where(np.abs(p - q) < _NEAR * np.abs(q), p - q, apart + curved).astype(np.float64)
    if not low:
        return high
    rest = (apart - high) + curved
    return np.where(np.isfinite(rest), rest, 0.0).astype(np.float64)


def _terms_lower(s: Any, x: Any, y: Any, low: bool) -> Any:
    p, q = x.to("f64"), y.to("f64")
    ratio, d = p / q, p - q
    s.refuse((ratio.eq(float("inf")) & (q > 0.0)) | ((ratio < 1e-290) & (p > 0.0)))
    near = abs(d) < abs(q) * _NEAR
    log = s._long_log(ratio)
    head = log.head + log.tail
    high = s.select(near, d, s.select(p.eq(0.0), 0.0, p * head))
    if not low:
        return high
    tail = log.tail - (head - log.head)
    rest = s.fma(p, head, -high) + s.fma(p, tail, s.fma(-ratio, q, p))      # log(p / q) = log(ratio) + (p - ratio q) / p
    u = d / q
    square = s.fma(u, u, u * s.fma(-u, q, d) / q * 2.0)
    rest = s.select(near, s.polynomial(_SERIES, u) * square * q, rest)
    return s.select(s.isfinite(rest) & p.ne(0.0), rest, 0.0)


TERMS = Primitive(
    "kl_terms", lambda p, q, low: elementwise_infer("kl_terms", ("f", "f"), float64)(p, q), _terms_kernel, elementwise=True,
    lower=_terms_lower, cases=(lambda rng: ((rng.uniform(0.1, 0.4, size=5), rng.uniform(0.6, 0.9, size=5)), {"low": False}),),
    oracle=lambda p, q, low: p * np.log(p / q),
    doc="p log(p / q), where p is close to q only p - q; with ``low`` what is left of it. In float64.")


def _divergence_expand(p: Any, q: Any, axes: Axes) -> Any:
    if p._spec.dtype is float64:
        high = record(TERMS.op(low=False), p, q)
        total = settled(*added(high, axes, top(high, axes), record(TERMS.op(low=True), p, q)))[0]
        return reshape(total, reduced(p._spec.shape, axes, False))
    a, b = cast(p, float64), cast(q, float64)
    ratio = divide(a, b)
    near = logical_and(greater(ratio, 0.5), below(ratio, 2.0))
    apart = sum(where(near, subtract(a, b), 0.0), axes)
    return cast(add(apart, sum(record(CURVE.op(), p, q), axes)), p._spec.dtype)


def _slope_kernel(p: Any, q: Any) -> Any:
    ratio = p / q
    near = (ratio > 0.5) & (ratio < 2.0)
    tame = np.isfinite(ratio) & (ratio > 1e-290)
    far = np.where(tame, np.log(ratio), np.log(p) - np.log(q))
    return np.where(near, np.log1p(np.where(near, (p - q) / q, 0)), far) + 1


def _slope_lower(s: Any, p: Any, q: Any) -> Any:
    a, b = p.to("f64"), q.to("f64")
    ratio = a / b
    if p.type == "f64":
        s.refuse((ratio.eq(float("inf")) & (b > 0.0)) | ((ratio < 1e-290) & (a > 0.0)))
    return (s.log(ratio) + 1.0).to(p.type)


SLOPE = Primitive(
    "kl_slope", elementwise_infer("kl_slope", ("f", "f"), "same"), wide(_slope_kernel), lower=_slope_lower,
    partials=lambda r, p, q: (reciprocal(p), negative(reciprocal(q))), elementwise=True, domain=_PROBABILITIES,
    oracle=lambda p, q: np.log(p / q) + 1, doc="log(p / q) + 1.")


def _divergence_vjp(g: Any, out: Any, p: Any, q: Any, axes: Axes) -> Any:
    g = restore(g, p._spec.shape, axes, False)
    return multiply(g, record(SLOPE.op(), p, q)), negative(multiply(g, xdivy(p, q)))


def _divergence_jvp(ts: Any, out: Any, p: Any, q: Any, axes: Axes) -> Any:
    return _sum_of(None if ts[0] is None else multiply(ts[0], record(SLOPE.op(), p, q)),
                   None if ts[1] is None else negative(multiply(ts[1], xdivy(p, q))), axes, 1)


DIVERGENCE: Primitive = Primitive(
    "kl_divergence", _rows_infer("kl_divergence"), _divergence_kernel, vjp=_divergence_vjp, jvp=_divergence_jvp,
    cases=_row_cases(), batch=shifted(lambda: DIVERGENCE), expand=_divergence_expand,
    oracle=lambda p, q, axes: np.sum(p * np.log(p / q), axis=axes),
    error=measured("sum(p - q) + sum(q h((p - q) / q)), h(u) = (1 + u) log1p(u) - u",
                   why="f' in float64 counts against |x f''| where log(p / q) = -1"),
    doc="sum(p log(p / q)) over axes; a term with p = 0 is 0.")


# --------------------------------------------------------------------------------------------------------------- angles

def _exact(rows: Any) -> twofold.Twofold:
    return twofold.Twofold(rows, np.zeros_like(rows))


@in_blocks
def _rejection_kernel(a: Any, b: Any, axes: Axes) -> Any:
    """In a wider dtype; float64 rows that are nearly parallel, of which little is left, twofold."""
    if a.size == 0:
        return a
    lay = layout(a, axes)
    more = np.float64 if a.dtype.itemsize < 8 else np.longdouble
    x, y = lay.apart(a).astype(more), lay.apart(b).astype(more)
    squares = np.add.reduce(y * y, axis=1, keepdims=True)
    along = np.add.reduce(x * y, axis=1, keepdims=True) / np.where(squares > 0, squares, 1)
    out = (x - along * y).astype(a.dtype)
    if a.dtype == np.float64:
        near = np.max(np.abs(out), axis=1) < 2.0**-7 * np.max(np.abs(x), axis=1)
        if near.any():
            p, q = _exact(lay.apart(a)[near]), _exact(lay.apart(b)[near])
            out[near] = (p - twofold.total(p * q) / twofold.total(q * q) * q).high
    return lay.whole(out)


def _rejection_vjp(g: Any, out: Any, a: Any, b: Any, axes: Axes) -> Any:
    squares = sum(square(b), axes, keepdims=True)
    of_a, of_g = (divide_no_nan(sum(multiply(x, b), axes, keepdims=True), squares) for x in (a, g))
    back = rejection(g, b, axes)
    return back, negative(add(multiply(of_g, out), multiply(of_a, back)))


def _rejection_expand(a: Any, b: Any, axes: Axes) -> Any:
    """What is left when the part along b is taken away; in float64 that part is two numbers, since little may be left."""
    (x, scale), (y, _) = scaled(a, axes), scaled(b, axes)
    if b._spec.dtype is not float64:
        along = divide_no_nan(sum(multiply(x, y), axes, keepdims=True), sum(square(y), axes, keepdims=True))
        return cast(less(x, along, y), b._spec.dtype)
    (part, part_low), (whole, whole_low) = inner(x, y, axes), squares(y, axes)
    along = divide_no_nan(part, whole)
    low = divide_no_nan(subtract(add(less(part, along, whole), part_low), multiply(along, whole_low)), whole)
    return unscaled(less(x, along, y, low), scale)


REJECTION: Primitive = Primitive(
    "rejection", lambda a, b, axes: (_rows_infer("rejection")(a, b, axes), b)[1], _rejection_kernel,
    vjp=_rejection_vjp, cases=_row_cases(), batch=shifted(lambda: REJECTION), expand=_rejection_expand,
    oracle=lambda a, b, axes: a - (a * b).sum(axes, keepdims=True) / (b * b).sum(axes, keepdims=True) * b,
    doc="The part of a at right angles to b: a - (a.b / b.b) b.")


def rejection(a: Any, b: Any, axes: Axes) -> Any:
    return record(REJECTION.op(axes=axes), a, b)


@in_blocks
def _cosine_kernel(a: Any, b: Any, axes: Axes) -> Any:
    """In a wider dtype; float64 vectors that are nearly at right angles twofold."""
    more = np.float64 if a.dtype.itemsize < 8 else np.longdouble
    lay = layout(a, axes)
    rows = lay.apart(a), lay.apart(b)
    x, y = (v.astype(more) for v in rows)
    squares = np.add.reduce(x * x, axis=1) * np.add.reduce(y * y, axis=1)
    none = squares == 0
    lengths = np.sqrt(np.where(none, 1, squares))
    cosine = np.where(none, 0, np.add.reduce(x * y, axis=1) / lengths).astype(a.dtype)
    near = ~none & (np.abs(cosine) < 2.0**-6)
    if a.dtype == np.float64 and near.any():
        cosine[near] = twofold.total(_exact(rows[0][near]) * _exact(rows[1][near])).high[:, 0] / lengths[near]
    return cosine.reshape(lay.out)


def _cosine_vjp(g: Any, out: Any, a: Any, b: Any, axes: Axes) -> Any:
    dtype = b._spec.dtype
    if dtype is not float64:                             # where no square overflows
        pulled = _cosine_vjp(cast(g, float64), None, cast(a, float64), cast(b, float64), axes)
        return tuple([cast(t, dtype) for t in pulled])
    sizes = multiply(*[sqrt(sum(square(x), axes)) for x in (a, b)])
    g = restore(divide_no_nan(g, sizes), b._spec.shape, axes, False)
    return multiply(g, rejection(b, a, axes)), multiply(g, rejection(a, b, axes))


def _cosine_expand(a: Any, b: Any, axes: Axes) -> Any:
    if b._spec.dtype is float64:
        x, y = scaled(a, axes)[0], scaled(b, axes)[0]
        sizes = multiply(sqrt(squares(x, axes)[0]), sqrt(squares(y, axes)[0]))
        return reshape(divide_no_nan(inner(x, y, axes)[0], sizes), reduced(b._spec.shape, axes, False))
    x, y = cast(a, float64), cast(b, float64)
    sizes = sqrt(multiply(sum(square(x), axes), sum(square(y), axes)))
    return cast(divide_no_nan(sum(multiply(x, y), axes), sizes), b._spec.dtype)


COSINE: Primitive = Primitive(
    "cosine", _rows_infer("cosine"), _cosine_kernel, vjp=_cosine_vjp, cases=_row_cases(),
    batch=shifted(lambda: COSINE), expand=_cosine_expand,
    oracle=lambda a, b, axes: (a * b).sum(axes) / np.sqrt((a * a).sum(axes) * (b * b).sum(axes)),
    doc="The cosine of the angle between vectors; 0 where one is 0. Squares must not overflow.")


# ------------------------------------------------------------------------------------------ two classes, probabilities

def _binary_kernel(y: Any, p: Any, n: int, m: int) -> Any:
    """The n-th derivative in p and m-th in y of -y log(p) - (1 - y) log(1 - p)."""
    rest = 1.0 - p
    if m == 0 and n == 0:
        return 0.0 - np.where(y == 0, 0.0, y * np.log(p)) - np.where(y == 1, 0.0, (1.0 - y) * np.log1p(-p))
    if m == 0 and n == 1:                                # over a common denominator: no cancellation where p is near y
        return np.where(y == 1, -1.0 / p, np.where(y == 0, 1.0 / rest, (p - y) / (p * rest)))
    size = float(factorial(n - 1))
    sign = -1.0 if n % 2 else 1.0
    if m == 1:
        slope = -1.0 / (p * rest) if n == 1 else size * (sign / p ** n - 1.0 / rest ** n)
        return np.broadcast_to(slope, np.broadcast_shapes(np.shape(y), np.shape(p)))
    return size * (np.where(y == 0, 0.0, sign * y / p ** n) + np.where(y == 1, 0.0, (1.0 - y) / rest ** n))


def _binary_partials(r: Any, y: Any, p: Any, n: int, m: int) -> Any:
    in_y = None if m else negative(logit(p)) if n == 0 else record(BINARY.op(n=n, m=1), y, p)
    return in_y, record(BINARY.op(n=n + 1, m=m), y, p)


def _binary_oracle(y: Any, p: Any, n: int, m: int) -> Any:
    f = (lambda y, p: -y * np.log(p) - (1 - y) * np.log(1 - p), lambda y, p: (1 - y) / (1 - p) - y / p,
         lambda y, p: (1 - y) / (1 - p) ** 2 + y / p ** 2)
    return f[n](y, p) if m == 0 else -1 / p - 1 / (1 - p)


def _binary_case(n: int, m: int) -> Any:
    return lambda rng: ((rng.uniform(0, 1, size=(3, 4)), rng.uniform(0.1, 0.9, size=(3, 4))), {"n": n, "m": m})


def _binary_lower(s: Any, y: Any, p: Any, n: int, m: int) -> Any:
    t, w = y.to("f64"), p.to("f64")
    rest = 1.0 - w

    def power(x: Any, k: int) -> Any:
        return x if k == 1 else power(x, k - 1) * x

    size, sign = float(factorial(max(n - 1, 0))), -1.0 if n % 2 else 1.0
    if m == 0 and n == 0:
        out = 0.0 - s.select(t.eq(0.0), 0.0, t * s.log(w)) - s.select(t.eq(1.0), 0.0, (1.0 - t) * s.log1p(-w))
    elif m == 0 and n == 1:
        out = s.select(t.eq(1.0), -1.0 / w, s.select(t.eq(0.0), 1.0 / rest, (w - t) / (w * rest)))
    elif m == 1:
        out = -1.0 / (w * rest) if n == 1 else (sign / power(w, n) - 1.0 / power(rest, n)) * size if n else None
    else:
        out = (s.select(t.eq(0.0), 0.0, t * sign / power(w, n)) + s.select(t.eq(1.0), 0.0, (1.0 - t) / power(rest, n))) * size
    return None if out is None else out.to(p.type)


BINARY = Primitive(
    "binary_entropy", elementwise_infer("binary_entropy", ("f", "f"), "same"), wide(_binary_kernel), lower=_binary_lower,
    partials=_binary_partials, elementwise=True, oracle=_binary_oracle,
    cases=tuple(_binary_case(n, m) for n, m in ((0, 0), (1, 0), (2, 0), (1, 1))),
    error=measured("log and log1p; the slope over a common denominator"),
    doc="-y log(p) - (1 - y) log(1 - p), or its derivative of order n in p and m in y.")


# -------------------------------------------------------------------------------------------------------------- Poisson

def _count_kernel(y: Any, p: Any) -> Any:
    more = np.float64 if p.dtype.itemsize < 8 else np.longdouble
    a, b = y.astype(more), p.astype(more)
    return (b - np.where(a == 0, 0, a * np.log(b))).astype(p.dtype)


COUNT_SLOPE = Primitive(
    "poisson_slope", elementwise_infer("poisson_slope", ("f", "f"), "same"),
    wide(lambda y, p: np.where(y == 0, 1.0, (p - y) / p)),
    lower=lambda s, y, p: s.select(y.eq(0.0), 1.0, (p.to("f64") - y.to("f64")) / p.to("f64")).to(p.type),
    partials=lambda r, y, p: (negative(reciprocal(p)), xdivy(xdivy(y, p), p)), elementwise=True,
    domain=((0.0, 3.0), (0.2, 3.0)), oracle=lambda y, p: 1 - y / p, doc="(p - y) / p, and 1 where y is 0.")
def _count_lower(s: Any, y: Any, p: Any) -> Any:
    a, b = y.to("f64"), p.to("f64")
    return (b - s.select(a.eq(0.0), 0.0, a * s.log(b))).to("f32") if p.type == "f32" else None


COUNT = Primitive(
    "poisson_loss", elementwise_infer("poisson", ("f", "f"), "same"), _count_kernel, lower=_count_lower,
    partials=lambda r, y, p: (negative(log(p)), record(COUNT_SLOPE.op(), y, p)), elementwise=True,
    domain=((0.1, 3.0), (0.2, 3.0)), oracle=lambda y, p: p - y * np.log(p), doc="p - y log(p).")


# ------------------------------------------------------------------------------------------------ distance of logarithms

def _log1p_distance_kernel(y: Any, p: Any) -> Any:
    """log1p(p) - log1p(y): by log1p of the quotient less 1 where that is small, else by the quotient's logarithm."""
    ratio = (1.0 + p) / (1.0 + y)
    near = (ratio > 0.5) & (ratio < 2.0)
    return np.where(near, np.log1p(np.where(near, (p - y) / (1.0 + y), 0.0)), np.log(ratio))


def _log1p_distance_lower(s: Any, y: Any, p: Any) -> Any:
    a, b = y.to("f64"), p.to("f64")
    ratio = (b + 1.0) / (a + 1.0)
    near = s.log1p((b - a) / (a + 1.0))
    return s.select((ratio > 0.5) & (ratio < 2.0), near, s.log(ratio)).to(p.type)


DISTANCE = Primitive(
    "log1p_distance", elementwise_infer("log1p_distance", ("f", "f"), "same"), wide(_log1p_distance_kernel),
    lower=_log1p_distance_lower,
    partials=lambda r, y, p: (negative(reciprocal(add(y, 1))), reciprocal(add(p, 1))), elementwise=True,
    domain=((0.0, 3.0), (0.0, 3.0)), oracle=lambda y, p: np.log1p(p) - np.log1p(y), doc="log(1 + p) - log(1 + y).")


# --------------------------------------------------------------------------------------------------------------- labels

def _labels_infer(x: Spec, classes: int, operation: str) -> Spec:
    if x.dtype.kind not in "iu":
        raise DtypeError(complain(operation, "y_true", "integers, the numbers of the right classes", x.dtype.name,
                                  "use categorical_crossentropy for probabilities, or cast it"))
    return spec(x.shape, int64)


def _labels_kernel(x: Any, classes: int, operation: str) -> Any:
    if x.size and not (x.min() >= 0 and x.max() < classes):
        bad = x[(x < 0) | (x >= classes)].flat[0]
        raise IndexingError(complain(operation, "y_true", f"in [0, {classes}), the number of classes", int(bad)))
    return x.astype(np.int64)


def _labels_lower(s: Any, x: Any, classes: int, operation: str) -> Any:
    number = x.to("i64")
    s.refuse((number < 0) | (number >= classes))
    return number


LABELS = Primitive(
    "class_labels", _labels_infer, _labels_kernel, elementwise=True, lower=_labels_lower, oracle=lambda x, classes, operation: x,
    cases=(lambda rng: ((rng.integers(0, 4, size=5),), {"classes": 4, "operation": "labels"}),),
    doc="Class numbers, checked.")

"""Softmax, log_softmax, logsumexp and the cross-entropies from logits.

All of them are built on the largest entry k of a row and the exponentials of the *others*: with
S = sum over j != k of exp(x_j - x_k), the probability of k is 1 / (1 + S), its complement S / (1 + S), and the log of
the row's sum x_k + log1p(S). So a loss of 1e-10 is 1e-10 and its gradient has all its digits. The derivatives are
primitives too and form a closed family, p standing for softmax(x):

    softmax_spread(x, g)   p (g - <p, g>)     the derivative of softmax, symmetric
    softmax_centre(x, g)   g - <p, g>         the derivative of log_softmax, forward
    softmax_rest(x, g)     g - p sum(g)       the same, transposed

Rows that hold only -inf (masked everywhere) have softmax 0, log_softmax -inf, logsumexp -inf and derivative 0; a row
with entries +inf shares the probability among them.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from .._dtypes import float64
from .._errors import AxisError, DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Spec, spec
from .._tensor import Value
from .._trace import hooks, record
from . import _rows
from . import _twofold as twofold
from ._accuracy import measured, stated
from ._binary import BINARY
from ._curves import F64, doubled, scipy_special
from ._layout import in_blocks, layout
from ._make import check_kind, normalize_axes
from .arithmetic import add, multiply, negative
from .broadcast import broadcast_to, reduced, restore, sum
from .convert import convert
from .movement import transpose

__all__ = [
    "log_softmax", "logsumexp", "sigmoid_cross_entropy_with_logits", "softmax", "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
]


class _Row:
    """The rows of x in float64: e = exp(x - max) with the largest left out, ``others`` their sum, ``whole`` that of all,
    ``total`` the same in something wider.

    ``careful`` is the way for rows whose largest entry is not finite; it is taken when the plain way gave no number.
    """

    __slots__ = ("at", "d", "e", "lay", "live", "low", "others", "top", "total", "whole")

    def __init__(self, x: Any, axes: tuple[int, ...], careful: bool = False) -> None:
        lay = self.lay = layout(x, axes)
        rows = lay.apart(x)
        at = self.at = lay.starts + rows.argmax(1)
        exact = rows.dtype == F64
        rows = rows.astype(F64, "C", copy=not exact)     # row-major, so that flat views are views
        top = self.top = rows.reshape(-1).take(at)
        column = top[:, None]
        d = self.d = rows - column
        self.live: Any = None                            # rows not masked everywhere, where there are others
        self.low: Any = None                             # what rounding x - max lost
        if careful:
            self.live = (top > -np.inf) | np.isnan(top)
            peaks = np.where((rows == column) & (column > 0), 0.0, -np.inf)
            d = self.d = np.where(np.isinf(column), peaks, d)
        if exact:
            back = d - rows
            low = (rows - (d - back)) - (column + back)
            self.low = low if isfinite(np.add.reduce(low, None)) else np.where(np.isfinite(low), low, 0.0)
        e = self.e = np.exp(d)
        if exact:
            e += e * self.low
        e.reshape(-1)[at] = 0.0
        if exact:
            high, rest = _added(e, lay.ones)
            self.others = high + rest
            self.total = twofold.wider(1.0 + high) + rest
            self.whole = twofold.rounded(self.total)
        else:
            self.others = e.dot(lay.ones)
            self.total = self.whole = 1.0 + self.others

    def weights(self) -> Any:
        """``e`` with the largest."""
        self.e.reshape(-1)[self.at] = 1.0 if self.live is None else self.live
        return self.e

    def probabilities(self) -> Any:
        p = self.weights()
        p /= self.whole[:, None]
        return p

    def surprise(self) -> Any:
        """-log p."""
        out = np.log1p(self.others)[:, None] - self.d
        if self.low is not None:
            out -= self.low
        return out

    def alive(self, out: Any) -> Any:
        """``out`` with the rows masked everywhere set to 0."""
        return out if self.live is None else out * self.live[:, None]


def _added(e: Any, ones: Any) -> tuple[Any, Any]:
    """The sums of rows of numbers in [0, 1] as two numbers each, rounded only far below the last place: what is left of an
    element when a large number is added and taken off again adds up exactly, what that loses apart (Rump)."""
    reach = 1.5 * 2.0 ** max(len(ones).bit_length(), 1)
    high = e + reach
    high -= reach
    return high.dot(ones), np.subtract(e, high).dot(ones)


def _finished(x: Any, axes: tuple[int, ...]) -> _Row:
    row = _Row(x, axes)
    good = row.others + (row.top - row.top)
    return row if isfinite(good.dot(good)) else _Row(x, axes, True)


# ------------------------------------------------------------------------------------------------------------ kernels


_PLAIN = 1.0 + 2.0**-23


def _short(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any] | None:
    """exp(x - max) and its sum in float64, the short way: for narrower logits along the last axis; else None."""
    if x.dtype == F64 or axes != (x.ndim - 1,):
        return None
    e = x.astype(F64)
    e -= np.maximum.reduce(e, -1, keepdims=True)
    np.exp(e, e)
    return e, np.add.reduce(e, -1, keepdims=True)


def _softmax_kernel(x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    short = _short(x, axes)
    if short is not None:
        e, total = short
        line = total.reshape(-1)
        if isfinite(line.dot(line)):                     # every row has a finite maximum
            e /= total
            return e.astype(x.dtype)
    row = _finished(x, axes)
    return row.lay.whole(row.probabilities().astype(x.dtype, copy=False))


def _log_softmax_kernel(x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row = _finished(x, axes)
    return row.lay.whole(np.subtract(0.0, row.surprise()).astype(x.dtype, copy=False))


def _logsumexp_kernel(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    shape = reduced(x.shape, axes, keepdims)
    if x.size == 0:
        return np.full(shape, -np.inf, x.dtype)
    row = _finished(x, axes)
    return (row.top + np.log1p(row.others)).astype(x.dtype, copy=False).reshape(shape)


def _against(x: Any, g: Any, axes: tuple[int, ...]) -> tuple[_Row, Any]:
    row = _finished(x, axes)
    return row, row.lay.apart(g).astype(F64, "C")


def _centred(row: _Row, g: Any) -> Any:
    """g - <p, g>, from differences to the largest entry's g, so that p_k near 1 costs nothing."""
    h = g - g.reshape(-1).take(row.at)[:, None]
    along = np.vecdot(row.weights(), h)
    h -= twofold.rounded(along / row.total)[:, None]
    return row.alive(h)


def _spread_kernel(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row, rows = _against(x, g, axes)
    h = _centred(row, rows)
    h *= row.e
    h /= row.whole[:, None]
    return row.lay.whole(h.astype(x.dtype, copy=False))


def _centre_kernel(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row, rows = _against(x, g, axes)
    return row.lay.whole(_centred(row, rows).astype(x.dtype, copy=False))


def _rest_rows(x: Any, g: Any, axes: tuple[int, ...], sign: float) -> Any:
    """sign (p sum(g) - g), at the largest entry as p_k (the others' g) - (1 - p_k) g_k."""
    row, rows = _against(x, g, axes)
    flat, at = rows.reshape(-1), row.at
    own = flat.take(at)
    flat[at] = 0.0
    rest = rows.dot(row.lay.ones)
    p = row.probabilities()
    out = p * (rest + own)[:, None]
    out -= rows
    out.reshape(-1)[at] = (rest - row.others * own) / row.whole
    if sign < 0:
        np.subtract(0.0, out, out)
    return row.lay.whole(row.alive(out).astype(x.dtype, copy=False))


def _rest_kernel(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return _rest_rows(x, g, axes, -1.0) if x.size else x


def _cross_entropy_slope_kernel(labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    short = _short(x, axes)
    if short is not None:
        e, total = short
        if np.minimum.reduce(total, None) > _PLAIN:      # no row so confident that p - 1 would lose digits of float32
            weights = labels.astype(F64)
            e *= np.add.reduce(weights, -1, keepdims=True) / total
            e -= weights
            return e.astype(x.dtype)
    return _rest_rows(x, labels, axes, 1.0)


def _cross_entropy_kernel(labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return np.zeros(reduced(x.shape, axes, False), x.dtype)
    row = _Row(x, axes)
    weights = row.lay.apart(labels).astype(F64)
    loss = np.vecdot(weights, row.surprise())
    if not isfinite(loss.dot(loss)):                # an infinite logit, or -inf beside a label of 0
        surprise = _finished(x, axes).surprise()
        loss = np.add.reduce(np.where(weights == 0, 0.0, weights * surprise), 1)
    return loss.astype(x.dtype, copy=False).reshape(row.lay.out)


def _sparse_kernel(labels: Any, x: Any) -> Any:
    flat = _rows.checked(labels.reshape(-1), x.shape[-1]).astype(np.intp, copy=False)
    if flat.size == 0:
        return np.zeros(labels.shape, x.dtype)
    row = _finished(x, (x.ndim - 1,))
    right = row.lay.starts + flat
    loss = np.log1p(row.others) - row.d.reshape(-1).take(right)
    if row.low is not None:
        loss -= row.low.reshape(-1).take(right)
    return loss.astype(x.dtype, copy=False).reshape(labels.shape)


def _sparse_slope_kernel(labels: Any, x: Any) -> Any:
    flat = _rows.checked(labels.reshape(-1), x.shape[-1]).astype(np.intp, copy=False)
    if flat.size == 0:
        return x
    short = _short(x, (x.ndim - 1,))
    if short is not None and np.minimum.reduce(short[1], None) > _PLAIN:
        e, total = short
        e /= total
        e.reshape(-1)[layout(x, (x.ndim - 1,)).starts + flat] -= 1.0
        return e.astype(x.dtype)
    row = _finished(x, (x.ndim - 1,))
    right = row.lay.starts + flat
    out = row.probabilities()
    line = out.reshape(-1)
    line[right] = np.where(right == row.at, -(row.others / row.whole), line.take(right) - 1.0)
    return row.lay.whole(row.alive(out).astype(x.dtype, copy=False))


# ----------------------------------------------------------------------------------------------------------- primitives


def _infer(name: str, arity: int) -> Callable[..., Spec]:
    def infer(*specs: Spec, **_: Any) -> Spec:
        for s in specs:
            check_kind(name, s.dtype, "f")
            if s is not specs[0]:
                raise ShapeError(complain(name, "its tensors", "of one shape and dtype",
                                          " and ".join(map(str, specs))))
        return specs[-1]

    return infer


def to_front(args: Any, at: Any) -> list[Any]:
    """Arguments of a batched call with their batch axis first, broadcast where they have none."""
    size = next(a._spec.shape[k] for a, k in zip(args, at) if k is not None)
    out = []
    for a, k in zip(args, at):
        if k is None:
            out.append(broadcast_to(a, (size, *a._spec.shape)))
        elif k == 0:
            out.append(a)
        else:
            out.append(transpose(a, (k, *(j for j in range(a._spec.ndim) if j != k))))
    return out


def _batch(name: str) -> Callable[..., Any]:
    def rule(args: Any, at: Any, **params: Any) -> Any:
        if "axes" in params:
            params["axes"] = tuple(k + 1 for k in params["axes"])
        return record(_MADE[name].op(**params), *to_front(args, at)), 0

    return rule


_MADE: dict[str, Primitive] = {}


def _samples(count: int, several: bool) -> Any:
    choices: list[dict[str, Any]] = [{"axes": (1,)}, {"axes": (0,)}]
    if several:
        choices.append({"axes": (0, 2)})

    def case(params: dict[str, Any]) -> Any:
        shape = (3, 4) if len(params["axes"]) == 1 else (2, 3, 2)
        return lambda rng: (tuple(rng.normal(size=shape) for _ in range(count)), params)

    return tuple(case(p) for p in choices)


def _make(name: str, arity: int, kernel: Any, *, infer: Any = None, cases: Any = None, **more: Any) -> Primitive:
    made = Primitive(name, infer or _infer(name, arity), in_blocks(kernel), batch=_batch(name),
                     cases=cases if cases is not None else _samples(arity, True), **more)
    _MADE[name] = made
    return made


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else add(a, b)


def _total(x: Any, axes: tuple[int, ...]) -> Any:
    return sum(x, axes, keepdims=True)


SOFTMAX = _make(
    "softmax", 1, _softmax_kernel, vjp=lambda g, y, x, axes: (_spread(x, g, axes),),
    jvp=lambda ts, y, x, axes: _spread(x, ts[0], axes),
    oracle=lambda x, axes: scipy_special().softmax(x, axis=axes), expand=_rows.softmax,
    error=measured("exp(x - max) with the largest term left out of the sum"),
    doc="exp(x) / sum(exp(x)) along axes.")

LOG_SOFTMAX = _make(
    "log_softmax", 1, _log_softmax_kernel, vjp=lambda g, y, x, axes: (_rest(x, g, axes),),
    jvp=lambda ts, y, x, axes: _centre(x, ts[0], axes),
    oracle=lambda x, axes: scipy_special().log_softmax(x, axis=axes), expand=_rows.log_softmax,
    error=measured("x - max - log1p(the others)"),
    doc="The logarithm of softmax.")

LOGSUMEXP = _make(
    "logsumexp", 1, _logsumexp_kernel,
    infer=lambda x, axes, keepdims: spec(reduced(_infer("logsumexp", 1)(x).shape, axes, keepdims), x.dtype),
    cases=(lambda rng: ((rng.normal(size=(3, 4)),), {"axes": (1,), "keepdims": False}),
           lambda rng: ((rng.normal(size=(2, 3, 2)),), {"axes": (0, 2), "keepdims": True})),
    vjp=lambda g, y, x, axes, keepdims: (
        multiply(record(SOFTMAX.op(axes=axes), x), restore(g, x._spec.shape, axes, keepdims)),),
    jvp=lambda ts, y, x, axes, keepdims: sum(multiply(record(SOFTMAX.op(axes=axes), x), ts[0]), axes,
                                             keepdims=keepdims),
    oracle=lambda x, axes, keepdims: scipy_special().logsumexp(x, axis=axes, keepdims=keepdims),
    expand=_rows.logsumexp,
    error=measured("max + log1p(the others)"),
    doc="log(sum(exp(x))) along axes.")

SPREAD = _make(
    "softmax_spread", 2, _spread_kernel,
    vjp=lambda u, y, x, g, axes: (_bend(x, u, g, axes), _spread(x, u, axes)),
    jvp=lambda ts, y, x, g, axes: _plus(None if ts[0] is None else _bend(x, ts[0], g, axes),
                                        None if ts[1] is None else _spread(x, ts[1], axes)),
    expand=_rows.spread, doc="p (g - <p, g>) with p = softmax(x).")

CENTRE = _make(
    "softmax_centre", 2, _centre_kernel,
    vjp=lambda u, y, x, g, axes: (negative(multiply(_spread(x, g, axes), _total(u, axes))), _rest(x, u, axes)),
    jvp=lambda ts, y, x, g, axes: _plus(
        None if ts[0] is None else broadcast_to(
            negative(_total(multiply(_spread(x, g, axes), ts[0]), axes)), x._spec.shape),
        None if ts[1] is None else _centre(x, ts[1], axes)),
    expand=_rows.centre, doc="g - <p, g> with p = softmax(x).")

REST = _make(
    "softmax_rest", 2, _rest_kernel,
    vjp=lambda u, y, x, g, axes: (negative(multiply(_spread(x, u, axes), _total(g, axes))), _centre(x, u, axes)),
    jvp=lambda ts, y, x, g, axes: _plus(
        None if ts[0] is None else negative(multiply(_spread(x, ts[0], axes), _total(g, axes))),
        None if ts[1] is None else _rest(x, ts[1], axes)),
    expand=_rows.rest, doc="g - p sum(g) with p = softmax(x).")


def _spread(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return record(SPREAD.op(axes=axes), x, g)


def _centre(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return record(CENTRE.op(axes=axes), x, g)


def _rest(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return record(REST.op(axes=axes), x, g)


def _bend_of(x: Any, u: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return _spread(x, multiply(_centre(x, u, axes), _centre(x, g, axes)), axes)


def _bend_kernel(x: Any, u: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row = _finished(x, axes)
    if row.live is not None:                             # not in twofold: infinite logits
        return _spread_kernel(x, _centre_kernel(x, u, axes) * _centre_kernel(x, g, axes), axes)
    e = twofold.exp_below(row.d, row.low)
    own = (np.arange(len(row.at)), row.at - row.lay.starts)
    whole = twofold.total(e)

    def less(t: Any) -> tuple[Any, Any]:
        """t less its value at the largest entry, and its mean under softmax by way of the others."""
        t = twofold.wider(row.lay.apart(t))
        t = t - t[own][:, None]
        return t, twofold.dot(e, t) / whole

    (u, mean_u), (g, mean_g) = less(u), less(g)
    covariance = twofold.dot(e, u * g) / whole - mean_u * mean_g
    return row.lay.whole(twofold.rounded(e * ((u - mean_u) * (g - mean_g) - covariance) / whole))


BEND = _make(
    "softmax_bend", 3, _bend_kernel,
    vjp=lambda w, y, x, u, g, axes: tuple(hooks.pull_back(lambda x, u, g: _bend_of(x, u, g, axes), w, (x, u, g))),
    doc="The second derivative of softmax in two directions, p (h - <p, h>) with h = (u - <p, u>)(g - <p, g>).")


def _bend(x: Any, u: Any, g: Any, axes: tuple[int, ...]) -> Any:
    """The second derivative of softmax: the third cumulant p ((u - <u>)(g - <g>) - cov(u, g))."""
    if x._spec.dtype is float64:
        return record(BEND.op(axes=axes), x, u, g)
    return doubled(lambda x, u, g: _bend_of(x, u, g, axes))(x, u, g)


# ------------------------------------------------------------------------------------------------------ cross-entropies


def _cross_entropy_infer(labels: Spec, x: Spec, axes: tuple[int, ...]) -> Spec:
    _infer("softmax_cross_entropy_with_logits", 2)(labels, x)
    return spec(reduced(x.shape, axes, False), x.dtype)


def _cross_entropy_vjp(g: Any, y: Any, labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    g = restore(g, x._spec.shape, axes, False)
    return (negative(multiply(g, record(LOG_SOFTMAX.op(axes=axes), x))),
            multiply(g, record(CROSS_ENTROPY_SLOPE.op(axes=axes), labels, x)))


def _cross_entropy_jvp(ts: Any, y: Any, labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    a = None if ts[0] is None else negative(multiply(ts[0], record(LOG_SOFTMAX.op(axes=axes), x)))
    b = None if ts[1] is None else multiply(ts[1], record(CROSS_ENTROPY_SLOPE.op(axes=axes), labels, x))
    return sum(_plus(a, b), axes)


CROSS_ENTROPY = _make(
    "softmax_cross_entropy", 2, _cross_entropy_kernel, infer=_cross_entropy_infer, vjp=_cross_entropy_vjp,
    jvp=_cross_entropy_jvp, oracle=lambda z, x, axes: -np.sum(z * scipy_special().log_softmax(x, axis=axes), axis=axes),
    expand=_rows.cross_entropy,
    doc="-sum(labels * log_softmax(logits)) along axes.")

CROSS_ENTROPY_SLOPE = _make(
    "softmax_cross_entropy_slope", 2, _cross_entropy_slope_kernel,
    vjp=lambda u, y, z, x, axes: (negative(_centre(x, u, axes)), multiply(_spread(x, u, axes), _total(z, axes))),
    jvp=lambda ts, y, z, x, axes: _plus(
        None if ts[0] is None else negative(_rest(x, ts[0], axes)),
        None if ts[1] is None else multiply(_spread(x, ts[1], axes), _total(z, axes))),
    expand=lambda z, x, axes: _rows.slope(x, z, axes), doc="softmax(logits) sum(labels) - labels.")


def _sparse_infer(labels: Spec, x: Spec) -> Spec:
    name = "sparse_softmax_cross_entropy_with_logits"
    check_kind(name, x.dtype, "f")
    if labels.dtype.kind not in "iu":
        raise DtypeError(complain(name, "labels", "integers, the numbers of the right classes", labels.dtype.name,
                                  "use softmax_cross_entropy_with_logits for probabilities"))
    if not x.shape or labels.shape != x.shape[:-1]:
        raise ShapeError(complain(name, "labels", f"of the logits' shape {x.shape} without its last axis",
                                  labels.shape))
    return spec(labels.shape, x.dtype)


def _sparse_case(rng: Any) -> Any:
    return (rng.integers(0, 4, size=3), rng.normal(size=(3, 4))), {}


SPARSE = _make(
    "sparse_softmax_cross_entropy", 2, _sparse_kernel, infer=_sparse_infer, cases=(_sparse_case,),
    vjp=lambda g, y, z, x: (None, multiply(restore(g, x._spec.shape, (x._spec.ndim - 1,), False),
                                           record(SPARSE_SLOPE.op(), z, x))),
    jvp=lambda ts, y, z, x: sum(multiply(ts[1], record(SPARSE_SLOPE.op(), z, x)), -1),
    expand=_rows.sparse_cross_entropy,
    error=measured("log1p(the others) - (x - max)"),
    doc="-log_softmax(logits)[label] along the last axis.")

SPARSE_SLOPE: Primitive = _make(
    "sparse_softmax_cross_entropy_slope", 2, _sparse_slope_kernel, cases=(_sparse_case,),
    infer=lambda z, x: (_sparse_infer(z, x), x)[1],
    vjp=lambda u, y, z, x: (None, _spread(x, u, (x._spec.ndim - 1,))),
    jvp=lambda ts, y, z, x: _spread(x, ts[1], (x._spec.ndim - 1,)),
    expand=_rows.sparse_slope, doc="softmax(logits) - one_hot(labels).")


# --------------------------------------------------------------------------------------------------------------- public


@lru_cache(4096)
def _op(prim: Primitive, ndim: int, axis: Any) -> Op:
    if ndim == 0:
        raise AxisError(complain(prim.name, "x", "a tensor of at least one dimension", "shape ()"))
    return prim.op(axes=normalize_axes(prim.name, axis, ndim))


@lru_cache(4096)
def _lse_op(ndim: int, axis: Any, keepdims: bool) -> Op:
    return LOGSUMEXP.op(axes=normalize_axes("logsumexp", axis, ndim), keepdims=keepdims)


def _hashable(axis: Any) -> Any:
    return axis if axis.__class__ is int else tuple(axis) if isinstance(axis, list) else axis


@stated(SOFTMAX)
def softmax(x: Any, axis: Any = -1) -> Any:
    """exp(x) / sum(exp(x)) along ``axis``: probabilities that add up to 1.

    x      tensor of floats
    axis   an int or several; the last by default

    A row of -inf only gives zeros with derivative zero. Derivatives keep their digits where a probability is near 1.
    Raises DtypeError for integers, AxisError.

    >>> import adjoint as ad
    >>> ad.softmax(ad.constant([0.0, 0.0])).tolist()
    [0.5, 0.5]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(SOFTMAX, t._spec.ndim, _hashable(axis)), t)


@stated(LOG_SOFTMAX)
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """log(softmax(x)) along ``axis``; near 0 it is -log1p(the others' sum), so a value of -1e-10 is not 0.

    x      tensor of floats
    axis   an int or several; the last by default

    >>> import adjoint as ad
    >>> ad.log_softmax(ad.constant([100.0, 0.0])).tolist()
    [-3.783505853677006e-44, -100.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(LOG_SOFTMAX, t._spec.ndim, _hashable(axis)), t)


@stated(LOGSUMEXP)
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over ``axis``, without overflow; -inf over nothing or over -inf only.

    x         tensor of floats
    axis      an int, several, or None for all
    keepdims  whether the axes stay, with length 1

    >>> import adjoint as ad
    >>> float(ad.logsumexp(ad.constant([1000.0, -ad.constant(1e9)])))
    1000.0
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_lse_op(t._spec.ndim, _hashable(axis), bool(keepdims)), t)


def _pair(op: Op, labels: Any, logits: Any) -> tuple[Any, Any]:
    if not isinstance(labels, Value) or not isinstance(logits, Value) or labels._spec is not logits._spec:
        if not isinstance(logits, Value):
            logits = convert(logits)
        labels, logits = hooks.convert_pair(op, convert(labels, logits._spec.dtype, True), logits)
        if labels._spec.shape != logits._spec.shape:
            raise ShapeError(complain(op.name, "labels", f"of the logits' shape {logits._spec.shape}",
                                      labels._spec.shape, "reshape one of them"))
    return labels, logits


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1) -> Any:
    """-sum(labels * log(softmax(logits))) along ``axis``.

    labels, logits   tensors of one shape; labels are probabilities or weights, and may be differentiated
    axis             the axis of the classes, which is gone from the result

    The loss of a confident prediction is exact down to underflow, and so is its gradient p sum(labels) - labels. A
    class with label 0 and logit -inf adds 0. Raises ShapeError unless the shapes are equal.

    >>> import adjoint as ad
    >>> float(ad.softmax_cross_entropy_with_logits([0.0, 1.0], ad.constant([0.0, 0.0]))) == 0.6931471824645996
    True
    """
    logits = logits if isinstance(logits, Value) else convert(logits)
    op = _op(CROSS_ENTROPY, logits._spec.ndim, axis)
    labels, logits = _pair(op, labels, logits)
    return record(op, labels, logits)


@stated(SPARSE)
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """-log(softmax(logits)) of the right class along the last axis.

    labels   integers, the number of the right class; shape logits.shape[:-1]
    logits   tensor of floats

    Raises ShapeError and DtypeError at once, IndexingError when a label is no class as soon as the loss is looked at.

    >>> import adjoint as ad
    >>> ad.sparse_softmax_cross_entropy_with_logits([1], ad.constant([[0.0, 30.0]])).tolist()
    [9.357622912219837e-14]
    """
    logits = logits if isinstance(logits, Value) else convert(logits)
    return record(SPARSE.op(), labels if isinstance(labels, Value) else convert(labels), logits)


@stated(BINARY)
def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Any:
    """-labels log(sigmoid(logits)) - (1 - labels) log(1 - sigmoid(logits)), elementwise, from the stable softplus.

    labels, logits   tensors of one shape; both may be differentiated

    >>> import adjoint as ad
    >>> ad.sigmoid_cross_entropy_with_logits([1.0], ad.constant([30.0])).tolist()
    [9.357622912219837e-14]
    """
    op = BINARY.op()
    labels, logits = _pair(op, labels, logits)
    return record(op, labels, logits)

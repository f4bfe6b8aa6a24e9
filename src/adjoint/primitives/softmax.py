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
from typing import Any

import numpy as np

from .._dtypes import float64
from .._errors import AxisError, DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Spec, spec
from .._tensor import Value
from .._trace import hooks, record
from . import _rows
from . import _shares as kernels
from ._accuracy import measured, stated
from ._binary import BINARY
from ._curves import doubled, scipy_special
from ._layout import in_blocks
from ._make import check_kind, normalize_axes
from .arithmetic import add, multiply, negative
from .broadcast import broadcast_to, reduced, restore, sum
from .convert import convert
from .movement import transpose

__all__ = [
    "log_softmax", "logsumexp", "sigmoid_cross_entropy_with_logits", "softmax", "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
]


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
    "softmax", 1, kernels.softmax, vjp=lambda g, y, x, axes: (_spread(x, g, axes),),
    jvp=lambda ts, y, x, axes: _spread(x, ts[0], axes),
    oracle=lambda x, axes: scipy_special().softmax(x, axis=axes), expand=_rows.softmax,
    error=measured("exp(x - max) with the largest term left out of the sum"),
    doc="exp(x) / sum(exp(x)) along axes.")

LOG_SOFTMAX = _make(
    "log_softmax", 1, kernels.log_softmax, vjp=lambda g, y, x, axes: (_rest(x, g, axes),),
    jvp=lambda ts, y, x, axes: _centre(x, ts[0], axes),
    oracle=lambda x, axes: scipy_special().log_softmax(x, axis=axes), expand=_rows.log_softmax,
    error=measured("x - max - log1p(the others)"),
    doc="The logarithm of softmax.")

LOGSUMEXP = _make(
    "logsumexp", 1, kernels.logsumexp,
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
    "softmax_spread", 2, kernels.spread,
    vjp=lambda u, y, x, g, axes: (_bend(x, u, g, axes), _spread(x, u, axes)),
    jvp=lambda ts, y, x, g, axes: _plus(None if ts[0] is None else _bend(x, ts[0], g, axes),
                                        None if ts[1] is None else _spread(x, ts[1], axes)),
    expand=_rows.spread, doc="p (g - <p, g>) with p = softmax(x).")

CENTRE = _make(
    "softmax_centre", 2, kernels.centre,
    vjp=lambda u, y, x, g, axes: (negative(multiply(_spread(x, g, axes), _total(u, axes))), _rest(x, u, axes)),
    jvp=lambda ts, y, x, g, axes: _plus(
        None if ts[0] is None else broadcast_to(
            negative(_total(multiply(_spread(x, g, axes), ts[0]), axes)), x._spec.shape),
        None if ts[1] is None else _centre(x, ts[1], axes)),
    expand=_rows.centre, doc="g - <p, g> with p = softmax(x).")

REST = _make(
    "softmax_rest", 2, kernels.rest,
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


BEND = _make(
    "softmax_bend", 3, kernels.bend,
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
    "softmax_cross_entropy", 2, kernels.cross_entropy, infer=_cross_entropy_infer, vjp=_cross_entropy_vjp,
    jvp=_cross_entropy_jvp, oracle=lambda z, x, axes: -np.sum(z * scipy_special().log_softmax(x, axis=axes), axis=axes),
    expand=_rows.cross_entropy,
    doc="-sum(labels * log_softmax(logits)) along axes.")

CROSS_ENTROPY_SLOPE = _make(
    "softmax_cross_entropy_slope", 2, kernels.cross_entropy_slope,
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
    "sparse_softmax_cross_entropy", 2, kernels.sparse, infer=_sparse_infer, cases=(_sparse_case,),
    vjp=lambda g, y, z, x: (None, multiply(restore(g, x._spec.shape, (x._spec.ndim - 1,), False),
                                           record(SPARSE_SLOPE.op(), z, x))),
    jvp=lambda ts, y, z, x: sum(multiply(ts[1], record(SPARSE_SLOPE.op(), z, x)), -1),
    expand=_rows.sparse_cross_entropy,
    error=measured("log1p(the others) - (x - max)"),
    doc="-log_softmax(logits)[label] along the last axis.")

SPARSE_SLOPE: Primitive = _make(
    "sparse_softmax_cross_entropy_slope", 2, kernels.sparse_slope, cases=(_sparse_case,),
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

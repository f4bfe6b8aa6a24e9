"""The losses as functions (y_true, y_pred) -> one value a sample, with Keras 3's definitions.

Keras keeps its logarithms finite by clipping probabilities to [1e-7, 1 - 1e-7], which makes small losses and their
derivatives wrong. Here nothing is clipped: a loss of 1e-10 is 1e-10, -log(0) is infinite, and a term with weight 0
is 0. ``keras=True`` (what the TensorFlow spelling passes) brings back what Keras does to shapes, dtypes and the scale
of probabilities, but not the clipping.
"""
from __future__ import annotations

from typing import Any

from .. import _dtypes
from .._errors import ArgumentError, AxisError, DtypeError, ShapeError, complain
from .._tensor import Value
from .._trace import record
from ..nn.activations import log_cosh as log_cosh_of
from ..nn.activations import relu
from ..primitives._make import normalize_axes, normalize_axis
from ..primitives.arithmetic import add, divide, multiply, negative, square, squared_difference, subtract
from ..primitives.broadcast import broadcast_to, sum
from ..primitives.comparison import (
    equal,
    greater,
    greater_equal,
    less_equal,
    logical_or,
    maximum,
    not_equal,
    where,
)
from ..primitives.complex import abs as absolute
from ..primitives.convert import cast, convert, stop_gradient
from ..primitives.movement import expand_dims, moveaxis, reshape, squeeze
from ..primitives.reduction import all as all_of
from ..primitives.reduction import max as largest
from ..primitives.reduction import mean
from ..primitives.rounding import floor
from ..primitives.scatter import take_along_axis
from ..primitives.softmax import (
    log_softmax,
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
)
from ..primitives.special import sigmoid
from ..primitives.transcendental import exp2, expm1, log, log2, pow, xlogy
from ._primitives import BINARY, COSINE, COUNT, CROSS, DISTANCE, DIVERGENCE, LABELS

__all__ = [
    "binary_crossentropy", "binary_focal_crossentropy", "categorical_crossentropy", "categorical_focal_crossentropy",
    "categorical_hinge", "cosine_similarity", "hinge", "huber", "kl_divergence", "log_cosh", "mean_absolute_error",
    "mean_absolute_percentage_error", "mean_squared_error", "mean_squared_logarithmic_error", "poisson",
    "sparse_categorical_crossentropy", "squared_hinge",
]

_SMALL = 1e-7                                            # Keras's epsilon, where it is part of a definition


# ------------------------------------------------------------------------------------------------------------ arguments

def _prediction(operation: str, y_pred: Any, keras: bool) -> Any:
    p = y_pred if isinstance(y_pred, Value) else convert(y_pred)
    if p._spec.dtype.kind != "f":
        if keras and p._spec.dtype.kind in "biu":
            return cast(p, _dtypes.float32)
        raise DtypeError(complain(operation, "y_pred", "floating", p._spec.dtype.name, "cast it first"))
    return p


def _pair(operation: str, y_true: Any, y_pred: Any, keras: bool) -> tuple[Any, Any]:
    """Both as tensors of the prediction's dtype and of one shape, or an error."""
    p = _prediction(operation, y_pred, keras)
    y = y_true if isinstance(y_true, Value) else convert(y_true, p._spec.dtype, True)
    if y._spec is p._spec:
        return y, p
    if y._spec.dtype.kind == "c":
        raise DtypeError(complain(operation, "y_true", "real", y._spec.dtype.name))
    y = cast(y, p._spec.dtype)
    if y._spec.shape != p._spec.shape:
        if keras:
            return _as_keras(y, p)
        if y._spec.shape != ():
            remedy = "broadcasting would pair every target with every prediction; reshape or squeeze one of them"
            raise ShapeError(complain(operation, "y_true", f"of y_pred's shape {p._spec.shape}", y._spec.shape, remedy))
        y = broadcast_to(y, p._spec.shape)
    return y, p


def _as_keras(y: Any, p: Any) -> tuple[Any, Any]:
    """A trailing 1 that only one of two has is dropped, or given to a row without it, as Keras does; then they broadcast."""
    a, b = y._spec.shape, p._spec.shape
    if len(a) == len(b) + 1 and a[-1] == 1:
        return (y, expand_dims(p, axis=-1)) if len(b) == 1 else (squeeze(y, -1), p)
    if len(b) == len(a) + 1 and b[-1] == 1:
        return (expand_dims(y, axis=-1), p) if len(a) == 1 else (y, squeeze(p, -1))
    return y, p


def _mean(x: Any, axis: Any = -1) -> Any:
    return mean(x, axis) if x._spec.ndim else x


def _axes(operation: str, axis: Any, p: Any) -> tuple[int, ...]:
    if not p._spec.ndim:
        raise AxisError(complain(operation, "y_pred", "of at least one dimension", "shape ()"))
    return normalize_axes(operation, tuple(axis) if isinstance(axis, list) else axis, p._spec.ndim)


def _rows(prim: Any, y: Any, p: Any, axes: tuple[int, ...]) -> Any:
    if y._spec is not p._spec:                           # Keras broadcasts
        both = add(y, p)._spec.shape
        y, p = broadcast_to(y, both), broadcast_to(p, both)
    return record(prim.op(axes=axes), y, p)


def _smoothed(operation: str, y: Any, smoothing: Any, toward: float) -> Any:
    if isinstance(smoothing, Value):
        return add(multiply(y, subtract(1.0, smoothing)), multiply(smoothing, toward))
    s = smoothing_of(operation, smoothing)
    return add(multiply(y, 1.0 - s), s * toward) if s else y


def smoothing_of(operation: str, value: Any) -> float:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__") or not 0.0 <= float(value) <= 1.0:
        raise ArgumentError(complain(operation, "label_smoothing", "a number in [0, 1]", f"{value!r:.40}"))
    return float(value)


# ----------------------------------------------------------------------------------------------------------- regression

def mean_squared_error(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean((y_true - y_pred)^2) over the last axis.

    y_true, y_pred   tensors of one shape (or y_true a scalar); the result has that shape without its last axis

    y_true is taken in the dtype of y_pred. Raises ShapeError where the shapes would only broadcast, such as (N,)
    against (N, 1), and DtypeError unless y_pred is floating. This goes for all losses here.

    >>> import adjoint as ad
    >>> ad.losses.mean_squared_error([[0, 1], [0, 0]], ad.constant([[1.0, 1.0], [1.0, 0.0]])).tolist()
    [0.5, 0.5]
    """
    y, p = _pair("mean_squared_error", y_true, y_pred, keras)
    return _mean(squared_difference(p, y))


def mean_absolute_error(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean(|y_true - y_pred|) over the last axis; the derivative where both are equal is 0.

    >>> import adjoint as ad
    >>> float(ad.losses.mean_absolute_error([0.0, 1.0], ad.constant([1.0, 3.0])))
    1.5
    """
    y, p = _pair("mean_absolute_error", y_true, y_pred, keras)
    return _mean(absolute(subtract(p, y)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """100 mean(|y_true - y_pred| / max(|y_true|, 1e-7)) over the last axis.

    >>> import adjoint as ad
    >>> float(ad.losses.mean_absolute_percentage_error([2.0, 4.0], ad.constant([1.0, 3.0])))
    37.5
    """
    y, p = _pair("mean_absolute_percentage_error", y_true, y_pred, keras)
    return multiply(_mean(absolute(divide(subtract(p, y), maximum(absolute(y), _SMALL)))), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean((log(1 + y_true) - log(1 + y_pred))^2) over the last axis; values below 0 count as 0.

    The difference of the logarithms does not cancel where both are near each other. (Keras replaces values below 1e-7,
    not below 0.)

    >>> import adjoint as ad
    >>> round(float(ad.losses.mean_squared_logarithmic_error([0.0], ad.constant([1.0]))), 4)
    0.4805
    """
    y, p = _pair("mean_squared_logarithmic_error", y_true, y_pred, keras)
    y, p = (where(greater_equal(x, 0), x, 0.0) for x in (y, p))
    return _mean(square(record(DISTANCE.op(), y, p)))


def huber(y_true: Any, y_pred: Any, delta: Any = 1.0, *, keras: bool = False) -> Any:
    """The mean over the last axis of e^2 / 2 where |e| <= delta, and delta (|e| - delta / 2) elsewhere (Huber 1964).

    >>> import adjoint as ad
    >>> ad.losses.huber([[0.0], [0.0]], ad.constant([[0.5], [3.0]])).tolist()
    [0.125, 2.5]
    """
    y, p = _pair("huber", y_true, y_pred, keras)
    d = cast(delta, p._spec.dtype) if isinstance(delta, Value) else _above_zero("huber", "delta", delta)
    e = subtract(p, y)
    size = absolute(e)
    return _mean(where(less_equal(size, d), multiply(square(e), 0.5), multiply(subtract(size, d * 0.5), d)))


def _above_zero(operation: str, argument: str, value: Any) -> float:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__") or not float(value) > 0:
        raise ArgumentError(complain(operation, argument, "a number above 0", f"{value!r:.40}"))
    return float(value)


def log_cosh(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean(log(cosh(y_pred - y_true))) over the last axis, with derivative tanh; exact for small and for large errors.

    >>> import adjoint as ad
    >>> float(ad.losses.log_cosh([0.0], ad.constant([1e-4]))) > 0
    True
    """
    y, p = _pair("log_cosh", y_true, y_pred, keras)
    return _mean(log_cosh_of(subtract(p, y)))


def cosine_similarity(y_true: Any, y_pred: Any, axis: Any = -1, *, keras: bool = False) -> Any:
    """Minus the cosine of the angle between the vectors along ``axis``: -1 where they point the same way.

    Computed in float64 or wider on vectors scaled by a power of two near their largest element, so that nothing
    overflows. A vector of zeros gives 0 with derivative 0.

    >>> import adjoint as ad
    >>> ad.losses.cosine_similarity([[0.0, 1.0], [1.0, 1.0]], ad.constant([[1.0, 0.0], [2e30, 2e30]])).tolist()
    [-0.0, -1.0]
    """
    y, p = _pair("cosine_similarity", y_true, y_pred, keras)
    axes = _axes("cosine_similarity", axis, p)
    if p._spec.dtype is _dtypes.float64:
        y, p = _scaled(y, axes), _scaled(p, axes)
    return negative(_rows(COSINE, y, p, axes))


def _scaled(x: Any, axes: tuple[int, ...]) -> Any:
    top = stop_gradient(largest(absolute(x), axes, keepdims=True))
    return divide(x, exp2(floor(log2(where(greater(top, 0), top, 1.0)))))   # a power of two: nothing is rounded


# ---------------------------------------------------------------------------------------------------------- probability

def kl_divergence(y_true: Any, y_pred: Any, axis: Any = -1, *, keras: bool = False) -> Any:
    """sum(y_true log(y_true / y_pred)) over ``axis`` (Kullback and Leibler 1951).

    Exact where the two are near each other: log1p((p - q) / q), summed in wider precision. A term with y_true = 0 is
    0; one with y_pred = 0 alone is infinite. (Keras clips both to [1e-7, 1].)

    >>> import adjoint as ad
    >>> float(ad.losses.kl_divergence([0.5, 0.5], ad.constant([0.25, 0.75]))) - 0.14384104 < 1e-7
    True
    """
    y, p = _pair("kl_divergence", y_true, y_pred, keras)
    return _rows(DIVERGENCE, y, p, _axes("kl_divergence", axis, p))


def poisson(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean(y_pred - y_true log(y_pred)) over the last axis: minus the log-likelihood of counts, up to a constant.

    >>> import adjoint as ad
    >>> float(ad.losses.poisson([0.0, 1.0], ad.constant([2.0, 1.0])))
    1.5
    """
    y, p = _pair("poisson", y_true, y_pred, keras)
    return _mean(record(COUNT.op(), y, p))


def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: Any = 0.0,
                        axis: Any = -1, *, keras: bool = False) -> Any:
    """mean(-y log(p) - (1 - y) log(1 - p)) over ``axis``, p = y_pred, or sigmoid(y_pred) with ``from_logits``.

    label_smoothing   s: y becomes y (1 - s) + s / 2

    From logits it is exact for confident predictions, in value and derivative: prefer that. From probabilities p = 0
    and p = 1 give 0 or infinity as the label says. (Keras clips to [1e-7, 1 - 1e-7].)

    >>> import adjoint as ad
    >>> float(ad.losses.binary_crossentropy([1.0], ad.constant([30.0]), from_logits=True)) == 9.357622912219837e-14
    True
    """
    y, p = _pair("binary_crossentropy", y_true, y_pred, keras)
    y = _smoothed("binary_crossentropy", y, label_smoothing, 0.5)
    return _mean(_binary(y, p, from_logits), axis)


def _binary(y: Any, p: Any, from_logits: bool) -> Any:
    if not from_logits:
        return record(BINARY.op(n=0, m=0), y, p)
    if y._spec is not p._spec:                           # Keras broadcasts
        both = add(y, p)._spec.shape
        y, p = broadcast_to(y, both), broadcast_to(p, both)
    return sigmoid_cross_entropy_with_logits(y, p)


def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: Any = 0.0,
                             axis: int = -1, *, keras: bool = False) -> Any:
    """-sum(y_true log(p)) over ``axis``, p = y_pred, or softmax(y_pred) with ``from_logits``.

    label_smoothing   s: y becomes y (1 - s) + s / number of classes

    From logits it is exact for confident predictions, in value and derivative: prefer that. Probabilities are taken as
    given. (Keras divides them by their sum, and clips to [1e-7, 1 - 1e-7].)

    >>> import adjoint as ad
    >>> float(ad.losses.categorical_crossentropy([0.0, 1.0], ad.constant([0.5, 0.5]))) == 0.6931471824645996
    True
    """
    y, p = _pair("categorical_crossentropy", y_true, y_pred, keras)
    (k,) = _axes("categorical_crossentropy", axis, p)
    y = _smoothed("categorical_crossentropy", y, label_smoothing, 1.0 / max(p._spec.shape[k], 1))
    if from_logits:
        if y._spec is not p._spec:
            both = add(y, p)._spec.shape
            y, p = broadcast_to(y, both), broadcast_to(p, both)
        return softmax_cross_entropy_with_logits(y, p, k)
    return _rows(CROSS, y, _normalized(p, k) if keras else p, (k,))


def _normalized(p: Any, axis: int) -> Any:
    return divide(p, sum(p, axis, keepdims=True))


def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False,
                                    ignore_class: int | None = None, axis: int = -1, *, keras: bool = False) -> Any:
    """-log(p[y_true]) along ``axis``, p = y_pred, or softmax(y_pred) with ``from_logits``.

    y_true         integers, the numbers of the right classes; shape of y_pred without ``axis``
    ignore_class   samples with this label give 0

    Raises ShapeError and DtypeError at once; IndexingError, as soon as the loss is looked at, for a label that is no
    class. Probabilities are taken as given. (Keras clips them and divides them by their sum.)

    >>> import adjoint as ad
    >>> ad.losses.sparse_categorical_crossentropy([1], ad.constant([[0.0, 30.0]]), from_logits=True).tolist()
    [9.357622912219837e-14]
    """
    name = "sparse_categorical_crossentropy"
    p = _prediction(name, y_pred, keras)
    if not p._spec.ndim:
        raise AxisError(complain(name, "y_pred", "of at least one dimension", "shape ()"))
    k = normalize_axis(name, axis, p._spec.ndim)
    labels = y_true if isinstance(y_true, Value) else convert(y_true)
    shape = (*p._spec.shape[:k], *p._spec.shape[k + 1:])
    if keras:
        if labels._spec.dtype.kind not in "iu":
            labels = cast(labels, _dtypes.int64)
        if labels._spec.shape != shape and labels._spec.size == _count(shape):
            labels = reshape(labels, shape)
    if labels._spec.shape != shape:
        remedy = "one-hot labels belong to categorical_crossentropy" if labels._spec.shape == p._spec.shape else ""
        raise ShapeError(complain(name, "y_true", f"of y_pred's shape {p._spec.shape} without axis {k}",
                                  labels._spec.shape, remedy))
    kept = None
    if ignore_class is not None:
        kept = not_equal(labels, int(ignore_class))
        labels = where(kept, labels, 0)
    if from_logits:                                      # the labels are checked there
        if k != p._spec.ndim - 1:
            p = moveaxis(p, k, -1)
        loss = sparse_softmax_cross_entropy_with_logits(labels, p)
    else:
        p = _normalized(p, k) if keras else p
        labels = record(LABELS.op(classes=p._spec.shape[k], operation=name), labels)
        loss = negative(squeeze(log(take_along_axis(p, expand_dims(labels, k), k)), k))
    return loss if kept is None else where(kept, loss, 0.0)


def _count(shape: tuple[int, ...]) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


def binary_focal_crossentropy(y_true: Any, y_pred: Any, apply_class_balancing: bool = False, alpha: Any = 0.25,
                              gamma: Any = 2.0, from_logits: bool = False, label_smoothing: Any = 0.0,
                              axis: Any = -1, *, keras: bool = False) -> Any:
    """Binary cross-entropy, each term times (1 - p_t)^gamma, p_t the right class's probability (Lin et al. 2018).

    apply_class_balancing   whether terms are also weighted by alpha (label 1) and 1 - alpha (label 0)

    >>> import adjoint as ad
    >>> float(ad.losses.binary_focal_crossentropy([1.0], ad.constant([0.5]))) == 0.1732867956161499
    True
    """
    name = "binary_focal_crossentropy"
    y, p = _pair(name, y_true, y_pred, keras)
    y = _smoothed(name, y, label_smoothing, 0.5)
    no = subtract(1.0, y)
    yes_p, no_p = (sigmoid(p), sigmoid(negative(p))) if from_logits else (p, subtract(1.0, p))
    wrong = add(multiply(y, no_p), multiply(no, yes_p))  # 1 - p_t without its cancellation
    loss = multiply(pow(wrong, gamma), _binary(y, p, from_logits))
    if apply_class_balancing:
        loss = multiply(add(multiply(y, alpha), multiply(no, 1.0 - alpha)), loss)
    return _mean(loss, axis)


def categorical_focal_crossentropy(y_true: Any, y_pred: Any, alpha: Any = 0.25, gamma: Any = 2.0,
                                   from_logits: bool = False, label_smoothing: Any = 0.0, axis: int = -1, *,
                                   keras: bool = False) -> Any:
    """sum(alpha (1 - p)^gamma * -y log(p)) over ``axis`` (Lin et al. 2018).

    >>> import adjoint as ad
    >>> round(float(ad.losses.categorical_focal_crossentropy([0.0, 1.0], ad.constant([0.5, 0.5]))), 4)
    0.0433
    """
    name = "categorical_focal_crossentropy"
    y, p = _pair(name, y_true, y_pred, keras)
    (k,) = _axes(name, axis, p)
    y = _smoothed(name, y, label_smoothing, 1.0 / max(p._spec.shape[k], 1))
    if from_logits:
        logs = log_softmax(p, k)
        rest, terms = negative(expm1(logs)), multiply(y, logs)   # 1 - p without its cancellation
    else:
        p = _normalized(p, k) if keras else p
        rest, terms = subtract(1.0, p), xlogy(y, p)
    return negative(sum(multiply(multiply(pow(rest, gamma), alpha), terms), k))


# --------------------------------------------------------------------------------------------------------------- hinges

def _signs(y: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; labels that are already -1 and 1 stay."""
    zero_or_one = all_of(logical_or(equal(y, 0), equal(y, 1)))
    return where(zero_or_one, subtract(multiply(y, 2.0), 1.0), y)


def hinge(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean(max(1 - y_true y_pred, 0)) over the last axis; labels are -1 and 1, or 0 and 1.

    >>> import adjoint as ad
    >>> float(ad.losses.hinge([0.0, 1.0], ad.constant([0.5, 0.5])))
    1.0
    """
    y, p = _pair("hinge", y_true, y_pred, keras)
    return _mean(relu(subtract(1.0, multiply(_signs(y), p))))


def squared_hinge(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """mean(max(1 - y_true y_pred, 0)^2) over the last axis; labels are -1 and 1, or 0 and 1.

    >>> import adjoint as ad
    >>> float(ad.losses.squared_hinge([-1.0, 1.0], ad.constant([1.0, 1.0])))
    2.0
    """
    y, p = _pair("squared_hinge", y_true, y_pred, keras)
    return _mean(square(relu(subtract(1.0, multiply(_signs(y), p)))))


def categorical_hinge(y_true: Any, y_pred: Any, *, keras: bool = False) -> Any:
    """max(the largest score of the other classes - the right one's + 1, 0), over the last axis; y_true is one-hot.

    >>> import adjoint as ad
    >>> float(ad.losses.categorical_hinge([0.0, 1.0], ad.constant([0.5, 0.75])))
    0.75
    """
    y, p = _pair("categorical_hinge", y_true, y_pred, keras)
    _axes("categorical_hinge", -1, p)
    right = sum(multiply(y, p), -1)
    other = largest(multiply(subtract(1.0, y), p), -1)
    return relu(add(subtract(other, right), 1.0))

"""tf.keras.losses and tf.losses: adjoint's losses with what Keras does to shapes and dtypes."""
from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import adjoint as ad

from .. import losses
from .._tensor import Value
from ._arrays import tensor
from ._bind import StandsFor, public, put

_FUNCTIONS = """
    binary_crossentropy
    binary_focal_crossentropy
    categorical_crossentropy
    categorical_focal_crossentropy
    categorical_hinge
    cosine_similarity
    hinge
    huber
    kl_divergence                   kullback_leibler_divergence kld KLD kl_divergence
    log_cosh                        logcosh log_cosh
    mean_absolute_error             mae MAE mean_absolute_error
    mean_absolute_percentage_error  mape MAPE mean_absolute_percentage_error
    mean_squared_error              mse MSE mean_squared_error
    mean_squared_logarithmic_error  msle MSLE mean_squared_logarithmic_error
    poisson
    sparse_categorical_crossentropy
    squared_hinge
"""
_CLASSES = """
    BinaryCrossentropy BinaryFocalCrossentropy CategoricalCrossentropy CategoricalFocalCrossentropy CategoricalHinge
    CosineSimilarity Hinge Huber KLDivergence LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError
    MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy SquaredHinge
"""
FOUND: dict[str, Any] = {}                               # name -> function or class, for get()


def _function(ours: Callable[..., Any]) -> Callable[..., Any]:
    shown = inspect.signature(ours)

    @functools.wraps(ours)
    def function(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(y_true if isinstance(y_true, Value) else tensor(y_true), y_pred, *args, keras=True, **kwargs)

    function.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[p for p in shown.parameters.values() if p.name != "keras"])
    return function


def _enter(names: str, value: Any) -> None:
    for name in names.split():
        FOUND[name] = value
        put(f"keras.losses.{name} losses.{name}", value)


for _row in _FUNCTIONS.strip().splitlines():
    _ours, *_names = _row.split()
    _enter(" ".join(_names or [_ours]), _function(getattr(losses, _ours)))

for _name in _CLASSES.split():
    _base = getattr(losses, _name)
    _enter(_name, type(_name, (_base,), {"_keras": True, "__doc__": _base.__doc__, "__module__": __name__}))


_KLDivergence: Any = FOUND["KLDivergence"]


class KLDivergence(_KLDivergence):
    """sum(y_true log(y_true / y_pred)) over the last axis."""

    def __init__(self, reduction: Any = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(reduction=reduction, name=name, dtype=dtype)


_enter("KLDivergence", KLDivergence)


@public("keras.losses.Loss losses.Loss keras.Loss")
class Loss(losses.Loss, metaclass=StandsFor):
    """Base of the losses: a subclass defines ``call(y_true, y_pred)``; calling it reduces and weights the result."""

    _keras = True
    _stands_for = losses.Loss

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None) -> None:
        if name in ("sum", "none", "sum_over_batch_size", "auto", "mean"):
            name, reduction = None, name                 # Keras 2 has the reduction first
        super().__init__(reduction=reduction, name=name, dtype=dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().__call__(y_true if isinstance(y_true, (Value, list, tuple, dict)) else tensor(y_true),
                                y_pred if isinstance(y_pred, (Value, list, tuple, dict)) else tensor(y_pred), sample_weight)


class Reduction:
    """How the samples' losses are reduced."""

    AUTO = "auto"
    NONE = "none"
    SUM = "sum"
    SUM_OVER_BATCH_SIZE = "sum_over_batch_size"

    @classmethod
    def all(cls) -> tuple[str, ...]:
        return (cls.AUTO, cls.NONE, cls.SUM, cls.SUM_OVER_BATCH_SIZE)


put("keras.losses.Reduction losses.Reduction", Reduction)


def get(identifier: Any) -> Any:
    """A loss from its name, its configuration or itself; the name of a class gives an object."""
    if identifier is None or callable(identifier):
        return identifier
    if isinstance(identifier, dict):
        return FOUND[identifier["class_name"]](**identifier.get("config", {}))
    found = FOUND.get(identifier)
    if found is None:
        raise ValueError(f"Could not interpret loss identifier: {identifier}")
    return found() if isinstance(found, type) else found


def serialize(loss: Any) -> Any:
    """A function's name, or class and configuration of an object."""
    if isinstance(loss, losses.Loss):
        return {"class_name": type(loss).__name__, "config": loss.get_config()}
    return loss.__name__


put("keras.losses.get losses.get", get)
put("keras.losses.serialize losses.serialize", serialize)
put("keras.losses.deserialize losses.deserialize", lambda name, custom_objects=None: get(name))

K = "keras.backend."
put(K + "binary_crossentropy", lambda target, output, from_logits=False: _elementwise_binary(target, output, from_logits))
put(K + "categorical_crossentropy", lambda target, output, from_logits=False, axis=-1: FOUND["categorical_crossentropy"](
    target, output, from_logits=from_logits, axis=axis))
put(K + "sparse_categorical_crossentropy", lambda target, output, from_logits=False, axis=-1, ignore_class=None: FOUND[
    "sparse_categorical_crossentropy"](target, output, from_logits=from_logits, ignore_class=ignore_class, axis=axis))


def _elementwise_binary(target: Any, output: Any, from_logits: bool) -> Any:
    y, p = tensor(target), tensor(output)
    wide = FOUND["binary_crossentropy"](ad.expand_dims(y, axis=-1), ad.expand_dims(p, axis=-1), from_logits=from_logits)
    return ad.reshape(wide, tuple(p.shape))

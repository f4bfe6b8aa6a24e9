"""The losses as objects: settings, reduction and sample weights, as in Keras 3."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .._errors import ShapeError, complain
from .._tensor import Value
from ..primitives.arithmetic import divide, multiply
from ..primitives.broadcast import broadcast_to, sum
from ..primitives.comparison import maximum, not_equal
from ..primitives.convert import cast, convert
from ..primitives.movement import reshape, squeeze
from . import _functions as f

__all__ = [
    "BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy",
    "CategoricalHinge", "CosineSimilarity", "Hinge", "Huber", "KLDivergence", "LogCosh", "Loss", "MeanAbsoluteError",
    "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError", "Poisson",
    "SparseCategoricalCrossentropy", "SquaredHinge",
]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")


class Loss:
    """A loss with its settings: call it with (y_true, y_pred), or define ``call`` in a subclass.

    reduction   "sum_over_batch_size" or "mean": the mean of the samples' losses (each times its weight); "sum"; "none":
                one value a sample; "mean_with_sample_weight": the weighted sum over the sum of the weights
    name        shown in messages

    ``sample_weight`` has a leading part of the shape of the samples' losses: a weight for each sample, or for each
    time step of each sample. Raises ValueError for an unknown reduction, ShapeError for weights that do not fit.

    >>> import adjoint as ad
    >>> class Cubed(ad.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ad.abs(y_pred - y_true) ** 3
    >>> float(Cubed()(ad.constant([0.0, 0.0]), ad.constant([1.0, 2.0])))
    4.5
    """

    _keras = False

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None,
                 dtype: Any = None) -> None:
        self.reduction = check_reduction(type(self).__name__, reduction)
        self.name = name or type(self).__name__
        self.dtype = dtype

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One value a sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        values = self.call(y_true, y_pred)
        values = values if isinstance(values, Value) else convert(values)
        mask = self._mask(y_true, values)
        return reduce(self.name, values, sample_weight, self.reduction, mask, self._keras)

    def _mask(self, y_true: Any, values: Any) -> Any:
        return None

    def get_config(self) -> dict[str, Any]:
        """The settings it was made with."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        return f"<ad.losses.{type(self).__name__} reduction={self.reduction!r}>"


def check_reduction(what: str, reduction: Any) -> str:
    if reduction is None:
        return "none"
    text = str(getattr(reduction, "value", reduction)).lower()
    if text == "auto":
        return "sum_over_batch_size"
    if text not in REDUCTIONS:
        raise ValueError(complain(what, "reduction", f"one of {', '.join(map(repr, REDUCTIONS))}", repr(reduction)))
    return text


def reduce(operation: str, values: Any, sample_weight: Any, reduction: str, mask: Any = None,
           keras: bool = False) -> Any:
    """The samples' losses, weighted and reduced; with a mask the mean is over the samples that it keeps."""
    weights = None
    if sample_weight is not None:
        weights = _weights(operation, sample_weight, values, keras)
        values = multiply(values, weights)
    if reduction == "none":
        return values
    total = sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        if mask is not None:
            weights = multiply(weights, cast(mask, values._spec.dtype))
        return divide(total, sum(broadcast_to(weights, values._spec.shape)))
    if mask is not None:
        return divide(total, maximum(sum(cast(mask, values._spec.dtype)), 1.0))
    return divide(total, float(max(values._spec.size, 1)))


def _weights(operation: str, sample_weight: Any, values: Any, keras: bool) -> Any:
    """Weights in the dtype of the losses, with axes of length 1 added at the end until they align from the left."""
    w = sample_weight if isinstance(sample_weight, Value) else convert(sample_weight, values._spec.dtype, True)
    w = cast(w, values._spec.dtype)
    have, want = w._spec.shape, values._spec.shape
    if keras and len(have) == len(want) + 1 and have[-1] == 1:
        w = squeeze(w, -1)
        have = w._spec.shape
    fits = len(have) <= len(want) and all(a in (1, b) for a, b in zip(have, want))
    if not fits:
        raise ShapeError(complain(operation, "sample_weight", f"of shape {want} (the samples' losses') or a leading "
                                  f"part of it", have))
    return reshape(w, have + (1,) * (len(want) - len(have))) if have and len(have) < len(want) else w


class _Wrapper(Loss):
    """A loss function with its settings."""

    function: Callable[..., Any]

    def _set(self, reduction: Any, name: str | None, dtype: Any, **settings: Any) -> None:
        self._settings = settings
        for key, value in settings.items():
            setattr(self, key, value)
        Loss.__init__(self, reduction, name or type(self).function.__name__, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return type(self).function(y_true, y_pred, **self._settings, keras=self._keras)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._settings}


_COMMON = {"reduction": "sum_over_batch_size", "name": None, "dtype": None}


def _loss(name_: str, function: Callable[..., Any], without: tuple[str, ...] = ()) -> Any:
    """The class of a loss function; its settings are the function's, by position in the function's order."""
    settings = {k: v.default for k, v in inspect.signature(function).parameters.items()
                if k not in ("y_true", "y_pred", "keras", *without)}
    place = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter("self", place), *(
        inspect.Parameter(k, place, default=v) for k, v in (settings | _COMMON).items())])
    head = (function.__doc__ or "").strip().splitlines()[0]
    shown = ", ".join(f"{k}={v!r}" for k, v in (settings | _COMMON).items())

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            bound = signature.bind(self, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name_}: {error}; it takes {shown}") from None
        bound.apply_defaults()
        given = dict(bound.arguments)
        del given["self"]
        self._set(*[given.pop(k) for k in _COMMON], **given)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    doc = (f"{head}\n\n    As an object: settings are kept, the samples' losses are reduced and weighted (see Loss).\n\n"
           f"    {name_}({shown})\n    ")
    return type(name_, (_Wrapper,), {"__init__": __init__, "__doc__": doc, "__module__": __name__.rsplit(".", 1)[0],
                                    "function": staticmethod(function)})


MeanSquaredError = _loss("MeanSquaredError", f.mean_squared_error)
MeanAbsoluteError = _loss("MeanAbsoluteError", f.mean_absolute_error)
MeanAbsolutePercentageError = _loss("MeanAbsolutePercentageError", f.mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _loss("MeanSquaredLogarithmicError", f.mean_squared_logarithmic_error)
Huber = _loss("Huber", f.huber)
LogCosh = _loss("LogCosh", f.log_cosh)
CosineSimilarity = _loss("CosineSimilarity", f.cosine_similarity)
KLDivergence = _loss("KLDivergence", f.kl_divergence, without=("axis",))
Poisson = _loss("Poisson", f.poisson)
BinaryCrossentropy = _loss("BinaryCrossentropy", f.binary_crossentropy)
BinaryFocalCrossentropy = _loss("BinaryFocalCrossentropy", f.binary_focal_crossentropy)
CategoricalCrossentropy = _loss("CategoricalCrossentropy", f.categorical_crossentropy)
CategoricalFocalCrossentropy = _loss("CategoricalFocalCrossentropy", f.categorical_focal_crossentropy)
Hinge = _loss("Hinge", f.hinge)
SquaredHinge = _loss("SquaredHinge", f.squared_hinge)
CategoricalHinge = _loss("CategoricalHinge", f.categorical_hinge)


class SparseCategoricalCrossentropy(_Wrapper):
    """-log(p[y_true]) along an axis, p = y_pred, or softmax(y_pred) with ``from_logits``.

    As an object: see Loss. With ``ignore_class`` the mean is over the samples that are not ignored.

    >>> import adjoint as ad
    >>> loss = ad.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    >>> float(loss([1, -1], ad.constant([[0.0, 30.0], [3.0, 1.0]])))
    9.357622912219837e-14
    """

    function = staticmethod(f.sparse_categorical_crossentropy)

    def __init__(self, from_logits: bool = False, ignore_class: int | None = None,
                 reduction: str | None = "sum_over_batch_size", axis: int = -1,
                 name: str | None = "sparse_categorical_crossentropy", dtype: Any = None) -> None:
        self._set(reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)

    def _mask(self, y_true: Any, values: Any) -> Any:
        if self._settings["ignore_class"] is None:
            return None
        labels = y_true if isinstance(y_true, Value) else convert(y_true)
        return not_equal(reshape(labels, values._spec.shape), int(self._settings["ignore_class"]))

"""tf.keras.metrics: running figures over batches."""
from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes
from .._errors import NotSupportedError
from .._tensor import Variable
from . import _initializers
from ._arrays import ints, tensor
from ._bind import public, put
from ._losses import FOUND as LOSSES
from ._module import snake_case

float32 = _dtypes.float32


class Metric:
    """Base of the metrics: ``update_state`` takes a batch, ``result`` gives the figure, ``reset_state`` begins anew."""

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name, self.dtype = name or snake_case(type(self).__name__), dtype or "float32"
        self._own: list[Variable] = []

    def add_variable(self, shape: Any, initializer: Any, dtype: Any = None, aggregation: Any = "sum",
                     name: str | None = None) -> Variable:
        """A variable of the metric's state."""
        made = Variable(_initializers.get(initializer)(shape, dtype), trainable=False, name=name)
        self._own.append(made)
        return made

    def add_weight(self, shape: Any = (), initializer: Any = "zeros", dtype: Any = None, name: str | None = None,
                   **kwargs: Any) -> Variable:
        """A variable of the metric's state."""
        if isinstance(shape, str):                       # the older form has the name first
            shape, name = (), shape
        return self.add_variable(shape, initializer, dtype, name=name)

    @property
    def variables(self) -> list[Variable]:
        return list(self._own)

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """The figure over everything taken since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Begin anew."""
        for v in self._own:
            v.assign(ad.zeros(tuple(v.shape), dtype=v.dtype))

    def reset_states(self) -> None:
        """Begin anew."""
        self.reset_state()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Name and dtype."""
        return {"name": self.name, "dtype": self.dtype}


class Mean(Metric):
    """The mean of everything taken, each with its weight."""

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total, self.count = self.add_weight(name="total"), self.add_weight(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        v = ad.cast(tensor(values), float32)
        if sample_weight is None:
            total, count = ad.sum(v), float(v.size)
        else:
            w = ad.cast(tensor(sample_weight), float32)
            w = ad.reshape(w, tuple(w.shape) + (1,) * (v.ndim - w.ndim)) if w.ndim < v.ndim else w
            w = ad.broadcast_to(w, tuple(v.shape))
            total, count = ad.sum(v * w), ad.sum(w)
        self.total.assign_add(ad.stop_gradient(total))
        self.count.assign_add(count)

    def result(self) -> Any:
        return ad.divide_no_nan(self.total.read_value(), self.count.read_value())


class Sum(Metric):
    """The sum of everything taken, each times its weight."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(dtype, name)
        self.total = self.add_weight(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        v = ad.cast(tensor(values), float32)
        if sample_weight is not None:
            v = v * ad.cast(tensor(sample_weight), float32)
        self.total.assign_add(ad.stop_gradient(ad.sum(v)))

    def result(self) -> Any:
        return self.total.read_value()


class MeanMetricWrapper(Mean):
    """The mean of a function of targets and predictions."""

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", "metric"), dtype)
        self._fn, self._settings = fn, kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        super().update_state(self._fn(y_true, y_pred, **self._settings), sample_weight)


# ---------------------------------------------------------------------------------------------------------------- accuracy

def _dropped(y: Any, p: Any) -> Any:
    """Targets without a last axis of length 1 that the predictions do not need."""
    t = tensor(y)
    return ad.squeeze(t, axis=-1) if t.ndim == p.ndim and t.ndim > 0 and t.shape[-1] == 1 else t


@public("keras.metrics.accuracy")
def accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the prediction equals the target."""
    p = tensor(y_pred)
    return ad.cast(ad.equal(ad.cast(tensor(y_true), p.dtype), p), float32)


@public("keras.metrics.binary_accuracy metrics.binary_accuracy")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """The share along the last axis of predictions on the right side of the threshold."""
    p = ad.cast(tensor(y_pred), float32)
    right = ad.equal(ad.cast(tensor(y_true), float32), ad.cast(ad.greater(p, float(threshold)), float32))
    found = ad.cast(right, float32)
    return ad.mean(found, axis=-1) if found.ndim else found


@public("keras.metrics.categorical_accuracy metrics.categorical_accuracy")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is the target's class."""
    return ad.cast(ad.equal(ad.argmax(tensor(y_true), axis=-1), ad.argmax(tensor(y_pred), axis=-1)), float32)


@public("keras.metrics.sparse_categorical_accuracy metrics.sparse_categorical_accuracy")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 where the largest prediction is the target's class number."""
    p = tensor(y_pred)
    found = ad.argmax(p, axis=-1)
    return ad.cast(ad.equal(ad.cast(_dropped(y_true, p), found.dtype), found), float32)


def _in_top(y: Any, p: Any, k: int) -> Any:
    mine = ad.take_along_axis(p, ad.expand_dims(y, axis=-1), axis=-1)
    return ad.cast(ad.less(ad.sum(ad.cast(ad.greater(p, mine), _dtypes.int32), -1), k), float32)


@public("keras.metrics.top_k_categorical_accuracy")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 where the target's class is among the ``k`` largest predictions."""
    return _in_top(ad.argmax(tensor(y_true), axis=-1), tensor(y_pred), ints(k))


@public("keras.metrics.sparse_top_k_categorical_accuracy")
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Any:
    """1 where the target's class number is among the ``k`` largest predictions."""
    p = tensor(y_pred)
    return _in_top(ad.cast(_dropped(y_true, p), _dtypes.int64), p, ints(k))


def _wrapper(name: str, fn: Any, label: str, **settings: Any) -> None:
    def init(self: Any, *args: Any, name: str | None = label, dtype: Any = None, **given: Any) -> None:
        values = {**settings, **given}
        for key, value in zip((*settings, "name", "dtype") if label.startswith("top") or "top_k" in label else
                              ("name", "dtype", *settings), args):
            if key == "name":
                name = value
            elif key != "dtype":
                values[key] = value
        MeanMetricWrapper.__init__(self, fn, name, dtype, **values)

    made = type(name, (MeanMetricWrapper,), {"__init__": init, "__doc__": f"The mean {label.replace('_', ' ')} of what is taken.",
                                             "__module__": __name__})
    put(f"keras.metrics.{name} metrics.{name}", made)


_wrapper("Accuracy", accuracy, "accuracy")
_wrapper("BinaryAccuracy", binary_accuracy, "binary_accuracy", threshold=0.5)
_wrapper("CategoricalAccuracy", categorical_accuracy, "categorical_accuracy")
_wrapper("SparseCategoricalAccuracy", sparse_categorical_accuracy, "sparse_categorical_accuracy")
_wrapper("TopKCategoricalAccuracy", top_k_categorical_accuracy, "top_k_categorical_accuracy", k=5)
_wrapper("SparseTopKCategoricalAccuracy", sparse_top_k_categorical_accuracy, "sparse_top_k_categorical_accuracy", k=5)
for _name, _fn, _label, _settings in (
        ("MeanSquaredError", "mean_squared_error", "mean_squared_error", {}),
        ("MeanAbsoluteError", "mean_absolute_error", "mean_absolute_error", {}),
        ("MeanAbsolutePercentageError", "mean_absolute_percentage_error", "mean_absolute_percentage_error", {}),
        ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error", "mean_squared_logarithmic_error", {}),
        ("LogCoshError", "log_cosh", "logcosh", {}), ("Poisson", "poisson", "poisson", {}),
        ("KLDivergence", "kl_divergence", "kl_divergence", {}), ("Hinge", "hinge", "hinge", {}),
        ("SquaredHinge", "squared_hinge", "squared_hinge", {}),
        ("CategoricalHinge", "categorical_hinge", "categorical_hinge", {}),
        ("BinaryCrossentropy", "binary_crossentropy", "binary_crossentropy", {"from_logits": False, "label_smoothing": 0}),
        ("CategoricalCrossentropy", "categorical_crossentropy", "categorical_crossentropy",
         {"from_logits": False, "label_smoothing": 0, "axis": -1}),
        ("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "sparse_categorical_crossentropy",
         {"from_logits": False, "ignore_class": None, "axis": -1})):
    _wrapper(_name, LOSSES[_fn], _label, **_settings)
for _name in [n for n in LOSSES if n[0].islower() or n.isupper()]:
    put(f"keras.metrics.{_name} metrics.{_name}", LOSSES[_name])


class RootMeanSquaredError(Mean):
    """The square root of the mean squared error of everything taken."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        p = ad.cast(tensor(y_pred), float32)
        super().update_state(ad.squared_difference(p, ad.cast(tensor(y_true), float32)), sample_weight)

    def result(self) -> Any:
        return ad.sqrt(super().result())


class _Counted(Metric):
    """A ratio of counts of right and wrong predictions at a threshold."""

    _part: tuple[str, ...] = ()

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)
        if np.ndim(thresholds or 0.5):
            raise NotSupportedError(f"{type(self).__name__}: one threshold is supported, got {thresholds!r}")
        self.thresholds = 0.5 if thresholds is None else float(thresholds)
        self.counts = {k: self.add_weight(name=k) for k in ("tp", "fp", "fn", "tn")}

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        y = ad.cast(ad.cast(tensor(y_true), _dtypes.bool_), float32)
        p = ad.cast(ad.greater(ad.cast(tensor(y_pred), float32), self.thresholds), float32)
        w = 1.0 if sample_weight is None else ad.cast(tensor(sample_weight), float32)
        for k, hit in (("tp", y * p), ("fp", (1.0 - y) * p), ("fn", y * (1.0 - p)), ("tn", (1.0 - y) * (1.0 - p))):
            self.counts[k].assign_add(ad.sum(hit * w))

    def result(self) -> Any:
        first, *rest = [ad.identity(self.counts[k]) for k in self._part]
        return ad.divide_no_nan(first, first + rest[0]) if rest else first


class _Ratio(_Counted):
    """Precision and recall, which take two more arguments."""

    def __init__(self, thresholds: Any = None, top_k: Any = None, class_id: Any = None, name: str | None = None,
                 dtype: Any = None) -> None:
        if top_k is not None or class_id is not None:
            raise NotSupportedError(f"{type(self).__name__}: top_k and class_id are not supported yet")
        super().__init__(thresholds, name, dtype)


for _name, _part in (("Precision", ("tp", "fp")), ("Recall", ("tp", "fn")), ("TruePositives", ("tp",)),
                     ("FalsePositives", ("fp",)), ("FalseNegatives", ("fn",)), ("TrueNegatives", ("tn",))):
    put(f"keras.metrics.{_name} metrics.{_name}", type(_name, (_Ratio if len(_part) > 1 else _Counted,), {
        "_part": _part, "__doc__": f"{_name} of everything taken.", "__module__": __name__}))

for _class in (Metric, Mean, Sum, MeanMetricWrapper, RootMeanSquaredError):
    put(f"keras.metrics.{_class.__name__} metrics.{_class.__name__}", _class)
put("keras.Metric", Metric)


"""tf.keras.optimizers: adjoint's optimizers and schedules under TensorFlow's names, and a base for one's own."""
from __future__ import annotations

import inspect
from typing import Any

import adjoint as ad

from .. import _dtypes, optim
from .._errors import NotSupportedError
from .._tensor import Value, Variable
from ..optim import _clip, schedules
from . import _initializers
from ._arrays import tensor
from ._bind import StandsFor, public, put

FOUND: dict[str, Any] = {}

# --------------------------------------------------------------------------------------------------------------- schedules


@public("keras.optimizers.schedules.LearningRateSchedule optimizers.schedules.LearningRateSchedule")
class LearningRateSchedule(schedules.LearningRateSchedule, metaclass=StandsFor):
    """Base of the schedules: called with a step, they give the rate as a float32 tensor."""

    _stands_for = schedules.LearningRateSchedule

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`.")

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        raise NotImplementedError(f"Learning rate schedule '{type(self).__name__}' must override `get_config()`.")


def _schedule(name: str) -> type:
    base: Any = getattr(schedules, name)

    def call(self: Any, step: Any) -> Any:
        rate = base.__call__(self, step)
        return ad.cast(rate, _dtypes.float32)

    made = type(name, (base,), {"__call__": call, "__doc__": base.__doc__, "__module__": __name__, "_plain": base.__call__})
    FOUND[name] = made
    return put(f"keras.optimizers.schedules.{name} optimizers.schedules.{name}", made)  # type: ignore[no-any-return]


for _name in ("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "PiecewiseConstantDecay",
              "PolynomialDecay"):
    _schedule(_name)


class _Rate:
    """A schedule as the optimizer calls it: numbers in, numbers out."""

    def __init__(self, schedule: Any) -> None:
        self.schedule = schedule
        plain = getattr(type(schedule), "_plain", None)
        self._call = schedule if plain is None else lambda step: plain(schedule, step)

    def __call__(self, step: Any) -> Any:
        return self._call(step if isinstance(step, Value) or self._call is not self.schedule else tensor(step, _dtypes.int64))


# -------------------------------------------------------------------------------------------------------------- optimizers

_UNUSED = {"use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None, "loss_scale_factor": None,
           "gradient_accumulation_steps": None, "jit_compile": True, "is_legacy_optimizer": False}
_UNSUPPORTED = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


def _settings(what: str, settings: dict[str, Any]) -> dict[str, Any]:
    """TensorFlow's arguments made adjoint's: older names, and what adjoint does not have."""
    for key, default in _UNUSED.items():
        value = settings.pop(key, default)
        if key in _UNSUPPORTED and value not in (None, False):
            raise NotSupportedError(f"{what}: {key}={value!r} is not supported yet; leave it out")
    if "lr" in settings:
        settings["learning_rate"] = settings.pop("lr")
    decay = settings.pop("decay", None)
    if decay:
        settings["learning_rate"] = FOUND["InverseTimeDecay"](settings.get("learning_rate", 0.001), 1, decay)
    rate = settings.get("learning_rate")
    if callable(rate) and not isinstance(rate, Value) and isinstance(rate, schedules.LearningRateSchedule):
        settings["learning_rate"] = _Rate(rate)
    return settings


class _Names:
    """What Keras's optimizers have beside adjoint's."""

    @property
    def weights(self) -> list[Variable]:
        return self.variables  # type: ignore[attr-defined, no-any-return]

    def get_weights(self) -> list[Any]:
        """The state as arrays."""
        return [v.numpy() for v in self.variables]  # type: ignore[attr-defined]

    def set_weights(self, weights: Any) -> None:
        """Put a state from ``get_weights`` back."""
        for v, w in zip(self.variables, weights, strict=True):  # type: ignore[attr-defined]
            v.assign(ad.cast(tensor(w), v.dtype))

    def get_config(self) -> dict[str, Any]:
        """The settings it was made with."""
        config: dict[str, Any] = super().get_config()  # type: ignore[misc]
        rate = config["learning_rate"]
        if isinstance(rate, _Rate):
            config["learning_rate"] = rate.schedule
        return config

    def finalize_variable_values(self, var_list: Any) -> None:
        """Nothing: there are no averages to put in place."""

    def scale_loss(self, loss: Any) -> Any:
        """The loss itself."""
        return loss


def _optimizer(name: str) -> None:
    base: Any = getattr(optim, name)
    parameters = list(inspect.signature(base).parameters)

    def init(self: Any, *args: Any, **settings: Any) -> None:
        if len(args) > len(parameters) - 1:
            raise TypeError(f"{name}: takes at most {len(parameters) - 1} positional arguments, got {len(args)}")
        settings = _settings(name, dict(zip(parameters, args)) | settings)
        settings.setdefault("name", name.lower() if name in ("SGD", "Adam", "AdamW", "RMSprop") else name)
        base.__init__(self, **settings)

    made = type(name, (_Names, base), {"__init__": init, "__doc__": base.__doc__, "__module__": __name__})
    init.__signature__ = inspect.signature(base.__init__)  # type: ignore[attr-defined]
    FOUND[name] = FOUND[name.lower()] = made
    put(" ".join(f"{m}.{name}" for m in ("keras.optimizers", "optimizers", "keras.optimizers.legacy", "optimizers.legacy")), made)


for _name in ("SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "RMSprop"):
    _optimizer(_name)


@public("keras.optimizers.Optimizer optimizers.Optimizer keras.Optimizer keras.optimizers.legacy.Optimizer "
        "optimizers.legacy.Optimizer")
class Optimizer(_Names, optim.Optimizer, metaclass=StandsFor):
    """Base of one's own optimizers: a subclass defines ``update_step(gradient, variable, learning_rate)``.

    ``build(variables)`` makes its state, with ``add_variable_from_reference``. The older form is there too:
    ``_create_slots(variables)`` with ``add_slot``, and ``_resource_apply_dense(gradient, variable)``.
    """

    _stands_for = optim.Optimizer

    def __init__(self, learning_rate: Any = 0.001, weight_decay: Any = None, clipnorm: Any = None, clipvalue: Any = None,
                 global_clipnorm: Any = None, use_ema: bool = False, ema_momentum: float = 0.99,
                 ema_overwrite_frequency: Any = None, loss_scale_factor: Any = None, gradient_accumulation_steps: Any = None,
                 name: str | None = None, **kwargs: Any) -> None:
        if isinstance(learning_rate, str):               # the older form has the name first
            learning_rate, name = 0.001, learning_rate
        settings = _settings(name or type(self).__name__, {
            "learning_rate": learning_rate, "use_ema": use_ema, "loss_scale_factor": loss_scale_factor,
            "gradient_accumulation_steps": gradient_accumulation_steps, **kwargs})
        super().__init__(optim.chain(), settings["learning_rate"], weight_decay=weight_decay, clipnorm=clipnorm,
                         clipvalue=clipvalue, global_clipnorm=global_clipnorm, name=name)
        self._own: list[Variable] = []
        self._named_slots: dict[tuple[int, str], Variable] = {}
        self._hyper: dict[str, Any] = {}
        self._trainable: list[Variable] = []

    def build(self, variables: Any) -> None:
        """Take the variables; subclasses make their state here."""
        self._trainable = list(variables)

    @property
    def built(self) -> bool:
        return bool(self._trainable)

    @built.setter
    def built(self, value: bool) -> None:
        pass

    @property
    def variables(self) -> list[Variable]:
        return [self.iterations, *self._own]

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Move one variable."""
        if hasattr(self, "_resource_apply_dense"):
            self._resource_apply_dense(gradient, variable)
        else:
            raise NotImplementedError(f"{type(self).__name__} must define update_step(gradient, variable, learning_rate)")

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """One step: ``update_step`` for each variable that has a gradient."""
        grads = list(grads)
        variables = self._trainable if trainable_variables is None else list(trainable_variables)
        if not self._trainable:
            self.build(variables)
            self._trainable = self._trainable or variables
            if hasattr(self, "_create_slots"):
                self._create_slots(variables)
        pairs = [(self._fitting(g, v), v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(f"{self.name}: No gradients provided for any variable")
        live = [g for g, _ in pairs]
        if self.clipvalue is not None:
            live = [ad.clip(g, -self.clipvalue, self.clipvalue) for g in live]
        elif self.clipnorm is not None:
            live = [_clip.clip_norm(g, self.clipnorm) for g in live]
        elif self.global_clipnorm is not None:
            live, self.norm = _clip.clip_global_norm(live, self.global_clipnorm)
        rate = self.learning_rate
        for g, (_, v) in zip(live, pairs):
            if self.weight_decay and self._decays(v):
                v.assign_sub(v * ad.cast(rate, v.dtype) * self.weight_decay)
            self.update_step(g, v, ad.cast(rate, v.dtype))
        self.iterations.assign_add(1)

    # -- state ---------------------------------------------------------------------------------------------------------
    def add_variable(self, shape: Any, initializer: Any = "zeros", dtype: Any = None, aggregation: Any = "none",
                     layout: Any = None, name: str | None = None) -> Variable:
        """A variable of the optimizer's state."""
        made = Variable(_initializers.get(initializer)(shape, dtype), trainable=False, name=name)
        self._own.append(made)
        return made

    def add_variable_from_reference(self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros",
                                    **kwargs: Any) -> Variable:
        """A variable of the optimizer's state of the shape and dtype of another."""
        return self.add_variable(tuple(reference_variable.shape), initializer, reference_variable.dtype, name=name)

    def _get_variable_index(self, variable: Any) -> int:
        return next(k for k, v in enumerate(self._trainable) if v is variable)

    def add_slot(self, var: Any, slot_name: str, initializer: Any = "zeros", shape: Any = None) -> Variable:
        """A variable of the state that belongs to ``var``, kept under a name."""
        key = (id(var), slot_name)
        if key not in self._named_slots:
            self._named_slots[key] = self.add_variable_from_reference(var, slot_name, initializer)
        return self._named_slots[key]

    def get_slot(self, var: Any, slot_name: str) -> Variable:
        """The state that ``add_slot`` made."""
        return self._named_slots[id(var), slot_name]

    def _set_hyper(self, name: str, value: Any) -> None:
        if name == "learning_rate":
            self.learning_rate = value
        self._hyper[name] = value

    def _get_hyper(self, name: str, dtype: Any = None) -> Any:
        value = self.learning_rate if name == "learning_rate" else self._hyper[name]
        return value if dtype is None else ad.cast(value, dtype)

    def _decayed_lr(self, var_dtype: Any) -> Any:
        return ad.cast(self.learning_rate, var_dtype)

    @staticmethod
    def assign(variable: Variable, value: Any) -> None:
        """Give a variable a value."""
        variable.assign(value)

    @staticmethod
    def assign_add(variable: Variable, value: Any) -> None:
        """Add to a variable."""
        variable.assign_add(value)

    @staticmethod
    def assign_sub(variable: Variable, value: Any) -> None:
        """Subtract from a variable."""
        variable.assign_sub(value)


def get(identifier: Any) -> Any:
    """An optimizer from its name, its configuration, or itself."""
    if isinstance(identifier, optim.Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return FOUND[identifier["class_name"].lower()](**identifier.get("config", {}))
    found = FOUND.get(identifier.lower()) if isinstance(identifier, str) else None
    if found is None:
        raise ValueError(f"Could not interpret optimizer identifier: {identifier}")
    return found()


def serialize(optimizer: Any) -> dict[str, Any]:
    """Class and configuration of an optimizer or a schedule."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


put("keras.optimizers.get optimizers.get", get)
put("keras.optimizers.serialize optimizers.serialize", serialize)
put("keras.optimizers.schedules.serialize optimizers.schedules.serialize",
    lambda learning_rate_schedule: serialize(learning_rate_schedule))
put("keras.optimizers.deserialize optimizers.deserialize", lambda config, custom_objects=None: get(config))
put("keras.optimizers.schedules.deserialize optimizers.schedules.deserialize",
    lambda config, custom_objects=None: FOUND[config["class_name"]](**config["config"]))

"""Rates that change with the step: callables step -> rate, for a Python number or a tensor.

With a Python number for the step the rate is worked out in float64 and is a Python float; with a tensor it is a float64
tensor, recorded like anything else. The names and arguments are those of ``tf.keras.optimizers.schedules``.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from .. import _dtypes
from .._errors import ArgumentError, complain
from .._tensor import Value
from ..primitives.comparison import less_equal, maximum, minimum, where
from ..primitives.convert import cast, convert
from ..primitives.rounding import ceil, floor
from ..primitives.transcendental import cos, log, pow
from ._core import check_rate, number, rate_at

__all__ = ["Constant", "CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay", "Join",
           "LearningRateSchedule", "PiecewiseConstantDecay", "PolynomialDecay", "Warmup"]


class _Numbers:
    """The functions that the formulas use, on Python floats."""

    cos, log, minimum, maximum = math.cos, math.log, min, max

    @staticmethod
    def pow(x: float, y: float) -> float:
        return x ** y

    @staticmethod
    def floor(x: float) -> float:
        return float(math.floor(x))

    @staticmethod
    def ceil(x: float) -> float:
        return float(math.ceil(x))

    @staticmethod
    def where(condition: bool, yes: float, no: float) -> float:
        return yes if condition else no

    @staticmethod
    def less_equal(x: float, y: float) -> bool:
        return x <= y


class _Tensors:
    """The same functions on tensors."""

    cos, log, floor, ceil, pow = map(staticmethod, (cos, log, floor, ceil, pow))
    minimum, maximum, where, less_equal = map(staticmethod, (minimum, maximum, where, less_equal))


class LearningRateSchedule:
    """A rate as a function of the step; made by its subclasses or by your own: define ``at(step, m)``.

    >>> import adjoint as ad
    >>> rate = ad.optim.schedules.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.25)
    >>> rate(0), rate(10), rate(20)
    (0.5, 0.125, 0.03125)
    """

    def at(self, step: Any, m: Any) -> Any:
        """The rate at ``step``, written with the functions of ``m`` so that it serves floats and tensors."""
        raise NotImplementedError(f"{type(self).__name__} must define at(step, m) or __call__(step)")

    def __call__(self, step: Any) -> Any:
        if isinstance(step, Value):
            return cast(self.at(cast(step, _dtypes.float64), _Tensors), _dtypes.float64)
        try:
            s = float(step)
        except (TypeError, ValueError):
            raise ArgumentError(complain(type(self).__name__, "step", "a number or a scalar tensor",
                                         f"{step!r:.60}")) from None
        return float(self.at(s, _Numbers))

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _positive(schedule: Any, *names: str) -> None:
    for name in names:
        value = number(type(schedule).__name__, name, getattr(schedule, name))
        if value <= 0:
            raise ArgumentError(complain(type(schedule).__name__, name, "above 0", f"{value:g}"))


def _finite(schedule: Any, *names: str) -> None:
    for name in names:
        number(type(schedule).__name__, name, getattr(schedule, name))


@dataclass(frozen=True)
class Constant(LearningRateSchedule):
    """The same rate always."""

    value: float

    def __post_init__(self) -> None:
        _finite(self, "value")

    def at(self, step: Any, m: Any) -> Any:
        return self.value if m is _Numbers else convert(self.value, _dtypes.float64)


@dataclass(frozen=True)
class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate ** (step / decay_steps); with ``staircase`` the exponent is rounded down."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        _positive(self, "decay_steps", "decay_rate")
        _finite(self, "initial_learning_rate")

    def at(self, step: Any, m: Any) -> Any:
        p = step / self.decay_steps
        return self.initial_learning_rate * m.pow(self.decay_rate, m.floor(p) if self.staircase else p)


@dataclass(frozen=True)
class InverseTimeDecay(LearningRateSchedule):
    """initial / (1 + decay_rate * step / decay_steps); with ``staircase`` the quotient is rounded down."""

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        _positive(self, "decay_steps")
        _finite(self, "initial_learning_rate", "decay_rate")

    def at(self, step: Any, m: Any) -> Any:
        p = step / self.decay_steps
        return self.initial_learning_rate / ((m.floor(p) if self.staircase else p) * self.decay_rate + 1.0)


@dataclass(frozen=True)
class PolynomialDecay(LearningRateSchedule):
    """(initial - end) * (1 - step / decay_steps) ** power + end, and ``end`` from decay_steps on.

    With ``cycle`` the span grows to the next multiple of decay_steps instead, so that the rate jumps up again.
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        _positive(self, "decay_steps")
        _finite(self, "initial_learning_rate", "end_learning_rate", "power")

    def at(self, step: Any, m: Any) -> Any:
        if self.cycle:
            span = m.maximum(m.ceil(step / self.decay_steps), 1.0) * self.decay_steps
        else:
            span = self.decay_steps
            step = m.minimum(step, float(self.decay_steps))
        left = 1.0 - step / span
        if self.power != 1.0:
            left = m.pow(left, float(self.power))
        return left * (self.initial_learning_rate - self.end_learning_rate) + self.end_learning_rate


@dataclass(frozen=True)
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and with step boundaries[0], values[1] up to boundaries[1], ..., the last value after that."""

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str | None = None

    def __post_init__(self) -> None:
        what = type(self).__name__
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(complain(what, "values", f"one more than the {len(self.boundaries)} boundaries",
                                         len(self.values)))
        marks = [number(what, "boundaries", b) for b in self.boundaries]
        if any(a >= b for a, b in pairwise(marks)):
            raise ArgumentError(complain(what, "boundaries", "increasing", list(self.boundaries)))
        for v in self.values:
            number(what, "values", v)

    def at(self, step: Any, m: Any) -> Any:
        found: Any = float(self.values[-1])
        for mark, value in zip(reversed(self.boundaries), reversed(self.values[:-1])):
            found = m.where(m.less_equal(step, float(mark)), float(value), found)
        return found


@dataclass(frozen=True)
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to ``alpha`` times it, over decay_steps (Loshchilov and Hutter 2016).

    With ``warmup_target`` the rate first rises in a straight line from initial_learning_rate to it over warmup_steps,
    and the cosine goes from there.
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str | None = None
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __post_init__(self) -> None:
        _positive(self, "decay_steps")
        _finite(self, "initial_learning_rate", "alpha", "warmup_steps")
        if self.warmup_target is not None:
            _finite(self, "warmup_target")

    def at(self, step: Any, m: Any) -> Any:
        top, start = self.initial_learning_rate, 0.0
        if self.warmup_target is not None:
            top, start = self.warmup_target, float(self.warmup_steps)
        p = m.minimum(m.maximum((step - start) / self.decay_steps, 0.0), 1.0)
        # (1 + cos x) / 2 as cos(x / 2) ** 2: no cancellation near the end
        half = m.cos(p * (math.pi / 2))
        down = top * (half * half * (1.0 - self.alpha) + self.alpha)
        if self.warmup_target is None or not self.warmup_steps:
            return down
        up = step / self.warmup_steps * (self.warmup_target - self.initial_learning_rate) + self.initial_learning_rate
        return m.where(m.less_equal(step, start), up, down)


@dataclass(frozen=True)
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decays one after the other, each ``t_mul`` times as long and ``m_mul`` times as high as the one before."""

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str | None = None

    def __post_init__(self) -> None:
        _positive(self, "first_decay_steps")
        _finite(self, "initial_learning_rate", "m_mul", "alpha")
        number(type(self).__name__, "t_mul", self.t_mul, 1.0)

    def at(self, step: Any, m: Any) -> Any:
        p = step / self.first_decay_steps
        t = float(self.t_mul)
        if t == 1.0:
            period = m.floor(p)
            p = p - period
        else:
            # The n-th decay starts at (t^n - 1) / (t - 1) first lengths; the tiny excess keeps exact starts in place.
            period = m.floor(m.log(p * (t - 1.0) + 1.0) / math.log(t) + 1e-12)
            length = m.pow(t, period)
            p = (p - (length - 1.0) / (t - 1.0)) / length
        half = m.cos(m.minimum(m.maximum(p, 0.0), 1.0) * (math.pi / 2))
        height = m.pow(float(self.m_mul), period) if self.m_mul != 1.0 else 1.0
        return self.initial_learning_rate * (half * half * height * (1.0 - self.alpha) + self.alpha)


@dataclass(frozen=True)
class Warmup(LearningRateSchedule):
    """A straight line from ``start`` to ``target`` over ``steps``; then ``then`` counted from there, or the target.

    target   a number, or left out: the first rate of ``then``
    """

    steps: float
    target: float | None = None
    then: Callable[[Any], Any] | None = None
    start: float = 0.0
    name: str | None = None

    def __post_init__(self) -> None:
        _positive(self, "steps")
        _finite(self, "start")
        if self.target is None and self.then is None:
            raise ArgumentError(complain("Warmup", "target", "a number where no schedule follows", "None"))

    def at(self, step: Any, m: Any) -> Any:
        top = float(self.target if self.target is not None else rate_at(self.then, 0))
        up = step / self.steps * (top - self.start) + self.start
        after = top if self.then is None else rate_at(self.then, m.maximum(step - self.steps, 0.0))
        return m.where(m.less_equal(step, float(self.steps)), up, after)


@dataclass(frozen=True)
class Join(LearningRateSchedule):
    """schedules[0] before step boundaries[0], then schedules[1] counted from there, and so on."""

    schedules: Sequence[Any]
    boundaries: Sequence[float]
    name: str | None = None

    def __post_init__(self) -> None:
        if len(self.schedules) != len(self.boundaries) + 1:
            raise ArgumentError(complain("Join", "schedules", f"one more than the {len(self.boundaries)} boundaries",
                                         len(self.schedules)))
        for s in self.schedules:
            check_rate("Join", "each of schedules", s)
        marks = [number("Join", "boundaries", b) for b in self.boundaries]
        if any(a >= b for a, b in pairwise(marks)):
            raise ArgumentError(complain("Join", "boundaries", "increasing", list(self.boundaries)))

    def at(self, step: Any, m: Any) -> Any:
        found = rate_at(self.schedules[-1], m.maximum(step - self.boundaries[-1], 0.0) if self.boundaries else step)
        for k in reversed(range(len(self.boundaries))):
            start = self.boundaries[k - 1] if k else 0.0
            here = rate_at(self.schedules[k], m.maximum(step - start, 0.0) if k else step)
            found = m.where(m.less_equal(float(self.boundaries[k]), step), found, here)
        return found

"""Optimizers with state: rules of descent on variables, in the names and defaults of Keras 3."""
from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import _dtypes, _nest
from .._errors import ArgumentError, DtypeError, ShapeError, complain
from .._tensor import Tensor, Value, Variable, wrap
from .._trace import hooks, local
from ..primitives.arithmetic import add
from ..primitives.convert import cast, convert
from ..saving import Arrays, fill, read, write
from ..tape import GradientTape
from . import _clip, _rules
from ._core import Rate, Scalars, Transform, check_rate, number, rate_at
from ._state import Built, Mirror, numbers_of, parts, scalars_of, slot

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer", "RMSprop"]


_NONE = type(None)


class Optimizer:
    """Applies gradients to variables by a rule of descent, and keeps the rule's state.

    transform         a Transform made without learning rate (its updates are multiplied by -learning_rate), or one
                      that already gives steps downhill, with learning_rate=None
    learning_rate     a number, a schedule (step -> rate), or a callable without arguments
    weight_decay      decoupled decay: theta <- theta - learning_rate weight_decay theta, beside the step
    clipnorm          limits each gradient's norm
    global_clipnorm   limits the norm of all gradients together
    clipvalue         limits each element of the gradients
    name              shown in messages

    A step is recorded like anything else and computed when somebody looks, together with the gradients. Raises
    ArgumentError for a bad setting. Differs from Keras 3: variables may be added from one call to the next.

    >>> import adjoint as ad
    >>> w = ad.Variable([3.0, -2.0])
    >>> optimizer = ad.optim.Adam(0.1)
    >>> for _ in range(200):
    ...     with ad.GradientTape() as tape:
    ...         loss = ad.sum(w * w)
    ...     optimizer.apply([tape.gradient(loss, w)], [w])
    >>> bool(abs(w.numpy()).max() < 0.1)
    True
    """

    def __init__(self, transform: Transform | None = None, learning_rate: Rate = None, *,
                 weight_decay: float | None = None, clipnorm: float | None = None, clipvalue: float | None = None,
                 global_clipnorm: float | None = None, name: str | None = None) -> None:
        what = self.name = name or type(self).__name__
        self.weight_decay = None if weight_decay is None else number(what, "weight_decay", weight_decay, 0.0)
        limits = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = [k for k, v in limits.items() if v is not None]
        if len(given) > 1:
            raise ValueError(f"{what}: only one of clipnorm, clipvalue and global_clipnorm can be set, got "
                             f"{' and '.join(given)}")
        for k in given:
            if number(what, k, limits[k]) <= 0:
                raise ArgumentError(complain(what, k, "above 0", limits[k]))
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self._iterations = Mirror(0, _dtypes.int64, "iterations")
        self._schedule: Callable[..., Any] | None = None
        self._rate: Mirror | None = None
        if learning_rate is not None:
            self.learning_rate = learning_rate
        if transform is not None and not isinstance(transform, Transform):
            raise ArgumentError(complain(what, "transform", "a Transform such as ad.optim.scale_by_adam()",
                                         f"{transform!r:.60}"))
        if transform is None:
            transform = self._transform(self._rate_at)
        elif learning_rate is not None:
            transform = _rules.chain(transform, _rules.scale_by_learning_rate(self._rate_at))
        self._rule = transform
        self._slots: dict[int, list[Variable]] = {}      # id of a variable -> its part of the state
        self._variables: list[Variable] = []
        self._template: Any = None                       # the state for one variable, as the rule's init gave it
        self._shared: dict[str, Any] = {}                # what of the state belongs to no single variable
        self._built: Built | None = None
        self._warned: set[str] = set()
        self.norm: Tensor | None = None                  # of the last step's gradients, with global_clipnorm

    def _transform(self, rate: Callable[[Any], Any]) -> Transform:
        raise ArgumentError(complain(self.name, "transform", "given", "None", "or use a subclass such as Adam"))

    # -- rate and count ------------------------------------------------------------------------------------------------
    @property
    def iterations(self) -> Variable:
        """How many steps were taken: an int64 variable."""
        return self._iterations.variable

    @iterations.setter
    def iterations(self, value: Any) -> None:
        self._iterations.variable.assign(cast(convert(value), _dtypes.int64))

    @property
    def learning_rate(self) -> Any:
        """The learning rate now: a float32 variable that may be assigned, or the schedule's value at this step."""
        if self._schedule is not None:
            value = self._rate_at(self._iterations.get())
            return value if isinstance(value, Value) else wrap(np.asarray(value, np.float32))
        if self._rate is None:
            raise AttributeError(f"{self.name} was made from a transform that holds its own learning rate")
        return self._rate.variable

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        value = check_rate(self.name, "learning_rate", value)
        if isinstance(value, Variable):
            self._schedule, self._rate = None, Mirror(value, _dtypes.float32, "learning_rate")
            return
        if isinstance(value, Value):
            value = float(value)
        if callable(value):
            self._schedule, self._rate = value, None
            return
        self._schedule = None
        if self._rate is None:
            self._rate = Mirror(value, _dtypes.float32, "learning_rate")
        else:
            self._rate.set(value)
            self._rate.variable  # noqa: B018 (whoever holds the variable sees the new rate)

    lr = learning_rate

    def _rate_at(self, count: Any) -> Any:
        if self._rate is not None:
            return self._rate.get()
        schedule = self._schedule
        if schedule is None:
            raise ArgumentError(complain(self.name, "learning_rate", "set", "None"))
        try:
            return rate_at(schedule, self._iterations.get())
        except TypeError:
            if getattr(getattr(schedule, "__code__", None), "co_argcount", 1):
                raise
            return rate_at(schedule(), count)            # Keras also takes a callable without arguments

    # -- state ---------------------------------------------------------------------------------------------------------
    def build(self, variables: Iterable[Variable]) -> None:
        """Make the state for these variables now, rather than at the first step."""
        for v in variables:
            if not isinstance(v, Variable):
                raise TypeError(complain(f"{self.name}.build", "each variable", "a Variable", f"{v!r:.60}"))
            if id(v) not in self._slots:
                self._add(v)

    def _add(self, v: Variable) -> None:
        if v._spec.dtype.kind not in "fc":
            raise DtypeError(complain(self.name, f"the variable {v.name}", "floating or complex", v._spec.dtype.name,
                                      "an integer can't be descended on"))
        state = self._rule.init([v])
        slots: list[Variable] = []
        for path, leaf, own in parts(state):
            if own:
                slots.append(slot(leaf, f"{v.name.split(':')[0]}/{path}"))
            elif path not in self._shared:
                self._shared[path] = slot(leaf, path) if isinstance(leaf, Value) else Mirror(
                    leaf, _dtypes.int64 if leaf.__class__ is int else _dtypes.float64, path)
        self._template = state
        self._slots[id(v)] = slots
        self._variables.append(v)
        self._built = None

    def _state_for(self, variables: list[Variable]) -> Built:
        """The rule's state for these variables, made where it is not there yet."""
        key = tuple(map(id, variables))
        built = self._built
        if built is None or built.key != key:
            if len(set(key)) != len(key):
                twice = next(v.name for n, v in enumerate(variables) if key.index(id(v)) != n)
                raise ValueError(f"{self.name}: the variable {twice} is given twice in one step")
            self.build(variables)
            built = self._built = Built(key, variables, self._template, [self._slots[k] for k in key], self._shared)
        return built

    @property
    def variables(self) -> list[Variable]:
        """The state: step count, learning rate where it is a number, then everything the rule remembers."""
        found = [self.iterations]
        if self._rate is not None:
            found.append(self._rate.variable)
        found += [s.variable if s.__class__ is Mirror else s for s in self._shared.values()]
        return found + [s for v in self._variables for s in self._slots[id(v)]]

    def exclude_from_weight_decay(self, var_list: Iterable[Variable] | None = None,
                                  var_names: Iterable[str] | None = None) -> None:
        """Name variables that weight_decay leaves alone: themselves, or by parts of their names (at the first step)."""
        self._spared = (self._spared[0] | {id(v) for v in var_list or ()}, tuple(var_names or ()))

    _spared: tuple[frozenset[int], tuple[str, ...]] = (frozenset(), ())

    def _decays(self, v: Variable) -> bool:
        return id(v) not in self._spared[0] and not any(n in v.name for n in self._spared[1])

    # -- steps ---------------------------------------------------------------------------------------------------------
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]], name: str | None = None,
                        **ignored: Any) -> Variable:
        """One step, from pairs of gradient and variable; returns ``iterations``.

        A gradient of None is skipped with one warning; ValueError names the variables when all are None. ShapeError or
        DtypeError for a gradient that does not fit its variable; nothing has been changed then.
        """
        unknown = set(ignored) - {"skip_gradients_aggregation", "experimental_aggregate_gradients"}
        if unknown:
            raise TypeError(f"{self.name}.apply_gradients: unknown argument {sorted(unknown)[0]!r}")
        pairs = list(grads_and_vars)
        for pair in pairs:
            if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                raise ValueError(complain(f"{self.name}.apply_gradients", "each item", "a pair (gradient, variable)",
                                          f"{pair!r:.60}", "use zip(gradients, variables)"))
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Variable] | None = None) -> None:
        """One step: ``grads`` in the order of ``trainable_variables`` (by default, those of the last build)."""
        grads = list(grads)
        variables = self._variables if trainable_variables is None else list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(complain(f"{self.name}.apply", "grads", f"one for each of {len(variables)} variables",
                                      len(grads)))
        live = [g if g.__class__ is Tensor and v.__class__ is Variable and g._spec is v._spec else self._fitting(g, v)
                for g, v in zip(grads, variables)]
        if _NONE in map(type, live):
            live, variables = self._without_none(live, variables)
        elif not live:
            raise ValueError(f"{self.name}: no gradients provided for any variable: the list is empty")
        built = self._state_for(variables)
        if not local.trace.scratch:
            for x in built.objects:
                if x._pending is not None:               # the step before this one ends here
                    hooks.evaluate(x._pending)
        self._step(built, live)
        steps = self._iterations.get()
        self._iterations.set(steps + 1 if steps.__class__ is int else add(steps, 1))

    def _step(self, built: Built, grads: list[Any]) -> None:
        trace = local.trace
        numbers = self._rule.numbers
        given = None if numbers is None else numbers(built.numbers())
        decay = None if not self.weight_decay else self._rate_at(self._iterations.get()) * -self.weight_decay
        key = None
        if given is not None:
            floats = scalars_of(given[0])
            if decay is not None:
                floats.append(decay)
            key = built.key_at(trace, grads, floats, (self.clipvalue, self.clipnorm, self.global_clipnorm, self._spared))
            entry = None if key is None else trace.node.memo.get(key)
            if entry is not None:
                self.norm = built.replay(trace, entry, grads, floats)
                for mirror, number_ in zip(built.mirrors, numbers_of(given[1])):
                    mirror.set(number_)
                return
        start, entered = trace.node, len(trace.inputs)
        results, fresh, norm = self._update(built, grads, given, decay)
        if key is not None:
            built.remember(trace, start, entered, key, grads, floats, results, norm)
        self.norm = norm
        for x, new in zip(built.objects, results):
            if new is not None:
                x.assign(new)
        for mirror, number_ in zip(built.mirrors, fresh):
            mirror.set(number_)

    def _update(self, built: Built, grads: list[Any], given: Any, decay: Any) -> tuple[list[Any], list[Any], Any]:
        """The new values of the variables and slots (None: as it was), of the numbers, and the gradients' norm."""
        variables, norm = built.variables, None
        if self.clipvalue is not None:
            grads, _ = _clip.clip_by_value(self.clipvalue).update(grads, ())
        elif self.clipnorm is not None:
            grads = [_clip.clip_norm(g, self.clipnorm) for g in grads]
        elif self.global_clipnorm is not None:
            grads, norm = _clip.clip_global_norm(grads, self.global_clipnorm)
        more = () if given is None else (given,)
        updates, state = self._rule.update(grads, built.state(), variables, *more)
        fresh = _nest.flatten(state)
        if len(fresh) != len(built.leaves):
            raise ArgumentError(f"{self.name}: the rule's state changed its structure")
        results, s = [], Scalars()
        for v, u in zip(variables, updates):
            if decay is not None and self._decays(v):
                u = add(u, s.times(v, decay))
            results.append(add(v, u if u._spec.dtype is v._spec.dtype else cast(u, v._spec.dtype)))
        new_numbers = []
        for held, new in zip(built.leaves, fresh):
            if held.__class__ is Mirror:
                new_numbers.append(new)
            else:
                results.append(None if new is held else new)
        return results, new_numbers, norm

    def _fitting(self, g: Any, v: Any) -> Any:
        if not isinstance(v, Variable):
            raise TypeError(complain(f"{self.name}.apply", "what gradients are applied to", "variables", f"{v!r:.60}"))
        if g is None:
            return None
        if g.__class__ is not Tensor:
            g = convert(g, v._spec.dtype, True)
        if g._spec is v._spec:
            return g
        if g._spec.shape != v._spec.shape:
            raise ShapeError(complain(f"{self.name}.apply", f"the gradient of {v.name}",
                                      f"of its shape {v._spec.shape}", g._spec.shape, "nothing was changed"))
        if g._spec.dtype.kind not in "fc" or g._spec.dtype.kind == "c" != v._spec.dtype.kind:
            raise DtypeError(complain(f"{self.name}.apply", f"the gradient of {v.name}", f"{v._spec.dtype.name}",
                                      g._spec.dtype.name, "nothing was changed"))
        return cast(g, v._spec.dtype)

    def _without_none(self, grads: list[Any], variables: list[Variable]) -> tuple[list[Any], list[Variable]]:
        lost = [v.name for g, v in zip(grads, variables) if g is None]
        names = ", ".join(lost[:10]) + (", ..." if len(lost) > 10 else "")
        if len(lost) == len(variables):
            why = hooks.why_none(variables[0]) or ("By what the tape recorded the loss does not depend on them; "
                                                   "tape.explain(loss, variable) says why")
            raise ValueError(f"{self.name}: No gradients provided for any variable: {names}. {why}")
        if names not in self._warned:
            self._warned.add(names)
            why = hooks.why_none(next(v for g, v in zip(grads, variables) if g is None))
            warnings.warn(f"{self.name}: Gradients do not exist for variables {names}; they are left as they are. {why}".rstrip(),
                          stacklevel=4)
        pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
        return [g for g, _ in pairs], [v for _, v in pairs]

    def compute_gradients(self, loss: Any, variables: Any,
                          tape: GradientTape | None = None) -> list[tuple[Any, Variable]]:
        """Pairs of gradient and variable, for a loss function without arguments or a loss that ``tape`` recorded."""
        if callable(variables) and not isinstance(variables, Value):
            variables = variables()
        variables = _nest.flatten(variables)
        if callable(loss) and not isinstance(loss, Value):
            with tape or GradientTape() as own:
                for v in variables:
                    if isinstance(v, Variable) and not v.trainable:
                        own.watch(v)
                loss = loss()
            tape = own
        elif tape is None:
            raise ValueError(complain(f"{self.name}.minimize", "tape", "the tape that recorded the loss", "None",
                                      "or give the loss as a function"))
        return list(zip(tape.gradient(loss, variables), variables))

    def minimize(self, loss: Any, var_list: Any, tape: GradientTape | None = None) -> Variable:
        """One step on a loss: a function without arguments, or a tensor that ``tape`` recorded.

        >>> import adjoint as ad
        >>> w = ad.Variable(1.0)
        >>> _ = ad.optim.SGD(0.25).minimize(lambda: w * w, [w])
        >>> float(w)
        0.5
        """
        return self.apply_gradients(self.compute_gradients(loss, var_list, tape))

    # -- files ---------------------------------------------------------------------------------------------------------
    def _named(self) -> dict[str, Any]:
        named: dict[str, Any] = {"iterations": self._iterations}
        if self._rate is not None:
            named["learning_rate"] = self._rate
        named |= {f"shared/{path}": held for path, held in self._shared.items()}
        paths = [path for path, _, own in parts(self._template) if own] if self._variables else []
        for k, v in enumerate(self._variables):
            named |= {f"{path}/{k}": slot for path, slot in zip(paths, self._slots[id(v)])}
        return named

    def save(self, path: Any) -> None:
        """Write step count, learning rate and the rule's state to a safetensors file, in one step.

        The variables that are descended on are not in it: save them with ``ad.save``. A run that goes on from both
        files gives the same bits as one that was not interrupted.
        """
        named = self._named()
        arrays: Arrays = {
            k: np.asarray(x.get()) if x.__class__ is Mirror else x._look() for k, x in named.items()}
        write(path, arrays, {"optimizer": type(self).__name__,
                             **{f"variable {k}": v.name for k, v in enumerate(self._variables)}})

    def load(self, path: Any, variables: Iterable[Variable] | None = None) -> None:
        """Read what ``save`` wrote.

        variables   those that the optimizer steps, in the order of the run that was saved; needed where this optimizer
                    has made no step yet

        Everything is checked first: ArgumentError for a damaged file or another optimizer's, ShapeError and DtypeError
        for state that does not fit; nothing is changed then.
        """
        arrays, metadata = read(path)
        if metadata.get("optimizer", type(self).__name__) != type(self).__name__:
            raise ArgumentError(complain(f"{self.name}.load", "the file", f"the state of {type(self).__name__}",
                                         metadata["optimizer"], "nothing was changed"))
        before = len(self._variables)
        shared = dict(self._shared)
        self.build(variables or ())
        saved = sum(key.startswith("variable ") for key in metadata)
        try:
            if saved != len(self._variables):
                raise ArgumentError(complain(
                    f"{self.name}.load", "the variables", f"the {saved} of the run that was saved",
                    len(self._variables), "give them as variables=; nothing was changed"))
            named = self._named()
            wanted = {k: np.asarray(x.get()) if x.__class__ is Mirror else x for k, x in named.items()}
            fill(os.fspath(path), wanted, arrays, {}, None)
        except ArgumentError:
            for v in self._variables[before:]:
                del self._slots[id(v)]
            del self._variables[before:]
            self._shared, self._built = shared, None
            raise
        for k, x in named.items():
            if x.__class__ is Mirror:
                x.set(arrays[k].item())
                x.variable  # noqa: B018 (whoever holds it sees the restored value)

    # -- description ---------------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """The settings it was made with; ``type(self)(**config)`` makes another like it."""
        rate: Any = self._schedule
        if self._rate is not None:
            rate = self._rate.get()
        return {"learning_rate": rate, **self._settings, "weight_decay": self.weight_decay, "clipnorm": self.clipnorm,
                "clipvalue": self.clipvalue, "global_clipnorm": self.global_clipnorm, "name": self.name}

    _settings: dict[str, Any] = {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if v is not None and k != "name")
        return f"<ad.optim.{type(self).__name__} {settings}>"


# ---------------------------------------------------------------------------------------------------------- the classes

class SGD(Optimizer):
    """Plain descent, with momentum and Nesterov's look ahead: see ``sgd``.

    >>> import adjoint as ad
    >>> w = ad.Variable(1.0)
    >>> ad.optim.SGD(0.5).apply([ad.constant(1.0)], [w])
    >>> float(w)
    0.5
    """

    def __init__(self, learning_rate: Rate = 0.01, momentum: float = 0.0, nesterov: bool = False,
                 **settings: Any) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        self._settings = {"momentum": momentum, "nesterov": nesterov}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.sgd(rate, self.momentum, self.nesterov)


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): see ``scale_by_adagrad``."""

    def __init__(self, learning_rate: Rate = 0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
                 **settings: Any) -> None:
        self._settings = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.adagrad(rate, **self._settings)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): see ``scale_by_rms``."""

    def __init__(self, learning_rate: Rate = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
                 centered: bool = False, **settings: Any) -> None:
        self._settings = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.rmsprop(rate, **self._settings)


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): see ``scale_by_adam``."""

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 amsgrad: bool = False, **settings: Any) -> None:
        self._settings = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.adam(rate, **self._settings)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(self, learning_rate: Rate = 0.001, weight_decay: float = 0.004, beta_1: float = 0.9,
                 beta_2: float = 0.999, epsilon: float = 1e-7, amsgrad: bool = False, **settings: Any) -> None:
        if weight_decay is None:
            raise ValueError(complain("AdamW", "weight_decay", "a number", "None", "Adam is AdamW without it"))
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **settings)


class Adamax(Optimizer):
    """Adamax (Kingma and Ba 2015, section 7.1): see ``scale_by_adamax``."""

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 **settings: Any) -> None:
        self._settings = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.adamax(rate, **self._settings)


class Nadam(Optimizer):
    """Nadam (Dozat 2016): see ``scale_by_nadam``."""

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 **settings: Any) -> None:
        self._settings = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.nadam(rate, **self._settings)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): see ``scale_by_adadelta``."""

    def __init__(self, learning_rate: Rate = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **settings: Any) -> None:
        self._settings = {"rho": rho, "epsilon": epsilon}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.adadelta(rate, **self._settings)


class Lion(Optimizer):
    """Lion (Chen et al. 2023): see ``scale_by_lion``."""

    def __init__(self, learning_rate: Rate = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **settings: Any) -> None:
        self._settings = {"beta_1": beta_1, "beta_2": beta_2}
        super().__init__(None, learning_rate, **settings)

    def _transform(self, rate: Any) -> Transform:
        return _rules.lion(rate, **self._settings)

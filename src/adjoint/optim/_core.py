"""Rules of descent as pure pairs of functions that chain."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _nest
from .._errors import ArgumentError, complain
from .._graph import spec
from .._tensor import Tensor, Value, Variable, wrap
from .._trace import handle, local, scalar
from ..primitives.arithmetic import add, multiply
from ..primitives.convert import cast, convert

Nest = Any
Rate = Any                                               # a number, a tensor, or a schedule: count -> either


class Transform(NamedTuple):
    """A rule of descent: two pure functions.

    init(params) -> state
    update(updates, state, params) -> (updates, state)

    params and updates are nests (lists, tuples, dicts) of tensors of one structure; a None among the updates stays None
    and leaves its part of the state alone. The state is a nest of tensors and Python numbers. Updates are added to the
    parameters in the end, so that a rule of descent gives steps downhill:

    >>> import adjoint as ad
    >>> rule = ad.optim.sgd(0.5)
    >>> params = [ad.constant(1.0)]
    >>> state = rule.init(params)
    >>> updates, state = rule.update([ad.constant(2.0)], state, params)
    >>> float(ad.optim.apply_updates(params, updates)[0])
    0.0
    """

    init: Callable[[Nest], Any]
    update: Callable[..., tuple[Nest, Any]]
    numbers: Callable[[Any], Any] | None = None          # see ``with_numbers``


def with_numbers(init: Callable[[Nest], Any], numbers: Callable[[Any], Any], update: Callable[..., Any]) -> Transform:
    """A Transform whose scalar arithmetic is apart from what it does to tensors.

    numbers(state) -> (scalars, the state's numbers after the step)
    update(updates, state, params, scalars) -> (updates, the rest of the state)

    What changes from step to step in Python numbers is in ``scalars`` and reaches the tensors' operations as it is, so
    that whoever recorded a step once can record the next by exchanging them.
    """

    def both(updates: Nest, state: Any, params: Nest = None, given: Any = None) -> tuple[Nest, Any]:
        scalars, fresh = numbers(state) if given is None else given
        updates, rest = update(updates, state, params, scalars)
        return updates, {**fresh, **rest}

    return Transform(init, both, numbers)


def stateless(update: Callable[[Nest, Nest], Nest]) -> Transform:
    """A Transform that remembers nothing, from (updates, params) -> updates."""
    return Transform(lambda params: (), lambda updates, state, params=None, given=None: (update(updates, params), state),
                     lambda state: ((), ()))


def remembering(init: Callable[[Nest], Any], update: Callable[[Nest, Any], Any]) -> Transform:
    """A Transform whose state is tensors only, from (updates, state) -> (updates, state)."""
    return Transform(init, lambda updates, state, params=None, given=None: update(updates, state), lambda state: ((), ()))


def chain(*transforms: Transform) -> Transform:
    """One rule after the other: each gets the updates that the one before it made.

    >>> import adjoint as ad
    >>> rule = ad.optim.chain(ad.optim.clip_by_global_norm(1.0), ad.optim.sgd(0.1))
    """
    for t in transforms:
        if not isinstance(t, Transform):
            raise ArgumentError(complain("chain", "each argument", "a Transform such as sgd(0.1)", f"{t!r:.60}"))

    def init(params: Nest) -> Any:
        return tuple([t.init(params) for t in transforms])

    def update(updates: Nest, state: Any, params: Nest = None, given: Any = None) -> tuple[Nest, Any]:
        if state.__class__ is not tuple or len(state) != len(transforms):
            raise ArgumentError(complain("chain", "state", f"what init gave for these {len(transforms)} transforms",
                                         f"{state!r:.60}"))
        fresh = []
        for k, (t, s) in enumerate(zip(transforms, state)):
            if given is None:
                updates, s = t.update(updates, s, params)
            else:
                scalars = given[0]
                updates, s = t.update(updates, s, params, (scalars[k], given[1][k]))
            fresh.append(s)
        return updates, tuple(fresh)

    def numbers(state: Any) -> Any:
        rows = [t.numbers(s) for t, s in zip(transforms, state)]  # type: ignore[misc]
        return tuple([r[0] for r in rows]), tuple([r[1] for r in rows])

    return Transform(init, update, numbers if all(t.numbers is not None for t in transforms) else None)


_READY = {Tensor, Variable, type(None), bool}


def each(function: Callable[..., Any], first: Nest, *rest: Nest) -> Nest:
    """The function over corresponding leaves, with a short way for flat lists."""
    if all(tree.__class__ is list and _READY.issuperset(map(type, tree)) for tree in (first, *rest)):
        return [function(*row) for row in zip(first, *rest, strict=True)]
    return _nest.map_structure(lambda *row: function(*[_lift(x) for x in row]), first, *rest)


def _lift(x: Any) -> Any:
    """Arrays, numbers and sparse gradients as tensors; None and a mask's bools as they are."""
    return x if x is None or x.__class__ is bool or isinstance(x, Value) else convert(x)


def apply_updates(params: Nest, updates: Nest) -> Nest:
    """The parameters with the updates added: a new nest of tensors. A None update leaves its parameter as it is."""
    return each(lambda p, u: p if u is None else add(p, u), params, updates)


def like(params: Nest, value: float = 0.0) -> Nest:
    """Tensors of the parameters' shapes and dtypes, filled with a value: where a state begins."""

    def fill(p: Any) -> Any:
        s = (p if isinstance(p, Value) else convert(p))._spec
        return wrap(np.full(s.shape, value, s.dtype.np))

    return _nest.map_structure(fill, params)


class Scalars:
    """The numbers of one step as scalar tensors, each entering the graph once for all the parameters it is used on."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: dict[tuple[int, Any], tuple[Any, Any]] = {}

    def at(self, value: Any, dtype: Any) -> Any:
        """A number, or a scalar tensor, as a tensor of this dtype."""
        key = (id(value), dtype)
        found = self._made.get(key)
        trace = local.trace
        if found is not None and found[1]._trace is trace:
            return found[1]
        if isinstance(value, Value):
            made = cast(value, dtype)
        else:
            made = handle(trace, scalar(trace, value, dtype), spec((), dtype))
        self._made[key] = (value, made)                  # the value stays alive, so that its id stays its own
        return made

    def times(self, x: Any, by: Any) -> Any:
        return multiply(x, self.at(by, x._spec.dtype))

    def plus(self, x: Any, by: Any) -> Any:
        return add(x, self.at(by, x._spec.dtype))


def times(x: Any, by: Any) -> Any:
    """``x`` times a number, or times a scalar tensor taken in the dtype of ``x``."""
    return multiply(x, by) if by.__class__ is float else multiply(x, cast(by, x._spec.dtype))


def rate_at(rate: Rate, count: Any) -> Any:
    """A rate at a step: a Python float, or a tensor where the rate or the count is one."""
    if rate.__class__ is float:
        return rate
    if callable(rate):
        rate = rate(count)
    return rate if isinstance(rate, Value) else float(rate)


def check_rate(operation: str, argument: str, rate: Rate) -> Rate:
    """A rate as given, numbers as floats; ArgumentError for anything else."""
    if isinstance(rate, Value):
        if rate._spec.shape != ():
            raise ArgumentError(complain(operation, argument, "a scalar", f"shape {rate._spec.shape}"))
        return rate
    if callable(rate):
        return rate
    return number(operation, argument, rate)


def number(operation: str, argument: str, value: Any, low: float = -np.inf, high: float = np.inf,
           open_high: bool = False) -> float:
    """A finite Python float within bounds, or an ArgumentError."""
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        x = float(value)
    except (TypeError, ValueError):
        raise ArgumentError(complain(operation, argument, "a number", f"{value!r:.60}")) from None
    if not (low <= x <= high) or (open_high and x == high) or not np.isfinite(x):
        bounds = f"in [{low:g}, {high:g}{')' if open_high else ']'}" if np.isfinite(high) else (
            f"at least {low:g}" if np.isfinite(low) else "finite")
        raise ArgumentError(complain(operation, argument, bounds, f"{x:g}"))
    return x


def floats_only(operation: str, params: Nest) -> None:
    for p in _nest.flatten(params):
        s = (p if isinstance(p, Value) else convert(p))._spec
        if s.dtype.kind not in "fc":
            raise ArgumentError(complain(operation, "each parameter", "floating or complex", s.dtype.name,
                                         "cast it first: an integer can't be descended on"))

"""Variables whose new values are written over the old ones, where nobody else looks.

Neither Python nor a signal may come in between: who is interrupted there would find new values in the place of old ones and
compute with them again. So the native call and all that has to be noted after it are one walk over a list inside of the
interpreter, which looks for signals between bytecodes only: a step happens as a whole or not at all.
"""
from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import starmap, takewhile
from operator import call, is_
from typing import Any

from ._plan import Plan
from ._tensor import Value, Variable
from .plan.renewal import LEAST

_descriptors: dict[str, Any] = {**vars(Value), **vars(Variable)}
_nothing = partial(is_, None)
set_value, set_trace, set_pending = [_descriptors[name].__set__ for name in ("_value", "_trace", "_pending")]


def alone() -> bool:
    """Whether this is the only thread. Another must not look at a variable meanwhile, so it would have to wait."""
    return threading.active_count() == 1


def foresee(plan: Plan, owners: Sequence[Any], assigned: Iterable[tuple[int, Any]]) -> None:
    """Tell a plan, before it is built, which inputs are old values of variables that get new ones.

    owners    whose the inputs are
    assigned  number of a result, the variable that gets it
    """
    if not plan.built:
        large = {id(v): k for k, v in assigned if v._spec.nbytes >= LEAST}
        if large:
            plan.dying = [(at, large[id(owner)]) for at, owner in enumerate(owners) if id(owner) in large]


def prepared(plan: Plan, inputs: list[Any], assigned: Iterable[tuple[int, Any]]) -> tuple[Any, list[Any]] | None:
    """The call that is left to do and the results that it fills, or None where the plan is to run as a whole."""
    if plan.exclusive and not alone():
        return None
    news = dict(assigned)
    free = set()
    for at, k in plan.pairs:
        variable = news.get(k)
        if variable is not None and variable._value is inputs[at]:
            free.add(id(inputs[at]))
    return plan.prepare(inputs, free)  # type: ignore[no-any-return]


def run(plan: Plan, inputs: list[Any], assigned: Sequence[tuple[int, Any]]) -> list[Any]:
    """The results of a plan; where it writes over values of variables, these have their new ones then."""
    found = prepared(plan, inputs, assigned) if plan.__class__ is Plan and plan.prepare is not None else None
    if found is not None:
        native, values = found
        done: list[bool] = []
        todo = [native]
        for k, variable in assigned:
            todo += [(set_trace, variable, None), (set_value, variable, values[k])]
        at_once([*todo, (done.append, True)])
        if done:
            return values
    return plan.run(inputs)


def at_once(todo: Iterable[tuple[Any, ...]]) -> None:
    """Call all of these (function, *arguments) as long as they return nothing, without a look at signals in between."""
    deque(takewhile(_nothing, starmap(call, todo)), 0)

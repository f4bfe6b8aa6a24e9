"""A traced program called at once: one Python function, written for it, from arguments to results."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._config import config
from .._graph import NOTHING
from .._plan import Plan, plan_for, watching
from .._renewal import foresee, run
from .._runtime import _array as owned
from .._tensor import Tensor, Variable
from .._trace import hooks, local
from ..primitives.sampling import Draw, next_draw

__all__ = ["direct", "plan_of", "version"]

version = [0]                                            # grows when programs must be planned again


def _plan_again() -> None:
    version[0] += 1


config.changed.append(_plan_again)


def plan_of(traced: Any) -> Any:
    """The plan of a traced program by the settings as they are."""
    if traced.version != version[0]:                     # it does not stand in the tree any more, where plans are forgotten
        traced.version, traced.node.memo = version[0], NOTHING
    plan = plan_for(traced.node, traced.wanted)
    if traced.assigned and plan.__class__ is Plan and not plan.built:
        foresee(plan, [owner for _, owner, _ in traced.recipe], news_of(traced))
    return plan


def news_of(traced: Any) -> tuple[tuple[int, Any], ...]:
    """Number of a result, and the variable that gets it."""
    first = len(traced.wanted) - len(traced.assigned)
    return tuple([(first + n, v) for n, v in enumerate(traced.assigned)])


def direct(traced: Any, otherwise: Callable[[Any], Any], constant: type[Any]) -> Callable[[Any], Any] | None:
    """A function of the traced program's arguments, or None where it would not pay.

    Where a tape records, another program is pending, or something that is read has no value yet, it calls ``otherwise``.
    """
    if not traced.wanted or len(traced.recipe) > 500:
        return None
    names: dict[str, Any] = {
        "local": local, "hooks": hooks, "watching": watching, "config": config, "version": version, "traced": traced,
        "otherwise": otherwise, "plan": plan_of(traced), "number": version[0], "new": object.__new__,
        "Tensor": Tensor, "ndarray": np.ndarray, "owned": owned, "draw": next_draw}
    slow = ["trace.assigned", "trace.scratch", "hooks.check is not None", "watching", "version[0] != number",
            "plan.engine is not config._engine", "trace.tapes and local.tapes"]
    body, inputs = [], []
    given = sorted({at for at, _, _ in traced.recipe if at is not None})
    for at in given:
        body.append(f"a{at} = given[{at}]._value")
        slow.append(f"a{at} is None")
    for k, (at, owner, value) in enumerate(traced.recipe):
        if at is not None:
            inputs.append(f"a{at}")
        elif owner is None:
            names[f"c{k}"] = value
            inputs.append(f"c{k}")
        elif owner.__class__ is Draw:
            names[f"c{k}"] = owner
            inputs.append(f"draw(c{k})._value")
        elif owner.__class__ is Variable:
            names[f"c{k}"] = owner
            slow.append(f"c{k}._pending is not None")
            inputs.append(f"c{k}._value")
        elif owner.__class__ is Tensor:
            names[f"c{k}"] = owner
            slow.append(f"c{k}._value is None")
            inputs.append(f"c{k}._value")
        else:
            return None
    count = len(traced.wanted)
    effects = count - len(traced.assigned)
    for n, variable in enumerate(traced.assigned):
        if variable.__class__ is not Variable:
            return None
        names[f"w{n}"] = variable
        slow.append(f"w{n}._pending is not None")
    body.append(f"if {' or '.join(slow)}: return otherwise(given)")
    body.append("traced.calls += 1")
    values = f"[{', '.join(inputs)}]"
    names["news"], names["run"] = news_of(traced), run
    body.append(f"{''.join(f'r{k}, ' for k in range(count))} = plan.run({values}) if plan.prepare is None else "
                f"run(plan, {values}, news)")
    for k in range(count):
        body.append(f"if r{k}.__class__ is not ndarray or r{k}.base is not None: r{k} = owned(r{k})")
        if k < effects:
            names[f"s{k}"] = traced.specs[k]
            body.append(f"t{k} = new(Tensor); t{k}._trace = None; t{k}._idx = 0; t{k}._spec = s{k}; t{k}._value = r{k}")
        else:
            n = k - effects
            body.append(f"w{n}._trace = None; w{n}._value = r{k}")
            body.append(f"if trace.captures: trace.captures.pop({id(traced.assigned[n])}, None)")
    result = _result(traced, names, constant)
    if result is None:
        return None
    lines = ["def call(given):", " trace = local.trace", *[f" {line}" for line in body], f" return {result}"]
    exec(compile("\n".join(lines), f"{__file__} (call)", "exec"), names)
    return names["call"]  # type: ignore[no-any-return]


def _result(traced: Any, names: dict[str, Any], constant: type[Any]) -> str | None:
    """The results in the structure in which they are returned, as an expression."""
    count = 0
    parts = []
    for k, out in enumerate(traced.outputs):
        if out.__class__ is constant:
            names[f"v{k}"] = out.value
            parts.append("None" if out.value is None else f"v{k}")
        else:
            parts.append(f"t{count}")
            count += 1
    if traced.single:
        return parts[0]
    leaves = iter(parts)

    def written(tree: Any) -> str:
        if tree.__class__ is tuple:
            return f"({''.join(written(item) + ', ' for item in tree)})"
        if tree.__class__ is list:
            return f"[{', '.join(written(item) for item in tree)}]"
        if isinstance(tree, (list, tuple, dict)):
            raise TypeError
        return next(leaves)

    try:
        return written(traced.tree)
    except TypeError:
        return None

"""What an optimizer keeps: numbers, slots, and how a step that was recorded once is recorded again in one go."""
from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from .. import _nest
from .._config import config
from .._renewal import at_once, set_pending
from .._tensor import Tensor, Value, Variable, wrap
from .._trace import _LITERAL_FLOATS, Trace, give, local, tensors_at
from ..primitives.convert import cast


class Mirror:
    """A number that is kept twice: as a Python number for arithmetic, as a Variable for those who ask for one.

    The Variable may be assigned by anybody; the number then follows. Numbers that change in each step reach the plan as
    scalar inputs, so that a step count is no part of a plan's structure.
    """

    __slots__ = ("_array", "_known", "_number", "_stale", "_variable")

    def __init__(self, value: Any, dtype: Any, name: str) -> None:
        if isinstance(value, Variable):                  # somebody's own: it is followed
            self._variable, self._number = value, value.item()
        else:
            self._variable = Variable(np.asarray(value, dtype.np), trainable=False, name=name)
            self._number = value
        self._array: Any = self._variable._value
        self._stale = False
        self._known = False                              # whether somebody may hold the variable, or a traced function

    @property
    def variable(self) -> Variable:
        """The Variable, up to date, now and after each step."""
        self._known = True
        if self._stale:
            self._array = np.asarray(self._number, self._array.dtype)
            self._stale = False
            if local.trace.scratch:                      # what was set before a trace began is no part of the trace
                self._variable._value = self._array
            else:
                self._variable.assign(wrap(self._array))
        return self._variable

    def get(self) -> Any:
        """The Python number; while a function is traced, the variable, since the number will not stay what it is."""
        variable = self._variable
        if local.trace.scratch:
            return self.variable
        if variable._pending is not None:
            variable._look()
        if variable._value is not self._array:
            self._array = variable._value
            self._number, self._stale = self._array.item(), False
        return self._number

    def set(self, value: Any) -> None:
        if isinstance(value, Value):
            self.variable.assign(cast(value, self._variable._spec.dtype))
            return
        self._number = value
        self._stale = True
        if local.trace.scratch:
            self._variable.assign(wrap(np.asarray(value, self._array.dtype)))
            self._stale = False
        elif self._known or self._variable._pending is not None:
            self.variable  # noqa: B018 (it must follow now)


class Built:
    """The state for one list of variables, and its way through the graph.

    nest      the rule's state: slots and Mirrors in the structure that its init gave
    objects   the variables, then the slots
    """

    __slots__ = ("_token", "bare", "key", "leaves", "mirrors", "nest", "objects", "slots", "variables", "where")

    _tokens = count()

    def __init__(self, key: tuple[int, ...], variables: list[Variable], template: Any, rows: list[list[Variable]],
                 shared: dict[str, Any]) -> None:
        self.key, self.variables = key, list(variables)
        self.leaves: list[Any] = []
        self.nest = _spread(template, "", rows, [0], shared, self.leaves)
        self.bare = _bare(self.nest)
        self.mirrors = [x for x in self.leaves if x.__class__ is Mirror]
        self.slots = [x for x in self.leaves if x.__class__ is not Mirror]
        self.objects: list[Variable] = [*variables, *self.slots]
        self.where = {id(x): k for k, x in enumerate(self.objects)}
        self._token = next(self._tokens)

    def state(self) -> Any:
        """The whole state with its numbers as they are now."""
        return _nest.pack(self.nest, [x.get() if x.__class__ is Mirror else x for x in self.leaves])

    def numbers(self) -> Any:
        """The state's numbers alone, in its structure."""
        return _now(self.bare)

    # A step is the same piece of graph each time, reached from the same place, with other numbers. So it is remembered at
    # the node where it begins: what enters the trace, where it ends, and which places hold the new values.

    def key_at(self, trace: Trace, grads: list[Any], floats: list[Any], settings: Any) -> Any:
        """What the graph of a step depends on, or None where it is to be recorded operation by operation."""
        if not trace.fast or trace.captures or local.tapes or trace.node.end >= config.pending:
            return None
        places = []
        for x in self.objects:
            other = x._trace
            if x._pending is not None:
                return None
            if other is trace:
                places.append(x._idx)
            elif other is None or other.closed:
                places.append(-1)
            else:
                return None
        outside = []
        for g in grads:
            other = g._trace
            if other is trace:
                places.append(g._idx)
            elif g.__class__ is Tensor and (other is None or other.closed) and g._value is not None:
                places.append(-1)
                outside.append(id(g))
            else:
                return None
        if len(set(outside)) != len(outside):
            return None
        literals = []
        for f in floats:
            if f.__class__ is not float:
                return None
            literals.append(f if f in _LITERAL_FLOATS else None)
        return self._token, settings, tuple(places), tuple(literals)

    def remember(self, trace: Trace, start: Any, entered: int, key: Any, grads: list[Any], floats: list[Any],
                 results: list[Any], norm: Any) -> None:
        """Keep what was recorded since ``start`` under ``key``, where it is of the plain kind."""
        if local.trace is not trace or trace.captures:
            return
        numbers = {id(f): k for k, f in enumerate(floats)}
        gradients = {id(g): k for k, g in enumerate(grads)}
        values, owners = trace.inputs[entered:], trace.owners[entered:]
        given: list[tuple[int, int]] = []                # (which input, which of the scalars)
        mine: list[tuple[int, int, int]] = []            # (which input, which object, at which place)
        theirs: list[tuple[int, int, int]] = []          # the same for gradients
        held = 0
        for at, (value, owner) in enumerate(zip(values, owners)):
            if owner is None and value.__class__ is float:
                if id(value) in numbers:
                    given.append((at, numbers[id(value)]))
            elif owner is not None and owner._trace is trace and id(owner) in self.where:
                mine.append((at, self.where[id(owner)], owner._idx))
            elif owner is not None and owner._trace is trace and id(owner) in gradients:
                theirs.append((at, gradients[id(owner)], owner._idx))
            else:
                return
            if owner is not None:
                held += owner._spec.nbytes
                values[at] = owners[at] = None
        used = {k for _, k in given}
        if len(numbers) != len(floats) or any(k not in used and f not in _LITERAL_FLOATS for k, f in enumerate(floats)):
            return
        outs = []
        for k, t in enumerate(results):
            if t is not None:
                if t._trace is not trace:
                    return
                outs.append((t._idx, t._spec, k))
        if norm is not None:
            if norm._trace is not trace:
                return
            outs.append((norm._idx, norm._spec, -1))
        outs.sort(key=lambda row: row[0])
        places, whose = tuple([row[:2] for row in outs]), [row[2] for row in outs]
        start.keep(key, (trace.node, values, owners, given, mine, theirs, held, places, whose))

    def replay(self, trace: Trace, entry: Any, grads: list[Any], floats: list[Any]) -> Tensor | None:
        """Record a step as it was recorded before, and assign its results, all or none; returns the norm where there is one."""
        node, values, owners, given, mine, theirs, held, places, whose = entry
        values, owners, objects = values[:], owners[:], self.objects
        for at, k in given:
            values[at] = floats[k]
        for rows, source in ((mine, objects), (theirs, grads)):
            for at, k, _ in rows:
                x = source[k]
                values[at], owners[at] = x._value, x
        give(trace, node, values, owners)
        trace.node = node
        trace.held += held
        for _, k, idx in theirs:
            x = grads[k]
            x._trace, x._idx = None, idx                 # in this order: another thread may look
            x._trace = trace
        norm, todo = None, []
        for t, k in zip(tensors_at(trace, places), whose):
            if k < 0:
                norm = t
            else:
                x = objects[k]
                x._trace = None
                trace.assigned.append(x)
                todo.append((set_pending, x, t))
        at_once(todo)
        return norm


def scalars_of(given: Any) -> list[Any]:
    """The scalars of a rule, or of a chain of them, in one list."""
    found: list[Any] = []
    for item in given:
        if item.__class__ is tuple:
            found += scalars_of(item)
        else:
            found.append(item)
    return found


def numbers_of(fresh: Any) -> list[Any]:
    """The numbers of a rule's state, or of a chain of them, in the order of its Mirrors."""
    if fresh.__class__ is dict:
        return [fresh[k] for k in sorted(fresh)] if len(fresh) > 1 else list(fresh.values())
    return [x for item in fresh for x in numbers_of(item)]


def _now(bare: Any) -> Any:
    if bare.__class__ is dict:
        return {k: x.get() for k, x in bare.items()}
    return tuple([_now(item) for item in bare])


def _bare(state: Any) -> Any:
    """The Mirrors alone, in the structure that the parts of a chain have."""
    if isinstance(state, dict):
        return {k: v for k, v in state.items() if v.__class__ is Mirror}
    return tuple([_bare(v) for v in state]) if state.__class__ is tuple else ()


def slot(start: Any, name: str) -> Variable:
    return Variable(start._look(), trainable=False, name=name, dtype=start.dtype)


def parts(state: Any, prefix: str = "") -> list[tuple[str, Any, bool]]:
    """(path, leaf, whether it belongs to the one variable the state was made for), in _nest's order of leaves.

    Parameters are given to a rule as a list, so a list in its state holds what belongs to them; the rest is shared.
    """
    if isinstance(state, dict):
        return [p for key in sorted(state) for p in parts(state[key], f"{prefix}{key}/")]
    if isinstance(state, tuple):
        return [p for k, item in enumerate(state) for p in parts(item, f"{prefix}{k}/")]
    if state.__class__ is list and len(state) == 1 and isinstance(state[0], Value):
        return [(prefix[:-1], state[0], True)]
    return [(prefix[:-1] or "state", state, False)]


def _spread(state: Any, prefix: str, slots: list[list[Variable]], at: list[int], shared: dict[str, Any],
            leaves: list[Any]) -> Any:
    """The state for several variables in the structure of the state for one; its leaves are appended to ``leaves``."""
    if isinstance(state, dict):
        made = {key: _spread(state[key], f"{prefix}{key}/", slots, at, shared, leaves) for key in sorted(state)}
        return {key: made[key] for key in state}
    if isinstance(state, tuple):
        return tuple([_spread(item, f"{prefix}{k}/", slots, at, shared, leaves) for k, item in enumerate(state)])
    if state.__class__ is list and len(state) == 1 and isinstance(state[0], Value):
        row = [s[at[0]] for s in slots]
        at[0] += 1
        leaves.extend(row)
        return row
    leaves.append(shared[prefix[:-1] or "state"])
    return leaves[-1]

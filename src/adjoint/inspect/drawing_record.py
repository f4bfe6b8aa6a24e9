"""What a drawing shows: the operations behind a target with names, lines, values and cotangents.

Everything is computed in a trace of its own, so the tape, its record and the thread's pending program stay as they are.
"""
from __future__ import annotations

import inspect
import linecache
import re
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _derive, _graph, _nest
from .._errors import TapeError
from .._graph import Node, spec
from .._tensor import Tensor, Value, Variable
from .._trace import _PACKAGE, INPUT, LITERAL, READ, TENSOR_INPUT, Past, Trace, handle, local, record, recording_into, step, taped
from ..primitives.creation import ones_of

At = tuple[int, int]                                     # (view, place)


class Item:
    """One operation or input.

    kind   "input", "variable", "number", "operation", "outside" (not recorded by the tape)
    inputs numbers of earlier items; flows: which of them a gradient reaches through this operation
    """

    __slots__ = ("flows", "grad", "inputs", "kind", "line", "name", "note", "offset", "op", "spec", "target", "text",
                 "value", "watched")

    def __init__(self, kind: str, node: Node) -> None:
        self.kind, self.op, self.spec = kind, node.op, node.specs[0]
        self.inputs: list[int] = []
        self.flows: list[bool] = []
        self.offset = 0                                  # of the user's line in its code
        self.name = self.line = self.text = self.note = ""
        self.value: Any = None
        self.grad: Any = None
        self.watched = self.target = False


class View:
    """One trace that the tape recorded in, or what is left of it."""

    def __init__(self, past: Past | None, trace: Trace | None, spans: list[tuple[int, int]]) -> None:
        self.past, self.trace, self.spans = past, trace, spans
        source: Any = past if trace is None else trace
        self.lines, self.pulls = source.lines, source.pulls
        self.nodes: list[Node] = []
        for node in source.node.path():
            self.nodes.extend([node] * (node.end - node.idx))
        self.nodes.reverse()
        self.numbers: dict[int, int] = {}
        for node in dict.fromkeys(self.nodes):
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                self.numbers[node.idx] = len(self.numbers)

    def owner(self, idx: int) -> Any:
        """Whose input stands at a place, when it still lives."""
        node = self.nodes[idx]
        assert node.op is not None
        if self.trace is not None:
            return _derive.owner_at(self.trace, idx)
        assert self.past is not None
        found = self.past.owners[self.numbers[idx]] if node.op.prim is INPUT else self.past.reads.get(idx)
        return None if found is None else found()

    def inside(self, idx: int) -> bool:
        return any(start <= idx < stop for start, stop in self.spans)

    def is_of(self, trace: Any, past: Any) -> bool:
        return (self.trace is not None and trace is self.trace) or (self.past is not None and past is self.past)

    def raw(self, idx: int) -> Any:
        """The value of an input: as it was, or (of a trace that is gone) of a tensor that still lives; else None."""
        value = self.trace.inputs[self.numbers[idx]] if self.trace is not None else self.owner(idx)
        if isinstance(value, Variable) and value._pending is not None:
            return None
        if isinstance(value, Value):
            value = getattr(value, "_value", None)
        node = self.nodes[idx]
        return None if value is None else np.asarray(value, node.spec.dtype.np)


def views_of(tape: Any) -> tuple[list[View], set[At]]:
    """The tape's traces in order, and the places it watches."""
    views: list[View] = []
    if tape._spent is None:
        views = [View(trace.past, trace, spans) for trace, spans in tape._spans()]
        watched = {(n, idx) for trace, idx in tape._watched for n, v in enumerate(views) if v.trace is trace}
        return views, watched
    segments, marked = tape._spent
    spans: dict[int, tuple[Past, list[tuple[int, int]]]] = {}
    for past, start, stop in segments:
        entry = spans.setdefault(id(past), (past, []))
        if start < stop:
            entry[1].append((start, stop))
    for past, within in spans.values():
        alive = [t for t in (local.trace, *taped) if t.past is past and len(t.inputs) and t.node.end >= past.node.end]
        views.append(View(past, alive[0] if alive else None, within))
    return views, {(n, idx) for past, idx in marked for n, v in enumerate(views) if v.past is past}


def names_in(frame: Any) -> dict[int, tuple[str, Any]]:
    """The names that tensors and variables have in a frame; without one, where the drawing was asked for."""
    if frame is None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
    found: dict[int, tuple[str, Any]] = {}
    if frame is None:
        return found
    inner = frame.f_locals
    for space in (frame.f_globals, inner):
        for name, value in list(space.items()):
            if isinstance(value, Value) and not name.startswith("_"):
                found[id(value)] = (name, value)
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        inner.clear()                                    # the frame keeps this copy, which would keep every tensor in it alive
    return found


class Record:
    """The items behind a target, in the order of recording."""

    def __init__(self, tape: Any, target: Any, frame: Any = None) -> None:
        self.views, self.watched = views_of(tape)
        self.variables = tape._variables
        self.items: list[Item] = []
        self.at: dict[At, int] = {}
        self.order: list[tuple[At, Node, Item]] = []     # what is replayed
        self.targets: list[Any] = []
        ends = self._ends(target)
        self.whole = any(not self.views[v].inside(k) for v, k in ends)
        self._collect(ends)
        for at in ends:
            self.items[self.at[at]].target = True
        self._watch()
        self._name(names_in(frame))
        self._evaluate(ends)

    # -- structure -----------------------------------------------------------------------------------------------------
    def find(self, value: Any) -> At | None:
        """Where a tensor was computed."""
        origin = getattr(value, "_origin", None)
        for n, view in enumerate(self.views):
            if value._trace is not None and view.is_of(value._trace, value._trace.past):
                return n, value._idx
            if origin is not None and view.is_of(origin[0](), origin[2]() if len(origin) > 2 else None):
                return n, origin[1]
        for n, view in enumerate(self.views):
            for idx in view.numbers:
                if view.owner(idx) is value:
                    return n, idx
        return None

    def _ends(self, target: Any) -> list[At]:
        if target is None:
            return self._sinks()
        found = []
        for t in _nest.flatten(target):
            if not isinstance(t, Value):
                continue
            at = self.find(t)
            if at is None:
                raise TapeError(
                    f"GradientTape.draw: the target (shape {tuple(t._spec.shape)}) has no place in what this tape recorded; "
                    f"give a result that was computed inside its with block, or leave the target out to draw everything")
            found.append(at)
            self.targets.append(t)
        if not found:
            raise TapeError("GradientTape.draw: the target holds no tensor; give a result of the tape, or leave it out")
        return list(dict.fromkeys(found))

    def _sinks(self) -> list[At]:
        used: set[At] = set()
        made: list[At] = []
        for n, view in enumerate(self.views):
            for node in dict.fromkeys(view.nodes):
                assert node.op is not None
                if node.op.prim is INPUT:
                    at = self._earlier(n, node.idx)
                    if at is not None:
                        used.add(at)
                elif view.inside(node.idx):
                    used.update((n, a) for a in node.args)
                    if node.op.prim is not LITERAL and node.op.prim is not READ:
                        made.append((n, node.idx))
        ends = [(n, k) for n, k in made if not any((n, j) in used for j in range(k, self.views[n].nodes[k].end))]
        if not ends:
            raise TapeError("GradientTape.draw: nothing was recorded; use the tape in a with block first")
        return ends

    def _earlier(self, n: int, idx: int) -> At | None:
        """Where an input of a view was computed, in an earlier view."""
        owner = self.views[n].owner(idx)
        origin = getattr(owner, "_origin", None)
        if origin is None:
            return None
        for m in range(n):
            if self.views[m].is_of(origin[0](), origin[2]() if len(origin) > 2 else None):
                return m, origin[1]
        return None

    def _needs(self, at: At) -> list[At]:
        view, node = self.views[at[0]], self.views[at[0]].nodes[at[1]]
        assert node.op is not None
        if node.op.prim is INPUT:
            earlier = self._earlier(at[0], node.idx)
            return [] if earlier is None else [earlier]
        if not self.whole and not view.inside(node.idx) and node.op.prim is not READ:
            return []                                    # computed before the tape: drawn as a leaf
        return [(at[0], a) for a in node.args]

    def _collect(self, ends: list[At]) -> None:
        wanted: set[At] = set()
        stack = list(ends)
        while stack:
            n, k = stack.pop()
            at = (n, self.views[n].nodes[k].idx)
            if at not in wanted:
                wanted.add(at)
                stack.extend(self._needs(at))
        same: dict[tuple[Any, ...], int] = {}            # one input entered in several traces is drawn once
        for at in sorted(wanted):
            view, node = self.views[at[0]], self.views[at[0]].nodes[at[1]]
            op = node.op
            assert op is not None
            if op.prim is INPUT:
                earlier = self._earlier(*at)
                if earlier is not None:
                    self.at[at] = self.at[earlier]
                    continue
                owner = view.owner(at[1])
                key = (id(owner), _version(view, at[1])) if owner is not None else at
                if key in same:
                    self.at[at] = same[key]
                    continue
                kind = "variable" if op.params["kind"] in ("variable", "frozen") else \
                    "number" if op.params["kind"] == "scalar" else "input"
                same[key] = len(self.items)
            else:
                kind = "number" if op.prim is LITERAL else "variable" if op.prim is READ else \
                    "operation" if view.inside(at[1]) else "outside"
            item = Item(kind, node)
            for k in range(node.idx, node.end):
                self.at[at[0], k] = len(self.items)
            item.inputs = [self.at[need] for need in self._needs(at)] if op.prim is not INPUT else []
            if kind == "outside" and not self.whole:
                item.note = "computed before the tape recorded"
            self._locate(item, view, node)
            self.items.append(item)
            self.order.append((at, node, item))

    def _locate(self, item: Item, view: View, node: Node) -> None:
        where = view.lines.get(node.idx)
        if where is None:
            for source in _derivative_of(view.pulls, node.idx):
                op, where = source if isinstance(source, tuple) else (view.nodes[source].op, view.lines.get(source))
                item.note = f"part of the derivative of {op.name}"
                break
        if where is not None:
            item.line, item.offset = line_of(where), where[1]
            name, _, number = item.line.rpartition(":")
            item.text = linecache.getline(name, int(number)).strip()

    def _watch(self) -> None:
        owners = {id(o) for n, idx in self.watched for o in [self.views[n].owner(idx)
                  if self.views[n].nodes[idx].op.prim in (INPUT, READ) else None] if o is not None}  # type: ignore[union-attr]
        for at, node, item in self.order:
            view = self.views[at[0]]
            if node.op.prim in (INPUT, READ):  # type: ignore[union-attr]
                item.watched = (self.variables and _derive._is_trainable(node)) or (
                    bool(owners) and id(view.owner(at[1])) in owners)
            if any((at[0], k) in self.watched for k in range(node.idx, node.end)):
                item.watched = True

    def _name(self, names: dict[int, tuple[str, Any]]) -> None:
        for at, node, item in self.order:
            if node.op.prim in (INPUT, READ):  # type: ignore[union-attr]
                owner = self.views[at[0]].owner(at[1])
                given = names.get(id(owner), ("", None))[0]
                if isinstance(owner, Variable) and not re.fullmatch(r"Variable\d*(:0)?", owner.name):
                    given = owner.name.removesuffix(":0")
                item.name = given
        for name, value in names.values():
            at_ = self.find(value) if isinstance(value, Tensor) else None
            if at_ is not None and at_ in self.at and not self.items[self.at[at_]].name:
                self.items[self.at[at_]].name = name
        ops = [i for i in self.items if i.kind == "operation"]
        for item, following in zip(ops, [*ops[1:], None]):   # the last operation of "y = ..." is y
            if not item.name and item.text and (
                    following is None or following.line != item.line or following.offset < item.offset):
                item.name = _assigned(item.text)

    # -- values --------------------------------------------------------------------------------------------------------
    def _evaluate(self, ends: list[At]) -> None:
        fresh = Trace()
        fresh.node, fresh.pinned = Node(None, None, (), ()), True   # a tree of its own: programs seen here will not run again
        count = _graph._COUNT[0]
        env: dict[At, Tensor] = {}
        known: dict[int, Any] = {}                       # place in the fresh trace -> value
        roots: list[tuple[Trace, int]] = []
        spans: list[tuple[int, int]] = []
        places: list[int] = []
        unsure = False
        with recording_into(fresh):
            for at, node, item in self.order:
                view, op = self.views[at[0]], node.op
                assert op is not None
                start = fresh.node.end
                leaf = op.prim is INPUT or (item.kind == "outside" and not self.whole)
                if leaf or op.prim is READ:
                    outs: Any = tuple([_entry(fresh, s.shape, s.dtype) for s in node.specs])
                    if op.prim is INPUT:
                        known[start] = view.raw(at[1])
                        unsure = unsure or view.trace is None
                    elif op.prim is READ:
                        known[start] = env[at[0], node.args[0]]
                else:
                    xs = [env[self._resolved(at[0], a)] for a in node.args]
                    outs = record(op, *xs)
                    outs = outs if outs.__class__ is tuple else (outs,)
                    closure = view.trace.closures.get(node.idx) if view.trace is not None else None
                    if closure is not None:
                        fresh.add("closures", outs[0]._idx, closure)
                    if view.inside(node.idx):
                        spans.append((start, fresh.node.end))
                if leaf and op.prim is not INPUT and view.trace is not None:
                    known.update({start + k: _outside(view, node.idx + k) for k in range(len(outs))})
                for k, out in enumerate(outs):
                    env[at[0], node.idx + k] = out
                if item.watched:
                    roots += [(fresh, out._idx) for out in outs if _derive.is_differentiable(out._spec)]
                places.append(outs[0]._idx)
            forward = fresh.node
            marks = _derive.dependent([(fresh, spans)], roots, False)[fresh]
            grads = self._pull(fresh, spans, roots, [env[self._resolved(*e)] for e in ends], env, places, marks)
        _graph._COUNT[0] = count
        values = _run(fresh, known, set(places) | {g for g in grads if g is not None})
        if unsure and not self._confirmed(ends, env, values):
            values = {}
        for place, grad, (_, _, item) in zip(places, grads, self.order):
            item.value = values.get(place)
            item.grad = values.get(grad) if grad is not None else None
            of = fresh.nodes()[place]
            item.flows = [a in marks and place in marks for a in of.args] if of.idx < forward.end and of.args else [
                False] * len(item.inputs)

    def _resolved(self, n: int, idx: int) -> At:
        """The place whose replayed tensor stands for this one."""
        item = self.at[n, idx]
        at, node, _ = self.order[item]
        shift = idx - self.views[n].nodes[idx].idx
        if self.views[n].nodes[idx].op.prim is INPUT and at != (n, idx):  # type: ignore[union-attr]
            earlier = self._earlier(n, idx)
            return earlier if earlier is not None and earlier[0] == at[0] else (at[0], node.idx)
        return at[0], node.idx + shift

    @staticmethod
    def _pull(fresh: Trace, spans: list[tuple[int, int]], roots: list[Any], targets: list[Tensor], env: dict[At, Tensor],
              places: list[int], marks: set[int]) -> list[int | None]:
        """The places of the cotangents, one an item."""
        targets = [t for t in targets if _derive.is_differentiable(t._spec)]
        by_place = {t._idx: t for t in env.values()}
        try:
            wanted = [p for p in places if p in marks]
            found = _derive.reverse_sweep([(fresh, spans)], roots, targets, [ones_of(t._spec) for t in targets],
                                          [by_place[p] for p in wanted])
        except Exception:                                # a record without a derivative is drawn without cotangents
            return [None] * len(places)
        grads = {p: g._idx for p, g in zip(wanted, found) if g is not None}
        return [grads.get(p) for p in places]

    def _confirmed(self, ends: list[At], env: dict[At, Tensor], values: dict[int, Any]) -> bool:
        """Whether the values recomputed from what still lives are those of then: the targets must come out the same."""
        checked = False
        for t in self.targets:
            at = self.find(t)
            have = getattr(t, "_value", None)
            if at is None or have is None:
                continue
            got = values.get(env[self._resolved(*at)]._idx)
            if got is None or not np.allclose(np.asarray(got, complex), np.asarray(have, complex), 1e-5, 0, equal_nan=True):
                return False
            checked = True
        return checked


def _assigned(text: str) -> str:
    """y, where the line is "y = ..." with one expression; "" where it says something else."""
    found = re.fullmatch(r"(\w+)(?:\s*:\s*[\w.\[\], |]+)?\s*=(?!=)\s*([^\s\[{].*)", text)
    return found[1] if found and ";" not in text and "lambda" not in text and " for " not in text else ""


def _version(view: View, idx: int) -> int:
    """What tells a variable's values at different times apart."""
    value = view.trace.inputs[view.numbers[idx]] if view.trace is not None else None
    return id(value)


def _entry(fresh: Trace, shape: tuple[int, ...], dtype: Any) -> Tensor:
    s = spec(shape, dtype)
    t = handle(fresh, step(fresh, TENSOR_INPUT, (), s).idx, s)
    fresh.inputs.append(None)
    fresh.owners.append(t)
    return t


def _outside(view: View, idx: int) -> Any:
    """The value of something computed before the tape recorded, in the same trace."""
    trace = view.trace
    assert trace is not None
    known: dict[int, Any] = {}
    wanted, stack = set(), [idx]
    while stack:
        node = view.nodes[stack.pop()]
        if node.idx not in wanted:
            wanted.add(node.idx)
            stack.extend(node.args)
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                known[node.idx] = view.raw(node.idx)
    return _run_nodes([view.nodes[k] for k in sorted(wanted)], known).get(idx)


def _run(fresh: Trace, known: dict[int, Any], wanted: set[int]) -> dict[int, Any]:
    table = fresh.nodes()
    for k, value in list(known.items()):
        if isinstance(value, Tensor):                    # a variable that was read after it was assigned
            known[k] = _Same(value._idx)
    for node in fresh.node.path():                       # what a custom gradient brought in from outside
        k = node.idx
        if node.op is not None and node.op.prim is INPUT and known.get(k) is None and fresh.inputs[node.count - 1] is not None:
            value = fresh.inputs[node.count - 1]
            known[k] = np.asarray(value._look() if isinstance(value, Value) else value, table[k].spec.dtype.np)
    needed: set[int] = set()
    stack = list(wanted)
    while stack:
        node = table[stack.pop()]
        if node.idx not in needed:
            needed.add(node.idx)
            stack.extend(node.args)
            value = known.get(node.idx)
            if value.__class__ is _Same:
                stack.append(value.idx)
    return _run_nodes([table[k] for k in sorted(needed)], known)


class _Same:
    """The value of another place."""

    __slots__ = ("idx",)

    def __init__(self, idx: int) -> None:
        self.idx = idx


def _run_nodes(nodes: list[Node], known: dict[int, Any]) -> dict[int, Any]:
    """Values by place; what cannot be computed is left out, with all that needs it."""
    values: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in nodes:
            op = node.op
            assert op is not None
            if node.idx in known or op.prim is INPUT:
                for k in range(node.idx, node.end):
                    value = known.get(k)
                    if value.__class__ is _Same:
                        value = values.get(value.idx)
                    if value is not None:
                        values[k] = value
                continue
            args = [values.get(a) for a in node.args]
            if any(a is None for a in args):
                continue
            try:
                got = op.prim.kernel(*args, **op.params)
            except Exception:                            # the drawing shows what can be shown
                continue
            if node.end - node.idx > 1:
                values.update(zip(range(node.idx, node.end), got))
            else:
                values[node.idx] = got
    return values


def _derivative_of(pulls: Any, idx: int) -> Iterator[Any]:
    for entry in pulls:
        if isinstance(entry, list):
            yield from _derivative_of(entry, idx)
        elif entry[0] <= idx < entry[1]:
            yield entry[2]


def line_of(where: tuple[Any, int]) -> str:
    """file:line of a recorded place."""
    code, offset = where
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return f"{code.co_filename}:{line}"
    return f"{code.co_filename}:{code.co_firstlineno}"

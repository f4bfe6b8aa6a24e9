"""What a tape recorded, as the explanations see it: structure, lines of the user's program, no values."""
from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from typing import Any

from .. import _derive
from .._graph import Node, Op, Spec
from .._tensor import Value, Variable
from .._trace import INPUT, LITERAL, READ, TENSOR_INPUT, Past, Trace, handle, recording_into, remember, step

At = tuple[int, int]                                     # number of a past, place in it
Line = tuple[str, int]                                   # file, line


class Record:
    """The pasts of one tape in order, their nodes, and which places belong to what."""

    def __init__(self, tape: Any, *values: Any) -> None:
        self.tape = tape
        segments, watched = tape._record() if tape._spent is None else tape._spent
        pasts: dict[int, Past] = {}
        for past, _, _ in segments:
            pasts[id(past)] = past
        self.numbers = {key: n for n, key in enumerate(pasts)}
        self.pasts = list(pasts.values())
        for v in values:                                 # what was recorded in the same trace after the tape was used up
            trace = getattr(v, "_trace", None)
            if trace is not None and trace.past is not None and id(trace.past) in pasts:
                remember(trace)
        self.segments = [(self.numbers[id(past)], start, stop) for past, start, stop in segments]
        self.spans: list[list[tuple[int, int]]] = [[] for _ in self.pasts]
        for k, start, stop in self.segments:
            self.spans[k].append((start, stop))
        self.tables = [_table(past.node) for past in self.pasts]
        self.inputs = [[n.idx for n in _nodes(table) if n.op.prim is INPUT] for table in self.tables]  # type: ignore[union-attr]
        self.watched = {(self.numbers[id(past)], idx) for past, idx in watched if id(past) in self.numbers}
        self._lines: list[list[int]] = [sorted(past.lines) for past in self.pasts]

    def nodes(self) -> Iterator[tuple[int, Node]]:
        for k, table in enumerate(self.tables):
            for node in _nodes(table):
                yield k, node

    def node(self, at: At) -> Node:
        return self.tables[at[0]][at[1]]

    def spec(self, at: At) -> Spec:
        node = self.node(at)
        return node.specs[at[1] - node.idx]

    def places(self, value: Any) -> list[At]:
        """Every place of a tensor or variable."""
        found: list[At] = []

        def add(past: Any, idx: int) -> None:
            k = self.numbers.get(id(past))
            if k is not None and idx < len(self.tables[k]) and (k, idx) not in found:
                found.append((k, idx))

        trace = value._trace
        if trace is not None and trace.past is not None and not (trace.closed and isinstance(value, Variable)):
            add(trace.past, value._idx)
        origin = getattr(value, "_origin", None)
        if origin is not None:
            add(*past_of(origin))
        for k, past in enumerate(self.pasts):
            for n, owner in enumerate(past.owners):
                if owner is not None and owner() is value and n < len(self.inputs[k]):
                    add(past, self.inputs[k][n])
            for idx, owner in past.reads.items():
                if owner() is value:
                    add(past, idx)
        return found

    def owner(self, at: At) -> Any:
        """Whose input stands at a place, as far as it is still there."""
        past = self.pasts[at[0]]
        node = self.node(at)
        if node.op.prim is READ:  # type: ignore[union-attr]
            held = past.reads.get(at[1])
        elif node.op.prim is INPUT:  # type: ignore[union-attr]
            n = self.inputs[at[0]].index(at[1])
            held = past.owners[n] if n < len(past.owners) else None
        else:
            return None
        return None if held is None else held()

    def link(self, at: At) -> At | None:
        """Where an input was computed in an earlier part of the record."""
        past = self.pasts[at[0]]
        if self.node(at).op is not TENSOR_INPUT:
            return None
        n = self.inputs[at[0]].index(at[1])
        origin = past.links.get(n)
        if origin is None:
            origin = getattr(self.owner(at), "_origin", None)
        if origin is None:
            return None
        earlier, idx = past_of(origin)
        k = self.numbers.get(id(earlier))
        return None if k is None or k >= at[0] else (k, idx)

    def in_spans(self, at: At) -> bool:
        return any(start <= at[1] < stop for start, stop in self.spans[at[0]])

    def is_root(self, at: At) -> bool:
        return at in self.watched or bool(self.tape._variables and _derive._is_trainable(self.node(at)))

    def line(self, at: At) -> Line | None:
        """The user's line that recorded a place; for an operation of a derivative, the line that asked for it."""
        past = self.pasts[at[0]]
        node = self.node(at)
        where = past.lines.get(node.idx)
        return None if where is None else line_of(where)

    def forward_of(self, at: At) -> tuple[str, Line | None] | None:
        """For an operation of a derivative: the operation it is the derivative of, and its line."""
        return forward_of(self.pasts[at[0]], self.tables[at[0]], at[1])


def past_of(origin: Any) -> tuple[Any, int]:
    """The past and the place that a tensor's origin means; (None, -1) where it is gone."""
    if len(origin) > 2:
        return origin[2](), origin[1]
    trace = origin[0]()
    return (None, -1) if trace is None else (trace.past, origin[1])


def _table(end: Node) -> list[Node]:
    table: list[Node] = []
    for node in end.path():
        table.extend([node] * (node.end - node.idx))
    table.reverse()
    return table


def _nodes(table: list[Node]) -> Iterator[Node]:
    idx = 0
    while idx < len(table):
        yield table[idx]
        idx = table[idx].end


def pulls_of(holder: Any) -> Iterator[tuple[int, int, Any]]:
    """The (start, stop, of what) entries of a trace or past."""
    for entry in holder.pulls:
        if entry.__class__ is list:
            yield from entry
        else:
            yield entry


def forward_of(holder: Any, table: list[Node], idx: int) -> tuple[str, Line | None] | None:
    best = None
    for start, stop, of in pulls_of(holder):
        if start <= idx < stop and (best is None or stop - start < best[1] - best[0]):
            best = (start, stop, of)
    if best is None:
        return None
    of = best[2]
    if of.__class__ is tuple:
        op, where = of
        return op.name, None if where is None else line_of(where)
    node = table[of]
    assert node.op is not None
    where = holder.lines.get(node.idx)
    if where is None:
        deeper = forward_of(holder, table, node.idx)
        if deeper is not None:
            return node.op.name, deeper[1]
    return node.op.name, None if where is None else line_of(where)


# ------------------------------------------------------------------------------------------------------------- the lines

def line_of(where: tuple[Any, int]) -> Line:
    code, offset = where
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return code.co_filename, line
    return code.co_filename, code.co_firstlineno


def shown(line: Line | None, text: bool = True) -> str:
    """file:line, and the text of the line where it can be read."""
    if line is None:
        return "an unknown line"
    path = line[0]
    if os.path.isabs(path):
        near = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        path = near
    source = linecache.getline(*line).strip() if text else ""
    return f"{path}:{line[1]}" + (f" ({source if len(source) <= 70 else source[:67] + '...'})" if source else "")


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def user_frame() -> Any:
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def recording_frame(frame: Any, record: Record) -> Any:
    """The frame, of those that call, whose code was recorded: its names are the ones to speak of."""
    codes = {code for past in record.pasts for code, _ in past.lines.values()}
    outer = frame
    while outer is not None:
        if outer.f_code in codes:
            return outer
        outer = outer.f_back
    return frame


def name_in(frame: Any, value: Any, otherwise: str) -> str:
    """What the user's program calls a value."""
    for names in (frame.f_locals, frame.f_globals) if frame is not None else ():
        for name, held in list(names.items()):
            if held is value and not name.startswith("_"):
                return str(name)
    for names in (frame.f_locals, frame.f_globals) if frame is not None else ():
        for name, held in list(names.items()):
            if name.startswith("_"):
                continue
            if isinstance(held, (list, tuple)) and len(held) < 1000:
                for k, v in enumerate(held):
                    if v is value:
                        return f"{name}[{k}]"
            elif isinstance(held, dict) and len(held) < 1000 and held is not names:
                for k, v in held.items():
                    if v is value:
                        return f"{name}[{k!r}]"
    return str(value.name) if isinstance(value, Variable) else otherwise


# --------------------------------------------------------------------------------------------- where derivatives pass on

_FLOWS: dict[Any, tuple[bool, ...]] = {}


def flows(node: Node, specs: tuple[Spec, ...]) -> tuple[bool, ...]:
    """For each input of an operation whether its derivative rule passes anything on to it."""
    op = node.op
    assert op is not None
    key = (op, specs)
    found = _FLOWS.get(key)
    if found is None:
        found = _FLOWS[key] = _probe(op, specs, node.specs, node.spec.__class__ is tuple)
    return found


def _probe(op: Op, in_specs: tuple[Spec, ...], out_specs: tuple[Spec, ...], several: bool) -> tuple[bool, ...]:
    prim = op.prim
    kinds = [s.dtype.kind in "fc" for s in in_specs]
    if not prim.differentiable or not any(s.dtype.kind in "fc" for s in out_specs):
        return (False,) * len(in_specs)
    if prim.name == "custom_call":
        return tuple(kinds)
    scratch = Trace(scratch=True)

    def fake(s: Spec) -> Any:
        idx = step(scratch, TENSOR_INPUT, (), s).idx
        t = handle(scratch, idx, s)
        scratch.inputs.append(None)
        scratch.owners.append(t)
        return t

    with recording_into(scratch):
        xs, outs, gs = (tuple([fake(s) for s in group]) for group in (in_specs, out_specs, out_specs))
        try:
            pulled = _derive.pull(op, gs if several else gs[0], outs if several else outs[0], xs, [True] * len(xs))
        except Exception:                                # a rule that wants more than stand-ins
            return tuple(kinds)
    scratch.closed = True
    scratch.forget()
    return tuple(k and p is not None for k, p in zip(kinds, pulled))


def is_constant_input(node: Node) -> bool:
    """An input without an owner that derivatives know: a scalar, a literal, a tensor."""
    op = node.op
    assert op is not None
    return op.prim is LITERAL or (op.prim is INPUT and op.params["kind"] in ("tensor", "scalar"))


def is_value(x: Any) -> bool:
    return isinstance(x, Value)

"""A derivative written out, operation by operation, with the numbers."""
from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from .. import _derive
from .._errors import DtypeError, complain
from .._graph import Node
from .._tensor import Tensor
from .._trace import INPUT, LITERAL, READ, Trace, local, undo
from ..primitives.creation import ones_of
from ._explain import explain
from ._record import At, Record, is_value, name_in, recording_frame, shown, user_frame
from ._values import computed, traces_of, values_of


class Derivation:
    """A derivative written out; ``str()`` shows it.

    forward   (name, operation, inputs, value, line) of what leads from source to target, in order
    backward  (name, value, steps): the derivative by each of these, the target's first, with the operations that gave it
    result    the derivative by the source, or None
    """

    __slots__ = ("backward", "forward", "heads", "result", "source", "target", "why")

    def __init__(self, target: str, source: str) -> None:
        self.target, self.source = target, source
        self.forward: list[tuple[str, str, list[str], Any, Any]] = []
        self.backward: list[tuple[str, Any, list[str]]] = []
        self.result: Any = None
        self.why = ""

    def __str__(self) -> str:
        if self.why:
            return self.why
        rows = ["forward"]
        width = max((len(name) for name, *_ in self.forward), default=1)
        for name, op, inputs, value, line in self.forward:
            where = f"    {shown(line)}" if line else ""
            rows.append(f"  {name:<{width}} = {op}({', '.join(inputs)}) = {number(value)}{where}")
        rows.append("backward")
        for name, value, steps in self.backward:
            rows.append(f"  d {self.target}/d {name} = {number(value)}")
            rows += [f"      {step}" for step in steps]
        return "\n".join(rows)

    __repr__ = __str__


def number(value: Any) -> str:
    """A value, shortened where it is long."""
    if value is None:
        return "(not kept)"
    a = np.asarray(value)
    if a.size > 12:
        if a.dtype.kind not in "f":
            return f"{a.dtype.name}{list(a.shape)}"
        return f"{a.dtype.name}{list(a.shape)} mean {a.mean():.5g}, from {a.min():.5g} to {a.max():.5g}"
    if a.ndim == 0:
        return f"{a[()]:.7g}" if a.dtype.kind in "fc" else str(a[()])
    text = np.array2string(a, separator=", ", precision=6, max_line_width=10_000)
    return " ".join(text.split()).replace("[ ", "[").replace(" ]", "]")


def derivation(tape: Any, target: Any, source: Any) -> Derivation:
    """The derivative of ``target`` by ``source``, written out; the tape must be persistent or not used yet."""
    for label, t in (("the target", target), ("the source", source)):
        if not is_value(t):
            raise TypeError(complain("GradientTape.derivation", label, "a tensor or variable", f"{t!r:.60}"))
        if t._spec.dtype.kind not in "fc":
            raise DtypeError(complain("GradientTape.derivation", label, "floating or complex", t._spec.dtype.name))
    record = Record(tape, target, source)
    frame = recording_frame(user_frame(), record)
    traces = traces_of(tape, record)
    found = Derivation(name_in(frame, target, "target"), name_in(frame, source, "source"))
    why = explain(tape, target, source, frame)
    if not why.connected:
        found.why = str(why)
        return found
    starts, ends = record.places(source), record.places(target)
    between = _between(record, starts, ends)
    names = _names(record, frame, between)
    for at in starts:
        names[at] = found.source
    for at in ends:
        names[at] = found.target
    order = [at for at in between if record.node(at).op.prim not in (INPUT, READ)]  # type: ignore[union-attr]
    inputs = {(at[0], a) for at in order for a in record.node(at).args}
    values = values_of(traces, {*between, *inputs})
    for at in order:
        node = record.node(at)
        shown_inputs = [_call_name(record, names, (at[0], a), values) for a in node.args]
        found.forward.append((names[at], node.op.name, shown_inputs, values.get(at), record.line(at)))  # type: ignore[union-attr]
    _go_back(tape, target, record, traces, between, names, found)
    return found


def _between(record: Record, starts: list[At], ends: list[At]) -> list[At]:
    """The places on paths from source to target, in order."""
    below: set[At] = set(starts)
    for k, node in record.nodes():
        at = (k, node.idx)
        link = record.link(at) if node.op.prim is INPUT else None  # type: ignore[union-attr]
        if link in below or any((k, a) in below for a in node.args):
            below.update((k, node.idx + n) for n in range(node.end - node.idx))
    above: set[At] = set()
    stack = [at for at in ends if at in below]
    while stack:
        at = stack.pop()
        if at in above:
            continue
        above.add(at)
        stack += [(at[0], a) for a in record.node(at).args if (at[0], a) in below]
        link = record.link(at)
        if link is not None and link in below:
            stack.append(link)
    return sorted(above)


def _names(record: Record, frame: Any, places: list[At]) -> dict[At, str]:
    """What the program calls the results, else h1, h2, ..."""
    names: dict[At, str] = {}
    for space in (frame.f_globals, frame.f_locals) if frame is not None else ():
        for name, held in list(space.items()):
            if is_value(held) and not name.startswith("_"):
                for at in record.places(held):
                    names[at] = str(name)
    taken, n = set(names.values()), 0
    for at in places:
        if at not in names:
            n += 1
            while f"h{n}" in taken:
                n += 1
            names[at] = f"h{n}"
    return names


def _call_name(record: Record, names: dict[At, str], at: At, values: dict[At, Any]) -> str:
    name = names.get(at)
    if name is None:
        owner = record.owner(at)
        name = getattr(owner, "name", None) if owner is not None else None
    value = values.get(at)
    if name is None:
        return number(value) if value is not None and value.size <= 4 else f"{record.spec(at)}"
    return str(name)


def _go_back(tape: Any, target: Any, record: Record, traces: list[Trace], between: list[At], names: dict[At, str],
             found: Derivation) -> None:
    trace = local.trace
    start, given, pulls = trace.node, len(trace.handles), len(trace.pulls)
    pinned, trace.pinned = trace.pinned, True
    try:
        places = list(between)
        grads = _derive.reverse_sweep(tape._spans(), tape._watched, [target], [ones_of(target._spec)],
                                      [_at(traces[k], idx, record.spec((k, idx))) for k, idx in places], tape._variables)
        here = {at: g for at, g in zip(places, grads) if g is not None}
        table = trace.nodes()
        entries = list(trace.pulls[pulls:])
        fresh = range(start.end, trace.node.end)
        wanted = {g._idx for g in here.values() if g._trace is trace} | {
            i for i in fresh if table[i].op.prim is not INPUT}  # type: ignore[union-attr]
        wanted |= {a for i in fresh for a in table[i].args}
        values = computed(trace, wanted)
        labels = {g._idx: f"d{names[at]}" for at, g in reversed(list(here.items())) if g._trace is trace}
        for (k, idx), name in names.items():
            if traces[k] is trace:
                labels.setdefault(idx, name)
        steps_of: dict[int, list[str]] = {}
        for begin, stop, _ in entries:
            for i in range(begin, stop):
                node = table[i]
                if node.idx == i and node.op.prim not in (INPUT, LITERAL):  # type: ignore[union-attr]
                    steps_of[i] = [_written(node, table, labels, values)]
        ends = set(record.places(target))
        for at in reversed(places):
            g = here.get(at)
            if g is None or (at not in ends and names[at] == found.target):
                continue
            value = values.get(g._idx) if g._trace is trace else np.asarray(g._look())
            found.backward.append((names[at], value, _leading(g._idx, table, start.end, labels, steps_of)))
            if names[at] == found.source:
                found.result = value if found.result is None else found.result + value
    finally:
        if local.trace is trace:
            undo(trace, start, given)
            del trace.pulls[pulls:]
        trace.pinned = pinned


def _at(trace: Trace, idx: int, s: Any) -> Tensor:
    """A stand-in for the value at a place, which the sweep can find."""
    t = Tensor.__new__(Tensor)
    if trace.closed:
        t._trace, t._idx, t._spec = None, 0, s
        t._origin = (ref(trace), idx)
        t._value = None
    else:
        t._trace, t._idx, t._spec, t._value = trace, idx, s, None
    return t


def _leading(idx: int, table: list[Node], begin: int, labels: dict[int, str], steps_of: dict[int, list[str]]) -> list[str]:
    """The operations of the derivative since the last one that has a name of its own."""
    rows: list[tuple[int, str]] = []
    stack, seen = [idx], set()
    while stack:
        i = stack.pop()
        if i in seen or i < begin:
            continue
        seen.add(i)
        rows += [(i, row) for row in steps_of.get(i, [])]
        stack += [a for a in table[i].args if not labels.get(a, "").startswith("d")]
    return [row for _, row in sorted(rows)]


def _written(node: Node, table: list[Node], labels: dict[int, str], values: dict[int, Any]) -> str:
    op = node.op
    assert op is not None

    def one(a: int) -> str:
        if a in labels:
            return labels[a]
        return number(values[a]) if a in values and values[a].size <= 12 else f"{table[a].specs[0]}"

    name = labels.get(node.idx)
    head = f"{name} = " if name else ""
    params = [f"{k}={v}" for k, v in op.params.items() if k in ("axes", "axis", "shape", "n")]
    return f"{head}{op.name}({', '.join([*map(one, node.args), *params])}) = {number(values.get(node.idx))}"

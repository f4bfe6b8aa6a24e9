"""Records that go across several traces, told by their structure: so that what was worked out for one is found again.

When a value is looked at while a tape records, the program ends there and another begins. The record is then several programs
and the tensors that connect them. Its structure is the nodes where they end, the places that were recorded and watched, and which
input is which: the same owner again, a result of an earlier program, or something that stands in the current program too.
"""
from __future__ import annotations

from typing import Any

from ._graph import INPUT
from ._tensor import Tensor
from ._trace import Trace, tensor_at

__all__ = ["Entered", "enter_again", "entered_since", "structure"]

_MOST = 5000                                             # inputs and values beyond which looking takes longer than it saves


def structure(segments: list[Any], watched: list[Any], here: Trace, values: Any = ()) -> tuple[Any, ...] | None:
    """A key for the record of a tape as seen from ``here``, with the places of ``values`` in it; None where there is none."""
    ids: dict[int, int] = {}
    number: dict[int, int] = {}
    key: list[Any] = []

    def origin(x: Any) -> None:
        of: Any = getattr(x, "_origin", None)
        trace = None if of is None else of[0]()
        k = -1 if trace is None else number.get(id(trace), -1)
        key.append(k)
        if k >= 0:
            key.append(of[1])

    for trace, start, stop in segments:
        k = number.get(id(trace))
        if k is None:
            if trace.closures or trace.captures or trace.reads or not (trace is here or trace.closed):
                return None
            owners, kept = trace.owners, trace.kept
            if len(owners) + len(kept) > _MOST:
                return None
            k = len(number)
            if trace is not here:
                key += trace.node, tuple(kept)
                key += [t._idx if t._trace is here else -1 for t in kept.values()]
            for o in owners:
                if o is None:
                    key.append(None)
                    continue
                key.append(ids.setdefault(id(o), len(ids)))
                if trace is not here:
                    key.append(o._idx if o._trace is here else -1)
                if o.__class__ is Tensor:
                    origin(o)
            number[id(trace)] = k
        key += k, start, trace.node.end if stop is None else stop
    for trace, idx in watched:
        k = number.get(id(trace))
        if k is None:
            return None
        key += k, idx
    key.append(None)
    for x in values:
        key += ids.get(id(x), -1), x._idx if x._trace is here else -1
        origin(x)
    return tuple(key)


Entered = tuple[Any, ...]                                # (place, trace's number, place there) or (place, None, a Python number)


def entered_since(here: Trace, count: int, end: int, segments: list[Any]) -> list[Entered] | None:
    """How the inputs from number ``count`` on, whose places are from ``end`` on, came from the closed traces of a record."""
    closed = {id(trace): trace for trace, _, _ in segments if trace is not here}
    known = {id(t): (n, idx) for n, trace in enumerate(closed.values()) for idx, t in trace.kept.items()}
    for n, trace in enumerate(closed.values()):
        for node in trace.nodes():
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                owner = trace.owners[node.count - 1]
                if owner.__class__ is Tensor:
                    known.setdefault(id(owner), (n, node.idx))
    table = here.nodes()
    places = [idx for idx in range(end, len(table)) if table[idx].op.prim is INPUT]  # type: ignore[union-attr]
    found: list[Entered] = []
    for idx, value, owner in zip(places, here.inputs[count:], here.owners[count:]):
        if owner is None:
            found.append((idx, None, value))
        elif id(owner) in known and owner._trace is here:
            found.append((idx, *known[id(owner)]))
        else:
            return None
    return found


def enter_again(here: Trace, rows: list[Entered], segments: list[Any]) -> None:
    """Enter what entered when the same structure was met before; the node is moved by the caller."""
    closed = list({id(trace): trace for trace, _, _ in segments if trace is not here}.values())
    count = here.node.count
    del here.inputs[count:], here.owners[count:]         # what an interruption may have left
    for idx, n, at in rows:
        if n is None:
            here.inputs.append(at)
            here.owners.append(None)
            continue
        t = tensor_at(closed[n], at)
        t._trace, t._idx = None, idx                     # in this order: another thread may look
        t._trace = here
        here.inputs.append(t._value)
        here.owners.append(t)
        if t._spec.nbytes > 4096:
            here.held += t._spec.nbytes

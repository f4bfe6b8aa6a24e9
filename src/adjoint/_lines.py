"""The lines of the user's program that recorded what, and what is left of a trace for explanations.

Where an operation was recorded first, its node keeps the line; a trace notes only where it differs, and between which
places lines were noted at all.
"""
from __future__ import annotations

import os
import sys
from bisect import bisect_right
from typing import TYPE_CHECKING, Any
from weakref import ref

from ._graph import NOTHING, Node

if TYPE_CHECKING:
    from ._trace import Trace

Line = tuple[Any, int]                                   # a code object and an offset in it

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_getframe = sys._getframe


class _Files(dict[str, bool]):
    """File name -> whether it is adjoint's own."""

    def __missing__(self, name: str) -> bool:
        if len(self) > 20_000:
            for other in [other for other, own in self.items() if not own]:
                del self[other]
        own = self[name] = name.startswith(_PACKAGE)
        return own


_OWN = _Files()


def user_line(depth: int = 2) -> tuple[Any, int]:
    """Code object and offset of the innermost frame outside adjoint."""
    frame: Any = _getframe(depth)
    code = frame.f_code
    while _OWN[code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    return code, frame.f_lasti


def note(trace: Trace, node: Node) -> None:
    """Note the user's line for ``node``: at the node itself, or in the trace where the node has another."""
    frame: Any = _getframe(2)
    code = frame.f_code
    while _OWN[code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
        code = frame.f_code
    off = frame.f_lasti
    if node.code is None:
        node.off, node.code = off, code
    elif node.code is not code:
        trace.where[node.idx] = code, off  # type: ignore[index]
    elif node.off != off:
        if line_of((code, off)) == line_of((code, node.off)):
            node.off = off                               # Python specialises a call after some runs, and stands elsewhere then
        else:
            trace.where[node.idx] = code, off  # type: ignore[index]


def jump(trace: Trace, node: Node, line: tuple[Any, int] | None = None) -> None:
    """Move to where a piece that was recorded before from here ended; its operations get one line."""
    if trace.where is not None:
        trace.noted += trace.node.end, node.end
        if node is not trace.node:
            trace.where[node.idx] = line or user_line(3)
    trace.node = node


def line_of(where: tuple[Any, int]) -> str:
    """file:line of what ``user_line`` gave."""
    code, offset = where
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return f"{code.co_filename}:{line}"
    return f"{code.co_filename}:{code.co_firstlineno}"


def lines_between(node: Node, written: dict[int, tuple[Any, int]], noted: list[int]) -> dict[int, Line]:
    """Place -> code and offset of the user's line, of a path that ends at ``node``."""
    found: dict[int, tuple[Any, int]] = {}
    if noted:
        path = list(node.path())
        path.reverse()
        k = 0
        for n in path:
            while k < len(noted) and noted[k] <= n.idx:
                k += 1
            if k % 2 and n.code is not None:
                found[n.idx] = n.code, n.off
    found.update(written)
    return found


def line_at(trace: Trace, node: Node) -> tuple[Any, int] | None:
    """Code and offset of the user's line that recorded a node of the trace, if it was noted."""
    found = trace.written.get(node.idx)
    if found is None and node.code is not None and bisect_right(trace.noted, node.idx) % 2:
        return node.code, node.off
    return found


class Past:
    """What remains of a trace for explanations when its values are let go: structure, lines, and weakly whose the inputs were.

    It is filled when the trace is settled, or when it is asked before.
    """

    __slots__ = ("__weakref__", "_node", "_of", "_owners", "_reads", "assigned", "grads", "links", "noted", "pulls",
                 "written")
    _node: Node
    _owners: list[Any]
    _reads: dict[int, Any]

    def __init__(self, trace: Trace) -> None:
        if trace.written is NOTHING:
            trace.written = {}
        self.written, self.noted, self.pulls, self.grads = trace.written, trace.noted, trace.pulls, trace.grads
        self.assigned: list[tuple[int, Any]] = []        # place -> the variable it was assigned to
        self.links: dict[int, Any] = {}                  # number of an input -> its origin in an earlier trace
        self._of = ref(trace)
        if trace.closed:
            self.fill(trace)

    def fill(self, trace: Trace) -> None:
        self._node = trace.node
        self._owners = [o if o is None else ref(o) for o in trace.owners]
        self._reads = {k: ref(v) for k, v in trace.reads.items()}

    def _now(self) -> None:
        trace = self._of()
        if trace is not None and not trace.closed:
            self.fill(trace)

    @property
    def node(self) -> Node:
        self._now()
        return self._node

    @property
    def lines(self) -> dict[int, tuple[Any, int]]:
        """Place -> (code, offset) of the user's line."""
        return lines_between(self.node, self.written, self.noted)

    @property
    def owners(self) -> list[Any]:
        self._now()
        return self._owners

    @property
    def reads(self) -> dict[int, Any]:
        self._now()
        return self._reads


def remember(trace: Trace) -> Past:
    """The trace's Past."""
    past = trace.past
    if past is None:
        past = trace.past = Past(trace)
    return past

"""Recording: where a thread stands in the graph, and the few lines that every operation runs through.

A Trace is one pending program: the node where its path ends, the values of its inputs and the handles given out. It is
settled when somebody looks at a value; then the thread starts a new one.
"""
from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import numpy as np

from . import _graph
from ._config import config
from ._dtypes import DType
from ._errors import AdjointError
from ._graph import INPUT as INPUT
from ._graph import NOTHING, ROOT, Node, Op, Primitive, Spec, spec
from ._lines import _PACKAGE as _PACKAGE
from ._lines import Past as Past
from ._lines import jump as jump
from ._lines import line_at as line_at
from ._lines import line_of as line_of
from ._lines import lines_between, note
from ._lines import remember as remember
from ._lines import user_line as user_line

if TYPE_CHECKING:
    from ._collector import Patience
    from ._tensor import Tensor


# ---------------------------------------------------------------------------------------------------------------------
# Places that are not operations: inputs, Python scalars, literals and reads of an assigned variable.

LITERAL = Primitive("literal", lambda value, dtype: spec((), dtype), lambda value, dtype: np.asarray(value, dtype.np))
TENSOR_INPUT = INPUT.op(kind="tensor")
VARIABLE_INPUT = INPUT.op(kind="variable")
FROZEN_INPUT = INPUT.op(kind="frozen")
SCALAR_INPUT = INPUT.op(kind="scalar")
DRAW_INPUT = INPUT.op(kind="draw")                       # where random numbers start: each use enters anew
READ = Primitive("read", lambda x, trainable: x, lambda x, trainable: x)
READS = {trainable: READ.op(trainable=trainable) for trainable in (False, True)}

_LITERAL_INTS = frozenset(range(-4, 17))
_LITERAL_FLOATS = frozenset({1.0, -1.0, 2.0, -2.0, 3.0, 4.0, 0.5, -0.5, 0.25, 10.0})


class Trace:
    """A pending program of one thread (or, while a function is traced, of that function)."""

    __slots__ = (
        "__weakref__", "assigned", "captures", "closed", "closures", "failures", "fast", "grads", "handles", "held", "inputs",
        "kept", "long", "node", "noted", "owners", "past", "patience", "pinned", "pulls", "reads", "scalars",
        "scratch", "table", "tapes", "where", "written",
    )

    def __init__(self, scratch: bool = False, fast: bool = False) -> None:
        self.node: Node = ROOT
        self.inputs: list[Any] = []                      # raw values of the inputs, in order
        self.owners: list[Any] = []                      # whose they are: a Tensor, a Variable, or None (a scalar)
        self.handles: list[Tensor] = []                  # the tensors given out
        self.assigned: list[Any] = []                    # variables whose new value is pending here
        self.tapes: list[Any] = []                       # tapes that recorded here
        self.pulls: list[Any] = []                       # (start, stop, what it is the derivative of), or lists of these
        self.grads: list[Any] = []                       # gradients that were taken while another tape recorded
        self.noted: list[int] = []                       # places from which on lines are noted, not noted, noted, ...
        self.table: list[Node] = []                      # place -> node, filled when asked
        self.where: dict[int, tuple[Any, int]] | None = None   # while lines are noted: ``written``
        self.past: Past | None = None                    # what is left of this trace for explanations
        self.held = 0                                    # bytes of the larger inputs
        self.scratch, self.fast = scratch, fast
        self.closed = self.pinned = self.long = False    # long: whether the program before it was
        self.patience: Patience | None = None            # while the garbage collector waits for it
        # Dictionaries that most programs have nothing for; one is made when something is added.
        empty: Any = NOTHING
        self.written: dict[int, tuple[Any, int]] = empty   # place -> (code, offset) where its node says something else
        self.scalars: dict[int, tuple[int, Any, Spec]] = empty   # id of a Python number -> its place, itself, its spec
        self.closures: dict[int, Any] = empty            # place -> the gradient function of a custom_gradient
        self.reads: dict[int, Any] = empty               # place of a read -> the variable
        self.captures: dict[int, int] = empty            # id(owner) -> place, where the owner can't remember it
        self.kept: dict[int, Tensor] = empty             # after settling: place -> tensor, for tapes
        self.failures: dict[int, BaseException] = empty  # place -> why it could not be computed

    def forget(self) -> None:
        """Let go of everything (nobody will differentiate this program any more)."""
        gone: Any = ()
        self.inputs = self.owners = self.handles = self.assigned = self.tapes = self.table = gone
        self.captures = self.reads = self.closures = self.scalars = NOTHING
        self.where = None

    def add(self, name: str, key: int, value: Any) -> None:
        """Put something into one of the dictionaries."""
        entries = getattr(self, name)
        if entries is NOTHING:
            entries = {}
            setattr(self, name, entries)
        entries[key] = value

    def note_lines(self, on: bool) -> None:
        """Note the user's line for each operation from here on, or stop it."""
        if on is (self.where is None):
            self.noted.append(self.node.end)
            if on and self.written is NOTHING:
                self.written = {}
            self.where = self.written if on else None

    @property
    def lines(self) -> dict[int, tuple[Any, int]]:
        """Place -> (code, offset) of the user's line."""
        return lines_between(self.node, self.written, self.noted)

    def nodes(self) -> list[Node]:
        """Place -> node for the whole path (a node with several results stands at each of its places)."""
        table, node = self.table, self.node
        missing = node.end - len(table)
        if missing:
            fresh = [node]
            if node.end - node.idx != missing:
                stop = table[-1] if table else None
                fresh = list(node.path(stop))
                fresh.reverse()
            for node in fresh:
                table.extend([node] * (node.end - node.idx))
        return table


ELSEWHERE: tuple[Any, int] = (lambda: None, -1)          # the origin of what was computed while no tape recorded


class _Local(threading.local):
    """What a thread records into."""

    trace: Trace
    tapes: list[Any]

    def __init__(self) -> None:
        self.trace = Trace(fast=threading.get_ident() == threading.main_thread().ident)
        self.tapes = []


local = _Local()
taped: WeakSet[Trace] = WeakSet()                        # settled traces that a tape holds


class _Hooks:
    """What higher layers put in: how values are computed, and how foreign values become tensors."""

    settle: Callable[[Trace], None]
    evaluate: Callable[[Any], Any]
    convert: Callable[..., Any]
    convert_pair: Callable[..., tuple[Any, Any]]
    read: Callable[[Any], Any]
    stack: Callable[..., Any]
    pull_back: Callable[..., list[Any]]                  # (rule, g, xs): the cotangents of xs through what rule(*xs) records
    live: Callable[[list[Any]], list[Any]]               # those of a list of tensors that something outside of it refers to
    record: Callable[..., Any] | None = None             # what ``record`` asks first, where there is native code; None: go on
    enter: Callable[[Trace, Any], int | None] | None = None           # what ``enter`` asks first
    tensors: Callable[[Trace, Any], list[Any] | None] | None = None   # the same for tensors at (place, spec)s
    reuse: Callable[[list[Any]], None]                   # called with the tensors of a settled program: they may be used again
    inspector: Callable[[], Any]                         # the module that explains, loaded when asked

    def __init__(self) -> None:
        self.check: Callable[[Trace, Any], tuple[list[Any], BaseException | None]] | None = None   # runs a plan, looking for NaN
        self.lost: tuple[Any, ...] | None = None         # weakly: tape, target and sources of the last gradient with a None

    @staticmethod
    def guard_numpy(value: Any) -> None:
        """Called before a value leaves for NumPy; the tape refuses where that would cut a gradient silently."""

    @staticmethod
    def looked(value: Any, how: str, out: Any) -> None:
        """Called when a value has left for NumPy or Python while a tape recorded."""

    def why_none(self, variable: Any) -> str:
        """One sentence on why the last gradient that was None for ``variable`` was; "" where no tape is known."""
        lost = self.lost
        if lost is None:
            return ""
        try:
            return str(self.inspector().why_none(lost, variable))
        except Exception:                                # an explanation must not hide the error it is part of
            return ""


hooks = _Hooks()


# ---------------------------------------------------------------------------------------------------------------------
# Growing the path.

def step(trace: Trace, op: Op, args: tuple[int, ...], out: Any) -> Node:
    """Move ``trace`` to the node that follows for this use of ``op``, made when it is new."""
    here = trace.node
    node = here.after(op, args, out if op.prim is INPUT else None) or here.grow(op, args, out)
    trace.node = node
    return node


def bring(trace: Trace, op: Op, out: Spec, value: Any) -> int:
    """The place of a new input that belongs to nobody."""
    here = trace.node
    node = here.after(op, (), out) or here.grow(op, (), out)
    give(trace, node, (value,), (None,))
    trace.node = node
    return node.idx


def give(trace: Trace, node: Node, values: Sequence[Any], owners: Sequence[Any]) -> None:
    """Hand over the last inputs on the way to ``node``, before the trace moves there: who interrupts that leaves nothing that
    counts, since inputs have their number from the node."""
    at = node.count - len(values)
    trace.inputs[at:] = values
    trace.owners[at:] = owners


def enter(trace: Trace, x: Any) -> int:
    """The place of ``x`` (a Tensor or a Variable) in ``trace``, which it enters as an input when it is not there."""
    if hooks.enter is not None:
        known = hooks.enter(trace, x)
        if known is not None:
            return known
    if trace.captures:
        known = trace.captures.get(id(x))
        if known is not None:
            return known
    cls = x.__class__
    if cls is _CLASSES[1] and x._pending is None and not trace.scratch:
        op, value = VARIABLE_INPUT if x.trainable else FROZEN_INPUT, x._value
    elif cls is _CLASSES[0] and x._value is not None:
        op, value = TENSOR_INPUT, x._value
    else:
        op, value = x._input(trace)
        if value is None:                                # a variable whose new value is pending in this very trace
            at = x._pending._idx
            node = step(trace, op, (at,), x._spec)
            trace.add("reads", node.idx, x)
            return _found(trace, x, op, node.idx)
    here, out = trace.node, x._spec
    node = here.hint
    if node.op is not op or node.spec is not out:
        node = here.after(op, (), out) or here.grow(op, (), out)
    at = node.count - 1
    trace.inputs[at:] = value,
    trace.owners[at:] = x,
    trace.node = node
    if out.nbytes > 4096:
        trace.held += out.nbytes
    other = x._trace
    if trace.fast and (other is None or other.closed):
        x._trace = None                                  # in this order: another thread may look
        x._idx = idx = node.idx
        x._trace = trace
        return idx
    return _found(trace, x, op, node.idx)


def _found(trace: Trace, x: Any, op: Op, idx: int) -> int:
    """Remember the place of an owner."""
    if trace.fast and (x._trace is None or x._trace.closed):
        x._trace, x._idx = None, idx
        x._trace = trace
    elif op is not DRAW_INPUT:
        trace.add("captures", id(x), idx)
    return idx


def place(trace: Trace, x: Any) -> int:
    """The place of a Tensor or Variable in ``trace``."""
    return x._idx if x._trace is trace else enter(trace, x)


def scalar(trace: Trace, value: Any, dtype: DType) -> int:
    """The place of a Python scalar: a literal where it is a small round number, else an input."""
    literal = value in (_LITERAL_INTS if value.__class__ in (int, bool) else _LITERAL_FLOATS)
    if literal:
        op = LITERAL.op(value=dtype_value(value, dtype), dtype=dtype)
        return step(trace, op, (), spec((), dtype)).idx
    return bring(trace, SCALAR_INPUT, spec((), dtype), value)


def dtype_value(value: Any, dtype: DType) -> Any:
    """A Python scalar as the Python type of ``dtype``."""
    return {"f": float, "c": complex, "b": bool}.get(dtype.kind, int)(value)


def record(op: Op, *xs: Any) -> Any:
    """One use of ``op`` on tensors and variables: the way everything takes that is not the fast path of an operator."""
    if hooks.record is not None:
        made = hooks.record(op, *xs)
        if made is not None:
            return made
    trace = local.trace
    if len(xs) == 1:
        x = xs[0]
        args: tuple[int, ...] = (x._idx if x._trace is trace else enter(trace, x),)
    elif len(xs) == 2:
        x, y = xs
        args = x._idx if x._trace is trace else enter(trace, x), y._idx if y._trace is trace else enter(trace, y)
    else:
        args = tuple([x._idx if x._trace is trace else enter(trace, x) for x in xs])
    here = trace.node
    node: Any = here.hint
    if node.op is not op or node.args != args:
        node = here.after(op, args)
        if node is None:
            if full(trace):
                return record(op, *xs)
            table = trace.nodes()
            node = here.grow(op, args, op.prim.infer(*[_spec_at(table, i) for i in args], **op.params))
    trace.node = node
    if trace.where is not None:
        note(trace, node)
    out = node.spec
    if out.__class__ is tuple:
        return tuple([handle(trace, node.idx + k, s) for k, s in enumerate(out)])
    t: Any = object.__new__(_CLASSES[0])
    t._trace = trace
    t._idx = node.idx
    t._spec = out
    t._value = None
    trace.handles.append(t)
    return t


def _spec_at(table: list[Node], i: int) -> Spec:
    node = table[i]
    return node.spec[i - node.idx] if node.spec.__class__ is tuple else node.spec


def full(trace: Trace) -> bool:
    """Settle a trace that has grown past its bound; True when the caller has to start again in a new one."""
    if _graph.crowded():
        _graph.forget()
    if trace.node.end < config.pending and trace.held < 1 << 30:
        return False
    if trace.scratch or trace.pinned or trace.node.end == len(trace.inputs):
        return False
    hooks.settle(trace)
    return True


_CLASSES: list[Any] = [None, None]                       # Tensor and Variable, put in by _tensor


def handle(trace: Trace, idx: int, out: Spec) -> Tensor:
    """A new tensor for the result at ``idx``."""
    t: Any = object.__new__(_CLASSES[0])
    t._trace = trace
    t._idx = idx
    t._spec = out
    t._value = None
    trace.handles.append(t)
    return t  # type: ignore[no-any-return]


def tensors_at(trace: Trace, places: tuple[tuple[int, Spec], ...]) -> list[Any]:
    """New tensors for the results at these places."""
    found = None if hooks.tensors is None else hooks.tensors(trace, places)
    return [handle(trace, idx, s) for idx, s in places] if found is None else found


def tensor_at(trace: Trace, idx: int) -> Tensor:
    """The tensor for a place of a trace: an owner, a kept value, or a new handle on a pending result."""
    if trace.closed:
        kept = trace.kept.get(idx)
        if kept is not None:
            return kept
    node = trace.nodes()[idx]
    assert node.op is not None
    if node.op.prim is INPUT:
        at = input_number(trace, idx)
        owner = trace.owners[at]
        if owner is not None and owner.__class__ is _CLASSES[0]:
            return owner
        if trace.closed:                                 # a variable or a scalar as it was then
            then = hooks.convert(trace.inputs[at], node.spec.dtype)
            then._origin = (ref(trace), idx)
            trace.add("kept", idx, then)
            return then  # type: ignore[no-any-return]
    elif trace.closed:
        if node.op.prim is LITERAL:
            then = hooks.convert(node.op.params["value"], node.spec.dtype)
            trace.add("kept", idx, then)
            return then  # type: ignore[no-any-return]
        raise AdjointError(f"the value of {node.op} was not kept when its trace was settled")
    return handle(trace, idx, _spec_at(trace.nodes(), idx))


def origin_of(value: Any) -> tuple[Trace, int] | None:
    """Where a settled tensor was computed, as long as a tape holds that record."""
    origin = getattr(value, "_origin", None)
    if origin is None:
        return None
    trace = origin[0]()
    return None if trace is None else (trace, origin[1])


def input_number(trace: Trace, idx: int) -> int:
    """Which of the trace's inputs stands at ``idx``."""
    return trace.nodes()[idx].count - 1


def undo(trace: Trace, back_to: Node, given: int) -> None:
    """Take back what was recorded after ``back_to``, when ``given`` handles were out."""
    del trace.handles[given:]
    for owner in trace.owners[back_to.count:]:
        if owner is not None:
            trace.captures.pop(id(owner), None)
            if owner._trace is trace:
                owner._trace = None
    del trace.inputs[back_to.count:], trace.owners[back_to.count:]
    del trace.table[back_to.end:]
    for entries in (trace.written, trace.reads, trace.closures):
        for at in [at for at in entries if at >= back_to.end]:
            del entries[at]
    for known in [known for known, entry in trace.scalars.items() if entry[0] >= back_to.end]:
        del trace.scalars[known]
    noted = [at for at in trace.noted if at <= back_to.end]
    if len(noted) % 2 != (trace.where is not None):
        noted.append(back_to.end)
    trace.noted[:] = noted
    trace.node = back_to


# ---------------------------------------------------------------------------------------------------------------------
# Which results somebody still holds.

def live(handles: list[Any]) -> list[Any]:
    """The handles that something outside the list refers to."""
    found = []
    for t in handles:
        if _count(t) > _BASE:
            found.append(t)
    return found


def _counts(handles: list[Any]) -> list[int]:
    """What ``live`` sees: written the same way, since the loop's own references count too."""
    found = []
    for t in handles:
        found.append(_count(t))
    return found


_count: Callable[[Any], int] = getattr(sys, "getrefcount", lambda t: 1)
_BASE = _counts([_Hooks()])[0] if hasattr(sys, "getrefcount") else 0


hooks.live, hooks.reuse = live, list.clear


class recording_into:
    """Record into another trace for the time of a with block (tracing a function, trying a rule)."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> Trace:
        self.before = local.trace, local.tapes
        local.trace, local.tapes = self.trace, []
        return self.trace

    def __exit__(self, *_: object) -> None:
        local.trace, local.tapes = self.before

"""Recording: where a thread stands in the graph, and the few lines that every operation runs through.

A Trace is one pending program: the node where its path ends, the values of its inputs and the handles given out. It is
settled when somebody looks at a value; then the thread starts a new one.
"""
from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakSet, ref

import numpy as np

from . import _graph
from ._config import config
from ._dtypes import DType, weak_dtype
from ._errors import AdjointError, DtypeError
from ._graph import ROOT, Node, Op, Primitive, Spec, spec

if TYPE_CHECKING:
    from ._tensor import Tensor


# ---------------------------------------------------------------------------------------------------------------------
# Places that are not operations: inputs, Python scalars, literals and reads of an assigned variable.

def _no_kernel(*_: Any, **__: Any) -> Any:
    raise AdjointError("an input has no kernel")


INPUT = Primitive("input", lambda **_: None, _no_kernel, pure=False)
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


_NOTHING: dict[Any, Any] = {}                            # never added to


class Trace:
    """A pending program of one thread (or, while a function is traced, of that function)."""

    __slots__ = (
        "__weakref__", "assigned", "captures", "closed", "closures", "failures", "fast", "grads", "handles", "held", "inputs",
        "kept", "lines", "node", "numbers", "owners", "past", "pinned", "pulls", "reads", "scratch", "table", "tapes", "where",
    )

    def __init__(self, scratch: bool = False, fast: bool = False) -> None:
        self.node: Node = ROOT
        self.inputs: list[Any] = []                      # raw values of the inputs, in order
        self.owners: list[Any] = []                      # whose they are: a Tensor, a Variable, or None (a scalar)
        self.handles: list[Tensor] = []                  # the tensors given out
        self.assigned: list[Any] = []                    # variables whose new value is pending here
        self.lines: dict[int, tuple[Any, int]] = {}      # place -> (code, offset) of the user's line
        self.where: dict[int, tuple[Any, int]] | None = None   # the same while lines are noted
        self.pulls: list[Any] = []                       # (start, stop, what it is the derivative of), or lists of these
        self.grads: list[Any] = []                       # gradients that were taken while another tape recorded
        self.past: Past | None = None                    # what is left of this trace for explanations
        self.closures: dict[int, Any] = {}               # place -> the gradient function of a custom_gradient
        self.reads: dict[int, Any] = {}                  # place of a read -> the variable
        self.tapes: list[Any] = []                       # tapes that recorded here
        self.captures: dict[int, int] = {}               # id(owner) -> place, where the owner can't remember it
        self.table: list[Node] = []                      # place -> node, filled when asked
        self.numbers: dict[int, int] = {}                # place of an input -> its number, filled with the table
        self.kept: dict[int, Tensor] = {}                # after settling: place -> tensor, for tapes
        self.failures: dict[int, BaseException] = {}     # place -> why it could not be computed
        self.held = 0                                    # bytes of the inputs
        self.scratch, self.fast = scratch, fast
        self.closed = self.pinned = False

    def forget(self) -> None:
        """Let go of everything (nobody will differentiate this program any more)."""
        gone: Any = ()
        self.inputs = self.owners = self.handles = self.assigned = self.tapes = self.table = gone
        self.captures = self.reads = self.closures = self.numbers = _NOTHING
        self.where = None

    def nodes(self) -> list[Node]:
        """Place -> node for the whole path (a node with several results stands at each of its places)."""
        table = self.table
        if len(table) < self.node.end:
            fresh: list[Node] = []
            stop = table[-1] if table else None
            for node in self.node.path(stop):
                fresh.extend([node] * (node.end - node.idx))
            fresh.reverse()
            table.extend(fresh)
            numbers = self.numbers
            for node in fresh:
                if node.op.prim is INPUT:  # type: ignore[union-attr]
                    numbers[node.idx] = len(numbers)
        return table


class Past:
    """What remains of a trace for explanations when its values are let go: structure, lines, and weakly whose the inputs were.

    It is filled when the trace is settled, or when it is asked before.
    """

    __slots__ = ("__weakref__", "_node", "_of", "_owners", "_reads", "assigned", "grads", "lines", "links", "pulls")
    _node: Node
    _owners: list[Any]
    _reads: dict[int, Any]

    def __init__(self, trace: Trace) -> None:
        self.lines, self.pulls, self.grads = trace.lines, trace.pulls, trace.grads
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


ELSEWHERE: tuple[Any, int] = (lambda: None, -1)          # the origin of what was computed while no tape recorded


class _Local(threading.local):
    """What a thread records into."""

    trace: Trace
    tapes: list[Any]

    def __init__(self) -> None:
        self.trace = Trace(fast=threading.current_thread() is threading.main_thread())
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
    inspector: Callable[[], Any]                         # the module that explains, loaded when asked
    check: Callable[[Trace, Any], tuple[list[Any], BaseException | None]] | None = None   # runs a plan looking for NaN
    lost: tuple[Any, ...] | None = None                  # weakly: tape, target and sources of the last gradient with a None

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


_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_USERS: set[Any] = set()                                 # code objects outside adjoint that were seen
_OWN: set[Any] = set()                                   # and adjoint's own
_getframe = sys._getframe


def user_line(depth: int = 2) -> tuple[Any, int]:
    """Code object and offset of the innermost frame outside adjoint."""
    frame: Any = _getframe(depth)
    code = frame.f_code
    while code not in _USERS:
        if code not in _OWN:
            if code.co_filename.startswith(_PACKAGE):
                _OWN.add(code)
            else:
                if len(_USERS) > 20_000:
                    _USERS.clear()
                _USERS.add(code)
                break
        if frame.f_back is None:
            break
        frame = frame.f_back
        code = frame.f_code
    return code, frame.f_lasti


def line_of(where: tuple[Any, int]) -> str:
    """file:line of what ``user_line`` gave."""
    code, offset = where
    for start, stop, line in code.co_lines():
        if start <= offset < stop and line is not None:
            return f"{code.co_filename}:{line}"
    return f"{code.co_filename}:{code.co_firstlineno}"


# ---------------------------------------------------------------------------------------------------------------------
# Growing the path.

def step(trace: Trace, key: Any, op: Op, args: tuple[int, ...], out: Any) -> Node:
    """Move ``trace`` to the node that follows under ``key``, made when it is new."""
    node = trace.node.next.get(key)
    if node is None:
        node = Node(trace.node, op, args, out)
        trace.node.next[key] = node
    trace.node = node
    return node


def enter(trace: Trace, x: Any) -> int:
    """The place of ``x`` (a Tensor or a Variable) in ``trace``, which it enters as an input when it is not there."""
    if trace.captures:
        known = trace.captures.get(id(x))
        if known is not None:
            return known
    op, value = x._input(trace)
    if value is None:                                    # a variable whose new value is pending in this very trace
        idx = x._pending._idx
        node = step(trace, (op, idx), op, (idx,), x._spec)
        trace.reads[node.idx] = x
    else:
        key = (op, x._spec)
        found = trace.node.next.get(key)
        if found is None:
            found = trace.node.next[key] = Node(trace.node, op, (), x._spec)
        node = trace.node = found
        trace.inputs.append(value)
        trace.owners.append(x)
        trace.held += x._spec.nbytes
    if trace.fast and (x._trace is None or x._trace.closed):
        x._trace, x._idx = None, node.idx
        x._trace = trace
    elif op is not DRAW_INPUT:
        trace.captures[id(x)] = node.idx
    return node.idx


def place(trace: Trace, x: Any) -> int:
    """The place of a Tensor or Variable in ``trace``."""
    return x._idx if x._trace is trace else enter(trace, x)


def scalar(trace: Trace, value: Any, dtype: DType) -> int:
    """The place of a Python scalar: a literal where it is a small round number, else an input."""
    literal = value in (_LITERAL_INTS if value.__class__ in (int, bool) else _LITERAL_FLOATS)
    if literal:
        op = LITERAL.op(value=dtype_value(value, dtype), dtype=dtype)
        return step(trace, op, op, (), spec((), dtype)).idx
    idx = step(trace, (SCALAR_INPUT, dtype), SCALAR_INPUT, (), spec((), dtype)).idx
    trace.inputs.append(value)
    trace.owners.append(None)
    return idx


def dtype_value(value: Any, dtype: DType) -> Any:
    """A Python scalar as the Python type of ``dtype``."""
    return {"f": float, "c": complex, "b": bool}.get(dtype.kind, int)(value)


def record(op: Op, *xs: Any) -> Any:
    """One use of ``op`` on tensors and variables: the way everything takes that is not the fast path of an operator."""
    trace = local.trace
    key = (op, *[x._idx if x._trace is trace else enter(trace, x) for x in xs])
    node = trace.node.next.get(key)
    if node is None:
        if full(trace):
            return record(op, *xs)
        table = trace.nodes()
        idxs: Any = key[1:]
        out = op.prim.infer(*[_spec_at(table, i) for i in idxs], **op.params)
        node = Node(trace.node, op, idxs, out)
        trace.node.next[key] = node
    trace.node = node
    if trace.where is not None:
        trace.where[node.idx] = user_line()
    out = node.spec
    if out.__class__ is tuple:
        return tuple([handle(trace, node.idx + k, s) for k, s in enumerate(out)])
    cls = _TENSOR[0]
    t = cls.__new__(cls)
    t._trace, t._idx, t._spec = trace, node.idx, out
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


_TENSOR: list[Any] = [None]                              # the Tensor class, put in by _tensor


def handle(trace: Trace, idx: int, out: Spec) -> Tensor:
    """A new tensor for the result at ``idx``."""
    cls = _TENSOR[0]
    t = cls.__new__(cls)
    t._trace, t._idx, t._spec = trace, idx, out
    trace.handles.append(t)
    return t


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
        if owner is not None and owner.__class__ is _TENSOR[0]:
            return owner
        if trace.closed:                                 # a variable or a scalar as it was then
            then = hooks.convert(trace.inputs[at], node.spec.dtype)
            then._origin = (ref(trace), idx)
            trace.kept[idx] = then
            return then  # type: ignore[no-any-return]
    elif trace.closed:
        if node.op.prim is LITERAL:
            return hooks.convert(node.op.params["value"], node.spec.dtype)
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
    trace.nodes()
    return trace.numbers[idx]


# ---------------------------------------------------------------------------------------------------------------------
# Fast paths. They are written out, since a call would cost as much as the look-up.

def unary(op: Op, name: str, doc: str) -> Callable[[Any], Any]:
    """A function of one tensor for a primitive without parameters."""

    def function(x: Any) -> Any:
        trace = local.trace
        try:
            i = x._idx if x._trace is trace else enter(trace, x)
            node = trace.node.next[op, i]
        except (AttributeError, KeyError):
            return slow_unary(op, x)
        trace.node = node
        t = new(cls)
        t._trace = trace
        t._idx = node.idx
        t._spec = node.spec
        trace.handles.append(t)
        where = trace.where
        if where is not None:
            frame = _getframe(1)
            code = frame.f_code
            where[node.idx] = (code, frame.f_lasti) if code in _USERS else user_line(2)
        return t

    cls = _TENSOR[0]
    new = object.__new__
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def slow_unary(op: Op, x: Any) -> Any:
    x = hooks.convert(x)
    trace = local.trace
    i = x._idx if x._trace is trace else enter(trace, x)
    key = (op, i)
    if trace.node.next.get(key) is None:
        if full(trace):
            return slow_unary(op, x)
        out = op.prim.infer(x._spec, **op.params)
        trace.node.next[key] = Node(trace.node, op, (i,), out)
    node = trace.node = trace.node.next[key]
    if trace.where is not None:
        trace.where[node.idx] = user_line()
    return handle(trace, node.idx, node.spec)


def binary(op: Op, name: str, doc: str, swap: bool = False) -> Callable[[Any, Any], Any]:
    """A function (or operator) of two tensors, or a tensor and a scalar; ``swap`` for the reflected operators."""
    if swap:
        def function(x: Any, y: Any) -> Any:             # called for y op x where y is no tensor
            return slow_binary(op, y, x)
    else:
        def function(x: Any, y: Any) -> Any:
            trace = local.trace
            try:
                i = x._idx if x._trace is trace else enter(trace, x)
                j = y._idx if y._trace is trace else enter(trace, y)
                node = trace.node.next[op, i, j]
            except (AttributeError, KeyError):
                return slow_binary(op, x, y)
            trace.node = node
            t = new(cls)
            t._trace = trace
            t._idx = node.idx
            t._spec = node.spec
            trace.handles.append(t)
            where = trace.where
            if where is not None:
                frame = _getframe(1)
                code = frame.f_code
                where[node.idx] = (code, frame.f_lasti) if code in _USERS else user_line(2)
            return t

    cls = _TENSOR[0]
    new = object.__new__
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


_SCALARS = (float, int, bool, complex)


def slow_binary(op: Op, x: Any, y: Any) -> Any:
    """Scalars, dtypes that differ, anything that is not a tensor yet, and programs seen for the first time."""
    trace = local.trace
    xc, yc = x.__class__, y.__class__
    if yc in _SCALARS and hasattr(x, "_spec"):
        i = x._idx if x._trace is trace else enter(trace, x)
        literal = yc is not complex and y in (_LITERAL_FLOATS if yc is float else _LITERAL_INTS)
        key = (op, i, yc, y) if literal else (op, i, yc)
        value = y
    elif xc in _SCALARS and hasattr(y, "_spec"):
        j = y._idx if y._trace is trace else enter(trace, y)
        literal = xc is not complex and x in (_LITERAL_FLOATS if xc is float else _LITERAL_INTS)
        key = (op, xc, x, j) if literal else (op, xc, j)
        value = x
    else:
        return _slow_tensors(op, x, y)
    node = trace.node.next.get(key)
    if node is not None:                                 # a short cut over the scalar's own node
        trace.node = node
        if not literal:
            trace.inputs.append(value)
            trace.owners.append(None)
        if trace.where is not None:
            trace.where[node.idx] = user_line()
        return handle(trace, node.idx, node.spec)
    if full(trace):
        return slow_binary(op, x, y)
    start, given = trace.node, len(trace.handles)
    try:
        result = _scalar_first_time(op, x, y, trace)
    except BaseException:
        undo(trace, start, given)
        raise
    if _only_scalar_between(start, trace.node, literal):
        start.next[key] = trace.node
    return result


def undo(trace: Trace, back_to: Node, given: int) -> None:
    """Take back what was recorded after ``back_to``, when ``given`` handles were out."""
    del trace.handles[given:]
    for node in trace.node.path(back_to):
        if node.op is not None and node.op.prim is INPUT:
            trace.inputs.pop()
            trace.numbers.pop(node.idx, None)
            owner = trace.owners.pop()
            if owner is not None:
                trace.captures.pop(id(owner), None)
                if owner._trace is trace:
                    owner._trace = None
    del trace.table[back_to.end:]
    trace.node = back_to


def _only_scalar_between(start: Node, end: Node, literal: bool) -> bool:
    between = [n.op for n in end.path(start)]
    inputs = sum(op is SCALAR_INPUT for op in between)
    others = sum(op is not None and op.prim is INPUT and op is not SCALAR_INPUT for op in between)
    return others == 0 and inputs == (0 if literal else 1)


def _scalar_first_time(op: Op, x: Any, y: Any, trace: Trace) -> Any:
    if hasattr(x, "_spec"):
        x, y = _cast_beside(x, y, op)
        return record2(op, place(trace, x), scalar(trace, y, x._spec.dtype), x._spec, spec((), x._spec.dtype))
    y, x = _cast_beside(y, x, op)
    j = place(trace, y)
    return record2(op, scalar(trace, x, y._spec.dtype), j, spec((), y._spec.dtype), y._spec)


def _cast_beside(t: Any, value: Any, op: Op) -> tuple[Any, Any]:
    """A tensor and a Python scalar brought to one dtype."""
    dtype = weak_dtype(value.__class__, t._spec.dtype)
    if dtype.kind in "iu" and not dtype.min <= value <= dtype.max:
        raise DtypeError(f"{op.name}: the integer {value} does not fit {dtype.name}; cast the tensor first")
    if dtype is not t._spec.dtype and config.spelling == "tf":
        raise DtypeError(f"cannot compute {op.name}: {value!r} does not convert to {t._spec.dtype.name}, the other operand's "
                         f"dtype; cast the tensor with tf.cast")
    return (t if dtype is t._spec.dtype else hooks.convert(t, dtype)), dtype_value(value, dtype)


def _slow_tensors(op: Op, x: Any, y: Any) -> Any:
    x, y = hooks.convert_pair(op, x, y)
    trace = local.trace
    if full(trace):
        trace = local.trace
    i, j = place(trace, x), place(trace, y)
    return record2(op, i, j, x._spec, y._spec)


def record2(op: Op, i: int, j: int, a: Spec, b: Spec) -> Any:
    trace = local.trace
    key = (op, i, j)
    node = trace.node.next.get(key)
    if node is None:
        out = op.prim.infer(a, b, **op.params)
        node = Node(trace.node, op, (i, j), out)
        trace.node.next[key] = node
    trace.node = node
    if trace.where is not None:
        trace.where[node.idx] = user_line()
    return handle(trace, node.idx, node.spec)


# ---------------------------------------------------------------------------------------------------------------------
# Which results somebody still holds.

def live(handles: list[Any]) -> list[Any]:
    """The handles that something outside the list refers to."""
    return [t for t in handles if _count(t) > _BASE]


def _counts(handles: list[Any]) -> list[int]:
    """What ``live`` sees: written the same way, since the loop's own references count too."""
    return [_count(t) for t in handles]


_count: Callable[[Any], int] = getattr(sys, "getrefcount", lambda t: 1)
_BASE = _counts([_Hooks()])[0] if hasattr(sys, "getrefcount") else 0


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

"""function: a Python function traced once for each signature and replayed afterwards."""
from __future__ import annotations

import functools
import inspect
import logging
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _batch, _nest
from .._errors import DtypeError, ShapeError, complain
from .._graph import Node, Spec
from .._runtime import plan_for
from .._tensor import Tensor, Value, Variable, wrap
from .._trace import INPUT, READ, SCALAR_INPUT, Trace, full, handle, local, place, user_line
from ..primitives.convert import convert
from ..primitives.sampling import Draw, next_draw

__all__ = ["Function", "function"]

KEPT = 256                                               # traces that one function keeps
_MANY = 16                                               # traces after which it says so, once


class _Slot:
    """Stands in a signature for a tensor."""

    __slots__ = ("spec",)

    def __init__(self, s: Spec) -> None:
        self.spec = s


class Traced:
    """A traced program: its inputs in order, its results, and the variables it assigns.

    calls  how often it was used
    """

    __slots__ = ("calls", "captured", "effects", "held", "node", "outputs", "places", "plan", "scratch", "signature",
                 "tree")

    def __init__(self, python: Callable[..., Any], args: Any, kwargs: Any, signature: Any) -> None:
        self.calls, self.signature, self.held = 0, signature, (args, kwargs)
        leaves = _nest.flatten(args) + _nest.flatten(kwargs)
        with _batch.tracing() as scratch:
            inner = [_batch.argument(scratch, leaf.spec) if leaf.__class__ is _Slot else leaf for leaf in leaves]
            self.places = [t._idx for t, leaf in zip(inner, leaves) if leaf.__class__ is _Slot]
            given, named = _nest.pack((args, kwargs), inner)
            out = python(*given, **named)
            outs = _nest.flatten([out])
            self.outputs: list[Any] = []                 # a place in the program, or a constant
            for o in outs:
                if isinstance(o, Variable) or (isinstance(o, Tensor) and o._trace is not scratch):
                    self.outputs.append(place(scratch, o))
                else:
                    self.outputs.append(o._idx if isinstance(o, Tensor) else _Constant(o))
            last = {id(v): v for v, _ in scratch.assigned}
            self.effects = [(v, place(scratch, v._pending)) for v in last.values()]
        self.tree = out
        self.node: Node = scratch.node
        self.captured = [o for k, o in enumerate(scratch.owners)]
        self.scratch = scratch
        self.plan: Any = None

    @property
    def direct(self) -> bool:
        """Whether the program can run by its own plan, outside of any trace."""
        return not self.scratch.closures


class _Constant:
    """A result that is not a tensor."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


_PLAIN = (int, float, complex, bool, str, bytes, type(None))


def _key(leaf: Any) -> Any:
    if leaf.__class__ is _Slot:
        return leaf.spec
    if isinstance(leaf, _PLAIN):
        return leaf.__class__, repr(leaf) if isinstance(leaf, float) else leaf
    if isinstance(leaf, Variable):
        return Variable, id(leaf)
    try:
        hash(leaf)
    except TypeError:
        return leaf.__class__, id(leaf)
    return leaf.__class__, leaf


def _shape_of(tree: Any) -> Any:
    if isinstance(tree, dict):
        return type(tree), tuple([(key, _shape_of(tree[key])) for key in _nest._keys(tree)])
    if isinstance(tree, (list, tuple)):
        return type(tree), tuple([_shape_of(item) for item in tree])
    return None


class Function:
    """What ``function`` makes of a Python function.

    python_function  the function as written
    traces           the traced programs, latest last
    trace_count      how often it was traced
    """

    def __init__(self, python: Callable[..., Any], input_signature: Any = None) -> None:
        self.python_function = python
        self.traces: list[Traced] = []
        self.trace_count = 0
        self.input_signature = input_signature
        self._known: OrderedDict[Any, Traced] = OrderedDict()
        self._tracing: set[Any] = set()
        self._bound: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._parameters: inspect.Signature | None
        try:
            self._parameters = inspect.signature(python)
        except (TypeError, ValueError):
            self._parameters = None
        functools.update_wrapper(self, python, updated=())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        try:
            found = self._bound.get(instance)
        except TypeError:
            return functools.partial(self, instance)
        if found is None:
            weak = weakref.ref(instance)
            python = self.python_function

            def method(*args: Any, **kwargs: Any) -> Any:
                return python(weak(), *args, **kwargs)

            functools.update_wrapper(method, python, updated=())
            method.__wrapped__ = python.__get__(weakref.proxy(instance))  # type: ignore[attr-defined]
            found = self._bound[instance] = Function(method, self.input_signature)
        return found

    def __repr__(self) -> str:
        return f"<function {getattr(self.python_function, '__name__', '?')} of {len(self.traces)} traces>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            args, kwargs = self._in_order(args, kwargs)
        if self.input_signature is not None:
            args = self._by_signature(args)
        leaves = _nest.flatten(args) + _nest.flatten(kwargs)
        tensors: list[Any] = []
        slots: list[Any] = []
        for leaf in leaves:
            if leaf.__class__ is not Tensor:
                if isinstance(leaf, (np.ndarray, np.generic)) or hasattr(leaf, "__adjoint_tensor__"):
                    leaf = convert(leaf)
                elif not isinstance(leaf, Tensor):
                    slots.append(leaf)
                    continue
            tensors.append(leaf)
            slots.append(_Slot(leaf._spec))
        key = (_shape_of(args), _shape_of(kwargs), tuple([_key(s) for s in slots]))
        if key in self._tracing:                         # a recursion that ends in Python, if at all
            return self.python_function(*args, **kwargs)
        traced = self._known.get(key)
        if traced is None:
            traced = self._trace(key, slots, (args, kwargs))
        traced.calls += 1
        return _call(traced, tensors)

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments given by name at their positions, so that both ways of calling share a trace."""
        if self._parameters is None:
            return args, kwargs
        bound = self._parameters.bind(*args, **kwargs)
        return bound.args, bound.kwargs

    def _by_signature(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        wanted = tuple(self.input_signature)
        if len(wanted) != len(args):
            raise TypeError(complain(self._name, "the arguments", f"{len(wanted)}, as input_signature has", len(args)))
        return tuple([self._fitted(want, value, f"argument {k}") for k, (want, value) in enumerate(zip(wanted, args))])

    @property
    def _name(self) -> str:
        return getattr(self.python_function, "__name__", "function")

    def _fitted(self, want: Any, value: Any, label: str) -> Any:
        """A value as a tensor that fits its part of the input signature."""
        if isinstance(want, dict):
            return {key: self._fitted(w, value[key], f"{label}[{key!r}]") for key, w in want.items()}
        if isinstance(want, (list, tuple)):
            return _nest.pack(list(want), [self._fitted(w, v, f"{label}[{k}]") for k, (w, v) in enumerate(zip(want,
                                                                                                              value))])
        t = convert(value, want.dtype, True)
        if t._spec.dtype is not want.dtype:
            raise DtypeError(complain(self._name, label, f"of dtype {want.dtype.name}, as input_signature says",
                                      t._spec.dtype.name))
        shape = None if want.shape is None else tuple(want.shape)
        if shape is not None and (len(shape) != t._spec.ndim or any(
                n is not None and n != m for n, m in zip(shape, t._spec.shape))):
            raise ShapeError(complain(self._name, label, f"of shape {shape}, as input_signature says", t._spec.shape))
        return t

    def _trace(self, key: Any, slots: list[Any], given: Any) -> Traced:
        args, kwargs = _nest.pack(given, slots)
        self._tracing.add(key)
        try:
            traced = Traced(self.python_function, args, kwargs, key)
        finally:
            self._tracing.discard(key)
        self._known[key] = traced
        self.trace_count += 1
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        self.traces = list(self._known.values())
        if self.trace_count == _MANY:
            logging.getLogger("adjoint").warning(
                "function %s was traced %d times: each new shape and each new Python number makes a trace; pass "
                "numbers that change as tensors", getattr(self.python_function, "__name__", "?"), _MANY)
        return traced


def _call(traced: Traced, tensors: list[Any]) -> Any:
    trace = local.trace
    if traced.scratch.closures:
        outs, effects = _replayed(traced, tensors)
    elif local.tapes or trace.scratch or trace.assigned or not all(hasattr(t, "_value") for t in tensors) or (
            _anything_pending(traced)):
        outs, effects = _inlined(traced, tensors)
    else:
        outs, effects = _run(traced, tensors)
    for (variable, _), new in zip(traced.effects, effects):
        variable.assign(new)
    it = iter(outs)
    leaves = [o.value if o.__class__ is _Constant else next(it) for o in traced.outputs]
    return leaves[0] if not isinstance(traced.tree, (list, tuple, dict)) else _nest.pack(traced.tree, leaves)


def _anything_pending(traced: Traced) -> bool:
    for o in traced.captured:
        if o.__class__ is Tensor:
            if not hasattr(o, "_value") and o._trace is not traced.scratch:
                return True
        elif isinstance(o, Variable) and o._pending is not None:
            return True
    return False


def _inputs(traced: Traced, tensors: list[Any]) -> list[Any]:
    """The outer tensor, variable or (value, spec) scalar for each input of the program, in order."""
    found: list[Any] = []
    it = iter(tensors)
    scratch = traced.scratch
    for value, owner in zip(scratch.inputs, scratch.owners):
        if owner is None:
            found.append(value)
        elif owner.__class__ is Tensor and owner._trace is scratch and not hasattr(owner, "_value"):
            found.append(next(it))
        else:
            found.append(next_draw(owner) if owner.__class__ is Draw else owner)
    return found


def _places(traced: Traced) -> list[int]:
    return [o for o in traced.outputs if o.__class__ is not _Constant] + [at for _, at in traced.effects]


def _run(traced: Traced, tensors: list[Any]) -> tuple[list[Any], list[Any]]:
    """By its own plan, at once."""
    values = [v._value if isinstance(v, Value) else v for v in _inputs(traced, tensors)]
    outputs = tuple(_places(traced))
    got = plan_for(traced.node, outputs).run(values) if outputs else []
    made = [wrap(v if isinstance(v, np.ndarray) else np.asarray(v)) for v in got]
    n = len(made) - len(traced.effects)
    return made[:n], made[n:]


def _inlined(traced: Traced, tensors: list[Any]) -> tuple[list[Any], list[Any]]:
    """As part of the current program: replayed the first time, one step of its path afterwards."""
    trace = local.trace
    if full(trace):
        trace = local.trace
    inputs = _inputs(traced, tensors)
    at = tuple([place(trace, v) if isinstance(v, Value) else None for v in inputs])
    outputs = _places(traced)
    key = (traced.node, at, tuple(outputs))
    found = trace.node.memo.get(key)
    if found is None:
        start, before = trace.node, len(trace.inputs)
        made, reads = _replay_at(traced, trace, inputs, at)
        scalars = [k for k, v in enumerate(inputs) if not isinstance(v, Value)]
        if len(trace.inputs) - before == len(scalars):
            start.memo[key] = (trace.node, [(made[k], spec_at(traced, k)) for k in outputs], scalars, reads)
        places = [(made[k], spec_at(traced, k)) for k in outputs]
    else:
        trace.node, places, scalars, reads = found
        for k in scalars:
            trace.inputs.append(inputs[k])
            trace.owners.append(None)
    for idx, variable in reads:
        trace.reads[idx] = variable
    if trace.where is not None and trace.node.op is not None:
        trace.where[trace.node.idx] = user_line()
    outs = [handle(trace, idx, s) for idx, s in places]
    n = len(outs) - len(traced.effects)
    return outs[:n], outs[n:]


def spec_at(traced: Traced, idx: int) -> Spec:
    node = traced.scratch.nodes()[idx]
    return node.specs[idx - node.idx]


def _replay_at(traced: Traced, trace: Trace, inputs: list[Any], at: Any) -> tuple[dict[int, int], list[Any]]:
    made: dict[int, int] = {}
    reads: list[Any] = []
    nodes = list(traced.node.path())
    nodes.reverse()
    number = 0
    for node in nodes:
        op = node.op
        assert op is not None
        if op.prim is INPUT:
            if at[number] is not None:
                made[node.idx] = at[number]
            else:
                made[node.idx] = _step(trace, (SCALAR_INPUT, node.spec.dtype), SCALAR_INPUT, (), node.spec).idx
                trace.inputs.append(inputs[number])
                trace.owners.append(None)
            number += 1
            continue
        args = tuple([made[a] for a in node.args])
        fresh = _step(trace, (op, args), op, args, node.spec)
        if op.prim is READ:
            reads.append((fresh.idx, traced.scratch.reads[node.idx]))
        if trace.where is not None:
            trace.where[fresh.idx] = user_line(3)
        for k in range(node.end - node.idx):
            made[node.idx + k] = fresh.idx + k
    return made, reads


def _step(trace: Trace, key: Any, op: Any, args: Any, out: Any) -> Node:
    node = trace.node.next.get(key)
    if node is None:
        node = trace.node.next[key] = Node(trace.node, op, args, out)
    trace.node = node
    return node


def _replayed(traced: Traced, tensors: list[Any]) -> tuple[list[Any], list[Any]]:
    """Operation by operation, since it holds gradients of its own that close over its tensors."""
    it = iter(tensors)
    env: Any = {k: (next(it), False) for k in traced.places}
    _batch.replay(traced.scratch, None, env, None)
    made = [env[k][0] for k in _places(traced)]
    n = len(made) - len(traced.effects)
    return made[:n], made[n:]


def function(func: Any = None, input_signature: Any = None, autograph: bool = True, jit_compile: Any = None,
             reduce_retracing: bool = False, **ignored: Any) -> Any:
    """Decorate a function of tensors so that its Python runs once for each signature.

    func             function of tensors, nests, variables and Python values, by position or by name
    input_signature  specs (with shape and dtype) that the arguments have to fit
    others           accepted for TensorFlow's sake; they change nothing

    A signature is the structure of the arguments, each tensor's shape and dtype, and the Python values. A later call
    with the same signature replays what was recorded: captured tensors and variables are read when it is called,
    variables assigned inside are assigned each time, random numbers are drawn anew; other effects of the Python code
    (print, append) happen while it is traced only. Differentiable: on a tape it is part of the program around it.

    Raises TraceError (and changes no variable) when the Python code needs the value of a traced tensor.

    >>> import adjoint as ad
    >>> @ad.function
    ... def square(x):
    ...     return x * x
    >>> float(square(ad.constant(3.0))), square.trace_count
    (9.0, 1)
    """
    if func is None:
        return functools.partial(function, input_signature=input_signature)
    if not callable(func):
        raise TypeError(complain("function", "func", "a function", f"{func!r:.60}"))
    return Function(func, input_signature)



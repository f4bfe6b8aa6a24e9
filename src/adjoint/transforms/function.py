"""function: a Python function traced once for each signature and replayed afterwards."""
from __future__ import annotations

import functools
import inspect
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _batch, _nest
from .._config import config
from .._errors import DtypeError, ShapeError, TraceError, complain
from .._graph import Node, Spec
from .._renewal import run
from .._runtime import _array as owned
from .._tensor import Tensor, Value, Variable
from .._trace import INPUT, READ, SCALAR_INPUT, Trace, bring, full, give, handle, hooks, jump, local, note, place, step
from ..primitives.convert import convert
from ..primitives.sampling import Draw, next_draw
from ..tape import _log_once
from ._direct import direct, news_of, plan_of, version

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

    __slots__ = (
        "assigned",
        "calls",
        "held",
        "node",
        "outputs",
        "places",
        "recipe",
        "scratch",
        "signature",
        "single",
        "specs",
        "tree",
        "version",
        "wanted",
        "watch",
    )

    def __init__(self, python: Callable[..., Any], args: Any, kwargs: Any, signature: Any) -> None:
        self.calls, self.signature, self.held, self.version = 0, signature, (args, kwargs), version[0]
        leaves = _nest.flatten(args) + _nest.flatten(kwargs)
        with _batch.tracing() as scratch:
            inner = [_batch.argument(scratch, leaf.spec) if leaf.__class__ is _Slot else leaf for leaf in leaves]
            self.places = [t._idx for t, leaf in zip(inner, leaves) if leaf.__class__ is _Slot]
            given, named = _nest.pack((args, kwargs), inner)
            self.tree = out = python(*given, **named)
            self.outputs = [_output(scratch, o) for o in _nest.flatten([out])]
            last = {id(v): v for v, _ in scratch.assigned}
            self.assigned = list(last.values())
            effects = [place(scratch, v._pending) for v in self.assigned]
        self.single = not isinstance(out, (list, tuple, dict))
        self.node: Node = scratch.node
        self.scratch = scratch
        self.wanted = tuple([o for o in self.outputs if o.__class__ is not _Constant] + effects)
        nodes = scratch.nodes()
        self.specs = [nodes[k].specs[k - nodes[k].idx] for k in self.wanted]
        number = {at: k for k, at in enumerate(self.places)}
        inputs = [n for n in self.node.path() if n.op is not None and n.op.prim is INPUT]
        # For each input of the program where it comes from: an argument's number, an owner, or a Python scalar.
        self.recipe = [(number.get(n.idx), owner, value)
                       for n, owner, value in zip(reversed(inputs), scratch.owners, scratch.inputs)]
        self.watch = [owner for at, owner, _ in self.recipe if at is None and owner.__class__ in (Tensor, Variable)]

    def __repr__(self) -> str:
        args = ", ".join(repr(leaf.spec) if leaf.__class__ is _Slot else f"{leaf!r:.40}"
                         for leaf in _nest.flatten(self.held[0]) + _nest.flatten(self.held[1]))
        count = sum(n.op is not None and n.op.prim is not INPUT for n in self.node.path())
        return f"<trace of ({args}): {count} operations, called {self.calls} times>"

    def inputs(self, tensors: Any) -> list[Any]:
        """For each input of the program the tensor, variable or Python scalar that it is in this call."""
        return [tensors[at] if at is not None else value if owner is None
                else next_draw(owner) if owner.__class__ is Draw else owner for at, owner, value in self.recipe]

    def settled(self, tensors: Any) -> bool:
        """Whether everything the program reads has a value, so that it can run by its own plan, outside of any trace."""
        return all(t._value is not None for t in tensors) and not any(
            t._pending is not None if t.__class__ is Variable else t._value is None for t in self.watch)


def _output(scratch: Trace, o: Any) -> Any:
    """A result's place in the program, or what is returned as it is."""
    if hasattr(o, "__adjoint_tensor__"):                 # sparse rows: as a tensor
        o = convert(o)
    if not isinstance(o, Value):
        return _Constant(o)
    return o._idx if o._trace is scratch else place(scratch, o)


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
        self._fast: dict[Any, Callable[[Any], Any]] = {}   # by the specs, where all arguments are tensors
        self._tracing: set[Any] = set()
        self._bound: dict[int, Any] = {}                 # id of an instance -> (reference, its own Function)
        self._parameters: inspect.Signature | None
        try:
            self._parameters = inspect.signature(python)
        except (TypeError, ValueError):
            self._parameters = None
        functools.update_wrapper(self, python, updated=())

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        found = self._bound.get(id(instance))
        if found is not None and found[0]() is instance:
            return found[1]
        try:
            key, bound = id(instance), self._bound
            weak = weakref.ref(instance, lambda gone: bound.pop(key, None))
        except TypeError:
            return functools.partial(self, instance)
        python = self.python_function

        def method(*args: Any, **kwargs: Any) -> Any:
            return python(weak(), *args, **kwargs)

        functools.update_wrapper(method, python, updated=())
        if self._parameters is not None:
            rest = list(self._parameters.parameters.values())[1:]
            method.__signature__ = self._parameters.replace(parameters=rest)  # type: ignore[attr-defined]
        made = Function(method, self.input_signature)
        self._bound[key] = weak, made
        return made

    def __repr__(self) -> str:
        return f"<function {getattr(self.python_function, '__name__', '?')} of {len(self.traces)} traces>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            call = self._fast.get(tuple([a._spec if a.__class__ is Tensor else None for a in args]) if args else ())
            if call is not None:
                return call(args)
        else:
            args, kwargs = self._in_order(args, kwargs)
        traced, tensors = self._find(args, kwargs)
        if traced is None:                               # a recursion that ends in Python, if at all
            return self.python_function(*args, **kwargs)
        return _call(traced, tensors)

    def plan(self, *args: Any, **kwargs: Any) -> Any:
        """What runs when the function is called with these arguments: ``steps``, and ``show()``. Nothing is computed.

        >>> import adjoint as ad
        >>> f = ad.function(lambda x: ad.sum(x * x))
        >>> len(f.plan(ad.constant([1.0, 2.0])).program.instrs)
        2
        """
        if kwargs:
            args, kwargs = self._in_order(args, kwargs)
        traced, _ = self._find(args, kwargs)
        if traced is None:
            raise TraceError(f"{self._name}: there is no plan while it is being traced")
        return hooks.inspector().plan_of(traced.node, traced.wanted)

    def _find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Traced | None, list[Any]]:
        """The trace for these arguments, and the tensors among them; None while it is being made."""
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
        if key in self._tracing:
            return None, tensors
        traced = self._known.get(key)
        if traced is None:
            traced = self._trace(key, slots, (args, kwargs))
        if not kwargs and self.input_signature is None and len(tensors) == len(args) == len(leaves):
            key = tuple([s.spec for s in slots])
            if traced.calls > 1:
                slow = functools.partial(self._careful, traced, (version[0], config.engine))
                self._fast[key] = direct(traced, slow, _Constant) or slow
        return traced, tensors

    def _careful(self, traced: Traced, made: Any, tensors: Any) -> Any:
        """Where a prepared call does not do; prepared calls are made anew when the settings have changed."""
        if made != (version[0], config.engine):
            self._fast.clear()
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
            self._fast.clear()
        self.traces = list(self._known.values())
        if self.trace_count == _MANY:
            _log_once(f"function {self._name} was traced {_MANY} times: each new shape and each new Python number makes a "
                      f"trace; pass numbers that change as tensors")
        return traced


def _call(traced: Traced, tensors: Any) -> Any:
    trace = local.trace
    traced.calls += 1
    if not (local.tapes or hooks.check is not None or trace.scratch or trace.assigned) and traced.settled(tensors):
        made = _run(traced, tensors)
    elif traced.scratch.closures:
        made = _replayed(traced, tensors)
    else:
        made = _inlined(traced, tensors)
    if traced.assigned:
        for variable, new in zip(traced.assigned, made[-len(traced.assigned):]):
            variable.assign(new)
    if traced.single:
        first = traced.outputs[0]
        return first.value if first.__class__ is _Constant else made[0]
    it = iter(made)
    return _nest.pack(traced.tree, [o.value if o.__class__ is _Constant else next(it) for o in traced.outputs])


def _run(traced: Traced, tensors: Any) -> list[Any]:
    """By its own plan, at once."""
    if not traced.wanted:
        return []
    values = [v._value if hasattr(v, "_spec") else v for v in traced.inputs(tensors)]
    made = []
    plan = plan_of(traced)
    found = run(plan, values, news_of(traced)) if traced.assigned else plan.run(values)
    for value, s in zip(found, traced.specs):
        t = Tensor.__new__(Tensor)
        t._trace, t._idx, t._spec, t._value = None, 0, s, owned(value)
        made.append(t)
    return made


def _inlined(traced: Traced, tensors: Any) -> list[Any]:
    """As part of the current program: replayed the first time, one step of its path afterwards."""
    trace = local.trace
    if full(trace):
        trace = local.trace
    inputs = traced.inputs(tensors)
    at = tuple([place(trace, v) if hasattr(v, "_spec") else None for v in inputs])
    key = (traced.node, at, traced.wanted)
    found = trace.node.memo.get(key)
    if found is None:
        start = trace.node
        made, reads = _replay_at(traced, trace, inputs, at)
        places = [(made[k], s) for k, s in zip(traced.wanted, traced.specs)]
        start.keep(key, (trace.node, places, [k for k, idx in enumerate(at) if idx is None], reads))
    else:
        node, places, scalars, reads = found
        give(trace, node, [inputs[k] for k in scalars], [None] * len(scalars))
        jump(trace, node)
    for idx, variable in reads:
        trace.add("reads", idx, variable)
    return [handle(trace, idx, s) for idx, s in places]


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
                made[node.idx] = bring(trace, SCALAR_INPUT, node.spec, inputs[number])
            number += 1
            continue
        args = tuple([made[a] for a in node.args])
        fresh = step(trace, op, args, node.spec)
        if op.prim is READ:
            reads.append((fresh.idx, traced.scratch.reads[node.idx]))
        if trace.where is not None:
            note(trace, fresh)
        for k in range(node.end - node.idx):
            made[node.idx + k] = fresh.idx + k
    return made, reads


def _replayed(traced: Traced, tensors: Any) -> list[Any]:
    """Operation by operation, since it holds gradients of its own that close over its tensors."""
    env: Any = {at: (tensors[k], False) for k, at in enumerate(traced.places)}
    with _batch.resuming:                                # no other thread may be in the middle of a gradient of it
        _batch.replay(traced.scratch, None, env, None, traced.wanted)
    return [env[k][0] for k in traced.wanted]


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



"""Functions with a gradient of their own: custom_gradient, recompute_grad."""
from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _derive, _nest
from ._errors import AdjointError, DtypeError, ShapeError, complain
from ._graph import Primitive, Spec
from ._tensor import Value
from ._trace import DRAW_INPUT, local, record, tensor_at
from .primitives.convert import convert, identity
from .primitives.sampling import drawing_again
from .tape import GradientTape

__all__ = ["custom_gradient", "recompute_grad"]


def _no_rule(*_: Any, **__: Any) -> Any:
    raise AdjointError("custom_call: the gradient function of this operation is not known here")


def _results(*xs: Any, outputs: int) -> Any:
    return xs[-1] if outputs == 1 else tuple(xs[-outputs:])


CUSTOM = Primitive(
    "custom_call", lambda *specs, outputs: tuple(specs[-outputs:]), _results, vjp=_no_rule,
    doc="Results of a function with a gradient of its own: inputs are its arguments, its variables and its results.",
    cases=(lambda rng: ((rng.normal(size=(2,)), rng.normal(size=(3,))), {"outputs": 1}),))

BARRIER = Primitive(
    "barrier", lambda x: x, lambda x: x, vjp=lambda g, y, x: (g,), linear=(0,), elementwise=True, pure=False,
    doc="The tensor itself, never merged with another: what is computed from it is computed anew.",
    cases=(lambda rng: ((rng.normal(size=(3,)),), {}),))


def _is_array(x: Any) -> bool:
    return isinstance(x, (Value, np.ndarray, np.generic)) or hasattr(x, "__adjoint_tensor__")


class _Call:
    """One call: its tensor arguments (each at a place of its own), and how to call with others in their stead."""

    def __init__(self, f: Any, args: tuple[Any, ...], convert_all: bool) -> None:
        self.f, self.args = f, args
        self.flat = _nest.flatten(args)
        self.where = [k for k, a in enumerate(self.flat)
                      if _is_array(a) or (convert_all and a.__class__ in (int, float, complex))]
        self.xs = [identity(convert(self.flat[k])) for k in self.where]

    @property
    def labels(self) -> list[str]:
        """A name for each tensor argument, for messages."""
        names = _names(self.f, self.args)
        return [names[k] for k in self.where]

    def with_tensors(self, xs: list[Any]) -> Any:
        flat = list(self.flat)
        for k, x in zip(self.where, xs):
            flat[k] = x
        return _nest.pack(self.args, flat)


def _names(f: Any, args: tuple[Any, ...]) -> list[str]:
    """A name for each leaf of the arguments, for messages."""
    try:
        given = [p.name for p in inspect.signature(f).parameters.values() if p.kind in (p.POSITIONAL_ONLY,
                                                                                        p.POSITIONAL_OR_KEYWORD)]
    except (TypeError, ValueError):
        given = []
    names: list[str] = []
    for k, a in enumerate(args):
        name = repr(given[k]) if k < len(given) else f"number {k}"
        leaves = len(_nest.flatten([a]))
        names += [name] if leaves == 1 and not isinstance(a, (list, tuple, dict)) else [
            f"{name} (leaf {n})" for n in range(leaves)]
    return names


def _attach(xs: list[Any], variables: list[Any], y: Any, closure: Callable[[Any, list[bool]], list[Any]]) -> Any:
    """The results ``y`` as the outputs of one operation on ``xs`` and ``variables`` that ``closure`` differentiates."""
    flat = [convert(t) for t in _nest.flatten(y)]
    outs = record(CUSTOM.op(outputs=len(flat)), *xs, *variables, *flat)
    outs[0]._trace.add("closures", outs[0]._idx, closure)
    return outs[0] if isinstance(y, Value) or not isinstance(y, (list, tuple, dict)) else _nest.pack(y, outs)


def custom_gradient(f: Any = None) -> Any:
    """Decorate a function that returns its result together with a function for its gradient.

    f  called as f(*args, **kwargs); returns (y, grad_fn). grad_fn(*dy) gets a cotangent for each tensor of y and
       returns one for each tensor among the positional arguments (None for zero). When f reads trainable variables,
       grad_fn is called with ``variables=[...]`` and returns a pair: cotangents of the arguments, cotangents of the
       variables.

    Higher derivatives come from differentiating grad_fn, which may be a custom_gradient function itself. Forward mode
    works too (the gradient function is transposed, so it has to be linear in dy). Keyword arguments are passed on and
    not differentiated.

    Raises ValueError when grad_fn returns a wrong number of cotangents, ShapeError when one has a wrong shape (the
    message names the argument), TypeError when f reads variables and grad_fn takes no ``variables``.

    >>> import adjoint as ad
    >>> @ad.custom_gradient
    ... def twice(x):
    ...     return 2.0 * x, lambda dy: 5.0 * dy
    >>> float(ad.grad(twice)(1.0))
    5.0
    """
    if f is None:
        return custom_gradient
    if not callable(f):
        raise TypeError(complain("custom_gradient", "f", "a function", f"{f!r:.60}"))

    @functools.wraps(f, updated=())
    def decorated(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, True)
        with GradientTape(persistent=True) as tape:
            result = f(*call.with_tensors(call.xs), **kwargs)
        if not (isinstance(result, (tuple, list)) and len(result) == 2 and callable(result[1])):
            raise TypeError(complain(f"custom_gradient of {_called(f)}", "the result", "a pair (y, grad_fn)",
                                     f"{type(result).__name__}"))
        y, grad_fn = result
        variables = _read_by(tape)
        if variables and not _takes_variables(grad_fn):
            raise TypeError(
                f"custom_gradient of {_called(f)}: it reads trainable variables "
                f"({', '.join(v.name for v in variables)}), so grad_fn must accept a 'variables' keyword argument and "
                f"return (gradients of the arguments, gradients of the variables)")
        return _attach(call.xs, variables, y, _Gradient(f, grad_fn, call, variables))

    return decorated


def _read_by(tape: GradientTape) -> list[Any]:
    """The trainable variables that were read on a tape, which is done with."""
    found = list(tape.watched_variables())
    for trace in {id(segment[0]): segment[0] for segment in tape._segments}.values():
        if tape in trace.tapes:
            trace.tapes.remove(tape)
    return found


def _called(f: Any) -> str:
    return getattr(f, "__qualname__", repr(f))


def _takes_variables(grad_fn: Any) -> bool:
    try:
        parameters = inspect.signature(grad_fn).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.kind is p.VAR_KEYWORD or (p.name == "variables" and p.kind is not p.VAR_POSITIONAL) for p in parameters)


class _Gradient:
    """How a custom_gradient's operation is differentiated: by its grad_fn, checked."""

    __slots__ = ("call", "f", "grad_fn", "outputs", "variables")

    def __init__(self, f: Any, grad_fn: Any, call: _Call, variables: list[Any]) -> None:
        self.f, self.grad_fn, self.call, self.variables = f, grad_fn, call, variables

    def __call__(self, gs: tuple[Any, ...], want: list[bool]) -> list[Any]:
        name = f"custom_gradient of {_called(self.f)}"
        xs, variables = self.call.xs, self.variables
        of_variables: list[Any] = []
        if variables:
            got = self.grad_fn(*gs, variables=list(variables))
            if not (isinstance(got, (tuple, list)) and len(got) == 2):
                raise ValueError(complain(name, "what grad_fn returns",
                                          "a pair (gradients of the arguments, gradients of the "
                                          "variables), since the function reads variables", f"{type(got).__name__}"))
            got, given = got
            of_variables = [given] if isinstance(given, Value) else _nest.flatten(given)
            if len(of_variables) != len(variables):
                raise ValueError(complain(name, "what grad_fn returns",
                                          f"a gradient for each of {len(variables)} variables",
                                          len(of_variables)))
        else:
            got = self.grad_fn(*gs)
        flat = [got] if isinstance(got, Value) or not isinstance(got, (list, tuple, dict)) else _nest.flatten(got)
        if len(flat) != len(xs):
            names = ", ".join(self.call.labels)
            raise ValueError(complain(name, "what grad_fn returns", f"{len(xs)} gradients, one for each of {names}",
                                      len(flat)))
        values = [_checked(self, k, x._spec, c) for k, (x, c) in enumerate(zip([*xs, *variables], [*flat, *of_variables]))]
        return values + [None] * (len(want) - len(values))


def _checked(gradient: _Gradient, number: int, want: Spec, c: Any) -> Any:
    if c is None or want.dtype.kind not in "fc":
        return None
    c = convert(c, want.dtype, True)
    have = c._spec
    if have.shape == want.shape and have.dtype.kind in "fc":
        return c
    names = [f"argument {n}" for n in gradient.call.labels] + [f"variable {v.name}" for v in gradient.variables]
    what = f"custom_gradient of {_called(gradient.f)}", f"the gradient that grad_fn returns for {names[number]}"
    if have.shape != want.shape:
        raise ShapeError(complain(*what, f"of its shape {want.shape}", have.shape))
    raise DtypeError(complain(*what, f"of dtype {want.dtype.name}", have.dtype.name))


# ------------------------------------------------------------------------------------------------------- recompute_grad

@contextmanager
def _unrecorded() -> Iterator[None]:
    """Nothing inside belongs to any tape."""
    paused = local.tapes
    for tape in paused:
        tape._segments[-1][2] = local.trace.node.end
        tape._recording = False
    local.tapes = []
    try:
        yield
    finally:
        local.tapes = paused
        for tape in paused:
            tape._recording = True
            tape._start(local.trace)


def _drawn_on(tape: GradientTape) -> list[Any]:
    """Where the random numbers on a tape started, in order."""
    return [tensor_at(trace, idx) for trace, spans in tape._spans() for start, stop in spans
            for idx in range(start, stop) if trace.nodes()[idx].op is DRAW_INPUT]


def recompute_grad(f: Any) -> Any:
    """Decorate a function so that its intermediate results are forgotten and computed again when its gradient is taken.

    Trades time for memory: a tape keeps the arguments of each such function only. Random numbers are the same in both
    runs. Differentiable to any order, in both modes; keyword arguments are passed on and not differentiated.
    ``checkpoint`` is another name of it.

    >>> import adjoint as ad
    >>> f = ad.recompute_grad(lambda x: x * x * x)
    >>> float(ad.grad(f)(2.0))
    12.0
    """
    if not callable(f):
        raise TypeError(complain("recompute_grad", "f", "a function", f"{f!r:.60}"))

    @functools.wraps(f, updated=())
    def decorated(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, False)
        with _unrecorded():
            with GradientTape(persistent=True) as tape:
                y = f(*call.with_tensors(call.xs), **kwargs)
            draws = _drawn_on(tape)
            variables = _read_by(tape)
        return _attach(call.xs, variables, y, _Again(f, call, variables, kwargs, draws))

    decorated.__wrapped__ = f
    return decorated


class _Again:
    """How a recomputed function is differentiated: it is run again, on a tape."""

    __slots__ = ("call", "draws", "f", "kwargs", "variables")

    def __init__(self, f: Any, call: _Call, variables: list[Any], kwargs: dict[str, Any], draws: list[Any]) -> None:
        self.f, self.call, self.variables, self.kwargs, self.draws = f, call, variables, kwargs, draws

    def __call__(self, gs: tuple[Any, ...], want: list[bool]) -> list[Any]:
        sources, places = [], []
        xs = [record(BARRIER.op(), x) for x in self.call.xs]
        with GradientTape(persistent=True) as tape:
            for k, x in enumerate([*xs, *self.variables]):
                if want[k] and _derive.is_differentiable(x._spec):
                    tape.watch(x)
                    sources.append(x)
                    places.append(k)
            with drawing_again(self.draws):
                y = self.f(*self.call.with_tensors(xs), **self.kwargs)
        pairs = [(t, g) for t, g in zip(_nest.flatten(y), gs)
                 if g is not None and isinstance(t, Value) and _derive.is_differentiable(t._spec)]
        found = tape.gradient([t for t, _ in pairs], sources, [g for _, g in pairs])
        result: list[Any] = [None] * len(want)
        for k, g in zip(places, found):
            result[k] = None if g is None else convert(g)   # sparse rows become dense here
        return result

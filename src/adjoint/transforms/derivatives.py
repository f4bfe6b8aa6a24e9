"""grad, jacobian, hessian, hvp, jvp, vjp: derivatives of functions, as functions."""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import _batch, _derive, _nest
from .._errors import DtypeError, ShapeError, complain
from .._tensor import Value
from .._trace import local
from ..forward import BothWays, ForwardAccumulator
from ..primitives.convert import convert, identity
from ..primitives.creation import zeros_of
from ..tape import GradientTape

__all__ = ["grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "value_and_grad", "vjp"]


def _name(f: Any) -> str:
    return getattr(f, "__name__", None) or type(f).__name__


def _checked_function(what: str, f: Any) -> None:
    if not callable(f):
        raise TypeError(complain(what, "f", "a function", f"{f!r:.60}"))


def fresh(what: str, tree: Any) -> Any:
    """The leaves as tensors at places of their own, so that only what the function does with them is differentiated."""

    def leaf(x: Any) -> Any:
        t = convert(x)
        if t._spec.dtype.kind not in "fc":
            raise DtypeError(complain(what, "each argument to differentiate by", "floating or complex",
                                      t._spec.dtype.name,
                                      "an integer has no derivative; write 3.0 instead of 3, or cast it"))
        return identity(t)

    return leaf(tree) if isinstance(tree, Value) else _nest.pack(tree, [leaf(x) for x in _nest.flatten(tree)])


def _picked(what: str, argnums: Any, args: tuple[Any, ...]) -> tuple[int, ...]:
    numbers = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    found = []
    for k in numbers:
        if not hasattr(k, "__index__") or not -len(args) <= k < len(args):
            raise ValueError(complain(what, "argnums", f"positions of the {len(args)} positional arguments",
                                      repr(argnums)))
        found.append(k.__index__() % len(args))
    return tuple(found)


class _Run:
    """One call of a function on a tape of its own."""

    def __init__(self, what: str, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Any, has_aux: bool,
                 tape: GradientTape) -> None:
        self.single = not isinstance(argnums, (tuple, list))
        numbers = _picked(what, argnums, args)
        given = list(args)
        self.aux = None
        with tape:
            for k in numbers:
                given[k] = fresh(what, args[k])
            self.trees = [given[k] for k in numbers]
            self.sources = _nest.flatten(self.trees)
            tape.watch(self.sources)
            out = f(*given, **kwargs)
        if has_aux:
            if not isinstance(out, (tuple, list)) or len(out) != 2:
                raise TypeError(complain(what, f"the result of {_name(f)}", "a pair (result, aux) with has_aux=True",
                                         type(out).__name__))
            out, self.aux = out
        self.out, self.tape = out, tape

    def packed(self, found: list[Any], unconnected: Callable[[Any], Any]) -> Any:
        """What was found for each source, in the structure of the arguments."""
        filled = [unconnected(s) if r is None else r for r, s in zip(found, self.sources)]
        result = _nest.pack(self.trees, filled)
        return result[0] if self.single else tuple(result)


def value_and_grad(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives (f(...), gradient of f): see ``grad``.

    With has_aux, f returns (value, aux) and the function gives ((value, aux), gradient).

    >>> import adjoint as ad
    >>> value, slope = ad.value_and_grad(lambda x: x * x)(3.0)
    >>> float(value), float(slope)
    (9.0, 6.0)
    """
    _checked_function("value_and_grad", f)

    @functools.wraps(f, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        run = _Run("grad", f, args, kwargs, argnums, has_aux, GradientTape(watch_accessed_variables=False))
        y = run.out
        if not isinstance(y, Value):
            raise TypeError(complain("grad", f"the result of {_name(f)}", "a tensor of shape ()", type(y).__name__,
                                     "with has_aux=True it may return (value, anything)"))
        if y._spec.shape != ():
            raise ShapeError(complain("grad", f"the result of {_name(f)}", "of shape ()", y._spec.shape,
                                      "use jacobian, or sum it"))
        if y._spec.dtype.kind != "f":
            raise DtypeError(complain("grad", f"the result of {_name(f)}", "real and floating", y._spec.dtype.name))
        gradient = run.packed(run.tape.gradient(y, run.sources), lambda s: zeros_of(s._spec))
        return ((y, run.aux) if has_aux else y), gradient

    return wrapper


def grad(f: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function of real scalar value, as a function of the same arguments.

        grad(f)(x) = df / dx

    f         function that returns a tensor of shape ()
    argnums   position (or a tuple of positions) of the arguments to differentiate by; each may be a nest of tensors
    has_aux   whether f returns (value, aux); then the function gives (gradient, aux)

    The result has the structure of the argument (a tuple of them for a tuple of positions), with zeros where f does not
    depend on a tensor. Nests in any order with tapes and the other transforms. Raises DtypeError for integer arguments,
    ShapeError when f's result is not of shape ().

    >>> import adjoint as ad
    >>> float(ad.grad(ad.grad(lambda x: x * x * x))(2.0))
    12.0
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def jacobian(f: Callable[..., Any], argnums: Any = 0, mode: str = "auto", has_aux: bool = False) -> Callable[..., Any]:
    """The jacobian of a function, as a function of the same arguments.

        jacobian(f)(x)[i..., j...] = d f(x)[i...] / d x[j...]

    f        function of tensors that returns a tensor or a nest of them
    argnums  position (or a tuple of positions) of the arguments to differentiate by
    mode     "forward" (cost grows with the size of the arguments), "reverse" (with that of the result), or "auto": the
             smaller. Either way all columns or rows are computed as one batch
    has_aux  whether f returns (result, aux); then the function gives (jacobian, aux)

    Each result has the structure of f's result with that of the argument inside. For complex values reverse mode gives
    rows of gradients, as GradientTape.jacobian does (conjugated for a holomorphic f), forward mode the derivative along
    the real axis, and "auto" is reverse.

    >>> import adjoint as ad
    >>> ad.jacobian(lambda x: x * x)(ad.constant([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    _checked_function("jacobian", f)
    if mode not in ("auto", "forward", "reverse"):
        raise ValueError(complain("jacobian", "mode", "'auto', 'forward' or 'reverse'", repr(mode)))

    @functools.wraps(f, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        tape: GradientTape = GradientTape(True, False) if mode == "reverse" else BothWays()
        run = _Run("jacobian", f, args, kwargs, argnums, has_aux, tape)
        rows = [_rows(run, y, mode) for y in _nest.flatten(run.out)]
        result = rows[0] if isinstance(run.out, Value) else _nest.pack(run.out, rows)
        return (result, run.aux) if has_aux else result

    return wrapper


def _rows(run: _Run, y: Any, mode: str) -> Any:
    if not isinstance(y, Value):
        raise TypeError(complain("jacobian", "the function's result", "a tensor or a nest of tensors", f"{y!r:.60}"))
    if y._spec.dtype.kind not in "fc":
        raise DtypeError(complain("jacobian", "the function's result", "floating or complex", y._spec.dtype.name))
    tape = run.tape
    found = _batch.jacobians(tape._spans(), tape._watched, False, y, run.sources, mode)
    return run.packed(found, lambda s: zeros_of(_batch.spec(y._spec.shape + s._spec.shape, s._spec.dtype)))


def hessian(f: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """The matrix of second derivatives of a function of real scalar value, as a function of the same arguments.

        hessian(f)(x)[i..., j...] = d2 f / dx[i...] dx[j...]

    Forward mode over reverse mode, all columns as one batch.

    >>> import adjoint as ad
    >>> ad.hessian(lambda x: x[0] * x[1])(ad.constant([2.0, 5.0])).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    return jacobian(grad(f, argnums), argnums, "forward")


def _pairs(what: str, primals: Any, tangents: Any) -> tuple[Any, Any, list[Any]]:
    single = not isinstance(primals, (tuple, list))
    if single:
        primals, tangents = (primals,), (tangents,)
    if not isinstance(tangents, (tuple, list)) or len(primals) != len(tangents):
        raise ShapeError(complain(what, "tangents", f"one for each of {len(primals)} primals", f"{tangents!r:.60}"))
    xs = tuple([fresh(what, p) for p in primals])
    flat, given = _nest.flatten(xs), _nest.flatten(tuple(tangents))
    if len(flat) != len(given):
        raise ShapeError(complain(what, "tangents", f"of the primals' structure ({len(flat)} tensors)",
                                  f"{len(given)} tensors"))
    vs = []
    for x, v in zip(flat, given):
        t = convert(v, x._spec.dtype, True)
        if t._spec is not x._spec:
            raise ShapeError(complain(what, "each tangent", f"like its primal, {x._spec}", t._spec))
        vs.append(t)
    return xs, flat, vs


def jvp(f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False) -> Any:
    """The value of a function and its directional derivative: (f(x), sum over j of df/dx_j v_j), in one pass forward.

    primals   tuple of f's arguments (or its single tensor argument)
    tangents  their directions, in the same structure
    has_aux   whether f returns (result, aux); then the result is (value, derivative, aux)

    >>> import adjoint as ad
    >>> y, dy = ad.jvp(lambda x: x * x, (3.0,), (1.0,))
    >>> float(y), float(dy)
    (9.0, 6.0)
    """
    _checked_function("jvp", f)
    xs, flat, vs = _pairs("jvp", primals, tangents)
    with ForwardAccumulator(flat, vs) as acc:
        out = f(*xs)
    aux = None
    if has_aux:
        out, aux = out
    found = acc.jvp(out, "zero")
    return (out, found, aux) if has_aux else (out, found)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(f(x), the function v -> directional derivative of f at x along v), recorded once for any number of directions.

    >>> import adjoint as ad
    >>> y, along = ad.linearize(lambda x: x * x, 3.0)
    >>> float(along(1.0)), float(along(2.0))
    (6.0, 12.0)
    """
    _checked_function("linearize", f)
    tape = BothWays()
    run = _Run("linearize", f, primals, {}, tuple(range(len(primals))), False, tape)

    def along(*tangents: Any) -> Any:
        given = _nest.flatten(tuple(tangents))
        if len(given) != len(run.sources):
            raise ShapeError(complain("linearize", "the tangents", f"one for each of {len(run.sources)} primals",
                                      len(given)))
        places = []
        for s, v, at in zip(run.sources, given, tape._watched):
            t = convert(v, s._spec.dtype, True)
            if t._spec is not s._spec:
                raise ShapeError(complain("linearize", "each tangent", f"like its primal, {s._spec}", t._spec))
            places.append((*at, t))
        trace = local.trace
        pinned, trace.pinned = trace.pinned, True
        try:
            outs = _nest.flatten(run.out)
            found = _derive.forward_sweep(tape._spans(), places, outs)
        finally:
            trace.pinned = pinned
        filled = [zeros_of(y._spec) if t is None else t for t, y in zip(found, outs)]
        return filled[0] if isinstance(run.out, Value) else _nest.pack(run.out, filled)

    return run.out, along


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(f(x), pullback): the value and the function that carries a cotangent of it back to the arguments.

        pullback(w)_j = sum over i of w_i df_i/dx_j

    pullback takes one argument of the structure of f's result and gives a tuple, one entry for each primal, as often as
    it is asked. With has_aux, f returns (result, aux) and the result is (value, pullback, aux).

    >>> import adjoint as ad
    >>> y, pullback = ad.vjp(lambda x, w: x * w, 3.0, 2.0)
    >>> [float(g) for g in pullback(1.0)]
    [2.0, 3.0]
    """
    _checked_function("vjp", f)
    run = _Run("vjp", f, primals, {}, tuple(range(len(primals))), has_aux, GradientTape(True, False))
    targets = _nest.flatten(run.out)

    def pullback(cotangents: Any) -> Any:
        given = _nest.flatten(cotangents) if not isinstance(run.out, Value) else [cotangents]
        if len(given) != len(targets):
            raise ShapeError(complain("vjp", "the pullback's argument",
                                      f"of the result's structure ({len(targets)} tensors)",
                                      f"{len(given)} tensors"))
        for y, c in zip(targets, given):
            if isinstance(y, Value) and tuple(convert(c)._spec.shape) != y._spec.shape:
                raise ShapeError(complain("vjp", "each cotangent", f"of its result's shape {y._spec.shape}",
                                          convert(c)._spec.shape))
        found = run.tape.gradient(targets, run.sources, given)
        return run.packed(found, lambda s: zeros_of(s._spec))

    return (run.out, pullback, run.aux) if has_aux else (run.out, pullback)


def hvp(f: Callable[..., Any], primals: Any, tangents: Any) -> Any:
    """The product of a function's Hessian with a vector, without the Hessian: forward mode over reverse mode.

        hvp(f, x, v)_i = sum over j of d2f/dx_i dx_j v_j

    primals   the argument of f (a tensor), or a tuple of its arguments
    tangents  the vector, in the same structure; the result has it too

    >>> import adjoint as ad
    >>> float(ad.hvp(lambda x: x * x * x, 2.0, 1.0))
    12.0
    """
    _checked_function("hvp", f)
    single = not isinstance(primals, (tuple, list))
    n = 1 if single else len(primals)
    found = jvp(grad(f, tuple(range(n))), primals, tangents)[1]
    return found[0] if single else type(primals)(found) if not hasattr(primals, "_fields") else tuple(found)



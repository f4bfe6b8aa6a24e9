"""Cotangents in the making: sparse ones, veiled ones, their sums, and the shape and dtype they have to fit."""
from __future__ import annotations

from typing import Any

from ._errors import AdjointError
from ._graph import Node, Spec
from ._trace import Trace
from .primitives.arithmetic import add, multiply, negative
from .primitives.broadcast import sum_to
from .primitives.comparison import WHERE, where
from .primitives.complex import conj, real
from .primitives.convert import cast


class Sparse:
    """A cotangent that is nonzero in a few rows only: a gather's, until something needs it dense."""

    __slots__ = ("indices", "shape", "values")

    def __init__(self, indices: Any, values: Any, shape: tuple[int, ...]) -> None:
        self.indices, self.values, self.shape = indices, values, shape


class Veiled:
    """A cotangent behind a ``where``: it is zero wherever the branch was not taken, whatever its value says there.

    taken: (place of the condition, branch) -> condition; clean: whether the value has those zeros already. Elementwise
    operations hand the veil on, so that an infinite slope in the branch not taken (0 * inf) costs one selection where
    the veil ends.
    """

    __slots__ = ("clean", "taken", "value")

    def __init__(self, value: Any, taken: dict[Any, Any], clean: bool) -> None:
        self.value, self.taken, self.clean = value, taken, clean


def bare(g: Any) -> Any:
    """A cotangent with its veil taken off: zeros where the branch was not taken."""
    if g.__class__ is not Veiled:
        return g
    value = g.value
    if not g.clean:
        for (_, _, branch), condition in g.taken.items():
            value = where(condition, value, 0) if branch else where(condition, 0, value)
    return value


def veiled(trace: Trace, node: Node, position: int, g: Any, before: Any, over: Veiled | None,
          xs: tuple[Any, ...]) -> Veiled:
    """The cotangent of an elementwise operation's input, under the veil of its result or of the operation itself."""
    taken, clean = (over.taken, over.clean) if over is not None else ({}, True)
    if node.op.prim is WHERE:  # type: ignore[union-attr]
        taken = {**taken, (trace, node.args[0], position == 1): xs[0]}
    elif g is not before:
        clean = False
    return Veiled(g, taken, clean)


def _add_veiled(a: Veiled, b: Veiled) -> Any:
    """The sum of two veiled cotangents, under what their veils have in common."""
    if a.taken.keys() == b.taken.keys():
        return Veiled(add(a.value, b.value), a.taken, a.clean and b.clean)
    total = add(bare(a), bare(b))
    common = {k: c for k, c in a.taken.items() if k in b.taken}
    return Veiled(total, common, True) if common else total


class _Rules:
    """Rules that higher modules put in: how a custom gradient is called, how a sparse cotangent becomes dense."""

    @staticmethod
    def densify(sparse: Sparse) -> Any:
        raise AdjointError("no rule for sparse cotangents is loaded")

    @staticmethod
    def join(a: Sparse, b: Sparse) -> Any:
        raise AdjointError("no rule for sparse cotangents is loaded")


rules = _Rules()


def apply_partial(partial: Any, t: Any, reverse: bool) -> Any:
    """The diagonal linear map of one partial applied to a cotangent (``reverse``) or a tangent."""
    if partial.__class__ in (int, float):
        return t if partial == 1 else negative(t) if partial == -1 else multiply(t, float(partial))
    if callable(partial) and not hasattr(partial, "_spec"):
        return conj(partial(conj(t))) if reverse and t._spec.dtype.kind == "c" else partial(t)
    if reverse and partial._spec.dtype.kind == "c":
        partial = conj(partial)
    return multiply(t, partial)


def fit(cotangent: Any, want: Spec) -> Any:
    """A cotangent brought to the shape and dtype of the value it belongs to."""
    have = cotangent._spec
    if have is want:
        return cotangent
    if have.dtype.kind == "c" and want.dtype.kind != "c":
        cotangent = real(cotangent)
    if have.shape != want.shape:
        cotangent = sum_to(cotangent, want.shape)
    return cast(cotangent, want.dtype)


def accumulate(a: Any, b: Any) -> Any:
    """The sum of two cotangents, either of which may be None or sparse."""
    if a is None or b is None:
        return b if a is None else a
    if a.__class__ is Veiled and b.__class__ is Veiled:
        return _add_veiled(a, b)
    a, b = bare(a), bare(b)
    if a.__class__ is Sparse:
        if b.__class__ is Sparse:
            return rules.join(a, b)
        a = rules.densify(a)
    elif b.__class__ is Sparse:
        b = rules.densify(b)
    return add(a, b)


def dense(g: Any) -> Any:
    """A cotangent as a tensor, in case it is sparse."""
    return rules.densify(g) if g.__class__ is Sparse else g

"""Norms of nests, and clipping."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dtypes, _nest
from .._errors import ArgumentError, complain
from .._tensor import Value, Variable, wrap
from ..primitives.arithmetic import add, divide, multiply, subtract
from ..primitives.broadcast import sum as total
from ..primitives.comparison import greater, maximum, minimum, where
from ..primitives.complex import abs as absolute
from ..primitives.convert import cast, convert
from ..primitives.transcendental import sqrt
from ._core import Nest, Transform, each, number, stateless, times

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "clip_global_norm", "clip_norm", "global_norm"]


def _square_sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of squared magnitudes in float64, where a float32's squares neither overflow nor vanish."""
    if x._spec.dtype.kind == "c":
        x = absolute(x)
    wide = cast(x, _dtypes.float64)
    return total(multiply(wide, wide), axis=axis, keepdims=keepdims)


def _values(operation: str, nest: Nest) -> list[Any]:
    found = []
    for x in _nest.flatten(nest):
        if x is None:
            continue
        t = x if isinstance(x, Value) else convert(x)
        if t._spec.dtype.kind not in "fc":
            raise ArgumentError(complain(operation, "each tensor", "floating or complex", t._spec.dtype.name))
        found.append(t)
    return found


def _widest(values: list[Any]) -> Any:
    dtype = values[0]._spec.dtype.real_dtype
    for v in values[1:]:
        dtype = _dtypes.promote(dtype, v._spec.dtype.real_dtype)
    return dtype


def _norm64(values: list[Any]) -> Any:
    squares = _square_sum(values[0])
    for v in values[1:]:
        squares = add(squares, _square_sum(v))
    return sqrt(squares)


def global_norm(values: Nest) -> Any:
    """The Euclidean norm of everything in a nest: sqrt of the sum of all squared magnitudes.

    values   a tensor or a nest of floating or complex tensors; None is skipped

    The squares are summed in float64, so that a float32 norm has no overflow, no underflow and no rounding but its
    last. The norm of nothing is 0. Raises ArgumentError for integers.

    >>> import adjoint as ad
    >>> float(ad.optim.global_norm([ad.constant([3.0]), None, ad.constant(4.0)]))
    5.0
    """
    flat = _values("global_norm", values)
    return cast(_norm64(flat), _widest(flat)) if flat else wrap(np.zeros((), np.float32))


def _factor(norm: Any, limit: Any) -> Any:
    """min(1, limit / norm) in float64; NaN for a norm that is not finite, so that it can't go unnoticed."""
    over = greater(norm, limit)
    return add(where(over, divide(limit, where(over, norm, 1.0)), 1.0), subtract(norm, norm))


def clip_norm(x: Any, max_norm: Any, axis: Any = None) -> Any:
    """``x`` scaled down, where its Euclidean norm is above ``max_norm``, to that norm.

    x          floating or complex tensor
    max_norm   a number or scalar tensor above 0
    axis       the axes that the norm is taken over; None for all

    A tensor within the bound is unchanged to the last bit. One that holds NaN or infinity becomes NaN.

    >>> import adjoint as ad
    >>> ad.optim.clip_norm(ad.constant([3.0, 4.0]), 2.5).tolist()
    [1.5, 2.0]
    """
    (t,) = _values("clip_norm", [x])
    limit = _limit("clip_norm", max_norm)
    return times(t, _factor(sqrt(_square_sum(t, axis, True)), limit)) if axis is not None else times(
        t, _factor(sqrt(_square_sum(t)), limit))


def _limit(operation: str, value: Any) -> Any:
    if isinstance(value, Value):
        return cast(value, _dtypes.float64)
    x = number(operation, "max_norm", value)
    if x <= 0:
        raise ArgumentError(complain(operation, "max_norm", "above 0", f"{x:g}"))
    return x


def clip_global_norm(values: Nest, max_norm: Any, norm: Any = None, check: bool = False) -> tuple[Nest, Any]:
    """A nest scaled down so that its global norm is at most ``max_norm``, and the norm that it had.

    values     nest of tensors; None stays None
    max_norm   a number or scalar tensor above 0
    norm       the global norm where it is known already
    check      look at the norm, and raise ArgumentError that names the values which are not finite

    Each value is multiplied by min(1, max_norm / norm): within the bound nothing changes, not even a last bit. Without
    ``check`` a norm that is not finite makes everything NaN, as in TensorFlow.

    >>> import adjoint as ad
    >>> clipped, norm = ad.optim.clip_global_norm([ad.constant([3.0, 4.0]), None], 1.0)
    >>> float(norm), clipped[1] is None
    (5.0, True)
    """
    flat = _values("clip_global_norm", values)
    if not flat:
        return values, wrap(np.zeros((), np.float32))
    limit = _limit("clip_global_norm", max_norm)
    wide = _norm64(flat) if norm is None else cast(norm if isinstance(norm, Value) else convert(norm), _dtypes.float64)
    if check:
        check_finite("clip_global_norm", wide, values)
    factor = _factor(wide, limit)
    clipped = _nest.map_structure(
        lambda x: None if x is None else times(x if isinstance(x, Value) else convert(x), factor), values)
    return clipped, cast(wide, _widest(flat))


def check_finite(operation: str, norm: Any, values: Nest, params: Nest = None) -> None:
    """ArgumentError that names the values of a nest which hold NaN or infinity, when the norm says that some do."""
    owners = _nest.flatten(params) if params is not None else []
    if np.isfinite(norm._look()):
        return
    bad = []
    for k, x in enumerate(_nest.flatten(values)):
        if x is not None:
            array = np.asarray((x if isinstance(x, Value) else convert(x))._look())
            count = int(array.size - np.isfinite(array).sum())
            if count:
                kind = "NaN" if np.isnan(array).any() else "infinity"
                label = x.name if isinstance(x, Variable) else f"number {k}"
                if k < len(owners) and isinstance(owners[k], Variable):
                    label = f"the gradient of {owners[k].name}"
                bad.append(f"{label} holds {kind} ({count} of {array.size} elements)")
    found = "; ".join(bad) or "finite values whose squares overflow"
    raise ArgumentError(f"{operation}: the global norm must be finite, got {float(norm._look())}: {found}; nothing was "
                        f"changed")


def clip_by_value(low: Any, high: Any = None) -> Transform:
    """Limits every element of the updates to [low, high]; with one argument to [-low, low]."""
    if high is None:
        high = number("clip_by_value", "low", low, 0.0)
        low = -high
    low, high = number("clip_by_value", "low", low), number("clip_by_value", "high", high)
    if low > high:
        raise ArgumentError(complain("clip_by_value", "low", f"at most high, {high:g}", f"{low:g}"))
    return stateless(lambda updates, params: each(
        lambda u: None if u is None else minimum(maximum(u, low), high), updates))


def clip_by_norm(max_norm: Any) -> Transform:
    """Scales each update down to norm ``max_norm`` where it is above."""
    _limit("clip_by_norm", max_norm)
    return stateless(lambda updates, params: each(lambda u: None if u is None else clip_norm(u, max_norm), updates))


def clip_by_global_norm(max_norm: Any, check: bool = False) -> Transform:
    """Scales all updates by one factor so that their global norm is at most ``max_norm``; the state records the norm.

    The state is {"norm": the global norm before clipping}. With ``check`` the norm is looked at in each step (which
    computes what is pending), and one that is not finite raises ArgumentError that names the variables to blame.

    >>> import adjoint as ad
    >>> rule = ad.optim.clip_by_global_norm(1.0)
    >>> updates, state = rule.update([ad.constant([3.0, 4.0])], rule.init([ad.constant([0.0, 0.0])]))
    >>> float(state["norm"])
    5.0
    """
    _limit("clip_by_global_norm", max_norm)

    def init(params: Nest) -> Any:
        flat = _values("clip_by_global_norm", params)
        return {"norm": wrap(np.zeros((), (_widest(flat) if flat else _dtypes.float32).np))}

    def update(updates: Nest, state: Any, params: Nest = None, given: Any = None) -> tuple[Nest, Any]:
        if check:
            check_finite("clip_by_global_norm", global_norm(updates), updates, params)
        updates, norm = clip_global_norm(updates, max_norm)
        return updates, {"norm": norm}

    return Transform(init, update, lambda state: ((), ()))

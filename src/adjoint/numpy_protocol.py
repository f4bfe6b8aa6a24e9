"""NumPy's functions on tensors: ``np.sin(t)``, ``np.sum(t)``, ``array * t`` are recorded like adjoint's own."""
from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ._errors import NotSupportedError
from ._tensor import Value

__all__: list[str] = []

# NumPy's older names for what the array API standard (and so adjoint) calls otherwise.
_OTHER_NAMES = {
    "absolute": "abs", "fabs": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "true_divide": "divide", "power": "pow", "float_power": "pow",
    "invert": "bitwise_invert",
    "bitwise_not": "bitwise_invert", "left_shift": "bitwise_left_shift", "right_shift": "bitwise_right_shift", "mod": "remainder",
    "conjugate": "conj", "fmax": "maximum", "fmin": "minimum", "rint": "round", "around": "round", "round_": "round",
    "amax": "max", "amin": "min", "concatenate": "concat",
    "row_stack": "vstack",
}
_REDUCE = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any"}
_ACCUMULATE = {"add": "cumulative_sum", "multiply": "cumulative_prod"}
_RENAMED = {"axes": "axis", "a": "x", "arr": "x", "ary": "x", "m": "x", "newshape": "shape", "ddof": "correction",
            "array": "x", "condition": "condition"}
_DEFAULTS = (None, np._NoValue, "K", "C", "same_kind", True)


_namespace: list[dict[str, Any]] = [{}]


def provide(namespace: dict[str, Any]) -> None:
    """Say where adjoint's functions are found (the package itself, once it is complete)."""
    _namespace[0] = namespace


@lru_cache(None)
def _ours(name: str) -> Callable[..., Any]:
    found = _namespace[0].get(_OTHER_NAMES.get(name, name))
    if not callable(found):
        raise NotSupportedError(
            f"np.{name} on a tensor: adjoint has no function of that meaning; np.{name}(x.numpy()) computes the value "
            f"without a gradient")
    return found  # type: ignore[no-any-return]


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    out = kwargs.pop("out", None)
    if out is not None:
        raise NotSupportedError(f"np.{ufunc.__name__} with out=: tensors are immutable; use the result instead")
    where = kwargs.pop("where", True)
    if where is not True:
        raise NotSupportedError(f"np.{ufunc.__name__} with where=: use ad.where(condition, result, other)")
    dtype = kwargs.pop("dtype", None)
    name = ufunc.__name__
    if method == "__call__":
        result = _ours(name)(*inputs)
    elif method == "reduce" and name in _REDUCE:
        axis = kwargs.pop("axis", 0)
        result = _ours(_REDUCE[name])(inputs[0], axis=axis, keepdims=kwargs.pop("keepdims", False))
    elif method == "accumulate" and name in _ACCUMULATE:
        result = _ours(_ACCUMULATE[name])(inputs[0], axis=kwargs.pop("axis", 0))
    elif method == "outer":
        a, b = _ours("asarray")(inputs[0]), _ours("asarray")(inputs[1])
        result = _ours(name)(a.reshape(tuple(a.shape) + (1,) * b.ndim), b)
    else:
        raise NotSupportedError(f"np.{name}.{method} on a tensor: not supported; use adjoint's functions")
    return result if dtype is None else result.astype(dtype)


def _array_function(self: Any, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    ours = _ours(func.__name__)
    if kwargs:
        kwargs = _matching(func, ours, kwargs)
    return ours(*args, **kwargs)


def _matching(func: Any, ours: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """NumPy's keywords in adjoint's names; a default that adjoint has no word for is dropped, anything else raises."""
    known = inspect.signature(ours).parameters
    found: dict[str, Any] = {}
    for key, value in kwargs.items():
        name = key if key in known else _RENAMED.get(key, key)
        if name in known:
            found[name] = value
        elif not any(value is d for d in _DEFAULTS):
            raise NotSupportedError(f"np.{func.__name__} on a tensor: the argument {key}={value!r} is not supported")
    return found


def _array_namespace(self: Any, api_version: str | None = None) -> Any:
    import adjoint

    return adjoint


Value.__array_ufunc__ = _array_ufunc  # type: ignore[attr-defined]
Value.__array_function__ = _array_function  # type: ignore[attr-defined]
Value.__array_namespace__ = _array_namespace  # type: ignore[attr-defined]

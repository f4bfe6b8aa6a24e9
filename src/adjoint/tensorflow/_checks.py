"""tf.debugging: assertions, which raise InvalidArgumentError."""
from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as ad

from .._dtypes import as_dtype
from .._errors import ArgumentError, DtypeError
from ._arrays import ints, tensor
from ._bind import public, put
from ._maths import _pair


def _fail(message: Any, what: str) -> ArgumentError:
    return ArgumentError(f"{message}: {what}" if message else what)


@public("Assert debugging.Assert")
def assert_(condition: Any, data: Any, summarize: Any = None, name: str | None = None) -> None:
    """Raise InvalidArgumentError with ``data`` unless the condition holds."""
    if not bool(ad.all(tensor(condition))):
        raise ArgumentError(f"assertion failed: {[v.numpy() if hasattr(v, 'numpy') else v for v in data]}")


def _comparison(paths: str, ours: str, sign: str) -> Any:
    def check(x: Any, y: Any, message: Any = None, summarize: Any = None, name: str | None = None) -> None:
        a, b = _pair(x, y, "assert")
        if not bool(ad.all(getattr(ad, ours)(a, b))):
            raise _fail(message, f"Condition x {sign} y did not hold: x = {a.numpy()}, y = {b.numpy()}")

    check.__name__ = (paths.split() or ["check"])[0].rpartition(".")[2]
    check.__doc__ = f"Raise InvalidArgumentError unless x {sign} y."
    put(paths, check)
    return check


_NONE_EQUAL = _comparison("", "not_equal", "!=")
_comparison("assert_equal debugging.assert_equal", "equal", "==")
_comparison("assert_greater debugging.assert_greater", "greater", ">")
_comparison("debugging.assert_greater_equal", "greater_equal", ">=")
_comparison("assert_less debugging.assert_less", "less", "<")
_comparison("debugging.assert_less_equal", "less_equal", "<=")


@public("debugging.assert_none_equal")
def assert_none_equal(x: Any, y: Any, summarize: Any = None, message: Any = None, name: str | None = None) -> None:
    """Raise InvalidArgumentError unless x != y."""
    _NONE_EQUAL(x, y, message)


def _sign(paths: str, ours: str, sign: str) -> None:
    def check(x: Any, message: Any = None, summarize: Any = None, name: str | None = None) -> None:
        t = tensor(x)
        if not bool(ad.all(getattr(ad, ours)(t, ad.zeros((), dtype=t.dtype)))):
            raise _fail(message, f"Condition x {sign} 0 did not hold element-wise: x = {t.numpy()}")

    check.__name__, check.__doc__ = paths.rpartition(".")[2], f"Raise InvalidArgumentError unless x {sign} 0."
    put(paths, check)


_sign("debugging.assert_positive", "greater", ">")
_sign("debugging.assert_negative", "less", "<")
_sign("debugging.assert_non_negative", "greater_equal", ">=")
_sign("debugging.assert_non_positive", "less_equal", "<=")


@public("debugging.assert_near")
def assert_near(x: Any, y: Any, rtol: Any = None, atol: Any = None, message: Any = None, summarize: Any = None,
                name: str | None = None) -> None:
    """Raise InvalidArgumentError unless |x - y| <= atol + rtol |y|; both are ten times the dtype's epsilon."""
    a, b = _pair(x, y, "assert_near")
    step = 10 * float(np.finfo(a.dtype.np).eps)
    limit = (step if atol is None else float(atol)) + (step if rtol is None else float(rtol)) * np.abs(b.numpy())
    if not (np.abs(a.numpy() - b.numpy()) <= limit).all():
        raise _fail(message, f"x and y not equal to tolerance: x = {a.numpy()}, y = {b.numpy()}")


@public("debugging.check_numerics")
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor, after a check that it holds no infinity and no NaN."""
    t = tensor if hasattr(tensor, "_spec") else ad.constant(tensor)
    value = t.numpy()
    if not np.isfinite(value).all():
        found = " and ".join(n for n, hit in (("Inf", np.isinf(value).any()), ("NaN", np.isnan(value).any())) if hit)
        raise ArgumentError(f"{message} : Tensor had {found} values")
    return t


@public("debugging.assert_all_finite")
def assert_all_finite(x: Any, message: str, name: str | None = None) -> Any:
    """The tensor, after a check that it holds no infinity and no NaN."""
    return check_numerics(x, message)


@public("debugging.assert_rank assert_rank")
def assert_rank(x: Any, rank: Any, message: Any = None, name: str | None = None) -> None:
    """Raise ValueError unless the tensor has so many axes."""
    if tensor(x).ndim != ints(rank):
        raise ValueError(f"{message or ''} Tensor must have rank {ints(rank)}. Received rank {tensor(x).ndim}".strip())


@public("debugging.assert_rank_at_least")
def assert_rank_at_least(x: Any, rank: Any, message: Any = None, name: str | None = None) -> None:
    """Raise ValueError unless the tensor has so many axes or more."""
    if tensor(x).ndim < ints(rank):
        raise ValueError(f"{message or ''} Tensor must have rank at least {ints(rank)}. Received rank {tensor(x).ndim}".strip())


@public("debugging.assert_scalar")
def assert_scalar(tensor: Any, message: Any = None, name: str | None = None) -> Any:
    """The tensor, after a check that it is a scalar."""
    t = tensor if hasattr(tensor, "_spec") else ad.constant(tensor)
    if t.ndim:
        raise ValueError(f"{message or ''} Expected scalar shape, saw shape: {tuple(t.shape)}.".strip())
    return t


@public("debugging.assert_type")
def assert_type(tensor: Any, tf_type: Any, message: Any = None, name: str | None = None) -> None:
    """Raise TypeError unless the tensor is of a dtype."""
    t = tensor if hasattr(tensor, "_spec") else ad.constant(tensor)
    if t.dtype is not as_dtype(tf_type):
        raise DtypeError(f"{message or ''} tensor must be of type {as_dtype(tf_type)!r}; got {t.dtype!r}".strip())


@public("debugging.assert_integer")
def assert_integer(x: Any, message: Any = None, name: str | None = None) -> None:
    """Raise TypeError unless the tensor is of an integer dtype."""
    if tensor(x).dtype.kind not in "iu":
        raise DtypeError(f"{message or ''} Expected \"x\" to be integer type. Found: {tensor(x).dtype!r}".strip())


@public("debugging.is_numeric_tensor")
def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return hasattr(tensor, "_spec") and tensor.dtype.kind in "iufc"


@public("debugging.assert_shapes")
def assert_shapes(shapes: Any, data: Any = None, summarize: Any = None, message: Any = None, name: str | None = None) -> None:
    """Raise ValueError unless tensors have their shapes, in which the same letter stands for the same length everywhere."""
    known: dict[Any, int] = {}
    for x, wanted in shapes.items() if isinstance(shapes, dict) else shapes:
        t = tensor(x)
        dims = tuple(wanted) if isinstance(wanted, (tuple, list, str)) else (wanted,)
        if Ellipsis in dims or "*" in dims:
            cut = next(k for k, d in enumerate(dims) if d in (Ellipsis, "*"))
            dims = dims[:cut] + (".",) * (t.ndim - len(dims) + 1) + dims[cut + 1:]
        if len(dims) != t.ndim:
            raise ValueError(f"{message or ''} Specified by shape {wanted}: tensor must have rank {len(dims)}, has {t.ndim}")
        for d, n in zip(dims, tuple(t.shape)):
            if d in (".", None) or isinstance(d, int) and d == n:
                continue
            if isinstance(d, int) or known.setdefault(d, n) != n:
                raise ValueError(f"{message or ''} Specified by shape {wanted}: dimension {d} is {n} in {tuple(t.shape)}")

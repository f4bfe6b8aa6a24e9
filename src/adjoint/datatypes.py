"""The array API standard's questions about dtypes."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._dtypes import DType, as_dtype, promote, weak_dtype
from ._errors import DtypeError, complain
from ._tensor import Value
from .primitives.convert import cast

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_KINDS = {
    "bool": "b", "signed integer": "i", "unsigned integer": "u", "integral": "iu", "real floating": "f",
    "complex floating": "c", "numeric": "iufc",
}


def astype(x: Any, dtype: Any, copy: bool = True) -> Any:
    """``x`` converted to ``dtype``; the standard's name for ``cast`` (``copy`` is accepted: tensors are immutable)."""
    return cast(x, dtype)


def can_cast(from_: Any, to: Any) -> bool:
    """Whether the promotion table allows ``from_`` (a tensor or a dtype) to become ``to``.

    >>> import adjoint as ad
    >>> ad.can_cast(ad.float32, ad.float64), ad.can_cast(ad.float64, ad.float32)
    (True, False)
    """
    source = from_.dtype if isinstance(from_, Value) else as_dtype(from_)
    want = as_dtype(to)
    try:
        return promote(source, want) is want
    except DtypeError:
        return False


def _dtype_of(x: Any) -> DType:
    return x.dtype if isinstance(x, Value) else as_dtype(getattr(x, "dtype", x))


def finfo(type: Any) -> Any:
    """Limits of a floating or complex dtype: bits, eps, max, min, smallest_normal, dtype.

    >>> import adjoint as ad
    >>> float(ad.finfo(ad.float32).eps)
    1.1920928955078125e-07
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "fc":
        raise DtypeError(complain("finfo", "type", "a floating or complex dtype", dtype.name))
    if dtype.name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(dtype.np)
    return np.finfo(dtype.np)


def iinfo(type: Any) -> Any:
    """Limits of an integer dtype: bits, max, min, dtype.

    >>> import adjoint as ad
    >>> ad.iinfo(ad.int8).max
    127
    """
    dtype = _dtype_of(type)
    if dtype.kind not in "iu":
        raise DtypeError(complain("iinfo", "type", "an integer dtype", dtype.name))
    return np.iinfo(dtype.np)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether ``dtype`` is of a kind: a dtype, one of the standard's names ("integral", "real floating", ...), or any of
    a tuple of these.

    >>> import adjoint as ad
    >>> ad.isdtype(ad.float32, ("integral", "real floating"))
    True
    """
    have = as_dtype(dtype)
    if isinstance(kind, tuple):
        return any(isdtype(have, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return have.kind in _KINDS[kind]
    if isinstance(kind, str) and kind not in ("bool_",) and not hasattr(np, kind):
        raise ValueError(complain("isdtype", "kind", f"a dtype or one of {', '.join(_KINDS)}", repr(kind)))
    return have is as_dtype(kind)


def result_type(*values: Any) -> DType:
    """The dtype that the promotion table gives for tensors, dtypes and Python scalars together.

    >>> import adjoint as ad
    >>> ad.result_type(ad.int32, ad.float32, 2.0).name
    'float32'
    """
    strong = [v for v in values if v.__class__ not in (bool, int, float, complex)]
    weak = [v.__class__ for v in values if v.__class__ in (bool, int, float, complex)]
    if not strong:
        raise ValueError(complain("result_type", "the arguments", "at least one tensor or dtype", repr(values)))
    found = _dtype_of(strong[0])
    for v in strong[1:]:
        found = promote(found, _dtype_of(v))
    for kind in weak:
        found = promote(found, weak_dtype(kind, found))
    return found

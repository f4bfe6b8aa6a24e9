"""Parts of complex numbers."""
from __future__ import annotations

from typing import Any

import numpy as np

from .._graph import Primitive, spec
from .._trace import record
from ._make import check_kind
from .convert import cast, convert

__all__ = ["conj", "imag", "real"]


def _part(name: str, kernel: Any, vjp: Any, doc: str) -> Any:
    def infer(x: Any) -> Any:
        check_kind(name, x.dtype, "fc")
        return spec(x.shape, x.dtype.real_dtype)

    return Primitive(name, infer, kernel, vjp=vjp, linear=(0,), doc=doc).op()


_REAL = _part("real", lambda x: np.real(x).copy(), lambda g, y, x: (cast(g, x.dtype),), "The real part of z.")
_IMAG = _part("imag", lambda x: np.imag(x).copy(), lambda g, y, x: (_times_i(g, x.dtype),), "The imaginary part of z.")
_CONJ = Primitive("conj", lambda x: x, np.conj, vjp=lambda g, y, x: (conj(g),), linear=(0,), doc="The conjugate of z.").op()


def _times_i(g: Any, dtype: Any) -> Any:
    return cast(g, dtype) * 1j


def real(x: Any) -> Any:
    """The real part of ``x`` (a real ``x`` itself)."""
    t = convert(x)
    return record(_REAL, t) if t._spec.dtype.kind == "c" else t


def imag(x: Any) -> Any:
    """The imaginary part of ``x`` (zeros for a real ``x``)."""
    t = convert(x)
    return record(_IMAG, t) if t._spec.dtype.kind == "c" else t * 0.0


def conj(x: Any) -> Any:
    """The complex conjugate of ``x`` (a real ``x`` itself)."""
    t = convert(x)
    return record(_CONJ, t) if t._spec.dtype.kind == "c" else t



"""Parts of complex numbers, the absolute value and the sign."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import promote
from .._errors import DtypeError, complain
from .._graph import Primitive, Spec, spec
from .._tensor import Value
from .._trace import record
from ._accuracy import ROUNDED
from ._make import broadcast_shapes, check_kind, elementwise, install
from .arithmetic import beside, dispatch, divide_no_nan, example, multiply, public_doc, wide
from .convert import cast, convert

__all__ = ["abs", "complex", "conj", "imag", "real", "sign"]


def _samples(rng: Any) -> Any:
    return (rng.normal(size=(2, 3)) + 1j * rng.normal(size=(2, 3)),), {}


def _part(name: str, kernel: Any, vjp: Any, doc: str) -> Any:
    def infer(x: Any) -> Any:
        check_kind(name, x.dtype, "fc")
        return spec(x.shape, x.dtype.real_dtype)

    return Primitive(name, infer, kernel, vjp=vjp, linear=(0,), elementwise=True, cases=(_samples,),
                     oracle=f"numpy.{name}", doc=doc).op()


_REAL = _part("real", lambda x: np.real(x).copy(), lambda g, y, x: (cast(g, x.dtype),), "The real part of z.")
_IMAG = _part("imag", lambda x: np.imag(x).copy(), lambda g, y, x: (_times_i(g, x.dtype),), "The imaginary part of z.")
_CONJ = Primitive(
    "conj", lambda x: x, np.conj, vjp=lambda g, y, x: (conj(g),), linear=(0,), elementwise=True, cases=(_samples,),
    oracle="numpy.conj", doc="The conjugate of z.").op()


def _times_i(g: Any, dtype: Any) -> Any:
    return record(_COMPLEX, beside(0.0, g._spec.dtype), g) if dtype.kind == "c" else None


def real(x: Any) -> Any:
    """The real part of ``x`` (a real ``x`` itself).

    >>> import adjoint as ad
    >>> float(ad.real(3.0 + 4.0j))
    3.0
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_REAL, t) if t._spec.dtype.kind == "c" else t


def imag(x: Any) -> Any:
    """The imaginary part of ``x`` (zeros for a real ``x``).

    >>> import adjoint as ad
    >>> float(ad.imag(3.0 + 4.0j))
    4.0
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_IMAG, t)


def conj(x: Any) -> Any:
    """The complex conjugate of ``x`` (a real ``x`` itself).

    >>> import adjoint as ad
    >>> print(ad.conj(3.0 + 4.0j).item())
    (3-4j)
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_CONJ, t) if t._spec.dtype.kind == "c" else t


# ------------------------------------------------------------------------------------------------------------- complex

def _complex_infer(x: Spec, y: Spec) -> Spec:
    check_kind("complex", x.dtype, "f")
    if x.dtype is not y.dtype:
        raise DtypeError(complain("complex", "real and imag", "of one dtype", f"{x.dtype.name} and {y.dtype.name}"))
    if x.dtype.itemsize < 4:
        raise DtypeError(complain("complex", "real and imag", "float32 or float64", x.dtype.name, "cast them first"))
    out = _dtypes.complex128 if x.dtype is _dtypes.float64 else _dtypes.complex64
    return spec(broadcast_shapes("complex", x.shape, y.shape), out)


def _complex_kernel(x: Any, y: Any) -> Any:
    z = np.empty(np.broadcast_shapes(x.shape, y.shape), np.complex64 if x.dtype.char == "f" else np.complex128)
    z.real, z.imag = x, y
    return z


_COMPLEX = Primitive(
    "complex", _complex_infer, _complex_kernel, vjp=lambda g, z, x, y: (real(g), imag(g)), linear=(0, 1), joint=True,
    elementwise=True, domain=((-3.0, 3.0),) * 2, oracle=lambda x, y: x + 1j * y,
    doc="The complex number with these parts.").op()


def complex(real: Any, imag: Any) -> Any:
    """The complex number real + i imag.

    real, imag: float32 or float64 tensors, arrays or Python scalars that broadcast. Raises DtypeError for other dtypes.

    >>> import adjoint as ad
    >>> print(ad.complex(3.0, 4.0).item())
    (3+4j)
    """
    re, im = isinstance(real, Value), isinstance(imag, Value)
    x = convert(real, imag._spec.dtype if im and not re else None, True)
    y = convert(imag, x._spec.dtype, True)
    x, y = (cast(v, _dtypes.float32) if v._spec.dtype.kind in "biu" else v for v in (x, y))
    want = promote(x._spec.dtype, y._spec.dtype)
    return record(_COMPLEX, cast(x, want), cast(y, want))


# -------------------------------------------------------------------------------------- absolute value and sign
# For a complex z the slope of |z| is s = z / |z|; s moves by (t - s Re(conj(s) t)) / |z|, which is its own transpose.

_abs = elementwise(
    "abs", 1, np.abs, lambda r, x: (_sign(x),), kinds="iuf",
    lower=lambda s, x: s.absolute(x), oracle="numpy.abs",
    error=ROUNDED,
    doc="The absolute value of x.")
_sign: Any = elementwise(
    "sign", 1, np.sign, lambda r, x: (None,), kinds="iuf",
    lower=lambda s, x: s.sign(x), oracle="numpy.sign", doc="The sign of x.")


def _complex_sign_kernel(z: Any) -> Any:
    big = np.maximum(np.abs(z.real), np.abs(z.imag))
    scaled = z / np.where((big == 0) | np.isinf(big), 1, big)
    return np.where(big == 0, 0, scaled / np.where(big == 0, 1, np.abs(scaled)))


_MODULUS = Primitive(
    "complex_abs", lambda z: spec(z.shape, z.dtype.real_dtype), np.abs,
    vjp=lambda g, r, z: (multiply(cast(g, z._spec.dtype), _complex_sign(z)),),
    jvp=lambda ts, r, z: real(multiply(conj(_complex_sign(z)), ts[0])), elementwise=True, cases=(_samples,),
    oracle="numpy.abs", doc="The modulus of z.").op()
_PHASE = Primitive(
    "complex_sign", lambda z: z, wide(_complex_sign_kernel), vjp=lambda g, s, z: (_across(g, s, z),),
    jvp=lambda ts, s, z: _across(ts[0], s, z), elementwise=True, cases=(_samples,),
    oracle=lambda z: z / np.abs(z), doc="z / |z|, and 0 at 0.").op()


def _modulus(z: Any) -> Any:
    return record(_MODULUS, z)


def _complex_sign(z: Any) -> Any:
    return record(_PHASE, z)


def _across(t: Any, s: Any, z: Any) -> Any:
    along = cast(real(multiply(conj(s), t)), z._spec.dtype)
    return divide_no_nan(t - s * along, cast(_modulus(z), z._spec.dtype))


abs = dispatch("abs", _abs, _modulus, public_doc(
    example("The absolute value of x, the modulus of a complex x.", "float(ad.abs(-2.0))", "2.0",
            "Its derivative at 0 is 0."), 1))
sign = dispatch("sign", _sign, _complex_sign, public_doc(
    example("The sign of x: -1, 0 or 1; x / |x| for a complex x.", "float(ad.sign(-2.0))", "-1.0",
            "Its derivative for real x is zero (None)."), 1))
install("__abs__", abs)

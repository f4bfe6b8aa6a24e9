"""Rounding, and neighbours among the floating-point numbers. Derivatives are zero (None)."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._errors import DtypeError, complain
from .._graph import Op, Primitive, spec
from .._tensor import Value
from .._trace import record
from ._make import check_kind, elementwise, install
from .arithmetic import example, multiply
from .complex import sign
from .convert import convert

__all__ = ["ceil", "copysign", "floor", "nextafter", "round", "trunc"]


def _floats(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        return x if x.dtype.kind in "iu" else f(x)

    return kernel


floor = elementwise(
    "floor", 1, _floats(np.floor), lambda r, x: (None,), kinds="iuf",
    lower=lambda s, x: s.floor(x), oracle="numpy.floor",
    doc=example("The largest integer not above x.", "float(ad.floor(-1.5))", "-2.0"))

ceil = elementwise(
    "ceil", 1, _floats(np.ceil), lambda r, x: (None,), kinds="iuf",
    lower=lambda s, x: s.ceil(x), oracle="numpy.ceil",
    doc=example("The smallest integer not below x.", "float(ad.ceil(-1.5))", "-1.0"))

trunc = elementwise(
    "trunc", 1, _floats(np.trunc), lambda r, x: (None,), kinds="iuf",
    lower=lambda s, x: s.trunc(x), oracle="numpy.trunc",
    doc=example("The integer part of x.", "float(ad.trunc(-1.5))", "-1.0"))


def _round_infer(x: Any, decimals: int) -> Any:
    check_kind("round", x.dtype, "iufc")
    return spec(x.shape, x.dtype)


def _round_kernel(x: Any, decimals: int) -> Any:
    if x.dtype.kind in "iu" and decimals >= 0:
        return x
    if decimals == 0 and x.dtype.kind != "c":
        return np.rint(x)
    if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
        return np.round(x.astype(np.float32), decimals).astype(x.dtype)
    return np.round(x, decimals)


ROUND = Primitive(
    "round", _round_infer, _round_kernel, partials=lambda r, x, decimals: (None,), elementwise=True,
    lower=lambda s, x, decimals: s.rint(x) if decimals == 0 else None, oracle="numpy.round",
    cases=(lambda rng: ((rng.normal(size=(2, 3)) * 9,), {"decimals": 0}),
           lambda rng: ((rng.normal(size=(2, 3)) * 9,), {"decimals": 1})),
    doc="x rounded to a number of decimals, halves to even.")


@lru_cache(256)
def _round_op(decimals: int) -> Op:
    try:
        return ROUND.op(decimals=decimals.__index__())
    except AttributeError:
        raise DtypeError(complain("round", "decimals", "an integer", repr(decimals))) from None


def round(x: Any, decimals: int = 0) -> Any:
    """``x`` rounded to ``decimals`` decimals, halves to even.

    Elementwise, for numbers of any kind. Its derivative is zero (None).

    >>> import adjoint as ad
    >>> ad.round([0.5, 1.5, 2.5]).tolist()
    [0.0, 2.0, 2.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_round_op(decimals), t)


def _operator(x: Any, ndigits: int | None = None) -> Any:
    return round(x, 0 if ndigits is None else ndigits)


install("__round__", _operator)
install("__floor__", floor)
install("__ceil__", ceil)
install("__trunc__", trunc)

copysign: Any = elementwise(
    "copysign", 2, np.copysign, lambda r, x, y: (multiply(sign(x), copysign(1.0, y)), None), kinds="f",
    lower=lambda s, x, y: s.copysign(x, y), oracle="numpy.copysign",
    doc=example("|x| with the sign of y.", "float(ad.copysign(2.0, -0.0))", "-2.0",
                "Derivative in x: the product of the signs of x and y, 0 at x = 0; in y zero (None)."))

nextafter = elementwise(
    "nextafter", 2, np.nextafter, lambda r, x, y: (1, None), kinds="f", oracle="numpy.nextafter",
    doc=example("The next floating-point number from x towards y.", "float(ad.nextafter(1.0, 2.0)) - 1.0",
                "1.1920928955078125e-07", "Derivative in x: 1; in y zero (None)."))

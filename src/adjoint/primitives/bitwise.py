"""Bits of integers."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._dtypes import promote
from .._graph import Primitive, Spec, spec
from .._operators import binary
from ._make import broadcast_shapes, check_kind, docstring, elementwise, install
from .arithmetic import example

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
]

bitwise_and = elementwise(
    "bitwise_and", 2, np.bitwise_and, None, kinds="biu", operator="and",
    lower=lambda s, x, y: x & y, oracle="numpy.bitwise_and",
    doc=example("The bitwise and, x & y; the logical one for booleans.", "int(ad.bitwise_and(6, 3))", "2"))

bitwise_or = elementwise(
    "bitwise_or", 2, np.bitwise_or, None, kinds="biu", operator="or",
    lower=lambda s, x, y: x | y, oracle="numpy.bitwise_or",
    doc=example("The bitwise or, x | y; the logical one for booleans.", "int(ad.bitwise_or(6, 3))", "7"))

bitwise_xor = elementwise(
    "bitwise_xor", 2, np.bitwise_xor, None, kinds="biu", operator="xor",
    lower=lambda s, x, y: x ^ y, oracle="numpy.bitwise_xor",
    doc=example("The bitwise exclusive or, x ^ y; the logical one for booleans.", "int(ad.bitwise_xor(6, 3))", "5"))

bitwise_invert = elementwise(
    "bitwise_invert", 1, np.invert, None, kinds="biu", operator="invert",
    lower=lambda s, x: ~x, oracle="numpy.invert",
    doc=example("The bitwise complement, ~x; logical not for booleans.", "int(ad.bitwise_invert(6))", "-7"))


def _shift(name: str, kernel: Callable[..., Any], operator: str, doc: str) -> Any:
    def infer(x: Spec, y: Spec) -> Spec:
        check_kind(name, x.dtype, "iu")
        check_kind(name, y.dtype, "iu")
        return spec(broadcast_shapes(name, x.shape, y.shape), promote(x.dtype, y.dtype))

    prim = Primitive(
        name, infer, kernel, elementwise=True, oracle=f"numpy.{name[8:]}", doc=doc,
        cases=(lambda rng: ((rng.integers(0, 99, (2, 3)), rng.integers(0, 7, (3,))), {}),))
    install(f"__{operator}__", binary(prim.op(), f"__{operator}__", ""))
    install(f"__r{operator}__", binary(prim.op(), f"__r{operator}__", "", True))
    function: Any = binary(prim.op(), name, docstring(prim, doc, 2))
    function.primitive = prim
    return function


bitwise_left_shift = _shift(
    "bitwise_left_shift", np.left_shift, "lshift",
    example("The bits of x moved up by y places, x << y.", "int(ad.bitwise_left_shift(3, 2))", "12"))

bitwise_right_shift = _shift(
    "bitwise_right_shift", np.right_shift, "rshift",
    example("The bits of x moved down by y places, x >> y; the sign is kept.", "int(ad.bitwise_right_shift(-8, 1))",
            "-4"))

"""Arithmetic: the operators and what goes with them."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._make import elementwise

__all__ = ["add", "divide", "multiply", "negative", "subtract"]

NUMBERS = "iufc"


# Quotients take their cotangent through a division, not through a reciprocal: one rounding less, no overflow of 1/y**2.

add = elementwise(
    "add", 2, np.add, lambda r, x, y: (1, 1), kinds=NUMBERS, operator="add", oracle="numpy.add",
    lower=lambda s, x, y: x + y, doc="The sum x + y.")

subtract = elementwise(
    "subtract", 2, np.subtract, lambda r, x, y: (1, -1), kinds=NUMBERS, operator="sub", oracle="numpy.subtract",
    lower=lambda s, x, y: x - y, doc="The difference x - y.")

multiply = elementwise(
    "multiply", 2, np.multiply, lambda r, x, y: (y, x), kinds="biufc", operator="mul", oracle="numpy.multiply",
    lower=lambda s, x, y: x * y, doc="The product x * y.")

divide = elementwise(
    "divide", 2, np.true_divide, lambda r, x, y: (lambda t: t / y, lambda t: -(t / y) * r), operator="truediv",
    oracle="numpy.divide",
    domain=((-3.0, 3.0), (0.5, 3.0)), lower=lambda s, x, y: x / y, doc="The quotient x / y.")

negative = elementwise(
    "negative", 1, np.negative, lambda r, x: (-1,), kinds=NUMBERS, operator="neg", oracle="numpy.negative",
    lower=lambda s, x: -x, doc="The negative -x.")

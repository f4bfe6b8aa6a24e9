"""The cross-entropy of two classes from a logit, and its slope, in terms of one sign."""
from __future__ import annotations

from typing import Any

import numpy as np

from .._graph import Primitive
from .._trace import record
from ._accuracy import measured
from ._curves import scipy_special, wide
from ._make import elementwise_infer
from .arithmetic import negative
from .special import sigmoid


def _binary_kernel(z: Any, x: Any) -> Any:
    """log1p(exp(-|x|)) + |x| (1 - z where x >= 0, else z): terms of one sign; a weight of 0 wins over infinity."""
    a = np.abs(x)
    weight = np.where(x >= 0, 1.0 - z, z)
    return np.log1p(np.exp(-a)) + np.where(weight == 0, 0.0, a * weight)


def _binary_slope_kernel(z: Any, x: Any) -> Any:
    e, rest = np.exp(-np.abs(x)), 1.0 - z
    return np.where(x >= 0, rest - z * e, rest * e - z) / (1.0 + e)


def _binary_slope_careful(z: Any, x: Any) -> Any:
    """Near 0, where s(x) - z may be small beside z, as (tanh(x/2) - (2 z - 1)) / 2."""
    middle = np.abs(x) < 1.0
    y = _binary_slope_kernel(z, x)
    return np.where(middle, 0.5 * np.tanh(0.5 * x) - (z - 0.5), y) if middle.any() else y


def _binary_lower(s: Any, z: Any, x: Any) -> Any:
    a = abs(x)
    weight = s.select(x >= 0.0, 1.0 - z, z)
    near = s.softplus(-a)
    return s.select(weight.eq(0.0), near, s.fma(a, weight, near))


def _binary_slope_lower(s: Any, z: Any, x: Any) -> Any:
    t, w = z.to("f64"), x.to("f64")
    e, rest = s.exp(-abs(w)), 1.0 - t
    slope = s.select(w >= 0.0, rest - t * e, rest * e - t) / (e + 1.0)
    if x.type == "f64":                                  # as in _binary_slope_careful
        slope = s.select(abs(w) < 1.0, s.tanh(w * 0.5) * 0.5 - (t - 0.5), slope)
    return slope.to(x.type)


BINARY_SLOPE = Primitive(
    "sigmoid_cross_entropy_slope", elementwise_infer("sigmoid_cross_entropy_slope", ("f", "f"), "same"),
    wide(_binary_slope_kernel, _binary_slope_careful),
    partials=lambda y, z, x: (-1, sigmoid.primitive.partials(None, x)[0]), elementwise=True,
    lower=_binary_slope_lower,
    domain=((0.0, 1.0), (-3.0, 3.0)), oracle=lambda z, x: scipy_special().expit(x) - z,
    doc="sigmoid(logits) - labels, as (1 - z) s(x) - z s(-x).")
BINARY = Primitive(
    "sigmoid_cross_entropy", elementwise_infer("sigmoid_cross_entropy_with_logits", ("f", "f"), "same"),
    wide(_binary_kernel),
    partials=lambda y, z, x: (negative(x), record(BINARY_SLOPE.op(), z, x)), elementwise=True,
    lower=_binary_lower,
    domain=((0.0, 1.0), (-3.0, 3.0)), oracle=lambda z, x: (1 - z) * np.logaddexp(0, x) + z * np.logaddexp(0, -x),
    error=measured("log1p(exp(-|x|)) and a term of the same sign",
                   why="f' in float64 counts against |x f''| where the sigmoid is the label"),
    doc="-z log(sigmoid(x)) - (1 - z) log(1 - sigmoid(x)).")

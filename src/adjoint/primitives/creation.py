"""Tensors from nothing: constant fills and ranges."""
from __future__ import annotations

from typing import Any

import numpy as np

from .._dtypes import DType
from .._graph import Primitive, Spec, spec
from .._trace import record

__all__: list[str] = []

FULL = Primitive(
    "full", lambda shape, value, dtype: spec(shape, dtype),
    lambda shape, value, dtype: np.full(shape, value, dtype.np),
    doc="A tensor filled with one value.")


def full_of(s: Spec, value: float) -> Any:
    """A tensor of this spec filled with a value."""
    dtype: DType = s.dtype
    return record(FULL.op(shape=s.shape, value=value, dtype=dtype))


def zeros_of(s: Spec) -> Any:
    return full_of(s, 0)


def ones_of(s: Spec) -> Any:
    return full_of(s, 1)

"""How an array is seen as rows: the reduced axes last and flat."""
from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .._graph import Shape
from .broadcast import reduced


class _Layout:
    """How an array is seen as rows: the reduced axes last and flat."""

    __slots__ = ("back", "moved", "ones", "order", "out", "rows", "starts")

    def __init__(self, shape: Shape, axes: tuple[int, ...]) -> None:
        rest = tuple(k for k in range(len(shape)) if k not in axes)
        order = rest + axes
        self.order = None if order == tuple(range(len(shape))) else order
        self.back = None if self.order is None else tuple(int(k) for k in np.argsort(order))
        self.moved = tuple(shape[k] for k in order)
        count = prod(shape[k] for k in rest)
        self.rows = (count, prod(shape[k] for k in axes))
        self.out = reduced(shape, axes, False)
        self.ones = np.ones(self.rows[1])
        self.starts = np.arange(count) * self.rows[1]    # where each row begins in the flat array

    def apart(self, x: Any) -> Any:
        return (x if self.order is None else x.transpose(self.order)).reshape(self.rows)

    def whole(self, rows: Any) -> Any:
        x = rows.reshape(self.moved)
        return x if self.back is None else x.transpose(self.back)


@lru_cache(512)
def _small_layout(shape: Shape, axes: tuple[int, ...]) -> _Layout:
    return _Layout(shape, axes)


def layout(x: Any, axes: tuple[int, ...]) -> _Layout:
    return (_small_layout if x.size < 65536 else _Layout)(x.shape, axes)

"""IndexedSlices: the gradient of a gather from a variable, as the rows that were gathered."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._cotangents import Sparse, rules
from ._dtypes import DType
from ._graph import Op
from ._tensor import Shape, Tensor
from ._trace import record
from .primitives import indexing
from .primitives.arithmetic import add, divide, multiply, negative, subtract
from .primitives.convert import cast, convert
from .primitives.indexing import TENSOR, UNINDEX
from .primitives.joining import concat

__all__ = ["IndexedSlices"]

_DENSE: dict[tuple[int, ...], Op] = {}                                              # shape -> Op


def dense(indices: Any, values: Any, shape: tuple[int, ...]) -> Any:
    """The tensor that a few rows stand for; rows with the same index add up."""
    op = _DENSE.get(shape)
    if op is None:
        op = _DENSE[shape] = UNINDEX.op(key=(TENSOR,), shape=shape)
    return record(op, values, indices)


def _join(a: Sparse, b: Sparse) -> Sparse:
    first, second = a.indices, b.indices
    if first._spec.dtype is not second._spec.dtype:
        first, second = cast(first, "int64"), cast(second, "int64")
    return Sparse(concat([first, second], axis=0), concat([a.values, b.values], axis=0), a.shape)


rules.densify = lambda sparse: dense(sparse.indices, sparse.values, sparse.shape)  # type: ignore[method-assign]
rules.join = _join  # type: ignore[method-assign]
indexing.sparse_rows[0] = Sparse


class IndexedSlices:
    """A tensor that is zero outside of a few rows: what ``gradient`` gives for a variable whose rows were gathered.

        dense[indices[i]] += values[i]

    values       the rows, of shape (n, ...)
    indices      their places, integers of shape (n,); a repeated one means the sum
    dense_shape  shape of the whole tensor

    ``Variable.scatter_sub`` and its like apply it row by row. Everywhere else it stands for the dense tensor: functions
    and operators take it, ``convert`` and ``np.asarray`` make it dense. A product with a number or a scalar tensor and a sum
    of two keep the form.

    >>> import adjoint as ad
    >>> table = ad.Variable([[1.0], [2.0], [3.0]])
    >>> with ad.GradientTape() as tape:
    ...     loss = ad.sum(ad.gather(table, [0, 0, 2]) * 2.0)
    >>> grad = tape.gradient(loss, table)
    >>> grad.indices.tolist(), ad.add(grad, 0.0).tolist()
    ([0, 0, 2], [[4.0], [0.0], [2.0]])
    """

    __slots__ = ("dense_shape", "indices", "values")
    __array_priority__ = 1000

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        self.values, self.indices = convert(values), convert(indices)
        self.dense_shape = None if dense_shape is None else Shape(
            dense_shape.tolist() if hasattr(dense_shape, "tolist") else dense_shape)

    @property
    def shape(self) -> Shape | None:
        return self.dense_shape

    @property
    def dtype(self) -> DType:
        return self.values._spec.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return int(self.values._spec.ndim)

    @property
    def name(self) -> None:
        return None

    def __adjoint_tensor__(self) -> Tensor:
        if self.dense_shape is None:
            raise ValueError("IndexedSlices: a dense tensor needs dense_shape, which was not given")
        return dense(self.indices, self.values, tuple(self.dense_shape))  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self.__adjoint_tensor__().__array__(dtype, copy)

    def numpy(self) -> Any:
        """The dense value."""
        return self.__adjoint_tensor__().numpy()

    def tolist(self) -> Any:
        return self.__adjoint_tensor__().tolist()

    def _like(self, values: Any) -> IndexedSlices:
        return IndexedSlices(values, self.indices, self.dense_shape)

    def __neg__(self) -> IndexedSlices:
        return self._like(negative(self.values))

    def __mul__(self, other: Any) -> Any:
        if _is_scalar(other):
            return self._like(multiply(self.values, other))
        return multiply(convert(self), convert(other) if isinstance(other, IndexedSlices) else other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._like(divide(self.values, other)) if _is_scalar(other) else divide(convert(self), other)

    def __add__(self, other: Any) -> Any:
        if isinstance(other, IndexedSlices) and other.dense_shape == self.dense_shape and other.dtype is self.dtype:
            joined = _join(Sparse(self.indices, self.values, self.dense_shape), Sparse(  # type: ignore[arg-type]
                other.indices, other.values, self.dense_shape))  # type: ignore[arg-type]
            return IndexedSlices(joined.values, joined.indices, self.dense_shape)
        if other.__class__ is int and other == 0:        # where sum() starts
            return self
        return add(convert(self), convert(other) if isinstance(other, IndexedSlices) else other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return subtract(convert(self), convert(other) if isinstance(other, IndexedSlices) else other)

    def __rsub__(self, other: Any) -> Any:
        return subtract(other, convert(self))

    def __pow__(self, other: Any) -> Any:
        return convert(self) ** other

    def __getitem__(self, key: Any) -> Any:
        return self.__adjoint_tensor__()[key]            # type: ignore[index]

    def __repr__(self) -> str:
        return f"IndexedSlices(values={self.values!r}, indices={self.indices!r}, dense_shape={self.dense_shape})"


def _is_scalar(x: Any) -> bool:
    return isinstance(x, (int, float, complex, np.number)) or (hasattr(x, "_spec") and not x._spec.shape)


def as_result(found: Any, source: Any) -> Any:
    """What ``gradient`` hands out for a cotangent: a variable's sparse one as IndexedSlices, a tensor's dense."""
    if found.__class__ is not Sparse:
        return found
    if hasattr(source, "trainable"):
        return IndexedSlices(found.values, found.indices, found.shape)
    return rules.densify(found)

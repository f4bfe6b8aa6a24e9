"""Dtypes, shapes, specs, TensorArray and the other classes that programs name."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes, _tensor
from .._dtypes import as_dtype
from .._errors import DtypeError, ShapeError, complain
from .._tensor import Tensor, Value, Variable
from ._bind import StandsFor, public, put
from ._errors import ElementError

# ---------------------------------------------------------------------------------------------------------------- dtypes

for _dtype in _dtypes.DTYPES:
    put(f"{_dtype.name} dtypes.{_dtype.name}", _dtype)
put("half dtypes.half", _dtypes.float16)
put("double dtypes.double", _dtypes.float64)
put("DType dtypes.DType", _dtypes.DType)
put("newaxis", None)
put("Tensor", Tensor)
put("Variable", Variable)


@public("as_dtype dtypes.as_dtype")
def named_dtype(type_value: Any) -> Any:
    """The dtype that a name, a NumPy dtype or a dtype names."""
    return as_dtype(type_value)


# ---------------------------------------------------------------------------------------------------------------- shapes

@public("TensorShape")
class TensorShape(_tensor.Shape, metaclass=StandsFor):
    """A shape, in which dimensions (None) or all of it (``TensorShape(None)``) may be unknown."""

    _stands_for = _tensor.Shape
    _unknown: bool

    def __new__(cls, dims: Any) -> TensorShape:
        if dims is None:
            values: tuple[Any, ...] = ()
        elif isinstance(dims, (int, np.integer)):
            values = (int(dims),)
        else:
            values = tuple(None if d is None else d.__index__() for d in dims)
        if any(d is not None and d < 0 for d in values):
            raise ShapeError(complain("TensorShape", "dimensions", "None or not negative", values))
        made = super().__new__(cls, values)
        made._unknown = dims is None
        return made

    @property
    def rank(self) -> Any:  # type: ignore[override]
        return None if self._unknown else len(self)

    ndims = rank

    def __eq__(self, other: object) -> bool:
        try:
            theirs = tuple(TensorShape(other))
        except TypeError:
            return False
        return tuple.__eq__(self, theirs) and self._unknown == getattr(other, "_unknown", other is None)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def is_fully_defined(self) -> bool:
        return not self._unknown and None not in tuple(self)

    def is_compatible_with(self, other: Any) -> bool:
        return self._unknown or getattr(other, "_unknown", other is None) or super().is_compatible_with(other)

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible")

    def concatenate(self, other: Any) -> TensorShape:
        return TensorShape(tuple(self) + tuple(TensorShape(other)))

    def with_rank(self, rank: int) -> TensorShape:
        if self._unknown:
            return TensorShape([None] * rank)
        if len(self) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}")
        return self

    def merge_with(self, other: Any) -> TensorShape:
        theirs = TensorShape(other)
        self.assert_is_compatible_with(theirs)
        if self._unknown or theirs._unknown:
            return theirs if self._unknown else self
        return TensorShape([a if a is not None else b for a, b in zip(tuple(self), tuple(theirs))])

    def __repr__(self) -> str:
        return f"TensorShape({None if self._unknown else list(self)})"

    def __str__(self) -> str:
        return "<unknown>" if self._unknown else tuple.__repr__(self)


@public("TensorSpec")
class TensorSpec:
    """Shape, dtype and name that a tensor is expected to have."""

    def __init__(self, shape: Any, dtype: Any = _dtypes.float32, name: str | None = None) -> None:
        self.shape, self.dtype, self.name = TensorShape(shape), as_dtype(dtype), name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        return cls(tensor.shape, tensor.dtype, name)

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        return cls(spec.shape, spec.dtype, name or spec.name)

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        value = spec_or_value if hasattr(spec_or_value, "dtype") else ad.constant(spec_or_value)
        return self.dtype == value.dtype and self.shape.is_compatible_with(value.shape)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


@public("type_spec_from_value")
def type_spec_from_value(value: Any) -> TensorSpec:
    """The TensorSpec of a tensor."""
    return TensorSpec.from_tensor(value if isinstance(value, Value) else ad.constant(value))


# ----------------------------------------------------------------------------------------------------------- TensorArray

@public("TensorArray")
class TensorArray:
    """A list of tensors of one dtype, written and read by index; as in eager TensorFlow ``write`` changes it in place."""

    def __init__(self, dtype: Any, size: Any = None, dynamic_size: bool | None = None, clear_after_read: bool | None = None,
                 tensor_array_name: str | None = None, handle: Any = None, flow: Any = None, infer_shape: bool = True,
                 element_shape: Any = None, colocate_with_first_write_call: bool = True, name: str | None = None) -> None:
        self.dtype, self.dynamic_size = as_dtype(dtype), bool(dynamic_size)
        self.element_shape = TensorShape(element_shape)
        self._infer, self._clear = infer_shape, clear_after_read is None or clear_after_read
        self._items: list[Any] = [None] * (0 if size is None else int(size))
        self._read: set[int] = set()
        self.handle = self.flow = None

    def _element(self, value: Any, what: str) -> Any:
        t: Any = value if isinstance(value, Value) else ad.constant(value, self.dtype)
        if t.dtype is not self.dtype:
            raise _wrong_dtype(what, self.dtype, t.dtype)
        if self._infer and not self.element_shape.is_compatible_with(t.shape):
            raise ValueError(f"Incompatible shape for value ({tuple(t.shape)}), expected ({tuple(self.element_shape)})")
        if self._infer and not self.element_shape.is_fully_defined():
            self.element_shape = self.element_shape.merge_with(t.shape)
        return ad.identity(t)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Store ``value`` at ``index`` and return this array."""
        k = int(index)
        element = self._element(value, "TensorArray.write")
        if k < 0 or k >= len(self._items) and not self.dynamic_size:
            raise _outside(k, len(self._items), "it is not resizeable; make it with dynamic_size=True")
        self._items.extend([None] * (k + 1 - len(self._items)))
        self._items[k] = element
        self._read.discard(k)
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        """The element at ``index``; it can be read once unless the array was made with clear_after_read=False."""
        k = int(index)
        if not 0 <= k < len(self._items):
            raise _outside(k, len(self._items))
        if k in self._read:
            raise _outside(k, len(self._items), "it was read before and cleared; make the array with clear_after_read=False")
        value = self._items[k]
        if value is None:
            value = self._zeros()
        if self._clear:
            self._items[k] = None
            self._read.add(k)
        return value

    def _zeros(self) -> Any:
        if not self.element_shape.is_fully_defined():
            raise _outside(0, len(self._items), "nothing was written there")
        return ad.zeros(tuple(self.element_shape), dtype=self.dtype)

    def stack(self, name: str | None = None) -> Any:
        """The elements as one tensor, along a new first axis."""
        if not self._items:
            return ad.zeros((0, *[d or 0 for d in tuple(self.element_shape)]), dtype=self.dtype)
        return ad.stack([self._zeros() if v is None else v for v in self._items])

    def concat(self, name: str | None = None) -> Any:
        """The elements joined along their first axis."""
        return ad.concat([self._zeros() if v is None else v for v in self._items])

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """The elements at ``indices`` as one tensor."""
        picked = indices.tolist() if hasattr(indices, "tolist") else indices
        return ad.stack([self._zeros() if self._items[k] is None else self._items[k] for k in picked])

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """Replace the elements by the slices of ``value`` along its first axis."""
        t: Any = value if isinstance(value, Value) else ad.constant(value, self.dtype)
        if len(t) > len(self._items) and not self.dynamic_size and self._items:
            raise ValueError(f"TensorArray.unstack: {len(t)} slices for an array of size {len(self._items)}")
        self._items = [self._element(t[k], "TensorArray.unstack") for k in range(len(t))]
        self._read = set()
        return self

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """Write the slices of ``value`` at ``indices``."""
        t: Any = value if isinstance(value, Value) else ad.constant(value, self.dtype)
        for at, k in enumerate(indices.tolist() if hasattr(indices, "tolist") else indices):
            self.write(k, t[at])
        return self

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """Replace the elements by consecutive pieces of ``value`` of the given lengths."""
        t: Any = value if isinstance(value, Value) else ad.constant(value, self.dtype)
        start, self._items, self._infer = 0, [], False
        for n in lengths.tolist() if hasattr(lengths, "tolist") else lengths:
            self._items.append(self._element(t[start:start + n], "TensorArray.split"))
            start += n
        return self

    def size(self, name: str | None = None) -> Any:
        """The number of elements, an int32 tensor."""
        return ad.constant(len(self._items), dtype=_dtypes.int32)

    def identity(self) -> TensorArray:
        return self

    mark_used = close = lambda self, name=None: None

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a TensorArray is not iterable; use stack() or read()")


def _outside(k: int, size: int, remedy: str = "") -> ElementError:
    return ElementError(complain("TensorArray", "the index", f"in [0, {size})", k, remedy))


def _wrong_dtype(what: str, wanted: Any, got: Any) -> DtypeError:
    return DtypeError(complain(what, "the value", f"of dtype {wanted.name}", got.name, "cast it first"))

"""What TensorFlow's tensors and variables can do beside adjoint's."""
from __future__ import annotations

from typing import Any

import adjoint as ad

from .._tensor import Value, Variable
from ._types import TensorShape


class Reference:
    """Stands for a tensor or variable as the key of a dict or a member of a set: two are equal if they are of the same."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def deref(self) -> Any:
        """The tensor or variable."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)

    def __repr__(self) -> str:
        return f"<Reference wrapping {self._value!r}>"


def ref(self: Any) -> Reference:
    """A hashable reference to this object."""
    return Reference(self)


def set_shape(self: Any, shape: Any) -> None:
    """Check that the shape is compatible with ``shape``."""
    TensorShape(shape).assert_is_compatible_with(self.shape)


def sparse_read(self: Any, indices: Any, name: str | None = None) -> Any:
    """The rows that ``indices`` name."""
    return ad.gather(self, indices)


def gather_nd(self: Any, indices: Any, name: str | None = None) -> Any:
    """The slices that the rows of ``indices`` name."""
    return ad.gather_nd(self, indices)


for _owner, _method in ((Value, ref), (Value, set_shape), (Variable, sparse_read), (Variable, gather_nd)):
    setattr(_owner, _method.__name__, _method)
Value.experimental_ref = ref  # type: ignore[attr-defined]
Variable.initialized_value = Variable.read_value  # type: ignore[attr-defined]

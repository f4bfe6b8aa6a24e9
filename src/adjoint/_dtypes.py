"""Dtypes and the one promotion table."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._config import config
from ._errors import DtypeError

_RANK = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


class DType:
    """A data type: one instance each, compared by identity, equal to its name and to NumPy's dtype."""

    __slots__ = ("_np", "itemsize", "kind", "name")

    def __init__(self, name: str, kind: str, itemsize: int) -> None:
        self.name, self.kind, self.itemsize = name, kind, itemsize
        self._np: np.dtype[Any] | None = None

    @property
    def np(self) -> np.dtype[Any]:
        """The NumPy dtype (bfloat16's comes from ml_dtypes, loaded when first needed)."""
        if self._np is None:
            if self.name == "bfloat16":
                import ml_dtypes

                self._np = np.dtype(ml_dtypes.bfloat16)
            else:
                self._np = np.dtype(self.name)
            _BY_NUMPY[self._np] = self
        return self._np

    dtype = np

    @property
    def as_numpy_dtype(self) -> Any:
        return self.np.type

    @property
    def base_dtype(self) -> DType:
        return self

    @property
    def real_dtype(self) -> DType:
        return {complex64: float32, complex128: float64}.get(self, self)

    is_floating = property(lambda self: self.kind == "f")
    is_complex = property(lambda self: self.kind == "c")
    is_integer = property(lambda self: self.kind in "iu")
    is_bool = property(lambda self: self.kind == "b")
    is_unsigned = property(lambda self: self.kind == "u")
    is_inexact = property(lambda self: self.kind in "fc")
    size = property(lambda self: self.itemsize)

    @property
    def min(self) -> Any:
        return _limits(self).min

    @property
    def max(self) -> Any:
        return _limits(self).max

    def __eq__(self, other: object) -> bool:
        if other.__class__ is DType:
            return self is other
        if other is None:
            return False
        try:
            return as_dtype(other) is self
        except (TypeError, ValueError):
            return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"tf.{self.name}" if config.spelling == "tf" else f"adjoint.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: '{self.name}'>" if config.spelling == "tf" else self.name

    def __reduce__(self) -> Any:
        return as_dtype, (self.name,)


def _limits(dtype: DType) -> Any:
    if dtype.kind == "b":
        raise DtypeError("bool has no smallest or largest value in arithmetic; use an integer dtype")
    if dtype.kind in "iu":
        return np.iinfo(dtype.np)
    if dtype.name == "bfloat16":
        import ml_dtypes

        return ml_dtypes.finfo(dtype.np)
    return np.finfo(dtype.np)


bool_ = DType("bool", "b", 1)
int8, int16, int32, int64 = (DType(f"int{8 * n}", "i", n) for n in (1, 2, 4, 8))
uint8, uint16, uint32, uint64 = (DType(f"uint{8 * n}", "u", n) for n in (1, 2, 4, 8))
float16, float32, float64 = (DType(f"float{8 * n}", "f", n) for n in (2, 4, 8))
bfloat16 = DType("bfloat16", "f", 2)
complex64, complex128 = DType("complex64", "c", 8), DType("complex128", "c", 16)

DTYPES = (bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64,
          complex64, complex128)
DEFAULT_FLOAT, DEFAULT_INT, DEFAULT_COMPLEX = float32, int32, complex64
_BY_NAME = {d.name: d for d in DTYPES} | {"half": float16, "float": float32, "double": float64, "bool_": bool_}
_BY_NUMPY: dict[np.dtype[Any], DType] = {np.dtype(d.name): d for d in DTYPES if d is not bfloat16}
_WEAK: dict[type, DType] = {bool: bool_, int: DEFAULT_INT, float: DEFAULT_FLOAT, complex: DEFAULT_COMPLEX}


def as_dtype(value: Any) -> DType:
    """The DType that a name, a NumPy dtype, a Python type or a DType names."""
    if value.__class__ is DType:
        return value
    if isinstance(value, str):
        found = _BY_NAME.get(value)
    elif value.__class__ is type and value in _WEAK:
        found = _WEAK[value]
    else:
        try:
            key = np.dtype(value)
        except TypeError:
            raise DtypeError(f"dtype must be a name, a NumPy dtype or one of adjoint's dtypes, got {value!r}") from None
        found = _BY_NUMPY.get(key) or _BY_NAME.get(key.name)
    if found is None:
        raise DtypeError(f"adjoint has no dtype {value!r}; it has {', '.join(d.name for d in DTYPES)}")
    return found


_PROMOTED: dict[tuple[DType, DType], DType] = {}


def promote(a: DType, b: DType) -> DType:
    """The dtype of an operation on tensors of dtypes ``a`` and ``b``.

    The wider of two of one kind; with kinds mixed, the higher of bool < integer < float < complex, except that a
    float64 and a complex64 give complex128; float16 and bfloat16 give float32; int64 and uint64 have no common
    integer dtype and raise.
    """
    if a is b:
        return a
    found = _PROMOTED.get((a, b))
    if found is None:
        found = _PROMOTED[a, b] = _promote(a, b)
    return found


def _promote(a: DType, b: DType) -> DType:
    if _RANK[a.kind] < _RANK[b.kind]:
        a, b = b, a
    if _RANK[a.kind] > _RANK[b.kind]:
        return complex128 if a is complex64 and b is float64 else a
    if a.kind == "f" and a.itemsize == b.itemsize:
        return float32
    if {a, b} & {uint64} and "i" in (a.kind, b.kind):
        raise DtypeError(f"{a.name} and {b.name} have no common integer dtype; cast one of them first")
    return _BY_NUMPY[np.promote_types(a.np, b.np)] if a.kind != "f" else (a if a.itemsize > b.itemsize else b)


def weak_dtype(kind: type, other: DType) -> DType:
    """The dtype a Python scalar of type ``kind`` takes beside a tensor of dtype ``other``."""
    if kind is bool:
        return other
    if kind is int:
        return DEFAULT_INT if other.kind == "b" else other
    if kind is float:
        return other if other.kind in "fc" else DEFAULT_FLOAT
    if other.kind == "c":
        return other
    return complex128 if other is float64 else complex64


def default_dtype(kind: type) -> DType:
    """The dtype of a tensor made from Python scalars of type ``kind``."""
    return _WEAK[kind]

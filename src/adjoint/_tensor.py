"""Tensor and Variable: handles on results and on state. Operators are put on by the primitives that they use."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from . import _dtypes
from ._config import config
from ._dtypes import DType, as_dtype
from ._errors import DtypeError, NotSupportedError, ShapeError, TraceError, complain
from ._graph import Spec, spec
from ._trace import _CLASSES, FROZEN_INPUT, READS, TENSOR_INPUT, VARIABLE_INPUT, Trace, hooks, local


class Shape(tuple):  # type: ignore[type-arg]
    """A tuple of dimensions that also answers to TensorFlow's TensorShape."""

    __slots__ = ()
    rank = ndims = property(len)
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        return tuple.__eq__(self, tuple(other) if isinstance(other, list) else other)  # type: ignore[arg-type]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def as_list(self) -> list[int]:
        return list(self)

    def num_elements(self) -> int:
        n = 1
        for d in self:
            n *= d
        return n

    @property
    def dims(self) -> list[int]:
        return list(self)

    def is_fully_defined(self) -> bool:
        return None not in self

    def is_compatible_with(self, other: Any) -> bool:
        other = tuple(other)
        return len(self) == len(other) and all(a is None or b is None or a == b for a, b in zip(self, other))

    def __getitem__(self, key: Any) -> Any:
        got = tuple.__getitem__(self, key)
        return Shape(got) if isinstance(key, slice) else got

    def __add__(self, other: Any) -> Shape:
        return Shape(tuple(self) + tuple(other))

    def __repr__(self) -> str:
        return f"TensorShape({list(self)})" if config.spelling == "tf" else tuple.__repr__(self)

    def __str__(self) -> str:
        return tuple.__repr__(self)


class Value:
    """What Tensor and Variable have in common: a place in a trace, a spec, perhaps a value."""

    __slots__ = ("__weakref__", "_idx", "_spec", "_trace", "_value")
    __array_priority__ = 1000
    _trace: Trace | None
    _idx: int
    _spec: Spec
    _value: Any                                          # None while it is pending

    @property
    def shape(self) -> Shape:
        return Shape(self._spec.shape)

    @property
    def dtype(self) -> DType:
        return self._spec.dtype

    @property
    def ndim(self) -> int:
        return self._spec.ndim

    @property
    def size(self) -> int:
        return self._spec.size

    @property
    def nbytes(self) -> int:
        return self._spec.nbytes

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def itemsize(self) -> int:
        return self._spec.dtype.itemsize

    def get_shape(self) -> Shape:
        return self.shape

    # -- looking -------------------------------------------------------------------------------------------------------
    def _look(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def numpy(self) -> Any:
        """The value as a NumPy array of its own (a NumPy scalar for shape ())."""
        value = self._look()
        out = value.copy() if value.ndim else value[()]
        if local.tapes:
            hooks.looked(self, ".numpy()", out)
        return out

    def item(self, *index: int) -> Any:
        """The value of a single element as a Python scalar."""
        out = self._look().item(*index)
        if local.tapes:
            hooks.looked(self, ".item()", out)
        return out

    def tolist(self) -> Any:
        out = self._look().tolist()
        if local.tapes:
            hooks.looked(self, ".tolist()", out)
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        hooks.guard_numpy(self)
        value = self._look()
        if local.tapes:
            hooks.looked(self, "np.asarray", value)
        if dtype is not None and np.dtype(dtype) != value.dtype:
            if copy is False:
                raise ValueError(f"np.asarray: a copy is needed to convert {value.dtype} to {np.dtype(dtype)}")
            return value.astype(dtype)
        if copy:
            return value.copy()
        view = value.view()
        view.flags.writeable = False
        return view

    def _one(self, name: str) -> Any:
        if self._spec.size != 1:
            raise ShapeError(complain(name, "the tensor", "a single value", f"shape {self._spec.shape}",
                                      "reduce it first, for example with sum or mean"))
        value = self._look().reshape(())[()]
        if local.tapes:
            hooks.looked(self, name, value)
        return value

    def __float__(self) -> float:
        return float(self._one("float()"))

    def __int__(self) -> int:
        return int(self._one("int()"))

    def __complex__(self) -> complex:
        return complex(self._one("complex()"))

    def __bool__(self) -> bool:
        return bool(self._one("bool()"))

    def __index__(self) -> int:
        if self._spec.dtype.kind not in "iu":
            raise TypeError(complain("index", "the tensor", "of an integer dtype", self._spec.dtype.name))
        return int(self._one("index"))

    def __len__(self) -> int:
        if not self._spec.shape:
            raise TypeError("len(): a tensor of shape () has no length")
        return self._spec.shape[0]

    def __format__(self, how: str) -> str:
        return format(self._look()[()] if not self._spec.shape else str(self), how)

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> Any:
        raise TypeError(f"a {type(self).__name__} does not pickle: save its value with numpy.save or safetensors, or "
                        f"pass x.numpy()")

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def __copy__(self) -> Any:
        return self

    def __dlpack__(self, **kwargs: Any) -> Any:
        value = self._look()
        return (value if value.flags.writeable else value.copy()).__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def _repr_html_(self) -> str:
        text = repr(self).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"<pre>{text}</pre>"


def array_text(value: np.ndarray[Any, Any]) -> str:
    """NumPy's text of an array, or its plain number for shape ()."""
    return np.array2string(value, separator=" ") if value.ndim else str(value[()])


class Tensor(Value):
    """An immutable array value that is computed when somebody looks at it.

    Made by functions, by ``constant`` and by operators. Looking (``print``, ``float()``, ``.numpy()``,
    ``np.asarray``) computes it, together with what else is pending and still wanted.
    """

    __slots__ = ("_origin",)
    _origin: Any

    def __init__(self, value: Any, dtype: Any = None) -> None:
        array = as_array(value, dtype)
        self._trace, self._idx = None, 0
        self._spec, self._value = spec(array.shape, as_dtype(array.dtype)), array

    def _look(self) -> np.ndarray[Any, Any]:
        value = self._value
        return value if value is not None else hooks.evaluate(self)

    def _input(self, trace: Trace) -> tuple[Any, Any]:
        if self._value is not None:
            return TENSOR_INPUT, self._value
        other = self._trace
        if other is not None and other.scratch and other.closed:
            raise TraceError(f"a traced value of shape {self._spec.shape} left the function it was traced in; return it "
                             f"from the function instead of storing it elsewhere")
        return TENSOR_INPUT, self if trace.scratch else hooks.evaluate(self)

    def __repr__(self) -> str:
        value = self._shown()
        prefix = "tf." if config.spelling == "tf" else "ad."
        head = f"<{prefix}Tensor: shape={tuple(self._spec.shape)}, dtype={self._spec.dtype.name}"
        if value is None:
            return f"{head}, traced>"
        return f"{head}, numpy={numpy_text(value)}>"

    def __str__(self) -> str:
        value = self._shown()
        if value is None:
            return repr(self)
        prefix = "tf." if config.spelling == "tf" else "ad."
        body = array_text(value)
        lead = "\n" if "\n" in body else ""
        return f"{prefix}Tensor({lead}{body}, shape={tuple(self._spec.shape)}, dtype={self._spec.dtype.name})"

    def _shown(self) -> Any:
        other = self._trace
        if other is not None and other.scratch and self._value is None:
            return None
        return self._look()


def numpy_text(value: np.ndarray[Any, Any]) -> str:
    if value.ndim == 0:
        return str(value[()]) if value.dtype.kind != "b" else str(bool(value))
    text = repr(value)
    return f"\n{text}" if "\n" in text else text


def as_array(value: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """A NumPy array of its own with the default dtypes (float32, int32, complex64) for Python numbers."""
    want = None if dtype is None else as_dtype(dtype)
    if isinstance(value, Value):
        array = value._look()
        return array if want is None or want is value._spec.dtype else array.astype(want.np)
    if isinstance(value, (list, tuple)) and _has_tensor(value):
        value = _without_tensors(value)
    strong = isinstance(value, (np.ndarray, np.generic)) or (
        isinstance(value, (list, tuple)) and _has_numpy(value))
    try:
        array = np.array(value, copy=True, order="C")
    except ValueError as error:
        raise ShapeError(f"constant: the value is a ragged sequence, not an array: {error}") from None
    if array.dtype == object or array.dtype.kind in "USMmV" and array.dtype.name != "bfloat16":
        raise DtypeError(complain("constant", "the value", "numbers or booleans", f"{value!r:.80}"))
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if want is None and not strong:
        if array.size == 0 and array.dtype.kind == "f":
            want = _dtypes.DEFAULT_FLOAT
        else:
            want = {"f": _dtypes.DEFAULT_FLOAT, "c": _dtypes.DEFAULT_COMPLEX,
                    "i": _dtypes.DEFAULT_INT}.get(array.dtype.kind)
            if want is _dtypes.DEFAULT_INT and array.size and (
                    array.max() > np.iinfo(np.int32).max or array.min() < np.iinfo(np.int32).min):
                want = _dtypes.int64
    if want is not None and array.dtype != want.np:
        if want.kind in "iu" and array.dtype.kind in "fc":
            raise DtypeError(complain("constant", "the value", f"integers for dtype {want.name}",
                                      f"{array.dtype}", "cast it, which truncates"))
        if want.kind == "f" and array.dtype.kind == "c":
            raise DtypeError(complain("constant", "the value", f"real for dtype {want.name}", "complex numbers",
                                      "take its real part"))
        if want.kind in "iu" and array.dtype.kind in "iu" and array.size:
            low, high = want.min, want.max
            if int(array.min()) < low or int(array.max()) > high:
                raise DtypeError(complain("constant", "the value", f"within {want.name}'s {low}..{high}",
                                          f"{array.min()}..{array.max()}"))
        array = array.astype(want.np)
    as_dtype(array.dtype)
    return array


def _has_tensor(value: Any) -> bool:
    return any(isinstance(v, Value) or isinstance(v, (list, tuple)) and _has_tensor(v) for v in value)


def _has_numpy(value: Any) -> bool:
    for v in value:
        if isinstance(v, (list, tuple)):
            return _has_numpy(v)
        return isinstance(v, (np.ndarray, np.generic))
    return False


def _without_tensors(value: Any) -> Any:
    if isinstance(value, Value):
        return value._look()
    return [_without_tensors(v) for v in value] if isinstance(value, (list, tuple)) else value


_names = itertools.count()


class Variable(Value):
    """A value that can be assigned to: state that a tape watches by itself when ``trainable``.

    initial     value, or a callable that gives it
    trainable   whether tapes watch it when it is read
    name        shown in messages and used when saving
    dtype       dtype; by default the value's
    shape       accepted for TensorFlow's sake and checked
    """

    __slots__ = ("_caught", "_pending", "name", "trainable")
    _pending: Any

    def __init__(self, initial_value: Any = None, trainable: bool = True, name: str | None = None, dtype: Any = None,
                 shape: Any = None, **ignored: Any) -> None:
        if initial_value is None:
            raise ValueError(complain("Variable", "initial_value", "a value or a callable", "None"))
        unknown = set(ignored) - {"validate_shape", "caching_device", "variable_def", "import_scope", "constraint",
                                  "synchronization", "aggregation", "experimental_enable_variable_lifting"}
        if unknown:
            raise TypeError(f"Variable: unknown argument {sorted(unknown)[0]!r}; it takes initial_value, trainable, name, "
                            f"dtype and shape")
        value = initial_value() if callable(initial_value) else initial_value
        array = as_array(value, dtype)
        if shape is not None and tuple(shape) != array.shape and None not in tuple(shape):
            raise ShapeError(complain("Variable", "shape", f"{array.shape}, the initial value's", tuple(shape)))
        self._trace, self._idx, self._pending = None, 0, None
        self._spec, self._value = spec(array.shape, as_dtype(array.dtype)), array
        self.trainable = trainable is None or bool(trainable)
        self.name = name if name is not None else f"Variable{next(_names)}"
        if config.spelling == "tf":
            self.name = "/".join([*getattr(local, "scopes", ()), name or "Variable"]) + ":0"

    def _look(self) -> np.ndarray[Any, Any]:
        return self._value if self._pending is None else hooks.evaluate(self._pending)

    def _input(self, trace: Trace) -> tuple[Any, Any]:
        if self._pending is not None:
            if self._pending._trace is trace:
                return READS[self.trainable], None
            if not trace.scratch:
                value = hooks.evaluate(self._pending)
                if self._pending is not None:            # an interruption came before it was handed over
                    self._value, self._pending = value, None
        op = VARIABLE_INPUT if self.trainable else FROZEN_INPUT
        return op, self if trace.scratch else self._value

    def value(self) -> Tensor:
        """The variable's value now, as a tensor that later assignments do not change."""
        return self.read_value()

    def read_value(self) -> Tensor:
        return hooks.read(self)

    def assign(self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True) -> Variable:
        """Give the variable a new value of its shape and dtype; it is computed together with what else is pending.

        Raises ShapeError or DtypeError (and leaves the variable as it was) when the value does not fit.
        """
        new = value if isinstance(value, Tensor) else hooks.convert(value, self._spec.dtype, True)
        if new._spec is not self._spec:
            if new._spec.dtype is not self._spec.dtype:
                raise DtypeError(complain(f"assign to {self.name}", "the value", f"of dtype {self._spec.dtype.name}",
                                          new._spec.dtype.name, "cast it first"))
            raise ShapeError(complain(f"assign to {self.name}", "the value", f"of shape {self._spec.shape}",
                                      new._spec.shape))
        trace = local.trace
        if self._pending is not None and not trace.scratch and self._pending._trace is not trace:
            hooks.evaluate(self._pending)
        if new._value is not None and not trace.scratch:
            trace.captures.pop(id(self), None)
            self._trace, self._pending, self._value = None, None, new._value
            return self
        if trace.scratch:
            trace.assigned.append((self, self._pending))
            trace.captures.pop(id(self), None)
            if new._trace is not trace:
                new = hooks.read(new)
        else:
            if self._pending is not None:                # a second new value in one pending graph: a step boundary
                hooks.settle(trace)
                if new._value is not None:
                    self._trace, self._value = None, new._value
                    return self
                trace = local.trace
            trace.assigned.append(self)
            trace.captures.pop(id(self), None)
            self._trace = None
        self._pending = new
        return self

    def assign_add(self, delta: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Add ``delta`` to the variable."""
        return self.assign(self + self._delta(delta, "assign_add"))

    def assign_sub(self, delta: Any, use_locking: bool = False, name: str | None = None,
                   read_value: bool = True) -> Variable:
        """Subtract ``delta`` from the variable: one step of descent is ``w.assign_sub(lr * grad)``."""
        return self.assign(self - self._delta(delta, "assign_sub"))

    def _delta(self, delta: Any, what: str) -> Any:
        if delta is None:
            raise DtypeError(complain(f"{what} on {self.name}", "delta", "a value", "None", hooks.why_none(self) or
                                      "no gradient reached this variable; tape.explain(loss, variable) says why"))
        t = delta if isinstance(delta, Value) else hooks.convert(delta, self._spec.dtype, True)
        if t._spec.dtype is not self._spec.dtype:
            raise DtypeError(complain(f"{what} on {self.name}", "delta", f"of dtype {self._spec.dtype.name}",
                                      t._spec.dtype.name, "cast it first"))
        return t

    def __iadd__(self, other: Any) -> Any:
        raise NotSupportedError("variable += value would make a tensor of the variable; use variable.assign_add(value)")

    def __isub__(self, other: Any) -> Any:
        raise NotSupportedError("variable -= value would make a tensor of the variable; use variable.assign_sub(value)")

    def __repr__(self) -> str:
        prefix = "tf." if config.spelling == "tf" else "ad."
        return (f"<{prefix}Variable '{self.name}' shape={tuple(self._spec.shape)} dtype={self._spec.dtype.name}, "
                f"numpy={numpy_text(self._look())}>")

    __str__ = __repr__


_CLASSES[:] = Tensor, Variable


def wrap(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor on an array that nobody else changes (no copy)."""
    t = Tensor.__new__(Tensor)
    t._trace, t._idx = None, 0
    t._spec, t._value = spec(array.shape, as_dtype(array.dtype)), array
    return t

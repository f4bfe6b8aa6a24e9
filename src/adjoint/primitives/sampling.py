"""Random numbers: counter-based generators (Philox), so that a draw is a function of where it starts and nothing else.

Every draw is an operation whose first input is its start: key and counter, three 64-bit words. Equal starts give equal
numbers, on every engine and any number of threads. Draw, the owner of that input, gives the next start each time a traced
program is run.
"""
from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._dtypes import DType, as_dtype
from .._errors import ArgumentError, DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._tensor import Value
from .._trace import DRAW_INPUT, Trace, record
from ._make import broadcast_shapes
from .arithmetic import add, multiply
from .convert import cast, convert
from .indexing import TENSOR, index_op, to_front
from .movement import as_shape, reshape

__all__: list[str] = []

START = spec((3,), _dtypes.uint64)


class Stream:
    """A key and how many draws were made with it."""

    __slots__ = ("counter", "key", "lock")

    def __init__(self, key: tuple[int, int]) -> None:
        self.key, self.counter, self.lock = key, 0, threading.Lock()

    def next(self) -> np.ndarray[Any, Any]:
        """The start of the next draw."""
        with self.lock:
            self.counter += 1
            return np.array([*self.key, self.counter], np.uint64)


class Draw(Value):
    """The owner of a draw's start: the same one for an explicit seed, else the stream's next each time it is asked."""

    __slots__ = ("_known", "_stream")

    def __init__(self, stream: Stream) -> None:
        self._spec, self._stream = START, stream
        self._known = _local.again.pop(0) if _local.again else None
        self._idx = 0 if self._known is None else self._known._idx

    @property
    def _trace(self) -> Any:                             # type: ignore[override]
        return None if self._known is None else self._known._trace

    @_trace.setter
    def _trace(self, trace: Any) -> None:
        """In no trace for good, so that it enters anew at each use."""

    @property
    def _value(self) -> np.ndarray[Any, Any]:            # type: ignore[override]
        return self._stream.next()

    def _input(self, trace: Trace) -> tuple[Any, Any]:
        if self._known is not None:
            return self._known._input(trace)  # type: ignore[no-any-return]
        return DRAW_INPUT, self if trace.scratch else self._stream.next()

    def _look(self) -> np.ndarray[Any, Any]:
        return self._stream.next()


def key_of(seed: int) -> tuple[int, int]:
    """The key that an integer seed stands for (mixed, so that neighbouring seeds have unrelated streams)."""
    a, b = np.random.SeedSequence(abs(int(seed)) * 2 + (seed < 0)).generate_state(2, np.uint64)
    return int(a), int(b)


def fresh_key() -> tuple[int, int]:
    """A key from the operating system's entropy."""
    return int.from_bytes(os.urandom(8), "little"), int.from_bytes(os.urandom(8), "little")


class _Fixed(Stream):
    """The stream of an explicit seed: every draw starts at the same place."""

    __slots__ = ()

    def next(self) -> np.ndarray[Any, Any]:
        return np.array([*self.key, 0], np.uint64)


def fixed(seed: Any) -> Stream:
    """The stream of an explicit seed: an integer, or a pair of integers as TensorFlow's stateless functions take."""
    if isinstance(seed, (Value, np.ndarray)):
        seed = seed.tolist()
    if isinstance(seed, (list, tuple)):
        a, b = (int(s) & (2**64 - 1) for s in seed)
        return _Fixed(key_of(a << 64 | b))
    return _Fixed(key_of(seed))


# ---------------------------------------------------------------------------------------------------------- the kernels

class _Local(threading.local):
    """A thread's generator, made at the first draw (numpy.random is loaded then, not when adjoint is imported)."""

    def __init__(self) -> None:
        self.bits: Any = None
        self.again: list[Any] = []

    def make(self) -> None:
        self.bits = np.random.Philox(0)
        self.generator = np.random.Generator(self.bits)
        self.state: Any = self.bits.state


_local = _Local()


@contextmanager
def drawing_again(starts: list[Any]) -> Iterator[None]:
    """Have the next draws start where earlier ones did (what is computed again draws the same numbers)."""
    before, _local.again = _local.again, list(starts)
    try:
        yield
    finally:
        _local.again = before


def next_draw(owner: Any) -> Any:
    """The owner of a traced draw, or the start it has to use again."""
    return _local.again.pop(0) if _local.again else owner


def generator(start: Any) -> np.random.Generator:
    """This thread's generator, set to where a draw starts (a twentieth of the cost of making one)."""
    if _local.bits is None:
        _local.make()
    state = _local.state
    inner = state["state"]
    inner["key"][:] = start[:2]
    inner["counter"][:] = (0, 0, start[2], 0)
    state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
    _local.bits.state = state
    return _local.generator


def _floats(draw: Any, shape: Shape, dtype: DType) -> Any:
    """Floats of a dtype from a method of the generator that makes float32 and float64."""
    if dtype.itemsize >= 4:
        return draw(shape, dtype=dtype.np)
    return draw(shape, dtype=np.float32).astype(dtype.np)


def _uniform(rng: Any, shape: Shape, dtype: DType) -> Any:
    got = _floats(rng.random, shape, dtype)
    if dtype.itemsize == 2:                              # rounding to a narrow dtype must not reach 1
        got = np.where(got >= 1, dtype.np.type(0), got)
    return got


def _truncated(rng: Any, shape: Shape, dtype: DType) -> Any:
    """Standard normal numbers within two standard deviations: what lies outside is drawn again."""
    out = _floats(rng.standard_normal, shape, dtype)
    flat = out.reshape(-1)
    while True:
        bad = np.flatnonzero(np.abs(flat.astype(np.float32) if dtype.itemsize == 2 else flat) > 2)
        if not bad.size:
            return flat.reshape(shape)
        flat[bad] = _floats(rng.standard_normal, (bad.size,), dtype)


_KINDS: dict[str, Any] = {
    "normal": lambda rng, shape, dtype: _floats(rng.standard_normal, shape, dtype),
    "uniform": _uniform,
    "truncated_normal": _truncated,
    "exponential": lambda rng, shape, dtype: _floats(rng.standard_exponential, shape, dtype),
    "gumbel": lambda rng, shape, dtype: -np.log(_floats(rng.standard_exponential, shape, dtype)),
}


def _noise_kernel(start: Any, kind: str, shape: Shape, dtype: DType) -> Any:
    return np.asarray(_KINDS[kind](generator(start), shape, dtype))


def _start_case(**params: Any) -> Any:
    return lambda rng: ((np.array([1, 2, 3], np.uint64),), params)


def _fresh(start: Any) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=start[:2], counter=np.array([0, 0, start[2], 0], np.uint64)))


NOISE = Primitive(
    "noise", lambda start, kind, shape, dtype: spec(shape, dtype), _noise_kernel,
    cases=(_start_case(kind="normal", shape=(3, 2), dtype=_dtypes.float64),
           _start_case(kind="uniform", shape=(4,), dtype=_dtypes.float32)),
    oracle=lambda start, kind, shape, dtype: _KINDS[kind](_fresh(start), shape, dtype),
    doc="Random numbers of a standard distribution.")


def _integers_kernel(start: Any, low: int, high: int, shape: Shape, dtype: DType) -> Any:
    return np.asarray(generator(start).integers(low, high, shape, dtype=dtype.np))


INTEGERS = Primitive(
    "random_integers", lambda start, low, high, shape, dtype: spec(shape, dtype), _integers_kernel,
    cases=(_start_case(low=-3, high=9, shape=(5,), dtype=_dtypes.int32),),
    oracle=lambda start, low, high, shape, dtype: _fresh(start).integers(low, high, shape, dtype=dtype.np),
    doc="Random integers of an interval, all equally likely.")

PERMUTATION = Primitive(
    "random_permutation", lambda start, n: spec((n,), _dtypes.int64), lambda start, n: generator(start).permutation(n),
    cases=(_start_case(n=6),), oracle=lambda start, n: _fresh(start).permutation(n),
    doc="The integers 0 .. n-1 in a random order.")


def _parameter_infer(start: Spec, *given: Spec, kind: str, shape: Shape, dtype: DType) -> Spec:
    return spec(shape, dtype)


def _bernoulli(rng: Any, shape: Shape, dtype: DType, p: Any) -> Any:
    return (rng.random(shape) < p).astype(dtype.np)


def _wide(x: Any) -> Any:
    return np.asarray(x).astype(np.float64)


_DRAWN: dict[str, Any] = {
    "bernoulli": _bernoulli,
    "poisson": lambda rng, shape, dtype, lam: rng.poisson(_wide(lam), shape).astype(dtype.np),
    "gamma": lambda rng, shape, dtype, alpha: np.asarray(rng.standard_gamma(_wide(alpha), shape)).astype(dtype.np),
    "binomial": lambda rng, shape, dtype, n, p: rng.binomial(np.asarray(n).astype(np.int64), _wide(p), shape).astype(dtype.np),
}


def _parameter_kernel(start: Any, *given: Any, kind: str, shape: Shape, dtype: DType) -> Any:
    return np.asarray(_DRAWN[kind](generator(start), shape, dtype, *given))


def _parameter_batch(args: Any, axes: Any, kind: str, shape: Shape, dtype: DType) -> tuple[Any, int]:
    size = next(t._spec.shape[a] for t, a in zip(args[1:], axes[1:]) if a is not None)
    given = []
    for t, a in zip(args[1:], axes[1:]):
        t = to_front(t, a, size)
        given.append(reshape(t, (size, *[1] * (len(shape) + 1 - t._spec.ndim), *t._spec.shape[1:])))
    return record(DRAWN.op(kind=kind, shape=(size, *shape), dtype=dtype), args[0], *given), 0


DRAWN = Primitive(
    "drawn", _parameter_infer, _parameter_kernel, batch=_parameter_batch,
    cases=(lambda rng: ((np.array([1, 2, 3], np.uint64), np.array([0.2, 0.5, 1.0])),
                        {"kind": "bernoulli", "shape": (4, 3), "dtype": _dtypes.int32}),),
    oracle=lambda start, *given, kind, shape, dtype: _DRAWN[kind](_fresh(start), shape, dtype, *given),
    doc="Random numbers of a distribution with tensors for parameters, through which no gradient flows.")


def _categorical_kernel(start: Any, logits: Any, num: int, dtype: DType) -> Any:
    wide = np.asarray(logits).astype(np.float64)
    noise = -np.log(generator(start).standard_exponential((wide.shape[0], num, wide.shape[1])))
    return np.argmax(wide[:, None, :] + noise, axis=-1).astype(dtype.np)


def _categorical_infer(start: Spec, logits: Spec, num: int, dtype: DType) -> Spec:
    return spec((logits.shape[0], num), dtype)


def _categorical_batch(args: Any, axes: Any, num: int, dtype: DType) -> tuple[Any, int]:
    logits = to_front(args[1], axes[1], 0)
    size, rows, classes = logits._spec.shape
    y = record(CATEGORICAL.op(num=num, dtype=dtype), args[0], reshape(logits, (size * rows, classes)))
    return reshape(y, (size, rows, num)), 0


CATEGORICAL = Primitive(
    "random_categorical", _categorical_infer, _categorical_kernel, batch=_categorical_batch,
    cases=(lambda rng: ((np.array([1, 2, 3], np.uint64), rng.normal(size=(2, 4))), {"num": 3, "dtype": _dtypes.int64}),),
    doc="Classes drawn with probabilities that are the softmax of logits.")

# ------------------------------------------------------------------------------------------------------ what users call


def dims_of(name: str, shape: Any) -> Shape:
    dims = as_shape(name, () if shape is None else shape)
    if min(dims, default=0) < 0:
        raise ShapeError(complain(name, "shape", "without negative dimensions", dims))
    return dims


def float_dtype(name: str, dtype: Any, *params: Any) -> DType:
    """The dtype asked for, else that of tensor parameters, else float32."""
    want = None if dtype is None else as_dtype(dtype)
    if want is None:
        given = [p._spec.dtype if isinstance(p, Value) else as_dtype(p.dtype) for p in params
                 if isinstance(p, (Value, np.ndarray, np.generic))]
        want = next((d for d in given if d.kind == "f"), _dtypes.DEFAULT_FLOAT)
    if want.kind != "f":
        raise DtypeError(complain(name, "dtype", "floating", want.name))
    return want


def full_shape(name: str, shape: Any, *params: Any) -> Shape:
    """The shape asked for; without one, that of the parameters. Parameters have to broadcast to it."""
    shapes = [tuple(np.shape(p)) if not isinstance(p, Value) else p._spec.shape for p in params]
    if shape is None:
        return broadcast_shapes(name, (), *shapes)
    dims = dims_of(name, shape)
    if broadcast_shapes(name, dims, *shapes) != dims:
        raise ShapeError(complain(name, "the parameters", f"of shapes that broadcast to {dims}", shapes))
    return dims


def noise(stream: Stream, kind: str, shape: Shape, dtype: DType) -> Any:
    return record(NOISE.op(kind=kind, shape=shape, dtype=dtype), Draw(stream))


@lru_cache(4096)
def _standard(name: str, kind: str, shape: Any, dtype: Any) -> Op:
    """The noise for parameters that are numbers."""
    return NOISE.op(kind=kind, shape=dims_of(name, shape), dtype=float_dtype(name, dtype))


def _fit(p: Any, dtype: DType) -> Any:
    """A location or scale beside noise of ``dtype``."""
    return cast(p, dtype) if isinstance(p, (Value, np.ndarray, np.generic, list, tuple)) else p


_NUMBERS = (int, float)


def located(name: str, stream: Stream, kind: str, shape: Any, loc: Any, scale: Any, dtype: Any) -> Any:
    """loc + scale * noise: differentiable with respect to both."""
    if loc.__class__ in _NUMBERS and scale.__class__ in _NUMBERS:
        dims = shape if shape.__class__ is tuple else dims_of(name, shape)
        op = _standard(name, kind, dims, dtype if dtype is None or dtype.__class__ is DType else as_dtype(dtype))
        z = record(op, Draw(stream))
        if scale != 1:
            z = multiply(z, scale)
        return add(z, loc) if loc != 0 else z
    want = float_dtype(name, dtype, loc, scale)
    z = noise(stream, kind, full_shape(name, shape, loc, scale), want)
    z = multiply(z, _fit(scale, want))
    return z if loc.__class__ in _NUMBERS and loc == 0 else add(z, _fit(loc, want))


def between(name: str, stream: Stream, shape: Any, low: Any, high: Any, dtype: Any) -> Any:
    """low + (high - low) * u for u uniform in [0, 1)."""
    if low.__class__ in _NUMBERS and high.__class__ in _NUMBERS:
        if not low <= high:
            raise ArgumentError(complain(name, "the interval", "with low at most high", f"[{low}, {high})"))
        return located(name, stream, "uniform", shape, low, high - low, dtype)
    want = float_dtype(name, dtype, low, high)
    u = noise(stream, "uniform", full_shape(name, shape, low, high), want)
    low, high = convert(_fit(low, want), want, True), convert(_fit(high, want), want, True)
    return add(multiply(u, high - low), low)


def integers(name: str, stream: Stream, shape: Any, low: Any, high: Any, dtype: Any) -> Any:
    want = _dtypes.DEFAULT_INT if dtype is None else as_dtype(dtype)
    if want.kind not in "iu":
        raise DtypeError(complain(name, "dtype", "an integer dtype", want.name))
    low, high = int(low), int(high)
    if not low < high:
        raise ArgumentError(complain(name, "the interval", "with low below high", f"[{low}, {high})"))
    if low < want.min or high - 1 > want.max:
        raise DtypeError(complain(name, "the interval", f"within {want.name}'s {want.min}..{want.max}", f"[{low}, {high})"))
    return record(INTEGERS.op(low=low, high=high, shape=dims_of(name, shape), dtype=want), Draw(stream))


def drawn(name: str, stream: Stream, kind: str, shape: Any, given: Any, dtype: DType) -> Any:
    tensors = [convert(p) for p in given]
    dims = full_shape(name, shape, *tensors)
    return record(DRAWN.op(kind=kind, shape=dims, dtype=dtype), Draw(stream), *tensors)


def categorical(stream: Stream, logits: Any, num: Any, dtype: Any) -> Any:
    t = convert(logits)
    want = _dtypes.int64 if dtype is None else as_dtype(dtype)
    if t._spec.ndim < 1 or not t._spec.shape[-1] or t._spec.dtype.kind != "f":
        raise ShapeError(complain("categorical", "logits", "floating, of shape (..., classes) with at least one class", t._spec))
    if want.kind not in "iu":
        raise DtypeError(complain("categorical", "dtype", "an integer dtype", want.name))
    lead = t._spec.shape[:-1]
    rows = 1
    for n in lead:
        rows *= n
    y = record(CATEGORICAL.op(num=1 if num is None else int(num), dtype=want), Draw(stream),
               reshape(t, (rows, t._spec.shape[-1])))
    return reshape(y, lead if num is None else (*lead, int(num)))


def permutation(stream: Stream, x: Any, axis: int = 0) -> Any:
    """The integers below ``x`` in a random order, or the slices of a tensor along ``axis``."""
    if x.__class__ is int or isinstance(x, np.integer):
        if x < 0:
            raise ShapeError(complain("permutation", "n", "not negative", x))
        return record(PERMUTATION.op(n=int(x)), Draw(stream))
    t = convert(x)
    if not -t._spec.ndim <= axis < t._spec.ndim:
        raise ShapeError(complain("permutation", "axis", f"in [{-t._spec.ndim}, {t._spec.ndim})", axis))
    k = axis % t._spec.ndim
    order = record(PERMUTATION.op(n=t._spec.shape[k]), Draw(stream))
    return index_op(t, (*[(0, n, 1) for n in t._spec.shape[:k]], TENSOR), (order,))

"""Arithmetic, reductions, products, segments and clipping where TensorFlow's arguments or rules differ from adjoint's."""
from __future__ import annotations

import builtins
from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes
from .._dtypes import as_dtype
from .._errors import DtypeError, NotSupportedError, ShapeError, complain
from .._tensor import Value
from ..primitives._make import normalize_axis
from ._arrays import _alike, ints, tensor
from ._bind import public, put

int32, int64, float32, float64, bool_ = (
    _dtypes.int32, _dtypes.int64, _dtypes.float32, _dtypes.float64, _dtypes.bool_)

# ------------------------------------------------------------------------------------------------------------- elementwise


def _pair(x: Any, y: Any, what: str) -> tuple[Any, Any]:
    """Two operands as tensors of one dtype: Python numbers and arrays take that of the tensor beside them."""
    a = tensor(x, y.dtype if isinstance(y, Value) and not hasattr(x, "dtype") else None)
    b = tensor(y, a.dtype if not hasattr(y, "dtype") else None)
    if a.dtype is not b.dtype:
        if not isinstance(y, Value):
            b = ad.cast(b, a.dtype)
        elif not isinstance(x, Value):
            a = ad.cast(a, b.dtype)
    first, second = _alike(what, (a, b))
    return first, second


@public("divide math.divide truediv math.truediv realdiv")
def truediv(x: Any, y: Any, name: str | None = None) -> Any:
    """The quotient x / y; integers are divided in float64 (8 and 16 bit ones in float32)."""
    if isinstance(x, Value) and isinstance(y, Value) and x.dtype is y.dtype and x.dtype.kind in "fc":
        return ad.divide(x, y)
    a, b = _pair(x, y, "divide")
    if a.dtype.kind in "biu":
        wide = float32 if a.dtype.itemsize <= 2 else float64
        a, b = ad.cast(a, wide), ad.cast(b, wide)
    return ad.divide(a, b)


def _logical(name: str) -> Any:
    def function(x: Any, y: Any, name: str | None = name) -> Any:
        return op(_truth(x), _truth(y))

    op: Any = getattr(ad, name)
    function.__name__, function.__doc__ = name, getattr(op, "__doc__", "")
    return function


def _truth(x: Any) -> Any:
    t = tensor(x)
    if t.dtype is not bool_:
        raise DtypeError(complain("a logical operation", "the operands", "bool", t.dtype.name, "compare with 0 first"))
    return t


put("logical_and math.logical_and", _logical("logical_and"))
put("logical_or math.logical_or", _logical("logical_or"))
put("math.logical_xor", _logical("logical_xor"))


@public("logical_not math.logical_not")
def logical_not(x: Any, name: str | None = None) -> Any:
    """True where ``x`` is false."""
    return ad.logical_not(_truth(x))


@public("math.reciprocal_no_nan")
def reciprocal_no_nan(x: Any, name: str | None = None) -> Any:
    """1 / x, and 0 where x is 0."""
    t = tensor(x)
    return ad.divide_no_nan(ad.ones_like(t), t)


@public("scalar_mul math.scalar_mul")
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """``x`` times a scalar."""
    t = tensor(x)
    s = tensor(scalar, t.dtype)
    if s.ndim:
        raise ValueError("scalar_mul: Only scalar multiply works, got shape " + str(tuple(s.shape)))
    return s * t


@public("add_n math.add_n")
def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of tensors of one shape and dtype."""
    if isinstance(inputs, Value) and inputs.ndim == 0 or not isinstance(inputs, (list, tuple, Value)) or not len(inputs):
        raise ValueError("Inputs must be an iterable of at least one Tensor/IndexedSlices with the same dtype and shape.")
    terms = _alike("add_n", inputs)
    for k, t in enumerate(terms):
        if t.shape != terms[0].shape:
            raise ShapeError(complain("add_n", f"inputs[{k}]", f"of shape {tuple(terms[0].shape)}, that of inputs[0]",
                                      tuple(t.shape)))
    total = terms[0] if len(terms) > 1 else ad.identity(terms[0])
    for t in terms[1:]:
        total = total + t
    return total


@public("math.accumulate_n")
def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Any:
    """The sum of tensors of one shape and dtype."""
    return add_n(inputs)


@public("math.polyval")
def polyval(coeffs: Any, x: Any, name: str | None = None) -> Any:
    """The polynomial with these coefficients, highest power first, at ``x``."""
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    t = tensor(x)
    if not coeffs:
        return ad.zeros_like(t)
    total = tensor(coeffs[0], t.dtype)
    for c in coeffs[1:]:
        total = total * t + tensor(c, t.dtype)
    return total


@public("math.polygamma")
def polygamma(a: Any, x: Any, name: str | None = None) -> Any:
    """The derivative of order ``a``, one order for all elements, of digamma."""
    order, t = _pair(a, x, "polygamma")
    orders = set(order.numpy().ravel().tolist())
    if len(orders) != 1:
        raise NotSupportedError(f"math.polygamma: one order for all elements is supported, got {sorted(orders)}")
    return ad.polygamma(int(orders.pop()), ad.broadcast_to(t, tuple((order + t).shape)))


@public("math.lbeta")
def lbeta(x: Any, name: str | None = None) -> Any:
    """The log of the multivariate beta function over the last axis."""
    t = tensor(x)
    return ad.sum(ad.lgamma(t), -1) - ad.lgamma(ad.sum(t, -1))


# -------------------------------------------------------------------------------------------------------------- reductions

def _axes(axis: Any) -> Any:
    return axis if axis is None or axis.__class__ is int else ints(axis)


@public("reduce_sum math.reduce_sum")
def reduce_sum(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The sum over axes, all of them by default; integers keep their dtype."""
    t = tensor(input_tensor)
    if t.dtype is bool_:
        raise DtypeError(complain("reduce_sum", "input_tensor", "numbers", "bool", "cast it with tf.cast"))
    return ad.sum(t, _axes(axis), dtype=t.dtype, keepdims=bool(keepdims))


@public("reduce_mean math.reduce_mean")
def reduce_mean(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The mean over axes; of integers the integer part of it."""
    t = tensor(input_tensor)
    if t.dtype.kind in "iu":
        return ad.cast(ad.trunc(ad.mean(ad.cast(t, float64), _axes(axis), keepdims=bool(keepdims))), t.dtype)
    return ad.mean(t, _axes(axis), keepdims=bool(keepdims))


@public("reduce_prod math.reduce_prod")
def reduce_prod(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The product over axes; integers keep their dtype."""
    t = tensor(input_tensor)
    return ad.prod(t, axis=_axes(axis), dtype=t.dtype, keepdims=bool(keepdims))


def _extreme(paths: str, ours: str, empty: str) -> None:
    def function(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
        t = tensor(input_tensor)
        if not t.size:                                   # TensorFlow gives the neutral element where NumPy refuses
            shape = np.sum(np.zeros(tuple(t.shape)), axis=_axes(axis), keepdims=bool(keepdims)).shape
            fill = (getattr(t.dtype, empty) if t.dtype.kind in "iu" else -np.inf if empty == "min" else np.inf)
            if not np.prod(shape, dtype=int) or t.dtype.kind in "iuf":
                return ad.broadcast_to(ad.constant(fill, dtype=t.dtype), shape)
        return getattr(ad, ours)(t, axis=_axes(axis), keepdims=bool(keepdims))

    function.__name__ = f"reduce_{ours}"
    function.__doc__ = f"The {ours}imum over axes, all of them by default; its gradient is shared evenly by ties."
    put(paths, function)


_extreme("reduce_max math.reduce_max", "max", "min")
_extreme("reduce_min math.reduce_min", "min", "max")


@public("reduce_all math.reduce_all")
def reduce_all(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """Whether all elements along axes are true."""
    return ad.all(_truth(input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


@public("reduce_any math.reduce_any")
def reduce_any(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """Whether any element along axes is true."""
    return ad.any(_truth(input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


@public("reduce_logsumexp math.reduce_logsumexp")
def reduce_logsumexp(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """log(sum(exp(x))) over axes, without overflow."""
    return ad.logsumexp(tensor(input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


def _floating(what: str, x: Any) -> Any:
    t = tensor(x)
    if t.dtype.kind not in "fc":
        raise DtypeError(complain(what, "input_tensor", "real or complex", f"integer type {t.dtype.name}",
                                  "cast it with tf.cast"))
    return t


@public("math.reduce_std")
def reduce_std(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The population standard deviation over axes; its gradient at 0 is 0."""
    return ad.std(_floating("reduce_std", input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


@public("math.reduce_variance")
def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The population variance over axes."""
    return ad.var(_floating("reduce_variance", input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


@public("math.reduce_euclidean_norm")
def reduce_euclidean_norm(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The Euclidean norm over axes; its gradient at 0 is 0."""
    return ad.vector_norm(_floating("reduce_euclidean_norm", input_tensor), axis=_axes(axis), keepdims=bool(keepdims))


@public("math.count_nonzero")
def count_nonzero(input: Any, axis: Any = None, keepdims: Any = None, dtype: Any = int64, name: str | None = None) -> Any:
    """How many elements along axes are not zero."""
    t = tensor(input)
    hit = t if t.dtype is bool_ else ad.not_equal(t, ad.zeros((), dtype=t.dtype))
    return ad.sum(ad.cast(hit, as_dtype(dtype)), _axes(axis), dtype=as_dtype(dtype), keepdims=bool(keepdims))


@public("math.zero_fraction nn.zero_fraction")
def zero_fraction(value: Any, name: str | None = None) -> Any:
    """The fraction of elements that are zero."""
    t = tensor(value)
    return ad.mean(ad.cast(ad.equal(t, ad.zeros((), dtype=t.dtype)), float32))


def _arg(paths: str, ours: str) -> None:
    def function(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Any:
        t = tensor(input)
        at = 0 if axis is None else ints(axis)
        return ad.cast(getattr(ad, ours)(t if t.dtype is not bool_ else ad.cast(t, int32), axis=at), as_dtype(output_type))

    function.__name__, function.__doc__ = ours, f"The index of the {ours[3:]}imum along an axis, the first by default; int64."
    put(paths, function)


_arg("argmax math.argmax", "argmax")
_arg("argmin math.argmin", "argmin")


def _running(paths: str, ours: str, doc: str) -> None:
    def function(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
        return getattr(ad, ours)(x, axis=ints(axis), exclusive=bool(exclusive), reverse=bool(reverse))

    function.__name__, function.__doc__ = paths.split()[0].rpartition(".")[2], doc
    put(paths, function)


_running("cumsum math.cumsum", "cumsum", "Running sums along an axis; exclusive: without the element itself.")
_running("math.cumprod", "cumprod", "Running products along an axis; exclusive: without the element itself.")


@public("math.cumulative_logsumexp")
def cumulative_logsumexp(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False,
                         name: str | None = None) -> Any:
    """Running log-sum-exp along an axis; exclusive: without the element itself."""
    t = tensor(x)
    at = normalize_axis("cumulative_logsumexp", ints(axis), t.ndim)
    if reverse:
        t = ad.flip(t, axis=at)
    y = ad.logcumsumexp(t, axis=at)
    if exclusive:
        first = tuple(builtins.min(1, n) if k == at else n for k, n in enumerate(t.shape))
        kept = y[(slice(None),) * at + (slice(0, t.shape[at] - 1),)]
        y = ad.concat([ad.broadcast_to(ad.constant(-np.inf, dtype=t.dtype), first), kept], axis=at)
    return ad.flip(y, axis=at) if reverse else y

"""Products, norms, diagonals and clipping."""
from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes, nn
from .._errors import NotSupportedError, ShapeError, complain
from .._tensor import Value
from ..primitives._make import normalize_axis
from ._arrays import _alike, ints, tensor
from ._bind import public
from ._maths import _axes, _floating, _pair

bool_ = _dtypes.bool_


@public("matmul linalg.matmul")
def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
           adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, output_type: Any = None,
           grad_a: bool = False, grad_b: bool = False, name: str | None = None) -> Any:
    """The matrix product, over leading axes that broadcast; either factor may be transposed first."""
    plain = not (transpose_a or transpose_b or adjoint_a or adjoint_b or output_type)
    if plain and isinstance(a, Value) and isinstance(b, Value) and a._spec.ndim > 1 and b._spec.ndim > 1 and (
            a._spec.dtype is b._spec.dtype):
        return ad.matmul(a, b)
    x, y = _pair(a, b, "matmul")
    if x.ndim < 2 or y.ndim < 2:
        raise ShapeError(complain("matmul", "a and b", "matrices (two axes or more)", f"shapes {tuple(x.shape)} and "
                                  f"{tuple(y.shape)}", "for vectors use tf.tensordot or tf.linalg.matvec"))
    if transpose_a and adjoint_a or transpose_b and adjoint_b:
        raise ValueError("Only one of transpose and adjoint can be True for a factor.")
    if transpose_a or adjoint_a:
        x = ad.matrix_transpose(x)
    if transpose_b or adjoint_b:
        y = ad.matrix_transpose(y)
    product = ad.matmul(ad.conj(x) if adjoint_a else x, ad.conj(y) if adjoint_b else y)
    return product if output_type is None else ad.cast(product, output_type)


@public("linalg.matvec")
def matvec(a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, a_is_sparse: bool = False,
           b_is_sparse: bool = False, name: str | None = None) -> Any:
    """The product of a matrix and a vector."""
    x, y = _pair(a, b, "matvec")
    return ad.squeeze(matmul(x, ad.expand_dims(y, axis=-1), transpose_a, adjoint_a=adjoint_a), axis=-1)


@public("tensordot linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Any:
    """The sum of products over the axes named: a number, or a pair of lists of axes."""
    x, y = _pair(a, b, "tensordot")
    over = ints(axes)
    if isinstance(over, tuple) and len(over) == 2:
        over = tuple(k if isinstance(k, tuple) else (k,) for k in over)
    return ad.tensordot(x, y, axes=over)


@public("einsum linalg.einsum")
def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Any:
    """A sum of products in Einstein's notation."""
    return ad.einsum(equation, *_alike("einsum", inputs))


@public("linalg.trace")
def trace(x: Any, name: str | None = None) -> Any:
    """The sum of the diagonal of the last two axes."""
    return ad.sum(ad.diagonal(tensor(x), axis1=-2, axis2=-1), -1)


@public("linalg.diag_part linalg.tensor_diag_part")
def diag_part(input: Any, name: str = "diag_part", k: int = 0, padding_value: Any = 0, align: str = "RIGHT_LEFT") -> Any:
    """The diagonal of the last two axes."""
    return ad.diagonal(tensor(input), offset=ints(k), axis1=-2, axis2=-1)


@public("linalg.diag linalg.tensor_diag")
def diag(diagonal: Any, name: str = "diag", k: int = 0, num_rows: int = -1, num_cols: int = -1, padding_value: Any = 0,
         align: str = "RIGHT_LEFT") -> Any:
    """Matrices with this diagonal and zeros elsewhere."""
    t = tensor(diagonal)
    if k:
        raise NotSupportedError("linalg.diag: only the main diagonal (k=0) is there yet")
    return ad.where(ad.eye(t.shape[-1], dtype=bool_), ad.expand_dims(t, axis=-1), ad.zeros((), dtype=t.dtype))


@public("linalg.band_part")
def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Any:
    """The matrix with zeros below ``num_lower`` subdiagonals and above ``num_upper`` superdiagonals (negative: all kept)."""
    t = tensor(input)
    low, up = ints(num_lower), ints(num_upper)
    if low >= 0:
        t = ad.triu(t, k=-low)
    return ad.tril(t, k=up) if up >= 0 else ad.identity(t)


@public("linalg.cross")
def cross(a: Any, b: Any, name: str | None = None) -> Any:
    """The cross product of vectors of three elements along the last axis."""
    x, y = _pair(a, b, "cross")
    x1, x2, x3 = ad.unstack(x, axis=-1)
    y1, y2, y3 = ad.unstack(y, axis=-1)
    return ad.stack([x2 * y3 - x3 * y2, x3 * y1 - x1 * y3, x1 * y2 - x2 * y1], axis=-1)


# ------------------------------------------------------------------------------------------------------- norms and clipping

@public("norm linalg.norm")
def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: str | None = None) -> Any:
    """A vector norm over one axis or all elements, or a matrix norm over two axes; the gradient at 0 is 0.

    ord   "euclidean", "fro", 1, 2, inf or any positive number
    """
    t = _floating("norm", tensor)
    axes = ints(axis)
    keep = bool(keepdims)
    if isinstance(axes, tuple) and len(axes) == 1:
        axes = axes[0]
    matrix = isinstance(axes, tuple)
    if matrix and len(axes) != 2:
        raise ValueError(f"`axis` must be None, an integer, or a tuple of 2 unique integers, got {axis}")
    if isinstance(ord, str):
        if ord not in ("euclidean", "fro") or ord == "fro" and not matrix:
            raise ValueError(f"ord={ord!r} is not a norm for axis={axis}")
        return ad.vector_norm(t, axis=axes, keepdims=keep)
    if not isinstance(ord, (int, float)) or ord <= 0:
        raise ValueError(f"`ord` must be a positive number or one of 'euclidean', 'fro', got {ord!r}")
    if not matrix:
        return ad.vector_norm(t, axis=axes, keepdims=keep, ord=ord)
    rows, columns = (normalize_axis("norm", a, t.ndim) for a in axes)
    if ord == 2:
        raise NotSupportedError("norm: the spectral norm (ord=2 of a matrix) needs a singular value decomposition, which "
                                "comes later; ord='fro' is there")
    if ord not in (1, np.inf):
        raise ValueError(f"`ord` of a matrix norm must be 'euclidean', 'fro', 1, 2 or inf, got {ord!r}")
    summed, taken = (rows, columns) if ord == 1 else (columns, rows)
    sums = ad.sum(ad.abs(t), summed, keepdims=True)
    most = ad.max(sums, axis=taken, keepdims=True)
    return most if keep else ad.squeeze(most, axis=(rows, columns))


@public("linalg.normalize")
def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None, name: str | None = None) -> tuple[Any, Any]:
    """``tensor`` divided by its norm along axes, and the norm."""
    t = _floating("normalize", tensor)
    n = norm(t, ord, axis, True)
    return t / n, n


@public("math.l2_normalize nn.l2_normalize linalg.l2_normalize")
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None) -> Any:
    """x / sqrt(max(sum(x**2), epsilon)) over axes."""
    return nn.l2_normalize(_floating("l2_normalize", x), axis=_axes(axis if dim is None else dim), epsilon=epsilon)


@public("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """``t`` limited to an interval."""
    x = tensor(t)
    low, high = tensor(clip_value_min, x.dtype), tensor(clip_value_max, x.dtype)
    out = ad.clip(x, low, high) if x.dtype is low.dtype is high.dtype else None
    if out is None:
        _alike("clip_by_value", (x, low, high))
    return out


@public("clip_by_norm")
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """``t`` scaled down to norm ``clip_norm`` where its norm is larger."""
    if isinstance(t, ad.IndexedSlices):
        return ad.IndexedSlices(clip_by_norm(t.values, clip_norm, axes), t.indices, t.dense_shape)
    return ad.optim.clip_norm(tensor(t), clip_norm, axis=_axes(axes))


@public("linalg.global_norm")
def global_norm(t_list: Any, name: str | None = None) -> Any:
    """sqrt(sum of all squares) over a list of tensors, in which None is skipped."""
    return ad.optim.global_norm([_dense(t) for t in _listed("global_norm", t_list)])


def _dense(t: Any) -> Any:
    return t.values if isinstance(t, ad.IndexedSlices) else t


def _listed(what: str, t_list: Any) -> list[Any]:
    if isinstance(t_list, (str, bytes)) or not hasattr(t_list, "__iter__") or isinstance(t_list, dict):
        raise TypeError("`t_list` should be a sequence of tensors")
    return list(t_list)


@public("clip_by_global_norm")
def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None, name: str | None = None) -> tuple[list[Any], Any]:
    """The tensors scaled by clip_norm / max(their global norm, clip_norm), and that norm."""
    items = _listed("clip_by_global_norm", t_list)
    total = global_norm(items) if use_norm is None else tensor(use_norm)
    limit = tensor(clip_norm, total.dtype)
    scale = limit * ad.minimum(ad.reciprocal(total), ad.reciprocal(limit))
    scale = ad.where(ad.isfinite(total), scale, total - total)
    clipped: list[Any] = []
    for t in items:
        if t is None:
            clipped.append(None)
        elif isinstance(t, ad.IndexedSlices):
            clipped.append(ad.IndexedSlices(t.values * ad.cast(scale, t.values.dtype), t.indices, t.dense_shape))
        else:
            x = tensor(t)
            clipped.append(x * ad.cast(scale, x.dtype))
    return clipped, total

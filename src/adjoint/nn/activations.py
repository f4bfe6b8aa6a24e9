"""Activations under their usual names. Each is a primitive with accurate derivatives of every order."""
from __future__ import annotations

from typing import Any

from .._errors import ArgumentError, ShapeError, complain
from .._operators import unary
from .._tensor import Value
from ..primitives import activation as _a
from ..primitives._accuracy import stated
from ..primitives.activation import gelu_exact, gelu_tanh, hard_silu, log_cosh, mish, selu, silu, softsign, tanhshrink
from ..primitives.convert import convert, identity
from ..primitives.movement import moveaxis
from ..primitives.normalize import l2_normalize
from ..primitives.softmax import (
    log_softmax,
    logsumexp,
    sigmoid_cross_entropy_with_logits,
    softmax,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
)
from ..primitives.special import log_sigmoid, sigmoid, softplus
from ..primitives.transcendental import exp, tanh

__all__ = [
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "l2_normalize", "leaky_relu", "linear", "log_cosh", "log_sigmoid", "log_softmax", "logsumexp",
    "mish", "relu", "relu6", "selu", "sigmoid", "sigmoid_cross_entropy_with_logits", "silu", "soft_shrink",
    "softmax", "softmax_cross_entropy_with_logits", "softplus", "softsign",
    "sparse_softmax_cross_entropy_with_logits", "squareplus", "swish", "tanh", "tanhshrink", "threshold",
]

relu = unary(_a.RELU.op(), "relu", """max(x, 0), elementwise; the derivative at 0 is 0.

    >>> import adjoint as ad
    >>> ad.nn.relu(ad.constant([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """)
relu6 = unary(_a.RELU6.op(), "relu6", """min(max(x, 0), 6), elementwise; the derivative at 0 and 6 is 0.

    >>> import adjoint as ad
    >>> ad.nn.relu6(ad.constant([-1.0, 7.0])).tolist()
    [0.0, 6.0]
    """)
hard_tanh = unary(_a.HARD_TANH.op(), "hard_tanh", """x clipped to [-1, 1], elementwise; the derivative at -1 and 1 is 0.

    >>> import adjoint as ad
    >>> ad.nn.hard_tanh(ad.constant([-3.0, 0.5])).tolist()
    [-1.0, 0.5]
    """)
hard_sigmoid = unary(_a.HARD_SIGMOID.op(), "hard_sigmoid", """relu6(x + 3) / 6, elementwise, as in Keras 3.

    >>> import adjoint as ad
    >>> ad.nn.hard_sigmoid(ad.constant([-4.0, 0.0, 4.0])).tolist()
    [0.0, 0.5, 1.0]
    """)
hard_swish = hard_silu
swish = silu
exponential = exp


def _positive(name: str, argument: str, value: Any, strict: bool = True) -> float:
    number = float(value)
    if not (number > 0 or (number == 0 and not strict)):
        raise ArgumentError(complain(name, argument, "positive" if strict else "at least 0", value))
    return number


@stated(_a.LEAKY)
def leaky_relu(x: Any, alpha: float = 0.2) -> Any:
    """x where positive, else alpha x; the derivative at 0 is alpha.

    >>> import adjoint as ad
    >>> ad.nn.leaky_relu(ad.constant([-1.0, 2.0]), alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    return _a.call(_a.LEAKY, x, slope=float(alpha))


@stated(_a.ELU)
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha (exp(x) - 1). Clevert et al., arXiv:1511.07289.

    >>> import adjoint as ad
    >>> ad.nn.elu(ad.constant([0.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return _a.call(_a.ELU, x, alpha=float(alpha))


@stated(_a.CELU)
def celu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha (exp(x / alpha) - 1); alpha positive. Barron, arXiv:1704.07483.

    >>> import adjoint as ad
    >>> ad.nn.celu(ad.constant([0.0, 2.0]), alpha=2.0).tolist()
    [0.0, 2.0]
    """
    return _a.call(_a.CELU, x, alpha=_positive("celu", "alpha", alpha))


@stated(gelu_exact.primitive)
def gelu(x: Any, approximate: bool = False) -> Any:
    """x Phi(x), Phi the normal distribution function; Hendrycks and Gimpel, arXiv:1606.08415.

    approximate   take x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) instead

    >>> import adjoint as ad
    >>> round(float(ad.nn.gelu(ad.constant(1.0))), 5)
    0.84134
    """
    return (gelu_tanh if approximate else gelu_exact)(x)


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by ``threshold``, and 0 within it; the derivative at the kinks is 1.

    >>> import adjoint as ad
    >>> ad.nn.soft_shrink(ad.constant([-2.0, 0.25, 2.0])).tolist()
    [-1.5, 0.0, 1.5]
    """
    return _a.call(_a.SOFT_SHRINK, x, width=_positive("soft_shrink", "threshold", threshold, False))


def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x where |x| > ``threshold``, else 0.

    >>> import adjoint as ad
    >>> ad.nn.hard_shrink(ad.constant([-2.0, 0.25, 2.0])).tolist()
    [-2.0, 0.0, 2.0]
    """
    return _a.call(_a.HARD_SHRINK, x, width=_positive("hard_shrink", "threshold", threshold, False))


def threshold(x: Any, threshold: float = 0.0, value: float = 0.0) -> Any:
    """x where x > ``threshold``, else ``value``.

    >>> import adjoint as ad
    >>> ad.nn.threshold(ad.constant([-2.0, 2.0]), 1.0, -5.0).tolist()
    [-5.0, 2.0]
    """
    return _a.call(_a.THRESHOLD, x, limit=float(threshold), otherwise=float(value))


@stated(_a.SQUAREPLUS)
def squareplus(x: Any, b: float = 4.0) -> Any:
    """(x + sqrt(x^2 + b)) / 2, a smooth ramp; b positive. Barron, arXiv:2112.11687.

    >>> import adjoint as ad
    >>> float(ad.nn.squareplus(ad.constant(0.0)))
    1.0
    """
    return _a.call(_a.SQUAREPLUS, x, b=_positive("squareplus", "b", b))


def linear(x: Any) -> Any:
    """x itself.

    >>> import adjoint as ad
    >>> float(ad.nn.linear(ad.constant(3.0)))
    3.0
    """
    return identity(x)


def glu(x: Any, axis: int = -1) -> Any:
    """The gated linear unit a sigmoid(b), a and b the halves of x along ``axis``. Dauphin et al., arXiv:1612.08083.

    Raises ShapeError where the axis has an odd length.

    >>> import adjoint as ad
    >>> ad.nn.glu(ad.constant([3.0, 0.0])).tolist()
    [1.5]
    """
    t: Any = x if isinstance(x, Value) else convert(x)
    last = axis == -1 or axis == t._spec.ndim - 1
    if not last:
        t = moveaxis(t, axis, -1)
    size = t._spec.shape[-1] if t._spec.shape else 0
    if size % 2 or not size:
        raise ShapeError(complain("glu", "x", "of even length along the axis", size))
    y = t[..., : size // 2] * sigmoid(t[..., size // 2:])
    return y if last else moveaxis(y, -1, axis)

"""tf.nn: activations, softmax, cross-entropy and moments."""
from __future__ import annotations

from typing import Any

import adjoint as ad

from .. import nn
from .._errors import ArgumentError, ShapeError, complain
from ._arrays import ints, tensor
from ._bind import bind, public
from ._linalg import _axes
from ._maths import _floating, _pair
from ._random import uniform

bind("x", "x", """
    sigmoid             sigmoid math.sigmoid nn.sigmoid keras.backend.sigmoid
    log_sigmoid         math.log_sigmoid
""", nn)

bind("features", "features", """
    relu                nn.relu
    relu6               nn.relu6
    elu                 nn.elu
    selu                nn.selu
    softplus            nn.softplus math.softplus
    softsign            nn.softsign math.softsign
""", nn)


@public("nn.leaky_relu")
def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
    """x where x is positive, alpha x elsewhere."""
    return nn.leaky_relu(features, alpha)


@public("nn.gelu")
def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
    """x Phi(x), with the normal distribution function Phi; ``approximate``: by a tanh."""
    return nn.gelu(features, approximate=bool(approximate))


@public("nn.silu nn.swish")
def silu(features: Any, beta: Any = 1.0) -> Any:
    """x sigmoid(beta x)."""
    if isinstance(beta, (int, float)) and beta == 1:
        return nn.silu(features)
    x = tensor(features)
    return x * nn.sigmoid(tensor(beta, x.dtype) * x)


@public("nn.crelu")
def crelu(features: Any, axis: Any = -1, name: str | None = None) -> Any:
    """relu(x) and relu(-x), concatenated."""
    x = tensor(features)
    return nn.relu(ad.concat([x, -x], axis=ints(axis)))


@public("nn.softmax math.softmax")
def softmax(logits: Any, axis: Any = None, name: str | None = None) -> Any:
    """exp(x) over its sum along an axis, the last by default."""
    return nn.softmax(logits, axis=-1 if axis is None else ints(axis))


@public("nn.log_softmax math.log_softmax")
def log_softmax(logits: Any, axis: Any = None, name: str | None = None) -> Any:
    """The log of the softmax along an axis, the last by default."""
    return nn.log_softmax(logits, axis=-1 if axis is None else ints(axis))


# ----------------------------------------------------------------------------------------------------------- cross-entropy

def _both(what: str, labels: Any, logits: Any) -> tuple[Any, Any]:
    if labels is None or logits is None:
        raise ValueError(f"Both `labels` and `logits` must be provided to {what}.")
    y, z = tensor(labels), tensor(logits)
    if y.dtype is not z.dtype and y.dtype.kind != "b":
        y = _pair(labels, z, what)[0]
    if tuple(y.shape) != tuple(z.shape):
        raise ValueError(complain(what, "labels and logits", "of the same shape", f"({tuple(y.shape)} vs {tuple(z.shape)})"))
    return y, z


@public("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels: Any = None, logits: Any = None, name: str | None = None) -> Any:
    """The cross-entropy of independent classes: (1 - t) softplus(x) + t softplus(-x) for each element."""
    y, z = _both("sigmoid_cross_entropy_with_logits", labels, logits)
    return ad.sigmoid_cross_entropy_with_logits(labels=y, logits=z)


@public("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(labels: Any, logits: Any, pos_weight: Any, name: str | None = None) -> Any:
    """The sigmoid cross-entropy with positive labels weighted: (1 - t) softplus(x) + w t softplus(-x)."""
    y, z = _both("weighted_cross_entropy_with_logits", labels, logits)
    w = tensor(pos_weight, z.dtype)
    return (1.0 - y) * nn.softplus(z) + w * y * nn.softplus(-z)


@public("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: Any = -1, name: str | None = None) -> Any:
    """The cross-entropy of distributions ``labels`` and the softmax of ``logits`` along an axis."""
    y, z = _pair(labels, logits, "softmax_cross_entropy_with_logits")
    return ad.softmax_cross_entropy_with_logits(labels=y, logits=z, axis=ints(axis))


@public("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: str | None = None) -> Any:
    """The cross-entropy of class numbers ``labels`` and the softmax of ``logits`` along the last axis."""
    y, z = tensor(labels), tensor(logits)
    if tuple(y.shape) != tuple(z.shape)[:-1]:
        raise ValueError(complain("sparse_softmax_cross_entropy_with_logits", "labels",
                                  f"of the shape of logits without the last axis, {tuple(z.shape)[:-1]}", tuple(y.shape)))
    value = getattr(y, "_value", None)
    if value is not None and value.size and (value.min() < 0 or value.max() >= z.shape[-1]):
        raise ArgumentError(complain("sparse_softmax_cross_entropy_with_logits", "labels", f"in [0, {z.shape[-1]})",
                                     f"{value.min()}..{value.max()}"))
    return ad.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z)


@public("nn.log_poisson_loss")
def log_poisson_loss(targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None) -> Any:
    """exp(c) - t c for a log rate c; in full, with Stirling's approximation of log t! for t above 1."""
    t, c = _pair(targets, log_input, "log_poisson_loss")
    loss = ad.exp(c) - t * c
    if compute_full_loss:
        big = ad.logical_and(ad.greater_equal(t, 0.0), ad.less_equal(t, 1.0))
        stirling = t * ad.log(t) - t + 0.5 * ad.log(6.283185307179586 * t)
        loss = loss + ad.where(big, ad.zeros_like(t), stirling)
    return loss


# -------------------------------------------------------------------------------------------------- sums, means and moments

@public("nn.l2_loss")
def l2_loss(t: Any, name: str | None = None) -> Any:
    """Half the sum of squares."""
    return ad.sum(ad.square(_floating("l2_loss", t))) * 0.5


@public("nn.moments")
def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """The mean and the variance over axes."""
    t, over = _floating("moments", x), _axes(axes)
    return (ad.mean(t, axis=over, keepdims=bool(keepdims)), ad.var(t, axis=over, keepdims=bool(keepdims)))


@public("nn.weighted_moments")
def weighted_moments(x: Any, axes: Any, frequency_weights: Any, keepdims: bool = False,
                     name: str | None = None) -> tuple[Any, Any]:
    """The mean and the variance over axes of elements that count as often as their weights say."""
    t, over = _floating("weighted_moments", x), _axes(axes)
    w = ad.broadcast_to(ad.cast(tensor(frequency_weights), t.dtype), tuple(t.shape))
    total = ad.sum(w, over, keepdims=True)
    mean = ad.sum(w * t, over, keepdims=True) / total
    variance = ad.sum(w * ad.square(t - mean), over, keepdims=True) / total
    if keepdims:
        return mean, variance
    squeezed = tuple(range(t.ndim)) if over is None else over
    return ad.squeeze(mean, axis=squeezed), ad.squeeze(variance, axis=squeezed)


@public("nn.batch_normalization")
def batch_normalization(x: Any, mean: Any, variance: Any, offset: Any, scale: Any, variance_epsilon: Any,
                        name: str | None = None) -> Any:
    """scale (x - mean) / sqrt(variance + epsilon) + offset."""
    inverse = ad.rsqrt(tensor(variance) + variance_epsilon)
    if scale is not None:
        inverse = inverse * scale
    y = (tensor(x) - mean) * inverse
    return y if offset is None else y + offset


@public("nn.bias_add")
def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
    """``value`` plus a vector along its last axis (its second for data_format "NC...")."""
    x, b = _pair(value, bias, "bias_add")
    first = data_format is not None and data_format.startswith("NC")
    at = 1 if first else x.ndim - 1
    if b.ndim != 1 or b.shape[0] != x.shape[at]:
        raise ShapeError(complain("bias_add", "bias", f"a vector of {x.shape[at]} elements", f"shape {tuple(b.shape)}"))
    return x + (ad.reshape(b, (-1,) + (1,) * (x.ndim - 2)) if first else b)


@public("nn.dropout")
def dropout(x: Any, rate: Any, noise_shape: Any = None, seed: Any = None, name: str | None = None) -> Any:
    """Elements set to 0 with probability ``rate``, the others divided by 1 - rate."""
    t = _floating("dropout", x)
    if not hasattr(rate, "dtype") and (not isinstance(rate, (int, float)) or not 0 <= rate < 1):
        raise ValueError(f"`rate` must be a scalar tensor or a float in the range [0, 1). Received: rate={rate}")
    if isinstance(rate, (int, float)) and rate == 0:
        return t
    shape = tuple(t.shape) if noise_shape is None else tuple(n if n is not None else t.shape[k]
                                                            for k, n in enumerate(ints(noise_shape)))
    p = tensor(rate, t.dtype)
    kept = ad.greater_equal(uniform(shape, dtype=t.dtype, seed=seed), p)
    return ad.where(kept, t / (1.0 - p), ad.zeros((), dtype=t.dtype))


@public("nn.compute_average_loss")
def compute_average_loss(per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None) -> Any:
    """The sum of the losses over the number of examples."""
    loss = _floating("compute_average_loss", per_example_loss)
    if sample_weight is not None:
        w = ad.cast(tensor(sample_weight), loss.dtype)
        loss = loss * (ad.reshape(w, tuple(w.shape) + (1,) * (loss.ndim - w.ndim)) if w.ndim < loss.ndim else w)
    if global_batch_size is None:
        count = loss.shape[0] if loss.ndim else 1
    else:
        if tensor(global_batch_size).ndim:
            raise ValueError(f"`global_batch_size` must be a scalar. Received: {global_batch_size}.")
        count = int(global_batch_size)
        if count < 0:
            raise ValueError(f"`global_batch_size` must be non-negative. Received: {global_batch_size}.")
    return ad.sum(loss) / float(count)


@public("nn.scale_regularization_loss")
def scale_regularization_loss(regularization_loss: Any) -> Any:
    """The sum of the regularization losses (over the one device there is)."""
    return ad.sum(_floating("scale_regularization_loss", regularization_loss))

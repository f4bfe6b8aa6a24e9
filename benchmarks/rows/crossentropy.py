"""The notebook's last cell: softmax cross-entropy of x w + b, and its gradients."""
from typing import Any

import numpy as np

from . import Row

ROWS = {"crossentropy": Row("softmax cross-entropy and both gradients, 2x4x3 (the notebook's cell)")}

rng = np.random.default_rng(0)
X = rng.normal(size=(2, 4)).astype(np.float32)
W = rng.normal(size=(4, 3)).astype(np.float32)


def adjoint(ad: Any, decorate: Any) -> Any:
    x, w, b, y = ad.constant(X), ad.constant(W), ad.zeros([3]), ad.constant([2, 0])
    crossentropy = ad.losses.categorical_crossentropy

    @decorate
    def step():
        with ad.GradientTape() as tape:
            tape.watch([w, b])
            logits = x @ w + b
            loss = ad.mean(crossentropy(ad.one_hot(y, 3), logits, from_logits=True))
        return loss, tape.gradient(loss, [w, b])

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x, w, b, y = tf.constant(X), tf.constant(W), tf.zeros([3]), tf.constant([2, 0])

    @decorate
    def step():
        with tf.GradientTape() as tape:
            tape.watch([w, b])
            logits = x @ w + b
            loss = tf.reduce_mean(tf.losses.categorical_crossentropy(tf.one_hot(y, depth=3), logits, from_logits=True))
        return loss, tape.gradient(loss, [w, b])

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x, y = torch.tensor(X), torch.tensor([2, 0])
    w, b = torch.tensor(W, requires_grad=True), torch.zeros(3, requires_grad=True)
    functional = torch.nn.functional

    @decorate
    def step():
        logits = x @ w + b
        loss = functional.cross_entropy(logits, functional.one_hot(y, 3).float())
        return loss, torch.autograd.grad(loss, [w, b])

    return step


def jax(jax: Any, decorate: Any) -> Any:
    jnp = jax.numpy
    x, w, b, y = jnp.asarray(X), jnp.asarray(W), jnp.zeros(3), jnp.asarray([2, 0])

    def loss_of(w, b, x, y):
        logits = x @ w + b
        return -jnp.mean(jnp.sum(jax.nn.one_hot(y, 3) * jax.nn.log_softmax(logits), axis=-1))

    both = decorate(jax.value_and_grad(loss_of, (0, 1)))
    return lambda: both(w, b, x, y)

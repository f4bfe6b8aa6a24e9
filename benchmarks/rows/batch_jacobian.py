"""The Jacobian of each row of a batch through a layer."""
from typing import Any

import numpy as np

from . import Row

BATCH, N, M = 64, 32, 32
ROWS = {"batch-jacobian": Row(f"batch Jacobian of tanh(x w), batch {BATCH}, {N} to {M}")}

rng = np.random.default_rng(0)
X = rng.normal(size=(BATCH, N)).astype(np.float32)
W = (rng.normal(size=(N, M)) / 6).astype(np.float32)


def adjoint(ad: Any, decorate: Any) -> Any:
    x, w = ad.constant(X), ad.constant(W)

    @decorate
    def step():
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = ad.tanh(x @ w)
        return tape.batch_jacobian(y, x)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x, w = tf.constant(X), tf.constant(W)

    @decorate
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.tanh(x @ w)
        return tape.batch_jacobian(y, x)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x, w = torch.tensor(X), torch.tensor(W)
    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: torch.tanh(row @ w)))
    return lambda: jacobian(x)


def jax(jax: Any, decorate: Any) -> Any:
    x, w = jax.numpy.asarray(X), jax.numpy.asarray(W)
    jacobian = decorate(jax.vmap(jax.jacrev(lambda row, w: jax.numpy.tanh(row @ w)), (0, None)))
    return lambda: jacobian(x, w)

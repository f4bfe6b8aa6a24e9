"""A chain of elementwise functions and its gradient."""
from typing import Any

import numpy as np

from . import Row

N = 1_000_000
ROWS = {"chain": Row("gelu(x) tanh(x) + exp(x) and its gradient, 10^6 values", moved=12.0 * N)}


def data() -> np.ndarray:
    return np.random.default_rng(0).normal(size=N).astype(np.float32)


def adjoint(ad: Any, decorate: Any) -> Any:
    x = ad.constant(data())

    @decorate
    def step():
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = ad.nn.gelu(x) * ad.tanh(x) + ad.exp(x)
        return y, tape.gradient(y, x)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x = tf.constant(data())

    @decorate
    def step():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.gelu(x) * tf.tanh(x) + tf.exp(x)
        return y, tape.gradient(y, x)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x = torch.tensor(data(), requires_grad=True)
    ones = torch.ones(N)

    @decorate
    def step():
        y = torch.nn.functional.gelu(x) * torch.tanh(x) + torch.exp(x)
        return y, *torch.autograd.grad(y, [x], ones)

    return step


def jax(jax: Any, decorate: Any) -> Any:
    jnp = jax.numpy
    x = jnp.asarray(data())

    def chain(x):
        return jax.nn.gelu(x, approximate=False) * jnp.tanh(x) + jnp.exp(x)

    @decorate
    def both(x):
        y, back = jax.vjp(chain, x)
        return y, back(jnp.ones_like(y))

    return lambda: both(x)

"""The sigmoid and its gradient, of a few values and of many."""
from typing import Any

import numpy as np

from . import Row

ROWS = {
    f"sigmoid-{n}": Row(f"sigmoid and its gradient, {text} values", {"n": n}, moved=12.0 * n if n > 10 else 0)
    for n, text in ((10, "10"), (100_000, "10^5"), (10_000_000, "10^7"))
}


def data(n: int) -> np.ndarray:
    return np.linspace(-10, 10, n, dtype=np.float32)


def adjoint(ad: Any, decorate: Any, n: int) -> Any:
    a = ad.constant(data(n))

    @decorate
    def step():
        with ad.GradientTape() as tape:
            tape.watch(a)
            y = ad.nn.sigmoid(a)
        return y, tape.gradient(y, a)

    return step


def tensorflow(tf: Any, decorate: Any, n: int) -> Any:
    a = tf.constant(data(n))

    @decorate
    def step():
        with tf.GradientTape() as tape:
            tape.watch(a)
            y = tf.sigmoid(a)
        return y, tape.gradient(y, a)

    return step


def torch(torch: Any, decorate: Any, n: int) -> Any:
    a = torch.tensor(data(n), requires_grad=True)
    ones = torch.ones(n)

    @decorate
    def step():
        y = torch.sigmoid(a)
        return y, *torch.autograd.grad(y, [a], ones)

    return step


def jax(jax: Any, decorate: Any, n: int) -> Any:
    a = jax.numpy.asarray(data(n))

    @decorate
    def both(a):
        y, back = jax.vjp(jax.nn.sigmoid, a)
        return y, back(jax.numpy.ones_like(y))

    return lambda: both(a)

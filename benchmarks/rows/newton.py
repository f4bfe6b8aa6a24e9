"""Logistic regression: the loss, its gradient and its Hessian, and Newton's step."""
from typing import Any

import numpy as np

from . import Row

N, D = 1000, 20
ROWS = {"newton": Row(f"Newton's step for logistic regression, {N} samples of {D} features")}


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)).astype(np.float32)
    return x, (x @ rng.normal(size=D) + rng.normal(size=N) > 0).astype(np.float32)


def adjoint(ad: Any, decorate: Any) -> Any:
    x, y = (ad.constant(a) for a in data())
    w = ad.zeros([D])

    @decorate
    def derivatives():
        with ad.GradientTape() as tape1:
            tape1.watch(w)
            with ad.GradientTape() as tape2:
                tape2.watch(w)
                z = x @ w
                loss = ad.mean(ad.nn.softplus(z) - y * z) + 0.5e-3 * ad.sum(w * w)
            gradient = tape2.gradient(loss, w)
        return gradient, tape1.jacobian(gradient, w)

    def step():
        gradient, hessian = derivatives()
        return w - np.linalg.solve(hessian.numpy(), gradient.numpy())

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x, y = (tf.constant(a) for a in data())
    w = tf.zeros([D])

    @decorate
    def derivatives():
        with tf.GradientTape() as tape1:
            tape1.watch(w)
            with tf.GradientTape() as tape2:
                tape2.watch(w)
                z = tf.linalg.matvec(x, w)
                loss = tf.reduce_mean(tf.nn.softplus(z) - y * z) + 0.5e-3 * tf.reduce_sum(w * w)
            gradient = tape2.gradient(loss, w)
        return gradient, tape1.jacobian(gradient, w)

    def step():
        gradient, hessian = derivatives()
        return w - np.linalg.solve(hessian.numpy(), gradient.numpy())

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x, y = (torch.tensor(a) for a in data())
    w = torch.zeros(D)

    def loss(w):
        z = x @ w
        return (torch.nn.functional.softplus(z) - y * z).mean() + 0.5e-3 * (w * w).sum()

    gradient, hessian = torch.func.grad(loss), torch.func.hessian(loss)
    return lambda: w - torch.linalg.solve(hessian(w), gradient(w))


def jax(jax: Any, decorate: Any) -> Any:
    jnp = jax.numpy
    x, y = (jnp.asarray(a) for a in data())
    w = jnp.zeros(D)

    def loss(w, x, y):
        z = x @ w
        return jnp.mean(jax.nn.softplus(z) - y * z) + 0.5e-3 * jnp.sum(w * w)

    @decorate
    def newton(w, x, y):
        return w - jnp.linalg.solve(jax.hessian(loss)(w, x, y), jax.grad(loss)(w, x, y))

    return lambda: newton(w, x, y)

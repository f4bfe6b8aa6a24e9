"""The Hessian of Rosenbrock's function of ten variables."""
from typing import Any

import numpy as np

from . import Row

ROWS = {"hessian": Row("Hessian of Rosenbrock's function, n = 10")}
START = np.linspace(-1, 1, 10, dtype=np.float32)


def rosenbrock(sum_: Any, x: Any) -> Any:
    return sum_(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def adjoint(ad: Any, decorate: Any) -> Any:
    x = ad.constant(START)

    @decorate
    def step():
        with ad.GradientTape() as tape1:
            tape1.watch(x)
            with ad.GradientTape() as tape2:
                tape2.watch(x)
                y = rosenbrock(ad.sum, x)
            gradient = tape2.gradient(y, x)
        return tape1.jacobian(gradient, x)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x = tf.constant(START)

    @decorate
    def step():
        with tf.GradientTape() as tape1:
            tape1.watch(x)
            with tf.GradientTape() as tape2:
                tape2.watch(x)
                y = rosenbrock(tf.reduce_sum, x)
            gradient = tape2.gradient(y, x)
        return tape1.jacobian(gradient, x)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x = torch.tensor(START)
    hessian = torch.func.hessian(lambda x: rosenbrock(torch.sum, x))
    return lambda: hessian(x)


def jax(jax: Any, decorate: Any) -> Any:
    x = jax.numpy.asarray(START)
    hessian = decorate(jax.hessian(lambda x: rosenbrock(jax.numpy.sum, x)))
    return lambda: hessian(x)

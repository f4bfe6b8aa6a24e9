"""Two tapes, one inside the other, around y = x w + b."""
from typing import Any

from . import Row

ROWS = {"notebook": Row("two nested tapes: y = x w + b, both gradients, second derivative")}


def adjoint(ad: Any, decorate: Any) -> Any:
    w, b, x = ad.Variable(1.0), ad.Variable(2.0), ad.Variable(3.0)

    @decorate
    def step():
        with ad.GradientTape() as tape1:
            with ad.GradientTape() as tape2:
                y = x * w + b
            dy_dw, dy_db = tape2.gradient(y, [w, b])
        return dy_dw, dy_db, tape1.gradient(dy_dw, w)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    w, b, x = tf.Variable(1.0), tf.Variable(2.0), tf.Variable(3.0)

    @decorate
    def step():
        with tf.GradientTape() as tape1:
            with tf.GradientTape() as tape2:
                y = x * w + b
            dy_dw, dy_db = tape2.gradient(y, [w, b])
        return dy_dw, dy_db, tape1.gradient(dy_dw, w)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    w, b, x = (torch.tensor(v, requires_grad=True) for v in (1.0, 2.0, 3.0))

    @decorate
    def step():
        y = x * w + b
        dy_dw, dy_db = torch.autograd.grad(y, [w, b], create_graph=True)
        (d2y_dw2,) = torch.autograd.grad(dy_dw, [w], allow_unused=True)
        return dy_dw, dy_db, d2y_dw2

    return step


def jax(jax: Any, decorate: Any) -> Any:
    w, b, x = (jax.numpy.float32(v) for v in (1.0, 2.0, 3.0))

    def line(w, b, x):
        return x * w + b

    first = jax.grad(line, (0, 1))
    second = jax.grad(jax.grad(line))

    @decorate
    def both(w, b, x):
        return *first(w, b, x), second(w, b, x)

    return lambda: both(w, b, x)

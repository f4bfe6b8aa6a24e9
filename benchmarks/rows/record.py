"""What an operation on a tape costs. adjoint records it; TensorFlow and PyTorch compute it too."""
from typing import Any

from . import Row

N = 200
ROWS = {"record": Row("one operation on a tape (of a chain of 200 products of two scalars)", per=N,
                      without=("adjoint @function", "tf.function", "XLA", "JAX jit"))}


def adjoint(ad: Any, decorate: Any) -> Any:
    x = ad.Variable(1.0)

    def step():
        with ad.GradientTape():
            y = x
            for _ in range(N):
                y = y * x

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x = tf.Variable(1.0)

    def step():
        with tf.GradientTape():
            y = x
            for _ in range(N):
                y = y * x

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x = torch.tensor(1.0, requires_grad=True)

    def step():
        y = x
        for _ in range(N):
            y = y * x

    return step

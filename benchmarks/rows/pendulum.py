"""A damped pendulum through a thousand steps, and the gradient with respect to its length, friction and start."""
from typing import Any

from . import Row

STEPS, DT, GRAVITY = 1000, 0.01, 9.81
START = (1.2, 0.15, 1.4, -0.6)
ROWS = {"pendulum": Row("pendulum: gradient through 1000 steps of an integrator", without=("XLA",))}


def swing(sin: Any, steps: Any, length: Any, friction: Any, angle: Any, velocity: Any) -> Any:
    pull = GRAVITY / length
    for _ in steps:
        velocity = velocity - DT * (pull * sin(angle) + friction * velocity)
        angle = angle + DT * velocity
    return angle


def adjoint(ad: Any, decorate: Any) -> Any:
    unknowns = [ad.constant(v) for v in START]

    @decorate
    def step():
        with ad.GradientTape() as tape:
            tape.watch(unknowns)
            angle = swing(ad.sin, range(STEPS), *unknowns)
        return angle, tape.gradient(angle, unknowns)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    unknowns = [tf.constant(v) for v in START]
    eager = decorate(swing) is swing

    @decorate
    def step():
        with tf.GradientTape() as tape:
            tape.watch(unknowns)
            angle = swing(tf.sin, range(STEPS) if eager else tf.range(STEPS), *unknowns)
        return angle, tape.gradient(angle, unknowns)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    unknowns = [torch.tensor(v, requires_grad=True) for v in START]

    @decorate
    def step():
        angle = swing(torch.sin, range(STEPS), *unknowns)
        return angle, torch.autograd.grad(angle, unknowns)

    return step


def jax(jax: Any, decorate: Any) -> Any:
    unknowns = [jax.numpy.float32(v) for v in START]

    def last(length, friction, angle, velocity):
        pull = GRAVITY / length

        def one(state, _):
            angle, velocity = state
            velocity = velocity - DT * (pull * jax.numpy.sin(angle) + friction * velocity)
            return (angle + DT * velocity, velocity), None

        return jax.lax.scan(one, (angle, velocity), length=STEPS)[0][0]

    both = decorate(jax.value_and_grad(last, (0, 1, 2, 3)))
    return lambda: both(*unknowns)

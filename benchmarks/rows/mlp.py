"""A training step of a network of dense layers with relu: cross-entropy, gradients, plain descent."""
from typing import Any

import numpy as np

from . import Row

RATE = 0.01


def _row(sizes: tuple[int, ...], batch: int, full: bool = False) -> Row:
    products = [a * b for a, b in zip(sizes, sizes[1:])]
    # Forward, weights' gradients, and the gradient of every layer's input but the first's.
    flops = 2.0 * batch * (2 * sum(products) + sum(products[1:]))
    title = f"training step, {'-'.join(map(str, sizes))} relu network, batch {batch}"
    return Row(title, {"sizes": list(sizes), "batch": batch}, flops=flops if batch > 32 else 0, full=full)


ROWS = {
    "mlp-small": _row((64, 32, 10), 32),
    "mlp": _row((784, 512, 512, 10), 128),
    "mlp-large": _row((2048, 2048, 2048, 10), 512, full=True),
}


def data(sizes: list[int], batch: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    y = rng.integers(0, sizes[-1], batch).astype(np.int32)
    weights = [(rng.normal(size=(a, b)) / np.sqrt(a)).astype(np.float32) for a, b in zip(sizes, sizes[1:])]
    return x, y, weights, [np.zeros(b, np.float32) for b in sizes[1:]]


def adjoint(ad: Any, decorate: Any, sizes: list[int], batch: int) -> Any:
    x, y, weights, biases = data(sizes, batch)
    x, y = ad.constant(x), ad.constant(y)
    weights, biases = [ad.Variable(w) for w in weights], [ad.Variable(b) for b in biases]
    variables = weights + biases
    crossentropy = ad.losses.sparse_categorical_crossentropy

    @decorate
    def step():
        with ad.GradientTape() as tape:
            h = x
            for w, b in zip(weights[:-1], biases[:-1]):
                h = ad.nn.relu(h @ w + b)
            logits = h @ weights[-1] + biases[-1]
            loss = ad.mean(crossentropy(y, logits, from_logits=True))
        for v, g in zip(variables, tape.gradient(loss, variables)):
            v.assign_sub(RATE * g)
        return loss

    return step


def tensorflow(tf: Any, decorate: Any, sizes: list[int], batch: int) -> Any:
    x, y, weights, biases = data(sizes, batch)
    x, y = tf.constant(x), tf.constant(y)
    weights, biases = [tf.Variable(w) for w in weights], [tf.Variable(b) for b in biases]
    variables = weights + biases

    @decorate
    def step():
        with tf.GradientTape() as tape:
            h = x
            for w, b in zip(weights[:-1], biases[:-1]):
                h = tf.nn.relu(h @ w + b)
            logits = h @ weights[-1] + biases[-1]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
        for v, g in zip(variables, tape.gradient(loss, variables)):
            v.assign_sub(RATE * g)
        return loss

    return step


def torch(torch: Any, decorate: Any, sizes: list[int], batch: int) -> Any:
    x, y, weights, biases = data(sizes, batch)
    x, y = torch.tensor(x), torch.tensor(y).long()
    weights = [torch.tensor(w, requires_grad=True) for w in weights]
    biases = [torch.tensor(b, requires_grad=True) for b in biases]
    variables = weights + biases

    @decorate
    def step():
        h = x
        for w, b in zip(weights[:-1], biases[:-1]):
            h = torch.relu(torch.addmm(b, h, w))
        loss = torch.nn.functional.cross_entropy(torch.addmm(biases[-1], h, weights[-1]), y)
        gradients = torch.autograd.grad(loss, variables)
        with torch.no_grad():
            for v, g in zip(variables, gradients):
                v.sub_(g, alpha=RATE)
        return loss

    return step


def jax(jax: Any, decorate: Any, sizes: list[int], batch: int) -> Any:
    jnp = jax.numpy
    x, y, weights, biases = data(sizes, batch)
    x, y = jnp.asarray(x), jnp.asarray(y)
    state = [[jnp.asarray(w) for w in weights], [jnp.asarray(b) for b in biases]]

    def loss_of(state, x, y):
        weights, biases = state
        h = x
        for w, b in zip(weights[:-1], biases[:-1]):
            h = jax.nn.relu(h @ w + b)
        logits = jax.nn.log_softmax(h @ weights[-1] + biases[-1])
        return -jnp.mean(jnp.take_along_axis(logits, y[:, None], axis=1))

    def update(state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(state, x, y)
        return jax.tree_util.tree_map(lambda v, g: v - RATE * g, state, gradients), loss

    update = decorate(update, donate_argnums=0)

    def step():
        nonlocal state
        state, loss = update(state, x, y)
        return loss

    return step

"""A block of a transformer (attention, layer norm, GELU), and the gradient of all its weights."""
from typing import Any

import numpy as np

from . import Row

BATCH, LENGTH, WIDTH, HEADS = 8, 128, 256, 4
EACH = WIDTH // HEADS
# Per token: 4 + 8 products of width^2, and two of length x width; twice that again for the gradients.
ROWS = {"transformer": Row(f"transformer block and its gradient, batch {BATCH} x {LENGTH} x {WIDTH}, {HEADS} heads",
                           flops=3 * 2.0 * BATCH * LENGTH * (12 * WIDTH * WIDTH + 2 * LENGTH * WIDTH))}

rng = np.random.default_rng(0)
X = rng.normal(size=(BATCH, LENGTH, WIDTH)).astype(np.float32)
SHAPES = {"qkv": (WIDTH, 3 * WIDTH), "out": (WIDTH, WIDTH), "up": (WIDTH, 4 * WIDTH), "down": (4 * WIDTH, WIDTH)}
WEIGHTS = {name: (rng.normal(size=s) / np.sqrt(s[0])).astype(np.float32) for name, s in SHAPES.items()}


def block(x: Any, w: Any, mean: Any, rsqrt: Any, softmax: Any, gelu: Any, reshape: Any, transpose: Any) -> Any:
    """The block, in the functions of one library."""

    def norm(x):
        x = x - mean(x)
        return x * rsqrt(mean(x * x) + 1e-5)

    qkv = transpose(reshape(norm(x) @ w["qkv"], (BATCH, LENGTH, 3, HEADS, EACH)), (2, 0, 3, 1, 4))
    scores = softmax(qkv[0] @ transpose(qkv[1], (0, 1, 3, 2)) * EACH**-0.5)
    mixed = reshape(transpose(scores @ qkv[2], (0, 2, 1, 3)), (BATCH, LENGTH, WIDTH))
    x = x + mixed @ w["out"]
    return x + gelu(norm(x) @ w["up"]) @ w["down"]


def adjoint(ad: Any, decorate: Any) -> Any:
    x, w = ad.constant(X), {name: ad.Variable(v) for name, v in WEIGHTS.items()}

    @decorate
    def step():
        with ad.GradientTape() as tape:
            y = block(x, w, lambda x: ad.mean(x, axis=-1, keepdims=True), ad.rsqrt, ad.nn.softmax, ad.nn.gelu,
                      ad.reshape, ad.permute_dims)
            loss = ad.mean(y * y)
        return loss, tape.gradient(loss, w)

    return step


def tensorflow(tf: Any, decorate: Any) -> Any:
    x, w = tf.constant(X), {name: tf.Variable(v) for name, v in WEIGHTS.items()}

    @decorate
    def step():
        with tf.GradientTape() as tape:
            y = block(x, w, lambda x: tf.reduce_mean(x, axis=-1, keepdims=True), tf.math.rsqrt, tf.nn.softmax,
                      tf.nn.gelu, tf.reshape, tf.transpose)
            loss = tf.reduce_mean(y * y)
        return loss, tape.gradient(loss, w)

    return step


def torch(torch: Any, decorate: Any) -> Any:
    x, w = torch.tensor(X), {name: torch.tensor(v, requires_grad=True) for name, v in WEIGHTS.items()}

    def step():
        y = block(x, w, lambda x: x.mean(-1, keepdim=True), torch.rsqrt, lambda x: torch.softmax(x, -1),
                  torch.nn.functional.gelu, torch.reshape, torch.permute)
        loss = (y * y).mean()
        return loss, torch.autograd.grad(loss, list(w.values()))

    return step


def jax(jax: Any, decorate: Any) -> Any:
    jnp = jax.numpy
    x, w = jnp.asarray(X), {name: jnp.asarray(v) for name, v in WEIGHTS.items()}

    def loss(w, x):
        y = block(x, w, lambda x: jnp.mean(x, axis=-1, keepdims=True), jax.lax.rsqrt, jax.nn.softmax,
                  lambda x: jax.nn.gelu(x, approximate=False), jnp.reshape, jnp.transpose)
        return jnp.mean(y * y)

    both = decorate(jax.value_and_grad(loss))
    return lambda: both(w, x)

"""Draws the pictures of this folder.

    python docs/gallery/pictures.py
    python docs/gallery/pictures.py --into elsewhere
"""
from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import adjoint as ad
import adjoint.tensorflow as tf

matplotlib.use("agg")
DPI = 110


def notebook(into: Path) -> None:
    """The cells of examples/gradient_descent.ipynb."""
    w = tf.Variable(1.0, name="w")
    b = tf.Variable(2.0, name="b")
    x = tf.Variable(3.0, name="x")
    with tf.GradientTape() as tape1:
        with tf.GradientTape() as tape2:
            y = x * w + b
        tape2.draw(y, into / "line.svg")
        dy_dw, _ = tape2.gradient(y, [w, b])
    tape1.draw(dy_dw, into / "line_derivative.svg")

    a = tf.linspace(-10.0, 10, 10)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = tf.sigmoid(a)
    tape.draw(y, into / "sigmoid.svg")

    tf.random.set_seed(1)
    x = tf.constant(tf.random.normal([2, 4]).numpy())
    w = tf.constant(tf.random.normal([4, 3]).numpy())
    b = tf.zeros([3])
    y = tf.constant([2, 0])
    with tf.GradientTape() as tape:
        tape.watch([w, b])
        prob = tf.nn.softmax(x @ w + b, axis=1)
        loss = tf.reduce_mean(tf.losses.MSE(tf.one_hot(y, depth=3), prob))
    tape.draw(loss, into / "softmax_mse.svg")

    with tf.GradientTape() as tape:
        tape.watch([w, b])
        logits = x @ w + b
        loss = tf.reduce_mean(tf.losses.categorical_crossentropy(tf.one_hot(y, depth=3), logits, from_logits=True))
    tape.draw(loss, into / "softmax_crossentropy.svg")


def network(into: Path) -> None:
    """A network of four layers, with a page that steps through it."""
    rng = np.random.default_rng(0)
    sizes = [8, 16, 16, 16, 3]
    layers = [(ad.Variable((rng.normal(size=(m, n)) / m ** 0.5).astype("f"), name=f"W{k}"),
               ad.Variable(np.zeros(n, "f"), name=f"b{k}")) for k, (m, n) in enumerate(zip(sizes, sizes[1:]), 1)]
    x, labels = ad.constant(rng.normal(size=(5, 8)).astype("f")), ad.constant([0, 1, 2, 1, 0])
    with ad.GradientTape() as tape:
        h = x
        for w, b in layers[:-1]:
            h = ad.tanh(h @ w + b)
        w, b = layers[-1]
        logits = h @ w + b
        loss = ad.mean(ad.losses.categorical_crossentropy(ad.one_hot(labels, 3), logits, from_logits=True))
    tape.draw(loss, into / "network.svg").save(into / "network.html")
    variables = [v for pair in layers for v in pair]
    figure = ad.plot.gradient_flow(tape.gradient(loss, variables), variables)
    figure.savefig(into / "gradient_flow.png", dpi=DPI)

    def again() -> ad.Tensor:
        h = x
        for w, b in layers[:-1]:
            h = ad.tanh(h @ w + b)
        return ad.mean(ad.losses.categorical_crossentropy(ad.one_hot(labels, 3), h @ layers[-1][0] + layers[-1][1],
                                                          from_logits=True))

    ad.plot.landscape(again, variables, reach=1.5).savefig(into / "landscape.png", dpi=DPI)


def loop(into: Path) -> None:
    """A thousand steps of a pendulum: repeats share a box."""
    length = ad.Variable(1.2, name="length")
    with ad.GradientTape() as tape:
        angle, speed = ad.constant(1.0), ad.constant(0.0)
        for _ in range(1000):
            speed = speed - 0.01 * (9.81 / length) * ad.sin(angle)
            angle = angle + 0.01 * speed
        miss = (angle - 0.3) ** 2
    tape.draw(miss, into / "thousand_steps.svg")


def plots(into: Path) -> None:
    """Functions and descents."""
    ad.plot.function(ad.sigmoid, (-8, 8)).savefig(into / "function.png", dpi=DPI)

    def valley(x: ad.Tensor, y: ad.Tensor) -> ad.Tensor:
        return (1 - x) ** 2 + 10 * (y - x * x) ** 2

    rules = {"plain descent": ad.optim.SGD(0.012), "momentum": ad.optim.SGD(0.006, momentum=0.9), "Adam": ad.optim.Adam(0.25)}
    for surface in (False, True):
        figure = ad.plot.descent(valley, rules, ((-1.8, 1.8), (-0.8, 2.6)), start=(-1.4, 1.1), steps=100, surface=surface)
        figure.savefig(into / ("descent_surface.png" if surface else "descent.png"), dpi=DPI)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=Path(__file__).parent)
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    for draw in (notebook, network, loop, plots):
        ad.config.spelling = "tf" if draw is notebook else "adjoint"
        draw(into)


if __name__ == "__main__":
    main()

"""A small network learns to read handwritten digits, in a plain loop over a gradient tape.

    adjoint run examples/digits.py
    adjoint run examples/digits.py --epochs 40 --hidden 128 --seed 1

The data are the 1,797 digits of 8 x 8 pixels that come with scikit-learn; a fifth of them is held out.
"""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import adjoint as ad


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small network on scikit-learn's digits.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=512, help="units in the hidden layer")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=0.001, help="Adam's learning rate")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    ad.random.set_seed(args.seed)

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(np.float32(pixels / 16), np.int32(labels), test_size=0.2, stratify=labels,
                             random_state=args.seed)
    train_x, test_x, train_y, test_y = split

    def weights(n_in: int, n_out: int, name: str) -> ad.Variable:
        return ad.Variable(ad.random.normal((n_in, n_out), stddev=(2 / n_in) ** 0.5), name=name)

    w1, b1 = weights(64, args.hidden, "w1"), ad.Variable(ad.zeros(args.hidden), name="b1")
    w2, b2 = weights(args.hidden, 10, "w2"), ad.Variable(ad.zeros(10), name="b2")
    parameters = [w1, b1, w2, b2]
    optimizer = ad.optim.Adam(args.rate)

    def network(x: np.ndarray | ad.Tensor) -> ad.Tensor:
        return ad.nn.relu(x @ w1 + b1) @ w2 + b2

    def accuracy(x: np.ndarray, y: np.ndarray) -> float:
        return float((network(x).numpy().argmax(1) == y).mean())

    start = time.perf_counter()
    steps = 0
    for show in progress(args.epochs):
        order = rng.permutation(len(train_x))
        losses = []
        for k in range(0, len(order) - args.batch + 1, args.batch):
            batch = order[k:k + args.batch]
            with ad.GradientTape() as tape:
                logits = network(train_x[batch])
                loss = ad.mean(ad.losses.sparse_categorical_crossentropy(train_y[batch], logits, from_logits=True))
            optimizer.apply(tape.gradient(loss, parameters), parameters)
            losses.append(loss)
            steps += 1
        show(f"loss {np.mean([float(loss) for loss in losses]):.4f}")
    seconds = time.perf_counter() - start

    print(f"{steps} steps in {seconds:.2f} s ({1e6 * seconds / steps:.0f} us a step)")
    print(f"training accuracy  {accuracy(train_x, train_y):7.2%}  of {len(train_x)}")
    print(f"held-out accuracy  {accuracy(test_x, test_y):7.2%}  of {len(test_x)}")


def progress(epochs: int) -> Iterator:
    """Go through the epochs with a bar: one that moves in a terminal, a line for every tenth of the way in a pipe."""
    try:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        Progress = None
    if Progress is None or not sys.stdout.isatty():
        for epoch in range(1, epochs + 1):
            said: list[str] = []
            yield said.append
            if epoch % max(1, epochs // 10) == 0 or epoch == epochs:
                done = 30 * epoch // epochs
                print(f"[{'#' * done:.<30}] epoch {epoch:>3}/{epochs}  {' '.join(said)}", flush=True)
        return
    with Progress(TextColumn("epoch {task.completed}/{task.total}"), BarColumn(), TextColumn("{task.description}"),
                  TimeElapsedColumn()) as bar:
        task = bar.add_task("", total=epochs)
        for _ in range(epochs):
            yield lambda text: bar.update(task, description=text)
            bar.advance(task)


if __name__ == "__main__":
    main()

"""Draws descent.png: rules of descent in a bent valley, with the first and second derivatives from tapes.

    python docs/pictures/descent.py

The background is transparent and the text mid-grey, so that it can be read on a light page and on a dark one.
"""
from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

import adjoint as ad

GREY = "#808890"
START = (-1.4, 1.1)
STEPS = 120


def height(x, y):
    """Rosenbrock's valley; its lowest point is (1, 1)."""
    return (1 - x) ** 2 + 10 * (y - x * x) ** 2


def by(optimizer):
    """A step of an optimizer on the variable p."""

    def step(p: ad.Variable) -> None:
        with ad.GradientTape() as tape:
            h = height(p[0], p[1])
        optimizer.apply([tape.gradient(h, p)], [p])

    return step


def newton(p: ad.Variable) -> None:
    """Towards the lowest point of the parabola that fits here, which needs the second derivatives; never uphill."""
    with ad.GradientTape() as outer:
        with ad.GradientTape() as inner:
            h = height(p[0], p[1])
        slope = inner.gradient(h, p)
    curvature = outer.jacobian(slope, p)
    way = np.linalg.solve(curvature.numpy(), slope.numpy())
    while height(*(p.numpy() - way)) > float(h) > 1e-30:
        way /= 2
    p.assign_sub(way)


RULES = {
    "plain descent": (by(ad.optim.SGD(0.012)), "#2a9d8f"),
    "momentum": (by(ad.optim.SGD(0.006, momentum=0.9)), "#e9a03b"),
    "Adam": (by(ad.optim.Adam(0.25)), "#8f6bb3"),
    "Newton": (newton, "#d1495b"),
}


def descend(step) -> tuple[np.ndarray, np.ndarray]:
    """Where the path goes, and how high it is there."""
    p = ad.Variable(START, dtype=ad.float64)
    path = [p.numpy()]
    for _ in range(STEPS):
        step(p)
        path.append(p.numpy())
    return np.array(path), height(*np.array(path).T)


def main() -> None:
    plt.rcParams.update({"text.color": GREY, "axes.labelcolor": GREY, "axes.edgecolor": GREY, "xtick.color": GREY,
                         "ytick.color": GREY, "font.size": 10.5, "savefig.transparent": True})
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", width_ratios=(1.25, 1))
    xs, ys = np.meshgrid(np.linspace(-1.8, 1.8, 400), np.linspace(-0.8, 2.6, 400))
    shades = LinearSegmentedColormap.from_list("deep", ["#33658a", "#86aac4", "#a9b8c4"])
    left.contour(xs, ys, height(xs, ys) ** 0.35, levels=18, cmap=shades, linewidths=0.9)
    for name, (step, colour) in RULES.items():
        path, heights = descend(step)
        left.plot(*path.T, "-", color=colour, lw=1.5)
        left.plot(*path.T, ".", color=colour, ms=5)
        right.semilogy(heights, ".-", color=colour, lw=1.8, ms=4, label=name)
    left.plot(*START, "s", color=GREY, ms=7)
    left.plot(1, 1, "*", color=GREY, ms=13)
    left.set(xlabel="x", ylabel="y", xlim=(-1.8, 1.8), ylim=(-0.8, 2.6))
    right.set(xlabel="step", ylabel="height", xlim=(0, STEPS), ylim=(1e-12, 30))
    right.legend(frameon=False, labelcolor=GREY, loc="lower right", bbox_to_anchor=(1, 0.12))
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=130)


if __name__ == "__main__":
    main()

"""What are the length, the friction and the start of a pendulum that was filmed with a shaky camera?

    adjoint run examples/pendulum.py
    adjoint run examples/pendulum.py --plot pendulum.png

The model is the differential equation

    angle'' = -(g / length) sin(angle) - friction angle'

integrated in a thousand steps by the symplectic Euler rule. All of them are recorded on a tape, which gives the
derivative of every predicted angle with respect to the four unknowns; Gauss-Newton steps (damped after Levenberg and
Marquardt) take the squared misfit to its minimum, and the same derivative tells how sure the result is.
"""
from __future__ import annotations

import argparse
import time

import numpy as np

import adjoint as ad

GRAVITY = 9.81
SECONDS = 10.0
NAMES = {"length": "m", "friction": "1/s", "angle at 0": "rad", "velocity at 0": "rad/s"}
TRUE = np.array([1.2, 0.15, 1.4, -0.6])
GUESS = np.array([0.8, 0.0, 1.0, 0.0])


def swing(unknowns: ad.Tensor, steps: int, dt: float) -> list[ad.Tensor]:
    """The angle after each step."""
    length, friction, angle, velocity = (unknowns[k] for k in range(4))
    pull = GRAVITY / length
    angles = []
    for _ in range(steps):
        velocity = velocity - dt * (pull * ad.sin(angle) + friction * velocity)
        angle = angle + dt * velocity
        angles.append(angle)
    return angles


def misfit(unknowns: np.ndarray, measured: np.ndarray, every: int, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Predicted minus measured angles, and their derivatives: a row a measurement, a column an unknown."""
    p = ad.constant(unknowns)
    with ad.GradientTape() as tape:
        tape.watch(p)
        angles = swing(p, every * len(measured), dt)
        residual = ad.stack(angles[every - 1::every]) - measured
    derivative = tape.jacobian(residual, p)
    return residual.numpy(), derivative.numpy()


def fit(measured: np.ndarray, every: int, dt: float) -> tuple[np.ndarray, np.ndarray, int]:
    """The unknowns, their standard errors and how many times the pendulum was swung for it.

    A long swing has many wrong minima, one for each period too many or too few. So the first quarter is fitted first,
    then the half, then all of it.
    """
    p, swings = GUESS, 0
    for part in (len(measured) // 4, len(measured) // 2, len(measured)):
        damping = 1e-2
        r, j = misfit(p, measured[:part], every, dt)
        swings += 1
        for _ in range(20):
            normal = j.T @ j
            step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -j.T @ r)
            new_r, new_j = misfit(p + step, measured[:part], every, dt)
            swings += 1
            if new_r @ new_r < r @ r:
                gain = 1 - (new_r @ new_r) / (r @ r)
                p, r, j, damping = p + step, new_r, new_j, damping / 10
                if gain < 1e-6:
                    break
            else:
                damping *= 10
        print(f"first {part * every * dt:5.2f} s: misfit {np.sqrt(np.mean(r * r)):.4f} rad")
    variance = r @ r / (len(r) - len(p))
    return p, np.sqrt(np.diag(np.linalg.inv(j.T @ j)) * variance), swings


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit a damped pendulum to noisy measurements.")
    parser.add_argument("--steps", type=int, default=1000, help="steps of the integrator for the 10 seconds")
    parser.add_argument("--noise", type=float, default=0.05, help="standard deviation of the measured angles, in rad")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="draw the fit (needs matplotlib)")
    args = parser.parse_args()
    dt, every = SECONDS / args.steps, max(1, args.steps // 100)

    rng = np.random.default_rng(args.seed)
    true_path = ad.stack(swing(ad.constant(TRUE), args.steps, dt)).numpy()
    measured = true_path[every - 1::every] + rng.normal(0, args.noise, len(true_path[every - 1::every]))

    start = time.perf_counter()
    fitted, error, swings = fit(measured, every, dt)
    seconds = time.perf_counter() - start

    print(f"\n{'':15}{'true':>9}{'guess':>9}{'fitted':>9}{'+-':>8}")
    for (name, unit), *row in zip(NAMES.items(), TRUE, GUESS, fitted, error):
        print(f"{name:<15}{row[0]:9.4f}{row[1]:9.4f}{row[2]:9.4f}{row[3]:8.4f}  {unit}")
    print(f"\n{len(measured)} measurements, {args.steps} steps a swing, "
          f"{swings} swings with their derivatives in {seconds:.2f} s")
    if args.plot:
        draw(args.plot, measured, every * dt, fitted, args.steps, dt)


def draw(file: str, measured: np.ndarray, spacing: float, fitted: np.ndarray, steps: int, dt: float) -> None:
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise SystemExit("--plot needs matplotlib: pip install 'adjoint[plot]'") from None
    times = dt * np.arange(1, steps + 1)
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    axes.plot(spacing * np.arange(1, len(measured) + 1), measured, "o", ms=4, color="#999999", label="measured")
    for unknowns, style, label in ((GUESS, "--", "first guess"), (fitted, "-", "fitted")):
        path = ad.stack(swing(ad.constant(unknowns), steps, dt)).numpy()
        axes.plot(times, path, style, color="#d1495b" if label == "fitted" else "#66a182", label=label)
    axes.set(xlabel="seconds", ylabel="angle (rad)", xlim=(0, SECONDS))
    axes.legend(loc="upper right", ncols=3, frameon=False)
    figure.savefig(file, dpi=150)
    plt.close(figure)
    print(f"drawn in {file}")


if __name__ == "__main__":
    main()

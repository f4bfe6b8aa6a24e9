"""Speed and accuracy of elementwise functions in compiled loops: python -m benchmarks.scalar [NAME ...] [--points N]

A row is a function of one argument that has a lowering: the largest error of the value and of the slope in units in the last
place, and the time of one element in one thread, for the value alone and for both. float32 is compared with the NumPy
kernel in float64, over all magnitudes and densely where most arguments are; float64 with the exact values that
``benchmarks.accuracy`` keeps, where it has the function.
"""
from __future__ import annotations

import argparse
import os
import time
from typing import Any

import numpy as np

SIZE = 1 << 16                                           # elements timed: they stay in the second cache
REPEATS = 40


def grid(count: int) -> Any:
    """Numbers of every magnitude, and as many between -20 and 20."""
    bits = np.linspace(0, 2**32 - 1, count).astype(np.uint32).view(np.float32)
    near = np.random.default_rng(7).uniform(-20.0, 20.0, count).astype(np.float32)
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)
    return np.concatenate([bits[np.isfinite(bits)], near, near / 16, near * 5, edges])


def worst(got: Any, want: Any) -> float:
    """The largest error in units in the last place; infinite for a false NaN or infinity."""
    with np.errstate(all="ignore"):
        near = want.astype(got.dtype)
        e = np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(near)).astype(np.float64)
    fine = (got == near) | (np.isnan(got) & np.isnan(near)) | (np.isinf(near) & (np.abs(got) == np.finfo(got.dtype).max))
    return float(np.max(np.where(fine & ~np.isfinite(near), 0.0, np.where(np.isfinite(near) & np.isfinite(got), e, np.inf))))


def run(ad: Any, op: Any, x: Any, engine: str) -> tuple[Any, Any]:
    """The value and the slope, computed by the second sight of the program."""
    ad.config.engine = engine
    t = ad.constant(x)
    for _ in range(1 if engine == "numpy" else 3):
        with np.errstate(all="ignore"), ad.GradientTape() as tape:
            tape.watch(t)
            y = apply(op, t)
            found = y.numpy(), tape.gradient(y, t).numpy()
    return found


def apply(op: Any, x: Any) -> Any:
    from adjoint._trace import record

    return record(op, x)


def nanoseconds(ad: Any, op: Any, x: Any, slope: bool) -> float:
    ad.config.engine = "llvm"
    t = ad.constant(x)
    best = np.inf
    for n in range(REPEATS):
        start = time.perf_counter()
        if slope:
            with ad.GradientTape() as tape:
                tape.watch(t)
                y = apply(op, t)
            ad.evaluate(y, tape.gradient(y, t))
        else:
            ad.evaluate(apply(op, t))
        if n > 4:
            best = min(best, time.perf_counter() - start)
    return float(best) / x.size * 1e9


def exact(name: str) -> tuple[str, str]:
    """Errors in float64 where exact values are kept."""
    from .accuracy import measure
    from .accuracy.cases import CASES

    if name not in CASES:
        return "", ""
    got = measure.in_process("adjoint, llvm", [name], ("float64",))[f"{name}.float64"]
    first, second, _ = measure.scores(CASES[name], "float64", got, measure.load())
    return f"{first.most:.2f}", f"{second.most:.2f}"


def functions(names: list[str]) -> list[Any]:
    """The primitives of one float argument that are lowered and have no parameters."""
    from adjoint._errors import AdjointError
    from adjoint._graph import REGISTRY

    found = []
    for prim in REGISTRY.values():
        if prim.elementwise and prim.lower is not None and prim.domain and (not names or prim.name in names):
            try:
                one = len(prim.domain) == 1 and lowered(prim)
            except (AdjointError, TypeError):
                continue
            if one:
                found.append(prim)
    return found


def lowered(prim: Any) -> bool:
    from adjoint._dtypes import float32
    from adjoint._graph import spec
    from adjoint._scalar import Functions

    s = Functions()
    return prim.infer(spec((1,), float32)).dtype is float32 and prim.lower(s, s.input("f32", 0)) is not None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scalar", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these primitives")
    parser.add_argument("--points", type=int, default=200_000, help="arguments of each kind")
    options = parser.parse_args()
    os.environ["ADJOINT_NUM_THREADS"] = "1"
    import adjoint as ad

    xs = grid(options.points)
    print("| function | float32: f, f' ulp | f, with f' ns | float64: f, f' ulp | f, with f' ns |", "| --- " * 5 + "|", sep="\n")
    for prim in functions(options.names):
        op = prim.op()
        low, high = prim.domain[0]
        x = np.random.default_rng(3).uniform(low, high, SIZE)
        try:
            errors = [0.0, 0.0]
            for part in (xs, xs[np.abs(xs) < 1e4]):      # where all of it is not left to the NumPy kernel
                got, want = run(ad, op, part, "llvm"), run(ad, op, part.astype(np.float64), "numpy")
                errors = [max(e, worst(g, w)) for e, g, w in zip(errors, got, want)]
            times = [nanoseconds(ad, op, x.astype(dtype), slope) for dtype in (np.float32, np.float64) for slope in (False, True)]
        except AttributeError:                           # no slope
            continue
        first, second = exact(prim.name)
        print(f"| {prim.name} | {errors[0]:.2f}, {errors[1]:.2f} | {times[0]:.2f}, {times[1]:.2f} "
              f"| {first}, {second} | {times[2]:.2f}, {times[3]:.2f} |", flush=True)


if __name__ == "__main__":
    main()

"""The tables of docs/accuracy.md."""
from __future__ import annotations

import numpy as np

from .cases import CASES
from .measure import ORDERS, Score

Found = dict[str, dict[str, list[Score]]]
_TITLES = {"adjoint": "adjoint", "adjoint, llvm": "adjoint, llvm engine", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}


def number(v: float) -> str:
    return f"{v:.1f}" if v < 9.95 else f"{v:.0f}" if v < 9999.5 else f"{v:.0e}".replace("e+0", "e").replace("e+", "e")


def cell(s: Score) -> str:
    """Maximum (99th percentile), X for a result that is off by a quarter, the count of false NaN and infinities."""
    text = ("X " if s.lost and s.most > 100 else "") + f"{number(s.most)} ({number(s.percentile)})"
    return text + (f" !{s.false + s.missed}" if s.false + s.missed else "")


def point(worst: tuple[float, ...], dtype: str) -> str:
    return ", ".join(f"{v:.9g}" if dtype == "float32" else f"{v:.17g}" for v in worst[:4])


def bad(s: Score, bound: float) -> bool:
    return s.most > bound or s.false + s.missed > 0


def counts(found: Found, library: str, dtype: str, order: int, bounds: tuple[float, ...]) -> tuple[int, list[int]]:
    kept = [scores[order] for key, scores in found[library].items() if key.endswith(dtype)]
    return len(kept), [sum(bad(s, b) for s in kept) for b in bounds]


def headline(found: Found, dtypes: tuple[str, ...]) -> str:
    """In how many cases each order exceeds 1, 4 and 100 ulp, or is falsely NaN or infinite."""
    rows = ["| library | dtype | cases | f over 1 / 4 / 100 ulp | f' | f'' |", "| --- | --- | --- | --- | --- | --- |"]
    for library in found:
        for dtype in dtypes:
            n, _ = counts(found, library, dtype, 0, ())
            cells = [" / ".join(map(str, counts(found, library, dtype, k, (1.005, 4.0, 100.0))[1])) for k in range(3)]
            rows.append(f"| {_TITLES[library]} | {dtype} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def lines(found: Found, names: list[str], dtypes: tuple[str, ...], over: float) -> str:
    out = []
    for library, table in found.items():
        for name in names:
            for dtype in dtypes:
                scores = table.get(f"{name}.{dtype}")
                if scores is None:
                    out.append(f"{library:10} {name:24} {dtype} not measured")
                elif any(bad(s, over) for s in scores):
                    out.append(f"{library:10} {name:24} {dtype} " + " | ".join(f"{cell(s):>22}" for s in scores) + "   "
                               + " | ".join(point(s.worst, dtype) for s in scores))
    return "\n".join(out)


def page(found: Found, dtypes: tuple[str, ...], versions: dict[str, str]) -> str:
    parts = [_HEAD, headline(found, dtypes), ""]
    if versions:
        parts += ["Versions: " + ", ".join(f"{_TITLES[k]} {v}" for k, v in versions.items()) + f"; NumPy {np.__version__}.", ""]
    for dtype in dtypes:
        parts += [f"## {dtype}: adjoint", "",
                  "| function | f | f' | f'' | worst for f | worst for f' | worst for f'' |", "| --- " * 7 + "|"]
        for name in CASES:
            scores = found["adjoint"].get(f"{name}.{dtype}")
            if scores:
                parts.append(f"| {name} | " + " | ".join(map(cell, scores)) + " | "
                             + " | ".join(point(s.worst, dtype) for s in scores) + " |")
        parts.append("")
        others = [k for k in found if k != "adjoint"]
        if others:
            titles = ["adjoint", *(_TITLES[k] for k in others)]
            parts += [f"## {dtype}: side by side", "", "f · f' · f''", "", "| function | " + " | ".join(titles) + " |",
                      "| --- " * (len(titles) + 1) + "|"]
            for name in CASES:
                row = [_short(found[k].get(f"{name}.{dtype}")) for k in ("adjoint", *others)]
                parts.append(f"| {name} | " + " | ".join(row) + " |")
            parts.append("")
    return "\n".join(parts)


def _short(scores: list[Score] | None) -> str:
    if scores is None:
        return ""
    out = []
    for s in scores:
        text = "X" if s.lost and s.most > 100 else number(s.most)
        out.append(text + (f" !{s.false + s.missed}" if s.false + s.missed else ""))
    return " · ".join(out)


_HEAD = """# Accuracy

Errors of values and derivatives in units in the last place (ulp) of the exact result. Written by `python -m benchmarks.accuracy`.

The arguments are drawn with a fixed seed: magnitudes from the smallest subnormal to the largest number, many close to roots, poles, kinks,
branch points and the places where a formula changes over, and both zeros. Exact values, gradients and Hessians come from mpmath, from
textbook formulas evaluated with twice as many digits until two evaluations agree (at least 50 digits). f is the value, f' every entry of the
gradient, f'' every entry of the Hessian, by nested tapes. A cell shows the maximum (99th percentile); X: off by a quarter or more, often a
returned 0; !n: n results that are NaN or infinite where the truth is finite, or finite where it is infinite. A case counts as over a bound
when it has any of these.

Where a derivative has a root, the relative error near it counts like everywhere else.
"""

__all__ = ["ORDERS", "headline", "lines", "page"]

"""The tables of docs/accuracy.md."""
from __future__ import annotations

import numpy as np

from .cases import CASES
from .measure import ORDERS, Score

Found = dict[str, dict[str, list[Score]]]
_TITLES = {"adjoint": "adjoint", "adjoint, llvm": "adjoint, llvm engine", "tensorflow": "TensorFlow", "torch": "PyTorch",
           "jax": "JAX"}


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


def page(found: Found, normal: Found, dtypes: tuple[str, ...], versions: dict[str, str]) -> str:
    parts = [_HEAD, "## In how many cases", "", _COUNTS, "", headline(normal, dtypes), ""]
    if versions:
        parts += ["Versions: " + ", ".join(f"{_TITLES[k]} {v}" for k, v in versions.items()) + f"; NumPy {np.__version__}.", ""]
    for dtype in dtypes:
        parts += [f"## {dtype}", "", "| function | f | f' | f'' | worst for f | worst for f' | worst for f'' |",
                  "| --- " * 7 + "|"]
        for name in CASES:
            scores = found["adjoint"].get(f"{name}.{dtype}")
            if scores:
                parts.append(f"| {name} | " + " | ".join(map(cell, scores)) + " | "
                             + " | ".join(point(s.worst, dtype) for s in scores) + " |")
        parts.append("")
        others = [k for k in found if k != "adjoint"]
        if others:
            titles = ["adjoint", *(_TITLES[k] for k in others)]
            parts += [f"## {dtype}, beside the others", "", "Maxima of f · f' · f'', subnormal numbers left out.", "",
                      "| function | " + " | ".join(titles) + " |", "| --- " * (len(titles) + 1) + "|"]
            for name in CASES:
                row = [_short(normal[k].get(f"{name}.{dtype}")) for k in ("adjoint", *others)]
                parts.append(f"| {name} | " + " | ".join(row) + " |")
            parts.append("")
    parts.append(_FEET)
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

Errors of values and derivatives in units in the last place (ulp) of the exact result. `python -m benchmarks.accuracy`
writes this page.

The arguments are drawn with a fixed seed: magnitudes from the smallest subnormal to the largest number, many close to roots,
poles, kinks, branch points and the places where a formula changes over, and both zeros. Exact values, gradients and Hessians come
from mpmath: textbook formulas, evaluated with twice as many digits until two evaluations agree (at least 50 digits, mostly more
than 100). f is the value, f' every entry of the gradient, f'' every entry of the Hessian, by nested tapes.

A cell shows the maximum (99th percentile); X: off by a quarter or more, often a returned 0; !n: n results that are NaN or
infinite where the truth is finite, or finite where it is infinite. Near the root of a derivative the relative error counts like
everywhere else.
"""
_COUNTS = """Cases in which f, f' or f'' is over 1, 4 and 100 ulp somewhere (a false NaN or infinity counts as over). Subnormal
arguments and results are left out here, since some libraries flush them to zero by design; the tables of adjoint below
count them."""
_FEET = """## Bounds

float32 (and the 16-bit floats): computed in float64 and rounded once, so f and f' are within 1 ulp; the slope of a quotient in
its denominator has three roundings in float32, up to 2 ulp. f'' is within 4 ulp. The compiled
engine takes the slopes of gelu, gelu_tanh and silu from the formula also next to their roots: up to 4 ulp there.

float64: f, f' and f'' within 4 ulp for most functions. What exceeds that, and why:

- second derivatives that are sums over a row (softmax, l2_normalize, std, norm, logcumsumexp) and the mixed derivative of x**y
  where the sum is close to 0: the terms are right to a few ulp, their sum keeps their absolute error;
- soft-label cross-entropy where the prediction equals the label: the error of f' is about an ulp of the label, however small f'
  is; KL where log(p/q) = -1: within 4 ulp of max(|f'|, |x f''|); lgamma and digamma at their roots left of -6, which no series
  covers;
- erfinv, whose value has 2 ulp that its derivatives double; the value of gelu and digamma, f' of gelu_tanh and mish, f'' of atan,
  digamma, silu, gelu_tanh and mish, by 0.1 to 4 ulp more than the 4.

Sources: elementary functions are NumPy's, erf and gamma functions SciPy's where these are accurate; series at roots come from
`tools/roots.py`, polynomials of the compiled engine from `tools/minimax.py`, both fitted with mpmath.
"""

__all__ = ["ORDERS", "headline", "lines", "page"]

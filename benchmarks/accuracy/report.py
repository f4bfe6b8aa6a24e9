"""The tables of docs/accuracy.md."""
from __future__ import annotations

import numpy as np

from .cases import CASES
from .measure import ORDERS, Found, Score
from .rows import LONG

Tables = dict[str, dict[str, list[Score]]]
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


def counts(found: dict[str, Found], library: str, dtype: str, order: int, bounds: tuple[float, ...]) -> tuple[int, list[int]]:
    kept = [scores[order] for key, scores in found[library].normal.items() if key.endswith(dtype)]
    return len(kept), [sum(bad(s, b) for s in kept) for b in bounds]


def headline(found: dict[str, Found], dtypes: tuple[str, ...]) -> str:
    """In how many cases each order exceeds 1, 4 and 100 ulp, or is falsely NaN or infinite."""
    rows = ["| library | dtype | cases | f over 1 / 4 / 100 ulp | f' | f'' |", "| --- | --- | --- | --- | --- | --- |"]
    for library in found:
        for dtype in dtypes:
            n, _ = counts(found, library, dtype, 0, ())
            cells = [" / ".join(map(str, counts(found, library, dtype, k, (1.005, 4.0, 100.0))[1])) for k in range(3)]
            rows.append(f"| {_TITLES[library]} | {dtype} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def lines(found: Tables, names: list[str], dtypes: tuple[str, ...], over: float) -> str:
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


def page(found: dict[str, Found], dtypes: tuple[str, ...]) -> str:
    parts = [_HEAD, "## In how many cases", "", _COUNTS, "", headline(found, dtypes), ""]
    versions = [f"{_TITLES[k]} {v.version}" for k, v in found.items() if v.version]
    if versions:
        parts += ["Versions: " + ", ".join(versions) + f"; NumPy {np.__version__}.", ""]
    others = [k for k in found if k != "adjoint"]
    for dtype in dtypes:
        parts += [f"## {dtype}", "", "| function | f | f' | f'' | worst for f | worst for f' | worst for f'' |",
                  "| --- " * 7 + "|"]
        for name in CASES:
            scores = found["adjoint"].all.get(f"{name}.{dtype}")
            if scores:
                parts.append(f"| {name} | " + " | ".join(map(cell, scores)) + " | "
                             + " | ".join(point(s.worst, dtype) for s in scores) + " |")
        parts.append("")
        if others:
            parts += [f"## {dtype}, beside the others", "", "Maxima of f · f' · f'', subnormal numbers left out.", "",
                      *_beside("function", others)]
            for name in CASES:
                row = [_short(found[k].normal.get(f"{name}.{dtype}")) for k in ("adjoint", *others)]
                parts.append(f"| {name} | " + " | ".join(row) + " |")
            parts.append("")
    parts += ["## Long rows", "", _LONG, ""]
    for dtype in dtypes:
        parts += [f"### {dtype}", "", *_beside("rows", others)]
        for name in LONG:
            row = [" · ".join(map(_long, found[k].long.get(f"{name}.{dtype}", []))) for k in ("adjoint", *others)]
            parts.append(f"| {name} | " + " | ".join(row) + " |")
        parts.append("")
    return "\n".join([*parts, _BOUNDS, *_bounds(), "", _FEET, "```text", *_formulas(), "```", "", _NOT])


def _formulas() -> list[str]:
    """The table in the docstring of the module that recognises them."""
    from adjoint import _formulas

    return [line[4:] for line in (_formulas.__doc__ or "").splitlines() if line.startswith("    ")]


def _beside(what: str, others: list[str]) -> list[str]:
    titles = ["adjoint", *(_TITLES[k] for k in others)]
    return [f"| {what} | " + " | ".join(titles) + " |", "| --- " * (len(titles) + 1) + "|"]


def _long(error: float) -> str:
    return "NaN or infinite" if np.isinf(error) else number(error)


def _bounds() -> list[str]:
    """The bounds stated by the primitives that are over the ordinary ones, each with its reason."""
    from adjoint.primitives._accuracy import ORDINARY

    rows = ["| function | float32 | float64 | because |", "| --- " * 4 + "|"]
    for name, case in CASES.items():
        error = case.error
        if any(b > o for d in ("float32", "float64") for b, o in zip(error.of(d), ORDINARY.of(d))) or case.root:
            cells = [" / ".join(f"{b:g}" for b in error.of(d)) for d in ("float32", "float64")]
            rows.append(f"| {name} | " + " | ".join(cells) + f" | {error.why.replace('|', chr(92) + '|')} |")
    return rows


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
everywhere else, but for f' of five functions in float64 (see Bounds).
"""
_COUNTS = """Cases in which f, f' or f'' is over 1, 4 and 100 ulp somewhere (a false NaN or infinity counts as over). Subnormal
arguments and results are left out here, since some libraries flush them to zero by design; the tables of adjoint below
count them."""
_LONG = """Largest errors in ulp of value · gradient, against closed formulas in mpmath and exact sums. Sums are of
numbers between 0 and 1, and the same with any number of threads. For products of matrices the error of every entry is within n
units of |A| |B|, n terms long (the classical bound of Higham, Accuracy and Stability, 3.5), for the product and for its two
cotangents; from 16,384 terms on (4,096 where one operand is a vector) they are added up in parts of 4,096 (1,024), and the parts
in a wider type or with their errors, so that the error does not grow any more: a few units. `tests/accuracy` checks both."""
_BOUNDS = """## Bounds

What the functions state about themselves: 1 ulp for f and f' and 4 for f'' in float32 (16-bit floats are computed in float32 and
rounded once), 4 for each in float64. In the fused loops of the compiled engine f and f' have 2 ulp in float32. These are counted
otherwise, or have other bounds:
"""
_FEET = """At a zero of f' that float64 arguments come close to (soft labels, KL divergence, the entropy term, sinc, variances) f'
counts against max(|f'|, |x f''|): what moving x by one unit in its last place does to f'.

The compiled engine has no type wider than float64. Its float64 rows (softmax, KL divergence, cosines) keep what sums and products
round off as second numbers (`primitives/_exact.py`). In float64 the cosine of vectors at almost right angles and the slope
of that of almost parallel ones are exact to about 1e-30 of 1; there is no bound relative to what is below 1e-14.

Sources: elementary functions are NumPy's, erf and gamma functions SciPy's where these are accurate; other error, Bessel and gamma
functions and their slopes are polynomials made by `tools/fits.py`, series at roots come from `tools/roots.py`, polynomials of the
compiled engine from `tools/minimax.py`, all fitted with mpmath. Where terms cancel, float64 is computed as sums of two float64
numbers (`primitives/_twofold.py`).

## Formulas written by hand

Recognised, and as exact as the function, in value and derivatives of any order, in both modes and on both engines; off with
`ad.config.rewrites = False`:
"""
_NOT = """Other compositions go through a pole of a part as they are written: at 0 the derivatives of sqrt(x)**2, sqrt(x*x) and
x*log(x) are 0 times infinity, NaN, here as elsewhere. `abs(x)`, `xlogy(x, x)` and `entr(x)` say what is meant. A rule for zero
times infinity in general would hide the 1 that is the derivative of sqrt(x)**2 behind a 0.
"""

__all__ = ["ORDERS", "headline", "lines", "page"]

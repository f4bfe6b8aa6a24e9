"""Compares results with the exact values: errors in units in the last place, false NaN and infinities."""
from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import worker
from .cases import CASES, Case
from .reference import arguments, load, rows_of

ORDERS = ("f", "f'", "f''")
HERE = Path(__file__).parent


@dataclass
class Score:
    """The errors of one library in one function, dtype and order of derivative."""

    most: float                                          # in units in the last place
    percentile: float                                    # 99th
    worst: tuple[float, ...]                             # the argument of the largest
    false: int                                           # NaN or infinite where the truth is finite
    missed: int                                          # finite where the truth is infinite
    lost: bool                                           # off by a quarter or more


def errors(got: Any, near: Any, rest: Any) -> Any:
    """|got - exact| in units in the last place of the exact value; inf where not comparable."""
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(near))
        wide = np.longdouble
        e = np.abs((got.astype(wide) - near.astype(wide)) / unit.astype(wide) - rest.astype(wide) / 254)
        e = e.astype(np.float64)
    same = (got == near) & ~np.isfinite(near)
    return np.where(same, 0.0, np.where(np.isfinite(got) & np.isfinite(near), e, np.inf))


def order_slices(case: Case, size: int) -> tuple[slice, slice, slice]:
    n = 0
    while 1 + n + n * (n + 1) // 2 < size:
        n += 1
    return slice(0, 1), slice(1, 1 + n), slice(1 + n, size)


def score(rows: Any, got: Any, near: Any, rest: Any, size: Any = None) -> Score:
    known = ~np.isnan(near)
    e = errors(got, near, rest)
    if size is not None:
        with np.errstate(all="ignore"):
            e = e * np.minimum(np.spacing(np.abs(near)) / np.spacing(size), 1.0)
    finite = np.isfinite(near)
    false = known & finite & ~np.isfinite(got)
    largest = np.finfo(near.dtype).max
    missed = known & np.isinf(near) & ~((got == near) | (np.sign(near) * largest == got))
    counted = e[known & np.isfinite(e)]
    e = np.where(known & np.isfinite(e), e, -1.0)
    at = np.unravel_index(np.argmax(e), e.shape)
    bad = np.argwhere(false | missed)
    with np.errstate(all="ignore"):
        off = np.abs(got.astype(np.longdouble) - near) / np.maximum(np.abs(near.astype(np.longdouble)), np.finfo(near.dtype).tiny)
    lost = bool((known & np.isfinite(near) & np.isfinite(got) & (off >= 0.25)).any())
    worst = rows[bad[0][0] if len(bad) else at[0]]
    return Score(float(counted.max(initial=0.0)), float(np.percentile(counted, 99)) if len(counted) else 0.0,
                 tuple(float(v) for v in worst), int(false.sum()), int(missed.sum()), lost)


def scores(case: Case, dtype: str, got: Any, references: dict[str, Any], pick: Any = slice(None),
           normal: bool = False) -> list[Score]:
    """One Score for the value, the first and the second derivatives of the rows ``pick`` that ``got`` has; with ``normal``
    subnormal numbers don't count."""
    near, rest = references[f"{case.name}.{dtype}.near"], references[f"{case.name}.{dtype}.rest"]
    rows = rows_of(arguments(case, dtype))
    near, rest, rows = near[pick], rest[pick], rows[pick]
    if normal:
        tiny = np.finfo(near.dtype).tiny
        small = ((rows != 0) & (np.abs(rows) < tiny)).any(axis=1)
        near = np.where(small[:, None] | ((np.abs(near) < tiny) & ((near != 0) | (rest != 0))), np.nan, near)
    orders = order_slices(case, near.shape[1])
    sizes = [None, _largest_terms(rows, near, orders[2], case) if case.root and dtype == "float64" else None, None]
    return [score(rows, got[:, s], near[:, s], rest[:, s], size) for s, size in zip(orders, sizes)]


def _largest_terms(rows: Any, near: Any, second: slice, case: Case) -> Any:
    """|x f''| for every entry of the gradient: what a relative change of the argument by one unit does to it."""
    n = order_slices(case, near.shape[1])[1].stop - 1
    diagonal = np.cumsum([0, *range(n, 1, -1)])
    wrt = [k for k in range(rows.shape[1]) if k < n]     # the arguments that are differentiated come first
    return np.abs(rows[:, wrt] * near[:, second][:, diagonal])


def stale(references: dict[str, Any]) -> list[str]:
    """The cases whose arguments are not those that the references belong to."""
    found = []
    for name, case in CASES.items():
        for dtype in ("float32", "float64"):
            check = zlib.crc32(b"".join(x.tobytes() for x in arguments(case, dtype)))
            if references.get(f"{name}.{dtype}.check") != check:
                found.append(f"{name}.{dtype}")
    return found


def jobs_for(library: str, names: list[str], dtypes: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    jobs, arrays = [], {}
    for name in names:
        case = CASES[name]
        expression = case.expressions.get(library.split(",")[0])
        for dtype in dtypes if expression else ():
            key = f"{name}.{dtype}"
            inputs = arguments(case, dtype)
            jobs.append({"key": key, "expression": expression, "wrt": list(case.wrt), "inputs": len(inputs)})
            arrays.update({f"{key}/{k}": x for k, x in enumerate(inputs)})
    return jobs, arrays


def in_process(library: str, names: Any = (), dtypes: Any = (), *, jobs: Any = None, arrays: Any = None) -> dict[str, Any]:
    """The results of jobs, or of the cases named."""
    if jobs is None:
        jobs, arrays = jobs_for(library, names, dtypes)
    return worker.evaluate(worker.RUNNERS[library](), jobs, arrays)


def in_subprocess(library: str, python: str, *, jobs: Any, arrays: Any) -> dict[str, Any]:
    """Evaluate in the interpreter ``python``, whose environment has the library."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder, "jobs.npz"), Path(folder, "out.npz")
        np.savez(given, jobs=np.array(json.dumps(jobs)), **arrays)
        env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run([python, str(HERE / "worker.py"), library, str(given), str(out)], env=env, check=False)
        if done.returncode or not out.exists():
            print(f"{library}: not measured ({python} ended with {done.returncode})", file=sys.stderr)
            return {}
        with np.load(out) as kept:
            return dict(kept)


def table(found: dict[str, Any], references: dict[str, Any], normal: bool = False) -> dict[str, list[Score]]:
    out = {}
    for key, got in found.items():
        name, dtype = key.rsplit(".", 1)
        out[key] = scores(CASES[name], dtype, got, references, normal=normal)
    return out


@dataclass
class Found:
    """What was measured of one library: Scores by case and dtype, the same without subnormal numbers, errors of long rows."""

    all: dict[str, list[Score]]
    normal: dict[str, list[Score]]
    long: dict[str, list[float]]
    version: str = ""


def long_rows(library: str, run: Any) -> dict[str, list[float]]:
    """The largest errors in ulp of value and gradient, for every case of rows.py."""
    from . import rows

    out = {}
    for dtype in ("float32", "float64"):
        for slope in (True, False):                      # those without are large
            jobs, arrays = rows.jobs_for(library, [n for n, case in rows.LONG.items() if case.gradient == slope], dtype)
            for name, got in run(library, jobs=jobs, arrays=arrays).items():
                out[f"{name}.{dtype}"] = rows.compare(got, rows.exact_of(name, dtype))
    return out


def write(file: Path, found: dict[str, Found]) -> None:
    file.write_text(json.dumps({k: asdict(v) for k, v in found.items()}, separators=(",", ":")), encoding="utf-8")


def read(file: Path) -> dict[str, Found]:
    def scores(table: dict[str, Any]) -> dict[str, list[Score]]:
        return {k: [Score(**{**s, "worst": tuple(s["worst"])}) for s in v] for k, v in table.items()}

    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {k: Found(scores(v["all"]), scores(v["normal"]), v["long"], v["version"]) for k, v in kept.items()}


__all__ = ["ORDERS", "Score", "errors", "in_process", "in_subprocess", "load", "score", "scores", "stale", "table"]

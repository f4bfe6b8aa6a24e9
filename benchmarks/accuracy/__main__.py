"""python -m benchmarks.accuracy [--show NAME ...] [--peer LIBRARY=PYTHON ...] [--keep-peers] [--dtype float32] [--out FILE]"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from . import measure, report
from .cases import CASES
from .reference import DTYPES

PEERS = ("tensorflow", "torch", "jax")
KEPT = Path(__file__).with_name("peers.json")


def interpreter(library: str, given: dict[str, str]) -> str | None:
    """Where a peer is installed: as told, under $ADJOINT_PEERS, or beside adjoint."""
    installed = os.path.join(os.environ.get("ADJOINT_PEERS", ""), library, "bin", "python")
    for python in (given.get(library), installed, sys.executable):
        if python and shutil.which(python) and not subprocess.run(
                [python, "-c", f"import importlib.util, sys; sys.exit(importlib.util.find_spec({library!r}) is None)"],
                check=False).returncode:
            return python
    return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--show", nargs="+", metavar="NAME", help="print these functions ('all' for every one), write nothing")
    parser.add_argument("--peer", action="append", default=[], metavar="LIBRARY=PYTHON", help="the interpreter that has a peer")
    parser.add_argument("--peers", action="store_true", help="with --show: the peers as well")
    parser.add_argument("--dtype", choices=DTYPES, help="only this dtype")
    parser.add_argument("--engine", nargs="+", default=["numpy", "llvm"], choices=["numpy", "llvm"], help="of adjoint")
    parser.add_argument("--keep-peers", action="store_true", help="take the peers' errors from the last run, in peers.json")
    parser.add_argument("--over", type=float, default=0.0, help="with --show: only rows with an error above this")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs" / "accuracy.md")
    options = parser.parse_args()
    references = measure.load()
    names = list(CASES) if not options.show or options.show == ["all"] else options.show
    dtypes = (options.dtype,) if options.dtype else DTYPES
    given = dict(p.split("=", 1) for p in options.peer)
    runs: dict[str, Callable[..., Any]] = {
        ("adjoint" if engine == "numpy" else "adjoint, llvm"): measure.in_process for engine in options.engine}
    for library in PEERS if not (options.show or options.keep_peers) or options.peers else ():
        python = interpreter(library, given)
        if python is not None:
            runs[library] = partial(measure.in_subprocess, python=python)
    found: dict[str, measure.Found] = {}
    for library, run in runs.items():
        jobs, arrays = measure.jobs_for(library, names, dtypes)
        kept = run(library, jobs=jobs, arrays=arrays)
        found[library] = measure.Found(measure.table(kept, references), measure.table(kept, references, normal=True),
                                       {} if options.show else measure.long_rows(library, run), version_of(library, given))
    if options.show:
        print(report.lines({k: v.all for k, v in found.items()}, names, dtypes, options.over))
        return
    if options.keep_peers:
        found |= measure.read(KEPT)
    measure.write(KEPT, {k: v for k, v in found.items() if k in PEERS})
    options.out.write_text(report.page(found, dtypes), encoding="utf-8")
    print(report.headline(found, dtypes))


def version_of(library: str, given: dict[str, str]) -> str:
    python = interpreter(library, given) if library in PEERS else None
    if python is None:
        return ""
    code = f"import importlib.metadata as m; print(m.version(m.packages_distributions()[{library!r}][0]))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    main()

"""python -m benchmarks.accuracy [--show NAME ...] [--peer LIBRARY=PYTHON ...] [--dtype float32] [--out FILE]"""
from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import measure, report
from .cases import CASES
from .reference import DTYPES

PEERS = ("tensorflow", "torch", "jax")


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
    parser.add_argument("--engine", nargs="+", default=["numpy"], choices=["numpy", "llvm"], help="engines of adjoint to measure")
    parser.add_argument("--over", type=float, default=0.0, help="with --show: only rows with an error above this")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "docs" / "accuracy.md")
    options = parser.parse_args()
    references = measure.load()
    names = list(CASES) if not options.show or options.show == ["all"] else options.show
    dtypes = (options.dtype,) if options.dtype else DTYPES
    results: dict[str, Any] = {}
    for engine in options.engine:
        label = "adjoint" if engine == "numpy" else "adjoint, llvm"
        results[label] = measure.in_process(label, names, dtypes)
    given = dict(p.split("=", 1) for p in options.peer)
    for library in PEERS if not options.show or options.peers else ():
        python = interpreter(library, given)
        if python is not None:
            results[library] = measure.in_subprocess(library, python, names, dtypes)
    found = {k: measure.table(v, references) for k, v in results.items() if v}
    if options.show:
        print(report.lines(found, names, dtypes, options.over))
    else:
        normal = {k: measure.table(v, references, normal=True) for k, v in results.items() if v}
        options.out.write_text(report.page(found, normal, dtypes, _versions(found, given)), encoding="utf-8")
        print(report.headline(normal, dtypes))


def _versions(found: dict[str, Any], given: dict[str, str]) -> dict[str, str]:
    out = {}
    for library in found:
        python = interpreter(library, given) if library in PEERS else None
        if python:
            code = ("import importlib.metadata as m, json; "
                    f"print(json.dumps(m.version(m.packages_distributions()[{library!r}][0])))")
            got = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
            out[library] = json.loads(got.stdout) if got.returncode == 0 else ""
    return out


if __name__ == "__main__":
    main()

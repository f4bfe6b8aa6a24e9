"""How long an import takes, and how much an installation weighs."""
from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from .harness import PEERS, ROOT, Cell, Worker, surroundings

_TIME = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"
_SIZE = """
import importlib.metadata as metadata, json, sys
try:
    from packaging.requirements import Requirement
except ImportError:
    from pip._vendor.packaging.requirements import Requirement
names, todo, size = set(), list(sys.argv[1:]), 0
while todo:
    requirement = Requirement(todo.pop())
    name = requirement.name.lower().replace("_", "-")
    if name in names or requirement.marker and not requirement.marker.evaluate({"extra": ""}):
        continue
    names.add(name)
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    todo += found.requires or []
    for file in found.files or []:
        if file.suffix != ".pyc":
            try:
                size += file.locate().stat().st_size
            except OSError:
                pass
print(size)
"""
_DISTRIBUTIONS = {"tensorflow": ("tensorflow-cpu", "tensorflow"), "torch": ("torch",), "jax": ("jax", "jaxlib")}


def _run(python: Path, library: str, folder: str, code: str, *args: str) -> str:
    done = subprocess.run([str(python), "-c", code, *args], capture_output=True, text=True, cwd=folder,
                          env=surroundings(library), timeout=300)
    if done.returncode:
        raise OSError((done.stderr.strip().splitlines() or ["failed"])[-1])
    return done.stdout.strip().splitlines()[-1]


def import_times(team: dict[str, Worker], rounds: int, say: Callable[[str], None] = lambda text: None) -> dict[str, Cell]:
    """Seconds from the interpreter's start of ``import X`` to its end, in turn; bytecode is compiled beforehand."""
    wanted = [("numpy", "adjoint"), ("adjoint", "adjoint"), ("adjoint.tensorflow", "adjoint")]
    wanted += [(library, library) for library in PEERS]
    cells = {module: Cell() for module, library in wanted if library in team}
    say("import times")
    for k in range(rounds + 1):                          # the first one writes the bytecode and is not counted
        for module, library in wanted:
            if module not in cells or cells[module].error:
                continue
            worker = team[library]
            try:
                seconds = float(_run(worker.python, library, worker.folder.name, _TIME.format(module)))
            except (OSError, ValueError, subprocess.TimeoutExpired) as error:
                cells[module].error = str(error)
                continue
            if k:
                cells[module].times.append(seconds)
    return cells


def installed_sizes(team: dict[str, Worker]) -> dict[str, int]:
    """Bytes of a library and everything that it needs, without compiled bytecode."""
    found = {}
    for library in ("adjoint", *PEERS):
        if library not in team:
            continue
        names = _DISTRIBUTIONS.get(library) or tuple(
            tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])
        worker = team[library]
        try:
            found[library] = int(_run(worker.python, library, worker.folder.name, _SIZE, *names))
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            print(f"size of {library}: {error}", file=sys.stderr)
            continue
        if library == "adjoint":
            found[library] += sum(f.stat().st_size for f in (ROOT / "src" / "adjoint").rglob("*.py"))
    return found

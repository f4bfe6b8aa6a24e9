"""Asks the workers in turn and collects what they measured."""
from __future__ import annotations

import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .rows import Row, rows

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 180.0                                         # seconds that one answer may take
CELL = 3.0                                               # seconds of sampling after which a slow program has been seen enough

# Each library's modes. Those of one library run in one process, except adjoint.tensorflow: importing it changes how
# strict dtypes are.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "adjoint": ("adjoint", "adjoint @function"),
    "adjoint.tensorflow": ("adjoint.tensorflow",),
    "tensorflow": ("TensorFlow", "tf.function", "XLA"),
    "torch": ("PyTorch",),
    "jax": ("JAX jit",),
}
STARTS_ALSO = {"torch": ("torch.compile",)}              # modes of which only the start is measured: it takes so long
OWN = (*LIBRARIES["adjoint"], *LIBRARIES["adjoint.tensorflow"])
PEERS = ("tensorflow", "torch", "jax")


@dataclass
class Cell:
    """What was measured of one row in one mode: seconds."""

    times: list[float] = field(default_factory=list)
    first: float | None = None
    third: float | None = None
    checksum: float | None = None
    memory: int | None = None
    error: str | None = None
    spent: float = 0.0

    @property
    def median(self) -> float | None:
        return statistics.median(self.times) if self.times else None

    @property
    def quartiles(self) -> tuple[float, float] | None:
        if len(self.times) < 2:
            return None
        low, _, high = statistics.quantiles(self.times, n=4, method="inclusive")
        return low, high


class WorkerFailed(Exception):
    """A worker died or did not answer in time."""


def interpreter(environment: Path) -> Path | None:
    """The Python of a virtual environment, or None where there is none."""
    for inside in ("bin/python", "Scripts/python.exe"):
        if (environment / inside).exists():
            return environment / inside
    return None


def surroundings(library: str) -> dict[str, str]:
    """The environment variables of a worker: this checkout for adjoint, nothing from outside for the peers."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")}
    env.update(TF_CPP_MIN_LOG_LEVEL="3", JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="-1", PYTHONWARNINGS="ignore")
    if library.startswith("adjoint"):
        env["PYTHONPATH"] = str(ROOT / "src")
    return env


def kept_in(folder: str) -> dict[str, str]:
    """The variables that have every library keep what it compiled in this folder, where it can."""
    return {"XDG_CACHE_HOME": folder, "ADJOINT_CACHE_DIR": os.path.join(folder, "adjoint"),
            "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "torch"), "JAX_COMPILATION_CACHE_DIR": os.path.join(folder, "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}


class Worker:
    """A process of one library. ``cache``: where it keeps what it compiled (default: in a folder that goes with it)."""

    def __init__(self, library: str, python: Path, cache: str | None = None) -> None:
        self.library, self.python, self.cache = library, python, cache
        self.folder = tempfile.TemporaryDirectory(prefix="benchmark-")
        self.process: subprocess.Popen[str] | None = None
        self.answers: queue.Queue[str] = queue.Queue()

    def begin(self) -> subprocess.Popen[str]:
        worker = Path(__file__).with_name("worker.py")
        self.errors = open(Path(self.folder.name) / "stderr", "a", encoding="utf-8")  # noqa: SIM115
        env = surroundings(self.library)
        env.update(kept_in(self.cache or self.folder.name))
        self.process = process = subprocess.Popen(
            [str(self.python), str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            text=True, cwd=self.folder.name, env=env)
        answers = self.answers = queue.Queue()

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                answers.put(line)
            answers.put("")

        threading.Thread(target=read, daemon=True).start()
        return process

    def ask(self, **request: Any) -> dict[str, Any]:
        process = self.process or self.begin()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = self.answers.get(timeout=PATIENCE)
        except queue.Empty:
            self.end()
            raise WorkerFailed(f"no answer in {PATIENCE:.0f} s") from None
        except OSError as error:
            self.end()
            raise WorkerFailed(str(error)) from None
        if not line:
            code = process.wait()
            self.end()
            raise WorkerFailed(f"the process ended with status {code}")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise WorkerFailed(found["error"])
        return found

    def end(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, self.errors):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        pass


def workers(peers: Path | None, only: Iterable[str] | None = None) -> dict[str, Worker]:
    """A worker for each library that is there."""
    found = {}
    for library in LIBRARIES:
        if only is not None and library not in only:
            continue
        if library.startswith("adjoint"):
            python: Path | None = Path(sys.executable)
        else:
            python = interpreter(peers / library) if peers else None
        if python is not None:
            found[library] = Worker(library, python)
    return found


def measure(name: str, row: Row, team: dict[str, Worker], rounds: int, budget: float = CELL) -> dict[str, Cell]:
    """One row: every mode is started, then all are sampled in turn, round by round."""
    at = {mode: worker for library, worker in team.items() for mode in LIBRARIES[library] if mode not in row.without}
    cells = {mode: Cell() for mode in at}

    def ask(mode: str, do: str) -> dict[str, Any] | None:
        cell = cells[mode]
        try:
            return at[mode].ask(do=do, row=name, mode=mode)
        except WorkerFailed as error:
            cell.error = str(error)
            return None

    for mode, cell in cells.items():
        begun = ask(mode, "start")
        if begun is not None:
            cell.first, cell.third, cell.checksum = begun["first"], begun["third"], begun["checksum"]
    for k in range(rounds):
        order = list(cells)
        for mode in order[k % len(order):] + order[:k % len(order)]:
            cell = cells[mode]
            if cell.error is not None or (k >= 3 and cell.spent > budget):
                continue
            begin = time.perf_counter()
            sample = ask(mode, "sample")
            cell.spent += time.perf_counter() - begin
            if sample is not None:
                cell.times += sample["times"]
    for mode, cell in cells.items():
        if cell.error is None:
            stopped = ask(mode, "stop")
            if stopped is not None:
                cell.memory = stopped["memory"]
    return cells


def measure_starts(name: str, row: Row, team: dict[str, Worker]) -> dict[str, tuple[Cell, Cell]]:
    """Each mode in a process of its own, twice: without anything that was kept on disk, and with what the first kept."""
    results = {}
    for library, worker in team.items():
        for mode in (*LIBRARIES[library], *STARTS_ALSO.get(library, ())):
            if mode in row.without:
                continue
            pair = Cell(), Cell()
            with tempfile.TemporaryDirectory(prefix="benchmark-cache-") as cache:
                for cell in pair:
                    alone = Worker(library, worker.python, cache)
                    try:
                        begun = alone.ask(do="start", row=name, mode=mode)
                        cell.first, cell.third = begun["first"], begun["third"]
                    except WorkerFailed as error:
                        cell.error = str(error)
                    finally:
                        alone.end()
                        alone.folder.cleanup()
            results[mode] = pair
    return results


def disagreements(cells: dict[str, Cell]) -> list[str]:
    """The modes whose first step gave something else than most did."""
    sums = {mode: cell.checksum for mode, cell in cells.items() if cell.checksum is not None}
    if not sums:
        return []
    middle = statistics.median_low(sums.values())
    return [f"{mode} gives {x:.6g} where most give {middle:.6g}" for mode, x in sums.items()
            if not abs(x - middle) <= 1e-3 * abs(middle)]


def measure_all(names: list[str], team: dict[str, Worker], rounds: int,
                say: Callable[[str], None] = lambda text: None) -> dict[str, tuple[Row, dict[str, Cell]]]:
    """All rows that are asked for."""
    table = rows()
    results = {}
    for k, name in enumerate(names):
        say(f"{name} ({k + 1} of {len(names)})")
        row = table[name][1]
        if row.full:                                     # a large one starts from a clean process, for its memory
            for worker in team.values():
                worker.end()
        results[name] = row, measure(name, row, team, rounds)
    return results

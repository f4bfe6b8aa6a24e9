"""One library's side: reads requests (a JSON object a line), answers each with one.

    {"do": "versions"}                                     -> {"python": "3.11.7", "numpy": "2.4.6", ...}
    {"do": "start", "row": "mlp", "mode": "adjoint"}       -> {"first": s, "third": s, "checksum": x}
    {"do": "sample", "row": "mlp", "mode": "adjoint"}      -> {"times": [s, ...]}, of one step each
    {"do": "stop", "row": "mlp", "mode": "adjoint"}        -> {"memory": bytes or null}
    {"do": "limits"}                                       -> {"sgemm": flop/s, "copy": bytes/s}
"""
from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

CHUNK, SAMPLE = 2e-4, 2.5e-2                             # seconds that are timed as one, and seconds of a sample
clock = time.perf_counter


def _plain(step: Any, **_: Any) -> Any:
    return step


def _adjoint(decorated: bool) -> tuple[Any, Any, Any]:
    import adjoint as ad

    return ad, ad.function if decorated else _plain, ad.evaluate


def _adjoint_tensorflow() -> tuple[Any, Any, Any]:
    import adjoint as ad
    import adjoint.tensorflow as tf

    return tf, _plain, ad.evaluate


def _tensorflow(options: dict[str, Any] | None) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    return tf, _plain if options is None else tf.function(**options), lambda result: None


def _torch(compiled: bool) -> tuple[Any, Any, Any]:
    import torch

    return torch, (lambda step, **_: torch.compile(step)) if compiled else _plain, lambda result: None


def _jax() -> tuple[Any, Any, Any]:
    import jax

    return jax, jax.jit, jax.block_until_ready


# For each mode: the function of a row's file, and what gives its library, its decorator and how to wait for a result.
MODES: dict[str, tuple[str, Callable[[], tuple[Any, Any, Any]]]] = {
    "adjoint": ("adjoint", lambda: _adjoint(False)),
    "adjoint @function": ("adjoint", lambda: _adjoint(True)),
    "adjoint.tensorflow": ("tensorflow", _adjoint_tensorflow),
    "TensorFlow": ("tensorflow", lambda: _tensorflow(None)),
    "tf.function": ("tensorflow", lambda: _tensorflow({})),
    "XLA": ("tensorflow", lambda: _tensorflow({"jit_compile": True})),
    "PyTorch": ("torch", lambda: _torch(False)),
    "torch.compile": ("torch", lambda: _torch(True)),
    "JAX jit": ("jax", _jax),
}


def memory(key: str) -> int | None:
    """Bytes of this process: VmHWM is the peak, VmRSS what it is now (Linux)."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return None


def checksum(result: Any) -> float:
    """The sum of the magnitudes of everything in a result: the same for every library."""
    import numpy as np

    if result is None:
        return 0.0
    if isinstance(result, dict):
        return sum(checksum(part) for part in result.values())
    if isinstance(result, (list, tuple)):
        return sum(checksum(part) for part in result)
    if hasattr(result, "detach"):
        result = result.detach()
    return float(np.sum(np.abs(np.asarray(result)), dtype=np.float64))


class Running:
    """A program of one row in one mode."""

    def __init__(self, name: str, mode: str) -> None:
        from benchmarks.rows import load, rows

        file, row = rows()[name]
        function, library = MODES[mode]
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
            clear.write("5")                             # the peak starts from here
        self.before = memory("VmRSS")
        lib, decorate, wait = library()
        program = getattr(load(file), function)(lib, decorate, **row.sizes)

        def step() -> Any:
            result = program()
            wait(result)
            return result

        self.step, self.per = step, row.per
        begin = clock()
        result = step()
        self.first = clock() - begin
        self.checksum = checksum(result)
        del result
        step()
        best = self.once(1)
        self.third = clock() - begin
        self.slow = best > 0.05
        if not self.slow:
            best = min(self.once(1) for _ in range(3))
        self.calls = max(1, int(CHUNK / best))
        self.chunks = max(1, int(SAMPLE / (best * self.calls)))

    def once(self, calls: int) -> float:
        step = self.step
        begin = clock()
        for _ in range(calls):
            step()
        return (clock() - begin) / calls

    def sample(self) -> list[float]:
        if not self.slow:
            self.once(1)                                 # the other libraries have had the caches meanwhile
        return [self.once(self.calls) / self.per for _ in range(self.chunks)]

    def grown(self) -> int | None:
        """Bytes that the process came to at its peak, beyond those it had before."""
        peak = memory("VmHWM")
        return None if peak is None or self.before is None else peak - self.before


def versions(mode: str) -> dict[str, str]:
    import numpy

    module = importlib.import_module(MODES[mode][1]()[0].__name__.removesuffix(".tensorflow"))
    found = {"python": sys.version.split()[0], "numpy": numpy.__version__, module.__name__: module.__version__}
    if module.__name__ == "adjoint":
        found["engine"] = module.config.engine
    return found


def limits() -> dict[str, float]:
    """The best rates that NumPy gets here: a product of matrices, and copying (bytes read and bytes written)."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    a = np.ones((2048, 2048), np.float32)
    out = np.empty_like(a)
    source, target = np.ones(1 << 26, np.uint8), np.empty(1 << 26, np.uint8)
    cores = os.cpu_count() or 1
    halves = list(zip(np.array_split(source, cores), np.array_split(target, cores)))

    def best(work: Callable[[], Any]) -> float:
        took = []
        for _ in range(7):
            begin = clock()
            work()
            took.append(clock() - begin)
        return min(took)

    with ThreadPoolExecutor(cores) as pool:
        copying = min(best(lambda: np.copyto(target, source)),
                      best(lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), halves))))
    return {"sgemm": 2.0 * 2048**3 / best(lambda: np.matmul(a, a, out=out)), "copy": 2.0 * source.nbytes / copying}


def answer(request: dict[str, Any], running: dict[tuple[str, str], Running]) -> dict[str, Any]:
    do = request["do"]
    if do == "versions":
        return versions(request["mode"])
    if do == "limits":
        return limits()
    key = request["row"], request["mode"]
    if do == "start":
        made = running[key] = Running(*key)
        return {"first": made.first, "third": made.third, "checksum": made.checksum}
    if do == "sample":
        return {"times": running[key].sample()}
    if do == "stop":
        grown = running.pop(key).grown()
        gc.collect()
        return {"memory": grown}
    raise ValueError(f"no such request: {do}")


def main() -> None:
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)                                        # what libraries print must not get between the answers
    running: dict[tuple[str, str], Running] = {}
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line), running)
        except Exception as error:                       # shown in the table's cell
            lines = str(error).strip().splitlines()
            reply = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

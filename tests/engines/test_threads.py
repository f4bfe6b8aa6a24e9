"""Large loops in several threads: the same bits, from several callers, after a fork, and to the end of the process."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._config import config
from adjoint.engines.llvm import native, threads

pytest.importorskip("llvmlite")
X = np.random.default_rng(0).normal(size=300_000).astype(np.float32)


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    engine, count = config.engine, config.threads
    config.engine = "llvm"
    yield
    config.engine, config.threads = engine, count


def program() -> tuple[Any, Any]:
    x = ad.Tensor(X)
    y, s = ad.exp(x) * ad.tanh(x), ad.sum(ad.exp(x) * ad.tanh(x))
    ad.evaluate(y, s)
    return s.numpy(), y.numpy()


def test_the_same_bits_whatever_the_number() -> None:
    config.threads = 1
    total, each = program()
    for count in (2, 3, 64):
        config.threads = count
        again, values = program()
        assert again == total
        np.testing.assert_array_equal(values, each)
    x = X.astype(np.float64)
    np.testing.assert_allclose(total, (np.exp(x) * np.tanh(x)).sum(), rtol=1e-6)


def test_others_come_in() -> None:
    """The shared memory's running number of jobs goes on with each large loop."""
    program()
    if threads._state is None:
        pytest.skip("threads are not supported on this platform")
    config.threads = 2
    base = (threads.ctypes.addressof(threads._state) + 127) & ~127
    gate = threads.ctypes.c_uint64.from_address(base + threads._GATE)
    before = gate.value >> 33
    program()
    assert gate.value >> 33 > before
    assert gate.value & 0xFFFFFFFF == 0                  # nobody is inside any more


def test_several_callers() -> None:
    want, wrong = program(), []

    def run() -> None:
        for _ in range(10):
            total, each = program()
            if total != want[0] or not np.array_equal(each, want[1]):
                wrong.append(1)

    callers = [threading.Thread(target=run) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this platform")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_a_fork() -> None:
    want = program()[0]
    child = os.fork()
    if child == 0:
        os._exit(0 if program()[0] == want and threads.count.value == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_process_ends_in_peace() -> None:
    text = ("import numpy as np, adjoint as ad\nad.config.engine = 'llvm'\n"
            "x = ad.Tensor(np.ones(400_000, np.float32))\nprint(float(ad.sum(ad.exp(x))))\n")
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("1087312")
        assert done.stderr == ""


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "two"])
def test_a_wrong_number_is_refused(wrong: Any) -> None:
    before = config.threads
    with pytest.raises(ValueError, match=r"config\.threads: must be a whole number"):
        config.threads = wrong
    assert config.threads == before


def test_without_threads(monkeypatch: Any) -> None:
    """Where there are no semaphores, the work is done by the caller."""
    made: dict[str, int] = {}

    class Fake:
        triple = "none"

        def symbol(self, name: str, address: int) -> str:
            made[name] = address
            return name

        def load(self, text: str, marker: str, name: str, ready: bool, quick: bool) -> tuple[int, Any]:
            assert "sem_wait" not in text
            return native.compiler().load(text, marker, name, ready, quick)

    monkeypatch.setattr(threads.sys, "platform", "win32")
    threads.connect(Fake())  # type: ignore[arg-type]
    c = threads.ctypes
    seen: list[int] = []
    work = c.CFUNCTYPE(None, c.c_void_p)(lambda context: seen.append(context))
    c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_int)(made["adjoint_parallel"])(c.cast(work, c.c_void_p), 7, 4)
    assert seen == [7]

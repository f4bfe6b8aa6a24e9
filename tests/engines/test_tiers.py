"""When a program is compiled: decided by its structure and by how often it was seen."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph, _plan
from adjoint._config import config
from adjoint._plan import LATE, SOON
from adjoint.engines import numpy as numpy_engine
from adjoint.plan.program import Program


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    before = config.engine
    config.engine = "auto"
    yield
    config.engine = before


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """The programs that "auto" compiled."""
    found: list[Program] = []

    def build(program: Program) -> Callable[[list[Any]], list[Any]]:
        found.append(program)
        return numpy_engine.build(program)

    monkeypatch.setitem(_plan.engines, "auto", build)
    return found


def step(x: Any) -> Any:
    return ad.sum(ad.exp(x) * ad.sin(x) + ad.log(x))


def sights(f: Callable[[], Any], built: list[Program]) -> int:
    """At which sight f is compiled."""
    for k in range(1, 30):
        ad.evaluate(f())
        if built:
            return k
    return 0


def test_work_is_compiled_when_it_is_seen_again(built: list[Program]) -> None:
    x = ad.constant(np.linspace(0.1, 1.0, 5))
    assert sights(lambda: step(x), built) == SOON == 2
    for _ in range(5):
        ad.evaluate(step(x))
    assert len(built) == 1


def test_a_few_small_operations_later(built: list[Program]) -> None:
    x = ad.constant(np.linspace(0.1, 1.0, 5))
    assert sights(lambda: ad.exp(x) * x, built) == LATE == 10


def test_one_operation_on_much_soon(built: list[Program]) -> None:
    x = ad.constant(np.ones(100_000, np.float32))
    assert sights(lambda: ad.exp(x), built) == SOON


def test_what_is_seen_once_is_never_compiled(built: list[Program]) -> None:
    for n in range(1, 200):
        ad.evaluate(step(ad.constant(np.ones(n))))
    assert built == []


def test_other_numbers_are_the_same_structure(built: list[Program]) -> None:
    ad.evaluate(step(ad.constant(np.ones(7))))
    ad.evaluate(step(ad.constant(np.full(7, 3.25))))
    assert len(built) == 1


def test_a_traced_function_counts_as_any_program(built: list[Program]) -> None:
    traced = ad.function(step)
    x = ad.constant(np.ones(9))
    assert sights(lambda: traced(x), built) == SOON


def test_an_engine_that_is_chosen_holds_from_the_first_sight(monkeypatch: pytest.MonkeyPatch, built: list[Program]) -> None:
    compiled: list[Program] = []

    def build(program: Program) -> Callable[[list[Any]], list[Any]]:
        compiled.append(program)
        return numpy_engine.build(program)

    monkeypatch.setitem(_plan.engines, "llvm", build)
    x = ad.constant(np.ones(5))
    config.engine = "llvm"
    ad.evaluate(step(x))
    assert len(compiled) == 1
    config.engine = "numpy"
    for _ in range(2 * LATE):
        ad.evaluate(step(x), ad.exp(x))
    assert (len(compiled), built) == (1, [])


def test_the_same_program_gives_the_same_bits_at_each_step() -> None:
    def run() -> list[bytes]:
        _graph.forget()
        ad.random.set_seed(3)
        w = ad.Variable(ad.random.normal((40,)))
        seen = []
        for _ in range(2 * LATE):
            with ad.GradientTape() as tape:
                loss = step(w * w + 0.1)
            w.assign_sub(0.01 * tape.gradient(loss, w))
            small = ad.exp(w[0]) * 2.0
            seen += [w.numpy().tobytes(), small.numpy().tobytes(), loss.numpy().tobytes()]
        return seen

    assert run() == run()


def test_without_llvmlite_numpy_runs_everything_and_says_so_once() -> None:
    program = """
import sys
sys.modules["llvmlite"] = None
import numpy as np
import adjoint as ad
x = ad.constant(np.linspace(0.1, 1.0, 5))
assert ad.config.note == ""
for engine in ("auto", "llvm"):
    ad.config.engine = engine
    for _ in range(12):
        y = ad.sum(ad.exp(x) * ad.sin(x) + ad.log(x))
        assert abs(float(y) - np.sum(np.exp(x.numpy()) * np.sin(x.numpy()) + np.log(x.numpy()))) < 1e-12
print(ad.config.note)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(ad.__file__).parent.parent)}
    out = subprocess.run([sys.executable, "-W", "error", "-c", program], env=env, capture_output=True, text=True, timeout=120)
    assert (out.returncode, out.stderr) == (0, "")
    assert "llvmlite is not installed" in out.stdout
    assert out.stdout.count("\n") == 1

"""The benchmarks run: one tiny row for adjoint, and the table in its three forms."""
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import __main__ as command
from benchmarks import harness, table
from benchmarks.harness import Cell
from benchmarks.rows import Row, rows


@pytest.fixture
def team() -> Iterator[dict[str, harness.Worker]]:
    found = harness.workers(None, ["adjoint"])
    yield found
    for worker in found.values():
        worker.end()
        worker.folder.cleanup()


def test_a_row_is_measured(team: dict[str, harness.Worker]) -> None:
    cells = harness.measure("sigmoid-10", rows()["sigmoid-10"][1], team, rounds=1)
    assert set(cells) == {"adjoint", "adjoint @function"}
    for cell in cells.values():
        assert cell.error is None
        assert cell.times
        assert min(cell.times) > 0
        assert cell.first is not None
        assert cell.third is not None


def test_a_failure_is_told_and_the_worker_lives(team: dict[str, harness.Worker]) -> None:
    with pytest.raises(harness.WorkerFailed, match="KeyError"):
        team["adjoint"].ask(do="start", row="no such row", mode="adjoint")
    assert "adjoint" in team["adjoint"].ask(do="versions", mode="adjoint")


def some_results() -> table.Results:
    row = Row("a | b", flops=1e6)
    return {"one": (row, {
        "adjoint": Cell([1e-6, 2e-6, 3e-6], first=0.5, third=0.6),
        "adjoint @function": Cell([1e-6]),
        "PyTorch": Cell([4e-6]),
        "TensorFlow": Cell([2.5e-4]),
        "XLA": Cell(error="out of luck")})}


def test_ratios_are_to_the_best_peer_that_ran() -> None:
    made = table.times(some_results(), {"sgemm": 1e12, "copy": 1e10})
    line = dict(zip(made.head, made.body[0]))
    assert line["adjoint"] == "2.00"
    assert line["TensorFlow"] == "250"
    assert line["JAX jit"] == "-"
    assert line["XLA"] == "failed"
    assert line["best peer"] == "PyTorch"
    assert line["adjoint : best"] == "0.50"
    assert line["@function : best"] == "0.25"
    assert line["of limit"] == "50%"
    assert table.failures(some_results()) == ["a | b: XLA: out of luck"]


def test_a_wrong_result_is_told() -> None:
    cells = {"adjoint": Cell(checksum=2.0), "PyTorch": Cell(checksum=2.0), "XLA": Cell(checksum=3.0)}
    assert harness.disagreements(cells) == ["XLA gives 3 where most give 2"]


def test_plain_and_markdown() -> None:
    made = table.times(some_results(), None)
    text = table.plain(made).splitlines()
    assert text[0] == "Time of a step"
    assert "JAX jit" not in text[1]
    page = table.page({"date": "today"}, (), [made, table.spread(some_results())], ["a"], "python -m benchmarks")
    assert "| a \\| b | 2.00 | 1.00 | - | 250 | - | failed | 4.00 | - | PyTorch | 0.50 | 0.25 | - |" in page
    assert "| date | today |" in page


@pytest.mark.parametrize(("arguments", "message"), [
    (["nonsense"], "no such row: nonsense"),
    (["--peers", "/no/such/folder"], "no such folder"),
    (["--only", "caffe"], "no such library: caffe"),
    (["--rounds", "0"], "at least 1")])
def test_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.parse(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_large_rows_are_run_when_they_are_asked_for() -> None:
    assert "mlp-large" not in command.parse([]).names
    assert "mlp-large" in command.parse(["--full"]).names
    assert command.parse(["mlp-large"]).names == ["mlp-large"]
    assert command.parse(["mlp*"]).names == ["mlp-small", "mlp"]

"""The gradient-descent notebook gives what TensorFlow gives, or the truer figure."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint.tensorflow as tf

NOTEBOOK = Path(__file__).parents[2] / "examples" / "gradient_descent.ipynb"


@pytest.fixture
def cells() -> list[str]:
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(c["source"]) for c in found if c["cell_type"] == "code"]
    return [c.replace("import tensorflow as tf", "import adjoint.tensorflow as tf").replace(
        "from tensorflow import keras", "from adjoint.tensorflow import keras") for c in code]


def run(cells: list[str], last: int) -> dict[str, Any]:
    space: dict[str, Any] = {}
    for cell in cells[:last]:
        exec(cell, space)
    return space


def test_every_cell_runs_and_prints(cells: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run(cells, len(cells))
    out = capsys.readouterr().out
    assert "dy_dw:  tf.Tensor(3.0, shape=(), dtype=float32)\n" in out
    assert "dy_db:  tf.Tensor(1.0, shape=(), dtype=float32)\n" in out
    assert "d2y_dw2:  None\n" in out
    assert "Gradient of a:  [<tf.Tensor: shape=(10,), dtype=float32, numpy=\narray([4.5395" in out
    assert "b gradients:  tf.Tensor([" in out


def test_the_single_use_tape(cells: list[str]) -> None:
    space = run(cells, 3)
    with pytest.raises(RuntimeError, match="non-persistent"):
        exec("tape.gradient(y2, [w])\ntape.gradient(y2, [w])", space)
    assert repr(run(cells, 3)["y2"]) == "<tf.Tensor: shape=(), dtype=float32, numpy=2.0>"


def test_the_persistent_tape(cells: list[str]) -> None:
    space = run(cells, 5)
    exec("a = tape.gradient(y2, [w]); b = tape.gradient(y2, [w])", space)
    assert [float(g[0]) for g in (space["a"], space["b"])] == [2.0, 2.0]


def test_the_sigmoids_gradient(cells: list[str]) -> None:
    space = run(cells, 7)
    a = space["a"].numpy().astype(float)
    e = np.exp(-np.abs(a))
    np.testing.assert_allclose(space["grads"][0].numpy(), e / (1 + e) ** 2, rtol=2e-7)


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_the_losses_gradients(cells: list[str]) -> None:
    tf.random.set_seed(1)
    space = run(cells, 8)
    x, w, y = space["x"].numpy().astype(float), space["w"].numpy().astype(float), np.eye(3)[[2, 0]]
    p = softmax(x @ w)
    dp = 2 * (p - y) / 3 / 2
    dz = p * (dp - (dp * p).sum(1, keepdims=True))
    np.testing.assert_allclose(space["grads"][0].numpy(), x.T @ dz, rtol=2e-6, atol=1e-8)
    np.testing.assert_allclose(space["grads"][1].numpy(), dz.sum(0), rtol=2e-6, atol=1e-8)
    space = run(cells, 9)
    x, w = space["x"].numpy().astype(float), space["w"].numpy().astype(float)
    dz = (softmax(x @ w) - y) / 2
    np.testing.assert_allclose(space["grads"][0].numpy(), x.T @ dz, rtol=2e-6, atol=1e-8)
    np.testing.assert_allclose(space["grads"][1].numpy(), dz.sum(0), rtol=2e-6, atol=1e-8)

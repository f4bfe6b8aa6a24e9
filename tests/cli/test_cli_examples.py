"""The examples and the README do what they say."""
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest

TOP = Path(__file__).parents[2]
EXAMPLES = TOP / "examples"


def test_gradient_descent_notebook(run, tmp_path):
    done = tmp_path / "done.ipynb"
    path = EXAMPLES / "gradient_descent.ipynb"
    before = path.read_bytes()
    status, out, err = run("run", str(path), "--output", str(done))
    assert (status, err) == (0, "")
    assert path.read_bytes() == before
    assert "Out[4]: [<tf.Tensor: shape=(), dtype=float32, numpy=2.0>]\n" in out
    assert "dy_dw:  tf.Tensor(3.0, shape=(), dtype=float32)\n" in out
    assert "dy_db:  tf.Tensor(1.0, shape=(), dtype=float32)\n" in out
    assert "d2y_dw2:  None\n" in out
    cells = [cell for cell in nbformat.read(done, 4).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    slope = cells[6].outputs[0].text.partition("Gradient of a:")[2]
    got = [float(n) for n in re.findall(r"\d\.\d+e-\d+", slope)]
    x = np.linspace(-10, 10, 10)
    e = np.exp(-np.abs(x))
    np.testing.assert_allclose(got, e / (1 + e) ** 2, rtol=3e-7)
    for cell in cells[7:]:                               # the rows of both losses' gradients add up to 0
        w, b = (np.array([float(n) for n in re.findall(r"-?\d\.\d+(?:e-?\d+)?", part)])
                for part in re.findall(r"gradients:  tf\.Tensor\((.*?), shape", cell.outputs[0].text, re.S))
        assert w.size == 12
        assert b.size == 3
        np.testing.assert_allclose(w.reshape(4, 3).sum(1), 0, atol=1e-6)
        np.testing.assert_allclose(b.sum(), 0, atol=1e-6)


def test_digits(run):
    pytest.importorskip("sklearn")
    status, out, err = run("run", str(EXAMPLES / "digits.py"))
    assert (status, err) == (0, "")
    assert "\x1b" not in out
    assert float(re.search(r"held-out accuracy +([\d.]+)%", out)[1]) > 97


def test_pendulum(run, tmp_path):
    pytest.importorskip("matplotlib").use("agg")
    picture = tmp_path / "fit.png"
    status, out, err = run("run", str(EXAMPLES / "pendulum.py"), "--steps", "200", "--plot", str(picture))
    assert (status, err) == (0, "")
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = re.findall(r"^\w.*\d  (?:m|1/s|rad|rad/s)$", out, re.M)
    assert len(rows) == 4
    for row in rows:
        true, guess, fitted, error = (float(n) for n in row.split()[-5:-1])
        assert abs(fitted - true) < 4 * error < abs(guess - true)


def test_readme():
    text = (TOP / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) >= 2
    for block in blocks:
        exec(block, {})
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (TOP / link).exists(), link

"""tf.print writes what TensorFlow writes (the texts are TensorFlow 2.21's)."""
from __future__ import annotations

import collections
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint.tensorflow as tf


def text(*values: Any, **settings: Any) -> str:
    out = io.StringIO()
    tf.print(*values, output_stream=out, **settings)
    return out.getvalue().removesuffix("\n") if "end" not in settings else out.getvalue()


@pytest.mark.parametrize(("values", "wanted"), [
    ([3.14159265, 0.1, 1e-10, 1e20, 100000.0, 1234567.0, float("nan"), -float("inf"), 2.0],
     "3.14159274 0.1 1e-10 1e+20 100000 1234567 nan -inf 2")])
def test_floats(values: list[float], wanted: str) -> None:
    assert text(*[tf.constant(v) for v in values]) == wanted


def test_arrays() -> None:
    assert text(tf.constant([1.0, 2.5, 3.0]), tf.range(10), tf.range(6), tf.range(7)) == (
        "[1 2.5 3] [0 1 2 ... 7 8 9] [0 1 2 3 4 5] [0 1 2 ... 4 5 6]")
    assert text(tf.reshape(tf.range(24), [2, 3, 4])) == (
        "[[[0 1 2 3]\n  [4 5 6 7]\n  [8 9 10 11]]\n\n [[12 13 14 15]\n  [16 17 18 19]\n  [20 21 22 23]]]")
    assert text(tf.reshape(tf.range(200.0), [10, 20])) == (
        "[[0 1 2 ... 17 18 19]\n [20 21 22 ... 37 38 39]\n [40 41 42 ... 57 58 59]\n ...\n [140 141 142 ... 157 158 159]\n"
        " [160 161 162 ... 177 178 179]\n [180 181 182 ... 197 198 199]]")
    assert text(tf.range(8), summarize=-1) == "[0 1 2 3 4 5 6 7]"
    assert text(tf.range(8), summarize=1) == "[0 ... 7]"


def test_other_dtypes() -> None:
    assert text(tf.constant(True), tf.constant([True, False]), tf.constant(0.1, tf.float64),
                tf.constant(1 / 3, tf.float64), tf.constant(0.1, tf.float16), tf.constant(0.1, tf.bfloat16)) == (
        "1 [1 0] 0.1 0.33333333333333331 0.0999755859 0.100097656")


def test_python_values_and_nests() -> None:
    P = collections.namedtuple("P", "a b")
    assert text(True, 1, 2.5, None, "a", [1, "b", tf.constant(2)], (1, 2), (1,), {"x": tf.constant(1.5), "a": 2}, P(1, 2.0)) == (
        "True 1 2.5 None a [1, 'b', 2] (1, 2) (1,) {'a': 2, 'x': 1.5} P(a=1, b=2.0)")
    assert text(tf.Variable(2.0), np.array([1.0, 2.0]), np.float32(3.3), 3.14159265358979, 1e-7) == (
        "2 array([1., 2.]) np.float32(3.3) 3.14159265358979 1e-07")
    assert text([tf.constant([1, 2]), tf.constant([[1, 2], [3, 4]])]) == "[[1 2], [[1 2]\n [3 4]]]"


def test_where_it_goes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert text("x:", tf.constant(1), sep="|", end="END\n") == "x:|1END\n"
    tf.print("to stderr", tf.constant(1.5))
    assert capsys.readouterr().err == "to stderr 1.5\n"
    tf.print("to stdout", output_stream=sys.stdout)
    assert capsys.readouterr().out == "to stdout\n"
    path = tmp_path / "log.txt"
    tf.print("a", output_stream=f"file://{path}")
    tf.print("b", output_stream=f"file://{path}")
    assert path.read_text() == "a\nb\n"
    with pytest.raises(ValueError, match="output_stream"):
        tf.print("a", output_stream="nowhere")
    with pytest.raises(ValueError, match="Unrecognized"):
        tf.print("a", nope=1)

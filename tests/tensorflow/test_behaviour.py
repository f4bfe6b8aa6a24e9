"""Each expression of behaviour.txt gives what TensorFlow gives: value, dtype, shape, or class of error."""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import outcomes
import pytest

import adjoint.tensorflow as tf

RECORDED: dict[str, Any] = json.loads((outcomes.HERE / "behaviour.json").read_text(encoding="utf-8"))

# What differs on purpose: expression -> why.
DIFFERENT = {
    "tf.constant([1., 2.])[1.0]": "an index of a wrong kind is an IndexError and an InvalidArgumentError",
    "tf.Variable(1.0).assign(tf.constant(1))": "a wrong dtype is a TypeError and an InvalidArgumentError everywhere",
    "tf.Variable([1., 2.]).assign_add([1.])": "what is added may broadcast to the variable's shape",
    "float(tf.constant([1., 2.]))": "a wrong shape is a ValueError and an InvalidArgumentError everywhere",
    "tf.keras.losses.SparseCategoricalCrossentropy()(tf.constant([1, 2]), [[0.05, 0.95, 0.], [0.1, 0.8, 0.1]])":
        "lists are taken as tensors",
    "grad(lambda x: tf.maximum(x, 1.0), [0., 1., 2.])": "ties share the gradient evenly",
    "grad(lambda x, y: tf.maximum(x, y), [0., 1., 2.], [1., 1., 1.])": "ties share the gradient evenly",
    "grad(lambda x, y: tf.minimum(x, y), [0., 1., 2.], [1., 1., 1.])": "ties share the gradient evenly",
    "grad(lambda x: tf.floor(x) + tf.round(x) + tf.sign(x), [1.5])": "a derivative that is zero everywhere is None",
    "grad(lambda x: tf.gather(x, [0, 0, 1]), tf.constant([1., 2., 3.]))": "only variables have sparse gradients",
    "grad(lambda p: tf.keras.losses.poisson([[1., 2.]], p), [[1., 0.5]])": "no 1e-7 is added to the prediction",
    "tf.constant(1.0) == 'a'": "a tensor is not equal to text",
    "hash(tf.constant(1.0))": "tensors may be keys, by identity",
    "tf.constant([1, 2]) + np.array([1., 2.])": "floats are never cut to integers without a word",
    "round(tf.constant(1.6))": "Python's round rounds a tensor",
    "np.sin(tf.constant(1.0))": "NumPy's functions on tensors are recorded",
    "np.mean(tf.constant([1., 2.]))": "NumPy's functions on tensors are recorded",
}
CLASSES = {
    "InvalidArgumentError": tf.errors.InvalidArgumentError, "TypeError": TypeError, "ValueError": ValueError,
    "RuntimeError": RuntimeError, "AttributeError": AttributeError, "IndexError": IndexError,
    "OutOfRangeError": tf.errors.OutOfRangeError}


def close(a: Any, b: Any) -> bool:
    """Whether two outcomes are the same, floating values to within what TensorFlow's own rounding moves them."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            return False
        if "value" not in a or not isinstance(a["value"], list):
            return all(close(a[k], b[k]) for k in a)
        if any(a[k] != b[k] for k in a if k != "value"):
            return False
        if not a["value"] or isinstance(a["value"][0], bool):
            return a["value"] == b["value"]
        return np.allclose(np.array(a["value"], float), np.array(b["value"], float), rtol=1e-5, atol=1e-12, equal_nan=True)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    return bool(a == b)


def test_everything_is_recorded() -> None:
    assert outcomes.lines() == list(RECORDED)
    assert len(RECORDED) > 1000
    assert set(DIFFERENT) <= set(RECORDED)


@pytest.mark.parametrize("line", [line for line in RECORDED if line not in DIFFERENT])
def test_expression(line: str) -> None:
    wanted = RECORDED[line]
    if isinstance(wanted, dict) and "error" in wanted:
        with pytest.raises(CLASSES[wanted["error"]]):
            str(outcomes.evaluate(line, tf))
    else:
        got = outcomes.outcome(line, tf)
        assert close(got, wanted), f"{got} instead of {wanted}"


@pytest.mark.parametrize("line", DIFFERENT)
def test_what_differs_still_does(line: str) -> None:
    assert not close(outcomes.outcome(line, tf), RECORDED[line])


def test_a_wrong_value_is_noticed() -> None:
    right = {"tensor": "float32", "shape": [2], "value": ["1.0", "2.0"]}
    assert close(right, dict(right))
    assert not close(right, right | {"value": ["1.0", "2.1"]})
    assert not close(right, right | {"tensor": "float64"})
    assert not close(right, {"error": "TypeError"})

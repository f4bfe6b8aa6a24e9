"""The answers under the TensorFlow spelling: the user's own line, tf's names."""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import adjoint.tensorflow as tf
from adjoint._config import config


@pytest.fixture(autouse=True)
def _spelling() -> Iterator[None]:
    config.spelling = "tf"
    yield
    config.spelling = "adjoint"


def test_the_line_is_the_users() -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = tf.round(x) * 2.0
    found = tape.explain(y, x)
    assert found.cause == "zero derivative"
    assert found.line is not None
    assert found.line[0] == __file__


def test_through_numpy() -> None:
    x = tf.Variable([3.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.constant(np.sin(np.asarray(x))))
    assert tape.gradient(y, x) is None
    found = tape.explain(y, x)
    assert found.cause == "detached"
    assert "tf's functions" in str(found)


def test_an_optimizer_says_why() -> None:
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = tf.stop_gradient(x) * 2.0
    with pytest.raises(ValueError, match=r"stop_gradient at .*test_tensorflow_spelling\.py"):
        tf.keras.optimizers.SGD(0.1).apply_gradients([(tape.gradient(y, x), x)])

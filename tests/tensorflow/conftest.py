"""These tests run under the TensorFlow spelling, as programs do that import adjoint.tensorflow."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

import adjoint.tensorflow as tf
from adjoint._config import config

config.spelling = "adjoint"                              # importing the package has set it for the whole process


@pytest.fixture(autouse=True)
def _spelling(_clean: None) -> Iterator[None]:
    config.spelling = "tf"
    tf.random.set_seed(1234)
    yield
    tf.config.run_functions_eagerly(False)
    config.spelling = "adjoint"

"""TensorFlow's names and argument orders for adjoint: what answers ``import tensorflow as tf`` in ``adjoint run``.

There is no arithmetic here: every function is one of adjoint's. Importing this package makes tensors print as TensorFlow's
do and makes operations between tensors of different dtypes an error, as they are there.

>>> import adjoint.tensorflow as tf
>>> w = tf.Variable(3.0)
>>> with tf.GradientTape() as tape:
...     loss = tf.square(w)
>>> print(tape.gradient(loss, w))
tf.Tensor(6.0, shape=(), dtype=float32)
"""
from __future__ import annotations

import sys as _sys
from typing import Any as _Any

from .. import _config
from . import (  # noqa: F401
    _arrays,
    _checks,
    _control,
    _errors,
    _function,
    _indexing,
    _initializers,
    _keras,
    _linalg,
    _losses,
    _maths,
    _methods,
    _metrics,
    _module,
    _nesting,
    _nn,
    _numpy,
    _optimizers,
    _print,
    _random,
    _search,
    _tables,
    _types,
)
from ._bind import TABLE as _TABLE
from ._bind import absent as _absent
from ._bind import make_faces as _make_faces

_config.config.spelling = "tf"
globals().update(_TABLE[""])
_make_faces(__name__, """
    math nn random linalg errors nest losses optimizers optimizers.schedules optimizers.legacy initializers metrics
    dtypes autodiff bitwise debugging random.experimental config config.experimental config.optimizer
    config.threading experimental experimental.numpy keras keras.losses keras.optimizers keras.optimizers.schedules
    keras.optimizers.legacy keras.activations keras.initializers keras.metrics keras.utils keras.backend
    keras.random keras.regularizers keras.layers keras.models keras.datasets keras.callbacks keras.applications
    keras.preprocessing data train saved_model test
""")
__version__ = "2.21.0"


def __getattr__(name: str) -> _Any:
    return _absent("", name, globals(), _sys._getframe(1))


def __dir__() -> list[str]:
    return sorted(name for name in globals() if not name.startswith("_"))

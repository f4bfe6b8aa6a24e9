"""What an expression gives, in a form that can be stored: how the tests compare with TensorFlow's published behaviour.

behaviour.json holds, for each line of behaviour.txt, what TensorFlow 2.21 gives. To record it anew, run this file with a
Python that has TensorFlow:  python outcomes.py
"""
from __future__ import annotations

import io
import json
import math
import pathlib
from typing import Any

import numpy as np

HERE = pathlib.Path(__file__).parent
ERRORS = ("InvalidArgumentError", "TypeError", "ValueError", "RuntimeError", "AttributeError", "IndexError", "ZeroDivisionError",
          "NotFoundError", "OutOfRangeError", "UnimplementedError", "KeyError")


def lines() -> list[str]:
    """The expressions; one that starts with "~" is random: only its dtype and shape are compared."""
    text = (HERE / "behaviour.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def outcome(line: str, tf: Any) -> Any:
    """What the expression gives under ``tf``."""
    try:
        return plain(evaluate(line, tf), tf, not line.startswith("~"))
    except Exception as error:
        known = [c.__name__ for c in type(error).__mro__ if c.__name__ in ERRORS]
        return {"error": known[0] if known else type(error).__name__}


def evaluate(line: str, tf: Any) -> Any:
    """The value of the expression, in which grad(f, *xs) is the gradients of f(*xs) with respect to each of xs."""

    def grad(f: Any, *xs: Any, **settings: Any) -> Any:
        values = [x if isinstance(x, tf.Variable) else tf.convert_to_tensor(x) for x in xs]
        with tf.GradientTape() as tape:
            tape.watch(values)
            y = f(*values)
        found = tape.gradient(y, values, **settings)
        return found[0] if len(found) == 1 else found

    return eval(line.lstrip("~ "), {"tf": tf, "np": np, "keras": tf.keras, "io": io, "math": math, "grad": grad})


def plain(value: Any, tf: Any, exact: bool = True) -> Any:
    """A value as lists, numbers and strings."""
    if isinstance(value, tf.Variable):
        return {"variable": plain(value.numpy(), tf, exact), "trainable": value.trainable}
    if isinstance(value, tf.IndexedSlices):
        return {"slices": [plain(v, tf, exact) for v in (value.values, value.indices)]}
    if tf.is_tensor(value) or isinstance(value, (np.ndarray, np.generic)):
        kind = "tensor" if tf.is_tensor(value) else "array"
        array = np.asarray(value)
        found: dict[str, Any] = {kind: array.dtype.name, "shape": list(array.shape)}
        if exact:
            found["value"] = numbers(array)
        return found
    if isinstance(value, tf.DType):
        return {"dtype": value.name}
    if isinstance(value, tf.TensorShape):
        return {"dims": None if value.rank is None else list(value.as_list())}
    if isinstance(value, dict):
        return {"dict": {str(k): plain(value[k], tf, exact) for k in sorted(value, key=str)}}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {"fields": {k: plain(v, tf, exact) for k, v in zip(value._fields, value)}}
    if isinstance(value, (list, tuple)):
        return [plain(v, tf, exact) for v in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    return {"a": type(value).__name__}


def numbers(array: Any) -> Any:
    if array.dtype.kind == "c":
        return [numbers(array.real), numbers(array.imag)]
    if array.dtype.kind == "b":
        return array.tolist()
    if array.dtype.kind in "iu":
        return array.tolist()
    flat = [repr(float(v)) for v in array.astype(np.float64).ravel()]
    return flat


if __name__ == "__main__":
    import os

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    found = {line: outcome(line, tensorflow) for line in lines()}
    rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found.items())
    (HERE / "behaviour.json").write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
    print(f"{len(found)} recorded with TensorFlow {tensorflow.__version__}")

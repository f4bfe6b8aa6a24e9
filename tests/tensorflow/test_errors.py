"""Error classes that programs catch, and dtypes that do not mix."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint as ad
import adjoint.tensorflow as tf


def test_the_classes_are_adjoints_own() -> None:
    assert tf.errors.InvalidArgumentError is ad.ArgumentError
    assert tf.errors.UnimplementedError is ad.NotSupportedError
    assert issubclass(tf.errors.InvalidArgumentError, tf.errors.OpError)
    assert issubclass(tf.errors.OutOfRangeError, tf.errors.OpError)
    assert issubclass(tf.errors.NotFoundError, Exception)


def test_a_program_that_catches() -> None:
    caught = []
    for f in (lambda: tf.matmul(tf.ones([2, 3]), tf.ones([2, 3])), lambda: tf.constant(1.0) + tf.constant(1),
              lambda: tf.reshape(tf.range(6), [4, 2]), lambda: tf.gather([1, 2], 5), lambda: tf.concat(
                  [tf.ones([1, 2]), tf.ones([1, 3])], 0), lambda: tf.ones([2]) + tf.ones([3])):
        try:
            f()
        except tf.errors.InvalidArgumentError as e:
            caught.append(e.message)
    assert len(caught) == 6
    assert all(caught)


@pytest.mark.parametrize("f", [
    lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b, lambda a, b: a ** b, lambda a, b: a > b,
    lambda a, b: a == b, tf.add, tf.subtract, tf.multiply, tf.divide, tf.pow, tf.maximum, tf.minimum, tf.equal, tf.greater,
    tf.atan2, tf.math.squared_difference, tf.math.floormod, tf.math.xlogy, lambda a, b: tf.stack([a, b]),
    lambda a, b: tf.concat([a[None], b[None]], 0), lambda a, b: tf.where(True, a, b),
    lambda a, b: tf.matmul(a[None, None], b[None, None]), lambda a, b: tf.tensordot(a, b, 0), lambda a, b: tf.add_n([a, b])])
@pytest.mark.parametrize(("one", "other"), [("float32", "float64"), ("float64", "float32"), ("float32", "float16")])
def test_two_floating_dtypes_do_not_mix(f, one: str, other: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"cast"):
        f(tf.constant(2.0, dtype=one), tf.constant(3.0, dtype=other))


@pytest.mark.parametrize("f", [lambda a, b: a + b, lambda a, b: a * b, tf.add, tf.maximum, tf.equal, tf.pow])
def test_integers_and_floats_do_not_mix(f) -> None:
    for a, b in ((tf.constant(2), tf.constant(3.0)), (tf.constant(2), 3.5), (tf.constant(2), tf.constant(3, tf.int64))):
        with pytest.raises(tf.errors.InvalidArgumentError):
            f(a, b)
    with pytest.raises(TypeError):
        f(tf.constant(2), 3.5)


def test_arrays_and_python_numbers_take_the_tensors_dtype() -> None:
    x = tf.constant([1.0, 2.0])
    for other in (1, 2.5, np.float64(2.5), np.array([1.0, 2.0]), [3.0, 4.0], np.array([1, 2])):
        assert (x + other).dtype == (other + x).dtype == tf.add(x, other).dtype == tf.float32
    v = tf.Variable([1.0, 2.0])
    assert v.assign_add(np.array([1.0, 2.0])).dtype == tf.float32
    assert (tf.constant([1], tf.int64) + np.array([2], np.int32)).dtype == tf.int64


def test_text_is_refused_with_a_reason() -> None:
    for f in (tf.constant, tf.convert_to_tensor):
        with pytest.raises(NotImplementedError, match="string"):
            f("hello")

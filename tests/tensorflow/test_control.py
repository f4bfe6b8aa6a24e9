"""tf.function, loops, TensorArray, devices and the like."""
from __future__ import annotations

import time

import numpy as np
import pytest

import adjoint.tensorflow as tf


def test_a_function_is_traced_once_for_each_signature() -> None:
    seen = []

    @tf.function
    def f(x):
        seen.append(x.shape)
        return x * x + 1.0

    for _ in range(3):
        assert float(f(tf.constant(3.0))) == 10.0
    assert f(tf.constant([1.0, 2.0])).numpy().tolist() == [2.0, 5.0]
    assert len(seen) == 2
    assert f.experimental_get_tracing_count() == 2
    assert f.__name__ == "f"


def test_a_branch_on_a_value_makes_the_function_run_plainly() -> None:
    calls = []

    @tf.function(jit_compile=True, reduce_retracing=True)
    def f(x):
        calls.append(1)
        if x > 0:
            return x
        return -x

    assert [float(f(tf.constant(v))) for v in (2.0, -3.0, 4.0)] == [2.0, 3.0, 4.0]
    assert len(calls) == 4                               # one attempt to trace, then each call
    with tf.GradientTape() as tape:
        x = tf.Variable(-5.0)
        y = f(x)
    assert float(tape.gradient(y, x)) == -1.0


def test_printing_in_a_function(capsys: pytest.CaptureFixture[str]) -> None:
    @tf.function
    def f(x):
        tf.print("x is", x)
        return x + 1.0

    f(tf.constant(1.0))
    f(tf.constant(2.0))
    assert capsys.readouterr().err == "x is 1\nx is 2\n"


def test_a_function_changes_variables_and_sees_them_change() -> None:
    v = tf.Variable(1.0)

    @tf.function
    def add(x):
        v.assign_add(x)
        return v * 2.0

    assert [float(add(tf.constant(1.0))) for _ in range(3)] == [4.0, 6.0, 8.0]
    v.assign(0.0)
    assert float(add(tf.constant(1.0))) == 2.0


def test_a_failed_trace_changes_no_variable() -> None:
    v = tf.Variable(1.0)

    @tf.function
    def step(x):
        v.assign_add(x)
        if x > 1.0:
            v.assign_add(10.0)

    step(tf.constant(1.0))
    assert float(v) == 2.0
    step(tf.constant(2.0))
    assert float(v) == 14.0


def test_methods_share_a_function_but_not_their_state() -> None:
    class Model(tf.Module):
        def __init__(self, w):
            super().__init__()
            self.w = tf.Variable(w)

        @tf.function
        def __call__(self, x):
            return self.w * x

    a, b = Model(2.0), Model(3.0)
    assert [float(m(tf.constant(2.0))) for m in (a, b, a)] == [4.0, 6.0, 4.0]
    with tf.GradientTape() as tape:
        y = a(tf.constant(5.0))
    assert float(tape.gradient(y, a.w)) == 5.0


def test_nested_functions_and_random_numbers() -> None:
    @tf.function
    def inner(x):
        return x + tf.random.normal([])

    @tf.function
    def outer(x):
        return inner(x) * 1.0

    assert float(outer(tf.constant(1.0))) != float(outer(tf.constant(1.0)))


def test_input_signature() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32), tf.TensorSpec([], tf.int32)])
    def f(x, n):
        return x * tf.cast(n, tf.float32)

    assert f([[1.0, 2.0]], 3).numpy().tolist() == [[3.0, 6.0]]
    assert f(x=tf.ones([2, 2]), n=tf.constant(2)).shape == (2, 2)
    for bad in ((tf.ones([2, 3]), 1), (tf.ones([2, 2], tf.float64), 1)):
        with pytest.raises(TypeError, match="input_signature"):
            f(*bad)
    with pytest.raises(TypeError, match="takes 2 arguments"):
        f(tf.ones([2, 2]))


def test_run_functions_eagerly() -> None:
    calls = []
    f = tf.function(lambda x: calls.append(1) or x)
    tf.config.run_functions_eagerly(True)
    assert tf.config.functions_run_eagerly()
    f(tf.constant(1.0))
    f(tf.constant(1.0))
    assert len(calls) == 2


def test_errors_inside_a_function_are_the_programs_own() -> None:
    @tf.function
    def f(x):
        return tf.matmul(x, x)

    with pytest.raises(tf.errors.InvalidArgumentError, match="matmul"):
        f(tf.ones([2, 3]))
    with pytest.raises(ZeroDivisionError):
        tf.function(lambda x: x / (1 // 0))(tf.constant(1.0))


def test_loops_are_differentiable() -> None:
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        _, y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), [tf.constant(0), tf.constant(1.0)])
    assert float(y) == 8.0
    assert float(tape.gradient(y, x)) == 12.0
    with tf.GradientTape() as tape:
        y = tf.cond(x > 1.0, lambda: x * x, lambda: x)
    assert float(tape.gradient(y, x)) == 4.0
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(tf.scan(lambda a, e: a * e, x * tf.constant([1.0, 2.0, 3.0])))
    assert float(tape.gradient(total, x)) == 1 + 2 * 2 * 2 + 6 * 3 * 4


def test_loops_over_dicts_and_wrong_bodies() -> None:
    found = tf.while_loop(lambda d: d["i"] < 3, lambda d: {"i": d["i"] + 1}, {"i": tf.constant(0)})
    assert int(found["i"]) == 3
    with pytest.raises(ValueError, match="structure"):
        tf.while_loop(lambda i: i < 3, lambda i: (i + 1, i), [tf.constant(0)])
    with pytest.raises(TypeError):
        tf.while_loop(3, lambda i: i, [0])
    with pytest.raises(TypeError):
        tf.cond(True, 1, 2)


def test_case_and_switch() -> None:
    assert tf.case([(tf.constant(True), lambda: 1), (tf.constant(True), lambda: 2)]) == 1
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.case([(tf.constant(True), lambda: 1), (tf.constant(True), lambda: 2)], exclusive=True)
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.case([(tf.constant(False), lambda: 1)])
    assert tf.switch_case(tf.constant(7), {0: lambda: "a", 1: lambda: "b"}) == "b"
    assert tf.switch_case(tf.constant(7), {0: lambda: "a"}, default=lambda: "d") == "d"


def test_tensor_arrays() -> None:
    array = tf.TensorArray(tf.float32, size=2, clear_after_read=False)
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        array = array.write(0, x * x).write(1, 2.0 * x)
        total = tf.reduce_sum(array.stack())
    assert float(tape.gradient(total, x)) == 8.0
    assert float(array.read(1)) == float(array.read(1)) == 6.0
    once = tf.TensorArray(tf.int32, size=1).write(0, 7)
    assert int(once.read(0)) == 7
    with pytest.raises(tf.errors.InvalidArgumentError, match="clear_after_read"):
        once.read(0)
    with pytest.raises(ValueError, match="Incompatible shape"):
        tf.TensorArray(tf.float32, size=2).write(0, [1.0]).write(1, [1.0, 2.0])
    assert tf.TensorArray(tf.float32, 2, element_shape=[2]).write(1, [1.0, 2.0]).stack().numpy().tolist() == [[0, 0], [1, 2]]
    parts = tf.TensorArray(tf.int32, 2, infer_shape=False).split([1, 2, 3], [1, 2])
    assert parts.concat().numpy().tolist() == [1, 2, 3]
    assert parts.read(1).numpy().tolist() == [2, 3]
    assert tf.TensorArray(tf.int32, 3).scatter([2, 0, 1], [1, 2, 3]).stack().numpy().tolist() == [2, 3, 1]
    with pytest.raises(TypeError):
        iter(array)


def test_what_surrounds_a_program() -> None:
    with tf.device("/GPU:0"), tf.control_dependencies([]), tf.init_scope():
        y = tf.constant(1.0) + 1.0
    assert float(y) == 2.0
    with pytest.raises(ValueError, match="device_name"), tf.device(3):
        pass
    assert abs(float(tf.timestamp()) - time.time()) < 60
    assert tf.__version__.split(".")[0] == "2"
    assert tf.executing_eagerly()
    assert [d.device_type for d in tf.config.list_physical_devices()] == ["CPU"]
    assert tf.numpy_function(lambda a: a * 2, [tf.constant(2.0)], tf.float32).numpy() == 4.0
    assert tf.py_function(lambda a: a * 2, [tf.constant(2.0)], tf.float32).numpy() == 4.0


def test_stop_gradient_and_unconnected_gradients() -> None:
    x, z = tf.Variable(2.0), tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * tf.stop_gradient(x)
    assert float(tape.gradient(y, x)) == 2.0
    with tf.GradientTape() as tape:
        y = x * x
    none, zero = tape.gradient(y, z), None
    with tf.GradientTape() as tape:
        y = x * x
    zero = tape.gradient(y, z, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert none is None
    assert zero.numpy() == 0.0


def test_integers_on_a_tape_give_none_and_one_message(caplog: pytest.LogCaptureFixture) -> None:
    n = tf.constant(3)
    for _ in range(2):
        with tf.GradientTape() as tape:
            tape.watch(n)
            y = n * n
        assert tape.gradient(y, n) is None
    assert np.unique([r.message for r in caplog.records]).size <= 2


def test_a_second_use_of_a_tape_is_a_runtime_error() -> None:
    x = tf.Variable(1.0)
    with tf.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="non-persistent"):
        tape.gradient(y, x)


def test_shapes_are_known_while_a_function_is_traced() -> None:
    calls = []

    @tf.function
    def f(x):
        calls.append(1)
        n = tf.shape(x)[0]
        total = tf.zeros([n, 2]) + tf.random.normal([tf.shape(x)[0], 2], stddev=0.0)
        for k in tf.range(n * 2 - 1):
            total += tf.cast(k, tf.float32) * tf.ones(tf.stack([n, 2]))
        return tf.reshape(total, [-1, tf.size(x) // n]) * tf.reduce_sum(x)

    for _ in range(3):
        assert f(tf.ones([3, 2])).numpy().tolist() == [[60.0, 60.0]] * 3
    assert len(calls) == 1


def test_a_shape_that_depends_on_values_makes_the_function_run_plainly() -> None:
    @tf.function
    def f(n):
        return tf.zeros([n])

    assert f(tf.constant(2)).shape == (2,)
    assert f(tf.constant(3)).shape == (3,)

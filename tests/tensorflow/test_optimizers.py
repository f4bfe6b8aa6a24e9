"""tf.keras.optimizers beyond the steps that behaviour.txt holds: one's own, older forms, schedules, losses that match."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint.tensorflow as tf
from adjoint._errors import NotSupportedError


def run(optimizer, steps: int = 3) -> list[float]:
    v = tf.Variable([1.0, -2.0])
    for _ in range(steps):
        optimizer.apply_gradients([(tf.constant([0.5, 1.0]), v)])
    return v.numpy().tolist()


def test_an_optimizer_of_ones_own() -> None:
    class Momentum(tf.keras.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, mu=0.9, **kwargs):
            super().__init__(learning_rate=learning_rate, **kwargs)
            self.mu = mu

        def build(self, variables):
            super().build(variables)
            self.moments = [self.add_variable_from_reference(v, name="m") for v in variables]

        def update_step(self, gradient, variable, learning_rate):
            m = self.moments[self._get_variable_index(variable)]
            self.assign(m, self.mu * m - learning_rate * gradient)
            self.assign_add(variable, m)

    ours, theirs = run(Momentum()), run(tf.keras.optimizers.SGD(0.1, momentum=0.9))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    assert isinstance(Momentum(), tf.keras.optimizers.Optimizer)


def test_an_optimizer_in_the_older_form() -> None:
    class Plain(tf.keras.optimizers.Optimizer):
        def __init__(self, learning_rate=0.1, name="Plain", **kwargs):
            super().__init__(name, **kwargs)
            self._set_hyper("learning_rate", learning_rate)

        def _create_slots(self, var_list):
            for v in var_list:
                self.add_slot(v, "n")

        def _resource_apply_dense(self, grad, var, apply_state=None):
            self.get_slot(var, "n").assign_add(tf.ones_like(var))
            var.assign_sub(self._get_hyper("learning_rate", var.dtype) * grad)

    optimizer = Plain()
    np.testing.assert_allclose(run(optimizer), run(tf.keras.optimizers.SGD(0.1)))
    assert optimizer.variables[1].numpy().tolist() == [3.0, 3.0]


def test_the_older_optimizers() -> None:
    np.testing.assert_allclose(run(tf.keras.optimizers.legacy.SGD(learning_rate=0.1, momentum=0.9)),
                               run(tf.optimizers.SGD(0.1, momentum=0.9)))
    np.testing.assert_allclose(run(tf.keras.optimizers.legacy.Adam(lr=0.1)), run(tf.optimizers.Adam(0.1)))
    decayed = run(tf.keras.optimizers.legacy.SGD(lr=0.1, decay=0.5), 2)
    np.testing.assert_allclose(decayed, [1 - 0.5 * (0.1 + 0.1 / 1.5), -2 - (0.1 + 0.1 / 1.5)], rtol=1e-6)


def test_what_keras_has_and_adjoint_has_not_is_said() -> None:
    with pytest.raises(NotSupportedError, match="use_ema"):
        tf.keras.optimizers.Adam(use_ema=True)
    assert tf.keras.optimizers.Adam(use_ema=False, ema_momentum=0.5).name == "adam"
    with pytest.raises(TypeError):
        tf.keras.optimizers.SGD(0.1, 0.9, False, None, None, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)


def test_the_learning_rate_can_be_read_and_set() -> None:
    optimizer = tf.keras.optimizers.SGD(learning_rate=0.1)
    assert optimizer.learning_rate.numpy() == np.float32(0.1)
    optimizer.learning_rate = 0.5
    np.testing.assert_allclose(run(optimizer, 1), [0.75, -2.5])
    optimizer.learning_rate.assign(0.25)
    np.testing.assert_allclose(run(optimizer, 1), [0.875, -2.25])
    tf.keras.backend.set_value(optimizer.learning_rate, 1.0)
    np.testing.assert_allclose(run(optimizer, 1), [0.5, -3.0])


def test_schedules_built_in_and_of_ones_own() -> None:
    class Halving(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __init__(self, start):
            self.start = start

        def __call__(self, step):
            return self.start * 0.5 ** tf.cast(step, tf.float32)

    np.testing.assert_allclose(run(tf.keras.optimizers.SGD(Halving(0.4)), 3), [1 - 0.5 * 0.7, -2.7], rtol=1e-6)
    schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.4, 1, 0.5)
    optimizer = tf.keras.optimizers.SGD(schedule)
    np.testing.assert_allclose(run(optimizer, 3), [1 - 0.5 * 0.7, -2.7], rtol=1e-6)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)
    assert schedule(optimizer.iterations).numpy() == pytest.approx(0.05)
    assert schedule(optimizer.iterations).dtype == tf.float32
    assert optimizer.get_config()["learning_rate"] is schedule
    assert isinstance(schedule, tf.keras.optimizers.schedules.LearningRateSchedule)
    again = tf.keras.optimizers.schedules.deserialize(tf.keras.optimizers.schedules.serialize(schedule))
    assert float(again(2)) == float(schedule(2))


def test_state_can_be_taken_and_put_back() -> None:
    first = tf.keras.optimizers.Adam(0.1)
    v = tf.Variable([1.0, -2.0])
    first.apply_gradients([(tf.constant([0.5, 1.0]), v)])
    state = first.get_weights()
    second = tf.keras.optimizers.get(tf.keras.optimizers.serialize(first))
    w = tf.Variable(v.numpy())
    second.build([w])
    second.set_weights(state)
    for optimizer, x in ((first, v), (second, w)):
        optimizer.apply_gradients([(tf.constant([0.5, 1.0]), x)])
    np.testing.assert_array_equal(v.numpy(), w.numpy())


def test_a_loss_of_ones_own_and_mean_squared_error_names() -> None:
    class Cubed(tf.keras.losses.Loss):
        def __init__(self, factor=1.0, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, y_true, y_pred):
            return self.factor * tf.reduce_mean(tf.abs(y_true - y_pred) ** 3, axis=-1)

    assert float(Cubed(2.0)(tf.zeros([2, 1]), tf.constant([[1.0], [2.0]]))) == 9.0
    assert float(Cubed(reduction=tf.keras.losses.Reduction.SUM)(tf.zeros([2, 1]), tf.constant([[1.0], [2.0]]))) == 9.0
    for f in (tf.keras.losses.mean_squared_error, tf.keras.losses.MSE, tf.keras.losses.mse, tf.losses.MSE):
        assert f([[0.0, 1.0]], [[1.0, 3.0]]).numpy().tolist() == [2.5]


def test_confident_predictions_keep_their_loss() -> None:
    """Where TensorFlow clips probabilities the loss here stays true."""
    loss = tf.keras.losses.sparse_categorical_crossentropy(tf.constant([0]), tf.constant([[40.0, 0.0]]), from_logits=True)
    assert loss.numpy()[0] == pytest.approx(np.exp(-40.0), rel=1e-6)

"""tf.Module, name scopes, variables."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint.tensorflow as tf


class Dense(tf.Module):
    def __init__(self, n_in: int, n_out: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.w = tf.Variable(tf.ones([n_in, n_out]), name="w")
        self.b = tf.Variable(tf.zeros([n_out]), name="b", trainable=False)

    def __call__(self, x):
        return tf.matmul(x, self.w) + self.b


class Stack(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [Dense(2, 3), {"last": Dense(3, 1)}]
        self.again = self.layers[0]
        self.alpha = tf.Variable(1.0, name="alpha")
        self.note = "not a variable"


def test_variables_are_found_wherever_they_are_once_and_in_order() -> None:
    model = Stack()
    assert [v.name for v in model.variables] == ["alpha:0", "b:0", "w:0", "b:0", "w:0"]
    assert [v.name for v in model.trainable_variables] == ["alpha:0", "w:0", "w:0"]
    assert [v.name for v in model.non_trainable_variables] == ["b:0", "b:0"]
    assert model.submodules == (model.layers[0], model.layers[1]["last"])
    assert isinstance(model.variables, tuple)


def test_names() -> None:
    assert Dense(1, 1).name == "dense"
    assert Dense(1, 1, name="first").name == "first"

    class MyHTTPModel2(tf.Module):
        pass

    assert MyHTTPModel2().name == "my_http_model2"
    with pytest.raises(ValueError, match="valid module name"):
        tf.Module(name="not valid")


def test_a_module_without_a_call_of_its_base() -> None:
    class Careless(tf.Module):
        def __init__(self) -> None:
            self.v = tf.Variable(1.0)

    assert Careless().name == "careless"
    assert len(Careless().variables) == 1


def test_name_scopes_prefix_variables() -> None:
    class Scoped(tf.Module):
        @tf.Module.with_name_scope
        def __call__(self):
            if not hasattr(self, "w"):
                self.w = tf.Variable(1.0, name="w")
            return self.w

    assert Scoped()().name == "scoped/w:0"
    with tf.name_scope("a") as scope:
        assert scope == "a/"
        with tf.name_scope("b"):
            assert tf.get_current_name_scope() == "a/b"
            assert tf.Variable(1.0, name="v").name == "a/b/v:0"
    assert tf.Variable(1.0, name="v").name == "v:0"


def test_flatten_by_a_predicate() -> None:
    model = Stack()
    big = list(model._flatten(predicate=lambda leaf: isinstance(leaf, tf.Variable) and leaf.shape.rank == 2))
    assert [v.shape for v in big] == [[2, 3], [3, 1]]


def test_variables_as_keys_and_in_place_operators() -> None:
    a, b = tf.Variable(1.0), tf.Variable(1.0)
    assert len({a.ref(): 1, b.ref(): 2}) == 2
    assert a.ref() == a.ref()
    assert a.ref().deref() is a
    x = y = tf.constant([1.0, 2.0])
    x += 1.0
    assert y.numpy().tolist() == [1.0, 2.0]
    assert x.numpy().tolist() == [2.0, 3.0]


@pytest.mark.parametrize(("change", "error"), [
    (lambda v: v.assign([1.0, 2.0, 3.0]), ValueError), (lambda v: v.assign("text"), (TypeError, ValueError)),
    (lambda v: v.assign(tf.constant([1, 2])), tf.errors.InvalidArgumentError),
    (lambda v: v.assign_add(tf.constant([1.0], tf.float64)), tf.errors.InvalidArgumentError)])
def test_a_failed_assignment_changes_nothing(change, error) -> None:
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(error):
        change(v)
    np.testing.assert_array_equal(v.numpy(), [1.0, 2.0])


def test_the_repr_of_a_variable() -> None:
    v = tf.Variable(1.0)
    assert repr(v) == "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=1.0>"
    assert str(tf.Variable([[1, 2]], name="m")) == (
        "<tf.Variable 'm:0' shape=(1, 2) dtype=int32, numpy=array([[1, 2]], dtype=int32)>")


def test_trainable_is_true_unless_it_is_said_to_be_false() -> None:
    assert tf.Variable(1.0, trainable=None).trainable
    assert not tf.Variable(1.0, trainable=False).trainable

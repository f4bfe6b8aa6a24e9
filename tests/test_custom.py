"""custom_gradient and recompute_grad: orders, modes, variables, errors, memory."""
from __future__ import annotations

import gc

import numpy as np
import pytest

import adjoint as ad
from adjoint._errors import ShapeError


def make_log1pexp():
    @ad.custom_gradient
    def log1pexp(x):
        e = ad.exp(x)

        def grad(upstream):
            return upstream * (1.0 - 1.0 / (1.0 + e))
        return ad.log(1.0 + e), grad
    return log1pexp


def test_first_and_second_order():
    f = make_log1pexp()
    x = ad.constant(np.float64(0.7))
    s = 1 / (1 + np.exp(-0.7))
    np.testing.assert_allclose(float(ad.grad(f)(x)), s)
    np.testing.assert_allclose(float(ad.grad(ad.grad(f))(x)), s * (1 - s))
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)
    np.testing.assert_allclose(float(outer.gradient(g, x)), s * (1 - s))


def test_big_argument_has_no_nan():
    assert float(ad.grad(make_log1pexp())(ad.constant(100.0))) == 1.0


def test_its_own_gradient_not_the_true_one_in_every_mode():
    @ad.custom_gradient
    def f(x, y):
        return x * y, lambda dy: (dy * 10.0, dy * y * 100.0)

    x, y = ad.constant(2.0), ad.constant(3.0)
    got = ad.grad(f, (0, 1))(x, y)
    assert [float(g) for g in got] == [10.0, 300.0]
    assert float(ad.jvp(f, (x, y), (1.0, 1.0))[1]) == 310.0
    assert [float(g) for g in ad.grad(ad.function(f), (0, 1))(x, y)] == [10.0, 300.0]
    batch = ad.constant([1.0, 2.0])
    assert ad.vmap(ad.grad(f, 1), (0, None))(batch, y).tolist() == [300.0, 300.0]
    assert ad.vmap(ad.grad(f, 1), (None, 0))(x, batch).tolist() == [100.0, 200.0]
    assert ad.jacobian(ad.vmap(f, (None, 0)), 1)(x, batch).tolist() == [[100.0, 0.0], [0.0, 400.0 / 2]]
    assert float(ad.grad(lambda b: ad.sum(ad.vmap(ad.function(f), (0, None))(batch, b)))(y)) == 600.0


def test_under_function_with_tape_outside():
    f = ad.function(lambda x: make_log1pexp()(x * 2.0) * 3.0)
    x = ad.constant(np.float64(0.3))
    s = 1 / (1 + np.exp(-0.6))
    for _ in range(3):
        with ad.GradientTape() as outer:
            outer.watch(x)
            with ad.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            g = tape.gradient(y, x)
        np.testing.assert_allclose(float(g), 6 * s)
        np.testing.assert_allclose(float(outer.gradient(g, x)), 12 * s * (1 - s))
    assert f.trace_count == 1


def test_nested_for_second_order():
    @ad.custom_gradient
    def first(x):
        @ad.custom_gradient
        def inner(dy, x):
            return dy * 2.0 * x, lambda ddy: (ddy * 2.0 * x, ddy * dy * 7.0)
        return x * x, lambda dy: inner(dy, x)

    x = ad.constant(3.0)
    assert float(ad.grad(first)(x)) == 6.0
    assert float(ad.grad(ad.grad(first))(x)) == 7.0
    assert float(ad.grad(ad.grad(ad.function(first)))(x)) == 7.0
    assert ad.vmap(ad.grad(ad.grad(first)))(ad.constant([3.0, 4.0])).tolist() == [7.0, 7.0]


def test_variables():
    w = ad.Variable(3.0, name="w")

    @ad.custom_gradient
    def f(x):
        def grad(dy, variables=None):
            assert [v.name for v in variables] == ["w"]
            return dy * w * 2.0, [dy * x * 5.0]
        return w * x, grad

    x = ad.constant(2.0)
    for call in (f, ad.function(f), lambda x: ad.vmap(f)(ad.reshape(x, (1,)))[0]):
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = call(x)
        gx, gw = tape.gradient(y, [x, w])
        assert (float(y), float(gx), float(gw)) == (6.0, 6.0, 10.0)


def test_variable_as_argument():
    v = ad.Variable(2.0)

    @ad.custom_gradient
    def f(x):
        return x * x, lambda dy: dy * 50.0

    with ad.GradientTape() as tape:
        y = f(v)
    assert float(tape.gradient(y, v)) == 50.0


def test_variables_need_a_place_in_grad_fn():
    w = ad.Variable(3.0, name="weights")

    @ad.custom_gradient
    def f(x):
        return w * x, lambda dy: dy * w

    with pytest.raises(TypeError, match=r"weights.*'variables' keyword"):
        f(ad.constant(1.0))


def test_structures_and_keywords():
    @ad.custom_gradient
    def f(pair, scale=1.0):
        a, b = pair

        def grad(da, db):
            return [da * 2.0, db * 3.0]
        return {"a": a * scale, "b": b * scale}, grad

    a, b = ad.constant([1.0, 2.0]), ad.constant(3.0)
    with ad.GradientTape() as tape:
        tape.watch([a, b])
        out = f((a, b), scale=4.0)
    assert out["a"].tolist() == [4.0, 8.0]
    ga, gb = tape.gradient(out, [a, b])
    assert ga.tolist() == [2.0, 2.0]
    assert float(gb) == 3.0


def test_none_is_zero():
    @ad.custom_gradient
    def f(x, y):
        return x * y, lambda dy: (dy, None)

    x = ad.constant(2.0)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x, 3.0) + f(3.0, x)
    assert float(tape.gradient(y, x)) == 1.0


def test_value_looked_at_between():
    f = make_log1pexp()
    x = ad.constant(np.float64(0.7))
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
        float(y)
        z = y * x
    s = 1 / (1 + np.exp(-0.7))
    np.testing.assert_allclose(float(tape.gradient(z, x)), s * 0.7 + np.log1p(np.exp(0.7)))


@pytest.mark.parametrize(("grad_fn", "error", "match"), [
    (lambda dy: (dy, dy), ValueError, "1 gradients, one for each of 'x'"),
    (lambda dy: ad.constant([1.0, 2.0, 3.0]), ShapeError, r"argument 'x'.*\(2,\).*\(3,\)"),
])
def test_errors_name_the_argument(grad_fn, error, match):
    @ad.custom_gradient
    def f(x):
        return x * 2.0, grad_fn

    with pytest.raises(error, match=match):
        ad.grad(lambda x: ad.sum(f(x)))(ad.constant([1.0, 2.0]))


def test_result_must_be_a_pair():
    with pytest.raises(TypeError, match="pair"):
        ad.custom_gradient(lambda x: x)(1.0)
    with pytest.raises(TypeError, match="a function"):
        ad.custom_gradient(3)


# ------------------------------------------------------------------------------------------------------ recompute_grad

def test_recompute_agrees_in_every_mode():
    w = ad.Variable(np.float64(1.3))

    def plain(x):
        return ad.sum(ad.sin(ad.exp(x) * w) * x)

    f = ad.recompute_grad(plain)
    x, v = ad.constant(np.array([0.3, 0.8])), ad.constant(np.array([1.0, -2.0]))
    np.testing.assert_allclose(ad.grad(f)(x).numpy(), ad.grad(plain)(x).numpy())
    np.testing.assert_allclose(ad.hvp(f, x, v).numpy(), ad.hvp(plain, x, v).numpy())
    np.testing.assert_allclose(ad.hessian(f)(x).numpy(), ad.hessian(plain)(x).numpy())
    np.testing.assert_allclose(float(ad.jvp(f, (x,), (v,))[1]), float(ad.jvp(plain, (x,), (v,))[1]))
    got = []
    for g in (f, plain, ad.function(f)):
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = g(x) * 2.0
        got.append([float(y), *tape.gradient(y, x).tolist()])
    np.testing.assert_allclose(got[0], got[1])
    np.testing.assert_allclose(got[2], got[1])
    with ad.GradientTape() as tape:
        y = f(x)
    np.testing.assert_allclose(float(tape.gradient(y, w)),
                               np.sum(np.cos(np.exp(x.numpy()) * 1.3) * np.exp(x.numpy()) * x.numpy()))


def test_recompute_runs_the_function_again_and_forgets():
    runs = []

    @ad.recompute_grad
    def f(x):
        runs.append(1)
        for _ in range(10):
            x = ad.sin(x)
        return x

    x = ad.constant(np.ones(1000))
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    y.numpy()
    assert len(runs) == 1
    kept = {id(t._value) for t, _, _ in tape._segments for t in t.kept.values()}
    assert len(kept) <= 2
    g = tape.gradient(y, x)
    assert len(runs) == 2
    want, value = np.ones(1000), np.ones(1000)
    for _ in range(10):
        want, value = want * np.cos(value), np.sin(value)
    np.testing.assert_allclose(g.numpy(), want)


def test_recompute_draws_the_same_numbers():
    def noisy(x):
        return x * ad.random.normal((4,), dtype="float64") * ad.random.uniform((4,), dtype="float64")

    f, traced = ad.recompute_grad(noisy), ad.function(noisy)
    x = ad.constant(np.ones(4))
    for g in (f, ad.recompute_grad(traced), ad.function(f), lambda x: ad.vmap(f)(ad.reshape(x, (1, 4)))):
        for look in (False, True):
            with ad.GradientTape() as tape:
                tape.watch(x)
                y = g(x)
            if look:
                y.numpy()
            np.testing.assert_allclose(tape.gradient(y, x).numpy(), np.reshape(y.numpy(), 4))
    assert f(x).tolist() != f(x).tolist()


def test_checkpoint_is_the_same():
    assert ad.checkpoint is ad.recompute_grad


def test_nothing_is_left_behind():
    f, r = make_log1pexp(), ad.recompute_grad(lambda x: x * x * x)
    x = ad.constant(2.0)
    traced = ad.function(lambda x: f(x) + r(x))

    def once():
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = f(x) + r(x) + traced(x)
        float(tape.gradient(y, x))

    for _ in range(30):
        once()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(300):
        once()
    gc.collect()
    assert len(gc.get_objects()) - before < 300

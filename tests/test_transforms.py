"""Transforms: values against hand-written derivatives, every nesting, function's rules, jacobians of tapes, memory."""
from __future__ import annotations

import collections
import gc
import threading

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._errors import AxisError, DtypeError, NotSupportedError, ShapeError, TapeError, TraceError


def f64(values):
    return ad.constant(np.array(values, np.float64))


def close(got, want, tol=1e-10):
    np.testing.assert_allclose(np.asarray(got.numpy()), want, rtol=tol, atol=tol)


def rosenbrock(x):
    return ad.sum(100.0 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_hessian(x):
    n = len(x)
    h = np.zeros((n, n))
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
        h[i + 1, i + 1] += 200
    return h


# ----------------------------------------------------------------------------------------------------------------- grad

def test_grad_of_nests_and_argnums():
    def f(params, x, scale=1.0):
        return ad.sum(params["w"] * x + params["b"]) * scale

    params = {"w": f64([1.0, 2.0]), "b": f64(3.0)}
    g = ad.grad(f)(params, f64([4.0, 5.0]), scale=2.0)
    close(g["w"], [8.0, 10.0])
    close(g["b"], 4.0)
    gp, gx = ad.grad(f, (0, 1))(params, f64([4.0, 5.0]))
    close(gx, [1.0, 2.0])
    close(gp["b"], 2.0)
    close(ad.grad(f, -1)(params, f64([4.0, 5.0])), [1.0, 2.0])


def test_value_and_grad_and_aux():
    value, g = ad.value_and_grad(lambda x: x * x)(3.0)
    assert (float(value), float(g)) == (9.0, 6.0)
    (value, aux), g = ad.value_and_grad(lambda x: (x * x, "extra"), has_aux=True)(3.0)
    assert (float(value), aux, float(g)) == (9.0, "extra", 6.0)
    g, aux = ad.grad(lambda x: (x * x, x + 1.0), has_aux=True)(3.0)
    assert (float(g), float(aux)) == (6.0, 4.0)


def test_unconnected_is_zeros():
    g = ad.grad(lambda x, y: x * 1.0, (0, 1))(f64(1.0), f64(2.0))
    assert [float(v) for v in g] == [1.0, 0.0]


def test_closed_over_argument_is_a_constant():
    x = f64(3.0)
    assert float(ad.grad(lambda z: z * x)(x)) == 3.0
    with ad.GradientTape() as tape:
        tape.watch(x)
        g = ad.grad(lambda z: z * z * x)(x)
    assert float(g) == 18.0
    assert float(tape.gradient(g, x)) == 12.0


def test_variables_are_read_not_differentiated():
    w = ad.Variable(2.0)
    assert float(ad.grad(lambda x: x * x * w)(3.0)) == 12.0
    with ad.GradientTape() as tape:
        g = ad.grad(lambda x: x * x * w)(3.0)
    assert float(tape.gradient(g, w)) == 6.0
    assert float(ad.grad(lambda v: v * v)(w)) == 4.0


@pytest.mark.parametrize(("call", "error", "match"), [
    (lambda: ad.grad(lambda x: x)(3), DtypeError, r"3\.0 instead of 3"),
    (lambda: ad.grad(lambda x: x)(ad.constant([1.0, 2.0])), ShapeError, "jacobian"),
    (lambda: ad.grad(lambda x: 3.0)(1.0), TypeError, "tensor"),
    (lambda: ad.grad(lambda x: x, 1)(1.0), ValueError, "argnums"),
    (lambda: ad.grad(3), TypeError, "a function"),
    (lambda: ad.grad(lambda x: x, has_aux=True)(1.0), TypeError, "pair"),
    (lambda: ad.jvp(lambda x: x, (1.0,), (1.0, 2.0)), ShapeError, "one for each"),
    (lambda: ad.jvp(lambda x: x, (1.0,), ([1.0, 2.0],)), ShapeError, "tangent"),
    (lambda: ad.jacobian(lambda x: x, mode="sideways"), ValueError, "mode"),
    (lambda: ad.vjp(lambda x: (x, x), 1.0)[1]((1.0,)), ShapeError, "structure"),
    (lambda: ad.vjp(lambda x: x, 1.0)[1]([1.0, 2.0]), ShapeError, "vjp: each cotangent"),
    (lambda: ad.vmap(lambda x: x)(1.0), ShapeError, "in_axes=None"),
    (lambda: ad.vmap(lambda x: x, 2)(ad.constant([1.0])), AxisError, "in_axes"),
    (lambda: ad.vmap(lambda x, y: x)(ad.constant([1.0]), ad.constant([1.0, 2.0])), ShapeError, "1 and 2"),
    (lambda: ad.vmap(lambda x: x, (0, 0))(ad.constant([1.0])), ValueError, "in_axes"),
    (lambda: ad.vmap(lambda x: x, None)(ad.constant([1.0])), ValueError, "at least one"),
    (lambda: ad.vmap(lambda x: x, out_axes=None)(ad.constant([1.0])), ValueError, "out_axes"),
    (lambda: ad.vmap(lambda x: x if x > 0 else -x)(ad.constant([1.0])), TraceError, "Python if"),
    (lambda: ad.function(3), TypeError, "a function"),
])
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()


# ------------------------------------------------------------------------------------------ jacobian, hessian, products

@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_jacobian(mode):
    x = f64([1.0, 2.0, 3.0])
    a = f64(np.arange(6.0).reshape(2, 3))
    close(ad.jacobian(lambda x: ad.matmul(a, x) ** 2, mode=mode)(x), 2 * (a.numpy() @ x.numpy())[:, None] * a.numpy())
    close(ad.jacobian(lambda x: ad.concat([x, x * x, x]), mode=mode)(x),
          np.concatenate([np.eye(3), 2 * np.diag(x.numpy()), np.eye(3)]))
    close(ad.jacobian(lambda x: ad.sum(x * x), mode=mode)(x), 2 * x.numpy())
    got = ad.jacobian(lambda x: {"a": x * x, "b": x[0]}, mode=mode)(x)
    close(got["b"], [1.0, 0.0, 0.0])
    gx, gy = ad.jacobian(lambda x, y: x * y, (0, 1), mode=mode)(x, f64(2.0))
    close(gx, 2 * np.eye(3))
    close(gy, x.numpy())
    close(ad.jacobian(lambda x, y: x * 1.0, 1, mode=mode)(x, f64(2.0)), np.zeros(3))
    m = f64(np.arange(4.0).reshape(2, 2))
    assert ad.jacobian(lambda m: ad.matmul(m, m), mode=mode)(m).shape == (2, 2, 2, 2)


def test_rosenbrock_hessian_every_way():
    v = np.array([-1.2, 1.0, 0.7, 2.0])
    x, want = f64(v), rosenbrock_hessian(v)
    close(ad.hessian(rosenbrock)(x), want)
    close(ad.jacobian(ad.jacobian(rosenbrock))(x), want)
    close(ad.jacobian(ad.grad(rosenbrock), mode="reverse")(x), want)
    close(ad.jacobian(ad.jacobian(rosenbrock, mode="forward"), mode="forward")(x), want)
    close(ad.jacobian(ad.jacobian(rosenbrock, mode="forward"), mode="reverse")(x), want)
    close(ad.vmap(lambda t: ad.hvp(rosenbrock, x, t))(f64(np.eye(4))), want)
    close(ad.vmap(lambda t: ad.jvp(lambda y: ad.jvp(rosenbrock, (y,), (t,))[1], (x,), (t,))[1])(f64(np.eye(4))),
          np.diag(want))
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = rosenbrock(x)
        g = inner.gradient(y, x)
    close(outer.jacobian(g, x), want)
    close(ad.hessian(ad.function(rosenbrock))(x), want)
    close(ad.function(ad.hessian(rosenbrock))(x), want)
    close(ad.hessian(ad.checkpoint(rosenbrock))(x), want)
    pair = f64(np.stack([v, v + 1]))
    close(ad.vmap(ad.hessian(rosenbrock))(pair), np.stack([want, rosenbrock_hessian(v + 1)]))


def test_hvp_of_nests():
    def f(p):
        return ad.sum(p["a"] * p["a"] * p["b"])

    x = {"a": f64([1.0, 2.0]), "b": f64([3.0, 4.0])}
    v = {"a": f64([1.0, 0.0]), "b": f64([0.0, 1.0])}
    got = ad.hvp(f, (x,), (v,))[0]
    close(got["a"], [6.0, 4.0])
    close(got["b"], [2.0, 0.0])


def test_vjp_pulls_back_as_often_as_asked():
    y, pull = ad.vjp(lambda x, w: (x * w, ad.sum(x)), f64([1.0, 2.0]), f64(3.0))
    for _ in range(2):
        gx, gw = pull((f64([1.0, 1.0]), f64(10.0)))
        close(gx, [13.0, 13.0])
        close(gw, 3.0)
    close(y[1], 3.0)


def test_linearize():
    y, along = ad.linearize(lambda x: ad.sin(x) * x, f64(2.0))
    close(y, np.sin(2.0) * 2)
    for v in (1.0, -3.0):
        close(along(v), v * (np.cos(2.0) * 2 + np.sin(2.0)))


def test_jvp_with_aux():
    y, t, aux = ad.jvp(lambda x: (x * x, "note"), (2.0,), (3.0,), has_aux=True)
    assert (float(y), float(t), aux) == (4.0, 12.0, "note")


def test_every_nesting_of_three():
    transforms = {
        "grad": lambda f: ad.grad(f),
        "forward": lambda f: lambda x: ad.jvp(f, (x,), (f64(1.0),))[1],
        "tape": _by_tape,
        "accumulator": _by_accumulator,
        "jacobian": lambda f: ad.jacobian(f),
        "vjp": lambda f: lambda x: ad.vjp(f, x)[1](f64(1.0))[0],
        "function": lambda f: ad.function(ad.grad(f)),
        "vmap": lambda f: lambda x: ad.vmap(ad.grad(f))(ad.reshape(x, (1,)))[0],
        "checkpoint": lambda f: ad.grad(ad.checkpoint(f)),
    }
    want = np.exp(2 * 0.3) * 8
    for a, first in transforms.items():
        for b, second in transforms.items():
            for c, third in transforms.items():
                got = first(second(third(lambda x: ad.exp(x * 2.0))))(f64(0.3))
                np.testing.assert_allclose(float(got), want, rtol=1e-12, err_msg=f"{a} of {b} of {c}")


def _by_tape(f):
    def derivative(x):
        x = x * 1.0
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return tape.gradient(y, x)
    return derivative


def _by_accumulator(f):
    def derivative(x):
        x = x * 1.0
        with ad.ForwardAccumulator(x, f64(1.0)) as acc:
            y = f(x)
        return acc.jvp(y)
    return derivative


def test_looking_at_values_inside_changes_nothing():
    def f(x):
        y = x * x
        if float(y) > 1:
            z = y * x
            assert float(z) > 1
            return z * x + y
        return y

    x = f64(2.0)                                         # f(x) = x^4 + x^2
    assert float(ad.grad(f)(x)) == 36.0
    assert float(ad.grad(ad.grad(f))(x)) == 50.0
    assert float(ad.hvp(f, x, f64(1.0))) == 50.0
    assert float(ad.hessian(f)(x)) == 50.0
    assert float(ad.jvp(f, (x,), (f64(1.0),))[1]) == 36.0
    for mode in ("forward", "reverse", "auto"):
        assert float(ad.jacobian(f, mode=mode)(x)) == 36.0
    w = x * 1.0
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(w)
        a = w * w
        float(a)
        b = a * w
        float(b)
        y = b * w + a
    assert float(tape.gradient(y, w)) == 36.0
    assert float(tape.gradient(y, a)) == 5.0
    assert [float(g) for g in tape.gradient(y, [a, b, w])] == [5.0, 2.0, 36.0]


# ----------------------------------------------------------------------------------------------------------------- vmap

def rows(f, *xs):
    return np.stack([f(*[ad.constant(x[k]) for x in xs]).numpy() for k in range(len(xs[0]))])


@pytest.mark.parametrize("f", [
    lambda x: x * x + 1.0, lambda x: ad.sum(x), lambda x: ad.sum(x, 0) * x, lambda x: ad.sum(x, -1, keepdims=True) * x,
    lambda x: ad.reshape(x, (-1,)), lambda x: ad.transpose(x), lambda x: ad.broadcast_to(x, (2, 3, 4)), lambda x: x[1],
    lambda x: x[:, ::2], lambda x: x[..., None, 0], lambda x: ad.matmul(x, ad.transpose(x)), lambda x: ad.matmul(x,
                                                                                                                 x[0]),
    lambda x: ad.concat([x, x[:1] * 2.0]), lambda x: ad.stack([x, x], 1), lambda x: ad.cumsum(x,
                                                                                              1), lambda x: ad.max(x,
                                                                                                                   0),
    lambda x: ad.cast(x, ad.float32), lambda x: ad.where(x > 0.0, x, 0.0), lambda x: ad.prod(x,
                                                                                             1), lambda x: ad.flip(x),
    lambda x: ad.split(x, 2, 1)[1], lambda x: ad.unstack(x)[2], lambda x: ad.maximum(x, ad.constant(np.float64(0.1))),
    lambda x: x[ad.constant([0, 2])], lambda x: ad.pad(x, ((1, 0), (0, 2))), lambda x: ad.roll(x, 1, 0),
    lambda x: ad.einsum("ij,kj->ik", x, x), lambda x: ad.mean(x), lambda x: ad.max(x), lambda x: ad.tril(x),
    lambda x: ad.sum(x * ad.constant(np.arange(4.0))), lambda x: ad.constant(np.arange(3.0)),
    lambda x: ad.repeat(x, 2, axis=1),
])
def test_vmap_is_the_loop(f):
    x = np.random.default_rng(0).normal(size=(5, 3, 4))
    close(ad.vmap(f)(ad.constant(x)), rows(f, x), 1e-6)
    want = np.stack([rows(f, x), rows(f, x * 2)])
    close(ad.vmap(ad.vmap(f))(ad.constant(np.stack([x, x * 2]))), want, 1e-6)
    if f(ad.constant(x[0])).dtype is ad.float64:
        def loss(x):
            y = f(x)
            return ad.sum(y * y * 0.5)
        close(ad.vmap(ad.grad(loss))(ad.constant(x)), rows(ad.grad(loss), x), 1e-10)
        close(ad.grad(lambda x: ad.sum(ad.vmap(loss)(x)))(ad.constant(x)), rows(ad.grad(loss), x), 1e-10)


def test_vmap_axes_and_nests():
    x, y = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    got = ad.vmap(lambda p, s: {"r": p["a"] * s, "n": p["b"]}, in_axes=({"a": 1, "b": None}, 0), out_axes={"r": 1,
                                                                                                           "n": 0})(
        {"a": f64(x), "b": f64(7.0)}, f64(y))
    close(got["r"], x * y)
    close(got["n"], [7.0, 7.0, 7.0])
    close(ad.vmap(lambda a, b: a * b, in_axes=(None, 0))(f64(y), f64(y)), np.outer(y, y))
    close(ad.vmap(lambda a, k=None: a * k)(f64(y), k=f64(y)), y * y)
    close(ad.vmap(lambda a: a, -1, -1)(f64(x)), x)
    assert ad.vmap(lambda a: {"none": None, "number": 3.0})(f64(y))["none"] is None


def test_vmap_ranks_align_as_one_by_one():
    a, b = np.arange(3.0), np.arange(12.0).reshape(3, 4)
    close(ad.vmap(lambda s, v: s * v)(f64(a), f64(b)), a[:, None] * b)
    close(ad.vmap(lambda v, s: v + s, (0, None))(f64(a), f64([1.0, 2.0])), a[:, None] + np.array([1.0, 2.0]))


def test_vmap_closes_over_pending_tensors_and_variables():
    x = f64([1.0, 2.0]) * 3.0
    w = ad.Variable(np.float64(2.0))
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = ad.vmap(lambda z: ad.sum(z * x) * w)(f64([1.0, 10.0]))
    gx, gw = tape.gradient(y, [x, w])
    close(y, [18.0, 180.0])
    close(gx, [22.0, 22.0])
    close(gw, 99.0)


def test_vmap_refuses_assignment_and_leaves_the_variable():
    w = ad.Variable(1.0)

    def f(x):
        w.assign(x)
        return x
    with pytest.raises(NotSupportedError, match="return the new value"):
        ad.vmap(f)(ad.constant([1.0, 2.0]))
    assert float(w) == 1.0


def test_per_example_gradients():
    w = f64(np.arange(6.0).reshape(2, 3))

    def loss(w, x):
        return ad.sum(ad.tanh(ad.matmul(w, x)))

    xs = np.random.default_rng(1).normal(size=(4, 3))
    got = ad.vmap(ad.grad(loss), (None, 0))(w, f64(xs))
    want = np.stack([ad.grad(loss)(w, f64(x)).numpy() for x in xs])
    close(got, want)


def test_traced_value_that_left_its_function():
    kept = []
    ad.vmap(lambda x: kept.append(x) or x)(ad.constant([1.0]))
    with pytest.raises(TraceError):
        kept[0] + 1.0


# ------------------------------------------------------------------------------------------------------------- function

def test_function_traces_once_a_signature():
    runs = []

    @ad.function
    def f(x, k=1, *, flag=False):
        runs.append(1)
        return x * k

    assert f(ad.constant(2.0)).numpy() == 2.0
    assert f(ad.constant(3.0)).numpy() == 3.0
    assert len(runs) == 1
    f(ad.constant([1.0, 2.0]))
    f(np.float32(1.0), k=1)
    f(ad.constant(1.0), 1)
    assert len(runs) == 3
    assert f(ad.constant(1.0), 3, flag=True).numpy() == 3.0
    f(ad.constant(np.float64(1.0)))
    assert f.trace_count == len(runs) == len(f.traces) == 5


def test_function_shows_its_traces():
    f = ad.function(lambda x, n: x * n)
    f(ad.constant([1.0, 2.0]), 2)
    assert repr(f.traces[0]) == "<trace of (float32[2], 2): 2 operations, called 1 times>"
    assert "1 traces" in repr(f)


def test_function_returns_nests_and_constants():
    Pair = collections.namedtuple("Pair", "a b")
    f = ad.function(lambda x: {"p": Pair(x, x * 2.0), "n": 3, "none": None, "l": [x]})
    for _ in range(2):
        got = f(ad.constant(2.0))
        assert got["p"].b.numpy() == 4.0
        assert got["n"] == 3
        assert got["none"] is None
        assert float(got["l"][0]) == 2.0
    assert ad.function(lambda x: None)(ad.constant(1.0)) is None


def test_function_reads_and_assigns_variables_each_time():
    v, c = ad.Variable(1.0), ad.Variable(10.0)

    @ad.function
    def step(x):
        v.assign_add(x)
        v.assign(v * 2.0)
        return v + c

    assert [float(step(ad.constant(1.0))) for _ in range(3)] == [14.0, 20.0, 32.0]
    assert float(v) == 22.0
    c.assign(0.0)
    assert float(step(ad.constant(0.0))) == 44.0
    v.assign(1.0)
    x = ad.constant(1.0) * 2.0
    assert float(step(x) + step(x)) == 6.0 + 16.0
    assert float(v) == 16.0


def test_variable_is_as_before_when_tracing_fails():
    v = ad.Variable(1.0)

    @ad.function
    def bad(x):
        v.assign(x)
        return x if x > 0 else -x

    with pytest.raises(TraceError, match=r"in bad \(.*test_transforms.py:\d+\)"):
        bad(ad.constant(2.0))
    assert float(v) == 1.0
    assert bad.trace_count == 0


def test_pending_value_of_a_variable_is_seen_and_kept():
    v = ad.Variable(1.0)
    v.assign(ad.constant(2.0) * 3.0)

    @ad.function
    def f(x):
        v.assign_add(x)
        return v * 1.0

    assert float(f(ad.constant(1.0))) == 7.0
    assert float(v) == 7.0


def test_function_on_a_tape():
    w = ad.Variable(3.0)
    f = ad.function(lambda x: x * x * w)
    x = ad.constant(2.0)
    for _ in range(3):
        with ad.GradientTape() as outer:
            outer.watch(x)
            with ad.GradientTape() as tape:
                tape.watch(x)
                y = f(f(x))
            g, gw = tape.gradient(y, [x, w])
        assert float(y) == 432.0
        assert float(g) == 864.0
        assert float(gw) == 432.0
        assert float(outer.gradient(g, x)) == 1296.0
    assert f.trace_count == 1


def test_tape_inside_function_trains():
    w = ad.Variable(5.0)

    @ad.function
    def step(x):
        with ad.GradientTape() as tape:
            loss = (w * x - 6.0) ** 2
        w.assign_sub(tape.gradient(loss, w) * 0.1)
        return loss

    losses = [float(step(ad.constant(2.0))) for _ in range(30)]
    assert losses[-1] < 1e-6
    assert abs(float(w) - 3.0) < 1e-3
    assert step.trace_count == 1


def test_captured_tensors_are_read_when_called():
    c = ad.constant(2.0) * 3.0
    f = ad.function(lambda x: x * c)
    assert float(f(ad.constant(2.0))) == 12.0
    assert float(f(ad.constant(3.0))) == 18.0
    with ad.GradientTape() as tape:
        tape.watch(c)
        y = f(ad.constant(3.0))
    assert float(tape.gradient(y, c)) == 3.0


def test_methods_have_traces_of_their_own():
    class Model:
        def __init__(self, k):
            self.w = ad.Variable(k)

        @ad.function
        def __call__(self, x):
            return self.w * x

        @ad.function
        def twice(self, x):
            return self(self(x))

    a, b = Model(2.0), Model(3.0)
    assert float(a.twice(ad.constant(1.0))) == 4.0
    assert float(b.twice(ad.constant(1.0))) == 9.0
    assert float(a(ad.constant(1.0))) == 2.0
    assert a.twice.trace_count == 1


def test_recursion_and_nested_functions():
    @ad.function
    def power(x, n):
        return x if n == 0 else x * power(x, n - 1)

    assert float(power(ad.constant(2.0), 4)) == 32.0
    assert float(ad.grad(lambda x: power(x, 4))(2.0)) == 80.0


def test_input_signature():
    class Spec:
        shape, dtype = (None,), ad.float32

    runs = []

    @ad.function(input_signature=[Spec()])
    def f(x):
        runs.append(1)
        return ad.sum(x)

    assert float(f([1.0, 2.0])) == 3.0
    with pytest.raises(ShapeError, match="input_signature"):
        f(ad.constant(1.0))
    with pytest.raises(DtypeError, match="input_signature"):
        f(ad.constant(np.ones(2)))
    with pytest.raises(TypeError, match="input_signature"):
        f(1.0, 2.0)


def test_traces_are_bounded(caplog):
    f = ad.function(lambda x, k: x * k)
    for k in range(300):
        f(ad.constant(1.0), k)
    assert len(f.traces) <= 256
    assert sum("traced" in r.message for r in caplog.records) == 1


def test_function_from_several_threads():
    f = ad.function(lambda x: ad.sum(x * x))
    found = []

    def work(k):
        found.append(all(float(f(ad.constant([float(k), 1.0]))) == k * k + 1 for _ in range(20)))
    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert found == [True] * 4


def test_random_numbers_are_drawn_anew():
    f = ad.function(lambda x: x + ad.random.normal((3,)))
    a, b = f(ad.constant(0.0)).tolist(), f(ad.constant(0.0)).tolist()
    assert a != b
    with ad.GradientTape():
        c, d = f(ad.constant(0.0)), f(ad.constant(0.0))
    assert c.tolist() != d.tolist()


def test_transforms_in_several_threads():
    f = ad.function(lambda x: ad.sum(ad.sin(x) * x))
    g = ad.function(lambda x: ad.sum(double(x)))

    @ad.custom_gradient
    def double(x):
        return ad.exp(x), lambda dy: dy * ad.exp(x) * 2.0

    wrong = []

    def work(k):
        for i in range(15):
            v = np.arange(1.0 + (k + i) % 3) + k * 0.01
            x = ad.constant(v)
            pairs = [(ad.grad(f)(x), np.cos(v) * v + np.sin(v)), (ad.grad(g)(x), 2 * np.exp(v)),
                     (ad.hessian(lambda x: ad.sum(x * x * x))(x), np.diag(6 * v)), (ad.vmap(ad.grad(lambda z: z * z))(x), 2 * v)]
            wrong.extend([k for got, want in pairs if not np.allclose(got.numpy(), want)])
        wrong.append(None)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert wrong == [None] * 4


def test_result_of_function_is_its_own():
    x = np.ones(3)
    y = ad.function(lambda x: x)(x)
    x[0] = 5.0
    assert y.tolist() == [1.0, 1.0, 1.0]


# ----------------------------------------------------------------------------------------------------- tape's jacobians

def test_tape_jacobian_nests_and_variables():
    w, x = ad.Variable(np.arange(6.0).reshape(2, 3)), f64([1.0, 2.0, 3.0])
    with ad.GradientTape() as tape:
        y = ad.matmul(w, x) * 2.0
    got = tape.jacobian(y, {"w": w})["w"]
    close(got, 2 * np.einsum("ij,k->ijk", np.eye(2), x.numpy()))
    with pytest.raises(TapeError, match="non-persistent"):
        tape.jacobian(y, w)


def test_tape_jacobian_unconnected():
    x, z = f64([1.0, 2.0]), f64([[1.0]])
    with ad.GradientTape(persistent=True) as tape:
        tape.watch([x, z])
        y = x * 2.0
    assert tape.jacobian(y, z) is None
    close(tape.jacobian(y, z, "zero"), np.zeros((2, 1, 1)))
    close(tape.jacobian(y, x), 2 * np.eye(2))
    with pytest.raises(TypeError, match="target"):
        tape.jacobian([y], x)


def test_tape_jacobian_forward_where_the_source_is_small():
    s = f64(2.0)
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(s)
        m = s * s
        y = m * f64(np.arange(50.0)) + s
    close(tape.jacobian(y, s), 4 * np.arange(50.0) + 1)
    close(tape.jacobian(y, m), np.arange(50.0))
    y.numpy()
    close(tape.jacobian(y, s), 4 * np.arange(50.0) + 1)


def test_tape_jacobian_inside_an_outer_tape():
    x = f64([1.0, 2.0])
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = x * x * x
        j = inner.jacobian(y, x)
    close(outer.jacobian(j, x), 6 * np.einsum("i,ij,ik->ijk", x.numpy(), np.eye(2), np.eye(2)))


def test_batch_jacobian():
    x = np.random.default_rng(2).normal(size=(4, 3))
    a = np.random.default_rng(3).normal(size=(3, 2))
    t = f64(x)
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(t)
        y = ad.matmul(t, f64(a)) ** 2
        z = ad.constant(np.ones((4, 2))) * 1.0
    close(tape.batch_jacobian(y, t), np.stack([2 * (r @ a)[:, None] * a.T for r in x]))
    assert tape.batch_jacobian(z, t) is None
    close(tape.batch_jacobian(z, t, "zero"), np.zeros((4, 2, 3)))
    with pytest.raises(ShapeError, match="batch"):
        tape.batch_jacobian(ad.sum(y), t)


# ------------------------------------------------------------------------------------------------------- length, memory

def test_a_long_chain():
    def f(x):
        y = x
        for _ in range(20_000):
            y = y * 0.9999
        return y

    x = f64(1.0)
    want = 0.9999 ** 20_000
    np.testing.assert_allclose(float(ad.grad(f)(x)), want)
    np.testing.assert_allclose(float(ad.jvp(f, (x,), (f64(1.0),))[1]), want)
    np.testing.assert_allclose(float(ad.function(f)(x)), want)


def test_nothing_is_left_behind():
    w = ad.Variable([1.0, 2.0])
    x = ad.constant([3.0, 4.0])
    f = ad.function(lambda x: ad.sum(x * x * w))

    def once():
        ad.grad(f)(x).numpy()
        ad.vmap(lambda x: x * 2.0)(x).numpy()
        ad.hessian(lambda x: ad.sum(x * x * x))(x).numpy()
        f(x).numpy()
        w.assign(w * 1.0)

    for _ in range(30):
        once()
    gc.collect()
    before = len(gc.get_objects()), _graph._COUNT[0]
    for _ in range(400):
        once()
    gc.collect()
    assert len(gc.get_objects()) - before[0] < 400
    assert _graph._COUNT[0] - before[1] < 400


def test_many_calls_without_looking_stay_bounded():
    f = ad.function(lambda x: x * 1.0001 + 0.001)
    x = ad.constant(1.0)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = x
        for _ in range(2000):
            y = f(y)
    np.testing.assert_allclose(float(tape.gradient(y, x)), 1.0001 ** 2000, rtol=1e-4)

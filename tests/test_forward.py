"""ForwardAccumulator: values, nesting in every order, settling inside, errors."""
from __future__ import annotations

import gc

import numpy as np
import pytest

import adjoint as ad
from adjoint._errors import DtypeError, ShapeError, TapeError


def close(got, want, tol=1e-6):
    np.testing.assert_allclose(got.numpy(), want, rtol=tol, atol=tol)


def f64(*values):
    return ad.constant(np.array(values, np.float64))


def test_product_of_jacobian_and_vector():
    x, v = f64(1.0, 2.0, 3.0), f64(0.5, -1.0, 2.0)
    with ad.ForwardAccumulator(x, v) as acc:
        y = ad.sin(x) * x
        z = ad.sum(y * y)
    dy = (np.cos(x.numpy()) * x.numpy() + np.sin(x.numpy())) * v.numpy()
    close(acc.jvp(y), dy)
    close(acc.jvp(z), np.sum(2 * y.numpy() * dy))


def test_variables_and_nests():
    w, b = ad.Variable(2.0), ad.Variable(1.0)
    with ad.ForwardAccumulator([w, b], [ad.constant(1.0), ad.constant(10.0)]) as acc:
        y = {"p": w * w, "q": w * b}
    got = acc.jvp(y)
    assert float(got["p"]) == 4.0
    assert float(got["q"]) == 21.0


def test_unconnected():
    x = ad.constant(2.0)
    with ad.ForwardAccumulator(x, ad.constant(1.0)) as acc:
        y, z = x * x, ad.constant(3.0) * 2.0
    assert acc.jvp(z) is None
    assert float(acc.jvp(z, "zero")) == 0.0
    assert float(acc.jvp(x)) == 1.0
    with pytest.raises(ValueError, match="unconnected_gradients"):
        acc.jvp(y, "other")


def test_forward_over_reverse_is_a_hessian_vector_product():
    x, v = f64(1.0, 2.0), f64(3.0, -1.0)
    with ad.ForwardAccumulator(x, v) as acc:
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = ad.sum(x * x * x) + x[0] * x[1]
        g = tape.gradient(y, x)
    h = np.array([[6.0, 1.0], [1.0, 12.0]])
    close(acc.jvp(g), h @ v.numpy())
    close(acc.jvp(y), g.numpy() @ v.numpy())


@pytest.mark.parametrize("inside", [True, False])
def test_reverse_over_forward(inside):
    x, v = f64(1.0, 2.0), f64(3.0, -1.0)
    with ad.GradientTape() as tape:
        tape.watch(x)
        with ad.ForwardAccumulator(x, v) as acc:
            y = ad.sum(x * x * x)
        if inside:
            t = acc.jvp(y)
    if not inside:
        t = acc.jvp(y)
    close(tape.gradient(t, x), 6 * x.numpy() * v.numpy())


@pytest.mark.parametrize("inside", [True, False])
def test_forward_over_forward(inside):
    x = f64(2.0)
    one = f64(1.0)
    with ad.ForwardAccumulator(x, one) as outer:
        with ad.ForwardAccumulator(x, one) as inner:
            y = x * x * x
        t = inner.jvp(y) if inside else None
    t = inner.jvp(y) if t is None else t
    close(t, [12.0])
    close(outer.jvp(y), [12.0])
    close(outer.jvp(t), [12.0])


def test_third_order_forward():
    x, one = f64(2.0), f64(1.0)
    with ad.ForwardAccumulator(x, one) as a:
        with ad.ForwardAccumulator(x, one) as b:
            with ad.ForwardAccumulator(x, one) as c:
                y = ad.exp(x) * x
            d1 = c.jvp(y)
        d2 = b.jvp(d1)
    close(a.jvp(d2), np.exp(2.0) * (2.0 + 3.0))


def test_asked_while_active_does_not_differentiate_its_own_work():
    x = ad.constant(3.0)
    with ad.ForwardAccumulator(x, ad.constant(1.0)) as acc:
        y = x * x
        t = acc.jvp(y)
        z = y * x
    assert float(t) == 6.0
    assert float(acc.jvp(z)) == 27.0
    assert acc.jvp(t) is None
    with ad.ForwardAccumulator(x, ad.constant(1.0)) as acc:
        for _ in range(3):
            y = x * x * y
            float(y)
            acc.jvp(y)
        spans = [s for _, spans in acc._tape._spans() for s in spans]
        assert len(set(spans)) == len(spans)
    assert float(acc.jvp(y)) == 6 * 3.0 ** 5 * 9.0


def test_survives_looking_at_values():
    x = ad.constant(2.0)
    with ad.ForwardAccumulator(x, ad.constant(1.0)) as acc:
        y = ad.exp(x) * x
        assert float(y) > 0
        z = ad.sin(y) * x
        float(z)
        w = z * y
    value, e = 2.0, np.exp(2.0)
    y_, dy = e * value, e * value + e
    z_, dz = np.sin(y_) * value, np.cos(y_) * dy * value + np.sin(y_)
    np.testing.assert_allclose(float(acc.jvp(w)), dz * y_ + z_ * dy, rtol=1e-5)


def test_complex_values_are_not_conjugated():
    z = ad.constant(np.array([1.0 + 2.0j, -0.5 + 0.3j]))
    v = ad.constant(np.array([0.3 - 1.0j, 2.0 + 1.0j]))
    with ad.ForwardAccumulator(z, v) as acc:
        y = z * z * (1.0 + 2.0j)
        r = ad.real(z * z)
        m = ad.reshape(ad.matmul(ad.reshape(z, (1, 2)), ad.reshape(z, (2, 1))), ())
    close(acc.jvp(y), 2 * z.numpy() * v.numpy() * (1 + 2j))
    close(acc.jvp(r), np.real(2 * z.numpy() * v.numpy()))
    close(acc.jvp(m), np.sum(2 * z.numpy() * v.numpy()))


@pytest.mark.parametrize("f", [
    lambda x: ad.prod(x), lambda x: ad.cumprod(x), lambda x: ad.max(x * x), lambda x: ad.concat([x, x * x]),
    lambda x: ad.stack([x, ad.sin(x)]), lambda x: x[1:] * x[:-1], lambda x: ad.where(x > 1.5, x * x, ad.exp(x)),
    lambda x: ad.split(x * x, 3)[1], lambda x: ad.logsumexp(x) if hasattr(ad, "logsumexp") else ad.sum(x),
    lambda x: ad.sum(ad.matmul(ad.reshape(x, (3, 1)), ad.reshape(x, (1, 3))), 1), lambda x: ad.cast(x, ad.float32),
    lambda x: ad.broadcast_to(x, (2, 3)) * x, lambda x: x / ad.sum(x),
])
def test_forward_agrees_with_differences(f):
    x, v = f64(1.0, 2.0, 4.0), f64(0.5, -1.0, 0.25)
    with ad.ForwardAccumulator(x, v) as acc:
        y = f(x)
    t = acc.jvp(y)
    assert t.shape == y.shape
    assert t.dtype == y.dtype
    if y.dtype is ad.float32:
        close(t, v.numpy())
        return
    h = 1e-6
    up, down = f(ad.constant(x.numpy() + h * v.numpy())), f(ad.constant(x.numpy() - h * v.numpy()))
    close(t, (up.numpy() - down.numpy()) / (2 * h), 1e-6)


def test_errors():
    x = ad.constant([1.0, 2.0])
    with pytest.raises(DtypeError, match=r"3\.0 instead of 3"):
        ad.ForwardAccumulator(ad.constant(3), ad.constant(1))
    with pytest.raises(ShapeError, match="like its primal"):
        ad.ForwardAccumulator(x, ad.constant(1.0))
    with pytest.raises(ShapeError, match="one for each"):
        ad.ForwardAccumulator([x, x], [x])
    with pytest.raises(TypeError, match="constant"):
        ad.ForwardAccumulator(2.0, 1.0)
    acc = ad.ForwardAccumulator(x, x)
    with pytest.raises(TapeError, match="with block"):
        acc.jvp(x)
    with acc:
        pass
    with pytest.raises(TapeError, match="once"):
        acc.__enter__()


def test_nothing_is_left_behind():
    x = ad.constant([1.0, 2.0])

    def once():
        with ad.ForwardAccumulator(x, x) as acc:
            y = ad.sum(x * x)
        float(acc.jvp(y))

    for _ in range(50):
        once()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(500):
        once()
    gc.collect()
    assert len(gc.get_objects()) - before < 200

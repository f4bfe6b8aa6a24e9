"""Clipping: exact within the bound, no overflow, culprits named."""
import numpy as np
import pytest

import adjoint as ad
from adjoint import optim


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_global_norm_neither_overflows_nor_vanishes(size):
    x = np.array([3.0, 4.0], np.float32) * np.float32(size)
    assert float(optim.global_norm([ad.constant(x), None])) == pytest.approx(5 * size, rel=1e-6)
    clipped, norm = optim.clip_global_norm([ad.constant(x)], 2.5 * size)
    np.testing.assert_allclose(clipped[0].numpy(), x / 2, rtol=2e-7)
    assert norm.dtype == ad.float32


def test_within_the_bound_nothing_changes():
    x = np.random.default_rng(0).normal(size=50).astype(np.float32)
    (got, none), _ = optim.clip_global_norm([ad.constant(x), None], 100.0)
    assert none is None
    assert got.numpy().tobytes() == x.tobytes()
    assert optim.clip_norm(ad.constant(x), 100.0).numpy().tobytes() == x.tobytes()
    assert optim.clip_norm(ad.constant(np.zeros(3)), 1.0).tolist() == [0, 0, 0]


def test_norm_over_axes_and_complex():
    x = np.array([[3.0, 4.0], [0.3, 0.4]])
    np.testing.assert_allclose(optim.clip_norm(ad.constant(x), 1.0, axis=1).numpy(), [[0.6, 0.8], [0.3, 0.4]])
    np.testing.assert_allclose(optim.clip_norm(ad.constant([3j, 4.0]), 1.0).numpy(), [0.6j, 0.8], rtol=1e-6)
    assert float(optim.global_norm({"a": [3j], "b": 4.0})) == 5.0
    assert float(optim.global_norm([None])) == 0.0


def test_what_is_not_finite():
    bad = [ad.constant([1.0, 2.0]), ad.constant([np.nan, 1.0, np.inf]), ad.Variable([np.inf], name="w")]
    clipped, norm = optim.clip_global_norm(bad, 1.0)
    assert np.isnan(float(norm))
    assert np.isnan(clipped[0].numpy()).all()
    with pytest.raises(ad.ArgumentError, match=r"number 1 holds NaN \(2 of 3 elements\); w holds infinity \(1 of 1"):
        optim.clip_global_norm(bad, 1.0, check=True)
    rule = optim.clip_by_global_norm(1.0, check=True)
    v = [ad.Variable([1.0, 1.0], name="a"), ad.Variable([1.0, 1.0, 1.0], name="b")]
    optimizer = optim.Optimizer(optim.chain(rule, optim.scale_by_adam()), 0.1)
    optimizer.apply([[1.0, 1.0], [0.0, 1.0, 1.0]], v)
    before = [x.numpy() for x in (*v, *optimizer.variables)]
    with pytest.raises(ad.ArgumentError, match=r"the gradient of b holds NaN \(2 of 3 elements\); nothing was changed"):
        optimizer.apply(bad[:2], v)
    for x, y in zip(before, (*v, *optimizer.variables)):
        np.testing.assert_array_equal(x, y.numpy())
    with pytest.raises(ad.ArgumentError, match="number 1 holds NaN"):
        rule.update(bad, rule.init(bad), None)


def test_transforms():
    g = [ad.constant([3.0, -4.0]), None]
    rule = optim.clip_by_value(2.0)
    assert rule.update(g, rule.init(g), None)[0][0].tolist() == [2.0, -2.0]
    rule = optim.clip_by_value(-1.0, 3.5)
    assert rule.update(g, rule.init(g), None)[0][0].tolist() == [3.0, -1.0]
    rule = optim.clip_by_norm(1.0)
    np.testing.assert_allclose(rule.update(g, rule.init(g), None)[0][0].numpy(), [0.6, -0.8], rtol=1e-6)
    rule = optim.clip_by_global_norm(1.0)
    updates, state = rule.update(g, rule.init([ad.constant([0.0, 0.0]), ad.constant(0.0)]), None)
    assert updates[1] is None
    assert float(state["norm"]) == 5.0


def test_clipping_is_differentiable():
    x = ad.constant(np.array([3.0, 4.0]))
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = optim.clip_norm(x, 1.0)[0]
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [16 / 125, -12 / 125], rtol=1e-13)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: optim.clip_by_value(-1.0), "low"),
    (lambda: optim.clip_by_value(2.0, 1.0), "at most high"),
    (lambda: optim.clip_by_norm(0.0), "above 0"),
    (lambda: optim.clip_by_global_norm(-1.0), "above 0"),
    (lambda: optim.clip_norm(ad.constant([1]), 1.0), "floating"),
    (lambda: optim.global_norm([ad.constant([1])]), "floating"),
])
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ad.ArgumentError, match=words):
        make()

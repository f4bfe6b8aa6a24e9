"""Arithmetic on sums of two float64, against mpmath."""
from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mpf

import adjoint as ad
from adjoint._graph import REGISTRY
from adjoint.primitives import _reflection, _twofold
from adjoint.primitives._twofold import Twofold

RNG = np.random.default_rng(3)
X = np.concatenate([RNG.uniform(-600, 600, 100), RNG.normal(size=100), RNG.normal(size=100) * 1e-9])
Y = np.concatenate([np.exp(RNG.uniform(-600, 600, 100)), 1 + RNG.normal(size=100) * 1e-3, RNG.uniform(0.1, 9, 100)])


def bits(got: Twofold, want: Any, *xs: Twofold, scale: Any = None) -> float:
    """How many bits agree at the worst."""
    worst = mpf(0)
    with mpmath.workdps(60):
        for k in range(len(X)):
            args = [mpf(float(x.high[k])) + mpf(float(np.broadcast_to(x.low, x.high.shape)[k])) for x in xs]
            exact = want(*args)
            size = abs(exact) if scale is None else max(abs(exact), scale)
            worst = max(worst, abs(mpf(float(got.high[k])) + mpf(float(got.low[k])) - exact) / size)
        return float(-mpmath.log(worst, 2)) if worst else 200.0


def test_arithmetic() -> None:
    x, y = Twofold(X, X * 1e-17), Twofold(Y, Y * 1e-17)
    assert bits(x + y, lambda a, b: a + b, x, y) > 104
    assert bits(x - y, lambda a, b: a - b, x, y) > 104
    assert bits(x * y, lambda a, b: a * b, x, y) > 102
    assert bits(x / y, lambda a, b: a / b, x, y) > 102
    assert bits(_twofold.sqrt(y), mpmath.sqrt, y) > 102


def test_exponential_and_logarithm() -> None:
    x, y = Twofold(X, X * 1e-17), Twofold(Y)
    assert bits(_twofold.exp(x), mpmath.exp, x) > 96
    assert bits(_twofold.log(y), mpmath.log, y, scale=mpf(1)) > 96
    near = Twofold(1 + RNG.choice([-1, 1], len(X)) * np.exp(RNG.uniform(-30, -5, len(X))))
    assert bits(_twofold.log(near), mpmath.log, near) > 60


def test_sums() -> None:
    rows = Twofold(np.array([[1e20, 1.0, -1e20, 2.0, 1e-20], [1.0, 2.0, 3.0, 4.0, 5.0]]))
    np.testing.assert_array_equal(_twofold.total(rows).high[:, 0], [3.0, 15.0])


def test_only_what_has_cancelled_is_repaired() -> None:
    y = np.array([1.0, 0.1, -0.1, np.nan])
    out = _twofold.repaired(y, 0.5, lambda x: Twofold(10 * x), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(out, [1.0, 20.0, 30.0, np.nan])
    assert _twofold.repaired(y, 0.01, None) is y


@pytest.mark.parametrize("name", ["softmax", "l2_normalize", "std"])
def test_the_same_without_a_longer_hardware_type(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {"softmax": ad.softmax, "l2_normalize": lambda x: ad.nn.l2_normalize(x, -1), "std": lambda x: ad.std(x, -1)}

    def curvature() -> Any:
        x = ad.constant(np.random.default_rng(1).normal(size=(3, 5)))
        v = ad.constant(np.random.default_rng(2).normal(size=(3, 5)))
        with ad.GradientTape() as outer:
            outer.watch(x)
            with ad.GradientTape() as inner:
                inner.watch(x)
                y = ad.sum(functions[name](x) ** 2)
            g = ad.sum(inner.gradient(y, x) * v)
        return outer.gradient(g, x).numpy()

    first = curvature()
    monkeypatch.setattr(_twofold, "LONG", None)
    np.testing.assert_allclose(curvature(), first, rtol=1e-13, atol=1e-14)


def test_sine_and_cosine() -> None:
    r = np.concatenate([RNG.uniform(-0.5, 0.5, 200), np.ldexp(0.7, -np.arange(1, 51)), 0.5 - np.ldexp(0.3, -np.arange(2, 52))])
    s, c = _twofold.sin_cos_pi(r)
    assert bits(s, mpmath.sinpi, Twofold(r)) > 102
    assert bits(c, mpmath.cospi, Twofold(r)) > 102


def test_gamma_functions_left_of_zero() -> None:
    x = RNG.uniform(-24, -0.01, len(X))
    for got, want in ((_reflection.careful_polygamma(x, 0), lambda v: mpmath.psi(0, v)),
                      (_reflection.careful_polygamma(x, 2), lambda v: mpmath.psi(2, v)),
                      (_reflection.careful_lgamma(x), lambda v: mpmath.log(abs(mpmath.gamma(v))))):
        assert bits(got, want, Twofold(x), scale=mpf(1)) > 97


@pytest.mark.skipif(_twofold.LONG is None, reason="needs a type wider than float64")
def test_exponentials_below_one() -> None:
    x = np.concatenate([-RNG.uniform(0, 720, 300), -np.exp(RNG.uniform(-50, 0, 100)), [0.0, -0.0, -745.5, -2e4, -np.inf]])
    low = x * RNG.uniform(-1e-16, 1e-16, len(x))
    low[~np.isfinite(low) | (x < -1e3)] = 0.0
    got = _twofold.exp_below(x, low)
    assert got[[-5, -4, -1]].tolist() == [1, 1, 0]
    with mpmath.workdps(40):
        for g, v, t in zip(got[:-1], x, low):
            want = mpmath.exp(mpf(float(v)) + mpf(float(t)))
            head = float(g)
            error = abs(mpf(head) + mpf(float(g - np.longdouble(head))) - want)
            assert error <= want * mpf(2) ** (-61 if v > -700 else -45) + mpf(2) ** -1074


BLOCKED = [("softmax", 1, {}), ("log_softmax", 1, {}), ("logsumexp", 1, {"keepdims": False}),
           ("logsumexp", 1, {"keepdims": True}),
           ("softmax_spread", 2, {}), ("softmax_rest", 2, {}), ("softmax_bend", 3, {}), ("softmax_cross_entropy", 2, {}),
           ("l2_normalize", 1, {"floor": 1e-6}), ("l2_normalize_derivative", 2, {"floor": 1e-6}),
           ("l2_normalize_bend", 3, {"floor": 1e-6}), ("std_bend", 2, {"correction": 1})]


@pytest.mark.parametrize("axes", [(0,), (2,), (0, 1)])
@pytest.mark.parametrize(("name", "count", "params"), BLOCKED)
def test_many_rows_are_taken_some_at_a_time(name: str, count: int, params: dict[str, Any], axes: tuple[int, ...]) -> None:
    kernel = REGISTRY[name].kernel
    xs = np.random.default_rng(6).normal(size=(count, 40, 30, 50))
    want, got = kernel.__wrapped__(*xs, axes=axes, **params), kernel(*xs, axes=axes, **params)
    np.testing.assert_allclose(got, want, rtol=2e-15, atol=1e-16)
    assert got.shape == want.shape


def test_labels_go_with_their_rows() -> None:
    rng = np.random.default_rng(6)
    labels, x = rng.integers(0, 50, (40, 30)), rng.normal(size=(40, 30, 50))
    for name in ("sparse_softmax_cross_entropy", "sparse_softmax_cross_entropy_slope"):
        kernel = REGISTRY[name].kernel
        np.testing.assert_allclose(kernel(labels, x), kernel.__wrapped__(labels, x), rtol=2e-15)

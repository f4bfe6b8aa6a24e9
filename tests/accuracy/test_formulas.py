"""Formulas written by hand are as accurate as the functions they are, in value and both derivatives; see _formulas.py."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad


@pytest.fixture(autouse=True)
def _rewrites_on() -> Iterator[None]:
    ad.config.rewrites = True
    yield
    ad.config.rewrites = True


def everything(f: Any, *values: Any, dtype: str = "float32") -> list[Any]:
    """Value, gradients, the gradients of their sum, and the tangent along ones."""
    xs = [ad.constant(np.asarray(v, dtype)) for v in values]
    with ad.GradientTape() as outer:
        outer.watch(xs)
        with ad.GradientTape() as inner:
            inner.watch(xs)
            y = f(*xs)
        first = inner.gradient(y, xs, unconnected_gradients="zero")
        total = ad.sum(first[0]) if len(xs) == 1 else ad.sum(first[0]) + ad.sum(first[1])
    second = outer.gradient(total, xs, unconnected_gradients="zero")
    with ad.ForwardAccumulator(xs, [ad.ones_like(x) for x in xs]) as acc:
        z = f(*xs)
    return [np.asarray(v) for v in (y, *first, *second, acc.jvp(z))]


def clipped_entropy(x: Any, y: Any) -> Any:
    p = 1 / (1 + ad.exp(-x))
    return -ad.mean(y * ad.log(p) + (1 - y) * ad.log(1 - p))


def entropy_of_sigmoid(x: Any, y: Any) -> Any:
    return -ad.mean((1 - y) * ad.log(1 - ad.sigmoid(x)) + ad.log(ad.sigmoid(x)) * y)


def entropy_less(x: Any, y: Any) -> Any:
    p = ad.sigmoid(x)
    return ad.mean(-y * ad.log(p) - (1 - y) * ad.log1p(-p))


def entropy_negated(x: Any, y: Any) -> Any:
    p = 1 / (1 + ad.exp(-x))
    return ad.mean(-(y * ad.log(p)) - (1 - y) * ad.log(1 - p))


def softmax_below(x: Any) -> Any:
    e = ad.exp(x - ad.max(x, axis=-1, keepdims=True))
    return e / ad.sum(e, axis=-1, keepdims=True)


def softmax_held(x: Any) -> Any:
    e = ad.exp(x - ad.stop_gradient(ad.max(x, axis=-1, keepdims=True)))
    return e / ad.sum(e, axis=-1, keepdims=True)


def logsumexp_below(x: Any) -> Any:
    m = ad.max(x, axis=-1, keepdims=True)
    return m + ad.log(ad.sum(ad.exp(x - m), axis=-1, keepdims=True))


ROWS = [[300.0, 299.0, -300.0], [0.0, 1e-3, 50.0], [1.0, 1.0, 2.0]]
WIDE = [-300.0, -100.0, -20.0, -1e-3, 0.0, 1.0, 30.0, 100.0, 300.0]
LABELS = [0.0, 1.0, 1.0, 0.3, 0.5, 1.0, 1.0, 0.0, 1.0]
PLANE = ([1e30, 3e-30, 0.0, 1.0], [1e30, 4e-30, 0.0, -2.0])
FORMULAS = {
    "1 / (1 + exp(-x))": (lambda x: 1 / (1 + ad.exp(-x)), ad.sigmoid, (WIDE,)),
    "exp(x) / (exp(x) + 1)": (lambda x: ad.exp(x) / (ad.exp(x) + 1), ad.sigmoid, (WIDE,)),
    "reciprocal": (lambda x: ad.reciprocal(ad.exp(-x) + 1), ad.sigmoid, (WIDE,)),
    "log(1 + exp(x))": (lambda x: ad.log(1 + ad.exp(x)), ad.nn.softplus, (WIDE,)),
    "log1p(exp(x))": (lambda x: ad.log1p(ad.exp(x)), ad.nn.softplus, (WIDE,)),
    "log(softmax(x))": (lambda x: ad.log(ad.softmax(x)), ad.log_softmax, (WIDE,)),
    "log(sigmoid(x))": (lambda x: ad.log(1 / (1 + ad.exp(-x))), ad.log_sigmoid, (WIDE,)),
    "exp(x) / sum(exp(x))": (lambda x: ad.exp(x) / ad.sum(ad.exp(x), axis=-1, keepdims=True), ad.softmax, (ROWS,)),
    "softmax, max taken off": (softmax_below, ad.softmax, (ROWS,)),
    "softmax, max held constant": (softmax_held, ad.softmax, (ROWS,)),
    "log of a softmax written out": (lambda x: ad.log(softmax_below(x)), ad.log_softmax, (ROWS,)),
    "log(sum(exp(x)))": (lambda x: ad.log(ad.sum(ad.exp(x), axis=-1)), lambda x: ad.logsumexp(x, -1), (ROWS,)),
    "logsumexp, max taken off": (logsumexp_below, lambda x: ad.logsumexp(x, -1, keepdims=True), (ROWS,)),
    "sqrt(x*x + y*y)": (lambda x, y: ad.sqrt(x * x + y ** 2), ad.hypot, PLANE),
    "sqrt(sum(x*x))": (lambda x: ad.sqrt(ad.sum(x * x)), ad.vector_norm, ([1e-30, 3e-30, 0.0, -2e-30],)),
    "sqrt(sum(x*x)), rows": (lambda x: ad.sqrt(ad.sum(ad.square(x), axis=-1, keepdims=True)),
                             lambda x: ad.vector_norm(x, axis=-1, keepdims=True), ([[1e30, 3e30], [0.0, 0.0]],)),
    "x / sqrt(sum(x*x))": (lambda x: x / ad.sqrt(ad.sum(x ** 2)), lambda x: ad.nn.l2_normalize(x, epsilon=0.0),
                           ([1.0, 1e-5, 0.0],)),
    "x*sqrt(x)": (lambda x: x * ad.sqrt(x), lambda x: x ** 1.5, ([0.0, 1e-30, 2.0, np.inf],)),
    "sqrt(x)*x*x": (lambda x: ad.sqrt(x) * (x * x), lambda x: x ** 2.5, ([0.0, 1e-10, 2.0],)),
    "x/sqrt(x)": (lambda x: x / ad.sqrt(x), ad.sqrt, ([0.0, 1e-30, 2.0],)),
    "sqrt(x)/x": (lambda x: ad.sqrt(x) / x, ad.rsqrt, ([0.0, 1e-20, 2.0],)),
    "x / norm(x)": (lambda x: x / ad.vector_norm(x), lambda x: ad.nn.l2_normalize(x, epsilon=0.0), ([1.0, 1e-5, 0.0],)),
    "x / norm(x), rows": (lambda x: x / ad.vector_norm(x, axis=-1, keepdims=True),
                          lambda x: ad.nn.l2_normalize(x, -1, epsilon=0.0), ([[1.0, 1e-5, 0.0], [1e30, 2e30, 1.0]],)),
    "cross-entropy": (clipped_entropy, lambda x, y: ad.mean(ad.sigmoid_cross_entropy_with_logits(y, x)), (WIDE, LABELS)),
    "cross-entropy, subtracted": (entropy_less, lambda x, y: ad.mean(ad.sigmoid_cross_entropy_with_logits(y, x)), (WIDE, LABELS)),
    "cross-entropy, negated": (entropy_negated, lambda x, y: ad.mean(ad.sigmoid_cross_entropy_with_logits(y, x)), (WIDE, LABELS)),
    "cross-entropy of sigmoid": (entropy_of_sigmoid, lambda x, y: ad.mean(ad.sigmoid_cross_entropy_with_logits(y, x)),
                                 (WIDE, LABELS)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FORMULAS)
def test_as_the_function(name: str, dtype: str) -> None:
    written, function, values = FORMULAS[name]
    for _ in range(3):                                   # also from remembered programs
        with np.errstate(all="ignore"):
            got, want = everything(written, *values, dtype=dtype), everything(function, *values, dtype=dtype)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=4 * np.finfo(dtype).eps, atol=0)


def test_switched_off() -> None:
    x = ad.constant(200.0)
    with np.errstate(all="ignore"):
        assert float(ad.log(1 + ad.exp(x))) == 200.0
        ad.config.rewrites = False
        assert float(ad.log(1 + ad.exp(x))) == np.inf


def test_the_derivative_by_a_part_of_it() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        e = ad.exp(-x)
        y = 1 / (1 + e)
    by_e, by_x = tape.gradient(y, [e, x])
    assert float(by_e) == pytest.approx(-1 / (1 + np.exp(-1.5)) ** 2, rel=1e-6)
    assert float(by_x) == pytest.approx(np.exp(-1.5) / (1 + np.exp(-1.5)) ** 2, rel=1e-6)


def test_a_part_that_was_not_recorded() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        with tape.stop_recording():
            e = ad.exp(-x)
        y = x * (1 / (1 + e))
    assert float(tape.gradient(y, x)) == pytest.approx(1 / (1 + np.exp(-1.5)), rel=1e-6)


def test_a_part_that_is_held_constant() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = x * (1 / (1 + ad.stop_gradient(ad.exp(-x))))
    assert float(tape.gradient(y, x)) == pytest.approx(1 / (1 + np.exp(-1.5)), rel=1e-6)


def test_a_part_that_is_used_twice() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        e = ad.exp(-x)
        y = 1 / (1 + e) + 3 * e
    s = 1 / (1 + np.exp(-1.5))
    assert float(tape.gradient(y, x)) == pytest.approx(s * (1 - s) - 3 * np.exp(-1.5), rel=1e-6)


def test_a_part_that_was_looked_at() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        e = ad.exp(-x)
        assert float(e) > 0
        y = 1 / (1 + e)
    s = 1 / (1 + np.exp(-1.5))
    assert float(tape.gradient(y, x)) == pytest.approx(s * (1 - s), rel=1e-6)


def test_a_value_that_was_looked_at() -> None:
    x = ad.constant(1.5)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = 1 / (1 + ad.exp(-x))
        assert float(y) > 0
        z = y * y
    s = 1 / (1 + np.exp(-1.5))
    assert float(tape.gradient(z, x)) == pytest.approx(2 * s * s * (1 - s), rel=1e-6)


def test_behind_where() -> None:
    x = ad.constant([-200.0, 1.0])
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = ad.where(x > 0, ad.log(1 + ad.exp(x)), 0.0)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [0.0, 1 / (1 + np.exp(-1.0))], rtol=1e-6)


def test_a_variable() -> None:
    v = ad.Variable([200.0, -1.0])
    with ad.GradientTape() as tape:
        y = ad.log(1 + ad.exp(v))
    np.testing.assert_allclose(tape.gradient(y, v).numpy(), [1.0, 1 / (1 + np.exp(1.0))], rtol=1e-6)

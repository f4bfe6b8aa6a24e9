"""Random programs: looking at values in the middle, running again and nesting tapes change nothing."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint._config import config

UNARY = [ad.sin, ad.tanh, ad.exp, lambda x: x * x, lambda x: -x, lambda x: x / 3.0,
         lambda x: ad.sum(x, axis=0, keepdims=True) + x,
         lambda x: ad.reshape(ad.reshape(x, (6,)), (2, 3)), lambda x: x[::-1], lambda x: ad.take(x, [2, 0, -1], axis=1),
         lambda x: ad.scatter([[1], [1]], x, (2, 3)), lambda x: ad.take_along_axis(x, ad.constant([[2], [-3]]), 1) * x,
         lambda x: ad.cumsum(x, axis=1), lambda x: ad.tril(x) + 0.1, lambda x: ad.where(x > 0.0, x, x * 0.1)]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b * 0.3, ad.maximum,
          lambda a, b: ad.matmul(a, ad.transpose(b)) @ b * 0.2]


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[int, int, int, bool]]:
    """Rows (operation, operand, operand, look): each makes one more (2, 3) tensor."""
    return [(draw(st.integers(0, len(UNARY) + len(BINARY) - 1)), draw(st.integers(0, n + 1)), draw(st.integers(0, n + 1)),
             draw(st.booleans())) for n in range(draw(st.integers(1, 9)))]


def run(program: list[tuple[int, int, int, bool]], x, v, look: bool):  # type: ignore[no-untyped-def]
    values = [x, v]
    for op, i, j, peek in program:
        made = UNARY[op](values[i]) if op < len(UNARY) else BINARY[op - len(UNARY)](values[i], values[j])
        made = ad.tanh(made)
        if look and peek:
            made.numpy()
        values.append(made)
    return ad.sum(values[-1] * values[-1])


def gradients(program, x, v, look):  # type: ignore[no-untyped-def]
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            loss = run(program, x, v, look)
        first = inner.gradient(loss, [x, v], unconnected_gradients="zero")
        if look:
            first[0].numpy()
        total = ad.sum(first[0] * first[0]) + ad.sum(first[1])
    second = outer.gradient(total, [x, v], unconnected_gradients="zero")
    return [loss.numpy(), *[g.numpy() for g in first], *[g.numpy() for g in second]]


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(programs())
def test_looks_and_reruns_change_nothing(program: list[tuple[int, int, int, bool]]) -> None:
    rng = np.random.default_rng(0)
    x, v = ad.Tensor(rng.normal(size=(2, 3))), ad.Variable(rng.normal(size=(2, 3)))
    plain = gradients(program, x, v, False)
    for look in (False, True, True):
        for a, b in zip(plain, gradients(program, x, v, look)):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(programs(), st.integers(3, 30))
def test_a_small_bound_on_pending_operations_changes_nothing(program: list[tuple[int, int, int, bool]], bound: int) -> None:
    rng = np.random.default_rng(0)
    x, v = ad.Tensor(rng.normal(size=(2, 3))), ad.Variable(rng.normal(size=(2, 3)))
    plain = gradients(program, x, v, False)
    before, config.pending = config.pending, bound
    try:
        again = gradients(program, x, v, False)
    finally:
        config.pending = before
    for a, b in zip(plain, again):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(programs())
def test_gradients_are_those_of_differences(program: list[tuple[int, int, int, bool]]) -> None:
    kinked = {len(UNARY) - 1, len(UNARY) + 3}            # where and maximum: a difference may straddle a kink
    assume(all(op not in kinked for op, *_ in program))
    rng = np.random.default_rng(0)
    x0, v0, d = (rng.normal(size=(2, 3)) for _ in range(3))

    def loss(t: float) -> float:
        return float(run(program, ad.Tensor(x0 + t * d), ad.Variable(v0), False))

    x, v = ad.Tensor(x0), ad.Variable(v0)
    first = gradients(program, x, v, True)[1]
    numeric = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert float(np.sum(first * d)) == pytest.approx(numeric, rel=1e-5, abs=1e-7)

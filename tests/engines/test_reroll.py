"""Loops that Python unrolled are found again, and compute what the NumPy engine computes."""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint.engines import llvm as llvm_engine
from adjoint.plan.reroll import repeats

pytest.importorskip("llvmlite")
from adjoint.engines.llvm import straight, unit

Make = Callable[[], list[Any]]


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    before = config.engine
    llvm_engine.faults.clear()
    yield
    config.engine = before
    assert llvm_engine.faults == []


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Period and count of every loop that was written."""
    found: list[tuple[int, int]] = []
    write = straight._LoopWriter.write

    def noted(self: Any) -> Any:
        found.append((self.r.period, self.r.count))
        return write(self)

    monkeypatch.setattr(straight._LoopWriter, "write", noted)
    return found


def on(engine: str, f: Make) -> list[Any]:
    before, config.engine = config.engine, engine
    _graph.forget()
    try:
        made = f()
        ad.evaluate(*made)
        return [t.numpy() for t in made]
    finally:
        config.engine = before


def both(f: Make, rtol: float | None = None) -> None:
    want, got = on("numpy", f), on("llvm", f)
    for w, g in zip(want, got):
        assert (w.shape, w.dtype) == (g.shape, g.dtype)
        narrow = rtol or (2e-5 if w.dtype == np.float32 else 1e-12)
        np.testing.assert_allclose(g, w, rtol=narrow, atol=narrow * 1e-3)


def gradient(f: Callable[..., Any], *start: float, dtype: Any = np.float32) -> Make:
    """f's results, and the gradient of the last of them."""
    def run() -> list[Any]:
        xs = [ad.constant(dtype(v)) for v in start]
        with ad.GradientTape() as tape:
            tape.watch(xs)
            made = f(*xs)
        made = list(made) if isinstance(made, (list, tuple)) else [made]
        return [*made, *[g for g in tape.gradient(made[-1], xs) if g is not None]]

    return run


def pendulum(steps: int) -> Callable[..., Any]:
    def f(length: Any, friction: Any, angle: Any, velocity: Any) -> Any:
        pull = 9.81 / length
        for _ in range(steps):
            velocity = velocity - 0.01 * (pull * ad.sin(angle) + friction * velocity)
            angle = angle + 0.01 * velocity
        return angle

    return f


START = (1.2, 0.15, 1.4, -0.6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 100])
def test_an_integrator(steps: int, dtype: Any) -> None:
    both(gradient(pendulum(steps), *START, dtype=dtype))


def test_a_thousand_steps_are_two_loops(loops: list[tuple[int, int]]) -> None:
    both(gradient(pendulum(1000), *START))
    assert len(loops) == 2
    assert [count for _, count in loops] == [1000, 999]
    assert all(period < 20 for period, _ in loops)


def test_against_the_derivative_in_higher_precision() -> None:
    def swing(start: Any) -> Any:
        length, friction, angle, velocity = start
        for _ in range(300):
            velocity = velocity - np.longdouble(0.01) * (9.81 / length * np.sin(angle) + friction * velocity)
            angle = angle + np.longdouble(0.01) * velocity
        return angle

    got = on("llvm", gradient(pendulum(300), *START, dtype=np.float64))
    start = np.array(START, np.longdouble)
    for k in range(4):
        h = np.zeros(4, np.longdouble)
        h[k] = 1e-5
        np.testing.assert_allclose(got[1 + k], float((swing(start + h) - swing(start - h)) / 2e-5), rtol=1e-7)


MEASURED = [round(random.Random(5).gauss(0.0, 1.0), 3) + 0.017 * k for k in range(60)]


def chosen(x: Any, y: Any) -> Any:
    for _ in range(60):
        x, y = ad.where(x > y, x - 0.3 * y, x * 1.1 + 0.05), ad.tanh(y + 0.1 * x)
    return x * y


def measured(rate: Any, start: Any) -> Any:
    state, loss = start, 0.0 * start
    for value in MEASURED:
        state = state + rate * (value - state)
        loss = loss + (state - 0.5 * value) ** 2
    return loss


def measured_in_tensors(rate: Any, start: Any) -> Any:
    state = start
    for value in [ad.constant(np.float32(v)) for v in MEASURED]:
        state = state + rate * (ad.cast(value, state.dtype) - state)
    return state


def kept(x: Any, y: Any) -> list[Any]:
    rows = []
    for _ in range(40):
        x, y = x + 0.1 * y, y - 0.1 * ad.sin(x)
        rows += [x, y]
    return [*rows, sum(rows[1:], rows[0])]


def nested(x: Any, v: Any) -> Any:
    for _ in range(30):
        for _ in range(3):
            v = v - 0.01 * x
            x = x + 0.01 * v
        v = v * 0.99
    return x * v


def long_inner(x: Any, v: Any) -> Any:
    for k in range(5):
        for _ in range(300):
            v = v - 0.01 * x
            x = x + 0.01 * v
        v = ad.tanh(v) if k % 2 else ad.sin(v)
    return x


def differs(x: Any, v: Any) -> Any:
    for k in range(80):
        v = v - 0.05 * (ad.cos(x) if k == 37 else ad.sin(x))
        x = x + 0.05 * v
    return x


def looks_back(x: Any, y: Any) -> Any:
    rows = [x, y, x * y, x - y, x + y, x, y]
    for _ in range(60):
        rows.append(0.3 * rows[-1] - 0.2 * rows[-2] + 0.1 * ad.sin(rows[-3]) + 0.2 * rows[-7])
    return rows[-1] + rows[20]


def swapped(x: Any, y: Any) -> Any:
    for _ in range(80):
        x, y = y, 0.5 * ad.tanh(x) + 0.4 * y
    return x + y


def runge_kutta(x: Any, v: Any) -> Any:
    def slope(x: Any, v: Any) -> Any:
        return v, -ad.sin(x) - 0.1 * v

    for _ in range(25):
        a, b = slope(x, v)
        c, d = slope(x + 0.05 * a, v + 0.05 * b)
        e, f = slope(x + 0.05 * c, v + 0.05 * d)
        g, h = slope(x + 0.1 * e, v + 0.1 * f)
        x, v = x + (0.1 / 6) * (a + 2.0 * c + 2.0 * e + g), v + (0.1 / 6) * (b + 2.0 * d + 2.0 * f + h)
    return x


def from_the_front(x: Any, y: Any) -> Any:
    rows = [x + 0.01 * k * y for k in range(50)]
    total = y
    for k in range(50):
        total = 0.9 * total + rows[k] * rows[49 - k] * rows[(7 * k) % 50]
    return total


def unlike_once(x: Any, y: Any) -> Any:
    total = x
    for odd in (0, 31, 59):
        z = x
        for k in range(60):
            step = ad.sin(z)
            z = z + 0.1 * step * (step if k == odd else y)
        total = total * 0.5 + ad.tanh(z)
    return total


def many_functions(x: Any, y: Any) -> Any:
    for _ in range(20):
        for f in (ad.sin, ad.tanh, ad.cos, ad.exp, ad.erf, ad.sigmoid, ad.log1p, ad.atan, ad.softplus, ad.expm1):
            x, y = f(0.5 * abs(y)) * 0.5, x + 0.1 * y
    return x + y


PROGRAMS = [unlike_once, many_functions, chosen, measured, measured_in_tensors, kept, nested, long_inner, differs, looks_back,
            swapped, runge_kutta, from_the_front]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(program: Callable[..., Any], dtype: Any, loops: list[tuple[int, int]]) -> None:
    both(gradient(program, 0.4, 0.7, dtype=dtype))
    assert loops


def test_a_last_step_that_reads_what_it_made(loops: list[tuple[int, int]]) -> None:
    def run() -> list[Any]:
        x, y = ad.constant(0.4), ad.constant(0.7)
        for k in range(60):
            step = ad.sin(x)
            x = x + 0.1 * step * (step if k == 59 else y)
        return [x]

    both(run)
    assert loops


def test_second_derivative(loops: list[tuple[int, int]]) -> None:
    def run() -> list[Any]:
        x, v = ad.constant(np.float64(0.3)), ad.constant(np.float64(0.2))
        with ad.GradientTape() as outer:
            outer.watch([x, v])
            with ad.GradientTape() as inner:
                inner.watch([x, v])
                y = differs(x, v)
            first = inner.gradient(y, [x, v])
            both_slopes = first[0] * first[1]
        return [y, *first, *outer.gradient(both_slopes, [x, v])]

    both(run, 1e-11)
    assert loops


def test_a_frame_too_large_for_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "_FRAME", 64)
    both(gradient(measured, 0.4, 0.7))
    both(gradient(pendulum(200), *START))


def test_numbers_from_outside_come_in_one_array(monkeypatch: pytest.MonkeyPatch) -> None:
    packs: list[dict[int, list[int]]] = []
    packed = llvm_engine._packed
    monkeypatch.setattr(llvm_engine, "_packed", lambda fused: packs.append(packed(fused)) or packs[-1])
    both(gradient(measured, 0.4, 0.7))
    both(gradient(measured_in_tensors, 0.4, 0.7))
    assert all(len(values) >= 60 for found in packs for values in found.values())
    assert sum(map(len, packs)) >= 2


def test_numbers_that_a_loop_refuses_reach_numpy_from_their_array() -> None:
    def run() -> list[Any]:
        x = ad.constant(np.float64(0.2))
        for value in MEASURED:
            x = ad.sin(x * 0.5 + value) + ad.sin(1e15 * x)
        return [x]

    both(run)


def test_equal_loops_share_their_code(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    define = straight.Pieces.define

    def noted(self: Any, kind: str, *rest: Any) -> str:
        before = len(self.functions)
        name = define(self, kind, *rest)
        texts.extend([kind] * (len(self.functions) - before))
        return name

    monkeypatch.setattr(straight.Pieces, "define", noted)

    def f(x: Any, v: Any) -> Any:
        for _ in range(6):
            for _ in range(600):
                v = v - 0.01 * x
                x = x + 0.01 * v
            x = ad.tanh(x)
        return x

    both(lambda: [f(ad.constant(0.3), ad.constant(0.2))])
    assert texts.count("loop") <= 2                      # in the last one the velocity is not wanted any more


def test_whole_numbers_and_truth() -> None:
    def run() -> list[Any]:
        a, b, flag = ad.constant(np.int32(3)), ad.constant(np.int32(5)), ad.constant(True)
        rows = []
        for _ in range(70):
            flag = ad.logical_xor(flag, a > b)
            a, b = ad.where(flag, b - a, a * 3 - b), ad.bitwise_xor(a, b)
            rows.append(flag)
        return [a, b, *rows[10:40:3], flag]

    both(run)


def test_an_angle_that_a_loop_leaves_to_numpy() -> None:
    def run() -> list[Any]:
        x = ad.constant(np.float64(1.0))
        rows = []
        for _ in range(80):
            x = x * 3.0 + ad.sin(x)
            rows.append(x)
        return [rows[20], x]

    both(run)


@pytest.mark.parametrize("seed", range(6))
def test_random_operations(seed: int) -> None:
    """Few kinds of operations, so that stretches repeat by chance, with arguments from anywhere."""
    draw = random.Random(seed)
    plan = []
    body = [draw.choice("+-*s") for _ in range(draw.choice([1, 2, 5, 90]))]
    for k in range(400):
        plan.append((draw.choice("+-*s") if draw.random() < [0.0, 0.01, 1.0][seed % 3] else body[k % len(body)],
                     draw.random(), draw.choice([1, 3, 50, 400]), draw.random()))

    def run() -> list[Any]:
        values = [ad.constant(np.float64(0.1 * k + 0.3)) for k in range(6)]
        for op, where, back, other in plan:
            x = values[-1 - int(where * min(back, len(values)))]
            y = values[int(other * len(values))]
            values.append(ad.sin(x) if op == "s" else ad.tanh(x + y) if op == "+" else 0.5 * x - y * 0.1 if op == "-" else x * y)
        return [values[k] for k in draw_of(seed, len(values))]

    both(run, 1e-9)


def draw_of(seed: int, n: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(6, n), 20)) + [n - 1]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12), st.integers(1, 80), st.lists(st.integers(0, 3), max_size=60),
       st.integers(0, 2**20))
@settings(max_examples=60, deadline=None)
def test_what_is_found_repeats(body: list[int], times: int, noise: list[int], seed: int) -> None:
    draw = random.Random(seed)
    kinds = noise + body * times + noise[::-1]
    if draw.random() < 0.3:
        kinds[draw.randrange(len(kinds))] = 9
    found = repeats(np.array(kinds))
    end = 0
    for start, period, count in found:
        assert start >= end
        assert count >= 4
        end = start + period * count
        assert kinds[start:end] == kinds[start:start + period] * count
    assert end <= len(kinds)
    if not noise and len(body) * (times - 2) >= 60 and times >= 6 and 9 not in kinds:
        assert sum(p * c for _, p, c in found) > len(kinds) - 2 * len(body)


def test_without_repetition_nothing_is_found() -> None:
    draw = np.random.default_rng(3)
    assert repeats(draw.integers(0, 50, 20_000)) == []


def test_numbers_that_are_put_together_beside_a_long_program() -> None:
    """What is only made of parts is not an operation of the straight-line code that makes these."""
    def run() -> list[Any]:
        x = ad.Tensor(np.float32(0.3))
        states = []
        for _ in range(150):
            x = x + 0.1 * ad.sin(x)
            states.append(x)
        path = ad.stack(states[:20])
        return [path, ad.sum(path * path), x, path[3] + x]

    both(run)

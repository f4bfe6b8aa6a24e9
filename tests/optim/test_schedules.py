"""Schedules against the formulas of their papers and Keras's documentation, for numbers and for tensors."""
import math

import numpy as np
import pytest

import adjoint as ad
from adjoint.optim import schedules as s

STEPS = [0, 1, 2.5, 3, 9, 10, 11, 19, 20, 21, 30, 31, 70, 100, 1000]


def piecewise(t):
    return 1.0 if t <= 10 else 0.5 if t <= 20 else 0.25


def restarts(t, first=10, t_mul=2.0, m_mul=0.9, alpha=0.1):
    start, length, n = 0.0, first, 0
    while t >= start + length:
        start, length, n = start + length, length * t_mul, n + 1
    return 0.5 * ((1 - alpha) * 0.5 * m_mul ** n * (1 + math.cos(math.pi * (t - start) / length)) + alpha)


def warm_cosine(t):
    if t <= 10:
        return 0.1 + (0.5 - 0.1) * t / 10
    x = min(t - 10, 60) / 60
    return 0.5 * ((1 - 0.1) * 0.5 * (1 + math.cos(math.pi * x)) + 0.1)


def polynomial(t, cycle):
    span = 20 * max(1, math.ceil(t / 20)) if cycle else 20
    t = t if cycle else min(t, 20)
    return (0.5 - 0.01) * (1 - t / span) ** 0.5 + 0.01


CASES = [
    (s.Constant(0.3), lambda t: 0.3),
    (s.ExponentialDecay(0.5, 10, 0.9), lambda t: 0.5 * 0.9 ** (t / 10)),
    (s.ExponentialDecay(0.5, 10, 0.9, staircase=True), lambda t: 0.5 * 0.9 ** (t // 10)),
    (s.InverseTimeDecay(0.5, 10, 0.9), lambda t: 0.5 / (1 + 0.9 * t / 10)),
    (s.InverseTimeDecay(0.5, 10, 0.9, staircase=True), lambda t: 0.5 / (1 + 0.9 * (t // 10))),
    (s.PolynomialDecay(0.5, 20, 0.01, 0.5), lambda t: polynomial(t, False)),
    (s.PolynomialDecay(0.5, 20, 0.01, 0.5, cycle=True), lambda t: polynomial(t, True)),
    (s.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25]), piecewise),
    (s.CosineDecay(0.5, 30, 0.1), lambda t: 0.5 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(t, 30) / 30)) + 0.1)),
    (s.CosineDecay(0.1, 60, 0.1, warmup_target=0.5, warmup_steps=10), warm_cosine),
    (s.CosineDecayRestarts(0.5, 10, 2.0, 0.9, 0.1), restarts),
    (s.CosineDecayRestarts(0.5, 10, 1.0, 0.9, 0.1), lambda t: restarts(t, 10, 1.0)),
    (s.Warmup(20, 0.5), lambda t: 0.5 * min(t, 20) / 20),
    (s.Warmup(20, then=s.ExponentialDecay(0.5, 10, 0.9)),
     lambda t: t / 40 if t <= 20 else 0.5 * 0.9 ** ((t - 20) / 10)),
    (s.Join([0.3, s.ExponentialDecay(0.5, 10, 0.9), lambda t: 0.01], [10, 30]),
     lambda t: 0.3 if t < 10 else 0.5 * 0.9 ** ((t - 10) / 10) if t < 30 else 0.01),
]
IDS = [f"{n}-{type(c[0]).__name__}" for n, c in enumerate(CASES)]


@pytest.mark.parametrize(("schedule", "want"), CASES, ids=IDS)
def test_numbers(schedule, want):
    for t in STEPS:
        got = schedule(t)
        assert isinstance(got, float)
        assert got == pytest.approx(want(t), rel=1e-12, abs=1e-15), t


@pytest.mark.parametrize(("schedule", "want"), CASES, ids=IDS)
def test_tensors(schedule, want):
    for t in STEPS:
        for step in (ad.constant(float(t)), ad.constant(int(t))):
            got = schedule(step)
            assert got.dtype == ad.float64
            assert float(got) == pytest.approx(want(float(step)), rel=1e-12, abs=1e-15), t


def test_numpy_steps_and_configs():
    a = s.ExponentialDecay(0.5, 10, 0.9)
    assert a(np.int64(10)) == a(10)
    assert type(a).from_config(a.get_config()) == a
    assert a.get_config()["decay_steps"] == 10


class Mine(s.LearningRateSchedule):
    def __call__(self, step):
        return 0.1 * step


def test_a_schedule_of_ones_own():
    w = ad.Variable(0.0)
    optimizer = ad.optim.SGD(Mine())
    for _ in range(3):
        optimizer.apply([1.0], [w])
    assert float(w) == pytest.approx(-0.3)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: s.ExponentialDecay(0.5, 0, 0.9), "decay_steps"),
    (lambda: s.ExponentialDecay("a", 1, 0.9), "initial_learning_rate"),
    (lambda: s.PiecewiseConstantDecay([1, 2], [1.0]), "one more"),
    (lambda: s.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), "increasing"),
    (lambda: s.CosineDecayRestarts(0.5, 10, 0.5), "t_mul"),
    (lambda: s.Warmup(10), "target"),
    (lambda: s.Join([0.1], [1]), "one more"),
    (lambda: s.ExponentialDecay(0.5, 1, 0.9)("soon"), "step"),
])
def test_bad_arguments_are_named(make, words):
    with pytest.raises(ad.ArgumentError, match=words):
        make()

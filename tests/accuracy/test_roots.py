"""Values next to roots that the sampled arguments of benchmarks/accuracy do not come close to, against mpmath."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp

import adjoint as ad

RNG = np.random.default_rng(11)


def around(roots: list[Any], count: int = 8) -> Any:
    """The numbers nearest to the roots and some farther away, down to the spacing of float64."""
    centre = np.repeat([float(r) for r in roots], count)
    return np.concatenate([centre, centre * (1 + np.ldexp(RNG.uniform(-1, 1, len(centre)), RNG.integers(-52, -8, len(centre))))])


def ulps(got: Any, want: Callable[[Any], Any], x: Any) -> float:
    with mp.workdps(60):
        exact = [want(mpmath.mpf(float(v))) for v in x]
        return max(float(abs(mpmath.mpf(float(g)) - e)) / float(np.spacing(abs(float(e)))) for g, e in zip(got, exact))


def roots_of(f: Callable[[Any], Any], intervals: list[tuple[float, float]]) -> list[Any]:
    return [mpmath.findroot(f, ends, solver="anderson", tol=1e-20) for ends in intervals]


def derivative(f: Any, x: Any, order: int) -> Any:
    """By nested tapes."""
    x = ad.constant(x)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x) if order == 1 else derivative(f, x, order - 1)
    return tape.gradient(y, x)


UNITS = [-6, -7, -8, -9, -12, -20, -57]


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_the_gamma_functions_left_of_minus_six(engine: str) -> None:
    before, ad.config.engine = ad.config.engine, engine
    try:
        x = around(roots_of(lambda v: mpmath.psi(0, v), [(k - 0.9999999, k - 1e-7) for k in UNITS]))
        assert ulps(ad.digamma(ad.constant(x)).numpy(), lambda v: mpmath.psi(0, v), x) < 4
        assert ulps(derivative(ad.lgamma, x, 1).numpy(), lambda v: mpmath.psi(0, v), x) < 4
        x = around(roots_of(lambda v: mpmath.psi(2, v), [(k - 0.51, k - 0.49) for k in UNITS]))
        assert ulps(derivative(ad.digamma, x, 2).numpy(), lambda v: mpmath.psi(2, v), x) < 4
        ends = [(-k + 0.5 * d, -k + 2 * d) for k in range(6, 12) for d in (1 / mpmath.factorial(k), -1 / mpmath.factorial(k))]
        x = around(roots_of(lambda v: mpmath.log(abs(mpmath.gamma(v))), ends))
        assert ulps(ad.lgamma(ad.constant(x)).numpy(), lambda v: mpmath.log(abs(mpmath.gamma(v))), x) < 4
    finally:
        ad.config.engine = before


def test_the_second_slope_of_sinc() -> None:
    def bend(v: Any) -> Any:
        z = mpmath.pi * v
        return ((2 - z * z) * mpmath.sin(z) - 2 * z * mpmath.cos(z)) / v ** 3 / mpmath.pi

    x = around(roots_of(bend, [(0.6, 0.7), *((k - 0.2, k) for k in (2, 3, 4, 7)), *((k - 0.02, k) for k in (20, 1000))]))
    assert ulps(derivative(ad.sinc, x, 2).numpy(), bend, x) < 4


def test_the_slopes_of_a_scaled_bessel_function() -> None:
    def slope(v: Any, order: int) -> Any:
        zero, one = [mpmath.exp(-v) * mpmath.besseli(k, v) for k in (0, 1)]
        first = zero - one / v - one
        return first if order == 1 else (one - zero) - (first / v - one / v ** 2) - first

    for order, root in ((1, 1.545), (2, 2.781)):
        x = around(roots_of(lambda v: slope(v, order), [(root - 0.01, root + 0.01)]), 20)
        assert ulps(derivative(ad.bessel_i1e, x, order).numpy(), lambda v: slope(v, order), x) < 4

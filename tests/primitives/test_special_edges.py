"""Special functions: digits against mpmath over wide ranges, edges, every order, both arguments."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import adjoint as ad
from adjoint._config import config
from adjoint._errors import DtypeError

INF, NAN = float("inf"), float("nan")
ROOT2 = mp.sqrt(2)


def ndtri(p: Any) -> Any:
    return -ROOT2 * mp.erfinv(1 - 2 * p)


# name: (function, exact, low, high, exact derivative or None for numerical differentiation)
FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float, float, Any]] = {
    "erf": (ad.erf, mp.erf, -9, 9, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "erfc": (ad.erfc, mp.erfc, -9, 9, lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "erfcx": (ad.erfcx, lambda x: mp.exp(x * x) * mp.erfc(x), -8, 1e4, None),
    "erfinv": (ad.erfinv, mp.erfinv, -1, 1, lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(mp.erfinv(x) ** 2)),
    "ndtr": (ad.ndtr, lambda x: mp.erfc(-x / ROOT2) / 2, -13, 13, lambda x: mp.npdf(x)),
    "ndtri": (ad.ndtri, ndtri, 0, 1, lambda p: 1 / mp.npdf(ndtri(p))),
    "log_ndtr": (ad.log_ndtr, lambda x: mp.log(mp.erfc(-x / ROOT2) / 2), -100, 9, None),
    "logit": (ad.logit, lambda x: mp.log(x / (1 - x)), 0, 1, lambda x: 1 / (x * (1 - x))),
    "lgamma": (ad.lgamma, mp.loggamma, 0, 100, mp.digamma),
    "digamma": (ad.digamma, mp.digamma, 0, 100, lambda x: mp.psi(1, x)),
    "trigamma": (ad.trigamma, lambda x: mp.psi(1, x), -5, 100, lambda x: mp.psi(2, x)),
    "polygamma3": (lambda x: ad.polygamma(3, x), lambda x: mp.psi(3, x), 0, 100, lambda x: mp.psi(4, x)),
    "gamma": (ad.gamma, mp.gamma, -5, 30, lambda x: mp.gamma(x) * mp.digamma(x)),
    "sinc": (ad.sinc, mp.sincpi, -200, 200, None),
    "bessel_i0": (ad.bessel_i0, lambda x: mp.besseli(0, x), -80, 80, lambda x: mp.besseli(1, x)),
    "bessel_i1": (ad.bessel_i1, lambda x: mp.besseli(1, x), -80, 80,
                  lambda x: (mp.besseli(0, x) + mp.besseli(2, x)) / 2),
    "bessel_i0e": (ad.bessel_i0e, lambda x: mp.besseli(0, x) * mp.exp(-x), 0, 300, None),
    "bessel_i1e": (ad.bessel_i1e, lambda x: mp.besseli(1, x) * mp.exp(-x), 0, 300, None),
    "entr": (ad.entr, lambda x: -x * mp.log(x), 0, 1e4, lambda x: -mp.log(x) - 1),
}


def derivatives(f: Callable[..., Any], *xs: Any) -> tuple[Any, list[Any], list[Any]]:
    """f, its gradient and the gradient of the sum of that, in each argument."""
    ts = [ad.constant(x) for x in xs]
    with ad.GradientTape(persistent=True) as outer:
        outer.watch(ts)
        with ad.GradientTape() as inner:
            inner.watch(ts)
            y = f(*ts)
        gs = inner.gradient(y, ts)
    return y.numpy(), [g.numpy() for g in gs], [outer.gradient(g, t).numpy() for g, t in zip(gs, ts)]


def ulps(got: Any, true: Any) -> float:
    info = np.finfo(got.dtype)
    size = abs(mp.mpf(true))
    exponent = max(int(mp.floor(mp.log(size, 2))) if size else info.minexp, info.minexp)
    return float(abs(mp.mpf(float(got)) - true) / mp.mpf(2) ** (exponent - info.nmant))


def last(kernels: float = 0.51) -> float:
    """Bound for float32: the kernels round once, compiled loops may be 2 ulp off."""
    return 2.0 if config.engine == "llvm" else kernels


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_value_and_derivative_are_right_to_the_last_digit(name: str) -> None:
    f, exact, low, high, slope = FUNCTIONS[name]
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(low, high, 8), rng.uniform(max(low, -3), min(high, 3), 8)])
    if low <= 0 <= high:
        x = np.concatenate([x, high * 10.0 ** rng.uniform(-12, 0, 4)])
    if low == 0 and high == 1:
        x = np.concatenate([x, 1 - 10.0 ** rng.uniform(-7, -1, 4)])
    x = x.astype(np.float32)
    y, (g,), (h,) = derivatives(f, x)
    with mp.workdps(60):
        for k in range(x.size):
            at = mp.mpf(float(x[k]))
            step = mp.mpf(10) ** -20 * min(1, abs(at), abs(1 - at) or 1)
            assert ulps(y[k], exact(at).real) <= last(), (name, x[k])
            first = slope(at) if slope else mp.diff(exact, at, h=step)
            assert abs(first) > 3e38 or ulps(g[k], first) <= last(), (name, "derivative", x[k], g[k], float(first))
            second = mp.diff(slope, at, h=step) if slope else mp.diff(exact, at, 2, h=step)
            if abs(second) < 1e38:
                assert ulps(h[k], second) <= last(0.6), (name, "second derivative", x[k], h[k], float(second))


def test_every_order_of_lgamma() -> None:
    x = ad.constant(np.array([0.3, 2.5, 7.0]))
    f: Any = ad.lgamma
    for order in range(1, 6):
        f = ad.grad(lambda t, f=f: ad.sum(f(t)))
        want = [float(mp.psi(order - 1, v)) for v in x.tolist()]
        np.testing.assert_allclose(f(x).numpy(), want, rtol=1e-13)


def test_lgamma_near_its_zeros_in_float64() -> None:
    x = np.array([1 - 1e-9, 1 + 1e-12, 2 - 1e-10, 2 + 1e-7])
    with mp.workdps(40):
        for got, v in zip(ad.lgamma(x).numpy(), x):
            assert ulps(got, mp.loggamma(mp.mpf(float(v)))) <= 2


def test_tails_in_float64() -> None:
    """Where exp(-x^2) would carry the rounding of x^2 hundreds of times over."""
    x = np.array([-37.0, -20.3, -8.7, 5.1, 20.3])
    with mp.workdps(60):
        for got, v in zip(ad.ndtr(x).numpy(), x):
            assert ulps(got, mp.ncdf(mp.mpf(float(v)))) <= 5
        for got, v in zip(ad.erfc(x / 2).numpy(), x / 2):
            assert ulps(got, mp.erfc(mp.mpf(float(v)))) <= 5
        for got, v in zip(derivatives(ad.erf, x / 2)[1][0], x / 2):
            assert ulps(got, 2 / mp.sqrt(mp.pi) * mp.exp(-mp.mpf(float(v)) ** 2)) <= 4


def test_ends_and_poles() -> None:
    assert ad.erfinv(ad.constant([-1.0, 1.0])).tolist() == [-INF, INF]
    assert np.isnan(ad.erfinv(ad.constant(1.5)).numpy())
    assert ad.logit(ad.constant([0.0, 1.0])).tolist() == [-INF, INF]
    assert ad.entr(ad.constant([0.0, -1.0])).tolist() == [0.0, -INF]
    assert ad.lgamma(ad.constant([0.0, -1.0, INF, -INF])).tolist() == [INF, INF, INF, INF]
    assert ad.trigamma(ad.constant([0.0, -2.0])).tolist() == [INF, INF]
    assert ad.sinc(ad.constant([0.0, 1.0, INF])).tolist() == [1.0, 0.0, 0.0]
    for f, low, high in ((ad.erf, -1, 1), (ad.erfc, 2, 0), (ad.ndtr, 0, 1), (ad.log_ndtr, -INF, 0)):
        y, (g,), (h,) = derivatives(f, np.array([-INF, INF], np.float32))
        assert y.tolist() == [low, high]
        assert not np.isnan(g).any()
        assert not np.isnan(h).any()
    assert derivatives(ad.sinc, np.zeros(1, np.float32))[1][0][0] == 0
    np.testing.assert_allclose(derivatives(ad.sinc, np.zeros(1))[2][0], -np.pi**2 / 3, rtol=1e-15)


def check_partials(f: Callable[..., Any], exact: Callable[..., Any], *xs: float, rtol: float = 1e-10) -> None:
    y, gs, hs = derivatives(f, *[np.array(x) for x in xs])
    with mp.workdps(30):
        np.testing.assert_allclose(float(y), float(exact(*xs)), rtol=rtol)
        for k, (g, h) in enumerate(zip(gs, hs)):
            def along(t: Any, k: int = k) -> Any:
                return exact(*[t if j == k else v for j, v in enumerate(xs)])

            np.testing.assert_allclose(float(g), float(mp.diff(along, xs[k])), rtol=rtol)
            np.testing.assert_allclose(float(h), float(mp.diff(along, xs[k], 2)), rtol=100 * rtol)


@pytest.mark.parametrize(("a", "x"), [(0.3, 0.1), (0.3, 4.0), (2.5, 2.0), (8.0, 20.0), (30.0, 25.0)])
def test_incomplete_gamma_in_both_arguments(a: float, x: float) -> None:
    check_partials(ad.igamma, lambda s, t: mp.gammainc(s, 0, t, regularized=True), a, x, rtol=1e-9)
    check_partials(ad.igammac, lambda s, t: mp.gammainc(s, t, mp.inf, regularized=True), a, x, rtol=1e-9)


@pytest.mark.parametrize(("a", "b", "x"), [(2.0, 3.0, 0.4), (0.5, 0.7, 0.05), (6.0, 1.5, 0.9)])
def test_incomplete_beta_in_all_arguments(a: float, b: float, x: float) -> None:
    check_partials(ad.betainc, lambda s, t, u: mp.betainc(s, t, 0, u, regularized=True), a, b, x, rtol=1e-8)


def test_betaln_and_zeta_in_both_arguments() -> None:
    check_partials(ad.betaln, lambda s, t: mp.log(mp.beta(s, t)), 2.5, 0.7)
    check_partials(ad.zeta, lambda s, q: mp.zeta(s, q), 2.5, 0.7)
    check_partials(ad.zeta, lambda s, q: mp.zeta(s, q), 1.2, 6.0)


def test_betaln_of_unequal_arguments_keeps_its_digits() -> None:
    """digamma(a) - digamma(a + b) for b much smaller than a."""
    _, (g, _), _ = derivatives(ad.betaln, np.float32(1000.0), np.float32(1e-4))
    with mp.workdps(40):
        a, b = mp.mpf(1000), mp.mpf(float(np.float32(1e-4)))
        assert ulps(g, mp.digamma(a) - mp.digamma(a + b)) <= 0.6


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(DtypeError, match="integer"):
        ad.polygamma(1.5, ad.constant(1.0))
    with pytest.raises(DtypeError, match="at least 0"):
        ad.polygamma(-1, ad.constant(1.0))
    with pytest.raises(DtypeError, match="floating"):
        ad.erf(ad.constant([1, 2]))
    assert ad.polygamma(0, ad.constant(1.0)).numpy() == ad.digamma(ad.constant(1.0)).numpy()

"""Activations and losses from logits: digits against mpmath, edges, masks, confident predictions, errors."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import adjoint as ad
from adjoint import nn
from adjoint._config import config
from adjoint._errors import ArgumentError, AxisError, DtypeError, IndexingError, ShapeError

INF, NAN = float("inf"), float("nan")


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


SELU_SCALE, SELU_ALPHA = mp.mpf("1.0507009873554804934"), mp.mpf("1.6732632423543772848")

SMOOTH: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], float]] = {
    "sigmoid": (nn.sigmoid, sigmoid, 80.0),
    "softplus": (nn.softplus, lambda x: mp.log1p(mp.exp(x)), 80.0),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -mp.log1p(mp.exp(-x)), 80.0),
    "silu": (nn.silu, lambda x: x * sigmoid(x), 80.0),
    "mish": (nn.mish, lambda x: x * mp.tanh(mp.log1p(mp.exp(x))), 80.0),
    "gelu": (nn.gelu, lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, 12.0),
    "gelu_tanh": (lambda x: nn.gelu(x, approximate=True),
                  lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3)), 10.0),
    "softsign": (nn.softsign, lambda x: x / (1 + abs(x)), 1e3),
    "tanhshrink": (nn.tanhshrink, lambda x: x - mp.tanh(x), 20.0),
    "log_cosh": (nn.log_cosh, lambda x: mp.log(mp.cosh(x)), 20.0),
    "squareplus": (nn.squareplus, lambda x: (x + mp.sqrt(x * x + 4)) / 2, 1e3),
    "elu": (lambda x: nn.elu(x, 1.5), lambda x: x if x > 0 else mp.mpf("1.5") * mp.expm1(x), 80.0),
    "celu": (lambda x: nn.celu(x, 2.0), lambda x: x if x > 0 else 2 * mp.expm1(x / 2), 80.0),
    "selu": (nn.selu, lambda x: SELU_SCALE * (x if x > 0 else SELU_ALPHA * mp.expm1(x)), 80.0),
}


def derivatives(f: Callable[[Any], Any], x: Any) -> list[Any]:
    """f, f' and f'' in reverse mode, and f' in forward mode."""
    x = ad.constant(x)
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)
    h = outer.gradient(g, x)
    with ad.ForwardAccumulator(x, ad.ones_like(x)) as forward:
        z = f(x)
    return [None if v is None else v.numpy() for v in (y, g, h, forward.jvp(z))]


def ulps(got: Any, true: Any) -> float:
    """The distance from the exact value in units of got's last place."""
    info = np.finfo(got.dtype)
    size = abs(mp.mpf(true))
    exponent = max(int(mp.floor(mp.log(size, 2))) if size else info.minexp, info.minexp)
    return float(abs(mp.mpf(float(got)) - true) / mp.mpf(2) ** (exponent - info.nmant))


def last(kernels: float = 0.51) -> float:
    """Bound for float32: the kernels round once, compiled loops may be 2 ulp off."""
    return 2.0 if config.engine == "llvm" else kernels


def points(reach: float, dtype: Any) -> Any:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.uniform(-reach, reach, 6), rng.uniform(-3, 3, 12), 10.0 ** rng.uniform(-20, 0, 3),
                        -(10.0 ** rng.uniform(-20, 0, 3))])
    return x.astype(dtype)


@pytest.mark.parametrize("name", SMOOTH)
def test_float32_is_right_to_the_last_digit(name: str) -> None:
    f, exact, reach = SMOOTH[name]
    x = points(reach, np.float32)
    y, g, h, forward = derivatives(f, x)
    np.testing.assert_array_equal(g, forward)
    with mp.workdps(60):
        for k in range(x.size):
            at = mp.mpf(float(x[k]))
            for order, got in enumerate((y, g, h)):
                true = exact(at) if order == 0 else mp.diff(exact, at, order, h=mp.mpf(10) ** -22 * min(1, abs(at)))
                assert ulps(got[k], true) <= last(), f"{name}, order {order}, at {x[k]!r}: {got[k]!r} for {float(true)!r}"


@pytest.mark.parametrize("name", SMOOTH)
def test_float64_stays_within_a_few_ulp(name: str) -> None:
    f, exact, reach = SMOOTH[name]
    x = points(reach, np.float64)
    y, g, _, _ = derivatives(f, x)
    with mp.workdps(150):
        for k in range(x.size):
            at = mp.mpf(float(x[k]))
            step = mp.mpf(10) ** -30 * min(1, abs(at))
            assert ulps(y[k], exact(at)) <= 4, f"{name} at {x[k]!r}"
            slope, bend = mp.diff(exact, at, h=step), mp.diff(exact, at, 2, h=step)
            room = max(1, abs(at * bend / slope)) if slope else 1
            assert ulps(g[k], slope) <= 4 * room, f"{name}' at {x[k]!r}: {g[k]!r} for {float(slope)!r}"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_rounds_once(dtype: str) -> None:
    x = ad.cast(ad.constant([-2.5, -0.75, 0.5, 3.0]), dtype)
    for f in (nn.gelu, nn.silu, nn.mish, nn.sigmoid, nn.softplus, nn.relu, nn.softmax, nn.log_softmax, nn.leaky_relu):
        y = f(x)
        assert y.dtype == dtype
        want = f(ad.cast(x, ad.float32)).numpy().astype(y.dtype.np)
        np.testing.assert_array_equal(y.numpy(), want)


def test_infinities_zeros_and_nan() -> None:
    x = np.array([-INF, -1e30, -0.0, 0.0, 1e-40, 1e30, INF], np.float32)
    limits = {nn.silu: (-0.0, INF), nn.gelu: (-0.0, INF), nn.mish: (-0.0, INF), nn.softsign: (-1, 1), nn.sigmoid: (0, 1),
              nn.softplus: (0, INF), nn.squareplus: (0, INF), nn.hard_silu: (0, INF), nn.elu: (-1, INF)}
    for f, (low, high) in limits.items():
        y, g, h, _ = derivatives(f, x)
        assert (y[0], y[-1]) == (low, high), f.__name__
        assert not np.isnan(g).any(), f.__name__
        assert not np.isnan(h).any(), f.__name__
        assert np.isnan(f(ad.constant(NAN)).numpy()), f.__name__
    assert np.signbit(nn.gelu(ad.constant(-0.0)).numpy())


KINKED: list[tuple[Any, list[float], list[float], list[float]]] = [
    (nn.relu, [-1, 0, 2], [0, 0, 2], [0, 0, 1]),
    (nn.relu6, [-1, 0, 3, 6, 7], [0, 0, 3, 6, 6], [0, 0, 1, 0, 0]),
    (nn.hard_tanh, [-2, -1, 0.5, 1, 3], [-1, -1, 0.5, 1, 1], [0, 0, 1, 0, 0]),
    (nn.hard_sigmoid, [-3, 0, 3], [0, 0.5, 1], [0, 1 / 6, 0]),
    (nn.hard_silu, [-4, -3, 0, 3, 4], [0, 0, 0, 3, 4], [0, 0, 0.5, 1, 1]),
    (lambda x: nn.leaky_relu(x, 0.25), [-2, 0, 2], [-0.5, 0, 2], [0.25, 0.25, 1]),
    (nn.soft_shrink, [-2, -0.25, 0.25, 2], [-1.5, 0, 0, 1.5], [1, 0, 0, 1]),
    (nn.hard_shrink, [-2, -0.5, 0.25, 2], [-2, 0, 0, 2], [1, 0, 0, 1]),
    (lambda x: nn.threshold(x, 1.0, -5.0), [0, 1, 2], [-5, -5, 2], [0, 0, 1]),
    (lambda x: nn.elu(x, 2.0), [0, 1], [0, 1], [2, 1]),
]


@pytest.mark.parametrize("case", KINKED)
def test_kinks(case: Any) -> None:
    f, x, y, slope = case
    got = derivatives(f, np.array(x, np.float32))
    np.testing.assert_allclose(got[0], y, rtol=1e-7)
    np.testing.assert_allclose(got[1], slope, rtol=1e-7)
    np.testing.assert_allclose(got[3], slope, rtol=1e-7)


def test_a_closed_gate_stops_an_infinite_cotangent() -> None:
    x = ad.constant([-1.0, 1.0])
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = nn.relu(x)
    assert tape.gradient(y, x, output_gradients=ad.constant([INF, 1.0])).tolist() == [0.0, 1.0]


def test_glu() -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.testing.assert_allclose(nn.glu(x).numpy(), x[:, :2] / (1 + np.exp(-x[:, 2:])), rtol=1e-6)
    np.testing.assert_allclose(nn.glu(x, axis=0).numpy(), x[:1] / (1 + np.exp(-x[1:])), rtol=1e-6)
    with pytest.raises(ShapeError, match="even"):
        nn.glu(ad.zeros((2, 3)))


# ------------------------------------------------------------------------------------------------------------- softmax

def test_a_confident_loss_is_not_zero() -> None:
    logits = np.array([[23.0, 0.0, -1.0]], np.float32)
    labels = np.array([[1.0, 0.0, 0.0]], np.float32)
    others = mp.exp(-23) + mp.exp(-24)
    loss, first, second = mp.log1p(others), -others / (1 + others), mp.exp(-23) / (1 + others)
    for f in (lambda x: nn.softmax_cross_entropy_with_logits(labels, x),
              lambda x: nn.sparse_softmax_cross_entropy_with_logits([0], x), lambda x: -nn.log_softmax(x)[:, 0]):
        y, g, _, forward = derivatives(f, logits)
        assert ulps(y[0], loss) <= last()
        assert ulps(g[0, 0], first) <= last()
        assert ulps(g[0, 1], second) <= last()
        np.testing.assert_allclose(forward[0], float(first + others / (1 + others)), atol=1e-16)


def test_binary_cross_entropy_tails() -> None:
    for z, x in ((1.0, 30.0), (0.0, -30.0)):
        label = [z]
        y, g, h, _ = derivatives(lambda t: nn.sigmoid_cross_entropy_with_logits(label, t), np.array([x], np.float32))
        assert ulps(y[0], mp.log1p(mp.exp(-30))) <= last()
        assert ulps(g[0], (-1 if z else 1) * sigmoid(mp.mpf(-30))) <= last()
        assert ulps(h[0], sigmoid(mp.mpf(30)) * sigmoid(mp.mpf(-30))) <= last()
    assert nn.sigmoid_cross_entropy_with_logits([1.0, 0.0], ad.constant([INF, -INF])).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_softmax_family_against_mpmath(dtype: Any, scale: float) -> None:
    rng = np.random.default_rng(int(scale))
    x, g = (scale * rng.normal(size=7)).astype(dtype), rng.normal(size=7).astype(dtype)
    with mp.workdps(400):
        e = [mp.exp(mp.mpf(float(v))) for v in x]
        total = sum(e)
        p = [v / total for v in e]
        mean = sum(a * mp.mpf(float(b)) for a, b in zip(p, g))
        summed = sum(mp.mpf(float(b)) for b in g)
        want = {
            "softmax": (p, [a * (mp.mpf(float(b)) - mean) for a, b in zip(p, g)]),
            "log_softmax": ([mp.log(a) for a in p], [mp.mpf(float(b)) - a * summed for a, b in zip(p, g)]),
        }
        limit = last(0.6) if dtype is np.float32 else 12
        for name, (values, slopes) in want.items():
            t = ad.constant(x)
            with ad.GradientTape() as tape:
                tape.watch(t)
                y = getattr(nn, name)(t)
            got = tape.gradient(y, t, output_gradients=ad.constant(g)).numpy()
            for k in range(7):
                assert ulps(y.numpy()[k], values[k]) <= limit, (name, k)
                assert ulps(got[k], slopes[k]) <= limit, (name, "gradient", k)
        assert ulps(nn.logsumexp(x).numpy(), mp.log(total)) <= limit


def test_masks() -> None:
    x = np.array([[-INF, -INF], [-INF, 0.0], [INF, 0.0], [INF, INF]], np.float32)
    y, g, h, _ = derivatives(nn.softmax, x)
    np.testing.assert_array_equal(y, [[0, 0], [0, 1], [1, 0], [0.5, 0.5]])
    assert not np.isnan(g).any()
    assert not np.isnan(h).any()
    y, g, _, _ = derivatives(nn.log_softmax, x[:3])
    np.testing.assert_array_equal(y, [[-INF, -INF], [-INF, 0], [0, -INF]])
    np.testing.assert_array_equal(g, [[0, 0], [1, -1], [-1, 1]])
    y, g, _, _ = derivatives(lambda t: nn.logsumexp(t, 1), x[:3])
    np.testing.assert_array_equal(y, [-INF, 0, INF])
    np.testing.assert_array_equal(g, [[0, 0], [0, 1], [1, 0]])
    masked = nn.softmax_cross_entropy_with_logits([[0.0, 1.0]], ad.constant(x[1:2]))
    assert masked.tolist() == [0.0]
    assert np.isnan(nn.softmax(ad.constant([NAN, 0.0])).numpy()).all()


def test_labels_are_differentiated_too() -> None:
    rng = np.random.default_rng(0)
    z, x = ad.constant(rng.random((2, 3))), ad.constant(rng.normal(size=(2, 3)))
    with ad.GradientTape() as tape:
        tape.watch([z, x])
        y = nn.softmax_cross_entropy_with_logits(z, x)
    dz, dx = tape.gradient(y, [z, x])
    np.testing.assert_allclose(dz.numpy(), -nn.log_softmax(x).numpy(), rtol=1e-14)
    np.testing.assert_allclose(dx.numpy(), (nn.softmax(x) * ad.sum(z, 1, keepdims=True) - z).numpy(), rtol=1e-12)


def test_axes_and_empty_rows() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(nn.softmax(x, axis=(0, 2)).numpy().sum((0, 2)), 1, rtol=1e-14)
    np.testing.assert_allclose(nn.softmax(x, axis=1).numpy().sum(1), 1, rtol=1e-14)
    assert nn.logsumexp(x, keepdims=True).shape == (1, 1, 1)
    assert nn.softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert nn.logsumexp(np.zeros((2, 0), np.float32), 1).tolist() == [-INF, -INF]
    assert float(nn.logsumexp(2.0)) == 2.0


def test_l2_normalize() -> None:
    for size in (1e30, 1e-30, 1.0):
        y = nn.l2_normalize(ad.constant([3 * size, 4 * size]), epsilon=0.0)
        np.testing.assert_allclose(y.numpy(), [0.6, 0.8], rtol=1e-7)
    y, g, h, _ = derivatives(lambda x: nn.l2_normalize(x, epsilon=0.0), np.zeros(3, np.float32))
    assert (y == 0).all()
    assert (g == 0).all()
    assert (h == 0).all()
    x = np.array([1.0, 1e-6], np.float32)
    t = ad.constant(x)
    with ad.GradientTape() as tape:
        tape.watch(t)
        y = nn.l2_normalize(t)[0]
    a, b = mp.mpf(float(x[0])), mp.mpf(float(x[1]))
    assert ulps(tape.gradient(y, t).numpy()[0], b * b / mp.hypot(a, b) ** 3) <= last()


def test_wrong_arguments_are_refused() -> None:
    x = ad.constant([[1.0, 2.0, 3.0]])
    with pytest.raises(DtypeError, match="floating"):
        nn.sigmoid(ad.constant([1, 2]))
    with pytest.raises(AxisError):
        nn.softmax(x, axis=2)
    with pytest.raises(AxisError):
        nn.softmax(1.0)
    with pytest.raises(ShapeError, match="logits' shape"):
        nn.softmax_cross_entropy_with_logits(ad.zeros((3, 1)), x)
    with pytest.raises(ShapeError, match="logits' shape"):
        nn.sigmoid_cross_entropy_with_logits(ad.zeros((3,)), ad.zeros((3, 1)))
    with pytest.raises(ShapeError, match="last axis"):
        nn.sparse_softmax_cross_entropy_with_logits([0, 1], x)
    with pytest.raises(DtypeError, match="integers"):
        nn.sparse_softmax_cross_entropy_with_logits([0.0], x)
    with pytest.raises(IndexingError, match="number of classes"):
        nn.sparse_softmax_cross_entropy_with_logits([3], x).numpy()
    with pytest.raises(ArgumentError, match="positive"):
        nn.celu(x, alpha=0.0)


def test_mapped_over_a_batch() -> None:
    x = np.random.default_rng(1).normal(size=(4, 3))
    for f in (nn.softmax, nn.log_softmax, nn.gelu, lambda v: nn.leaky_relu(v, 0.1)):
        np.testing.assert_allclose(ad.vmap(f)(ad.constant(x)).numpy(), f(ad.constant(x)).numpy(), rtol=1e-14)
    np.testing.assert_allclose(ad.vmap(lambda v: nn.logsumexp(v))(ad.constant(x)).numpy(),
                               nn.logsumexp(x, 1).numpy(), rtol=1e-14)

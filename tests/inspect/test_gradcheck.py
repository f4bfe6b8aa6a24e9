"""check_gradients finds what is planted and nothing else; ad.testing's assertions."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as ad

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("f", "args"), [
    (lambda x: x * ad.sin(x), (ad.constant([1.0, 2.0]),)),
    (lambda x: ad.log(x), (np.array([1e-3, 1.0, 1e3]),)),
    (lambda x, y: ad.matmul(x, y), (RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)))),
    (lambda p: ad.tanh(ad.matmul(p["x"], p["w"])), ({"w": RNG.normal(size=(3, 2)), "x": RNG.normal(size=(2, 3))},)),
    (lambda x, n: ad.sum(ad.exp(x * n)), (RNG.normal(size=(3, 2)), 2)),
    (lambda x: (ad.sum(x), x * x), (ad.Variable([1.0, 2.0]),)),
    (lambda x: ad.softmax(x), (RNG.normal(size=(2, 3)),)),
    (lambda x: ad.floor(x), (1.5,)),
    (lambda x: x, (1.5,)),
])
def test_right_gradients_agree(f: Any, args: Any) -> None:
    report = ad.check_gradients(f, *args)
    assert report, str(report)
    assert len(report.checks) == 4
    assert all(c.compared for c in report.checks)
    assert "agree" in str(report)


@ad.custom_gradient
def wrong_in_one_place(x: Any) -> Any:
    factor = ad.constant([[2.0, 2.0], [3.0, 2.0]], dtype=ad.float64)
    return x * x, lambda dy: dy * factor * x


def test_a_wrong_gradient_is_found_at_its_index() -> None:
    report = ad.check_gradients(wrong_in_one_place, [[1.0, 2.0], [5.0, 4.0]])
    assert not report
    for check in report.checks[:2]:
        assert not check.ok
        assert check.where == "output[1, 0] by argument 0[1, 0]"
        assert abs(check.expected - 10.0) < 1e-6
        assert check.found == 15.0
    assert "expected 10" in str(report)
    assert "found 15" in str(report)


def test_a_wrong_second_derivative_is_found() -> None:
    @ad.custom_gradient
    def cube(x: Any) -> Any:
        return x * x * x, lambda dy: dy * ad.stop_gradient(3.0 * x) * x

    assert ad.check_gradients(cube, 2.0, order=1)
    report = ad.check_gradients(cube, 2.0)
    assert [c.ok for c in report.checks] == [True, True, False, False]


@pytest.mark.parametrize(("f", "found"), [
    (lambda x: ad.abs(x), 0.0), (lambda x: ad.maximum(x, 0.5 * x), 0.75), (lambda x: ad.nn.relu(x), 0.0),
])
def test_kinks_are_recognised(f: Any, found: float) -> None:
    report = ad.check_gradients(f, [1.0, 0.0, -2.0])
    assert report, str(report)
    assert len(report.kinks) == 1
    kink = report.kinks[0]
    assert kink.where == "output[1] by argument 0[1]"
    assert kink.found == found
    assert kink.left < kink.right
    assert report.checks[0].compared == 8


def test_a_wrong_choice_at_a_kink_is_found() -> None:
    @ad.custom_gradient
    def bent(x: Any) -> Any:
        return ad.abs(x), lambda dy: dy * ad.where(x == 0, ad.full((), 5.0, dtype=ad.float64), ad.sign(x))

    report = ad.check_gradients(bent, [1.0, 0.0], order=1)
    assert not report
    assert "does NOT lie between" in str(report)


def test_infinite_derivatives_are_left_out() -> None:
    report = ad.check_gradients(lambda x: ad.sqrt(x), [0.0, 4.0])
    assert report, str(report)
    assert "infinite" in str(report)
    assert report.checks[0].compared == 1


def test_many_coordinates_are_sampled() -> None:
    report = ad.check_gradients(lambda x: ad.sum(x * x), RNG.normal(size=200), most=10, order=1)
    assert report
    assert report.checks[1].compared == 10
    assert "10 of 200" in str(report)


def test_what_cannot_be_checked() -> None:
    with pytest.raises(TypeError, match=r"3\.0 instead of 3"):
        ad.check_gradients(lambda x: x, 3)
    with pytest.raises(ValueError, match="two values"):
        ad.check_gradients(lambda x: x + ad.random.normal(()), 1.0)
    with pytest.raises(ValueError, match="order"):
        ad.check_gradients(lambda x: x, 1.0, order=3)
    with pytest.raises(TypeError, match="what f returns"):
        ad.check_gradients(lambda x: 1, 1.0)
    with pytest.raises(TypeError, match="an argument"):
        ad.check_gradients(lambda x: x, "1j")


@pytest.mark.parametrize("f", [
    lambda z: ad.exp(z) * z, lambda z: ad.sqrt(z), lambda z: ad.conj(z) * z, lambda z: ad.sum(ad.abs(z) ** 2),
    lambda z: [ad.real(z) * 2.0, z / (1.0 + z)],
])
def test_complex_arguments_are_two_real_ones(f: Any) -> None:
    z = np.array([0.7 - 0.4j, 1.5 + 0.3j])
    report = ad.check_gradients(f, z)
    assert report
    assert report.checks[0].compared % 4 == 0
    assert ad.check_gradients(lambda x, z: x * ad.sum(z * z), 1.5, z)


def test_a_forgotten_conjugate_is_found() -> None:
    @ad.custom_gradient
    def square(z: Any) -> Any:
        return z * z, lambda g: g * 2.0 * z              # must be conj(z)

    report = ad.check_gradients(square, 1 + 2j, order=1)
    worst = report.checks[0]
    assert not report
    assert worst.where == "the imaginary part of output by the real part of argument 0"
    assert (round(worst.expected, 6), worst.found) == (4, -4)


def test_assert_gradients() -> None:
    ad.testing.assert_gradients(lambda x: ad.exp(x), 1.0)
    with pytest.raises(AssertionError, match="WRONG"):
        ad.testing.assert_gradients(lambda x: x * ad.stop_gradient(x), 1.0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("start", [1.0, -1.0, 3.7, 1e-4, 0.0])
def test_ulp_difference_counts_neighbours(dtype: Any, start: float) -> None:
    a = b = dtype(start)
    for n in range(4):
        assert float(ad.testing.ulp_difference(b, a)) == n
        b = np.nextafter(b, dtype(4.0) if start >= 0 else dtype(-4.0))


def test_ulp_difference_at_the_edges() -> None:
    inf, nan = np.inf, np.nan
    got = ad.testing.ulp_difference(np.array([inf, nan, inf, 1.0, nan, -0.0]), np.array([inf, nan, -inf, inf, 1.0, 0.0]))
    assert got.tolist() == [0, 0, inf, inf, inf, 0]
    assert float(ad.testing.ulp_difference(ad.constant(1.0), 1.0 + 2.0 ** -25)) == 0.25


def test_assert_close() -> None:
    third = np.float32(1) / np.float32(3)
    ad.testing.assert_close(ad.constant(1.0) / 3.0, 1 / 3, ulps=0.5)
    with pytest.raises(AssertionError, match=r"index \(1,\).*ulp"):
        ad.testing.assert_close(np.array([third, third * np.float32(1.0001)]), np.array([1 / 3, 1 / 3]))
    ad.testing.assert_close(np.array([third, third * np.float32(1.0001)]), np.array([1 / 3, 1 / 3]), rtol=1e-3)
    with pytest.raises(AssertionError, match="shapes"):
        ad.testing.assert_close(np.zeros(2), np.zeros(3))
    ad.testing.assert_close(ad.constant(1 + 2j), 1 + 2j)

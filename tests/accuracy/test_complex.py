"""docs/complex.md: one convention for complex derivatives in reverse mode, forward mode and second order."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import adjoint as ad

RNG = np.random.default_rng(8)
Z = RNG.normal(size=5) + 1j * RNG.normal(size=5)
T = RNG.normal(size=5) + 1j * RNG.normal(size=5)
G = RNG.normal(size=5) + 1j * RNG.normal(size=5)

# f, its derivative along t, its transpose for g
HOLOMORPHIC = {
    "exp": (ad.exp, np.exp(Z)), "sin": (ad.sin, np.cos(Z)), "square": (ad.square, 2 * Z), "log": (ad.log, 1 / Z),
    "reciprocal": (ad.reciprocal, -1 / Z**2), "tanh": (ad.tanh, 1 / np.cosh(Z) ** 2), "sqrt": (ad.sqrt, 0.5 / np.sqrt(Z)),
    "power": (lambda z: z**3, 3 * Z**2),
}
RULES: dict[str, tuple[Any, Any, Any]] = {
    **{name: (f, slope * T, np.conj(slope) * G) for name, (f, slope) in HOLOMORPHIC.items()},
    "conj": (ad.conj, np.conj(T), np.conj(G)),
    "real": (ad.real, T.real, G.real),
    "imag": (ad.imag, T.imag, 1j * G.real),
    "abs": (ad.abs, (np.conj(Z) * T).real / np.abs(Z), G.real * Z / np.abs(Z)),
    "angle": (ad.angle, (np.conj(Z) * T).imag / np.abs(Z) ** 2, 1j * G.real * Z / np.abs(Z) ** 2),
}


def pulled(f: Any, z: Any, g: Any) -> Any:
    x = ad.constant(z)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    g = np.asarray(g).real if y.dtype.kind == "f" else g
    return tape.gradient(y, x, output_gradients=ad.constant(g)).numpy()


def pushed(f: Any, z: Any, t: Any) -> Any:
    x = ad.constant(z)
    with ad.ForwardAccumulator(x, ad.constant(t)) as acc:
        y = f(x)
    return acc.jvp(y).numpy()


@pytest.mark.parametrize("name", RULES)
def test_both_modes(name: str) -> None:
    f, tangent, cotangent = RULES[name]
    np.testing.assert_allclose(pushed(f, Z, T), tangent, rtol=1e-13)
    np.testing.assert_allclose(pulled(f, Z, G), cotangent, rtol=1e-13)


@pytest.mark.parametrize("name", RULES)
def test_the_modes_are_each_others_transposes(name: str) -> None:
    f = RULES[name][0]
    forward, backward = pushed(f, Z, T), pulled(f, Z, G)
    g = G if np.iscomplexobj(forward) else G.real
    assert np.sum((np.conj(g) * forward).real) == pytest.approx(np.sum((np.conj(backward) * T).real), rel=1e-12)


def loss(z: Any) -> Any:
    return ad.sum(ad.abs(ad.sin(z) * ad.conj(z) + 1.5) ** 2 + ad.real(z) * ad.angle(z))


def gradient(z: Any) -> Any:
    return pulled(loss, z, 1.0)


def test_the_gradient_is_the_steepest_ascent() -> None:
    def at(z: Any) -> float:
        return float(loss(ad.constant(z)))

    h = 1e-6
    for k in range(len(Z)):
        e = np.zeros(5)
        e[k] = h
        in_x, in_y = (at(Z + e) - at(Z - e)) / (2 * h), (at(Z + 1j * e) - at(Z - 1j * e)) / (2 * h)
        assert gradient(Z)[k] == pytest.approx(in_x + 1j * in_y, rel=1e-7)


def test_a_complex_target_counts_by_its_real_part() -> None:
    x = ad.constant(Z)
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = ad.exp(x)
        part = ad.real(y)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), np.conj(np.exp(Z)), rtol=1e-14)
    np.testing.assert_allclose(tape.gradient(part, x).numpy(), np.conj(np.exp(Z)), rtol=1e-14)


def test_second_order_is_the_hessian_of_pairs() -> None:
    """Reverse over reverse and forward over reverse, against differences of the gradient."""
    x = ad.constant(Z)
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = loss(x)
        along = ad.sum(ad.real(ad.conj(ad.constant(T)) * inner.gradient(y, x)))
    h = 1e-6
    want = (gradient(Z + h * T) - gradient(Z - h * T)) / (2 * h)
    np.testing.assert_allclose(outer.gradient(along, x).numpy(), want, rtol=1e-6)
    with ad.ForwardAccumulator(x, ad.constant(T)) as acc:
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = loss(x)
        g = tape.gradient(y, x)
    np.testing.assert_allclose(acc.jvp(g).numpy(), want, rtol=1e-6)


def test_what_flows_into_a_real_value_is_real() -> None:
    a, b = ad.constant(RNG.normal(size=5)), ad.constant(RNG.normal(size=5))
    with ad.GradientTape() as tape:
        tape.watch([a, b])
        z = ad.complex(a, b)
    of_a, of_b = tape.gradient(z, [a, b], output_gradients=ad.constant(G))
    np.testing.assert_array_equal(of_a.numpy(), G.real)
    np.testing.assert_array_equal(of_b.numpy(), G.imag)

"""Every primitive: value, shape, dtype, both modes, second order; and proof that the checks can fail."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adjoint._dtypes import bool_, complex64, float32, float64, int32
from adjoint._errors import DtypeError
from adjoint._graph import REGISTRY, Primitive, spec
from registry import check_derivatives, check_value, primitives

CASES = [pytest.param(p, n, id=f"{p.name}-{n}") for p in primitives() for n in range(len(p.cases))]


def _plain(prim: Primitive) -> bool:
    """Elementwise and without parameters: can be sampled over its domain."""
    if not prim.elementwise or prim.cases or not prim.domain:
        return False
    try:
        dtype_of(prim)
    except (TypeError, AssertionError):
        return False
    return True


def dtype_of(prim: Primitive) -> np.dtype:
    """float64 where the primitive takes it, else int32, else bool."""
    for dtype in (float64, int32, bool_):
        try:
            prim.infer(*[spec((), dtype)] * len(prim.domain))
        except DtypeError:
            continue
        return dtype.np
    raise AssertionError(f"{prim.name} takes neither floats nor integers nor booleans")


SAMPLED = [p for p in primitives() if _plain(p)]


@pytest.mark.parametrize("prim", SAMPLED, ids=lambda p: p.name)
@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_elementwise_over_its_domain(prim: Primitive, data: st.DataObject) -> None:
    dtype = dtype_of(prim)
    arrays = []
    for low, high in prim.domain:
        if dtype.kind == "f":
            values = data.draw(st.lists(st.floats(low, high), min_size=3, max_size=3))
        elif dtype.kind == "i":
            values = data.draw(st.lists(st.integers(int(np.ceil(low)), int(high)), min_size=3, max_size=3))
        else:
            values = data.draw(st.lists(st.booleans(), min_size=3, max_size=3))
        arrays.append(np.array(values, dtype))
    check_value(prim, tuple(arrays), {})
    if prim.differentiable and dtype.kind == "f":
        away = [np.clip(a, low + 0.01 * (high - low), high - 0.01 * (high - low))
                for a, (low, high) in zip(arrays, prim.domain)]
        away = [np.where(np.abs(a - np.round(a)) < 0.02, a + 0.05 * (1 + k), a) for k, a in enumerate(away)]
        check_derivatives(prim, tuple(away), {}, rtol=1e-5)


@pytest.mark.parametrize(("prim", "number"), CASES)
def test_case(prim: Primitive, number: int) -> None:
    arrays, params = prim.cases[number](np.random.default_rng(7))
    check_value(prim, arrays, params, rtol=1e-5 if any(np.asarray(a).dtype == np.float32 for a in arrays) else 1e-9)
    if all(np.asarray(a).dtype not in (np.float32, np.complex64) for a in arrays):
        check_derivatives(prim, arrays, params)


@pytest.mark.parametrize("prim", [p for p in SAMPLED if len(p.domain) > 1], ids=lambda p: p.name)
def test_broadcasting_gradients_have_the_inputs_shape(prim: Primitive) -> None:
    dtype = dtype_of(prim)
    rng = np.random.default_rng(3)
    shapes = [(2, 1), (3,), ()][: len(prim.domain)]
    arrays = tuple((low + (high - low) * rng.uniform(0.1, 0.9, size=s)).astype(dtype)
                   for s, (low, high) in zip(shapes, prim.domain))
    check_value(prim, arrays, {})
    if dtype.kind == "f":
        check_derivatives(prim, arrays, {}, rtol=1e-5)


@pytest.mark.parametrize("prim", primitives(), ids=lambda p: p.name)
def test_is_described_and_testable(prim: Primitive) -> None:
    assert prim.doc.strip(), f"{prim.name} has no description"
    assert prim.domain or prim.cases, f"{prim.name} has neither a domain nor cases"
    assert prim.cases or prim in SAMPLED, f"{prim.name} has parameters, so it needs cases"
    if prim in SAMPLED:
        assert prim.oracle is not None, f"{prim.name} has no independent reference"


@pytest.mark.parametrize("prim", [p for p in SAMPLED if dtype_of(p).kind == "f"], ids=lambda p: p.name)
def test_float32_agrees_with_float64(prim: Primitive) -> None:
    rng = np.random.default_rng(11)
    wide = [low + (high - low) * rng.uniform(0.05, 0.95, size=20) for low, high in prim.domain]
    narrow = tuple(w.astype(np.float32) for w in wide)
    check_value(prim, narrow, {}, rtol=3e-6)
    assert prim.infer(*[spec((20,), float32)] * len(narrow)).dtype in (float32, bool_, complex64)


# ---------------------------------------------------------------------------------------------------- the checks can fail

def test_a_wrong_partial_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    sin = REGISTRY["sin"]
    right = sin.partials
    monkeypatch.setattr(sin, "partials", lambda y, x: (right(y, x)[0] * 1.0001,))
    with pytest.raises(AssertionError, match="reverse"):
        check_derivatives(sin, (np.array([0.3, 0.7]),), {})


def test_a_wrong_transpose_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    total = REGISTRY["sum"]
    right = total.vjp
    monkeypatch.setattr(total, "vjp", lambda g, y, x, **params: (right(g, y, x, **params)[0] * 2.0,))
    with pytest.raises(AssertionError, match="reverse"):
        check_derivatives(total, (np.ones((3, 4)),), {"axes": (0,), "keepdims": False})


def test_a_wrong_forward_rule_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    total = REGISTRY["sum"]
    monkeypatch.setattr(total, "jvp", lambda ts, y, x, **params: None)
    with pytest.raises(AssertionError, match="forward"):
        check_derivatives(total, (np.ones((3, 4)),), {"axes": (0,), "keepdims": False})


def test_a_wrong_second_derivative_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    import adjoint as ad

    cube = REGISTRY["square"]
    monkeypatch.setattr(cube, "partials", lambda y, x: (2.0 * ad.stop_gradient(x),))
    with pytest.raises(AssertionError, match="second order"):
        check_derivatives(cube, (np.array([0.3, 0.7]),), {})


def test_a_wrong_kernel_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = REGISTRY["exp"]
    monkeypatch.setattr(exp, "kernel", lambda x: np.exp(x) * (1 + 1e-8))
    with pytest.raises(AssertionError, match="value of exp"):
        check_value(exp, (np.array([0.3, 0.7]),), {})


def test_a_wrong_spec_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    exp = REGISTRY["exp"]
    monkeypatch.setattr(exp, "kernel", lambda x: np.exp(x).astype(np.float32))
    with pytest.raises(AssertionError, match="infer says"):
        check_value(exp, (np.array([0.3, 0.7]),), {})

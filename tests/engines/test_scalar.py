"""The scalar vocabulary without a compiler: accuracy against mpmath, and every lowering against its kernel."""
from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np
import pytest

import adjoint as ad  # noqa: F401  (fills the registry)
from adjoint._dtypes import as_dtype
from adjoint._errors import AdjointError
from adjoint._graph import REGISTRY, Primitive, spec
from adjoint._scalar import HALVES, NAMES, Functions, evaluate


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def normal(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def bent(x: Any) -> tuple[Any, Any]:
    """The argument of gelu's approximation and its slope."""
    rate = 2 * mp.sqrt(2 / mp.pi)
    return rate * (x + mp.mpf("0.044715") * x**3), rate * (1 + 3 * mp.mpf("0.044715") * x * x)


def gelu_tanh_slope(x: Any) -> Any:
    v, slope = bent(x)
    return sigmoid(v) * (1 + x * sigmoid(-v) * slope)


# Function, order of the derivative: exact value, bounds in units in the last place for float32 and float64.
FUNCTIONS: dict[tuple[str, int], tuple[Any, float, float]] = {
    ("exp", 0): (mp.exp, 1.05, 1.05), ("expm1", 0): (mp.expm1, 1.6, 1.6), ("exp2", 0): (lambda x: mp.mpf(2) ** x, 1.0, 1.0),
    ("log", 0): (mp.log, 1.0, 2.0), ("log1p", 0): (mp.log1p, 1.0, 2.0), ("log2", 0): (lambda x: mp.log(x, 2), 1.0, 2.0),
    ("log10", 0): (mp.log10, 1.0, 2.0), ("sin", 0): (mp.sin, 1.6, 1.0), ("cos", 0): (mp.cos, 1.6, 1.0),
    ("tan", 0): (mp.tan, 0.51, 2.0), ("sec2", 0): (lambda x: mp.sec(x) ** 2, 0.51, 3.0),
    ("sinh", 0): (mp.sinh, 0.51, 3.0), ("cosh", 0): (mp.cosh, 0.51, 3.0),
    ("tanh", 0): (mp.tanh, 1.2, 1.2), ("sech2", 0): (lambda x: mp.sech(x) ** 2, 1.6, 1.6),
    ("sigmoid", 0): (sigmoid, 1.6, 1.6), ("sigmoid", 1): (lambda x: sigmoid(x) * sigmoid(-x), 1.6, 1.6),
    ("sigmoid", 2): (lambda x: -sigmoid(x) * sigmoid(-x) * mp.tanh(x / 2), 3.5, 3.5),
    ("softplus", 0): (lambda x: mp.log1p(mp.exp(x)), 1.8, 2.0), ("erf", 0): (mp.erf, 1.0, 1.2),
    ("erfc", 0): (mp.erfc, 2.4, 3.0), ("erf_slope", 0): (lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x), 1.7, 1.7),
    ("gelu", 0): (lambda x: x * normal(x), 2.0, 2.5), ("gelu", 1): (lambda x: normal(x) + x * density(x), 2.1, 2.0),
    ("gelu", 2): (lambda x: (2 - x * x) * density(x), 3.6, 4.0),
    ("gelu_tanh", 0): (lambda x: x * sigmoid(bent(x)[0]), 0.51, 1.8), ("gelu_tanh", 1): (gelu_tanh_slope, 0.51, 2.4),
    ("silu", 0): (lambda x: x * sigmoid(x), 1.8, 1.8), ("silu", 1): (lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), 1.8, 1.8),
    ("silu", 2): (lambda x: sigmoid(x) * sigmoid(-x) * (2 - x * mp.tanh(x / 2)), 4.0, 4.0),
    ("rsqrt", 0): (lambda x: 1 / mp.sqrt(x), 0.6, 0.6),
}
ROOTS = (-0.7517915241868845, -0.7524614, -1.2784645427610738, 2.399357280520547, 2**0.5)   # of some slopes


def points(dtype: Any) -> Any:
    rng = np.random.default_rng(5)
    top, bottom = (300, -700) if dtype is np.float64 else (85, -86)
    near = np.concatenate([r + rng.normal(size=8) * 10.0 ** -rng.uniform(0, 7, size=8) for r in ROOTS])
    return np.concatenate([
        rng.normal(size=90), rng.normal(size=60) * 10, rng.normal(size=40) * 100, rng.normal(size=10) * 1000, near, -near,
        np.exp(rng.uniform(bottom, top, 40)), -np.exp(rng.uniform(bottom, 25, 30)), 1 + rng.normal(size=20) * 1e-3,
        rng.integers(1, 40, 8) * np.pi / 2, [-87.4, -95.0, -103.0, 88.6, 16.9],
    ]).astype(dtype)


def written(s: Functions, name: str, order: int, x: Any) -> Any:
    return getattr(s, name)(x, order) if order else getattr(s, name)(x)


@pytest.mark.parametrize(("type", "dtype"), [("f32", np.float32), ("f64", np.float64)])
@pytest.mark.parametrize(("name", "order"), FUNCTIONS, ids=lambda v: str(v))
def test_elementary_functions_are_accurate(name: str, order: int, type: str, dtype: Any) -> None:
    s = Functions()
    exact, *bounds = FUNCTIONS[name, order]
    bound = bounds[type == "f64"]
    xs = points(dtype)
    got, *refused = evaluate([written(s, name, order, s.input(type, 0)), *s.refused], [xs])
    skip = np.any(refused, axis=0) if refused else np.zeros(xs.shape, bool)
    with mp.workprec(1200 if type == "f64" else 400):    # textbook formulas, whose digits cancel
        for x, g, skipped in zip(xs, got, skip):
            if skipped:
                continue
            with np.errstate(all="ignore"):
                try:
                    true = exact(mp.mpf(float(x)))
                except ZeroDivisionError:
                    continue
                want = dtype(np.nan) if isinstance(true, mp.mpc) else dtype(float(true))
            if not np.isfinite(want):
                assert g == want or (np.isnan(g) and np.isnan(want)), (x, g)
                continue
            unit = float(np.spacing(abs(want)))
            error = abs(mp.mpf(float(g)) - true) / mp.mpf(unit)
            assert error <= bound, f"{name}({x!r}) = {g!r}, {float(error):.2f} ulp from {want!r}"


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 0.52), (np.float64, 2.0)])
def test_powers_are_accurate(dtype: Any, bound: float) -> None:
    rng = np.random.default_rng(11)
    top = 80 if dtype is np.float32 else 700
    x = np.concatenate([np.exp(rng.uniform(-top, top, 80)), 1 + rng.normal(size=60) * 10.0 ** -rng.uniform(1, 7, 60)])
    x = x.astype(dtype)
    y = np.concatenate([rng.normal(size=80), np.exp(rng.uniform(-3, 14, 60)) * rng.choice([-1, 1], 60)]).astype(dtype)
    s = Functions()
    a, b = (s.input("f32" if dtype is np.float32 else "f64", k) for k in (0, 1))
    exact = (lambda x, y: x**y, lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mp.log(x))
    with mp.workprec(300):
        for f, got in zip(exact, evaluate([s.pow(a, b), s.power_slope(a, b, 1, 0), s.power_slope(a, b, 0, 1)], [x, y])):
            for u, v, g in zip(x, y, got):
                true = f(mp.mpf(float(u)), mp.mpf(float(v)))
                with np.errstate(all="ignore"):
                    want = dtype(float(true))
                if np.isfinite(want):
                    assert abs(mp.mpf(float(g)) - true) <= bound * float(np.spacing(abs(want))), (u, v, g, want)
                else:
                    assert g == want, (u, v)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_powers_have_the_conventions_of_the_kernel(dtype: Any) -> None:
    edges = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, -0.5, 2, 3, -2, -3], dtype)
    x, y = (v.ravel() for v in np.meshgrid(edges, edges))
    s = Functions()
    (got,) = evaluate([s.pow(*[s.input("f32" if dtype is np.float32 else "f64", k) for k in (0, 1)])], [x, y])
    with np.errstate(all="ignore"):
        want = np.power(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(got, want, rtol=1e-15 if dtype is np.float64 else 1e-7)
    known = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[known]), np.signbit(want[known]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(dtype: Any) -> None:
    rows = {"exp": (1, 1, np.inf, 0), "expm1": (0.0, -0.0, np.inf, -1), "log": (-np.inf, -np.inf, np.inf, np.nan),
            "log1p": (0.0, -0.0, np.inf, np.nan), "tanh": (0.0, -0.0, 1, -1), "sigmoid": (0.5, 0.5, 1, 0),
            "erf": (0.0, -0.0, 1, -1), "erfc": (1, 1, 0, 2), "softplus": (np.log(2), np.log(2), np.inf, 0)}
    for name, wants in rows.items():
        s = Functions()
        (got,) = evaluate([getattr(s, name)(s.input("f32" if dtype is np.float32 else "f64", 0))],
                          [np.array([0.0, -0.0, np.inf, -np.inf, np.nan], dtype)])
        np.testing.assert_array_equal(got, np.array([*wants, np.nan], dtype), err_msg=name)
        assert np.signbit(got[1]) == np.signbit(dtype(wants[1])), name


def test_a_tail_far_out_does_not_count() -> None:
    s = Functions()
    x = np.array([-np.inf, -1e20, -200, -1, 0, np.nan], np.float32)
    (got,) = evaluate([s.exp_sum(s.input("f32", 0), s.input("f32", 1))], [x, np.array([np.nan, 1e13, 1e-6, 0, 0, 0], np.float32)])
    np.testing.assert_allclose(got, np.exp(x.astype(np.float64)).astype(np.float32), rtol=1e-7)


def samples(prim: Primitive, dtype: str) -> Any:
    rng = np.random.default_rng(3)
    if prim.cases:
        for case in prim.cases:
            arrays, params = case(rng)
            yield [np.asarray(a) if prim.name == "cast" or np.asarray(a).dtype == bool != np.dtype(dtype)
                   else np.asarray(a).astype(dtype) for a in arrays], params
    else:
        yield [rng.uniform(low, high, 60).astype(dtype) for low, high in prim.domain], {}


@pytest.mark.parametrize("name", HALVES)
def test_halves_are_converted_and_rounded_once(name: str) -> None:
    dtype = as_dtype(name).np
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    s = Functions()
    (wide,) = evaluate([s.input(HALVES[name], 0).to("f64")], [every])
    with np.errstate(all="ignore"):                      # signalling NaN
        np.testing.assert_array_equal(wide, every.astype(np.float64))
    xs = points(np.float32)
    with np.errstate(all="ignore"):
        want = np.tanh(xs.astype(np.float64)).astype(np.float32).astype(dtype)
    (got,) = evaluate([s.tanh(s.input("f32", 1)).to(HALVES[name])], [None, xs])
    assert np.mean(got == want) > 0.99                   # the rest lie in the middle between two
    assert s.cast(s.input("f64", 0), name) is None
    assert s.cast(s.input(HALVES[name], 0), "float32").type == "f32"


LOWERED = [p for p in REGISTRY.values() if p.lower is not None]


def compare(prim: Primitive, dtype: str) -> int:
    checked = 0
    for arrays, params in samples(prim, dtype):
        try:
            out = prim.infer(*[spec(a.shape, as_dtype(a.dtype)) for a in arrays], **params)
        except AdjointError:
            continue
        s = Functions()
        e = prim.lower(s, *[s.input(NAMES[a.dtype.name], k) for k, a in enumerate(arrays)], **params)
        if e is None:
            continue
        assert e.type == NAMES[out.dtype.name]
        got, *refused = evaluate([e, *s.refused], arrays)
        with np.errstate(all="ignore"):
            want = prim.kernel(*arrays, **params)
        fine = ~np.any([np.broadcast_to(r, out.shape) for r in refused], axis=0) if refused else True
        rtol, atol = (5e-7, 0.0) if np.asarray(want).dtype == np.float32 else (2e-15, 1.5e-16)   # near roots float64 has no more
        np.testing.assert_allclose(np.where(fine, got, 0), np.where(fine, want, 0), rtol, atol, err_msg=f"{prim.name} {params}")
        checked += 1
    return checked


@pytest.mark.parametrize("prim", LOWERED, ids=lambda p: p.name)
def test_lowering_means_the_kernel(prim: Primitive) -> None:
    assert sum(compare(prim, dtype) for dtype in ("float32", "float64", "int32", "bool")) > 0


def test_a_wrong_lowering_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    tanh = REGISTRY["tanh"]
    monkeypatch.setattr(tanh, "lower", lambda s, x: s.tanh(x) * (1 + 1e-6))
    with pytest.raises(AssertionError, match="tanh"):
        compare(tanh, "float32")

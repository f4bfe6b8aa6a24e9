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
from adjoint._scalar import NAMES, Functions, evaluate

NORMAL_TAIL = mp.sqrt(2)
FUNCTIONS: dict[str, Any] = {
    "exp": mp.exp, "expm1": mp.expm1, "exp2": lambda x: mp.mpf(2) ** x, "log": mp.log, "log1p": mp.log1p,
    "log2": lambda x: mp.log(x, 2), "log10": mp.log10, "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "tanh": mp.tanh,
    "sech2": lambda x: mp.sech(x) ** 2, "sinh": mp.sinh, "cosh": mp.cosh, "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log1p(mp.exp(x)), "erf": mp.erf, "erfc": mp.erfc,
    "gelu": lambda x: x * mp.erfc(-x / NORMAL_TAIL) / 2,
}


def points(dtype: Any) -> Any:
    rng = np.random.default_rng(5)
    top, bottom = (300, -700) if dtype is np.float64 else (85, -100)
    return np.concatenate([
        rng.normal(size=60), rng.normal(size=40) * 10, rng.normal(size=40) * 100, rng.normal(size=10) * 1000,
        np.exp(rng.uniform(bottom, top, 40)), -np.exp(rng.uniform(bottom, 25, 30)), 1 + rng.normal(size=20) * 1e-3,
    ]).astype(dtype)


@pytest.mark.parametrize(("type", "dtype", "bound"), [("f32", np.float32, 0.51), ("f64", np.float64, 4.0)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_functions_are_accurate(name: str, type: str, dtype: Any, bound: float) -> None:
    s = Functions()
    y = getattr(s, name)(s.input(type, 0))
    if y is None:
        pytest.skip(f"{name} has no lowering for {type}")
    xs = points(dtype)
    got, *refused = evaluate([y, *s.refused], [xs])
    skip = np.any(refused, axis=0) if refused else np.zeros(xs.shape, bool)
    with mp.workprec(160):
        for x, g, skipped in zip(xs, got, skip):
            if skipped:
                continue
            with np.errstate(all="ignore"):
                try:
                    true = FUNCTIONS[name](mp.mpf(float(x)))
                except ZeroDivisionError:
                    continue
                want = dtype(np.nan) if isinstance(true, mp.mpc) else dtype(float(true))
            if not np.isfinite(want):
                assert g == want or (np.isnan(g) and np.isnan(want)), (x, g)
                continue
            error = abs(mp.mpf(float(g)) - true) / mp.mpf(float(np.spacing(abs(want))))
            assert error <= bound, f"{name}({x!r}) = {g!r}, {float(error):.2f} ulp from {want!r}"


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


def samples(prim: Primitive, dtype: str) -> Any:
    rng = np.random.default_rng(3)
    if prim.cases:
        for case in prim.cases:
            arrays, params = case(rng)
            yield [np.asarray(a) if prim.name == "cast" or np.asarray(a).dtype == bool != np.dtype(dtype)
                   else np.asarray(a).astype(dtype) for a in arrays], params
    else:
        yield [rng.uniform(low, high, 60).astype(dtype) for low, high in prim.domain], {}


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
        rtol = 3e-7 if np.asarray(want).dtype == np.float32 else 2e-15
        np.testing.assert_allclose(np.where(fine, got, 0), np.where(fine, want, 0), rtol=rtol, err_msg=f"{prim.name} {params}")
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

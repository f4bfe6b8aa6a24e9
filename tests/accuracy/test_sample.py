"""A sample of the full measurement: every function against the kept exact values, within the bounds that its primitive states."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from benchmarks.accuracy import measure, rows
from benchmarks.accuracy.cases import CASES
from benchmarks.accuracy.reference import load

import adjoint as ad
from adjoint._graph import REGISTRY

SAMPLE = 160
ENGINES = ["numpy", "llvm"]
# In fused loops float32 may take 2 ulp for the value and the slope where the last half costs too much.
FUSED = 2.0


@pytest.fixture(scope="module")
def references() -> dict[str, Any]:
    return load()


@pytest.fixture(autouse=True)
def _engine_again() -> Iterator[None]:
    before = ad.config.engine
    yield
    ad.config.engine = before


def allowed(bounds: Any, dtype: str, engine: str) -> list[float]:
    fused = FUSED if engine == "llvm" and dtype == "float32" else 0.0
    return [max(b, fused) for b in bounds]


def test_the_references_belong_to_the_arguments(references: dict[str, Any]) -> None:
    assert measure.stale(references) == []


def test_what_is_stated_is_measured() -> None:
    """A primitive may state bounds only if a case measures them."""
    measured = {case.primitive or name for name, case in CASES.items()}
    assert {name for name, prim in REGISTRY.items() if prim.error is not None} <= measured
    assert all(case.error is not None for case in CASES.values())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_within_bounds(name: str, engine: str, dtype: str, references: dict[str, Any]) -> None:
    case = CASES[name]
    library = "adjoint" if engine == "numpy" else "adjoint, llvm"
    got = measure.in_process(library, [name], (dtype,))[f"{name}.{dtype}"]
    picked = np.random.default_rng(5).permutation(len(got))[:SAMPLE]
    bounds = allowed(case.error.of(dtype), dtype, engine)
    for order, score, bound in zip(measure.ORDERS, measure.scores(case, dtype, got[picked], references, picked), bounds):
        where = f"{order} of {name} in {dtype} at {score.worst}"
        assert score.false == 0, f"{where}: NaN or infinite where the truth is finite"
        assert score.most <= bound + 0.005, f"{where}: {score.most:.2f} ulp, allowed {bound}"
        assert score.missed == 0, f"{where}: finite where the truth is infinite"


def test_a_wrong_value_is_caught(references: dict[str, Any]) -> None:
    got = measure.in_process("adjoint", ["tanh"], ("float32",))["tanh.float32"]
    got[:, 1] *= np.float32(1 + 3e-7)
    assert measure.scores(CASES["tanh"], "float32", got, references)[1].most > 1.5


# ------------------------------------------------------------------------------------------------------------ long rows

SHORT = [name for name in rows.LONG if "1e" not in name or "norm 1000" in name or "mean 1e6" in name]
LONG_BOUNDS = {"float32": (1.0, 1.0), "float64": (4.0, 4.0)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SHORT)
def test_long_rows(name: str, engine: str, dtype: str) -> None:
    library = "adjoint" if engine == "numpy" else "adjoint, llvm"
    got = measure.in_process(library, jobs=(given := rows.jobs_for(library, [name], dtype))[0], arrays=given[1])[name]
    for what, error, bound in zip(("value", "gradient"), rows.compare(got, rows.exact_of(name, dtype)),
                                  allowed(LONG_BOUNDS[dtype], dtype, engine)):
        assert error <= bound, f"{what} of {name} in {dtype}: {error:.2f} ulp"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_sums_do_not_depend_on_the_axis(axis: int, dtype: Any) -> None:
    """About 2e5 terms along any axis: no more than 2 ulp of the sum of magnitudes."""
    shape = [3, 2, 4]
    shape[axis] = 200_000
    x = np.random.default_rng(1).uniform(0.0, 0.1, shape).astype(dtype)
    exact = np.sum(x.astype(np.clongdouble if np.dtype(dtype).kind == "c" else np.longdouble), axis=axis)
    got = ad.sum(ad.constant(x), axis).numpy()
    assert np.max(np.abs(got - exact) / np.abs(exact)) <= 2 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [100, 5000])
def test_products_of_matrices(n: int, dtype: Any) -> None:
    """The classical bound, n units of |A| |B|, for the product and for both its cotangents."""
    for found, terms in zip(rows.product_bounds(ad.GradientTape, ad, n, dtype), (n, 24, 24)):
        assert found <= terms + 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 1), (1, 4), (5, 6)])
def test_long_products_do_not_lose_more(m: int, n: int, dtype: Any, engine: str) -> None:
    """Positive terms, a million of them and some: a few units of the result, whatever the shapes."""
    ad.config.engine = engine
    rng = np.random.default_rng(4)
    a, b = rng.uniform(0, 1, (m, 1_000_100)).astype(dtype), rng.uniform(0, 1, (1_000_100, n)).astype(dtype)
    exact = np.stack([np.sum(a.real.astype(np.longdouble) * column.real, axis=-1) for column in b.T], axis=-1)
    for got in (ad.matmul(ad.constant(a), ad.constant(b)).numpy(),
                ad.einsum("ki,kj->ij", ad.constant(np.ascontiguousarray(a.T)), ad.constant(b)).numpy(),
                ad.matmul(ad.constant(a[0]), ad.constant(b)).numpy()[None]):
        assert np.max(np.abs(got - exact[:len(got)]) / exact[:len(got)]) <= 4 * np.finfo(dtype).eps
    batch = ad.matmul(ad.constant(a[None]), ad.constant(b[None])).numpy()
    assert np.max(np.abs(batch[0] - exact) / exact) <= 4 * np.finfo(dtype).eps

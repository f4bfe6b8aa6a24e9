"""Operations written in simpler ones: the same results, values and gradients, on plain and on hard inputs."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint._dtypes import as_dtype
from adjoint._errors import IndexingError
from adjoint._graph import REGISTRY, Primitive, spec
from adjoint._trace import record
from adjoint.engines import llvm as llvm_engine
from adjoint.engines import numpy as numpy_engine
from adjoint.passes import FOR_LOOPS, verify
from adjoint.passes.expand import expansion
from adjoint.plan.fusion import kind_of
from registry import primitives

try:
    import llvmlite  # noqa: F401
    COMPILED = True
except ImportError:
    COMPILED = False

FLOATS = [np.float32, np.float64]


def several(prim: Primitive) -> bool:
    arrays, params = prim.cases[0](np.random.default_rng(1))
    return isinstance(prim.kernel(*arrays, **params), (list, tuple))


# Sums of products and the parts that they are cut in are tested with the products.
EXPANDED = [p for p in primitives() if p.expand is not None and p.product is None and not several(p)]
CASES = [pytest.param(p, n, id=f"{p.name}-{n}") for p in EXPANDED for n in range(len(p.cases))]


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    before = config.engine
    expansion.cache_clear()
    llvm_engine.faults.clear()
    yield
    assert llvm_engine.faults == []
    config.engine = before
    expansion.cache_clear()


def expanded(prim: Primitive, arrays: list[Any], params: dict[str, Any]) -> Any:
    """The result by the expansion's operations, one by one through the kernels; None where there is no expansion."""
    body = expansion(prim.op(**params), tuple([spec(a.shape, as_dtype(a.dtype)) for a in arrays]))
    if body is None:
        return None
    verify(body, "expand")
    return several(numpy_engine.interpret(body)(arrays))


def compiled(prim: Primitive, arrays: list[Any], params: dict[str, Any]) -> Any:
    config.engine = "llvm"
    out = record(prim.op(**params), *[ad.Tensor(a) for a in arrays])
    return several([t.numpy() for t in (out if isinstance(out, tuple) else (out,))])


def several(results: list[Any]) -> Any:
    """One array, flat where there are several results."""
    return results[0] if len(results) == 1 else np.concatenate([r.reshape(-1) for r in results])


def by_kernel(prim: Primitive, arrays: list[Any], params: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        out = prim.kernel(*arrays, **params)
    return several(list(out)) if isinstance(out, (tuple, list)) else out


WAYS = [expanded, *([compiled] if COMPILED else [])]


def check(got: Any, want: Any, name: str, product: bool = False) -> None:
    """Within 2 ulp in float32, where the kernels round once; in float64 within some ulp of the largest terms as well."""
    assert got.dtype == want.dtype, f"{name}: {got.dtype}, not {want.dtype}"
    assert got.shape == want.shape, f"{name}: shape {got.shape}, not {want.shape}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=name)
        return
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want), err_msg=f"{name}: nan")
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want), err_msg=f"{name}: inf")
    fine = np.isfinite(want)
    np.testing.assert_array_equal(got[~fine & ~np.isnan(want)], want[~fine & ~np.isnan(want)], err_msg=name)
    got, want = got[fine], want[fine]
    if not want.size:
        return
    allowed = 2.0 * np.spacing(np.abs(want))
    if want.dtype == np.float64:
        allowed = np.maximum(6.0 * np.spacing(np.abs(want)), 8e-16 * np.max(np.abs(want)))
    if product:                                          # of matrices: added up in another order
        allowed = 32.0 * np.spacing(np.max(np.abs(want)))
    wrong = np.abs(got - want) > allowed
    assert not wrong.any(), f"{name}: {got[wrong][:4]} instead of {want[wrong][:4]}"


def variants(prim: Primitive, number: int, dtype: Any) -> Iterator[list[Any]]:
    """A case's arrays, and hard ones of their shapes: offsets, sizes, ties, infinities, NaN, rows that one entry rules."""
    rng = np.random.default_rng(5)
    for how in range(NOT_FINITE if dtype == np.float16 else 14):
        arrays, _ = prim.cases[number](rng)
        arrays = [np.asarray(a) for a in arrays]
        if all(a.dtype.kind != "f" for a in arrays):
            yield arrays
            return
        floats = [k for k, a in enumerate(arrays) if a.dtype.kind == "f"]
        where = floats[0] if how % 2 else floats[-1]
        if how >= NOT_FINITE:
            where = floats[prim.name.startswith("softmax_cross")]    # the point, not labels or cotangents
        out = []
        for place, a in enumerate(arrays):
            if a.dtype.kind != "f":
                out.append(a)
                continue
            a = a.astype(dtype)
            if how in (3, 4) or place == where:
                a = hard(a, how)
            out.append(np.ascontiguousarray(a.astype(dtype)))
        yield out


NOT_FINITE = 11


def hard(a: Any, how: int) -> Any:
    a = a.copy()
    flat = a.reshape(-1)
    if how == 1:
        a += 1e4
    elif how == 2:
        a *= 40.0
    elif how == 3:
        a = a * (1e-25 if a.dtype == np.float32 else 1e-180)
    elif how == 4:
        a = np.round(a)
    elif how == 5:
        flat[::3] = flat[0]
    elif how == 6:
        flat[0] += 25.0
        flat[-1] = 37.0
    elif how == 7:
        a[...] = 0.25
    elif how == 8:
        a[...] = 0.0
    elif how == 9:
        a[...] = np.round(a) * 1e4
    elif how == 10:
        a *= 1e3
    elif how == 11:
        flat[1] = np.nan
    elif how == 12:
        flat[1::4] = np.inf
    elif how == 13:
        flat[:] = np.where(np.arange(flat.size) % 3 == 1, -np.inf, flat)
    return a


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [*FLOATS, np.float16])
@pytest.mark.parametrize(("prim", "number"), CASES)
def test_the_expansion_is_the_kernel(prim: Primitive, number: int, dtype: Any, way: Any) -> None:
    params = prim.cases[number](np.random.default_rng(5))[1]
    for how, arrays in enumerate(variants(prim, number, dtype)):
        got = way(prim, arrays, params)
        if got is not None:
            check(got, by_kernel(prim, arrays, params), f"{prim.name} {params}, way {how}", prim.product is not None)


@pytest.mark.parametrize(("prim", "number"), CASES)
def test_the_expansion_is_all_loops(prim: Primitive, number: int) -> None:
    arrays, params = prim.cases[number](np.random.default_rng(5))
    for dtype in FLOATS:
        given = [np.asarray(a).astype(dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a) for a in arrays]
        body = expansion(prim.op(**params), tuple([spec(a.shape, as_dtype(a.dtype)) for a in given]))
        steps = [i.op.prim for i in (body.instrs if body is not None else ()) if i.args and kind_of(i, body.specs) == "step"]
        left = {p.name for p in steps if p.product is None}
        assert not left, f"{prim.name} leaves {left} to the kernels"


def test_expansions_are_there() -> None:
    assert sum(expanded(p, *_case(p)) is not None for p in EXPANDED) > 20
    assert FOR_LOOPS[0][0] == "expand"


def _case(prim: Primitive) -> tuple[list[Any], dict[str, Any]]:
    arrays, params = prim.cases[0](np.random.default_rng(1))
    return [np.asarray(a) for a in arrays], params


@pytest.mark.skipif(not COMPILED, reason="needs the compiler")
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("prim", "number"), [c for c in CASES if c.values[0].differentiable])
def test_gradients_agree(prim: Primitive, number: int, dtype: Any) -> None:
    arrays, params = prim.cases[number](np.random.default_rng(3))
    xs = [ad.Tensor(np.asarray(a).astype(dtype) if np.asarray(a).dtype.kind == "f" else np.asarray(a)) for a in arrays]
    floats = [x for x in xs if x.dtype.kind == "f"]

    def gradients() -> list[Any]:
        with ad.GradientTape() as second:
            second.watch(floats)
            with ad.GradientTape() as tape:
                tape.watch(floats)
                y = record(prim.op(**params), *xs)
                y = ad.concat([ad.reshape(t, (-1,)) for t in y], 0) if isinstance(y, tuple) else y
                total = ad.sum(y * ad.cast(ad.reshape(ad.arange(y.shape.num_elements()), y.shape), y.dtype))
            first = [g for g in tape.gradient(total, floats) if g is not None]
            along = total * 0.0
            for g in first:
                along = along + ad.sum(g * g * ad.cast(ad.reshape(ad.arange(g.shape.num_elements()), g.shape), g.dtype))
        more = [g for g in second.gradient(along, floats) if g is not None]
        return [g.numpy() for g in (*first, *more)]

    results = []
    for engine in ("numpy", "llvm"):
        config.engine = engine
        _graph.forget()
        results.append(gradients())
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    for got, want in zip(results[1], results[0]):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(np.max(np.abs(want), initial=0), 1e-30),
                                   err_msg=prim.name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_confident_rows_are_exact(dtype: Any, way: Any) -> None:
    """p - 1 and the logarithm at the largest entry, and entries far below it, against 50 digits."""
    mpmath.mp.dps = 50
    x = np.array([[25.0, 0.0, 0.0, 1.0, -3.0], [100.1, 0.3, 17.7, 99.25, 7.77], [1234.567, 1200.1, 1234.5, 1100.3, 0.1],
                  [-1e4, -10030.77, -10050.1, -10001.3, -10099.9]], dtype)
    z = np.zeros_like(x)
    z[:, 0] = 1
    axes = {"axes": (1,)}
    exact = [[mpmath.mpf(float(v)) for v in row] for row in x]
    weights = [[mpmath.exp(v - max(row)) for v in row] for row in exact]
    totals = [mpmath.fsum(w) for w in weights]
    want = {
        "softmax": ([x], [[w / t for w in row] for row, t in zip(weights, totals)]),
        "log_softmax": ([x], [[v - max(row) - mpmath.log(t) for v in row] for row, t in zip(exact, totals)]),
        "softmax_cross_entropy_slope": ([z, x], [[-mpmath.fsum(row[1:]) / t, *[w / t for w in row[1:]]]
                                                 for row, t in zip(weights, totals)]),
        "softmax_cross_entropy": ([z, x], [mpmath.log(t) - (row[0] - max(row)) for row, t in zip(exact, totals)]),
    }
    for name, (arrays, values) in want.items():
        got = way(REGISTRY[name], arrays, axes)
        flat = [v for row in values for v in (row if isinstance(row, list) else [row])]
        for g, v in zip(got.reshape(-1), flat):
            error = abs(mpmath.mpf(float(g)) - v)
            assert error <= (2 if dtype is np.float32 else 4) * float(np.spacing(dtype(abs(float(v))))), (name, g, float(v))


@pytest.mark.skipif(not COMPILED, reason="needs the compiler")
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_refused(label: int) -> None:
    x = np.ones((2, 3), np.float32)
    for name in ("sparse_softmax_cross_entropy", "sparse_softmax_cross_entropy_slope"):
        with pytest.raises(IndexingError, match=rf"\[0, 3\).*{label}"):
            compiled(REGISTRY[name], [np.array([0, label]), x], {})
        assert np.isfinite(compiled(REGISTRY[name], [np.array([0, 2]), x], {})).all()


def test_expansions_are_the_same_in_either_spelling() -> None:
    rng = np.random.default_rng(1)
    for prim in EXPANDED:
        arrays, params = prim.cases[0](rng)
        specs = tuple([spec(np.shape(a), as_dtype(np.asarray(a).dtype)) for a in arrays])
        one = expansion(prim.op(**params), specs)
        config.spelling = "tf"
        expansion.cache_clear()
        other = expansion(prim.op(**params), specs)
        config.spelling = "adjoint"
        assert (one and [i.op for i in one.instrs]) == (other and [i.op for i in other.instrs])


def test_a_careless_expansion_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    prim = REGISTRY["log_softmax"]
    monkeypatch.setattr(prim, "expand", lambda x, axes: ad.log(ad.exp(x) / ad.sum(ad.exp(x), axes, keepdims=True)))
    given = list(variants(prim, 0, np.float32))
    pairs = [(expanded(prim, arrays, {"axes": (1,)}), by_kernel(prim, arrays, {"axes": (1,)})) for arrays in given]
    with pytest.raises(AssertionError):
        _ = [check(got, want, "log_softmax") for got, want in pairs]  # type: ignore[func-returns-value]


def test_a_wrong_shape_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    prim = REGISTRY["var"]
    monkeypatch.setattr(prim, "expand", lambda x, **_: ad.mean(x))
    arrays, params = _case(prim)
    with pytest.raises(AssertionError, match="shape"):
        check(expanded(prim, arrays, params), by_kernel(prim, arrays, params), "var")

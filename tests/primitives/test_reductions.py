"""Reductions, statistics, cumulative operations, sorting: values, accuracy, edges, both modes, second order."""
from __future__ import annotations

import math

import numpy as np
import pytest

import adjoint as ad
from adjoint._errors import ArgumentError, AxisError, DtypeError, ShapeError
from adjoint.primitives.cumulative import _running_sum as running_sum

LONG = np.longdouble
RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4, 2))


def ulps(got, want) -> float:
    """The largest error in units of the last place."""
    got, want = np.asarray(got), np.asarray(want, LONG)
    step = np.spacing(np.maximum(np.abs(want).astype(got.dtype), np.finfo(got.dtype).tiny)).astype(LONG)
    return float(np.max(np.abs(got.astype(LONG) - want) / step))


def gradient(f, x, weights=None):
    t = ad.constant(x)
    with ad.GradientTape() as tape:
        tape.watch(t)
        y = f(t)
    return tape.gradient(y, t, output_gradients=None if weights is None else ad.constant(weights)).numpy()


def hessian(f, x):
    """The matrix of second derivatives of a scalar function, row by row."""
    t = ad.constant(np.asarray(x, np.float64))
    rows = []
    for k in range(t.size):
        with ad.GradientTape() as outer:
            outer.watch(t)
            with ad.GradientTape() as inner:
                inner.watch(t)
                y = f(t)
            g = inner.gradient(y, t)
            part = ad.sum(g * ad.constant(np.eye(t.size)[k].reshape(t.shape)))
        row = outer.gradient(part, t)
        rows.append(np.zeros(t.size) if row is None else row.numpy().ravel())
    return np.array(rows)


# ----------------------------------------------------------------------------------------------------------- reductions

@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (1,), ()])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "std", "all", "any"])
def test_reductions_are_numpy_s(name: str, axis, keepdims: bool) -> None:
    got = getattr(ad, name)(ad.constant(X), axis=axis, keepdims=keepdims)
    want = getattr(np, name)(X, axis=axis, keepdims=keepdims)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-14)
    method = getattr(ad.constant(X), name)(axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(method.numpy(), got.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "std"])
def test_floats_keep_their_dtype(name: str, dtype: str) -> None:
    t = ad.cast(ad.constant(X), dtype)
    out = getattr(ad, name)(t, axis=1)
    assert out.dtype == dtype
    want = getattr(np, name)(t.numpy().astype(np.float64), axis=1)
    rtol = {"float16": 1e-3, "bfloat16": 8e-3}.get(dtype, 1e-6)
    np.testing.assert_allclose(out.numpy().astype(np.float64), want, rtol=rtol)


def test_integers() -> None:
    small = ad.constant([100, 100, 100], ad.int8)
    assert ad.sum(small).dtype is ad.int32
    assert int(ad.sum(small)) == 300
    assert ad.sum(ad.constant([1, 2], ad.uint8)).dtype is ad.uint32
    assert ad.sum(ad.constant([1, 2], ad.int64)).dtype is ad.int64
    assert ad.prod(small, dtype=ad.int64).numpy() == 1_000_000
    assert ad.mean(ad.constant([1, 2])).dtype is ad.float32
    assert float(ad.mean(ad.constant([1, 2]))) == 1.5
    assert int(ad.sum(ad.constant([True, True]))) == 2
    assert ad.max(small).dtype is ad.int8
    assert ad.count_nonzero(ad.constant([0, 3])).numpy() == 1


def test_float16_sums_pass_through_float32() -> None:
    t = ad.full((4096,), 100.0, ad.float16)
    assert float(ad.mean(t)) == 100.0
    assert float(ad.sum(ad.full((4096,), 1.0, ad.float16))) == 4096.0
    g = gradient(ad.mean, np.ones(100_000, np.float16))
    assert g.dtype == np.float16
    assert g[0] == np.float16(1e-5)


def test_nothing_to_reduce() -> None:
    empty = ad.zeros((0, 3))
    assert ad.sum(empty, axis=0).tolist() == [0, 0, 0]
    assert float(ad.prod(empty)) == 1
    assert np.isnan(float(ad.mean(empty)))
    assert np.isnan(float(ad.var(empty)))
    assert ad.all(empty).numpy()
    assert not ad.any(empty).numpy()
    assert ad.max(empty, axis=1).shape == (0,)
    assert ad.cumsum(empty, 0).shape == (0, 3)
    for f in (ad.max, ad.min, ad.argmax, ad.median):
        with pytest.raises(ShapeError):
            f(empty)
        with pytest.raises(ShapeError):
            f(empty, axis=0)


@pytest.mark.parametrize(("call", "error"), [
    (lambda t: ad.sum(t, axis=3), AxisError), (lambda t: ad.sum(t, axis=(0, 0)), AxisError),
    (lambda t: ad.mean(t, axis=1.5), AxisError), (lambda t: ad.argmax(t, axis=5), AxisError),
    (lambda t: ad.argmax(t, axis=(0, 1)), AxisError), (lambda t: ad.sort(t, axis=3), AxisError),
    (lambda t: ad.cumulative_sum(t), AxisError), (lambda t: ad.cumsum(t, 3), AxisError),
    (lambda t: ad.topk(t, 9), ShapeError), (lambda t: ad.topk(t, 1, 7), AxisError),
    (lambda t: ad.max(ad.cast(t, ad.complex64)), DtypeError), (lambda t: ad.sort(ad.cast(t, ad.complex64)), DtypeError),
    (lambda t: ad.quantile(t, 2.0), ArgumentError), (lambda t: ad.quantile(t, 0.5, method="x"), ArgumentError),
    (lambda t: ad.average(t, 0, [1.0, 2.0]), ShapeError), (lambda t: ad.std(t, correction="a"), ArgumentError),
    (lambda t: ad.searchsorted(t, t, side="up"), ArgumentError), (lambda t: ad.bincount(t), DtypeError),
    (lambda t: ad.bincount(ad.constant([-1])), ArgumentError), (lambda t: ad.nonzero(t[0, 0, 0]), ShapeError),
    (lambda t: ad.diff(t, n=-1), ArgumentError), (lambda t: ad.logcumsumexp(ad.constant([1])), DtypeError),
    (lambda t: ad.unravel_index(t, (2,)), DtypeError), (lambda t: ad.sum("a"), DtypeError),
    (lambda t: ad.sort(t[0, 0, 0]), ShapeError),
])
def test_bad_input_raises_at_the_call(call, error) -> None:
    with pytest.raises(error):
        call(ad.constant(X))


# ------------------------------------------------------------------------------------------------------------- accuracy

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [0, 1, None, (0, 2)])
def test_sums_do_not_lose_digits_with_length(dtype, axis) -> None:
    x = RNG.uniform(0.5, 1.5, size=(700, 20, 3)).astype(dtype)
    assert ulps(ad.sum(ad.constant(x), axis=axis).numpy(), x.astype(LONG).sum(axis=axis)) < 4
    assert ulps(ad.mean(ad.constant(x), axis=axis).numpy(), x.astype(LONG).mean(axis=axis)) < 4


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_variance_and_its_derivative_with_an_offset(dtype, offset: float) -> None:
    x = (RNG.normal(size=(1000, 3)) + offset).astype(dtype)
    wide = x.astype(LONG) - offset                       # exact; the mean of the small differences has all its digits
    centred = wide - wide.mean(0)
    variance = (centred**2).mean(0)
    assert ulps(ad.var(ad.constant(x), 0).numpy(), variance) < 4
    assert ulps(ad.std(ad.constant(x), 0).numpy(), np.sqrt(variance)) < 4
    limit = 4 if np.finfo(LONG).eps < np.finfo(dtype).eps else 1e9
    assert ulps(gradient(lambda t: ad.var(t, 0), x), 2 * centred / 1000) < limit
    assert ulps(gradient(lambda t: ad.std(t, 0), x), centred / 1000 / np.sqrt(variance)) < limit


def test_cumulative_sums_and_products_are_accurate() -> None:
    x = RNG.uniform(0.5, 1.5, size=1000).astype(np.float32)
    assert ulps(ad.cumsum(ad.constant(x)).numpy(), np.cumsum(x.astype(LONG))) <= 0.51
    assert ulps(gradient(ad.cumsum, x, x), np.cumsum(x[::-1].astype(LONG))[::-1]) <= 0.51
    y = RNG.uniform(0.8, 1.25, size=50).astype(np.float32)
    assert ulps(gradient(ad.prod, y), y.astype(LONG).prod() / y) <= 1.01
    z = (3 * RNG.normal(size=300)).astype(np.float32)
    e = np.exp(z.astype(LONG))
    assert ulps(ad.logcumsumexp(ad.constant(z)).numpy(), np.log(np.cumsum(e))) <= 0.51
    assert ulps(gradient(ad.logcumsumexp, z), e * np.cumsum((1 / np.cumsum(e))[::-1])[::-1]) < 8


# ---------------------------------------------------------------------------------------------------------- derivatives

def test_ties_share_the_gradient() -> None:
    np.testing.assert_array_equal(gradient(ad.max, [1.0, 3.0, 3.0]), [0, 0.5, 0.5])
    np.testing.assert_array_equal(gradient(ad.min, [1.0, 1.0, 1.0, 2.0]), np.float32([1 / 3, 1 / 3, 1 / 3, 0]))
    np.testing.assert_array_equal(hessian(ad.max, [1.0, 3.0, 3.0]), 0)


@pytest.mark.parametrize("x", [
    [2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [1e-200, 1e-200, 1.0]])
def test_product_derivatives_are_exact_at_zeros(x) -> None:
    a, b, c = x
    np.testing.assert_array_equal(gradient(ad.prod, np.array(x)), [b * c, a * c, a * b])
    np.testing.assert_array_equal(hessian(ad.prod, x), [[0, c, b], [c, 0, a], [b, a, 0]])
    np.testing.assert_array_equal(gradient(ad.cumprod, np.array(x)), [1 + b + b * c, a + a * c, a * b])
    np.testing.assert_array_equal(
        hessian(lambda t: ad.sum(ad.cumprod(t)), x), [[0, 1 + c, b], [1 + c, 0, a], [b, a, 0]])


def test_third_derivative_of_a_product() -> None:
    t = ad.constant([2.0, 0.0, 5.0, 7.0], ad.float64)
    with ad.GradientTape() as third:
        third.watch(t)
        with ad.GradientTape() as second:
            second.watch(t)
            with ad.GradientTape() as first:
                first.watch(t)
                y = ad.prod(t)
            g = first.gradient(y, t)[1]
        h = second.gradient(g, t)[0]
    np.testing.assert_array_equal(third.gradient(h, t).numpy(), [0, 0, 7, 5])


def test_a_constant_row_has_no_spread_and_no_nan() -> None:
    x = np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]])
    g = gradient(lambda t: ad.std(t, 1), x)
    np.testing.assert_array_equal(g[0], 0)
    np.testing.assert_allclose(g[1], [-(6**-0.5), 0, 6**-0.5], rtol=1e-15)
    h = hessian(lambda t: ad.sum(ad.std(t, 1)), x)
    assert np.isfinite(h).all()
    np.testing.assert_array_equal(h[:3], 0)


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize(("dtype", "large"), [("float16", 6e4), ("bfloat16", 3e38), ("float32", 3e38)])
def test_a_mean_does_not_overflow_on_the_way(dtype: str, large: float, engine: str) -> None:
    before, ad.config.engine = ad.config.engine, engine
    x = ad.cast(ad.constant(np.full((40, 3), large), "float64"), dtype)
    for axis in (None, 0, 1):
        for _ in range(2):
            np.testing.assert_array_equal(ad.mean(x, axis).numpy(), x.numpy().flat[0])
    ad.config.engine = before


def test_std_neither_overflows_nor_vanishes() -> None:
    for scale in (1e300, 1e-300):
        np.testing.assert_allclose(float(ad.std(ad.constant(np.array([1.0, 3.0]) * scale))), scale, rtol=1e-15)
        np.testing.assert_allclose(gradient(ad.std, np.array([1.0, 3.0]) * scale), [-0.5, 0.5], rtol=1e-15)


def test_complex_spread_and_products() -> None:
    z = np.array([1 + 2j, 3 - 1j, 0.5j])
    np.testing.assert_allclose(ad.var(ad.constant(z)).numpy(), np.var(z), rtol=1e-15)
    np.testing.assert_allclose(gradient(ad.var, z), 2 * (z - z.mean()) / 3, rtol=1e-14)
    np.testing.assert_allclose(gradient(lambda t: ad.real(ad.prod(t)), z),
                               np.conj([z[1] * z[2], z[0] * z[2], z[0] * z[1]]), rtol=1e-15)
    np.testing.assert_allclose(gradient(lambda t: ad.real(ad.sum(ad.cumprod(t))), z),
                               np.conj([1 + z[1] + z[1] * z[2], z[0] + z[0] * z[2], z[0] * z[1]]), rtol=1e-14)


@pytest.mark.parametrize(("shape", "axis"), [((20_011,), 0), ((3, 9001, 2), 1), ((9001, 3), 0), ((7000, 5), 1), ((2, 0, 3), 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_running_sums_are_rounded_once(dtype, shape, axis) -> None:
    """Against exact sums of the parts, where they cancel too; the way for machines without a wider type included."""
    rng = np.random.default_rng(7)
    x = (rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype is np.complex128 else 0)).astype(dtype)
    results = [running_sum(x, axis), ad.cumsum(ad.constant(x), axis).numpy() if dtype is np.complex128 else running_sum(x, axis)]
    for got in results:
        assert got.shape == shape
        for k in (0, 1, 4999, 8999) if x.size else ():
            if k < shape[axis]:
                terms, sums = np.moveaxis(x, axis, 0)[:k + 1], np.moveaxis(got, axis, 0)[k]
                for column, value in zip(terms.reshape(k + 1, -1).T, sums.reshape(-1)):
                    assert value.real == math.fsum(column.real)
                    assert value.imag == math.fsum(column.imag)


def test_running_sums_that_are_not_finite() -> None:
    x = np.array([1.0, np.inf, 2.0, -np.inf, 3.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(running_sum(x, 0), np.cumsum(x))
        np.testing.assert_array_equal(running_sum(x + 1j, 0), np.cumsum(x + 1j))
    assert np.signbit(running_sum(np.array([-0.0, -0.0]), 0)).all()


def test_logcumsumexp_with_absent_terms() -> None:
    x = np.array([-np.inf, 1.0, -np.inf, 2.0])
    y = ad.logcumsumexp(ad.constant(x)).numpy()
    np.testing.assert_allclose(y, [-np.inf, 1, 1, np.logaddexp(1, 2)])
    g = gradient(ad.logcumsumexp, x)
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(g, [0, 2 + p, 0, 1 - p], rtol=1e-14)


# --------------------------------------------------------------------------------------------------- sorting, searching

def test_sorting() -> None:
    x = np.array([3.0, 1.0, np.nan, 1.0])
    t = ad.constant(x)
    np.testing.assert_array_equal(ad.sort(t).numpy(), np.sort(x))
    assert ad.argsort(t).tolist() == [1, 3, 0, 2]
    assert ad.argsort(t, descending=True).tolist() == [2, 0, 1, 3]
    np.testing.assert_array_equal(gradient(lambda t: ad.sort(t) * ad.constant([1.0, 2.0, 3.0, 4.0], ad.float64), x),
                                  [3, 1, 4, 2])
    np.testing.assert_array_equal(gradient(lambda t: ad.topk(t, 2)[0], np.array([3.0, 1.0, 2.0])), [1, 0, 1])
    assert ad.topk(ad.constant([1, 2, 2]), 2)[1].tolist() == [1, 2]
    assert ad.topk(ad.constant([1, 2, 2]), 1, largest=False)[0].tolist() == [1]
    assert ad.argmax(ad.constant(X), 1).numpy().tolist() == np.argmax(X, 1).tolist()
    assert int(ad.argmin(ad.constant(X))) == int(np.argmin(X))
    assert ad.argmax(ad.constant(X), keepdims=True).shape == (1, 1, 1)


def test_searching() -> None:
    rows = np.sort(RNG.normal(size=(2, 5)), 1)
    sought = RNG.normal(size=(2, 3))
    got = ad.searchsorted(ad.constant(rows), ad.constant(sought), side="right").numpy()
    np.testing.assert_array_equal(got, [np.searchsorted(r, s, "right") for r, s in zip(rows, sought)])
    assert ad.searchsorted([3, 1, 2], 2, sorter=[1, 2, 0]).numpy() == 1
    assert [k.tolist() for k in ad.nonzero(ad.constant([[0, 1], [2, 0]]))] == [[0, 1], [1, 0]]
    found = ad.unique_all(ad.constant([3.0, 1.0, 3.0]))
    assert [v.tolist() for v in found] == [[1, 3], [1, 0], [1, 0, 1], [1, 2]]
    np.testing.assert_array_equal(gradient(ad.unique_values, np.array([3.0, 1.0, 3.0])), [1, 1, 0])
    np.testing.assert_array_equal(
        gradient(lambda w: ad.bincount([0, 2, 2], w) * ad.constant([1.0, 2.0, 3.0], ad.float64), np.ones(3)), [1, 3, 3])
    assert ad.histogram(ad.constant([1.0, 2.0, 2.0]), 2)[0].tolist() == [1, 2]


@pytest.mark.parametrize("method", ["linear", "lower", "higher", "midpoint", "nearest"])
@pytest.mark.parametrize("axis", [None, 1, (0, 2)])
def test_quantiles_are_numpy_s(method: str, axis) -> None:
    levels = [0.0, 0.3, 0.5, 1.0]
    got = ad.quantile(ad.constant(X), levels, axis=axis, method=method)
    np.testing.assert_allclose(got.numpy(), np.quantile(X, levels, axis=axis, method=method), rtol=1e-13)
    np.testing.assert_allclose(ad.median(ad.constant(X), axis).numpy(), np.median(X, axis), rtol=1e-15)
    assert np.isnan(float(ad.median(ad.constant([1.0, np.nan, 2.0]))))


def test_running_extremes_and_differences() -> None:
    values, places = ad.cummax(ad.constant([1.0, 3.0, 2.0, 3.0, 4.0]))
    assert values.tolist() == [1, 3, 3, 3, 4]
    assert places.tolist() == [0, 1, 1, 1, 4]
    np.testing.assert_array_equal(gradient(lambda t: ad.cummin(t)[0], np.array([2.0, 3.0, 1.0])), [2, 0, 1])
    np.testing.assert_array_equal(ad.diff(ad.constant(X), axis=1, n=2).numpy(), np.diff(X, axis=1, n=2))
    assert ad.diff(ad.constant([1.0, 4.0]), prepend=0.0, append=[9.0, 10.0]).tolist() == [1, 3, 5, 1]
    assert ad.cumulative_sum(ad.constant([1, 2]), include_initial=True).tolist() == [0, 1, 3]
    assert ad.cumulative_prod(ad.constant([2, 3]), include_initial=True).tolist() == [1, 2, 6]
    assert ad.cumprod(ad.constant([2.0, 3.0, 4.0]), exclusive=True).tolist() == [1, 2, 6]
    assert ad.cumsum(ad.constant([2.0, 3.0, 4.0]), reverse=True).tolist() == [9, 7, 4]


def test_average() -> None:
    w = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(ad.average(ad.constant(X), 1, w).numpy(), np.average(X, 1, w), rtol=1e-14)
    np.testing.assert_allclose(ad.average(ad.constant(X)).numpy(), X.mean(), rtol=1e-14)

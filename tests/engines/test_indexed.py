"""What is read, added and counted by indices, and what goes along an axis, in compiled code."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint._errors import IndexingError
from adjoint._graph import spec
from adjoint._trace import record
from adjoint.engines import llvm as llvm_engine
from adjoint.plan.fusion import Nest, Unit
from adjoint.plan.scan import Scan
from adjoint.plan.scatter import Scatter

pytest.importorskip("llvmlite")

NUMBERS = ["float16", "bfloat16", "float32", "float64", "int8", "int32", "int64", "uint8", "uint32"]


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    before, found, build = config.engine, [], llvm_engine.fuse
    llvm_engine.faults.clear()

    def watching(program: Any) -> Any:
        found.append(build(program))
        return found[-1]

    monkeypatch.setattr(llvm_engine, "fuse", watching)
    yield found
    config.engine = before
    assert llvm_engine.faults == []


def values(engine: str, f: Callable[..., Any], arrays: Any) -> list[Any]:
    config.engine = engine
    _graph.forget()
    made = f(*[a if isinstance(a, ad.Tensor) else ad.Tensor(a) for a in arrays])
    made = list(made) if isinstance(made, (list, tuple)) else [made]
    ad.evaluate(*made)
    return [t.numpy() for t in made]


def same(f: Callable[..., Any], *arrays: Any, rtol: float = 0.0) -> list[Any]:
    """The values of ``f`` on the compiled engine, which are those on the NumPy engine."""
    want, got = values("numpy", f, arrays), values("llvm", f, arrays)
    for w, g in zip(want, got):
        assert (w.shape, w.dtype) == (g.shape, g.dtype)
        w, g = [v.astype(np.float64) if v.dtype.kind == "V" else v for v in (w, g)]
        np.testing.assert_allclose(g, w, rtol=rtol, atol=0.0)
    return got


def stages(plans: list[Any]) -> list[Any]:
    """The stages of the last plan, which has to be one unit."""
    (unit,) = plans[-1].parts
    assert isinstance(unit, Unit)
    return unit.stages


def gradient(f: Callable[..., Any], *xs: Any) -> Any:
    with ad.GradientTape() as tape:
        tape.watch(xs[0])
        y = f(*xs)
    return tape.gradient(y, xs[0])


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    x = np.random.default_rng(seed).normal(size=shape) * 3
    return ad.cast(ad.Tensor(np.abs(x) if dtype[0] == "u" else x), dtype).numpy()


INDICES = np.array([[3, 0, 3, -1], [-6, 5, 2, 3]])
GATHERS: list[Callable[..., Any]] = [
    lambda x, i: ad.take(x + x, i, 0), lambda x, i: ad.take(x, i // 2, 1) + 1, lambda x, i: x[i, 1:3] * 2,
    lambda x, i: (x + x)[i, i // 2], lambda x, i: x[1:5][i // 3, :, None], lambda x, i: ad.take(ad.transpose(x), i, 1) + 1,
    lambda x, i: ad.gather(ad.stack([x, x + x]), i, axis=1, batch_dims=1), lambda x, i: ad.take(x[::-1], i + 0, 0) + 1,
    lambda x, i: ad.take_along_axis(x + x, i[:, :1] + ad.zeros((2, 4), "int64"), 0), lambda x, i: x[:, ad.argmax(x, axis=1)] + 1,
    lambda x, i: ad.gather_nd(x, ad.stack([i[0], i[1] // 2], axis=1)) + 1,
]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("number", range(len(GATHERS)))
def test_gathers_are_loops(number: int, dtype: str, plans: list[Any]) -> None:
    f = GATHERS[number]
    same(f, numbers((6, 4), dtype), INDICES if number != 8 else INDICES[:, :4])
    assert all(isinstance(stage, Nest) for stage in stages(plans))


def test_single_numbers_are_read(plans: list[Any]) -> None:
    def program(x: Any, i: Any) -> Any:
        j = ad.cast(ad.argmax(x[i], axis=0), "int32")
        best = x[i, j]
        return [best * 2, ad.take(x[2:, 1], i - 1) + best, ad.take(ad.reshape(best, (1,)), i - i) + 1,
                ad.reshape(x[::-1], (24,))[ad.reshape(i, (1, 1))] - 1, gradient(lambda x: ad.square(x[i, j]), x)]

    same(program, numbers((6, 4), "float32"), np.int64(3))
    stages(plans)
    for wrong in (6, -7):
        with pytest.raises(IndexingError, match=f"index.*{wrong}"):
            values("llvm", program, [numbers((6, 4), "float32"), np.int64(wrong)])


@pytest.mark.parametrize("index", ["int8", "int32", "int64", "uint8", "uint64"])
def test_any_integers_are_indices(index: str) -> None:
    x, i = numbers((6, 4), "float32"), (INDICES if index[0] == "i" else INDICES % 6).astype(index)
    same(lambda x, i: [ad.take(x, i, 0) + 1, ad.scatter(ad.reshape(i, (8, 1)), x[0, :1] + ad.zeros(8), (6,)) * 2], x, i)


def test_a_row_of_a_nest_is_read_by_an_index(plans: list[Any]) -> None:
    """The likelihood of labels, written by hand, goes over each row once."""
    x, labels = numbers((50, 9), "float32"), np.arange(50) % 9

    def loss(x: Any, labels: Any) -> Any:
        return -ad.sum(ad.gather(ad.log_softmax(x), labels, batch_dims=1))

    (got,) = same(loss, x, labels, rtol=1e-6)
    (nest, *rest) = stages(plans)
    assert nest.rows == 50
    assert not any(isinstance(stage, Nest) for stage in rest)
    exact = x.astype(np.float64) - x.max(1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(1, keepdims=True))
    np.testing.assert_allclose(got, -exact[np.arange(50), labels].sum(), rtol=1e-6)
    same(lambda x, labels: gradient(loss, x, labels), x, labels, rtol=1e-6)
    assert not any(isinstance(stage, Scatter) for stage in stages(plans))     # the label's share is a choice


SCATTERS: list[Callable[..., Any]] = [
    lambda g, i: ad.scatter(ad.reshape(i, (8, 1)), ad.concat([g, g], 0), (6, 4)),
    lambda g, i: ad.scatter(ad.reshape(i % 4, (4, 2)), g[:, 0], (4, 4)) * 2,
    lambda g, i: ad.unsorted_segment_sum(g + g, i[0], 7) * 2, lambda g, i: ad.unsorted_segment_sum(g[:, 0], i[0] % 3, 3) + 1,
    lambda g, i: ad.tensor_scatter_add(g + g, ad.reshape(i % 4, (8, 1)), ad.concat([g, g], 0)),
    lambda g, i: ad.unsorted_segment_sum(ad.transpose(g), i[1] % 5, 5) + 1,
]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("number", range(len(SCATTERS)))
def test_additions_by_indices_are_stages(number: int, dtype: str, plans: list[Any]) -> None:
    f = SCATTERS[number]
    same(f, numbers((4, 4), dtype), np.array([[3, 0, 3, 5], [2, 2, 2, 5]]))
    assert any(isinstance(stage, Scatter) for stage in stages(plans))


def test_constants_as_indices_and_beneath() -> None:
    from adjoint._dtypes import float32, int64
    from adjoint.primitives.assignment import SET
    from adjoint.primitives.creation import full_of
    from adjoint.primitives.indexing import TENSOR, UNINDEX, iota

    def program(g: Any, c: Any) -> Any:
        two = full_of(spec((4,), int64), 2)
        return [record(UNINDEX.op(key=(TENSOR,), shape=(5, 3)), g * 2, two) + 1, g[two] + 1,
                full_of(spec((4,), float32), 3)[two] * 2,
                record(SET.op(key=(TENSOR,)), full_of(spec((6, 3), float32), 7), g, two) + 1,
                record(SET.op(key=((1, 3, 1),)), iota(5), ad.cast(g[:2, 0], int64)) * 2,
                g - c[1] * record(UNINDEX.op(key=(TENSOR,), shape=(4, 3)), g * 2, two)]

    same(program, numbers((4, 3), "float32"), np.array([1.0, 0.5], np.float32))
    same(program, numbers((4, 3), "float32"), np.array([1.0, np.inf], np.float32))


def test_many_additions_to_one_place_are_rounded_once() -> None:
    g = numbers((5000,), "float32")
    i = np.random.default_rng(1).integers(0, 3, size=(5000, 1))
    (got,) = same(lambda g, i: ad.scatter(i, g * 1.5, (3,)) * 1.0, g, i)
    exact = [np.float32(np.sum((g * np.float32(1.5)).astype(np.float64)[i[:, 0] == k])) for k in range(3)]
    np.testing.assert_array_equal(got, exact)


GATHERED: list[Callable[..., Any]] = [
    lambda x, i: ad.take(x, i, 0), lambda x, i: ad.take(x, i % 4, 1), lambda x, i: x[i, i % 4],
    lambda x, i: ad.take_along_axis(x, i[0, :2][None, :, None] % 4 + ad.zeros((2, 6, 1), "int64"), 2)
    if x.ndim == 3 else ad.take_along_axis(x, ad.reshape(i[:, :3], (6, 1)) % 4, 1),
    lambda x, i: ad.gather(x, ad.reshape(i[:, :3], (6,)) % 4, batch_dims=1), lambda x, i: x[2:][i // 2, ::2],
]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("number", range(len(GATHERED)))
def test_gradients_of_gathers(number: int, dtype: str, plans: list[Any]) -> None:
    f = GATHERED[number]
    same(lambda x, i: gradient(lambda x: ad.sum(ad.square(f(x, i))), x), numbers((6, 4), dtype), INDICES)
    stages(plans)


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize("wrong", [6, -7, 2**40])
def test_an_index_out_of_range_raises_what_the_kernel_raises(engine: str, wrong: int) -> None:
    config.engine = engine
    x, i = ad.Tensor(numbers((6, 4), "float32")), ad.Tensor(np.array([0, wrong, 2])) + 0
    with pytest.raises(IndexingError, match=f"(?s)index.*{wrong}"):
        (ad.take(x * 2, i, 0) + 1).numpy()
    with pytest.raises(IndexingError, match="index"):
        ad.sum(ad.take_along_axis(x * 2, i[:, None] + ad.zeros((3, 4), "int64"), 0)).numpy()
    with pytest.raises(IndexingError, match=f"scatter.*{wrong}"):
        (ad.scatter(i[:, None], x[:3] * 2, (6, 4)) + 1).numpy()
    good = ad.take(x * 2, i * 0, 0) + 1
    np.testing.assert_array_equal(good.numpy(), x.numpy()[[0, 0, 0]] * 2 + 1)


def test_a_variable_keeps_its_value_where_an_index_is_out_of_range() -> None:
    config.engine = "llvm"
    table, old = ad.Variable(np.ones((6, 4), np.float32)), np.ones((6, 4))
    for wrong in (2, 9, 3):
        i = ad.Tensor(np.array([0, wrong, 2])) + 0
        with ad.GradientTape() as tape:
            loss = ad.sum(ad.square(ad.gather(table, i)))
        try:
            table.assign_sub(0.25 * tape.gradient(loss, table))
            table.numpy()
        except IndexingError:
            assert wrong == 9
            np.testing.assert_array_equal(table.numpy(), old)
        else:
            assert wrong != 9
            old = table.numpy().copy()


UPDATES: list[Callable[..., Any]] = [
    lambda w, g, i, c: ad.tensor_scatter_sub(w, i, g), lambda w, g, i, c: ad.tensor_scatter_add(w + w, i, g),
    lambda w, g, i, c: w - c * ad.scatter(i, g + g, w.shape), lambda w, g, i, c: -(ad.scatter(i, g, w.shape) * c) * 2 + w,
    lambda w, g, i, c: ad.transpose(w) - c * ad.transpose(ad.scatter(i, g, w.shape)),
    lambda w, g, i, c: w - c * ad.scatter(ad.concat([i, i % 3], 1), g[:, 0], w.shape),
    lambda w, g, i, c: w[1:] - ad.scatter(i % 4, g, (5, 3)), lambda w, g, i, c: w * 2 - ad.scatter(i, g, w.shape) / c,
]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("number", range(len(UPDATES)))
def test_updates_of_a_few_rows(number: int, dtype: str, plans: list[Any]) -> None:
    if number == 7 and dtype[0] in "iu":
        return
    i = np.array([[0], [5], [2], [-1], [2], [5], [5]])
    f = UPDATES[number]
    same(f, numbers((6, 3), dtype), numbers((7, 3), dtype, 1), i % 6 if number == 5 else i, numbers((), dtype, 2))
    scatter = next(stage for stage in stages(plans) if isinstance(stage, Scatter))
    assert (scatter.base is not None) == (number != 4)


PLACED: list[Callable[..., Any]] = [
    lambda x, v, i: ad.tensor_scatter_update(x * 2, i, v), lambda x, v, i: ad.tensor_scatter_update(x, i % 4, v[:, :1] + v * 0),
    lambda x, v, i: ad.put_along_axis(x + x, i[:6] % 3, v[0, 0], 1), lambda x, v, i: ad.tensor_scatter_max(x + 0, i, v),
    lambda x, v, i: ad.tensor_scatter_min(ad.flip(x, 1), i, v), lambda x, v, i: ad.unsorted_segment_max(v + v, i[:, 0], 8) * 2,
    lambda x, v, i: ad.unsorted_segment_min(v, i[:, 0], 8) * 2, lambda x, v, i: assigned(x * 2, (slice(1, 4), 1), v[0, 0]),
    lambda x, v, i: assigned(x[::-1], (Ellipsis, slice(None, None, -2)), v[:6, :2]),
    lambda x, v, i: assigned(x + 0, (i[:, 0], slice(0, 2)), v[:, :2]),
]


def assigned(x: Any, key: Any, value: Any) -> Any:
    x = ad.reshape(x, x.shape) + 0
    x[key] = value
    return x * 2


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("number", range(len(PLACED)))
def test_what_is_put_over_an_array(number: int, dtype: str, plans: list[Any]) -> None:
    i, f = np.array([[0], [5], [2], [1], [2], [5], [5]]), PLACED[number]
    same(f, numbers((6, 3), dtype), numbers((7, 3), dtype, 1), i)
    assert any(isinstance(stage, Scatter) for stage in stages(plans))
    if dtype == "float32":
        def gradients(x: Any, v: Any, i: Any) -> Any:
            with ad.GradientTape() as tape:
                tape.watch([x, v])
                y = ad.sum(ad.square(f(x, v, i)))
            return tape.gradient(y, [x, v], unconnected_gradients="zero")

        same(gradients, numbers((6, 3), dtype), numbers((7, 3), dtype, 1), i)


def test_an_empty_segment_has_the_limit_of_the_dtype() -> None:
    (got,) = same(lambda x: ad.unsorted_segment_max(x * 1, ad.constant([2, 0]), 3), np.array([1.0, 2.0], np.float16))
    assert got.tolist() == [2.0, -65504.0, 1.0]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("axis", [0, 1, (0, 2), None, ()])
def test_products_over_axes(axis: Any, dtype: str, plans: list[Any]) -> None:
    x = numbers((4, 3, 5), dtype)
    narrow = 1e-15 if dtype == "float64" else 0.0
    same(lambda x: ad.prod(x * 1, axis=axis), x, rtol=narrow)
    stages(plans)
    if dtype == "float64":
        same(lambda x: gradient(lambda x: ad.sum(ad.prod(x, axis=axis)), x), x, rtol=1e-15)


def test_sums_by_indices_are_added_to_each_other(plans: list[Any]) -> None:
    g, i = numbers((7, 3), "float32"), np.array([[0], [5], [2], [1], [2], [5], [5]])
    same(lambda g, i, c: ad.scatter(i, g, (6, 3)) * c + ad.scatter(i % 4, g * 2, (6, 3)), g, i, np.float32(0.5))
    assert [stage.base is None for stage in stages(plans) if isinstance(stage, Scatter)] == [True, False]


@pytest.mark.parametrize("factor", [np.inf, -np.inf, np.nan])
def test_a_factor_that_is_not_finite_leaves_no_row_as_it_is(factor: float) -> None:
    w, g, i = numbers((6, 3), "float32"), numbers((2, 3), "float32", 1), np.array([[1], [4]])
    (got,) = same(lambda w, g, i, c: w - c * ad.scatter(i, g, (6, 3)), w, g, i, np.float32(factor))
    assert np.isnan(got[0]).all()


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_a_step_on_a_large_table(engine: str) -> None:
    """Two tables, changed where they lie; a step that fails leaves both as they were."""
    config.engine = engine
    rng = np.random.default_rng(5)
    start = [rng.normal(size=(700, 40)).astype(np.float32) for _ in range(2)]
    users, items = [ad.Variable(t) for t in start]
    exact = [t.astype(np.float64) for t in start]
    for step in range(6):
        i, j = rng.integers(0, 700, size=(2, 50))
        if step == 4:
            j[3] = 700
        with ad.GradientTape() as tape:
            rows = ad.gather(users, ad.Tensor(i) + 0), ad.gather(items, ad.Tensor(j) + 0)
            loss = ad.sum(ad.square(ad.sum(rows[0] * rows[1], axis=1)))
        try:
            for v, g in zip((users, items), tape.gradient(loss, (users, items))):
                v.assign_sub(0.01 * g)
            loss.numpy()
        except IndexingError:
            assert step == 4
            continue
        assert step != 4
        a, b = exact[0][i], exact[1][j]
        slope = 2 * (a * b).sum(1, keepdims=True)
        np.subtract.at(exact[0], i, 0.01 * slope * b)
        np.subtract.at(exact[1], j, 0.01 * slope * a)
    for v, want in zip((users, items), exact):
        np.testing.assert_allclose(v.numpy(), want, rtol=1e-4, atol=1e-5)


def test_empty_indices_and_axes() -> None:
    x = numbers((6, 4), "float32")
    empty = np.zeros((0,), np.int64)
    same(lambda x, i: [ad.take(x * 2, i, 0) + 1, ad.scatter(i[:, None], x[:0] * 2, (6, 4)) + 1], x, empty)
    same(lambda x: [ad.cumsum(x[:, :0] * 2, axis=1), ad.tril(x[:0] + 1)], x)


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_where_extremes_stand(name: str, dtype: str, plans: list[Any]) -> None:
    x = numbers((7, 33), dtype)
    if x.dtype.kind in "fV":
        x[2, [5, 9]], x[3, 4], x[4, [6, 8]], x[5] = np.nan, np.inf, -np.inf, 1.0
    find = getattr(ad, name)
    same(lambda x: [find(x, axis=0), find(x, axis=1, keepdims=True), find(x)], x)
    stages(plans)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(40,), (5, 7), (3, 4, 9), (9, 1, 2)])
def test_running_sums_and_products(shape: tuple[int, ...], dtype: str, plans: list[Any]) -> None:
    x = numbers(shape, dtype)
    narrow = {"float16": 1e-3, "bfloat16": 1e-2, "float64": 1e-15}.get(dtype, 0.0)
    for axis in range(len(shape)):
        same(lambda x: [f(x, axis=axis, reverse=back) for f in (ad.cumsum, ad.cumprod) for back in (False, True)],
             x, rtol=narrow)
        assert any(isinstance(stage, Scan) for stage in stages(plans))


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
def test_running_extremes_and_where_they_stand(dtype: str, plans: list[Any]) -> None:
    x = numbers((5, 9), dtype)
    if x.dtype.kind in "fV":
        x[1, 3], x[2, 5], x[3] = np.nan, -np.inf, 1.0
    for axis in (0, 1):
        same(lambda x: [t for f in (ad.cummax, ad.cummin) for t in f(ad.flip(x, 0), axis)], x)
        stages(plans)
    same(lambda x: [t + 0 for t in ad.cummax(ad.cast(x, "float32")[:, :1] * 2, 1)], x)
    if dtype == "float64":
        same(lambda x: gradient(lambda x: ad.sum(ad.square(ad.cummin(x, 1)[0])), x), numbers((5, 9), dtype))


def test_running_sums_lose_nothing() -> None:
    x = np.random.default_rng(3).normal(size=(3, 20_000))
    (got,) = same(lambda x: ad.cumsum(x * 1.0, axis=1), x, rtol=1e-12)
    exact = np.cumsum(x.astype(np.longdouble), axis=1)
    np.testing.assert_allclose(got, exact.astype(np.float64), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", [*NUMBERS, "bool"])
def test_masks_by_place_and_rolling(dtype: str, plans: list[Any]) -> None:
    x = numbers((2, 5, 7), dtype)
    same(lambda x: [f(x, k) for f in (ad.tril, ad.triu) for k in (-2, 0, 3)], x)
    stages(plans)
    same(lambda x: [ad.roll(x, (2, -1), (1, 2)), ad.diag(x[0, 0], 1), ad.diagonal(ad.flip(x, 1), -1)], x)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("name", ["floor_divide", "trunc_divide", "remainder", "fmod"])
def test_quotients_and_rests(name: str, dtype: str, plans: list[Any]) -> None:
    x, y = np.meshgrid(numbers((40,), dtype), numbers((40,), dtype, 1))
    if dtype[0] in "iu":
        most = np.iinfo(dtype).max
        x[:, :4], y[:4] = [0, 1, most, np.iinfo(dtype).min], np.array([[0], [1], [-1 if dtype[0] == "i" else 2], [most]], dtype)
    else:
        x[:, :6], y[:6] = [0, -0.0, 5, np.inf, -np.inf, np.nan], np.array([[0], [-0.0], [-5], [np.inf], [-np.inf], [np.nan]])
    same(lambda x, y: getattr(ad, name)(x, y) * 1, np.ascontiguousarray(x), y)
    stages(plans)


def test_a_rest_of_a_large_quotient_is_exact() -> None:
    x, y = np.array([1e300, 3.0, 2.0**80]), np.array([1e-3, 2.0, 3.0])
    same(lambda x, y: [ad.fmod(x, y) * 1.0, ad.remainder(x, y) * 1.0], x, y)


def test_numbers_that_are_looked_at_and_counted() -> None:
    from adjoint.primitives.indexing import iota

    same(lambda x: [x * 2 + iota(6, 2, 0), iota(6), iota(6)[::2] * 2, ad.sum(iota(6)) + 1, ad.sort(iota(6) - 3) * 2],
         np.arange(24).reshape(6, 4))

"""Indexing, assignment to parts, gather and scatter: as NumPy does it, with true derivatives."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint._graph import REGISTRY, Primitive
from adjoint._trace import Trace, local, record

X = np.arange(24.0).reshape(2, 3, 4)
MASK = X % 3 == 0

KEYS = [
    0, -1, (0, 1), (1, -1, 2), slice(None), slice(None, None, -1), slice(5, None, -2), (..., 1), (None, 0),
    (slice(0, 2), None, slice(3, 0, -2)), (..., None), Ellipsis, None, (slice(0, 0),), np.int64(1), (1, ..., 2),
    [0, 1], ([0, 1],), ([0, 1], slice(None), [1, 2]), (slice(None), [0, 2, 2]), (slice(None), [[0], [2]], [1, 3]),
    (0, slice(None), [1, 2]), ([1, 0], 1), (..., [0, 1]), (1, ..., [0, 0]), ([0, 1], None, [1, 2]), (slice(None), []),
    np.array([[1, 0], [0, 1]]), np.array(1), (slice(None), np.array([2, -1], np.int8)),
    slice(-5, None, -2), MASK, (slice(None), np.array([True, False, True])), (slice(None), np.array([True, False, True]), [0, 1]),
    (MASK[:, :, 0], 1), (MASK[:, :, 0], slice(None, None, 2)), (1, MASK[1]), [True, False], np.zeros((2, 3), bool),
]


def text(key: Any) -> str:
    return repr(key).replace("\n", "")[:60]


@pytest.mark.parametrize("key", KEYS, ids=text)
@pytest.mark.parametrize("tensors", [False, True])
def test_getitem_is_numpys(key: Any, tensors: bool) -> None:
    given = key
    if tensors:
        items = key if isinstance(key, tuple) else (key,)
        made = [ad.Tensor(k) if isinstance(k, np.ndarray) else k for k in items]
        given = tuple(made) if isinstance(key, tuple) else made[0]
    x = ad.Tensor(X)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = x[given]
    assert y.shape == X[key].shape
    weights = np.random.default_rng(0).normal(size=y.shape)
    grad = tape.gradient(y, x, output_gradients=ad.Tensor(weights))
    want = np.zeros_like(X)
    np.add.at(want, key, weights)
    np.testing.assert_array_equal(y.numpy(), X[key])
    np.testing.assert_allclose(grad.numpy(), want, atol=1e-12)


@pytest.mark.parametrize("key", KEYS, ids=text)
def test_setitem_is_numpys(key: Any) -> None:
    if not X[key].size:
        return
    rng = np.random.default_rng(1)
    value = rng.normal(size=X[key].shape)
    want = X.copy()
    want[key] = value
    x, v = ad.Tensor(X), ad.Tensor(value)
    handle = x
    with ad.GradientTape() as tape:
        tape.watch([x, v])
        x = x * 1.0
        inner = x
        x[key] = v
        y = ad.sum(x * x)
    assert inner is x
    np.testing.assert_array_equal(x.numpy(), want)
    np.testing.assert_array_equal(handle.numpy(), X)
    gx, gv = tape.gradient(y, [handle, v])
    left = np.ones_like(X)
    left[key] = 0
    np.testing.assert_array_equal(gx.numpy(), 2 * X * left)
    places = np.zeros(X.shape, int) - 1
    places[key] = np.arange(value.size).reshape(value.shape)
    kept = places[key] == np.arange(value.size).reshape(value.shape)
    np.testing.assert_array_equal(gv.numpy(), np.where(kept, 2 * value, 0))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_random_slices(data: st.DataObject) -> None:
    shape = (3, 4, 2)
    x = np.arange(24.0).reshape(shape)
    bound = st.none() | st.integers(-6, 6)
    entry = st.one_of(st.builds(slice, bound, bound, st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3])), st.none(),
                      st.integers(-2, 1))
    key = tuple(data.draw(st.lists(entry, max_size=3)))
    got = ad.Tensor(x)[key]
    np.testing.assert_array_equal(got.numpy(), x[key])
    assert got.shape == x[key].shape


def _entry(rng: np.random.Generator, n: int) -> Any:
    """Anything that may stand in a key for an axis of length n, out of range now and then."""
    def bound() -> int | None:
        return None if rng.random() < 0.4 else int(rng.integers(-n - 2, n + 3))

    kind = rng.integers(0, 7)
    if kind == 0:
        return int(rng.integers(-n - 1, n + 1))
    if kind <= 2:
        return slice(bound(), bound(), (None, -2, -1, 1, 2)[rng.integers(5)])
    return (None, Ellipsis, rng.random(n) < 0.5, rng.integers(-n, n, tuple(rng.integers(1, 3, rng.integers(0, 3)))))[kind - 3]


@pytest.mark.parametrize("seed", range(300))
def test_random_keys(seed: int) -> None:
    """Ints, slices, new axes, ellipses, index arrays and masks mixed: values, errors, assignment and gradient."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rng.integers(1, 4, rng.integers(1, 4)))
    key: Any = []
    axis = 0
    for _ in range(rng.integers(1, x.ndim + 2)):
        key.append(_entry(rng, x.shape[axis] if axis < x.ndim else 2))
        axis += key[-1] is not None and key[-1] is not Ellipsis
    key = tuple(key)
    try:
        want = x[key]
    except IndexError:
        with pytest.raises((ad.IndexingError, ad.ShapeError)):
            ad.Tensor(x)[key].numpy()
        return
    t = ad.Tensor(x)
    with ad.GradientTape() as tape:
        tape.watch(t)
        y = t[key]
    assert y.shape == want.shape
    np.testing.assert_array_equal(y.numpy(), want)
    weights = rng.normal(size=want.shape)
    added, put = np.zeros_like(x), x.copy()
    np.add.at(added, key, weights)
    np.testing.assert_allclose(tape.gradient(y, t, output_gradients=ad.Tensor(weights)).numpy(), added, atol=1e-12)
    put[key] = weights
    t[key] = weights
    np.testing.assert_array_equal(t.numpy(), put)


@pytest.mark.parametrize(("key", "words"), [
    (2, r"axis 0.*\[-2, 2\).*got 2"), ((0, -4), r"axis 1"), ((0, 0, 0, 0), "at most 3"), ((..., ...), "ellipsis"),
    (1.5, "integer"), ("a", "integer"), ([0.5], "float32"), ([5], "got 5"), ((slice(None), [-4]), "got -4"),
    (np.array([True]), "mask"), (slice(None, None, 0), "zero"), (slice(1.5), "slice"),
])
def test_bad_keys_raise_at_their_line(key: Any, words: str) -> None:
    x = ad.Tensor(X)
    with pytest.raises(ad.IndexingError, match=words):
        x[key]
    with pytest.raises(IndexError):
        x[key] = 0.0
    np.testing.assert_array_equal(x.numpy(), X)


def test_an_index_computed_later_is_checked_when_it_is_known() -> None:
    x, i = ad.Tensor([1.0, 2.0]), ad.Tensor([1])
    y = x[i + 3]
    with pytest.raises(ad.IndexingError, match="outside the tensor"):
        y.numpy()


def test_a_scalar_tensor_counts_as_an_index() -> None:
    x, i = ad.Tensor(X), ad.Tensor(1)
    np.testing.assert_array_equal(x[i].numpy(), X[1])
    np.testing.assert_array_equal(x[:, i - 1, ::2].numpy(), X[:, 0, ::2])
    np.testing.assert_array_equal(x[ad.Tensor(0):ad.Tensor(1)].numpy(), X[:1])


def test_a_mask_cannot_be_traced() -> None:
    with pytest.raises(ad.TraceError):
        ad.function(lambda x: x[x > 0])(ad.Tensor([1.0, -1.0]))


def test_iteration_and_unpacking() -> None:
    a, b = ad.Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert (a.tolist(), b.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    with pytest.raises(TypeError):
        iter(ad.Tensor(1.0))


# ------------------------------------------------------------------------------------------------------- what setitem means

def test_older_uses_keep_the_old_value() -> None:
    x = ad.Tensor([1.0, 2.0, 3.0])
    before = x * 10.0
    x[0] = 7.0
    assert before.tolist() == [10.0, 20.0, 30.0]
    assert x.tolist() == [7.0, 2.0, 3.0]
    x[1:] = [8.0, 9.0]
    assert x.tolist() == [7.0, 8.0, 9.0]


def test_setitem_of_a_watched_tensor_differentiates_by_its_new_value() -> None:
    x = ad.Tensor([1.0, 2.0, 3.0])
    old = x + 0.0
    with ad.GradientTape(persistent=True) as tape:
        tape.watch([x, old])
        first = ad.sum(x * x)
        x[0] = x[1] * 2.0
        second = ad.sum(x * x)
    assert tape.gradient(second, x).tolist() == [8.0, 4.0, 6.0]
    assert float(first) == 14.0
    assert tape.gradient(first, x) is None


def test_setitem_after_values_were_looked_at() -> None:
    """The record of an earlier, settled stretch keeps the value it was computed with."""
    x, w = ad.Tensor([1.0, 2.0]), ad.Variable(3.0)
    with ad.GradientTape(persistent=True) as tape:
        y = ad.sum(x * x * w)
        assert float(y) == 15.0
        x[0] = 100.0
        z = ad.sum(x * w)
        assert float(z) == 306.0
    assert float(tape.gradient(y, w)) == 5.0
    assert float(tape.gradient(z, w)) == 102.0
    assert x.tolist() == [100.0, 2.0]


def test_a_pending_assignment_keeps_what_it_was_given() -> None:
    v, x = ad.Variable([0.0, 0.0]), ad.Tensor([1.0, 2.0]) * 1.0
    v.assign(x)
    x[0] = 9.0
    assert v.numpy().tolist() == [1.0, 2.0]
    assert x.tolist() == [9.0, 2.0]


def test_setitem_in_a_loop_is_differentiable() -> None:
    a = ad.Tensor(2.0)
    with ad.GradientTape() as tape:
        tape.watch(a)
        x = ad.Tensor(np.zeros(5, np.float32))
        x[0] = 1.0
        for k in range(1, 5):
            x[k] = x[k - 1] * a
        y = x[4]
    assert float(tape.gradient(y, a)) == 32.0            # d a**4 / da at 2


def test_setitem_inside_a_traced_function() -> None:
    @ad.function
    def f(x: Any) -> Any:
        y = x * 1.0
        y[0] = 0.0
        return y

    assert f(ad.Tensor([1.0, 2.0])).tolist() == [0.0, 2.0]
    assert f(ad.Tensor([3.0, 4.0])).tolist() == [0.0, 4.0]


def test_one_value_under_a_mask_needs_no_look_at_it() -> None:
    @ad.function
    def clipped(x: Any) -> Any:
        y = x + 0.0
        y[x < 0] = 0.0
        return y

    x = ad.Tensor([[1.0, -2.0], [-3.0, 4.0]])
    assert clipped(x).tolist() == [[1.0, 0.0], [0.0, 4.0]]
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = clipped(x)
    assert tape.gradient(y, x).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    z = x + 0.0
    z[np.array([True, False])] = 5
    assert z.tolist() == [[5.0, 5.0], [-3.0, 4.0]]
    with pytest.raises(ad.IndexingError):
        z[ad.Tensor([True, False, True])] = 0.0


def test_setitem_converts_but_does_not_truncate() -> None:
    x = ad.Tensor([1, 2], dtype="int32")
    with pytest.raises(ad.DtypeError):
        x[0] = ad.Tensor(1.5)
    y = ad.Tensor([1.0, 2.0])
    y[0] = np.float64(0.5)
    y[1] = ad.Tensor(4)
    assert y.tolist() == [0.5, 4.0]
    assert y.dtype == "float32"
    with pytest.raises(ad.ShapeError):
        y[:] = [1.0, 2.0, 3.0]


# ------------------------------------------------------------------------------------------------------------- variables

def test_parts_of_a_variable() -> None:
    v = ad.Variable([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ad.NotSupportedError, match="assign"):
        v[0] = 1.0
    v[1:3].assign([5.0, 6.0])
    v[0].assign_add(1.0)
    v[-1].assign_sub(0.5)
    assert v.numpy().tolist() == [2.0, 5.0, 6.0, 3.5]
    with pytest.raises(ad.ShapeError):
        v[1:3].assign([1.0, 2.0, 3.0])
    assert v.numpy().tolist() == [2.0, 5.0, 6.0, 3.5]
    with ad.GradientTape() as tape:
        y = ad.sum(v[1:] * v[:-1])
    assert tape.gradient(y, v).tolist() == [5.0, 8.0, 8.5, 6.0]


def test_scatter_methods_of_a_variable() -> None:
    v = ad.Variable([1.0, 2.0, 3.0])
    rows = ad.IndexedSlices([1.0, 1.0, 5.0], [0, 0, 2], (3,))
    for method, want in (("scatter_add", [3.0, 2.0, 8.0]), ("scatter_sub", [1.0, 2.0, 3.0]), ("scatter_max", [1.0, 2.0, 5.0]),
                         ("scatter_min", [1.0, 2.0, 5.0]), ("scatter_update", [1.0, 2.0, 5.0])):
        getattr(v, method)(rows)
        assert v.numpy().tolist() == want, method
    v.scatter_nd_update([[1], [0]], [7.0, 8.0])
    v.scatter_nd_add([[1], [1]], [1.0, 1.0])
    v.scatter_nd_sub([[2]], [0.5])
    assert v.numpy().tolist() == [8.0, 9.0, 4.5]
    for bad in (lambda: v.scatter_nd_add([[3]], [1.0]), lambda: v.scatter_nd_add([[0]], [1.0, 2.0]),
                lambda: v.scatter_add([1.0]), lambda: v.scatter_add(ad.IndexedSlices([1.0], [5]))):
        with pytest.raises((ad.ArgumentError, TypeError)):
            bad()
    assert v.numpy().tolist() == [8.0, 9.0, 4.5]


def test_gradient_of_a_gather_is_indexed_slices() -> None:
    v, ids = ad.Variable(np.arange(12.0).reshape(4, 3)), ad.Tensor([0, 2, 2])
    for _ in range(3):                                   # derived, then replayed
        with ad.GradientTape() as tape:
            y = ad.gather(v, ids)
            loss = ad.sum(y * y)
        grad = tape.gradient(loss, v)
        assert isinstance(grad, ad.IndexedSlices)
        assert grad.indices.tolist() == [0, 2, 2]
        want = np.zeros((4, 3))
        np.add.at(want, [0, 2, 2], 2 * v.numpy()[[0, 2, 2]])
        np.testing.assert_array_equal(grad.numpy(), want)
        np.testing.assert_array_equal(np.asarray(grad), want)
        np.testing.assert_array_equal((grad * 2.0).numpy(), 2 * want)
        np.testing.assert_array_equal((grad * grad).numpy(), want * want)
        np.testing.assert_array_equal((grad + grad).numpy(), 2 * want)
        np.testing.assert_array_equal(ad.sum(grad).numpy(), want.sum())
        before = v.numpy()
        v.scatter_sub(0.5 * grad)
        np.testing.assert_array_equal(v.numpy(), before - 0.5 * want)
        before = v.numpy()
        v.assign_sub(grad * 0.25)
        np.testing.assert_array_equal(v.numpy(), before - 0.25 * want)


def test_gathers_join_and_become_dense_beside_dense() -> None:
    v = ad.Variable([1.0, 2.0, 3.0])
    with ad.GradientTape(persistent=True) as tape:
        two = ad.sum(ad.gather(v, [0, 0])) + ad.sum(ad.gather(v, [[2]]) * 3.0)
        mixed = ad.sum(ad.gather(v, [0, 0])) + ad.sum(v * v)
        inner = ad.sum(ad.gather(v * 2.0, [1]))
    assert sorted(tape.gradient(two, v).indices.tolist()) == [0, 0, 2]
    assert tape.gradient(two, v).numpy().tolist() == [2.0, 0.0, 3.0]
    assert tape.gradient(mixed, v).tolist() == [4.0, 4.0, 6.0]
    assert tape.gradient(inner, v).tolist() == [0.0, 2.0, 0.0]


# ----------------------------------------------------------------------------------------------------- gather and scatter

def test_take_and_gather() -> None:
    x, i = ad.Tensor(X), np.array([[2, 0], [1, 1]])
    for axis in (0, 1, 2, -1):
        at = i % X.shape[axis]
        np.testing.assert_array_equal(ad.take(x, at, axis=axis).numpy(), X.take(at, axis))
        np.testing.assert_array_equal(ad.gather(x, at, axis=axis).numpy(), X.take(at, axis))
    np.testing.assert_array_equal(ad.take(x, i).numpy(), X.take(i))
    np.testing.assert_array_equal(ad.gather(x, i, batch_dims=1).numpy(), np.stack([X[b].take(i[b], 0) for b in range(2)]))
    np.testing.assert_array_equal(ad.gather(x, i, axis=2, batch_dims=1).numpy(),
                                  np.stack([X[b].take(i[b], 1) for b in range(2)]))
    j = np.arange(6).reshape(2, 3) % 4
    np.testing.assert_array_equal(ad.gather(x, j, batch_dims=2).numpy(), np.take_along_axis(X, j[..., None], 2)[..., 0])
    with pytest.raises(ad.IndexingError):
        ad.gather(x, [2])
    with pytest.raises(ad.AxisError):
        ad.take(x, [0], axis=3)
    with pytest.raises(ad.ShapeError):
        ad.gather(x, [[0], [0], [0]], batch_dims=1)
    with pytest.raises(ad.IndexingError):
        ad.take(x, [0.5], axis=0)


def test_gather_nd_and_scatter() -> None:
    x = ad.Tensor(X)
    np.testing.assert_array_equal(ad.gather_nd(x, [[0, 1], [1, 2]]).numpy(), X[[0, 1], [1, 2]])
    np.testing.assert_array_equal(ad.gather_nd(x, [[[0, 1, 2]]]).numpy(), X[[[0]], [[1]], [[2]]])
    np.testing.assert_array_equal(ad.gather_nd(x, [[2], [0]], batch_dims=1).numpy(), X[[0, 1], [2, 0]])
    assert ad.scatter([[1], [3], [1]], [1.0, 2.0, 3.0], (4,)).tolist() == [0.0, 4.0, 0.0, 2.0]
    rows = ad.scatter([[1], [1]], np.ones((2, 3)), (2, 3))
    assert rows.tolist() == [[0.0] * 3, [2.0] * 3]
    for bad in (lambda: ad.scatter([[4]], [1.0], (4,)), lambda: ad.scatter([[0, 0]], [1.0], (4,)),
                lambda: ad.scatter([[0]], [1.0, 2.0], (4,)), lambda: ad.gather_nd(x, [[0, 5]])):
        with pytest.raises(ad.ArgumentError):
            bad()


def test_tensor_scatters() -> None:
    x, i, u = ad.Tensor([1.0, 5.0, 2.0]), [[0], [2], [2]], [1.0, 4.0, 4.0]
    assert ad.tensor_scatter_add(x, i, u).tolist() == [2.0, 5.0, 10.0]
    assert ad.tensor_scatter_sub(x, i, u).tolist() == [0.0, 5.0, -6.0]
    assert ad.tensor_scatter_update(x, i, u).tolist() == [1.0, 5.0, 4.0]
    assert ad.tensor_scatter_max(x, i, u).tolist() == [1.0, 5.0, 4.0]
    assert ad.tensor_scatter_min(x, i, u).tolist() == [1.0, 5.0, 2.0]
    updates = ad.Tensor(u)
    with ad.GradientTape() as tape:
        tape.watch([x, updates])
        y = ad.tensor_scatter_max(x, i, updates)
    gx, gu = tape.gradient(y, [x, updates], output_gradients=ad.Tensor([6.0, 10.0, 8.0]))
    assert gx.tolist() == [3.0, 10.0, 0.0]               # equal values share
    assert gu.tolist() == [3.0, 4.0, 4.0]


def test_along_axis() -> None:
    rng = np.random.default_rng(0)
    for axis in (0, 1, 2):
        i = rng.integers(0, X.shape[axis], (2, 3, 4))
        np.testing.assert_array_equal(ad.take_along_axis(ad.Tensor(X), i, axis).numpy(), np.take_along_axis(X, i, axis))
    i = np.array([[[1]], [[0]]])
    np.testing.assert_array_equal(ad.take_along_axis(ad.Tensor(X), i, 1).numpy(), np.take_along_axis(X, i, 1))
    put = X.copy()
    np.put_along_axis(put, i, -1.0, 1)
    np.testing.assert_array_equal(ad.put_along_axis(ad.Tensor(X), i, -1.0, 1).numpy(), put)
    with pytest.raises(ad.ShapeError):
        ad.take_along_axis(ad.Tensor(X), [0], 0)


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "edge"])
def test_pad(mode: str) -> None:
    widths = ((1, 0), (2, 2), (0, 3))
    np.testing.assert_array_equal(ad.pad(ad.Tensor(X[:, :, :4].repeat(2, 0)), widths, mode.upper()).numpy(),
                                  np.pad(X.repeat(2, 0), widths, mode=mode))
    with pytest.raises(ad.ShapeError):
        ad.pad(ad.Tensor(X), [(-1, 0)] * 3, mode)
    with pytest.raises(ad.ShapeError):
        ad.pad(ad.Tensor(X), [(1, 0)] * 2, mode)


def test_pad_values_and_limits() -> None:
    assert ad.pad(ad.Tensor([1.0]), 1, constant_values=5).tolist() == [5.0, 1.0, 5.0]
    c = ad.Tensor(2.0)
    with ad.GradientTape() as tape:
        tape.watch(c)
        y = ad.pad(ad.Tensor([1.0]), (1, 2), constant_values=c)
    assert y.tolist() == [2.0, 1.0, 2.0, 2.0]
    assert float(tape.gradient(y, c)) == 3.0
    with pytest.raises(ad.ShapeError, match="at most 1"):
        ad.pad(ad.Tensor([1.0, 2.0]), (2, 0), "reflect")
    with pytest.raises(ad.NotSupportedError):
        ad.pad(ad.Tensor([1.0]), 1, "wild")


def test_one_hot() -> None:
    np.testing.assert_array_equal(ad.one_hot([0, 2, -1, 3], 3).numpy(), np.eye(4, 3)[[0, 2, 3, 3]])
    np.testing.assert_array_equal(ad.one_hot([0, 2], 3, axis=0).numpy(), np.eye(3)[[0, 2]].T)
    assert ad.one_hot(1, 2, on_value=5, off_value=-1, dtype="int64").tolist() == [-1, 5]
    on = ad.Tensor(3.0)
    with ad.GradientTape() as tape:
        tape.watch(on)
        y = ad.one_hot([1, 1], 2, on_value=on)
    assert y.tolist() == [[0.0, 3.0], [0.0, 3.0]]
    assert float(tape.gradient(y, on)) == 2.0
    with pytest.raises(ad.IndexingError):
        ad.one_hot([0.5], 2)
    with pytest.raises(ad.ShapeError):
        ad.one_hot([0], -1)


def test_masks_and_partitions() -> None:
    np.testing.assert_array_equal(ad.boolean_mask(ad.Tensor(X), [True, False, True], axis=1).numpy(), X[:, [0, 2]])
    parts = ad.dynamic_partition(ad.Tensor([1.0, 2.0, 3.0]), [1, 0, 1], 3)
    assert [p.tolist() for p in parts] == [[2.0], [1.0, 3.0], []]
    assert ad.dynamic_stitch([[0, 2], [1, 2]], [[1.0, 3.0], [2.0, 9.0]]).tolist() == [1.0, 2.0, 9.0]
    with pytest.raises(ad.IndexingError):
        ad.dynamic_partition(ad.Tensor([1.0]), [3], 3)


# --------------------------------------------------------------------------------------------------------------- segments

IDS = np.array([1, 0, 1, -1, 3])
DATA = np.array([[1.0, 5.0], [2.0, 0.0], [3.0, 5.0], [4.0, 1.0], [0.0, 2.0]])


@pytest.mark.parametrize(("name", "reduce", "empty"), [
    ("sum", np.sum, 0.0), ("mean", np.mean, 0.0), ("prod", np.prod, 1.0),
    ("max", np.max, np.finfo(np.float64).min), ("min", np.min, np.finfo(np.float64).max)])
@pytest.mark.parametrize("pending", [False, True])
def test_unsorted_segments(name: str, reduce: Any, empty: float, pending: bool) -> None:
    ids = ad.Tensor(IDS) + 0 if pending else ad.Tensor(IDS)
    got = getattr(ad, f"unsorted_segment_{name}")(ad.Tensor(DATA), ids, 4)
    rows = [DATA[s == IDS] for s in range(4)]
    want = np.stack([reduce(r, axis=0) if len(r) else np.full(2, empty) for r in rows])
    np.testing.assert_allclose(got.numpy(), want)


def test_sorted_segments() -> None:
    data, ids = ad.Tensor(DATA), [0, 0, 2, 2, 2]
    assert ad.segment_sum(data, ids).tolist() == [[3.0, 5.0], [0.0, 0.0], [7.0, 8.0]]
    assert ad.segment_mean(data, [0, 0, 0, 0, 1]).tolist() == [[2.5, 2.75], [0.0, 2.0]]
    assert ad.segment_max(data, ids).tolist() == [[2.0, 5.0], [0.0, 0.0], [4.0, 5.0]]
    assert ad.segment_min(data, ids).tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    assert ad.segment_prod(data, ids).tolist() == [[2.0, 0.0], [1.0, 1.0], [0.0, 10.0]]
    for bad in ([1, 0, 2, 2, 2], [-1, 0, 0, 0, 0], [0, 0, 0]):
        with pytest.raises(ad.ArgumentError):
            ad.segment_sum(data, bad)
    with pytest.raises(ad.IndexingError):
        ad.unsorted_segment_sum(data, [0, 0, 0, 0, 9], 3)


def test_segment_derivatives() -> None:
    x = ad.Tensor(DATA)
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(x)
        biggest = ad.unsorted_segment_max(x, IDS, 4)
        products = ad.unsorted_segment_prod(x, IDS, 4)
    g = tape.gradient(biggest, x).numpy()
    np.testing.assert_array_equal(g, [[0, 0.5], [1, 1], [1, 0.5], [0, 0], [1, 1]])
    g = tape.gradient(products, x).numpy()
    np.testing.assert_array_equal(g, [[3, 5], [1, 1], [1, 5], [0, 0], [1, 1]])


# ---------------------------------------------------------------------------------------------------- the rules for vmap

OURS = [p for p in REGISTRY.values() if p.batch is not None and p.module.rpartition(".")[2] in (
    "indexing", "scatter", "segments", "contraction", "sampling")]


@pytest.mark.parametrize("prim", OURS, ids=lambda p: p.name)
@pytest.mark.parametrize("last", [False, True])
def test_batch_rules(prim: Primitive, last: bool) -> None:
    """Batched arguments, all or one at a time, on the first or the last axis: as example by example."""
    for case in prim.cases:
        arrays, params = case(np.random.default_rng(0))
        arrays = [np.asarray(a) for a in arrays]
        start = prim.module.endswith("sampling")
        names = range(1 if start else 0, len(arrays))
        for batched in [set(names), *({k} for k in names)]:
            local.trace = Trace(fast=True)
            rows = [[_varied(a, n) if k in batched else a for n in range(3)] for k, a in enumerate(arrays)]
            axes = [None if k not in batched else a.ndim if last else 0 for k, a in enumerate(arrays)]
            args = [ad.Tensor(r[0] if axis is None else np.stack(r, axis)) for r, axis in zip(rows, axes)]
            out, at = prim.batch(args, axes, **params)
            outs, ats = (out, at) if isinstance(out, tuple) else ((out,), (at,))
            if start:
                assert np.moveaxis(outs[0].numpy(), ats[0], 0).shape[0] == 3
                continue
            for k, (o, axis) in enumerate(zip(outs, ats)):
                one = [record(prim.op(**params), *[ad.Tensor(r[n]) for r in rows]) for n in range(3)]
                want = np.stack([(w[k] if isinstance(w, tuple) else w).numpy() for w in one])
                np.testing.assert_allclose(np.moveaxis(o.numpy(), axis, 0), want, atol=1e-12)


def _varied(a: Any, n: int) -> Any:
    if a.dtype.kind in "fc":
        return a + 0.1 * n
    return a[::-1].copy() if n == 1 and a.ndim else a

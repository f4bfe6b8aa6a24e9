"""Creation, manipulation, joining: values, shapes, gradients, batch rules and errors."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

import adjoint as ad
from adjoint._errors import ArgumentError, AxisError, DtypeError, ShapeError, TraceError
from adjoint._graph import REGISTRY, Primitive
from adjoint._trace import Trace, record, recording_into
from registry import check_derivatives, check_value

MODULES = {f"adjoint.primitives.{m}" for m in (
    "movement", "by_place", "broadcast", "joining", "cumulative", "reduction", "sorting", "statistics")}
OURS = [p for p in REGISTRY.values() if p.infer.__module__ in MODULES or p.kernel.__module__ in MODULES]
BATCHED = [pytest.param(p, n, id=f"{p.name}-{n}") for p in OURS if not p.elementwise for n in range(len(p.cases))]


def x23() -> ad.Tensor:
    return ad.constant(np.arange(6.0).reshape(2, 3))


def grad(f, *xs):
    ts = [ad.constant(np.asarray(x, np.float64)) for x in xs]
    with ad.GradientTape() as tape:
        tape.watch(ts)
        y = f(*ts)
    return [None if g is None else g.numpy() for g in tape.gradient(y, ts)]


# ---------------------------------------------------------------------------------------------------------- batch rules

@pytest.mark.parametrize(("prim", "number"), BATCHED)
def test_a_batch_rule_does_what_a_loop_does(prim: Primitive, number: int) -> None:
    runs = [prim.cases[number](np.random.default_rng(seed)) for seed in range(3)]
    arrays, params = runs[0]
    assert prim.batch is not None, f"{prim.name} has no batch rule"
    choices = [(None, 0, np.ndim(a)) for a in arrays]
    for axes in itertools.product(*choices):
        if all(a is None for a in axes):
            continue
        args = tuple(ad.Tensor(a if k is None else np.stack([r[0][i] for r in runs], k))
                     for i, (a, k) in enumerate(zip(arrays, axes)))
        result, axis = prim.batch(args, axes, **params)
        results = result if isinstance(result, tuple) else (result,)
        for n, run in enumerate(runs):
            one = record(prim.op(**params), *[
                ad.Tensor(a if k is None else run[0][i]) for i, (a, k) in enumerate(zip(arrays, axes))])
            for got, want in zip(results, one if isinstance(one, tuple) else (one,), strict=True):
                np.testing.assert_allclose(np.take(got.numpy(), n, axis), want.numpy(), atol=1e-12)


@pytest.mark.parametrize(("prim", "number"), BATCHED)
def test_complex_values_and_derivatives(prim: Primitive, number: int) -> None:
    arrays, params = prim.cases[number](np.random.default_rng(7))
    others, _ = prim.cases[number](np.random.default_rng(8))
    arrays = tuple(a + 1j * b if np.asarray(a).dtype.kind == "f" else a for a, b in zip(arrays, others))
    try:
        prim.infer(*[ad.Tensor(a)._spec for a in arrays], **params)
    except DtypeError:
        pytest.skip("real only")
    if prim.name in ("searchsorted", "extreme_shares"):
        pytest.skip("for ordered numbers only")
    check_value(prim, arrays, params)
    check_derivatives(prim, arrays, params)


# ------------------------------------------------------------------------------------------------------------- creation

@pytest.mark.parametrize(("made", "want"), [
    (lambda: ad.zeros((2, 3)), np.zeros((2, 3), np.float32)),
    (lambda: ad.ones(2, ad.int32), np.ones(2, np.int32)),
    (lambda: ad.full((2,), 1.5), np.full(2, 1.5, np.float32)),
    (lambda: ad.full((), 3), np.array(3, np.int32)),
    (lambda: ad.full_like(ad.ones(2, ad.float64), 3), np.full(2, 3.0)),
    (lambda: ad.zeros_like([1, 2]), np.zeros(2, np.int32)),
    (lambda: ad.arange(5), np.arange(5, dtype=np.int32)),
    (lambda: ad.arange(5, 0, -2), np.array([5, 3, 1], np.int32)),
    (lambda: ad.arange(0.0, 1.0, 0.25), np.arange(0, 1, 0.25, np.float32)),
    (lambda: ad.arange(3, dtype="float64"), np.arange(3.0)),
    (lambda: ad.arange(3_000_000_000, 3_000_000_002), np.array([3_000_000_000, 3_000_000_001])),
    (lambda: ad.eye(2, 3, 1), np.eye(2, 3, 1, np.float32)),
    (lambda: ad.linspace(-10.0, 10, 10), np.linspace(-10, 10, 10).astype(np.float32)),
    (lambda: ad.linspace(0, 1, 4, endpoint=False), np.array([0, 0.25, 0.5, 0.75], np.float32)),
    (lambda: ad.linspace(0, 1, 0), np.zeros(0, np.float32)),
    (lambda: ad.constant(2, shape=(2,)), np.array([2, 2], np.int32)),
    (lambda: ad.constant([1.0, 2, 3, 4], shape=(2, 2)), np.array([[1, 2], [3, 4]], np.float32)),
    (lambda: ad.constant(True), np.array(True)),
    (lambda: ad.from_dlpack(np.arange(3.0)), np.arange(3.0)),
    (lambda: ad.tril(ad.ones((3, 3))), np.tri(3, dtype=np.float32)),
    (lambda: ad.triu(ad.ones((2, 2, 3)), 1), np.triu(np.ones((2, 2, 3), np.float32), 1)),
])
def test_creation(made, want) -> None:
    got = made()
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got.numpy(), want)


def test_a_list_of_tensors_stays_differentiable() -> None:
    (g,) = grad(lambda x: ad.constant([[x, 2.0], [x * x, x]]), 3.0)
    assert g == 1 + 6 + 1
    assert ad.constant([1, ad.constant(2.0)]).dtype is ad.float32
    with pytest.raises(ShapeError):
        ad.constant([ad.constant(1.0), [ad.constant(1.0), 2.0]])


def test_linspace_between_tensors() -> None:
    g = grad(lambda a, b: ad.linspace(a, b, 5), 1.0, 2.0)
    assert [float(v) for v in g] == [2.5, 2.5]


def test_full_of_a_tensor_is_differentiable() -> None:
    assert grad(lambda a: ad.full((2, 3), a), 1.0)[0] == 6


# --------------------------------------------------------------------------------------------------------- manipulation

AGAINST_NUMPY = [
    (lambda x: ad.reshape(x, (3, -1)), lambda x: x.reshape(3, -1)),
    (lambda x: ad.expand_dims(x, (0, 2)), lambda x: np.expand_dims(x, (0, 2))),
    (lambda x: ad.squeeze(ad.expand_dims(x, 1), 1), lambda x: x),
    (lambda x: ad.transpose(x), np.transpose),
    (lambda x: ad.permute_dims(x, (1, 0)), np.transpose),
    (lambda x: ad.matrix_transpose(x), np.transpose),
    (lambda x: ad.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    (lambda x: ad.swapaxes(x, 0, 1), lambda x: np.swapaxes(x, 0, 1)),
    (lambda x: ad.flip(x, 1), lambda x: np.flip(x, 1)),
    (lambda x: ad.flip(x), np.flip),
    (lambda x: ad.roll(x, 2), lambda x: np.roll(x, 2)),
    (lambda x: ad.roll(x, (1, -1), (0, 1)), lambda x: np.roll(x, (1, -1), (0, 1))),
    (lambda x: ad.ravel(x), np.ravel),
    (lambda x: ad.diagonal(x, 1), lambda x: np.diagonal(x, 1)),
    (lambda x: ad.diagonal(x, -1, 1, 0), lambda x: np.diagonal(x, -1, 1, 0)),
    (lambda x: ad.diag(ad.ravel(x), 1), lambda x: np.diag(x.ravel(), 1)),
    (lambda x: ad.repeat(x, 2), lambda x: np.repeat(x, 2)),
    (lambda x: ad.repeat(x, [1, 0, 2], 1), lambda x: np.repeat(x, [1, 0, 2], 1)),
    (lambda x: ad.tile(x, (2, 1, 2)), lambda x: np.tile(x, (2, 1, 2))),
    (lambda x: ad.tile(x, 3), lambda x: np.tile(x, 3)),
    (lambda x: ad.broadcast_to(x, (2, 2, 3)), lambda x: np.broadcast_to(x, (2, 2, 3))),
    (lambda x: ad.concat([x, x], 1), lambda x: np.concatenate([x, x], 1)),
    (lambda x: ad.concat([x, x], None), lambda x: np.concatenate([x, x], None)),
    (lambda x: ad.stack([x, x], -1), lambda x: np.stack([x, x], -1)),
    (lambda x: ad.split(x, 3, 1)[1], lambda x: np.split(x, 3, 1)[1]),
    (lambda x: ad.split(x, [1, -1], 1)[1], lambda x: x[:, 1:]),
    (lambda x: ad.unstack(x, 1)[2], lambda x: x[:, 2]),
    (lambda x: ad.atleast_nd(x, 3), lambda x: x[None]),
    (lambda x: ad.meshgrid(x[0], x[1])[0], lambda x: np.meshgrid(x[0], x[1])[0]),
    (lambda x: ad.meshgrid(x[0], x[1], indexing="ij")[1], lambda x: np.meshgrid(x[0], x[1], indexing="ij")[1]),
    (lambda x: x.T, np.transpose),
    (lambda x: x.mT, np.transpose),
    (lambda x: x.reshape(3, 2), lambda x: x.reshape(3, 2)),
    (lambda x: x.transpose(1, 0), np.transpose),
    (lambda x: ad.broadcast_arrays(x, ad.zeros((2, 1, 1), ad.float64))[0], lambda x: np.broadcast_to(x, (2, 2, 3))),
]


@pytest.mark.parametrize("number", range(len(AGAINST_NUMPY)))
def test_values_are_numpy_s_and_gradients_count_uses(number: int) -> None:
    ours, theirs = AGAINST_NUMPY[number]
    x = np.arange(6.0).reshape(2, 3)
    want = theirs(x)
    np.testing.assert_array_equal(ours(ad.constant(x)).numpy(), want)
    weights = np.random.default_rng(0).normal(size=want.shape)
    (g,) = grad(lambda t: ad.sum(ours(t) * ad.constant(weights)), x)
    places = theirs(np.arange(1.0, 7.0).reshape(2, 3))
    np.testing.assert_allclose(g.ravel(), [(weights * (places == k)).sum() for k in range(1, 7)], atol=1e-12)


def test_joining_promotes_and_keeps_weak_numbers_weak() -> None:
    assert ad.concat([ad.ones(1), ad.ones(1, ad.float64)]).dtype is ad.float64
    assert ad.stack([ad.ones((), ad.float16), 2.0]).dtype is ad.float16


@pytest.mark.parametrize(("call", "error"), [
    (lambda: ad.reshape(x23(), (4, -1)), ShapeError), (lambda: ad.reshape(x23(), (-1, -1)), ShapeError),
    (lambda: ad.reshape(x23(), (-2, 3)), ShapeError), (lambda: ad.reshape(x23(), "a"), ShapeError),
    (lambda: ad.broadcast_to(x23(), (3, 2)), ShapeError), (lambda: ad.broadcast_to(x23(), (3,)), ShapeError),
    (lambda: ad.concat([x23(), ad.zeros((2, 2))]), ShapeError), (lambda: ad.concat([]), ShapeError),
    (lambda: ad.concat([ad.constant(1.0)]), ShapeError), (lambda: ad.concat([x23()], 2), AxisError),
    (lambda: ad.stack([x23(), ad.zeros(2)]), ShapeError), (lambda: ad.stack([x23()], 4), AxisError),
    (lambda: ad.stack(3), ArgumentError), (lambda: ad.split(x23(), 2, 1), ShapeError),
    (lambda: ad.split(x23(), [1, 1], 1), ShapeError), (lambda: ad.unstack(x23(), 2), AxisError),
    (lambda: ad.transpose(x23(), (0, 0)), AxisError), (lambda: ad.transpose(x23(), (0, 2)), AxisError),
    (lambda: ad.squeeze(x23(), 0), ShapeError), (lambda: ad.expand_dims(x23(), 4), AxisError),
    (lambda: ad.moveaxis(x23(), (0, 1), 0), AxisError), (lambda: ad.roll(x23(), 1, 5), AxisError),
    (lambda: ad.flip(x23(), 2), AxisError), (lambda: ad.repeat(x23(), [1, 2]), ShapeError),
    (lambda: ad.repeat(x23(), -1), ShapeError), (lambda: ad.tile(x23(), -1), ShapeError),
    (lambda: ad.diagonal(ad.zeros(3)), ShapeError), (lambda: ad.diag(ad.zeros((1, 2, 3))), ShapeError),
    (lambda: ad.tril(ad.zeros(3)), ShapeError), (lambda: ad.zeros(-1), ShapeError),
    (lambda: ad.zeros("a"), ShapeError), (lambda: ad.arange(0, 1, 0), ArgumentError),
    (lambda: ad.arange(0.0, float("inf")), ArgumentError), (lambda: ad.linspace(0, 1, -1), ArgumentError),
    (lambda: ad.linspace(0, 1, 2.5), ArgumentError), (lambda: ad.constant([[1, 2], [3]]), ShapeError),
    (lambda: ad.constant("a"), DtypeError), (lambda: ad.constant([1, 2, 3], shape=(2,)), ShapeError),
    (lambda: ad.full((2,), [1, 2]), ShapeError), (lambda: ad.from_dlpack(3), DtypeError),
    (lambda: ad.meshgrid(x23()), ShapeError), (lambda: ad.meshgrid([1], indexing="x"), ArgumentError),
    (lambda: ad.broadcast_arrays(x23(), ad.zeros(2)), ShapeError),
])
def test_bad_input_raises_at_the_call(call, error) -> None:
    with pytest.raises(error):
        call()


def test_values_are_refused_while_tracing() -> None:
    scratch = Trace(scratch=True)
    t = ad.constant([0.0, 1.0])
    with recording_into(scratch):
        for f in (ad.nonzero, ad.unique_values):
            with pytest.raises(TraceError):
                f(t * 1.5)


def test_one_piece_is_no_list() -> None:
    v = ad.Variable([1.0, 2.0])
    assert ad.split(v * 1.0, 1)[0].numpy().shape == (2,)
    assert ad.unstack(ad.constant([[1.0, 2.0]]))[0].numpy().shape == (2,)
    with ad.GradientTape() as tape:
        y = ad.sum(ad.stack([ad.sum(v * v)])) + ad.sum(ad.concat([v], 0))
    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), [3.0, 5.0])

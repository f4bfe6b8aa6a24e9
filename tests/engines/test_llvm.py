"""The compiled engine gives what the NumPy engine gives."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint._errors import SettleError
from adjoint._graph import REGISTRY, Primitive
from adjoint._tensor import wrap
from adjoint._trace import record
from adjoint.engines import llvm as llvm_engine
from adjoint.plan.fusion import Unit, fuse

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    before = config.engine
    llvm_engine.faults.clear()
    yield
    config.engine = before
    assert llvm_engine.faults == []


def on(engine: str, f: Callable[[], Any]) -> Any:
    before, config.engine = config.engine, engine
    _graph.forget()
    try:
        return f()
    finally:
        config.engine = before


def both(f: Callable[[], list[Any]], rtol: float | None = None) -> None:
    """``f`` makes tensors from scratch; their values on both engines, and twice on the compiled one."""
    def run() -> list[Any]:
        made = f()
        ad.evaluate(*made)
        return [t.numpy() for t in made]

    want, got, again = on("numpy", run), on("llvm", run), on("llvm", run)
    for w, g, a in zip(want, got, again):
        assert (w.shape, w.dtype) == (g.shape, g.dtype)
        narrow = 1e-6 if w.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(g, w, rtol=rtol or narrow, atol=(rtol or narrow) * 1e-3)
        np.testing.assert_array_equal(g, a)


CASES = [pytest.param(p, n, id=f"{p.name}-{n}") for p in REGISTRY.values() if p.pure and p.name not in (
    "input", "literal", "read", "custom_call") for n in range(len(p.cases))]
SAMPLED = [p for p in REGISTRY.values() if p.lower is not None and not p.cases and p.domain]


@pytest.mark.parametrize(("prim", "number"), CASES)
def test_cases(prim: Primitive, number: int) -> None:
    arrays, params = prim.cases[number](np.random.default_rng(7))

    def run() -> list[Any]:
        out = record(prim.op(**params), *[ad.Tensor(a) for a in arrays])
        return list(out) if isinstance(out, tuple) else [out]

    both(run)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("prim", SAMPLED, ids=lambda p: p.name)
def test_elementwise_with_broadcasting(prim: Primitive, dtype: Any) -> None:
    rng = np.random.default_rng(2)
    shapes = [(3, 1, 5), (4, 5), ()]
    arrays = [rng.uniform(low, high, shape).astype(dtype) for (low, high), shape in zip(prim.domain, shapes)]
    try:
        prim.infer(*[ad.Tensor(a)._spec for a in arrays])
    except ad.DtypeError:
        arrays = [a > 0 if prim.name.startswith("logical") else np.round(a).astype(np.int32) for a in arrays]
    both(lambda: [record(prim.op(), *[ad.Tensor(a) for a in arrays])])


# ---------------------------------------------------------------------------------------------------------- reductions

@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_reductions(name: str, axes: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(1).normal(size=(5, 7, 9)) * 20

    def run() -> list[Any]:
        t = ad.Tensor(x.astype(dtype))
        total = getattr(ad, name)(t * 3, axis=axes)
        kept = getattr(ad, name)(t, axis=axes, keepdims=True)
        return [total, kept, (t - kept) * 0.0 + t]

    both(run)


@pytest.mark.parametrize("shape", [(100_003,), (3, 5000), (5000, 3), (1500, 700)])
def test_long_sums_lose_nothing(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(1).normal(size=shape) + 0.1
    exact = np.asarray(x, np.longdouble)

    def run() -> list[Any]:
        t = ad.Tensor(x)
        return [(ad.sum(t * 1.5) / 1.5).numpy(), ad.sum(t * 2.0, axis=0).numpy(), ad.sum(t * 2.0, axis=-1).numpy()]

    total, first, last = on("llvm", run)
    scale = np.sum(np.abs(x))
    assert abs(total - exact.sum()) < 2e-16 * scale
    assert np.all(np.abs(first - 2 * exact.sum(0)) <= 4e-16 * np.sum(np.abs(2 * x), axis=0))
    assert np.all(np.abs(last - 2 * exact.sum(-1)) <= 4e-16 * np.sum(np.abs(2 * x), axis=-1))


def test_nan_and_infinities_pass_through_reductions() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        x = np.arange(40.0)
        x[17] = bad
        for dtype in (np.float32, np.float64):
            both(lambda: [f(ad.Tensor(x.astype(dtype)) * 2.0) for f in (ad.sum, ad.max, ad.min, ad.mean)])


# -------------------------------------------------------------------------------------------------- arrays as they come

def test_arrays_that_are_not_contiguous() -> None:
    base = np.random.default_rng(0).normal(size=(6, 8))
    for view in (base.T, base[::2], base[:, ::-1], np.broadcast_to(base[0], (6, 8))):
        both(lambda: [ad.exp(wrap(view)) + 1.0])
    both(lambda: [ad.exp(ad.transpose(ad.Tensor(base))) * 2.0, ad.Tensor(base)[::2] * 3.0])


def test_what_the_loop_refuses_the_kernel_decides() -> None:
    angles = np.array([0.5, 1e300, -2e20, np.inf])
    both(lambda: [ad.sin(ad.Tensor(angles)) + 1.0])
    both(lambda: [ad.pow(ad.Tensor(np.float32([-2.0, 0.0, 2.0])), ad.Tensor(np.float32([3.0, 0.5, 0.5]))) * 2.0])
    both(lambda: [ad.cast(ad.Tensor(np.float32([1.5, -2.5, 1e20])), "int32")])


def test_many_refusals_end_compiling() -> None:
    def step() -> Any:
        return ad.sin(ad.Tensor(np.array([1e300, 2.0]))).numpy()

    want = step()
    config.engine = "llvm"
    for _ in range(20):
        np.testing.assert_array_equal(step(), want)


def test_empty_and_single_elements() -> None:
    both(lambda: [ad.exp(ad.Tensor(np.zeros((0, 3)))), ad.sum(ad.Tensor(np.zeros((0, 3))) * 2.0)])
    one = np.ones((1, 1))
    both(lambda: [ad.exp(ad.Tensor(one)) * ad.Tensor(np.arange(3.0)), ad.sum(ad.Tensor(one) * 2.0, axis=0)])


def test_python_scalars_change_without_a_new_program() -> None:
    config.engine = "llvm"
    four = np.arange(4, dtype=np.float32)
    x = ad.Tensor(four)
    for rate in (0.125, 0.375, 1e-3):
        np.testing.assert_allclose((x * rate + rate).numpy(), four * np.float32(rate) + np.float32(rate))


def test_a_failing_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: object) -> object:
        raise RuntimeError("out of luck")

    monkeypatch.setattr(REGISTRY["sinh"], "kernel", broken)
    config.engine = "llvm"
    with pytest.raises(SettleError, match=r"sinh.*out of luck"):
        (ad.sinh(ad.Tensor([1.0, 2.0])) * 2.0).numpy()


def test_a_kernel_and_a_view_that_is_returned_are_told_apart() -> None:
    """A plan that calls kernels and hands out a view: the third part and the value numbered two have names of their own."""
    x = wrap(np.array([[1.0, 2.0], [3.0, 4.0], [0.5, 0.1]]))
    before, config.engine = config.engine, "llvm"
    try:
        with ad.GradientTape(persistent=True) as tape:
            tape.watch(x)
            late = x[:, 1]
            y = ad.stack([x[:, 0] * late, ad.exp(x[:, 0]), late], axis=1)
        blocks = tape.batch_jacobian(y, x)
        ad.evaluate(late, blocks)
    finally:
        config.engine = before
    np.testing.assert_array_equal(late.numpy(), [2.0, 4.0, 0.1])
    for (a, b), block in zip(x.numpy(), blocks.numpy()):
        np.testing.assert_allclose(block, [[b, a], [np.exp(a), 0.0], [0.0, 1.0]], rtol=1e-12)


def test_without_llvmlite_numpy_runs_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Any:
        raise llvm_engine.Unavailable("llvmlite is not installed")

    monkeypatch.setattr(llvm_engine, "compiler", gone)
    config.engine = "llvm"
    before = config.note
    try:
        assert float(ad.exp(ad.Tensor(0.0)) + 1.0) == 2.0
        assert "llvmlite is not installed" in config.note
    finally:
        config.note = before


def test_one_loop_for_a_chain_and_its_gradient() -> None:
    seen = []
    build = llvm_engine.fuse

    def watching(program: Any) -> Any:
        seen.append(fuse(program))
        return seen[-1]

    llvm_engine.fuse = watching
    config.engine = "llvm"
    try:
        x = ad.Tensor(np.ones(8, np.float32))
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = ad.exp(ad.tanh(x) * 2.0)
        g = tape.gradient(y, x)
        ad.evaluate(y, g)
    finally:
        llvm_engine.fuse = build
    (fused,) = seen
    (unit,) = fused.parts
    assert isinstance(unit, Unit)
    assert [len(s.loops) for s in unit.stages] == [1]
    assert len(unit.args) == 1
    assert len(unit.results) == 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_scalar_programs(dtype: Any) -> None:
    def run() -> list[Any]:
        start, rows = ad.Variable(dtype(1.0)), ad.Variable(np.arange(3, dtype=dtype))
        with ad.GradientTape() as tape:
            angle, speed = start * 1.0, start * 0.0
            for _ in range(60):
                speed = speed - ad.sin(angle) * 0.01
                angle = angle + speed * 0.01
            loss = ad.sum(rows * angle + speed)
        return [loss, angle, *tape.gradient(loss, [start, rows])]

    both(run, rtol=1e-6 if dtype is np.float32 else 1e-13)


# -------------------------------------------------------------------------------------------------------------- fuzzing

SHAPES = [(), (3,), (4, 1), (4, 3), (2, 4, 3), (1, 3)]
UNARY: list[Callable[[Any], Any]] = [
    ad.tanh, ad.exp, ad.sin, ad.cos, ad.sigmoid, lambda x: ad.log1p(x * x), ad.square, lambda x: -x, ad.abs,
    lambda x: ad.sqrt(x * x + 1.0), lambda x: ad.where(x > 0.25, x, x * 0.5), ad.erf, ad.softplus, lambda x: x ** 3,
    lambda x: ad.sum(x, axis=0) if x.ndim else x, lambda x: ad.mean(x, axis=-1, keepdims=True) if x.ndim else x,
    lambda x: x - ad.max(x), lambda x: ad.sum(x) * 0.1, lambda x: ad.reshape(x, (-1,)),
    lambda x: ad.cast(ad.cast(x, "float64"), "float32"), lambda x: ad.clip(x, -1.0, 1.0),
    lambda x: ad.transpose(x), lambda x: x[..., :1] if x.ndim else x,
    lambda x: ad.take(x, [0, -1, 0], 0) if x.ndim else x, lambda x: ad.cumsum(x, axis=-1) if x.ndim else x,
    lambda x: ad.take_along_axis(x, ad.argmax(x, axis=-1, keepdims=True), -1) if x.ndim else x,
    lambda x: ad.unsorted_segment_sum(x, np.arange(x.shape[0]) % 3, 2 + x.shape[0] % 2) if x.ndim and x.shape[0] < 3 else x,
    lambda x: ad.tensor_scatter_update(x, [[0]], x[-1:]) if x.ndim else x, lambda x: ad.tril(x) if x.ndim > 1 else x,
    lambda x: ad.tensor_scatter_sub(x, [[0], [-1], [0]], ad.stack([x[0], x[-1], x[0] * 2.0])) if x.ndim else x,
    lambda x: ad.remainder(x, 0.75), lambda x: ad.prod(x, axis=0) if x.ndim else x, lambda x: ad.cummax(x, 0)[0] if x.ndim else x,
]
BINARY: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: a / (b * b + 1.0), ad.maximum, ad.minimum,
    lambda a, b: ad.where(a > b, a, b * 2.0),
]


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int, int]]]:
    inputs = draw(st.lists(st.integers(0, len(SHAPES) - 1), min_size=1, max_size=3))
    rows = [(draw(st.integers(0, len(UNARY) + len(BINARY) - 1)), draw(st.integers(0, 50)), draw(st.integers(0, 50)))
            for _ in range(draw(st.integers(1, 10)))]
    return inputs, rows


def perform(program: tuple[list[int], list[tuple[int, int, int]]], dtype: Any) -> list[Any]:
    inputs, rows = program
    rng = np.random.default_rng(4)
    variables = [ad.Variable(rng.normal(size=SHAPES[k]).astype(dtype)) for k in inputs]
    values: list[Any] = []
    with ad.GradientTape() as tape:
        values += [v * 1.0 for v in variables]
        for op, i, j in rows:
            a, b = values[i % len(values)], values[j % len(values)]
            if op < len(UNARY):
                made = UNARY[op](a)
            else:
                try:
                    made = BINARY[op - len(UNARY)](a, b)
                except ad.ShapeError:
                    continue
            if made.dtype != a.dtype:
                made = ad.cast(made, a.dtype)
            values.append(ad.tanh(made) if op % 3 else made * 0.5)
        loss = sum((ad.sum(v * v) for v in values[len(variables):]), ad.sum(values[0]))
    grads = tape.gradient(loss, variables, unconnected_gradients="zero")
    for v, g in zip(variables, grads):
        v.assign(v - 0.1 * g)
    return [loss, *values, *grads, *[v + 0.0 for v in variables]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(program=programs())
def test_random_programs(program: Any, dtype: Any) -> None:
    both(lambda: perform(program, dtype), rtol=2e-4 if dtype is np.float32 else 1e-10)


def test_a_wrong_lowering_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY["tanh"], "lower", lambda s, x: s.tanh(x) + 0.001)
    llvm_engine.fuse.__globals__["lowers"].cache_clear()
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        both(lambda: [ad.tanh(ad.Tensor([0.5, 1.0])) * 2.0])

"""Loops over common rows, views, and the cut into pieces: drawn at random, against the NumPy engine."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint.engines import llvm as llvm_engine
from adjoint.engines.llvm import loops, threads
from adjoint.engines.llvm import unit as unit_writer
from adjoint.engines.llvm.unit import UnitWriter
from adjoint.plan import fusion
from adjoint.plan.access import contiguous, finer, joined, merged, rowwise

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: Any) -> Iterator[None]:
    """Pieces of a few elements, so that small arrays are cut too."""
    engine, count = config.engine, threads.count.value
    monkeypatch.setattr(loops, "_WORTH", 40)
    monkeypatch.setattr(loops, "_PIECE", 10)
    llvm_engine.faults.clear()
    yield
    config.engine, threads.count.value = engine, count
    assert llvm_engine.faults == []


def evaluated(engine: str, program: Any, arrays: list[Any]) -> list[Any]:
    config.engine = engine
    _graph.forget()
    made = program([ad.Tensor(a) for a in arrays])
    ad.evaluate(*made)
    return [t.numpy() for t in made]


def random_program(seed: int) -> Any:
    """Twelve operations drawn from what nests are made of."""

    def run(values: list[Any]) -> list[Any]:
        rng = np.random.default_rng(seed)
        have = list(values)

        def draw() -> Any:
            return have[rng.integers(max(0, len(have) - 6), len(have))]

        for _ in range(12):
            x = draw()
            n = x.ndim
            axis = int(rng.integers(n)) if n else None
            kind = rng.integers(19)
            if kind == 0 and n:
                x = [ad.sum, ad.mean, ad.max, ad.min][rng.integers(4)](x, axis=axis, keepdims=bool(rng.integers(2)))
            elif kind == 1 and n:
                x = x - ad.max(x, axis=axis, keepdims=True)
            elif kind == 2 and n:
                x = x / (1.0 + ad.sum(x * x, axis=axis, keepdims=True))
            elif kind == 3 and n > 1:
                x = ad.transpose(x)
            elif kind == 4 and n and x.shape[axis] > 1:
                x = x[(slice(None),) * axis + (slice(1, None),)]
            elif kind == 5 and n:
                x = ad.flip(x, axis)
            elif kind == 6:
                x = ad.reshape(x, (-1,)) if rng.integers(2) else ad.reshape(x, (*x.shape, 1))
            elif kind == 7:
                y = draw()
                try:
                    x = x * y + 0.5
                except ad.ShapeError:
                    x = ad.tanh(x)
            elif kind == 8 and n:
                x = ad.pad(x, [(int(rng.integers(2)), int(rng.integers(3))) for _ in range(n)])
            elif kind == 9 and n:
                x = ad.concat([x, ad.tanh(x), x * 2.0], axis=axis)
            elif kind == 10:
                x = ad.stack([ad.sum(x), ad.max(x)]) if rng.integers(2) else ad.stack([x, ad.tanh(x)], axis=n)
            elif kind == 11 and n:
                x = ad.take(x, ad.Tensor(rng.integers(-x.shape[axis], x.shape[axis], size=(2, 3))[:rng.integers(1, 3)]), axis)
            elif kind == 12 and n:
                many = (*x.shape[:axis], int(rng.integers(1, 4)), *x.shape[axis + 1:])
                x = ad.take_along_axis(x, ad.Tensor(rng.integers(-x.shape[axis], x.shape[axis], size=many)), axis)
            elif kind == 13 and n:
                x = ad.scatter(ad.Tensor(rng.integers(5, size=(x.shape[0], 1))), x, (5, *x.shape[1:]))
            elif kind == 14 and n:
                place = ad.argmax(x, axis=axis, keepdims=True)
                x = ad.take_along_axis(x, place, axis) + ad.cast(place, x.dtype)
            elif kind == 15 and n:
                x = [ad.cumsum, ad.cumprod][rng.integers(2)](ad.tanh(x), axis=axis, reverse=bool(rng.integers(2)))
            elif kind == 16 and n > 1:
                x = [ad.tril, ad.triu][rng.integers(2)](x, int(rng.integers(-2, 3)))
            elif kind == 17 and n:
                x = ad.roll(x, int(rng.integers(-3, 4)), axis)
            else:
                x = ad.exp(-x * x)
            if x.size > 3000:
                x = ad.mean(x, axis=0)
            have.append(x)
        wanted = have[-5:]
        return [*wanted, ad.sum(have[-1])]

    return run


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int, dtype: Any) -> None:
    rng = np.random.default_rng(1000 + seed)
    shape = tuple(int(n) for n in rng.integers(1, 9, size=rng.integers(1, 4)))
    arrays = [rng.normal(size=s).astype(dtype) for s in (shape, shape, shape[-1:], (*shape[:-1], 1), ())]
    program = random_program(seed)
    want = evaluated("numpy", program, arrays)
    threads.count.value = 1
    got = evaluated("llvm", program, arrays)
    threads.count.value = 2
    again = evaluated("llvm", program, arrays)
    narrow = 2e-5 if dtype is np.float32 else 1e-12
    for w, g, a in zip(want, got, again):
        assert (w.shape, w.dtype) == (g.shape, g.dtype)
        np.testing.assert_allclose(g, w, rtol=narrow, atol=narrow)
        np.testing.assert_array_equal(g, a)              # whatever the number of threads


def test_softmax_by_hand_is_one_nest() -> None:
    rows: list[Any] = []
    build = llvm_engine.fuse

    def watching(program: Any) -> Any:
        rows.append(build(program))
        return rows[-1]

    llvm_engine.fuse = watching
    try:
        x = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)

        def program(values: list[Any]) -> list[Any]:
            e = ad.exp(values[0] - ad.max(values[0], axis=1, keepdims=True))
            return [e * 2.0 / ad.sum(e, axis=1, keepdims=True)]

        (p,) = evaluated("llvm", program, [x])
    finally:
        llvm_engine.fuse = build
    (unit,) = rows[0].parts
    (nest,) = unit.stages
    assert isinstance(nest, fusion.Nest)
    assert (nest.rows, len(nest.loops)) == (50, 3)
    e = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    np.testing.assert_allclose(p, 2 * e / e.sum(1, keepdims=True), rtol=1e-6)


def test_strides() -> None:
    assert contiguous((2, 1, 3)) == (3, 0, 1)
    assert joined((6, 4), (2, 12)) == (2, 3, 4)
    assert joined((2, 3), (3, 2)) is None
    assert finer((6, 4), (4, 1), (2, 3, 4)) == (12, 4, 1)
    assert merged((2, 3, 4), [(12, 4, 1), (0, 0, 1)]) == ([6, 4], [[4, 1], [0, 1]])
    assert rowwise((5, 4), (4, 1), 0, 5, 4)
    assert not rowwise((5, 4), (0, 1), 0, 5, 4)
    assert not rowwise((5, 4), (4, 1), 1, 5, 4)


def test_temporaries_share_memory(monkeypatch: Any) -> None:
    asked: list[int] = []
    take = UnitWriter._take
    monkeypatch.setattr(UnitWriter, "_take", lambda self, n: (asked.append(n), take(self, n))[1])
    made: list[UnitWriter] = []
    write = UnitWriter.write
    monkeypatch.setattr(UnitWriter, "write", lambda self: (made.append(self), write(self))[1])

    def program(values: list[Any]) -> list[Any]:
        (y,) = values
        for _ in range(12):
            y = ad.transpose(ad.reshape(y * 1.5, (64, 512)) + 0.0)
            y = y / ad.sum(y, axis=0)
        return [y]

    x = np.random.default_rng(0).uniform(1, 2, (512, 64)).astype(np.float32)
    (want,), (got,) = evaluated("numpy", program, [x]), evaluated("llvm", program, [x])
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert sum(w.scratch for w in made) < sum(asked) / 3


@pytest.mark.parametrize("dtype", [ad.float16, ad.bfloat16], ids=str)
def test_types_of_sixteen_bits_round_as_the_kernels_do(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    arrays = [rng.normal(size=s).astype(dtype.np) for s in ((40, 30), (30,))]

    def program(values: list[Any]) -> list[Any]:
        a, b = values
        with ad.GradientTape() as tape:
            tape.watch(a)
            z = ad.mean(ad.tanh(a * b) + ad.exp(a) / 2, axis=1)
            loss = ad.sum(z)
        return [z, loss, tape.gradient(loss, a), ad.max(a, axis=0), ad.cast(a, ad.float32) * 2, a > b, ad.sum(a, axis=0),
                ad.cast(ad.cast(a, ad.float32) * 1.5, dtype)]

    for want, got in zip(evaluated("numpy", program, arrays), evaluated("llvm", program, arrays)):
        assert got.dtype == want.dtype
        if want.dtype != dtype.np:
            np.testing.assert_array_equal(got, want)
            continue
        digits = got.view(np.int16).astype(int) - want.view(np.int16).astype(int)
        assert np.abs(digits).max() <= 1
        assert np.count_nonzero(digits) <= digits.size // 50


def test_what_a_nest_writes_and_reads_at_an_offset(monkeypatch: Any) -> None:
    """A part of an array that the same nest writes, in functions of their own (many stages)."""
    monkeypatch.setattr(unit_writer, "_FEW", 0)
    x = np.random.default_rng(0).normal(size=(5, 3, 4))

    def program(values: list[Any]) -> list[Any]:
        y = ad.concat([values[0], values[0][:, :1] * 2.0], axis=1) * 0.5
        z = y + y
        return [z[:, :3] + ad.pad(z[:, 3:] * 2.0, ((0, 0), (0, 2), (0, 0)))]

    want = x.copy()
    want[:, 0] *= 5
    np.testing.assert_allclose(evaluated("llvm", program, [x])[0], want)

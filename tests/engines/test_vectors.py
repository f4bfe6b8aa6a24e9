"""Innermost loops in vectors: rows of every length, full vectors or not, against the NumPy engine."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint._dtypes import bfloat16
from adjoint.engines import llvm as llvm_engine
from adjoint.engines.llvm import loops, native, rows, vectors
from adjoint.engines.llvm.text import SCALAR

pytest.importorskip("llvmlite")

LENGTHS = [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 23, 31, 33, 63, 64, 65, 100, 511, 513, 1029]
DTYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64"]


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    engine = config.engine
    llvm_engine.faults.clear()
    yield
    config.engine = engine
    assert llvm_engine.faults == []


def evaluated(engine: str, program: Any, *arrays: Any) -> list[Any]:
    config.engine = engine
    _graph.forget()
    made = program(*[ad.Tensor(a) for a in arrays])
    ad.evaluate(*made)
    return [t.numpy() for t in made]


def same(program: Any, *arrays: Any) -> None:
    for got, want in zip(evaluated("llvm", program, *arrays), evaluated("numpy", program, *arrays), strict=True):
        assert got.dtype == want.dtype
        got, want = got.astype(np.float64), want.astype(np.float64)
        error = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 4e-7}.get(arrays[0].dtype.name, 1e-14)
        np.testing.assert_allclose(got, want, rtol=0.0, atol=error * max(1.0, float(np.abs(want).max(initial=0.0))))


def array(dtype: str, *shape: int) -> Any:
    rng = np.random.default_rng(shape[-1])
    if dtype.startswith(("int", "uint")):
        return rng.integers(0, 7, shape).astype(dtype)
    return rng.normal(size=shape).astype(bfloat16.np if dtype == "bfloat16" else dtype)


def everything(x: Any, row: Any, column: Any) -> list[Any]:
    """Values, sums and extremes along rows, along columns and of all, beside broadcasts and comparisons."""
    y = x * row + column
    z = ad.where(y > row, y, x)
    out = [y, z, y > x, ad.max(y, axis=1), ad.min(z, axis=0), ad.max(y), ad.sum(z, axis=1), ad.sum(y, axis=0), ad.sum(z)]
    return [*out, y - ad.max(y, axis=1, keepdims=True)]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_every_length(dtype: str, n: int) -> None:
    same(everything, array(dtype, 3, n), array(dtype, n), array(dtype, 3, 1))


@pytest.mark.parametrize("n", LENGTHS)
def test_functions_of_rows(n: int) -> None:
    def program(x: Any) -> list[Any]:
        p = ad.nn.softmax(x * 3.0)
        return [p, ad.sum(p * ad.log(p)), ad.exp(x) + ad.tanh(x), ad.mean(ad.sin(x), axis=0)]

    same(program, array("float32", 4, n))
    same(program, array("float64", 4, n))


@pytest.mark.parametrize("n", [8, 9, 16, 21, 40, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "uint8", "int64"])
def test_what_does_not_lie_side_by_side(dtype: str, n: int) -> None:
    """Backwards, every second and every third element, columns."""
    def program(x: Any, y: Any) -> list[Any]:
        wide = ad.flip(x, 1) + x > y
        return [ad.flip(x, 1) * x, x[:, ::2] + x[:, 1::2], x[:, ::3][:, :n // 2] * y[:, :n // 2], ad.transpose(x) * y[0, 0],
                ad.flip(wide, 1), ad.sum(ad.transpose(x[:, :3]), axis=1), ad.sum(ad.flip(x, 1) * y), ad.max(x[:, ::2] * 2)]

    same(program, array(dtype, 9, 2 * n), array(dtype, 9, 2 * n))


@pytest.mark.parametrize("n", [40, 63, 64, 130, 1000, 1027])
def test_pieces_of_a_loop(n: int, monkeypatch: Any) -> None:
    """Where a loop is cut, the last vector of the last piece may begin in the piece before."""
    monkeypatch.setattr(loops, "_WORTH", 40)
    monkeypatch.setattr(loops, "_PIECE", 64)
    same(lambda x: [ad.exp(x), ad.sum(x * x), ad.max(x)], array("float32", n))
    same(lambda x: [ad.exp(x), ad.sum(x * x), ad.max(x)], array("float64", n))


def rowwise(x: Any, row: Any, column: Any) -> list[Any]:
    """What is done row by row, sums over the rows, and both in other orders of the axes."""
    y = x * row + column
    z = y - ad.max(y, axis=1, keepdims=True)
    t = z * z - ad.min(z, axis=1, keepdims=True)
    more = ad.cast(t > column, x.dtype) * t
    out = [z, more, ad.sum(t, axis=0), ad.sum(more), ad.max(t, axis=1), ad.max(more, axis=0), t > z]
    return [*out, ad.transpose(t) + column[:, 0]]


@pytest.mark.parametrize("rows_", [16, 17, 23, 32, 47, 200])
@pytest.mark.parametrize("n", [2, 3, 7, 8, 10, 16])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "uint8", "int64"])
def test_short_rows_together(dtype: str, n: int, rows_: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(rows, "_WORTH", 0)
    same(rowwise, array(dtype, rows_, n), array(dtype, n), array(dtype, rows_, 1))


@pytest.mark.parametrize("rows_", [16, 21, 48])
def test_parts_of_short_rows(rows_: int) -> None:
    """Slices, flips and elements by index of what only its own row needs."""
    at = np.random.default_rng(2).integers(0, 10, (rows_, 1))

    def program(x: Any) -> list[Any]:
        t = ad.exp(x - ad.max(x, axis=1, keepdims=True))
        total = ad.sum(t[:, 1:] * t[:, :-1], axis=1, keepdims=True)
        chosen = ad.gather(t, at, axis=1, batch_dims=1) / total
        return [t[:, 1:] / total, ad.flip(t, 1) / total, ad.sum(t[:, 2:5] / total, axis=0), chosen, ad.sum(chosen)]

    same(program, array("float32", rows_, 10))
    same(program, array("float64", rows_, 10))


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("rows_", [16, 31, 64, 257])
def test_classes(rows_: int, cut: bool, monkeypatch: Any) -> None:
    """A classifier's loss and gradients: labels that choose an element of each row, sums over rows."""
    if cut:
        monkeypatch.setattr(loops, "_WORTH", 40)
        monkeypatch.setattr(loops, "_PIECE", 500)
    labels = np.random.default_rng(1).integers(0, 10, rows_).astype(np.int32)

    def program(x: Any, b: Any) -> list[Any]:
        with ad.GradientTape() as tape:
            tape.watch([x, b])
            logits = x + b
            loss = ad.mean(ad.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))
        return [loss, *tape.gradient(loss, [x, b]), ad.nn.softmax(logits), ad.sum(ad.nn.log_softmax(logits), axis=0)]

    same(program, array("float32", rows_, 10), array("float32", 10))


def test_rows_are_together() -> None:
    """A classifier's rows are: nothing of their loop is done across a vector."""
    made: list[int] = []
    write = rows.RowVectors.write
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows.RowVectors, "write", lambda self, *bounds: (made.append(self.n), write(self, *bounds))[1])
        evaluated("llvm", lambda x: [ad.nn.softmax(x), ad.sum(ad.nn.softmax(x), axis=0)], array("float32", 37, 11))
    assert made


def test_not_finite() -> None:
    """What is done twice at the end of a row is not added twice, not even an infinity or NaN that a zero would not undo."""
    x = np.ones((2, 11), np.float32)
    x[0, 4], x[1, 10] = np.inf, np.nan
    (total, top) = evaluated("llvm", lambda x: [ad.sum(x, axis=1), ad.max(x, axis=1)], x)
    assert total[0] == np.inf
    assert np.isnan(total[1])
    assert top[0] == np.inf
    assert np.isnan(top[1])


def test_the_comparison_can_fail(monkeypatch: Any) -> None:
    """Without the mask, elements at the end of a row that is not full would be added twice."""
    monkeypatch.setattr(vectors.VectorLoop, "_mask", lambda self, i, at: "")
    with pytest.raises(AssertionError):
        same(lambda x: [ad.sum(x, axis=1)], array("float32", 3, 11))


def test_nothing_is_left_to_passes(monkeypatch: Any) -> None:
    """Only what jumps through memory is."""
    seen: list[str] = []
    load = native.Compiler.load
    monkeypatch.setattr(native.Compiler, "load", lambda self, text, *more: (seen.append(text), load(self, text, *more))[1])
    evaluated("llvm", lambda x: everything(x, x[0], x[:, :1]), array("float32", 5, 1237))
    assert seen
    assert not any(SCALAR in text for text in seen)
    seen.clear()
    evaluated("llvm", lambda x: [ad.exp(ad.transpose(x)) + 1.0], array("float32", 5, 1239))
    assert any(SCALAR in text for text in seen)

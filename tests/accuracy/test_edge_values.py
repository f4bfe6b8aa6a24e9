"""docs/edge_values.md, row by row: value, gradient, Hessian, in both dtypes and engines."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.accuracy import edges, worker

import adjoint as ad
from adjoint._dtypes import as_dtype

ROWS = [pytest.param(e, id=f"{e.expression} at {e.at}") for group in edges.EDGES.values() for e in group]


@pytest.fixture(autouse=True)
def _engine_again() -> Any:
    before = ad.config.engine
    yield
    ad.config.engine = before


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("edge", ROWS)
def test_row(edge: edges.Edge, dtype: str) -> None:
    check(edge, dtype, "numpy")


@pytest.mark.parametrize("edge", ROWS)
@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_row_of_narrow_floats(edge: edges.Edge, engine: str) -> None:
    check(edge, "float16", engine)
    check(edge, "bfloat16", engine)


@pytest.mark.parametrize("edge", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_row_compiled(edge: edges.Edge, dtype: str) -> None:
    check(edge, dtype, "llvm")


CLOSE = {"bfloat16": 1e-2, "float16": 2e-3, "float32": 1e-6, "float64": 1e-14}


def check(edge: edges.Edge, dtype: str, engine: str) -> None:
    inputs = [np.asarray([a]).astype(as_dtype(dtype).np) for a in edge.at]
    with np.errstate(all="ignore"):
        got = worker.adjoint_runner(engine)(edge.expression, inputs, list(range(len(inputs))))[0].astype(float)
    want = np.array([edge.value, *edge.gradient, *edge.hessian])
    np.testing.assert_allclose(got, want, rtol=CLOSE[dtype])
    assert np.isnan(edge.value) or np.signbit(got[0]) == np.signbit(edge.value)


def test_the_page_is_up_to_date() -> None:
    assert Path(edges.__file__).parents[2].joinpath("docs", "edge_values.md").read_text(encoding="utf-8") == edges.page()

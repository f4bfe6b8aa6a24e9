"""The NumPy engine: blocks, folded constants, failures by name."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint as ad
from adjoint._config import config
from adjoint.engines.numpy import blocked, build, interpret
from adjoint.passes import optimize
from adjoint.plan.program import extract


@pytest.mark.parametrize("shape", [(70_001,), (300, 301), (2, 40_000)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arrays_go_through_in_blocks_without_a_difference(shape: tuple[int, ...], dtype: type) -> None:
    seen: list[int] = []

    def kernel(x, y):  # type: ignore[no-untyped-def]
        seen.append(x.size)
        return np.sin(x) * y

    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(dtype)
    for y in (rng.normal(size=shape).astype(dtype), np.asarray(dtype(2.0))):
        got = blocked(kernel)(x, y)
        assert got.shape == shape
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, np.sin(x) * y)
    assert max(seen) < x.size
    turned = np.asfortranarray(np.ones((300, 301), dtype))
    np.testing.assert_array_equal(blocked(kernel)(turned, turned), np.sin(turned))
    spread = blocked(kernel)(np.ones((400, 1), dtype), np.ones(400, dtype))
    np.testing.assert_array_equal(spread, np.full((400, 400), np.sin(dtype(1))))


def test_both_ways_of_running_agree_and_fold_constants() -> None:
    x = ad.Tensor([1.0, 2.0])
    y = ad.sum(ad.tanh(x) * (ad.full((2,), 3.0) / 2.0)) + 0.7
    trace = y._trace
    assert trace is not None
    program = optimize(extract(trace.node, (y._idx,)), check=True)
    a, b = interpret(program)(trace.inputs), build(program)(trace.inputs)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(a[0], np.sum(np.tanh([1.0, 2.0]) * 1.5) + 0.7, rtol=1e-6)


def test_the_engine_is_chosen_by_name() -> None:
    with pytest.raises(ValueError, match=r"config\.engine"):
        config.engine = "fastest"

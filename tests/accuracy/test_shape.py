"""Beyond ulps: monotone where the function is, the sign of zero, and limits at the infinities, on both engines."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from benchmarks.accuracy import measure, worker
from benchmarks.accuracy.cases import CASES
from benchmarks.accuracy.jets import Jet, jet
from benchmarks.accuracy.reference import arguments, load
from mpmath import mp, mpf

import adjoint as ad

UNARY = [name for name, case in CASES.items() if len(arguments(case, "float32")) == 1 and arguments(case, "float32")[0].ndim == 1]
WAVES = {"sin", "cos", "tan", "digamma", "lgamma"}       # no limit, or poles all along
LIBRARIES = ["adjoint", "adjoint, llvm"]


@pytest.fixture(scope="module")
def references() -> dict[str, Any]:
    return load()


@pytest.fixture(autouse=True)
def _engine_again() -> Iterator[None]:
    before = ad.config.engine
    yield
    ad.config.engine = before


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_monotone_where_the_function_is(name: str, dtype: str, library: str, references: dict[str, Any]) -> None:
    """Where exact values rise or fall by 8 ulp or more from one argument of the grid to the next, so do ours."""
    x = arguments(CASES[name], dtype)[0]
    near = references[f"{name}.{dtype}.near"][:, 0].astype(np.float64)
    got = measure.in_process(library, [name], (dtype,))[f"{name}.{dtype}"][:, 0].astype(np.float64)
    order = np.argsort(x, kind="stable")
    near, got = near[order], got[order]
    with np.errstate(all="ignore"):
        steps, found = np.diff(near), np.diff(got)
        clear = np.abs(steps) >= 8 * np.spacing(np.maximum(np.abs(near[1:]), np.abs(near[:-1])).astype(dtype)).astype(np.float64)
    clear &= np.isfinite(steps) & np.isfinite(found)
    assert (np.sign(found[clear]) == np.sign(steps[clear])).all()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("name", [n for n in UNARY if 0.0 in arguments(CASES[n], "float64")[0]])
def test_sign_of_zero(name: str, library: str) -> None:
    """f(0) and f(-0) have the signs that f has next to them, where it vanishes there."""
    case = CASES[name]
    got = worker.RUNNERS[library]()(case.expressions["adjoint"], [np.array([0.0, -0.0])], [0])[:, 0]
    with mp.workdps(60):
        for value, side in zip(got, (1, -1)):
            if value == 0:
                beside = case.exact(jet(mpf(side) * mpf(2) ** -80)).v
                assert beside == 0 or np.signbit(value) == (beside < 0)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("name", "end"), [(n, end) for n in UNARY if n not in WAVES for end in (1, -1)
                                           if (arguments(CASES[n], "float64")[0] * end).max() > 1e300])
def test_limits_at_infinity(name: str, end: int, library: str) -> None:
    """f and f' at an infinity are their limits: judged by the exact values far out."""
    case = CASES[name]
    with np.errstate(all="ignore"):
        got = worker.RUNNERS[library]()(case.expressions["adjoint"], [np.array([end * np.inf])], [0])[0, :2]
    with mp.workdps(400):
        far, farther = ([r.v, r.g.get(0, mpf(0))] for r in (
            case.exact(Jet(end * (mpf(10) ** e + mpf(0.3)), {0: mpf(1)})) for e in (4, 8)))
    for order in (0, 1):
        a, b = far[order], farther[order]
        if abs(b) > 1.5 * abs(a):
            assert got[order] == np.inf * int(mp.sign(b)), f"{measure.ORDERS[order]} should be infinite"
        elif abs(b) < abs(a) / 1.5 or b == 0:
            assert got[order] == 0, f"{measure.ORDERS[order]} should be 0"
        else:
            np.testing.assert_allclose(got[order], float(b), rtol=1e-3)

"""Where NaN and infinity begin: the right operation and line, forward and backward."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._trace import hooks, local

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()


def marked(mark: str) -> int:
    return next(n for n, line in enumerate(HERE, 1) if line.endswith(f"# {mark}"))


def caught(f: Any, operation: str, mark: str, backward: bool = False) -> ad.AnomalyError:
    for _ in range(3):                                   # the same when the structure is known
        with pytest.raises(ad.AnomalyError) as info, ad.anomaly():
            f()
        error = info.value
        assert (error.operation, error.backward) == (operation, backward)
        assert error.line is not None
        assert error.line[1] == marked(mark)
        assert f"test_anomaly.py:{marked(mark)}" in str(error)
        assert bool(error.step) == backward
        assert isinstance(error, FloatingPointError)
    assert hooks.check is None
    return error


def test_log_of_zero_forward() -> None:
    x = ad.Variable([1.0, 0.0])

    def f() -> None:
        h = x * 2.0
        y = ad.log(h)                                    # log
        float(ad.sum(y * 3.0))

    error = caught(f, "log", "log")
    assert "index (1,)" in str(error)
    assert "[2., 0.]" in str(error)
    assert [name for name, _ in error.chain] == ["multiply", "log"]


def test_square_root_at_zero_backward() -> None:
    x = ad.Variable([4.0, 0.0])

    def f() -> None:
        with ad.GradientTape() as tape:
            y = ad.sum(ad.sqrt(x * 1.5))                 # sqrt
        x.assign_sub(tape.gradient(y, x))

    error = caught(f, "sqrt", "sqrt", True)
    assert "derivative of sqrt" in str(error)
    assert x.numpy().tolist() == [4.0, 0.0]              # nothing was assigned


def test_zero_by_zero() -> None:
    x = ad.Variable([4.0, 1.0])

    def f() -> None:
        d = x - x
        ad.evaluate(d / d)                               # zero by zero

    assert "nan" in str(caught(f, "divide", "zero by zero"))


def test_overflow_in_exp_inside_a_chain() -> None:
    x = ad.Variable([4.0, 200.0])

    def f() -> None:
        with ad.GradientTape() as tape:
            h = x * 1.5
            e = ad.exp(h)                                # exp
            p = e / ad.sum(e)
            loss = -ad.log(p[0])
        tape.gradient(loss, x).numpy()

    error = caught(f, "exp", "exp")
    assert [name for name, _ in error.chain] == ["multiply", "exp"]


def test_when_a_settled_part_is_differentiated() -> None:
    x = ad.Variable([4.0, 0.0])

    def f() -> None:
        with ad.GradientTape() as tape:
            y = ad.sum(ad.sqrt(x))                       # settled sqrt
            assert float(y) == 2.0
        tape.gradient(y, x).numpy()

    caught(f, "sqrt", "settled sqrt", True)


def test_what_is_pending_at_the_end_is_computed_there() -> None:
    x = ad.Variable(0.0)
    with pytest.raises(ad.AnomalyError), ad.anomaly():
        kept = ad.log(x)
    assert kept.numpy() == -float("inf")


def test_what_where_drops_is_let_be() -> None:
    x = ad.Variable([1.0, 0.0])
    with ad.anomaly():
        with ad.GradientTape() as tape:
            y = ad.sum(ad.where(x > 0.0, ad.log(x), 0.0))
        assert tape.gradient(y, x).numpy().tolist() == [1.0, 0.0]


def test_what_comes_in_so_is_handed_on() -> None:
    x = ad.constant([1.0, float("inf")])
    with ad.anomaly():
        assert (x + 1.0).numpy()[1] == float("inf")
        assert ad.max(ad.full((2,), -float("inf"))).numpy() == -float("inf")
        with pytest.raises(ad.AnomalyError, match="subtract"):
            (x - x).numpy()


def test_inside_a_function() -> None:
    @ad.function
    def f(x: Any) -> Any:
        return ad.log(x) * 2.0

    f(ad.constant(1.0))
    f(ad.constant(1.0))

    def g() -> None:
        float(f(ad.constant(0.0)))                       # function

    caught(g, "log", "function")


def test_nothing_when_off_and_the_same_values_when_on() -> None:
    x = ad.Variable([0.5, 2.0])

    def step() -> list[float]:
        with ad.GradientTape() as tape:
            y = ad.sum(ad.exp(x) * ad.tanh(x))
        return tape.gradient(y, x).numpy().tolist()      # type: ignore[no-any-return]

    for _ in range(3):                                   # until it runs as it will from then on
        plain = step()
    with ad.anomaly():
        assert step() == plain
    assert hooks.check is None
    assert local.trace.where is None
    assert step() == plain


def test_post_mortem() -> None:
    x = ad.Variable([1.0, 0.0])
    with ad.GradientTape(persistent=True) as tape:
        h = x * 2.0
        y = ad.sum(ad.log(h) * 0.0)                      # post
    assert str(y.numpy()) == "nan"
    found = tape.post_mortem(y)
    assert (found.operation, found.line[1], found.backward) == ("log", marked("post"), False)
    fine = ad.sum(h)
    assert not tape.post_mortem(fine)


def test_post_mortem_across_settled_parts_and_backward() -> None:
    x = ad.Variable([1.0, 0.0])
    with ad.GradientTape() as tape:
        h = ad.sqrt(x)                                   # part
        assert h.numpy()[0] == 1.0
        y = ad.sum(h * 3.0)
    found = tape.post_mortem(y)
    assert (found.operation, found.line[1], found.backward) == ("sqrt", marked("part"), True)
    assert float(tape.gradient(y, x)[0]) == 1.5
    with pytest.raises(ad.TapeError, match=r"test_anomaly.py:\d+"):
        tape.post_mortem(y)


SWALLOWED = [                                            # what is not finite in the middle, and finite at the end
    (lambda x: ad.sum(1.0 / (1.0 + ad.exp(-x))), 1000.0, "exp"),
    (lambda x: ad.mean(ad.tanh(ad.log(x))), 0.0, "log"),
    (lambda x: ad.sum(ad.nn.relu(ad.log(x) + 1.0)), 0.0, "log"),
    (lambda x: ad.sum(ad.exp(3.0 * ad.log(x))), 0.0, "log"),
    (lambda x: ad.max(ad.log(x)), 0.0, "log"),
    (lambda x: ad.sum(ad.maximum(ad.log(x), 0.0)), 0.0, "log"),
    (lambda x: ad.log(x)[1:].sum(), 0.0, "log"),
    (lambda x: ad.sum(ad.sqrt(x) * 2.0 + 1.0) ** 2, -1.0, "sqrt"),
    (lambda x: ad.sum((ad.exp(x) * 2.0) * 0.5 - x), 1e4, "exp"),
]


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize(("f", "at", "operation"), SWALLOWED)
def test_a_program_that_has_long_run_well_is_still_looked_at(f: Any, at: float, operation: str, engine: str) -> None:
    if engine == "llvm":
        pytest.importorskip("llvmlite")
    before, ad.config.engine = ad.config.engine, engine
    v = ad.Variable([0.5, 1.5, 2.5])
    try:
        rewrites, ad.config.rewrites = ad.config.rewrites, False
        with ad.anomaly():
            for _ in range(12):
                assert np.isfinite(float(f(v)))
            v.assign([-at if operation == "exp" and at == 1000.0 else at, 1.5, 2.5])
            with pytest.raises(ad.AnomalyError) as info:
                float(f(v))
        assert info.value.operation == operation
    finally:
        ad.config.engine, ad.config.rewrites = before, rewrites


def test_which_results_tell_of_others() -> None:
    """What is said to stay not finite does, for each elementwise primitive on its own samples and on edges."""
    from adjoint._dtypes import float64
    from adjoint._graph import REGISTRY, spec
    from adjoint.inspect._anomaly import carries
    from adjoint.plan.program import Instr

    edges = np.array([0.0, -0.0, 1.0, -1.0, 1e-308, 1e308, -7.3, 0.25])
    said = 0
    for prim in REGISTRY.values():
        n = len(prim.domain)
        try:
            op = prim.op()
            carried = carries(Instr(op, tuple(range(n)), (n,)), [spec((), float64)] * (n + 1)) if prim.elementwise and n else ()
        except Exception:                                # it needs parameters
            continue
        for k in [k for k, c in enumerate(carried) if c]:
            grid = np.meshgrid(*[np.array([np.inf, -np.inf, np.nan]) if j == k else edges for j in range(n)])
            with np.errstate(all="ignore"):
                out = prim.kernel(*grid)
            assert not np.isfinite(out).any(), (prim.name, k)
            said += 1
    assert said > 20
    table = {name: carries(Instr(REGISTRY[name].op(), (0, 1), (2,)), [spec((), float64)] * 3) for name in ("divide", "maximum")}
    assert table == {"divide": (True, False), "maximum": (False, False)}

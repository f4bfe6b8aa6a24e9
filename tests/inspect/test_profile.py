"""profile(): what it counts, and that what it watches computes the same."""
from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph, _plan
from adjoint._config import config
from adjoint.engines.llvm import native
from adjoint.inspect import _profile
from adjoint.inspect._profile import limits, share
from adjoint.inspect._steps import Step

ENGINES = [pytest.param("numpy"), pytest.param("llvm")]


@pytest.fixture(autouse=True)
def _settings(tmp_path: Any) -> Iterator[None]:
    before = config.engine, config.cache
    config.cache = tmp_path / "kept"
    yield
    config.engine, config.cache = before
    assert _plan.watching == []


@pytest.fixture(params=ENGINES)
def engine(request: Any) -> str:
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    config.engine = request.param
    _graph.forget()
    return request.param  # type: ignore[no-any-return]


def training(decorate: Callable[..., Any] = lambda f: f) -> tuple[Callable[[], Any], list[ad.Variable]]:
    rng = np.random.default_rng(0)
    x = ad.constant(rng.normal(size=(8, 6)).astype(np.float32))
    w, b = ad.Variable(rng.normal(size=(6, 5)).astype(np.float32)), ad.Variable(np.zeros(5, np.float32))

    @decorate
    def step() -> Any:
        with ad.GradientTape() as tape:
            loss = ad.mean(ad.sort(ad.tanh(x @ w + b), axis=1) ** 2)
        for v, g in zip((w, b), tape.gradient(loss, [w, b])):
            v.assign_sub(0.1 * g)
        return loss

    return step, [w, b]


def test_it_counts_and_computes_the_same(engine: str) -> None:
    step, variables = training()
    for _ in range(4):
        ad.evaluate(step())
    want = [v.numpy() for v in variables]
    _graph.forget()
    if engine == "llvm":
        native.compiler().known.clear()
    step, variables = training()
    with ad.profile() as p:
        for _ in range(4):
            ad.evaluate(step())
    for v, w in zip(variables, want):
        np.testing.assert_array_equal(v.numpy(), w)
    assert (p.hits, p.misses, len(p.plans)) == (3, 1, 1)
    (plan,) = p.plans
    assert (plan.runs, plan.hits, plan.misses) == (4, 3, 1)
    assert plan.where[0] == __file__
    assert 0 < p.settled <= p.seconds
    if engine == "llvm":
        assert plan.compiled == p.compiled == 0          # it comes from disk
        assert plan.loaded == p.loaded > 0
        assert plan.numpy is None
        assert {s.kind for s in plan.steps} >= {"product", "loops", "kernel"}
    else:
        assert p.compiled == p.loaded == 0
        assert plan.native is None
        assert {s.kind for s in plan.steps} == {"kernel"}
    assert all(s.runs in (0, 4) for s in plan.steps)
    assert any(s.runs == 4 and s.seconds > 0 for s in plan.steps)
    assert sum(s.seconds for s in plan.steps) <= plan.seconds


def test_a_known_plan_is_a_hit(engine: str) -> None:
    step, _ = training()
    for _ in range(3):
        ad.evaluate(step())
    for _ in range(2):
        with ad.profile() as p:
            ad.evaluate(step())
        assert (p.hits, p.misses, p.compiled) == (1, 0, 0)


def test_traced_functions_are_seen(engine: str) -> None:
    step, variables = training(ad.function)
    with ad.profile() as p:
        for _ in range(3):
            step()
    assert sum(plan.runs for plan in p.plans) >= 3
    assert any("matmul" in s.operations for plan in p.plans for s in plan.steps)
    other, twins = training()
    for _ in range(3):
        ad.evaluate(other())
    for v, w in zip(variables, twins):
        np.testing.assert_allclose(v.numpy(), w.numpy(), rtol=1e-5)


def test_the_tiers_of_auto_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("llvmlite")
    monkeypatch.setitem(_plan.engines, "auto", _plan.engines["llvm"])
    config.engine = "auto"
    step, _ = training()
    with ad.profile() as p:
        for _ in range(5):
            ad.evaluate(step())
    (plan,) = p.plans
    assert plan.numpy is not None
    assert plan.native is not None
    assert {s.runs for s in plan.numpy.steps} == {1}
    assert max(s.runs for s in plan.native.steps) == 4


def test_bytes_and_flops(engine: str) -> None:
    a, b = ad.constant(np.ones((3, 4), np.float32)), ad.constant(np.ones((4, 5), np.float32))
    with ad.profile() as p:
        ad.evaluate(a @ b)
    (step,) = [s for s in p.plans[0].steps if "matmul" in s.operations]
    assert (step.flops, step.nbytes) == (2 * 3 * 4 * 5, 4 * (12 + 20 + 15))
    x, y = ad.constant(np.ones(100)), ad.constant(np.ones(100))
    with ad.profile() as p:
        ad.evaluate(ad.exp(x) * y)
    steps = p.plans[0].steps
    assert sum(s.flops for s in steps) == 200
    assert sum(s.nbytes for s in steps) == 8 * 100 * (3 if engine == "llvm" else 5)


def test_a_batched_product_and_a_sum(engine: str) -> None:
    a, b = ad.constant(np.ones((7, 3, 4))), ad.constant(np.ones((7, 4, 5)))
    with ad.profile() as p:
        ad.evaluate(a @ b, ad.sum(a, axis=2))
    assert sum(s.flops for s in p.plans[0].steps) == 2 * 7 * 3 * 4 * 5 + 7 * 3 * 4


def test_a_failure_is_the_same_as_outside(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def kernel(x: Any, **_: Any) -> Any:
        raise ValueError("it does not go")

    monkeypatch.setattr(_graph.REGISTRY["sort"], "kernel", kernel)
    x = ad.constant(np.zeros(3))
    with ad.profile() as p:
        good, bad = ad.exp(x), ad.sort(x)
        with pytest.raises(ad.SettleError, match=r"sort.*it does not go"):
            bad.numpy()
    np.testing.assert_array_equal(good.numpy(), 1.0)
    assert p.plans


def test_what_is_pending_belongs_to_its_block(engine: str) -> None:
    x = ad.constant(np.ones(3))
    before = x * 2.0
    with ad.profile() as p:
        inside = ad.exp(x)
    assert [plan.operations for plan in p.plans] == [1]
    np.testing.assert_array_equal(before.numpy(), 2.0)
    assert len(p.plans) == 1
    np.testing.assert_allclose(inside.numpy(), np.e)


def test_profiles_nest(engine: str) -> None:
    x = ad.constant(np.ones(3))
    with ad.profile() as outer:
        ad.evaluate(ad.exp(x))
        with ad.profile() as inner:
            ad.evaluate(ad.sin(x))
        ad.evaluate(ad.cos(x))
    assert (len(outer.plans), len(inner.plans)) == (2, 1)


def test_it_prints(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    step, _ = training()
    with ad.profile() as p:
        for _ in range(2):
            ad.evaluate(step())
    p.show()
    table = capsys.readouterr().out
    assert "2 runs" in table
    assert "1 hits, 1 misses" in table
    assert "test_profile.py:" in table
    assert "GFLOP/s" in table
    assert "product: matmul" in table if engine == "llvm" else "kernel: matmul" in table
    p.plans[0].show()
    plan = capsys.readouterr().out
    assert "tanh(" in plan
    assert ("for each of" in plan) == (engine == "llvm")
    assert repr(p) == f"<profile of 1 plans in {_profile._time(p.seconds)}>"


def test_it_can_be_kept_as_json(engine: str) -> None:
    step, _ = training()
    with ad.profile() as p:
        ad.evaluate(step())
    found = json.loads(json.dumps(p.to_dict()))
    assert found["misses"] == 1
    assert set(found["limits"]) == {"product", "copy"}
    name = "native" if engine == "llvm" else "numpy"
    assert any(s["operations"] == ["matmul"] for s in found["plans"][0]["steps"][name])


def test_shares_of_the_limits() -> None:
    known = limits()
    assert known == limits()
    step = Step("product", [], 1000, int(known["product"]), False, [])
    step.runs, step.seconds = 4, 8.0
    assert share(step) == (pytest.approx(0.5, rel=1e-6), "product")
    step.double = True
    assert share(step) == (pytest.approx(1.0, rel=1e-6), "product")
    step = Step("loops", [], int(known["copy"]), 10**15, False, [])
    step.runs, step.seconds = 1, 4.0
    assert share(step) == (pytest.approx(0.25, rel=1e-6), "copy")


def test_the_plan_of_a_traced_function(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    f = ad.function(lambda x, y: ad.sum(ad.exp(x) * y))
    plan = f.plan(ad.constant(np.ones((3, 4))), y=ad.constant(np.ones((3, 4))))
    plan.show()
    text = capsys.readouterr().out
    assert text.startswith("plan of 3 operations in")
    assert plan.compiled == (engine == "llvm")
    assert len(plan.steps) == (1 if engine == "llvm" else 3)
    assert f.trace_count == 1
    f(ad.constant(np.ones((3, 4))), ad.constant(np.ones((3, 4))))
    assert f.trace_count == 1


def test_it_goes_with_anomaly() -> None:
    with ad.profile(), ad.anomaly(), pytest.raises(ad.AnomalyError):
        float(ad.log(ad.constant(0.0)) * 2.0)

"""Where NaN and infinity begin: the right operation and line, forward and backward."""
from __future__ import annotations

from pathlib import Path
from typing import Any

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

"""Why a gradient is None: for each cause the right one, its line and a remedy."""
from __future__ import annotations

import gc
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()


def marked(mark: str) -> int:
    return next(n for n, line in enumerate(HERE, 1) if line.endswith(f"# {mark}"))


def check(tape: Any, target: Any, source: Any, cause: str, mark: str | None, *words: str, gradient: bool = True) -> str:
    """The same answer before and after the tape is used up, and the gradient is None."""
    for _ in range(2 if gradient else 1):
        found = tape.explain(target, source)
        assert found.cause == cause, str(found)
        assert found.remedy, str(found)
        if mark is not None:
            assert found.line is not None
            assert found.line[1] == marked(mark)
            assert f"test_explain.py:{marked(mark)}" in str(found)
        for word in words:
            assert word in str(found)
        if gradient and tape._done is None:
            assert tape.gradient(target, source) is None
    return str(found)


def test_the_path_where_there_is_one() -> None:
    x = ad.Variable([1.0, 2.0, 3.0])
    with ad.GradientTape() as tape:
        y = x * x                                        # square
        loss = ad.sum(ad.exp(y))                         # last
    for _ in range(2):
        found = tape.explain(loss, x)
        assert found.connected
        assert [(name, line[1]) for name, _, _, line in found.path] == [
            ("multiply", marked("square")), ("exp", marked("last")), ("sum", marked("last"))]
        assert found.path[0][1:3] == ((3,), "float32")
        assert "loss" in str(found)
        assert "y = x * x" in str(found)
        if tape._done is None:
            tape.gradient(loss, x)
    assert float(loss) > 0
    assert tape.explain(loss, x).connected


def test_never_watched() -> None:
    c = ad.constant([1.0, 2.0])
    with ad.GradientTape() as tape:
        y = ad.sum(c * c)                                # unwatched
    check(tape, y, c, "not watched", "unwatched", "tape.watch(c)")


def test_an_untrainable_variable_and_a_tape_that_watches_nothing() -> None:
    v, w = ad.Variable(2.0, trainable=False), ad.Variable(3.0)
    with ad.GradientTape(watch_accessed_variables=False) as tape:
        y = v * w
    assert "not trainable" in str(tape.explain(y, v))
    check(tape, y, w, "not watched", None, "watch_accessed_variables=False", "tape.watch(w)")


def test_recorded_before_the_tape() -> None:
    w = ad.Variable(2.0)
    before = w * w
    with ad.GradientTape() as tape:
        y = before * 3.0                                 # uses before
    check(tape, y, w, "before the tape", "uses before", "Move it into the with block")


def test_computed_before_the_tape() -> None:
    w = ad.Variable(2.0)
    before = w * w
    assert float(before) == 4.0
    with ad.GradientTape() as tape:
        y = before * 3.0                                 # uses computed
    check(tape, y, w, "outside the tape", "uses computed", "before", "w itself was not used")


def test_a_target_computed_after_the_tape() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * 3.0                                      # last inside
    z = y * y
    check(tape, z, w, "after the tape", "last inside", "Move it into the with block")


def test_a_target_of_another_time() -> None:
    w = ad.Variable(2.0)
    z = w * 3.0
    assert float(z) == 6.0
    with ad.GradientTape() as tape:
        _ = w * 2.0
    check(tape, z, w, "outside the tape", None, "not computed while this tape")


def test_recording_stopped() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * 3.0
        with tape.stop_recording():
            z = y * y                                    # stopped
        q = z + 1.0
    check(tape, q, w, "recording stopped", "stopped", "stop_recording")


def test_tape_consumed_inside_its_block() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * w
        g = tape.gradient(y, w)                          # consumes
        z = y * g
    check(tape, z, w, "tape consumed", "consumes", "persistent=True")
    assert float(z) == 16.0
    check(tape, z, w, "tape consumed", "consumes", "persistent=True")


@pytest.mark.parametrize("times", [1, 2])
def test_detached_through_numpy(times: int) -> None:
    for _ in range(times):
        w, x = ad.Variable(2.0), ad.Variable(3.0)
        with ad.GradientTape() as tape:
            h = w * w
            y = ad.constant(np.sin(h.numpy())) * x       # numpy
        check(tape, y, w, "detached", "numpy", ".numpy()", "instead of NumPy's")


def test_detached_through_float_item_and_tolist() -> None:
    w, x = ad.Variable([2.0]), ad.Variable(3.0)
    for leave in (float, lambda t: t.item(), lambda t: t.tolist()[0]):
        with ad.GradientTape() as tape:
            h = w * w
            value = leave(h)
            y = x * value                                # constant again
        text = check(tape, y, w, "detached", None)
        assert f"test_explain.py:{marked('constant again')}" in text


def test_a_number_is_no_target() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = float(w * w)                                 # number
    check(tape, y, w, "detached", "number", "float()", gradient=False)


def test_a_constant_made_of_numpy_values() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        _ = w * w
        y = ad.constant(w.numpy() ** 2)                  # made of
    check(tape, y, w, "detached", "made of")


def test_a_look_that_detaches_nothing() -> None:
    w, x = ad.Variable(2.0), ad.Variable(3.0)
    with ad.GradientTape() as tape:
        h = w * w
        assert h.numpy() == 4.0
        print(h)
        y = x * x
        z = h * x
    assert tape.explain(z, w).connected
    check(tape, y, w, "independent", None)


def test_cast_to_an_integer() -> None:
    w = ad.Variable(2.5)
    with ad.GradientTape() as tape:
        n = ad.cast(w * w, ad.int32)                     # cast
        y = ad.cast(n, ad.float32) * 2.0
    check(tape, y, w, "integer", "cast", "int32")


def test_integer_source_and_target() -> None:
    n, w = ad.Variable(3), ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = ad.cast(n, ad.float32) * w
        k = ad.cast(w, ad.int32)                         # integer target
    assert tape.explain(y, n).cause == "integer"
    assert "3.0" in str(tape.explain(y, n))
    check(tape, k, w, "integer", "integer target")


def test_stop_gradient() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = ad.stop_gradient(w * w) * 2.0                # stop
    check(tape, y, w, "stop_gradient", "stop")


@pytest.mark.parametrize("f", [ad.floor, ad.round, ad.sign, lambda x: ad.cast(x > 1.0, ad.float32)])
def test_derivative_zero_everywhere(f: Any) -> None:
    w = ad.Variable([2.5, 0.5])
    with ad.GradientTape() as tape:
        h = w * 3.0
        y = ad.sum(f(h) * 2.0)
    check(tape, y, w, "zero derivative", None, "test_explain.py")


def test_zero_derivative_names_the_line() -> None:
    w = ad.Variable(2.5)
    with ad.GradientTape() as tape:
        y = ad.floor(w)                                  # floor
        y = y * 2.0
    check(tape, y, w, "zero derivative", "floor", "floor", "smooth")


@pytest.mark.parametrize("look", [False, True])
def test_through_an_assignment(look: bool) -> None:
    w, v = ad.Variable(2.0), ad.Variable(0.0)
    with ad.GradientTape() as tape:
        new = w * w                                      # assigned
        v.assign(new)
        if look:
            assert float(v) == 4.0
        y = v * 2.0
    check(tape, y, w, "assigned", "assigned", "v")


def test_overwritten() -> None:
    k = ad.constant([1.0, 2.0])
    with ad.GradientTape() as tape:
        tape.watch(k)
        y = ad.sum(k * k)
        k[0] = 5.0                                       # overwrites
    check(tape, y, k, "overwritten", "overwrites", "value before")


def test_independent() -> None:
    w, b = ad.Variable(2.0), ad.Variable(3.0)
    with ad.GradientTape() as tape:
        y = w * w                                        # only w
        z = y * b
    check(tape, y, b, "independent", "only w", "does not depend on b", "from w")
    assert tape.explain(z, b).connected


def test_the_second_derivative_of_the_notebook() -> None:
    w, b, x = ad.Variable(1.0), ad.Variable(2.0), ad.Variable(3.0)
    for _ in range(2):
        with ad.GradientTape() as outer:
            with ad.GradientTape() as inner:
                y = x * w + b
            dy_dw, dy_db = inner.gradient(y, [w, b])     # first
        check(outer, dy_dw, w, "linear", "first", "y is linear in w", "dy/dw", "unconnected_gradients")
        assert outer.explain(dy_db, w).cause == "linear"
        assert outer.explain(dy_dw, x).connected
    assert float(dy_dw) == 3.0
    check(outer, dy_dw, w, "linear", "first", "y is linear in w")


def test_through_settled_parts() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * 2.0                                      # part one
        assert float(y) == 4.0
        z = y * y
    for _ in range(2):
        found = tape.explain(z, w)
        assert found.connected
        assert next(line[1] for *_, line in found.path) == marked("part one")
        if tape._done is None:
            tape.gradient(z, w)


def test_several_sources() -> None:
    a, b = ad.Variable(1.0), ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = a * 2.0
        z = ad.stop_gradient(a) * 3.0
    assert [e.cause for e in tape.explain(y, [a, b])] == ["connected", "independent"]
    assert [tape.explain(t, a).cause for t in ([z, y], [z])] == ["connected", "stop_gradient"]


def test_asking_changes_nothing() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * w * w
        before = ad._trace.local.trace.node.end if hasattr(ad, "_trace") else None
        tape.explain(y, w)
        assert before is None or ad._trace.local.trace.node.end == before
    assert float(tape.gradient(y, w)) == 12.0


def test_values_are_let_go_all_the_same() -> None:
    x = ad.Tensor(np.ones(1000, np.float32))
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        h = ad.exp(x * w)
        assert float(h[0]) > 7
        y = ad.sum(h)
    tape.gradient(y, w)
    gone = weakref.ref(h), weakref.ref(x)
    del h, x
    assert float(y) > 0
    gc.collect()
    assert [g() for g in gone] == [None, None]
    assert tape.explain(y, w).connected


def test_errors_carry_the_explanation() -> None:
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = ad.floor(w) * 2.0                            # carried
    g = tape.gradient(y, w)
    with pytest.raises(TypeError, match=rf"floor at .*test_explain.py:{marked('carried')}"):
        w.assign_sub(g)
    with pytest.raises(ValueError, match=rf"No gradients provided.*floor at .*test_explain.py:{marked('carried')}"):
        ad.optim.SGD(0.1).apply_gradients([(g, w)])


def test_warnings_carry_the_explanation() -> None:
    w, v = ad.Variable(2.0), ad.Variable(3.0)
    with ad.GradientTape() as tape:
        y = w * ad.stop_gradient(v)                      # warned
    grads = tape.gradient(y, [w, v])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        ad.optim.SGD(0.1).apply_gradients(zip(grads, [w, v]))
    assert f"test_explain.py:{marked('warned')}" in str(seen[0].message)


def test_without_lines_it_still_answers() -> None:
    w = ad.Variable(2.0)
    ad.config.lines = False
    try:
        with ad.GradientTape() as tape:
            y = ad.stop_gradient(w) * 2.0
        assert tape.explain(y, w).cause == "stop_gradient"
        assert tape.explain(y, w).line is None
    finally:
        ad.config.lines = True


def test_a_loop_is_told_once() -> None:
    w = ad.Variable(np.eye(3, dtype="f"))
    with ad.GradientTape() as tape:
        h = ad.constant(np.ones((1, 3), "f")) @ w
        for _ in range(50):
            h = ad.tanh(h @ w) + h
        loss = ad.sum(h)
    said = str(tape.explain(loss, w))
    assert "-> 50 times (matmul float32[1, 3], tanh float32[1, 3], add float32[1, 3] at" in said
    assert said.count("tanh") == 2                       # in the list, and in the line that is quoted
    assert len(tape.explain(loss, w).path) == 152


def test_repeated() -> None:
    from adjoint.inspect._explain import repeated

    def blocks(text: str) -> list[tuple[str, int]]:
        return [("".join(step[0] for step in steps), n) for steps, n in repeated([(c, (), "", None) for c in text])]

    assert blocks("") == []
    assert blocks("abab") == [("abab", 1)]
    assert blocks("xabababy") == [("x", 1), ("ab", 3), ("y", 1)]
    assert blocks("aaabcabcabcabcd") == [("a", 3), ("bca", 3), ("bcd", 1)]

"""What a program that runs again finds again: structures, lines, numbers, records across several traces, prepared calls."""
from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _segments
from adjoint._graph import ROOT
from adjoint._trace import line_at, line_of, local


def reference(w: float, x: float) -> tuple[float, float, float]:
    """y = (2 tanh(w x) + w)^2 and its derivatives by w and x."""
    t = np.tanh(w * x)
    u = 2 * t + w
    return u * u, 2 * u * (2 * (1 - t * t) * x + 1), 2 * u * 2 * (1 - t * t) * w


def look(value: Any) -> float:
    return float(value)


def in_the_block(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape() as tape:
        tape.watch(x)
        t = ad.tanh(w * x)
        look(t)
        y = (2.0 * t + w) ** 2
    return y, *tape.gradient(y, [w, x])


def the_target_in_the_block(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = (2.0 * ad.tanh(w * x) + w) ** 2
        look(y)
    return y, *tape.gradient(y, [w, x])


def twice_in_the_block(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape() as tape:
        tape.watch(x)
        p = w * x
        look(p)
        t = ad.tanh(p)
        look(t)
        y = (2.0 * t + w) ** 2
    return y, *tape.gradient(y, [w, x])


def after_the_block(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = (2.0 * ad.tanh(w * x) + w) ** 2
    look(y)
    return y, *tape.gradient(y, [w, x])


def persistent(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape(persistent=True) as tape:
        tape.watch(x)
        t = ad.tanh(w * x)
        look(t)
        y = (2.0 * t + w) ** 2
    first = tape.gradient(y, w)
    look(first)
    return y, first, tape.gradient(y, x)


def what_was_looked_at_is_used_first(w: Any, x: Any) -> tuple[Any, ...]:
    with ad.GradientTape() as tape:
        tape.watch(x)
        t = ad.tanh(w * x)
        look(t)
        y = (2.0 * t + w) ** 2
    t * 3.0 + x                                          # stands in the current program already
    return y, *tape.gradient(y, [w, x])


LOOKS = [in_the_block, the_target_in_the_block, twice_in_the_block, after_the_block, persistent,
         what_was_looked_at_is_used_first]


@pytest.mark.parametrize("program", LOOKS, ids=lambda f: f.__name__)
def test_a_look_changes_no_gradient(program: Callable[..., Any]) -> None:
    w = ad.Variable(0.7, dtype="float64")
    for k in range(5):
        x = ad.constant(0.3 + 0.2 * k, dtype="float64")
        got = [float(v) for v in program(w, x)]
        assert got == pytest.approx(reference(float(w), float(x)), rel=1e-12)
        w.assign_sub(ad.constant(0.1, dtype="float64"))


def test_a_record_across_traces_is_swept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    swept = []
    plain = _segments.entered_since
    monkeypatch.setattr("adjoint.tape.entered_since", lambda *args: swept.append(1) or plain(*args))
    w = ad.Variable(0.5)
    for k in range(4):
        with ad.GradientTape() as tape:
            y = ad.sin(w * 1.5) * w
            look(y)
        g = float(tape.gradient(y, w))
        v = float(w)
        assert g == pytest.approx(1.5 * np.cos(1.5 * v) * v + np.sin(1.5 * v), rel=1e-5)
        w.assign_add(0.1 * k + 0.1)
    assert len(swept) == 1


def test_who_is_who_belongs_to_the_structure() -> None:
    """The same programs with one variable for both parts, and with two."""
    a, b = ad.Variable(2.0), ad.Variable(3.0)
    for _ in range(3):
        for v, wanted in ((a, 4.0), (b, 2.0)):
            with ad.GradientTape() as tape:
                y = a * a
                look(y)
                z = y * 0.0 + v * 2.0 if v is b else y
            assert float(tape.gradient(z, v)) == wanted
            with ad.GradientTape() as tape:
                h = a * 3.0
                look(h)
                z = h * v
            assert float(tape.gradient(z, a)) == (9.0 if v is b else 12.0)


def test_second_derivatives_across_looks() -> None:
    w = ad.Variable(0.7, dtype="float64")
    for _ in range(4):
        with ad.GradientTape() as outer:
            with ad.GradientTape() as inner:
                y = ad.sin(w) * w
                look(y)
            g = inner.gradient(y, w)
            look(g)
        h = outer.gradient(g, w)
        v = float(w)
        assert float(h) == pytest.approx(2 * np.cos(v) - v * np.sin(v), rel=1e-12)
        w.assign_add(ad.constant(0.2, dtype="float64"))


# ------------------------------------------------------------------------------------------------------------- numbers

def test_a_number_enters_a_program_once() -> None:
    x = ad.Variable(2.0)
    rate = 0.37
    for _ in range(3):
        y = x
        for _ in range(10):
            y = y * rate + rate
        assert sum(owner is None for owner in local.trace.owners) == 1
        value = float(y)
        wanted = 2.0
        for _ in range(10):
            wanted = wanted * rate + rate
        assert value == pytest.approx(wanted, rel=1e-5)


def test_numbers_of_one_value_stay_apart_where_their_dtypes_do() -> None:
    whole, real, narrow = ad.constant([3]), ad.constant([3.0]), ad.constant([3.0], dtype="float64")
    for _ in range(3):
        a, b, c = whole * 2, real * 2, narrow * 2
        d, e = 0.1 * narrow, 0.1 * real
        assert [t.dtype.name for t in (a, b, c, d, e)] == ["int32", "float32", "float64", "float64", "float32"]
        assert d.tolist() == [0.1 * 3.0]
        assert e.tolist() == [float(np.float32(0.1) * np.float32(3.0))]


def test_the_sign_of_zero_is_kept() -> None:
    x = ad.constant(2.0)
    for _ in range(3):
        assert [str(float(v)) for v in (x * 0.0, x * -0.0, 0.0 * x, -0.0 * x)] == ["0.0", "-0.0", "0.0", "-0.0"]


# --------------------------------------------------------------------------------------------------------------- lines

def here() -> int:
    return sys._getframe(1).f_lineno


def lines_of(count: int) -> list[int]:
    trace = local.trace
    nodes = [n for n in dict.fromkeys(trace.nodes()) if n.args][:count]
    return [int(line_of(at).rsplit(":", 1)[1]) if (at := line_at(trace, n)) else 0 for n in nodes]


def test_the_same_structure_from_two_places_has_the_lines_of_each() -> None:
    x = ad.Variable(2.0)

    def one() -> int:
        y = x * x                                        # three operations on two lines
        ad.sin(y) * y
        return here() - 2

    def other() -> int:
        y = x * x

        ad.sin(y) * y
        return here() - 3

    for _ in range(3):
        for f, offsets in ((one, [0, 1, 1]), (other, [0, 2, 2])):
            with ad.GradientTape():
                first = f()
                assert lines_of(3) == [first + k for k in offsets]
            float(x * x * x)                             # the next one begins anew


def test_no_line_is_known_of_what_no_tape_recorded() -> None:
    x = ad.Variable(2.0)
    for _ in range(2):
        with ad.GradientTape():
            ad.cos(x * x)
            assert 0 not in lines_of(2)
        ad.evaluate(x * x * x)
    ad.cos(x * x)
    assert lines_of(2) == [0, 0]


# ------------------------------------------------------------------------------------------------------ prepared calls

def test_a_prepared_call_sees_what_changes() -> None:
    w, n = ad.Variable([1.0, 2.0]), ad.Variable(0, trainable=False)

    @ad.function
    def step(x: Any) -> Any:
        n.assign_add(1)
        return {"sum": ad.sum(w * x), "both": (w * x, [x, None, "text"])}

    for k in range(6):
        w.assign([1.0 + k, 2.0])
        got = step(ad.constant([3.0, 4.0]))
        assert float(got["sum"]) == 3.0 * (1 + k) + 8.0
        assert got["both"][0].tolist() == [3.0 * (1 + k), 8.0]
        assert got["both"][1][0].tolist() == [3.0, 4.0]
        assert got["both"][1][1:] == [None, "text"]
        assert int(n) == k + 1


def test_a_prepared_call_on_pending_values_and_on_a_tape() -> None:
    w = ad.Variable(3.0)
    square = ad.function(lambda x: (w * x, x * x))
    for k in range(5):
        x = ad.constant(1.0 + k)
        assert [float(v) for v in square(x)] == [3.0 * (1 + k), (1.0 + k) ** 2]
        assert [float(v) for v in square(x + 1.0)] == [3.0 * (2 + k), (2.0 + k) ** 2]
        with ad.GradientTape() as tape:
            tape.watch(x)
            y = square(x)[1]
        assert float(tape.gradient(y, x)) == 2.0 * (1 + k)
        w.assign(w * 1.0)
        assert float(square(x)[0]) == 3.0 * (1 + k)


def test_a_prepared_call_after_the_settings_change() -> None:
    f = ad.function(lambda x: ad.log(1.0 + ad.exp(x)))
    x = ad.constant(200.0)
    try:
        for _ in range(3):
            for _ in range(4):
                assert float(f(x)) == 200.0
            ad.config.rewrites = False
            for _ in range(4):
                assert float(f(x)) == np.inf
            ad.config.rewrites = True
    finally:
        ad.config.rewrites = True


def test_a_node_keeps_all_that_followed() -> None:
    x = ad.constant(2.0)
    for _ in range(2):
        for f in (ad.sin, ad.cos, ad.tan, ad.exp):
            float(f(x))
    first = next(n for n in ROOT.next if n.op.params.get("kind") == "tensor" and n.spec is x._spec)
    assert {"sin", "cos", "tan", "exp"} <= {n.op.name for n in first.next}


def test_gradient_functions_of_the_user_are_called_each_time() -> None:
    """What lies between them is found again; they themselves are not."""
    factor, calls = [1.0], []

    @ad.custom_gradient
    def scaled(x: Any) -> Any:
        def gradient(dy: Any) -> Any:
            calls.append(1)
            return dy * factor[0]

        return ad.sin(x), gradient

    w = ad.Variable(0.4, dtype="float64")
    for k in range(6):
        factor[0] = 1.0 + k % 2
        with ad.GradientTape() as tape:
            y = scaled(scaled(w * w) * 3.0) ** 2
        g = tape.gradient(y, w)
        v = float(w)
        inner = np.sin(v * v) * 3
        assert float(g) == pytest.approx(2 * np.sin(inner) * factor[0] * 3 * factor[0] * 2 * v, rel=1e-12)
        assert len(calls) == 2 * (k + 1)
        w.assign_add(ad.constant(0.1, dtype="float64"))


def test_the_collector_waits_while_a_long_program_is_recorded() -> None:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        x = ad.Variable(1.0)
        seen = []
        for _ in range(2):
            with ad.GradientTape() as tape:
                seen.append(gc.get_threshold()[0])
                y, kept = x, []
                for _ in range(2500):
                    y = y * 1.0001
                    kept.append(y)
            assert gc.get_threshold()[0] == seen[-1]     # until it is computed
            assert float(tape.gradient(y, x)) > 1.2
            assert gc.get_threshold() == (700, 10, 10)
        assert seen[0] == 700
        assert seen[1] > 700
        inside = []

        def fails() -> None:
            with ad.GradientTape():
                inside.append(gc.get_threshold()[0])
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert inside[0] > 700
        float(ad.constant(1.0) + 1.0)
        assert gc.get_threshold() == (700, 10, 10)       # after an error too
        with ad.GradientTape():
            assert gc.get_threshold()[0] == 700          # the last program was short
        gc.set_threshold(0, 10, 10)
        with ad.GradientTape():
            assert gc.get_threshold()[0] == 0            # who has it off keeps it off
    finally:
        gc.set_threshold(*before)


class _Stopped(BaseException):
    """Stands for an interruption."""


def _interrupted(at: int, run: Callable[[], object]) -> bool:
    """Run, and raise when the interpreter comes to this bytecode of adjoint; False where it did not come there."""
    left, folder = at, os.path.dirname(ad.__file__)

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.startswith(folder):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if not left:
                raise _Stopped
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except _Stopped:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.fixture(params=[False, True], ids=["plain", "native"])
def recorder(request: pytest.FixtureRequest) -> Iterator[None]:
    """Recording in Python, and in native code."""
    native = pytest.importorskip("adjoint.engines.llvm.native")
    from adjoint.engines.llvm.recorder import Recorder, made

    try:
        compiler = native.compiler()
    except native.Unavailable as error:
        pytest.skip(str(error))
    if not made:
        with compiler.lock:
            made.append(Recorder(compiler))
    made[0].on()
    if not request.param:
        made[0].off()
    yield
    made[0].on()


@pytest.mark.usefixtures("recorder")
def test_recording_that_is_interrupted_anywhere_leaves_nothing_wrong() -> None:
    x, rate = ad.constant(2.0), 0.7

    def run() -> tuple[Any, Any]:
        with ad.GradientTape() as tape:
            y = x * v + rate * w
            z = ad.sin(y) * 2.0 - 1.3 * v
            z = ad.sum(z * z) * rate
        return z, tape.gradient(z, [v, w])

    def told() -> list[float]:
        z, (a, b) = run()
        return [float(z), float(a), float(b)]

    v, w = ad.Variable(1.5), ad.Variable(0.5)
    want = told()
    y, inner = 1.5 * 2 + 0.35, math.sin(1.5 * 2 + 0.35) * 2 - 1.95
    slope = 1.4 * inner
    assert want == pytest.approx([inner**2 * 0.7, slope * (math.cos(y) * 4 - 1.3), slope * math.cos(y) * 1.4], rel=1e-5)
    at, stopped = 1, True
    while stopped:
        v, w = ad.Variable(1.5), ad.Variable(0.5)
        stopped = _interrupted(at, run)
        local.tapes.clear()
        assert told() == pytest.approx(want, rel=1e-6), at
        at += 7


def test_a_number_that_is_known_moves_the_program_on() -> None:
    v, half = ad.Variable([1.0, 2.0]), 0.53
    for k in range(4):
        left = v * half
        both = (v + 1 if k % 2 else v - 1) * half        # the branch that was not taken last is looked up
        np.testing.assert_allclose(left.numpy(), np.array([0.53, 1.06]), rtol=1e-6)
        np.testing.assert_allclose(both.numpy(), (np.array([2.0, 3.0]) if k % 2 else np.array([0.0, 1.0])) * 0.53, rtol=1e-6)
        a = (v + 1 if k % 2 else v - 1) * half
        b = (half * v if k % 3 else half / v) - half
        ad.evaluate(a, b)
        want = 0.53 * np.array([1.0, 2.0]) if k % 3 else 0.53 / np.array([1.0, 2.0])
        np.testing.assert_allclose(b.numpy(), want - 0.53, rtol=1e-5, atol=1e-7)

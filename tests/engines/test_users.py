"""What users do to the compiled engine: odd arrays, odd types, interrupted steps, threads."""
from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph, config
from adjoint._trace import Trace, recording_into
from adjoint.engines import llvm as llvm_engine

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    before = config.engine
    llvm_engine.faults.clear()
    _graph.forget()
    config.engine = "llvm"
    yield
    config.engine = before
    assert llvm_engine.faults == []


@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_arrays_of_another_byte_order(engine: str) -> None:
    config.engine = engine
    for dtype in (">i4", ">f4", ">f8", "<i2", ">u8"):
        x = ad.constant(np.arange(12).astype(dtype).reshape(3, 4))
        assert int(ad.sum(x)) == 66
        assert x.numpy().dtype.isnative


def test_an_array_in_fortran_order_is_laid_out_anew_once() -> None:
    assert ad.constant(np.asfortranarray(np.ones((3, 4), np.float32)))._look().flags.c_contiguous


@pytest.mark.parametrize("shape", [(), (1,), (700,)])
def test_a_float16_that_is_worked_out_in_float64(shape: tuple[int, ...]) -> None:
    x = np.full(shape, -2.5, np.float16)
    np.testing.assert_array_equal(ad.angle(ad.constant(x)).numpy(), np.full(shape, np.pi, np.float16))


def _converts(function: str, source: str, target: str, x: np.ndarray, dtype: Any) -> np.ndarray:
    from adjoint.engines.llvm import halves
    from adjoint.engines.llvm.native import compiler

    halves.connect(compiler())
    text = f"""
declare {target} @{function}({source})
define void @NAME(ptr %x, ptr %y, i64 %n) {{
start:
  br label %next
next:
  %k = phi i64 [ 0, %start ], [ %k1, %next ]
  %from = getelementptr {source}, ptr %x, i64 %k
  %to = getelementptr {target}, ptr %y, i64 %k
  %v = load {source}, ptr %from
  %r = call {target} @{function}({source} %v)
  store {target} %r, ptr %to
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %next, label %end
end:
  ret void
}}
"""
    address, engine = compiler().load(text, "@NAME", "converts")
    y = np.empty(x.shape, dtype)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)(x.ctypes.data, y.ctypes.data, x.size)
    del engine
    return y


def test_conversions_of_float16_without_an_instruction() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    wide = _converts("__extendhfsf2", "half", "float", every, np.float32)
    np.testing.assert_array_equal(wide, every.astype(np.float32))
    assert (np.signbit(wide) == np.signbit(every)).all()
    exact = every[np.isfinite(every)].astype(np.float64)
    between = (np.sort(exact)[1:] + np.sort(exact)[:-1]) / 2
    hard = np.concatenate([exact, between, np.nextafter(between, np.inf), np.nextafter(between, -np.inf),
                           [65519.99, 65520.0, -65520.0, 1e9, 1e300, -np.inf, np.inf, np.nan, 5e-324, 0.0, -0.0]])
    with np.errstate(over="ignore"):
        want = hard.astype(np.float16)
        got = _converts("__truncdfhf2", "double", "half", hard, np.float16)
        np.testing.assert_array_equal(got, want)
        assert (np.signbit(got) == np.signbit(want)).all()
        narrow = hard.astype(np.float32)
        np.testing.assert_array_equal(_converts("__truncsfhf2", "float", "half", narrow, np.float16), narrow.astype(np.float16))


@pytest.mark.skipif(sys.gettrace() is not None, reason="something else is tracing")
def test_an_interrupted_step_leaves_the_variables_before_or_after_it() -> None:
    start = np.arange(12, dtype=np.float32).reshape(3, 4) / 10

    def fresh() -> list[ad.Variable]:
        return [ad.Variable(start), ad.Variable(start[0]), ad.Variable(start * 0)]

    def step(w: Any, b: Any, m: Any) -> None:
        with ad.GradientTape() as tape:
            loss = ad.sum(ad.tanh(ad.matmul(np.ones((5, 3), np.float32), w) + b) ** 2)
        dw, db = tape.gradient(loss, [w, b])
        m.assign(0.9 * m + dw)
        w.assign_sub(0.1 * m)
        b.assign_sub(0.1 * db)

    def state(variables: list[ad.Variable]) -> list[Any]:
        return [v.numpy() for v in variables]

    model = fresh()
    right = [state(model)]
    for _ in range(4):
        step(*model)
        right.append(state(model))
    left = 0

    def count(frame: Any, event: str, arg: Any) -> Any:
        nonlocal left
        if "adjoint" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return count

    for n in range(1, 5000, 7):
        model = fresh()
        for _ in range(2):
            step(*model)
            ad.evaluate(*model)
        step(*model)
        left, done = n, True
        sys._getframe().f_trace_opcodes = True           # Python 3.12 asks for it before tracing begins
        sys.settrace(count)
        try:
            ad.evaluate(*model)
        except KeyboardInterrupt:
            done = False
        finally:
            sys.settrace(None)
        got = state(model)
        at = 2 if np.allclose(got[0], right[2][0]) else 3
        for expected in (right[at], right[at + 1]):
            for a, b in zip(state(model), expected):
                np.testing.assert_allclose(a, b, rtol=1e-5)
            step(*model)
        if done:
            break
    assert done
    assert n > 100


def test_a_value_may_be_looked_at_while_another_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from adjoint.engines.llvm.native import compiler

    native, found = compiler(), []
    load = native.load

    def interrupted(*args: Any) -> Any:                  # as a signal's handler would
        monkeypatch.setattr(native, "load", load)
        with recording_into(Trace()):
            found.append(float(ad.sum(ad.sin(ad.constant([2.0] * 3)) * 1.0625)))
        return load(*args)

    monkeypatch.setattr(native, "load", interrupted)
    assert float(ad.sum(ad.cos(ad.constant([0.5] * 5)) * 1.1875)) == pytest.approx(5 * np.cos(0.5) * 1.1875)
    assert found == [pytest.approx(3 * np.sin(2.0) * 1.0625)]
    llvm_engine.faults.clear()                           # NumPy computed the one that came in between

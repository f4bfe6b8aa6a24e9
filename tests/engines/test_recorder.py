"""Native recording says what plain recording says."""
from __future__ import annotations

import gc
import inspect
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._trace import line_of, local

native = pytest.importorskip("adjoint.engines.llvm.native")
recorder = pytest.importorskip("adjoint.engines.llvm.recorder")


@pytest.fixture
def both() -> Iterator[Any]:
    """The recorder, in use."""
    try:
        compiler = native.compiler()
    except native.Unavailable as error:
        pytest.skip(str(error))
    if not recorder.made:
        with compiler.lock:
            recorder.made.append(recorder.Recorder(compiler))
    made = recorder.made[0]
    made.on()
    yield made
    made.on()


def program(x: Any, y: Any, flag: bool) -> Any:
    z = x * y + 2.5 * x - y / 3.0
    z = -ad.sin(z) * 0.7 if flag else ad.exp(z * 0.1) - 0.7
    for _ in range(3):
        z = 0.3 * z + x * 1.7
    return z + ad.nn.relu(y) - abs(z)


def test_both_walk_the_same_path(both: Any) -> None:
    x, y = ad.Variable(np.linspace(-1, 1, 5)), ad.Variable(np.linspace(1, 2, 5))
    for k in range(6):
        found = []
        for on in (False, True):
            (both.on if on else both.off)()
            with ad.GradientTape(persistent=True) as tape:
                z = program(x, y, k % 2 == 0)
            found.append((local.trace.node, {at: line_of(where) for at, where in local.trace.lines.items()}))
            g = tape.gradient(z, [x, y])
            found[-1] += (z.numpy(), g[0].numpy(), g[1].numpy())
        plain, fast = found
        assert plain[0] is fast[0]
        assert plain[1] == fast[1]
        for a, b in zip(plain[2:], fast[2:]):
            np.testing.assert_array_equal(a, b)


def test_operators_are_native(both: Any) -> None:
    assert type(ad.Tensor.__mul__).__name__ == "method_descriptor"
    both.off()
    assert type(ad.Tensor.__mul__).__name__ == "function"


def test_lines_are_those_of_each_run(both: Any) -> None:
    x = ad.Variable(1.5)

    def first() -> Any:
        return x * x

    def second() -> Any:
        return x * x

    for _ in range(3):
        for f in (first, second):
            with ad.GradientTape() as tape:
                y = f()
            code, _ = next(iter(local.trace.lines.values()))
            assert code is f.__code__
            assert float(tape.gradient(y, x)) == 3.0


def test_tensors_that_are_used_again_are_nobodys(both: Any) -> None:
    x = ad.constant(2.0)
    for _ in range(3):
        kept = [x * 3.5]
        for _ in range(100):
            kept.append(kept[-1] * 1.25)
        seen = [weakref.ref(t) for t in kept[::3]]
        wanted = {k: kept[k] for k in (0, 7, 50)}
        del kept
        float(wanted[50])
        for k, t in wanted.items():
            assert float(t) == pytest.approx(7.0 * 1.25**k, rel=1e-5)
        later = [x * 3.5]
        for _ in range(100):
            later.append(later[-1] * 1.25)
        assert len({id(t) for t in [*later, *wanted.values()]}) == 104
        alive = {id(t) for t in wanted.values()}
        assert all(r() is None or id(r()) in alive for r in seen)
        assert float(later[-1]) == pytest.approx(7.0 * 1.25**100, rel=1e-4)


def test_nothing_is_left_behind(both: Any) -> None:
    x = ad.constant(2.0)

    def once() -> None:
        y = x
        for _ in range(50):
            y = ad.sin(y * 1.5)
        float(y)

    for _ in range(5):
        once()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(50):
        once()
    gc.collect()
    assert len(gc.get_objects()) - before < 120


def test_what_is_not_the_usual_case_is_as_ever(both: Any) -> None:
    x = ad.constant([1.0, 2.0])
    for _ in range(3):
        np.testing.assert_array_equal((x * np.array([2.0, 3.0], np.float32)).numpy(), [2, 6])
        np.testing.assert_array_equal((np.array([2.0, 3.0], np.float32) * x).numpy(), [2, 6])
        np.testing.assert_array_equal((x + True).numpy(), [2, 3])
        np.testing.assert_array_equal((2 ** x).numpy(), [2, 4])
        with pytest.raises(ad.ShapeError):
            x + ad.constant([1.0, 2.0, 3.0])
        with pytest.raises(TypeError):
            x * "a"
        with pytest.raises(TypeError):
            ad.Tensor.__mul__(3.0, x)


def test_threads_record_for_themselves(both: Any) -> None:
    problems: list[str] = []
    shared = ad.Variable(2.0)

    def work(n: int) -> None:
        for k in range(60):
            x = ad.constant(float(n))
            y = x
            for _ in range(40):
                y = ad.sin(y * 1.1) + shared * 0.5
            want = float(n)
            for _ in range(40):
                want = np.sin(want * 1.1) + 1.0
            if abs(float(y) - want) > 1e-4:
                problems.append(f"{n}, {k}: {float(y)} for {want}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems


def test_operators_have_signatures(both: Any) -> None:
    assert list(inspect.signature(ad.Tensor.__mul__).parameters) == ["self", "y"]
    assert list(inspect.signature(ad.Tensor.__neg__).parameters) == ["self"]


def test_quotients_of_whole_numbers(both: Any) -> None:
    whole, real = ad.constant([6, 7]), ad.constant([6.0, 7.0])
    for _ in range(3):
        for x in (whole, real):
            np.testing.assert_allclose((x / x + x / 4 + 3 / x).numpy(), [3.0, 1 + 7 / 4 + 3 / 7], rtol=1e-6)


def test_a_number_of_another_kind_on_the_same_line(both: Any) -> None:
    whole, truth, turned = ad.constant([1, 2]), ad.constant([True, False]), ad.constant([1j, 2.0])
    for x, numbers in ((whole, (100, 2.5)), (whole, (1, 1.0)), (truth, (True, 1)), (turned, (3j, 2.5)), (turned, (1, 1.0))):
        wants = [(y, ad.multiply(x, y).dtype, x.numpy() * y) for y in numbers]
        for operation in (lambda y: x * y, lambda y: y * x, lambda y: ad.multiply(x, y)):
            for y, dtype, want in wants * 3:
                z = operation(y)
                np.testing.assert_allclose(z.numpy(), want)
                assert z.dtype is dtype


def test_a_tensor_without_a_value_raises(both: Any) -> None:
    for operation in (lambda t: t * 2.0, lambda t: -t, lambda t: ad.constant(1.0) + t, ad.sin):
        with pytest.raises(AttributeError):
            operation(ad.Tensor.__new__(ad.Tensor))


def test_trainable_is_what_counts_as_true(both: Any) -> None:
    v = ad.Variable(2.0)
    for trainable, want in ((True, 4.0), (1, 4.0), (False, None), (0, None), (np.True_, 4.0)) * 3:
        v.trainable = trainable
        with ad.GradientTape() as tape:
            y = v * v
        g = tape.gradient(y, v)
        assert g is want if want is None else float(g) == want
        float(v * 1.0)                                   # the program ends


def test_code_that_runs_when_a_thread_ends(both: Any) -> None:
    x, own, found = ad.constant(2.0), threading.local(), []

    class Last:
        def __del__(self) -> None:
            found.append(float(x * 3.0 + 1.0))

    def work() -> None:
        float(ad.sin(x * 3.0) + 1.0)
        own.last = Last()

    for _ in range(3):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert float(x * 3.0 + 1.0) == 7.0
    assert found == [7.0] * 3


def test_the_collector_may_run_code_that_records(both: Any) -> None:
    x, kept = ad.constant(2.0), []

    class Cycle:
        on = False

        def __init__(self) -> None:
            self.own = self

        def __del__(self) -> None:
            if Cycle.on and inspect.currentframe().f_back.f_code is steps.__code__:  # type: ignore[union-attr]
                kept.append(x + x)

    def steps() -> Any:
        y = x
        for _ in range(10):
            Cycle()
            y = x * 0.5 + y
        return y

    before = gc.get_threshold()
    try:
        for k in range(60):
            Cycle.on = k > 5
            gc.set_threshold(1)
            y = steps()
            gc.set_threshold(*before)
            assert float(y) == 12.0
            assert all(float(t) == 4.0 for t in kept)
            kept.clear()
    finally:
        gc.set_threshold(*before)

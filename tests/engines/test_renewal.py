"""New values of variables are written over the old ones where nobody else looks, and only there."""
import signal
import threading
import time

import numpy as np
import pytest

import adjoint as ad
from adjoint import _renewal
from adjoint.engines import llvm

SIZE = (160, 128)                                        # 80 kB: large enough to be renewed


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    count = threading.active_count()                     # a test runner has threads of its own, which don't look at variables
    monkeypatch.setattr(_renewal, "alone", lambda: threading.active_count() == count)
    before, ad.config.engine = ad.config.engine, "llvm"
    yield
    ad.config.engine = before


def _array(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)


def _inputs() -> np.ndarray:
    return _array(1).T * np.float32(0.05)


def _descend(w, x, momentum=None):
    with ad.GradientTape() as tape:
        loss = ad.sum(ad.tanh(x @ w) ** 2)
    g = tape.gradient(loss, w)
    if momentum is not None:
        momentum.assign(0.9 * momentum + g)
        g = momentum
    w.assign_sub(0.01 * g)
    return loss


def _by_numpy(steps: int, momentum: bool = False) -> list[np.ndarray]:
    w, x, m = _array().astype(np.float64), _inputs().astype(np.float64), 0.0
    found = []
    for _ in range(steps):
        y = np.tanh(x @ w)
        g = x.T @ (2 * y * (1 - y * y))
        if momentum:
            m = 0.9 * m + g
            g = m
        w = w - np.float64(np.float32(0.01)) * g
        found.append(w)
    return found


def _where(v) -> int:
    return v._value.__array_interface__["data"][0]


@pytest.mark.parametrize("momentum", [False, True])
@pytest.mark.parametrize("decorate", [lambda f: f, ad.function], ids=["plain", "function"])
def test_values_stay_where_they_are_and_are_right(decorate, momentum):
    w, x = ad.Variable(_array()), ad.constant(_inputs())
    m = ad.Variable(np.zeros(SIZE, np.float32)) if momentum else None
    step = decorate(lambda: _descend(w, x, m))
    places = set()
    for n, want in enumerate(_by_numpy(8, momentum)):
        step()
        np.testing.assert_allclose(w.numpy(), want, rtol=2e-4, atol=2e-5)
        if n >= 4:
            places.add(_where(w))
    assert len(places) == 1


@pytest.mark.parametrize("decorate", [lambda f: f, ad.function], ids=["plain", "function"])
def test_who_holds_the_old_value_keeps_it(decorate):
    w, x = ad.Variable(_array()), ad.constant(_inputs())
    step = decorate(lambda: _descend(w, x))
    wants = [_array(), *_by_numpy(9)]
    for _ in range(4):
        step().numpy()
    held = {"numpy": w.numpy(), "tensor": w.read_value(), "view": w.numpy()[3:5].T, "memory": memoryview(w.numpy())}
    held["tensor"].numpy()
    before = {k: np.array(v) for k, v in held.items()}
    for _ in range(3):
        step().numpy()
    for k, v in held.items():
        assert np.array_equal(np.array(v), before[k]), k
    np.testing.assert_allclose(before["numpy"], wants[4], rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(w.numpy(), wants[7], rtol=2e-4, atol=2e-5)


def test_old_and_new_value_in_one_program():
    w = ad.Variable(_array())
    for n in range(5):
        old = w * 1.0
        turned = ad.transpose(w)
        w.assign(w * 2.0)
        after = old - w
        assert np.array_equal(after.numpy(), -_array() * np.float32(2.0**n))
        assert np.array_equal(turned.numpy(), (_array() * np.float32(2.0**n)).T)


def test_two_variables_that_share_an_array():
    a = ad.Variable(_array())
    b = ad.Variable(np.zeros(SIZE, np.float32))
    last = _array()
    for _ in range(4):
        b.assign(a)
        a.assign(a + 1.0)
        assert np.array_equal(b.numpy(), last)
        last = a.numpy().copy()
    a.assign_add(ad.ones(SIZE))
    assert np.array_equal(a.numpy(), last + 1)


def test_variables_change_places():
    a, b = ad.Variable(_array(1)), ad.Variable(_array(2))
    for n in range(6):
        x, y = a * 1.0, b * 1.0
        a.assign(y)
        b.assign(x)
        assert np.array_equal(a.numpy(), _array(2 - n % 2))
        assert np.array_equal(b.numpy(), _array(1 + n % 2))


def test_a_kept_tape_sees_the_values_of_its_time():
    w, x = ad.Variable(_array()), ad.constant(_inputs())
    for want in [_array(), *_by_numpy(5)][:5]:
        with ad.GradientTape(persistent=True) as tape:
            y = ad.sum(w * w * w)
        w.assign_sub(0.01 * _gradient_by_hand(w, x))
        w.numpy()
        np.testing.assert_allclose(tape.gradient(y, w).numpy(), 3 * want.astype(np.float64)**2, rtol=3e-3, atol=1e-3)


def _gradient_by_hand(w, x):
    y = ad.tanh(x @ w)
    return ad.transpose(x) @ (2.0 * y * (1.0 - y * y))


def test_a_refused_label_leaves_everything():
    w, x = ad.Variable(_array() * 0.1), ad.constant(_inputs())
    labels = ad.Variable(np.zeros(128, np.int32), trainable=False)

    def step():
        with ad.GradientTape() as tape:
            loss = ad.mean(ad.losses.sparse_categorical_crossentropy(labels, x @ w, from_logits=True))
        w.assign_sub(0.01 * tape.gradient(loss, w))
        return loss

    for _ in range(4):
        step().numpy()
    before = w.numpy().copy()
    labels.assign(np.full(128, 1000, np.int32))
    with pytest.raises(Exception, match=r"1000|label|class"):
        step().numpy()
    assert np.array_equal(w.numpy(), before)
    labels.assign(np.zeros(128, np.int32))
    step().numpy()
    assert not np.array_equal(w.numpy(), before)
    assert llvm.faults == []


def test_other_threads_see_whole_values():
    """As long as another thread runs nothing is written over."""
    w = ad.Variable(np.zeros((512, 512), np.float32))
    stop, torn = threading.Event(), []

    def look():
        while not stop.is_set():
            value = w.numpy()
            if value.min() != value.max():
                torn.append(value)

    def step():
        w.assign_add(ad.ones((512, 512)))
        w._look()

    for _ in range(4):
        step()
    place = _where(w)
    step()
    assert _where(w) == place                            # alone, it is
    other = threading.Thread(target=look)
    other.start()
    try:
        for _ in range(300):
            step()
    finally:
        stop.set()
        other.join()
    assert not torn
    assert float(w[0, 0]) == 305


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


STEPS = {                                                # variables -> their new values, for adjoint and for NumPy
    "halve": (lambda w, v: (w * 0.5 + ad.exp(w * 0.0), v), lambda w, v: (w * 0.5 + 1, v)),
    "momentum": (lambda w, v: (w * 0.5 + 1.0, v - (w * 0.5 + 1.0) * 0.25), lambda w, v: (w * 0.5 + 1, v - (w * 0.5 + 1) * 0.25)),
    "swap": (lambda w, v: (v * 2.0, w * 0.5), lambda w, v: (v * 2, w * 0.5)),
    "rows": (lambda w, v: (ad.softmax(w), v - ad.mean(v, axis=-1, keepdims=True)),
             lambda w, v: (_softmax(w), v - v.mean(-1, keepdims=True))),
    "columns": (lambda w, v: (w - ad.mean(w, axis=0), v + 0.1 * ad.mean(v)), lambda w, v: (w - w.mean(0), v + 0.1 * v.mean())),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(131, 127), (16643,), (3, 7001), (7001, 3), (20003, 1), (1, 33001), (100, 328), (1951, 17)],
                         ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_each_element_is_renewed_once(step, shape, dtype):
    """Whatever is left over where a vector does not go into a row."""
    ours, theirs = STEPS[step]
    rng = np.random.default_rng(len(shape))
    start = [rng.normal(size=shape).astype(dtype) for _ in range(2)]
    w, v = map(ad.Variable, start)
    want = [x.astype(np.float64) for x in start]
    for _ in range(5):
        x, y = ours(w, v)
        w.assign(x)
        if y is not v:
            v.assign(y)
        w.numpy()
        want = theirs(*want)
    for x, y in zip((w, v), want):
        off = 0.03 if dtype == "float16" else 1e-4
        np.testing.assert_allclose(x.numpy(), y, rtol=off, atol=off / 10)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("shape", [(131, 127), (3, 7001), (7001, 3)], ids=str)
def test_products_are_added_once(shape, k):
    rng = np.random.default_rng(k)
    start, a, b = [rng.normal(size=s).astype(np.float32) for s in (shape, (k, shape[0]), (k, shape[1]))]
    w, x, y = ad.Variable(start), ad.constant(a), ad.constant(b)
    for _ in range(5):
        w.assign_sub(0.1 * (ad.transpose(x) @ y))
        w.numpy()
    np.testing.assert_allclose(w.numpy(), start - 0.5 * (a.T.astype(np.float64) @ b), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that raise signals")
@pytest.mark.parametrize("decorate", [lambda f: f, ad.function], ids=["plain", "function"])
def test_an_interrupted_step_happens_whole_or_not_at_all(decorate):
    """All three variables count the steps: the large ones in place, the small one not."""
    a, b = ad.Variable(np.zeros(SIZE, np.float32)), ad.Variable(np.zeros((600, 700), np.float32))
    c = ad.Variable(0.0)

    @decorate
    def step():
        a.assign_add(ad.ones(SIZE))
        b.assign(b + ad.exp(0.0 * b))
        c.assign_add(1.0)
        return c * 2.0

    class Stop(KeyboardInterrupt):
        pass

    armed = []

    def stop(_, frame):
        while frame is not None and armed:               # a step that is only half recorded is the user's
            if frame.f_code.co_name == ("run" if decorate is ad.function else "settle"):
                armed.clear()
                raise Stop
            frame = frame.f_back

    def run():
        return step()

    for _ in range(5):
        run().numpy()
    before = signal.signal(signal.SIGALRM, stop)
    stops = 0
    try:
        for k in range(400):
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + 1e-6 * k, 1e-3)
                for _ in range(50):
                    run().numpy()
            except Stop:
                stops += 1
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            counts = {float(x) for v in (a, b, c) for x in (v.numpy().min(), v.numpy().max())}
            assert len(counts) == 1, counts
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stops > 100


def test_nothing_runs_between_the_calls_of_one_go():
    """Proof that the walk is what keeps signals out: the same calls, one by one in Python, are interrupted."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no timers that raise signals")
    seen: list[int] = []

    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    before = signal.signal(signal.SIGALRM, stop)
    try:
        for way in ("one go", "one by one"):
            seen.clear()
            todo = [(time.sleep, 0.0)] * 200 + [(seen.append, 1)]
            cut = 0
            for _ in range(50):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 2e-5)
                    if way == "one go":
                        _renewal.at_once([(seen.append, 0), *[(seen.sort,)] * 3000, (seen.append, 1)])
                    else:
                        seen.append(0)
                        for f, *args in todo:
                            f(*args)
                except Stop:
                    cut += 1
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            assert cut > 0
            assert (seen.count(0) == seen.count(1)) is (way == "one go")
    finally:
        signal.signal(signal.SIGALRM, before)

"""The stateful face: what is applied, what is refused, what is remembered."""
import os
import threading
import warnings

import numpy as np
import pytest

import adjoint as ad

CLASSES = [ad.optim.SGD, ad.optim.Adagrad, ad.optim.RMSprop, ad.optim.Adam, ad.optim.AdamW, ad.optim.Adamax,
           ad.optim.Nadam, ad.optim.Adadelta, ad.optim.Lion]


def step(optimizer, *variables):
    with ad.GradientTape() as tape:
        loss = sum(ad.sum(v * v) for v in variables)
    optimizer.apply_gradients(zip(tape.gradient(loss, list(variables)), variables))
    return loss


def test_a_step_lands_in_one_pending_graph():
    w = ad.Variable([1.0, 2.0])
    optimizer = ad.optim.Adam(0.1)
    step(optimizer, w)
    assert w._pending is not None
    slots = [v for v in optimizer.variables if v.shape == (2,)]
    assert len(slots) == 2
    assert all(s._pending is not None and s._pending._trace is w._pending._trace for s in slots)
    assert w.numpy() == pytest.approx([0.9, 1.9], rel=1e-6)


@pytest.mark.parametrize("make", CLASSES)
def test_no_new_structure_after_the_first_steps(make):
    w = ad.Variable([1.0, 2.0])
    optimizer = make(0.013)
    for _ in range(4):
        step(optimizer, w)
        w.numpy()
    before = ad._graph._COUNT[0]
    for _ in range(20):
        step(optimizer, w)
        w.numpy()
    assert ad._graph._COUNT[0] == before


@pytest.mark.parametrize("make", CLASSES)
def test_every_class_descends(make):
    w = ad.Variable([1.0, -2.0])
    optimizer = make()
    first = float(step(optimizer, w))
    for _ in range(20):
        last = step(optimizer, w)
    assert float(last) < first


def test_iterations_and_learning_rate_are_variables():
    w = ad.Variable(1.0)
    optimizer = ad.optim.SGD(0.1)
    count, rate = optimizer.iterations, optimizer.learning_rate
    assert isinstance(rate, ad.Variable)
    assert optimizer.apply_gradients([(1.0, w)]) is count
    assert int(optimizer.iterations) == 1
    rate.assign(0.5)
    optimizer.apply([1.0], [w])
    assert float(w) == pytest.approx(0.4)
    optimizer.learning_rate = 0.25
    assert float(rate) == 0.25
    rate.assign(rate * 0.5)
    optimizer.apply([1.0], [w])
    assert float(w) == pytest.approx(0.275)
    optimizer.iterations.assign(10)
    optimizer.apply([1.0], [w])
    assert int(optimizer.iterations) == 11
    optimizer.iterations = 3
    assert int(optimizer.iterations) == 3
    assert optimizer.lr is optimizer.learning_rate


def test_a_variable_for_the_rate_is_followed():
    w, rate = ad.Variable(0.0), ad.Variable(1.0, trainable=False)
    optimizer = ad.optim.SGD(rate)
    optimizer.apply([1.0], [w])
    rate.assign(0.25)
    optimizer.apply([1.0], [w])
    rate.assign_sub(0.125)
    optimizer.apply([1.0], [w])
    assert float(w) == -1.375
    assert optimizer.learning_rate is rate
    optimizer.learning_rate = 2.0
    assert float(rate) == 2.0


def test_a_rate_that_float32_can_not_hold_is_kept():
    w = ad.Variable(np.float64(1.0))
    optimizer = ad.optim.SGD(0.1)
    float(optimizer.learning_rate)
    optimizer.apply([np.float64(1.0)], [w])
    assert float(w) == 1.0 - 0.1


def test_schedules_and_callables_set_the_rate():
    w = ad.Variable(0.0)
    optimizer = ad.optim.SGD(ad.optim.schedules.PiecewiseConstantDecay([0], [1.0, 0.125]))
    assert float(optimizer.learning_rate) == 1.0
    optimizer.apply([1.0], [w])
    assert float(optimizer.learning_rate) == 0.125
    optimizer.apply([1.0], [w])
    assert float(w) == -1.125
    optimizer = ad.optim.SGD(lambda: 0.5)
    optimizer.apply([1.0], [w])
    assert float(w) == -1.625


def test_weight_decay_is_beside_the_step_and_can_be_excluded():
    a, b, c = (ad.Variable(np.float64(2.0), name=n) for n in ("kernel", "bias", "scale"))
    optimizer = ad.optim.SGD(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([c], ["bias"])
    optimizer.apply([1.0, 1.0, 1.0], [a, b, c])
    assert float(a) == pytest.approx(2 - 0.1 * 0.5 * 2 - 0.1)
    assert float(b) == float(c) == pytest.approx(1.9)


def test_clipping_settings():
    def after(**kw):
        v = [ad.Variable(np.zeros(2)), ad.Variable(np.zeros(1))]
        optimizer = ad.optim.SGD(1.0, **kw)
        optimizer.apply([np.array([3.0, 4.0]), np.array([12.0])], v)
        return [-x.numpy() for x in v], optimizer

    (a, b), _ = after(clipvalue=3.5)
    assert a.tolist() == [3.0, 3.5]
    assert b.tolist() == [3.5]
    (a, b), _ = after(clipnorm=1.0)
    np.testing.assert_allclose(a, [0.6, 0.8])
    np.testing.assert_allclose(b, [1.0])
    (a, b), optimizer = after(global_clipnorm=6.5)
    np.testing.assert_allclose(a, [1.5, 2.0])
    np.testing.assert_allclose(b, [6.0])
    assert float(optimizer.norm) == 13.0
    with pytest.raises(ValueError, match="only one of"):
        ad.optim.SGD(clipnorm=1.0, clipvalue=1.0)
    with pytest.raises(ad.ArgumentError, match="clipnorm"):
        ad.optim.SGD(clipnorm=0.0)


def test_gradients_of_none():
    a, b = ad.Variable(1.0, name="a"), ad.Variable(1.0, name="b")
    optimizer = ad.optim.Adam(0.1)
    with pytest.raises(ValueError, match="No gradients provided for any variable: a, b"):
        optimizer.apply_gradients([(None, a), (None, b)])
    with pytest.raises(ValueError, match="empty"):
        optimizer.apply_gradients([])
    with pytest.warns(UserWarning, match="do not exist for variables b"):
        optimizer.apply_gradients([(1.0, a), (None, b)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")                   # once is enough
        optimizer.apply_gradients([(1.0, a), (None, b)])
    assert float(b) == 1.0
    assert float(a) == pytest.approx(0.8, rel=1e-5)


class Slices:
    """A gradient of another kind, that knows how to become a tensor."""

    def __adjoint_tensor__(self):
        return ad.constant([0.0, 1.0])


def test_what_gradients_may_be():
    w = ad.Variable([1.0, 1.0])
    optimizer = ad.optim.SGD(1.0)
    optimizer.apply([Slices()], [w])
    optimizer.apply([np.array([1.0, 0.0])], [w])         # float64 is cast
    optimizer.apply([[1.0, 1.0]], [w])
    assert w.tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda o, w, b: o.apply([1.0, 1.0], [b, w]), ad.ShapeError, "gradient of w"),
    (lambda o, w, b: o.apply([1.0, ad.constant([1, 2])], [b, w]), ad.DtypeError, "gradient of w"),
    (lambda o, w, b: o.apply([1.0, ad.constant([1j, 2])], [b, w]), ad.DtypeError, "gradient of w"),
    (lambda o, w, b: o.apply([1.0], [b, w]), ValueError, "one for each of 2"),
    (lambda o, w, b: o.apply([1.0, 1.0], [b, b]), ValueError, "b is given twice"),
    (lambda o, w, b: o.apply([1.0, [1.0, 1.0]], [b, ad.constant([1.0, 1.0])]), TypeError, "variables"),
    (lambda o, w, b: o.apply([1.0, 1.0], [b, ad.Variable(1, name="n")]), ad.DtypeError, "variable n|gradient of n"),
    (lambda o, w, b: o.apply_gradients([1.0, w]), ValueError, "pair"),
    (lambda o, w, b: o.apply_gradients([(1.0, b)], whatever=1), TypeError, "whatever"),
    (lambda o, w, b: o.minimize(b * b, [b]), ValueError, "tape"),
])
def test_what_does_not_fit_is_refused_and_nothing_changes(call, error, words):
    w, b = ad.Variable([1.0, 2.0], name="w"), ad.Variable(3.0, name="b")
    optimizer = ad.optim.Adam(0.1)
    optimizer.apply([1.0], [b])
    before = [v.numpy() for v in (w, b, *optimizer.variables)]
    with pytest.raises(error, match=words):
        call(optimizer, w, b)
    after = [v.numpy() for v in (w, b, *optimizer.variables)][:len(before)]
    for x, y in zip(before, after):
        np.testing.assert_array_equal(x, y)


def test_variables_may_join_and_leave():
    a, b = ad.Variable(1.0), ad.Variable(1.0)
    optimizer = ad.optim.SGD(0.1, momentum=0.5)
    optimizer.apply([1.0], [a])
    optimizer.apply([1.0, 1.0], [b, a])
    optimizer.apply([1.0], [b])
    assert float(a) == pytest.approx(1 - 0.1 - 0.15)
    assert float(b) == pytest.approx(1 - 0.1 - 0.15)


def test_minimize():
    w = ad.Variable(2.0)
    optimizer = ad.optim.SGD(0.25)
    optimizer.minimize(lambda: w * w, [w])
    with ad.GradientTape() as tape:
        loss = w * w
    assert optimizer.minimize(loss, w, tape=tape) is optimizer.iterations
    assert float(w) == 0.5
    frozen = ad.Variable(2.0, trainable=False)
    optimizer.minimize(lambda: frozen * frozen, lambda: [frozen])
    assert float(frozen) == 1.0


def test_a_rule_of_ones_own():
    w = ad.Variable([1.0, 1.0])
    rule = ad.optim.chain(ad.optim.clip_by_global_norm(1.0), ad.optim.scale_by_momentum(0.5))
    optimizer = ad.optim.Optimizer(rule, 0.5)
    optimizer.apply([[3.0, 4.0]], [w])
    np.testing.assert_allclose(w.numpy(), [0.7, 0.6], rtol=1e-6)
    norm = next(v for v in optimizer.variables if v.name.endswith("norm"))
    assert float(norm) == 5.0
    with pytest.raises(ad.ArgumentError, match="transform"):
        ad.optim.Optimizer()


def test_in_a_thread():
    w, results = ad.Variable(1.0), []

    def work():
        optimizer = ad.optim.Adam(0.1)
        for _ in range(5):
            step(optimizer, w)
        results.append(float(w))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results[0] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("make", CLASSES)
def test_config_round_trip(make):
    optimizer = make(0.037, weight_decay=0.1, global_clipnorm=2.0, name="mine")
    again = make.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.name == "mine"
    assert "0.037" in repr(again)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return [ad.Variable(rng.normal(size=s).astype(np.float32)) for s in ((4, 3), (3,), (2,))]


def train(optimizer, variables, first, count):
    for t in range(first, first + count):
        rng = np.random.default_rng(t)
        x = ad.constant(rng.normal(size=(5, 4)).astype(np.float32))
        with ad.GradientTape() as tape:
            a, b, c = variables
            rows = ad.sum(ad.reshape(x, (5, 4, 1)) * a, axis=1) + b
            loss = ad.sum(rows * rows) * 0.01 + ad.sum(c * c)
        optimizer.apply(tape.gradient(loss, variables), variables)


@pytest.mark.parametrize("make", [
    *CLASSES, lambda: ad.optim.SGD(0.01, momentum=0.9), lambda: ad.optim.RMSprop(momentum=0.9, centered=True),
    lambda: ad.optim.Adam(ad.optim.schedules.ExponentialDecay(0.1, 5, 0.9), amsgrad=True)])
def test_a_resumed_run_gives_the_same_bits(make, tmp_path):
    whole = network()
    train(make(), whole, 0, 12)

    half, optimizer = network(), make()
    train(optimizer, half, 0, 5)
    optimizer.save(tmp_path / "o.safetensors")
    ad.save(tmp_path / "w.safetensors", half)

    rest, again = network(7), make()
    ad.load(tmp_path / "w.safetensors", into=rest)
    again.load(tmp_path / "o.safetensors", rest)
    assert int(again.iterations) == 5
    train(again, rest, 5, 7)
    for x, y in zip(whole, rest):
        assert x.numpy().tobytes() == y.numpy().tobytes()


def test_what_does_not_load_changes_nothing(tmp_path):
    path = tmp_path / "o.safetensors"
    variables, optimizer = network(), ad.optim.Adam(0.02)
    train(optimizer, variables, 0, 2)
    optimizer.save(path)
    good = path.read_bytes()

    other = ad.optim.Adam(0.5)
    with pytest.raises(ad.ArgumentError, match="give them as variables="):
        other.load(path)
    with pytest.raises(ad.ShapeError, match=r"m/0"):
        other.load(path, [ad.Variable([1.0]), *variables[1:]])
    with pytest.raises(ad.DtypeError, match=r"m/0"):
        other.load(path, [ad.Variable(np.zeros((4, 3))), *variables[1:]])
    with pytest.raises(ad.ArgumentError, match="Adam"):
        ad.optim.SGD(0.1).load(path, variables)
    with pytest.raises(ad.ArgumentError, match=r"lacks.*top"):
        ad.optim.Adam(0.1, amsgrad=True).load(path, variables)
    for damage in (good[:-1], good[:40], good + b"x", b""):
        path.write_bytes(damage)
        with pytest.raises(ad.ArgumentError, match="not a whole safetensors file"):
            other.load(path, variables)
    assert float(other.learning_rate) == 0.5
    assert int(other.iterations) == 0
    assert len(other.variables) == 2
    path.write_bytes(good)
    other.load(path, variables)
    assert float(other.learning_rate) == pytest.approx(0.02)


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs /proc")
def test_memory_stays_flat():
    """Twenty thousand steps of plain descent; the first few thousand fill caches."""
    w = ad.Variable(np.ones(100, np.float32))
    optimizer = ad.optim.SGD(1e-3)
    sizes = []
    for n in range(20_000):
        step(optimizer, w)
        if n % 5000 == 4999:
            w.numpy()
            with open("/proc/self/statm") as file:
                sizes.append(int(file.read().split()[1]) * 4096)
    assert max(sizes[1:]) - sizes[0] < 2_000_000


@pytest.mark.parametrize("make", [
    *CLASSES, lambda: ad.optim.Adam(ad.optim.schedules.ExponentialDecay(0.1, 3, 0.5), weight_decay=0.1),
    lambda: ad.optim.SGD(0.1, momentum=0.9, global_clipnorm=0.5)])
def test_in_a_traced_function(make):
    """A step inside ad.function is the step outside, also where eager and traced steps take turns."""
    variables, optimizers = [ad.Variable([1.0, 2.0]) for _ in range(2)], [make(), make()]
    for k in range(2):
        float(optimizers[k].iterations)
    traced = ad.function(lambda: step(optimizers[0], variables[0]))
    for n in range(8):
        if n in (3, 4):
            step(optimizers[0], variables[0])
        else:
            traced()
        step(optimizers[1], variables[1])
        if n == 5 and not optimizers[0]._schedule:
            for o in optimizers:
                o.learning_rate = 0.02
    assert int(optimizers[0].iterations) == 8
    np.testing.assert_allclose(variables[0].numpy(), variables[1].numpy(), rtol=2e-6)


@pytest.mark.parametrize(("make", "pure", "settings"), [
    (ad.optim.SGD, ad.optim.sgd, {}), (ad.optim.Adam, ad.optim.adam, {}), (ad.optim.Nadam, ad.optim.nadam, {}),
    (ad.optim.RMSprop, ad.optim.rmsprop, {"momentum": 0.5})])
def test_a_step_recorded_in_one_go_is_the_step(make, pure, settings):
    """Rates that are literals now and then, gradients that are one tensor or several, pending or known, clipped or not:
    the bits of the pure rule applied by hand."""
    rng = np.random.default_rng(8)
    rates = [0.013, 0.5, 0.013, 1.0, 0.25, 0.02, 0.5, 0.03, 0.04, 0.05, 0.06, 0.07]
    variables = [ad.Variable(np.ones(3, np.float32)) for _ in range(2)]
    by_hand = [np.ones(3, np.float32)] * 2
    optimizer = make(lambda t: rates[int(t)], **settings)
    rule = pure(lambda t: rates[int(t)], **settings)
    state = rule.init([ad.constant(p) for p in by_hand])
    for n in range(len(rates)):
        raw = [rng.normal(size=3).astype(np.float32) for _ in range(2)]
        if n % 3 == 1:
            raw[1] = raw[0]
        g = [ad.constant(x) for x in raw]
        if n % 3 == 1:
            g[1] = g[0]                                  # one tensor for both
        if n % 4 == 2:
            g = [x * 2.0 for x in g]                     # still pending
            raw = [x * 2 for x in raw]
        optimizer.apply(g, variables)
        if n % 5 == 3:
            variables[0].numpy()
        params = [ad.constant(p) for p in by_hand]
        updates, state = rule.update([ad.constant(x) for x in raw], state, params)
        by_hand = [p.numpy() for p in ad.optim.apply_updates(params, updates)]
    for v, p in zip(variables, by_hand):
        assert v.numpy().tobytes() == p.tobytes()


def test_two_optimizers_share_variables():
    a, b = ad.Variable(1.0), ad.Variable(1.0)
    one, two = ad.optim.Adam(0.1), ad.optim.SGD(0.1, momentum=0.5)
    for _ in range(4):
        one.apply([1.0, 1.0], [a, b])
        two.apply([0.5], [a])
    assert float(b) == pytest.approx(0.6, rel=1e-5)
    assert float(a) == pytest.approx(0.6 - 0.05 * (1 + 1.5 + 1.75 + 1.875), rel=1e-5)


def test_outside_assignments_are_seen():
    w = ad.Variable(1.0)
    optimizer = ad.optim.SGD(0.1)
    for n in range(5):
        optimizer.apply([1.0], [w])
        if n == 2:
            w.assign(5.0)
        if n == 3:
            w.assign_add(1.0)
    assert float(w) == pytest.approx(5.0 - 0.1 + 1.0 - 0.1)


def test_sparse_gradients_are_made_dense():
    w = ad.Variable(np.ones((5, 2)))
    optimizer = ad.optim.SGD(0.5)
    with ad.GradientTape() as tape:
        loss = ad.sum(ad.gather(w, [0, 2, 2]))
    g = tape.gradient(loss, w)
    assert isinstance(g, ad.IndexedSlices)
    optimizer.apply_gradients([(g, w)])
    assert w.numpy()[:, 0].tolist() == [0.5, 1, 0, 1, 1]


def test_state_restored_by_assignment():
    """What loads weights one by one, as Keras programs do, restores the numbers too."""
    variables, optimizer = network(), ad.optim.Nadam(0.25)
    train(optimizer, variables, 0, 3)
    rest, again = network(), ad.optim.Nadam(0.25)
    train(again, rest, 0, 1)
    for v, other in zip((*rest, *again.variables), (*variables, *optimizer.variables)):
        v.assign(other.numpy())
    train(optimizer, variables, 3, 2)
    train(again, rest, 3, 2)
    for x, y in zip(variables, rest):
        assert x.numpy().tobytes() == y.numpy().tobytes()

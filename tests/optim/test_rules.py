"""Each rule for fifty steps against the papers' formulas, written again in NumPy's float64."""
import numpy as np
import pytest

import adjoint as ad

STEPS, LR = 50, 0.05


def gradients(seed=0, shapes=((3, 2), (4,))):
    rng = np.random.default_rng(seed)
    return [[rng.normal(size=s) for s in shapes] for _ in range(STEPS)]


def sgd(p, gs, lr, momentum=0.0, nesterov=False):
    m = 0.0
    for t, g in enumerate(gs):
        if momentum == 0:
            p = p - lr(t) * g
            continue
        m = momentum * m - lr(t) * g
        p = p + momentum * m - lr(t) * g if nesterov else p + m
    return p


def adagrad(p, gs, lr, initial_accumulator_value=0.1, epsilon=1e-7):
    a = initial_accumulator_value
    for t, g in enumerate(gs):
        a = a + g ** 2
        p = p - lr(t) * g / np.sqrt(a + epsilon)
    return p


def rmsprop(p, gs, lr, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    v = mean = buffer = 0.0
    for t, g in enumerate(gs):
        v = rho * v + (1 - rho) * g ** 2
        mean = rho * mean + (1 - rho) * g
        step = lr(t) * g / np.sqrt(v - (mean ** 2 if centered else 0.0) + epsilon)
        buffer = momentum * buffer + step
        p = p - (buffer if momentum else step)
    return p


def adam(p, gs, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m = v = top = 0.0
    for t, g in enumerate(gs, 1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        top = np.maximum(top, v)
        rate = lr(t - 1) * np.sqrt(1 - beta_2 ** t) / (1 - beta_1 ** t)
        p = p - rate * m / (np.sqrt(top if amsgrad else v) + epsilon)
    return p


def adamw(p, gs, lr, weight_decay=0.004, **kw):
    for t in range(len(gs)):                             # decay, then the step that Adam would take
        before = adam(np.zeros_like(p), gs[:t], lr, **kw)
        p = p - lr(t) * weight_decay * p + adam(np.zeros_like(p), gs[:t + 1], lr, **kw) - before
    return p


def adamax(p, gs, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, n = 0.0, np.zeros_like(p)
    for t, g in enumerate(gs, 1):
        m = beta_1 * m + (1 - beta_1) * g
        n = np.maximum(beta_2 * n, np.abs(g))
        p = p - lr(t - 1) / (1 - beta_1 ** t) * m / (n + epsilon)
    return p


def nadam(p, gs, lr, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m, v, product = 0.0, 0.0, 1.0
    for t, g in enumerate(gs, 1):
        mu, ahead = (beta_1 * (1 - 0.5 * 0.96 ** k) for k in (t, t + 1))
        product *= mu
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        m_hat = ahead * m / (1 - product * ahead) + (1 - mu) * g / (1 - product)
        p = p - lr(t - 1) * m_hat / (np.sqrt(v / (1 - beta_2 ** t)) + epsilon)
    return p


def adadelta(p, gs, lr, rho=0.95, epsilon=1e-7):
    a = d = 0.0
    for t, g in enumerate(gs):
        a = rho * a + (1 - rho) * g ** 2
        step = -np.sqrt(d + epsilon) / np.sqrt(a + epsilon) * g
        d = rho * d + (1 - rho) * step ** 2
        p = p + lr(t) * step
    return p


def lion(p, gs, lr, beta_1=0.9, beta_2=0.99):
    m = 0.0
    for t, g in enumerate(gs):
        p = p - lr(t) * np.sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g
    return p


CASES = [
    ("sgd", ad.optim.SGD, sgd, {}),
    ("sgd", ad.optim.SGD, sgd, {"momentum": 0.9}),
    ("sgd", ad.optim.SGD, sgd, {"momentum": 0.7, "nesterov": True}),
    ("adagrad", ad.optim.Adagrad, adagrad, {}),
    ("adagrad", ad.optim.Adagrad, adagrad, {"initial_accumulator_value": 0.0, "epsilon": 1e-3}),
    ("rmsprop", ad.optim.RMSprop, rmsprop, {}),
    ("rmsprop", ad.optim.RMSprop, rmsprop, {"momentum": 0.5, "centered": True, "rho": 0.8}),
    ("adam", ad.optim.Adam, adam, {}),
    ("adam", ad.optim.Adam, adam, {"amsgrad": True, "beta_2": 0.9, "epsilon": 1e-3}),
    ("adamw", ad.optim.AdamW, adamw, {"weight_decay": 0.1}),
    ("adamax", ad.optim.Adamax, adamax, {}),
    ("nadam", ad.optim.Nadam, nadam, {}),
    ("nadam", ad.optim.Nadam, nadam, {"beta_1": 0.8, "beta_2": 0.99}),
    ("adadelta", ad.optim.Adadelta, adadelta, {}),
    ("lion", ad.optim.Lion, lion, {}),
]
IDS = [f"{n}-{'-'.join(kw) or 'plain'}" for n, _, _, kw in CASES]
DECAY = ad.optim.schedules.ExponentialDecay(LR, 10, 0.5)


def rate_of(scheduled):
    return (DECAY, lambda t: LR * 0.5 ** (t / 10)) if scheduled else (LR, lambda t: LR)


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize(("name", "cls", "oracle", "kw"), CASES, ids=IDS)
def test_pure_rule_follows_the_paper(name, cls, oracle, kw, scheduled):
    rate, lr = rate_of(scheduled)
    rule = getattr(ad.optim, name)(rate, **kw)
    start = {"w": np.linspace(-1, 1, 6).reshape(3, 2), "b": (np.arange(4.0),)}
    params = {"w": ad.constant(start["w"]), "b": (ad.constant(start["b"][0]),)}
    state = rule.init(params)
    steps = gradients()
    for gw, gb in steps:
        updates, state = rule.update({"w": ad.constant(gw), "b": (ad.constant(gb),)}, state, params)
        params = ad.optim.apply_updates(params, updates)
    for got, s, k in ((params["w"], start["w"], 0), (params["b"][0], start["b"][0], 1)):
        np.testing.assert_allclose(got.numpy(), oracle(s, [g[k] for g in steps], lr, **kw), rtol=1e-12)


@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize(("name", "cls", "oracle", "kw"), CASES, ids=IDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_optimizer_follows_the_paper(name, cls, oracle, kw, scheduled, dtype):
    rate, lr = rate_of(scheduled)
    optimizer = cls(rate, **kw)
    start = np.linspace(-1, 1, 6).reshape(3, 2).astype(dtype), np.arange(4).astype(dtype)
    variables = [ad.Variable(s) for s in start]
    steps = [[g.astype(dtype) for g in row] for row in gradients()]
    for row in steps:
        optimizer.apply([ad.constant(g) for g in row], variables)
    assert optimizer.iterations.numpy() == STEPS
    for k, (v, s) in enumerate(zip(variables, start)):
        want = oracle(s.astype(np.float64), [row[k].astype(np.float64) for row in steps], lr, **kw)
        assert v.dtype == dtype
        rtol, atol = (1e-11, 0) if dtype is np.float64 else (3e-5, 1e-6)
        np.testing.assert_allclose(v.numpy(), want, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("name", "cls", "oracle", "kw"), CASES, ids=IDS)
def test_a_count_that_is_a_tensor_gives_the_same(name, cls, oracle, kw):
    rule = getattr(ad.optim, name)(DECAY, **kw)

    def run(lift):
        params = [ad.constant(np.ones(3))]
        state = lift(rule.init(params))
        for row in gradients(1, ((3,),))[:8]:
            updates, state = rule.update([ad.constant(row[0])], state, params)
            params = ad.optim.apply_updates(params, updates)
        return params[0].numpy()

    def lifted(state):
        return ad._nest.map_structure(lambda x: ad.constant(x, ad.float64) if isinstance(x, (int, float)) else x, state)

    np.testing.assert_allclose(run(lifted), run(lambda s: s), rtol=1e-13)


@pytest.mark.parametrize("make", [ad.optim.SGD, ad.optim.Adam, ad.optim.Nadam, ad.optim.RMSprop, ad.optim.Adadelta])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64"])
def test_every_floating_dtype_keeps_its_dtype(make, dtype):
    w = ad.Variable([1.0, 2.0], dtype=dtype)
    optimizer = make(0.1)
    for _ in range(3):
        optimizer.apply([ad.constant([0.5, -0.5], dtype=dtype)], [w])
    assert w.dtype == dtype
    assert np.isfinite(w.numpy().astype(np.complex64)).all()
    assert {v.dtype.name for v in optimizer.variables} <= {dtype, "int64", "float32", "float64"}


def test_complex_descent_reaches_the_minimum():
    z = ad.Variable(3.0 + 4.0j)
    optimizer = ad.optim.Adam(0.1)
    for _ in range(300):
        with ad.GradientTape() as tape:
            d = z - (1.0 - 1.0j)
            loss = ad.real(d * ad.conj(d))
        optimizer.apply([tape.gradient(loss, z)], [z])
    assert abs(complex(z.numpy()) - (1 - 1j)) < 1e-2


def test_descent_on_a_quadratic_has_its_closed_form():
    w = ad.Variable(np.float64(1.0))
    optimizer = ad.optim.SGD(0.1)
    for _ in range(40):
        optimizer.minimize(lambda: 0.5 * 3.0 * w * w, [w])
    assert float(w) == pytest.approx((1 - 0.1 * 3.0) ** 40, rel=1e-13)


def test_momentum_on_a_constant_slope_has_its_closed_form():
    w = ad.Variable(np.float64(0.0))
    optimizer = ad.optim.SGD(0.01, momentum=0.9)
    for _ in range(30):
        optimizer.apply([1.0], [w])
    want = -0.01 * sum((1 - 0.9 ** n) / (1 - 0.9) for n in range(1, 31))
    assert float(w) == pytest.approx(want, rel=1e-13)


def test_adams_first_step_is_the_learning_rate():
    w = ad.Variable(np.array([1.0, 1.0]))
    ad.optim.Adam(0.01, epsilon=0.0).apply([np.array([1e-3, -40.0])], [w])
    np.testing.assert_allclose(w.numpy(), [0.99, 1.01], rtol=1e-14)


def test_none_leaves_its_part_of_the_state():
    rule = ad.optim.adam(0.1)
    params = [ad.constant(1.0), ad.constant(2.0)]
    updates, state = rule.update([None, ad.constant(1.0)], rule.init(params), params)
    assert updates[0] is None
    assert float(state["m"][0]) == 0.0
    assert float(state["m"][1]) != 0.0
    assert ad.optim.apply_updates(params, updates)[0] is params[0]


def test_arrays_serve_as_parameters():
    rule = ad.optim.adam(0.1)
    params = [np.ones(2, np.float32)]
    updates, _ = rule.update([np.ones(2, np.float32)], rule.init(params), params)
    np.testing.assert_allclose(ad.optim.apply_updates(params, updates)[0].numpy(), 0.9, rtol=1e-6)


def test_a_step_is_differentiable():
    """The derivative of the parameters after two steps with respect to the learning rate, against a difference."""
    def after(lr):
        rule, p = ad.optim.adam(lr), [ad.constant(np.float64(1.0))]
        state = rule.init(p)
        for _ in range(2):
            updates, state = rule.update([p[0] * p[0]], state, p)
            p = ad.optim.apply_updates(p, updates)
        return p[0]

    lr = ad.constant(np.float64(0.1))
    with ad.GradientTape() as tape:
        tape.watch(lr)
        y = after(lr)
    h = 1e-6
    want = (float(after(0.1 + h)) - float(after(0.1 - h))) / (2 * h)
    assert float(tape.gradient(y, lr)) == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: ad.optim.adam(0.1, beta_1=1.0), "beta_1"),
    (lambda: ad.optim.adam("fast"), "learning_rate"),
    (lambda: ad.optim.adam(float("nan")), "learning_rate"),
    (lambda: ad.optim.sgd(0.1, momentum=-1), "momentum"),
    (lambda: ad.optim.adagrad(0.1, epsilon=-1), "epsilon"),
    (lambda: ad.optim.add_decayed_weights(-0.1), "weight_decay"),
    (lambda: ad.optim.chain(0.1), "Transform"),
    (lambda: ad.optim.scale_by_schedule(0.1), "schedule"),
    (lambda: ad.optim.scale(lambda t: 1.0), "scale_by_schedule"),
    (lambda: ad.optim.scale_by_learning_rate(ad.constant([0.1, 0.2])), "scalar"),
    (lambda: ad.optim.adam(0.1).init([ad.constant(1)]), "floating"),
])
def test_bad_settings_are_named(make, words):
    with pytest.raises(ad.ArgumentError, match=words):
        make()

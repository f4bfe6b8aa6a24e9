"""Losses: values and derivatives against formulas in float64 and mpmath, shapes and dtypes refused, reductions."""
import mpmath
import numpy as np
import pytest

import adjoint as ad
import registry
from adjoint import losses

EPS = 1e-7


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def cosine(y, p):
    return -(y * p).sum(-1) / np.sqrt((y * y).sum(-1) * (p * p).sum(-1))


def huber(y, p, d):
    e = np.abs(y - p)
    return np.where(e <= d, e * e / 2, d * e - d * d / 2).mean(-1)


def signs(y):
    return 2 * y - 1 if np.isin(y, (0, 1)).all() else y


def focal(y, p):
    pt = y * p + (1 - y) * (1 - p)
    return ((1 - pt) ** 2 * -(y * np.log(p) + (1 - y) * np.log(1 - p))).mean(-1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def bce(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


def any_real(rng):
    return rng.normal(size=(4, 3)), rng.normal(size=(4, 3))


def rows(rng):
    return tuple(x / x.sum(-1, keepdims=True) for x in rng.uniform(0.05, 1, size=(2, 4, 3)))


def counts(rng):
    return rng.integers(0, 5, size=(4, 3)).astype(float), rng.uniform(0.2, 4, size=(4, 3))


def binary(rng):
    return rng.integers(0, 2, size=(4, 3)).astype(float), rng.uniform(0.05, 0.95, size=(4, 3))


def hard(rng):
    return np.eye(3)[rng.integers(0, 3, size=4)], rng.normal(size=(4, 3))


CASES = {
    "mean_squared_error": (any_real, lambda y, p: ((y - p) ** 2).mean(-1), {}),
    "mean_absolute_error": (any_real, lambda y, p: np.abs(y - p).mean(-1), {}),
    "mean_absolute_percentage_error": (any_real, lambda y, p: 100 * np.abs((y - p) / y).mean(-1), {}),
    "mean_squared_logarithmic_error": (counts, lambda y, p: ((np.log(1 + y) - np.log(1 + p)) ** 2).mean(-1), {}),
    "huber": (any_real, lambda y, p: huber(y, p, 0.7), {"delta": 0.7}),
    "log_cosh": (any_real, lambda y, p: np.log(np.cosh(y - p)).mean(-1), {}),
    "cosine_similarity": (any_real, cosine, {}),
    "kl_divergence": (rows, lambda y, p: (y * np.log(y / p)).sum(-1), {}),
    "poisson": (counts, lambda y, p: (p - y * np.log(p)).mean(-1), {}),
    "hinge": (lambda r: (hard(r)[0], r.normal(size=(4, 3))), lambda y, p: np.maximum(1 - signs(y) * p, 0).mean(-1), {}),
    "squared_hinge": (lambda r: (signs(hard(r)[0]), r.normal(size=(4, 3))),
                      lambda y, p: (np.maximum(1 - y * p, 0) ** 2).mean(-1), {}),
    "categorical_hinge": (hard, lambda y, p: np.maximum(((1 - y) * p).max(-1) - (y * p).sum(-1) + 1, 0), {}),
    "binary_crossentropy": (binary, bce, {}),
    "binary_crossentropy logits": (lambda r: (binary(r)[0], r.normal(size=(4, 3))),
                                   lambda y, p: bce(0.9 * y + 0.05, sigmoid(p)),
                                   {"from_logits": True, "label_smoothing": 0.1}),
    "binary_focal_crossentropy": (binary, focal, {}),
    "binary_focal_crossentropy logits": (lambda r: (binary(r)[0], r.normal(size=(4, 3))),
                                         lambda y, p: focal(y, sigmoid(p)), {"from_logits": True}),
    "categorical_crossentropy": (rows, lambda y, p: -((0.8 * y + 0.2 / 3) * np.log(p)).sum(-1), {"label_smoothing": 0.2}),
    "categorical_crossentropy logits": (hard, lambda y, p: -(y * np.log(softmax(p))).sum(-1), {"from_logits": True}),
    "categorical_crossentropy axis": (hard, lambda y, p: -(y * np.log(softmax(p, 0))).sum(0),
                                      {"from_logits": True, "axis": 0}),
    "categorical_focal_crossentropy": (rows, lambda y, p: (0.25 * (1 - p) ** 2 * -y * np.log(p)).sum(-1), {}),
    "categorical_focal_crossentropy logits": (
        hard, lambda y, p: (0.25 * (1 - softmax(p)) ** 2 * -y * np.log(softmax(p))).sum(-1), {"from_logits": True}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("case", CASES)
def test_values(case, dtype):
    sample, oracle, kw = CASES[case]
    y, p = (x.astype(dtype) for x in sample(np.random.default_rng(1)))
    got = getattr(losses, case.split()[0])(ad.constant(y), ad.constant(p), **kw)
    assert got.dtype == dtype
    tol = {"float64": 1e-13, "float32": 1e-6, "float16": 5e-3}[dtype]
    np.testing.assert_allclose(got.numpy(), oracle(y.astype(float), p.astype(float), *()), rtol=tol, atol=tol)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_in_both_modes_and_of_both_orders(case):
    sample, oracle, kw = CASES[case]
    y, p = sample(np.random.default_rng(2))
    f = getattr(losses, case.split()[0])
    rng = np.random.default_rng(3)
    d = rng.normal(size=p.shape)
    h = 1e-5
    yt, x, dt = ad.constant(y), ad.constant(p), ad.constant(d)

    def value(p):
        return float(oracle(y, p).sum())

    want = (value(p + h * d) - value(p - h * d)) / (2 * h)
    with ad.GradientTape(persistent=True) as outer:
        outer.watch(x)
        with ad.GradientTape() as tape:
            tape.watch(x)
            total = ad.sum(f(yt, x, **kw))
        slope = tape.gradient(total, x)
        along = ad.sum(slope * dt)
    assert float(along) == pytest.approx(want, rel=1e-7, abs=1e-8)
    with ad.ForwardAccumulator(x, dt) as forward:
        total = ad.sum(f(yt, x, **kw))
    assert float(forward.jvp(total)) == pytest.approx(want, rel=1e-7, abs=1e-8)

    def first(p):
        x = ad.constant(p)
        with ad.GradientTape() as tape:
            tape.watch(x)
            total = ad.sum(f(yt, x, **kw))
        return float(ad.sum(tape.gradient(total, x) * dt))

    curve = outer.gradient(along, x)
    curve = 0.0 if curve is None else float(ad.sum(curve * dt))
    assert curve == pytest.approx((first(p + h * d) - first(p - h * d)) / (2 * h), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_sparse_is_categorical_with_one_hot(logits, axis):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 3, 3))
    x = x if logits else softmax(x, axis)
    labels = rng.integers(0, 3, size=(3, 3))
    hot = np.moveaxis(np.eye(3)[labels], -1, axis)
    a, b = ad.Variable(x), ad.Variable(x)
    with ad.GradientTape() as tape:
        one = losses.sparse_categorical_crossentropy(labels, a, from_logits=logits, axis=axis)
        two = losses.categorical_crossentropy(hot, b, from_logits=logits, axis=axis)
        total = ad.sum(one) + ad.sum(two)
    np.testing.assert_allclose(one.numpy(), two.numpy(), rtol=1e-13)
    ga, gb = tape.gradient(total, [a, b])
    np.testing.assert_allclose(ga.numpy(), gb.numpy(), rtol=1e-13, atol=1e-15)


def test_ignored_classes():
    x = ad.Variable([[0.0, 1.0], [2.0, 0.0], [1.0, 1.0]])
    labels = ad.constant([1, -1, 0])
    with ad.GradientTape() as tape:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)(labels, x)
    each = losses.sparse_categorical_crossentropy(labels, x, from_logits=True, ignore_class=-1).numpy()
    assert each[1] == 0
    assert float(loss) == pytest.approx((each[0] + each[2]) / 2, rel=1e-6)
    g = tape.gradient(loss, x).numpy()
    assert g[1].tolist() == [0, 0]
    assert np.abs(g[[0, 2]]).min() > 0
    none = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)([1, 1, 1], x)
    assert float(none) == 0.0


def ulps(got, want):
    got, want = np.asarray(got), mpmath.mpf(want)
    return abs(mpmath.mpf(float(got)) - want) / np.spacing(np.abs(got)).astype(float).item()


def grad(f, x):
    v = ad.Variable(x)
    with ad.GradientTape() as tape:
        y = f(v)
    return y.numpy(), tape.gradient(y, v).numpy()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_cancels_elsewhere_keeps_its_digits(dtype):
    mpmath.mp.dps = 50
    m = lambda v: mpmath.mpf(float(v))
    tiny = dtype(1e-4) if dtype is np.float32 else dtype(1e-9)
    # KL of two distributions that are nearly the same
    p = np.array([0.25, 0.75], dtype)
    q = np.array([0.25 + tiny, 0.75 - tiny], dtype)
    value, slope = grad(lambda q: losses.kl_divergence(p, q), q)
    assert ulps(value, sum(m(a) * mpmath.log(m(a) / m(b)) for a, b in zip(p, q))) < 1
    assert all(ulps(s, -m(a) / m(b)) < 1 for s, a, b in zip(slope, p, q))
    # log-cosh of a small error, and of a large one
    for e in (tiny, dtype(30.0)):
        value, slope = grad(lambda x: losses.log_cosh(dtype(0), x), dtype([e]))
        assert ulps(value, mpmath.log(mpmath.cosh(m(e)))) < 2
        assert ulps(slope[0], mpmath.tanh(m(e))) < 2
    # logarithms of neighbours
    value, _ = grad(lambda x: losses.mean_squared_logarithmic_error(np.array([100.0], dtype), x), dtype([100 + tiny * 1e3]))
    a, b = m(dtype(100 + tiny * 1e3)), m(100)
    assert ulps(value, (mpmath.log1p(a) - mpmath.log1p(b)) ** 2) < 5
    # a soft label that is met: the derivative's zero
    y, x = dtype(0.3), dtype(0.3 + tiny)
    value, slope = grad(lambda x: losses.binary_crossentropy(np.array([y]), x), dtype([x]))
    assert ulps(value, -(m(y) * mpmath.log(m(x)) + (1 - m(y)) * mpmath.log(1 - m(x)))) < 2
    assert ulps(slope[0], (m(x) - m(y)) / (m(x) * (1 - m(x)))) < 2
    # poisson at its minimum
    value, slope = grad(lambda x: losses.poisson(np.array([y]), x), dtype([x]))
    assert ulps(slope[0], 1 - m(y) / m(x)) < 2
    # confident predictions, from logits and from probabilities
    value, slope = grad(lambda x: losses.categorical_crossentropy(dtype([1, 0]), x, from_logits=True), dtype([40, 0]))
    assert ulps(value, mpmath.log1p(mpmath.exp(-40))) < 1
    assert ulps(slope[0], -1 / (1 + mpmath.exp(40))) < 1
    assert ulps(slope[1], 1 / (1 + mpmath.exp(40))) < 1
    small = dtype(1e-20)
    value, slope = grad(lambda x: losses.categorical_crossentropy(dtype([1, 0]), x), dtype([small, 1]))
    assert ulps(value, -mpmath.log(m(small))) < 1
    assert ulps(slope[0], -1 / m(small)) < 1


def test_edges():
    inf = np.inf
    value, slope = grad(lambda p: losses.binary_crossentropy([[0.0], [1.0], [0.0], [1.0]], p), np.array([[0.0], [1], [1], [0]]))
    assert value.tolist() == [0, 0, inf, inf]
    assert slope[:, 0].tolist() == [1, -1, inf, -inf]
    value, slope = grad(lambda p: losses.categorical_crossentropy([0.0, 1.0], p), np.array([0.0, 1.0]))
    assert value == 0
    assert slope.tolist() == [0, -1]
    value, slope = grad(lambda q: losses.kl_divergence([0.0, 1.0], q), np.array([0.0, 0.5]))
    assert value == np.log(2)
    assert slope.tolist() == [0, -2]
    value, slope = grad(lambda q: losses.kl_divergence([0.5, 0.5], q), np.array([0.0, 1.0]))
    assert value == inf
    value, slope = grad(lambda p: losses.poisson([0.0], p), np.array([0.0]))
    assert (value, slope[0]) == (0, 1)
    value, slope = grad(lambda p: losses.cosine_similarity([1.0, 0.0], p), np.array([0.0, 0.0]))
    assert value == 0
    assert slope.tolist() == [0, 0]
    value, slope = grad(lambda p: losses.mean_absolute_error([1.0], p), np.array([1.0]))
    assert slope.tolist() == [0]
    big = np.array([3e38, 3e38], np.float32)
    assert float(losses.cosine_similarity(big, ad.constant(big))) == -1.0
    assert float(losses.huber([0.0], ad.constant([3e38]))) == pytest.approx(3e38)


FUNCTIONS = [getattr(losses, n) for n in losses._functions.__all__ if n != "sparse_categorical_crossentropy"]


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_accidental_broadcasting_is_refused(f):
    for a, b in (((4,), (4, 1)), ((4, 1), (4,)), ((4, 1), (4, 3)), ((3,), (4, 3)), ((2,), (3,))):
        with pytest.raises(ad.ShapeError, match=f"{f.__name__}: y_true"):
            f(np.ones(a, np.float32), ad.constant(np.ones(b, np.float32)))
    with pytest.raises(ad.DtypeError, match="y_pred"):
        f([1.0, 0.0], ad.constant([1, 0]))
    with pytest.raises(ad.DtypeError, match="y_true"):
        f(ad.constant([1j, 0]), ad.constant([0.5, 0.5]))


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_integer_targets_take_the_predictions_dtype(f):
    p = ad.constant(np.array([[0.25, 0.75]]))
    got = f(ad.constant([[0, 1]]), p)
    assert got.dtype == ad.float64
    assert got.numpy() == f(np.array([[0.0, 1.0]]), p).numpy()


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_keras_squeezes_and_broadcasts(f):
    p = np.full((4, 1), 0.25)
    want = f(np.ones((4, 1)), ad.constant(p), keras=True).numpy()   # a row beside a column becomes one
    assert want.shape == (4,)
    np.testing.assert_allclose(f(np.ones(4), ad.constant(p), keras=True).numpy(), want)
    np.testing.assert_allclose(f(ad.constant(np.ones((4, 1), np.int64)), ad.constant(p[:, 0]), keras=True).numpy(), want)
    want = f(np.ones((2, 2)), ad.constant(p.reshape(2, 2)), keras=True).numpy()
    np.testing.assert_allclose(f(np.ones((2, 2, 1)), ad.constant(p.reshape(2, 2)), keras=True).numpy(), want)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: losses.sparse_categorical_crossentropy([[1]], ad.constant([[0.5, 0.5]])), ad.ShapeError, "without axis 1"),
    (lambda: losses.sparse_categorical_crossentropy([[0, 1]], ad.constant([[0.5, 0.5]])), ad.ShapeError, "one-hot"),
    (lambda: losses.sparse_categorical_crossentropy([1.0], ad.constant([[0.5, 0.5]])), ad.DtypeError, "y_true"),
    (lambda: losses.sparse_categorical_crossentropy(1, ad.constant(0.5)), ad.AxisError, "dimension"),
    (lambda: losses.sparse_categorical_crossentropy([1], ad.constant([[0.5, 0.5]]), axis=2), ad.AxisError, "axis"),
    (lambda: losses.sparse_categorical_crossentropy([2], ad.constant([[0.5, 0.5]])).numpy(), ad.IndexingError, r"\[0, 2\)"),
    (lambda: losses.sparse_categorical_crossentropy([-1], ad.constant([[0.5, 0.5]]), from_logits=True).numpy(),
     ad.IndexingError, r"\[0, 2\)"),
    (lambda: losses.categorical_crossentropy(1.0, ad.constant(0.5)), ad.AxisError, "dimension"),
    (lambda: losses.binary_crossentropy([1.0], ad.constant([0.5]), label_smoothing=2), ad.ArgumentError, "label_smoothing"),
    (lambda: losses.huber([1.0], ad.constant([0.5]), delta=0), ad.ArgumentError, "delta"),
    (lambda: losses.Huber("wide", reduction="average"), ValueError, "reduction"),
    (lambda: losses.Huber(wrong=1), TypeError, "wrong"),
    (lambda: losses.MeanSquaredError("sum", "name", None, 1), TypeError, "positional"),
    (lambda: losses.Loss()([1.0], [1.0]), NotImplementedError, "call"),
])
def test_bad_arguments_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_keras_normalizes_probabilities():
    p = ad.Variable([[0.2, 0.6]])
    with ad.GradientTape() as tape:
        a = losses.categorical_crossentropy([[0.0, 1.0]], p, keras=True)
        b = losses.sparse_categorical_crossentropy([[1.0]], p, keras=True)
    np.testing.assert_allclose([a.numpy(), b.numpy()], -np.log(0.75), rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(a, p).numpy(), [[1 / 0.8, 1 / 0.8 - 1 / 0.6]], rtol=1e-6)


# ------------------------------------------------------------------------------------------------------------- as objects

CLASSES = [c for c in (getattr(losses, n) for n in losses._classes.__all__) if c is not losses.Loss]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_objects_reduce_the_functions_values(cls):
    rng = np.random.default_rng(5)
    sparse = cls is losses.SparseCategoricalCrossentropy
    y = rng.integers(0, 3, size=4) if sparse else np.eye(3)[rng.integers(0, 3, size=4)]
    p = ad.constant(softmax(rng.normal(size=(4, 3))))
    each = cls.function(y, p).numpy()
    assert each.shape == (4,)
    assert float(cls()(y, p)) == pytest.approx(each.mean())
    assert float(cls(reduction="mean")(y, p)) == pytest.approx(each.mean())
    assert float(cls(reduction="sum")(y, p)) == pytest.approx(each.sum())
    np.testing.assert_allclose(cls(reduction=None)(y, p).numpy(), each)
    w = np.array([1.0, 0.0, 2.0, 0.5])
    assert float(cls()(y, p, w)) == pytest.approx((w * each).sum() / 4)
    assert float(cls(reduction="mean_with_sample_weight")(y, p, sample_weight=w)) == pytest.approx((w * each).sum() / 3.5)
    np.testing.assert_allclose(cls(reduction="none")(y, p, 2.0).numpy(), 2 * each)
    again = cls.from_config(cls(reduction="sum", name="mine").get_config())
    assert again.name == "mine"
    assert again.reduction == "sum"
    assert cls.function.__name__ == cls().name


def test_weights_align_from_the_left():
    y, p = np.zeros((3, 3, 2)), ad.constant(np.ones((3, 3, 2)))
    w = np.array([1.0, 2.0, 3.0])
    got = losses.MeanSquaredError(reduction="none")(y, p, w).numpy()
    np.testing.assert_array_equal(got, np.broadcast_to(w[:, None], (3, 3)))
    for bad in ((2,), (3, 1, 1, 1), (3, 2)):
        with pytest.raises(ad.ShapeError, match="sample_weight"):
            losses.MeanSquaredError()(y, p, np.ones(bad))
    with pytest.raises(ad.ShapeError, match="sample_weight"):
        losses.MeanSquaredError()(y[0], p[0], np.ones((3, 1)))


def test_settings_by_position_and_name():
    assert losses.Huber(2.0).delta == 2.0
    assert losses.Huber(2.0, "sum").reduction == "sum"
    assert losses.BinaryCrossentropy(True, 0.1).get_config() == {
        "name": "binary_crossentropy", "reduction": "sum_over_batch_size", "from_logits": True, "label_smoothing": 0.1,
        "axis": -1}
    assert losses.CategoricalCrossentropy(from_logits=True).from_logits is True
    assert "reduction='sum'" in repr(losses.MeanSquaredError(reduction="sum"))


# ----------------------------------------------------------------------------------------------------- their primitives

MADE = [p for p in registry.primitives() if p.module.startswith("adjoint.losses") or "losses" in p.infer.__module__]


@pytest.mark.parametrize("prim", MADE, ids=lambda p: p.name)
def test_primitives(prim):
    rng = np.random.default_rng(6)
    samples = [case(rng) for case in prim.cases] or [
        (tuple(rng.uniform(low + 0.05, high - 0.05, size=(2, 3)) for low, high in prim.domain), {})]
    for arrays, params in samples:
        registry.check_value(prim, arrays, params)
        if prim.differentiable:
            registry.check_derivatives(prim, arrays, params)


def test_all_primitives_are_tested():
    assert {p.name for p in MADE} == {"binary_entropy", "class_labels", "cosine", "cross_entropy", "kl_curve", "kl_divergence",
                                      "kl_slope", "kl_terms", "log1p_distance", "poisson_loss",
                                      "poisson_slope", "rejection"}

"""tape.summary, tape.derivation and tape.advise."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._trace import local

HERE = Path(__file__).read_text(encoding="utf-8").splitlines()
RNG = np.random.default_rng(0)


def marked(mark: str) -> int:
    return next(n for n, line in enumerate(HERE, 1) if line.endswith(f"# {mark}"))


# --------------------------------------------------------------------------------------------------------------- summary

def test_summary_counts_by_line() -> None:
    w, x = ad.Variable(np.ones((4, 2), np.float32)), ad.constant(np.ones((8, 4), np.float32))
    with ad.GradientTape() as tape:
        h = ad.tanh(ad.matmul(x, w))                     # layer
        loss = ad.sum(h * h)                             # loss
    found = tape.summary()
    assert [(r.line[1], r.operations) for r in found.rows] == [(marked("layer"), 2), (marked("loss"), 2)]
    assert found.operations == 4
    assert found.nbytes == 3 * 64 + 4
    assert found.inputs == 32 + 128
    assert found.watched == ["w"]
    text = str(found)
    assert f"test_answers.py:{marked('layer')}" in text
    assert "matmul, tanh" in text
    before = found.held
    assert before > found.inputs
    tape.gradient(loss, w)
    assert tape.summary().held == 0
    assert tape.summary().operations == 4
    assert "used up at" in str(tape.summary())


def test_summary_of_settled_parts() -> None:
    w = ad.Variable(np.ones(100, np.float32))
    with ad.GradientTape(persistent=True) as tape:
        h = ad.exp(w)
        assert h.numpy()[0] > 2
        y = ad.sum(h * h)
    found = tape.summary()
    assert found.operations == 3
    assert found.held >= 800
    assert float(y) > 0


def test_summary_of_nothing() -> None:
    with ad.GradientTape() as tape:
        pass
    assert tape.summary().operations == 0
    assert "nothing" in str(tape.summary())


# ------------------------------------------------------------------------------------------------------------ derivation

@pytest.mark.parametrize("settled", [False, True])
def test_derivation_ends_with_the_gradient(settled: bool) -> None:
    w, b, x = ad.Variable([1.0, 2.0]), ad.Variable(0.5), ad.constant([3.0, 4.0])
    with ad.GradientTape(persistent=True) as tape:
        y = x * w + b                                    # affine
        if settled:
            assert y.numpy()[0] == 3.5
        loss = ad.sum(ad.tanh(y) * y)
    for source in (w, b):
        found = tape.derivation(loss, source)
        want = np.asarray(tape.gradient(loss, source).numpy())
        assert np.array_equal(found.result, want)
    text = str(tape.derivation(loss, w))
    assert f"test_answers.py:{marked('affine')}" in text
    assert "d loss/d w = " in text
    assert "loss = sum(" in text
    assert "tanh(y)" in text
    order = [name for name, _, _ in tape.derivation(loss, w).backward]
    assert order[0] == "loss"
    assert order[-1] == "w"


def test_derivation_leaves_no_trace() -> None:
    w = ad.Variable(3.0)
    with ad.GradientTape() as tape:
        y = w * w * w
    place = local.trace.node
    assert tape.derivation(y, w).result == 27.0
    assert local.trace.node is place
    assert float(tape.gradient(y, w)) == 27.0
    with pytest.raises(ad.TapeError, match=r"used up at .*test_answers"):
        tape.derivation(y, w)


def test_derivation_of_none_is_the_explanation() -> None:
    w = ad.Variable(3.0)
    with ad.GradientTape() as tape:
        y = ad.stop_gradient(w) * 2.0
    found = tape.derivation(y, w)
    assert found.result is None
    assert "stop_gradient" in str(found)


# ---------------------------------------------------------------------------------------------------------------- advise

LABELS = np.array([0, 1, 2])
ONE_HOT = np.eye(4, dtype=np.float32)[:3]


def advice(f: Any) -> Any:
    with ad.GradientTape() as tape:
        loss = f()
    found = tape.advise(loss)
    assert (str(found) == "Nothing that looks like a mistake was found.") == (not found)
    return found


@pytest.mark.parametrize(("loss", "labels"), [
    (ad.losses.SparseCategoricalCrossentropy, LABELS), (ad.losses.CategoricalCrossentropy, ONE_HOT),
])
def test_softmax_and_logits(loss: Any, labels: Any) -> None:
    w = ad.Variable(RNG.normal(size=(3, 4)).astype(np.float32) * 3.0)
    assert advice(lambda: loss(from_logits=True)(labels, w)).kinds == []
    assert advice(lambda: loss()(labels, ad.softmax(w))).kinds == []
    found = advice(lambda: loss(from_logits=True)(labels, ad.softmax(w)))  # twice
    assert found.kinds == ["softmax twice"]
    assert found[0].line[1] == marked("twice")
    found = advice(lambda: loss()(labels, ad.exp(w)))
    assert "probabilities" in found.kinds
    assert "from_logits=True" in str(found)


def test_sigmoid_and_logits() -> None:
    w = ad.Variable(RNG.normal(size=(3, 4)).astype(np.float32) * 3.0)
    loss = ad.losses.BinaryCrossentropy
    assert advice(lambda: loss(from_logits=True)(ONE_HOT, w)).kinds == []
    assert advice(lambda: loss()(ONE_HOT, ad.nn.sigmoid(w))).kinds == []
    assert advice(lambda: loss(from_logits=True)(ONE_HOT, ad.nn.sigmoid(w))).kinds == ["softmax twice"]


def test_a_loss_that_broadcasts() -> None:
    w, x, y = ad.Variable(np.ones((2, 1), np.float32)), np.ones((5, 2), np.float32), np.ones(5, np.float32)
    found = advice(lambda: ad.mean((ad.matmul(x, w) - y) ** 2))            # broadcasts
    assert found.kinds == ["broadcast"]
    assert found[0].line[1] == marked("broadcasts")
    assert "(5, 5)" in str(found)
    assert advice(lambda: ad.mean((ad.matmul(x, w)[:, 0] - y) ** 2)).kinds == []
    assert advice(lambda: ad.mean((ad.matmul(x, w) - np.float32(1.0)) ** 2)).kinds == []
    row = ad.Variable(np.ones((2,), np.float32))
    assert advice(lambda: ad.sum(ad.constant(x) * row)).kinds == []


def test_variables_that_no_gradient_reaches() -> None:
    params = [ad.Variable(1.0, name="a"), ad.Variable(2.0, name="b"), ad.Variable(3.0, name="c")]
    with ad.GradientTape() as tape:
        loss = params[0] * params[0] * ad.stop_gradient(params[1])         # stopped
    found = tape.advise(loss)
    assert found.kinds == ["no gradient", "unused"]
    assert found[0].line[1] == marked("stopped")
    assert "params[2]" in str(found)


@pytest.mark.parametrize(("scale", "activation", "kinds"), [
    (0.1, ad.nn.sigmoid, ["vanishing"]), (0.05, ad.nn.relu, []), (1.0, ad.nn.relu, []),
])
def test_gradients_from_layer_to_layer(scale: float, activation: Any, kinds: list[str]) -> None:
    width = 16
    layers = [ad.Variable((RNG.normal(size=(width, width)) / width ** 0.5 * scale).astype(np.float32)) for _ in range(6)]
    x = ad.constant(RNG.normal(size=(4, width)).astype(np.float32))

    def f() -> Any:
        h = x
        for w in layers:
            h = activation(ad.matmul(h, w))
        return ad.mean(h)

    assert advice(f).kinds == kinds                      # layers of one scale have gradients of one size, however small


def test_exploding_gradients() -> None:
    a, b, c = (ad.Variable(np.full((3, 3), s, np.float32)) for s in (1e-3, 1e2, 1e2))
    x = ad.constant(np.ones((2, 3), np.float32))
    found = advice(lambda: ad.sum(ad.matmul(ad.matmul(ad.matmul(x, a), b), c)))
    assert found.kinds == ["exploding"]


def test_a_loss_that_is_not_finite() -> None:
    w = ad.Variable([0.0, 1.0])
    assert advice(lambda: ad.sum(ad.log(w))).kinds == ["not finite"]
    found = advice(lambda: ad.sum(ad.sqrt(w)))
    assert found.kinds == ["not finite"]
    assert "post_mortem" in str(found)

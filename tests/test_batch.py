"""Every primitive under vmap: what the batch gives is what the examples give one by one, with its derivatives."""
from __future__ import annotations

import itertools

import numpy as np
import pytest

import adjoint as ad
from adjoint._graph import Primitive
from adjoint._trace import record
from registry import primitives

SIZE = 3
CASES = [pytest.param(p, n, id=f"{p.name}-{n}") for p in primitives() for n in range(len(p.cases))]


def several(prim: Primitive, number: int):
    """SIZE examples of the same shapes and parameters (one example again where the case varies in them)."""
    made = [prim.cases[number](np.random.default_rng(7 + k)) for k in range(SIZE)]
    alike = all(m[1] == made[0][1] and [np.shape(a) for a in m[0]] == [np.shape(a) for a in made[0][0]] for m in made)
    rows = made if alike else [made[0]] * SIZE
    return [[np.asarray(a) for a in m[0]] for m in rows], made[0][1]


@pytest.mark.parametrize(("prim", "number"), CASES)
def test_batch_is_the_examples_one_by_one(prim: Primitive, number: int) -> None:
    rows, params = several(prim, number)
    op, n = prim.op(**params), len(rows[0])
    drawn = bool(n) and rows[0][0].dtype == np.uint64       # where random numbers start: never batched
    choices = [(True,) * n] if n == 1 else [(True,) * n, *[tuple(k == j for k in range(n)) for j in range(min(n, 3))]]
    for flags in [(False, *f[1:]) if drawn else f for f in choices] if n else []:
        if not any(flags):
            continue
        xs = [np.stack([row[k] for row in rows]) if flag else rows[0][k] for k, flag in enumerate(flags)]
        floating = [k for k, x in enumerate(xs) if x.dtype.kind == "f" and x.dtype.itemsize >= 4]

        def call(*args):
            out = record(op, *args)
            return list(out) if isinstance(out, tuple) else [out]

        def loss(*args):
            outs = [o for o in call(*args) if o.dtype.kind == "f"]
            return sum([ad.sum(o * o) for o in outs], ad.constant(0.0)) if outs else None

        axes = tuple(0 if flag else None for flag in flags)
        single = [[ad.constant(x[j] if flag else x) for x, flag in zip(xs, flags)] for j in range(SIZE)]
        got = ad.vmap(call, axes)(*[ad.constant(x) for x in xs])
        want = [call(*one) for one in single]
        if drawn:                                        # each example draws numbers of its own
            assert [g.shape for g in got] == [(SIZE, *w.shape) for w in want[0]]
            continue
        for k, g in enumerate(got):
            np.testing.assert_allclose(g.numpy(), np.stack([w[k].numpy() for w in want]), rtol=1e-5, atol=1e-7)
        if floating and prim.differentiable and loss(*single[0]) is not None and loss(*single[0]).dtype.kind == "f":
            slopes = ad.grad(loss, tuple(floating))
            got = ad.vmap(slopes, axes)(*[ad.constant(x) for x in xs])
            want = [slopes(*one) for one in single]
            for k, g in enumerate(got):
                np.testing.assert_allclose(g.numpy(), np.stack([w[k].numpy() for w in want]), rtol=1e-4, atol=1e-6)
            outer = ad.grad(lambda *a: ad.sum(ad.vmap(loss, axes)(*a)), tuple(floating))(*[ad.constant(x) for x in xs])
            for k, g in zip(floating, outer):
                each = np.stack([w[floating.index(k)].numpy() for w in want])
                np.testing.assert_allclose(g.numpy(), each if flags[k] else each.sum(0), rtol=1e-4, atol=1e-6)


def test_examples_of_different_rank_and_dtype() -> None:
    rng = np.random.default_rng(0)
    for a, b in itertools.product([(), (4,), (2, 4)], repeat=2):
        x, y = rng.normal(size=(SIZE, *a)), rng.normal(size=(SIZE, *b))
        got = ad.vmap(lambda x, y: ad.where(x > y, x, y * 2.0))(ad.constant(x), ad.constant(y))
        np.testing.assert_allclose(got.numpy(), np.stack([np.where(p > q, p, q * 2) for p, q in zip(x, y)]))


def test_an_empty_batch() -> None:
    assert ad.vmap(lambda x: ad.sum(x * 2.0))(ad.constant(np.zeros((0, 3)))).shape == (0,)

"""Products with unit vectors: the same Jacobians, without the products."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._batch import basis
from adjoint._trace import local
from adjoint.passes import optimize
from adjoint.plan.program import Program, extract


def program_of(made: Any) -> Program:
    return optimize(extract(local.trace.node, [made._idx]), check=True)


def names(made: Any) -> list[str]:
    return [i.op.name for i in program_of(made).instrs]


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(4)
    return [rng.normal(size=s) for s in shapes]


Y, B, SMALL = arrays((5,), (5, 6), (3, 6))
CASES: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "identity": (lambda e: e @ ad.constant(B), B),
    "right": (lambda e: ad.constant(B.T.copy()) @ e, B.T),
    "transposed": (lambda e: ad.matmul(e, ad.constant(B), transpose_a=True), B),
    "both turned": (lambda e: ad.matmul(ad.constant(B), e, transpose_a=True, transpose_b=True), B.T),
    "scaled rows": (lambda e: (e * ad.constant(Y[:, None])) @ ad.constant(B), Y[:, None] * B),
    "scaled columns": (lambda e: (ad.constant(Y) * e) @ ad.constant(B), Y[:, None] * B),
    "scaled twice": (lambda e: (ad.constant(Y) * e * ad.constant(Y[:, None])) @ ad.constant(B), Y[:, None] ** 2 * B),
    "in a batch": (lambda e: ad.reshape(e, (5, 1, 5)) @ ad.constant(B), B[:, None]),
    "of a batch": (lambda e: (ad.broadcast_to(ad.reshape(e, (5, 1, 5)), (5, 2, 5)) * ad.constant(np.stack([Y, Y + 1])))
                   @ ad.constant(B), np.stack([Y, Y + 1], 1)[:, :, None] * B[:, None]),
    "columns": (lambda e: ad.constant(B.T.copy()) @ ad.reshape(e, (5, 5, 1)), B[:, :, None]),
    "einsum": (lambda e: ad.einsum("ij,jk->ki", e, ad.constant(B)), B.T),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rows_are_picked(case: str) -> None:
    f, want = CASES[case]
    made = f(basis(ad.constant(Y)._spec))
    assert not {"matmul", "einsum", "basis"} & {*names(made)}
    np.testing.assert_allclose(made.numpy(), want, rtol=1e-15)


def test_what_is_not_a_product_with_the_identity_stays() -> None:
    e = basis(ad.constant(Y)._spec)
    full = ad.constant(arrays((5, 5))[0])
    for made, want in (
            ((e + 1.0) @ ad.constant(B), (np.eye(5) + 1) @ B),
            ((e * full) @ ad.constant(B), np.diag(np.diag(full.numpy())) @ B),
            (e[1:] @ ad.constant(B), B[1:]),
            (ad.constant(B.T.copy()) @ e[:, ::-1], B.T[:, ::-1]),
            (e @ e, np.eye(5)),
            (ad.einsum("ij,ij->i", e, ad.constant(np.outer(Y, Y))), Y * Y),
            (ad.einsum("ij,kl->ik", e, ad.constant(B)), np.ones((5, 1)) * B.sum(1))):
        np.testing.assert_allclose(made.numpy(), want, rtol=1e-14, atol=1e-14)


def test_batch_jacobian_of_a_layer() -> None:
    x, w, v = arrays((4, 3), (3, 6), (6, 2))
    tx = ad.constant(x)
    with ad.GradientTape() as tape:
        tape.watch(tx)
        y = ad.tanh(tx @ ad.constant(w)) @ ad.constant(v)
    slope = 1 - np.tanh(x @ w) ** 2
    np.testing.assert_allclose(tape.batch_jacobian(y, tx).numpy(), np.einsum("bi,ki,ij->bjk", slope, w, v), rtol=1e-12)


def test_hessian_of_a_layer() -> None:
    x, w = arrays((9, 4), (4,))
    tw = ad.constant(w)
    with ad.GradientTape() as outer:
        outer.watch(tw)
        with ad.GradientTape() as inner:
            inner.watch(tw)
            loss = ad.sum(ad.tanh(ad.constant(x) @ tw))
        gradient = inner.gradient(loss, tw)
    t = np.tanh(x @ w)
    np.testing.assert_allclose(outer.jacobian(gradient, tw).numpy(), x.T @ ((-2 * t * (1 - t**2))[:, None] * x), rtol=1e-12)


def test_what_is_not_finite_stays_in_its_row() -> None:
    b = B.copy()
    b[2, 3] = np.inf
    got = (basis(ad.constant(Y)._spec) @ ad.constant(b)).numpy()
    assert np.array_equal(got, b)                        # a product would have spread NaN over the column

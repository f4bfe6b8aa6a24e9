"""NumPy's functions on tensors are recorded and differentiable."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint as ad
from adjoint._errors import NotSupportedError

X = np.array([[0.3, 0.7, 1.1], [0.2, 0.9, 0.4]])


@pytest.mark.parametrize("f", [
    np.sin, np.exp, np.absolute, np.arctan, np.sqrt, np.sum, np.mean, np.max, np.amin, np.transpose, np.cumsum, np.prod,
    np.square,
    np.negative, np.ravel, np.sort, np.var,
    lambda x: np.sum(x, axis=0), lambda x: np.concatenate([x, x], axis=1), lambda x: np.stack([x, x]),
    lambda x: np.reshape(x, (3, 2)), lambda x: np.where(x > 0.5, x, 0.0 * x), lambda x: np.add.reduce(x, axis=1),
    lambda x: np.multiply.outer(x, X), lambda x: X * x, lambda x: X @ x.T, lambda x: np.matmul(x, X.T), lambda x: np.power(x, 3),
    lambda x: np.maximum(x, 0.5), lambda x: np.clip(x, 0.25, 0.8), lambda x: np.expand_dims(x, 0), lambda x: np.tile(x, (2, 1)),
    lambda x: np.mean(x, axis=1, keepdims=True), lambda x: np.std(x, ddof=1), lambda x: np.einsum("ij,kj->ik", x, X),
], ids=lambda f: getattr(f, "__name__", "f").strip("<>"))
def test_value_as_numpys_and_a_gradient(f) -> None:  # type: ignore[no-untyped-def]
    x = ad.Tensor(X)
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
        total = ad.sum(y)
    assert isinstance(y, ad.Tensor)
    np.testing.assert_allclose(y.numpy(), f(X), rtol=1e-12)
    grad = tape.gradient(total, x).numpy()
    d = np.cos(np.arange(6.0)).reshape(2, 3)
    numeric = (np.sum(f(X + 1e-6 * d)) - np.sum(f(X - 1e-6 * d))) / 2e-6
    np.testing.assert_allclose(np.sum(grad * d), numeric, rtol=1e-6, atol=1e-8)


def test_what_is_not_supported_says_so() -> None:
    x = ad.Tensor(X)
    with pytest.raises(NotSupportedError, match="immutable"):
        np.sin(x, out=np.empty((2, 3)))
    with pytest.raises(NotSupportedError, match=r"np\.unwrap"):
        np.unwrap(x)
    with pytest.raises(NotSupportedError, match=r"ad\.where"):
        np.sin(x, where=X > 0.5)


def test_dlpack_both_ways() -> None:
    x = ad.Tensor([1.0, 2.0])
    assert np.from_dlpack(x).tolist() == [1.0, 2.0]
    assert ad.from_dlpack(np.arange(3.0)).numpy().tolist() == [0.0, 1.0, 2.0]
    assert np.from_dlpack(x * 2.0).tolist() == [2.0, 4.0]


def test_the_namespace() -> None:
    assert ad.Tensor(1.0).__array_namespace__() is ad

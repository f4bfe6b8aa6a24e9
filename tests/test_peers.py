"""Random programs against PyTorch and JAX, where they are installed: values, gradients and a descent step."""
from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._config import config

RNG = np.random.default_rng


@pytest.fixture(autouse=True, params=["numpy", "llvm"])
def _engine(request: pytest.FixtureRequest) -> Iterator[None]:
    before, config.engine = config.engine, request.param
    yield
    config.engine = before


class Adjoint:
    """The operations that the programs are made of, in one library's words."""

    exp, tanh, where, sum, mean, matmul = ad.exp, ad.tanh, ad.where, ad.sum, ad.mean, ad.matmul
    transpose, reshape, concat, zeros = ad.matrix_transpose, ad.reshape, ad.concat, ad.zeros_like
    softmax, log_softmax, gelu, softplus = ad.nn.softmax, ad.nn.log_softmax, ad.nn.gelu, ad.nn.softplus
    max = staticmethod(lambda x, axis: ad.max(x, axis=axis))

    @staticmethod
    def gradients(loss: Any, arrays: list[Any]) -> tuple[Any, list[Any]]:
        values = [ad.Variable(a) for a in arrays]
        with ad.GradientTape() as tape:
            y = loss(values)
        found = tape.gradient(y, values, unconnected_gradients="zero")
        for v, g in zip(values, found):
            v.assign_sub(0.1 * g)                        # forward, gradient and step are one program
        return y.numpy(), [(v.numpy(), g.numpy()) for v, g in zip(values, found)]


def torch_words() -> Any:
    import torch

    nn = torch.nn.functional

    class Torch:
        exp, tanh, where, sum, mean, matmul = torch.exp, torch.tanh, torch.where, torch.sum, torch.mean, torch.matmul
        zeros, reshape = torch.zeros_like, torch.reshape
        transpose = staticmethod(lambda x: x.mT)
        concat = staticmethod(lambda xs, axis: torch.cat(xs, axis))
        softmax = staticmethod(lambda x: torch.softmax(x, -1))
        log_softmax = staticmethod(lambda x: torch.log_softmax(x, -1))
        gelu, softplus = nn.gelu, staticmethod(nn.softplus)
        max = staticmethod(lambda x, axis: torch.amax(x, axis))

        @staticmethod
        def gradients(loss: Any, arrays: list[Any]) -> tuple[Any, list[Any]]:
            values = [torch.tensor(a, requires_grad=True) for a in arrays]
            y = loss(values)
            y.backward()
            found = [torch.zeros_like(v) if v.grad is None else v.grad for v in values]
            return y.detach().numpy(), [((v - 0.1 * g).detach().numpy(), g.numpy()) for v, g in zip(values, found)]

    return Torch


def jax_words() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    jnp, nn = jax.numpy, jax.nn

    class Jax:
        exp, tanh, where, sum, mean, matmul = jnp.exp, jnp.tanh, jnp.where, jnp.sum, jnp.mean, jnp.matmul
        transpose, reshape, zeros = jnp.matrix_transpose, jnp.reshape, jnp.zeros_like
        concat = staticmethod(lambda xs, axis: jnp.concatenate(xs, axis))
        softmax, log_softmax, softplus = nn.softmax, nn.log_softmax, nn.softplus
        gelu = staticmethod(lambda x: nn.gelu(x, approximate=False))
        max = staticmethod(lambda x, axis: jnp.max(x, axis))

        @staticmethod
        def gradients(loss: Any, arrays: list[Any]) -> tuple[Any, list[Any]]:
            y, found = jax.value_and_grad(loss)([jnp.asarray(a) for a in arrays])
            return np.asarray(y), [(np.asarray(a - 0.1 * g), np.asarray(g)) for a, g in zip(arrays, found)]

    return Jax


def program(seed: int, F: Any) -> Any:
    """A loss of two matrices and a row, made of a dozen operations that the seed draws."""

    def loss(values: list[Any]) -> Any:
        rng = RNG(seed)
        have = list(values)
        for _ in range(12):
            x = have[rng.integers(len(have))]
            y = have[rng.integers(len(have))]
            kind = rng.integers(14)
            if kind == 0:
                x = [F.tanh, F.gelu, F.softplus][rng.integers(3)](x)
            elif kind == 1:
                x = F.exp(-x * x)
            elif kind == 2 and len(x.shape) == 2:
                x = F.matmul(x, F.transpose(x))
            elif kind == 3 and len(x.shape) == 2 and len(y.shape) == 2 and x.shape[1] == y.shape[0]:
                x = F.matmul(x, y) * 0.5
            elif kind == 4 and len(x.shape) == 2:
                x = F.transpose(x)
            elif kind == 5 and len(x.shape) == 2:
                x = F.softmax(x) if rng.integers(2) else F.log_softmax(x)
            elif kind == 6 and len(x.shape) == 2:
                x = x - F.reshape(F.mean(x, 1), (x.shape[0], 1))
            elif kind == 7 and len(x.shape) == 2:
                x = F.max(x, int(rng.integers(2)))
            elif kind == 8 and len(x.shape) == 2:
                x = x[1:, ::2]
            elif kind == 9:
                x = F.concat([x, x * 0.5], 0)
            elif kind == 10:
                x = F.where(x > 0.1, x * 2.0, F.zeros(x))
            elif kind == 11 and x.shape[-1:] == y.shape[-1:] and len(y.shape) == 1:
                x = x * y
            elif kind == 12 and x.shape == y.shape:
                x = x + y
            else:
                x = x * 0.7 - 0.2
            if len(x.shape) > 0 and 0 not in x.shape:
                have.append(x)
        total = F.sum(have[-1])
        for x in have[-4:-1]:
            total = total + F.mean(x * x)
        return total

    return loss


WORDS = {name: words for name, words in (("torch", torch_words), ("jax", jax_words)) if find_spec(name) is not None}
if not WORDS:
    pytest.skip("neither PyTorch nor JAX is installed", allow_module_level=True)


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int, words: Any) -> None:
    other = words()
    rng = RNG(900 + seed)
    n, m = (int(k) for k in rng.integers(2, 7, size=2))
    arrays = [rng.normal(size=s) for s in ((n, m), (m, n), (m,))]
    want, steps = other.gradients(program(seed, other), arrays)
    for _ in range(2):                                   # as it is first seen, and as it is planned
        got, found = Adjoint.gradients(program(seed, Adjoint), arrays)
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)
        for (value, gradient), (their_value, their_gradient) in zip(found, steps):
            np.testing.assert_allclose(gradient, their_gradient, rtol=1e-9, atol=1e-11)
            np.testing.assert_allclose(value, their_value, rtol=1e-9, atol=1e-11)

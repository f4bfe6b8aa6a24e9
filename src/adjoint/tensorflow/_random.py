"""tf.random: draws from the global generator, from seeds, from states of one's own."""
from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes, random
from .._dtypes import as_dtype
from .._errors import ShapeError, complain
from ._arrays import ints, shape_of, tensor
from ._bind import public

int32, int64, float32 = _dtypes.int32, _dtypes.int64, _dtypes.float32

_seeded: dict[tuple[str, int], random.Generator] = {}
_state = [0]                                             # the last global seed


@public("random.set_seed keras.utils.set_random_seed")
def set_seed(seed: Any) -> None:
    """Start the global stream, and that of every operation with a seed of its own, from the beginning."""
    _state[0] = ints(seed)
    _seeded.clear()
    random.set_seed(_state[0])
    _global[0] = None


def _drawn(kind: str, seed: Any) -> Any:
    """What draws for one operation: the global functions, or the stream of its seed, which goes on from call to call."""
    if seed is None:
        return random
    key = (kind, ints(seed))
    found = _seeded.get(key)
    if found is None:
        mixed = np.random.SeedSequence([abs(_state[0]), abs(key[1])]).generate_state(1, np.uint64)[0]
        found = _seeded[key] = Generator.from_seed(int(mixed))
    return found


@public("random.normal keras.backend.random_normal keras.random.normal")
def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, seed: Any = None,
           name: str | None = None) -> Any:
    """Normal numbers."""
    return _drawn("normal", seed).normal(shape_of(shape), mean, stddev, as_dtype(dtype or float32))


@public("random.truncated_normal keras.backend.truncated_normal keras.random.truncated_normal")
def truncated_normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, seed: Any = None,
                     name: str | None = None) -> Any:
    """Normal numbers, those more than two standard deviations from the mean drawn again."""
    return _drawn("truncated_normal", seed).truncated_normal(shape_of(shape), mean, stddev, as_dtype(dtype or float32))


def _bounds(minval: Any, maxval: Any, dtype: Any) -> tuple[Any, Any, Any]:
    want = as_dtype(dtype or float32)
    if maxval is None:
        if want.kind in "iu":
            raise ValueError(f"Must specify maxval for integer dtype {want!r}")
        maxval = 1
    if want.kind in "iu":
        return int(minval or 0), int(maxval), want
    return 0 if minval is None else minval, maxval, want


@public("random.uniform keras.backend.random_uniform keras.random.uniform")
def uniform(shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, seed: Any = None,
            name: str | None = None) -> Any:
    """Numbers equally likely in [minval, maxval), by default [0, 1)."""
    low, high, want = _bounds(minval, maxval, dtype)
    return _drawn("uniform", seed).uniform(shape_of(shape), low, high, want)


@public("random.categorical keras.random.categorical")
def categorical(logits: Any, num_samples: Any, dtype: Any = None, seed: Any = None, name: str | None = None) -> Any:
    """Class numbers for each row of logits; int64."""
    t = tensor(logits)
    if t.ndim != 2:
        raise ShapeError(complain("random.categorical", "logits", "a matrix, a row for each draw", f"shape {tuple(t.shape)}"))
    return _drawn("categorical", seed).categorical(t, ints(num_samples), as_dtype(dtype or int64))


@public("random.shuffle")
def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """The slices along the first axis in a random order."""
    t = tensor(value)
    return random.shuffle(t) if seed is None else _drawn("shuffle", seed).permutation(t)


@public("keras.random.shuffle")
def shuffle_axis(x: Any, axis: Any = 0, seed: Any = None) -> Any:
    """The slices along an axis in a random order."""
    return _drawn("shuffle", seed).permutation(tensor(x), ints(axis))


def _pair(kind: str, seed: Any) -> Any:
    return None if seed is None else tuple(int(s) for s in _drawn(kind, seed).make_seeds(1).numpy()[:, 0])


@public("random.gamma")
def gamma(shape: Any, alpha: Any, beta: Any = None, dtype: Any = float32, seed: Any = None, name: str | None = None) -> Any:
    """Gamma numbers with shape alpha and rate beta: ``shape`` draws for each of the parameters."""
    return _gamma(shape_of(shape), alpha, beta, dtype, _pair("gamma", seed))


def _gamma(shape: Any, alpha: Any, beta: Any, dtype: Any, seed: Any) -> Any:
    a = tensor(alpha, dtype)
    b = ad.ones((), dtype=a.dtype) if beta is None else tensor(beta, a.dtype)
    return random.gamma(a, b, shape=shape + tuple((a * b).shape), dtype=dtype, seed=seed)


@public("random.poisson")
def poisson(shape: Any, lam: Any, dtype: Any = float32, seed: Any = None, name: str | None = None) -> Any:
    """Poisson numbers with mean lam: ``shape`` draws for each of the parameters."""
    rate = tensor(lam, float32)
    return random.poisson(rate, shape_of(shape) + tuple(rate.shape), dtype=as_dtype(dtype), seed=_pair("poisson", seed))


# --------------------------------------------------------------------------------------------------------------- stateless

@public("random.stateless_normal")
def stateless_normal(shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32,
                     name: str | None = None, alg: Any = "auto_select") -> Any:
    """Normal numbers that depend on the seed, a pair of integers, alone."""
    return random.normal(shape_of(shape), mean, stddev, as_dtype(dtype), seed=ints(seed))


@public("random.stateless_truncated_normal")
def stateless_truncated_normal(shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32,
                               name: str | None = None, alg: Any = "auto_select") -> Any:
    """Truncated normal numbers that depend on the seed, a pair of integers, alone."""
    return random.truncated_normal(shape_of(shape), mean, stddev, as_dtype(dtype), seed=ints(seed))


@public("random.stateless_uniform")
def stateless_uniform(shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32,
                      name: str | None = None, alg: Any = "auto_select") -> Any:
    """Uniform numbers that depend on the seed, a pair of integers, alone."""
    low, high, want = _bounds(minval, maxval, dtype)
    return random.uniform(shape_of(shape), low, high, want, seed=ints(seed))


@public("random.stateless_categorical")
def stateless_categorical(logits: Any, num_samples: Any, seed: Any, dtype: Any = int64, name: str | None = None) -> Any:
    """Class numbers that depend on logits and the seed, a pair of integers, alone."""
    return random.categorical(tensor(logits), ints(num_samples), as_dtype(dtype), seed=ints(seed))


@public("random.stateless_gamma")
def stateless_gamma(shape: Any, seed: Any, alpha: Any, beta: Any = None, dtype: Any = float32,
                    name: str | None = None) -> Any:
    """Gamma numbers that depend on parameters and the seed, a pair of integers, alone."""
    a = tensor(alpha, dtype)
    return random.gamma(a, None if beta is None else tensor(beta, a.dtype), shape=shape_of(shape), dtype=dtype, seed=ints(seed))


@public("random.stateless_poisson")
def stateless_poisson(shape: Any, seed: Any, lam: Any, dtype: Any = int32, name: str | None = None) -> Any:
    """Poisson numbers that depend on lam and the seed, a pair of integers, alone."""
    return random.poisson(tensor(lam, float32), shape_of(shape), dtype=as_dtype(dtype), seed=ints(seed))


@public("random.stateless_binomial")
def stateless_binomial(shape: Any, seed: Any, counts: Any, probs: Any, output_dtype: Any = int32,
                       name: str | None = None) -> Any:
    """Binomial numbers that depend on the parameters and the seed, a pair of integers, alone."""
    return random.binomial(tensor(counts, float32), tensor(probs, float32), shape_of(shape), dtype=as_dtype(output_dtype),
                           seed=ints(seed))


@public("random.split random.experimental.stateless_split")
def split(seed: Any, num: Any = 2, alg: Any = "auto_select") -> Any:
    """``num`` seeds, pairs of integers, that depend on ``seed`` alone."""
    states = np.random.SeedSequence([abs(s) for s in ints(seed)], spawn_key=(0,)).generate_state(2 * ints(num), np.uint32)
    return ad.constant(states.view(np.int32).reshape(-1, 2))


@public("random.fold_in random.experimental.stateless_fold_in")
def fold_in(seed: Any, data: Any, alg: Any = "auto_select") -> Any:
    """A seed made of a seed and a number."""
    state = np.random.SeedSequence([abs(s) for s in ints(seed)], spawn_key=(1, abs(ints(data)))).generate_state(2, np.uint32)
    return ad.constant(state.view(np.int32))


# -------------------------------------------------------------------------------------------------------------- generators

@public("random.Generator random.experimental.Generator")
class Generator(random.Generator):
    """A stream of random numbers of its own, under TensorFlow's names."""

    def __init__(self, copy_from: Any = None, state: Any = None, alg: Any = None) -> None:
        super().__init__()
        if copy_from is not None or state is not None:
            self.set_state(copy_from.state if copy_from is not None else state)

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """The generator of an integer seed."""
        made = cls()
        made.reset_from_seed(ints(seed))
        return made

    def normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32,  # type: ignore[override]
               name: str | None = None) -> Any:
        """Normal numbers."""
        return super().normal(shape_of(shape), mean, stddev, as_dtype(dtype))

    def truncated_normal(self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0,  # type: ignore[override]
                         dtype: Any = float32, name: str | None = None) -> Any:
        """Truncated normal numbers."""
        return super().truncated_normal(shape_of(shape), mean, stddev, as_dtype(dtype))

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32,  # type: ignore[override]
                name: str | None = None) -> Any:
        """Uniform numbers."""
        low, high, want = _bounds(minval, maxval, dtype)
        return super().uniform(shape_of(shape), low, high, want)

    def make_seeds(self, count: Any = 1) -> Any:
        """``count`` seeds for stateless functions: an int64 tensor of shape (2, count)."""
        return super().uniform((2, ints(count)), -2**62, 2**62, int64)


_global: list[Generator | None] = [None]


@public("random.get_global_generator random.experimental.get_global_generator")
def get_global_generator() -> Generator:
    """The generator that programs share."""
    found = _global[0]
    if found is None:
        found = _global[0] = Generator.from_seed(_state[0]) if _state[0] else Generator()
    return found


@public("random.set_global_generator random.experimental.set_global_generator")
def set_global_generator(generator: Generator) -> None:
    """Put another generator in its place."""
    _global[0] = generator

"""Random numbers: a global generator, generators of one's own, and explicit seeds.

Every function takes ``seed``: without it the numbers come from the global generator, whose stream ``set_seed`` starts
afresh; with it they depend on the seed alone, and the same call gives the same numbers each time. A traced function
draws anew at each call, unless it gives a seed. The generator is Philox4x64 (Salmon, Moraes, Dror, Shaw, "Parallel random
numbers: as easy as 1, 2, 3", 2011): equal seeds give equal numbers on every engine and any number of threads.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ._dtypes import as_dtype, float32
from ._errors import complain
from .primitives import sampling
from .primitives.arithmetic import divide
from .primitives.sampling import Stream, fixed, fresh_key, key_of

__all__ = [
    "Generator", "bernoulli", "binomial", "categorical", "exponential", "gamma", "get_state", "integers", "normal",
    "permutation", "poisson", "randint", "set_seed", "set_state", "shuffle", "truncated_normal", "uniform",
]


class Generator:
    """A stream of random numbers of its own.

    seed  an integer; without one the stream starts somewhere else each time

    >>> import adjoint as ad
    >>> a, b = ad.random.Generator(7), ad.random.Generator(7)
    >>> a.normal((3,)).tolist() == b.normal((3,)).tolist()
    True
    """

    def __init__(self, seed: int | None = None) -> None:
        self._stream = Stream(fresh_key() if seed is None else key_of(seed))

    @classmethod
    def from_seed(cls, seed: int, alg: Any = None) -> Generator:
        """The generator of an integer seed (``alg`` is accepted for TensorFlow's sake)."""
        return cls(seed)

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """A generator that starts somewhere else each time."""
        return cls()

    def reset_from_seed(self, seed: int) -> None:
        """Start the stream of ``seed``."""
        self._stream.key, self._stream.counter = key_of(seed), 0

    @property
    def state(self) -> tuple[int, int, int]:
        """Key and counter: what ``set_state`` takes to go on from here."""
        return (*self._stream.key, self._stream.counter)

    def set_state(self, state: Any) -> None:
        """Go on from a state."""
        a, b, counter = (int(s) for s in state)
        self._stream.key, self._stream.counter = (a, b), counter

    def split(self, count: int = 2) -> list[Generator]:
        """``count`` generators with unrelated streams; what they give does not depend on each other's use."""
        start = self._stream.next()
        made = []
        for k in range(int(count)):
            child = Generator.__new__(type(self))
            a, b = np.random.SeedSequence([int(s) for s in start], spawn_key=(k,)).generate_state(2, np.uint64)
            child._stream = Stream((int(a), int(b)))
            made.append(child)
        return made

    def normal(self, shape: Any = None, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, name: str | None = None) -> Any:
        """Normal numbers; see ``random.normal``."""
        return sampling.located("normal", self._stream, "normal", shape, mean, stddev, dtype)

    def truncated_normal(self, shape: Any = None, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None,
                         name: str | None = None) -> Any:
        """Normal numbers within two standard deviations; see ``random.truncated_normal``."""
        return sampling.located("truncated_normal", self._stream, "truncated_normal", shape, mean, stddev, dtype)

    def uniform(self, shape: Any = None, minval: Any = 0, maxval: Any = None, dtype: Any = None,
                name: str | None = None) -> Any:
        """Numbers equally likely in an interval; see ``random.uniform``."""
        return _uniform(self._stream, shape, minval, maxval, dtype)

    def integers(self, low: Any, high: Any = None, shape: Any = None, dtype: Any = None) -> Any:
        """Integers equally likely in [low, high); see ``random.integers``."""
        low, high = (0, low) if high is None else (low, high)
        return sampling.integers("integers", self._stream, shape, low, high, dtype)

    def bernoulli(self, p: Any, shape: Any = None, dtype: Any = None) -> Any:
        """Ones with probability ``p``; see ``random.bernoulli``."""
        return _bernoulli(self._stream, p, shape, dtype)

    def categorical(self, logits: Any, num: int | None = None, dtype: Any = None) -> Any:
        """Classes from logits; see ``random.categorical``."""
        return sampling.categorical(self._stream, logits, num, dtype)

    def permutation(self, x: Any, axis: int = 0) -> Any:
        """A random order; see ``random.permutation``."""
        return sampling.permutation(self._stream, x, axis)

    def exponential(self, scale: Any = 1.0, shape: Any = None, dtype: Any = None) -> Any:
        """Exponential numbers; see ``random.exponential``."""
        return sampling.located("exponential", self._stream, "exponential", shape, 0, scale, dtype)

    def __repr__(self) -> str:
        return f"<Generator after {self._stream.counter} draws>"


_GLOBAL = Generator()


def set_seed(seed: int) -> None:
    """Start the global generator's stream of an integer seed.

    >>> import adjoint as ad
    >>> ad.random.set_seed(1)
    >>> a = ad.random.normal((2,)).tolist()
    >>> ad.random.set_seed(1)
    >>> a == ad.random.normal((2,)).tolist()
    True
    """
    if not hasattr(seed, "__index__"):
        raise TypeError(complain("set_seed", "seed", "an integer", repr(seed)))
    _GLOBAL.reset_from_seed(seed.__index__())


def get_state() -> tuple[int, int, int]:
    """The global generator's state: save it to go on from the same place."""
    return _GLOBAL.state


def set_state(state: Any) -> None:
    """Put the global generator back into a state from ``get_state``."""
    _GLOBAL.set_state(state)


def _stream(seed: Any) -> Stream:
    return _GLOBAL._stream if seed is None else fixed(seed)


def normal(shape: Any = None, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None,
           name: str | None = None) -> Any:
    """Normal numbers: mean + stddev * z with z standard normal.

    shape         shape of the result; by default the parameters' broadcast shape
    mean, stddev  numbers or tensors that broadcast to the shape; gradients reach both
    dtype         floating; by default that of tensor parameters, else float32
    seed          integer: the numbers then depend on it alone

    >>> import adjoint as ad
    >>> ad.random.normal((2, 3)).shape
    (2, 3)
    """
    return sampling.located("normal", _stream(seed), "normal", shape, mean, stddev, dtype)


def truncated_normal(shape: Any = None, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None,
                     name: str | None = None) -> Any:
    """Normal numbers of which those more than two standard deviations from the mean are drawn again.

    Arguments as for ``normal``.

    >>> import adjoint as ad
    >>> bool(abs(ad.random.truncated_normal((50,)).numpy()).max() <= 2)
    True
    """
    return sampling.located("truncated_normal", _stream(seed), "truncated_normal", shape, mean, stddev, dtype)


def _uniform(stream: Stream, shape: Any, minval: Any, maxval: Any, dtype: Any) -> Any:
    if dtype is not None and as_dtype(dtype).kind in "iu":
        if maxval is None:
            raise TypeError(complain("uniform", "maxval", "given for an integer dtype", "None"))
        return sampling.integers("uniform", stream, shape, minval, maxval, dtype)
    return sampling.between("uniform", stream, shape, minval, 1 if maxval is None else maxval, dtype)


def uniform(shape: Any = None, minval: Any = 0, maxval: Any = None, dtype: Any = None, seed: Any = None,
            name: str | None = None) -> Any:
    """Numbers equally likely in [minval, maxval), by default [0, 1).

    minval, maxval  numbers or tensors that broadcast to the shape; gradients reach both
    dtype           floating (float32 by default), or an integer dtype, for which maxval has to be given

    >>> import adjoint as ad
    >>> ad.random.uniform((2, 3), -1.0, 1.0).shape
    (2, 3)
    """
    return _uniform(_stream(seed), shape, minval, maxval, dtype)


def integers(low: Any, high: Any = None, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """Integers equally likely in [low, high), or [0, low) without ``high``.

    dtype  an integer dtype; int32 by default

    >>> import adjoint as ad
    >>> set(ad.random.integers(2, 4, (100,)).tolist()) == {2, 3}
    True
    """
    low, high = (0, low) if high is None else (low, high)
    return sampling.integers("integers", _stream(seed), shape, low, high, dtype)


randint = integers


def _bernoulli(stream: Stream, p: Any, shape: Any, dtype: Any) -> Any:
    return sampling.drawn("bernoulli", stream, "bernoulli", shape, (p,), float32 if dtype is None else as_dtype(dtype))


def bernoulli(p: Any, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """Ones with probability ``p`` (a number or a tensor), else zeros; no gradient flows to ``p``.

    >>> import adjoint as ad
    >>> ad.random.bernoulli(ad.Tensor([0.0, 1.0])).tolist()
    [0.0, 1.0]
    """
    return _bernoulli(_stream(seed), p, shape, dtype)


def categorical(logits: Any, num_samples: int | None = None, dtype: Any = None, seed: Any = None,
                name: str | None = None) -> Any:
    """Class numbers drawn with probabilities softmax(logits) along the last axis.

    logits       floating, of shape (..., classes)
    num_samples  draws for each row, of shape (..., num_samples); one, without an axis of its own, by default
    dtype        int64 by default

    The largest of logits + Gumbel noise is the class drawn. No gradient flows to the logits.

    >>> import adjoint as ad
    >>> ad.random.categorical(ad.Tensor([[0.0, 100.0]]), 3).tolist()
    [[1, 1, 1]]
    """
    return sampling.categorical(_stream(seed), logits, num_samples, dtype)


def permutation(x: Any, axis: int = 0, seed: Any = None) -> Any:
    """The integers 0 .. x-1 in a random order, or the slices of a tensor ``x`` along ``axis``.

    >>> import adjoint as ad
    >>> sorted(ad.random.permutation(4).tolist())
    [0, 1, 2, 3]
    """
    return sampling.permutation(_stream(seed), x, axis)


def shuffle(value: Any, seed: Any = None, name: str | None = None) -> Any:
    """The slices of a tensor along its first axis in a random order; gradients follow them.

    >>> import adjoint as ad
    >>> sorted(ad.random.shuffle(ad.Tensor([3.0, 1.0, 2.0])).tolist())
    [1.0, 2.0, 3.0]
    """
    return sampling.permutation(_stream(seed), value if hasattr(value, "_spec") else np.asarray(value), 0)


def exponential(scale: Any = 1.0, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """Exponential numbers with mean ``scale`` (a number or a tensor, which gets a gradient).

    >>> import adjoint as ad
    >>> bool(ad.random.exponential(2.0, (50,)).numpy().min() >= 0)
    True
    """
    return sampling.located("exponential", _stream(seed), "exponential", shape, 0, scale, dtype)


def poisson(lam: Any, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """Poisson numbers with mean ``lam`` (a number or a tensor); no gradient flows to it.

    >>> import adjoint as ad
    >>> ad.random.poisson(0.0, (3,)).tolist()
    [0.0, 0.0, 0.0]
    """
    return sampling.drawn("poisson", _stream(seed), "poisson", shape, (lam,), float32 if dtype is None else as_dtype(dtype))


def gamma(alpha: Any, beta: Any = None, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """Gamma numbers of shape parameter ``alpha`` and rate ``beta``; gradients reach beta, none flows to alpha.

    >>> import adjoint as ad
    >>> bool(ad.random.gamma(2.0, shape=(50,)).numpy().min() > 0)
    True
    """
    want = sampling.float_dtype("gamma", dtype, alpha, beta)
    dims = sampling.full_shape("gamma", shape, alpha, *([] if beta is None else [beta]))
    g = sampling.drawn("gamma", _stream(seed), "gamma", dims, (alpha,), want)
    return g if beta is None else divide(g, beta)


def binomial(counts: Any, probs: Any, shape: Any = None, dtype: Any = None, seed: Any = None) -> Any:
    """How many of ``counts`` trials succeed with probability ``probs`` each; no gradient flows.

    >>> import adjoint as ad
    >>> ad.random.binomial(5, 1.0, (2,)).tolist()
    [5.0, 5.0]
    """
    return sampling.drawn("binomial", _stream(seed), "binomial", shape, (counts, probs),
                          float32 if dtype is None else as_dtype(dtype))

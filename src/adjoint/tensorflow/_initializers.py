"""tf.keras.initializers and the initializers of tf itself: callables shape -> tensor."""
from __future__ import annotations

import math
from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes, random
from .._dtypes import as_dtype
from .._errors import complain
from ._arrays import ints, shape_of
from ._bind import put
from ._module import snake_case
from ._random import _drawn


class Initializer:
    """Base of the initializers: called with a shape and a dtype, they give a tensor."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        raise NotImplementedError("Initializer subclasses must implement the `__call__()` method.")

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        return {k: v for k, v in vars(self).items() if not k.startswith("_")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def clone(self) -> Any:
        return self.from_config(self.get_config())


def _dtype(dtype: Any) -> Any:
    return _dtypes.float32 if dtype is None else as_dtype(dtype)


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return ad.zeros(shape_of(shape), dtype=_dtype(dtype))


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return ad.ones(shape_of(shape), dtype=_dtype(dtype))


class Constant(Initializer):
    """One value, or values that fill the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        t = ad.constant(self.value, dtype=_dtype(dtype))
        dims = shape_of(shape)
        return ad.reshape(t, dims) if t.ndim and t.size == int(np.prod(dims)) else ad.broadcast_to(t, dims)


class _Random(Initializer):
    """Draws: with a seed the same numbers at each call, without one new ones."""

    seed: Any

    def _draw(self, kind: str, shape: Any, a: float, b: float, dtype: Any) -> Any:
        want = _dtype(dtype)
        if want.kind != "f":
            raise ValueError(complain(type(self).__name__, "dtype", "floating", want.name))
        if self.seed is None:
            return getattr(_drawn(kind, None), kind)(shape, a, b, want)
        return getattr(random, kind)(shape, a, b, want, seed=ints(self.seed))


class RandomNormal(_Random):
    """Normal numbers."""

    _kind = "normal"

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return self._draw(self._kind, shape_of(shape), self.mean, self.stddev, dtype)


class TruncatedNormal(RandomNormal):
    """Normal numbers, those more than two standard deviations from the mean drawn again."""

    _kind = "truncated_normal"


class RandomUniform(_Random):
    """Uniform numbers."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        return self._draw("uniform", shape_of(shape), self.minval, self.maxval, dtype)


class VarianceScaling(_Random):
    """Numbers whose variance is scale / n, n the number of inputs, of outputs, or the mean of both."""

    def __init__(self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: Any = None,
                 input_axes: Any = None, output_axes: Any = None) -> None:
        if scale <= 0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode}. It is one of fan_in, fan_out, fan_avg")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(f"Invalid `distribution` argument: {distribution}. It is one of uniform, truncated_normal, "
                             f"untruncated_normal")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        dims = shape_of(shape)
        inputs, outputs = fans(dims)
        n = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return self._draw("uniform", dims, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return self._draw("normal", dims, 0.0, math.sqrt(variance), dtype)
        return self._draw("truncated_normal", dims, 0.0, math.sqrt(variance) / _TRUNCATED_STD, dtype)


_TRUNCATED_STD = 0.8796256610342398                      # of a standard normal cut at two standard deviations


def fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """The numbers of inputs and outputs of a kernel of this shape."""
    if len(shape) < 2:
        n = shape[0] if shape else 1
        return n, n
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _scaled(name: str, scale: float, mode: str, distribution: str, doc: str) -> type:
    def init(self: Any, seed: Any = None, input_axes: Any = None, output_axes: Any = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed)

    def config(self: Any) -> dict[str, Any]:
        return {"seed": self.seed}

    return type(name, (VarianceScaling,), {"__init__": init, "get_config": config, "__doc__": doc, "__module__": __name__})


GlorotNormal = _scaled("GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Variance 2 / (inputs + outputs), normal.")
GlorotUniform = _scaled("GlorotUniform", 1.0, "fan_avg", "uniform", "Variance 2 / (inputs + outputs), uniform.")
HeNormal = _scaled("HeNormal", 2.0, "fan_in", "truncated_normal", "Variance 2 / inputs, normal.")
HeUniform = _scaled("HeUniform", 2.0, "fan_in", "uniform", "Variance 2 / inputs, uniform.")
LecunNormal = _scaled("LecunNormal", 1.0, "fan_in", "truncated_normal", "Variance 1 / inputs, normal.")
LecunUniform = _scaled("LecunUniform", 1.0, "fan_in", "uniform", "Variance 1 / inputs, uniform.")


class Identity(Initializer):
    """A multiple of the identity matrix."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        dims = shape_of(shape)
        if len(dims) != 2:
            raise ValueError(f"Identity matrix initializer can only be used for 2D matrices. Received: shape={dims}")
        return ad.eye(dims[0], dims[1], dtype=_dtype(dtype)) * float(self.gain)


class Orthogonal(Initializer):
    """A matrix with orthonormal rows or columns, whichever are fewer."""

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain, self.seed = gain, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        dims = shape_of(shape)
        if len(dims) < 2:
            raise ValueError(f"The tensor to initialize must be at least two-dimensional. Received: shape={dims}")
        rows, columns = math.prod(dims[:-1]), dims[-1]
        flat = (max(rows, columns), min(rows, columns))
        a = RandomNormal(0.0, 1.0, self.seed)(flat, _dtypes.float64).numpy()
        q, r = np.linalg.qr(a)
        q = q * np.sign(np.diag(r))
        q = q.T if rows < columns else q
        return ad.constant((self.gain * q.reshape(dims)).astype(_dtype(dtype).np))


_CLASSES: dict[str, type] = {
    "Zeros": Zeros, "Ones": Ones, "Constant": Constant, "RandomNormal": RandomNormal, "RandomUniform": RandomUniform,
    "TruncatedNormal": TruncatedNormal, "VarianceScaling": VarianceScaling, "GlorotNormal": GlorotNormal,
    "GlorotUniform": GlorotUniform, "HeNormal": HeNormal, "HeUniform": HeUniform, "LecunNormal": LecunNormal,
    "LecunUniform": LecunUniform, "Identity": Identity, "Orthogonal": Orthogonal}
_BY_NAME: dict[str, type] = {}
for _name, _class in _CLASSES.items():
    _short = snake_case(_name)
    _BY_NAME |= {_name: _class, _short: _class, _name.lower(): _class}
    put(f"keras.initializers.{_name} initializers.{_name} keras.initializers.{_short} initializers.{_short}", _class)
for _name, _class in (("IdentityInitializer", Identity), ("OrthogonalInitializer", Orthogonal)):
    put(f"keras.initializers.{_name} initializers.{_name}", _class)
put("keras.initializers.Initializer initializers.Initializer keras.Initializer", Initializer)
put("zeros_initializer", Zeros)
put("ones_initializer", Ones)
put("constant_initializer", Constant)
put("random_normal_initializer", RandomNormal)
put("random_uniform_initializer", RandomUniform)


def get(identifier: Any) -> Any:
    """An initializer from its name, its configuration, its class, or itself."""
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = _BY_NAME.get(identifier)
        if found is None:
            raise ValueError(f"Could not interpret initializer identifier: {identifier}")
        return found()
    if isinstance(identifier, dict):
        return _BY_NAME[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


def serialize(initializer: Any) -> dict[str, Any]:
    """Class and configuration of an initializer."""
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


put("keras.initializers.get initializers.get", get)
put("keras.initializers.serialize initializers.serialize", serialize)
put("keras.initializers.deserialize initializers.deserialize", lambda config, custom_objects=None: get(config))


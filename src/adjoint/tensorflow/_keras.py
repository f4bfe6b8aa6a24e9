"""The rest of tf.keras: activations, utilities, backend, regularizers, constraints."""
from __future__ import annotations

import random as python_random
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes, nn
from .._dtypes import as_dtype
from .._tensor import Value, Variable
from . import _arrays, _linalg, _maths
from ._arrays import ints, shape_of, tensor
from ._bind import TABLE, bind, public, put
from ._random import set_seed

float32 = _dtypes.float32

# ------------------------------------------------------------------------------------------------------------- activations

for _signature, _call, _rows in (
        ("x", "x", """
            exponential     keras.activations.exponential
            hard_sigmoid    keras.activations.hard_sigmoid keras.backend.hard_sigmoid
            hard_silu       keras.activations.hard_silu keras.activations.hard_swish
            hard_tanh       keras.activations.hard_tanh
            linear          keras.activations.linear
            log_sigmoid     keras.activations.log_sigmoid
            mish            keras.activations.mish
            relu6           keras.activations.relu6
            selu            keras.activations.selu
            sigmoid         keras.activations.sigmoid
            silu            keras.activations.silu keras.activations.swish
            softplus        keras.activations.softplus keras.backend.softplus
            softsign        keras.activations.softsign keras.backend.softsign
            tanh            keras.activations.tanh
            tanhshrink      keras.activations.tanh_shrink
        """),
        ("x, alpha=1.0", "x, alpha", """
            celu            keras.activations.celu
            elu             keras.activations.elu keras.backend.elu
        """),
        ("x, approximate=False", "x, approximate=approximate", "gelu keras.activations.gelu"),
        ("x, axis=-1", "x, axis=axis", """
            glu             keras.activations.glu
            log_softmax     keras.activations.log_softmax
            softmax         keras.activations.softmax keras.backend.softmax
        """),
        ("x, threshold=0.5", "x, threshold", """
            hard_shrink     keras.activations.hard_shrink
            soft_shrink     keras.activations.soft_shrink
        """),
        ("x, threshold, default_value", "x, threshold, default_value", "threshold keras.activations.threshold"),
        ("x, negative_slope=0.2", "x, negative_slope", "leaky_relu keras.activations.leaky_relu"),
        ("x, b=4", "x, b", "squareplus keras.activations.squareplus")):
    bind(_signature, _call, _rows, nn)


@public("keras.activations.relu")
def relu(x: Any, negative_slope: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """x where x is at least ``threshold``, negative_slope (x - threshold) below, at most ``max_value``."""
    if not negative_slope and max_value is None and not threshold:
        return nn.relu(x)
    t = tensor(x)
    below = (t - threshold) * float(negative_slope)
    y = ad.where(ad.greater_equal(t, ad.constant(threshold, dtype=t.dtype)), t, below)
    return y if max_value is None else ad.minimum(y, ad.constant(max_value, dtype=t.dtype))


put("keras.backend.relu", lambda x, alpha=0.0, max_value=None, threshold=0.0: relu(x, alpha, max_value, threshold))
_ACTIVATIONS = TABLE["keras.activations"]


def get_activation(identifier: Any) -> Any:
    """An activation function from its name or itself; ``linear`` for None."""
    if identifier is None:
        return _ACTIVATIONS["linear"]
    if callable(identifier):
        return identifier
    found = _ACTIVATIONS.get(identifier) if isinstance(identifier, str) else None
    if found is None or identifier in ("get", "serialize", "deserialize"):
        raise ValueError(f"Could not interpret activation function identifier: {identifier}")
    return found


def serialize_activation(activation: Any) -> str:
    """The name of an activation function."""
    for name, function in _ACTIVATIONS.items():
        if function is activation:
            return name
    if hasattr(activation, "__name__") and activation.__name__ in _ACTIVATIONS:
        return str(activation.__name__)
    raise ValueError(f"Unknown activation function '{activation}' cannot be serialized")


put("keras.activations.get", get_activation)
put("keras.activations.serialize", serialize_activation)
put("keras.activations.deserialize", lambda config, custom_objects=None: get_activation(config))


# --------------------------------------------------------------------------------------------------------------- utilities

@public("keras.utils.to_categorical")
def to_categorical(x: Any, num_classes: Any = None) -> Any:
    """One-hot rows, a float array, for class numbers."""
    y = np.asarray(x).astype("int64")
    shape = y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape
    y = y.reshape(-1)
    n = int(num_classes) if num_classes else int(y.max()) + 1
    rows = np.zeros((y.size, n))
    rows[np.arange(y.size), y] = 1
    return rows.reshape((*shape, n))


@public("keras.utils.normalize")
def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """An array divided by its norm along an axis."""
    a = np.asarray(x)
    n = np.atleast_1d(np.linalg.norm(a, order, axis))
    n[n == 0] = 1
    return a / np.expand_dims(n, axis)


def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and adjoint's random numbers."""
    python_random.seed(seed)
    np.random.seed(seed)
    set_seed(seed)


put("keras.utils.set_random_seed", set_random_seed)


class Progbar:
    """A progress bar: one line that is written again, with the values it is given."""

    def __init__(self, target: Any, width: int = 20, verbose: int = 1, interval: float = 0.05, stateful_metrics: Any = None,
                 stateless_metrics: Any = None, unit_name: str = "step") -> None:
        self.target, self.width, self.verbose, self.unit_name = target, width, verbose, unit_name
        self._last: dict[str, Any] = set(stateful_metrics or ())  # type: ignore[assignment]
        self._sums: dict[str, list[float]] = {}
        self._seen = 0

    def update(self, current: int, values: Any = None, finalize: Any = None) -> None:
        """Show that ``current`` of ``target`` is done."""
        step = current - self._seen
        for name, value in values or ():
            total = self._sums.setdefault(name, [0.0, 0.0])
            if name in self._last:
                total[:] = [float(value), 1.0]
            else:
                total[0] += float(value) * step
                total[1] += step
        self._seen = current
        if not self.verbose:
            return
        done = current >= self.target if finalize is None and self.target is not None else bool(finalize)
        filled = self.width * current // self.target if self.target else 0
        text = "".join(f" - {n}: {t[0] / (t[1] or 1):.4f}" for n, t in self._sums.items())
        print(f"\r{current}/{self.target or 'Unknown'} [{'=' * filled}{'.' * (self.width - filled)}]{text}",
              end="\n" if done else "", flush=True)

    def add(self, n: int, values: Any = None) -> None:
        """Show that ``n`` more are done."""
        self.update(self._seen + n, values)


put("keras.utils.Progbar", Progbar)


# ----------------------------------------------------------------------------------------------------------------- backend

_floatx, _epsilon = ["float32"], [1e-7]
K = "keras.backend."
put(K + "floatx", lambda: _floatx[0])
put(K + "epsilon", lambda: _epsilon[0])
put(K + "set_epsilon", lambda value: _epsilon.__setitem__(0, float(value)))
put(K + "clear_session keras.utils.clear_session", lambda free_memory=True: None)
put(K + "backend", lambda: "tensorflow")
put(K + "image_data_format", lambda: "channels_last")
put(K + "get_value " + K + "eval", lambda x: x.numpy() if isinstance(x, Value) else np.asarray(x))
put(K + "set_value", lambda x, value: x.assign(ad.cast(tensor(value), x.dtype)) and None)
put(K + "int_shape", lambda x: tuple(x.shape))
put(K + "ndim", lambda x: tensor(x).ndim)
put(K + "dtype", lambda x: tensor(x).dtype.name)
put(K + "variable", lambda value, dtype=None, name=None, constraint=None: Variable(value, dtype=dtype or float32, name=name))
put(K + "zeros", lambda shape, dtype=None, name=None: Variable(ad.zeros(shape_of(shape), dtype=dtype or float32)))
put(K + "ones", lambda shape, dtype=None, name=None: Variable(ad.ones(shape_of(shape), dtype=dtype or float32)))
put(K + "zeros_like", lambda x, dtype=None, name=None: _arrays.zeros_like(x, dtype))
put(K + "ones_like", lambda x, dtype=None, name=None: _arrays.ones_like(x, dtype))
put(K + "sum", lambda x, axis=None, keepdims=False: _maths.reduce_sum(x, axis, keepdims))
put(K + "mean", lambda x, axis=None, keepdims=False: _mean(x, axis, keepdims))
put(K + "prod", lambda x, axis=None, keepdims=False: _maths.reduce_prod(x, axis, keepdims))
put(K + "std", lambda x, axis=None, keepdims=False: _maths.reduce_std(x, axis, keepdims))
put(K + "var", lambda x, axis=None, keepdims=False: _maths.reduce_variance(x, axis, keepdims))
put(K + "argmax", lambda x, axis=-1: ad.argmax(tensor(x), axis=axis))
put(K + "argmin", lambda x, axis=-1: ad.argmin(tensor(x), axis=axis))
put(K + "dot", lambda x, y: _linalg.matmul(x, y))
put(K + "clip", lambda x, min_value, max_value: _linalg.clip_by_value(x, min_value, max_value))
put(K + "pow", lambda x, a: ad.pow(tensor(x), a))
put(K + "reshape", lambda x, shape: _arrays.reshape(x, shape))
put(K + "flatten", lambda x: ad.reshape(tensor(x), (-1,)))
put(K + "batch_flatten", lambda x: ad.reshape(tensor(x), (tensor(x).shape[0], -1)))
put(K + "expand_dims", lambda x, axis=-1: _arrays.expand_dims(x, axis))
put(K + "squeeze", lambda x, axis: _arrays.squeeze(x, axis))
put(K + "stack", lambda x, axis=0: _arrays.stack(x, axis))
put(K + "transpose", lambda x: _arrays.transpose(x))
put(K + "permute_dimensions", lambda x, pattern: _arrays.transpose(x, pattern))
put(K + "shape", lambda x: _arrays.shape(x))
put(K + "stop_gradient", lambda variables: ad.stop_gradient(variables))
put(K + "gather", lambda reference, indices: ad.gather(tensor(reference), indices))
put(K + "all", lambda x, axis=None, keepdims=False: _maths.reduce_all(x, axis, keepdims))
put(K + "any", lambda x, axis=None, keepdims=False: _maths.reduce_any(x, axis, keepdims))
put(K + "max", lambda x, axis=None, keepdims=False: TABLE[""]["reduce_max"](x, axis, keepdims))
put(K + "min", lambda x, axis=None, keepdims=False: TABLE[""]["reduce_min"](x, axis, keepdims))
put(K + "tile", lambda x, n: _arrays.tile(x, n))
put(K + "reverse", lambda x, axes: _arrays.reverse(x, axes))
put(K + "concatenate", lambda tensors, axis=-1: _arrays.concat(tensors, axis))
put(K + "one_hot", lambda indices, num_classes: _arrays.one_hot(indices, num_classes))
put(K + "eye", lambda size, dtype=None, name=None: ad.eye(ints(size), dtype=dtype or float32))
put(K + "l2_normalize", lambda x, axis=None: _linalg.l2_normalize(x, axis))
put(K + "logsumexp", lambda x, axis=None, keepdims=False: _maths.reduce_logsumexp(x, axis, keepdims))
put(K + "switch", lambda condition, then_expression, else_expression: (
    _value(then_expression if bool(condition) else else_expression) if tensor(condition).ndim == 0 else
    _arrays.where(condition, _value(then_expression), _value(else_expression))))
put(K + "update", lambda x, new_x: x.assign(new_x))
put(K + "update_add", lambda x, increment: x.assign_add(increment))
put(K + "update_sub", lambda x, decrement: x.assign_sub(decrement))


def _value(x: Any) -> Any:
    return x() if callable(x) and not isinstance(x, Value) else x


def _mean(x: Any, axis: Any, keepdims: bool) -> Any:
    t = tensor(x)
    return _maths.reduce_mean(ad.cast(t, float32) if t.dtype.kind in "biu" else t, axis, keepdims)


@public(K + "set_floatx")
def set_floatx(value: str) -> None:
    """Accepted for "float32", the default that does not change."""
    if as_dtype(value) is not float32:
        raise NotImplementedError(f"keras.backend.set_floatx({value!r}): the default dtype is float32; give dtype= where needed")


# --------------------------------------------------------------------------------------------- regularizers and constraints

class Regularizer:
    """Base of the regularizers: called with a tensor, they give a scalar penalty."""

    def __call__(self, x: Any) -> Any:
        return ad.zeros(())

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class L1L2(Regularizer):
    """l1 sum |x| + l2 sum x**2."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1 or 0.0), float(l2 or 0.0)

    def __call__(self, x: Any) -> Any:
        t = tensor(x)
        penalty = ad.zeros((), dtype=t.dtype)
        if self.l1:
            penalty = penalty + self.l1 * ad.sum(ad.abs(t))
        return penalty + self.l2 * ad.sum(ad.square(t)) if self.l2 else penalty


class L1(Regularizer):
    """l1 sum |x|."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = float(l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * ad.sum(ad.abs(tensor(x)))


class L2(Regularizer):
    """l2 sum x**2."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = float(l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * ad.sum(ad.square(tensor(x)))


put("keras.regularizers.Regularizer keras.Regularizer", Regularizer)
put("keras.regularizers.L1L2 keras.regularizers.l1_l2", L1L2)
put("keras.regularizers.L1 keras.regularizers.l1", L1)
put("keras.regularizers.L2 keras.regularizers.l2", L2)


@public("keras.regularizers.get")
def get_regularizer(identifier: Any) -> Any:
    """A regularizer from its name or itself."""
    names: dict[str, Callable[..., Any]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}
    if identifier is None or callable(identifier):
        return identifier
    if identifier not in names:
        raise ValueError(f"Could not interpret regularizer identifier: {identifier}")
    return names[identifier]()


put("keras.version", lambda: "3.15.1")
put("keras.__version__", "3.15.1")

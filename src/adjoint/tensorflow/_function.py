"""tf.function: traced where that works, run plainly where it does not."""
from __future__ import annotations

import functools
import inspect
import logging
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import adjoint as ad

from .. import _errors, _nest
from .._tensor import Value
from .._trace import local
from ._bind import public, put
from ._control import functions_run_eagerly
from ._types import TensorSpec


class SignatureError(_errors.ShapeError, TypeError):
    """An argument that does not fit a function's input_signature."""


for _paths, _name in (
        ("GradientTape autodiff.GradientTape", "GradientTape"), ("UnconnectedGradients", "UnconnectedGradients"),
        ("autodiff.ForwardAccumulator", "ForwardAccumulator"), ("custom_gradient", "custom_gradient"),
        ("recompute_grad", "recompute_grad"), ("IndexedSlices", "IndexedSlices")):
    if hasattr(ad, _name):
        put(_paths, getattr(ad, _name))


@public("types.experimental.PolymorphicFunction")
class Function:
    """A function that is traced once for each signature and replayed afterwards.

    A function whose Python code needs a value while it is traced (a Python ``if`` or ``while`` on a tensor, ``tf.print``,
    ``.numpy()``) runs plainly from then on: it means the same, and is compiled as far as any plain program is.
    """

    def __init__(self, python: Callable[..., Any], input_signature: Any) -> None:
        self.python_function = python
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._traced = ad.function(python)
        self._plainly = [False]
        functools.update_wrapper(self, python)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.input_signature is not None:
            args, kwargs = self._fitting(args, kwargs), {}
        return self._as_tensors(self._run(args, kwargs))

    def _run(self, args: Any, kwargs: Any) -> Any:
        if self._plainly[0] or functions_run_eagerly():
            return self.python_function(*args, **kwargs)
        try:
            return self._traced(*args, **kwargs)
        except _errors.TraceError as error:
            if local.trace.scratch:                      # the function that is being traced around this one decides
                raise
            self._plainly[0] = True
            logging.getLogger("adjoint").debug("%s runs without being traced: %s", self.__name__, error)
        return self.python_function(*args, **kwargs)

    def _fitting(self, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """The arguments as tensors of the input signature."""
        signature = self.input_signature or ()
        if kwargs:
            args = inspect.signature(self.python_function).bind(*args, **kwargs).args
        if len(args) != len(signature):
            raise TypeError(f"{self.__name__}: takes {len(signature)} arguments, as input_signature says, got {len(args)}")

        return tuple(self._fit(spec, value) for spec, value in zip(signature, args))

    def _fit(self, spec: Any, value: Any) -> Any:
        if isinstance(spec, dict):
            return {k: self._fit(spec[k], value[k]) for k in spec}
        if isinstance(spec, (list, tuple)):
            return type(spec)([self._fit(s, v) for s, v in zip(spec, value, strict=True)])
        if not isinstance(spec, TensorSpec):
            return value
        t = value if isinstance(value, Value) else ad.constant(value, dtype=spec.dtype)
        if not spec.is_compatible_with(t):
            raise SignatureError(f"{self.__name__}: an argument must be of {spec}, as input_signature says, got shape "
                                 f"{tuple(t.shape)} and dtype {t.dtype.name}")
        return t

    @staticmethod
    def _as_tensors(result: Any) -> Any:
        """Numbers and arrays among the results as tensors, as TensorFlow returns them."""
        if result is None or isinstance(result, Value):
            return result
        return _nest.map_structure(
            lambda v: ad.constant(v) if isinstance(v, (bool, int, float, complex, np.ndarray, np.generic)) else v, result)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        bound = Function.__new__(Function)
        bound.__dict__.update(self.__dict__)
        bound.python_function = types.MethodType(self.python_function, instance)
        bound._traced = self._traced.__get__(instance, owner)
        return bound

    @property
    def __name__(self) -> str:
        return getattr(self.python_function, "__name__", "function")

    @__name__.setter
    def __name__(self, value: str) -> None:
        pass

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself: it has no concrete forms."""
        return self

    def experimental_get_tracing_count(self) -> int:
        """How often the function was traced."""
        return self._traced.trace_count

    def __repr__(self) -> str:
        return f"<tf.function {self.__name__}>"


@public("function")
def function(func: Any = None, input_signature: Any = None, autograph: bool = True, jit_compile: Any = None,
             reduce_retracing: bool = False, experimental_implements: Any = None, experimental_autograph_options: Any = None,
             experimental_attributes: Any = None, experimental_relax_shapes: Any = None, experimental_compile: Any = None,
             experimental_follow_type_hints: Any = None) -> Any:
    """Have a function traced once for each signature; a decorator, with or without arguments.

    input_signature   TensorSpecs that the arguments have to fit
    the rest          accepted and without effect

    >>> import adjoint.tensorflow as tf
    >>> @tf.function
    ... def relu(x):
    ...     return x if x > 0 else 0.0 * x
    >>> float(relu(tf.constant(-3.0)))
    -0.0
    """
    if func is None:
        return functools.partial(function, input_signature=input_signature, autograph=autograph)
    if not callable(func):
        raise TypeError(f"tf.function: func must be callable, got {func!r:.60}")
    return Function(func, input_signature)


@public("grad_pass_through")
def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the values of ``f`` and the derivative of the identity."""

    @functools.wraps(f)
    def passing(*args: Any, **kwargs: Any) -> Any:
        @ad.custom_gradient
        def both(*xs: Any) -> Any:
            return f(*xs, **kwargs), lambda *dys: dys[0] if len(dys) == 1 else dys

        return both(*args)

    return passing

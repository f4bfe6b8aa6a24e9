"""adjoint: a gradient tape for Python.

>>> import adjoint as ad
>>> x = ad.Variable(3.0)
>>> with ad.GradientTape() as tape:
...     y = x * x
>>> float(tape.gradient(y, x))
6.0
"""
from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import _errors, datatypes, numpy_protocol
from ._config import config
from ._dtypes import (
    DType,
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    promote,
    uint8,
    uint16,
    uint32,
    uint64,
)
from ._errors import *
from ._runtime import evaluate_all as evaluate
from ._sparse import IndexedSlices
from ._tensor import Tensor, Variable
from ._trace import hooks as _hooks
from ._version import __version__
from .custom import custom_gradient, recompute_grad
from .datatypes import *
from .forward import ForwardAccumulator
from .primitives import *
from .primitives import __all__ as _functions
from .tape import GradientTape, UnconnectedGradients
from .transforms import function, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp, vmap

if TYPE_CHECKING:
    from . import losses, nn, optim, plot, random, testing
    from .inspect import anomaly, check_gradients, profile
    from .saving import load, save

checkpoint = recompute_grad
bool = bool_  # the array API standard's name
newaxis = None
e, inf, nan, pi = 2.718281828459045, float("inf"), float("nan"), 3.141592653589793

# Loaded when first used, so that importing adjoint costs little more than importing NumPy.
_LATER = {"losses": "losses", "nn": "nn", "optim": "optim", "plot": "plot", "random": "random", "load": "saving",
          "save": "saving", "anomaly": "inspect", "check_gradients": "inspect", "profile": "inspect", "testing": "testing"}

__all__ = sorted({
    "DType", "ForwardAccumulator", "GradientTape", "IndexedSlices", "Tensor", "UnconnectedGradients", "Variable", "__version__",
    "bfloat16", "bool", "bool_", "checkpoint", "complex128", "complex64", "config", "custom_gradient", "e", "evaluate", "float16",
    "float32", "float64", "function", "grad", "hessian", "hvp", "inf", "int16", "int32", "int64", "int8", "jacobian", "jvp",
    "linearize", "nan", "newaxis", "pi", "promote", "recompute_grad", "uint16", "uint32", "uint64", "uint8", "value_and_grad",
    "vjp", "vmap", *_LATER, *_errors.__all__, *datatypes.__all__, *_functions,
})


def __getattr__(name: str) -> Any:
    if name in _LATER:
        module = importlib.import_module(f".{_LATER[name]}", __name__)
        found = module if _LATER[name] == name else getattr(module, name)
        globals()[name] = found
        return found
    raise AttributeError(_unknown(name))


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, __all__, 1)
    return f"adjoint has no {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def _inspector() -> Any:
    return importlib.import_module(".inspect", __name__)


_hooks.inspector = _inspector
numpy_protocol.provide(globals())

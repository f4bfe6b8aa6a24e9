"""Functions of functions: derivatives, batching, tracing."""
from .derivatives import grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp
from .function import Function, function
from .vmap import vmap

__all__ = ["Function", "function", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "value_and_grad", "vjp",
           "vmap"]

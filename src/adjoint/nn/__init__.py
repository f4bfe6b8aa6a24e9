"""Functions of neural networks: activations, softmax and cross-entropies from logits."""
from .activations import *  # noqa: F403
from .activations import __all__ as __all__

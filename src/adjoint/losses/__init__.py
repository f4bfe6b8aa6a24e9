"""Losses: as functions that give one value a sample, and as objects that reduce and weight."""
from . import _classes, _functions
from ._classes import *  # noqa: F403
from ._functions import *  # noqa: F403

__all__ = [*_classes.__all__, *_functions.__all__]

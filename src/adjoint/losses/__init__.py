"""Losses: as functions that give one value a sample, and as objects that reduce and weight."""
from ._classes import *  # noqa: F403
from ._functions import *  # noqa: F403

"""Descent: rules as pure (init, update) pairs that chain, optimizers that keep their state, schedules."""
from . import schedules
from ._clip import *  # noqa: F403
from ._core import Transform, apply_updates, chain
from ._optimizer import *  # noqa: F403
from ._rules import *  # noqa: F403
from .schedules import Constant as Constant


"""Descent: rules as pure (init, update) pairs that chain, optimizers that keep their state, schedules."""
from . import _clip, _optimizer, _rules, schedules
from ._clip import *  # noqa: F403
from ._core import Transform, apply_updates, chain
from ._optimizer import *  # noqa: F403
from ._rules import *  # noqa: F403

__all__ = ["Transform", "apply_updates", "chain", "schedules", *_clip.__all__, *_optimizer.__all__, *_rules.__all__]

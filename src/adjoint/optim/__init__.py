"""Descent: rules as pure (init, update) pairs that chain, optimizers that keep their state, schedules."""
from . import schedules as schedules
from ._clip import *  # noqa: F403
from ._core import Transform as Transform
from ._core import apply_updates as apply_updates
from ._core import chain as chain
from ._optimizer import *  # noqa: F403
from ._rules import *  # noqa: F403

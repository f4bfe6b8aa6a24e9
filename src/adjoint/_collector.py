"""The cyclic garbage collector, while a long program is recorded.

Thousands of tensors that are alive make it go through all of them again and again without finding anything: about a quarter of
the time of a thousand-step integrator. When a thread's last program was long, the collector waits for more new objects
from the opening of the outermost tape on, and is as it was when the program has been computed and its tensors are gone.
"""
from __future__ import annotations

import gc
import threading

_LONG = 2000                                             # tensors of a program from which on it is long
_WAIT = 50_000                                           # new objects that the collector waits for meanwhile
_lock = threading.RLock()                                # a Patience may be freed while its thread is in here
_depth = 0                                               # how many there are
_before: tuple[int, ...] = (0, 0, 0)


class Patience:
    """The collector waits for as long as there is one."""

    __slots__ = ()

    def __del__(self) -> None:
        global _depth
        with _lock:
            _depth -= 1
            if not _depth and gc.get_threshold()[0] == _WAIT:    # what somebody else has set meanwhile stays
                gc.set_threshold(*_before)


def is_long(tensors: int) -> bool:
    """Whether a program of so many tensors is worth it."""
    return tensors > _LONG


def wait() -> Patience | None:
    """Let the collector wait; None where it is off, or patient already."""
    global _depth, _before
    with _lock:
        if not _depth:
            before = gc.get_threshold()
            if not 0 < before[0] < _WAIT:
                return None
            _before = before
            gc.set_threshold(_WAIT, *before[1:])
        _depth += 1
    return Patience()


__all__ = ["Patience", "is_long", "wait"]

"""The cyclic garbage collector, while a long program is recorded.

Thousands of tensors that are alive make it go through all of them again and again without finding anything: about a quarter of
the time of a thousand-step integrator. When a thread's last program was long, the collector waits for more new objects
while the outermost tape records, and is as it was afterwards.
"""
from __future__ import annotations

import gc
import threading

_LONG = 2000                                             # tensors of a program from which on it is long
_WAIT = 50_000                                           # new objects that the collector waits for meanwhile
_lock = threading.Lock()
_depth = 0                                               # threads that asked for it
_before: tuple[int, ...] = (0, 0, 0)


def is_long(tensors: int) -> bool:
    """Whether a program of so many tensors is worth it."""
    return tensors > _LONG


def wait() -> bool:
    """Let the collector wait; True when ``go_on`` has to be called."""
    global _depth, _before
    with _lock:
        if not _depth:
            _before = gc.get_threshold()
            if not 0 < _before[0] < _WAIT:               # off, or patient already
                return False
            gc.set_threshold(_WAIT, *_before[1:])
        _depth += 1
    return True


def go_on() -> None:
    """Undo one ``wait``; what somebody else has set meanwhile stays."""
    global _depth
    with _lock:
        _depth -= 1
        if not _depth and gc.get_threshold()[0] == _WAIT:
            gc.set_threshold(*_before)


__all__ = ["go_on", "is_long", "wait"]

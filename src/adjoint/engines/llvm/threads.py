"""Threads for large loops: a runtime that is called from compiled code, found once.

libgomp is held through ctypes, so that it is never unloaded, and reached by the names ``adjoint_parallel`` (its fork and join)
and ``adjoint_threads`` (how many threads to use, read at each loop). Without it loops run in the calling thread.
What a loop computes does not depend on the count: the work is cut by its size alone, and threads take the next piece.
"""
from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_SPIN = "GOMP_SPINCOUNT"
_ROUNDS = "20000"                                        # how long a waiting thread spins: some ten microseconds

count = ctypes.c_int32(1)                                # what compiled code reads
_most = 0                                                # threads that there may be; 0 before ``connect``


def available() -> int:
    """Processors that this process may use."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _runtime() -> Any:
    """libgomp, or None."""
    if not sys.platform.startswith("linux"):
        return None
    before = os.environ.get(_SPIN)
    if before is None and "OMP_WAIT_POLICY" not in os.environ:
        os.environ[_SPIN] = _ROUNDS                      # read when the library is loaded
    try:
        return ctypes.CDLL("libgomp.so.1")
    except OSError:
        return None
    finally:
        if before is None:
            os.environ.pop(_SPIN, None)


def connect(llvm: Any) -> None:
    """Make the runtime known to compiled code."""
    global _most
    if _most:
        return
    _most = 1
    library = _runtime()
    address = ctypes.cast(ctypes.pythonapi.Py_IncRef, ctypes.c_void_p).value     # stands there, never called with one thread
    if library is not None:
        _most = available()
        address = ctypes.cast(library.GOMP_parallel, ctypes.c_void_p).value
        if hasattr(os, "register_at_fork"):              # a child has none of its parent's threads
            os.register_at_fork(after_in_child=_alone)
    llvm.add_symbol("adjoint_parallel", address)
    llvm.add_symbol("adjoint_threads", ctypes.addressof(count))


def _alone() -> None:
    global _most
    _most = count.value = 1


def use(wanted: int | None) -> None:
    """Use this many threads (None: one for each processor)."""
    count.value = max(1, min(_most, 64) if wanted is None else wanted if _most > 1 else 1)


__all__ = ["available", "connect", "count", "use"]

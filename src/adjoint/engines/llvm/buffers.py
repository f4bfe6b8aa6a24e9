"""Large arrays used again: fresh pages from the system cost more than the loop that fills them.

A buffer is free when only this module refers to it, which its reference count tells; nobody has to give it back.
"""
from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

LARGE = 1 << 20                                          # bytes from which it pays
LIMIT = 256 << 20                                        # bytes that are kept at most, in use or not

_held: dict[int, list[Any]] = {}                         # bytes -> buffers
_lock = threading.Lock()
_total = 0


def _references(held: list[Any]) -> int:
    """What ``take`` sees of a buffer that nobody uses: written the same way."""
    for buffer in held:
        return _count(buffer)
    return 0


_count: Any = getattr(sys, "getrefcount", None)
_FREE = _references([np.empty(0, np.uint8)]) if _count is not None else -1


def take(shape: tuple[int, ...], dtype: Any, nbytes: int) -> Any:
    """An array with arbitrary contents."""
    global _total
    if not _lock.acquire(blocking=False):                # another thread, or what a signal came in between of: no time to wait
        return np.empty(shape, dtype)
    try:
        held = _held.setdefault(nbytes, [])
        for buffer in held:
            if _count is not None and _count(buffer) == _FREE:
                return np.ndarray(shape, dtype, buffer)
        if _count is None or nbytes > LIMIT:
            return np.empty(shape, dtype)
        while _total + nbytes > LIMIT:
            size = max(_held, key=lambda n: n * len(_held[n]))
            if not _held[size]:
                return np.empty(shape, dtype)
            _held[size].pop(0)
            _total -= size
        fresh = np.empty(nbytes, np.uint8)
        held.append(fresh)
        _total += nbytes
        return np.ndarray(shape, dtype, fresh)
    finally:
        _lock.release()


def copied(array: Any) -> Any:
    """A copy in a buffer."""
    made = take(array.shape, array.dtype, array.nbytes) if array.nbytes >= LARGE else np.empty(array.shape, array.dtype)
    np.copyto(made, array)
    return made


# What nobody else refers to may be written over. Somebody else is: a list of inputs, the variable, and who asks.

def is_free(array: Any) -> bool:
    """Whether only a variable and a list of inputs refer to an array, and nobody else to its memory."""
    return _count is not None and _count(array) == _OWN and (array.base is None or _is_ours(array.base))


def _is_ours(buffer: Any) -> bool:
    if not _lock.acquire(blocking=False):
        return False
    try:
        ours = [id(held) for held in _held.get(getattr(buffer, "nbytes", 0), ())]
    finally:
        _lock.release()
    return id(buffer) in ours and _count(buffer) == _HELD


class _Holder:
    value: Any


def _expected() -> tuple[int, int]:
    """The references that ``is_free`` and ``_is_ours`` see."""
    holder = _Holder()
    holder.value = np.ndarray((0,), np.uint8, np.empty(8, np.uint8))
    held = [holder.value.base]  # noqa: F841 (one that refers)
    i = [holder.value]
    v0 = i[0]
    return _seen(v0), _below(v0.base)


def _seen(array: Any) -> int:
    return _count(array)  # type: ignore[no-any-return]


def _below(buffer: Any) -> int:
    return _count(buffer)  # type: ignore[no-any-return]


_OWN, _HELD = _expected() if _count is not None else (-1, -1)


def drop() -> None:
    """Forget every buffer."""
    global _total
    with _lock:
        _held.clear()
        _total = 0


__all__ = ["LARGE", "copied", "drop", "is_free", "take"]

"""Settings of the process."""
from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["config"]


class Config:
    """What can be set: attributes, checked when assigned.

    engine      "auto" (NumPy at first sight, compiled from the second), "numpy" (never compiled) or "llvm"
    spelling    "adjoint" or "tf": how tensors print and how strict dtypes are
    lines       whether a tape remembers the line of the user's program for each operation
    rewrites    whether formulas such as log(1 + exp(x)) are computed and differentiated as the function they are
    pending     operations after which a pending graph is settled by itself
    threads     how many threads a large loop may use
    cache       where compiled code is kept on disk: True (the platform's cache folder), a folder, or False (nowhere)
    cache_limit bytes that it may take there; what was used least recently goes first
    note        what could not be had (a compiler, a folder to keep code in), or ""

    $ADJOINT_ENGINE, $ADJOINT_NUM_THREADS and $ADJOINT_CACHE_DIR (empty: no folder) set what they say at the start.
    """

    __slots__ = ("_cache", "_engine", "_rewrites", "_threads", "cache_limit", "changed", "lines", "note", "pending", "resized",
                 "spelling")

    def __init__(self) -> None:
        self._engine = os.environ.get("ADJOINT_ENGINE", "auto")
        self._rewrites = True
        self.changed: list[Callable[[], None]] = []      # called when programs must be planned again
        self.resized: list[Callable[[int], None]] = []   # called with a new number of threads
        self.spelling = "adjoint"
        self.lines = True
        self.pending = 65_536
        self.threads = int(os.environ.get("ADJOINT_NUM_THREADS", "0")) or (os.cpu_count() or 1)
        self.cache = os.environ.get("ADJOINT_CACHE_DIR", True) or False
        self.cache_limit = 256 * 1024 * 1024
        self.note = ""

    @property
    def cache(self) -> bool | str | os.PathLike[str]:
        return self._cache

    @cache.setter
    def cache(self, value: bool | str | os.PathLike[str]) -> None:
        if not isinstance(value, (bool, str, os.PathLike)) or value == "" or "\0" in str(value):
            raise ValueError(f"config.cache: must be True, False or a folder, got {value!r}")
        self._cache = value

    @property
    def threads(self) -> int:
        return self._threads

    @threads.setter
    def threads(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"config.threads: must be a whole number from 1 on, got {value!r}")
        self._threads = value
        for call in self.resized:
            call(value)

    @property
    def engine(self) -> str:
        return self._engine

    @engine.setter
    def engine(self, value: str) -> None:
        if value not in ("auto", "numpy", "llvm"):
            raise ValueError(f"config.engine: must be 'auto', 'numpy' or 'llvm', got {value!r}")
        self._engine = value

    @property
    def rewrites(self) -> bool:
        return self._rewrites

    @rewrites.setter
    def rewrites(self, value: bool) -> None:
        if bool(value) != self._rewrites:
            self._rewrites = bool(value)
            for call in self.changed:
                call()

    def __repr__(self) -> str:
        names = ("engine", "spelling", "lines", "rewrites", "pending", "threads", "cache", "cache_limit")
        rows = (f"{name}={getattr(self, name)!r}" for name in names)
        return f"config({', '.join(rows)})"


config = Config()

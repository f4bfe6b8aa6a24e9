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
    """

    __slots__ = ("_engine", "_rewrites", "changed", "lines", "note", "pending", "spelling", "threads")

    def __init__(self) -> None:
        self._engine = os.environ.get("ADJOINT_ENGINE", "auto")
        self._rewrites = True
        self.changed: list[Callable[[], None]] = []      # called when programs must be planned again
        self.spelling = "adjoint"
        self.lines = True
        self.pending = 65_536
        self.threads = int(os.environ.get("ADJOINT_NUM_THREADS", "0")) or (os.cpu_count() or 1)
        self.note = ""

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
        rows = (f"{name}={getattr(self, name)!r}" for name in ("engine", "spelling", "lines", "rewrites", "pending", "threads"))
        return f"config({', '.join(rows)})"


config = Config()

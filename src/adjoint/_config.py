"""Settings of the process."""
from __future__ import annotations

import os

__all__ = ["config"]


class Config:
    """What can be set: attributes, checked when assigned.

    engine      "auto" (NumPy at first sight, compiled from the second), "numpy" (never compiled) or "llvm"
    spelling    "adjoint" or "tf": how tensors print and how strict dtypes are
    lines       whether a tape remembers the line of the user's program for each operation
    pending     operations after which a pending graph is settled by itself
    """

    __slots__ = ("_engine", "lines", "note", "pending", "spelling", "threads")

    def __init__(self) -> None:
        self._engine = os.environ.get("ADJOINT_ENGINE", "auto")
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

    def __repr__(self) -> str:
        rows = (f"{name}={getattr(self, name)!r}" for name in ("engine", "spelling", "lines", "pending", "threads"))
        return f"config({', '.join(rows)})"


config = Config()

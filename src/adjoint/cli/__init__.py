"""The command line: ``adjoint run``, ``explain``, ``draw``, ``check`` and ``info``."""
from __future__ import annotations

from ._main import main

__all__ = ["main"]

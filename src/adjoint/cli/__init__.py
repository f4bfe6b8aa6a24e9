"""The command line: ``adjoint run``, ``adjoint info``."""
from __future__ import annotations

from ._main import main

__all__ = ["main"]

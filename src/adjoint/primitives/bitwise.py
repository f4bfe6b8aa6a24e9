"""Bitwise operations on integers and booleans."""
from __future__ import annotations

__all__: list[str] = []

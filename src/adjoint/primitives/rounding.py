"""Rounding, sign and integer arithmetic."""
from __future__ import annotations

__all__: list[str] = []

"""Comparison and logic, where and clip."""
from __future__ import annotations

__all__: list[str] = []

"""The erf and gamma families, sigmoid and its relatives."""
from __future__ import annotations

__all__: list[str] = []

"""Random numbers (Philox, counter-based)."""
from __future__ import annotations

__all__: list[str] = []

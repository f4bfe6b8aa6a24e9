"""Matrix products, tensordot and einsum."""
from __future__ import annotations

__all__: list[str] = []

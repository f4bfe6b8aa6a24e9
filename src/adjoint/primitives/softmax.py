"""Softmax, log_softmax, logsumexp and cross-entropies."""
from __future__ import annotations

__all__: list[str] = []

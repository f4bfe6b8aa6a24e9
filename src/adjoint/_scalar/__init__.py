"""What operations do to one element, in a small vocabulary that any engine can print."""
from __future__ import annotations

from .functions import Functions
from .interpret import evaluate
from .vocabulary import BITS, FLOATS, HALVES, NAMES, Expr

__all__ = ["BITS", "FLOATS", "HALVES", "NAMES", "Expr", "Functions", "evaluate"]

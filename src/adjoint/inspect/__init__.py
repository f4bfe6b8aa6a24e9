"""What the tape answers: why a gradient is None, where a NaN began, what is held. It reads graph and tape, never writes."""
from __future__ import annotations

from ._anomaly import Finding, anomaly, post_mortem
from ._explain import Explanation, explain, why_none
from ._gradcheck import GradientReport, check_gradients
from .drawing import Drawing, draw

__all__ = ["Drawing", "draw", "Explanation", "Finding", "GradientReport", "anomaly", "check_gradients", "explain", "post_mortem", "why_none"]

"""What the tape answers: why a gradient is None, where a NaN began, what is held. It reads graph and tape, never writes."""
from __future__ import annotations

from ._advise import Advice, Advices, advise
from ._anomaly import Finding, anomaly, post_mortem
from ._derivation import Derivation, derivation
from ._explain import Explanation, explain, why_none
from ._gradcheck import GradientReport, check_gradients
from ._profile import Profile, plan_of, profile
from ._summary import Summary, summary
from .drawing import Drawing, draw

__all__ = [
    "Advice", "Advices", "Derivation", "Drawing", "Explanation", "Finding", "GradientReport", "Profile", "Summary", "advise",
    "anomaly", "check_gradients", "derivation", "draw", "explain", "plan_of", "post_mortem", "profile", "summary", "why_none",
]

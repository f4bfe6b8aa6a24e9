"""The values of a record, computed again from its inputs without touching what is pending."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .._errors import TapeError
from .._trace import Trace
from ..engines.numpy import interpret
from ..plan.program import extract
from ._record import At, Record, line_of, shown


def traces_of(tape: Any, record: Record) -> list[Trace]:
    """The trace of each past; TapeError when the tape was used up and has let its values go."""
    if tape._spent is not None:
        raise TapeError(f"the values of this tape were let go when it was used up at {shown(line_of(tape._done), False)}; ask "
                        f"before, or make it GradientTape(persistent=True)")
    by = {id(trace.past): trace for trace, _, _ in tape._segments}
    return [by[id(past)] for past in record.pasts]


def values_of(traces: list[Trace], places: Iterable[At]) -> dict[At, Any]:
    """The values at ``places``, as NumPy arrays."""
    wanted: dict[int, set[int]] = {}
    for k, idx in places:
        wanted.setdefault(k, set()).add(idx)
    found: dict[At, Any] = {}
    for k, some in wanted.items():
        for idx, value in computed(traces[k], some).items():
            found[k, idx] = value
    return found


def computed(trace: Trace, places: Iterable[int]) -> dict[int, Any]:
    """The values at places of one trace."""
    order = sorted(places)
    if not order:
        return {}
    program = extract(trace.node, order)
    return {idx: np.asarray(v) for idx, v in zip(order, interpret(program)(trace.inputs))}

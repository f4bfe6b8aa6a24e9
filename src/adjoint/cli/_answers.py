"""What ``adjoint explain``, ``draw`` and ``check`` say about a program's last tape."""
from __future__ import annotations

import re
from typing import Any

import numpy as np

from .. import _nest
from .._errors import AdjointError
from .._tensor import Value
from ..inspect import advise, draw, explain, post_mortem
from ..inspect._check import check_recorded
from ..inspect._gradcheck import GradientReport
from ..inspect._record import shown
from ..primitives.convert import convert
from . import _report
from ._watch import Asked, Watch

_CELL = re.compile(r"<In \[(\d+)\]>:(\d+)")


def say(text: Any) -> None:
    """An answer, with notebook cells as they are counted."""
    print(_CELL.sub(r"In [\1], line \2", str(text)), flush=True)


def _last(watch: Watch) -> Asked | None:
    if watch.latest is None:
        _report.say("the program asked no tape for a gradient" if watch.line is None else _CELL.sub(
            r"In [\1], line \2", f"the program asked no tape for a gradient (its last tape was entered at {shown(watch.line)})"))
    return watch.latest


def _head(asked: Asked) -> str:
    return f"The last {asked.what.replace('_', ' ')} was asked for at {shown(asked.line)}."


def explained(watch: Watch) -> int:
    """For each source of the last gradient its path, or why it is None; the exit status."""
    asked = _last(watch)
    if asked is None:
        return 1
    say(_head(asked))
    target = asked.target if isinstance(asked.target, (list, tuple, dict)) else asked.targets[0]
    for source in asked.flat:
        say(f"\n{explain(asked.tape, target, source, asked.frame)}")
    return 0


def drawn(watch: Watch, path: str) -> int:
    """Write a drawing of what the last tape recorded; the exit status."""
    asked = watch.asked
    if asked is None and watch.tape is not None and not any(spans for _, spans in watch.tape._spans()):
        asked = watch.latest                             # the last tape recorded nothing
    tape: Any = watch.tape if asked is None else asked.tape
    if tape is None:
        _report.say("the program used no tape, so there is nothing to draw")
        return 1
    targets = [] if asked is None else [t for t in asked.targets if isinstance(t, Value)]
    try:
        drawing = draw(tape, targets or None, path, frame=watch.frame if asked is None else asked.frame)
    except (AdjointError, OSError, ImportError) as error:
        _report.say(f"the tape cannot be drawn: {error}")
        return 1
    say(f"{drawing.label}, written to {path}")
    return 0


def checked(watch: Watch) -> int:
    """The last gradient against differences, why gradients are None, and likely mistakes; the exit status."""
    asked = _last(watch)
    if asked is None:
        return 1
    say(_head(asked))
    if asked.found is None:
        _report.say("it raised, so there is no gradient to check")
        return 1
    bad = False
    for source, g in zip(asked.flat, asked.found):
        if g is None:
            why = explain(asked.tape, asked.target, source, asked.frame)
            say(why)
            bad = bad or why.cause != "linear"
    tensors = [t for t in asked.targets if isinstance(t, Value)]
    values = [convert(x).numpy() for x in [*tensors, *asked.found] if x is not None]
    if not all(np.isfinite(np.asarray(v, complex)).all() for v in values):
        bad = True
        for t in tensors:
            say(post_mortem(asked.tape, t))
    else:
        report = _compared(asked)
        bad = bad or not report
        say(report)
    for t in tensors[:1]:
        say(f"likely mistakes:\n{advise(asked.tape, t, asked.frame)}")
    return int(bad)


def _compared(asked: Asked) -> GradientReport:
    found, cotangents = list(asked.found or ()), None
    if asked.what == "gradient":
        given = asked.cotangents
        cotangents = [None] * len(asked.targets) if given is None else _nest.flatten([given])
    elif any(x._spec.dtype.kind == "c" for x in [*asked.targets, *asked.flat]):
        report = GradientReport()
        report.skipped.append("complex Jacobians are not compared")
        return report
    if asked.what == "batch_jacobian" and found[0] is not None:
        block, count = convert(found[0]).numpy(), asked.targets[0]._spec.shape[0]
        inner = asked.targets[0]._spec.ndim
        whole = np.zeros((*block.shape[:inner], count, *block.shape[inner:]), block.dtype)
        for n in range(count):
            at: Any = (n, ..., n, *[slice(None)] * (block.ndim - inner))
            whole[at] = block[n]
        found = [whole]
    return check_recorded(asked.tape, asked.targets, asked.flat, found, cotangents, asked.frame)

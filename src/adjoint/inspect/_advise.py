"""Likely mistakes in a program that was recorded on a tape."""
from __future__ import annotations

from typing import Any

import numpy as np

from .. import _derive
from .._errors import complain
from .._graph import Node
from .._tensor import Value, Variable
from .._trace import local, undo
from ..primitives.creation import ones_of
from ._explain import explain
from ._record import At, Line, Record, is_value, name_in, recording_frame, shown, user_frame
from ._values import computed, traces_of, values_of

# A loss that takes logits applies softmax or sigmoid itself; these say so in their names.
_LOGITS = {"softmax_cross_entropy": "softmax", "sparse_softmax_cross_entropy": "softmax", "sigmoid_cross_entropy": "sigmoid"}
_PROBABILITIES = {"cross_entropy": "softmax", "binary_entropy": "sigmoid"}
_HAND_ON = {"reshape", "cast", "identity", "squeeze", "expand_dims", "transpose", "broadcast_to", "getitem", "index", "read",
            "clip"}


class Advice:
    """One likely mistake.

    kind  "softmax twice", "probabilities", "broadcast", "no gradient", "unused", "vanishing", "exploding" or "not finite"
    line  (file, line) it is about, or None
    """

    __slots__ = ("kind", "line", "text")

    def __init__(self, kind: str, text: str, line: Line | None = None) -> None:
        self.kind, self.text, self.line = kind, text, line

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


class Advices(list[Advice]):
    """What advise found, the gravest first; ``str()`` is a list, one paragraph each."""

    def __str__(self) -> str:
        return "\n".join(f"- {a}" for a in self) or "Nothing that looks like a mistake was found."

    __repr__ = __str__

    @property
    def kinds(self) -> list[str]:
        return [a.kind for a in self]


def advise(tape: Any, loss: Any, frame: Any = None) -> Advices:
    """Look for likely mistakes behind ``loss``; the tape must be persistent or not used yet."""
    if not is_value(loss):
        raise TypeError(complain("GradientTape.advise", "the loss", "a tensor that the tape recorded", f"{loss!r:.60}"))
    record, found = Record(tape, loss), Advices()
    frame = recording_frame(user_frame() if frame is None else frame, record)
    traces = traces_of(tape, record)
    above = _above(record, record.places(loss))
    _softmax(record, above, traces, found)
    _broadcast(record, above, found)
    used = _variables(tape, loss, record, frame, found)
    if loss._spec.dtype.kind == "f" and used:
        _sizes(tape, loss, record, traces, used, frame, found)
    return found


def _above(record: Record, starts: list[At]) -> list[At]:
    """The first place of each operation that ``starts`` need, in order."""
    seen: set[At] = set()
    stack = [(k, record.node((k, idx)).idx) for k, idx in starts]
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        stack += [(at[0], record.node((at[0], a)).idx) for a in record.node(at).args]
        link = record.link(at)
        if link is not None:
            stack.append((link[0], record.node(link).idx))
    return sorted(seen)


def _origin(record: Record, at: At) -> Node:
    """The operation that made a value, through those that only hand it on."""
    node = record.node(at)
    while True:
        link = record.link(at)
        if link is not None:
            at = link
        elif node.op.name in _HAND_ON and node.args:  # type: ignore[union-attr]
            at = (at[0], node.args[0])
        else:
            return node
        node = record.node(at)


def _softmax(record: Record, above: list[At], traces: Any, found: Advices) -> None:
    for at in above:
        node = record.node(at)
        name = node.op.name  # type: ignore[union-attr]
        line = record.line(at)
        if name in _LOGITS and len(node.args) > 1:
            made = _origin(record, (at[0], node.args[1]))
            if made.op.name in ("softmax", "sigmoid"):  # type: ignore[union-attr]
                found.append(Advice("softmax twice", (
                    f"{made.op.name} feeds a loss that applies {_LOGITS[name]} itself (from_logits=True) at {shown(line)}: "  # type: ignore[union-attr]
                    f"give the loss what goes into {made.op.name}, or set from_logits=False."), line))  # type: ignore[union-attr]
        elif name in _PROBABILITIES and len(node.args) > 1:
            _probabilities(record, (at[0], node.args[1]), traces, found, line, _PROBABILITIES[name], name == "cross_entropy")
        elif name == "class_labels" and "sparse" in str(node.op.params.get("operation", "")):  # type: ignore[union-attr]
            for other in above:
                user = record.node(other)
                if user.op.name in ("index", "take_along_axis") and other[0] == at[0] and user.args and (  # type: ignore[union-attr]
                        other[1] > at[1]) and any(_comes_from(record, (other[0], a), at[1]) for a in user.args[1:]):
                    _probabilities(record, (other[0], user.args[0]), traces, found, record.line(other) or line, "softmax", True)
                    break


def _comes_from(record: Record, at: At, idx: int) -> bool:
    node = record.node(at)
    while node.idx != idx:
        if not node.args:
            return False
        node = record.node((at[0], node.args[0]))
    return True


def _probabilities(record: Record, at: At, traces: Any, found: Advices, line: Line | None, function: str, rows: bool) -> None:
    value = values_of(traces, [at])[at]
    if not value.size or not np.isfinite(value).all():
        return
    low, high = float(value.min()), float(value.max())
    made = _origin(record, at).op.name  # type: ignore[union-attr]
    if low < 0 or high > 1 + 1e-5:
        found.append(Advice("probabilities", (
            f"the loss at {shown(line)} expects probabilities and gets values from {low:.4g} to {high:.4g} (made by {made}): "
            f"they look like logits; set from_logits=True, or apply {function} first."), line))
    elif rows and value.ndim and value.shape[-1] > 1 and made not in ("softmax", "sigmoid"):
        sums = value.sum(axis=-1)
        if np.abs(sums - 1).max() > 1e-2:
            found.append(Advice("probabilities", (
                f"the loss at {shown(line)} expects the probabilities of classes, and its rows add up to {float(sums.min()):.4g} "
                f"to {float(sums.max()):.4g}, not to 1 (made by {made}): apply softmax first, or set from_logits=True."), line))


def _broadcast(record: Record, above: list[At], found: Advices) -> None:
    """Two operands that both had to be stretched, as (n,) against (n, 1)."""
    for at in above:
        node = record.node(at)
        op = node.op
        assert op is not None
        if not op.prim.elementwise or len(node.args) < 2 or node.spec.__class__ is tuple:
            continue
        shapes = [record.spec((at[0], a)).shape for a in node.args]
        big = [s for s in shapes if int(np.prod(s)) > 1]
        out = node.specs[0].shape
        if len(big) >= 2 and all(s != out for s in big):
            for a in big:
                for b in big:
                    if len(a) == 1 and len(b) == 2 and b[1] == 1 and a[0] == b[0]:
                        line = record.line(at)
                        found.append(Advice("broadcast", (
                            f"{op.name} at {shown(line)} pairs shapes {a} and {b} to {out}: every value of one with every value "
                            f"of the other. If they belong together row by row, reshape one of them (squeeze the last axis, or "
                            f"add one)."),
                            line))
                        return


def _variables(tape: Any, loss: Any, record: Record, frame: Any, found: Advices) -> list[tuple[Any, str]]:
    """Trainable variables that no gradient reaches; returns those that one reaches, in the order of their use."""
    used: list[tuple[Any, str]] = []
    watched = [v for v in tape.watched_variables() if v.trainable and v._spec.dtype.kind in "fc"]
    for v in watched:
        why = explain(tape, loss, v, frame)
        name = name_in(frame, v, v.name)
        if why.connected:
            used.append((v, name))
        else:
            found.append(Advice("no gradient", f"no gradient reaches the variable {name}: {why}", why.line))
    known = {id(v) for v in watched}
    for name, holder in list(frame.f_locals.items()) if frame is not None else ():
        items = list(holder.values()) if isinstance(holder, dict) else holder if isinstance(holder, (list, tuple)) else ()
        if name.startswith("_") or len(items) > 1000 or holder is frame.f_locals:
            continue
        variables = [v for v in items if isinstance(v, Variable) and v.trainable and v._spec.dtype.kind in "fc"]
        if any(id(v) in known for v in variables):
            for v in variables:
                if id(v) not in known:
                    known.add(id(v))
                    found.append(Advice("unused", f"the variable {name_in(frame, v, v.name)} was not used on the tape, though "
                                        f"others of {name} were: its gradient will be None."))
    return used


def _sizes(tape: Any, loss: Any, record: Record, traces: Any, used: list[tuple[Any, str]], frame: Any, found: Advices) -> None:
    """How large the gradients are from layer to layer, and whether they are finite."""
    at = record.places(loss)[0]
    value = values_of(traces, [at])[at]
    if not np.isfinite(value).all():
        found.insert(0, Advice("not finite", "the loss is not finite: tape.post_mortem(loss) says where that began.",
                               record.line(at)))
        return
    grads = _gradients(tape, loss, [v for v, _ in used])
    rows = [(name, float(np.sqrt(np.mean(np.square(np.abs(g.astype(np.float64)))))))
            for (v, name), g in zip(used, grads) if g is not None and g.size]
    bad = [name for name, size in rows if not np.isfinite(size)]
    if bad:
        found.insert(0, Advice("not finite", f"the gradient of {', '.join(bad[:5])} is not finite: tape.post_mortem(loss) says "
                               f"where that began."))
        return
    layers = [(name, size) for (v, _), (name, size) in zip(used, rows) if v._spec.ndim >= 2]
    if len(layers) < 3:
        layers = rows
    if len(layers) >= 3 and layers[-1][1] > 0:
        (first, a), (last, b) = layers[0], layers[-1]
        rate = (max(a, 1e-300) / b) ** (1.0 / (len(layers) - 1))
        if a < 1e-3 * b and rate < 0.5:
            found.append(Advice("vanishing", (
                f"gradients vanish from layer to layer: their size is {b:.3g} at {last} and {a:.3g} at {first}, which is used "
                f"first ({rate:.2g} of it is left each layer back): use relu or gelu instead of sigmoid, an initial scale fit "
                f"for the width, normalisation or residual connections.")))
        elif a > 1e3 * b and rate > 2.0:
            found.append(Advice("exploding", (
                f"gradients explode from layer to layer: their size is {b:.3g} at {last} and {a:.3g} at {first}, which is used "
                f"first ({rate:.2g} times more each layer back): smaller initial weights, normalisation, or clipping by the "
                f"global norm help.")))
    elif rows and all(size == 0 for _, size in rows):
        found.append(Advice("vanishing", "every gradient is exactly zero: the last activation may be saturated or dead."))


def _gradients(tape: Any, loss: Any, variables: list[Any]) -> list[Any]:
    """The gradients' values; what is recorded for them is taken back."""
    trace = local.trace
    start, given, pulls = trace.node, len(trace.handles), len(trace.pulls)
    pinned, trace.pinned = trace.pinned, True
    try:
        grads = _derive.reverse_sweep(tape._spans(), tape._watched, [loss], [ones_of(loss._spec)], variables, tape._variables)
        places = {g._idx for g in grads if isinstance(g, Value) and g._trace is trace}
        values = computed(trace, places)
        return [None if g is None else values[g._idx] if g._trace is trace else np.asarray(g._look()) for g in grads]
    finally:
        if local.trace is trace:
            undo(trace, start, given)
            del trace.pulls[pulls:]
        trace.pinned = pinned



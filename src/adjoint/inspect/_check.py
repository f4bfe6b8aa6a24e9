"""The gradient that a program computed, against differences of what its tape recorded."""
from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from .._dtypes import DType, complex128, float64
from .._errors import AdjointError
from .._graph import Op
from .._tensor import Value
from .._trace import INPUT, Trace, record, recording_into
from ..custom import CUSTOM
from ..primitives.convert import STOP, convert
from ._gradcheck import Check, GradientReport, Kink, _differences, _labels, _Problem, _sampled, _subscript, numbers
from ._record import At, Record, name_in, shown
from ._values import traces_of, values_of

_SECONDS = 5.0                                           # about what the differences may take


def check_recorded(tape: Any, targets: list[Any], sources: list[Any], found: list[Any], cotangents: list[Any] | None,
                   frame: Any = None) -> GradientReport:
    """Compare gradients that a program computed with differences of the program that its tape recorded.

    targets, sources  what was differentiated, and by what
    found             for each source its gradient, or None, which is left out
    cotangents        for each target its cotangent, or None for ones; None in all where ``found`` are Jacobians

    The recorded program runs again in float64, from the values that it had. What no gradient is meant to pass
    (stop_gradient, operations outside of the tape) stays as it was then; a custom gradient is compared with its function.
    """
    report = GradientReport()
    kept = [(s, g, name_in(frame, s, f"source {k}")) for k, (s, g) in enumerate(zip(sources, found)) if g is not None]
    paired = [(t, c) for t, c in zip(targets, cotangents or [None] * len(targets))
              if isinstance(t, Value) and t._spec.dtype.kind in "fc"]
    if not kept or not paired:
        report.skipped.append("there is no gradient to compare")
        return report
    again = _Again(tape, [t for t, _ in paired], [s for s, _, _ in kept])
    with recording_into(Trace()), np.errstate(all="ignore"):
        problem = _Problem(again, tuple(again.values))
        problem.names = [text.replace(f"argument {k}", name) for k, (_, _, name) in enumerate(kept)
                         for text in problem.names[problem.slots[k]]]
        if cotangents is None:
            size = paired[0][0]._spec.size
            weights = np.eye(size)
            computed = [np.asarray(convert(g).numpy(), np.float64).reshape(size, *s._spec.shape) for s, g, _ in kept]
            wide = None
        else:
            weights = numbers([np.ones(t._spec.shape) + np.zeros((), t._spec.dtype.np) if c is None else convert(c).numpy()
                               for t, c in paired])[None]
            computed = [part[None] for part in problem.parts([g for _, g, _ in kept], problem.values)]
            wide = problem.reverse(problem.values, weights[0])
        _compare(report, problem, weights, computed, wide, kept)
    report.skipped += [f"custom_gradient at {line}: its gradient was compared with the derivative of its function"
                       for line in again.custom]
    return report


def _compare(report: GradientReport, problem: _Problem, weights: Any, computed: list[Any], wide: Any, kept: Any) -> None:
    for _ in range(2):                                   # the second time it is planned already
        start = time.perf_counter()
        zero = problem.value(problem.values)
    most = int(_SECONDS / max(20.0 * (time.perf_counter() - start), 1e-6))
    each, rng = max(16, min(32, most // len(problem.values))), np.random.default_rng(0)
    places = [(k, index) for k, v in enumerate(problem.values) for _, index in _sampled([v], each, rng)]
    total = sum(v.size for v in problem.values)
    if len(places) < total:
        report.skipped.append(f"{len(places)} of {total} coordinates were chosen at random")
    owners = {k: n for n, slot in enumerate(problem.slots) for k in range(slot.start, slot.stop)}
    inside = [Check(f"gradient by {name}, its rules in float64") for _, _, name in kept]
    outside = [Check(f"gradient by {name}, as computed in {s._spec.dtype.name}") for s, _, name in kept]
    label = _labels(problem.outputs)
    for k, index in places:
        expected, error, left, right = _differences(partial(problem.moved, k, index), float(problem.values[k][index]), zero)
        n = owners[k]
        for row, w in enumerate(weights):
            uses = np.flatnonzero(w)
            value, want, unsure = (float(x) for x in (
                computed[k][row][index], w[uses] @ expected[uses], np.abs(w[uses]) @ error[uses]))
            where = f"{'the target' if len(weights) == 1 else label(row)} by {problem.names[k]}{_subscript(index)}"
            if not np.isfinite(want):
                report.skipped.append(f"d {where} is infinite or undefined on a side; found {value:.6g}")
            elif not np.isnan(left[uses]).all():
                low, high = (float(w[uses] @ np.where(np.isnan(s[uses]), expected[uses], s[uses])) for s in (left, right))
                report.kinks.append(Kink(where, low, high, value))
            else:
                room = 3.0 * unsure + 1e-12
                if wide is not None:
                    inside[n].see(partial(str, where), want, float(wide[k][index]), 1e-6 * abs(want) + 1e-9 + room)
                size = abs(want) + float(np.abs(computed[k][row]).max())
                outside[n].see(partial(str, where), want, value, _resolution(kept[n][0]) * size + room)
    report.checks += [c for pair in zip(inside, outside) for c in pair if c.compared]


def _resolution(source: Any) -> float:
    """How far a gradient may be off, relative to the largest of its elements: half the digits of its dtype."""
    bits = {"float16": 11, "bfloat16": 8, "float32": 24, "complex64": 24}.get(source._spec.dtype.name, 53)
    return max(4.0 * 2.0 ** (-bits / 2), 1e-6)


class _Again:
    """The recorded program from sources to targets as a function, in float64.

    values  what the sources were
    custom  the lines of custom gradients in it
    """

    def __init__(self, tape: Any, targets: list[Any], sources: list[Any]) -> None:
        self.record = record = Record(tape, *targets, *sources)
        traces = traces_of(tape, record)
        self.targets = [places[0] for places in map(record.places, targets) if places]
        self.sources = [record.places(s) for s in sources]
        for s, places in zip(sources, self.sources):
            if not places:
                raise AdjointError(f"the check of a gradient: {name_in(None, s, 'a source')} is not in the record any more")
        self.steps: list[At] = []                        # what depends on the sources, in order
        self.custom: list[str] = []
        constants = self._walk()
        known = values_of(traces, {*constants, *[at for places in self.sources for at in places]})
        self.constants = {at: _wide(value) for at, value in known.items() if at in constants}
        self.values = [_wide(known[places[0]]) for places in self.sources]
        self.offsets = [[_wide(known[at]) - first for at in places] for places, first in zip(self.sources, self.values)]

    def _walk(self) -> set[At]:
        """Find the steps; returns the places whose values they take from the record."""
        record = self.record
        given = {at for places in self.sources for at in places}
        moves, above, stack = set(given), set[At](), list(self.targets)
        while stack:
            at = stack.pop()
            if at not in above:
                above.add(at)
                if at not in given:
                    link = record.link(at)
                    stack += [(at[0], a) for a in record.node(at).args] + ([] if link is None else [link])
        constants: set[At] = set()
        for at in sorted(above - given):
            node, link = record.node(at), record.link(at)
            op = node.op
            assert op is not None
            places = [(at[0], k) for k in range(node.idx, node.end)]
            if op.prim is INPUT:
                passes = link is not None and link in moves
            else:
                passes = op.prim is not STOP and record.in_spans(at) and any((at[0], a) in moves for a in node.args)
            if not passes:
                continue
            moves.update(places)
            if not self.steps or self.steps[-1] != places[0]:
                self.steps.append(places[0])
                constants.update((at[0], a) for a in node.args if (at[0], a) not in moves)
                if op.prim is CUSTOM:
                    self.custom.append(shown(record.line(at), False))
        self.moves = moves
        return constants | {at for at in self.targets if at not in moves}

    def __call__(self, *xs: Any) -> list[Any]:
        env: dict[At, Any] = {}
        for x, places, offsets in zip(xs, self.sources, self.offsets):
            for at, by in zip(places, offsets):
                env[at] = x + by if np.any(by) else x

        def value(at: At) -> Any:
            return env[at] if at in self.moves else convert(self.constants[at])

        for k, idx in self.steps:
            node = self.record.node((k, idx))
            op = node.op
            assert op is not None
            if op.prim is INPUT:
                env[k, idx] = env[self.record.link((k, idx))]  # type: ignore[index]
                continue
            args = [value((k, a)) for a in node.args]
            if op.prim is CUSTOM:
                made = args[-op.params["outputs"]:]
            else:
                result = record(_wider(op), *args)
                made = list(result) if result.__class__ is tuple else [result]
            env.update(((k, idx + n), y) for n, y in enumerate(made))
        return [value(at) for at in self.targets]


def _wide(array: Any) -> Any:
    a = np.asarray(array)
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) if a.dtype.kind not in "biu" else a


def _wider(op: Op) -> Op:
    """The same operation where its parameters speak of a narrower dtype."""
    params = {k: _wider(v) if isinstance(v, Op) else
              {"f": float64, "c": complex128}.get(v.kind, v) if isinstance(v, DType) else v for k, v in op.params.items()}
    return op.prim.op(**params)

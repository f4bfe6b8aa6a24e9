"""Repetition in straight-line code: a loop that a user's Python unrolled, found again.

A stretch of operations whose names repeat with some period is a loop, whatever its operations read: each argument of the
body is classified by what the iterations read there. What no pattern describes is read through a table of places, so
nothing but the sequence of operations decides whether there is a loop. The order of operations stays as it is.
"""
from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from .._graph import Spec
from .program import Instr

_STRETCH = 8                                             # operations that have to come again to suggest a period
_PERIODS = 256                                           # periods that are tried
_COUNT = 4                                               # iterations of the shortest loop
_WORTH = 48                                              # operations that a loop has to save
_MANY = 64                                               # iterations of a loop that need not lie in a longer one
_TRIES = 4096
_SHORT = 128                                             # operations of bodies whose first iteration may be left out
_BACK = 4                                                # iterations over which values are handed on in registers


class Ref:
    """What one argument of a body reads.

    same     the value made at ``place`` in this iteration
    carried  the value made at ``place``, len(codes) iterations before; ``codes`` are read by the first iterations
    fixed    one value from outside of the loop: codes[0]
    each     in iteration k the value codes[k]
    """

    __slots__ = ("codes", "kind", "place")

    def __init__(self, kind: str, place: int = -1, codes: Any = ()) -> None:
        self.kind, self.place, self.codes = kind, place, codes

    def __repr__(self) -> str:
        return f"{self.kind}({self.place}, {list(self.codes)[:4]})"


class Repeat:
    """``count`` iterations of ``period`` operations from number ``start``; refs: for each place, for each argument."""

    __slots__ = ("count", "period", "refs", "start")

    def __init__(self, start: int, period: int, count: int) -> None:
        self.start, self.period, self.count = start, period, count
        self.refs: list[list[Ref]] = []

    @property
    def stop(self) -> int:
        return self.start + self.period * self.count


class Rolled:
    """Operations with their loops. A value's code is the number of the operation that makes it, or, for one from outside,
    the number of operations plus its place in ``outside``."""

    __slots__ = ("args", "code", "instrs", "outside", "repeats")

    def __init__(self, instrs: list[Instr], specs: dict[int, Spec], names: dict[int, int]) -> None:
        self.instrs = instrs
        code = self.code = {i.outs[0]: n for n, i in enumerate(instrs)}
        n = len(instrs)
        self.outside: list[int] = []
        width = max([len(i.args) for i in instrs], default=1) or 1
        none = [-1] * width
        args: list[int] = []
        for instr in instrs:
            given = instr.args
            for a in given:
                a = names.get(a, a)
                c = code.get(a)
                if c is None:
                    c = code[a] = n + len(self.outside)
                    self.outside.append(a)
                args.append(c)
            args += none[len(given):]
        self.args = np.array(args, np.int64).reshape(n, width)
        self.repeats = [Repeat(*row) for row in repeats(_kinds(instrs, specs))]
        for r in self.repeats:
            irregular = self._classify(r)
            if irregular and r.count > _COUNT and r.period <= _SHORT:
                later = Repeat(r.start + r.period, r.period, r.count - 1)
                if self._classify(later) < irregular:    # the first iteration is unlike the others
                    r.start, r.count, r.refs = later.start, later.count, later.refs

    def _classify(self, r: Repeat) -> int:
        """Find what the body's arguments are; how many follow no pattern."""
        rows = self.args[r.start:r.stop].reshape(r.count, r.period, -1)
        relative = rows - (r.start + r.period * np.arange(r.count))[:, None, None]
        same = (relative == relative[-1]).all(0) & (relative[-1] >= 0) & (relative[-1] < r.period)
        r.refs = [[Ref("same", int(relative[-1, place, q])) if same[place, q] else
                   _ref(r, rows[:, place, q], relative[:, place, q])
                   for q in range(len(self.instrs[r.start + place].args))] for place in range(r.period)]
        return sum(ref.kind == "each" and bool(np.diff(ref.codes[:-1], 2).any()) for refs in r.refs for ref in refs)


def _ref(r: Repeat, codes: Any, relative: Any) -> Ref:
    """``relative``: the codes counted from the iteration's begin."""
    first, last = codes[0], relative[-1]
    if (codes == first).all() and not r.start <= first < r.stop:
        return Ref("fixed", codes=codes[:1])
    if r.start <= codes[-1] < r.stop:
        back = -(last // r.period)
        before = codes[:back]
        if 0 < back <= _BACK and (relative[back:] == last).all() and not ((before >= r.start) & (before < r.stop)).any():
            return Ref("carried", int(last + back * r.period), before)
    return Ref("each", codes=codes)


def _periods(kinds: Any) -> list[int]:
    """Distances at which stretches of a few operations come again, the shortest first."""
    n = len(kinds)
    names, width = np.asarray(kinds, np.int64), 1
    while width < _STRETCH and len(names) > width:       # number the stretches of 2, 4, 8 operations
        pairs = names[:-width] * (int(names.max()) + 1) + names[width:]
        names, width = np.unique(pairs, return_inverse=True)[1].reshape(-1), 2 * width
    order = np.argsort(names, kind="stable")
    apart = np.diff(order)[np.diff(names[order]) == 0]
    counts = np.bincount(apart[apart <= n // _COUNT], minlength=1)
    found = np.flatnonzero(counts >= _COUNT - 1)
    likely = np.argsort(-counts[found] * found, kind="stable")[:_PERIODS]
    return sorted(found[likely].tolist())


def repeats(kinds: Any) -> list[tuple[int, int, int]]:
    """Start, period and count of stretches that repeat, in order; those that save most are chosen first."""
    n = len(kinds)
    found: list[tuple[int, int, int, int]] = []

    rest = np.ones(n, bool)

    def offer(start: int, period: int, length: int) -> None:
        count = length // period
        if count >= _COUNT and (count - 1) * period >= _WORTH:
            found.append((-(count - 1) * period, period, start, length))

    for period in _periods(kinds):
        breaks = np.flatnonzero(kinds[period:] != kinds[:-period])
        edges = np.concatenate(([-1], breaks, [n - period]))
        lengths = np.diff(edges) - 1
        for b in np.flatnonzero(lengths >= max((_COUNT - 1) * period, _WORTH)):
            start, length = int(edges[b]) + 1, int(lengths[b]) + period
            offer(start, period, length)
            if length >= _MANY * period:
                rest[start:start + length] = False
        if np.count_nonzero(rest) * 20 <= n:             # long loops are nearly all that there is
            break
    heapq.heapify(found)
    free = np.ones(n, bool)
    chosen: list[tuple[int, int, int]] = []
    for _ in range(_TRIES):
        if not found:
            break
        _, period, start, length = heapq.heappop(found)
        here = free[start:start + length]
        if here.all():
            count = length // period
            chosen.append((start, period, count))
            free[start:start + count * period] = False
            continue
        taken = np.flatnonzero(~here)                    # what others left of it
        edges = np.concatenate(([-1], taken, [length]))
        more, found_before = np.diff(edges) - 1, len(found)
        for b in np.flatnonzero(more >= _WORTH):
            offer(start + int(edges[b]) + 1, period, int(more[b]))
        if len(found) > found_before:
            heapq.heapify(found)
    return sorted(chosen)


def _kinds(instrs: list[Instr], specs: dict[int, Spec]) -> Any:
    """A number for each operation, the same where a loop's body could hold it once."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault((i.op, *[specs[v] for v in (*i.outs, *i.args)]), len(numbers)) for i in instrs])


def remaining(instrs: list[Instr], specs: dict[int, Spec]) -> int:
    """How many operations there are to write when each loop's body is written once."""
    return len(instrs) - sum(period * (count - 1) for _, period, count in repeats(_kinds(instrs, specs)))


__all__ = ["Ref", "Repeat", "Rolled", "remaining", "repeats"]

"""What goes along an axis with a state, as LLVM code: one step for all elements across the axis, or for a few rows at a time."""
from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from ..._scalar import Expr, Functions
from ...plan.access import Access, contiguous, merged
from ...plan.fusion import wide
from ...plan.scan import Scan
from .apart import Apart
from .text import TYPE, number

if TYPE_CHECKING:
    from .unit import UnitWriter

_ROWS = 8                                                # that go side by side where nothing lies across the axis


class ScanWriter(Apart):
    """Writes one stage. The axes are: those before the scanned one, that one, those after it."""

    def __init__(self, unit: UnitWriter, stage: Scan) -> None:
        super().__init__(unit)
        self.stage = stage
        shape, k = stage.shape, stage.axis
        self.strided = [r for r in stage.reads if isinstance(r, Access)]
        rows = [contiguous(shape), *[a.strides for a in self.strided]]
        self.outer, before = merged(shape[:k], [r[:k] for r in rows])
        self.inner, after = merged(shape[k + 1:], [r[k + 1:] for r in rows])
        self.steps = [[*a, r[k], *b] for a, r, b in zip(before, rows, after)]
        self.n = shape[k]
        self.types = [unit.type(a) for a in stage.instrs[0].args]
        self.type = unit.type(stage.out)
        self.state = [e.type for e in self._step(Functions(), True)[0]]

    def write(self) -> None:
        rows, across = prod(self.outer), prod(self.inner)
        out = self._take(self.unit.memory(self.stage.out).pointer, "ptr")
        if across > 1:
            self._each(self.outer, lambda outer: self._scan(out, [outer], across))
        else:
            def at(row: str) -> list[str]:
                index = []
                for n in reversed(self.outer[1:]):
                    index.append(self.w.set(f"urem i64 {row}, {n}"))
                    row = self.w.set(f"udiv i64 {row}, {n}")
                return [row, *reversed(index)][:len(self.outer)]

            def several(first: str, count: int) -> None:
                self._scan(out, [at(self.w.set(f"add i64 {first}, {k}")) for k in range(count)], 1)

            if rows >= _ROWS:
                self._loop(rows // _ROWS, lambda i: several(self.w.set(f"mul i64 {i}, {_ROWS}"), _ROWS))
            if rows % _ROWS:
                several(str(rows - rows % _ROWS), rows % _ROWS)
        self._call("scan", "void")

    def _scan(self, out: str, rows: list[list[str]], across: int) -> None:
        """The whole axis, for these rows side by side."""
        vectors = not any(self._apart(a, by) for a, by in zip(self.strided, self.steps[1:]))
        states = [[self._buffer(t, across) for t in self.state] for _ in rows]

        def flat(inner: list[str]) -> str:
            return self._sum(list(contiguous(tuple(self.inner))), inner)

        def step(i: str, begin: bool) -> None:
            k = self.w.set(f"sub i64 {self.n - 1}, {i}") if self.stage.reverse else i
            for row, state in zip(rows, states):
                if across == 1:
                    self._one(out, [*row, k], state, "0", begin)
                    continue
                self._each(self.inner[:-1], lambda inner, row=row, state=state: self._row(  # type: ignore[misc]
                    self.inner[-1], vectors, lambda i: self._one(out, [*row, k, *inner, i], state, flat([*inner, i]), begin)))

        step("0", True)
        if self.n > 1:
            self._loop(self.n - 1, lambda i: step(self.w.set(f"add nuw nsw i64 {i}, 1"), False))

    def _one(self, out: str, index: list[str], state: list[str], at: str, begin: bool) -> None:
        w, s = self.w, Functions()
        after, value = self._step(s, begin)
        strided = iter(zip(self.strided, self.steps[1:]))
        known: list[str] = []
        for read, type in zip(self.stage.reads, self.types):
            if isinstance(read, Access):
                access, steps = next(strided)
                known.append(self._element(access.base, lambda a=access, by=steps: self._sum(  # type: ignore[misc]
                    by, index, a.offset)))
            else:
                known.append(self._spread(number(read, type), TYPE[type]))
        names = w.expressions([*after, value], lambda e: known[e.value] if e.value < len(known) else w.load(
            self._item(state[e.value - len(known)], e.type, at), e.type))
        for pointer, e, name in zip(state, after, names):
            w.store(name, self._item(pointer, e.type, at), e.type)
        w.store(names[-1], self._item(out, self.type, self._sum(self.steps[0], index)), self.type)

    def _step(self, s: Functions, begin: bool) -> tuple[tuple[Expr, ...], Expr]:
        """The state after an element, and the result there; the state before it comes after the arguments."""
        op = self.stage.instrs[0].op
        assert op.prim.scan is not None
        xs = [wide(s.input(t, k)) for k, t in enumerate(self.types)]
        before = None if begin else tuple([s.input(t, len(xs) + k) for k, t in enumerate(self.state)])
        after, value = op.prim.scan(s, before, *xs, **op.params)
        return after, value.to(self.type)


__all__ = ["ScanWriter"]

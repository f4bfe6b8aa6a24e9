"""Short rows, several at once: a vector holds the same element of as many rows.

A softmax over ten classes spends its time on what there is one of for each row: the sums across a vector, the logarithm, the
quotient. Here these are vectors too. Reading and writing an element of several rows costs a move each, which is less.
At the end of the rows the last ones are done again, and sums over rows leave them out.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from ..._scalar import Expr
from .reductions import Path, Reduction
from .straight import refuse
from .text import MEMORY, SIZE, TYPE, number
from .vectors import across, gather, iota, spread

if TYPE_CHECKING:
    from .loops import NestWriter, _Piece

_LONGEST = 24                                            # elements of a row
_WORTH = 12                                              # expressions for an element


def lanes(nest: NestWriter) -> int:
    """How many rows are worked on together; 0 where this is not for the nest."""
    n, rows = nest.unit.width // 4, nest.rows
    if rows < 2 * n or not any(p.inner for p in nest.pieces):
        return 0
    for p in nest.pieces:
        if any(v in nest.unit.renewed for v, _ in p.stores):   # rows at the end are done again
            return 0
        if len(p.outer) != 1 or len(p.inner) > 1 or p.inner and p.inner[0] > _LONGEST:
            return 0
        for r in p.reductions:
            if r.by_row:                                 # so few are added up without their errors anyway
                fits = r.length == 1
            else:
                fits = not nest._exact(r) and r.path.outer == [0] and r.path.inner in ([], [0], [1])
            if not fits:
                return 0
    cost = sum(len(p.s._known) * (p.inner[0] if p.inner else 1) for p in nest.pieces)
    return n if cost >= _WORTH * max(p.inner[0] for p in nest.pieces if p.inner) else 0


class RowVectors:
    """Writes the body of a nest for ``lanes`` rows at once."""

    def __init__(self, nest: NestWriter) -> None:
        self.nest, self.w, self.n = nest, nest.w, nest.lanes
        self.sums: dict[Reduction, str] = {}             # where each lane adds up for itself
        self.mask = ""

    def write(self, low: str, high: str) -> None:
        nest, w, n = self.nest, self.w, self.n
        reductions = [r for p in nest.pieces for r in p.reductions]
        for r in reductions:
            self.sums[r] = name = w.fresh("m")
            kind = f"<{n} x {MEMORY[r.wide]}>"
            nest.head.append(f"  {name} = alloca {f'[{r.length} x {kind}]' if r.length > 1 else kind}, align 64")
            if not r.by_row:
                self._start(r)
        level = nest._open(low, high, n)
        row = level[1]
        if nest.rows % n:
            last = w.set(f"sub i64 {high}, {n}")
            row = w.set(f"select i1 {w.set(f'icmp ult i64 {row}, {last}')}, i64 {row}, i64 {last}")
            done = w.set(f"trunc i64 {w.set(f'sub i64 {level[1]}, {row}')} to i32")
            self.mask = w.set(f"icmp uge <{n} x i32> {iota(n, 'i32')}, {spread(w, n, done, 'i32')}")
        for p in nest.pieces:
            for r in p.reductions:
                if r.by_row:
                    self._start(r)
            inner = nest._open("0", str(p.inner[0])) if p.inner else None
            nest.innermost = "", 0
            self._element(p, row, [inner[1]] if inner else [])
            if inner:
                nest._close(inner)
            for r in p.reductions:
                if r.by_row:
                    self._finish_row(r, row)
        nest._close(level)
        for r in reductions:
            if not r.by_row:
                self._hand_over(r)

    def _start(self, r: Reduction) -> None:
        w, nest = self.w, self.nest
        each = None if r.length == 1 else nest._open("0", str(r.length))
        w.lanes = self.n
        w.store(w.all(number(0, r.wide) if r.adds else nest._extreme(r), TYPE[r.wide]), self._sum(r, each and each[1]), r.wide)
        w.lanes = 0
        if each:
            nest.innermost = "", 0
            nest._close(each)

    def _sum(self, r: Reduction, i: str | None) -> str:
        """The accumulators of element ``i``."""
        return self.sums[r] if not i else self.w.set(f"getelementptr <{self.n} x {MEMORY[r.wide]}>, ptr {self.sums[r]}, i64 {i}")

    def _element(self, p: _Piece, row: str, inner: list[str]) -> None:
        nest, w = self.nest, self.w
        w.lanes = self.n
        wanted = [e for _, e in p.stores] + [r.source for r in p.reductions] + p.s.refused
        names = w.expressions(wanted, lambda e, further="": self._leaf(p, e, row, inner, further))
        for (v, e), name in zip(p.stores, names):
            put = p.loop.puts.get(v)
            path = p.whole if put is None else p.paths[id(put)]
            to = v if put is None else put.base
            if to in nest.local:
                w.store(name, self._buffer(to, path, inner), e.type)
            else:
                at = nest._at(nest._pointer(to, path)[0], e.type, path, [row], inner, False)
                self._scatter(name, at, path.outer[0], e.type)
        for r, name in zip(p.reductions, names[len(p.stores):]):
            value = w.convert(name, r.source.type, r.wide)
            if self.mask and r.adds and not r.by_row:
                t = w.vector(TYPE[r.wide])
                value = w.set(f"select {w.vector('i1')} {self.mask}, {t} {value}, {t} zeroinitializer")
            place = self._sum(r, inner[0] if r.path.inner == [1] else None)
            w.store(nest._joined(r, w.load(place, r.wide), value), place, r.wide)
        w.lanes = 0
        for name in names[len(p.stores) + len(p.reductions):]:
            bits = w.set(f"bitcast <{self.n} x i1> {name} to i{self.n}")
            refuse(w, w.set(f"icmp ne i{self.n} {bits}, 0"), nest.flag)

    def _leaf(self, p: _Piece, e: Expr, row: str, inner: list[str], further: str) -> str:
        nest, w, x = self.nest, self.w, p.leaves[e.value]
        if isinstance(x, tuple):
            return spread(w, self.n, nest._name(nest.unit.scalars[x[0]], TYPE[x[1]]), TYPE[x[1]])
        path, type = p.paths[id(x)], nest.unit.type(x.base)
        if x.base in nest.unit.ramps:
            return self._ramp(path, type, row, inner, further)
        if x.base in nest.local:
            at = self._buffer(x.base, path, inner)
            if not further:
                return w.load(at, type)
            rows = w.set(f"mul <{self.n} x i64> {further}, {w.all(str(self.n), 'i64')}")
            return gather(w, self.n, at, 1, type, rows)
        at = nest._at(nest._pointer(x.base, path)[0], type, path, [row], inner, False)
        if not further and path.outer[0] == 0:
            w.lanes = 0
            value = w.load(at, type)
            w.lanes = self.n
            return spread(w, self.n, value, TYPE[type])
        return gather(w, self.n, at, path.outer[0], type, further)

    def _ramp(self, path: Path, type: str, row: str, inner: list[str], further: str) -> str:
        """Consecutive whole numbers, or every so many."""
        w, n = self.w, self.n
        first = self.nest._sum(path, [row], inner, False) or "0"
        value = spread(w, n, w.set(f"add i64 {first}, {path.offset}"), "i64")
        value = w.set(f"add <{n} x i64> {value}, {iota(n, 'i64', path.outer[0])}")
        return w.convert(w.set(f"add <{n} x i64> {value}, {further}") if further else value, "i64", type)

    def _buffer(self, v: int, path: Path, inner: list[str]) -> str:
        """Where a buffer of one row has an element of all rows at hand."""
        w, buffer = self.w, self.nest.local[v]
        i = self.nest._sum(path, [], inner, True)
        if path.offset:
            i = w.set(f"add i64 {i}, {path.offset}") if i else str(path.offset)
        return w.set(f"getelementptr <{self.n} x {MEMORY[buffer.type]}>, ptr {buffer.pointer}, i64 {i}") if i else buffer.pointer

    def _scatter(self, value: str, at: str, apart: int, type: str) -> None:
        w, n, t = self.w, self.n, MEMORY[type]
        if apart == 1:
            w.store(value, at, type)
            return
        if type == "b":
            value = w.set(f"zext <{n} x i1> {value} to <{n} x i8>")
        for k in range(n):
            one = w.set(f"extractelement <{n} x {t}> {value}, i64 {k}")
            w.add(f"store {t} {one}, ptr {w.set(f'getelementptr {t}, ptr {at}, i64 {k * apart}')}, align {SIZE[type]}")

    def _finish_row(self, r: Reduction, row: str) -> None:
        nest, w, out = self.nest, self.w, self.nest.unit.type(r.out)
        pointer, local = nest._pointer(r.out) if r.out in nest.local or r.out in nest.arrays else ("", False)
        if pointer:
            to = pointer if local else w.set(f"getelementptr inbounds {MEMORY[out]}, ptr {pointer}, i64 {row}")
            w.lanes = self.n
            w.store(nest._total(r, w.load(self.sums[r], r.wide), "", out), to, out)
            w.lanes = 0

    def _hand_over(self, r: Reduction) -> None:
        """The lanes put together, where the nest expects its sums."""
        nest, w = self.nest, self.w
        each = None if r.length == 1 else nest._open("0", str(r.length))
        nest.innermost = "", 0
        i = each[1] if each else ""
        w.lanes = self.n
        value = w.load(self._sum(r, i), r.wide)
        value = across(nest, r, value, self.n)
        to = nest._index(r.array.pointer, r.wide, i)
        w.store(nest._joined(r, w.load(to, r.wide), value), to, r.wide)
        if each:
            nest._close(each)


__all__ = ["RowVectors", "lanes"]

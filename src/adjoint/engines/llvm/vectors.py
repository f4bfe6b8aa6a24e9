"""The innermost loop of a nest, written in vectors.

Left to itself the compiler finds vectors too, but it writes each loop several times (wide, narrow, one by one) and looks long
for what is known here. A vector at the end that is not full begins earlier: elements that were done are done
again, and sums leave them out. So the body stands there once. Loops that jump through memory are left to the compiler.
"""
from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..._scalar import Expr
from .straight import refuse
from .text import MEMORY, SIZE, TYPE, Writer, number

if TYPE_CHECKING:
    from .loops import NestWriter, _Piece
    from .reductions import Path, Reduction, Walker

_MOSTLY = 4                                              # so many operations on 4 bytes for each on 8: vectors of the former
_FEW, _SOME = 8, 24                                      # operations up to which a sum is added up in four or two parts
_SHORT = 8                                               # a row of fewer elements is one vector
_LONG, _DENSE = 1 << 14, 8                               # elements, and operations for each that is read or written, from which
_JUMPS = 2                                               # so many inputs may be read in jumps
_MOST = 64                                               # two vectors at once pay (they compile twice as long); lanes


class VectorLoop:
    """The loop over the last axis of a piece; ``lanes`` is 0 where it is not for vectors."""

    def __init__(self, nest: NestWriter, p: _Piece, step: int) -> None:
        self.nest, self.p, self.w = nest, p, nest.w
        self.n = (p.inner or p.outer)[-1]
        self.wanted = [e for _, e in p.stores] + [r.source for r in p.reductions] + p.s.refused
        self.order = _ordered(self.wanted)
        self.same = self._uniform()
        self.apart = 0                                   # inputs whose elements do not lie side by side
        self.lanes = self._lanes(step) if self._fits() else 0
        self.tail = bool(self.lanes and self.n % self.lanes)

    def _step(self, path: Path) -> int:
        return (path.inner if self.p.inner else path.outer)[-1]

    def _path(self, e: Expr) -> Path | None:
        """How a leaf goes over memory; None for a single number."""
        x = self.p.leaves[e.value]
        return None if isinstance(x, tuple) else self.p.paths[id(x)]

    def _uniform(self) -> set[Expr]:
        """What is the same for all elements."""
        same: set[Expr] = set()
        for e in self.order:
            if all(a in same for a in e.args):
                path = self._path(e) if e.op in ("input", "read") else None
                if path is None or self._step(path) == 0:
                    same.add(e)
        return same

    def _fits(self) -> bool:
        p = self.p
        for e in self.order:
            if e.op in ("input", "read") and e not in self.same:
                x = p.leaves[e.value]
                step = self._step(p.paths[id(x)])
                if not all(a in self.same for a in e.args):
                    return False
                self.apart += step != 1
                if x.base in self.nest.unit.ramps and (step != 1 or e.type[0] not in "iu" or self.n >= 1 << SIZE[e.type] * 8 - 1):
                    return False
        if any(self._step(p.paths[id(put)]) != 1 for put in p.loop.puts.values()) or p.stores and self._step(p.whole) != 1:
            return False
        return all(self._step(r.path) == (0 if r.block else self._step(r.path) if not r.errors else 1)
                   and self._step(r.path) in (0, 1) for r in p.reductions)

    def _lanes(self, step: int) -> int:
        sizes = [SIZE[e.type] for e in self.order if e not in self.same]
        for r in self.p.reductions:
            sizes += [SIZE[r.wide]] * (1 + (r.wide != r.source.type))
        widest = max(sizes, default=0)
        if not widest:
            return 0
        if widest == 8 and sizes.count(4) >= _MOSTLY * sizes.count(8):
            widest = 4
        lanes = self.nest.unit.width // widest
        if self.apart:                                   # each of their elements is a move
            fits = self.apart <= _JUMPS and lanes <= self.n >= _SHORT and (self.p.inner or step == self.n or step % lanes == 0)
            return lanes if fits else 0
        if any(self._step(r.path) == 0 for r in self.p.reductions):
            lanes *= 4 if len(sizes) <= _FEW else 2 if len(sizes) <= _SOME else 1
        elif self.n >= _LONG and len(sizes) >= _DENSE * (len(self.p.leaves) + len(self.p.stores)):
            lanes *= 2
        lanes = self.n if self.n < _SHORT else min(lanes, _MOST)
        once = any(v in self.nest.unit.renewed for v, _ in self.p.stores)   # what lies over its argument is not done again
        while lanes > self.n or not self.p.inner and step % lanes and step != self.n or once and self.n % lanes:
            lanes //= 2
        return lanes if lanes > 1 else 0

    # ---------------------------------------------------------------------------------------------------------- writing

    def write(self, low: str, high: str, outer: list[str], index: list[str]) -> None:
        """The loop from ``low`` to ``high``. ``outer``: indices of the outer axes, empty where the loop's is the only one;
        ``index``: of the inner ones before it."""
        nest, p, w, lanes = self.nest, self.p, self.w, self.lanes
        place = (outer, [*index, ""]) if outer else ([*index, ""], [])
        numbers, vectors = self._before(place)
        pointers: dict[Any, str] = {}

        def base(key: Any, v: int, path: Path, further: str = "") -> None:
            pointer, local = nest._pointer(v, path)
            pointers[key] = nest._at(pointer, nest.unit.type(v), path, *place, local, further)

        for e in self.order:
            if e.op in ("input", "read") and e not in self.same:
                x = p.leaves[e.value]
                path = p.paths[id(x)]
                if x.base in nest.unit.ramps:
                    first = nest._sum(path, *place, False) or "0"
                    for more in [str(path.offset), *[numbers[a] for a in e.args]]:
                        first = w.set(f"add i64 {first}, {more}") if more != "0" else first
                    pointers[e] = first
                else:
                    base(e, x.base, path, *[numbers[a] for a in e.args])
        for v, _ in p.stores:
            put = p.loop.puts.get(v)
            base(v, v if put is None else put.base, p.whole if put is None else p.paths[id(put)])
        columns = {r: [nest._at(a.pointer, a.type, r.path, *place, r.by_row) for a in (r.array, r.errors) if a]
                   for r in p.reductions if self._step(r.path)}
        once = low == "0" and high == str(lanes)
        last = (str(int(high) - lanes) if high.isdigit() else w.set(f"sub i64 {high}, {lanes}")) if self.tail else ""
        level = None if once else nest._open(low, high, lanes)
        nest.innermost, begin = ("", 0), len(w.lines)
        i = at = "0" if level is None else level[1]
        mask = ""
        if last:
            at = w.set(f"select i1 {w.set(f'icmp ult i64 {i}, {last}')}, i64 {i}, i64 {last}")
            if any(r.adds for r in p.reductions):
                mask = self._mask(i, at)

        def element(pointer: str, type: str) -> str:
            return w.set(f"getelementptr inbounds {MEMORY[type]}, ptr {pointer}, i64 {at}") if at != "0" else pointer

        def leaf(e: Expr, further: str = "") -> str:
            if p.leaves[e.value].base in nest.unit.ramps:
                return self._count(pointers[e], at, TYPE[e.type])
            step = self._step(p.paths[id(p.leaves[e.value])])
            if step == 1:
                return w.load(element(pointers[e], e.type), e.type)
            first = w.set(f"getelementptr {MEMORY[e.type]}, ptr {pointers[e]}, i64 {w.set(f'mul i64 {at}, {step}')}")
            return gather(w, lanes, first, step, e.type)

        w.lanes = lanes
        names = w.expressions(self.wanted, leaf, {**numbers, **vectors})
        for (v, e), name in zip(p.stores, names):
            w.store(name, element(pointers[v], e.type), e.type)
        sums = []
        for r, name in zip(p.reductions, names[len(p.stores):]):
            value = w.convert(name, r.source.type, r.wide)
            if mask and r.adds:
                t = w.vector(TYPE[r.wide])
                value = w.set(f"select {w.vector('i1')} {mask}, {t} {value}, {t} zeroinitializer")
            if r in columns:
                self._column(r, [element(pointer, r.wide) for pointer in columns[r]], value)
            else:
                sums.append((r, value if level is None else self._carried(r, value, level[0], begin)))
        w.lanes = 0
        for name in names[len(p.stores) + len(p.reductions):]:
            bits = w.set(f"bitcast <{lanes} x i1> {name} to i{lanes}")
            refuse(w, w.set(f"icmp ne i{lanes} {bits}, 0"), nest.flag)
        if level is not None:
            nest._close(level)
        for r, value in sums:
            to = r.block or nest._at(r.array.pointer, r.wide, r.path, *place, r.by_row)
            value = across(nest, r, value, lanes)
            w.store(self.nest._joined(r, w.load(to, r.wide), value), to, r.wide)

    def _before(self, place: tuple[list[str], list[str]]) -> tuple[dict[Expr, str], dict[Expr, str]]:
        """What is the same for all elements, computed once before the loop: numbers that tell where to read, and vectors."""
        nest, w, same = self.nest, self.w, self.same
        wanted = {e: "" for e in self.wanted if e in same and e.op != "const"}
        places: dict[Expr, str] = {}
        for e in self.order:
            if e not in same:
                (places if e.op == "read" else wanted).update(
                    {a: "" for a in e.args if a in same and (a.op != "const" or e.op == "read")})

        def leaf(e: Expr, further: str = "") -> str:
            return nest._leaf(self.p, e, *place, further)

        found = [*wanted, *places]
        known = dict(zip(found, w.expressions(found, leaf)))
        numbers = {e: known[e] for e in places}
        return numbers, {e: spread(w, self.lanes, known[e], TYPE[e.type]) for e in wanted}

    def _mask(self, i: str, at: str) -> str:
        """Which lanes were not done before."""
        w = self.w
        done = w.set(f"trunc i64 {w.set(f'sub i64 {i}, {at}')} to i32")
        return w.set(f"icmp uge <{self.lanes} x i32> {iota(self.lanes, 'i32')}, {spread(w, self.lanes, done, 'i32')}")

    def _count(self, first: str, at: str, t: str) -> str:
        """Consecutive whole numbers."""
        w = self.w
        x = w.set(f"add i64 {first}, {at}")
        if t != "i64":
            x = w.set(f"trunc i64 {x} to {t}")
        return w.set(f"add {w.vector(t)} {spread(w, self.lanes, x, t)}, {iota(self.lanes, t)}")

    def _column(self, r: Reduction, to: list[str], value: str) -> None:
        """Added to as many places as there are lanes."""
        w = self.w
        if r.errors is not None:
            self.nest._compensated(to[0], to[1], value)
        else:
            w.store(self.nest._joined(r, w.load(to[0], r.wide), value), to[0], r.wide)

    def _carried(self, r: Reduction, value: str, label: str, begin: int) -> str:
        """Added to what the loop carries along, each lane by itself."""
        w, t = self.w, TYPE[r.wide]
        before = w.fresh("s")
        after = self.nest._joined(r, before, value)
        first = w.all(number(0, r.wide) if r.adds else self.nest._extreme(r), t)
        w.lines.insert(begin, f"  {before} = phi {w.vector(t)} [ {first}, %{label}.in ], [ {after}, %{label}.next ]")
        return after


def _ordered(wanted: list[Expr]) -> list[Expr]:
    """These expressions and all that they need, before those that need them."""
    out: dict[Expr, None] = {}
    stack = list(reversed(wanted))
    while stack:
        e = stack[-1]
        missing = [a for a in e.args if a not in out] if e not in out else []
        if missing:
            stack.extend(reversed(missing))
        else:
            out[stack.pop()] = None
    return list(out)


def spread(w: Writer, n: int, x: str, t: str) -> str:
    """A number in each of n lanes."""
    one = w.set(f"insertelement <{n} x {t}> poison, {t} {x}, i64 0")
    return w.set(f"shufflevector <{n} x {t}> {one}, <{n} x {t}> poison, <{n} x i32> zeroinitializer")


def iota(n: int, t: str, step: int = 1) -> str:
    """The constant 0, step, 2 step, ..."""
    return f"<{', '.join(f'{t} {k * step}' for k in range(n))}>"


def gather(w: Writer, n: int, at: str, apart: int, type: str, further: str = "") -> str:
    """What lies ``apart`` elements from each other, and each by its own number ``further`` on."""
    t = MEMORY[type]
    if apart == 1 and not further:
        return w.load(at, type)
    v, value = f"<{n} x {t}>", "poison"

    def load(kind: str, place: str) -> str:
        return w.set(f"load {kind}, ptr {w.set(f'getelementptr {t}, ptr {at}, i64 {place}')}, align {SIZE[type]}")

    if not further and apart in (-1, 2) and n % 2 == 0:  # put in order from what lies between the first and the last
        parts = [load(v, str(place)) for place in ((1 - n,) if apart == -1 else (0, n - 1))]
        order = range(n - 1, -1, -1) if apart == -1 else [2 * k + (2 * k >= n) for k in range(n)]
        places = ", ".join(f"i32 {k}" for k in order)
        value = w.set(f"shufflevector {v} {parts[0]}, {v} {parts[-1]}, <{n} x i32> <{places}>")
    else:
        for k in range(n):
            place = str(k * apart)
            if further:
                place = w.set(f"add i64 {w.set(f'extractelement <{n} x i64> {further}, i64 {k}')}, {place}")
            value = w.set(f"insertelement {v} {value}, {t} {load(t, place)}, i64 {k}")
    return w.set(f"icmp ne <{n} x i8> {value}, zeroinitializer") if type == "b" else value


def across(nest: Walker, r: Reduction, value: str, n: int) -> str:
    """The n lanes put together."""
    w, t = nest.w, TYPE[r.wide]
    if n < _SHORT:
        w.lanes = 0
        lanes = [w.set(f"extractelement <{n} x {t}> {value}, i64 {k}") for k in range(n)]
        return functools.reduce(lambda a, b: nest._joined(r, a, b), lanes)
    while n > 1:
        v, half = f"<{n} x {t}>", n // 2
        parts = []
        for k in (0, half):
            at = ", ".join(f"i32 {k + j}" for j in range(half))
            parts.append(w.set(f"shufflevector {v} {value}, {v} poison, <{half} x i32> <{at}>"))
        w.lanes, n = half, half
        value = nest._joined(r, parts[0], parts[1])
    w.lanes = 0
    return w.set(f"extractelement <1 x {t}> {value}, i64 0")


__all__ = ["VectorLoop", "across", "gather", "iota", "spread"]

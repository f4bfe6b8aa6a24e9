"""Small products of matrices as vector code: tiles that are added up in registers."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ...plan.products import Product
from .text import SIZE, TYPE, Writer

Values = list[str]

_BLOCK = 256                                             # float32 is added up in blocks of so many terms
_ROWS = 4                                                # rows of a tile


def loop(w: Writer, count: int | str, step: int, body: Callable[[str, Values], Values | None],
         carried: Sequence[tuple[str, str]] = ()) -> Values:
    """``body(index, values) -> values`` for 0, step, ... below ``count`` (at least once); the values at the end.

    carried  types of the values, and what they start as
    """
    if isinstance(count, int) and count <= step:
        return body("0", [v for _, v in carried]) or []
    label = w.fresh("P")[1:]
    i = f"%{label}.i"
    names = [f"%{label}.{k}" for k in range(len(carried))]
    for mark in (f"{label}.in", label):
        w.add(f"br label %{mark}")
        w.label(mark)
    at = len(w.lines)
    after = body(i, names) or []
    w.add(f"br label %{label}.next")
    w.label(f"{label}.next")
    w.add(f"{i}.n = add nuw nsw i64 {i}, {step}")
    more = w.set(f"icmp ult i64 {i}.n, {count}")
    w.add(f"br i1 {more}, label %{label}, label %{label}.out")
    w.label(f"{label}.out")
    w.lines[at:at] = [f"  {i} = phi i64 [ 0, %{label}.in ], [ {i}.n, %{label}.next ]", *[
        f"  {name} = phi {type} [ {start}, %{label}.in ], [ {end}, %{label}.next ]"
        for name, (type, start), end in zip(names, carried, after)]]
    return after


def times(w: Writer, i: str, stride: int) -> str:
    """A place times a stride, where either may be known."""
    if i.isdigit():
        return str(int(i) * stride)
    return i if stride == 1 else w.set(f"mul nsw i64 {i}, {stride}") if stride else "0"


def plus(w: Writer, i: str, k: str) -> str:
    if i.isdigit() and k.isdigit():
        return str(int(i) + int(k))
    return i if k == "0" else k if i == "0" else w.set(f"add nuw nsw i64 {i}, {k}")


def shift(w: Writer, pointer: str, type: str, count: str) -> str:
    """A pointer to the element ``count`` further on."""
    return pointer if count == "0" else w.set(f"getelementptr inbounds {TYPE[type]}, ptr {pointer}, i64 {count}")


def by_row(p: Product) -> bool:
    """Whether the elements of a row of b are neighbours: a tile's columns are vectors then."""
    return p.bn == 1 or (p.n == 1 and p.ak != 1)


def along(p: Product) -> bool:
    """Whether both operands lie along the axis that is summed: vectors of terms then."""
    return p.k == 1 or p.ak == p.bk == 1


class Tiles:
    """Writes one product, in vector registers of ``width`` bytes."""

    def __init__(self, w: Writer, p: Product, width: int) -> None:
        self.w, self.p, self.type, self.real = w, p, p.type, TYPE[p.type]
        self.lanes, self.few = width // SIZE[p.type], width < 64          # AVX-512 and NEON have 32 registers, AVX2 has 16

    def write(self, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        """c = d + alpha a b (d None: without)."""
        if along(self.p) and not by_row(self.p):
            self._dots(a, b, c, d, alpha, self.lanes)
        else:
            self._rows(a, b, c, d, alpha, self.lanes if by_row(self.p) else 1)

    def _rows(self, a: str, b: str, c: str, d: str | None, alpha: str, lanes: int) -> None:
        """Tiles of some rows and some vectors of columns, added up over k in registers."""
        p = self.p
        rows = min(p.m, _ROWS)
        wide = (2 if self.few else 4) * (2 if rows < 3 else 1) * lanes
        whole = p.n // wide * wide

        def strip(j: str, widths: list[int]) -> None:
            pb, pc = self._shift(b, times(self.w, j, p.bn)), self._shift(c, j)
            pd = d and self._shift(d, j)

            def tile(i: str, height: int) -> None:
                def on(pointer: str, stride: int) -> str:
                    return self._shift(pointer, times(self.w, i, stride))

                self._tile(on(a, p.am), pb, on(pc, p.om), pd and on(pd, p.om), alpha, height, widths)

            full = p.m // rows * rows
            loop(self.w, full, rows, lambda i, _: tile(i, rows))
            if p.m > full:
                tile(str(full), p.m - full)

        if whole:
            loop(self.w, whole, wide, lambda j, _: strip(j, [lanes] * (wide // lanes)))
        if p.n > whole:
            strip(str(whole), pieces(p.n - whole, lanes))

    def _tile(self, a: str, b: str, c: str, d: str | None, alpha: str, rows: int, widths: list[int]) -> None:
        w, p = self.w, self.p
        starts = [sum(widths[:k]) for k in range(len(widths))]
        types = [self._vector(n) for n in widths] * rows

        def term(k: str, sums: Values) -> Values:
            pb, pa = self._shift(b, times(self.w, k, p.bk)), self._shift(a, times(self.w, k, p.ak))
            columns = [self._load(pb, n, str(s * p.bn)) for n, s in zip(widths, starts)]
            out = []
            for r in range(rows):
                x = w.load(self._shift(pa, str(r * p.am)), p.type)
                spread = {n: self._splat(x, n) for n in set(widths)}
                for q, n in enumerate(widths):
                    out.append(self._fma(n, spread[n], columns[q], sums[r * len(widths) + q]))
            return out

        zeros = [(t, "zeroinitializer") for t in types]
        sums = self._blocks(p.k, term, zeros)
        for r in range(rows):
            for q, (n, s) in enumerate(zip(widths, starts)):
                value = sums[r * len(widths) + q]
                at = str(r * p.om + s)
                self._store(self._ended(value, alpha, n, d, at), self._shift(c, at), n)

    def _blocks(self, count: int, term: Callable[[str, Values], Values], zeros: list[tuple[str, str]]) -> Values:
        """Sums over ``count`` terms, of long ones in blocks."""
        if count <= 2 * _BLOCK:
            return loop(self.w, count, 1, term, zeros)

        def block(start: str, totals: Values, size: int = _BLOCK) -> Values:
            def inside(k: str, sums: Values) -> Values:
                return term(plus(self.w, start, k), sums)

            parts = loop(self.w, size, 1, inside, zeros)
            return [self.w.set(f"fadd {t} {x}, {y}") for (t, _), x, y in zip(zeros, totals, parts)]

        whole = count // _BLOCK * _BLOCK
        totals = loop(self.w, whole, _BLOCK, block, zeros)
        return block(str(whole), totals, count - whole) if count > whole else totals

    def _dots(self, a: str, b: str, c: str, d: str | None, alpha: str, lanes: int) -> None:
        """Both operands lie along k: each element is added up in the lanes of a vector."""
        p = self.p
        rows, columns = min(p.m, 2), min(p.n, 4)
        vector = self._vector(lanes)
        whole = p.k // lanes * lanes

        def tile(i: str, j: str, height: int, width: int) -> None:
            w = self.w
            pa = [self._shift(a, times(self.w, plus(self.w, i, str(r)), p.am)) for r in range(height)]
            pb = [self._shift(b, times(self.w, plus(self.w, j, str(q)), p.bn)) for q in range(width)]

            def terms(k: str, sums: Values, n: int = lanes) -> Values:
                xs, ys = [self._load(x, n, k) for x in pa], [self._load(y, n, k) for y in pb]
                return [self._fma(n, x, y, sums[r * width + q]) for r, x in enumerate(xs) for q, y in enumerate(ys)]

            total: Values = []
            if whole:
                sums = loop(w, whole, lanes, lambda k, s: terms(k, s), [(vector, "zeroinitializer")] * (height * width))
                total = [self._added(lanes, s) for s in sums]
            at = whole
            for n in pieces(p.k - whole, lanes):
                parts = [self._added(n, s) for s in terms(str(at), ["zeroinitializer"] * (height * width), n)]
                total = [w.set(f"fadd {self.real} {x}, {y}") for x, y in zip(total, parts)] if total else parts
                at += n
            for r in range(height):
                for q in range(width):
                    at_c = plus(self.w, times(self.w, plus(self.w, i, str(r)), p.om), plus(self.w, j, str(q)))
                    value = self._ended(total[r * width + q], alpha, 0, d, at_c)
                    w.store(value, self._shift(c, at_c), self.type)

        def strip(j: str, width: int) -> None:
            full = p.m // rows * rows
            loop(self.w, full, rows, lambda i, _: tile(i, j, rows, width))
            if p.m > full:
                tile(str(full), j, p.m - full, width)

        full = p.n // columns * columns
        loop(self.w, full, columns, lambda j, _: strip(j, columns))
        if p.n > full:
            strip(str(full), p.n - full)

    # ---------------------------------------------------------------------------------------------------------- vectors
    # A vector of n elements; n = 0: a plain number.

    def _shift(self, pointer: str, count: str) -> str:
        return shift(self.w, pointer, self.type, count)

    def _vector(self, n: int) -> str:
        return f"<{n} x {self.real}>" if n else self.real

    def _load(self, pointer: str, n: int, at: str) -> str:
        return self.w.set(f"load {self._vector(n)}, ptr {self._shift(pointer, at)}, align {SIZE[self.type]}")

    def _store(self, value: str, pointer: str, n: int) -> None:
        self.w.add(f"store {self._vector(n)} {value}, ptr {pointer}, align {SIZE[self.type]}")

    def _splat(self, x: str, n: int) -> str:
        if not n:
            return x
        v = self._vector(n)
        one = self.w.set(f"insertelement {v} poison, {self.real} {x}, i64 0")
        return self.w.set(f"shufflevector {v} {one}, {v} poison, <{n} x i32> zeroinitializer")

    def _fma(self, n: int, x: str, y: str, z: str) -> str:
        v = self._vector(n)
        name = f"llvm.fmuladd.{f'v{n}' if n else ''}{self.type}"
        self.w.intrinsics.add(f"declare {v} @{name}({v}, {v}, {v})")
        return self.w.set(f"call {v} @{name}({v} {x}, {v} {y}, {v} {z})")

    def _added(self, n: int, x: str) -> str:
        v, name = self._vector(n), f"llvm.vector.reduce.fadd.v{n}{self.type}"
        self.w.intrinsics.add(f"declare {self.real} @{name}({self.real}, {v})")
        return self.w.set(f"call reassoc {self.real} @{name}({self.real} -0.0, {v} {x})")

    def _ended(self, value: str, alpha: str, n: int, d: str | None, at: str) -> str:
        """d + alpha * value"""
        p = self.p
        v = self._vector(n)
        plain = not p.scales and p.factor == 1.0
        if d is None:
            return value if plain else self.w.set(f"fmul {v} {value}, {self._splat(alpha, n)}")
        before = self._load(d, n, at)
        if plain:
            return self.w.set(f"fadd {v} {before}, {value}")
        return self._fma(n, value, self._splat(alpha, n), before)


def pieces(n: int, lanes: int) -> list[int]:
    """``n`` as vectors of ``lanes`` elements and, for the rest, of ever fewer."""
    out = []
    while n:
        while lanes > n:
            lanes //= 2
        out.append(lanes)
        n -= lanes
    return out


__all__ = ["Tiles", "along", "by_row", "loop", "plus", "shift", "times"]

"""Matrix products in compiled code: small ones as vector code of their own, the others through the BLAS."""
from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from ...plan.products import Product, layout
from .blas import Blas
from .text import SIZE, TYPE, Writer, number

Values = list[str]

# Multiplications up to which a product is written out: where b lies by rows, where both lie along the sum, where neither
# does, and for one row. Beyond, a BLAS that packs its operands is better.
_INLINE, _DOTS, _ACROSS, _ROW = 1 << 17, 1 << 10, 1 << 9, 1 << 16
_ALONE = 1 << 18                                         # multiplications that OpenBLAS does in one thread anyway
_SMALL = 1 << 20                                         # the least that is worth a thread's while, of small products
_TILE = 1 << 22                                          # and of a large one
_TILES = max(8, 4 * (os.cpu_count() or 1))               # pieces of one product at most: each packs its operands again
_SIDE = 128                                              # rows or columns of a piece at the least
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


class ProductWriter:
    """Writes the products of one unit.

    parallel  runs a function of one pointer in every thread: (name, pointer)
    head      the unit's allocations;  functions  what stands beside its own function
    width     bytes of a vector register
    """

    def __init__(self, w: Writer, blas: Blas | None, width: int, parallel: Callable[[str, str], None], head: list[str],
                 functions: list[str]) -> None:
        self.w, self.blas, self.width = w, blas, width
        self.parallel, self.head, self.functions = parallel, head, functions
        self.types: set[str] = set()                     # for which the BLAS is called
        self.zeros: set[str] = set()                     # and for which with a factor that may be 0
        self.kernels: dict[tuple[object, ...], str] = {}
        self._entered = False
        self._count = 0

    # -------------------------------------------------------------------------------------------------------- the whole

    def write(self, p: Product, pointer_of: Callable[[int], str], out: str, scalar_of: Callable[[int], str]) -> None:
        """out = base + alpha a b; where ``pointer_of(base)`` is ``out`` nothing is copied."""
        w, t = self.w, TYPE[p.type]
        alpha = number(p.factor, p.type)
        for n, v in enumerate(p.scales):
            alpha = w.set(f"fmul {t} {alpha}, {scalar_of(v)}") if n or p.factor != 1.0 else scalar_of(v)
        a = self._shift(pointer_of(p.a.base), p.type, str(p.a.offset))
        b = self._shift(pointer_of(p.b.base), p.type, str(p.b.offset))
        base = None if p.base is None else pointer_of(p.base)
        if not self.inline(p):
            base = None if base == out else base         # already there
            several = self.blas is not None and self.blas.threads and (p.m == 1 or p.m * p.n * p.k > _ALONE)
            if several and not self._entered:
                w.add("call void @blas_enter()")         # from here on each call runs in one thread
                self._entered = True
        if self._divides(p):
            self._in_pieces(p, a, b, out, base, alpha)
        else:
            self._each(p, 0, a, b, out, base, alpha)

    def finish(self) -> None:
        """After the last product: the user's number of threads."""
        if self._entered:
            self.w.add("call void @blas_leave()")

    def definitions(self) -> str:
        """What stands beside the unit's function."""
        if self.blas is None:
            return ""
        return "\n".join([self.blas.definitions(self.types, self._entered), *[_nothing(t) for t in sorted(self.zeros)]])

    def inline(self, p: Product) -> bool:
        """Whether the product is written out, not a call."""
        if self.blas is None:
            return True
        way = _ROW if p.m == 1 else _INLINE if self._by_row(p) else _DOTS if self._along(p) else _ACROSS
        return p.m * p.n * p.k <= way

    def _each(self, p: Product, depth: int, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        if depth == len(p.loops):
            return self._one(p, a, b, c, d, alpha, p.m, p.n)
        size, sa, sb, sc = p.loops[depth]

        def body(i: str, _: Values) -> None:
            def on(pointer: str, stride: int) -> str:
                return self._shift(pointer, p.type, self._times(i, stride))

            self._each(p, depth + 1, on(a, sa), on(b, sb), on(c, sc), d and on(d, sc), alpha)

        loop(self.w, size, 1, body)

    def _one(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str, rows: int | str, columns: int | str) -> None:
        """One product of matrices, or ``rows`` and ``columns`` of it."""
        if self.inline(p):
            return self._inline(p, a, b, c, d, alpha)
        if d is not None and d != c:
            self._copy(p, c, d, rows, columns)
        self._call(p, a, b, c, alpha, rows, columns)

    def _copy(self, p: Product, c: str, d: str, rows: int | str, columns: int | str) -> None:
        w = self.w
        w.intrinsics.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        size = w.set(f"mul i64 {columns}, {SIZE[p.type]}")
        if p.om == columns:
            rows, size = 1, w.set(f"mul i64 {size}, {rows}")

        def row(i: str, _: Values) -> None:
            to, source = [self._shift(x, p.type, self._times(i, p.om)) for x in (c, d)]
            w.add(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {source}, i64 {size}, i1 false)")

        loop(w, rows, 1, row)

    def _times(self, i: str, stride: int) -> str:
        if i.isdigit():
            return str(int(i) * stride)
        return i if stride == 1 else self.w.set(f"mul nsw i64 {i}, {stride}") if stride else "0"

    def _shift(self, pointer: str, type: str, count: str) -> str:
        return pointer if count == "0" else self.w.set(f"getelementptr inbounds {TYPE[type]}, ptr {pointer}, i64 {count}")

    # ----------------------------------------------------------------------------------------------------------- threads

    def _divides(self, p: Product) -> bool:
        """Whether threads share the work. A BLAS whose threads we can't hold back divides it as it likes."""
        if self.blas is not None and self.blas.threads is None and not self.inline(p):
            return False
        return p.count * p.m * p.n * p.k >= 2 * _SMALL

    def _in_pieces(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        """Pieces, by the size of the work alone, of which threads take the next: some products of the batch, or tiles of each."""
        rows, columns = (p.m, p.n) if self.inline(p) else tile(p)
        down, across = -(-p.m // rows), -(-p.n // columns)
        group = max(1, _SMALL // (p.m * p.n * p.k)) if down * across == 1 else 1
        pieces = -(-p.count // group) * down * across
        name = f"product{self._count}"
        self._count += 1
        outer, self.w = self.w, Writer()
        w = self.w
        given = [("ptr", a), ("ptr", b), ("ptr", c), ("ptr", d or "null"), (TYPE[p.type], alpha)]
        own = [w.set(f"load {t}, ptr {w.set(f'getelementptr i64, ptr %c, i64 {k + 1}')}") for k, (t, _) in enumerate(given)]
        w.add("br label %next")
        w.label("next")
        k = w.set("atomicrmw add ptr %c, i64 1 monotonic")
        more = w.set(f"icmp ult i64 {k}, {pieces}")
        w.add(f"br i1 {more}, label %do, label %end")
        w.label("do")
        if down * across == 1:
            first = w.set(f"mul i64 {k}, {group}")
            left = w.set(f"sub i64 {p.count}, {first}")
            short = w.set(f"icmp ult i64 {left}, {group}")
            number = w.set(f"select i1 {short}, i64 {left}, i64 {group}")
            loop(w, number, 1, lambda i, _: self._item(p, self._plus(first, i), own, d, "0", "0", rows, columns))
        else:
            item = w.set(f"udiv i64 {k}, {down * across}")
            t = w.set(f"urem i64 {k}, {down * across}")
            self._item(p, item, own, d, w.set(f"udiv i64 {t}, {across}"), w.set(f"urem i64 {t}, {across}"), rows, columns)
        w.add("br label %next")
        w.label("end")
        self.functions.append("\n".join([f"define internal void @{name}(ptr %c) #0 {{", "entry:", *w.lines, "  ret void", "}"]))
        outer.intrinsics |= w.intrinsics
        self.w = w = outer
        context = w.fresh("c")
        self.head.append(f"  {context} = alloca i64, i64 {len(given) + 1}")
        w.add(f"store i64 0, ptr {context}")
        for n, (t, value) in enumerate(given):
            w.add(f"store {t} {value}, ptr {w.set(f'getelementptr i64, ptr {context}, i64 {n + 1}')}")
        self.parallel(name, context)

    def _item(self, p: Product, item: str, own: Values, base: str | None, i: str, j: str, rows: int, columns: int) -> None:
        """Tile (i, j) of one product of the batch."""
        w = self.w
        a, b, c, d, alpha = own
        where = [(a, p.am, 0, 1), (b, 0, p.bn, 2), (c, p.om, 1, 3), (d, p.om, 1, 3)]
        places: list[str] = []
        index: Values = []
        for n, _, _, _ in reversed(p.loops):
            index.insert(0, w.set(f"urem i64 {item}, {n}"))
            item = w.set(f"udiv i64 {item}, {n}")
        for pointer, by_row, by_column, which in where:
            at = self._times(i, by_row * rows)
            for step in (self._times(j, by_column * columns), *[self._times(x, axis[which]) for x, axis in zip(index, p.loops)]):
                at = self._plus(at, step) if step != "0" else at
            places.append(self._shift(pointer, p.type, at))
        heights: list[int | str] = []
        for x, size, total in ((i, rows, p.m), (j, columns, p.n)):
            if total % size == 0:
                heights.append(size)
            else:
                left = w.set(f"sub i64 {total}, {self._times(x, size)}")
                short = w.set(f"icmp ult i64 {left}, {size}")
                heights.append(w.set(f"select i1 {short}, i64 {left}, i64 {size}"))
        self._one(p, places[0], places[1], places[2], None if base is None else places[3], alpha, *heights)

    # --------------------------------------------------------------------------------------------------------- the BLAS

    def _call(self, p: Product, a: str, b: str, c: str, alpha: str, m: int | str, n: int | str) -> None:
        w, t = self.w, TYPE[p.type]
        first, second = layout(p.m, p.k, p.am, p.ak), layout(p.k, p.n, p.bk, p.bn)
        assert first is not None
        assert second is not None
        beta = number(0.0 if p.base is None else 1.0, p.type)
        if p.m == 1:                                     # c = b' a
            rows, columns = (n, p.k) if second[0] else (p.k, n)
            call = (f"call void @gemv_{p.type}(i1 {int(not second[0])}, i64 {rows}, i64 {columns}, {t} {alpha}, ptr {b}, "
                    f"i64 {second[1]}, ptr {a}, i64 {max(p.ak, 1)}, {t} {beta}, ptr {c}, i64 1)")
        else:
            call = (f"call void @gemm_{p.type}(i1 {int(first[0])}, i1 {int(second[0])}, i64 {m}, i64 {n}, i64 {p.k}, "
                    f"{t} {alpha}, ptr {a}, i64 {first[1]}, ptr {b}, i64 {second[1]}, {t} {beta}, ptr {c}, i64 {max(p.om, p.n)})")
        self.types.add(p.type)
        if not p.scales and p.factor != 0.0:
            w.add(call)
            return
        self.zeros.add(p.type)                           # a BLAS does not look at the operands then, where NaN may be
        label = w.fresh("Z")[1:]
        zero = w.set(f"fcmp oeq {t} {alpha}, 0.0")
        w.add(f"br i1 {zero}, label %{label}.zero, label %{label}.call")
        w.label(f"{label}.call")
        w.add(call)
        w.add(f"br label %{label}.out")
        w.label(f"{label}.zero")
        w.add(f"call void @nothing_{p.type}(ptr {a}, i64 {p.am}, i64 {p.ak}, ptr {b}, i64 {p.bk}, i64 {p.bn}, i64 {m}, "
              f"i64 {n}, i64 {p.k}, ptr {c}, i64 {p.om}, i1 {int(p.base is not None)})")
        w.add(f"br label %{label}.out")
        w.label(f"{label}.out")

    # ------------------------------------------------------------------------------------------------------- vector code

    def _inline(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        """A call of vector code, which products of one shape have in common."""
        plain = not p.scales and p.factor == 1.0
        key = p.type, p.m, p.n, p.k, p.am, p.ak, p.bk, p.bn, p.om, plain, d is None
        t = TYPE[p.type]
        if key not in self.kernels:
            name = self.kernels[key] = f"multiply{len(self.kernels)}"
            outer, self.w = self.w, Writer()
            self._kernel(p, "%a", "%b", "%c", d and "%d", "%alpha")
            params = f"ptr noalias readonly %a, ptr noalias readonly %b, ptr %c, ptr %d, {t} %alpha"
            self.functions.append("\n".join([f"define internal void @{name}({params}) #0 {{", *self.w.lines, "  ret void", "}"]))
            outer.intrinsics |= self.w.intrinsics
            self.w = outer
        self.w.add(f"call void @{self.kernels[key]}(ptr {a}, ptr {b}, ptr {c}, ptr {d or 'null'}, {t} {alpha})")

    def _kernel(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        lanes = self.width // SIZE[p.type]
        if self._along(p) and not self._by_row(p):
            self._dots(p, a, b, c, d, alpha, lanes)
        else:
            self._rows(p, a, b, c, d, alpha, lanes if self._by_row(p) else 1)

    @staticmethod
    def _by_row(p: Product) -> bool:
        return p.bn == 1 or (p.n == 1 and p.ak != 1)

    @staticmethod
    def _along(p: Product) -> bool:
        return p.k == 1 or p.ak == p.bk == 1

    def _rows(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str, lanes: int) -> None:
        """Tiles of some rows and some vectors of columns, added up over k in registers."""
        rows = min(p.m, _ROWS)
        wide = (2 if self.width < 64 else 4) * (2 if rows < 3 else 1) * lanes
        whole = p.n // wide * wide

        def strip(j: str, widths: list[int]) -> None:
            pb, pc = self._shift(b, p.type, self._times(j, p.bn)), self._shift(c, p.type, j)
            pd = d and self._shift(d, p.type, j)

            def tile(i: str, height: int) -> None:
                def on(pointer: str, stride: int) -> str:
                    return self._shift(pointer, p.type, self._times(i, stride))

                self._tile(p, on(a, p.am), pb, on(pc, p.om), pd and on(pd, p.om), alpha, height, widths)

            full = p.m // rows * rows
            loop(self.w, full, rows, lambda i, _: tile(i, rows))
            if p.m > full:
                tile(str(full), p.m - full)

        if whole:
            loop(self.w, whole, wide, lambda j, _: strip(j, [lanes] * (wide // lanes)))
        if p.n > whole:
            strip(str(whole), pieces(p.n - whole, lanes))

    def _tile(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str, rows: int, widths: list[int]) -> None:
        w = self.w
        starts = [sum(widths[:k]) for k in range(len(widths))]
        types = [self._vector(p.type, n) for n in widths] * rows

        def term(k: str, sums: Values) -> Values:
            pb, pa = self._shift(b, p.type, self._times(k, p.bk)), self._shift(a, p.type, self._times(k, p.ak))
            columns = [self._load(pb, p.type, n, str(s * p.bn)) for n, s in zip(widths, starts)]
            out = []
            for r in range(rows):
                x = w.load(self._shift(pa, p.type, str(r * p.am)), p.type)
                spread = {n: self._splat(x, p.type, n) for n in set(widths)}
                for q, n in enumerate(widths):
                    out.append(self._fma(p.type, n, spread[n], columns[q], sums[r * len(widths) + q]))
            return out

        zeros = [(t, "zeroinitializer") for t in types]
        sums = self._blocks(p.k, term, zeros)
        for r in range(rows):
            for q, (n, s) in enumerate(zip(widths, starts)):
                value = sums[r * len(widths) + q]
                at = str(r * p.om + s)
                self._store(self._ended(p, value, alpha, n, d, at), self._shift(c, p.type, at), p.type, n)

    def _blocks(self, count: int, term: Callable[[str, Values], Values], zeros: list[tuple[str, str]]) -> Values:
        """Sums over ``count`` terms, of long ones in blocks."""
        if count <= 2 * _BLOCK:
            return loop(self.w, count, 1, term, zeros)

        def block(start: str, totals: Values, size: int = _BLOCK) -> Values:
            def inside(k: str, sums: Values) -> Values:
                return term(self._plus(start, k), sums)

            parts = loop(self.w, size, 1, inside, zeros)
            return [self.w.set(f"fadd {t} {x}, {y}") for (t, _), x, y in zip(zeros, totals, parts)]

        whole = count // _BLOCK * _BLOCK
        totals = loop(self.w, whole, _BLOCK, block, zeros)
        return block(str(whole), totals, count - whole) if count > whole else totals

    def _plus(self, i: str, k: str) -> str:
        if i.isdigit() and k.isdigit():
            return str(int(i) + int(k))
        return i if k == "0" else self.w.set(f"add nuw nsw i64 {i}, {k}")

    def _dots(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str, lanes: int) -> None:
        """Both operands lie along k: each element is added up in the lanes of a vector."""
        rows, columns = min(p.m, 2), min(p.n, 4)
        vector = self._vector(p.type, lanes)
        whole = p.k // lanes * lanes

        def tile(i: str, j: str, height: int, width: int) -> None:
            w = self.w
            pa = [self._shift(a, p.type, self._times(self._plus(i, str(r)), p.am)) for r in range(height)]
            pb = [self._shift(b, p.type, self._times(self._plus(j, str(q)), p.bn)) for q in range(width)]

            def terms(k: str, sums: Values, n: int = lanes) -> Values:
                xs, ys = [self._load(x, p.type, n, k) for x in pa], [self._load(y, p.type, n, k) for y in pb]
                return [self._fma(p.type, n, x, y, sums[r * width + q]) for r, x in enumerate(xs) for q, y in enumerate(ys)]

            total: Values = []
            if whole:
                sums = loop(w, whole, lanes, lambda k, s: terms(k, s), [(vector, "zeroinitializer")] * (height * width))
                total = [self._added(p.type, lanes, s) for s in sums]
            at = whole
            for n in pieces(p.k - whole, lanes):
                parts = terms(str(at), ["zeroinitializer"] * (height * width), n)
                parts = [self._added(p.type, n, s) for s in parts]
                total = [w.set(f"fadd {TYPE[p.type]} {x}, {y}") for x, y in zip(total, parts)] if total else parts
                at += n
            for r in range(height):
                for q in range(width):
                    at_c = self._plus(self._times(self._plus(i, str(r)), p.om), self._plus(j, str(q)))
                    value = self._ended(p, total[r * width + q], alpha, 0, d, at_c)
                    w.store(value, self._shift(c, p.type, at_c), p.type)

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

    def _vector(self, type: str, n: int) -> str:
        return f"<{n} x {TYPE[type]}>" if n else TYPE[type]

    def _load(self, pointer: str, type: str, n: int, at: str) -> str:
        return self.w.set(f"load {self._vector(type, n)}, ptr {self._shift(pointer, type, at)}, align {SIZE[type]}")

    def _store(self, value: str, pointer: str, type: str, n: int) -> None:
        self.w.add(f"store {self._vector(type, n)} {value}, ptr {pointer}, align {SIZE[type]}")

    def _splat(self, x: str, type: str, n: int) -> str:
        if not n:
            return x
        v = self._vector(type, n)
        one = self.w.set(f"insertelement {v} poison, {TYPE[type]} {x}, i64 0")
        return self.w.set(f"shufflevector {v} {one}, {v} poison, <{n} x i32> zeroinitializer")

    def _fma(self, type: str, n: int, x: str, y: str, z: str) -> str:
        v = self._vector(type, n)
        name = f"llvm.fmuladd.{'v' + str(n) if n else ''}{type}"
        self.w.intrinsics.add(f"declare {v} @{name}({v}, {v}, {v})")
        return self.w.set(f"call {v} @{name}({v} {x}, {v} {y}, {v} {z})")

    def _added(self, type: str, n: int, x: str) -> str:
        v, t = self._vector(type, n), TYPE[type]
        name = f"llvm.vector.reduce.fadd.v{n}{type}"
        self.w.intrinsics.add(f"declare {t} @{name}({t}, {v})")
        return self.w.set(f"call reassoc {t} @{name}({t} -0.0, {v} {x})")

    def _ended(self, p: Product, value: str, alpha: str, n: int, d: str | None, at: str) -> str:
        """base + alpha * value"""
        v = self._vector(p.type, n)
        plain = not p.scales and p.factor == 1.0
        if d is None:
            return value if plain else self.w.set(f"fmul {v} {value}, {self._splat(alpha, p.type, n)}")
        before = self._load(d, p.type, n, at)
        if plain:
            return self.w.set(f"fadd {v} {before}, {value}")
        return self._fma(p.type, n, value, self._splat(alpha, p.type, n), before)


def pieces(n: int, lanes: int) -> list[int]:
    """``n`` as vectors of ``lanes`` elements and, for the rest, of ever fewer."""
    out = []
    while n:
        while lanes > n:
            lanes //= 2
        out.append(lanes)
        n -= lanes
    return out


def tile(p: Product) -> tuple[int, int]:
    """Rows and columns of the pieces that threads take: of its size alone, so that no sum depends on how many there are."""
    rows, columns, count = p.m, p.n, 1
    if p.m == 1:
        return 1, max(256, -(-p.n // 128) * 16)
    while count < _TILES and rows * columns * p.k >= 2 * _TILE and max(rows, columns) >= 2 * _SIDE:
        if rows >= columns:
            rows = -(-rows // 16) * 8
        else:
            columns = -(-columns // 32) * 16
        count = -(-p.m // rows) * -(-p.n // columns)
    return rows, columns


def _nothing(type: str) -> str:
    """What 0 times a product is: 0, or NaN in the rows and columns of operands that are not finite."""
    w, t = Writer(), TYPE[type]
    zero = number(0.0, type)

    def at(pointer: str, i: str, by: str, k: str, on: str) -> str:
        place = w.set(f"add i64 {w.set(f'mul i64 {i}, {by}')}, {w.set(f'mul i64 {k}, {on}')}")
        return w.set(f"getelementptr {t}, ptr {pointer}, i64 {place}")

    def lost(pointer: str, i: str, by: str, on: str) -> str:
        def term(k: str, sums: Values) -> Values:
            part = w.set(f"fmul {t} {w.load(at(pointer, i, by, k, on), type)}, {zero}")
            return [w.set(f"fadd {t} {sums[0]}, {part}")]

        return loop(w, "%k", 1, term, [(t, zero)])[0]

    def row(i: str, _: Values) -> None:
        more = lost("%a", i, "%am", "%ak")

        def element(j: str, _: Values) -> None:
            place = at("%c", i, "%om", j, "1")
            before = w.set(f"select i1 %keep, {t} {w.load(place, type)}, {t} {zero}")
            w.store(w.set(f"fadd {t} {before}, {more}"), place, type)

        loop(w, "%n", 1, element)

    def column(j: str, _: Values) -> None:
        more = lost("%b", j, "%bn", "%bk")

        def element(i: str, _: Values) -> None:
            place = at("%c", i, "%om", j, "1")
            w.store(w.set(f"fadd {t} {w.load(place, type)}, {more}"), place, type)

        loop(w, "%m", 1, element)

    loop(w, "%m", 1, row)
    loop(w, "%n", 1, column)
    return "\n".join([
        f"define internal void @nothing_{type}(ptr %a, i64 %am, i64 %ak, ptr %b, i64 %bk, i64 %bn, i64 %m, i64 %n, i64 %k, "
        "ptr %c, i64 %om, i1 %keep) noinline optnone {", *w.lines, "  ret void", "}"])


__all__ = ["ProductWriter", "loop"]

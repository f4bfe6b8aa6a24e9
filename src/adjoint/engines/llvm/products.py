"""Matrix products in compiled code: small ones as vector code of their own, the others through the BLAS."""
from __future__ import annotations

import os
from collections.abc import Callable

from ...plan.products import Product, layout
from .blas import Blas
from .text import SIZE, TYPE, Writer, number
from .tiles import Tiles, Values, along, by_row, loop, plus, shift, times

# Multiplications up to which a product is written out: where b lies by rows, where both lie along the sum, where neither
# does, and for one row. Beyond, a BLAS that packs its operands is better.
_INLINE, _DOTS, _ACROSS, _ROW = 1 << 17, 1 << 10, 1 << 9, 1 << 16
_ALONE = 1 << 18                                         # multiplications that OpenBLAS does in one thread anyway
_SMALL = 1 << 20                                         # the least that is worth a thread's while, of small products
_TILE = 1 << 22                                          # and of a large one
_TILES = max(8, 4 * (os.cpu_count() or 1))               # pieces of one product at most: each packs its operands again
_SIDE = 128                                              # rows or columns of a piece at the least


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
        a = shift(w, pointer_of(p.a.base), p.type, str(p.a.offset))
        b = shift(w, pointer_of(p.b.base), p.type, str(p.b.offset))
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
        way = _ROW if p.m == 1 else _INLINE if by_row(p) else _DOTS if along(p) else _ACROSS
        return p.m * p.n * p.k <= way

    def _each(self, p: Product, depth: int, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        if depth == len(p.loops):
            return self._one(p, a, b, c, d, alpha, p.m, p.n)
        size, sa, sb, sc = p.loops[depth]

        def body(i: str, _: Values) -> None:
            def on(pointer: str, stride: int) -> str:
                return shift(self.w, pointer, p.type, times(self.w, i, stride))

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
            to, source = [shift(w, x, p.type, times(w, i, p.om)) for x in (c, d)]
            w.add(f"call void @llvm.memcpy.p0.p0.i64(ptr {to}, ptr {source}, i64 {size}, i1 false)")

        loop(w, rows, 1, row)

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
            loop(w, number, 1, lambda i, _: self._item(p, plus(w, first, i), own, d, "0", "0", rows, columns))
        else:
            item = w.set(f"udiv i64 {k}, {down * across}")
            t = w.set(f"urem i64 {k}, {down * across}")
            self._item(p, item, own, d, w.set(f"udiv i64 {t}, {across}"), w.set(f"urem i64 {t}, {across}"), rows, columns)
        w.add("br label %next")
        w.label("end")
        self.functions.append("\n".join([f"define internal void @{name}(ptr %c) #1 {{", "entry:", *w.lines, "  ret void", "}"]))
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
        places: list[str] = []
        index: Values = []
        for n, _, _, _ in reversed(p.loops):
            index.insert(0, w.set(f"urem i64 {item}, {n}"))
            item = w.set(f"udiv i64 {item}, {n}")
        for pointer, down, across, which in ((a, p.am, 0, 1), (b, 0, p.bn, 2), (c, p.om, 1, 3), (d, p.om, 1, 3)):
            at = plus(w, times(w, i, down * rows), times(w, j, across * columns))
            for x, axis in zip(index, p.loops):
                at = plus(w, at, times(w, x, axis[which]))
            places.append(shift(w, pointer, p.type, at))
        heights: list[int | str] = []
        for x, size, total in ((i, rows, p.m), (j, columns, p.n)):
            if total % size == 0:
                heights.append(size)
            else:
                left = w.set(f"sub i64 {total}, {times(w, x, size)}")
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

    def _inline(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        """A call of vector code, which products of one shape have in common."""
        plain = not p.scales and p.factor == 1.0
        key = p.type, p.m, p.n, p.k, p.am, p.ak, p.bk, p.bn, p.om, plain, d is None
        t = TYPE[p.type]
        if key not in self.kernels:
            name = self.kernels[key] = f"multiply{len(self.kernels)}"
            outer, self.w = self.w, Writer()
            Tiles(self.w, p, self.width).write("%a", "%b", "%c", d and "%d", "%alpha")
            params = f"ptr noalias readonly %a, ptr noalias readonly %b, ptr %c, ptr %d, {t} %alpha"
            self.functions.append("\n".join([f"define internal void @{name}({params}) #0 {{", *self.w.lines, "  ret void", "}"]))
            outer.intrinsics |= self.w.intrinsics
            self.w = outer
        self.w.add(f"call void @{self.kernels[key]}(ptr {a}, ptr {b}, ptr {c}, ptr {d or 'null'}, {t} {alpha})")


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
        "ptr %c, i64 %om, i1 %keep) #1 {", *w.lines, "  ret void", "}"])


__all__ = ["ProductWriter", "tile"]

"""Matrix products in compiled code: small ones as vector code of their own, the others through the BLAS."""
from __future__ import annotations

from collections.abc import Callable, Sequence

from ..._config import config
from ...plan.products import Product, layout
from .blas import Blas
from .text import SIZE, TYPE, Writer, number

Values = list[str]

_INLINE = 2048                                           # multiplications up to which a product is written out
_VECTOR = 1 << 16                                        # the same for a matrix and a vector
_ALONE = 1 << 18                                         # multiplications that OpenBLAS does in one thread anyway
_THREADED = 5_000_000                                    # multiplications from which more than one thread pays
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

    width  bytes of a vector register
    types  for which the BLAS is called
    """

    def __init__(self, w: Writer, blas: Blas | None, width: int) -> None:
        self.w, self.blas, self.width = w, blas, width
        self.types: set[str] = set()
        self.zeros: set[str] = set()
        self._threads: int | None = None                 # as set before; None: as the user had it
        self._entered = False

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
        inline = self.inline(p)
        if not inline and base is not None and base != out:
            w.intrinsics.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
            size = p.m * p.n * p.count * SIZE[p.type]
            w.add(f"call void @llvm.memcpy.p0.p0.i64(ptr {out}, ptr {base}, i64 {size}, i1 false)")
        if not inline:
            self._use_threads(p)

        def each(depth: int, pa: str, pb: str, pc: str, pd: str | None) -> None:
            if depth < len(p.loops):
                size, sa, sb, sc = p.loops[depth]

                def body(i: str, _: Values) -> None:
                    def on(pointer: str, stride: int) -> str:
                        return self._shift(pointer, p.type, self._times(i, stride))

                    each(depth + 1, on(pa, sa), on(pb, sb), on(pc, sc), pd and on(pd, sc))

                loop(w, size, 1, body)
            elif inline:
                self._inline(p, pa, pb, pc, pd, alpha)
            else:
                self._call(p, pa, pb, pc, alpha)

        each(0, a, b, out, base)

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
        size = p.m * p.n * p.k
        if min(p.m, p.n) == 1:
            return size <= _VECTOR
        return size <= _INLINE

    def _times(self, i: str, stride: int) -> str:
        if i.isdigit():
            return str(int(i) * stride)
        return i if stride == 1 else self.w.set(f"mul nsw i64 {i}, {stride}") if stride else "0"

    def _shift(self, pointer: str, type: str, count: str) -> str:
        return pointer if count == "0" else self.w.set(f"getelementptr inbounds {TYPE[type]}, ptr {pointer}, i64 {count}")

    # --------------------------------------------------------------------------------------------------------- the BLAS

    def _use_threads(self, p: Product) -> None:
        assert self.blas is not None
        size = p.m * p.n * p.k
        if self.blas.threads is None or size <= _ALONE:
            return
        wanted = threads() if size >= _THREADED else 1
        if self._threads != wanted:
            if not self._entered:
                self.w.add("call void @blas_enter()")
                self._entered = True
            self.w.add(f"call void @blas_threads(i32 {wanted})")
            self._threads = wanted

    def _call(self, p: Product, a: str, b: str, c: str, alpha: str) -> None:
        w, t = self.w, TYPE[p.type]
        first, second = layout(p.m, p.k, p.am, p.ak), layout(p.k, p.n, p.bk, p.bn)
        assert first is not None
        assert second is not None
        beta = number(0.0 if p.base is None else 1.0, p.type)
        if p.m == 1:                                     # c = b' a
            rows, columns = (p.n, p.k) if second[0] else (p.k, p.n)
            call = (f"call void @gemv_{p.type}(i1 {int(not second[0])}, i64 {rows}, i64 {columns}, {t} {alpha}, ptr {b}, "
                    f"i64 {second[1]}, ptr {a}, i64 {max(p.ak, 1)}, {t} {beta}, ptr {c}, i64 1)")
        else:
            call = (f"call void @gemm_{p.type}(i1 {int(first[0])}, i1 {int(second[0])}, i64 {p.m}, i64 {p.n}, i64 {p.k}, "
                    f"{t} {alpha}, ptr {a}, i64 {first[1]}, ptr {b}, i64 {second[1]}, {t} {beta}, ptr {c}, i64 {p.om})")
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
        w.add(f"call void @nothing_{p.type}(ptr {a}, i64 {p.am}, i64 {p.ak}, ptr {b}, i64 {p.bk}, i64 {p.bn}, i64 {p.m}, "
              f"i64 {p.n}, i64 {p.k}, ptr {c}, i64 {p.om}, i1 {int(p.base is not None)})")
        w.add(f"br label %{label}.out")
        w.label(f"{label}.out")

    # ------------------------------------------------------------------------------------------------------- vector code

    def _inline(self, p: Product, a: str, b: str, c: str, d: str | None, alpha: str) -> None:
        lanes = self.width // SIZE[p.type]
        if p.bn == 1 or p.n == 1 and p.ak != 1:
            self._rows(p, a, b, c, d, alpha, lanes)
        elif (p.bk == 1 or p.k == 1) and (p.ak == 1 or p.k == 1):
            self._dots(p, a, b, c, d, alpha, lanes)
        else:
            self._rows(p, a, b, c, d, alpha, 1)

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


def threads() -> int:
    """For large products."""
    return config.threads


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

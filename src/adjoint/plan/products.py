"""Matrix products in a program, with what is folded into them.

A sum of products over one axis, ``out = base + alpha * a b``, with operands and result wherever they lie: transposes, parts and
broadcasts are strides, batch axes that go on from one to the next are rows of one product, and factors and the array
that the product is added to become part of it where nobody else reads what lies between.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from .._graph import Shape, Spec
from ..primitives.contraction import in_parts
from ..primitives.movement import RESHAPE, TRANSPOSE
from .access import Strides, View, contiguous, seen
from .program import Instr, Program

TYPES = {"float32": "f32", "float64": "f64"}
Axis = tuple[int, int, int, int]                         # size; strides of a, of b and of the result


class Product:
    """out[i, j] = base[i, j] + alpha * sum over k of a[i, k] b[k, j], for every step of ``loops``.

    a, b     where the operands lie
    m, n, k  sizes
    am, ak   strides of a; bk, bn of b; om of the result, whose stride along n is 1
    loops    further axes: size, strides of a, of b and of the result
    factor   a number, and
    scales   values of one element: alpha is the product of them all
    base     value of the result's spec, or None
    instrs   the operations that it stands for, in order
    """

    __slots__ = ("a", "ak", "am", "b", "base", "bk", "bn", "factor", "instrs", "k", "loops", "m", "n", "om", "out", "scales",
                 "type")

    def __init__(self, type: str, a: View, b: View, axes: tuple[Axis, Axis, Axis], loops: list[Axis], out: int) -> None:
        (self.m, self.am, _, self.om), (self.n, _, self.bn, _), (self.k, self.ak, self.bk, _) = axes
        self.type, self.a, self.b, self.loops, self.out = type, a, b, loops, out
        self.factor = 1.0
        self.scales: list[int] = []
        self.base: int | None = None
        self.instrs: list[Instr] = []

    @property
    def args(self) -> list[int]:
        """Every value that is read."""
        return list(dict.fromkeys([self.a.base, self.b.base, *self.scales, *([] if self.base is None else [self.base])]))

    @property
    def outs(self) -> tuple[int, ...]:
        return (self.out,)

    @property
    def count(self) -> int:
        """How many products of matrices it is."""
        count = 1
        for size, *_ in self.loops:
            count *= size
        return count

    @property
    def work(self) -> int:
        """Multiplications."""
        return self.count * self.m * self.n * self.k

    def __repr__(self) -> str:
        base = "" if self.base is None else f"%{self.base} + "
        scale = "".join([f"{self.factor} * "] * (self.factor != 1) + [f"%{v} * " for v in self.scales])
        batch = f"{self.count} x " if self.loops else ""
        return f"%{self.out} = {base}{scale}%{self.a.base} @ %{self.b.base} ({batch}{self.m} x {self.k} x {self.n})"


def layout(rows: int, columns: int, by_row: int, by_column: int) -> tuple[bool, int] | None:
    """How a BLAS sees a matrix: whether its transpose is what is stored by rows, and the distance of these; or None."""
    if (by_column == 1 or columns == 1) and (rows == 1 or by_row >= columns):
        return False, by_row if rows > 1 else columns
    if (by_row == 1 or rows == 1) and (columns == 1 or by_column >= rows):
        return True, by_column if columns > 1 else rows
    return None


# --------------------------------------------------------------------------------------------------------- recognition

def _axes(labels: Sequence[Sequence[Hashable]], shapes: Sequence[Shape], strides: Sequence[Strides]) -> list[Axis]:
    """One axis a label of the operands (0, 1) and of the result (2)."""
    table: dict[Hashable, list[int]] = {}
    for which in (2, 0, 1):
        for label, n, s in zip(labels[which], shapes[which], strides[which]):
            row = table.setdefault(label, [1, 0, 0, 0])
            if n != 1:
                row[0] = n
                row[which + 1] += s                      # a label that comes twice goes along a diagonal
    return [(row[0], row[1], row[2], row[3]) for row in table.values() if row[0] != 1]


def _merged(axes: list[Axis]) -> list[Axis]:
    """Axes in one where all strides go on from the one to the other."""
    for x in axes:
        for y in axes:
            if x is not y and all(s == t * y[0] for s, t in zip(x[1:], y[1:])):
                rest = [z for z in axes if z is not x and z is not y]
                return _merged([*rest, (x[0] * y[0], *y[1:])])
    return axes


def _swapped(x: Axis) -> Axis:
    return x[0], x[2], x[1], x[3]


def _product(spec: Spec, labels: Any, shapes: Sequence[Shape], a: View, b: View, strides: Strides, out: int) -> Product | None:
    """The product with these operands and this result, if a BLAS can do it."""
    axes = _axes(labels, shapes, (a.strides, b.strides, strides))
    inner = _merged([x for x in axes if not x[3]])
    if len(inner) > 1 or any(not (x[1] and x[2]) for x in inner):
        return None
    outer = _merged([x for x in axes if x[3]])
    if any(x[3] == 1 and x[1] and not x[2] for x in outer):          # the result's rows come from a: its transpose, then
        a, b, outer, inner = b, a, [_swapped(x) for x in outer], [_swapped(x) for x in inner]
    columns = [x for x in outer if x[3] == 1 and x[2] and not x[1]]
    rows = sorted([x for x in outer if x[1] and not x[2]], reverse=True)
    if outer and not columns and (rows or any(x[2] and not x[1] for x in outer)):
        return None                                      # the result's rows go along the batch
    m, n, k = (rows or [(1, 0, 0, 0)])[0], (columns or [(1, 0, 0, 1)])[0], (inner or [(1, 0, 0, 0)])[0]
    if layout(m[0], k[0], m[1], k[1]) is None or layout(k[0], n[0], k[2], n[2]) is None or (m[0] > 1 and m[3] < n[0]):
        return None
    if in_parts(m[0], n[0], k[0]):                       # its kernel knows how
        return None
    loops = [x for x in outer if x is not m and x is not n]
    return Product(TYPES[spec.dtype.name], a, b, (m, n, k), loops, out)


def _scattered(p: Product) -> bool:
    """Whether it falls into so many small products that rearranging an operand would be better."""
    return p.count > 16 and p.m * p.n * p.k < 4096


class _Finder:
    def __init__(self, program: Program, usable: Callable[[Instr], bool]) -> None:
        self.program, self.specs, self.usable = program, program.specs, usable
        self.place = {v: n for n, i in enumerate(program.instrs) for v in i.outs}
        self.readers: dict[int, list[int]] = {}
        for n, i in enumerate(program.instrs):
            for a in i.args:
                self.readers.setdefault(a, []).append(n)
        self.outside = {v for v, _, _ in program.inputs}
        self.outputs = set(program.outputs)
        self.found: dict[int, Product] = {}              # place of its last operation -> product
        self.by_value: dict[int, Product] = {}

    def maker(self, v: int) -> Instr | None:
        at = self.place.get(v)
        return None if at is None else self.program.instrs[at]

    def sights(self, v: int) -> Iterator[tuple[View, list[Instr]]]:
        """Where a value can be read, from as far back as there are only views; and these views."""
        chain: list[Instr] = []
        base = v
        while base not in self.by_value and (by := self.maker(base)) is not None:
            if by.op.prim.view is None or len(by.args) != 1 or not self.usable(by):
                break
            chain.insert(0, by)
            base = by.args[0]
        for start in range(len(chain) + 1):
            base = chain[start].args[0] if start < len(chain) else v
            at: tuple[Strides, int] | None = contiguous(self.specs[base].shape), 0
            for instr in chain[start:]:
                assert at is not None
                at = seen(instr.op, self.specs[instr.args[0]].shape, *at)
                if at is None:
                    break
            if at is not None:
                yield View(base, *at), chain[start:]

    def single(self, v: int) -> Instr | None:
        """The only operation that reads a value, once, if nobody else looks."""
        readers = self.readers.get(v, ())
        return self.program.instrs[readers[0]] if len(readers) == 1 and v not in self.outputs else None

    def number(self, v: int) -> float | None:
        """A constant of one element."""
        by = self.maker(v)
        while by is not None and by.op.prim.view is not None:
            by = self.maker(by.args[0])
        return float(by.op.params["value"]) if by is not None and not by.args and "value" in by.op.params else None

    def add(self, at: int, instr: Instr) -> None:
        rule, specs = instr.op.prim.product, self.specs
        out = instr.outs[0]
        spec = specs[out]
        if rule is None or spec.dtype.name not in TYPES or not self.usable(instr):
            return
        labels = rule(*[specs[v] for v in instr.args], **instr.op.params)
        if labels is None or any(specs[v].dtype is not spec.dtype or not specs[v].size for v in (*instr.args, out)):
            return
        product = None
        shapes = [specs[v].shape for v in (*instr.args, out)]
        for strides, target, after in reversed(list(self.targets(out))):
            for a, before_a in self.sights(instr.args[0]):
                for b, before_b in self.sights(instr.args[1]):
                    other = _product(spec, labels, shapes, a, b, strides, target)
                    if other is not None and (product is None or _scattered(product) and not _scattered(other)):
                        product = other
                        product.instrs = [*before_a, *before_b, instr, *after]
        if product is not None:
            self.grow(product, at)

    def targets(self, v: int) -> Iterator[tuple[Strides, int, list[Instr]]]:
        """Strides of the result's axes where it is written as what it is, or as its only readers rearrange it."""
        specs = self.specs
        after: list[Instr] = []
        while True:
            last = after[-1].outs[0] if after else v
            at: tuple[Strides, int] | None = contiguous(specs[last].shape), 0
            for instr in reversed(after):                # from the memory back to the result's axes
                assert at is not None
                order = instr.op.params.get("axes", ())
                undo = RESHAPE.op(shape=specs[instr.args[0]].shape) if instr.op.prim is RESHAPE else TRANSPOSE.op(
                    axes=tuple([order.index(k) for k in range(len(order))]))
                at = seen(undo, specs[instr.outs[0]].shape, *at)
                if at is None:
                    break
            if at is not None:
                yield at[0], last, list(after)
            by = self.single(last)
            if by is None or not self.usable(by) or (by.op.prim is not RESHAPE and by.op.prim is not TRANSPOSE):
                return
            after.append(by)

    def grow(self, p: Product, at: int) -> None:
        """Take in the factors and the sum that follow."""
        specs = self.specs
        while p.base is None and (by := self.single(p.out)) is not None and self.usable(by):
            name, out = by.op.prim.name, by.outs[0]
            other = next((a for a in by.args if a != p.out), p.out)
            if specs[out].size != specs[p.out].size or specs[out].dtype is not specs[p.out].dtype:
                break
            if name == "negative":
                p.factor = -p.factor
            elif name == "multiply" and specs[other].size == 1:
                number = self.number(other)
                if number is None:
                    p.scales.append(other)
                else:
                    p.factor *= number
            elif name in ("add", "subtract") and self.takes(by, other, p.out):
                if name == "subtract":
                    p.factor = -p.factor
                p.base = other
            elif by.op.prim is not RESHAPE:
                break
            p.instrs.append(by)
            p.out = out
        at = max([at, *[self.place[i.outs[0]] for i in p.instrs]])
        self.found[at] = self.by_value[p.out] = p

    def takes(self, by: Instr, other: int, mine: int) -> bool:
        """Whether the sum is better made by the product than by a loop, which could do more at once."""
        out = by.outs[0]
        if other == mine or self.specs[other] is not self.specs[out] or (by.op.prim.name == "subtract" and by.args[1] != mine):
            return False
        if other in self.by_value:
            return self.single(other) is not None
        return other in self.outside and not self.readers.get(out)


def products(program: Program, usable: Callable[[Instr], bool] = lambda instr: True) -> tuple[dict[int, Product], set[int]]:
    """Place of a product's last operation -> the product; and the places of all that is done with them.

    ``usable`` says of an operation whether its compiled form stands for it.
    """
    finder = _Finder(program, usable)
    for n, instr in enumerate(program.instrs):
        finder.add(n, instr)
    if not finder.found:
        return {}, set()
    gone = {finder.place[i.outs[0]] for p in finder.found.values() for i in p.instrs if i.op.prim.view is None}
    needed = finder.outputs | {v for p in finder.found.values() for v in (*p.args, p.out)}
    folded = {id(i) for p in finder.found.values() for i in p.instrs}
    for n in range(len(program.instrs) - 1, -1, -1):
        instr = program.instrs[n]
        if n in gone:
            continue
        if id(instr) in folded and instr.outs[0] not in needed or n in finder.found:
            gone.add(n)
        else:
            needed.update(instr.args)
    return finder.found, gone


__all__ = ["TYPES", "Product", "layout", "products"]

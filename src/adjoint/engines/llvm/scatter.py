"""What is added or put by indices, as LLVM code.

Where each element goes is written down first; an index out of range is refused there, before anything else is written.
What is put over an array goes there one by one. So do additions to few places: in a wider type, rounded at last. Of many
places only those matter that get something: what goes to one place is chained, each element leading to the next, and each
chain added up in order. Both give the same bits; the latter costs what was added, not what it is added into.
"""
from __future__ import annotations

from collections.abc import Callable
from math import gcd, prod
from typing import TYPE_CHECKING, Any

from ..._scalar import Expr, Functions
from ...plan.access import Access, contiguous, merged
from ...plan.fusion import lower
from ...plan.program import Instr
from ...plan.scatter import Scatter
from .apart import Apart
from .straight import refuse
from .text import TYPE, number

if TYPE_CHECKING:
    from .unit import UnitWriter

_WIDE = {"f16": "f64", "bf16": "f64", "f32": "f64"}      # where sums are added up
_SHORT = {"f16": "f32", "bf16": "f32"}                   # where they are compared


class ScatterWriter(Apart):
    """Writes one stage."""

    def __init__(self, unit: UnitWriter, stage: Scatter) -> None:
        super().__init__(unit)
        self.stage = stage
        part, target, source = stage.target.shape, stage.target, stage.source
        terms = [stage.by[t.given] for t in target.terms]
        self.strided = [a for a in (source, *terms) if isinstance(a, Access)]
        rows = [target.strides, *[a.strides for a in self.strided]]
        chained = [k for k, n in enumerate(part) if n != 1 and (not target.strides[k] or any(
            isinstance(a, Access) and a.strides[k] for a in terms))]
        free = [k for k, n in enumerate(part) if n != 1 and k not in chained]
        self.chained, first = merged([part[k] for k in chained], [tuple([r[k] for k in chained]) for r in rows])
        self.free, then = merged([part[k] for k in free], [tuple([r[k] for k in free]) for r in rows])
        self.steps = {id(a): (by, across) for a, by, across in zip((target, *self.strided), first, then)}
        self.count = prod(self.chained)
        apart = [s for s in (*first[0], *[t.stride for t in target.terms]) if s]
        self.step = gcd(*apart) if apart else 1
        reach = sum((n - 1) * s for n, s in zip(self.chained, first[0])) + sum((t.size - 1) * t.stride for t in target.terms)
        self.places = reach // self.step + 1
        self.type = unit.type(stage.out)
        wide = _WIDE if stage.how == "add" else _SHORT if stage.how != "last" else {}
        self.wide = wide.get(self.type, self.type)
        self.chains = stage.how == "add" and self.places > self.count

    def write(self) -> None:
        unit = self.unit
        arrays = [unit.temporary("i64", self.count).pointer]
        if self.chains:
            arrays += [unit.temporary("i32", n).pointer for n in (self.places, self.count)]
        self._look(*arrays)
        self._apply(*arrays)

    def _look(self, where: str, *chains: str) -> None:
        """A function that writes down where each element goes, and which comes next there."""
        unit, w, stage = self.unit, self.w, self.stage
        where, *chains_here = [self._take(name, "ptr") for name in (where, *chains)]
        w.add("%flag = alloca i32")
        w.add("store i32 0, ptr %flag")
        if self.chains:
            w.intrinsics.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
            w.add(f"call void @llvm.memset.p0.i64(ptr {chains_here[0]}, i8 -1, i64 {4 * self.places}, i1 false)")

        def note(t: str) -> None:
            k = w.set(f"sub i64 {self.count - 1}, {t}")
            at = self._place(k)
            w.store(at, self._item(where, "i64", k), "i64")
            if self.chains:
                head = self._item(chains_here[0], "i32", at)
                w.store(w.load(head, "i32"), self._item(chains_here[1], "i32", k), "i32")
                w.store(w.set(f"trunc i64 {k} to i32"), head, "i32")

        self._loop(self.count, note)
        got = self._call("look", "i32", w.set("load i32, ptr %flag"))
        if not all((getattr(stage.by[t.given], "base", -1), t.size) in unit.checked for t in stage.target.terms):
            refuse(unit.w, unit.w.set(f"icmp ne i32 {got}, 0"), "%refused")
            unit.refuses = True
        if stage not in unit.steady:
            self.factors(True)
        if unit.refuses and unit.renewing == unit.unit.made[stage.out]:
            unit.refuse_now()

    def _apply(self, where: str, *chains: str) -> None:
        """A function that adds, or puts, what goes to each place."""
        unit, stage = self.unit, self.stage
        super().__init__(unit)
        w, nbytes = self.w, unit.specs[stage.out].nbytes
        theirs = unit.memory(stage.out).pointer
        out, where, *links = [self._take(name, "ptr") for name in (theirs, where, *chains)]
        if stage.base is None:
            w.intrinsics.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
            w.add(f"call void @llvm.memset.p0.i64(ptr {out}, i8 0, i64 {nbytes}, i1 false)")
        elif stage.base in unit.constants:
            start = number(unit.constants[stage.base], self.type)
            self._row(unit.specs[stage.out].size, True, lambda i: w.store(
                self._spread(start, TYPE[self.type]), self._item(out, self.type, i), self.type))
        elif unit.arrays[stage.base].pointer != theirs:
            base = self._take(unit.arrays[stage.base].pointer, "ptr")
            w.intrinsics.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
            w.add(f"call void @llvm.memcpy.p0.p0.i64(ptr {out}, ptr {base}, i64 {nbytes}, i1 false)")
        source, steps = stage.source, self.steps[id(stage.target)][1]
        vectors = steps[-1:] == [1] and not (isinstance(source, Access) and self._apart(source, self.steps[id(source)][1]))

        def each(body: Callable[[list[str]], None]) -> None:
            """For what goes to one place: the elements of all rows, or vectors of them."""
            row = self.free[-1] if self.free else 1
            self._each(self.free[:-1], lambda outer: self._row(row, vectors, lambda i: body([*outer, i])))

        def to(at: str, across: list[str]) -> str:
            return self._item(out, self.type, self._sum([self.step, *steps], [at, *across], stage.target.offset))

        def place(k: str) -> str:
            return w.load(self._item(where, "i64", k), "i64")

        if self.chains:
            self._chained(links, each, place, to)
        elif stage.how == "add":
            self._one_by_one(each, place, to)
        else:
            def put(k: str) -> None:
                at = place(k)
                each(lambda across: self._finish(self._source(k, across), to(at, across)))

            self._loop(self.count, put)
        self._call("scatter", "void")

    def _one_by_one(self, each: Any, place: Any, to: Any) -> None:
        """Add in an array of sums for all places."""
        w, per = self.w, prod(self.free)
        sums = self._buffer(self.wide, self.places * per)

        def sum_of(at: str, across: list[str]) -> str:
            return self._item(sums, self.wide, self._sum([per, *contiguous(tuple(self.free))], [at, *across]))

        def add(k: str) -> None:
            at = place(k)
            each(lambda across: self._plus(k, across, sum_of(at, across)))

        zero = number(0, self.wide)
        self._row(self.places * per, True, lambda i: w.store(
            self._spread(zero, TYPE[self.wide]), self._item(sums, self.wide, i), self.wide))
        self._loop(self.count, add)
        self._loop(self.places, lambda at: each(lambda across: self._finish(
            w.convert(w.load(sum_of(at, across), self.wide), self.wide, self.type), to(at, across))))

    def _chained(self, links: list[str], each: Any, place: Any, to: Any) -> None:
        """Add up the chains; of a single element it is only copied."""
        w, (heads, following) = self.w, links
        sums = self._buffer(self.wide, prod(self.free))

        def sum_of(across: list[str]) -> str:
            return self._item(sums, self.wide, self._sum(list(contiguous(tuple(self.free))), across))

        def further(link: str) -> str:
            return self._item(following, "i32", link)

        def chain(k: str) -> None:
            at = place(k)
            first = w.set(f"sext i32 {w.load(self._item(heads, 'i32', at), 'i32')} to i64")
            self._if(w.set(f"icmp eq i64 {first}, {k}"), lambda: self._if(
                w.set(f"icmp slt i32 {w.load(further(k), 'i32')}, 0"), lambda: copy(k, at), lambda: total(k, at)))

        def copy(k: str, at: str) -> None:
            each(lambda across: self._finish(self._source(k, across), to(at, across)))

        def total(k: str, at: str) -> None:
            each(lambda across: w.store(w.convert(self._source(k, across), self.type, self.wide), sum_of(across), self.wide))
            self._while(k, further, lambda link: each(lambda across: self._plus(link, across, sum_of(across))))
            each(lambda across: self._finish(w.convert(w.load(sum_of(across), self.wide), self.wide, self.type), to(at, across)))

        self._loop(self.count, chain)

    def factors(self, now: bool = False) -> bool:
        """Refuse factors (an infinite one) with which not every element stays as it is that nothing is added to; False where
        they are not known yet."""
        unit, stage = self.unit, self.stage
        given = [a for a in stage.args if a != stage.base]
        if self.type[0] in "iu" or len(stage.instrs) < 3:
            return True
        if not now and not all(v in unit.constants or v in unit.scalars for v in given):
            return False
        s = Functions()
        moved = self._through(s, s.const(0.0, self.type), stage.instrs[1:-1], given).to("f32").ne(0.0)
        (name,) = unit.w.expressions([moved], lambda e: unit.scalar(given[e.value]))
        refuse(unit.w, name, "%refused")
        unit.refuses = True
        return True

    def _through(self, s: Functions, x: Expr, instrs: list[Instr], given: list[int], base: Expr | None = None) -> Expr:
        """A sum after what comes after it; ``given`` are the inputs by their numbers."""
        unit, values = self.unit, {self.stage.instrs[0].outs[0]: x}
        for instr in instrs:
            args = [values[a] if a in values else base if a == self.stage.base and base is not None else s.input(
                unit.type(a), given.index(a)) for a in instr.args]
            values[instr.outs[0]] = x = lower(s, instr.op, args, unit.type(instr.outs[0]))
        return x

    def _finish(self, x: str, to: str) -> None:
        """What was added up goes to its place, with all that comes after it."""
        w, stage, unit = self.w, self.stage, self.unit
        if stage.how in ("max", "min"):
            x = self._larger(w.load(to, self.type), x)
        elif stage.how == "add" and stage.base is not None:
            s, given = Functions(), [a for a in stage.args if a != stage.base]
            names = []
            for a in given:
                theirs = unit.scalar(a)
                t = TYPE[unit.type(a)]
                names.append(self._spread(self._take(theirs, t) if theirs.startswith("%") else theirs, t))
            names += [x, w.load(to, self.type)]
            total, old = [s.input(self.type, len(given) + k) for k in (0, 1)]
            (x,) = w.expressions([self._through(s, total, stage.instrs[1:], given, old)], lambda e: names[e.value])
        w.store(x, to, self.type)

    def _plus(self, k: str, across: list[str], at: str) -> None:
        w = self.w
        more = w.convert(self._source(k, across), self.type, self.wide)
        add = "fadd" if self.wide[0] == "f" else "add"
        w.store(w.set(f"{add} {w.vector(TYPE[self.wide])} {w.load(at, self.wide)}, {more}"), at, self.wide)

    def _larger(self, a: str, b: str) -> str:
        """Or the smaller; NaN wins."""
        how, w = self.stage.how, self.w
        a, b = w.convert(a, self.type, self.wide), w.convert(b, self.type, self.wide)
        name = f"{how}imum" if self.wide[0] == "f" else f"{'s' if self.wide[0] == 'i' else 'u'}{how}"
        return w.convert(w.call(name, self.wide, a, b), self.wide, self.type)

    # ---------------------------------------------------------------------------------------------------------- reading

    def _along(self, k: str) -> list[str]:
        """The indices of the chained element k."""
        w, out = self.w, []
        for n in reversed(self.chained[1:]):
            out.append(w.set(f"urem i64 {k}, {n}"))
            k = w.set(f"udiv i64 {k}, {n}")
        return [k, *reversed(out)]

    def _read(self, access: Access, k: str, across: list[str]) -> str:
        by, over = self.steps[id(access)]
        return self._element(access.base, lambda: self._sum(over, across, self._sum(by, self._along(k), access.offset)))

    def _source(self, k: str, across: list[str]) -> str:
        source = self.stage.source
        if isinstance(source, Access):
            return self._read(source, k, across)
        return self._spread(number(source, self.type), TYPE[self.type])

    def _place(self, k: str) -> str:
        """Where the chained element k goes, in steps."""
        s, target = Functions(), self.stage.target
        known: list[str] = []
        out = self._sum([n // self.step for n in self.steps[id(target)][0]], self._along(k))
        places: list[Expr] = []
        for term in target.terms:
            by, type = self.stage.by[term.given], self.unit.type(term.given)
            known.append(self._read(by, k, []) if isinstance(by, Access) else number(by, type))
            places.append(s.place(s.input(type, len(known) - 1), term.size))
        names = self.w.expressions([*places, *s.refused], lambda e: known[e.value])
        for name in names[len(places):]:
            refuse(self.w, name, "%flag")
        return self._sum([t.stride // self.step for t in target.terms], names, out)

    def _while(self, k: str, further: Callable[[str], str], body: Callable[[str], None]) -> None:
        """Go along a chain, from what comes after k on; ``further`` tells where that stands."""
        w, label, link = self.w, self._label(), self.w.fresh("k")
        first = w.load(further(k), "i32")
        w.add(f"br label %{label}.in")
        w.label(f"{label}.in")
        w.add(f"br label %{label}")
        w.label(label)
        w.add(f"{link} = phi i32 [ {first}, %{label}.in ], [ {link}.n, %{label}.next ]")
        wide = w.set(f"sext i32 {link} to i64")
        body(wide)
        w.add(f"br label %{label}.next")
        w.label(f"{label}.next")
        w.add(f"{link}.n = load i32, ptr {further(wide)}, align 4")
        w.add(f"br i1 {w.set(f'icmp slt i32 {link}.n, 0')}, label %{label}.out, label %{label}")
        w.label(f"{label}.out")


__all__ = ["ScatterWriter"]

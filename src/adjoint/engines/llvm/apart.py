"""Stages that are functions of their own: what their writers share."""
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...plan.access import Access
from .text import MEMORY, SCALAR, TYPE, Writer

if TYPE_CHECKING:
    from .unit import UnitWriter

_FEW = 512                                               # elements of a buffer that stands on the stack


class Apart:
    """Writes a function, which the unit's function calls."""

    def __init__(self, unit: UnitWriter) -> None:
        self.unit = unit
        self.w = Writer()
        self.head: list[str] = []
        self.given: dict[str, tuple[str, str]] = {}      # name in the unit's function -> (type, own name)
        self.labels = 0

    def _call(self, what: str, type: str, result: str = "") -> str:
        """The function ends here: its name in the module is made of ``what``. Calls it."""
        unit, w = self.unit, self.w
        w.add(f"ret {type} {result}")
        params = ", ".join(f"{'ptr noalias' if t == 'ptr' else t} {own}" for t, own in self.given.values())
        name = unit.function(what, [f"define internal {type} @NAME({params}) #0 {{", "entry:", *self.head, *w.lines, "}"])
        unit.w.intrinsics |= w.intrinsics
        given = ", ".join(f"{t} {unit.near(theirs)}" for theirs, (t, _) in self.given.items())
        call = f"call {type} @{name}({given})"
        if type == "void":
            unit.w.add(call)
            return ""
        return unit.w.set(call)

    def _buffer(self, type: str, size: int) -> str:
        if size > _FEW:
            return self._take(self.unit.temporary(type, size).pointer, "ptr")
        name = self.w.fresh("m")
        self.head.append(f"  {name} = alloca {MEMORY[type]}, i64 {size}, align 64")
        return name

    def _take(self, theirs: str, type: str) -> str:
        """A name of the unit's function as this one knows it."""
        return self.given.setdefault(theirs, (type, f"%g{len(self.given)}"))[1]

    def _item(self, pointer: str, type: str, at: str) -> str:
        return self.w.set(f"getelementptr inbounds {MEMORY[type]}, ptr {pointer}, i64 {at}")

    def _sum(self, strides: list[int], indices: list[str], at: int | str = 0) -> str:
        w, out = self.w, str(at)
        for s, i in zip(strides, indices):
            if s:
                out = w.set(f"add i64 {out}, {w.set(f'mul i64 {i}, {s}')}")
        return out

    def _element(self, v: int, place: Callable[[], str]) -> str:
        """A value's element at a place, or as many as there are lanes."""
        unit, type = self.unit, self.unit.type(v)
        if v in unit.scalars:
            return self._spread(self._take(unit.scalars[v], TYPE[type]), TYPE[type])
        if v in unit.ramps:
            return self.w.convert(place(), "i64", type)
        return self.w.load(self._item(self._take(unit.arrays[v].pointer, "ptr"), type, place()), type)

    def _spread(self, x: str, t: str) -> str:
        """A number in each lane."""
        w = self.w
        if not w.lanes or not x.startswith("%"):
            return w.all(x, t)
        one = w.set(f"insertelement {w.vector(t)} poison, {t} {x}, i64 0")
        return w.set(f"shufflevector {w.vector(t)} {one}, {w.vector(t)} poison, <{w.lanes} x i32> zeroinitializer")

    def _apart(self, access: Access, steps: list[int]) -> bool:
        """Whether the elements of a row lie apart, so that they are not read as vectors."""
        return access.base not in self.unit.scalars and (access.base in self.unit.ramps or not steps or steps[-1] != 1)

    # ---------------------------------------------------------------------------------------------------------- control

    def _row(self, n: int, vectors: bool, body: Callable[[str], None]) -> None:
        """``body`` for each element of a row, or for each vector of them."""
        w, lanes = self.w, self.unit.width // 4
        while lanes > n:
            lanes //= 2
        if not vectors or lanes < 2:
            if n > 1:
                w.add(SCALAR)
            self._loop(n, body)
            return

        def wide(i: str) -> None:
            at = w.set(f"mul i64 {i}, {lanes}")
            w.lanes = lanes
            body(at)
            w.lanes = 0

        self._loop(n // lanes, wide)
        self._loop(n % lanes, lambda i: body(w.set(f"add i64 {i}, {n - n % lanes}")))

    def _label(self) -> str:
        self.labels += 1
        return f"L{self.labels}"

    def _loop(self, n: int, body: Callable[[str], None]) -> None:
        if n < 2:
            if n:
                body("0")
            return
        w, label, i = self.w, self._label(), self.w.fresh("i")
        w.add(f"br label %{label}.in")
        w.label(f"{label}.in")
        w.add(f"br label %{label}")
        w.label(label)
        w.add(f"{i} = phi i64 [ 0, %{label}.in ], [ {i}.n, %{label}.next ]")
        body(i)
        w.add(f"br label %{label}.next")
        w.label(f"{label}.next")
        w.add(f"{i}.n = add nuw nsw i64 {i}, 1")
        w.add(f"br i1 {w.set(f'icmp uge i64 {i}.n, {n}')}, label %{label}.out, label %{label}")
        w.label(f"{label}.out")

    def _each(self, sizes: list[int], body: Callable[[list[str]], None], known: tuple[str, ...] = ()) -> None:
        if len(known) == len(sizes):
            body(list(known))
        else:
            self._loop(sizes[len(known)], lambda i: self._each(sizes, body, (*known, i)))

    def _if(self, condition: str, yes: Callable[[], None], no: Callable[[], None] | None = None) -> None:
        w, label = self.w, self._label()
        w.add(f"br i1 {condition}, label %{label}.yes, label %{label}.no")
        w.label(f"{label}.yes")
        yes()
        w.add(f"br label %{label}.out")
        w.label(f"{label}.no")
        if no is not None:
            no()
        w.add(f"br label %{label}.out")
        w.label(f"{label}.out")


__all__ = ["Apart"]

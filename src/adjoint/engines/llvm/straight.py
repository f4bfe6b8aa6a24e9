"""Long straight-line code: in pieces that share a frame, with functions for what takes many instructions.

The pieces keep compiling time in proportion to the program (an integrator of a thousand steps): a piece is a function
of some dozens of operations, and values that leave it lie in a frame in memory.
"""
from __future__ import annotations

from typing import Any

from ..._graph import Op, Spec
from ..._scalar import Expr, Functions
from ...plan.fusion import REDUCTIONS, TYPES, Loop, lower
from ...plan.program import Instr
from .text import TYPE, Writer, number

LONG = 96                                                # operations from which straight-line code is cut in pieces
_PIECE = 64
_HEAVY = 12                                              # expressions from which an operation is a function


def is_long(loop: Loop) -> bool:
    return not loop.shape and len(loop.instrs) > LONG


class Pieces:
    """The pieces of one unit: their functions, and the frame."""

    def __init__(self, specs: dict[int, Spec], constants: dict[int, Any], names: dict[int, int]) -> None:
        self.specs, self.constants, self.names = specs, constants, names
        self.slots: dict[int, int] = {}
        self.stored: set[int] = set()                    # what lies in the frame already
        self.functions: list[str] = []
        self.intrinsics: set[str] = set()
        self._lowered: dict[tuple[Op, tuple[str, ...]], tuple[Functions, Expr, str]] = {}

    def type(self, v: int) -> str:
        return TYPES[self.specs[v].dtype.name]

    def slot(self, v: int) -> int:
        return self.slots.setdefault(v, len(self.slots))

    def cut(self, loop: Loop, outside: set[int]) -> list[tuple[str, list[int]]]:
        """Name of each piece and the values it takes from before; ``outside``: values that other loops need."""
        rows = [loop.instrs[k: k + _PIECE] for k in range(0, len(loop.instrs), _PIECE)]
        made = [{i.outs[0] for i in row} for row in rows]
        read = [{self.names.get(a, a) for i in row for a in i.args} - set(self.constants) for row in rows]
        after: list[set[int]] = [set()] * len(rows)
        later: set[int] = set(outside)
        for k in range(len(rows) - 1, -1, -1):
            after[k] = set(later)
            later |= read[k]
        return [(self._piece(row, made[k] & after[k]), sorted(read[k] - made[k])) for k, row in enumerate(rows)]

    def _piece(self, instrs: list[Instr], leaving: set[int]) -> str:
        w = Writer()
        known: dict[int, str] = {}

        def value(given: int) -> str:
            a = self.names.get(given, given)
            if a in self.constants:
                return number(self.constants[a], self.type(given))
            if a not in known:
                known[a] = w.load(self._at(w, self.slot(a)), self.type(a))
            return known[a]

        for instr in instrs:
            out = instr.outs[0]
            args = [value(a) for a in instr.args]
            known[out] = args[0] if instr.op.prim.name in REDUCTIONS else self._operation(
                w, instr, args, [self.type(a) for a in instr.args])
        for v in sorted(leaving):
            w.store(known[v], self._at(w, self.slot(v)), self.type(v))
        name = f"piece{len(self.functions)}"
        self._define(f"define internal void @{name}(ptr noalias %frame, ptr noalias %flag) #0 {{", w, "ret void")
        return name

    def _at(self, w: Writer, slot: int) -> str:
        return w.set(f"getelementptr i64, ptr %frame, i64 {slot}")

    def _operation(self, w: Writer, instr: Instr, args: list[str], types: list[str]) -> str:
        out = self.type(instr.outs[0])
        key = instr.op, tuple(types)
        found = self._lowered.get(key)
        if found is None:
            s = Functions()
            result = lower(s, instr.op, [s.input(t, k) for k, t in enumerate(types)], out)
            heavy = len(s._known) > _HEAVY or bool(s.refused)
            found = self._lowered[key] = s, result, self._function(s, result, types) if heavy else ""
        _, result, name = found
        if not name:
            return w.expressions([result], lambda e: args[e.value])[0]
        given = ", ".join(f"{TYPE[t]} {a}" for t, a in zip(types, args))
        return w.set(f"call {TYPE[out]} @{name}({given}, ptr %flag)")

    def _function(self, s: Functions, result: Expr, types: list[str]) -> str:
        w = Writer()
        name = f"function{len(self.functions)}"
        value, *refused = w.expressions([result, *s.refused], lambda e: f"%x{e.value}")
        for r in refused:
            refuse(w, r, "%flag")
        params = ", ".join(f"{TYPE[t]} %x{k}" for k, t in enumerate(types))
        self._define(f"define internal {TYPE[result.type]} @{name}({params}, ptr noalias %flag) #0 {{", w,
                     f"ret {TYPE[result.type]} {value}")
        return name

    def _define(self, head: str, w: Writer, end: str) -> None:
        self.intrinsics |= w.intrinsics
        self.functions.append("\n".join([head, *w.lines, f"  {end}", "}"]))


def refuse(w: Writer, condition: str, flag: str) -> None:
    """Note in memory that an element was refused."""
    bit = w.set(f"zext i1 {condition} to i32")
    before = w.set(f"load i32, ptr {flag}")
    after = w.set(f"or i32 {before}, {bit}")
    w.add(f"store i32 {after}, ptr {flag}")


__all__ = ["Pieces", "is_long", "refuse"]

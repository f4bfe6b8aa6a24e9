"""Long straight-line code: what repeats becomes loops, the rest pieces, and all share a frame in memory.

Both keep compiling time in proportion to what there is to say (an integrator of a thousand steps and its gradient are
two loops). A piece is a function of some dozens of operations. Values that leave their piece or loop lie in the frame,
those of a loop in an array with an element for each iteration. Loops that differ only in where their values lie share a function.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..._graph import Op, Spec
from ..._scalar import Expr, Functions
from ...plan.fusion import REDUCTIONS, TYPES, Loop, lower
from ...plan.program import Instr
from ...plan.reroll import Ref, Repeat, Rolled
from .text import MEMORY, SIZE, TYPE, Writer, number

LONG = 96                                                # operations from which straight-line code is cut in pieces
_PIECE = 64
_HEAVY = 12                                              # expressions from which an operation is a function
_WHOLE = 64                                              # operations of a loop's body that are written out together,
_MUCH = 1200                                             # unless they come to more expressions than these


def is_long(loop: Any) -> bool:
    """Whether a unit's stage is straight-line code of many operations."""
    return loop.__class__ is Loop and not loop.shape and len(loop.instrs) > LONG


class Pieces:
    """The functions of one unit's long stages, and the frame. A place in the frame is a number of bytes."""

    def __init__(self, specs: dict[int, Spec], constants: dict[int, Any], names: dict[int, int]) -> None:
        self.specs, self.constants, self.names = specs, constants, names
        self.size = 0                                    # bytes of the frame
        self.slots: dict[int, int] = {}                  # value -> its place
        self.stored: set[int] = set()                    # what lies in the frame already
        self.functions: list[str] = []
        self.intrinsics: set[str] = set()
        self._lowered: dict[tuple[Op, tuple[str, ...]], tuple[Functions, Expr, str]] = {}
        self._known: dict[tuple[str, str], str] = {}     # text -> the name of what has it

    def type(self, v: int) -> str:
        return TYPES[self.specs[v].dtype.name]

    def at(self, w: Writer, v: int) -> str:
        """The address of a value in the frame."""
        return w.set(f"getelementptr i8, ptr %frame, i64 {self.slots[v]}")

    def bring(self, w: Writer, pointer: str, type: str, values: list[tuple[int, int]]) -> None:
        """Copy values to their places in the frame from where they lie in an array: (offset there, value)."""
        rows = sorted((self.slots[v], k) for k, v in values)
        size, at = SIZE[type], 0
        while at < len(rows):
            (place, k), end = rows[at], at + 1
            by, apart = (rows[end][1] - k, rows[end][0] - place) if end < len(rows) else (0, 0)
            while end < len(rows) and rows[end] == (place + (end - at) * apart, k + (end - at) * by):
                end += 1
            begin = w.set(f"getelementptr i8, ptr {pointer}, i64 {k * size}")
            to = w.set(f"getelementptr i8, ptr %frame, i64 {place}")
            w.add(f"call void @{self._copy(type)}(ptr {begin}, ptr {to}, i64 {end - at}, i64 {by * size}, i64 {apart})")
            at = end

    def _copy(self, type: str) -> str:
        w = Writer()
        w.add("br label %loop")
        w.label("loop")
        w.add("%k = phi i64 [ 0, %entry ], [ %k.n, %loop ]")
        begin = w.set(f"getelementptr i8, ptr %from, i64 {w.set('mul i64 %k, %by')}")
        to = w.set(f"getelementptr i8, ptr %to, i64 {w.set('mul i64 %k, %apart')}")
        got = w.set(f"load {MEMORY[type]}, ptr {begin}, align {SIZE[type]}")
        w.add(f"store {MEMORY[type]} {got}, ptr {to}, align {SIZE[type]}")
        w.add("%k.n = add nuw nsw i64 %k, 1")
        w.add("%done = icmp uge i64 %k.n, %n")
        w.add("br i1 %done, label %out, label %loop")
        w.label("out")
        w.lines.insert(0, "entry:")
        return self.define("copy", "internal void", "(ptr noalias %from, ptr noalias %to, i64 %n, i64 %by, i64 %apart) #0", w,
                           "ret void")

    def cut(self, loop: Loop, outside: set[int]) -> tuple[str, list[int]]:
        """The name of the stage's function and the values that it takes from before; ``outside``: what others need of it."""
        return _Stage(self, loop.instrs, outside).write()

    def operation(self, w: Writer, instr: Instr, args: list[str], types: list[str]) -> str:
        out = self.type(instr.outs[0])
        if instr.op.prim.name in REDUCTIONS:             # of one element
            return args[0]
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
        value, *refused = w.expressions([result, *s.refused], lambda e: f"%x{e.value}")
        for r in refused:
            refuse(w, r, "%flag")
        params = ", ".join(f"{TYPE[t]} %x{k}" for k, t in enumerate(types))
        return self.define("function", f"internal {TYPE[result.type]}", f"({params}, ptr noalias %flag) #0", w,
                           f"ret {TYPE[result.type]} {value}")

    def define(self, kind: str, result: str, params: str, w: Writer, end: str) -> str:
        """A function's name; equal ones are one."""
        text = "\n".join([f"{params} {{", *w.lines, f"  {end}", "}"])
        name = self._known.get((kind, text))
        if name is None:
            name = self._known[kind, text] = f"{kind}{len(self.functions)}"
            self.intrinsics |= w.intrinsics
            self.functions.append(f"define {result} @{name}{text}")
        return name

    def table(self, values: list[str], type: str) -> str:
        """The name of constants in memory."""
        text = f"[{len(values)} x {type}] [{', '.join(f'{type} {v}' for v in values)}]"
        name = self._known.get(("table", text))
        if name is None:
            name = self._known["table", text] = f"table{len(self.functions)}"
            self.functions.append(f"@{name} = internal constant {text}")
        return name


class _Stage:
    """One long stage: which loops it has, where its values lie, and its functions.

    A value is meant by its code (plan.reroll), -1 for none.
    """

    def __init__(self, pieces: Pieces, instrs: list[Instr], outside: set[int]) -> None:
        self.pieces, self.instrs = pieces, instrs
        self.rolled = Rolled(instrs, pieces.specs, pieces.names)
        self.n = len(instrs)
        self.w = Writer()                                # the function that calls the others in order
        self.code, self.repeats = self.rolled.code, self.rolled.repeats
        total = self.n + len(self.rolled.outside)
        self.home = np.full(total, -1, np.int64)         # code -> place in the frame
        self.constant: dict[int, int] = {}               # code -> constant
        for k, v in enumerate(self.rolled.outside):
            if v in pieces.constants:
                self.constant[self.n + k] = v
            else:
                self.home[self.n + k] = pieces.slots.get(v, -1)
        self.owner = np.full(total, -1, np.int32)        # code -> its loop
        for number_, r in enumerate(self.repeats):
            self.owner[r.start:r.stop] = number_
        self.parts: list[range] = []                     # pieces between the loops
        at = 0
        for start, stop in [*((r.start, r.stop) for r in self.repeats), (self.n, self.n)]:
            self.parts += [range(k, min(k + _PIECE, start)) for k in range(at, start, _PIECE)]
            at = stop
        self.wanted = np.zeros(total, bool)              # what has to lie in memory
        self.arrays: dict[tuple[int, int], int] = {}     # (loop, place) -> where its array begins
        self._place(outside)

    # ---------------------------------------------------------------------------------------------- where values lie

    def _place(self, outside: set[int]) -> None:
        wanted, code = self.wanted, self.code
        for v in outside:
            wanted[code[v]] = True
        reads: list[Any] = []
        own: set[tuple[int, int]] = set()                # what a loop reads of itself in no pattern
        for number_, r in enumerate(self.repeats):
            for refs in r.refs:
                for ref in refs:
                    if ref.kind == "each" and not self._constants(ref):
                        reads.append(ref.codes)
                        wanted[ref.codes] = True
                        inside = ref.codes[self.owner[ref.codes] == number_]
                        own |= {(number_, int(place)) for place in (inside - r.start) % r.period}
                    elif ref.kind in ("carried", "fixed"):
                        wanted[[c for c in ref.codes if c not in self.constant]] = True
        for part in self.parts:
            read = self.rolled.args[part.start:part.stop]
            read = read[(read >= 0) & ((read < part.start) | (read >= part.stop))]
            wanted[[c for c in read.tolist() if c not in self.constant]] = True
        for number_, r in enumerate(self.repeats):       # arrays with an element for each iteration
            rows: Any = wanted[r.start:r.stop].reshape(r.count, r.period)[:-1].any(0)
            for place, some in enumerate(rows.tolist()):
                if some or (number_, place) in own:
                    self._array(number_, r, place, reads)
        for codes in reads:                              # what is read in order lies in order
            if (self.home[codes] < 0).all() and (self.owner[codes] < 0).all() and len(set(codes.tolist())) == len(codes):
                size = self._size(codes[0])
                self.home[codes] = self._take(len(codes) * size) + size * np.arange(len(codes))
        for c in np.flatnonzero(wanted & (self.home < 0)).tolist():
            self.home[c] = self._take(8)

    def _array(self, number_: int, r: Repeat, place: int, reads: list[Any]) -> None:
        """Memory for what one operation of a loop makes, with room at its ends for values that are read in line with it."""
        mine = r.start + place + r.period * np.arange(r.count)
        size = self._size(mine[0])
        before = after = -1
        for codes in reads:
            inside = self.owner[codes] == number_
            odd = codes[~inside]
            if len(odd) != 1 or self.home[odd[0]] >= 0 or self.owner[odd[0]] >= 0 or len(codes) < 3:
                continue
            k = int(np.flatnonzero(~inside)[0])
            step = codes[2] - codes[1] if k == 0 else codes[1] - codes[0]
            expected = codes[1] - step if k == 0 else codes[k - 1] + step
            if expected == mine[0] - r.period and before in (-1, odd[0]):
                before = odd[0]
            elif expected == mine[-1] + r.period and after in (-1, odd[0]):
                after = odd[0]
        start = self._take((r.count + 2) * size) + size
        self.arrays[number_, place] = start
        self.home[mine] = start + size * np.arange(r.count)
        if before >= 0:
            self.home[before] = start - size
        if after >= 0 and after != before:
            self.home[after] = start + size * r.count

    def _take(self, nbytes: int) -> int:
        at, pieces = self.pieces.size, self.pieces
        pieces.size += (nbytes + 7) // 8 * 8
        return at

    def _size(self, code: int) -> int:
        return SIZE[self.pieces.type(self._value(code))]

    def _value(self, code: int) -> int:
        return self.instrs[code].outs[0] if code < self.n else self.rolled.outside[code - self.n]

    def _constants(self, ref: Ref) -> bool:
        return all(c in self.constant for c in ref.codes.tolist())

    # ----------------------------------------------------------------------------------------------------- functions

    def write(self) -> tuple[str, list[int]]:
        pieces, w = self.pieces, self.w
        takes: list[int] = []
        for k, v in enumerate(self.rolled.outside):
            place = int(self.home[self.n + k])
            if place < 0:
                continue
            if v in pieces.constants:
                t = pieces.type(v)
                w.store(number(pieces.constants[v], t), w.set(f"getelementptr i8, ptr %frame, i64 {place}"), t)
            else:
                pieces.slots[v] = place
                takes.append(v)
        parts: list[Any] = [*self.parts, *self.repeats]
        for do in sorted(parts, key=lambda x: x.start):
            if isinstance(do, range):
                self._piece(do)
            else:
                self._loop(do)
        for c in np.flatnonzero(self.home[:self.n] >= 0).tolist():
            pieces.slots[self._value(c)] = int(self.home[c])
        return pieces.define("stage", "internal void", "(ptr noalias %frame, ptr noalias %flag) #0", w, "ret void"), takes

    def _piece(self, part: range) -> None:
        """Operations one after the other."""
        pieces, w = self.pieces, Writer()
        known: dict[int, str] = {}
        for k in part:
            instr = self.instrs[k]
            args = []
            for given, c in zip(instr.args, self.rolled.args[k].tolist()):
                t = pieces.type(given)
                if c in self.constant:
                    args.append(number(pieces.constants[self.constant[c]], t))
                    continue
                if c not in known:
                    known[c] = w.load(w.set(f"getelementptr i8, ptr %frame, i64 {self.home[c]}"), t)
                args.append(known[c])
            known[k] = pieces.operation(w, instr, args, [pieces.type(a) for a in instr.args])
        for k in part:
            if self.home[k] >= 0:
                w.store(known[k], w.set(f"getelementptr i8, ptr %frame, i64 {self.home[k]}"), pieces.type(self._value(k)))
        how = " #1" if self.repeats else " #0"
        name = pieces.define("piece", "internal void", f"(ptr noalias %frame, ptr noalias %flag){how}", w, "ret void")
        self.w.add(f"call void @{name}(ptr %frame, ptr %flag)")

    def _loop(self, r: Repeat) -> None:
        name, given = _LoopWriter(self, r).write()
        self.w.add(f"call void @{name}(ptr %frame, ptr %flag, {', '.join(f'i64 {g}' for g in given)})")


class _LoopWriter:
    """The function of one loop: its parameters are the number of iterations and the places in the frame."""

    def __init__(self, stage: _Stage, r: Repeat) -> None:
        self.stage, self.r, self.pieces = stage, r, stage.pieces
        self.number = stage.repeats.index(r)
        self.w = Writer()
        self.given: list[int] = [r.count]
        self.instrs = stage.instrs[r.start:r.start + r.period]
        self.types = [self.pieces.type(i.outs[0]) for i in self.instrs]

    def write(self) -> tuple[str, list[int]]:
        w, r, stage = self.w, self.r, self.stage
        carried: dict[tuple[int, tuple[int, ...]], list[str]] = {}
        before: dict[tuple[int, str], str] = {}          # values from before the loop
        for place, refs in enumerate(r.refs):
            for given, ref in zip(self.instrs[place].args, refs):
                if ref.kind == "carried":
                    key = ref.place, tuple(ref.codes.tolist())
                    if key not in carried:
                        carried[key] = [w.fresh("c") for _ in ref.codes]
                if ref.kind in ("carried", "fixed"):
                    t = self.pieces.type(given)
                    for c in ref.codes.tolist():
                        if (c, t) not in before:
                            before[c, t] = self._outside(c, t)
        w.add("br label %loop")
        w.label("loop")
        phis = len(w.lines)
        self.bad: list[str] = []                         # conditions under which this iteration is refused
        names = self._body(carried, before)
        lines = ["  %k = phi i64 [ 0, %entry ], [ %k.n, %loop ]"]
        for (place, codes), chain in carried.items():
            t = self.types[place]
            for back, phi in enumerate(chain, 1):        # the value of ``back`` iterations before
                first = before[codes[len(chain) - back], t]
                after = names[place] if back == 1 else chain[back - 2]
                lines.append(f"  {phi} = phi {TYPE[t]} [ {first}, %entry ], [ {after}, %loop ]")
        if self.bad:
            lines.append("  %bad = phi i1 [ false, %entry ], [ %bad.n, %loop ]")
            some = "%bad"
            for b in self.bad[:-1]:
                some = w.set(f"or i1 {some}, {b}")
            w.add(f"%bad.n = or i1 {some}, {self.bad[-1]}")
        w.lines[phis:phis] = lines
        w.add("%k.n = add nuw nsw i64 %k, 1")
        w.add("%done = icmp uge i64 %k.n, %p0")
        w.add("br i1 %done, label %out, label %loop")
        w.label("out")
        for place in range(r.period):
            last = r.stop - r.period + place
            if stage.home[last] >= 0 and (self.number, place) not in stage.arrays:
                w.store(names[place], self._address(int(stage.home[last])), self.types[place])
        if self.bad:
            refuse(w, "%bad.n", "%flag")
        params = "".join(f", i64 %p{k}" for k in range(len(self.given)))
        w.lines.insert(0, "entry:")
        name = self.pieces.define("loop", "internal void", f"(ptr noalias %frame, ptr noalias %flag{params}) #0", w, "ret void")
        return name, self.given

    def _address(self, place: int, index: str = "") -> str:
        self.given.append(place)
        at = f"%p{len(self.given) - 1}"
        if index:
            at = self.w.set(f"add i64 {at}, {index}")
        return self.w.set(f"getelementptr i8, ptr %frame, i64 {at}")

    def _outside(self, code: int, type: str) -> str:
        v = self.stage.constant.get(code)
        if v is not None:
            return number(self.pieces.constants[v], type)
        return self.w.load(self._address(int(self.stage.home[code])), type)

    def _each(self, ref: Ref, type: str) -> str:
        """What is read at another place in each iteration."""
        w, stage = self.w, self.stage
        if stage._constants(ref):
            values = [self.pieces.constants[stage.constant[c]] for c in ref.codes.tolist()]
            name = self.pieces.table([number(v, "u8" if type == "b" else type) for v in values], MEMORY[type])
            return w.load(w.set(f"getelementptr {MEMORY[type]}, ptr @{name}, i64 %k"), type)
        places = stage.home[ref.codes]
        step = int(places[1] - places[0])
        if (np.diff(places) == step).all():
            return w.load(self._address(int(places[0]), w.set(f"mul nsw i64 %k, {step}")), type)
        name = self.pieces.table([str(p) for p in places.tolist()], "i64")
        place = w.load(w.set(f"getelementptr i64, ptr @{name}, i64 %k"), "i64")
        return w.load(w.set(f"getelementptr i8, ptr %frame, i64 {place}"), type)

    def _body(self, carried: dict[Any, list[str]], before: dict[Any, str]) -> list[str]:
        """The operations of one iteration: the names of what they make."""
        stage, r, w = self.stage, self.r, self.w
        starts = r.start + r.period * np.arange(r.count)
        whole = r.period <= _WHOLE
        for refs in r.refs:                              # what is stored in an iteration and read in the same goes in order
            for ref in refs:
                if ref.kind == "each" and ((ref.codes >= starts) & (ref.codes < stage.n)).any():
                    whole = False
        reads: dict[Any, str] = {}

        def source(given: int, ref: Ref) -> str:
            t = self.pieces.type(given)
            if ref.kind == "fixed":
                return before[int(ref.codes[0]), t]
            if ref.kind == "carried":
                return carried[ref.place, tuple(ref.codes.tolist())][-1]
            key = tuple(ref.codes.tolist())
            if not whole:
                return self._each(ref, t)
            if key not in reads:
                reads[key] = self._each(ref, t)
            return reads[key]

        s = Functions()
        leaves: list[str] = []
        values: list[Expr] = []

        def leaf(given: int, ref: Ref) -> Expr:
            t = self.pieces.type(given)
            if ref.kind == "same":
                return values[ref.place]
            if ref.kind == "fixed" and int(ref.codes[0]) in stage.constant:
                return s.const(self.pieces.constants[stage.constant[int(ref.codes[0])]], t)
            name = source(given, ref)
            if name not in leaves:
                leaves.append(name)
            return s.input(t, leaves.index(name))

        for instr, refs in zip(self.instrs, r.refs) if whole else ():
            read = [leaf(a, ref) for a, ref in zip(instr.args, refs)]
            values.append(read[0] if instr.op.prim.name in REDUCTIONS
                          else lower(s, instr.op, read, self.pieces.type(instr.outs[0])))
            whole = len(s._known) <= _MUCH
            if not whole:
                break
        if whole:
            names = w.expressions([*values, *s.refused], lambda e: leaves[e.value])
            for place in range(r.period):
                self._keep(place, names[place])
            self.bad = names[r.period:]
            return names
        names = []
        for place, (instr, refs) in enumerate(zip(self.instrs, r.refs)):
            args = [names[ref.place] if ref.kind == "same" else source(a, ref) for a, ref in zip(instr.args, refs)]
            names.append(self.pieces.operation(w, instr, args, [self.pieces.type(a) for a in instr.args]))
            self._keep(place, names[-1])
        return names

    def _keep(self, place: int, name: str) -> None:
        at = self.stage.arrays.get((self.number, place))
        if at is not None:
            t = self.types[place]
            self.w.store(name, self._address(at, self.w.set(f"mul nuw nsw i64 %k, {SIZE[t]}")), t)


def refuse(w: Writer, condition: str, flag: str) -> None:
    """Note in memory that an element was refused."""
    bit = w.set(f"zext i1 {condition} to i32")
    before = w.set(f"load i32, ptr {flag}")
    after = w.set(f"or i32 {before}, {bit}")
    w.add(f"store i32 {after}, ptr {flag}")


__all__ = ["Pieces", "is_long", "refuse"]

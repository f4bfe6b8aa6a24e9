"""Expressions of the scalar vocabulary as lines of LLVM's language."""
from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._dtypes import bfloat16
from ..._scalar import BITS, HALVES, Expr

TYPE = {"b": "i1", "f16": "half", "bf16": "i16", "f32": "float", "f64": "double",
        **{f"{k}{n}": f"i{n}" for k in "iu" for n in (8, 16, 32, 64)}}
MEMORY = {**TYPE, "b": "i8"}
SIZE = {t: max(1, n // 8) for t, n in BITS.items()}

SCALAR = "; one by one"                                  # marks a loop that the compiler may write in vectors
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_WHOLE = {"quotient": "div", "rest": "rem"}
_INTRINSIC = {"sqrt": "sqrt", "floor": "floor", "rint": "rint", "trunc": "trunc", "abs": "fabs", "copysign": "copysign",
              "fma": "fma"}
_ZEROS = frozenset({"0", "0.0", "false", "0x0000000000000000", "0xH0000"})
_COMPARE = {"lt": ("olt", "slt", "ult"), "le": ("ole", "sle", "ule"), "eq": ("oeq", "eq", "eq"), "ne": ("une", "ne", "ne")}


def number(value: Any, type: str) -> str:
    """A constant."""
    if type == "f32":
        value = struct.unpack("f", struct.pack("f", value))[0] if math.isfinite(value) and abs(value) < 3.5e38 else (
            math.copysign(math.inf, value) if value == value else value)
    if type in ("f32", "f64"):
        if value != value:
            return "0x7FF8000000000000"
        return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"
    if type == "f16":
        return f"0xH{int(np.float16(value).view(np.uint16)):04X}"
    if type == "bf16":
        return str(int(bfloat16.np.type(value).view(np.uint16)))
    if type == "b":
        return "true" if value else "false"
    return str(int(value))


class Writer:
    """Lines of one function, with fresh names and the intrinsics that were used. With ``lanes`` values are vectors of so many."""

    def __init__(self) -> None:
        self.lanes = 0
        self.lines: list[str] = []
        self.intrinsics: set[str] = set()
        self._count = 0

    def fresh(self, prefix: str = "t") -> str:
        self._count += 1
        return f"%{prefix}{self._count}"

    def add(self, line: str) -> None:
        self.lines.append("  " + line)

    def set(self, right: str) -> str:
        name = self.fresh()
        self.lines.append(f"  {name} = {right}")
        return name

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def vector(self, t: str) -> str:
        """A type of LLVM's, or a vector of it."""
        return f"<{self.lanes} x {t}>" if self.lanes else t

    def all(self, value: str, t: str) -> str:
        """A constant, in each lane."""
        if not self.lanes:
            return value
        return "zeroinitializer" if value in _ZEROS else f"<{', '.join([f'{t} {value}'] * self.lanes)}>"

    def call(self, base: str, type: str, *args: str) -> str:
        t = TYPE[type]
        suffix = {"float": "f32", "double": "f64"}.get(t, t)
        name = f"llvm.{base}.{f'v{self.lanes}' if self.lanes else ''}{suffix}"
        t = self.vector(t)
        more = ", i1" if base == "abs" else ""
        self.intrinsics.add(f"declare {t} @{name}({', '.join([t] * len(args))}{more})")
        return self.set(f"call {t} @{name}({', '.join(f'{t} {a}' for a in args)}{', i1 false' if base == 'abs' else ''})")

    def load(self, pointer: str, type: str) -> str:
        t = self.vector(MEMORY[type])
        got = self.set(f"load {t}, ptr {pointer}, align {SIZE[type]}")
        return self.set(f"icmp ne {t} {got}, {self.all('0', 'i8')}") if type == "b" else got

    def store(self, value: str, pointer: str, type: str) -> None:
        if type == "b":
            value = self.set(f"zext {self.vector('i1')} {value} to {self.vector('i8')}")
        self.add(f"store {self.vector(MEMORY[type])} {value}, ptr {pointer}, align {SIZE[type]}")

    def expressions(self, results: list[Expr], leaf: Callable[..., str],
                    known: dict[Expr, str] | None = None) -> list[str]:
        """Write out what ``results`` need, each expression once; ``leaf`` gives the names of inputs, and of what is read at a
        place that was computed (its second argument). ``known``: what has a name already."""
        known = {} if known is None else known
        stack = list(reversed(results))
        while stack:
            e = stack[-1]
            if e in known:
                stack.pop()
                continue
            missing = [a for a in e.args if a not in known]
            if missing:
                stack.extend(reversed(missing))
                continue
            known[e] = self._one(e, [known[a] for a in e.args], leaf)
            stack.pop()
        return [known[e] for e in results]

    def _one(self, e: Expr, a: list[str], leaf: Callable[..., str]) -> str:
        op, type = e.op, e.type
        if op == "const":
            return self.all(number(e.value, type), TYPE[type])
        if op in ("input", "read"):
            return leaf(e, *a)
        t, floating = self.vector(TYPE[type]), type[0] == "f"
        if op in _FLOAT:
            if floating:
                return self.set(f"{_FLOAT[op]} {t} {a[0]}, {a[1]}")
            return self.set(f"{op} {t} {a[0]}, {a[1]}")
        if op in _WHOLE:
            return self.set(f"{'s' if type[0] == 'i' else 'u'}{_WHOLE[op]} {t} {a[0]}, {a[1]}")
        if op == "neg":
            return self.set(f"fneg {t} {a[0]}") if floating else self.set(f"sub {t} {self.all('0', TYPE[type])}, {a[0]}")
        if op == "abs" and not floating:
            return self.call("abs", type, a[0])
        if op in _INTRINSIC:
            return self.call(_INTRINSIC[op], type, *a)
        if op in _COMPARE:
            of = e.args[0].type
            names, t = _COMPARE[op], self.vector(TYPE[of])
            if of[0] == "f":
                return self.set(f"fcmp {names[0]} {t} {a[0]}, {a[1]}")
            return self.set(f"icmp {names[1] if of[0] == 'i' else names[2]} {t} {a[0]}, {a[1]}")
        if op in ("and", "or", "xor", "shl"):
            return self.set(f"{op} {t} {a[0]}, {a[1]}")
        if op == "shr":
            return self.set(f"lshr {t} {a[0]}, {a[1]}")
        if op == "not":
            return self.set(f"xor {t} {a[0]}, {self.all('true' if type == 'b' else '-1', TYPE[type])}")
        if op == "select":
            return self.set(f"select {self.vector('i1')} {a[0]}, {t} {a[1]}, {t} {a[2]}")
        if op == "bitcast":
            of = self.vector(TYPE[e.args[0].type])
            return self.set(f"bitcast {of} {a[0]} to {t}") if of != t else a[0]
        if op == "convert":
            return self.convert(a[0], e.args[0].type, type)
        raise AssertionError(op)

    def convert(self, x: str, source: str, target: str) -> str:
        a, b = self.vector(TYPE[source]), self.vector(TYPE[target])
        if source == target:
            return x
        if source in HALVES.values() or target in HALVES.values():
            return self._half(x, source, target)
        if target == "b":
            return self.set(
                f"{'fcmp une' if source[0] == 'f' else 'icmp ne'} {a} {x}, {self.all(number(0, source), TYPE[source])}")
        if source[0] == "f" and target[0] == "f":
            return self.set(f"{'fpext' if source == 'f32' else 'fptrunc'} {a} {x} to {b}")
        if source[0] == "f":
            return self.set(f"{'fptoui' if target[0] == 'u' else 'fptosi'} {a} {x} to {b}")
        if target[0] == "f":
            return self.set(f"{'sitofp' if source[0] == 'i' else 'uitofp'} {a} {x} to {b}")
        m, n = BITS[source], BITS[target]
        if m == n:
            return x
        return self.set(f"{'trunc' if m > n else 'sext' if source[0] == 'i' else 'zext'} {a} {x} to {b}")

    def _half(self, x: str, source: str, target: str) -> str:
        """From and to the types of 16 bits, by way of f32; bf16 is its bits, the upper half of those of f32."""
        i16, i32, real, half = map(self.vector, ("i16", "i32", "float", "half"))
        if source == "f16":
            return self.convert(self.set(f"fpext {half} {x} to {real}"), "f32", target)
        if source == "bf16":
            wide = self.set(f"shl {i32} {self.set(f'zext {i16} {x} to {i32}')}, {self.all('16', 'i32')}")
            return self.convert(self.set(f"bitcast {i32} {wide} to {real}"), "f32", target)
        x = self.convert(x, source, "f32")
        if target == "f16":
            return self.set(f"fptrunc {real} {x} to {half}")
        bits = self.set(f"bitcast {real} {x} to {i32}")
        high = self.set(f"lshr {i32} {bits}, {self.all('16', 'i32')}")
        odd = self.set(f"and {i32} {high}, {self.all('1', 'i32')}")             # ties go to the even one
        more = self.set(f"add {i32} {odd}, {self.all('32767', 'i32')}")
        up = self.set(f"lshr {i32} {self.set(f'add {i32} {bits}, {more}')}, {self.all('16', 'i32')}")
        nan = self.set(f"fcmp uno {real} {x}, {self.all('0.0', 'float')}")
        quiet = self.set(f"or {i32} {high}, {self.all('64', 'i32')}")
        short = self.set(f"select {self.vector('i1')} {nan}, {i32} {quiet}, {i32} {up}")
        return self.set(f"trunc {i32} {short} to {i16}")


__all__ = ["MEMORY", "SCALAR", "SIZE", "TYPE", "Writer", "number"]

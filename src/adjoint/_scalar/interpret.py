"""The vocabulary in NumPy: says what each operation means, and lets a lowering be tested without a compiler."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._dtypes import bfloat16
from .vocabulary import Expr

NUMPY = {"b": np.bool_, "f16": np.float16, "f32": np.float32, "f64": np.float64, "i8": np.int8, "i16": np.int16, "i32": np.int32,
         "i64": np.int64, "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64}


def _two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _split(x: Any) -> tuple[Any, Any]:
    c = 134217729.0 * x
    high = c - (c - x)
    return high, x - high


def _fma(a: Any, b: Any, c: Any) -> Any:
    if a.dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    p = a * b
    ah, al = _split(a)
    bh, bl = _split(b)
    e = ((ah * bh - p) + ah * bl + al * bh) + al * bl
    s, t = _two_sum(p, c)
    exact = s + (t + e)
    return np.where(np.isfinite(exact) & ((exact != 0) | (e != 0)), exact, p + c)   # where splitting overflows, and the sign of 0


def _quotient(x: Any, y: Any) -> Any:
    q = x // y
    return q + ((q < 0) & (q * y != x)).astype(q.dtype)


def _shr(x: Any, n: Any) -> Any:
    unsigned = np.dtype(f"u{x.dtype.itemsize}")
    return (x.view(unsigned) >> n.astype(unsigned)).view(x.dtype)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative, "abs": np.abs, "sqrt": np.sqrt,
    "floor": np.floor, "rint": np.rint, "trunc": np.trunc, "copysign": np.copysign, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "not": np.invert, "shl": np.left_shift, "shr": _shr, "select": np.where, "fma": _fma,
    "div": np.true_divide, "quotient": _quotient, "rest": np.fmod,
}


def evaluate(results: Sequence[Expr], inputs: Sequence[Any]) -> list[Any]:
    """The values of ``results`` where input number k is ``inputs[k]``."""
    known: dict[Expr, Any] = {}

    def value(e: Expr) -> Any:
        stack = [e]
        while stack:
            top = stack[-1]
            missing = [a for a in top.args if a not in known]
            if top in known:
                stack.pop()
            elif missing:
                stack.extend(missing)
            else:
                known[top] = _apply(top, [known[a] for a in top.args], inputs)
                stack.pop()
        return known[e]

    with np.errstate(all="ignore"):
        return [value(e) for e in results]


def _apply(e: Expr, args: list[Any], inputs: Sequence[Any]) -> Any:
    dtype = bfloat16.np if e.type == "bf16" else NUMPY[e.type]
    if e.op == "const":
        return np.asarray(e.value, dtype)
    if e.op == "input":
        return np.asarray(inputs[e.value])
    if e.op == "convert":
        return args[0] != 0 if e.type == "b" else args[0].astype(dtype)
    if e.op == "bitcast":
        return np.asarray(args[0]).view(dtype)
    return np.asarray(_OPERATIONS[e.op](*args))


__all__ = ["NUMPY", "evaluate"]

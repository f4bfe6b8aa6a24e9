"""Conversions of float16 that the processor has no instruction for.

LLVM then calls a function of its compiler's library, which a Python process has not loaded: calling it would end the process.
They are written here with whole numbers, to nearest and ties to even.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .native import Compiler

_NAMES = {"__truncdfhf2": "", "__truncsfhf2": "_f32", "__extendhfsf2": "_extend"}

_TEXT = """
declare double @llvm.fabs.f64(double)
declare i64 @llvm.umin.i64(i64, i64)

define half @NAME(double %x) {
  %bits = bitcast double %x to i64
  %high = lshr i64 %bits, 48
  %sign = and i64 %high, 32768
  %a = call double @llvm.fabs.f64(double %x)
  %abs = bitcast double %a to i64
  %digits = lshr i64 %abs, 42
  %odd = and i64 %digits, 1
  %half = add i64 %odd, 2199023255551
  %up = add i64 %abs, %half
  %cut = lshr i64 %up, 42
  %moved = sub i64 %cut, 1032192
  %normal = call i64 @llvm.umin.i64(i64 %moved, i64 31744)
  %units = fadd double %a, 0x41B0000000000000
  %low = bitcast double %units to i64
  %small = and i64 %low, 65535
  %tiny = fcmp olt double %a, 0x3F10000000000000
  %number = select i1 %tiny, i64 %small, i64 %normal
  %payload = and i64 %digits, 1023
  %quiet = or i64 %payload, 32256
  %nan = fcmp uno double %x, 0.0
  %value = select i1 %nan, i64 %quiet, i64 %number
  %all = or i64 %value, %sign
  %short = trunc i64 %all to i16
  %result = bitcast i16 %short to half
  ret half %result
}

define half @NAME_f32(float %x) {
  %wide = fpext float %x to double
  %result = call half @NAME(double %wide)
  ret half %result
}

define float @NAME_extend(half %x) {
  %short = bitcast half %x to i16
  %bits = zext i16 %short to i32
  %sign = and i32 %bits, 32768
  %abs = and i32 %bits, 32767
  %moved = shl i32 %abs, 13
  %scaled = bitcast i32 %moved to float
  %right = fmul float %scaled, 0x46F0000000000000
  %number = bitcast float %right to i32
  %special = icmp uge i32 %abs, 31744
  %full = or i32 %moved, 2139095040
  %value = select i1 %special, i32 %full, i32 %number
  %top = shl i32 %sign, 16
  %all = or i32 %value, %top
  %result = bitcast i32 %all to float
  ret float %result
}
"""


def needed(code: bytes) -> bool:
    """Whether object code calls one of them."""
    return b"hf2\0" in code or b"__extendhf" in code


def connect(compiler: Compiler) -> Any:
    """Make them known to compiled code; what keeps them alive."""
    address, engine = compiler.load(_TEXT, "@NAME", "halves", True)
    entry = compiler.named(_TEXT, "halves")
    for name, ending in _NAMES.items():
        compiler.symbol(name, engine.get_function_address(entry + ending) if ending else address)
    return engine


__all__ = ["connect", "needed"]

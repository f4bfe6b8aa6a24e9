"""Recording as native code: what an operator does when it records what was recorded at this place before.

The functions of ``_operators`` say what recording means. Once there is a compiler, operators on tensors are methods in native
code that look at the usual case: the operands stand in this thread's program, the node that followed last is this use of the
operation, on the same line. Then the next tensor is made and the program moves on, in a fifth of the time. In any other case
they have recorded nothing and call the function of ``_operators``; other functions ask native code first in the same way.

The code knows no Python object by its address, so it is kept on disk like any other: what it needs stands in two tables of
its own that are filled here. Where the slots of our classes are was found by looking. Tensors of a settled program that nobody
refers to any more are used again, which saves two thirds of what making and freeing them takes.
"""
from __future__ import annotations

import _thread
import ctypes
import struct
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..._dtypes import DType, bool_, complex64, float32
from ..._graph import NOTHING, ROOT, Node, Op, Spec
from ..._lines import _OWN
from ..._operators import Recorded, recorded, slow_binary
from ..._tensor import Tensor, Value, Variable
from ..._trace import (
    _LITERAL_FLOATS,
    _LITERAL_INTS,
    FROZEN_INPUT,
    LITERAL,
    SCALAR_INPUT,
    TENSOR_INPUT,
    VARIABLE_INPUT,
    Trace,
    hooks,
    live,
    local,
    record,
)
from . import recording

if TYPE_CHECKING:
    from .native import Compiler

_METH_O, _METH_NOARGS, _METH_FASTCALL = 0x0008, 0x0004, 0x0080
_PATIENCE = 10                                           # programs that are settled before it is made
_POOL = 16_384                                           # tensors that are kept to be used again


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


def _find(x: Any, part: Any) -> int:
    """Where an object has a reference."""
    found = [k for k in range(object.__basicsize__, type(x).__basicsize__, 8)
             if ctypes.c_size_t.from_address(id(x) + k).value == id(part)]
    if len(found) != 1:
        raise ValueError("objects are laid out differently here")
    return found[0]


def _slot(x: Any, name: str) -> int:
    """Where an object has one of its slots."""
    mark, before = object(), getattr(x, name, None)
    setattr(x, name, mark)
    at = _find(x, mark)
    setattr(x, name, before)
    return at


def _layout() -> dict[str, int]:
    """Where everything is that the native code reads."""
    code, head = _layout.__code__, object.__basicsize__
    kinds: tuple[tuple[str, Any, str], ...] = (
        ("T", object.__new__(Variable), "_trace _idx _spec _value _pending trainable"), ("T", object.__new__(Tensor), "_origin"),
        ("R", Trace(), "node handles scalars where fast captures closed inputs owners held"),
        ("N", Node(ROOT, None, (), ()), "hint op args i j idx spec code off count"), ("S", Spec(), "nbytes dtype"),
        ("P", Op(LITERAL, {}), "prim params"), ("D", object.__new__(DType), "kind"))
    places = {f"{kind}_{name.lstrip('_').upper()}": _slot(x, name) for kind, x, names in kinds for name in names.split()}
    places |= {"T_WEAK": Tensor.__weakrefoffset__, "O_TYPE": head - 8, "O_BYTES": bytes.__basicsize__ - 1,
               "C_FILE": _find(code, code.co_filename), "POOL": _POOL}
    if ctypes.c_size_t.from_address(id(code) + places["O_TYPE"]).value != id(type(code)):
        raise ValueError("objects are laid out differently here")
    return places


class Recorder:
    """The native operators, made once; ``on`` puts them to use."""

    def __init__(self, native: Compiler) -> None:
        if ctypes.sizeof(ctypes.c_void_p) != 8 or not getattr(sys, "_is_gil_enabled", lambda: True)() or not isinstance(
                local, _thread._local):
            raise ValueError("this Python is built differently")
        for name in recording.FOREIGN:
            native.symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0)
        methods = [(name, f, recorded[f]) for name, f in vars(Value).items() if f.__class__ is FunctionType and f in recorded]
        text = recording.text(_layout(), [("one" if r.arity == 1 else "two", r.swap) for _, _, r in methods])
        address, self._engine = native.load(text, "@NAME", "recorder", True)
        find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(address)
        known = {
            "NONE": None, "TRUE": True, "TENSOR": Tensor, "VARIABLE": Variable, "SPEC": Spec, "LIST": list, "FLOAT": float,
            "INT": int, "LOCAL": local, "ENTRIES": sys.intern("__dict__"), "TRACE": sys.intern("trace"), "OWN": _OWN,
            "NOTHING": NOTHING, "TENSOR_INPUT": TENSOR_INPUT, "VARIABLE_INPUT": VARIABLE_INPUT, "FROZEN_INPUT": FROZEN_INPUT,
            "SCALAR_INPUT": SCALAR_INPUT, "LITERAL": LITERAL, "FLOATS": _LITERAL_FLOATS, "INTS": _LITERAL_INTS,
            "VALUE": sys.intern("value"), "FALSE": False, "KIND_F": float32.kind, "KIND_C": complex64.kind, "KIND_B": bool_.kind}
        rows = [x for _, f, r in methods for x in (r.op, f)]
        self._kept = known, rows                         # the tables' references
        _fill(find(0), [known[name] for name in recording.KNOWN])
        _fill(find(1), rows)
        self.methods: list[tuple[str, Any, Any]] = []    # name, the function it stands for, and itself
        functions = (ctypes.c_void_p * len(methods)).from_address(find(2))
        new = ctypes.pythonapi.PyDescr_NewMethod
        new.restype, new.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.c_void_p]
        for (name, f, r), address in zip(methods, functions):
            doc = f"{name}({'$self' if r.arity == 1 else '$self, y'}, /)\n--\n\n{f.__doc__ or ''}"   # begins with the signature
            method = _method(name, address, _METH_NOARGS if r.arity == 1 else _METH_O, doc)
            self.methods.append((name, f, new(Value, method)))
        self.hooks = {name: native.new(_method(name, find(k), flags, None), None, None) for k, name, flags in (
            (5, "record", _METH_FASTCALL), (6, "tensors", _METH_FASTCALL), (7, "live", _METH_O), (8, "reuse", _METH_O),
            (9, "enter", _METH_FASTCALL))}
        self.before = {name: getattr(hooks, name) for name in self.hooks} | {"live": live}
        self.functions: list[tuple[Recorded, Any]] = []
        for function, r in recorded.items():
            if r.use is not None and not function.__name__.startswith("__"):
                method = _method(function.__name__, find(2 + r.arity), _METH_FASTCALL, None)
                row = struct.pack("=QQ", id(r.op), 0)
                self.functions.append((r, native.new(method, id(row), None)))
        for code in (record.__code__, slow_binary.__code__):   # ``note`` begins at those who call these
            _OWN[code.co_filename]
        mine = [object.__new__(Tensor), object.__new__(Tensor)]
        held = mine[1]
        if self.hooks["live"](mine) != [held]:
            raise ValueError("references are counted differently here")

    def on(self) -> None:
        """Put the native operators in the place of the others."""
        for name, f, method in self.methods:
            if vars(Value).get(name) is f:
                setattr(Value, name, method)
        for r, function in self.functions:
            r.use(function)
        for name, native in self.hooks.items():
            setattr(hooks, name, native)

    def off(self) -> None:
        """Take them away again."""
        for name, f, method in self.methods:
            if vars(Value).get(name) is method:
                setattr(Value, name, f)
        for r, _ in self.functions:
            r.use(None)
        for name, other in self.before.items():
            setattr(hooks, name, other)


made: list[Recorder] = []                                # the process's one, where there is one


def begin(native: Compiler) -> None:
    """Record natively from some settled programs on, where this Python is as the code needs it. Sooner it would not be worth the
    making, which takes some milliseconds, and as long as a small program where it has to be compiled."""
    left = _PATIENCE

    def counted(handles: list[Any]) -> list[Any]:
        nonlocal left
        left -= 1
        if left <= 0 and not made and not native.compiling and native.lock.acquire(blocking=False):
            hooks.live = live
            try:
                recorder = Recorder(native)
                recorder.on()
                made.append(recorder)
            except Exception:                            # Python is laid out differently here: its functions go on recording
                pass
            finally:
                native.lock.release()
        return live(handles)

    hooks.live = counted


def _method(name: str, code: int, flags: int, doc: str | None) -> int:
    """How Python calls a function; it looks there for ever."""
    method = _Method(name.encode(), code, flags, doc.encode() if doc else None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(method))
    return ctypes.addressof(method)


def _fill(table: int, objects: Any) -> None:
    (ctypes.c_size_t * len(objects)).from_address(table)[:] = [id(x) for x in objects]


__all__ = ["Recorder", "begin", "made"]

"""Recording as native code: what an operator does when it records what was recorded at this place before.

The functions of ``_operators`` say what recording means. Once there is a compiler, operators on tensors are methods in native
code that look at the usual case: the operands stand in this thread's program, the node that followed last is this use of the
operation, on the same line. Then the next tensor is made and the program moves on, in a fifth of the time. In any other case
they have changed nothing and call the function of ``_operators``.

The code knows no Python object by its address, so it is kept on disk like any other: what it needs stands in two tables of
its own that are filled here. Where the slots of our classes are was found by looking. Tensors of a settled program that nobody
refers to any more are used again, which saves two thirds of what making and freeing them takes.
"""
from __future__ import annotations

import contextlib
import ctypes
import re
import struct
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..._graph import ROOT, Node
from ..._lines import _OWN
from ..._operators import Recorded, recorded
from ..._tensor import Tensor, Value, Variable
from ..._trace import Trace, hooks, live, local

if TYPE_CHECKING:
    from .native import Compiler

_KINDS = {(1, False): "one", (2, False): "two", (2, True): "reflected"}
_METH_O, _METH_NOARGS, _METH_FASTCALL = 0x0008, 0x0004, 0x0080
_PATIENCE = 20                                           # programs that are settled before it is made
_POOL = 16_384                                           # tensors that are kept to be used again
_FOREIGN = (
    "PyDict_GetItemWithError", "PyErr_Occurred", "PyEval_GetFrame", "PyFrame_GetBack", "PyFrame_GetCode", "PyFrame_GetLasti",
    "PyList_Append", "PyList_GetItem", "PyList_New", "PyList_Size", "PyLong_AsSsize_t", "PyLong_FromVoidPtr", "PyObject_GetAttr",
    "PyObject_Vectorcall", "PyThreadState_Get", "PyThreadState_GetID", "PyTuple_GetItem", "PyType_GenericAlloc", "Py_DecRef",
    "Py_IncRef",
)


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
    tensor, trace, node = object.__new__(Tensor), Trace(), Node(ROOT, None, (), ())
    places = {f"T{name.upper()}": _slot(tensor, name) for name in ("_trace", "_idx", "_spec", "_value", "_origin")}
    places |= {f"R_{name.upper()}": _slot(trace, name) for name in ("node", "handles", "scalars", "where")}
    places |= {f"N_{name.upper()}": _slot(node, name) for name in ("hint", "op", "i", "j", "idx", "spec", "code", "off")}
    places["T_WEAK"] = Tensor.__weakrefoffset__
    places["POOL"] = _POOL
    places["O_BYTES"] = bytes.__basicsize__ - 1
    code = _layout.__code__
    places["C_FILE"] = _find(code, code.co_filename)
    places["O_TYPE"] = object.__basicsize__ - 8
    if ctypes.c_size_t.from_address(id(tensor) + places["O_TYPE"]).value != id(Tensor):
        raise ValueError("Python's objects are laid out differently here")
    return places


class Recorder:
    """The native operators, made once; ``on`` puts them to use."""

    def __init__(self, native: Compiler) -> None:
        if ctypes.sizeof(ctypes.c_void_p) != 8 or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ValueError("this Python is built differently")
        for name in _FOREIGN:
            native.symbol(name, ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0)
        methods = [(name, f, recorded[f]) for name, f in vars(Value).items() if f.__class__ is FunctionType and f in recorded]
        places = _layout()
        n = len(methods)
        text = _written(_TEXT, places) + "\n".join([
            f"@rows = private global [{2 * n} x ptr] zeroinitializer",
            *[_THUNK.format(k=2 * k, kind=_KINDS[r.arity, r.swap]) for k, (_, _, r) in enumerate(methods)],
            f"@all = private constant [{n} x ptr] [{', '.join(f'ptr @thunk{2 * k}' for k in range(n))}]", _FIND])
        address, self._engine = native.load(text, "@NAME", "recorder")
        find = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(address)
        known = (None, Tensor, Variable, list, float, int, local, _OWN, True, sys.intern("trace"), sys.intern("__dict__"))
        rows = [x for _, f, r in methods for x in (r.op, f)]
        self._kept = known, rows                         # the tables' references
        _fill(find(0), known)
        _fill(find(1), rows)
        self.methods: list[tuple[str, Any, Any]] = []    # name, the function it stands for, and itself
        functions = (ctypes.c_void_p * n).from_address(find(2))
        new = ctypes.pythonapi.PyDescr_NewMethod
        new.restype, new.argtypes = ctypes.py_object, [ctypes.py_object, ctypes.c_void_p]
        for (name, f, r), code in zip(methods, functions):
            method = _method(name, code, _METH_NOARGS if r.arity == 1 else _METH_O, f.__doc__)
            self.methods.append((name, f, new(Value, method)))
        self.live, self.reuse = [native.new(_method(name, find(k), _METH_O, None), None, None)
                                 for k, name in ((5, "live"), (6, "reuse"))]
        self.functions: list[tuple[Recorded, Any]] = []
        for function, r in recorded.items():
            if r.use is not None and not function.__name__.startswith("__"):
                method = _method(function.__name__, find(2 + r.arity), _METH_FASTCALL, None)
                row = struct.pack("=QQ", id(r.op), 0)
                self.functions.append((r, native.new(method, id(row), None)))
        mine = [object.__new__(Tensor), object.__new__(Tensor)]
        held = mine[1]
        if self.live(mine) != [held]:
            raise ValueError("references are counted differently here")

    def on(self) -> None:
        """Put the native operators in the place of the others."""
        for name, f, method in self.methods:
            if vars(Value).get(name) is f:
                setattr(Value, name, method)
        for r, function in self.functions:
            r.use(function)
        hooks.live, hooks.reuse = self.live, self.reuse

    def off(self) -> None:
        """Take them away again."""
        for name, f, method in self.methods:
            if vars(Value).get(name) is method:
                setattr(Value, name, f)
        for r, _ in self.functions:
            r.use(None)
        hooks.live, hooks.reuse = live, list.clear


made: list[Recorder] = []                                # the process's one, where there is one


def begin(native: Compiler) -> None:
    """Record natively from some settled programs on, where this Python is as the code needs it: sooner it would not be worth its
    making, which takes some milliseconds, or when it has to be compiled as long as a small program."""
    left = _PATIENCE

    def counted(handles: list[Any]) -> list[Any]:
        nonlocal left
        left -= 1
        if not left:
            hooks.live = live
            with contextlib.suppress(Exception), native.lock:
                recorder = Recorder(native)
                made.append(recorder)
                recorder.on()
        return hooks.live(handles) if left <= 0 else live(handles)

    hooks.live = counted


def _method(name: str, code: int, flags: int, doc: str | None) -> int:
    """How Python calls a function; it looks there for ever."""
    method = _Method(name.encode(), code, flags, doc.encode() if doc else None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(method))
    return ctypes.addressof(method)


def _written(text: str, places: dict[str, int]) -> str:
    """The text with numbers for the names of places, and these three written out:

        %a = slot %x K      the reference that %x has at K
        %a = known K        number K of the known objects
        put %x K %v         gives %x a reference to %v at K
    """
    text = re.sub(rf"\b({'|'.join(places)})\b", lambda m: str(places[m[0]]), text)
    text = re.sub(r"(%\S+) = slot (%\S+) (-?\d+)", r"\1.at = getelementptr i8, ptr \2, i64 \3\n  \1 = load ptr, ptr \1.at", text)
    text = re.sub(r"(%\S+) = known (\d+)", r"\1.at = getelementptr ptr, ptr @known, i64 \2\n  \1 = load ptr, ptr \1.at", text)
    return re.sub(r"put (%\S+) (\d+) (%\S+)", r"call void @Py_IncRef(ptr \3)\n  \1.\2 = getelementptr i8, ptr \1, i64 \2"
                  r"\n  store ptr \3, ptr \1.\2", text)


def _fill(table: int, objects: Any) -> None:
    (ctypes.c_size_t * len(objects)).from_address(table)[:] = [id(x) for x in objects]


_TEXT = """
declare ptr @PyObject_GetAttr(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare i32 @PyList_Append(ptr, ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyLong_FromVoidPtr(ptr)
declare i64 @PyLong_AsSsize_t(ptr)
declare ptr @PyEval_GetFrame()
declare ptr @PyFrame_GetBack(ptr)
declare i32 @PyFrame_GetLasti(ptr)
declare ptr @PyFrame_GetCode(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyThreadState_Get()
declare i64 @PyThreadState_GetID(ptr)
declare i64 @PyList_Size(ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyList_New(i64)
declare i64 @llvm.smin.i64(i64, i64)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)

@known = private global [11 x ptr] zeroinitializer
@thread = private global i64 -1
@entries = private global ptr null
@pool = private global [POOL x ptr] zeroinitializer
@pooled = private global i64 0
@handed = private global i64 0

define private void @change(ptr %x, i64 %at, ptr %v) {
  %p = getelementptr i8, ptr %x, i64 %at
  %old = load ptr, ptr %p
  %is = icmp eq ptr %old, %v
  br i1 %is, label %done, label %store
store:
  call void @Py_IncRef(ptr %v)
  store ptr %v, ptr %p
  call void @Py_DecRef(ptr %old)
  br label %done
done:
  ret void
}

; Whether two places are the same: one object nearly always.
define private i1 @same(ptr %a, ptr %b) {
  %is = icmp eq ptr %a, %b
  br i1 %is, label %yes, label %look
look:
  %m = call i64 @PyLong_AsSsize_t(ptr %a)
  %n = call i64 @PyLong_AsSsize_t(ptr %b)
  %equal = icmp eq i64 %m, %n
  ret i1 %equal
yes:
  ret i1 true
}

; The place of a tensor or variable in the program, or null.
define private ptr @place(ptr %x, ptr %trace) {
  %type = slot %x O_TYPE
  %Tensor = known 1
  %Variable = known 2
  %is.t = icmp eq ptr %type, %Tensor
  %is.v = icmp eq ptr %type, %Variable
  %is = or i1 %is.t, %is.v
  br i1 %is, label %ours, label %no
ours:
  %of = slot %x T_TRACE
  %here = icmp eq ptr %of, %trace
  br i1 %here, label %yes, label %no
yes:
  %idx = slot %x T_IDX
  ret ptr %idx
no:
  ret ptr null
}

; The place of a Python number that the program knows, or null (perhaps with an error).
define private ptr @number(ptr %y, ptr %trace) {
  %type = slot %y O_TYPE
  %Float = known 4
  %Int = known 5
  %is.f = icmp eq ptr %type, %Float
  %is.i = icmp eq ptr %type, %Int
  %is = or i1 %is.f, %is.i
  br i1 %is, label %look, label %no
look:
  %id = call ptr @PyLong_FromVoidPtr(ptr %y)
  %made = icmp ne ptr %id, null
  br i1 %made, label %find, label %no
find:
  %scalars = slot %trace R_SCALARS
  %entry = call ptr @PyDict_GetItemWithError(ptr %scalars, ptr %id)
  call void @Py_DecRef(ptr %id)
  %found = icmp ne ptr %entry, null
  br i1 %found, label %yes, label %no
yes:
  %idx = call ptr @PyTuple_GetItem(ptr %entry, i64 0)
  ret ptr %idx
no:
  ret ptr null
}

; Whether the innermost frame outside of adjoint stands on the line of the node.
define private i1 @lined(ptr %node, ptr %given) {
  %none.given = icmp eq ptr %given, null
  br i1 %none.given, label %ask, label %start
ask:
  %current = call ptr @PyEval_GetFrame()
  br label %start
start:
  %first = phi ptr [ %current, %ask ], [ %given, %0 ]
  %must = slot %node N_CODE
  br label %look
look:
  %frame = phi ptr [ %first, %start ], [ %back, %next ]
  %gone = icmp eq ptr %frame, null
  br i1 %gone, label %no, label %there
there:
  %code = call ptr @PyFrame_GetCode(ptr %frame)
  call void @Py_DecRef(ptr %code)
  %is = icmp eq ptr %code, %must
  br i1 %is, label %offset, label %other
other:
  %file = slot %code C_FILE
  %own = known 7
  %known = call ptr @PyDict_GetItemWithError(ptr %own, ptr %file)
  %true = known 8
  %is.own = icmp eq ptr %known, %true
  br i1 %is.own, label %up, label %no
up:
  %back = call ptr @PyFrame_GetBack(ptr %frame)
  %end = icmp eq ptr %back, null
  br i1 %end, label %no, label %next
next:
  call void @Py_DecRef(ptr %back)                        ; it lives as long as it runs
  br label %look
offset:
  %off = slot %node N_OFF
  %m = call i64 @PyLong_AsSsize_t(ptr %off)
  %lasti = call i32 @PyFrame_GetLasti(ptr %frame)
  %n = sext i32 %lasti to i64
  %equal = icmp eq i64 %m, %n
  ret i1 %equal
no:
  ret i1 false
}

; The next tensor, where the node that followed last is this use of the operation; null (perhaps with an error) where not.
define private ptr @go(ptr %trace, ptr %op, ptr %i, ptr %j, ptr %frame) {
  %none = known 0
  %here = slot %trace R_NODE
  %node = slot %here N_HINT
  %node.op = slot %node N_OP
  %same.op = icmp eq ptr %node.op, %op
  br i1 %same.op, label %first, label %no
first:
  %node.i = slot %node N_I
  %same.i = call i1 @same(ptr %node.i, ptr %i)
  br i1 %same.i, label %one, label %no
one:
  %single = icmp eq ptr %j, null
  br i1 %single, label %use, label %second
second:
  %node.j = slot %node N_J
  %same.j = call i1 @same(ptr %node.j, ptr %j)
  br i1 %same.j, label %use, label %no
use:
  %handles = slot %trace R_HANDLES
  %handles.type = slot %handles O_TYPE
  %List = known 3
  %open = icmp eq ptr %handles.type, %List
  br i1 %open, label %lines, label %no
lines:
  %where = slot %trace R_WHERE
  %off = icmp eq ptr %where, %none
  br i1 %off, label %make, label %noted
noted:
  %lined = call i1 @lined(ptr %node, ptr %frame)
  br i1 %lined, label %make, label %no
make:
  call void @Py_IncRef(ptr %node)
  %idx = slot %node N_IDX
  %spec = slot %node N_SPEC
  %count = load i64, ptr @pooled
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %new, label %again
again:
  %last = sub i64 %count, 1
  store i64 %last, ptr @pooled
  %used.at = getelementptr [POOL x ptr], ptr @pool, i64 0, i64 %last
  %used = load ptr, ptr %used.at
  put %used T_TRACE %trace
  call void @change(ptr %used, i64 T_IDX, ptr %idx)
  call void @change(ptr %used, i64 T_SPEC, ptr %spec)
  br label %give
new:
  %Tensor = known 1
  %fresh = call ptr @PyType_GenericAlloc(ptr %Tensor, i64 0)
  %made = icmp ne ptr %fresh, null
  br i1 %made, label %fill, label %failed
fill:
  put %fresh T_TRACE %trace
  put %fresh T_IDX %idx
  put %fresh T_SPEC %spec
  put %fresh T_VALUE %none
  br label %give
give:
  %t = phi ptr [ %used, %again ], [ %fresh, %fill ]
  %added = call i32 @PyList_Append(ptr %handles, ptr %t)
  %fine = icmp eq i32 %added, 0
  br i1 %fine, label %move, label %drop
move:
  %before = slot %trace R_NODE
  %at = getelementptr i8, ptr %trace, i64 R_NODE
  store ptr %node, ptr %at
  call void @Py_DecRef(ptr %before)
  %used.before = load i64, ptr @handed
  %used.now = add i64 %used.before, 1
  store i64 %used.now, ptr @handed
  ret ptr %t
drop:
  call void @Py_DecRef(ptr %t)
  br label %failed
failed:
  call void @Py_DecRef(ptr %node)
  br label %no
no:
  ret ptr null
}

; Anything else: the function of the row with the arguments, or None where the caller goes on by itself.
define private ptr @plain(ptr %x, ptr %y, ptr %row) {
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %go, label %fail
go:
  %function = slot %row 8
  %calls = icmp ne ptr %function, null
  br i1 %calls, label %call, label %hand
call:
  %args = alloca [2 x ptr]
  store ptr %x, ptr %args
  %second = getelementptr [2 x ptr], ptr %args, i64 0, i64 1
  store ptr %y, ptr %second
  %single = icmp eq ptr %y, null
  %n = select i1 %single, i64 1, i64 2
  %result = call ptr @PyObject_Vectorcall(ptr %function, ptr %args, i64 %n, ptr null)
  ret ptr %result
hand:
  %none = known 0
  call void @Py_IncRef(ptr %none)
  ret ptr %none
fail:
  ret ptr null
}

; The program that this thread records into. What a thread has in ``local`` stays one dictionary, found again by the thread's
; number, which no other gets.
define private ptr @program() {
  %state = call ptr @PyThreadState_Get()
  %id = call i64 @PyThreadState_GetID(ptr %state)
  %last = load i64, ptr @thread
  %same = icmp eq i64 %id, %last
  br i1 %same, label %known, label %find
find:
  %local = known 6
  %its = known 10
  %found = call ptr @PyObject_GetAttr(ptr %local, ptr %its)
  %there = icmp ne ptr %found, null
  br i1 %there, label %keep, label %fail
keep:
  call void @Py_DecRef(ptr %found)
  store ptr %found, ptr @entries
  store i64 %id, ptr @thread
  br label %known
known:
  %entries = load ptr, ptr @entries
  %name = known 9
  %trace = call ptr @PyDict_GetItemWithError(ptr %entries, ptr %name)
  %has = icmp ne ptr %trace, null
  br i1 %has, label %done, label %fail
done:
  call void @Py_IncRef(ptr %trace)
  ret ptr %trace
fail:
  ret ptr null
}

; Those of a list of tensors that something else refers to as well.
define private ptr @live(ptr %self, ptr %handles) {
  %n = call i64 @PyList_Size(ptr %handles)
  %out = call ptr @PyList_New(i64 0)
  %made = icmp ne ptr %out, null
  br i1 %made, label %next, label %fail
next:
  %k = phi i64 [ 0, %0 ], [ %k.n, %look ], [ %k.n, %add ]
  %more = icmp slt i64 %k, %n
  br i1 %more, label %look, label %done
look:
  %k.n = add i64 %k, 1
  %t = call ptr @PyList_GetItem(ptr %handles, i64 %k)
  %count = load i32, ptr %t
  %held = icmp ugt i32 %count, 1
  br i1 %held, label %add, label %next
add:
  %added = call i32 @PyList_Append(ptr %out, ptr %t)
  %fine = icmp eq i32 %added, 0
  br i1 %fine, label %next, label %drop
drop:
  call void @Py_DecRef(ptr %out)
  br label %fail
done:
  ret ptr %out
fail:
  ret ptr null
}

; Keep those tensors of a list that nothing else refers to, from its end on, to be used again: as many as this code gave out.
define private ptr @reuse(ptr %self, ptr %handles) {
  %none = known 0
  %Tensor = known 1
  %n = call i64 @PyList_Size(ptr %handles)
  %given = load i64, ptr @handed
  store i64 0, ptr @handed
  %limit = call i64 @llvm.smin.i64(i64 %given, i64 POOL)
  br label %next
next:
  %k = phi i64 [ %n, %0 ], [ %k.n, %look ], [ %k.n, %keep ]
  %count = load i64, ptr @pooled
  %room = icmp slt i64 %count, %limit
  %more = icmp sgt i64 %k, 0
  %go = and i1 %room, %more
  br i1 %go, label %look, label %done
look:
  %k.n = sub i64 %k, 1
  %t = call ptr @PyList_GetItem(ptr %handles, i64 %k.n)
  %refs = load i32, ptr %t
  %alone = icmp eq i32 %refs, 1
  %type = slot %t O_TYPE
  %is.t = icmp eq ptr %type, %Tensor
  %weak = slot %t T_WEAK
  %unseen = icmp eq ptr %weak, null
  %origin = slot %t T_ORIGIN
  %new = icmp eq ptr %origin, null
  %value = slot %t T_VALUE
  %pending = icmp eq ptr %value, %none
  %trace = slot %t T_TRACE
  %in = icmp ne ptr %trace, null
  %a = and i1 %alone, %is.t
  %b = and i1 %unseen, %new
  %c = and i1 %pending, %in
  %ab = and i1 %a, %b
  %all = and i1 %ab, %c
  br i1 %all, label %keep, label %next
keep:
  call void @Py_IncRef(ptr %t)
  %gone.at = getelementptr i8, ptr %t, i64 T_TRACE
  store ptr null, ptr %gone.at
  %pool.at = getelementptr [POOL x ptr], ptr @pool, i64 0, i64 %count
  store ptr %t, ptr %pool.at
  %up = add i64 %count, 1
  store i64 %up, ptr @pooled
  call void @Py_DecRef(ptr %trace)
  br label %next
done:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
}

define private ptr @one(ptr %x, ptr %none, ptr %row, ptr %frame) {
  %trace = call ptr @program()
  %there = icmp ne ptr %trace, null
  br i1 %there, label %left, label %fail
left:
  %i = call ptr @place(ptr %x, ptr %trace)
  %has.i = icmp ne ptr %i, null
  br i1 %has.i, label %go, label %no
go:
  %op = load ptr, ptr %row
  %t = call ptr @go(ptr %trace, ptr %op, ptr %i, ptr null, ptr %frame)
  %done = icmp ne ptr %t, null
  br i1 %done, label %yes, label %no
yes:
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  %other = call ptr @plain(ptr %x, ptr null, ptr %row)
  ret ptr %other
fail:
  ret ptr null
}

define private ptr @two(ptr %x, ptr %y, ptr %row, ptr %frame) {
  %trace = call ptr @program()
  %there = icmp ne ptr %trace, null
  br i1 %there, label %left, label %fail
left:
  %i = call ptr @place(ptr %x, ptr %trace)
  %has.i = icmp ne ptr %i, null
  br i1 %has.i, label %right, label %no
right:
  %j.t = call ptr @place(ptr %y, ptr %trace)
  %has.t = icmp ne ptr %j.t, null
  br i1 %has.t, label %go, label %scalar
scalar:
  %j.s = call ptr @number(ptr %y, ptr %trace)
  %has.s = icmp ne ptr %j.s, null
  br i1 %has.s, label %go, label %no
go:
  %j = phi ptr [ %j.t, %right ], [ %j.s, %scalar ]
  %op = load ptr, ptr %row
  %t = call ptr @go(ptr %trace, ptr %op, ptr %i, ptr %j, ptr %frame)
  %done = icmp ne ptr %t, null
  br i1 %done, label %yes, label %no
yes:
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  %other = call ptr @plain(ptr %x, ptr %y, ptr %row)
  ret ptr %other
fail:
  ret ptr null
}

; y op x for a number y.
define private ptr @reflected(ptr %x, ptr %y, ptr %row, ptr %frame) {
  %trace = call ptr @program()
  %there = icmp ne ptr %trace, null
  br i1 %there, label %left, label %fail
left:
  %j = call ptr @place(ptr %x, ptr %trace)
  %has.j = icmp ne ptr %j, null
  br i1 %has.j, label %right, label %no
right:
  %i = call ptr @number(ptr %y, ptr %trace)
  %has.i = icmp ne ptr %i, null
  br i1 %has.i, label %go, label %no
go:
  %op = load ptr, ptr %row
  %t = call ptr @go(ptr %trace, ptr %op, ptr %i, ptr %j, ptr %frame)
  %done = icmp ne ptr %t, null
  br i1 %done, label %yes, label %no
yes:
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  %other = call ptr @plain(ptr %x, ptr %y, ptr %row)
  ret ptr %other
fail:
  ret ptr null
}

; What functions ask first, with the frame that called them.
define private ptr @function1(ptr %self, ptr %args, i64 %n) {
  %row = getelementptr i8, ptr %self, i64 O_BYTES
  %x = load ptr, ptr %args
  %frame = slot %args 8
  %t = call ptr @one(ptr %x, ptr null, ptr %row, ptr %frame)
  ret ptr %t
}

define private ptr @function2(ptr %self, ptr %args, i64 %n) {
  %row = getelementptr i8, ptr %self, i64 O_BYTES
  %x = load ptr, ptr %args
  %y = slot %args 8
  %frame = slot %args 16
  %t = call ptr @two(ptr %x, ptr %y, ptr %row, ptr %frame)
  ret ptr %t
}
"""

_THUNK = """
define private ptr @thunk{k}(ptr %x, ptr %y) {{
  %row = getelementptr ptr, ptr @rows, i64 {k}
  %t = call ptr @{kind}(ptr %x, ptr %y, ptr %row, ptr null)
  ret ptr %t
}}"""

# Where the tables and functions are.
_FIND = """
define ptr @NAME(i64 %what) {
  switch i64 %what, label %known [ i64 1, label %rows  i64 2, label %all  i64 3, label %one  i64 4, label %two
    i64 5, label %live  i64 6, label %reuse ]
known:
  ret ptr @known
rows:
  ret ptr @rows
all:
  ret ptr @all
one:
  ret ptr @function1
two:
  ret ptr @function2
live:
  ret ptr @live
reuse:
  ret ptr @reuse
}
"""

__all__ = ["Recorder", "begin", "made"]

"""The text of native recording, for ``recorder``.

Names in capitals are places in Python's objects: T_ of a tensor or variable, R_ of a trace, N_ of a node, S_ of a spec, D_ of a
dtype, P_ of an op, C_ of a code object, O_ of any; K_ in the table of known objects. Five kinds of lines are not LLVM's:

    %a = slot %x PLACE      the reference that x has there
    %a = known K_NAME       a known object
    put %x PLACE %v         gives x, where it has none yet, a reference to v
    need %c LABEL           goes on only where c is true
    has %x LABEL            goes on only where x is no null pointer
"""
from __future__ import annotations

import re
from itertools import count

from .recording_parts import PARTS

KNOWN = ("NONE", "TRUE", "TENSOR", "VARIABLE", "LIST", "FLOAT", "INT", "LOCAL", "OWN", "NOTHING", "ENTRIES", "TRACE",
         "TENSOR_INPUT", "VARIABLE_INPUT", "FROZEN_INPUT", "SCALAR_INPUT", "SPEC", "LITERAL", "FLOATS", "INTS", "VALUE", "FALSE",
         "KIND_F", "KIND_C", "KIND_B")
FOREIGN = tuple(re.findall(r"declare [\w ]+ @(Py\w+)", PARTS))


def text(places: dict[str, int], kinds: list[tuple[str, bool]]) -> str:
    """The module for operators of these (function, whether the operands are swapped) with numbers for the names of places."""
    numbers = places | {f"K_{name}": 8 * k for k, name in enumerate(KNOWN)}
    n = len(kinds)
    written = [PARTS, _TEXT, f"@known = private global [{len(KNOWN)} x ptr] zeroinitializer",
               f"@rows = private global [{2 * n} x ptr] zeroinitializer",
               *[_OPERATOR.format(k=k, row=2 * k, kind=kind, swap=int(swap)) for k, (kind, swap) in enumerate(kinds)],
               f"@operators = private constant [{n} x ptr] [{', '.join(f'ptr @operator{k}' for k in range(n))}]"]
    found = re.sub(r"\b[A-Z]_[A-Z]+(_[A-Z]+)?\b|\bPOOL\b", lambda m: str(numbers[m[0]]), "\n".join(written))
    found = re.sub(r"(%\S+) = known (\d+)", r"\1 = slot @known \2", found)
    found = re.sub(r"(%\S+) = slot ([%@]\S+) (-?\d+)", r"\1.of = getelementptr i8, ptr \2, i64 \3\n  \1 = load ptr, ptr \1.of",
                   found)
    found = re.sub(r"put (%\S+) (\d+) (%\S+)", r"call void @Py_IncRef(ptr \3)\n  \1.\2 = getelementptr i8, ptr \1, i64 \2"
                   r"\n  store ptr \3, ptr \1.\2", found)
    found = re.sub(r"has (%\S+) (\S+)", r"\1.has = icmp ne ptr \1, null\n  need \1.has \2", found)
    label = count()
    return re.sub(r"need (%\S+) (\S+)", lambda m: f"br i1 {m[1]}, label %on{(k := next(label))}, label %{m[2]}\non{k}:", found)


_OPERATOR = """
define private ptr @operator{k}(ptr %x, ptr %y) {{
  %row = getelementptr ptr, ptr @rows, i64 {row}
  %t = call ptr @{kind}(ptr %x, ptr %y, ptr %row, ptr null, i1 {swap})
  ret ptr %t
}}"""

_TEXT = """
; Anything else: the function of the row with the arguments, or None where the caller goes on by itself.
define private ptr @plain(ptr %x, ptr %y, ptr %row) {
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  need %fine fail
  %function = slot %row 8
  has %function hand
  %args = alloca [2 x ptr]
  store ptr %x, ptr %args
  %second = getelementptr [2 x ptr], ptr %args, i64 0, i64 1
  store ptr %y, ptr %second
  %single = icmp eq ptr %y, null
  %n = select i1 %single, i64 1, i64 2
  %result = call ptr @PyObject_Vectorcall(ptr %function, ptr %args, i64 %n, ptr null)
  ret ptr %result
hand:
  %none = known K_NONE
  call void @Py_IncRef(ptr %none)
  ret ptr %none
fail:
  ret ptr null
}

; An operation on a tensor.
define private ptr @one(ptr %x, ptr %y, ptr %row, ptr %frame, i1 %swap) {
  %trace = call ptr @program()
  has %trace fail
  %i = call ptr @place(ptr %x, ptr %trace)
  has %i no
  %op = load ptr, ptr %row
  %here = slot %trace R_NODE
  %node = call ptr @follows(ptr %trace, ptr %here, ptr %op, ptr %frame)
  has %node no
  %node.i = slot %node N_I
  %same = call i1 @same(ptr %node.i, ptr %i)
  need %same no
  %t = call ptr @move(ptr %trace, ptr %here, ptr %node)
  has %t no
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  br label %fail
fail:
  %other = call ptr @plain(ptr %x, ptr null, ptr %row)
  ret ptr %other
}

; An operation on a tensor and a tensor or number; swap: on a number y and a tensor x, in this order.
define private ptr @two(ptr %x, ptr %y, ptr %row, ptr %frame, i1 %swap) {
  %trace = call ptr @program()
  has %trace fail
  %at.x = call ptr @place(ptr %x, ptr %trace)
  has %at.x no
  %op = load ptr, ptr %row
  br i1 %swap, label %number, label %tensor
tensor:
  %at.t = call ptr @place(ptr %y, ptr %trace)
  %has.t = icmp ne ptr %at.t, null
  br i1 %has.t, label %look, label %number
number:
  %at.n = call ptr @number(ptr %y, ptr %trace)
  %has.n = icmp ne ptr %at.n, null
  br i1 %has.n, label %look, label %new
new:
  %t.n = call ptr @beside(ptr %trace, ptr %x, ptr %at.x, ptr %y, ptr %op, ptr %frame, i1 %swap)
  %made.n = icmp ne ptr %t.n, null
  br i1 %made.n, label %done, label %no
look:
  %at.y = phi ptr [ %at.t, %tensor ], [ %at.n, %number ]
  %i = select i1 %swap, ptr %at.y, ptr %at.x
  %j = select i1 %swap, ptr %at.x, ptr %at.y
  %here = slot %trace R_NODE
  %node = call ptr @follows(ptr %trace, ptr %here, ptr %op, ptr %frame)
  has %node no
  %node.i = slot %node N_I
  %same.i = call i1 @same(ptr %node.i, ptr %i)
  need %same.i no
  %node.j = slot %node N_J
  %same.j = call i1 @same(ptr %node.j, ptr %j)
  br i1 %same.j, label %make, label %no
make:
  %t.k = call ptr @move(ptr %trace, ptr %here, ptr %node)
  %made = icmp ne ptr %t.k, null
  br i1 %made, label %done, label %no
done:
  %t = phi ptr [ %t.k, %make ], [ %t.n, %new ]
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  br label %fail
fail:
  %result = call ptr @plain(ptr %x, ptr %y, ptr %row)
  ret ptr %result
}

; What functions ask first, with the frame that called them; None where they go on by themselves.
define private ptr @function1(ptr %self, ptr %args, i64 %n) {
  %row = getelementptr i8, ptr %self, i64 O_BYTES
  %x = load ptr, ptr %args
  %frame = slot %args 8
  %t = call ptr @one(ptr %x, ptr null, ptr %row, ptr %frame, i1 false)
  ret ptr %t
}

define private ptr @function2(ptr %self, ptr %args, i64 %n) {
  %row = getelementptr i8, ptr %self, i64 O_BYTES
  %x = load ptr, ptr %args
  %y = slot %args 8
  %frame = slot %args 16
  %t = call ptr @two(ptr %x, ptr %y, ptr %row, ptr %frame, i1 false)
  ret ptr %t
}

; The same for an operation and its operands, of any number, asked by ``record``.
define private ptr @record(ptr %self, ptr %args, i64 %n) {
  %none = known K_NONE
  %trace = call ptr @program()
  %there = icmp ne ptr %trace, null
  br i1 %there, label %start, label %fail
start:
  %op = load ptr, ptr %args
  br label %place
place:                                                   ; all of them first: those that are not here enter
  %k = phi i64 [ 1, %start ], [ %k.n, %placed ]
  %more = icmp slt i64 %k, %n
  need %more look
  %x.p = getelementptr ptr, ptr %args, i64 %k
  %x = load ptr, ptr %x.p
  %at = call ptr @place(ptr %x, ptr %trace)
  %has = icmp ne ptr %at, null
  br i1 %has, label %placed, label %no
placed:
  %k.n = add i64 %k, 1
  br label %place
look:
  %here = slot %trace R_NODE
  %node = call ptr @follows(ptr %trace, ptr %here, ptr %op, ptr null)
  %known = icmp ne ptr %node, null
  br i1 %known, label %shape, label %no
shape:
  %spec = slot %node N_SPEC
  %spec.type = slot %spec O_TYPE
  %Spec = known K_SPEC
  %one = icmp eq ptr %spec.type, %Spec
  %must = slot %node N_ARGS
  %count = call i64 @PyTuple_Size(ptr %must)
  %count.n = add i64 %count, 1
  %as.many = icmp eq i64 %count.n, %n
  %fits = and i1 %one, %as.many
  br i1 %fits, label %next, label %no
next:
  %m = phi i64 [ 0, %shape ], [ %m.n, %compare ]
  %rest = icmp slt i64 %m, %count
  br i1 %rest, label %compare, label %make
compare:
  %m.n = add i64 %m, 1
  %y.p = getelementptr ptr, ptr %args, i64 %m.n
  %y = load ptr, ptr %y.p
  %y.at = slot %y T_IDX
  %must.at = call ptr @PyTuple_GetItem(ptr %must, i64 %m)
  %same = call i1 @same(ptr %must.at, ptr %y.at)
  br i1 %same, label %next, label %no
make:
  %t = call ptr @move(ptr %trace, ptr %here, ptr %node)
  has %t no
  call void @Py_DecRef(ptr %trace)
  ret ptr %t
no:
  call void @Py_DecRef(ptr %trace)
  br label %fail
fail:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  need %fine raise
  call void @Py_IncRef(ptr %none)
  ret ptr %none
raise:
  ret ptr null
}

; Tensors for places (place, spec) of a program, as a list; None where there is something else among them.
define private ptr @tensors(ptr %self, ptr %args, i64 %n) {
  %none = known K_NONE
  %trace = load ptr, ptr %args
  %places = slot %args 8
  %count = call i64 @PyTuple_Size(ptr %places)
  br label %check
check:
  %k = phi i64 [ 0, %0 ], [ %k.n, %pair ]
  %left = icmp slt i64 %k, %count
  need %left begin
  %entry = call ptr @PyTuple_GetItem(ptr %places, i64 %k)
  %is.none = icmp eq ptr %entry, %none
  br i1 %is.none, label %hand, label %pair
pair:
  %k.n = add i64 %k, 1
  %long = call i64 @PyTuple_Size(ptr %entry)
  %two = icmp eq i64 %long, 2
  br i1 %two, label %check, label %hand
begin:
  %out = call ptr @PyList_New(i64 0)
  %made = icmp ne ptr %out, null
  br i1 %made, label %next, label %fail
next:
  %m = phi i64 [ 0, %begin ], [ %m.n, %added ]
  %more = icmp slt i64 %m, %count
  need %more done
  %at = call ptr @PyTuple_GetItem(ptr %places, i64 %m)
  %idx = call ptr @PyTuple_GetItem(ptr %at, i64 0)
  %spec = call ptr @PyTuple_GetItem(ptr %at, i64 1)
  %t = call ptr @tensor(ptr %trace, ptr %idx, ptr %spec)
  has %t drop
  %m.n = add i64 %m, 1
  %put = call i32 @PyList_Append(ptr %out, ptr %t)
  call void @Py_DecRef(ptr %t)
  %fine = icmp eq i32 %put, 0
  br i1 %fine, label %added, label %drop
added:
  br label %next
done:
  ret ptr %out
hand:
  call void @Py_IncRef(ptr %none)
  ret ptr %none
drop:
  call void @Py_DecRef(ptr %out)
  %error = call ptr @PyErr_Occurred()
  %ended = icmp eq ptr %error, null
  br i1 %ended, label %hand, label %fail
fail:
  ret ptr null
}

; Those of a list of tensors that something else refers to as well.
define private ptr @live(ptr %self, ptr %handles) {
  %out = call ptr @PyList_New(i64 0)
  %n = call i64 @PyList_Size(ptr %handles)
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
  %none = known K_NONE
  %Tensor = known K_TENSOR
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

; The place of a tensor or variable that enters a program, asked by ``enter``; None where it goes on by itself.
define private ptr @entering(ptr %self, ptr %args, i64 %n) {
  %trace = load ptr, ptr %args
  %x = slot %args 8
  %idx = call ptr @place(ptr %x, ptr %trace)
  %known = icmp ne ptr %idx, null
  br i1 %known, label %give, label %other
other:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  %none = known K_NONE
  br i1 %fine, label %give, label %fail
give:
  %result = phi ptr [ %idx, %0 ], [ %none, %other ]
  call void @Py_IncRef(ptr %result)
  ret ptr %result
fail:
  ret ptr null
}

; Where the tables and functions are.
define ptr @NAME(i64 %what) {
  switch i64 %what, label %known [ i64 1, label %rows  i64 2, label %operators  i64 3, label %function1  i64 4, label %function2
    i64 5, label %record  i64 6, label %tensors  i64 7, label %live  i64 8, label %reuse
    i64 9, label %entering ]
known:
  ret ptr @known
rows:
  ret ptr @rows
operators:
  ret ptr @operators
function1:
  ret ptr @function1
function2:
  ret ptr @function2
record:
  ret ptr @record
tensors:
  ret ptr @tensors
live:
  ret ptr @live
reuse:
  ret ptr @reuse
entering:
  ret ptr @entering
}
"""

__all__ = ["FOREIGN", "KNOWN", "text"]

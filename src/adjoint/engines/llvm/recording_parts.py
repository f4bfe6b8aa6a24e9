"""What native recording is made of: the program at hand, places, numbers, lines and tensors. ``recording`` says how
this is written.
"""
from __future__ import annotations

PARTS = """
declare ptr @PyObject_GetAttr(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyType_GenericAlloc(ptr, i64)
declare i64 @PyList_Size(ptr)
declare ptr @PyList_GetItem(ptr, i64)
declare ptr @PyList_New(i64)
declare i32 @PyList_Append(ptr, ptr)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyTuple_GetItem(ptr, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare ptr @PyDict_New()
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare i32 @PySet_Contains(ptr, ptr)
declare i32 @PyObject_RichCompareBool(ptr, ptr, i32)
declare ptr @PyLong_FromVoidPtr(ptr)
declare ptr @PyLong_FromSsize_t(i64)
declare i64 @PyLong_AsSsize_t(ptr)
declare ptr @PyEval_GetFrame()
declare ptr @PyFrame_GetBack(ptr)
declare i32 @PyFrame_GetLasti(ptr)
declare ptr @PyFrame_GetCode(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyThreadState_Get()
declare i64 @PyThreadState_GetID(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare i64 @llvm.smin.i64(i64, i64)

@thread = private global i64 -1
@entries = private global ptr null
@pool = private global [POOL x ptr] zeroinitializer
@pooled = private global i64 0
@handed = private global i64 0

; Put another object into a slot.
define private void @change(ptr %x, i64 %at, ptr %v) {
  %p = getelementptr i8, ptr %x, i64 %at
  %old = load ptr, ptr %p
  %is = icmp eq ptr %old, %v
  br i1 %is, label %done, label %store
store:
  call void @Py_IncRef(ptr %v)
  store ptr %v, ptr %p
  %empty = icmp eq ptr %old, null
  br i1 %empty, label %done, label %drop
drop:
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

; The program that this thread records into, or null with an error. What a thread has in ``local`` stays one dictionary, found
; again by the thread's number, which no other gets. When the thread ends only we have it, and code that still runs has another.
define private ptr @program() {
  %state = call ptr @PyThreadState_Get()
  %id = call i64 @PyThreadState_GetID(ptr %state)
  br label %again
again:
  %last = load i64, ptr @thread
  %same = icmp eq i64 %id, %last
  br i1 %same, label %held, label %find
held:
  %kept = load ptr, ptr @entries
  %count = load i32, ptr %kept
  %alive = icmp ugt i32 %count, 1
  br i1 %alive, label %known, label %find
find:
  %local = known K_LOCAL
  %its = known K_ENTRIES
  %found = call ptr @PyObject_GetAttr(ptr %local, ptr %its)
  has %found fail
  %before = load ptr, ptr @entries
  store ptr %found, ptr @entries
  store i64 %id, ptr @thread
  has %before known
  call void @Py_DecRef(ptr %before)                      ; other threads may run meanwhile
  br label %again
known:
  %entries = load ptr, ptr @entries
  %name = known K_TRACE
  %trace = call ptr @PyDict_GetItemWithError(ptr %entries, ptr %name)
  has %trace fail
  call void @Py_IncRef(ptr %trace)
  ret ptr %trace
fail:
  ret ptr null
}

; Whether a program has as many inputs as its node says: an interruption may have left more.
define private i1 @tidy(ptr %trace, ptr %here) {
  %inputs = slot %trace R_INPUTS
  %owners = slot %trace R_OWNERS
  %count = slot %here N_COUNT
  %k = call i64 @PyLong_AsSsize_t(ptr %count)
  %m = call i64 @PyList_Size(ptr %inputs)
  %n = call i64 @PyList_Size(ptr %owners)
  %same.m = icmp eq i64 %k, %m
  %same.n = icmp eq i64 %k, %n
  %same = and i1 %same.m, %same.n
  ret i1 %same
}

; Have a tensor with a value or a variable enter the program, where such an input followed last; its place, or null (perhaps with
; an error).
define private ptr @enter(ptr %x, ptr %type, ptr %trace) {
  %true = known K_TRUE
  %none = known K_NONE
  %value = slot %x T_VALUE
  has %value no
  %other = slot %x T_TRACE
  has %other no
  %fast = slot %trace R_FAST
  %is.fast = icmp eq ptr %fast, %true
  %captures = slot %trace R_CAPTURES
  %nothing = known K_NOTHING
  %no.captures = icmp eq ptr %captures, %nothing
  %usual = and i1 %is.fast, %no.captures
  need %usual no
  %Variable = known K_VARIABLE
  %is.v = icmp eq ptr %type, %Variable
  need %is.v tensor
  %pending = slot %x T_PENDING
  %settled = icmp eq ptr %pending, %none
  br i1 %settled, label %trains, label %no
trains:
  %trainable = slot %x T_TRAINABLE
  %is.trainable = icmp eq ptr %trainable, %true
  %false = known K_FALSE
  %is.frozen = icmp eq ptr %trainable, %false
  %plain = or i1 %is.trainable, %is.frozen
  need %plain no
  br label %kind
kind:
  %v.input = known K_VARIABLE_INPUT
  %f.input = known K_FROZEN_INPUT
  %v.op = select i1 %is.trainable, ptr %v.input, ptr %f.input
  br label %free
tensor:
  %t.op = known K_TENSOR_INPUT
  %has = icmp ne ptr %value, %none
  br i1 %has, label %free, label %no
free:
  %op = phi ptr [ %v.op, %kind ], [ %t.op, %tensor ]
  %alone = icmp eq ptr %other, %none
  br i1 %alone, label %follows, label %elsewhere
elsewhere:
  %closed = slot %other R_CLOSED
  %is.closed = icmp eq ptr %closed, %true
  br i1 %is.closed, label %follows, label %no
follows:
  %here = slot %trace R_NODE
  %node = slot %here N_HINT
  %node.op = slot %node N_OP
  %same.op = icmp eq ptr %node.op, %op
  %node.spec = slot %node N_SPEC
  %spec = slot %x T_SPEC
  %same.spec = icmp eq ptr %node.spec, %spec
  %known = and i1 %same.op, %same.spec
  need %known no
  %inputs = slot %trace R_INPUTS
  %inputs.type = slot %inputs O_TYPE
  %List = known K_LIST
  %is.open = icmp eq ptr %inputs.type, %List
  need %is.open no
  %tidy = call i1 @tidy(ptr %trace, ptr %here)
  need %tidy no
  %size = slot %spec S_NBYTES
  %bytes = call i64 @PyLong_AsSsize_t(ptr %size)
  %large = icmp sgt i64 %bytes, 4096
  need %large add
  %held = slot %trace R_HELD
  %before = call i64 @PyLong_AsSsize_t(ptr %held)
  %total = add i64 %before, %bytes
  %sum = call ptr @PyLong_FromSsize_t(i64 %total)
  has %sum no
  call void @change(ptr %trace, i64 R_HELD, ptr %sum)
  call void @Py_DecRef(ptr %sum)
  br label %add
add:
  %added = call i32 @PyList_Append(ptr %inputs, ptr %value)
  %fine = icmp eq i32 %added, 0
  need %fine no
  %owners = slot %trace R_OWNERS
  %owned = call i32 @PyList_Append(ptr %owners, ptr %x)
  %good = icmp eq i32 %owned, 0
  need %good no
  %idx = slot %node N_IDX
  call void @change(ptr %trace, i64 R_NODE, ptr %node)
  call void @change(ptr %x, i64 T_IDX, ptr %idx)
  call void @change(ptr %x, i64 T_TRACE, ptr %trace)
  ret ptr %idx
no:
  ret ptr null
}

; The place of an operand in the program, which it may enter, or null (perhaps with an error).
define private ptr @place(ptr %x, ptr %trace) {
  %type = slot %x O_TYPE
  %Tensor = known K_TENSOR
  %Variable = known K_VARIABLE
  %is.t = icmp eq ptr %type, %Tensor
  %is.v = icmp eq ptr %type, %Variable
  %is = or i1 %is.t, %is.v
  need %is no
  %of = slot %x T_TRACE
  %here = icmp eq ptr %of, %trace
  need %here new
  %idx = slot %x T_IDX
  ret ptr %idx
new:
  %entered = call ptr @enter(ptr %x, ptr %type, ptr %trace)
  ret ptr %entered
no:
  ret ptr null
}

; The place of a Python number that the program knows, or null (perhaps with an error).
define private ptr @number(ptr %y, ptr %trace) {
  %type = slot %y O_TYPE
  %Float = known K_FLOAT
  %Int = known K_INT
  %is.f = icmp eq ptr %type, %Float
  %is.i = icmp eq ptr %type, %Int
  %is = or i1 %is.f, %is.i
  need %is no
  %id = call ptr @PyLong_FromVoidPtr(ptr %y)
  has %id no
  %scalars = slot %trace R_SCALARS
  %entry = call ptr @PyDict_GetItemWithError(ptr %scalars, ptr %id)
  call void @Py_DecRef(ptr %id)
  has %entry no
  %idx = call ptr @PyTuple_GetItem(ptr %entry, i64 0)
  ret ptr %idx
no:
  ret ptr null
}

; Whether the innermost frame outside of adjoint stands on the line of the node.
define private i1 @lined(ptr %node, ptr %given) {
start:
  %asked = icmp eq ptr %given, null
  br i1 %asked, label %ask, label %first
ask:
  %current = call ptr @PyEval_GetFrame()
  br label %first
first:
  %innermost = phi ptr [ %current, %ask ], [ %given, %start ]
  %must = slot %node N_CODE
  br label %look
look:
  %frame = phi ptr [ %innermost, %first ], [ %back, %next ]
  %gone = icmp eq ptr %frame, null
  br i1 %gone, label %no, label %there
there:
  %code = call ptr @PyFrame_GetCode(ptr %frame)
  call void @Py_DecRef(ptr %code)
  %is = icmp eq ptr %code, %must
  br i1 %is, label %offset, label %other
other:
  %file = slot %code C_FILE
  %own = known K_OWN
  %known = call ptr @PyDict_GetItemWithError(ptr %own, ptr %file)
  %true = known K_TRUE
  %is.own = icmp eq ptr %known, %true
  need %is.own no
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

; Whether the program goes on from this node: making an object may run the collector, and that other code that records or looks.
define private i1 @still(ptr %trace, ptr %here) {
  %now = slot %trace R_NODE
  %same = icmp eq ptr %now, %here
  %closed = slot %trace R_CLOSED
  %true = known K_TRUE
  %open = icmp ne ptr %closed, %true
  %both = and i1 %same, %open
  ret i1 %both
}

; A tensor for a place of the program, or null (with an error, or where the program has ended meanwhile).
define private ptr @tensor(ptr %trace, ptr %idx, ptr %spec) {
  %count = load i64, ptr @pooled
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %new, label %again
again:
  %last = sub i64 %count, 1
  store i64 %last, ptr @pooled
  %used.at = getelementptr [POOL x ptr], ptr @pool, i64 0, i64 %last
  %used = load ptr, ptr %used.at
  call void @change(ptr %used, i64 T_TRACE, ptr %trace)
  call void @change(ptr %used, i64 T_IDX, ptr %idx)
  call void @change(ptr %used, i64 T_SPEC, ptr %spec)
  br label %give
new:
  %Tensor = known K_TENSOR
  %none = known K_NONE
  %fresh = call ptr @PyType_GenericAlloc(ptr %Tensor, i64 0)
  %made = icmp ne ptr %fresh, null
  br i1 %made, label %fill, label %fail
fill:
  put %fresh T_TRACE %trace
  put %fresh T_IDX %idx
  put %fresh T_SPEC %spec
  put %fresh T_VALUE %none
  br label %give
give:
  %t = phi ptr [ %used, %again ], [ %fresh, %fill ]
  %closed = slot %trace R_CLOSED
  %true = known K_TRUE
  %open = icmp ne ptr %closed, %true
  need %open drop
  %handles = slot %trace R_HANDLES
  %added = call i32 @PyList_Append(ptr %handles, ptr %t)
  %fine = icmp eq i32 %added, 0
  need %fine drop
  %before = load i64, ptr @handed
  %now = add i64 %before, 1
  store i64 %now, ptr @handed
  ret ptr %t
drop:
  call void @Py_DecRef(ptr %t)
  br label %fail
fail:
  ret ptr null
}

; The node that followed last after this one, where it is a use of the operation that can be recorded on this line, or null.
define private ptr @follows(ptr %trace, ptr %here, ptr %op, ptr %frame) {
  %node = slot %here N_HINT
  %node.op = slot %node N_OP
  %same.op = icmp eq ptr %node.op, %op
  need %same.op no
  %handles = slot %trace R_HANDLES
  %type = slot %handles O_TYPE
  %List = known K_LIST
  %is.open = icmp eq ptr %type, %List
  need %is.open no
  %where = slot %trace R_WHERE
  %none = known K_NONE
  %off = icmp eq ptr %where, %none
  br i1 %off, label %yes, label %noted
noted:
  %lined = call i1 @lined(ptr %node, ptr %frame)
  br i1 %lined, label %yes, label %no
yes:
  ret ptr %node
no:
  ret ptr null
}

; Move on from a node to another; its tensor, or null (perhaps with an error).
define private ptr @move(ptr %trace, ptr %here, ptr %node) {
  %still = call i1 @still(ptr %trace, ptr %here)
  need %still no
  call void @Py_IncRef(ptr %node)
  call void @change(ptr %trace, i64 R_NODE, ptr %node)   ; first, for what the collector may run
  %idx = slot %node N_IDX
  %spec = slot %node N_SPEC
  %t = call ptr @tensor(ptr %trace, ptr %idx, ptr %spec)
  call void @Py_DecRef(ptr %node)
  ret ptr %t
no:
  ret ptr null
}

; Whether a node is the place of this Python number beside a tensor of this spec: 1 a literal, 2 an input, 0 neither.
define private i32 @stands(ptr %node, ptr %y, ptr %spec) {
  %node.spec = slot %node N_SPEC
  %node.spec.type = slot %node.spec O_TYPE
  %Spec = known K_SPEC
  %single = icmp eq ptr %node.spec.type, %Spec
  need %single no
  %dtype = slot %spec S_DTYPE
  %node.dtype = slot %node.spec S_DTYPE
  %same.dtype = icmp eq ptr %dtype, %node.dtype
  need %same.dtype no
  %dtype.kind = slot %dtype D_KIND
  %F = known K_KIND_F
  %C = known K_KIND_C
  %B = known K_KIND_B
  %real = icmp eq ptr %dtype.kind, %F
  %complex = icmp eq ptr %dtype.kind, %C
  %inexact = or i1 %real, %complex
  %number = icmp ne ptr %dtype.kind, %B
  %type = slot %y O_TYPE
  %Float = known K_FLOAT
  %Int = known K_INT
  %floats = known K_FLOATS
  %ints = known K_INTS
  %is.f = icmp eq ptr %type, %Float
  %is.i = icmp eq ptr %type, %Int
  %float = and i1 %is.f, %inexact                        ; else the tensor changes its dtype
  %int = and i1 %is.i, %number
  %is = or i1 %float, %int
  need %is no
  %round = select i1 %is.f, ptr %floats, ptr %ints
  %literal = call i32 @PySet_Contains(ptr %round, ptr %y)
  %op = slot %node N_OP
  switch i32 %literal, label %no [ i32 0, label %input  i32 1, label %value ]
input:
  %scalar = known K_SCALAR_INPUT
  %is.scalar = icmp eq ptr %op, %scalar
  %usual = and i1 %is.scalar, %is.f                      ; a large int may not fit its dtype
  need %usual no
  ret i32 2
value:
  has %op no
  %prim = slot %op P_PRIM
  %Literal = known K_LITERAL
  %is.literal = icmp eq ptr %prim, %Literal
  need %is.literal no
  %params = slot %op P_PARAMS
  %name = known K_VALUE
  %its = call ptr @PyDict_GetItemWithError(ptr %params, ptr %name)
  has %its no
  %equal = call i32 @PyObject_RichCompareBool(ptr %its, ptr %y, i32 2)
  %is.equal = icmp eq i32 %equal, 1
  need %is.equal no
  ret i32 1
no:
  ret i32 0
}

; Remember where a Python number stands in the program: 0, or -1 with an error.
define private i32 @noted(ptr %trace, ptr %y, ptr %at, ptr %spec) {
  %entry = call ptr @PyTuple_New(i64 3)
  has %entry fail
  call void @Py_IncRef(ptr %at)
  call void @Py_IncRef(ptr %y)
  call void @Py_IncRef(ptr %spec)
  %set.at = call i32 @PyTuple_SetItem(ptr %entry, i64 0, ptr %at)
  %set.y = call i32 @PyTuple_SetItem(ptr %entry, i64 1, ptr %y)
  %set.spec = call i32 @PyTuple_SetItem(ptr %entry, i64 2, ptr %spec)
  %id = call ptr @PyLong_FromVoidPtr(ptr %y)
  has %id drop
  %before = slot %trace R_SCALARS
  %nothing = known K_NOTHING
  %none.yet = icmp eq ptr %before, %nothing
  br i1 %none.yet, label %new, label %add
new:
  %made = call ptr @PyDict_New()
  has %made lose
  call void @change(ptr %trace, i64 R_SCALARS, ptr %made)
  call void @Py_DecRef(ptr %made)
  br label %add
add:
  %scalars = slot %trace R_SCALARS
  %result = call i32 @PyDict_SetItem(ptr %scalars, ptr %id, ptr %entry)
  call void @Py_DecRef(ptr %id)
  call void @Py_DecRef(ptr %entry)
  ret i32 %result
lose:
  call void @Py_DecRef(ptr %id)
  br label %drop
drop:
  call void @Py_DecRef(ptr %entry)
  br label %fail
fail:
  ret i32 -1
}

; The next tensor, of an operation on the tensor x, which stands at a place, and a Python number that is new to the program; null
; (perhaps with an error) where something else followed last. swap: the number comes first.
define private ptr @beside(ptr %trace, ptr %x, ptr %at.x, ptr %y, ptr %op, ptr %frame, i1 %swap) {
  %here = slot %trace R_NODE
  %own = slot %here N_HINT
  %spec = slot %x T_SPEC
  %kind = call i32 @stands(ptr %own, ptr %y, ptr %spec)
  %stands = icmp ne i32 %kind, 0
  need %stands no
  %node = call ptr @follows(ptr %trace, ptr %own, ptr %op, ptr %frame)
  has %node no
  %at.y = slot %own N_IDX
  %node.i = slot %node N_I
  %node.j = slot %node N_J
  %i = select i1 %swap, ptr %at.y, ptr %at.x
  %j = select i1 %swap, ptr %at.x, ptr %at.y
  %same.i = call i1 @same(ptr %node.i, ptr %i)
  need %same.i no
  %same.j = call i1 @same(ptr %node.j, ptr %j)
  need %same.j no
  %still = call i1 @still(ptr %trace, ptr %here)
  need %still no
  %tidy = call i1 @tidy(ptr %trace, ptr %here)
  need %tidy no
  %literal = icmp eq i32 %kind, 1
  br i1 %literal, label %make, label %input
input:
  %inputs = slot %trace R_INPUTS
  %added = call i32 @PyList_Append(ptr %inputs, ptr %y)
  %good = icmp eq i32 %added, 0
  need %good no
  %owners = slot %trace R_OWNERS
  %none = known K_NONE
  %owned = call i32 @PyList_Append(ptr %owners, ptr %none)
  %better = icmp eq i32 %owned, 0
  need %better no
  br label %make
make:
  %t = call ptr @move(ptr %trace, ptr %here, ptr %node)
  has %t no
  %own.spec = slot %own N_SPEC
  %noted = call i32 @noted(ptr %trace, ptr %y, ptr %at.y, ptr %own.spec)
  %fine = icmp eq i32 %noted, 0
  need %fine drop
  ret ptr %t
drop:
  call void @Py_DecRef(ptr %t)
  br label %no
no:
  ret ptr null
}
"""

__all__ = ["PARTS"]

"""Threads for large loops: a few that wait for work, and the way compiled code hands it to them.

``adjoint_parallel(work, context, count)`` runs ``work(context)`` in the caller and in up to ``count - 1`` others; each takes the
next piece until there are none. The caller waits only for those that came in, so that a thread which the system has put
aside costs nothing. A thread without work looks out for some for some ten microseconds, then sleeps. When two callers
come at once, the second works alone, and so does a process after a fork, and everything where there are no POSIX semaphores.
What a loop computes does not depend on the count: it is cut by its size alone.
"""
from __future__ import annotations

import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

from ..._config import config

if TYPE_CHECKING:
    from .native import Compiler

_MOST = 64
_LOOKS = 2000                                            # how often a thread without work looks out before it sleeps

count = ctypes.c_int32(1)                                # threads that compiled code may use
_there = 1                                               # threads that there are, with the caller
_state: Any = None                                       # the memory that the threads share

# In the shared memory, each on a cache line of its own: the gate (a running number, whether it is open, how many are inside), how
# many may come in, the work, how many sleep, whether a caller is there, and a semaphore.
_GATE, _LIMIT, _WORK, _SLEEPERS, _BUSY, _SEMAPHORE = 0, 128, 256, 384, 512, 640

_ALONE = """
define void @NAME(ptr %work, ptr %context, i32 %count) {
  call void %work(ptr %context)
  ret void
}
"""

_POOL = """
declare i32 @adjoint_sem_post(ptr)
declare i32 @adjoint_sem_wait(ptr)
declare i32 @adjoint_sched_yield()
PAUSE_DECLARATION

define void @NAME(ptr %work, ptr %context, i32 %count) {
  %s = load ptr, ptr @adjoint_threads_state
  %several = icmp sgt i32 %count, 1
  br i1 %several, label %look, label %alone
look:
  %busy = getelementptr i8, ptr %s, i64 BUSY
  %before = atomicrmw xchg ptr %busy, i32 1 acquire
  %free = icmp eq i32 %before, 0
  br i1 %free, label %together, label %alone
alone:
  call void %work(ptr %context)
  ret void
together:
  %others = sub i32 %count, 1
  %limit = getelementptr i8, ptr %s, i64 LIMIT
  store atomic i32 %others, ptr %limit monotonic, align 4
  %at = getelementptr i8, ptr %s, i64 WORK
  store ptr %work, ptr %at
  %at2 = getelementptr i8, ptr %at, i64 8
  store ptr %context, ptr %at2
  %gate = getelementptr i8, ptr %s, i64 GATE
  %g = load atomic i64, ptr %gate monotonic, align 8
  %number = lshr i64 %g, 33
  %next = add i64 %number, 1
  %shifted = shl i64 %next, 33
  %open = or i64 %shifted, 4294967296
  store atomic i64 %open, ptr %gate seq_cst, align 8
  %sleepers = getelementptr i8, ptr %s, i64 SLEEPERS
  %n = load atomic i32, ptr %sleepers seq_cst, align 4
  %few = icmp slt i32 %n, %others
  %wake = select i1 %few, i32 %n, i32 %others
  %some = icmp sgt i32 %wake, 0
  br i1 %some, label %waking, label %own
waking:
  %less = atomicrmw sub ptr %sleepers, i32 %wake seq_cst
  br label %one
one:
  %k = phi i32 [ 0, %waking ], [ %k1, %one ]
  %semaphore = getelementptr i8, ptr %s, i64 SEMAPHORE
  %posted = call i32 @adjoint_sem_post(ptr %semaphore)
  %k1 = add i32 %k, 1
  %again = icmp slt i32 %k1, %wake
  br i1 %again, label %one, label %own
own:
  call void %work(ptr %context)
  %closed = atomicrmw and ptr %gate, i64 -4294967297 acq_rel
  br label %wait
wait:
  %w = phi i32 [ 0, %own ], [ %w1, %patience ], [ 0, %yield ]
  %now = load atomic i64, ptr %gate acquire, align 8
  %inside = trunc i64 %now to i32
  %empty = icmp eq i32 %inside, 0
  br i1 %empty, label %done, label %patience
patience:
  PAUSE
  %w1 = add i32 %w, 1
  %long = icmp sgt i32 %w1, LOOKS
  br i1 %long, label %yield, label %wait
yield:
  %y = call i32 @adjoint_sched_yield()
  br label %wait
done:
  store atomic i32 0, ptr %busy release, align 4
  ret void
}

define ptr @NAME_worker(ptr %s) {
entry:
  %gate = getelementptr i8, ptr %s, i64 GATE
  %limit = getelementptr i8, ptr %s, i64 LIMIT
  %at = getelementptr i8, ptr %s, i64 WORK
  %at2 = getelementptr i8, ptr %at, i64 8
  %sleepers = getelementptr i8, ptr %s, i64 SLEEPERS
  %semaphore = getelementptr i8, ptr %s, i64 SEMAPHORE
  br label %look
look:
  %n = phi i32 [ 0, %entry ], [ 0, %work ], [ %n1, %idle ], [ 0, %slept ], [ %n, %enter ], [ 0, %sleep ]
  %last = phi i64 [ 0, %entry ], [ %number, %work ], [ %last, %idle ], [ %last, %slept ], [ %last, %enter ], [ %last, %sleep ]
  %g = load atomic i64, ptr %gate acquire, align 8
  %bit = and i64 %g, 4294967296
  %open = icmp ne i64 %bit, 0
  %number = lshr i64 %g, 33
  %new = icmp ne i64 %number, %last
  %inside = trunc i64 %g to i32
  %most = load atomic i32, ptr %limit monotonic, align 4
  %room = icmp slt i32 %inside, %most
  %a = and i1 %open, %new
  %b = and i1 %a, %room
  br i1 %b, label %enter, label %wait
enter:
  %more = add i64 %g, 1
  %try = cmpxchg ptr %gate, i64 %g, i64 %more acq_rel monotonic
  %in = extractvalue { i64, i1 } %try, 1
  br i1 %in, label %work, label %look
work:
  %do = load ptr, ptr %at
  %with = load ptr, ptr %at2
  call void %do(ptr %with)
  %out = atomicrmw sub ptr %gate, i64 1 acq_rel
  br label %look
wait:
  %tired = icmp sgt i32 %n, LOOKS
  br i1 %tired, label %sleep, label %idle
idle:
  PAUSE
  %n1 = add i32 %n, 1
  br label %look
sleep:
  %asleep = atomicrmw add ptr %sleepers, i32 1 seq_cst
  %g2 = load atomic i64, ptr %gate seq_cst, align 8
  %bit2 = and i64 %g2, 4294967296
  %open2 = icmp ne i64 %bit2, 0
  %number2 = lshr i64 %g2, 33
  %new2 = icmp ne i64 %number2, %last
  %work2 = and i1 %open2, %new2
  br i1 %work2, label %look, label %slept
slept:
  %woken = call i32 @adjoint_sem_wait(ptr %semaphore)
  br label %look
}
"""


def available() -> int:
    """Processors that this process may use."""
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _semaphores(compiler: Compiler) -> Any:
    """The C library with what the threads need, its functions made known to compiled code; None where it has not got it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        for name in ("sem_post", "sem_wait", "sched_yield"):
            address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            assert address is not None
            compiler.symbol(f"adjoint_{name}", address)
        library.sem_init, library.pthread_create, library.pthread_detach  # noqa: B018  (is it there)
    except (OSError, AttributeError):
        return None
    return library


def connect(compiler: Compiler) -> None:
    """Make ``adjoint_parallel`` and ``adjoint_threads`` known to compiled code, and start the threads."""
    global _there, _state
    compiler.symbol("adjoint_threads", ctypes.addressof(count))
    others = min(max(available(), config.threads), _MOST) - 1
    library = _semaphores(compiler) if others > 0 else None
    if library is None:
        address, _ = compiler.load(_ALONE, "@NAME", "parallel", True, True)
        compiler.symbol("adjoint_parallel", address)
        return
    _state = ctypes.create_string_buffer(1024)
    base = (ctypes.addressof(_state) + 127) & ~127
    cell = ctypes.c_void_p(base)
    library.sem_init(ctypes.c_void_p(base + _SEMAPHORE), 0, 0)
    compiler.symbol("adjoint_threads_state", ctypes.addressof(cell))
    x86 = compiler.triple.startswith(("x86", "i686"))
    text = _POOL.replace("PAUSE_DECLARATION", "@adjoint_threads_state = external global ptr\n" + (
        "declare void @llvm.x86.sse2.pause()" if x86 else ""))
    text = text.replace("  PAUSE\n", "  call void @llvm.x86.sse2.pause()\n" if x86 else "")
    for name, value in (("GATE", _GATE), ("LIMIT", _LIMIT), ("WORK", _WORK), ("SLEEPERS", _SLEEPERS), ("BUSY", _BUSY),
                        ("SEMAPHORE", _SEMAPHORE), ("LOOKS", _LOOKS)):
        text = text.replace(f" {name}\n", f" {value}\n").replace(f" {name},", f" {value},")
    address, engine = compiler.load(text, "@NAME", "parallel", True, True)
    compiler.symbol("adjoint_parallel", address)
    worker = engine.get_function_address(compiler.named(text, "parallel") + "_worker")
    for kept in (engine, _state, cell):                  # the threads run on while the interpreter is taken down
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    create = library.pthread_create
    create.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    for _ in range(others):
        handle = ctypes.c_ulong()
        if create(ctypes.byref(handle), None, worker, base) != 0:
            break
        library.pthread_detach(handle)
        _there += 1
    if hasattr(os, "register_at_fork"):                  # a child has none of its parent's threads
        os.register_at_fork(after_in_child=_alone)
    config.resized.append(use)
    use(config.threads)


def _alone() -> None:
    global _there
    _there = count.value = 1


def use(wanted: int) -> None:
    """Let large loops use this many threads, as far as there are."""
    count.value = max(1, min(wanted, _there))


__all__ = ["available", "connect", "count", "use"]

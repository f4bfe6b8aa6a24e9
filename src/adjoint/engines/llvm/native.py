"""From LLVM's language to a function that Python calls: the compiler, and how arrays are handed over.

A compiled unit is a built-in function of CPython's fast calling convention. It gets the arrays themselves and reads
their data pointers, so a call costs no conversion of arguments. It returns None, or False when an array is not as the
code needs it or an element was refused; then nothing that it wrote counts.
"""
from __future__ import annotations

import ctypes
import hashlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._errors import AdjointError
from ..._graph import Spec

_METH_FASTCALL = 0x0080


class Unavailable(AdjointError):
    """There is no compiler here."""


class _Layout:
    """Where CPython and NumPy keep what we read, found by looking at an array."""

    def __init__(self) -> None:
        a = np.zeros((3, 5, 7), np.float32)[:, :, :]
        at = id(a)

        def word(k: int) -> int:
            return ctypes.c_size_t.from_address(at + k).value

        pointer = ctypes.sizeof(ctypes.c_void_p)
        self.head = object.__basicsize__
        if pointer != 8 or word(self.head) != a.ctypes.data:
            raise Unavailable("NumPy's arrays are laid out differently here")
        self.data, self.ndim, self.dims = self.head, self.head + 8, self.head + 16
        self.descr, self.flags = self.head + 40, self.head + 48
        dims = (ctypes.c_ssize_t * 3).from_address(word(self.dims))
        number = np.float32(0.75)
        if (ctypes.c_int.from_address(at + self.ndim).value != 3 or tuple(dims) != (3, 5, 7)
                or word(self.descr) != id(a.dtype) or ctypes.c_int.from_address(at + self.flags).value & 0x501 != 0x501
                or word(self.head - 8) != id(np.ndarray)
                or ctypes.c_float.from_address(id(number) + self.head).value != 0.75):
            raise Unavailable("NumPy's arrays are laid out differently here")
        self.type = self.head - 8


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class Compiler:
    """One for the process."""

    def __init__(self) -> None:
        try:
            import llvmlite.binding as llvm
        except ImportError as error:
            raise Unavailable(f"llvmlite is not installed ({error})") from error
        self.llvm = llvm
        self.layout = _Layout()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.triple = llvm.get_process_triple()
        # Loops get all that the compiler has; long straight-line code is written out quickly.
        self.machines = [llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=n) for n in (3, 0)]
        self.engines = [llvm.create_mcjit_compiler(llvm.parse_assembly(""), m) for m in self.machines]
        self.lock = threading.Lock()
        self.known: dict[str, Callable[..., Any]] = {}
        self.keep: list[Any] = []
        self.incref, self.save, self.restore = [
            ctypes.cast(f, ctypes.c_void_p).value for f in (
                ctypes.pythonapi.Py_IncRef, ctypes.pythonapi.PyEval_SaveThread, ctypes.pythonapi.PyEval_RestoreThread)]
        new = ctypes.pythonapi.PyCFunction_NewEx
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.new = new

    def optimize(self, text: str, quick: bool = False) -> Any:
        """The module after LLVM's passes."""
        llvm, machine, level = self.llvm, self.machines[quick], 1 if quick else 3
        module = llvm.parse_assembly(text)
        module.triple = self.triple
        module.data_layout = str(machine.target_data)
        options = llvm.create_pipeline_tuning_options(speed_level=level)
        options.loop_vectorization = options.loop_interleaving = options.loop_unrolling = level > 1
        options.slp_vectorization = False
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        return module

    def function(self, name: str, text: str) -> Callable[..., Any]:
        """The compiled entry point ``name`` of the module ``text``, in which NAME stands for a name of its own."""
        key = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        with self.lock:
            found = self.known.get(key)
            if found is None:
                entry = f"{name}_{key}"
                quick = "@piece" in text and "phi i64 [ 0," not in text   # no loop
                engine = self.engines[quick]
                engine.add_module(self.optimize(text.replace("@NAME", f"@{entry}"), quick))
                engine.finalize_object()
                method = _Method(entry.encode(), engine.get_function_address(entry), _METH_FASTCALL, None)
                self.keep.append(method)
                found = self.known[key] = self.new(ctypes.addressof(method), None, None)
        return found  # type: ignore[no-any-return]

    def entry(self, body: str, args: list[tuple[Spec, bool]], results: int, scratch: bool, long: bool) -> str:
        """The function that CPython calls. args: spec, and whether a NumPy scalar comes instead of an array.

        ``long``: worth letting other Python threads run meanwhile.
        """
        at = self.layout
        lines = ["define ptr @NAME(ptr %self, ptr %args, i64 %n) {", "entry:"]
        checks: list[str] = []
        pointers: list[str] = []

        def line(text: str) -> None:
            lines.append("  " + text)

        def check(name: str, text: str) -> None:
            line(f"%{name} = {text}")
            checks.append(f"%{name}")

        def field(base: str, offset: int, kind: str, name: str) -> str:
            line(f"%{name}.p = getelementptr i8, ptr {base}, i64 {offset}")
            line(f"%{name} = load {kind}, ptr %{name}.p")
            return f"%{name}"

        total = len(args) + results + scratch
        for k in range(total):
            field("%args", 8 * k, "ptr", f"o{k}")
            if k < len(args) and args[k][1]:
                line(f"%d{k} = getelementptr i8, ptr %o{k}, i64 {at.head}")
            else:
                field(f"%o{k}", at.data, "ptr", f"d{k}")
            pointers.append(f"ptr %d{k}")
        if not scratch:
            pointers.append("ptr null")
        for k, (spec, number) in enumerate(args):
            if number:
                continue
            kind = field(f"%o{k}", at.type, "i64", f"ty{k}")
            check(f"c{k}.t", f"icmp eq i64 {kind}, {id(np.ndarray)}")
            descr = field(f"%o{k}", at.descr, "i64", f"de{k}")
            check(f"c{k}.d", f"icmp eq i64 {descr}, {id(np.dtype(spec.dtype.np))}")
            flags = field(f"%o{k}", at.flags, "i32", f"fl{k}")
            line(f"%fm{k} = and i32 {flags}, 257")           # contiguous and aligned
            check(f"c{k}.f", f"icmp eq i32 %fm{k}, 257")
            ndim = field(f"%o{k}", at.ndim, "i32", f"nd{k}")
            check(f"c{k}.n", f"icmp eq i32 {ndim}, {spec.ndim}")
        sound = "true"
        for n, c in enumerate(checks):
            line(f"%s{n} = and i1 {sound}, {c}")
            sound = f"%s{n}"
        line(f"br i1 {sound}, label %shapes, label %bad")
        lines.append("shapes:")
        sound = "true"
        for k, (spec, number) in enumerate(args):
            if number or not spec.ndim:
                continue
            dims = field(f"%o{k}", at.dims, "ptr", f"di{k}")
            for axis, n in enumerate(spec.shape):
                size = field(dims, 8 * axis, "i64", f"di{k}.{axis}")
                line(f"%e{k}.{axis} = icmp eq i64 {size}, {n}")
                line(f"%g{k}.{axis} = and i1 {sound}, %e{k}.{axis}")
                sound = f"%g{k}.{axis}"
        line(f"br i1 {sound}, label %run, label %bad")
        lines.append("run:")
        if long:
            line(f"%save = inttoptr i64 {self.save} to ptr")
            line(f"%restore = inttoptr i64 {self.restore} to ptr")
            line("%state = call ptr %save()")
        line(f"%flag = call i32 @body({', '.join(pointers)})")
        if long:
            line("call void %restore(ptr %state)")
        line("%fine = icmp eq i32 %flag, 0")
        line(f"%answer = select i1 %fine, i64 {id(None)}, i64 {id(False)}")
        line("br label %end")
        lines.append("bad:")
        line("br label %end")
        lines.append("end:")
        line(f"%word = phi i64 [ %answer, %run ], [ {id(False)}, %bad ]")
        line("%result = inttoptr i64 %word to ptr")
        line(f"%incref = inttoptr i64 {self.incref} to ptr")
        line("call void %incref(ptr %result)")
        line("ret ptr %result")
        return "\n".join([*lines, "}", "", body])


_MADE: list[Compiler | Unavailable] = []
_LOCK = threading.Lock()


def compiler() -> Compiler:
    """The process's compiler; raises Unavailable where there is none."""
    with _LOCK:
        if not _MADE:
            try:
                _MADE.append(Compiler())
            except Unavailable as error:
                _MADE.append(error)
            except Exception as error:
                _MADE.append(Unavailable(f"llvmlite does not work here ({error})"))
    made = _MADE[0]
    if isinstance(made, Unavailable):
        raise made
    return made


__all__ = ["Compiler", "Unavailable", "compiler"]

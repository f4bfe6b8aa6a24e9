"""From LLVM's language to a function that Python calls: the compiler, and how arrays are handed over.

A compiled unit is a built-in function of CPython's fast calling convention. It gets the arrays themselves and reads
their data pointers, so a call costs no conversion of arguments. It returns None, or False when an array is not as the
code needs it or an element was refused; then nothing that it wrote counts.

What knows of Python is one small native function that all units share. It checks the arguments against the unit's table
and calls the unit. The unit's own code holds no address, so it can be kept on disk and used in another process.
"""
from __future__ import annotations

import ctypes
import re
import struct
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._errors import AdjointError
from ..._graph import Spec
from ..._version import __version__
from . import cache, halves, recorder, threads
from .text import SCALAR

_METH_FASTCALL = 0x0080
_KNOWN = 1024                                            # functions that are remembered when no plan uses them
_SHELF = 64                                              # units that are freed together
_LONGEST = 1_000_000                                     # characters that are compiled with care: some seconds
_MOST = 512                                              # arrays, likewise: what LLVM does grows with their square
_ADDRESS = re.compile(r"inttoptr \(?i64 \d{5,}")         # such code is of no use to another process
_RECIPE = "passes 3 where loops are not written in vectors, code 2, of what calls 0"
_CALLS = re.compile(r"^define internal i32 @body.* #1 {$", re.M)
_UNIT = re.compile(r"^define i32 @(\w+)", re.M)
_LOCAL = re.compile(r"^define internal \S+ @(\w+)", re.M)
_NAMES = re.compile(r"@(\w+)\b")
_FUNCTION = re.compile(r"^define .*?^}$", re.M | re.S)
_GLUE = "attributes #1 = { nounwind noinline optnone }"   # of functions that do little but call others


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
        self.bytes = bytes.__basicsize__ - 1             # where a bytes object has its contents
        table = _Table(b"contents")
        if ctypes.string_at(id(table) + self.bytes, 8) != b"contents":
            raise Unavailable("Python's bytes are laid out differently here")


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class _Table(bytes):
    """What the shared function needs to know of a unit; also holds what must live as long as the unit does."""

    engine: Any


class Counts:
    """What the compiler did so far in this process."""

    __slots__ = ("compile_seconds", "compiled", "load_seconds", "loaded")

    def __init__(self) -> None:
        self.compiled = self.loaded = 0                  # units
        self.compile_seconds = self.load_seconds = 0.0


class Compiler:
    """One for the process."""

    def __init__(self) -> None:
        begin = time.perf_counter()
        try:
            import llvmlite
            import llvmlite.binding as llvm
        except ImportError as error:
            raise Unavailable(f"llvmlite is not installed ({error})") from error
        self.llvm = llvm
        self.layout = at = _Layout()
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        self.triple = llvm.get_process_triple()
        self.cpu, self.features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
        self.width = 64 if "+avx512f" in self.features else 32 if "+avx2" in self.features else 16   # bytes of a vector register
        self.machines: dict[bool, Any] = {}              # made when something has to be compiled
        self.lock = threading.RLock()                    # a signal may come in between, whose handler looks at values
        self.compiling = False
        self.known: OrderedDict[str, Callable[..., Any]] = OrderedDict()
        self.counts = Counts()
        self.symbols: dict[str, int] = {}
        self._methods: dict[str, _Method] = {}
        self.place = cache.Place("\n".join([
            __version__, llvmlite.__version__, ".".join(map(str, llvm.llvm_version_info)), self.triple, self.cpu, self.features,
            str(sys.implementation.cache_tag), getattr(sys, "abiflags", ""), _RECIPE]))
        self._shelf: Any = None
        self._halves: Any = None
        self._room = 0
        new = ctypes.pythonapi.PyCFunction_NewEx
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        self.new = new
        incref, save, restore = [ctypes.cast(f, ctypes.c_void_p).value for f in (
            ctypes.pythonapi.Py_IncRef, ctypes.pythonapi.PyEval_SaveThread, ctypes.pythonapi.PyEval_RestoreThread)]
        self._words = (id(None), id(False), id(np.ndarray), incref, save, restore)
        address, self._entry_engine = self.load(
            re.sub("BYTES|TYPE|DESCR|FLAGS|NDIM|DIMS", lambda m: str(getattr(at, m[0].lower())), _ENTRY), "@entry", "entry", True)
        self._entry = address
        threads.connect(self)
        self.counts.load_seconds = time.perf_counter() - begin

    # ------------------------------------------------------------------------------------------------------ compiling

    def _machine(self, quick: bool) -> Any:
        if quick not in self.machines:
            # Loops get the compiler's care; long straight-line code is written out quickly.
            self.machines[quick] = self._target(0 if quick else 2)
        return self.machines[quick]

    def _target(self, level: int) -> Any:
        return self.llvm.Target.from_triple(self.triple).create_target_machine(
            cpu=self.cpu, features=self.features, opt=level)

    def compile(self, text: str, ready: bool = False, quick: bool = False) -> bytes:
        """Code of a module: one object or two, each after its length. ``ready``: there is nothing left for passes; ``quick``:
        written out as fast as can be.
        """
        # Long code without loops, or more than can be waited for, is written out quickly.
        quick |= len(text) > _LONGEST or int(_head(text)[0]) > _MOST or "@piece" in text and "phi i64 [ 0," not in text
        if ready or quick or _CALLS.search(text) is None:
            objects = [self._object(text, ready, quick)]
        else:
            objects = [self._object(part, calls, calls) for part, calls in _split(text)]
        return b"".join(struct.pack("=Q", len(code)) + code for code in objects)

    def _object(self, text: str, ready: bool, quick: bool) -> bytes:
        llvm, machine = self.llvm, self._machine(quick)
        module = llvm.parse_assembly(text, llvm.create_context())      # a context holds what it saw until its own end
        module.triple = self.triple
        module.data_layout = str(machine.target_data)
        if not ready:
            options = llvm.create_pipeline_tuning_options(speed_level=1 if quick else 3)
            options.loop_vectorization = options.loop_interleaving = True
            options.slp_vectorization = False
            options.loop_unrolling = False               # takes a quarter of the time and gives none back
            builder = llvm.create_pass_builder(machine, options)
            if quick or text[0] == ";" and SCALAR not in text:         # a unit in vectors needs little more
                passes = llvm.create_new_function_pass_manager()
                if quick:
                    passes.add_instruction_combine_pass()
                    passes.add_simplify_cfg_pass()
                else:
                    passes.add_sroa_pass()
                for function in module.functions:
                    if not function.is_declaration:
                        passes.run(function, builder)
            else:
                passes = builder.getModulePassManager()
                passes.run(module, builder)
            _free(passes)
        return machine.emit_object(module)  # type: ignore[no-any-return]

    def symbol(self, name: str, address: int) -> str:
        """Make a foreign function known to compiled code, under this name in every process."""
        if self.symbols.get(name) != address:
            self.llvm.add_symbol(name, address)
            self.symbols[name] = address
        return name

    @staticmethod
    def key(text: str) -> str:
        """What tells a module from others."""
        return cache.blake2b(text.encode(), digest_size=16).hexdigest()

    def named(self, text: str, name: str) -> str:
        """What stands for its marker in a module."""
        return f"{name}_{self.key(text)}"

    def load(self, text: str, marker: str, name: str, ready: bool = False, quick: bool = False) -> tuple[int, Any]:
        """The address of the code, from disk or compiled, and what keeps it alive."""
        key, entry = self.key(text), self.named(text, name)
        begin = time.perf_counter()
        kept = _ADDRESS.search(text) is None
        code = self.place.get(key) if kept else None
        counts = self.counts
        if code is None:
            code = self.compile(text.replace(marker, f"@{entry}"), ready, quick)
            if kept:
                self.place.put(key, code)
            counts.compiled += 1
            loaded = time.perf_counter()
            counts.compile_seconds += loaded - begin
            begin = loaded
        else:
            counts.loaded += 1
        if self._halves is None and halves.needed(code):
            self._halves = False
            try:
                self._halves = halves.connect(self)
            finally:
                self._halves = self._halves or None      # interrupted: the next that needs them begins again
        if not self._room:
            # Code is freed with its engine: one for some dozens of units, which goes when none of them is used any more.
            self._shelf = self.llvm.create_mcjit_compiler(self.llvm.parse_assembly(""), self._target(2))
            self._room = _SHELF
        self._room -= 1
        engine = self._shelf
        at = 0
        while at < len(code):
            end = at + 8 + struct.unpack_from("=Q", code, at)[0]
            engine.add_object_file(self.llvm.ObjectFileRef.from_data(code[at + 8:end]))
            at = end
        engine.finalize_object()
        address = engine.get_function_address(entry)
        counts.load_seconds += time.perf_counter() - begin
        return address, engine

    def _method(self, name: str) -> _Method:
        """How Python calls functions of this name. It looks there even when it frees one at its end, so this stays for ever."""
        method = self._methods.get(name)
        if method is None:
            method = self._methods[name] = _Method(name.encode(), self._entry, _METH_FASTCALL, None)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(method))
        return method

    def function(self, name: str, text: str) -> Callable[..., Any]:
        """The function for a module that was begun by ``entry``; NAME in it stands for a name of its own."""
        key = self.key(text)
        with self.lock:
            found = self.known.get(key)
            if found is not None:
                self.known.move_to_end(key)
                return found
            if self.compiling:
                raise AdjointError("a signal's handler looks at a value while another is being compiled")
            self.compiling = True
            try:
                address, engine = self.load(text, "@NAME", name)
            finally:
                self.compiling = False
            total, long, *takes = _head(text)
            words = [address, len(takes), int(total), int(long), *self._words]
            for given in takes:
                dtype, *sizes = given.split(",")
                words += [id(np.dtype(dtype)), len(sizes), *map(int, sizes)] if dtype else [0]
            table = _Table(struct.pack(f"={len(words)}Q", *words))
            table.engine = engine
            found = self.new(ctypes.addressof(self._method(name)), id(table), None)
            self.known[key] = found
            if len(self.known) > _KNOWN:
                self.known.popitem(last=False)
        return found

    def entry(self, body: str, args: list[tuple[Spec, bool]], results: int, scratch: bool, long: bool) -> str:
        """The beginning of a unit's module: what it takes, and the function that hands the pointers to ``@body``.

        args: spec, and whether a NumPy scalar comes instead of an array. ``long``: worth letting other Python threads run
        meanwhile. The text may call functions made known by ``symbol``, and must hold no addresses.
        """
        at = self.layout
        total = len(args) + results + scratch
        takes = ["" if number else ",".join([spec.dtype.name, *map(str, spec.shape)]) for spec, number in args]
        lines = [f"; {' '.join([str(total), str(int(long)), *takes])}", "define i32 @NAME(ptr %args) #1 {", "entry:"]
        for k in range(total):
            lines += [f"  %o{k}.p = getelementptr ptr, ptr %args, i64 {k}", f"  %o{k} = load ptr, ptr %o{k}.p"]
            if k < len(args) and args[k][1]:
                lines.append(f"  %d{k} = getelementptr i8, ptr %o{k}, i64 {at.head}")
            else:
                lines += [f"  %d{k}.p = getelementptr i8, ptr %o{k}, i64 {at.data}", f"  %d{k} = load ptr, ptr %d{k}.p"]
        pointers = [f"ptr %d{k}" for k in range(total)] + ([] if scratch else ["ptr null"])
        lines += [f"  %flag = call i32 @body({', '.join(pointers)})", "  ret i32 %flag", "}", "", _GLUE, body]
        return "\n".join(lines)


def _free(passes: Any) -> None:
    """Free a pass manager (80 kB). llvmlite means to, but the base class in front hides the method that does it."""
    kinds: tuple[Any, ...] = type(passes).__bases__
    front, *others = kinds
    if type(passes)._dispose is front._dispose:
        for base in others:
            if "_dispose" in vars(base):
                base._dispose(passes)


def _split(text: str) -> list[tuple[str, bool]]:
    """A unit's module as several, and whether it does little but call others; loops that passes have to look at stand apart.
    Names of functions are made the unit's own, for they meet those of other units.
    """
    unit = _UNIT.search(text)[1]  # type: ignore[index]
    own = set(_LOCAL.findall(text))
    text = _NAMES.sub(lambda found: f"@{unit}_{found[1]}" if found[1] in own else found[0], text)
    functions, rest = _FUNCTION.findall(text), _FUNCTION.sub("", text)
    modules: list[list[str]] = [[], [], []]
    declared: list[str] = []
    for function in functions:
        head, body = function.replace("internal ", "", 1).split("\n", 1)
        kind = 0 if head.endswith(("#1 {", "inline {")) else 1 + (SCALAR in body)
        modules[kind].append(f"{head}\n{body}")
        name, params = head[:head.rindex(")")].split("(", 1)
        types = ", ".join(p.split(" ", 1)[0] for p in params.split(", "))
        declared.append(f"{name.replace('define', 'declare', 1)}({types})")
    out = []
    for kind, part in enumerate(modules):
        names = {f[7:f.index("(")] for f in part}
        if part:
            out.append(("\n".join([rest, *[d for d in declared if d[8:d.index("(")] not in names], *part]), kind == 0))
    return out


def _head(text: str) -> list[str]:
    """What ``entry`` wrote at the head of a module: how many arrays it takes in all, whether it is long, and each argument's
    dtype and sizes, nothing for a number."""
    return text[2:text.index("\n")].split(" ") if text.startswith("; ") else ["0"]


# What Python calls. self is a unit's table: the unit's address, how many arrays it checks and takes in all, whether other
# threads may run meanwhile, six addresses of Python's, and then what each array has to be: dtype, number of axes, their
# sizes. A dtype of 0 stands for a NumPy scalar.
_ENTRY = """
define ptr @entry(ptr %self, ptr %args, i64 %n) {
start:
  %table = getelementptr i8, ptr %self, i64 BYTES
  %unit = load ptr, ptr %table
  %inputs.p = getelementptr i64, ptr %table, i64 1
  %inputs = load i64, ptr %inputs.p
  %total.p = getelementptr i64, ptr %table, i64 2
  %total = load i64, ptr %total.p
  %long.p = getelementptr i64, ptr %table, i64 3
  %long = load i64, ptr %long.p
  %none.p = getelementptr ptr, ptr %table, i64 4
  %none = load ptr, ptr %none.p
  %false.p = getelementptr ptr, ptr %table, i64 5
  %false = load ptr, ptr %false.p
  %type.p = getelementptr ptr, ptr %table, i64 6
  %type = load ptr, ptr %type.p
  %incref.p = getelementptr ptr, ptr %table, i64 7
  %incref = load ptr, ptr %incref.p
  %rows = getelementptr i64, ptr %table, i64 10
  %counted = icmp eq i64 %n, %total
  br i1 %counted, label %next, label %end
next:
  %k = phi i64 [ 0, %start ], [ %k.n, %number ], [ %k.n, %fits ]
  %row = phi ptr [ %rows, %start ], [ %axis.row, %number ], [ %row.n, %fits ]
  %done = icmp eq i64 %k, %inputs
  br i1 %done, label %run, label %look
look:
  %k.n = add i64 %k, 1
  %o.p = getelementptr ptr, ptr %args, i64 %k
  %o = load ptr, ptr %o.p
  %dtype = load ptr, ptr %row
  %axis.row = getelementptr i64, ptr %row, i64 1
  %scalar = icmp eq ptr %dtype, null
  br i1 %scalar, label %number, label %array
number:
  br label %next
array:
  %o.type.p = getelementptr i8, ptr %o, i64 TYPE
  %o.type = load ptr, ptr %o.type.p
  %same.type = icmp eq ptr %o.type, %type
  br i1 %same.type, label %inside, label %end
inside:
  %o.dtype.p = getelementptr i8, ptr %o, i64 DESCR
  %o.dtype = load ptr, ptr %o.dtype.p
  %same.dtype = icmp eq ptr %o.dtype, %dtype
  %flags.p = getelementptr i8, ptr %o, i64 FLAGS
  %flags = load i32, ptr %flags.p
  %flags.and = and i32 %flags, 257
  %tidy = icmp eq i32 %flags.and, 257
  %o.ndim.p = getelementptr i8, ptr %o, i64 NDIM
  %o.ndim = load i32, ptr %o.ndim.p
  %o.axes = zext i32 %o.ndim to i64
  %axes = load i64, ptr %axis.row
  %same.axes = icmp eq i64 %o.axes, %axes
  %dims.p = getelementptr i8, ptr %o, i64 DIMS
  %dims = load ptr, ptr %dims.p
  %good = and i1 %same.dtype, %tidy
  %better = and i1 %good, %same.axes
  br i1 %better, label %axis, label %end
axis:
  %a = phi i64 [ 0, %inside ], [ %a.n, %size ]
  %a.n = add i64 %a, 1
  %row.n = getelementptr i64, ptr %axis.row, i64 %a.n
  %last = icmp eq i64 %a, %axes
  br i1 %last, label %fits, label %size
size:
  %is.p = getelementptr i64, ptr %dims, i64 %a
  %is = load i64, ptr %is.p
  %must = load i64, ptr %row.n
  %same = icmp eq i64 %is, %must
  br i1 %same, label %axis, label %end
fits:
  br label %next
run:
  %short = icmp eq i64 %long, 0
  br i1 %short, label %here, label %free
here:
  %flag.h = call i32 %unit(ptr %args)
  br label %after
free:
  %save.p = getelementptr ptr, ptr %table, i64 8
  %save = load ptr, ptr %save.p
  %restore.p = getelementptr ptr, ptr %table, i64 9
  %restore = load ptr, ptr %restore.p
  %state = call ptr %save()
  %flag.f = call i32 %unit(ptr %args)
  call void %restore(ptr %state)
  br label %after
after:
  %flag = phi i32 [ %flag.h, %here ], [ %flag.f, %free ]
  %fine = icmp eq i32 %flag, 0
  %answer = select i1 %fine, ptr %none, ptr %false
  br label %end
end:
  %result = phi ptr [ %false, %start ], [ %false, %array ], [ %false, %inside ], [ %false, %size ], [ %answer, %after ]
  call void %incref(ptr %result)
  ret ptr %result
}
"""

_MADE: list[Compiler | Unavailable] = []
_LOCK = threading.RLock()


def compiler() -> Compiler:
    """The process's compiler; raises Unavailable where there is none."""
    with _LOCK:
        if not _MADE:
            try:
                native = Compiler()
                recorder.begin(native)
                _MADE.append(native)
            except Unavailable as error:
                _MADE.append(error)
            except Exception as error:
                _MADE.append(Unavailable(f"llvmlite does not work here ({error})"))
    made = _MADE[0]
    if isinstance(made, Unavailable):
        raise made
    return made


__all__ = ["Compiler", "Counts", "Unavailable", "compiler"]

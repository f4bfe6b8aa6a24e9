"""The BLAS that compiled code calls: found in what NumPy or SciPy brings, with no Python between.

Compiled code knows it by the names of symbols, so that it can be kept on disk: where they lie differs from process to
process. The names tell one way of calling from another.
"""
from __future__ import annotations

import ctypes
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

_LETTER = {"f32": "s", "f64": "d"}
_C = {"f32": ctypes.c_float, "f64": ctypes.c_double}
_IR = {"f32": "float", "f64": "double"}
_ROWS, _PLAIN, _TURNED = 101, 111, 112                   # CBLAS: by rows, as stored, transposed


class Blas:
    """Addresses of a BLAS.

    name     what it is
    bits     of its integers
    fortran  called with pointers, matrices by columns (otherwise CBLAS)
    routines the letter of a type and a routine's name -> address
    threads  addresses of the functions that read and set the number of threads, or None
    """

    def __init__(self, name: str, bits: int, fortran: bool, routines: dict[str, int],
                 threads: tuple[int, int] | None = None) -> None:
        self.name, self.bits, self.fortran, self.routines, self.threads = name, bits, fortran, routines, threads
        self.mark = f"adjoint_{'columns' if fortran else 'rows'}{bits}_"          # before the names of its symbols
        self.state = (ctypes.c_int * 3)()                # a lock, how many units run, the user's number of threads

    def works(self) -> bool:
        """Whether a small product comes out right."""
        return all(self._try(type) for type in _LETTER)

    def _try(self, type: str) -> bool:
        real, number = _C[type], ctypes.c_int64 if self.bits == 64 else ctypes.c_int32
        a, b, c = (real * 6)(*range(6)), (real * 6)(*range(6)), (real * 4)(9, 9, 9, 9)
        m, n, k = 2, 2, 3
        ones, zero = real(1.0), real(0.0)
        if self.fortran:
            t, f = ctypes.create_string_buffer(b"T"), ctypes.create_string_buffer(b"N")
            by = ctypes.byref
            ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(self.routines[f"{_LETTER[type]}gemm"])(
                t, f, by(number(n)), by(number(m)), by(number(k)), by(ones), b, by(number(3)), a, by(number(3)), by(zero), c,
                by(number(2)))
        else:
            ctypes.CFUNCTYPE(None, *[ctypes.c_int] * 3, *[number] * 3, real, ctypes.c_void_p, number, ctypes.c_void_p, number,
                             real, ctypes.c_void_p, number)(self.routines[f"{_LETTER[type]}gemm"])(
                _ROWS, _PLAIN, _TURNED, m, n, k, ones, a, 3, b, 3, zero, c, 2)
        return list(c) == [5.0, 14.0, 14.0, 50.0]

    def symbols(self) -> dict[str, int]:
        """What compiled code refers to."""
        named = {self.mark + name: address for name, address in self.routines.items()}
        if self.threads is not None:
            named |= {"adjoint_get_threads": self.threads[0], "adjoint_set_threads": self.threads[1],
                      "adjoint_blas_state": ctypes.addressof(self.state)}
        return named

    def definitions(self, types: set[str], threads: bool) -> str:
        """``gemm_f32`` and so on: (ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), matrices by rows; ta, tb: i1.

        ``gemv_f32`` and so on: (t, m, n, alpha, a, lda, x, incx, beta, y, incy), with a of m rows.
        """
        rows = [text for t in sorted(types) for text in (self._gemm(t), self._gemv(t))]
        return "\n".join(rows + [_THREADS] * (threads and self.threads is not None))

    def _gemm(self, type: str) -> str:
        params = "i1 ta, i1 tb, i64 m, i64 n, i64 k, R alpha, ptr a, i64 lda, ptr b, i64 ldb, R beta, ptr c, i64 ldc"
        # By columns everything is transposed: C' = B' A'.
        order = "tb ta n m k alpha b ldb a lda beta c ldc" if self.fortran else "ta tb m n k alpha a lda b ldb beta c ldc"
        return self._wrapper("gemm", type, params, order)

    def _gemv(self, type: str) -> str:
        params = "i1 t, i64 m, i64 n, R alpha, ptr a, i64 lda, ptr x, i64 incx, R beta, ptr y, i64 incy"
        order = "t n m alpha a lda x incx beta y incy" if self.fortran else "t m n alpha a lda x incx beta y incy"
        return self._wrapper("gemv", type, params, order)

    def _wrapper(self, name: str, type: str, params: str, order: str) -> str:
        """A function that hands its arguments on as this BLAS wants them, in ``order``."""
        symbol, real = f"{self.mark}{_LETTER[type]}{name}", _IR[type]
        kinds = {p.split()[1]: p.split()[0].replace("R", real) for p in params.split(", ")}
        lines, given = [], [] if self.fortran else [f"i32 {_ROWS}"]
        for p in order.split():
            kind, value = kinds[p], f"%{p}"
            if kind == "i1":
                plain, turned = (78, 84) if self.fortran else (_PLAIN, _TURNED)
                if self.fortran and name == "gemv":      # what lies by rows is the transpose by columns
                    plain, turned = turned, plain
                kind = "i8" if self.fortran else "i32"
                lines.append(f"  %{p}.v = select i1 %{p}, {kind} {turned}, {kind} {plain}")
                value = f"%{p}.v"
            elif kind == "i64" and self.bits == 32:
                kind = "i32"
                lines.append(f"  %{p}.v = trunc i64 %{p} to i32")
                value = f"%{p}.v"
            if self.fortran and kind != "ptr":
                lines += [f"  %{p}.p = alloca {kind}", f"  store {kind} {value}, ptr %{p}.p"]
                kind, value = "ptr", f"%{p}.p"
            given.append(f"{kind} {value}")
        declared = ", ".join(g.split()[0] for g in given)
        head = ", ".join(f"{kind} %{p}" for p, kind in kinds.items())
        return "\n".join([
            f"declare void @{symbol}({declared})",
            f"define internal void @{name}_{type}({head}) {'noinline' if self.fortran else 'alwaysinline'} {{", *lines,
            f"  call void @{symbol}({', '.join(given)})", "  ret void", "}"])


# The BLAS runs in the thread that calls it: work is divided by us, since two runtimes wait for each other. Its number of threads
# is the process's. What the user had is noted by the first unit that runs and put back by the last; a lock keeps two
# threads from noting each other's.
_THREADS = """
declare i32 @adjoint_get_threads()
declare void @adjoint_set_threads(i32)
@adjoint_blas_state = external global [3 x i32]
define internal void @blas_lock() #1 {
  br label %try
try:
  %got = cmpxchg ptr @adjoint_blas_state, i32 0, i32 1 acquire monotonic
  %fine = extractvalue { i32, i1 } %got, 1
  br i1 %fine, label %in, label %try
in:
  ret void
}
define internal void @blas_enter() #1 {
  call void @blas_lock()
  %users = getelementptr i32, ptr @adjoint_blas_state, i64 1
  %own = getelementptr i32, ptr @adjoint_blas_state, i64 2
  %n = load i32, ptr %users
  %m = add i32 %n, 1
  store i32 %m, ptr %users
  %first = icmp eq i32 %n, 0
  br i1 %first, label %note, label %out
note:
  %now = call i32 @adjoint_get_threads()
  store i32 %now, ptr %own
  %several = icmp ne i32 %now, 1
  br i1 %several, label %set, label %out
set:
  call void @adjoint_set_threads(i32 1)
  br label %out
out:
  store atomic i32 0, ptr @adjoint_blas_state release, align 4
  ret void
}
define internal void @blas_leave() #1 {
  call void @blas_lock()
  %users = getelementptr i32, ptr @adjoint_blas_state, i64 1
  %own = getelementptr i32, ptr @adjoint_blas_state, i64 2
  %n = load i32, ptr %users
  %m = sub i32 %n, 1
  store i32 %m, ptr %users
  %last = icmp eq i32 %m, 0
  %now = call i32 @adjoint_get_threads()
  %had = load i32, ptr %own
  %other = icmp ne i32 %now, %had
  %back = and i1 %last, %other
  br i1 %back, label %set, label %out
set:
  call void @adjoint_set_threads(i32 %had)
  br label %out
out:
  store atomic i32 0, ptr @adjoint_blas_state release, align 4
  ret void
}
"""


# ------------------------------------------------------------------------------------------------------------- finding it

# CBLAS's names in the libraries that NumPy is built with: what stands before and after, and the integers' bits.
_NAMES = (("scipy_", "64_", 64), ("", "64_", 64), ("scipy_", "", 32), ("", "", 32))
_ROUTINES = [letter + name for letter in _LETTER.values() for name in ("gemm", "gemv")]


def _libraries() -> Iterator[Any]:
    """NumPy's extension, through which its libraries' symbols are seen, and its libraries."""
    core = importlib.import_module("numpy._core._multiarray_umath" if hasattr(np, "_core") else "numpy.core._multiarray_umath")
    yield ctypes.CDLL(core.__file__)
    root = Path(np.__file__).parent
    for folder in (root.parent / "numpy.libs", root / ".dylibs", root / ".libs"):
        for path in sorted(folder.glob("*openblas*")):
            yield ctypes.CDLL(str(path))
    if sys.platform == "darwin":
        yield ctypes.CDLL("/System/Library/Frameworks/Accelerate.framework/Accelerate")


def _address(library: Any, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 if hasattr(library, name) else 0


def _of_numpy() -> Iterator[Blas]:
    for library in _libraries():
        for before, after, bits in _NAMES:
            found = {r: _address(library, f"{before}cblas_{r}{after}") for r in _ROUTINES}
            if all(found.values()):
                get, put = [_address(library, f"{before}openblas_{do}_num_threads{after}") for do in ("get", "set")]
                yield Blas(f"{before}cblas{after}", bits, False, found, (get, put) if get and put else None)


def _of_scipy() -> Iterator[Blas]:
    from scipy.linalg import cython_blas

    get, name = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_GetName
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    capsules = {r: cython_blas.__pyx_capi__[r] for r in _ROUTINES}
    yield Blas("scipy.linalg.cython_blas", 32, True, {r: get(c, name(c)) for r, c in capsules.items()})


_FOUND: list[Blas | None] = []
_LOCK = threading.RLock()


def find(sources: tuple[Callable[[], Iterator[Blas]], ...] = (_of_numpy, _of_scipy)) -> Blas | None:
    """A BLAS that gives the right product, or None."""
    for source in sources:
        try:
            for blas in source():
                if blas.works():
                    return blas
        except (ImportError, OSError, KeyError, AttributeError, TypeError, ValueError):
            continue
    return None


def blas() -> Blas | None:
    """The process's BLAS, its symbols handed to LLVM."""
    with _LOCK:
        if not _FOUND:
            found = find()
            if found is not None:
                import llvmlite.binding as llvm

                for name, address in found.symbols().items():
                    llvm.add_symbol(name, address)
            _FOUND.append(found)
        return _FOUND[0]


__all__ = ["Blas", "blas", "find"]

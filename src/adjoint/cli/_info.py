"""``adjoint info``: what somebody needs to know to help."""
from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from .._config import config
from .._graph import LIMIT, REGISTRY
from ..engines.llvm import cache
from ..engines.llvm.blas import blas
from ..engines.llvm.native import Unavailable, compiler

_NEEDED = ("numpy", "scipy", "ml_dtypes", "safetensors", "llvmlite")
_EXTRAS = ("ipython", "nbformat", "rich", "matplotlib", "scikit-learn")


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _compiled() -> list[tuple[str, str]]:
    """Whether programs are compiled here, and what their products call."""
    try:
        made = compiler()
    except Unavailable as error:
        return [("compiler", f"none, everything runs through NumPy: {error}")]
    found = blas()
    release = ".".join(map(str, made.llvm.llvm_version_info))
    return [("compiler", f"LLVM {release} for {made.cpu}, vectors of {8 * made.width} bits"),
            ("products", "NumPy's" if found is None else f"{found.name}, integers of {found.bits} bits")]


def _kept() -> str:
    """Where compiled code is kept."""
    folder = cache.folder()
    if folder is None:
        return "off"
    limit = f"at most {config.cache_limit / 2**20:.0f} MiB"
    try:
        if not folder.exists():
            return f"{folder}, not there yet, {limit}"
        why = cache.objection(folder)
        if why:
            return f"{folder} is not used: {why}"
        rows = cache._entries(folder)
    except OSError as error:
        return f"{folder} is not used: {error.strerror or error}"
    return f"{folder}, {len(rows)} file{'s' * (len(rows) != 1)}, {sum(size for _, size, _ in rows) / 2**20:.1f} MiB, {limit}"


def info(own_version: str) -> str:
    """The lines that ``adjoint info`` prints."""
    given = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("ADJOINT_")]
    rows = [
        ("adjoint", own_version),
        ("python", f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"),
        ("platform", f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} processors"),
        ("engine", config.engine),
        *_compiled(),
        ("threads", str(config.threads)),
        ("code cache", _kept()),
        ("structures", f"at most {LIMIT} operations remembered; a program is settled after {config.pending} pending ones"),
        ("environment", ", ".join(given) or "nothing set"),
        ("primitives", str(len(REGISTRY))),
        *((name, version(name)) for name in _NEEDED + _EXTRAS),
    ]
    if config.note:
        rows.append(("note", config.note))
    return "\n".join(f"{name:<14}{value}" for name, value in rows)

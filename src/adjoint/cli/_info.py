"""``adjoint info``: what somebody needs to know to help."""
from __future__ import annotations

import importlib.metadata
import platform
import sys

from .._config import config
from .._graph import REGISTRY

_NEEDED = ("numpy", "scipy", "ml_dtypes", "safetensors")
_EXTRAS = ("llvmlite", "ipython", "nbformat", "rich", "matplotlib", "scikit-learn")


def version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def info(own_version: str) -> str:
    """The lines that ``adjoint info`` prints."""
    rows = [
        ("adjoint", own_version),
        ("python", f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"),
        ("platform", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("engine", config.engine),
        ("threads", str(config.threads)),
        ("primitives", str(len(REGISTRY))),
        *((name, version(name)) for name in _NEEDED + _EXTRAS),
    ]
    return "\n".join(f"{name:<14}{value}" for name, value in rows)

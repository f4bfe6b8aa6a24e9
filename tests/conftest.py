"""What every test starts from: the adjoint spelling, a fresh trace, no remembered programs of a patched rule."""
from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

if "ADJOINT_CACHE_DIR" not in os.environ:                # compiled code of this run only, for all its processes
    os.environ["ADJOINT_CACHE_DIR"] = tempfile.mkdtemp(prefix="adjoint-tests-")
    atexit.register(shutil.rmtree, os.environ["ADJOINT_CACHE_DIR"], ignore_errors=True)

from adjoint import _graph
from adjoint._config import config
from adjoint._trace import Trace, local


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    config.spelling = "adjoint"
    local.trace, local.tapes = Trace(fast=True), []
    _graph.forget()
    yield
    config.spelling = "adjoint"
    local.trace, local.tapes = Trace(fast=True), []
    _graph.forget()

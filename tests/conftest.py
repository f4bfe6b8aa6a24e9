"""What every test starts from: the adjoint spelling, a fresh trace, no remembered programs of a patched rule."""
from __future__ import annotations

from collections.abc import Iterator

import pytest

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

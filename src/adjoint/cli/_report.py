"""Tracebacks as a program's author wants them: from the program's first frame to the reason."""
from __future__ import annotations

import os
import re
import sys
import traceback
from types import TracebackType
from typing import TextIO

from .._errors import AdjointError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_PRIVATE = re.compile(r"^adjoint\._\w+\.(?=\w+(:|$))", re.MULTILINE)  # adjoint._errors.ShapeError is adjoint.ShapeError
_CELL = re.compile(r'^  File "<In \[(\d+)\]>", line (\d+)', re.MULTILINE)


def own(filename: str) -> bool:
    """Whether a frame's file belongs to adjoint."""
    return filename.startswith(_PACKAGE)


def cell_name(count: int) -> str:
    """The file name under which a notebook's cell is compiled."""
    return f"<In [{count}]>"


def from_program(error: BaseException, filenames: frozenset[str]) -> TracebackType | None:
    """The traceback from the first frame of the program on (None: it has none, as in a syntax error)."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename not in filenames:
        tb = tb.tb_next
    return tb


def text(error: BaseException, filenames: frozenset[str], full: bool = False) -> str:
    """The traceback of ``error`` as text.

    ``filenames`` are those of the program's own code. Frames of what runs it are left out; so are, where adjoint
    raised the error on purpose, the frames inside adjoint that led to it (``full`` keeps those).
    """
    made = traceback.TracebackException(
        type(error), error, error.__traceback__ if full else from_program(error, filenames), compact=True)
    if not full:
        _trim(made, error)
    return _PRIVATE.sub("adjoint.", _CELL.sub(r"  In [\1], line \2", "".join(made.format())))


def _trim(made: traceback.TracebackException, error: BaseException | None) -> None:
    """Leave out the last frames of a deliberate error that are inside adjoint, down the chain of causes."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, (AdjointError, AttributeError, ImportError)):
            stack = made.stack
            if not all(own(frame.filename) for frame in stack):
                while stack and (own(stack[-1].filename) or stack[-1].filename.startswith("<frozen importlib")):
                    stack.pop()
        below, other = made.__cause__, error.__cause__
        if below is None:
            below, other = made.__context__, error.__context__
        if below is None:
            return
        if below is made.__context__ and all(own(frame.filename) for frame in below.stack):
            made.__context__ = None                      # how adjoint noticed is no concern of the program's
            return
        made, error = below, other


def line_in(error: BaseException, filename: str) -> int | None:
    """The line of ``filename`` where ``error`` passed through or, for a syntax error, stands."""
    if isinstance(error, SyntaxError) and error.filename == filename:
        return error.lineno
    line, tb = None, error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == filename:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line


def reason(error: BaseException) -> str:
    """The last line of a traceback: the class and its text."""
    said = traceback.format_exception_only(type(error), error)
    last = next((s for s in reversed(said) if not s.startswith("  ")), repr(error))
    if isinstance(error, SyntaxError) and type(error).__name__.startswith("_"):
        last = last.replace(type(error).__name__, "SyntaxError", 1)    # Python's own name for input that goes on
    return _PRIVATE.sub("adjoint.", last.strip())


def say(message: str, stream: TextIO | None = None) -> None:
    """One line to the person at the command line."""
    print(f"adjoint: {message}", file=stream or sys.stderr, flush=True)

"""What a notebook's run shows while it goes: rich in a terminal, the bare outputs in a pipe."""
from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Protocol


class Screen(Protocol):
    """Shows cells and their outputs as they come."""

    def markdown(self, source: str) -> None: ...
    def code(self, count: int, source: str) -> None: ...
    def stream(self, name: str, text: str) -> None: ...
    def display(self, data: dict[str, Any]) -> None: ...
    def result(self, count: int, data: dict[str, Any]) -> None: ...
    def error(self, text: str) -> None: ...
    def end(self, text: str) -> None: ...


class Quiet:
    """Shows errors only."""

    def __init__(self) -> None:
        self._err = sys.stderr

    def markdown(self, source: str) -> None: ...
    def code(self, count: int, source: str) -> None: ...
    def stream(self, name: str, text: str) -> None: ...
    def display(self, data: dict[str, Any]) -> None: ...
    def result(self, count: int, data: dict[str, Any]) -> None: ...
    def end(self, text: str) -> None: ...

    def error(self, text: str) -> None:
        self._err.write(text)
        self._err.flush()


class Plain:
    """Outputs as they are; a cell's value after ``Out[n]:``."""

    def __init__(self) -> None:
        self._out, self._err = sys.stdout, sys.stderr
        self._open = False                               # whether the last line shown has no end yet

    def markdown(self, source: str) -> None: ...

    def code(self, count: int, source: str) -> None:
        self._close()

    def stream(self, name: str, text: str) -> None:
        to = self._err if name == "stderr" else self._out
        to.write(text)
        to.flush()
        if name == "stdout":
            self._open = not text.endswith("\n")

    def display(self, data: dict[str, Any]) -> None:
        self._line(plain_text(data))

    def result(self, count: int, data: dict[str, Any]) -> None:
        text = plain_text(data)
        self._line(f"Out[{count}]:{chr(10) if chr(10) in text else ' '}{text}")

    def error(self, text: str) -> None:
        self._close()
        self._err.write(text)
        self._err.flush()

    def end(self, text: str) -> None: ...

    def _line(self, text: str) -> None:
        self._close()
        self._out.write(text + "\n")
        self._out.flush()

    def _close(self) -> None:
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False


def plain_text(data: dict[str, Any]) -> str:
    """The text of an output, with a word on a picture that a terminal can't show."""
    text = data.get("text/plain") or data.get("text/markdown") or data.get("text/latex")
    if text is None:
        return f"<{', '.join(sorted(data))}>"
    return "".join(text) if isinstance(text, list) else str(text)


def screen(quiet: bool) -> Screen:
    """The screen for where standard output goes."""
    if quiet:
        return Quiet()
    if not sys.stdout.isatty() or os.environ.get("TERM") == "dumb":
        return Plain()
    return importlib.import_module("adjoint.cli._rich").Rich()  # type: ignore[no-any-return]

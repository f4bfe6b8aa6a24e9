"""Running a notebook cell by cell, recording its outputs, writing it whole or not at all."""
from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import nbformat
from nbformat.v4 import new_output

from .._errors import AdjointError
from . import _report
from ._screen import Screen, screen
from ._script import Around, as_program, exit_status
from ._shell import Shell, shell_for


class Record:
    """The outputs of the running cell: shown as they come and kept for the notebook."""

    def __init__(self, show: Screen) -> None:
        self.show = show
        self.outputs: list[Any] = []
        self._named: dict[str, list[Any]] = {}           # display_id -> outputs made under it
        self._waiting = False

    def begin(self) -> list[Any]:
        self.outputs, self._waiting = [], False
        return self.outputs

    def stream(self, name: str, text: str) -> None:
        self._make_room()
        last = self.outputs[-1] if self.outputs else None
        if last is not None and last.output_type == "stream" and last.name == name:
            last.text.append(text)
        else:
            self.outputs.append(new_output("stream", name=name, text=[text]))
        self.show.stream(name, text)

    def display(self, data: dict[str, Any], metadata: dict[str, Any], name: str | None, update: bool) -> None:
        data = storable(data)
        if update:
            for output in self._named.get(name or "", ()):
                output.data, output.metadata = data, metadata
        else:
            self._make_room()
            output = new_output("display_data", data=data, metadata=metadata)
            self.outputs.append(output)
            if name:
                self._named.setdefault(name, []).append(output)
        self.show.display(data)

    def result(self, count: int, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        self._make_room()
        data = storable(data)
        self.outputs.append(new_output("execute_result", data=data, metadata=metadata, execution_count=count))
        self.show.result(count, data)

    def error(self, error: BaseException, text: str) -> None:
        self.outputs.append(new_output(
            "error", ename=type(error).__name__, evalue=str(error), traceback=text.rstrip("\n").split("\n")))

    def clear(self, wait: bool) -> None:
        self._waiting = wait
        if not wait:
            self.outputs.clear()

    def _make_room(self) -> None:
        if self._waiting:
            self.outputs.clear()
            self._waiting = False


def storable(data: dict[str, Any]) -> dict[str, Any]:
    """Output data as a notebook holds it: pictures in base64, everything else text or JSON."""
    kept = {}
    for kind, value in data.items():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode("ascii")
        elif not isinstance(value, str):
            try:
                value = json.loads(json.dumps(value, default=str))
            except (TypeError, ValueError):
                value = str(value)
        kept[kind] = value
    return kept


def settled(text: str) -> str:
    """Text with its carriage returns carried out, so that a progress bar is kept as its last state."""
    if "\r" not in text:
        return text
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part):]
        lines.append(shown)
    return "\n".join(lines)


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM, which time limits of batch systems send)."""


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Have SIGTERM end the running cell, so that what was executed can still be written."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def ended(error: KeyboardInterrupt, where: str) -> tuple[str, int]:
    """The line to show after an interrupt and the exit status."""
    if isinstance(error, Terminated):
        return f"adjoint: terminated in {where}\n", 143
    return f"adjoint: interrupted in {where}\n", 130


class Unreadable(Exception):
    """A notebook that cannot be run; the text says why."""


def read(path: str) -> Any:
    """The notebook at ``path``, in the format's fourth version, without outputs."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            source = file.read()
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise Unreadable(f"{path} is not a notebook: it is not UTF-8 text") from None
    try:
        raw = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path} is not a notebook: not JSON ({error})") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("nbformat"), int):
        raise Unreadable(f"{path} is not a notebook: JSON without 'nbformat'")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")              # old notebooks lack cell ids: they get them
            book = nbformat.reads(source, as_version=4)
            nbformat.validate(book)
    except Exception as error:
        first = str(error).strip().split("\n")[0]
        raise Unreadable(f"{path} is not a valid notebook: {first}") from None
    language = book.metadata.get("kernelspec", {}).get("language") or book.metadata.get("language_info", {}).get("name")
    if language and language.lower() not in ("python", "ipython", "python3"):
        raise Unreadable(f"{path} is a notebook in {language}, not in Python")
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return book


def write(book: Any, path: str) -> None:
    """Write the notebook so that at ``path`` stands the old file or the whole new one."""
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            if output.output_type == "stream":
                output.text = settled("".join(output.text))
    text = nbformat.writes(book)
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else text + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        raise


def run_notebook(path: str, argv: list[str], output: str | None, quiet: bool, full: bool,
                 around: Around = contextlib.nullcontext) -> int:
    """Run the notebook, each cell inside the context manager that ``around`` makes, and return the exit status."""
    try:
        book = read(path)
    except Unreadable as error:
        _report.say(str(error))
        return 2
    if output is not None:
        output = os.path.abspath(output)
        folder = os.path.dirname(output)
        wrong = ("is a folder" if os.path.isdir(output) else f"cannot be written: there is no folder {folder}"
                 if not os.path.isdir(folder) else f"cannot be written: no permission in {folder}"
                 if not os.access(folder, os.W_OK) else "")
        if wrong:
            _report.say(f"--output {output} {wrong}")
            return 2
    given, path = path, os.path.abspath(path)
    show = screen(quiet)
    start = time.perf_counter()
    status = 1
    try:
        with as_program([given, *argv], os.path.dirname(path), None), inside(os.path.dirname(path)), terminating():
            status = _run(book, given, show, full, around)
    except KeyboardInterrupt as error:                   # between two cells
        text, status = ended(error, given)
        show.error(text)
    finally:
        if output is not None:
            try:
                write(book, output)
            except OSError as error:
                _report.say(f"cannot write {output}: {error.strerror or error}")
                status = status or 1
    if status == 0:
        cells = sum(cell.cell_type == "code" for cell in book.cells)
        written = f", written to {output}" if output else ""
        show.end(f"{given}: {cells} cells in {time.perf_counter() - start:.2f} s{written}")
    return status


@contextlib.contextmanager
def inside(folder: str) -> Iterator[None]:
    """Work in ``folder``, as a notebook does in its own."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.chdir(before)


def _run(book: Any, name: str, show: Screen, full: bool, around: Around) -> int:
    record = Record(show)
    with shell_for(record) as shell:
        for number, cell in enumerate(book.cells, 1):
            source = "".join(cell.source)
            if cell.cell_type == "markdown":
                show.markdown(source)
            if cell.cell_type != "code" or not source.strip():
                continue
            count = cell.execution_count = shell.execution_count
            show.code(count, source)
            cell.outputs = record.begin()
            where = f"{name}: In [{count}] (cell {number} of {len(book.cells)})"
            status = _run_cell(shell, record, cell, source, count, where, full, around)
            if status is not None:
                return status
    return 0


def _run_cell(shell: Shell, record: Record, cell: Any, source: str, count: int, where: str, full: bool,
              around: Around) -> int | None:
    """Run one cell: None to go on, or the status to end with."""
    error: Any = None
    try:
        with around():
            result = shell.run_cell(source, store_history=True)
            error = result.error_before_exec or result.error_in_exec
    except AdjointError as late:                         # of what the cell had left pending
        error = error or late
    if error is None:
        return 0 if shell.leaving else None
    if isinstance(error, SystemExit):
        status = exit_status(error)
        if status:
            record.show.error(f"adjoint: {where} ended the program with status {status}\n")
        return status
    names = frozenset(_report.cell_name(n) for n in range(1, count + 1))
    text = _report.text(error, names, full)
    record.error(error, text)
    line = _report.line_in(error, _report.cell_name(count))
    where += f", line {line}" if line else ""
    if isinstance(error, KeyboardInterrupt):
        text, status = ended(error, where)
        record.show.error(text)
        return status
    if "raises-exception" in cell.metadata.get("tags", ()):
        record.show.stream("stderr", text)
        return None
    record.show.error(f"{text}adjoint: {where}: {_report.reason(error)}\n")
    return 1


__all__ = ["run_notebook"]

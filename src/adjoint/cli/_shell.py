"""IPython's shell with its outputs led into a record instead of the terminal."""
from __future__ import annotations

import builtins
import contextlib
import io
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Any as AnyTrait
from traitlets.config import Config

from . import _report

INLINE = "module://matplotlib_inline.backend_inline"


class Compiler(CachingCompiler):
    """Names the code of a cell by its number, so that tracebacks and tapes can speak of it."""

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return _report.cell_name(number)


class Publisher(DisplayPublisher):
    """What ``display(...)`` and figures publish."""

    record: Any = AnyTrait()

    def publish(self, data: Any, metadata: Any = None, *args: Any, transient: Any = None, update: bool = False,
                **kwargs: Any) -> None:
        self.record.display(data, metadata or {}, (transient or {}).get("display_id"), update)

    def clear_output(self, wait: bool = False) -> None:
        self.record.clear(wait)


class Hook(DisplayHook):
    """The value of a cell's last expression."""

    record: Any = AnyTrait()

    def write_output_prompt(self) -> None:
        """Nothing: the number goes with the data."""

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.record.result(self.prompt_count, format_dict, md_dict or {})

    def finish_displayhook(self) -> None:
        self._is_active = False


class Shell(InteractiveShell):
    """A shell that runs cells and reports nothing by itself."""

    compiler_class = Compiler
    leaving = False

    def ask_exit(self) -> None:
        """What ``exit`` and ``quit`` in a cell call."""
        self.leaving = True

    def transform_cell(self, raw_cell: str) -> str:
        """IPython leaves out empty lines at the start; they are put back, so that line numbers are the cell's."""
        start = len(raw_cell) - len(raw_cell.lstrip())
        return "\n" * raw_cell.count("\n", 0, start) + super().transform_cell(raw_cell)

    def showtraceback(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the error is in the cell's result."""

    showsyntaxerror = showindentationerror = showtraceback  # type: ignore[assignment]

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing: there is no event loop to join."""


class Stream(io.TextIOBase):
    """sys.stdout or sys.stderr of a cell."""

    def __init__(self, name: str, under: Any, write: Callable[[str, str], None]) -> None:
        self._name, self._under, self._write = name, under, write
        self.buffer = Bytes(self)

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._write(self._name, text)
        return len(text)

    def fileno(self) -> int:
        return self._under.fileno()  # type: ignore[no-any-return]

    def flush(self) -> None:
        with contextlib.suppress(ValueError, OSError):
            self._under.flush()


class Bytes(io.RawIOBase):
    """The binary side of a Stream."""

    def __init__(self, text: Stream) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


@contextlib.contextmanager
def shell_for(record: Any) -> Iterator[Shell]:
    """A shell whose outputs go to ``record``: IPython's own folders, history and a running shell are left alone."""
    before = InteractiveShell._instance
    if before is not None:
        type(before).clear_instance()
    saved = {"MPLBACKEND": os.environ.get("MPLBACKEND")}
    hooks = sys.excepthook, sys.displayhook, sys.modules.get("__main__")
    last = vars(builtins).pop("_", None)                 # a plain prompt's last result would hide the notebook's
    os.environ["MPLBACKEND"] = INLINE                    # taken up when the notebook imports matplotlib
    loaded = sys.modules.get("matplotlib")
    backend = loaded.get_backend() if loaded is not None else None
    with tempfile.TemporaryDirectory(prefix="adjoint-") as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "To exit: use", UserWarning)
        config = Config()
        config.HistoryManager.enabled = False
        shell = Shell.instance(config=config, ipython_dir=folder, colors="nocolor")
        shell.display_pub = Publisher(shell=shell, record=record)
        shell.displayhook = Hook(shell=shell, record=record)
        shell.display_trap.hook = shell.displayhook
        if loaded is not None:
            shell.enable_matplotlib("inline")
        streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (Stream(name, under, record.stream) for name, under in zip(
            ("stdout", "stderr"), streams))
        try:
            yield shell
        finally:
            sys.stdout, sys.stderr = streams
            Shell.clear_instance()
            shell.restore_sys_module_state()
            sys.excepthook, sys.displayhook = hooks[:2]
            if last is not None:
                vars(builtins)["_"] = last
            if hooks[2] is not None:
                sys.modules["__main__"] = hooks[2]
            _set_environment(saved)
            _leave_matplotlib(shell, backend)
            if before is not None:
                for each in type(before)._walk_mro():
                    each._instance = before


def _leave_matplotlib(shell: Shell, backend: str | None) -> None:
    """Put matplotlib's backend and settings back, if a cell or the caller has it loaded."""
    inline, matplotlib = sys.modules.get("matplotlib_inline.backend_inline"), sys.modules.get("matplotlib")
    if inline is not None and hasattr(shell, "_saved_rcParams"):
        inline.configure_inline_support(shell, "agg")
    if matplotlib is not None:
        matplotlib.use(backend or "agg")


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

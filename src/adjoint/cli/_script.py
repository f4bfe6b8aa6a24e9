"""Running a script as ``python SCRIPT ARGS`` does."""
from __future__ import annotations

import builtins
import contextlib
import io
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator

from . import _report

Around = Callable[[], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def as_program(argv: list[str], folder: str, main: types.ModuleType | None) -> Iterator[None]:
    """sys.argv, sys.path and __main__ as a program sees them; put back afterwards."""
    before = sys.argv, sys.path[:], sys.modules.get("__main__")
    sys.argv = argv
    sys.path.insert(0, folder)
    if main is not None:
        sys.modules["__main__"] = main
    try:
        yield
    finally:
        sys.argv, sys.path[:] = before[0], before[1]
        if before[2] is not None:
            sys.modules["__main__"] = before[2]


def run_script(path: str, argv: list[str], full: bool, around: Around = contextlib.nullcontext) -> int:
    """Run the script, inside the context manager that ``around`` makes, and return the exit status."""
    given, path = path, os.path.abspath(path)
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        _report.say(f"cannot read {given}: {error.strerror or error}")
        return 2
    main = types.ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=builtins, __cached__=None)
    hook = sys.excepthook
    with as_program([given, *argv], os.path.dirname(os.path.realpath(path)), main):
        threads = set(threading.enumerate())
        try:
            code = compile(source, path, "exec", dont_inherit=True)
            with around():
                exec(code, main.__dict__)
                _join(threads)
            return 0
        except SystemExit as error:
            return exit_status(error)
        except KeyboardInterrupt as error:
            line = _report.line_in(error, path)
            _report.say(f"interrupted at {path}:{line}" if line else f"{path}: interrupted")
            return 130
        except BaseException as error:
            flush()
            if sys.excepthook is not hook:               # the script has put in its own
                tb = _report.from_program(error, frozenset({path}))
                sys.excepthook(type(error), error.with_traceback(tb), tb)
            else:
                sys.stderr.write(_report.text(error, frozenset({path}), full))
                sys.stderr.flush()
            return 1
        finally:
            sys.excepthook = hook


def _join(before: set[threading.Thread]) -> None:
    """Wait, as Python does at its end, for the threads that the program leaves behind."""
    for thread in threading.enumerate():
        if thread not in before and not thread.daemon:
            thread.join()


def exit_status(error: SystemExit) -> int:
    """The status that ``sys.exit(error.code)`` asks for; a text is printed and means 1."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code
    flush()
    print(error.code, file=sys.stderr, flush=True)
    return 1


def flush() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()

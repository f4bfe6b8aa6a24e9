"""Arguments, and what is wrong with them."""
from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
from typing import Any

from .._config import config
from .._version import __version__
from . import _report
from ._info import info
from ._names import answering
from ._script import run_script

_EXAMPLES = """\
examples:
  adjoint run train.py --epochs 5           a script, with its own arguments
  adjoint run notebook.ipynb                a notebook; its outputs are shown as they come
  adjoint run notebook.ipynb --output done.ipynb
                                            the same, and the executed notebook is written
  adjoint info                              versions, engine and threads, for a report

Inside a run, `import tensorflow as tf` is answered by adjoint; a TensorFlow that is installed is left alone.
"""

_RUN = """\
Runs a TensorFlow 2 gradient-tape program as it is. Inside the run `import tensorflow`, and every import below it, is
answered by adjoint.tensorflow; outside nothing changes.

A notebook runs in its own folder, a script where you are. Arguments after a script are the script's own. A notebook's
options may stand before or after it; its other arguments are its sys.argv.

exit status:
  0    the program ran to its end (or the status it left with)
  1    it raised an exception: its line and the reason are shown; a notebook's --output holds what was executed
  2    there is no such program, or it can't be read
  130  it was interrupted (143: terminated); a notebook's --output is written then too
"""


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="adjoint", description="A gradient tape for Python. Runs TensorFlow 2 tape programs without TensorFlow.",
        epilog=_EXAMPLES, formatter_class=plain)
    parser.add_argument("--version", action="version", version=f"adjoint {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    run = commands.add_parser("run", help="run a script (.py) or a notebook (.ipynb)", description=_RUN,
                              epilog=_EXAMPLES, formatter_class=plain)
    _options(run)
    run.add_argument("program", metavar="PROGRAM", help="a script (.py) or a notebook (.ipynb)")
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="the program's own arguments")
    commands.add_parser("info", help="print versions, engine and threads")
    return parser


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="OUT.ipynb", help="write the executed notebook there (also one that fails)")
    parser.add_argument("--quiet", action="store_true", default=None, help="show no outputs of a notebook, only errors")
    parser.add_argument("--engine", choices=("auto", "numpy", "llvm"), help="which engine computes (default: auto)")
    parser.add_argument("--full-traceback", action="store_true", default=None,
                        help="keep the frames inside adjoint in a traceback")


def main(argv: list[str] | None = None) -> int:
    """The command ``adjoint``; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        if options.command == "info":
            print(info(__version__), flush=True)
            return 0
        if options.command == "run":
            status = _run(options)
            sys.stdout.flush()
            return status
        parser.print_help(sys.stderr)
        return 2
    except KeyboardInterrupt:                            # before the program began or after it ended
        _report.say("interrupted")
        return 130
    except BrokenPipeError:                              # the reader of a pipe has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _run(options: Any) -> int:
    program = options.program
    notebook = program.endswith(".ipynb")
    if notebook:
        late = argparse.ArgumentParser(prog=f"adjoint run {program}", add_help=False, allow_abbrev=False)
        _options(late)
        options, options.args = late.parse_known_args(options.args, options)
    wrong = _wrong(program)
    if not wrong and options.output and not notebook:
        wrong = f"--output is for notebooks, and {program} is none"
    if wrong:
        _report.say(wrong)
        return 2
    engine = config.engine
    if options.engine:
        config.engine = options.engine
    try:
        with answering():
            if not notebook:
                return run_script(program, options.args, bool(options.full_traceback))
            missing = [name for name in _needed() if importlib.util.find_spec(name) is None]
            if missing:
                _report.say(f"running a notebook needs {' and '.join(missing)}: pip install 'adjoint[run]'")
                return 2
            run_notebook = importlib.import_module("adjoint.cli._notebook").run_notebook
            return run_notebook(  # type: ignore[no-any-return]
                program, options.args, options.output, bool(options.quiet), bool(options.full_traceback))
    finally:
        config.engine = engine


def _needed() -> tuple[str, ...]:
    return ("IPython", "nbformat", "rich") if sys.stdout.isatty() else ("IPython", "nbformat")


def _wrong(program: str) -> str:
    """What keeps ``program`` from being run, or nothing."""
    if os.path.isdir(program):
        return f"{program} is a folder, not a program"
    if not os.path.exists(program):
        return f"there is no file {program}"
    if not program.endswith((".py", ".ipynb")):
        return f"{program} is neither a script (.py) nor a notebook (.ipynb)"
    return ""

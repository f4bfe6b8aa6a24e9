"""Arguments, and what is wrong with them."""
from __future__ import annotations

import argparse
import contextlib
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
from ._script import Around, run_script

_EXAMPLES = """\
examples:
  adjoint run train.py --epochs 5           a script, with its own arguments
  adjoint run notebook.ipynb                a notebook; its outputs are shown as they come
  adjoint run notebook.ipynb --output done.ipynb
                                            the same, and the executed notebook is written
  adjoint run --anomaly train.py            the same, stopped at the first NaN or infinity
  adjoint explain train.py                  why its last gradients are what they are
  adjoint draw train.py --output tape.html  what its last tape recorded
  adjoint check train.py                    its last gradient against differences, and likely mistakes
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


_ANSWER = """\
Runs the program as `adjoint run` does, its output on standard error, and then {does} on standard output.

{more}

Options may stand before or right after PROGRAM; what follows them (or follows --) are a script's own arguments.

exit status:
  0    it was answered{good}
  1    {bad}the program raised an exception, or there is nothing to answer about
  2    there is no such program, or it can't be read
"""

_ANSWERS = {
    "explain": ("say for each source of a program's last gradient its path, or why it is None", _ANSWER.format(
        does="explains its last gradient", good="", bad="", more=(
            "For each source of the last tape.gradient call: the operations from source to target with their lines or, for\n"
            "None, the cause, the line and the remedy. A program that stops with an error is explained all the same."))),
    "draw": ("draw what a program's last tape recorded", _ANSWER.format(
        does="draws its last tape", good="", bad="", more=(
            "--output names the picture: x.html is a page that steps through the computation with the arrow keys, x.svg and\n"
            "x.png are pictures."))),
    "check": ("compare a program's last gradient with differences", _ANSWER.format(
        does="checks its last gradient", good=", and the gradient is right",
        bad="the gradient is wrong, None or not finite; or ", more=(
            "What the tape recorded is computed again in float64 and its differences are compared with the gradient that the\n"
            "program got. Gradients of None are explained, a NaN is followed to where it began, and what looks like a mistake\n"
            "is named, which does not change the exit status."))),
}


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="adjoint", description="A gradient tape for Python. Runs TensorFlow 2 tape programs without TensorFlow.",
        epilog=_EXAMPLES, formatter_class=plain)
    parser.add_argument("--version", action="version", version=f"adjoint {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (line, text) in {"run": ("run a script (.py) or a notebook (.ipynb)", _RUN), **_ANSWERS}.items():
        command = commands.add_parser(name, help=line, description=text, epilog=_EXAMPLES, formatter_class=plain)
        _options(command, name)
        command.add_argument("program", metavar="PROGRAM", help="a script (.py) or a notebook (.ipynb)")
        command.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="the program's own arguments")
    commands.add_parser("info", help="print versions, engine and threads")
    return parser


def _options(parser: argparse.ArgumentParser, command: str) -> None:
    if command == "run":
        parser.add_argument("--output", metavar="OUT.ipynb", help="write the executed notebook there (also one that fails)")
        parser.add_argument("--quiet", action="store_true", default=None, help="show no outputs of a notebook, only errors")
        parser.add_argument("--anomaly", action="store_true", default=None,
                            help="stop at the first operation whose result is not finite while its inputs are")
    if command == "draw":
        parser.add_argument("--output", metavar="TAPE.html", default="tape.html",
                            help="where the drawing goes: .html, .svg or .png (default: tape.html)")
    parser.add_argument("--engine", choices=("auto", "numpy", "llvm"), help="which engine computes (default: auto)")
    parser.add_argument("--full-traceback", action="store_true", default=None,
                        help="keep the frames inside adjoint in a traceback")


def main(argv: list[str] | None = None) -> int:
    """The command ``adjoint``; returns the exit status."""
    parser = _parser()
    argv = sys.argv[1:] if argv is None else argv
    rest: list[str] = []
    if argv[:1] and argv[0] in _ANSWERS and "--" in argv:     # argparse would swallow it
        argv, rest = argv[:argv.index("--")], argv[argv.index("--"):]
    options = parser.parse_args(argv)
    options.rest = rest
    try:
        if options.command == "info":
            print(info(__version__), flush=True)
            return 0
        if options.command is not None:
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
    program, command = options.program, options.command
    notebook = program.endswith(".ipynb")
    late = argparse.ArgumentParser(prog=f"adjoint {command} {program}", add_help=False, allow_abbrev=False)
    _options(late, command)
    if notebook:
        options, options.args = late.parse_known_args(options.args, options)
        options.args += options.rest[1:]
    elif command != "run":                               # a script's own arguments begin with the first that is not ours
        own = _leading(late, options.args)
        options = late.parse_args(options.args[:own], options)
        options.args = [*options.args[own:], *options.rest[own == len(options.args):]]
    wrong = _wrong(program)
    if not wrong and command == "run" and options.output and not notebook:
        wrong = f"--output is for notebooks, and {program} is none"
    if not wrong and command == "draw":
        wrong = _wrong_picture(options.output)
    if wrong:
        _report.say(wrong)
        return 2
    engine = config.engine
    if options.engine:
        config.engine = options.engine
    try:
        with answering():
            if notebook:
                missing = [name for name in _needed() if importlib.util.find_spec(name) is None]
                if missing:
                    _report.say(f"running a notebook needs {' and '.join(missing)}: pip install 'adjoint[run]'")
                    return 2
            if command != "run":
                return _answer(options, notebook)
            status = _start(options, notebook)
            if options.anomaly and not status:
                _report.say("every operation that was computed gave finite results")
            return status
    finally:
        config.engine = engine


def _start(options: Any, notebook: bool) -> int:
    full = bool(options.full_traceback)
    around: Around = contextlib.nullcontext
    output, quiet = None, False
    if options.command == "run":
        output, quiet = options.output, bool(options.quiet)
        if options.anomaly:
            around = importlib.import_module("adjoint.inspect").anomaly
    if not notebook:
        return run_script(options.program, options.args, full, around)
    run_notebook = importlib.import_module("adjoint.cli._notebook").run_notebook
    return run_notebook(options.program, options.args, output, quiet, full, around)  # type: ignore[no-any-return]


def _answer(options: Any, notebook: bool) -> int:
    answers = importlib.import_module("adjoint.cli._answers")
    with importlib.import_module("adjoint.cli._watch").watching() as watch, contextlib.redirect_stdout(sys.stderr):
        status = _start(options, notebook)
    if status in (2, 130, 143) or (status and watch.line is None and watch.latest is None):
        return status                                    # nothing ran far enough to be told of
    answer = {"explain": answers.explained, "draw": lambda w: answers.drawn(w, options.output), "check": answers.checked}
    return answer[options.command](watch) or status  # type: ignore[no-any-return]


def _leading(parser: argparse.ArgumentParser, args: list[str]) -> int:
    """How many of the arguments are options of ours, before the first that is not."""
    with_value = {name for action in parser._actions if action.nargs != 0 for name in action.option_strings}
    known = {name for action in parser._actions for name in action.option_strings}
    k = 0
    while k < len(args) and args[k].partition("=")[0] in known:
        k += 2 if args[k] in with_value else 1
    return min(k, len(args))


def _wrong_picture(path: str) -> str:
    """What keeps a picture from being written to ``path``, or nothing."""
    if not path.lower().endswith((".html", ".htm", ".svg", ".png")):
        return f"--output {path}: a drawing is .html, .svg or .png"
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        return f"--output {path} cannot be written: there is no folder {folder}"
    return ""


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

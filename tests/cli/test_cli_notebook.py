"""``adjoint run NOTEBOOK``."""
import json
import os
import select
import signal
import subprocess
import sys
import time

import nbformat
import pytest

from adjoint.cli import _main
from adjoint.cli._notebook import settled


def outputs(path):
    made = nbformat.read(path, 4)
    nbformat.validate(made)
    return [(cell.execution_count, [dict(o) for o in cell.outputs]) for cell in made.cells if cell.cell_type == "code"]


def test_outputs_shown_and_written(book, run, tmp_path):
    path = book("md:# Title", "import sys\nprint('to out')\nprint('to err', file=sys.stderr)", "", "40 + 2",
                "x = 1", "'a\\nb'\nprint(_)")
    out_path = str(tmp_path / "done.ipynb")
    status, out, err = run("run", path, "--output", out_path)
    assert (status, out, err) == (0, "to out\nOut[2]: 42\n42\n", "to err\n")
    first, empty, value, nothing, last = outputs(out_path)
    assert first == (1, [{"output_type": "stream", "name": "stdout", "text": "to out\n"},
                         {"output_type": "stream", "name": "stderr", "text": "to err\n"}])
    assert empty == (None, [])
    assert value == (2, [{"output_type": "execute_result", "data": {"text/plain": "42"}, "metadata": {},
                          "execution_count": 2}])
    assert nothing == (3, [])
    assert last[0] == 4
    assert [f for f in os.listdir(tmp_path) if f.endswith(".tmp")] == []
    assert json.loads((tmp_path / "book.ipynb").read_text())["cells"][1]["execution_count"] == 99


def test_tensorflow_cells(book, run):
    path = book("import tensorflow as tf\nfrom tensorflow import keras", "tf.constant(2.)", "print(tf.constant(3.))")
    assert run("run", path)[1] == ("Out[2]: <tf.Tensor: shape=(), dtype=float32, numpy=2.0>\n"
                                   "tf.Tensor(3.0, shape=(), dtype=float32)\n")


def test_an_exception_ends_it_and_all_before_is_written(book, run, tmp_path):
    path = book("def f(x):\n    return 1 / x", "print('before')\nf(0)", "print('never')")
    out_path = str(tmp_path / "done.ipynb")
    status, out, err = run("run", "--output", out_path, path)
    assert (status, out) == (1, "before\n")
    lines = err.splitlines()
    assert lines[:3] == ["Traceback (most recent call last):", "  In [2], line 2, in <module>", "    f(0)"]
    assert lines[-1] == f"adjoint: {path}: In [2] (cell 2 of 3), line 2: ZeroDivisionError: division by zero"
    assert "site-packages" not in err
    first, second, third = outputs(out_path)
    assert first == (1, [])
    assert second[0] == 2
    assert second[1][0]["text"] == "before\n"
    assert second[1][1]["output_type"] == "error"
    assert (second[1][1]["ename"], second[1][1]["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert second[1][1]["traceback"][-1] == "ZeroDivisionError: division by zero"
    assert third == (None, [])


@pytest.mark.parametrize(("cell", "line", "says"), [
    ("x = 1\ny = (", 2, "SyntaxError"), ("\nif x:\nprint()", 3, "IndentationError"), ("\n\nundefined", 3, "NameError"),
    ("%nonsense", None, "UsageError"),
    ("import adjoint as ad\nad.zeros((2,)) + ad.zeros((3,))", 2, "adjoint.ShapeError: add"),
])
def test_the_line_and_the_reason(book, run, cell, line, says):
    status, _, err = run("run", book("1;", cell))
    assert status == 1
    last = err.splitlines()[-1]
    assert says in last
    assert "In [2] (cell 2 of 2)" in last
    if line:
        assert f", line {line}: " in last


def test_an_expected_exception_goes_on(book, run):
    path = book("1 / 0", "print('on')", c0={"tags": ["raises-exception"]})
    status, out, err = run("run", path)
    assert (status, out) == (0, "on\n")
    assert "ZeroDivisionError" in err


@pytest.mark.parametrize(("cell", "expected"), [
    ("import sys; sys.exit(3)", 3), ("raise SystemExit", 0), ("exit", 0), ("quit()", 0),
])
def test_a_program_that_exits(book, run, tmp_path, cell, expected):
    out_path = str(tmp_path / "done.ipynb")
    status, out, err = run("run", book("print('one')", cell, "print('three')"), "--output", out_path)
    assert (status, out) == (expected, "one\n")
    assert err.count("\n") == (expected != 0)
    assert [count for count, _ in outputs(out_path)] == [1, 2, None]


def test_displays(book, run, tmp_path):
    path = book("from IPython.display import Markdown, clear_output\nh = display(Markdown('**one**'), display_id=True)",
                "h.update(Markdown('**two**'))", "print('gone')\nclear_output(wait=True)\nprint('kept')",
                "print('\\r 10%', end='')\nprint('\\r100%')", "!echo from the shell")
    out_path = str(tmp_path / "done.ipynb")
    assert run("run", "--quiet", path, "--output", out_path) == (0, "", "")
    one, update, cleared, bar, shell = (o for _, o in outputs(out_path))
    assert one[0]["output_type"] == "display_data"
    assert one[0]["data"]["text/markdown"] == "**two**"
    assert update == []
    assert [o["text"] for o in cleared] == ["kept\n"]
    assert [o["text"] for o in bar] == ["100%\n"]
    assert [o["text"] for o in shell] == ["from the shell\n"]


def test_figures_are_kept_as_pictures(book, run, tmp_path):
    pytest.importorskip("matplotlib")
    out_path = str(tmp_path / "done.ipynb")
    status, out, _ = run("run", book("import matplotlib.pyplot as plt\nplt.plot([1, 2]);"), "--output", out_path)
    assert status == 0
    assert "Figure" in out
    (_, [figure]), = outputs(out_path)
    assert figure["output_type"] == "display_data"
    assert figure["data"]["image/png"].startswith("iVBOR")


def test_any_output_can_be_kept(book, run, tmp_path):
    path = book("class Drawn:\n    def _repr_png_(self):\n        return b'not a picture'\nDrawn()",
                "display({'application/json': {1: {2, 3}}, 'text/plain': 'x'}, raw=True)")
    out_path = str(tmp_path / "done.ipynb")
    assert run("run", path, "--output", out_path)[0] == 0
    (_, [drawn]), (_, [mixed]) = outputs(out_path)
    assert drawn["data"]["image/png"] == "bm90IGEgcGljdHVyZQ=="
    assert mixed["data"]["application/json"] == {"1": "{2, 3}"}


def test_the_program_around_it(book, run, tmp_path):
    (tmp_path / "beside.py").write_text("there = 'beside'\n")
    path = book("import sys, os, beside\nprint(sys.argv[1:], os.path.basename(os.getcwd()), beside.there, __name__)",
                "import asyncio\nawait asyncio.sleep(0)", "get_ipython() is not None")
    status, out, _ = run("run", path, "a", "--quick")
    assert status == 0
    assert out == f"['a', '--quick'] {tmp_path.name} beside __main__\nOut[3]: True\n"


@pytest.mark.parametrize("where", ["absent/done.ipynb", "."])
def test_an_output_that_cannot_be_written_is_told_before_the_run(book, run, tmp_path, where):
    status, out, err = run("run", book("print('ran')"), "--output", str(tmp_path / where))
    assert (status, out) == (2, "")
    assert err.startswith("adjoint: --output ")
    assert err.count("\n") == 1


def test_a_failed_write_leaves_the_old_file(book, run, tmp_path, monkeypatch):
    out = tmp_path / "done.ipynb"
    out.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    status, _, err = run("run", book("1"), "--output", str(out))
    assert status == 1
    assert "No space left" in err
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["book.ipynb", "done.ipynb"]


def test_in_place_and_an_old_format(run, tmp_path):
    path = tmp_path / "old.ipynb"
    cell = {"cell_type": "code", "collapsed": False, "input": ["6 * 7"], "language": "python", "metadata": {},
            "outputs": []}
    path.write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""},
                                "worksheets": [{"metadata": {}, "cells": [cell]}]}))
    assert run("run", str(path), "--output", str(path))[:2] == (0, "Out[1]: 42\n")
    assert outputs(path)[0][1][0]["data"] == {"text/plain": "42"}


def test_what_is_not_installed(book, run, monkeypatch):
    find = _main.importlib.util.find_spec
    monkeypatch.setattr(_main.importlib.util, "find_spec", lambda name: None if name == "nbformat" else find(name))
    status, _, err = run("run", book("1"))
    assert (status, err) == (2, "adjoint: running a notebook needs nbformat: pip install 'adjoint[run]'\n")


@pytest.mark.parametrize(("number", "word", "status"), [
    (signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143),
])
def test_interrupt(book, tmp_path, number, word, status):
    out_path = str(tmp_path / "done.ipynb")
    path = book("1", "import time\nprint('ready', flush=True)\ntime.sleep(30)", "print('never')")
    process = subprocess.Popen([sys.executable, "-m", "adjoint", "run", path, "--output", out_path],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "Out[1]: 1\n"
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)                                      # into the sleep
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == status
    assert err == f"adjoint: {word} in {path}: In [2] (cell 2 of 3), line 3\n"
    one, two, three = outputs(out_path)
    assert one[1][0]["data"] == {"text/plain": "1"}
    assert [o["output_type"] for o in two[1]] == ["stream", "error"]
    assert three == (None, [])


def test_terminal_is_rich_and_a_pipe_is_plain(book):
    path = book("md:# Title", "print('text')", "1 + 1", "raise ValueError('why')")
    command = [sys.executable, "-m", "adjoint", "run", path]
    piped = subprocess.run(command, capture_output=True, env={**os.environ, "FORCE_COLOR": "1"})
    assert (piped.returncode, piped.stdout) == (1, b"text\nOut[2]: 2\n")
    assert b"\x1b" not in piped.stderr
    ours, theirs = pytest.importorskip("pty").openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"})
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 20)[0]:
        try:
            block = os.read(ours, 65536)
        except OSError:
            break
        if not block:
            break
        seen += block
    os.close(ours)
    assert process.wait(20) == 1
    assert b"\x1b[" in seen
    assert b"In [1]" in seen
    assert b"Title" in seen
    assert b"ValueError: why" in seen


def test_a_running_ipython_is_left_alone(book, run):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    main = sys.modules["__main__"]
    shell = InteractiveShell.instance(config=config)
    try:
        shell.run_cell("x = 1")
        sys.modules["__main__"] = main
        assert run("run", book("x = 2\nget_ipython().user_ns['x']"))[1] == "Out[1]: 2\n"
        assert InteractiveShell.instance() is shell
        assert shell.user_ns["x"] == 1
    finally:
        InteractiveShell.clear_instance()
        shell.restore_sys_module_state()
        sys.modules["__main__"] = main


def test_carriage_returns():
    assert settled("plain\n") == "plain\n"
    assert settled("a\r\nb\n") == "a\nb\n"
    assert settled("10%\r20%\rabcdefg\rAB\nnext") == "ABcdefg\nnext"

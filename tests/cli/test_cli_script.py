"""``adjoint run SCRIPT``."""
import signal
import subprocess
import sys
import time

import pytest

import adjoint
from adjoint.cli import main


def test_like_python(script, run, tmp_path):
    (tmp_path / "neighbour.py").write_text("there = 'neighbour'\n")
    path = script("import sys, neighbour\n"
                  "print(__name__, sys.argv[1:], neighbour.there, __file__ == sys.argv[0], "
                  "sys.modules['__main__'].__dict__ is globals())\n")
    status, out, err = run("run", path, "a", "--output", "--quiet")
    assert (status, err) == (0, "")
    assert out == "__main__ ['a', '--output', '--quiet'] neighbour True True\n"


def test_tensorflow_program(script, run):
    path = script("import tensorflow as tf\n"
                  "w = tf.Variable(3.0)\n"
                  "with tf.GradientTape() as tape:\n"
                  "    y = w * w\n"
                  "print(tape.gradient(y, w))\n")
    assert run("run", path) == (0, "tf.Tensor(6.0, shape=(), dtype=float32)\n", "")


@pytest.mark.parametrize(("source", "status", "err"), [
    ("raise SystemExit", 0, ""), ("import sys; sys.exit(7)", 7, ""), ("import sys; sys.exit('why')", 1, "why\n"),
    ("exit(0)", 0, ""),
])
def test_exit(script, run, source, status, err):
    assert run("run", script(source)) == (status, "", err)


def test_traceback_starts_in_the_program(script, run):
    path = script("def f(x):\n    return {}[x]\n\nf('key')\n")
    status, _, err = run("run", path)
    assert status == 1
    lines = err.splitlines()
    assert lines[:3] == ["Traceback (most recent call last):", f'  File "{path}", line 4, in <module>', "    f('key')"]
    assert err.splitlines()[-1] == "KeyError: 'key'"
    assert "cli" not in err


def test_traceback_of_adjoint_ends_in_the_program(script, run):
    path = script("import adjoint as ad\na, b = ad.zeros((2,)), ad.zeros((3,))\na + b\n")
    status, _, err = run("run", path)
    assert status == 1
    assert err.splitlines()[1] == f'  File "{path}", line 3, in <module>'
    assert err.splitlines()[-1].startswith("adjoint.ShapeError: add: ")
    assert err.count("File ") == 1
    status, _, err = run("run", "--full-traceback", path)
    assert status == 1
    assert err.count("File ") > 2


def test_the_chain_is_kept(script, run):
    path = script("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('second') from e\n")
    _, _, err = run("run", path)
    assert "ZeroDivisionError: division by zero\n\nThe above exception was the direct cause" in err
    assert err.endswith("ValueError: second\n")


def test_syntax_error(script, run):
    path = script("x = 1\ny = (\n")
    status, _, err = run("run", path)
    assert status == 1
    assert err.startswith(f'  File "{path}", line 2\n')
    assert "SyntaxError" in err.splitlines()[-1]


def test_a_hook_of_the_program_is_used(script, run):
    path = script("import sys\n"
                  "sys.excepthook = lambda kind, value, tb: print('mine', kind.__name__, tb.tb_lineno)\n1 / 0\n")
    assert run("run", path) == (1, "mine ZeroDivisionError 3\n", "")


def test_threads_are_waited_for(script, run):
    path = script("import threading, time\n"
                  "def late():\n    time.sleep(0.1)\n    import tensorflow as tf\n    print(tf.__name__)\n"
                  "threading.Thread(target=late).start()\n")
    assert run("run", path) == (0, "tensorflow\n", "")


def test_encoding_cookie(tmp_path, run):
    path = tmp_path / "latin.py"
    path.write_bytes("# -*- coding: latin-1 -*-\nprint(ascii('é'))\n".encode("latin-1"))
    assert run("run", str(path)) == (0, "'\\xe9'\n", "")


def test_engine_is_set_for_the_run_only(script, run):
    before = adjoint.config.engine
    path = script("import adjoint as ad\nprint(ad.config.engine)\n")
    assert run("run", "--engine", "numpy", path)[:2] == (0, "numpy\n")
    assert adjoint.config.engine == before


@pytest.mark.parametrize(("name", "content", "says"), [
    ("absent.py", None, "there is no file"), ("absent.ipynb", None, "there is no file"),
    ("folder", "folder", "is a folder"), ("folder.py", "folder", "is a folder"), ("text.txt", "x", "neither a script"),
    ("bad.ipynb", "{", "not JSON"), ("list.ipynb", "[]", "not a notebook"), ("nul.ipynb", "", "not JSON"),
    ("cells.ipynb", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "x"}]}',
     "not a valid notebook"),
    ("r.ipynb", '{"nbformat": 4, "nbformat_minor": 5, "cells": [], "metadata": {"kernelspec": {"name": "ir", '
                '"display_name": "R", "language": "R"}}}', "in R, not in Python"),
])
def test_what_cannot_be_run(tmp_path, run, name, content, says):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    status, out, err = run("run", str(path))
    assert (status, out) == (2, "")
    assert err.startswith("adjoint: ")
    assert says in err
    assert err.count("\n") == 1


def test_output_is_for_notebooks(script, run):
    status, _, err = run("run", "--output", "x.ipynb", script(""))
    assert status == 2
    assert "--output is for notebooks" in err


def test_interrupt(script):
    path = script("import time\nprint('ready', flush=True)\ntime.sleep(30)\n")
    process = subprocess.Popen([sys.executable, "-m", "adjoint", "run", path], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)                                      # into the sleep
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == f"adjoint: interrupted at {path}:3\n"


def test_a_reader_that_leaves(script):
    path = script("for k in range(100_000): print(k)\n")
    done = subprocess.run(f'"{sys.executable}" -m adjoint run "{path}" | head -n 1', shell=True, capture_output=True,
                          text=True)
    assert done.stdout == "0\n"


def test_version_and_info(run, capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"adjoint {adjoint.__version__}\n"
    status, out, _ = run("info")
    assert status == 0
    assert {"adjoint", "python", "engine", "compiler", "threads", "code cache", "structures", "numpy"} <= {
        line[:14].strip() for line in out.splitlines()}


def test_info_on_the_code_cache(run, tmp_path, monkeypatch):
    def row():
        return next(line[14:] for line in run("info")[1].splitlines() if line.startswith("code cache"))

    monkeypatch.setattr(adjoint.config, "_cache", False)
    assert row() == "off"
    folder = tmp_path / "code"
    monkeypatch.setattr(adjoint.config, "_cache", str(folder))
    assert row() == f"{folder}, not there yet, at most 256 MiB"
    folder.mkdir(mode=0o700)
    (folder / "one.code").write_bytes(b"x" * 2**20)
    assert row() == f"{folder}, 1 file, 1.0 MiB, at most 256 MiB"
    monkeypatch.setattr(adjoint.config, "_cache", str(folder / "one.code"))
    assert row() == f"{folder / 'one.code'} is not used: it is not a folder"


def test_info_without_a_compiler(run, monkeypatch):
    from adjoint.cli import _info

    def none():
        raise _info.Unavailable("llvmlite is not installed")

    monkeypatch.setattr(_info, "compiler", none)
    assert "compiler      none, everything runs through NumPy: llvmlite is not installed\n" in run("info")[1]


def test_no_command(run):
    status, out, err = run()
    assert (status, out) == (2, "")
    assert "usage: adjoint" in err

"""Writes docs/mistakes.md: common mistakes, and what adjoint, TensorFlow and PyTorch say.

    python docs/mistakes.py                                   adjoint's part anew, the others as they were recorded
    python docs/mistakes.py --peers TENSORFLOW TORCH          run the others too, by these Python interpreters, and record them

What the others said is in docs/mistakes_peers.json, with their versions.
"""
from __future__ import annotations

import argparse
import contextlib
import io
import json
import linecache
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

import adjoint as ad

sys.path.insert(0, str(Path(__file__).parent))
from mistakes_programs import MISTAKES, Mistake

HERE = Path(__file__).parent
PAGE, RECORDED = HERE / "mistakes.md", HERE / "mistakes_peers.json"
WIDTH = 110

HEAD = """\
# Mistakes

What goes wrong most often with gradients, each as a program of a few lines, and what adjoint says about it beside what
TensorFlow {tensorflow} and PyTorch {torch} print for the same program. Made by `python docs/mistakes.py`; a test keeps adjoint's
answers up to date. `adjoint explain PROGRAM` and `adjoint check PROGRAM` ask these questions of a whole program.
"""

# Runs in the other interpreter: programs come as JSON and go back as what they printed.
RUNNER = """\
import contextlib, importlib, io, json, logging, sys
asked = json.load(sys.stdin)
module = importlib.import_module(asked["module"])
said = io.StringIO()
logging.getLogger(asked["module"]).addHandler(logging.StreamHandler(said))
import numpy
found = []
for source in asked["programs"]:
    said.seek(0), said.truncate()
    names = {asked["name"]: module, "np": numpy, "__name__": "__main__"}
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            exec(compile(source, "program.py", "exec"), names)
        except Exception as error:
            print(f"{type(error).__name__}: {error}")
        finally:
            if asked["module"] == "tensorflow":
                module.debugging.disable_check_numerics()
    found.append(said.getvalue())
json.dump({"version": module.__version__, "said": found}, sys.stdout)
"""


def tensorflow_program(m: Mistake) -> str:
    if m.tensorflow:
        return m.tensorflow
    kept = m.adjoint.rstrip("\n").split("\n")[:-1]
    return "\n".join(kept).replace("ad.", "tf.") + "\n"


def asked(source: str) -> str:
    """What adjoint prints for a program, and the error where it ends in one."""
    out = io.StringIO()
    linecache.cache["program.py"] = (len(source), None, source.splitlines(True), "program.py")
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(source, "program.py", "exec"), {"ad": ad, "np": np, "__name__": "__main__"})
    except Exception as error:
        out.write(f"{type(error).__name__}: {error}\n")
    finally:
        del linecache.cache["program.py"]
    return out.getvalue()


def peers(interpreters: dict[str, str]) -> dict[str, Any]:
    """What the others print, by name."""
    programs = {"tensorflow": [tensorflow_program(m) for m in MISTAKES], "torch": [m.torch for m in MISTAKES]}
    found: dict[str, Any] = {}
    for module, python in interpreters.items():
        given = {"module": module, "name": {"tensorflow": "tf"}.get(module, module), "programs": programs[module]}
        done = subprocess.run([python, "-c", RUNNER], input=json.dumps(given), capture_output=True, text=True, check=True,
                              env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": ""})
        said = json.loads(done.stdout)
        found[module] = {"version": said["version"], "said": {m.title: quoted(s) for m, s in zip(MISTAKES, said["said"])}}
    return found


def quoted(said: str) -> str:
    """What was said, without where it was installed and what ran it."""
    said = re.sub(r" ?\(Triggered internally at [^)]*\)", "", said)
    said = re.sub(r"\S*/site-packages/", "", said)
    return re.sub(r' *File "<string>".*\n', "", said)


def block(text: str, kind: str = "text") -> str:
    lines = []
    for line in text.rstrip("\n").split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=indent + "  ", break_long_words=False,
                               break_on_hyphens=False) or [""] if kind == "text" else [line]
    return f"```{kind}\n" + "\n".join(lines) + "\n```\n"


def page() -> str:
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    parts = [HEAD.format(**{name: entry["version"].partition("+")[0] for name, entry in recorded.items()})]
    chapter = ""
    for m in MISTAKES:
        if m.chapter != chapter:
            chapter = m.chapter
            parts.append(f"## {chapter}\n")
        parts += [f"### {m.title}\n", block(m.adjoint, "python"), "adjoint:\n", block(asked(m.adjoint))]
        for module, name, source in (("tensorflow", "TensorFlow", tensorflow_program(m)), ("torch", "PyTorch", m.torch)):
            said = recorded[module]["said"][m.title] or "(nothing)"
            parts += [f"<details><summary>{name}</summary>\n", block(source, "python"), "</details>\n", block(said)]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs=2, metavar=("TENSORFLOW", "TORCH"), help="Python interpreters that have them")
    given = parser.parse_args().peers
    if given:
        said = peers(dict(zip(("tensorflow", "torch"), given)))
        RECORDED.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

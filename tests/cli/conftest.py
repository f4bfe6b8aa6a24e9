"""Small programs, and a way to run them in this process."""
import json
import os
import sys

import pytest

from adjoint.cli import main


@pytest.fixture
def book(tmp_path):
    """Make a notebook from the sources of its cells; "md:" starts a markdown cell."""

    def make(*sources, name="book.ipynb", **metadata):
        cells = []
        for k, source in enumerate(sources):
            kind = "markdown" if source.startswith("md:") else "code"
            cell = {"cell_type": kind, "id": f"c{k}", "metadata": metadata.get(f"c{k}", {}),
                    "source": source.removeprefix("md:")}
            if kind == "code":
                cell |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "old"}], "execution_count": 99}
            cells.append(cell)
        path = tmp_path / name
        path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}))
        return str(path)

    return make


@pytest.fixture
def script(tmp_path):
    def make(source, name="program.py"):
        path = tmp_path / name
        path.write_text(source)
        return str(path)

    return make


@pytest.fixture
def run(capsys):
    """Run the command in this process, which is to be afterwards as it was: (status, stdout, stderr)."""

    def command(*argv):
        before = (os.getcwd(), sys.argv, sys.path[:], sys.meta_path[:], sys.stdout, sys.stderr, sys.excepthook,
                  sys.displayhook, sys.modules["__main__"], os.environ.get("MPLBACKEND"))
        status = main(list(argv))
        after = (os.getcwd(), sys.argv, sys.path[:], sys.meta_path[:], sys.stdout, sys.stderr, sys.excepthook,
                 sys.displayhook, sys.modules["__main__"], os.environ.get("MPLBACKEND"))
        assert after == before
        assert not [n for n in sys.modules if n == "tensorflow" or n.startswith("tensorflow.")]
        return (status, *capsys.readouterr())

    return command

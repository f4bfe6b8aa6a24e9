"""The examples in docstrings run, and the walk through the house runs."""
from __future__ import annotations

import doctest
import importlib
import pkgutil
import runpy
from pathlib import Path

import pytest

import adjoint as ad
from adjoint._config import config

MODULES = sorted(m.name for m in pkgutil.walk_packages(ad.__path__, "adjoint.") if "__main__" not in m.name)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    config.spelling = "tf" if ".tensorflow" in name else "adjoint"
    try:
        failed, _ = doctest.testmod(module, globs={}, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    finally:
        config.spelling = "adjoint"
    assert failed == 0


def test_how_it_works_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(Path(__file__).parent.parent / "docs" / "how_it_works.py"), run_name="__main__")
    assert "6.0" in capsys.readouterr().out


def test_the_published_promotion_table_is_the_one_in_use() -> None:
    docs = Path(__file__).parent.parent / "docs"
    page = runpy.run_path(str(docs / "make_tables.py"))["page"]()
    assert (docs / "dtypes.md").read_text(encoding="utf-8") == page

"""docs/mistakes.md says what adjoint says."""
from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import adjoint as ad

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def mistakes() -> Iterator[ModuleType]:
    sys.path.insert(0, str(DOCS))
    try:
        import mistakes as module

        yield module
    finally:
        sys.path[:] = [p for p in sys.path if p != str(DOCS)]
        for name in ("mistakes", "mistakes_programs"):
            sys.modules.pop(name, None)


def test_the_page_is_up_to_date(mistakes: Any) -> None:
    expected = mistakes.page().splitlines()
    found = mistakes.PAGE.read_text(encoding="utf-8").splitlines()
    for n, (now, then) in enumerate(zip(expected, found), 1):
        assert now == then, f"docs/mistakes.md:{n} is not what adjoint says now; run python docs/mistakes.py"
    assert len(expected) == len(found)


def test_the_page_would_notice(mistakes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = list(mistakes.MISTAKES)
    programs[0] = programs[0]._replace(adjoint=programs[0].adjoint.replace("x * x", "x + x"))
    monkeypatch.setattr(mistakes, "MISTAKES", programs)
    assert mistakes.page() != mistakes.PAGE.read_text(encoding="utf-8")


def test_every_mistake_has_quotes(mistakes: Any) -> None:
    recorded = json.loads(mistakes.RECORDED.read_text(encoding="utf-8"))
    titles = [m.title for m in mistakes.MISTAKES]
    assert len(set(titles)) == len(titles)
    for peer in ("tensorflow", "torch"):
        assert recorded[peer]["version"]
        assert list(recorded[peer]["said"]) == titles


def test_every_cause_of_none_is_there(mistakes: Any) -> None:
    """The causes as the explanation's class lists them, each found in what a program of the page is told."""
    causes = set()
    explain = ad.GradientTape.explain

    def noted(self: ad.GradientTape, target: Any, source: Any) -> Any:
        found = explain(self, target, source)
        causes.add(found.cause)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ad.GradientTape, "explain", noted)
        for m in mistakes.MISTAKES:
            if m.chapter == "A gradient of None":
                mistakes.asked(m.adjoint)
    from adjoint.inspect import Explanation

    listed = Explanation.__doc__.split("for a gradient of None:")[1].split("line ")[0]
    assert causes == set(listed.split('"')[1::2])

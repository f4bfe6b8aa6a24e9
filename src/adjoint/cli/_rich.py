"""The terminal's screen."""
from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.syntax import Syntax
from rich.text import Text

from ._screen import plain_text


class Rich:
    """Cells in panels, text as text, values after their number."""

    def __init__(self) -> None:
        self._out = sys.stdout
        self._err = sys.stderr
        self._console = Console(file=sys.stdout, highlight=False)
        self._open = False

    def markdown(self, source: str) -> None:
        self._close()
        self._console.print(Padding(Markdown(source), (1, 1)))

    def code(self, count: int, source: str) -> None:
        self._close()
        self._console.print(Panel(
            Syntax(source, "ipython3", theme="ansi_dark", background_color="default", word_wrap=True),
            title=f"[bold green]In [[{count}]][/]".replace("[[", "\\[").replace("]]", "]"), title_align="left",
            border_style="dim"))

    def stream(self, name: str, text: str) -> None:
        if name == "stderr":
            self._console.print(Text(text, style="yellow"), end="", soft_wrap=True)
        else:
            self._out.write(text)                        # as it is: a progress bar draws itself
        self._out.flush()
        self._open = not text.endswith("\n")

    def display(self, data: dict[str, Any]) -> None:
        self._close()
        if "text/markdown" in data:
            self._console.print(Markdown(_joined(data["text/markdown"])))
        else:
            self._console.print(Text(plain_text(data)), soft_wrap=True)
        self._pictures(data)

    def result(self, count: int, data: dict[str, Any]) -> None:
        self._close()
        text = plain_text(data)
        gap = "\n" if "\n" in text else " "
        self._console.print(Text.assemble((f"Out[{count}]:", "bold red"), gap, text), soft_wrap=True)
        self._pictures(data)

    def error(self, text: str) -> None:
        self._close()
        body, _, last = text.rstrip("\n").rpartition("\n")
        to = Console(file=self._err, highlight=False) if self._err.isatty() else None
        if to is None:
            self._err.write(text)
            self._err.flush()
        else:
            to.print(Text.assemble(body + "\n" if body else "", (last, "bold red")), soft_wrap=True)

    def end(self, text: str) -> None:
        self._close()
        self._console.print(Text(text, style="dim"))

    def _pictures(self, data: dict[str, Any]) -> None:
        kinds = [kind.partition("/")[2].upper() for kind in data if kind.startswith("image/")]
        if kinds:
            self._console.print(Text(f"({', '.join(kinds)} picture: --output OUT.ipynb keeps it)", style="dim"))

    def _close(self) -> None:
        if self._open:
            self._out.write("\n")
            self._out.flush()
            self._open = False


def _joined(text: Any) -> str:
    return "".join(text) if isinstance(text, list) else str(text)

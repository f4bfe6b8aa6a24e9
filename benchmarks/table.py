"""The results as tables, for a terminal, for a pipe and for docs/benchmarks.md."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .harness import LIBRARIES, OWN, PEERS, STARTS_ALSO, Cell, disagreements
from .rows import Row

MISSING = "-"
Results = dict[str, tuple[Row, dict[str, Cell]]]


@dataclass
class Table:
    """A title, a line about it, a head and rows of text."""

    title: str
    note: str
    head: list[str]
    body: list[list[str]]


def micro(seconds: float | None) -> str:
    """Microseconds, three digits where there are fewer."""
    if seconds is None:
        return MISSING
    us = seconds * 1e6
    return f"{us:,.0f}" if us >= 100 else f"{us:.1f}" if us >= 10 else f"{us:.2f}"


def milli(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds * 1e3:,.0f}" if seconds >= 0.01 else f"{seconds * 1e3:.1f}"


def mega(size: float | None) -> str:
    return MISSING if size is None else f"{size / 1e6:,.0f}" if size >= 1e7 else f"{size / 1e6:.1f}"


def ratio(ours: float | None, best: float | None) -> str:
    return MISSING if ours is None or best is None else f"{ours / best:.2f}"


def modes(results: Results) -> list[str]:
    """The columns that somebody could be in: missing peers too."""
    return [mode for library in LIBRARIES for mode in LIBRARIES[library]]


def best_peer(cells: dict[str, Cell]) -> tuple[str | None, float | None]:
    found = [(cell.median, mode) for mode, cell in cells.items() if mode not in OWN and cell.median is not None]
    if not found:
        return None, None
    median, mode = min(found)
    return mode, median


def _shown(cell: Cell | None, text: Any) -> str:
    return MISSING if cell is None else "failed" if cell.error else text(cell)


def times(results: Results, limits: dict[str, float] | None) -> Table:
    columns = modes(results)
    body = []
    for row, cells in results.values():
        mode, best = best_peer(cells)
        own = cells.get("adjoint", Cell()).median
        decorated = cells.get("adjoint @function", Cell()).median
        share = MISSING
        if limits and own and (row.flops or row.moved):
            share = f"{max(row.flops / limits['sgemm'], row.moved / limits['copy']) / own:.0%}"
        body.append([row.title, *(_shown(cells.get(m), lambda c: micro(c.median)) for m in columns),
                     mode or MISSING, ratio(own, best), ratio(decorated, best), share])
    return Table(
        "Time of a step", "Median microseconds. The ratios are to the best peer of the same run: under 1 adjoint is "
        "faster. The last column is the share of the machine's limit (products of matrices, or memory traffic) that the "
        "plain loop reaches.",
        ["", *columns, "best peer", "adjoint : best", "@function : best", "of limit"], body)


def spread(results: Results) -> Table:
    columns = modes(results)

    def quartiles(cell: Cell) -> str:
        q = cell.quartiles
        return MISSING if q is None else f"{micro(q[0])} to {micro(q[1])}"

    body = [[row.title, *(_shown(cells.get(m), quartiles) for m in columns)] for row, cells in results.values()]
    return Table("Spread", "First and third quartile of the same samples, in microseconds.", ["", *columns], body)


def starts(results: Results) -> Table:
    columns = modes(results)
    body = [[row.title, *(_shown(cells.get(m), lambda c: f"{milli(c.first)} / {milli(c.third)}") for m in columns)]
            for row, cells in results.values() if row.per == 1]
    return Table("Start", "Milliseconds until the first step is done, and until the third one is: tracing and compiling "
                 "are in it, importing is not.", ["", *columns], body)


def processes(found: dict[str, dict[str, tuple[Cell, Cell]]], titles: dict[str, str]) -> Table:
    """The start in a fresh process, and in a second one."""
    columns = [mode for library in LIBRARIES for mode in (*LIBRARIES[library], *STARTS_ALSO.get(library, ()))]
    body = []
    for name, cells in found.items():
        for k, which in enumerate(("first process", "second process")):
            body.append([f"{titles[name]}: {which}", *(
                _shown(cells[m][k] if m in cells else None, lambda c: f"{milli(c.first)} / {milli(c.third)}")
                for m in columns)])
    return Table("Start of a process", "Milliseconds until the first step is done, and until the third one is, in a process "
                 "that has done nothing else. The second process finds what the first has kept on disk, where the library "
                 "can do that.", ["", *columns], body)


def memory(results: Results) -> Table:
    columns = modes(results)
    body = [[row.title, *(_shown(cells.get(m), lambda c: mega(c.memory)) for m in columns)]
            for row, cells in results.values() if row.full]
    return Table("Memory", "What the process grew by at its peak, in MB, data included (first mode of a library: its own "
                 "start too).", ["", *columns], body)


def weights(times: dict[str, Cell], sizes: dict[str, int]) -> Table:
    base = times.get("numpy", Cell()).median
    body = []
    for name in ("numpy", "adjoint", "adjoint.tensorflow", *PEERS):
        cell = times.get(name)
        took = cell.median if cell else None
        quartiles = cell.quartiles if cell else None
        between = MISSING if quartiles is None else f"{milli(quartiles[0])} to {milli(quartiles[1])}"
        body.append([name, milli(took), between, ratio(took, base), mega(sizes.get(name))])
    return Table("Import and size", "Import: median milliseconds with bytecode compiled. Size: the library with everything "
                 "it needs, in MB, without bytecode.", ["", "import", "quartiles", "of numpy's", "installed"], body)


def failures(results: Results) -> list[str]:
    """What went wrong, a line each."""
    found: list[str] = []
    for row, cells in results.values():
        found += [f"{row.title}: {mode}: {cell.error}" for mode, cell in cells.items() if cell.error]
        found += [f"{row.title}: {line}" for line in disagreements(cells)]
    return found


# -------------------------------------------------------------------------------------------------------------- drawing

def _blank(table: Table) -> list[int]:
    """The columns in which somebody has something."""
    return [k for k in range(len(table.head)) if k == 0 or any(line[k] != MISSING for line in table.body)]


def plain(table: Table) -> str:
    """Aligned text; columns in which there is nothing are left out."""
    keep = _blank(table)
    lines = [[line[k] for k in keep] for line in [table.head, *table.body]]
    widths = [max(len(line[k]) for line in lines) for k in range(len(keep))]
    drawn = ["  ".join(cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths))).rstrip()
             for line in lines]
    return "\n".join([table.title, *drawn])


def markdown(table: Table) -> str:
    rule = ["---", *["---:"] * (len(table.head) - 1)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
             for line in [table.head, rule, *table.body]]
    return "\n".join([f"## {table.title}", "", table.note, "", *lines])


def rich(table: Table) -> Any:
    """The same for a terminal, by rich; the best of a line stands out."""
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(title=table.title, title_justify="left", title_style="bold", caption=table.note,
                  caption_justify="left")
    keep = _blank(table)
    for k in keep:
        drawn.add_column(table.head[k], justify="right" if k else "left", ratio=None, overflow="fold",
                         style="cyan" if table.head[k] in OWN else "")
    ratios = {k for k in keep if table.head[k].endswith(": best")}
    for line in table.body:
        drawn.add_row(*(Text(line[k], style=_colour(line[k]) if k in ratios else "") for k in keep))
    return drawn


def _colour(text: str) -> str:
    return "" if text == MISSING else "bold green" if float(text) <= 1 else "red"


def page(machine: dict[str, str], notes: Iterable[str], tables: list[Table], failed: list[str], command: str) -> str:
    """docs/benchmarks.md."""
    parts = [
        "# Benchmarks", "",
        f"Written by `{command}`; run it again to have your own. Every library runs in a process and an environment of "
        "its own, with the settings it comes with. All are sampled in turn, round by round, so that what else the "
        "machine does hits all alike: compare within a line, not between two pages. The programs are in "
        "[benchmarks/rows](../benchmarks/rows), each written plainly for each library; every step ends when its results "
        "are there. *adjoint* is the plain loop without a decorator, *adjoint.tensorflow* is TensorFlow's program as it "
        "is. A minus sign: no such program, or the library was not there.", "",
        "| | |", "| --- | --- |", *(f"| {k} | {v} |" for k, v in machine.items()), "",
        *(note + "\n" for note in notes),
        "\n\n".join(markdown(t) for t in tables), ""]
    if failed:
        parts += ["## What failed", "", *(f"- {line}" for line in failed), ""]
    return "\n".join(parts)

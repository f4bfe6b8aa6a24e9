"""What a tape holds: operations and bytes, by line of the user's program."""
from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from .._trace import INPUT, LITERAL, READ
from ._record import Line, Record, line_of, name_in, recording_frame, shown, user_frame


class Row:
    """One line of the program: its operations, the bytes of their results, and the bytes that the tape keeps of them."""

    __slots__ = ("held", "line", "names", "nbytes")

    def __init__(self, line: Line | None) -> None:
        self.line = line
        self.names: Counter[str] = Counter()
        self.nbytes = self.held = 0

    @property
    def operations(self) -> int:
        return sum(self.names.values())


class Summary:
    """What a tape holds; ``str()`` is a table.

    operations  recorded while the tape was active;  nbytes  of all their results
    held        bytes of results and inputs that the tape keeps alive for derivatives (0 once it was used up)
    inputs      the part of these that came in from outside;  watched  names of what is watched
    rows        by line of the program, in its order
    """

    __slots__ = ("inputs", "note", "rows", "watched")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.inputs = 0
        self.watched: list[str] = []
        self.note = ""

    @property
    def operations(self) -> int:
        return sum(r.operations for r in self.rows)

    @property
    def nbytes(self) -> int:
        return sum(r.nbytes for r in self.rows)

    @property
    def held(self) -> int:
        return self.inputs + sum(r.held for r in self.rows)

    def __str__(self) -> str:
        table = [("line", "operations", "bytes", "held", "which")]
        for r in self.rows:
            names = ", ".join(name if n == 1 else f"{n} {name}" for name, n in r.names.most_common(4))
            table.append((shown(r.line, False) if r.line else "(unknown)", str(r.operations), size(r.nbytes), size(r.held),
                          names + (", ..." if len(r.names) > 4 else "")))
        table.append(("inputs", "", "", size(self.inputs), ""))
        table.append(("total", str(self.operations), size(self.nbytes), size(self.held), ""))
        widths = [max(len(row[c]) for row in table) for c in range(4)]
        lines = ["  ".join([row[0].ljust(widths[0]), *[row[c].rjust(widths[c]) for c in (1, 2, 3)], row[4]]).rstrip()
                 for row in table]
        lines.insert(1, "-" * max(map(len, lines)))
        lines.insert(-1, lines[1])
        watched = ", ".join(self.watched[:8]) + (f" and {len(self.watched) - 8} more" if len(self.watched) > 8 else "")
        lines.append(f"watched: {watched or 'nothing'}" + (f"; {self.note}" if self.note else ""))
        return "\n".join(lines)

    __repr__ = __str__


def size(n: int) -> str:
    """A number of bytes, shortly."""
    value = float(n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def summary(tape: Any) -> Summary:
    """Operations, bytes and what is held, by line."""
    record, found = Record(tape), Summary()
    frame = recording_frame(user_frame(), record)
    held: set[tuple[int, int]] = set()
    used = {(k, a) for k, node in record.nodes() if record.in_spans((k, node.idx)) for a in node.args}
    if tape._spent is not None:
        found.note = f"used up at {shown(line_of(tape._done), False)}, so it holds nothing"
    else:
        seen: set[int] = set()
        for trace in {id(t): t for t, _, _ in tape._segments}.values():
            k = record.numbers[id(trace.past)]
            held |= {(k, idx) for idx in (trace.kept if trace.closed else tape._needs(trace))}
            for idx, value in zip(record.inputs[k], trace.inputs):
                if (k, idx) in used and isinstance(value, np.ndarray) and id(value) not in seen:
                    seen.add(id(value))
                    found.inputs += value.nbytes
    rows: dict[Line | None, Row] = {}
    for k, node in record.nodes():
        op = node.op
        assert op is not None
        if op.prim in (INPUT, LITERAL, READ) or not record.in_spans((k, node.idx)):
            continue
        line = record.line((k, node.idx))
        row = rows.setdefault(line, Row(line))
        row.names[op.name] += 1
        for n, s in enumerate(node.specs):
            row.nbytes += s.nbytes
            if (k, node.idx + n) in held:
                row.held += s.nbytes
    found.rows = sorted(rows.values(), key=lambda r: (r.line is None, r.line or ("", 0)))
    names: list[str] = []
    for k, node in record.nodes():
        at = (k, node.idx)
        if at in record.watched or (at in used and record.is_root(at)):
            owner = record.owner((k, node.idx))
            name = node.op.name if owner is None else name_in(frame, owner, str(node.spec))  # type: ignore[union-attr]
            if name not in names:
                names.append(name)
    found.watched = names
    return found

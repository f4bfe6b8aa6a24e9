"""What stands in each box of a drawing: texts, magnitudes, and which operations share a box."""
from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np

from .._graph import Spec
from .drawing_record import Item

FOLD_FROM, FOLD_TO = 48, 130                             # boxes from which repeats are folded; boxes that are wanted at most
FEW = 12                                                 # boxes by line of the program say something from here on
LONG_WAY = 7                                             # layers after which an input is drawn again beside its user
SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "/", "power": "^", "matmul": "@"}


class Box:
    """title and rows: its texts; value, grad: log10 of the mean magnitudes (None: unknown, -inf: zero, nan: not finite)."""

    __slots__ = ("about", "echo", "grad", "inputs", "items", "kind", "repeats", "rows", "target", "title", "value")

    def __init__(self, kind: str, items: list[int]) -> None:
        self.kind, self.items = kind, items
        self.title, self.rows = "", list[str]()
        self.value: float | None = None
        self.grad: float | None = None
        self.inputs: dict[int, bool] = {}                # box -> whether a gradient comes back along this edge
        self.about: list[tuple[str, str]] = []           # shown on hover
        self.repeats = 1
        self.echo: int | None = None
        self.target = False


# -- texts -------------------------------------------------------------------------------------------------------------

def spec_text(s: Spec) -> str:
    return f"{s.dtype.name} {'×'.join(map(str, s.shape))}" if s.shape else s.dtype.name


def number_text(x: Any) -> str:
    """A number in a few characters."""
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (complex, np.complexfloating)):
        return f"{complex(x):.3g}".strip("()").replace("j", "i")
    if isinstance(x, (int, np.integer)):
        return str(int(x))
    return f"{float(x):.4g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", "−")


def value_text(value: Any) -> str:
    """A value in one short line: the number, a few numbers, or the range."""
    a = np.asarray(value)
    if not a.size:
        return "empty"
    if not a.ndim:
        return number_text(a[()])
    flat = a.reshape(-1)
    if a.size <= 4:
        text = f"[{', '.join(number_text(x) for x in flat)}]"
        if len(text) <= 26:
            return text
    if a.dtype.kind == "b":
        return f"{int(flat.sum())} of {a.size} true"
    if a.dtype.kind == "c":
        return f"|·| up to {number_text(float(np.abs(flat).max()))}"
    if a.dtype.kind not in "iu":
        flat = flat.astype(float)
        bad = int((~np.isfinite(flat)).sum())
        if bad:
            return f"{bad} of {a.size} not finite"
    low, high = flat.min(), flat.max()
    return f"all {number_text(low)}" if low == high else f"{number_text(low)} … {number_text(high)}"


def magnitude(value: Any) -> float | None:
    """log10 of the mean magnitude."""
    if value is None:
        return None
    a = np.asarray(value)
    if not a.size:
        return None
    mean = float(np.abs(a.astype(complex) if a.dtype.kind == "c" else a.astype(float)).mean())
    return math.nan if not math.isfinite(mean) else -math.inf if mean == 0 else math.log10(mean)


_WIDE, _NARROW = frozenset("mwMW@%—…×"), frozenset("ijlft.,:;'|!()[] ")


def text_width(text: str, size: float, mono: bool = False) -> float:
    """An upper estimate of how wide a text is drawn, in whatever font is there."""
    total = 0.0
    for c in text:
        if unicodedata.east_asian_width(c) in "WF":
            total += 1.02
        elif mono:
            total += 0.61
        else:
            total += 1.0 if c in _WIDE else 0.42 if c in _NARROW else 0.76 if c.isupper() else 0.68
    return total * size


def shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"


def where_text(line: str) -> str:
    """file:line without the folders; a notebook's cell by its number."""
    name, _, number = line.rpartition(":")
    base = os.path.basename(name)
    if name.startswith("<ipython-input-"):
        base = f"cell {name.split('-')[2]}"
    elif "ipykernel_" in name:
        base = "cell"
    return f"{base}:{number}"


def op_text(items: list[Item], item: Item) -> str:
    """The operation's name with the Python scalars it is used with."""
    name = item.op.name  # type: ignore[union-attr]
    scalars = [items[k] for k in item.inputs if items[k].kind == "number"]
    if not scalars or len(item.inputs) > 2:
        return name
    texts = [number_text(s.value) if s.value is not None else "number" for s in scalars]
    sign = SIGNS.get(name)
    if sign and len(item.inputs) == 2 and len(scalars) == 1:
        return f"{texts[0]} {sign} ·" if items[item.inputs[0]].kind == "number" else f"· {sign} {texts[0]}"
    return f"{name} {', '.join(texts)}"


def params_text(item: Item) -> str:
    params = item.op.params if item.op is not None else {}
    return ", ".join(f"{k}={getattr(v, 'name', v)}" for k, v in params.items() if k not in ("kind", "value"))


# -- boxes -------------------------------------------------------------------------------------------------------------

def boxes_of(items: list[Item], fold: bool | None = None) -> list[Box]:
    """The boxes, inputs before their users. ``fold``: whether repeats share a box; by default when there are many."""
    numbers = {k for k, i in enumerate(items) if i.kind == "number"}
    users: dict[int, list[int]] = {}
    for k, item in enumerate(items):
        for a in item.inputs:
            users.setdefault(a, []).append(k)
    inline = {k for k in numbers if k in users and all(
        len(items[u].inputs) <= 2 and any(items[a].kind != "number" for a in items[u].inputs) for u in users[k])}
    ops = [k for k, i in enumerate(items) if i.kind == "operation" or i.inputs]
    count = len(items) - len(inline)
    groups: list[tuple[list[int], int]] = [([k], 1) for k in ops]
    if fold or (fold is None and count > FOLD_FROM):
        groups = folded(items, ops)
        if len(groups) > FOLD_TO:
            lines = _joined(groups, lambda k: items[k].line)
            if len(lines) >= FEW:
                groups = lines
        if len(groups) > FOLD_TO:
            groups = _chunked(groups, math.ceil(len(groups) / (FOLD_TO // 2)))
    box_of: dict[int, int] = {}
    for n, (members, _) in enumerate(groups):
        box_of.update(dict.fromkeys(members, n))
    boxes: list[Box] = []
    for members, repeats in groups:
        box = Box(items[members[0]].kind if len(members) == 1 else "folded", members)
        box.repeats = repeats
        boxes.append(box)
    leaves = [k for k, i in enumerate(items) if k not in box_of and k not in inline]
    shared: dict[Any, int] = {}                          # many inputs of one folded box stand together
    for k in leaves:
        into = {box_of[u] for u in users.get(k, ()) if u in box_of}
        key: Any = k
        if len(into) == 1 and len(groups[next(iter(into))][0]) > 1 and not items[k].target:
            key = (next(iter(into)), items[k].kind)
        if key in shared:
            boxes[shared[key]].items.append(k)
        else:
            shared[key] = len(boxes)
            boxes.append(Box(items[k].kind, [k]))
        box_of[k] = shared[key]
    for n, box in enumerate(boxes):
        for k in box.items:
            for a, flows in zip(items[k].inputs, items[k].flows):
                if a in box_of and box_of[a] != n:
                    box.inputs[box_of[a]] = box.inputs.get(box_of[a], False) or flows
    boxes = _with_echoes(boxes)
    for box in boxes:
        _write(items, box)
    return boxes


def folded(items: list[Item], ops: list[int]) -> list[tuple[list[int], int]]:
    """The operations as intervals of the order of recording: repeated blocks, and single ones. (Contracting intervals of
    a topological order leaves no circles.)"""
    n = len(ops)
    runs: list[tuple[int, int, int]] = []                # (start, period, repeats)
    if n >= 6:
        pos = {k: p for p, k in enumerate(ops)}
        kinds: dict[Any, int] = {}
        tokens = np.empty(n, np.int64)
        slots = min(max(len(items[k].inputs) for k in ops), 6)
        relative, absolute = np.zeros((slots, n), np.int64), np.zeros((slots, n), np.int64)
        for p, k in enumerate(ops):
            item = items[k]
            shape: list[Any] = [item.op.prim, item.spec, item.kind, len(item.inputs)]  # type: ignore[union-attr]
            for s, a in enumerate(item.inputs[:slots]):
                if a in pos:
                    relative[s, p], absolute[s, p] = p - pos[a], pos[a]
                else:
                    shape.append((s, items[a].kind, items[a].spec))
            tokens[p] = kinds.setdefault(tuple(shape), len(kinds))

        def enters(p: int, q: int) -> bool:
            """Whether ``p`` is ``q`` but for values that come from before a loop where ``q`` has them from its last round."""
            one, other = items[ops[p]], items[ops[q]]
            if (one.op.prim, one.spec, one.kind, len(one.inputs)) != (  # type: ignore[union-attr]
                    other.op.prim, other.spec, other.kind, len(other.inputs)):  # type: ignore[union-attr]
                return False
            for a, b in zip(one.inputs, other.inputs):
                at, then = pos.get(a), pos.get(b)
                if items[a].spec is not items[b].spec or (then is None and (at is not None or items[a].kind != items[b].kind)):
                    return False
                if then is not None and not (at in (then, then - q + p) if at is not None and at > 2 * p - q else then < q):
                    return False
            return True

        runs = _repeats(tokens, relative, absolute, enters)
    groups: list[tuple[list[int], int]] = []
    p = 0
    for start, period, repeats in [*runs, (n, 0, 0)]:
        groups += [([ops[q]], 1) for q in range(p, start)]
        if period:
            groups.append((ops[start:start + period * repeats], repeats))
        p = start + period * repeats
    return groups


def _repeats(tokens: Any, relative: Any, absolute: Any, enters: Callable[[int, int], bool]) -> list[tuple[int, int, int]]:
    """Blocks that follow each other at least three times: (start, period, repeats). The ones that save most come first.

    ``enters`` says whether an operation begins a loop as another, one period later, goes on with it.
    """
    n = len(tokens)
    found: list[tuple[int, int, int, int]] = []
    for period in range(1, min(n // 3, 400) + 1):
        same = (tokens[period:] == tokens[:-period]) & (
            (relative[:, period:] == relative[:, :-period]) | (absolute[:, period:] == absolute[:, :-period])).all(0)
        edges = np.flatnonzero(np.diff(np.concatenate(([0], same.view(np.int8), [0]))))
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
            first = start
            if stop - start >= period:
                while first and start - first < period and enters(first - 1, first - 1 + period):
                    first -= 1
            start, repeats = first, (stop - first) // period + 1
            if repeats >= 3 and period * repeats >= 6:
                found.append((period * repeats - period, -period, start, repeats))
    taken = np.zeros(n, bool)
    runs: list[tuple[int, int, int]] = []
    for _, minus, start, repeats in sorted(found, reverse=True):
        stop = start - minus * repeats
        if not taken[start:stop].any():
            taken[start:stop] = True
            runs.append((start, -minus, repeats))
    return sorted(runs)


def _joined(groups: list[tuple[list[int], int]], key: Any) -> list[tuple[list[int], int]]:
    joined: list[tuple[list[int], int]] = []
    for members, repeats in groups:
        last = joined[-1] if joined else None
        if last is not None and repeats == last[1] == 1 and key(members[0]) and key(last[0][-1]) == key(members[0]):
            joined[-1] = (last[0] + members, 1)
        else:
            joined.append((members, repeats))
    return joined


def _chunked(groups: list[tuple[list[int], int]], size: int) -> list[tuple[list[int], int]]:
    chunks: list[tuple[list[int], int]] = []
    room = 0
    for members, repeats in groups:
        if repeats == 1 and room > 0:
            chunks[-1] = (chunks[-1][0] + members, 1)
            room -= 1
        else:
            chunks.append((members, repeats))
            room = size - 1 if repeats == 1 else 0
    return chunks


def _with_echoes(boxes: list[Box]) -> list[Box]:
    """An input that is used far apart is drawn again beside each far user instead of with a long line."""
    from .layout import layers_of

    layer = layers_of(len(boxes), [(a, n) for n, b in enumerate(boxes) for a in b.inputs])
    echoes: dict[tuple[int, int], int] = {}
    for n in range(len(boxes)):
        for a in list(boxes[n].inputs):
            if boxes[a].inputs or layer[n] - layer[a] <= LONG_WAY:
                continue
            key = (a, layer[n] // 3)
            if key not in echoes:
                echoes[key] = len(boxes)
                echo = Box(boxes[a].kind, boxes[a].items)
                echo.echo = a
                boxes.append(echo)
            boxes[n].inputs[echoes[key]] = boxes[n].inputs.pop(a)
    return boxes


def _write(items: list[Item], box: Box) -> None:
    members = [items[k] for k in box.items]
    last = members[-1]
    box.target = any(i.target for i in members)
    if box.kind == "folded":
        _write_folded(items, box, members)
        return
    if len(members) > 1:
        what = {"input": "inputs", "variable": "variables", "number": "numbers"}.get(box.kind, "values")
        names = [i.name for i in members if i.name]
        box.title = f"{len(members)} {what}"
        box.rows = [shorten(", ".join(dict.fromkeys(names)), 26)] if names else []
        shapes = list(dict.fromkeys(spec_text(i.spec) for i in members))
        box.rows.append(shapes[0] if len(shapes) == 1 else f"{shapes[0]} and others")
    else:
        name = shorten(last.name, 22)
        if box.kind in ("operation", "outside"):
            text = shorten(op_text(items, last), 26)
            box.title = f"{name} = {text}" if name else text
        else:
            box.title = name or (number_text(last.value) if box.kind == "number" and last.value is not None else box.kind)
        if box.echo is not None:
            return
        box.rows = [spec_text(last.spec)]
    values = [i.value for i in members if i.value is not None]
    grads = [i.grad for i in members if i.grad is not None]
    if len(members) == 1 and box.kind != "number":
        if values:
            box.rows.append(value_text(values[0]))
        if grads:
            box.rows.append(f"∂ {value_text(grads[0])}")
    box.value, box.grad = _mean(values), _mean(grads)
    if box.kind == "outside":
        box.rows.append("outside the tape")
    _describe(items, box, members)


def _mean(values: list[Any]) -> float | None:
    """The magnitude of several values together."""
    found = [m for m in map(magnitude, values) if m is not None]
    if not found:
        return None
    if any(math.isnan(m) for m in found):
        return math.nan
    total = sum(10.0 ** m for m in found) / len(found)
    return math.log10(total) if total else -math.inf


def _write_folded(items: list[Item], box: Box, members: list[Item]) -> None:
    period = len(members) // box.repeats
    ops = [i.op.name for i in members[:period]]  # type: ignore[union-attr]
    last = members[-1]
    lines = list(dict.fromkeys(i.line for i in members if i.line))
    box.title = f"{box.repeats} × {ops[0]}" if period == 1 else f"{box.repeats} × {period} operations" if box.repeats > 1 \
        else f"{len(members)} operations"
    rows, row = [], ""
    for op in ops[:9] if period > 1 else []:
        if row and len(row) + len(op) > 28:
            rows.append(row + " →")
            row = op
        else:
            row = f"{row} → {op}" if row else op
    if row:
        rows.append(row)
    if period > 9:
        rows[-1] += " …"
    box.rows = rows[:4]
    if len(lines) == 1:
        box.rows.append(shorten(where_text(lines[0]), 30))
    early = members[period - 1]
    for sign, arrow, first, final in (("", "→", early.value, last.value), ("∂ ", "←", early.grad, last.grad)):
        if final is None or first is None:
            continue
        if box.repeats > 1 and np.asarray(first).size == np.asarray(final).size == 1:
            texts = [number_text(np.asarray(v).reshape(())[()]) for v in (first, final)]
            box.rows.append(f"{sign}{texts[0]} {arrow} … {arrow} {texts[1]}")
        else:
            box.rows.append(sign + value_text(final))
    grads = [i.grad for i in members if i.grad is not None]
    box.value, box.grad = _mean([i.value for i in members if i.value is not None]), _mean(grads)
    _describe(items, box, members)


def _describe(items: list[Item], box: Box, members: list[Item]) -> None:
    last = members[-1]
    about = box.about
    if box.kind in ("operation", "outside"):
        about.append(("operation", last.op.name + (f" ({params_text(last)})" if params_text(last) else "")))  # type: ignore[union-attr]
        for a in last.inputs:
            given = items[a]
            label = given.name or (given.op.name if given.kind == "operation" else given.kind)  # type: ignore[union-attr]
            about.append(("operand", f"{label}: {spec_text(given.spec)}"
                          + (f" = {value_text(given.value)}" if given.value is not None else "")))
    elif box.kind == "folded":
        names = list(dict.fromkeys(i.op.name for i in members))  # type: ignore[union-attr]
        about.append(("operations", shorten(f"{len(members)}: {', '.join(names)}", 200)))
    elif len(members) > 1:
        about += [("holds", f"{i.name or i.kind}: {spec_text(i.spec)}") for i in members[:12]]
    if len(members) == 1:
        about.append(("result", spec_text(last.spec) + (f" = {value_text(last.value)}" if last.value is not None else "")))
        if last.grad is not None:
            about.append(("cotangent", value_text(last.grad)))
    if last.watched and len(members) == 1:
        about.append(("watched", "its gradient is recorded"))
    for note in dict.fromkeys(i.note for i in members if i.note):
        about.append(("note", note))
        if len(about) > 14:
            break
    for line in list(dict.fromkeys(i.line for i in members if i.line))[:6]:
        text = next(i.text for i in members if i.line == line)
        about.append(("line", where_text(line) + (f"  {shorten(text, 90)}" if text else "")))

"""A drawing as a page of its own: steps, zoom, hover. It asks the network for nothing."""
from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from .drawing_boxes import Box, op_text, value_text, where_text
from .drawing_record import Item
from .drawing_svg import DARK, LIGHT, MONO, SANS, style

_TEMPLATE = Path(__file__).with_name("page.html")


def page_of(steps: dict[str, Any], svg: str, label: str) -> str:
    """The page as text; ``steps`` are those of steps_of."""
    data = json.dumps(steps, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    light, dark = ("".join(f"--a-{k}:{v};" for k, v in c.items()) for c in (LIGHT, DARK))
    parts = {
        "TITLE": escape(label), "SANS": SANS, "MONO": MONO, "SVG": svg, "DATA": data,
        "COLOURS": f":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{style()}"}
    return re.sub(r"\b(TITLE|SANS|MONO|SVG|DATA|COLOURS)\b", lambda found: parts[found[1]], _TEMPLATE.read_text(encoding="utf-8"))


def steps_of(boxes: list[Box], items: list[Item]) -> dict[str, Any]:
    """What the page says at each step."""
    order = sorted((n for n, b in enumerate(boxes) if b.kind in ("operation", "folded") or b.inputs),
                   key=lambda n: boxes[n].items[0])
    steps = [_forward(n, boxes, items) for n in order]
    steps += [_backward(n, boxes, items) for n in reversed(order) if boxes[n].grad is not None]
    given = [n for n, b in enumerate(boxes) if n not in set(order)]
    return {
        "boxes": [{"title": b.title, "about": b.about or (boxes[b.echo].about if b.echo is not None else []), "echo": b.echo}
                  for b in boxes],
        "steps": steps, "forward": len(order), "given": given,
        "intro": "The record as it was computed, from inputs at the top to the target at the bottom. "
                 "Step through it with the arrow keys: forward the values, then backward the cotangents (∂)."}


def _source(box: Box, items: list[Item]) -> list[tuple[str, str]]:
    last = items[box.items[-1]]
    return [("line", where_text(last.line) + (f"  {last.text}" if last.text else ""))] if last.line else []


def _forward(n: int, boxes: list[Box], items: list[Item]) -> dict[str, Any]:
    box = boxes[n]
    last = items[box.items[-1]]
    rows: list[tuple[str, str]] = []
    if box.kind == "operation":
        for a in last.inputs:
            given = items[a]
            name = given.name or (op_text(items, given) if given.kind == "operation" else given.kind)
            rows.append((name, value_text(given.value) if given.value is not None else "unknown"))
    if last.value is not None:
        rows.append(("result", value_text(last.value)))
    return {"box": n, "what": f"computes {box.title}", "rows": rows + _source(box, items), "to": []}


def _backward(n: int, boxes: list[Box], items: list[Item]) -> dict[str, Any]:
    box = boxes[n]
    last = items[box.items[-1]]
    rows: list[tuple[str, str]] = []
    if last.grad is not None:
        rows.append((f"∂ of {last.name or 'the result'}", value_text(last.grad)))
    to = []
    for a, flows in box.inputs.items():
        if flows:
            echo = boxes[a].echo
            inner = a if echo is None else echo
            to.append(inner)
            given = items[boxes[inner].items[-1]]
            if given.grad is not None and len(boxes[inner].items) == 1:
                rows.append((f"∂ of {given.name or boxes[inner].title} (in all)", value_text(given.grad)))
    return {"box": n, "what": f"hands back through {box.title}", "rows": rows + _source(box, items), "to": to}

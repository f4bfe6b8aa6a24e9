"""tape.draw: a layered drawing of what a tape recorded."""
from __future__ import annotations

import os
import tempfile
from functools import cached_property
from typing import Any

from .drawing_boxes import boxes_of
from .drawing_png import save_png
from .drawing_record import Record
from .drawing_svg import box_size, svg_of
from .layout import place
from .page import page_of, steps_of

FORMATS = ("svg", "png", "html")


class Drawing:
    """A drawing of a tape's record; Jupyter shows it by itself.

    boxes   what is drawn: ``title``, ``rows``, ``kind``, ``inputs``, ``about`` of each
    svg     the drawing as SVG
    html    a page of its own that steps through the computation (arrow keys), zooms and tells more on hover
    """

    def __init__(self, record: Record, fold: bool | None = None) -> None:
        items = record.items
        self.boxes = boxes_of(items, fold)
        self._steps = steps_of(self.boxes, items)        # texts only: a drawing must not hold the arrays
        self._values, self._operations = len(items), sum(i.kind == "operation" for i in items)
        self.edges = [(a, n) for n, box in enumerate(self.boxes) for a in box.inputs]

    @cached_property
    def placed(self) -> Any:
        return place([box_size(b) for b in self.boxes], self.edges)

    @property
    def label(self) -> str:
        ops = self._operations
        return f"adjoint: a record of {ops} operation{'s' * (ops != 1)} in {len(self.boxes)} boxes"

    @cached_property
    def svg(self) -> str:
        return svg_of(self.boxes, self.placed, self.edges, self.label)

    @cached_property
    def html(self) -> str:
        inside = svg_of(self.boxes, self.placed, self.edges, self.label, embedded=True)
        return page_of(self._steps, inside, self.label)

    def png(self) -> bytes:
        """The drawing as PNG; needs the extra "plot"."""
        import io

        out = io.BytesIO()
        save_png(out, self.boxes, self.placed, self.edges)
        return out.getvalue()

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Drawing:
        """Write the drawing to a file; the format is that of its name unless given ("svg", "png", "html")."""
        name = os.fspath(path)
        kind = (format or os.path.splitext(name)[1].lstrip(".")).lower()
        if kind == "htm":
            kind = "html"
        if kind not in FORMATS:
            raise ValueError(f"Drawing.save: the format must be one of {', '.join(FORMATS)}, got {kind or name!r}; name the file "
                             f"x.svg, x.png or x.html, or give format=")
        data = self.png() if kind == "png" else (self.svg if kind == "svg" else self.html).encode()
        folder = os.path.dirname(os.path.abspath(name))
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:   # whole or not at all
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(file.name, 0o666 & ~mask)
        os.replace(file.name, name)
        return self

    def _repr_svg_(self) -> str:
        return self.svg

    def _repr_html_(self) -> str:
        return f'<div style="overflow:auto;max-height:48em">{self.svg}</div>'

    def __repr__(self) -> str:
        return f"<Drawing of {self._values} values in {len(self.boxes)} boxes: show it in Jupyter or save('tape.html')>"


def draw(tape: Any, target: Any = None, path: Any = None, format: str | None = None, fold: bool | None = None,
         frame: Any = None) -> Drawing:
    """A drawing of what ``tape`` recorded on the way to ``target`` (all of it without one), written to ``path`` if given.

    ``frame`` is where the names of tensors and variables are looked up: where this was called, unless given.
    """
    drawing = Drawing(Record(tape, target, frame), fold)
    if path is not None:
        drawing.save(path, format)
    elif format is not None and format not in FORMATS:
        raise ValueError(f"GradientTape.draw: format must be one of {', '.join(FORMATS)}, got {format!r}")
    return drawing

"""A drawing as a PNG file, through Matplotlib."""
from __future__ import annotations

import math
from typing import Any

from .._errors import NotSupportedError
from .drawing_boxes import Box
from .drawing_svg import (
    CIVIDIS,
    LEGEND,
    LIGHT,
    LINE,
    MARGIN,
    PAD,
    ROW,
    STRIP,
    TITLE,
    box_size,
    colour,
    decade,
    scale_of,
)
from .layout import Placed

_FONTS = ("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "PingFang SC",
          "Hiragino Sans GB", "Microsoft YaHei", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Arial Unicode MS")


def matplotlib_for(what: str) -> Any:
    """Matplotlib, or an error that names the extra."""
    try:
        import matplotlib
    except ImportError as error:
        raise NotSupportedError(f"{what} needs Matplotlib, which is not installed: pip install 'adjoint[plot]'") from error
    return matplotlib


def fonts() -> list[str]:
    """Fonts of this machine that between them show Latin and Chinese text."""
    from matplotlib import font_manager

    known = {f.name for f in font_manager.fontManager.ttflist}
    return [f for f in _FONTS if f in known] or ["sans-serif"]


def save_png(path: Any, boxes: list[Box], placed: Placed, edges: list[tuple[int, int]], dpi: float = 144.0) -> None:
    """Write the drawing; the longer side is kept below 16,000 pixels."""
    matplotlib_for("a drawing as PNG")
    from matplotlib import patches
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.path import Path

    width = max(placed.width + 2 * MARGIN, 560.0)
    shift = (width - placed.width) / 2
    height = placed.height + 2 * MARGIN + LEGEND
    c, scale = LIGHT, scale_of(boxes)
    figure = Figure(figsize=(width / 96, height / 96), facecolor=c["page"])
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    family = fonts()
    point = 72 / 96

    def rect(x: float, y: float, w: float, h: float, face: str, edge: str = "none", lw: float = 0.0, dashed: bool = False,
             rounded: float = 0.0) -> None:
        box = patches.FancyBboxPatch((x + rounded, y + rounded), w - 2 * rounded, h - 2 * rounded,
                                     boxstyle=f"round,pad={rounded}" if rounded else "square,pad=0", facecolor=face,
                                     edgecolor=edge, linewidth=lw * point, linestyle="--" if dashed else "-")
        axes.add_patch(box)

    def text(x: float, y: float, words: str, size: float, ink: str, **how: Any) -> None:
        axes.text(x, y, words.replace("$", r"\$"), fontsize=size * point, color=ink, family=family,
                  **{"ha": "center", "va": "baseline", **how})

    for (a, b), way in zip(edges, placed.ways):
        flows = boxes[b].inputs[a]
        way = [(x + shift, y + MARGIN) for x, y in way]
        end = way[-1]
        way[-1] = (end[0], end[1] - 6)
        vertices, codes = [way[0]], [Path.MOVETO]
        for (x, y), (p, q) in zip(way, way[1:]):
            bend = (q - y) * 0.5
            vertices += [(x, y + bend), (p, q - bend), (p, q)]
            codes += [Path.CURVE4] * 3
        ink = c["edge"] if flows else c["dead"]
        axes.add_patch(patches.PathPatch(Path(vertices, codes), facecolor="none", edgecolor=ink, lw=1.4 * point,
                                         linestyle="-" if flows else (0, (3, 3))))
        axes.add_patch(patches.Polygon([(end[0] - 4, end[1] - 8), (end[0] + 4, end[1] - 8), end], facecolor=ink))
    for box, (x, y) in zip(boxes, placed.places):
        x, y = x + shift, y + MARGIN
        w, h = box_size(box)
        rect(x, y, w, h, c[box.kind], c["target"] if box.target else c["frame"], 2.4 if box.target else 1.2,
             box.kind == "outside", 6.0)
        for m, left in ((box.value, x + 3), (box.grad, x + w - 3 - STRIP)):
            if m is not None:
                bad, zero = math.isnan(m) or m == math.inf, m == -math.inf
                rect(left, y + 7, STRIP, h - 14, c["bad"] if bad else c["page"] if zero else colour(m, scale),
                     c["soft"] if zero else "none", 1.0)
        text(x + w / 2, y + PAD + TITLE - 2, box.title, TITLE, c["ink"], weight="bold")
        for k, row in enumerate(box.rows):
            text(x + w / 2, y + PAD + TITLE + LINE * (k + 1) - 3, row, ROW * 0.94, c["soft"])
    left, top = max((width - 500) / 2, 10), height - LEGEND
    if any(b.value is not None for b in boxes):
        for k in range(80):
            m = scale[0] + (scale[1] - scale[0]) * (k + 0.5) / 80
            rect(left + k * 2.5, top, 2.7, 10, colour(m, scale))
        for x, words, side in (
                (0, decade(scale[0]), "left"), (100, "mean magnitude", "center"), (200, decade(scale[1]), "right")):
            text(left + x, top + 25, words, ROW, c["soft"], ha=side)
        rect(left + 226, top, 10, 10, c["page"], c["soft"], 1.0)
        text(left + 242, top + 10, "zero", ROW, c["soft"], ha="left")
        rect(left + 290, top, 10, 10, c["bad"])
        text(left + 306, top + 10, "not finite", ROW, c["soft"], ha="left")
    text(left + 226, top + 25, "left edge: value · right edge: cotangent (∂)", ROW * 0.94, c["soft"], ha="left")
    axes.plot([left, left + 30], [top + 42] * 2, color=c["edge"], lw=1.4 * point)
    text(left + 38, top + 46, "a gradient comes back", ROW, c["soft"], ha="left")
    axes.plot([left + 226, left + 256], [top + 42] * 2, color=c["dead"], lw=1.4 * point, ls=(0, (3, 3)))
    text(left + 264, top + 46, "no gradient comes back", ROW, c["soft"], ha="left")
    figure.savefig(path, dpi=min(dpi, 96 * 16_000 / max(width, height)), format="png")


__all__ = ["CIVIDIS", "fonts", "matplotlib_for", "save_png"]

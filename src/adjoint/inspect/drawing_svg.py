"""A drawing as SVG: boxes, edges, legend. Colours are cividis, which reads the same to the colour-blind."""
from __future__ import annotations

import math
from html import escape

from .drawing_boxes import Box, text_width
from .layout import Placed, Point

TITLE, ROW, LINE, PAD, STRIP = 13.0, 11.5, 16.0, 9.0, 7.0
MARGIN, LEGEND = 24.0, 74.0
CIVIDIS = ((0, 34, 78), (18, 53, 112), (59, 73, 108), (87, 93, 109), (112, 113, 115), (138, 134, 120), (165, 156, 116),
           (195, 179, 105), (225, 204, 85), (254, 232, 56))
SANS = ("system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', 'Noto Sans', 'PingFang SC', 'Hiragino Sans GB', "
        "'Microsoft YaHei', 'Noto Sans CJK SC', 'Source Han Sans SC', 'WenQuanYi Micro Hei', sans-serif")
MONO = ("ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', 'PingFang SC', 'Microsoft YaHei', "
        "'Noto Sans Mono CJK SC', 'Noto Sans CJK SC', monospace")
LIGHT = {"page": "#ffffff", "ink": "#1c2733", "soft": "#5a6875", "edge": "#33658a", "dead": "#a4adb6", "frame": "#8a97a3",
         "target": "#b03a52", "bad": "#d1204a", "operation": "#f3f5f8", "input": "#e3f0fa", "variable": "#fdf0d8",
         "number": "#f0f0f0", "folded": "#ece8f6", "outside": "#fafafa"}
DARK = {"page": "#14181d", "ink": "#e6ebf0", "soft": "#a3b0bc", "edge": "#7fb2d9", "dead": "#5c6874", "frame": "#677684",
        "target": "#ff8fa3", "bad": "#ff6b8a", "operation": "#222a32", "input": "#173347", "variable": "#433414",
        "number": "#2b2b2b", "folded": "#312a47", "outside": "#1a1e23"}
KINDS = ("operation", "input", "variable", "number", "folded", "outside")


def box_size(box: Box) -> Point:
    widths = [text_width(box.title, TITLE), *[text_width(r, ROW, True) for r in box.rows], 44.0]
    return max(widths) + 2 * (PAD + STRIP), 2 * PAD + TITLE + LINE * len(box.rows)


def scale_of(boxes: list[Box]) -> tuple[float, float]:
    """The decades that the colours span."""
    seen = [m for b in boxes for m in (b.value, b.grad) if m is not None and math.isfinite(m)]
    low, high = (math.floor(min(seen)), math.ceil(max(seen))) if seen else (0, 0)
    low = max(low, high - 24)
    if high - low < 2:
        low, high = low - 1, high + 1
    return float(low), float(high)


def colour(m: float, scale: tuple[float, float]) -> str:
    """The colour of a magnitude (log10)."""
    t = min(max((m - scale[0]) / (scale[1] - scale[0]), 0.0), 1.0) * (len(CIVIDIS) - 1)
    k = min(int(t), len(CIVIDIS) - 2)
    return "#" + "".join(f"{round(a + (b - a) * (t - k)):02x}" for a, b in zip(CIVIDIS[k], CIVIDIS[k + 1]))


def style(prefix: str = ".adjoint-drawing") -> str:
    """The style sheet, for light and dark."""
    def colours(c: dict[str, str]) -> str:
        return "".join(f"--a-{k}:{v};" for k, v in c.items())

    p = prefix
    return (
        f"{p}{{{colours(LIGHT)}font-family:{SANS}}}"
        f"@media (prefers-color-scheme:dark){{{p}{{{colours(DARK)}}}}}"
        f"{p} .a-page{{fill:var(--a-page)}}{p} text{{fill:var(--a-ink);font-size:{ROW}px;text-anchor:middle}}"
        f"{p} .a-t{{font-size:{TITLE}px;font-weight:600}}{p} .a-r{{font-family:{MONO};fill:var(--a-soft)}}"
        f"{p} .a-l{{text-anchor:start;fill:var(--a-soft)}}{p} .a-b>rect:first-of-type{{stroke:var(--a-frame);stroke-width:1.2}}"
        + "".join(f"{p} .a-{k}>rect:first-of-type{{fill:var(--a-{k})}}" for k in KINDS)
        + f"{p} .a-outside>rect:first-of-type{{stroke-dasharray:5 4}}"
        f"{p} .a-goal>rect:first-of-type{{stroke:var(--a-target);stroke-width:2.4}}"
        f"{p} .a-e{{fill:none;stroke:var(--a-edge);stroke-width:1.4}}{p} .a-e.a-d{{stroke:var(--a-dead);stroke-dasharray:4 4}}"
        f"{p} .a-h{{fill:var(--a-edge)}}{p} .a-hd{{fill:var(--a-dead)}}"
        f"{p} .a-sv,{p} .a-sg{{stroke:var(--a-frame);stroke-width:.7}}"
        f"{p} .a-zero{{fill:var(--a-page);stroke:var(--a-soft)}}{p} .a-bad{{fill:var(--a-bad)}}")


def path_of(way: list[Point]) -> str:
    """A smooth path through the points, leaving and arriving upright."""
    x, y = way[0]
    parts = [f"M{x:.1f} {y:.1f}"]
    for p, q in way[1:]:
        if abs(p - x) < 0.3:
            parts.append(f"V{q:.1f}")
        else:
            bend = (q - y) * 0.5
            parts.append(f"C{x:.1f} {y + bend:.1f} {p:.1f} {q - bend:.1f} {p:.1f} {q:.1f}")
        x, y = p, q
    return "".join(parts)


def svg_of(boxes: list[Box], placed: Placed, edges: list[tuple[int, int]], label: str, embedded: bool = False) -> str:
    """The whole drawing. ``embedded``: for the page, which brings styles, hover and a view of its own."""
    scale = scale_of(boxes)
    width = max(placed.width + 2 * MARGIN, 560.0)
    shift = (width - placed.width) / 2
    height = placed.height + 2 * MARGIN + LEGEND
    out = [f'<svg class="adjoint-drawing" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
           f'aria-label="{escape(label, True)}"'
           + ("" if embedded else f' width="{width:.0f}" height="{height:.0f}" style="max-width:100%;height:auto"') + ">"]
    if not embedded:
        out.append(f"<title>{escape(label)}</title><style>{style()}</style>")
    out.append(f'<rect class="a-page" width="{width:.0f}" height="{height:.0f}" rx="6"/><g class="a-all">')
    for (a, b), way in zip(edges, placed.ways):
        way = [(x + shift, y + MARGIN) for x, y in way]
        x, y = way[-1]
        way[-1] = (x, y - 6)
        dead = "" if boxes[b].inputs[a] else " a-d"
        out.append(f'<path class="a-e{dead}" data-a="{a}" data-b="{b}" d="{path_of(way)}"/>'
                   f'<path class="a-h{"d" if dead else ""}" data-a="{a}" data-b="{b}" '
                   f'd="M{x - 4:.1f} {y - 8:.1f}h8L{x:.1f} {y:.1f}Z"/>')
    for n, box in enumerate(boxes):
        x, y = placed.places[n]
        out.append(_box(n, box, (x + shift, y + MARGIN), scale, embedded))
    out.append("</g>" + _legend(boxes, scale, width, height - LEGEND) + "</svg>")
    return "".join(out)


def _box(n: int, box: Box, at: Point, scale: tuple[float, float], embedded: bool) -> str:
    w, h = box_size(box)
    goal = " a-goal" if box.target else ""
    parts = [f'<g class="a-b a-{box.kind}{goal}" data-n="{n}" transform="translate({at[0]:.1f} {at[1]:.1f})">']
    if not embedded:
        about = "\n".join(f"{k}: {v}" for k, v in box.about)
        parts.append(f"<title>{escape(about or box.title)}</title>")
    parts.append(f'<rect width="{w:.1f}" height="{h:.1f}" rx="7"/>')
    for m, x, kind in ((box.value, 3.0, "v"), (box.grad, w - 3.0 - STRIP, "g")):
        if m is not None:
            parts.append(_strip(m, x, h, scale, kind))
    parts.append(f'<text class="a-t" x="{w / 2:.1f}" y="{PAD + TITLE - 2:.1f}">{escape(box.title)}</text>')
    for k, row in enumerate(box.rows):
        kind = " a-g" if row.startswith("∂") else ""
        parts.append(f'<text class="a-r{kind}" x="{w / 2:.1f}" y="{PAD + TITLE + LINE * (k + 1) - 3:.1f}">{escape(row)}</text>')
    parts.append("</g>")
    return "".join(parts)


def _strip(m: float, x: float, h: float, scale: tuple[float, float], kind: str) -> str:
    place = f'x="{x:.1f}" y="7" width="{STRIP:.0f}" height="{h - 14:.1f}" rx="2"'
    if math.isnan(m) or m == math.inf:
        return f'<rect class="a-bad a-s{kind}" {place}/>'
    if m == -math.inf:
        return f'<rect class="a-zero a-s{kind}" {place}/>'
    return f'<rect class="a-s{kind}" {place} fill="{colour(m, scale)}"/>'


def decade(m: float) -> str:
    """10 to the power of m, short."""
    k = round(m)
    return {0: "1", 1: "10", -1: "0.1", 2: "100", -2: "0.01", 3: "1000", -3: "0.001"}.get(k, f"1e{k}".replace("-", "−"))


def _legend(boxes: list[Box], scale: tuple[float, float], width: float, top: float) -> str:
    left = max((width - 500) / 2, 10)
    out = [f'<g transform="translate({left:.1f} {top:.1f})">']
    if any(b.value is not None for b in boxes):
        steps = 40
        for k in range(steps):
            m = scale[0] + (scale[1] - scale[0]) * (k + 0.5) / steps
            out.append(f'<rect x="{k * 5}" y="0" width="5.4" height="10" fill="{colour(m, scale)}"/>')
        out.append(f'<text class="a-l" x="0" y="25">{decade(scale[0])}</text>'
                   f'<text x="100" y="25" style="fill:var(--a-soft)">mean magnitude</text>'
                   f'<text x="200" y="25" style="text-anchor:end;fill:var(--a-soft)">{decade(scale[1])}</text>')
        out.append('<rect class="a-zero" x="226" y="0" width="10" height="10"/><text class="a-l" x="242" y="10">zero</text>'
                   '<rect class="a-bad" x="290" y="0" width="10" height="10"/><text class="a-l" x="306" y="10">not finite</text>')
    out.append('<text class="a-l" x="226" y="25">left edge: value · right edge: cotangent (∂)</text>'
               '<path class="a-e" d="M0 42H30"/><text class="a-l" x="38" y="46">a gradient comes back</text>'
               '<path class="a-e a-d" d="M226 42H256"/><text class="a-l" x="264" y="46">no gradient comes back</text></g>')
    return "".join(out)

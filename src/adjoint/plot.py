"""Pictures of functions, descents, gradients and losses, with Matplotlib (``pip install 'adjoint[plot]'``).

Each function returns a Matplotlib Figure, which Jupyter shows by itself, and takes over the text colour of the current
style, so that a dark background works:

    with matplotlib.pyplot.style.context("dark_background"):
        ad.plot.function(ad.tanh)
"""
from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from . import _nest
from ._dtypes import float64
from ._errors import NotSupportedError, ShapeError, complain
from ._tensor import Value, Variable
from .inspect.drawing_png import fonts, matplotlib_for
from .optim import Optimizer
from .primitives import constant, sum
from .tape import GradientTape

__all__ = ["descent", "function", "gradient_flow", "landscape"]

# Okabe and Ito's palette without black and yellow: told apart by the colour-blind, readable on white and on black.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")


def _figure(what: str, width: float, height: float) -> Any:
    """A new figure that no window manager holds on to."""
    matplotlib_for(f"plot.{what}")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure_class()(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


@cache
def _figure_class() -> Any:
    """Matplotlib's Figure, which shows itself in Jupyter also where pyplot was never imported."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            out = io.BytesIO()
            self.savefig(out, format="png", dpi=110)
            return out.getvalue()

    return Picture


def _finish(figure: Any) -> Any:
    """Fonts that hold every character, on every text of the figure."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if not text.get_text().isascii():
            text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), *fonts()])))
    return figure


def _dark() -> bool:
    import matplotlib
    from matplotlib.colors import to_rgb

    return float(np.mean(to_rgb(matplotlib.rcParams["axes.facecolor"]))) < 0.5


def _name(f: Any, given: str | None) -> str:
    if given is not None:
        return given
    name = getattr(f, "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else str(name)


def _ticks(axes: Any) -> None:
    axes.grid(True, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def function(f: Callable[[Any], Any], domain: tuple[float, float] = (-5.0, 5.0), orders: int = 2, points: int = 801,
             name: str | None = None) -> Any:
    """Draws f, f' and f'' over ``domain``, each computed with tapes in float64.

    f       a function of one real tensor that acts on each element (ad.tanh, or your own)
    domain  (low, high)
    orders  how many derivatives to draw, 0 to 4
    points  at how many places f is evaluated
    name    what to call it; the function's own name by default

    >>> import adjoint as ad
    >>> figure = ad.plot.function(ad.sigmoid, (-8, 8))
    >>> [line.get_label() for line in figure.axes[0].lines[:3]]
    ['sigmoid', "sigmoid'", "sigmoid''"]
    """
    low, high = _interval("plot.function", "domain", domain)
    if not 0 <= orders <= 4:
        raise ValueError(complain("plot.function", "orders", "0 to 4", orders))
    xs = np.linspace(low, high, points)
    curves = _derivatives(f, xs, orders)
    figure = _figure("function", 7.2, 4.4)
    axes = figure.subplots()
    label = _name(f, name)
    for k, ys in enumerate(curves):
        axes.plot(xs, np.where(np.isfinite(ys), ys, np.nan), color=COLOURS[k], linestyle=DASHES[k], linewidth=2.2 - 0.2 * k,
                  label=label + "'" * k)
    axes.axhline(0.0, color=axes.xaxis.label.get_color(), linewidth=0.6, alpha=0.5, zorder=0)
    axes.set(xlabel="x", ylabel="value", xlim=(low, high), title=f"{label} and its derivatives" if orders else label)
    limits = _limits(curves)
    if limits is not None:
        axes.set_ylim(*limits)
    _ticks(axes)
    axes.legend(loc="best", frameon=True, framealpha=0.8)
    return _finish(figure)


def _interval(what: str, argument: str, given: Any) -> tuple[float, float]:
    try:
        low, high = (float(v) for v in given)
    except (TypeError, ValueError):
        raise ValueError(complain(what, argument, "a pair (low, high)", f"{given!r:.60}")) from None
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(complain(what, argument, "a pair (low, high) of finite numbers, low < high", f"({low}, {high})"))
    return low, high


def _derivatives(f: Callable[[Any], Any], xs: Any, orders: int) -> list[Any]:
    """f and its derivatives at the points; zeros where a derivative is None."""
    x = constant(xs, dtype=float64)
    tapes = [GradientTape() for _ in range(orders)]
    for tape in reversed(tapes):
        tape.__enter__()
        tape.watch(x)
    curves: list[Any] = []
    entered = list(tapes)
    try:
        y = f(x)
        if not isinstance(y, Value) or y.shape != x.shape:
            got = f"shape {tuple(y.shape)}" if isinstance(y, Value) else f"{y!r:.60}"
            raise ShapeError(complain("plot.function", "the result of f", f"a tensor of its argument's shape {tuple(x.shape)}",
                                      got, "f must act on each element"))
        curves.append(y)
        for tape in tapes:
            entered.remove(tape)
            tape.__exit__(None, None, None)
            y = tape.gradient(y, x) if y is not None else None
            curves.append(y)
    finally:
        for tape in entered:
            tape.__exit__(None, None, None)
    return [np.zeros(len(xs)) if y is None else y.numpy() for y in curves]


def _limits(curves: list[Any]) -> tuple[float, float] | None:
    """Limits that show the curves, without a pole taking all the room."""
    values = np.concatenate(curves)
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, (2, 98))
    span = max(high - low, 1e-12)
    least, most = max(values.min(), low - span), min(values.max(), high + span)
    room = 0.06 * max(most - least, 1e-12)
    return float(least - room), float(most + room)


# ---------------------------------------------------------------------------------------------------------------------

_TURN = (4, 2, 1, 3, 5, 0)                               # colours of ways, those that stand out from cividis first


def descent(f: Callable[[Any, Any], Any], paths: Any, domain: Any = None, start: Any = None, steps: int = 60,
            surface: bool = False, points: int = 161, levels: int = 24) -> Any:
    """Draws f on contours with the ways that descents take over it, and how high each is after each step.

    f        a function of two tensors x and y that acts on each element
    paths    {name: path}: a path is an array or list of points (x, y), or an optimizer (ad.optim.Adam(0.1)) that is run from
             ``start`` for ``steps`` steps; a single path or optimizer stands without a name
    domain   ((x low, x high), (y low, y high)); around the paths by default
    start    where optimizers start
    surface  a surface in three dimensions in place of contours

    >>> import adjoint as ad
    >>> bowl = lambda x, y: x * x + 3 * y * y
    >>> figure = ad.plot.descent(bowl, {"plain": ad.optim.SGD(0.1), "Adam": ad.optim.Adam(0.2)}, start=(2.0, 1.0), steps=20)
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['plain', 'Adam']
    """
    named = dict(paths) if isinstance(paths, Mapping) else {"descent": paths}
    if not named:
        raise ValueError(complain("plot.descent", "paths", "at least one path or optimizer", "none"))
    ways = {str(k): _way(f, p, start, steps, str(k)) for k, p in named.items()}
    everything = np.concatenate([w[np.isfinite(w).all(1)] for w in ways.values()])
    if domain is None:
        middle, reach = (everything.min(0) + everything.max(0)) / 2, np.ptp(everything, 0)
        reach = np.maximum(reach, 0.25 * max(float(reach.max()), 1e-6)) * 0.65
        box = [(float(m - r), float(m + r)) for m, r in zip(middle, reach)]
    else:
        try:
            first, second = domain
        except (TypeError, ValueError):
            raise ValueError(complain("plot.descent", "domain", "((x low, x high), (y low, y high))",
                                      f"{domain!r:.60}")) from None
        box = [_interval("plot.descent", "domain", first), _interval("plot.descent", "domain", second)] if np.ndim(first) else [
            _interval("plot.descent", "domain", domain)] * 2
    xs, ys = np.meshgrid(np.linspace(*box[0], points), np.linspace(*box[1], points))
    heights = _on(f, xs, ys)
    figure = _figure("descent", 10.4, 4.8)
    from matplotlib.patheffects import withStroke

    grid = figure.add_gridspec(1, 2, width_ratios=(1.35, 1.0), wspace=0.08)
    left = figure.add_subplot(grid[0], projection="3d" if surface else None)
    right = figure.add_subplot(grid[1])
    if surface:
        _surface(figure, left, xs, ys, heights, "f(x, y)")
    else:
        _contours(figure, left, xs, ys, heights, levels, "f(x, y)")
    ink = right.xaxis.label.get_color()
    halo = [withStroke(linewidth=3.4, foreground="white")]   # so that each stands out from every height
    lowest = min(float(np.nanmin(heights)), *[float(np.nanmin(_on(f, w[:, 0], w[:, 1]))) for w in ways.values()])
    for k, (name, way) in enumerate(ways.items()):
        colour, marker = COLOURS[_TURN[k % len(COLOURS)]], MARKERS[k % len(MARKERS)]
        z = _on(f, way[:, 0], way[:, 1])
        inside = np.all([(way[:, d] >= box[d][0]) & (way[:, d] <= box[d][1]) for d in (0, 1)], 0)
        how = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.7, "label": name,
               "markevery": max(1, len(way) // 25), "markeredgecolor": "black", "markeredgewidth": 0.4}
        if surface:
            left.plot(*np.where(inside[:, None], way, np.nan).T, np.where(inside, z, np.nan), zorder=10 + k, **how)
        else:
            left.plot(*way.T, path_effects=halo, **how)
        right.plot(np.arange(len(z)), z - lowest if lowest <= 0 else z, linestyle=DASHES[k % len(DASHES)],
                   **{**how, "color": colour})
    if not surface:
        left.set(xlim=box[0], ylim=box[1])
        first = next(iter(ways.values()))[0]
        left.plot(*first, "*", color="white", markersize=13, markeredgecolor="black", zorder=9)
    left.set(xlabel="x", ylabel="y", title="surface and ways" if surface else "contours and ways (★: the start)")
    if surface:
        left.set_zlabel("f(x, y)")
    curve = [line.get_ydata() for line in right.lines]
    positive = [c[c > 0] for c in curve]
    if all(len(c) for c in positive) and max(c.max() for c in positive) > 30 * min(c.min() for c in positive):
        right.set_yscale("log", nonpositive="mask")
    right.set(xlabel="step", ylabel="height after the step" if lowest > 0 else "height above the lowest seen", title="how fast")
    right.xaxis.label.set_color(ink)
    _ticks(right)
    left.legend(loc="upper left", framealpha=0.85)
    return _finish(figure)



def _way(f: Callable[[Any, Any], Any], path: Any, start: Any, steps: int, name: str) -> Any:
    if isinstance(path, Optimizer):
        if start is None:
            raise ValueError(complain("plot.descent", "start", "a point (x, y) where optimizers start", "none"))
        return _run(f, path, start, steps)
    if isinstance(path, Value):
        path = path.numpy()
    points = np.array([p.numpy() if isinstance(p, Value) else [float(c) for c in p] for p in path], dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ShapeError(complain("plot.descent", f"the path {name!r}", "points (x, y): shape (steps, 2)",
                                  f"shape {points.shape}"))
    return points


def _run(f: Callable[[Any, Any], Any], optimizer: Any, start: Any, steps: int) -> Any:
    if type(optimizer) is not Optimizer:                 # what it remembers of other variables has no say here
        optimizer = type(optimizer).from_config(optimizer.get_config())
    x, y = (Variable(float(c), dtype=float64) for c in start)
    way = [(float(x), float(y))]
    for _ in range(steps):
        with GradientTape() as tape:
            z = f(x, y)
        grads = tape.gradient(z, [x, y], unconnected_gradients="zero")
        optimizer.apply(grads, [x, y])
        way.append((float(x), float(y)))
        if not np.isfinite(way[-1]).all() or max(map(abs, way[-1])) > 1e12:
            break
    return np.array(way)


def _on(f: Callable[[Any, Any], Any], xs: Any, ys: Any) -> Any:
    z = f(constant(xs, dtype=float64), constant(ys, dtype=float64))
    z = z.numpy() if isinstance(z, Value) else np.asarray(z, float)
    if z.shape != np.shape(xs):
        if z.shape == ():
            return np.full(np.shape(xs), float(z))
        raise ShapeError(complain("plot.descent", "the result of f", f"of its arguments' shape {np.shape(xs)}",
                                  f"shape {z.shape}", "f must act on each element of x and y"))
    return z


def _shades(heights: Any, levels: int) -> Any:
    """Levels that are closer where the valley is flat."""
    good = heights[np.isfinite(heights)]
    if not len(good) or good.min() == good.max():
        return np.linspace(-1, 1, levels)
    low, high = float(good.min()), float(np.percentile(good, 99.5))
    high = high if high > low else float(good.max())
    return low + (high - low) * np.linspace(0, 1, levels) ** 2.2


def _contours(figure: Any, axes: Any, xs: Any, ys: Any, heights: Any, levels: int, label: str) -> None:
    import matplotlib.colors

    at = _shades(heights, levels)
    norm = matplotlib.colors.BoundaryNorm(at, 256, extend="max")
    shown = np.nan_to_num(heights, nan=at[-1], posinf=at[-1], neginf=at[0])
    filled = axes.contourf(xs, ys, shown, levels=at, cmap="cividis", norm=norm, extend="max")
    axes.contour(xs, ys, heights, levels=at[1::2], colors="white", linewidths=0.4, alpha=0.5)
    bar = figure.colorbar(filled, ax=axes, pad=0.02, ticks=at[:: max(1, levels // 6)], format="%.3g")
    bar.set_label(label)


def _surface(figure: Any, axes: Any, xs: Any, ys: Any, heights: Any, label: str) -> None:
    from matplotlib.ticker import MaxNLocator

    at = _shades(heights, 24)
    capped = np.clip(np.nan_to_num(heights, nan=at[-1]), at[0], at[-1])
    drawn = axes.plot_surface(xs, ys, capped, cmap="cividis", alpha=0.8, linewidth=0, antialiased=True, rcount=80, ccount=80)
    axes.view_init(elev=42, azim=-58)
    for axis in (axes.xaxis, axes.yaxis):                # the ends of two axes meet in one corner
        axis.set_major_locator(MaxNLocator(5, prune="both"))
    if _dark():
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.set_pane_color((0.1, 0.1, 0.1, 1.0))
    figure.colorbar(drawn, ax=axes, pad=0.12, shrink=0.7).set_label(label)


# ---------------------------------------------------------------------------------------------------------------------

def gradient_flow(grads: Any, names: Sequence[str] | None = None) -> Any:
    """Draws the magnitude of each gradient: its median, middle half and largest element, on a scale of decades.

    grads  gradients, in the order of the layers: a nest of tensors and Nones, or {name: gradient}
    names  one for each; variables give their own

    A gradient that is None, zero or not finite is marked and named as such. What shrinks from row to row vanishes.

    >>> import adjoint as ad
    >>> figure = ad.plot.gradient_flow([ad.constant([1.0, 2.0]), None], ["w", "b"])
    >>> [t.get_text() for t in figure.axes[0].get_yticklabels()]
    ['w', 'b']
    """
    if isinstance(grads, Mapping) and names is None:
        names = [str(k) for k in grads]
        flat = list(grads.values())
    else:
        flat = [grads] if isinstance(grads, Value) or grads is None else _nest.flatten(grads)
    labels = [n.name if isinstance(n, Variable) else str(n) for n in names] if names is not None else [
        f"gradient {k}" for k in range(len(flat))]
    if len(labels) != len(flat):
        raise ValueError(complain("plot.gradient_flow", "names", f"one for each of {len(flat)} gradients", len(labels)))
    if not flat:
        raise ValueError(complain("plot.gradient_flow", "grads", "at least one gradient", "none"))
    figure = _figure("gradient_flow", 7.6, 1.7 + 0.34 * len(flat))
    axes = figure.subplots()
    ink = axes.xaxis.label.get_color()
    notes: list[tuple[int, str]] = []
    spans: list[tuple[float, float]] = []
    for row, g in enumerate(flat):
        sizes = None if g is None else np.abs(np.asarray(_plain(g))).astype(float).reshape(-1)
        if sizes is None or not sizes.size:
            notes.append((row, "None: no path leads there" if sizes is None else "empty"))
            continue
        if not np.isfinite(sizes).all():
            notes.append((row, f"{int((~np.isfinite(sizes)).sum())} of {sizes.size} not finite"))
            continue
        positive = sizes[sizes > 0]
        if not positive.size:
            notes.append((row, "zero everywhere"))
            continue
        low, middle, high = np.percentile(positive, (25, 50, 75))
        axes.barh(row, high - low if high > low else low * 0.02, left=low, height=0.5, color=COLOURS[5],
                  edgecolor=COLOURS[0], linewidth=1, label="middle half" if not spans else None)
        axes.plot(middle, row, "|", color=ink, markersize=13, markeredgewidth=2, label="median" if not spans else None)
        axes.plot(positive.max(), row, "D", color=COLOURS[4], markersize=5, label="largest" if not spans else None)
        spans.append((float(positive.min() if positive.size < 5 else np.percentile(positive, 5)), float(positive.max())))
    low, high = (min(s[0] for s in spans), max(s[1] for s in spans)) if spans else (0.1, 10.0)
    decades = 10.0 ** np.floor(np.log10(low / 1.5)), 10.0 ** np.ceil(np.log10(high * 1.5))   # labels at their ends are enough
    axes.set(xscale="log", xlim=decades, ylim=(len(flat) - 0.4, -0.6), xlabel="magnitude of the gradient's elements",
             ylabel="variable", title="gradient flow")
    axes.xaxis.minorticks_on()
    axes.tick_params(axis="x", which="minor", labelbottom=False)
    axes.set_yticks(range(len(flat)), labels)
    for row, note in notes:
        axes.text(0.02, row, note, transform=axes.get_yaxis_transform(), va="center", color=COLOURS[4], fontweight="bold")
    _ticks(axes)
    if spans:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return _finish(figure)


def _plain(g: Any) -> Any:
    if isinstance(g, Value):
        return g.numpy()
    values = getattr(g, "values", None)
    return values.numpy() if isinstance(values, Value) else g


# ---------------------------------------------------------------------------------------------------------------------

def landscape(loss: Callable[[], Any], variables: Any, reach: float = 1.0, points: int = 33, seed: int = 0,
              surface: bool = False, levels: int = 24) -> Any:
    """Draws the loss around the variables' present values, along two random directions.

    loss       a function without arguments that computes the loss from the variables
    variables  the variables, a nest of them; their values are as before afterwards
    reach      how far to go to each side, relative to the norm of each variable
    points     how many values along each direction
    seed       of the directions
    surface    a surface in three dimensions in place of contours

    Each direction is drawn from a normal distribution and scaled, variable by variable, to the variable's norm (Li et al.,
    2018, scale filter by filter). The direction of steepest descent is drawn as an arrow as seen in that plane.
    """
    flat = [variables] if isinstance(variables, Variable) else _nest.flatten(variables)
    if not flat or not all(isinstance(v, Variable) for v in flat):
        raise TypeError(complain("plot.landscape", "variables", "variables, at least one", f"{variables!r:.60}"))
    if not callable(loss):
        raise TypeError(complain("plot.landscape", "loss", "a function without arguments", f"{loss!r:.60}"))
    here = [v.numpy() for v in flat]
    random = np.random.default_rng(seed)
    ways = [[_direction(random, np.asarray(w)) for w in here] for _ in range(2)]
    with GradientTape() as tape:
        value = sum(loss())
    grads = [None if g is None else np.asarray(_dense(g)) for g in tape.gradient(value, flat)]
    slopes = [-float(np.sum([np.vdot(g, d) for g, d in zip(grads, way) if g is not None])) for way in ways]
    at = np.linspace(-reach, reach, points)
    heights = np.empty((points, points))
    try:
        for row, b in enumerate(at):
            for column, a in enumerate(at):
                for v, w, p, q in zip(flat, here, *ways):
                    v.assign((w + a * p + b * q).astype(np.asarray(w).dtype))
                heights[row, column] = float(sum(loss()))
    finally:
        for v, w in zip(flat, here):
            v.assign(w)
    xs, ys = np.meshgrid(at, at)
    figure = _figure("landscape", 6.6, 5.2)
    axes = figure.add_subplot(projection="3d" if surface else None)
    centre = float(value)
    if surface:
        _surface(figure, axes, xs, ys, heights, "loss")
        axes.plot([0], [0], [centre], "*", color="white", markersize=14, markeredgecolor="black", label="now", zorder=10)
        axes.set_zlabel("loss")
    else:
        _contours(figure, axes, xs, ys, heights, levels, "loss")
        axes.plot(0, 0, "*", color="white", markersize=15, markeredgecolor="black", linestyle="none", label=f"now: {centre:.4g}")
        length = float(np.hypot(slopes[0], slopes[1]))
        if length > 0 and np.isfinite(length):
            axes.annotate("", [0.25 * reach * s / length for s in slopes], (0, 0),
                          arrowprops={"arrowstyle": "-|>", "color": "white", "linewidth": 2})
            axes.plot([], [], color="white", linewidth=2, label="steepest descent")
        axes.set_aspect("equal")
    axes.set(xlabel="along direction 1", ylabel="along direction 2", title="loss around the present values")
    legend = axes.legend(loc="upper left", facecolor="#33414f", framealpha=0.9)
    for text in legend.get_texts():
        text.set_color("white")
    return _finish(figure)


def _direction(random: Any, w: Any) -> Any:
    d = random.standard_normal(w.shape)
    norm, want = np.linalg.norm(d), np.linalg.norm(np.asarray(w, float))
    return d * ((want if want > 0 else 1.0) / norm if norm > 0 else 1.0)


def _dense(g: Any) -> Any:
    if isinstance(g, Value):
        return g.numpy()
    raise NotSupportedError("plot.landscape: a sparse gradient (of an embedding) is not drawn; leave that variable out")

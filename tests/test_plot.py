"""Pictures: what is drawn is what the tape says, axes and legends have names, on light and on dark."""
from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True, params=["default", "dark_background"])
def _style(request: pytest.FixtureRequest) -> Iterator[None]:
    from matplotlib import style

    with style.context(request.param):
        yield


def bowl(x: Any, y: Any) -> Any:
    return x * x + 3.0 * y * y


def texts_of(figure: Any) -> list[Any]:
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]


def check(figure: Any) -> None:
    """It draws, its axes have names, and titles, labels and ticks of one axes do not run into each other."""
    figure.savefig(io.BytesIO(), format="png", dpi=50)
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        if axes.get_label() != "<colorbar>":
            assert axes.get_xlabel()
            assert axes.get_ylabel()
        if hasattr(axes, "get_zlabel"):
            continue
        for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
            low, high = sorted(axes.get_xlim() if labels is axes.get_xticklabels() else axes.get_ylim())
            boxes = [t.get_window_extent(renderer) for t in labels if t.get_text() and t.get_visible()]
            assert all(not a.padded(-0.6).overlaps(b.padded(-0.6)) for a, b in zip(boxes, boxes[1:])), (low, high)
        titled = [t.get_window_extent(renderer) for t in (axes.title, axes.xaxis.label, axes.yaxis.label) if t.get_text()]
        assert all(not a.overlaps(b) for k, a in enumerate(titled) for b in titled[k + 1:])


def test_function_draws_the_derivatives() -> None:
    figure = ad.plot.function(ad.sin, (-3.0, 3.0), points=61)
    check(figure)
    xs = np.linspace(-3, 3, 61)
    for line, want in zip(figure.axes[0].lines, (np.sin(xs), np.cos(xs), -np.sin(xs))):
        np.testing.assert_allclose(line.get_ydata(), want, rtol=1e-12, atol=1e-12)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["sin", "sin'", "sin''"]


def test_a_figure_shows_itself() -> None:
    assert ad.plot.function(ad.sin)._repr_png_().startswith(b"\x89PNG")


def test_function_that_is_linear_or_constant() -> None:
    figure = ad.plot.function(lambda x: 2.0 * x, (0, 1), points=5)
    check(figure)
    assert [float(line.get_ydata()[0]) for line in figure.axes[0].lines[:3]] == [0.0, 2.0, 0.0]


def test_function_with_a_pole_and_a_chinese_name() -> None:
    figure = ad.plot.function(lambda x: 1.0 / x, (-1, 1), points=401, name="双曲线")
    assert figure.axes[0].get_ylim()[1] < 1e7
    assert figure.axes[0].get_title().startswith("双曲线")


def test_function_errors() -> None:
    with pytest.raises(ad.ShapeError, match="act on each element"):
        ad.plot.function(ad.sum)
    with pytest.raises(ValueError, match="low < high"):
        ad.plot.function(ad.sin, (1, 1))
    with pytest.raises(ValueError, match="orders"):
        ad.plot.function(ad.sin, orders=9)
    x = ad.Variable(1.0)
    with ad.GradientTape() as tape:                      # no tape was left open by the failures
        y = x * x
    assert float(tape.gradient(y, x)) == 2.0


@pytest.mark.parametrize("surface", [False, True])
def test_descent_runs_rules_side_by_side(surface: bool) -> None:
    rules = {"plain": ad.optim.SGD(0.1), "Adam": ad.optim.Adam(0.2), "given": [(2.0, 1.0), (1.0, 0.5), (0.0, 0.0)]}
    figure = ad.plot.descent(bowl, rules, start=(2.0, 1.0), steps=5, surface=surface, points=21)
    check(figure)
    assert [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["plain", "Adam", "given"]
    if not surface:
        np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata()[:2], [(2, 1), (1.6, 0.4)])
    again = ad.plot.descent(bowl, rules, start=(2.0, 1.0), steps=5, points=21)
    np.testing.assert_array_equal(again.axes[1].lines[1].get_ydata(), figure.axes[1].lines[1].get_ydata())


def test_descent_errors() -> None:
    with pytest.raises(ValueError, match="start"):
        ad.plot.descent(bowl, ad.optim.SGD(0.1))
    with pytest.raises(ad.ShapeError, match="points"):
        ad.plot.descent(bowl, [(1.0, 2.0, 3.0)])
    with pytest.raises(ValueError, match="domain"):
        ad.plot.descent(bowl, [(1.0, 2.0)], domain=3)


def test_gradient_flow_names_what_is_missing() -> None:
    grads = [ad.constant([1.0, 10.0]), None, ad.zeros(3), ad.constant([np.nan, 1.0])]
    figure = ad.plot.gradient_flow(grads, ["w", "b", "偏置", "z"])
    figure.canvas.draw()
    words = [t.get_text() for t in texts_of(figure)]
    assert {"w", "b", "偏置", "z", "None: no path leads there", "zero everywhere", "1 of 2 not finite"} <= set(words)
    assert len(ad.plot.gradient_flow({"w": grads[0]}).axes) == 1
    with pytest.raises(ValueError, match="names"):
        ad.plot.gradient_flow(grads, ["w"])
    check(ad.plot.gradient_flow(grads[:1], [ad.Variable(1.0, name="kernel")]))


@pytest.mark.parametrize("surface", [False, True])
def test_landscape_leaves_the_variables_as_they_were(surface: bool) -> None:
    w, b = ad.Variable([1.0, -2.0]), ad.Variable(0.0)
    figure = ad.plot.landscape(lambda: ad.sum(w * w) + b * b, [w, b], points=7, surface=surface)
    check(figure)
    assert w.numpy().tolist() == [1.0, -2.0]
    assert float(b) == 0.0

    def fails() -> Any:
        if float(b) != 0.0:
            raise RuntimeError("planted")
        return ad.sum(w * w)

    with pytest.raises(RuntimeError, match="planted"):
        ad.plot.landscape(fails, [w, b], points=7)
    assert w.numpy().tolist() == [1.0, -2.0]
    with pytest.raises(TypeError, match="variables"):
        ad.plot.landscape(fails, [])


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ad.NotSupportedError, match=r"pip install 'adjoint\[plot\]'"):
        ad.plot.function(ad.sin)


def test_the_gallery_is_drawn(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = Path(__file__).parents[1] / "docs" / "gallery" / "pictures.py"
    if matplotlib.rcParams["axes.facecolor"] == "black" or not script.exists():
        pytest.skip("the gallery is drawn once, in the default style")
    subprocess.run([sys.executable, "-W", "error", str(script), "--into", str(tmp_path)], check=True, timeout=300)
    kept = {p.name for p in script.parent.iterdir()} - {"pictures.py", "pictures.md"}
    assert {p.name for p in tmp_path.iterdir()} <= kept
    assert (tmp_path / "network.html").stat().st_size < 500_000

"""Drawings: what they show, that nothing overlaps, that the tape stays as it was."""
from __future__ import annotations

import itertools
import json
import re
import shutil
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint.inspect.drawing_boxes import text_width, value_text
from adjoint.inspect.drawing_svg import ROW, TITLE, box_size
from adjoint.inspect.layout import layers_of, place

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)


def loop(steps: int) -> tuple[Any, Any, Any]:
    v = ad.Variable(0.3, name="rate")
    with ad.GradientTape() as tape:
        s = ad.constant(1.0)
        for _ in range(steps):
            s = s + 0.01 * (v * ad.sin(s) - s)
        loss = s * s
    return tape, loss, v


def mlp() -> tuple[Any, Any, list[Any]]:
    rng = np.random.default_rng(0)
    shapes = [(8, 16), (16, 16), (16, 3)]
    weights = [ad.Variable(rng.normal(size=s).astype("f") / 4, name=f"kernel{k}") for k, s in enumerate(shapes)]
    x, labels = ad.constant(rng.normal(size=(5, 8)).astype("f")), ad.constant([0, 1, 2, 1, 0])
    with ad.GradientTape(persistent=True) as tape:
        h = x
        for w in weights[:-1]:
            h = ad.tanh(h @ w)
        loss = ad.mean(ad.losses.categorical_crossentropy(ad.one_hot(labels, 3), h @ weights[-1], from_logits=True))
    return tape, loss, weights


def assert_apart(drawing: Any) -> None:
    """No box on another, no text wider than its box, no edge through a box."""
    sizes = [box_size(b) for b in drawing.boxes]
    rects = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(drawing.placed.places, sizes)]
    for a, b in itertools.combinations(rects, 2):
        assert a[2] <= b[0] + 0.01 or b[2] <= a[0] + 0.01 or a[3] <= b[1] + 0.01 or b[3] <= a[1] + 0.01
    for box, (w, _) in zip(drawing.boxes, sizes):
        assert text_width(box.title, TITLE) < w
        assert all(text_width(r, ROW, True) < w for r in box.rows)
    for (a, b), way in zip(drawing.edges, drawing.placed.ways):
        for x, y in way[1:-1]:
            assert not any(r[0] < x < r[2] and r[1] < y < r[3] for n, r in enumerate(rects) if n not in (a, b))
        assert all(q[1] >= p[1] for p, q in itertools.pairwise(way))


def test_shows_operations_shapes_values_cotangents_names_and_lines() -> None:
    w = ad.Variable([1.0, 2.0], name="weights")
    x = ad.constant([3.0, 4.0])
    with ad.GradientTape() as tape:
        y = ad.sum(w * x)
    drawing = tape.draw(y)
    by_title = {b.title: b for b in drawing.boxes}
    assert set(by_title) == {"weights", "x", "multiply", "y = sum"}
    assert by_title["weights"].rows == ["float32 2", "[1, 2]", "∂ [3, 4]"]
    assert by_title["y = sum"].rows == ["float32", "11", "∂ 1"]
    assert by_title["x"].rows == ["float32 2", "[3, 4]"]             # not watched: no cotangent
    line = test_shows_operations_shapes_values_cotangents_names_and_lines.__code__.co_firstlineno + 4
    assert ("line", f"test_drawing.py:{line}  y = ad.sum(w * x)") in by_title["multiply"].about
    flows = {(drawing.boxes[a].title, b.title): f for b in drawing.boxes for a, f in b.inputs.items()}
    assert flows == {("weights", "multiply"): True, ("x", "multiply"): False, ("multiply", "y = sum"): True}
    ET.fromstring(drawing.svg)


def test_a_single_use_tape_is_neither_used_up_nor_changed() -> None:
    tape, loss, v = loop(5)
    before = tape._spans()[0][0].node, len(tape._spans()[0][0].handles), list(tape._spans()[0][0].inputs)
    first = tape.draw(loss)
    after = tape._spans()[0][0].node, len(tape._spans()[0][0].handles), list(tape._spans()[0][0].inputs)
    assert before == after
    assert loss._value is None                   # drawing did not settle the program
    grad = tape.gradient(loss, v)
    shown = next(b for b in first.boxes if b.title == "rate")
    assert shown.rows[-1] == f"∂ {value_text(grad.numpy())}"


def test_a_tape_that_was_used_up_is_drawn_with_its_values_as_long_as_they_are_known() -> None:
    tape, loss, v = loop(2)
    drawn = tape.draw(loss).svg
    tape.gradient(loss, v)
    assert tape.draw(loss).svg == drawn
    w = ad.Variable(2.0)
    with ad.GradientTape() as tape:
        y = w * w
    float(tape.gradient(y, w))                           # settles; the trace is gone
    assert [b.rows[:2] for b in tape.draw(y).boxes if b.target] == [["float32", "4"]]
    w.assign(5.0)
    assert [b.rows for b in tape.draw(y).boxes if b.target] == [["float32"]]   # w is another now: nothing is made up


def test_settled_segments_are_joined() -> None:
    x = ad.Variable(2.0, name="start")
    with ad.GradientTape(persistent=True) as tape:
        y = x * x
        assert float(y) == 4.0                           # settles in the middle
        z = ad.sin(y) * y
    drawing = tape.draw(z)
    assert sorted(b.title for b in drawing.boxes) == ["sin", "start", "y = multiply", "z = multiply"]
    grad = float(tape.gradient(z, x))
    assert next(b for b in drawing.boxes if b.title == "start").rows[-1] == f"∂ {value_text(np.float32(grad))}"


def test_second_derivatives_and_everything() -> None:
    w, x = ad.Variable(1.0, name="w"), ad.Variable(3.0, name="x")
    with ad.GradientTape(persistent=True) as outer:
        with ad.GradientTape() as inner:
            y = x * w
        slope = inner.gradient(y, w)
    titles = {b.title for b in outer.draw(slope).boxes}
    assert "x" in titles
    assert "w" not in titles                             # y is linear in w
    assert {"w", "x"} <= {b.title for b in outer.draw().boxes}


def test_what_stands_outside_the_tape_is_marked() -> None:
    x = ad.constant([1.0, 2.0])
    z = ad.exp(x)
    with ad.GradientTape() as tape:
        tape.watch(z)
        y = z * 3.0
    drawing = tape.draw(y)
    assert [b.title for b in drawing.boxes if b.kind == "outside"] == ["z = exp"]
    assert any(b.title == "y = · × 3" for b in drawing.boxes)


def test_names_come_from_assignments_of_one_expression_only() -> None:
    x = ad.Variable(2.0, name="x")
    f = lambda t: t * t
    with ad.GradientTape() as tape:
        p = ad.sin(x); q = ad.cos(x)  # noqa: E702
        many = [ad.exp(x) for _ in range(2)]
        out: ad.Tensor = f(x)
        for _ in range(2):
            out = ad.tanh(out + 1.5)
        end = p + q + many[0] + out
    del p, q
    titles = [b.title for b in tape.draw(end).boxes]
    assert sorted(titles) == sorted(["x", "sin", "cos", "exp", "multiply", "· + 1.5", "· + 1.5", "out = tanh", "out = tanh",
                                     "add", "add", "end = add"])


def test_a_drawing_lets_go_of_the_arrays() -> None:
    import gc
    import weakref

    class Array(np.ndarray):  # type: ignore[type-arg]
        pass

    big = np.ones(1000, np.float32).view(Array)
    x = ad.constant(np.ones(1000, np.float32))
    x._value = big
    with ad.GradientTape() as tape:
        tape.watch(x)
        y = x * 3.0
    drawing = tape.draw(y)
    gone = weakref.ref(big)
    ad.evaluate(y)
    del big, x, y, tape
    gc.collect()
    assert gone() is None
    assert drawing.html


def test_errors() -> None:
    tape, loss, _ = loop(2)
    with pytest.raises(ad.TapeError, match="no place in what this tape recorded"):
        tape.draw(ad.constant(1.0))
    with pytest.raises(ad.TapeError, match="nothing was recorded"):
        ad.GradientTape().draw()
    with pytest.raises(ValueError, match="svg, png, html"):
        tape.draw(loss, "x.pdf")
    with pytest.raises(ValueError, match="svg, png, html"):
        tape.draw(loss, format="pdf")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    tape, loss, _ = loop(2)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ad.NotSupportedError, match=r"pip install 'adjoint\[plot\]'"):
        tape.draw(loss).png()
    assert tape.draw(loss).svg


def test_a_thousand_steps_are_folded_in_seconds() -> None:
    tape, loss, _ = loop(1000)
    start = time.perf_counter()
    drawing = tape.draw(loss)
    text = drawing.svg
    assert time.perf_counter() - start < 20
    assert len(drawing.boxes) < 15
    assert any("× 5 operations" in b.title for b in drawing.boxes)
    assert len(text) < 60_000
    assert_apart(drawing)


def test_a_thousand_operations_without_repeats_stay_readable() -> None:
    rng = np.random.default_rng(3)
    v = ad.Variable(0.3)
    with ad.GradientTape() as tape:
        pool = [v * 1.5, v + 2.25]
        for _ in range(1000):
            p, q = rng.integers(max(0, len(pool) - 12), len(pool), 2)
            pool.append([ad.sin, ad.tanh, ad.cos][int(rng.integers(3))](pool[p]) if rng.random() < 0.5 else pool[p] * pool[q])
        loss = ad.sum(ad.stack(pool[-20:]))
    drawing = tape.draw(loss)
    assert 10 < len(drawing.boxes) <= 140
    assert_apart(drawing)


@pytest.mark.parametrize("fold", [None, False, True])
def test_nothing_overlaps(fold: bool | None) -> None:
    tape, loss, _ = mlp()
    assert_apart(tape.draw(loss, fold=fold))


def test_folding_leaves_no_circles_and_keeps_every_operation() -> None:
    tape, loss, _ = loop(40)
    folded, plain = tape.draw(loss, fold=True), tape.draw(loss, fold=False)
    layers_of(len(folded.boxes), folded.edges)           # raises on a circle
    ops = [sum(len(b.items) for b in d.boxes if b.kind in ("operation", "folded")) for d in (folded, plain)]
    assert ops[0] == ops[1] == 40 * 5 + 1


@pytest.mark.parametrize("steps", [3, 7, 60])
def test_the_first_round_of_a_loop_is_folded_with_the_others(steps: int) -> None:
    """It differs: what later rounds have from the round before comes from outside."""
    tape, loss, _ = loop(steps)
    boxes = tape.draw(loss, fold=True).boxes
    assert [b.title for b in boxes if b.kind in ("operation", "folded")] == [f"{steps} × 5 operations", "loss = multiply"]

    w = ad.Variable(np.eye(3, dtype="f"), name="w")
    with ad.GradientTape() as tape:
        h = ad.exp(ad.constant(np.ones((1, 3), "f"))) * 2.0
        for _ in range(steps):
            h = ad.tanh(h @ w) + h
        loss = ad.sum(h)
    drawing = tape.draw(loss, fold=True)
    assert [b.title for b in drawing.boxes if b.kind in ("operation", "folded")] == [
        "exp", "h = · × 2", f"{steps} × 3 operations", "loss = sum"]
    assert_apart(drawing)


def test_what_does_not_repeat_is_not_folded_with_what_does() -> None:
    v = ad.Variable(0.3)
    with ad.GradientTape() as tape:
        s = ad.sin(v) * ad.constant([1.0, 2.0])          # another shape than in the loop
        s = ad.sum(s)
        for _ in range(5):
            s = ad.sin(s) * v
    titles = [b.title for b in tape.draw(s, fold=True).boxes if b.kind in ("operation", "folded")]
    assert titles == ["sin", "s = multiply", "s = sum", "5 × 2 operations"]


def test_layout_of_a_hard_graph() -> None:
    rng = np.random.default_rng(1)
    edges = sorted({(int(a), int(b)) for a, b in rng.integers(0, 40, (90, 2)) if a < b})
    sizes = [(float(w), 50.0) for w in rng.integers(40, 200, 40)]
    placed = place(sizes, edges)
    rects = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(placed.places, sizes)]
    assert all(a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for a, b in itertools.combinations(rects, 2))
    assert min(r[0] for r in rects) >= 0
    assert max(r[2] for r in rects) <= placed.width + 0.01
    with pytest.raises(ValueError, match="circle"):
        layers_of(2, [(0, 1), (1, 0)])


def test_the_page_stands_alone() -> None:
    tape, loss, _ = mlp()
    page = tape.draw(loss).html
    assert not re.search(r"(?:src|href)=[\"'](?!data:)|url\(|@import|fetch\(|XMLHttp|https?://(?!www\.w3\.org/2000/svg)", page)
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])  # type: ignore[index]
    assert data["forward"] >= 8
    assert len(data["steps"]) > data["forward"]
    assert "prefers-color-scheme:dark" in page


def test_the_page_of_a_hundred_operations_is_small() -> None:
    x = ad.Variable(np.ones((3, 4), np.float32))
    with ad.GradientTape() as tape:
        y = x
        for k in range(100):
            y = [ad.sin, ad.tanh, ad.exp, ad.cos][k * k % 4 if k % 3 else k % 4](y) * (1.0 + k / 7)
    assert len(tape.draw(y, fold=False).html.encode()) < 500_000


def test_texts_are_escaped_and_chinese_is_kept() -> None:
    w = ad.Variable(2.0, name='权重 </script><b>&"')
    with ad.GradientTape() as tape:
        损失 = w * w
    drawing = tape.draw(损失)
    ET.fromstring(drawing.svg)
    assert "权重" in drawing.svg
    assert "损失 = multiply" in drawing.svg
    assert "<b>" not in drawing.svg
    assert drawing.html.count("</script>") == 2
    assert "Microsoft YaHei" in drawing.html


def test_not_finite_and_zero_are_told_apart() -> None:
    x = ad.Variable([0.0] * 6 + [1.0])
    with ad.GradientTape() as tape:
        y = ad.log(x)
    drawing = tape.draw(y)
    assert any("not finite" in r for b in drawing.boxes for r in b.rows)
    assert 'class="a-bad' in drawing.svg


def test_custom_gradients_and_assigned_variables() -> None:
    @ad.custom_gradient
    def twice(x: Any) -> Any:
        return x * 2.0, lambda g: g * 20.0

    w = ad.Variable(3.0, name="w")
    with ad.GradientTape() as tape:
        w.assign(w * 2.0)
        y = twice(w * 1.0)
    drawing = tape.draw(y)
    assert any(b.rows[-1] == "∂ 20" for b in drawing.boxes)
    assert any(b.title == "w" and b.rows[1] == "6" for b in drawing.boxes)


PROBE = """<script>
const key = k => dispatchEvent(new KeyboardEvent("keydown", {key: k, cancelable: true}));
const count = () => document.getElementById("count").textContent, out = {};
out.wide = [...document.querySelectorAll(".a-b")].flatMap(g => [...g.querySelectorAll("text")]
  .filter(t => t.getBBox().width > g.querySelector("rect").getBBox().width - 18).map(t => t.textContent));
out.start = count(); key("ArrowRight"); key("ArrowRight"); out.second = count(); key("ArrowLeft"); out.first = count();
out.say = document.getElementById("say").textContent; out.marked = document.querySelectorAll(".a-now").length;
key("End"); out.end = count(); key("Home"); out.home = count();
const before = svg.style.transform; key("+"); out.zoomed = svg.style.transform !== before;
view.dispatchEvent(new WheelEvent("wheel", {deltaY: 40, clientX: 300, clientY: 300, cancelable: true}));
const box = document.querySelector(".a-b"), r = box.getBoundingClientRect();
box.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: r.left + 5, clientY: r.top + 5}));
out.tip = tip.style.display === "block" ? tip.textContent : "";
out.asked = performance.getEntriesByType("resource").length;
document.title = "@@" + JSON.stringify(out) + "@@";
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    import html
    import subprocess

    w = ad.Variable(np.full((2, 2), 0.5, np.float32), name="权重矩阵")
    with ad.GradientTape() as tape:
        y = ad.sum(ad.tanh(w @ w) * w)
    page = tmp_path / "page.html"
    page.write_text(tape.draw(y).html.replace("</body>", PROBE), encoding="utf-8")
    done = subprocess.run(
        [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
         "--window-size=1000,800", "--virtual-time-budget=2000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=90, check=True)
    found = re.search(r"@@(.*?)@@</title>", done.stdout)
    assert found, done.stdout[:2000] + done.stderr[-2000:]
    out = json.loads(html.unescape(found[1]))
    assert out["wide"] == []
    assert (out["start"], out["first"], out["second"]) == ("all of it", "forward 1 of 4", "forward 2 of 4")
    assert (out["end"], out["home"]) == ("backward 4 of 4", "all of it")
    assert out["marked"] == 1
    assert "computes matmul" in out["say"]
    assert out["zoomed"]
    assert out["tip"]
    assert out["asked"] == 0


def test_files(tmp_path: Path) -> None:
    tape, loss, _ = mlp()
    for name, head in (("a.svg", b"<svg"), ("a.html", b"<!DOCTYPE html>"), ("a.png", b"\x89PNG")):
        tape.draw(loss, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(head)
    tape.draw(loss).save(str(tmp_path / "b.out"), "svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.png", "a.svg", "b.out"]
    shown = tape.draw(loss)
    assert shown._repr_svg_() in shown._repr_html_()

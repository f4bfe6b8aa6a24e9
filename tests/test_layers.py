"""The layers: imports point one way."""
from __future__ import annotations

import ast
from pathlib import Path

import pytest

import adjoint

ROOT = Path(adjoint.__file__).parent
ORDER = [
    "_version", "_errors", "_collector", "_config", "_dtypes", "_graph", "_scalar", "_lines", "_trace", "_operators", "_tensor",
    "_segments", "primitives", "datatypes", "_formulas", "_cotangents", "_derive", "_sparse", "_batch", "plan", "passes",
    "engines", "_plan", "_renewal", "_runtime", "_nest", "tape", "forward", "custom", "transforms", "saving", "random", "nn",
    "losses", "optim", "inspect", "testing", "plot", "numpy_protocol", "tensorflow", "cli", "__main__", "__init__",
]
PRIMITIVES_FIRST = ["_accuracy", "_make", "convert", "arithmetic", "complex", "creation", "movement", "broadcast"]


def module_files() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[tuple[str, ...]]:
    """The adjoint modules that a file imports, as paths from the package's root."""
    package = path.relative_to(ROOT).parts[:-1]
    found: set[tuple[str, ...]] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {id(inner) for node in ast.walk(tree)
                   if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "adjoint"):
            base = package[: len(package) - (node.level - 1)] if node.level else ()
            parts = tuple((node.module or "").split(".")) if node.module else ()
            if not node.level:
                parts = parts[1:]
            target = (*base, *parts)
            found |= {(*target, a.name) for a in node.names} if not parts else {target}
        elif isinstance(node, ast.Import):
            found |= {tuple(a.name.split(".")[1:]) for a in node.names if a.name.split(".")[0] == "adjoint"}
    return {f for f in found if f}


def layer(parts: tuple[str, ...]) -> int:
    name = parts[0] if (ROOT / parts[0]).exists() or (ROOT / f"{parts[0]}.py").exists() else "__init__"
    assert name in ORDER, f"adjoint.{name} has no place among the layers: add it to ORDER"
    return ORDER.index(name)


def violations(path: Path) -> list[str]:
    parts = path.relative_to(ROOT).with_suffix("").parts
    here = layer(parts)
    return [f"{'/'.join(parts)} imports {'.'.join(t)}" for t in imported(path) if t[0] != parts[0] and layer(t) > here]


@pytest.mark.parametrize("path", module_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    assert violations(path) == []


def test_a_backward_import_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ROOT / "_nest.py"
    source = bad.read_text(encoding="utf-8")
    copy = tmp_path / "_nest.py"
    copy.write_text(source + "\nfrom .tape import GradientTape\n", encoding="utf-8")
    monkeypatch.setattr("test_layers.ROOT", tmp_path)
    (tmp_path / "tape.py").write_text("", encoding="utf-8")
    assert violations(copy) == ["_nest imports tape"]


def test_primitives_build_on_each_other_in_one_direction() -> None:
    graph: dict[str, set[str]] = {}
    for path in (ROOT / "primitives").glob("*.py"):
        graph[path.stem] = {t[1] for t in imported(path) if t[0] == "primitives" and len(t) > 1}
    for name in PRIMITIVES_FIRST:
        later = set(graph) - set(PRIMITIVES_FIRST)
        assert not (graph[name] & later), f"primitives/{name} imports {graph[name] & later}"
    done: set[str] = set()
    while len(done) < len(graph):
        ready = {n for n in graph if n not in done and graph[n] - {n} <= done}
        assert ready, f"a circle among {sorted(set(graph) - done)}"
        done |= ready


@pytest.mark.parametrize("path", module_files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_outgrows_its_room(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 650


def test_import_is_light() -> None:
    """SciPy, llvmlite, ml_dtypes, rich and the rest are loaded when first needed."""
    import subprocess
    import sys

    code = ("import sys, adjoint; heavy = {'scipy', 'llvmlite', 'ml_dtypes', 'rich', 'IPython', 'matplotlib', 'safetensors'};"
            "print(sorted(heavy & set(sys.modules)))")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"

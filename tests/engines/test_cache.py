"""Compiled code on disk: found again by another process, and never trusted without a look."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import adjoint as ad
from adjoint import _graph
from adjoint._config import Config, config
from adjoint.engines.llvm import cache
from adjoint.engines.llvm import native as native_engine
from adjoint.engines.llvm.native import Compiler

pytest.importorskip("llvmlite")

PROGRAM = """
import json, sys
import numpy as np
import adjoint as ad
x = ad.Variable(np.linspace(0.1, 1.0, 50, dtype=np.float32))
with ad.GradientTape() as tape:
    y = ad.sum(ad.exp(x) * ad.sin(x) + ad.log(x) * 2.0)
g = tape.gradient(y, x).numpy()
from adjoint.engines.llvm.native import compiler
counts = compiler().counts
print(json.dumps({"compiled": counts.compiled, "loaded": counts.loaded, "bits": g.tobytes().hex(), "note": ad.config.note}))
"""


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path) -> Iterator[None]:
    before = config.engine, config.cache, config.cache_limit, config.note
    config.engine, config.cache, config.note = "llvm", tmp_path / "kept", ""
    yield
    config.engine, config.cache, config.cache_limit, config.note = before


def started(folder: object, **more: str) -> subprocess.Popen[str]:
    src = str(Path(ad.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": src, "ADJOINT_ENGINE": "llvm", "ADJOINT_CACHE_DIR": str(folder), **more}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=env)


def ran(process: subprocess.Popen[str]) -> dict[str, object]:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(out)  # type: ignore[no-any-return]


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.code"))


def compute(compiler: Compiler, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A small program, by this compiler and as if never seen before."""
    monkeypatch.setattr(native_engine, "_MADE", [compiler])
    compiler.known.clear()
    _graph.forget()
    x = ad.constant(np.linspace(0.1, 1.0, 20, dtype=np.float32))
    return (ad.exp(x) * ad.sin(x) + ad.log(x)).numpy()


def test_a_second_process_does_not_compile(tmp_path: Path) -> None:
    first, second = ran(started(tmp_path / "kept")), ran(started(tmp_path / "kept"))
    assert first["compiled"] > 0
    assert first["loaded"] == 0
    assert second["compiled"] == 0
    assert second["loaded"] == first["compiled"]
    assert first["bits"] == second["bits"]


def test_two_processes_at_once_keep_whole_files(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    results = [ran(p) for p in [started(folder), started(folder)]]
    assert len({r["bits"] for r in results}) == 1
    third = ran(started(folder))
    assert third["compiled"] == 0
    assert third["bits"] == results[0]["bits"]
    assert not list(folder.glob("new-*"))


def test_an_empty_name_switches_it_off(tmp_path: Path) -> None:
    result = ran(started("", XDG_CACHE_HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path), HOME=str(tmp_path)))
    assert result["compiled"] > 0
    assert not list(tmp_path.rglob("*.code"))


def test_the_platforms_folder_is_private(tmp_path: Path) -> None:
    src = str(Path(ad.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": src, "ADJOINT_ENGINE": "llvm", "XDG_CACHE_HOME": str(tmp_path / "cache"),
           "LOCALAPPDATA": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    env.pop("ADJOINT_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, env=env, stdout=subprocess.DEVNULL, timeout=120)
    (file, *_) = list(tmp_path.rglob("*.code"))
    assert file.parent.name == "adjoint"
    if hasattr(os, "geteuid"):
        assert file.parent.stat().st_mode & 0o777 == 0o700
        assert file.stat().st_mode & 0o077 == 0


def test_a_damaged_entry_is_ignored_and_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    want = compute(Compiler(), monkeypatch)
    folder = Path(config.cache)
    files = entries(folder)
    good = [f.read_bytes() for f in files]
    for spoil in (lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:len(b) // 2], lambda b: b"", lambda b: b"x" + b[1:]):
        for file, content in zip(files, good):
            file.write_bytes(spoil(content))
        fresh = Compiler()
        np.testing.assert_array_equal(compute(fresh, monkeypatch), want)
        assert fresh.counts.loaded == 0
        assert fresh.counts.compiled == len(files)
        assert entries(folder) == files
        assert all(len(f.read_bytes()) == len(b) for f, b in zip(files, good))
    sound = Compiler()
    compute(sound, monkeypatch)
    assert sound.counts.compiled == 0


def test_code_for_another_processor_is_ignored(tmp_path: Path) -> None:
    here, there = cache.Place("this processor"), cache.Place("that processor")
    here.put("ab", b"code")
    assert here.get("ab") == b"code"
    assert there.get("ab") is None
    (file,) = entries(tmp_path / "kept")
    there._path(tmp_path / "kept", "ab").write_bytes(file.read_bytes())      # under the other's name
    here._path(tmp_path / "kept", "cd").write_bytes(file.read_bytes())       # under another key
    assert there.get("ab") is None
    assert here.get("cd") is None


def test_the_compiler_names_processor_and_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite
    import llvmlite.binding as llvm

    made: list[str] = []

    class Place(cache.Place):
        def __init__(self, made_for: str) -> None:
            made.append(made_for)
            super().__init__(made_for)

    monkeypatch.setattr(cache, "Place", Place)
    Compiler()
    for part in (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), llvmlite.__version__, ad.__version__,
                 sys.implementation.cache_tag):
        assert part in made[0].splitlines()


def test_it_stays_within_its_bound(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    config.cache_limit = 50_000
    place = cache.Place("here")
    for k in range(30):
        place.put(f"{k:02}", bytes(4000))
        file = place._path(folder, f"{k:02}")
        os.utime(file, (1000 + k, 1000 + k))
        if k == 5:
            place.put("used", b"old but used")
            os.utime(place._path(folder, "used"), (1000 + 2, 1000 + 2))
            assert place.get("used") == b"old but used"  # noted: this was long ago
        assert sum(f.stat().st_size for f in entries(folder)) <= 50_000
    kept = {f.name[:2] for f in entries(folder)}
    assert {"29", "28", "us"} <= kept
    assert not {"00", "01", "05"} & kept
    place.put("large", bytes(60_000))
    assert place.get("large") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners and modes on this platform")
def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    folder.chmod(0o777)
    place = cache.Place("here")
    place.put("ab", b"code")
    assert place.get("ab") is None
    assert not entries(folder)
    assert "other users may write" in config.note
    folder.chmod(0o700)
    assert cache.objection(folder) == ""
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert "another user" in cache.objection(folder)


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    want = compute(Compiler(), monkeypatch)
    keys = entries(tmp_path / "kept")

    def refused(*args: object, **kwargs: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(cache.tempfile, "mkstemp", refused)
    keys[0].unlink()                                     # one has to be compiled; the others are read as before
    fresh = Compiler()
    np.testing.assert_array_equal(compute(fresh, monkeypatch), want)
    assert fresh.counts.compiled == 1
    assert fresh.counts.loaded == len(keys) - 1
    blocked = tmp_path / "file"
    blocked.write_text("")
    for path in (blocked, blocked / "inside"):
        config.cache = path
        fresh = Compiler()
        np.testing.assert_array_equal(compute(fresh, monkeypatch), want)
        assert fresh.counts.loaded == 0
        assert "is not kept" in config.note


def test_code_with_an_address_in_it_is_not_kept(tmp_path: Path) -> None:
    compiler = Compiler()
    before = len(entries(tmp_path / "kept"))
    body = ("define internal i32 @body(ptr %x, ptr %scratch) {\n  %p = inttoptr i64 140000000000 to ptr\n"
            "  %q = icmp eq ptr %p, %x\n  %r = zext i1 %q to i32\n  ret i32 %r\n}")
    x = np.zeros(3, np.float32)
    spec = ad.constant(x)._spec
    run = compiler.function("unit", compiler.entry(body, [(spec, False)], 0, False, False))
    assert run(x) is None
    assert len(entries(tmp_path / "kept")) == before


def test_what_is_not_as_the_code_needs_it_is_handed_back() -> None:
    compiler = Compiler()
    body = "define internal i32 @body(ptr %x, ptr %s, ptr %scratch) {\n  store float 2.0, ptr %x\n  ret i32 0\n}"
    x = np.zeros((3, 4), np.float32)
    spec, scalar = ad.constant(x)._spec, ad.constant(np.float64(1))._spec
    run = compiler.function("unit", compiler.entry(body, [(spec, False), (scalar, True)], 0, False, True))
    one = np.float64(1)
    assert run(x, one) is None
    assert x[0, 0] == 2
    for wrong in (x.astype(np.float64), x[:2], x.T, np.zeros((4, 3), np.float32), x[None], x[0], 3.0, None, np.float32(1),
                  np.zeros((3, 8), np.float32)[:, ::2], np.ma.zeros((3, 4), np.float32)):
        assert run(wrong, one) is False
    assert run(x) is False
    assert run(x, one, one) is False


def test_code_is_freed_with_the_last_function_that_used_it() -> None:
    import gc
    import weakref

    compiler = Compiler()
    body = "define internal i32 @body(ptr %scratch) {{\n  ret i32 {}\n}}"
    functions = [compiler.function("unit", compiler.entry(body.format(k), [], 0, False, False)) for k in range(100)]
    engines = {id(e): weakref.ref(e) for e in (f.__self__.engine for f in functions)}
    assert len(engines) == 2
    first = weakref.ref(functions[0].__self__.engine)
    assert [f() for f in functions] == [None] + [False] * 99
    compiler.known.clear()
    del functions[:80]
    gc.collect()
    assert first() is compiler._entry_engine             # the shared function is on the first shelf
    assert functions[0]() is False


def test_settings_are_checked() -> None:
    for bad in (None, 3, "", "a\0b"):
        with pytest.raises(ValueError, match=r"config\.cache"):
            config.cache = bad  # type: ignore[assignment]


def test_the_environment_sets_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADJOINT_CACHE_DIR", "")
    assert Config().cache is False
    monkeypatch.setenv("ADJOINT_CACHE_DIR", "somewhere")
    assert Config().cache == "somewhere"
    monkeypatch.delenv("ADJOINT_CACHE_DIR")
    assert Config().cache is True

"""Compiled code on disk, so that a second run of a program does not compile.

A private folder of small files. Each begins with a checksum over what it was made for and what it holds; one that is
damaged, cut off, or made for another processor or version counts as absent and is written anew. Files are written beside
and renamed, so several processes may use the folder at once. When it grows past its bound, what was used least recently goes.
Where a folder cannot be used, nothing fails: code is compiled as if there were none.
"""
from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from ..._config import config

try:
    from _blake2 import blake2b  # hashlib has this one too, but loads a library for the others
except ImportError:
    from hashlib import blake2b

_MAGIC = b"adjoint code 1\n"
_SUM = 32                                                # bytes of the checksum
_ENDING = ".code"
_USED = 3600.0                                           # seconds after which a use is noted again


def folder() -> Path | None:
    """Where code is kept, or None where it is not."""
    chosen = config.cache
    if chosen is False:
        return None
    if chosen is not True:
        return Path(chosen)
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    return Path(base) / "adjoint" if os.path.isabs(base) else None


def objection(path: Path) -> str:
    """Why a folder must not be trusted, or "". Code in it is run, so nobody else may write there."""
    if not path.is_dir():
        return "it is not a folder"
    if hasattr(os, "geteuid"):
        found = path.stat()
        if found.st_uid != os.geteuid():
            return "it belongs to another user"
        if found.st_mode & 0o022:
            return "other users may write there"
    return ""


class Place:
    """The folder, for one processor and one set of versions (``made_for``)."""

    def __init__(self, made_for: str) -> None:
        self.made_for = blake2b(made_for.encode(), digest_size=16).digest()
        self._checked: tuple[Path, bool] | None = None   # the folder that was looked at, and whether it is good
        self._full = False                               # writing failed: no more tries in this process
        self._size: int | None = None                    # about how many bytes there are

    def _folder(self, make: bool) -> Path | None:
        path = folder()
        if path is None:
            return None
        if self._checked is None or self._checked[0] != path:
            self._checked, self._full, self._size = None, False, None
            if not path.exists():
                if not make:
                    return None
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.mkdir(mode=0o700, exist_ok=True)
                except OSError as error:
                    self._give_up(path, str(error))
                    return None
            try:
                why = objection(path)
            except OSError as error:
                why = str(error)
            self._checked = path, not why
            if why:
                self._give_up(path, why)
        return path if self._checked[1] else None

    def _give_up(self, path: Path, why: str) -> None:
        self._checked, self._full = (path, False), True
        config.note = f"Compiled code is not kept in {path}: {why}"

    def _path(self, path: Path, key: str) -> Path:
        return path / f"{key}-{self.made_for.hex()}{_ENDING}"

    def _sum(self, key: str, code: bytes) -> bytes:
        return blake2b(self.made_for + key.encode() + code, digest_size=_SUM).digest()

    def get(self, key: str) -> bytes | None:
        """The code of this key."""
        path = self._folder(False)
        if path is None:
            return None
        file = self._path(path, key)
        try:
            with open(file, "rb") as f:
                found = f.read()
                age = time.time() - os.fstat(f.fileno()).st_mtime
        except OSError:
            return None
        begin = len(_MAGIC) + _SUM
        code = found[begin:]
        if found[:begin] != _MAGIC + self._sum(key, code):
            return None                                  # written anew when it has been compiled
        if age > _USED:
            try:
                os.utime(file)
            except OSError:                              # a folder that we may only read
                pass
        return code

    def put(self, key: str, code: bytes) -> None:
        """Keep it."""
        path = self._folder(True)
        if path is None or self._full:
            return
        content = _MAGIC + self._sum(key, code) + code
        limit = config.cache_limit
        if len(content) > limit:
            return
        name = ""
        try:
            handle, name = tempfile.mkstemp(prefix="new-", dir=path)
            with open(handle, "wb") as f:
                f.write(content)
            os.replace(name, self._path(path, key))
        except OSError:                                  # read-only, full, or (Windows) just being read
            self._full = not self._path(path, key).exists()
            if name:
                _remove(name)
            return
        if self._size is None:
            self._size = sum(size for _, size, _ in _entries(path))
        else:
            self._size += len(content)
        if self._size > limit:
            self._size = _shrink(path, limit)


def _entries(path: Path) -> list[tuple[float, int, str]]:
    """Last use, size and path of everything that is ours."""
    rows = []
    with os.scandir(path) as found:
        for entry in found:
            if entry.name.endswith(_ENDING) or entry.name.startswith("new-"):
                try:
                    about = entry.stat()
                except OSError:                          # another process removed it
                    continue
                rows.append((about.st_mtime, about.st_size, entry.path))
    return rows


def _shrink(path: Path, limit: int) -> int:
    """Remove what was used least recently until a quarter of the room is free."""
    rows = sorted(_entries(path))
    size = sum(row[1] for row in rows)
    for _, nbytes, name in rows:
        if size <= limit * 3 // 4:
            break
        _remove(name)
        size -= nbytes
    return size


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except OSError:
        pass


__all__ = ["Place", "blake2b", "folder", "objection"]

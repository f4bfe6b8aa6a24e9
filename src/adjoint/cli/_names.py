"""Names: ``tensorflow`` and what is below it are answered by adjoint.tensorflow for the time of one run.

Each answer is a module of its own that looks its names up in adjoint's module, so a program that puts something into
``tf`` changes nothing of adjoint's, and error texts speak of the module that the program imported.
"""
from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from .._config import config

ASKED = "tensorflow"
GIVEN = "adjoint.tensorflow"


class Alias(types.ModuleType):
    """A module under TensorFlow's name; ``_given`` is what it looks its names up in."""

    _given: Any

    def __getattr__(self, name: str) -> Any:
        given = self.__dict__["_given"]
        if name == "__all__":                            # import * takes the public names, as from any module
            return getattr(given, "__all__", None) or [n for n in dir(given) if not n.startswith("_")]
        value = getattr(given, name)
        below = getattr(value, "__name__", "")
        if isinstance(value, types.ModuleType) and (below + ".").startswith(GIVEN + "."):
            return importlib.import_module(ASKED + below[len(GIVEN):])
        return value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["_given"]), *self.__dict__} - {"_given"})


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``tensorflow`` and what is below it; leaves every other name alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != ASKED and not fullname.startswith(ASKED + "."):
            return None
        if fullname != ASKED and "__" in fullname.rpartition(".")[2]:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin="adjoint", is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        alias = Alias(spec.name)
        alias._given = given = self._given(spec.name)
        alias.__doc__ = given.__doc__
        inside = vars(given) if isinstance(given, types.ModuleType) else {}
        for name, value in inside.items():               # found without a call from then on
            if not name.startswith("_") and not isinstance(value, types.ModuleType):
                alias.__dict__[name] = value
        if spec.name == ASKED:
            config.spelling = "tf"
        return alias

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing: the names are there."""

    @staticmethod
    def _given(fullname: str) -> Any:
        below = fullname[len(ASKED):]
        try:
            return importlib.import_module(GIVEN + below)
        except ModuleNotFoundError as error:
            if error.name is None or not (GIVEN + below + ".").startswith(error.name + "."):
                raise
        parent, _, leaf = fullname.rpartition(".")
        # Without a name= the error goes through `from tensorflow.x import y`, which would raise a poorer one.
        try:
            return getattr(sys.modules[parent], leaf)
        except AttributeError as error:
            raise ModuleNotFoundError(str(error)) from None


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Have imports of ``tensorflow`` answered inside a with block; afterwards everything is as it was."""
    finder = Finder()
    before = _under_asked()
    spelling = config.spelling
    for name in before:
        del sys.modules[name]
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(finder)
        for name in _under_asked():
            del sys.modules[name]
        sys.modules.update(before)
        config.spelling = spelling


def _under_asked() -> dict[str, types.ModuleType]:
    return {name: module for name, module in sys.modules.items() if name == ASKED or name.startswith(ASKED + ".")}

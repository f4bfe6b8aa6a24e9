"""tf.Module and name scopes."""
from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._tensor import Variable
from .._trace import local
from ._bind import public

_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """MyModule -> my_module."""
    return _BOUNDARY.sub("_", name).lower()


def scopes() -> list[str]:
    """The name scopes that this thread is in."""
    return local.__dict__.setdefault("scopes", [])


@public("name_scope keras.name_scope keras.backend.name_scope")
class name_scope(contextlib.ContextDecorator):
    """A with block in which the names of variables made get a prefix."""

    def __init__(self, name: str, *_: Any, **__: Any) -> None:
        self.name = name

    def __enter__(self) -> str:
        scopes().append(self.name.rstrip("/"))
        return "/".join(scopes()) + "/"

    def __exit__(self, *_: object) -> None:
        scopes().pop()


@public("get_current_name_scope")
def get_current_name_scope() -> str:
    """The name scope this thread is in, "" outside of any."""
    return "/".join(scopes())


@public("Module")
class Module:
    """Something with variables: it finds those in its attributes, in lists and dicts there, and in modules within.

    >>> import adjoint.tensorflow as tf
    >>> class Line(tf.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w, self.b = tf.Variable(2.0), tf.Variable(1.0)
    ...     def __call__(self, x):
    ...         return x * self.w + self.b
    >>> len(Line().trainable_variables)
    2
    """

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = snake_case(type(self).__name__)
        elif not name.isidentifier():
            raise ValueError(f"{name!r} is not a valid module name. Module names must be valid Python identifiers")
        self._name = name

    @property
    def name(self) -> str:
        return getattr(self, "_name", None) or snake_case(type(self).__name__)

    @property
    def name_scope(self) -> Any:
        return name_scope(self.name)

    @property
    def variables(self) -> tuple[Variable, ...]:
        """All variables of this module and the modules in it, each once: its own first, by attribute name."""
        return tuple(self._flatten(predicate=_is_variable))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v in self.variables if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v in self.variables if not v.trainable)

    @property
    def submodules(self) -> tuple[Module, ...]:
        return tuple(self._flatten(predicate=_is_module))

    def _flatten(self, recursive: bool = True, predicate: Callable[[Any], bool] | None = None) -> Iterator[Any]:
        seen = {id(self)}
        return _walk(self, recursive, predicate or (lambda leaf: True), seen)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: run the method within the module's name scope."""

        @functools.wraps(method)
        def within(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return within


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, Variable)


def _is_module(leaf: Any) -> bool:
    return isinstance(leaf, Module)


def _walk(module: Module, recursive: bool, predicate: Callable[[Any], bool], seen: set[int]) -> Iterator[Any]:
    inner = []
    for key in sorted(vars(module)):
        for leaf in _leaves(vars(module)[key]):
            if id(leaf) in seen:
                continue
            seen.add(id(leaf))
            if predicate(leaf):
                yield leaf
            if recursive and isinstance(leaf, Module):
                inner.append(leaf)
    for child in inner:
        yield from _walk(child, recursive, predicate, seen)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        try:
            keys: Any = sorted(value)
        except TypeError:
            keys = list(value)
        for key in keys:
            yield from _leaves(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value

"""Watching a program's tapes: which was the last, and what gradient it was asked for."""
from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import _nest
from .._trace import user_line
from ..inspect._record import Line, line_of, user_frame
from ..tape import GradientTape
from ..transforms.function import Function
from . import _report


class Asked:
    """One gradient that a program asked for.

    what                        "gradient", "jacobian" or "batch_jacobian"
    tape                        what it had recorded by then, of a persistent tape, so that all of it can still be told
    target, sources, cotangents as given;  found: what came out for each source (None: it raised)
    frame, line                 where it was asked for
    """

    def __init__(self, what: str, tape: GradientTape, target: Any, sources: Any, cotangents: Any) -> None:
        self.what, self.target, self.sources, self.cotangents = what, target, sources, cotangents
        self.tape = _copy(tape)
        self.found: list[Any] | None = None
        self.frame = user_frame()
        self.line: Line = line_of(user_line())

    @property
    def targets(self) -> list[Any]:
        return _nest.flatten([self.target])  # type: ignore[no-any-return]

    @property
    def flat(self) -> list[Any]:
        return _nest.flatten([self.sources])  # type: ignore[no-any-return]


def _copy(tape: GradientTape) -> GradientTape:
    """A persistent tape with the same record, which outlives the use of a single-use one."""
    made = GradientTape(True, tape._variables)
    made._segments = [[trace, start, trace.node.end if stop is None else stop] for trace, start, stop in tape._segments]
    made._watched, made._looks, made._cut = list(tape._watched), list(tape._looks), tape._cut
    for trace in {id(s[0]): s[0] for s in made._segments if not s[0].closed}.values():
        trace.tapes.append(made)                         # keeps the values when the trace is settled
    return made


class Watch:
    """tape, frame, line: the last tape that the program entered, and where; asked: its last gradient, None when it came before.
    """

    def __init__(self) -> None:
        self.tape: GradientTape | None = None
        self.line: Line | None = None
        self.frame: Any = None
        self.asked: Asked | None = None
        self.latest: Asked | None = None                 # the last gradient of all
        self._inside = threading.local()

    def entered(self, tape: GradientTape, by: Any) -> None:
        if not _report.own(by.f_code.co_filename):
            self.tape, self.frame, self.line, self.asked = tape, by, line_of((by.f_code, by.f_lasti)), None

    def gradient(self, what: str, plain: Callable[..., Any], tape: GradientTape, args: Any, kwargs: Any) -> Any:
        if getattr(self._inside, "call", False) or tape._done is not None or not tape._segments:
            return plain(tape, *args, **kwargs)
        given = inspect.signature(plain).bind(tape, *args, **kwargs).arguments
        self._inside.call = True
        try:
            asked = self.asked = self.latest = Asked(what, tape, given["target"], given.get("sources", given.get("source")),
                                                     given.get("output_gradients"))
            result = plain(tape, *args, **kwargs)
            asked.found = _nest.flatten([result])
            return result
        finally:
            self._inside.call = False


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Know of every tape inside a with block. Traced functions run plainly there, so that their tapes hold values."""
    watch = Watch()
    before = {name: getattr(GradientTape, name) for name in ("gradient", "jacobian", "batch_jacobian", "__enter__")}
    call = Function.__call__

    def enter(tape: GradientTape) -> Any:
        watch.entered(tape, sys._getframe(1))
        return before["__enter__"](tape)

    def watched(name: str) -> Any:
        @functools.wraps(before[name])
        def method(tape: GradientTape, *args: Any, **kwargs: Any) -> Any:
            return watch.gradient(name, before[name], tape, args, kwargs)

        return method

    GradientTape.__enter__ = enter  # type: ignore[method-assign]
    for name in ("gradient", "jacobian", "batch_jacobian"):
        setattr(GradientTape, name, watched(name))
    Function.__call__ = lambda self, *args, **kwargs: self.python_function(*args, **kwargs)  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        Function.__call__ = call  # type: ignore[method-assign]
        for name, method in before.items():
            setattr(GradientTape, name, method)

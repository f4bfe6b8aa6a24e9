"""How exact the primitives are: the one place that says so, read by docstrings, tests and docs/accuracy.md.

An ``Error`` holds bounds in units in the last place of the exact result, for the value and the first and second derivatives,
in float32 and in float64, as measured by benchmarks/accuracy over the whole range. A primitive without one is not measured.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Bounds = tuple[float, float, float]


@dataclass(frozen=True)
class Error:
    """Bounds of the value, f' and f'' in ulp. ``why`` explains what is over the ordinary ones, ``source`` names the formula."""

    float32: Bounds = (1.0, 1.0, 4.0)
    float64: Bounds = (4.0, 4.0, 4.0)
    why: str = ""
    source: str = ""

    def of(self, dtype: str) -> Bounds:
        return self.float32 if dtype == "float32" else self.float64

    def __str__(self) -> str:
        """A paragraph for a docstring."""
        parts = [f"{dtype} {' / '.join(f'{b:g}' for b in self.of(dtype))}" for dtype in ("float32", "float64")]
        text = f"Accuracy in units in the last place, value / f' / f'': {', '.join(parts)}"
        return text + (f"; {self.why}" if self.why else "") + "." + (f"\nFormula: {self.source}." if self.source else "")


ORDINARY = Error()
ROUNDED = Error((0.5, 1.0, 1.0), (0.5, 1.0, 1.0))


def measured(source: str, **bounds: Any) -> Error:
    """The ordinary bounds, or others, and the source of the formula."""
    return Error(source=source, **bounds)


def stated(prim: Any) -> Callable[[Any], Any]:
    """Puts the primitive's bounds at the end of a public function's docstring, before its example."""

    def decorate(function: Any) -> Any:
        if prim.error is not None:
            function.__doc__ = with_bounds(function.__doc__, prim.error)
        return function

    return decorate


def with_bounds(doc: str, error: Error) -> str:
    head, mark, rest = doc.partition(">>> ")
    text = str(error).replace("\n", "\n    ")
    return f"{head}{text}\n\n    {mark}{rest}" if mark else f"{head.rstrip()}\n\n    {text}\n    "

"""tf.print, in TensorFlow's format."""
from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._errors import complain
from .._tensor import Value
from ._bind import public


@public("print")
def print_(*inputs: Any, **kwargs: Any) -> None:
    """Write values to standard error, or to ``output_stream``: a file, ``sys.stdout`` or "file://path".

    sep, end     as print's;  summarize  how many elements at each end of an axis are shown (3; -1 for all)

    Numbers stand as TensorFlow writes them: as few digits as tell the value, [1 2 3] without commas.
    """
    stream = kwargs.pop("output_stream", sys.stderr)
    sep, end = kwargs.pop("sep", " "), kwargs.pop("end", "\n")
    summarize = kwargs.pop("summarize", None)
    kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {kwargs}")
    edge = 3 if summarize is None else int(summarize)
    text = sep.join(_text(v, edge) if not isinstance(v, str) else v for v in inputs) + end
    if isinstance(stream, str):
        if not stream.startswith("file://"):
            raise ValueError(complain("print", "output_stream", 'a stream or "file://path"', repr(stream)))
        with open(stream[7:], "a", encoding="utf-8") as file:
            file.write(text)
    else:
        stream.write(text)
        stream.flush()


def _text(value: Any, edge: int) -> str:
    if isinstance(value, Value):
        return _array(np.asarray(value._look()), edge)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k!r}: {_text(value[k], edge)}" for k in sorted(value)) + "}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        inside = ", ".join(f"{name}={_text(v, edge)}" for name, v in zip(value._fields, value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, list):
        return "[" + ", ".join(_text(v, edge) for v in value) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(_text(v, edge) for v in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def _array(a: Any, edge: int) -> str:
    if a.ndim == 0:
        return _number(a[()])
    return _nested(a, edge, 1)


def _nested(a: Any, edge: int, depth: int) -> str:
    n = len(a)
    whole = edge < 0 or n <= 2 * edge
    rows = [a[k] for k in (range(n) if whole else [*range(edge), *range(n - edge, n)])]
    texts = [_number(r) for r in rows] if a.ndim == 1 else [_nested(r, edge, depth + 1) for r in rows]
    if not whole:
        texts.insert(edge, "...")
    gap = " " if a.ndim == 1 else "\n" * (a.ndim - 1) + " " * depth
    return f"[{gap.join(texts)}]"


def _number(x: Any) -> str:
    kind = x.dtype.kind
    if kind == "b":
        return str(int(x))
    if kind in "iu":
        return str(int(x))
    if kind == "c":
        return f"({_number(x.real)},{_number(x.imag)})"
    if x.dtype.itemsize < 4:
        return _shortest(float(x), 6, 9, np.float32)
    return _shortest(float(x), *((6, 9, np.float32) if x.dtype.itemsize == 4 else (15, 17, np.float64)))


def _shortest(x: float, few: int, many: int, kind: Any) -> str:
    if x != x:
        return "nan"
    if x in (float("inf"), float("-inf")):
        return "inf" if x > 0 else "-inf"
    text = f"{x:.{few}g}"
    return text if kind(float(text)) == kind(x) else f"{x:.{many}g}"

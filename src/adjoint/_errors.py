"""The exceptions adjoint raises.

AdjointError
├── ArgumentError            a bad argument (TensorFlow: errors.InvalidArgumentError)
│   ├── ShapeError           shapes that do not fit          (also a ValueError)
│   ├── DtypeError           a dtype that does not fit       (also a TypeError)
│   ├── AxisError            an axis out of range            (also a ValueError and an IndexError)
│   └── IndexingError        an index out of range           (also an IndexError)
├── TapeError                a tape used against its rules   (also a RuntimeError)
├── TraceError               a Python branch on a traced value, a leaked tracer (also a RuntimeError)
├── NotSupportedError        something adjoint does not do   (also a NotImplementedError)
├── SettleError              a kernel failed while a value was computed (also a RuntimeError)
└── AnomalyError             a result that is not finite, found by anomaly() (also a FloatingPointError)
"""
from __future__ import annotations

__all__ = [
    "AdjointError", "AnomalyError", "ArgumentError", "AxisError", "DtypeError", "IndexingError", "NotSupportedError",
    "SettleError", "ShapeError", "TapeError", "TraceError",
]


class AdjointError(Exception):
    """Base of every exception that adjoint raises on purpose."""


class ArgumentError(AdjointError):
    """An argument that the operation cannot take; TensorFlow's ``errors.InvalidArgumentError``."""

    @property
    def message(self) -> str:
        return str(self)


class ShapeError(ArgumentError, ValueError):
    """Shapes that do not fit together."""


class DtypeError(ArgumentError, TypeError):
    """A dtype the operation does not take, or dtypes that do not go together."""


class AxisError(ArgumentError, ValueError, IndexError):
    """An axis outside the tensor's dimensions."""


class IndexingError(ArgumentError, IndexError):
    """An index outside the tensor, or of a kind that cannot index."""


class TapeError(AdjointError, RuntimeError):
    """A tape used against its rules, such as a second use of a single-use tape."""


class TraceError(AdjointError, RuntimeError):
    """A value was needed while a function was being traced, or a traced value left its function."""


class NotSupportedError(AdjointError, NotImplementedError):
    """Something that adjoint does not do; the message says what to do instead."""


class SettleError(AdjointError, RuntimeError):
    """A kernel failed while a value was being computed."""


class AnomalyError(AdjointError, FloatingPointError):
    """An operation gave NaN or infinity though its inputs were finite.

    operation, line  which, and where in the user's program; for a derivative, the operation it belongs to
    backward, step   whether it belongs to a derivative, and the operation in it
    chain            the operations that led there
    """

    operation: str = ""
    line: tuple[str, int] | None = None
    backward: bool = False
    step: str = ""
    chain: tuple[tuple[str, tuple[str, int] | None], ...] = ()


def complain(operation: str, argument: str, wanted: str, got: object, remedy: str = "") -> str:
    """The text of an error: operation, argument, wanted, got, remedy."""
    text = f"{operation}: {argument} must be {wanted}, got {got}"
    return f"{text}; {remedy}" if remedy else text

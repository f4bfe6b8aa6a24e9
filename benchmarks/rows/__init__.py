"""The programs that are compared: one file each, with one function per library.

A file has ``ROWS``, a dictionary from a row's name to its ``Row``, and functions ``adjoint``, ``tensorflow``, ``torch``
and ``jax``. Each gets its library, a decorator (the identity for the plain program) and the row's sizes, and returns a
function that does one step and returns everything that has to be computed.
"""
from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

FILES = ("notebook", "sigmoid", "crossentropy", "record", "chain", "mlp", "transformer", "rosenbrock", "newton",
         "batch_jacobian", "pendulum")


@dataclass
class Row:
    """One line of the table.

    title   what is done
    sizes   keyword arguments of the row's functions
    per     operations in a step, where the time of one is shown
    flops   floating-point operations of a step's matrix products
    moved   bytes that a step has to read and write at the least
    without modes that have no such program
    full    only with --full
    """

    title: str
    sizes: dict[str, Any] = field(default_factory=dict)
    per: int = 1
    flops: float = 0
    moved: float = 0
    without: tuple[str, ...] = ()
    full: bool = False


def load(name: str) -> Any:
    """The module of a file of rows."""
    return importlib.import_module(f"{__name__}.{name}")


def rows() -> dict[str, tuple[str, Row]]:
    """All rows: name to (file, Row), in the order of the table."""
    return {name: (file, row) for file in FILES for name, row in load(file).ROWS.items()}

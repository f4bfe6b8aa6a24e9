"""Distinct values and counts: results whose shape depends on values."""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import _dtypes
from .._errors import ArgumentError, DtypeError, ShapeError, complain
from .._tensor import Value, wrap
from .._trace import record
from .convert import cast, convert
from .joining import SPREAD, pick
from .movement import ravel

__all__ = ["bincount", "histogram", "unique_all", "unique_counts", "unique_inverse", "unique_values"]


class UniqueAll(NamedTuple):
    """What ``unique_all`` gives."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What ``unique_counts`` gives."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What ``unique_inverse`` gives."""

    values: Any
    inverse_indices: Any


def unique_all(x: Any) -> UniqueAll:
    """The distinct values of ``x`` in rising order, where each stands first, which each element is, and their counts.

    The shape depends on the values, so ``x`` is computed at once; raises TraceError while a function is traced. The
    gradient goes to where each value stands first. Every nan is distinct.

    >>> import adjoint as ad
    >>> ad.unique_all(ad.constant([3, 1, 3])).counts.tolist()
    [1, 2]
    """
    t = x if isinstance(x, Value) else convert(x)
    _, first, inverse, counts = np.unique(
        t._look(), return_index=True, return_inverse=True, return_counts=True, equal_nan=False)
    indices = wrap(first.astype(np.int64))
    return UniqueAll(pick(ravel(t), indices, 0), indices, wrap(inverse.astype(np.int64).reshape(t._spec.shape)),
                     wrap(counts.astype(np.int64)))


def unique_values(x: Any) -> Any:
    """The distinct values of ``x`` in rising order."""
    return unique_all(x).values


def unique_counts(x: Any) -> UniqueCounts:
    """The distinct values of ``x`` in rising order and how often each occurs."""
    found = unique_all(x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any) -> UniqueInverse:
    """The distinct values of ``x`` in rising order, and for each element of ``x`` which of them it is."""
    found = unique_all(x)
    return UniqueInverse(found.values, found.inverse_indices)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each of 0, 1, ... occurs in the row of integers ``x`` (int64), or the sums of its weights.

    The length is that of the largest value plus one, at least ``minlength``; so ``x`` is computed at once. Raises
    ArgumentError for negative values.

    >>> import adjoint as ad
    >>> ad.bincount(ad.constant([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    t = x if isinstance(x, Value) else convert(x)
    if t._spec.dtype.kind not in "iub":
        raise DtypeError(complain("bincount", "x", "integers", t._spec.dtype.name, "cast it first"))
    if t._spec.ndim != 1:
        raise ShapeError(complain("bincount", "x", "a row", f"shape {t._spec.shape}", "flatten it first"))
    value = t._look()
    if value.size and value.min() < 0:
        raise ArgumentError(complain("bincount", "x", "at least 0", int(value.min())))
    size = max(int(value.max()) + 1 if value.size else 0, int(minlength))
    w = wrap(np.ones(value.shape, np.int64)) if weights is None else convert(weights)
    if w._spec.shape != t._spec.shape:
        raise ShapeError(complain("bincount", "weights", f"of x's shape {t._spec.shape}", w._spec.shape))
    return record(SPREAD.op(axis=0, size=size), w, cast(t, _dtypes.int64))


def histogram(x: Any, bins: int = 10, range: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """How many elements of ``x`` fall into each of ``bins`` equal intervals (int64), and the intervals' edges.

    range   the first and last edge; by default the smallest and largest element
    """
    t = x if isinstance(x, Value) else convert(x)
    if int(bins) < 1:
        raise ArgumentError(complain("histogram", "bins", "at least 1", bins))
    counts, edges = np.histogram(t._look(), int(bins), range)
    dtype = t._spec.dtype if t._spec.dtype.kind == "f" else _dtypes.DEFAULT_FLOAT
    return wrap(counts.astype(np.int64)), wrap(edges.astype(dtype.np))

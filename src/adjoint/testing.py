"""Assertions for tests of numerical code: gradients against differences, results within units in the last place."""
from __future__ import annotations

from typing import Any

import numpy as np

from ._errors import complain
from ._tensor import Value
from .inspect._gradcheck import check_gradients

__all__ = ["assert_close", "assert_gradients", "check_gradients", "ulp_difference"]


def assert_gradients(f: Any, *args: Any, **options: Any) -> None:
    """Assert that the derivatives of ``f`` at ``args`` agree with differences; takes check_gradients' options.

    Raises AssertionError with the whole report: the worst index, the expected and the found value.

    >>> import adjoint as ad
    >>> ad.testing.assert_gradients(lambda x, y: ad.sum(x * ad.exp(y)), [1.0, 2.0], [0.5, -1.0])
    """
    report = check_gradients(f, *args, **options)
    if not report:
        raise AssertionError(str(report))


def ulp_difference(actual: Any, expected: Any) -> Any:
    """How many units in the last place (of the dtype of ``actual``) lie between two values, elementwise, as float64.

    ``expected`` may be of a wider dtype: the distance is then fractional. Infinities of one sign and two NaNs are 0
    apart; a NaN or an infinity against anything else is infinitely far.

    >>> import adjoint as ad
    >>> import numpy as np
    >>> float(ad.testing.ulp_difference(np.float32(1.0), np.nextafter(np.float32(1.0), np.float32(2.0))))
    1.0
    """
    a, b = _array(actual), _array(expected)
    kind = np.result_type(a.dtype, np.float32) if a.dtype.kind in "iub" else a.dtype
    if kind.kind == "c":
        half = a.real.dtype
        return np.maximum(ulp_difference(a.real.astype(half), b.real), ulp_difference(a.imag.astype(half), np.imag(b)))
    info = _limits(kind)
    wide = np.longdouble if kind.itemsize >= 8 else np.float64
    x, y = a.astype(wide), b.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(x - y)
        size = np.maximum(np.abs(np.where(np.isfinite(y), y, 0)), wide(info[1]))
        exponent = np.frexp(size)[1] - 1
        found = gap / np.ldexp(wide(info[0]), exponent)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    return np.where(same, 0.0, np.where(np.isfinite(x) & np.isfinite(y), found, np.inf)).astype(np.float64)


def assert_close(actual: Any, expected: Any, ulps: float = 4.0, rtol: float = 0.0, atol: float = 0.0) -> None:
    """Assert that ``actual`` is within ``ulps`` units in the last place of ``expected``, or within rtol |expected| + atol.

    The units are those of the dtype of ``actual``; ``expected`` may be wider. Raises AssertionError that names the worst
    index; shapes have to be equal, or ``expected`` a single number.

    >>> import adjoint as ad
    >>> ad.testing.assert_close(ad.exp(ad.constant(1.0)), 2.718281828459045, ulps=1)
    """
    a, b = _array(actual), _array(expected)
    if b.ndim and a.shape != b.shape:
        raise AssertionError(complain("assert_close", "the shapes", f"{b.shape}, the expected", a.shape))
    apart = np.asarray(ulp_difference(a, b))
    with np.errstate(invalid="ignore"):
        near = np.abs(a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) - b) <= rtol * np.abs(b) + atol
    wrong = ~((apart <= ulps) | near)
    if wrong.any():
        score = np.where(wrong, apart, -1.0)
        index = np.unravel_index(int(np.argmax(score)), score.shape) if score.ndim else ()
        at = f" at index {tuple(int(n) for n in index)}" if score.ndim else ""
        want = b[index] if b.ndim else b[()]
        raise AssertionError(f"assert_close: {int(wrong.sum())} of {wrong.size} values differ by more than {ulps:g} ulp; "
                             f"worst{at}: expected {want!r}, found {a[index]!r}, {apart[index]:.4g} ulp apart")


def _array(x: Any) -> Any:
    return np.asarray(x.numpy() if isinstance(x, Value) else x)


def _limits(dtype: Any) -> tuple[float, float]:
    """The unit in the last place of 1, and the smallest normal number."""
    if dtype.name == "bfloat16":
        return 2.0 ** -7, 2.0 ** -126
    info = np.finfo(dtype)
    return float(info.eps), float(info.smallest_normal)

"""The kernels of the softmax family, and of the cross-entropies from logits."""
from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from . import _rows
from . import _twofold as twofold
from ._curves import F64
from ._layout import layout
from .broadcast import reduced


class Row:
    """The rows of x in float64: e = exp(x - max) with the largest left out, ``others`` their sum, ``whole`` that of all,
    ``total`` the same in something wider.

    ``careful`` is the way for rows whose largest entry is not finite; it is taken when the plain way gave no number.
    """

    __slots__ = ("at", "d", "e", "lay", "live", "low", "others", "top", "total", "whole")

    def __init__(self, x: Any, axes: tuple[int, ...], careful: bool = False) -> None:
        lay = self.lay = layout(x, axes)
        rows = lay.apart(x)
        at = self.at = lay.starts + rows.argmax(1)
        exact = rows.dtype == F64
        rows = rows.astype(F64, "C", copy=not exact)     # row-major, so that flat views are views
        top = self.top = rows.reshape(-1).take(at)
        column = top[:, None]
        d = self.d = rows - column
        self.live: Any = None                            # rows not masked everywhere, where there are others
        self.low: Any = None                             # what rounding x - max lost
        if careful:
            self.live = (top > -np.inf) | np.isnan(top)
            peaks = np.where((rows == column) & (column > 0), 0.0, -np.inf)
            d = self.d = np.where(np.isinf(column), peaks, d)
        if exact:
            back = d - rows
            low = (rows - (d - back)) - (column + back)
            self.low = low if isfinite(np.add.reduce(low, None)) else np.where(np.isfinite(low), low, 0.0)
        e = self.e = np.exp(d)
        if exact:
            e += e * self.low
        e.reshape(-1)[at] = 0.0
        if exact:
            if e.size <= 1024 and twofold.LONG is not None:
                sums = np.add.reduce(e, 1, dtype=twofold.LONG)
                self.others, self.total = twofold.rounded(sums), sums + 1.0
            else:
                high, rest = _added(e, lay.ones)
                self.others, self.total = high + rest, twofold.wider(1.0 + high) + rest
            self.whole = twofold.rounded(self.total)
        else:
            self.others = e.dot(lay.ones)
            self.total = self.whole = 1.0 + self.others

    def weights(self) -> Any:
        """``e`` with the largest."""
        self.e.reshape(-1)[self.at] = 1.0 if self.live is None else self.live
        return self.e

    def probabilities(self) -> Any:
        p = self.weights()
        p /= self.whole[:, None]
        return p

    def surprise(self) -> Any:
        """-log p."""
        out = np.log1p(self.others)[:, None] - self.d
        if self.low is not None:
            out -= self.low
        return out

    def alive(self, out: Any) -> Any:
        """``out`` with the rows masked everywhere set to 0."""
        return out if self.live is None else out * self.live[:, None]


def _added(e: Any, ones: Any) -> tuple[Any, Any]:
    """The sums of rows of numbers in [0, 1] as two numbers each, rounded only far below the last place: what is left of an
    element when a large number is added and taken off again adds up exactly, what that loses apart (Rump)."""
    reach = 1.5 * 2.0 ** max(len(ones).bit_length(), 1)
    high = e + reach
    high -= reach
    return high.dot(ones), np.subtract(e, high).dot(ones)


def _finished(x: Any, axes: tuple[int, ...]) -> Row:
    row = Row(x, axes)
    good = row.others + (row.top - row.top)
    return row if isfinite(good.dot(good)) else Row(x, axes, True)


_PLAIN = 1.0 + 2.0**-23


def _short(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any] | None:
    """exp(x - max) and its sum in float64, the short way: for narrower logits along the last axis; else None."""
    if x.dtype == F64 or axes != (x.ndim - 1,):
        return None
    e = x.astype(F64)
    e -= np.maximum.reduce(e, -1, keepdims=True)
    np.exp(e, e)
    return e, np.add.reduce(e, -1, keepdims=True)


def softmax(x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    short = _short(x, axes)
    if short is not None:
        e, total = short
        line = total.reshape(-1)
        if isfinite(line.dot(line)):                     # every row has a finite maximum
            e /= total
            return e.astype(x.dtype)
    row = _finished(x, axes)
    return row.lay.whole(row.probabilities().astype(x.dtype, copy=False))


def log_softmax(x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row = _finished(x, axes)
    return row.lay.whole(np.subtract(0.0, row.surprise()).astype(x.dtype, copy=False))


def logsumexp(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    shape = reduced(x.shape, axes, keepdims)
    if x.size == 0:
        return np.full(shape, -np.inf, x.dtype)
    row = _finished(x, axes)
    return (row.top + np.log1p(row.others)).astype(x.dtype, copy=False).reshape(shape)


def _against(x: Any, g: Any, axes: tuple[int, ...]) -> tuple[Row, Any]:
    row = _finished(x, axes)
    return row, row.lay.apart(g).astype(F64, "C")


def _centred(row: Row, g: Any) -> Any:
    """g - <p, g>, from differences to the largest entry's g, so that p_k near 1 costs nothing."""
    h = g - g.reshape(-1).take(row.at)[:, None]
    along = np.vecdot(row.weights(), h)
    h -= twofold.rounded(along / row.total)[:, None]
    return row.alive(h)


def spread(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row, rows = _against(x, g, axes)
    h = _centred(row, rows)
    h *= row.e
    h /= row.whole[:, None]
    return row.lay.whole(h.astype(x.dtype, copy=False))


def centre(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row, rows = _against(x, g, axes)
    return row.lay.whole(_centred(row, rows).astype(x.dtype, copy=False))


def _rest_rows(x: Any, g: Any, axes: tuple[int, ...], sign: float) -> Any:
    """sign (p sum(g) - g), at the largest entry as p_k (the others' g) - (1 - p_k) g_k."""
    row, rows = _against(x, g, axes)
    flat, at = rows.reshape(-1), row.at
    own = flat.take(at)
    flat[at] = 0.0
    rest = rows.dot(row.lay.ones)
    p = row.probabilities()
    out = p * (rest + own)[:, None]
    out -= rows
    out.reshape(-1)[at] = (rest - row.others * own) / row.whole
    if sign < 0:
        np.subtract(0.0, out, out)
    return row.lay.whole(row.alive(out).astype(x.dtype, copy=False))


def rest(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    return _rest_rows(x, g, axes, -1.0) if x.size else x


def cross_entropy_slope(labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    short = _short(x, axes)
    if short is not None:
        e, total = short
        if np.minimum.reduce(total, None) > _PLAIN:      # no row so confident that p - 1 would lose digits of float32
            weights = labels.astype(F64)
            e *= np.add.reduce(weights, -1, keepdims=True) / total
            e -= weights
            return e.astype(x.dtype)
    return _rest_rows(x, labels, axes, 1.0)


def cross_entropy(labels: Any, x: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return np.zeros(reduced(x.shape, axes, False), x.dtype)
    row = Row(x, axes)
    weights = row.lay.apart(labels).astype(F64)
    loss = np.vecdot(weights, row.surprise())
    if not isfinite(loss.dot(loss)):                # an infinite logit, or -inf beside a label of 0
        surprise = _finished(x, axes).surprise()
        loss = np.add.reduce(np.where(weights == 0, 0.0, weights * surprise), 1)
    return loss.astype(x.dtype, copy=False).reshape(row.lay.out)


def sparse(labels: Any, x: Any) -> Any:
    flat = _rows.checked(labels.reshape(-1), x.shape[-1]).astype(np.intp, copy=False)
    if flat.size == 0:
        return np.zeros(labels.shape, x.dtype)
    row = _finished(x, (x.ndim - 1,))
    right = row.lay.starts + flat
    loss = np.log1p(row.others) - row.d.reshape(-1).take(right)
    if row.low is not None:
        loss -= row.low.reshape(-1).take(right)
    return loss.astype(x.dtype, copy=False).reshape(labels.shape)


def sparse_slope(labels: Any, x: Any) -> Any:
    flat = _rows.checked(labels.reshape(-1), x.shape[-1]).astype(np.intp, copy=False)
    if flat.size == 0:
        return x
    short = _short(x, (x.ndim - 1,))
    if short is not None and np.minimum.reduce(short[1], None) > _PLAIN:
        e, total = short
        e /= total
        e.reshape(-1)[layout(x, (x.ndim - 1,)).starts + flat] -= 1.0
        return e.astype(x.dtype)
    row = _finished(x, (x.ndim - 1,))
    right = row.lay.starts + flat
    out = row.probabilities()
    line = out.reshape(-1)
    line[right] = np.where(right == row.at, -(row.others / row.whole), line.take(right) - 1.0)
    return row.lay.whole(row.alive(out).astype(x.dtype, copy=False))


def bend(x: Any, u: Any, g: Any, axes: tuple[int, ...]) -> Any:
    if x.size == 0:
        return x
    row = _finished(x, axes)
    if row.live is not None:                             # not in twofold: infinite logits
        return spread(x, centre(x, u, axes) * centre(x, g, axes), axes)
    e = twofold.exp_below(row.d, row.low)
    own = (np.arange(len(row.at)), row.at - row.lay.starts)
    whole = twofold.total(e)

    def less(t: Any) -> tuple[Any, Any]:
        """t less its value at the largest entry, and its mean under softmax by way of the others."""
        t = twofold.wider(row.lay.apart(t))
        t = t - t[own][:, None]
        return t, twofold.dot(e, t) / whole

    (u, mean_u), (g, mean_g) = less(u), less(g)
    covariance = twofold.dot(e, u * g) / whole - mean_u * mean_g
    return row.lay.whole(twofold.rounded(e * ((u - mean_u) * (g - mean_g) - covariance) / whole))

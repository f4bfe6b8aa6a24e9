"""Vectors of length one: x / |x| along axes, with derivatives that keep their digits where one entry dominates.

With y = x / r the derivative is the symmetric map g -> (g - y <y, g>) / r. At the largest entry k it is written with
1 - y_k^2 = sum over j != k of y_j^2. Rows are scaled by a power of two first, so that no square over- or underflows.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np

from .._dtypes import float64
from .._errors import ArgumentError, ShapeError, complain
from .._graph import Op, Primitive, Spec
from .._tensor import Value
from .._trace import hooks, record
from . import _lengths
from . import _twofold as twofold
from ._accuracy import measured, stated
from ._curves import F64, doubled
from ._layout import in_blocks, layout
from ._make import check_kind, normalize_axes
from .arithmetic import add, multiply
from .broadcast import sum
from .convert import convert
from .softmax import to_front

__all__ = ["l2_normalize"]


class _Unit:
    """Rows of x in float64: y = x / r, r = max(|x|, floor); ``held`` marks the rows whose r is the floor.

    ``scaled`` is x times a power of two that brings its largest entry near 1, ``square`` its sum of squares (1 for 0).
    """

    __slots__ = ("at", "exponent", "held", "lay", "r", "scale", "scaled", "square")

    def __init__(self, x: Any, axes: tuple[int, ...], floor: float) -> None:
        self.lay = layout(x, axes)
        rows = self.lay.apart(x).astype(F64, "C")
        size = np.abs(rows)
        self.at = self.lay.starts + size.argmax(1)
        exponent = self.exponent = np.frexp(size.reshape(-1).take(self.at))[1]
        rows = self.scaled = np.ldexp(rows, -exponent[:, None])
        square = np.add.reduce(rows * rows, 1)
        length = np.sqrt(square)
        self.square = np.where(square > 0, square, 1.0)
        self.held = np.ldexp(length, exponent) <= floor
        self.r = np.where(self.held, floor, np.ldexp(length, exponent))
        scale = np.where(self.held, np.ldexp(floor, -exponent), length)
        self.scale = np.where(scale == 0, 1.0, scale)

    @property
    def y(self) -> Any:
        return self.scaled / self.scale[:, None]


@in_blocks
def _normalize_kernel(x: Any, axes: tuple[int, ...], floor: float) -> Any:
    if x.size == 0:
        return x
    if x.dtype != F64:                                   # no square of a float32 overflows or vanishes in float64
        lay = layout(x, axes)
        rows = lay.apart(x).astype(F64, "C")
        r = np.maximum(np.sqrt(np.vecdot(rows, rows)), floor)
        rows /= (r if np.all(r) else np.where(r == 0, 1.0, r))[:, None]
        return lay.whole(rows.astype(x.dtype))
    unit = _Unit(x, axes, floor)
    return unit.lay.whole(unit.y)


@in_blocks
def _project_kernel(x: Any, g: Any, axes: tuple[int, ...], floor: float) -> Any:
    if x.size == 0:
        return x
    unit = _Unit(x, axes, floor)
    z, at = unit.scaled, unit.at
    rows = unit.lay.apart(g).astype(F64, "C")
    others = z.copy()
    others.reshape(-1)[at] = 0.0
    top, own = z.reshape(-1).take(at), rows.reshape(-1).take(at)
    if x.dtype == F64:                                   # the sums in something wider, so that entries are rounded thrice
        wide = twofold.wider(others)
        less, rest = twofold.dot(wide, wide)[:, 0], twofold.dot(wide, twofold.wider(rows))[:, 0]
        top, own = twofold.wider(top), twofold.wider(own)
    else:
        less, rest = np.vecdot(others, others), np.vecdot(others, rows)
    square = less + top * top
    square = twofold.where(twofold.rounded(square) > 0, square, 1.0)
    out = rows - z * twofold.rounded((rest + top * own) / square)[:, None]
    out.reshape(-1)[at] = twofold.rounded((own * less - top * rest) / square)
    out = np.where(unit.held[:, None], rows, out)
    none = (unit.r == 0)[:, None]
    out = np.where(none, 0.0, out / np.where(none, 1.0, unit.r[:, None]))
    return unit.lay.whole(out.astype(x.dtype, copy=False))


@in_blocks
def _inverse_kernel(x: Any, axes: tuple[int, ...], floor: float) -> Any:
    if x.size == 0:
        return x
    unit = _Unit(x, axes, floor)
    slope = np.where(unit.held, 0.0, -1.0 / np.where(unit.held, 1.0, unit.r))[:, None]
    return unit.lay.whole(np.broadcast_to(slope, unit.y.shape).astype(x.dtype))


def _infer(x: Spec, *others: Spec, axes: tuple[int, ...], floor: float) -> Spec:
    check_kind("l2_normalize", x.dtype, "f")
    for s in others:
        if s is not x:
            raise ShapeError(complain("l2_normalize", "its tensors", "of one shape and dtype", f"{x} and {s}"))
    return x


def _batch(name: str) -> Callable[..., Any]:
    def rule(args: Any, at: Any, axes: tuple[int, ...], floor: float) -> Any:
        moved = tuple(k + 1 for k in axes)
        return record(_MADE[name].op(axes=moved, floor=floor), *to_front(args, at)), 0

    return rule


_MADE: dict[str, Primitive] = {}


def _cases(count: int) -> Any:
    return tuple((lambda rng, axes=axes: (tuple(rng.normal(size=(3, 4)) for _ in range(count)),
                                          {"axes": axes, "floor": 1e-6})) for axes in ((1,), (0, 1)))


def _length_slope(x: Any, p: dict[str, Any]) -> Any:
    """-1 / r where r is not the floor, else 0: a factor of the second derivative."""
    return record(SLOPE.op(**p), x)


def _project(x: Any, g: Any, p: dict[str, Any]) -> Any:
    return record(PROJECT.op(**p), x, g)


def _inner(a: Any, b: Any, axes: tuple[int, ...]) -> Any:
    return sum(multiply(a, b), axes, keepdims=True)


def _bend(x: Any, t: Any, g: Any, p: dict[str, Any]) -> Any:
    """The second derivative, symmetric in t and g: -(Pt <y, g> + Pg <y, t> + y <Pt, g>) / r."""
    if x._spec.dtype is float64:
        return record(BEND.op(**p), x, t, g)
    return doubled(lambda x, t, g: _bend_of(x, t, g, p))(x, t, g)


def _bend_of(x: Any, t: Any, g: Any, p: dict[str, Any]) -> Any:
    axes = p["axes"]
    y, pt, pg = record(NORMALIZE.op(**p), x), _project(x, t, p), _project(x, g, p)
    total = add(add(multiply(pt, _inner(y, g, axes)), multiply(pg, _inner(y, t, axes))),
                multiply(y, _inner(pt, g, axes)))
    return multiply(total, _length_slope(x, p))


@in_blocks
def _bend_kernel(x: Any, t: Any, g: Any, axes: tuple[int, ...], floor: float) -> Any:
    """-(Pt <z, g> + Pg <z, t> + z <Pt, g>) / |z|^3, whose sums need more than float64: with z' for z without its largest entry
    k, each is made of the sums of the others and of what k adds, and entry k itself of the others' alone."""
    if x.size == 0:
        return x
    unit = _Unit(x, axes, floor)
    own = (np.arange(len(unit.at)), unit.at - unit.lay.starts)
    z, t, g = (twofold.wider(v) for v in (unit.scaled, unit.lay.apart(t), unit.lay.apart(g)))
    zk, tk, gk = (v[own][:, None] for v in (z, t, g))
    top = np.zeros(unit.scaled.shape, bool)
    top[own] = True
    others = twofold.where(top, 0.0, z)
    zz, zt, zg = (twofold.dot(others, v) for v in (others, t, g))
    tg = twofold.dot(twofold.where(top, 0.0, t), g)
    square = zk * zk + zz
    live = (unit.r[:, None] > 0) & ~unit.held[:, None] & (twofold.rounded(square) > 0)
    square = twofold.where(live, square, 1.0)
    along_t, along_g = (zt + zk * tk) / square, (zg + zk * gk) / square
    both = (tk * gk * zz + zk * zk * tg - zk * (tk * zg + gk * zt) + (zz * tg - zt * zg)) / (square * square)
    root = -twofold.sqrt(square)
    out = twofold.rounded(t * (along_g / root) + g * (along_t / root) + z * ((both - along_t * along_g * 2.0) / root))
    across = (tk * zz - zk * zt) * along_g + (gk * zz - zk * zg) * along_t
    out[own] = twofold.rounded((across / square + zk * both) / root)[:, 0]
    return unit.lay.whole(np.ldexp(np.where(live, out, 0.0), -2 * unit.exponent[:, None]))


def _either(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else add(a, b)


NORMALIZE: Primitive = Primitive(
    "l2_normalize", _infer, _normalize_kernel, vjp=lambda g, y, x, **p: (_project(x, g, p),),
    jvp=lambda ts, y, x, **p: _project(x, ts[0], p), batch=_batch("l2_normalize"), cases=_cases(1),
    oracle=lambda x, axes, floor: x / np.maximum(np.sqrt(np.sum(x * x, axis=axes, keepdims=True)), floor),
    expand=_lengths.unit,
    error=measured("rows scaled by a power of two; at the largest entry by the others' squares"),
    doc="x / max(|x|, floor) along axes.")
PROJECT: Primitive = Primitive(
    "l2_normalize_derivative", _infer, _project_kernel,
    vjp=lambda u, y, x, g, **p: (_bend(x, u, g, p), _project(x, u, p)),
    jvp=lambda ts, y, x, g, **p: _either(None if ts[0] is None else _bend(x, ts[0], g, p),
                                         None if ts[1] is None else _project(x, ts[1], p)),
    batch=_batch("l2_normalize_derivative"), cases=_cases(2), expand=_lengths.projected,
    doc="(g - y <y, g>) / r with r = |x|, y = x / r; g / floor where |x| is below the floor.")
SLOPE: Primitive = Primitive(
    "l2_normalize_slope", _infer, _inverse_kernel,
    vjp=lambda u, y, x, **p: (multiply(record(NORMALIZE.op(**p), x), _inner(u, multiply(y, y), p["axes"])),),
    batch=_batch("l2_normalize_slope"), cases=_cases(1), expand=_lengths.falling,
    doc="-1 / |x| in every entry; 0 below the floor.")
BEND: Primitive = Primitive(
    "l2_normalize_bend", _infer, _bend_kernel, batch=_batch("l2_normalize_bend"), cases=_cases(3),
    vjp=lambda w, y, x, t, g, **p: tuple(hooks.pull_back(lambda x, t, g: _bend_of(x, t, g, p), w, (x, t, g))),
    doc="The second derivative of x / |x| in two directions; 0 where |x| is below the floor.")
_MADE.update({p.name: p for p in (NORMALIZE, PROJECT, SLOPE, BEND)})


def unit(x: Any, axes: tuple[int, ...]) -> Any:
    """x / |x| along axes; 0 where x is 0, with all its derivatives."""
    return record(NORMALIZE.op(axes=axes, floor=0.0), x)


def project(x: Any, g: Any, axes: tuple[int, ...]) -> Any:
    """The derivative of ``unit`` in the direction g."""
    return record(PROJECT.op(axes=axes, floor=0.0), x, g)


@lru_cache(1024)
def _op(ndim: int, axis: Any, epsilon: float) -> Op:
    if not epsilon >= 0:
        raise ArgumentError(complain("l2_normalize", "epsilon", "at least 0", epsilon))
    return NORMALIZE.op(axes=normalize_axes("l2_normalize", axis, ndim), floor=sqrt(epsilon))


@stated(NORMALIZE)
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12) -> Any:
    """x / sqrt(max(sum(x^2), epsilon)) along ``axis``.

    x        tensor of floats
    axis     an int, several, or None for all
    epsilon  where the sum of squares is below it, x is divided by its root instead; 0 gives 0 for a row of zeros

    No square overflows or underflows on the way. Derivatives in both modes to any order; 0 at the origin for epsilon 0.

    >>> import adjoint as ad
    >>> [round(v, 4) for v in ad.nn.l2_normalize(ad.constant([3.0, 4.0])).tolist()]
    [0.6, 0.8]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(_op(t._spec.ndim, tuple(axis) if isinstance(axis, list) else axis, float(epsilon)), t)


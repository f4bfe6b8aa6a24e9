"""Cumulative sums, products, extremes; differences; and the first-order recurrence that differentiates products."""
from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._errors import ArgumentError, AxisError, complain
from .._graph import Op, Primitive, Spec, spec
from .._tensor import Value
from .._trace import hooks, record
from ._accuracy import measured, stated
from ._make import check_kind, install, normalize_axis
from .arithmetic import multiply, subtract
from .broadcast import broadcast_to, for_sums, wide, widest
from .comparison import equal, isnan, logical_and, logical_or, where
from .complex import conj
from .convert import cast, convert
from .creation import full_of
from .indexing import iota
from .joining import PICK, SPREAD, batch_all, concat
from .movement import front, ravel, section

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff", "logcumsumexp",
]


def _batched(op_of: Any) -> Any:
    """The vmap rule of a primitive that works along one axis: batch axes first, the axis one further."""

    def batch(args: Any, axes: Any, axis: int, **params: Any) -> Any:
        return record(op_of().op(axis=axis + 1, **params), *batch_all(args, axes)), 0

    return batch


def _row(rng: Any, *shape: int) -> Any:
    return rng.normal(size=shape or (2, 4))


# ---------------------------------------------------------------------------------------------------------------- shift

def _shift_kernel(x: Any, axis: int, by: int, fill: float) -> Any:
    out = np.full(x.shape, fill, x.dtype)
    n = x.shape[axis]
    lead = (slice(None),) * axis
    if abs(by) < n:
        source, target = (slice(0, n - by), slice(by, n)) if by > 0 else (slice(-by, n), slice(0, n + by))
        out[(*lead, target)] = x[(*lead, source)]
    return out


def _shift_expand(x: Any, axis: int, by: int, fill: float) -> Any:
    shape = x._spec.shape
    n = shape[axis]
    more = min(abs(by), n)
    new = full_of(spec((*shape[:axis], more, *shape[axis + 1:]), x._spec.dtype), fill)
    if more == n:
        return new
    return concat([new, section(x, axis, 0, n - by)] if by > 0 else [section(x, axis, -by, n), new], axis) if by else x


SHIFT: Primitive = Primitive(
    "shift", lambda x, axis, by, fill: x, _shift_kernel,
    vjp=lambda g, y, x, axis, by, fill: (shift(g, axis, -by),),
    jvp=lambda ts, y, x, axis, by, fill: shift(ts[0], axis, by), batch=_batched(lambda: SHIFT), expand=_shift_expand,
    oracle=lambda x, axis, by, fill: np.apply_along_axis(
        lambda row: [row[k - by] if 0 <= k - by < len(row) else fill for k in range(len(row))], axis, x),
    cases=(lambda rng: ((_row(rng),), {"axis": 1, "by": 1, "fill": 1}),
           lambda rng: ((_row(rng),), {"axis": 0, "by": -1, "fill": 0})),
    doc="The elements moved along an axis; a constant comes in at the end that they leave.")


def shift(t: Any, axis: int, by: int, fill: float = 0) -> Any:
    """``t`` moved ``by`` places along an axis, ``fill`` coming in."""
    return record(SHIFT.op(axis=axis, by=by, fill=fill), t)


# ----------------------------------------------------------------------------------------------------------- recurrence

def _recurrence_kernel(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    work = wide(b.dtype)
    p, q = np.moveaxis(a, axis, 0).astype(work), np.moveaxis(b, axis, 0).astype(work)
    if reverse:
        p, q = p[::-1], q[::-1]
    out = q.copy()
    if out.ndim == 1:
        h, row = 0.0, []
        for k, (m, c) in enumerate(zip(p.tolist(), q.tolist())):
            h = m * h + c if k else c
            row.append(h)
        out[:] = row
    else:
        for k in range(1, len(out)):
            out[k] += p[k] * out[k - 1]
    if reverse:
        out = out[::-1]
    return np.ascontiguousarray(np.moveaxis(out, 0, axis)).astype(b.dtype)


def _recurrence_oracle(a: Any, b: Any, axis: int, reverse: bool) -> Any:
    if reverse:
        return np.flip(_recurrence_oracle(np.flip(a, axis), np.flip(b, axis), axis, False), axis)
    p, q = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    rows = [sum(np.prod(p[j + 1:k + 1], axis=0) * q[j] for j in range(k + 1)) for k in range(len(q))]
    return np.moveaxis(np.stack(rows), 0, axis)


def _recurrence_vjp(g: Any, y: Any, a: Any, b: Any, axis: int, reverse: bool) -> Any:
    by = -1 if reverse else 1
    rest = recurrence(conj(shift(a, axis, -by)), g, axis, not reverse)
    return multiply(rest, conj(shift(y, axis, by))), rest


def _recurrence_jvp(ts: Any, y: Any, a: Any, b: Any, axis: int, reverse: bool) -> Any:
    ta, tb = ts
    if ta is None:
        return recurrence(a, tb, axis, reverse)
    term = multiply(ta, shift(y, axis, -1 if reverse else 1))
    return recurrence(a, term if tb is None else term + tb, axis, reverse)


def _recurrence_infer(a: Spec, b: Spec, axis: int, reverse: bool) -> Spec:
    check_kind("recurrence", b.dtype, "fc")
    return b


def _recurrence_scan(s: Any, state: Any, a: Any, b: Any, axis: int, reverse: bool) -> Any:
    m, c = a.to("f64"), b.to("f64")
    h = c if state is None else m * state[0] + c
    return (h,), h


RECURRENCE: Primitive = Primitive(
    "recurrence", _recurrence_infer, _recurrence_kernel, vjp=_recurrence_vjp, jvp=_recurrence_jvp,
    scan=_recurrence_scan, batch=_batched(lambda: RECURRENCE), oracle=_recurrence_oracle,
    cases=(lambda rng: ((_row(rng), _row(rng)), {"axis": 1, "reverse": False}),
           lambda rng: ((_row(rng, 3), _row(rng, 3)), {"axis": 0, "reverse": True})),
    doc="h[k] = a[k] h[k-1] + b[k] along an axis, with h[-1] = 0: what differentiates products without dividing.")


def recurrence(a: Any, b: Any, axis: int, reverse: bool = False) -> Any:
    """h[k] = a[k] h[k-1] + b[k] along an axis (from its end with ``reverse``)."""
    return record(RECURRENCE.op(axis=axis, reverse=reverse), a, b)


# ------------------------------------------------------------------------------------------------------ sum and product

F64 = np.dtype(np.float64)
_BLOCK = 8192                                            # elements whose temporary arrays stay in cache


def _running_sum(x: Any, axis: int) -> Any:
    """Running sums of float64, real or complex, rounded once: those of the rounding errors are taken off (Ogita, Rump, Oishi)."""
    n, inner = x.shape[axis], math.prod(x.shape[axis + 1:])
    if not x.size:
        return x
    rows = np.ascontiguousarray(x).reshape(-1, n, inner)
    out = np.empty_like(rows)
    step, group = max(_BLOCK // max(inner, 1), 1), max(_BLOCK // max(n * inner, 1), 1)
    for first in range(0, len(rows), group):
        part = rows[first: first + group]
        start = np.full((len(part), 1, inner), complex(-0.0, -0.0) if x.dtype.kind == "c" else -0.0, x.dtype)
        lost: Any = 0.0
        for k in range(0, n, step):
            terms = part[:, k: k + step]
            sums = np.add.accumulate(np.concatenate([start, terms], axis=1), axis=1)
            before, after = sums[:, :-1], sums[:, 1:]
            back = after - before
            errors = (after - back) - before             # what is too much; this way round -0.0 stays what it is
            errors += np.subtract(back, terms, out=back)
            errors[:, :1] += lost
            np.add.accumulate(errors, axis=1, out=errors)
            start, lost = after[:, -1:], errors[:, -1:]
            if not np.isfinite(lost).all():              # the sum is not finite, or was for the last time here
                errors = np.where(np.isfinite(errors), errors, 0.0)
                lost = errors[:, -1:]
            np.subtract(after, errors, out=out[first: first + group, k: k + step])
    return out.reshape(x.shape)


def _accumulate(ufunc: Any, x: Any, axis: int, reverse: bool) -> Any:
    """Running sums or products in something wider, since they can't be added up pairwise."""
    if x.dtype == np.complex128 and ufunc is np.add and x.size < 2 * _BLOCK and widest(F64) != F64:    # the parts apart
        pairs = np.ascontiguousarray(x).view(F64).reshape(*x.shape, 2)
        return np.ascontiguousarray(_accumulate(ufunc, pairs, axis, reverse)).view(x.dtype).reshape(x.shape)
    if reverse:
        x = np.flip(x, axis)
    long = widest(x.dtype)
    if ufunc is np.add and (x.dtype == np.complex128 or long == x.dtype == F64):
        out = _running_sum(x, axis)
    else:
        out = ufunc.accumulate(x, axis=axis, dtype=long).astype(x.dtype)
    return np.flip(out, axis) if reverse else out


def _oracle_of(function: Any) -> Any:
    return lambda x, axis, reverse: (
        np.flip(function(np.flip(x, axis), axis), axis) if reverse else function(x, axis))


def _finite(s: Any, high: Any, low: Any) -> Any:
    return s.select(abs(low) < np.inf, high + low, high)


def _sum_scan(s: Any, state: Any, x: Any, axis: int, reverse: bool) -> Any:
    """In float64, and float64 with what rounding has lost."""
    if not x.floating:
        total = x if state is None else state[0] + x
        return (total,), total
    wide = x.to("f64")
    if x.type == "f32":
        total = wide if state is None else state[0] + wide
        return (total,), total
    if state is None:
        return (x, x.of(0.0)), x
    high, low = state
    total = high + x
    back = total - high
    low = low + ((high - (total - back)) + (x - back))
    return (total, low), _finite(s, total, low)


def _product_scan(s: Any, state: Any, x: Any, axis: int, reverse: bool) -> Any:
    """In float64, and float64 with what rounding has lost."""
    if not x.floating:
        total = x if state is None else state[0] * x
        return (total,), total
    if x.type == "f32":
        total = x.to("f64") if state is None else state[0] * x.to("f64")
        return (total,), total
    if state is None:
        return (x, x.of(0.0)), x
    high, low = state
    total = high * x
    low = s.fma(low, x, s.fma(high, x, -total))
    return (total, low), _finite(s, total, low)


CUMSUM: Primitive = Primitive(
    "cumsum", lambda x, axis, reverse: x, lambda x, axis, reverse: _accumulate(np.add, x, axis, reverse), linear=(0,),
    scan=_sum_scan,
    vjp=lambda g, y, x, axis, reverse: (record(CUMSUM.op(axis=axis, reverse=not reverse), g),),
    batch=_batched(lambda: CUMSUM), oracle=_oracle_of(np.cumsum),
    cases=(lambda rng: ((_row(rng),), {"axis": 1, "reverse": False}),
           lambda rng: ((_row(rng),), {"axis": 0, "reverse": True})),
           error=measured("running sums in a wider dtype, in float64 with those of the rounding errors"),
           doc="Running sums along an axis.")


def pull_cumprod(g: Any, y: Any, x: Any, axis: int, reverse: bool) -> Any:
    """The cotangent of x for one of its running products y; exact where elements are zero."""
    by = -1 if reverse else 1
    rest = recurrence(conj(shift(x, axis, -by)), g, axis, not reverse)
    return multiply(rest, conj(shift(y, axis, by, 1)))


CUMPROD: Primitive = Primitive(
    "cumprod", lambda x, axis, reverse: x, lambda x, axis, reverse: _accumulate(np.multiply, x, axis, reverse),
    scan=_product_scan,
    vjp=lambda g, y, x, axis, reverse: (pull_cumprod(g, y, x, axis, reverse),),
    jvp=lambda ts, y, x, axis, reverse: recurrence(
        x, multiply(ts[0], shift(y, axis, -1 if reverse else 1, 1)), axis, reverse),
    batch=_batched(lambda: CUMPROD), oracle=_oracle_of(np.cumprod),
    cases=(lambda rng: ((_row(rng),), {"axis": 1, "reverse": False}),
           lambda rng: ((_row(rng) * [1, 0, 1, 1],), {"axis": 1, "reverse": False}),
           lambda rng: ((_row(rng),), {"axis": 0, "reverse": True})), doc="Running products along an axis.")


def cumprod_op(axis: int, reverse: bool) -> Op:
    return CUMPROD.op(axis=axis, reverse=reverse)


@lru_cache(1024)
def _axis(name: str, axis: Any, ndim: int) -> int:
    if axis is None and ndim != 1:
        raise AxisError(complain(name, "axis", f"given for a tensor of {ndim} axes", "None"))
    return normalize_axis(name, 0 if axis is None else axis, ndim)


def _cumulative(prim: Primitive, start: int, x: Any, axis: Any, dtype: Any, initial: bool) -> Any:
    t = for_sums(x if isinstance(x, Value) else convert(x), dtype)
    k = _axis(f"cumulative_{prim.name[3:]}", axis, t._spec.ndim)
    out = record(prim.op(axis=k, reverse=False), t)
    if initial:
        shape = (*t._spec.shape[:k], 1, *t._spec.shape[k + 1:])
        first = cast(convert(start), t._spec.dtype)
        out = concat([broadcast_to(first, shape), out], k)
    return out


def cumulative_sum(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Running sums along ``axis`` (needed for more than one axis), with a 0 in front if ``include_initial``.

    >>> import adjoint as ad
    >>> ad.cumulative_sum(ad.constant([1.0, 2.0, 3.0])).tolist()
    [1.0, 3.0, 6.0]
    """
    return _cumulative(CUMSUM, 0, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Running products along ``axis`` (needed for more than one axis), with a 1 in front if ``include_initial``.

    Derivatives do not divide, so they are exact where elements are zero.
    """
    return _cumulative(CUMPROD, 1, x, axis, dtype, include_initial)


def _cum(prim: Primitive, start: int, x: Any, axis: Any, dtype: Any, exclusive: bool, reverse: bool) -> Any:
    t = for_sums(x if isinstance(x, Value) else convert(x), dtype)
    if axis is None:
        t, axis = ravel(t), 0
    k = normalize_axis(prim.name, axis, t._spec.ndim)
    out = record(prim.op(axis=k, reverse=bool(reverse)), t)
    return shift(out, k, -1 if reverse else 1, start) if exclusive else out


@stated(CUMSUM)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None, exclusive: bool = False, reverse: bool = False) -> Any:
    """Running sums along ``axis`` (None: of the flattened tensor).

    exclusive   leave each element out of its own sum
    reverse     start at the end

    >>> import adjoint as ad
    >>> ad.cumsum(ad.constant([1.0, 2.0, 3.0]), exclusive=True, reverse=True).tolist()
    [5.0, 3.0, 0.0]
    """
    return _cum(CUMSUM, 0, x, axis, dtype, exclusive, reverse)


def cumprod(x: Any, axis: int | None = None, dtype: Any = None, exclusive: bool = False, reverse: bool = False) -> Any:
    """Running products along ``axis`` (None: of the flattened tensor); ``exclusive`` and ``reverse`` as for cumsum."""
    return _cum(CUMPROD, 1, x, axis, dtype, exclusive, reverse)


# ------------------------------------------------------------------------------------------------------------- extremes

def _extreme_kernel(ufunc: Any) -> Any:
    def kernel(x: Any, axis: int) -> Any:
        values = ufunc.accumulate(x, axis=axis)
        n = x.shape[axis]
        lead = (slice(None),) * axis
        place = np.arange(n).reshape([n if k == axis else 1 for k in range(x.ndim)])
        fresh = np.ones(x.shape, bool)
        before, after = values[(*lead, slice(0, -1))], values[(*lead, slice(1, None))]
        fresh[(*lead, slice(1, None))] = ~((before == after) | ((before != before) & (after != after)))
        return values, np.maximum.accumulate(np.where(fresh, place, 0), axis=axis).astype(np.int64)

    return kernel


def _running_scan(s: Any, state: Any, x: Any, axis: int, largest: bool) -> Any:
    value = x if state is None else (s.maximum if largest else s.minimum)(state[0], x)
    return (value,), value


RUNNING: Primitive = Primitive(
    "running_extreme", lambda x, axis, largest: x,
    lambda x, axis, largest: (np.maximum if largest else np.minimum).accumulate(x, axis=axis), scan=_running_scan,
    batch=_batched(lambda: RUNNING),
    oracle=lambda x, axis, largest: np.apply_along_axis(
        lambda row: [(max if largest else min)(row[:k + 1]) for k in range(len(row))], axis, x),
    cases=(lambda rng: ((_row(rng),), {"axis": 1, "largest": True}), lambda rng: ((_row(rng),), {"axis": 0, "largest": False})),
    doc="Running maxima or minima along an axis.")


def _extreme_expand(largest: bool) -> Any:
    def expand(x: Any, axis: int) -> tuple[Any, Any]:
        """The running extremes, and the last place before each where they changed."""
        shape = x._spec.shape
        n = shape[axis]
        values = record(RUNNING.op(axis=axis, largest=largest), x)
        start = full_of(spec((*shape[:axis], 1, *shape[axis + 1:]), _dtypes.int64), 0)
        if n == 1:
            return values, start
        before, after = section(values, axis, 0, n - 1), section(values, axis, 1, n)
        same = equal(before, after)
        if x._spec.dtype.kind == "f":
            same = logical_or(same, logical_and(isnan(before), isnan(after)))
        changed = where(same, full_of(spec((), _dtypes.int64), 0), iota(n - 1, len(shape), axis) + 1)
        return values, record(RUNNING.op(axis=axis, largest=True), concat([start, changed], axis))

    return expand


def _extreme_infer(x: Spec, axis: int) -> tuple[Spec, Spec]:
    check_kind("cummax", x.dtype, "biuf")
    return x, spec(x.shape, _dtypes.int64)


def _extreme(name: str, ufunc: Any) -> Primitive:
    prim: Primitive = Primitive(
        name, _extreme_infer, _extreme_kernel(ufunc), expand=_extreme_expand(name == "cummax"),
        vjp=lambda gs, ys, x, axis: (record(SPREAD.op(axis=axis, size=x._spec.shape[axis]), gs[0], ys[1]),),
        jvp=lambda ts, ys, x, axis: (record(PICK.op(axis=axis), ts[0], ys[1]), None),
        batch=lambda args, axes, axis: (record(prim.op(axis=axis + 1), front(args[0], axes[0])), 0),
        oracle=lambda x, axis: (ufunc.accumulate(x, axis), np.apply_along_axis(
            lambda r: [int(np.argmax(r[:k + 1] == ufunc.reduce(r[:k + 1]))) for k in range(len(r))], axis, x)),
        cases=(lambda rng: ((_row(rng),), {"axis": 1}),), doc=f"Running {name[3:]} along an axis and where it stands.")
    return prim


_EXTREMES = {"cummax": _extreme("cummax", np.maximum), "cummin": _extreme("cummin", np.minimum)}


def _running(name: str, x: Any, axis: Any) -> Any:
    t = x if isinstance(x, Value) else convert(x)
    return record(_EXTREMES[name].op(axis=_axis(name, axis, t._spec.ndim)), t)


def cummax(x: Any, axis: int | None = None) -> tuple[Any, Any]:
    """Running maxima along ``axis`` and the (first) indices where they stand; the gradient goes to those.

    >>> import adjoint as ad
    >>> ad.cummax(ad.constant([1.0, 3.0, 2.0]))[0].tolist()
    [1.0, 3.0, 3.0]
    """
    return _running("cummax", x, axis)  # type: ignore[no-any-return]


def cummin(x: Any, axis: int | None = None) -> tuple[Any, Any]:
    """Running minima along ``axis`` and the (first) indices where they stand; the gradient goes to those."""
    return _running("cummin", x, axis)  # type: ignore[no-any-return]


# --------------------------------------------------------------------------------------------------------- logcumsumexp
# With W[k, i] = exp(x[i] - y[k]) for i <= k: push(t)[k] = sum over i of W[k, i] t[i] is the forward derivative, pull(g) its
# transpose, and the derivative of both is bend(g, u)[i] = sum over k of g[k] W[k, i] (u[i] - push(u)[k]). All are recurrences
# in an element's share exp(x[k] - y[k]) of its running sum and in what a sum keeps of the one before it; from x, in a wide
# dtype, since differences of rounded y would carry an error of |y| ulp.


def _lse(x: Any, axis: int) -> Any:
    return np.logaddexp.accumulate(x.astype(widest(x.dtype)), axis=axis)


def _shares(x: Any, axis: int) -> tuple[Any, Any]:
    """Each element's share of its running sum, and what that keeps of the sum before it; the axis first."""
    z = np.moveaxis(x, axis, 0).astype(widest(x.dtype))
    y = np.logaddexp.accumulate(z, axis=0)
    own = np.where(z == y, np.where(np.isneginf(y), 0.0, 1.0), np.exp(z - y))
    kept = np.zeros_like(y)
    before, now = y[:-1], y[1:]
    same = (before == now) & np.isinf(now)
    kept[1:] = np.where(same, np.where(now > 0, 1.0, 0.0), np.exp(before - now))
    return own, kept


def _pushed(own: Any, kept: Any, t: Any) -> Any:
    out = own * t
    for k in range(1, len(out)):
        out[k] += kept[k] * out[k - 1]
    return out


def _pulled(kept: Any, g: Any) -> Any:
    """sum over k >= i of g[k] exp(y[i] - y[k])."""
    out = np.array(g, kept.dtype)
    for k in range(len(out) - 2, -1, -1):
        out[k] += kept[k + 1] * out[k + 1]
    return out


def _lse_kernel(rule: Any) -> Any:
    def kernel(x: Any, *ts: Any, axis: int) -> Any:
        own, kept = _shares(x, axis)
        with np.errstate(invalid="ignore"):
            out = rule(own, kept, *[np.moveaxis(t, axis, 0).astype(own.dtype) for t in ts])
        return np.ascontiguousarray(np.moveaxis(out, 0, axis)).astype(x.dtype)

    return kernel


def _bent(own: Any, kept: Any, g: Any, u: Any) -> Any:
    """The terms as u S - R or, with the differences from push(u)[i], as (u - push(u)) S + T: where less cancels."""
    m = _pushed(own, kept, u)
    apart = np.array(u - m)
    apart[1:] = kept[1:] * (u[1:] - m[:-1])              # not 1 - share
    s, r, falls = _pulled(kept, g), _pulled(kept, g * m), np.zeros_like(m)
    falls[:-1] = kept[1:] * own[1:] * (m[:-1] - u[1:]) * s[1:]
    t = _pulled(kept, falls)
    plain, shifted = (u * s, -r), (apart * s, t)
    sizes = [np.maximum(np.abs(a), np.abs(b)) for a, b in (plain, shifted)]
    return own * np.where(sizes[0] <= sizes[1], plain[0] + plain[1], shifted[0] + shifted[1])


def _bend_of(x: Any, g: Any, u: Any, axis: int) -> Any:
    return subtract(multiply(u, _lse_op("pull", x, g, axis)), _lse_op("pull", x, multiply(g, _lse_op("push", x, u, axis)), axis))


def _weights(x: Any, axis: int) -> Any:
    z = np.moveaxis(x, axis, -1)
    return np.tril(np.exp(z[..., None, :] - np.log(np.cumsum(np.exp(z), -1))[..., :, None]))


def _lse_primitive(name: str, arity: int, kernel: Any, oracle: Any, doc: str, **rules: Any) -> Primitive:
    def infer(x: Spec, *ts: Spec, axis: int) -> Spec:
        check_kind("logcumsumexp", x.dtype, "f")
        return x

    def batch(args: Any, axes: Any, axis: int) -> Any:
        return record(prim.op(axis=axis + 1), *batch_all(args, axes)), 0

    def case(axis: int, *shape: int) -> Any:
        return lambda rng: (tuple(_row(rng, *shape) for _ in range(arity)), {"axis": axis})

    prim: Primitive = Primitive(name, infer, kernel, batch=batch, oracle=oracle, doc=doc, cases=(case(1), case(0, 4)), **rules)
    return prim


def _lse_op(name: str, x: Any, *args: Any) -> Any:
    return record(_LSE[name].op(axis=args[-1]), x, *args[:-1])


def _on_rows(rule: Any) -> Any:
    def oracle(x: Any, *ts: Any, axis: int) -> Any:
        out = rule(_weights(x, axis), *[np.moveaxis(t, axis, -1)[..., None] for t in ts])
        return np.moveaxis(out[..., 0], -1, axis)

    return oracle


def _transposed(w: Any) -> Any:
    return np.swapaxes(w, -1, -2)


_LSE: dict[str, Primitive] = {
    "push": _lse_primitive(
        "logcumsumexp_push", 2, _lse_kernel(_pushed), _on_rows(lambda w, t: w @ t),
        "The tangent of logcumsumexp: each running sum's mean of t, weighted by exponentials.",
        vjp=lambda w, y, x, t, axis: (_lse_op("bend", x, w, t, axis), _lse_op("pull", x, w, axis))),
    "pull": _lse_primitive(
        "logcumsumexp_pull", 2, _lse_kernel(lambda own, kept, g: own * _pulled(kept, g)),
        _on_rows(lambda w, g: _transposed(w) @ g), "The transpose of logcumsumexp_push: the cotangent of logcumsumexp.",
        vjp=lambda w, y, x, g, axis: (_lse_op("bend", x, g, w, axis), _lse_op("push", x, w, axis))),
    "bend": _lse_primitive(
        "logcumsumexp_bend", 3, _lse_kernel(_bent),
        _on_rows(lambda w, g, u: u * (_transposed(w) @ g) - _transposed(w) @ (g * (w @ u))),
        "The derivative of logcumsumexp_pull in a direction.",
        vjp=lambda w, y, x, g, u, axis: tuple(hooks.pull_back(lambda x, g, u: _bend_of(x, g, u, axis), w, (x, g, u)))),
}
LOGCUMSUMEXP: Primitive = _lse_primitive(
    "logcumsumexp", 1, lambda x, axis: _lse(x, axis).astype(x.dtype), lambda x, axis: np.log(np.cumsum(np.exp(x), axis)),
    "Logarithms of running sums of exponentials.", vjp=lambda g, y, x, axis: (_lse_op("pull", x, g, axis),),
    jvp=lambda ts, y, x, axis: _lse_op("push", x, ts[0], axis), error=measured("NumPy's logaddexp in a wider dtype"))


@stated(LOGCUMSUMEXP)
def logcumsumexp(x: Any, axis: int | None = None) -> Any:
    """y[k] = log(exp(x[0]) + ... + exp(x[k])) along ``axis``; nothing overflows, -inf counts as an absent term.

    >>> import adjoint as ad
    >>> print(ad.logcumsumexp(ad.constant([1000.0, 1000.0])).numpy())
    [1000.     1000.6932]
    """
    t = x if isinstance(x, Value) else convert(x)
    return record(LOGCUMSUMEXP.op(axis=_axis("logcumsumexp", axis, t._spec.ndim)), t)


# ----------------------------------------------------------------------------------------------------------------- diff

def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along ``axis``, taken ``n`` times.

    prepend, append   tensors put before and after ``x`` along the axis first

    >>> import adjoint as ad
    >>> ad.diff(ad.constant([1.0, 4.0, 9.0])).tolist()
    [3.0, 5.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    k = normalize_axis("diff", axis, t._spec.ndim)
    if n < 0:
        raise ArgumentError(complain("diff", "n", "at least 0", n))
    parts = [p for p in (prepend, t, append) if p is not None]
    if len(parts) > 1:
        made = []
        for p in parts:
            q = convert(p, t._spec.dtype, True)
            made.append(broadcast_to(q, (*t._spec.shape[:k], 1, *t._spec.shape[k + 1:])) if q._spec.ndim == 0 else q)
        t = concat(made, k)
    for _ in range(n):
        length = t._spec.shape[k]
        if length == 0:
            break
        t = subtract(section(t, k, 1, length), section(t, k, 0, length - 1))
    return t


install("cumsum", cumsum)
install("cumprod", cumprod)

"""Comparison and logic, where and clip, the larger and the smaller of two."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import _dtypes
from .._config import config
from .._dtypes import DType, promote, weak_dtype
from .._errors import DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Spec, spec
from .._tensor import Value
from .._trace import (
    _LITERAL_FLOATS,
    _LITERAL_INTS,
    INPUT,
    SCALAR_INPUT,
    enter,
    give,
    handle,
    local,
    note,
    record,
)
from ._accuracy import ROUNDED
from ._make import broadcast_shapes, check_kind, elementwise, install
from .arithmetic import beside, example, helper
from .convert import cast, convert

__all__ = [
    "clip", "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "not_equal", "signbit", "where",
]

# --------------------------------------------------------------------------------------------------------- comparisons

_compare = partial(elementwise, arity=2, partials=None, kinds="biuf", out=_dtypes.bool_)

equal = _compare(
    "equal", kernel=np.equal, kinds="biufc",
    lower=lambda s, x, y: x.eq(y), oracle="numpy.equal",
    doc=example("Whether x equals y.", "bool(ad.equal(1.0, 1.0))", "True"))
not_equal = _compare(
    "not_equal", kernel=np.not_equal, kinds="biufc",
    lower=lambda s, x, y: x.ne(y), oracle="numpy.not_equal",
    doc=example("Whether x differs from y.", "bool(ad.not_equal(1.0, 1.0))", "False"))
less = _compare(
    "less", kernel=np.less, operator="lt",
    lower=lambda s, x, y: x < y, oracle="numpy.less",
    doc=example("Whether x is smaller than y.", "bool(ad.less(1.0, 2.0))", "True"))
less_equal = _compare(
    "less_equal", kernel=np.less_equal, operator="le",
    lower=lambda s, x, y: x <= y, oracle="numpy.less_equal",
    doc=example("Whether x is at most y.", "bool(ad.less_equal(1.0, 1.0))", "True"))
greater = _compare(
    "greater", kernel=np.greater, operator="gt",
    lower=lambda s, x, y: x > y, oracle="numpy.greater",
    doc=example("Whether x is larger than y.", "bool(ad.greater(1.0, 2.0))", "False"))
greater_equal = _compare(
    "greater_equal", kernel=np.greater_equal, operator="ge",
    lower=lambda s, x, y: x >= y, oracle="numpy.greater_equal",
    doc=example("Whether x is at least y.", "bool(ad.greater_equal(1.0, 2.0))", "False"))


def _equality(function: Any, unlike: bool) -> Any:
    """== or !=: also beside None and foreign objects, which equal no tensor."""

    def operator(x: Any, y: Any) -> Any:
        try:
            return function(x, y)
        except ShapeError:
            if config.spelling != "tf":
                raise
            return convert(unlike)
        except DtypeError:
            if y is None:
                return unlike
            if isinstance(y, (Value, np.ndarray, np.generic, int, float, complex)):
                raise
            return NotImplemented

    return operator


install("__eq__", _equality(equal, False))
install("__ne__", _equality(not_equal, True))

_test = partial(elementwise, arity=1, partials=None, kinds="biufc", out=_dtypes.bool_)

isfinite = _test("isfinite", kernel=np.isfinite,
    lower=lambda s, x: s.isfinite(x), oracle="numpy.isfinite", doc=example(
    "Whether x is neither infinite nor NaN.", "bool(ad.isfinite(float('inf')))", "False"))
isinf = _test("isinf", kernel=np.isinf,
    lower=lambda s, x: s.isinf(x), oracle="numpy.isinf", doc=example(
    "Whether x is infinite.", "bool(ad.isinf(float('inf')))", "True"))
isnan = _test("isnan", kernel=np.isnan,
    lower=lambda s, x: s.isnan(x), oracle="numpy.isnan", doc=example(
    "Whether x is NaN.", "bool(ad.isnan(float('nan')))", "True"))
signbit = _test("signbit", kernel=np.signbit, kinds="f",
    lower=lambda s, x: s.copysign(1, x) < 0, oracle="numpy.signbit", doc=example(
    "Whether the sign bit of x is set: true for -0.0.", "bool(ad.signbit(-0.0))", "True"))

# --------------------------------------------------------------------------------------------------------------- logic

_logic = partial(elementwise, arity=2, partials=None, kinds="b", out=_dtypes.bool_)

logical_and = _logic("logical_and", kernel=np.logical_and,
    lower=lambda s, x, y: x & y, oracle="numpy.logical_and", doc=example(
    "Whether both are true.", "bool(ad.logical_and(True, False))", "False"))
logical_or = _logic("logical_or", kernel=np.logical_or,
    lower=lambda s, x, y: x | y, oracle="numpy.logical_or", doc=example(
    "Whether one or both are true.", "bool(ad.logical_or(True, False))", "True"))
logical_xor = _logic("logical_xor", kernel=np.logical_xor,
    lower=lambda s, x, y: x ^ y, oracle="numpy.logical_xor", doc=example(
    "Whether exactly one is true.", "bool(ad.logical_xor(True, False))", "True"))
logical_not = _logic("logical_not", arity=1, kernel=np.logical_not,
    lower=lambda s, x: ~x, oracle="numpy.logical_not", doc=example(
    "Whether it is false.", "bool(ad.logical_not(True))", "False"))

# --------------------------------------------------------------------------------------------------------------- where


def _where_infer(c: Spec, x: Spec, y: Spec) -> Spec:
    if c.dtype.kind != "b":
        raise DtypeError(complain("where", "the condition", "boolean", c.dtype.name, "write a comparison, x > 0"))
    if x.dtype is not y.dtype:
        raise DtypeError(complain("where", "the branches", "of one dtype", f"{x.dtype.name} and {y.dtype.name}"))
    return spec(broadcast_shapes("where", c.shape, x.shape, y.shape), x.dtype)


WHERE = Primitive(
    "where", _where_infer, np.where,
    partials=lambda r, c, x, y: (None, lambda t: where(c, t, 0), lambda t: where(c, 0, t)), elementwise=True,
    lower=lambda s, c, x, y: s.select(c, x, y), oracle="numpy.where", doc="x where the condition holds, else y.",
    cases=(lambda rng: ((rng.random((2, 3)) > 0.5, rng.normal(size=(2, 3)), rng.normal(size=(3,))), {}),))
_WHERE = WHERE.op()
_SCALARS = (bool, int, float, complex)


def operands(name: str, *values: Any) -> list[Any]:
    """Tensors, arrays and Python scalars as tensors of one dtype; the scalars are weak."""
    for v in values:
        if v is None:
            raise DtypeError(complain(name, "an operand", "a tensor, array or number", "None"))
    tensors = [None if v.__class__ in _SCALARS else v if isinstance(v, Value) else convert(v) for v in values]
    want: DType | None = None
    for t in tensors:
        if t is not None:
            if want is not None and config.spelling == "tf" and t._spec.dtype is not want:
                raise DtypeError(complain(name, "the operands", "of one dtype", f"{want.name} and {t._spec.dtype.name}",
                                          "cast one of them"))
            want = t._spec.dtype if want is None else promote(want, t._spec.dtype)
    for v, t in zip(values, tensors):
        if t is None:
            want = _dtypes.as_dtype(v.__class__) if want is None else weak_dtype(v.__class__, want)
    assert want is not None
    return [beside(v, want) if t is None else t if t._spec.dtype is want else cast(t, want)
            for v, t in zip(values, tensors)]


def shortcut(op: Op, slow: Callable[..., Any], *values: Any) -> Any:
    """``slow(*values)``, which records ``op``, found in one look-up when the same place was passed before."""
    trace = local.trace
    key: list[Any] = [op]
    given = []
    for v in values:
        kind = v.__class__
        if kind in _SCALARS:
            if kind is not complex and v in (_LITERAL_FLOATS if kind is float else _LITERAL_INTS):
                key += kind, v
            else:
                key.append(kind)
                given.append(v)
        else:
            try:
                key.append(v._idx if v._trace is trace else enter(trace, v))
            except AttributeError:
                return slow(*values)
    start = trace.node
    node = start.memo.get(tuple(key))
    if node is None:
        result = slow(*values)
        if local.trace is trace:
            inputs = [n.op for n in trace.node.path(start) if n.op is not None and n.op.prim is INPUT]
            if len(inputs) == len(given) and all(i is SCALAR_INPUT for i in inputs):
                start.keep(tuple(key), trace.node)
        return result
    give(trace, node, given, (None,) * len(given))
    trace.node = node
    if trace.where is not None:
        note(trace, node)
    return handle(trace, node.idx, node.spec)


def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where ``condition`` holds and ``y`` where it does not.

    condition: boolean tensor; x, y: tensors, arrays or Python scalars (which take the other's dtype); all broadcast.
    The branch that is not taken gets a cotangent of exactly zero.
    Raises DtypeError when the condition is not boolean, ShapeError for shapes that do not broadcast.

    >>> import adjoint as ad
    >>> x = ad.constant([-1.0, 2.0])
    >>> ad.where(x > 0, x, 0.0).tolist()
    [0.0, 2.0]
    """
    return shortcut(_WHERE, _where, condition, x, y)


def _where(condition: Any, x: Any, y: Any) -> Any:
    c = condition if isinstance(condition, Value) else convert(condition)
    if c._spec.dtype is not _dtypes.bool_:
        check_kind("where (the condition)", c._spec.dtype, "b")
    if not (isinstance(x, Value) and isinstance(y, Value) and x._spec.dtype is y._spec.dtype):
        x, y = operands("where", x, y)
    return record(_WHERE, c, x, y)


# ------------------------------------------------------------------------------------------------- maximum and minimum

def _share_kernel(x: Any, y: Any) -> Any:
    return x.dtype.type(1) - np.add(x < y, x <= y, dtype=x.dtype) * x.dtype.type(0.5)


_share = helper("larger_share", 2, _share_kernel, lambda r, x, y: (None, None),
                lower=lambda s, x, y: s.select(x < y, x.of(0), s.select(x.eq(y), x.of(0.5), 1)),
                oracle=lambda x, y: np.where(x > y, 1.0, np.where(x == y, 0.5, 0.0)),
                doc="1 where x > y, 1/2 where they are equal, 0 where x < y; 1 beside NaN.")

_ties = "At a tie each gets half of the cotangent, so that their sum is kept (TensorFlow gives x all of it). NaN wins;\n" \
        "both get the cotangent then."

maximum = elementwise(
    "maximum", 2, np.maximum, lambda r, x, y: (_share(x, y), _share(y, x)), kinds="iuf",
    lower=lambda s, x, y: s.maximum(x, y), oracle="numpy.maximum",
    error=ROUNDED,
    doc=example("The larger of x and y.", "float(ad.maximum(1.0, 2.0))", "2.0", _ties))
minimum = elementwise(
    "minimum", 2, np.minimum, lambda r, x, y: (_share(y, x), _share(x, y)), kinds="iuf",
    lower=lambda s, x, y: s.minimum(x, y), oracle="numpy.minimum",
    error=ROUNDED,
    doc=example("The smaller of x and y.", "float(ad.minimum(1.0, 2.0))", "1.0", _ties))

# ---------------------------------------------------------------------------------------------------------------- clip


def _clip_infer(name: str, *specs: Spec) -> Spec:
    check_kind("clip", specs[0].dtype, "iuf")
    for s in specs[1:]:
        if s.dtype is not specs[0].dtype:
            raise DtypeError(complain("clip", "the bounds", f"of dtype {specs[0].dtype.name}", s.dtype.name))
    return spec(broadcast_shapes("clip", *[s.shape for s in specs]), specs[0].dtype)


def _clip_partials(r: Any, x: Any, lo: Any, hi: Any) -> Any:
    inside = logical_and(greater_equal(x, lo), less_equal(x, hi))
    below = logical_and(less(x, lo), less_equal(lo, hi))
    above = logical_or(greater(x, hi), greater(lo, hi))
    return (lambda t: where(inside, t, 0), lambda t: where(below, t, 0), lambda t: where(above, t, 0))


CLIP = Primitive(
    "clip", partial(_clip_infer, "clip"), lambda x, lo, hi: np.minimum(np.maximum(x, lo), hi), partials=_clip_partials,
    elementwise=True, domain=((-3.0, 3.0), (-1.5, -0.5), (0.5, 1.5)),
    lower=lambda s, x, lo, hi: s.minimum(s.maximum(x, lo), hi), oracle="numpy.clip",
    doc="x brought between two bounds.")
CLIP_BELOW = Primitive(
    "clip_below", partial(_clip_infer, "clip_below"), np.maximum,
    partials=lambda r, x, lo: (lambda t: where(less(x, lo), 0, t), lambda t: where(less(x, lo), t, 0)),
    elementwise=True, domain=((-3.0, 3.0), (-1.5, 1.5)),
    lower=lambda s, x, lo: s.maximum(x, lo), oracle="numpy.maximum", doc="x brought above a bound.")
CLIP_ABOVE = Primitive(
    "clip_above", partial(_clip_infer, "clip_above"), np.minimum,
    partials=lambda r, x, hi: (lambda t: where(greater(x, hi), 0, t), lambda t: where(greater(x, hi), t, 0)),
    elementwise=True, domain=((-3.0, 3.0), (-1.5, 1.5)),
    lower=lambda s, x, hi: s.minimum(x, hi), oracle="numpy.minimum", doc="x brought below a bound.")
_CLIP, _CLIP_BELOW, _CLIP_ABOVE = CLIP.op(), CLIP_BELOW.op(), CLIP_ABOVE.op()


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """``x`` brought into the interval from ``min`` to ``max``: minimum(maximum(x, min), max).

    min, max: None (no bound), Python scalars or tensors; all broadcast. The derivative in x is 1 inside and at the
    bounds, 0 outside; a bound's is 1 where it is in force. NaN stays NaN; where min > max the result is max.
    Raises ShapeError for shapes that do not broadcast, DtypeError for booleans and complex numbers.

    >>> import adjoint as ad
    >>> ad.clip([-2.0, 0.5, 2.0], -1, 1).tolist()
    [-1.0, 0.5, 1.0]
    """
    t = x if isinstance(x, Value) else convert(x)
    if max is None:
        if min is None:
            check_kind("clip", t._spec.dtype, "iuf")
            return t
        return shortcut(_CLIP_BELOW, _clip_below, t, min)
    if min is None:
        return shortcut(_CLIP_ABOVE, _clip_above, t, max)
    return shortcut(_CLIP, _clip, t, min, max)


def _clip(x: Any, lo: Any, hi: Any) -> Any:
    return record(_CLIP, *operands("clip", x, lo, hi))


def _clip_below(x: Any, lo: Any) -> Any:
    return record(_CLIP_BELOW, *operands("clip", x, lo))


def _clip_above(x: Any, hi: Any) -> Any:
    return record(_CLIP_ABOVE, *operands("clip", x, hi))

"""Arithmetic: the operators and what goes with them."""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _dtypes
from .._config import config
from .._dtypes import DType
from .._errors import DtypeError
from .._graph import Op, Primitive, Spec, spec
from .._operators import binary, recorded, unary
from .._tensor import Value
from .._trace import handle, local, record, scalar
from ._accuracy import ROUNDED, measured, stated
from ._make import check_kind, docstring, elementwise, elementwise_infer, install
from .convert import cast, convert

__all__ = [
    "add", "deg2rad", "divide", "divide_no_nan", "floor_divide", "fmod", "multiply", "multiply_no_nan", "negative",
    "positive", "rad2deg", "reciprocal", "remainder", "square", "squared_difference", "subtract", "trunc_divide",
]

NUMBERS = "iufc"
_UP = {"f": np.float64, "e": np.float32, "E": np.float32, "F": np.complex128}


def wide(f: Callable[..., Any], careful: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The kernel ``f`` evaluated in the next wider dtype and rounded once; in float64 and complex128 ``careful`` as it is."""
    exact = careful or f

    def kernel(x: Any, *rest: Any, **params: Any) -> Any:
        dtype = x.dtype
        up = _UP.get(dtype.char)
        if up is None:
            return exact(x, *rest, **params)
        if rest:
            if x.ndim or any([v.ndim for v in rest]):  # noqa: C419
                return f(x.astype(up), *[v.astype(up) for v in rest], **params).astype(dtype)
            return dtype.type(f(up(x), *[up(v) for v in rest], **params))
        return f(x.astype(up), **params).astype(dtype) if x.ndim else dtype.type(f(up(x), **params))

    kernel.__module__ = f.__module__ or __name__
    return kernel


def beside(value: Any, dtype: DType) -> Any:
    """A Python scalar as a tensor of ``dtype`` that stays out of the program's structure."""
    trace = local.trace
    return handle(trace, scalar(trace, value, dtype), spec((), dtype))


def example(head: str, call: str, result: str, more: str = "") -> str:
    """The text of a function's docstring: what it computes, more about it, an example."""
    return f"{head}\n\n{more + chr(10) * 2 if more else ''}>>> import adjoint as ad\n>>> {call}\n{result}"


# ------------------------------------------------------------------------------------------------- sums and products

add = elementwise(
    "add", 2, np.add, lambda r, x, y: (1, 1), kinds=NUMBERS, operator="add", oracle="numpy.add",
    lower=lambda s, x, y: x + y,
    error=ROUNDED,
    doc=example("The sum x + y.", "float(ad.add(2.0, 3.0))", "5.0"))

subtract = elementwise(
    "subtract", 2, np.subtract, lambda r, x, y: (1, -1), kinds=NUMBERS, operator="sub", oracle="numpy.subtract",
    lower=lambda s, x, y: x - y,
    error=ROUNDED,
    doc=example("The difference x - y.", "float(ad.subtract(2.0, 3.0))", "-1.0"))

multiply = elementwise(
    "multiply", 2, np.multiply, lambda r, x, y: (y, x), kinds="biufc", operator="mul", oracle="numpy.multiply",
    lower=lambda s, x, y: x * y,
    error=ROUNDED,
    doc=example("The product x * y.", "float(ad.multiply(2.0, 3.0))", "6.0"))

negative = elementwise(
    "negative", 1, np.negative, lambda r, x: (-1,), kinds=NUMBERS, operator="neg", oracle="numpy.negative",
    lower=lambda s, x: -x, doc=example("The negative -x.", "float(ad.negative(2.0))", "-2.0"))

positive = elementwise(
    "positive", 1, np.positive, lambda r, x: (1,), kinds=NUMBERS, operator="pos", oracle="numpy.positive",
    lower=lambda s, x: x, doc=example("The tensor itself, +x.", "float(ad.positive(2.0))", "2.0"))

square = elementwise(
    "square", 1, np.square, lambda r, x: (multiply(x, 2),), kinds=NUMBERS, oracle="numpy.square",
    lower=lambda s, x: x * x,
    error=ROUNDED,
    doc=example("The square x * x.", "float(ad.square(3.0))", "9.0"))

squared_difference = elementwise(
    "squared_difference", 2, wide(lambda x, y: np.square(x - y)),
    lambda r, x, y: (multiply(subtract(x, y), 2), multiply(subtract(y, x), 2)), kinds=NUMBERS,
    oracle=lambda x, y: (x - y) * (x - y), lower=lambda s, x, y: (x - y) * (x - y),
    error=measured("the square of the difference", float32=(0.5, 1, 1), float64=(2, 1, 1)),
    doc=example("The square of the difference, (x - y)**2.", "float(ad.squared_difference(5.0, 2.0))", "9.0",
                "A complex difference is squared as it is, not its modulus (TensorFlow: conj(x - y) * (x - y))."))

deg2rad = elementwise(
    "deg2rad", 1, wide(np.deg2rad), lambda r, x: (np.pi / 180,), kinds="f",
    lower=lambda s, x: s.scaled(x, np.pi / 180), oracle="numpy.deg2rad",
    doc=example("Degrees as radians, x * pi / 180.", "round(float(ad.deg2rad(180.0)), 4)", "3.1416"))

rad2deg = elementwise(
    "rad2deg", 1, wide(np.rad2deg), lambda r, x: (180 / np.pi,), kinds="f",
    lower=lambda s, x: s.scaled(x, 180 / np.pi), oracle="numpy.rad2deg",
    doc=example("Radians as degrees, x * 180 / pi.", "round(float(ad.rad2deg(0.5)), 4)", "28.6479"))


# ------------------------------------------------------------------------------------------------------------ monomials
# c x**(h/2) as one primitive, so that the slopes of roots, powers and logarithms are rounded once; closed under
# differentiation.


def _monomial_kernel(x: Any, c: float, h: int) -> Any:
    n = h // 2 if h >= 0 or h % 2 == 0 else (h + 1) // 2
    r: Any = c
    if h % 2:
        x = x + 0                                        # a root at -0 has the poles of that at 0
        r = c * np.sqrt(x) if h > 0 else c / np.sqrt(x)
    if n < -2 or n > 3:
        return r * np.power(x, x.dtype.type(n)) if n > 0 or x.dtype.kind != "c" else r / np.power(x, x.dtype.type(-n))
    for _ in range(abs(n)):
        r = r * x if n > 0 else r / x
    return r if h else np.full_like(x, c)


def _monomial_lower(s: Any, x: Any, c: float, h: int) -> Any:
    n = h // 2 if h >= 0 or h % 2 == 0 else (h + 1) // 2
    if n < -2 or n > 3:
        return None
    w = x.to("f64")
    r = w.of(c)
    if h % 2:
        w = w + 0.0
        r = s.sqrt(w) * c if h > 0 else r / s.sqrt(w)
    for _ in range(abs(n)):
        r = r * w if n > 0 else r / w
    return r.to(x.type)


def _monomial_infer(x: Spec, c: float, h: int) -> Spec:
    check_kind("monomial", x.dtype, "fc")
    return x


MONOMIAL: Primitive = Primitive(
    "monomial", _monomial_infer, wide(_monomial_kernel), elementwise=True, lower=_monomial_lower,
    partials=lambda r, x, c, h: (monomial(x, c * h / 2, h - 2) if h else None,), oracle=lambda x, c, h: c * x ** (h / 2),
    cases=tuple((lambda rng, h=h: ((rng.uniform(0.5, 3.0, (2, 3)),), {"c": 0.3, "h": h})) for h in (-4, -3, -1, 1, 4, 10)),
    doc="c x**(h/2).")


@lru_cache(256)
def _monomial_op(c: float, h: int) -> Op:
    return MONOMIAL.op(c=c, h=h)


def monomial(x: Any, c: float, h: int) -> Any:
    """c x**(h/2), rounded once in the dtypes below float64."""
    return record(_monomial_op(c, h), x)


# ----------------------------------------------------------------------------------------------------------- quotients
# A quotient's slopes in y are c x / y**k, divided step by step: y**k may overflow. A cotangent is divided by y, not multiplied
# with 1 / y: one rounding less. Where x / y is subnormal and has lost its digits (|y| < 1 then, or they don't count) it is
# computed again from a larger x.

_SMALL, _SCALE = {"f32": 2.0 ** -90, "f64": 2.0 ** -700}, {"f32": 2.0 ** 40, "f64": 2.0 ** 200}


def _over(x: Any, y: Any, c: float, k: int) -> Any:
    r = np.asarray(np.true_divide(x, y))
    for _ in range(k - 1):
        r = np.divide(r, y, out=r)
    return r if c == 1.0 else np.multiply(r, c, out=r)


def _careful_over(x: Any, y: Any, c: float, k: int) -> Any:
    r = _over(x, y, c, k)
    size = np.abs(r)
    if not size.size or size.min() >= _SMALL["f64"]:
        return r
    small = (size < _SMALL["f64"]) & (size > 0) & (np.abs(y) < 1)
    scale = _SCALE["f64"]
    return np.where(small, _over(np.where(small, x, 0) * scale, y, c, k) / scale, r) if small.any() else r


_any_over = wide(_over, _careful_over)


def _over_kernel(x: Any, y: Any, c: float, k: int) -> Any:
    if y.dtype != np.float32 or not y.ndim or k > 6:
        return _any_over(x, y, c=c, k=k)
    power = y.astype(np.float64)                         # its square is exact, and nothing overflows
    base = power.copy() if k > 2 else power
    for _ in range(k - 1):
        power *= base
    power = np.divide(x, power, out=power if x.ndim == 0 or x.shape == y.shape else None)
    if c != 1.0:
        power *= c
    return power.astype(np.float32)


def _over_lower(s: Any, x: Any, y: Any, c: float, k: int) -> Any:
    scale = _SCALE[x.type]
    size = abs(x / y)
    small = (size < _SMALL[x.type]) & (size > 0.0)
    r = s.select(small, x * scale, x)
    for _ in range(k):
        r = r / y
    return s.select(small, r * (1.0 / scale), r) * c


OVER: Primitive = Primitive(
    "over", elementwise_infer("over", ("fc", "fc"), "same"), _over_kernel, elementwise=True, lower=_over_lower,
    partials=lambda r, x, y, c, k: (lambda t: _quotient_slope(t, y, c, k), _quotient_slope(x, y, -k * c, k + 1)),
    oracle=lambda x, y, c, k: c * x / y ** k,
    cases=tuple((lambda rng, k=k: ((rng.normal(size=(3, 2)), rng.uniform(0.5, 3.0, (2,))), {"c": -1.0, "k": k}))
                for k in (2, 3)),
    doc="c x / y**k.")


def _quotient_slope(x: Any, y: Any, c: float, k: int) -> Any:
    return record(_over_op(c, k), x, y)


@lru_cache(64)
def _over_op(c: float, k: int) -> Op:
    return OVER.op(c=c, k=k)


_DIVIDE = elementwise(
    "divide", 2, np.true_divide, lambda r, x, y: (lambda t: t / y, _quotient_slope(x, y, -1.0, 2)), oracle="numpy.divide",
    domain=((-3.0, 3.0), (0.5, 3.0)), lower=lambda s, x, y: x / y,
    error=measured("a quotient; its slopes are x / y**k", float32=(0.5, 1, 1), float64=(0.5, 1.5, 2)),
    doc="The quotient x / y.", public=False)


def _whole(value: Any) -> bool:
    """Whether an operand is of an integer or boolean dtype."""
    if isinstance(value, Value):
        return value._spec.dtype.kind in "biu"
    return value.__class__ in (int, bool) or np.asarray(value).dtype.kind in "biu"


def _as_float(value: Any) -> Any:
    if value.__class__ in (int, bool):
        return value
    t = convert(value)
    dtype = t._spec.dtype
    return cast(t, _dtypes.float64 if config.spelling == "tf" and dtype.itemsize > 2 else _dtypes.float32)


def _quotient(fast: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def function(x: Any, y: Any) -> Any:
        try:
            return fast(x, y)
        except DtypeError:
            if not (_whole(x) and _whole(y)):
                raise
        x, y = _as_float(x), _as_float(y)
        return fast(float(x) if x.__class__ in (int, bool) and y.__class__ in (int, bool) else x, y)

    function.__name__ = function.__qualname__ = fast.__name__
    recorded[function] = recorded[fast]                  # native code records the quotients of floats, which are usual
    return function


_true_divide = _quotient(binary(_DIVIDE, "divide", ""))
install("__truediv__", _quotient(binary(_DIVIDE, "__truediv__", "")))
install("__rtruediv__", _quotient(binary(_DIVIDE, "__rtruediv__", "", True)))


@stated(_DIVIDE.prim)
def divide(x: Any, y: Any) -> Any:
    """The quotient x / y.

    Elementwise. x, y: tensors, arrays or Python scalars that broadcast. The quotient of two integers (or booleans) is
    computed in float32; under the TensorFlow spelling in float64 where they have more than 16 bits, as TensorFlow does.
    Raises ShapeError for shapes that do not broadcast.

    >>> import adjoint as ad
    >>> float(ad.divide(1.0, 4.0)), float(ad.constant(1) / ad.constant(4))
    (0.25, 0.25)
    """
    return _true_divide(x, y)


divide.primitive = _DIVIDE.prim  # type: ignore[attr-defined]


reciprocal = elementwise(
    "reciprocal", 1, lambda x: np.true_divide(x.dtype.type(1), x), lambda r, x: (monomial(x, -1.0, -4),),
    oracle="numpy.reciprocal", domain=((0.5, 3.0),), lower=lambda s, x: 1 / x,
    error=measured("a quotient"),
    doc=example("The reciprocal 1 / x.", "float(ad.reciprocal(4.0))", "0.25"))


def _divide_no_nan_kernel(x: Any, y: Any) -> Any:
    return np.where(y == 0, x.dtype.type(0), np.true_divide(x, y))


divide_no_nan: Any = elementwise(
    "divide_no_nan", 2, _divide_no_nan_kernel,
    lambda r, x, y: (lambda t: divide_no_nan(t, y), negative(divide_no_nan(r, y))), domain=((-3.0, 3.0), (0.5, 3.0)),
    lower=lambda s, x, y: s.select(y.eq(0), 0, x / y), oracle="numpy.divide",
    doc=example("The quotient x / y, and 0 where y is 0.", "float(ad.divide_no_nan(3.0, 0.0))", "0.0",
                "The derivatives are 0 there too."))

multiply_no_nan: Any = elementwise(
    "multiply_no_nan", 2, lambda x, y: np.where(y == 0, y.dtype.type(0), np.multiply(x, y)),
    lambda r, x, y: (lambda t: multiply_no_nan(t, y), lambda t: multiply_no_nan(x, t)),
    lower=lambda s, x, y: s.select(y.eq(0), 0, x * y), oracle="numpy.multiply",
    doc=example("The product x * y, and 0 where y is 0 even if x is infinite or NaN.",
                "float(ad.multiply_no_nan(float('inf'), 0.0))", "0.0", "A zero cotangent stays zero in the same way."))


def _floor_divide_kernel(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y)


def _whole_part(x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        q = np.floor_divide(x, y)
        return q + ((q < 0) & (q * y != x)).astype(q.dtype)
    if x.dtype.itemsize == 2:                            # rounded once
        return np.trunc(np.true_divide(x.astype(np.float32), y.astype(np.float32))).astype(x.dtype)
    return np.trunc(np.true_divide(x, y))


floor_divide = elementwise(
    "floor_divide", 2, _floor_divide_kernel, lambda r, x, y: (None, None), kinds="iuf", operator="floordiv",
    lower=lambda s, x, y: s.floor_divide(x, y),
    oracle="numpy.floor_divide", domain=((-3.0, 3.0), (0.5, 3.0)),
    doc=example("The quotient x / y rounded down, x // y.", "float(ad.floor_divide(-7.0, 2.0))", "-4.0",
                "Its derivative is zero (None). An integer divided by 0 gives 0."))

trunc_divide = elementwise(
    "trunc_divide", 2, _whole_part, lambda r, x, y: (None, None), kinds="iuf",
    lower=lambda s, x, y: s.trunc(x / y) if x.floating else s.divided(x, y)[0],
    oracle=lambda x, y: np.trunc(x / y), domain=((-3.0, 3.0), (0.5, 3.0)),
    doc=example("The quotient x / y rounded towards zero.", "float(ad.trunc_divide(-7.0, 2.0))", "-3.0",
                "Its derivative is zero (None). TensorFlow's truncatediv."))

remainder = elementwise(
    "remainder", 2, np.remainder, lambda r, x, y: (1, negative(floor_divide(x, y))), kinds="iuf", operator="mod",
    lower=lambda s, x, y: s.remainder(x, y),
    oracle="numpy.remainder", domain=((-3.0, 3.0), (0.5, 3.0)),
    doc=example("The remainder x - y * floor(x / y), with the sign of y.", "float(ad.remainder(-7.0, 4.0))", "1.0",
                "Derivatives: 1 and -floor(x / y). TensorFlow's floormod and mod."))

fmod = elementwise(
    "fmod", 2, np.fmod, lambda r, x, y: (1, negative(trunc_divide(x, y))), kinds="iuf", oracle="numpy.fmod",
    lower=lambda s, x, y: s.fmod(x, y) if x.floating else s.divided(x, y)[1],
    domain=((-3.0, 3.0), (0.5, 3.0)),
    doc=example("The remainder x - y * trunc(x / y), with the sign of x.", "float(ad.fmod(-7.0, 4.0))", "-3.0",
                "Derivatives: 1 and -trunc(x / y). C's fmod, TensorFlow's truncatemod."))

install("__divmod__", lambda x, y: (x // y, x % y))
install("__rdivmod__", lambda x, y: (y // x, y % x))


# ------------------------------------------------------------------------------------------------------------- helpers

def helper(name: str, arity: int, kernel: Callable[..., Any], partials: Callable[..., Any] | None, *, oracle: Any,
           doc: str, kinds: str = "f", domain: tuple[tuple[float, float], ...] = (),
           lower: Callable[..., Any] | None = None) -> Any:
    """A primitive that only derivative rules use: a slope with an accurate kernel, closed under differentiation."""
    op = elementwise(name, arity, kernel, partials, kinds=kinds, oracle=oracle, doc=doc, domain=domain, public=False,
                     lower=lower)
    return unary(op, name, doc) if arity == 1 else binary(op, name, doc)


def dispatch(name: str, real: Callable[[Any], Any], complex_: Callable[[Any], Any], doc: str) -> Callable[[Any], Any]:
    """One public function for two primitives: one for real tensors, one for complex ones."""

    def function(x: Any) -> Any:
        t = x if isinstance(x, Value) else convert(x)
        return complex_(t) if t._spec.dtype.kind == "c" else real(t)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


def public_doc(doc: str, arity: int) -> str:
    """The docstring of a public function that is written out."""
    return docstring(Primitive.__new__(Primitive), doc, arity)



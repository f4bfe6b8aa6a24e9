"""What the blocks of this folder are made with: shape rules, elementwise primitives, operators."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _dtypes
from .._dtypes import DType
from .._errors import AxisError, DtypeError, ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._operators import binary, unary
from .._tensor import Value
from .._trace import record
from ._accuracy import Error

KIND_NAMES = {"b": "bool", "i": "integer", "u": "unsigned integer", "f": "floating", "c": "complex"}


def broadcast_shapes(name: str, *shapes: Shape) -> Shape:
    """The shape that ``shapes`` broadcast to, or a ShapeError."""
    if len(shapes) == 2 and shapes[0] == shapes[1]:
        return shapes[0]
    ndim = max(map(len, shapes))
    out = [1] * ndim
    for shape in shapes:
        offset = ndim - len(shape)
        for k, n in enumerate(shape):
            if n != 1:
                if out[offset + k] not in (1, n):
                    raise ShapeError(complain(name, "shapes", "equal or broadcastable (equal, or 1, axis by axis from "
                                              "the right)", " and ".join(str(s) for s in shapes)))
                out[offset + k] = n
    return tuple(out)


def check_kind(name: str, dtype: DType, kinds: str) -> None:
    if dtype.kind not in kinds:
        wanted = " or ".join(KIND_NAMES[k] for k in kinds)
        remedy = ""
        if dtype.kind in "biu" and "f" in kinds:
            remedy = "cast it to float32 first, or write 3.0 instead of 3"
        raise DtypeError(complain(name, "dtype", wanted, dtype.name, remedy))


def elementwise_infer(name: str, kinds: tuple[str, ...], out: str | DType) -> Callable[..., Spec]:
    """Broadcast the shapes; check each input's kind; give the dtype: "same", "real", or a fixed one."""

    def infer(*specs: Spec, **_: Any) -> Spec:
        found = known.get(specs)
        if found is None:
            if len(known) > 1000:
                known.clear()
            found = known[specs] = checked(*specs)
        return found

    def checked(*specs: Spec) -> Spec:
        for s, k in zip(specs, kinds):
            check_kind(name, s.dtype, k)
        first = specs[-1].dtype
        for s in specs[len(specs) - matched:]:
            if s.dtype is not first:
                raise DtypeError(complain(name, "dtypes", "the same", " and ".join(s.dtype.name for s in specs),
                                          "cast one of them"))
        shape = specs[0].shape if len(specs) == 1 else broadcast_shapes(name, *[s.shape for s in specs])
        dtype = first if out == "same" else first.real_dtype if out == "real" else out
        assert isinstance(dtype, DType)
        return spec(shape, dtype)

    matched = sum(k != "b" for k in kinds) or len(kinds)
    known: dict[tuple[Spec, ...], Spec] = {}
    return infer


def elementwise(
    name: str,
    arity: int,
    kernel: Callable[..., Any],
    partials: Callable[..., Any] | None,
    *,
    kinds: str | tuple[str, ...] = "fc",
    out: str | DType = "same",
    doc: str,
    lower: Callable[..., Any] | None = None,
    domain: tuple[tuple[float, float], ...] = (),
    oracle: Any = None,
    error: Error | None = None,
    operator: str = "",
    public: bool = True,
) -> Any:
    """Define an elementwise primitive; returns its public function (unary and binary) or the primitive's Op."""
    each = (kinds,) * arity if isinstance(kinds, str) else kinds
    prim = Primitive(
        name, elementwise_infer(name, each, out), kernel, partials=partials, elementwise=True, lower=lower,
        domain=domain or ((-3.0, 3.0),) * arity, oracle=oracle, error=error, doc=doc)
    op = prim.op()
    if not public:
        return op
    if arity == 1:
        function: Any = unary(op, name, docstring(prim, doc, arity))
    elif arity == 2:
        function = binary(op, name, docstring(prim, doc, arity))
    else:
        raise ValueError("public elementwise functions of three arguments are written out")
    if operator:
        if arity == 1:
            install(f"__{operator}__", function)
        else:
            install(f"__{operator}__", _operator(op, f"__{operator}__", False))
            if out != _dtypes.bool_ or operator in ("and", "or", "xor"):
                install(f"__r{operator}__", _operator(op, f"__r{operator}__", True))
    function.primitive = prim
    return function


def _operator(op: Op, name: str, swap: bool) -> Callable[[Any, Any], Any]:
    return binary(op, name, "", swap)


def install(name: str, function: Callable[..., Any]) -> None:
    """Put an operator or a method on Tensor and Variable."""
    setattr(Value, name, function)


def docstring(prim: Primitive, doc: str, arity: int) -> str:
    """The public docstring of an elementwise function: what it computes, then arguments and errors."""
    head, _, rest = doc.partition("\n")
    args = "x: tensor" if arity == 1 else "x, y: tensors, arrays or Python scalars that broadcast"
    text = (f"{head}\n{rest}\n\nElementwise. {args}; the result has the broadcast shape.\n"
            f"Raises DtypeError for a dtype the function is not defined on, ShapeError for shapes that do not broadcast.\n")
    return text if getattr(prim, "error", None) is None else f"{text}{prim.error}\n"


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """An axis counted from the front, or an AxisError."""
    try:
        k = axis.__index__()
    except AttributeError:
        raise AxisError(complain(name, "axis", "an integer", repr(axis))) from None
    if not -ndim <= k < ndim:
        raise AxisError(complain(name, "axis", f"in [{-ndim}, {ndim})", k, f"the tensor has {ndim} dimensions"))
    return k + ndim if k < 0 else k


def normalize_axes(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple counted from the front; None means all."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Value):
        axis = axis.tolist()
    if hasattr(axis, "tolist"):
        axis = axis.tolist()
    if not isinstance(axis, (tuple, list)):
        return (normalize_axis(name, axis, ndim),)
    axes = [normalize_axis(name, a, ndim) for a in axis]
    if len(set(axes)) != len(axes):
        raise AxisError(complain(name, "axis", "without repeats", tuple(axis)))
    return tuple(sorted(axes))


__all__ = ["Op", "Primitive", "Spec", "broadcast_shapes", "check_kind", "docstring", "elementwise", "install",
           "normalize_axes", "normalize_axis", "record", "spec"]

"""Products that sum over an axis: matmul and what is made of it, and einsum."""
from __future__ import annotations

import math
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .._errors import AxisError, DtypeError, NotSupportedError, ShapeError, complain
from .._graph import Op, Primitive, Shape, Spec, spec
from .._operators import binary
from .._tensor import Value
from .._trace import hooks, record
from ._make import broadcast_shapes, install, normalize_axis
from .arithmetic import add, multiply
from .broadcast import add_up, broadcast_to, sum, wide
from .complex import conj
from .convert import cast, convert
from .indexing import TENSOR, iota, unindex
from .movement import reshape, transpose

__all__ = ["dot", "einsum", "inner", "matmul", "matvec", "outer", "tensordot", "vecdot"]

# ------------------------------------------------------------------------------------------------------------- matmul


def _narrow(dtype: Any) -> bool:
    return dtype.itemsize == 2 and dtype.kind in "fV"


def in_parts(m: int, n: int, k: int) -> int:
    """How many of ``k`` terms a product adds up at a time, so that its error does not grow with their number; 0 for all."""
    part = 1024 if m == 1 or n == 1 else 4096            # a row times a matrix is added up in memory, one term after the other
    return part if k >= 4 * part else 0


def _multiplied(a: Any, b: Any) -> Any:
    """np.matmul, but long sums in parts."""
    k = a.shape[-1]
    m, n = a.shape[-2] if a.ndim > 1 else 1, b.shape[-1] if b.ndim > 1 else 1
    part = in_parts(m, n, k) if a.dtype.kind in "fc" else 0
    if not part:
        return np.matmul(a, b)
    if a.ndim < 2 or b.ndim < 2:
        y = _multiplied(a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b)
        y = y[..., 0] if b.ndim == 1 else y
        return y[..., 0] if a.ndim == b.ndim == 1 else y[..., 0, :] if a.ndim == 1 else y
    if a.ndim == b.ndim == 2 and m * n * k <= part << 18:
        whole = k // part * part
        parts = np.matmul(a[:, :whole].reshape(m, -1, part).transpose(1, 0, 2), b[:whole].reshape(-1, part, n))
        rest = np.matmul(a[:, whole:], b[whole:])
        return (add_up(parts, (0,)) + rest).astype(a.dtype)
    total: Any = np.zeros((), wide(a.dtype))
    lost: Any = 0.0
    for start in range(0, k, part):
        more = np.matmul(a[..., start: start + part], b[..., start: start + part, :])
        if total.dtype != a.dtype:
            total = total + more
            continue
        after = total + more
        back = after - total
        lost = lost + ((total - (after - back)) + (more - back))
        total = after
    return np.where(np.isfinite(lost), total + lost, total).astype(a.dtype)


def _matmul_kernel(a: Any, b: Any, ta: bool, tb: bool) -> Any:
    if ta:
        a = a.swapaxes(-1, -2)
    if tb:
        b = b.swapaxes(-1, -2)
    if _narrow(a.dtype):
        return np.asarray(_multiplied(a.astype(np.float32), b.astype(np.float32))).astype(a.dtype)
    if b.ndim == 2 and a.ndim > 2 and a.flags.c_contiguous:
        return _multiplied(a.reshape(-1, a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])
    return _multiplied(a, b)


def _ends(shape: Shape, t: bool) -> tuple[int, int]:
    return (shape[-1], shape[-2]) if t else (shape[-2], shape[-1])


def _matmul_infer(a: Spec, b: Spec, ta: bool, tb: bool) -> Spec:
    if a.dtype is not b.dtype:
        raise DtypeError(complain("matmul", "dtypes", "the same", f"{a.dtype.name} and {b.dtype.name}", "cast one of them"))
    if not a.ndim or not b.ndim:
        raise ShapeError(complain("matmul", "each operand", "of at least one dimension", f"shapes {a.shape} and {b.shape}",
                                  "multiply by a scalar with *"))
    m, k = _ends(a.shape, ta) if a.ndim > 1 else (1, a.shape[0])
    k2, n = _ends(b.shape, tb) if b.ndim > 1 else (b.shape[0], 1)
    if k != k2:
        flags = "".join(f", {name}=True" for name, t in (("transpose_a", ta), ("transpose_b", tb)) if t)
        raise ShapeError(complain("matmul", "shapes", "(..., m, k) and (..., k, n)", f"{a.shape} and {b.shape}{flags}"))
    lead = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    return spec((*lead, *((m,) if a.ndim > 1 else ()), *((n,) if b.ndim > 1 else ())), a.dtype)


def _mm(a: Any, b: Any, ta: bool = False, tb: bool = False) -> Any:
    return record(_MM[ta, tb], a, b)


def _matmul_vjp(g: Any, y: Any, a: Any, b: Any, ta: bool, tb: bool) -> tuple[Any, Any]:
    sa, sb = a._spec.shape, b._spec.shape
    if len(sa) == 1 and len(sb) == 1:
        return multiply(g, conj(b)), multiply(g, conj(a))
    if len(sa) == 1:
        g, a = reshape(g, (*y._spec.shape[:-1], 1, y._spec.shape[-1])), reshape(a, (1, *sa))
    if len(sb) == 1:
        g, b = reshape(g, (*y._spec.shape, 1)), reshape(b, (*sb, 1))
    a_, b_ = conj(a), conj(b)
    ga = _mm(b_, g, tb, True) if ta else _mm(g, b_, False, not tb)
    lead = a._spec.ndim - 2
    if b._spec.ndim == 2 and lead and not ta:            # one product over the batch instead of a sum of products
        rows = a._spec.size // a._spec.shape[-1] if a._spec.shape[-1] else 0
        a2, g2 = reshape(a_, (rows, a._spec.shape[-1])), reshape(g, (rows, g._spec.shape[-1]))
        gb = _mm(g2, a2, True) if tb else _mm(a2, g2, True)
    else:
        gb = _mm(g, a_, True, ta) if tb else _mm(a_, g, not ta, False)
    if len(sa) == 1:
        ga = reshape(_summed(ga), sa)
    if len(sb) == 1:
        gb = reshape(_summed(gb), sb)
    return ga, gb


def _summed(g: Any) -> Any:
    """A batch of matrices summed to one."""
    lead = g._spec.ndim - 2
    return sum(g, axis=tuple(range(lead))) if lead else g


def _front(t: Any, axis: int) -> Any:
    return transpose(t, (axis, *[k for k in range(t._spec.ndim) if k != axis])) if axis else t


def _matmul_batch(args: Any, axes: Any, ta: bool, tb: bool) -> tuple[Any, int]:
    a, b = args
    na, nb = (t._spec.ndim - (k is not None) for t, k in zip(args, axes))
    row, column = na == 1, nb == 1
    a, b = (t if k is None else _front(t, k) for t, k in zip((a, b), axes))
    if row:
        a = reshape(a, (*a._spec.shape[:-1], 1, a._spec.shape[-1]))
    if column:
        b = reshape(b, (*b._spec.shape, 1))
    lead = max(na, nb, 2) - 2
    if axes[0] is not None:
        a = reshape(a, (a._spec.shape[0], *[1] * (lead + 3 - a._spec.ndim), *a._spec.shape[1:]))
    if axes[1] is not None:
        b = reshape(b, (b._spec.shape[0], *[1] * (lead + 3 - b._spec.ndim), *b._spec.shape[1:]))
    y = _mm(a, b, ta, tb)
    shape = y._spec.shape
    if row or column:
        y = reshape(y, (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:])))
    return y, 0


def _pair_case(sa: Shape, sb: Shape, ta: bool = False, tb: bool = False) -> Any:
    return lambda rng: ((rng.normal(size=sa), rng.normal(size=sb)), {"ta": ta, "tb": tb})


def _matmul_labels(a: Spec, b: Spec, ta: bool, tb: bool) -> tuple[tuple[Any, ...], ...]:
    def own(s: Spec, matrix: str, vector: str) -> tuple[Any, ...]:
        return (*range(s.ndim - 2, 0, -1), *matrix) if s.ndim > 1 else tuple(vector)

    first, second = own(a, "km" if ta else "mk", "k"), own(b, "nk" if tb else "kn", "k")
    lead = max(a.ndim, b.ndim) - 2
    return first, second, (*range(lead, 0, -1), *[c for c in "mn" if c in first or c in second])


MATMUL = Primitive(
    "matmul", _matmul_infer, _matmul_kernel, vjp=_matmul_vjp, linear=(0, 1), batch=_matmul_batch, product=_matmul_labels,
    oracle=lambda a, b, ta, tb: np.matmul(a.swapaxes(-1, -2) if ta else a, b.swapaxes(-1, -2) if tb else b),
    cases=(_pair_case((3, 2), (2, 4)), _pair_case((2, 3), (2, 4), True), _pair_case((3, 2), (4, 2), False, True),
           _pair_case((2, 3), (4, 2), True, True), _pair_case((3,), (3,)), _pair_case((3,), (2, 3, 2)),
           _pair_case((2, 4, 3), (3,)), _pair_case((2, 1, 3, 2), (4, 2, 3)), _pair_case((2, 3, 2), (2, 2))),
    doc="The matrix product, batched over leading axes.")

_MM = {(ta, tb): MATMUL.op(ta=ta, tb=tb) for ta in (False, True) for tb in (False, True)}
_plain = binary(_MM[False, False], "matmul", "")


def operands(op: Op, a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands as tensors of one dtype."""
    if isinstance(a, Value) and isinstance(b, Value) and a._spec.dtype is b._spec.dtype:
        return a, b
    return hooks.convert_pair(op, a, b)


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, adjoint_a: bool = False,
           adjoint_b: bool = False, a_is_sparse: bool = False, b_is_sparse: bool = False, output_type: Any = None,
           name: str | None = None) -> Any:
    """The matrix product of ``a`` and ``b``, batched over broadcast leading axes.

        out[..., i, j] = sum over k of a[..., i, k] b[..., k, j]

    a, b                      tensors (..., m, k) and (..., k, n); a vector (k,) stands for a row or a column, whose axis
                              is missing from the result
    transpose_a, transpose_b  use the operand with its last two axes swapped
    adjoint_a, adjoint_b      swap and conjugate

    float16 and bfloat16 add up in float32. Raises ShapeError where the inner dimensions differ or an operand is a scalar.

    >>> import adjoint as ad
    >>> ad.matmul(ad.Tensor([[1., 2.], [3., 4.]]), ad.Tensor([1., 1.])).tolist()
    [3.0, 7.0]
    """
    ta, tb = transpose_a or adjoint_a, transpose_b or adjoint_b
    if not ta and not tb:
        y = _plain(a, b)
    else:
        a, b = operands(_MM[bool(ta), bool(tb)], a, b)
        for t, flag, which in ((a, ta, "a"), (b, tb, "b")):
            if flag and t._spec.ndim < 2:
                raise ShapeError(complain("matmul", which, f"a matrix for transpose_{which}", f"shape {t._spec.shape}"))
        y = _mm(conj(a) if adjoint_a else a, conj(b) if adjoint_b else b, bool(ta), bool(tb))
    if output_type is not None:
        y = cast(y, output_type)
    return y


def _reflected(b: Any, a: Any) -> Any:
    return _plain(a, b)


install("__matmul__", _plain)
install("__rmatmul__", _reflected)


def matvec(a: Any, b: Any, transpose_a: bool = False, adjoint_a: bool = False, name: str | None = None) -> Any:
    """The product of (a batch of) matrices and vectors: out[..., i] = sum over k of a[..., i, k] b[..., k].

    >>> import adjoint as ad
    >>> ad.matvec(ad.Tensor([[1., 2.], [3., 4.]]), ad.Tensor([1., 1.])).tolist()
    [3.0, 7.0]
    """
    a, b = operands(_MM[False, False], a, b)
    y = matmul(a, reshape(b, (*b._spec.shape, 1)), transpose_a=transpose_a, adjoint_a=adjoint_a)
    return reshape(y, y._spec.shape[:-1])


# ------------------------------------------------------------------------------------------ tensordot, vecdot, outer, dot

Axes = tuple[int, ...]


@lru_cache(4096)
def _tensordot_plan(sa: Shape, sb: Shape, axes: Any) -> tuple[Axes, Axes, Shape, Shape, Shape]:
    """The order of each operand's axes, the matrices' shapes, and the shape of the result."""
    one, two = _axes_pair(axes, len(sa), len(sb))
    if any(sa[i] != sb[j] for i, j in zip(one, two)):
        raise ShapeError(complain("tensordot", "paired axes", "of equal length", f"{[sa[i] for i in one]} and "
                                  f"{[sb[j] for j in two]}"))
    free_a = tuple(k for k in range(len(sa)) if k not in one)
    free_b = tuple(k for k in range(len(sb)) if k not in two)
    k = math.prod(sa[i] for i in one)
    left, right = tuple(sa[i] for i in free_a), tuple(sb[i] for i in free_b)
    return free_a + one, two + free_b, (math.prod(left), k), (k, math.prod(right)), left + right


def _axes_pair(axes: Any, na: int, nb: int) -> tuple[Axes, Axes]:
    if hasattr(axes, "__index__"):
        n = axes.__index__()
        if not 0 <= n <= min(na, nb):
            raise AxisError(complain("tensordot", "axes", f"in [0, {min(na, nb)}]", n))
        return tuple(range(na - n, na)), tuple(range(n))
    try:
        first, second = axes
    except (TypeError, ValueError):
        raise AxisError(complain("tensordot", "axes", "an integer or a pair of axis lists", axes)) from None
    first = (first,) if hasattr(first, "__index__") else first
    second = (second,) if hasattr(second, "__index__") else second
    one = tuple(normalize_axis("tensordot", k, na) for k in first)
    two = tuple(normalize_axis("tensordot", k, nb) for k in second)
    if len(one) != len(two) or len(set(one)) != len(one) or len(set(two)) != len(two):
        raise AxisError(complain("tensordot", "axes", "as many of a as of b, without repeats", axes))
    return one, two


def _hashable(axes: Any) -> Any:
    if isinstance(axes, Value):
        axes = axes._look()
    if isinstance(axes, np.ndarray):
        axes = axes.tolist()
    return tuple([_hashable(a) for a in axes]) if isinstance(axes, (list, tuple)) else axes


def tensordot(a: Any, b: Any, axes: Any = 2, name: str | None = None) -> Any:
    """The sum of products over pairs of axes; the remaining axes of ``a`` come first, then those of ``b``.

    axes  an int n (the last n of a with the first n of b) or a pair of axis lists

    Raises ShapeError where paired axes differ in length, AxisError for bad axes.

    >>> import adjoint as ad
    >>> float(ad.tensordot(ad.Tensor([1., 2.]), ad.Tensor([3., 4.]), axes=1))
    11.0
    """
    a, b = operands(_MM[False, False], a, b)
    first, second, rows, columns, shape = _tensordot_plan(
        a._spec.shape, b._spec.shape, axes if axes.__class__ is int else _hashable(axes))
    return _shaped(_mm(_shaped(_ordered(a, first), rows), _shaped(_ordered(b, second), columns)), shape)


def _shaped(t: Any, shape: Shape) -> Any:
    return t if t._spec.shape == shape else reshape(t, shape)


def _ordered(t: Any, order: tuple[int, ...]) -> Any:
    return t if order == tuple(range(len(order))) else transpose(t, order)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """The dot product of vectors along ``axis``: sum over k of conj(x1[..., k]) x2[..., k].

    The other axes broadcast. Raises ShapeError where the vectors differ in length.

    >>> import adjoint as ad
    >>> ad.vecdot(ad.Tensor([[1., 2.], [3., 4.]]), ad.Tensor([1., 10.])).tolist()
    [21.0, 43.0]
    """
    a, b = operands(_MM[False, False], x1, x2)
    n = min(a._spec.ndim, b._spec.ndim)
    if not n:
        raise ShapeError(complain("vecdot", "each operand", "of at least one dimension", "a scalar"))
    k = axis if axis < 0 else axis - max(a._spec.ndim, b._spec.ndim)
    if not -n <= k < 0:
        raise AxisError(complain("vecdot", "axis", f"in [{-n}, 0)", axis))
    if a._spec.shape[k] != b._spec.shape[k]:
        raise ShapeError(complain("vecdot", "the vectors", "of equal length", f"{a._spec.shape[k]} and {b._spec.shape[k]}"))
    return sum(multiply(conj(a), b), axis=k)


def outer(a: Any, b: Any) -> Any:
    """The products of all pairs: out[i, j] = a[i] b[j]; operands of more axes are flattened.

    >>> import adjoint as ad
    >>> ad.outer(ad.Tensor([1., 2.]), ad.Tensor([3., 4.])).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    a, b = operands(_MM[False, False], a, b)
    return multiply(reshape(a, (a._spec.size, 1)), reshape(b, (1, b._spec.size)))


def dot(a: Any, b: Any) -> Any:
    """NumPy's dot: the inner product of vectors, the matrix product of matrices, a plain product with a scalar.

    For more axes, the sum over the last axis of ``a`` and the last but one of ``b``.

    >>> import adjoint as ad
    >>> float(ad.dot(ad.Tensor([1., 2.]), ad.Tensor([3., 4.])))
    11.0
    """
    a, b = operands(_MM[False, False], a, b)
    na, nb = a._spec.ndim, b._spec.ndim
    if not na or not nb:
        return multiply(a, b)
    return _plain(a, b) if nb <= 2 else tensordot(a, b, axes=((na - 1,), (nb - 2,)))


def inner(a: Any, b: Any) -> Any:
    """The sum of products over the last axes of both.

    >>> import adjoint as ad
    >>> float(ad.inner(ad.Tensor([1., 2.]), ad.Tensor([3., 4.])))
    11.0
    """
    a, b = operands(_MM[False, False], a, b)
    if not a._spec.ndim or not b._spec.ndim:
        return multiply(a, b)
    return tensordot(a, b, axes=((-1,), (-1,)))


# ------------------------------------------------------------------------------------------------------------- einsum

Labels = tuple[str, ...]


def _sizes(inputs: Labels, shapes: tuple[Shape, ...]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes):
        for label, n in zip(labels, shape):
            if sizes.setdefault(label, n) != n:
                raise ShapeError(complain("einsum", f"axes labelled {label!r}", "of one length", f"{sizes[label]} and {n}"))
    return sizes


def _einsum_infer(*xs: Spec, inputs: Labels, output: str) -> Spec:
    for x in xs:
        if x.dtype is not xs[0].dtype:
            raise DtypeError(complain("einsum", "dtypes", "the same", " and ".join(s.dtype.name for s in xs)))
    sizes = _sizes(inputs, tuple(x.shape for x in xs))
    return spec(tuple(sizes[k] for k in output), xs[0].dtype)


@lru_cache(1024)
def _contractor(inputs: Labels, output: str, shapes: tuple[Shape, ...]) -> Callable[..., Any]:
    """How np.einsum is called: products of two without repeated labels as one matmul, more along an optimized path."""
    equation = f"{','.join(inputs)}->{output}"
    if len(inputs) == 2 and all(len(set(i)) == len(i) for i in inputs):
        as_matmul = _two(inputs, output, shapes)
        if as_matmul is not None:
            return as_matmul
    if len(inputs) > 2:
        path = _path(inputs, output, shapes)
        return lambda *xs: np.einsum(equation, *xs, optimize=path)
    return lambda *xs: np.einsum(equation, *xs)


def _two(inputs: Labels, output: str, shapes: tuple[Shape, ...]) -> Callable[..., Any] | None:
    a, b = inputs
    batch = [k for k in output if k in a and k in b]
    summed = [k for k in a if k in b and k not in output]
    left = [k for k in output if k in a and k not in b]
    right = [k for k in output if k in b and k not in a]
    if not summed or len(batch) + len(summed) + len(left) != len(a) or len(batch) + len(summed) + len(right) != len(b):
        return None
    sizes = _sizes(inputs, shapes)
    first = tuple(a.index(k) for k in batch + left + summed)
    second = tuple(b.index(k) for k in batch + summed + right)

    def size(labels: list[str]) -> int:
        return int(np.prod([sizes[k] for k in labels], dtype=np.int64))

    lead = tuple(sizes[k] for k in batch)
    m, k, n = size(left), size(summed), size(right)
    made = batch + left + right
    out_shape = tuple(sizes[k] for k in made)
    order = tuple(made.index(k) for k in output)
    same = order == tuple(range(len(order)))

    def run(x: Any, y: Any) -> Any:
        z = _multiplied(x.transpose(first).reshape(*lead, m, k), y.transpose(second).reshape(*lead, k, n)).reshape(out_shape)
        return z if same else z.transpose(order)

    return run


def _einsum_kernel(*xs: Any, inputs: Labels, output: str) -> Any:
    run = _contractor(inputs, output, tuple([x.shape for x in xs]))
    if _narrow(xs[0].dtype):
        return np.asarray(run(*[x.astype(np.float32) for x in xs])).astype(xs[0].dtype)
    return run(*xs)


def _einsum(inputs: Labels, output: str, xs: Any) -> Any:
    return record(EINSUM.op(inputs=tuple(inputs), output=output), *xs)


def _einsum_vjp(g: Any, y: Any, *xs: Any, inputs: Labels, output: str) -> tuple[Any, ...]:
    sizes = _sizes(inputs, tuple(x._spec.shape for x in xs))
    return tuple(_pulled(k, g, xs, inputs, output, sizes) for k in range(len(xs)))


def _pulled(k: int, g: Any, xs: Any, inputs: Labels, output: str, sizes: dict[str, int]) -> Any:
    """The cotangent of operand k: an einsum of g with the others, spread over labels that only k has."""
    mine = inputs[k]
    others = [n for n in range(len(xs)) if n != k]
    given = set(output).union(*[inputs[n] for n in others])
    unique = "".join(dict.fromkeys(mine))
    have = "".join(c for c in unique if c in given)
    part = _einsum((output, *[inputs[n] for n in others]), have, (g, *[conj(xs[n]) for n in others]))
    if have != unique:
        part = broadcast_to(reshape(part, tuple(sizes[c] if c in have else 1 for c in unique)),
                            tuple(sizes[c] for c in unique))
    if unique == mine:
        return part
    rank = len(unique)
    idx = tuple(iota(sizes[c], rank, unique.index(c)) for c in mine)
    return unindex(part, (TENSOR,) * len(mine), idx, xs[k]._spec.shape)


def _einsum_jvp(ts: Any, y: Any, *xs: Any, inputs: Labels, output: str) -> Any:
    total = None
    for k, t in enumerate(ts):
        if t is not None:
            term = _einsum(inputs, output, (*xs[:k], t, *xs[k + 1:]))
            total = term if total is None else add(total, term)
    return total


def _einsum_batch(args: Any, axes: Any, inputs: Labels, output: str) -> tuple[Any, int]:
    fresh = next(c for c in string.ascii_letters if c not in "".join(inputs))
    labels = tuple(i if a is None else i[:a] + fresh + i[a:] for i, a in zip(inputs, axes))
    return _einsum(labels, fresh + output, args), 0


def _path(inputs: Labels, output: str, shapes: tuple[Shape, ...]) -> list[Any]:
    """Which operands are taken together, one step after the other, so that the intermediate results are small."""
    xs = [np.broadcast_to(np.float32(0), s) for s in shapes]
    how = "optimal" if len(inputs) < 6 else "greedy"
    return list(np.einsum_path(f"{','.join(inputs)}->{output}", *xs, optimize=how)[0])


def _einsum_expand(*xs: Any, inputs: Labels, output: str) -> Any:
    """Two at a time along the path."""
    steps = _path(inputs, output, tuple([x._spec.shape for x in xs]))[1:] if len(xs) > 2 else []
    if not steps or any(len(step) != 2 for step in steps):
        return None
    rest = list(zip(inputs, xs))
    for step in steps:
        (a, x), (b, y) = [rest.pop(k) for k in sorted(step, reverse=True)]
        wanted = set(output).union(*[labels for labels, _ in rest])
        kept = output if not rest else "".join(c for c in dict.fromkeys(a + b) if c in wanted)
        rest.append((kept, _einsum((a, b), kept, (x, y))))
    return rest[0][1]


def _einsum_case(equation: str, *shapes: Shape) -> Any:
    left, output = equation.split("->")
    return lambda rng: (tuple(rng.normal(size=s) for s in shapes), {"inputs": tuple(left.split(",")), "output": output})


EINSUM = Primitive(
    "einsum", _einsum_infer, _einsum_kernel, vjp=_einsum_vjp, jvp=_einsum_jvp, batch=_einsum_batch,
    product=lambda *specs, inputs, output: (*inputs, output) if len(specs) == 2 else None, expand=_einsum_expand,
    oracle=lambda *xs, inputs, output: np.einsum(f"{','.join(inputs)}->{output}", *xs),
    cases=(_einsum_case("ij,jk->ik", (2, 3), (3, 4)), _einsum_case("bij,bkj->bki", (2, 2, 3), (2, 4, 3)),
           _einsum_case("iij->j", (2, 2, 3)), _einsum_case("ij->", (2, 3)), _einsum_case("i,ij,j->", (2,), (2, 3), (3,)),
           _einsum_case("ii->i", (3, 3)), _einsum_case("ij,kl->il", (2, 3), (4, 2))),
    doc="A sum of products by labelled axes.")


@lru_cache(4096)
def _parse(equation: str, shapes: tuple[Shape, ...]) -> tuple[Op, tuple[Shape, ...]]:
    """What is recorded, and the operands' shapes without the axes that ellipses broadcast."""
    text = "".join(equation.split())
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(complain("einsum", "equation", f"with a term for each of {len(shapes)} operands", repr(equation)))
    for term in (*terms, output):
        rest = term.replace("...", "", 1)
        if not all(c in string.ascii_letters for c in rest):
            raise ShapeError(complain("einsum", "equation", "letters, commas, '->' and '...'", repr(equation)))
    fresh = [c for c in string.ascii_letters if c not in text]
    ranks = [len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes)]
    for term, shape, rank in zip(terms, shapes, ranks):
        if rank < 0 or (rank and "..." not in term):
            raise ShapeError(complain("einsum", f"the operand for {term!r}", f"of {len(term.replace('...', ''))} dimensions"
                                      f"{' or more' if '...' in term else ''}", f"shape {shape}"))
    deepest = max((r for t, r in zip(terms, ranks) if "..." in t), default=0)
    spread = "".join(fresh[:deepest])
    widths = [1] * deepest
    for term, shape, rank in zip(terms, shapes, ranks):
        at = term.find("...")
        if at >= 0:
            for n, size in enumerate(shape[at:at + rank]):
                if size != 1:
                    widths[deepest - rank + n] = size
    inputs, bare = [], []
    for term, shape, rank in zip(terms, shapes, ranks):
        at = term.find("...")
        if at < 0:
            inputs.append(term)
            bare.append(shape)
            continue
        keep = [n for n in range(rank) if not (shape[at + n] == 1 and widths[deepest - rank + n] != 1)]
        inputs.append(term[:at] + "".join(spread[deepest - rank + n] for n in keep) + term[at + 3:])
        bare.append((*shape[:at], *[shape[at + n] for n in keep], *shape[at + rank:]))
    if arrow:
        result = output.replace("...", spread)
    else:
        counts = "".join(terms).replace("...", "")
        result = spread + "".join(sorted(c for c in set(counts) if counts.count(c) == 1))
    if len(set(result)) != len(result):
        raise ShapeError(complain("einsum", "the result's labels", "without repeats", repr(output)))
    missing = [c for c in result if c not in "".join(inputs)]
    if missing:
        raise ShapeError(complain("einsum", "the result's labels", "among the operands'", repr(missing[0])))
    return EINSUM.op(inputs=tuple(inputs), output=result), tuple(bare)


def einsum(equation: str, *operands: Any, optimize: Any = None, name: str | None = None) -> Any:
    """The sum of products that an equation of labelled axes describes.

        "ij,jk->ik": out[i, k] = sum over j of a[i, j] b[j, k]

    equation  a term for each operand and, after "->", the result's labels (without it, those that occur once, sorted); a
              repeated label in a term takes a diagonal; "..." stands for leading axes that broadcast
    operands  tensors of one dtype, or brought to one

    Two operands are multiplied as matrices; more along a path that keeps the intermediate results small.
    Raises ShapeError where the equation and the shapes do not agree.

    >>> import adjoint as ad
    >>> float(ad.einsum("ii", ad.Tensor([[1., 2.], [3., 4.]])))
    5.0
    """
    if not isinstance(equation, str):
        raise NotSupportedError("einsum: the first argument is the equation, a string such as 'ij,jk->ik'")
    xs = [x if isinstance(x, Value) else convert(x) for x in operands]
    if len(xs) > 1 and any(x._spec.dtype is not xs[0]._spec.dtype for x in xs):
        for k in range(1, len(xs)):
            xs[0], xs[k] = hooks.convert_pair(_MM[False, False], xs[0], xs[k])
        xs = [xs[0], *[hooks.convert(x, xs[0]._spec.dtype) for x in xs[1:]]]
    op, bare = _parse(equation, tuple([x._spec.shape for x in xs]))
    xs = [x if x._spec.shape == s else reshape(x, s) for x, s in zip(xs, bare)]
    return record(op, *xs)

"""Spec, Primitive, Op and Node: the graph.

A recorded program is a path through a tree of nodes. Each node is one use of a primitive at one place; its inputs are
the places of earlier results, counted from the root. A program that runs again walks the same path, so recording it is
one dictionary look-up an operation, and whatever was worked out for a path (its plan, its derivative) is found at the
node where it ends.
"""
from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ._dtypes import DType
from ._errors import AdjointError

Shape = tuple[int, ...]


class Spec:
    """Shape and dtype of a result; interned, so compared by identity."""

    __slots__ = ("dtype", "nbytes", "ndim", "shape", "size")
    shape: Shape
    dtype: DType
    ndim: int
    size: int
    nbytes: int

    def __repr__(self) -> str:
        return f"{self.dtype.name}[{', '.join(map(str, self.shape))}]"


_SPECS: dict[tuple[Shape, DType], Spec] = {}


def spec(shape: Shape, dtype: DType) -> Spec:
    """The one Spec with this shape and dtype."""
    found = _SPECS.get((shape, dtype))
    if found is None:
        found = Spec()
        found.shape, found.dtype, found.ndim = shape, dtype, len(shape)
        size = 1
        for n in shape:
            size *= n
        found.size, found.nbytes = size, size * dtype.itemsize
        _SPECS[shape, dtype] = found
    return found


class Along(NamedTuple):
    """An axis of an array goes with an axis of its part: start + step * the place there."""

    axis: int
    start: int = 0
    step: int = 1


class By(NamedTuple):
    """An axis of an array goes by the indices in an argument, whose own axes are these of the part."""

    argument: int
    axes: tuple[int, ...]


class Primitive:
    """A name and its rules.

    infer      (*specs, **params) -> Spec or tuple of Specs; raises when arguments do not fit
    kernel     (*arrays, **params) -> array or tuple of arrays: the meaning, in NumPy
    partials   (y, *xs, **params) -> for each input None (derivative zero everywhere), a number, a tensor to multiply
               by, or a callable that applies the diagonal linear map; serves both modes (elementwise primitives)
    vjp        (g, y, *xs, **params) -> a cotangent or None for each input (g and y are tuples for several outputs)
    jvp        (ts, y, *xs, **params) -> the tangent of y; ts holds None for zero. Where absent: linear primitives apply
               themselves, the rest transposes the vjp
    linear     the inputs in which the primitive is linear with the others held fixed
    joint      linear in all of ``linear`` together (concat), not one at a time (matmul)
    lower      (scalar, *xs, **params) -> expression in the scalar vocabulary; absent: the kernel is a step of its own
    expand     (*xs, **params) -> the same result (or tuple of results) recorded in simpler operations, for the engines that
               compile loops; None where these inputs are better left to the kernel
    view       (array, **params) -> a NumPy view that is the result, where there is one without a copy (else it raises); it
               may look at shape and strides, never at elements
    product    (*specs, **params) -> labels of the axes of two operands and of the result, where it is the sum of products over
               the labels that the result does not have (else None)
    places     (out, *specs, **params) -> for each input the view of ``out`` in which it is found again, where the result is
               nothing but its inputs and zeros elsewhere; None where it is not; ``out`` as for ``view``
    gathers    (*specs, **params) -> where each element of the result stands in the first argument: for each axis of that a
               number, an Along or a By; None where it is no such thing
    scatters   the same the other way round: where each element of the first argument is added in zeros
    overlays   (*specs, **params) -> (how, where, shape): what the second argument, broadcast to this shape, is put over in the
               first; "last" replaces what is there, "max" and "min" are the larger and the smaller of the two
    scan       (scalar, state, *xs, **params) -> (state, expression): what an element along ``axis`` (from its end with
               ``reverse``) does to a tuple of expressions, and the result there; the state is None before the first
    ramp       whether its elements are 0, 1, 2, ... in memory order: a loop counts them
    batch      (args, axes, **params) -> (result, axis): the rule for vmap; elementwise primitives need none
    domain     for tests: one (low, high) an input
    cases      for tests: callables (rng) -> (arrays, params)
    error      how far value, first and second derivative may be off (primitives/_accuracy), where that is measured
    oracle     for tests: dotted name of an independent reference ("mpmath.tanh", "numpy.sum")
    """

    __slots__ = (
        "_ops", "batch", "cases", "doc", "domain", "elementwise", "error", "expand", "gathers", "infer", "joint",
        "jvp", "kernel", "linear", "lower", "lowered", "module", "name", "oracle", "overlays", "partials", "places",
        "product", "pure", "ramp", "scan", "scatters", "view", "vjp",
    )

    def __init__(
        self,
        name: str,
        infer: Callable[..., Any],
        kernel: Callable[..., Any],
        *,
        partials: Callable[..., Any] | None = None,
        vjp: Callable[..., Any] | None = None,
        jvp: Callable[..., Any] | None = None,
        linear: tuple[int, ...] = (),
        joint: bool = False,
        lower: Callable[..., Any] | None = None,
        expand: Callable[..., Any] | None = None,
        view: Callable[..., Any] | None = None,
        places: Callable[..., Any] | None = None,
        product: Callable[..., Any] | None = None,
        gathers: Callable[..., Any] | None = None,
        scatters: Callable[..., Any] | None = None,
        overlays: Callable[..., Any] | None = None,
        scan: Callable[..., Any] | None = None,
        ramp: bool = False,
        batch: Callable[..., Any] | None = None,
        elementwise: bool = False,
        pure: bool = True,
        domain: tuple[tuple[float, float], ...] = (),
        cases: tuple[Callable[..., Any], ...] = (),
        oracle: Any = None,
        error: Any = None,
        doc: str = "",
    ) -> None:
        if name in REGISTRY:
            raise AdjointError(f"a primitive named {name!r} exists already")
        self.name, self.infer, self.kernel = name, infer, kernel
        self.partials, self.vjp, self.jvp, self.linear, self.joint = partials, vjp, jvp, linear, joint
        self.lower, self.expand, self.product = lower, expand, product
        self.view, self.places = view, places
        self.gathers, self.scatters, self.overlays, self.scan, self.ramp = gathers, scatters, overlays, scan, ramp
        self.batch, self.elementwise, self.pure = batch, elementwise, pure
        self.lowered = kernel                            # what a compiled form stands for: another kernel is called
        self.domain, self.cases, self.oracle, self.error, self.doc = domain, cases, oracle, error, doc
        self.module = kernel.__module__ if kernel is not None else ""
        self._ops: dict[Any, Op] = {}
        REGISTRY[name] = self

    def op(self, **params: Any) -> Op:
        """This primitive with its parameters; the same object each time."""
        key = tuple(params.items())
        found = self._ops.get(key)
        if found is None:
            found = self._ops[key] = Op(self, params)
        return found

    @property
    def differentiable(self) -> bool:
        return self.partials is not None or self.vjp is not None or bool(self.linear)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"

    def __reduce__(self) -> Any:
        return REGISTRY.__getitem__, (self.name,)


REGISTRY: dict[str, Primitive] = {}


def _no_kernel(*_: Any, **__: Any) -> Any:
    raise AdjointError("an input has no kernel")


INPUT = Primitive("input", lambda **_: None, _no_kernel, pure=False)


class Op:
    """A primitive with its parameters bound; interned by Primitive.op."""

    __slots__ = ("params", "prim")

    def __init__(self, prim: Primitive, params: dict[str, Any]) -> None:
        self.prim, self.params = prim, params

    @property
    def name(self) -> str:
        return self.prim.name

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={v}" for k, v in self.params.items())
        return f"{self.prim.name}[{inside}]" if inside else self.prim.name


class _Nothing(dict[Any, Any]):
    """Stands for a dictionary that nobody has added to."""

    def __setitem__(self, key: Any, value: Any) -> None:
        raise AdjointError("nothing is added here")


NOTHING: dict[Any, Any] = _Nothing()


class Node:
    """One use of a primitive at one place of a recorded program.

    idx     place of its (first) result;  end  place after its last
    args    places of its inputs;  i, j  the first two of them, or -1
    spec    Spec, or a tuple of Specs where the primitive has several results
    hint    the node that followed it last;  more  all that followed, where there are several
    memo    what was worked out for the path that ends here: plans, derivatives, short cuts; added to with ``keep``
    count   inputs on the path that ends here
    code    the code object that recorded it first while lines were noted, with ``off``, the offset
    """

    __slots__ = ("args", "code", "count", "end", "hint", "i", "idx", "j", "memo", "more", "off", "op", "parent", "spec")
    idx: int
    end: int
    i: int
    j: int
    count: int
    hint: Node
    more: dict[Any, Node] | None

    def __init__(self, parent: Node | None, op: Op | None, args: tuple[int, ...], out: Any) -> None:
        self.parent, self.op, self.args, self.spec = parent, op, args, out
        self.idx = at = parent.end if parent is not None else 0
        self.end = at if op is None else at + len(out) if out.__class__ is tuple else at + 1
        self.count = (parent.count if parent is not None else 0) + (op is not None and op.prim is INPUT)
        self.i = args[0] if args else -1
        self.j = args[1] if len(args) > 1 else -1
        self.hint, self.more, self.memo, self.code, self.off = NONE, None, NOTHING, None, -1

    def after(self, op: Op, args: tuple[int, ...], out: Any = None) -> Node | None:
        """The node that followed for this use, if any did; an input is told by its spec ``out``."""
        node = self.hint
        if node.op is op and node.args == args and (out is None or node.spec is out):
            return node
        more = self.more
        found = None if more is None else more.get((op, args) if out is None else (op, out))
        if found is not None:
            self.hint = found
        return found

    def grow(self, op: Op, args: tuple[int, ...], out: Any) -> Node:
        """A new node after this one."""
        node, first = Node(self, op, args, out), self.hint
        if first is not NONE:
            if self.more is None:
                self.more = {_key(first): first}
            node = self.more.setdefault(_key(node), node)     # another thread may have been here
        self.hint = node
        _COUNT[0] += 1
        return node

    def keep(self, key: Any, value: Any) -> Any:
        """Remember what was worked out."""
        if self.memo is NOTHING:
            self.memo = {}
        self.memo[key] = value
        return value

    @property
    def next(self) -> list[Node]:
        """The nodes that follow."""
        return list(self.more.values()) if self.more is not None else [] if self.hint is NONE else [self.hint]

    @property
    def specs(self) -> tuple[Spec, ...]:
        return self.spec if self.spec.__class__ is tuple else (self.spec,)

    def path(self, stop: Node | None = None) -> Iterator[Node]:
        """The nodes from this one back to (not including) ``stop`` or the root."""
        node: Node | None = self
        while node is not stop and node is not None and node.op is not None:
            yield node
            node = node.parent

    def __repr__(self) -> str:
        return f"%{self.idx} = {self.op}({', '.join(f'%{i}' for i in self.args)}) : {self.spec}"


def _key(node: Node) -> Any:
    return node.op, node.spec if node.op.prim is INPUT else node.args  # type: ignore[union-attr]


NONE: Node = None  # type: ignore[assignment]
NONE = Node(None, None, (), ())                          # no node
NONE.hint, NONE.i, NONE.j = NONE, -2, -2
ROOT = Node(None, None, (), ())


@contextmanager
def no_collection(on: bool) -> Iterator[None]:
    """Let the collector of cycles rest while very many objects are made that stay: it would look at them again and again."""
    resting = on and gc.isenabled()
    if resting:
        gc.disable()
    try:
        yield
    finally:
        if resting:
            gc.enable()


_COUNT = [0]
LIMIT = 400_000


def forget() -> None:
    """Drop every remembered path (nodes that something still refers to live on)."""
    stack = [ROOT]
    while stack:
        node = stack.pop()
        stack.extend(node.next)
        node.hint, node.more, node.memo = NONE, None, NOTHING
    _COUNT[0] = 0


def crowded() -> bool:
    """Whether the tree of remembered paths has grown past its bound."""
    return _COUNT[0] > LIMIT

"""Formulas that people write by hand and that lose digits, recognised: what they compute is one accurate operation.

    1 / (1 + exp(-x)),  exp(x) / (1 + exp(x))      sigmoid(x)
    log(1 + exp(x)),  log1p(exp(x))                softplus(x)
    exp(x) / sum(exp(x)),  also of x - max(x)      softmax(x)
    log(sum(exp(x))),  max(x) + log(sum(exp(x - max(x))))    logsumexp(x)
    log(softmax(x)),  log(sigmoid(x))              log_softmax(x),  log_sigmoid(x)
    sqrt(x*x + y*y)                                hypot(x, y)
    sqrt(sum(x*x))                                 norm(x)
    x / norm(x)                                    the unit vector of x
    x/sqrt(x),  sqrt(x)/x                          sqrt(x),  rsqrt(x)
    x*sqrt(x),  x*x*sqrt(x)                        slopes of x to the 3/2 and 5/2
    y*log(p) + (1-y)*log(1-p),  p a sigmoid        minus the binary cross-entropy from logits
    -y*log(p) - (1-y)*log(1-p),  log1p(-p)         the same the other way round, and for log(1-p)

A sigmoid, softmax or norm may itself be written out. A maximum may be held constant (stop_gradient).

The same recognition serves the values (passes/rewrites.py) and the derivatives (_derive.py): a derivative rule that is run
on the pieces of the formula has lost the digits already.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._config import config
from ._graph import Node, Op, Spec, forget
from ._trace import INPUT, LITERAL, READ, Trace, _spec_at
from .primitives._binary import BINARY
from .primitives.arithmetic import MONOMIAL
from .primitives.normalize import NORMALIZE
from .primitives.norms import NORM
from .primitives.plane import hypot
from .primitives.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX
from .primitives.special import log_sigmoid, sigmoid, softplus
from .primitives.transcendental import rsqrt, sqrt

Known = Callable[[int], tuple[Op, tuple[int, ...]] | None]
Specs = Callable[[int], Spec]


class Formula:
    """What a value is: ``sign`` times ``op`` of ``leaves``; ``inside`` are the operations between, which it stands for.

    ``repairs`` tells whether the value gains by it, not only the derivatives."""

    __slots__ = ("inside", "leaves", "op", "repairs", "sign")

    def __init__(self, op: Op, leaves: tuple[int, ...], inside: set[int], sign: int = 1) -> None:
        self.op, self.leaves, self.inside, self.sign = op, leaves, inside, sign
        self.repairs = op.prim is not MONOMIAL


class _Reader:
    """Matches against a program given as value -> (op, args); collects what was gone through."""

    def __init__(self, known: Known, specs: Specs) -> None:
        self.known, self.specs = known, specs
        self.inside: set[int] = set()

    def take(self, v: int, name: str) -> tuple[int, ...] | None:
        """The arguments of ``v`` if it is an operation of that name."""
        found = self.known(v)
        if found is None or found[0].prim.name != name:
            return None
        self.inside.add(v)
        return found[1]

    def is_one(self, v: int) -> bool:
        found = self.known(v)
        return found is not None and found[0].prim is LITERAL and found[0].params["value"] == 1

    def one_and(self, v: int) -> int | None:
        """t for v = 1 + t."""
        args = self.take(v, "add")
        if args is None:
            return None
        a, b = args
        return b if self.is_one(a) else a if self.is_one(b) else None

    def rest_of(self, v: int) -> int | None:
        """t for v = 1 - t."""
        args = self.take(v, "subtract")
        return args[1] if args is not None and self.is_one(args[0]) else None

    def sigmoid_of(self, v: int) -> int | None:
        """x for v = sigmoid(x), as the operation or written out."""
        args = self.take(v, "sigmoid")
        if args is not None:
            return args[0]
        args = self.take(v, "reciprocal")
        if args is not None:
            above, below = None, args[0]
        else:
            args = self.take(v, "divide")
            if args is None:
                return None
            above, below = args
        t = self.one_and(below)
        e = None if t is None else self.take(t, "exp")
        if e is None:
            return None
        if above is None or self.is_one(above):
            negated = self.take(e[0], "negative")
            return None if negated is None else negated[0]
        top = self.take(above, "exp")
        return e[0] if top is not None and top[0] == e[0] else None

    def squared(self, v: int) -> int | None:
        """x for v = x * x."""
        args = self.take(v, "square")
        if args is not None:
            return args[0]
        args = self.take(v, "multiply")
        return args[0] if args is not None and args[0] == args[1] else None

    def norm_of(self, v: int) -> tuple[int, tuple[int, ...], bool] | None:
        """(x, axes, keepdims) for v = norm(x), as the operation or written out."""
        found = self.known(v)
        if found is not None and found[0].prim.name == "vector_norm":
            self.inside.add(v)
        else:
            root = self.take(v, "sqrt")
            found = None if root is None else self.known(root[0])
            if root is None or found is None or self.take(root[0], "sum") is None:
                return None
        x = found[1][0] if found[0].prim.name == "vector_norm" else self.squared(found[1][0])
        axes = found[0].params["axes"]
        return None if x is None else (x, axes, found[0].params["keepdims"])

    def sum_exp(self, v: int) -> tuple[int, tuple[int, ...], bool, int | None, int] | None:
        """(x, axes, keepdims, the maximum taken off, the exponential) for v = sum(exp(x)) or sum(exp(x - max(x)))."""
        found = self.known(v)
        args = self.take(v, "sum")
        e = None if args is None else self.take(args[0], "exp")
        if found is None or args is None or e is None:
            return None
        axes, keepdims = found[0].params["axes"], found[0].params["keepdims"]
        shifted = self.known(e[0])
        if shifted is not None and shifted[0].prim.name == "subtract":
            x, m = shifted[1]
            if self.is_maximum(m, x, axes):
                self.inside.add(e[0])
                return x, axes, keepdims, m, args[0]
        return e[0], axes, keepdims, None, args[0]

    def is_maximum(self, m: int, x: int, axes: tuple[int, ...]) -> bool:
        """Whether m = max(x) over these axes, which stay; a maximum held constant is not gone through."""
        found = self.known(m)
        if found is not None and found[0].prim.name == "stop_gradient":
            top = self.known(found[1][0])
        else:
            top = found
        if top is None or top[0].prim.name != "max" or top[1] != (x,):
            return False
        if top[0].params["axes"] != axes or not (top[0].params["keepdims"] or len(axes) == self.specs(x).ndim):
            return False
        if top is found:
            self.inside.add(m)
        return True

    def softmax_of(self, v: int) -> tuple[int, tuple[int, ...]] | None:
        """(x, axes) for v = softmax(x), as the operation or written out."""
        found = self.known(v)
        if found is None:
            return None
        if found[0].prim.name == "softmax":
            self.inside.add(v)
            return found[1][0], found[0].params["axes"]
        args = self.take(v, "divide")
        below = None if args is None else self.sum_exp(args[1])
        if args is None or below is None:
            return None
        if below[4] != args[0] and self.take(args[0], "exp") != self.known(below[4])[1]:  # type: ignore[index]
            return None
        x, axes, keepdims, _, _ = below
        return (x, axes) if keepdims or len(axes) == self.specs(x).ndim else None


def recognise(v: int, known: Known, specs: Specs) -> Formula | None:
    """What the value ``v`` is, if it is one of the formulas above and a real float."""
    found = known(v)
    rule = None if found is None else _RULES.get(found[0].prim.name)
    if rule is None or specs(v).__class__ is tuple or specs(v).dtype.kind != "f":
        return None
    reader = _Reader(known, specs)
    made = rule(reader, v, *found[1])  # type: ignore[index]
    if made is None:
        return None
    op, leaves, *sign = made
    reader.inside.discard(v)
    if reader.inside & set(leaves) or op.prim.infer(*[specs(a) for a in leaves], **op.params) is not specs(v):
        return None
    return Formula(op, leaves, reader.inside, *sign)


def _quotient(r: _Reader, v: int, *args: int) -> Any:
    x = r.sigmoid_of(v)
    if x is not None:
        return sigmoid.primitive.op(), (x,)
    if len(args) == 2:
        r.inside.clear()
        row = r.softmax_of(v)
        if row is not None:
            return SOFTMAX.op(axes=row[1]), (row[0],)
        r.inside.clear()
        length = r.norm_of(args[1])
        if length is not None and length[0] == args[0]:
            x, axes, keepdims = length
            if keepdims or len(axes) == r.specs(x).ndim:
                return NORMALIZE.op(axes=axes, floor=0.0), (x,)
        for root, x, function in ((args[1], args[0], sqrt), (args[0], args[1], rsqrt)):
            r.inside.clear()
            if r.take(root, "sqrt") == (x,):
                return function.primitive.op(), (x,)
    return None


def _product(r: _Reader, v: int, *args: int) -> Any:
    for root, other in (args, args[::-1]):
        r.inside.clear()
        x = r.take(root, "sqrt")
        if x is not None and (x[0] == other or x[0] == r.squared(other)):
            return MONOMIAL.op(c=1.0, h=3 if x[0] == other else 5), x
    return None


def _logarithm(r: _Reader, v: int, a: int) -> Any:
    t = r.one_and(a)
    e = None if t is None else r.take(t, "exp")
    if e is not None:
        return softplus.primitive.op(), (e[0],)
    r.inside.clear()
    row = r.softmax_of(a)
    if row is not None:
        return LOG_SOFTMAX.op(axes=row[1]), (row[0],)
    r.inside.clear()
    total = r.sum_exp(a)
    if total is not None and total[3] is None:
        return LOGSUMEXP.op(axes=total[1], keepdims=total[2]), (total[0],)
    r.inside.clear()
    x = r.sigmoid_of(a)
    return None if x is None else (log_sigmoid.primitive.op(), (x,))


def _log1p(r: _Reader, v: int, a: int) -> Any:
    e = r.take(a, "exp")
    return None if e is None else (softplus.primitive.op(), (e[0],))


def _root(r: _Reader, v: int, a: int) -> Any:
    both = r.take(a, "add")
    if both is not None:
        x, y = (r.squared(b) for b in both)
        return None if x is None or y is None else (hypot.primitive.op(), (x, y))
    length = r.norm_of(v)
    if length is not None:
        return NORM.op(axes=length[1], keepdims=length[2]), (length[0],)
    return None


def _entropy(r: _Reader, v: int, *args: int) -> Any:
    """y*log(p) + (1-y)*log(1-p), in any order, with p a sigmoid; or max(x) + log(sum(exp(x - max(x))))."""
    for first, second in (args, args[::-1]):
        r.inside.clear()
        a = r.take(second, "log")
        total = None if a is None else r.sum_exp(a[0])
        if total is not None and total[3] == first:
            return LOGSUMEXP.op(axes=total[1], keepdims=total[2]), (total[0],)
        r.inside.clear()
        one, other = r.take(first, "multiply"), r.take(second, "multiply")
        if one is None or other is None:
            return None
        for y, log_p in (one, one[::-1]):
            for rest, log_q in (other, other[::-1]):
                x = _pair(r, y, log_p, rest, log_q)
                if x is not None:
                    return BINARY.op(), (y, x), -1
    return None


def _entropy_less(r: _Reader, v: int, a: int, b: int) -> Any:
    """-y*log(p) - (1-y)*log(1-p)."""
    whole, other = r.take(a, "negative"), r.take(b, "multiply")
    one = r.take(a if whole is None else whole[0], "multiply")
    if one is None or other is None:
        return None
    for y, log_p in (one, one[::-1]):
        label = (y,) if whole is not None else r.take(y, "negative")
        for rest, log_q in (other, other[::-1]) if label is not None else ():
            x = _pair(r, label[0], log_p, rest, log_q)  # type: ignore[index]
            if x is not None:
                return BINARY.op(), (label[0], x)  # type: ignore[index]
    return None


def _pair(r: _Reader, y: int, log_p: int, rest: int, log_q: int) -> int | None:
    p, q = r.take(log_p, "log"), r.take(log_q, "log")
    if p is None or r.rest_of(rest) != y:
        return None
    if q is not None:
        other = r.rest_of(q[0])
    else:
        q = r.take(log_q, "log1p")
        negated = None if q is None else r.take(q[0], "negative")
        other = None if negated is None else negated[0]
    x = r.sigmoid_of(p[0])                               # p may be written out twice
    return x if x is not None and other is not None and r.sigmoid_of(other) == x else None


_RULES: dict[str, Any] = {"divide": _quotient, "reciprocal": _quotient, "log": _logarithm, "log1p": _log1p, "sqrt": _root,
                          "multiply": _product, "add": _entropy, "subtract": _entropy_less}


# ------------------------------------------------------------------------------------------------------ in a trace

def formula_at(trace: Trace, node: Node) -> Formula | None:
    """The accurate operation that the formula ending at ``node`` stands for."""
    if not config.rewrites or node.op.prim.name not in _RULES:  # type: ignore[union-attr]
        return None
    if "formula" not in node.memo:
        table = trace.nodes()

        def known(k: int) -> Any:
            op = table[k].op
            return None if op is None or op.prim is INPUT or op.prim is READ or table[k].idx != k else (op, table[k].args)

        node.keep("formula", recognise(node.idx, known, lambda k: _spec_at(table, k)))
    return node.memo["formula"]  # type: ignore[no-any-return]


def is_whole(trace: Trace, formula: Formula, depends: Any) -> bool:
    """Whether every way to the formula's value goes through it: an operation inside that was not recorded, as the tape
    rests, cuts the ways through it."""
    table = trace.nodes()
    return all(depends(k) or not any(depends(a) for a in table[k].args) for k in formula.inside)


config.changed.append(forget)

__all__ = ["Formula", "formula_at", "is_whole", "recognise"]

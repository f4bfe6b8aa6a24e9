"""Products with an identity matrix, scaled or not: what a Jacobian makes of its unit vectors.

A Jacobian pushes all unit vectors through a program at once. Until the first product each of them has one element that
is not zero, so the product picks rows: sum over k of (delta[i, k] y[i]) b[k, j] is y[i] b[i, j].
"""
from __future__ import annotations

from .._batch import BASIS
from .._graph import Op
from ..plan.access import contiguous, seen
from ..plan.program import Instr, Program
from ..primitives._make import broadcast_shapes
from ..primitives.arithmetic import multiply
from ..primitives.broadcast import BROADCAST
from ..primitives.movement import RESHAPE, TRANSPOSE

_MULTIPLY = multiply.primitive.op()


class _Diagonal:
    """An array that is zero where the indices along axes ``row`` and ``column`` differ, else the product of ``factors``."""

    def __init__(self, row: int, column: int, factors: list[int]) -> None:
        self.row, self.column, self.factors = row, column, factors


class _Rewriter:
    def __init__(self, program: Program) -> None:
        self.specs = dict(program.specs)
        self.next = max(self.specs, default=0) + 1
        self.made: dict[int, Instr] = {}
        self.kept: list[Instr] = []

    def keep(self, op: Op, *args: int, out: int | None = None) -> int:
        if out is None:
            out = self.next
            self.next += 1
            self.specs[out] = op.prim.infer(*[self.specs[a] for a in args], **op.params)
        self.kept.append(Instr(op, args, (out,)))
        return out

    def diagonal(self, v: int) -> _Diagonal | None:
        """What ``v`` is made of, if from a basis."""
        by = self.made.get(v)
        if by is None:
            return None
        if by.op is _MULTIPLY:
            for unit, factor in (by.args, by.args[::-1]):
                if self.specs[unit].shape == self.specs[v].shape and (found := self.diagonal(unit)) is not None:
                    found.factors.append(factor)
                    return found
            return None
        chain = []
        while by is not None and by.op.prim.view is not None and len(by.args) == 1:
            chain.append(by)
            by = self.made.get(by.args[0])
        if by is None or by.op.prim is not BASIS:
            return None
        at = contiguous(self.specs[by.outs[0]].shape), 0
        for instr in reversed(chain):
            found_at = seen(instr.op, self.specs[instr.args[0]].shape, *at)
            if found_at is None:
                return None
            at = found_at
        shape = self.specs[v].shape
        size = self.specs[by.outs[0]].shape[0]
        axes = {s: k for k, (n, s) in enumerate(zip(shape, at[0])) if s and n == size}
        if at[1] or len(axes) != 2 or set(axes) != {1, size} or sum(map(bool, at[0])) != 2:
            return None
        return _Diagonal(axes[size], axes[1], [])

    def aligned(self, v: int, labels: tuple[object, ...], out: tuple[object, ...]) -> int | None:
        """``v``, whose axes (the last ones) are ``labels``, with axes in the order of ``out``: 1 where it has none."""
        shape = self.specs[v].shape
        axes = [(out.index(label), k) for k, (n, label) in enumerate(zip(shape, labels[len(labels) - len(shape):])) if n != 1]
        if len({place for place, _ in axes}) != len(axes):
            return None                                  # its own diagonal
        rest = [k for k, n in enumerate(shape) if n == 1]
        order = (*[k for _, k in sorted(axes)], *rest)
        if order != tuple(range(len(shape))):
            v = self.keep(TRANSPOSE.op(axes=order), v)
        target = [1] * len(out)
        for place, k in axes:
            target[place] = shape[k]
        return v if self.specs[v].shape == tuple(target) else self.keep(RESHAPE.op(shape=tuple(target)), v)

    def rewrite(self, instr: Instr) -> bool:
        rule, specs = instr.op.prim.product, self.specs
        labels = rule(*[specs[a] for a in instr.args], **instr.op.params) if rule is not None else None
        if labels is None or specs[instr.outs[0]].dtype.kind not in "fc":
            return False
        result = tuple(labels[2])
        for side in (0, 1):
            own, theirs = tuple(labels[side]), tuple(labels[1 - side])
            found = self.diagonal(instr.args[side])
            if found is None:
                continue
            pair = own[found.row], own[found.column]
            kept, summed = pair if pair[0] in result else pair[::-1]
            if kept not in result or {*own, *theirs} - {*result} != {summed} or summed not in theirs or kept in theirs:
                continue
            names = {summed: kept}
            parts = [self.aligned(v, tuple([names.get(c, c) for c in side_labels]), result)
                     for v, side_labels in (*[(f, own) for f in found.factors], (instr.args[1 - side], theirs))]
            if any(p is None for p in parts):
                continue
            self._multiplied([p for p in parts if p is not None], instr.outs[0])
            return True
        return False

    def _multiplied(self, parts: list[int], out: int) -> None:
        value, spec = parts[0], self.specs[out]
        for n, part in enumerate(parts[1:], 2):
            shape = broadcast_shapes("multiply", self.specs[value].shape, self.specs[part].shape)
            value = self.keep(_MULTIPLY, value, part, out=out if n == len(parts) and shape == spec.shape else None)
        if value != out:
            self.keep(BROADCAST.op(shape=spec.shape), value, out=out)


def pick_rows(program: Program) -> Program:
    """A product with a matrix of unit vectors becomes one of elements."""
    if not any(i.op.prim is BASIS for i in program.instrs):
        return program
    rewriter = _Rewriter(program)
    for instr in program.instrs:
        if len(instr.outs) == 1:
            rewriter.made[instr.outs[0]] = instr
        if not rewriter.rewrite(instr):
            rewriter.kept.append(instr)
    return Program(program.inputs, rewriter.kept, program.outputs, rewriter.specs)


__all__ = ["pick_rows"]

"""What is added or put by indices, in zeros or over another array: a stage of its own.

An array that is changed in a few rows, W - lr * (what is added by indices), is one with its operations: the rest of it need
not be touched.
"""
from __future__ import annotations

from .._graph import Spec
from .access import Access
from .program import Instr, Program


class Update:
    """``base``, to or from which sums by indices are added or taken by the last of ``instrs``."""

    __slots__ = ("base", "instrs")

    def __init__(self, base: int, instrs: list[Instr]) -> None:
        self.base, self.instrs = base, instrs

    @property
    def args(self) -> list[int]:
        """Every value that is read."""
        own = {i.outs[0] for i in self.instrs}
        return list(dict.fromkeys([a for i in self.instrs for a in i.args if a not in own]))

    @property
    def outs(self) -> tuple[int, ...]:
        return self.instrs[-1].outs


class Scatter:
    """out[target] += source, in order, starting from zeros; or over ``base`` what is last, largest or smallest (``how``).

    source  how what is added is read, or the value of a constant
    target  where it goes in the result, by its terms
    by      index of a term -> how it is read, or a constant
    base    what the sums are added to at last, by the last of ``instrs``, or what something is put over, or None
    """

    __slots__ = ("base", "by", "how", "instrs", "out", "source", "target")

    def __init__(self, how: str, instrs: list[Instr], source: Access | float, target: Access, by: dict[int, Access | float],
                 base: int | None) -> None:
        self.how, self.instrs, self.out, self.base = how, instrs, instrs[-1].outs[0], base
        self.source, self.target, self.by = source, target, by

    @property
    def args(self) -> list[int]:
        """What the operations after the first one read of what was there before."""
        own = {i.outs[0] for i in self.instrs}
        return list(dict.fromkeys([a for i in self.instrs[1:] for a in i.args if a not in own]))


class Pick:
    """A single number that is read by indices."""

    __slots__ = ("instrs", "out", "source")

    def __init__(self, instr: Instr, source: Access) -> None:
        self.instrs, self.out, self.source = [instr], instr.outs[0], source


def updates(program: Program, kinds: list[str]) -> tuple[dict[int, Update], set[int]]:
    """Place of an update's last operation -> the update; and the places of the others."""
    readers: dict[int, list[int]] = {}
    makers = {v: kind for i, kind in zip(program.instrs, kinds) for v in i.outs}
    for n, i in enumerate(program.instrs):
        for a in i.args:
            readers.setdefault(a, []).append(n)
    outputs, found, gone = set(program.outputs), dict[int, Update](), set[int]()
    for n, kind in enumerate(kinds):
        at, chain = n, [n] if kind == "scatter" and program.instrs[n].op.prim.scatters is not None else []
        while chain:
            v = program.instrs[at].outs[0]
            if len(readers.get(v, ())) != 1 or v in outputs:
                break
            at = readers[v][0]
            chain.append(at)
            how = _role(program.instrs[at], v, program.specs) if kinds[at] == "point" else None
            if how is None:
                break
            if how >= 0:
                if makers.get(how) not in ("ramp", "gone") and at not in found:      # of two sums that are added, one is the base
                    found[at] = Update(how, [program.instrs[k] for k in chain])
                    gone.update(chain[:-1])
                break
    return found, gone


def _role(by: Instr, v: int, specs: dict[int, Spec]) -> int | None:
    """-1 for an operation that keeps zeros, the other operand of one that adds to it, else None."""
    name, others = by.op.prim.name, [a for a in by.args if a != v]
    if specs[by.outs[0]] is not specs[v] or len(others) != len(by.args) - 1:
        return None
    if name == "negative" or (name in ("multiply", "divide") and specs[others[0]].size == 1 and (
            name == "multiply" or by.args[0] == v)):
        return -1
    adds = name in ("add", "subtract") and specs[others[0]] is specs[v] and (name == "add" or by.args[1] == v)
    return others[0] if adds else None


__all__ = ["Pick", "Scatter", "Update", "updates"]

"""What is added in zeros by indices: a stage of its own."""
from __future__ import annotations

from .access import Access
from .program import Instr


class Scatter:
    """out[target] += source, in order, starting from zeros.

    source  how what is added is read, or the value of a constant
    target  where it goes in the result, by its terms
    by      index of a term -> how it is read, or a constant
    """

    __slots__ = ("by", "instrs", "out", "source", "target")

    def __init__(self, instr: Instr, source: Access | float, target: Access, by: dict[int, Access | float]) -> None:
        self.instrs, self.out = [instr], instr.outs[0]
        self.source, self.target, self.by = source, target, by


__all__ = ["Scatter"]

"""What goes along an axis with a state: a stage of its own."""
from __future__ import annotations

from .._graph import Shape
from .access import Access
from .program import Instr


class Scan:
    """A result whose elements along ``axis`` come one from the other, from its end with ``reverse``.

    reads  how each argument is read, or the value of a constant
    """

    __slots__ = ("axis", "instrs", "out", "reads", "reverse", "shape")

    def __init__(self, instr: Instr, shape: Shape, reads: list[Access | float]) -> None:
        self.instrs, self.out, self.shape, self.reads = [instr], instr.outs[0], shape, reads
        self.axis: int = instr.op.params["axis"]
        self.reverse: bool = instr.op.params.get("reverse", False)


__all__ = ["Scan"]

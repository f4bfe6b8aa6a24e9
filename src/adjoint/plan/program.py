"""A program in single-assignment form: what the passes rewrite and the engines run."""
from __future__ import annotations

from collections.abc import Iterable

from .._graph import Node, Op, Spec
from .._trace import INPUT


class Instr:
    """One operation: ``outs = op(*args)``. Values are numbered."""

    __slots__ = ("args", "op", "outs")

    def __init__(self, op: Op, args: tuple[int, ...], outs: tuple[int, ...]) -> None:
        self.op, self.args, self.outs = op, args, outs

    def __repr__(self) -> str:
        return f"{', '.join(f'%{k}' for k in self.outs)} = {self.op}({', '.join(f'%{k}' for k in self.args)})"


class Program:
    """inputs: (value, kind, position in the trace's inputs); instrs in order; outputs: values; specs: value -> Spec."""

    __slots__ = ("inputs", "instrs", "outputs", "specs")

    def __init__(self, inputs: list[tuple[int, str, int]], instrs: list[Instr], outputs: list[int],
                 specs: dict[int, Spec]) -> None:
        self.inputs, self.instrs, self.outputs, self.specs = inputs, instrs, outputs, specs

    def __repr__(self) -> str:
        rows = [f"inputs {', '.join(f'%{v}: {self.specs[v]} ({kind})' for v, kind, _ in self.inputs)}"]
        rows += [f"{i!r} : {', '.join(str(self.specs[k]) for k in i.outs)}" for i in self.instrs]
        rows.append(f"outputs {', '.join(f'%{v}' for v in self.outputs)}")
        return "\n".join(rows)


def extract(node: Node, outputs: Iterable[int]) -> Program:
    """The part of the path ending at ``node`` that ``outputs`` need."""
    outs = list(outputs)
    wanted = set(outs)
    inputs: list[tuple[int, str, int]] = []
    instrs: list[Instr] = []
    specs: dict[int, Spec] = {}
    positions: list[tuple[int, str, Spec]] = []
    n: Node = node
    while n.op is not None:
        op, at = n.op, n.idx
        if n.spec.__class__ is not tuple:                # the usual case, written out
            if at in wanted:
                if op.prim is INPUT:
                    positions.append((at, op.params["kind"], n.spec))
                else:
                    wanted.update(n.args)
                    specs[at] = n.spec
                    instrs.append(Instr(op, n.args, (at,)))
            elif op.prim is INPUT:
                positions.append((at, op.params["kind"], n.spec))
        else:
            places = tuple(range(at, n.end))
            if not wanted.isdisjoint(places):
                wanted.update(n.args)
                specs.update(zip(places, n.specs))
                instrs.append(Instr(op, n.args, places))
        assert n.parent is not None
        n = n.parent
    positions.reverse()
    for number, (idx, kind, s) in enumerate(positions):
        if idx in wanted:
            inputs.append((idx, kind, number))
            specs[idx] = s
    instrs.reverse()
    return Program(inputs, instrs, outs, specs)

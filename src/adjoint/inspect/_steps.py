"""A plan's steps: what each does, what it reads and writes, and how to print it."""
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

from .._graph import Spec
from ..plan.fusion import REDUCTIONS, Fused, Loop, Nest, Unit
from ..plan.products import Product
from ..plan.program import Instr, Program
from ..plan.scatter import Pick
from ._summary import size

_TITLE = 4                                               # different operations that a title names


class Step:
    """One step of a plan.

    kind        "product" of matrices, fused "loops", straight-line code on single "numbers", or a call of a NumPy "kernel"
    operations  names of the operations it stands for
    nbytes      bytes that it reads and writes, each array counted once
    flops       multiplications and additions of products; of other operations one for each element
    runs        how often it ran in a profile;  seconds  that these runs took
    """

    __slots__ = ("double", "flops", "kind", "nbytes", "operations", "rows", "runs", "seconds")

    def __init__(self, kind: str, instrs: list[Instr], nbytes: int, flops: int, double: bool, rows: list[str]) -> None:
        self.kind, self.nbytes, self.flops, self.double, self.rows = kind, nbytes, flops, double, rows
        self.operations = [i.op.name for i in instrs]
        self.runs, self.seconds = 0, 0.0

    @property
    def title(self) -> str:
        counts = Counter(self.operations)
        names = [name if n == 1 else f"{n} {name}" for name, n in list(counts.items())[:_TITLE]]
        return ", ".join(names) + (", ..." if len(counts) > _TITLE else "")

    def __str__(self) -> str:
        return "\n".join([f"{self.kind}: {self.title} ({size(self.nbytes)}, {self.flops:,} flop)", *self.rows])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "operations": self.operations, "bytes": self.nbytes, "flops": self.flops, "runs": self.runs,
                "seconds": self.seconds}


class Plan:
    """What runs for one program; ``show()`` prints it.

    program  the operations, after the passes
    steps    in order
    where    (file, line) of the user's program where it was first computed, or None
    """

    def __init__(self, program: Program, fused: Fused | None, where: Any = None) -> None:
        self.program, self.fused, self.where = program if fused is None else fused.program, fused, where
        self.steps: list[Step] = []
        self.numbers: dict[int, Step] = {}               # what a timed plan marks -> its step
        for key, step in _steps(self.program, fused):
            self.steps.append(step)
            self.numbers[key] = step

    @property
    def compiled(self) -> bool:
        return self.fused is not None

    def __str__(self) -> str:
        program, specs = self.program, self.program.specs
        given = [specs[v] for v, _, _ in program.inputs]
        lines = [f"plan of {len(program.instrs)} operations in {len(self.steps)} steps, "
                 + ("compiled" if self.compiled else "through NumPy"),
                 f"takes {', '.join(f'%{v} {specs[v]}' for v, _, _ in program.inputs) or 'nothing'}: "
                 f"{size(sum(s.nbytes for s in given))}"]
        for n, step in enumerate(self.steps):
            lines += [f"{n + 1:3}  {step.kind}: {step.title}", *[f"       {row}" for row in step.rows]]
        lines.append(f"gives {', '.join(f'%{v}' for v in program.outputs) or 'nothing'}: "
                     f"{size(sum(specs[v].nbytes for v in program.outputs))}")
        return "\n".join(lines)

    __repr__ = __str__

    def show(self) -> None:
        """Print the steps, and what each fused loop computes."""
        print(self)


def _steps(program: Program, fused: Fused | None) -> Iterator[tuple[int, Step]]:
    specs = program.specs
    for n, part in enumerate(program.instrs if fused is None else fused.parts):
        if isinstance(part, Unit):
            assert fused is not None
            yield from ((n << 16 | k, step) for k, step in enumerate(_of_unit(part, specs, fused.constants)))
        else:
            yield n << 16, Step("kernel", [part], sum(specs[v].nbytes for v in {*part.args, *part.outs}), _flops(part, specs),
                                _double(part, specs), [_row(part, specs, {})])


def _of_unit(unit: Unit, specs: dict[int, Spec], constants: dict[int, Any]) -> Iterator[Step]:
    names, stages = unit.names, [_instrs(stage) for stage in unit.stages]
    made = [{i.outs[0] for i in instrs} for instrs in stages]
    for k, (stage, instrs) in enumerate(zip(unit.stages, stages)):
        reads: dict[int, int] = {}
        for i in instrs:
            for a in i.args:
                base = names.get(a, a)
                if base not in made[k] and base not in constants and a not in made[k]:
                    reads[base] = min(specs[base].nbytes, max(reads.get(base, 0), specs[a].nbytes))
        later = {names.get(a, a) for m, other in enumerate(stages) if m != k for i in other for a in i.args} | {*unit.results}
        if isinstance(stage, Product):
            reads.update({v: specs[v].nbytes for v in stage.args if v not in reads})
            writes = specs[stage.out].nbytes
        else:
            writes = sum(specs[v].nbytes for v in made[k] if v in later or v in unit.lies)
        kind = "product" if isinstance(stage, Product) else "numbers" if isinstance(stage, (Loop, Pick)) else "loops"
        yield Step(kind, instrs, sum(reads.values()) + writes, _of_stage(stage, instrs, specs),
                   bool(instrs) and _double(instrs[-1], specs), list(_rows(stage, specs, constants)))


def _instrs(stage: Any) -> list[Instr]:
    if isinstance(stage, Nest):
        return [i for loop in stage.loops for i in loop.instrs]
    return stage.instrs  # type: ignore[no-any-return]


def _of_stage(stage: Any, instrs: list[Instr], specs: dict[int, Spec]) -> int:
    if isinstance(stage, Product):
        return 2 * stage.count * stage.m * stage.n * stage.k
    return sum(_flops(i, specs) for i in instrs)


def _double(instr: Instr, specs: dict[int, Spec]) -> bool:
    return specs[instr.outs[0]].dtype.name in ("float64", "complex128")


def _flops(instr: Instr, specs: dict[int, Spec]) -> int:
    prim, out = instr.op.prim, specs[instr.outs[0]]
    if prim.product is not None:
        given = [specs[a] for a in instr.args]
        labels = prim.product(*given, **instr.op.params)
        if labels is not None:
            return 2 * prod({x: n for names, s in zip(labels, given) for x, n in zip(names, s.shape) if n != 1}.values())
    if prim.name in REDUCTIONS:
        return specs[instr.args[0]].size
    return out.size if prim.elementwise else 0


def _row(instr: Instr, specs: dict[int, Spec], constants: dict[int, Any]) -> str:
    left = ", ".join(f"%{v}" for v in instr.outs)
    args = ", ".join(f"{constants[a]:g}" if isinstance(constants.get(a), (int, float)) else f"%{a}" for a in instr.args)
    return f"{left} = {instr.op}({args}): {', '.join(str(specs[v]) for v in instr.outs)}"


def _rows(stage: Any, specs: dict[int, Spec], constants: dict[int, Any]) -> Iterator[str]:
    if isinstance(stage, Product):
        alpha = [f"{stage.factor:g}"] * (stage.factor != 1.0) + [f"%{v}" for v in stage.scales]
        times = "".join(f"{a} * " for a in alpha)
        base = "" if stage.base is None else f" + %{stage.base}"
        each = f", {stage.count} times" if stage.count > 1 else ""
        yield (f"%{stage.out} = {times}%{stage.a.base} @ %{stage.b.base}{base}: {specs[stage.out]}, "
               f"({stage.m}, {stage.k}) @ ({stage.k}, {stage.n}){each}")
    elif isinstance(stage, Nest):
        indent = ""
        if stage.rows > 1:
            yield f"for each of {stage.rows} rows:"
            indent = "  "
        for loop in stage.loops:
            yield f"{indent}{_times(loop, stage.rows)}:"
            yield from (f"{indent}  {_row(i, specs, constants)}" for i in loop.instrs)
    else:
        yield from (_row(i, specs, constants) for i in stage.instrs)


def _times(loop: Loop, rows: int) -> str:
    count = prod(loop.shape) // rows
    return "once" if count == 1 else f"for each of {count if rows > 1 else ' x '.join(map(str, loop.shape))} elements"


__all__ = ["Plan", "Step"]

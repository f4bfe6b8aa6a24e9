"""Plans: what runs for one structure and one set of wanted results, and from which sight on it is compiled.

The first sight of a structure runs through the NumPy kernels at once. With the engine "auto" a plan is compiled when it is
seen again: work that is done twice is likely to be done often. One to three operations on few elements are compiled at the
tenth sight, since compiling takes as long as running them some thousand times. What decides is the structure and the count,
never a clock: the same program gives the same bits each time it runs.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ._config import config
from ._graph import Node, no_collection
from .engines import numpy as numpy_engine
from .passes import optimize
from .plan.program import Program, extract

Run = Callable[[list[Any]], list[Any]]


def _compiled(program: Program, dying: Sequence[tuple[int, int]] = ()) -> Run:
    """The compiling engine; loaded when there is something to compile, to keep the import of adjoint short."""
    from .engines import llvm

    return llvm.build(program, dying)


engines: dict[str, Callable[..., Run]] = {"auto": _compiled, "numpy": numpy_engine.build, "llvm": _compiled}

SOON, LATE = 2, 10                                       # the sights at which a plan is compiled
_FEW = 3                                                 # operations
_LITTLE = 4096                                           # elements in all
watching: list[Callable[[Plan], Any]] = []               # what profiles put in the place of a plan


class Plan:
    """What runs for one structure.

    run      takes the program's inputs and gives its results
    runs     how often it ran before it was built
    built    whether it runs as the engine built it
    dying    (number of an input, number of a result): old and new values of variables, told before it is built
    pairs    those of them where the new value may be written over the old one, by
    prepare  (inputs, ids of old values) -> (function, its arguments), results: what would run, to be run with what follows
    exclusive  whether this takes so long that it may be done only where no other thread would have to wait
    """

    __slots__ = ("at", "built", "dying", "engine", "exclusive", "pairs", "prepare", "program", "run", "runs")

    def __init__(self, node: Node, outputs: tuple[int, ...]) -> None:
        with no_collection(node.end > 1000):
            self.program: Program = optimize(extract(node, outputs))
        self.engine = config.engine
        self.runs = 0
        self.at = sight(self.program) if self.engine == "auto" else SOON if self.engine == "numpy" else 1
        self.built = False
        self.dying: Sequence[tuple[int, int]] = ()
        self.pairs: tuple[tuple[int, int], ...] = ()
        self.prepare: Any = None
        self.exclusive = False
        self.run: Run = self._early

    def _early(self, inputs: list[Any]) -> list[Any]:
        self.runs += 1
        if self.runs < self.at:
            return numpy_engine.interpret(self.program)(inputs)
        run = self.build()
        result = run(inputs)
        self.run, self.built = run, True
        return result

    def build(self) -> Run:
        if not self.dying or self.engine == "numpy":
            return engines[self.engine](self.program)
        run = engines[self.engine](self.program, self.dying)
        made: Any = getattr(run, "__self__", None)
        self.pairs, self.prepare = getattr(made, "pairs", ()), getattr(made, "prepare", None)
        self.exclusive = getattr(made, "exclusive", False)
        return run


def sight(program: Program) -> int:
    """The sight at which a program is compiled."""
    specs = program.specs
    if len(program.instrs) <= _FEW and sum(specs[v].size for i in program.instrs for v in (*i.args, *i.outs)) <= _LITTLE:
        return LATE
    return SOON


def plan_for(node: Node, outputs: tuple[int, ...]) -> Any:
    """The plan for these outputs of the path that ends at ``node``."""
    plan = node.memo.get(outputs)
    if plan is None or plan.engine != config.engine:
        plan = node.keep(outputs, Plan(node, outputs))
    return watching[-1](plan) if watching else plan


__all__ = ["LATE", "SOON", "Plan", "engines", "plan_for", "sight", "watching"]

"""profile(): what a block of a program settled, step by step, and how near each step came to the machine's limits."""
from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _plan
from .._errors import AdjointError, SettleError
from .._runtime import settle
from .._trace import local, user_line
from ..engines import llvm as llvm_engine
from ..engines.llvm import native
from ..engines.numpy import _QUIET, _reset_errors, _set_errors, bound, last_uses
from ..plan.program import Program
from ._record import line_of, shown
from ._steps import Plan, Step
from ._summary import size

__all__ = ["Plan", "Profile", "Profiled", "Step", "limits", "plan_of", "profile"]

clock = time.perf_counter
_limits: dict[str, float] = {}
_marks = threading.local()


# ---------------------------------------------------------------------------------------------------------------- limits

def limits() -> dict[str, float]:
    """What this machine reaches at best, measured once: "product", flop/s of a float32 matrix product, and "copy", bytes read
    and written a second."""
    if not _limits:
        from concurrent.futures import ThreadPoolExecutor

        a = np.ones((1024, 1024), np.float32)
        out = np.empty_like(a)
        source, target = np.ones(1 << 25, np.uint8), np.empty(1 << 25, np.uint8)
        cores = os.cpu_count() or 1
        pieces = list(zip(np.array_split(source, cores), np.array_split(target, cores)))
        with ThreadPoolExecutor(cores) as pool:
            copying = min(_best(lambda: np.copyto(target, source)),
                          _best(lambda: list(pool.map(lambda pair: np.copyto(pair[1], pair[0]), pieces))))
        _limits["product"] = 2.0 * 1024**3 / _best(lambda: np.matmul(a, a, out=out))
        _limits["copy"] = 2.0 * source.nbytes / copying
    return dict(_limits)


def _best(work: Callable[[], Any]) -> float:
    took = []
    for _ in range(6):
        begin = clock()
        work()
        took.append(clock() - begin)
    return min(took[1:])


def share(step: Step) -> tuple[float, str]:
    """The part of the machine's limit that a step reached, and of which: its "product" rate or its "copy" rate."""
    if not step.seconds:
        return 0.0, ""
    known, each = limits(), step.seconds / step.runs
    products = step.flops if step.kind == "product" or "matmul" in step.operations else 0
    product = products * (2 if step.double else 1) / known["product"] / each
    copy = step.nbytes / known["copy"] / each
    return (product, "product") if product > copy else (copy, "copy")


# --------------------------------------------------------------------------------------------------------------- watching

def _mark(step: int) -> None:
    rows = getattr(_marks, "rows", None)
    if rows is not None:
        rows.append((step, clock()))


_called = ctypes.CFUNCTYPE(None, ctypes.c_int64)(_mark)  # held for as long as compiled code may call it


class Profiled:
    """One plan in a profile; ``show()`` prints its steps.

    where            (file, line) of the user's program that asked for it first
    runs             in the block;  misses  1 where it was seen for the first time, else 0
    seconds          of its runs, compiling left out
    compile_seconds  for building it;  compiled, loaded  units of native code that were compiled, and that came from disk
    numpy, native    the plan (a ``Plan`` with its ``steps``) as NumPy and as compiled code ran it, or None
    """

    prepare = None                                       # it runs as a whole

    def __init__(self, plan: Any, where: Any) -> None:
        self.plan, self.where = plan, where
        self.program: Program = plan.program
        self.engine = plan.engine
        self.runs = self.misses = self.compiled = self.loaded = 0
        self.seconds = self.compile_seconds = 0.0
        self.numpy: Plan | None = None
        self.native: Plan | None = None
        self._timed: tuple[Any, Any] | None = None

    @property
    def hits(self) -> int:
        return self.runs - self.misses

    @property
    def steps(self) -> list[Step]:
        """The steps of the plan as it ran last."""
        ran = self.native or self.numpy
        return [] if ran is None else ran.steps

    @property
    def operations(self) -> int:
        return len(self.program.instrs)

    def show(self) -> None:
        """Print the steps, and what each fused loop computes."""
        print(self.native or self.numpy or Plan(self.program, None))

    def __repr__(self) -> str:
        return f"<plan of {self.operations} operations, run {self.runs} times in {self.seconds * 1e3:.3g} ms>"

    def to_dict(self) -> dict[str, Any]:
        return {"where": self.where, "operations": self.operations, "runs": self.runs, "misses": self.misses,
                "seconds": self.seconds, "compile_seconds": self.compile_seconds, "compiled": self.compiled,
                "loaded": self.loaded, "steps": {
                    name: [s.to_dict() for s in ran.steps] for name, ran in (("numpy", self.numpy), ("native", self.native))
                    if ran is not None}}

    # What a plan does, with a look at the clock after each step.

    def run(self, inputs: list[Any]) -> list[Any]:
        plan = self.plan
        if not plan.built:
            plan.runs += 1
            self.misses += plan.runs == 1
            if plan.runs >= plan.at:
                self._build(plan)
        self.runs += 1
        engine = getattr(plan.run, "__self__", None) if plan.built else None
        begin = clock()
        try:
            if isinstance(engine, llvm_engine._Plan) and engine.plain is None:
                return self._native(engine, inputs)
            return self._numpy(inputs)
        finally:
            self.seconds += clock() - begin

    def _build(self, plan: Any) -> None:
        before, begin = _counts(), clock()
        plan.run = plan.build()
        plan.built = True
        self.compile_seconds += clock() - begin
        after = _counts()
        self.compiled += after[0] - before[0]
        self.loaded += after[1] - before[1]

    def _native(self, engine: Any, inputs: list[Any]) -> list[Any]:
        if self._timed is None or self._timed[0] is not engine:
            begin = clock()
            native.compiler().symbol("adjoint_mark", ctypes.cast(_called, ctypes.c_void_p).value or 0)
            self._timed = engine, engine.timed(_mark)
            self.seconds -= clock() - begin              # the profile's own
            if self.native is None:
                self.native = Plan(self.program, engine.fused, self.where)
        assert self.native is not None
        outer, rows = getattr(_marks, "rows", None), []  # type: ignore[var-annotated]
        _marks.rows = rows
        before = clock()
        try:
            result = self._timed[1](inputs)
        except Exception:
            return self.plan.run(inputs)  # type: ignore[no-any-return]
        finally:
            _marks.rows = outer
        for number, at in rows:
            step = self.native.numbers.get(number)
            if step is not None:
                step.runs += 1
                step.seconds += at - before
            before = at
        return result  # type: ignore[no-any-return]

    def _numpy(self, inputs: list[Any]) -> list[Any]:
        program, specs = self.program, self.program.specs
        if self.numpy is None:
            self.numpy = Plan(program, None, self.where)
        values: dict[int, Any] = {}
        for v, kind, at in program.inputs:
            values[v] = specs[v].dtype.np.type(inputs[at]) if kind == "scalar" else inputs[at]
        before = _set_errors(_QUIET)
        try:
            for instr, step, dead in zip(program.instrs, self.numpy.steps, last_uses(program)):
                kernel, args = bound(instr), [values[a] for a in instr.args]
                begin = clock()
                try:
                    got = kernel(*args)
                except AdjointError:
                    raise
                except Exception as error:
                    shapes = ", ".join(str(specs[a]) for a in instr.args)
                    raise SettleError(f"{instr.op} on {shapes} failed: {error}") from error
                step.seconds += clock() - begin
                step.runs += 1
                values.update(zip(instr.outs, (got,) if len(instr.outs) == 1 else got))
                for v in dead:
                    del values[v]
        finally:
            _reset_errors(before)
        return [values[v] for v in program.outputs]


def _counts() -> tuple[int, int]:
    for made in native._MADE:
        if isinstance(made, native.Compiler):
            return made.counts.compiled, made.counts.loaded
    return 0, 0


# --------------------------------------------------------------------------------------------------------------- profile

class Profile:
    """What ``profile`` gives. ``str()`` is a table, ``show()`` prints it.

    plans            that ran in the block, in the order of their first run there (``Profiled``)
    seconds          that the block took;  settled  the part of it in plans
    hits, misses     runs of plans that were known, and of new ones
    compile_seconds  for building plans;  compiled, loaded  units that were compiled, and that came from disk
    """

    def __init__(self) -> None:
        self.plans: list[Profiled] = []
        self.seconds = 0.0
        self._known: dict[int, Profiled] = {}
        self._begin = 0.0

    def __enter__(self) -> Profile:
        trace = local.trace
        if not trace.scratch and (trace.handles or trace.assigned):
            settle(trace)                                # what was pending before is not the block's
        _plan.watching.append(self._watch)
        self._begin = clock()
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None and not local.trace.scratch and (local.trace.handles or local.trace.assigned):
                settle(local.trace)
        finally:
            self.seconds += clock() - self._begin
            _plan.watching.remove(self._watch)

    def _watch(self, plan: Any) -> Profiled:
        found = self._known.get(id(plan))
        if found is None:
            found = self._known[id(plan)] = Profiled(plan, line_of(user_line()))
            self.plans.append(found)
        return found

    @property
    def settled(self) -> float:
        return sum(p.seconds for p in self.plans)

    @property
    def hits(self) -> int:
        return sum(p.hits for p in self.plans)

    @property
    def misses(self) -> int:
        return sum(p.misses for p in self.plans)

    @property
    def compiled(self) -> int:
        return sum(p.compiled for p in self.plans)

    @property
    def loaded(self) -> int:
        return sum(p.loaded for p in self.plans)

    @property
    def compile_seconds(self) -> float:
        return sum(p.compile_seconds for p in self.plans)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings, lists and dictionaries, with the machine's limits."""
        names = ("seconds", "settled", "hits", "misses", "compiled", "loaded", "compile_seconds")
        return {**{name: getattr(self, name) for name in names}, "limits": limits(), "plans": [p.to_dict() for p in self.plans]}

    def _lines(self) -> list[str]:
        known = limits()
        return [f"{_time(self.seconds)} in the block, {_time(self.settled)} of it in {len(self.plans)} plans: "
                f"{self.hits} hits, {self.misses} misses",
                f"building: {_time(self.compile_seconds)}, {self.compiled} units compiled, {self.loaded} from disk",
                f"the machine: {known['product'] / 1e9:.0f} GFLOP/s in products, {known['copy'] / 1e9:.1f} GB/s in copies"]

    def _tables(self) -> list[tuple[str, list[tuple[str, ...]]]]:
        found = []
        for n, p in enumerate(self.plans):
            built = f", built in {_time(p.compile_seconds)}" if p.compile_seconds else ""
            head = (f"plan {n}: {p.operations} operations, {shown(p.where, False)}: {p.runs} runs, "
                    f"{_time(p.seconds / max(1, p.runs))} each{built}")
            rows: list[tuple[str, ...]] = [("step", "runs", "time", "bytes", "flop", "reached", "what")]
            for name, ran in (("NumPy", p.numpy), ("native", p.native)):
                for k, s in enumerate(() if ran is None else ran.steps):
                    if s.runs:
                        part, of = share(s)
                        rows.append((f"{name} {k + 1}", str(s.runs), _time(s.seconds / s.runs), size(s.nbytes), f"{s.flops:,}",
                                     f"{part:.0%} {of}".strip(), f"{s.kind}: {s.title}"))
            found.append((head, rows))
        return found

    def __str__(self) -> str:
        lines = self._lines()
        for head, rows in self._tables():
            widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]) - 1)]
            lines += ["", head, *["  " + "  ".join(
                [row[0].ljust(widths[0]), *[x.rjust(w) for x, w in zip(row[1:-1], widths[1:])], row[-1]]).rstrip()
                for row in rows]]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<profile of {len(self.plans)} plans in {_time(self.seconds)}>"

    def show(self) -> None:
        """Print the table, in colour where rich is installed and a terminal listens."""
        if sys.stdout.isatty():
            try:
                from rich.console import Console
                from rich.table import Table
            except ImportError:
                pass
            else:
                console = Console()
                console.print("\n".join(self._lines()), highlight=False)
                for head, (names, *rows) in self._tables():
                    table = Table(title=head, title_justify="left", title_style="bold", box=None)
                    for name in names:
                        table.add_column(name, justify="left" if name in ("step", "what") else "right")
                    for row in rows:
                        table.add_row(*row)
                    console.print(table)
                return
        print(self)


def _time(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def profile() -> Profile:
    """What a block of a program computes, step by step: a with block.

    Plans run step by step in it and each step is timed; outside of the block nothing is. Shown are the plans, how many runs
    were of known ones (hits) and of new ones (misses), the time for building them, and for each step its time, the bytes that
    it reads and writes, the floating-point operations, and how near it came to what the machine can do: to the rate of a
    large float32 matrix product, or of copying (above 100% where data came from a cache). These limits are measured once,
    when they are first looked at, which takes some tenths of a second. What is pending at the end of the block is computed
    there.

    >>> import adjoint as ad
    >>> x = ad.constant([1.0, 2.0, 3.0])
    >>> with ad.profile() as p:
    ...     for _ in range(3):
    ...         total = float(ad.sum(ad.sin(x)))
    >>> p.misses, p.hits
    (1, 2)

    ``print(p)`` shows the table, ``p.plans[0].show()`` the operations and fused loops of a plan, and ``p.to_dict()`` gives the
    numbers.
    """
    return Profile()


def plan_of(node: Any, wanted: tuple[int, ...]) -> Plan:
    """The plan of a program as the engine that is chosen would build it."""
    plan = _plan.Plan(node, wanted)
    engine = getattr(plan.build(), "__self__", None)
    return Plan(plan.program, engine.fused if isinstance(engine, llvm_engine._Plan) else None)

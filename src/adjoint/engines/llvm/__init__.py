"""The engine that compiles: fused units as native functions, between the NumPy kernels of what has no lowering."""
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from ..._config import config
from ..._graph import spec
from ...passes import for_loops
from ...plan.access import View
from ...plan.fusion import Fused, Unit, fuse
from ...plan.products import Product
from ...plan.program import Instr, Program
from ...plan.renewal import instructions, renewals
from ...plan.reroll import remaining
from .. import numpy as numpy_engine
from .blas import blas
from .buffers import LARGE, copied, is_free, take
from .native import Compiler, Unavailable, compiler
from .straight import is_long
from .unit import TooLate, UnitWriter

Run = Callable[[list[Any]], list[Any]]
_LONGEST = 8_000                                         # operations on arrays: more would compile for seconds
_LONGEST_SCALAR = 16_000                                 # operations on single numbers
_LONGEST_LOOPS = 100_000                                 # the same where most of them are loops that Python unrolled
faults: list[str] = []                                   # failures of this engine itself: there should be none
_LONG_WORK = 200_000                                     # elements in and out from which other threads may run meanwhile
_PAUSE = 0.02                                            # seconds (estimated) for which other threads may be kept waiting
_CROWD = 32                                              # numbers from which they come in an array
_PATIENCE = 8                                            # refusals after which a plan stays with NumPy


def build(program: Program, dying: Sequence[tuple[int, int]] = ()) -> Run:
    """A function from the trace's inputs to the results.

    dying  pairs (number of an input, number of a result): the input is an array that is not needed once the result is there
    """
    if len(program.instrs) > _LONGEST_SCALAR and (
            len(program.instrs) > _LONGEST_LOOPS or remaining(program.instrs, program.specs) > _LONGEST_SCALAR):
        return numpy_engine.build(program)
    if sum(program.specs[i.outs[0]].size > 1 for i in program.instrs) > _LONGEST:
        return numpy_engine.build(program)
    try:
        native = compiler()
        found = blas()
        for name, address in {} if found is None else found.symbols().items():
            native.symbol(name, address)
    except Unavailable as error:
        config.note = f"The compiled engine is not available, everything runs through NumPy: {error}"
        return numpy_engine.build(program)
    try:
        fused = fuse(for_loops(program) if any(i.op.prim.expand or i.op.prim.scatters for i in program.instrs) else program)
        if not any(part.__class__ is Unit for part in fused.parts):
            return numpy_engine.build(program)
        return _Plan(native, fused, program, _packed(fused), dying=dying).run
    except Exception as error:                           # a fault of this engine must not be the user's
        faults.append(f"{error!r} in planning")
        config.note = f"The compiled engine could not plan a program, which NumPy runs now: {error!r}"
        return numpy_engine.build(program)


class _Plan:
    """One generated Python function: calls of units and of kernels, and the arrays between them."""

    def __init__(self, native: Compiler, fused: Fused, kernels: Program, packs: dict[int, list[int]],
                 mark: Callable[[int], None] | None = None, dying: Sequence[tuple[int, int]] = ()) -> None:
        self.mark = mark
        self.pairs: tuple[tuple[int, int], ...] = ()     # of ``dying``: whose result may be written over the input
        self.renewed: dict[int, int] = {}                # the same as values: result -> argument
        self.prepare: Any = None                         # (inputs, ids of old values) -> (function, its arguments), results
        self.native, self.fused, self.program = native, fused, fused.program
        self.kernels = kernels                           # the same program as NumPy runs it
        self.names: dict[str, Any] = {"_quiet": numpy_engine._QUIET, "_set": numpy_engine._set_errors,
                                      "_reset": numpy_engine._reset_errors, "empty": np.empty, "take": take,
                                      "byte": np.dtype(np.uint8), "copied": copied, "is_free": is_free}
        self.scalars = {v for v, kind, _ in self.program.inputs if kind == "scalar"}
        self.packs = packs
        self.refusals = 0
        self.plain: Run | None = None
        self.careful: Run | None = None
        self.exclusive = False                           # no other thread may run while values are written over
        self.natives: dict[int, tuple[Any, int]] = {}    # number of a unit -> its function, bytes of scratch memory
        self.fast: Run
        self._renew(dying)
        try:
            self.fast = self._generate()
        except TooLate:
            self.renewed, self.pairs, self.natives = {}, (), {}
            self.fast = self._generate()
        if self.renewed:
            self.prepare = self._generate(True)

    def run(self, inputs: list[Any]) -> list[Any]:
        if self.plain is not None:
            return self.plain(inputs)
        try:
            return self.fast(inputs)
        except Exception as error:
            if self.careful is None:
                self.careful = numpy_engine.interpret(self.kernels)
            result = self.careful(inputs)                # again, to say which operation failed
            faults.append(f"{error!r} in a plan that NumPy runs")
            config.note = f"The compiled engine failed on a program, which NumPy runs now: {error!r}"
            self.plain = numpy_engine.build(self.kernels)
            return result

    def timed(self, mark: Callable[[int], None]) -> Run:
        """The same plan, calling ``mark(n << 16 | k)`` after stage k of part n, and mark(-1) before it where something else
        went before. Compiled code calls it as ``adjoint_mark``.
        """
        return _Plan(self.native, self.fused, self.kernels, self.packs, mark).fast

    def _renew(self, dying: Sequence[tuple[int, int]]) -> None:
        """Find new values that may be written over old ones."""
        outputs = self.program.outputs
        inputs = {at: v for v, kind, at in self.program.inputs if kind not in ("scalar", "draw")}
        pairs = [(inputs[a], outputs[k]) for a, k in dying if a in inputs and outputs.count(outputs[k]) == 1]
        unit = self.fused.parts[-1]
        if pairs and isinstance(unit, Unit):
            self.exclusive = self._work(unit) * 5e-11 + sum(p.work for p in unit.items if isinstance(p, Product)) * 4e-11 > _PAUSE
            if not self.exclusive or threading.active_count() == 1:
                self.renewed = renewals(self.fused, pairs)
        self.pairs = tuple([(a, k) for a, k in dying if self.renewed.get(outputs[k], -1) == inputs.get(a)])

    def _generate(self, apart: bool = False) -> Any:
        """The function; ``apart``: it prepares the last unit's call and hands it out together with the results."""
        program, specs, names = self.program, self.program.specs, self.names
        body: list[str] = []
        position = {v: at for v, _, at in program.inputs}
        names["fromiter"] = np.fromiter
        for v, values in self.packs.items():
            names[f"g{v}"], names[f"d{v}"] = itemgetter(*[position[a] for a in values]), specs[v].dtype.np
            body.append(f"v{v} = fromiter(g{v}(i), d{v}, {len(values)})")
        alone = set(program.outputs)
        for part in self.fused.parts:
            alone.update(part.args)
        for v, kind, at in program.inputs:
            if v not in alone:
                continue
            if kind == "scalar":
                names[f"s{v}"] = specs[v].dtype.np.type
                body.append(f"v{v} = s{v}(i[{at}])")
            else:
                body.append(f"v{v} = i[{at}]")
        outside = set(program.outputs)
        for part in self.fused.parts:
            outside.update(part.args)
        views = {i.outs[0]: i for part in self.fused.parts if part.__class__ is Unit
                 for i in part.instrs if i.outs[0] in part.views}
        steps = 0
        known: dict[int, Any] = {}
        for instr in program.instrs:                     # constants that a kernel or the user needs as arrays
            v = instr.outs[0]
            if v in self.fused.constants and v not in views:
                constant = numpy_engine.constant_of(program, instr, known)
                if constant is not None:
                    names[f"v{v}"] = known[v] = constant
                elif v in outside:
                    names[f"k{v}"] = numpy_engine.bound(instr)
                    body.append(f"v{v} = k{v}()")
        rows = _dead(self.fused)
        names["mark"] = self.mark
        for n, part in enumerate(self.fused.parts):
            if isinstance(part, Unit):
                body += self._unit(n, part, apart)
                seen: list[str] = []
                shown: set[int] = set()
                for instr in reversed(part.instrs):      # views that are needed as arrays of their own, with those that they see
                    v = instr.outs[0]
                    if v in part.views and (v in shown or self._seen(v, part)):
                        shown.add(instr.args[0])
                        names[f"k{v}"] = numpy_engine.bound(instr)
                        seen.append(f"v{v} = k{v}(v{instr.args[0]})")
                if seen and self.renewed and part is self.fused.parts[-1]:
                    raise TooLate
                body += reversed(seen)
            elif (constant := numpy_engine.constant_of(program, part, known)) is not None:
                names[f"v{part.outs[0]}"] = known[part.outs[0]] = constant
            else:
                steps += 1
                names[f"o{n}"] = numpy_engine.bound(part)
                left = ", ".join(f"v{v}" for v in part.outs) + ("," if len(part.outs) > 1 else "")
                row = f"{left} = o{n}({', '.join(f'v{a}' for a in part.args)})"
                body.append(f"mark(-1); {row}; mark({n << 16})" if self.mark else row)
            gone = [f"v{v}" for v in rows[n] if specs[v].size > 1024]
            if gone and part is not self.fused.parts[-1]:
                body.append(f"del {', '.join(gone)}")
        result = f"[{', '.join(f'v{v}' for v in program.outputs)}]"
        head = "def run(i):"
        if apart:
            head, result = "def run(i, free):", f"call, {result}"
        if steps:
            lines = [head, " before = _set(_quiet)", " try:", *[f"  {row}" for row in body], f"  return {result}",
                     " finally:", "  _reset(before)"]
        else:
            lines = [head, *[f" {row}" for row in body], f" return {result}"]
        exec(compile("\n".join(lines), "<adjoint plan>", "exec"), names)
        return names["run"]  # type: ignore[no-any-return]

    def _seen(self, v: int, unit: Unit) -> bool:
        """Whether a view is needed as an array of its own."""
        return v in self.program.outputs or any(v in part.args for part in self.fused.parts if part is not unit)

    def _work(self, unit: Unit) -> int:
        """Elements that the unit's operations read and write."""
        specs = self.program.specs
        return sum(specs[i.outs[0]].size + sum(specs[a].size for a in i.args) for i in unit.instrs)

    def _native(self, n: int, unit: Unit, renewed: dict[int, int]) -> tuple[Any, int]:
        """The unit's function, and how many bytes of memory it wants."""
        if n in self.natives:
            return self.natives[n]
        specs = self.program.specs
        writer = UnitWriter(unit, specs, self.fused.constants, "body", self.native.width, self.fused.ramps, renewed)
        writer.mark = n << 16 if self.mark else None
        body = writer.write()
        long = self._work(unit) > _LONG_WORK and (self.exclusive or not renewed)
        text = self.native.entry(body, [(specs[v], v in self.scalars) for v in unit.args], len(unit.results) - len(renewed),
                                 writer.scratch > 0, long)
        wide = '"prefer-vector-width"="512"'              # else some processors with AVX-512 get half of it
        text += "\n" + "\n".join(sorted(writer.w.intrinsics)) + f"\nattributes #0 = {{ nounwind noinline {wide} }}\n"
        self.natives[n] = self.native.function("unit", text), writer.scratch
        return self.natives[n]

    def _unit(self, n: int, unit: Unit, apart: bool) -> list[str]:
        specs, names = self.program.specs, self.names
        last = unit is self.fused.parts[-1]
        renewed = self.renewed if last else {}
        names[f"u{n}"], scratch = self._native(n, unit, renewed)
        names[f"w{n}"] = _Slow(self, unit, None if renewed else names[f"u{n}"], scratch)
        rows = []
        for v in unit.results:
            names[f"d{v}"] = specs[v].dtype.np
            size = specs[v].nbytes
            more = f"take({specs[v].shape}, d{v}, {size})" if size >= LARGE else f"empty({specs[v].shape}, d{v})"
            if v in renewed:
                old = f"v{renewed[v]}"
                more = f"{old} if id({old}) in free and is_free({old}) else copied({old})" if apart else f"copied({old})"
            rows.append(f"v{v} = {more}")
        over = {a: v for v, a in renewed.items()}
        args = [f"v{over.get(v, v)}" for v in unit.args] + [f"v{v}" for v in unit.results if v not in renewed]
        if scratch:
            args.append(f"take(({scratch},), byte, {scratch})" if scratch >= LARGE else f"empty({scratch}, byte)")
        given = ", ".join(f"v{v}" for v in unit.args)
        left = ", ".join(f"v{v}" for v in unit.results)
        if apart and last:
            rows.append(f"call = u{n}, {', '.join(args)}")
        else:
            rows.append(f"if u{n}({', '.join(args)}) is not None: [{left}] = w{n}({given})")
        return rows


class _Slow:
    """A unit whose arguments were not as the compiled code needs them, or that refused an element."""

    def __init__(self, plan: _Plan, unit: Unit, function: Callable[..., Any] | None, scratch: int) -> None:
        self.plan, self.unit, self.function, self.scratch = plan, unit, function, scratch
        self.kernels: Run | None = None

    def __call__(self, *args: Any) -> list[Any]:
        plan, unit = self.plan, self.unit
        specs = plan.program.specs
        fit = [a if v in plan.scalars else np.require(a, specs[v].dtype.np, ("C", "A")).reshape(specs[v].shape)
               for v, a in zip(unit.args, args)]
        made = [np.empty(specs[v].shape, specs[v].dtype.np) for v in unit.results]
        more = [np.empty(self.scratch, np.uint8)] if self.scratch else []
        if self.function is not None and not all(a is b for a, b in zip(args, fit)) and (
                self.function(*fit, *made, *more) is None):
            return made
        plan.refusals += 1
        if plan.refusals > _PATIENCE:
            plan.plain = numpy_engine.build(plan.kernels)
        if self.kernels is None:
            given = [v for a in unit.args for v in plan.packs.get(a, (a,))]
            inputs = [(v, "scalar" if v in plan.scalars else "tensor", k) for k, v in enumerate(given)]
            fused = {i.outs[0] for i in unit.instrs}
            known = (plan.fused.constants.keys() | plan.fused.ramps) - fused
            constants = [i for i in plan.program.instrs if i.outs[0] in known]
            self.kernels = numpy_engine.build(Program(inputs, constants + unit.instrs, unit.results, specs))
        return self.kernels([a for v, given in zip(unit.args, args) for a in (given if v in plan.packs else (given,))])


def _packed(fused: Fused) -> dict[int, list[int]]:
    """Inputs of one number that only long straight-line code reads come in one array for each dtype, since a thousand steps
    may bring as many: array -> inputs.
    """
    specs = fused.program.specs
    inputs = {v for v, _, _ in fused.program.inputs if not specs[v].shape}
    packs: dict[int, list[int]] = {}
    for unit in fused.parts:
        if not isinstance(unit, Unit) or len(unit.args) <= _CROWD:
            continue
        others = {a for stage in unit.stages if not is_long(stage) for i in instructions(stage) for a in i.args}
        groups: dict[Any, list[int]] = {}
        for v in unit.args:
            if v in inputs and v not in others:
                groups.setdefault(specs[v].dtype, []).append(v)
        for dtype, values in groups.items():
            if len(values) > _CROWD:
                pack = max(specs) + 1
                specs[pack] = spec((len(values),), dtype)
                packs[pack] = values
                unit.views.update({v: View(pack, (), k) for k, v in enumerate(values)})
                gone = set(values)
                unit.args = [*[v for v in unit.args if v not in gone], pack]
    return packs


def _dead(fused: Fused) -> list[list[int]]:
    """For each part the values that nobody needs after it."""
    shared = {v: a for part in fused.parts if isinstance(part, Unit) for v, a in part.names.items()}
    seen = set(fused.program.outputs) | set(fused.constants)
    rows: list[list[int]] = []
    for part in reversed(fused.parts):
        own = part.results if isinstance(part, Unit) else part.outs
        values = dict.fromkeys((*part.args, *own))
        row = [v for v in values if v not in seen and v not in shared and v not in shared.values()]
        seen.update(values)
        rows.append(row)
    rows.reverse()
    return rows


__all__ = ["Instr", "build"]

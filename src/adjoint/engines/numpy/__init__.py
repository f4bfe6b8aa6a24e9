"""The engine that runs each operation's NumPy kernel: the meaning of everything."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..._errors import AdjointError, SettleError
from ...plan.program import Program

Run = Callable[[list[Any]], list[Any]]
_LONGEST = 3000
_BLOCK = 1 << 14                                         # elements that go through an elementwise kernel at a time
_LARGE = 1 << 16                                         # from which on it is worth it
_FOLDED = 4096                                           # bytes up to which a constant fill is kept with the plan

try:                                                     # what np.errstate does, at a tenth of its cost
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    _QUIET: Any = _make_extobj(all="ignore")
    _set_errors, _reset_errors = _extobj_contextvar.set, _extobj_contextvar.reset
except (ImportError, AttributeError, TypeError):         # another NumPy
    _QUIET = {"all": "ignore"}

    def _set_errors(how: Any) -> Any:
        return np.seterr(**how)

    def _reset_errors(before: Any) -> None:
        np.seterr(**before)


def constant_of(program: Program, instr: Any, known: dict[int, Any]) -> Any:
    """The value of an operation on constants (or on nothing), computed once, where it is small; else None."""
    if not instr.op.prim.pure or len(instr.outs) != 1 or program.specs[instr.outs[0]].nbytes > _FOLDED:
        return None
    if not all(a in known for a in instr.args):
        return None
    before = _set_errors(_QUIET)
    try:
        value = np.array(bound(instr)(*[known[a] for a in instr.args]))
    except Exception:                                    # it fails when it runs, with its name
        return None
    finally:
        _reset_errors(before)
    value.flags.writeable = False
    return value


def bound(instr: Any) -> Callable[..., Any]:
    """The kernel with its parameters; elementwise ones go through large arrays block by block."""
    prim = instr.op.prim
    kernel = partial(prim.kernel, **instr.op.params) if instr.op.params else prim.kernel
    return blocked(kernel) if prim.elementwise and not isinstance(prim.kernel, np.ufunc) else kernel


def blocked(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """An elementwise kernel that takes large arrays in blocks, so that its intermediate arrays stay in the cache."""

    def run(*xs: Any) -> Any:
        for x in xs:
            if x.size > _LARGE:
                break
        else:
            return kernel(*xs)
        if not all(x.ndim == 0 or (x.shape == xs[0].shape and x.flags.c_contiguous) for x in xs) or xs[0].ndim == 0:
            return kernel(*xs)
        flat = [x if x.ndim == 0 else x.reshape(-1) for x in xs]
        size = xs[0].size
        first = np.asarray(kernel(*[x if x.ndim == 0 else x[:_BLOCK] for x in flat]))
        out = np.empty(size, first.dtype)
        out[:_BLOCK] = first
        for start in range(_BLOCK, size, _BLOCK):
            out[start:start + _BLOCK] = kernel(*[x if x.ndim == 0 else x[start:start + _BLOCK] for x in flat])
        return out.reshape(xs[0].shape)

    return run


def last_uses(program: Program) -> list[list[int]]:
    """For each instruction the values that nobody needs after it."""
    outputs = set(program.outputs)
    seen: set[int] = set(outputs)
    dead: list[list[int]] = []
    for instr in reversed(program.instrs):
        row = [v for v in dict.fromkeys((*instr.args, *instr.outs)) if v not in seen]
        seen.update(row)
        dead.append(row)
    dead.reverse()
    return dead


def interpret(program: Program) -> Run:
    """Run operation by operation; a kernel's failure names the operation."""
    dead = last_uses(program)
    steps = [(bound(i), i.args, i.outs, rows, i) for i, rows in zip(program.instrs, dead)]
    specs, outputs = program.specs, program.outputs
    scalars = {v: specs[v].dtype.np.type for v, kind, _ in program.inputs if kind == "scalar"}

    def run(inputs: list[Any]) -> list[Any]:
        values: dict[int, Any] = {v: inputs[at] for v, _, at in program.inputs}
        for v, make in scalars.items():
            values[v] = make(values[v])
        before = _set_errors(_QUIET)
        try:
            for kernel, args, outs, rows, instr in steps:
                try:
                    got = kernel(*[values[a] for a in args])
                except AdjointError:
                    raise
                except Exception as error:
                    shapes = ", ".join(str(specs[a]) for a in args)
                    raise SettleError(f"{instr.op} on {shapes} failed: {error}") from error
                if len(outs) == 1:
                    values[outs[0]] = got
                else:
                    for v, g in zip(outs, got):
                        values[v] = g
                for v in rows:
                    del values[v]
        finally:
            _reset_errors(before)
        return [values[v] for v in outputs]

    return run


def build(program: Program) -> Run:
    """The same as one Python function without a loop: about a third of the cost an operation."""
    if len(program.instrs) > _LONGEST:
        return interpret(program)
    names: dict[str, Any] = {"_quiet": _QUIET, "_set": _set_errors, "_reset": _reset_errors}
    body: list[str] = []
    for v, kind, at in program.inputs:
        if kind == "scalar":
            names[f"s{v}"] = program.specs[v].dtype.np.type
            body.append(f"v{v} = s{v}(i[{at}])")
        else:
            body.append(f"v{v} = i[{at}]")
    constants: dict[int, Any] = {}
    for n, (instr, rows) in enumerate(zip(program.instrs, last_uses(program))):
        constant = constant_of(program, instr, constants)
        if constant is not None:
            names[f"v{instr.outs[0]}"] = constants[instr.outs[0]] = constant
            continue
        names[f"k{n}"] = bound(instr)
        left = ", ".join(f"v{v}" for v in instr.outs) + ("," if len(instr.outs) > 1 else "")
        body.append(f"{left} = k{n}({', '.join(f'v{a}' for a in instr.args)})")
        rows = [v for v in rows if v not in constants]
        if rows and any(program.specs[v].size > 1024 for v in rows):
            body.append(f"del {', '.join(f'v{v}' for v in rows)}")
    result = f"[{', '.join(f'v{v}' for v in program.outputs)}]"
    if all(i.outs[0] in constants for i in program.instrs):
        lines = ["def run(i):", *[f" {row}" for row in body], f" return {result}"]
    else:
        lines = ["def run(i):", " before = _set(_quiet)", " try:", *[f"  {row}" for row in body], f"  return {result}",
                 " finally:", "  _reset(before)"]
    exec(compile("\n".join(lines), "<adjoint plan>", "exec"), names)
    fast, careful = names["run"], interpret(program)

    def run(inputs: list[Any]) -> list[Any]:
        try:
            return fast(inputs)  # type: ignore[no-any-return]
        except Exception:
            return careful(inputs)                       # again, to say which operation failed

    return run

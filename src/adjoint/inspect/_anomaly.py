"""Where NaN and infinity begin: anomaly() while a program runs, post_mortem() afterwards from a tape's record."""
from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from .._errors import AdjointError, AnomalyError, SettleError, TapeError, complain
from .._graph import Node
from .._plan import engines
from .._runtime import settle
from .._trace import INPUT, LITERAL, READ, Trace, hooks, local
from ..engines.numpy import _QUIET, _reset_errors, _set_errors, bound, last_uses
from ..plan.program import Program, extract
from ._record import Line, Record, forward_of, is_value, line_of, shown

_MASKS = {"where", "isnan", "isfinite", "isinf", "multiply_no_nan", "divide_no_nan"}   # may drop what is not finite


class Finding:
    """The first operation whose result is not finite while its inputs are; ``str()`` tells the story.

    operation  its name, or for a derivative the name of the operation that it is the derivative of
    line       the user's (file, line);  backward  whether it belongs to a derivative
    step       the operation itself, where it belongs to a derivative
    operands   its inputs, shortly;  result  what it gave
    chain      the operations that led there, the first computed first: (name, line)
    """

    __slots__ = ("asked", "backward", "chain", "line", "operands", "operation", "place", "result", "step", "where")

    def __init__(self, operation: str, place: int) -> None:
        self.operation, self.place = operation, place
        self.operands: list[str] = []
        self.result = self.where = ""
        self.line: Line | None = None
        self.asked: Line | None = None
        self.backward, self.step = False, ""
        self.chain: list[tuple[str, Line | None]] = []

    def __str__(self) -> str:
        where = f"at {shown(self.line)}" if self.line is not None else "at a line that was not recorded"
        if self.backward:
            asked = f", asked for at {shown(self.asked, False)}," if self.asked not in (None, self.line) else ""
            head = f"the derivative of {self.operation} ({self.step}) {where}{asked}"
        else:
            head = f"{self.operation} {where}"
        rows = [f"{head} gave {self.result}{self.where} though its inputs are finite."]
        rows += [f"  input {n + 1}: {text}" for n, text in enumerate(self.operands)]
        if len(self.chain) > 1:
            rows.append("  what led there:")
            rows += [f"    {name}" + ("" if line is None else f" at {shown(line)}") for name, line in self.chain[:-1]]
        return "\n".join(rows)

    __repr__ = __str__

    def error(self) -> AnomalyError:
        error = AnomalyError(str(self))
        error.operation, error.line, error.backward, error.step = self.operation, self.line, self.backward, self.step
        error.chain = tuple(self.chain)
        return error


class Checked:
    """A program that is run with a look at its results: at a few of them first, and at all of them where one is not finite.

    What is not finite mostly stays so: a sum of it, a product with it. Such results need no look of their own, and the
    program runs as the engine builds it otherwise.
    """

    def __init__(self, program: Program, plan: Any = None) -> None:
        self.program = program
        self.engine = "numpy" if plan is None else plan.engine
        self.early = 1 if plan is None else 0 if plan.built else plan.at - 1 - plan.runs   # runs through the kernels to come
        specs = program.specs
        self.scalars = {v: specs[v].dtype.np.type for v, kind, _ in program.inputs if kind == "scalar"}
        used = {a for i in program.instrs for a in i.args}
        self.steps = [
            (bound(i), i.args, i.outs, rows, i, [v for v in i.outs if specs[v].dtype.kind in "fc"], not used.isdisjoint(i.outs))
            for i, rows in zip(program.instrs, last_uses(program))]
        carried = {a for i in program.instrs for a, c in zip(i.args, carries(i, specs)) if c}
        self.telling = [v for *_, floating, _ in self.steps for v in floating if v not in carried]
        self.at_once: Any = None

    def run(self, inputs: list[Any]) -> tuple[list[Any], Finding | None]:
        """The outputs, and the first operation that made something not finite of finite inputs."""
        if self.at_once is None:
            self.early -= 1
            if self.early >= 0:
                return self.run_carefully(inputs)
            p = self.program
            self.at_once = engines[self.engine](Program(p.inputs, p.instrs, self.telling + p.outputs, p.specs))
        values = self.at_once(inputs)
        count = len(self.telling)
        if all(map(finite, values[:count])):
            return values[count:], None
        return self.run_carefully(inputs)

    def run_carefully(self, inputs: list[Any]) -> tuple[list[Any], Finding | None]:
        values: dict[int, Any] = {v: inputs[at] for v, _, at in self.program.inputs}
        for v, make in self.scalars.items():
            values[v] = make(values[v])
        bad: dict[int, Any] = {}                         # value that is not finite -> where that began (None: it came in so)
        specs = self.program.specs
        for v, _, _ in self.program.inputs:
            if specs[v].dtype.kind in "fc" and not finite(values[v]):
                bad[v] = None
        found: list[Finding] = []
        harmful: set[int] = set()
        before = _set_errors(_QUIET)
        try:
            for kernel, args, outs, rows, instr, floating, consumed in self.steps:
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
                    values.update(zip(outs, got))
                fine = True
                for v in floating:
                    if not finite(values[v]):
                        fine = False
                        origin = self._origin(instr, args, values, bad, v)
                        if origin.__class__ is Finding:
                            found.append(origin)
                        bad[v] = origin
                        if not consumed and origin is not None:
                            harmful.add(id(origin))
                if fine and bad and instr.op.name not in _MASKS:
                    harmful.update(id(bad[a]) for a in args if bad.get(a) is not None)
                for v in rows:
                    del values[v]
        finally:
            _reset_errors(before)
        first = next((f for f in found if id(f) in harmful), None)
        return [values[v] for v in self.program.outputs], first

    def _origin(self, instr: Any, args: Any, values: Any, bad: dict[int, Any], v: int) -> Any:
        came = [a for a in args if a in bad]
        for a in came:
            if bad[a] is not None:
                return bad[a]
        if not args or (came and (np.isnan(values[v]).any() <= any(np.isnan(values[a]).any() for a in came))):
            return None                                  # infinite by intent, or handed on
        finding = Finding(instr.op.name, v)
        finding.operands, finding.result, finding.where = _picture(values, args, values[v])
        return finding


_STAYS = {"sum", "mean", "reshape", "transpose", "broadcast_to"}   # of operations on whole arrays, those that use every element
_SOME = (0.0, -0.0, 1.0, -1.0, 0.5, -3.0, 1e-30, -1e30, 40.0)
_carries: dict[Any, tuple[bool, ...]] = {}


def carries(instr: Any, specs: Any) -> tuple[bool, ...]:
    """For each input of an operation whether what is not finite there makes the result so, whatever the others are.

    Elementwise operations are tried on numbers.
    """
    op = instr.op
    dtypes = tuple([specs[a].dtype for a in instr.args])
    key = op, dtypes
    found = _carries.get(key)
    if found is None:
        floating = [d.kind in "fc" for d in dtypes]
        if len(instr.outs) > 1 or specs[instr.outs[0]].dtype.kind not in "fc":
            found = (False,) * len(dtypes)
        elif op.prim.elementwise:
            found = tuple([f and _tried(op, dtypes, k) for k, f in enumerate(floating)])
        else:
            found = tuple([f and op.name in _STAYS for f in floating])
        _carries[key] = found
    return found


def _tried(op: Any, dtypes: tuple[Any, ...], position: int) -> bool:
    args = []
    for k, d in enumerate(dtypes):
        some: tuple[Any, ...] = (np.inf, -np.inf, np.nan) if k == position else _SOME if d.kind in "fc" else (0, 1)
        shape = [1] * len(dtypes)
        shape[k] = len(some)
        args.append(np.array(some).astype(d.np).reshape(shape))
    before = _set_errors(_QUIET)
    try:
        return not np.isfinite(op.prim.kernel(*np.broadcast_arrays(*args), **op.params)).any()
    except Exception:                                    # it takes other arguments only
        return False
    finally:
        _reset_errors(before)


def finite(value: Any) -> bool:
    """Whether every element is finite; one sum where it is."""
    if value.ndim == 0:
        return bool(np.isfinite(value))
    total = np.add.reduce(value, axis=None)
    if value.dtype.kind == "f" and value.dtype.itemsize > 2:
        return isfinite(total) or bool(np.isfinite(value).all())
    return bool(np.isfinite(total)) or bool(np.isfinite(value).all())


def short(value: Any) -> str:
    """An operand in a few words."""
    a = np.asarray(value)
    head = f"{a.dtype.name}{list(a.shape)}"
    if a.size <= 6:
        text = np.array2string(a, separator=", ", precision=6, max_line_width=10_000)
        return f"{' '.join(text.split()).replace('[ ', '[')} {head}"
    if a.dtype.kind not in "f":
        return head
    return f"{head} from {a.min():.6g} to {a.max():.6g}"


def _picture(values: Any, args: Any, result: Any) -> tuple[list[str], str, str]:
    """The operands, what came out, and where in it, in words."""
    flat = np.asarray(result)
    wrong = ~np.isfinite(flat)
    at = tuple(int(n) for n in np.argwhere(wrong)[0]) if flat.ndim else ()
    what = "nan" if np.isnan(flat[at]).any() else str(flat[at])
    where = ""
    if flat.ndim:
        count = int(wrong.sum())
        where = f" at index {at}" if count == 1 else f" at {count} of {flat.size} places, first at index {at},"
    rows = []
    for a in args:
        x = np.asarray(values[a])
        row = short(x)
        if flat.ndim and x.size > 1:
            try:
                row += f", {np.broadcast_to(x, flat.shape)[at]} at that index"
            except ValueError:
                pass
        rows.append(row)
    return rows, what, where


# ------------------------------------------------------------------------------------------------------ lines and chains

def locate(finding: Finding, trace: Trace) -> Finding:
    """Fill in the user's line and the chain of operations that led there."""
    table = trace.nodes()
    idx = finding.place
    if idx >= len(table):
        return finding
    of = forward_of(trace, table, idx)
    if of is not None:
        finding.backward, finding.step = True, finding.operation
        finding.operation, finding.line = of
        finding.asked = _line(trace, idx)
        if finding.line is None:
            finding.line = finding.asked
    else:
        finding.line = _line(trace, idx)
    chain: list[tuple[str, Line | None]] = []
    node: Node | None = table[idx]
    while node is not None and len(chain) < 9:
        assert node.op is not None
        if node.op.prim not in (INPUT, LITERAL, READ):
            line = forward_of(trace, table, node.idx)
            name = node.op.name if line is None else f"{node.op.name} (derivative of {line[0]})"
            chain.append((name, (line[1] if line is not None else None) or _line(trace, node.idx)))
        before = [table[a] for a in node.args if table[a].op.prim not in (LITERAL, READ)]  # type: ignore[union-attr]
        node = max(before, key=lambda n: n.idx) if before else None
        if node is not None and node.op.prim is INPUT:  # type: ignore[union-attr]
            node = None
    chain.reverse()
    if of is not None and len(chain) > 1 and all((name, line) != of for name, line in chain):
        chain.insert(-1, of)
    finding.chain = chain
    return finding


def _line(trace: Trace, idx: int) -> Line | None:
    """The line that recorded a place; where a known structure was entered in one step, the line of that step."""
    lines = trace.lines
    node = trace.nodes()[idx]
    where = lines.get(node.idx)
    if where is None:
        later = [k for k in lines if k > idx]
        where = lines[min(later)] if later else None
    return None if where is None else line_of(where)


# --------------------------------------------------------------------------------------------------------------- anomaly

def _check(trace: Trace, plan: Any) -> tuple[list[Any], BaseException | None]:
    plan = getattr(plan, "plan", plan)                   # a profile may stand before it
    key = ("checked", plan)
    checked = trace.node.memo.get(key)
    if checked is None:
        checked = trace.node.keep(key, Checked(plan.program, plan))
    values, finding = checked.run(trace.inputs)
    return values, None if finding is None else locate(finding, trace).error()


class anomaly:
    """Stop at the first operation, forward or backward, whose result is not finite while its inputs are.

    A with block. AnomalyError (a FloatingPointError) names the operation, the values of its operands, the line of your
    program (for a derivative the line of the operation it belongs to) and the chain that led there; a variable that was
    to be assigned keeps its value. What is not finite and dropped by ``where`` is let be. Operations are looked at when
    they are computed; what is pending at the end of the block is computed there. Costs nothing outside the block.

    >>> import adjoint as ad
    >>> with ad.anomaly():
    ...     y = ad.log(ad.constant(0.0)) * 2.0
    ...     float(y)
    Traceback (most recent call last):
        ...
    adjoint._errors.AnomalyError: log at ...
    """

    def __enter__(self) -> anomaly:
        self._before = hooks.check
        hooks.check = _check
        trace = local.trace
        if not trace.scratch:
            trace.note_lines(True)
        return self

    def __exit__(self, kind: Any, *_: object) -> None:
        try:
            if kind is None and not local.trace.scratch and (local.trace.handles or local.trace.assigned):
                settle(local.trace)
        finally:
            hooks.check = self._before
            if self._before is None and not local.tapes:
                local.trace.note_lines(False)


# ----------------------------------------------------------------------------------------------------------- post mortem

class Clean:
    """What post_mortem says where everything is finite."""

    operation = ""
    line = None

    def __init__(self, text: str) -> None:
        self.text = text

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def post_mortem(tape: Any, target: Any) -> Finding | Clean:
    """Where what is not finite in ``target``, or in its gradients, began.

    Computes the record again, operation by operation, from the inputs that the tape holds: the tape must be persistent
    or not used yet, else TapeError.
    """
    if not is_value(target):
        raise TypeError(complain("GradientTape.post_mortem", "the target", "a tensor that the tape recorded", f"{target!r:.60}"))
    if tape._spent is not None:
        raise TapeError(f"GradientTape.post_mortem: the values were let go when the tape was used up at "
                        f"{shown(line_of(tape._done), False)}; ask before, or make it GradientTape(persistent=True)")
    record = Record(tape, target)
    traces: dict[int, Trace] = {id(t.past): t for t, _, _ in tape._segments}
    wanted: dict[int, set[int]] = {}
    stack = record.places(target)
    if not stack:
        return Clean("The target was not computed on this tape, so there is nothing to look at.")
    seen = set(stack)
    while stack:
        k, idx = stack.pop()
        wanted.setdefault(k, set()).add(idx)
        link = record.link((k, idx))
        for at in [(k, a) for a in record.node((k, idx)).args] + ([link] if link is not None else []):
            if at not in seen:
                seen.add(at)
                stack.append(at)
    for k in sorted(wanted):
        trace = traces[id(record.pasts[k])]
        finding = _run(trace, tuple(sorted(wanted[k])))
        if finding is not None:
            return finding
    if tape._recording or target._spec.dtype.kind not in "fc":
        return Clean("Every operation behind the target gave finite results.")
    return _backward(tape, target, record) or Clean(
        "Every operation behind the target, and every operation of its derivatives, gave finite results.")


def _run(trace: Trace, wanted: tuple[int, ...]) -> Finding | None:
    program = extract(trace.node, wanted)
    computed = {v for i in program.instrs for v in i.outs} | {v for v, _, _ in program.inputs}
    program.outputs = [v for v in program.outputs if v in computed]
    _, finding = Checked(program).run(trace.inputs)
    return None if finding is None else locate(finding, trace)


def _backward(tape: Any, target: Any, record: Record) -> Finding | None:
    sources = list(tape.watched_variables())
    for at in sorted(record.watched):
        owner = record.owner(at)
        if owner is not None and all(owner is not s for s in sources):
            sources.append(owner)
    if not sources:
        return None
    trace = local.trace
    noting = trace.where is not None
    trace.note_lines(True)
    try:
        grads = tape._sweep([target], [s for s in sources if s._spec.dtype.kind in "fc"], [None])
    finally:
        trace.note_lines(noting)
    if local.trace is not trace:
        return None
    places = []
    for g in grads:
        for t in () if g is None else (g,) if is_value(g) else (g.values,):
            if t._trace is trace:
                places.append(t._idx)
    finding = _run(trace, tuple(sorted(set(places)))) if places else None
    if finding is not None:
        finding.asked = None                             # nobody asked but us
    return finding

"""Reverse and forward mode: from a recorded program to more of it.

Both sweeps run the primitives' rules on tensors, so what they produce is recorded like anything else: derivatives fuse
with the program and differentiate again. Un-broadcasting happens here and nowhere else.

Conventions. Cotangents of complex values follow TensorFlow: for a real loss L and z = x + iy the gradient is
dL/dx + i dL/dy; a holomorphic f multiplies by conj(f'). A result with derivative zero everywhere passes None.
"""
from __future__ import annotations

from typing import Any

from ._cotangents import Sparse, Veiled, accumulate, apply_partial, bare, dense, fit, rules, veiled
from ._errors import AdjointError
from ._formulas import Formula, formula_at, is_whole
from ._graph import NOTHING, Node, Op, Spec, no_collection
from ._tensor import Tensor
from ._trace import (
    INPUT,
    READ,
    TENSOR_INPUT,
    Trace,
    _spec_at,
    give,
    handle,
    hooks,
    input_number,
    jump,
    line_at,
    local,
    origin_of,
    record,
    recording_into,
    step,
    tensor_at,
)
from .primitives.arithmetic import add, negative
from .primitives.comparison import WHERE
from .primitives.complex import real
from .primitives.convert import cast, identity
from .primitives.creation import zeros_of

Spans = list[tuple[int, int]]
Segment = tuple[Trace, Spans]


def is_differentiable(s: Spec) -> bool:
    return s.dtype.kind in "fc"


def pull(op: Op, gs: Any, outs: Any, xs: tuple[Any, ...], want: list[bool]) -> list[Any]:
    """The cotangents of the inputs of one operation."""
    prim = op.prim
    if prim.partials is not None:
        partials = prim.partials(outs, *xs, **op.params)
        return [apply_partial(p, gs, True) if w and p is not None else None for p, w in zip(partials, want)]
    if prim.vjp is not None:
        return list(prim.vjp(gs, outs, *xs, **op.params))
    return [None] * len(xs)


def push(op: Op, ts: tuple[Any, ...], outs: Any, xs: tuple[Any, ...]) -> Any:
    """The tangent of the result(s) of one operation; None is zero."""
    prim = op.prim
    if prim.partials is not None:
        partials = prim.partials(outs, *xs, **op.params)
        total = None
        for p, t in zip(partials, ts):
            if t is not None and p is not None:
                total = accumulate(total, apply_partial(p, t, False))
        return None if total is None else _widen(total, outs._spec)
    if prim.jvp is not None:
        return prim.jvp(ts, outs, *xs, **op.params)
    if prim.linear:
        return _push_linear(op, ts, outs, xs)
    if prim.vjp is not None:
        return push_by_transposing(lambda gs, want: pull(op, gs, outs, xs, want), ts, outs, xs)
    return None


def _widen(t: Any, want: Spec) -> Any:
    if t._spec.shape != want.shape:
        t = add(t, zeros_of(want))
    return t


def _push_linear(op: Op, ts: tuple[Any, ...], outs: Any, xs: tuple[Any, ...]) -> Any:
    prim = op.prim
    if prim.joint:
        if all(ts[k] is None for k in prim.linear):
            return None
        filled = [
            (zeros_of(x._spec) if ts[k] is None else ts[k]) if k in prim.linear else x for k, x in enumerate(xs)]
        total = record(op, *filled)
    else:
        total = None
        for k in prim.linear:
            if ts[k] is not None:
                total = _sum_of(total, record(op, *[ts[k] if n == k else x for n, x in enumerate(xs)]))
    rest = tuple([None if k in prim.linear else t for k, t in enumerate(ts)])
    if prim.vjp is not None and any(t is not None for t in rest):
        total = _sum_of(total, push_by_transposing(
            lambda gs, want: pull(op, gs, outs, xs, want), rest, outs, xs))
    return total


def _sum_of(a: Any, b: Any) -> Any:
    """The sum of two tangents of an operation, which are tuples where it has several results."""
    if a.__class__ is tuple and b.__class__ is tuple:
        return tuple([accumulate(p, q) for p, q in zip(a, b)])
    return accumulate(a, b)


def push_by_transposing(pull_back: Any, ts: tuple[Any, ...], outs: Any, xs: tuple[Any, ...]) -> Any:
    """The tangents of ``outs``: ``pull_back`` is linear in the cotangents, so its own transpose, applied to the
    tangents, is the forward rule. (Over the reals, so that complex values need no conjugation of their own.)"""
    several = outs.__class__ is tuple
    trace = local.trace
    pinned, trace.pinned = trace.pinned, True
    try:
        seeds = [identity(zeros_of(o._spec)) if is_differentiable(o._spec) else None for o in (outs if several else (outs,))]
        live = [s for s in seeds if s is not None]
        if not live:
            return None
        start = trace.node.end
        pulled = pull_back(tuple(seeds) if several else seeds[0], [t is not None for t in ts])
        targets, cots = [], []
        for x, c, t in zip(xs, pulled, ts):
            if c is not None and t is not None:
                targets.append(fit(dense(c), x._spec))
                cots.append(t)
        if not targets:
            return None
        grads = reverse_sweep([(trace, [(start, trace.node.end)])], [(trace, s._idx) for s in live], targets, cots, live)
    finally:
        trace.pinned = pinned
    it = iter(grads)
    result = tuple([None if s is None else next(it) for s in seeds])
    return result if several else result[0]


def pull_back(rule: Any, g: Any, xs: tuple[Any, ...]) -> list[Any]:
    """The cotangents of ``xs`` for the cotangent ``g`` of ``rule(*xs)``: the derivative of a primitive whose kernel does in
    one go, with more digits, what the rule records."""
    trace = local.trace
    pinned, trace.pinned = trace.pinned, True
    try:
        seeds = [identity(x) for x in xs]
        start = trace.node.end
        y = rule(*seeds)
        grads = reverse_sweep([(trace, [(start, trace.node.end)])], [(trace, s._idx) for s in seeds], [y], [g], seeds)
    finally:
        trace.pinned = pinned
    return [zeros_of(x._spec) if d is None else d for x, d in zip(xs, grads)]


hooks.pull_back = pull_back


# ---------------------------------------------------------------------------------------------------------------------

def dependent(segments: list[Segment], roots: list[tuple[Trace, int]], variables: bool,
              owners: dict[int, Any] | None = None) -> dict[Trace, set[int]]:
    """The places that depend on ``roots`` (and, with ``variables``, on trainable variables read within the spans)."""
    marks: dict[Trace, set[int]] = {trace: set() for trace, _ in segments}
    root_owners: set[int] = set()
    for trace, idx in roots:
        marks.setdefault(trace, set()).add(idx)
        owner = owner_at(trace, idx)
        if owner is not None:
            root_owners.add(id(owner))
    for trace, spans in segments:
        mark = marks[trace]
        table = trace.nodes()
        for idx in range(len(table)):                    # inputs that continue something marked in an earlier segment
            node = table[idx]
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                owner = owner_at(trace, idx)
                if owner is None:
                    continue
                origin = origin_of(owner)
                if id(owner) in root_owners or (origin is not None and origin[1] in marks.get(origin[0], ())):
                    mark.add(idx)
        for start, stop in spans:
            idx = start
            while idx < stop:
                node = table[idx]
                op = node.op
                assert op is not None
                if op.prim is not INPUT and op.prim is not READ and op.prim.differentiable:
                    hit = False
                    for a in node.args:
                        if a in mark:
                            hit = True
                        elif variables and _is_trainable(table[a]):
                            mark.add(a)
                            hit = True
                    if hit:
                        for k, s in enumerate(node.specs):
                            if is_differentiable(s):
                                mark.add(node.idx + k)
                idx = node.end
    return marks


def _is_trainable(node: Node) -> bool:
    op = node.op
    assert op is not None
    return (op.prim is INPUT and op.params["kind"] == "variable") or (op.prim is READ and op.params["trainable"])


def owner_at(trace: Trace, idx: int) -> Any:
    """Whose input stands at a place: a Tensor or a Variable; None where it is a result or a scalar."""
    node = trace.nodes()[idx]
    assert node.op is not None
    if node.op.prim is INPUT:
        return trace.owners[input_number(trace, idx)]
    if node.op.prim is READ:
        return trace.reads.get(idx)
    return None


def locate(value: Any, segments: list[Segment]) -> list[tuple[Trace, int]]:
    """Every place of a Tensor or Variable in the segments."""
    found: list[tuple[Trace, int]] = []
    for trace, _ in segments:
        if value._trace is trace:
            found.append((trace, value._idx))
        known = trace.captures.get(id(value))
        if known is not None and (trace, known) not in found:
            found.append((trace, known))
        table = trace.nodes()
        number = 0
        if trace.closed or trace.assigned or value._trace is not trace or trace.captures:
            for node in table:
                op = node.op
                if op.prim is INPUT:  # type: ignore[union-attr]
                    if trace.owners[number] is value and (trace, node.idx) not in found:
                        found.append((trace, node.idx))
                    number += 1
                elif op.prim is READ and trace.reads.get(node.idx) is value and (trace, node.idx) not in found:  # type: ignore[union-attr]
                    found.append((trace, node.idx))
    origin = origin_of(value)
    if origin is not None and any(origin[0] is trace for trace, _ in segments) and origin not in found:
        found.append(origin)
    return found


def reverse_sweep(
    segments: list[Segment], roots: list[tuple[Trace, int]], targets: list[Any], cotangents: list[Any],
    sources: list[Any], variables: bool = False, sparse: bool = False,
) -> list[Any]:
    """Cotangents of ``sources`` for cotangents of ``targets`` through what was recorded in ``segments``; None where no
    path leads."""
    into = segments[0][0]
    pieces: Any = None                                   # where gradient functions of the user are called in between
    if into.closures and len(segments) == 1 and into is local.trace and not (into.assigned or into.captures or into.reads):
        pieces = tuple(segments[0][1]), tuple([idx for _, idx in roots]), variables
        found = into.node.memo.get(("marks", pieces))
        marks = {into: into.node.keep(("marks", pieces), dependent(segments, roots, variables)[into]) if found is None else found}
    else:
        marks = dependent(segments, roots, variables)
    cots: dict[tuple[Trace, int], Any] = {}
    for target, cot in zip(targets, cotangents):
        places = locate(target, segments)
        for at in places[:1]:
            if at[1] in marks.get(at[0], ()):
                cots[at] = accumulate(cots.get(at), cot)
    wanted = [[at for at in locate(s, segments) if at[1] in marks.get(at[0], ())] for s in sources]
    keep = {at for places in wanted for at in places}
    size = sum(stop - start for _, spans in segments for start, stop in spans)
    with no_collection(size > 1000 and not any(trace.closures for trace, _ in segments)):
        for trace, spans in reversed(segments):
            table = trace.nodes()
            mark = marks[trace]
            seen: dict[int, Any] = {}
            for start, stop in reversed(spans):
                if pieces is not None:
                    for idx in sorted([k for k in trace.closures if start <= k < stop], reverse=True):
                        node = table[idx]
                        _pull_piece(trace, node.end, stop, mark, cots, keep, sparse, (pieces, wanted))
                        _pull_node(trace, node, mark, cots, keep, sparse, {})
                        stop = idx
                    _pull_piece(trace, start, stop, mark, cots, keep, sparse, (pieces, wanted))
                else:
                    _pull_range(trace, start, stop, mark, cots, keep, sparse, seen)
            if trace is not segments[0][0]:
                _hand_back(trace, table, cots, marks)
    result = []
    for places in wanted:
        total = None
        for at in dict.fromkeys(places):
            total = accumulate(total, cots.get(at))
        result.append(bare(total))
    if not sparse:
        result = [rules.densify(r) if r.__class__ is Sparse else r for r in result]
    return result


def _pull_range(trace: Trace, start: int, stop: int, mark: set[int], cots: dict[tuple[Trace, int], Any],
                keep: set[tuple[Trace, int]], sparse: bool, seen: dict[int, Any]) -> None:
    table, idx = trace.nodes(), stop - 1
    while idx >= start:
        node = table[idx]
        _pull_node(trace, node, mark, cots, keep, sparse, seen)
        idx = node.idx - 1


def _pull_piece(trace: Trace, start: int, stop: int, mark: set[int], cots: dict[tuple[Trace, int], Any],
                keep: set[tuple[Trace, int]], sparse: bool, context: Any) -> None:
    """A range without gradient functions of the user: its derivative is walked in one step where it was recorded before."""
    if start >= stop:
        return
    here, inputs, pulls = trace.node, len(trace.inputs), len(trace.pulls)
    pieces, wanted = context
    plain = all(g.__class__ is Tensor and g._trace is trace for g in cots.values())
    key = ("piece", start, stop, sparse, pieces, tuple([idx for places in wanted for _, idx in places]),
           tuple([(at[1], g._idx) for at, g in cots.items()])) if plain else None
    found = here.memo.get(key)
    if found is not None:
        before = {g._idx: g for g in cots.values()}
        cots.clear()
        node, given, rows, made = found
        give(trace, node, given, (None,) * len(given))
        trace.pulls.append(made)
        jump(trace, node)
        for place, idx, s in rows:
            cots[trace, place] = before[idx] if idx in before else handle(trace, idx, s)
        return
    known, trace.scalars = trace.scalars, NOTHING        # what is walked again does not know what was used before
    _pull_range(trace, start, stop, mark, cots, keep, sparse, {})
    trace.scalars = known
    if plain and all(o is None for o in trace.owners[inputs:]) and all(
            g.__class__ is Tensor and g._trace is trace for g in cots.values()):
        here.keep(key, (trace.node, tuple(trace.inputs[inputs:]), [(at[1], g._idx, g._spec) for at, g in cots.items()],
                        trace.pulls[pulls:]))


def _hand_back(trace: Trace, table: list[Node], cots: dict[tuple[Trace, int], Any],
               marks: dict[Trace, set[int]]) -> None:
    """Pass the cotangents of a segment's inputs to where they were computed, in an earlier segment."""
    for at in [at for at in cots if at[0] is trace]:
        node = table[at[1]]
        if node.op.prim is INPUT:  # type: ignore[union-attr]
            origin = origin_of(owner_at(trace, at[1]))
            if origin is not None and origin[1] in marks.get(origin[0], ()):
                cots[origin] = accumulate(cots.get(origin), cots.pop(at))   # moved: it counts once


def _pull_formula(trace: Trace, node: Node, formula: Formula, g: Any, mark: set[int], cots: Any) -> None:
    xs = tuple([tensor_lazy(trace, a) for a in formula.leaves])
    y = record(formula.op, *xs)
    g = bare(g)
    g = rules.densify(g) if g.__class__ is Sparse else g
    want = [a in mark for a in formula.leaves]
    pulled = pull(formula.op, g if formula.sign > 0 else negative(g), y, xs, want)
    for a, w, part, x in zip(formula.leaves, want, pulled, xs):
        if w and part is not None:
            cots[trace, a] = accumulate(cots.get((trace, a)), fit(part, x._spec))


def _pull_node(trace: Trace, node: Node, mark: set[int], cots: dict[tuple[Trace, int], Any],
               keep: set[tuple[Trace, int]], sparse: bool, seen: dict[int, Any]) -> None:
    here = trace, node.idx
    if node.end - node.idx == 1 and here not in cots:
        return
    places = range(node.idx, node.end)
    gs = [cots.get((trace, k)) for k in places]
    if all(g is None for g in gs):
        return
    op = node.op
    assert op is not None
    if op.prim is INPUT or op.prim is READ:
        return
    formula = formula_at(trace, node) if node.idx not in trace.closures else None
    g = gs[0]
    if (formula is None and g.__class__ is Tensor and node.spec.__class__ is not tuple and op.prim is not WHERE
            and not (trace.closures and node.idx in trace.closures)):
        _pull_plain(trace, node, g, mark, cots, here in keep, sparse, seen)
        return
    if (formula is not None and not any((trace, k) in keep for k in formula.inside)
            and is_whole(trace, formula, mark.__contains__)):
        if (trace, node.idx) not in keep:
            cots.pop((trace, node.idx))
        elif gs[0].__class__ is Veiled:
            cots[trace, node.idx] = bare(gs[0])
        _pull_formula(trace, node, formula, gs[0], mark, cots)
        return
    if len(gs) > 1:
        gs = [bare(g) for g in gs]
    veil = gs[0] if gs[0].__class__ is Veiled else None
    if veil is not None:
        if op.prim.elementwise and op.prim.partials is not None and (trace, node.idx) not in keep:
            gs = [veil.value]
        else:
            gs, veil = [bare(veil)], None
            cots[trace, node.idx] = gs[0]
    for k in places:
        if (trace, k) not in keep:
            cots.pop((trace, k), None)
    want = [a in mark for a in node.args]
    if not any(want):
        return
    gs = [rules.densify(g) if g.__class__ is Sparse else g for g in gs]
    xs = tuple([tensor_lazy(trace, a) for a in node.args])
    several = node.spec.__class__ is tuple
    if several:
        gs = [zeros_of(s) if g is None and is_differentiable(s) else g for g, s in zip(gs, node.specs)]
    outs: Any = tuple(tensor_lazy(trace, k) for k in places) if several else tensor_lazy(trace, node.idx)
    closure = trace.closures.get(node.idx)
    into = local.trace
    start = into.node.end
    if closure is not None:
        pulled = closure(tuple(gs) if several else gs[0], want)
    else:
        pulled = pull(op, tuple(gs) if several else gs[0], outs, xs, want)
    if len(pulled) != len(node.args):
        raise AdjointError(f"the derivative rule of {op.name} gave {len(pulled)} cotangents for {len(node.args)} inputs")
    for k, (a, w, g, x) in enumerate(zip(node.args, want, pulled, xs)):
        if w and g is not None:
            if g.__class__ is Sparse:
                if not (sparse and trace.nodes()[a].op.prim in (INPUT, READ)):  # type: ignore[union-attr]
                    g = rules.densify(g)
            elif veil is None and op.prim is not WHERE:
                g = fit(g, x._spec)
            else:
                g = veiled(trace, node, k, g, gs[0], veil, xs)
                g = fit(bare(g), x._spec) if g.value._spec is not x._spec else g
            at = (trace, a)
            cots[at] = accumulate(cots.get(at), g)
    if into is local.trace and into.node.end > start:    # whose derivative these operations are, for explanations
        into.pulls.append((start, into.node.end, node.idx if trace is into else (node.op, line_at(trace, node))))


def _pull_plain(trace: Trace, node: Node, g: Any, mark: set[int], cots: dict[tuple[Trace, int], Any], kept: bool, sparse: bool,
                seen: dict[int, Any]) -> None:
    """The usual case: one result, and a cotangent that is just a tensor."""
    idx, args, op = node.idx, node.args, node.op
    assert op is not None
    if not kept:
        del cots[trace, idx]
    want = [a in mark for a in args]
    if True not in want:
        return
    for k in (idx, *args):
        if k not in seen:
            seen[k] = tensor_lazy(trace, k)
    xs = tuple([seen[a] for a in args])
    into = local.trace
    start = into.node.end
    pulled = pull(op, g, seen.pop(idx), xs, want)
    if len(pulled) != len(args):
        raise AdjointError(f"the derivative rule of {op.name} gave {len(pulled)} cotangents for {len(args)} inputs")
    for a, w, part, x in zip(args, want, pulled, xs):
        if w and part is not None:
            if part.__class__ is Sparse:
                if not (sparse and trace.nodes()[a].op.prim in (INPUT, READ)):  # type: ignore[union-attr]
                    part = rules.densify(part)
            elif part._spec is not x._spec:
                part = fit(part, x._spec)
            at = trace, a
            before = cots.get(at)
            cots[at] = part if before is None else accumulate(before, part)
    if into is local.trace and into.node.end > start:    # whose derivative these operations are, for explanations
        into.pulls.append((start, into.node.end, idx if trace is into else (op, line_at(trace, node))))


def tensor_lazy(trace: Trace, idx: int) -> Any:
    return tensor_at(trace, idx) if not trace.closed else _settled(trace, idx)


def _settled(trace: Trace, idx: int) -> Any:
    try:
        return tensor_at(trace, idx)
    except AdjointError:
        node = trace.nodes()[idx]
        return zeros_of(node.specs[idx - node.idx])      # not kept, since no rule looks at more than its shape


Tangents = dict[tuple[Trace, int], Any]


def forward_sweep(segments: list[Segment], tangents: list[tuple[Trace, int, Any]], targets: list[Any]) -> list[Any]:
    """Tangents of ``targets`` for tangents of the places given; None where no path leads."""
    tans: Tangents = {}
    for trace, idx, t in tangents:
        tans[trace, idx] = accumulate(tans.get((trace, idx)), t)
    push_through(segments, tans, {})
    return [tangent_of(target, segments, tans) for target in targets]


def tangent_of(target: Any, segments: list[Segment], tans: Tangents) -> Any:
    for at in locate(target, segments):
        if at in tans:
            return tans[at]
    return None


def push_through(segments: list[Segment], tans: Tangents, done: dict[Trace, int]) -> None:
    """Fill ``tans`` with the tangents of everything in the segments that depends on what it holds already.

    ``done`` says how far each trace was pushed before, and is brought up to date.
    """
    by_owner: dict[int, Any] = {}
    for trace, spans in segments:
        table = trace.nodes()
        for (at, idx), t in tans.items():
            if at is trace:
                owner = owner_at(trace, idx)
                if owner is not None:
                    by_owner[id(owner)] = t
        for idx in range(done.get(trace, 0), len(table)):
            if table[idx].op.prim is not INPUT or (trace, idx) in tans:  # type: ignore[union-attr]
                continue
            owner = owner_at(trace, idx)
            if owner is None:
                continue
            t = by_owner.get(id(owner))
            origin = origin_of(owner) if t is None else None
            if origin is not None:
                t = tans.get(origin)
            if t is not None:
                tans[trace, idx] = t
        for start, stop in spans:
            idx = max(start, done.get(trace, 0))
            while idx < stop:
                node = table[idx]
                _push_node(trace, node, tans)
                idx = node.end
        done[trace] = len(table)


def _push_node(trace: Trace, node: Node, tans: Tangents) -> None:
    op = node.op
    assert op is not None
    if op.prim is INPUT or op.prim is READ or not op.prim.differentiable:
        return
    ts = tuple([tans.get((trace, a)) for a in node.args])
    if all(t is None for t in ts) or not any(is_differentiable(s) for s in node.specs):
        return
    formula = formula_at(trace, node) if node.idx not in trace.closures else None
    if formula is not None and is_whole(trace, formula, lambda k: (trace, k) in tans):
        xs = tuple([tensor_lazy(trace, a) for a in formula.leaves])
        ts = tuple([tans.get((trace, a)) for a in formula.leaves])
        t = push(formula.op, ts, record(formula.op, *xs), xs)
        if t is not None:
            tans.setdefault((trace, node.idx), fit_tangent(t if formula.sign > 0 else negative(t), node.specs[0]))
        return
    xs = tuple([tensor_lazy(trace, a) for a in node.args])
    several = node.spec.__class__ is tuple
    outs: Any = (tuple(tensor_lazy(trace, k) for k in range(node.idx, node.end)) if several
                 else tensor_lazy(trace, node.idx))
    closure = trace.closures.get(node.idx)
    pushed = push_by_transposing(closure, ts, outs, xs) if closure is not None else push(op, ts, outs, xs)
    if pushed is None:
        return
    for k, t in enumerate(pushed if several else (pushed,)):
        if t is not None and is_differentiable(node.specs[k]):
            tans.setdefault((trace, node.idx + k), fit_tangent(t, node.specs[k]))


def fit_tangent(t: Any, want: Spec) -> Any:
    """A tangent brought to the shape and dtype of the value it belongs to."""
    if t._spec is want:
        return t
    if t._spec.dtype is not want.dtype:
        t = cast(real(t) if t._spec.dtype.kind == "c" and want.dtype.kind != "c" else t, want.dtype)
    return _widen(t, want)


def needed(trace: Trace, spans: Spans, mark: set[int], forward: bool = False) -> set[int]:
    """The places whose values the derivative rules look at, among the marked operations of the spans."""
    table = trace.nodes()
    found: set[int] = set()
    for start, stop in spans:
        idx = start
        while idx < stop:
            node = table[idx]
            if any(k in mark for k in range(node.idx, node.end)) and node.op.prim is not INPUT:  # type: ignore[union-attr]
                found.update(_looked_at(trace, node, forward))
                formula = formula_at(trace, node)
                if formula is not None:
                    found.update(formula.leaves)
            idx = node.end
    return found


_LOOKS: dict[Any, tuple[tuple[int, ...], tuple[int, ...]]] = {}


def _looked_at(trace: Trace, node: Node, forward: bool) -> list[int]:
    """Run the rule once in a trace of its own and see which primals its results depend on."""
    op = node.op
    assert op is not None
    if node.idx in trace.closures:
        return [*node.args, *range(node.idx, node.end)]
    table = trace.nodes()
    in_specs = tuple([_spec_at(table, a) for a in node.args])
    key = (op, in_specs, forward)
    if key not in _LOOKS:
        _LOOKS[key] = _look(op, in_specs, node.specs, node.spec.__class__ is tuple, forward)
    ins, outs = _LOOKS[key]
    return [node.args[n] for n in ins] + [node.idx + n for n in outs]


def _look(op: Op, in_specs: tuple[Spec, ...], out_specs: tuple[Spec, ...], several: bool,
          forward: bool) -> tuple[tuple[int, ...], tuple[int, ...]]:
    scratch = Trace(scratch=True)

    def fake(s: Spec) -> Any:
        idx = step(scratch, TENSOR_INPUT, (), s).idx
        t = handle(scratch, idx, s)
        scratch.inputs.append(None)
        scratch.owners.append(t)
        return t

    with recording_into(scratch):
        xs, outs = tuple([fake(s) for s in in_specs]), tuple([fake(s) for s in out_specs])
        if forward:
            ts = tuple([fake(s) if is_differentiable(s) else None for s in in_specs])
            pushed = push(op, ts, outs if several else outs[0], xs)
            results = list(pushed) if pushed.__class__ is tuple else [pushed]
        else:
            gs = tuple([fake(s) for s in out_specs])
            results = pull(op, gs if several else gs[0], outs if several else outs[0], xs, [True] * len(xs))
    nodes = scratch.nodes()
    seen: set[int] = set()
    stack: list[int] = []
    for r in results:
        if r.__class__ is Sparse:
            stack += [r.indices._idx, r.values._idx]
        elif r is not None:
            stack.append(r._idx)
    while stack:
        k = stack.pop()
        if k not in seen:
            seen.add(k)
            stack.extend(nodes[k].args)
    scratch.closed = True
    found = (tuple(n for n, x in enumerate(xs) if x._idx in seen), tuple(n for n, o in enumerate(outs) if o._idx in seen))
    scratch.forget()
    return found

"""Why a gradient is what it is: the path from source to target, or what is in its way."""
from __future__ import annotations

from typing import Any

from .. import _nest
from .._config import config
from .._graph import Node
from .._tensor import Tensor, Variable
from .._trace import ELSEWHERE, INPUT, READ, TENSOR_INPUT
from ._record import (
    At,
    Line,
    Record,
    flows,
    is_constant_input,
    is_value,
    line_of,
    name_in,
    past_of,
    recording_frame,
    shown,
    user_frame,
)

PathStep = tuple[str, tuple[int, ...], str, Line | None]   # name, shape, dtype, line of an operation
Step = tuple[At, int, At]                                # from, position among the operation's inputs, to


class Explanation:
    """Why a gradient is what it is; ``str()`` gives one paragraph.

    cause   "connected", or for a gradient of None: "not watched", "before the tape", "after the tape", "outside the tape",
            "recording stopped", "tape consumed", "detached", "integer", "stop_gradient", "zero derivative", "assigned",
            "overwritten", "linear" or "independent"
    line    (file, line) where it happened, or None
    remedy  what to do about it
    path    the operations from source to target: (name, shape, dtype, line)
    """

    __slots__ = ("cause", "line", "path", "remedy", "source", "target", "text")

    def __init__(self, cause: str, text: str, remedy: str, line: Line | None, target: str, source: str,
                 path: list[tuple[str, tuple[int, ...], str, Line | None]]) -> None:
        self.cause, self.text, self.remedy, self.line = cause, text, remedy, line
        self.target, self.source, self.path = target, source, path

    @property
    def connected(self) -> bool:
        return self.cause == "connected"

    def __str__(self) -> str:
        return f"{self.text} {self.remedy}".strip()

    def __repr__(self) -> str:
        return str(self)


def explain(tape: Any, target: Any, source: Any, frame: Any = None) -> Any:
    """The explanation for one source, or a list of them for a nest."""
    frame = frame if frame is not None else user_frame()
    if not is_value(source) and isinstance(source, (list, tuple, dict)):
        return [explain(tape, target, s, frame) for s in _nest.flatten(source)]
    if isinstance(target, (list, tuple, dict)):
        found = [_Case(tape, t, source, frame).answer() for t in _nest.flatten(target)]
        return next((f for f in found if f.connected), found[0]) if found else _Case(tape, target, source, frame).answer()
    return _Case(tape, target, source, frame).answer()


def why_none(lost: tuple[Any, ...], variable: Any) -> str:
    """For errors about a gradient of None: why it was, by the last tape that gave one."""
    tape, target, sources = lost[0](), None if lost[1] is None else lost[1](), lost[2]
    if tape is None or target is None or all(s() is not variable for s in sources):
        return ""
    found = _Case(tape, target, variable, user_frame()).answer()
    return "" if found.connected else str(found)


class _Case:
    """One question."""

    def __init__(self, tape: Any, target: Any, source: Any, frame: Any) -> None:
        self.tape, self.target, self.source = tape, target, source
        self.record = Record(tape, target, source)
        self.frame = frame = recording_frame(frame, self.record)
        self.t, self.s = name_in(frame, target, "the target"), name_in(frame, source, "the source")
        self.spelled = "tf" if config.spelling == "tf" else "ad"

    # -- the answer ----------------------------------------------------------------------------------------------------
    def answer(self) -> Explanation:
        record = self.record
        if not is_value(self.source):
            return self._say("not watched", f"{self.s} is a {type(self.source).__name__}, not a tensor or variable, so no "
                             f"gradient can be taken with respect to it.",
                             f"Make it {self.spelled}.Variable(...), or a constant that the tape watches.")
        if not record.pasts:
            return self._say("outside the tape", "Nothing was recorded on this tape.",
                             "Compute the target inside its with block.")
        self.sources = record.places(self.source)
        self.best = self._spread(self.sources)
        if not is_value(self.target):
            return self._not_a_tensor()
        self.targets = record.places(self.target)
        if self.source._spec.dtype.kind not in "fc":
            return self._say("integer", f"{self.s} is {self.source._spec}: an integer has no derivative, so the gradient of "
                             f"{self.t} with respect to it is None.",
                             "Write 3.0 instead of 3, or cast it to a float before the tape watches it.")
        reached = [at for at in self.targets if at in self.best]
        if self.target._spec.dtype.kind not in "fc":
            cause, line, text = self._integer_target(reached)
            return self._say(cause, f"{self.t} is {self.target._spec}, which has no derivative{text}.",
                             "Differentiate a floating value that is computed without leaving the floats.", line,
                             reached[0] if reached else None)
        if reached:
            return self._along(min(reached, key=lambda at: self.best[at][0]))
        return self._apart()

    def _say(self, cause: str, text: str, remedy: str, line: Line | None = None, to: At | None = None) -> Explanation:
        done = self.tape._done
        if done is not None and cause != "connected" and cause != "tape consumed":
            text += f" (By what the tape had recorded when it was used up at {shown(line_of(done), False)}.)"
        return Explanation(cause, text, remedy, line, self.t, self.s, [] if to is None else self._steps(to))

    def _none(self, cause: str, text: str, remedy: str, line: Line | None = None, to: At | None = None) -> Explanation:
        zero = ", which stands for zero" if cause == "linear" else ""
        return self._say(cause, f"The gradient of {self.t} with respect to {self.s} is None{zero}: {text}", remedy, line, to)

    # -- the search ----------------------------------------------------------------------------------------------------
    def _spread(self, starts: list[At]) -> dict[At, tuple[int, At | None, int]]:
        """What depends on ``starts`` by data, each with the least number of edges that no derivative passes."""
        record = self.record
        best: dict[At, tuple[int, At | None, int]] = dict.fromkeys(starts, (0, None, -1))
        assigned: dict[int, list[At]] = {}
        for k, past in enumerate(record.pasts):
            for idx, held in past.assigned:
                variable = held()
                if variable is not None:
                    assigned.setdefault(id(variable), []).append((k, idx))
        for k, node in record.nodes():
            at = (k, node.idx)
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                if at in best:
                    continue
                link = record.link(at)
                if link is not None and link in best:
                    best[at] = (best[link][0], link, 0)
                elif node.op is not TENSOR_INPUT and assigned:
                    for earlier in assigned.get(id(record.owner(at)), ()):
                        if earlier in best and earlier[0] < k:
                            best[at] = (best[earlier][0] + 1, earlier, 0)
                continue
            found: tuple[int, At | None, int] | None = None
            passes = None
            for position, a in enumerate(node.args):
                known = best.get((k, a))
                if known is None:
                    continue
                if passes is None:
                    passes = self._passes(k, node)
                cost = known[0] + (not passes[position])
                if found is None or cost < found[0]:
                    found = (cost, (k, a), position)
            if found is not None:
                for n in range(node.end - node.idx):
                    if (k, node.idx + n) not in best:
                        best[k, node.idx + n] = found
        return best

    def _passes(self, k: int, node: Node) -> tuple[bool, ...]:
        if node.op.prim is READ or not self.record.in_spans((k, node.idx)):  # type: ignore[union-attr]
            return (False,) * len(node.args)
        return flows(node, tuple([self.record.spec((k, a)) for a in node.args]))

    def _edges(self, to: At) -> list[Step]:
        edges: list[Step] = []
        at = to
        while self.best[at][1] is not None:
            _, before, position = self.best[at]
            assert before is not None
            edges.append((before, position, at))
            at = before
        edges.reverse()
        return edges

    def _blocked(self, edge: Step) -> bool:
        _, position, at = edge
        node = self.record.node(at)
        if node.op.prim is INPUT:  # type: ignore[union-attr]
            return node.op is not TENSOR_INPUT
        return not self._passes(at[0], node)[position]

    def _steps(self, to: At) -> list[tuple[str, tuple[int, ...], str, Line | None]]:
        found = []
        for _, _, at in self._edges(to):
            node = self.record.node(at)
            if node.op.prim is not INPUT:  # type: ignore[union-attr]
                s = self.record.spec(at)
                found.append((node.op.name, s.shape, s.dtype.name, self.record.line(at)))  # type: ignore[union-attr]
        return found

    def _marks(self) -> set[At]:
        """What a derivative with respect to something watched can be taken of."""
        record = self.record
        starts = [at for at in record.watched if at[1] < len(record.tables[at[0]])]
        for k, node in record.nodes():
            if record.is_root((k, node.idx)):
                starts.append((k, node.idx))
        found = self._spread(list(dict.fromkeys(starts)))
        return {at for at, known in found.items() if known[0] == 0}

    def _route(self, to: At) -> str:
        """The path as text, its operations grouped by line, what a loop repeats once."""
        parts: list[str] = []
        for steps, times in repeated(self._steps(to)):
            found = _by_line(steps)
            parts += found if times == 1 else [f"{times} times ({' -> '.join(found)})"]
        if len(parts) > 8:
            parts = [*parts[:4], f"... {len(parts) - 7} more lines ...", *parts[-3:]]
        spec = self.source._spec
        return " -> ".join([f"{self.s} {spec.dtype.name}{list(spec.shape)}", *parts])

    # -- a path of data leads there ------------------------------------------------------------------------------------
    def _along(self, to: At) -> Explanation:
        watched = any(at in self._marks() for at in self.sources)
        edges = self._edges(to)
        blocked = [e for e in edges if self._blocked(e)]
        if not blocked and watched:
            return self._connected(to)
        if not watched:
            inside = next((b for b in blocked), None)
            more = "" if inside is None else f" Besides, {self._why(inside)[1]}."
            return self._unwatched(to, more)
        cause, text, remedy, line = self._why(blocked[0])
        more = "" if len(blocked) == 1 else (f" ({len(blocked)} operations on the path of fewest obstacles pass no derivative; "
                                             f"this is the first.)")
        return self._none(cause, f"{text}.{more}", remedy, line, to)

    def _connected(self, to: At) -> Explanation:
        route = self._route(to)
        own = to in self.sources
        text = (f"{self.t} is {self.s} itself, so the gradient is one." if own else
                f"The gradient of {self.t} with respect to {self.s} flows: {route}.")
        ways = self._count_ways(to)
        if ways > 1:
            text += f" It is one of {ways if ways < 1000 else '1000 or more'} paths."
        return self._say("connected", text, "", None, to)

    def _count_ways(self, to: At) -> int:
        counts: dict[At, int] = dict.fromkeys(self.sources, 1)
        for k, node in self.record.nodes():
            at = (k, node.idx)
            if at in counts or self.best.get(at, (1,))[0]:
                continue
            if node.op.prim is INPUT:  # type: ignore[union-attr]
                link = self.record.link(at)
                total = counts.get(link, 0) if link is not None else 0
            else:
                passes = self._passes(k, node)
                total = sum(counts.get((k, a), 0) for a, ok in zip(node.args, passes) if ok)
            if total:
                for n in range(node.end - node.idx):
                    counts[k, node.idx + n] = min(total, 1000)
        return counts.get(to, 1)

    def _unwatched(self, to: At, more: str) -> Explanation:
        s, ad = self.source, self.spelled
        first = next((self.record.line(at) for _, _, at in self._edges(to)), None)
        if isinstance(s, Variable):
            why = ("the tape was made with watch_accessed_variables=False" if s.trainable else
                   f"{s.name} is not trainable, so a tape does not watch it by itself")
            remedy = (f"Call tape.watch({self.s}) at the start of the with block" +
                      ("." if not s.trainable else ", or leave watch_accessed_variables at its default."))
        else:
            why = "it is a tensor, and a tape watches by itself only trainable variables"
            remedy = (f"Call tape.watch({self.s}) before it is used in the with block, or make it {ad}.Variable(...); if it "
                      f"was a variable once, update it with assign_sub and not with {self.s} = {self.s} - ....")
        return self._none("not watched", f"{self.s} was never watched "
                         f"({why}), though {self.t} is computed from it: {self._route(to)}.{more}", remedy, first, to)

    def _why(self, edge: Step) -> tuple[str, str, str, Line | None]:
        """Cause, half a sentence, remedy and line for an edge that no derivative passes."""
        before, position, at = edge
        record, node = self.record, self.record.node(at)
        op = node.op
        assert op is not None
        name, line = op.name, record.line(at)
        where = f" at {shown(line)}" if line is not None else ""
        if op.prim is READ or op.prim is INPUT:
            owner = record.owner(at)
            called = name_in(self.frame, owner, "a variable") if owner is not None else "a variable"
            made = record.line(before)
            used = next((record.line(b) for a, _, b in self._edges_from(at) if record.line(b)), None)
            found = made or used
            return ("assigned", f"the path goes through an assignment: the value computed{' at ' + shown(made) if made else ''} "
                    f"was assigned to {called}" + (f", which was read at {shown(used)}" if used else "") +
                    ", and a variable's value is where gradients start, not something they pass through",
                    "Keep the value in a Python name of its own and use that, and assign to the variable after the gradient.",
                    found)
        if not record.in_spans(at):
            return self._outside(at, name, where, line)
        out = record.spec((at[0], node.idx))
        given = record.spec(before)
        if name == "stop_gradient":
            return ("stop_gradient", f"stop_gradient{where} lets nothing through",
                    "Remove it where the gradient is wanted.", line)
        if name == "cast" and out.dtype.kind not in "fc":
            return ("integer", f"cast{where} makes {out.dtype.name} of {given.dtype.name}, and integers and booleans have no "
                    f"derivative", f"Keep the value floating; cast to {out.dtype.name} only what is used as an index or a count.",
                    line)
        if out.dtype.kind not in "fc":
            return ("zero derivative", f"{name}{where} gives {out.dtype.name} values: its derivative is zero wherever it has one",
                    _smooth(name), line)
        if given.dtype.kind not in "fc":
            return ("integer", f"{name}{where} takes {given.dtype.name} values there, which have no derivative",
                    "Keep the value floating on the way from source to target.", line)
        return ("zero derivative", f"{name}{where} has a derivative that is zero everywhere" +
                ("" if len(node.args) == 1 else f" by its input number {position + 1}"), _smooth(name), line)

    def _edges_from(self, at: At) -> list[Step]:
        return [(at, 0, b) for b, known in self.best.items() if known[1] == at]

    def _outside(self, at: At, name: str, where: str, line: Line | None) -> tuple[str, str, str, Line | None]:
        record, k = self.record, at[0]
        shape = record.spec(at)
        what = f"{name} ({shape.dtype.name}{list(shape.shape)}){where}"
        spans = record.spans[k]
        first, last = min(start for start, _ in spans), max(stop for _, stop in spans)
        begun = any(number < k for number, _, _ in record.segments)
        ended = not self.tape._recording and all(number <= k for number, _, _ in record.segments)
        if at[1] < first and not begun:
            used = next((self.record.line(b) for a, _, b in self._edges_from(at) if self.record.line(b)), None)
            later = f" (it is used at {shown(used)})" if used else ""
            return ("before the tape", f"{what}, on the path from {self.s} to {self.t}, was recorded before the tape was "
                    f"entered{later}", "Move it into the with block.", line or used)
        if at[1] >= last and ended:
            if self.tape._cut:
                end = shown(line_of(self.tape._done)) if self.tape._done else "that line"
                return ("tape consumed", f"{what} came after the tape had been used up at {end}: asking a tape that is not "
                        f"persistent for a gradient inside its with block ends its recording",
                        "Make it GradientTape(persistent=True), or ask for the gradient after the with block.",
                        line or (line_of(self.tape._done) if self.tape._done else None))
            at_end = max((n for n in record.pasts[k].lines if n < last), default=None)
            final = None if at_end is None else line_of(record.pasts[k].lines[at_end])
            return ("after the tape", f"{what}, on the path from {self.s} to {self.t}, was computed after the with block had "
                    f"ended" + (f" (the last operation in it was at {shown(final)})" if final else ""),
                    "Move it into the with block.", line or final)
        return ("recording stopped", f"{what}, on the path from {self.s} to {self.t}, was computed while the recording was "
                f"stopped (tape.stop_recording())", "Move it out of the stop_recording block.", line)

    # -- no path of data -----------------------------------------------------------------------------------------------
    def _integer_target(self, reached: list[At]) -> tuple[str, Line | None, str]:
        if reached:
            for edge in self._edges(reached[0]):
                if self._blocked(edge):
                    cause, text, _, line = self._why(edge)
                    return cause, line, f": {text}"
        return "integer", None, ""

    def _not_a_tensor(self) -> Explanation:
        kind = type(self.target).__name__
        look = self._look_before(None)
        if look is not None:
            how, line, _ = look
            return self._say("detached", f"{self.t} is a Python or NumPy value ({kind}), not a tensor: the value left the tape "
                             f"through {how} at {shown(line)}.", "Use the tensor itself as the target, and adjoint's functions "
                             "instead of NumPy's or math's.", line)
        return self._say("detached", f"{self.t} is a {kind}, not a tensor, so no tape knows how it was computed.",
                         "Give the tensor that was computed on the tape.")

    def _look_before(self, ancestors: set[At] | None) -> tuple[str, Line, At | None] | None:
        """A value that depends on the source and left for NumPy, with where a constant came back, if one did."""
        record = self.record
        for held, origin, how, where, number, idx in self.tape._looks:
            value = held()
            places = record.places(value) if value is not None else []
            if origin is not None:
                past, at = past_of(origin)
                if id(past) in record.numbers:
                    places.append((record.numbers[id(past)], at))
            if not (value is not None and value is self.source or any(p in self.best for p in places)):
                continue
            line = line_of(where)
            if ancestors is None:
                return how, line, None
            since = (record.segments[min(number, len(record.segments)) - 1][0], idx)
            back = [at for at in ancestors if at >= since and is_constant_input(record.node(at)) and record.link(at) is None
                    and at not in self.best]
            if back:
                return how, line, min(back)
        return None

    def _ancestors(self, places: list[At]) -> set[At]:
        record = self.record
        seen: set[At] = set()
        stack = list(places)
        while stack:
            at = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            stack.extend((at[0], a) for a in record.node(at).args)
            link = record.link(at)
            if link is not None:
                stack.append(link)
        return seen

    def _apart(self) -> Explanation:
        record = self.record
        above = self._ancestors(self.targets)
        look = self._look_before(above) if self.targets else self._look_before(None)
        if look is not None:
            return self._detached(look)
        if not self.targets:
            return self._unknown_target()
        linear = self._linear(above)
        if linear is not None:
            return linear
        rebound = self._rebound(above)
        if rebound is not None:
            return rebound
        for at in sorted(above):
            node = record.node(at)
            owner = record.owner(at) if node.op is TENSOR_INPUT else None
            origin = getattr(owner, "_origin", None)
            if owner is not None and origin is not None and record.link(at) is None and owner is not self.target and (
                    origin is ELSEWHERE or id(past_of(origin)[0]) not in record.numbers):
                name = name_in(self.frame, owner, f"a {owner._spec}")
                line = self._used(at)
                used = "" if self.sources else f" {self.s} itself was not used on the tape."
                return self._none("outside the tape", f"{self.t} comes "
                                 f"from {name}, which was computed before or outside of the tape and entered as a constant at "
                                 f"{shown(line)}.{used}", f"If {name} is computed from {self.s}, move that into the with block.",
                                 line)
        return self._independent(above)

    def _used(self, at: At) -> Line | None:
        """The first line that uses an input."""
        for k, node in self.record.nodes():
            if k == at[0] and at[1] in node.args:
                line = self.record.line((k, node.idx))
                if line is not None:
                    return line
        return None

    def _detached(self, look: tuple[str, Line, At | None]) -> Explanation:
        how, line, back = look
        came = ""
        if back is not None:
            used = self._used(back)
            if used is not None:
                came = f"; what came back at {shown(used)} is a constant to the tape"
        elif not self.targets:
            came = f"; {self.t} is a constant made of it"
        return self._none("detached", f"a value that depends on {self.s} "
                         f"left the tape through {how} at {shown(line)}{came}.",
                         f"Keep it a tensor: use {self.spelled}'s functions instead of NumPy's, math's or float().", line)

    def _unknown_target(self) -> Explanation:
        trace = self.target._trace
        origin = getattr(self.target, "_origin", None)
        if self.tape._cut and self.tape._done is not None:
            line = line_of(self.tape._done)
            return self._none("tape consumed", f"{self.t} is not in the record, which ended at {shown(line)}, where a tape that "
                              f"is not persistent was asked for a gradient inside its with block.",
                              "Make it GradientTape(persistent=True), or ask for the gradient after the with block.", line)
        if isinstance(self.target, Tensor) and trace is None and origin is None:
            return self._none("independent", f"{self.t} is a constant, "
                             f"not something that was computed on this tape.", f"Compute {self.t} from {self.s} inside the with "
                             f"block, with {self.spelled}'s functions.")
        return self._none("outside the tape", f"{self.t} was not computed "
                         f"while this tape was recording.", "Compute it inside the with block.")

    def _linear(self, above: set[At]) -> Explanation | None:
        """A target that is (computed from) a gradient which does not depend on the source."""
        record = self.record
        for k, past in enumerate(record.pasts):
            for places, of, sources, where in past.grads:
                line = line_of(where)
                for idx, held in zip(places, sources):
                    if idx is None or (k, idx) not in above:
                        continue
                    inner = held()
                    upstream = of is not None and (k, of) in self.best
                    y = self._name_at((k, of)) if of is not None else "its target"
                    x = "the inner source" if inner is None else name_in(self.frame, inner, "the inner source")
                    itself = (k, idx) in self.targets
                    head = f"{self.t} is" if itself else f"{self.t} is computed from"
                    left = self._roots_of(above)
                    by = f" (what it is computed from: {left})" if left else ""
                    if inner is self.source and upstream:
                        return self._none("linear", f"{head} d{y}/d{x}, taken at {shown(line)}, and {y} is linear in {self.s}, "
                                          f"so its first derivative does not depend on {self.s}{by}.",
                                          _RIGHT, line)
                    if upstream:
                        return self._none("linear", f"{head} d{y}/d{x}, taken at {shown(line)}, which does not depend on "
                                          f"{self.s}{by}: in {y} no product or function joins {x} and {self.s}.",
                                          _RIGHT, line)
        return None

    def _name_at(self, at: At) -> str:
        trace_names = self.frame.f_locals if self.frame is not None else {}
        for names in (trace_names, self.frame.f_globals if self.frame is not None else {}):
            for name, held in list(names.items()):
                if is_value(held) and not name.startswith("_") and at in self.record.places(held):
                    return str(name)
        return "y"

    def _roots_of(self, above: set[At]) -> str:
        names = []
        for at in sorted(above):
            if self.record.node(at).op.prim in (INPUT, READ):  # type: ignore[union-attr]
                owner = self.record.owner(at)
                if owner is not None:
                    name = name_in(self.frame, owner, "")
                    if name and name not in names:
                        names.append(name)
        return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")

    def _rebound(self, above: set[At]) -> Explanation | None:
        """A source that is itself the result of something recorded after what the target uses."""
        record = self.record
        for at in self.sources:
            node = record.node(at)
            if node.op.prim in (INPUT, READ) or isinstance(self.source, Variable):  # type: ignore[union-attr]
                continue
            shared = self._ancestors([at]) & above
            if not any(record.is_root(a) or record.owner(a) is not None for a in shared):
                continue
            name, line = node.op.name, record.line(at)  # type: ignore[union-attr]
            how = f"{self.s}[...] = value" if name == "setitem" else f"{name}"
            return self._none("overwritten", f"{self.s} now is the result of "
                             f"{how} at {shown(line)}, and {self.t} was computed from the value before.",
                             f"Keep the earlier value under a name of its own and differentiate with respect to that, or compute "
                             f"{self.t} from the new one.", line)
        return None

    def _independent(self, above: set[At]) -> Explanation:
        roots = self._roots_of(above)
        line = next((self.record.line(at) for at in self.targets if self.record.line(at)), None)
        made = f" at {shown(line)}" if line else ""
        known = f" {self.t} was computed{made} from {roots}." if roots else ""
        if not self.sources:
            text = f"{self.s} was not used while the tape recorded"
            line = line_of(self.tape._done) if line is None and self.tape._done else line
        else:
            text = f"{self.t} does not depend on {self.s}"
        return self._none("independent", f"{text}.{known}",
                         f"If it should depend on it, compute {self.t} from {self.s} inside the with block; for a zero instead "
                         f'of None ask with unconnected_gradients="zero".', line)


def _by_line(steps: list[PathStep]) -> list[str]:
    groups: list[tuple[Line | None, list[str]]] = []
    for name, shape, dtype, line in steps:
        step = f"{name} {dtype}{list(shape)}"
        if groups and groups[-1][0] == line:
            groups[-1][1].append(step)
        else:
            groups.append((line, [step]))
    return [f"{', '.join(names if len(names) < 7 else [*names[:3], f'... {len(names) - 5} more', *names[-2:]])}"
            + ("" if line is None else f" at {shown(line)}") for line, names in groups]


def repeated(steps: list[PathStep]) -> list[tuple[list[PathStep], int]]:
    """The steps in blocks with how often each follows itself; at least three times, or it is not told apart."""
    found: list[tuple[list[PathStep], int]] = []
    at = 0
    while at < len(steps):
        best, times = 1, 1
        for period in range(1, min(40, (len(steps) - at) // 3) + 1):
            if steps[at] != steps[at + period]:
                continue
            end = at + period
            while end < len(steps) and steps[end] == steps[end - period]:
                end += 1
            count = (end - at) // period
            if count >= 3 and period * count > best * times:
                best, times = period, count
        if times == 1 and found and found[-1][1] == 1:
            found[-1][0].append(steps[at])
        else:
            found.append((steps[at:at + best], times))
        at += best * times
    return found


_RIGHT = 'That is right; for a zero tensor instead of None ask with unconnected_gradients="zero".'


def _smooth(name: str) -> str:
    return {
        "round": "Use a smooth function, or ad.custom_gradient with a straight-through gradient.",
        "floor": "Use a smooth function, or ad.custom_gradient with a straight-through gradient.",
        "ceil": "Use a smooth function, or ad.custom_gradient with a straight-through gradient.",
        "trunc": "Use a smooth function, or ad.custom_gradient with a straight-through gradient.",
        "sign": "Use tanh(k x), which is smooth, or ad.custom_gradient.",
        "argmax": "Use softmax, which is smooth, and weigh with it.",
        "argmin": "Use softmax of the negative, which is smooth, and weigh with it.",
    }.get(name, "Use a smooth function in its place (a sigmoid for a comparison, softmax for a choice), or ad.custom_gradient.")

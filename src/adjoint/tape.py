"""GradientTape: what was recorded while it was active, and the gradients of it."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any
from weakref import ref

from . import _batch, _collector, _derive, _nest
from ._config import config
from ._errors import DtypeError, ShapeError, TapeError, complain
from ._graph import NOTHING, spec
from ._lines import _OWN, jump, line_of, remember, user_line
from ._segments import enter_again, entered_since, structure
from ._sparse import IndexedSlices, as_result
from ._tensor import Tensor, Value, Variable
from ._trace import Trace, give, hooks, local, place, tensor_at
from .primitives.convert import convert
from .primitives.creation import ones_of, zeros_of

_new: Any = object.__new__
_getframe = sys._getframe


class UnconnectedGradients:
    """What ``gradient`` gives where no path leads: NONE (the default) or ZERO."""

    NONE = "none"
    ZERO = "zero"


_NONE = UnconnectedGradients.NONE


class GradientTape:
    """Records operations while it is active and gives the gradients of what was recorded.

    For a target y and sources x the gradient is dy/dx, for a target with several elements that of their sum:

        sum over i of dy_i / dx

    persistent                whether gradient may be asked for more than once
    watch_accessed_variables  whether trainable variables are watched by themselves

    Raises TapeError on a second use of a single-use tape.

    >>> import adjoint as ad
    >>> x = ad.constant(3.0)
    >>> with ad.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    __slots__ = ("__weakref__", "_cut", "_done", "_gone", "_looks", "_persistent", "_recording", "_segments", "_variables",
                 "_watched")

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._variables = watch_accessed_variables
        self._segments: list[Any] = []                   # [trace, start, stop or None], in order
        self._watched: list[tuple[Any, int]] = []
        self._looks: Any = ()                            # values that left for NumPy or Python while it recorded
        self._done: tuple[Any, int] | None = None        # the line that used it up
        self._gone: tuple[Any, Any] | None = None        # what it had recorded then, without values
        self._recording = False
        self._cut = False                                # whether a gradient asked for inside the block ended the recording

    # -- recording -----------------------------------------------------------------------------------------------------
    def __enter__(self) -> GradientTape:
        if self._recording:
            raise TapeError("GradientTape: the tape is already active; close it before entering it again")
        if self._done is not None:
            self.reset()
        tapes = local.tapes
        trace = local.trace
        if not tapes:
            if (trace.assigned or trace.node.end > 512) and not trace.scratch:
                hooks.settle(trace)
                trace = local.trace
            if config.lines and trace.where is None:
                trace.note_lines(True)
            if trace.long and trace.patience is None:
                trace.patience = _collector.wait()
        self._segments.append([trace, trace.node.end, None])
        trace.tapes.append(self)
        self._recording = True
        tapes += self,                                   # last, and no call: no signal comes between this and the block
        return self

    def __exit__(self, kind: Any = None, error: Any = None, where: Any = None) -> None:
        if not self._recording:
            return
        tapes = local.tapes
        if tapes and tapes[-1] is self:
            tapes.pop()
        elif self in tapes:
            tapes.remove(self)
        else:
            raise TapeError("GradientTape: a tape belongs to the thread that opened it; close it there")
        self._recording = False
        segment = self._segments[-1]
        trace = segment[0]
        segment[2] = at = trace.node.end
        if not tapes and trace.where is not None and hooks.check is None:
            trace.where = None
            trace.noted.append(at)

    def _start(self, trace: Trace) -> None:
        self._segments.append([trace, trace.node.end, None])
        trace.tapes.append(self)

    def _continue_in(self, old: Trace, new: Trace) -> None:
        """The thread's trace was settled while this tape is active."""
        for segment in self._segments:
            if segment[2] is None:
                segment[2] = old.node.end
        self._segments.append([new, 0, None])
        new.tapes.append(self)
        if config.lines:
            new.note_lines(True)

    def _wants(self, others: int) -> bool:
        """Whether this tape still needs values of a trace that is being settled (``others``: references beside ours)."""
        return self._done is None and (self._recording or others > 0)

    def _needs(self, trace: Trace) -> set[int]:
        segments = self._spans()
        marks = _derive.dependent(segments, self._watched, self._variables)
        return _derive.needed(trace, next(s for t, s in segments if t is trace), marks[trace])

    def _spans(self) -> list[_derive.Segment]:
        found: dict[int, _derive.Segment] = {}
        for trace, start, stop in self._segments:
            if stop is None:
                stop = trace.node.end
            entry = found.setdefault(id(trace), (trace, []))
            if start < stop:
                entry[1].append((start, stop))
        return list(found.values())

    def watch(self, tensor: Any) -> None:
        """Have the gradients with respect to ``tensor`` (a tensor, a variable, or a nest of them) recorded.

        Raises DtypeError for an integer or boolean tensor, which has no derivative (under the TensorFlow spelling it
        logs once instead).
        """
        trace = local.trace
        for t in (tensor,) if tensor.__class__ is Tensor or isinstance(tensor, Value) else _nest.flatten(tensor):
            if t.__class__ is not Tensor and not isinstance(t, Value):
                raise TypeError(complain("GradientTape.watch", "the argument", "a tensor or variable", f"{t!r:.60}",
                                         "make it one with constant()"))
            if t._spec.dtype.kind not in "fc":
                message = complain("GradientTape.watch", "the tensor", "floating or complex", t._spec.dtype.name,
                                   "an integer has no derivative; write 3.0 instead of 3, or cast it")
                if config.spelling != "tf":
                    raise DtypeError(message)
                _log_once(message)
                continue
            self._watched.append((trace, t._idx if t._trace is trace else place(trace, t)))

    def watched_variables(self) -> tuple[Variable, ...]:
        """The variables that the tape watches, in the order in which they were first used."""
        found: dict[int, Variable] = {}
        for trace, idx in self._watched:
            owner = _derive.owner_at(trace, idx)
            if isinstance(owner, Variable):
                found[id(owner)] = owner
        if self._variables:
            for trace, spans in self._spans():
                table = trace.nodes()
                for start, stop in spans:
                    for k in range(start, stop):
                        for a in (*table[k].args, k):
                            owner = _derive.owner_at(trace, a)
                            if isinstance(owner, Variable) and owner.trainable and a < stop:
                                found[id(owner)] = owner
        return tuple(found.values())

    @contextlib.contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Record nothing inside a with block."""
        if not self._recording:
            raise TapeError("GradientTape.stop_recording: the tape is not recording")
        segment = self._segments[-1]
        segment[2] = segment[0].node.end
        local.tapes.remove(self)
        self._recording = False
        try:
            yield
        finally:
            self._start(local.trace)
            local.tapes.append(self)
            self._recording = True

    def reset(self) -> None:
        """Forget everything recorded so far."""
        self._segments, self._watched, self._done, self._gone, self._looks = [], [], None, None, ()
        self._cut = False
        if self._recording:
            self._start(local.trace)

    # -- gradients -----------------------------------------------------------------------------------------------------
    def gradient(self, target: Any, sources: Any, output_gradients: Any = None,
                 unconnected_gradients: Any = _NONE) -> Any:
        """The gradient of ``target`` with respect to ``sources``, in the structure of ``sources``.

        target                 tensor or a nest of tensors (their gradients add up)
        sources                tensor, variable or a nest of them
        output_gradients       cotangents for the targets, of their shapes; ones by default
        unconnected_gradients  "none" or "zero": what stands where no path leads

        Raises TapeError on the second call of a tape that is not persistent.
        """
        if self._done is not None or self._recording or not self._segments:
            self._use("gradient")
        frame = _getframe(1)
        code = frame.f_code
        line = user_line() if _OWN[code.co_filename] else (code, frame.f_lasti)
        one, flat = False, sources
        if sources.__class__ is not list:
            one = hasattr(sources, "_spec")
            flat = (sources,) if one else _nest.flatten(sources)
        trace = local.trace
        result = None
        if output_gradients is None and target.__class__ is Tensor and target._trace is trace:
            result = self._replay(trace, target, flat, line)
        if result is None:
            flat = _nest.flatten(flat)
            if output_gradients is None and target.__class__ is Tensor:
                result = self._replay_across(trace, target, flat, line)
        if result is None:
            targets = _nest.flatten(target)
            cots = [None] * len(targets) if output_gradients is None else _nest.flatten(output_gradients)
            result = self._sweep(targets, flat, cots)
            trace = local.trace
        if trace.tapes and local.tapes:                  # noted, for explanations: what these are the derivatives of
            trace.grads.append((
                tuple([r._idx if r.__class__ is Tensor and r._trace is trace else None for r in result]),
                target._idx if hasattr(target, "_spec") and target._trace is trace else None,
                tuple([ref(s) for s in flat]), line))
        if not self._persistent:
            self._use_up(trace, line)
        if unconnected_gradients is not _NONE:
            result = self._filled(result, flat, unconnected_gradients)
        if one:
            return result[0]
        return result if flat is sources else _nest.pack(sources, result)

    @staticmethod
    def _filled(result: list[Any], sources: list[Any], unconnected: Any) -> list[Any]:
        if unconnected == _NONE:
            return result
        if unconnected != UnconnectedGradients.ZERO:
            raise ValueError(complain("GradientTape.gradient", "unconnected_gradients", "'none' or 'zero'", repr(unconnected)))
        return [zeros_of(s._spec) if r is None else r for r, s in zip(result, sources)]

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: Any = UnconnectedGradients.NONE,
                 parallel_iterations: Any = None, experimental_use_pfor: bool = True) -> Any:
        """The derivative of every element of ``target`` by every element of ``sources``, in the structure of ``sources``.

        target                 tensor
        sources                tensor, variable or a nest of them
        unconnected_gradients  "none" or "zero": what stands where no path leads

        The result has the shape target.shape + source.shape. All rows are computed at once, or all columns where they
        are fewer; parallel_iterations and experimental_use_pfor are accepted and change nothing. Uses up a tape that is
        not persistent, as ``gradient`` does.

        >>> import adjoint as ad
        >>> x = ad.constant([1.0, 2.0])
        >>> with ad.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = x * x
        >>> tape.jacobian(y, x).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        if unconnected_gradients is not _NONE:
            self._check_unconnected("jacobian", unconnected_gradients)
        self._use("jacobian")
        flat = [sources] if isinstance(sources, Value) else _nest.flatten(sources)
        found = self._jacobian("jacobian", target, flat, user_line())
        return self._finish(sources, flat, found, unconnected_gradients, target._spec.shape)

    def batch_jacobian(self, target: Any, source: Any, unconnected_gradients: Any = UnconnectedGradients.NONE,
                       parallel_iterations: Any = None, experimental_use_pfor: bool = True) -> Any:
        """For each example the derivative of its target by its source: (batch, ...), (batch, ...) -> (batch, ..., ...).

        The first axis of both counts examples, and the target of an example may depend on its own source only. Raises
        ShapeError when the first axes differ.
        """
        if unconnected_gradients is not _NONE:
            self._check_unconnected("batch_jacobian", unconnected_gradients)
        self._use("batch_jacobian")
        found = self._jacobian("batch_jacobian", target, [source], user_line())
        return self._finish(source, [source], found, unconnected_gradients, target._spec.shape, 1)

    def _jacobian(self, what: str, target: Any, sources: list[Any], line: Any) -> list[Any]:
        trace, found = local.trace, None
        if target.__class__ is Tensor and target._trace is trace:
            found = self._replay(trace, target, sources, line, what)
        if found is None and target.__class__ is Tensor:
            found = self._replay_across(trace, target, sources, line, what)
        if found is None:
            found = self._derive(what, target, sources)
        if not self._persistent:
            self._use_up(local.trace, line)
        return found

    def _derive(self, what: str, target: Any, sources: list[Any]) -> list[Any]:
        """Derivatives of a structure that is new."""
        if what == "gradient":
            return self._sweep([target], sources, [None])
        self._check(what, target, sources)
        if what == "jacobian":
            return _batch.jacobians(self._spans(), self._watched, self._variables, target, sources)
        a, b = target._spec.shape, sources[0]._spec.shape
        if not a or not b or a[0] != b[0]:
            raise ShapeError(complain("GradientTape.batch_jacobian", "target and source", "of one batch (their first axes equal)",
                                      f"{a} and {b}"))
        return [_batch.batch_jacobian(self._spans(), self._watched, self._variables, target, sources[0])]

    @staticmethod
    def _check_unconnected(what: str, value: Any) -> None:
        if value not in (UnconnectedGradients.NONE, UnconnectedGradients.ZERO):
            raise ValueError(complain(f"GradientTape.{what}", "unconnected_gradients", "'none' or 'zero'", repr(value)))

    def _check(self, what: str, target: Any, sources: list[Any]) -> None:
        for label, t in [("the target", target), *[("each source", s) for s in sources]]:
            if not isinstance(t, Value):
                raise TypeError(complain(f"GradientTape.{what}", label, "a tensor or variable", f"{t!r:.60}"))
            if t._spec.dtype.kind not in "fc":
                raise DtypeError(complain(f"GradientTape.{what}", label, "floating or complex", t._spec.dtype.name,
                                          "an integer has no derivative; write 3.0 instead of 3, or cast it before the tape"))

    @staticmethod
    def _finish(sources: Any, flat: list[Any], found: list[Any], unconnected: Any, shape: Any, skip: int = 0) -> Any:
        if unconnected == UnconnectedGradients.ZERO:
            found = [zeros_of(spec(shape + s._spec.shape[skip:], s._spec.dtype)) if r is None else r
                     for r, s in zip(found, flat)]
        return found[0] if isinstance(sources, Value) else _nest.pack(sources, found)

    def _use(self, what: str) -> None:
        if self._done is not None:
            raise TapeError(
                f"A non-persistent GradientTape can only be used to compute one set of gradients (or jacobians): {what} "
                f"was called again on a tape that was used up at {line_of(self._done)}. Ask for all gradients in one call, or "
                f"make it GradientTape(persistent=True)")
        if self._recording:
            if not self._persistent:
                self._cut = True
                self.__exit__()
        elif not self._segments:
            raise TapeError(f"GradientTape.{what}: nothing was recorded; use the tape in a with block first")

    def _use_up(self, trace: Trace, line: Any) -> None:
        """It has answered; a pending trace is let go of when it is settled."""
        self._done = line
        segments = self._segments
        if segments[0][0] is not trace or len(segments) > 1 or trace.scratch or trace.closed:
            self._let_go()

    def _let_go(self) -> None:
        """Hold on to nothing but the structure."""
        self._gone = self._record()
        self._segments, self._watched = [], []

    @property
    def _spent(self) -> tuple[Any, Any] | None:
        """What had been recorded when the tape was used up."""
        if self._done is not None and self._gone is None:
            self._let_go()
        return self._gone

    def _record(self) -> tuple[list[Any], list[Any]]:
        """What the tape recorded, as (past, start, stop), and what it watches, as (past, place): structure, no values."""
        if len(self._segments) == 1:
            trace, start, stop = self._segments[0]
            past = remember(trace)
            return [(past, start, trace.node.end if stop is None else stop)], [
                (past if t is trace else remember(t), idx) for t, idx in self._watched]
        for trace, _, _ in self._segments:
            if trace.owners:
                remember(trace).links = {n: o._origin for n, o in enumerate(trace.owners) if hasattr(o, "_origin")}
        return ([(remember(trace), start, trace.node.end if stop is None else stop) for trace, start, stop in self._segments],
                [(remember(trace), idx) for trace, idx in self._watched])

    def _replay(self, trace: Trace, target: Tensor, sources: Any, line: Any,
                what: str = "gradient") -> list[Any] | None:
        """Gradients (or jacobians) of a structure that was differentiated before: the recorded derivative is walked in one step.

        None where that does not go: a record in several traces, assignments or custom gradients in it.
        """
        if trace.assigned or trace.closures:
            return None
        here, segments = trace.node, self._segments
        recorded, start, stop = segments[0]
        if recorded is not trace:
            return None
        spans: Any = (start, here.end if stop is None else stop)
        if len(segments) > 1:
            for recorded, start, stop in segments[1:]:
                if recorded is not trace:
                    return None
                spans += start, here.end if stop is None else stop
        try:
            if len(sources) == 1:
                s = sources[0]
                places: Any = s._idx if s._trace is trace else trace.captures[id(s)]
            else:
                places = tuple([s._idx if s._trace is trace else trace.captures[id(s)] for s in sources])
        except (AttributeError, KeyError):
            return None                                  # no tensor, not in this trace, or read before it was assigned
        watched = self._watched
        key = (target._idx, places, spans, self._variables, what, tuple([w for _, w in watched]) if watched else None)
        found = here.memo.get(key)
        if found is None:
            found = self._derive_here(trace, target, sources, key, what)
            if found.__class__ is list:
                return found  # type: ignore[no-any-return]
        else:
            node, _, given, made = found
            if given:
                give(trace, node, given, (None,) * len(given))
            where = trace.where
            if where is not None:
                trace.noted += here.end, node.end
                if node is not here:
                    where[node.idx] = line
            trace.node = node
            trace.pulls.append(made)
        return self._handed(trace, found[1], target, sources)

    def _replay_across(self, trace: Trace, target: Tensor, sources: Any, line: Any, what: str = "gradient") -> list[Any] | None:
        """The same for a record in several traces, where values were looked at meanwhile or the target was."""
        if trace.assigned or trace.closures or trace.captures or not trace.fast:
            return None
        segments, here = self._segments, trace.node
        try:
            key = structure(segments, self._watched, trace, (target, *sources))
        except AttributeError:
            return None                                  # no tensor
        if key is None:
            return None
        key = (what, self._variables, id(line[0]), line[1], key)
        found = here.memo.get(key)
        if found is None:
            inputs, pulls = len(trace.inputs), len(trace.pulls)
            result, places = self._derive_apart(trace, target, sources, what)
            if places is not None and not trace.captures:
                rows = entered_since(trace, inputs, here.end, segments)
                if rows is not None:
                    here.keep(key, (trace.node, places, rows, trace.pulls[pulls:], line))
            return result
        enter_again(trace, found[2], segments)
        jump(trace, found[0], line)
        trace.pulls.append(found[3])
        return self._handed(trace, found[1], target, sources)

    def _handed(self, trace: Trace, places: Any, target: Any, sources: Any) -> list[Any]:
        """Tensors for the places of the derivatives."""
        if hooks.tensors is not None:
            found = hooks.tensors(trace, places)
            if found is not None:
                return found
        result: list[Any] = []
        for at in places:
            if at is None:
                result.append(None)
                hooks.lost = _weakly(self, target, sources)
                continue
            t = _new(Tensor)
            t._trace = trace
            t._idx, t._spec = at[:2]
            t._value = None
            trace.handles.append(t)
            result.append(t if len(at) == 2 else IndexedSlices(t, tensor_at(trace, at[2]), at[3]))
        return result

    def _derive_here(self, trace: Trace, target: Tensor, sources: Any, key: Any, what: str) -> Any:
        start, inputs, pulls = trace.node, len(trace.inputs), len(trace.pulls)
        result, places = self._derive_apart(trace, target, sources, what)
        if places is None or any(o is not None for o in trace.owners[inputs:]):
            return result
        return start.keep(key, (trace.node, places, tuple(trace.inputs[inputs:]), trace.pulls[pulls:]))

    def _derive_apart(self, trace: Trace, target: Tensor, sources: Any, what: str) -> tuple[list[Any], Any]:
        """Derivatives, and their places where they all stand in ``trace``."""
        known, trace.scalars = trace.scalars, NOTHING    # what is replayed does not know what was used before
        result = self._derive(what, target, sources)
        trace.scalars = known
        if local.trace is not trace or any(
                r is not None and not all(t.__class__ is Tensor and t._trace is trace for t in (
                    (r.values, r.indices) if r.__class__ is IndexedSlices else (r,))) for r in result):
            return result, None
        return result, tuple([
            None if r is None else (r._idx, r._spec) if r.__class__ is Tensor else
            (r.values._idx, r.values._spec, r.indices._idx, r.dense_shape) for r in result])

    def _sweep(self, targets: list[Any], sources: Any, cots: list[Any]) -> list[Any]:
        for s in sources:
            if not isinstance(s, Value):
                raise TypeError(complain("GradientTape.gradient", "each source", "a tensor or variable", f"{s!r:.60}"))
            if s._spec.dtype.kind not in "fc":
                message = complain("GradientTape.gradient", "each source", "floating or complex", s._spec.dtype.name,
                                   "an integer has no derivative; write 3.0 instead of 3, or cast it before the tape")
                if config.spelling != "tf":
                    raise DtypeError(message)
                _log_once(message)
        if len(cots) != len(targets):
            raise ShapeError(complain("GradientTape.gradient", "output_gradients", f"one for each of {len(targets)} targets",
                                      len(cots)))
        trace = local.trace
        pinned, trace.pinned = trace.pinned, True
        segments = self._spans()
        try:
            live, seeds = [], []
            for t, c in zip(targets, cots):
                if t is None or not isinstance(t, Value) or t._spec.dtype.kind not in "fc":
                    continue
                live.append(t)
                seeds.append(self._seed(t, c))
            found = _derive.reverse_sweep(segments, self._watched, live, seeds, list(sources), self._variables, True)
            for r in found:
                if r is None:
                    hooks.lost = _weakly(self, targets[0] if targets else None, sources)
            return [as_result(r, s) for r, s in zip(found, sources)]
        finally:
            trace.pinned = pinned

    # -- answers ---------------------------------------------------------------------------------------------------------
    def explain(self, target: Any, source: Any) -> Any:
        """Why the gradient of ``target`` with respect to ``source`` is what it is; print it.

        The path from source to target with the lines of your program, or, where the gradient is None, the reason and
        the remedy. Changes nothing; works after a single-use tape was used up too. For a nest of sources, a list.

        >>> import adjoint as ad
        >>> x = ad.Variable(2.0)
        >>> with ad.GradientTape() as tape:
        ...     y = x * ad.stop_gradient(x * x)
        >>> tape.explain(y, x).cause
        'connected'
        """
        return hooks.inspector().explain(self, target, source)

    def post_mortem(self, target: Any) -> Any:
        """The first recorded operation behind ``target`` whose result is not finite while its inputs are; print it."""
        return hooks.inspector().post_mortem(self, target)

    def summary(self) -> Any:
        """What the tape holds: operations and bytes, by line of your program; print it."""
        return hooks.inspector().summary(self)

    def derivation(self, target: Any, source: Any) -> Any:
        """The derivative of ``target`` by ``source``, operation by operation, with the numbers; print it."""
        return hooks.inspector().derivation(self, target, source)

    def advise(self, loss: Any) -> Any:
        """Likely mistakes in the program that computed ``loss``; print it."""
        return hooks.inspector().advise(self, loss)

    def draw(self, target: Any = None, path: Any = None, format: str | None = None, fold: bool | None = None) -> Any:
        """A drawing of what was recorded on the way to ``target`` (all of it without one); Jupyter shows it by itself.

        target  tensor or a nest of them
        path    where to write it: x.svg, x.png (needs the extra "plot") or x.html, a page that steps through with the arrow keys
        format  "svg", "png" or "html", where the name of the file does not say it
        fold    whether repeated blocks share a box; by default when there are many

        Uses up nothing and changes nothing. Values and cotangents are shown as far as they can still be known: of a single-use
        tape that was used up, when everything it started from still lives.

        >>> import adjoint as ad
        >>> x = ad.Variable(3.0)
        >>> with ad.GradientTape() as tape:
        ...     y = x * x
        >>> tape.draw(y)
        <Drawing of 2 values in 2 boxes: show it in Jupyter or save('tape.html')>
        """
        return hooks.inspector().draw(self, target, path, format, fold)

    @staticmethod
    def _seed(t: Any, c: Any) -> Any:
        if c is None:
            return ones_of(t._spec)
        c = convert(c, t._spec.dtype, True)
        if c._spec.shape != t._spec.shape:
            raise ShapeError(complain("GradientTape.gradient", "each of output_gradients", f"of its target's shape "
                                      f"{t._spec.shape}", c._spec.shape))
        return c


def _weakly(tape: GradientTape, target: Any, sources: Any) -> tuple[Any, ...]:
    return (ref(tape), ref(target) if isinstance(target, Value) else None,
            (ref(sources[0]),) if len(sources) == 1 else tuple([ref(s) for s in sources]))


_logged: set[str] = set()


def _log_once(message: str) -> None:
    if message not in _logged:
        import logging

        _logged.add(message)
        logging.getLogger("adjoint").warning(message)


def _guard_numpy(value: Any) -> None:
    """``np.asarray`` on a tensor that a tape tracks would cut the gradient without a word."""
    if not local.tapes or config.spelling == "tf":
        return
    for tape in local.tapes:
        marks = _derive.dependent(tape._spans(), tape._watched, tape._variables)
        if any(at[1] in marks.get(at[0], ()) for at in _derive.locate(value, tape._spans())):
            raise TapeError(
                "np.asarray on a tensor that a tape tracks would cut its gradient: use adjoint's function instead, take "
                "ad.stop_gradient(x) or x.numpy() if the cut is meant, or leave the tape first")


def _looked(value: Any, how: str, out: Any) -> None:
    if how == "bool()":
        return                                           # a branch: the value itself goes nowhere
    note = (ref(value), getattr(value, "_origin", None), how, user_line(3))
    for tape in local.tapes:
        if len(tape._looks) < 1000:
            tape._looks = (*tape._looks, (*note, len(tape._segments), local.trace.node.end))


hooks.looked = _looked  # type: ignore[method-assign]
hooks.guard_numpy = _guard_numpy  # type: ignore[method-assign]
__all__ = ["GradientTape", "UnconnectedGradients"]

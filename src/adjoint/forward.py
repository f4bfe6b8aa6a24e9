"""ForwardAccumulator: directional derivatives of what is computed while it is active."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import _batch, _derive, _nest
from ._cotangents import accumulate
from ._errors import DtypeError, ShapeError, TapeError, complain
from ._tensor import Value
from ._trace import Trace, local, place
from .primitives.convert import convert, identity
from .primitives.creation import zeros_of
from .tape import GradientTape, UnconnectedGradients

__all__ = ["ForwardAccumulator"]


class BothWays(GradientTape):
    """A tape that keeps what forward rules look at too."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(persistent=True, watch_accessed_variables=False)

    def _needs(self, trace: Trace) -> set[int]:
        spans = next(s for t, s in self._spans() if t is trace)
        marks = _derive.dependent(self._spans(), self._watched, self._variables)[trace]
        return _derive.needed(trace, spans, marks) | _derive.needed(trace, spans, marks, True)


class ForwardAccumulator:
    """Computes jacobian-vector products of what is computed while it is active, with no pass backwards.

    For y = f(x) and a tangent v of x:

        jvp(y) = sum over j of dy / dx_j * v_j

    primals   tensor, variable or a nest of them: the values to differentiate by
    tangents  their tangents, in the same structure, of the same shapes and dtypes

    Accumulators nest in each other and with tapes, in any order. A Hessian-vector product is an accumulator around a
    tape. Raises DtypeError for integer primals, ShapeError for a tangent that does not have its primal's shape,
    TapeError when it is entered twice.

    >>> import adjoint as ad
    >>> x = ad.constant([1.0, 2.0])
    >>> with ad.ForwardAccumulator(x, ad.constant([1.0, 0.0])) as acc:
    ...     y = x * x
    >>> acc.jvp(y).tolist()
    [2.0, 0.0]
    """

    def __init__(self, primals: Any, tangents: Any) -> None:
        flat = [primals] if isinstance(primals, Value) else _nest.flatten(primals)
        given = [tangents] if isinstance(primals, Value) else _nest.flatten(tangents)
        if len(flat) != len(given):
            raise ShapeError(complain("ForwardAccumulator", "tangents", f"one for each of {len(flat)} primals",
                                      len(given)))
        self._primals = flat
        self._tangents = [self._checked(p, t) for p, t in zip(flat, given)]
        self._tape = BothWays()
        self._tans: _derive.Tangents = {}
        self._done: dict[Trace, int] = {}
        self._entered = False

    @staticmethod
    def _checked(primal: Any, tangent: Any) -> Any:
        if not isinstance(primal, Value):
            raise TypeError(complain("ForwardAccumulator", "each primal", "a tensor or variable", f"{primal!r:.60}",
                                     "make it one with constant()"))
        if primal._spec.dtype.kind not in "fc":
            raise DtypeError(complain("ForwardAccumulator", "each primal", "floating or complex",
                                      primal._spec.dtype.name,
                                      "an integer has no derivative; write 3.0 instead of 3, or cast it"))
        t = convert(tangent, primal._spec.dtype, True)
        if t._spec is not primal._spec:
            raise ShapeError(complain("ForwardAccumulator", "each tangent", f"like its primal, {primal._spec}",
                                      t._spec))
        return identity(t) if t is primal or t._value is None else t

    def __enter__(self) -> ForwardAccumulator:
        if self._entered:
            raise TapeError("ForwardAccumulator: it can be entered once; make a new one for another product")
        self._entered = True
        self._tape.__enter__()
        for p, t in zip(self._primals, self._tangents):
            self._tape.watch(p)
            at = self._tape._watched[-1]
            self._tans[at] = accumulate(self._tans.get(at), t)
        return self

    def __exit__(self, *_: object) -> None:
        if self._tape._recording:
            self._tape.__exit__()
        if local.tapes:                                  # tangents asked for later still belong to what records now
            with self._aside():
                _derive.push_through(self._tape._spans(), self._tans, self._done)

    @contextmanager
    def _aside(self) -> Iterator[Trace]:
        """What is recorded inside is not part of what this accumulator differentiates itself."""
        tape, trace = self._tape, local.trace
        pause = tape._recording
        if pause:
            tape._segments[-1][2] = trace.node.end
        pinned, trace.pinned = trace.pinned, True
        try:
            yield trace
        finally:
            trace.pinned = pinned
            if pause:
                tape._segments.append([trace, trace.node.end, None])


    def _tangents_of(self, ys: list[Any]) -> list[Any]:
        with self._aside() as trace:
            segments = self._tape._spans()
            if self._done or not _batch.alone(segments) or any(y._trace is not trace for y in ys):
                _derive.push_through(segments, self._tans, self._done)
                return [_derive.tangent_of(y, segments, self._tans) for y in ys]
            seeds = [(*at, t) for at, t in self._tans.items()]
            tangents = [place(trace, t) for _, _, t in seeds]
            key = ("jvp", tuple([y._idx for y in ys]), tuple(tangents), _batch.spans_key(segments, [s[:2] for s in seeds]))
            found = _batch.remembered(trace, key, lambda: [
                None if t is None else (t, False) for t in _derive.forward_sweep(segments, seeds, ys)])
            return [None if pair is None else pair[0] for pair in found]

    def jvp(self, primals: Any, unconnected_gradients: Any = UnconnectedGradients.NONE) -> Any:
        """The tangents of ``primals`` (a tensor or a nest), in their structure.

        unconnected_gradients  "none" or "zero": what stands for a tensor that does not depend on the primals
        """
        if unconnected_gradients not in (UnconnectedGradients.NONE, UnconnectedGradients.ZERO):
            raise ValueError(complain("ForwardAccumulator.jvp", "unconnected_gradients", "'none' or 'zero'",
                                      repr(unconnected_gradients)))
        if not self._entered:
            raise TapeError("ForwardAccumulator.jvp: nothing was recorded; use the accumulator in a with block first")
        one = isinstance(primals, Value)
        flat = [primals] if one else _nest.flatten(primals)
        known = iter(self._tangents_of([y for y in flat if isinstance(y, Value)]))
        found = [next(known) if isinstance(y, Value) else None for y in flat]
        if unconnected_gradients == UnconnectedGradients.ZERO:
            found = [zeros_of(y._spec) if t is None else t for t, y in zip(found, flat)]
        return found[0] if one else _nest.pack(primals, found)

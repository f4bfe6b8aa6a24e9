"""check_gradients: reverse, forward and second order against differences in float64."""
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import _nest
from .._errors import complain
from .._graph import Spec
from .._tensor import Value
from ..forward import ForwardAccumulator
from ..primitives.broadcast import sum as total_of
from ..primitives.complex import conj
from ..primitives.complex import real as real_of
from ..primitives.convert import cast, convert
from ..tape import GradientTape

__all__ = ["Check", "GradientReport", "Kink", "check_gradients"]

_LEVELS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)                 # steps, relative to the size of the argument
_OUTPUTS = 4096                                          # outputs compared one by one


class Check:
    """One way of differentiating against differences.

    way              "reverse", "forward", "second order, reverse over reverse" or "second order, forward over reverse"
    ok, compared     the verdict, and how many derivatives were compared
    where            the worst one: "output[index] by argument[index]"
    expected, found  its value by differences, and by adjoint
    error            their distance, in units of what is allowed
    """

    __slots__ = ("compared", "error", "expected", "found", "way", "where")

    def __init__(self, way: str) -> None:
        self.way, self.compared, self.error = way, 0, 0.0
        self.where, self.expected, self.found = "", 0.0, 0.0

    @property
    def ok(self) -> bool:
        return self.error <= 1.0

    def see(self, where: Callable[[], str], expected: float, found: float, allowed: float) -> None:
        self.compared += 1
        error = abs(expected - found) / allowed
        if not error <= self.error or not self.where:    # also where it is NaN
            self.error = error if error == error else float("inf")
            self.where, self.expected, self.found = where(), float(expected), float(found)

    def __str__(self) -> str:
        if not self.compared:
            return f"{self.way}: nothing to compare"
        if self.ok:
            return f"{self.way}: ok, {self.compared} derivative{'s' * (self.compared != 1)}"
        return (f"{self.way}: WRONG, worst of {self.compared} is d {self.where}: expected {self.expected:.10g}, found "
                f"{self.found:.10g}")

    __repr__ = __str__


class Kink:
    """A place where the one-sided derivatives differ."""

    __slots__ = ("found", "left", "right", "where")

    def __init__(self, where: str, left: float, right: float, found: float) -> None:
        self.where, self.left, self.right, self.found = where, left, right, found

    @property
    def ok(self) -> bool:
        low, high = sorted((self.left, self.right))
        room = 1e-3 * (high - low)
        return low - room <= self.found <= high + room

    def __str__(self) -> str:
        verdict = "which lies between" if self.ok else "which does NOT lie between"
        return (f"kink: d {self.where} is {self.left:.6g} from the left and {self.right:.6g} from the right; found "
                f"{self.found:.6g}, {verdict}")

    __repr__ = __str__


class GradientReport:
    """What check_gradients found; true when everything agrees, and ``str()`` tells the rest."""

    __slots__ = ("checks", "kinks", "skipped")

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.kinks: list[Kink] = []
        self.skipped: list[str] = []

    @property
    def ok(self) -> bool:
        return all(c.ok for c in self.checks) and all(k.ok for k in self.kinks)

    @property
    def worst(self) -> Check:
        return max(self.checks, key=lambda c: c.error)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        head = "gradients agree with differences" if self.ok else "gradients DISAGREE with differences"
        kinks = sorted(self.kinks, key=lambda k: k.ok)
        rows = [*map(str, self.checks), *map(str, kinks[:5])]
        if len(kinks) > 5:
            rows.append(f"... {len(kinks) - 5} more kinks")
        return "\n".join([head, *[f"  {row}" for row in [*rows, *self.skipped]]])

    __repr__ = __str__


class _Problem:
    """A function of flat float64 arrays, and its derivatives; a complex array is two, its real and its imaginary part."""

    def __init__(self, f: Any, args: tuple[Any, ...]) -> None:
        self.f, self.args = f, tuple([_numbers_as_array(a) for a in args])
        self.flat = _nest.flatten(self.args)
        self.at: list[int] = []                          # which of the flat arguments are differentiated by
        self.slots: list[slice] = []                     # for each of these, its values
        self.values: list[Any] = []
        self.names: list[str] = []
        for k, a in enumerate(self.flat):
            if isinstance(a, (str, bytes)) or a is None or callable(a) and not isinstance(a, Value):
                continue
            array = np.asarray(a.numpy() if isinstance(a, Value) else a)
            start = len(self.values)
            if array.dtype.kind == "c":
                self.values += [np.array(array.real, np.float64), np.array(array.imag, np.float64)]
                self.names += [f"the {part} part of argument {k}" for part in ("real", "imaginary")]
            elif array.dtype.kind == "f" or array.dtype.name in ("bfloat16", "float16"):
                self.values.append(np.array(array, np.float64))
                self.names.append(f"argument {k}")
            else:
                continue
            self.at.append(k)
            self.slots.append(slice(start, len(self.values)))
        if not self.at:
            raise TypeError(complain("check_gradients", "an argument", "floating or complex", ", ".join(
                type(a).__name__ for a in self.flat) or "no argument", "write 3.0 instead of 3"))
        self.outputs: list[tuple[str, tuple[int, ...]]] = []

    def tensors(self, values: list[Any]) -> list[Any]:
        return [convert(_whole(values[slot])) for slot in self.slots]

    def __call__(self, tensors: list[Any]) -> list[Any]:
        flat = list(self.flat)
        for k, t in zip(self.at, tensors):
            flat[k] = t
        out = self.f(*_nest.pack(self.args, flat))
        found = [o for o in ([out] if isinstance(out, Value) else _nest.flatten(out)) if isinstance(o, Value)]
        found = [o for o in found if o._spec.dtype.kind in "fc"]
        if not found:
            raise TypeError(complain("check_gradients", "what f returns", "a floating or complex tensor, or a nest of them",
                                     f"{out!r:.60}"))
        return found

    def value(self, values: list[Any]) -> Any:
        """All outputs in one float64 vector."""
        out = self(self.tensors(values))
        self.outputs = labelled([o._spec for o in out])
        return numbers([o.numpy() for o in out])

    def moved(self, k: int, index: tuple[int, ...], by: float) -> Any:
        return self.value(_moved(self.values, k, index, by))

    def cotangents(self, vector: Any, out: list[Any]) -> list[Any]:
        parts, start = [], 0
        for o in out:
            pieces = []
            for _ in range(1 + (o._spec.dtype.kind == "c")):
                pieces.append(vector[start:start + o._spec.size].reshape(o._spec.shape))
                start += o._spec.size
            parts.append(cast(convert(_whole(pieces)), o._spec.dtype))
        return parts

    def parts(self, found: list[Any], values: list[Any]) -> list[Any]:
        """Gradients by the tensors as gradients by the values: dL/dx + i dL/dy is both of them."""
        made: list[Any] = []
        for g, slot in zip(found, self.slots):
            if g is None:
                made += [np.zeros_like(v) for v in values[slot]]
            else:
                made += halves(convert(g).numpy())
        return made

    def reverse(self, values: list[Any], vector: Any) -> list[Any]:
        xs = self.tensors(values)
        with GradientTape() as tape:
            tape.watch(xs)
            out = self(xs)
        return self.parts(tape.gradient(out, xs, self.cotangents(vector, out)), values)

    def direction(self, k: int, index: tuple[int, ...], values: list[Any]) -> tuple[int, Any]:
        """Which tensor a value belongs to, and the tangent of that tensor that moves one element of it."""
        n = next(n for n, slot in enumerate(self.slots) if slot.start <= k < slot.stop)
        pieces = [np.zeros_like(v) for v in values[self.slots[n]]]
        pieces[k - self.slots[n].start][index] = 1.0
        return n, convert(_whole(pieces))

    def forward(self, values: list[Any], k: int, index: tuple[int, ...]) -> Any:
        xs = self.tensors(values)
        n, direction = self.direction(k, index, values)
        with ForwardAccumulator(xs[n], direction) as acc:
            out = self(xs)
        found = [acc.jvp(o) for o in out]
        return numbers([np.zeros(o._spec.shape, o._spec.dtype.np) if t is None else t.numpy() for t, o in zip(found, out)])

    def second(self, values: list[Any], vector: Any, k: int, index: tuple[int, ...], forward: bool) -> list[Any]:
        """Row of the second derivative of <vector, f>: of its gradient in one direction."""
        xs = self.tensors(values)
        n, direction = self.direction(k, index, values)

        def gradient() -> list[Any]:
            with GradientTape() as inner:
                inner.watch(xs)
                out = self(xs)
            return inner.gradient(out, xs, self.cotangents(vector, out))  # type: ignore[no-any-return]

        if forward:
            with ForwardAccumulator(xs[n], direction) as acc:
                grads = gradient()
            found = [None if g is None else acc.jvp(convert(g)) for g in grads]
        else:
            with GradientTape() as outer:
                outer.watch(xs)
                mine = gradient()[n]
                slope = None
                if mine is not None:                     # Re <direction, gradient>
                    slope = total_of(real_of(conj(direction) * convert(mine)))
            found = [None] * len(xs) if slope is None else outer.gradient(slope, xs)
        return self.parts(found, values)


def _whole(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]


def halves(array: Any) -> list[Any]:
    """An array as float64; a complex one as its real and its imaginary part."""
    a = np.asarray(array)
    return [np.asarray(part, np.float64) for part in ((a.real, a.imag) if a.dtype.kind == "c" else (a,))]


def numbers(arrays: list[Any]) -> Any:
    """Everything in one float64 vector."""
    return np.concatenate([part.reshape(-1) for a in arrays for part in halves(a)])


def labelled(specs: list[Spec]) -> list[tuple[str, tuple[int, ...]]]:
    """A name and the shape for each part of some outputs."""
    found = []
    for n, s in enumerate(specs):
        name = "output" if len(specs) == 1 else f"output {n}"
        found += [(part + name, s.shape) for part in (
            ("the real part of ", "the imaginary part of ") if s.dtype.kind == "c" else ("",))]
    return found


def _numbers_as_array(a: Any) -> Any:
    """A (nested) list of Python numbers is one array; a list of tensors is a list."""
    if isinstance(a, list) and a and all(isinstance(v, (int, float, complex, list)) for v in a):
        made = [_numbers_as_array(v) if isinstance(v, list) else v for v in a]
        if all(isinstance(v, (int, float, complex, np.ndarray)) for v in made):
            return np.asarray(a)
    return a


def _moved(values: list[Any], k: int, index: tuple[int, ...], by: float) -> list[Any]:
    moved = values[k].copy()
    moved[index] += by
    return [*values[:k], moved, *values[k + 1:]]


def _differences(g: Callable[[float], Any], at: float, zero: Any) -> tuple[Any, Any, Any, Any]:
    """The derivative of ``g`` at 0 by differences, how far off that may be, and the one-sided derivatives (NaN where smooth).

    Central differences over five points at several steps; of two neighbouring steps that agree best, the smaller.
    """
    size = max(1.0, abs(at))
    estimates, sides = [], []
    for level in _LEVELS:
        h = level * size
        h = (at + h) - at
        up, down, far_up, far_down = g(h), g(-h), g(2 * h), g(-2 * h)
        estimates.append((8.0 * (up - down) - (far_up - far_down)) / (12.0 * h))
        sides.append(((4.0 * (up - zero) - (far_up - zero)) / (2.0 * h), (4.0 * (zero - down) - (zero - far_down)) / (2.0 * h)))
    table = np.array(estimates)
    gaps = np.abs(np.diff(table, axis=0))
    gaps[~np.isfinite(gaps)] = np.inf
    best = np.argmin(gaps, axis=0)
    pick = np.take_along_axis(table, best[None] + 1, 0)[0]
    error = np.take_along_axis(gaps, best[None], 0)[0]
    rights, lefts = np.array([s[0] for s in sides]), np.array([s[1] for s in sides])
    jump = np.abs(rights - lefts)
    settled = (np.abs(rights[3] - rights[4]) <= 1e-3 * (jump[4] + 1e-300)) & (np.abs(lefts[3] - lefts[4]) <= 1e-3 * jump[4])
    kink = settled & (jump[3] > 0.5 * jump[2]) & (jump[4] > 1e-4 * (np.abs(rights[4]) + np.abs(lefts[4])))
    return pick, error, np.where(kink, lefts[4], np.nan), np.where(kink, rights[4], np.nan)


def _sampled(values: list[Any], most: int, rng: Any) -> list[tuple[int, tuple[int, ...]]]:
    every = [(k, index) for k, v in enumerate(values) for index in np.ndindex(v.shape)]
    if len(every) <= most:
        return every
    return [every[n] for n in sorted(rng.choice(len(every), most, replace=False))]


def check_gradients(f: Any, *args: Any, order: int = 2, rtol: float = 1e-6, atol: float = 1e-8, most: int = 64,
                    seed: int = 0) -> GradientReport:
    """Compare the derivatives of ``f`` at ``args`` with differences, in float64.

    f      function of tensors (or nests of them) that returns a tensor or a nest of tensors, the same each time
    args   its arguments; the floating ones are cast to float64 and differentiated by, the complex ones to complex128
    order  1, or 2 for second derivatives too
    rtol, atol  what is allowed: rtol |expected| + atol, beside what the differences themselves are uncertain by
    most   coordinates that are compared; a random choice of them where there are more

    Checks reverse mode, forward mode, and with order=2 reverse over reverse and forward over reverse. Returns a report
    that is true when all agree; it names the worst index with the expected and the found value. At a kink, where the
    one-sided derivatives differ, any value between them is right. A complex argument z = x + iy counts as the two real
    ones x and y, a complex result as its two parts: a gradient g by z is dL/dx + i dL/dy. Raises TypeError when no
    argument is floating or complex, ValueError when f gives different values for the same arguments.

    >>> import adjoint as ad
    >>> print(ad.check_gradients(lambda x: x * ad.sin(x), ad.constant([1.0, 2.0]), order=1))
    gradients agree with differences
      reverse: ok, 4 derivatives
      forward: ok, 4 derivatives
    """
    if order not in (1, 2):
        raise ValueError(complain("check_gradients", "order", "1 or 2", order))
    rng = np.random.default_rng(seed)
    problem, report = _Problem(f, args), GradientReport()
    values = problem.values
    zero = problem.value(values)
    if not np.array_equal(zero, problem.value(values), equal_nan=True):
        raise ValueError("check_gradients: f gave two values for the same arguments; make its random numbers fixed, for "
                         "example with a seed")
    places = _sampled(values, most, rng)
    count = sum(v.size for v in values)
    if len(places) < count:
        report.skipped.append(f"{len(places)} of {count} coordinates were chosen at random")
    single = zero.size <= 32
    vectors = list(np.eye(zero.size)) if single else [rng.normal(size=zero.size) for _ in range(2)]
    backward = [problem.reverse(values, c) for c in vectors]
    reverse, forward = Check("reverse"), Check("forward")
    names = _labels(problem.outputs)
    with np.errstate(all="ignore"):
        columns = [_differences(partial(problem.moved, k, index), float(values[k][index]), zero) for k, index in places]
    infinite = ~np.isfinite(np.array([c[0] for c in columns]))       # where a derivative is infinite, or a side undefined
    rows, lines = infinite.any(axis=1), infinite.any(axis=0)
    unsure = 0
    chosen = [int(o) for o in (range(zero.size) if zero.size <= _OUTPUTS else rng.choice(zero.size, _OUTPUTS, replace=False))]
    for n, ((k, index), (expected, error, left, right)) in enumerate(zip(places, columns)):
        if rows[n]:
            continue
        pushed = problem.forward(values, k, index)
        by = f"by {problem.names[k]}{_subscript(index)}"
        allowed = rtol * np.abs(expected) + atol + 3.0 * error
        bent = ~np.isnan(left)
        unsure += int((~bent & (error > 1e-3 * np.abs(expected) + 1e-6)).sum())
        for o in chosen:
            if lines[o]:
                continue
            if bent[o]:
                report.kinks.append(Kink(f"{names(o)} {by}", left[o], right[o], pushed[o]))
            else:
                forward.see(partial(" ".join, (names(o), by)), expected[o], pushed[o], allowed[o])
        for c, grads in zip(vectors, backward):
            uses = np.flatnonzero(c)
            found = float(grads[k][index])
            if bent[uses].any():
                kink = Kink(f"{names(int(uses[0]))} {by}", left[uses[0]], right[uses[0]], found)
                if single and not kink.ok:
                    report.kinks.append(kink)
            elif not lines[uses].any():
                reverse.see(partial(" ".join, (names(int(uses[0])) if single else "the outputs, weighed,", by)),
                            float(c @ expected), found, float(np.abs(c) @ allowed))
    report.checks += [reverse, forward]
    if infinite.any():
        report.skipped.append(f"{int(infinite.sum())} derivatives are infinite or undefined on a side; their rows and columns "
                              f"were not compared")
    if unsure:
        report.skipped.append(f"{unsure} derivatives could be told by differences to fewer than three digits")
    if order == 2:
        with np.errstate(all="ignore"):
            _second_order(problem, values, [p for p, r in zip(places, rows) if not r], rng, report, rtol, atol)
    return report


def _second_order(problem: _Problem, values: list[Any], places: Any, rng: Any, report: GradientReport, rtol: float,
                  atol: float) -> None:
    size = sum(int(np.prod(s)) for _, s in problem.outputs)
    vector = rng.uniform(0.5, 1.5, size=size)
    checks = {way: Check(f"second order, {'forward' if way else 'reverse'} over reverse") for way in (False, True)}
    if len(places) > 16:
        places = [places[n] for n in sorted(rng.choice(len(places), 16, replace=False))]

    def gradient(k: int, index: tuple[int, ...], by: float) -> Any:
        return np.concatenate([g.reshape(-1) for g in problem.reverse(_moved(values, k, index, by), vector)])

    zero = np.concatenate([g.reshape(-1) for g in problem.reverse(values, vector)])
    owners = [(n, index) for n, v in enumerate(values) for index in np.ndindex(v.shape)]
    for k, index in places:
        expected, error, left, _ = _differences(partial(gradient, k, index), float(values[k][index]), zero)
        allowed = 10.0 * rtol * np.abs(expected) + 10.0 * atol + 3.0 * error
        by = f"by {problem.names[k]}{_subscript(index)}"
        for way, check in checks.items():
            row = np.concatenate([h.reshape(-1) for h in problem.second(values, vector, k, index, way)])
            for o in range(row.size):
                if np.isnan(left[o]) and np.isfinite(expected[o]):
                    n, inner = owners[o]
                    where = partial("gradient of {}{} {}".format, problem.names[n], _subscript(inner), by)
                    check.see(where, expected[o], row[o], allowed[o])
    report.checks += [checks[False], checks[True]]


def _subscript(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


def _labels(outputs: list[tuple[str, tuple[int, ...]]]) -> Callable[[int], str]:
    starts, start = [], 0
    for _, s in outputs:
        starts.append(start)
        start += int(np.prod(s))

    def label(o: int) -> str:
        n = max(k for k, s in enumerate(starts) if s <= o and int(np.prod(outputs[k][1])))
        name, shape = outputs[n]
        return name + _subscript(tuple(int(v) for v in np.unravel_index(int(o) - starts[n], shape)) if shape else ())

    return label

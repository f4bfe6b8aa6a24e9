"""How a loop goes over memory: strides in elements along the loop's axes."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._graph import Along, By, Op, Shape, Spec

Strides = tuple[int, ...]
_BYTE = np.zeros(1, np.int8)                             # views of it have byte strides that count elements


class Term:
    """What an index adds to a place in memory: ``stride`` elements for each, in an axis of ``size``."""

    __slots__ = ("given", "size", "stride")

    def __init__(self, given: int, size: int, stride: int) -> None:
        self.given, self.size, self.stride = given, size, stride


class Access:
    """What an operation of a loop reads: an array's strides along ``shape``, the operation's own space; ``terms`` are of those
    axes where it reads by indices."""

    __slots__ = ("base", "offset", "shape", "strides", "terms")

    def __init__(self, base: int, shape: Shape, strides: Strides, offset: int, terms: tuple[Term, ...] = ()) -> None:
        self.base, self.shape, self.strides, self.offset, self.terms = base, shape, strides, offset, terms

    @property
    def reach(self) -> int:
        """How far its indices may lead, backwards without end."""
        return sum((t.size - 1) * t.stride if t.stride >= 0 else 1 << 62 for t in self.terms)


class View:
    """A value that lies in the memory of another: ``base``, strides and offset in elements."""

    __slots__ = ("base", "offset", "strides")

    def __init__(self, base: int, strides: Strides, offset: int) -> None:
        self.base, self.strides, self.offset = base, strides, offset


def contiguous(shape: Shape) -> Strides:
    """Strides of an array without gaps; 0 along axes of one element."""
    out, step = [0] * len(shape), 1
    for k in range(len(shape) - 1, -1, -1):
        if shape[k] != 1:
            out[k] = step
            step *= shape[k]
    return tuple(out)


def spread(shape: Shape, strides: Strides, space: Shape) -> Strides:
    """Strides along the axes of ``space``, to which ``shape`` broadcasts."""
    lead = len(space) - len(shape)
    return (0,) * lead + tuple([s if n != 1 else 0 for s, n in zip(strides, shape)])


def seen(op: Op, shape: Shape, strides: Strides, offset: int) -> tuple[Strides, int] | None:
    """Strides and offset of what ``op`` makes of an array seen with these, where that is a view of it; else None."""
    assert op.prim.view is not None
    array = np.lib.stride_tricks.as_strided(_BYTE, shape, strides)
    try:
        out = op.prim.view(array, **op.params)
    except (ValueError, AttributeError):                 # not without a copy
        return None
    start: int = out.__array_interface__["data"][0] - array.__array_interface__["data"][0]
    return tuple([s if n != 1 else 0 for s, n in zip(out.strides, out.shape)]), offset + start


def placed(op: Op, inputs: Sequence[Spec], out: Shape) -> list[tuple[Strides, int]] | None:
    """Where in its result an operation that only puts its inputs there puts each; else None."""
    assert op.prim.places is not None
    array = np.lib.stride_tricks.as_strided(_BYTE, out, contiguous(out))
    views = op.prim.places(array, *inputs, **op.params)
    if views is None:
        return None
    start = array.__array_interface__["data"][0]
    return [(tuple([s if n != 1 else 0 for s, n in zip(v.strides, v.shape)]), v.__array_interface__["data"][0] - start)
            for v in views]


def joined(a: Shape, b: Shape) -> Shape | None:
    """The coarsest axes that are finer than those of both shapes (of as many elements); None where there are none."""
    cuts = sorted(set(prefixes(a)) | set(prefixes(b)))
    out, before = [], 1
    for c in cuts:
        if c % before:
            return None
        if c != before:
            out.append(c // before)
        before = c
    return tuple(out)


def prefixes(shape: Sequence[int]) -> list[int]:
    """Products of the first axes: of one, of two, ..."""
    out, size = [], 1
    for n in shape:
        if n != 1:
            size *= n
            out.append(size)
    return out


def finer(shape: Shape, strides: Strides, space: Shape) -> Strides:
    """Strides along the axes of ``space``, which splits axes of ``shape`` (of as many elements)."""
    out: list[int] = []
    axes = [(n, s) for n, s in zip(shape, strides) if n != 1]
    k, left = 0, 1
    for n in space:
        if left == 1:
            left, step = axes[k]
            k += 1
        left //= n
        out.append(step * left)
    return tuple(out)


def merged(sizes: Sequence[int], rows: Sequence[Strides]) -> tuple[list[int], list[list[int]]]:
    """Neighbouring axes in one where every row goes on from the one to the other."""
    out: list[int] = []
    columns: list[tuple[int, ...]] = []
    for k, n in enumerate(sizes):
        if n == 1:
            continue
        column = tuple([row[k] for row in rows])
        if columns and all(a == b * n for a, b in zip(columns[-1], column)):
            out[-1] *= n
            columns[-1] = column
        else:
            out.append(n)
            columns.append(column)
    return out, [[c[r] for c in columns] for r in range(len(rows))]


def rowwise(sizes: Sequence[int], strides: Strides, offset: int, rows: int, length: int, reach: int = 0) -> bool:
    """Whether row r of a loop touches nothing of an array but its row r, of ``length`` elements; ``reach`` is what comes to each
    of its places at most."""
    left = rows
    for n, s in zip(sizes, strides):
        if left > 1:
            left //= n
            if s != left * length:
                return False
        elif s < 0:
            return False
        else:
            reach += (n - 1) * s
    return offset + reach < length


def split(sizes: Sequence[int], rows: int) -> int | None:
    """How many of the first axes make up ``rows``; None where no axis ends there."""
    size = 1
    for k, n in enumerate(sizes):
        if size == rows:
            return k
        size *= n
    return len(sizes) if size == rows else None


def covers(access: Access, size: int) -> bool:
    """Whether a loop comes to each of an array's elements."""
    step = 1
    for s, n in sorted((s, n) for n, s in zip(access.shape, access.strides) if s):
        if s != step:
            return False
        step *= n
    return access.offset == 0 and step == size


def indexed(entries: Sequence[int | Along | By], shape: Shape, strides: Strides, offset: int, part: Shape,
            args: Sequence[int]) -> tuple[Strides, int, tuple[Term, ...]]:
    """Where the elements of a part of an array stand, which the primitive describes by ``entries``: strides, offset, terms."""
    out, terms = [0] * len(part), []
    for entry, n, s in zip(entries, shape, strides):
        if isinstance(entry, Along):
            offset += entry.start * s
            if part[entry.axis] != 1:
                out[entry.axis] += entry.step * s
        elif isinstance(entry, By):
            terms.append(Term(args[entry.argument], n, s))
        else:
            offset += entry * s
    return tuple(out), offset, tuple(terms)


def counted(access: Access, ramps: dict[int, Access]) -> Access:
    """The same with indices that are known by their place, which need no look: value -> how it is counted."""
    strides, offset, terms = list(access.strides), access.offset, []
    for term in access.terms:
        ramp = ramps.get(term.given)
        if ramp is None or min(ramp.strides) < 0 or ramp.offset + sum(
                (n - 1) * s for n, s in zip(ramp.shape, ramp.strides)) >= term.size:
            terms.append(term)
            continue
        offset += ramp.offset * term.stride
        strides = [s + r * term.stride for s, r in zip(strides, ramp.strides)]
    return Access(access.base, access.shape, tuple(strides), offset, tuple(terms))


__all__ = [
    "Access", "Strides", "Term", "View", "contiguous", "counted", "covers", "finer", "indexed", "joined", "merged",
    "placed", "prefixes", "rowwise", "seen", "split", "spread"]

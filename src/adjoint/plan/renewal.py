"""Which results a unit may write over arguments: new values of variables whose old ones nobody needs any more."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .._graph import Spec
from .access import Access, contiguous
from .fusion import Fused, Nest, Unit
from .products import Product
from .scatter import Scatter

LEAST = 1 << 16                                          # bytes from which memory that stays where it is pays


def instructions(stage: Any) -> list[Any]:
    """A stage's operations."""
    if isinstance(stage, Product):
        return [stage]
    if isinstance(stage, Nest):
        return [i for loop in stage.loops for i in loop.instrs]
    return stage.instrs  # type: ignore[no-any-return]


def readers(unit: Unit) -> dict[int, set[int]]:
    """Value -> the stages that read it, as it is or through a view."""
    names = unit.names
    found: dict[int, set[int]] = {}
    for n, stage in enumerate(unit.stages):
        for item in instructions(stage):
            for a in item.args:
                found.setdefault(names.get(a, a), set()).add(n)
    return found


def renewals(fused: Fused, pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Result -> the argument whose memory it may have, of pairs (argument, result).

    The unit is the last part, so that all who read the argument before have done so. In it nobody may read the argument after
    the stage that writes, and that stage reads each element only where it writes it.
    """
    unit, specs = fused.parts[-1], fused.program.specs
    if not isinstance(unit, Unit):
        return {}
    reading, found = readers(unit), dict[int, int]()
    given, shown = set(unit.args), {unit.views[v].base for v in fused.program.outputs if v in unit.views}
    for a, out in pairs:
        if a in given and out in unit.results and a not in found.values() and a not in shown and a not in fused.program.outputs:
            q = unit.made[out]
            if max(reading.get(a, {q})) <= q and _in_place(unit.stages[q], specs, a, out) and out not in unit.zeroed:
                found[out] = a
    return found


def _in_place(stage: Any, specs: dict[int, Spec], a: int, out: int) -> bool:
    """Whether the stage may find ``a`` where it writes ``out``."""
    if specs[a] is not specs[out] or specs[a].nbytes < LEAST:
        return False
    if isinstance(stage, Product):
        return stage.out == out and a not in (stage.a.base, stage.b.base)
    if isinstance(stage, Scatter):
        read = [x.base for x in (stage.source, *stage.by.values()) if isinstance(x, Access)]
        return (stage.out, stage.base) == (out, a) and a not in read
    if not isinstance(stage, Nest) or out not in stage.at:
        return False
    own = stage.loops[stage.at[out]]
    if out in own.reduced:
        return False
    for loop in stage.loops:
        for access in loop.reads.values():
            apart = access.offset or access.terms or own.along(access) != contiguous(own.shape)
            if access.base == a and (loop is not own or apart):
                return False
    return True


__all__ = ["LEAST", "instructions", "readers", "renewals"]

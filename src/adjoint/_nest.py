"""Nests: lists, tuples, named tuples and dicts of values."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_FLAT = frozenset({list, tuple})


def flatten(tree: Any) -> list[Any]:
    """The leaves in order; dicts by sorted key."""
    if tree.__class__ in _FLAT:
        for item in tree:
            if not hasattr(item, "_spec"):
                break
        else:
            return list(tree)
    if isinstance(tree, Mapping):
        return [leaf for key in _keys(tree) for leaf in flatten(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for item in tree for leaf in flatten(item)]
    return [tree]


def _keys(tree: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:
        return list(tree)


def pack(tree: Any, leaves: Any) -> Any:
    """Leaves in the structure of ``tree``."""
    return _pack(tree, iter(leaves))


def _pack(tree: Any, it: Any) -> Any:
    if isinstance(tree, Mapping):
        made = {key: _pack(tree[key], it) for key in _keys(tree)}
        return type(tree)({key: made[key] for key in tree})  # type: ignore[call-arg]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_pack(item, it) for item in tree])
    if isinstance(tree, (list, tuple)):
        return type(tree)([_pack(item, it) for item in tree])
    return next(it)


def map_structure(function: Callable[..., Any], *trees: Any) -> Any:
    """The function applied to corresponding leaves."""
    flat = [flatten(t) for t in trees]
    if len({len(f) for f in flat}) > 1:
        raise ValueError(f"map_structure: the structures must match, got {[len(f) for f in flat]} leaves")
    return pack(trees[0], [function(*leaves) for leaves in zip(*flat)])

"""tf.nest: lists, tuples and dicts of values."""
from __future__ import annotations

import builtins
from typing import Any

from .. import _nest
from ._bind import public


@public("nest.flatten")
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a nest in order; dicts by sorted key."""
    return [None] if structure is None else _nest.flatten(structure)


@public("nest.map_structure")
def map_structure(func: Any, *structure: Any, **kwargs: Any) -> Any:
    """``func`` of corresponding leaves, in the structure of the first nest."""
    check = kwargs.pop("check_types", True)
    kwargs.pop("expand_composites", None)
    if kwargs:
        raise ValueError(f"Only valid keyword arguments are `check_types` and `expand_composites`, not: {sorted(kwargs)}")
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types=check)
    return _nest.map_structure(func, *structure)


@public("nest.pack_sequence_as")
def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """Leaves in the structure of a nest."""
    wanted = len(_nest.flatten(structure))
    if not is_nested(flat_sequence):
        raise TypeError(f"Attempted to pack value:\n  {flat_sequence}\ninto a structure, but found incompatible type `"
                        f"{type(flat_sequence)}` instead.")
    if wanted != len(flat_sequence):
        raise ValueError(f"Could not pack sequence. Structure had {wanted} atoms, but flat_sequence had {len(flat_sequence)} "
                         f"items.")
    return _nest.pack(structure, flat_sequence)


@public("nest.is_nested")
def is_nested(seq: Any) -> bool:
    """Whether ``seq`` is a list, tuple or dict."""
    return isinstance(seq, (list, tuple, dict))


@public("nest.assert_same_structure")
def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False) -> None:
    """Raise ValueError (TypeError for different kinds of sequence) unless two nests have one structure."""
    if is_nested(nest1) != is_nested(nest2):
        raise ValueError(f"The two structures don't have the same nested structure.\n\nFirst structure: {nest1!r:.200}\n\n"
                         f"Second structure: {nest2!r:.200}")
    if not is_nested(nest1):
        return
    if check_types and type(nest1) is not type(nest2):
        raise TypeError(f"The two structures don't have the same sequence type. First structure has type {type(nest1)}, while "
                        f"second structure has type {type(nest2)}.")
    keys = isinstance(nest1, dict) and isinstance(nest2, dict)
    if len(nest1) != len(nest2) or keys and set(nest1) != set(nest2):
        raise ValueError(f"The two structures don't have the same number of elements or keys: {nest1!r:.200} and {nest2!r:.200}")
    for key in nest1 if keys else builtins.range(len(nest1)):
        assert_same_structure(nest1[key], nest2[key], check_types)

"""vmap: a function of one example, on all examples at once."""
from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import _batch, _nest
from .._errors import AxisError, ShapeError, complain
from .._tensor import Value
from ..primitives.convert import convert

__all__ = ["vmap"]


def _spread(what: str, axes: Any, tree: Any) -> list[Any]:
    """An axis for each leaf of ``tree``: ``axes`` is an int, None, or a nest that begins like the tree."""
    if axes is None or hasattr(axes, "__index__"):
        return [axes] * len(_nest.flatten([tree]))
    if isinstance(axes, dict) and isinstance(tree, dict) and set(axes) == set(tree):
        return [a for key in _nest._keys(tree) for a in _spread(what, axes[key], tree[key])]
    if isinstance(axes, (list, tuple)) and isinstance(tree, (list, tuple)) and len(axes) == len(tree):
        return [a for sub, item in zip(axes, tree) for a in _spread(what, sub, item)]
    raise ValueError(complain("vmap", what, "an int, None or a nest of them that begins like the values", repr(axes)))


def _axis(what: str, axis: Any, ndim: int) -> int:
    k = int(axis.__index__())
    if not -ndim <= k < ndim:
        raise AxisError(complain("vmap", what, f"in [{-ndim}, {ndim})", k, f"the tensor has {ndim} dimensions"))
    return k % ndim


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """The function that runs ``f``, written for one example, on a batch of them, with each operation run once.

    f         function of tensors (and nests of them) that returns a tensor or a nest
    in_axes   which axis of the arguments counts examples: an int for all, or a tuple with an int, None (the same for
              all examples) or a nest for each positional argument; keyword arguments have it in front
    out_axes  where that axis stands in the results, likewise

    Nests in itself, in tapes and in the other transforms. Random numbers drawn inside are the same for all examples,
    unless their parameters differ: draw a batch of them outside for others. Raises ShapeError when the arguments do not
    hold equally many examples, AxisError for an axis that a tensor does not have, TraceError when f looks at a value,
    NotSupportedError when it assigns to a variable.

    >>> import adjoint as ad
    >>> dot = ad.vmap(lambda a, b: ad.sum(a * b))
    >>> dot(ad.constant([[1.0, 2.0], [3.0, 4.0]]), ad.constant([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [3.0, 6.0]
    """
    if not callable(f):
        raise TypeError(complain("vmap", "f", "a function", f"{f!r:.60}"))

    @functools.wraps(f, updated=())
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        axes_of = in_axes
        if isinstance(axes_of, list):
            axes_of = tuple(axes_of)
        if isinstance(axes_of, tuple) and len(axes_of) != len(args):
            raise ValueError(complain("vmap", "in_axes", f"one for each of {len(args)} positional arguments",
                                      len(axes_of)))
        axes = _spread("in_axes", axes_of, args) + _spread("in_axes", 0, kwargs)
        tree = (args, kwargs)
        leaves = _nest.flatten(args) + _nest.flatten(kwargs)
        tensors: list[Any] = []
        size = None
        for leaf, axis in zip(leaves, axes):
            if axis is None:
                continue
            t = convert(leaf)
            if t._spec.ndim == 0:
                raise ShapeError(complain("vmap", "an argument with an axis of examples", "of at least one dimension",
                                          "shape ()",
                                          "pass in_axes=None for it"))
            k = _axis("in_axes", axis, t._spec.ndim)
            n = t._spec.shape[k]
            if size not in (None, n):
                raise ShapeError(complain("vmap", "the arguments", "of equally many examples", f"{size} and {n}"))
            size = n
            tensors.append(_batch.to_front(t, k))
        if size is None:
            raise ValueError(complain("vmap", "in_axes", "an axis for at least one argument", repr(in_axes)))
        shape: list[Any] = []

        def one(*examples: Any) -> list[Any]:
            it = iter(examples)
            given, named = _nest.pack(tree, [leaf if axis is None else next(it) for leaf, axis in zip(leaves, axes)])
            out = f(*given, **named)
            shape.append(out)
            return [None if o is None else convert(o) for o in _nest.flatten([out])]

        found = _batch.on_examples(one, tensors, [True] * len(tensors), size)
        out = shape[0]
        outs: list[Any] = []
        for pair, axis in zip(found, _spread("out_axes", out_axes, out)):
            if pair is None:
                outs.append(None)
                continue
            t, flag = pair
            if axis is None:
                if flag:
                    raise ValueError(complain("vmap", "out_axes", "an int for a result that differs between examples",
                                              "None"))
                outs.append(t)
            else:
                full = _batch.examples_of(t, flag, size)
                outs.append(_batch.from_front(full, _axis("out_axes", axis, full._spec.ndim)))
        return outs[0] if isinstance(out, Value) or not isinstance(out, (list, tuple, dict)) else _nest.pack(out, outs)

    return wrapper

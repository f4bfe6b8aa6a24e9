"""Values on disk: nests of tensors and variables as safetensors files.

The format holds no code, so that loading a file from a stranger runs nothing. What it or its NumPy reader lacks is kept
without loss in what it has, with a note in the metadata: complex128 as pairs of float64, bfloat16 as float32.
"""
from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ._dtypes import DType, as_dtype
from ._errors import ArgumentError, DtypeError, ShapeError, complain
from ._tensor import Tensor, Value, Variable, wrap

__all__ = ["load", "save"]

_AUTOMATIC = re.compile(r"Variable\d*(:0)?")

Arrays = dict[str, "np.ndarray[Any, Any]"]


# ---------------------------------------------------------------------------------------------------------- the format

def encode(arrays: Arrays, metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file."""
    from safetensors.numpy import save as to_bytes

    notes = dict(metadata)
    found: Arrays = {}
    for name, array in arrays.items():
        if array.dtype == np.complex128:
            notes[f"complex128 {name}"] = "pairs"
            array = np.ascontiguousarray(array).reshape(-1).view(np.float64).reshape(*array.shape, 2)
        elif array.dtype.name == "bfloat16":
            notes[f"bfloat16 {name}"] = "float32"
            array = array.astype(np.float32)
        found[name] = np.ascontiguousarray(array).reshape(array.shape)
    return to_bytes(found, metadata=notes or None)


def decode(data: bytes, where: str) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata of a safetensors file; ArgumentError for anything that is not one, whole."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays = dict(sorted(from_bytes(data).items()))  # it has an order of its own each time
        for array in arrays.values():
            as_dtype(array.dtype)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ArgumentError(f"load: {where} is not a whole safetensors file of dtypes that adjoint has: {error}; nothing was "
                            f"changed") from None
    metadata = json.loads(data[8:8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
    for name, array in arrays.items():
        if metadata.get(f"complex128 {name}") == "pairs" and array.dtype == np.float64 and array.shape[-1:] == (2,):
            arrays[name] = np.ascontiguousarray(array).reshape(-1).view(np.complex128).reshape(array.shape[:-1])
        elif metadata.get(f"bfloat16 {name}") == "float32":
            arrays[name] = array.astype(as_dtype("bfloat16").np)
    return arrays, metadata


def write(path: Any, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write a file in one step: whoever reads sees the old one or the new one, whole."""
    target = os.path.realpath(os.fspath(path))
    beside = f"{target}.{secrets.token_hex(4)}.part"
    data = encode(arrays, metadata)
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        if os.path.exists(beside):
            os.unlink(beside)
        raise


def read(path: Any) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata of the file at ``path``."""
    with open(path, "rb") as file:
        data = file.read()
    return decode(data, os.fspath(path))


# ---------------------------------------------------------------------------------------------------------------- nests

def leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, leaf) for each leaf: keys and positions joined with a slash; a lone value is called "value"."""
    if isinstance(tree, Mapping):
        for key in tree:
            yield from leaves(tree[key], f"{prefix}{key}/")
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        for key, item in zip(tree._fields, tree):
            yield from leaves(item, f"{prefix}{key}/")
    elif isinstance(tree, (list, tuple)):
        for k, item in enumerate(tree):
            yield from leaves(item, f"{prefix}{k}/")
    elif tree is not None:
        yield prefix[:-1] or "value", tree


def _named(what: str, tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, leaf in leaves(tree):
        if name in found or name == "__metadata__":
            raise ArgumentError(complain(what, "the keys of the nest", "different once they are joined with slashes",
                                         f"{name!r} twice" if name in found else repr(name)))
        found[name] = leaf
    return found


def _array(what: str, name: str, leaf: Any) -> np.ndarray[Any, Any]:
    if isinstance(leaf, Value):
        return leaf._look()
    if leaf.__class__ in (bool, int, float, complex):        # Python numbers keep all their digits
        return np.asarray(leaf, np.int64 if leaf.__class__ is int else None)
    if isinstance(leaf, (np.ndarray, np.generic)):
        array = np.asarray(leaf)
        as_dtype(array.dtype)
        return array
    raise DtypeError(complain(what, f"the leaf {name!r}", "a variable, tensor, array or number", f"{leaf!r:.60}"))


def save(path: Any, values: Any) -> None:
    """Write a nest of variables, tensors, arrays and numbers to one safetensors file.

    path     where; replaced in one step, so that an interruption leaves the old file whole
    values   a list, tuple, dict, or nest of them; each value is stored under its keys and positions joined with "/"
             ("layers/0/kernel"). None is skipped

    Python numbers are stored as int64, float64, bool or complex128. The names of variables that were given one go into
    the file's metadata. Raises ArgumentError when two values would have the same name, DtypeError for anything that is
    not a value; the file is then as it was.

    >>> import adjoint as ad, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> w = ad.Variable([1.0, 2.0], name="w")
    >>> ad.save(path, {"w": w, "step": 7})
    >>> ad.load(path)["step"].item()
    7
    """
    named = _named("save", values)
    arrays = {name: _array("save", name, leaf) for name, leaf in named.items()}
    write(path, arrays, variable_names(named))


def variable_names(named: Mapping[str, Any]) -> dict[str, str]:
    """What the metadata says of variables that were given a name."""
    return {f"name {name}": leaf.name for name, leaf in named.items()
            if isinstance(leaf, Variable) and not _AUTOMATIC.fullmatch(leaf.name)}


def load(path: Any, into: Any = None) -> Any:
    """Read what ``save`` wrote.

    path   a safetensors file (of adjoint's or anybody's)
    into   a nest such as was saved: its variables are assigned the file's values, and the nest is returned with tensors
           and numbers replaced by the file's. Without it a dict of name -> tensor is returned,
           in the order of names

    Names, shapes and dtypes are checked before anything is changed: ArgumentError for a file that is damaged, for a
    value that is missing or left over and for a variable that had another name when it was saved, ShapeError and
    DtypeError for values that do not fit. Unlike TensorFlow's checkpoints nothing is restored later.

    >>> import adjoint as ad, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> w = ad.Variable([1.0, 2.0])
    >>> ad.save(path, [w])
    >>> _ = w.assign([0.0, 0.0])
    >>> _ = ad.load(path, into=[w])
    >>> w.tolist()
    [1.0, 2.0]
    """
    arrays, metadata = read(path)
    if into is None:
        return {name: wrap(array) for name, array in arrays.items()}
    named = _named("load", into)
    return fill(os.fspath(path), named, arrays, metadata, into)


def fill(where: str, named: dict[str, Any], arrays: Arrays, metadata: Mapping[str, str], into: Any) -> Any:
    """Check that the file's arrays are those that are wanted, then hand them over."""
    missing = [name for name in named if name not in arrays]
    extra = [name for name in arrays if name not in named]
    if missing or extra:
        text = "; ".join(f"{label} {', '.join(map(repr, names[:5]))}{' ...' if len(names) > 5 else ''}"
                         for label, names in (("it lacks", missing), ("it also has", extra)) if names)
        raise ArgumentError(f"load: {where} does not hold what is wanted: {text}; nothing was changed")
    for name, leaf in named.items():
        _check(where, name, leaf, arrays[name], metadata)
    for name, leaf in named.items():
        if isinstance(leaf, Variable):
            leaf.assign(wrap(arrays[name]))
    return _rebuild(into, "", arrays)


def _check(where: str, name: str, leaf: Any, array: np.ndarray[Any, Any], metadata: Mapping[str, str]) -> None:
    have = _array("load", name, leaf) if not isinstance(leaf, Value) else None
    shape = leaf._spec.shape if have is None else have.shape
    dtype: DType = leaf._spec.dtype if have is None else as_dtype(have.dtype)
    if array.shape != shape:
        raise ShapeError(complain("load", f"{name!r} in {where}", f"of shape {shape}", array.shape,
                                  "nothing was changed"))
    if as_dtype(array.dtype) is not dtype:
        raise DtypeError(complain("load", f"{name!r} in {where}", f"of dtype {dtype.name}", array.dtype.name,
                                  "nothing was changed"))
    was = metadata.get(f"name {name}")
    if was is not None and isinstance(leaf, Variable) and leaf.name != was and not _AUTOMATIC.fullmatch(leaf.name):
        raise ArgumentError(complain("load", f"the variable for {name!r} in {where}",
                                     f"called {was!r}, as it was when it was saved", repr(leaf.name),
                                     "nothing was changed"))


def _rebuild(tree: Any, prefix: str, arrays: Arrays) -> Any:
    if isinstance(tree, Mapping):
        return type(tree)({k: _rebuild(v, f"{prefix}{k}/", arrays) for k, v in tree.items()})  # type: ignore[call-arg]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_rebuild(v, f"{prefix}{k}/", arrays) for k, v in zip(tree._fields, tree)])
    if isinstance(tree, (list, tuple)):
        return type(tree)([_rebuild(v, f"{prefix}{k}/", arrays) for k, v in enumerate(tree)])
    if tree is None or isinstance(tree, Variable):
        return tree
    array = arrays[prefix[:-1] or "value"]
    if isinstance(tree, Tensor):
        return wrap(array)
    return array.item() if tree.__class__ in (bool, int, float, complex) else array

"""Values on disk: nests of tensors and variables as safetensors files.

The format (huggingface/safetensors): eight bytes with the header's length, a JSON header that gives each tensor's
dtype, shape and place, then the bytes, little-endian and without gaps. It holds no code, so that loading a file from a
stranger runs nothing. Written here directly: the whole of it is the two functions ``encode`` and ``decode``.
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

_NAMES = {"bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
          "uint32": "U32", "uint64": "U64", "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
          "complex64": "C64"}
_DTYPES = {v: k for k, v in _NAMES.items()}
_AUTOMATIC = re.compile(r"Variable\d*(:0)?")
_LARGEST_HEADER = 100_000_000

Arrays = dict[str, "np.ndarray[Any, Any]"]


# ---------------------------------------------------------------------------------------------------------- the format

def encode(arrays: Arrays, metadata: Mapping[str, str]) -> list[Any]:
    """The pieces of a safetensors file. complex128, which the format lacks, is kept as pairs of float64."""
    notes = dict(metadata)
    header: dict[str, Any] = {}
    pieces: list[Any] = [b""]
    at = 0
    # Widest first, so that every tensor starts at a multiple of its item's size.
    for name in sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n)):
        array = np.ascontiguousarray(arrays[name]).reshape(arrays[name].shape)
        if array.dtype == np.complex128:
            array = array.reshape(-1).view(np.float64).reshape(*array.shape, 2)
            notes[f"complex128 {name}"] = "pairs"
        array = array.astype(array.dtype.newbyteorder("<"), copy=False) if array.dtype.byteorder == ">" else array
        header[name] = {"dtype": _NAMES[as_dtype(array.dtype).name], "shape": list(array.shape),
                        "data_offsets": [at, at + array.nbytes]}
        pieces.append(array.reshape(-1).view(np.uint8).data if array.nbytes else b"")
        at += array.nbytes
    text = json.dumps({"__metadata__": notes, **header} if notes else header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pieces[0] = len(text).to_bytes(8, "little") + text
    return pieces


def decode(data: bytes, where: str) -> tuple[Arrays, dict[str, str]]:
    """The arrays and the metadata of a safetensors file; ArgumentError for anything that is not one, whole."""

    def damaged(what: str) -> ArgumentError:
        return ArgumentError(f"load: {where} is not a whole safetensors file: {what}; nothing was changed")

    if len(data) < 8:
        raise damaged(f"it has {len(data)} bytes")
    length = int.from_bytes(data[:8], "little")
    if length > _LARGEST_HEADER or 8 + length > len(data):
        raise damaged(f"its header should have {length} bytes")
    try:
        header = json.loads(data[8:8 + length])
        metadata = header.pop("__metadata__", {})
        rows = sorted((row["data_offsets"][0], row["data_offsets"][1], name, row["dtype"], tuple(row["shape"]))
                      for name, row in header.items())
        if any(n.__class__ is not int or n < 0 for row in rows for n in (row[0], row[1], *row[4])):
            raise ValueError("an offset or a dimension is not a whole number")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise damaged(f"its header does not parse ({error})") from None
    arrays: Arrays = {}
    expected = 0
    for start, stop, name, dtype_name, shape in rows:
        if dtype_name not in _DTYPES:
            raise damaged(f"{name!r} has dtype {dtype_name!r}, which adjoint does not have")
        dtype = as_dtype(_DTYPES[dtype_name]).np
        size = 1
        for n in shape:
            size *= n
        if start != expected or stop - start != size * dtype.itemsize:
            raise damaged(f"the bytes of {name!r} do not fit its shape")
        expected = stop
        if 8 + length + stop > len(data):
            raise damaged(f"it ends inside {name!r}")
        little = dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype
        array = np.frombuffer(data, little, size, 8 + length + start)
        array = array.astype(dtype).reshape(shape)
        if isinstance(metadata, dict) and metadata.get(f"complex128 {name}") == "pairs":
            if dtype_name != "F64" or shape[-1:] != (2,):
                raise damaged(f"{name!r} is no list of pairs")
            array = array.reshape(-1).view(np.complex128).reshape(shape[:-1])
        arrays[name] = array
    if 8 + length + expected != len(data):
        raise damaged(f"{len(data) - 8 - length - expected} bytes are left over")
    if not isinstance(metadata, dict):
        raise damaged("its metadata is not a table")
    return arrays, metadata


def write(path: Any, arrays: Arrays, metadata: Mapping[str, str]) -> None:
    """Write a file in one step: whoever reads sees the old one or the new one, whole."""
    target = os.path.realpath(os.fspath(path))
    beside = f"{target}.{secrets.token_hex(4)}.part"
    pieces = encode(arrays, metadata)
    try:
        with open(beside, "xb") as file:
            for piece in pieces:
                file.write(piece)
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
           and numbers replaced by the file's. Without it a dict of name -> tensor is returned

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

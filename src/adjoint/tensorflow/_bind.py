"""How TensorFlow's names come to stand for adjoint's functions: one table, and what to say about a name not in it."""
from __future__ import annotations

import difflib
import dis
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from typing import Any

import adjoint as ad

from .._errors import NotSupportedError

TABLE: dict[str, dict[str, Any]] = {}
"""Module ("" for tf itself, "math", "keras.losses") -> name -> what stands there."""

LATER = {
    "data": "iterate over batches with a plain Python loop, or slice arrays",
    "keras.layers": "write the layer as a tf.Module that holds tf.Variables",
    "keras.models": "write the model as a tf.Module that holds tf.Variables",
    "keras.Model": "write the model as a tf.Module that holds tf.Variables",
    "keras.Sequential": "write the model as a tf.Module that holds tf.Variables",
    "keras.Input": "write the model as a tf.Module that holds tf.Variables",
    "keras.Layer": "write the layer as a tf.Module that holds tf.Variables",
    "keras.callbacks": "call what you need in the training loop",
    "keras.datasets": "load the arrays with NumPy or scikit-learn",
    "keras.applications": "write the model as a tf.Module that holds tf.Variables",
    "keras.preprocessing": "prepare the arrays with NumPy",
    "train": "save the variables' values with numpy.savez or safetensors",
    "saved_model": "save the variables' values with numpy.savez or safetensors",
}
"""What TensorFlow has and adjoint will have later: -> what to do until then."""

ELSEWHERE = {
    "assign": "Variable.assign", "assign_add": "Variable.assign_add", "Session": "eager execution: call functions",
    "placeholder": "a plain function argument", "global_variables_initializer": "nothing: variables hold their values",
    "get_variable": "tf.Variable", "random_normal": "tf.random.normal", "random_uniform": "tf.random.uniform",
    "log": "tf.math.log", "mod": "tf.math.mod", "reciprocal": "tf.math.reciprocal", "erf": "tf.math.erf",
    "truncated_normal": "tf.random.truncated_normal", "gradients": "tf.GradientTape", "summary": "tf.print",
    "set_random_seed": "tf.random.set_seed", "to_float": "tf.cast", "to_int32": "tf.cast", "div": "tf.divide",
    "string": "Python strings", "strings": "Python strings", "image": "NumPy",
}
"""Names that one may look for in the wrong place -> where it is."""


COMING = {
    "nn.conv": "convolutions", "nn.depthwise_conv": "convolutions", "nn.separable_conv": "convolutions",
    "nn.atrous_conv": "convolutions", "nn.max_pool": "pooling", "nn.avg_pool": "pooling", "nn.pool": "pooling",
    "nn.ctc": "sequence losses", "signal": "Fourier transforms", "sparse": "sparse tensors", "SparseTensor": "sparse tensors",
    "RaggedTensor": "ragged tensors", "ragged": "ragged tensors", "distribute": "several processes",
    **{f"linalg.{name}": "matrix decompositions" for name in (
        "inv", "det", "slogdet", "logdet", "solve", "cholesky", "cholesky_solve", "svd", "qr", "eig", "eigh", "eigvals",
        "eigvalsh", "pinv", "lstsq", "lu", "expm", "logm", "sqrtm", "matrix_rank", "triangular_solve")},
}
"""How names begin that belong to what adjoint will have later: -> what that is."""


def put(paths: str, value: Any) -> Any:
    """Enter ``value`` under each of the dotted ``paths`` (separated by spaces)."""
    for path in paths.split():
        module, _, name = path.rpartition(".")
        TABLE.setdefault(module, {})[name] = value
    return value


def public(paths: str) -> Callable[[Any], Any]:
    """Decorator: enter a function or class under each of ``paths``."""

    def enter(value: Any) -> Any:
        if paths:
            put(paths, value)
        return value

    return enter


def bind(signature: str, call: str, rows: str, source: Any = ad) -> None:
    """Enter adjoint's functions under TensorFlow's names and argument names.

    Each row is a function of ``source`` followed by TensorFlow's names for it. ``signature`` is TensorFlow's (``name``,
    which adjoint ignores, is added) and ``call`` what adjoint's function is called with. A function that ``source`` does
    not have is left out.
    """
    for row in rows.strip().splitlines():
        ours, *paths = row.split()
        target = getattr(source, ours, None)
        if target is not None:
            theirs = paths[0].rpartition(".")[2]
            put(" ".join(paths), generate(theirs, signature, call, target))


def generate(name: str, signature: str, call: str, target: Any) -> Any:
    """``def name(signature, name=None): return target(call)``: as quick as if it had been written out."""
    space: dict[str, Any] = {"target": target, "ad": ad}
    head = signature if "name=" in signature or "**" in signature else f"{signature}, name=None"
    exec(compile(f"def {name}({head}):\n    return target({call})", __file__, "exec"), space)   # a frame of ours
    function = space[name]
    function.__doc__ = target.__doc__
    function.__module__ = __name__.rpartition(".")[0]
    return function


class StandsFor(type):
    """The type of a class whose instances are those of another class too, named in its ``_stands_for``."""

    def __instancecheck__(cls, instance: Any) -> bool:
        wide = cls.__dict__.get("_stands_for")
        return type.__instancecheck__(cls, instance) or wide is not None and isinstance(instance, wide)


# ------------------------------------------------------------------------------------------------ names that are not there

class Face(types.ModuleType):
    """A public module, filled from the table."""

    def __init__(self, package: str, module: str) -> None:
        super().__init__(f"{package}.{module}", f"tf.{module}: TensorFlow's names for adjoint's functions.")
        self.__spec__ = ModuleSpec(self.__name__, None, is_package=True)
        self.__path__: list[str] = []
        self.__package__ = self.__name__
        self.__dict__.update(TABLE.get(module, {}), _module=module)

    def __getattr__(self, name: str) -> Any:
        return absent(self._module, name, self.__dict__, sys._getframe(1))


def make_faces(package: str, names: str) -> None:
    """Make the public modules ``names`` importable as ``package.name`` and reachable as attributes."""
    for module in names.split():
        face = Face(package, module)
        sys.modules[face.__name__] = face
        above, _, name = face.__name__.rpartition(".")
        setattr(sys.modules[above], name, face)


def absent(module: str, name: str, there: dict[str, Any], caller: Any) -> Any:
    """Answer for a name that is not there: something that comes later, or the error that tells the nearest name."""
    path = f"{module}.{name}" if module else name
    if not name.startswith("__"):
        for start, remedy in LATER.items():
            if path == start or path.startswith(f"{start}."):
                return Later(f"tf.{path}", remedy)
        message = missing(f"tf.{module}." if module else "tf.", name, [n for n in there if not n.startswith("_")])
        if caller.f_code.co_code[caller.f_lasti] == _IMPORT_FROM:
            raise ImportError(message)       # an AttributeError would lose its message on the way out of a from-import
        raise AttributeError(message, name=name)
    raise AttributeError(f"tf.{path} does not exist", name=name)


_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def missing(prefix: str, name: str, there: list[str]) -> str:
    """The text that tells a missing name and what is nearest to it."""
    near = ""
    path = f"{prefix.removeprefix('tf.')}{name}"
    coming = next((what for start, what in COMING.items() if path == start or path.startswith(start) and "." in start), None)
    if coming is not None:
        near = f" yet: {coming} come later"
    elif prefix == "tf." and name in ELSEWHERE:
        near = f"; use {ELSEWHERE[name]}"
    else:
        elsewhere = [f"tf.{module}.{name}" if module else f"tf.{name}" for module, names in TABLE.items() if name in names]
        close = difflib.get_close_matches(name, there, 1, 0.6)
        if elsewhere:
            near = f"; it has {min(elsewhere, key=len)}"
        elif close:
            near = f"; the nearest name it has is {prefix}{close[0]}"
        else:
            everywhere = {n: module for module, names in TABLE.items() for n in names}
            close = difflib.get_close_matches(name, list(everywhere), 1, 0.6)
            if close:
                module = everywhere[close[0]]
                near = f"; the nearest name it has is tf.{module + '.' if module else ''}{close[0]}"
    return f"adjoint has no {prefix}{name}{near}"


class Later:
    """Stands for something of TensorFlow's that adjoint will have later: it can be imported; using it says so."""

    def __init__(self, path: str, remedy: str) -> None:
        self.__dict__.update(_path=path, _remedy=remedy)

    def _refuse(self) -> NotSupportedError:
        return NotSupportedError(f"{self._path} comes later: adjoint does not have it yet; until then {self._remedy}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Later(f"{self._path}.{name}", self._remedy)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._refuse()

    def __mro_entries__(self, bases: Any) -> Any:
        raise self._refuse()

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self._path}: not in adjoint yet>"

"""Every name that programs use is there, with TensorFlow's arguments; a name that is not says what is nearest."""
from __future__ import annotations

import csv
import importlib
import inspect
import types
from pathlib import Path
from typing import Any

import pytest

import adjoint.tensorflow as tf
from adjoint._errors import NotSupportedError
from adjoint.tensorflow._bind import TABLE, Later

HERE = Path(__file__).parent


def table(file: str) -> list[dict[str, str]]:
    with open(HERE / file, encoding="utf-8", newline="") as f:
        return list(csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE))


def resolve(name: str) -> Any:
    found: Any = tf
    for part in name.removeprefix("tf.").split("."):
        found = getattr(found, part)
    return found


NAMES = [row["name"] for row in table("names.tsv")]
SIGNATURES = {row["name"]: row["arguments"] for row in table("signatures.tsv")}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_programs_use_is_there(name: str) -> None:
    assert not isinstance(resolve(name), Later)


def test_each_name_that_programs_use_is_exercised() -> None:
    text = "".join(p.read_text(encoding="utf-8") for p in [*HERE.glob("*.py"), HERE / "behaviour.txt"])
    assert [name for name in NAMES if name not in text] == []


def takes_anything(name: str) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(resolve(name)).parameters.values())


@pytest.mark.parametrize("name", [name for name in SIGNATURES if not takes_anything(name)])
def test_arguments_are_tensorflows(name: str) -> None:
    theirs = [a.split("=")[0] for a in SIGNATURES[name].split(", ") if not a.startswith("*")]
    parameters = inspect.signature(resolve(name)).parameters.values()
    ours = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        assert ours == theirs[:len(ours)] or ours == [a for a in theirs if a in ours]
    else:
        assert ours[:len(theirs)] == theirs


@pytest.mark.parametrize("name", SIGNATURES)
def test_defaults_are_tensorflows(name: str) -> None:
    ours = {p.name: p.default for p in inspect.signature(resolve(name)).parameters.values()}
    for argument in SIGNATURES[name].split(", "):
        key, _, value = argument.partition("=")
        default = ours.get(key, inspect.Parameter.empty)
        if key in ("name", "dtype") or default is inspect.Parameter.empty or not value:
            continue
        try:
            wanted = eval(value, {}, {})
        except Exception:
            continue
        equal = default == wanted or (default in (None, False) and wanted in (None, False))
        assert equal or LOOSER.get((name, key)) == default, f"{key}={default!r} instead of {wanted!r}"


LOOSER: dict[tuple[str, str], Any] = {("Variable", "trainable"): True}   # None means the same there


def test_the_table_is_large() -> None:
    assert sum(len(names) for names in TABLE.values()) > 1100


@pytest.mark.parametrize("module", [
    "math", "nn", "random", "linalg", "errors", "nest", "losses", "optimizers", "optimizers.schedules", "initializers",
    "dtypes", "autodiff", "bitwise", "debugging", "config", "experimental.numpy", "keras", "keras.losses", "keras.optimizers",
    "keras.optimizers.schedules", "keras.optimizers.legacy", "keras.activations", "keras.initializers", "keras.metrics",
    "keras.utils", "keras.backend", "keras.layers", "keras.models", "data"])
def test_modules_import(module: str) -> None:
    found = importlib.import_module(f"adjoint.tensorflow.{module}")
    assert isinstance(found, types.ModuleType)
    assert resolve(module) is found


def test_from_imports() -> None:
    from adjoint.tensorflow.keras import backend as K
    from adjoint.tensorflow.keras import losses, optimizers
    from adjoint.tensorflow.keras.losses import MeanSquaredError
    from adjoint.tensorflow.keras.optimizers import Adam
    from adjoint.tensorflow.keras.optimizers.schedules import ExponentialDecay
    from adjoint.tensorflow.math import log

    from adjoint.tensorflow import keras

    assert keras.losses is losses
    assert optimizers.Adam is Adam
    assert MeanSquaredError is losses.MeanSquaredError
    assert ExponentialDecay is keras.optimizers.schedules.ExponentialDecay
    assert log is tf.math.log
    assert K.epsilon() == 1e-7


@pytest.mark.parametrize(("name", "near"), [
    ("reduce_man", "tf.reduce_mean"), ("math.reduce_summ", "tf.math.reduce_sum"), ("nn.soft_max", "tf.nn.softmax"),
    ("log", "tf.math.log"), ("random_normal", "tf.random.normal"), ("keras.optimizers.Adamm", "tf.keras.optimizers.Adam"),
    ("nn.sqrt", "tf.sqrt"), ("assign_add", "Variable.assign_add"), ("gradients", "tf.GradientTape")])
def test_a_missing_name_tells_the_nearest(name: str, near: str) -> None:
    with pytest.raises(AttributeError, match="adjoint has no") as error:
        resolve(name)
    assert near in str(error.value)
    assert f"tf.{name}" in str(error.value)


@pytest.mark.parametrize(("name", "what"), [
    ("linalg.inv", "matrix decompositions"), ("nn.conv2d", "convolutions"), ("nn.max_pool2d", "pooling"),
    ("SparseTensor", "sparse tensors"), ("signal", "Fourier transforms")])
def test_a_missing_name_tells_what_comes_later(name: str, what: str) -> None:
    with pytest.raises(AttributeError, match=rf"adjoint has no tf\.{name} yet: {what} come later"):
        resolve(name)


def test_a_missing_name_in_a_from_import_tells_the_nearest() -> None:
    with pytest.raises(ImportError, match=r"adjoint has no tf\.math\.reduce_summ.*tf\.math\.reduce_sum"):
        exec("from adjoint.tensorflow.math import reduce_summ", {})
    with pytest.raises(ImportError, match=r"adjoint has no tf\.reduce_man.*tf\.reduce_mean"):
        exec("from adjoint.tensorflow import reduce_man", {})


def test_hasattr_is_false_for_a_missing_name() -> None:
    assert not hasattr(tf, "no_such_name")
    assert not hasattr(tf.math, "no_such_name")
    assert getattr(tf, "no_such_name", 3) == 3


@pytest.mark.parametrize("use", [
    "tf.keras.layers.Dense(3)", "tf.keras.Sequential([])", "tf.keras.models.Sequential()", "tf.keras.Model()",
    "tf.data.Dataset.from_tensor_slices([1])", "tf.keras.datasets.mnist.load_data()", "tf.keras.Input((3,))",
    "tf.train.Checkpoint()", "tf.keras.callbacks.EarlyStopping()"])
def test_what_comes_later_says_so_at_use(use: str) -> None:
    with pytest.raises(NotSupportedError, match="comes later"):
        eval(use)


def test_what_comes_later_can_be_imported_and_asked_about() -> None:
    from adjoint.tensorflow.keras import layers
    from adjoint.tensorflow.keras.layers import Dense

    assert "not in adjoint yet" in repr(Dense)
    assert not isinstance(3, layers.Dense)
    with pytest.raises(NotSupportedError, match=r"tf\.keras\.Model comes later"):
        class _Model(tf.keras.Model):
            pass


def test_dir_lists_the_names() -> None:
    assert {"reduce_mean", "keras", "GradientTape", "float32"} <= set(dir(tf))
    assert {"log", "reduce_std"} <= set(dir(tf.math))

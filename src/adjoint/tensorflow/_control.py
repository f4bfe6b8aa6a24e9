"""Control flow, run eagerly: loops, choices, maps and scans; and what TensorFlow programs surround their code with."""
from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import adjoint as ad

from .. import _dtypes, _nest
from .._errors import ArgumentError, complain
from .._tensor import Value
from ._bind import public, put


@public("while_loop")
def while_loop(cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, shape_invariants: Any = None,
               parallel_iterations: int = 10, back_prop: bool = True, swap_memory: bool = False,
               maximum_iterations: Any = None, name: str | None = None) -> Any:
    """Call ``body`` on the loop variables for as long as ``cond`` of them is true."""
    if not callable(cond) or not callable(body):
        raise TypeError(complain("while_loop", "cond and body", "callable", f"{cond!r:.40} and {body!r:.40}"))
    values = _as_tensors(loop_vars)
    limit = None if maximum_iterations is None else int(maximum_iterations)
    keyed = isinstance(values, dict)
    count = 0
    while (limit is None or count < limit) and bool(cond(values) if keyed else cond(*values)):
        found = body(values) if keyed else body(*values)
        if not keyed and not isinstance(found, (list, tuple)):
            found = (found,)
        if len(found) != len(values):
            raise ValueError(complain("while_loop", "what body returns", f"a structure like loop_vars ({len(values)} items)",
                                      f"{len(found)} items"))
        values = found if keyed else type(values)(_as_tensors(found)) if type(values) in (list, tuple) else _as_tensors(found)
        count += 1
    return values


def _as_tensors(tree: Any) -> Any:
    return _nest.map_structure(
        lambda v: ad.constant(v) if isinstance(v, (bool, int, float, complex)) or hasattr(v, "__array_interface__") else v, tree)


@public("cond")
def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: str | None = None) -> Any:
    """The result of ``true_fn`` or ``false_fn``, whichever ``pred`` chooses; only that one is called."""
    if not callable(true_fn) or not callable(false_fn):
        raise TypeError(complain("cond", "true_fn and false_fn", "callable", f"{true_fn!r:.40} and {false_fn!r:.40}"))
    return true_fn() if bool(pred) else false_fn()


@public("case")
def case(pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False, name: str = "case") -> Any:
    """The result of the function beside the first true predicate, or of ``default``."""
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    hits = [fn for pred, fn in pairs if bool(pred)]
    if exclusive and len(hits) > 1:
        raise ArgumentError(complain("case", "pred_fn_pairs", "true for at most one (exclusive=True)", f"{len(hits)} true"))
    if hits:
        return hits[0]()
    if default is None:
        raise ArgumentError(complain("case", "pred_fn_pairs", "true for at least one, since there is no default", "none true"))
    return default()


@public("switch_case")
def switch_case(branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case") -> Any:
    """The result of the function with number ``branch_index``; of ``default`` (or the last) when there is none."""
    numbered = branch_fns if isinstance(branch_fns, dict) else dict(
        fn if isinstance(fn, tuple) else (k, fn) for k, fn in enumerate(branch_fns))
    chosen = numbered.get(int(branch_index), default or numbered[max(numbered)])
    return chosen()


def _first_axis(elems: Any) -> int:
    leaves = _nest.flatten(elems)
    if not leaves:
        raise ValueError("elems must not be empty")
    return len(leaves[0])


def _slices(elems: Any) -> tuple[Any, list[Any]]:
    tree = _nest.map_structure(lambda v: v if isinstance(v, Value) else ad.constant(v), elems)
    return tree, [_nest.map_structure(lambda v: v[k], tree) for k in range(_first_axis(tree))]


def _stacked(results: list[Any]) -> Any:
    flat = [_nest.flatten(r) for r in results]
    return _nest.pack(results[0], [ad.stack([_tensor(v) for v in column]) for column in zip(*flat)])


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Value) else ad.constant(value)


@public("map_fn")
def map_fn(fn: Callable[..., Any], elems: Any, dtype: Any = None, parallel_iterations: Any = None, back_prop: bool = True,
           swap_memory: bool = False, infer_shape: bool = True, name: str | None = None,
           fn_output_signature: Any = None) -> Any:
    """``fn`` of each slice of ``elems`` along its first axis, stacked."""
    _, slices = _slices(elems)
    if not slices:
        raise ValueError("map_fn: elems must have at least one element along its first axis")
    return _stacked([fn(s) for s in slices])


@public("vectorized_map")
def vectorized_map(fn: Callable[..., Any], elems: Any, fallback_to_while_loop: bool = True, warn: bool = True) -> Any:
    """``fn`` of each slice of ``elems`` along its first axis, computed for all of them at once."""
    return ad.vmap(fn)(_slices(elems)[0])


@public("scan")
def scan(fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
         swap_memory: bool = False, infer_shape: bool = True, reverse: bool = False, name: str | None = None) -> Any:
    """All running results of ``fn(accumulated, element)`` over the first axis, stacked."""
    _, slices = _slices(elems)
    if reverse:
        slices.reverse()
    results = []
    if initializer is None:
        state = slices.pop(0)
        results.append(state)
    else:
        state = _as_tensors(initializer)
    for s in slices:
        state = fn(state, s)
        results.append(state)
    if reverse:
        results.reverse()
    return _stacked(results)


@public("foldl")
def foldl(fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
          swap_memory: bool = False, name: str | None = None) -> Any:
    """``fn(accumulated, element)`` over the slices of ``elems`` from first to last."""
    return _fold(fn, _slices(elems)[1], initializer)


@public("foldr")
def foldr(fn: Callable[..., Any], elems: Any, initializer: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
          swap_memory: bool = False, name: str | None = None) -> Any:
    """``fn(accumulated, element)`` over the slices of ``elems`` from last to first."""
    return _fold(fn, _slices(elems)[1][::-1], initializer)


def _fold(fn: Callable[..., Any], slices: list[Any], initializer: Any) -> Any:
    state = slices.pop(0) if initializer is None else _as_tensors(initializer)
    for s in slices:
        state = fn(state, s)
    return state


# ------------------------------------------------------------------------------------------- what surrounds the computation

@public("device keras.device")
@contextlib.contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Accepted and without effect: everything runs where adjoint runs."""
    if device_name is not None and not isinstance(device_name, str) and not callable(device_name):
        raise ValueError(complain("device", "device_name", "a string", repr(device_name)))
    yield


@public("control_dependencies")
@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Without effect: programs run in the order they are written."""
    yield


@public("init_scope")
@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """Without effect."""
    yield


@public("timestamp")
def timestamp(name: str | None = None) -> Any:
    """Seconds since the epoch, a float64 tensor."""
    return ad.constant(time.time(), dtype=_dtypes.float64)


@public("executing_eagerly")
def executing_eagerly() -> bool:
    """True."""
    return True


@public("inside_function")
def inside_function() -> bool:
    """False: a function's Python code runs as Python code."""
    return False


@public("no_op")
def no_op(name: str | None = None) -> None:
    """Do nothing."""


@public("group")
def group(*inputs: Any, **kwargs: Any) -> None:
    """Compute the inputs."""
    ad.evaluate(*inputs)


@public("tuple")
def tuple_(tensors: Any, control_inputs: Any = None, name: str | None = None) -> list[Any]:
    """The tensors as a list."""
    return list(tensors)


@public("get_logger")
def get_logger() -> logging.Logger:
    """adjoint's logger."""
    return logging.getLogger("adjoint")


@public("numpy_function")
def numpy_function(func: Any = None, inp: Any = None, Tout: Any = None, stateful: bool = True, name: str | None = None) -> Any:
    """``func`` of NumPy arrays, as tensors; no gradient goes through it."""
    return _returned(func(*[_tensor(v).numpy() for v in inp]), Tout)


@public("py_function")
def py_function(func: Any = None, inp: Any = None, Tout: Any = None, name: str | None = None) -> Any:
    """``func`` of tensors."""
    return _returned(func(*[_tensor(v) for v in inp]), Tout)


def _returned(result: Any, wanted: Any) -> Any:
    if not isinstance(wanted, (list, tuple)):
        return result if isinstance(result, Value) else ad.constant(result, dtype=wanted)
    values = result if isinstance(result, (list, tuple)) else [result]
    return [v if isinstance(v, Value) else ad.constant(v, dtype=d) for v, d in zip(values, wanted)]


# ----------------------------------------------------------------------------------------------------------------- devices

class PhysicalDevice:
    """A device's name and type."""

    def __init__(self, name: str, device_type: str) -> None:
        self.name, self.device_type = name, device_type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PhysicalDevice) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"PhysicalDevice(name={self.name!r}, device_type={self.device_type!r})"


@public("config.list_physical_devices config.get_visible_devices config.experimental.list_physical_devices")
def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU; nothing for another type."""
    return [PhysicalDevice("/physical_device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


@public("config.list_logical_devices")
def list_logical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The CPU; nothing for another type."""
    return [PhysicalDevice("/device:CPU:0", "CPU")] if device_type in (None, "CPU") else []


put("test.is_gpu_available test.is_built_with_cuda test.is_built_with_gpu_support test.is_built_with_xla",
    lambda *_, **__: False)
put("test.gpu_device_name", lambda: "")

_eagerly = [False]


@public("config.run_functions_eagerly config.experimental_run_functions_eagerly")
def run_functions_eagerly(run_eagerly: bool) -> None:
    """Whether tf.function runs its function plainly."""
    _eagerly[0] = bool(run_eagerly)


@public("config.functions_run_eagerly config.experimental_functions_run_eagerly")
def functions_run_eagerly() -> bool:
    """Whether tf.function runs its function plainly."""
    return _eagerly[0]


def _ignored(*_: Any, **__: Any) -> None:
    """Accepted and without effect."""


put("config.set_visible_devices config.set_soft_device_placement config.experimental.set_memory_growth "
    "config.experimental.enable_op_determinism config.optimizer.set_jit config.threading.set_intra_op_parallelism_threads "
    "config.threading.set_inter_op_parallelism_threads debugging.set_log_device_placement debugging.enable_check_numerics "
    "debugging.disable_check_numerics debugging.enable_traceback_filtering debugging.disable_traceback_filtering", _ignored)

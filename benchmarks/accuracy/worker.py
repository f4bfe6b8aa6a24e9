"""Evaluates expressions in one library: values, gradients and Hessians of each row. Runs without the rest of the package.

    python worker.py LIBRARY JOBS OUT     JOBS, OUT: .npz; JOBS holds a list of {key, expression, wrt} and the inputs
"""
from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

Columns = list[tuple[int, int | None]]


def columns(inputs: list[Any], wrt: list[int]) -> Columns:
    """Every scalar variable of a row: (input, position in its row or None)."""
    return [(n, k) for n in wrt for k in (range(inputs[n].shape[1]) if inputs[n].ndim == 2 else [None])]


def _pick(grads: list[Any], cols: Columns, wrt: list[int], rows: int) -> list[Any]:
    out = []
    for n, k in cols:
        g = grads[wrt.index(n)]
        g = np.zeros(rows) if g is None else np.asarray(g)
        out.append(g if g.ndim == 1 else g[:, k] if k is not None else g.reshape(rows))
    return out


def _collect(value: Any, first: list[Any], second: Callable[[tuple[int, int | None]], list[Any] | None], cols: Columns,
             wrt: list[int], dtype: Any, orders: int) -> Any:
    rows = len(value)
    out = [np.asarray(value), *(_pick(first, cols, wrt, rows) if orders > 1 else [])]
    for i, col in enumerate(cols if orders > 2 else []):
        grads = second(col)
        row = [np.zeros(rows)] * len(cols) if grads is None else _pick(grads, cols, wrt, rows)
        out.extend(row[i:])
    return np.stack([np.asarray(v, dtype) for v in out], axis=1)


def _part(g: Any, k: int | None) -> Any:
    return g if k is None else g[:, k]


def _taped(lib: Any, make: Callable[[Any], Any], names: dict[str, Any]) -> Callable[..., Any]:
    def run(expression: str, inputs: list[Any], wrt: list[int], orders: int = 3) -> Any:
        xs = [make(x) for x in inputs]
        code = compile(expression, expression, "eval")
        with lib.GradientTape(persistent=True) as outer:
            for n in wrt:
                outer.watch(xs[n])
            with lib.GradientTape() as inner:
                for n in wrt:
                    inner.watch(xs[n])
                y = eval(code, {**names, "x": xs[0], "y": xs[-1]})
            first = inner.gradient(y, [xs[n] for n in wrt])
            cols = columns(inputs, wrt) if orders > 2 else []
            parts = {(n, k): None if first[wrt.index(n)] is None else _part(first[wrt.index(n)], k)
                     for n, k in cols}

        def second(col: tuple[int, int | None]) -> list[Any] | None:
            part = parts[col]
            try:
                grads = None if part is None else outer.gradient(part, [xs[n] for n in wrt])
            except LookupError:                          # TensorFlow has no gradient of some gradients
                grads = [lib.constant(np.full(inputs[n].shape, np.nan)) for n in wrt]
            return None if grads is None else [None if g is None else g.numpy() for g in grads]

        return _collect(y.numpy(), [None if g is None else g.numpy() for g in first], second, columns(inputs, wrt), wrt,
                        inputs[0].dtype, orders)

    return run


SIGHTS = 12


def adjoint_runner(engine: str = "numpy") -> Callable[..., Any]:
    import adjoint as ad

    ad.config.engine = engine
    once = _taped(ad, ad.constant, {"ad": ad, "np": np})
    if engine == "numpy":
        return once

    def often(expression: str, inputs: list[Any], wrt: list[int], orders: int = 3) -> Any:
        for _ in range(SIGHTS if inputs[0].size < 1e6 else 2):       # at first sight a program is interpreted
            once(expression, inputs, wrt, orders)
        return once(expression, inputs, wrt, orders)

    return often


def tensorflow_runner() -> Callable[..., Any]:
    import tensorflow as tf

    return _taped(tf, tf.constant, {"tf": tf})


def torch_runner() -> Callable[..., Any]:
    import torch
    import torch.nn.functional as F

    def run(expression: str, inputs: list[Any], wrt: list[int], orders: int = 3) -> Any:
        xs = [torch.tensor(x, requires_grad=n in wrt) for n, x in enumerate(inputs)]
        y = eval(expression, {"torch": torch, "F": F, "x": xs[0], "y": xs[-1]})
        watched = [xs[n] for n in wrt]
        first = torch.autograd.grad(y.sum(), watched, create_graph=True, allow_unused=True)

        def second(col: tuple[int, int | None]) -> list[Any] | None:
            g = first[wrt.index(col[0])]
            if g is None or not g.requires_grad:
                return None
            grads = torch.autograd.grad(_part(g, col[1]).sum(), watched, retain_graph=True, allow_unused=True)
            return [None if v is None else v.detach().numpy(force=True) for v in grads]

        return _collect(y.detach().numpy(), [None if g is None else g.detach().numpy() for g in first], second,
                        columns(inputs, wrt), wrt, inputs[0].dtype, orders)

    return run


def jax_runner() -> Callable[..., Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp

    def run(expression: str, inputs: list[Any], wrt: list[int], orders: int = 3) -> Any:
        code = compile(expression, expression, "eval")

        def f(*xs: Any) -> Any:
            return eval(code, {"jax": jax, "jnp": jnp, "x": xs[0], "y": xs[-1]})

        xs = [jnp.asarray(x) for x in inputs]
        first = jax.grad(lambda *a: f(*a).sum(), wrt)(*xs)

        def second(col: tuple[int, int | None]) -> list[Any]:
            inner = jax.grad(lambda *a: f(*a).sum(), col[0])
            grads = jax.grad(lambda *a: _part(inner(*a), col[1]).sum(), wrt)(*xs)
            return [np.asarray(g) for g in grads]

        return _collect(np.asarray(f(*xs)), [np.asarray(g) for g in first], second, columns(inputs, wrt), wrt, inputs[0].dtype,
                        orders)

    return run


RUNNERS: dict[str, Callable[[], Callable[..., Any]]] = {
    "adjoint": adjoint_runner, "adjoint, llvm": lambda: adjoint_runner("llvm"), "tensorflow": tensorflow_runner,
    "torch": torch_runner, "jax": jax_runner}


def evaluate(run: Callable[..., Any], jobs: list[dict[str, Any]], arrays: Any) -> dict[str, Any]:
    """The results of all jobs by key; a job that fails is left out and reported."""
    found: dict[str, Any] = {}
    for job in jobs:
        inputs = [arrays[f"{job['key']}/{k}"] for k in range(job["inputs"])]
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                found[job["key"]] = run(job["expression"], inputs, job["wrt"], job.get("orders", 3))
        except Exception as error:
            print(f"{job['key']}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
    return found


def main(library: str, jobs_file: str, out: str) -> None:
    with np.load(jobs_file) as arrays:
        jobs = json.loads(str(arrays["jobs"]))
        np.savez(out, **evaluate(RUNNERS[library](), jobs, arrays))


if __name__ == "__main__":
    main(*sys.argv[1:])

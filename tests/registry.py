"""Checking one primitive against an independent reference and against differences: what the registry tests call."""
from __future__ import annotations

import importlib
import math
from typing import Any

import mpmath
import numpy as np

import adjoint as ad
import adjoint.losses  # its primitives are in the registry too
from adjoint._derive import forward_sweep, reverse_sweep
from adjoint._graph import REGISTRY, Primitive
from adjoint._trace import Trace, local, record

# Without a meaning of their own: places of a program, and calls that carry a user's function.
PLUMBING = {"input", "literal", "read", "custom_call"}


def primitives() -> list[Primitive]:
    """Every primitive that can be tested, in the order of the registry."""
    return [p for p in REGISTRY.values() if p.name not in PLUMBING]


def reference(prim: Primitive) -> Any:
    """The independent reference on float64 arrays, or None."""
    oracle = prim.oracle
    if oracle is None:
        return None
    if callable(oracle):
        return oracle
    module, _, name = oracle.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    if module.startswith("mpmath"):
        return lambda *xs, **kw: np.vectorize(lambda *v: _number(function(*map(_mp, v), **kw)), otypes=[float])(*xs)
    rename = {"axes": "axis"}
    return lambda *xs, **kw: function(*xs, **{rename.get(k, k): v for k, v in kw.items()})


def _mp(v: Any) -> Any:
    return mpmath.mpf(float(v)) if not isinstance(v, (complex, np.complexfloating)) else mpmath.mpc(v)


def _number(v: Any) -> float:
    return float(v.real) if isinstance(v, mpmath.mpc) else float(v)


def value(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The result(s) as arrays, through the graph."""
    out = record(prim.op(**params), *[ad.Tensor(a) for a in arrays])
    return tuple(t.numpy() for t in out) if isinstance(out, tuple) else out.numpy()


def check_value(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], rtol: float = 1e-10) -> None:
    """Value, shape and dtype: as the reference has them and as ``infer`` promised."""
    out = record(prim.op(**params), *[ad.Tensor(a) for a in arrays])
    outs = out if isinstance(out, tuple) else (out,)
    got = [np.asarray(t) for t in outs]
    for t, g in zip(outs, got):
        assert g.shape == t._spec.shape, f"{prim.name}: kernel gives {g.shape}, infer says {t._spec}"
        assert g.dtype == t.dtype.np, f"{prim.name}: kernel gives {g.dtype}, infer says {t._spec}"
    ref = reference(prim)
    if ref is None:
        return
    with np.errstate(all="ignore"):
        want = ref(*arrays, **params)
    wants = want if isinstance(want, (tuple, list)) and len(outs) > 1 else (want,)
    for g, w in zip(got, wants):
        np.testing.assert_allclose(g, np.asarray(w), rtol=rtol, atol=rtol, err_msg=f"value of {prim.name} at {arrays}")


class Linearized:
    """f(x) = sum of weights * primitive(x) along directions: its derivatives by sweeps and by differences."""

    def __init__(self, prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.prim, self.params = prim, params
        self.xs = [np.asarray(a) for a in arrays]
        self.moving = [k for k, a in enumerate(self.xs) if a.dtype.kind in "fc"]
        self.dirs = [self._normal(rng, self.xs[k]) for k in self.moving]
        if prim.domain and not prim.cases:               # short steps beside the edges of the domain
            for n, k in enumerate(self.moving):
                low, high = prim.domain[k]
                self.dirs[n] = self.dirs[n] * np.minimum(1.0, 5 * np.minimum(self.xs[k] - low, high - self.xs[k]))
        outs = self.outputs(self.xs)
        self.weights = [None if o.dtype.kind not in "fc" else self._normal(rng, o) for o in outs]

    @staticmethod
    def _normal(rng: Any, like: Any) -> Any:
        v = rng.normal(size=like.shape)
        return v + 1j * rng.normal(size=like.shape) if like.dtype.kind == "c" else v

    def outputs(self, xs: list[Any]) -> list[Any]:
        got = value(self.prim, tuple(xs), self.params)
        return [np.asarray(g) for g in (got if isinstance(got, tuple) else (got,))]

    def loss(self, xs: list[Any]) -> float:
        return sum(float(np.sum((np.conj(w) * o).real)) for w, o in zip(self.weights, self.outputs(xs)) if w is not None)

    def moved(self, h: float) -> list[Any]:
        xs = list(self.xs)
        for k, d in zip(self.moving, self.dirs):
            xs[k] = xs[k] + h * d
        return xs

    def difference(self) -> float:
        """The directional derivative by Richardson's extrapolation of central differences."""
        h = 1e-3
        steps = [(self.loss(self.moved(h / 2**n)) - self.loss(self.moved(-h / 2**n))) / (2 * h / 2**n) for n in range(3)]
        first = [(4 * b - a) / 3 for a, b in zip(steps, steps[1:])]
        return (16 * first[1] - first[0]) / 15

    def gradients(self, xs: list[Any]) -> tuple[list[Any], float]:
        """Cotangents by the reverse sweep and the directional derivative by the forward sweep."""
        with _fresh() as trace:
            ts = [ad.Tensor(x) for x in xs]
            start = trace.node.end
            out = record(self.prim.op(**self.params), *ts)
            outs = out if isinstance(out, tuple) else (out,)
            live = [(o, w) for o, w in zip(outs, self.weights) if w is not None]
            moving = [ts[k] for k in self.moving]
            spans = [(trace, [(start, trace.node.end)])]
            grads = reverse_sweep(spans, [(trace, t._idx) for t in moving], [o for o, _ in live],
                                  [ad.Tensor(w.astype(o.dtype.np)) for o, w in live], moving)
            tangents = [(trace, t._idx, ad.Tensor(d.astype(t.dtype.np))) for t, d in zip(moving, self.dirs)]
            pushed = forward_sweep(spans, tangents, [o for o, _ in live])
            arrays = [np.zeros(t.shape) if g is None else g.numpy() for g, t in zip(grads, moving)]
            forward = sum(float(np.sum((np.conj(w) * p.numpy()).real)) for (_, w), p in zip(live, pushed) if p is not None)
        return arrays, forward

    def second(self) -> tuple[float, float]:
        """d2f along the directions: reverse over reverse, and forward over reverse."""
        with _fresh() as trace:
            ts = [ad.Tensor(x) for x in self.xs]
            moving = [ts[k] for k in self.moving]
            start = trace.node.end
            out = record(self.prim.op(**self.params), *ts)
            outs = out if isinstance(out, tuple) else (out,)
            live = [(o, w) for o, w in zip(outs, self.weights) if w is not None]
            roots = [(trace, t._idx) for t in moving]
            grads = reverse_sweep([(trace, [(start, trace.node.end)])], roots, [o for o, _ in live],
                                  [ad.Tensor(w.astype(o.dtype.np)) for o, w in live], moving)
            pairs = [(g, d) for g, d in zip(grads, self.dirs) if g is not None]
            if not pairs:
                return 0.0, 0.0
            spans = [(trace, [(start, trace.node.end)])]
            again = reverse_sweep(spans, roots, [g for g, _ in pairs],
                                  [ad.Tensor(d.astype(g.dtype.np)) for g, d in pairs], moving)
            pushed = forward_sweep(spans, [(*r, ad.Tensor(d.astype(t.dtype.np)))
                                           for r, d, t in zip(roots, self.dirs, moving)], [g for g, _ in pairs])
            reverse = sum(_dot(d, h.numpy()) for d, h in zip(self.dirs, again) if h is not None)
            forward = sum(_dot(d, p.numpy()) for (_, d), p in zip(pairs, pushed) if p is not None)
        return reverse, forward

    def second_difference(self) -> float:
        h = 1e-3

        def slope(at: float) -> float:
            return sum(_dot(d, g) for d, g in zip(self.dirs, self.gradients(self.moved(at))[0]))

        steps = [(slope(h / 2**n) - slope(-h / 2**n)) / (2 * h / 2**n) for n in range(3)]
        first = [(4 * b - a) / 3 for a, b in zip(steps, steps[1:])]
        return (16 * first[1] - first[0]) / 15


def _dot(a: Any, b: Any) -> float:
    return float(np.sum((np.conj(a) * b).real))


class _fresh:
    """A trace of its own, so that one check does not see another's program."""

    def __enter__(self) -> Trace:
        local.trace = Trace(fast=True)
        return local.trace

    def __exit__(self, *_: object) -> None:
        local.trace = Trace(fast=True)


def check_derivatives(prim: Primitive, arrays: tuple[Any, ...], params: dict[str, Any], rtol: float = 2e-6) -> None:
    """First order in both modes and second order in both, against differences in float64."""
    f = Linearized(prim, arrays, params)
    if not f.moving or all(w is None for w in f.weights):
        return
    if any(o.dtype.itemsize < 8 for o in f.outputs(f.xs) if o.dtype.kind in "fc"):
        rtol = 1e-3                                      # differences of a rounded result (a cast to float32)
    grads, forward = f.gradients(f.xs)
    reverse = sum(_dot(d, g) for d, g in zip(f.dirs, grads))
    if not prim.differentiable:
        assert reverse == forward == 0.0
        return
    numeric = f.difference()
    scale = max(1.0, abs(numeric), *[float(np.max(np.abs(g), initial=0.0)) for g in grads])
    assert math.isclose(reverse, numeric, rel_tol=rtol, abs_tol=rtol * scale), (
        f"{prim.name}{params}: reverse {reverse!r}, differences {numeric!r} at {arrays}")
    assert math.isclose(forward, numeric, rel_tol=rtol, abs_tol=rtol * scale), (
        f"{prim.name}{params}: forward {forward!r}, differences {numeric!r} at {arrays}")
    two_r, two_f = f.second()
    numeric = f.second_difference()
    scale = max(scale, abs(numeric))
    assert math.isclose(two_r, numeric, rel_tol=10 * rtol, abs_tol=10 * rtol * scale), (
        f"{prim.name}{params}: second order, reverse over reverse {two_r!r}, differences {numeric!r} at {arrays}")
    assert math.isclose(two_f, numeric, rel_tol=10 * rtol, abs_tol=10 * rtol * scale), (
        f"{prim.name}{params}: second order, forward over reverse {two_f!r}, differences {numeric!r} at {arrays}")

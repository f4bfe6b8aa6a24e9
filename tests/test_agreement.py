"""Random programs: every transform, nesting and way of recording gives the same derivatives."""
from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adjoint as ad

UNARY = [
    ad.sin, ad.tanh, lambda t: t * 0.5, lambda t: t * t, lambda t: ad.cumsum(t, 0), lambda t: ad.flip(t, 0),
    lambda t: ad.reshape(ad.transpose(ad.reshape(t, (2, 2))), (4,)), lambda t: ad.concat([t[2:], t[:2]], 0),
    lambda t: t / (1.0 + t * t), lambda t: ad.where(t > 0.3, t, t * 2.0), lambda t: ad.max(t) * t, lambda t: ad.sort(t),
    lambda t: ad.prod(t) + t, lambda t: t[ad.constant([1, 3, 0, 0])], lambda t: ad.matmul(ad.reshape(t, (2, 2)), t[:2])[0] * t,
    lambda t: ad.exp(t - ad.max(t)) / ad.sum(ad.exp(t - ad.max(t))),
]
BINARY = [lambda a, b: a + b, lambda a, b: a * b, lambda a, b: a - b, lambda a, b: ad.maximum(a, b),
          lambda a, b: ad.sum(a * b) * a]


def program(seed: int, w: Any, looks: bool) -> Callable[[Any], Any]:
    """A random function of four numbers; with ``looks`` some of its values are looked at on the way."""
    rng = random.Random(seed)
    steps = [(rng.random() < 0.6, rng.random(), rng.random(), rng.random(), rng.random() < 0.3)
             for _ in range(rng.randint(4, 12))]

    def f(x: Any) -> Any:
        values = [x, w * x, x * 0.7]
        for one, which, a, b, look in steps:
            u, v = values[int(a * len(values))], values[int(b * len(values))]
            t = UNARY[int(which * len(UNARY))](u) if one else BINARY[int(which * len(BINARY))](u, v)
            t = ad.tanh(t)
            if looks and look:
                t.numpy()
            values.append(t)
        return ad.sum(values[-1] * values[-2])

    return f


def on_tapes(f: Callable[[Any], Any], x: Any, w: Any, v: Any) -> Any:
    """Gradients by x and w, and the second derivative along v, by two tapes."""
    with ad.GradientTape() as outer:
        outer.watch(x)
        with ad.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        gx, gw = inner.gradient(y, [x, w], unconnected_gradients="zero")
        along = ad.sum(gx * v)
    second = outer.gradient(along, x, unconnected_gradients="zero")
    return np.concatenate([gx.numpy(), gw.numpy(), second.numpy()])


@pytest.mark.parametrize(("seed", "pending"), [*[(seed, 65_536) for seed in range(10)], (10, 40), (11, 40), (12, 15)])
def test_all_ways_agree(seed: int, pending: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ad.config, "pending", pending)   # a small one settles in the middle of everything
    w = ad.Variable(np.array([0.1, 0.2, -0.3, 0.4]))
    x, v = ad.constant(np.array([0.3, -0.6, 0.9, 0.2])), ad.constant(np.array([0.5, 1.0, -0.7, 0.2]))
    f, looked = program(seed, w, False), program(seed, w, True)
    g, h = ad.grad(f)(x).numpy(), ad.hessian(f)(x).numpy()
    step = 1e-5
    each = [(float(f(ad.constant(x.numpy() + step * e))) - float(f(ad.constant(x.numpy() - step * e)))) / (2 * step)
            for e in np.eye(4)]
    np.testing.assert_allclose(g, each, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(h, h.T, rtol=1e-9, atol=1e-12)
    two = ad.stack([x, x * 1.0])
    same = {
        "jvp": (ad.jvp(f, (x,), (v,))[1], g @ v.numpy()), "jvp, looked": (ad.jvp(looked, (x,), (v,))[1], g @ v.numpy()),
        "hvp": (ad.hvp(f, x, v), h @ v.numpy()), "hvp, looked": (ad.hvp(looked, x, v), h @ v.numpy()),
        "reverse of reverse": (ad.jacobian(ad.grad(f), mode="reverse")(x), h),
        "forward of forward": (ad.jacobian(ad.jacobian(f, mode="forward"), mode="forward")(x), h),
        "of a function": (ad.grad(ad.function(f))(x), g), "a function": (ad.function(ad.hessian(f))(x), h),
        "recomputed": (ad.hessian(ad.checkpoint(f))(x), h), "batch": (ad.vmap(ad.hessian(f))(two)[1], h),
        "recomputed batch": (ad.vmap(ad.hessian(ad.checkpoint(f)))(two)[1], h), "looked": (ad.hessian(looked)(x), h),
    }
    for name, (got, want) in same.items():
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-8, atol=1e-9, err_msg=name)
    want = on_tapes(f, x, w, v)
    ways = {
        "looked": looked, "function": ad.function(f), "recomputed": ad.checkpoint(f), "looked, recomputed": ad.checkpoint(looked),
        "function of recomputed": ad.function(ad.checkpoint(f)), "recomputed function": ad.checkpoint(ad.function(f)),
        "batch": lambda x: ad.vmap(f)(ad.reshape(x, (1, 4)))[0],
    }
    for name, way in ways.items():
        np.testing.assert_allclose(on_tapes(way, x, w, v), want, rtol=1e-8, atol=1e-9, err_msg=name)

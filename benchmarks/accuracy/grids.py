"""The arguments: magnitudes from subnormal to overflow, many close to roots, poles, kinks and switch-overs."""
from __future__ import annotations

from typing import Any

import numpy as np

SEED = 20240229
Range = tuple[float, float]


def magnitudes(rng: Any, count: int, dtype: Any, top: float = np.inf) -> Any:
    """Positive numbers whose exponents are drawn evenly over the whole range of ``dtype``."""
    info = np.finfo(dtype)
    low, high = info.minexp - info.nmant, min(info.maxexp, np.log2(top) if np.isfinite(top) else np.inf)
    x = np.ldexp(1.0 + rng.random(count), rng.integers(low, int(high), count))
    return np.clip(x.astype(dtype), info.smallest_subnormal, info.max)


def close_to(rng: Any, points: tuple[float, ...], count: int, dtype: Any) -> Any:
    """Numbers around ``points``, their distances drawn evenly in the exponent, and the nearest neighbours."""
    if not points:
        return np.zeros(0, dtype)
    bits = np.finfo(dtype).nmant
    centre = np.asarray(points, np.float64)[rng.integers(0, len(points), count)]
    distance = np.ldexp(rng.choice([-1.0, 1.0], count) * (1.0 + rng.random(count)), -rng.integers(1, bits + 1, count))
    here = np.asarray(points, dtype)
    near = [here]
    for end in (np.inf, -np.inf):
        step = here
        for _ in range(2):
            step = np.nextafter(step, np.asarray(end, dtype))
            near.append(step)
    return np.concatenate([(centre + np.maximum(np.abs(centre), 0.5) * distance).astype(dtype), *near])


def line(rng: Any, count: int, dtype: Any, domain: Range = (-np.inf, np.inf), busy: Range = (-6.0, 6.0),
         dense: tuple[float, ...] = (), avoid: tuple[float, ...] = ()) -> Any:
    """``count`` arguments inside the open ``domain``: a third log-spaced, a third over ``busy``, a third near ``dense``."""
    info = np.finfo(dtype)
    some = max(count // 3, 4)
    x = np.concatenate([
        magnitudes(rng, some, dtype) * rng.choice([-1, 1], some).astype(dtype),
        rng.uniform(*busy, some).astype(dtype),
        close_to(rng, dense, some, dtype) if dense else rng.normal(0, 1, some).astype(dtype),
        np.array([0.0, -0.0], dtype),
        np.array([s * v for v in (info.smallest_subnormal, info.tiny, info.max) for s in (1, -1)], dtype),
    ])
    x = x[(x > domain[0]) & (x < domain[1]) & ~np.isin(x, np.asarray(avoid, dtype))]
    while len(x) < count:                                # what fell outside the domain is drawn again inside it
        more = magnitudes(rng, count, dtype) * rng.choice([-1, 1], count).astype(dtype)
        more = np.concatenate([more, rng.uniform(*busy, count).astype(dtype)])
        more = more[(more > domain[0]) & (more < domain[1]) & ~np.isin(more, np.asarray(avoid, dtype))]
        x = np.concatenate([x, more[: count - len(x)]])
    return rng.permutation(x)[:count]

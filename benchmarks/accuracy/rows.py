"""Long rows: exact values and gradients from closed formulas, for what takes a thousand to ten million terms.

The same cases in every library; ``table`` gives the largest errors in units in the last place. Products of matrices are told
in units of |A| |B| u, in which the classical bound for n terms is n (Higham, Accuracy and Stability, section 3.5).
"""
from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from .grids import SEED
from .measure import errors
from .reference import rounded

Exact = Callable[..., tuple[list[Any], list[list[Any]] | None]]


@dataclass(frozen=True)
class Long:
    name: str
    draw: Callable[[Any, Any], tuple[Any, ...]]
    exact: Exact
    expressions: dict[str, str]
    gradient: bool = True


LONG: dict[str, Long] = {}


def _add(name: str, draw: Any, exact: Exact, adjoint: str, tensorflow: str = "", torch: str = "", jax: str = "",
         gradient: bool = True) -> None:
    given = dict(zip(("adjoint", "tensorflow", "torch", "jax"), (adjoint, tensorflow, torch, jax)))
    LONG[name] = Long(name, draw, exact, {k: v for k, v in given.items() if v}, gradient)


# ------------------------------------------------------------------------------------------------------- exponentials

def _numbers(row: Any) -> list[Any]:
    return [mpf(float(v)) for v in row]


def _by_row(rule: Callable[..., tuple[Any, list[Any]]]) -> Exact:
    def exact(*inputs: Any) -> Any:
        with mp.workdps(60):
            found = [rule(_numbers(row), *rest) for row, *rest in zip(*inputs)]
        return [v for v, _ in found], [g for _, g in found]

    return exact


def _shares(x: list[Any]) -> tuple[Any, list[Any]]:
    """log(sum(exp(x))) and softmax(x)."""
    top = max(x)
    e = [mp.exp(v - top) for v in x]
    s = mp.fsum(e)
    return top + mp.log(s), [v / s for v in e]


def _softmax(x: list[Any]) -> Any:
    p = _shares(x)[1]
    return p[0], [p[0] * ((j == 0) - q) for j, q in enumerate(p)]


def _log_softmax(x: list[Any]) -> Any:
    y, p = _shares(x)
    return x[0] - y, [(j == 0) - q for j, q in enumerate(p)]


def _cross_entropy(x: list[Any], label: Any) -> Any:
    y, p = _shares(x)
    k = int(label)
    rest = mp.fsum(q for j, q in enumerate(p) if j != k)
    return -mp.log1p(-rest) if rest < mpf(1) / 2 else y - x[k], [q if j != k else -rest for j, q in enumerate(p)]


def _logits(spread: float, lead: float = 0.0) -> Any:
    def draw(rng: Any, dtype: Any) -> Any:
        x = rng.normal(0, spread, (6, 1000))
        x[:, 0] += lead
        return (x.astype(dtype),)

    return draw


_add("softmax 1000", _logits(3.0), _by_row(_softmax), "ad.softmax(x, -1)[:, 0]", "tf.nn.softmax(x)[:, 0]",
     "torch.softmax(x, -1)[:, 0]", "jax.nn.softmax(x)[:, 0]")
_add("log_softmax 1000", _logits(3.0, 20.0), _by_row(_log_softmax), "ad.log_softmax(x, -1)[:, 0]", "tf.nn.log_softmax(x)[:, 0]",
     "torch.log_softmax(x, -1)[:, 0]", "jax.nn.log_softmax(x)[:, 0]")
_add("logsumexp 1000", _logits(3.0), _by_row(_shares), "ad.logsumexp(x, -1)", "tf.reduce_logsumexp(x, -1)",
     "torch.logsumexp(x, -1)", "jax.nn.logsumexp(x, -1)")
_add("cumulative logsumexp 1000", _logits(3.0), _by_row(_shares), "ad.logcumsumexp(x, -1)[:, -1]",
     "tf.math.cumulative_logsumexp(x, -1)[:, -1]", "torch.logcumsumexp(x, -1)[:, -1]", "jax.lax.cumlogsumexp(x, 1)[:, -1]")
for _what, _spread, _lead in (("", 3.0, 0.0), (", certain", 1.0, 32.0)):
    _add(f"cross-entropy 1000{_what}", lambda rng, dtype, s=_spread, k=_lead: (*_logits(s, k)(rng, dtype), np.zeros(6, dtype)),
         _by_row(_cross_entropy), "ad.sparse_softmax_cross_entropy_with_logits(ad.cast(y, 'int32'), x)",
         "tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), x)",
         "F.cross_entropy(x, y.long(), reduction='none')",
         "-jnp.take_along_axis(jax.nn.log_softmax(x), y.astype(int)[:, None], 1)[:, 0]")


# -------------------------------------------------------------------------------------------------- spread and length

def _var(x: list[Any]) -> Any:
    n = len(x)
    mean = mp.fsum(x) / n
    return mp.fsum((v - mean) ** 2 for v in x) / n, [2 * (v - mean) / n for v in x]


def _std(x: list[Any]) -> Any:
    v, g = _var(x)
    s = mp.sqrt(v)
    return s, [d / (2 * s) for d in g]


def _norm(x: list[Any]) -> Any:
    r = mp.sqrt(mp.fsum(v * v for v in x))
    return r, [v / r for v in x]


def _cosine(x: list[Any], y: Any) -> Any:
    b = _numbers(y)
    (r, u), (_, w) = _norm(x), _norm(b)
    c = mp.fsum(p * q for p, q in zip(u, w))
    return c, [(q - c * p) / r for p, q in zip(u, w)]


def _scaled(scale: float, offset: float = 0.0) -> Any:
    return lambda rng, dtype: ((rng.normal(size=(6, 1000)) * scale + offset).astype(dtype),)


def _divergence(p: list[Any], q: Any) -> Any:
    logs = [mp.log(a / b) for a, b in zip(p, _numbers(q))]
    return mp.fsum(a * v for a, v in zip(p, logs)), [v + 1 for v in logs]


def _nearly_parallel(rng: Any, dtype: Any) -> Any:
    x = rng.normal(size=(6, 100))
    return x.astype(dtype), (x * 2 + rng.normal(size=(6, 100)) * 1e-3).astype(dtype)


def _nearly_orthogonal(rng: Any, dtype: Any) -> Any:
    x, y = rng.normal(size=(2, 6, 100))
    return x.astype(dtype), (y - x * (np.sum(x * y, -1) / np.sum(x * x, -1) - 1e-6)[:, None]).astype(dtype)


def _nearly_equal(rng: Any, dtype: Any) -> Any:
    p = rng.uniform(0.1, 1.0, size=(6, 1000))
    q = p * (1 + 1e-4 * rng.normal(size=p.shape))
    return (p / p.sum(-1, keepdims=True)).astype(dtype), (q / q.sum(-1, keepdims=True)).astype(dtype)


_add("variance 1000, mean 1e6", _scaled(1.0, 1e6), _by_row(_var), "ad.var(x, axis=-1)", "tf.math.reduce_variance(x, -1)",
     "torch.var(x, -1, correction=0)", "jnp.var(x, -1)")
_add("deviation 1000, mean 1e6", _scaled(1.0, 1e6), _by_row(_std), "ad.std(x, axis=-1)", "tf.math.reduce_std(x, -1)",
     "torch.std(x, -1, correction=0)", "jnp.std(x, -1)")
for _scale in (1e30, 1e-30):
    _add(f"norm 1000 at {_scale:g}", _scaled(_scale), _by_row(_norm), "ad.vector_norm(x, axis=-1)", "tf.norm(x, axis=-1)",
         "torch.linalg.vector_norm(x, dim=-1)", "jnp.linalg.norm(x, axis=-1)")
_COSINE = ("-ad.losses.cosine_similarity(x, y)", "-tf.keras.losses.cosine_similarity(x, y)", "F.cosine_similarity(x, y, -1)",
           "jnp.sum(x * y, -1) / (jnp.linalg.norm(x, axis=-1) * jnp.linalg.norm(y, axis=-1))")
_add("cosine similarity 100, nearly orthogonal", _nearly_orthogonal, _by_row(_cosine), *_COSINE)
_add("cosine similarity 100, nearly parallel", _nearly_parallel, _by_row(_cosine), *_COSINE)
_add("KL divergence 1000, nearly equal", _nearly_equal, _by_row(_divergence), "ad.losses.kl_divergence(x, y)",
     "tf.reduce_sum(x * tf.math.log(x / y), -1)", "F.kl_div(torch.log(y), x, reduction='none').sum(-1)",
     "jnp.sum(jax.scipy.special.rel_entr(x, y), -1)")


# ------------------------------------------------------------------------------------------------------- long sums

def _split(a: Any) -> tuple[Any, Any]:
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def _exact_sum(*parts: Any) -> Any:
    """The sum of all numbers of float64 arrays, to 60 bits and more: of blocks in long double, of those exactly."""
    every = np.concatenate(parts)
    blocks = [np.add.reduce(every[k: k + 4096], dtype=np.longdouble) for k in range(0, len(every), 4096)]
    highs = [float(b) for b in blocks]
    return mp.fsum(map(mpf, [math.fsum(highs), math.fsum(float(b - h) for b, h in zip(blocks, highs))]))


def _squares(d: Any) -> list[Any]:
    """Arrays that add up to the squares of d exactly (Dekker)."""
    p = d * d
    h, low = _split(d)
    return [p, ((h * h - p) + 2.0 * h * low) + low * low]


def _long_sum(x: Any) -> Any:
    return _exact_sum(x.astype(np.float64))


def _products(x: Any, y: Any) -> list[Any]:
    """Arrays that add up to the products exactly."""
    a, b = x.astype(np.float64), y.astype(np.float64)
    p = a * b
    (ah, al), (bh, bl) = _split(a), _split(b)
    return [p, ((ah * bh - p) + ah * bl + al * bh) + al * bl]


def _wide_sum(x: Any) -> Any:
    """Of long doubles, to 60 bits."""
    high = x.astype(np.float64)
    return _exact_sum(high, (x - high).astype(np.float64))


def _long_lse(x: Any) -> Any:
    x = x.astype(np.longdouble)
    return mpf(float(x.max())) + mp.log(_wide_sum(np.exp(x - x.max())))


def _mean_cross_entropy(x: Any) -> Any:
    """Of rows of ten, the first of which is right."""
    rows = x.astype(np.longdouble).reshape(-1, 10)
    d = rows[:, 1:] - rows[:, :1]
    return _wide_sum(np.log1p(np.add.reduce(np.exp(d), axis=1))) / len(rows)


def _long_var(x: Any) -> Any:
    x = x.astype(np.float64)
    mean = _long_sum(x) / len(x)
    c = float(mean)
    d = x - c
    back = d - x
    lost = (x - (d - back)) - (c + back)
    return _exact_sum(*_squares(d), 2.0 * d * lost, lost * lost) / len(x) - (mean - c) ** 2


def _columns(rule: Callable[[Any], Any], axis: int) -> Exact:
    def exact(x: Any) -> Any:
        rows = x if axis else x.reshape(-1, len(x)).T
        return [rule(row) for row in rows], None

    return exact


def _long(shape: tuple[int, int]) -> Any:
    return lambda rng, dtype: (rng.uniform(0.0, 1.0, shape).astype(dtype),)


_SUMS = (("sum", "ad.sum", "tf.reduce_sum", "torch.sum", "jnp.sum", _long_sum),
         ("mean", "ad.mean", "tf.reduce_mean", "torch.mean", "jnp.mean", lambda x: _long_sum(x) / len(x)),
         ("variance", "ad.var", "tf.math.reduce_variance", "torch.var", "jnp.var", _long_var),
         ("deviation", "ad.std", "tf.math.reduce_std", "torch.std", "jnp.std", lambda x: mp.sqrt(_long_var(x))),
         ("norm", "ad.vector_norm", "tf.norm", "torch.linalg.vector_norm", "jnp.linalg.norm",
          lambda x: mp.sqrt(_exact_sum(*_squares(x.astype(np.float64))))),
         ("logsumexp", "ad.logsumexp", "tf.reduce_logsumexp", "torch.logsumexp", "jax.nn.logsumexp", _long_lse),
         ("cumsum", "ad.cumsum", "tf.cumsum", "torch.cumsum", "jnp.cumsum", _long_sum))
for _name, _ad, _tf, _torch, _jax, _rule in _SUMS:
    _long_terms = 1_000_000 if _name == "cumsum" else 10_000_000
    for _axis, _title in ((-1, f"1e{len(str(_long_terms)) - 1}"), (0, "1e5, first axis")):
        _last = ("[:, -1]" if _axis else "[-1]") if _name == "cumsum" else ""
        _given = "x" if _axis else "{}.reshape(x, (-1, x.shape[0]))"
        _more = ", correction=0" if _name in ("variance", "deviation") else ""
        _add(f"{_name} {_title}", _long((1, _long_terms) if _axis else (8, 100_000)), _columns(_rule, _axis),
             f"{_ad}({_given.format('ad')}, {_axis}){_last}",
             f"{_tf}({_given.format('tf')}, axis={_axis}){_last}",
             f"{_torch}({_given.format('torch')}, dim={_axis}{_more}){_last}",
             f"{_jax}({_given.format('jnp')}, axis={_axis}){_last}", gradient=False)

_add("cross-entropy, mean of 1e6",
     lambda rng, dtype: (rng.normal(0, 2, (1, 10_000_000)).astype(dtype), np.zeros((1, 1_000_000), dtype)),
     lambda x, y: ([_mean_cross_entropy(x[0])], None),
     "ad.reshape(ad.mean(ad.sparse_softmax_cross_entropy_with_logits(ad.reshape(ad.cast(y, 'int32'), (-1,)), "
     "ad.reshape(x, (-1, 10)))), (1,))",
     "tf.reshape(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.reshape(tf.cast(y, tf.int32), (-1,)), "
     "tf.reshape(x, (-1, 10)))), (1,))",
     "F.cross_entropy(x.reshape(-1, 10), y.reshape(-1).long()).reshape(1)",
     "-jnp.mean(jax.nn.log_softmax(x.reshape(-1, 10))[:, 0]).reshape(1)", gradient=False)
_add("dot 1e7", lambda rng, dtype: tuple(rng.uniform(0.0, 1.0, (2, 1, 10_000_000)).astype(dtype)),
     lambda x, y: ([_exact_sum(*_products(x[0], y[0]))], None),
     "ad.reshape(ad.tensordot(x[0], y[0], 1), (1,))", "tf.reshape(tf.tensordot(x[0], y[0], 1), (1,))",
     "torch.dot(x[0], y[0]).reshape(1)", "jnp.dot(x[0], y[0]).reshape(1)", gradient=False)


def _cotangent(x: Any, y: Any) -> Any:
    a, b = x.reshape(-1, 4), y.reshape(-1, 4)
    return [_exact_sum(*_products(a[:, i], b[:, j])) for i in range(4) for j in range(4)], None


# What a layer's weights get from a million rows: x' g.
_add("cotangent of weights, 1e6 rows", lambda rng, dtype: tuple(rng.uniform(0.0, 1.0, (2, 1, 4_000_000)).astype(dtype)),
     _cotangent,
     "ad.reshape(ad.matmul(ad.reshape(x, (-1, 4)), ad.reshape(y, (-1, 4)), transpose_a=True), (-1,))",
     "tf.reshape(tf.matmul(tf.reshape(x, (-1, 4)), tf.reshape(y, (-1, 4)), transpose_a=True), (-1,))",
     "(x.reshape(-1, 4).T @ y.reshape(-1, 4)).reshape(-1)", "(x.reshape(-1, 4).T @ y.reshape(-1, 4)).reshape(-1)", gradient=False)


# ------------------------------------------------------------------------------------------------------- matrix products
# f = sum((A B) * C) row by row, whose gradient in A is C B': each entry is an inner product of n terms.

def _product_errors(got: Any, x: Any, y: Any, transposed: bool) -> float:
    """The largest error of x y (or x y') in units of |x| |y| u."""
    a, b = x.astype(np.longdouble), (y.T if transposed else y).astype(np.longdouble)
    size = np.abs(a) @ np.abs(b)
    return float(np.max(np.abs(got - a @ b) / size) / (np.finfo(x.dtype).eps / 2))


def product_bounds(tape: Any, ad: Any, n: int, dtype: Any) -> tuple[float, float, float]:
    """The errors of A B and of its two cotangents for matrices with an inner dimension of n."""
    rng = np.random.default_rng(SEED)
    a, b, c = (rng.normal(size=s).astype(dtype) for s in ((24, n), (n, 24), (24, 24)))
    x, y = ad.constant(a), ad.constant(b)
    with tape() as t:
        t.watch([x, y])
        z = ad.matmul(x, y)
    da, db = t.gradient(z, [x, y], output_gradients=ad.constant(c))
    return (_product_errors(z.numpy(), a, b, False), _product_errors(da.numpy(), c, b, True),
            _product_errors(db.numpy(), a.T, c, False))


# ------------------------------------------------------------------------------------------------------- comparing

def inputs(case: Long, dtype: str) -> list[Any]:
    rng = np.random.Generator(np.random.PCG64([SEED, zlib.crc32(case.name.encode()), 7]))
    return [np.asarray(v, dtype) for v in case.draw(rng, np.dtype(dtype))]


@lru_cache(None)
def exact_of(name: str, dtype: str) -> list[tuple[Any, ...]]:
    """For the value and, where there is one, the gradient: nearest numbers and rests."""
    with mp.workdps(60):
        return [tuple(map(np.array, zip(*[rounded(v, np.dtype(dtype)) for v in flat]))) for flat in _flat(LONG[name], dtype)]


def _flat(case: Long, dtype: str) -> list[list[Any]]:
    values, gradients = case.exact(*inputs(case, dtype))
    return [values] if gradients is None else [values, [v for g in gradients for v in g]]


def jobs_for(library: str, names: list[str], dtype: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    jobs, arrays = [], {}
    for name in names:
        case = LONG[name]
        expression = case.expressions.get(library.split(",")[0])
        if expression:
            xs = inputs(case, dtype)
            jobs.append({"key": name, "expression": expression, "wrt": [0], "inputs": len(xs), "orders": 1 + case.gradient})
            arrays.update({f"{name}/{k}": x for k, x in enumerate(xs)})
    return jobs, arrays


def compare(got: Any, exact: list[tuple[Any, ...]]) -> list[float]:
    """The largest error in ulp for the value and the gradient; inf for a NaN or infinity that is not there."""
    parts = [got[:, 0]] + ([got[:, 1:].reshape(-1)] if len(exact) > 1 else [])
    return [float(errors(part, near, rest).max()) for part, (near, rest) in zip(parts, exact)]

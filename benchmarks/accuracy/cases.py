"""The functions measured: exact meaning, where arguments are drawn, and the expression in each library.

The exact meaning is written as in a textbook (see jets). Expressions see the inputs as x, y, z; inputs of rows have
shape (m, n) and every other one (m,); each expression gives one number a row.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from mpmath import mp, mpf

from . import jets as J
from .grids import Range, close_to, line, magnitudes

INF = float("inf")
LIBRARIES = ("adjoint", "tensorflow", "torch", "jax")


@dataclass(frozen=True)
class Case:
    name: str
    exact: Callable[..., J.Jet]
    draw: Callable[[Any, int, Any], Sequence[Any]]
    expressions: dict[str, str]
    wrt: tuple[int, ...] = (0,)
    counts: tuple[int, int] = (900, 600)
    digits: tuple[int, int] = (110, 420)
    primitive: str = ""                                  # whose bounds hold; "" for that of the case's name
    root: bool = False                                   # f' in float64 counts against max(|f'|, |x f''|)

    @property
    def error(self) -> Any:
        """The bounds that adjoint states."""
        import adjoint.losses  # whose primitives are registered then
        from adjoint._graph import REGISTRY

        assert adjoint.losses
        return REGISTRY[self.primitive or self.name].error


CASES: dict[str, Case] = {}


def _add(name: str, exact: Any, draw: Any, adjoint: str, tensorflow: str = "", torch: str = "", jax: str = "",
         **more: Any) -> None:
    given = dict(zip(LIBRARIES, (adjoint, tensorflow, torch, jax)))
    CASES[name] = Case(name, exact, draw, {k: v for k, v in given.items() if v}, **more)


def _unary(name: str, exact: Any, adjoint: str = "", tensorflow: str = "", torch: str = "", jax: str = "", *,
           domain: Range = (-INF, INF), busy: Range = (-6.0, 6.0), dense: tuple[float, ...] = (0.0,),
           avoid: tuple[float, ...] = (), **more: Any) -> None:
    def draw(rng: Any, count: int, dtype: Any) -> Any:
        return (line(rng, count, dtype, domain, busy, dense, avoid),)

    _add(name, exact, draw, adjoint or f"ad.{name}(x)", tensorflow or f"tf.math.{name}(x)", torch or f"torch.{name}(x)",
         jax or f"jnp.{name}(x)", **more)


# ------------------------------------------------------------------------------------------ exponentials, logs, roots
_ENDS = (-708.0, -87.3, -103.9, 88.7, 709.7, -745.0)
_POSITIVE = {"domain": (0.0, INF), "busy": (0.01, 10.0), "dense": (1.0,)}
_unary("exp", J.exp, busy=(-110.0, 90.0), dense=(0.0, *_ENDS))
_unary("expm1", J.expm1, busy=(-20.0, 20.0), dense=(0.0, *_ENDS))
_unary("exp2", lambda x: J.exp(x * mp.ln2), tensorflow="tf.pow(tf.constant(2.0, x.dtype), x)", busy=(-150.0, 128.0),
       dense=(0.0, 1.0, -126.0, 128.0))
_unary("log", J.log, **_POSITIVE)
_unary("log1p", J.log1p, domain=(-1.0, INF), busy=(-1.0, 5.0), dense=(0.0, -1.0, -0.5))
_unary("log2", lambda x: J.log(x) / mp.ln2, tensorflow="tf.math.log(x) / tf.math.log(tf.constant(2.0, x.dtype))", **_POSITIVE)
_unary("log10", lambda x: J.log(x) / mp.ln10, tensorflow="tf.math.log(x) / tf.math.log(tf.constant(10.0, x.dtype))",
       **_POSITIVE)
_unary("sqrt", J.sqrt, **_POSITIVE)
_unary("rsqrt", lambda x: 1 / J.sqrt(x), jax="jax.lax.rsqrt(x)", **_POSITIVE)
_unary("cbrt", J.cbrt, tensorflow="tf.sign(x) * tf.pow(tf.abs(x), 1 / 3)", torch="torch.sign(x) * torch.abs(x) ** (1 / 3)",
       dense=(1.0, -1.0, 0.0), avoid=(0.0,))
_unary("reciprocal", lambda x: 1 / x, jax="1 / x", dense=(1.0, 0.0), avoid=(0.0,))
_unary("square", lambda x: x * x)
_unary("cube", lambda x: x * x * x, "x ** 3", "x ** 3", "x ** 3", "x ** 3", dense=(0.0, 1.0), primitive="int_pow")
_unary("pow 2.5", lambda x: J.power(x, mpf(2.5)), "x ** 2.5", "x ** 2.5", "x ** 2.5", "x ** 2.5", **_POSITIVE, primitive="pow")

# ------------------------------------------------------------------------------------------ circle and hyperbola
_CIRCLE = tuple(k * pi / 4 for k in range(-8, 9))
for _f in ("sin", "cos", "tan"):
    _unary(_f, getattr(J, _f), busy=(-30.0, 30.0), dense=_CIRCLE)
for _f in ("asin", "acos"):
    _unary(_f, getattr(J, _f), domain=(-1.0, 1.0), busy=(-1.0, 1.0), dense=(0.0, 1.0, -1.0, 0.5, -0.5),
           torch=f"torch.{_f}(x)", jax=f"jnp.arc{_f[1:]}(x)")
_unary("atan", J.atan, jax="jnp.arctan(x)", dense=(0.0, 1.0, -1.0))
_unary("sinh", J.sinh, busy=(-100.0, 100.0), dense=(0.0, 89.4, -710.4))
_unary("cosh", J.cosh, busy=(-100.0, 100.0), dense=(0.0, 89.4, -710.4))
_unary("tanh", J.tanh, busy=(-50.0, 50.0), dense=(0.0, 9.0, -19.0))
_unary("asinh", J.asinh, jax="jnp.arcsinh(x)", dense=(0.0, 1.0))
_unary("acosh", J.acosh, jax="jnp.arccosh(x)", domain=(1.0, INF), busy=(1.0, 10.0), dense=(1.0, 2.0))
_unary("atanh", J.atanh, jax="jnp.arctanh(x)", domain=(-1.0, 1.0), busy=(-1.0, 1.0), dense=(0.0, 1.0, -1.0))

# ------------------------------------------------------------------------------------------ error and gamma functions
_SLOW = {"digits": (100, 340), "counts": (400, 250)}
_unary("erf", J.erf, jax="jax.scipy.special.erf(x)", dense=(0.0, 1.0), **_SLOW)
_unary("erfc", J.erfc, jax="jax.scipy.special.erfc(x)", busy=(-6.0, 27.0), dense=(0.0, 1.0, 9.2, 26.5), **_SLOW)
_unary("erfinv", J.erfinv, torch="torch.erfinv(x)", jax="jax.scipy.special.erfinv(x)", domain=(-1.0, 1.0), busy=(-1.0, 1.0),
       dense=(0.0, 1.0, -1.0), digits=(60, 60), counts=(200, 120))
_GAMMA = {"busy": (-8.0, 30.0), "dense": (0.0, 1.0, 1.4616321449683623, 2.0, -1.0, -2.0, -2.4570247382208006, -2.7476826467274127,
                                          -0.504083008264455),
          "avoid": (0.0, *(float(-k) for k in range(1, 60))), "digits": (50, 60), "counts": (300, 200)}
_unary("lgamma", J.lgamma, jax="jax.scipy.special.gammaln(x)", domain=(-60.0, INF), **_GAMMA)
_unary("digamma", J.digamma, jax="jax.scipy.special.digamma(x)", domain=(-60.0, INF), **_GAMMA)

# ------------------------------------------------------------------------------------------ activations
_WIDE = {"busy": (-40.0, 40.0)}


def _act(name: str, exact: Any, adjoint: str = "", tensorflow: str = "", torch: str = "", jax: str = "", **more: Any) -> None:
    _unary(name, exact, adjoint or f"ad.nn.{name}(x)", tensorflow or f"tf.nn.{name}(x)", torch or f"F.{name}(x)",
           jax or f"jax.nn.{name}(x)", **{**_WIDE, **more})


def _softplus(x: Any) -> J.Jet:
    return J.log(1 + J.exp(x)) if x.v < 0 else x + J.log(1 + J.exp(-x))


def _where(x: J.Jet, right: Any, left: Any) -> J.Jet:
    return right(x) if x.v > 0 else left(x)


_SELU = (mpf("1.6732632423543772848170429916717"), mpf("1.0507009873554804934193349852946"))
_act("sigmoid", J.sigmoid, torch="torch.sigmoid(x)", dense=(0.0, *_ENDS))
_act("log_sigmoid", lambda x: -_softplus(-x), tensorflow="tf.math.log_sigmoid(x)", torch="F.logsigmoid(x)", dense=(0.0, *_ENDS))
_act("softplus", _softplus, dense=(0.0, *_ENDS))
_act("softsign", lambda x: x / (1 + J.absolute(x)), jax="jax.nn.soft_sign(x)", avoid=(0.0,))
_act("elu", lambda x: _where(x, lambda x: x, J.expm1), avoid=(0.0,))
_act("selu", lambda x: _where(x, lambda x: x * _SELU[1], lambda x: J.expm1(x) * (_SELU[0] * _SELU[1])), avoid=(0.0,))
_act("celu 2", lambda x: _where(x, lambda x: x, lambda x: 2 * J.expm1(x / 2)), "ad.nn.celu(x, 2.0)",
     "tf.where(x > 0, x, 2 * tf.math.expm1(tf.minimum(x, 0) / 2))", "F.celu(x, 2.0)", "jax.nn.celu(x, 2.0)", avoid=(0.0,),
     primitive="celu")
_act("gelu", lambda x: x * J.erfc(-x / mp.sqrt(2)) / 2, "ad.nn.gelu(x)", "tf.nn.gelu(x)", "F.gelu(x)",
     "jax.nn.gelu(x, approximate=False)", busy=(-40.0, 10.0),
     dense=(0.0, -0.7517915246935645, -1.4142135623730951, 1.4142135623730951), **_SLOW)
_act("gelu_tanh", lambda x: x * J.sigmoid(mp.sqrt(8 / mp.pi) * (x + mpf("0.044715") * x * x * x)) if abs(x.v) < 1e6 else
     (x if x.v > 0 else J.jet(0)), "ad.nn.gelu(x, approximate=True)", "tf.nn.gelu(x, approximate=True)",
     "F.gelu(x, approximate='tanh')", "jax.nn.gelu(x, approximate=True)", busy=(-25.0, 10.0),
     dense=(0.0, -0.7524614220710161, -1.41, 1.41))
_act("silu", lambda x: x * J.sigmoid(x), dense=(0.0, -1.2784645427610738, 2.3993572805154, -2.3993572805154, *_ENDS))
_act("mish", lambda x: x * J.tanh(_softplus(x)), "ad.nn.mish(x)", "x * tf.tanh(tf.math.softplus(x))",
     dense=(0.0, -1.1924312145154105, -2.2563, 1.4906, *_ENDS))
_act("hard_swish", lambda x: x * (x + 3) / 6 if -3 < x.v < 3 else (x if x.v > 0 else J.jet(0)),
     tensorflow="x * tf.nn.relu6(x + 3) / 6",
     torch="F.hardswish(x)", dense=(-3.0, -1.5, 0.0, 3.0), avoid=(-3.0, 3.0), primitive="hard_silu")
_act("tanhshrink", lambda x: x - J.tanh(x), tensorflow="x - tf.tanh(x)", jax="x - jnp.tanh(x)", dense=(0.0, 0.5, 2.0),
     digits=(250, 1400))
_act("log_cosh", lambda x: J.absolute(x) + J.log((1 + J.exp(-2 * J.absolute(x))) / 2) if x.v else J.jet(0) + J.log(J.cosh(x)),
     tensorflow="x + tf.math.softplus(-2 * x) - tf.math.log(tf.constant(2.0, x.dtype))",
     torch="x + F.softplus(-2 * x) - 0.6931471805599453", jax="jnp.logaddexp(x, -x) - jnp.log(2.0).astype(x.dtype)",
     dense=(0.0, 1.0, -1.0), digits=(250, 1400))
_act("squareplus", lambda x: (x + J.sqrt(x * x + 4)) / 2, tensorflow="(x + tf.sqrt(x * x + 4)) / 2",
     torch="(x + torch.sqrt(x * x + 4)) / 2", dense=(0.0,), digits=(250, 1400))


# ------------------------------------------------------------------------------------------ two arguments

def _plane(rng: Any, count: int, dtype: Any) -> Any:
    """Points of the plane: of any size, of equal size, near the axes and diagonals."""
    some = count // 4
    a = magnitudes(rng, 2 * some, dtype) * rng.choice([-1, 1], 2 * some).astype(dtype)
    like = np.clip(np.abs(a[some:].astype(float)) * np.exp(rng.normal(0, 2, some)), 0, np.finfo(dtype).max)
    b = np.concatenate([magnitudes(rng, some, dtype), like.astype(dtype)])
    more = count - 2 * some
    a = np.concatenate([a, rng.normal(0, 2, more).astype(dtype)])
    near = close_to(rng, (1.0, 0.0), some, dtype)[:some] * a[-some:]
    b = np.concatenate([b, rng.normal(0, 2, more - some).astype(dtype), near])
    b = b * rng.choice([-1, 1], count).astype(dtype)
    b = np.where((b == 0) | ~np.isfinite(b), dtype.type(1), b)
    return a, b


def _both(first: Range, second: Range, dense: tuple[float, ...] = (1.0,)) -> Any:
    def draw(rng: Any, count: int, dtype: Any) -> Any:
        return (line(rng, count, dtype, (0.0 if first[0] >= 0 else -INF, INF), first, dense, (0.0,)),
                line(rng, count, dtype, (0.0 if second[0] >= 0 else -INF, INF), second, dense, (0.0,)))

    return draw


_TWO = {"wrt": (0, 1), "counts": (300, 200)}
_add("hypot", lambda x, y: J.sqrt(x * x + y * y), _plane, "ad.hypot(x, y)", "tf.sqrt(x * x + y * y)", "torch.hypot(x, y)",
     "jnp.hypot(x, y)", digits=(110, 700), **_TWO)
_add("atan2", J.atan2, _plane, "ad.atan2(x, y)", "tf.math.atan2(x, y)", "torch.atan2(x, y)", "jnp.arctan2(x, y)",
     digits=(110, 700), **_TWO)
_add("divide", lambda x, y: x / y, _plane, "x / y", "x / y", "x / y", "x / y", **_TWO)
_add("x**y", J.power, _both((0.0, 4.0), (-6.0, 6.0)), "x ** y", "x ** y", "x ** y", "x ** y", **_TWO, primitive="pow")
_add("logaddexp", lambda x, y: y + _softplus(x - y) if x.v < y.v else x + _softplus(y - x),
     lambda rng, n, dtype: (rng.uniform(-50, 50, n), np.where(rng.random(n) < 0.5, rng.uniform(-50, 50, n), rng.normal(0, 1, n))),
     "ad.logaddexp(x, y)", "tf.reduce_logsumexp(tf.stack([x, y]), 0)", "torch.logaddexp(x, y)", "jnp.logaddexp(x, y)", **_TWO)
_add("xlogy", J.xlogy, _both((-4.0, 4.0), (0.0, 4.0)), "ad.xlogy(x, y)", "tf.math.xlogy(x, y)", "torch.xlogy(x, y)",
     "jax.scipy.special.xlogy(x, y)", **_TWO)


# ------------------------------------------------------------------------------------------ losses

def _hard(rng: Any, count: int, dtype: Any) -> Any:
    return (line(rng, count, dtype, busy=(-40.0, 40.0), dense=(0.0, *_ENDS)), rng.integers(0, 2, count))


def _soft(rng: Any, count: int, dtype: Any) -> Any:
    """Half of the logits are close to the root of the derivative."""
    t = rng.random(count).astype(dtype)
    x = line(rng, count, dtype, busy=(-30.0, 30.0))
    root = np.log(t.astype(float) / (1 - t.astype(float)))
    near = rng.random(count) < 0.5
    return (np.where(near, root * (1 + np.ldexp(1.0, -rng.integers(2, 24, count))), x), t)


def _bce(x: Any, t: Any) -> J.Jet:
    return (1 - t) * _softplus(x) + t * _softplus(-x)


_BCE = ("ad.sigmoid_cross_entropy_with_logits(y, x)", "tf.nn.sigmoid_cross_entropy_with_logits(y, x)",
        "F.binary_cross_entropy_with_logits(x, y, reduction='none')",
        "jnp.maximum(x, 0) - x * y + jnp.log1p(jnp.exp(-jnp.abs(x)))")
_add("bce logits, t=0/1", _bce, _hard, *_BCE, primitive="sigmoid_cross_entropy")
_add("bce logits, soft t", _bce, _soft, *_BCE, root=True, primitive="sigmoid_cross_entropy")
_add("bce probabilities", lambda p, t: -(t * J.log(p) if t else mpf(0)) - ((1 - t) * J.log(1 - p) if t != 1 else mpf(0)),
     lambda rng, n, dtype: (line(rng, n, dtype, (0.0, 1.0), (0.0, 1.0), (0.0, 1.0, 0.5)), rng.integers(0, 2, n)),
     "ad.losses.binary_crossentropy(y[:, None], x[:, None])",
     "-(tf.math.xlogy(y, x) + tf.math.xlog1py(1 - y, -x))", "F.binary_cross_entropy(x, y, reduction='none')",
     "-(jax.scipy.special.xlogy(y, x) + jax.scipy.special.xlog1py(1 - y, -x))", primitive="binary_entropy")


def _logits(rng: Any, count: int, dtype: Any) -> Any:
    """Rows of three: of all spreads, a confident one among them."""
    return (rng.normal(size=(count, 3)) * np.exp(rng.uniform(-3, 4.5, (count, 1))),)


def _logsumexp(x: Any) -> J.Jet:
    top = max(v.v for v in x)
    return J.log(J.total([J.exp(v - top) for v in x])) + top


_ROW = {"counts": (120, 80), "digits": (120, 420)}
_add("softmax 3", lambda x: J.exp(x[0] - _logsumexp(x)), _logits, "ad.softmax(x, -1)[:, 0]", "tf.nn.softmax(x)[:, 0]",
     "torch.softmax(x, -1)[:, 0]", "jax.nn.softmax(x)[:, 0]", **_ROW, primitive="softmax")
_add("log_softmax 3", lambda x: x[0] - _logsumexp(x), _logits, "ad.log_softmax(x, -1)[:, 0]", "tf.nn.log_softmax(x)[:, 0]",
     "torch.log_softmax(x, -1)[:, 0]", "jax.nn.log_softmax(x)[:, 0]", **_ROW, primitive="log_softmax")
_add("logsumexp 3", _logsumexp, _logits, "ad.logsumexp(x, -1)", "tf.reduce_logsumexp(x, -1)", "torch.logsumexp(x, -1)",
     "jax.nn.logsumexp(x, -1)", **_ROW, primitive="logsumexp")
_add("cross-entropy, logits", lambda x, t: _logsumexp(x) - x[int(t)],
     lambda rng, n, dtype: (*_logits(rng, n, dtype), rng.integers(0, 3, n)),
     "ad.sparse_softmax_cross_entropy_with_logits(ad.cast(y, 'int32'), x)",
     "tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(y, tf.int32), x)", "F.cross_entropy(x, y.long(), reduction='none')",
     "-jnp.take_along_axis(jax.nn.log_softmax(x), y.astype(int)[:, None], 1)[:, 0]", **_ROW,
     primitive="sparse_softmax_cross_entropy")


def _two_distributions(rng: Any, count: int, dtype: Any) -> Any:
    p = rng.dirichlet([1, 1, 1], count)
    q = np.where(rng.random((count, 1)) < 0.5, rng.dirichlet([1, 1, 1], count),
                 p * (1 + rng.normal(size=(count, 3)) * np.exp(rng.uniform(-20, -1, (count, 1)))))
    return p, np.abs(q)


def _kl(p: Any, q: Any) -> J.Jet:
    return J.total([a * J.log(a / b) for a, b in zip(p, q)])


_add("KL divergence 3", _kl, _two_distributions, "ad.losses.kl_divergence(x, y)", "tf.reduce_sum(x * tf.math.log(x / y), -1)",
     "F.kl_div(torch.log(y), x, reduction='none').sum(-1)", "jnp.sum(x * jnp.log(x / y), -1)", wrt=(0, 1), counts=(100, 70),
     digits=(100, 200), primitive="kl_divergence", root=True)


# ------------------------------------------------------------------------------------------ vectors

def _vectors(rng: Any, count: int, dtype: Any) -> Any:
    """Rows of three of any size, a third of them with one entry that dominates."""
    scale = magnitudes(rng, count, dtype, 2.0 ** (np.finfo(dtype).maxexp - 6)).astype(np.float64)[:, None]
    scale = np.maximum(scale, float(np.finfo(dtype).tiny) * 2.0 ** 30)
    x = rng.normal(size=(count, 3))
    x[: count // 3, 1:] *= np.ldexp(1.0, -rng.integers(1, 20, (count // 3, 1)))
    return (x * scale,)


def _norm(x: Any) -> J.Jet:
    return J.sqrt(J.total([v * v for v in x]))


def _mean(x: Any) -> J.Jet:
    return J.total(x) / len(x)


def _var(x: Any) -> J.Jet:
    mean = _mean(x)
    return J.total([(v - mean) * (v - mean) for v in x]) / len(x)


def _offset(rng: Any, count: int, dtype: Any) -> Any:
    """Rows of four around a mean that is up to 1e4 times the spread."""
    return (rng.normal(size=(count, 4)) + rng.choice([-1, 1], (count, 1)) * np.exp(rng.uniform(-3, 9, (count, 1))),)


_VECTOR = {"counts": (120, 80), "digits": (150, 400)}
_add("norm 3", _norm, _vectors, "ad.vector_norm(x, axis=-1)", "tf.norm(x, axis=-1)", "torch.linalg.vector_norm(x, dim=-1)",
     "jnp.linalg.norm(x, axis=-1)", **_VECTOR, primitive="vector_norm")
_add("l2_normalize 3", lambda x: x[0] / _norm(x), _vectors, "ad.nn.l2_normalize(x, -1, epsilon=0.0)[:, 0]",
     "tf.math.l2_normalize(x, -1, epsilon=0.0)[:, 0]", "F.normalize(x, dim=-1, eps=0.0)[:, 0]",
     "(x / jnp.linalg.norm(x, axis=-1, keepdims=True))[:, 0]", **_VECTOR, primitive="l2_normalize")
_add("var 4", _var, _offset, "ad.var(x, axis=-1)", "tf.math.reduce_variance(x, -1)", "torch.var(x, -1, correction=0)",
     "jnp.var(x, -1)", **_VECTOR, primitive="var", root=True)
_add("std 4", lambda x: J.sqrt(_var(x)), _offset, "ad.std(x, axis=-1)", "tf.math.reduce_std(x, -1)",
     "torch.std(x, -1, correction=0)", "jnp.std(x, -1)", **_VECTOR, primitive="std", root=True)
_add("cumsum 4", lambda x: J.total(x), lambda rng, n, dtype: (np.exp(rng.normal(0, 3, (n, 4))),), "ad.cumsum(x, -1)[:, -1]",
     "tf.cumsum(x, -1)[:, -1]", "torch.cumsum(x, -1)[:, -1]", "jnp.cumsum(x, -1)[:, -1]", **_VECTOR, primitive="cumsum")
_add("cumulative logsumexp 3", _logsumexp, _logits, "ad.logcumsumexp(x, -1)[:, -1]",
     "tf.math.cumulative_logsumexp(x, -1)[:, -1]", "torch.logcumsumexp(x, -1)[:, -1]",
     "jax.lax.cumlogsumexp(x, 1)[:, -1]", **_ROW, primitive="logcumsumexp")

# ------------------------------------------------------------------------------------------ arithmetic and the rest

for _name, _sign in (("add", "+"), ("subtract", "-"), ("multiply", "*")):
    _add(_name, lambda x, y, sign=_sign: x + y if sign == "+" else x - y if sign == "-" else x * y, _plane,
         *[f"x {_sign} y"] * 4, digits=(110, 700), **_TWO)
_add("squared_difference", lambda x, y: (x - y) * (x - y), _plane, "ad.squared_difference(x, y)",
     "tf.math.squared_difference(x, y)", "(x - y) ** 2", "(x - y) ** 2", digits=(110, 700), **_TWO)
for _name in ("maximum", "minimum"):
    _add(_name, lambda x, y, most=_name == "maximum": x + 0 if (x.v > y.v) == most else y + 0, _plane, f"ad.{_name}(x, y)",
         f"tf.{_name}(x, y)", f"torch.{_name}(x, y)", f"jnp.{_name}(x, y)", **_TWO)
_unary("abs", J.absolute, avoid=(0.0,))
_unary("leaky_relu", lambda x: _where(x, lambda x: x, lambda x: x * mpf(0.2)), "ad.nn.leaky_relu(x)", "tf.nn.leaky_relu(x)",
       "F.leaky_relu(x, 0.2)", "jax.nn.leaky_relu(x, 0.2)", avoid=(0.0,))
_add("xlog1py", lambda x, y: J.jet(x) * J.log1p(y), _both((-3.0, 3.0), (0.0, 3.0)), "ad.xlog1py(x, y)", "tf.math.xlog1py(x, y)",
     "torch.special.xlog1py(x, y)", "jax.scipy.special.xlog1py(x, y)", **_TWO)
_unary("logit", lambda x: J.log(x / (1 - x)), tensorflow="tf.math.log(x / (1 - x))", jax="jax.scipy.special.logit(x)",
       domain=(0.0, 1.0), busy=(0.0, 1.0), dense=(0.5, 1.0))
_unary("entr", lambda x: -x * J.log(x), tensorflow="-tf.math.xlogy(x, x)", torch="torch.special.entr(x)",
       jax="jax.scipy.special.entr(x)", **{**_POSITIVE, "dense": (1.0, 0.36787944117144233)}, root=True)
_unary("sinc", J.sinc, tensorflow="tf.sin(3.141592653589793 * x) / (3.141592653589793 * x)", jax="jnp.sinc(x)",
       busy=(-10.0, 10.0), dense=(0.0, 1.0, -1.0, 0.5, 2.0), digits=(250, 1400), counts=(400, 250), root=True)
_unary("erfcx", J.erfcx, tensorflow="tf.exp(x * x) * tf.math.erfc(x)", torch="torch.special.erfcx(x)",
       jax="jnp.exp(x * x) * jax.scipy.special.erfc(x)", busy=(-8.0, 30.0), dense=(0.0, 0.75, -1.0), domain=(-9.3, INF), **_SLOW)
_unary("ndtr", lambda x: J.erfc(-x / mp.sqrt(2)) / 2, tensorflow="0.5 * tf.math.erfc(-x * 0.7071067811865476)",
       torch="torch.special.ndtr(x)", jax="jax.scipy.special.ndtr(x)", busy=(-38.0, 9.0), dense=(0.0, -1.0, 1.0), **_SLOW)
_unary("log_ndtr", lambda x: J.log(J.erfc(-x / mp.sqrt(2)) / 2),
       tensorflow="tf.math.log(0.5 * tf.math.erfc(-x * 0.7071067811865476))",
       torch="torch.special.log_ndtr(x)", jax="jax.scipy.special.log_ndtr(x)", busy=(-38.0, 9.0), dense=(0.0, -1.0, 1.0),
       domain=(-1e4, 1e4), **_SLOW)
for _order in (0, 1):
    _unary(f"bessel_i{_order}e", lambda x, n=_order: J.exp(-J.absolute(x)) * J.besseli(n, x),
           tensorflow=f"tf.math.bessel_i{_order}e(x)", torch=f"torch.special.i{_order}e(x)",
           jax=f"jax.scipy.special.i{_order}e(x)",
           busy=(-40.0, 40.0), dense=(0.0, 8.0, 30.0), avoid=(0.0,), domain=(-1e4, 1e4), digits=(60, 60), counts=(300, 200))

"""The rules of descent. Formulas follow the papers in the form Keras 3 gives them, epsilons where it has them."""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import _dtypes
from .._errors import ArgumentError, complain
from .._tensor import Value
from ..primitives.arithmetic import add, divide, multiply, negative, subtract
from ..primitives.comparison import maximum
from ..primitives.complex import abs as absolute
from ..primitives.complex import conj, sign
from ..primitives.convert import cast
from ..primitives.transcendental import expm1, sqrt
from ._core import (
    Nest,
    Rate,
    Scalars,
    Transform,
    chain,
    check_rate,
    each,
    floats_only,
    like,
    number,
    rate_at,
    remembering,
    stateless,
    with_numbers,
)

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "adamw", "add_decayed_weights", "lion", "nadam", "rmsprop", "scale",
    "scale_by_adadelta", "scale_by_adagrad", "scale_by_adam", "scale_by_adamax", "scale_by_learning_rate",
    "scale_by_lion", "scale_by_momentum", "scale_by_nadam", "scale_by_rms", "scale_by_schedule", "sgd",
]


# -------------------------------------------------------------------------------------------------------------- scalars

def _lack(beta: float, t: Any) -> Any:
    """1 - beta ** t, by expm1 so that a beta near 1 keeps its digits; a float64 tensor where the count is one."""
    if beta == 0.0:
        return 1.0
    if isinstance(t, Value):
        return negative(expm1(multiply(cast(t, _dtypes.float64), math.log(beta))))
    return -math.expm1(t * math.log(beta))


def _root(x: Any) -> Any:
    return sqrt(x) if isinstance(x, Value) else math.sqrt(x)


def _wide(x: Any) -> Any:
    """A scalar for scalar arithmetic: a Python float, or a float64 tensor."""
    return cast(x, _dtypes.float64) if isinstance(x, Value) else x


def _next(count: Any) -> Any:
    return add(count, 1) if isinstance(count, Value) else count + 1


def _square(g: Any) -> Any:
    return multiply(g, conj(g)) if g._spec.dtype.kind == "c" else multiply(g, g)


def _share(what: str, name: str, value: Any) -> float:
    """A decay rate, in [0, 1)."""
    return number(what, name, value, 0.0, 1.0, open_high=True)


def _toward(s: Scalars, old: Nest, new: Nest, share: float) -> Nest:
    """old + (new - old) * share where there is something new: a moving average's step."""
    return each(lambda a, g: a if g is None else add(a, s.times(subtract(g, a), share)), old, new)


def _squares_toward(s: Scalars, old: Nest, new: Nest, share: float) -> Nest:
    return each(lambda a, g: a if g is None else add(a, s.times(subtract(_square(g), a), share)), old, new)


def _mix(s: Scalars, old: Nest, new: Nest, keep: float, share: float) -> Nest:
    return each(lambda a, g: a if g is None else add(s.times(a, keep), s.times(g, share)), old, new)


def _mix_squares(s: Scalars, old: Nest, new: Nest, keep: float, share: float) -> Nest:
    return each(lambda a, g: a if g is None else add(s.times(a, keep), s.times(_square(g), share)), old, new)


# -------------------------------------------------------------------------------------------------------------- scaling

def scale(factor: Any) -> Transform:
    """Multiplies the updates by a number."""
    by = check_rate("scale", "factor", factor)
    if callable(by) and not isinstance(by, Value):
        raise ArgumentError(complain("scale", "factor", "a number", "a schedule", "use scale_by_schedule"))
    return stateless(lambda updates, params: _times_all(updates, by))


def _times_all(updates: Nest, by: Any) -> Nest:
    s = Scalars()
    return each(lambda u: None if u is None else s.times(u, by), updates)


def scale_by_schedule(schedule: Callable[[Any], Any]) -> Transform:
    """Multiplies the updates by schedule(step), the steps counted from 0."""
    if not callable(schedule) or isinstance(schedule, Value):
        raise ArgumentError(complain("scale_by_schedule", "schedule", "a callable step -> rate", f"{schedule!r:.60}"))
    return _scaled_by(schedule, 1)


def scale_by_learning_rate(learning_rate: Rate) -> Transform:
    """Multiplies the updates by minus the learning rate: a number, a scalar tensor or variable, or a schedule."""
    rate = check_rate("scale_by_learning_rate", "learning_rate", learning_rate)
    if callable(rate) and not isinstance(rate, Value):
        return _scaled_by(rate, -1)
    if isinstance(rate, Value):
        return stateless(lambda updates, params: _times_all(updates, negative(rate)))
    down = -rate
    return stateless(lambda updates, params: _times_all(updates, down))


def _scaled_by(rate: Rate, sign_: int) -> Transform:
    def numbers(state: Any) -> Any:
        by = rate_at(rate, state["count"])
        return (-by if sign_ < 0 else by,), {"count": _next(state["count"])}

    def update(updates: Nest, state: Any, params: Nest, scalars: Any) -> tuple[Nest, Any]:
        return _times_all(updates, scalars[0]), {}

    return with_numbers(lambda params: {"count": 0}, numbers, update)


def add_decayed_weights(weight_decay: Any, learning_rate: Rate = None, mask: Nest = None) -> Transform:
    """Weight decay: adds weight_decay * params to the updates, or subtracts learning_rate * weight_decay * params.

    weight_decay    a number at least 0
    learning_rate   where given, the updates are steps downhill already and the decay is made one (Loshchilov and Hutter
                    2019); where not, it is added to gradients, as the derivative of an L2 penalty
    mask            a nest of bools in the structure of the parameters: which of them decay
    """
    decay = number("add_decayed_weights", "weight_decay", weight_decay, 0.0)
    rate = None if learning_rate is None else check_rate("add_decayed_weights", "learning_rate", learning_rate)

    def apply(updates: Nest, params: Nest, by: Any) -> Nest:
        if params is None:
            raise ArgumentError(complain("add_decayed_weights", "params", "given to update", "None"))
        s = Scalars()
        if mask is None:
            return each(lambda u, p: None if u is None else add(u, s.times(p, by)), updates, params)
        return each(lambda u, p, m: u if u is None or not m else add(u, s.times(p, by)), updates, params, mask)

    if callable(rate) and not isinstance(rate, Value):
        return with_numbers(
            lambda params: {"count": 0},
            lambda state: ((rate_at(rate, state["count"]) * -decay,), {"count": _next(state["count"])}),
            lambda updates, state, params, scalars: (apply(updates, params, scalars[0]), {}))
    by: Any = decay if rate is None else rate * -decay  # type: ignore[operator]
    return stateless(lambda updates, params: apply(updates, params, by))


def _by_rate(learning_rate: Rate, count: Any, by: Any) -> Any:
    """A factor with the learning rate, where there is one, folded in: one product an element instead of two."""
    return by if learning_rate is None else _wide(rate_at(learning_rate, count)) * by * -1.0


# -------------------------------------------------------------------------------------------------------------- moments

def scale_by_momentum(momentum: Any = 0.9, nesterov: bool = False) -> Transform:
    """Momentum (Polyak 1964): m <- momentum m + u, and m is the update.

    ``nesterov`` (Sutskever et al. 2013): the update is momentum m + u, the step that looks ahead.
    """
    mu = number("scale_by_momentum", "momentum", momentum, 0.0, 1.0)

    def update(updates: Nest, state: Any) -> tuple[Nest, Any]:
        s = Scalars()
        m = each(lambda m, u: m if u is None else add(s.times(m, mu), u), state["m"], updates)
        if nesterov:
            updates = each(lambda m, u: None if u is None else add(s.times(m, mu), u), m, updates)
        else:
            updates = each(lambda m, u: None if u is None else m, m, updates)
        return updates, {"m": m}

    return remembering(lambda params: {"m": like(params)}, update)


def scale_by_adagrad(initial_accumulator_value: Any = 0.1, epsilon: Any = 1e-7) -> Transform:
    """Adagrad (Duchi et al. 2011): a <- a + g^2; g / sqrt(a + epsilon)."""
    start = number("scale_by_adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
    eps = number("scale_by_adagrad", "epsilon", epsilon, 0.0)

    def update(updates: Nest, state: Any) -> tuple[Nest, Any]:
        a = each(lambda a, g: a if g is None else add(a, _square(g)), state["a"], updates)
        s = Scalars()
        return each(lambda g, a: None if g is None else divide(g, sqrt(s.plus(a, eps))), updates, a), {"a": a}

    return remembering(lambda params: {"a": like(params, start)}, update)


def scale_by_rms(rho: Any = 0.9, epsilon: Any = 1e-7, centered: bool = False) -> Transform:
    """RMSprop (Tieleman and Hinton 2012): v <- rho v + (1 - rho) g^2; g / sqrt(v + epsilon).

    ``centered`` (Graves 2013): the average gradient's square is taken from v.
    """
    keep = _share("scale_by_rms", "rho", rho)
    share = 1.0 - keep
    eps = number("scale_by_rms", "epsilon", epsilon, 0.0)

    def init(params: Nest) -> Any:
        return {"v": like(params), "g": like(params)} if centered else {"v": like(params)}

    def update(updates: Nest, state: Any) -> tuple[Nest, Any]:
        s = Scalars()
        v = _mix_squares(s, state["v"], updates, keep, share)
        if not centered:
            return each(lambda g, v: None if g is None else divide(g, sqrt(s.plus(v, eps))), updates, v), {"v": v}
        mean = _mix(s, state["g"], updates, keep, share)
        made = each(lambda g, v, a: None if g is None else divide(g, sqrt(s.plus(subtract(v, _square(a)), eps))),
                    updates, v, mean)
        return made, {"v": v, "g": mean}

    return remembering(init, update)


def scale_by_adam(beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7, amsgrad: bool = False,
                  learning_rate: Rate = None) -> Transform:
    """Adam (Kingma and Ba 2015, the form before section 2.1): both moments, their bias taken out.

        m <- m + (g - m) (1 - beta_1);  v <- v + (g^2 - v) (1 - beta_2)
        u = m sqrt(1 - beta_2^t) / (1 - beta_1^t) / (sqrt(v) + epsilon)

    amsgrad         v is replaced by its largest value so far (Reddi et al. 2018)
    learning_rate   where given, the updates are steps downhill: -learning_rate u
    """
    b1, b2 = _share("scale_by_adam", "beta_1", beta_1), _share("scale_by_adam", "beta_2", beta_2)
    share_1, share_2 = 1.0 - b1, 1.0 - b2
    eps = number("scale_by_adam", "epsilon", epsilon, 0.0)

    def init(params: Nest) -> Any:
        floats_only("scale_by_adam", params)
        state = {"count": 0, "m": like(params), "v": like(params)}
        return {**state, "top": like(params)} if amsgrad else state

    def numbers(state: Any) -> Any:
        t = _next(state["count"])
        return (_by_rate(learning_rate, state["count"], _root(_lack(b2, t)) / _lack(b1, t)),), {"count": t}

    def update(updates: Nest, state: Any, params: Nest, scalars: Any) -> tuple[Nest, Any]:
        (by,), s = scalars, Scalars()
        m, v = _toward(s, state["m"], updates, share_1), _squares_toward(s, state["v"], updates, share_2)
        fresh = {"m": m, "v": v}
        if amsgrad:
            v = fresh["top"] = each(lambda a, v, g: a if g is None else maximum(a, v), state["top"], v, updates)
        made = each(lambda g, m, v: None if g is None else divide(s.times(m, by), s.plus(sqrt(v), eps)), updates, m, v)
        return made, fresh

    return with_numbers(init, numbers, update)


def scale_by_adamax(beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7,
                    learning_rate: Rate = None) -> Transform:
    """Adamax (Kingma and Ba 2015, section 7.1): Adam with the largest |g|, decaying, for the second moment.

        m <- m + (g - m) (1 - beta_1);  n <- max(beta_2 n, |g|);  u = m / ((1 - beta_1^t) (n + epsilon))
    """
    b1, b2 = _share("scale_by_adamax", "beta_1", beta_1), _share("scale_by_adamax", "beta_2", beta_2)
    share = 1.0 - b1
    eps = number("scale_by_adamax", "epsilon", epsilon, 0.0)

    def numbers(state: Any) -> Any:
        t = _next(state["count"])
        return (_by_rate(learning_rate, state["count"], 1.0 / _lack(b1, t)),), {"count": t}

    def update(updates: Nest, state: Any, params: Nest, scalars: Any) -> tuple[Nest, Any]:
        (by,), s = scalars, Scalars()
        m = _toward(s, state["m"], updates, share)
        n = each(lambda n, g: n if g is None else maximum(s.times(n, b2), absolute(g)), state["n"], updates)
        made = each(lambda g, m, n: None if g is None else divide(s.times(m, by), s.plus(n, eps)), updates, m, n)
        return made, {"m": m, "n": n}

    return with_numbers(lambda params: {"count": 0, "m": like(params), "n": like(params)}, numbers, update)


_NADAM_DECAY = 0.96


def scale_by_nadam(beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7,
                   learning_rate: Rate = None) -> Transform:
    """Nadam (Dozat 2016, Algorithm 8 with the schedule mu_t = beta_1 (1 - 0.96^t / 2)): Adam that looks ahead.

        m <- m + (g - m) (1 - beta_1);  v <- v + (g^2 - v) (1 - beta_2);  p_t = mu_1 mu_2 ... mu_t
        u = (mu_{t+1} m / (1 - p_{t+1}) + (1 - mu_t) g / (1 - p_t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
    """
    b1, b2 = _share("scale_by_nadam", "beta_1", beta_1), _share("scale_by_nadam", "beta_2", beta_2)
    share_1, share_2 = 1.0 - b1, 1.0 - b2
    eps = number("scale_by_nadam", "epsilon", epsilon, 0.0)

    def numbers(state: Any) -> Any:
        count, t = state["count"], _next(state["count"])
        mu = (_lack(_NADAM_DECAY, t) + 1.0) * (0.5 * b1)
        ahead = (_lack(_NADAM_DECAY, _next(t)) + 1.0) * (0.5 * b1)
        product = mu * state["product"]
        from_m = _by_rate(learning_rate, count, ahead / (1.0 - product * ahead))
        from_g = _by_rate(learning_rate, count, (1.0 - mu) / (1.0 - product))
        return (from_m, from_g, 1.0 / _root(_lack(b2, t))), {"count": t, "product": product}

    def update(updates: Nest, state: Any, params: Nest, scalars: Any) -> tuple[Nest, Any]:
        (from_m, from_g, root), s = scalars, Scalars()
        m, v = _toward(s, state["m"], updates, share_1), _squares_toward(s, state["v"], updates, share_2)
        made = each(lambda g, m, v: None if g is None else divide(
            add(s.times(m, from_m), s.times(g, from_g)), s.plus(s.times(sqrt(v), root), eps)), updates, m, v)
        return made, {"m": m, "v": v}

    return with_numbers(
        lambda params: {"count": 0, "product": 1.0, "m": like(params), "v": like(params)}, numbers, update)


def scale_by_adadelta(rho: Any = 0.95, epsilon: Any = 1e-7) -> Transform:
    """Adadelta (Zeiler 2012): a <- rho a + (1 - rho) g^2; u = g sqrt(d + epsilon) / sqrt(a + epsilon); d as a, of u."""
    keep = _share("scale_by_adadelta", "rho", rho)
    share = 1.0 - keep
    eps = number("scale_by_adadelta", "epsilon", epsilon, 0.0)

    def update(updates: Nest, state: Any) -> tuple[Nest, Any]:
        s = Scalars()
        a = _mix_squares(s, state["a"], updates, keep, share)
        made = each(lambda g, a, d: None if g is None else divide(multiply(g, sqrt(s.plus(d, eps))),
                                                                  sqrt(s.plus(a, eps))), updates, a, state["d"])
        return made, {"a": a, "d": _mix_squares(s, state["d"], made, keep, share)}

    return remembering(lambda params: {"a": like(params), "d": like(params)}, update)


def scale_by_lion(beta_1: Any = 0.9, beta_2: Any = 0.99) -> Transform:
    """Lion (Chen et al. 2023): u = sign(beta_1 m + (1 - beta_1) g); then m <- beta_2 m + (1 - beta_2) g."""
    b1, b2 = _share("scale_by_lion", "beta_1", beta_1), _share("scale_by_lion", "beta_2", beta_2)
    share_1, share_2 = 1.0 - b1, 1.0 - b2

    def update(updates: Nest, state: Any) -> tuple[Nest, Any]:
        s = Scalars()
        made = each(lambda g, m: None if g is None else sign(add(s.times(m, b1), s.times(g, share_1))), updates,
                    state["m"])
        return made, {"m": _mix(s, state["m"], updates, b2, share_2)}

    return remembering(lambda params: {"m": like(params)}, update)


# -------------------------------------------------------------------------------------------------------------- aliases

def sgd(learning_rate: Rate = 0.01, momentum: Any = 0.0, nesterov: bool = False) -> Transform:
    """Plain descent theta <- theta - learning_rate g, with momentum where that is above 0.

    As in Keras the learning rate goes into the momentum: m <- momentum m - learning_rate g; theta <- theta + m, with
    ``nesterov`` theta <- theta + momentum m - learning_rate g.
    """
    down = scale_by_learning_rate(learning_rate)
    mu = number("sgd", "momentum", momentum, 0.0, 1.0)
    return chain(down, scale_by_momentum(mu, nesterov)) if mu else down


def adagrad(learning_rate: Rate = 0.001, initial_accumulator_value: Any = 0.1, epsilon: Any = 1e-7) -> Transform:
    """Adagrad: see scale_by_adagrad."""
    return chain(scale_by_adagrad(initial_accumulator_value, epsilon), scale_by_learning_rate(learning_rate))


def rmsprop(learning_rate: Rate = 0.001, rho: Any = 0.9, momentum: Any = 0.0, epsilon: Any = 1e-7,
            centered: bool = False) -> Transform:
    """RMSprop, with momentum on its steps where that is above 0: see scale_by_rms."""
    steps = (scale_by_rms(rho, epsilon, centered), scale_by_learning_rate(learning_rate))
    mu = number("rmsprop", "momentum", momentum, 0.0, 1.0)
    return chain(*steps, scale_by_momentum(mu)) if mu else chain(*steps)


def adam(learning_rate: Rate = 0.001, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7,
         amsgrad: bool = False) -> Transform:
    """Adam: see scale_by_adam."""
    return scale_by_adam(beta_1, beta_2, epsilon, amsgrad, check_rate("adam", "learning_rate", learning_rate))


def adamw(learning_rate: Rate = 0.001, weight_decay: Any = 0.004, beta_1: Any = 0.9, beta_2: Any = 0.999,
          epsilon: Any = 1e-7, amsgrad: bool = False, mask: Nest = None) -> Transform:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Each step also takes learning_rate * weight_decay * theta from theta.
    """
    return chain(adam(learning_rate, beta_1, beta_2, epsilon, amsgrad),
                 add_decayed_weights(weight_decay, learning_rate, mask))


def nadam(learning_rate: Rate = 0.001, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7) -> Transform:
    """Nadam: see scale_by_nadam."""
    return scale_by_nadam(beta_1, beta_2, epsilon, check_rate("nadam", "learning_rate", learning_rate))


def adamax(learning_rate: Rate = 0.001, beta_1: Any = 0.9, beta_2: Any = 0.999, epsilon: Any = 1e-7) -> Transform:
    """Adamax: see scale_by_adamax."""
    return scale_by_adamax(beta_1, beta_2, epsilon, check_rate("adamax", "learning_rate", learning_rate))


def adadelta(learning_rate: Rate = 0.001, rho: Any = 0.95, epsilon: Any = 1e-7) -> Transform:
    """Adadelta: see scale_by_adadelta."""
    return chain(scale_by_adadelta(rho, epsilon), scale_by_learning_rate(learning_rate))


def lion(learning_rate: Rate = 0.001, beta_1: Any = 0.9, beta_2: Any = 0.99) -> Transform:
    """Lion: see scale_by_lion."""
    return chain(scale_by_lion(beta_1, beta_2), scale_by_learning_rate(learning_rate))

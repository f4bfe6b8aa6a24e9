"""Functions of a point (x, y) of the plane: its distance and angle.

Their slopes are primitives of their own, closed under differentiation. Points are scaled by a power of two first, so that no
square overflows or vanishes; at the origin every derivative is 0 by convention.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._graph import Primitive, Spec
from .._tensor import Value
from .._trace import record
from ._accuracy import measured
from ._make import elementwise, elementwise_infer
from .arithmetic import add, example, helper, wide
from .complex import imag, real
from .convert import convert

__all__ = ["angle", "atan2", "hypot"]

def _in_plane(x: Any, y: Any) -> tuple[Any, Any, Any, Any]:
    """The point scaled by a power of two to a length near 1, the exponent, and where it is not at the origin nor infinite;
    infinities become the directions that they mean."""
    far = np.isinf(x) | np.isinf(y)
    if far.any():
        x, y = (np.where(far, np.where(np.isinf(v), np.copysign(1.0, v), 0.0), v) for v in (x, y))
    top = np.maximum(np.abs(x), np.abs(y))
    _, e = np.frexp(np.where(np.isnan(top), 1.0, top))
    return np.ldexp(x, -e), np.ldexp(y, -e), e, ~far & (top != 0)


def _direction_kernel(x: Any, y: Any) -> Any:
    r = np.hypot(x, y)
    if (np.isinf(r) | (r < 1e18 * np.finfo(r.dtype).tiny)).any():
        x, y, _, _ = _in_plane(x, y)
        r = np.hypot(x, y)
        r = np.where(r == 0, 1, r)
    return x / r


_direction: Any = helper(
    "direction", 2, wide(_direction_kernel),
    lambda r, x, y: (_bent(x, y, 1.0, 0, 2, 2), _bent(x, y, -1.0, 1, 1, 2)),
    lower=lambda s, x, y: s.direction(x, y), oracle=lambda x, y: x / np.hypot(x, y), domain=((-3.0, 3.0), (0.3, 3.0)),
    doc="x / hypot(x, y), the cosine of the direction of (x, y), and 0 at the origin.")


def _bent_kernel(x: Any, y: Any, c: float, a: int, b: int, k: int) -> Any:
    u, v, e, live = _in_plane(x, y)
    q = u * u + v * v
    q = np.where(q == 0, 1, q)
    factors = [u] * a + [v] * b
    out: Any = c * factors.pop()
    scale = e * (1 - k)
    half = np.clip(scale, 0, 1000)                       # early, so that squares of tiny cosines do not vanish
    out = np.ldexp(out, half)
    for factor in factors:
        out = out * factor
    roots = a + b + k - 1
    for _ in range(roots // 2):
        out = out / q
    if roots % 2:
        out = out / np.sqrt(q)
    return np.where(live | np.isnan(q), np.ldexp(out, scale - half), 0.0)


def _bent_partials(_: Any, x: Any, y: Any, c: float, a: int, b: int, k: int) -> Any:
    def part(p: Any, q: Any) -> Any:
        return p if q is None else add(p, q)

    in_x = part(_bent(x, y, -c * (b + k - 1), a + 1, b, k + 1), _bent(x, y, c * a, a - 1, b + 2, k + 1) if a else None)
    in_y = part(_bent(x, y, -c * (a + k - 1), a, b + 1, k + 1), _bent(x, y, c * b, a + 2, b - 1, k + 1) if b else None)
    return in_x, in_y


def _plane_infer(name: str) -> Callable[..., Spec]:
    plain = elementwise_infer(name, ("f", "f"), "same")
    return lambda x, y, **_: plain(x, y)


def _plane_cases(*params: dict[str, Any]) -> Any:
    return tuple((lambda rng, p=p: ((rng.uniform(-3, 3, (2, 3)), rng.uniform(0.3, 3, (2, 3))), p)) for p in params)


BENT: Primitive = Primitive(
    "hypot_slope", _plane_infer("hypot_slope"), wide(_bent_kernel), partials=_bent_partials, elementwise=True,
    lower=lambda s, x, y, **p: s.hypot_slope(x, y, **p),
    oracle=lambda x, y, c, a, b, k: c * x ** a * y ** b / np.hypot(x, y) ** (a + b + k - 1),
    cases=_plane_cases({"c": 1.0, "a": 0, "b": 2, "k": 2}, {"c": -1.0, "a": 1, "b": 1, "k": 2},
                       {"c": 3.0, "a": 1, "b": 2, "k": 3}),
    doc="c x**a y**b / hypot(x, y)**(a + b + k - 1), the pieces of the k-th derivatives of hypot; 0 at the origin.")


def _bent(x: Any, y: Any, c: float, a: int, b: int, k: int) -> Any:
    return record(BENT.op(c=c, a=a, b=b, k=k), x, y)


hypot: Any = elementwise(
    "hypot", 2, wide(np.hypot), lambda r, x, y: (_direction(x, y), _direction(y, x)), kinds="f", oracle="numpy.hypot",
    lower=lambda s, x, y: s.hypot(x, y),
    error=measured("NumPy's hypot; slopes from a point scaled by a power of two"),
    doc=example("sqrt(x**2 + y**2) without overflow.", "float(ad.hypot(3.0, 4.0))", "5.0",
                "Its derivatives at the origin are 0."))


# The angle is the imaginary part of log(x + i y), so its derivatives are real and imaginary parts of (x + i y)**-n.


def _turn_kernel(x: Any, y: Any, c: float, n: int, part: str) -> Any:
    u, v, e, live = _in_plane(x, y)
    q = u * u + v * v
    q = np.where(q == 0, 1, q)
    if n == 1:
        out = c * (u if part == "re" else -v) / q
    elif n == 2:
        out = c * ((u - v) * (u + v) if part == "re" else -2 * u * v) / q / q
    else:
        w = (np.asarray(u / q, np.float64) - 1j * (v / q)) ** n
        out = c * (w.real if part == "re" else w.imag)
    return np.where(live | np.isnan(q), np.ldexp(out, -n * e), 0.0)


def _turn_partials(_: Any, x: Any, y: Any, c: float, n: int, part: str) -> Any:
    if part == "re":
        return _turn(x, y, -n * c, n + 1, "re"), _turn(x, y, n * c, n + 1, "im")
    return _turn(x, y, -n * c, n + 1, "im"), _turn(x, y, -n * c, n + 1, "re")


def _turn_oracle(x: Any, y: Any, c: float, n: int, part: str) -> Any:
    w = (x + 1j * y) ** -n
    return c * (w.real if part == "re" else w.imag)


TURN: Primitive = Primitive(
    "turn", _plane_infer("turn"), wide(_turn_kernel), partials=_turn_partials, elementwise=True, oracle=_turn_oracle,
    lower=lambda s, x, y, **p: s.turn(x, y, **p),
    cases=_plane_cases({"c": 1.0, "n": 1, "part": "re"}, {"c": 1.0, "n": 1, "part": "im"}, {"c": -1.0, "n": 2, "part": "re"},
                       {"c": -1.0, "n": 2, "part": "im"}, {"c": 2.0, "n": 3, "part": "re"}),
    doc="c times the real or imaginary part of (x + i y)**-n, and 0 at the origin: the derivatives of the angle.")


def _turn(x: Any, y: Any, c: float, n: int, part: str) -> Any:
    return record(TURN.op(c=c, n=n, part=part), x, y)


atan2 = elementwise(
    "atan2", 2, wide(np.arctan2), lambda r, y, x: (_turn(x, y, 1.0, 1, "re"), _turn(x, y, 1.0, 1, "im")), kinds="f",
    lower=lambda s, y, x: s.atan2(y, x), oracle="numpy.arctan2",
    error=measured("NumPy's arctan2; slopes from a point scaled by a power of two"),
    doc=example("The angle of the point (y, x) as seen in the plane: atan2(y, x), in [-pi, pi].",
                "round(float(ad.atan2(1.0, -1.0)), 4)", "2.3562", "Its derivatives at the origin are 0."))


def angle(x: Any) -> Any:
    """The argument of a complex number, in [-pi, pi]; for a real ``x`` 0 or pi.

    Raises DtypeError for integers and booleans.

    >>> import adjoint as ad
    >>> round(float(ad.angle(1.0j)), 4)
    1.5708
    """
    t = x if isinstance(x, Value) else convert(x)
    return atan2(imag(t), real(t))

"""The gamma function and its relatives left of 0, by reflection, and in two parts where the two sides cancel.

With e = x - rint(x), which is exact, pi cot(pi e), (pi / sin(pi e))^2 and so on are a power of e times a polynomial in e^2.
What they leave of the function at 1 - x has lost digits near the roots, one in each unit interval; there it is computed again
with sums of two numbers: Stirling's series (DLMF 5.11.1) after 16 steps of the recurrence, sine and cosine.
"""
from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np

from . import _twofold
from ._curves import horner, scipy_special, two_product, two_sum
from ._fits import BENT_POLES, POLES
from ._twofold import PI, Twofold, ratio, repaired

_SHIFT, _TERMS = 16, 20


@lru_cache(1)
def _bernoulli() -> list[Fraction]:
    """B_2, B_4, ..."""
    b: list[Fraction] = []
    for n in range(2 * _TERMS + 1):
        b.append(Fraction(int(n == 0)) - sum((comb(n, k) * b[k] / (n - k + 1) for k in range(n)), Fraction(0)))
    return b[2::2]


@lru_cache(4)
def _series(n: int) -> tuple[Twofold, ...]:
    """The terms with Bernoulli numbers of log Gamma (n = -1), psi (0) and psi'' (2), as polynomials in 1 / z^2."""
    out = []
    for k, b in enumerate(_bernoulli(), 1):
        c = b / (2 * k * (2 * k - 1)) if n < 0 else -b / (2 * k) if n == 0 else -b * (2 * k + 1)
        out.append(ratio(c.numerator, c.denominator))
    return tuple(out)


@lru_cache(1)
def _from_half() -> tuple[float, ...]:
    """psi(w + 1/2) - log w, over 1 / w^2, in 1 / w^2."""
    return tuple(float((1 - Fraction(1, 2 ** (2 * k - 1))) * b / (2 * k)) for k, b in enumerate(_bernoulli()[:10], 1))


def _steps(y: Twofold) -> list[Twofold]:
    return [y + float(k) for k in range(_SHIFT)]


def polygamma(y: Twofold, n: int) -> Twofold:
    """psi (n = 0) or psi'' (n = 2) for y >= 1."""
    z = y + float(_SHIFT)
    r = 1.0 / z
    square = r * r
    tail = horner(_series(n), square) * square
    total = _twofold.log(z) - r * 0.5 + tail if n == 0 else tail * square - square - square * r
    for s in _steps(y):
        q = 1.0 / s
        total = total - (q if n == 0 else q * q * q * 2.0)
    return total


def gamma(y: Twofold) -> Twofold:
    """Gamma(y) for 1 <= y < 30."""
    z = y + float(_SHIFT)
    r = 1.0 / z
    stirling = (z - 0.5) * _twofold.log(z) - z + _twofold.log(PI * 2.0) * 0.5 + horner(_series(-1), r * r) * r
    product = y
    for s in _steps(y)[1:]:
        product = product * s
    return _twofold.exp(stirling) / product


def reflected(x: Any, n: int, right: Any) -> Any:
    """psi^(n)(x) for x < 0 from ``right`` = psi^(n)(1 - x), n <= 2; NaN at the poles of even n."""
    e = x - np.rint(x)
    if n == 2:
        a = np.abs(e)
        near, u = np.minimum(a, 0.25), np.minimum(0.5 - a, 0.25)
        turn = np.where(a < 0.25, horner(BENT_POLES[0], near * near) / a / a / a, u * horner(BENT_POLES[1], u * u))
        y = right - np.copysign(turn, e)
        return repaired(y, np.abs(right), lambda x: careful_polygamma(x, 2), x)
    c = horner(POLES[n], e * e)
    if n == 1:
        return c / e / e - right
    w = np.maximum(0.5 - x, 6.0)
    right = np.where(x < -6.0, np.log(w) + horner(_from_half(), 1.0 / (w * w)) / (w * w), right)
    q = 1.0 / e                                          # pi cot(pi e) = 1 / e + e c
    product, low = two_product(q, e)
    y = (right - e * c) - q
    y = np.where(np.abs(e) < 1e-3, y, y - ((1.0 - product) - low) * q)
    return repaired(y, np.where(x < -6.0, 0.5 * right, 0.0), lambda x: careful_polygamma(x, 0), x)


def reflected_lgamma(x: Any) -> Any:
    """log |Gamma(x)| for -25 < x < 0."""
    e = x - np.rint(x)
    z, low = two_sum(1.0, -x)
    y = np.log(np.sqrt(horner(POLES[1], e * e)) / (np.abs(e) * scipy_special().gamma(z))) - low * np.log(0.5 - x)
    return repaired(y, 0.5, careful_lgamma, x)


def _one_minus(x: Any) -> Twofold:
    return Twofold(*two_sum(1.0, -x))


def careful_polygamma(x: Any, n: int) -> Twofold:
    """psi (n = 0) or psi'' (n = 2) of x < 0."""
    s, c = _twofold.sin_cos_pi(x - np.rint(x))
    cot = c / s
    turn = PI * cot
    if n == 2:
        turn = turn * (cot * cot + 1.0) * PI * PI * 2.0
    return polygamma(_one_minus(x), n) - turn


def careful_lgamma(x: Any) -> Twofold:
    """log |Gamma(x)| for -28 < x < 0."""
    s, _ = _twofold.sin_cos_pi(x - np.rint(x))
    product = s * gamma(_one_minus(x))
    size = PI / product
    return _twofold.log(Twofold(np.abs(size.high), size.low * np.sign(size.high)))

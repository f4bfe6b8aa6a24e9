"""Makes src/adjoint/primitives/_fits.py: minimax polynomials of the error, Bessel and gamma functions and their slopes.

    python tools/fits.py [NAME ...]    prints each polynomial's error; writes the file (of the others it keeps what it has)

Each function, and each derivative on its own, is divided by a simple factor that has its roots and its decay, so that what is
left is nearly constant and nothing cancels. A half line is mapped to [-1, 1] by y = (x - K) / (x + K). The fits are those of
minimax.py.
"""
from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any

from minimax import mp, polynomial, rounded

Function = Callable[[Any], Any]
TARGET = Path(__file__).parent.parent / "src" / "adjoint" / "primitives" / "_fits.py"
NEXT_TO = mp.mpf(10) ** -9                               # where functions of a half line are not asked for their limits

# --------------------------------------------------------------------------------------------------- the error functions

ROOT_PI = mp.sqrt(mp.pi)
DENSITY = 1 / mp.sqrt(2 * mp.pi)


def erfcx(x: Any) -> tuple[Any, Any, Any]:
    y = mp.exp(x * x) * mp.erfc(x)
    slope = 2 * x * y - 2 / ROOT_PI
    return y, slope, 2 * y + 2 * x * slope


def tail(a: Any) -> Any:
    """Phi(-a) / exp(-a**2 / 2)."""
    return erfcx(a / mp.sqrt(2))[0] / 2


def gelu_slope(a: Any) -> Any:
    """The slope of gelu at -a, over exp(-a**2 / 2)."""
    return tail(a) - a * DENSITY


RATE, CUBE = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")


def gelu_tanh_bend(u: Any) -> Any:
    """The second derivative of x sigmoid(v), v = RATE (x + CUBE x**3), in u = x**2 / 1.62 - 1, without its root."""
    a = mp.sqrt((1 + u) * mp.mpf("1.62"))
    return bend(a) / (a - gelu_tanh_root()) / (a + gelu_tanh_root())


def bend(a: Any) -> Any:
    w = CUBE * a * a
    e = mp.exp(-RATE * a * (1 + w))
    return (2 * RATE * (1 + 6 * w) * (1 + e) - RATE ** 2 * a * (1 + 3 * w) ** 2 * (1 - e)) * e / (1 + e) ** 3


@lru_cache(1)
def gelu_tanh_root() -> Any:
    return mp.findroot(bend, 1.4185)


def hazard_slope(a: Any) -> Any:
    """(phi / Phi)' at -a."""
    h = DENSITY / tail(a)                                # for a < 0 too
    return -h * (h - a)


def erfinv(z: Any, order: int) -> Any:
    y = mp.erfinv(mp.sqrt(z))
    slope = ROOT_PI / 2 * mp.exp(y * y)
    return slope if order == 1 else 2 * y * slope ** 2 / mp.sqrt(z)


@lru_cache(4096)
def quantile(r: Any) -> Any:
    """y with erfc(y) = exp(-r**2)."""
    y = mp.sqrt(max(r * r - mp.log(r + 1) - mp.mpf("0.3"), mp.mpf("0.2")))
    for _ in range(60):
        e = mp.erfc(y)
        step = (mp.log(e) + r * r) * erfcx(y)[0] * ROOT_PI / 2
        y += step
        if abs(step) < mp.mpf(10) ** -60:
            break
    return y


# ------------------------------------------------------------------------------------------------------------- Bessel


@lru_cache(4096)
def bessel(n: int, a: Any) -> tuple[Any, Any, Any]:
    """exp(-a) I_n(a) and its derivatives, n = 0 or 1."""
    zero, one = [mp.exp(-a) * mp.besseli(k, a) for k in (0, 1)] if a < 1000 else [far_bessel(k, a) for k in (0, 1)]
    bent = zero - one / a                                # I_1'
    if n == 0:
        return zero, one - zero, zero - one + bent - one
    slope = bent - one
    return one, slope, (one - zero) - (slope / a - one / a ** 2) - slope


def far_bessel(n: int, a: Any) -> Any:
    term, total = mp.mpf(1), mp.mpf(0)
    for k in range(1, 1000):
        total += term
        term *= -(4 * n * n - (2 * k - 1) ** 2) / (8 * k * a)
        if abs(term) < mp.mpf(2) ** -320:
            break
    return total / mp.sqrt(2 * mp.pi * a)


def bessel_near(n: int, order: int, y: Any) -> Any:
    """In y = a / 3 - 1, over the factor that has the root."""
    a = 3 * (1 + y)
    return bessel(n, a)[order] / (1 if n == 0 else a if order == 0 else a - bessel_root(order)) * (a + 2) ** (order + 2)


def bessel_far(n: int, order: int, y: Any) -> Any:
    a = 12 / (1 + y)
    return bessel(n, a)[order] * mp.sqrt(a) ** (2 * order + 1)


@lru_cache(2)
def bessel_root(order: int) -> Any:
    return mp.findroot(lambda a: bessel(1, a)[order], (None, 1.545, 2.781)[order], tol=mp.mpf(10) ** -150)


# -------------------------------------------------------------------------------------------------------------- gamma


def reflected(n: int, z: Any) -> Any:
    """d^n/de^n of pi cot(pi e), z = e**2; for n = 0 less the pole, over e, for n = 1 without sign and pole."""
    e = mp.sqrt(z)
    s, c = mp.sin(mp.pi * e), mp.cos(mp.pi * e)
    if n == 0:
        return (mp.pi * c / s - 1 / e) / e
    return (mp.pi * e / s) ** 2


def bent_reflection(z: Any, half: bool) -> Any:
    """2 pi**3 cos(pi e) / sin(pi e)**3, times e**3 in z = e**2, or over u = 1/2 - e in z = u**2."""
    d = mp.sqrt(z)
    s, c = mp.sin(mp.pi * d), mp.cos(mp.pi * d)
    return 2 * mp.pi ** 3 * s / c ** 3 / d if half else 2 * (mp.pi * d / s) ** 3 * c


def trigamma(n: int, x: Any) -> Any:
    """psi^(n)(1 + x)."""
    return mp.psi(n, 1 + x)


def lgamma(d: Any) -> Any:
    return mp.loggamma(d + mp.mpf("1.5")) / ((d + mp.mpf("0.5")) * (d - mp.mpf("0.5")))


def sinc(order: int, u: Any) -> Any:
    """sinc' over x, or sinc'' over x**2 - root**2, in u = x**2."""
    x = mp.sqrt(u)
    z = mp.pi * x
    s, c = mp.sin(z), mp.cos(z)
    if order == 1:
        return (c - s / z) / u
    return -(mp.pi * s * (1 - 2 / z ** 2) + 2 * c / x) / x / (u - sinc_root() ** 2)


@lru_cache(1)
def sinc_root() -> Any:
    return mp.findroot(lambda z: (2 - z * z) * mp.sin(z) - 2 * z * mp.cos(z), 2.0816) / mp.pi


# -------------------------------------------------------------------------------------------------------------- fitting


def half_line(k: str, f: Function) -> tuple[Function, Any, Any]:
    """f on [0, inf) in y = (x - k) / (x + k), with its interval."""
    width = mp.mpf(k)
    return lambda y: f(width * (1 + y) / (1 - y)), mp.mpf(-1), 1 - NEXT_TO


def over(k: str, power: int, f: Function) -> Function:
    """f(x) (x + k)**power."""
    shift = mp.mpf(k)
    return lambda x: f(x) * (x + shift) ** power


def rows() -> list[tuple[str, Function, Any, Any, int, str]]:
    """Name, function, interval, degree, meaning. A name occurs once for each order of derivative."""
    out: list[tuple[str, Function, Any, Any, int, str]] = []

    def put(name: str, fit: tuple[Function, Any, Any], degree: int, note: str) -> None:
        out.append((name, *fit, degree, note))

    put("TAIL", half_line("3.5", lambda u: tail(u - mp.mpf("0.75")) * (u + mp.mpf("0.75"))), 29,
        "Phi(-a) exp(a**2 / 2) (a + 1.5), of a + 0.75, K = 3.5")
    put("GELU_SLOPE", half_line("3.5", lambda a: gelu_slope(a) / (a - GELU_ROOT)), 23,
        "gelu'(-a) exp(a**2 / 2) / (a - its root), K = 3.5")
    put("GELU_TANH_BEND", (gelu_tanh_bend, mp.mpf(-1) + mp.mpf(10) ** -12, mp.mpf(1)), 18,
        "gelu_tanh'' / (x**2 - its root**2) in x**2 / 1.62 - 1 for |x| < 1.8")
    for n, (k, degree) in enumerate((("0.5625", 25), ("0.8125", 28), ("1", 29))):
        put("ERFCX", half_line("2.5", over(k, n + 1, lambda x, n=n: erfcx(x)[n])), degree,  # type: ignore[misc]
            f"erfcx of order {n}, times (x + {k})**{n + 1}, K = 2.5")
    put("HAZARD_SLOPE", half_line("2.5", lambda u: hazard_slope(u - 1)), 37, "(phi / Phi)'(1 - x), K = 2.5")
    for n, degree in ((1, 14), (2, 15)):
        put("ERFINV_NEAR", (partial(erfinv, order=n), mp.mpf(10) ** -14, mp.mpf("0.2501")), degree,
            f"erfinv of order {n}{', over x' if n == 2 else ''}, in x**2 < 1/4")
    low, high = 5 / (mp.mpf("6.08") + 1) - mp.mpf("1.75"), 5 / (mp.sqrt(mp.log(2)) * mp.mpf("0.999") + 1) - mp.mpf("1.75")
    for n, degree in ((1, 24), (2, 26)):
        def far(w: Any, n: int = n) -> Any:
            v = (w + mp.mpf("1.75")) / 5
            y = quantile(1 / v - 1)
            return (2 * y if n == 2 else 1) * (ROOT_PI / 2 * erfcx(y)[0]) ** n / v

        put("ERFINV_FAR", (far, low, high), degree,
            f"erfinv of order {n} times q**{n} / v, in 5 v - 1.75, v = 1 / (1 + sqrt(-log q)), "
            "q = 1 - x < 1/2")
    for n in (0, 1):
        for order, degree in enumerate(((26, 27, 28), (25, 27, 28))[n]):
            put(f"BESSEL{n}_NEAR", (partial(bessel_near, n, order), -1 + mp.mpf(10) ** -12, mp.mpf(1)), degree,
                f"exp(-a) I_{n}(a) of order {order}{', over its root,' if n else ''} times (a + 2)**{order + 2}, in a / 3 - 1 "
                "for a < 6")
        for order, degree in enumerate((29, 35, 40)):
            put(f"BESSEL{n}_FAR", (partial(bessel_far, n, order), -1 + mp.mpf(10) ** -6, mp.mpf(1)), degree,
                f"exp(-a) I_{n}(a) of order {order} times a**{order}.5, in 12 / a - 1 for a > 6")
    for n, degree in enumerate((15, 16)):
        put("POLES", (partial(reflected, n), mp.mpf(10) ** -12, mp.mpf("0.25") - mp.mpf(10) ** -12), degree,
            ("(pi cot(pi e) - 1 / e) / e", "(pi / sin(pi e))**2 e**2")[n] + ", in e**2")
    for half, degree in ((False, 10), (True, 18)):
        put("BENT_POLES", (partial(bent_reflection, half=half), mp.mpf(10) ** -12, mp.mpf("0.0625")), degree,
            "2 pi**3 cos(pi e) / sin(pi e)**3, " + ("over u = 1/2 - |e|, in u**2" if half else "times e**3, in e**2"))
    for n, (k, degree) in enumerate((("0.609375", 26), ("0.640625", 28)), 1):
        put("POLYGAMMA", half_line("2", over(k, n, partial(trigamma, n))), degree,
            f"psi^({n})(1 + x) (x + {k})**{n}, K = 2")
    put("LGAMMA", (lgamma, mp.mpf("-0.9"), mp.mpf("1.1")), 34, "log Gamma(x) / ((x - 1) (x - 2)) in x - 1.5 for 0.6 < x < 2.6")
    for n, degree in ((1, 11), (2, 11)):
        put("SINC", (partial(sinc, n), mp.mpf(10) ** -12, mp.mpf("1.45")), degree,
            ("sinc' / x", "sinc'' / (x**2 - its root**2)")[n - 1] + " in x**2 for |x| < 1.2")
    return out


GELU_ROOT = mp.findroot(gelu_slope, 0.7518, tol=mp.mpf(10) ** -150)


def fit(index: int) -> tuple[float, ...]:
    name, f, low, high, degree, note = rows()[index]
    f = lru_cache(8192)(f)
    c, error = polynomial(f, low, high, degree, lambda y: 1 / abs(f(y)), "F64")
    print(f"{name:13} degree {degree:2}  relative error {mp.nstr(error, 3):9} {note}", flush=True)
    return tuple(float(v) for v in c)


def main(names: list[str]) -> None:
    kept = runpy.run_path(str(TARGET)) if names and TARGET.exists() else {}
    table = rows()
    wanted = [k for k, row in enumerate(table) if not names or row[0] in names or row[0] not in kept]
    with Pool() as pool:
        made = dict(zip(wanted, pool.map(fit, wanted, chunksize=1)))
    lines = ['"""Coefficients of polynomials, the constant first: written by tools/fits.py, which says what they are."""', ""]
    done: dict[str, list[tuple[tuple[float, ...], str]]] = {}
    for k, (name, *_, note) in enumerate(table):
        have = done.setdefault(name, [])
        have.append((made[k] if k in made else kept[name][len(have)], note))
    for name, orders in done.items():
        lines.append(f"{name} = (")
        for c, note in orders:
            lines += [f"    # {note}", "    ("]
            lines += ["        " + ", ".join(repr(v) for v in c[i:i + 4]) + "," for i in range(0, len(c), 4)]
            lines.append("    ),")
        lines.append(")")
    for name, roots in (("GELU_ROOT", [GELU_ROOT]), ("GELU_TANH_ROOT", [gelu_tanh_root()]),
                        ("SINC_ROOT", [sinc_root()]), ("BESSEL1_ROOTS", [bessel_root(1), bessel_root(2)])):
        split = [(float(rounded(r, "F64")), float(r - rounded(r, "F64"))) for r in roots]
        lines.append(f"{name} = {tuple(split) if len(split) > 1 else split[0]!r}")
    TARGET.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

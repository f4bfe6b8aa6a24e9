"""Makes src/adjoint/_scalar/coefficients.py: minimax polynomials whose coefficients are numbers of the type they serve.

    python tools/minimax.py            prints each polynomial's error and writes the file

A fit minimizes the largest weighted error on Chebyshev points by reweighted least squares (Lawson's algorithm) in mpmath.
Then the coefficients are rounded one after the other, the constant first, and those that follow are fitted anew, so that
they make up for what rounding took. Constants are split into a head and a tail of the type.
"""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.prec = 300
Function = Callable[[Any], Any]
TARGET = Path(__file__).parent.parent / "src" / "adjoint" / "_scalar" / "coefficients.py"
DTYPES = {"F32": np.float32, "F64": np.float64}

# ------------------------------------------------------------------------------------------------------------- fitting


def rounded(value: Any, kind: str) -> Any:
    """The nearest number of a type."""
    if value == 0:
        return mp.mpf(0)
    unit = mp.mpf(2) ** (mp.floor(mp.log(abs(value), 2)) - (23 if kind == "F32" else 52))
    return mp.nint(value / unit) * unit


def polynomial(f: Function, low: Any, high: Any, degree: int, weight: Function, kind: str) -> tuple[list[Any], Any]:
    """Coefficients, the constant first, and the largest weighted error."""
    low, high = mp.mpf(low), mp.mpf(high)
    count = (3 * degree + 7) // 2 * 2                    # even: not the middle, where some weights are 0 / 0
    xs = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    ys, ws = [f(x) for x in xs], [weight(x) for x in xs]
    share = [mp.mpf(1)] * count
    fixed: list[Any] = []

    def solve() -> list[Any]:
        m = len(fixed)
        a, b = mp.matrix(count, degree + 1 - m), mp.matrix(count, 1)
        for i, x in enumerate(xs):
            g = mp.sqrt(share[i]) * ws[i]
            power = g * x ** m
            b[i] = g * (ys[i] - (mp.polyval(fixed[::-1], x) if m else 0))
            for j in range(degree + 1 - m):
                a[i, j] = power
                power *= x
        return list(mp.lu_solve(a.T * a, a.T * b))

    for _ in range(12):
        c = solve()
        errors = [abs(mp.polyval(c[::-1], x) - y) * w for x, y, w in zip(xs, ys, ws)]
        total = mp.fsum(s * e for s, e in zip(share, errors))
        share = [s * e * count / total + mp.mpf("1e-12") for s, e in zip(share, errors)]
    while len(fixed) <= degree:
        fixed.append(rounded(solve()[0], kind))
    grid = [low + (high - low) * (k + mp.mpf("0.37")) / 300 for k in range(300)]
    return fixed, max(abs(mp.polyval(fixed[::-1], x) - f(x)) * weight(x) for x in grid)


def parts(value: Any, kind: str, count: int = 2) -> tuple[Any, ...]:
    """A number as a sum of numbers of a type."""
    out = []
    for _ in range(count):
        out.append(rounded(value, kind))
        value -= out[-1]
    return tuple(out)


def cut(value: Any, bits: tuple[int, ...]) -> tuple[Any, ...]:
    """A number as a sum of numbers with so many bits."""
    out = []
    for n in bits:
        unit = mp.mpf(2) ** (mp.floor(mp.log(abs(value), 2)) - n + 1)
        out.append(mp.nint(value / unit) * unit)
        value -= out[-1]
    return tuple(out)


# ----------------------------------------------------------------------------------------------------------- functions

LN2 = mp.log(2)
SMALL = mp.mpf("1e-12")
ATAN_END = (mp.sqrt(2) - 1) ** 2 * mp.mpf("1.001")
QUARTER = (mp.pi / 4 * mp.mpf("1.001")) ** 2
RATE, CUBE = 2 * mp.sqrt(2 / mp.pi), mp.mpf("0.044715")
CENTRE = {"F32": mp.mpf("2.623046875"), "F64": mp.mpf("3.25")}   # for float32 where two coefficients need no rounding


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def density(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def gelu_slope(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2 + x * density(x)


def silu_slope(x: Any) -> Any:
    return sigmoid(x) * (1 + x * (1 - sigmoid(x)))


def silu_curvature(x: Any) -> Any:
    return sigmoid(x) * sigmoid(-x) * (2 - x * mp.tanh(x / 2))


def gelu_tanh_slope(x: Any) -> Any:
    s = sigmoid(RATE * (x + CUBE * x ** 3))
    return s * (1 + x * (1 - s) * RATE * (1 + 3 * CUBE * x * x))


def tail(kind: str) -> Function:
    """Phi(-x) exp(x**2 / 2) (x + K), as a function of y = 1 - 2 K / (x + K)."""
    k = CENTRE[kind]

    def f(y: Any) -> Any:
        x = 2 * k / (1 - y) - k
        return mp.exp(x * x / 2) * mp.erfc(x / mp.sqrt(2)) / 2 * (x + k)

    return f


def logs(z: Any) -> Any:
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / (s * z)


def relative(f: Function) -> Function:
    return lambda x: 1 / abs(f(x))


def sine(z: Any) -> Any:
    return (mp.sin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def cosine(z: Any) -> Any:
    return (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z ** 2


def atan(z: Any) -> Any:
    return (mp.atan(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def asin(z: Any) -> Any:
    return (mp.asin(mp.sqrt(z)) / mp.sqrt(z) - 1) / z


def table(kind: str) -> list[tuple[str, Function, Any, Any, int, Function, str]]:
    """Name, function, interval, degree, weight, meaning."""
    wide = kind == "F64"
    half = LN2 / 2 * mp.mpf("1.001")
    third = mp.mpf("0.33334")
    far = 1 - 2 * CENTRE[kind] / ((40 if wide else 15) + CENTRE[kind])
    rows: list[tuple[str, Function, Any, Any, int, Function, str]] = [
        ("EXP", lambda r: (mp.exp(r) - 1 - r) / r ** 2, -half, half, 10 if wide else 4, lambda r: r * r * mp.exp(-r),
         "(exp(r) - 1 - r) / r**2"),
        ("EXP2", lambda r: (mp.mpf(2) ** r - 1 - r * LN2) / r ** 2, -0.5005, 0.5005, 10 if wide else 4,
         lambda r: r * r * mp.mpf(2) ** -r, "(2**r - 1 - r log(2)) / r**2"),
        ("SOFT", lambda e: (mp.log1p(e) - e) / e ** 2, SMALL, 1, 20 if wide else 8, lambda e: e * e / mp.log1p(e),
         "(log(1 + e) - e) / e**2"),
        ("SIN", sine, SMALL, QUARTER, 6 if wide else 2, lambda z: z, "(sin(r) - r) / r**3 in r**2"),
        ("COS", cosine, SMALL, QUARTER, 6 if wide else 2, lambda z: z * z * mp.mpf("1.4"),
         "(cos(r) - 1 + r**2/2) / r**4 in r**2"),
        ("ERF", lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1, SMALL, 1, 12 if wide else 6, lambda z: mp.mpf(1),
         "erf(x) / x - 1 in x**2, |x| <= 1"),
        ("TAIL", tail(kind), -1, far, 26 if wide else 9, relative(tail(kind)),
         "Phi(-x) exp(x**2 / 2) (x + K) in 1 - 2 K / (x + K)"),
    ]
    if wide:
        rows += [
            ("LOG", logs, SMALL, mp.mpf("0.0296"), 6, lambda z: z / 2, "(log((1+s)/(1-s)) - 2s) / s**3 in s**2"),
            ("ATAN", atan, SMALL, ATAN_END, 11, lambda z: z, "(atan(s) - s) / s**3 in s**2"),
            ("ASIN", asin, SMALL, mp.mpf("0.2505"), 12, lambda z: z, "(asin(s) - s) / s**3 in s**2"),
            ("LOG_LONG", lambda z: (logs(z) - mp.mpf(2) / 3) / z, SMALL, mp.mpf("0.0296"), 7, lambda z: z * z / 2,
             "what is left of that without 2/3, over s**2, for logarithms in two parts"),
        ]
    else:
        rows += [
            ("LOG", lambda f: (mp.log1p(f) - f + f * f / 2) / f ** 3, -third, third, 7, lambda f: abs(f ** 3 / mp.log1p(f)),
             "(log(1 + f) - f + f**2/2) / f**3"),
        ]
    return rows


# Slopes near their roots: name, function, about where, how far, degree for float32 and float64.
ROOTS = (("SILU_ROOT", silu_slope, -1.278, mp.mpf("0.31"), 6, 15),
         ("SILU_BEND", silu_curvature, 2.3994, mp.mpf("0.41"), 7, 18),
         ("GELU_ROOT", gelu_slope, -0.7518, mp.mpf("0.46"), 8, 17),
         ("GELU_TANH_ROOT", gelu_tanh_slope, -0.7524, mp.mpf("0.46"), 0, 20))

# In float64 arithmetic for results in float32: where more than float32 is needed on the way.
NARROW = (("LONG_EXP", lambda r: (mp.exp(r) - 1 - r) / r ** 2, -LN2 / 2 * mp.mpf("1.001"), LN2 / 2 * mp.mpf("1.001"), 7,
           lambda r: r * r * mp.exp(-r), "(exp(r) - 1 - r) / r**2, where digits may cancel"),
          ("EXP", lambda r: (mp.exp(r) - 1 - r) / r ** 2, -LN2 / 2 * mp.mpf("1.001"), LN2 / 2 * mp.mpf("1.001"), 5,
           lambda r: r * r * mp.exp(-r), "(exp(r) - 1 - r) / r**2"),
          ("LOG", lambda f: mp.log1p(f) / f, mp.mpf("-0.2930"), mp.mpf("0.4143"), 13, lambda f: f / mp.log1p(f),
           "log(1 + f) / f"),
          ("SIN", sine, SMALL, QUARTER, 3, lambda z: z, "(sin(r) - r) / r**3 in r**2"),
          ("COS", cosine, SMALL, QUARTER, 3, lambda z: z * z * mp.mpf("1.4"), "(cos(r) - 1 + r**2/2) / r**4 in r**2"),
          ("ATAN", atan, SMALL, ATAN_END, 6, lambda z: z, "(atan(s) - s) / s**3 in s**2"),
          ("ASIN", asin, SMALL, mp.mpf("0.2505"), 7, lambda z: z, "(asin(s) - s) / s**3 in s**2"))


def main() -> None:
    lines = ['"""Coefficients of polynomials, the constant first, and constants in parts: written by tools/minimax.py."""',
             "from __future__ import annotations", ""]

    def put(name: str, values: Any, note: str) -> None:
        lines.append(f"    # {note}")
        row = f"    {name} = ({', '.join(repr(float(v)) for v in values)},)"
        lines.extend([row] if len(row) < 128 else [f"    {name} = (", *[f"        {float(v)!r}," for v in values], "    )"])

    def fit(kind: str, row: tuple[Any, ...]) -> None:
        name, f, low, high, degree, weight, what = row
        c, error = polynomial(f, low, high, degree, weight, kind)
        print(f"{kind} {name:14} degree {degree:2}  relative error {mp.nstr(error, 3)}", flush=True)
        put(name, c, f"{what}; relative error {mp.nstr(error, 2)}")

    for kind in DTYPES:
        lines += ["", f"class {kind}:", f'    """For {np.dtype(DTYPES[kind]).name}."""', ""]
        for row in table(kind):
            fit(kind, row)
        for name, f, start, reach, *degrees in ROOTS:
            degree = degrees[kind == "F64"]
            if not degree:                               # float32 is computed in float64
                continue
            root = mp.findroot(f, (mp.mpf(start) - mp.mpf("0.01"), mp.mpf(start) + mp.mpf("0.01")), solver="anderson")
            top = mp.diff(f, root)
            c, error = polynomial(lambda d: (f(root + d) / d - top) / d, -reach, reach, degree - 1,
                                  lambda d: abs(d * d / f(root + d)), kind)
            print(f"{kind} {name:14} degree {degree:2}  relative error {mp.nstr(error, 3)}", flush=True)
            put(name, (*parts(root, kind), rounded(top, kind), *c), "a root in two parts, then the function / (x - root); "
                f"relative error {mp.nstr(error, 2)}")
        for name, value, what in (
                ("LN2", LN2, "log(2)"), ("LOG2E", 1 / LN2, "1 / log(2)"), ("LOG10E", 1 / mp.log(10), "1 / log(10)"),
                ("LOG10_2", LN2 / mp.log(10), "log(2) / log(10)"), ("ROOT2", mp.sqrt(2), "sqrt(2)"),
                ("DENSITY", 1 / mp.sqrt(2 * mp.pi), "1 / sqrt(2 pi)"), ("ERF_SLOPE", 2 / mp.sqrt(mp.pi), "2 / sqrt(pi)"),
                ("TWO_THIRDS", mp.mpf(2) / 3, "2 / 3"), ("RATE", RATE, "2 sqrt(2 / pi)"),
                ("RATE_CUBE", RATE * CUBE, "0.044715 times that")):
            put(name, parts(value, kind), what)
        put("TWO_OVER_PI", parts(2 / mp.pi, kind, 1), "2 / pi")
        if kind == "F32":
            put("PIO2", cut(mp.pi / 2, (18, 24, 24)), "pi / 2, the first so short that its products with whole numbers are exact")
        else:
            put("PIO2", parts(mp.pi / 2, kind, 3), "pi / 2 in three parts")
        lines += [f"    CENTRE = {float(CENTRE[kind])!r}"]
    lines += ["", "", "class Narrow:", '    """In float64 arithmetic, for results in float32."""', ""]
    for row in NARROW:
        fit("F64", row)
    text = "\n".join(lines).replace('"""\n\n    #', '"""\n\n    #').replace("\n\n\nclass", "\n\n\nclass")
    text = text.replace("annotations\n\n\nclass", "annotations\n\n\nclass").replace("\n\nclass F64", "\n\n\nclass F64")
    TARGET.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

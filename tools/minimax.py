"""Makes src/adjoint/_scalar/coefficients.py: near-minimax polynomials, by interpolation at Chebyshev points in mpmath.

    python tools/minimax.py            prints each polynomial's error and writes the file
"""
from __future__ import annotations

from pathlib import Path

import mpmath as mp

mp.mp.prec = 300
LN2 = mp.log(2)
HALF = LN2 / 2 * mp.mpf("1.001")
QUARTER = (mp.pi / 4 * mp.mpf("1.001")) ** 2
ERFC_CENTRE = 2


def polynomial(f, low, high, degree):  # type: ignore[no-untyped-def]
    """Coefficients, the constant first, and the largest error relative to f."""
    low, high = mp.mpf(low), mp.mpf(high)
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * k + 1) / (2 * degree + 2)) for k in range(degree + 1)]
    c = list(mp.lu_solve(mp.matrix([[x ** j for j in range(degree + 1)] for x in nodes]), mp.matrix([f(x) for x in nodes])))
    grid = [low + (high - low) * (k + mp.mpf("0.37")) / 400 for k in range(400)]
    return c, max(abs(mp.polyval(c[::-1], x) / f(x) - 1) for x in grid)


def logs(z):  # type: ignore[no-untyped-def]
    s = mp.sqrt(z)
    return (mp.log((1 + s) / (1 - s)) - 2 * s) / (s * z)


def scaled_erfc(y):  # type: ignore[no-untyped-def]
    x = ERFC_CENTRE * (1 + y) / (1 - y)
    return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)


def end(x):  # type: ignore[no-untyped-def]
    return (mp.mpf(x) - ERFC_CENTRE) / (x + ERFC_CENTRE)


def atan(z):  # type: ignore[no-untyped-def]
    s = mp.sqrt(z)
    return (mp.atan(s) - s) / (s * z)


TABLE = {
    "EXP": (lambda r: (mp.exp(r) - 1 - r) / (r * r), -HALF, HALF * mp.mpf("1.0001"), 10, "(exp(r) - 1 - r) / r**2"),
    "EXP32": (lambda r: (mp.exp(r) - 1 - r) / (r * r), -HALF, HALF, 5, "the same for float32 results"),
    "EXP44": (lambda r: (mp.exp(r) - 1 - r) / (r * r), -HALF, HALF, 7, "between the two, where digits may cancel"),
    "LOG": (logs, mp.mpf("1e-9"), mp.mpf("0.0296"), 6, "(log((1+s)/(1-s)) - 2s) / s**3 in s**2"),
    "LOG32": (lambda f: mp.log(1 + f) / f, mp.mpf("-0.2930"), mp.mpf("0.4143"), 13, "log(1 + f) / f"),
    "SIN": (lambda z: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, mp.mpf("1e-9"), QUARTER, 6,
            "(sin(r) - r) / r**3 in r**2"),
    "SIN32": (lambda z: (mp.sin(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3, mp.mpf("1e-9"), QUARTER, 3, "for float32"),
    "COS": (lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z ** 2, mp.mpf("1e-9"), QUARTER, 6,
            "(cos(r) - 1 + r**2/2) / r**4 in r**2"),
    "COS32": (lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z ** 2, mp.mpf("1e-9"), QUARTER, 3, "for float32"),
    "ERF": (lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z), mp.mpf("1e-9"), 1, 12, "erf(x) / x in x**2, |x| <= 1"),
    "ERF32": (lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z), mp.mpf("1e-9"), 1, 7, "for float32"),
    "ERFC": (scaled_erfc, end(0), end(28), 24, "exp(x**2) erfc(x) (1 + 2x) in (x - 2) / (x + 2)"),
    "ERFC32": (scaled_erfc, end(0), end(11), 11, "for float32"),
    "ERFC44": (scaled_erfc, end(0), end(11), 17, "between the two, where digits may cancel"),
    "ATAN32": (atan, mp.mpf("1e-9"), mp.mpf("0.1717"), 6, "(atan(s) - s) / s**3 in s**2, for float32"),
}


def main() -> None:
    rows = ['"""Coefficients of the polynomials, the constant first: written by tools/minimax.py."""', ""]
    for name, (f, low, high, degree, what) in TABLE.items():
        c, error = polynomial(f, low, high, degree)
        print(f"{name:8} degree {degree:2}  relative error {mp.nstr(error, 3)}")
        rows += [f"# {what}; relative error {mp.nstr(error, 2)}", f"{name} = ("]
        rows += [f"    {float(a)!r}," for a in c] + [")"]
    def parts(value, bits):  # type: ignore[no-untyped-def]
        out = []
        for n in bits:
            scale = mp.mpf(2) ** (n - 1 - mp.floor(mp.log(abs(value), 2)))
            part = mp.nint(value * scale) / scale
            out.append(float(part))
            value -= part
        return tuple(out)
    rows += ["# log(2) as a head that a small integer multiplies exactly, and a tail", f"LN2 = {parts(LN2, (42, 53))!r}",
             "# pi / 2 in three pieces", f"PIO2 = {parts(mp.pi / 2, (53, 53, 53))!r}", ""]
    target = Path(__file__).parent.parent / "src" / "adjoint" / "_scalar" / "coefficients.py"
    target.write_text("\n".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

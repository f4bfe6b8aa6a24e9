"""Taylor coefficients at the roots of derivatives, for primitives/_roots.py. Usage: python tools/roots.py

Near a root of f' the textbook formula is a difference of nearly equal terms; there d (a1 + a2 d + ...) is used, d being the
distance to the root, which is kept as a sum of two float64 numbers.
"""
from __future__ import annotations

from pathlib import Path
from typing import Any

from mpmath import mp

OUT = Path(__file__).parents[1] / "src" / "adjoint" / "primitives" / "_roots.py"
TERMS = 36


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


FUNCTIONS = {
    "lgamma": lambda x: mp.log(abs(mp.gamma(x))),
    "digamma": lambda x: mp.psi(0, x),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))),
    "gelu_tanh": lambda x: x * sigmoid(mp.sqrt(8 / mp.pi) * (x + mp.mpf("0.044715") * x ** 3)),
}
ROOTS = {                                                # function, order of the derivative -> near its roots
    ("silu", 1): ("-1.2785",), ("silu", 2): ("2.3994", "-2.3994"), ("mish", 1): ("-1.1924",), ("mish", 2): ("-2.2563", "1.4906"),
    ("lgamma", 0): ("-2.457", "-2.7477", "-3.1436", "-3.9553", "-4.0394", "-4.9916", "-5.0082"),
    ("digamma", 0): ("-0.504", "-1.5735", "-2.6107", "-3.6353", "-4.6532", "-5.6672"),
    ("gelu_tanh", 1): ("-0.7525",),
}


def gamma_series(name: str, x: Any) -> list[Any]:
    """Taylor coefficients from the polygamma functions."""
    psi = [mp.psi(k, x) for k in range(TERMS + 3)]
    if name == "lgamma":
        return [mp.mpf(0), *[psi[k - 1] / mp.factorial(k) for k in range(1, TERMS + 1)]]
    return [psi[k] / mp.factorial(k) for k in range(TERMS + 3)]


def entry(name: str, order: int, start: str) -> tuple[float, float, float, list[float]]:
    """The root, what it lacks, the distance within which the series is exact, its coefficients."""
    mp.dps = 90
    f = FUNCTIONS[name]

    def slope(x: Any) -> Any:
        if name == "digamma":
            return mp.psi(order, x)
        return f(x) if order == 0 else mp.taylor(f, x, order)[order] * mp.factorial(order)

    root = mp.findroot(slope, mp.mpf(start), tol=mp.mpf(10) ** -60)
    mp.dps = 200
    series = gamma_series(name, root) if "gamma" in name else mp.taylor(f, root, TERMS + order)
    mp.dps = 60
    c = [series[k + order] * mp.factorial(k + order) / mp.factorial(k) for k in range(1, TERMS + 1)]
    high = float(root)
    pole = abs(root - mp.nint(root)) if "gamma" in name else mp.mpf(3)
    radius = 0.34 * pole                                 # where the terms left out are below 2**-55
    while any(sum(abs(a) * radius ** k for k, a in enumerate(c, 1)) > 2 * abs(sum(a * d ** k for k, a in enumerate(c, 1)))
              for d in (radius, -radius)):               # the terms would cancel among themselves
        radius *= 0.95
    return high, float(root - high), float(mp.nstr(radius, 4)), [float(v) for v in c]


def main() -> None:
    lines = ['"""Taylor coefficients at roots of derivatives, as tools/roots.py writes them.', "",
             "(function, order of the derivative): root, what it lacks, where to use it, coefficients of d, d**2, ...", '"""', "",
             "ROOTS: dict[tuple[str, int], tuple[tuple[float, float, float, tuple[float, ...]], ...]] = {"]
    for (name, order), starts in ROOTS.items():
        lines.append(f'    ("{name}", {order}): (')
        for start in starts:
            high, low, radius, c = entry(name, order, start)
            lines.append(f"        ({high!r}, {low!r}, {radius!r}, (")
            lines += ["            " + ", ".join(repr(v) for v in c[k:k + 4]) + "," for k in range(0, len(c), 4)]
            lines.append("        )),")
        lines.append("    ),")
    lines.append("}")
    OUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

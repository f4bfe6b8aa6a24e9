"""What values and derivatives are where mathematics leaves a choice. Usage: python -m benchmarks.accuracy.edges

EDGES is the table; this writes docs/edge_values.md from it, and tests/accuracy/test_edge_values.py checks each of its rows.
"""
from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

INF, NAN = float("inf"), float("nan")
Number = float | tuple[float, ...]


class Edge(NamedTuple):
    """An expression of x (and y) at a point: a number or a vector each. ``hessian`` is the upper triangle, row by row."""

    expression: str
    at: tuple[Number, ...]
    value: float
    gradient: tuple[float, ...]
    hessian: tuple[float, ...]
    reason: str


_TRUTH = "the one-sided limit: an invented 0 would hide the pole"
_SUBGRADIENT = "the smallest subgradient in magnitude, so that a point at rest stays"
_PRODUCT = "products leaving one and two factors out, never a quotient by the zero"
_EVEN = "shared evenly: symmetric in the arguments, and the cotangents still add up"
_ORIGIN = "no direction is preferred at the origin; 0 keeps it at rest"
_LIMIT = "a term of probability 0 contributes nothing: the limit of x log(x)"
_TAKEN = "the branch not taken does not count, NaN or not"
_MASKED = "a row masked everywhere takes part in nothing"

EDGES: dict[str, list[Edge]] = {
    "Roots, logarithms, poles": [
        Edge("ad.sqrt(x)", (0.0,), 0.0, (INF,), (-INF,), _TRUTH),
        Edge("ad.sqrt(x)", (-0.0,), -0.0, (INF,), (-INF,), "as at 0; the value keeps its sign (IEEE 754)"),
        Edge("ad.sqrt(x)", (-1.0,), NAN, (NAN,), (NAN,), "outside the domain"),
        Edge("ad.sqrt(x)", (INF,), INF, (0.0,), (0.0,), "the limit"),
        Edge("ad.rsqrt(x)", (0.0,), INF, (-INF,), (INF,), _TRUTH),
        Edge("x * ad.sqrt(x)", (0.0,), 0.0, (0.0,), (INF,), "recognised: the slopes are those of x to the 3/2"),
        Edge("ad.cbrt(x)", (0.0,), 0.0, (INF,), (-INF,), "the slope is infinite from both sides; f'' is taken from the right"),
        Edge("ad.reciprocal(x)", (0.0,), INF, (-INF,), (INF,), "from the side that the sign of zero tells"),
        Edge("ad.reciprocal(x)", (-0.0,), -INF, (-INF,), (-INF,), "from the side that the sign of zero tells"),
        Edge("ad.log(x)", (0.0,), -INF, (INF,), (-INF,), _TRUTH),
        Edge("ad.log1p(x)", (-1.0,), -INF, (INF,), (-INF,), _TRUTH),
        Edge("ad.asin(x)", (1.0,), 1.5707963267948966, (INF,), (INF,), _TRUTH),
        Edge("ad.acosh(x)", (1.0,), 0.0, (INF,), (-INF,), _TRUTH),
        Edge("ad.atanh(x)", (1.0,), INF, (INF,), (INF,), _TRUTH),
        Edge("ad.erfinv(x)", (1.0,), INF, (INF,), (INF,), _TRUTH),
        Edge("ad.lgamma(x)", (0.0,), INF, (-INF,), (INF,), "from the right"),
        Edge("ad.divide_no_nan(x, y)", (3.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), "constant 0 where the divisor is 0"),
    ],
    "Powers": [
        Edge("x ** 2", (0.0,), 0.0, (0.0,), (2.0,), "a literal exponent is a polynomial"),
        Edge("x ** 0", (0.0,), 1.0, (0.0,), (0.0,), "x^0 is the empty product, 1 for every x"),
        Edge("x ** y", (0.0, 0.0), 1.0, (0.0, 0.0), (0.0, INF, 0.0), "x^0 is 1 for every x; along y, 0^y is 0 right of 0"),
        Edge("x ** y", (0.0, 2.0), 0.0, (0.0, 0.0), (2.0, 0.0, 0.0), "x^y log(x) tends to 0"),
        Edge("x ** y", (0.0, 1.0), 0.0, (1.0, 0.0), (0.0, -INF, 0.0), "y x^(y - 1) is x^0 = 1; the mixed one is 1 + log(0)"),
        Edge("x ** y", (0.0, 0.5), 0.0, (INF, 0.0), (-INF, -INF, 0.0), _TRUTH),
        Edge("x ** y", (0.0, -1.0), INF, (-INF, -INF), (INF, INF, INF), _TRUTH),
        Edge("x ** y", (-2.0, 3.0), -8.0, (12.0, NAN), (-12.0, NAN, NAN), "real only at whole exponents: no derivative in y"),
        Edge("x ** y", (-2.0, 0.5), NAN, (NAN, NAN), (NAN, NAN, NAN), "not real"),
        Edge("x ** y", (2.0, 0.0), 1.0, (0.0, 0.6931471805599453), (0.0, 0.5, 0.4804530139182014), "ordinary"),
    ],
    "Kinks": [
        Edge("ad.abs(x)", (0.0,), 0.0, (0.0,), (0.0,), _SUBGRADIENT),
        Edge("ad.nn.relu(x)", (0.0,), 0.0, (0.0,), (0.0,), _SUBGRADIENT),
        Edge("ad.nn.relu6(x)", (6.0,), 6.0, (0.0,), (0.0,), _SUBGRADIENT),
        Edge("ad.nn.leaky_relu(x)", (0.0,), 0.0, (0.2,), (0.0,), "the left branch, as for relu"),
        Edge("ad.nn.elu(x)", (0.0,), 0.0, (1.0,), (1.0,), "the left branch, as for relu"),
        Edge("ad.nn.elu(x)", (-0.0,), -0.0, (1.0,), (1.0,), "as at 0; the value keeps its sign (IEEE 754)"),
        Edge("ad.nn.celu(x, 2.0)", (-0.0,), -0.0, (1.0,), (0.5,), "as at 0; the value keeps its sign (IEEE 754)"),
        Edge("ad.nn.selu(x)", (-0.0,), -0.0, (1.7580993408473766,), (1.7580993408473766,), "as at 0; the value keeps its sign"),
        Edge("ad.nn.hard_sigmoid(x)", (3.0,), 1.0, (0.0,), (0.0,), _SUBGRADIENT),
        Edge("ad.nn.hard_swish(x)", (-3.0,), 0.0, (0.0,), (0.0,), "the outer branch"),
        Edge("ad.nn.hard_swish(x)", (3.0,), 3.0, (1.0,), (0.0,), "the outer branch"),
        Edge("ad.nn.softsign(x)", (0.0,), 0.0, (1.0,), (0.0,), "f' is continuous; f'' is the mean of both sides"),
        Edge("ad.sign(x)", (0.0,), 0.0, (0.0,), (0.0,), "constant almost everywhere: the gradient is None"),
        Edge("ad.floor(x)", (1.0,), 1.0, (0.0,), (0.0,), "constant almost everywhere: the gradient is None"),
    ],
    "Ties and bounds": [
        Edge("ad.maximum(x, y)", (1.0, 1.0), 1.0, (0.5, 0.5), (0.0, 0.0, 0.0), _EVEN),
        Edge("ad.minimum(x, y)", (1.0, 1.0), 1.0, (0.5, 0.5), (0.0, 0.0, 0.0), _EVEN),
        Edge("ad.maximum(x, 0.0)", (0.0,), 0.0, (0.5,), (0.0,), "shared evenly with the constant (relu gives 0)"),
        Edge("ad.max(x, axis=-1)", ((1.0, 1.0, 0.0),), 1.0, (0.5, 0.5, 0.0), (0.0,) * 6, _EVEN),
        Edge("ad.min(x, axis=-1)", ((1.0, 0.0, 0.0),), 0.0, (0.0, 0.5, 0.5), (0.0,) * 6, _EVEN),
        Edge("ad.clip(x, 0.0, 1.0)", (0.0,), 0.0, (1.0,), (0.0,), "a bound belongs to the interval: what starts there can leave"),
        Edge("ad.clip(x, 0.0, 1.0)", (1.0,), 1.0, (1.0,), (0.0,), "a bound belongs to the interval: what starts there can leave"),
        Edge("ad.clip(x, 0.0, 1.0)", (2.0,), 1.0, (0.0,), (0.0,), "constant outside"),
        Edge("ad.sort(x, axis=-1)[:, 0]", ((1.0, 1.0),), 1.0, (1.0, 0.0), (0.0,) * 3, "the sort is stable: the first goes first"),
        Edge("ad.cummax(x, -1)[0][:, -1]", ((1.0, 1.0),), 1.0, (1.0, 0.0), (0.0,) * 3, "the first that reaches it"),
        Edge("ad.vector_norm(x, axis=-1, ord=float('inf'))", ((1.0, -1.0),), 1.0, (0.5, -0.5), (0.0,) * 3, _EVEN),
    ],
    "The origin": [
        Edge("ad.hypot(x, y)", (0.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _ORIGIN),
        Edge("ad.vector_norm(x, axis=-1)", ((0.0, 0.0),), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _ORIGIN),
        Edge("ad.sqrt(ad.sum(x * x, axis=-1))", ((0.0, 0.0),), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), "recognised: a norm"),
        Edge("ad.atan2(x, y)", (0.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _ORIGIN),
        Edge("ad.atan2(x, y)", (0.0, -1.0), 3.141592653589793, (-1.0, 0.0), (0.0, -1.0, 0.0),
             "on the cut the branch above; derivatives are the same on both sides"),
        Edge("ad.nn.l2_normalize(x, -1, epsilon=0.0)[:, 0]", ((0.0, 0.0),), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _ORIGIN),
        Edge("ad.std(x, axis=-1)", ((2.0, 2.0),), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), "a norm at its origin"),
        Edge("ad.var(x, axis=-1)", ((2.0, 2.0),), 0.0, (0.0, 0.0), (0.5, -0.5, 0.5), "ordinary: a polynomial"),
    ],
    "Zero times infinity": [
        Edge("ad.xlogy(x, y)", (0.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _LIMIT),
        Edge("ad.xlogy(x, y)", (0.0, 2.0), 0.0, (0.6931471805599453, 0.0), (0.0, 0.5, 0.0), "ordinary"),
        Edge("ad.xlogy(x, y)", (1.0, 0.0), -INF, (-INF, INF), (0.0, INF, -INF), _TRUTH),
        Edge("ad.xlog1py(x, y)", (0.0, -1.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), _LIMIT),
        Edge("ad.xdivy(x, y)", (0.0, 0.0), 0.0, (0.0, 0.0), (0.0, 0.0, 0.0), "a zero numerator wins, with its derivatives"),
        Edge("ad.entr(x)", (0.0,), 0.0, (INF,), (-INF,), "the value is the limit; the slope is infinite"),
        Edge("ad.multiply_no_nan(x, y)", (INF, 0.0), 0.0, (0.0, INF), (0.0, 1.0, 0.0), "a zero factor wins over infinity"),
        Edge("ad.where(x > 0.0, ad.sqrt(x), 0.0)", (0.0,), 0.0, (0.0,), (0.0,), _TAKEN),
        Edge("ad.where(x > 0.0, ad.log(x), x)", (-1.0,), -1.0, (1.0,), (0.0,), _TAKEN),
        Edge("ad.where(x != 0.0, ad.sin(x) / x, 1.0)", (0.0,), 1.0, (0.0,), (0.0,), _TAKEN),
        Edge("ad.prod(x, axis=-1)", ((0.0, 2.0, 3.0),), 0.0, (6.0, 0.0, 0.0), (0.0, 3.0, 2.0, 0.0, 0.0, 0.0), _PRODUCT),
        Edge("ad.prod(x, axis=-1)", ((0.0, 0.0, 3.0),), 0.0, (0.0, 0.0, 0.0), (0.0, 3.0, 0.0, 0.0, 0.0, 0.0), _PRODUCT),
        Edge("ad.cumprod(x, -1)[:, -1]", ((0.0, 2.0, 3.0),), 0.0, (6.0, 0.0, 0.0), (0.0, 3.0, 2.0, 0.0, 0.0, 0.0), _PRODUCT),
    ],
    "Infinite logits": [
        Edge("ad.softmax(x, -1)[:, 0]", ((-INF, -INF),), 0.0, (0.0, 0.0), (0.0,) * 3, _MASKED),
        Edge("ad.softmax(x, -1)[:, 0]", ((-INF, 0.0),), 0.0, (0.0, 0.0), (0.0,) * 3, "masked"),
        Edge("ad.softmax(x, -1)[:, 0]", ((INF, 0.0),), 1.0, (0.0, 0.0), (0.0,) * 3, "certain"),
        Edge("ad.log_softmax(x, -1)[:, 0]", ((-INF, -INF),), -INF, (0.0, 0.0), (0.0,) * 3, _MASKED),
        Edge("ad.logsumexp(x, -1)", ((-INF, -INF),), -INF, (0.0, 0.0), (0.0,) * 3, _MASKED),
        Edge("ad.logsumexp(x, -1)", ((INF, 0.0),), INF, (1.0, 0.0), (0.0,) * 3, "the largest decides"),
        Edge("ad.logaddexp(x, y)", (-INF, -INF), -INF, (0.5, 0.5), (0.25, -0.25, 0.25), "equal arguments share evenly"),
        Edge("ad.sigmoid(x)", (-INF,), 0.0, (0.0,), (0.0,), "the limit"),
        Edge("ad.nn.softplus(x)", (-INF,), 0.0, (0.0,), (0.0,), "the limit"),
        Edge("ad.nn.gelu(x)", (-INF,), -0.0, (0.0,), (0.0,), "the limit"),
        Edge("ad.nn.silu(x)", (-INF,), -0.0, (0.0,), (0.0,), "the limit"),
        Edge("ad.tanh(x)", (INF,), 1.0, (0.0,), (0.0,), "the limit"),
        Edge("ad.sigmoid_cross_entropy_with_logits(y, x)", (INF, 1.0), 0.0, (0.0, -INF), (0.0, -1.0, 0.0), "certain and right"),
    ],
}


def _number(v: Number) -> str:
    if isinstance(v, tuple):
        return "(" + ", ".join(map(_number, v)) + ")"
    return f"{v:g}" if v == v else "nan"


def page() -> str:
    parts = [_HEAD]
    for title, edges in EDGES.items():
        parts += [f"## {title}", "", "| expression | at | value | gradient | second derivatives | reason |", "| --- " * 6 + "|"]
        for e in edges:
            cells = (f"`{e.expression}`".replace("|", "\\|"), ", ".join(map(_number, e.at)), _number(e.value),
                     ", ".join(map(_number, e.gradient)), ", ".join(map(_number, e.hessian)), e.reason)
            parts.append("| " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


_HEAD = """# Edge values

What values and derivatives are at kinks, poles, ties, bounds and infinities: one convention each, the same in every float dtype,
in both engines and in both orders. `python -m benchmarks.accuracy.edges` writes this page; the tests check it row by row. Second
derivatives are the upper triangle of the Hessian, row by row; a gradient that is None (nothing to differentiate) counts as 0.
Where a derivative exists as a limit, infinite or not, it is that; where there is a choice, the reason for it is given.
"""


if __name__ == "__main__":
    Path(__file__).parents[2].joinpath("docs", "edge_values.md").write_text(page(), encoding="utf-8")

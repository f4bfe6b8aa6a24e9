"""Matrix products and einsum against NumPy, and their derivatives."""
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import adjoint as ad
from adjoint._graph import REGISTRY
from adjoint._trace import local

RNG = np.random.default_rng(0)
SHAPES = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
          ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3))]


@pytest.mark.parametrize(("sa", "sb"), SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "complex128", "int32", "float32"])
def test_matmul_is_numpys(sa: Any, sb: Any, dtype: str) -> None:
    a, b = (_array(s, dtype) for s in (sa, sb))
    np.testing.assert_allclose(ad.matmul(ad.Tensor(a), ad.Tensor(b)).numpy(), a @ b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((ad.Tensor(a) @ ad.Tensor(b)).numpy(), a @ b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((ad.Tensor(a) @ b).numpy(), a @ b, rtol=1e-5, atol=1e-6)


def _array(shape: Any, dtype: str) -> Any:
    a = RNG.normal(size=shape) * 3
    return (a + 1j * RNG.normal(size=shape)).astype(dtype) if dtype.startswith("c") else a.astype(dtype)


def _directional(f: Any, xs: list[Any], h: float = 1e-6) -> None:
    """Reverse and forward mode against central differences, complex inputs included."""
    ds = [_array(x.shape, x.dtype.name) for x in xs]
    ts = [ad.Tensor(x) for x in xs]
    with ad.GradientTape() as tape:
        tape.watch(ts)
        y = f(*ts)
        loss = ad.sum(ad.real(y * ad.conj(y)))
    grads = tape.gradient(loss, ts)

    def at(k: float) -> float:
        y = np.asarray(f(*[ad.Tensor(x + k * d) for x, d in zip(xs, ds)]).numpy())
        return float(np.sum(np.abs(y) ** 2))

    numeric = (at(h) - at(-h)) / (2 * h)
    mine = sum(float(np.sum((np.conj(g.numpy()) * d).real)) for g, d in zip(grads, ds))
    np.testing.assert_allclose(mine, numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("sa", "sb"), SHAPES[:9])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_matmul_derivatives(sa: Any, sb: Any, dtype: str) -> None:
    _directional(ad.matmul, [_array(sa, dtype), _array(sb, dtype)])


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=4)))
def test_matmul_flags(flags: Any) -> None:
    ta, tb, ha, hb = flags
    a = _array((3, 2) if ta or ha else (2, 3), "complex128")
    b = _array((4, 3) if tb or hb else (3, 4), "complex128")
    ea = a.conj().T if ha else a.T if ta else a
    eb = b.conj().T if hb else b.T if tb else b
    kwargs = {"transpose_a": ta, "transpose_b": tb, "adjoint_a": ha, "adjoint_b": hb}
    np.testing.assert_allclose(ad.matmul(ad.Tensor(a), ad.Tensor(b), **kwargs).numpy(), ea @ eb)
    _directional(lambda x, y: ad.matmul(x, y, **kwargs), [a, b])


def test_a_gradient_of_a_product_is_a_product() -> None:
    """Transposes are folded into the products of a derivative."""
    a, b = ad.Variable(np.ones((2, 3))), ad.Variable(np.ones((3, 4)))
    with ad.GradientTape() as tape:
        y = a @ b
    start = local.trace.node
    held = tape.gradient(y, [a, b])
    names = [n.op.prim.name for n in local.trace.node.path(start)]
    assert len(held) == 2
    assert names.count("matmul") == 2
    assert "transpose" not in names


def test_narrow_floats_add_up_wide() -> None:
    a = np.full((1, 4096), 1.0, np.float16)
    assert float((ad.Tensor(a) @ ad.Tensor(a.T)).numpy()[0, 0]) == 4096.0
    x = ad.cast(ad.Tensor(np.ones((1, 1024), np.float32)), "bfloat16")
    assert float((x @ ad.transpose(x))[0, 0]) == 1024.0
    assert float(ad.einsum("ij,ij->", x, x)) == 1024.0


@pytest.mark.parametrize(("a", "b", "error"), [
    (np.ones((2, 3)), np.ones((2, 3)), ad.ShapeError), (np.ones(()), np.ones(3), ad.ShapeError),
    (np.ones((2, 2, 3)), np.ones((3, 3, 2)), ad.ShapeError)])
def test_matmul_refuses(a: Any, b: Any, error: Any) -> None:
    with pytest.raises(error, match="matmul"):
        ad.Tensor(a) @ ad.Tensor(b)


def test_the_rest_of_the_family() -> None:
    a, b, m = _array((3,), "complex128"), _array((3,), "complex128"), _array((2, 3), "complex128")
    np.testing.assert_allclose(ad.vecdot(ad.Tensor(m), ad.Tensor(b)).numpy(), (m.conj() * b).sum(-1))
    np.testing.assert_allclose(ad.outer(ad.Tensor(a), ad.Tensor(b)).numpy(), np.outer(a, b))
    np.testing.assert_allclose(ad.dot(ad.Tensor(m), ad.Tensor(b)).numpy(), m @ b)
    np.testing.assert_allclose(ad.inner(ad.Tensor(m), ad.Tensor(m)).numpy(), np.inner(m, m))
    np.testing.assert_allclose(ad.matvec(ad.Tensor(m), ad.Tensor(b)).numpy(), m @ b)
    x, y = _array((2, 3, 4), "float64"), _array((4, 3, 5), "float64")
    for axes in (1, ([1, 2], [1, 0]), (2, 0), ([-1], [0])):
        np.testing.assert_allclose(ad.tensordot(ad.Tensor(x), ad.Tensor(y), axes).numpy(), np.tensordot(x, y, axes))
    _directional(lambda p, q: ad.tensordot(p, q, ([1, 2], [1, 0])), [x, y])
    _directional(ad.vecdot, [m, m + 1])
    np.testing.assert_allclose(ad.tensordot(ad.Tensor(a), ad.Tensor(b), 0).numpy(), np.tensordot(a, b, 0))
    with pytest.raises(ad.AxisError):
        ad.tensordot(ad.Tensor(x), ad.Tensor(y), 4)
    with pytest.raises(ad.ShapeError):
        ad.tensordot(ad.Tensor(x), ad.Tensor(y), 2)
    with pytest.raises(ad.ShapeError):
        ad.vecdot(ad.Tensor([1.0]), ad.Tensor([1.0, 2.0]))


EQUATIONS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), ("ii", (3, 3)),
    ("ii->i", (3, 3)), ("iij->ji", (2, 2, 3)), ("ij->", (2, 3)), ("ij->ji", (2, 3)), ("i,j->ij", (2,), (3,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...ij,...jk->...ik", (5, 2, 3), (1, 3, 4)), ("i...->...", (2, 3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("ij,kl->", (2, 3), (2, 2)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("i,i,i->", (3,), (3,), (3,)), ("ij,ij,ij,ij->i", (2, 3), (2, 3), (2, 3), (2, 3)), ("ii,ij->j", (2, 2), (2, 3)),
    ("ba", (2, 3)), ("...", (2, 3)), ("ij,j", (2, 3), (3,)), ("ijj,jk->ik", (2, 3, 3), (3, 2))]


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda c: f"{c[0]}{c[1:]}")
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_einsum(case: Any, dtype: str) -> None:
    equation, *shapes = case
    xs = [_array(s, dtype) for s in shapes]
    got = ad.einsum(equation, *[ad.Tensor(x) for x in xs])
    want = np.einsum(equation, *xs)
    assert got.shape == want.shape
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-10)
    _directional(lambda *ts: ad.einsum(equation, *ts), xs)


@pytest.mark.parametrize(("equation", "shapes"), [
    ("ij,jk->ik", [(2, 3), (4, 2)]), ("ij->ik", [(2, 3)]), ("ij", [(2,)]), ("ij,jk", [(2, 3)]), ("i->ii", [(2,)]),
    ("i$", [(2,)])])
def test_einsum_refuses(equation: str, shapes: Any) -> None:
    with pytest.raises(ad.ShapeError, match="einsum"):
        ad.einsum(equation, *[ad.Tensor(np.ones(s)) for s in shapes])


def test_second_derivative_of_a_quadratic_form() -> None:
    m, x = _array((3, 3), "float64"), ad.Tensor(_array((3,), "float64"))
    hessian = ad.hessian(lambda t: t @ ad.Tensor(m) @ t)(x)
    np.testing.assert_allclose(hessian.numpy(), m + m.T)


def test_registered() -> None:
    assert {"matmul", "einsum"} <= set(REGISTRY)

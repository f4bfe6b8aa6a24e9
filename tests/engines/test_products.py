"""Matrix products in compiled units: recognised, folded, exact to their bounds, whatever computes them."""
from __future__ import annotations

import ctypes
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adjoint as ad
from adjoint import _graph
from adjoint._config import config
from adjoint._trace import local
from adjoint.engines import llvm as llvm_engine
from adjoint.passes import for_loops
from adjoint.plan.fusion import fuse
from adjoint.plan.products import Product, layout, products
from adjoint.plan.program import Program, extract

pytest.importorskip("llvmlite")
blas = importlib.import_module("adjoint.engines.llvm.blas")
pool = importlib.import_module("adjoint.engines.llvm.threads")
writer = importlib.import_module("adjoint.engines.llvm.products")


@pytest.fixture(autouse=True)
def _engine() -> Iterator[None]:
    before, config.engine = config.engine, "llvm"
    _graph.forget()
    llvm_engine.faults.clear()
    yield
    config.engine = before
    assert llvm_engine.faults == []


def program_of(f: Callable[[], Any]) -> Program:
    """What ``f`` records, before any pass."""
    made = f()
    made = made if isinstance(made, (list, tuple)) else [made]
    return extract(local.trace.node, [t._idx for t in made])


def found_in(f: Callable[[], Any]) -> list[Product]:
    return list(products(program_of(f))[0].values())


def value_of(f: Callable[[], Any]) -> np.ndarray:
    """The value on the compiled engine; nothing of it may be left to a kernel."""
    program = program_of(f)
    assert all(part.__class__.__name__ == "Unit" for part in fuse(program).parts)
    return np.asarray(f().numpy())


def wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.longdouble if x.dtype == np.float64 else np.float64)


def agrees(got: np.ndarray, want: np.ndarray, size: np.ndarray, terms: int, dtype: Any) -> None:
    """Within the bound of a sum of ``terms`` products, whose magnitudes come to ``size``."""
    assert got.dtype == dtype
    assert got.shape == want.shape
    assert np.all(np.abs(wide(got) - want) <= (terms + 2) * np.finfo(dtype).eps * size)


def exact(a: np.ndarray, b: np.ndarray, how: str = "") -> tuple[np.ndarray, np.ndarray]:
    """The product of wide numbers, and of their magnitudes."""
    a, b = wide(a), wide(b)
    multiply = (lambda x, y: np.einsum(how, x, y)) if how else np.matmul
    return multiply(a, b), multiply(np.abs(a), np.abs(b))


def arrays(*shapes: tuple[int, ...], dtype: Any = np.float32, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s).astype(dtype) for s in shapes]


SHAPES = [((1, 1), (1, 1)), ((2, 3), (3, 4)), ((5, 1), (1, 7)), ((1, 9), (9, 1)), ((17, 31), (31, 13)), ((4, 600), (600, 3)),
          ((33, 70), (70, 65)), ((130, 65), (65, 40)), ((7,), (7,)), ((300,), (300, 40)), ((40, 300), (300,)),
          ((900, 800), (800,)), ((800,), (800, 900)), ((4, 5, 6), (6, 7)), ((2, 3, 4, 5), (5,)), ((5,), (2, 3, 5, 4)),
          ((6, 4, 5), (6, 5, 3)), ((2, 1, 4, 5), (3, 5, 6)), ((1, 4, 5), (6, 5, 3)),
          ((40, 3, 3), (40, 3, 3)), ((300, 200), (200, 280))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes: Any, dtype: Any) -> None:
    a, b = arrays(*shapes, dtype=dtype)
    x, y = ad.constant(a), ad.constant(b)
    agrees(value_of(lambda: x @ y), *exact(a, b), a.shape[-1], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(3, 4, 5), (20, 9, 33), (70, 80, 90), (1, 50, 60), (50, 1, 60)])
@pytest.mark.parametrize("turned", [(True, False), (False, True), (True, True)])
def test_transposed_operands(turned: tuple[bool, bool], size: tuple[int, int, int], dtype: Any) -> None:
    m, n, k = size
    a, b = arrays((k, m) if turned[0] else (m, k), (n, k) if turned[1] else (k, n), dtype=dtype)
    want = exact(a.T if turned[0] else a, b.T if turned[1] else b)
    x, y = ad.constant(a), ad.constant(b)
    agrees(value_of(lambda: ad.matmul(x, y, *turned)), *want, k, dtype)
    agrees(value_of(lambda: (ad.transpose(x) if turned[0] else x) @ (ad.transpose(y) if turned[1] else y)), *want, k, dtype)


@pytest.mark.parametrize(("how", "shapes"), [
    ("ij,jk->ik", ((5, 6), (6, 7))), ("bij,bkj->bki", ((2, 3, 4), (2, 5, 4))),
    ("bhij,bhjk->bihk", ((2, 3, 4, 5), (2, 3, 5, 6))),     ("ij,kl->ikjl", ((2, 3), (4, 5))),
    ("i,j->ij", ((3,), (4,))), ("ij,ij->i", ((4, 5), (4, 5))), ("ijk,jkl->il", ((2, 3, 4), (3, 4, 5)))])
def test_einsum(how: str, shapes: Any) -> None:
    a, b = arrays(*shapes)
    x, y = ad.constant(a), ad.constant(b)
    terms = int(np.prod([n for c, n in zip(how.split(",")[0], a.shape) if c not in how.split(">")[1]]))
    got = ad.einsum(how, x, y)
    agrees(got.numpy(), *exact(a, b, how), max(terms, 1), np.float32)


@st.composite
def sums_of_products(draw: Any) -> tuple[str, list[tuple[int, ...]], int, list[int]]:
    """An equation, shapes, how the operands lie in memory, and how the result is taken on."""
    names = draw(st.permutations("abcd"))
    terms = ["".join(draw(st.permutations(names))[:draw(st.integers(1, 4))]) for _ in range(2)]
    seen = sorted({*"".join(terms)})
    output = "".join(draw(st.permutations(seen))[:draw(st.integers(0, len(seen)))])
    sizes = {c: draw(st.sampled_from([1, 2, 3, 5, 8, 9, 17])) for c in seen}
    return (f"{terms[0]},{terms[1]}->{output}", [tuple(sizes[c] for c in t) for t in terms], draw(st.integers(0, 4)),
            [draw(st.integers(0, 3)) for _ in terms])


@given(sums_of_products())
@settings(max_examples=80, deadline=None)
def test_any_sum_of_products(case: Any) -> None:
    how, shapes, after, lies = case
    operands, tensors = [], []
    for shape, way in zip(shapes, lies):
        (x,) = arrays(shape if way != 1 else shape[::-1], seed=len(shape))
        if way == 1:
            operands.append(x.T)
            tensors.append(ad.permute_dims(ad.constant(x), tuple(range(x.ndim))[::-1]))
        elif way == 2:
            (wide_x,) = arrays(tuple(n + 2 for n in shape))
            part = tuple(slice(1, 1 + n) for n in shape)
            operands.append(wide_x[part])
            tensors.append(ad.constant(wide_x)[part])
        elif way == 3:
            operands.append(np.broadcast_to(x[:1], shape))
            tensors.append(ad.broadcast_to(ad.constant(x[:1]), shape))
        else:
            operands.append(x)
            tensors.append(ad.constant(x))
    want, size = exact(*operands, how)
    (w,) = arrays(want.shape, seed=9)
    rate = ad.constant(np.float32(-0.75))
    y = ad.einsum(how, *tensors)
    if after == 1:
        y, want = y * rate, want * -0.75
    elif after == 2:
        y, want, size = ad.constant(w) - rate * y, w + 0.75 * want, np.abs(w) + size
    elif after == 3:
        y, want, size = ad.transpose(y), want.T, size.T
    elif after == 4:
        y, want, size = ad.reshape(-y, (-1,)), -want.reshape(-1), size.reshape(-1)
    terms = int(np.prod([*dict(zip(how[:how.index("-")].replace(",", ""), shapes[0] + shapes[1])).values()]))
    agrees(y.numpy(), want, size, terms, np.float32)


def test_several_operands_two_at_a_time() -> None:
    a, b, c = arrays((7, 5), (5, 6), (6, 4))
    ta, tb, tc = (ad.constant(x) for x in (a, b, c))
    for how in ("ij,jk,kl->il", "ij,jk,kl->li", "ij,jk,kl->"):
        program = for_loops(program_of(lambda how=how: ad.einsum(how, ta, tb, tc)))  # type: ignore[misc]
        assert [i.op.name for i in program.instrs] == ["einsum", "einsum"]
        want = np.einsum(how, wide(a), wide(b), wide(c))
        np.testing.assert_allclose(ad.einsum(how, ta, tb, tc).numpy(), want, rtol=1e-5, atol=1e-5)


def test_parts_of_a_product_cost_no_step() -> None:
    a, w, v = (ad.constant(x) for x in arrays((6, 8), (8, 12), (4, 5)))

    def gates() -> Any:
        i, f, o = ad.split(a @ w, 3, axis=1)
        return (ad.sigmoid(i) * ad.tanh(f) + o) @ v

    assert [part.__class__.__name__ for part in fuse(for_loops(program_of(gates))).parts] == ["Unit"]
    i, f, o = np.split(wide(a.numpy()) @ wide(w.numpy()), 3, axis=1)
    np.testing.assert_allclose(gates().numpy(), (np.tanh(f) / (1 + np.exp(-i)) + o) @ v.numpy(), rtol=1e-5, atol=1e-5)


# -------------------------------------------------------------------------------------------------------------- folding

def test_a_scaled_update_is_one_product() -> None:
    w, a, g = arrays((6, 5), (9, 6), (9, 5))
    rate = np.float32(0.1)
    tw, ta, tg, tr = ad.constant(w), ad.constant(a), ad.constant(g), ad.constant(rate)

    def step() -> Any:
        return tw - tr * ad.matmul(ta, tg, transpose_a=True)

    (p,) = found_in(step)
    assert (p.factor, len(p.scales), p.base is not None, p.m, p.n, p.k) == (-1.0, 1, True, 6, 5, 9)
    product, size = exact(a.T, g)
    agrees(value_of(step), wide(w) - wide(rate) * product, np.abs(wide(w)) + wide(rate) * size, 9, np.float32)
    (p,) = found_in(lambda: -(ta @ ad.transpose(ta)) * 2.0)
    assert (p.factor, p.scales, p.base) == (-2.0, [], None)


def test_what_others_read_is_not_folded() -> None:
    w, a, g = (ad.constant(x) for x in arrays((6, 5), (6, 9), (9, 5)))

    def both() -> Any:
        product = a @ g
        return [w + product * 0.5, product]

    (p,) = found_in(both)
    assert (p.factor, p.base) == (1.0, None)
    (p,) = found_in(lambda: ad.exp(w + a @ g))           # a loop that adds does more at once
    assert p.base is None


def test_a_sum_of_two_products_is_added_up_in_place() -> None:
    a, b, c, d = arrays((30, 20), (20, 10), (30, 40), (40, 10))
    ta, tb, tc, td = (ad.constant(x) for x in (a, b, c, d))
    first, second = found_in(lambda: ta @ tb + tc @ td)
    assert second.base == first.out
    one, two = exact(a, b), exact(c, d)
    agrees(value_of(lambda: ta @ tb + tc @ td), one[0] + two[0], one[1] + two[1], 60, np.float32)
    agrees(value_of(lambda: ta @ tb - tc @ td), one[0] - two[0], one[1] + two[1], 60, np.float32)


def test_attention_reads_and_writes_in_place() -> None:
    (x,) = arrays((2, 6, 3, 4, 5))
    t = ad.constant(x)

    def heads() -> Any:
        q, k, v = (ad.permute_dims(t, (2, 0, 3, 1, 4))[n] for n in range(3))
        return ad.reshape(ad.permute_dims((q @ ad.permute_dims(k, (0, 1, 3, 2))) * 0.5 @ v, (0, 2, 1, 3)), (2, 6, 20))

    program = program_of(heads)
    found, gone = products(program)
    assert len(found) == 2
    assert {i.op.name for n, i in enumerate(program.instrs) if n not in gone} <= {"literal", "full"}
    q, k, v = wide(x).transpose(2, 0, 3, 1, 4)
    want = (q @ k.swapaxes(-1, -2) * 0.5 @ v).transpose(0, 2, 1, 3).reshape(2, 6, 20)
    np.testing.assert_allclose(value_of(heads), want, rtol=1e-5, atol=1e-5)


def test_batch_axes_become_rows() -> None:
    a, w = (ad.constant(x) for x in arrays((3, 4, 5), (5, 6)))
    (p,) = found_in(lambda: a @ w)
    assert (p.m, p.n, p.k, p.loops) == (12, 6, 5, [])
    columns = ad.constant(arrays((7, 5, 1))[0])
    (p,) = found_in(lambda: ad.constant(arrays((8, 5))[0]) @ columns)     # many vectors: one product
    assert (p.m, p.n, p.k, p.loops) == (7, 8, 5, [])


def test_what_a_blas_cannot_read_is_copied() -> None:
    (x, y) = arrays((6, 8), (4, 3))
    t, s = ad.constant(x), ad.constant(y)
    one = ad.broadcast_to(s[0, 0], (6, 4)), np.full((6, 4), y[0, 0])
    for view, a in ((t[:, ::2], x[:, ::2]), (t[::-1, :4], x[::-1, :4]), one):
        got = (view @ s).numpy()
        agrees(got, *exact(a, y), 4, np.float32)
    assert layout(3, 4, 8, 2) is None
    assert layout(3, 4, 4, 1) == (False, 4)
    assert layout(3, 4, 1, 3) == (True, 3)


# ------------------------------------------------------------------------------------------------------ hard numbers

@pytest.mark.parametrize("size", [(4, 5, 6), (80, 90, 70), (1, 700, 800)])
def test_not_a_number_and_infinity_spread(size: tuple[int, int, int]) -> None:
    m, n, k = size
    a, b, w = arrays((m, k), (k, n), (m, n))
    a[m // 2, 1], b[2, n // 2], b[3, 0] = np.inf, np.nan, -np.inf
    ta, tb, tw = ad.constant(a), ad.constant(b), ad.constant(w)
    with np.errstate(all="ignore"):
        for factor in (0.0, 1.0, -0.5):
            rate = ad.constant(np.float32(factor))
            product = np.float32(factor) * (a.astype(np.float64) @ b.astype(np.float64))
            for got, want in ((tw + rate * (ta @ tb), w + product), (rate * (ta @ tb), product)):
                np.testing.assert_allclose(got.numpy(), want, rtol=1e-3, atol=1e-3)
    ta, tb = (ad.constant(x) for x in arrays((m, k), (k, n)))
    assert np.array_equal((tw + ad.constant(np.float32(0.0)) * (ta @ tb)).numpy(), w)


def test_long_sums_do_not_drift() -> None:
    a, b = np.full((2, 100_000), 0.1, np.float32), np.full((100_000, 1), 0.1, np.float32)
    want = 100_000 * float(np.float32(0.1)) ** 2
    got = (ad.constant(a) @ ad.constant(b)).numpy()
    assert np.all(np.abs(got - want) < 1e-4 * want)      # added up in one float32: 8e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "int32"])
def test_other_types_are_left_to_the_kernel(dtype: str) -> None:
    a, b = (ad.cast(ad.constant(np.round(x * 4)), dtype) for x in arrays((3, 4), (4, 2)))
    assert found_in(lambda: a @ b) == []
    assert (a @ b).numpy().tolist() == np.matmul(a.numpy(), b.numpy()).tolist()


def test_nothing_to_sum() -> None:
    assert ad.matmul(ad.zeros((3, 0)), ad.zeros((0, 2))).numpy().tolist() == [[0.0, 0.0]] * 3
    assert (ad.zeros((0, 4)) @ ad.zeros((4, 2))).numpy().shape == (0, 2)


# -------------------------------------------------------------------------------------------------------------- threads

def large() -> list[np.ndarray]:
    a, b, c, d = arrays((700, 300), (300, 500), (40, 64, 64), (40, 64, 64))
    x, y, u, v = (ad.constant(t) for t in (a, b, c, d))
    base = ad.constant(arrays((700, 500), seed=3)[0])
    long, w = (ad.constant(t) for t in arrays((1500,), (1500, 1700)))
    return [t.numpy() for t in (x @ y, base - 0.5 * (x @ y), u @ v, long @ w, ad.matmul(u, v, transpose_b=True))]


def test_the_number_of_threads_changes_no_bit() -> None:
    before = pool.count.value
    try:
        pool.use(1)
        one = large()
        pool.use(4)
        for a, b in zip(one, large()):
            assert np.array_equal(a, b)
    finally:
        pool.count.value = before
    a, b = arrays((700, 300), (300, 500))
    agrees(one[0], *exact(a, b), 300, np.float32)
    c, d = arrays((700, 300), (300, 500), (40, 64, 64), (40, 64, 64))[2:]
    agrees(one[2], *exact(c, d), 64, np.float32)


def test_tiles_cover_a_product() -> None:
    class Size:
        def __init__(self, m: int, n: int, k: int) -> None:
            self.m, self.n, self.k = m, n, k

    for m, n, k in ((2000, 3000, 1000), (5000, 7, 900), (9, 100_000, 50), (1, 5000, 5000)):
        rows, columns = writer.tile(Size(m, n, k))
        assert 1 <= rows <= m
        assert 1 <= columns <= n
        assert (rows, columns) != (m, n)


def test_the_users_number_of_threads_is_put_back() -> None:
    found = blas.blas()
    if found is None or found.threads is None:
        pytest.skip("the BLAS found here does not tell its number of threads")
    get, put = ctypes.CFUNCTYPE(ctypes.c_int)(found.threads[0]), ctypes.CFUNCTYPE(None, ctypes.c_int)(found.threads[1])
    before = get()
    try:
        for n in (1, 2):
            put(n)
            have = get()
            large()
            assert get() == have
    finally:
        put(before)


def test_python_threads_do_not_disturb_each_other() -> None:
    found = blas.blas()
    get = ctypes.CFUNCTYPE(ctypes.c_int)(found.threads[0]) if found is not None and found.threads is not None else int
    before, want = get(), large()
    wrong: list[int] = []

    def work() -> None:
        for _ in range(5):
            wrong.extend(n for n, (a, b) in enumerate(zip(want, large())) if not np.array_equal(a, b))

    running = [threading.Thread(target=work) for _ in range(3)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    assert wrong == []
    assert get() == before


@pytest.mark.parametrize("width", [16, 32, 64])
def test_vectors_of_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm_engine.compiler(), "width", width)
    for m, n, k in ((1, 37, 20), (9, 31, 17), (6, 5, 40), (3, 3, 3)):
        for turned in (False, True):
            a, b = arrays((m, k), (n, k) if turned else (k, n), seed=width)
            x, y = ad.constant(a), ad.constant(b)
            agrees(ad.matmul(x, y, transpose_b=turned).numpy(), *exact(a, b.T if turned else b), k, np.float32)


def test_a_chain_of_equal_products_shares_its_code() -> None:
    h, w = (ad.constant(x) for x in arrays((5, 8), (8, 8)))

    def chain() -> Any:
        y = h
        for _ in range(6):
            y = ad.tanh(y @ w + h @ w)
        return y

    program = program_of(chain)
    (unit,) = fuse(program).parts
    text = importlib.import_module("adjoint.engines.llvm.unit").UnitWriter(unit, program.specs, {}, "body").write()
    assert text.count("define internal void @multiply") == 2             # with a base and without
    want = y = h.numpy()
    for _ in range(6):
        want = np.tanh(want @ w.numpy() + y @ w.numpy())
    np.testing.assert_allclose(chain().numpy(), want, rtol=1e-5, atol=1e-6)


# -------------------------------------------------------------------------------------------------------- finding a BLAS

@pytest.mark.parametrize("source", ["_of_numpy", "_of_scipy", "nothing"])
def test_every_source_gives_the_same(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if source == "_of_scipy":
        pytest.importorskip("scipy")
    found = None if source == "nothing" else blas.find((getattr(blas, source),))
    if found is None and source == "_of_numpy":
        pytest.skip("this NumPy brings no BLAS that can be called")
    monkeypatch.setattr(blas, "_FOUND", [found])
    for shapes in (((50, 60), (60, 70)), ((300, 200), (200, 150)), ((700,), (700, 400)), ((5, 40, 60), (5, 60, 50))):
        for turned in (False, True):
            a, b = arrays(*shapes, dtype=np.float64, seed=11)
            if turned:
                b = np.ascontiguousarray(b.swapaxes(-1, -2))
            x, y = ad.constant(a), ad.constant(b)
            got = ad.matmul(x, y, transpose_b=turned)
            agrees(got.numpy(), *exact(a, b.swapaxes(-1, -2) if turned else b), a.shape[-1], np.float64)


def test_a_blas_that_is_wrong_is_not_taken() -> None:
    good = blas.find()
    if good is None:
        pytest.skip("no BLAS was found here")

    @ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)
    def lazy(*_: Any) -> None:
        """Does nothing."""

    address = ctypes.cast(lazy, ctypes.c_void_p).value
    bad = blas.Blas("lazy", 32, True, dict.fromkeys(good.routines, address))
    assert good.works()
    assert not bad.works()
    assert blas.find((lambda: iter([bad]), lambda: iter([good]))) is good
    assert blas.find((lambda: iter([bad]),)) is None

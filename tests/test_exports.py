"""What `import adjoint as ad` offers."""
from __future__ import annotations

import adjoint as ad

# The array API standard's functions (2024.12) that belong to the main namespace.
STANDARD = """
abs acos acosh add all any arange argmax argmin argsort asarray asin asinh astype atan atan2 atanh bitwise_and
bitwise_invert bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor broadcast_arrays broadcast_to can_cast ceil
clip concat conj copysign cos cosh count_nonzero cumulative_prod cumulative_sum diff divide einsum empty empty_like equal exp
expand_dims expm1 eye finfo flip floor floor_divide from_dlpack full full_like greater greater_equal hypot iinfo imag isdtype
isfinite isinf isnan less less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or
logical_xor matmul matrix_transpose max maximum mean meshgrid min minimum moveaxis multiply negative nextafter nonzero
not_equal ones ones_like permute_dims positive pow prod real reciprocal remainder repeat reshape result_type roll round
searchsorted sign signbit sin sinh sort sqrt square squeeze stack std subtract sum take take_along_axis tan tanh
tensordot tile tril triu trunc unique_all unique_counts unique_inverse unique_values unstack var vecdot where zeros
zeros_like
""".split()

BEYOND = """
GradientTape ForwardAccumulator IndexedSlices Tensor Variable checkpoint config constant custom_gradient
digamma erf erfc erfinv evaluate function gather grad hessian hvp jacobian jvp lgamma log_softmax losses logsumexp nn
one_hot optim pad random recompute_grad scatter segment_sum softmax stop_gradient top_k value_and_grad vjp vmap
""".split()


def test_the_standard_is_complete() -> None:
    assert [name for name in STANDARD if not hasattr(ad, name)] == []


def test_what_gradient_code_needs_is_there() -> None:
    assert [name for name in BEYOND if not hasattr(ad, name)] == []


def test_all_names_what_is_there() -> None:
    assert len(set(ad.__all__)) == len(ad.__all__)
    assert [name for name in ad.__all__ if not hasattr(ad, name)] == []
    assert set(STANDARD) | set(BEYOND) <= set(ad.__all__)
    hidden = {n for n in dir(ad) if not n.startswith("_")} - set(ad.__all__)
    modules = {n for n in hidden if type(getattr(ad, n)).__name__ == "module"}
    assert hidden - modules - {"Any", "TYPE_CHECKING", "annotations"} == set()


def test_public_functions_are_described() -> None:
    bare = [n for n in ad.__all__ if callable(getattr(ad, n)) and not (getattr(ad, n).__doc__ or "").strip()]
    assert bare == []

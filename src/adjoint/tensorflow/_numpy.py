"""tf.experimental.numpy: adjoint's functions under NumPy's names."""
from __future__ import annotations

from typing import Any

import numpy as np

import adjoint as ad

from .. import _dtypes
from .._tensor import Tensor
from ..numpy_protocol import _OTHER_NAMES, _matching
from ._bind import put

_NAMES = """
    abs absolute add all allclose amax amin angle any append arange arccos arccosh arcsin arcsinh arctan arctan2
    arctanh argmax argmin argsort around array array_equal asanyarray asarray atleast_1d atleast_2d atleast_3d
    average bitwise_and bitwise_not bitwise_or bitwise_xor broadcast_arrays broadcast_to cbrt ceil clip concatenate
    conj conjugate cos cosh count_nonzero cross cumprod cumsum deg2rad diag diagonal diff divide dot dstack einsum
    empty empty_like equal exp exp2 expand_dims expm1 eye fabs fix flip fliplr flipud float_power floor floor_divide
    full full_like greater greater_equal hstack hypot identity imag inner isclose isfinite isinf isnan kron less
    less_equal linspace log log10 log1p log2 logaddexp logical_and logical_not logical_or logical_xor matmul max
    maximum mean meshgrid min minimum mod moveaxis multiply negative nextafter nonzero not_equal ones ones_like
    outer pad positive power prod ptp rad2deg ravel real reciprocal remainder repeat reshape roll rot90 round sign
    signbit sin sinc sinh sort split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan
    tanh tensordot tile trace transpose tri tril triu true_divide var vdot vstack where zeros zeros_like
"""


def _function(name: str, ours: Any) -> Any:
    theirs = getattr(np, name, None)

    def function(*args: Any, **kwargs: Any) -> Any:
        if kwargs and theirs is not None:
            kwargs = _matching(theirs, ours, kwargs)
        return ours(*args, **kwargs)

    function.__name__, function.__doc__ = name, ours.__doc__
    return function


for _name in _NAMES.split():
    _ours = getattr(ad, _OTHER_NAMES.get(_name, _name), None)
    if callable(_ours):
        put(f"experimental.numpy.{_name}", _function(_name, _ours))

for _dtype in _dtypes.DTYPES:
    put(f"experimental.numpy.{_dtype.name}", _dtype)
put("experimental.numpy.bool_", _dtypes.bool_)
put("experimental.numpy.ndarray", Tensor)
put("experimental.numpy.newaxis", None)
for _name in ("pi", "e", "inf"):
    put(f"experimental.numpy.{_name}", getattr(np, _name))
put("experimental.numpy.experimental_enable_numpy_behavior", lambda prefer_float32=False, dtype_conversion_mode="legacy": None)
put("experimental.numpy.shape", lambda a: tuple(ad.asarray(a).shape))
put("experimental.numpy.ndim", lambda a: ad.asarray(a).ndim)
put("experimental.numpy.size", lambda x, axis=None: ad.asarray(x).size if axis is None else ad.asarray(x).shape[axis])
put("experimental.numpy.identity", lambda n, dtype=_dtypes.float32: ad.eye(n, dtype=dtype))

"""The table: adjoint's function, then TensorFlow's names for it, grouped by TensorFlow's argument names."""
from __future__ import annotations

from ._bind import bind

bind("x", "x", """
    acos                acos math.acos
    acosh               acosh math.acosh
    asin                asin math.asin
    asinh               asinh math.asinh
    atan                atan math.atan
    atanh               atanh math.atanh
    bessel_i0           math.bessel_i0
    bessel_i0e          math.bessel_i0e
    bessel_i1           math.bessel_i1
    bessel_i1e          math.bessel_i1e
    bitwise_invert      bitwise.invert
    ceil                math.ceil
    conj                math.conj
    cos                 cos math.cos keras.backend.cos
    cosh                cosh math.cosh
    digamma             math.digamma
    erf                 math.erf
    erfc                math.erfc
    erfcinv             math.erfcinv
    erfinv              math.erfinv
    exp                 exp math.exp keras.backend.exp
    expm1               math.expm1
    floor               floor math.floor
    isfinite            math.is_finite
    isinf               math.is_inf
    isnan               math.is_nan
    lgamma              math.lgamma
    log                 math.log keras.backend.log
    log1p               math.log1p
    ndtri               math.ndtri
    negative            negative math.negative
    reciprocal          math.reciprocal
    rsqrt               math.rsqrt
    sign                sign math.sign keras.backend.sign
    sin                 sin math.sin keras.backend.sin
    sinh                sinh math.sinh
    sqrt                sqrt math.sqrt keras.backend.sqrt
    square              square math.square keras.backend.square
    tan                 tan math.tan
    tanh                tanh math.tanh nn.tanh keras.backend.tanh
""")

bind("x", "x", """
    abs                 abs math.abs keras.backend.abs
    round               round math.round math.rint keras.backend.round
""")

bind("x, y", "x, y", """
    add                 add math.add
    bitwise_and         bitwise.bitwise_and
    bitwise_left_shift  bitwise.left_shift
    bitwise_or          bitwise.bitwise_or
    bitwise_right_shift bitwise.right_shift
    bitwise_xor         bitwise.bitwise_xor
    divide_no_nan       math.divide_no_nan
    floor_divide        math.floordiv
    multiply            multiply math.multiply
    multiply_no_nan     math.multiply_no_nan
    pow                 pow math.pow
    remainder           math.mod math.floormod
    squared_difference  math.squared_difference
    subtract            subtract math.subtract
    trunc_divide        truncatediv
    fmod                truncatemod
    xdivy               math.xdivy
    xlog1py             math.xlog1py
    xlogy               math.xlogy
""")

bind("x, y", "x, y", """
    equal               equal math.equal keras.backend.equal
    greater             greater math.greater keras.backend.greater
    greater_equal       greater_equal math.greater_equal keras.backend.greater_equal
    less                less math.less keras.backend.less
    less_equal          less_equal math.less_equal keras.backend.less_equal
    maximum             maximum math.maximum keras.backend.maximum
    minimum             minimum math.minimum keras.backend.minimum
    not_equal           not_equal math.not_equal keras.backend.not_equal
""")

bind("y, x", "y, x", """
    atan2               atan2 math.atan2
""")

bind("x1, x2", "x1, x2", """
    nextafter           math.nextafter
""")

bind("a, x", "a, x", """
    igamma              math.igamma
    igammac             math.igammac
""")

bind("x, q", "x, q", """
    zeta                math.zeta
""")

bind("a, b, x", "a, b, x", """
    betainc             math.betainc
""")

bind("input", "ad.tensorflow._arrays.tensor(input)", """
    angle               math.angle
    imag                math.imag
    real                math.real
""")

bind("f", "f", """
    recompute_grad      recompute_grad
""")

"""Primitives: one block each, by theme."""
from . import activation, indexing, sampling
from .arithmetic import *
from .arithmetic import __all__ as _arithmetic
from .bitwise import *
from .bitwise import __all__ as _bitwise
from .broadcast import *
from .broadcast import __all__ as _broadcast
from .by_place import *
from .by_place import __all__ as _by_place
from .comparison import *
from .comparison import __all__ as _comparison
from .complex import *
from .complex import __all__ as _complex
from .constants import *
from .constants import __all__ as _constants
from .contraction import *
from .contraction import __all__ as _contraction
from .convert import *
from .convert import __all__ as _convert
from .creation import *
from .creation import __all__ as _creation
from .cumulative import *
from .cumulative import __all__ as _cumulative
from .gamma import *
from .gamma import __all__ as _gamma
from .joining import *
from .joining import __all__ as _joining
from .movement import *
from .movement import __all__ as _movement
from .norms import *
from .norms import __all__ as _norms
from .padding import *
from .padding import __all__ as _padding
from .reduction import *
from .reduction import __all__ as _reduction
from .rounding import *
from .rounding import __all__ as _rounding
from .scatter import *
from .scatter import __all__ as _scatter
from .segments import *
from .segments import __all__ as _segments
from .sets import *
from .sets import __all__ as _sets
from .softmax import *
from .softmax import __all__ as _softmax
from .sorting import *
from .sorting import __all__ as _sorting
from .special import *
from .special import __all__ as _special
from .statistics import *
from .statistics import __all__ as _statistics
from .transcendental import *
from .transcendental import __all__ as _transcendental

__all__ = sorted({
    *_arithmetic,
    *_bitwise,
    *_broadcast,
    *_by_place,
    *_comparison,
    *_complex,
    *_constants,
    *_contraction,
    *_convert,
    *_creation,
    *_cumulative,
    *_gamma,
    *_joining,
    *_movement,
    *_norms,
    *_padding,
    *_reduction,
    *_rounding,
    *_scatter,
    *_segments,
    *_sets,
    *_softmax,
    *_sorting,
    *_special,
    *_statistics,
    *_transcendental,
})

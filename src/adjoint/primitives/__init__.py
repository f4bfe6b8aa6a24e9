"""Primitives: one block each, by theme."""
from . import (
    activation,
    arithmetic,
    bitwise,
    broadcast,
    comparison,
    complex,
    constants,
    contraction,
    convert,
    creation,
    cumulative,
    gamma,
    indexing,
    joining,
    movement,
    reduction,
    rounding,
    sampling,
    scatter,
    segments,
    sets,
    softmax,
    sorting,
    special,
    statistics,
    transcendental,
)
from .arithmetic import *
from .bitwise import *
from .broadcast import *
from .comparison import *
from .complex import *
from .constants import *
from .contraction import *
from .convert import *
from .creation import *
from .cumulative import *
from .gamma import *
from .joining import *
from .movement import *
from .reduction import *
from .rounding import *
from .scatter import *
from .segments import *
from .sets import *
from .softmax import *
from .sorting import *
from .special import *
from .statistics import *
from .transcendental import *

__all__ = sorted({
    *arithmetic.__all__,
    *bitwise.__all__,
    *broadcast.__all__,
    *comparison.__all__,
    *complex.__all__,
    *constants.__all__,
    *contraction.__all__,
    *convert.__all__,
    *creation.__all__,
    *cumulative.__all__,
    *gamma.__all__,
    *joining.__all__,
    *movement.__all__,
    *reduction.__all__,
    *rounding.__all__,
    *scatter.__all__,
    *segments.__all__,
    *sets.__all__,
    *softmax.__all__,
    *sorting.__all__,
    *special.__all__,
    *statistics.__all__,
    *transcendental.__all__,
})

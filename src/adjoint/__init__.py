"""adjoint: a gradient tape for Python."""
from . import _runtime as _runtime
from ._config import config
from ._dtypes import (  # noqa: F401
    DType, bfloat16, bool_, complex64, complex128, float16, float32, float64, int8, int16, int32, int64, promote, uint8, uint16,
    uint32, uint64,
)
from ._errors import *  # noqa: F403
from ._runtime import evaluate_all as evaluate
from ._tensor import Tensor, Variable
from .primitives.convert import *  # noqa: F403
from .primitives.arithmetic import *  # noqa: F403
from .primitives.complex import *  # noqa: F403
from .primitives.creation import *  # noqa: F403
from .primitives.movement import *  # noqa: F403
from .primitives.broadcast import *  # noqa: F403
from .primitives.joining import *  # noqa: F403
from .primitives.constants import *  # noqa: F403
from .primitives.comparison import *  # noqa: F403
from .primitives.transcendental import *  # noqa: F403
from .primitives.special import *  # noqa: F403
from .primitives.rounding import *  # noqa: F403
from .primitives.bitwise import *  # noqa: F403
from .primitives.cumulative import *  # noqa: F403
from .primitives.reduction import *  # noqa: F403
from .primitives.sorting import *  # noqa: F403
from .primitives.statistics import *  # noqa: F403
from .primitives.sets import *  # noqa: F403
from .primitives.indexing import *  # noqa: F403
from .primitives.scatter import *  # noqa: F403
from .primitives.segments import *  # noqa: F403
from .primitives.contraction import *  # noqa: F403
from .primitives.sampling import *  # noqa: F403
from .primitives.softmax import *  # noqa: F403
from ._sparse import IndexedSlices
from .datatypes import *  # noqa: F403
from .tape import GradientTape, UnconnectedGradients
from .forward import ForwardAccumulator
from .custom import custom_gradient, recompute_grad
from .transforms import function, grad, hessian, hvp, jacobian, jvp, linearize, value_and_grad, vjp, vmap
from . import random as random
from . import optim as optim
from .saving import load as load, save as save

checkpoint = recompute_grad
from ._version import __version__ as __version__
from . import numpy_protocol as _numpy_protocol

_numpy_protocol.provide(globals())

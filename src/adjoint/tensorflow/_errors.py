"""tf.errors: TensorFlow's exception names over adjoint's own."""
from __future__ import annotations

from .. import _errors
from ._bind import TABLE, put

put("errors.OpError", _errors.AdjointError)
put("errors.InvalidArgumentError", _errors.ArgumentError)
put("errors.UnimplementedError", _errors.NotSupportedError)
put("errors.InternalError", _errors.SettleError)
put("errors.OperatorNotAllowedInGraphError", _errors.TraceError)

for _name in ("AbortedError", "AlreadyExistsError", "CancelledError", "DataLossError", "DeadlineExceededError",
              "FailedPreconditionError", "NotFoundError", "OutOfRangeError", "PermissionDeniedError",
              "ResourceExhaustedError", "UnauthenticatedError", "UnavailableError", "UnknownError"):
    put(f"errors.{_name}", type(_name, (_errors.AdjointError,), {
        "__doc__": f"TensorFlow's {_name}, for programs that catch or raise it.", "__module__": "adjoint.tensorflow.errors"}))


class ElementError(_errors.IndexingError, TABLE["errors"]["OutOfRangeError"]):  # type: ignore[misc]
    """An index outside a TensorArray."""


class ConversionError(_errors.DtypeError, ValueError):
    """A tensor asked for in another dtype than its own (TensorFlow raises a ValueError here)."""

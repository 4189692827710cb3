"""The errors perennial raises, as a tree.

::

    PerennialError
    ├── DefinitionError   a TOML or SQL definition is wrong: mend the file
    ├── DataError         uploaded or requested data breaks its contract: mend the data
    │   └── RequestError      what a caller of the API sent breaks its contract: mend the request
    │       ├── TooLargeError     the request brings more than one call may bring: send it in parts
    │       ├── MethodError       there is such a path, but it does not take this method: see what it allows
    │       └── IncompleteError   a value is missing without which the model does not predict: send it
    ├── NotFoundError     no such model, version, run, prediction or object
    ├── ConflictError     somebody else was first; look again and decide
    └── TransientError    an AWS service was busy or unreachable: the same call may succeed later

State machines retry on ``TransientError`` alone. Every message is one sentence that says what is wrong,
where it stands and what to change.
"""


class PerennialError(Exception):
    """Any error that perennial raises on purpose.

    Parameters
    ----------
    message : str
        One sentence for a person.
    field : str or None
        Where in the input the fault stands, such as ``instances[3].trip_distance``.
    """

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class DefinitionError(PerennialError):
    """A definition (TOML or SQL) is wrong; the message names the file, the key and the mend."""


class DataError(PerennialError):
    """Data breaks its contract; the message names the place and the rule."""


class RequestError(DataError):
    """A request breaks its contract; apart from DataError, so that a caller is told of no faults but their own."""


class TooLargeError(RequestError):
    """A request is larger than one call may be."""


class MethodError(RequestError):
    """A path of the API does not take the method of a call.

    Parameters
    ----------
    message : str
        One sentence for a person.
    allowed : tuple of str
        The methods that it takes.
    """

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class IncompleteError(RequestError):
    """A request lacks a value without which the model, by its policy, does not predict."""


class NotFoundError(PerennialError):
    """What was asked for does not exist."""


class ConflictError(PerennialError):
    """The state moved under the caller; nothing was changed."""


class TransientError(PerennialError):
    """A service was busy or unreachable; the call may be repeated."""

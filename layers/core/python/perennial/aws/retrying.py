"""When a call to AWS is worth repeating, and the one way to try again."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from perennial.errors import TransientError

BUSY = {
    "BandwidthLimitExceeded",
    "ConditionalRequestConflict",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
"""What services call an error that may have passed by the next call."""
MISSING = {"NoSuchKey", "NoSuchVersion", "NotFound", "404"}
"""What S3 calls an object that is not there."""


def attempts(what: str, most: int = 40, base: float = 0.01, cap: float = 0.4) -> Iterator[int]:
    """Yield attempt numbers from 0 with full-jitter pauses between them, then give up.

    Parameters
    ----------
    what : str
        What is attempted: the beginning of the message.
    most : int
        How many attempts are made.
    base, cap : float
        As in :func:`pauses`.

    Raises
    ------
    TransientError
        After the last attempt.
    """
    yield from pauses(most, base, cap)
    raise TransientError(f"{what}: others kept changing it or the service was busy in {most} attempts; try again later")


def pauses(most: int, base: float = 0.05, cap: float = 1.0) -> Iterator[int]:
    """Yield attempt numbers from 0 with full-jitter pauses between them.

    Parameters
    ----------
    most : int
        How many attempts are made.
    base, cap : float
        The pause before attempt n is drawn evenly from 0 to ``min(cap, base * 2**n)`` seconds ("full jitter",
        M. Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015).
    """
    for attempt in range(most):
        if attempt:
            time.sleep(random.uniform(0, min(cap, base * 2**attempt)))
        yield attempt

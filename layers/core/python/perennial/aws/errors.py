"""The one translation of botocore's errors into perennial's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from perennial.aws.retrying import BUSY, MISSING
from perennial.errors import NotFoundError, PerennialError, TransientError

_CONTENDED = {"ConditionalCheckFailed", "TransactionConflict", "None"}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise perennial's errors in place of botocore's.

    Parameters
    ----------
    what : str
        What is being touched, such as ``s3://bucket/key``: the beginning of the message.

    Raises
    ------
    TransientError
        Throttling, a server error, a broken connection, a timeout or a transaction in conflict.
    NotFoundError
        There is no such object.
    PerennialError
        Anything else that the service or its client says.
    """
    try:
        yield
    except ClientError as error:
        raise _of_service(error, what) from error
    except Boto3Error as error:  # a managed transfer hides the service's error behind one of its own
        cause = error.__cause__ or error.__context__
        raise (_of_service(cause, what) if isinstance(cause, ClientError) else _other(error, what)) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError) as error:
        raise TransientError(
            f"{what}: the service could not be reached ({error}); the same call may succeed later"
        ) from error
    except BotoCoreError as error:
        raise _other(error, what) from error


def code_of(error: ClientError) -> str:
    """Return the service's own name of an error, such as ``ConditionalCheckFailedException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def refused(error: ClientError) -> bool:
    """Tell whether a write, alone or in a transaction, was turned down because the state is not as it was seen.

    A transaction counts only if every reason is a failed condition or a conflict; a wrong item is not contention.
    """
    if code_of(error) == "ConditionalCheckFailedException":
        return True
    if code_of(error) not in ("TransactionCanceledException", "TransactionConflictException"):
        return False
    reasons = error.response.get("CancellationReasons", [])
    if not reasons:
        return code_of(error) == "TransactionConflictException"
    return all(reason.get("Code", "None") in _CONTENDED for reason in reasons)


def _of_service(error: ClientError, what: str) -> PerennialError:
    code = code_of(error)
    message = error.response.get("Error", {}).get("Message", "")
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
    busy = code in BUSY or status >= 500 or status == 429
    if busy or (reasons - {"None"} and reasons <= BUSY | {"None", "ThrottlingError", "TransactionConflict"}):
        return TransientError(f"{what}: the service is busy ({code}); the same call may succeed later")
    if code in MISSING or (code == "InvalidArgument" and "version" in message.lower()):
        return NotFoundError(f"{what}: there is no such object")
    if code in ("AccessDenied", "403"):
        return PerennialError(
            f"{what}: access denied; check that it exists and that the role may read, list or write it"
        )
    return PerennialError(f"{what}: {code}: {message}")


def _other(error: Exception, what: str) -> PerennialError:
    return PerennialError(f"{what}: {type(error).__name__}: {error}")

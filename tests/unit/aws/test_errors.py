"""Botocore's errors become perennial's, and what is attempted again ends."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)

from perennial.aws import retrying
from perennial.aws.errors import refused, translated
from perennial.aws.retrying import attempts
from perennial.errors import ConflictError, NotFoundError, PerennialError, TransientError


def said(code: str, status: int = 400, message: str = "words of the service", **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
        **more,
    }
    return ClientError(response, "SomeCall")


def cancelled(*reasons: str) -> ClientError:
    return said("TransactionCanceledException", CancellationReasons=[{"Code": reason} for reason in reasons])


def translation_of(error: Exception) -> PerennialError:
    with pytest.raises(PerennialError) as caught, translated("s3://bucket/key"):
        raise error
    assert str(caught.value).startswith("s3://bucket/key")
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        said("ProvisionedThroughputExceededException"),
        said("ThrottlingException"),
        said("RequestLimitExceeded"),
        said("SlowDown", 503),
        said("SomethingNew", 500),
        said("SomethingNew", 429),
        said("503", 503),
        said("TransactionConflictException"),
        said("TransactionInProgressException"),
        said("RequestTimeout"),
        cancelled("None", "TransactionConflict"),
        cancelled("ThrottlingError", "None"),
        EndpointConnectionError(endpoint_url="https://s3"),
        ConnectTimeoutError(endpoint_url="https://s3"),
        ReadTimeoutError(endpoint_url="https://s3"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
    ],
    ids=str,
)
def test_what_may_pass_by_itself_is_transient(error: Exception) -> None:
    assert type(translation_of(error)) is TransientError


@pytest.mark.parametrize(
    "error",
    [
        said("NoSuchKey", 404),
        said("404", 404),
        said("NoSuchVersion", 404),
        said("InvalidArgument", 400, "Invalid version id specified"),
    ],
    ids=str,
)
def test_a_missing_object_is_not_found(error: Exception) -> None:
    assert type(translation_of(error)) is NotFoundError


@pytest.mark.parametrize(
    "error",
    [
        said("AccessDenied", 403),
        said("NoSuchBucket", 404),
        said("ResourceNotFoundException"),
        said("ValidationException"),
        said("InvalidArgument"),
        cancelled("ValidationError", "None"),
        cancelled("ValidationError", "TransactionConflict"),
        NoCredentialsError(),
    ],
    ids=str,
)
def test_what_stays_wrong_is_neither_transient_nor_not_found(error: Exception) -> None:
    assert type(translation_of(error)) is PerennialError


def test_the_service_is_heard_through_a_failed_upload() -> None:
    def upload(cause: ClientError) -> None:
        with translated("s3://bucket/key"):
            try:
                raise cause
            except ClientError as error:
                raise S3UploadFailedError("Failed to upload") from error

    with pytest.raises(TransientError):
        upload(said("SlowDown", 503))
    with pytest.raises(PerennialError, match="access denied"):
        upload(said("AccessDenied", 403))


def test_errors_that_are_not_the_services_pass_through() -> None:
    with pytest.raises(ConflictError, match=r"^as it was$"), translated("x"):
        raise ConflictError("as it was")
    with pytest.raises(ZeroDivisionError), translated("x"):
        _ = 1 / 0


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        (said("ConditionalCheckFailedException"), True),
        (cancelled("ConditionalCheckFailed", "None"), True),
        (cancelled("None", "TransactionConflict"), True),
        (said("TransactionConflictException"), True),
        (cancelled("ConditionalCheckFailed", "ValidationError"), False),
        (cancelled("ThrottlingError", "ConditionalCheckFailed"), False),
        (said("TransactionCanceledException"), False),
        (said("ValidationException"), False),
        (said("ThrottlingException"), False),
    ],
    ids=str,
)
def test_only_lost_races_count_as_refused(error: ClientError, is_refused: bool) -> None:
    assert refused(error) is is_refused


def test_attempts_pause_with_growing_jitter_below_a_cap_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    bounds: list[float] = []
    monkeypatch.setattr(retrying.time, "sleep", pauses.append)
    monkeypatch.setattr(retrying.random, "uniform", lambda low, high: bounds.append(high) or high / 2 + low)
    made: list[int] = []

    def give_up() -> None:
        for number in attempts("the counter", most=6, base=0.1, cap=0.5):
            made.append(number)  # noqa: PERF402 - extend() would lose what came before the error

    with pytest.raises(TransientError, match=r"the counter: .* in 6 attempts"):
        give_up()
    assert made == [0, 1, 2, 3, 4, 5]
    assert bounds == pytest.approx([0.2, 0.4, 0.5, 0.5, 0.5])
    assert pauses == pytest.approx([0.1, 0.2, 0.25, 0.25, 0.25])


def test_the_first_attempt_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying.time, "sleep", lambda _: pytest.fail("waited"))
    assert next(attempts("x")) == 0

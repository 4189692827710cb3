"""Errors become HTTP answers by one table."""

from __future__ import annotations

import pytest

from perennial import errors
from perennial.serving.problems import problem


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.RequestError("x"), 400),
        (errors.NotFoundError("x"), 404),
        (errors.ConflictError("x"), 409),
        (errors.TooLargeError("x"), 413),
        (errors.DataError("x"), 500),
        (errors.DefinitionError("x"), 500),
        (errors.PerennialError("x"), 500),
        (errors.TransientError("x"), 503),
    ],
)
def test_each_error_has_its_status(error: errors.PerennialError, status: int) -> None:
    code, body = problem(error)
    assert code == status
    assert body["status"] == status


def test_a_fault_of_the_caller_is_told_with_its_place_as_rfc_9457_has_it() -> None:
    _, body = problem(errors.RequestError("instances[3].trip_distance is missing", "instances[3].trip_distance"))
    assert body == {
        "type": "about:blank",
        "title": "Bad Request",  # RFC 9457, 4.2.1: with about:blank the title is the status phrase
        "status": 400,
        "detail": "instances[3].trip_distance is missing",
        "field": "instances[3].trip_distance",
    }


@pytest.mark.parametrize("kind", [errors.DataError, errors.DefinitionError, errors.TransientError])
def test_a_fault_of_the_service_leaks_nothing_of_the_inside(kind: type[errors.PerennialError]) -> None:
    _, body = problem(kind("s3://secret-bucket/models/taxi_fare/3/model.onnx has another SHA-256", "secret"))
    assert "secret" not in str(body)
    assert "field" not in body

"""Request ids and prediction ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from perennial.errors import NotFoundError
from perennial.serving.ids import PredictionId, make_request_id, moment_of, parse_prediction_id

# The ULID specification (github.com/ulid/spec) encodes the time 1469918176385 ms as 01ARYZ6S41.
SPEC_MOMENT = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1469918176385)


def test_the_time_is_encoded_as_in_the_ulid_specification() -> None:
    assert make_request_id(SPEC_MOMENT, bytes(10)) == "01ARYZ6S41" + "0" * 16
    assert make_request_id(SPEC_MOMENT, b"\xff" * 10) == "01ARYZ6S41" + "Z" * 16


def test_the_time_is_read_back_to_the_millisecond() -> None:
    assert moment_of(make_request_id(SPEC_MOMENT + timedelta(microseconds=999), bytes(10))) == SPEC_MOMENT


def test_ids_sort_by_time_whatever_their_randomness() -> None:
    earlier = make_request_id(SPEC_MOMENT, b"\xff" * 10)
    later = make_request_id(SPEC_MOMENT + timedelta(milliseconds=1), bytes(10))
    assert earlier < later


def test_randomness_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 10 random bytes, not 9"):
        make_request_id(SPEC_MOMENT, bytes(9))


def test_a_prediction_id_is_taken_apart_into_what_it_was_made_of() -> None:
    prediction = PredictionId(12, make_request_id(SPEC_MOMENT, bytes(range(10))), 999)
    assert parse_prediction_id(str(prediction)) == prediction


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "1-01ARYZ6S410000000000000000",  # no row
        "0-01ARYZ6S410000000000000000-0",  # versions begin with 1
        "1-01ARYZ6S410000000000000000--1",
        "1-01ARYZ6S410000000000000000-01",
        "1-01ARYZ6S41000000000000000U-0",  # U is no digit of Crockford's base32
        "1-81ARYZ6S410000000000000000-0",  # more than 48 bits of time
        "1-01aryz6s410000000000000000-0",
        "١-01ARYZ6S410000000000000000-0",
        "1-01ARYZ6S410000000000000000-0\n",
        "1-../../../../models/taxi_fa-0",
    ],
)
def test_nonsense_is_no_prediction_and_the_field_is_named(text: str) -> None:
    with pytest.raises(NotFoundError, match="there is no prediction") as caught:
        parse_prediction_id(text, "labels[3].prediction_id")
    assert caught.value.field == "labels[3].prediction_id"


def test_a_time_beyond_the_calendar_is_no_request() -> None:
    with pytest.raises(NotFoundError, match="there is no request"):
        moment_of("7" + "Z" * 25)

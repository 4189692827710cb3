"""Request ids and prediction ids: they carry the time, so that a log object's key follows from the id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from perennial.errors import NotFoundError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base32: its characters sort as their values do."""

RANDOM_BYTES = 10
"""How much randomness a request id holds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VALUE = {character: value for value, character in enumerate(ALPHABET)}
REQUEST_ID = re.compile(rf"[0-7][{ALPHABET}]{{25}}", re.ASCII)
"""What a request id looks like."""
_PREDICTION_ID = re.compile(rf"([1-9][0-9]{{0,8}})-([0-7][{ALPHABET}]{{25}})-(0|[1-9][0-9]{{0,5}})", re.ASCII)


@dataclass(frozen=True)
class PredictionId:
    """What a prediction id says: ``<version>-<request_id>-<row>``."""

    version: int
    request_id: str
    row: int

    def __str__(self) -> str:
        return f"{self.version}-{self.request_id}-{self.row}"


def make_request_id(at: datetime, randomness: bytes) -> str:
    """Make a request id: 26 characters that sort by time (the layout of a ULID).

    Parameters
    ----------
    at : datetime
        The moment of the request, with its time zone; kept to the millisecond in the first 10 characters.
    randomness : bytes
        ``RANDOM_BYTES`` bytes, such as ``os.urandom(RANDOM_BYTES)``: the other 16 characters.
    """
    if len(randomness) != RANDOM_BYTES:
        raise ValueError(f"a request id takes {RANDOM_BYTES} random bytes, not {len(randomness)}")
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    number = (milliseconds << 80) | int.from_bytes(randomness)
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def moment_of(request_id: str) -> datetime:
    """Return the moment of a request, in UTC to the millisecond.

    Raises
    ------
    NotFoundError
        The text is not a request id, so no request has it.
    """
    try:
        milliseconds = 0
        for character in request_id[:10]:
            milliseconds = milliseconds << 5 | _VALUE[character]
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except (KeyError, OverflowError):
        raise NotFoundError(f"there is no request {request_id!r}") from None


def parse_prediction_id(text: str, field: str | None = None) -> PredictionId:
    """Take a prediction id apart.

    Raises
    ------
    NotFoundError
        The text is not an id that ``predict`` can have returned; the error carries ``field``.
    """
    match = _PREDICTION_ID.fullmatch(text)
    if match is None:
        shown = text if len(text) <= 64 else text[:64] + "…"
        raise NotFoundError(f"there is no prediction {shown!r}; send the prediction_id that predict returned", field)
    return PredictionId(int(match[1]), match[2], int(match[3]))

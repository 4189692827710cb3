"""What all definitions share: names, durations, and a fingerprint of what they mean."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from perennial.names import NAME

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_DURATION = re.compile(r"^\s*(\d+)\s+(second|minute|hour|day|week)s?\s*$")


def parse_duration(text: object) -> timedelta:
    """Turn ``"36 hours"`` into a timedelta; units are second, minute, hour, day and week.

    Raises
    ------
    ValueError
        The text is not a whole number and a unit.
    """
    if isinstance(text, timedelta):
        return text
    match = _DURATION.match(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'a duration is written like "28 days" or "2 hours", not {text!r}')
    try:
        return timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError(f"a duration is below a billion days, unlike {text!r}") from None


def _longer_than_nothing(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("should be longer than nothing")
    return length


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(lambda value: f"{int(value.total_seconds())} seconds", return_type=str),
]
Length = Annotated[Duration, AfterValidator(_longer_than_nothing)]
Name = Annotated[str, Field(pattern=NAME.pattern)]
Scalar = bool | int | float | str
Expression = Annotated[str, Field(min_length=1)]


class Definition(BaseModel):
    """Base of every definition: frozen, unknown keys refused, fingerprinted."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    beside_the_meaning: ClassVar[frozenset[str]] = frozenset()
    """Fields that change nothing about what is made: when people are told, say."""

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) of the definition's meaning: comments and key order do not count."""
        meaning = self.model_dump(mode="json", exclude=set(self.beside_the_meaning))
        canonical = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

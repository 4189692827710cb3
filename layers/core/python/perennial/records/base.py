"""What all records share: frozen, JSON in and out, moments in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a moment needs its time zone")
    return value.astimezone(UTC)


Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A point in time of the system's own clock, always in UTC."""


class Record(BaseModel):
    """Base of every record: frozen, JSON in and out (``NaN`` and ``Infinity`` as Python's json writes them)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

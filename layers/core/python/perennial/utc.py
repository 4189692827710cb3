"""Moments with a zone and without: the system's own are in UTC, event times of a dataset bear none and mean UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def naive_utc(at: datetime) -> datetime:
    """Return a moment in UTC without its zone, as event times are in the data; one without a zone stays as it is."""
    return at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)


def aware_utc(at: datetime) -> datetime:
    """Return a moment in UTC with its zone; one without a zone is taken as UTC."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

"""What is kept of an answered request: the unit of the prediction log, in plain values, cheap to make and to import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

Route = Literal["champion", "canary", "shadow", "named"]
"""Why a version saw a request: it serves; it serves a share; it is only tried beside; the caller asked for it."""


@dataclass(frozen=True)
class LoggedRequest:
    """One request as one version saw it."""

    model: str
    version: int
    request_id: str
    """From :func:`perennial.serving.ids.make_request_id`; a shadow has the request id of the answer it stood beside."""
    at: datetime
    route: Route
    milliseconds: float
    """From the parsed body to the predictions, features included."""
    inputs: Mapping[str, Sequence[Any]]
    """Input column to a value per row, as the request brought it (see `perennial.serving.payload.read_columns`)."""
    features: Sequence[Sequence[float]]
    """A list per row, in the order of the version's features; NaN stands for missing; categories are places."""
    values: Sequence[float]
    """A number per row: in the target's unit; the probability of ``true``; or the place of the likeliest class."""
    probabilities: Sequence[Sequence[float]] | None = None
    """Of several classes, a list per row."""
    error: str = ""
    """Name of the error by which the version failed, through no fault of the caller; then there are no values."""


class PredictionLog(Protocol):
    """Where answered requests go, at no cost to the caller."""

    def write(self, logged: LoggedRequest) -> None:
        """Hand a request over; it is on S3 within minutes. Never raises: what is lost is counted."""

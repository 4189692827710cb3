"""What is kept of an answered request: the unit of the prediction log, in plain values, cheap to make and to import."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

Route = Literal["champion", "canary", "shadow", "named"]
"""Why a version saw a request: it serves; it serves a share; it is only tried beside; the caller asked for it."""


@dataclass(frozen=True)
class LogPolicy:
    """What a version lets be kept of its requests (``log`` in its manifest)."""

    sample: float = 1.0
    """Share of the requests that are kept."""
    masked_inputs: frozenset[str] = frozenset()
    """Input columns that are left out."""
    masked_features: frozenset[int] = frozenset()
    """Places of features that are missing in the log, as they would give a masked input away."""

    def keeps(self, request_id: str) -> bool:
        """Tell whether a request is in the sample; it follows from its id, so anybody can tell later.

        The first 52 bits of the id's SHA-256, as a fraction, lie below ``sample``: a request that is kept by a share
        is kept by every larger one.
        """
        if self.sample >= 1:
            return True
        return int(hashlib.sha256(request_id.encode()).hexdigest()[:13], 16) < self.sample * 2**52


def policy_of(kept: Mapping[str, Any], features: Sequence[str]) -> LogPolicy:
    """Return the policy that a manifest states.

    Parameters
    ----------
    kept : mapping
        The manifest's ``log``, as JSON has it: ``sample``, ``masked_inputs``, ``masked_features``; what is absent
        counts as its default.
    features : sequence of str
        The version's features, in its order.
    """
    masked = set(kept.get("masked_features", ()))
    return LogPolicy(
        sample=kept.get("sample", 1.0),
        masked_inputs=frozenset(kept.get("masked_inputs", ())),
        masked_features=frozenset(place for place, name in enumerate(features) if name in masked),
    )


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
    policy: LogPolicy
    """Of the version: what of all this is kept."""
    probabilities: Sequence[Sequence[float]] | None = None
    """Of several classes, a list per row."""
    error: str = ""
    """Name of the error by which the version failed, through no fault of the caller; then there are no values."""

    @property
    def rows(self) -> int:
        """How many rows the request has; at least one, so that a failure leaves a trace."""
        brought = (len(values) for values in self.inputs.values())
        return max(1, len(self.values), len(self.features), *brought)


class PredictionLog(Protocol):
    """Where answered requests go, at no cost to the caller."""

    def write(self, logged: LoggedRequest) -> None:
        """Hand a request over; it is on S3 within minutes. Never raises: what is lost is counted."""

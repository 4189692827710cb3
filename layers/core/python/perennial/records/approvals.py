"""What people say of versions: approvals, and the names that they give."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from perennial.records.base import Moment, Record

Decision = Literal["approved", "rejected", "expired"]
"""``expired``: nobody decided in time, which counts as a rejection."""


class Approval(Record):
    """A version that passed the gate and was put before a person. The token of who waits for it is kept elsewhere."""

    model: str
    version: int
    run_id: str
    """The training run whose execution waits."""
    asked_at: Moment
    until: Moment
    """When it counts as rejected, unless somebody decided."""
    metrics: dict[str, float]
    report_key: str
    status: Literal["pending", "approved", "rejected", "expired"] = "pending"
    decided_at: Moment | None = None
    by: str = ""
    """Who decided."""
    reason: str = ""

    def decided(self, decision: Decision, at: datetime, by: str, reason: str) -> Approval:
        """Return this approval as it was decided."""
        ending = {"status": decision, "decided_at": at, "by": by, "reason": reason}
        return Approval.model_validate({**self.model_dump(), **ending})

    @property
    def sentence(self) -> str:
        """What was decided, by whom, when and why; or that nothing was."""
        what = f"version {self.version} of {self.model}"
        if self.status == "pending":
            return f"{what} waits for approval since {self.asked_at:%Y-%m-%d %H:%M:%S} UTC"
        why = f": {self.reason}" if self.reason else ""
        if self.status == "expired":
            return f"{what} counts as rejected since {self.decided_at:%Y-%m-%d %H:%M:%S} UTC{why}"
        return f"{what} was {self.status} by {self.by} at {self.decided_at:%Y-%m-%d %H:%M:%S} UTC{why}"


class Alias(Record):
    """A name for a version of a model, which may be moved to another one."""

    model: str
    name: str
    version: int
    by: str
    """Who set it."""
    set_at: Moment


class Suspension(Record):
    """That a model is trained only when a person asks for it."""

    model: str
    by: str
    """Who suspended it."""
    reason: str
    since: Moment
    until: Moment | None = None
    """When it ends by itself; None: when somebody resumes it."""

    def holds(self, now: datetime) -> bool:
        """Return whether it has not ended by itself."""
        return self.until is None or now < self.until

    @property
    def sentence(self) -> str:
        """Who suspended the model, since when, how long and why."""
        end = "" if self.until is None else f" until {self.until:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"{self.by} suspended the training of {self.model} by itself at {self.since:%Y-%m-%d %H:%M:%S} UTC{end}: "
            f"{self.reason}"
        )

"""Runs, their steps and claims, on DynamoDB."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from perennial import keys
from perennial.aws.retrying import attempts
from perennial.aws.table import Item, Table, item
from perennial.errors import NotFoundError
from perennial.records import Made, Run, StepRecord


class Runs:
    """The part of the catalog that remembers what happened."""

    _table: Table

    def start_run(self, run: Run) -> Run:
        """Record a run unless it is there already; return the recorded one."""
        if self._table.put(_run_item(run), "attribute_not_exists(pk)"):
            return run
        return self.run(run.run_id)

    def finish_run(
        self,
        run_id: str,
        status: str,
        at: datetime,
        error: str | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> Run:
        """Close a run that is running; a closed run stays as it is and is returned. NotFoundError if unknown."""
        run = self.run(run_id)
        if run.status != "running":
            return run
        closed = run.closed(status, at, error, outputs)
        if self._table.put(_run_item(closed), "#status = :running", {"running": "running"}):
            return closed
        return self.run(run_id)

    def run(self, run_id: str) -> Run:
        """Return a run, or raise NotFoundError."""
        found = self._table.get(keys.run(run_id))
        if found is None:
            raise NotFoundError(f"there is no run {run_id!r}")
        return Run.model_validate_json(found["body"]["S"])

    def runs(self, limit: int = 50, kind: str | None = None, subject: str | None = None) -> list[Run]:
        """Return the latest runs, newest first, filtered before ``limit`` is applied.

        They are read from an index, which lags the table by a moment; those of one kind about one subject from a
        partition of their own.
        """
        if kind is not None and subject is not None:
            found = self._table.query_index(keys.BY_SUBJECT, keys.runs_about(kind, subject), {}, limit)
            return [Run.model_validate_json(entry["body"]["S"]) for entry in found]
        equal = {name: value for name, value in (("kind", kind), ("subject", subject)) if value is not None}
        found = self._table.query_index(keys.BY_TIME, keys.all_runs(), equal, limit)
        return [Run.model_validate_json(entry["body"]["S"]) for entry in found]

    def record_step(self, step: StepRecord) -> None:
        """Write a step's record (the latest write of ``(run_id, step)`` stands)."""
        self._table.put(item(keys.step(step.run_id, step.step), step))

    def steps(self, run_id: str) -> list[StepRecord]:
        """Return a run's steps in the order in which they started."""
        found = [StepRecord.model_validate_json(entry["body"]["S"]) for entry in self._table.query(keys.step(run_id))]
        return sorted(found, key=lambda step: (step.started_at, step.step))

    def step(self, run_id: str, step: str) -> StepRecord:
        """Return one step's record, or raise NotFoundError."""
        found = self._table.get(keys.step(run_id, step))
        if found is None:
            raise NotFoundError(f"run {run_id!r} has no step {step!r}")
        return StepRecord.model_validate_json(found["body"]["S"])

    def remember(self, made: Made) -> None:
        """Write what a step made from its inputs, in place of what was remembered of the same inputs."""
        places = [keys.remembered(made.subject, made.step, key) for key in (made.key, "")]
        for _ in attempts(f"what {made.step} of {made.subject} made"):
            writes = [self._table.putting(item(place, made)) for place in places]
            if self._table.transact(writes, f"what {made.step} of {made.subject} made"):
                return

    def remembered(self, subject: str, step: str, key: str | None = None) -> Made | None:
        """Return what a step made from the inputs of a key, or what it made last; None if nothing is known."""
        found = self._table.get(keys.remembered(subject, step, key or ""))
        return None if found is None else Made.model_validate_json(found["body"]["S"])

    def claim(self, name: str, owner: str, until: datetime, now: datetime) -> str:
        """Take a named lock until a moment; return who holds it: ``owner`` itself, or the one who was first."""
        lock = item(keys.claim(name), owner=owner, until=keys.moment(until), expires_at=math.ceil(until.timestamp()))
        free = "attribute_not_exists(pk) OR #owner = :owner OR #until <= :now"
        for _ in attempts(f"claim {name}"):
            if self._table.put(lock, free, {"owner": owner, "now": keys.moment(now)}):
                return owner
            holder = self._table.get(keys.claim(name))
            if holder is not None:
                return str(holder["owner"]["S"])
        raise AssertionError("attempts() ends by raising")

    def release(self, name: str, owner: str) -> None:
        """Give a lock back; nothing happens if ``owner`` does not hold it."""
        self._table.delete(keys.claim(name), "#owner = :owner", {"owner": owner})


def _run_item(run: Run) -> Item:
    return item(
        keys.run(run.run_id),
        run,
        status=run.status,
        kind=run.kind,
        subject=run.subject,
        gsi1pk=keys.all_runs(),
        gsi1sk=f"{keys.moment(run.started_at)}#{run.run_id}",
        gsi2pk=keys.runs_about(run.kind, run.subject),
        gsi2sk=f"{keys.moment(run.started_at)}#{run.run_id}",
    )

"""Waiting for the system to act by itself, and telling what it does meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from perennial.errors import NotFoundError, TransientError
from perennial.ports import Catalog
from perennial.records import Run, StepRecord

POLL_SECONDS = 0.25
START_SECONDS = 60.0
"""How long a run that was started may take to be recorded."""
# The clocks of this machine and of the deployment may differ a little.
CLOCK_SLACK = timedelta(seconds=5)
Value = TypeVar("Value")
OnStep = Callable[[Run, StepRecord], None]


def wait_until(look: Callable[[], Value | None], seconds: float, what: str) -> Value:
    """Look again and again until there is something.

    Raises
    ------
    TransientError
        Nothing came within ``seconds``; the message says ``what`` was awaited.
    """
    deadline = time.monotonic() + seconds
    while (value := look()) is None:
        if time.monotonic() > deadline:
            raise TransientError(
                f"{what} did not come within {seconds:.0f} s; see `perennial runs` and `perennial logs`"
            )
        time.sleep(POLL_SECONDS)
    return value


def find_run(
    catalog: Catalog, kind: str, subject: str, since: datetime, matches: Callable[[Run], bool] = lambda run: True
) -> Run | None:
    """Return the earliest run of a kind about a subject that started at or after a moment and matches."""
    recent = catalog.runs(limit=50, kind=kind, subject=subject)
    return next((run for run in reversed(recent) if run.started_at >= since and matches(run)), None)


def known_run(catalog: Catalog, run_id: str) -> Run | None:
    """Return a run if it is recorded by now."""
    try:
        return catalog.run(run_id)
    except NotFoundError:
        return None


def follow_run(catalog: Catalog, run_id: str, seconds: float, on_step: OnStep) -> Run:
    """Wait until a run is closed; ``on_step`` hears of every step when it starts and when it ends.

    Raises
    ------
    TransientError
        The run was not closed within ``seconds``.
    """
    heard: dict[str, str] = {}

    def look() -> Run | None:
        # The run first: what it did before it was closed is then among the steps.
        run = catalog.run(run_id)
        for step in _news(catalog.steps(run_id), heard):
            on_step(run, step)
        return run if run.status != "running" else None

    return wait_until(look, seconds, f"the end of run {run_id}")


def _news(steps: list[StepRecord], heard: dict[str, str]) -> Iterator[StepRecord]:
    for step in steps:
        if heard.get(step.step) != step.status:
            heard[step.step] = step.status
            yield step

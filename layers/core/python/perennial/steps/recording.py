"""Writing down how each step went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from perennial.errors import PerennialError
from perennial.ports import Ports
from perennial.records import Run, StepRecord, Trigger


def begun(
    ports: Ports,
    kind: Literal["ingest", "backfill", "forget"],
    run_id: str,
    dataset: str,
    trigger: Trigger,
    inputs: Mapping[str, Any] | None = None,
) -> Run:
    """Record the run of a state machine about a dataset, unless it is there already; return the recorded one.

    The dataset need not be defined: a run about one that is not fails, and is to be found.
    """
    known = ports.definitions.datasets.get(dataset)
    return ports.catalog.start_run(
        Run(
            run_id=run_id,
            kind=kind,
            subject=dataset,
            status="running",
            trigger=trigger,
            started_at=ports.clock.now(),
            definition_hash=known.fingerprint if known else "",
            code_version=ports.code_version,
            inputs=dict(inputs or {}),
        )
    )


class StepOutput(dict[str, Any]):
    """What a step made, and whether it had to."""

    reused_from: str | None = None
    """As in `StepRecord`."""
    why: str = ""
    """As in `StepRecord`."""


@contextmanager
def recorded(ports: Ports, run_id: str, step: str) -> Iterator[StepOutput]:
    """Record a step as running, then as succeeded or failed.

    Parameters
    ----------
    ports : Ports
        Whose catalog and clock are used.
    run_id, step : str
        Which step of which run, such as ``train#ridge``.

    Yields
    ------
    StepOutput
        To be filled with the step's output: small JSON values, which later steps read from the catalog.
    """
    output = StepOutput()
    record = StepRecord(run_id=run_id, step=step, status="running", started_at=ports.clock.now())
    ports.catalog.record_step(record)
    try:
        yield output
    except Exception as error:  # whatever it is, it goes on up: this only writes it down
        sentence = str(error) if isinstance(error, PerennialError) else f"{type(error).__name__}: {error}"
        failed = {"status": "failed", "ended_at": ports.clock.now(), "error": sentence, **_said(output)}
        ports.catalog.record_step(record.model_copy(update=failed))
        raise
    succeeded = {"status": "succeeded", "ended_at": ports.clock.now(), **_said(output)}
    ports.catalog.record_step(record.model_copy(update=succeeded))


def _said(output: StepOutput) -> dict[str, Any]:
    return {"output": dict(output), "reused_from": output.reused_from, "why": output.why}

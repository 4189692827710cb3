"""Runs and their steps."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from perennial.records.base import Moment, Record


class Trigger(Record):
    """Who or what started a run."""

    kind: Literal["upload", "data", "alarm", "schedule", "person", "run"]
    """``upload``: a file; ``data``: an updated dataset; ``run``: another run, such as the training before a deploy."""
    source: str
    """The object's URI, the alarm's name, the schedule's name, the person's ARN or the run's id."""
    reason: str = ""
    """In words: the alarm's reason, what a person wrote."""
    override_gate: bool = False
    """Of a promotion that a person asked for: whether although the gate said no."""
    retry_of: str = ""
    """Run that was refused for a while, in whose place this one asks again; empty of all others."""
    at_once: bool = False
    """Of a promotion that a person asked for: whether the version serves without having stood beside the champion."""
    no_cache: bool = False
    """Whether each step is to do its work anew, also where an earlier run did the very same."""


class StepRecord(Record):
    """One step of a run."""

    run_id: str
    step: str
    """The step's name; with its item when fanned out, such as ``train#ridge``."""
    status: Literal["running", "succeeded", "failed"]
    started_at: Moment
    ended_at: Moment | None = None
    output: dict[str, Any] = Field(default_factory=dict)
    """What the step returned: ids, keys and figures; later steps read it from here."""
    error: str | None = None
    reused_from: str | None = None
    """Run whose output this step took over instead of doing its work again; None if it did the work itself."""
    why: str = ""
    """Why it ran, or why it did not have to, of a step that may take over another run's output."""


class Made(Record):
    """What a step made from given inputs, so that the same need not be made again."""

    subject: str
    """The model."""
    step: str
    """As in `StepRecord`."""
    key: str
    """SHA-256 of the inputs."""
    inputs: dict[str, str]
    """Name of each thing that the output depends on to its SHA-256."""
    run_id: str
    why: str
    """Of the step's record."""
    output: dict[str, Any]
    at: Moment


class Run(Record):
    """One execution of a state machine, or a person's experiment."""

    run_id: str
    kind: Literal["ingest", "backfill", "forget", "train", "deploy", "experiment", "rebuild", "batch_predict"]
    """Of a state machine; ``experiment``: of a person's own program (`perennial.client`)."""
    subject: str
    """The dataset (ingest, backfill, forget) or the model (train, deploy, experiment, rebuild, batch_predict)."""
    status: Literal["running", "succeeded", "failed", "refused"]
    """``refused``: admission or the contract of triggers said no; the reason stands in ``error``."""
    trigger: Trigger
    started_at: Moment
    ended_at: Moment | None = None
    definition_hash: str = ""
    code_version: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None

    def closed(self, status: str, at: datetime, error: str | None, outputs: Mapping[str, Any] | None) -> Run:
        """Return this run as it ended."""
        ending = {"status": status, "ended_at": at, "error": error, "outputs": dict(outputs or {})}
        return Run.model_validate({**self.model_dump(), **ending})

"""Experiments: what a person tried on a laptop or in a notebook, and which models came of it."""

from __future__ import annotations

from pydantic import Field

from perennial.records.base import Record

Parameter = bool | int | float | str | None
"""A value of a parameter."""


class LoggedFile(Record):
    """A file that an experiment keeps."""

    name: str
    key: str
    """In the artifacts bucket; it follows from the content."""
    sha256: str
    size: int
    """Bytes."""


class Submitted(Record):
    """A model of an experiment that was put before the gate."""

    submission: str
    """SHA-256 of its ``candidate.json``."""
    run_id: str
    """The training run that judges it."""
    version: int | None = None
    """None until it is registered."""
    passed: bool | None = None
    """What the gate said; None until it has."""


class ExperimentLog(Record):
    """What the run of an experiment has logged so far; who, when and how it ended stands in its `Run`."""

    run_id: str
    model: str
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)
    """The latest value of each."""
    points: dict[str, int] = Field(default_factory=dict)
    """How many values of each metric the chunks hold."""
    chunks: int = 0
    """How many objects hold all values of the metrics (`perennial.keys.experiment_points`)."""
    artifacts: tuple[LoggedFile, ...] = ()
    submitted: tuple[Submitted, ...] = ()

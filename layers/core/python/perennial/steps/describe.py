"""Tell what is registered: models, their versions, runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from perennial.definitions import Column
from perennial.errors import NotFoundError, RequestError
from perennial.manifest import Manifest
from perennial.ports import Ports
from perennial.records import ModelVersion, Run, StepRecord, Trigger, Verdict
from perennial.steps.verified import read_verified

MOST = 100
"""Entries of a page at most."""


class Described(BaseModel):
    """Base of what the API tells: JSON has no NaN, so what is no number is null."""

    model_config = ConfigDict(ser_json_inf_nan="null")


class Page(BaseModel):
    """Which part of a list is asked for."""

    limit: int = 50
    after: str | None = None
    """The last entry of the page before."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Page:
        """Read ``limit`` and ``next``; a RequestError names what is wrong."""
        return cls(limit=whole(query, "limit", 50, MOST), after=query.get("next"))


class Challenging(Described):
    """A version on its way to serve."""

    version: int
    weight: float
    """Share of the callers that it answers."""
    shadow: bool
    since: datetime


class Serving(Described):
    """The version that serves."""

    version: int
    previous: int | None
    """The version that served before."""
    by: str
    """The run or the person that let it serve."""
    promoted_at: datetime
    challenger: Challenging | None


class ModelSummary(Described):
    """A model in a list."""

    model: str
    champion: int | None
    """The version that serves, if one does."""


class ModelPage(Described):
    """Models by name."""

    models: list[ModelSummary]
    next: str | None
    """What to send as ``next`` for those that follow; null at the end."""


class VersionSummary(Described):
    """A version in a list."""

    version: int
    stage: str
    reason: str
    metrics: dict[str, float | None]
    """On the held-out rows."""
    tags: dict[str, str]
    created_at: datetime


class ModelDetail(Described):
    """A model."""

    model: str
    champion: Serving | None
    aliases: dict[str, int]
    versions: list[VersionSummary]
    """Newest first."""
    next: str | None


class VersionDetail(VersionSummary):
    """A version: what it is, what it reads, how it was judged."""

    model: str
    task: str
    target: str
    algorithm: str
    metric: str
    inputs: dict[str, Column]
    """What a request must bring."""
    features: tuple[str, ...]
    classes: tuple[str, ...]
    verdict: Verdict
    training_set_id: str
    snapshots: tuple[str, ...]
    run_id: str
    trigger: Trigger
    code_version: str
    definition_hash: str
    libraries: dict[str, str]
    files: dict[str, str]
    """File to SHA-256."""


class RunDetail(Described):
    """A run with its steps in the order in which they started."""

    run: Run
    steps: list[StepRecord]


def models(ports: Ports, page: Page) -> ModelPage:
    """List the models by name."""
    names = sorted(name for name in ports.catalog.models() if page.after is None or name > page.after)
    shown = names[: page.limit]
    found = []
    for name in shown:
        champion = ports.catalog.champion(name)
        found.append(ModelSummary(model=name, champion=champion.version if champion else None))
    return ModelPage(models=found, next=shown[-1] if len(names) > len(shown) else None)


def model(ports: Ports, name: str, page: Page) -> ModelDetail:
    """Show a model; NotFoundError if it has no version yet."""
    versions = ports.catalog.versions(name)
    if not versions:
        raise NotFoundError(f"there is no model {name[:64]!r}; GET /models lists them", "model")
    if page.after is not None:
        if not (page.after.isascii() and page.after.isdigit() and len(page.after) < 10):
            raise RequestError("next must be what the answer before said", "next")
        versions = [version for version in versions if version.version < int(page.after)]
    shown = versions[: page.limit]
    return ModelDetail(
        model=name,
        champion=_serving(ports, name),
        aliases={alias.name: alias.version for alias in ports.catalog.aliases(name)},
        versions=[VersionSummary(**_summary(version)) for version in shown],
        next=str(shown[-1].version) if len(versions) > len(shown) else None,
    )


def version(ports: Ports, name: str, which: int | str | None) -> VersionDetail:
    """Show a version; NotFoundError if there is none of that number or alias."""
    found = find_version(ports, name, which)
    manifest = read_manifest(ports, found)
    return VersionDetail(
        **_summary(found),
        model=name,
        verdict=found.verdict,
        run_id=found.run_id,
        trigger=found.trigger,
        **{
            field: getattr(manifest, field)
            for field in (
                "task",
                "target",
                "algorithm",
                "metric",
                "inputs",
                "features",
                "classes",
                "training_set_id",
                "snapshots",
                "code_version",
                "definition_hash",
                "libraries",
                "files",
            )
        },
    )


def run(ports: Ports, run_id: str) -> RunDetail:
    """Show a run; NotFoundError if there is none of that id."""
    return RunDetail(run=ports.catalog.run(run_id), steps=ports.catalog.steps(run_id))


def find_version(ports: Ports, name: str, which: int | str | None) -> ModelVersion:
    """Return a version by its number or alias, or the one that serves; NotFoundError if there is none."""
    if which is None:
        champion = ports.catalog.champion(name)
        if champion is None:
            raise NotFoundError(f"model {name[:64]!r} has no champion; train it, or name a version", "model")
        which = champion.version
    elif isinstance(which, str):
        which = ports.catalog.alias(name, which).version
    return ports.catalog.version(name, which)


def read_manifest(ports: Ports, version: ModelVersion) -> Manifest:
    """Return a version's manifest; DataError if it is not the registered one."""
    return Manifest.model_validate_json(read_verified(ports.artifacts, version.manifest_key, version.manifest_sha256))


def whole(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """Return a parameter that is a whole number from 1 to ``most``; a RequestError names it if it is not."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise RequestError(f"{name} must be a whole number from 1 to {most:,}", name)
    return int(text)


def _summary(version: ModelVersion) -> dict[str, Any]:
    return {field: getattr(version, field) for field in VersionSummary.model_fields}


def _serving(ports: Ports, name: str) -> Serving | None:
    champion = ports.catalog.champion(name)
    if champion is None:
        return None
    challenger = champion.challenger
    return Serving(
        version=champion.version,
        previous=champion.previous,
        by=champion.by,
        promoted_at=champion.promoted_at,
        challenger=None
        if challenger is None
        else Challenging(
            version=challenger.version, weight=challenger.weight, shadow=challenger.shadow, since=challenger.since
        ),
    )

"""The plan of a bulk prediction: written once, read by everyone who works on it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from perennial import keys
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.manifest import Manifest
from perennial.ports import ObjectStore, Ports
from perennial.records import BulkFile, BulkPlan, BulkTable
from perennial.serving.integrity import read_manifest
from perennial.steps.kept_definitions import kept
from perennial.utc import naive_utc


def registered(ports: Ports, model: str, version: int | str | None) -> tuple[str, str]:
    """Return the key and the SHA-256 of the manifest of a version, of what an alias stands for, or of the champion.

    Raises
    ------
    NotFoundError
        There is no such model, version, alias or champion.
    """
    if version is None:
        champion = ports.catalog.champion(model)
        if champion is None:
            raise NotFoundError(f"model {model!r} has no champion; train it, or name a version", "model")
        return champion.manifest_key, champion.manifest_sha256
    number = version if isinstance(version, int) else ports.catalog.alias(model, version).version
    found = ports.catalog.version(model, number)
    return found.manifest_key, found.manifest_sha256


def manifest_of(ports: Ports, key: str, sha256: str) -> Manifest:
    """Return a registered version's manifest; DataError if it is gone, or is not the one that was registered."""
    try:
        return read_manifest(ports.artifacts.get(key), sha256)
    except NotFoundError:
        raise DataError(f"{key}: is missing; restore it or train again") from None


def make_plan(
    ports: Ports, manifest_key: str, manifest_sha256: str, files: Sequence[BulkFile], at: datetime, shared_above: int
) -> BulkPlan:
    """Put down all that the predictions will depend on; nothing is written yet.

    The tables of stored views are those that are published now: what the online store has, too. They stay the same
    for all chunks, also when the view is computed anew meanwhile.

    Parameters
    ----------
    at : datetime
        When a row happens that does not say it.

    Raises
    ------
    DataError
        The version's files are not the registered ones, or not enough is known of how it was trained.
    NotFoundError
        A stored view of the version has no table any more.
    """
    manifest = manifest_of(ports, manifest_key, manifest_sha256)
    with tempfile.TemporaryDirectory() as folder:
        definitions = _definitions(ports, manifest, Path(folder))
    time = manifest.inputs.get(manifest.event_time or "")
    matters = bool(manifest.stored) and (time is None or time.nullable)
    return BulkPlan(
        model=manifest.model,
        version=manifest.version,
        manifest_key=manifest_key,
        manifest_sha256=manifest_sha256,
        dataset=definitions.dataset(definitions.model(manifest.model).dataset),
        files=tuple(files),
        tables=tuple(_table(ports, definitions, view.name, view.version) for view in manifest.stored),
        at=naive_utc(at) if matters else None,
        code_version=ports.code_version,
        shared_above=shared_above,
    )


def read_plan(ports: Ports, model: str, bulk_id: str) -> BulkPlan:
    """Return a plan that was written down.

    Raises
    ------
    NotFoundError
        There is none of this id.
    DataError
        It was changed since, or other code wrote it.
    """
    content = ports.artifacts.get(keys.bulk_plan(model, bulk_id))
    if hashlib.sha256(content).hexdigest()[: len(bulk_id)] != bulk_id:
        raise DataError(f"{keys.bulk_plan(model, bulk_id)}: was changed after it was made; predict the files again")
    plan = BulkPlan.model_validate_json(content)
    if plan.code_version != ports.code_version:
        raise DataError(
            f"{keys.bulk_plan(model, bulk_id)}: is of code {plan.code_version}, and {ports.code_version} is deployed; "
            "predict the files again"
        )
    return plan


def store_of(ports: Ports, bucket: str) -> ObjectStore:
    """Return the bucket of that name; DataError if it is none of the deployment's."""
    for store in (ports.raw, ports.artifacts):
        if store.bucket == bucket:
            return store
    raise DataError(
        f"s3://{bucket}: files are read from the deployment's own buckets only; copy the file to "
        f"s3://{ports.raw.bucket}/{keys.PREDICT}/<model>/, or name a local one"
    )


def _definitions(ports: Ports, manifest: Manifest, folder: Path) -> Definitions:
    """Return the definitions that a version was trained by: the deployed ones, if they are, or those kept then."""
    deployed = ports.definitions
    if manifest.model in deployed.models and deployed.fingerprint(manifest.model) == manifest.definition_hash:
        return deployed
    return kept(ports, ports.catalog.run(manifest.run_id), folder)


def _table(ports: Ports, definitions: Definitions, view: str, version: str) -> BulkTable:
    published = ports.catalog.view(view, version)
    return BulkTable(
        view=definitions.view(view),
        version=version,
        manifest_key=published.manifest_key,
        manifest_sha256=published.manifest_sha256,
    )

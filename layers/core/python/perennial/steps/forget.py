"""Take rows out of a dataset for good, as a data subject may ask, and out of all that was made from them.

What is cleaned: the live snapshots and all that ever were; manifests; quarantines; reports; the tables of the feature
views that depend on the dataset, which are computed anew, offline and online; and the training sets of the models that
learn from the dataset. An upload of such rows that comes later, or again, is ingested without them.

What stays: the models that were trained, the predictions that were asked for and their labels, and the uploaded files
themselves unless ``delete_uploads`` is set; a file is deleted as a whole, so its other rows cannot be made anew either.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from perennial.data.engine import DEFAULTS, Resources
from perennial.data.live_rows.erasure import canonical, subject_hash
from perennial.definitions import Dataset
from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Erasure, Trigger
from perennial.sql import sql_type
from perennial.steps.forgetting.forget_rows import Search
from perennial.steps.ingest import attempts
from perennial.steps.recording import begun, recorded
from perennial.steps.sizes import bytes_behind_views
from perennial.steps.snapshots.snapshot_writer import purge


class Request(BaseModel):
    """Where it is written what to forget: the request itself, for its values must not stand in logs."""

    run_id: str
    dataset: str
    request_key: str
    """JSON of a `Subject` in the artifacts bucket; it is deleted when all is done."""
    trigger: Trigger
    """Who asked, and why."""


class Subject(BaseModel):
    """Which rows to forget."""

    values: Mapping[str, str] = Field(min_length=1)
    """Column to value, written as in an upload: rows that have all of them are forgotten."""
    delete_uploads: bool = False
    """Whether uploaded objects that held such rows are deleted as well, in all their versions."""


class Forgotten(BaseModel):
    """What was taken out."""

    run_id: str
    dataset: str
    erasure_id: str
    rows: dict[str, int]
    """Of live ``snapshots``, and of ``quarantine``."""
    snapshots: dict[str, str]
    """Snapshot to the one that took its place."""
    uploads: tuple[str, ...]
    """URIs, with versions, of uploaded objects that hold or held such rows."""
    uploads_deleted: bool
    published: bool
    """Whether live rows were taken out."""
    dataset_bytes: int
    """Of the snapshots that its views read."""
    kept: str = "models, predictions and labels stay; so do uploads, unless they were deleted"


def run(request: Request, ports: Ports, *, resources: Resources = DEFAULTS) -> Forgotten:
    """Forget rows; a step that is killed and repeated ends as if it had not been.

    Raises
    ------
    DataError
        The request names no such column, or a value that is not of its type.
    NotFoundError
        There is no such dataset or request.
    TransientError
        Uploads of the dataset were published at every moment.
    """
    begun(ports, "forget", request.run_id, request.dataset, request.trigger)
    with recorded(ports, request.run_id, "forget") as output, tempfile.TemporaryDirectory() as folder:
        dataset = ports.definitions.dataset(request.dataset)
        erasure = _Forgetting(request, dataset, ports, Path(folder), resources).erase()
        forgotten = Forgotten(
            run_id=request.run_id,
            dataset=dataset.name,
            erasure_id=erasure.erasure_id,
            rows=erasure.rows,
            snapshots=erasure.snapshots,
            uploads=erasure.uploads,
            uploads_deleted=erasure.uploads_deleted,
            published=bool(erasure.rows["snapshots"]),
            dataset_bytes=bytes_behind_views(ports, dataset.name),
        )
        output.update(forgotten.model_dump(mode="json"))
    return forgotten


@dataclass
class _Forgetting:
    request: Request
    dataset: Dataset
    ports: Ports
    folder: Path
    resources: Resources

    def erase(self) -> Erasure:
        """Publish the erasure, then delete what is no longer needed, the request last; return what was recorded."""
        recorded_one = self._recorded()
        try:
            subject = Subject.model_validate_json(self.ports.artifacts.get(self.request.request_key))
        except NotFoundError:
            if recorded_one is None:
                raise
            return recorded_one  # the run was repeated after all had been done
        except ValidationError as error:
            where = ", ".join(".".join(str(step) for step in fault["loc"]) for fault in error.errors())
            raise DataError(  # without pydantic's message, which repeats the values
                f"{self.request.request_key}: is not a request to forget rows ({where or 'no JSON'}); write "
                '{"values": {"column": "value"}, "delete_uploads": false}'
            ) from None
        texts = self._texts(subject)
        erasure = recorded_one or self._publish(subject, texts)
        search = Search(self.ports, self.dataset, erasure, texts, self.folder, self.resources)
        search.delete_traces()
        if erasure.uploads_deleted:
            for key in sorted({_key(uri) for uri in erasure.uploads}):
                purge(self.ports.raw, key)
        purge(self.ports.artifacts, self.request.request_key)
        return erasure

    def _publish(self, subject: Subject, texts: Mapping[str, str]) -> Erasure:
        name, catalog = self.dataset.name, self.ports.catalog
        for _ in attempts(name):
            uploads, revision = catalog.uploads(name)
            erasure = self._erasure(subject, texts)
            search = Search(self.ports, self.dataset, erasure, texts, self.folder, self.resources)
            try:
                change = search.rewrite(uploads)
            except NotFoundError:  # another run has forgotten rows meanwhile, and deleted the snapshots that held them
                if catalog.uploads(name)[1] == revision:
                    raise
                continue
            erasure = erasure.model_copy(
                update={
                    "rows": {"snapshots": change.rows, "quarantine": search.count_quarantined()},
                    "snapshots": {old: new.snapshot_id for old, new in sorted(change.originals.items())},
                    "uploads": search.uploads(change, uploads),
                }
            )
            try:
                catalog.publish_erasure(erasure, change.originals, change.read, revision)
            except ConflictError:
                continue
            return erasure
        raise AssertionError("attempts() ends by raising")

    def _erasure(self, subject: Subject, texts: Mapping[str, str]) -> Erasure:
        """Return the record, still without what was found."""
        names = tuple(sorted(texts))
        others = self.ports.catalog.erasures(self.dataset.name)
        # One salt for a dataset, so that ingest computes one hash of a row however much was forgotten.
        salt = others[0].salt if others else subject_hash("salt", [self.dataset.name, self.request.run_id])
        return Erasure(
            erasure_id=self.request.run_id,
            dataset=self.dataset.name,
            columns=names,
            types=tuple(sql_type(self.dataset.columns[name]) for name in names),
            subject_sha256=subject_hash(salt, [texts[name] for name in names]),
            salt=salt,
            rows={},
            snapshots={},
            uploads=(),
            uploads_deleted=subject.delete_uploads,
            by=self.request.trigger.source,
            reason=self.request.trigger.reason,
            run_id=self.request.run_id,
            at=self.ports.catalog.run(self.request.run_id).started_at,
        )

    def _recorded(self) -> Erasure | None:
        known = self.ports.catalog.erasures(self.dataset.name)
        return next((one for one in known if one.erasure_id == self.request.run_id), None)

    def _texts(self, subject: Subject) -> dict[str, str]:
        place = self.folder / "subject"
        place.mkdir()
        texts = canonical(self.dataset, subject.values, place, self.resources)
        return dict(zip(sorted(subject.values), texts, strict=True))


def _key(uri: str) -> str:
    """Return the key of an upload as `Erasure.uploads` names it."""
    return uri.removeprefix("s3://").partition("/")[2].rpartition("?versionId=")[0]

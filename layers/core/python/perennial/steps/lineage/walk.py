"""Walking from one thing to what it was made from, and to what was made from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from perennial import keys
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import AuditEntry, ModelVersion, Run, Snapshot, TrainingInputs, TrainingSet, ViewManifest
from perennial.serving.ids import parse_prediction_id
from perennial.steps.lineage.graph import Edge, Lineage, Node
from perennial.steps.prediction_log import FoundPrediction, newest_first, parts_of, rows_in
from perennial.steps.verified import read_verified
from perennial.steps.views.view_online import find_view_manifest

BULK_RUNS = 100
"""How many of a model's bulk predictions are looked at."""
DAYS = 30
"""How many days of a version's prediction log are counted."""


@dataclass
class Walk:
    """Gathers nodes and edges; whatever is reached twice is looked up once.

    Nothing is scanned: forward, it asks for the versions of each model, which know their snapshots.

    Parameters
    ----------
    ports : Ports
        The deployment's stores.
    """

    ports: Ports
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: set[Edge] = field(default_factory=set)
    _manifests: dict[str, ViewManifest | None] = field(default_factory=dict)
    _bulk: dict[str, list[Run]] = field(default_factory=dict)
    _pointers: dict[str, tuple[int | None, list[AuditEntry]]] = field(default_factory=dict)

    @cached_property
    def snapshots(self) -> dict[str, Snapshot]:
        """All snapshots that there ever were, by id."""
        datasets = self.ports.definitions.datasets
        found = [snapshot for name in sorted(datasets) for snapshot in self.ports.catalog.ever_published(name)]
        return {snapshot.snapshot_id: snapshot for snapshot in found}

    @cached_property
    def versions(self) -> list[ModelVersion]:
        """All versions of all models, by model, oldest first."""
        models = self.ports.catalog.models()
        return [version for model in models for version in reversed(self.ports.catalog.versions(model))]

    def lineage(self, thing: str) -> Lineage:
        """Return what was gathered."""
        return Lineage(thing, self.nodes, frozenset(self.edges))

    def file(self, uri: str) -> str:
        """Add an uploaded object with all snapshots that were made of it, and what was made of these."""
        made = [snapshot for snapshot in self.snapshots.values() if snapshot.source == uri]
        if not made:
            raise NotFoundError(f"nothing was made of {uri}; see `perennial runs --kind ingest` for why")
        found = self._add(Node(f"file:{uri}", "file", uri, facts={"source": uri}))
        for snapshot in made:
            self.made(found, self.snapshot_after(snapshot.snapshot_id))
        return found

    def file_of(self, snapshot: Snapshot) -> str:
        """Add the version of an uploaded object that a snapshot was made of."""
        name = f"{snapshot.source}?versionId={snapshot.source_version}"
        facts = {
            "source": snapshot.source,
            "version_id": snapshot.source_version,
            "sha256": snapshot.source_sha256,
            "uploaded_at": snapshot.uploaded_at.isoformat() if snapshot.uploaded_at else None,
        }
        title = f"{snapshot.source}, version {snapshot.source_version}, SHA-256 {snapshot.source_sha256[:12]}"
        return self._add(Node(f"file:{name}", "file", title, snapshot.source.rpartition("/")[2], facts))

    def snapshot_before(self, snapshot_id: str, known: Snapshot | None = None) -> str:
        """Add a snapshot with what it was made from."""
        snapshot = known or self.snapshots.get(snapshot_id)
        if snapshot is None:
            return self._add(Node(f"snapshot:{snapshot_id}", "snapshot", f"{snapshot_id[:12]} (no longer recorded)"))
        found = self._snapshot(snapshot)
        self.made(self.file_of(snapshot), found)
        if snapshot.rewritten_from is not None and snapshot.rewritten_from != snapshot_id:
            original = self.snapshots.get(snapshot.rewritten_from)
            if original is not None:
                self.made(self._snapshot(original), found)
                self.made(self.file_of(original), self._snapshot(original))
        return found

    def snapshot_after(self, snapshot_id: str) -> str:
        """Add a snapshot with what was made from it: rewritten ones, versions, their predictions."""
        found = self._snapshot(self.snapshots[snapshot_id])
        for other in self.snapshots.values():
            if other.rewritten_from == snapshot_id and other.snapshot_id != snapshot_id:
                self.made(found, self.snapshot_after(other.snapshot_id))
        for version in self.versions:
            made = version.training_set
            read_by = [view for view, key in made.views.items() if self._table_reads(key, snapshot_id, made)]
            if snapshot_id in made.snapshots or read_by:
                target = self._training_set(version.model, made)
                if snapshot_id in made.snapshots:
                    self.made(found, target)
                for view in read_by:
                    self.made(found, self.made(self._table(view, made.views[view]), target))
                self.made(target, self.version_after(version))
        return found

    def training_set_before(self, model: str, made: TrainingSet) -> str:
        """Add a training set with all that it was made from."""
        found = self._training_set(model, made)
        exact = self._inputs(made)
        known = {snapshot.snapshot_id: snapshot for snapshot in exact.snapshots} if exact else {}
        for snapshot_id in made.snapshots:
            self.made(self.snapshot_before(snapshot_id, known.get(snapshot_id)), found)
        for view, key in made.views.items():
            table = self._table(view, key)
            self.made(table, found)
            manifest = self._manifest(key)
            names = [one for each in manifest.snapshots.values() for one in each] if manifest else made.view_snapshots
            for snapshot_id in names:
                self.made(self.snapshot_before(snapshot_id, known.get(snapshot_id)), table)
        return found

    def version_before(self, version: ModelVersion) -> str:
        """Add a version with its run, its training set and all that this was made from."""
        found = self._version(version)
        self.made(self.training_set_before(version.model, version.training_set), found)
        try:
            run = self.ports.catalog.run(version.run_id)
        except NotFoundError:
            return found
        self.made(self.run(run), found)
        return found

    def version_after(self, version: ModelVersion) -> str:
        """Add a version with what it predicted in the last days."""
        found = self._version(version)
        today = self.ports.clock.now().date()
        since = max(version.created_at.date(), today - timedelta(days=DAYS - 1))
        prefix = keys.predictions(version.model, version.version)
        days: Counter[str] = Counter()
        for key in parts_of(newest_first(self.ports.artifacts, prefix, since, today, days=DAYS)):
            days[key.removeprefix(prefix)[5:15]] += rows_in(key)
        if days:
            predictions = sum(days.values())
            title = f"{predictions:,} predictions logged on {len(days):,} of the last {DAYS} days"
            name = f"predictions:{version.model}@{version.version}"
            facts = {"predictions": predictions, "predictions_by_day": dict(sorted(days.items()))}
            self.made(found, self._add(Node(name, "predictions", title, f"{version.version:08d}", facts)))
        for run in self.bulk_runs(version.model):
            if run.outputs.get("version") == version.version:
                self.made(found, self.bulk(run))
        return found

    def bulk_runs(self, model: str) -> list[Run]:
        """Return the latest bulk predictions of a model."""
        if model not in self._bulk:
            self._bulk[model] = self.ports.catalog.runs(BULK_RUNS, "batch_predict", model)
        return self._bulk[model]

    def bulk(self, run: Run) -> str:
        """Add what a bulk prediction wrote."""
        key = str(run.outputs["result_key"])
        facts = {"result": f"s3://{self.ports.artifacts.bucket}/{key}", **run.outputs}
        title = f"{run.outputs['rows']:,} rows of files, predicted by run {run.run_id[:13]}"
        return self._add(Node(f"bulk:{key}", "predictions", title, run.started_at.isoformat(), facts))

    def run(self, run: Run) -> str:
        """Add a run by itself."""
        facts = {
            "status": run.status,
            "trigger": run.trigger.model_dump(mode="json"),
            "started_at": run.started_at.isoformat(),
            "code_version": run.code_version,
            "definition_hash": run.definition_hash,
            "subject": run.subject,
            **({"monitoring_report": told} if (told := run.inputs.get("monitoring_report")) else {}),
        }
        title = f"{run.kind} {run.run_id[:13]}, by {run.trigger.kind}, {run.status}"
        return self._add(Node(f"run:{run.run_id}", "run", title, run.started_at.isoformat(), facts))

    def prediction(self, version: ModelVersion, prediction: FoundPrediction) -> str:
        """Add a prediction under the version that made it, with all that this was made from."""
        at, name = prediction.at.isoformat(timespec="seconds"), prediction.prediction_id
        facts = {
            "log": f"s3://{self.ports.artifacts.bucket}/{prediction.part}",
            "at": at,
            "row": parse_prediction_id(name).row,
        }
        found = self._add(Node(f"prediction:{name}", "prediction", f"{name}, {at}", at, facts))
        self.made(self.version_before(version), found)
        return found

    def _snapshot(self, snapshot: Snapshot) -> str:
        first, last = (
            at.date().isoformat() if at else "?" for at in (snapshot.min_event_time, snapshot.max_event_time)
        )
        facts = {
            "dataset": snapshot.dataset,
            "source": snapshot.source,
            "version_id": snapshot.source_version,
            "source_sha256": snapshot.source_sha256,
            "rows": snapshot.rows,
            "rejected": snapshot.rejected,
            "from": first,
            "to": last,
            "manifest": snapshot.manifest_key,
            "manifest_sha256": snapshot.manifest_sha256,
        }
        title = f"{snapshot.dataset} {snapshot.snapshot_id[:12]}, {snapshot.rows:,} rows, {first} … {last}"
        return self._add(Node(f"snapshot:{snapshot.snapshot_id}", "snapshot", title, first[:7], facts))

    def _table(self, view: str, key: str) -> str:
        facts = {"view": view, "manifest": key}
        return self._add(Node(f"table:{key}", "table", f"{view} {key.rpartition('/')[2][:12]}", view, facts))

    def _training_set(self, model: str, made: TrainingSet) -> str:
        facts = {
            "model": model,
            "rows_train": made.rows_train,
            "rows_holdout": made.rows_holdout,
            "split_at": made.split_at.isoformat(),
            "files": made.sha256,
        }
        rows = f"{made.rows_train:,} + {made.rows_holdout:,} rows"
        title = f"{made.training_set_id[:12]}, {rows}"
        name = f"training_set:{made.training_set_id}"
        return self._add(Node(name, "training_set", title, made.split_at.isoformat(), facts))

    def _version(self, version: ModelVersion) -> str:
        name = f"{version.model}@{version.version}"
        serving, audit = self._service(version.model)
        moves = [entry for entry in audit if entry.version == version.version and entry.moved_pointer]
        serves = serving == version.version
        service = "serves" if serves else "served" if moves else "never served"
        facts = {
            "model": version.model,
            "version": version.version,
            "stage": version.stage,
            "service": service,
            "moved_at": [entry.at.isoformat() for entry in moves],
            "candidate": version.verdict.candidate,
            "metrics": version.metrics,
            "manifest": version.manifest_key,
            "manifest_sha256": version.manifest_sha256,
        }
        title = f"{name}, {version.verdict.candidate}, {service}"
        return self._add(Node(f"version:{name}", "version", title, f"{version.version:08d}", facts))

    def _service(self, model: str) -> tuple[int | None, list[AuditEntry]]:
        """Return which version of a model serves, and the audit trail."""
        if model not in self._pointers:
            champion = self.ports.catalog.champion(model)
            self._pointers[model] = champion.version if champion else None, self.ports.catalog.audit(model)
        return self._pointers[model]

    def _inputs(self, made: TrainingSet) -> TrainingInputs | None:
        """Return exactly what a training set was made from; None where that is not known, or altered."""
        if not made.inputs_key:
            return None
        try:
            content = read_verified(self.ports.artifacts, made.inputs_key, made.sha256[made.inputs_key])
        except (NotFoundError, DataError):
            return None
        return TrainingInputs.model_validate_json(content)

    def _table_reads(self, key: str, snapshot_id: str, made: TrainingSet) -> bool:
        """Tell whether a stored view's table was computed from a snapshot; its manifest is read if need be."""
        if snapshot_id not in made.snapshots and made.inputs_key and snapshot_id not in made.view_snapshots:
            return False
        manifest = self._manifest(key)
        return manifest is not None and any(snapshot_id in names for names in manifest.snapshots.values())

    def _manifest(self, key: str) -> ViewManifest | None:
        if key not in self._manifests:
            self._manifests[key] = find_view_manifest(self.ports, key)
        return self._manifests[key]

    def _add(self, node: Node) -> str:
        self.nodes.setdefault(node.id, node)
        return node.id

    def made(self, source: str, target: str) -> str:
        """Add an edge; return its source."""
        self.edges.add(Edge(source, target))
        return source

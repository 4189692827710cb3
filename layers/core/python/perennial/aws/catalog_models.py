"""Model versions and the monitor's findings, on DynamoDB."""

from __future__ import annotations

from perennial import keys
from perennial.aws.retrying import attempts
from perennial.aws.table import Table, item
from perennial.errors import NotFoundError
from perennial.records import Assessment, ModelVersion


class Models:
    """The part of the catalog that numbers and keeps versions; what becomes of them is in ``catalog_registry``."""

    _table: Table

    def allocate_version(self, model: str, run_id: str) -> int:
        """Return the version number of a run: the next one (1, 2, 3, …), the same again when asked again."""
        for _ in attempts(f"version counter of model {model}"):
            mapping = self._table.get(keys.model_run(model, run_id))
            if mapping is not None:
                return int(mapping["version"]["N"])
            counter = self._table.get(keys.model_counter(model))
            seen = 0 if counter is None else int(counter["version"]["N"])
            unchanged = "#version = :seen" if seen else "attribute_not_exists(pk)"
            writes = [
                self._table.putting(
                    item(keys.model_counter(model), version=seen + 1), unchanged, {"seen": seen} if seen else None
                ),
                self._table.putting(item(keys.model_run(model, run_id), version=seen + 1), "attribute_not_exists(pk)"),
            ]
            if self._table.transact(writes, f"version counter of model {model}"):
                return seen + 1
        raise AssertionError("attempts() ends by raising")

    def publish_version(self, version: ModelVersion) -> None:
        """Record a version, unless it is there already."""
        key = keys.model_version(version.model, version.version)
        partition, prefix = keys.all_models()
        writes = [
            self._table.putting(item(key, version), "attribute_not_exists(pk)"),
            self._table.putting(item((partition, prefix + version.model), model=version.model)),
        ]
        for _ in attempts(f"version {version.version} of model {version.model}"):
            if self._table.transact(writes, f"version {version.version} of model {version.model}"):
                return
            if self._table.get(key) is not None:
                return

    def version(self, model: str, version: int) -> ModelVersion:
        """Return a version, or raise NotFoundError."""
        found = self._table.get(keys.model_version(model, version))
        if found is None:
            raise NotFoundError(f"model {model!r} has no version {version}")
        return ModelVersion.model_validate_json(found["body"]["S"])

    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions of a model, newest first."""
        found = self._table.query(keys.model_version(model), newest_first=True)
        return [ModelVersion.model_validate_json(entry["body"]["S"]) for entry in found]

    def models(self) -> list[str]:
        """Return the names of the models that have a version."""
        return [str(entry["model"]["S"]) for entry in self._table.query(keys.all_models())]

    def record_assessment(self, assessment: Assessment) -> None:
        """Remember what the monitor found."""
        self._table.put(item(keys.assessment(assessment.model, assessment.at), assessment))

    def assessments(self, model: str, limit: int = 50) -> list[Assessment]:
        """Return the monitor's findings on a model, newest first."""
        found = self._table.query(keys.assessment(model), newest_first=True, limit=limit)
        return [Assessment.model_validate_json(entry["body"]["S"]) for entry in found]

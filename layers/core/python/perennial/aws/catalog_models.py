"""Model versions, the champion pointer, its audit and assessments, on DynamoDB."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from perennial import keys
from perennial.aws.errors import attempts
from perennial.aws.table import Item, Table, item
from perennial.errors import ConflictError, NotFoundError
from perennial.records import Assessment, AuditEntry, Champion, ModelVersion


class Models:
    """The part of the catalog that is the model registry."""

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

    def champion(self, model: str) -> Champion | None:
        """Return the pointer to the version that serves, or None."""
        return _champion(self._table.get(keys.champion(model)))

    def promote(
        self,
        model: str,
        version: int,
        expected: int | None,
        at: datetime,
        by: str,
        reason: str,
        action: str = "promote",
    ) -> Champion:
        """Move the champion pointer, archive the old champion and write the audit entry, in one transaction."""
        for _ in attempts(f"champion of model {model}"):
            found = self._table.get(keys.champion(model))
            now = _champion(found)
            new = self.version(model, version)
            if now is not None and now.version == version:
                return now
            if (now.version if now else None) != expected:
                raise ConflictError(
                    f"model {model!r} is served by version {now.version if now else None} by now, not by {expected}; "
                    "look at the champion and decide again"
                )
            entry = AuditEntry.model_validate(
                {
                    "model": model,
                    "at": at,
                    "action": action,
                    "version": version,
                    "previous": expected,
                    "by": by,
                    "reason": reason,
                }
            )
            champion = new.pointed_at(expected, at, by)
            moves = 0 if found is None else int(found["moves"]["N"])
            if self._table.transact(self._movement(champion, new, entry, moves), f"champion of model {model}"):
                return champion
        raise AssertionError("attempts() ends by raising")

    def audit(self, model: str) -> list[AuditEntry]:
        """Return the movements of a model's pointer, newest first."""
        found = self._table.query(keys.audit(model), newest_first=True)
        return [AuditEntry.model_validate_json(entry["body"]["S"]) for entry in found]

    def record_assessment(self, assessment: Assessment) -> None:
        """Remember what the monitor found."""
        self._table.put(item(keys.assessment(assessment.model, assessment.at), assessment))

    def assessments(self, model: str, limit: int = 50) -> list[Assessment]:
        """Return the monitor's findings on a model, newest first."""
        found = self._table.query(keys.assessment(model), newest_first=True, limit=limit)
        return [Assessment.model_validate_json(entry["body"]["S"]) for entry in found]

    def _movement(self, champion: Champion, new: ModelVersion, entry: AuditEntry, moves: int) -> list[dict[str, Any]]:
        """Return the writes of a promotion.

        ``moves`` counts the pointer's movements. The condition on it stands for one on the version that was seen,
        and also notices a pointer that went away and came back. Stages change in this transaction only, so the
        versions that were read before it are still the latest.
        """
        unmoved = "#moves = :seen" if moves else "attribute_not_exists(pk)"
        writes = [
            self._table.putting(
                item(keys.champion(new.model), champion, moves=moves + 1), unmoved, {"seen": moves} if moves else None
            ),
            self._table.putting(
                item(keys.model_version(new.model, new.version), new.staged("champion")), "attribute_exists(pk)"
            ),
            self._table.putting(item(keys.audit(new.model, moves + 1), entry), "attribute_not_exists(pk)"),
        ]
        if entry.previous is not None:
            old = self.version(new.model, entry.previous).staged("archived", f"replaced by version {new.version}")
            writes.append(
                self._table.putting(item(keys.model_version(old.model, old.version), old), "attribute_exists(pk)")
            )
        return writes


def _champion(found: Item | None) -> Champion | None:
    return None if found is None else Champion.model_validate_json(found["body"]["S"])

"""Stages, the champion, approvals, aliases, tags, notes and the audit trail, on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from perennial import keys, registry
from perennial.aws.retrying import attempts
from perennial.aws.table import Item, Table, item
from perennial.errors import NotFoundError
from perennial.records import Alias, Approval, AuditEntry, Challenger, Champion, Decision, ModelVersion, Suspension
from perennial.registry import Change


class Registry:
    """The part of the catalog that is about what became of versions."""

    _table: Table
    version: Callable[[str, int], ModelVersion]

    def champion(self, model: str) -> Champion | None:
        """Return the pointer to the version that serves, or None."""
        found = self._table.get(keys.champion(model))
        return None if found is None else Champion.model_validate_json(found["body"]["S"])

    def promote(
        self,
        model: str,
        version: int,
        expected: int | None,
        at: datetime,
        by: str,
        reason: str,
        action: str = "promote",
        challenge: str | None = None,
    ) -> Champion:
        """Move the champion pointer, archive the old champion and write the audit entry, in one transaction."""

        def compute() -> Change | None:
            serving, new = self.champion(model), self.version(model, version)
            replaced = self.version(model, serving.version) if serving else None
            return registry.promotion(new, serving, replaced, expected, at, by, reason, action, challenge)

        change = self._change(model, compute)
        champion = change.champion if change else self.champion(model)
        assert champion is not None
        return champion

    def set_challenger(
        self,
        model: str,
        challenger: Challenger,
        expected: int,
        at: datetime,
        by: str,
        reason: str,
        replaces: str | None = None,
    ) -> Champion:
        """Put a version beside the champion, or give it another share, in one transaction; return the pointer."""

        def compute() -> Change | None:
            serving, new = self.champion(model), self.version(model, challenger.version)
            return registry.challenge(new, serving, challenger, expected, at, by, reason, replaces=replaces)

        change = self._change(model, compute)
        champion = change.champion if change else self.champion(model)
        assert champion is not None
        return champion

    def withdraw_challenger(
        self, model: str, run_id: str, at: datetime, by: str, reason: str, refused: bool = False
    ) -> Champion | None:
        """Let the champion serve alone again, in one transaction; return the pointer."""

        def compute() -> Change | None:
            serving = self.champion(model)
            if serving is None or serving.challenger is None:
                return None
            version = self.version(model, serving.challenger.version)
            return registry.withdrawal(version, serving, run_id, at, by, reason, refused=refused)

        change = self._change(model, compute)
        return change.champion if change else self.champion(model)

    def audit(self, model: str) -> list[AuditEntry]:
        """Return the changes of a model's registry, newest first."""
        found = self._table.query(keys.audit(model), newest_first=True)
        return [AuditEntry.model_validate_json(entry["body"]["S"]) for entry in found]

    def request_approval(self, approval: Approval, token: str) -> Approval:
        """Make a candidate wait for a person; return what is recorded."""
        model, number = approval.model, approval.version
        secret = item(keys.approval_token(model, number), token=token)

        def compute() -> Change | None:
            return registry.put_before_people(self.version(model, number), self.approval(model, number), approval)

        if self._change(model, compute, [self._table.putting(secret)]) is None:
            self._table.put(secret)
        return self.approval(model, number) or approval

    def decide(self, model: str, version: int, decided: Decision, at: datetime, by: str, reason: str) -> Approval:
        """Record a decision once; return what is recorded."""

        def compute() -> Change | None:
            known = self.approval(model, version)
            return registry.decision(self.version(model, version), known, decided, at, by, reason)

        change = self._change(model, compute)
        approval = change.approval if change else self.approval(model, version)
        assert approval is not None
        return approval

    def approval(self, model: str, version: int) -> Approval | None:
        """Return what became of a version that was put before people; None if it never was."""
        found = self._table.get(keys.approval(model, version))
        return None if found is None else Approval.model_validate_json(found["body"]["S"])

    def approvals(self, model: str) -> list[Approval]:
        """Return all of a model, newest version first."""
        found = self._table.query(keys.approval(model), newest_first=True)
        return [Approval.model_validate_json(entry["body"]["S"]) for entry in found]

    def approval_token(self, model: str, version: int) -> str:
        """Return the latest token of whoever waits for the decision, or raise NotFoundError."""
        found = self._table.get(keys.approval_token(model, version))
        if found is None:
            raise NotFoundError(f"nobody waits for version {version} of {model}")
        return str(found["token"]["S"])

    def set_alias(self, model: str, name: str, version: int, at: datetime, by: str, reason: str = "") -> Alias:
        """Make a name stand for a version."""

        def compute() -> Change | None:
            known = self._alias(model, name)
            return registry.naming(self.version(model, version), name, known, at, by, reason)

        change = self._change(model, compute)
        return change.alias if change and change.alias else self.alias(model, name)

    def delete_alias(self, model: str, name: str, at: datetime, by: str, reason: str = "") -> Alias:
        """Take a name away; return what it stood for."""
        change = self._change(model, lambda: registry.unnaming(self.alias(model, name), at, by, reason))
        assert change is not None
        assert change.dropped is not None
        return change.dropped

    def alias(self, model: str, name: str) -> Alias:
        """Return what a name stands for, or raise NotFoundError."""
        found = self._alias(model, name)
        if found is None:
            raise NotFoundError(f"model {model!r} has no version and no alias {name!r}")
        return found

    def aliases(self, model: str) -> list[Alias]:
        """Return a model's aliases by name."""
        return [Alias.model_validate_json(entry["body"]["S"]) for entry in self._table.query(keys.alias(model))]

    def tag(self, model: str, version: int, tags: Mapping[str, str], at: datetime, by: str) -> None:
        """Label a version; an empty value takes a tag off."""
        self._change(model, lambda: registry.tagging(self.version(model, version), tags, at, by))

    def note(self, model: str, version: int, text: str, at: datetime, by: str) -> None:
        """Write a note on a version, unless this very note is there already."""

        def compute() -> Change | None:
            change = registry.noting(self.version(model, version), text, at, by)
            return None if change.entry in self.audit(model) else change

        self._change(model, compute)

    def suspend(self, suspension: Suspension) -> Suspension:
        """Have a model trained only when a person asks for it; return what is recorded."""
        model = suspension.model
        self._change(model, lambda: registry.suspending(suspension, self.suspension(model), self.champion(model)))
        return self.suspension(model) or suspension

    def resume(self, model: str, at: datetime, by: str) -> bool:
        """Take a suspension back; tell whether there was one."""
        change = self._change(model, lambda: registry.resuming(self.suspension(model), self.champion(model), at, by))
        return change is not None

    def suspension(self, model: str) -> Suspension | None:
        """Return a model's suspension, also one that has ended by itself, or None."""
        found = self._table.get(keys.suspension(model))
        return None if found is None else Suspension.model_validate_json(found["body"]["S"])

    def _alias(self, model: str, name: str) -> Alias | None:
        found = self._table.get(keys.alias(model, name))
        return None if found is None else Alias.model_validate_json(found["body"]["S"])

    def _change(
        self, model: str, compute: Callable[[], Change | None], more: list[dict[str, Any]] | None = None
    ) -> Change | None:
        """Write what ``compute`` makes of what it reads, in one transaction; None if there is nothing to change.

        The number of the next entry is read before everything else: if it is still free when the change is written,
        nothing that was read has changed since.
        """
        what = f"registry of model {model}"
        for _ in attempts(what):
            last = self._table.query(keys.audit(model), newest_first=True, limit=1)
            number = 1 + (int(last[0]["sk"]["S"].rpartition("#")[2]) if last else 0)
            change = compute()
            if change is None:
                return None
            if self._table.transact([*self._writes(change, number), *(more or [])], what):
                return change
        raise AssertionError("attempts() ends by raising")

    def _writes(self, change: Change, number: int) -> list[dict[str, Any]]:
        model = change.entry.model
        put: list[Item] = [item(keys.model_version(model, version.version), version) for version in change.versions]
        if change.champion is not None:
            put.append(item(keys.champion(model), change.champion))
        if change.approval is not None:
            put.append(item(keys.approval(model, change.approval.version), change.approval))
        if change.alias is not None:
            put.append(item(keys.alias(model, change.alias.name), change.alias))
        if change.suspension is not None:
            put.append(item(keys.suspension(model), change.suspension))
        writes = [self._table.putting(item(keys.audit(model, number), change.entry), "attribute_not_exists(pk)")]
        writes += [self._table.putting(one) for one in put]
        if change.dropped is not None:
            writes.append(self._table.deleting(keys.alias(model, change.dropped.name)))
        if change.resumed:
            writes.append(self._table.deleting(keys.suspension(model)))
        return writes

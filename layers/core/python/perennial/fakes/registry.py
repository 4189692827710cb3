"""Test double of the registry."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime

from perennial import registry
from perennial.errors import NotFoundError
from perennial.records import Alias, Approval, AuditEntry, Challenger, Champion, Decision, ModelVersion, Suspension
from perennial.registry import Change


class FakeRegistry:
    """Stages, the champion, approvals, aliases, tags, notes and the audit trail in memory."""

    _lock: threading.RLock
    _versions: dict[tuple[str, int], ModelVersion]

    def __init__(self) -> None:
        super().__init__()
        self._champions: dict[str, Champion] = {}
        self._audit: dict[str, list[AuditEntry]] = {}
        self._approvals: dict[tuple[str, int], Approval] = {}
        self._tokens: dict[tuple[str, int], str] = {}
        self._aliases: dict[tuple[str, str], Alias] = {}
        self._suspensions: dict[str, Suspension] = {}

    def version(self, model: str, version: int) -> ModelVersion:
        """Return a version, or raise NotFoundError."""
        with self._lock:
            if (model, version) not in self._versions:
                raise NotFoundError(f"model {model!r} has no version {version}")
            return self._versions[model, version]

    def champion(self, model: str) -> Champion | None:
        """Return the pointer to the version that serves, or None."""
        with self._lock:
            return self._champions.get(model)

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
        with self._lock:
            serving, new = self._champions.get(model), self.version(model, version)
            replaced = self.version(model, serving.version) if serving else None
            self._apply(registry.promotion(new, serving, replaced, expected, at, by, reason, action, challenge))
            return self._champions[model]

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
        with self._lock:
            serving, new = self._champions.get(model), self.version(model, challenger.version)
            self._apply(registry.challenge(new, serving, challenger, expected, at, by, reason, replaces=replaces))
            return self._champions[model]

    def withdraw_challenger(
        self, model: str, run_id: str, at: datetime, by: str, reason: str, refused: bool = False
    ) -> Champion | None:
        """Let the champion serve alone again, in one transaction; return the pointer."""
        with self._lock:
            serving = self._champions.get(model)
            if serving is not None and serving.challenger is not None:
                version = self.version(model, serving.challenger.version)
                self._apply(registry.withdrawal(version, serving, run_id, at, by, reason, refused=refused))
            return self._champions.get(model)

    def audit(self, model: str) -> list[AuditEntry]:
        """Return the changes of a model's registry, newest first."""
        with self._lock:
            return self._audit.get(model, [])[::-1]

    def request_approval(self, approval: Approval, token: str) -> Approval:
        """Make a candidate wait for a person; return what is recorded."""
        key = (approval.model, approval.version)
        with self._lock:
            self._apply(registry.put_before_people(self.version(*key), self._approvals.get(key), approval))
            self._tokens[key] = token
            return self._approvals[key]

    def decide(self, model: str, version: int, decided: Decision, at: datetime, by: str, reason: str) -> Approval:
        """Record a decision once; return what is recorded."""
        key = (model, version)
        with self._lock:
            known = self._approvals.get(key)
            self._apply(registry.decision(self.version(*key), known, decided, at, by, reason))
            return self._approvals[key]

    def approval(self, model: str, version: int) -> Approval | None:
        """Return what became of a version that was put before people; None if it never was."""
        with self._lock:
            return self._approvals.get((model, version))

    def approvals(self, model: str) -> list[Approval]:
        """Return all of a model, newest version first."""
        with self._lock:
            return [found for (name, _), found in sorted(self._approvals.items(), reverse=True) if name == model]

    def approval_token(self, model: str, version: int) -> str:
        """Return the latest token of whoever waits for the decision, or raise NotFoundError."""
        with self._lock:
            if (model, version) not in self._tokens:
                raise NotFoundError(f"nobody waits for version {version} of {model}")
            return self._tokens[model, version]

    def set_alias(self, model: str, name: str, version: int, at: datetime, by: str, reason: str = "") -> Alias:
        """Make a name stand for a version."""
        with self._lock:
            known = self._aliases.get((model, name))
            self._apply(registry.naming(self.version(model, version), name, known, at, by, reason))
            return self._aliases[model, name]

    def delete_alias(self, model: str, name: str, at: datetime, by: str, reason: str = "") -> Alias:
        """Take a name away; return what it stood for."""
        with self._lock:
            known = self.alias(model, name)
            self._apply(registry.unnaming(known, at, by, reason))
            return known

    def alias(self, model: str, name: str) -> Alias:
        """Return what a name stands for, or raise NotFoundError."""
        with self._lock:
            if (model, name) not in self._aliases:
                raise NotFoundError(f"model {model!r} has no version and no alias {name!r}")
            return self._aliases[model, name]

    def aliases(self, model: str) -> list[Alias]:
        """Return a model's aliases by name."""
        with self._lock:
            return [alias for (of, _), alias in sorted(self._aliases.items()) if of == model]

    def tag(self, model: str, version: int, tags: Mapping[str, str], at: datetime, by: str) -> None:
        """Label a version; an empty value takes a tag off."""
        with self._lock:
            self._apply(registry.tagging(self.version(model, version), tags, at, by))

    def note(self, model: str, version: int, text: str, at: datetime, by: str) -> None:
        """Write a note on a version, unless this very note is there already."""
        with self._lock:
            change = registry.noting(self.version(model, version), text, at, by)
            self._apply(None if change.entry in self._audit.get(model, []) else change)

    def suspend(self, suspension: Suspension) -> Suspension:
        """Have a model trained only when a person asks for it; return what is recorded."""
        model = suspension.model
        with self._lock:
            known, champion = self._suspensions.get(model), self._champions.get(model)
            self._apply(registry.suspending(suspension, known, champion))
            return self._suspensions[model]

    def resume(self, model: str, at: datetime, by: str) -> bool:
        """Take a suspension back; tell whether there was one."""
        with self._lock:
            change = registry.resuming(self._suspensions.get(model), self._champions.get(model), at, by)
            self._apply(change)
            return change is not None

    def suspension(self, model: str) -> Suspension | None:
        """Return a model's suspension, also one that has ended by itself, or None."""
        with self._lock:
            return self._suspensions.get(model)

    def _apply(self, change: Change | None) -> None:
        if change is None:
            return
        model = change.entry.model
        self._audit.setdefault(model, []).append(change.entry)
        for version in change.versions:
            self._versions[model, version.version] = version
        if change.champion is not None:
            self._champions[model] = change.champion
        if change.approval is not None:
            self._approvals[model, change.approval.version] = change.approval
        if change.alias is not None:
            self._aliases[model, change.alias.name] = change.alias
        if change.dropped is not None:
            del self._aliases[model, change.dropped.name]
        if change.suspension is not None:
            self._suspensions[model] = change.suspension
        if change.resumed:
            del self._suspensions[model]

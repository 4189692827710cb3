"""The part of the catalog's port that is about what people, and the gate, made of versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from perennial.records import Alias, Approval, AuditEntry, Challenger, Champion, Decision, Suspension


class Registry(Protocol):
    """Stages, the champion, approvals, aliases, tags and notes; every change has its entry in the audit trail.

    The rules, and the errors for what breaks them, are those of `perennial.registry`. A version or an alias that is not
    there is a NotFoundError.
    """

    def champion(self, model: str) -> Champion | None:
        """Return the pointer to the version that serves, or None."""

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
        """Move the champion pointer, archive the old champion and write the audit entry, in one transaction.

        No version stands beside the champion afterwards.

        Parameters
        ----------
        expected : int or None
            The version that the caller saw serving.
        challenge : str or None
            The run that brought the version beside the champion, if it must still stand there.

        Raises
        ------
        ConflictError
            Another version serves by now (if ``version`` itself serves already, that pointer is returned), the
            version waits for approval, or it was withdrawn.
        NotFoundError
            There is no such version.
        """

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
        """Put a version beside the champion, or give it another share, in one transaction; return the pointer.

        Asked again for the same share it changes nothing, and the moment since when stays.

        Parameters
        ----------
        expected : int
            The version that the caller saw serving.
        replaces : str or None
            The run whose challenger the caller saw there: the challenger's own when its share changes.

        Raises
        ------
        ConflictError
            Another version serves by now, or this one does; another run's challenger stands there, or ``replaces``
            stands there no more; or the version waits for approval.
        """

    def withdraw_challenger(
        self, model: str, run_id: str, at: datetime, by: str, reason: str, refused: bool = False
    ) -> Champion | None:
        """Let the champion serve alone again, in one transaction; nothing happens if the run's challenger is not there.

        Parameters
        ----------
        run_id : str
            The deploy run that brought the challenger.
        refused : bool
            Whether it was found wanting: then its version is ``refused``, unless it has served before.

        Returns
        -------
        Champion or None
            The pointer as it is now.
        """

    def audit(self, model: str) -> list[AuditEntry]:
        """Return the changes of a model's registry, newest first."""

    def request_approval(self, approval: Approval, token: str) -> Approval:
        """Make a candidate wait for a person; return what is recorded.

        Asked again by the same run while nobody has decided, only the token is replaced: each try of the state that
        waits has its own.

        Parameters
        ----------
        token : str
            The secret by which the execution that waits is told. It is kept apart from the approval.

        Raises
        ------
        ConflictError
            It was decided on already, or is no candidate.
        """

    def decide(self, model: str, version: int, decided: Decision, at: datetime, by: str, reason: str) -> Approval:
        """Record a decision once; return what is recorded. The same by the same person again changes nothing.

        Raises
        ------
        ConflictError
            Nobody was asked, or somebody was first: the message says who.
        """

    def approval(self, model: str, version: int) -> Approval | None:
        """Return what became of a version that was put before people; None if it never was."""

    def approvals(self, model: str) -> list[Approval]:
        """Return all of a model, newest version first."""

    def approval_token(self, model: str, version: int) -> str:
        """Return the latest token of whoever waits for the decision, or raise NotFoundError."""

    def set_alias(self, model: str, name: str, version: int, at: datetime, by: str, reason: str = "") -> Alias:
        """Make a name stand for a version."""

    def delete_alias(self, model: str, name: str, at: datetime, by: str, reason: str = "") -> Alias:
        """Take a name away; return what it stood for."""

    def alias(self, model: str, name: str) -> Alias:
        """Return what a name stands for, or raise NotFoundError."""

    def aliases(self, model: str) -> list[Alias]:
        """Return a model's aliases by name."""

    def tag(self, model: str, version: int, tags: Mapping[str, str], at: datetime, by: str) -> None:
        """Label a version; an empty value takes a tag off."""

    def note(self, model: str, version: int, text: str, at: datetime, by: str) -> None:
        """Write a note on a version: an entry of the audit trail, whose ``detail`` is the text."""

    def suspend(self, suspension: Suspension) -> Suspension:
        """Have a model trained only when a person asks for it; return what is recorded."""

    def resume(self, model: str, at: datetime, by: str) -> bool:
        """Take a suspension back; tell whether there was one."""

    def suspension(self, model: str) -> Suspension | None:
        """Return a model's suspension, also one that has ended by itself, or None."""

"""What may become of a model's versions, and the names that they bear: the rules that catalogs keep.

A change of a registry is computed from what was read and written together with its entry in the audit trail, in one
transaction. The entries of a model are numbered without gaps, and a catalog writes the next number only if it is free:
so a change that was computed from what another has changed meanwhile is not written, but computed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perennial.definitions import NAME
from perennial.errors import ConflictError, DataError
from perennial.records import Alias, Approval, AuditEntry, Challenger, Champion, Decision, ModelVersion, Suspension

RESERVED = "champion"
"""The pointer that promotions and rollbacks alone move."""
MOST_TAGS = 50
LONGEST_TAG = 200
"""Characters of a tag's value."""
LONGEST_NOTE = 10_000
"""Characters."""


@dataclass(frozen=True)
class Change:
    """What is written in one transaction."""

    entry: AuditEntry
    versions: tuple[ModelVersion, ...] = ()
    champion: Champion | None = None
    approval: Approval | None = None
    alias: Alias | None = None
    dropped: Alias | None = None
    """An alias that goes."""
    suspension: Suspension | None = None
    resumed: bool = False
    """Whether the suspension goes."""


def promotion(
    new: ModelVersion,
    serving: Champion | None,
    replaced: ModelVersion | None,
    expected: int | None,
    at: datetime,
    by: str,
    reason: str,
    action: str,
    challenge: str | None = None,
) -> Change | None:
    """Return what lets a version serve; None if it serves already. Afterwards nothing stands beside it.

    Parameters
    ----------
    new, replaced : ModelVersion
        The version, and the one that serves.
    expected : int or None
        The version that the caller saw serving.
    challenge : str or None
        The run that brought the version beside the champion, if it must still stand there.

    Raises
    ------
    ConflictError
        Another version serves by now, the version waits for approval, or it was withdrawn.
    """
    number = serving.version if serving else None
    if number == new.version:
        return None
    if number != expected:
        raise ConflictError(_moved_on(new.model, serving, expected))
    if new.stage == "staging":
        raise ConflictError(waits(new))
    beside = serving.challenger if serving else None
    if challenge is not None and (beside is None or (beside.version, beside.run_id) != (new.version, challenge)):
        raise ConflictError(withdrawn(new))
    entry = _entry(action, new, at, by, reason, previous=expected, detail=_displaced(beside, new.version))
    moved = [new.staged("champion")]
    if replaced is not None:
        moved.append(replaced.staged("archived", f"replaced by version {new.version}"))
    return Change(entry, tuple(moved), champion=new.pointed_at(expected, at, by))


def challenge(
    new: ModelVersion,
    serving: Champion | None,
    challenger: Challenger,
    expected: int,
    at: datetime,
    by: str,
    reason: str,
    *,
    replaces: str | None,
) -> Change | None:
    """Return what puts a version beside the champion, or gives it another share; None if it stands there so already.

    Parameters
    ----------
    new : ModelVersion
        The challenger's version.
    expected : int
        The version that the caller saw serving.
    replaces : str or None
        The run whose challenger the caller saw there, which is the challenger's own run when its share changes.

    Raises
    ------
    ConflictError
        Another version serves by now, or this one does; another run's challenger stands there; or the version waits
        for approval.
    """
    what = f"version {new.version} of {new.model}"
    if serving is None or serving.version != expected:
        raise ConflictError(_moved_on(new.model, serving, expected))
    if serving.version == new.version:
        raise ConflictError(f"{what} serves already; there is nothing to compare it with")
    if new.stage == "staging":
        raise ConflictError(waits(new))
    there = serving.challenger
    if there is not None and there == challenger.model_copy(update={"since": there.since}):
        return None
    if (there.run_id if there else None) != replaces:
        raise ConflictError(withdrawn(new) if there is None else on_its_way(new.model, there))
    entry = _entry(
        "challenge", new, at, by, reason, previous=expected,
        detail=" ".join(filter(None, (challenger.phase, _displaced(there, new.version)))),
    )  # fmt: skip
    return Change(entry, champion=serving.challenged_by(challenger))


def withdrawal(
    version: ModelVersion, serving: Champion | None, run_id: str, at: datetime, by: str, reason: str, *, refused: bool
) -> Change | None:
    """Return what takes a run's challenger away; None if it does not stand beside the champion (any more).

    Parameters
    ----------
    version : ModelVersion
        The challenger's.
    refused : bool
        Whether it was found wanting: then it is refused for good, unless it has served before.
    """
    there = serving.challenger if serving else None
    if serving is None or there is None or there.run_id != run_id:
        return None
    moved = version.staged("refused" if refused and version.stage != "archived" else version.stage, reason)
    entry = _entry("withdraw", version, at, by, reason, previous=serving.version, detail=there.phase)
    return Change(entry, (moved,), champion=serving.challenged_by(None))


def withdrawn(version: ModelVersion) -> str:
    """Return the sentence that a version does not stand beside the champion any more."""
    return (
        f"version {version.version} of {version.model} was withdrawn meanwhile; see `perennial models {version.model}`"
    )


def on_its_way(model: str, challenger: Challenger) -> str:
    """Return the sentence that another version stands beside the champion."""
    return (
        f"version {challenger.version} of {model} is on its way to serve by run {challenger.run_id} "
        f"({challenger.phase}); wait for its end, or let a person promote another version"
    )


def _moved_on(model: str, serving: Champion | None, expected: int | None) -> str:
    number = serving.version if serving else None
    return (
        f"model {model!r} is served by version {number} by now, not by {expected}; "
        "look at the champion and decide again"
    )


def _displaced(there: Challenger | None, by: int) -> str:
    """Return what a change ends; nothing if that is its own version's challenge."""
    return "" if there is None or there.version == by else f"ends the {there.phase} of version {there.version}"


def waits(version: ModelVersion) -> str:
    """Return the sentence that a version is not to be deployed before somebody approves it."""
    return (
        f"version {version.version} of {version.model} waits for approval; "
        f"see `perennial approve {version.model} {version.version}` and `perennial reject`"
    )


def put_before_people(version: ModelVersion, known: Approval | None, approval: Approval) -> Change | None:
    """Return what makes a version wait for approval; None if it waits already, for the same run.

    Raises
    ------
    ConflictError
        It was decided on already, or is no candidate any more.
    """
    if known is not None:
        if (known.status, known.run_id) == ("pending", approval.run_id):
            return None
        raise ConflictError(known.sentence)
    if version.stage != "candidate":
        raise ConflictError(f"version {version.version} of {version.model} is {version.stage}: nobody needs to approve")
    entry = _entry("stage", version, approval.asked_at, approval.run_id, "it passed the gate and waits for approval")
    return Change(entry, (version.staged("staging", f"waits for approval until {approval.until:%Y-%m-%d %H:%M} UTC"),),
                  approval=approval)  # fmt: skip


def decision(
    version: ModelVersion, known: Approval | None, decided: Decision, at: datetime, by: str, reason: str
) -> Change | None:
    """Return what a decision changes; None if the same person decided the same already.

    Raises
    ------
    ConflictError
        Nobody was asked, or somebody has decided already.
    """
    if known is None:
        raise ConflictError(
            f"version {version.version} of {version.model} does not wait for approval; it is {version.stage}"
        )
    if known.status != "pending":
        if (known.status, known.by) == (decided, by):
            return None
        raise ConflictError(f"{known.sentence}; that stands")
    words = f": {reason}" if reason else ""
    if decided == "approved":
        moved = version.staged("candidate", f"approved by {by}{words}")
    else:
        moved = version.staged("refused", reason if decided == "expired" else f"rejected by {by}{words}")
    entry = _entry("approve" if decided == "approved" else "reject", version, at, by, reason)
    return Change(entry, (moved,), approval=known.decided(decided, at, by, reason))


def naming(version: ModelVersion, name: str, known: Alias | None, at: datetime, by: str, reason: str) -> Change | None:
    """Return what makes a name stand for a version; None if it does so already.

    Raises
    ------
    DataError
        The name is reserved, or none.
    """
    require_alias(name)
    if known is not None and known.version == version.version:
        return None
    alias = Alias(model=version.model, name=name, version=version.version, by=by, set_at=at)
    previous = known.version if known else None
    return Change(_entry("alias", version, at, by, reason, previous=previous, detail=name), alias=alias)


def unnaming(known: Alias, at: datetime, by: str, reason: str) -> Change:
    """Return what takes a name away."""
    entry = AuditEntry(
        model=known.model, at=at, action="alias", version=known.version, previous=known.version, by=by, reason=reason,
        detail=f"{known.name} deleted",
    )  # fmt: skip
    return Change(entry, dropped=known)


def require_alias(name: str) -> None:
    """Raise DataError unless people may give a version this name."""
    if name == RESERVED:
        raise DataError(
            f"the alias {RESERVED!r} is reserved: `perennial promote` and `perennial rollback` move the champion"
        )
    if not NAME.fullmatch(name):
        raise DataError(f"alias {name[:70]!r}: a name has small letters, digits and _, and begins with a letter")


def tagging(version: ModelVersion, tags: Mapping[str, str], at: datetime, by: str) -> Change | None:
    """Return what labels a version; None if it is labelled so already. An empty value takes a tag off.

    Raises
    ------
    DataError
        A key is no name, a value is too long or has several lines, or there are too many tags.
    """
    for key, value in tags.items():
        if not NAME.fullmatch(key):
            raise DataError(f"tag {key[:70]!r}: a key has small letters, digits and _, and begins with a letter")
        if len(value) > LONGEST_TAG or not value.isprintable():
            raise DataError(f"tag {key}: a value is one line of at most {LONGEST_TAG} characters; write more in a note")
    merged = {key: value for key, value in sorted({**version.tags, **tags}.items()) if value}
    if len(merged) > MOST_TAGS:
        raise DataError(f"version {version.version} of {version.model} would have {len(merged)} tags, {MOST_TAGS} go")
    if merged == version.tags:
        return None
    words = " ".join(f"{key}={value}" for key, value in sorted(tags.items()))
    return Change(_entry("tag", version, at, by, "", detail=words), (version.model_copy(update={"tags": merged}),))


def noting(version: ModelVersion, text: str, at: datetime, by: str) -> Change:
    """Return what writes a note on a version.

    Raises
    ------
    DataError
        It says nothing, or too much.
    """
    if not text.strip() or len(text) > LONGEST_NOTE:
        raise DataError(f"a note has between 1 and {LONGEST_NOTE:,} characters, not {len(text):,}")
    return Change(_entry("note", version, at, by, "", detail=text))


def suspending(suspension: Suspension, known: Suspension | None, champion: Champion | None) -> Change | None:
    """Return what keeps a model from being trained unless a person asks; None if the same is there already.

    Raises
    ------
    DataError
        No reason is given, or it ends before it begins.
    """
    if not suspension.reason.strip():
        raise DataError("a suspension needs a reason, which refused runs repeat")
    if suspension.until is not None and suspension.until <= suspension.since:
        raise DataError(f"a suspension until {suspension.until:%Y-%m-%d %H:%M:%S} UTC is over before it begins")
    if known is not None and known.model_copy(update={"since": suspension.since}) == suspension:
        return None
    return Change(_switched("suspend", suspension, suspension.since, suspension.by, champion), suspension=suspension)


def resuming(known: Suspension | None, champion: Champion | None, at: datetime, by: str) -> Change | None:
    """Return what takes a suspension back; None if there is none."""
    return None if known is None else Change(_switched("resume", known, at, by, champion), resumed=True)


def _switched(action: str, of: Suspension, at: datetime, by: str, champion: Champion | None) -> AuditEntry:
    facts = {"model": of.model, "version": champion.version if champion else 0, "at": at, "action": action, "by": by}
    return AuditEntry.model_validate({**facts, "reason": of.reason})


def _entry(
    action: str,
    version: ModelVersion,
    at: datetime,
    by: str,
    reason: str,
    **more: Any,
) -> AuditEntry:
    facts = {"model": version.model, "version": version.version, "at": at, "action": action, "by": by}
    return AuditEntry.model_validate({**facts, "reason": reason, **more})

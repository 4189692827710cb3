"""What people do with versions: approve, reject, promote, roll back, name, label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from botocore.exceptions import ClientError

from infra.deployment import Deployment
from infra.operations import start_machine
from perennial.definitions.base import parse_duration
from perennial.errors import ConflictError, DataError, NotFoundError, PerennialError
from perennial.ports import Ports
from perennial.records import Alias, Approval, Champion, Suspension, Trigger
from perennial.steps.intact import require_intact
from perennial.steps.promote import require_fit

_GONE = ("TaskDoesNotExist", "TaskTimedOut", "InvalidToken")
"""What Step Functions says of a token for which nobody waits."""


def decide(
    deployment: Deployment, model: str, version: int, decision: Literal["approved", "rejected"], reason: str
) -> tuple[Approval, bool]:
    """Record a person's decision, then tell the execution that waits; return the record, and whether one waited.

    Asked again, it tells the execution again: whoever decided may have been interrupted before.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        It does not wait for approval, or somebody was first: the message says who.
    """
    catalog = deployment.ports.catalog
    try:
        approval = catalog.decide(model, version, decision, deployment.ports.clock.now(), deployment.person, reason)
    except ConflictError:
        known = catalog.approval(model, version)
        if known is not None and known.status == decision:
            _tell(deployment, known)
        raise
    return approval, _tell(deployment, approval)


def _tell(deployment: Deployment, approval: Approval) -> bool:
    """Tell the execution that waits for a decision; False if none does any more. The token is never shown."""
    client = deployment.client("stepfunctions")
    token = deployment.ports.catalog.approval_token(approval.model, approval.version)
    try:
        if approval.status == "approved":
            client.send_task_success(taskToken=token, output=json.dumps({"approved": True}))
        else:
            client.send_task_failure(taskToken=token, error="Rejected", cause=approval.reason)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in _GONE:
            return False
        # Not the service's message: some name the token.
        raise PerennialError(
            f"the decision on version {approval.version} of {approval.model} is recorded, but Step Functions did not "
            f"take it ({code}); run the same command again when you may call states:SendTaskSuccess and SendTaskFailure"
        ) from None
    return True


def promote(
    deployment: Deployment, model: str, version: int, reason: str, override_gate: bool, at_once: bool = False
) -> str:
    """Start to deploy a version because a person wants it; return the run's id.

    What the state machine would refuse is refused here already.

    Raises
    ------
    NotFoundError
        There is no such version.
    ConflictError
        It serves already; it was not evaluated, waits for approval or was rejected; or the gate refused it, and
        ``override_gate`` is not given.
    DataError
        It is not intact.
    """
    catalog = deployment.ports.catalog
    found, serving = catalog.version(model, version), catalog.champion(model)
    if serving is not None and serving.version == version:
        raise ConflictError(f"version {version} of {model} serves already")
    trigger = Trigger(
        kind="person", source=deployment.person, reason=reason, override_gate=override_gate, at_once=at_once
    )
    require_fit(found, serving, trigger)
    require_intact(deployment.ports.artifacts, found)
    return start_machine(deployment, "deploy", {"model": model, "version": version}, trigger)["run_id"]


def longest_delivery(deployment: Deployment, model: str) -> float:
    """Return how many seconds a version of a model may stand beside the champion before it serves."""
    known = deployment.ports.definitions.models.get(model)
    return known.delivery.longest.total_seconds() if known else 0.0


def roll_back(ports: Ports, model: str, to: int | None, person: str, reason: str) -> tuple[int, Champion]:
    """Undo the latest change of what serves; returns the version that served or was on its way, and the new pointer.

    A version on its way to serve is withdrawn, and the champion stays; it may be promoted again. Where there is none,
    or ``to`` names a version, the champion pointer moves to a version that served before, and nothing stands beside it.

    Raises
    ------
    NotFoundError
        There is no champion, or no such version.
    ConflictError
        There is no version to go back to, or it never served, or it serves already.
    DataError
        What is stored of the version is not what was registered.
    """
    catalog = ports.catalog
    champion = catalog.champion(model)
    if champion is None:
        raise NotFoundError(f"model {model!r} has no champion; see `perennial models`")
    there, now = champion.challenger, ports.clock.now()
    if there is not None and to is None:
        alone = catalog.withdraw_challenger(model, there.run_id, now, person, reason or "rollback")
        return there.version, alone or champion
    target = to if to is not None else champion.previous
    if target is None:
        raise ConflictError(f"model {model!r} has served no version before {champion.version}; name one with --to")
    if target == champion.version:
        raise ConflictError(f"version {target} of {model!r} serves already; name another with --to")
    version = catalog.version(model, target)
    if version.stage != "archived":
        raise ConflictError(
            f"version {target} of {model!r} has never served; only such a version can be rolled back to"
        )
    require_intact(ports.artifacts, version)
    why = reason or "rollback"
    return champion.version, catalog.promote(model, target, champion.version, now, person, why, "rollback")


def suspend(ports: Ports, model: str, lasting: str | None, person: str, reason: str) -> Suspension:
    """Let only persons train a model from now on.

    Parameters
    ----------
    lasting : str or None
        How long, such as ``2 days``; None: until somebody resumes it.

    Raises
    ------
    NotFoundError
        There is no such model.
    DataError
        The length is none, or there is no reason.
    """
    ports.definitions.model(model)
    now = ports.clock.now()
    try:
        until = None if lasting is None else now + parse_duration(lasting)
    except (ValueError, OverflowError) as error:
        raise DataError(f"--for: {error}") from None
    return ports.catalog.suspend(Suspension(model=model, by=person, reason=reason, since=now, until=until))


def change_alias(
    ports: Ports, model: str, name: str, version: int | None, person: str, reason: str
) -> tuple[Alias, int | None]:
    """Make a name stand for a version, or take it away (None); returns the alias, and what it stood for before.

    Raises
    ------
    DataError
        The name is reserved, or none.
    NotFoundError
        There is no such version, or no such alias to take away.
    """
    before = next((alias.version for alias in ports.catalog.aliases(model) if alias.name == name), None)
    now = ports.clock.now()
    if version is None:
        return ports.catalog.delete_alias(model, name, now, person, reason), before
    return ports.catalog.set_alias(model, name, version, now, person, reason), before


def tag(ports: Ports, model: str, version: int, pairs: Sequence[str], person: str) -> dict[str, str]:
    """Label a version with ``key=value`` pairs and return all its tags; ``key=`` takes one off.

    Raises
    ------
    DataError
        A pair is none, or is not as tags are.
    NotFoundError
        There is no such version.
    """
    tags = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise DataError(f"{pair!r} is no tag; write KEY=VALUE, such as owner=ada, and KEY= to take it off")
        tags[key] = value
    ports.catalog.tag(model, version, tags, ports.clock.now(), person)
    return ports.catalog.version(model, version).tags

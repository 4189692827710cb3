"""What every catalog promises about the version that stands beside the champion."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perennial.errors import ConflictError, NotFoundError
from perennial.ports import Catalog
from tests.support.records import AT, a_challenger, a_version, an_approval

LATER = AT + timedelta(hours=2)


@pytest.fixture
def serving(catalog: Catalog) -> Catalog:
    """Return a catalog in which version 1 of the model ``fare`` serves, 2 to 4 are candidates."""
    for version in (1, 2, 3, 4):
        catalog.publish_version(a_version(version))
    catalog.promote("fare", 1, None, at=AT, by="deploy-1", reason="first")
    return catalog


@pytest.fixture
def challenged(serving: Catalog) -> Catalog:
    """Return that catalog with version 2 as a canary of the run ``deploy-2``."""
    serving.set_challenger("fare", a_challenger(2), 1, at=AT, by="deploy-2", reason="it passed the gate")
    return serving


def test_a_challenger_is_read_with_the_pointer_and_the_champion_stays_what_it_was(challenged: Catalog) -> None:
    champion = challenged.champion("fare")
    assert champion is not None
    assert (champion.version, champion.by, champion.promoted_at) == (1, "deploy-1", AT)
    assert champion.challenger == a_challenger(2)
    assert challenged.version("fare", 2).stage == "candidate"
    entry = challenged.audit("fare")[0]
    assert (entry.action, entry.version, entry.previous, entry.by, entry.detail, entry.reason) == (
        "challenge", 2, 1, "deploy-2", "canary 10 %", "it passed the gate"
    )  # fmt: skip


def test_the_same_share_again_changes_nothing_not_even_since_when(challenged: Catalog) -> None:
    again = challenged.set_challenger("fare", a_challenger(2, since=LATER), 1, at=LATER, by="deploy-2", reason="")
    assert again.challenger == a_challenger(2)
    assert len(challenged.audit("fare")) == 2


def test_another_share_is_a_change_of_the_same_run(challenged: Catalog) -> None:
    half = a_challenger(2, weight=0.5, since=LATER)
    moved = challenged.set_challenger("fare", half, 1, at=LATER, by="deploy-2", reason="", replaces="deploy-2")
    assert moved.challenger == half
    assert [entry.detail for entry in challenged.audit("fare")[:2]] == ["canary 50 %", "canary 10 %"]


def test_of_two_runs_that_bring_a_version_one_is_first(challenged: Catalog) -> None:
    other = a_challenger(3, run_id="deploy-3")
    with pytest.raises(ConflictError, match="version 2 of fare is on its way to serve by run deploy-2 \\(canary 10 %"):
        challenged.set_challenger("fare", other, 1, at=LATER, by="deploy-3", reason="")
    champion = challenged.champion("fare")
    assert champion is not None
    assert champion.challenger == a_challenger(2)


def test_whoever_saw_a_challenger_may_replace_it_and_the_audit_says_what_that_ended(challenged: Catalog) -> None:
    other = a_challenger(3, run_id="deploy-3", shadow=True, weight=0)
    moved = challenged.set_challenger("fare", other, 1, at=LATER, by="deploy-3", reason="", replaces="deploy-2")
    assert moved.challenger == other
    assert challenged.audit("fare")[0].detail == "shadow ends the canary 10 % of version 2"
    assert challenged.version("fare", 2).stage == "candidate"
    with pytest.raises(ConflictError, match="version 3 of fare is on its way"):
        challenged.set_challenger(
            "fare", a_challenger(2, weight=0.5), 1, at=LATER, by="deploy-2", reason="", replaces="deploy-2"
        )


def test_a_version_is_challenged_only_by_another_one_that_may_serve(serving: Catalog) -> None:
    with pytest.raises(ConflictError, match="version 1 of fare serves already"):
        serving.set_challenger("fare", a_challenger(1), 1, at=AT, by="deploy-2", reason="")
    with pytest.raises(ConflictError, match="is served by version 1 by now, not by 3"):
        serving.set_challenger("fare", a_challenger(2), 3, at=AT, by="deploy-2", reason="")
    serving.request_approval(an_approval(4), "token")
    with pytest.raises(ConflictError, match="version 4 of fare waits for approval"):
        serving.set_challenger("fare", a_challenger(4), 1, at=AT, by="deploy-2", reason="")
    with pytest.raises(NotFoundError, match="version 9"):
        serving.set_challenger("fare", a_challenger(9), 1, at=AT, by="deploy-2", reason="")
    serving.publish_version(a_version(2, "tips"))
    with pytest.raises(ConflictError, match="is served by version None"):
        serving.set_challenger("tips", a_challenger(2), 1, at=AT, by="deploy-2", reason="")


def test_a_challenger_that_is_promoted_stands_beside_nobody(challenged: Catalog) -> None:
    champion = challenged.promote("fare", 2, 1, at=LATER, by="deploy-2", reason="", challenge="deploy-2")
    assert (champion.version, champion.previous, champion.challenger) == (2, 1, None)
    assert challenged.audit("fare")[0].detail == ""


def test_a_promotion_of_another_version_ends_the_challenge(challenged: Catalog) -> None:
    champion = challenged.promote("fare", 3, 1, at=LATER, by="ada", reason="by hand")
    assert (champion.version, champion.challenger) == (3, None)
    assert challenged.audit("fare")[0].detail == "ends the canary 10 % of version 2"
    assert challenged.version("fare", 2).stage == "candidate"


def test_a_run_whose_challenger_is_gone_promotes_nothing(challenged: Catalog) -> None:
    challenged.withdraw_challenger("fare", "deploy-2", LATER, "ada", "it looks odd")
    with pytest.raises(ConflictError, match="version 2 of fare was withdrawn meanwhile"):
        challenged.promote("fare", 2, 1, at=LATER, by="deploy-2", reason="", challenge="deploy-2")
    with pytest.raises(ConflictError, match="version 2 of fare was withdrawn meanwhile"):
        challenged.set_challenger(
            "fare", a_challenger(2, weight=0.5), 1, at=LATER, by="deploy-2", reason="", replaces="deploy-2"
        )
    champion = challenged.champion("fare")
    assert champion is not None
    assert (champion.version, champion.challenger) == (1, None)


@pytest.mark.parametrize(("refused", "stage"), [(True, "refused"), (False, "candidate")], ids=str)
def test_a_challenger_that_is_withdrawn_keeps_the_reason(challenged: Catalog, refused: bool, stage: str) -> None:
    champion = challenged.withdraw_challenger("fare", "deploy-2", LATER, "deploy-2", "it errs", refused=refused)
    assert champion is not None
    assert (champion.version, champion.challenger) == (1, None)
    version, entry = challenged.version("fare", 2), challenged.audit("fare")[0]
    assert (version.stage, version.reason) == (stage, "it errs")
    assert (entry.action, entry.version, entry.previous, entry.by, entry.detail) == (
        "withdraw", 2, 1, "deploy-2", "canary 10 %"
    )  # fmt: skip


def test_a_version_that_served_before_is_not_refused_for_failing_as_a_challenger(challenged: Catalog) -> None:
    challenged.promote("fare", 2, 1, at=LATER, by="deploy-2", reason="")
    challenged.set_challenger("fare", a_challenger(1, run_id="deploy-4"), 2, at=LATER, by="deploy-4", reason="")
    challenged.withdraw_challenger("fare", "deploy-4", LATER, "deploy-4", "slow", refused=True)
    assert (challenged.version("fare", 1).stage, challenged.version("fare", 1).reason) == ("archived", "slow")


def test_withdrawing_what_is_not_there_changes_nothing(challenged: Catalog) -> None:
    before = challenged.champion("fare")
    assert challenged.withdraw_challenger("fare", "deploy-9", LATER, "deploy-9", "x") == before
    challenged.withdraw_challenger("fare", "deploy-2", LATER, "ada", "odd", refused=True)
    alone = challenged.champion("fare")
    assert challenged.withdraw_challenger("fare", "deploy-2", LATER, "bob", "too") == alone
    assert challenged.withdraw_challenger("tips", "deploy-2", LATER, "bob", "none serves") is None
    assert len(challenged.audit("fare")) == 3

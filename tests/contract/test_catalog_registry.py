"""What every catalog promises about approvals, aliases, tags, notes and the audit trail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from perennial.errors import ConflictError, DataError, NotFoundError
from perennial.ports import Catalog
from perennial.records import Suspension
from tests.support.records import AT, a_version, an_approval

LATER = AT + timedelta(hours=2)


@pytest.fixture
def registry(catalog: Catalog) -> Catalog:
    """Return a catalog with versions 1 to 3 of the model ``fare``, of which 2 waits for approval."""
    for version in (1, 2, 3):
        catalog.publish_version(a_version(version))
    catalog.request_approval(an_approval(2), "first token")
    return catalog


def test_a_version_that_waits_is_staging_and_the_audit_says_since_when(registry: Catalog) -> None:
    assert registry.version("fare", 2).stage == "staging"
    assert registry.approval("fare", 2) == an_approval(2)
    assert registry.approval("fare", 1) is None
    assert registry.approvals("fare") == [an_approval(2)]
    (entry,) = registry.audit("fare")
    assert (entry.action, entry.version, entry.by, entry.at) == ("stage", 2, "train-2", AT)


def test_the_token_is_kept_apart_and_in_no_record(registry: Catalog) -> None:
    assert registry.approval_token("fare", 2) == "first token"
    shown = (registry.approvals("fare"), registry.versions("fare"), registry.audit("fare"))
    assert "token" not in repr(shown)
    with pytest.raises(NotFoundError, match="nobody waits for version 1"):
        registry.approval_token("fare", 1)


def test_another_try_of_the_same_run_asks_no_second_time_but_brings_its_token(registry: Catalog) -> None:
    asked = registry.request_approval(an_approval(2, asked_at=LATER), "second token")
    assert asked == an_approval(2)
    assert registry.approval_token("fare", 2) == "second token"
    assert len(registry.audit("fare")) == 1


def test_what_is_no_candidate_is_not_put_before_people(registry: Catalog) -> None:
    registry.promote("fare", 1, None, at=AT, by="ada", reason="by hand")
    with pytest.raises(ConflictError, match="version 1 of fare is champion"):
        registry.request_approval(an_approval(1), "token")
    assert registry.approval("fare", 1) is None


def test_an_approved_version_may_be_promoted_and_one_that_waits_may_not(registry: Catalog) -> None:
    with pytest.raises(ConflictError, match="version 2 of fare waits for approval"):
        registry.promote("fare", 2, None, at=AT, by="run", reason="")
    approval = registry.decide("fare", 2, "approved", LATER, "ada", "looks well")
    assert (approval.status, approval.by, approval.decided_at, approval.reason) == (
        "approved", "ada", LATER, "looks well"
    )  # fmt: skip
    assert registry.approval("fare", 2) == approval
    version = registry.version("fare", 2)
    assert (version.stage, version.reason) == ("candidate", "approved by ada: looks well")
    assert registry.promote("fare", 2, None, at=LATER, by="run", reason="").version == 2
    assert [entry.action for entry in registry.audit("fare")] == ["promote", "approve", "stage"]


@pytest.mark.parametrize(
    ("decision", "reason"), [("rejected", "rejected by ada: too dear"), ("expired", "too dear")], ids=str
)
def test_a_rejected_version_is_refused_with_the_reason(registry: Catalog, decision: str, reason: str) -> None:
    registry.decide("fare", 2, decision, LATER, "ada", "too dear")  # type: ignore[arg-type]
    version = registry.version("fare", 2)
    assert (version.stage, version.reason) == ("refused", reason)
    assert registry.audit("fare")[0].action == "reject"
    assert registry.audit("fare")[0].reason == "too dear"


def test_the_same_decision_by_the_same_person_again_changes_nothing(registry: Catalog) -> None:
    first = registry.decide("fare", 2, "approved", AT, "ada", "well")
    assert registry.decide("fare", 2, "approved", LATER, "ada", "still") == first
    assert len(registry.audit("fare")) == 2


@pytest.mark.parametrize(("decision", "by"), [("rejected", "ada"), ("approved", "bob"), ("expired", "run")])
def test_whoever_comes_second_is_told_who_was_first(registry: Catalog, decision: str, by: str) -> None:
    first = registry.decide("fare", 2, "approved", AT, "ada", "well")
    sentence = "version 2 of fare was approved by ada at 2019-03-01 00:00:00 UTC: well; that stands"
    with pytest.raises(ConflictError, match=f"^{sentence}$"):
        registry.decide("fare", 2, decision, LATER, by, "no")  # type: ignore[arg-type]
    assert registry.approval("fare", 2) == first
    assert registry.version("fare", 2).stage == "candidate"
    with pytest.raises(ConflictError, match="approved by ada"):
        registry.request_approval(an_approval(2), "third token")
    assert registry.approval_token("fare", 2) == "first token"


def test_what_nobody_was_asked_about_is_not_decided(registry: Catalog) -> None:
    with pytest.raises(ConflictError, match="version 1 of fare does not wait for approval; it is candidate"):
        registry.decide("fare", 1, "approved", AT, "ada", "")
    with pytest.raises(NotFoundError, match="version 9"):
        registry.decide("fare", 9, "approved", AT, "ada", "")


def test_an_alias_stands_for_a_version_until_it_is_moved_or_deleted(registry: Catalog) -> None:
    registry.set_alias("fare", "shadow", 1, AT, "ada")
    registry.set_alias("fare", "eu", 1, AT, "ada")
    registry.set_alias("fare", "shadow", 3, LATER, "bob", "try it")
    alias = registry.alias("fare", "shadow")
    assert (alias.version, alias.by, alias.set_at) == (3, "bob", LATER)
    assert [(found.name, found.version) for found in registry.aliases("fare")] == [("eu", 1), ("shadow", 3)]
    assert registry.delete_alias("fare", "shadow", LATER, "bob") == alias
    with pytest.raises(NotFoundError, match="no alias 'shadow'"):
        registry.alias("fare", "shadow")
    with pytest.raises(NotFoundError, match="no alias 'shadow'"):
        registry.delete_alias("fare", "shadow", LATER, "bob")
    told = [(entry.detail, entry.previous, entry.version, entry.by) for entry in registry.audit("fare")[:4]]
    assert told == [
        ("shadow deleted", 3, 3, "bob"), ("shadow", 1, 3, "bob"), ("eu", None, 1, "ada"), ("shadow", None, 1, "ada")
    ]  # fmt: skip


def test_an_alias_that_stands_there_already_is_no_change(registry: Catalog) -> None:
    first = registry.set_alias("fare", "shadow", 1, AT, "ada")
    assert registry.set_alias("fare", "shadow", 1, LATER, "bob") == first
    assert len(registry.audit("fare")) == 2


@pytest.mark.parametrize(
    ("name", "sentence"), [("champion", "reserved"), ("Shadow", "small letters"), ("1", "small"), ("eu\n", "small")]
)
def test_an_alias_is_a_name_and_not_the_champions(registry: Catalog, name: str, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        registry.set_alias("fare", name, 1, AT, "ada")
    assert registry.aliases("fare") == []


def test_an_alias_of_a_version_that_is_not_there_is_refused(registry: Catalog) -> None:
    with pytest.raises(NotFoundError, match="version 9"):
        registry.set_alias("fare", "shadow", 9, AT, "ada")


def test_tags_are_added_changed_and_taken_off(registry: Catalog) -> None:
    registry.tag("fare", 1, {"owner": "ada", "region": "eu"}, AT, "ada")
    registry.tag("fare", 1, {"owner": "bob", "region": "", "season": "winter = cold"}, LATER, "bob")
    assert registry.version("fare", 1).tags == {"owner": "bob", "season": "winter = cold"}
    assert registry.version("fare", 3).tags == {}
    entry = registry.audit("fare")[0]
    assert (entry.action, entry.by, entry.detail) == ("tag", "bob", "owner=bob region= season=winter = cold")
    registry.tag("fare", 1, {"owner": "bob"}, LATER, "bob")
    assert len(registry.audit("fare")) == 3


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        ({"Owner": "ada"}, "tag 'Owner'"),
        ({"owner": "x" * 201}, "at most 200 characters"),
        ({"owner": "a\nb"}, "one line"),
        ({f"tag_{number}": "x" for number in range(51)}, "51 tags, 50 go"),
    ],
)
def test_a_wrong_tag_is_refused_in_a_sentence(registry: Catalog, tags: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        registry.tag("fare", 1, tags, AT, "ada")
    assert registry.version("fare", 1).tags == {}


def test_tags_stay_when_the_stage_changes(registry: Catalog) -> None:
    registry.tag("fare", 2, {"owner": "ada"}, AT, "ada")
    registry.decide("fare", 2, "approved", AT, "ada", "")
    registry.promote("fare", 2, None, at=AT, by="run", reason="")
    registry.promote("fare", 3, 2, at=AT, by="run", reason="")
    assert (registry.version("fare", 2).stage, registry.version("fare", 2).tags) == ("archived", {"owner": "ada"})


def test_notes_are_appended_and_the_same_call_again_is_one_note(registry: Catalog) -> None:
    registry.note("fare", 1, "made for the fair", AT, "ada")
    registry.note("fare", 1, "made for the fair", AT, "ada")
    registry.note("fare", 1, "made for the fair", LATER, "ada")
    notes = [(entry.at, entry.by, entry.detail) for entry in registry.audit("fare") if entry.action == "note"]
    assert notes == [(LATER, "ada", "made for the fair"), (AT, "ada", "made for the fair")]


@pytest.mark.parametrize("text", ["", " \n", "x" * 10_001])
def test_a_note_says_something_and_not_everything(registry: Catalog, text: str) -> None:
    with pytest.raises(DataError, match="a note has between 1 and 10,000 characters"):
        registry.note("fare", 1, text, AT, "ada")


def a_suspension(reason: str = "prices are being repaired", **more: Any) -> Suspension:
    return Suspension.model_validate({"model": "fare", "by": "ada", "reason": reason, "since": AT, **more})


def test_a_suspension_stands_until_it_is_taken_back_and_the_audit_knows_both(registry: Catalog) -> None:
    assert registry.suspension("fare") is None
    assert registry.suspend(a_suspension()) == a_suspension()
    assert registry.suspension("fare") == a_suspension()
    assert registry.resume("fare", LATER, "bob") is True
    assert registry.suspension("fare") is None
    resumed, suspended = registry.audit("fare")[:2]
    assert (resumed.action, resumed.by, resumed.at, resumed.reason) == ("resume", "bob", LATER, a_suspension().reason)
    assert (suspended.action, suspended.by, suspended.version) == ("suspend", "ada", 0)


def test_suspended_again_for_the_same_reason_nothing_changes_and_for_another_the_later_stands(
    registry: Catalog,
) -> None:
    registry.suspend(a_suspension())
    assert registry.suspend(a_suspension(since=LATER)) == a_suspension()
    other = a_suspension("holidays", until=LATER)
    assert registry.suspend(other) == other
    assert [entry.action for entry in registry.audit("fare")][:2] == ["suspend", "suspend"]
    assert (other.holds(AT), other.holds(LATER)) == (True, False)


def test_taking_back_what_is_not_there_changes_nothing(registry: Catalog) -> None:
    before = registry.audit("fare")
    assert registry.resume("fare", LATER, "bob") is False
    assert registry.audit("fare") == before


def test_a_suspension_says_why_and_ends_after_it_begins(registry: Catalog) -> None:
    with pytest.raises(DataError, match="needs a reason"):
        registry.suspend(a_suspension(" "))
    with pytest.raises(DataError, match="over before it begins"):
        registry.suspend(a_suspension(until=AT))


def test_the_audit_of_a_suspension_names_the_version_that_serves(registry: Catalog) -> None:
    registry.promote("fare", 1, None, at=AT, by="ada", reason="by hand")
    registry.suspend(a_suspension())
    assert registry.audit("fare")[0].version == 1

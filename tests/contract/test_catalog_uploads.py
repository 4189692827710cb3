"""What every catalog promises about uploads that stand in for one another, and about what was forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perennial.errors import ConflictError
from perennial.ports import Catalog
from perennial.records import Snapshot
from tests.support.records import AT, a_snapshot, an_erasure

A, B = "s3://raw/trips/a.csv", "s3://raw/trips/b.csv"
LATER = AT + timedelta(seconds=1)


def ids(catalog: Catalog) -> list[str]:
    return [snapshot.snapshot_id for snapshot in catalog.snapshots("trips")[0]]


def left(snapshot_id: str, of: str) -> Snapshot:
    return a_snapshot(snapshot_id, rows=9, rewritten_from=of)


def test_what_is_read_stands_in_the_place_of_an_original_that_is_kept(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=A))
    new = a_snapshot("new", source=B)
    assert catalog.publish_snapshot(new, {"old": left("old-left", "old")}, 1) == (new, True)
    assert sorted(ids(catalog)) == ["new", "old-left"]
    uploads, revision = catalog.uploads("trips")
    assert revision == 2
    assert {upload.original.snapshot_id: upload.snapshot.snapshot_id for upload in uploads} == {
        "old": "old-left",
        "new": "new",
    }


def test_a_new_snapshot_may_itself_be_read_in_part(catalog: Catalog) -> None:
    new = a_snapshot("new")
    assert catalog.publish_snapshot(new, {"new": left("new-left", "new")}, 0) == (new, True)
    assert ids(catalog) == ["new-left"]


def test_an_original_is_read_again_when_it_is_put_back(catalog: Catalog) -> None:
    old = a_snapshot("old", source=A)
    catalog.publish_snapshot(old)
    catalog.publish_snapshot(a_snapshot("new", source=B), {"old": left("old-left", "old")})
    corrected = a_snapshot("corrected", source=B, source_version="v2")
    assert catalog.publish_snapshot(corrected, {"old": old}, 2)[1]
    assert sorted(ids(catalog)) == ["corrected", "old"]


def test_a_stand_in_goes_with_its_original(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=A), {"old": left("old-left", "old")})
    catalog.publish_snapshot(a_snapshot("new", source=A, source_version="v2"))
    assert ids(catalog) == ["new"]
    catalog.publish_snapshot(a_snapshot("old", source=A, source_version="v3"))
    assert ids(catalog) == ["old"]


def test_who_computed_from_another_revision_is_told_and_changes_nothing(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1"))
    with pytest.raises(ConflictError, match="dataset trips is at revision 1 by now, not at 0"):
        catalog.publish_snapshot(a_snapshot("s2"), {}, 0)
    assert ids(catalog) == ["s1"]


def test_who_repeats_a_publication_that_succeeded_is_not_told_of_a_conflict(catalog: Catalog) -> None:
    new = a_snapshot("new")
    read = {"new": left("new-left", "new")}
    catalog.publish_snapshot(new, read, 0)
    assert catalog.publish_snapshot(new, read, 0) == (new, False)


def test_the_same_content_uploaded_again_counts_from_its_latest_upload(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("x", source=A, source_version="v1", uploaded_at=AT))
    assert not catalog.publish_snapshot(a_snapshot("x", source=A, source_version="v3", uploaded_at=LATER))[1]
    (upload,) = catalog.uploads("trips")[0]
    assert upload.rank() == (LATER, A)
    slow = a_snapshot("y", source=A, source_version="v2", uploaded_at=AT + timedelta(milliseconds=1))
    assert catalog.publish_snapshot(slow)[1] is False
    assert ids(catalog) == ["x"]


def test_an_upload_that_two_sources_have_ranks_by_the_later_one(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("x", source=A, uploaded_at=LATER))
    catalog.publish_snapshot(a_snapshot("x", source=B, uploaded_at=AT))
    (upload,) = catalog.uploads("trips")[0]
    assert (upload.rank(), upload.rank(without=A)) == ((LATER, A), (AT, B))


def test_the_same_upload_under_the_contract_of_a_later_run_takes_the_older_ones_place(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=A, uploaded_at=AT, created_at=AT))
    backfilled = a_snapshot("new", source=A, uploaded_at=AT, created_at=LATER, contract="d" * 64)
    assert catalog.publish_snapshot(backfilled)[1]
    assert ids(catalog) == ["new"]
    slow = a_snapshot("old", source=A, uploaded_at=AT, created_at=AT, run_id="began before the deployment")
    assert catalog.publish_snapshot(slow) == (backfilled, False)
    assert ids(catalog) == ["new"]


def test_a_contract_that_is_rolled_back_brings_its_snapshots_back(catalog: Catalog) -> None:
    first = a_snapshot("old", source=A, uploaded_at=AT, created_at=AT)
    catalog.publish_snapshot(first)
    catalog.publish_snapshot(a_snapshot("new", source=A, uploaded_at=AT, created_at=LATER, contract="d" * 64))
    again = first.model_copy(update={"created_at": LATER + timedelta(hours=1), "run_id": "backfill"})
    assert catalog.publish_snapshot(again) == (again, True)
    assert ids(catalog) == ["old"]


def test_an_erasure_puts_what_is_left_in_the_place_of_what_was_there(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1"))
    catalog.publish_snapshot(a_snapshot("s2"))
    catalog.publish_erasure(an_erasure(), {"s1": left("s1-left", "s1")}, {}, 2)
    assert sorted(ids(catalog)) == ["s1-left", "s2"]
    assert catalog.snapshots("trips")[1] == 3
    assert catalog.erasures("trips") == [an_erasure()]
    assert catalog.erasures("other") == []


def test_an_erasure_of_rows_that_nobody_has_is_recorded_and_stops_who_did_not_know(catalog: Catalog) -> None:
    catalog.publish_erasure(an_erasure(), {}, {}, 0)
    with pytest.raises(ConflictError):
        catalog.publish_snapshot(a_snapshot("s1"), {}, 0)
    assert catalog.publish_snapshot(a_snapshot("s1"), {}, 1)[1]
    assert catalog.snapshots("trips")[1] == 2


def test_an_erasure_that_was_computed_from_another_revision_is_refused(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1"))
    with pytest.raises(ConflictError):
        catalog.publish_erasure(an_erasure(), {}, {}, 0)
    assert catalog.erasures("trips") == []


def test_an_erasure_is_published_once(catalog: Catalog) -> None:
    catalog.publish_erasure(an_erasure(), {}, {}, 0)
    catalog.publish_erasure(an_erasure(), {}, {}, 0)
    assert catalog.snapshots("trips")[1] == 1


def test_two_erasures_leave_what_neither_names(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1"))
    catalog.publish_erasure(an_erasure("f1"), {"s1": left("one", "s1")}, {}, 1)
    catalog.publish_erasure(an_erasure("f2"), {"one": left("two", "one")}, {"two": left("read", "two")}, 2)
    assert ids(catalog) == ["read"]
    assert [erasure.erasure_id for erasure in catalog.erasures("trips")] == ["f1", "f2"]


def test_the_upload_that_an_erasure_was_applied_to_is_known_by_what_is_left(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1", source=A, uploaded_at=AT))
    catalog.publish_erasure(an_erasure(), {"s1": left("s1-left", "s1")}, {}, 1)
    again = a_snapshot("s1-left", source=A, uploaded_at=AT, rewritten_from="s1")
    assert catalog.publish_snapshot(again, {}, 2)[1] is False
    twin = a_snapshot("s1-left", source=B, uploaded_at=AT, rewritten_from="s1")
    assert catalog.publish_snapshot(twin, {}, 2)[1] is False
    assert ids(catalog) == ["s1-left"]


def test_stand_ins_of_more_snapshots_than_a_transaction_holds_are_published_at_once(catalog: Catalog) -> None:
    originals = [f"{number:032x}" for number in range(101)]
    for original in originals:
        catalog.publish_snapshot(a_snapshot(original))
    read = {original: left(f"{original}-left", original) for original in originals}
    assert catalog.publish_snapshot(a_snapshot("new"), read, 101)[1]
    assert set(ids(catalog)) == {"new", *(f"{original}-left" for original in originals)}
    assert catalog.snapshots("trips")[1] == 102

"""What every catalog promises about snapshots and views."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from perennial.errors import NotFoundError
from perennial.ports import Catalog
from tests.support.records import AT, a_snapshot, a_view

SOURCE = "s3://raw/trips/june.csv"


def ids(catalog: Catalog) -> tuple[list[str], int]:
    snapshots, revision = catalog.snapshots("trips")
    return [snapshot.snapshot_id for snapshot in snapshots], revision


def test_a_dataset_begins_empty_at_revision_zero(catalog: Catalog) -> None:
    assert catalog.snapshots("trips") == ([], 0)


def test_a_published_snapshot_is_visible_and_raises_the_revision(catalog: Catalog) -> None:
    snapshot = a_snapshot("s1")
    assert catalog.publish_snapshot(snapshot) == (snapshot, True)
    assert catalog.snapshots("trips") == ([snapshot], 1)
    assert catalog.snapshots("other") == ([], 0)


def test_publishing_a_snapshot_again_changes_nothing_and_says_so(catalog: Catalog) -> None:
    first, _ = catalog.publish_snapshot(a_snapshot("s1"))
    assert catalog.publish_snapshot(a_snapshot("s1")) == (first, False)
    assert ids(catalog) == (["s1"], 1)


def test_the_same_upload_in_another_run_changes_nothing(catalog: Catalog) -> None:
    first, _ = catalog.publish_snapshot(a_snapshot("s1"))
    assert catalog.publish_snapshot(a_snapshot("s1", run_id="second-run")) == (first, False)
    assert catalog.publish_snapshot(a_snapshot("s1", run_id="third-run", source_version="v2")) == (first, False)
    assert ids(catalog) == (["s1"], 1)


def test_other_content_of_the_same_source_supersedes_the_older(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=SOURCE))
    assert catalog.publish_snapshot(a_snapshot("new", source=SOURCE, source_version="v2"))[1]
    assert ids(catalog) == (["new"], 2)


def test_an_upload_whose_ingest_was_slow_does_not_supersede_a_later_one(catalog: Catalog) -> None:
    later, _ = catalog.publish_snapshot(
        a_snapshot("new", source=SOURCE, source_version="v2", uploaded_at=AT + timedelta(seconds=1))
    )
    slow = a_snapshot("old", source=SOURCE, source_version="v1", uploaded_at=AT)
    assert catalog.publish_snapshot(slow) == (later, False)
    assert ids(catalog) == (["new"], 1)
    assert catalog.publish_snapshot(a_snapshot("other", source="s3://raw/trips/b.csv", uploaded_at=AT))[1]
    assert ids(catalog)[1] == 2


def test_a_late_repetition_of_a_superseded_upload_does_not_bring_it_back(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=SOURCE))
    catalog.publish_snapshot(a_snapshot("new", source=SOURCE, source_version="v2"))
    catalog.publish_snapshot(a_snapshot("old", source=SOURCE, run_id="a repeated event"))
    assert ids(catalog) == (["new"], 2)


def test_uploading_the_older_content_once_more_brings_it_back(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("old", source=SOURCE))
    catalog.publish_snapshot(a_snapshot("new", source=SOURCE, source_version="v2"))
    back = a_snapshot("old", source=SOURCE, source_version="v3", run_id="third-run")
    assert catalog.publish_snapshot(back) == (back, True)
    assert catalog.snapshots("trips") == ([back], 3)


def test_the_same_content_under_two_sources_is_one_snapshot_while_either_has_it(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("twin", source="s3://raw/trips/a.csv"))
    _, published = catalog.publish_snapshot(a_snapshot("twin", source="s3://raw/trips/b.csv", run_id="second-run"))
    assert not published
    assert ids(catalog) == (["twin"], 1)
    catalog.publish_snapshot(
        a_snapshot("other", source="s3://raw/trips/a.csv", source_version="v2", min_event_time=datetime(2019, 2, 1))
    )
    assert ids(catalog) == (["twin", "other"], 2)
    catalog.publish_snapshot(a_snapshot("third", source="s3://raw/trips/b.csv", source_version="v2"))
    assert ids(catalog) == (["third", "other"], 3)


def test_a_source_that_turns_into_the_content_of_another_leaves_its_own_behind(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("one", source="s3://raw/trips/a.csv"))
    catalog.publish_snapshot(a_snapshot("two", source="s3://raw/trips/b.csv"))
    _, published = catalog.publish_snapshot(
        a_snapshot("one", source="s3://raw/trips/b.csv", source_version="v2", run_id="third-run")
    )
    assert published
    assert ids(catalog) == (["one"], 3)


def test_snapshots_come_oldest_event_time_first_and_empty_ones_last(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("none", min_event_time=None, max_event_time=None, rows=0))
    catalog.publish_snapshot(a_snapshot("march", min_event_time=datetime(2019, 3, 1)))
    catalog.publish_snapshot(a_snapshot("january", min_event_time=datetime(2019, 1, 1)))
    assert ids(catalog) == (["january", "march", "none"], 3)


def test_a_view_replaces_the_one_that_its_writer_saw(catalog: Catalog) -> None:
    assert catalog.publish_view(a_view(2), None)
    assert catalog.publish_view(a_view(10), a_view(2).manifest_key)
    assert catalog.view("zone_stats", "f" * 64) == a_view(10)


def test_a_view_does_not_replace_one_that_its_writer_did_not_see(catalog: Catalog) -> None:
    catalog.publish_view(a_view(10), None)
    assert not catalog.publish_view(a_view(11), None)
    assert not catalog.publish_view(a_view(11), a_view(9).manifest_key)
    assert catalog.view("zone_stats", "f" * 64) == a_view(10)


def test_versions_of_a_view_stand_beside_each_other(catalog: Catalog) -> None:
    catalog.publish_view(a_view(5), None)
    catalog.publish_view(a_view(1, version="e" * 64), None)
    assert catalog.view("zone_stats", "e" * 64).revision == 1
    with pytest.raises(NotFoundError, match="zone_stats"):
        catalog.view("zone_stats", "d" * 64)


def test_what_was_ever_published_is_found_also_when_it_is_not_live_any_more(catalog: Catalog) -> None:
    catalog.publish_snapshot(a_snapshot("s1"))
    catalog.publish_snapshot(a_snapshot("s2", source="s3://raw/trips/s1.csv", source_version="v2"))
    catalog.publish_snapshot(a_snapshot("s3", dataset="rides"))
    assert [snapshot.snapshot_id for snapshot in catalog.snapshots("trips")[0]] == ["s2"]
    assert [snapshot.snapshot_id for snapshot in catalog.ever_published("trips")] == ["s1", "s2"]
    assert catalog.ever_published("nothing") == []

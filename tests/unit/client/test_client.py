"""The client of a notebook, on fakes."""

from __future__ import annotations

import doctest
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from perennial.client import Client, client, journal
from perennial.definitions import FeatureView
from perennial.errors import DataError, NotFoundError
from perennial.ports import Ports
from perennial.records import Champion
from tests.support.feature_store import STATS, a_feature_store
from tests.support.records import AT, a_version
from tests.support.world import FARE as RIDE

FARE = RIDE.model_copy(update={"dataset": "trips", "features": {"trip_context": ("hour",)}})


class Person:
    person = "arn:aws:iam::000000000000:user/ada"

    def start(self, verb: str, about: Mapping[str, Any], reason: str) -> str:
        raise AssertionError("nothing is started here")


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return a_feature_store(tmp_path)


@pytest.fixture
def notebook(ports: Ports) -> Client:
    return Client(ports, Person())


def events(*rows: tuple[int, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {"zone": [zone for zone, _ in rows], "at": pd.to_datetime([at for _, at in rows], format="ISO8601")}
    )


def test_the_examples_of_the_documentation_run(ports: Ports) -> None:
    known = replace(ports.definitions, models={"fare": FARE})
    notebook = Client(replace(ports, definitions=known), Person())
    finder = doctest.DocTestFinder(recurse=True)
    names = {"client": notebook, "pd": pd, "datetime": datetime}
    kinds = (client.Client, journal.Journal)
    found = [test for kind in kinds for test in finder.find(kind, kind.__name__, globs=names) if test.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    for test in found:
        said: list[str] = []
        assert runner.run(test, out=said.append).failed == 0, "".join(said)
    assert len(found) >= 4


def test_a_frame_sees_what_was_known_at_each_rows_moment_and_nothing_later(notebook: Client) -> None:
    rows = events((1, "2019-03-02"), (1, "2019-03-01 23:59:59.999999"), (2, "2019-03-02 23:00"), (7, "2019-03-02"))
    found = notebook.frame(rows, ["zone_stats.mean", "zone_stats.most"], "at")
    assert found["zone_stats__mean"].tolist()[:2] == [25.0, 20.0]
    assert found["zone_stats__mean"].isna().tolist() == [False, False, True, True]
    assert list(found.columns) == ["zone", "at", "zone_stats__mean", "zone_stats__most"]


def test_a_frame_holds_values_up_to_their_ttl(notebook: Client) -> None:
    rows = events((2, "2019-03-10 00:00:00"), (2, "2019-03-10 00:00:00.000001"))
    assert notebook.frame(rows, ["zone_stats.mean"], "at")["zone_stats__mean"].fillna(-1).tolist() == [10.0, -1.0]


def test_a_frame_keeps_the_rows_their_order_and_their_index(notebook: Client) -> None:
    rows = events((2, "2019-03-05"), (1, "2019-03-05"), (2, "2019-03-05")).set_axis([7, 7, 3])
    rows["note"] = ["a", "b", "c"]
    found = notebook.frame(rows, ["zone_stats.mean"], "at")
    assert found["zone_stats__mean"].tolist() == [10.0, 25.0, 10.0]
    pd.testing.assert_frame_equal(found[["zone", "at", "note"]], rows)
    assert notebook.frame(rows[:0], ["zone_stats.mean"], "at").empty


def test_a_frames_moments_with_a_zone_are_the_same_moments_in_utc(notebook: Client) -> None:
    rows = events((1, "2019-03-01 23:30"))
    rows["at"] = rows["at"].dt.tz_localize("America/New_York")
    assert notebook.frame(rows, ["zone_stats.mean"], "at")["zone_stats__mean"].tolist() == [25.0]


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (["zone_stat.mean"], "no feature view 'zone_stat'; there is trip_context, zone_stats"),
        (["zone_stats.meen"], "view zone_stats has no column 'meen'; it has mean, most"),
        (["trip_context.hour"], "computed from each request and kept nowhere; stored views are zone_stats"),
        (["mean"], "a feature is named like zone_stats.mean, unlike 'mean'"),
    ],
)
def test_a_feature_that_there_is_not_is_told(notebook: Client, features: list[str], sentence: str) -> None:
    with pytest.raises(NotFoundError, match=sentence):
        notebook.frame(events((1, "2019-03-02")), features, "at")


def test_rows_without_what_a_view_is_looked_up_by_are_told(notebook: Client) -> None:
    rows = events((1, "2019-03-02"))
    with pytest.raises(DataError, match="no column 'zone', by which view zone_stats is kept"):
        notebook.frame(rows.drop(columns="zone"), ["zone_stats.mean"], "at")
    with pytest.raises(DataError, match=r"no column 'at' of datetimes; .* pandas.to_datetime"):
        notebook.frame(rows.astype({"at": str}), ["zone_stats.mean"], "at")


def test_features_now_are_those_known_by_now_and_not_what_becomes_known_later(ports: Ports, notebook: Client) -> None:
    for moment, means in (
        ("2019-03-02T00:00:00Z", [25.0, -1.0]),
        ("2019-03-01T23:59:59.999999Z", [20.0, -1.0]),
        ("2019-02-28T00:00:00Z", [-1.0, -1.0]),
        ("2029-01-01T00:00:00Z", [25.0, 10.0]),  # beyond their ttl: the frame says since when they are known
    ):
        ports.clock.set(moment)  # type: ignore[attr-defined]
        assert notebook.features("zone_stats", [1, 2], ["mean"])["mean"].fillna(-1).tolist() == means


def test_features_now_and_then_are_those_of_the_two_stores(notebook: Client) -> None:
    now = notebook.features("zone_stats", [(2,), {"zone": 1}, 5], ["most"])
    assert now["most"].fillna(-1).tolist() == [10.0, 30.0, -1.0]
    then = notebook.features("zone_stats", [2, 1], ["mean"], at=datetime(2019, 3, 2, 23, tzinfo=UTC))
    assert then["mean"].fillna(-1).tolist() == [-1.0, 25.0]
    elsewhere = datetime(2019, 3, 2, 22, 30, tzinfo=timezone(-timedelta(hours=5)))
    assert notebook.features("zone_stats", [2], ["mean"], at=elsewhere)["mean"].tolist() == [10.0]
    assert notebook.features("zone_stats", [2], ["mean"], at=datetime(2019, 3, 12))["mean"].isna().all()


@pytest.mark.parametrize(
    ("key", "error", "sentence"),
    [
        ("x", DataError, "view zone_stats: zone must be a whole number, not 'x'"),
        ((1, 2), NotFoundError, "kept by zone; give a value of each, not 2"),
        ({"area": 1}, NotFoundError, "kept by zone, not by area"),
    ],
)
def test_a_key_that_is_none_is_told(notebook: Client, key: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        notebook.features("zone_stats", [key])


def test_a_view_of_other_definitions_has_no_table(ports: Ports) -> None:
    changed = FeatureView.model_validate({**STATS.model_dump(), "ttl": "8 days"})
    others = replace(ports, definitions=replace(ports.definitions, views={"zone_stats": changed}))
    with pytest.raises(NotFoundError, match="no table of the version that these definitions make"):
        Client(others).features("zone_stats", [1], at=AT)


def test_a_dataset_is_cut_by_event_time_and_columns(notebook: Client) -> None:
    end = datetime(2019, 3, 2, 1)
    assert notebook.dataset("trips", until=end, columns=["fare"])["fare"].tolist() == [10.0, 30.0]
    assert len(notebook.dataset("trips", since=datetime(2019, 2, 28, 9), until=end)) == 1
    assert notebook.dataset("trips", since=datetime(2020, 1, 1)).columns.tolist() == ["zone", "fare", "pickup"]
    with pytest.raises(NotFoundError, match="dataset trips has no column 'tip'; it has zone, fare, pickup"):
        notebook.dataset("trips", columns=["tip"])


def test_a_snapshot_is_named_by_the_beginning_of_its_id(notebook: Client) -> None:
    assert len(notebook.snapshot("trips", "s")) == 4
    with pytest.raises(NotFoundError, match="dataset trips has no live snapshots 'x'"):
        notebook.snapshot("trips", "x")


def test_a_training_frame_is_what_the_champion_learnt_from(ports: Ports, tmp_path: Path) -> None:
    contents = {}
    for part, rows, sliced in (("train", 3, ""), ("holdout", 2, ", 'true' AS \"slice:far\"")):
        path = tmp_path / f"{part}.parquet"
        duckdb.sql(
            f"SELECT TIMESTAMP '2019-03-01' AS event_time, 'é' AS f, range AS target{sliced} FROM range({rows})"
        ).write_parquet(str(path))
        contents[f"training-sets/fare/{part}.parquet"] = path.read_bytes()
    train, holdout = contents
    sha256 = {key: hashlib.sha256(content).hexdigest() for key, content in contents.items()}
    for key, content in contents.items():
        ports.artifacts.put(key, content)
    made = a_version(1).training_set.model_copy(update={"train_key": train, "holdout_key": holdout, "sha256": sha256})
    ports.catalog.allocate_version("fare", "train-1")
    ports.catalog.publish_version(a_version(1, training_set=made))
    notebook = Client(ports)
    with pytest.raises(NotFoundError, match="model 'fare' has no champion"):
        notebook.training_frame("fare")
    assert isinstance(ports.catalog.promote("fare", 1, None, AT, "ada", "good"), Champion)

    found = notebook.training_frame("fare")
    assert found["part"].value_counts().to_dict() == {"train": 3, "holdout": 2}
    assert found.columns.tolist() == ["event_time", "f", "target", "part", "slice:far"]
    assert found["f"].tolist() == ["é"] * 5
    assert found["slice:far"].isna().tolist() == [True] * 3 + [False] * 2


def test_the_files_of_a_client_go_when_it_is_closed(notebook: Client) -> None:
    notebook.dataset("trips")
    folder = notebook._folder
    assert any(folder.iterdir())
    notebook.close()
    assert not folder.exists()


def test_a_client_tells_what_it_knows(notebook: Client, ports: Ports) -> None:
    told = repr(notebook)
    for name in (*ports.definitions.datasets, *ports.definitions.views):
        assert name in told

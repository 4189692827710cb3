"""Views that read other datasets and other views: their order, their versions, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from perennial.definitions.files import Definitions, load_definitions
from perennial.errors import DefinitionError
from tests.unit.test_definitions import DATASET, FARE, FILES, MODEL, NOW, PAST, REQUEST, STORED, TRIPS, write


def reading(*names: str, dataset: str = "trips") -> str:
    """Return a stored view that says it reads other tables."""
    return STORED.replace("-- dataset: trips", f"-- dataset: {dataset}\n-- reads: {', '.join(names)}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path, {**FILES, "datasets/weather.toml": DATASET})


def loaded(folder: Path, files: dict[str, str]) -> Definitions:
    return load_definitions(write(folder, files))


def message(folder: Path, files: dict[str, str]) -> str:
    with pytest.raises(DefinitionError) as caught:
        loaded(folder, files)
    return str(caught.value)


def test_stored_views_of_a_dataset_come_after_what_they_read(folder: Path) -> None:
    definitions = loaded(
        folder,
        {
            "features/alpha.sql": reading("zeta"),
            "features/zeta.sql": reading("past", "weather"),
            "features/rain.sql": STORED.replace("dataset: trips", "dataset: weather"),
        },
    )
    assert [view.name for view in definitions.views_of("trips")] == ["past", "zeta", "alpha"]
    assert [view.name for view in definitions.views_of("weather")] == ["zeta", "alpha", "rain"]
    assert [view.name for view in definitions.request_views_of("trips")] == ["now"]
    assert [dataset.name for dataset in definitions.datasets_of("alpha")] == ["trips", "weather"]
    assert [view.name for view in definitions.reads("alpha")[1]] == ["zeta"]


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        (PAST, "avg(price)", "sum(price)", {"past", "over"}),
        (TRIPS, 'type = "double"', 'type = "integer"', {"now", "past", "over"}),
        (TRIPS, "[columns]", '[columns]\nnew = { type = "string", nullable = true }', {"now", "past", "over"}),
        (TRIPS, "price > 0", "price > 1", set()),
        (NOW, "zone FROM", "zone + 1 AS zone FROM", {"now"}),
        ("features/over.sql", "avg(price)", "max(price)", {"over"}),
        ("datasets/weather.toml", 'type = "double"', 'type = "integer"', {"over"}),
    ],
)
def test_a_version_changes_with_all_that_the_values_are_a_matter_of(
    folder: Path, file: str, old: str, new: str, changed: set[str]
) -> None:
    before = loaded(folder, {"features/over.sql": reading("past", "weather")})
    after = loaded(folder, {file: (folder / file).read_text(encoding="utf-8").replace(old, new)})
    assert {name for name in after.views if after.view_version(name) != before.view_version(name)} == changed


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("datasets/weather.toml", "price > 0", "price > 1"),
        (PAST, "avg(price)", "sum(price)"),
        ("features/over.sql", "avg(price)", "max(price)"),
    ],
)
def test_a_model_s_fingerprint_changes_with_what_its_views_depend_on(
    folder: Path, file: str, old: str, new: str
) -> None:
    files = {"features/over.sql": reading("past", "weather"), FARE: MODEL.replace("past =", "over =")}
    before = loaded(folder, files).fingerprint("fare")
    after = loaded(folder, {file: (folder / file).read_text(encoding="utf-8").replace(old, new)}).fingerprint("fare")
    assert before != after


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({PAST: reading("past")}, "features/past.sql: reads: past reads past: views must not read in a circle; break"),
        (
            {"features/a.sql": reading("b"), "features/b.sql": reading("c"), "features/c.sql": reading("a")},
            "features/a.sql: reads: a reads b reads c reads a: views must not read in a circle",
        ),
        (
            {"features/out.sql": reading("a"), "features/a.sql": reading("b"), "features/b.sql": reading("a")},
            "features/a.sql: reads: a reads b reads a: views must not read in a circle",
        ),
        (
            {PAST: reading("snow")},
            "features/past.sql: reads: 'snow' is not defined; there is now, past, trips, weather",
        ),
        ({PAST: reading("now")}, "features/past.sql: reads: 'now' is a request view; only datasets and stored views"),
        ({PAST: reading("trips")}, "features/past.sql: reads: 'trips' is its dataset, which it reads anyway"),
        (
            {PAST: reading("weather"), "features/weather.sql": STORED},
            "features/past.sql: reads: 'weather' is a dataset and a view as well; rename one of them",
        ),
        ({NOW: REQUEST.replace("-- dataset", "-- reads: weather\n-- dataset")}, "features/now.sql: "),
        (
            {NOW: REQUEST.replace("dataset: trips", "dataset: weather")},
            "models/fare.toml: features: request view 'now' reads dataset 'weather', but the model is about 'trips'",
        ),
        (
            {
                PAST: STORED.replace("dataset: trips", "dataset: weather").replace("zone", "place"),
                "datasets/weather.toml": DATASET.replace("zone", "place"),
            },
            "models/fare.toml: features: view 'past' is kept by 'place', but datasets/trips.toml has no column of that",
        ),
    ],
)
def test_what_cannot_be_read_or_joined_is_told_in_one_sentence(folder: Path, files: dict[str, str], says: str) -> None:
    assert message(folder, files).startswith(says)


def test_a_model_may_use_a_stored_view_over_another_dataset(folder: Path) -> None:
    definitions = loaded(folder, {PAST: STORED.replace("dataset: trips", "dataset: weather")})
    assert definitions.view("past").dataset == "weather"

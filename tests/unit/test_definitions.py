"""Definitions: right ones are read, and a wrong one is told in one sentence with its file, its key and the mend."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from perennial.definitions import Column, Dataset, parse_duration
from perennial.definitions.files import Definitions, find_definitions, load_definitions
from perennial.errors import DefinitionError, NotFoundError

DATASET = """\
event_time = "at"
[columns]
at = { type = "timestamp" }
zone = { type = "integer", min = 1, max = 9 }
kind = { type = "string", nullable = true, allowed = ["a", "b"] }
price = { type = "double" }
[[rules]]
name = "positive"
check = "price > 0"
"""
REQUEST = """\
-- kind: request
-- dataset: trips
SELECT zone FROM trips
"""
STORED = """\
-- kind: stored
-- dataset: trips
-- entity: zone
-- feature_time: until
-- ttl: 3 days

-- The rest is SQL.
SELECT zone, max(at) AS until, avg(price) AS mean FROM trips GROUP BY zone;
"""
MODEL = """\
dataset = "trips"
target = "price"
[features]
now = ["zone"]
past = ["mean"]
[split]
holdout = "2 days"
[[candidates]]
name = "ridge"
algorithm = "ridge"
parameters = { alpha = 1 }
[gate]
max_error = 3
[monitor]
window_rows = 50
min_rows = 5
[retrain]
cooldown = "1 hour"
"""
TRIPS, NOW, PAST, FARE = "datasets/trips.toml", "features/now.sql", "features/past.sql", "models/fare.toml"
FILES = {TRIPS: DATASET, NOW: REQUEST, PAST: STORED, FARE: MODEL}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def message(folder: Path) -> str:
    with pytest.raises(DefinitionError) as caught:
        load_definitions(folder)
    return str(caught.value)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a folder of small definitions that are right."""
    return write(tmp_path, FILES)


def test_right_definitions_are_read_with_their_defaults(small: Path) -> None:
    found = load_definitions(small)
    assert list(found.datasets) == ["trips"]
    assert found.dataset("trips").columns["zone"].max == 9
    assert found.dataset("trips").null == ("",)
    model = found.model("fare")
    assert model.name == "fare"
    assert model.features == {"now": ("zone",), "past": ("mean",)}
    assert model.split.holdout == timedelta(days=2)
    assert model.retrain.cooldown == timedelta(hours=1)
    assert model.retrain.on_alarm
    assert model.candidate("ridge").parameters == {"alpha": 1}
    assert model.metric == "mae"


def test_a_views_header_becomes_its_fields_and_the_rest_its_sql(small: Path) -> None:
    view = load_definitions(small).view("past")
    assert (view.kind, view.entity, view.feature_time, view.ttl) == ("stored", ("zone",), "until", timedelta(days=3))
    assert view.sql == "SELECT zone, max(at) AS until, avg(price) AS mean FROM trips GROUP BY zone"


def test_the_shipped_definitions_are_right(definitions: Definitions) -> None:
    assert "taxi_fare" in definitions.models


def test_unknown_names_are_not_found_and_the_known_ones_are_listed(small: Path) -> None:
    found = load_definitions(small)
    for lookup in (found.dataset, found.view, found.model):
        with pytest.raises(NotFoundError, match=r"'tips'; there is (trips|now, past|fare)"):
            lookup("tips")
    with pytest.raises(NotFoundError, match=r"fare.*trees"):
        found.model("fare").candidate("trees")


def test_comments_blank_lines_and_the_order_of_keys_do_not_count_in_a_fingerprint(small: Path) -> None:
    before = load_definitions(small).dataset("trips").fingerprint
    columns, rest = DATASET.split("[columns]\n")[1].split("[[rules]]")
    shuffled = "\n".join(reversed(columns.strip().splitlines()))
    text = f'# A comment.\nevent_time = "at"\n\n[columns]\n{shuffled}\n[[rules]]{rest}'
    write(small, {"datasets/trips.toml": text})
    assert load_definitions(small).dataset("trips").fingerprint == before


@pytest.mark.parametrize(
    ("file", "old", "new", "of"),
    [
        (TRIPS, "max = 9", "max = 8", "datasets"),
        (PAST, "avg(price)", "min(price)", "views"),
        (PAST, "3 days", "4 days", "views"),
        (FARE, "alpha = 1", "alpha = 2", "models"),
    ],
)
def test_a_change_of_meaning_changes_the_fingerprint(small: Path, file: str, old: str, new: str, of: str) -> None:
    before = load_definitions(small)
    write(small, {file: FILES[file].replace(old, new)})
    after = load_definitions(small)
    name = Path(file).stem
    assert getattr(before, of)[name].fingerprint != getattr(after, of)[name].fingerprint
    assert before.fingerprint("fare") != after.fingerprint("fare")


WRONG = [
    # datasets
    (TRIPS, 'event_time = "at"', "", "event_time: is missing; add it"),
    (
        "datasets/trips.toml",
        'event_time = "at"',
        'event_tiem = "at"',
        "event_tiem: is not a key.*did you mean event_time",
    ),
    (
        "datasets/trips.toml",
        'event_time = "at"',
        'event_time = "when"',
        "event_time names 'when'.*not among the columns",
    ),
    (TRIPS, 'event_time = "at"', 'event_time = "zone"', "'zone' must be a timestamp"),
    (TRIPS, 'event_time = "at"', "event_time = 1", "event_time: should be text in quotes, not 1"),
    (TRIPS, 'event_time = "at"', 'event_time "at"', r"is not TOML: .*line 1"),
    (TRIPS, 'event_time = "at"', 'event_time = "at"\nname = "trips"', "name: is the file's name; take"),
    (
        "datasets/trips.toml",
        'event_time = "at"',
        'event_time = "at"\nformat = "xml"',
        "format: should be 'csv', 'jsonl' or 'parquet', not 'xml'",
    ),
    (TRIPS, 'event_time = "at"', 'event_time = "at"\ndelimiter = ""', "delimiter: should not be empty"),
    (TRIPS, 'event_time = "at"', 'event_time = "at"\nnull = ""', r"null: should be a list in \[ \]"),
    (TRIPS, '"double"', '"float"', r"columns.price.type: should be .*'double'.* not 'float'"),
    (TRIPS, 'price = { type = "double" }', "price = {}", "columns.price.type: is missing; add it"),
    (
        "datasets/trips.toml",
        'price = { type = "double" }',
        'price = "double"',
        "columns.price: should be a table.*'double'",
    ),
    (TRIPS, "nullable = true", 'nullable = "yes"', "columns.kind.nullable: should be true or false"),
    (TRIPS, "nullable = true", "nulable = true", "columns.kind.nulable: .*did you mean nullable"),
    (TRIPS, "min = 1", 'min = "1"', "columns.zone: min of this integer column is a number, unlike '1'"),
    (TRIPS, "min = 1", "min = nan", "columns.zone.min.*: should be a finite number, not nan"),
    (TRIPS, "min = 1", "min = 10", "columns.zone: min 10 is above max 9"),
    (
        TRIPS,
        'at = { type = "timestamp" }',
        'at = { type = "timestamp", format = "dd.mm.yyyy" }',
        "columns.at: format is written in strptime letters.*'dd.mm.yyyy'",
    ),
    (TRIPS, "min = 1", 'format = "%d"', "columns.zone: format belongs to timestamp, timestamptz, date"),
    (TRIPS, '["a", "b"]', "[]", "columns.kind.allowed: should not be empty"),
    (TRIPS, '["a", "b"]', '[["a"]]', r"columns.kind.allowed\[0\]: should be a number, text or true"),
    (
        "datasets/trips.toml",
        'type = "string"',
        'type = "string", max = 2',
        "columns.kind: max belongs to integer, double",
    ),
    (
        "datasets/trips.toml",
        'name = "positive"',
        'name = "Positive!"',
        r"rules\[0\].name: should be lower-case letters",
    ),
    (TRIPS, 'check = "price > 0"', 'check = ""', r"rules\[0\].check: should not be empty"),
    (TRIPS, "price = {", "int = 1\nprice = {", "columns.int: should be a table"),
    (TRIPS, "[[rules]]", "[rules]", r"rules: should be a list of tables, each under \[\[rules\]\]"),
    (
        TRIPS,
        "[[rules]]",
        '[[rules]]\nname = "positive"\ncheck = "true"\n[[rules]]',
        "rules must have different names, not positive, positive",
    ),
    # feature views
    (NOW, "-- kind: request\n", "", "kind: is missing; add the line `-- kind: …` above the SELECT"),
    (NOW, "kind: request", "kind: online", "kind: should be 'request' or 'stored', not 'online'"),
    (NOW, "dataset: trips", "dataset: trip", "dataset: 'trip' is not defined; there is trips"),
    (NOW, "dataset: trips", "dataset:", "dataset: has no value; write one after the colon"),
    (NOW, "dataset: trips", "datset: trips", "datset: is not a key.*did you mean dataset"),
    (NOW, "SELECT zone FROM trips", "", "holds no SELECT; write one below the header"),
    (NOW, "SELECT zone FROM trips", ";", "holds no SELECT; write one below the header"),
    (NOW, "-- kind: request", "-- kind: request\n-- kind: stored", "kind: stands twice in the header"),
    (
        "features/now.sql",
        "-- kind: request",
        "-- kind: request\n-- name: later",
        "name: is the file's name; take the line",
    ),
    (NOW, "-- kind: request", "-- kind: request\n-- sql: SELECT 1", "sql: is what follows the header"),
    (
        "features/now.sql",
        "-- kind: request",
        "-- kind: request\n-- entity: zone",
        "entity.* belong to stored views only",
    ),
    (PAST, "-- entity: zone\n", "", "needs the header lines `-- entity:`"),
    (PAST, "-- feature_time: until\n", "", "and `-- feature_time:`"),
    (PAST, "entity: zone", "entity: zone,", "entity: should be different columns with commas"),
    (PAST, "entity: zone", "entity: zone, zone", "entity: should be different columns with commas"),
    (PAST, "3 days", "3 months", "ttl: a duration is written like \"28 days\".*not '3 months'"),
    (PAST, "3 days", "0 days", "ttl: should be longer than nothing"),
    (PAST, "3 days", f"{'9' * 20} days", "ttl: a duration is below a billion days"),
    # models
    (FARE, 'dataset = "trips"', 'dataset = "trip"', "dataset: 'trip' is not defined; there is trips"),
    (FARE, 'target = "price"', "", "target: is missing; add it"),
    (FARE, 'target = "price"', 'target = ""', "target: should not be empty"),
    (
        FARE,
        'target = "price"',
        'target = "price"\ntask = "ranking"',
        "task: should be 'regression', 'binary' or",
    ),
    (
        FARE,
        'target = "price"',
        'target = "price"\ntask = "binary"',
        "candidate ridge: ridge is not for the task binary; take logistic_regression, hist_gradient_boosting, random_",
    ),
    (
        FARE,
        'algorithm = "ridge"',
        'algorithm = "custom"\nestimator = "estimators.Mine"',
        r"candidates\[0\].estimator: should be like 'estimators.fares:FareModel'.*, not 'estimators.Mine'",
    ),
    (FARE, 'target = "price"', 'target = "price"\nseed = 1.5', "seed: should be a whole number, not 1.5"),
    (FARE, 'target = "price"', 'target = "price"\nseed = 2018-01-01', "seed: should be a whole number"),
    (FARE, 'now = ["zone"]', 'now = "zone"', r"features.now: should be a list in \[ \], not 'zone'"),
    (FARE, 'now = ["zone"]', 'then = ["zone"]', "features: 'then' is not defined; there is now, past"),
    (FARE, 'now = ["zone"]', 'Now = ["zone"]', "features.Now: should be lower-case letters"),
    (FARE, 'now = ["zone"]\npast = ["mean"]', "", "features: should not be empty"),
    (FARE, '"2 days"', "2", 'split.holdout: a duration is written like "28 days" or "2 hours", not 2'),
    (FARE, '"2 days"', '"0 days"', "split.holdout: should be longer than nothing"),
    (FARE, '[split]\nholdout = "2 days"', "", "split: is missing; add it"),
    (
        "models/fare.toml",
        "[[candidates]]",
        "[candidates]",
        r"candidates: should be a list of tables, each under \[\[candidates",
    ),
    (
        "models/fare.toml",
        'algorithm = "ridge"',
        'algorithm = "svm"',
        r"candidates\[0\].algorithm: should be 'ridge', 'logistic_regression', ",
    ),
    (FARE, 'algorithm = "ridge"', 'algo = "ridge"', r"candidates\[0\].algo: is not a key"),
    (FARE, "{ alpha = 1 }", "{ alpha = [1] }", r"candidates\[0\].parameters.alpha: should be a number, text or"),
    (FARE, "max_error = 3", 'max_error = "3"', "gate.max_error: should be a number, not '3'"),
    (FARE, "max_error = 3", "max_error = -1", "gate.max_error: should be greater than 0, not -1"),
    (FARE, "max_error = 3", "max_error = inf", "gate.max_error: should be a finite number, not inf"),
    (FARE, "max_error = 3", "max_eror = 3", "gate.max_eror: is not a key.*did you mean max_error"),
    (
        "models/fare.toml",
        "max_error = 3",
        "zzz = 3",
        "gate.zzz: .*; the keys here are max_error, min_score, limits",
    ),
    (FARE, "max_error = 3", "min_improvement = 2", "gate.min_improvement: should be less than 1, not 2"),
    (
        "models/fare.toml",
        "min_rows = 5",
        "min_rows = 0",
        "monitor.min_rows: should be greater than or equal to 1, not 0",
    ),
    (FARE, "min_rows = 5", "min_rows = 51", "monitor: min_rows 51 is above window_rows 50"),
    (
        "models/fare.toml",
        "min_rows = 5",
        "performance_ratio = 1",
        "monitor.performance_ratio: should be greater than 1",
    ),
    (FARE, '"1 hour"', '"1h"', "retrain.cooldown: a duration is written like"),
    (
        FARE,
        "[retrain]",
        "[retrain]\non_alarm = 1",
        "retrain.on_alarm: should be true, false or a list of signals, such as .*, not 1",
    ),
    (
        FARE,
        "[retrain]",
        '[retrain]\non_alarm = ["performence"]',
        "there is no signal 'performence'; there are features",
    ),
    (FARE, "[gate]", "[gates]", "gates: is not a key.*did you mean gate"),
]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"type": "decimal"}, "says its precision and a scale"),
        ({"type": "decimal", "precision": 2, "scale": 3}, "a scale that is not above it"),
        ({"type": "integer", "precision": 2}, "precision belongs to decimal"),
        ({"type": "integer", "pattern": "a"}, "pattern belongs to string"),
        ({"type": "string", "open": True}, "open belongs to categorical"),
        ({"type": "string", "optional": True}, "an optional column must be nullable"),
        ({"type": "timestamp", "zone": "Europe/Berlin"}, "zone belongs to timestamptz"),
        ({"type": "timestamptz", "zone": "Central Europe"}, "zone is an IANA name"),
        ({"type": "timestamptz", "ambiguous": "later"}, "so it needs zone"),
        ({"type": "date", "min": 5.0}, "min of this date column is text in ISO 8601"),
        ({"type": "date", "min": "31.01.2019"}, "min is a time in ISO 8601"),
        ({"type": "timestamp", "min": "2019-01-31T12:00", "max": "2019-01-31 11:59"}, "is above max"),
        ({"type": "string", "min_length": 3, "max_length": 2}, "min_length 3 is above max_length 2"),
        ({"type": "string", "max_null": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_column_s_rules_must_fit_its_type_and_each_other(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Column(**changes)


def test_bounds_in_two_forms_of_iso_8601_are_compared_as_times() -> None:
    Column(type="timestamp", min="2019-01-31T12:00", max="2019-01-31 12:01")
    Column(type="timestamptz", min="2019-01-31T12:00+02:00", max="2019-01-31T11:00Z")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"key": ("zone",)}, "key names 'zone', which is not among"),
        ({"key": ("kind",)}, "key column 'kind' must not be nullable"),
        ({"key": ("at", "at")}, "key names a column twice"),
        ({"encoding": "klingon"}, "is not a text encoding"),
        ({"bounds": {"file_period": "%m-%Y"}}, "file_period holds"),
        ({"file": {"min_rows": 0}}, "greater than or equal to 1"),
    ],
)
def test_rules_of_a_dataset_must_fit_its_columns(changes: dict[str, Any], told: str) -> None:
    columns = {"at": Column(type="timestamp"), "kind": Column(type="string", nullable=True)}
    with pytest.raises(ValidationError, match=told):
        Dataset(**{"name": "trips", "event_time": "at", "columns": columns, **changes})


@pytest.mark.parametrize(("file", "old", "new", "told"), WRONG, ids=[f"{case[0]}:{case[2][:40]}" for case in WRONG])
def test_a_wrong_definition_is_told_in_one_sentence(small: Path, file: str, old: str, new: str, told: str) -> None:
    assert old in FILES[file]
    write(small, {file: FILES[file].replace(old, new, 1)})
    said = message(small)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said
    assert "pydantic" not in said
    assert len(said) < 260
    with pytest.raises(DefinitionError, match=told):
        load_definitions(small)


def test_a_model_with_two_request_views_is_refused(small: Path) -> None:
    write(
        small, {"features/also.sql": REQUEST, "models/fare.toml": MODEL.replace("[split]", 'also = ["zone"]\n[split]')}
    )
    assert message(small) == "models/fare.toml: features: at most one request view, not now, also"


def test_candidates_of_one_name_are_refused(small: Path) -> None:
    again = '[[candidates]]\nname = "ridge"\nalgorithm = "ridge"\n'
    write(small, {"models/fare.toml": MODEL + again})
    assert message(small) == "models/fare.toml: candidates must have different names, not ridge, ridge"


@pytest.mark.parametrize("name", ["Trips.toml", "1trips.toml", "my trips.toml", f"{'t' * 64}.toml"])
def test_a_file_whose_name_cannot_be_used_is_refused(small: Path, name: str) -> None:
    write(small, {f"datasets/{name}": DATASET})
    assert message(small).startswith(f"datasets/{name}: a file's name is lower-case")


def test_a_file_of_another_kind_is_refused_rather_than_overlooked(small: Path) -> None:
    write(small, {"datasets/rides.yaml": "event_time: at"})
    assert message(small) == "datasets/rides.yaml: is not a .toml file; rename it or take it out"


def test_hidden_files_and_notes_are_overlooked(small: Path) -> None:
    write(small, {"datasets/.trips.toml.swp": "x", "models/README.md": "Our models."})
    assert list(load_definitions(small).datasets) == ["trips"]


def test_a_file_that_is_not_utf8_is_refused(small: Path) -> None:
    (small / "datasets" / "trips.toml").write_bytes(b'description = "caf\xe9"\n')
    assert message(small) == "datasets/trips.toml: is not UTF-8 text; save it as UTF-8"


@pytest.mark.parametrize("file", FILES)
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(small: Path, file: str) -> None:
    before = load_definitions(small)
    (small / file).write_bytes(b"\xef\xbb\xbf" + FILES[file].replace("\n", "\r\n").encode())
    assert load_definitions(small) == before


def test_a_folder_that_holds_no_definitions_is_refused(tmp_path: Path) -> None:
    assert message(tmp_path).endswith("holds none of the folders datasets, features and models; name the right folder")


def test_the_folder_that_is_given_must_exist(tmp_path: Path) -> None:
    assert find_definitions(tmp_path) == tmp_path
    with pytest.raises(DefinitionError, match=r"nowhere: no such folder"):
        find_definitions(tmp_path / "nowhere")


def test_without_a_folder_the_one_on_the_search_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(DefinitionError, match=r"perennial_definitions on sys.path: no such folder"):
        find_definitions()
    (tmp_path / "perennial_definitions").mkdir()
    assert find_definitions() == tmp_path / "perennial_definitions"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("1 second", timedelta(seconds=1)),
        ("90 minutes", timedelta(hours=1.5)),
        (" 2  hours ", timedelta(hours=2)),
        ("28 days", timedelta(days=28)),
        ("1 week", timedelta(days=7)),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["", "1", "day", "1.5 days", "-1 days", "1 month", "1 days 2 hours", 5, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="a duration is written like"):
        parse_duration(text)


def test_no_dataset_has_the_name_under_which_files_are_predicted(small: Path) -> None:
    (dataset,) = (small / "datasets").glob("*.toml")
    (small / "datasets" / "predict.toml").write_bytes(dataset.read_bytes())
    assert message(small) == (
        "datasets/predict.toml: what is uploaded below predict/ is predicted; give the dataset another name"
    )

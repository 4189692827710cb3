"""No skew: the same JSON rows, ingested and trained on, or sent as a request, give the same features bit for bit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import boto3
import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from perennial.aws.online import DynamoOnlineStore
from perennial.data.contract.validate import validate
from perennial.data.feature_types import categorical_features
from perennial.data.training_set import Period, feature_columns, write_training_set
from perennial.data.views.latest_rows import online_changes
from perennial.data.views.view_sql import DatasetTable, create_table
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.encoding import encode
from perennial.errors import RequestError
from perennial.ports import OnlineStore
from perennial.serving.engine import Engine
from perennial.serving.payload import parse_instances, read_columns
from perennial.serving.predictor import Predictor
from perennial.serving.request_view import connect, matches
from perennial.serving.served import served_of
from perennial.steps.signature import signature
from tests.support.artifacts import a_manifest
from tests.support.tables import ONLINE, create_tables

ROWS = Dataset.model_validate(
    {
        "name": "rows",
        "format": "jsonl",
        "event_time": "t",
        "columns": {
            "n": {"type": "integer"},
            "i": {"type": "integer", "nullable": True, "optional": True},
            "x": {"type": "double", "nullable": True, "optional": True},
            "price": {"type": "decimal", "precision": 18, "scale": 2, "nullable": True, "optional": True, "max": 1e15},
            "s": {"type": "string", "nullable": True, "optional": True, "max_length": 12, "pattern": r"[^!]*"},
            "c": {"type": "categorical", "allowed": ["A", "B"], "open": True, "nullable": True, "optional": True},
            "b": {"type": "boolean", "nullable": True, "optional": True},
            "t": {"type": "timestamp"},
            "z": {
                "type": "timestamptz",
                "zone": "Europe/Berlin",
                "ambiguous": "earlier",
                "nullable": True,
                "optional": True,
            },
            "d": {"type": "date", "nullable": True, "optional": True, "min": "1900-01-01"},
        },
    }
)
CONTEXT = FeatureView(
    name="context",
    kind="request",
    dataset="rows",
    sql="""SELECT i / 3 AS third, price / 7 AS seventh, i % 7 AS rest,
    x * 0.9 AS scaled, -x AS turned, ln(abs(x) + 1) AS logarithm,
    sin(x) AS wave,
    CAST(x / 1e300 AS FLOAT) AS single, price * 2 AS twice, length(s) AS letters, strlen(s) AS bytes, s = 'é' AS accent,
    lower(s) = s AS small, ascii(c) AS code, c IN ('A', '☃') AS known, b AS flag, coalesce(b::INT, -1) AS filled,
    hour(t) AS hour, epoch_us(t) % 1000003 AS micros, epoch(z) AS seconds, hour(z) AS utc_hour, isodow(z) AS weekday,
    date_diff('day', d, t::DATE) AS days, dayofyear(d) AS day, i::DOUBLE / (abs(x) + 1) AS ratio,
    CASE WHEN x > 0 OR s IS NULL THEN i END AS chosen,
    s AS word, c AS letter, upper(s) || coalesce(c, '-') AS shout, CAST(z AS VARCHAR) AS moment,
    CAST(d AS VARCHAR) AS day_text,
    b AS agrees, i AS number, i % 3 = 0 AS thrice, price AS amount, x AS real, CAST(x / 1e300 AS FLOAT) AS coarse,
    i::HUGEINT * 2 AS huge
FROM "rows" -- a comment""",
)
STATS = FeatureView.model_validate(
    {
        "name": "stats",
        "kind": "stored",
        "dataset": "rows",
        "entity": ["c", "price", "z"],
        "feature_time": "known_at",
        "ttl": "400 days",
        "sql": """SELECT c, price, z, t + INTERVAL 1 MICROSECOND AS known_at, max(x) AS most, sum(i) AS total,
    sum(price) AS turnover, bool_or(b) AS flag, max(CAST(x / 1e300 AS FLOAT)) AS single,
    min(i) AS least, avg(price) AS mean,
    sum(price) / 3 AS third, max(s) AS word, string_agg(DISTINCT c, '☃' ORDER BY c) AS letters, bool_or(b) AS agrees,
    min(i) AS number, max(price) AS amount, sum(price) AS amounts, max(x) AS real,
    max(CAST(x / 1e300 AS FLOAT)) AS coarse, sum(i) AS huge
FROM rows WHERE c IS NOT NULL AND price IS NOT NULL AND z IS NOT NULL GROUP BY ALL""",
    }
)
BY_NUMBER = FeatureView.model_validate(
    {
        "name": "by_number",
        "kind": "stored",
        "dataset": "rows",
        "entity": ["x", "s"],
        "feature_time": "known_at",
        "sql": """SELECT x, s, max(t) AS known_at, count(*) AS rows, sum(i::HUGEINT * i) AS squares FROM rows
WHERE x IS NOT NULL AND s IS NOT NULL GROUP BY ALL""",
    }
)
FEATURES = {
    "context": re.findall(r"AS (\w+)(?=,|\nFROM)", CONTEXT.sql),
    "stats": re.findall(r"AS (\w+)(?=,|\nFROM)", STATS.sql)[1:],
    "by_number": ["rows", "squares"],
}
# Text is categorical by itself; these are numbers and booleans of which each value is a category.
TOLD = {"context": ["agrees", "number", "thrice", "amount", "real", "coarse", "huge"]}
TOLD["stats"] = ["agrees", "number", "amount", "amounts", "real", "coarse", "huge"]
MODEL = Model.model_validate(
    {
        "name": "model",
        "dataset": "rows",
        "target": "n",
        "features": FEATURES,
        "preprocessing": {f"{view}.{column}": "categorical" for view, columns in TOLD.items() for column in columns},
        "split": {"holdout": "1 day"},
        "candidates": [{"name": "ridge", "algorithm": "ridge"}],
    }
)
DEFINITIONS = Definitions(
    {"rows": ROWS}, {"context": CONTEXT, "stats": STATS, "by_number": BY_NUMBER}, {"model": MODEL}
)

# Text that stands in the JSON as it is. Few values, so that rows of a request meet what is known of earlier ones.
NUMBERS = ["0", "-0.0", "0.0", "5e-324", "1.7976931348623157e308", "0.1", "0.30000000000000004", "-1e-310", "3"]
PRICES = ["0", "-0.00", "1.5", '"1.50"', '"+1.5"', "9999999999999.99", '"-0.01"', "0.07", "1234567890123.45"]
WHOLES = ["0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808", "3.0", "7", "1e3"]
TEXTS = ["", "é", "e\u0301", "a#b", "%", "☃ \"'", "A", "ﬁ", " pad ", "😀" * 12, "İ"]
ZONED = [
    "2019-03-31T01:59:59.999999",  # the last local moment before summer time
    "2019-03-31T03:00:00",
    "2019-03-31T02:30:00+01:00",
    "2019-10-27T02:30:00",  # comes twice; the earlier is taken
    "2019-10-27T00:30:00Z",
    "2019-10-27T02:30:00+01:00",
    "1969-12-31 23:59:59.999999",
    "0001-01-03T00:00:00Z",
]
ZONED_JSON = [json.dumps(text) for text in ZONED]
BAD = [
    '"\\u0000x"',
    '"x"',
    "true",
    '"2019-03-31T02:30:00"',
    "1e400",
    "1.005",
    '"!"',
    '"1899-12-31"',
    '"２０１９-01-01"',
    "1e99",
]


def texts(values: Sequence[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([json.dumps(value) for value in values])


def moments(earliest: datetime, latest: datetime) -> st.SearchStrategy[str]:
    plain = st.datetimes(earliest, latest)
    return plain.map(lambda at: json.dumps(at.isoformat())) | plain.map(lambda at: json.dumps(f"{at}Z"))


def rows(earliest: datetime, latest: datetime) -> st.SearchStrategy[dict[str, str]]:
    """Rows as columns to JSON texts; event times lie between two moments."""
    floats = st.floats(allow_nan=False, allow_infinity=False).map(repr)
    dates = st.dates(datetime(1900, 1, 1).date(), datetime(2100, 1, 1).date()).map(lambda day: json.dumps(str(day)))
    return st.fixed_dictionaries(
        {"t": moments(earliest, latest)},
        optional={
            "i": st.sampled_from(WHOLES) | st.integers(-(2**63), 2**63 - 1).map(str),
            "x": st.sampled_from(NUMBERS) | floats,
            "price": st.sampled_from(PRICES),
            "s": texts(TEXTS),
            "c": texts(["A", "B", "☃", "a", "A "]),
            "b": st.sampled_from(["true", "false", "null"]),
            "z": texts(ZONED),
            "d": dates,
        },
    )


EARLIER = rows(datetime(2018, 1, 1), datetime(2018, 12, 31))
LATER = rows(datetime(2019, 1, 2), datetime(2020, 1, 1))


def as_json(row: Mapping[str, str], number: int) -> str:
    return "{" + ", ".join(f'"{name}": {text}' for name, text in {"n": str(number), **row}.items()) + "}"


def offline(lines: Sequence[str], later: int, stored: Mapping[str, Path], folder: Path) -> dict[int, dict[str, Any]]:
    """Return the features of the rows from number ``later`` on, as a training set has them."""
    part = ingest(lines, folder)
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    # The first and the last row are there to have something before and after the split.
    period = Period(None, datetime(2030, 1, 1), datetime(2030, 1, 1))
    write_training_set(
        MODEL, DEFINITIONS, [part], {name: [path] for name, path in stored.items()}, period, train, holdout
    )
    chosen = ", ".join(f'"{name}"' for name in feature_columns(MODEL))
    query = f"SELECT target, {chosen} FROM '{train}' WHERE target >= {later}"
    return {
        int(row[0]): dict(zip(feature_columns(MODEL), row[1:], strict=True)) for row in duckdb.sql(query).fetchall()
    }


def learnt(rows: Mapping[int, Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return categories that hold all texts of the rows but the first, so that one value is unseen."""
    texts = {name: {row[name] for row in rows.values()} - {None} for name in categorical_features(MODEL, DEFINITIONS)}
    return {name: tuple(sorted(values)[1:]) if len(values) > 1 else tuple(values) for name, values in texts.items()}


def as_learnt(row: Mapping[str, Any], categories: Mapping[str, Sequence[str]]) -> np.ndarray[Any, Any]:
    """Return the features of a training row as a model reads them."""
    coded = {name: encode([row[name]], known)[0] for name, known in categories.items()}
    return np.array([*{**row, **coded}.values()], dtype=np.float64)


def ingest(lines: Sequence[str], folder: Path) -> Path:
    """Validate rows as an upload, which must take all of them; return the Parquet of them."""
    source, work = folder / f"{uuid4().hex}.jsonl", folder / uuid4().hex
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    work.mkdir()
    found = validate(source, ROWS, work, work / "quarantine.jsonl", name=source.name)
    assert found.rows_rejected == 0, (work / "quarantine.jsonl").read_text()
    (part,) = found.parts
    return part.path


def materialise(view: FeatureView, part: Path, folder: Path, store: OnlineStore, version: str) -> Path:
    """Compute a stored view over a part, write each entity's latest row online, return the table."""
    path = folder / f"{view.name}.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        create_table(connection, DatasetTable(ROWS, [part]))
        connection.execute(f"COPY ({view.sql}) TO '{path}' (FORMAT parquet)")
    with online_changes(view, [path], [[path]], [()], folder) as changes:
        store.write(view.name, version, changes.rows(), 1)
    return path


def online(
    lines: Sequence[str], store: OnlineStore, versions: Mapping[str, str], categories: Mapping[str, Sequence[str]]
) -> np.ndarray[Any, Any]:
    """Return the features of rows that come as a request."""
    sources = signature(DEFINITIONS, "model")
    stored = tuple(view.model_copy(update={"version": versions[view.name]}) for view in sources.stored)
    manifest = a_manifest(
        features=feature_columns(MODEL),
        categories=categories,
        request=sources.request,
        stored=stored,
        inputs=sources.inputs,
        ignored=sources.ignored,
        event_time=sources.event_time,
    )
    scorer: Any = SimpleNamespace(score=lambda rows: [0.0] * len(rows))
    served = served_of(manifest.model_dump(mode="json"))
    instances = parse_instances(f'{{"instances": [{", ".join(lines)}]}}')
    now = datetime.fromisoformat("2031-01-01T00:00:00Z")
    return np.array(Predictor(served, scorer, Engine()).predict(instances, store.read_many, now).features)


@pytest.fixture
def store() -> Iterator[OnlineStore]:
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client)
        yield DynamoOnlineStore(client, ONLINE)


FIRST, LAST = {"t": '"1990-01-01"'}, {"t": '"2035-01-01"'}
MEETING = {
    "c": '"A"',
    "price": "1.5",
    "z": json.dumps(ZONED[4]),
    "x": "-0.0",
    "s": '"é"',
    "i": "9007199254740993",
    "b": "true",
}


@given(st.lists(EARLIER, max_size=12), st.lists(LATER, min_size=1, max_size=12))
@example(
    [{**MEETING, "t": '"2018-06-01"'}],
    [{**MEETING, "t": '"2019-06-01"', "x": "0.0", "price": '"1.50"', "z": json.dumps(ZONED[3])}],
)
@settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_features_of_training_rows_and_of_requests_are_equal_bit_for_bit(
    store: OnlineStore, earlier: list[dict[str, str]], later: list[dict[str, str]]
) -> None:
    known = [as_json(row, number) for number, row in enumerate([FIRST, *earlier])]
    asked = [as_json(row, number) for number, row in enumerate(later, start=len(known))]
    versions = {view.name: uuid4().hex for view in (STATS, BY_NUMBER)}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        part = ingest(known, folder)
        tables = {view.name: materialise(view, part, folder, store, versions[view.name]) for view in (STATS, BY_NUMBER)}
        expected = offline([*known, *asked, as_json(LAST, 10**6)], len(known), tables, folder)

    categories = learnt(expected)
    found = online(asked, store, versions, categories)

    for number, row in enumerate(found, start=len(known)):
        offline_row = as_learnt(expected[number], categories)
        names = [
            (name, offline_value, online_value)
            for name, offline_value, online_value in zip(feature_columns(MODEL), offline_row, row, strict=True)
            if offline_value.tobytes() != online_value.tobytes()
            and not (np.isnan(offline_value) and np.isnan(online_value))
        ]
        assert names == [], asked[number - len(known)]


TICK = timedelta(microseconds=1)


@given(
    first=st.datetimes(datetime(2017, 1, 1), datetime(2018, 6, 1)),
    apart=st.sampled_from([TICK, timedelta(days=1), timedelta(days=400), timedelta(days=401)]),
    values=st.lists(st.sampled_from(WHOLES), min_size=2, max_size=2),
)
@settings(
    max_examples=6, deadline=None, phases=(Phase.generate,), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_request_from_before_the_latest_value_gets_the_one_before_it_as_a_training_row_does(
    store: OnlineStore, first: datetime, apart: timedelta, values: list[str]
) -> None:
    second = first + apart
    times = [first, second]
    known = [
        as_json({**MEETING, "t": json.dumps(str(at)), "i": value, "x": x}, number)
        for number, (at, value, x) in enumerate(zip(times, values, ["0.1", "-0.0"], strict=True))
    ]
    # Each value is known a microsecond after its row, and for 400 days.
    moments = sorted(
        {
            at + TICK + more
            for at in times
            for more in (-TICK, TICK * 0, TICK, timedelta(days=400), timedelta(days=400) + TICK)
        }
        | {first + apart / 2}
    )
    asked = [as_json({**MEETING, "t": json.dumps(str(at))}, number) for number, at in enumerate(moments, start=2)]
    version = uuid4().hex
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        part = ingest([as_json(FIRST, 10**6), *known], folder)
        versions = {"stats": version, "by_number": version}
        tables = {view.name: materialise(view, part, folder, store, version) for view in (STATS, BY_NUMBER)}
        expected = offline([as_json(FIRST, 0), *asked, as_json(LAST, 10**6)], 2, tables, folder)

    categories = learnt(expected)
    found = online(asked, store, versions, categories)

    place = feature_columns(MODEL).index("stats__total")
    seen = [None if np.isnan(row[place]) else float(row[place]) for row in found]
    assert float(values[0]) in seen
    assert seen[0] is None
    for number, row in enumerate(found, start=2):
        trained = as_learnt(expected[number], categories)
        assert np.array_equal(row, trained, equal_nan=True), moments[number - 2]
        assert np.array_equal(np.signbit(row), np.signbit(trained)), moments[number - 2]


def test_the_example_meets_what_is_known_so_that_the_test_can_fail(store: OnlineStore) -> None:
    versions = {view.name: uuid4().hex for view in (STATS, BY_NUMBER)}
    with TemporaryDirectory() as temporary:
        part = ingest([as_json({**MEETING, "t": '"2018-06-01"'}, 0)], Path(temporary))
        for view in (STATS, BY_NUMBER):
            materialise(view, part, Path(temporary), store, versions[view.name])
    lines = [as_json({**MEETING, "t": '"2019-06-01"', "x": "0.0"}, 1), as_json({**MEETING, "t": '"2019-07-07"'}, 2)]
    categories = {
        "stats__word": ("e", "é"),
        "stats__agrees": ("false", "true"),
        "stats__number": ("9007199254740993",),
        "stats__huge": ("9007199254740992.0",),
        "stats__amount": ("1.50", "1.5"),
        "stats__real": ("-0.0", "0.0"),
        "context__word": ("é",),
        "context__amount": ("1.5",),
        "context__number": ("9007199254740993",),
        "context__real": ("-0.0", "0.0"),
        "context__agrees": ("true",),
    }
    absent = {name: () for name in categorical_features(MODEL, DEFINITIONS) if name not in categories}
    fresh, stale = online(lines, store, versions, {**categories, **absent})
    names = feature_columns(MODEL)
    codes = {name: fresh[names.index(name)] for name in categories}
    assert codes == {
        "stats__word": 1,
        "stats__agrees": 1,
        "stats__number": 0,
        "stats__huge": 0,
        "stats__amount": 1,
        "stats__real": 1,
        "context__word": 0,
        "context__amount": 0,
        "context__number": 0,
        "context__real": 1,
        "context__agrees": 0,
    }
    assert fresh[names.index("stats__turnover")] == 1.5
    assert fresh[names.index("by_number__squares")] == float(9007199254740993**2)
    assert np.isnan(stale[names.index("stats__turnover")])  # 401 days later, beyond its ttl


def test_what_ingesting_takes_and_what_a_request_takes_is_the_same(tmp_path: Path) -> None:
    cases = [
        (column, text) for column in ROWS.columns if column != "n" for text in (*BAD, *NUMBERS, *PRICES, *ZONED_JSON)
    ]
    lines = [as_json({"t": '"2019-01-01"', column: text}, number) for number, (column, text) in enumerate(cases)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    validate(tmp_path / "rows.jsonl", ROWS, tmp_path, tmp_path / "quarantine", name="rows.jsonl")
    rejected = {json.loads(line)["line"] - 1 for line in (tmp_path / "quarantine").read_text().splitlines()}
    engine = partial(matches, connect())

    differ = []
    for number, (line, case) in enumerate(zip(lines, cases, strict=True)):
        instances = parse_instances(f'{{"instances": [{line}]}}')
        try:
            read_columns(instances, ROWS.columns, matches=engine)
        except RequestError as error:
            differ += [] if number in rejected else [(case, str(error))]
        else:
            differ += [(case, "taken")] if number in rejected else []
    assert differ == []

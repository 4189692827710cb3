"""Wrong definitions are found before anything is deployed."""

from __future__ import annotations

from typing import Any

import pytest

from perennial.data.check import check_definitions
from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Rule, Split
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError

COLUMNS = {
    "began": Column(type="timestamp"),
    "zone": Column(type="integer"),
    "miles": Column(type="double"),
    "flag": Column(type="string", nullable=True),
}
STORED_SQL = "SELECT zone, max(began) AS known_at, avg(miles) AS mean FROM rides GROUP BY zone"


def dataset(**changes: Any) -> Dataset:
    return Dataset(**{"name": "rides", "event_time": "began", "columns": COLUMNS, **changes})


def request(sql: str) -> FeatureView:
    return FeatureView(name="now", kind="request", dataset="rides", sql=sql)


def stored(sql: str = STORED_SQL, **changes: Any) -> FeatureView:
    fields = {"name": "past", "kind": "stored", "dataset": "rides", "entity": ("zone",), "feature_time": "known_at"}
    return FeatureView(**{**fields, "sql": sql, **changes})


def model(**changes: Any) -> Model:
    fields: dict[str, Any] = {
        "name": "fare",
        "dataset": "rides",
        "target": "miles",
        "features": {"now": ("distance",)},
        "split": Split(holdout="1 day"),
        "candidates": (Candidate(name="ridge", algorithm="ridge"),),
    }
    return Model(**{**fields, **changes})


def definitions(*parts: Dataset | FeatureView | Model) -> Definitions:
    def of(kind: type[Any]) -> dict[str, Any]:
        return {part.name: part for part in parts if isinstance(part, kind)}

    return Definitions(of(Dataset) or {"rides": dataset()}, of(FeatureView), of(Model))


def refusal(*parts: Dataset | FeatureView | Model) -> str:
    with pytest.raises(DefinitionError) as error:
        check_definitions(definitions(*parts))
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_shipped_definitions_are_well(definitions: Definitions) -> None:
    check_definitions(definitions)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT miles FROM rides",
        "FROM rides",
        "SELECT r.miles * 2 AS m, CASE WHEN zone > 5 THEN 1 ELSE 0 END AS z FROM rides r",
        "SELECT greatest(miles, 1) AS m, coalesce(flag, 'x') = 'x' AS f, hour(began) AS h FROM Rides",
    ],
)
def test_a_view_that_goes_row_by_row_is_well(sql: str) -> None:
    check_definitions(definitions(request(sql)))


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT avg(miles) AS m FROM rides", "without the aggregate avg"),
        ("SELECT COUNT(*) AS m FROM rides", "without the aggregate count_star"),
        ("SELECT sum(miles) OVER () AS m FROM rides", "without the window function sum"),
        ("SELECT miles FROM rides GROUP BY ALL", "without GROUP BY ALL"),
        ("SELECT zone FROM rides GROUP BY zone", "without GROUP BY"),
        ("SELECT DISTINCT zone FROM rides", "without DISTINCT"),
        ("SELECT zone FROM rides ORDER BY zone", "without ORDER BY"),
        ("SELECT zone FROM rides LIMIT 5", "without LIMIT"),
        ("SELECT zone FROM rides WHERE zone > 5", "without WHERE"),
        ("SELECT zone FROM rides QUALIFY true", "without QUALIFY"),
        ("SELECT zone FROM rides TABLESAMPLE 10%", "anything in FROM but that table"),
        ("SELECT zone FROM rides USING SAMPLE 10%", "without SAMPLE"),
        ("SELECT a.zone FROM rides a JOIN rides b ON a.zone = b.zone", "without JOIN"),
        ("SELECT a.zone FROM rides a, rides b", "without JOIN"),
        ("SELECT zone FROM (SELECT * FROM rides)", "anything in FROM but that table"),
        ("WITH r AS (SELECT * FROM rides) SELECT zone FROM r", "without WITH"),
        ("SELECT zone FROM rides UNION ALL SELECT zone FROM rides", "without UNION"),
        ("SELECT (SELECT max(zone) FROM rides) AS z FROM rides", "without a subquery"),
        ("SELECT unnest([1, 2]) AS z FROM rides", "without unnest"),
        ("SELECT 1 AS one", "anything in FROM but that table"),
    ],
)
def test_a_request_view_that_looks_at_other_rows_is_refused(sql: str, says: str) -> None:
    message = refusal(request(sql))
    assert message.startswith("features/now.sql: must go row by row over rides")
    assert says in message


@pytest.mark.parametrize("sql", ["random()", "now()", "current_date", "current_timestamp", "uuid()", "today()"])
def test_a_view_that_gives_another_value_each_time_is_refused(sql: str) -> None:
    assert "gives another value each time" in refusal(request(f"SELECT {sql} AS x FROM rides"))
    assert "gives another value each time" in refusal(stored(f"SELECT zone, began AS known_at, {sql} AS x FROM rides"))


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT mile FROM rides", "dataset rides has no column 'mile'; the nearest are miles"),
        ("SELECT r.zon FROM rides r", "dataset rides has no column 'zon'; the nearest are zone"),
        ("SELECT xyzzy FROM rides", "dataset rides has no column 'xyzzy'; there is began, zone, miles, flag"),
        ("SELECT miles + flag AS m FROM rides", "features/now.sql: "),
        ("SELECT nope(miles) AS m FROM rides", "nope does not exist"),
        ("SELECT miles, zone AS miles FROM rides", "gives two columns named 'miles'"),
        ("SELEC miles FROM rides", "is not SQL: syntax error"),
        ("SELECT miles FROM rides; SELECT 1", "must be one SELECT, not 2 statements"),
        ("DELETE FROM rides", "must be one SELECT"),
        ("COPY rides TO 'x.csv'", "must be one SELECT"),
    ],
)
def test_sql_that_does_not_fit_the_dataset_is_refused_with_what_is_known(sql: str, says: str) -> None:
    message = refusal(request(sql))
    assert message.startswith("features/now.sql: ")
    assert says in message


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        (
            "SELECT zone, began AS known_at, miles FROM ride",
            "there is no table ride; the SELECT may read the table rides",
        ),
        ("SELECT zone, began AS known_at FROM read_csv('/etc/hostname'), rides", "reads a file"),
        ("SELECT zone, began AS known_at FROM '/etc/hostname', rides", "the SELECT may read the table rides only"),
        ("SELECT began AS known_at, miles FROM rides", "entity: the SELECT gives no column 'zone'"),
        ("SELECT zone, began, miles FROM rides", "feature_time: the SELECT gives no column 'known_at'"),
        ("SELECT zone, 5 AS known_at FROM rides", "feature_time: known_at is INTEGER; CAST it AS TIMESTAMP"),
        ("SELECT flag AS zone, began AS known_at FROM rides", "zone is VARCHAR in the view, but BIGINT in the dataset"),
    ],
)
def test_a_stored_view_says_whose_its_values_are_and_when_they_were_known(sql: str, says: str) -> None:
    assert says in refusal(stored(sql))


def test_an_entity_must_be_a_column_of_the_dataset_too() -> None:
    view = stored("SELECT zone AS place, began AS known_at FROM rides", entity=("place",))
    assert "datasets/rides.toml has no column 'place'" in refusal(view)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"target": "mils"}, "models/fare.toml: target: dataset rides has no column 'mils'; the nearest are miles"),
        ({"target": "flag"}, "target: must be a number, but gives VARCHAR"),
        ({"target": "avg(miles)"}, "target: must go row by row"),
        ({"target": "miles, zone"}, "target: must be a number"),
        ({"target": "miles) , (zone"}, "target: must be one expression"),
        ({"target": "miles -"}, "target: is not SQL: syntax error"),
        ({"filter": "miles"}, "filter: must be a condition, but gives DOUBLE"),
        ({"filter": "random() < 0.5"}, "filter: random gives another value each time"),
        ({"features": {"now": ("distanc",)}}, "features/now.sql gives no column 'distanc'; the nearest are distance"),
        ({"features": {"now": ("day",)}}, "day is DATE, but features are numbers, booleans or texts"),
        ({"features": {"now": ("distance", "distance")}}, "lists a column twice"),
        ({"features": {"now": ()}}, "lists no column"),
    ],
)
def test_a_model_that_does_not_fit_its_dataset_or_views_is_refused(changes: dict[str, Any], says: str) -> None:
    view = request("SELECT miles AS distance, flag AS text, zone > 5 AS far, began::DATE AS day FROM rides")
    check_definitions(definitions(view, model(features={"now": ("distance", "far", "text")})))
    assert says in refusal(view, model(**changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rules": (Rule(name="r", check="mils > 1"),)}, "rules: r: dataset rides has no column 'mils'"),
        ({"rules": (Rule(name="r", check="miles"),)}, "rules: r: must be a condition"),
        ({"rules": (Rule(name="r", check="miles > avg(miles)"),)}, "rules: r: must go row by row"),
        ({"columns": {**COLUMNS, "Zone": Column(type="integer")}}, "'zone' stands twice"),
        ({"columns": {**COLUMNS, "rowid": Column(type="integer")}}, "'rowid' is a name that SQL cannot use"),
        ({"columns": {**COLUMNS, "n": Column(type="integer", allowed=("x",))}}, "'x' is not of type integer"),
        ({"columns": {**COLUMNS, "n": Column(type="integer", allowed=(1.5,))}}, "1.5 is not of type integer"),
        (
            {"columns": {**COLUMNS, "n": Column(type="decimal", precision=4, scale=1, allowed=(0.25,))}},
            "columns.n.allowed: 0.25 is not of type decimal",
        ),
        ({"columns": {**COLUMNS, "n": Column(type="string", pattern="a(?=b)")}}, "is no regular expression of RE2"),
        (
            {"columns": {**COLUMNS, "n": Column(type="timestamptz", zone="Europe/Berlim")}},
            "columns.n.zone: the engine knows no time zone 'Europe/Berlim'; the nearest are Europe/Berlin",
        ),
        ({"columns": {**COLUMNS, "n": Column(type="timestamptz", format="%d.%m.%Y")}}, "so the column needs a zone"),
        ({"columns": {**COLUMNS, "d": Column(type="date", format="%Q")}}, "columns.d.format: "),
        ({"delimiter": '"'}, "delimiter"),
    ],
)
def test_a_contract_that_the_engine_cannot_keep_is_refused(changes: dict[str, Any], says: str) -> None:
    message = refusal(dataset(**changes))
    assert message.startswith("datasets/rides.toml: ")
    assert says in message


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT zone, began AS known_at, any_value(miles) AS x FROM rides GROUP BY ALL", "any_value(… ORDER BY …)"),
        ("SELECT zone, began AS known_at, arg_max(miles, flag) AS x FROM rides GROUP BY ALL", "arg_max depends on the"),
        ("SELECT zone, began AS known_at, len(list(miles)) AS x FROM rides GROUP BY ALL", "list depends on the order"),
        (
            "SELECT zone, began AS known_at, lag(miles) OVER (PARTITION BY zone) AS x FROM rides",
            "lag depends on the order of rows; add ORDER BY within its OVER",
        ),
        ("SELECT zone, began AS known_at FROM rides LIMIT 5", "LIMIT without ORDER BY"),
        ("SELECT zone, began AS known_at FROM rides USING SAMPLE 5", "a sample is of other rows each time"),
        ("SELECT DISTINCT ON (zone) zone, began AS known_at FROM rides", "DISTINCT ON without ORDER BY"),
        ("SELECT zone, began AS known_at FROM query('FROM rides')", "reads query()"),
        ("SELECT zone, began AS known_at, rowid AS x FROM rides", "rowid is a matter of how rows are kept"),
        ("SELECT zone, began AS known_at, extract(year FROM age(began)) AS x FROM rides", "age gives another value"),
        ("SELECT zone, ago(INTERVAL 1 DAY) AS known_at FROM rides", "ago gives another value each time"),
    ],
)
def test_a_stored_view_whose_values_are_a_matter_of_chance_is_refused(sql: str, says: str) -> None:
    message = refusal(stored(sql))
    assert message.startswith("features/past.sql: ")
    assert says in message


def test_a_stored_view_that_says_what_order_it_means_passes() -> None:
    sql = (
        "SELECT zone, began AS known_at, arg_max(miles, flag ORDER BY miles) AS a, "
        "len(list(miles ORDER BY miles)) AS l, age(began, TIMESTAMP '2019-01-01') AS d FROM rides GROUP BY ALL"
    )
    check_definitions(definitions(stored(sql)))


def test_an_aggregate_that_the_engine_spells_out_is_one() -> None:
    assert "must go row by row over rides, without the aggregate geomean" in refusal(
        request("SELECT geomean(miles) AS m FROM rides")
    )


VIEW = request("SELECT miles AS distance, flag AS text, zone > 5 AS far, zone AS place FROM rides")


def classes(task: str = "binary", **changes: Any) -> Model:
    trees = Candidate(name="trees", algorithm="hist_gradient_boosting")
    return model(**{"task": task, "target": "zone > 5", "candidates": (trees,), **changes})


@pytest.mark.parametrize(
    "well",
    [
        classes(),
        classes("multiclass", target="flag"),
        model(features={"now": ("text", "distance")}, preprocessing={"now.text": "categorical"}),
        classes(
            features={"now": ("far", "place")}, preprocessing={"now.far": "categorical", "now.place": "categorical"}
        ),
        classes(slices={"far": "zone > 5", "flag": "flag"}),
    ],
)
def test_conditions_classes_texts_and_slices_are_well(well: Model) -> None:
    check_definitions(definitions(VIEW, well))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (model(target="zone > 5"), 'target: must be a number, but gives BOOLEAN; write task = "binary"'),
        (
            classes(target="zone"),
            "target: must be a condition, as the task is binary, but gives BIGINT; write `zone = 1`",
        ),
        (classes(target="zone + 1"), "write `(zone + 1) = 1`"),
        (classes(target="flag"), "but gives VARCHAR; compare it with something"),
        (
            classes("multiclass", target="zone"),
            "must be a text, as the task is multiclass, but gives BIGINT; write `CAST(",
        ),
        (
            model(features={"now": ("text",)}, preprocessing={"now.text": "number"}),
            "now.text is text, which is categorical and no number; CAST it AS DOUBLE in features/now.sql",
        ),
        (
            classes(slices={"far": "zone"}),
            "models/fare.toml: slices.far: must be a condition or a text, but gives BIGINT",
        ),
        (classes(slices={"far": "max(flag)"}), "slices.far: must go row by row"),
        (classes(slices={"far": "flags"}), "slices.far: dataset rides has no column 'flags'; the nearest are flag"),
    ],
)
def test_a_target_a_feature_or_a_slice_that_is_something_else_is_refused(wrong: Model, says: str) -> None:
    assert says in refusal(VIEW, wrong)

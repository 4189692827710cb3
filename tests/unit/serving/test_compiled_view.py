"""A compiled view serves as its SQL does: the same features, the same words about a row that it cannot use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from perennial.data.views.compiled import compile_view
from perennial.errors import DataError, RequestError
from perennial.manifest import Manifest
from tests.support.artifacts import INPUTS, PLAN_SQL, PRICE_GRAPH, SQL, a_classifier, a_manifest, a_trip, predictor_of

NOW = datetime(2019, 3, 1, 12, tzinfo=UTC)


def compiled(manifest: Manifest, categorical: set[str] = frozenset()) -> Manifest:  # type: ignore[assignment]
    view = manifest.request
    assert view is not None
    columns = {column: column in categorical for column in view.columns}
    made = compile_view(view.name, view.sql, view.table, manifest.inputs, columns)
    assert made.program is not None, made.reason
    return manifest.model_copy(update={"request": view.model_copy(update={"program": made.program})})


def nothing(lookups: Any) -> Any:
    return [{} for _ in lookups]


def test_program_and_sql_give_the_same_rows() -> None:
    manifest = a_manifest()
    rows = [a_trip(), a_trip(passenger_count=None, trip_distance=0.3, pickup_datetime="2019-03-01T23:59:59")]
    by_sql, by_program = (predictor_of(each).predict(rows, nothing, NOW) for each in (manifest, compiled(manifest)))
    assert repr(by_program) == repr(by_sql)


def test_texts_of_a_program_are_places_of_categories() -> None:
    manifest = a_classifier("multiclass", PRICE_GRAPH)
    rows = [{"plan": "basic", "calls": 1}, {"plan": "Plus", "calls": 2}, {"plan": "gold", "calls": 3}, {"calls": 4}]
    program = compiled(manifest, {"plan"})
    by_sql, by_program = (predictor_of(each, PRICE_GRAPH).predict(rows, nothing, NOW) for each in (manifest, program))
    assert "upper" in PLAN_SQL
    assert [row[0] for row in by_program.features[:2]] == [0.0, 1.0]
    assert repr(by_program) == repr(by_sql)


def test_a_row_that_the_sql_would_fail_on_is_named_where_it_stood() -> None:
    sql = SQL.replace(
        "trip_distance AS distance", "CAST(pickup_location_id * 9000000000000000000 AS DOUBLE) AS distance"
    )
    view = a_manifest().request
    assert view is not None
    predictor = predictor_of(compiled(a_manifest(request=view.model_copy(update={"sql": sql}))))
    rows = [a_trip(pickup_location_id=1), a_trip(pickup_location_id=2)]
    with pytest.raises(RequestError) as caught:
        predictor.predict(rows, nothing, NOW, lambda number, _: f"rows/{number}")
    assert caught.value.field == "rows/1"
    assert str(caught.value).startswith("rows/1 cannot be used")


def test_a_program_of_other_columns_is_refused() -> None:
    manifest = compiled(a_manifest())
    view = manifest.request
    assert view is not None
    turned = view.model_copy(update={"columns": tuple(reversed(view.columns))})
    with pytest.raises(DataError, match=r"request\.program: computes distance, hour, passengers"):
        predictor_of(manifest.model_copy(update={"request": turned}))
    assert set(INPUTS) >= {"trip_distance"}

"""A program serves only if it gave what the SQL gives, on rows that nothing was learnt from."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError, RequestError
from perennial.records import CompiledView
from perennial.serving.program import Program
from perennial.steps.view_program import compiled_request_view

START = datetime(2019, 1, 1)
SPLIT = START + timedelta(hours=10)
RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "kind": Column(type="string", nullable=True),
        "paid": Column(type="decimal", precision=8, scale=2),
    },
)
SQL = "SELECT paid * 2 AS twice, upper(kind) AS kind, hour(began) AS hour FROM rides"


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    """Forty rides, one an hour."""
    path = tmp_path / "rides.parquet"
    began = f"TIMESTAMP '{START}' + to_hours(i::INTEGER) AS began"
    rides = f"{began}, if(i % 3 = 0, NULL, 'taxi') AS kind, (i / 4)::DECIMAL(8,2) AS paid"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (SELECT {rides} FROM range(40) AS r(i)) TO '{path}' (FORMAT parquet)")
    return [path]


def compiled(parts: list[Path], sql: str = SQL, features: tuple[str, ...] = ("twice", "kind", "hour")) -> Any:
    view = FeatureView(name="ride", kind="request", dataset="rides", sql=sql)
    model = Model(
        name="fare",
        dataset="rides",
        target="paid",
        features={"ride": features},
        split=Split(holdout="1 day"),
        candidates=(Candidate(name="ridge", algorithm="ridge"),),
    )
    definitions = Definitions({"rides": RIDES}, {"ride": view}, {})
    return compiled_request_view(model, definitions, parts, SPLIT, {"ride__kind"}, parts[0].parent)


def test_a_view_is_compiled_and_tried_on_the_held_out_rows(parts: list[Path]) -> None:
    found = compiled(parts)
    assert isinstance(found, CompiledView)
    assert (found.reason, found.rows) == ("", 30)
    ride = {"began": START + timedelta(hours=5), "kind": "taxi", "paid": Decimal("1.25")}
    assert Program.read(found.program).run(ride) == [2.5, "TAXI", 5.0]


def test_a_value_that_differs_keeps_the_program_from_serving(
    parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Program.run

    def one_off(self: Program, row: Any) -> list[float | str | None]:
        twice, kind, hour = run(self, row)
        return [twice, kind, hour if row["began"].hour != 17 else hour + 2**-48]  # type: ignore[operator]

    monkeypatch.setattr(Program, "run", one_off)
    found = compiled(parts)
    assert found.program is None
    assert found.reason == "hour is 17.000000000000004 by the program and 17.0 by the SQL"


def test_a_text_that_differs_keeps_the_program_from_serving(parts: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = Program.run
    monkeypatch.setattr(Program, "run", lambda self, row: [run(self, row)[0], "taxi", run(self, row)[2]])
    assert compiled(parts).reason in (
        "kind is 'taxi' by the program and 'TAXI' by the SQL",
        "kind is 'taxi' by the program and None by the SQL",
    )


def test_a_program_that_refuses_what_the_sql_takes_does_not_serve(
    parts: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Program, row: Any) -> list[float | str | None]:
        raise RequestError("no", "instances[0]")

    monkeypatch.setattr(Program, "run", refuse)
    assert compiled(parts).reason == "the program refuses a row that the SQL takes: no"


def test_a_view_that_is_not_compiled_says_why(parts: list[Path]) -> None:
    found = compiled(parts, "SELECT regexp_matches(kind, 'a') AS twice FROM rides", ("twice",))
    assert (found.program, found.rows) == (None, 0)
    assert found.reason == "the function regexp_matches"


def test_a_view_that_fails_on_the_rows_is_a_fault_of_its_definition(parts: list[Path]) -> None:
    with pytest.raises(DefinitionError, match=r"features/ride\.sql: Out of Range Error"):
        compiled(parts, "SELECT ln(paid - 5) AS twice FROM rides", ("twice",))

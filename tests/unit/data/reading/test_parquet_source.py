"""Parquet: columns checked by type, values taken over without loss, stretches in order, bounds before memory."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.data.contract.column_sql import raw
from perennial.data.contract.validate import Validated, validate
from perennial.data.engine import connect
from perennial.data.reading.parquet_footer import MAX_RATIO
from perennial.data.reading.parquet_source import open_parquet
from perennial.definitions import Column, Dataset
from perennial.errors import DataError
from tests.support.dirty_files import rides

RIDES = rides(format="parquet")
COLUMNS = {"at": "TIMESTAMP '2019-01-01'", "zone": "i", "miles": "0.5::DOUBLE", "note": "'n' || i"}


def write(folder: Path, rows: int = 10, options: str = "", **changes: str | None) -> Path:
    columns = {name: sql for name, sql in {**COLUMNS, **changes}.items() if sql is not None}
    select = ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())
    path = folder / "upload"
    duckdb.execute(f"COPY (SELECT {select} FROM range({rows}) AS r(i)) TO '{path}' (FORMAT parquet{options})")
    return path


def validated(folder: Path, dataset: Dataset = RIDES, **options: Any) -> tuple[Validated, list[tuple[Any, ...]]]:
    found = validate(folder / "upload", dataset, folder, folder / "bad", name="f", **options)
    return found, [row for part in found.parts for row in duckdb.read_parquet(str(part.path)).fetchall()]


def one_column(column: Column) -> Dataset:
    return Dataset(
        name="d", format="parquet", event_time="at", columns={"at": Column(type="timestamp"), "value": column}
    )


@pytest.mark.parametrize("block", [1, 4000, 1 << 25])
def test_rows_keep_their_order_and_numbers_however_the_file_is_cut(tmp_path: Path, block: int) -> None:
    write(tmp_path, 3000 if block > 1 else 20, ", ROW_GROUP_SIZE 2048", zone="if(i % 7 = 3, NULL, i)")

    found, rows = validated(tmp_path, block=block)

    wanted = [i for i in range(found.rows_in) if i % 7 != 3]
    assert [row[1] for row in rows] == wanted
    bad = [json.loads(line) for line in (tmp_path / "bad").read_text().splitlines()]
    assert [row["line"] for row in bad] == [i + 1 for i in range(found.rows_in) if i % 7 == 3]
    assert bad[0]["rule"] == "absent"
    assert json.loads(bad[0]["raw"]) == {"at": "2019-01-01 00:00:00", "zone": None, "miles": "0.5", "note": "n3"}
    assert len(found.parts) > 1 or block > 4000


def test_values_that_would_not_survive_are_told_beside_those_that_break_rules(tmp_path: Path) -> None:
    write(tmp_path, 6, zone="CASE i WHEN 1 THEN 18446744073709551615 WHEN 4 THEN NULL ELSE i END::UBIGINT")

    _, rows = validated(tmp_path)

    assert [row[1] for row in rows] == [0, 2, 3, 5]
    bad = [json.loads(line) for line in (tmp_path / "bad").read_text().splitlines()]
    assert [(row["line"], row["column"], row["value"], row["rule"]) for row in bad] == [
        (2, "zone", "18446744073709551615", "type"),
        (5, "zone", None, "absent"),
    ]


@pytest.mark.parametrize(
    ("column", "sql", "value"),
    [
        (Column(type="integer"), "7::TINYINT", 7),
        (Column(type="integer"), "7::UBIGINT", 7),
        (Column(type="double"), "7::BIGINT", 7.0),
        (Column(type="double"), "0.5::FLOAT", 0.5),
        (Column(type="decimal", precision=10, scale=2), "1.5::DECIMAL(4, 1)", Decimal("1.50")),
        (Column(type="decimal", precision=10, scale=2), "7::INTEGER", Decimal("7.00")),
        (Column(type="boolean"), "true", True),
        (Column(type="categorical"), "'a'::ENUM ('a', 'b')", "a"),
        (Column(type="timestamp"), "TIMESTAMPTZ '2019-01-01 02:00:00+02'", datetime(2019, 1, 1)),
        (Column(type="timestamp"), "TIMESTAMP_NS '2019-01-01 00:00:00.000001'", datetime(2019, 1, 1, 0, 0, 0, 1)),
        (Column(type="timestamptz"), "TIMESTAMPTZ '2019-01-01 02:00:00+02'", datetime(2019, 1, 1)),
        (Column(type="timestamptz", zone="Europe/Berlin"), "TIMESTAMP '2019-07-01 12:00:00'", datetime(2019, 7, 1, 10)),
        (
            Column(type="timestamptz", zone="Europe/Berlin", format="%d.%m.%Y %H:%M"),
            "TIMESTAMP '2019-07-01 12:00:00'",
            datetime(2019, 7, 1, 10),
        ),
    ],
)
def test_a_type_that_widens_without_loss_is_taken(tmp_path: Path, column: Column, sql: str, value: object) -> None:
    write(tmp_path, 1, value=sql)

    _, rows = validated(tmp_path, one_column(column))

    assert [repr(row[1]) for row in rows] == [repr(value)]


@pytest.mark.parametrize(
    ("column", "sql", "rule"),
    [
        (Column(type="timestamptz", zone="Europe/Berlin"), "TIMESTAMP '2019-03-31 02:30:00'", "gap"),
        (Column(type="timestamptz", zone="Europe/Berlin"), "TIMESTAMP '2019-10-27 02:30:00'", "ambiguous"),
        (Column(type="decimal", precision=3, scale=2), "12::INTEGER", "type"),
        (Column(type="string"), "'a' || chr(0)", "nul_byte"),
        (Column(type="string", max_length=2), "'abc'", "max_length"),
        (Column(type="integer", min=9), "7::INTEGER", "min"),
    ],
)
def test_single_values_break_the_rules_that_texts_break(tmp_path: Path, column: Column, sql: str, rule: str) -> None:
    write(tmp_path, 1, value=sql)

    found, _ = validated(tmp_path, one_column(column))

    assert dict(found.rejected_by) == {f"value: {rule}": 1}


@pytest.mark.parametrize(
    ("column", "sql", "says"),
    [
        (
            Column(type="timestamptz"),
            "TIMESTAMP '2019-01-01'",
            "value is TIMESTAMP where the contract says timestamptz",
        ),
        (Column(type="date"), "TIMESTAMP '2019-01-01'", "value is TIMESTAMP where the contract says date"),
        (Column(type="boolean"), "1", "value is INTEGER where the contract says boolean"),
        (
            Column(type="decimal", precision=4, scale=2),
            "1::DECIMAL(4, 1)",
            "is DECIMAL(4,1) where the contract says DECIMAL(4,2)",
        ),
        (Column(type="decimal", precision=4, scale=2), "0.5::DOUBLE", "is DOUBLE where the contract says DECIMAL(4,2)"),
    ],
)
def test_another_type_refuses_the_file_by_column_and_type(tmp_path: Path, column: Column, sql: str, says: str) -> None:
    write(tmp_path, 1, value=sql)

    with pytest.raises(DataError) as error:
        validated(tmp_path, one_column(column))

    assert says in str(error.value)
    assert str(error.value).startswith("f: the column value is ")


def test_names_that_differ_in_case_are_different_columns(tmp_path: Path) -> None:
    path = write(tmp_path, 1, zonX="99", zone=None, zonY="i")
    path.write_bytes(path.read_bytes().replace(b"zonX", b"Zone").replace(b"zonY", b"zone"))

    found, rows = validated(tmp_path)

    assert found.added_columns == ("Zone",)
    assert rows[0][1] == 0


def test_columns_that_the_contract_does_not_know_are_recorded(tmp_path: Path) -> None:
    write(tmp_path, 1, tip="[1]", tax_paid="{'zone': 3}")
    optional = rides(
        format="parquet", columns={**RIDES.columns, "tax": Column(type="double", nullable=True, optional=True)}
    )

    found, rows = validated(tmp_path, optional)

    assert found.added_columns == ("tip", "tax_paid")
    assert found.absent_columns == ("tax",)
    assert rows[0][1:] == (0, 0.5, "n0", None)


def test_memory_does_not_grow_with_a_dictionary_that_says_a_long_text_for_many_rows(tmp_path: Path) -> None:
    write(tmp_path, 200, note="repeat('x', 500_000)")
    sizes = []

    with (
        open_parquet(tmp_path / "upload", RIDES, tmp_path, name="f", block=1 << 20) as source,
        connect(tmp_path) as connection,
    ):
        for prepare in source.stretches():
            note = f"SELECT sum(strlen({raw(3)})) FROM ({prepare(connection).select})"
            sizes.append(connection.execute(note).fetchall()[0][0])

    assert sum(sizes) == 200 * 500_000
    assert max(sizes) <= 4 << 20


def test_a_file_far_larger_than_its_bytes_is_refused_before_its_rows_are_read(tmp_path: Path) -> None:
    write(tmp_path, 2200, note="repeat('x', 500_000)")

    with pytest.raises(DataError, match=f"over {MAX_RATIO} times its size; upload it in parts"):
        validated(tmp_path)


def test_statistics_that_lie_change_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, 3, zone="if(i = 0, 77777777, 88888888)::BIGINT")
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    low, false = ((number).to_bytes(8, "little") for number in (77777777, 99999999))
    assert low in content[footer:]
    path.write_bytes(content[:footer] + content[footer:].replace(low, false))
    lies = duckdb.execute(
        "SELECT stats_min_value FROM parquet_metadata(?) WHERE path_in_schema = 'zone'", [str(path)]
    ).fetchall()
    assert lies != [("77777777",)]

    _, rows = validated(
        tmp_path, rides(format="parquet", columns={**RIDES.columns, "zone": Column(type="integer", max=80_000_000)})
    )

    assert [row[1] for row in rows] == [77777777]


def test_a_page_that_is_damaged_refuses_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 5000, ", COMPRESSION zstd")
    path.write_bytes(path.read_bytes().replace(b"\x28\xb5\x2f\xfd", bytes(4)))

    with pytest.raises(DataError, match=r"^f: cannot be read as Parquet"):
        validated(tmp_path)


def test_a_name_with_signs_of_a_pattern_is_a_name(tmp_path: Path) -> None:
    folder = tmp_path / "a[b]*?"
    folder.mkdir()
    write(tmp_path, 2).rename(folder / "x*.parquet")

    found = validate(folder / "x*.parquet", RIDES, tmp_path, tmp_path / "bad", name="f")

    assert found.rows_good == 2

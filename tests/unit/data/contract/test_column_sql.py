"""Types and rules of columns beyond those that most files have."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from perennial.definitions import Column
from perennial.sql import sql_type
from tests.support.validated import Outcome, small, upload


def one_column(folder: Path, column: Column, *texts: str) -> Outcome:
    dataset = small(columns={"at": Column(type="timestamp"), "x": column})
    return upload(folder, "".join(["at,x\n", *(f"2019-01-01,{text}\n" for text in texts)]).encode(), dataset)


def rules(outcome: Outcome) -> list[str]:
    return [bad["rule"] for bad in outcome.bad]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.25", Decimal("1.25")),
        ("1.2500", Decimal("1.25")),
        ("-0.01", Decimal("-0.01")),
        (" +7. ", Decimal("7.00")),
        (".5", Decimal("0.50")),
        ("9999999999999999.99", Decimal("9999999999999999.99")),
    ],
)
def test_a_decimal_is_read_digit_by_digit(tmp_path: Path, text: str, value: Decimal) -> None:
    outcome = one_column(tmp_path, Column(type="decimal", precision=18, scale=2), text)
    assert [found[1] for found in outcome.rows] == [value]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1.255", "scale"),
        ("0.001", "scale"),
        ("10000000000000000.00", "type"),
        ("1e2", "type"),
        ("1_0", "type"),
        ("nan", "type"),
        ("0x1F", "type"),
        ("٣", "type"),
        ("", "absent"),
    ],
)
def test_a_decimal_is_never_rounded_nor_guessed(tmp_path: Path, text: str, rule: str) -> None:
    assert rules(one_column(tmp_path, Column(type="decimal", precision=18, scale=2), text)) == [rule]


@pytest.mark.parametrize(
    ("column", "good", "bad", "rule"),
    [
        (Column(type="string", min_length=2), "ab", "é", "min_length"),
        (Column(type="string", max_length=2), "éé", "abc", "max_length"),
        (Column(type="string", pattern="[A-Z]{2}[0-9]+"), "AB12", "xAB12", "pattern"),
        (Column(type="string", pattern=r"a|b\d"), "b7", "ab7", "pattern"),
        (Column(type="categorical", allowed=("red", "blue")), "red", "Red", "allowed"),
        (Column(type="date", min="2019-01-31"), "2019-01-31", "2019-01-30", "min"),
        (Column(type="timestamp", max="2019-01-31T12:00"), "2019-01-31 12:00:00", "2019-01-31 12:00:01", "max"),
        (Column(type="timestamptz", max="2019-01-31T12:00+01:00"), "2019-01-31T11:00Z", "2019-01-31T11:00:01Z", "max"),
        (Column(type="decimal", precision=5, scale=2, max=0.1), "0.10", "0.11", "max"),
        (Column(type="decimal", precision=5, scale=2, allowed=("0.5",)), "0.50", "0.51", "allowed"),
        (Column(type="integer", allowed=(2, 4)), "4", "3", "allowed"),
        (Column(type="double", min=0.1), "0.1", "0.0999999", "min"),
    ],
)
def test_a_rule_of_a_column_parts_good_values_from_bad_ones(
    tmp_path: Path, column: Column, good: str, bad: str, rule: str
) -> None:
    outcome = one_column(tmp_path, column, good, bad)
    assert [(line, found) for line, _, found in outcome.faults()] == [(3, rule)]
    assert bad in outcome.bad[0]["reason"]
    assert len(outcome.rows) == 1


def test_an_absent_value_breaks_no_rule_of_a_nullable_column(tmp_path: Path) -> None:
    column = Column(type="string", nullable=True, min_length=2, pattern="a+", allowed=("aa",))
    assert one_column(tmp_path, column, "").bad == []


def test_braces_in_names_values_and_rules_stay_as_they_are(tmp_path: Path) -> None:
    dataset = small(columns={"at": Column(type="timestamp"), "{x}": Column(type="string", pattern="[{]0[}]")})
    outcome = upload(tmp_path, b"at,{x}\n2019-01-01,{1}\n", dataset)
    assert outcome.bad[0]["reason"] == "{x} '{1}' does not match [{]0[}]"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "integer"}, "BIGINT"),
        ({"type": "decimal", "precision": 18, "scale": 2}, "DECIMAL(18,2)"),
        ({"type": "categorical"}, "VARCHAR"),
        ({"type": "timestamptz"}, "TIMESTAMP"),
        ({"type": "date"}, "DATE"),
    ],
)
def test_a_part_bears_the_engine_s_type_of_each_column(changes: dict[str, Any], expected: str) -> None:
    column = Column(**changes)
    assert sql_type(column) == expected
    assert duckdb.execute(f"SELECT typeof(CAST(NULL AS {sql_type(column)}))").fetchone() == (expected,)

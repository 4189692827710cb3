"""What is said of how columns have moved: much, some, steady, or that there are too few rows to say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from perennial.data.profiling.comparison import ColumnComparison, Comparison, compare
from perennial.data.profiling.histogram import make_histogram
from perennial.data.profiling.moves_in_words import moves
from perennial.data.profiling.profile import Category, ColumnProfile, Profile


def normal(mean: float, std: float, rows: int, seed: int = 1, nulls: int = 0) -> ColumnProfile:
    values = np.sort(np.random.default_rng(seed).normal(mean, std, rows))
    return ColumnProfile(
        name="miles", type="double", rules=(), nulls=nulls, distinct=rows, distinct_exact=True, values=rows,
        min=float(values[0]), max=float(values[-1]), mean=float(values.mean()), std=float(values.std()),
        quantiles={f"p{level}": float(np.quantile(values, level / 100)) for level in (25, 50, 75)},
        histogram=make_histogram(values),
    )  # fmt: skip


def kinds(nulls: int = 0, unlisted: int = 0, **rows: int) -> ColumnProfile:
    return ColumnProfile(
        name="kind", type="categorical", rules=(), nulls=nulls, distinct=len(rows), distinct_exact=True,
        values=sum(rows.values()) + unlisted,
        categories=tuple(Category(value=value, rows=count) for value, count in rows.items()),
    )  # fmt: skip


def of(*columns: ColumnProfile) -> Profile:
    rows = max(column.values + column.nulls for column in columns)
    return Profile(rows=rows, rows_read=rows, size=1, columns=columns)


def one(before: ColumnProfile, now: ColumnProfile) -> ColumnComparison:
    (found,) = compare(of(before), of(now), "earlier").columns
    return found


def test_two_samples_of_one_distribution_are_steady() -> None:
    found = one(normal(0, 1, 10_000, seed=1), normal(0, 1, 10_000, seed=2))
    assert (found.moved, found.score) == ("steady", 0)
    assert found.psi is not None
    assert found.psi < 0.01


def test_chance_alone_seldom_moves_a_column() -> None:
    found = [one(normal(0, 1, 500, seed=2 * n), normal(0, 1, 500, seed=2 * n + 1)) for n in range(100)]
    assert sum(column.moved != "steady" for column in found) <= 2
    average = sum(column.psi or 0 for column in found) / len(found)
    chance = sum(column.psi_by_chance or 0 for column in found) / len(found)
    assert average == pytest.approx(chance, rel=0.3)  # Yurdakul's expectation


def test_a_shifted_mean_is_told_in_standard_deviations_of_before() -> None:
    before, now = normal(10, 2, 20_000, seed=1), normal(13, 2, 20_000, seed=2)
    found = one(before, now)
    assert found.moved == "much"
    assert found.mean_shift == pytest.approx(1.5, abs=0.05)
    assert found.median_shift == pytest.approx(1.5, abs=0.05)
    # The divergence of Jeffreys between two normals is the square of their distance; cells keep most of it.
    assert found.psi == pytest.approx(1.5**2, rel=0.25)
    assert moves(found, now)[0] == "The mean went up from 9.977 to 13.01, by 1.5 standard deviations."


def test_a_wider_spread_moves_a_column_whose_mean_stands_still() -> None:
    found = one(normal(0, 1, 20_000, seed=1), normal(0, 2, 20_000, seed=2))
    assert abs(found.mean_shift or 0) < 0.1
    assert found.moved == "much"


def test_with_few_rows_nothing_is_said_of_what_may_be_chance() -> None:
    assert one(normal(0, 1, 10_000), normal(0.3, 1, 40, seed=2)).moved == "unknown"
    assert one(normal(0, 1, 40), normal(0, 1, 10_000, seed=2)).moved == "unknown"
    assert one(normal(0, 1, 40), normal(9, 1, 40, seed=2)).moved == "much"  # even few rows show this


def test_values_that_are_missing_move_a_column() -> None:
    before, now = normal(0, 1, 10_000), normal(0, 1, 6_000, seed=2, nulls=4_000)
    found = one(before, now)
    assert found.null_share == (0, 0.4)
    assert found.moved == "much"
    assert moves(found, now)[0] == "Empty in 40\u202f% of the rows, before in 0\u202f%."


def test_new_and_vanished_categories_are_named() -> None:
    before, now = kinds(a=5000, b=4000, c=1000), kinds(a=5000, b=4000, d=1000)
    found = one(before, now)
    assert (found.new, found.vanished, found.moved) == (("d",), ("c",), "much")
    assert {"New: d.", "No longer there: c."} <= set(moves(found, now))


def test_what_is_not_listed_is_not_called_new() -> None:
    found = one(kinds(a=5000, b=4000, unlisted=1000), kinds(a=5000, b=4000, d=1000))
    assert (found.new, found.vanished, found.moved) == ((), (), "steady")


def test_psi_of_categories_is_the_formulas() -> None:
    found = one(kinds(a=500, b=500), kinds(a=800, b=200))
    # Half a count is added to each cell: 500.5 / 1001 and 800.5 / 1001.
    p, q = 500.5 / 1001, 800.5 / 1001
    assert found.psi == pytest.approx((q - p) * math.log(q / p) + (p - q) * math.log((1 - q) / (1 - p)), rel=1e-5)
    assert found.psi_by_chance == pytest.approx(1 / 1000 + 1 / 1000)


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        (kinds(nulls=100), kinds(a=75, nulls=25), "Was empty, now has values in 75\u202f% of the rows."),
        (kinds(a=75, nulls=25), kinds(nulls=100), "Is empty now, before in 25\u202f% of the rows."),
    ],
)
def test_a_column_that_was_or_became_empty_is_called_so(
    before: ColumnProfile, now: ColumnProfile, sentence: str
) -> None:
    found = one(before, now)
    assert (found.moved, found.psi, found.new, found.vanished) == ("much", None, (), ())
    assert moves(found, now) == [sentence]
    assert one(kinds(nulls=100), kinds(nulls=100)).moved == "steady"


def test_columns_are_ranked_by_how_much_they_moved() -> None:
    def named(name: str, column: ColumnProfile) -> ColumnProfile:
        return column.model_copy(update={"name": name})

    before = of(*(named(name, normal(0, 1, 5000)) for name in "abc"))
    now = of(*(named(name, normal(mean, 1, 5000, seed=2)) for name, mean in zip("abc", (0, 2, 0.4), strict=True)))
    found = compare(before, now, "earlier")
    assert [column.name for column in found.columns] == ["b", "c", "a"]
    assert Comparison.model_validate_json(found.model_dump_json()) == found


def test_columns_of_only_one_side_or_of_another_type_are_not_compared() -> None:
    def change(**update: Any) -> ColumnProfile:
        return kinds(a=10).model_copy(update=update)

    found = compare(of(kinds(a=10), change(name="gone")), of(change(type="string"), change(name="added")), "earlier")
    assert (found.columns, found.only_now, found.only_before, found.retyped) == ((), ("added",), ("gone",), ("kind",))

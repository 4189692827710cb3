"""What is told to the online store: each entity's two latest rows, where they differ from those of earlier tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from perennial.data.engine import sha256_of
from perennial.data.views.latest_rows import online_changes
from perennial.definitions import FeatureView
from perennial.ports import OnlineRow


def a_view(**changes: Any) -> FeatureView:
    fields = {"name": "past", "kind": "stored", "dataset": "rides", "entity": ("zone",), "feature_time": "known_at"}
    return FeatureView(**{**fields, "sql": "SELECT 1", **changes})  # type: ignore[arg-type]


def values(path: Path, *found: tuple[int, str, object]) -> Path:
    """Write rows of a view: zone, known_at, mean_miles."""
    listed = ", ".join(f"({zone}, TIMESTAMP '{at}', {value}::DOUBLE)" for zone, at, value in found)
    duckdb.execute(f"COPY (FROM (VALUES {listed}) v(zone, known_at, mean_miles)) TO '{path}' (FORMAT parquet)")
    return path


def changes(view: FeatureView, new: list[Path], *bases: list[Path], folder: Path) -> tuple[list[Any], list[Any]]:
    changed = list(dict.fromkeys([*new, *(path for base in bases for path in base)]))
    stretches = [[[path] for path in base] for base in bases]
    with online_changes(view, changed, [[path] for path in new], stretches, folder) as found:
        return list(found.rows()), list(found.gone())


def test_only_latest_rows_that_differ_are_written_and_vanished_entities_told(tmp_path: Path) -> None:
    view = a_view(ttl="2 days")
    nan = "'nan'"
    old = values(tmp_path / "old", (1, "2019-01-01", 1.0), (2, "2019-01-01", nan), (3, "2019-01-01", 3.0))
    new = values(tmp_path / "new", (1, "2019-01-01", 1.0), (1, "2019-01-02", 5.0), (2, "2019-01-01", nan))
    written, gone = changes(view, [new], [old], folder=tmp_path)
    assert [(row.entity, row.values) for row in written] == [((1,), {"mean_miles": 5.0})]
    assert written[0].expires_at - written[0].feature_time == timedelta(days=3)
    assert gone == [(3,)]
    written, gone = changes(view, [new], [], folder=tmp_path)  # nothing is online yet
    assert [(row.entity, row.values["mean_miles"]) for row in written] == [((1,), 5.0), ((2,), None)]
    assert gone == []


def told(row: OnlineRow) -> list[tuple[Any, ...]]:
    """Return the entity, then day and value of its latest row and of the one before it."""
    pairs = [(str(each.feature_time)[:10], each.values["mean_miles"]) for each in (row, row.previous) if each]
    return [row.entity[0], *pairs]


def test_the_row_before_the_latest_comes_with_it_and_a_change_of_it_alone_is_told(tmp_path: Path) -> None:
    view = a_view(ttl="2 days")
    same = [(1, "2019-01-03", 3.0), (2, "2019-01-03", 3.0), (3, "2019-01-03", 3.0), (4, "2019-01-03", 3.0)]
    old = values(tmp_path / "old", *same, (1, "2019-01-02", 1.0), (2, "2019-01-02", 1.0), (4, "2019-01-02", 4.0))
    old_too = [(1, "2019-01-01", 8.0), (4, "2019-01-01", 8.0)]
    new = values(
        tmp_path / "new", *same, *old_too, (1, "2019-01-02", 2.0), (3, "2019-01-01", 5.0), (4, "2019-01-02", 4)
    )
    written, gone = changes(view, [new], [old], folder=tmp_path)
    assert [told(row) for row in written] == [
        [1, ("2019-01-03", 3.0), ("2019-01-02", 2.0)],  # another value
        [2, ("2019-01-03", 3.0)],  # taken away
        [3, ("2019-01-03", 3.0), ("2019-01-01", 5.0)],  # come late
    ]
    assert gone == []
    assert {row.expires_at for row in written} == {datetime(2019, 1, 6, tzinfo=UTC)}
    assert [row.previous.expires_at for row in written if row.previous] == [None, None]


def test_the_row_before_the_latest_is_found_across_months_and_no_month_more_is_read(tmp_path: Path) -> None:
    months = [
        values(tmp_path / "4", (1, "2019-04-02", 4.0)),
        values(tmp_path / "3", (2, "2019-03-02", 3.0), (2, "2019-03-01", 2.5)),
        values(tmp_path / "2", (1, "2019-02-02", 2.0)),
        values(tmp_path / "1", (1, "2019-01-02", 1.0)),
    ]
    read: list[str] = []

    def stretches() -> Iterator[list[Path]]:
        for path in months:
            read.append(path.name)
            yield [path]

    with online_changes(a_view(), months, stretches(), [()], tmp_path) as found:
        written = [told(row) for row in found.rows()]
    assert written == [
        [1, ("2019-04-02", 4.0), ("2019-02-02", 2.0)],
        [2, ("2019-03-02", 3.0), ("2019-03-01", 2.5)],
    ]
    assert read == ["4", "3", "2"]


@pytest.mark.parametrize(
    ("changes_of_view", "previous", "months_read"),
    [
        # The bound is 9 April less 5, 2 and 31 days: 2 March.
        ({"window": "2 days", "ttl": "5 days"}, "2019-03-02 00:00:00", "43"),
        ({"window": "2 days", "ttl": "5 days"}, "2019-03-01 23:59:59", "43"),
        ({"window": "2 days", "ttl": "5 days"}, "2019-02-15 00:00:00", "43"),
        ({"window": "2 days"}, "2019-01-15 00:00:00", "4321"),
        ({"ttl": "5 days"}, "2019-01-15 00:00:00", "4321"),
    ],
)
def test_with_a_window_and_a_ttl_no_row_before_the_latest_is_sought_that_could_not_count(
    tmp_path: Path, changes_of_view: dict[str, Any], previous: str, months_read: str
) -> None:
    rows_of = {"4": [(1, "2019-04-09", 4.0)]}
    rows_of |= {name: [(2, f"2019-0{name}-01", 0.0), (3, f"2019-0{name}-03", 0.0)] for name in "321"}
    rows_of[previous[6]].append((1, previous, 1.0))
    months = {name: values(tmp_path / name, *found) for name, found in rows_of.items()}
    read: list[str] = []

    def stretches(remembered: list[str]) -> Iterator[list[Path]]:
        for name, path in months.items():
            remembered.append(name)
            yield [path]

    bases = [stretches([])]
    view = a_view(**changes_of_view)
    with online_changes(view, [months["4"]], stretches(read), [()], tmp_path) as found:
        written = [told(row) for row in found.rows()]
    counts = [(previous[:10], 1.0)] if len(changes_of_view) == 1 or previous >= "2019-03-02" else []
    assert written == [[1, ("2019-04-09", 4.0), *counts]]
    assert "".join(read) == months_read
    with online_changes(view, [months["4"]], stretches([]), bases, tmp_path) as found:
        assert (list(found.rows()), list(found.gone())) == ([], [])


def test_an_entity_that_is_new_does_not_make_earlier_tables_be_read_to_their_beginning(tmp_path: Path) -> None:
    view = a_view(window="1 day", ttl="1 day")
    new = values(tmp_path / "new", (1, "2019-04-09", 4.0))
    months = [values(tmp_path / str(month), (2, f"2019-0{month}-01", 0.0)) for month in (3, 2, 1)]
    read: list[str] = []

    def base() -> Iterator[list[Path]]:
        for path in months:
            read.append(path.name)
            yield [path]

    with online_changes(view, [new], [[new], *([path] for path in months)], [base()], tmp_path) as found:
        assert [told(row) for row in found.rows()] == [[1, ("2019-04-09", 4.0)]]
    assert read == ["3"]


cells = st.dictionaries(st.tuples(st.integers(0, 2), st.integers(0, 11)), st.integers(0, 1), max_size=12)
"""(zone, ten days after ten days) to value: the rows of a table."""


@given(tables=st.lists(cells, min_size=2, max_size=3), bounded=st.booleans())
@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_what_is_told_is_how_the_two_latest_rows_of_whole_tables_differ(
    tables: list[dict[tuple[int, int], int]], bounded: bool
) -> None:
    view = a_view(**({"window": "1 day", "ttl": "8 days"} if bounded else {}))
    start = datetime(2019, 1, 1)

    def items(table: dict[tuple[int, int], int]) -> dict[int, list[tuple[int, float]]]:
        """Return (ten days, value) of each zone's two latest rows; with the bound they lie 40 days apart at most."""
        found: dict[int, list[tuple[int, float]]] = {}
        for (zone, tens), value in sorted(table.items(), reverse=True):
            of_zone = found.setdefault(zone, [])
            if not of_zone or (len(of_zone) == 1 and (not bounded or of_zone[0][0] - tens <= 4)):
                of_zone.append((tens, float(value)))
        return found

    with TemporaryDirectory() as name:
        folder = Path(name)

        def parts(number: int, table: dict[tuple[int, int], int]) -> list[Path]:
            """Write a table in stretches of forty days, those without rows left out."""
            by_stretch: dict[int, list[tuple[int, str, float]]] = {}
            for (zone, tens), value in table.items():
                by_stretch.setdefault(tens // 4, []).append((zone, str(start + timedelta(days=10 * tens)), value))
            return [values(folder / f"{number}-{one}", *by_stretch[one]) for one in sorted(by_stretch, reverse=True)]

        files = [parts(number, table) for number, table in enumerate(tables)]
        hashes = [{sha256_of(path): path for path in each} for each in files]
        alike = set.intersection(*map(set, hashes))
        changed = [path for each in hashes for sha256, path in each.items() if sha256 not in alike]
        if not changed:
            return
        stretches = [[[path] for path in each] for each in files]
        with online_changes(view, changed, stretches[0], stretches[1:], folder) as found:
            written, gone = list(found.rows()), list(found.gone())
    latest, *earlier = map(items, tables)

    def tens_of(row: OnlineRow) -> int:
        return (row.feature_time.replace(tzinfo=None) - start).days // 10

    told_items = {
        row.entity[0]: [(tens_of(each), each.values["mean_miles"]) for each in (row, row.previous) if each is not None]
        for row in written
    }
    assert told_items == {
        zone: item for zone, item in latest.items() if any(each.get(zone) != item for each in earlier)
    }
    assert {zone for (zone,) in gone} == {zone for each in earlier for zone in each} - set(latest)

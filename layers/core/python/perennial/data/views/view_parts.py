"""The parts of a stored view: by month of feature time and bucket of entities, each made from what it needs alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from perennial.data.contract import moment_sql
from perennial.data.engine import Resources, connect, one, write_table
from perennial.data.views.view_sql import Table, bucket_of, create_table, in_bucket, moment
from perennial.definitions import FeatureView
from perennial.errors import DefinitionError
from perennial.sql import identifier

ALL = "all"
"""The period of a view without a window."""
MOST_BUCKETS = 256
_LAST_MONTH = "9999-12"
_RESULT = "result of a view"
"""Table that no dataset can be named like."""


@dataclass(frozen=True)
class Period:
    """A stretch of feature time."""

    name: str
    """``2019-01``; ``2019-02..`` for all from that month on; ``2009-02..2018-12`` where no row reaches; ``all``."""
    start: datetime | None = None
    end: datetime | None = None
    """Feature times lie before it."""


@dataclass(frozen=True)
class Cell:
    """What one part of a view holds."""

    period: Period
    bucket: int = 0
    buckets: int = 1


@dataclass(frozen=True)
class PartFile:
    """A part that was written."""

    rows: int
    min_feature_time: datetime | None
    max_feature_time: datetime | None


def periods(view: FeatureView, months: Sequence[str]) -> list[Period]:
    """Return the stretches of feature time in which a view's parts are made.

    With a window they are the calendar months from the first to the last month that has rows, and one stretch of all
    that becomes known later: those months do not change any more when later rows come. Months that no row can reach,
    as between one that is dated years away and the others, are one stretch.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    months : sequence of str
        Months in which its dataset has rows, such as ``2019-01``.
    """
    if view.window is None or not months:
        return [Period(ALL)]
    known = sorted(set(months))
    start, found = _month(known[0]), []
    while (name := _name(start)) <= known[-1] and name != _LAST_MONTH:
        end = _following(start)
        latest = known[bisect_right(known, name) - 1]
        period = Period(name, start, end)
        if latest < earliest_month(view, period):
            end = _month(known[bisect_right(known, name)])
            period = Period(f"{name}..{_name(end - timedelta(days=1))}", start, end)
        found.append(period)
        start = end
    return [*found, Period(f"{name}..", start)]


def earliest_month(view: FeatureView, period: Period) -> str:
    """Return the first month of which rows are read to make a period; text that sorts before all of them for none."""
    start = since(view, period)
    return "" if start is None else start.isoformat()[:7]


def last_month(period: Period) -> str:
    """Return the last month of which rows are read to make a period; text that sorts behind all of them for none."""
    return "9999-99" if period.end is None else (period.end - timedelta(days=1)).isoformat()[:7]


def since(view: FeatureView, period: Period) -> datetime | None:
    """Return the event time from which a view's own dataset is read to make a period; None means the beginning."""
    if view.window is None or period.start is None:
        return None
    return period.start - view.window if period.start - datetime.min > view.window else None


def outgrows_window(view: FeatureView, months: Sequence[str]) -> bool:
    """Tell whether there are rows, in months such as ``2019-01``, that are too old for the latest feature times."""
    return bool(months) and min(months) < earliest_month(view, periods(view, months)[-1])


def bucket_count(rows: int, most: int) -> int:
    """Return over how many buckets entities are spread: 1, 4, 16, … so that one holds about ``most`` rows at most.

    It is a matter of the number of rows alone, and changes each time that it has quadrupled.
    """
    buckets = 1
    while rows > most * buckets and buckets < MOST_BUCKETS:
        buckets *= 4
    return buckets


def write_part(
    view: FeatureView,
    tables: Sequence[Table],
    cell: Cell,
    path: Path,
    *,
    memory: str,
    before: datetime | None = None,
    whole_history: bool = False,
) -> PartFile:
    """Compute one part of a stored view.

    Of the view's own dataset it sees the rows of its bucket from the period's start less the window up to the
    period's end, of other tables all rows up to the period's end. Rows without an entity or a feature time (in the
    years 1 to 9999) belong to nobody and are left out; the rest are ordered by all their columns. The SQL runs on one
    thread: sums of doubles depend on the order in which threads add them up. So the same files always make the same
    bytes.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    tables : sequence of Table
        What it reads; its own dataset is the first.
    cell : Cell
        Which part.
    path : Path
        Parquet to write: entity columns, feature time (TIMESTAMP), then the view's other columns. Its folder is for
        this call alone.
    memory : str
        DuckDB's memory limit.
    before : datetime or None
        Take away all rows from this moment on as well (to see what becomes of the others).
    whole_history : bool
        Read the rows from before the window, too.

    Raises
    ------
    DefinitionError
        The SQL fails, or gives two rows for one entity and moment.
    """
    end = min((at for at in (before, cell.period.end) if at is not None), default=None)
    start = None if whole_history else since(view, cell.period)
    own = in_bucket(view.entity, cell.bucket, cell.buckets) if cell.buckets > 1 else "true"
    with connect(path.parent, Resources(memory, threads=1), [file for each in tables for file in each.files]) as engine:
        for number, table in enumerate(tables):
            first = number == 0
            create_table(engine, table, since=start if first else None, before=end, where=own if first else "true")
        _run(engine, view, _query(view, cell))
        _refuse_twins(engine, view)
        rows = write_table(engine, _RESULT, path)
        time = identifier(str(view.feature_time))
        low, high = one(engine, f"SELECT min({time}), max({time}) FROM {identifier(_RESULT)}")
    assert low is None or (isinstance(low, datetime) and isinstance(high, datetime))
    return PartFile(rows, low, high if isinstance(high, datetime) else None)


def months_by_bucket(
    table: Table, entity: Sequence[str], buckets: int, folder: Path, *, resources: Resources
) -> dict[str, int]:
    """Return, for each month in which a table has rows, the set of buckets that these fall in, as bits of a number."""
    with connect(folder, resources, table.files) as engine:
        create_table(engine, table)
        month = f"strftime({identifier(table.time)}, '%Y-%m')"
        query = f"SELECT DISTINCT {month} AS m, {bucket_of(entity, buckets)} FROM {identifier(table.name)} ORDER BY ALL"
        found: dict[str, int] = {}
        for name, bucket in engine.execute(query).fetchall():
            found[name] = found.get(name, 0) | 1 << int(bucket)
    return found


def hash_probe() -> str:
    """Return what tells apart engines that spread entities over buckets differently."""
    with duckdb.connect() as engine:
        return str(one(engine, "SELECT hash(1::BIGINT, 'entity', 0.5::DOUBLE, TIMESTAMP '2019-01-01')")[0])


def table_select(view: FeatureView) -> str:
    """Return the SELECT of a stored view as its table has it: entity columns, feature time (TIMESTAMP), the others."""
    time = identifier(str(view.feature_time))
    entity = ", ".join(map(identifier, view.entity))
    return f"SELECT {entity}, CAST({time} AS TIMESTAMP) AS {time}, * EXCLUDE ({entity}, {time}) FROM ({view.sql}\n)"


def _query(view: FeatureView, cell: Cell) -> str:
    time = identifier(str(view.feature_time))
    kept = [f"{identifier(name)} IS NOT NULL" for name in view.entity]
    kept.append(f"{time} BETWEEN {moment_sql.EARLIEST!r} AND {moment_sql.LATEST!r}")  # a day behind 9999-12-31 is none
    if cell.buckets > 1:
        kept.append(in_bucket(view.entity, cell.bucket, cell.buckets))
    if cell.period.start is not None:
        kept.append(f"{time} >= {moment(cell.period.start)}")
    if cell.period.end is not None:
        kept.append(f"{time} < {moment(cell.period.end)}")
    return f"SELECT * FROM ({table_select(view)}) WHERE {' AND '.join(kept)} ORDER BY ALL"


def _run(engine: duckdb.DuckDBPyConnection, view: FeatureView, query: str) -> None:
    try:
        engine.execute(f"CREATE TABLE {identifier(_RESULT)} AS {query}")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DefinitionError(f"features/{view.name}.sql: {str(error).splitlines()[0]}") from error


def _refuse_twins(engine: duckdb.DuckDBPyConnection, view: FeatureView) -> None:
    named = ", ".join(map(identifier, (*view.entity, str(view.feature_time))))
    twice = engine.execute(
        f"SELECT {named} FROM {identifier(_RESULT)} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    ).fetchone()
    if twice:
        raise DefinitionError(
            f"features/{view.name}.sql: gives more than one row for ({named}) = ({', '.join(map(str, twice))}); "
            "aggregate to one row for each entity and moment"
        )


def _name(month: datetime) -> str:
    return month.isoformat()[:7]  # strftime would write the year 999 with three digits


def _month(name: str) -> datetime:
    return datetime.fromisoformat(f"{name}-01")


def _following(start: datetime) -> datetime:
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)

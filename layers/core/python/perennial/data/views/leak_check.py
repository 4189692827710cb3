"""Whether a stored view tells the truth about time: no value is known before the rows that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from perennial.data.engine import Resources, connect
from perennial.data.views.view_parts import Cell, since, write_part
from perennial.data.views.view_sql import Table, moment
from perennial.definitions import FeatureView
from perennial.errors import DefinitionError
from perennial.sql import identifier, literal

CUTS = (0.25, 0.6, 0.99)
"""Where, along the rows of a part, the moments lie at which it is looked at."""
_FLOATS = ("DOUBLE", "FLOAT")


def check_leaks(
    view: FeatureView, tables: Sequence[Table], cell: Cell, part: Path, folder: Path, *, memory: str
) -> None:
    """Make sure that a part's values stay the same when the rows after them are taken away.

    At some of the part's own feature times all later rows, of all tables, are taken away and the part is made again:
    what it says to have been known by then must be the same. Doubles may differ by one part in a billion, as sums do
    that are added up in another order.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    tables : sequence of Table
        What the part was made from, the view's own dataset first.
    cell : Cell
        Which part.
    part : Path
        The part.
    folder : Path
        For files of this call alone.
    memory : str
        DuckDB's memory limit.

    Raises
    ------
    DefinitionError
        A value is said to be known before it is; the sentence names view, entity and moment.
    """
    for cut in _cuts(view, part, folder):
        again = folder / "cut.parquet"
        write_part(view, tables, cell, again, memory=memory, before=cut + timedelta(microseconds=1))
        changed = _first_difference(view, part, again, folder, f"<= {moment(cut)}")
        if changed:
            entity, at = changed
            raise DefinitionError(
                f"features/{view.name}.sql: the value of {entity} at {at} changes when rows after {cut} are taken "
                f"away: it says it is known before it is; make {view.feature_time} later, or leave later rows out"
            )


def check_window(
    view: FeatureView, tables: Sequence[Table], cell: Cell, part: Path, folder: Path, *, memory: str
) -> None:
    """Make sure that a part's values are the same when rows from before the window are read as well.

    The tables hold all rows from the beginning on; parameters as in `check_leaks`.

    Raises
    ------
    DefinitionError
        The window is too short; the sentence names view, entity and moment.
    """
    if view.window is None or since(view, cell.period) is None:
        return
    again = folder / "whole.parquet"
    write_part(view, tables, cell, again, memory=memory, whole_history=True)
    changed = _first_difference(view, part, again, folder, "IS NOT NULL")
    if changed:
        entity, at = changed
        raise DefinitionError(
            f"features/{view.name}.sql: the value of {entity} at {at} is made of rows from before the window of "
            f"{_length(view.window)}; make window longer, or take the line out to read all rows"
        )


def _cuts(view: FeatureView, part: Path, folder: Path) -> list[datetime]:
    """Return some of a part's feature times, in order: at given shares of its rows, and the first of a rare entity."""
    time = identifier(str(view.feature_time))
    entity = ", ".join(map(identifier, view.entity))
    shares = ", ".join(map(str, CUTS))
    rows = f"read_parquet({literal(str(part))})"
    with connect(folder, reads=[part]) as engine:
        shared = engine.execute(f"SELECT quantile_disc({time}, [{shares}]) FROM {rows}").fetchone()
        rare = engine.execute(
            f"SELECT min({time}) FROM {rows} GROUP BY {entity} HAVING count(*) > 1 ORDER BY count(*), {entity} LIMIT 1"
        ).fetchone()
    return sorted({*((shared and shared[0]) or []), *(rare or [])})


def _first_difference(view: FeatureView, part: Path, again: Path, folder: Path, at: str) -> tuple[str, datetime] | None:
    """Return entity (in words) and feature time of the earliest row that is in one table only, or has other values."""
    keys = (*view.entity, str(view.feature_time))
    with connect(folder, Resources(threads=1), [part, again]) as engine:
        source = f"read_parquet({literal(str(part))})"
        types = engine.execute(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {source})").fetchall()
        values = [(name, kind) for name, kind in types if name not in keys]
        names = [f"{identifier(key)} AS k{number}" for number, key in enumerate(keys)]
        names += [f"{identifier(name)} AS v{number}" for number, (name, _) in enumerate(values)]
        named = f"SELECT {', '.join(names)}, true AS there FROM read_parquet"
        time = identifier(keys[-1])
        one, other = (f"({named}({literal(str(path))}) WHERE {time} {at})" for path in (part, again))
        using = ", ".join(f"k{number}" for number in range(len(keys)))
        unlike = ["one.there IS NULL", "other.there IS NULL"]
        unlike += [_unlike(f"one.v{number}", f"other.v{number}", kind) for number, (_, kind) in enumerate(values)]
        row = engine.execute(
            f"SELECT {using} FROM {one} AS one FULL JOIN {other} AS other USING ({using}) "
            f"WHERE {' OR '.join(unlike)} ORDER BY k{len(keys) - 1}, {using} LIMIT 1"
        ).fetchone()
    if row is None:
        return None
    return ", ".join(f"{name} = {value}" for name, value in zip(view.entity, row, strict=False)), row[-1]


def _unlike(one: str, other: str, kind: str) -> str:
    if kind not in _FLOATS:
        return f"{one} IS DISTINCT FROM {other}"
    near = f"abs({one} - {other}) <= 1e-9 * greatest(abs({one}), abs({other})) + 1e-12"
    return f"({one} IS DISTINCT FROM {other} AND ({near}) IS NOT TRUE)"


def _length(length: timedelta) -> str:
    return f"{length.days} days" if length.days and not length.seconds else str(length)

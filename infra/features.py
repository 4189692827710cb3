"""The feature views of a deployment, and the values of stored ones, now or as they were known at a moment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from infra.display import duration, table
from infra.rows import text_value
from perennial.client import lookups
from perennial.definitions import FeatureView
from perennial.errors import DataError, NotFoundError
from perennial.ports import OnlineRow, Ports
from perennial.utc import aware_utc


def list_views(ports: Ports) -> tuple[list[dict[str, Any]], Table]:
    """Return the views as JSON and as a table."""
    content = [_described(ports, view) for _, view in sorted(ports.definitions.views.items())]
    columns = ["view", "kind", "dataset", "entity", "ttl", "rows", "updated"]
    return content, table("", columns, [[entry[column] for column in columns] for entry in content])


def get_values(
    ports: Ports, view: str, keys: Sequence[str], columns: Sequence[str] | None, at: datetime | None
) -> tuple[list[dict[str, Any]], Table]:
    """Return what is known of keys, as JSON and as a table.

    Parameters
    ----------
    ports : Ports
        The deployment's stores and definitions.
    view : str
        A stored view.
    keys : sequence of str
        See :func:`read_key`.
    columns : sequence of str or None
        Columns of the view; None means all.
    at : datetime or None
        The moment at which values were known, offline; None means online, now.

    Raises
    ------
    NotFoundError
        There is no such view or column, or nothing is known of any of the keys.
    DataError
        A key is not of its column's type.
    """
    definition = lookups.stored_view(ports.definitions, view)
    names = lookups.chosen_columns(ports.definitions, definition, columns)
    entities = [read_key(ports, definition, key) for key in keys]
    if at is None:
        found, moment = lookups.rows_now(ports, definition, entities, names), ports.clock.now()
    else:
        found, moment = lookups.rows_at(ports, definition, entities, names, at), at
    if not any(found):
        when = "online now" if at is None else f"at {at.isoformat()}"
        raise NotFoundError(f"view {view} knows nothing of {', '.join(keys)} {when}; see `perennial features list`")
    content = [_value(definition, entity, row, moment) for entity, row in zip(entities, found, strict=True)]
    rows = [
        [*entry["entity"].values(), entry["feature_time"], entry["age"], *(entry["values"].get(c) for c in names)]
        for entry in content
    ]
    return content, table("", [*definition.entity, str(definition.feature_time), "age", *names], rows)


def read_key(ports: Ports, view: FeatureView, key: str) -> lookups.Entity:
    """Return a key of the command line as an entity.

    It is the value of the view's entity column as it stands, or ``column=value``; of several columns,
    ``zone=42,hour=7``, in any order. Only what stands before ``=`` and is the name of an entity column counts as one.
    """
    places = "|".join(map(re.escape, view.entity))
    found = list(re.finditer(rf"(?:^|,)({places})=", key))
    if found and found[0].start() == 0:
        ends = [match.start() for match in found[1:]] + [len(key)]
        texts = {match[1]: key[match.end() : end] for match, end in zip(found, ends, strict=True)}
        if len(texts) < len(found):
            raise NotFoundError(f"key {key!r} names a column twice")
    elif len(view.entity) == 1:
        texts = {view.entity[0]: key}
    else:
        example = ",".join(f"{name}=…" for name in view.entity)
        raise NotFoundError(f"view {view.name} is kept by {' and '.join(view.entity)}; write a key as {example}")
    columns = ports.definitions.dataset(view.dataset).columns
    try:
        values = {name: text_value(columns[name], text) for name, text in texts.items()}
    except ValueError:
        raise DataError(f"key {key!r} is not of the types of {' and '.join(view.entity)} in {view.dataset}") from None
    return lookups.entity_of(ports.definitions, view, values)


def read_moment(text: str) -> datetime:
    """Return a moment of the command line, in UTC unless it says its offset."""
    try:
        return aware_utc(datetime.fromisoformat(text))
    except ValueError:
        raise DataError(f"--at {text!r} is not a moment in ISO 8601, such as 2019-03-01T12:00:00Z") from None


def _described(ports: Ports, view: FeatureView) -> dict[str, Any]:
    told: dict[str, Any] = {
        "view": view.name,
        "kind": view.kind,
        "dataset": view.dataset,
        "entity": ", ".join(view.entity) or None,
        "ttl": None if view.ttl is None else duration(view.ttl),
        "version": None,
        "rows": None,
        "updated": None,
    }
    if view.kind == "stored":
        told["version"] = ports.definitions.view_version(view.name)
        try:
            published = ports.catalog.view(view.name, told["version"])
        except NotFoundError:
            return told
        told |= {"rows": published.rows, "updated": published.created_at}
    return told


def _value(view: FeatureView, entity: lookups.Entity, row: OnlineRow | None, moment: datetime) -> dict[str, Any]:
    age = None if row is None else str(moment - row.feature_time).partition(".")[0]
    return {
        "entity": dict(zip(view.entity, entity, strict=True)),
        "feature_time": None if row is None else row.feature_time,
        "age": age,
        "values": {} if row is None else dict(row.values),
    }

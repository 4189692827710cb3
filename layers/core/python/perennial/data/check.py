"""Checking definitions against the engine: every expression is bound to empty tables before anything is deployed."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from difflib import get_close_matches
from pathlib import Path

import duckdb

from perennial.data.contract.column_sql import faults, outcome, raw, table_columns, typed
from perennial.data.engine import connect
from perennial.data.feature_types import TEXT
from perennial.data.views.syntax import parse, require_ordered, require_row_by_row, require_steady, tables_read
from perennial.data.views.view_parts import table_select
from perennial.definitions import Column, Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError
from perennial.sql import identifier, literal, sql_type

_NUMERIC = re.compile(r"^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\))$")
_MOMENTS = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_UNKNOWN_COLUMN = re.compile(r'Referenced column "(.+?)" not found|does not have a column named "(.+?)"')
_UNKNOWN_TABLE = re.compile(r"Table with name (.+?) does not exist")


def check_definitions(definitions: Definitions) -> None:
    """Check what needs the engine: columns, types, expressions and the shape of views.

    The SQL is bound to empty tables by an engine that can reach no file and no network.

    Raises
    ------
    DefinitionError
        The first thing that is wrong, as ``features/x.sql: …``: file and mend in one sentence.
    """
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as connection:
        for dataset in definitions.datasets.values():
            _check_dataset(connection, dataset)
        outputs: dict[str, dict[str, str]] = {}
        for view in definitions.views.values():
            _check_views(connection, definitions, view, outputs)
        for model in definitions.models.values():
            _check_model(connection, model, definitions, outputs)


def _check_dataset(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> None:
    place = f"datasets/{dataset.name}.toml"
    twice = [name for name, count in Counter(map(str.lower, dataset.columns)).items() if count > 1]
    if twice:
        raise DefinitionError(f"{place}: columns: {twice[0]!r} stands twice, as SQL does not tell letter cases apart")
    for name in dataset.columns:
        if not name or name.lower() == "rowid" or not name.isprintable():
            raise DefinitionError(f"{place}: columns: {name!r} is a name that SQL cannot use; choose another")
    if dataset.delimiter in '"\r\n\0':
        raise DefinitionError(f"{place}: delimiter: {dataset.delimiter!r} has another meaning in CSV; choose another")
    connection.execute(f"CREATE TABLE {identifier(dataset.name)} ({table_columns(dataset)})")
    for name, column in dataset.columns.items():
        _check_column(connection, column, f"{place}: columns.{name}", dataset)
    for rule in dataset.rules:
        _check_condition(connection, rule.check, dataset, f"{place}: rules: {rule.name}")
    _check_contract(connection, dataset, place)


def _check_column(connection: duckdb.DuckDBPyConnection, column: Column, place: str, dataset: Dataset) -> None:
    """Check what only the engine knows of a column: values of its type, patterns, formats and zones."""
    for value in column.allowed or ():
        # What a file may say is said the same way here: 1.5 is no integer, though the engine would round it.
        text = literal(str(value))
        value_sql = f"TRY_CAST({text} AS {sql_type(column)})" if column.format or column.zone else typed(column, text)
        if connection.execute(f"SELECT ({value_sql}) IS NULL").fetchone() == (True,):
            raise DefinitionError(f"{place}.allowed: {value!r} is not of type {column.type}")
    if column.pattern is not None:
        try:
            connection.execute(f"SELECT regexp_full_match('', {literal(column.pattern)})")
        except duckdb.InvalidInputException as error:
            why = str(error).splitlines()[0].partition(": ")[2]
            raise DefinitionError(
                f"{place}.pattern: {column.pattern!r} is no regular expression of RE2 ({why})"
            ) from error
    if column.zone is not None:
        names = [name for (name,) in connection.execute("SELECT name FROM pg_timezone_names()").fetchall()]
        if column.zone not in names:
            raise DefinitionError(f"{place}.zone: the engine knows no time zone {_missing(column.zone, names)}")
    if column.type == "timestamptz" and column.zone is None and "%z" not in (column.format or "%z"):
        raise DefinitionError(f"{place}.format: {column.format!r} has no offset (%z), so the column needs a zone")
    if column.format is not None:
        _bind(connection, f"SELECT {typed(column, 'NULL::VARCHAR')}", f"{place}.format", dataset)


def _check_contract(connection: duckdb.DuckDBPyConnection, dataset: Dataset, place: str) -> None:
    """Bind the very conditions that ingesting uses."""
    texts = ", ".join(
        f"NULL::VARCHAR AS {raw(position)}, NULL::UTINYINT AS {outcome(position)}"
        for position in range(len(dataset.columns))
    )
    conditions = ", ".join(f"({fault.condition})" for fault in faults(dataset)) or "true"
    query = f"SELECT {conditions} FROM {identifier(dataset.name)}, (SELECT {texts})"
    _bind(connection, query, f"{place}: rules", dataset)


def _check_expression(
    connection: duckdb.DuckDBPyConnection,
    expression: str,
    dataset: Dataset,
    place: str,
    wanted: str,
    fits: Callable[[str], bool],
    mend: Callable[[str], str],
) -> None:
    """Make sure that an expression is one row-by-row value over a dataset's columns, of an SQL type that fits."""
    sql = f"SELECT ({expression}\n) FROM {identifier(dataset.name)}"
    node = parse(sql, place)
    if len(node.get("select_list", ())) != 1:
        raise DefinitionError(f"{place}: must be one expression")
    require_row_by_row(node, dataset.name, place)
    require_steady(node, place)
    ((_, found),) = _bind(connection, sql, place, dataset)
    if not fits(found):
        raise DefinitionError(f"{place}: must be {wanted}, but gives {found}; {mend(found)}")


def _is_number(kind: str) -> bool:
    return _NUMERIC.match(kind) is not None


def _check_condition(connection: duckdb.DuckDBPyConnection, expression: str, dataset: Dataset, place: str) -> None:
    _check_expression(
        connection,
        expression,
        dataset,
        place,
        "a condition",
        lambda kind: kind == "BOOLEAN",
        lambda kind: "compare it with something",
    )


def _check_target(connection: duckdb.DuckDBPyConnection, model: Model, dataset: Dataset, place: str) -> None:
    """Make sure that the target is what the model's task predicts."""
    target = model.target

    def of_regression(kind: str) -> str:
        return 'write task = "binary"' if kind == "BOOLEAN" else "cast it to DOUBLE"

    def of_binary(kind: str) -> str:
        return f"write `{_operand(target)} = 1`" if _is_number(kind) else "compare it with something"

    wanted, fits, mend = {
        "regression": ("a number", _is_number, of_regression),
        "binary": ("a condition", lambda kind: kind == "BOOLEAN", of_binary),
        "multiclass": ("a text", lambda kind: kind == TEXT, lambda _: f"write `CAST({target} AS VARCHAR)`"),
    }[model.task]
    if model.task != "regression":
        wanted = f"{wanted}, as the task is {model.task}"
    _check_expression(connection, target, dataset, place, wanted, fits, mend)


def _operand(expression: str) -> str:
    """Return an expression that can stand before an operator."""
    return expression if expression.isidentifier() else f"({expression})"


def _check_slices(connection: duckdb.DuckDBPyConnection, model: Model, dataset: Dataset, place: str) -> None:
    for name, expression in model.slices.items():
        _check_expression(
            connection,
            expression,
            dataset,
            f"{place}: slices.{name}",
            "a condition or a text",
            lambda kind: kind in ("BOOLEAN", TEXT),
            lambda kind: "compare it with something, or CAST it AS VARCHAR",
        )


def _check_views(
    connection: duckdb.DuckDBPyConnection,
    definitions: Definitions,
    view: FeatureView,
    outputs: dict[str, dict[str, str]],
) -> None:
    """Check a view after those that it reads; remember the types of its columns by name."""
    if view.name in outputs:
        return
    for read in definitions.reads(view.name)[1]:
        _check_views(connection, definitions, read, outputs)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {identifier(read.name)} AS {table_select(read)} LIMIT 0")
    outputs[view.name] = _check_view(connection, view, definitions.dataset(view.dataset))


def _check_view(connection: duckdb.DuckDBPyConnection, view: FeatureView, dataset: Dataset) -> dict[str, str]:
    """Check a view; return the types of its columns by name."""
    place = f"features/{view.name}.sql"
    node = parse(view.sql, place)
    require_steady(node, place)
    if view.kind == "request":
        require_row_by_row(node, dataset.name, place)
    columns = _bind(connection, view.sql, place, dataset, view.reads)
    if view.kind == "stored":
        require_ordered(node, place)
    known = {dataset.name.lower(), *map(str.lower, view.reads)}
    for name in tables_read(node):
        if name not in known:
            raise DefinitionError(f"{place}: reads the table {name}; say so with `-- reads: {name}` in its header")
    twice = [name for name, count in Counter(name.lower() for name, _ in columns).items() if count > 1]
    if twice:
        raise DefinitionError(f"{place}: gives two columns named {twice[0]!r}; name one of them otherwise with AS")
    types = dict(columns)
    if view.kind == "stored":
        _check_keys(view, dataset, types, place)
    return types


def _check_keys(view: FeatureView, dataset: Dataset, types: dict[str, str], place: str) -> None:
    for column in view.entity:
        if column not in types:
            raise DefinitionError(f"{place}: entity: the SELECT gives no column {_missing(column, types)}")
        if column not in dataset.columns:
            place_of = f"datasets/{dataset.name}.toml"
            raise DefinitionError(f"{place}: entity: {place_of} has no column {_missing(column, dataset.columns)}")
        expected = sql_type(dataset.columns[column])
        if types[column] != expected:
            raise DefinitionError(
                f"{place}: entity: {column} is {types[column]} in the view, but {expected} in the dataset; "
                f"CAST it AS {expected}"
            )
    time = str(view.feature_time)
    if time not in types:
        raise DefinitionError(f"{place}: feature_time: the SELECT gives no column {_missing(time, types)}")
    if types[time] not in _MOMENTS:
        raise DefinitionError(f"{place}: feature_time: {time} is {types[time]}; CAST it AS TIMESTAMP")
    if time in view.entity:
        raise DefinitionError(f"{place}: feature_time: {time} is an entity column as well; choose another")


def _check_model(
    connection: duckdb.DuckDBPyConnection, model: Model, definitions: Definitions, outputs: dict[str, dict[str, str]]
) -> None:
    place = f"models/{model.name}.toml"
    dataset = definitions.dataset(model.dataset)
    _check_condition(connection, model.filter, dataset, f"{place}: filter")
    _check_target(connection, model, dataset, f"{place}: target")
    _check_slices(connection, model, dataset, place)
    for view, columns in model.features.items():
        where = f"{place}: features.{view}"
        for entity in definitions.view(view).entity:
            kind, own = outputs[view][entity], sql_type(dataset.columns[entity])
            if kind != own:
                raise DefinitionError(
                    f"{where}: the view is kept by {entity} of type {kind}, but {entity} of dataset {dataset.name} is "
                    f"{own}; give both the same type"
                )
        if not columns or len(set(columns)) < len(columns):
            raise DefinitionError(f"{where}: lists {'a column twice' if columns else 'no column'}; name each once")
        for column in columns:
            if column not in outputs[view]:
                raise DefinitionError(f"{where}: features/{view}.sql gives no column {_missing(column, outputs[view])}")
            _check_feature(model, view, column, outputs[view][column], where)


def _check_feature(model: Model, view: str, column: str, kind: str, where: str) -> None:
    """Make sure that a feature is of an SQL type that models read, and that `preprocessing` goes with it."""
    if not (_is_number(kind) or kind in ("BOOLEAN", TEXT)):
        raise DefinitionError(
            f"{where}: {column} is {kind}, but features are numbers, booleans or texts; "
            f"turn it into one in features/{view}.sql"
        )
    said = model.preprocessing.get(f"{view}.{column}")
    if kind == TEXT and said not in (None, "categorical"):
        raise DefinitionError(
            f"models/{model.name}.toml: preprocessing: {view}.{column} is text, which is categorical and no {said}; "
            f"CAST it AS {'BOOLEAN' if said == 'boolean' else 'DOUBLE'} in features/{view}.sql"
        )


def _bind(
    connection: duckdb.DuckDBPyConnection, sql: str, place: str, dataset: Dataset, reads: Sequence[str] = ()
) -> Sequence[tuple[str, str]]:
    """Return (name, type) of each column that a SELECT over empty tables gives."""
    try:
        names = [column[0] for column in connection.execute(sql).description]
        types = [row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM ({sql}\n)").fetchall()]
    except duckdb.PermissionException as error:
        raise DefinitionError(f"{place}: reads a file; the SELECT may read {_tables(dataset, reads)} only") from error
    except duckdb.Error as error:
        raise DefinitionError(f"{place}: {_sentence(str(error), dataset, reads)}") from error
    return list(zip(names, types, strict=True))


def _tables(dataset: Dataset, reads: Sequence[str]) -> str:
    return f"the tables {', '.join((dataset.name, *reads))}" if reads else f"the table {dataset.name}"


def _sentence(message: str, dataset: Dataset, reads: Sequence[str]) -> str:
    """Turn the engine's message into a sentence that names what is known."""
    if (match := _UNKNOWN_COLUMN.search(message)) and not reads:
        return f"dataset {dataset.name} has no column {_missing(match[1] or match[2], dataset.columns)}"
    if match := _UNKNOWN_TABLE.search(message):
        return f"there is no table {match[1]}; the SELECT may read {_tables(dataset, reads)} only"
    first = message.splitlines()[0].partition(": ")[2] or message.splitlines()[0]
    return first[0].lower() + first[1:]


def _missing(name: str, known: Collection[str]) -> str:
    """Return a name that is not known, with those that were perhaps meant."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"{name!r}; the nearest are {', '.join(near)}" if near else f"{name!r}; there is {', '.join(known)}"

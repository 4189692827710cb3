"""The client of a notebook: frames of what a deployment knows, and experiments."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perennial.client.deployment import Deployment
from perennial.client.experiments import Operator
from perennial.client.journal import Journal
from perennial.errors import DataError, NotFoundError
from perennial.manifest import feature_column
from perennial.ports import Ports
from perennial.utc import naive_utc

if TYPE_CHECKING:  # pandas and DuckDB are loaded by the first frame, not by every command of the CLI
    import pandas as pd

    from perennial.client.lineage import Lineage
    from perennial.data.point_in_time import StoredLookup
    from perennial.records import Snapshot

_NUMBER = "row number"
"""Column that keeps rows in their order."""


def connect(stage: str = "local", name: str | None = None, definitions: Path | str | None = None) -> Client:
    """Find a deployment, as the CLI does, and return a client of it.

    Parameters
    ----------
    stage : str
        ``local`` for the local cloud that runs in this folder, else a stage in the AWS account of the environment.
    name : str or None
        Name of the stack; ``perennial-<stage>`` by default.
    definitions : Path, str or None
        Folder of definitions to read in place of those that are deployed.

    Raises
    ------
    NotFoundError
        No local cloud runs in this folder, or there is no such stack.
    TransientError
        AWS cannot be reached or gives no access.
    """
    folder = None if definitions is None else Path(definitions)
    deployment = Deployment.connect(stage, name, definitions=folder)
    return Client(deployment.ports, deployment)


class Client(Journal):
    """What a deployment knows, as pandas frames, and experiments, the one thing that it writes.

    Times are in UTC, without a zone, as the system keeps them. As pandas has it, decimals become floats, and so do
    integers among which one is missing. Files are kept in a temporary folder as long as the client lives.

    Parameters
    ----------
    ports : Ports
        The deployment's stores; :func:`connect` finds them.
    operator : Operator or None
        Who uses it; without one there are no experiments.
    """

    def __init__(self, ports: Ports, operator: Operator | None = None) -> None:
        from perennial.steps.snapshots.part_files import PartFiles

        super().__init__(ports, operator)
        self._folder = Path(tempfile.mkdtemp(prefix="perennial-"))
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        """Removes the temporary folder; happens by itself when the client is gone."""
        self._files = PartFiles(ports.artifacts, self._folder)

    def __repr__(self) -> str:
        found = self._ports.definitions
        kinds: dict[str, Iterable[str]] = {"datasets": found.datasets, "views": found.views, "models": found.models}
        told = [f"{kind} {', '.join(sorted(names)) or 'none'}" for kind, names in kinds.items()]
        return f"<Client: {'; '.join(told)}>"

    def views(self) -> pd.DataFrame:
        """Return the feature views: name, kind, dataset, entity, ttl, rows and updated_at of their offline tables.

        >>> client.views()[["view", "kind", "entity", "rows"]]
                   view     kind entity  rows
        0  trip_context  request          NaN
        1    zone_stats   stored   zone   3.0
        """
        import pandas as pd

        return pd.DataFrame([self._described(name) for name in sorted(self._ports.definitions.views)])

    def features(
        self, view: str, keys: Iterable[object], columns: Sequence[str] | None = None, at: datetime | None = None
    ) -> pd.DataFrame:
        """Return a stored view's values of some entities: one row per key, in their order; a missing one is empty.

        Parameters
        ----------
        view : str
            A stored view.
        keys : iterable
            Each the value of the view's entity column; of several columns, a tuple or a mapping of column to value.
        columns : sequence of str or None
            The view's columns; all by default.
        at : datetime or None
            None reads what is known now, from the online store, whatever its age. A moment (UTC unless it has a zone)
            reads what was known then, from the offline table; values older than the view's ttl are missing.

        Raises
        ------
        NotFoundError
            There is no such view or column, or the view has no table yet.
        DataError
            A key is not of its column's type.

        >>> client.features("zone_stats", [1, 9], ["mean"])
           zone   known_at  mean
        0     1 2019-03-02  25.0
        1     9        NaT   NaN
        >>> client.features("zone_stats", [1], at=datetime(2019, 3, 1, 12))
           zone   known_at  mean  most
        0     1 2019-03-01  20.0  30.0
        """
        import pandas as pd

        from perennial.client import lookups

        definition = lookups.stored_view(self._ports.definitions, view)
        names = lookups.chosen_columns(self._ports.definitions, definition, columns)
        entities = [lookups.entity_of(self._ports.definitions, definition, key) for key in keys]
        found = (
            lookups.rows_now(self._ports, definition, entities, names)
            if at is None
            else lookups.rows_at(self._ports, definition, entities, names, at)
        )
        return pd.DataFrame(
            {
                **{name: [entity[place] for entity in entities] for place, name in enumerate(definition.entity)},
                str(definition.feature_time): pd.Series(
                    [None if row is None else row.feature_time.replace(tzinfo=None) for row in found],
                    dtype="datetime64[us]",
                ),
                **{name: [None if row is None else row.values.get(name) for row in found] for name in names},
            }
        ).infer_objects()

    def frame(self, rows: pd.DataFrame, features: Sequence[str], event_time: str) -> pd.DataFrame:
        """Return rows with stored features as they were known at each row's event time, and not later.

        It is the join that makes training sets: of an entity's values the latest one known at or before the row's
        event time, missing if it is older than the view's ttl.

        Parameters
        ----------
        rows : DataFrame
            With the entity columns of each view and the event time; it is not changed.
        features : sequence of str
            Such as ``zone_stats.mean``; the result's column is ``zone_stats__mean``, as in training sets.
        event_time : str
            Column of datetimes, in UTC unless it has a zone.

        Raises
        ------
        NotFoundError
            There is no such view or column, or the view has no table yet.
        DataError
            The rows lack a column, or their event time is none.

        >>> rows = pd.DataFrame({"zone": [1, 1, 2], "at": pd.to_datetime(["2019-03-01", "2019-02-28", "2019-03-05"])})
        >>> client.frame(rows, ["zone_stats.mean"], event_time="at")
           zone         at  zone_stats__mean
        0     1 2019-03-01              20.0
        1     1 2019-02-28               NaN
        2     2 2019-03-05              10.0
        """
        import pandas as pd

        from perennial.data.engine import connect as engine
        from perennial.data.point_in_time import join_features
        from perennial.sql import identifier

        lookups = self._lookups(rows, features, event_time)
        needed = dict.fromkeys([event_time, *(name for lookup in lookups for name in lookup.view.entity)])
        asked = rows[list(needed)].reset_index(drop=True).assign(**{_NUMBER: range(len(rows))})
        wanted = [feature_column(*feature.split(".", 1)) for feature in features]
        with engine(self._folder) as connection:
            connection.register("asked rows", asked)
            query = join_features(connection, 'SELECT * FROM "asked rows"', event_time, lookups)
            names = ", ".join(identifier(name) for name in wanted)
            made = connection.execute(f"SELECT {names} FROM ({query}) ORDER BY {identifier(_NUMBER)}").df()
        return pd.concat([rows, made.set_index(rows.index)], axis=1)

    def dataset(
        self,
        dataset: str,
        since: datetime | None = None,
        until: datetime | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the rows of a dataset's live snapshots.

        Parameters
        ----------
        dataset : str
            Its name.
        since, until : datetime or None
            Event time from which on, and before which, rows are wanted; in UTC unless they have a zone.
        columns : sequence of str or None
            Columns of the contract; all by default.

        >>> client.dataset("trips", since=datetime(2019, 3, 2), columns=["zone", "fare"])
           zone  fare
        0     1  30.0
        1     2  10.0
        """
        return self._rows(dataset, self._ports.catalog.snapshots(dataset)[0], since, until, columns)

    def snapshots(self, dataset: str) -> pd.DataFrame:
        """Return a dataset's live snapshots: id, source, rows, rejected, and the span of their event times.

        >>> client.snapshots("trips")[["source", "rows"]]
                           source  rows
        0  s3://raw/trips/one.csv     4
        """
        import pandas as pd

        self._ports.definitions.dataset(dataset)
        names = ("snapshot_id", "source", "rows", "rejected", "min_event_time", "max_event_time", "created_at")
        live = self._ports.catalog.snapshots(dataset)[0]
        return pd.DataFrame([{name: getattr(each, name) for name in names} for each in live], columns=list(names))

    def snapshot(self, dataset: str, snapshot_id: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the rows of one live snapshot, named by its id or the beginning of it; NotFoundError if none is."""
        live = self._ports.catalog.snapshots(dataset)[0]
        chosen = [snapshot for snapshot in live if snapshot.snapshot_id.startswith(snapshot_id)]
        if len(chosen) != 1:
            raise NotFoundError(f"dataset {dataset} has {len(chosen) or 'no'} live snapshots {snapshot_id!r}…")
        return self._rows(dataset, chosen, None, None, columns)

    def training_frame(self, model: str, version: int | None = None) -> pd.DataFrame:
        """Return what a version of a model learnt from and was judged on; the champion by default.

        The columns are ``event_time``, the features (``view__column``; categorical ones as texts), ``target`` and
        ``part``, which is ``train`` or ``holdout``; and, of held-out rows, ``slice:<name>`` for each slice.

        Raises
        ------
        NotFoundError
            There is no such model or version, or the model has no champion.
        DataError
            A file is not the one that the version was trained on.
        """
        import pandas as pd

        from perennial.data.engine import connect as engine
        from perennial.sql import literal
        from perennial.steps.verified import download_verified

        if version is None:
            champion = self._ports.catalog.champion(model)
            if champion is None:
                raise NotFoundError(f"model {model!r} has no champion; train it, or name a version")
            version = champion.version
        made = self._ports.catalog.version(model, version).training_set
        frames = []
        with engine(self._folder) as connection:
            for part, key in (("train", made.train_key), ("holdout", made.holdout_key)):
                path = self._folder / f"{made.sha256[key]}.parquet"
                download_verified(self._ports.artifacts, key, made.sha256[key], path)
                frame = connection.execute(f"SELECT * FROM read_parquet({literal(str(path))})").df()
                frames.append(frame.assign(part=part))
        return pd.concat(frames, ignore_index=True)

    def lineage(self, thing: str) -> Lineage:
        """Return what something was made from, and what was made from it: ``nodes``, ``edges`` and ``to_json()``.

        Parameters
        ----------
        thing : str
            A prediction id; a version, as ``fare@3``; the id of a snapshot, a training set or a run, or its beginning;
            an uploaded file, as ``trips/one.csv``.

        Raises
        ------
        NotFoundError
            There is no such thing.
        DataError
            Several begin so.

        >>> [node.kind for node in client.lineage("trips/one.csv").nodes.values()]
        ['file', 'snapshot']
        """
        from perennial.client.lineage import lineage_of

        return lineage_of(self._ports, thing)

    def _described(self, name: str) -> dict[str, Any]:
        view = self._ports.definitions.views[name]
        told: dict[str, Any] = {
            "view": name,
            "kind": view.kind,
            "dataset": view.dataset,
            "entity": ", ".join(view.entity),
            "ttl": view.ttl,
            "rows": None,
            "updated_at": None,
        }
        if view.kind == "stored":
            try:
                table = self._ports.catalog.view(name, self._ports.definitions.view_version(name))
            except NotFoundError:
                return told
            told |= {"rows": table.rows, "updated_at": table.created_at}
        return told

    def _lookups(self, rows: pd.DataFrame, features: Sequence[str], event_time: str) -> list[StoredLookup]:
        """Check what is asked for, and fetch the parts of the views that the rows' event times can meet."""
        from perennial.client import lookups

        named: dict[str, list[str]] = {}
        for feature in features:
            owner, dot, column = feature.partition(".")
            if not dot:
                raise NotFoundError(f"a feature is named like zone_stats.mean, unlike {feature!r}")
            named.setdefault(owner, []).append(column)
        if event_time not in rows or getattr(rows[event_time].dtype, "kind", "") != "M":
            raise DataError(f"the rows have no column {event_time!r} of datetimes; make one with pandas.to_datetime")
        first, last = rows[event_time].min(), rows[event_time].max()
        span = {} if rows.empty else {"since": _moment(first), "until": _moment(last)}
        made = []
        for name, columns in named.items():
            view = lookups.stored_view(self._ports.definitions, name)
            missing = [column for column in view.entity if column not in rows]
            if missing:
                raise DataError(f"the rows have no column {missing[0]!r}, by which view {name} is kept")
            chosen = lookups.chosen_columns(self._ports.definitions, view, columns)
            made.append(lookups.stored_lookup(self._ports, self._files, view, chosen, **span))
        return made

    def _rows(
        self,
        name: str,
        snapshots: Sequence[Snapshot],
        since: datetime | None,
        until: datetime | None,
        columns: Sequence[str] | None,
    ) -> pd.DataFrame:
        from perennial.data.contract.schema import check_fits
        from perennial.data.engine import connect as engine
        from perennial.data.parquet_chunks import Wanted
        from perennial.data.views.view_sql import DatasetTable, create_table
        from perennial.sql import identifier
        from perennial.steps.snapshots.snapshot_files import read_manifests

        dataset = self._ports.definitions.dataset(name)
        for column in columns or ():
            if column not in dataset.columns:
                known = ", ".join(dataset.columns)
                raise NotFoundError(f"dataset {name} has no column {column!r}; it has {known}")
        first, end = (None if at is None else naive_utc(at) for at in (since, until))
        wanted = Wanted(frozenset((dataset.event_time, *(columns or dataset.columns))), dataset.event_time, first, end)
        manifests = read_manifests(self._ports, snapshots)
        for manifest in manifests:
            check_fits(manifest, dataset)
        parts = [part for manifest in manifests for part in manifest.parts]
        with engine(self._folder) as connection:
            table = DatasetTable(dataset, self._files.fetch(parts, wanted))
            create_table(connection, table, since=first, before=end)
            chosen = ", ".join(map(identifier, columns or dataset.columns))
            return connection.execute(f"SELECT {chosen} FROM {identifier(name)}").df()


def _moment(at: pd.Timestamp) -> datetime:
    """Return a pandas moment as event times are in the data."""
    return naive_utc(at.to_pydatetime(warn=False))

"""The point-in-time join against an implementation that is not ours: ``pandas.merge_asof``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from perennial.data.training_set import Period, write_training_set
from perennial.definitions import Candidate, Column, Dataset, FeatureView, Model, Split
from perennial.definitions.files import Definitions

RIDES = Dataset(
    name="rides",
    event_time="began",
    columns={
        "began": Column(type="timestamp"),
        "zone": Column(type="integer", nullable=True),
        "miles": Column(type="double"),
    },
)
MINUTES = 30 * 24 * 60
"""Times are whole minutes of one month: rows meet feature times exactly now and then."""


def random_rides(random: np.random.Generator, count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "began": moments(random.integers(0, MINUTES, count)),
            "zone": pd.array(np.where(random.random(count) < 0.05, -1, random.integers(0, 8, count)), dtype="Int64"),
            "miles": np.arange(count, dtype=np.float64),  # no two rows alike, so that each can be found again
        }
    ).replace({"zone": {-1: pd.NA}})


def random_values(random: np.random.Generator, count: int) -> pd.DataFrame:
    values = pd.DataFrame(
        {
            "zone": random.integers(0, 7, count),  # zone 7 has no value
            "known_at": moments(random.integers(0, MINUTES, count)),
            "mean": np.where(random.random(count) < 0.1, np.nan, random.normal(size=count)),
        }
    )
    return values.drop_duplicates(["zone", "known_at"])


def moments(minutes: np.ndarray) -> pd.Series:
    return pd.Series(pd.Timestamp("2019-01-01") + pd.to_timedelta(minutes, unit="min"), dtype="datetime64[us]")


def write(frame: pd.DataFrame, path: Path, types: str) -> Path:
    with duckdb.connect() as connection:
        connection.register("frame", frame)
        connection.execute(f"COPY (SELECT {types} FROM frame) TO '{path}' (FORMAT parquet)")
    return path


def joined(rides: pd.DataFrame, values: pd.DataFrame, ttl: timedelta | None, folder: Path) -> pd.DataFrame:
    """Return ours: target and feature of every row, of both parts."""
    view = FeatureView(
        name="past",
        kind="stored",
        dataset="rides",
        entity=("zone",),
        feature_time="known_at",
        ttl=ttl,
        sql="SELECT zone, began AS known_at, miles AS mean FROM rides",
    )
    model = Model(
        name="fare",
        dataset="rides",
        target="miles",
        features={"past": ("mean",)},
        split=Split(holdout="7 days"),
        candidates=(Candidate(name="ridge", algorithm="ridge"),),
    )
    rows = write(rides, folder / "rides.parquet", "began::TIMESTAMP AS began, zone::BIGINT AS zone, miles")
    table = write(values, folder / "past.parquet", "zone::BIGINT AS zone, known_at::TIMESTAMP AS known_at, mean")
    train, holdout = folder / "train.parquet", folder / "holdout.parquet"
    definitions = Definitions({"rides": RIDES}, {"past": view}, {"fare": model})
    latest = rides["began"].max().to_pydatetime()
    period = Period(None, latest - timedelta(days=7), latest)
    write_training_set(model, definitions, [rows], {"past": [table]}, period, train, holdout)
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?) ORDER BY target", [[str(train), str(holdout)]])
        return found.df()


@pytest.mark.parametrize("ttl", [None, timedelta(hours=1), timedelta(days=2)])
@pytest.mark.parametrize("seed", range(4))
def test_every_row_is_given_the_value_that_pandas_gives_it(seed: int, ttl: timedelta | None, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    rides, values = random_rides(random, 2000), random_values(random, 600)

    found = joined(rides, values, ttl, tmp_path)

    expected = pd.merge_asof(
        rides.dropna(subset="zone").sort_values("began"),
        values.astype({"zone": "Int64"}).sort_values("known_at"),
        left_on="began",
        right_on="known_at",
        by="zone",
        tolerance=None if ttl is None else pd.Timedelta(ttl),
    ).set_index("miles")["mean"]
    expected = expected.reindex(rides["miles"])  # a row without an entity has no value
    assert 0.05 < expected.isna().mean() < 0.95
    np.testing.assert_array_equal(found["target"], expected.index)
    np.testing.assert_array_equal(found["past__mean"], expected.to_numpy())

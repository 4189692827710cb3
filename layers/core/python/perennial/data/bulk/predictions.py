"""What a version predicts of a file's rows, as Parquet: a row for each row, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.data.bulk.stretches import Lines
from perennial.data.engine import write_query
from perennial.manifest import Manifest
from perennial.sql import identifier, literal

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
OWN_COLUMNS = ("file", "row", "version", "value", "label", "probabilities", "missing")
"""Columns of ours; a dataset's key column of such a name is written as ``key_<name>``."""
_MADE = "\x01made"


@dataclass(frozen=True)
class Predicted:
    """Predictions of the rows of one Parquet file."""

    part: Path
    """The rows; those that are not in ``kept`` are left out."""
    file: str
    """Name of the file that they come from."""
    lines: Lines
    """Of every row of the part: where in the file it stands."""
    features: Matrix
    values: Matrix
    """Of shape (n,), or (n, len(classes)): as `perennial.serving.scorer.Scorer.score_matrix` gives them."""
    kept: Mask
    """Which rows have a prediction."""


def write_predictions(
    connection: duckdb.DuckDBPyConnection, manifest: Manifest, key: Sequence[str], made: Predicted, path: Path
) -> int:
    """Write predictions as Parquet; return how many they are.

    The columns are the key, ``file``, ``row``, ``version``, ``value`` (in the target's unit; of classes, the
    probability of ``label``; of a condition, the probability that it holds), of classes and conditions ``label``, of
    classes ``probabilities``, and ``missing``, the features without a value.

    Parameters
    ----------
    connection : DuckDBPyConnection
        With one thread, so that the same predictions make the same bytes.
    key : sequence of str
        Columns of the part that say whom a row is about.
    path : Path
        The file to write.
    """
    columns: dict[str, npt.NDArray[np.generic]] = {"place": np.flatnonzero(made.kept), "row": made.lines[made.kept]}
    values = made.values[made.kept]
    answer = [f"{manifest.version} AS version", "made.value AS value"]
    if values.ndim == 2:
        columns |= {"label": np.argmax(values, axis=1)}
        columns["value"] = values[np.arange(len(values)), columns["label"].astype(np.int64)]
        columns |= {f"p{place}": np.ascontiguousarray(values[:, place]) for place in range(values.shape[1])}
        classes = f"[{', '.join(map(literal, manifest.classes))}]"
        chances = ", ".join(f"made.p{place}" for place in range(values.shape[1]))
        answer += [f"{classes}[made.label + 1] AS label", f"MAP({classes}, [{chances}]) AS probabilities"]
    else:
        columns["value"] = values
        if manifest.task == "binary":
            answer.append("made.value > 0.5 AS label")  # as in `perennial.metrics`, by which the version was judged
    columns["pattern"], lists = _patterns(np.isnan(made.features[made.kept]), manifest.features)
    names = [f"rows.{identifier(name)} AS {identifier(output_name(name))}" for name in key]
    selected = ", ".join([*names, f"{literal(made.file)} AS file", "made.row", *answer, f"{lists} AS missing"])
    rows = f"read_parquet({literal(str(made.part))}, file_row_number = true)"
    connection.register(_MADE, columns)
    try:
        return write_query(
            connection,
            f"SELECT {selected} FROM {identifier(_MADE)} AS made JOIN {rows} AS rows "
            "ON rows.file_row_number = made.place ORDER BY made.place",
            path,
        )
    finally:
        connection.unregister(_MADE)


def output_name(key: str) -> str:
    """Return the name under which predictions have a column of the dataset's key."""
    return f"key_{key}" if key.lower() in OWN_COLUMNS else key


def _patterns(missing: Mask, features: Sequence[str]) -> tuple[npt.NDArray[np.int64], str]:
    """Return each row's pattern of missing features, and the SQL of a pattern's names."""
    packed = np.ascontiguousarray(np.packbits(missing, axis=1))
    whole = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, pattern = np.unique(whole, return_index=True, return_inverse=True)
    lists = [
        f"[{', '.join(literal(features[int(place)]) for place in np.flatnonzero(missing[row]))}]::VARCHAR[]"
        for row in first
    ]
    return pattern.astype(np.int64), f"[{', '.join(lists)}][made.pattern + 1]"

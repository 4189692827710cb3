"""The contract of a file whose rows are to be predicted: the dataset's, but for what a version does not ask for."""

from __future__ import annotations

from perennial.definitions import Column, Dataset
from perennial.definitions.dataset import Bounds, FileRules
from perennial.manifest import Manifest

_OF_A_KEY = ("type", "format", "zone", "ambiguous", "precision", "scale")
"""What makes a key column's text a value; rules over values are not a matter of who a row is about."""


def bulk_contract(dataset: Dataset, manifest: Manifest) -> Dataset:
    """Return the contract that a file's rows are held against, which is what the API asks of an instance.

    The columns are the manifest's inputs, and the dataset's key as far as the file has it. All others, such as the
    target, are left out. Rules over several columns, over a file as a whole and over keys that come twice do not
    count: they are about rows to learn from.

    Parameters
    ----------
    dataset : Dataset
        The contract of the rows that the version learnt from.
    manifest : Manifest
        The version's.
    """
    columns: dict[str, Column] = {}
    for name, column in dataset.columns.items():
        if name in manifest.inputs:
            read = manifest.inputs[name]
            columns[name] = read.model_copy(update={"optional": read.nullable, "max_null": None})
        elif name in dataset.key:
            columns[name] = Column(nullable=True, optional=True, **{part: getattr(column, part) for part in _OF_A_KEY})
    time = manifest.event_time if manifest.event_time in columns else next(iter(columns))
    # Not validated again: here an event time may be absent, and its place be taken by a column that is no time.
    return dataset.model_copy(
        update={
            "columns": columns,
            "event_time": time,
            "key": tuple(name for name in dataset.key if name in columns),
            "extra_columns": "accept",
            "rules": (),
            "bounds": Bounds(),
            "file": FileRules(),
        }
    )

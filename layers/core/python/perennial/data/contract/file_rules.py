"""Rules over a file as a whole: the period that its name says, and what makes it refused once its rows are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from perennial.data.contract.column_sql import Limits
from perennial.data.contract.verdict import Seen
from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.utc import naive_utc

ENOUGH = 10
"""Values of a column that must be there before their all being of another type counts as another column."""
_LETTERS = {"%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d{2})", "%d": r"(?P<d>\d{2})"}


def limits(dataset: Dataset, name: str, uploaded_at: datetime | None) -> Limits:
    """Return where the event times of a file must lie.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    name : str
        The file's name, with or without folders, from which ``bounds.file_period`` is read.
    uploaded_at : datetime or None
        When it was uploaded; None leaves the rule about it out. Without time zone it is UTC.

    Raises
    ------
    DataError
        The name does not say the period.
    """
    start, end = _period(dataset, name)
    bound = uploaded_at if dataset.bounds.not_after_upload else None
    return Limits(None if bound is None else naive_utc(bound), start, end)


def _period(dataset: Dataset, name: str) -> tuple[datetime | None, datetime | None]:
    form = dataset.bounds.file_period
    if form is None:
        return None, None
    pattern = "".join(_LETTERS.get(piece) or re.escape(piece) for piece in re.split(r"(%[Ymd])", form))
    match = re.search(rf"(?<!\d){pattern}(?!\d)", PurePosixPath(name).name)
    said = {letter: int(digits) for letter, digits in match.groupdict().items()} if match else {}
    try:
        # A name without a year, or with a month 13, is told alike.
        start = datetime(said.get("Y", 0), said.get("m", 1), said.get("d", 1))
        if "d" in said:
            return start, start + timedelta(days=1)
        if "m" in said:
            return start, (start + timedelta(days=32)).replace(day=1)
        return start, start.replace(year=start.year + 1)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{name}: the name does not say its period, so the file is refused as a whole; name it after "
            f"{form} or change bounds.file_period in datasets/{dataset.name}.toml"
        ) from error


def refusal(
    dataset: Dataset,
    name: str,
    *,
    rows: int,
    good: int,
    seen: Mapping[str, Seen],
    latest: datetime | None,
    uploaded_at: datetime | None,
) -> str | None:
    """Return the sentence that refuses a file, or None if it keeps all rules.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    name : str
        What the sentence calls the file.
    rows, good : int
        Rows of the file, and how many of them are good.
    seen : mapping of str to Seen
        What was counted of columns.
    latest : datetime or None
        Last event time of the good rows, naive UTC.
    uploaded_at : datetime or None
        When the file was uploaded; None leaves the rule about it out.
    """
    broken = []
    for column, found in seen.items():
        contract = dataset.columns[column]
        if found.texts >= ENOUGH and found.of_type == 0:
            broken.append(f"none of the {found.texts} values of {column} is of the type {contract.type}")
        total = found.nulls + found.texts
        if contract.max_null is not None and total and found.nulls / total > contract.max_null:
            share = f"{found.nulls} of {total} rows have no {column}"
            broken.append(f"{share}, more than the share of {contract.max_null:g} that max_null allows")
    if good < dataset.file.min_rows:
        broken.append(f"it has {good} good rows, fewer than the {dataset.file.min_rows} that min_rows asks for")
    if rows and (rows - good) / rows > dataset.file.max_rejected:
        share = f"{rows - good} of {rows} rows go to quarantine"
        broken.append(f"{share}, more than the share of {dataset.file.max_rejected:g} that max_rejected allows")
    if dataset.file.freshness is not None and latest is not None and uploaded_at is not None:
        age = naive_utc(uploaded_at) - latest
        if age > dataset.file.freshness:
            broken.append(
                f"its latest row is of {latest:%Y-%m-%d %H:%M:%S}, {age.days} days before the upload, "
                f"longer than the freshness of {dataset.file.freshness} allows"
            )
    if not broken:
        return None
    return (
        f"{name}: {'; and '.join(broken)}: the file is refused as a whole; mend it and upload it again, "
        f"or change datasets/{dataset.name}.toml"
    )

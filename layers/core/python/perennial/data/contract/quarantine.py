"""Taking rows that are to be forgotten out of a quarantine, whose rows have no types."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from pathlib import Path
from typing import Any

from perennial.data.live_rows.erasure import subject_hash
from perennial.data.reading.sources import MAX_RAW
from perennial.definitions import Dataset
from perennial.records import Erasure

_WITHHELD = "withheld, as rows of this dataset were forgotten and this one cannot be told from them"
_MOST_COLUMNS = 2
"""Columns of an erasure beyond which too many combinations of a row's fields would have to be tried."""


def clean_quarantine(source: Path, target: Path, dataset: Dataset, erasures: Sequence[Erasure]) -> int:
    """Copy a quarantine without the rows that erasures name; return how many these are.

    A rejected row need not have columns where the contract has them, so each of its fields is held for the value of
    each column: rather a row too many is taken out. Where even that cannot be tried (the raw text was cut, a column is
    neither text nor a whole number, or an erasure names rows by more than two columns), what the row holds is withheld;
    its line and rule stay.

    Parameters
    ----------
    source, target : Path
        JSON Lines as `perennial.data.contract.validate` writes them.
    dataset : Dataset
        Whose upload it was.
    erasures : sequence of Erasure
        What was forgotten.
    """
    taken = 0
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as kept:
        for line in lines:
            row = json.loads(line)
            verdicts = [_names(erasure, row, dataset) for erasure in erasures]
            if True in verdicts:
                taken += 1
                continue
            withheld = {**row, "value": None, "reason": _WITHHELD, "raw": ""}
            kept.write(json.dumps(withheld, ensure_ascii=False) + "\n" if None in verdicts else line)
    return taken


def _names(erasure: Erasure, row: Mapping[str, Any], dataset: Dataset) -> bool | None:
    """Tell whether an erasure names a rejected row; None if that cannot be told."""
    if row["reason"] == _WITHHELD:
        return False
    decidable = len(erasure.columns) <= _MOST_COLUMNS and set(erasure.types) <= {"BIGINT", "VARCHAR"}
    fields = _fields(str(row["raw"]), dataset)
    if not decidable or fields is None:
        return None
    choices = []
    for name, kind in zip(erasure.columns, erasure.types, strict=True):
        texts = [text for column, text in fields if column in (name, None)]
        if row["column"] == name and row["value"] is not None:
            texts.append(str(row["value"]))
        choices.append({as_typed for text in texts for as_typed in _typed(text, kind)})
    return any(subject_hash(erasure.salt, texts) == erasure.subject_sha256 for texts in product(*choices))


def _fields(raw: str, dataset: Dataset) -> list[tuple[str | None, str]] | None:
    """Return a raw row's columns (None: any) and texts, or None if they cannot be told."""
    if len(raw) >= MAX_RAW or not raw.strip():
        return None
    if dataset.format == "csv":
        try:
            rows = list(csv.reader(io.StringIO(raw, newline=""), delimiter=dataset.delimiter))
        except csv.Error:
            return None
        return [(None, field) for row in rows for field in row]
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return [(name, _text(value)) for name, value in found.items()] if isinstance(found, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _typed(text: str, kind: str) -> Iterator[str]:
    """Yield what a field may mean as the engine writes it."""
    if kind == "VARCHAR":
        yield text
        yield text.strip()
        return
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return
    if number.is_finite() and abs(number) < 2**63 and number == number.to_integral_value():
        yield str(int(number))

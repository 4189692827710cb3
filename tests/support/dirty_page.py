"""The tables of docs/dirty-data.md, from the lists that the tests run; `python -m tests.support.dirty_page` writes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.support.dirty_files import BYTES, CSV, JSON_LINES, Dirty
from tests.support.dirty_parquet import PARQUET, Odd
from tests.support.dirty_values import SAID, VALUES, Rule

PAGE = Path(__file__).parents[2] / "docs" / "dirty-data.md"
_TABLE = r"(<!-- table: {name} -->\n).*?(<!-- end -->)"


def tables() -> dict[str, str]:
    """Return the tables by the name that the page calls them."""
    return {
        "values": _table(("column", "text", "is", ""), (_value(*entry) for entry in VALUES)),
        "csv": _files(CSV),
        "jsonl": _files(JSON_LINES),
        "parquet": _files([*BYTES, *PARQUET]),
    }


def filled(page: str) -> str:
    """Return the page with its tables made anew."""
    for name, table in tables().items():
        page = re.sub(
            _TABLE.format(name=name), lambda match, table=table: f"{match[1]}{table}{match[2]}", page, flags=re.S
        )
    return page


def _files(files: Iterable[Dirty | Odd]) -> str:
    return _table(("file", "what becomes of it"), ((file.what, file.outcome()) for file in files))


def _value(column: object, text: str, outcome: object, remark: str) -> tuple[str, ...]:
    shown = text if len(text) < 40 else f"{text[:5]}…"
    visible = "".join(
        letter if letter.isprintable() and letter != "\u0301" else f"\\u{ord(letter):04x}" for letter in shown
    )
    means = (
        f"quarantined: `{outcome.name}`"
        if isinstance(outcome, Rule)
        else "absent"
        if outcome is None
        else f"`{outcome}`"
    )
    return SAID[column.fingerprint], f"`{visible}`" if visible else "nothing", means, remark  # type: ignore[attr-defined]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))

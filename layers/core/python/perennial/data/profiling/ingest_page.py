"""The page of an ingest report: what is shown of its facts, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perennial.data.profiling.column_cards import card
from perennial.data.profiling.comparison import ColumnComparison, Comparison
from perennial.data.profiling.moves_in_words import moves
from perennial.data.profiling.profile import ColumnProfile, Profile
from perennial.reporting.blocks import (
    Badge,
    Block,
    Cards,
    Cell,
    Code,
    KeyFigure,
    KeyFigures,
    Link,
    Note,
    Paragraph,
    Section,
    Table,
    Tone,
)
from perennial.reporting.words import count, cut, listing, number, several, share, size

Report = Mapping[str, Any]
EXAMPLES = 10
"""How many rejected rows the page shows; the report's JSON has more, the quarantine all."""
MANY_REJECTED = 0.05
"""Share of rejected rows from which on the page warns."""
WITHHELD = "Examples and column profiles were taken out of this report when rows of this dataset were forgotten."
_MOVED: dict[str, tuple[str, Tone]] = {
    "much": ("moved much", "bad"),
    "some": ("moved", "warn"),
    "steady": ("steady", "good"),
    "unknown": ("too few rows to say", "plain"),
}


def sections(report: Report) -> list[Section]:
    """Return the sections of a report's page."""
    profile = None if report["profile"] is None else Profile.model_validate(report["profile"])
    comparison = None if report["comparison"] is None else Comparison.model_validate(report["comparison"])
    found = [Section("", [*_verdict(report, comparison), _figures(report, profile)])]
    if report["rejected"]:
        found.append(Section("What was rejected, and why", _rejections(report)))
    if profile is not None:
        found.append(Section("What moved since the snapshot before", _movements(report, comparison)))
        found.append(Section("Columns", _columns(profile, comparison)))
    found.append(Section("Where this comes from", [_origin(report, profile)]))
    return found


def _verdict(report: Report, comparison: Comparison | None) -> list[Block]:
    rows, rows_in, rejected = report["rows"], report["rows_in"], report["rejected"]
    blocks: list[Block] = []
    if report["refusal"]:
        blocks.append(Note(f"Refused as a whole: {report['refusal']}", "bad"))
    elif rejected:
        tone: Tone = "warn" if rejected >= MANY_REJECTED * rows_in else "good"
        text = (
            f"Taken in: {count(rows)} of {several(rows_in, 'row')} keep the contract; {count(rejected)} "
            f"({share(rejected, rows_in)}) went to quarantine."
        )
        blocks.append(Note(text, tone))
    else:
        blocks.append(Note(f"Taken in: all of the {several(rows_in, 'row')} keep the contract.", "good"))
    much = [column.name for column in comparison.columns if column.moved == "much"] if comparison else []
    if much:
        blocks.append(
            Note(f"Since the snapshot before, {several(len(much), 'column')} moved much: {listing(much)}.", "warn")
        )
    blocks.extend(Note(text, "plain") for text in _remarks(report))
    return blocks


def _remarks(report: Report) -> list[str]:
    found = [WITHHELD] if report.get("withheld") else []
    if report["added_columns"]:
        names = listing(report["added_columns"], 10)
        found.append(f"The file also has {names}, which the contract does not know: left out, and recorded.")
    if report["absent_columns"]:
        names = listing(report["absent_columns"], 10)
        found.append(f"The file lacks {names}, which the contract allows: empty in all rows.")
    found.extend(
        f"New categories of {name}: {listing([cut(value, 60) for value in values], 10)}."
        for name, values in report["new_categories"].items()
    )
    if report["forgotten"]:
        found.append(f"{several(report['forgotten'], 'row')} had been forgotten on request, and did not come back.")
    if report["superseded"]:
        rows, snapshots = sum(report["superseded"].values()), len(report["superseded"])
        found.append(f"Took the place of {several(rows, 'row')} with the same key in {several(snapshots, 'snapshot')}.")
    return found


def _figures(report: Report, profile: Profile | None) -> KeyFigures:
    rejected, rows_in = report["rejected"], report["rows_in"]
    first, last = (str(report[name] or "")[:10] for name in ("min_event_time", "max_event_time"))
    figures = [
        KeyFigure("Rows in the file", count(rows_in)),
        KeyFigure("Kept the contract", count(report["rows"]), share(report["rows"], rows_in)),
        KeyFigure(
            "Rejected", count(rejected), share(rejected, rows_in),
            "warn" if rejected and rejected >= MANY_REJECTED * rows_in else "plain",
        ),
    ]  # fmt: skip
    if first:
        figures.append(KeyFigure("Period", first, f"to {last}"))
    if profile is not None:
        figures.append(KeyFigure("Size", size(profile.size), f"Parquet, {several(len(profile.columns), 'column')}"))
    return KeyFigures(figures)


def _rejections(report: Report) -> list[Block]:
    reasons: dict[tuple[str | None, str], str] = {}
    for example in report["examples"]:
        reasons.setdefault((example["column"], example["rule"]), example["reason"])
    rows: list[list[Cell]] = []
    for name, rejected in report["rejected_by"].items():
        column, _, rule = name.rpartition(": ")
        reason = reasons.get((column or None, rule), "")
        rows.append([column or "the row", rule, count(rejected), share(rejected, report["rows_in"]), reason])
    by_rule = Table(
        "Rejected rows by the first rule that they break",
        ["Column", "Rule", "Rows", "Of all rows", "For example"],
        rows,
        frozenset({2, 3}),
    )
    shown = report["examples"][:EXAMPLES]
    if not shown:
        return [by_rule]
    caption = "All rejected rows" if len(shown) == report["rejected"] else f"The first {len(shown)} rejected rows"
    examples = Table(
        f"{caption}; their line in the file, or row in a Parquet file",
        ["Line", "Column", "Value", "Rule", "Why", "As written"],
        [_example(example) for example in shown],
        frozenset({0}),
    )
    return [by_rule, examples]


def _example(example: Mapping[str, Any]) -> list[Cell]:
    value = "" if example["value"] is None else example["value"]
    return [
        str(example["line"]), example["column"] or "the row", Code(value) if value else "none", example["rule"],
        example["reason"], Code(cut(example["raw"] or "", 200)),
    ]  # fmt: skip


def _movements(report: Report, comparison: Comparison | None) -> list[Block]:
    if comparison is None:
        return [Paragraph("There is no snapshot before this one to compare with.")]
    before, now = comparison.rows
    blocks: list[Block] = [
        Paragraph(f"{several(now, 'row')}, before {count(before)} (snapshot {comparison.snapshot_id}).")
    ]
    for names, what in (
        (comparison.only_now, "new in the contract"),
        (comparison.only_before, "no longer in the contract"),
        (comparison.retyped, "of another type than before, and not compared"),
    ):
        if names:
            blocks.append(Paragraph(f"{listing(list(names), 10)}: {what}."))
    now_by_name = {column["name"]: column for column in report["profile"]["columns"]}
    moved = [column for column in comparison.columns if column.moved in ("much", "some")]
    if moved:
        order = {column["name"]: index for index, column in enumerate(report["profile"]["columns"])}
        rows: list[list[Cell]] = [
            [
                Link(column.name, f"column-{order[column.name]}"),
                _badge(column),
                " ".join(moves(column, ColumnProfile.model_validate(now_by_name[column.name]))),
                "" if column.psi is None else number(column.psi, 2),
            ]
            for column in moved
        ]
        caption = "Columns that moved, first what moved most"
        blocks.append(Table(caption, ["Column", "How much", "What moved", "PSI"], rows, frozenset({3})))
    steady, unknown = (sum(column.moved == word for column in comparison.columns) for word in ("steady", "unknown"))
    words = [f"{several(steady, 'column')} as before"] if steady or not unknown else []
    words += [f"of {several(unknown, 'column')} there are too few rows to say"] if unknown else []
    blocks.append(Paragraph(f"{'; '.join(words).capitalize()}."))
    blocks.append(
        Paragraph(
            "PSI, the population stability index, tells how differently values are spread: below 0.1 nothing has "
            "changed, above 0.25 much has. What chance alone would make of it is taken off first."
        )
    )
    return blocks


def _columns(profile: Profile, comparison: Comparison | None) -> list[Block]:
    compared = {column.name: column for column in comparison.columns} if comparison else {}
    cards = []
    for index, column in enumerate(profile.columns):
        other = compared.get(column.name)
        # Moments move by nature: of them, only what is empty is compared.
        badges = [_badge(other)] if other and (other.psi is not None or other.moved != "steady") else []
        cards.append(card(column, profile.rows, other, f"column-{index}", badges))
    blocks: list[Block] = [Cards(cards)]
    if profile.rows_read < profile.rows:
        blocks.insert(
            0,
            Paragraph(
                f"Empty values, smallest and largest are of all rows; all else is of {count(profile.rows_read)} rows "
                "from evenly spread places of the file."
            ),
        )
    return blocks


def _badge(column: ColumnComparison) -> Badge:
    return Badge(*_MOVED[column.moved])


def _origin(report: Report, profile: Profile | None) -> Table:
    facts: list[tuple[str, str | None]] = [
        ("File", report["source"]),
        ("Version", report["source_version"]),
        ("Uploaded", report["uploaded_at"]),
        ("SHA-256 of the file", report["source_sha256"]),
        ("Snapshot", report["snapshot_id"]),
        ("Fingerprint of the contract", report["contract"]),
        ("Rows read for this page", None if profile is None else count(profile.rows_read)),
    ]
    rows: list[list[Cell]] = [[name, Code(value)] for name, value in facts if value]
    return Table("The upload and its contract", ["What", "Which"], rows)

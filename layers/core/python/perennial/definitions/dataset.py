"""A dataset: the contract of what is uploaded."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from perennial.definitions.alarms import Expected
from perennial.definitions.base import Definition, Expression, Length, Name, Scalar
from perennial.utc import aware_utc


class Column(Definition):
    """One column of a dataset."""

    type: Literal[
        "integer", "double", "decimal", "string", "categorical", "boolean", "timestamp", "timestamptz", "date"
    ]
    """What every value of the column is. Text that is not of this type is quarantined, never guessed at."""
    nullable: bool = False
    """Whether a value may be absent."""
    optional: bool = False
    """Whether a file may lack the column, whose values are then absent; it must be nullable."""
    min: FiniteFloat | str | None = None
    """Smallest value that is allowed: a number, or ISO 8601 text for times and dates."""
    max: FiniteFloat | str | None = None
    """Largest value that is allowed: a number, or ISO 8601 text for times and dates."""
    min_length: int | None = Field(default=None, ge=0)
    """Fewest characters of a string."""
    max_length: int | None = Field(default=None, ge=1)
    """Most characters of a string."""
    pattern: str | None = Field(default=None, min_length=1)
    """Regular expression (RE2) that the whole of a string must match."""
    allowed: tuple[Scalar, ...] | None = Field(default=None, min_length=1)
    """The values that are allowed, of a categorical column its categories; None means any."""
    open: bool = False
    """Whether a categorical column may bring new categories: they are kept, and named in the upload's report."""
    precision: int | None = Field(default=None, ge=1, le=38)
    """How many digits a decimal has."""
    scale: int | None = Field(default=None, ge=0, le=38)
    """How many of a decimal's digits stand behind the point; a text with more of them is quarantined."""
    format: str | None = None
    """How a time or date is written, in strptime letters; None means ISO 8601."""
    zone: str | None = None
    """IANA time zone, such as Europe/Berlin, of a timestamptz that is written without an offset."""
    ambiguous: Literal["reject", "earlier", "later"] = "reject"
    """Which moment is meant by a local time that the end of summer time brings twice."""
    tags: tuple[Name, ...] = ()
    """What kind of data it is, such as ``pii`` for what tells who somebody is; a model's ``log.mask`` names tags."""
    max_null: FiniteFloat | None = Field(default=None, ge=0, le=1)
    """Largest share of a file's rows without a value; a file with more is refused."""

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Column:
        for fields, types in _RULES_OF_TYPES:
            named = [name for name in fields if getattr(self, name) not in (None, False, "reject")]
            if named and self.type not in types:
                raise ValueError(f"{named[0]} belongs to {', '.join(types)} columns, not to {self.type}")
        if self.format is not None and "%" not in self.format:
            raise ValueError(f'format is written in strptime letters, such as "%d.%m.%Y %H:%M", unlike {self.format!r}')
        if self.type == "decimal" and (self.precision is None or self.scale is None or self.scale > self.precision):
            raise ValueError("a decimal says its precision and a scale that is not above it, such as 18 and 2")
        if self.optional and not self.nullable:
            raise ValueError("an optional column must be nullable, as its values are absent from files without it")
        if self.ambiguous != "reject" and self.zone is None:
            raise ValueError("ambiguous says what a local time means, so it needs zone")
        if self.zone is not None and not _ZONE.fullmatch(self.zone):
            raise ValueError(f"zone is an IANA name, such as Europe/Berlin, unlike {self.zone!r}")
        self._check_bounds()
        return self

    def _check_bounds(self) -> None:
        low, high = self.min, self.max
        for name, bound in (("min", low), ("max", high)):
            if bound is not None and isinstance(bound, str) != (self.type in _MOMENTS):
                kind = "text in ISO 8601, such as 2019-01-31" if self.type in _MOMENTS else "a number"
                raise ValueError(f"{name} of this {self.type} column is {kind}, unlike {bound!r}")
            if isinstance(bound, str):
                try:
                    datetime.fromisoformat(bound)
                except ValueError:
                    raise ValueError(f"{name} is a time in ISO 8601, such as 2019-01-31, unlike {bound!r}") from None
        if isinstance(low, float) and isinstance(high, float) and low > high:
            raise ValueError(f"min {low:g} is above max {high:g}")
        if isinstance(low, str) and isinstance(high, str) and _moment(low) > _moment(high):
            raise ValueError(f"min {low} is above max {high}")
        if self.min_length is not None and self.max_length is not None and self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is above max_length {self.max_length}")


def _moment(bound: str) -> datetime:
    """Return a bound so that bounds with and without an offset can be compared."""
    return aware_utc(datetime.fromisoformat(bound))


# Whether there is such a zone is checked with the engine, which knows them without the machine's own list.
_ZONE = re.compile(r"UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_MOMENTS = ("timestamp", "timestamptz", "date")
_RULES_OF_TYPES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("min", "max"), ("integer", "double", "decimal", *_MOMENTS)),
    (("min_length", "max_length", "pattern"), ("string",)),
    (("open",), ("categorical",)),
    (("precision", "scale"), ("decimal",)),
    (("format",), _MOMENTS),
    (("zone",), ("timestamptz",)),
)


class Rule(Definition):
    """A rule over the columns of one row."""

    name: Name
    """What the quarantine says when a row breaks the rule."""
    check: Expression
    """SQL expression over the dataset's columns that is true for a good row (null counts as broken)."""


class Bounds(Definition):
    """Where event times must lie; a row outside is quarantined."""

    not_after_upload: bool = False
    """Whether a row may not happen after its file was uploaded."""
    file_period: str | None = None
    """How the file's name says its period, in strptime letters, such as ``yellow_%Y-%m``; rows must lie within."""

    @model_validator(mode="after")
    def _period_names_a_year(self) -> Bounds:
        letters = re.findall(r"%(.)", self.file_period or "%Y")
        if letters not in (["Y"], ["Y", "m"], ["Y", "m", "d"]):
            raise ValueError("file_period holds %Y, %Y and %m, or %Y, %m and %d, in this order")
        return self


class FileRules(Definition):
    """What must hold for a file as a whole; one that breaks a rule is refused, its rows are not taken in."""

    min_rows: int = Field(default=1, ge=1)
    """Fewest good rows."""
    max_rejected: FiniteFloat = Field(default=1.0, ge=0, le=1)
    """Largest share of rows that go to quarantine."""
    freshness: Length | None = None
    """Longest time from the latest event time to the upload."""


class Dataset(Definition):
    """The contract of what is uploaded under ``<name>/`` (``datasets/<name>.toml``)."""

    beside_the_meaning: ClassVar[frozenset[str]] = frozenset({"expected"})
    name: Name
    """The file's name."""
    description: str = ""
    """For people."""
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    """How files are written: CSV with a header line, JSON Lines (both plain, gzip or zstd), or Parquet."""
    encoding: str = "utf-8"
    """How the text of CSV and JSON Lines is encoded, as Python names it, such as latin-1 or utf-16."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two fields of a CSV."""
    null: tuple[str, ...] = ("",)
    """The texts that mean "absent" in a CSV."""
    event_time: str
    """The timestamp column that says when a row happened."""
    key: tuple[str, ...] = ()
    """Columns whose values no two rows share. A file's second such row is quarantined; a later upload's supersedes."""
    columns: dict[str, Column] = Field(min_length=1)
    """The columns that a file must have, by the name in its header."""
    extra_columns: Literal["accept", "refuse"] = "accept"
    """What becomes of columns that the contract does not know: left out and recorded, or the file is refused."""
    rules: tuple[Rule, ...] = ()
    """What must hold for every row beyond single columns."""
    bounds: Bounds = Bounds()
    """Where event times must lie."""
    file: FileRules = FileRules()
    """What must hold for a file as a whole."""
    expected: Expected = Expected()
    """What uploads are usually like; of others people are told."""

    @model_validator(mode="after")
    def _event_time_is_a_timestamp(self) -> Dataset:
        column = self.columns.get(self.event_time)
        if column is None:
            raise ValueError(f"event_time names {self.event_time!r}, which is not among the columns")
        if column.type not in ("timestamp", "timestamptz") or column.nullable:
            raise ValueError(f"event_time column {self.event_time!r} must be a timestamp that is not nullable")
        return self

    @model_validator(mode="after")
    def _key_columns_are_always_there(self) -> Dataset:
        for name in self.key:
            if name not in self.columns:
                raise ValueError(f"key names {name!r}, which is not among the columns")
            if self.columns[name].nullable:
                raise ValueError(f"key column {name!r} must not be nullable")
        if len(set(self.key)) < len(self.key):
            raise ValueError(f"key names a column twice: {', '.join(self.key)}")
        return self

    @model_validator(mode="after")
    def _encoding_is_known(self) -> Dataset:
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(
                f"encoding {self.encoding!r} is not a text encoding of Python's, such as latin-1"
            ) from None
        return self

    @model_validator(mode="after")
    def _rules_have_their_own_names(self) -> Dataset:
        names = [rule.name for rule in self.rules]
        if len(set(names)) < len(names):
            raise ValueError(f"rules must have different names, not {', '.join(names)}")
        return self

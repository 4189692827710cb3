"""What a page is put together from: plain values, which the templates turn into HTML and escape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from perennial.reporting.charts import Chart

Tone = Literal["plain", "good", "warn", "bad"]
"""What a colour says; the words beside it say it too."""


@dataclass(frozen=True)
class Badge:
    """A word or two with a colour."""

    kind: ClassVar[str] = "badge"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Link:
    """A link to an anchor of the same page."""

    kind: ClassVar[str] = "link"
    text: str
    anchor: str


@dataclass(frozen=True)
class Code:
    """Text as it stands in a file."""

    kind: ClassVar[str] = "code"
    text: str


Cell = str | Badge | Link | Code


@dataclass(frozen=True)
class KeyFigure:
    """A number that sums something up."""

    label: str
    value: str
    note: str = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class KeyFigures:
    """Key figures beside one another."""

    kind: ClassVar[str] = "figures"
    figures: Sequence[KeyFigure]


@dataclass(frozen=True)
class Note:
    """A sentence or more that stands out: a verdict, a warning."""

    kind: ClassVar[str] = "note"
    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Table:
    """A table with a header line; the first cell of a row is the row's header."""

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numbers: frozenset[int] = frozenset()
    """Which columns hold numbers and are aligned on the right."""


@dataclass(frozen=True)
class Plot:
    """A chart by itself, with what it shows below."""

    kind: ClassVar[str] = "plot"
    chart: Chart
    caption: str = ""
    heading: str = ""


@dataclass(frozen=True)
class Plots:
    """Plots beside and below one another."""

    kind: ClassVar[str] = "plots"
    plots: Sequence[Plot]


@dataclass(frozen=True)
class Card:
    """A small summary of one thing among many."""

    title: str
    anchor: str = ""
    subtitle: str = ""
    badges: Sequence[Badge] = ()
    facts: Sequence[tuple[str, str]] = ()
    """Name and value."""
    chart: Chart | None = None
    caption: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Cards:
    """Cards beside and below one another."""

    kind: ClassVar[str] = "cards"
    cards: Sequence[Card]


Block = KeyFigures | Note | Paragraph | Table | Plot | Plots | Cards


@dataclass(frozen=True)
class Section:
    """A part of a page."""

    title: str
    """Empty for the part that needs none: the verdict and the key figures at the top."""
    blocks: Sequence[Block]

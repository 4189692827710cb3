"""A report's page: complete in itself, harmless whatever it shows, and readable by machine and person."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from perennial.reporting.blocks import (
    Badge,
    Block,
    Card,
    Cards,
    Code,
    KeyFigure,
    KeyFigures,
    Link,
    Note,
    Paragraph,
    Plot,
    Section,
    Table,
)
from perennial.reporting.charts import Bar, Distribution, bars, histogram
from perennial.reporting.page import page

EVIL = "</style></title><script>alert('1')</script>\"' onload=x &amp; <!-- "
VOID = {"meta", "path", "br"}


class Outline(HTMLParser):
    """What a browser would find; fails where a tag is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def every_block(text: str) -> list[Block]:
    shares = Distribution(text, [0, 1, 2], [0.5, 0.5])
    chart = histogram(text, shares, shares)
    row = [text, Badge(text, "bad"), Code(text), Link(text, "top")]
    return [
        KeyFigures([KeyFigure(text, text, text)]),
        Note(text, "good"),
        Paragraph(text),
        Table(text, [text] * 4, [row], frozenset({0})),
        Plot(bars(text, [Bar(text, 1.0, 0.5)]), text),
        Cards([Card(text, "anchor", text, [Badge(text)], [(text, text)], chart, text, [text])]),
    ]


def whole(text: str) -> str:
    return page(text, [Section(text, every_block(text))], subtitle=text, footer=text)


def test_what_is_shown_is_never_taken_for_html() -> None:
    html = whole(EVIL)
    plain = Outline(whole("p" * len(EVIL)))  # as long, as long cells are laid out differently
    evil = Outline(html)
    assert "<script" not in html
    assert [tag for tag, _ in evil.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in evil.tags] == [sorted(attributes) for _, attributes in plain.tags]
    assert "".join(evil.text).count("<script>alert('1')</script>") >= 15


def test_a_page_needs_nothing_from_elsewhere() -> None:
    html = whole("plain")
    assert not re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|https?://", html)
    assert "default-src 'none'" in html


def test_charts_and_tables_say_what_they_are() -> None:
    html = whole("plain")
    outline = Outline(html)
    tags = [tag for tag, _ in outline.tags]
    assert tags.count("svg") == tags.count("desc") == 2
    assert all(attributes.get("role") == "img" for tag, attributes in outline.tags if tag == "svg")
    assert tags.count("caption") == tags.count("table")
    assert all("scope" in attributes for tag, attributes in outline.tags if tag == "th")
    assert ("html", {"lang": "en"}) in outline.tags


def test_the_same_facts_make_the_same_page() -> None:
    assert whole("plain") == whole("plain")


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(scheme: int) -> None:
    # WCAG 2.2, success criteria 1.4.3 (text, 4.5 to 1) and 1.4.11 (graphics, 3 to 1).
    block = re.findall(r":root \{(.*?)\}", whole("plain"), re.DOTALL)[scheme]
    colours = {name: luminance(value) for name, value in re.findall(r"--([\w-]+): (#\w+)", block)}
    for ground in ("paper", "card"):
        for name, least in {
            "ink": 4.5,
            "quiet": 4.5,
            "good": 4.5,
            "warn": 4.5,
            "bad": 4.5,
            "now": 3,
            "before": 3,
        }.items():
            dark, light = sorted((colours[name], colours[ground]))
            assert (light + 0.05) / (dark + 0.05) >= least, (name, ground)

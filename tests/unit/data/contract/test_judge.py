"""The fast way to read a stretch, the exact one and the careful one give the same rows and the same reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.contract.judge import Judge
from perennial.data.engine import Resources
from perennial.data.reading.csv_source import CsvSource
from perennial.definitions import Column, Rule
from tests.support.validated import GOOD, HEADER, Outcome, row, small, upload

COLUMNS = {
    "at": Column(type="timestamp"),
    "whole": Column(type="integer", nullable=True, max=10**6),
    "real": Column(type="double", nullable=True, min=-10),
    "yes": Column(type="boolean", nullable=True),
    "price": Column(type="decimal", precision=6, scale=2, nullable=True),
    "word": Column(type="string", nullable=True, max_length=4),
}
DATASET = small(columns=COLUMNS, null=("", "NA", "-999"), rules=(Rule(name="small", check="coalesce(whole, 0) < 500"),))
TEXTS = {
    "at": ["2019-01-01", "2019-01-01 10:00:00", "2019-01-01T10:00Z", "2019-13-01", "epoch", " 2019-01-01", "NA"],
    "whole": [
        "1", "-0", "007", "1.5", "1e2", "1_000", "0x1F", "+5", "+-5", " 5", "5\v", "9007199254740993", "1e300", "inf",
        "nan", "-999", "700", "5.0000000000000000001", "9223372036854775808", "٣", "", "1e", "true", "1" * 400,
    ],
    "real": [
        "1", "-0.0", ".5", "5.", "1e400", "1e-400", "nan", "-inf", "1_0.5", "+-5", "+5", " 5 ", "0x1p3", "1e5_0", "",
        "-11", "1d", "5 5", '"7"', '"1,5"', "NA", "infinity",
    ],
    "yes": ["t", "F", "yes", "No", "1", "0", "2", "on", " true", "TRUE ", "", "NA", "y"],
    "price": ["1", "1.25", "1.250", "1.255", "9999.99", "10000", "1e2", "1_0", "+.5", "-5.", ".", "", " 1.5 ", "0x1"],
    "word": ["a", "long word", "NA", '"q""q"', '"a,b"', '"a\nb"', "é", "", "\\", "1_2", "+-"],
}  # fmt: skip
GOOD_ROW = st.just("2019-01-01 10:00:00,1,2.5,t,1.25,x")
ANY_ROW = st.tuples(*(st.sampled_from(texts) for texts in TEXTS.values())).map(",".join)
ONE_ODD = st.sampled_from(list(TEXTS)).flatmap(
    lambda name: st.sampled_from(TEXTS[name]).map(
        lambda text: ",".join(
            text if column == name else good
            for column, good in zip(TEXTS, ["2019-01-01 10:00:00", "1", "2.5", "t", "1.25", "x"], strict=True)
        )
    )
)
BROKEN = st.sampled_from(["", "1,2", "a,b,c,d,e,f,", '2019-01-01,1,1,t,1,5" x', "2019-01-01,1,1,t,1,\0"])


def outcomes(folder: Path, content: bytes, block: int) -> list[Outcome]:
    fast = upload(folder, content, DATASET, block=block)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perennial.data.contract.judge.reader_types", lambda dataset: {})
        exact = upload(folder, content, DATASET, block=block)
        patch.setattr("perennial.data.reading.csv_source.sound_block", lambda *args: None)
        careful = upload(folder, content, DATASET, block=block)
    return [fast, exact, careful]


@settings(max_examples=40, deadline=None)
@given(
    lines=st.lists(GOOD_ROW | ONE_ODD | ANY_ROW | BROKEN, min_size=1, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    block=st.sampled_from([40, 300, 1 << 20]),
)
def test_all_ways_of_reading_agree(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, last: bool, block: int
) -> None:
    content = (",".join(COLUMNS) + end + end.join(lines) + (end if last else "")).encode()
    if content.count(b"\n") < 2 and not lines[0]:
        content += b"\n"
    fast, exact, careful = outcomes(tmp_path_factory.mktemp("w"), content, block)
    for other in (exact, careful):
        assert repr(fast.rows) == repr(other.rows)
        assert fast.bad == other.bad
        assert fast.found.rejected_by == other.found.rejected_by


def count_readings(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note, for each statement that types a stretch, whether the engine's reader typed columns."""
    readings = []
    write = Judge._write

    def watched(self: Judge, connection: object, typed: str, *others: object) -> int:
        readings.append("DOUBLE'" in typed)
        return write(self, connection, typed, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Judge, "_write", watched)
    return readings


def test_a_clean_file_is_read_in_the_fast_way_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = count_readings(monkeypatch)
    upload(tmp_path, HEADER + GOOD * 100, block=1000)
    assert len(readings) > 1
    assert all(readings)


def test_a_column_that_is_dirty_throughout_makes_one_stretch_be_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = count_readings(monkeypatch)
    outcome = upload(tmp_path, HEADER + (GOOD + row(zone="1.5")) * 60, block=1000, resources=Resources(threads=1))
    assert len(outcome.bad) == 60
    assert len(readings) > 3
    assert readings.count(False) == 1, "the other columns go on being typed by the reader"


def test_a_file_with_crlf_quotes_and_unicode_needs_no_careful_cutting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = []
    monkeypatch.setattr(CsvSource, "_prepare_cut", lambda *args: cuts.append(args))
    lines = [row(note='"a ""b"", ü"'), row(note='""'), row(note='""""'), row(zone='"7"')]
    outcome = upload(tmp_path, (HEADER + b"".join(lines)).replace(b"\n", b"\r\n"))
    assert [(found[1], found[3]) for found in outcome.rows] == [(1, 'a "b", ü'), (1, None), (1, '"'), (7, "x")]
    assert cuts == []


def test_all_that_a_row_breaks_is_listed_behind_the_first(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + row(at="soon", zone="", miles="61"))
    assert outcome.faults() == [(2, "at", "type")]
    assert outcome.bad[0]["faults"] == ["at: type", "zone: absent", "miles: max"]


def test_a_long_value_is_shown_shortened_in_the_reason(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + row(zone="7" * 5000))
    assert len(outcome.bad[0]["reason"]) < 200
    assert outcome.bad[0]["value"] == "7" * 5000

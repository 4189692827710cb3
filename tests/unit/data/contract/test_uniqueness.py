"""Keys that stand twice in one file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.data.engine import sha256_of
from tests.support.validated import GOOD, HEADER, row, small, upload


def test_the_first_row_of_a_key_stays_and_the_later_ones_name_its_line(tmp_path: Path) -> None:
    content = HEADER + row(zone="1") + row(zone="2") + row(zone="1", note="y") + row(zone="x") + row(zone="1")
    outcome = upload(tmp_path, content, small(key=("zone",)))
    assert outcome.faults() == [(4, "zone", "unique"), (5, "zone", "type"), (6, "zone", "unique")]
    assert outcome.bad[0] == {
        "line": 4,
        "column": "zone",
        "value": "1",
        "rule": "unique",
        "reason": "zone '1' stands on line 2 already, and the first row stays",
        "raw": "2019-01-01 00:00:00,1,2.5,y",
        "faults": ["zone: unique"],
    }
    assert [found[1] for found in outcome.rows] == [1, 2]
    assert outcome.found.rejected_by == {"zone: unique": 2, "zone: type": 1}


def test_a_key_is_compared_as_values_not_as_text(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + row(zone="7") + row(zone="007") + row(zone="7.0"), small(key=("zone",)))
    assert [line for line, _, _ in outcome.faults()] == [3, 4]


def test_a_bad_row_does_not_take_the_place_of_a_good_one(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + row(miles="-1") + row(), small(key=("zone",)))
    assert outcome.faults() == [(2, "miles", "min")]
    assert len(outcome.rows) == 1


def test_a_key_of_several_columns_is_named_whole(tmp_path: Path) -> None:
    outcome = upload(tmp_path, HEADER + GOOD + row(zone="2") + GOOD, small(key=("at", "zone")))
    assert outcome.faults() == [(4, None, "unique")]
    assert outcome.bad[0]["reason"] == (
        "at '2019-01-01 00:00:00', zone '1' stands on line 2 already, and the first row stays"
    )


def test_parts_that_hold_no_repeated_key_keep_their_bytes(tmp_path: Path) -> None:
    lines = [row(zone=str(number)) for number in range(300)]
    before = upload(tmp_path, HEADER + b"".join(lines), small(), block=2000)
    after = upload(tmp_path, HEADER + b"".join(lines) + row(zone="5"), small(key=("zone",)), block=2000)
    assert len(before.paths) > 3
    assert [sha256_of(path) for path in after.paths[: len(before.paths) - 1]] == [
        sha256_of(path) for path in before.paths[:-1]
    ]
    assert after.faults() == [(302, "zone", "unique")]


@settings(max_examples=25, deadline=None)
@given(
    keys=st.lists(st.sampled_from(["1", "2", "3", "4", "x", "wide,9", '5"', "6\n7"]), min_size=1, max_size=25),
    block=st.sampled_from([1, 60, 1 << 20]),
)
def test_what_stays_and_what_goes_is_as_by_a_set_of_keys(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str], block: int
) -> None:
    line, seen, kept, repeated = 2, dict[str, int](), [], []
    content = HEADER
    for key in keys:
        text = row(zone="8", note='"a\nb"') if "\n" in key else row(zone=key)
        name = "8" if "\n" in key else key
        if name.isdigit() and name in seen:
            repeated.append((line, f"stands on line {seen[name]} already"))
        elif name.isdigit():
            seen[name] = line
            kept.append(int(name))
        line += text.count(b"\n")
        content += text
    outcome = upload(tmp_path_factory.mktemp("u"), content, small(key=("zone",)), block=block)
    assert [found[1] for found in outcome.rows] == kept
    found = [(bad["line"], bad["reason"]) for bad in outcome.bad if bad["rule"] == "unique"]
    assert len(found) == len(repeated)
    assert all(a == b and said in reason for (a, reason), (b, said) in zip(found, repeated, strict=True))

"""Figures as people read them."""

from __future__ import annotations

import pytest

from perennial.reporting.words import alike, count, cut, listing, number, several, share, size


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7, "7"), (12345, "12 345"), (123456.0, "123 500"), (0.01234, "0.01234"), (2.5, "2.5"), (-0.5, "-0.5"),
     (1e30, "1e+30"), (9999.96, "10 000"), (1.2e-7, "1.2e-07")],
)  # fmt: skip
def test_a_number_keeps_four_digits_that_matter(value: float, text: str) -> None:
    assert plain(number(value)) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 10, "0 %"), (10, 10, "100 %"), (1, 1_000_000, "< 0.1 %"), (999_999, 1_000_000, "> 99.9 %"),
     (153, 10_000, "1.5 %"), (9847, 10_000, "98.5 %"), (1, 0, "–")],
)  # fmt: skip
def test_a_share_reads_nothing_or_all_only_where_it_is(part: int, whole: int, text: str) -> None:
    assert plain(share(part, whole)) == text


@pytest.mark.parametrize(("amount", "text"), [(0, "0 bytes"), (999, "999 bytes"), (218_456, "218 kB"), (3e9, "3 GB")])
def test_a_size_has_the_unit_that_fits(amount: int, text: str) -> None:
    assert plain(size(int(amount))) == text


def test_numbers_beside_one_another_have_the_same_decimals() -> None:
    def written(values: list[float]) -> list[str]:
        return [plain(alike(values)(value)) for value in values]

    assert written([0.0882, 0.064, -0.000215]) == ["0.0882", "0.0640", "-0.0002"]
    assert written([560.4, 14.23, 0.2]) == ["560", "14", "0"]
    assert written([-130.2, 72.31]) == ["-130", "72"]
    assert written([-0.05, -1.84e-5]) == ["-0.0500", "0"]
    assert written([12345.6, float("inf")]) == ["12 346", "inf"]
    assert (written([0.0]), written([]), written([1e-9])) == (["0"], [], ["1e-09"])


def test_words_agree_with_their_number() -> None:
    assert [plain(several(n, "row")) for n in (0, 1, 2000)] == ["0 rows", "1 row", "2 000 rows"]
    assert plain(count(1234567)) == "1 234 567"
    assert [listing(names) for names in ([], ["a"], ["a", "b"], list("abcdefg"))] == [
        "nothing", "a", "a and b", "a, b, c, d, e and 2 more",
    ]  # fmt: skip
    assert cut("abcdef", 4) == "abc…"
    assert cut("abcd", 4) == "abcd"

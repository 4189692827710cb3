"""Counting symbols a slice at a time gives what counting them one by one does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.data.reading import csv_blocks

QUOTE, NEWLINE = b'"\n'


@given(st.text(alphabet='a,"\n', max_size=60).map(str.encode), st.integers(1, 8))
def test_symbols_are_found_alike_wherever_a_slice_ends(text: bytes, size: int) -> None:
    quotes = [at for at, symbol in enumerate(text) if symbol == QUOTE]
    inside = [symbol for at, symbol in enumerate(text) if text[:at].count(b'"') % 2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_SLICE", size)
        positions = csv_blocks._positions(text, QUOTE)
        assert positions.tolist() == quotes
        assert csv_blocks._count(text, NEWLINE) == text.count(b"\n")
        if len(quotes) % 2 == 0:
            assert csv_blocks._count_inside(positions, text, NEWLINE) == inside.count(NEWLINE)

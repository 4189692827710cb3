from __future__ import annotations

import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.flat_file import pack, unpack

CONTENT = pack({"kind": "trees"}, {"places": array("i", [1, -2, 3]), "values": array("d", [0.5]), "none": array("I")})


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1)),
    st.lists(st.floats(allow_nan=False)),
    st.dictionaries(st.text(), st.text()),
)
def test_what_is_packed_is_unpacked(places: list[int], values: list[float], header: dict[str, str]) -> None:
    header.pop("arrays", None)
    found, arrays = unpack(pack(header, {"places": array("i", places), "values": array("d", values)}))
    assert found | header == found
    assert (arrays["places"].tolist(), arrays["values"].tolist()) == (places, values)


def test_numbers_are_little_endian_and_aligned() -> None:
    length = int.from_bytes(CONTENT[8:12], "little")
    assert (CONTENT[:8], (12 + length) % 8) == (b"PERNFLAT", 0)
    assert CONTENT[12 + length :] == struct.pack("<iiiid", 1, -2, 3, 0, 0.5)


@pytest.mark.parametrize("length", range(0, len(CONTENT), 7))
def test_a_part_of_a_file_is_refused(length: int) -> None:
    with pytest.raises(DataError, match=r"model.flat: .*; train and register again"):
        unpack(CONTENT[:length])


@pytest.mark.parametrize(
    "header",
    [
        b"[]", b"1", b"{}", b'{"arrays":1}', b'{"arrays":[["a","i"]]}', b'{"arrays":[["a","q",1]]}',
        b'{"arrays":[["a","i",-1]]}', b'{"arrays":[["a","i",true]]}', b'{"arrays":[["a","d",99999999999]]}',
        b'{"arrays":[["a",["d"],1]]}', b"[" * 100_000, b"\xff\xfe",
    ],
    ids=lambda header: header[:30].decode(errors="replace"),
)  # fmt: skip
def test_a_header_that_makes_no_sense_is_refused(header: bytes) -> None:
    content = b"PERNFLAT" + len(header).to_bytes(4, "little") + header
    with pytest.raises(DataError, match=r"model.flat: "):
        unpack(content)

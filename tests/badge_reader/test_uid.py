"""One card, many numbers."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import load, name_of

from badge_reader.uid import PRESENTATIONS, candidates, decode, low24, presentations

VECTORS = load("uid_conventions")
EM4100 = bytes.fromhex("0A007734F9")


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_card_looks_as_it_is_written(vector: dict[str, Any]) -> None:
    meaning = decode(vector)
    assert {field: meaning.get(field) for field in vector["expect"]} == vector["expect"]


def test_a_long_uid_has_no_decimal_presentation() -> None:
    assert list(presentations(bytes(7))) == ["hex", "hex_reversed"]


def test_what_a_reader_may_be_set_to() -> None:
    assert {name: present(EM4100) for name, present in PRESENTATIONS.items()} == {
        "dec10": "0007812345",
        "dec13": "0042957485305",
        "hex8": "007734F9",
        "hex10": "0A007734F9",
        "wiegand24": "119,13561",
        "wiegand24-plain": "11913561",
    }


@given(st.binary(min_size=4, max_size=4))
def test_every_decimal_of_a_card_leads_back_to_it(uid: bytes) -> None:
    shown = presentations(uid)
    for name in ("8H10D", "8H10D_reversed", "dec", "dec_reversed"):
        assert uid.hex().upper() in candidates(shown[name])
    assert low24(shown["6H3D5D"]) == low24(shown["6H8D"]) == uid[1:].hex().upper()


@given(st.text())
def test_any_text_is_refused_or_understood(text: str) -> None:
    candidates(text)
    low24(text)


@pytest.mark.parametrize(
    "text",
    ["", "٣٧٣٥٩٢٨٥٥٩", "9999999999999", "999999999999999", "256,00001", "1,65536", "XYZ", "12 34"],
)
def test_what_is_no_card_number_has_no_candidate(text: str) -> None:
    assert candidates(text) == []
    assert low24(text) is None
    assert decode({"input": text}) == {"kind": "malformed"}


def test_the_decimals_of_either_order() -> None:
    shown = presentations(bytes.fromhex("DEADBEEF"))
    assert (shown["dec"], shown["dec_reversed"]) == ("3735928559", "4022250974")


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        ("04 A1 B2 C3 D4 E5 80", "04A1B2C3D4E580"),
        ("04:a1:b2:c3:d4:e5:80", "04A1B2C3D4E580"),
        ("04-11-22-33", "04112233"),
        ("04112233445566", "04112233445566"),  # more digits than any decimal has
    ],
)
def test_hexadecimal_is_understood_as_tools_write_it(text: str, uid: str) -> None:
    assert candidates(text)[0] == uid
    assert decode({"input": text})["candidates"][0] == uid


def test_a_card_may_be_typed_as_it_is_printed() -> None:
    found = decode({"input": "0007812345 119,13561"})
    assert found == {"kind": "card", "candidates": ["007734F9", "F9347700"], "low24": "7734F9"}
    assert decode({"input": "0007812345 XYZ"}) == {"kind": "malformed"}


@pytest.mark.parametrize("text", ["0007812345 11913561", "11913561 0007812345"])
def test_the_number_without_a_comma_does_not_hide_the_other(text: str) -> None:
    found = decode({"input": text})
    assert found == {"kind": "card", "candidates": ["007734F9", "F9347700"], "low24": "7734F9"}


@pytest.mark.parametrize("text", ["119 13561", "7812345 3808980205", "119,13561 008,27885"])
def test_of_two_numbers_of_a_kind_none_is_dropped_unsaid(text: str) -> None:
    assert decode({"input": text}) == {"kind": "malformed"}


@pytest.mark.parametrize("vector", [{}, {"hex": ""}, {"hex": "0102"}, {"hex": "xx"}])
def test_decoding_asks_for_what_it_needs(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        decode(vector)

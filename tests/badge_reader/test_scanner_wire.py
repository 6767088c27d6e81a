"""Serial scanners: every vector, every cut, every end of a line."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import load, name_of, splits

from badge_reader.scanner import Codec, Event, NoRead, Scan, decode

VECTORS = load("serial_scanner")


def feed(chunks: list[bytes]) -> list[Event]:
    codec = Codec()
    events = [event for chunk in chunks for event in codec.feed(chunk)]
    return events + codec.flush()


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_capture_means_what_is_written_beside_it(vector: dict[str, Any]) -> None:
    meaning = decode(vector)
    assert {field: meaning.get(field) for field in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_how_the_bytes_are_cut_changes_nothing(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    for chunks in splits(data):
        assert feed(chunks) == feed([data])


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"123\r", [Scan("123")]),
        (b"123\n", [Scan("123")]),
        (b"123\r\n456\r\n", [Scan("123"), Scan("456")]),
        (b"\x02123\x03", [Scan("123")]),
        (b"\x02123\x03\r\n", [Scan("123")]),
        (b"noise\x02123\x03", [Scan("123")]),
        (b"\r\n\r\n \r", []),
        (b"]E03017620422003\r", [Scan("3017620422003", "E0")]),
        (b"]C1010301762042200310AB\x1d21\r", [Scan("010301762042200310AB\x1d21", "C1")]),
        (b"]12\r", [Scan("]12")]),
        (b"caf\xe9\r", [Scan("café")]),
        (b"\x001\x002\x7f\r", [Scan("12\x7f")]),
        (b"NR\r3\r", [NoRead(), Scan("3")]),
    ],
)
def test_a_line_is_a_scan(data: bytes, events: list[Event]) -> None:
    for chunks in splits(data):
        assert feed(chunks) == events


def test_a_line_without_an_end_stays_bounded_and_is_no_scan() -> None:
    codec = Codec()
    for _ in range(100):
        assert codec.feed(b"9" * 1000) == []
        assert len(codec._kept) <= 5096
    assert codec.feed(b"\r123\r") == [Scan("123")]


def test_a_broken_off_line_is_given_up_at_the_next_start() -> None:
    codec = Codec()
    codec.feed(b"9" * 9999)
    assert codec.feed(b"\x02123\x03") == [Scan("123")]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_random_bytes_never_raise(chunks: list[bytes]) -> None:
    feed(chunks)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_any_text_comes_through_after_any_line(text: str) -> None:
    if text.strip() and text[0] != "]" and text != "NR":
        assert feed([b"\xff\x00\r", text.encode(), b"\r"])[-1] == Scan(text)


def test_a_scan_is_masked_when_it_is_printed() -> None:
    assert "3017620" not in repr(Scan("3017620422003"))


def test_symbologies_have_names() -> None:
    named = {"E0": "EAN-13", "C1": "GS1-128", "d2": "GS1 DataMatrix", "C0": "Code 128"}
    for aim, name in named.items():
        data = b"]" + aim.encode() + b"3017620422003\r"
        assert decode({"hex": data.hex()})["symbology"] == name


def test_decoding_two_codes_in_one_read_tells_both() -> None:
    found = decode({"hex": b"12345670\r96385074\r".hex()})
    assert (found["text"], found["events"]) == ("96385074", 2)
    assert found["texts"] == ["12345670", "96385074"]


def test_what_a_scanner_says_when_it_found_nothing_may_be_one_word() -> None:
    config = {"no_read": "NOREAD"}
    assert decode({"hex": b"NOREAD\r".hex(), "config": config}) == {"kind": "no_read"}
    assert decode({"hex": b"N\r".hex(), "config": config})["text"] == "N"


def test_decoding_asks_for_what_it_needs() -> None:
    assert decode({"hex": ""}) == {"kind": "incomplete"}
    with pytest.raises(ValueError, match="hex"):
        decode({})


@pytest.mark.parametrize("before", [b"", b"]Q1", b"\x02"])
def test_the_alphabet_of_a_qr_code_is_no_part_of_its_text(before: bytes) -> None:
    """An ECI, which a GM60 puts in front: UTF-8 is number 26."""
    for eci in (rb"\000026", rb"\000026\000003"):
        assert [scan.text for scan in feed([before + eci + b"0420001234004\r"])] == [
            "0420001234004"
        ]


def test_a_backslash_is_not_always_an_eci() -> None:
    for text in (rb"\00002", rb"C:\000026", rb"\000026"):
        expected = [] if text == rb"\000026" else [text.decode()]
        assert [scan.text for scan in feed([text + b"\r"])] == expected

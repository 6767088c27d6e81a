"""125 kHz readers: every vector, every cut, every noise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import load, name_of, splits

from badge_reader.rdm6300 import Card, Codec, Event, Held, Malformed, decode
from badge_reader.simulate import Rdm6300Simulator

VECTORS = load("rdm6300") + load("id12")
GOOD = b"\x020A007734F9B0\x03"
CARD = Card(bytes.fromhex("0A007734F9"))


def feed(chunks: list[bytes]) -> list[Event]:
    codec = Codec()
    return [event for chunk in chunks for event in codec.feed(chunk)]


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_a_capture_means_what_is_written_beside_it(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    meaning = decode(vector | {"chunks": expect.get("chunks")})
    assert {field: meaning.get(field) for field in expect} == expect


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
def test_how_the_bytes_are_cut_changes_nothing(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    for chunks in splits(data):
        assert feed(chunks) == feed([data])


@pytest.mark.parametrize("vector", VECTORS, ids=name_of)
@pytest.mark.parametrize("noise", [b"\xff\x00", b"\x02\x02", b"0A007734F9B0", b"\x02" + b"1" * 99])
def test_noise_before_it_changes_nothing(vector: dict[str, Any], noise: bytes) -> None:
    data = bytes.fromhex(vector["hex"])
    assert feed([noise + data]) == feed([data])


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_random_bytes_never_raise_nor_fill_the_memory(chunks: list[bytes]) -> None:
    codec = Codec()
    for chunk in chunks:
        codec.feed(chunk)
        assert len(codec._kept) <= 16


@given(st.binary(max_size=100))
def test_a_good_frame_is_found_after_any_garbage(garbage: bytes) -> None:
    assert feed([garbage + GOOD])[-1] == CARD


def one_byte(uid: bytes) -> bytes:
    """With the checksum as it is: any byte, also one that begins or ends a frame."""
    checksum = 0
    for byte in uid:
        checksum ^= byte
    return b"\x02" + uid.hex().upper().encode() + bytes([checksum]) + b"\x03"


SENDS_BYTES = bytes.fromhex("02 30 31 31 34 41 45 33 42 42 43 3C 03")
"""A captured frame of a reader whose checksum is one byte: 0114AE3BBC."""


@given(st.binary(min_size=5, max_size=5), st.integers(1, 13))
def test_a_checksum_of_one_byte_is_read_too(uid: bytes, cut: int) -> None:
    frame = one_byte(uid)
    event = Card(uid) if any(uid) else Malformed("zero")
    for chunks in ([frame], [frame[:cut], frame[cut:]], [bytes([byte]) for byte in frame]):
        assert feed([SENDS_BYTES, *chunks])[1:] == [event]
        assert feed([SENDS_BYTES, *chunks, SENDS_BYTES])[1] == event


@pytest.mark.parametrize("checksum", [0x02, 0x03, 0x0D, 0x30, 0x41])
def test_a_checksum_may_be_any_byte(checksum: int) -> None:
    uid = bytes([1, 2, 3, 4, 1 ^ 2 ^ 3 ^ 4 ^ checksum])
    assert feed([SENDS_BYTES, one_byte(uid)])[1:] == [Card(uid)]
    assert feed([SENDS_BYTES, *[bytes([byte]) for byte in one_byte(uid)]])[1:] == [Card(uid)]


@given(st.binary(min_size=5, max_size=5).filter(any), st.integers(1, 12))
def test_a_lost_byte_never_makes_another_card(uid: bytes, at: int) -> None:
    """What is left of a frame with two digits may look like one with a byte."""
    checksum = one_byte(uid)[-2]
    frame = b"\x02" + f"{uid.hex()}{checksum:02x}".upper().encode() + b"\x03"
    short = frame[:at] + frame[at + 1 :]
    for before in ([], [GOOD]):
        assert [event for event in feed([*before, short]) if event not in (CARD, Card(uid))] == [
            Malformed(_error(event)) for event in feed([*before, short])[len(before) :]
        ]


def test_a_reader_that_sends_digits_sends_no_bytes() -> None:
    assert feed([GOOD, SENDS_BYTES])[1:] == [Malformed("length")]


def test_a_captured_frame_with_such_a_checksum() -> None:
    frame = bytes.fromhex("02 30 31 31 34 41 45 33 42 42 43 3C 03")
    assert feed([frame]) == [Card(bytes.fromhex("0114AE3BBC"))]


def test_nothing_but_zeros_is_no_card() -> None:
    """A reader near a motor invents it, with a right checksum."""
    for zeros in (b"0" * 12, b"0" * 10 + b"\0"):
        assert feed([b"\x02" + zeros + b"\x03"]) == [Malformed("zero")]


@given(st.integers(0, 13), st.integers(1, 255))
def test_one_wrong_byte_never_makes_another_card(at: int, flip: int) -> None:
    damaged = bytearray(GOOD)
    damaged[at] ^= flip
    assert all(event in (CARD, Malformed(_error(event))) for event in feed([bytes(damaged)]))


def _error(event: Event) -> str:
    return event.error if isinstance(event, Malformed) else ""


def test_a_card_held_is_one_card_until_it_has_been_away() -> None:
    held = Held(1.0)
    one, other = b"11111", b"22222"
    shown = [held.is_new(one, at / 10) for at in range(30)]
    assert shown == [True] + [False] * 29
    assert held.is_new(other, 3.0)
    assert not held.is_new(one, 3.1)
    assert not held.is_new(other, 3.2)
    assert held.is_new(one, 4.2)


def test_two_cards_held_together_are_two_cards_as_for_the_reader() -> None:
    other = b"\x0262E3086CED08\x03"
    assert decode({"hex": (GOOD + other + GOOD + other).hex()})["events"] == 2


def test_the_simulator_sends_what_the_data_sheet_shows() -> None:
    reader = Rdm6300Simulator()
    assert reader.frame("62E3086CED") == bytes.fromhex(VECTORS[0]["hex"])
    reader.crlf = True
    assert reader.frame("62E3086CED") == bytes.fromhex(load("id12")[0]["hex"])
    reader.crlf, reader.lower_case = False, True
    assert reader.frame("0A007734F9") == bytes.fromhex(VECTORS[1]["hex"])


def test_a_card_is_masked_when_it_is_printed() -> None:
    assert "7734" not in repr(CARD)


def test_decoding_asks_for_what_it_needs() -> None:
    with pytest.raises(ValueError, match="hex"):
        decode({})


@pytest.mark.parametrize("chunks", ["5", [0], [1.5], [True], 5])
def test_the_sizes_of_reads_are_sizes(chunks: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        decode({"hex": GOOD.hex(), "chunks": chunks})


def test_nothing_yet_is_incomplete_and_noise_is_malformed() -> None:
    assert decode({"hex": ""}) == {"kind": "incomplete"}
    assert decode({"hex": "FF 00"}) == {"kind": "malformed", "error": "frame"}

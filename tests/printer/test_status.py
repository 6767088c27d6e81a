"""What the printer says, byte by byte, and buried in noise."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.vectors import load, name_of, splits

from printer import Paper
from printer.status import (
    Answer,
    Asb,
    Event,
    Noise,
    Sensed,
    Status,
    StatusParser,
    decode_asb,
    decode_dle_eot,
)

DLE_EOT = load("escpos_dle_eot")
ASB = load("escpos_asb")


@pytest.mark.parametrize("vector", DLE_EOT, ids=name_of)
def test_answers_to_dle_eot(vector: dict) -> None:
    said = decode_dle_eot(vector)
    assert {key: said.get(key) for key in vector["expect"]} == vector["expect"]


@pytest.mark.parametrize("vector", ASB, ids=name_of)
def test_asb_frames(vector: dict) -> None:
    said = decode_asb(vector)
    assert {key: said.get(key) for key in vector["expect"]} == vector["expect"]


def sorted_out(pieces: list[bytes]) -> list[Event]:
    parser = StatusParser()
    return [event for piece in pieces for event in parser.feed(piece)]


STREAM = bytes.fromhex("12 10 00 00 0F 13 11 1E 00 18 00 13 12 0C 0F 03 FF 10 00 80 32")
EVENTS = [
    Answer(0x12),
    Asb(bytes.fromhex("10 00 00 0F")),
    Noise(0x13),
    Noise(0x11),
    Answer(0x1E),
    Sensed(Paper.OK),
    Noise(0x13),
    Answer(0x12),  # inside an ASB frame: the frame goes on
    Asb(bytes.fromhex("18 00 0C 0F")),
    Sensed(Paper.LOW),
    Noise(0xFF),
    Noise(0x10),  # a frame that broke off
    Noise(0x00),
    Noise(0x80),
    Answer(0x32),
]


def test_the_stream_is_sorted_however_it_is_cut() -> None:
    for pieces in splits(STREAM):
        assert sorted_out(pieces) == EVENTS


@pytest.mark.parametrize("vector", [v for v in ASB if "hex" in v], ids=name_of)
def test_a_frame_is_found_after_noise_and_after_a_broken_frame(vector: dict) -> None:
    data = bytes.fromhex(vector["hex"])
    noise = bytes(byte for byte in random.Random(1).randbytes(200) if byte & 0x90 == 0x90)
    whole = [event for event in sorted_out([noise, data[:3], data]) if isinstance(event, Asb)]
    assert [event.frame for event in whole] == ([data] if len(data) == 4 else [])


@given(st.binary(max_size=300))
def test_any_bytes_are_accounted_for_and_nothing_piles_up(data: bytes) -> None:
    parser = StatusParser()
    events = parser.feed(data)
    counted = sum(len(event.frame) if isinstance(event, Asb) else 1 for event in events)
    assert len(data) - 3 <= counted <= len(data)
    for event in events:
        if isinstance(event, Asb):
            assert event.frame[0] & 0x93 == 0x10
            assert event.status.paper in (Paper.OK, Paper.LOW, Paper.OUT)


def answers(*bytes_: int) -> Status:
    status = Status()
    for question, byte in enumerate(bytes_, start=1):
        status = status.after(question, byte)
    return status


@pytest.mark.parametrize(
    ("status", "trouble", "paper"),
    [
        (answers(0x12, 0x12, 0x12, 0x12), "", Paper.OK),
        (answers(0x12, 0x12, 0x12, 0x1E), "", Paper.LOW),
        (answers(0x12, 0x12, 0x12, 0x16), "", Paper.LOW),  # one of the two bits is enough
        (answers(0x1A, 0x32, 0x12, 0x7E), "printer.paper_out", Paper.OUT),
        (answers(0x1A, 0x32, 0x12, 0x12), "printer.paper_out", Paper.OUT),
        (answers(0x1A, 0x36, 0x12, 0x72), "printer.paper_out", Paper.OUT),
        (answers(0x1A, 0x16, 0x12, 0x12), "printer.cover_open", Paper.OK),
        (answers(0x1A, 0x52, 0x1A, 0x12), "printer.cutter", Paper.OK),
        (answers(0x1A, 0x52, 0x52, 0x12), "printer.hot", Paper.OK),
        (answers(0x1A, 0x52, 0x32, 0x12), "printer.error", Paper.OK),
        (answers(0x1A, 0x52, 0x16, 0x12), "printer.error", Paper.OK),
        (answers(0x1A, 0x1A, 0x12, 0x12), "printer.offline", Paper.OK),
        (Status(), "", Paper.UNKNOWN),
        (Asb(bytes.fromhex("10 00 03 0F")).status, "", Paper.LOW),
        (Asb(bytes.fromhex("18 00 0F 0F")).status, "printer.paper_out", Paper.OUT),
        (Asb(bytes.fromhex("38 00 00 0F")).status, "printer.cover_open", Paper.OK),
        (Asb(bytes.fromhex("18 08 00 0F")).status, "printer.cutter", Paper.OK),
        (Asb(bytes.fromhex("18 40 00 0F")).status, "printer.hot", Paper.OK),
        (Asb(bytes.fromhex("18 20 00 0F")).status, "printer.error", Paper.OK),
        (Asb(bytes.fromhex("18 04 00 0F")).status, "printer.error", Paper.OK),
    ],
)
def test_what_a_person_must_mend_first(status: Status, trouble: str, paper: Paper) -> None:
    assert (status.trouble, status.paper) == (trouble, paper)


def test_silence_and_noise_are_no_status() -> None:
    silent = {"kind": "timeout", "state": "unknown"}
    assert decode_dle_eot({"request": "10 04 01", "response": ""}) == silent
    silent["paper"] = "unknown"
    assert decode_dle_eot({"request": "10 04 04", "response": ""}) == silent
    assert decode_dle_eot({"request": "1D 72 01", "response": ""}) == silent
    assert decode_asb({"hex": ""}) == silent
    assert decode_dle_eot({"request": "10 04 04", "response": "11 13 FF"})["kind"] == "malformed"
    assert decode_dle_eot({"request": "1D 72 01", "response": "11 0C"})["paper"] == "out"
    assert decode_asb({"hex": "FF 11"})["kind"] == "malformed"
    assert decode_asb({"request": "1D 61 FF", "response": ""})["kind"] == "timeout"


def test_a_command_without_an_answer_is_not_silence() -> None:
    assert decode_dle_eot({"request": "10 04 04", "response": None}) == {"kind": "command"}
    assert decode_asb({"request": "1D 61 FF", "response": None}) == {"kind": "command"}
    with pytest.raises(ValueError, match="response or hex"):
        decode_asb({})


def test_the_newest_asb_frame_counts() -> None:
    said = decode_asb({"hex": "10 00 00 0F 13 18 00 0C 0F 38 00"})
    assert (said["offline"], said["paper"]) == (True, "out")
    assert (said["frames"], said["skipped"]) == (2, 1)


@pytest.mark.parametrize("request_", [None, "", "10 04 05", "10 04", "1B 40", "zz"])
def test_a_question_that_is_none_is_an_error(request_: str | None) -> None:
    with pytest.raises(ValueError):
        decode_dle_eot({"request": request_, "response": "12"})

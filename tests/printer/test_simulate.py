"""The simulated printer is believed by every other test: it is held against the manuals here."""

import time
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.labels import APPLES

from printer import encode
from printer.layout import Sheet, draw
from printer.simulate import EscposSimulator

SHEET = Sheet.of(203, 464)
PICTURE = draw(APPLES, SHEET)
JOB = encode.INIT + encode.raster(PICTURE) + encode.cut()


def dots(png: bytes) -> tuple[tuple[int, int], bytes]:
    picture = Image.open(BytesIO(png))
    assert picture.mode == "1"
    return picture.size, picture.tobytes()


def asked(printer: EscposSimulator) -> list[int]:
    return [printer.feed(bytes([0x10, 0x04, n]))[0] for n in (1, 2, 3, 4)]


@pytest.mark.parametrize("size", [1, 7, 1000, len(JOB)])
def test_it_keeps_the_very_picture_however_the_bytes_are_cut(size: int) -> None:
    printer = EscposSimulator()
    for start in range(0, len(JOB), size):
        printer.feed(JOB[start : start + size])
    assert [dots(png) for png in printer.printed] == [(PICTURE.size, PICTURE.tobytes())]
    assert printer.garbled == 0


@pytest.mark.parametrize(
    "ending", [encode.cut(), b"\x1dV\x00", encode.LABEL_FEED, encode.ending("tear", 203)]
)
def test_a_label_ends_with_a_cut_a_gap_or_a_feed(ending: bytes) -> None:
    printer = EscposSimulator()
    printer.feed((encode.raster(PICTURE) + ending) * 2)
    assert printer.count == 2
    assert printer.feed(ending) == b""
    assert printer.count == 2  # nothing was printed since


def test_the_statuses_of_the_manuals() -> None:
    printer = EscposSimulator()
    assert asked(printer) == [0x12, 0x12, 0x12, 0x12]
    printer.near_end = True
    assert asked(printer) == [0x12, 0x12, 0x12, 0x1E]
    printer.paper_mm = 0
    assert asked(printer) == [0x1A, 0x32, 0x12, 0x7E]
    printer.paper_mm, printer.near_end, printer.cover_open = 1000, False, True
    assert asked(printer) == [0x1A, 0x16, 0x12, 0x12]
    printer.cover_open, printer.cutter_jammed = False, True
    assert asked(printer) == [0x1A, 0x52, 0x1A, 0x12]
    printer.cutter_jammed, printer.hot = False, True
    assert asked(printer) == [0x1A, 0x52, 0x52, 0x12]
    printer.hot, printer.broken = False, True
    assert asked(printer) == [0x1A, 0x52, 0x32, 0x12]
    assert printer.feed(b"\x10\x04\x09") == b""


def test_automatic_status_tells_now_and_at_every_change() -> None:
    printer, told = EscposSimulator(), bytearray()
    printer.attach(told.extend)
    printer.cover_open = True
    assert told == b""  # not switched on yet
    printer.cover_open = False
    assert printer.feed(encode.asb(0x0E)) == bytes.fromhex("10 00 00 0F")
    printer.cover_open = True
    printer.near_end = True
    assert told == bytes.fromhex("38 00 00 0F 38 00 03 0F")
    printer.cover_open = False
    told.clear()
    printer.feed(encode.INIT)
    printer.near_end = False
    assert told == b""


def test_paper_that_ends_in_a_label_keeps_the_rest_for_the_next_roll() -> None:
    printer = EscposSimulator()
    printer.paper_mm = 15
    assert printer.feed(JOB + encode.ASK_PAPER_WHEN_DONE) == b""
    assert printer.printed == []
    assert asked(printer)[3] == 0x72  # real-time questions are answered all the same
    told = bytearray()
    printer.attach(told.extend)
    printer.paper_mm = 1000
    assert [dots(png) for png in printer.printed] == [(PICTURE.size, PICTURE.tobytes())]
    assert told == b"\x00"  # GS r comes after the label


def test_a_slow_printer_takes_its_time() -> None:
    now = [0.0]
    printer = EscposSimulator(lambda: now[0])
    printer.speed = 20
    assert printer.feed(JOB + encode.ASK_PAPER_WHEN_DONE) == b""
    now[0] = 1.9
    assert printer.feed(encode.ask(1)) == b"\x12"
    assert printer.printed == []
    now[0] = 2.1
    assert printer.feed(encode.ask(1)) == b"\x12\x00"
    assert len(printer.printed) == 1


def test_dle_eot_in_a_picture_is_a_picture_unless_the_printer_is_hasty() -> None:
    row = b"\x10\x04\x01" * 10
    job = encode.raster_header(30, 1) + row
    printer = EscposSimulator()
    assert printer.feed(job) == b""
    printer.hasty = True
    assert printer.feed(job) == b"\x12" * 10


def test_a_silent_printer_prints_and_says_nothing() -> None:
    printer, told = EscposSimulator(), bytearray()
    printer.attach(told.extend)
    printer.silent = True
    assert printer.feed(encode.asb(0xFF) + JOB + encode.ask(1)) == b""
    printer.near_end = True
    assert (printer.count, told) == (1, b"")


def test_only_the_newest_labels_are_kept(tmp_path: Path) -> None:
    printer = EscposSimulator()
    printer.folder, printer.keep = str(tmp_path / "labels"), 3
    for _ in range(5):
        printer.feed(JOB)
        time.sleep(0.02)  # files are told apart by their time
    files = sorted((tmp_path / "labels").iterdir())
    assert [file.name for file in files] == [f"label-00000{n}.png" for n in (3, 4, 5)]
    assert len(printer.printed) == 3
    assert dots(files[-1].read_bytes()) == (PICTURE.size, PICTURE.tobytes())
    again = EscposSimulator()  # counts from 1 again, in the same folder
    again.folder, again.keep = printer.folder, 3
    again.feed(JOB)
    left = {file.name for file in (tmp_path / "labels").iterdir()}
    assert len(left) == 3
    assert "label-000001.png" in left


def test_other_commands_are_swallowed_whole_and_text_is_counted() -> None:
    printer = EscposSimulator()
    printer.feed(b"\x1bE\x01\x1b!\x30\x1bp\x00\x19\xfa\x1dh\x50\x1dw\x02\x1dH\x02\x1bt\x13\x1ba1")
    printer.feed(b"\x1d(k\x04\x001A2\x00\x1dkC\x0d2100104004824\x1dk\x02210010400482\x00\x00\x00")
    assert printer.garbled == 0
    printer.feed(b"Bonjour")
    assert printer.garbled == 7


@given(st.binary(max_size=500))
def test_garbage_breaks_nothing(data: bytes) -> None:
    printer = EscposSimulator()
    printer.feed(data)
    printer.feed(bytes(1))

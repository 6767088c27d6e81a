"""The driver against the simulated printer, over TCP and over a terminal."""

import asyncio
import os
import termios
import tty
from pathlib import Path
from typing import Any

import pytest
from support.echo import until
from support.labels import APPLES, CARROTS
from support.printers import dots, driver, health, printing, running
from support.serving import serving

from devices import Lost
from devices.health import State
from devices.simulate import PtyHost, TcpHost
from printer import NotPrinted, Paper, spool
from printer.escpos import Escpos, EscposPrinter, EscposSettings
from printer.language import SILENT, Condition, Finished, Reply, Told
from printer.simulate import EscposSimulator


@pytest.mark.parametrize("cut", ["cut", "label", "tear"])
@pytest.mark.parametrize("size", [{}, {"dpi": 180, "width_dots": 512}, {"width_dots": 384}])
async def test_what_is_printed_is_the_preview_dot_for_dot(cut: str, size: dict[str, int]) -> None:
    simulator = EscposSimulator()
    async with printing(simulator, cut=cut, **size) as (printer, _):
        for label in (APPLES, CARROTS):
            await printer.print(label)
        assert list(map(dots, simulator.printed)) == [
            dots(printer.preview(label)) for label in (APPLES, CARROTS)
        ]
        assert simulator.garbled == 0
        assert health(printer) == (State.UP, "")
        assert printer.paper.get() is Paper.OK


@pytest.mark.parametrize("baud", [None, 230_400])
async def test_over_a_serial_line(tmp_path: Path, baud: int | None) -> None:
    simulator = EscposSimulator()
    async with PtyHost(tmp_path / "ttyUSB0", simulator, baud=baud) as host:
        printer = driver(str(host.path), baud=baud or 115_200)
        async with running(printer):
            await until(lambda: printer.health.get().usable)
            await printer.print(APPLES)
            assert list(map(dots, simulator.printed)) == [dots(printer.preview(APPLES))]


async def test_nothing_is_promised_before_the_printer_has_spoken() -> None:
    simulator = EscposSimulator()
    simulator.silent = True
    async with printing(simulator) as (printer, _):
        assert printer.paper.get() is Paper.UNKNOWN
        assert health(printer) == (State.DEGRADED, "printer.silent")
        with pytest.raises(NotPrinted) as failure:
            await printer.print(APPLES)
        assert (failure.value.key, failure.value.sure) == ("printer.silent", True)
        assert simulator.count == 0
        simulator.silent = False
        await until(lambda: health(printer) == (State.UP, ""))
        assert printer.paper.get() is Paper.OK


async def test_a_long_silence_gives_the_connection_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SILENCE", 1.0)
    monkeypatch.setattr(Escpos, "patience", 0.1)
    monkeypatch.setattr(spool, "POLL", 0.1)
    simulator = EscposSimulator()
    async with TcpHost(simulator) as host:
        printer = driver(f"socket://127.0.0.1:{host.port}")
        async with running(printer) as run:
            await until(lambda: health(printer) == (State.UP, ""))
            simulator.silent = True
            await asyncio.wait([run], timeout=20)
            with pytest.raises(Lost, match=r"device\.silent"):
                run.result()


@pytest.mark.parametrize(
    ("part", "value", "mended", "key", "paper"),
    [
        ("paper_mm", 0, 1000, "printer.paper_out", Paper.OUT),
        ("cover_open", True, False, "printer.cover_open", Paper.OK),
        ("cutter_jammed", True, False, "printer.cutter", Paper.OK),
        ("hot", True, False, "printer.hot", Paper.OK),
        ("broken", True, False, "printer.error", Paper.OK),
    ],
)
async def test_a_printer_in_trouble_says_so_and_refuses(
    part: str, value: Any, mended: Any, key: str, paper: Paper
) -> None:
    simulator = EscposSimulator()
    async with printing(simulator) as (printer, _):
        setattr(simulator, part, value)
        await until(lambda: health(printer) == (State.DEGRADED, key))
        assert printer.paper.get() is paper
        with pytest.raises(NotPrinted) as failure:
            await printer.print(APPLES)
        assert (failure.value.key, failure.value.sure) == (key, True)
        assert simulator.printed == []
        setattr(simulator, part, mended)
        await until(lambda: health(printer) == (State.UP, ""))
        await printer.print(CARROTS)
        assert list(map(dots, simulator.printed)) == [dots(printer.preview(CARROTS))]


async def test_trouble_that_began_a_moment_ago_is_seen_before_printing() -> None:
    simulator = EscposSimulator()
    async with printing(simulator) as (printer, _):
        simulator.paper_mm = 0
        with pytest.raises(NotPrinted) as failure:
            await printer.print(APPLES)
        assert (failure.value.key, failure.value.sure) == ("printer.paper_out", True)


async def test_paper_low_is_told_and_prints() -> None:
    simulator = EscposSimulator()
    simulator.near_end = True
    async with printing(simulator) as (printer, _):
        assert health(printer) == (State.DEGRADED, "printer.paper_low")
        assert printer.paper.get() is Paper.LOW
        await printer.print(APPLES)
        assert simulator.count == 1


async def test_paper_that_ends_in_the_middle_may_leave_a_label() -> None:
    simulator = EscposSimulator()
    simulator.paper_mm = 20
    async with printing(simulator) as (printer, _):
        with pytest.raises(NotPrinted) as failure:
            await printer.print(APPLES)
        assert (failure.value.key, failure.value.sure) == ("printer.paper_out", False)
        assert printer.paper.get() is Paper.OUT
        # The new roll lets the rest out. The next label is whole, and its own end is waited for.
        simulator.paper_mm = 1000
        await until(lambda: health(printer) == (State.UP, ""))
        await printer.print(CARROTS)
        assert list(map(dots, simulator.printed)) == [
            dots(printer.preview(label)) for label in (APPLES, CARROTS)
        ]


async def test_a_slow_printer_is_waited_for() -> None:
    simulator = EscposSimulator()
    simulator.speed = 40
    async with printing(simulator) as (printer, _):
        await printer.print(APPLES)
        assert simulator.count == 1


async def test_a_printer_that_ignores_gs_r_is_believed_while_it_is_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SLOWEST", 100)
    simulator = EscposSimulator()
    simulator.knows_gs_r = False
    async with printing(simulator) as (printer, _):
        for label in (APPLES, CARROTS):
            await printer.print(label)
        assert simulator.count == 2


async def test_a_printer_that_falls_silent_in_a_job_may_have_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SLOWEST", 100)
    monkeypatch.setattr(Escpos, "patience", 0.2)
    simulator = EscposSimulator()
    simulator.speed = 40
    async with printing(simulator) as (printer, _):
        job = asyncio.create_task(printer.print(APPLES))
        await until(lambda: simulator.printing)
        simulator.silent = True
        with pytest.raises(NotPrinted) as failure:
            await job
        assert (failure.value.key, failure.value.sure) == ("printer.silent", False)


class Breaking(EscposSimulator):
    """Answers the last question well, is given a label to print, and breaks."""

    job: asyncio.Task[None] | None = None

    def __init__(self, printer: EscposPrinter) -> None:
        super().__init__()
        self.printer = printer

    def _answer(self, question: int) -> None:
        super()._answer(question)
        if question == 4 and self.job is None:
            self.job = asyncio.create_task(self.printer.print(APPLES))
            self.broken = True


async def test_what_it_says_by_itself_is_newer_than_its_answers(tmp_path: Path) -> None:
    printer = driver(str(tmp_path / "tty"))
    simulator = Breaking(printer)
    async with PtyHost(tmp_path / "tty", simulator), running(printer):
        await until(lambda: simulator.job)
        assert simulator.job
        with pytest.raises(NotPrinted) as failure:
            await simulator.job
        assert (failure.value.key, failure.value.sure) == ("printer.error", True)


async def test_a_serial_printer_may_make_the_station_wait(tmp_path: Path) -> None:
    """What the kernel then does is tested at the port."""
    async with PtyHost(tmp_path / "tty", EscposSimulator()) as host:
        printer = driver(str(host.path), flow="xonxoff")
        async with running(printer):
            await until(lambda: printer.paper.get() is Paper.OK)
            line = os.open(host.path, os.O_RDWR | os.O_NOCTTY)
            flags = termios.tcgetattr(line)[0]
            os.close(line)
            assert flags & termios.IXON
            await printer.print(APPLES)


async def test_a_printer_that_stops_listening_has_said_why() -> None:
    """Paper ends in the label: it says so by itself, and takes nothing any more."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def device() -> None:
        heard = b""
        while len(heard) < 2500:
            data = os.read(master, 100)
            heard += data
            os.write(master, b"\x12" * data.count(b"\x10\x04"))
        os.write(master, bytes.fromhex("18 00 0C 0F"))

    device_thread = asyncio.create_task(asyncio.to_thread(device))
    printer = driver(os.ttyname(slave))
    async with running(printer):
        await until(lambda: printer.health.get().usable)
        with pytest.raises(NotPrinted) as failure:
            await printer.print(APPLES)
        assert (failure.value.key, failure.value.sure) == ("printer.paper_out", False)
    await device_thread
    os.close(slave)
    os.close(master)


async def test_a_picture_cut_short_does_not_swallow_the_next_label() -> None:
    """Half a label's bytes have reached the printer when the line breaks; the power stays on."""
    simulator = EscposSimulator()
    taken = asyncio.Event()

    async def half_deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = 0
        while heard < 9000:
            data = await reader.read(1000)
            if not data:
                break
            heard += len(data)
            writer.write(simulator.feed(data))
        taken.set()
        writer.transport.abort()

    async with serving(half_deaf) as port:
        printer = driver(f"socket://127.0.0.1:{port}", cut="label")
        async with running(printer) as run:
            await until(lambda: printer.health.get().usable)
            with pytest.raises(NotPrinted) as failure:
                await printer.print(APPLES)
            assert (failure.value.key, failure.value.sure) == ("printer.lost", False)
            assert taken.is_set()
            await asyncio.wait([run])
            assert isinstance(run.exception(), Lost)
    async with TcpHost(simulator, port), running(printer):
        await until(lambda: printer.paper.get() is Paper.OK)
        await printer.print(CARROTS)
        torn, whole = simulator.printed
        assert dots(whole) == dots(printer.preview(CARROTS))
        assert dots(torn)[0] == (464, 255)
        assert simulator.garbled == 0


async def test_status_false_prints_unseen() -> None:
    simulator = EscposSimulator()
    simulator.silent = True
    async with printing(simulator, status=False) as (printer, _):
        assert health(printer) == (State.UP, "")
        assert printer.paper.get() is Paper.UNKNOWN
        await printer.print(APPLES)
        await until(lambda: simulator.count == 1)
        assert dots(simulator.printed[0]) == dots(printer.preview(APPLES))


async def test_a_hasty_printer_which_answers_from_within_the_picture() -> None:
    """Its answers, unasked, may not be taken for answers to our questions."""
    simulator = EscposSimulator()
    simulator.hasty = True
    async with printing(simulator) as (printer, _):
        await printer.print(APPLES)
        assert dots(simulator.printed[0]) == dots(printer.preview(APPLES))


async def test_garbage_from_the_printer_is_not_a_status() -> None:
    """XON, XOFF, letters and half frames between true answers."""

    class Noisy(EscposSimulator):
        def feed(self, data: bytes) -> bytes:
            answer = super().feed(data)
            return b"\x13\x11\xff\x80OK\xb2" + answer + b"\x11" if answer else b""

    simulator = Noisy()
    async with printing(simulator) as (printer, _):
        await printer.print(APPLES)
        assert simulator.count == 1
        assert printer.paper.get() is Paper.OK
        assert health(printer) == (State.UP, "")


async def test_nothing_but_garbage_is_silence() -> None:
    class Babbling(EscposSimulator):
        def feed(self, data: bytes) -> bytes:
            super().feed(data)
            return b"\xff\xfe Hello \x11\x13" * 20

    simulator = Babbling()
    async with printing(simulator) as (printer, _):
        assert health(printer) == (State.DEGRADED, "printer.silent")
        assert printer.paper.get() is Paper.UNKNOWN


def test_settings_are_checked() -> None:
    for wrong in (
        {"cut": "scissors"},
        {"dpi": 300},
        {"width_dots": 100},
        {"speed": 1},
        {"baud": 0},
    ):
        with pytest.raises(ValueError):
            EscposSettings.model_validate({"port": "/dev/usb/lp0", **wrong})


def test_a_new_connection_begins_with_no_half_frame_from_the_last() -> None:
    language = Escpos(EscposSettings(port="/dev/usb/lp0"))
    assert language.feed(b"\x12\x18\x00\x0c") == [Reply(b"\x12")]
    assert language.begin() == b"\x1da\x0e"
    assert language.feed(b"\x0f") == [Finished()]
    assert language.feed(b"\x18\x00\x0c\x0f") == [
        Told(Condition("printer.paper_out", Paper.OUT)),
    ]


def test_one_unanswered_question_and_nothing_is_known() -> None:
    language = Escpos(EscposSettings(port="/dev/usb/lp0"))
    well = b"\x12"
    assert language.conclude([well] * 4) == Condition("", Paper.OK)
    for heard in range(4):
        assert language.conclude([well] * heard) == SILENT

"""Printers and lines that answer late, too much, or no more."""

import asyncio
import math
import re
from contextlib import suppress
from pathlib import Path

import pytest
from support.echo import until
from support.labels import APPLES, CARROTS
from support.printers import dots, driver, health, running
from support.serving import serving

from devices import Lost, fd_port
from devices.health import State
from devices.simulate import PtyHost
from printer import NotPrinted, Paper, encode, spool
from printer.escpos import Escpos
from printer.simulate import EscposSimulator


async def test_a_late_answer_is_not_taken_for_another_questions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The printer answers question 4 (no paper) late, and the others in time."""
    monkeypatch.setattr(Escpos, "patience", 0.2)
    monkeypatch.setattr(spool, "POLL", 0.05)
    asked: list[int] = []

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            if data[:2] == b"\x10\x04":
                asked.append(data[2])
                if data[2] == 4:
                    await asyncio.sleep(0.3)
                writer.write(b"\x72" if data[2] == 4 else b"\x12")

    async with serving(slow) as port:
        printer = driver(f"socket://127.0.0.1:{port}")
        seen: set[tuple[str, Paper]] = set()
        async with running(printer):
            while asked.count(4) < 4:
                await asyncio.sleep(0.01)
                seen.add((printer.health.get().key, printer.paper.get()))
        assert seen <= {("", Paper.UNKNOWN), ("printer.silent", Paper.UNKNOWN)}


async def test_late_answers_that_come_in_a_crowd_are_not_taken_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The drawer's pin in answer 1 is the bit of an open cover in answer 2."""
    monkeypatch.setattr(Escpos, "patience", 0.5)
    monkeypatch.setattr(spool, "SETTLING", 0.6)
    monkeypatch.setattr(spool, "POLL", 0.05)
    asked: list[int] = []
    kept = b""
    keeps = True

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal kept
        while data := await reader.read(100):
            if data[:2] == b"\x10\x04":
                asked.append(data[2])
                kept += b"\x16" if data[2] == 1 else b"\x12"
            while kept and not keeps:
                # One after the other, as from a line, not all in one read.
                writer.write(kept[:1])
                kept = kept[1:]
                await asyncio.sleep(0.02)

    async with serving(busy) as port:
        printer = driver(f"socket://127.0.0.1:{port}")
        seen: set[tuple[str, Paper]] = set()
        async with running(printer):
            await until(lambda: asked == [1] * 5)
            keeps = False
            while asked.count(4) < 3:
                await asyncio.sleep(0.005)
                seen.add((printer.health.get().key, printer.paper.get()))
        assert seen == {("printer.silent", Paper.UNKNOWN), ("", Paper.OK)}


async def test_answers_without_end_are_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Escpos, "patience", 0.2)
    monkeypatch.setattr(spool, "POLL", 0.05)
    monkeypatch.setattr(spool, "SILENCE", 3)

    async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3 + 3 + 3)  # ASB, and question 1 twice
        with suppress(OSError):
            while True:
                writer.write(b"\x12")
                await writer.drain()
                await asyncio.sleep(0.01)

    async with serving(babbling) as port:
        printer = driver(f"socket://127.0.0.1:{port}")
        async with running(printer) as run:
            await asyncio.wait([run], timeout=20)
            assert isinstance(run.exception(), Lost)
            assert health(printer) == (State.DEGRADED, "printer.silent")


async def test_a_slow_line_is_not_asked_before_it_has_carried_the_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The line takes five seconds: a question asked too soon waits longer than this.
    monkeypatch.setattr(Escpos, "patience", 1)
    simulator = EscposSimulator()
    seen: set[str] = set()
    async with PtyHost(tmp_path / "tty", simulator, baud=38400) as host:
        printer = driver(str(host.path), baud=38400)
        async with running(printer):
            await until(lambda: printer.paper.get() is Paper.OK)
            job = asyncio.create_task(printer.print(APPLES))
            while not job.done():
                await asyncio.sleep(0.01)
                seen.add(printer.health.get().key)
            await job
    assert seen == {""}
    assert simulator.count == 1


class Listening(EscposSimulator):
    """Keeps the last bytes it was sent."""

    heard = b""

    def feed(self, data: bytes) -> bytes:
        self.heard = (self.heard + data)[-10:]
        return super().feed(data)


async def test_switched_off_and_on_in_a_label_it_may_not_be_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a serial line nothing else tells: it is well, but it has forgotten the label."""
    monkeypatch.setattr(spool, "SLOWEST", 40)
    simulator, fresh = Listening(), EscposSimulator()
    async with PtyHost(tmp_path / "tty", simulator) as host:
        printer = driver(str(host.path))
        async with running(printer):
            await until(lambda: printer.paper.get() is Paper.OK)
            await printer.print(APPLES)
            simulator.speed = 10
            simulator.heard = b""
            job = asyncio.create_task(printer.print(CARROTS))
            # Of a printer that comes back while the line still carries the label nothing tells.
            await until(lambda: simulator.heard.endswith(encode.ASK_PAPER_WHEN_DONE))
            assert simulator.printing
            host.simulator = fresh
            with pytest.raises(NotPrinted) as failure:
                await job
            assert (failure.value.key, failure.value.sure) == ("printer.lost", False)
            await printer.print(CARROTS)
            assert fresh.count == 1


async def test_a_printer_that_takes_no_more_bytes_is_lost_for_the_reason_it_has_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Paper ends in a label: until somebody puts some in, nothing can lead it out of that label."""
    monkeypatch.setattr(fd_port, "WRITE_TIMEOUT", 0.5)
    more_than_a_socket_takes = bytes(16 << 20)
    monkeypatch.setattr(Escpos, "encode", lambda *_: more_than_a_socket_takes)
    monkeypatch.setattr(Escpos, "mend", lambda _: more_than_a_socket_takes)
    full = asyncio.Event()

    async def small(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(data := await reader.read(100)) < 100 and not full.is_set():
            writer.write(b"\x12" * data.count(b"\x10\x04"))
        if not full.is_set():
            writer.write(bytes.fromhex("18 00 0C 0F"))
            full.set()
        await asyncio.sleep(60)

    async with serving(small) as port:
        printer = driver(f"socket://127.0.0.1:{port}")
        async with running(printer) as run:
            await until(lambda: printer.paper.get() is Paper.OK)
            jobs = [asyncio.create_task(printer.print(label)) for label in (APPLES, CARROTS)]
            for job, sure in zip(jobs, (False, True), strict=True):
                with pytest.raises(NotPrinted) as failure:
                    await job
                assert (failure.value.key, failure.value.sure) == ("printer.paper_out", sure)
            with pytest.raises(Lost, match=r"printer\.paper_out"):
                await run
        async with running(printer) as run:
            with pytest.raises(Lost, match=r"printer\.paper_out"):
                await run


class Overrun(EscposSimulator):
    """Without paper it drops all but questions: nothing on its line makes the sender wait."""

    def feed(self, data: bytes) -> bytes:
        if self.paper_mm <= 0:
            data = b"".join(re.findall(b"\x10\x04[\x01-\x04]", data))
        return super().feed(data)


async def test_what_a_serial_line_lost_without_paper_does_not_swallow_the_next_label(
    tmp_path: Path,
) -> None:
    simulator = Overrun()
    simulator.hasty = True
    simulator.paper_mm = 20
    async with PtyHost(tmp_path / "tty", simulator) as host:
        printer = driver(str(host.path))
        async with running(printer):
            await until(lambda: printer.paper.get() is Paper.OK)
            with pytest.raises(NotPrinted) as failure:
                await printer.print(APPLES)
            assert (failure.value.key, failure.value.sure) == ("printer.paper_out", False)
            simulator.paper_mm = math.inf
            await until(lambda: printer.paper.get() is Paper.OK)
            await printer.print(CARROTS)
            torn, whole = simulator.printed
            assert dots(whole) == dots(printer.preview(CARROTS))
            assert dots(torn) != dots(whole)
            assert simulator.garbled == 0

"""The queue and the watch, with a language made up here: it takes what any new one takes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict
from support.echo import until
from support.labels import APPLES, CARROTS
from support.printers import dots, driver, health, printing, running
from support.serving import serving

from devices import Absent, Lost, Refused
from devices.health import State
from devices.ports import Line
from devices.simulate import TcpHost
from printer import Label, NotPrinted, Paper, layout, spool
from printer.language import SILENT, Condition, Finished, Heard, Language, Reply, Told
from printer.simulate import EscposSimulator
from printer.spool import SpooledPrinter

ENQ, ACK, FF, CAN = b"\x05\x06\x0c\x18"

# A whole driver: what would be one file, `printer/rows.py`, and one line in `pyproject.toml`.


class RowsSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str


class Rows(Language):
    """Lines of text; FF ends a label. ENQ is answered with ``40h``, + 1 no paper, + 2 printing."""

    questions = (bytes([ENQ]),)
    patience = 0.5
    real_time = True

    def feed(self, data: bytes) -> list[Heard]:
        return [Reply(bytes([byte])) for byte in data if byte & 0xFC == 0x40]

    def conclude(self, answers: Sequence[bytes]) -> Condition:
        if not answers:
            return SILENT
        bits = answers[0][0]
        if bits & 1:
            return Condition("printer.paper_out", Paper.OUT)
        return Condition(paper=Paper.OK, printing=bool(bits & 2))

    def encode(self, label: Label) -> bytes:
        return f"{label.title}\n{label.barcode}\n".encode("ascii", "replace") + bytes([FF])

    def mend(self) -> bytes:
        return bytes([CAN])

    def preview(self, label: Label) -> bytes:
        return layout.preview(label, layout.Sheet.of(203, 464))


class RowsPrinter(SpooledPrinter):
    Settings: ClassVar[type[BaseModel]] = RowsSettings

    def __init__(self, name: str, settings: RowsSettings, language: Language | None = None) -> None:
        super().__init__(name, settings.port, Line(), language or Rows())


# Other ways that printers have.


class Shy(Rows):
    """May not be asked while it prints. Says by itself that a job is out (ACK) and why not (A)."""

    real_time = False

    def feed(self, data: bytes) -> list[Heard]:
        said: list[Heard] = []
        for byte in data:
            if byte == ACK:
                said.append(Finished())
            elif byte == ord("A"):
                said.append(Told(Condition("printer.paper_out", Paper.OUT)))
        return said or super().feed(data)


class Sulking(Rows):
    """Says nothing while its cover is open."""

    def conclude(self, answers: Sequence[bytes]) -> Condition:
        return super().conclude(answers) if answers else Condition("printer.cover_open")


class RowsSimulator:
    """Prints a label when `held` is false. What it was sent stands in `heard`."""

    def __init__(self) -> None:
        self.silent = False
        self.paper = True
        self.held = False
        self.tells = False
        self.heard = b""
        self.asked_in_job = 0
        self.printed: list[str] = []
        self._text = b""
        self._waiting: list[str] = []
        self.say: Callable[[bytes], None] = lambda _data: None

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.say = send

    @property
    def printing(self) -> bool:
        return bool(self._waiting)

    def feed(self, data: bytes) -> bytes:
        self.heard += data
        answer = b""
        for byte in data:
            if byte == ENQ:
                self.asked_in_job += self.printing
                answer += bytes([0x40 | (not self.paper) | self.printing << 1])
            elif byte == CAN:
                self._text = b""
            elif byte == FF:
                self._waiting.append(self._text.decode())
                self._text = b""
                self.go_on()
            else:
                self._text += bytes([byte])
        return answer

    def go_on(self) -> None:
        if self.held or not self.paper:
            return
        for label in self._waiting:
            self.printed.append(label)
            if self.tells:
                self.say(bytes([ACK]))
        self._waiting = []

    def release(self) -> None:
        self.held = False
        self.go_on()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "POLL", 0.1)
    monkeypatch.setattr(spool, "GLANCE", 0.05)


@asynccontextmanager
async def rows(
    simulator: RowsSimulator, language: Language | None = None
) -> AsyncIterator[RowsPrinter]:
    async with TcpHost(simulator) as host:
        settings = RowsSettings(port=f"socket://127.0.0.1:{host.port}")
        printer = RowsPrinter("labels", settings, language)
        async with running(printer):
            await until(lambda: printer.health.get().usable)
            yield printer


def text(label: Label) -> str:
    return f"{label.title}\n{label.barcode}\n"


async def fails(job: "asyncio.Task[None]") -> tuple[str, bool]:
    with pytest.raises(NotPrinted) as failure:
        await job
    return failure.value.key, failure.value.sure


async def test_a_language_of_one_file_prints_in_order_and_waits_until_the_label_is_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spool, "SLOWEST", 0.1)  # its time is never over: it must say so
    simulator = RowsSimulator()
    async with rows(simulator) as printer:
        assert (health(printer), printer.paper.get()) == ((State.UP, ""), Paper.OK)
        simulator.held = True
        jobs = [asyncio.create_task(printer.print(label)) for label in (APPLES, CARROTS)]
        await until(lambda: simulator.asked_in_job > 3)
        assert not jobs[0].done()
        assert simulator.heard.count(FF) == 1
        simulator.release()
        await asyncio.gather(*jobs)
        assert simulator.printed == [text(APPLES), text(CARROTS)]


async def test_it_refuses_while_it_has_no_paper_and_while_it_is_silent() -> None:
    simulator = RowsSimulator()
    async with rows(simulator) as printer:
        simulator.paper = False
        await until(lambda: health(printer) == (State.DEGRADED, "printer.paper_out"))
        assert printer.paper.get() is Paper.OUT
        job = asyncio.create_task(printer.print(APPLES))
        assert await fails(job) == ("printer.paper_out", True)
        simulator.silent = True
        await until(lambda: health(printer) == (State.DEGRADED, "printer.silent"))
        assert printer.paper.get() is Paper.UNKNOWN
        assert FF not in simulator.heard


async def test_paper_that_ends_in_a_job_leaves_a_doubt() -> None:
    simulator = RowsSimulator()
    async with rows(simulator) as printer:
        simulator.held = True
        job = asyncio.create_task(printer.print(APPLES))
        await until(lambda: simulator.printing)
        simulator.paper = False
        assert await fails(job) == ("printer.paper_out", False)


async def test_a_job_cut_short_is_mended_on_the_next_connection() -> None:
    """The line breaks inside the job's bytes; the printer's power stays on."""
    simulator = RowsSimulator()

    async def half_deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(100)) == bytes([ENQ]):
            writer.write(simulator.feed(data))
        simulator.feed(data[:5])
        writer.transport.abort()

    async with serving(half_deaf) as port:
        printer = RowsPrinter("labels", RowsSettings(port=f"socket://127.0.0.1:{port}"))
        async with running(printer) as run:
            await until(lambda: printer.health.get().usable)
            assert await fails(asyncio.create_task(printer.print(APPLES))) == (
                "printer.lost",
                False,
            )
            await asyncio.wait([run])
            assert isinstance(run.exception(), Lost)
    before = len(simulator.heard)
    async with TcpHost(simulator, port), running(printer):
        await until(lambda: printer.paper.get() is Paper.OK)
        await printer.print(CARROTS)
    assert simulator.heard[before] == CAN
    assert simulator.heard.count(CAN) == 1
    assert simulator.printed == [text(CARROTS)]


async def test_a_shy_language_is_not_asked_in_a_job() -> None:
    simulator = RowsSimulator()
    simulator.tells = True
    async with rows(simulator, Shy()) as printer:
        simulator.held = True
        job = asyncio.create_task(printer.print(APPLES))
        await until(lambda: simulator.printing)
        await asyncio.sleep(0.5)
        assert not job.done()
        simulator.release()
        await job
        simulator.held = True
        job = asyncio.create_task(printer.print(CARROTS))
        await until(lambda: simulator.printing)
        assert simulator.asked_in_job == 0
        simulator.say(b"A")
        assert await fails(job) == ("printer.paper_out", False)


@pytest.mark.parametrize(("silent", "told"), [(True, ("printer.silent", False)), (False, None)])
async def test_a_shy_language_that_never_says_so_is_asked_when_time_is_over(
    monkeypatch: pytest.MonkeyPatch, silent: bool, told: tuple[str, bool] | None
) -> None:
    monkeypatch.setattr(spool, "SLOWEST", 200)
    simulator = RowsSimulator()
    async with rows(simulator, Shy()) as printer:
        simulator.held = silent
        job = asyncio.create_task(printer.print(APPLES))
        await until(lambda: simulator.heard.count(FF) == 1)
        simulator.silent = silent
        if told:
            assert await fails(job) == told
        else:
            await job
            assert simulator.printed == [text(APPLES)]


@pytest.mark.parametrize(("language", "given_up"), [(Rows(), True), (Sulking(), False)])
async def test_silence_is_given_up_unless_it_means_something(
    monkeypatch: pytest.MonkeyPatch, language: Language, given_up: bool
) -> None:
    monkeypatch.setattr(spool, "SILENCE", 0.5)
    simulator = RowsSimulator()
    async with TcpHost(simulator) as host:
        settings = RowsSettings(port=f"socket://127.0.0.1:{host.port}")
        printer = RowsPrinter("labels", settings, language)
        async with running(printer) as run:
            await until(lambda: health(printer) == (State.UP, ""))
            simulator.silent = True
            await asyncio.wait([run], timeout=20 if given_up else 3)
            assert run.done() is given_up
            if not given_up:
                assert health(printer) == (State.DEGRADED, "printer.cover_open")
                simulator.silent = False
                await until(lambda: health(printer) == (State.UP, ""))


async def test_noise_is_no_answer() -> None:
    class Noisy(RowsSimulator):
        def feed(self, data: bytes) -> bytes:
            super().feed(data)
            return b"\x11\x13\xff\x00\x80" * 100

    async with rows(Noisy()) as printer:
        assert health(printer) == (State.DEGRADED, "printer.silent")
        assert printer.paper.get() is Paper.UNKNOWN


# With ESC/POS


async def test_labels_asked_for_at_once_come_one_after_the_other_in_order() -> None:
    simulator = EscposSimulator()
    simulator.speed = 400
    labels = [replace(APPLES, title=f"Pommes {n}") for n in range(5)]
    async with printing(simulator) as (printer, _):
        await asyncio.gather(*map(printer.print, labels))
        assert list(map(dots, simulator.printed)) == [
            dots(printer.preview(label)) for label in labels
        ]


async def test_a_caller_who_leaves_before_its_turn_prints_nothing_and_later_whole() -> None:
    simulator = EscposSimulator()
    simulator.speed = 40
    async with printing(simulator) as (printer, _):
        first = asyncio.create_task(printer.print(APPLES))
        await until(lambda: simulator.printing)
        second = asyncio.create_task(printer.print(replace(APPLES, title="Nobody's")))
        await asyncio.sleep(0.1)
        third = asyncio.create_task(printer.print(CARROTS))
        first.cancel()
        second.cancel()
        await third
        assert list(map(dots, simulator.printed)) == [
            dots(printer.preview(label)) for label in (APPLES, CARROTS)
        ]


async def test_no_printer_at_all(tmp_path: Path) -> None:
    printer = driver(str(tmp_path / "lp0"))
    with pytest.raises(NotPrinted, match=r"printer\.absent"):
        await printer.print(APPLES)
    with pytest.raises(Absent):
        await printer.run()
    with pytest.raises(Refused):
        await driver("lp0").run()
    plugged = asyncio.create_task(printer.plugged())
    await asyncio.sleep(0.3)
    assert not plugged.done()
    (tmp_path / "lp0").touch()
    await asyncio.wait_for(plugged, 5)


async def test_idle_forgets_the_paper() -> None:
    async with printing(EscposSimulator()) as (printer, _):
        assert printer.paper.get() is Paper.OK
    assert printer.paper.get() is Paper.UNKNOWN


async def test_unplugged_in_the_middle_of_a_label() -> None:
    simulator = EscposSimulator()
    simulator.speed = 20
    async with printing(simulator) as (printer, host):
        first = asyncio.create_task(printer.print(APPLES))
        second = asyncio.create_task(printer.print(CARROTS))
        await until(lambda: simulator.printing)
        await host.unplug()
        with pytest.raises(NotPrinted) as failure:
            await first
        assert (failure.value.key, failure.value.sure) == ("printer.lost", False)
        with pytest.raises(NotPrinted) as failure:
            await second
        assert (failure.value.key, failure.value.sure) == ("printer.lost", True)
        with pytest.raises(NotPrinted) as failure:
            await printer.print(CARROTS)
        assert (failure.value.key, failure.value.sure) == ("printer.absent", True)


async def test_a_label_that_cannot_be_drawn_is_refused_before_anything_is_sent() -> None:
    simulator = EscposSimulator()
    async with printing(simulator) as (printer, _):
        bad: list[Label] = [replace(APPLES, barcode="1"), replace(APPLES, price="9" * 50)]
        for label in bad:
            with pytest.raises(NotPrinted) as failure:
                await printer.print(label)
            assert failure.value.sure
        assert simulator.count == 0

"""ESC/POS printers on a USB node, the network or a serial line.

The one rule: nothing is printed twice. The driver never repeats a job; it says whether the label
may have come out and leaves the choice to a person.

`run` alone touches the port. It asks for the status every two seconds; between two looks it takes
one job at a time: look, send, then wait for the answer to GS r, which a printer gives only once
everything before it is on paper. Inside a job only real-time commands are sent.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from devices.errors import Lost
from devices.ports import Line, Port, open_port, plugged
from printer import encode
from printer.label import Label
from printer.layout import HEIGHT_MM, Sheet, draw
from printer.printer import NotPrinted, Paper, Printer
from printer.status import Answer, Asb, Sensed, Status, StatusParser

POLL = 2.0
"""Seconds between two looks at an idle printer."""
GLANCE = 0.25
"""Seconds between two looks while a label is coming out."""
ANSWER = 1.0
"""Seconds a printer has to answer DLE EOT; it takes a few milliseconds."""
SILENCE = 30.0
"""Seconds of silence after which the connection itself is given up, to be made again."""
SLOWEST = 20
"""Millimetres a second: a printer slower than this counts as stuck, or as deaf to GS r."""
ASB_MASK = 0x0E
"""On-line, error and paper: told at once, even while a job fills the line."""

PASSING = ("printer.silent", "printer.offline", "printer.hot")
"""Troubles that may end by themselves while a label is coming out."""

_BLANK = Label("", "", "", "", "0000000000000", "", "", "")


class EscposSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    """``/dev/usb/lp0``, ``socket://192.168.1.50:9100``, ``/dev/serial/by-id/…``"""
    baud: int = Field(default=115200, gt=0)
    parity: Literal["N", "E", "O"] = "N"
    dpi: Literal[180, 203] = 203
    width_dots: int = Field(default=464, ge=360, le=832)
    """Dots of the print head. A label takes 464 of them at 203 dpi, 408 at 180."""
    cut: encode.Ending = "cut"
    """How a label ends: the cutter, the gap between two labels, or a feed to the tear bar."""
    status: bool = True
    """False for printers and cables that never answer: labels are then sent unseen."""


class _Job:
    def __init__(self, label: Label) -> None:
        self.label = label
        self.result: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def settled(self) -> bool:
        """Printed, failed, or its caller has gone."""
        return self.result.done()

    def printed(self) -> None:
        if not self.settled:
            self.result.set_result(None)

    def failed(self, failure: NotPrinted) -> None:
        if not self.settled:
            self.result.set_exception(failure)


class EscposPrinter(Printer):
    Settings: ClassVar[type[BaseModel]] = EscposSettings

    def __init__(self, name: str, settings: EscposSettings) -> None:
        super().__init__(name)
        self.settings = settings
        self.sheet = Sheet.of(settings.dpi, settings.width_dots)
        self._jobs: deque[_Job] = deque()
        self._news = asyncio.Event()
        self._running = False
        self._status = Status()
        """As last shown."""
        self._torn = False
        """A job was sent, and the printer may still be waiting for the rest of a picture."""

    async def plugged(self) -> None:
        await plugged(self.settings.port)

    def preview(self, label: Label) -> bytes:
        return encode.png(draw(label, self.sheet))

    async def print(self, label: Label) -> None:
        """Print one label and return when it is out; callers wait for their turn.

        A caller that is cancelled before its turn prints nothing; after that, the label comes
        out whole all the same. Raises `NotPrinted`.
        """
        if not self._running:
            raise NotPrinted("printer.absent", sure=True)
        job = _Job(label)
        self._jobs.append(job)
        self._news.set()
        await job.result

    async def run(self) -> None:
        # Pillow and the fonts are loaded now, beside the loop, and not for the first customer.
        await asyncio.to_thread(self._encode, _BLANK)
        line = Line(self.settings.baud, parity=self.settings.parity)
        try:
            async with open_port(self.settings.port, line) as port:
                self._running = True
                talk = _Talk(port, self._show)
                async with asyncio.TaskGroup() as group:
                    group.create_task(talk.listen(), name=f"{self.name} listens")
                    group.create_task(self._serve(port, talk), name=f"{self.name} serves")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._running = False
            while self._jobs:
                self._jobs.popleft().failed(NotPrinted("printer.lost", sure=True))

    async def _serve(self, port: Port, talk: "_Talk") -> None:
        if self._torn:
            await port.write(self._mending())
            self._torn = False
        if self.settings.status:
            await port.write(encode.asb(ASB_MASK))
        heard = asyncio.get_running_loop().time()
        while True:
            status = await self._look(talk)
            now = asyncio.get_running_loop().time()
            heard = heard if status.silent else now
            if now - heard > SILENCE:
                raise Lost("device.silent")
            if self._jobs:
                await self._do(self._jobs.popleft(), status, port, talk)
                continue
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()

    async def _look(self, talk: "_Talk") -> Status:
        status = await talk.status() if self.settings.status else Status()
        self._show(status)
        return status

    def _show(self, status: Status) -> None:
        self._status = status
        self.paper.set(status.paper)
        if status.trouble:
            self.is_degraded(status.trouble)
        elif status.paper is Paper.LOW:
            self.is_degraded("printer.paper_low")
        else:
            self.is_up()

    async def _do(self, job: _Job, status: Status, port: Port, talk: "_Talk") -> None:
        """`status` has just been asked for."""
        if status.trouble:
            job.failed(NotPrinted(status.trouble, sure=True))
        if job.settled:
            return
        try:
            data = await asyncio.to_thread(self._encode, job.label)
            self._torn = True
            if self.settings.status:
                talk.expect_done()
            await port.write(data)
            await self._wait_until_out(len(data), talk)
        except NotPrinted as failure:
            job.failed(failure)
        except BaseException:
            # A printer without paper may take no more bytes: then that is what to tell.
            job.failed(NotPrinted(self._status.trouble or "printer.lost", sure=not self._torn))
            raise
        job.printed()
        self._torn = False

    async def _wait_until_out(self, size: int, talk: "_Talk") -> None:
        """Raises `NotPrinted` (unsure) when something keeps the label in."""
        if not self.settings.status:
            return
        sending = size * 10 / self.settings.baud if _serial(self.settings.port) else 0
        end = asyncio.get_running_loop().time() + sending + 2 * HEIGHT_MM / SLOWEST
        while not await talk.done(GLANCE):
            status = self._status
            if status.trouble in ("", *PASSING):
                status = await self._look(talk)
            late = asyncio.get_running_loop().time() > end
            if status.trouble and (late or status.trouble not in PASSING):
                # What it has in its memory may still come out, once a person has mended it.
                raise NotPrinted(status.trouble, sure=False)
            if late:
                # It answers and is well: it does not know GS r.
                talk.forget_done()
                return

    def _encode(self, label: Label) -> bytes:
        asking = self.settings.status
        return b"".join(
            (
                encode.INIT,
                encode.asb(ASB_MASK) if asking else b"",  # ESC @ has switched it off
                encode.raster(draw(label, self.sheet)),
                encode.ending(self.settings.cut, self.settings.dpi),
                encode.ASK_PAPER_WHEN_DONE if asking else b"",
            )
        )

    def _mending(self) -> bytes:
        """Ends a picture that was cut short: NULs are white dots inside it, nothing outside."""
        rest = bytes(self.sheet.width // 8 * encode.SLICE)
        return rest + encode.INIT + encode.ending(self.settings.cut, self.settings.dpi)


def _serial(port: str) -> bool:
    return port.startswith("rfc2217:") or (port.startswith("/") and "/usb/lp" not in port)


class _Talk:
    """Questions to the printer, and what it says, asked or not."""

    def __init__(self, port: Port, show: Callable[[Status], None]) -> None:
        self._port = port
        self._show = show
        self._answer: asyncio.Future[int] | None = None
        self._owed = 0
        """GS r sent and not answered yet."""
        self._done = asyncio.Event()

    async def listen(self) -> None:
        """Sort what the printer sends, until the port fails."""
        parser = StatusParser()
        while True:
            for event in parser.feed(await self._port.read()):
                match event:
                    case Answer(byte) if self._answer and not self._answer.done():
                        self._answer.set_result(byte)
                    case Asb():
                        self._show(event.status)
                    case Sensed() if self._owed:
                        self._owed -= 1
                        if not self._owed:
                            self._done.set()
                    case _:
                        pass  # noise, and answers that nobody waits for any more

    async def status(self) -> Status:
        """DLE EOT 1 to 4. One unanswered question, and nothing is known."""
        status = Status()
        for question in (1, 2, 3, 4):
            self._answer = asyncio.get_running_loop().create_future()
            await self._port.write(encode.ask(question))
            try:
                async with asyncio.timeout(ANSWER):
                    status = status.after(question, await self._answer)
            except TimeoutError:
                # A late answer must not be taken for that to the next question.
                await asyncio.sleep(ANSWER)
                return Status(silent=True)
        return status

    def expect_done(self) -> None:
        """A GS r is about to be sent. One still owed from before is answered before it."""
        self._owed += 1
        self._done.clear()

    def forget_done(self) -> None:
        self._owed = 0

    async def done(self, timeout: float) -> bool:
        """Whether every GS r has been answered within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._done.wait()
        return self._done.is_set()

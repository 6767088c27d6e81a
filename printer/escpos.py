"""ESC/POS printers on a USB node, the network or a serial line.

The one rule: a printer is asked only in ways it answers at once, wherever it stands: DLE EOT and
automatic status back. The one command that waits its turn, GS r, ends each job: its answer means
that everything before it is on paper.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from devices.ports import Flow, Line
from printer import encode, layout
from printer.label import Label
from printer.language import SILENT, Condition, Finished, Heard, Language, Reply, Told
from printer.spool import SpooledPrinter
from printer.status import Answer, Asb, Sensed, Status, StatusParser

ASB_MASK = 0x0E
"""On-line, error and paper: told at once, even while a job fills the line."""


class EscposSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    """``/dev/usb/lp0``, ``socket://192.168.1.50:9100``, ``/dev/serial/by-id/…``"""
    baud: int = Field(default=115200, gt=0)
    parity: Literal["N", "E", "O"] = "N"
    flow: Flow = "none"
    """As the printer is set: without it, bytes that come faster than it prints may be lost."""
    dpi: Literal[180, 203] = 203
    width_dots: int = Field(default=464, ge=360, le=832)
    """Dots of the print head. A label takes 464 of them at 203 dpi, 408 at 180."""
    cut: encode.Ending = "cut"
    """How a label ends: the cutter, the gap between two labels, or a feed to the tear bar."""
    status: bool = True
    """False for printers and cables that never answer: labels are then sent unseen."""


class EscposPrinter(SpooledPrinter):
    Settings: ClassVar[type[BaseModel]] = EscposSettings

    def __init__(self, name: str, settings: EscposSettings) -> None:
        line = Line(settings.baud, parity=settings.parity, flow=settings.flow)
        super().__init__(name, settings.port, line, Escpos(settings))


class Escpos(Language):
    real_time = True

    def __init__(self, settings: EscposSettings) -> None:
        self._asks = settings.status
        self._sheet = layout.Sheet.of(settings.dpi, settings.width_dots)
        self._ending = encode.ending(settings.cut, settings.dpi)
        self._parser = StatusParser()
        self._asb = encode.asb(ASB_MASK) if self._asks else b""
        if self._asks:
            self.questions = tuple(map(encode.ask, (1, 2, 3, 4)))

    def begin(self) -> bytes:
        self._parser = StatusParser()
        return self._asb

    def feed(self, data: bytes) -> list[Heard]:
        heard: list[Heard] = []
        for event in self._parser.feed(data):
            match event:
                case Answer(byte):
                    heard.append(Reply(bytes([byte])))
                case Asb():
                    heard.append(Told(_condition(event.status)))
                case Sensed():
                    heard.append(Finished())
        return heard

    def conclude(self, answers: Sequence[bytes]) -> Condition:
        if len(answers) < len(self.questions):
            return SILENT
        status = Status()
        for question, answer in enumerate(answers, 1):
            status = status.after(question, answer[0])
        return _condition(status)

    def encode(self, label: Label) -> bytes:
        return b"".join(
            (
                encode.INIT,
                self._asb,  # ESC @ has switched it off
                encode.raster(layout.draw(label, self._sheet)),
                self._ending,
                encode.ASK_PAPER_WHEN_DONE if self._asks else b"",
            )
        )

    def mend(self) -> bytes:
        """Ends a picture that was cut short: NULs are white dots inside it, nothing outside."""
        return bytes(self._sheet.width // 8 * encode.SLICE) + encode.INIT + self._ending

    def preview(self, label: Label) -> bytes:
        return layout.preview(label, self._sheet)


def _condition(status: Status) -> Condition:
    return Condition(status.trouble, status.paper)

"""What an ESC/POS printer says of itself: answers to DLE EOT, and the frames of ASB.

The one rule: a byte counts only if its fixed bits say what it is. XON, XOFF and line noise are
skipped, and a printer that says nothing is not "OK".

Real-time answers (DLE EOT 1-4) satisfy ``b & 93h == 12h``. Automatic status back (GS a) sends four
bytes: the first satisfies ``b & 93h == 10h``, the others ``b & 90h == 0``. The answer to GS r has
``b & F0h == 0``. Bits from the manuals of Epson TM-L60II, TM-L90 and TM-U220, Citizen iDP-3221 and
CT-S2000, Custom TG02H.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Any

from printer.printer import Paper

_XON_XOFF = (0x11, 0x13)


class Online(IntFlag):
    """Answer to DLE EOT 1."""

    DRAWER_PIN3_HIGH = 0x04
    OFFLINE = 0x08
    WAITING_RECOVERY = 0x20
    FEED_BUTTON = 0x40


class Stop(IntFlag):
    """Answer to DLE EOT 2: why it is off-line."""

    COVER_OPEN = 0x04
    FEED_BUTTON = 0x08
    PAPER_END_STOP = 0x20
    ERROR = 0x40


class Fault(IntFlag):
    """Answer to DLE EOT 3: which error."""

    RECOVERABLE_ERROR = 0x04
    CUTTER_ERROR = 0x08
    UNRECOVERABLE_ERROR = 0x20
    AUTO_RECOVERABLE_ERROR = 0x40


class Roll(IntFlag):
    """Answer to DLE EOT 4. Two sensors, two bits each: one bit is enough."""

    NEAR_END = 0x0C
    END = 0x60


class AsbOnline(IntFlag):
    """First byte of an ASB frame."""

    DRAWER_PIN3_HIGH = 0x04
    OFFLINE = 0x08
    COVER_OPEN = 0x20
    FEEDING = 0x40


class AsbFault(IntFlag):
    """Second byte of an ASB frame."""

    WAITING_RECOVERY = 0x01
    MECHANICAL_ERROR = 0x04
    CUTTER_ERROR = 0x08
    UNRECOVERABLE_ERROR = 0x20
    AUTO_RECOVERABLE_ERROR = 0x40


class Sensor(IntFlag):
    """Third byte of an ASB frame, and the answer to GS r 1."""

    NEAR_END = 0x03
    END = 0x0C


@dataclass(frozen=True, slots=True)
class Status:
    """What keeps the printer from printing, and its paper."""

    paper: Paper = Paper.UNKNOWN
    offline: bool = False
    cover_open: bool = False
    cutter_error: bool = False
    hot: bool = False
    """An error that ends by itself: the head cools down."""
    error: bool = False

    @property
    def trouble(self) -> str:
        """The catalogue key of what a person must mend first; "" when it can print."""
        if self.paper is Paper.OUT:
            return "printer.paper_out"
        if self.cover_open:
            return "printer.cover_open"
        if self.cutter_error:
            return "printer.cutter"
        if self.hot:
            return "printer.hot"
        if self.error:
            return "printer.error"
        return "printer.offline" if self.offline else ""

    def after(self, question: int, answer: int) -> "Status":
        """With what the printer answered to DLE EOT `question`."""
        match question:
            case 1:
                return replace(self, offline=bool(Online(answer) & Online.OFFLINE))
            case 2:
                stop = Stop(answer)
                return replace(
                    self,
                    cover_open=bool(stop & Stop.COVER_OPEN),
                    error=bool(stop & Stop.ERROR),
                    paper=Paper.OUT if stop & Stop.PAPER_END_STOP else self.paper,
                )
            case 3:
                fault = Fault(answer)
                return replace(
                    self,
                    cutter_error=bool(fault & Fault.CUTTER_ERROR),
                    hot=bool(fault & Fault.AUTO_RECOVERABLE_ERROR),
                    error=self.error
                    or bool(fault & (Fault.RECOVERABLE_ERROR | Fault.UNRECOVERABLE_ERROR)),
                )
            case _:
                seen = _paper(answer, Roll.NEAR_END, Roll.END)
                return replace(self, paper=Paper.OUT if self.paper is Paper.OUT else seen)


@dataclass(frozen=True, slots=True)
class Answer:
    """One byte that answers DLE EOT. It does not say which question: the asker must know."""

    byte: int


@dataclass(frozen=True, slots=True)
class Asb:
    """A frame of automatic status back."""

    frame: bytes

    @property
    def status(self) -> Status:
        online, fault = AsbOnline(self.frame[0]), AsbFault(self.frame[1])
        return Status(
            paper=_paper(self.frame[2], Sensor.NEAR_END, Sensor.END),
            offline=bool(online & AsbOnline.OFFLINE),
            cover_open=bool(online & AsbOnline.COVER_OPEN),
            cutter_error=bool(fault & AsbFault.CUTTER_ERROR),
            hot=bool(fault & AsbFault.AUTO_RECOVERABLE_ERROR),
            error=bool(fault & (AsbFault.MECHANICAL_ERROR | AsbFault.UNRECOVERABLE_ERROR)),
        )


@dataclass(frozen=True, slots=True)
class Sensed:
    """The answer to GS r 1, which a printer gives only once all before it is printed."""

    paper: Paper


@dataclass(frozen=True, slots=True)
class Noise:
    byte: int


Event = Answer | Asb | Sensed | Noise


class StatusParser:
    """Sorts the bytes from a printer by their fixed bits. Keeps three bytes at most."""

    def __init__(self) -> None:
        self._frame = b""

    def feed(self, data: bytes) -> list[Event]:
        return [event for byte in data for event in self._sort(byte)]

    @property
    def incomplete(self) -> bool:
        """An ASB frame has begun."""
        return bool(self._frame)

    def _sort(self, byte: int) -> list[Event]:
        if byte in _XON_XOFF:
            return [Noise(byte)]
        if byte & 0x93 == 0x12:
            return [Answer(byte)]
        if byte & 0x93 == 0x10:
            return self._begin(bytes([byte]))
        if byte & 0x90:
            return [*self._begin(b""), Noise(byte)]
        if not self._frame:
            if byte & 0xF0:
                return [Noise(byte)]
            return [Sensed(_paper(byte, Sensor.NEAR_END, Sensor.END))]
        self._frame += bytes([byte])
        if len(self._frame) < 4:
            return []
        frame, self._frame = self._frame, b""
        return [Asb(frame)]

    def _begin(self, frame: bytes) -> list[Event]:
        broken, self._frame = self._frame, frame
        return [Noise(byte) for byte in broken]


def _paper(byte: int, near_end: IntFlag, end: IntFlag) -> Paper:
    if byte & end:
        return Paper.OUT
    return Paper.LOW if byte & near_end else Paper.OK


def decode_dle_eot(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What a `response` to the `request` DLE EOT n (``10 04 n``) or GS r 1 (``1D 72 01``) says."""
    request = bytes.fromhex(vector.get("request") or "")
    real_time = len(request) == 3 and request[:2] == b"\x10\x04" and 1 <= request[2] <= 4
    if not real_time and request not in (b"\x1dr\x01", b"\x1dr1"):
        raise ValueError("request: DLE EOT n (10 04 01 to 10 04 04) or GS r 1 (1D 72 01) expected")
    response = _said(vector)
    if response is None:
        return {"kind": "command"}
    if not response:
        about_paper = not real_time or request[2] == 4
        return _SILENT | ({"paper": str(Paper.UNKNOWN)} if about_paper else {})
    parser = StatusParser()
    skipped = 0
    for event in parser.feed(response):
        if real_time and isinstance(event, Answer):
            return _answer(request[2], event.byte) | {"skipped": skipped}
        if not real_time and isinstance(event, Sensed):
            paper = str(event.paper)
            return {"kind": "status", "cmd": "GS r 1", "paper": paper, "skipped": skipped}
        skipped += len(event.frame) if isinstance(event, Asb) else 1
    return {"kind": "incomplete" if parser.incomplete else "malformed", "skipped": skipped}


_SILENT = {"kind": "timeout", "state": "unknown"}
"""Silence is not "OK"."""


def _said(vector: Mapping[str, Any]) -> bytes | None:
    """What came from the printer; None when nothing was to come. Raises ValueError for neither."""
    given = vector.get("response")
    if given is None:
        given = vector.get("hex")
    if given is None and not vector.get("request"):
        raise ValueError("give the printer's bytes as response or hex")
    return bytes.fromhex(given) if given is not None else None


def _answer(question: int, byte: int) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": "status", "n": question}
    if question == 4:
        return said | {"paper": str(_paper(byte, Roll.NEAR_END, Roll.END))}
    return said | _flags({1: Online, 2: Stop, 3: Fault}[question], byte)


def decode_asb(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What the newest whole frame of `hex` (or of the `response` to GS a) says.

    `frames`: how many there were. `skipped`: bytes that belong to none of them.
    """
    data = _said(vector)
    if data is None:
        return {"kind": "command"}
    if not data:
        return _SILENT | {"paper": str(Paper.UNKNOWN)}
    parser = StatusParser()
    events = parser.feed(data)
    frames = [event.frame for event in events if isinstance(event, Asb)]
    skipped = len(events) - len(frames)
    if not frames:
        return {"kind": "incomplete" if parser.incomplete else "malformed", "skipped": skipped}
    first, second, third = frames[-1][:3]
    said = {"kind": "asb"} | _flags(AsbOnline, first) | _flags(AsbFault, second)
    paper = str(_paper(third, Sensor.NEAR_END, Sensor.END))
    return said | {"paper": paper, "frames": len(frames), "skipped": skipped}


def _flags(kind: type[IntFlag], byte: int) -> dict[str, bool]:
    return {flag.name.lower(): bool(byte & flag) for flag in kind if flag.name}

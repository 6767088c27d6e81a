"""Barcode and QR scanners on a serial line or USB CDC: text, then CR, LF or ETX.

The one rule: a scan is what stands between two ends, or between an end and silence. A line without
an end, however long, stays bounded in memory and never becomes two scans.

Facts: Zebra, Honeywell and Datalogic serial defaults (data and CR or CR LF, optionally STX … ETX;
``NR`` for "no read"); the symbology identifiers are of ISO/IEC 15424.
Some put an ECI before the text (a backslash and six digits, AIM ITS/04-023), which says in which
alphabet a QR code was written and is no part of what it says.
"""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from badge_reader.reader import BadgeRead, BadgeReader, masked
from devices.ports import Line, Port, node, open_port, plugged

_STX = b"\x02"
_ENDS = bytes.maketrans(b"\n\x03", b"\r\r")
_LONGEST = 4096
_GOES_ON_S = 2.0
"""The rest of a scan comes no later."""
_ECI = re.compile(r"^(?:\\0000[0-9]{2})+")  # 0 to 35 are alphabets
_KEPT_CONTROLS = "\x1d\x1e\x04"  # FNC1 (GS), and RS and EOT of ISO 15434 messages

SYMBOLOGIES = {
    "A": "Code 39", "C": "Code 128", "C1": "GS1-128", "C2": "GS1-128", "E": "EAN-13",
    "E1": "EAN-2", "E2": "EAN-5", "E4": "EAN-8", "F": "Codabar", "G": "Code 93", "H": "Code 11",
    "I": "ITF", "L": "PDF417", "M": "MSI", "Q": "QR", "Q3": "GS1 QR", "R": "Code 2 of 5",
    "S": "Code 2 of 5", "U": "MaxiCode", "X": "other", "d": "DataMatrix", "d2": "GS1 DataMatrix",
    "e": "GS1 DataBar", "z": "Aztec",
}  # fmt: skip
"""Names by the AIM code character, or with its modifier where that makes another symbology."""


@dataclass(frozen=True, slots=True)
class Scan:
    text: str
    aim: str = ""
    """The AIM code and modifier (``E0``), if the scanner sends them."""

    def __repr__(self) -> str:
        return f"Scan({masked(self.text)})"


@dataclass(frozen=True, slots=True)
class NoRead:
    """The scanner looked and found no code."""


Event = Scan | NoRead


class Codec:
    """Cuts the line into scans. Whoever feeds it calls `flush` when the line is quiet."""

    def __init__(self, no_read: tuple[str, ...] = ("NR",)) -> None:
        self._no_read = no_read
        self._kept = b""
        self._spoilt = False

    @property
    def pending(self) -> bool:
        return bool(self._kept) or self._spoilt

    def lost_some(self) -> None:
        """What is being sent now lacks some of its bytes: it is no scan."""
        self._kept, self._spoilt = b"", True

    def feed(self, data: bytes) -> list[Event]:
        *ended, rest = (self._kept + data.translate(_ENDS)).split(b"\r")
        events: list[Event] = []
        for line in ended:
            self._keep(line)
            events += self.flush()
        self._keep(rest)
        return events

    def flush(self) -> list[Event]:
        """The line is quiet: what came is a whole scan."""
        line, spoilt = self._kept, self._spoilt
        self._kept, self._spoilt = b"", False
        event = None if spoilt else self._event(line)
        return [event] if event else []

    def _keep(self, line: bytes) -> None:
        if _STX in line:  # before it: noise, or a scan that broke off
            line, self._spoilt = line.rpartition(_STX)[2], False
        self._spoilt = self._spoilt or len(line) > _LONGEST
        self._kept = b"" if self._spoilt else line

    def _event(self, line: bytes) -> Event | None:
        text = "".join(char for char in _text(line) if char >= " " or char in _KEPT_CONTROLS)
        if text in self._no_read:
            return NoRead()
        aim = ""
        if text[:1] == "]" and text[1:3].isascii() and text[1:2].isalpha() and text[2:3].isalnum():
            aim, text = text[1:3], text[3:]
        text = _ECI.sub("", text)
        return Scan(text, aim) if text.strip() else None


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


class ScannerSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    baud: int = Field(default=9600, ge=300, le=921_600)
    bits: Literal[7, 8] = 8
    parity: Literal["N", "E", "O"] = "N"
    stop: Literal[1, 2] = 1
    idle_ms: int = Field(default=50, ge=20, le=1000)
    """Silence that ends a scan, for scanners that send no CR."""
    no_read: tuple[str, ...] = ("NR",)
    """What this scanner says when it found no code."""


class SerialScanner(BadgeReader):
    Settings: ClassVar[type[BaseModel]] = ScannerSettings

    def __init__(self, name: str, settings: ScannerSettings) -> None:
        super().__init__(name)
        self.settings = settings

    async def plugged(self) -> None:
        await plugged(self.settings.port)

    def node(self) -> object:
        return node(self.settings.port)

    async def run(self) -> None:
        settings = self.settings
        codec = Codec(settings.no_read)
        line = Line(settings.baud, settings.bits, settings.parity, settings.stop)
        async with open_port(settings.port, line) as port:
            codec.lost_some()  # it may be in the middle of a scan, whose rest is another number
            ends, quiet = False, 0.0
            while True:
                if codec.pending:
                    data = await _read_unless_quiet(port, settings.idle_ms / 1000)
                else:
                    data = await port.read()
                quiet = 0.0 if data else quiet + settings.idle_ms / 1000
                if ends and 0 < quiet < _GOES_ON_S:
                    # This scanner ends its scans: what it has not ended goes on, or was cut short.
                    codec.lost_some()
                    continue
                events = codec.feed(data) if data else codec.flush()
                ends = ends or bool(data and events)
                for event in events:
                    if isinstance(event, Scan):
                        self.badges.publish(BadgeRead(event.text))
                if not codec.pending:
                    self.is_up()  # scanners are mute until they see a code


async def _read_unless_quiet(port: Port, seconds: float) -> bytes:
    """What comes, or nothing once it was quiet for so long.

    Waits twice half of it: when the machine was too busy to listen, what came in the meantime is
    found by the second wait, and a scan is not cut in two.
    """
    for _ in range(2):
        try:
            async with asyncio.timeout(seconds / 2):
                return await port.read()
        except TimeoutError:
            pass
    return b""


_DECODE_IDLE_MS = 50


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What a capture means (`edged decode serial-scanner`): `hex` → the last scan in it.

    `texts`: all of them, when there are several. `needs_idle_ms`: nothing but silence ends this
    scan. Raises ValueError without `hex`.
    """
    if "hex" not in vector:
        raise ValueError("give the scanner's bytes as hex")
    config = dict(vector.get("config") or {})
    no_read = config.get("no_read", "NR")
    codec = Codec((no_read,) if isinstance(no_read, str) else tuple(no_read or ()))
    events = codec.feed(bytes.fromhex(vector["hex"]))
    after_silence = codec.flush()
    events += after_silence
    if not events:
        return {"kind": "incomplete"}
    scans = [event for event in events if isinstance(event, Scan)]
    if not scans:
        return {"kind": "no_read"}
    found: dict[str, Any] = {"kind": "scan", "text": scans[-1].text, "events": len(events)}
    if len(scans) > 1:
        found["texts"] = [scan.text for scan in scans]
    if aim := scans[-1].aim:
        found["aim"] = aim
        found["symbology"] = SYMBOLOGIES.get(aim, SYMBOLOGIES.get(aim[0], "unknown"))
    if after_silence:
        found["needs_idle_ms"] = int(config.get("idle_ms", _DECODE_IDLE_MS))
    return found

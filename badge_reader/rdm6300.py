"""125 kHz readers on a serial line: RDM6300, RDM630, ID-12LA, ID-20LA and their clones.

The one rule: only a frame whose checksum is right is a card, and a card held against the reader,
which repeats it many times a second, is one badge.

Facts: Seeed's RDM6300 page and the Innovations ID-12LA data sheet. 9600 baud 8N1; STX, ten hex
digits, two of checksum (the XOR of the five bytes), CR LF on the ID readers, ETX. Some that are
sold under these names send the checksum as one byte, whatever its value (esphome issue 3610). The
first byte is the EM4100 card's version, the other four its number.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from badge_reader.reader import BadgeRead, BadgeReader, masked
from badge_reader.uid import PRESENTATIONS, dec10, hex8, hex10, wiegand24
from devices.ports import Line, node, open_port, plugged

_LONGEST = 16
_HEX_DIGITS = b"0123456789ABCDEFabcdef"
_FRAME = re.compile(
    rb"\x02(?:"
    rb"(?P<uid>[0-9A-Fa-f]{10})(?:(?P<hex>[0-9A-Fa-f]{2})[\r\n]{0,2}|(?P<byte>.))"
    # Ten digits and ETX: the end, or a checksum that is 03, as the byte behind it will say.
    rb"|(?![0-9A-Fa-f]{10}\x03\Z)(?P<other>[^\x02\x03]*)"
    rb")\x03",
    re.DOTALL,
)
_BEGUN = re.compile(rb"\x02(?:[0-9A-Fa-f]{10}[\x02\x03]?|[^\x02\x03]*)\Z")


@dataclass(frozen=True, slots=True)
class Card:
    """The five bytes of an EM4100 card, as they came."""

    uid: bytes

    def __repr__(self) -> str:
        return f"Card({masked(self.uid.hex())})"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that is no card: ``length``, ``hex`` or ``checksum`` is wrong, or it is the card
    ``zero``, which a reader near a motor or at the end of a long cable invents.
    """

    error: str
    raw: bytes = field(default=b"", compare=False, repr=False)


Event = Card | Malformed


class Codec:
    """Cuts the line into cards. Bytes outside frames are noise and are dropped."""

    def __init__(self) -> None:
        self._kept = b""
        self._in_hex: bool | None = None
        """Whether this reader's checksums are two digits, and not one byte; None: not known yet."""

    @property
    def inside(self) -> bool:
        """A frame has begun and has not ended."""
        return bool(self._kept)

    def feed(self, data: bytes) -> list[Event]:
        text = self._kept + data
        events: list[Event] = []
        done = 0
        for match in _FRAME.finditer(text):
            events.append(self._event(match))
            done = match.end()
        begun = _BEGUN.search(text, done)
        self._kept = begun[0][:_LONGEST] if begun else b""  # one too long stays too long
        return events

    def _event(self, frame: re.Match[bytes]) -> Event:
        if frame["uid"] is None:
            error = "hex" if len(frame["other"].rstrip(b"\r\n")) == 12 else "length"
            return Malformed(error, frame[0])
        uid = bytes.fromhex(frame["uid"].decode())
        (rest,) = frame["byte"] or bytes.fromhex(frame["hex"].decode())
        for byte in uid:
            rest ^= byte
        if rest:
            return Malformed("checksum", frame[0])
        if not any(uid):
            return Malformed("zero", frame[0])
        if not self._may_be(frame["byte"]):
            return Malformed("length", frame[0])
        return Card(uid)

    def _may_be(self, byte: bytes | None) -> bool:
        """Whether this reader sends such a checksum: two digits (None), or this byte. A byte that
        is a digit may be what is left of two, and is believed only of a reader that sends bytes.
        """
        if byte is None or (self._in_hex is None and byte not in _HEX_DIGITS):
            self._in_hex = byte is None
        return (byte is None) == self._in_hex


class Held:
    """Tells a card shown from a card still there. `again_after`: seconds out of the field."""

    def __init__(self, again_after: float) -> None:
        self._again_after = again_after
        self._seen: dict[bytes, float] = {}

    def is_new(self, uid: bytes, now: float) -> bool:
        self._seen = {card: at for card, at in self._seen.items() if now - at < self._again_after}
        new = uid not in self._seen
        self._seen[uid] = now
        return new


class Rdm6300Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    uid: Literal["dec10", "dec13", "hex8", "hex10", "wiegand24", "wiegand24-plain"] = "dec10"
    """Which of a card's numbers stands in the members' file (`badge_reader.uid`)."""
    baud: int = Field(default=9600, ge=300, le=115_200)
    repeat_s: float = Field(default=1.0, ge=0.5, le=60)
    """How long a card must be away before it counts as shown again."""


class Rdm6300Reader(BadgeReader):
    Settings: ClassVar[type[BaseModel]] = Rdm6300Settings

    def __init__(self, name: str, settings: Rdm6300Settings) -> None:
        super().__init__(name)
        self.settings = settings

    async def plugged(self) -> None:
        await plugged(self.settings.port)

    def node(self) -> object:
        return node(self.settings.port)

    async def run(self) -> None:
        codec, held = Codec(), Held(self.settings.repeat_s)
        present = PRESENTATIONS[self.settings.uid]
        async with open_port(self.settings.port, Line(self.settings.baud)) as port:
            self.is_up()  # these readers are mute until a card comes
            while True:
                for event in codec.feed(await port.read()):
                    if isinstance(event, Malformed):
                        self.garbled(event.error, event.raw)
                        continue
                    self.is_up()
                    if held.is_new(event.uid, time.monotonic()):
                        self.badges.publish(BadgeRead(present(event.uid), hex10(event.uid)))


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What a capture means (`edged decode rdm6300`, `id12`): `hex` → the last card in it.

    `events` counts cards shown: one that is repeated was held. `chunks` says in which sizes the
    bytes were read, and is told back. Raises ValueError without `hex`.
    """
    if "hex" not in vector:
        raise ValueError("give the reader's bytes as hex")
    codec = Codec()
    data = bytes.fromhex(vector["hex"])
    sizes = vector.get("chunks") or []
    said = {"chunks": sizes} if sizes else {}
    events = [event for chunk in _cut(data, sizes) for event in codec.feed(chunk)]
    cards = [event.uid for event in events if isinstance(event, Card)]
    if cards:
        uid = cards[-1]
        return {
            "kind": "card",
            "raw_hex": hex10(uid),
            "version": uid[0],
            "id32": int.from_bytes(uid[1:], "big"),
            "dec10": dec10(uid),
            "hex8": hex8(uid),
            "wiegand24": wiegand24(uid),
            "events": len(set(cards)),
            **said,
        }
    errors = [event.error for event in events if isinstance(event, Malformed)]
    if errors:
        return {"kind": "malformed", "error": errors[-1]}
    if codec.inside or not data:
        return {"kind": "incomplete"}
    return {"kind": "malformed", "error": "frame"}


def _cut(data: bytes, sizes: list[int]) -> list[bytes]:
    if not all(type(size) is int and size > 0 for size in sizes):
        raise ValueError("chunks: a list of sizes expected")
    ends = [0, *accumulate(sizes), len(data)]
    return [data[start:end] for start, end in pairwise(ends)]


decode_id12 = decode
"""The ID readers add CR LF, which the same parser takes or leaves."""

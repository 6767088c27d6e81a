"""125 kHz readers on a serial line: RDM6300, RDM630, ID-12LA, ID-20LA and their clones.

The one rule: only a frame whose checksum is right is a card, and a card held against the reader,
which repeats it many times a second, is one badge.

Facts: Seeed's RDM6300 page and the Innovations ID-12LA data sheet. 9600 baud 8N1; STX, ten hex
digits, two of checksum (the XOR of the five bytes), CR LF on the ID readers, ETX. The first byte
is the EM4100 card's version, the other four its number.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from badge_reader.reader import BadgeRead, BadgeReader, masked
from badge_reader.uid import PRESENTATIONS, dec10, hex8, hex10, wiegand24
from devices.ports import Line, node, open_port, plugged

_STX, _ETX = b"\x02", b"\x03"
_LONGEST = 16
_HEX = frozenset(b"0123456789ABCDEFabcdef")


@dataclass(frozen=True, slots=True)
class Card:
    """The five bytes of an EM4100 card, as they came."""

    uid: bytes

    def __repr__(self) -> str:
        return f"Card({masked(self.uid.hex())})"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame that is no card: ``length``, ``hex`` or ``checksum`` is wrong."""

    error: str


Event = Card | Malformed


class Codec:
    """Cuts the line into cards. Bytes outside frames are noise and are dropped."""

    def __init__(self) -> None:
        self._kept = b""

    @property
    def inside(self) -> bool:
        """A frame has begun and has not ended."""
        return bool(self._kept)

    def feed(self, data: bytes) -> list[Event]:
        *ended, rest = (self._kept + data).split(_ETX)
        self._kept = _from_stx(rest)[:_LONGEST]  # one too long stays too long
        return [_event(frame) for frame in map(_from_stx, ended) if frame]


def _from_stx(data: bytes) -> bytes:
    """From the last start of a frame on; nothing when there is none."""
    start = data.rfind(_STX)
    return data[start:] if start >= 0 else b""


def _event(frame: bytes) -> Event:
    text = frame[1:].rstrip(b"\r\n")
    if len(text) != 12:
        return Malformed("length")
    if not _HEX.issuperset(text):
        return Malformed("hex")
    *uid, checksum = bytes.fromhex(text.decode())
    for byte in uid:
        checksum ^= byte
    return Malformed("checksum") if checksum else Card(bytes(uid))


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
                    if isinstance(event, Card) and held.is_new(event.uid, time.monotonic()):
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

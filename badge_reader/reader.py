"""What every badge reader gives, whatever its wire: one `BadgeRead` a badge shown.

The one rule: the number never reaches a log. `repr` and `str` mask it.
"""

import logging
import re
import time
from dataclasses import dataclass, field

from devices import Bus, Device
from devices.errors import NonsenseError, expect

_LONGEST = 4096
_HALF = re.compile("[\ud800-\udfff]")

log = logging.getLogger(__name__)

GARBLED = "reader.garbled"


def masked(text: str) -> str:
    """``…45``: enough to tell two reads apart on the bench, too little to copy a badge."""
    return "…" + text[-2:] if len(text) > 4 else "…"


@dataclass(frozen=True, slots=True)
class BadgeRead:
    """One badge shown once, in the presentation that the reader's settings ask for.

    Raises `NonsenseError` for what cannot be looked up.
    """

    text: str
    raw: str = ""
    """The bytes on the wire as hex, where the reader sends bytes (RFID)."""
    at: float = field(default_factory=time.monotonic, compare=False)
    """`time.monotonic` when the last byte came."""

    def __post_init__(self) -> None:
        expect("a badge's text", self.text, str)
        expect("a badge's raw bytes", self.raw, str)
        expect("a badge's moment", self.at, float)
        if len(self.text) > _LONGEST or _HALF.search(self.text):
            raise NonsenseError("a badge's text: too long, or half a character")

    def __repr__(self) -> str:
        return f"BadgeRead({masked(self.text)})"

    __str__ = __repr__


class BadgeReader(Device):
    discreet = True

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.badges: Bus[BadgeRead] = Bus(name, BadgeRead)

    def garbled(self, error: str, raw: bytes) -> None:
        """Bytes came which are no badge: on the status page until one is read, and one line.

        Only their number, the first and the last two are told, because a number may stand in them.
        """
        shape = f"{len(raw)}: {raw[:1].hex(' ')} … {raw[-2:].hex(' ')}".upper()
        if self.health.get().key != GARBLED:
            log.warning("%s: bytes that are no badge (%s; %s)", self.name, error, shape)
        self.is_degraded(GARBLED, error=error, bytes=shape)

"""How a fact gets its envelope: identity, time, and the exact bytes that will travel.

The one rule: the bytes are made once, inside the transaction that gives the fact its number, and
every resend is those bytes.
"""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mqtt.messages import Clock, DamagedData, Envelope

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Which boot of this machine this is."""
    return _BOOT_ID.read_text().strip()


def uptime_ms() -> int:
    """Milliseconds since boot, sleep included; no clock setting moves it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def now_ms() -> datetime:
    """UTC in whole milliseconds, which is what an envelope carries."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class Ids:
    """UUIDv7 (RFC 9562, method 1): 48 bits of Unix milliseconds, a 12-bit counter, 62 random bits.

    Each is greater than the one before, also when the clock is set back.
    """

    def __init__(self) -> None:
        self._ms = 0
        self._count = 0

    def next(self) -> str:
        ms = time.time_ns() // 1_000_000
        if ms > self._ms:
            self._ms, self._count = ms, secrets.randbits(8)
        else:
            self._count += 1
            if self._count == 1 << 12:
                self._ms, self._count = self._ms + 1, 0
        number = self._ms << 80 | 7 << 76 | self._count << 64 | 2 << 62 | secrets.randbits(62)
        digits = f"{number:032x}"
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


@dataclass(frozen=True, slots=True)
class Draft:
    """A fact that has happened and has no number yet."""

    id: str
    at: datetime
    clock: Clock
    boot: str
    up: int
    kind: str
    data: dict[str, Any]

    def sealed(self, epoch: str, seq: int) -> tuple[Envelope, bytes]:
        """The envelope under its number, and the bytes to keep and publish."""
        envelope = Envelope(
            id=self.id,
            epoch=epoch,
            seq=seq,
            at=self.at,
            clock=self.clock,
            boot=self.boot,
            up=self.up,
            kind=self.kind,
            data=self.data,
        )
        return envelope, envelope.model_dump_json().encode()


def stand_in(epoch: str, seq: int, kind: str) -> tuple[Envelope, bytes]:
    """What takes the number of a fact that the disk has lost; `kind` is what it was, "" if unknown.
    Its time is that of the discovery.
    """
    draft = Draft(
        id=Ids().next(),
        at=now_ms(),
        clock="unsynced",
        boot=boot_id(),
        up=uptime_ms(),
        kind="damaged",
        data=DamagedData(kind=kind).model_dump(mode="json"),
    )
    return draft.sealed(epoch, seq)

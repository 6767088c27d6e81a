"""What the daemon gives to the screens.

The one rule: a screen asks the station's own store and devices, and never the network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from devices import Device, Value
from kiosk.words import Language
from mqtt.messages import Clock

if TYPE_CHECKING:
    from mqtt.link import LinkState
    from store import Store


@dataclass(frozen=True, slots=True)
class Stall:
    """For so many seconds nothing went on, because this device's driver did not return."""

    device: str
    """"" when it was none of them."""
    where: str
    """The line, as ``/opt/…/driver.py:12``."""
    seconds: float
    at: datetime
    times: int = 1
    """How often anything held the station up since it started."""


@dataclass(frozen=True)
class Station:
    """One station as its screens know it."""

    site: str
    name: str
    coop: str
    """The shop's name as members read it."""
    language: Language
    timezone: ZoneInfo
    build: str
    """Version of the program; an open page reloads itself when it changes."""
    store: "Store"
    folder: Path
    """Where the store is: the disk whose room the status page tells."""
    devices: Mapping[str, Device]
    badge_key: bytes = field(repr=False)
    clock: Callable[[], Clock]
    link: "Value[LinkState] | None" = None
    """None: this station works alone, without MQTT, and nothing is "offline"."""
    bridge_seen: "Value[datetime | None]" = field(default_factory=lambda: Value(None))
    """When the bridge last acknowledged anything."""
    stall: "Value[Stall | None]" = field(default_factory=lambda: Value(None))
    """What held everything up last; None when nothing did since the start."""
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """The time on the shop's wall."""
        return datetime.now(self.timezone)

    @property
    def time_is_known(self) -> bool:
        """A Raspberry Pi has no clock of its own: no date may be shown before it was told."""
        return self.clock() != "unsynced"

    @property
    def offline(self) -> bool:
        return self.link is not None and not self.link.get().up

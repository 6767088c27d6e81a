"""The driver of a reader that pretends to be a USB keyboard.

The one rule: the reader is ours alone (exclusive grab) or not used at all, so that no badge number
is ever typed into a console or a browser.

It reads the event device on the event loop; which key means what is `badge_reader.keymap`'s
business, by the layout that the *reader* is programmed for. The layout of the machine plays no
part. evdev is imported only here, and only when a reader is opened.
"""

import asyncio
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from badge_reader.keystrokes import EV_SYN, SYN_DROPPED, Keystrokes, decode
from badge_reader.reader import BadgeRead, BadgeReader
from devices import Absent, Lost, Refused, ports
from devices.local_port import age_of, why_not_open

if TYPE_CHECKING:
    from evdev import InputDevice

__all__ = ["WedgeReader", "WedgeSettings", "decode", "find"]

_SYS_INPUT = Path("/sys/class/input")
_LOOK_EVERY = 0.2
_KEY_1, _KEY_ENTER, _KEY_KP1 = 2, 28, 79


class WedgeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    """A path (``/dev/input/by-id/…-event-kbd``) or the USB ``vendor:product``."""
    layout: Literal["us", "fr", "be", "de", "es", "gb", "it", "ch-fr"] = "us"
    """What the reader is programmed for: scan a known badge and pick the one that reads it."""
    idle_ms: int = Field(default=100, ge=20, le=1000)
    """Silence that ends a scan, for readers that send no Enter."""

    @field_validator("port")
    @classmethod
    def _keyboard(cls, port: str) -> str:
        if not re.fullmatch(r"/.+|[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}", port):
            raise ValueError(
                "write a path under /dev/input/by-id, or the USB vendor:product, such as ffff:0035"
            )
        return port


class WedgeReader(BadgeReader):
    Settings: ClassVar[type[BaseModel]] = WedgeSettings

    def __init__(self, name: str, settings: WedgeSettings) -> None:
        super().__init__(name)
        self.settings = settings

    async def plugged(self) -> None:
        while True:
            path = find(self.settings.port)
            if path and path.exists():
                return
            await asyncio.sleep(_LOOK_EVERY)

    def node(self) -> object:
        path = find(self.settings.port)
        return ports.node(str(path)) if path else None

    async def run(self) -> None:
        path = find(self.settings.port)
        if path is None:
            raise Absent("device.unplugged", path=self.settings.port)
        with _grabbed(path) as device:
            await _Listening(self, device).forever()


class _Listening:
    """One open event device. Works in callbacks: keys and silence keep their order."""

    def __init__(self, reader: WedgeReader, device: "InputDevice[str]") -> None:
        self._reader = reader
        self._device = device
        self._keystrokes = Keystrokes(reader.settings.layout)
        self._idle = reader.settings.idle_ms / 1000
        self._loop = asyncio.get_running_loop()
        self._quiet: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def forever(self) -> None:
        """Raises `Lost` when the reader is unplugged."""
        self._loop.add_reader(self._device.fd, self._readable)
        # It may be in the middle of a scan, whose rest is another number: wait for its end.
        self._keystrokes.feed(EV_SYN, SYN_DROPPED, 0)
        self._await_silence()
        try:
            await self._over
        finally:
            self._loop.remove_reader(self._device.fd)
            if self._quiet:
                self._quiet.cancel()

    def _readable(self) -> None:
        try:
            events = list(self._device.read())
        except BlockingIOError:
            return
        except OSError:
            events = []
        if not events:  # an error, or the end: the device has gone
            self._end()
            return
        for event in events:
            self._scanned(self._keystrokes.feed(event.type, event.code, event.value))
        self._await_silence()

    def _await_silence(self) -> None:
        if self._quiet:
            self._quiet.cancel()
        pending = self._keystrokes.pending
        self._quiet = self._loop.call_later(self._idle, self._silence) if pending else None
        if not pending:
            self._reader.is_up()

    def _silence(self) -> None:
        self._quiet = None
        self._scanned(self._keystrokes.flush())
        self._reader.is_up()

    def _scanned(self, text: str | None) -> None:
        if text:
            self._reader.badges.publish(BadgeRead(text))

    def _end(self) -> None:
        self._loop.remove_reader(self._device.fd)
        if not self._over.done():
            self._over.set_exception(Lost("device.unplugged"))


@contextmanager
def _grabbed(path: Path) -> "Iterator[InputDevice[str]]":
    """The event device, ours alone until the block ends. Raises `DeviceError`."""
    try:
        from evdev import InputDevice
    except ImportError as error:
        raise Refused("device.missing_library", library="evdev") from error
    try:
        device = InputDevice(str(path))
    except OSError as error:
        raise why_not_open(error, str(path), age=age_of(str(path))) from error
    except SystemError as error:  # evdev's word for an ioctl that this device does not know
        raise Refused("device.port_invalid", path=str(path)) from error
    try:
        try:
            device.grab()
        except OSError as error:
            raise why_not_open(error, str(path), age=age_of(str(path))) from error
        yield device
    finally:
        device.close()  # which ends the grab


def find(device: str) -> Path | None:
    """The event device that a setting names, or None when none such is plugged in.

    A path is itself. Of a vendor:product's several event devices it is the one that can type
    digits and Enter (scanners also show a mouse or media keys).
    """
    if device.startswith("/"):
        return Path(device)
    vendor, product = device.lower().split(":")
    for node in sorted(_SYS_INPUT.glob("event*"), key=lambda node: int(node.name[5:])):
        try:
            ids = [
                (node / "device/id" / part).read_text().strip() for part in ("vendor", "product")
            ]
            keys = _bits((node / "device/capabilities/key").read_text())
        except OSError:  # unplugged meanwhile
            continue
        if ids == [vendor, product] and keys & {_KEY_1, _KEY_KP1} and _KEY_ENTER in keys:
            return Path("/dev/input") / node.name
    return None


def _bits(words: str) -> set[int]:
    """The kernel's bitmap: hexadecimal words of the machine's own size, the highest first."""
    size = struct.calcsize("P") * 8
    bits = 0
    for word in words.split():
        bits = bits << size | int(word, 16)
    return {bit for bit in range(bits.bit_length()) if bits >> bit & 1}

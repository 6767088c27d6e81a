"""Readers to put on a pty, and one that types on a keyboard the kernel makes up.

The one rule: they share no code with the parsers they are there to try, so that an error in one is
not hidden by the same error in the other. (The typist shares the key maps, which are data.)
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from badge_reader.keystrokes import KEY_ENTER, press

if TYPE_CHECKING:
    from evdev import UInput


def _nowhere(data: bytes) -> None:
    """Where a device that is not plugged in speaks to."""


class _Speaker:
    """A device that only ever speaks unasked."""

    def __init__(self) -> None:
        self.silent = False
        self._send: Callable[[bytes], None] = _nowhere

    def attach(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def feed(self, data: bytes) -> bytes:  # noqa: ARG002 (these readers have no ears)
        return b""

    def say(self, data: bytes) -> None:
        """Any bytes: noise, half a frame, a recording."""
        if not self.silent:
            self._send(data)


class Rdm6300Simulator(_Speaker):
    """`present` a card, or `hold` it there. `crlf`: an ID-12LA, which ends the text with CR LF."""

    def __init__(self) -> None:
        super().__init__()
        self.crlf = False
        self.lower_case = False
        self.repeat_s = 0.065

    def frame(self, card: str) -> bytes:
        """A card's frame; `card` is its ten hex digits."""
        checksum = 0
        for at in range(0, 10, 2):
            checksum ^= int(card[at : at + 2], 16)
        text = f"{card}{checksum:02X}"
        text = text.lower() if self.lower_case else text.upper()
        return b"\x02" + text.encode() + (b"\r\n" if self.crlf else b"") + b"\x03"

    def present(self, card: str) -> None:
        """The card passes: one frame."""
        self.say(self.frame(card))

    async def hold(self, card: str, seconds: float) -> None:
        """The card stays: a frame every `repeat_s`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            self.present(card)
            await asyncio.sleep(self.repeat_s)


class ScannerSimulator(_Speaker):
    """`scan` a code. `suffix` and `prefix` are what the scanner is set to put around it."""

    def __init__(self) -> None:
        super().__init__()
        self.prefix = ""
        self.suffix = "\r"

    def scan(self, text: str) -> None:
        self.say(f"{self.prefix}{text}{self.suffix}".encode())

    def miss(self) -> None:
        """Triggered on nothing."""
        self.say(b"NR\r")


class WedgeSimulator:
    """``with WedgeSimulator("fr") as typist: typist.scan("0007812345")``: a wedge set to French.

    A real keyboard to the kernel, plugged in while the block lasts; `path` is its event device.
    Needs `/dev/uinput` and the right to write it: raises what evdev raises.
    """

    def __init__(
        self,
        layout: str = "us",
        *,
        end: int | None = KEY_ENTER,
        alt_mode: bool = False,
        vendor: int = 0xFFFF,
        product: int = 0x0035,
    ) -> None:
        self.layout = layout
        self.end = end
        self.alt_mode = alt_mode
        self.silent = False
        self.vendor = vendor
        self.product = product
        self._device: UInput | None = None

    def __enter__(self) -> Self:
        from evdev import UInput, ecodes

        self._device = UInput(
            {ecodes.EV_KEY: list(range(1, 128))},
            name="edged simulated badge reader",
            vendor=self.vendor,
            product=self.product,
            bustype=ecodes.BUS_USB,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._device:
            self._device.close()
            self._device = None

    @property
    def path(self) -> str:
        assert self._device is not None, "not plugged in"
        return str(self._device.device.path)

    def scan(self, text: str) -> None:
        """Type a code. Raises ValueError for a character the layout has no key for."""
        assert self._device is not None, "not plugged in"
        events = press(text, self.layout, end=self.end, alt_mode=self.alt_mode)
        if not self.silent:
            for event in events:
                self._device.write(*event)

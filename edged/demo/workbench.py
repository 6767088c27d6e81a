"""The demo's devices: simulators behind real ptys and TCP ports, and hands to move them.

The one rule: the daemon meets them as it meets real ones, through a path or a port, and nothing
here reaches past the wire.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from badge_reader.simulate import ScannerSimulator
from camera.simulate import MjpegSimulator
from devices.simulate import PtyHost, Simulator, TcpHost
from printer.simulate import EscposSimulator
from scale.simulate import Toledo8217Simulator

SCALE_BAUD = 9600


class UnknownAct(ValueError):
    """No such device or no such thing to do with it; the message lists what there is."""


@dataclass(frozen=True, slots=True)
class Stand:
    """One simulated device in its socket."""

    simulator: Simulator
    host: PtyHost | TcpHost

    @property
    def url(self) -> str:
        if isinstance(self.host, PtyHost):
            return str(self.host.path)
        return f"socket://127.0.0.1:{self.host.port}"


class Workbench:
    """``async with Workbench(folder) as bench``: two badge readers, a scale, a printer, a camera.

    `folder` holds the ptys' names (`dev/…`) and the printed labels (`labels/…`).
    """

    def __init__(self, folder: Path) -> None:
        self.door = ScannerSimulator()
        self.booth_reader = ScannerSimulator()
        self.scale = Toledo8217Simulator()
        self.printer = EscposSimulator(folder=folder / "labels")
        self.camera = MjpegSimulator()
        dev = folder / "dev"
        self.stands: Mapping[str, Stand] = {
            "door": Stand(self.door, PtyHost(dev / "door", self.door)),
            "booth-reader": Stand(
                self.booth_reader, PtyHost(dev / "booth-reader", self.booth_reader)
            ),
            "balance": Stand(self.scale, PtyHost(dev / "balance", self.scale, baud=SCALE_BAUD)),
            "labels": Stand(self.printer, TcpHost(self.printer)),
            "portrait": Stand(self.camera, TcpHost(self.camera)),
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for stand in self.stands.values():
            await self._stack.enter_async_context(stand.host)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def act(self, device: str, do: str, value: str = "") -> None:
        """One thing done by a hand: ``act("balance", "put", "482")``. Raises `UnknownAct`."""
        if device not in self.stands:
            raise UnknownAct(f"no device '{device}' here: {', '.join(self.stands)}")
        stand = self.stands[device]
        if do in ("plug", "unplug"):
            result = stand.host.plug() if do == "plug" else stand.host.unplug()
            if result is not None:
                await result
            return
        if do in ("silent", "speak"):
            stand.simulator.silent = do == "silent"
            return
        acts = self._acts(device)
        if do not in acts:
            known = ", ".join(["plug", "unplug", "silent", "speak", *acts])
            raise UnknownAct(f"'{do}' cannot be done with '{device}': {known}")
        acts[do](value)

    def _acts(self, device: str) -> Mapping[str, Callable[[str], None]]:
        return {
            "door": {"badge": self.door.scan},
            "booth-reader": {"badge": self.booth_reader.scan},
            "balance": {
                "put": lambda grams: setattr(self.scale, "load", _grams(grams)),
                "take": lambda _: setattr(self.scale, "load", 0),
                "move": lambda _: setattr(self.scale, "moving", True),
                "rest": lambda _: setattr(self.scale, "moving", False),
            },
            "labels": {
                "paper-out": lambda _: setattr(self.printer, "paper", "out"),
                "paper-low": lambda _: setattr(self.printer, "paper", "low"),
                "paper-ok": lambda _: setattr(self.printer, "paper", "ok"),
                "open": lambda _: setattr(self.printer, "cover_open", True),
                "close": lambda _: setattr(self.printer, "cover_open", False),
            },
            "portrait": {},
        }[device]


def _grams(text: str) -> int:
    if not text.isascii() or not text.lstrip("-").isdigit():
        raise UnknownAct(f"a weight is a whole number of grams, not {text!r}")
    return int(text)

"""The demo's devices: simulators behind real ptys and TCP ports, and hands to move them.

The one rule: the daemon meets them as it meets real ones, through a path or a port, and nothing
here reaches past the wire.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from badge_reader.simulate import ScannerSimulator
from camera.simulate import MjpegSimulator
from devices.simulate import PtyHost, TcpHost
from printer.simulate import EscposSimulator
from scale.simulate import Toledo8217Simulator

SCALE_BAUD = 9600


class UnknownAct(ValueError):
    """No such device or no such thing to do with it; the message lists what there is."""


class Workbench:
    """``async with Workbench(folder) as bench``: two badge readers, a scale, a printer, a camera.

    `folder` holds the ptys' names (`dev/…`) and the printed labels (`labels/…`).
    """

    def __init__(self, folder: Path) -> None:
        self.door = ScannerSimulator()
        self.booth_reader = ScannerSimulator()
        self.scale = Toledo8217Simulator()
        self.printer = EscposSimulator()
        self.printer.folder = str(folder / "labels")
        self.camera = MjpegSimulator()
        dev = folder / "dev"
        self._ptys = {
            "door": PtyHost(dev / "door", self.door),
            "booth-reader": PtyHost(dev / "booth-reader", self.booth_reader),
            "balance": PtyHost(dev / "balance", self.scale, baud=SCALE_BAUD),
        }
        self._labels = TcpHost(self.printer)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for pty in self._ptys.values():
            await self._stack.enter_async_context(pty)
        await self._stack.enter_async_context(self._labels)
        await self._stack.enter_async_context(self.camera)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def devices(self) -> tuple[str, ...]:
        return (*self._ptys, "labels", "portrait")

    @property
    def urls(self) -> dict[str, str]:
        """Where the daemon finds each, by name."""
        ptys = {name: str(host.path) for name, host in self._ptys.items()}
        labels = f"socket://127.0.0.1:{self._labels.port}"
        return {**ptys, "labels": labels, "portrait": self.camera.url}

    async def act(self, device: str, do: str, value: str = "") -> None:
        """One thing done by a hand: ``act("balance", "put", "482")``. Raises `UnknownAct`."""
        if device not in self.devices:
            raise UnknownAct(f"no device '{device}' here: {', '.join(self.devices)}")
        acts = self._acts(device)
        if do in ("plug", "unplug"):
            await self._plug(device, plugged=do == "plug")
        elif do in acts:
            acts[do](value)
        else:
            known = ", ".join(["plug", "unplug", *acts])
            raise UnknownAct(f"'{do}' cannot be done with '{device}': {known}")

    async def _plug(self, device: str, *, plugged: bool) -> None:
        if device in self._ptys:
            pty = self._ptys[device]
            pty.plug() if plugged else pty.unplug()
            return
        host = self.camera if device == "portrait" else self._labels
        await (host.plug() if plugged else host.unplug())

    def _acts(self, device: str) -> Mapping[str, Callable[[str], None]]:
        simulator = {
            "door": self.door,
            "booth-reader": self.booth_reader,
            "balance": self.scale,
            "labels": self.printer,
            "portrait": self.camera,
        }[device]

        def turn(attribute: str, value: object) -> Callable[[str], None]:
            return lambda _: setattr(simulator, attribute, value)

        own: Mapping[str, Mapping[str, Callable[[str], None]]] = {
            "door": {"badge": self.door.scan},
            "booth-reader": {"badge": self.booth_reader.scan},
            "balance": {
                "put": lambda grams: setattr(self.scale, "load", _grams(grams)),
                "take": turn("load", 0),
                "move": turn("moving", True),
                "rest": turn("moving", False),
            },
            "labels": {
                "paper-out": turn("paper_mm", 0.0),
                "paper-low": turn("near_end", True),
                "new-roll": self._new_roll,
                "open": turn("cover_open", True),
                "close": turn("cover_open", False),
            },
            "portrait": {"freeze": turn("frozen", True), "move": turn("frozen", False)},
        }
        return {**own[device], "silent": turn("silent", True), "speak": turn("silent", False)}

    def _new_roll(self, _: str) -> None:
        self.printer.paper_mm = math.inf
        self.printer.near_end = False


def _grams(text: str) -> int:
    if not text.isascii() or not text.lstrip("-").isdigit():
        raise UnknownAct(f"a weight is a whole number of grams, not {text!r}")
    return int(text)

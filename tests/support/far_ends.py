"""Simulated devices at the far end of a cable inside the kernel (`support.kernel.Gadget`)."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.kernel import Gadget, wait_for

from printer.simulate import EscposSimulator


@asynccontextmanager
async def answering(cable: Gadget, feed: Callable[[bytes], bytes]) -> AsyncIterator[None]:
    """At the gadget's end of a serial line `feed` says what is answered to what is heard."""
    number = (cable.node / "port_num").read_text().strip()
    fd = os.open(f"/dev/ttyGS{number}", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    loop = asyncio.get_running_loop()

    def answer() -> None:
        with suppress(OSError):
            os.write(fd, feed(os.read(fd, 4096)))

    loop.add_reader(fd, answer)
    try:
        yield
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def node(pattern: str) -> str:
    return wait_for(lambda: next((str(path) for path in Path("/").glob(pattern[1:])), None))


def _open_gadget() -> int | None:
    """The node refuses until the cable is in on both sides."""
    with suppress(OSError):
        return os.open(node("/dev/g_printer*"), os.O_RDWR | os.O_NONBLOCK)
    return None


class PrinterEnd:
    """The simulated printer, on the gadget's side of the cable."""

    def __init__(self, gadget: Gadget) -> None:
        self.gadget = gadget
        self.switch_on()

    def switch_on(self) -> None:
        self.simulator = EscposSimulator()
        self.simulator.attach(self._say)
        self._fd = wait_for(_open_gadget)
        self.path = node("/dev/usb/lp*")
        asyncio.get_running_loop().add_reader(self._fd, self._hear)

    def pull(self) -> None:
        # Closed first: Debian 12's f_printer corrupts its lists when it is unbound while open.
        self.close()
        self.gadget.unplug()

    def push(self) -> None:
        self.gadget.plug()
        self.switch_on()

    def stop_listening(self) -> None:
        """As a printer whose buffer is full: the kernel takes some bytes, and then no more."""
        asyncio.get_running_loop().remove_reader(self._fd)

    def close(self) -> None:
        self.stop_listening()
        os.close(self._fd)

    def _hear(self) -> None:
        with suppress(OSError):
            self._say(self.simulator.feed(os.read(self._fd, 4096)))

    def _say(self, data: bytes) -> None:
        if data:
            with suppress(OSError):
                os.write(self._fd, data)

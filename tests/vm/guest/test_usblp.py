"""/dev/usb/lp* by the kernel's own usblp, the simulated printer at the far end of the cable."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from support.echo import until
from support.kernel import Gadget, modprobe, usb_printer, wait_for
from support.labels import APPLES, CARROTS

from devices import Lost, State
from devices.keep import keep
from printer import NotPrinted, Paper
from printer.decode import decode_ieee1284
from printer.escpos import EscposPrinter, EscposSettings
from printer.simulate import EscposSimulator

IDENTITY = "MFG:EPSON;CMD:ESC/POS;MDL:TM-T20;CLS:PRINTER;"
_LPIOC_GET_DEVICE_ID = 0x84005001  # for 1024 bytes


def node(pattern: str) -> str:
    return wait_for(lambda: next((str(path) for path in Path("/").glob(pattern[1:])), None))


def _open_gadget() -> int | None:
    """The node refuses until the cable is in on both sides."""
    with suppress(OSError):
        return os.open(node("/dev/g_printer*"), os.O_RDWR | os.O_NONBLOCK)
    return None


class FarEnd:
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


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    modprobe("usb_f_printer")
    with usb_printer(IDENTITY) as gadget:
        far_end = FarEnd(gadget)
        yield far_end
        far_end.close()


@asynccontextmanager
async def kept(path: str) -> AsyncIterator[EscposPrinter]:
    printer = EscposPrinter("labels", EscposSettings(port=path))
    task = asyncio.create_task(keep(printer))
    try:
        await until(lambda: printer.health.get().state is State.UP, seconds=90)
        yield printer
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def dots(png: bytes) -> bytes:
    return Image.open(BytesIO(png)).tobytes()


async def test_labels_and_statuses_pass_both_ways(far_end: FarEnd) -> None:
    async with kept(far_end.path) as printer:
        assert printer.paper.get() is Paper.OK
        for label in (APPLES, CARROTS):
            await printer.print(label)
        assert list(map(dots, far_end.simulator.printed)) == [
            dots(printer.preview(label)) for label in (APPLES, CARROTS)
        ]
        far_end.simulator.paper_mm = 0
        await until(lambda: printer.paper.get() is Paper.OUT)
        with pytest.raises(NotPrinted, match=r"printer\.paper_out \(sure\)"):
            await printer.print(APPLES)


async def test_the_cable_is_pulled_in_the_middle_of_a_label(far_end: FarEnd) -> None:
    async with kept(far_end.path) as printer:
        far_end.simulator.speed = 1
        job = asyncio.create_task(printer.print(APPLES))
        await until(lambda: far_end.simulator.printing)
        far_end.pull()
        with pytest.raises(NotPrinted, match=r"printer\.lost \(may have come out\)"):
            await job
        await until(lambda: printer.health.get().state is State.ABSENT, seconds=60)
        far_end.push()
        await until(lambda: printer.health.get().state is State.UP, seconds=90)
        await printer.print(CARROTS)
        assert dots(far_end.simulator.printed[-1]) == dots(printer.preview(CARROTS))


async def test_a_printer_that_takes_no_more_bytes_holds_up_nobody(far_end: FarEnd) -> None:
    printer = EscposPrinter("labels", EscposSettings(port=far_end.path))
    run = asyncio.create_task(printer.run())
    await until(lambda: printer.health.get().state is State.UP, seconds=90)
    far_end.simulator.speed = 1
    job = asyncio.create_task(printer.print(APPLES))
    await until(lambda: far_end.simulator.printing)
    far_end.stop_listening()
    far_end.simulator.paper_mm = 0  # it tells by itself
    with pytest.raises(NotPrinted, match=r"printer\.paper_out \(may have come out\)"):
        await job
    run.cancel()
    with suppress(asyncio.CancelledError, Lost):
        await run


async def test_the_kernel_tells_what_the_printer_calls_itself(far_end: FarEnd) -> None:
    with Path(far_end.path).open("rb", buffering=0) as lp:
        answer = bytearray(1024)
        fcntl.ioctl(lp, _LPIOC_GET_DEVICE_ID, answer)
    said = decode_ieee1284({"hex": bytes(answer[: int.from_bytes(answer[:2], "big")]).hex()})
    assert (said["manufacturer"], said["model"], said["class"]) == ("EPSON", "TM-T20", "receipt")

"""/dev/usb/lp* by the kernel's own usblp, the simulated printer at the far end of the cable."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from support.echo import until
from support.far_ends import PrinterEnd
from support.kernel import modprobe, usb_printer
from support.labels import APPLES, CARROTS

from devices import Lost, State
from devices.keep import keep
from printer import NotPrinted, Paper
from printer.decode import decode_ieee1284
from printer.escpos import EscposPrinter, EscposSettings

IDENTITY = "MFG:EPSON;CMD:ESC/POS;MDL:TM-T20;CLS:PRINTER;"
_LPIOC_GET_DEVICE_ID = 0x84005001  # for 1024 bytes


@pytest.fixture
async def far_end() -> AsyncIterator[PrinterEnd]:
    modprobe("usb_f_printer")
    with usb_printer(IDENTITY) as gadget:
        far_end = PrinterEnd(gadget)
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


async def test_labels_and_statuses_pass_both_ways(far_end: PrinterEnd) -> None:
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


async def test_the_cable_is_pulled_in_the_middle_of_a_label(far_end: PrinterEnd) -> None:
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


async def test_a_printer_that_takes_no_more_bytes_holds_up_nobody(far_end: PrinterEnd) -> None:
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


async def test_the_kernel_tells_what_the_printer_calls_itself(far_end: PrinterEnd) -> None:
    with Path(far_end.path).open("rb", buffering=0) as lp:
        answer = bytearray(1024)
        fcntl.ioctl(lp, _LPIOC_GET_DEVICE_ID, answer)
    said = decode_ieee1284({"hex": bytes(answer[: int.from_bytes(answer[:2], "big")]).hex()})
    assert (said["manufacturer"], said["model"], said["class"]) == ("EPSON", "TM-T20", "receipt")

"""The service as the boot started it: none of its devices was there, and no driver was loaded.

First of all tests (they run by the alphabet), because later ones load drivers by themselves.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.far_ends import PrinterEnd, answering
from support.kernel import LoopbackCamera, modprobe, usb_adapter, usb_printer, usb_serial, wait_for
from support.units import shows, states, systemctl
from support.wedges import plugged_in

from scale.simulate import Toledo8217Simulator

DEVICES = ("scale", "door", "desk", "labels", "webcam")
DRIVERS = ("usb_serial_simple", "usbserial", "cdc_acm", "usblp", "v4l2loopback", "videodev", "mc")
IDENTITY = "MFG:EPSON;CMD:ESC/POS;MDL:TM-T20;CLS:PRINTER;"


async def all_are(state: str) -> None:
    async with asyncio.timeout(120):
        while (found := await asyncio.to_thread(states)) != dict.fromkeys(DEVICES, state):
            print(found)  # the last one stands beside a failure
            await asyncio.sleep(1)


@asynccontextmanager
async def all_plugged_in() -> AsyncIterator[None]:
    modprobe("usb_f_printer")
    keyboard = plugged_in()
    with usb_serial() as scale, usb_adapter(), usb_printer(IDENTITY) as printer, LoopbackCamera():
        labels = PrinterEnd(printer)
        try:
            async with answering(scale, Toledo8217Simulator(1234).feed):
                yield
        finally:
            labels.close()
            keyboard.close()


async def test_what_is_plugged_in_after_the_boot_works() -> None:
    async with asyncio.timeout(120):
        while shows("edged", "ActiveState") == "activating":
            await asyncio.sleep(1)
    assert int(shows("edged", "ExecMainStartTimestampMonotonic")) < int(
        shows("edged-tests", "ExecMainStartTimestampMonotonic")
    )
    started_by_the_boot = shows("edged", "MainPID")
    await all_are("absent")
    async with all_plugged_in():
        await all_are("up")
    await all_are("absent")
    assert shows("edged", "MainPID") == started_by_the_boot


async def test_what_is_plugged_in_after_a_start_without_its_driver_works() -> None:
    systemctl("stop", "edged")
    for driver in DRIVERS:
        subprocess.run(["modprobe", "-qr", driver], check=True)
    wait_for(lambda: "ttyUSB" not in Path("/proc/devices").read_text())
    systemctl("start", "edged")
    async with all_plugged_in():
        await all_are("up")

"""A serial scale on a real tty (CDC ACM): 7E1 in earnest, names by udev, the cable pulled."""

import asyncio
import termios
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import pytest
from support.cameras import until
from support.far_ends import answering
from support.kernel import usb_serial, wait_for

from devices import DeviceError, State
from devices.keep import keep
from devices.ports import Line, open_port
from scale.simulate import Toledo8217Simulator
from scale.toledo import Toledo8217, ToledoSettings

BY_ID = "/dev/serial/by-id/usb-edged_Serial_VM0002-if00"


async def test_a_scale_by_its_stable_name_unplugged_and_back() -> None:
    simulator = Toledo8217Simulator(1234)
    scale = Toledo8217("scale", ToledoSettings(port=BY_ID))

    def shows(value: str | None) -> bool:
        weight = scale.reading.get()
        return (weight.value if weight else None) == (value and Decimal(value))

    task = asyncio.create_task(keep(scale))
    try:
        with usb_serial() as cable:
            async with answering(cable, simulator.feed):
                await until(lambda: shows("1.234"), 60)
                simulator.load = 500
                await until(lambda: shows("0.500"), 60)
            cable.unplug()
            await until(lambda: shows(None), 60)
            await until(lambda: scale.health.get().state is State.ABSENT, 60)
            cable.plug()
            async with answering(cable, simulator.feed):
                await until(lambda: shows("0.500"), 60)
                assert scale.health.get().state is State.UP
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_line_is_set_and_nobody_else_gets_in() -> None:
    with usb_serial():
        wait_for(lambda: Path(BY_ID).exists())
        for line in (Line(9600, 7, "E"), Line(2400, 7, "O", 2), Line(9600, 7, "E")):
            async with open_port(BY_ID, line):
                flags = _flags(BY_ID)
                assert flags & termios.CSIZE == termios.CS7
                assert flags & termios.PARENB
                assert bool(flags & termios.PARODD) == (line.parity == "O")
                assert bool(flags & termios.CSTOPB) == (line.stop == 2)
                with pytest.raises(DeviceError, match=r"device\.busy"):
                    async with open_port(BY_ID, line):
                        pass


def _flags(path: str) -> int:
    """The control flags of the open tty, through this process's own descriptor."""
    real = Path(path).resolve()
    fd = next(fd for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == real)
    return int(termios.tcgetattr(int(fd.name))[2])

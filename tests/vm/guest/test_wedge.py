"""A keyboard wedge by uinput: typed keys, the exclusive grab, and the cable pulled."""

import asyncio
from contextlib import suppress

import pytest
from evdev import InputDevice, UInput, ecodes
from support.wedges import KEYS, USB, plugged_in

from badge_reader.wedge import WedgeReader, WedgeSettings, find
from devices import DeviceError, State
from devices.keep import keep


def type_on(keyboard: UInput, text: str) -> None:
    for key in text:
        for pressed in (1, 0):
            keyboard.write(ecodes.EV_KEY, KEYS[key], pressed)
            keyboard.syn()


async def test_badges_grab_and_unplug() -> None:
    keyboard = plugged_in()
    reader = WedgeReader("door", WedgeSettings(port=USB))
    async with reader.badges.listen() as badges:
        task = asyncio.create_task(keep(reader))
        try:
            await _is(reader, State.UP)
            node = find(USB)
            assert node is not None
            other = InputDevice(str(node))
            with pytest.raises(OSError, match="busy"):
                other.grab()

            type_on(keyboard, "0012345678\n")
            assert (await asyncio.wait_for(anext(badges), 30)).text == "0012345678"
            assert other.read_one() is None, "another program saw the badge"
            other.close()

            keyboard.close()
            await _is(reader, State.ABSENT)

            keyboard = plugged_in()
            await _is(reader, State.UP)
            type_on(keyboard, "42424242\n")
            assert (await asyncio.wait_for(anext(badges), 30)).text == "42424242"
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            keyboard.close()


async def test_a_reader_that_another_program_holds() -> None:
    keyboard = plugged_in()
    node = find(USB)
    assert node is not None
    holder = InputDevice(str(node))
    holder.grab()
    try:
        with pytest.raises(DeviceError, match=r"device\.busy"):
            await WedgeReader("door", WedgeSettings(port=USB)).run()
    finally:
        holder.close()
        keyboard.close()


async def _is(reader: WedgeReader, state: State) -> None:
    async with asyncio.timeout(60):
        async for health in reader.health.changes():
            if health.state is state:
                return

"""From a table of the configuration to a device, whether or not its driver can be used.

The one rule: what a stranger's class does while a device is made is that device's trouble. It is
then `Refused`, with the reason on the status page, and the station has all its others.
"""

import asyncio
import logging

from badge_reader import BadgeReader
from camera import Camera
from devices import Device, DeviceError
from devices.blame import log_bug
from devices.contained import set_up
from devices.errors import Broken, NonsenseError, expect, why
from devices.registry import Driver, Family
from devices.value import Value
from edged.config import DeviceTable
from printer import Printer
from scale import Scale

_FAMILIES: dict[Family, type] = {
    "badge_reader": BadgeReader,
    "scale": Scale,
    "printer": Printer,
    "camera": Camera,
}
_PARTS = {"badge_reader": "badges", "scale": "reading", "printer": "paper", "camera": "frames"}


class Unavailable(Device):
    """Stands for a device whose driver cannot be used, so that the status page tells why."""

    def __init__(self, name: str, why: DeviceError) -> None:
        super().__init__(name)
        self._why = why

    async def run(self) -> None:
        raise self._why

    async def plugged(self) -> None:
        await asyncio.Event().wait()


def make_device(table: DeviceTable) -> Device:
    if table.driver is None:
        return Unavailable(table.name, table.refused or DeviceError("device.bug"))
    try:
        driver = table.driver
        return set_up(table.name, table.driver_name, lambda: _made(table, driver))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 (a constructor of a stranger)
        log_bug(table.name, error, level=logging.WARNING)
        return Unavailable(table.name, Broken(table.driver_name, why(error)))


def _made(table: DeviceTable, driver: Driver) -> Device:
    """Raises whatever the driver's constructor does, or `NonsenseError` for what it gives."""
    device: Device = driver(table.name, table.settings)
    family = _FAMILIES[table.family]
    if not isinstance(device, family):
        raise NonsenseError(f"{family.__name__} expected, not {type(device).__name__}")
    if vars(device).get("name") != table.name:
        raise NonsenseError("the device has not the name that it was given")
    # What a constructor leaves out, or a class of the same name hides, is missed here.
    expect("its health", device.health, Value)
    expect("its retry", device.retry, asyncio.Event)
    for part in ("run", "plugged", "idle", _PARTS[table.family]):
        if not hasattr(device, part):
            raise NonsenseError(f"it has no {part}")
    for method in (device.run, device.plugged, device.idle):
        if not callable(method):
            raise NonsenseError("its run, plugged and idle are not all methods")
    return device

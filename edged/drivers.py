"""From a table of the configuration to a device, whether or not its driver could be loaded."""

import asyncio

from devices import Device, DeviceError
from edged.config import DeviceTable


class Unavailable(Device):
    """Stands for a device whose driver could not be loaded, so that the status page tells why."""

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
    return table.driver(table.name, table.settings)

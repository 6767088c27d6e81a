"""Stands where a screen's device should be when its driver could not be loaded.

The one rule: a missing driver darkens its own part of a screen and nothing else. The stand-in
shares the device's health, so that the screen tells what the status page tells.
"""

from typing import TypeVar

from badge_reader import BadgeReader
from camera import Camera
from devices import Absent, Device
from printer import Label, NotPrinted, Printer, Still
from scale import Scale

D = TypeVar("D", bound=Device)


class _Missing(Device):
    async def run(self) -> None:
        raise Absent("device.missing_library")

    async def plugged(self) -> None:
        raise Absent("device.missing_library")


class MissingReader(_Missing, BadgeReader):
    """Reads no badge."""


class MissingScale(_Missing, Scale):
    """Weighs nothing."""


class MissingPrinter(_Missing, Printer):
    async def print(self, label: Label, still: Still | None = None) -> None:  # noqa: ARG002
        raise NotPrinted("device.missing_library", sure=True)

    def preview(self, label: Label) -> bytes:  # noqa: ARG002 (likewise)
        raise NotPrinted("device.missing_library", sure=True)


class MissingCamera(_Missing, Camera):
    async def still(self) -> bytes:
        raise Absent("device.missing_library")


def reader_of(device: Device) -> BadgeReader:
    return device if isinstance(device, BadgeReader) else _in_place(device, MissingReader)


def scale_of(device: Device) -> Scale:
    return device if isinstance(device, Scale) else _in_place(device, MissingScale)


def printer_of(device: Device) -> Printer:
    return device if isinstance(device, Printer) else _in_place(device, MissingPrinter)


def camera_of(device: Device) -> Camera:
    return device if isinstance(device, Camera) else _in_place(device, MissingCamera)


def _in_place(device: Device, stand_in: type[D]) -> D:
    made = stand_in(device.name)
    vars(made).update(health=device.health, retry=device.retry)  # before anybody listens to it
    return made

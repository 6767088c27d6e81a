"""The words every family of devices shares.

`Device` (one coroutine), `Health`, `Value` (readings: the newest counts), `Bus` (happenings: each
counts), the three failures, and `keep`, which lets no device take a sibling down.
"""

from devices.bus import Bus
from devices.device import Device
from devices.errors import Absent, DeviceError, Lost, Refused
from devices.health import Health, State
from devices.value import Reading, Value

__all__ = [
    "Absent",
    "Bus",
    "Device",
    "DeviceError",
    "Health",
    "Lost",
    "Reading",
    "Refused",
    "State",
    "Value",
]

"""Whether the clock can be believed."""

import subprocess
import sys

import pytest

from edged.clock import ClockQuality, kernel_synced


class World:
    def __init__(self) -> None:
        self.synced = False
        self.now = 1000.0

    def quality(self, *, trusted: bool = False) -> ClockQuality:
        return ClockQuality(trusted=trusted, synced=lambda: self.synced, monotonic=lambda: self.now)


def test_a_clock_nobody_set_is_unsynced() -> None:
    assert World().quality()() == "unsynced"


def test_synced_then_lost_is_holdover_after_a_day() -> None:
    world = World()
    quality = world.quality()
    world.synced = True
    assert quality() == "synced"
    world.synced = False
    world.now += 23 * 3600
    assert quality() == "synced"
    world.now += 2 * 3600
    assert quality() == "holdover"
    world.synced = True
    assert quality() == "synced"


def test_a_trusted_clock_is_synced() -> None:
    assert World().quality(trusted=True)() == "synced"


def test_the_kernel_is_asked() -> None:
    """The struct is ours: hold its answer against the kernel's, by another way."""
    code = "import ctypes;t=(ctypes.c_long*64)();r=ctypes.CDLL(None).adjtimex(t);"
    code += "s=ctypes.cast(ctypes.addressof(t)+40,ctypes.POINTER(ctypes.c_int))[0];"
    code += "print(0<=r<5 and not s&0x40)"
    if sys.maxsize < 2**32:
        pytest.fail("edged is for 64-bit systems")
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(kernel_synced()) == asked.stdout.strip()

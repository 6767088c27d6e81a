"""A keyboard wedge that the kernel simulates (uinput), for the tests in the virtual machine."""

from evdev import UInput, ecodes
from support.kernel import modprobe, wait_for

from badge_reader.wedge import find

KEYS = {str(digit): getattr(ecodes, f"KEY_{digit}") for digit in range(10)}
KEYS["\n"] = ecodes.KEY_ENTER
USB = "ffff:0035"


def plugged_in() -> UInput:
    """One that is found by `USB`; ``close()`` pulls its cable."""
    modprobe("uinput")
    modprobe("evdev")
    keyboard = UInput(
        {ecodes.EV_KEY: list(KEYS.values())}, name="edged reader", vendor=0xFFFF, product=0x0035
    )
    wait_for(lambda: find(USB))
    return keyboard

"""Whether this machine's clock can be believed: a Raspberry Pi has none of its own.

The one rule: a time that may be wrong is marked so. The kernel knows (`adjtimex`, man 2): its
UNSYNC bit is set at boot and cleared by whatever sets the clock (timesyncd, chrony, ntpd, GPS).
"""

import asyncio
import ctypes
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from durable.errors import StoreFull
from mqtt.messages import Clock, ClockData
from store.envelope import boot_id, uptime_ms
from store.outbox import Outbox

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
_HOLDOVER_AFTER_S = 24 * 3600
LOOK_S = 5.0


class _Timex(ctypes.Structure):
    """`struct timex` of linux/timex.h; only `modes` and `status` are looked at."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_synced() -> bool:
    """What the kernel says now; False where it cannot be asked."""
    try:
        timex = _Timex()
        answer = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return False
    return 0 <= answer < _TIME_ERROR and not timex.status & _STA_UNSYNC


class ClockQuality:
    """`synced` now; `holdover` if it was this boot, but more than a day ago; else `unsynced`."""

    def __init__(
        self,
        *,
        trusted: bool,
        synced: Callable[[], bool] = kernel_synced,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trusted = trusted
        self._synced = synced
        self._monotonic = monotonic
        self._last: float | None = None

    def __call__(self) -> Clock:
        now = self._monotonic()
        if self._trusted or self._synced():
            self._last = now
            return "synced"
        if self._last is None:
            return "unsynced"
        # The kernel drops its mark long before a crystal drifts by a second.
        return "synced" if now - self._last < _HOLDOVER_AFTER_S else "holdover"


async def tell_when_right(
    quality: Callable[[], Clock], outbox: Outbox, *, look_s: float = LOOK_S
) -> None:
    """Put a `clock` fact whenever the clock is right and facts wait to be dated; for ever.

    Such facts carry `boot` and `up`; with this one the bridge can work out their time. They may be
    those of a daemon that ended before the clock became right.
    """
    while True:
        right = quality() != "unsynced"  # asked also when nothing waits: it remembers when
        if right and outbox.undated:
            data = ClockData(boot=boot_id(), up=uptime_ms(), at=datetime.now(UTC))
            with suppress(StoreFull):  # told by the outbox; the facts go on waiting
                await outbox.put("clock", data)
        await asyncio.sleep(look_s)

"""Who makes everything wait: a call on the event loop that does not return.

The one rule: the name stands in the log while it lasts. systemd ends a daemon that shows no life
for some seconds, and what was to be written afterwards is never written.

A thread asks the loop for an answer twice a second. Where none comes, it looks at what the loop's
thread is doing: whose task or callback that is, and in which line.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType

from devices import Device, Value
from devices.blame import home, room, whose
from devices.seldom import Seldom
from edged.loop import HANDLE_RUN, device_of
from kiosk.station import Stall

log = logging.getLogger(__name__)

ASK_S = 0.5
"""Between two questions, and the time for an answer. Who holds the loop up for less is not named,
who does for less than twice that not always: each question wakes the processor twice.
"""
LOOK_S = 0.25
"""Between two looks at who holds it up."""
TOLD_S = 1.0
"""Who holds it up for so long is named while it lasts; others are named afterwards."""

Place = tuple[str, str]
"""A device, "" where it is none of them; and the line, as ``file.py:12``."""


class Stalls:
    """Watches the running loop. `newest` tells how long it was held up last, and by whom."""

    def __init__(
        self,
        devices: Mapping[str, Device],
        newest: Value[Stall | None],
        note: Callable[[Stall], None],
    ) -> None:
        """`note` is called for what is worth a line in the journal."""
        self._devices = devices
        self._newest = newest
        self._note = note
        self._seldom = Seldom()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._answered_at = 0.0
        self._over = threading.Event()

    async def watch(self) -> None:
        """For ever."""
        threading.Thread(target=self._watch, name="stalls", daemon=True).start()
        try:
            await asyncio.Event().wait()
        finally:
            self._over.set()

    def _watch(self) -> None:
        """The thread."""
        alive = time.monotonic()
        seen: Counter[Place] = Counter()
        told = False
        self._ask()
        while not (nap := _Nap(self._over, LOOK_S if seen else ASK_S)).over:
            if nap.stopped:
                alive = time.monotonic()
            if self._answered_at:
                if seen:
                    self._ended(_likeliest(seen), max(0, self._answered_at - alive), told=told)
                seen.clear()
                told = False
                alive = max(alive, self._answered_at)
                self._ask()
                continue
            if not nap.stopped and (place := self._look()):
                seen[place] += 1
            stood = time.monotonic() - alive
            if seen and stood >= TOLD_S and not told:
                told = self._seldom.may_tell(_likeliest(seen)[0])
                if told:
                    _log(_likeliest(seen), stood, "so far")

    def _ask(self) -> None:
        self._answered_at = 0.0
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._answered_at = time.monotonic()

    def _ended(self, place: Place, seconds: float, *, told: bool) -> None:
        told = told or self._seldom.may_tell(place[0])
        if told:
            _log(place, seconds, "in all")
        stall = Stall(*place, seconds=round(seconds, 1), at=datetime.now(UTC))
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._tell, stall, told)

    def _tell(self, stall: Stall, noted: bool) -> None:
        before = self._newest.get()
        self._newest.set(replace(stall, times=before.times + 1 if before else 1))
        if noted and stall.device:
            self._note(stall)

    def _look(self) -> Place | None:
        """What holds the loop up at this moment; None when it only waits for work."""
        frame = sys._current_frames().get(self._thread)
        frames: list[FrameType] = []
        while frame is not None and frame.f_code is not HANDLE_RUN:
            frames.append(frame)
            frame = frame.f_back
        if frame is None or not frames:
            return None
        name = device_of(frame.f_locals["self"]) or whose(frames, self._devices.values())
        where = frames[0]
        if device := self._devices.get(name):
            # Of a driver that called a library, its own line says more than the library's.
            where = next((one for one in frames if room(one) == home(device)), where)
        return name, f"{where.f_code.co_filename}:{where.f_lineno}"


class _Nap:
    """The thread sleeps so many seconds, or until `over` is set."""

    def __init__(self, over: threading.Event, seconds: float) -> None:
        began, used = time.monotonic(), time.process_time()
        self.over = over.wait(seconds)
        late = time.monotonic() - began - seconds
        self.stopped = late > LOOK_S and time.process_time() - used < late / 2
        """The whole process had no processor for most of the time: nobody in it held anything up.
        Who keeps Python's lock keeps this thread asleep as well, but works meanwhile."""


def _likeliest(seen: Counter[Place]) -> Place:
    return seen.most_common(1)[0][0]


def _log(place: Place, seconds: float, so_far: str) -> None:
    device, where = place
    who = device or "the event loop"
    log.error("%s: device.blocks seconds=%.1f where=%s (%s)", who, seconds, where, so_far)

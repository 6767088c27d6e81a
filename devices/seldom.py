"""How often something is told that happens all the time.

The one rule: no driver fills a disk with lines. What is told next after a silence is the newest.
"""

import asyncio
import time
from collections import deque

TOLD_EVERY_S = 60.0
LINES = 8
"""Lines about one device in `TOLD_EVERY_S`."""
_THINGS = 1000


class Seldom:
    """So many lines a minute about each thing."""

    def __init__(self, lines: int = 1) -> None:
        self._lines = lines
        self._told: dict[str, deque[float]] = {}

    def may_tell(self, what: str) -> bool:
        now = time.monotonic()
        if what not in self._told and len(self._told) >= _THINGS:
            self._told.clear()
        told = self._told.setdefault(what, deque(maxlen=self._lines))
        if len(told) == self._lines and now - told[0] < TOLD_EVERY_S:
            return False
        told.append(now)
        return True


class Pace:
    """At most `LINES` lines a minute for who waits for `turn` after each of them.

    Who reads a `Value` and waits skips what changed meanwhile, and tells the newest.
    """

    def __init__(self) -> None:
        self._told: deque[float] = deque(maxlen=LINES)

    async def turn(self) -> None:
        now = time.monotonic()
        self._told.append(now)
        if len(self._told) == LINES:
            await asyncio.sleep(max(0.0, self._told[0] + TOLD_EVERY_S - now))

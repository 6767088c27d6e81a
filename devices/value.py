"""A reading: only the newest counts.

The one rule: `set` never waits and never queues. A slow listener skips what it missed and gets the
newest, so that no screen and no network can hold a device back or show an old number.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

from devices.contained import out_of_date
from devices.errors import expect

T = TypeVar("T")


class Value(Generic[T]):
    """Holds one current value. Used from the event loop's thread only.

    `kinds`: the only types that `set` takes, where what is set comes from a stranger's code.
    Nothing is taken from what a `run()` left behind.
    """

    def __init__(self, initial: T, *kinds: type) -> None:
        self._kinds = kinds
        self._current = initial
        self._version = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def get(self) -> T:
        return self._current

    def set(self, new: T) -> None:
        """Replace the value; listeners wake only when it differs from the last one.

        Raises `NonsenseError` for a value of another type.
        """
        if self._kinds:
            expect("a reading", new, *self._kinds)
            if out_of_date():
                return
        if new == self._current:
            # Keep the newer object: equal values may carry a fresher timestamp.
            self._current = new
            return
        self._current = new
        self._version += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changes(self) -> AsyncIterator[T]:
        """Yield the current value, then each newer one (the newest only, if several came)."""
        seen = -1
        while True:
            if seen == self._version:
                waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiters.add(waiter)
                try:
                    await waiter
                finally:
                    self._waiters.discard(waiter)
            seen = self._version
            yield self._current


class Reading(Value[T]):
    """A value that nobody knows any more once its device has ended."""

    def __init__(self, unknown: T, *kinds: type) -> None:
        super().__init__(unknown, *kinds)
        self._unknown = unknown

    def forget(self) -> None:
        self.set(self._unknown)

"""Happenings that must each be seen: a badge, a scan, a button.

The one rule: a listener that stops reading loses its own oldest happenings, loudly, and delays
nobody else.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from devices.contained import out_of_date
from devices.errors import expect
from devices.seldom import Seldom

T = TypeVar("T")

log = logging.getLogger(__name__)


class Bus(Generic[T]):
    """Hands each published item to every listener. Used from the event loop's thread only.

    `kinds`: the only types that `publish` takes, where that is a stranger's code. Nothing is taken
    from what a `run()` left behind.
    """

    def __init__(self, name: str, *kinds: type) -> None:
        self._name = name
        self._kinds = kinds
        self._seldom = Seldom()
        self._queues: set[asyncio.Queue[T]] = set()

    def publish(self, item: T) -> None:
        """Raises `NonsenseError` for an item of another type."""
        if self._kinds:
            expect("what is published", item, *self._kinds)
            if out_of_date():
                return
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
                if self._seldom.may_tell(self._name):
                    log.error("%s: a listener is %d behind and loses", self._name, queue.maxsize)
            queue.put_nowait(item)

    @asynccontextmanager
    async def listen(self, size: int = 64) -> AsyncIterator[AsyncIterator[T]]:
        """``async with bus.listen() as items: async for item in items``.

        Listening starts when the block is entered: nothing published after that is missed.
        """
        queue: asyncio.Queue[T] = asyncio.Queue(size)
        self._queues.add(queue)
        try:
            yield _drain(queue)
        finally:
            self._queues.discard(queue)


async def _drain(queue: asyncio.Queue[T]) -> AsyncIterator[T]:
    while True:
        yield await queue.get()

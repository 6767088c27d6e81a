"""A link held open for a test: ``async with held(address) as link``, ``await link.session()``."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from mqtt.link import Address, Link, LinkState, Session


class Held:
    """A running link and its sessions, one after the other."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.sessions: asyncio.Queue[Session] = asyncio.Queue()

    async def up(self, session: Session) -> None:
        self.sessions.put_nowait(session)
        await asyncio.Event().wait()

    async def session(self) -> Session:
        """The next session; waits for it."""
        return await asyncio.wait_for(self.sessions.get(), 30)

    async def becomes(self, key: str) -> LinkState:
        """Wait until the link's state has this key."""
        return await becomes(self.link, key)


async def becomes(link: Link, key: str) -> LinkState:
    async with asyncio.timeout(30):
        async for state in link.state.changes():
            if state.key == key:
                return state
    raise AssertionError


@asynccontextmanager
async def held(*addresses: Address, client_id: str = "test", **options: Any) -> AsyncIterator[Held]:
    link = Link(addresses, client_id=client_id, **options)
    holder = Held(link)
    task = asyncio.create_task(link.run(holder.up))
    try:
        yield holder
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

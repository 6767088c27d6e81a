"""What the bridge tells its stations, kept until the broker has it.

The one rule: of each topic only the newest body counts, and bodies leave in the order in which they
were set: a directory's shards before the head that names them.
"""

import asyncio
import logging

from mqtt.link import Outgoing, Reason, Session

log = logging.getLogger(__name__)

AGAIN_S = 5.0


class Post:
    """Retained messages. Lives as long as the bridge; `run` as long as a connection."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._refused: set[str] = set()

    def set(self, topic: str, body: bytes, *, always: bool = False) -> None:
        """Publish `body` (b"" clears the topic); nothing happens if it is there already.

        `always`: somebody asked to have it again.
        """
        if not always and self._bodies.get(topic) == body:
            return
        for kept in (self._bodies, self._due):
            kept.pop(topic, None)
        self._bodies[topic] = body
        self._due[topic] = None
        self._wake.set()

    def again(self, topic: str) -> None:
        """Publish once more what was last set, if anything was."""
        if topic in self._bodies:
            self.set(topic, self._bodies[topic], always=True)

    async def run(self, session: Session) -> None:
        """Publish what is due, everything first, until the connection ends."""
        self._due = dict.fromkeys(self._bodies)
        while True:
            self._wake.clear()
            while self._due:
                await self._send(session, next(iter(self._due)))
            await self._wake.wait()

    async def _send(self, session: Session, topic: str) -> None:
        body = self._bodies[topic]
        reason = await session.publish(Outgoing(topic, body, retain=True))
        if reason is Reason.QUOTA:
            await asyncio.sleep(AGAIN_S)
            return
        if self._bodies[topic] is body:
            self._due.pop(topic, None)
        if reason.failed and topic not in self._refused:
            self._refused.add(topic)
            log.error("the broker answers %s to %s", reason.name, topic)

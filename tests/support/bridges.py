"""A bridge for tests of the station's side: stores facts in memory and acknowledges as told.

It is a go-back-N receiver in each epoch like the real one (`bridge.intake`), with hands to hold it
back.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from support.linked import held

from mqtt.link import Address, Outgoing, Session
from mqtt.messages import Ack, EpochAck
from mqtt.topics import parse

ROOT = "edged/v1"


class Bridge:
    def __init__(self) -> None:
        self.facts: list[dict[str, Any]] = []
        self.bodies: dict[str, set[bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.others: list[tuple[str, bytes]] = []
        self.answering = True
        self.loses: set[int] = set()
        """Numbers that do not get here, once."""
        self.received = 0
        self.arrived: list[int] = []
        """The numbers of all facts in the order in which they came, resent ones included."""
        self._session: Session | None = None
        self._changed = asyncio.Event()

    @property
    def seqs(self) -> list[int]:
        return [fact["seq"] for fact in self.facts]

    async def up(self, session: Session) -> None:
        await session.subscribe(f"{ROOT}/#")
        self._session = session
        async for message in session.messages():
            await self._take(message.topic, message.body)
            message.done()
            self._changed.set()

    async def _take(self, topic: str, body: bytes) -> None:
        where = parse(ROOT, topic)
        if where is None or where.rest[0] not in ("fact", "blob"):
            self.others.append((topic, body))
            return
        if where.rest[0] == "blob":
            self.blobs[where.rest[1]] = body
            return
        self.received += 1
        fact = json.loads(body)
        self.arrived.append(fact["seq"])
        if fact["seq"] in self.loses:
            self.loses.discard(fact["seq"])
            return
        self.bodies.setdefault(fact["id"], set()).add(body)
        if fact["seq"] == self.stored(fact["epoch"]) + 1:
            self.facts.append(fact)
        if self.answering:
            await self.ack(f"{ROOT}/{where.site}/{where.station}/ack")

    @property
    def epochs(self) -> list[str]:
        """The epochs of which something was stored, in the order in which they began."""
        return list(dict.fromkeys(fact["epoch"] for fact in self.facts))

    def stored(self, epoch: str) -> int:
        return sum(fact["epoch"] == epoch for fact in self.facts)

    async def ack(self, topic: str, **changes: Any) -> None:
        """Everything is stored and done, but for what `changes` says of the newest epoch."""
        assert self._session is not None
        if not self.facts:
            return
        told = [{"epoch": epoch, "stored": n, "done": n}
                for epoch in self.epochs for n in [self.stored(epoch)]]  # fmt: skip
        told[-1] |= changes
        ack = Ack(epochs=tuple(EpochAck.model_validate(epoch) for epoch in told))
        await self._session.publish(Outgoing(topic, ack.model_dump_json().encode(), retain=True))

    async def say(self, topic: str, body: bytes, **options: Any) -> None:
        assert self._session is not None
        await self._session.publish(Outgoing(topic, body, **options))

    async def until(self, condition: Any, seconds: float = 30) -> None:
        """Wait until `condition()` holds, looking at each message that comes."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def bridging(url: str) -> AsyncIterator[Bridge]:
    bridge = Bridge()
    async with held(Address.parse(url), client_id="bridge") as holder:
        session = await holder.session()
        task = asyncio.create_task(bridge.up(session))
        try:
            while bridge._session is None:
                await asyncio.sleep(0.01)
            yield bridge
        finally:
            task.cancel()
            await asyncio.wait({task})

"""The way down: acknowledgements, members, products and commands from the centre to this station.

The one rule: what comes down is taken whole or not at all, and nothing that comes down can lose a
fact. A message that makes no sense is logged and skipped.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from devices import Device, Value
from edged.delivery import Delivery
from mqtt.link import Incoming, Outgoing, Session
from mqtt.messages import (
    Ack,
    Answer,
    Ask,
    Catalogue,
    Command,
    DirectoryHead,
    DirectoryShard,
    StationState,
)
from mqtt.topics import StationTopics
from store import Store, StoreFull

log = logging.getLogger(__name__)

SETTLE_S = 3.0
"""Retained shards come with the head; only what is still missing after this is asked for."""
LAST_ASK_S = 60.0


class Downlink:
    """One for the daemon's life; `run` once a connection."""

    def __init__(
        self,
        store: Store,
        topics: StationTopics,
        delivery: Delivery,
        devices: Mapping[str, Device],
        say_state: Callable[[], Awaitable[None]],
        bridge_seen: Value[datetime | None],
    ) -> None:
        self._store = store
        self._topics = topics
        self._delivery = delivery
        self._devices = devices
        self._say_state = say_state
        self._missing: Value[frozenset[str]] = Value(frozenset())
        self._early: dict[str, DirectoryShard] = {}
        self._bridge_seen = bridge_seen

    @property
    def filters(self) -> tuple[str, ...]:
        site = self._topics.of_site
        return (
            self._topics.ack,
            self._topics.do("+", "+"),
            self._topics.state,
            site.directory_head,
            site.directory_shard("+"),
            site.catalogue_head,
        )

    async def run(self, session: Session) -> None:
        """Take messages until the connection ends (`mqtt.link.Gone`)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ask_for_missing(session))
            if self._store.catalogue.current.get() is None:
                group.create_task(self._ask_for_catalogue(session))
            async for message in session.messages():
                try:
                    await self._take(session, message)
                except ValidationError as error:
                    log.warning("%s: not understood, skipped: %s", message.topic, _brief(error))
                except StoreFull as full:
                    # Nothing is lost: the bridge says all of this again.
                    log.warning("%s: not kept: %s", message.topic, full.key)
                message.done()

    async def _take(self, session: Session, message: Incoming) -> None:
        site = self._topics.of_site
        by_bridge = (self._topics.ack, site.directory_head, site.catalogue_head)
        if message.topic in by_bridge and not message.retain:  # a retained one may be years old
            self._bridge_seen.set(datetime.now(UTC))
        if message.topic == self._topics.ack:
            await self._delivery.acknowledge(Ack.model_validate_json(message.body))
        elif message.topic == self._topics.state:
            state = StationState.model_validate_json(message.body)
            if not state.online:  # an older connection's will, delivered late
                await self._say_state()
        elif message.topic == site.directory_head:
            await self._take_head(DirectoryHead.model_validate_json(message.body))
        elif message.topic.startswith(site.directory_shard("")):
            if message.body:  # empty: a shard that has no entries any more; the head says so
                await self._take_shard(DirectoryShard.model_validate_json(message.body))
        elif message.topic == site.catalogue_head:
            await self._store.catalogue.replace(Catalogue.model_validate_json(message.body))
        elif message.topic.startswith(self._topics.do("", "").removesuffix("/")):
            await self._obey(session, message)

    async def _take_head(self, head: DirectoryHead) -> None:
        missing = await self._store.directory.apply_head(head)
        early, self._early = self._early, {}
        for name in missing & early.keys():
            if await self._store.directory.apply_shard(early[name]):
                missing.discard(name)
        self._missing.set(frozenset(missing))

    async def _take_shard(self, shard: DirectoryShard) -> None:
        if await self._store.directory.apply_shard(shard):
            self._missing.set(self._missing.get() - {shard.shard})
        else:
            # A broker keeps no order between topics: its head may be on the way.
            self._early[shard.shard] = shard

    async def _ask_for_missing(self, session: Session) -> None:
        wait = SETTLE_S
        async for missing in self._missing.changes():
            while missing:
                await asyncio.sleep(wait)
                still = self._missing.get()
                if not still:
                    wait = SETTLE_S
                    break
                if still == missing:
                    body = Ask(shards=tuple(sorted(still))).model_dump_json().encode()
                    await session.publish(Outgoing(self._topics.ask("directory"), body))
                    wait = min(wait * 2, LAST_ASK_S)
                missing = still  # noqa: PLW2901 - the set shrinks while we wait

    async def _ask_for_catalogue(self, session: Session) -> None:
        wait = SETTLE_S
        while True:
            await asyncio.sleep(wait)
            if self._store.catalogue.current.get() is not None:
                return
            body = Ask().model_dump_json().encode()
            await session.publish(Outgoing(self._topics.ask("catalogue"), body))
            wait = min(wait * 2, LAST_ASK_S)

    # --- commands -------------------------------------------------------------------------

    async def _obey(self, session: Session, message: Incoming) -> None:
        device, verb = message.topic.split("/")[-2:]
        command = Command.model_validate_json(message.body or b"{}")
        answer = await self._execute(device, verb, command)
        reply_to = message.response_topic or command.reply_to
        if reply_to and self._topics.may_answer(reply_to):
            body = answer.model_dump_json().encode()
            await session.publish(Outgoing(reply_to, body, correlation=message.correlation))

    async def _execute(self, device: str, verb: str, command: Command) -> Answer:
        if (device, verb) == ("outbox", "replay"):
            epoch, first = command.args.get("epoch"), command.args.get("from")
            if not isinstance(epoch, str) or type(first) is not int:  # a bool is an int, too
                return Answer(id=command.id, ok=False, key="command.bad_arguments")
            available = await self._delivery.replay(epoch, first)
            if available is None:
                return Answer(id=command.id, ok=False, key="command.other_epoch")
            result = {"epoch": epoch, "from": available}
            return Answer(id=command.id, ok=True, result=result)
        if device in self._devices and verb == "retry":
            self._devices[device].retry.set()
            return Answer(id=command.id, ok=True)
        return Answer(id=command.id, ok=False, key="command.unknown")


def _brief(error: ValidationError) -> str:
    """Where and why, without the values: they may be personal."""
    return "; ".join(
        f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False)[:3]
    )

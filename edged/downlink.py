"""The way down: what comes from the centre to this station, and its answers to commands.

The one rule: what comes down is taken whole or not at all, and nothing that comes down can lose a
fact. A message that makes no sense is logged and skipped.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from pydantic import ValidationError

from devices import Device, Value
from edged.delivery import Delivery
from edged.sync import Sync
from mqtt.link import Incoming, Outgoing, Session
from mqtt.messages import (
    Ack,
    Answer,
    Catalogue,
    Command,
    DirectoryHead,
    ReceivedShard,
    StationState,
)
from mqtt.topics import StationTopics
from store import StoreFull
from store.documents import brief

log = logging.getLogger(__name__)


class Downlink:
    """One for the daemon's life; `run` once a connection."""

    def __init__(
        self,
        topics: StationTopics,
        sync: Sync,
        delivery: Delivery,
        devices: Mapping[str, Device],
        say_state: Callable[[], Awaitable[None]],
        bridge_seen: Value[datetime | None],
    ) -> None:
        self._topics = topics
        self._sync = sync
        self._delivery = delivery
        self._devices = devices
        self._say_state = say_state
        self._bridge_seen = bridge_seen

    @property
    def filters(self) -> tuple[str, ...]:
        """What a connection begins with. Members and products come later (`edged.sync`)."""
        return (self._topics.ack, self._topics.do("+", "+"), self._topics.state)

    async def run(self, session: Session) -> None:
        """Take messages until the connection ends (`mqtt.link.Gone`)."""
        async for message in session.messages():
            try:
                await self._take(session, message)
            except ValidationError as error:
                log.warning("%s: not understood, skipped: %s", message.topic, brief(error))
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
            await self._sync.take_head(DirectoryHead.model_validate_json(message.body))
        elif message.topic.startswith(site.directory_shard("")):
            if message.body:  # empty: a shard that has no entries any more; the head says so
                shard = ReceivedShard.model_validate_json(message.body)
                await self._sync.take_shard(shard, retained=message.retain)
        elif message.topic == site.catalogue_head:
            await self._sync.take_catalogue(Catalogue.model_validate_json(message.body))
        elif message.topic.startswith(self._topics.do("", "").removesuffix("/")):
            await self._obey(session, message)

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
        if device == "outbox" and verb == "replay":
            return await self._replay(command)
        if device == "outbox" and verb == "epochs":
            return Answer(id=command.id, ok=True, result={"epochs": self._delivery.epochs()})
        if device in self._devices and verb == "retry":
            self._devices[device].retry.set()
            return Answer(id=command.id, ok=True)
        return Answer(id=command.id, ok=False, key="command.unknown")

    async def _replay(self, command: Command) -> Answer:
        epoch, first = command.args.get("epoch"), command.args.get("from")
        if not isinstance(epoch, str) or type(first) is not int:  # a bool is an int, too
            return Answer(id=command.id, ok=False, key="command.bad_arguments")
        result = await self._delivery.replay(epoch, first)
        if result is None:
            return Answer(id=command.id, ok=False, key="command.other_epoch")
        return Answer(id=command.id, ok=True, result=result)

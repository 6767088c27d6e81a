"""The bridge: from the broker to the inbox to Odoo, and back.

The one rule is an order: a fact is on our disk, then the broker gets its PUBACK, then the station's
`ack` says `stored`; Odoo has it, then `ack` says `done`. Whatever dies in between, the step before
it is done again and changes nothing.
"""

import asyncio
import logging
import sqlite3

from bridge.config import BridgeConfig
from bridge.inbox import Inbox
from bridge.intake import InboxFull
from bridge.ledger import Item, Station, Stored
from bridge.post import Post
from bridge.replay import Replays
from bridge.site import Site
from bridge.status import status
from durable.thread import OneThread
from mqtt.link import Address, Gone, Incoming, Link, NotAllowed, Session
from mqtt.secrets import mqtt_password
from mqtt.topics import StationTopics, parse

log = logging.getLogger(__name__)

BATCH = 200
SESSION_S = 7 * 86_400
"""How long the broker keeps facts for a bridge that is away."""
FULL_WAIT_S = 10.0
LOOK_S = 3.0
"""Another process may have retried or dropped a parked fact: look this often."""
HOUSEKEEPING_S = 3600.0
NOT_ALLOWED_WAIT_S = 60.0


class CannotOpen(Exception):
    """The inbox cannot be opened; the message names its folder and says why."""


async def run(config: BridgeConfig) -> None:
    """Serve the sites until cancelled. Raises `SecretError`, `CannotOpen`, or ValueError without
    a usable URL.
    """
    addresses = _addresses(config)
    thread = OneThread("inbox")
    try:
        inbox = await _inbox(config, thread)
        try:
            await _Bridge(config, addresses, inbox, thread).run()
        finally:
            await thread(inbox.close)
    finally:
        thread.close()


async def _inbox(config: BridgeConfig, thread: OneThread) -> Inbox:
    table = config.inbox
    try:
        return await thread(Inbox, table.folder, min_free_mb=table.min_free_mb)
    except (OSError, sqlite3.Error) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise CannotOpen(
            f"[inbox] folder: {table.folder} cannot be used: {why}. "
            "The bridge's user must own it, on a disk with room."
        ) from error


def _addresses(config: BridgeConfig) -> list[Address]:
    mqtt = config.mqtt
    if mqtt.url is None:
        raise ValueError("[mqtt] url: is missing, and EDGED_MQTT_URL does not give it either")
    return mqtt.addresses(password=mqtt_password(mqtt.password_file))


class _Bridge:
    def __init__(
        self, config: BridgeConfig, addresses: list[Address], inbox: Inbox, thread: OneThread
    ) -> None:
        self._config = config
        self._root = config.mqtt.root
        self._inbox = inbox
        self._thread = thread
        self._post = Post()
        self._replays = Replays(self._root, config.mqtt.client)
        self._changed: dict[Station, bool] = {}
        self._change = asyncio.Event()
        self._sites = {
            table.name: Site(table, self._root, inbox, thread, self._post, self._note)
            for table in config.site
        }
        self._link = Link(
            addresses, client_id=config.mqtt.client, clean=False, session_expiry=SESSION_S
        )

    async def run(self) -> None:
        self._note(*await self._thread(self._inbox.stations))
        async with asyncio.TaskGroup() as group:
            for site in self._sites.values():
                group.create_task(site.run(), name=f"site {site.name}")
            group.create_task(self._tell_acks(), name="acks")
            group.create_task(self._watch_inbox(), name="watch")
            group.create_task(self._keep_house(), name="house")
            group.create_task(self._link.run(self._serve), name="link")

    # --- one connection -------------------------------------------------------------------

    async def _serve(self, session: Session) -> None:
        queue: asyncio.Queue[Incoming] = asyncio.Queue(BATCH)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(session, queue))
                group.create_task(self._store(queue))
                await session.subscribe(*self._filters())
                group.create_task(self._post.run(session))
                group.create_task(self._replays.run(session))
        except* NotAllowed as refused:
            log.error("the broker refuses a subscription: %s", refused.exceptions[0])  # noqa: TRY400
            await asyncio.sleep(NOT_ALLOWED_WAIT_S)

    def _filters(self) -> list[str]:
        client = self._config.mqtt.client
        return [
            filter_
            for site in self._sites
            for filter_ in (
                f"{self._root}/{site}/+/fact/+",
                f"{self._root}/{site}/+/blob/+",
                f"{self._root}/{site}/+/ask/+",
                f"{self._root}/{site}/+/did/{client}",
            )
        ]

    async def _read(self, session: Session, queue: asyncio.Queue[Incoming]) -> None:
        async for message in session.messages():
            await queue.put(message)
        raise Gone("the messages ended")

    async def _store(self, queue: asyncio.Queue[Incoming]) -> None:
        """Batches: as much as came while the last one was written to the disk."""
        while True:
            batch = [await queue.get()]
            while len(batch) < BATCH and not queue.empty():
                batch.append(queue.get_nowait())
            items = [item for message in batch if (item := self._sort(message))]
            if items:
                await self._commit(items)
            for message in batch:
                message.done()

    def _sort(self, message: Incoming) -> Item | None:
        """What has to be done before the PUBACK; a question is answered at once."""
        where = parse(self._root, message.topic)
        if where is None or where.site not in self._sites or len(where.rest) != 2:
            return None
        what, name = where.rest
        station = Station(where.site, where.station)
        match what:
            case "fact" | "blob" | "did":
                return Item(where.site, where.station, what, name, message.body, message.properties)
            case "ask":
                self._sites[where.site].asked(name, message.body)
                self._note(station, again=True)
        return None

    async def _commit(self, items: list[Item]) -> None:
        facts = [item for item in items if item.what != "did"]
        stored = await self._stored(facts)
        for station, gap in stored.gaps.items():
            self._replays.note(station, gap)
        self._note(*stored.stations, again=True)
        for item in items:
            if item.what == "did":
                await self._answered(Station(item.site, item.station), item.body)
        for site in {station.site for station in stored.stations}:
            self._sites[site].applier.wake()

    async def _stored(self, facts: list[Item]) -> Stored:
        """Until the disk takes them: nothing is acknowledged, so the stations keep them."""
        told = False
        while True:
            try:
                return await self._thread(self._inbox.store, facts)
            except (InboxFull, OSError, sqlite3.Error) as error:
                log.log(
                    logging.DEBUG if told else logging.ERROR,
                    "the inbox takes nothing: %s",
                    str(error) or "the disk is full",
                )
                told = True
                await asyncio.sleep(FULL_WAIT_S)

    async def _answered(self, station: Station, body: bytes) -> None:
        """A station's answer to our replay: from where on it has its facts."""
        answer = self._replays.answer(station, body)
        if answer is None:
            return
        epoch, first = answer
        try:
            believed = await self._thread(self._inbox.hole, station, epoch, first)
        except (OSError, sqlite3.Error) as error:  # the gap is still there, and asked for again
            log.error("the inbox: %s", error)  # noqa: TRY400 - the disk's trouble, not the code's
            return
        if believed:
            self._replays.note(station, None)
            self._note(station)

    # --- what stations are told -----------------------------------------------------------

    def _note(self, *stations: Station, again: bool = False) -> None:
        for station in stations:
            self._changed[station] = again or self._changed.get(station, False)
        if stations:
            self._change.set()

    async def _tell_acks(self) -> None:
        while True:
            await self._change.wait()
            self._change.clear()
            changed, self._changed = self._changed, {}
            for station, again in changed.items():
                ack = await self._thread(self._inbox.ack, station)
                if ack is not None:
                    topic = StationTopics(self._root, station.site, station.name).ack
                    self._post.set(topic, ack.model_dump_json().encode(), always=again)

    # --- for ever -------------------------------------------------------------------------

    async def _watch_inbox(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if await self._thread(self._inbox.changed_elsewhere):
                self._note(*await self._thread(self._inbox.stations))
                for site in self._sites.values():
                    site.applier.wake()

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._thread(self._inbox.prune, self._config.inbox.keep_days)
            except (OSError, sqlite3.Error) as error:  # a full disk does not end the bridge
                log.error("the inbox: %s", error)  # noqa: TRY400 - the disk's trouble again
            await asyncio.sleep(HOUSEKEEPING_S)
            log.info("%s", await status(self._inbox, self._thread, self._sites.values()))

"""The bridge: from the broker to the inbox to Odoo, and back.

The one rule is an order: a fact is on our disk, then the broker gets its PUBACK, then the station's
`ack` says `stored`; Odoo has it, then `ack` says `done`. Whatever dies in between, the step before
it is done again and changes nothing.
"""

import asyncio
import logging
from collections.abc import Iterable
from functools import partial

from bridge import control
from bridge.blobs import LARGEST
from bridge.config import BridgeConfig
from bridge.inbox import Inbox
from bridge.ledger import Item, Station, Told
from bridge.leftovers import Leftovers
from bridge.patience import DISK_ERRORS, insist, needs_person, why_not
from bridge.post import Post
from bridge.replay import EPOCHS, Replays, all_epochs, read_answer, replayed, state_of
from bridge.site import ASKED_S, Site
from bridge.status import status
from bridge.together import Together
from mqtt.link import Address, Gone, Incoming, Link, NotAllowed, Session
from mqtt.secrets import mqtt_password
from mqtt.topics import StationTopics, parse

log = logging.getLogger(__name__)

BATCH = 200
SESSION_S = 7 * 86_400
"""How long the broker keeps facts for a bridge that is away."""
HOUSEKEEPING_S = 3600.0
NOT_ALLOWED_WAIT_S = 60.0


class CannotOpen(Exception):
    """The inbox cannot be opened; the message names its folder and says why.

    `needs_person`: to start again is of no use until somebody has corrected it.
    """

    def __init__(self, message: str, *, needs_person: bool) -> None:
        super().__init__(message)
        self.needs_person = needs_person


async def run(config: BridgeConfig) -> None:
    """Serve the sites until cancelled. Raises `SecretError`, `CannotOpen`, or ValueError without
    a usable URL.
    """
    addresses = _addresses(config)
    inbox = await _inbox(config)
    try:
        await _Bridge(config, addresses, inbox, await insist("the inbox", inbox.leftovers)).run()
    finally:
        await inbox.close()


async def _inbox(config: BridgeConfig) -> Inbox:
    table = config.inbox
    try:
        return await Inbox.open(table.folder, min_free_mb=table.min_free_mb)
    except DISK_ERRORS as error:
        message = f"[inbox] folder: {table.folder} {why_not(error)}"
        raise CannotOpen(message, needs_person=needs_person(error)) from error


def _addresses(config: BridgeConfig) -> list[Address]:
    mqtt = config.mqtt
    if mqtt.url is None:
        raise ValueError("[mqtt] url: is missing, and EDGED_MQTT_URL does not give it either")
    return mqtt.addresses(password=mqtt_password(mqtt.password_file))


class _Bridge:
    def __init__(
        self,
        config: BridgeConfig,
        addresses: list[Address],
        inbox: Inbox,
        leftovers: Iterable[Station],
    ) -> None:
        self._config = config
        self._root = config.mqtt.root
        self._inbox = inbox
        self._post = Post()
        self._replays = Replays(self._root, config.mqtt.client)
        self._changed: dict[Station, bool] = {}
        self._change = asyncio.Event()
        self._asking = Together[Station](lambda asking: self._note(*asking, again=True), ASKED_S)
        self._sites = {
            table.name: Site(table, self._root, inbox, self._post, self._note)
            for table in config.site
        }
        served = [station for station in leftovers if station.site in self._sites]
        for station in served:
            self._sites[station.site].applier.hold_back(station.name)
        self._leftovers = Leftovers(self._root, config.mqtt.client, served, self._release)
        self._link = Link(
            addresses,
            client_id=config.mqtt.client,
            clean=False,
            session_expiry=SESSION_S,
            max_packet=LARGEST,
        )

    async def run(self) -> None:
        self._note(*await insist("the inbox", self._inbox.stations))
        async with asyncio.TaskGroup() as group:
            for site in self._sites.values():
                group.create_task(site.run(), name=f"site {site.name}")
            group.create_task(self._tell_acks(), name="acks")
            group.create_task(self._keep_house(), name="house")
            group.create_task(self._obey(), name="control")
            group.create_task(self._leftovers.without_link(), name="leftovers")
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
                group.create_task(self._leftovers.ask(session))
        except* NotAllowed as refused:
            log.error("the broker refuses a subscription: %s", refused.exceptions[0])  # noqa: TRY400
            await asyncio.sleep(NOT_ALLOWED_WAIT_S)

    def _filters(self) -> list[str]:
        client = self._config.mqtt.client
        return [
            filter_
            for site in self._sites
            for filter_ in (
                f"{self._root}/{site}/+/did/{client}",
                f"{self._root}/{site}/+/state",
                f"{self._root}/{site}/+/fact/+",
                f"{self._root}/{site}/+/blob/+",
                f"{self._root}/{site}/+/ask/+",
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
            await self._take(batch)
            for message in batch:
                message.done()

    async def _take(self, batch: list[Incoming]) -> None:
        """What has to be done before the PUBACKs; a question is answered at once."""
        items: list[Item | Told] = []
        answered: list[Station] = []
        newest = {message.topic: message for message in batch}
        for message in batch:
            where = parse(self._root, message.topic)
            if where is None or where.site not in self._sites:
                continue
            station = Station(where.site, where.station)
            match where.rest:
                case ("fact" | "blob" as what, name):
                    items.append(
                        Item(*_names(station), what, name, message.body, message.properties)
                    )
                case ("state",) if newest[message.topic] is message:
                    items += _listed(state_of(station, message.body))
                case ("did", _):
                    items += self._answer(station, message.body, answered)
                case ("ask", name):
                    self._sites[where.site].asked(name, message.body)
                    self._asking.ask(station)
        if items:
            await self._commit(items)
        for station in answered:
            self._leftovers.answered(station)

    def _answer(self, station: Station, body: bytes, answered: list[Station]) -> list[Item | Told]:
        answer = read_answer(body)
        if answer is None:
            return []
        if answer.id == EPOCHS:
            answered.append(station)
            return _listed(all_epochs(station, answer))
        return _listed(replayed(station, answer))

    async def _commit(self, items: list[Item | Told]) -> None:
        """Until the disk takes them: nothing is acknowledged, so the stations keep them."""
        unanswered = self._replays.unanswered()
        stored = await insist(
            "the inbox takes nothing", lambda: self._inbox.store(items, unanswered)
        )
        for key in stored.answered:
            self._replays.answered(key)
        for key, gap in stored.gaps.items():
            self._replays.note(key, gap)
        self._note(*stored.heard)
        self._note(*stored.stations, again=True)
        for site in {station.site for station in stored.stations | stored.heard}:
            self._sites[site].applier.wake()

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
                ack = await insist("the inbox", partial(self._inbox.ack, station))
                topic = StationTopics(self._root, station.site, station.name).ack
                self._post.set(topic, ack.model_dump_json().encode(), always=again)

    # --- for ever -------------------------------------------------------------------------

    def _release(self, station: Station) -> None:
        self._sites[station.site].applier.release(station.name)

    async def _obey(self) -> None:
        await insist("commands cannot come", lambda: control.serve(self._inbox.folder, self._act))

    async def _act(self, verb: str, fact: str) -> bool:
        act = {"retry": self._inbox.retry, "drop": self._inbox.drop}[verb]
        station = await act(fact)
        if station is None:
            return False
        self._note(station)
        if station.site in self._sites:
            self._sites[station.site].applier.wake()
        return True

    async def _keep_house(self) -> None:
        days = self._config.inbox.keep_days
        while True:
            await insist("the inbox", lambda: self._inbox.prune(days))
            await asyncio.sleep(HOUSEKEEPING_S)
            told = await insist("the inbox", lambda: status(self._inbox, self._sites.values()))
            log.info("%s", told)


def _names(station: Station) -> tuple[str, str]:
    return station.site, station.name


def _listed(told: Told | None) -> list[Item | Told]:
    return [] if told is None else [told]

"""Members and products: fetched from the broker a little at a time, behind the facts.

The one rule: on a slow line a fact never waits long behind members. A broker sends all that is
retained for a subscription at once, and its answers to facts queue behind that. So nothing is
subscribed to before the waiting facts had their turn, and then only the shards that are missing,
no more of them at a time than come within about a second.

A shard that does not come by itself is asked for by name: some clusters of brokers do not hand on
what they retain. Once received, a shard is unsubscribed from; the head says when it has changed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Iterable

from devices import Value
from mqtt.link import NotAllowed, Outgoing, Session
from mqtt.messages import Ask, Catalogue, DirectoryHead, ReceivedShard
from mqtt.topics import StationTopics
from store import Store

log = logging.getLogger(__name__)

FACTS_FIRST_S = 5.0
"""Waiting facts have the line for themselves this long at most."""
HEAD_S = 3.0
"""Without a head after this there are no members to come: a shop may publish prices alone."""
CATALOGUE_LAST_S = 30.0
"""The catalogue is one message of up to 2 MB: it comes when all members are here, or after this."""
QUICK_S, SLOW_S = 0.5, 1.0
"""A portion of shards that came faster is doubled, one that came more slowly is halved."""
LARGEST_PORTION = 64
FIRST_ASK_S, LAST_ASK_S = 3.0, 60.0
CATALOGUE_ASK_S = 20.0
"""Before the catalogue is asked for: a large one may still be on its way."""
REFUSED_WAIT_S = 60.0


class Sync:
    """One for the daemon's life; `run` once a connection. `idle`: no fact waits for anything."""

    def __init__(self, store: Store, topics: StationTopics, idle: Value[bool]) -> None:
        self._store = store
        self._topics = topics
        self._site = topics.of_site
        self._idle = idle
        self._early: dict[str, ReceivedShard] = {}
        self._retained = True
        """Whether the last shard that came was one that the broker had retained."""

    # --- what comes ---------------------------------------------------------------------------

    async def take_head(self, head: DirectoryHead) -> None:
        """Raises `StoreFull`."""
        await self._store.directory.apply_head(head)
        early, self._early = self._early, {}
        for name in self._store.directory.missing & early.keys():
            await self._store.directory.apply_shard(early[name])

    async def take_shard(self, shard: ReceivedShard, *, retained: bool) -> None:
        """Raises `StoreFull`."""
        self._retained = retained
        if not await self._store.directory.apply_shard(shard):
            # A broker keeps no order between topics: its head may be on the way.
            self._early[shard.shard] = shard

    async def take_catalogue(self, catalogue: Catalogue) -> None:
        """Raises `StoreFull`."""
        if catalogue != self._store.catalogue.current.get():  # it comes at each connection
            await self._store.catalogue.replace(catalogue)

    # --- what is asked for --------------------------------------------------------------------

    async def run(self, session: Session) -> None:
        """Fetch until the connection ends (`mqtt.link.Gone`)."""
        self._early.clear()
        await _within(FACTS_FIRST_S, self._facts_went())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_directory(session))
            group.create_task(self._keep_catalogue(session))

    async def _facts_went(self) -> None:
        async for idle in self._idle.changes():
            if idle:
                return

    async def _keep_directory(self, session: Session) -> None:
        await _subscribe(session, self._site.directory_head)
        tries: Counter[str] = Counter()
        subscribed: set[str] = set()
        portion, patience, asking = 1, FIRST_ASK_S, False
        while True:
            missing = await self._some_missing()
            # A shard that does not come must not hold back the others.
            names = set(sorted(missing, key=lambda name: (tries[name], name))[:portion])
            tries.update(names)
            began = asyncio.get_running_loop().time()
            if new := names - subscribed:
                await _subscribe(session, *map(self._site.directory_shard, sorted(new)))
                subscribed |= new
            if asking:
                await self._ask(session, names)
            ended = await _within(patience, self._came(names, missing))
            took = asyncio.get_running_loop().time() - began
            if not names & self._store.directory.missing:
                asking = asking and not self._retained
                portion = next_portion(portion, took)
                patience = min(max(FIRST_ASK_S, 4 * took), LAST_ASK_S)
            elif not ended:
                if not asking:
                    await self._ask(session, names & self._store.directory.missing)
                asking, portion, patience = True, 1, min(patience * 2, LAST_ASK_S)
            if here := subscribed - self._store.directory.missing:
                await session.unsubscribe(*map(self._site.directory_shard, sorted(here)))
                subscribed -= here
                for name in here:
                    del tries[name]

    async def _some_missing(self) -> frozenset[str]:
        async for state in self._store.directory.state.changes():
            if state.missing:
                return state.missing
        raise AssertionError

    async def _came(self, names: set[str], missing: frozenset[str]) -> None:
        """Until none of `names` is missing, or another shard is that was not when we began."""
        async for state in self._store.directory.state.changes():
            if not names & state.missing or state.missing - missing:
                return

    async def _ask(self, session: Session, names: Iterable[str]) -> None:
        body = Ask(shards=tuple(sorted(names))).model_dump_json().encode()
        await session.publish(Outgoing(self._topics.ask("directory"), body))

    async def _keep_catalogue(self, session: Session) -> None:
        if await _within(HEAD_S, self._head_here()):
            await _within(CATALOGUE_LAST_S, self._members_here())
        await _subscribe(session, self._site.catalogue_head)
        wait = CATALOGUE_ASK_S
        while not await _within(wait, self._catalogue_here()):
            body = Ask().model_dump_json().encode()
            await session.publish(Outgoing(self._topics.ask("catalogue"), body))
            wait *= 2

    async def _head_here(self) -> None:
        async for state in self._store.directory.state.changes():
            if state.head is not None:
                return

    async def _members_here(self) -> None:
        async for state in self._store.directory.state.changes():
            if state.head is not None and not state.missing:
                return

    async def _catalogue_here(self) -> None:
        async for catalogue in self._store.catalogue.current.changes():
            if catalogue is not None:
                return


def next_portion(portion: int, took: float) -> int:
    """How many shards at a time, after `portion` of them took `took` seconds."""
    if took > SLOW_S:
        return max(1, portion // 2)
    return min(portion * 2, LARGEST_PORTION) if took < QUICK_S else portion


async def _subscribe(session: Session, *filters: str) -> None:
    """Subscribe; where the broker refuses, say so and try again until a person has corrected it."""
    told = False
    while True:
        try:
            await session.subscribe(*filters)
        except NotAllowed as error:
            if not told:
                told = True
                log.error("the broker refuses this station's topics: %s", error)  # noqa: TRY400
            await asyncio.sleep(REFUSED_WAIT_S)
        else:
            return


async def _within(seconds: float, event: Coroutine[None, None, None]) -> bool:
    """Whether `event` came before `seconds` were over."""
    try:
        async with asyncio.timeout(seconds):
            await event
    except TimeoutError:
        return False
    return True

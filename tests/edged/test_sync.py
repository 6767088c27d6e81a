"""Members and products come down behind the facts, and only what is missing."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.bridges import Bridge, bridging
from support.broker import Mosquitto
from support.echo import until
from support.fault_broker import FaultBroker
from support.stores import AT, badge, catalogue, entry, fact, product
from support.uplinks import BASE, settled, uplinked
from support.wire import Wire

from edged import sync
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Entry
from store import Store

SITE = "edged/v1/demo"
MANY = 20_000
RATE = 20_000
A_SHARD = 16_000
"""Bytes, at most, that one of 256 shards of so many members takes on the wire."""


class Members:
    """What a bridge says of the members of a shop."""

    def __init__(self, *members: Entry, as_of: datetime = AT) -> None:
        self.as_of = as_of
        self.shards: dict[str, list[Entry]] = {}
        for one in members:
            self.shards.setdefault(shard_of(one.badge), []).append(one)

    @property
    def head(self) -> DirectoryHead:
        return DirectoryHead(
            as_of=self.as_of,
            count=sum(map(len, self.shards.values())),
            shards={name: shard_digest(group) for name, group in self.shards.items()},
        )

    async def say_shard(self, bridge: Bridge, name: str, *, retain: bool = True) -> None:
        shard = DirectoryShard(shard=name, entries=tuple(self.shards[name]))
        topic = f"{SITE}/directory/shard/{name}"
        await bridge.say(topic, shard.model_dump_json().encode(), retain=retain)

    async def say_head(self, bridge: Bridge) -> None:
        body = self.head.model_dump_json().encode()
        await bridge.say(f"{SITE}/directory/head", body, retain=True)

    async def say(self, bridge: Bridge) -> None:
        await asyncio.gather(*(self.say_shard(bridge, name) for name in self.shards))
        await self.say_head(bridge)


@pytest.fixture(scope="module")
def many() -> Members:
    return Members(*(entry(n) for n in range(MANY)))


async def say_catalogue(bridge: Bridge, products: int) -> None:
    body = catalogue(*(product("2100104000005", n) for n in range(products))).model_dump_json()
    await bridge.say(f"{SITE}/catalogue/head", body.encode(), retain=True)


def asked(bridge: Bridge) -> list[list[str]]:
    """The shards that were asked for by name, each time."""
    topic = f"{BASE}/ask/directory"
    return [json.loads(body)["shards"] for told, body in bridge.others if told == topic]


@pytest.mark.parametrize("holds", [True, False], ids=["holding all members", "holding none"])
async def test_on_a_slow_line_facts_go_before_members_and_products(
    tmp_path: Path,
    broker: Mosquitto,
    store: Store,
    many: Members,
    monkeypatch: pytest.MonkeyPatch,
    holds: bool,
) -> None:
    # However slow this machine is: it is the order that counts here.
    monkeypatch.setattr("edged.sync.FACTS_FIRST_S", 60.0)
    if holds:
        await store.directory.replace([e for group in many.shards.values() for e in group], AT)
    async with bridging(broker.url) as bridge, Wire(broker.port, rate=RATE) as line:
        await many.say(bridge)
        await say_catalogue(bridge, 2000)
        for n in range(10):
            await store.outbox.put("badge", fact(n))
        async with uplinked(tmp_path, line.url, store):
            await settled(store, 10)
            assert line.came_back < 10_000
            assert len(bridge.facts) == 10
            line.rate = None
            await until(lambda: store.directory.as_of == AT, seconds=50)
            assert store.directory.count == MANY
            await until(lambda: store.catalogue.current.get() is not None)
    if holds:
        assert line.came_back < A_SHARD * 64, "what was here came again"


async def test_a_fact_made_while_members_come_waits_for_few_of_them(
    tmp_path: Path, broker: Mosquitto, store: Store, many: Members
) -> None:
    async with bridging(broker.url) as bridge, Wire(broker.port, rate=RATE) as line:
        await many.say(bridge)
        async with uplinked(tmp_path, line.url, store):
            for n in range(3):
                await until(lambda n=n: 0 < len(store.directory.missing) < 256 - n)
                before = line.came_back
                await store.outbox.put("badge", fact(n))
                await settled(store, n + 1)
                assert line.came_back - before < 10 * A_SHARD
                assert len(store.directory.missing) > 128, "it was not in between"
            line.rate = None
            await until(lambda: store.directory.as_of == AT, seconds=50)
            assert store.directory.count == MANY
            assert store.directory.lookup([badge(777)]) == entry(777)
            assert bridge.seqs == [1, 2, 3]


async def test_facts_that_nobody_stores_hold_members_back_for_a_moment_only(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge:
        bridge.answering = False
        await Members(*(entry(n) for n in range(50))).say(bridge)
        await store.outbox.put("badge", fact(1))
        async with uplinked(tmp_path, broker.url, store):
            await until(lambda: store.directory.as_of == AT)
            assert store.directory.count == 50
            assert store.outbox.status().waiting == 1


@pytest.mark.parametrize(
    ("portion", "took", "then"),
    [(1, 0.1, 2), (40, 0.1, 64), (64, 0.1, 64), (4, 0.7, 4), (8, 1.5, 4), (1, 30, 1)],
)
def test_no_more_shards_at_a_time_than_come_in_about_a_second(
    portion: int, took: float, then: int
) -> None:
    assert sync.next_portion(portion, took) == then


def test_how_long_each_thing_is_waited_for() -> None:
    assert (sync.FACTS_FIRST_S, sync.CATALOGUE_LAST_S) == (5, 30)
    assert (sync.FIRST_ASK_S, sync.LAST_ASK_S, sync.CATALOGUE_ASK_S) == (3, 60, 20)


async def test_facts_go_first_on_each_connection_anew(
    tmp_path: Path, broker: Mosquitto, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [entry(n) for n in range(20)]
    monkeypatch.setattr("edged.sync.FACTS_FIRST_S", 60.0)
    async with (
        bridging(broker.url) as bridge,
        Wire(broker.port) as line,
        uplinked(tmp_path, line.url, store),
    ):
        await Members(*members).say(bridge)
        await until(lambda: store.directory.as_of == AT)
        bridge.answering = False
        await line.unplug()
        await store.outbox.put("badge", fact(1))
        later = AT + timedelta(hours=1)
        await Members(*members, as_of=later).say_head(bridge)
        await line.plug()
        await bridge.until(lambda: bridge.received >= 3)  # it was sent again twice
        assert store.directory.as_of == AT
        bridge.answering = True
        await until(lambda: store.directory.as_of == later)


async def test_what_changes_for_everybody_at_once_is_not_poured_over_a_station(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with (
        bridging(broker.url) as bridge,
        Wire(broker.port) as line,
        uplinked(tmp_path, line.url, store),
    ):
        await Members(*(entry(n) for n in range(2000))).say(bridge)
        await until(lambda: store.directory.as_of == AT, seconds=50)
        now = Members(*(entry(n, verdict="warn") for n in range(2000)))
        whole = sum(len(one.model_dump_json()) for group in now.shards.values() for one in group)
        before = line.came_back
        await asyncio.gather(*(now.say_shard(bridge, name) for name in now.shards))
        question = json.dumps({"reply_to": f"{BASE}/did/bridge"}).encode()
        await bridge.say(f"{BASE}/do/outbox/epochs", question)
        await bridge.until(lambda: any(topic.endswith("/did/bridge") for topic, _ in bridge.others))
        # The last portion, a quarter of them, may not be unsubscribed from yet.
        assert line.came_back - before < whole / 2
        await now.say_head(bridge)
        await until(lambda: store.directory.head == now.head)
        await until(lambda: not store.directory.missing, seconds=50)
        assert store.directory.lookup([badge(7)]) == entry(7, verdict="warn")


async def test_only_the_shards_that_changed_come_again(
    tmp_path: Path, broker: Mosquitto, store: Store, many: Members
) -> None:
    await store.directory.replace([e for group in many.shards.values() for e in group], AT)
    now = Members(*(entry(n, verdict="stop" if n < 3 else "ok") for n in range(MANY)))
    async with bridging(broker.url) as bridge, Wire(broker.port) as line:
        await now.say(bridge)
        async with uplinked(tmp_path, line.url, store):
            await until(lambda: store.directory.head == now.head and not store.directory.missing)
            for n in range(3):
                assert store.directory.lookup([badge(n)]) == entry(n, verdict="stop")
    assert line.came_back < 8 * A_SHARD


async def test_what_changes_meanwhile_comes_within_moments(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await Members(*(entry(n) for n in range(50))).say(bridge)
        await until(lambda: store.directory.as_of == AT)
        for verdict in ("stop", "warn", "ok"):
            changed = Members(*(entry(n, verdict=verdict) for n in range(50)))
            await changed.say_shard(bridge, shard_of(badge(7)))
            changed.shards |= {
                name: group
                for name, group in Members(*(entry(n) for n in range(50))).shards.items()
                if name != shard_of(badge(7))
            }
            await changed.say_head(bridge)
            wanted = entry(7, verdict=verdict)
            await until(lambda wanted=wanted: store.directory.lookup([badge(7)]) == wanted)
        assert asked(bridge) == []


async def test_a_shard_that_does_not_come_holds_no_other_up(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    members = Members(*(entry(n) for n in range(50)))
    lost = min(members.shards)
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        for name in members.shards.keys() - {lost}:
            await members.say_shard(bridge, name)
        await members.say_head(bridge)
        await until(lambda: store.directory.missing == {lost}, seconds=50)
        await bridge.until(lambda: asked(bridge).count([lost]) >= 2)
        await members.say_shard(bridge, lost)
        await until(lambda: store.directory.as_of == AT)


async def test_a_broker_that_hands_on_nothing_it_retained_is_done_without(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    """Some clusters: then every shard is asked for, many in one question once that is known."""
    members = Members(*(entry(n) for n in range(200)))
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await members.say_head(bridge)
        seen = 0
        async with asyncio.timeout(50):
            while store.directory.as_of is None:
                await asyncio.sleep(0.02)
                questions = asked(bridge)
                for question in questions[seen:]:
                    for name in question:
                        await members.say_shard(bridge, name, retain=False)
                seen = len(questions)
        questions = asked(bridge)
        assert {name for question in questions for name in question} == members.shards.keys()
        assert len(questions) < len(members.shards) / 2


async def test_a_damaged_entry_is_fetched_again(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    members = Members(*(entry(n) for n in range(50)))
    async with bridging(broker.url) as bridge:
        await members.say(bridge)
        await store.directory.replace([entry(n) for n in range(50)], AT)
        async with uplinked(tmp_path, broker.url, store) as uplink:
            await until(lambda: uplink.state.get().up)
            await store._writer.run(
                lambda connection: connection.execute(
                    "UPDATE directory SET body = '{' WHERE badge = ?", (badge(7),)
                )
            )
            assert store.directory.lookup([badge(7)]) is None
            await until(lambda: store.directory.lookup([badge(7)]) == entry(7))


async def test_one_unknown_word_on_the_wire_costs_one_member(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    name = shard_of(badge(1))
    stranger = json.loads(entry(2).model_dump_json())
    stranger |= {"badge": name + "0" * 30, "verdict": "later"}
    entries = [json.loads(entry(1).model_dump_json()), stranger]
    head = DirectoryHead(as_of=AT, count=2, shards={name: shard_digest(entries)})
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        body = json.dumps({"shard": name, "entries": entries}).encode()
        await bridge.say(f"{SITE}/directory/shard/{name}", body, retain=True)
        topic = f"{SITE}/directory/head"
        await bridge.say(topic, head.model_dump_json().encode(), retain=True)
        await until(lambda: store.directory.as_of == AT)
        assert store.directory.lookup([badge(1)]) == entry(1)
        assert store.directory.lookup([stranger["badge"]]) is None
        assert asked(bridge) == []


async def test_the_catalogue_is_asked_for_where_there_is_none(
    tmp_path: Path, broker: Mosquitto, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.sync.CATALOGUE_ASK_S", 0.2)
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await Members(entry(1)).say(bridge)
        question = (f"{BASE}/ask/catalogue", b'{"shards":[]}')
        await bridge.until(lambda: bridge.others.count(question) == 2)
        await say_catalogue(bridge, 3)
        await until(lambda: store.catalogue.current.get() is not None)


async def test_a_catalogue_comes_also_where_members_never_do(
    tmp_path: Path, broker: Mosquitto, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.sync.CATALOGUE_LAST_S", 1e6)
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await say_catalogue(bridge, 3)
        await until(lambda: store.catalogue.current.get() is not None)


async def test_the_same_catalogue_is_not_written_again(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge:
        await Members().say(bridge)
        await say_catalogue(bridge, 3)
        for _ in range(2):
            async with uplinked(tmp_path, broker.url, store) as uplink:
                await until(lambda: store.catalogue.current.get() is not None)
                commits = store.commits
                async with asyncio.timeout(30):
                    while uplink.bridge_seen.get() is None:
                        await say_catalogue(bridge, 3)
                        await asyncio.sleep(0.05)
                assert store.commits == commits


async def test_a_broker_that_refuses_members_gets_facts_all_the_same(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await store.outbox.put("badge", fact(1))
    async with FaultBroker() as broker, uplinked(tmp_path, broker.url, store) as uplink:
        await until(lambda: any(b"/fact/badge" in body for body in broker.published))
        broker.suback = 0x87
        await until(lambda: f"topics: {SITE}/directory/head" in caplog.text)
        seen = len(broker.published)
        await store.outbox.put("badge", fact(2))
        await until(lambda: any(b'"seq":2' in body for body in broker.published[seen:]))
        assert uplink.state.get().up
        assert len(broker.connects) == 1

"""Facts up, answers down, through Debian's mosquitto and a real store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.bridges import Bridge, bridging
from support.broker import Mosquitto, mosquitto
from support.stores import AT, catalogue, entry, fact, opened, product

from devices import Device
from edged.config import Config, load
from edged.uplink import Uplink
from mqtt import broker as broker_module
from mqtt.broker import PrivateBroker
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Parked
from store import Store

BASE = "edged/v1/demo/borne-1"


def config(folder: Path, url: str) -> Config:
    file = folder / "station.toml"
    file.write_text(
        f'[station]\nsite = "demo"\nname = "borne-1"\ndata = "{folder / "data"}"\n'
        f'[mqtt]\nurl = "{url}"\n'
    )
    return load(file)


class Idle(Device):
    async def run(self) -> None:
        await asyncio.Event().wait()

    async def plugged(self) -> None:
        return


@asynccontextmanager
async def uplinked(folder: Path, url: str, store: Store, *devices: Device) -> AsyncIterator[Uplink]:
    settings = config(folder, url)
    assert settings.mqtt is not None
    uplink = Uplink(settings, settings.mqtt, store, {device.name: device for device in devices})
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path / "broker") as running:
        yield running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "store") as running:
        yield running


async def settled(store: Store, done: int) -> None:
    async with asyncio.timeout(30):
        while store.outbox.status().waiting + store.outbox.status().stored or not done:
            await asyncio.sleep(0.02)


async def test_facts_arrive_in_order_and_leave_when_done(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    for n in range(5):
        await store.outbox.put("badge", fact(n))
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await bridge.until(lambda: len(bridge.facts) == 5)
        for n in range(5, 9):
            await store.outbox.put("badge", fact(n))
        await bridge.until(lambda: len(bridge.facts) == 9)
        assert bridge.seqs == list(range(1, 10))
        await settled(store, 9)


async def test_a_puback_does_not_let_a_fact_go(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        bridge.answering = False
        await store.outbox.put("badge", fact())
        await bridge.until(lambda: bridge.received == 1)
        assert store.outbox.status().waiting == 1
        # Unanswered, it is sent again, the same to the byte.
        await bridge.until(lambda: bridge.received >= 2)
        assert [len(bodies) for bodies in bridge.bodies.values()] == [1]
        bridge.answering = True
        await bridge.until(lambda: bridge.received >= 3)
        await settled(store, 1)


async def test_a_new_fact_does_not_wait_for_an_unanswered_one(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        bridge.answering = False
        await store.outbox.put("badge", fact(1))
        await bridge.until(lambda: bridge.received == 1)
        await store.outbox.put("badge", fact(2))
        await bridge.until(lambda: bridge.seqs == [1, 2], seconds=1.5)


async def test_a_lost_fact_is_sent_again_however_many_new_ones_come(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        bridge.loses = {1}
        for n in range(1, 16):
            await store.outbox.put("badge", fact(n))
            await asyncio.sleep(0.4)
            if bridge.facts:
                break
        assert n < 15, "it waited for a pause"
        await settled(store, n)


async def test_the_broker_dies_and_comes_back_without_its_memory(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with uplinked(tmp_path, broker.url, store) as uplink:
        async for state in uplink.state.changes():
            if state.up:
                break
        await broker.kill()
        for n in range(300):
            await store.outbox.put("badge", fact(n))
        await broker.start()
        async with bridging(broker.url) as bridge:
            await bridge.until(lambda: len(bridge.facts) == 300, seconds=50)
            assert bridge.seqs == list(range(1, 301))
            await settled(store, 300)


async def test_a_bridge_that_lost_everything_gets_it_again(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with uplinked(tmp_path, broker.url, store):
        async with bridging(broker.url) as first:
            for n in range(4):
                await store.outbox.put("badge", fact(n))
            await first.until(lambda: len(first.facts) == 4)
            await settled(store, 4)
        async with bridging(broker.url) as second:
            asked = json.dumps(
                {
                    "id": "1",
                    "reply_to": f"{BASE}/did/bridge",
                    "args": {"epoch": store.outbox.epoch, "from": 1},
                }
            )
            await second.say(f"{BASE}/do/outbox/replay", asked.encode())
            await second.until(lambda: second.seqs == [1, 2, 3, 4])
            answers = [json.loads(b) for t, b in second.others if t.endswith("/did/bridge")]
            assert answers == [
                {
                    "id": "1",
                    "ok": True,
                    "key": "",
                    "result": {"epoch": store.outbox.epoch, "from": 1},
                }
            ]


async def test_a_photo_goes_before_its_fact_and_waits_for_done(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await store.outbox.put("badge", fact(1))
        kept = await store.outbox.put("badge", fact(2), attachment=b"\xff\xd8 a portrait \xff\xd9")
        await store.outbox.put("badge", fact(3))
        await bridge.until(lambda: len(bridge.facts) == 3)
        assert bridge.blobs == {kept.id: b"\xff\xd8 a portrait \xff\xd9"}
        await settled(store, 3)
        assert list((tmp_path / "store" / "photos").iterdir()) == []


async def test_parked_facts_are_let_go(tmp_path: Path, broker: Mosquitto, store: Store) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        bridge.answering = False
        first = await store.outbox.put("badge", fact(1))
        await store.outbox.put("badge", fact(2))
        await bridge.until(lambda: len(bridge.facts) == 2)
        parked = Parked(seq=1, id=first.id, why="no such employee")
        await bridge.ack(f"{BASE}/ack", parked=(parked,))
        await settled(store, 2)
        assert store.outbox.status().parked == 1


async def test_members_and_products_come_down(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge:
        entries = [entry(n) for n in range(3)]
        shards = {shard_of(e.badge): (e,) for e in entries}
        assert len(shards) == 3
        digests = {name: shard_digest(group) for name, group in shards.items()}
        head = DirectoryHead(as_of=AT, count=3, shards=digests)
        site = "edged/v1/demo"
        names = sorted(shards)
        for name in names[:2]:
            body = DirectoryShard(shard=name, entries=shards[name]).model_dump_json().encode()
            await bridge.say(f"{site}/directory/shard/{name}", body, retain=True)
        await bridge.say(f"{site}/directory/head", head.model_dump_json().encode(), retain=True)
        things = catalogue(product("2100104000005"))
        await bridge.say(f"{site}/catalogue/head", things.model_dump_json().encode(), retain=True)
        async with uplinked(tmp_path, broker.url, store):
            # A shard that no broker retained is asked for by name.
            asked = f"{BASE}/ask/directory"
            await bridge.until(lambda: any(t == asked for t, _ in bridge.others))
            question = next(json.loads(b) for t, b in bridge.others if t == asked)
            assert question == {"shards": [names[2]]}
            last = DirectoryShard(shard=names[2], entries=shards[names[2]])
            topic = f"{site}/directory/shard/{names[2]}"
            await bridge.say(topic, last.model_dump_json().encode(), retain=True)
            async with asyncio.timeout(10):
                while store.directory.count < 3 or store.catalogue.current.get() is None:
                    await asyncio.sleep(0.02)
            assert store.directory.lookup([entries[2].badge]) == entries[2]
            assert store.catalogue.current.get() == things


async def test_nonsense_from_above_changes_nothing(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store) as uplink:
        async for state in uplink.state.changes():
            if state.up:
                break
        for topic in ("ack", "do/outbox/replay", "do/x/y", "do/outbox/replay/z"):
            await bridge.say(f"{BASE}/{topic}", b"\x00 not json")
        await bridge.say("edged/v1/demo/directory/head", b"[]")
        await bridge.say("edged/v1/demo/directory/shard/00", b"{}")
        await bridge.say("edged/v1/demo/catalogue/head", b"null")
        await bridge.say(f"{BASE}/ack", b'{"epoch":"of another store","stored":99,"done":99}')
        await store.outbox.put("badge", fact(1))
        await bridge.until(lambda: len(bridge.facts) == 1)
        assert uplink.state.get().up


async def test_state_and_health_are_said_and_a_stop_is_said_too(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge:
        device = Idle("door")

        def states() -> list[bool]:
            return [json.loads(b)["online"] for t, b in bridge.others if t == f"{BASE}/state"]

        def healths() -> list[str]:
            said = [json.loads(b) for t, b in bridge.others if t == f"{BASE}/health/door"]
            return [health["state"] for health in said]

        async with uplinked(tmp_path, broker.url, store, device):
            await bridge.until(lambda: states() == [True] and healths() == ["starting"])
            device.is_up()
            await bridge.until(lambda: healths() == ["starting", "up"])
        await bridge.until(lambda: states() == [True, False])


async def test_a_person_can_have_a_device_tried_again_from_afar(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    device = Idle("door")
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store, device):
        await bridge.until(lambda: bool(bridge.others))
        await bridge.say(f"{BASE}/do/door/retry", b"{}")
        async with asyncio.timeout(10):
            await device.retry.wait()


async def test_an_old_will_does_not_make_a_living_station_look_dead(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        mine = f"{BASE}/state"

        def states() -> list[bool]:
            return [json.loads(body)["online"] for topic, body in bridge.others if topic == mine]

        await bridge.until(lambda: states() == [True])
        await bridge.say(mine, b'{"online":false,"birth":1}', retain=True)
        await bridge.until(lambda: states() == [True, False, True])


async def test_the_broker_that_comes_with_the_demo_will_do(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """iotcore, where no mosquitto is installed."""
    monkeypatch.setattr(broker_module.shutil, "which", lambda *_, **__: None)
    async with PrivateBroker(tmp_path / "private") as broker:
        assert broker.kind == "iotcore"
        async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
            await store.outbox.put("badge", fact(1))
            await bridge.until(lambda: len(bridge.facts) == 1)
            await settled(store, 1)


@pytest.mark.parametrize("facts", [450])
async def test_a_backlog_larger_than_the_window_drains(
    tmp_path: Path, broker: Mosquitto, store: Store, facts: int
) -> None:
    await asyncio.gather(*(store.outbox.put("badge", fact(n)) for n in range(facts)))
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await bridge.until(lambda: len(bridge.facts) == facts)
        assert bridge.seqs == list(range(1, facts + 1))
        assert isinstance(bridge, Bridge)
        await settled(store, facts)

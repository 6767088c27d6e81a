"""What else crosses the broker: members and products, commands, state and health."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from support.bridges import bridging
from support.broker import Mosquitto
from support.echo import until
from support.linked import held
from support.stores import AT, catalogue, entry, fact, product
from support.uplinks import BASE, settled, uplinked

from devices import Device, Health, State
from edged.config import load
from edged.uplink import Uplink
from mqtt import broker as broker_module
from mqtt.broker import PrivateBroker
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.link import Address
from mqtt.messages import DirectoryHead, DirectoryShard
from store import Store


class Idle(Device):
    async def run(self) -> None:
        await asyncio.Event().wait()

    async def plugged(self) -> None:
        return


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
        other = {"epoch": "of another store", "stored": 99, "done": 99}
        await bridge.say(f"{BASE}/ack", json.dumps({"epochs": [other]}).encode())
        epoch = store.outbox.epoch
        for first in (-(10**30), 10**30, True, 1.5, "1", None):
            asked = {"args": {"epoch": epoch, "from": first}}
            await bridge.say(f"{BASE}/do/outbox/replay", json.dumps(asked).encode())
        for topic in ("did/#", "did/+", "did/", "did/a/b", "ack", "did/" + "x" * 70_000):
            asked = {"reply_to": f"{BASE}/{topic}"}
            await bridge.say(f"{BASE}/do/x/y", json.dumps(asked).encode())
        low = {"epoch": epoch, "parked": [{"seq": -(10**30), "id": "x", "why": ""}]}
        await bridge.say(f"{BASE}/ack", json.dumps({"epochs": [low]}).encode())
        await store.outbox.put("badge", fact(1))
        await bridge.until(lambda: len(bridge.facts) == 1)
        assert uplink.state.get().up
        assert not [topic for topic, _ in bridge.others if "/did/" in topic]


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
async def test_what_a_broker_kept_is_no_sign_of_life_of_the_bridge(
    tmp_path: Path, store: Store, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "iotcore":
        monkeypatch.setattr(broker_module.shutil, "which", lambda *_, **__: None)
    async with PrivateBroker(tmp_path / "private") as broker:
        assert broker.kind == kind
        body = json.dumps({"epochs": [{"epoch": "x"}]}).encode()
        async with bridging(broker.url) as bridge:
            await bridge.say(f"{BASE}/ack", body, retain=True)
        async with (
            uplinked(tmp_path, broker.url, store) as uplink,
            bridging(broker.url) as bridge,
        ):
            await store.outbox.put("badge", fact(1))
            bridge.answering = False
            await bridge.until(lambda: bool(bridge.facts))
            assert uplink.bridge_seen.get() is None
            await bridge.say(f"{BASE}/ack", body, retain=True)
            async with asyncio.timeout(20):
                while uplink.bridge_seen.get() is None:
                    await asyncio.sleep(0.02)


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


async def test_each_last_will_tells_the_birth_of_its_own_connection(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    """Else a will that a broker delivers late would be taken for the present connection's."""

    def states() -> list[tuple[bool, int]]:
        said = [json.loads(body) for topic, body in bridge.others if topic == f"{BASE}/state"]
        return [(state["online"], state["birth"]) for state in said]

    async with bridging(broker.url) as bridge:
        births = []
        for _ in range(2):
            bridge.others.clear()
            async with uplinked(tmp_path, broker.url, store):
                await bridge.until(lambda: any(online for online, _ in states()))
            await bridge.until(lambda: not states()[-1][0])
            told = {birth for _, birth in states()}
            assert len(told) == 1
            births += told
        assert births[0] < births[1]


async def test_a_replay_is_answered_before_the_facts_are_sent_again(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    """A bridge that has lost its folder learns what Odoo had before it is given any of it."""
    async with bridging(broker.url) as bridge:
        bridge.answering = False
        made = [await store.outbox.put("badge", fact(n)) for n in range(3)]
        epoch = made[0].epoch
        async with (
            uplinked(tmp_path, broker.url, store),
            held(Address.parse(broker.url), client_id="listener") as listener,
        ):
            await bridge.until(lambda: len(bridge.facts) == 3)
            parked = {"seq": 2, "id": made[1].id, "why": "no such employee"}
            await bridge.ack(f"{BASE}/ack", parked=[parked])
            await until(lambda: store.outbox.status().parked == 1)
            session = await listener.session()
            await session.subscribe(f"{BASE}/fact/+", f"{BASE}/did/bridge")
            question = {"id": "1", "reply_to": f"{BASE}/did/bridge"}
            question["args"] = {"epoch": epoch, "from": 1}
            await bridge.say(f"{BASE}/do/outbox/replay", json.dumps(question).encode())
            stream = session.messages()
            came = []
            async with asyncio.timeout(30):
                for _ in range(4):
                    message = await anext(stream)
                    message.done()
                    came.append(json.loads(message.body))
            assert came[0] == {
                "id": "1",
                "ok": True,
                "key": "",
                "result": {"epoch": epoch, "from": 1, "done": 3, "parked": [2]},
            }
            assert [one["seq"] for one in came[1:]] == [1, 2, 3]


async def test_the_epochs_that_are_here_are_told_when_asked_for(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        made = await store.outbox.put("badge", fact(1))
        await settled(store, 1)

        async def answer(verb: str, args: dict[str, object]) -> dict[str, object]:
            question = {"id": verb, "reply_to": f"{BASE}/did/bridge", "args": args}
            bridge.others.clear()
            await bridge.say(f"{BASE}/do/outbox/{verb}", json.dumps(question).encode())
            topic = f"{BASE}/did/bridge"
            await bridge.until(lambda: any(told == topic for told, _ in bridge.others))
            said: dict[str, object] = json.loads(dict(bridge.others)[topic])
            return said

        told = await answer("epochs", {})
        kept = {"epoch": made.epoch, "first": 1, "last": 1, "done": 1, "parked": []}
        assert (told["ok"], told["result"]) == (True, {"epochs": [kept]})
        told = await answer("replay", {"epoch": "another", "from": 1})
        assert (told["ok"], told["key"]) == (False, "command.other_epoch")


async def test_a_drivers_numbers_do_not_end_the_link(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    device = Idle("door")
    numbers: Any = {"code": 5}  # a driver of somebody else's is not checked by mypy
    device.health.set(Health(State.FAILING, "door.jammed", numbers))
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store, device):
        topic = f"{BASE}/health/door"
        await bridge.until(lambda: any(told == topic for told, _ in bridge.others))
        assert json.loads(dict(bridge.others)[topic])["params"] == {"code": "5"}
        await store.outbox.put("badge", fact(1))
        await bridge.until(lambda: len(bridge.facts) == 1)


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


@pytest.mark.parametrize("starts", [True, False])
async def test_the_watchdog_hears_of_a_link_whether_its_private_broker_starts_or_not(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    """A broker that cannot be started is no reason to restart the station."""
    monkeypatch.setattr("edged.uplink.ALIVE_S", 0.05)
    monkeypatch.setattr("mqtt.link.ALIVE_S", 0.05)
    (tmp_path / "data").mkdir(mode=0o700)
    if not starts:
        (tmp_path / "data" / "broker").touch()  # where its folder should be
    file = tmp_path / "station.toml"
    file.write_text(
        f'[station]\nsite = "demo"\nname = "borne-1"\ndata = "{tmp_path / "data"}"\n'
        '[mqtt]\nbroker = "embedded"\n'
    )
    settings = load(file)
    assert settings.mqtt is not None
    uplink = Uplink(settings, settings.mqtt, store, {})
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    task = asyncio.create_task(uplink.run(beat))
    try:
        if starts:
            await until(lambda: uplink.state.get().up)
        before = beats
        await until(lambda: beats > before + 5)
        assert uplink.state.get().up == starts
    finally:
        task.cancel()
        await asyncio.wait({task})

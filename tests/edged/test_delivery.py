"""Facts up, the bridge's word down, through Debian's mosquitto and a real store."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from support.bridges import Bridge, bridging
from support.broker import Mosquitto
from support.fault_broker import FaultBroker
from support.stores import ack, fact
from support.uplinks import BASE, settled, uplinked

from mqtt.messages import Parked
from store import Store


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


async def test_a_lost_fact_is_sent_again_while_older_ones_are_settled(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    """A slow Odoo lets one after the other go: that is no progress of what is on its way."""
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        bridge.answering = False
        for n in range(20):
            await store.outbox.put("badge", fact(n))
        await bridge.until(lambda: len(bridge.facts) == 20)
        await bridge.ack(f"{BASE}/ack", done=0)
        bridge.loses = {21}
        await store.outbox.put("badge", fact(21))
        await bridge.until(lambda: 21 in bridge.arrived)
        for done in range(1, 20):
            await bridge.ack(f"{BASE}/ack", done=done, stored=20)
            await asyncio.sleep(0.4)
            if bridge.arrived.count(21) > 1:
                break
        assert done < 19, "it waited for the last one to be settled"


async def test_a_lost_fact_is_sent_again_while_new_ones_are_answered(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    """The bridge says of each new fact how far it has got, which is always as far."""
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await store.outbox.put("badge", fact(1))
        await settled(store, 1)
        bridge.loses = {2}
        for n in range(2, 17):
            await store.outbox.put("badge", fact(n))
            await asyncio.sleep(0.4)
            if len(bridge.facts) > 1:
                break
        assert n < 16, "it waited for a pause"
        await settled(store, n)


async def test_a_bridge_that_comes_back_is_not_kept_waiting(
    tmp_path: Path, broker: Mosquitto, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.delivery.FIRST_RESEND_S", 1.0)
    async with bridging(broker.url) as bridge, uplinked(tmp_path, broker.url, store):
        await store.outbox.put("badge", fact(1))
        await settled(store, 1)
        bridge.answering = False
        await store.outbox.put("badge", fact(2))
        await bridge.until(lambda: bridge.arrived == [1, 2, 2, 2])  # the next one in 4 s
        await bridge.ack(f"{BASE}/ack", stored=1, done=1)
        await bridge.until(lambda: bridge.arrived == [1, 2, 2, 2, 2], seconds=3)


async def test_a_replay_in_the_middle_of_a_backlog_begins_at_once(
    tmp_path: Path, store: Store
) -> None:
    """It comes while a window of facts is being sent; the rest of the backlog is not sent first."""
    await asyncio.gather(*(store.outbox.put("badge", fact(n)) for n in range(1500)))
    await store.outbox.acknowledge(ack(store.outbox.epoch, stored=400, done=400))
    async with FaultBroker() as broker:
        broker.puback = None

        def seqs() -> list[int]:
            found = (re.search(rb'"seq":(\d+)', body) for body in broker.published)
            return [int(one[1]) for one in found if one]

        async with uplinked(tmp_path, broker.url, store) as uplink, asyncio.timeout(30):
            while len(broker.published) < 200:
                await asyncio.sleep(0.01)
            replayed = await uplink._delivery.replay(store.outbox.epoch, 1)
            assert replayed is not None
            assert (replayed["from"], replayed["done"]) == (1, 400)
            broker.puback = 0
            broker.answer()
            while 1 not in seqs():
                await asyncio.sleep(0.01)
    assert seqs()[:201] == [*range(401, 601), 1]


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
                    "result": {
                        "epoch": store.outbox.epoch,
                        "from": 1,
                        "done": 4,
                        "parked": [],
                    },
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


async def test_a_photo_that_the_card_has_lost_holds_nobody_up(
    tmp_path: Path, broker: Mosquitto, store: Store
) -> None:
    async with bridging(broker.url) as bridge:
        kept = await store.outbox.put("badge", fact(1), attachment=b"portrait")
        await store.outbox.put("badge", fact(2))
        photo = tmp_path / "store" / "photos" / f"{kept.id}.jpg"
        photo.unlink()
        photo.mkdir()  # EISDIR stands for EIO: root may read everything
        async with uplinked(tmp_path, broker.url, store):
            await bridge.until(lambda: bridge.seqs == [1, 2])
            assert bridge.blobs == {}
            photo.rmdir()


async def test_a_photo_that_no_connection_survives_holds_nobody_up(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a broker that hangs up on what is too large for it."""
    monkeypatch.setattr("mqtt.link.LONGEST_WAIT", 0.05)
    await store.outbox.put("badge", fact(1), attachment=b"a portrait of many bytes")
    await store.outbox.put("badge", fact(2))
    async with FaultBroker() as broker:
        broker.puback = None
        seen = hung_up = 0
        facts: list[bytes] = []
        async with uplinked(tmp_path, broker.url, store), asyncio.timeout(40):
            while len(facts) < 2:
                await asyncio.sleep(0.01)
                new, seen = broker.published[seen:], len(broker.published)
                facts += [body for body in new if b"/fact/" in body]
                if any(b"/blob/" in body for body in new):
                    assert not facts
                    hung_up += 1
                    broker.hang_up()
    assert hung_up == 5


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

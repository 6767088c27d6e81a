"""Several starts' facts on their way at once, and a bridge that has forgotten some of them."""

import json
from pathlib import Path

from support.bridges import Bridge, bridging
from support.broker import Mosquitto
from support.stores import ack, fact, opened, put
from support.uplinks import BASE, settled, uplinked

from mqtt.messages import Parked


async def several_starts(folder: Path, starts: int, facts: int) -> list[tuple[str, int]]:
    """What is to arrive, in order."""
    expected = []
    for _ in range(starts):
        async with opened(folder) as store:
            expected += [
                (envelope.epoch, envelope.seq) for envelope in await put(store.outbox, facts)
            ]
    return expected


def stored(bridge: Bridge) -> list[tuple[str, int]]:
    return [(fact["epoch"], fact["seq"]) for fact in bridge.facts]


def births(bridge: Bridge) -> list[dict[str, object]]:
    return [json.loads(body) for topic, body in bridge.others if topic == f"{BASE}/state"]


async def test_one_starts_facts_after_the_other_though_one_was_lost_on_the_way(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """Nobody's way out may overtake their way in because a message was lost between them."""
    expected = await several_starts(tmp_path / "store", 4, 3)
    async with bridging(broker.url) as bridge:
        bridge.loses = {2}
        async with opened(tmp_path / "store") as store, uplinked(tmp_path, broker.url, store):
            made = await store.outbox.put("badge", fact())
            expected.append((made.epoch, 1))
            await bridge.until(lambda: len(bridge.facts) == len(expected))
            assert stored(bridge) == expected
            await settled(store, 1)
            assert all(epoch.settled for epoch in store.outbox.epochs.get().values())


async def test_the_birth_lists_the_epochs_and_a_new_one_is_told(
    tmp_path: Path, broker: Mosquitto
) -> None:
    expected = await several_starts(tmp_path / "store", 2, 3)
    names = [expected[0][0], expected[3][0]]
    async with bridging(broker.url) as bridge:
        bridge.answering = False
        async with opened(tmp_path / "store") as store, uplinked(tmp_path, broker.url, store):
            parked = Parked(seq=1, id=(await store.outbox.waiting(0, 1))[0].id, why="?")
            await store.outbox.acknowledge(ack(names[0], stored=3, done=2, parked=(parked,)))
            await bridge.until(lambda: births(bridge))
            made = await store.outbox.put("badge", fact())
            await bridge.until(
                lambda: any(
                    [epoch["epoch"] for epoch in birth["epochs"]] == [*names, made.epoch]
                    for birth in births(bridge)
                )
            )
            last = births(bridge)[-1]["epochs"]
            assert last[0] == {"epoch": names[0], "first": 1, "last": 3, "done": 2, "parked": [1]}
            assert (last[1]["last"], last[1]["done"]) == (3, 0)
            assert last[2]["last"] == 1


async def test_the_last_will_lists_them_as_well(tmp_path: Path, broker: Mosquitto) -> None:
    await several_starts(tmp_path / "store", 2, 3)
    async with bridging(broker.url) as bridge:
        async with opened(tmp_path / "store") as store, uplinked(tmp_path, broker.url, store):
            await bridge.until(lambda: births(bridge))
        await bridge.until(lambda: not births(bridge)[-1]["online"])
        assert [epoch["last"] for epoch in births(bridge)[-1]["epochs"]] == [3, 3]


async def test_a_bridge_put_back_from_an_older_copy_is_told_and_gets_what_it_lacks(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with opened(tmp_path / "store") as store, uplinked(tmp_path, broker.url, store):
        async with bridging(broker.url) as bridge:
            await put(store.outbox, 6)
            await bridge.until(lambda: len(bridge.facts) == 6)
            await settled(store, 6)
        async with bridging(broker.url) as older:
            older.facts = bridge.facts[:2]
            await older.ack(f"{BASE}/ack")
            # The station says by itself what it knows to be done.
            await older.until(
                lambda: any(
                    epoch["done"] == 6 for birth in births(older) for epoch in birth["epochs"]
                )
            )
            replay = {"id": "1", "reply_to": f"{BASE}/did/bridge"}
            replay["args"] = {"epoch": store.outbox.epoch, "from": 3}
            await older.say(f"{BASE}/do/outbox/replay", json.dumps(replay).encode())
            await older.until(lambda: len(older.facts) == 6)
            assert stored(older) == stored(bridge)
            kinds = [topic for topic, _ in older.others if topic.endswith("/did/bridge")]
            assert len(kinds) == 1
            # What is asked for again of another start's epoch is told to be elsewhere.
            replay["args"] = {"epoch": "another", "from": 1}
            await older.say(f"{BASE}/do/outbox/replay", json.dumps(replay).encode())
            await older.until(lambda: b"command.other_epoch" in older.others[-1][1])
            asked = {"id": "2", "reply_to": f"{BASE}/did/bridge"}
            await older.say(f"{BASE}/do/outbox/epochs", json.dumps(asked).encode())
            await older.until(lambda: b'"epochs"' in older.others[-1][1])
            (epoch,) = json.loads(older.others[-1][1])["result"]["epochs"]
            assert (epoch["last"], epoch["done"]) == (6, 6)

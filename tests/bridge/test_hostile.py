"""A station that is broken or hostile costs a bounded place, and the others nothing."""

import asyncio
import os
import random
import re
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.bridging import bridge_here
from support.delivered import NADIA, PAUL, World, hire
from support.echo import until
from support.inboxes import (
    CLOCK,
    HERE,
    KEY,
    blob,
    broken_disk,
    count,
    fact,
    keeps,
    oldest,
    opened,
    photo,
    sql,
    stored,
)
from support.inboxes import state as told
from support.stations import uuid7

from bridge import blobs, intake, strays
from bridge.config import load
from bridge.inbox import Inbox
from bridge.ledger import Gap, Item, Told
from bridge.schema import STRAY_BYTES
from bridge.site import ASKED_S
from bridge.together import Together
from mqtt.link import Outgoing
from mqtt.messages import EpochKept


def garbage(number: int, size: int = 100, station: str = "entree") -> Item:
    return Item("demo", station, "fact", "label", f"{number:06}".encode().ljust(size, b"\0"))


def files(inbox: Inbox) -> set[str]:
    return {file.name for file in (inbox.folder / "blobs").iterdir()}


# --- strays -------------------------------------------------------------------------------------


async def test_of_each_station_the_newest_hundred_strays_are_kept_and_cut(inbox: Inbox) -> None:
    await inbox.store([garbage(0, station="other")])
    await inbox.store([garbage(number, 20_000) for number in range(150)])
    rows = await sql(inbox, "SELECT body FROM strays WHERE station = 'entree' ORDER BY n")
    assert len(rows) == strays.STRAYS == 100
    assert rows[0][0] == garbage(50, 20_000).body[:STRAY_BYTES]
    assert {len(body) for (body,) in rows} == {STRAY_BYTES} == {4096}
    assert await sql(inbox, "SELECT count(*) FROM strays WHERE station = 'other'") == [(1,)]


async def test_strays_that_begin_alike_are_told_apart(inbox: Inbox) -> None:
    await inbox.store([Item("demo", "entree", "fact", "x", b"\0" * size) for size in (5000, 6000)])
    assert await count(inbox, "strays") == 2


async def test_strays_of_a_minute_are_one_line_and_a_count(
    inbox: Inbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert strays.SAY_S == 60
    now = 1000.0
    monkeypatch.setattr("bridge.strays.time.monotonic", lambda: now)
    await inbox.store([garbage(number) for number in range(50)])
    await inbox.store([garbage(0, station="other")])
    assert [record.getMessage() for record in caplog.records] == [
        "demo/entree: fact: not an envelope",
        "demo/other: fact: not an envelope",
    ]
    now += strays.SAY_S
    await inbox.store([garbage(51)])
    assert caplog.records[-1].getMessage().endswith("(49 more since the last line)")


async def test_nothing_that_a_station_sends_makes_the_inbox_scan_a_table(inbox: Inbox) -> None:
    """Every statement of a batch finds its rows by an index, so that what is there already, however
    much it is, holds no other station up.
    """
    one, two = uuid7(), uuid7()
    await inbox.store([fact(1, clock="unsynced"), blob(uuid7(), b"x"), garbage(1)])
    await inbox.hold(await oldest(inbox))
    await inbox.store([fact(2)])
    await inbox.park(await oldest(inbox), "because")
    statements: list[str] = []
    await inbox._writer.run(lambda db: db.set_trace_callback(statements.append))
    await inbox.store([
        garbage(2), garbage(2), fact(1), fact(9), blob(one, b"jpeg"), blob(two, b"no"),
        photo(3, b"jpeg", one), photo(4, b"jpeg", two), fact(4, "clock", CLOCK),
        fact(5, boot="b2"), fact(1, epoch="e2"), told(keeps(7, done=3, parked=(2,), first=1)),
        blob(one, b"other"), Item("demo", "entree", "blob", "x", b""), fact(6, "damaged"),
    ])  # fmt: skip
    await inbox.ack(HERE)
    await inbox.waiting("demo", 100, not_stations=["x"], not_kinds=["y"])
    await inbox._writer.run(lambda db: db.set_trace_callback(None))
    assert len(statements) > 50
    scans = {
        (line, statement)
        for statement in statements
        if re.match("SELECT|INSERT|UPDATE|DELETE", statement)
        for (*_, line) in await sql(inbox, f"EXPLAIN QUERY PLAN {statement}")
        if line.startswith("SCAN") and "json_each" not in line
    }
    assert not scans


async def test_garbage_of_one_station_holds_no_other_up(world: World) -> None:
    """A megabyte each, none of it a fact."""
    async with (
        bridge_here(load(world.config)),
        world.station("bad") as bad,
        world.station() as good,
    ):
        good.badge(employee=NADIA)
        await good.settled()  # the bridge is there
        session = await bad.session.get()
        for number in range(60):
            topic = bad.topics.fact("label")
            await session.publish(Outgoing(topic, garbage(number, 1_000_000).body))
        too_large = Outgoing(bad.topics.blob(uuid7()), b"x" * (9 << 20))
        await session.publish(too_large)  # which the broker does not even pass on
        good.badge(employee=PAUL)
        await good.settled()
        for answer in (
            b"",
            b"\xff",
            b"[]",
            b'{"ok": true, "result": {"from": 10e400}}',
            b"x" * 2**21,
        ):
            await session.publish(Outgoing(bad.topics.did("edged-bridge"), answer))
            await session.publish(Outgoing(bad.topics.state, answer, retain=True))
            await session.publish(Outgoing(bad.topics.ask("directory"), answer))
        (third,) = hire(world.odoo, 1)
        good.badge(employee=third)
        await good.settled()
    assert [row[0] for row in world.attendances()] == [NADIA, PAUL, third]
    async with world.inbox() as inbox:
        kinds = await sql(inbox, "SELECT what, count(*) FROM strays GROUP BY what")
        assert kinds == [("fact", 60)]
    assert (world.folder / "inbox" / "inbox.sqlite").stat().st_size < 2_000_000


# --- blobs --------------------------------------------------------------------------------------


async def test_a_photo_needs_its_bytes(inbox: Inbox) -> None:
    one = uuid7()
    outcome = await inbox.store([photo(1, b"jpeg", one), fact(2)])
    assert outcome.gaps == {KEY: Gap(HERE, "e1", 1)}
    await inbox.store([blob(one, b"jpe")])
    assert (await inbox.store([photo(1, b"jpeg", one)])).gaps == {KEY: Gap(HERE, "e1", 1)}
    assert (await inbox.store([blob(one, b"jpeg"), photo(1, b"jpeg", one)])).gaps == {KEY: None}
    file = inbox.folder / "blobs" / one
    assert oct(file.stat().st_mode)[-3:] == "600"
    await inbox.done([(await oldest(inbox), None)])
    assert not file.exists()
    await inbox.store([blob(one, b"jpeg")])
    assert not file.exists()


async def test_a_photo_without_its_bytes_holds_its_station_up_for_five_tries(inbox: Inbox) -> None:
    one = photo(1, b"jpeg", uuid7())
    for _ in range(4):
        await inbox.store([one, fact(2)])
        assert await stored(inbox) == 0
    await inbox.store([one, fact(2)])
    assert await stored(inbox) == 2
    assert intake.BLOB_TRIES == intake.UNREADABLE_TRIES == 5


async def test_tries_are_counted_for_one_number_and_survive_a_restart(tmp_path: Path) -> None:
    for attempt in range(1, 6):
        async with opened(tmp_path) as inbox:
            await inbox.store([photo(1, b"jpeg", "019aa2f0-5c11-7b3e-8d5a-3f0c9be4a711")])
            assert await stored(inbox) == (attempt == 5)
    async with opened(tmp_path) as inbox:
        await inbox.store([photo(2, b"jpeg", uuid7())])
        assert await stored(inbox) == 1


ONE_ID = "019aa2f0-5c11-7b3e-8d5a-3f0c9be4a711"


@pytest.mark.parametrize("name", ["../inbox.sqlite", "x", "", ONE_ID + "/..", ONE_ID.upper()])
async def test_only_a_facts_id_becomes_a_file(inbox: Inbox, name: str) -> None:
    await inbox.store([blob(name, b"evil")])
    assert not files(inbox)
    assert await count(inbox, "strays") == 1


@pytest.mark.parametrize("name", ["x", "../../etc/passwd", "x" * 100_000, ONE_ID.upper()])
async def test_only_an_id_is_the_id_of_a_fact(inbox: Inbox, name: str) -> None:
    """It comes back in each ack, and a blob's file is named by it."""
    await inbox.store([fact(1, id=name), fact(1, boot="b" * 65), fact(1, "k" * 65)])
    assert (await inbox.ack(HERE)).epochs == ()
    assert await count(inbox, "strays") == 3


async def test_a_station_has_at_most_256_unclaimed_blobs(inbox: Inbox) -> None:
    """The oldest go first; another station's stay, and those that were claimed."""
    mine, others = [uuid7() for _ in range(300)], uuid7()
    claimed = mine[0]
    await inbox.store([blob(others, b"x", "other"), blob(claimed, b"x"), photo(1, b"x", claimed)])
    await inbox.store([blob(one, b"x") for one in mine[1:150]])
    await inbox.store([blob(one, b"x") for one in mine[150:]])
    assert files(inbox) == {others, claimed, *mine[-256:]}
    assert await sql(inbox, "SELECT count(*) FROM blobs WHERE station = 'entree'") == [(256,)]
    assert (blobs.UNCLAIMED, blobs.UNCLAIMED_BYTES, blobs.LARGEST) == (256, 64 << 20, 8 << 20)


async def test_a_station_has_at_most_64_mib_of_unclaimed_blobs(inbox: Inbox) -> None:
    mine = [uuid7() for _ in range(10)]
    for one in mine:
        await inbox.store([blob(one, b"x" * (8 << 20))])
    assert files(inbox) == set(mine[-8:])
    await inbox.store([blob(mine[-1], b"x"), blob(mine[0], b"x" * (7 << 20))])
    assert files(inbox) == {*mine[-8:], mine[0]}, "one that came again counts once"


async def test_a_blob_of_over_8_mib_is_none(inbox: Inbox) -> None:
    await inbox.store([blob(uuid7(), b"x" * ((8 << 20) + 1))])
    assert not files(inbox)
    assert await count(inbox, "strays") == 1


async def test_no_station_touches_the_blob_of_another(inbox: Inbox) -> None:
    waiting, unclaimed = uuid7(), uuid7()
    await inbox.store([
        blob(waiting, b"jpeg"), photo(1, b"jpeg", waiting), blob(unclaimed, b"jpeg"),
    ])  # fmt: skip
    await inbox.store([blob(waiting, b"evil", "other"), blob(unclaimed, b"evil too", "other")])
    for one in (waiting, unclaimed):
        assert (inbox.folder / "blobs" / one).read_bytes() == b"jpeg"
    assert await count(inbox, "strays") == 2


async def test_other_bytes_do_not_replace_those_that_a_fact_names(inbox: Inbox) -> None:
    one = uuid7()
    await inbox.store([blob(one, b"jpeg"), photo(1, b"jpeg", one), blob(one, b"evil")])
    assert (inbox.folder / "blobs" / one).read_bytes() == b"jpeg"


async def test_right_bytes_that_come_late_are_taken(inbox: Inbox) -> None:
    """The fact was taken without them, and a person lets it be tried again."""
    one = uuid7()
    for _ in range(intake.BLOB_TRIES):
        await inbox.store([photo(1, b"jpeg", one)])
    await inbox.park(await oldest(inbox), "the photo itself did not come")
    await inbox.store([blob(one, b"jpeg")])
    assert (inbox.folder / "blobs" / one).read_bytes() == b"jpeg"


async def test_old_blobs_nobody_claimed_are_removed(inbox: Inbox) -> None:
    claimed, old, new = uuid7(), uuid7(), uuid7()
    await inbox.store([
        blob(claimed, b"x"), photo(1, b"x", claimed), blob(old, b"x"), blob(new, b"x"),
    ])  # fmt: skip
    await sql(inbox, f"UPDATE blobs SET received = 0 WHERE id = '{old}'")
    for name in (claimed, old):
        os.utime(inbox.folder / "blobs" / name, (0, 0))
    await inbox.prune(30)
    assert files(inbox) == {claimed, new}
    assert blobs.UNCLAIMED_S == 7 * 86_400
    assert await sql(inbox, "SELECT id FROM blobs") == [(new,)]


async def test_a_blob_is_kept_again_when_its_batch_had_failed(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may be there already: nothing depends on that."""
    one = uuid7()

    with monkeypatch.context() as failing:
        failing.setattr(intake.clocks, "take", broken_disk)
        with pytest.raises(sqlite3.OperationalError):
            await inbox.store([blob(one, b"jpeg"), fact(1, "clock", CLOCK)])
    await inbox.store([blob(one, b"jpeg"), photo(1, b"jpeg", one)])
    assert await stored(inbox) == 1


# --- anything -----------------------------------------------------------------------------------

NUMBERS = [-1, 0, 1, 2, 3, 10**18 - 1, 10**18, 2**63, 10**30]
TIMES = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-20T08:00:00Z", "x"]


def anything(dice: random.Random) -> Item | Told:
    """A message as nobody sends it."""
    epoch, seq, number = dice.choice(["e1", "e2", "", "x" * 70]), dice.randrange(1, 9), dice.choice
    match dice.randrange(6):
        case 0:
            return fact(
                number(NUMBERS[2:]), epoch=epoch, up=number(NUMBERS), boot=number(["", "b", "c"]),
                clock=number(["unsynced", "synced"]),
            )  # fmt: skip
        case 1:
            data = {"boot": number(["", "b"]), "up": number(NUMBERS), "at": number(TIMES)}
            return fact(seq, "clock", data, epoch=epoch)
        case 2:
            kept = EpochKept(
                epoch=epoch, first=number(NUMBERS), last=number(NUMBERS), done=number(NUMBERS),
                parked=tuple(dice.choices(NUMBERS, k=3)),
            )  # fmt: skip
            return Told(HERE, (kept,), replay=number([True, False]))
        case 3:
            return blob(number([uuid7(), "x", "../a", ONE_ID]), dice.randbytes(5))
        case 4:
            beside = {"epoch": epoch, "seq": str(number(NUMBERS))}
            return Item("demo", "entree", "fact", "k", dice.randbytes(20), beside)
    one = photo(seq, b"x", number([uuid7(), ONE_ID]), epoch=epoch)
    return replace(one, body=one.body.replace(b"2026-11-20T08:00:00.000Z", number(TIMES).encode()))


async def test_no_message_of_a_station_is_an_error_of_the_bridge(tmp_path: Path) -> None:
    """Such an error would end it, and come again with the same message after each start."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    for turn in range(10):
        async with opened(tmp_path / str(turn)) as inbox:
            for _ in range(25):
                asked = {KEY} if dice.random() < 0.2 else set()
                await inbox.store([anything(dice) for _ in range(dice.randrange(1, 8))], asked)
                (await inbox.ack(HERE)).model_dump_json()
                for waiting in await inbox.waiting("demo", 5):
                    step = dice.choice([inbox.hold, inbox.tried])
                    await step(waiting)
                    await inbox.done([(waiting, dice.choice([None, {}]))])
            await inbox.prune(1)


# --- questions ----------------------------------------------------------------------------------


async def test_a_flood_of_questions_is_answered_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then not again before the next seconds are over, here an hour."""
    monkeypatch.setattr("bridge.site.ASKED_S", 3600)
    async with bridge_here(load(world.config)), world.station() as station:
        head = station.topics.of_site.directory_head
        await until(lambda: station.received.get(head))
        session = await station.session.get()
        before = Counter(station.arrivals)
        for _ in range(400):
            await session.publish(Outgoing(station.topics.ask("directory"), b""))
        shards = [t for t, body in station.received.items() if "/shard/" in t and body]
        await until(lambda: station.arrivals.count(shards[0]) > before[shards[0]])
        station.badge(employee=NADIA)
        await station.settled()
        came = Counter(station.arrivals) - before
        assert {topic: came[topic] for topic in shards} == dict.fromkeys(shards, 1)


async def test_who_asks_meanwhile_is_served_together_when_the_time_is_over() -> None:
    served: list[set[int]] = []
    together = Together(served.append, 0.2)
    for number in range(5):
        together.ask(number)
        await asyncio.sleep(0)
    await until(lambda: len(served) == 2)
    assert served in ([{0}, {1, 2, 3, 4}], [{0, 1}, {2, 3, 4}])
    together.ask()
    together.ask(9)
    await until(lambda: len(served) == 3)
    assert served[2] == {9}
    assert ASKED_S == 5

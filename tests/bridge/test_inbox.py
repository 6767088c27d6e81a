"""What the inbox takes, in which order, what it remembers, and what survives."""

import asyncio
import sqlite3
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.inboxes import (
    AT,
    CLOCK,
    HERE,
    KEY,
    broken_disk,
    count,
    fact,
    of_epoch,
    oldest,
    opened,
    sql,
    stored,
)
from support.stations import uuid7

from bridge import intake
from bridge.inbox import UNREADABLE, Inbox, parked_in
from bridge.intake import UNREADABLE_TRIES
from bridge.ledger import Gap, Item
from durable.errors import StoreBusy, StoreFull


async def test_only_the_next_number_is_taken(inbox: Inbox) -> None:
    outcome = await inbox.store([fact(1), fact(3), fact(2), fact(10**30)])
    assert await stored(inbox) == 2
    assert outcome.gaps == {KEY: Gap(HERE, "e1", 3)}
    assert (await inbox.store([fact(3), fact(4)])).gaps == {KEY: None}
    assert await stored(inbox) == 4


@settings(max_examples=40)
@given(order=st.lists(st.integers(1, 8), max_size=60))
def test_whatever_comes_however_often_nothing_is_missing_below_stored(
    tmp_path_factory: pytest.TempPathFactory, order: list[int]
) -> None:
    facts = {seq: fact(seq) for seq in range(1, 9)}

    async def come() -> None:
        async with opened(tmp_path_factory.mktemp("inbox")) as inbox:
            expected = 0
            for seq in order:
                await inbox.store([facts[seq]])
                expected += seq == expected + 1
                assert await stored(inbox) == expected
                assert await count(inbox, "waiting") == expected
            assert await count(inbox, "strays") == 0

    asyncio.run(come())


async def test_the_first_bytes_are_kept_and_others_raise_an_alarm(
    inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    first = fact(1, data={"x": 1})
    await inbox.store([first])
    await inbox.store([first])
    assert await count(inbox, "strays") == 0
    other = fact(1, data={"x": 2})
    await inbox.store([other])
    await inbox.store([other])
    assert await count(inbox, "strays") == 1
    assert caplog.text.count("other bytes") == 1
    kept = await oldest(inbox)
    assert kept.envelope.data == {"x": 1}


async def test_an_id_that_was_used_before_does_not_hold_up_the_station(inbox: Inbox) -> None:
    same = uuid7()
    await inbox.store([fact(1, id=same), fact(2, id=same, data={"x": 2}), fact(3)])
    assert await stored(inbox) == 3
    assert await count(inbox, "strays") == 1
    assert await count(inbox, "waiting") == 2


async def test_a_new_epoch_begins_anew_and_the_ack_lists_both(inbox: Inbox) -> None:
    await inbox.store([fact(1), fact(2)])
    await inbox.store([fact(1, epoch="e2")])
    ack = await inbox.ack(HERE)
    assert [(word.epoch, word.stored) for word in ack.epochs] == [("e1", 2), ("e2", 1)]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"\xff", b"[1]", b'{"v": 2}'],
)
async def test_what_is_no_fact_is_put_aside(inbox: Inbox, body: bytes) -> None:
    await inbox.store([Item("demo", "entree", "fact", "label", body), fact(1)])
    assert await stored(inbox) == 1
    assert await count(inbox, "strays") == 1


@pytest.mark.parametrize("up", [-1, 10**30])
async def test_a_senseless_uptime_is_the_facts_trouble_alone(inbox: Inbox, up: int) -> None:
    clock = {"boot": "b1", "up": 5, "at": "2026-11-21T09:00:00.000Z"}
    await inbox.store([fact(1, clock="unsynced", up=up), fact(2, "clock", clock), fact(3)])
    label = await oldest(inbox)
    assert not label.dated
    await inbox.done([(label, {})])
    assert await stored(inbox) == 3


@pytest.mark.parametrize(
    ("at", "up"),
    [
        ("0001-01-01T00:00:00Z", 10**9),
        ("1970-01-01T00:00:10Z", 10),
        ("9999-12-31T23:59:59Z", 5),
        ("9999-12-31T23:59:59.9999Z", 5),
    ],
)
async def test_a_clock_of_another_world_dates_nothing(inbox: Inbox, at: str, up: int) -> None:
    """Nor does it stop the shop: a date of before year 1 or after 9999 is none."""
    await inbox.store([
        fact(1, clock="unsynced", up=10**6), fact(2, "clock", {"boot": "b1", "up": up, "at": at}),
    ])  # fmt: skip
    label = await oldest(inbox)
    assert not label.dated
    await inbox.store([fact(3, "clock", CLOCK)])
    label = await oldest(inbox)
    assert label.dated


async def test_done_counts_up_to_the_first_that_is_not(inbox: Inbox) -> None:
    await inbox.store([fact(1, clock="unsynced"), fact(2), fact(3)])
    one = await oldest(inbox)
    await inbox.hold(one)
    two = await oldest(inbox)
    await inbox.done([(two, None)])
    three = await oldest(inbox)
    await inbox.park(three, "because", "Camille Durand …")
    ack = await of_epoch(inbox)
    assert (ack.stored, ack.done, [p.seq for p in ack.parked]) == (3, 0, [3])
    assert "Camille" not in ack.model_dump_json()
    assert "Camille" not in repr(await inbox.parked())


@pytest.mark.parametrize(
    "meanwhile",
    [fact(2, boot="b2"), fact(2, "clock", CLOCK)],
    ids=["a new boot", "the clock fact"],
)
async def test_what_would_release_a_fact_may_come_while_it_is_looked_at(
    inbox: Inbox, meanwhile: Item
) -> None:
    """Else it would be held for ever: neither comes a second time."""
    await inbox.store([fact(1, clock="unsynced")])
    looked_at = await oldest(inbox)
    assert looked_at.datable
    await inbox.store([meanwhile])
    await inbox.hold(looked_at)
    again = await oldest(inbox)
    assert again.id == looked_at.id
    assert again.dated or not again.datable


async def test_a_fact_without_a_time_is_kept_back_until_its_boot_has_one(inbox: Inbox) -> None:
    await inbox.store([fact(1, clock="unsynced")])
    looked_at = await oldest(inbox)
    await inbox.hold(looked_at)
    assert await inbox.waiting("demo", 9) == []
    await inbox.store([fact(2, "clock", CLOCK)])
    released = await oldest(inbox)
    assert released.dated
    assert released.at == AT + timedelta(seconds=1)


async def test_a_fact_of_a_replaced_store_is_not_kept_back_for_ever(inbox: Inbox) -> None:
    """Its boot goes on in the new store; when that boot is over, so is the waiting."""
    await inbox.store([fact(1, clock="unsynced")])
    held = await oldest(inbox)
    await inbox.hold(held)
    await inbox.store([fact(1, epoch="e2")])
    waiting = await inbox.waiting("demo", 9)
    assert [one.envelope.epoch for one in waiting] == ["e2"]
    await inbox.store([fact(2, epoch="e2", boot="b2")])
    released = await oldest(inbox)
    assert released.id == held.id
    assert (released.dated, released.datable) == (False, False)


async def test_everything_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "inbox") as inbox:
        await inbox.store([fact(1), fact(2)])
    async with opened(tmp_path / "inbox") as inbox:
        assert await stored(inbox) == 2
        assert await count(inbox, "waiting") == 2
    assert oct((tmp_path / "inbox" / "inbox.sqlite").stat().st_mode)[-3:] == "600"


async def test_a_folder_has_one_inbox(inbox: Inbox) -> None:
    with pytest.raises(StoreBusy):
        await Inbox.open(inbox.folder)
    await inbox.store([fact(1)])
    assert parked_in(inbox.folder) == []


async def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, min_free_mb=10**9) as inbox:
        with pytest.raises(StoreFull):
            await inbox.store([fact(1)])
        assert (await inbox.ack(HERE)).epochs == ()


async def test_a_batch_that_fails_is_not_kept_in_part_and_leaves_the_next_one_possible(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(intake.clocks, "take", broken_disk)
        with pytest.raises(sqlite3.OperationalError):
            await inbox.store([fact(1), fact(2, "clock", CLOCK)])
    assert await count(inbox, "waiting") == 0
    await inbox.store([fact(1)])
    assert await stored(inbox) == 1


@pytest.mark.parametrize(
    "change",
    [
        "body = x'00'",
        # One flipped bit makes another employee of 11, in a fact that is as good as any.
        """body = CAST(replace(CAST(body AS TEXT), '"who":11', '"who":10') AS BLOB)""",
    ],
)
async def test_a_stored_fact_that_the_disk_changed_is_parked_and_its_neighbours_pass(
    inbox: Inbox, change: str
) -> None:
    await inbox.store([fact(1, data={"who": 11}), fact(2)])
    await sql(inbox, f"UPDATE facts SET {change} WHERE seq = 1")
    assert [waiting.envelope.seq for waiting in await inbox.waiting("demo", 9)] == [2]
    assert [(p.seq, p.why) for p in (await of_epoch(inbox)).parked] == [(1, UNREADABLE)]


async def test_what_an_ack_may_say_has_its_own_fsync_and_nothing_else_has(inbox: Inbox) -> None:
    """`commits` counts transactions with one; tests/durable looks at the system calls."""

    async def cost(step: Awaitable[object]) -> int:
        before = inbox._writer.commits
        await step
        return inbox._writer.commits - before

    assert await cost(inbox.store([fact(seq) for seq in range(1, 5)])) == 1
    one, two, three, four = await inbox.waiting("demo", 4)
    for step in (
        inbox.done([(one, None), (two, {})]), inbox.park(three, "x"), inbox.park(four, "x"),
        inbox.retry(three.id), inbox.drop(four.id),
    ):  # fmt: skip
        assert await cost(step) == 1
    for step in (
        inbox.ack(HERE), inbox.waiting("demo", 9), inbox.tried(three), inbox.hold(three),
        inbox.parked(), inbox.counts("demo"), inbox.stations(), inbox.leftovers(), inbox.prune(30),
    ):  # fmt: skip
        assert await cost(step) == 0


async def test_what_comes_at_once_shares_an_fsync(inbox: Inbox) -> None:
    before = inbox._writer.commits
    await asyncio.gather(*(inbox.store([fact(1, station=f"s{n}")]) for n in range(100)))
    assert inbox._writer.commits - before <= 20


async def test_a_retried_fact_stays_listed_until_odoo_has_it(inbox: Inbox) -> None:
    """So `done` never goes back."""
    await inbox.store([fact(1), fact(2)])
    first, second = await inbox.waiting("demo", 2)
    await inbox.park(first, "because")
    await inbox.done([(second, None)])
    assert await inbox.retry(first.id) == HERE
    assert await inbox.retry(first.id) is None
    assert [waiting.id for waiting in await inbox.waiting("demo", 2)] == [first.id]
    ack = await of_epoch(inbox)
    assert (ack.done, [(p.seq, p.why) for p in ack.parked]) == (2, [(1, "because")])
    await inbox.done([(first, None)])
    ack = await of_epoch(inbox)
    assert (ack.done, ack.parked) == (2, ())


async def test_a_dropped_fact_leaves_the_list(inbox: Inbox) -> None:
    await inbox.store([fact(1)])
    await inbox.park(await oldest(inbox), "because")
    (parked,) = await inbox.parked()
    assert await inbox.drop(parked.id) == HERE
    ack = await of_epoch(inbox)
    assert (ack.done, ack.parked) == (1, ())
    assert await inbox.waiting("demo", 9) == []


async def test_a_fact_that_was_settled_while_it_was_looked_at_is_not_parked(inbox: Inbox) -> None:
    await inbox.store([fact(1)])
    looked_at = await oldest(inbox)
    await inbox.done([(looked_at, None)])
    await inbox.park(looked_at, "because")
    assert (await of_epoch(inbox)).parked == ()


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_records_get_their_time_when_the_clock_becomes_right(
    inbox: Inbox, meanwhile: bool
) -> None:
    await inbox.store([fact(1, clock="unsynced", up=60_000)])
    label = await oldest(inbox)
    assert not label.dated
    clock = {"boot": "b1", "up": 120_000, "at": "2026-11-21T09:00:00.000Z"}
    if meanwhile:
        await inbox.store([fact(2, "clock", clock)])
        await inbox.done([(label, {"net_g": 482})])
    else:
        await inbox.done([(label, {"net_g": 482})])
        await inbox.store([fact(2, "clock", clock)])
    right = round(datetime(2026, 11, 21, 8, 59, tzinfo=UTC).timestamp() * 1000)
    assert await sql(inbox, "SELECT at, clock FROM record") == [(right, "repaired")]


async def test_pruning_forgets_what_was_settled_and_still_knows_a_duplicate(inbox: Inbox) -> None:
    first, second = fact(1), fact(2)
    await inbox.store([first, second])
    one = await oldest(inbox)
    await inbox.done([(one, {})])
    await sql(inbox, "UPDATE facts SET received = 0")
    await inbox.prune(30)
    assert await count(inbox, "done") == 0
    assert await count(inbox, "waiting") == 1
    await inbox.store([first])
    assert await count(inbox, "waiting") == 1
    assert await stored(inbox) == 2


async def test_a_record_of_a_wrong_clock_is_kept_as_long_as_any(inbox: Inbox) -> None:
    """A station without a clock of its own begins years ago, and its clock fact may come late."""
    await inbox.store([fact(1, clock="unsynced", at=datetime(2023, 1, 1, tzinfo=UTC))])
    label = await oldest(inbox)
    await inbox.done([(label, {"net_g": 482})])
    await inbox.prune(90)
    assert await sql(inbox, "SELECT count(*) FROM record") == [(1,)]
    await sql(inbox, "UPDATE facts SET received = 0")
    await inbox.prune(90)
    assert await sql(inbox, "SELECT count(*) FROM record") == [(0,)]


# --- bytes that are no fact -------------------------------------------------------------------


def unreadable(seq: str, body: bytes = b"\x00 no envelope", epoch: str = "e1") -> Item:
    return Item("demo", "entree", "fact", "label", body, {"epoch": epoch, "seq": seq})


async def test_bytes_that_are_no_envelope_do_not_hold_up_their_station_for_ever(
    inbox: Inbox,
) -> None:
    await inbox.store([fact(1)])
    for _ in range(UNREADABLE_TRIES - 1):
        outcome = await inbox.store([unreadable("2"), fact(3)])
        assert await stored(inbox) == 1
        assert outcome.gaps == {KEY: Gap(HERE, "e1", 2)}
    outcome = await inbox.store([unreadable("2"), fact(3)])
    assert outcome.gaps == {KEY: None}
    assert await stored(inbox) == 3
    await inbox.store([unreadable("2")])
    assert (await count(inbox, "holes"), await count(inbox, "strays")) == (
        1,
        1,
    )  # and the bytes are kept


@pytest.mark.parametrize(
    "item",
    [
        Item("demo", "entree", "fact", "label", b"nothing beside them: MQTT 3.1.1"),
        unreadable("2", b'{"v": 2, "id": "of a later version"}'),
        unreadable("2", epoch=""),
        *(unreadable(seq) for seq in ("", "0", "-2", "2.0", "3", "1", "two", "\u0662", "9" * 40)),
    ],
)
async def test_what_may_yet_be_read_or_is_not_numbered_leaves_no_hole(
    inbox: Inbox, item: Item
) -> None:
    await inbox.store([fact(1)])
    for _ in range(3 * UNREADABLE_TRIES):
        await inbox.store([item])
    assert await stored(inbox) == 1
    assert await count(inbox, "holes") == 0
    await inbox.store([fact(2)])
    assert await stored(inbox) == 2

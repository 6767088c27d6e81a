"""Facts whose station has a wrong clock: none of them is brought to Odoo under a wrong time."""

from datetime import UTC, datetime, timedelta

import pytest
from support.bridging import bridge_here
from support.delivered import CAMILLE, NADIA, PAUL, World
from support.inboxes import AT, fact, oldest, sql

from bridge.clocks import AHEAD
from bridge.config import load
from bridge.inbox import Inbox


def soon(**by: float) -> datetime:
    return datetime.now(UTC) + timedelta(**by)


async def test_a_badge_of_the_future_is_parked_and_told_and_never_written(world: World) -> None:
    """It would lock that person out of their attendance until the year 2036."""
    async with bridge_here(load(world.config)), world.station() as station:
        station.badge(employee=NADIA, at=soon(days=3650))
        station.badge(employee=NADIA, at=datetime(2026, 11, 20, 8, tzinfo=UTC))
        station.badge(employee=PAUL, at=soon(hours=1))
        ack = await station.settled()
    assert [(p.seq, p.why) for p in ack.parked] == [
        (1, "the station's clock is ahead"),
        (3, "the station's clock is ahead"),
    ]
    assert world.attendances() == [(NADIA, "2026-11-20 08:00:00", None)]


async def test_a_clock_that_becomes_wrong_dates_nothing_and_is_told(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        station.clock = "unsynced"
        station.badge(employee=NADIA, at=datetime(2020, 1, 1, tzinfo=UTC), up=60_000)
        station.clock = "synced"
        wrong = soon(days=30).isoformat()
        station.fact("clock", {"boot": station.boot, "up": 120_000, "at": wrong})
        await station.until(lambda ack: [p.seq for p in ack.parked] == [2])
        station.boot = "boot-2"
        station.badge(member=CAMILLE)
        ack = await station.settled()
    assert [(p.seq, p.why) for p in ack.parked] == [
        (1, "the station's clock was never right"),
        (2, "the station's clock is ahead"),
    ]
    assert world.attendances() == []


@pytest.mark.parametrize(("ahead", "dated"), [(9, True), (11, False)])
async def test_ten_minutes_are_the_clocks_own_difference(
    inbox: Inbox, ahead: int, dated: bool
) -> None:
    assert timedelta(minutes=10) == AHEAD
    await inbox.store([fact(1, at=soon(minutes=ahead))])
    found = await oldest(inbox)
    assert (found.dated, found.ahead) == (dated, not dated)


async def test_a_clock_fact_may_not_reach_into_the_future(inbox: Inbox) -> None:
    """Its own time is past, but by it some fact of its boot would not be."""
    clock = {"boot": "b1", "up": 1000, "at": soon(minutes=-1).isoformat()}
    await inbox.store([
        fact(1, "clock", clock), fact(2, clock="unsynced", up=3_600_000),
        fact(3, clock="unsynced", up=2000),
    ])  # fmt: skip
    _, later, sooner = await inbox.waiting("demo", 3)
    assert (later.dated, later.ahead) == (False, True)
    assert (sooner.dated, sooner.ahead) == (True, False)


async def test_what_was_ahead_of_a_bridge_that_was_behind_is_dated_once_it_is_not(
    inbox: Inbox,
) -> None:
    await inbox.store([fact(1)])
    await sql(inbox, f"UPDATE facts SET received = {AT.timestamp() * 1000:.0f} - 3600000")
    assert (await oldest(inbox)).dated


async def test_a_record_of_the_future_is_not_called_synced(inbox: Inbox) -> None:
    """A label changes nothing in Odoo; the bridge's own record says that its time is unknown, and
    the clock fact of its boot, if one comes, repairs it.
    """
    await inbox.store([fact(1, at=soon(days=2), up=1000)])
    await inbox.done([(await oldest(inbox), {"net_g": 482})])
    assert await sql(inbox, "SELECT clock FROM record") == [("unsynced",)]
    clock = {"boot": "b1", "up": 61_000, "at": "2026-11-20T08:01:00Z"}
    await inbox.store([fact(2, "clock", clock)])
    at = round(AT.timestamp() * 1000)
    assert await sql(inbox, "SELECT at, clock FROM record") == [(at, "repaired")]


async def test_an_old_boot_that_is_sent_again_ends_no_newer_one(inbox: Inbox) -> None:
    """A bridge that lost its folder hears of both epochs first. The clock fact of the newer boot
    may still come.
    """
    await inbox.store([fact(1, epoch="old", boot="b0")])
    await inbox.store([fact(seq, epoch="new", boot="b1", clock="unsynced") for seq in (1, 2)])
    _, held, looked_at = await inbox.waiting("demo", 3)
    await inbox.hold(held)
    await inbox.store([fact(2, epoch="old", boot="b0")])
    waiting = await inbox.waiting("demo", 9)
    assert held.id not in {one.id for one in waiting}
    assert [one.datable for one in waiting if one.id == looked_at.id] == [True]
    clock = {"boot": "b1", "up": 5, "at": AT.isoformat()}
    await inbox.store([fact(3, "clock", clock, epoch="new")])
    assert held.id in {one.id for one in await inbox.waiting("demo", 9)}

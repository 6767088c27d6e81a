"""Folders that are lost, put back or copied, on both sides: Odoo has every fact once.

The Odoo is the stand-in; what it has in the end is counted row by row.
"""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from support.bridging import BridgeProcess, bridge_here
from support.delivered import NADIA, PAUL, World, hire, passages
from support.echo import until
from support.stations import FakeStation

from bridge.config import load

BEGIN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


def check_in(station: FakeStation, employee: int, minute: int) -> tuple[int, str, None]:
    """A badge, and the row that Odoo makes of it."""
    at = BEGIN + timedelta(minutes=minute)
    station.badge(employee=employee, at=at)
    return employee, f"{at:%Y-%m-%d %H:%M:%S}", None


def correct(world: World, employee: int, *, at: datetime | None) -> None:
    """A manager's hand in Odoo: another time, or no row any more."""
    table = world.odoo.database.tables["hr.attendance"]
    (number,) = [n for n, row in table.items() if row["employee_id"] == employee]
    with world.odoo.database.transaction():
        if at is None:
            world.odoo.database.unlink("hr.attendance", [number])
        else:
            values = {"check_in": at.strftime("%Y-%m-%d %H:%M:%S")}
            world.odoo.database.write("hr.attendance", [number], values)


def lose(world: World) -> None:
    shutil.rmtree(world.folder / "inbox")


async def test_a_lost_folder_undoes_no_correction_in_odoo(world: World) -> None:
    """One badge was set to another time, one row was deleted. Neither badge is a passage again, and
    the fact that Odoo did not have yet is.
    """
    async with world.station() as station:
        async with bridge_here(load(world.config)):
            check_in(station, NADIA, 0)
            check_in(station, PAUL, 1)
            await station.settled()
        correct(world, NADIA, at=BEGIN - timedelta(minutes=5))
        correct(world, PAUL, at=None)
        lose(world)
        (third,) = hire(world.odoo, 1)
        new = check_in(station, third, 10)
        async with bridge_here(load(world.config)):
            await station.settled()
            await until(lambda: station.ack.get().stored == 3)
    assert station.replays
    assert world.attendances() == [(NADIA, "2026-11-20 05:55:00", None), new]
    assert (await world.counts())["done"] == 3


async def test_a_lost_folder_costs_no_parked_fact(world: World) -> None:
    """What Odoo had refused is brought to it again, and nothing else is."""
    async with world.station() as station:
        async with bridge_here(load(world.config)):
            check_in(station, NADIA, 0)
            check_in(station, 999, 1)
            check_in(station, PAUL, 2)
            ack = await station.settled()
            assert [parked.seq for parked in ack.parked] == [2]
        calls = world.odoo.server.calls["hr.attendance.load"]
        lose(world)
        async with bridge_here(load(world.config)):
            await until(lambda: world.odoo.server.calls["hr.attendance.load"] == calls + 2)
            await station.until(lambda ack: ack.stored == 3 and ack.done == 3)
    counts = await world.counts()
    assert (counts["done"], counts["parked"]) == (2, 1)
    assert [row[0] for row in world.attendances()] == [NADIA, PAUL]


async def test_an_older_copy_of_the_folder_undoes_no_correction_in_odoo(world: World) -> None:
    """The copy was made while a fact was still waiting, and of those since it knows nothing."""
    copy = world.folder / "copy"
    async with world.station() as station:
        await world.odoo.down()
        async with bridge_here(load(world.config)):
            check_in(station, NADIA, 0)
            await station.until(lambda ack: ack.stored == 1)
        shutil.copytree(world.folder / "inbox", copy)
        await world.odoo.up()
        async with bridge_here(load(world.config)):
            check_in(station, PAUL, 1)
            await station.settled()
        correct(world, NADIA, at=BEGIN - timedelta(minutes=5))
        correct(world, PAUL, at=None)
        lose(world)
        shutil.copytree(copy, world.folder / "inbox")
        (third,) = hire(world.odoo, 1)
        new = check_in(station, third, 10)
        async with bridge_here(load(world.config)):
            await station.settled()
            await until(lambda: station.ack.get().stored == 3)
    assert world.attendances() == [(NADIA, "2026-11-20 05:55:00", None), new]
    assert (await world.counts())["done"] == 3
    assert station.asked_epochs == 2


@pytest.mark.parametrize("since", [3, 9], ids=["fewer facts", "more facts"])
async def test_a_card_that_is_put_back_loses_no_fact(world: World, since: int) -> None:
    """Five facts were made since its image, and are done; then `since` others with the network
    away. Those have an epoch of their own.
    """
    crowd = hire(world.odoo, 5 + 5 + since)
    expected = []
    async with bridge_here(load(world.config)):
        async with world.station() as station:
            expected += [check_in(station, who, n) for n, who in enumerate(crowd[:5])]
            await station.settled()
            image = station.card.copy()
            expected += [check_in(station, who, 10 + n) for n, who in enumerate(crowd[5:10])]
            await station.settled()
        restored = world.station(card=image)
        expected += [check_in(restored, who, 20 + n) for n, who in enumerate(crowd[10:])]
        async with restored:
            await restored.settled()
    assert world.attendances() == sorted(expected)
    counts = await world.counts()
    assert (counts["done"], counts["strays"], counts["holes"]) == (10 + since, 0, 0)


async def test_a_cloned_card_loses_no_fact_of_either(world: World) -> None:
    """Two stations of one name, from one image, which send in turns and both hear every ack."""
    crowd = hire(world.odoo, 45)
    expected = []
    async with bridge_here(load(world.config)), world.station() as first:
        expected += [check_in(first, who, n) for n, who in enumerate(crowd[:5])]
        await first.until(lambda ack: ack.stored >= 2)
        async with world.station(card=first.card.copy()) as second:
            for turn, who in enumerate(crowd[5:]):
                station = (first, second)[turn % 2]
                expected.append(check_in(station, who, 20 + turn))
                if turn % 10 == 0:
                    await station.settled()
            await first.settled()
            await second.settled()
    assert world.attendances() == sorted(expected)
    counts = await world.counts()
    assert (counts["done"], counts["strays"], counts["holes"]) == (45, 0, 0)


async def test_epochs_that_began_while_the_bridge_was_away_come_in_their_order(
    world: World,
) -> None:
    """Three starts of the daemon; nobody is checked out before they came."""
    expected = []
    card = None
    for start in range(3):
        station = world.station(card=card)
        card = station.card
        expected += passages(station, 3, (NADIA, PAUL)) if start == 0 else []
        station.badge(employee=PAUL, at=BEGIN + timedelta(hours=1 + start))
    async with bridge_here(load(world.config)), station:
        await station.settled()
        assert len(station.said.epochs) == 3
        (await station.session.get(), await station.say_state())
        await until(lambda: station.said.epochs == ())
    rows = [row for row in world.attendances() if row[0] == PAUL]
    assert rows == [
        (PAUL, "2026-11-20 06:01:01", "2026-11-20 07:00:00"),
        (PAUL, "2026-11-20 08:00:00", "2026-11-20 09:00:00"),
    ]
    assert (await world.counts())["done"] == 6


@pytest.mark.timeout(120)
async def test_leftovers_of_a_killed_bridge_are_brought_once_their_station_has_answered(
    world: World,
) -> None:
    bridge = BridgeProcess(world.config)
    await world.odoo.down()
    try:
        async with world.station() as station:
            expected = passages(station, 4)
            bridge.start()
            await station.until(lambda ack: ack.stored == 4)
            await bridge.kill()
            await world.odoo.up()
            bridge.start()
            await station.settled()
            assert station.asked_epochs >= 1
    finally:
        await bridge.close()
    assert world.attendances() == expected


async def test_leftovers_of_a_station_that_does_not_answer_are_brought_after_a_grace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And hold up nobody else meanwhile."""
    await world.odoo.down()
    async with world.station() as silent, world.station("other") as other:
        async with bridge_here(load(world.config)):
            mine = check_in(silent, NADIA, 0)
            await silent.until(lambda ack: ack.stored == 1)
        await world.odoo.up()
        silent.answers = False
        monkeypatch.setattr("bridge.leftovers.GRACE_S", 3600)
        async with bridge_here(load(world.config)):
            others = check_in(other, PAUL, 1)
            await other.settled()
            assert world.attendances() == [others]
        monkeypatch.setattr("bridge.leftovers.GRACE_S", 0.1)
        async with bridge_here(load(world.config)):
            await silent.settled()
    assert silent.asked_epochs == 2
    assert world.attendances() == [mine, others]


async def test_leftovers_do_not_wait_for_a_broker_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.leftovers.NO_LINK_S", 1)
    await world.odoo.down()
    async with world.station() as station, bridge_here(load(world.config)):
        row = check_in(station, NADIA, 0)
        await station.until(lambda ack: ack.stored == 1)
    await world.odoo.up()
    async with bridge_here(load(world.config, mqtt_url="mqtt://127.0.0.1:1")):
        await until(lambda: world.attendances() == [row])

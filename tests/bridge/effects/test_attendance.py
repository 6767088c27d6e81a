"""One badge changes the attendances once, whatever Odoo has and whatever gets lost."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.stations import uuid7

from bridge import profile
from bridge.effects import attendance
from bridge.effects.attendance import Passage
from bridge.odoo import Odoo, to_odoo
from bridge.standin import StandIn
from bridge.standin.demo import NAME, PASSWORD, stock
from bridge.wire import Final, NotAllowed, Rejected, Unavailable
from bridge.wire.jsonrpc import JsonRpc

NADIA, PAUL = 11, 12
NAMES = profile.load("stock").attendance
DAY = datetime(2026, 7, 20, tzinfo=UTC)


def at(hour: int, minute: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, minutes=minute)


class Clocked:
    """An Odoo, and what it has of one employee as pairs of hours."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.odoo = Odoo("demo", JsonRpc(standin.url, NAME, "bridge", lambda: PASSWORD))

    async def badge(self, when: datetime, fact: str = "", employee: int = NADIA) -> None:
        passage = Passage(fact or uuid7(), employee, to_odoo(when))
        await attendance.bring(self.odoo, NAMES, [passage])

    def rows(self, employee: int = NADIA) -> list[tuple[str, str]]:
        return sorted(
            (f"{row['check_in']:%H:%M}", f"{row['check_out']:%H:%M}" if row["check_out"] else "")
            for row in self.standin.database.tables["hr.attendance"].values()
            if row["employee_id"] == employee
        )


@pytest.fixture(params=[16, 18, 19])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Clocked]:
    async with StandIn(stock(request.param)) as standin:
        shop = Clocked(standin)
        yield shop
        await shop.odoo.close()


async def test_in_and_out_and_in_again(shop: Clocked) -> None:
    for hour in (8, 12, 13):
        await shop.badge(at(hour))
    assert shop.rows() == [("08:00", "12:00"), ("13:00", "")]
    assert shop.rows(PAUL) == []


async def test_times_are_utc_although_load_reads_the_users_zone(shop: Clocked) -> None:
    await shop.badge(datetime(2026, 7, 20, 10, 0, 30, 900_000, tzinfo=UTC))
    (row,) = shop.standin.database.tables["hr.attendance"].values()
    assert row["check_in"] == datetime(2026, 7, 20, 10, 0, 30)  # noqa: DTZ001 - as Odoo stores it


async def test_the_same_fact_again_changes_nothing(shop: Clocked) -> None:
    first, second = uuid7(), uuid7()
    for _ in range(3):
        await shop.badge(at(8), first)
    await shop.badge(at(12), second)
    for fact, hour in ((first, 8), (second, 12), (first, 8)):
        await shop.badge(at(hour), fact)
    assert shop.rows() == [("08:00", "12:00")]


async def test_three_badges_in_one_second_are_one(shop: Clocked) -> None:
    for _ in range(3):
        await shop.badge(at(8))
    assert shop.rows() == [("08:00", "")]


async def test_a_lost_answer_is_no_second_change(shop: Clocked) -> None:
    fact = uuid7()
    for hour in (8, 12):
        shop.standin.faults.lose = 1
        with pytest.raises(Unavailable):
            await shop.badge(at(hour), fact + str(hour))
        await shop.badge(at(hour), fact + str(hour))
    assert shop.rows() == [("08:00", "12:00")]


async def test_two_stations_one_of_which_was_away(shop: Clocked) -> None:
    """The way out came first: what began there ended there."""
    await shop.badge(at(17))
    await shop.badge(at(9))
    assert shop.rows() == [("09:00", "17:00")]
    await shop.badge(at(9))
    await shop.badge(at(17))
    assert shop.rows() == [("09:00", "17:00")]


@pytest.mark.parametrize("late", [7, 9, 11])
async def test_a_badge_older_than_what_odoo_has_is_for_a_person(shop: Clocked, late: int) -> None:
    """An open row before a closed one would block every later check-in."""
    for hour in (8, 10, 12):
        await shop.badge(at(hour))
    before = shop.rows()
    if late == 11:  # between the closed row and the open one: it fits
        await shop.badge(at(late))
        assert shop.rows() == [("08:00", "10:00"), ("11:00", "12:00")]
        return
    with pytest.raises(Final):
        await shop.badge(at(late))
    assert shop.rows() == before
    await shop.badge(at(18))
    assert shop.rows() == [("08:00", "10:00"), ("12:00", "18:00")]


async def test_every_order_of_two_pairs_leaves_employees_able_to_check_in(shop: Clocked) -> None:
    for number, order in enumerate(itertools.permutations((8, 12, 13, 17))):
        with shop.standin.database.transaction():
            employee = shop.standin.database.create("hr.employee", {"name": f"E{number}"})
        for hour in order:
            try:
                await shop.badge(at(hour), employee=employee)
            except Final:
                continue
        await shop.badge(at(20), employee=employee)
        await shop.badge(at(21), employee=employee)
        assert any("21:00" in row or "20:00" in row for row in shop.rows(employee))


async def test_many_at_once_are_in_or_out_each(shop: Clocked) -> None:
    """One search, one load, one read, and a write for each who goes."""
    await shop.badge(at(8))
    await shop.badge(at(8, 30), employee=PAUL)
    await shop.badge(at(12), employee=PAUL)
    with shop.standin.database.transaction():
        third = shop.standin.database.create("hr.employee", {"name": "Third"})
        fourth = shop.standin.database.create("hr.employee", {"name": "Fourth"})
    shop.standin.server.calls.clear()
    times = {NADIA: at(12), PAUL: at(12, 0), third: at(7), fourth: at(18)}
    passages = [Passage(uuid7(), who, to_odoo(when)) for who, when in times.items()]
    await attendance.bring(shop.odoo, NAMES, passages)
    assert shop.standin.server.calls == {
        f"hr.attendance.{method}": 1 for method in ("search_read", "write", "load", "read")
    }
    told = [("08:00", "12:00")], [("08:30", "12:00")], [("07:00", "")], [("18:00", "")]
    assert tuple(map(shop.rows, times)) == told
    await attendance.bring(shop.odoo, NAMES, passages)
    assert tuple(map(shop.rows, times)) == told


async def test_one_bad_of_many_and_none_is_checked_in(shop: Clocked) -> None:
    passages = [Passage(uuid7(), who, to_odoo(at(8))) for who in (NADIA, 4711, PAUL)]
    with pytest.raises(Rejected):
        await attendance.bring(shop.odoo, NAMES, passages)
    assert shop.rows() == shop.rows(PAUL) == []


async def test_somebody_archived_since_then_came_all_the_same(shop: Clocked) -> None:
    with shop.standin.database.transaction():
        shop.standin.database.write("hr.employee", [NADIA], {"active": False})
    passages = [Passage(uuid7(), who, to_odoo(at(8))) for who in (NADIA, PAUL)]
    await attendance.bring(shop.odoo, NAMES, passages)
    await shop.badge(at(12))
    assert shop.rows() == [("08:00", "12:00")]
    assert shop.rows(PAUL) == [("08:00", "")]


async def test_what_odoo_refuses(shop: Clocked) -> None:
    with pytest.raises(Rejected) as caught:
        await shop.badge(at(8), employee=4711)
    assert caught.value.why == "hr.attendance.load: refused"
    assert "database id '4711'" in caught.value.detail
    lowly = Odoo("demo", JsonRpc(shop.standin.url, NAME, "lowly", lambda: "lowly"))
    with pytest.raises(NotAllowed):
        await attendance.bring(lowly, NAMES, [Passage(uuid7(), NADIA, to_odoo(at(8)))])
    await lowly.close()


async def test_a_server_that_says_yes_and_keeps_nothing(
    shop: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.badge(at(8))

    def forgetful(self: Any, model: str, ids: list[int], values: dict[str, Any]) -> None:
        del self, model, ids, values

    monkeypatch.setattr("bridge.standin.database.Database.write", forgetful)
    with pytest.raises(Final, match="not kept"):
        await shop.badge(at(12))

"""What holds a shop's facts up, and what must not."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.delivered import hire
from support.stations import uuid7

from bridge import profile
from bridge.apply import Applier
from bridge.config import ApplyTable
from bridge.inbox import Inbox
from bridge.ledger import Item, Station
from bridge.odoo import Odoo
from bridge.standin import StandIn
from bridge.standin.demo import NAME, PASSWORD, stock
from bridge.wire.jsonrpc import JsonRpc
from mqtt.messages import Envelope

BEGIN = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)


class Shop:
    """An applier at work over a real inbox and a stand-in Odoo."""

    def __init__(self, inbox: Inbox, standin: StandIn, login: str = "bridge") -> None:
        self.standin = standin
        self.inbox = inbox
        password = "lowly" if login == "lowly" else PASSWORD
        self.odoo = Odoo("demo", JsonRpc(standin.url, NAME, login, lambda: password))
        self.told: list[Station] = []
        self.applier = Applier(
            "demo", self.inbox, self.odoo, profile.load("stock"),
            ApplyTable(again_s=0.1, pause_s=0.5), self.told.append,
        )  # fmt: skip
        self._next: dict[str, int] = {}
        self._task = asyncio.create_task(self.applier.run())

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        await self.odoo.close()
        await self.inbox.close()

    async def take(self, kind: str, data: dict[str, Any], station: str = "entree") -> None:
        await self.take_all([(kind, data)], station)

    async def take_all(
        self, facts: list[tuple[str, dict[str, Any]]], station: str = "entree"
    ) -> None:
        """Facts that come to the inbox in one transaction."""
        items = [self._item(kind, data, station) for kind, data in facts]
        await self.inbox.store(items)
        self.applier.wake()

    def _item(self, kind: str, data: dict[str, Any], station: str) -> Item:
        seq = self._next[station] = self._next.get(station, 0) + 1
        envelope = Envelope(
            id=uuid7(), epoch="e", seq=seq, at=BEGIN + timedelta(minutes=seq), clock="synced",
            boot="b", up=seq, kind=kind, data=data,
        )  # fmt: skip
        return Item("demo", station, "fact", kind, envelope.model_dump_json().encode())

    async def badge(self, employee: int, station: str = "entree") -> None:
        await self.take(*badge_of(employee), station)

    async def label(self) -> None:
        await self.take(
            "label",
            {
                "action": "print", "label": "L", "device": "l", "scale": "b", "product": 1,
                "barcode": "2", "net_g": 1, "tare_g": 0, "price_cents_per_kg": 1,
                "price_cents": None, "mode": "indicative",
            },
        )  # fmt: skip

    async def until(self, reached: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        async with asyncio.timeout(30):
            while True:
                counts = await self.inbox.counts("demo")
                if reached(counts):
                    return counts
                await asyncio.sleep(0.02)


def badge_of(person: int, kind: str = "employee") -> tuple[str, dict[str, Any]]:
    who = {"kind": kind, "id": person}
    return "badge", {"device": "door", "badge": "0" * 32, "who": who, "shown": "ok"}


@pytest.fixture
async def standin() -> AsyncIterator[StandIn]:
    async with StandIn(stock()) as standin:
        yield standin


@pytest.fixture
async def shop(standin: StandIn, tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(await Inbox.open(tmp_path), standin)
    yield shop
    await shop.close()


async def test_a_refused_fact_is_tried_twice(shop: Shop, standin: StandIn) -> None:
    await shop.badge(4711)
    await shop.until(lambda n: n["parked"] == 1)
    assert standin.server.calls["hr.attendance.load"] == 2
    await shop.badge(11)
    await shop.until(lambda n: n["done"] == 1)
    (parked,) = await shop.inbox.parked()
    assert parked.why == "hr.attendance.load: refused"
    assert parked.detail
    assert str(replace(parked, detail="two\n lines\n")).endswith(
        "demo/entree no. 1  badge: hr.attendance.load: refused: two lines"
    )
    assert parked.detail not in repr(parked)
    assert shop.told


async def test_another_station_does_not_wait_for_the_second_try(
    standin: StandIn, tmp_path: Path
) -> None:
    shop = Shop(await Inbox.open(tmp_path), standin)
    shop.applier._settings = ApplyTable(again_s=60)
    await shop.badge(4711)
    await shop.badge(11, "other")
    await shop.until(lambda n: n["done"] == 1)
    await shop.close()


async def test_many_refusals_in_a_row_rest_the_kind_and_park_no_more(
    standin: StandIn, tmp_path: Path
) -> None:
    """A right that is missing must not park a shop's whole morning."""
    shop = Shop(await Inbox.open(tmp_path), standin, login="lowly")
    shop.applier._settings = ApplyTable(again_s=0, pause_s=60)
    employees_and_members = [badge_of(11), badge_of(101, "member")] * 8
    await shop.take_all(employees_and_members)
    await shop.label()
    await shop.until(lambda n: (n["parked"], n["done"]) == (5, 5))
    assert shop.applier.paused == ["entree/badge"]
    assert (await shop.inbox.counts("demo"))["waiting"] == 7
    await shop.close()


async def test_refusals_of_one_station_rest_no_other_stations_facts(
    standin: StandIn, tmp_path: Path
) -> None:
    """Its badges may be of nobody, by mistake or on purpose."""
    shop = Shop(await Inbox.open(tmp_path), standin)
    shop.applier._settings = ApplyTable(again_s=0, pause_s=600)
    for _ in range(8):
        await shop.badge(4711)
    await shop.until(lambda n: n["parked"] == 5)
    await shop.badge(11, "other")
    await shop.until(lambda n: n["done"] == 1)
    assert len(shop.applier.paused) == 1
    await shop.close()


async def test_a_kind_that_rested_is_tried_again(shop: Shop) -> None:
    shop.applier._settings = ApplyTable(again_s=0, pause_s=0.3)
    for _ in range(5):
        await shop.badge(4711)
    await shop.badge(11)
    await shop.until(lambda n: (n["parked"], n["done"]) == (5, 1))
    assert shop.applier.paused == []


async def test_a_fact_on_which_alone_odoo_falls_silent_is_poison(
    shop: Shop, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.apply.LONGEST_WAIT_S", 0.05)
    answer = type(standin.server).answer

    def dies_of_11(server: Any, request: Any) -> dict[str, Any]:
        args = request["params"]["args"]
        if "load" in args and args[5][1][0][1] == "11":
            raise asyncio.IncompleteReadError(b"", 1)
        return answer(server, request)

    monkeypatch.setattr(type(standin.server), "answer", dies_of_11)
    await shop.badge(11)
    await shop.badge(12)
    await shop.until(lambda n: (n["parked"], n["done"]) == (1, 1))
    assert standin.state()["attendances"][0]["employee"] == "Paul Roche"


async def test_an_odoo_that_reads_and_cannot_write_parks_no_morning(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its disk is full, for instance: each fact falls silent, and nothing else does."""
    monkeypatch.setattr("bridge.apply.LONGEST_WAIT_S", 0.01)
    answer = type(standin.server).answer

    def full(server: Any, request: Any) -> dict[str, Any]:
        if "load" in request["params"]["args"]:
            raise asyncio.IncompleteReadError(b"", 1)
        return answer(server, request)

    monkeypatch.setattr(type(standin.server), "answer", full)
    shop = Shop(await Inbox.open(tmp_path), standin)
    shop.applier._settings = ApplyTable(again_s=0, pause_s=60)
    await shop.take_all([badge_of(employee) for employee in hire(standin, 8)])
    await shop.label()
    await shop.until(lambda n: n["parked"] == 5 and n["done"] == 1)
    assert shop.applier.paused == ["entree/badge"]
    assert (await shop.inbox.counts("demo"))["waiting"] == 3
    await shop.close()


async def test_a_fault_of_ours_is_told_without_personal_data(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: object) -> None:
        raise RuntimeError("Camille Durand")

    monkeypatch.setattr("bridge.effects.attendance.to_odoo", bug)
    await shop.badge(11)
    await shop.label()
    await shop.until(lambda n: (n["parked"], n["done"]) == (1, 1))
    (parked,) = await shop.inbox.parked()
    assert parked.why == "the bridge: RuntimeError"
    assert "Camille" not in caplog.text


async def test_odoo_going_and_coming_is_one_line_each(
    shop: Shop, standin: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await shop.badge(11)
    await shop.until(lambda n: n["done"] == 1)
    await standin.down()
    await shop.badge(12)
    async with asyncio.timeout(20):
        while standin_lines(caplog) < 1:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.2)  # it tries again meanwhile, silently
    await standin.up()
    await shop.until(lambda n: n["done"] == 2)
    assert standin_lines(caplog) == 2
    assert shop.odoo.state.get().key == "odoo.up"


async def test_a_morning_of_badges_goes_together(shop: Shop, standin: StandIn) -> None:
    """Members' and employees'; somebody who comes and goes and comes starts another batch."""
    crowd = hire(standin, 60)
    badges = [badge_of(employee) for employee in crowd]
    badges[20:20] = [badge_of(101, "member"), badge_of(102, "member")]
    await shop.take_all([*badges, *badges, badge_of(crowd[0])])
    await shop.until(lambda n: n["done"] == 125)
    rows = standin.state()["attendances"]
    assert len(rows) == 61
    assert sum(not row["check_out"] for row in rows) == 1
    assert len(standin.server.calls) == 4
    assert standin.server.calls["hr.attendance.load"] == 2
    assert standin.server.calls["hr.attendance.search_read"] == 3


async def test_one_that_is_refused_spoils_its_batch_for_nobody(
    shop: Shop, standin: StandIn
) -> None:
    crowd = hire(standin, 20)
    await shop.take_all([badge_of(employee) for employee in [*crowd[:10], 4711, *crowd[10:]]])
    await shop.until(lambda n: (n["parked"], n["done"]) == (1, 20))
    rows = standin.state()["attendances"]
    assert sorted(row["employee"] for row in rows) == sorted(f"Employee {n}" for n in range(20))
    standin.server.calls.clear()
    await shop.take_all([badge_of(employee) for employee in crowd])
    await shop.until(lambda n: n["done"] == 40)
    assert standin.server.calls["hr.attendance.search_read"] == 1, "together again"


async def test_the_answer_to_a_batch_is_lost_and_nobody_is_checked_in_twice(
    shop: Shop, standin: StandIn
) -> None:
    crowd = hire(standin, 10)
    standin.faults.lose = 1
    await shop.take_all([badge_of(employee) for employee in crowd])
    await shop.until(lambda n: n["done"] == 10)
    rows = standin.state()["attendances"]
    assert sorted(row["employee"] for row in rows) == sorted(f"Employee {n}" for n in range(10))
    assert not any(row["check_out"] for row in rows)


async def test_a_fact_that_cannot_be_read_is_parked_and_its_neighbours_pass(shop: Shop) -> None:
    await shop.take_all([badge_of(11), ("badge", {"who": "?"}), badge_of(12), ("hug", {})])
    await shop.until(lambda n: (n["parked"], n["done"]) == (2, 2))
    why = {parked.why for parked in await shop.inbox.parked()}
    assert why == {"the data do not fit the kind", "unknown kind"}


def standin_lines(caplog: pytest.LogCaptureFixture) -> int:
    return sum("odoo." in record.getMessage() for record in caplog.records)

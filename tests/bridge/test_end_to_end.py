"""Facts of stations through a real broker and the bridge into the stand-in Odoo, once each."""

import asyncio
import base64
import random
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from support.bridging import bridge_here
from support.delivered import CAMILLE, NADIA, PAUL, World, jpeg, passages
from support.echo import until
from support.fault_broker import FaultBroker
from support.stations import uuid7

from bridge import control, patience
from bridge.config import load
from bridge.inbox import Inbox, parked_in
from bridge.post import Post
from bridge.site import Site
from bridge.status import status
from durable.errors import StoreFull


async def test_a_badge_becomes_an_attendance_and_the_station_is_told(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        expected = passages(station, 4)
        ack = await station.settled()
    assert world.attendances() == expected
    assert ack.stored == ack.done == 4
    assert ack.parked == ()


async def test_every_kind_finds_its_place(world: World) -> None:
    portrait = jpeg()
    async with bridge_here(load(world.config)), world.station() as station:
        station.badge(member=CAMILLE)
        label = {
            "action": "print", "label": "L1", "device": "labels", "scale": "balance", "product": 1,
            "barcode": "2100104004825", "net_g": 482, "tare_g": 0, "price_cents_per_kg": 295,
            "price_cents": 142, "mode": "indicative",
        }  # fmt: skip
        station.fact("label", label)
        station.photo(portrait, CAMILLE)
        station.fact("from-the-future", {"x": 1})
        station.fact("label", {"action": "print"})
        ack = await station.settled()
    stored = world.odoo.database.tables["res.partner"][CAMILLE]["image_1920"]
    assert base64.b64decode(stored) == portrait
    assert [(p.seq, p.why) for p in ack.parked] == [
        (4, "unknown kind"),
        (5, "the data do not fit the kind"),
    ]
    assert (await world.counts())["done"] == 3
    assert not list((world.folder / "inbox" / "blobs").iterdir())


async def test_answers_lost_after_the_commit_change_nothing(world: World) -> None:
    world.odoo.faults.lose = 3
    async with bridge_here(load(world.config)), world.station() as station:
        expected = passages(station, 4)
        await station.settled()
    assert world.odoo.faults.lose == 0
    assert world.attendances() == expected


async def test_odoo_away_parks_nothing_and_everything_arrives_later(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        await world.odoo.down()
        expected = passages(station, 6)
        ack = await station.until(lambda ack: ack.stored == 6)
        assert ack.done == 0
        await world.odoo.up()
        world.odoo.faults.html = 2
        ack = await station.settled()
    assert world.attendances() == expected
    assert ack.parked == ()


async def test_a_refused_fact_is_parked_and_the_next_ones_pass(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        begin = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
        station.badge(employee=999, at=begin)
        station.badge(employee=NADIA, at=begin + timedelta(minutes=1))
        ack = await station.settled()
        assert [p.seq for p in ack.parked] == [1]
        assert "ValidationError" in ack.parked[0].why or "refused" in ack.parked[0].why
        # Somebody makes the missing record and lets the fact be tried again, by another process.
        with world.odoo.database.transaction():
            world.odoo.database.create("hr.employee", {"name": "New"}, number=999)
        (parked,) = parked_in(world.folder / "inbox")
        assert await control.ask(world.folder / "inbox", "retry", parked.id)
        assert not await control.ask(world.folder / "inbox", "retry", uuid7())
        await station.until(lambda ack: not ack.parked and ack.done == 2)
    assert [row[0] for row in world.attendances()] == [NADIA, 999]


async def test_a_dropped_fact_leaves_the_ack(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        station.fact("unheard-of", {})
        await station.until(lambda ack: len(ack.parked) == 1)
        (parked,) = parked_in(world.folder / "inbox")
        assert await control.ask(world.folder / "inbox", "drop", parked.id)
        await station.until(lambda ack: ack.done == 1 and not ack.parked)


async def test_duplicates_and_disorder_are_put_right(world: World) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    unruly = random.Random(seed)
    async with (
        bridge_here(load(world.config)),
        world.station(unruly=unruly, resend_s=0.5) as station,
    ):
        expected = passages(station, 24)
        ack = await station.settled()
    assert world.attendances() == expected
    assert ack.parked == ()
    counts = await world.counts()
    assert (counts["done"], counts["strays"]) == (24, 0)


async def test_the_broker_forgets_everything_and_nothing_is_lost(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        expected = passages(station, 4)
        await station.until(lambda ack: ack.stored >= 2)
        await world.broker.kill()
        await world.broker.start()
        ack = await station.settled()
        assert ack.parked == ()
        # A station that comes afterwards finds everything retained again.
        async with world.station("late") as late:
            head = late.topics.of_site.directory_head
            async with asyncio.timeout(30):
                while (
                    head not in late.received
                    or late.topics.of_site.catalogue_head not in late.received
                ):
                    await asyncio.sleep(0.05)
    assert world.attendances() == expected


async def test_a_full_disk_holds_the_stations_back_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.patience.AGAIN_S", 0.2)
    with monkeypatch.context() as full:
        full.setattr("bridge.intake.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
        async with bridge_here(load(world.config)), world.station() as station:
            expected = passages(station, 4)
            await until(lambda: "store.full" in caplog.text)
            assert station.ack.get().stored == 0
            full.undo()
            ack = await station.settled()
    assert ack.parked == ()
    assert world.attendances() == expected


async def test_a_disk_that_fails_now_and_then_does_not_end_the_bridge(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every method of the inbox fails the first three times, in each task of the bridge."""
    assert patience.AGAIN_S == 5
    monkeypatch.setattr("bridge.patience.AGAIN_S", 0.05)
    monkeypatch.setattr("bridge.main.HOUSEKEEPING_S", 0.1)
    failed = Counter[str]()
    methods = (
        "leftovers",
        "stations",
        "ack",
        "store",
        "waiting",
        "park",
        "done",
        "prune",
        "counts",
    )
    for name in methods:
        monkeypatch.setattr(Inbox, name, failing(getattr(Inbox, name), failed))
    async with bridge_here(load(world.config)) as bridge, world.station(first=4) as station:
        station.badge(member=CAMILLE)
        station.fact("unheard-of", {})
        assert (await station.settled()).stored == 5
        await until(lambda: failed.total() == 3 * len(methods))
        assert not bridge.done()
    assert failed == dict.fromkeys(methods, 3)


def failing(real: Any, failed: Counter[str]) -> Any:
    """That method of the inbox, on a disk that fails three times."""
    errors = iter([
        sqlite3.OperationalError("disk I/O error"), StoreFull("store.full"), OSError("no"),
    ])  # fmt: skip

    async def method(*args: Any, **options: Any) -> Any:
        for error in errors:
            failed[real.__name__] += 1
            raise error
        return await real(*args, **options)

    return method


async def test_a_refused_subscription_is_said_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.main.NOT_ALLOWED_WAIT_S", 0.05)
    async with FaultBroker() as broker:
        broker.suback = 0x87
        async with bridge_here(load(world.config, mqtt_url=broker.url)) as bridge:
            async with asyncio.timeout(30):
                while caplog.text.count("refuses a subscription") < 2:
                    await asyncio.sleep(0.05)
            assert not bridge.done()


async def test_the_status_has_counts_and_keys_and_no_names(world: World) -> None:
    inbox = await Inbox.open(world.folder / "inbox")
    table = load(world.config).site[0]
    site = Site(table, "edged/v1", inbox, Post(), lambda _: None)
    before = await status(inbox, [site])
    assert before["demo"]["odoo"] == "odoo.unknown"
    assert before["demo"]["members"] is None
    await site.directory.refresh(site.odoo, full=True)
    await site.shelf.refresh(site.odoo)
    told = (await status(inbox, [site]))["demo"]
    assert (told["odoo"], told["members"], told["products"]) == ("odoo.up", 10, 12)
    assert told["left_out"] == {"unit": 1}
    assert told["facts"]["waiting"] == 0
    assert "Camille" not in str(told)
    await site.odoo.close()
    await inbox.close()


async def test_what_a_station_has_no_more_is_a_hole(world: World) -> None:
    async with bridge_here(load(world.config)), world.station(first=41) as station:
        expected = passages(station, 4)
        ack = await station.settled()
    assert ack.stored == ack.done == 44
    assert world.attendances() == expected
    assert (await world.counts())["holes"] == 1


async def test_bytes_that_are_no_envelope_hold_nobody_up_for_ever(world: World) -> None:
    async with bridge_here(load(world.config)), world.station(resend_s=0.3) as station:
        station.badge(member=CAMILLE)
        station.rows[0].body = b"\x00 once a fact"
        passages(station, 1)
        ack = await station.settled()
    assert ack.parked == ()
    assert len(world.attendances()) == 1
    counts = await world.counts()
    assert (counts["holes"], counts["strays"], counts["done"]) == (1, 1, 1)


async def test_a_bridge_that_lost_its_inbox_applies_nothing_twice(world: World) -> None:
    async with world.station() as station:
        async with bridge_here(load(world.config)):
            expected = passages(station, 4)
            await station.settled()
            # The broker knows by now that the four have arrived: it will not send them again.
            station.badge(member=CAMILLE)
            await station.settled()
        for file in (world.folder / "inbox").glob("inbox.sqlite*"):
            file.unlink()
        async with bridge_here(load(world.config)):
            station.badge(employee=NADIA, at=datetime(2026, 11, 20, 9, 0, tzinfo=UTC))
            await station.settled()
    assert station.replays
    assert world.attendances() == sorted([*expected, (NADIA, "2026-11-20 09:00:00", None)])


async def test_an_old_photo_that_odoo_has_needs_no_bytes(world: World) -> None:
    """After a lost inbox a station sends its facts again, but has let go of the photos."""
    async with world.station(resend_s=0.3) as station:
        async with bridge_here(load(world.config)):
            station.photo(jpeg(), CAMILLE)
            await station.settled()
        for file in (world.folder / "inbox").glob("inbox.sqlite*"):
            file.unlink()
        station.rows[0].blob = None
        async with bridge_here(load(world.config)):
            station.badge(member=CAMILLE)
            ack = await station.settled()
    assert ack.parked == ()
    assert world.odoo.server.calls["res.partner.write"] == 1


async def test_facts_made_before_the_clock_was_right_get_their_time(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        wrong = datetime(2020, 1, 1, tzinfo=UTC)
        station.clock = "unsynced"
        station.badge(employee=NADIA, at=wrong, up=60_000)
        station.badge(member=CAMILLE, at=wrong, up=61_000)
        ack = await station.until(lambda ack: ack.stored == 2)
        assert ack.done == 0
        assert world.attendances() == []
        station.clock = "synced"
        right = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
        station.fact(
            "clock", {"boot": station.boot, "up": 120_000, "at": "2026-11-20T08:00:00.000Z"},
            at=right, up=120_000,
        )  # fmt: skip
        await station.settled()
    assert world.attendances() == [(NADIA, "2026-11-20 07:59:00", None)]


async def test_a_boot_whose_clock_never_became_right_holds_nobody_up(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        station.clock = "unsynced"
        station.badge(employee=NADIA, at=datetime(2020, 1, 1, tzinfo=UTC))
        station.boot, station.clock = "boot-2", "synced"
        station.badge(employee=PAUL, at=datetime(2026, 11, 20, 8, 0, tzinfo=UTC))
        ack = await station.settled()
    assert [(p.seq, p.why) for p in ack.parked] == [(1, "the station's clock was never right")]
    assert world.attendances() == [(PAUL, "2026-11-20 08:00:00", None)]


async def test_a_photo_without_its_bytes_is_asked_for_again(world: World) -> None:
    portrait = jpeg()
    async with bridge_here(load(world.config)), world.station(resend_s=0.5) as station:
        station.photo(portrait, CAMILLE, blob=b"not these")
        station.badge(member=CAMILLE)
        await asyncio.sleep(1)
        assert station.ack.get().stored == 0
        station.rows[0].blob = portrait
        ack = await station.settled()
    assert ack.parked == ()
    assert world.odoo.state()["photos"][0]["id"] == CAMILLE


async def test_a_photo_whose_bytes_never_come_is_parked(world: World) -> None:
    async with bridge_here(load(world.config)), world.station(resend_s=0.3) as station:
        station.photo(jpeg(), CAMILLE, blob=b"never these")
        station.badge(member=CAMILLE)
        ack = await station.settled()
    assert [(p.seq, p.why) for p in ack.parked] == [(1, "the photo itself did not come")]

"""A bridge that loses its folder, or gets an older copy back, after Odoo was corrected by hand.

The one rule: a manager's word stands. What was corrected is not changed again, and what was deleted
is not made again.
"""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta

from faults.centre import Person
from faults.damage import FILE
from faults.judge import Attendance, Verdict
from faults.processes import copy_folder
from faults.shop import Shop

DAY_S = 86_400
Loss = Callable[[Shop], None]


async def folder_lost(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """Its folder is gone: it knows nothing of what it has done."""
    return await _lost(shop, rng, count, lambda shop: shutil.rmtree(shop.bridge.folder))


async def folder_put_back(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """Its folder comes from a copy that is older than some of what was done."""

    def put_back(shop: Shop) -> None:
        shutil.rmtree(shop.bridge.folder)
        copy_folder(shop.folder / "copy", shop.bridge.folder)

    return await _lost(shop, rng, count, put_back)


async def folder_lost_late(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """Its folder is gone, and the stations have forgotten what Odoo has had for seven days."""

    def late(shop: Shop) -> None:
        shutil.rmtree(shop.bridge.folder)
        for station in shop.stations:
            with closing(sqlite3.connect(station.data / FILE)) as store, store:
                store.execute("UPDATE outbox SET since = since - ?", (8 * DAY_S,))

    verdict = await _lost(shop, rng, count, late)
    for station in shop.stations:
        there = len(station.facts())
        assert there < len(shop.truth.kept), "the station forgets what is eight days old"
    return verdict


async def _lost(shop: Shop, rng: random.Random, count: int, lose: Loss) -> Verdict:
    station = await shop.open_station()
    for _ in range(count):
        await station.passes(*shop.next(4))
        await station.settled()
        await shop.bridge.kill()
        shutil.rmtree(shop.folder / "copy", ignore_errors=True)
        copy_folder(shop.bridge.folder, shop.folder / "copy")
        shop.bridge.spawn()
        moved, deleted, *others = shop.next(6)
        await station.passes(moved, deleted, *others)
        await station.settled()
        await _correct(shop, moved, rng.randrange(120, 600))
        await _delete(shop, deleted)
        # Both are off, so that the station meets the new bridge with what it has kept.
        await shop.bridge.kill()
        await station.stop()
        lose(shop)
        shop.bridge.spawn()
        await station.start()
        # One who has not badged yet, and those whose rows were changed: out, and in again.
        await station.passes(*shop.next(1), moved, deleted)
        await station.settled()
    return await shop.verdict()


async def _correct(shop: Shop, person: Person, earlier: int) -> None:
    """A manager lets somebody's open attendance begin earlier."""
    row = await _row(shop, person)
    begin = str(datetime.fromisoformat(row.begin) - timedelta(seconds=earlier))
    await shop.odoo.call("hr.attendance", "write", row.row, {"check_in": begin})
    shop.truth.manager[person.id, row.begin] = begin


async def _delete(shop: Shop, person: Person) -> None:
    row = await _row(shop, person)
    await shop.odoo.call("hr.attendance", "unlink", row.row)
    shop.truth.manager[person.id, row.begin] = None


async def _row(shop: Shop, person: Person) -> Attendance:
    """Their open attendance."""
    rows = await shop.odoo.attendances()
    return next(row for row in rows if row.employee == person.id and row.end is None)

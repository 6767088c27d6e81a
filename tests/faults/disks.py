"""Disks that are full, or that may only be read, while people badge.

The one rule: everybody gets their answer, and each badge is either on the disk or said to be not.
"""

import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from faults.centre import Person
from faults.judge import Verdict
from faults.processes import eventually
from faults.shop import CannotTry, Shop
from faults.station import Station
from support.disks import fill, small_disk
from support.disks import read_only as only_to_be_read

DISK_MB = 48


async def full(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """The disk fills while the station runs, and it is full when the station starts again."""
    for turn in range(count):
        async with _on_a_small_disk(shop, f"full-{turn}") as station:
            await station.passes(*shop.next(3))
            with _no_room(station.data):
                await _all_are_answered(shop, station, shop.next(rng.randrange(5, 20)))
            await _recovers(shop, station)
            await station.stop()
            with _no_room(station.data):
                await station.start()
                await _all_are_answered(shop, station, shop.next(5))
            await _recovers(shop, station)
            await station.settled()
    return await shop.verdict()


async def read_only(shop: Shop, _: random.Random, count: int) -> Verdict:
    """A station starts on a disk that may only be read, as a card does that is worn out."""
    for turn in range(count):
        async with _on_a_small_disk(shop, f"read-only-{turn}") as station:
            await station.wire.unplug()
            await station.passes(*shop.next(3))
            await station.stop()
            with only_to_be_read(station.data):
                await station.start()
                for person in shop.next(5):
                    await station.show(person)
                    await eventually(partial(station.refuses, person), "they hear of the disk")
            await _recovers(shop, station)
            await station.wire.plug()
            await station.settled()
    return await shop.verdict()


async def _all_are_answered(shop: Shop, station: Station, people: list[Person]) -> None:
    """Each gets their answer; their badge is on the disk, or the page says that it is not."""
    kept = 0
    for person in people:
        before = shop.truth.count(person.id)
        shown = await station.show(person)
        assert shown.state in ("ok", "warn"), shown
        await _hears(shop, station, person, before)
        kept += shop.truth.count(person.id) > before
    assert kept < len(people), "there was room for all of them: nothing was tried"


async def _hears(
    shop: Shop, station: Station, person: Person, before: int, seconds: float = 60
) -> None:
    """Until this badge is on the disk, or said to be not."""

    async def kept_or_told() -> bool:
        station.facts()
        return shop.truth.count(person.id) > before or await station.refuses(person)

    await eventually(kept_or_told, f"{person.first_name} hears what became of it", seconds)


async def _recovers(shop: Shop, station: Station) -> None:
    """There is room again: sooner or later a badge is taken, and then every badge."""

    async def takes_one() -> bool:
        if not station.life:  # systemd starts a station that ended
            await station.start()
        await station.opens()  # or it starts anew by itself, with its pages at another port
        (person,) = shop.next(1)
        before = shop.truth.count(person.id)
        with suppress(AssertionError):  # and it may do that at this very moment
            await station.show(person, seconds=5)
            await _hears(shop, station, person, before, seconds=5)
        station.facts()
        return shop.truth.count(person.id) > before

    await eventually(takes_one, "the station takes badges again")
    await station.passes(*shop.next(5))


@asynccontextmanager
async def _on_a_small_disk(shop: Shop, name: str) -> AsyncIterator[Station]:
    """A station whose data lie in a file system of their own. Raises `CannotTry`."""
    station = await shop.station(name)
    with ExitStack() as stack:
        try:
            stack.enter_context(small_disk(station.data, DISK_MB))
        except subprocess.CalledProcessError as error:
            raise CannotTry("no file system can be mounted here") from error
        try:
            await station.start()
            await station.knows(shop.everybody)
            yield station
        finally:
            await station.kill()


@contextmanager
def _no_room(folder: Path) -> Iterator[None]:
    filler = fill(folder)
    try:
        yield
    finally:
        filler.unlink()

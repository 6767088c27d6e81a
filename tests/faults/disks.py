"""Disks that are full, or that may only be read, while people badge.

The one rule: everybody gets their answer, and each badge is either on the disk or said to be not.
"""

import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

from faults.centre import Person
from faults.judge import Verdict
from faults.processes import eventually
from faults.shop import CannotTry, Shop
from faults.station import Station

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
            _mount("-o", "remount,ro", str(station.data))
            await station.start()
            for person in shop.next(5):
                await station.show(person)
                await eventually(partial(station.refuses, person), "they hear of the disk")
            _mount("-o", "remount,rw", str(station.data))
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
    station.data.mkdir(mode=0o700)
    _mount("-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(station.data))
    try:
        await station.start()
        await station.knows(shop.everybody)
        yield station
    finally:
        await station.kill()
        subprocess.run(["umount", "--lazy", str(station.data)], check=True)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise CannotTry(f"no file system can be mounted here: {done.stderr.strip()}")


@contextmanager
def _no_room(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    os.write(handle, bytes(size))
            except OSError:
                continue  # not even a piece of this size
        yield
    finally:
        os.close(handle)
        ballast.unlink()

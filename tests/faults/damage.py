"""Disks that lose or change what was written: pages, logs, single bits.

The one rule: nothing is damaged while a station runs, and every fact that can still be read must
arrive. Those that cannot must be told at the bridge, and never become somebody else's.
"""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from faults.judge import Truth, Verdict
from faults.processes import copy_folder
from faults.shop import Shop
from faults.station import Station

FILE = "edged.sqlite"
EMPLOYEE = b'"kind":"employee","id":'
INTERIOR = (2, 5)
"""First bytes of those pages of an index, or of a table, that only lead to others."""
WAITING = 25
"""Facts that no bridge has heard of when the disk is damaged; they fill more than one page."""

Harm = Callable[[random.Random, Path], int]
"""Damages a store; returns how many facts may have become unreadable."""


async def pages(shop: Shop, rng: random.Random, count: int, *, table: str) -> Verdict:
    """Bits of one page of a table flip, sometimes among those which say where its rows are."""

    def harm(rng: random.Random, file: Path) -> int:
        page = rng.choice(leaves(file, table))
        places = [rng.randrange(page.size) for _ in range(8)]
        if rng.random() < 0.5:
            places += [rng.randrange(8 + 2 * page.cells) for _ in range(2)]
        content = bytearray(file.read_bytes())
        for place in places:
            content[page.start + place] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
        return page.cells if table == "outbox" else 0

    return await _harmed(shop, rng, count, table, harm, cleanly=True)


async def logs(shop: Shop, rng: random.Random, count: int, *, gone: bool) -> Verdict:
    """The log that a power cut leaves beside the file is cut short, or its index is gone.

    What stood in the lost part of a log is lost without a trace, and nobody can tell it: only what
    SQLite still finds has to arrive.
    """

    def harm(rng: random.Random, file: Path) -> int:
        if gone:
            file.with_name(f"{FILE}-shm").unlink()
            return 0
        log = file.with_name(f"{FILE}-wal")
        length = log.stat().st_size
        with log.open("r+b") as opened:
            opened.truncate(rng.randrange(length * 3 // 4, length))
        return 0

    name = "index" if gone else "log"
    return await _harmed(shop, rng, count, name, harm, cleanly=False)


async def bits(shop: Shop, rng: random.Random, count: int) -> Verdict:
    """One bit of a waiting fact flips: the number of its person becomes another person's."""

    def harm(rng: random.Random, file: Path) -> int:
        body = rng.choice(_read(file, "SELECT body FROM outbox ORDER BY rowid")[-WAITING:])
        number = body.index(EMPLOYEE) + len(EMPLOYEE)
        last_digit = body.index(b"}", number) - 1
        content = bytearray(file.read_bytes())
        content[content.index(body) + last_digit] ^= 1
        file.write_bytes(content)
        return 1

    return await _harmed(shop, rng, count, "bit", harm, cleanly=True)


async def _harmed(
    shop: Shop, rng: random.Random, count: int, name: str, harm: Harm, *, cleanly: bool
) -> Verdict:
    at_stake = 0
    for turn in range(count):
        station = await shop.open_station(f"{name}-{turn}")
        await station.passes(*shop.next(3))
        await station.settled()
        delivered = set(shop.truth.kept)
        await station.wire.unplug()
        await station.passes(*shop.next(WAITING))
        await (station.stop() if cleanly else station.kill())
        at_stake += harm(rng, station.data / FILE)
        if not cleanly:
            _forget_what_is_gone(shop.truth, station, delivered)
        await station.wire.plug()
        await station.start()
        await station.settled()
        await station.stop()
    verdict = await shop.verdict()
    assert verdict.told <= at_stake, f"{verdict.told} are given up, {at_stake} were damaged"
    return verdict


def _forget_what_is_gone(truth: Truth, station: Station, delivered: set[str]) -> None:
    """Of the facts that were not delivered, only those count that SQLite finds in a copy."""
    with TemporaryDirectory() as folder:
        copy = copy_folder(station.data, Path(folder) / "copy")
        found = set(_read(copy / FILE, "SELECT id FROM outbox"))
    for fact in truth.kept.keys() - delivered - found:
        del truth.kept[fact]


def _read(file: Path, query: str) -> list[Any]:
    """One column. For a store that nobody has open."""
    with closing(sqlite3.connect(file)) as store:
        return [row[0] for row in store.execute(query)]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A page of a table that holds rows."""

    start: int
    size: int
    cells: int


def leaves(file: Path, table: str) -> list[Leaf]:
    """The pages that hold a table's rows (https://www.sqlite.org/fileformat2.html, 1.6)."""
    content = file.read_bytes()
    size = int.from_bytes(content[16:18], "big")
    (root,) = _read(file, f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'")
    found, unseen = [], [root]
    while unseen:
        start = (unseen.pop() - 1) * size
        cells = int.from_bytes(content[start + 3 : start + 5], "big")
        if content[start] in INTERIOR:
            pointers = range(start + 12, start + 12 + 2 * cells, 2)
            children = [start + int.from_bytes(content[at : at + 2], "big") for at in pointers]
            unseen += [int.from_bytes(content[at : at + 4], "big") for at in (start + 8, *children)]
        else:
            found.append(Leaf(start, size, cells))
    return found

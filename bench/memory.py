"""What the daemon weighs: four families, three screens open, MQTT up.

The one rule: the daemon's own process and nothing else; broker and browser are others.
"""

import asyncio
import random
import re
from pathlib import Path

from bench.eyes import Stream, tap
from bench.row import Row
from bench.station import MEMBERS, badge, daemon
from bench.watched import watched_station
from edged.demo.stage import Stage

SETTLE_S = 4.0
SCANS = 300
"""All over the directory, so that what the store caches of it is in memory, too."""
PAUSE_S = 0.02
BUDGET_MIB = 60.0


async def run(folder: Path) -> list[Row]:
    async with watched_station(folder) as stage:
        await asyncio.sleep(SETTLE_S)
        rows = _rows(stage, "three pages open")
        await _work(stage)
        await asyncio.sleep(SETTLE_S)
        return rows + _rows(stage, f"after {SCANS} badges, a label, a photo")


async def _work(stage: Stage) -> None:
    """One of each thing that a station is for."""
    for member in random.sample(range(MEMBERS), SCANS):
        stage.bench.door.scan(badge(member))
        await asyncio.sleep(PAUSE_S)
    scale, photo = f"{stage.url}/scale", f"{stage.url}/photo"
    async with Stream.open(scale) as screen:
        stage.bench.scale.load = 482
        await screen.shows("0,482")
        await tap(scale, "pick", "1")
        await tap(scale, "print")
        await screen.shows("/scale/label.png")
    async with Stream.open(photo) as screen:
        stage.bench.booth_reader.scan(badge(7))
        await screen.shows('data-do="start"')
        await tap(photo, "start")
        await screen.shows('data-do="keep"')
        await tap(photo, "keep")


def _rows(stage: Stage, when: str) -> list[Row]:
    rollup = Path(f"/proc/{daemon(stage)}/smaps_rollup").read_text()
    resident, shared = (_mib(rollup, "Rss"), _mib(rollup, "Pss"))
    return [
        Row(f"the daemon's resident memory, {when}: RSS", resident, "MiB", BUDGET_MIB),
        Row("  its share of it: PSS", shared, "MiB"),
    ]


def _mib(rollup: str, what: str) -> float:
    found = re.search(rf"^{what}:\s+(\d+) kB", rollup, re.MULTILINE)
    assert found is not None
    return int(found.group(1)) / 1024

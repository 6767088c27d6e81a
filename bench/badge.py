"""From a badge's last byte to the answer on the entrance's page, with the broker away.

The one rule: every badge is another member's, and every answer is found by that member's name.
"""

import asyncio
import random
import time
from pathlib import Path

from bench.eyes import Stream, Watched, chromium
from bench.row import Row, spread
from bench.station import MEMBERS, badge, first_name, nobody, station
from edged.demo.stage import Stage

SCANS = 150
PAUSE_S = (0.08, 0.18)
BUDGET_MS = 50.0


async def run(folder: Path) -> list[Row]:
    async with station(folder, mqtt_url=nobody()) as stage:
        await stage.start()
        url = f"{stage.url}/entrance"
        people = random.sample(range(MEMBERS), 2 * SCANS)
        async with Stream.open(url) as stream:
            await stream.shows("event: screen")
            scans = await _scan(stage, people[:SCANS])
            by_stream = stream.noted().delays(scans)
        async with chromium() as browser:
            page = await Watched.open(browser, url, "#answer h1")
            scans = await _scan(stage, people[SCANS:])
            noted = await page.noted()
    what = f"badge → answer, {MEMBERS:,} members, broker away"
    return [
        spread(f"{what}: HTTP stream", by_stream, BUDGET_MS),
        spread(f"{what}: Chromium's page", noted.delays(scans), BUDGET_MS),
        spread("  the same, painted", noted.delays(scans, painted=True)),
    ]


async def _scan(stage: Stage, people: list[int]) -> list[tuple[str, float]]:
    """Show each person's badge; who, and when it went on the line, all bytes at once."""
    await asyncio.sleep(1)  # the page's stream is open, the device is up
    scans = []
    for member in people:
        scans.append((first_name(member), time.monotonic()))
        stage.bench.door.scan(badge(member))
        await asyncio.sleep(random.uniform(*PAUSE_S))
    await asyncio.sleep(1)
    return scans

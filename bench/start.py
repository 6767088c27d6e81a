"""From the daemon's exec to READY, as systemd sees it.

The one rule: it opens a store with 50,000 members and four families each time, and the first
start, which reads the disk, does not count.
"""

import statistics
import time
from pathlib import Path

from bench.row import Row
from bench.station import nobody, station

STARTS = 9
BUDGET_S = 1.0


async def run(folder: Path) -> list[Row]:
    taken = []
    async with station(folder, mqtt_url=nobody()) as stage:
        for _ in range(1 + STARTS):
            began = time.monotonic()
            await stage.start()
            taken.append(time.monotonic() - began)
            await stage.stop()
    counted = taken[1:]
    return [
        Row(f"exec → READY, median of {STARTS}", statistics.median(counted), "s", BUDGET_S),
        Row("  the slowest of them", max(counted), "s"),
    ]

"""What the daemon takes of a core while nothing happens: screens open, scale polled, MQTT up.

The one rule: the kernel counts, over long enough for its 10 ms ticks not to matter.
"""

import asyncio
import os
import time
from pathlib import Path

from bench.row import Row
from bench.station import daemon
from bench.watched import watched_station

SETTLE_S = 5.0
MEASURED_S = 20.0
BUDGET_PERCENT = 0.5


async def run(folder: Path) -> list[Row]:
    async with watched_station(folder) as stage:
        await asyncio.sleep(SETTLE_S)
        process = Path(f"/proc/{daemon(stage)}")
        asked = stage.bench.scale.requests
        began, before, woken = time.monotonic(), _used(process), _woken(process)
        await asyncio.sleep(MEASURED_S)
        seconds = time.monotonic() - began
        used, woken = _used(process) - before, _woken(process) - woken
        asked = stage.bench.scale.requests - asked
    return [
        Row("the idle daemon, of one core", used / seconds * 100, "%", BUDGET_PERCENT),
        Row("  its wake-ups", woken / seconds, "/s"),
        Row("  questions to the scale", asked / seconds, "/s"),
    ]


def _used(process: Path) -> float:
    """Seconds of processor time, user and system (proc(5): fields 14 and 15)."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _woken(process: Path) -> int:
    """How often its threads gave the processor back by themselves."""
    words = [
        line.split()[1]
        for status in process.glob("task/*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches")
    ]
    return sum(map(int, words))

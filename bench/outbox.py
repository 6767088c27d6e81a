"""What one durable fact costs, beside what the disk's own fsync costs.

The one rule: raw fsyncs and facts take turns on the same disk, so that a busy machine weighs on
both alike.
"""

import asyncio
import os
import time
from pathlib import Path

from bench.row import Row, at, spread
from bench.station import MEMBERS, badge, fill
from mqtt.identity import badge_hash
from mqtt.messages import BadgeData, Who
from mqtt.secrets import read_badge_key
from store import Store

PAIRS = 1000
ROUNDS = 20
TOGETHER = 100
LOOKUP_MS = 1.0
_BODY = b"x" * 4096
_FACT = BadgeData(device="reader", badge="0" * 32, who=Who(kind="member", id=1), shown="ok")


async def run(folder: Path) -> list[Row]:
    await fill(folder)
    store = await Store.open(folder / "station", clock=lambda: "synced")
    try:
        raw, facts = await _pairs(folder / "raw", store)
        together = [await _together(store) for _ in range(ROUNDS)]
        lookups = _lookups(store, read_badge_key(folder / "badge.key"))
    finally:
        await store.close()
    return [
        spread("the disk's own fsync of 4 KiB", raw),
        spread("one durable fact, beside twice that", facts, 2 * at(raw, 99)),
        spread(f"{TOGETHER} facts at once, all durable", together),
        spread(f"look-up among {MEMBERS:,} members", lookups, LOOKUP_MS),
    ]


async def _pairs(path: Path, store: Store) -> tuple[list[float], list[float]]:
    raw: list[float] = []
    facts: list[float] = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(PAIRS):
            started = time.perf_counter()
            os.write(fd, _BODY)
            os.fsync(fd)
            raw.append(time.perf_counter() - started)
            started = time.perf_counter()
            await store.outbox.put("badge", _FACT)
            facts.append(time.perf_counter() - started)
    finally:
        os.close(fd)
    return raw, facts


async def _together(store: Store) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(store.outbox.put("badge", _FACT) for _ in range(TOGETHER)))
    return time.perf_counter() - started


def _lookups(store: Store, key: bytes) -> list[float]:
    taken = []
    for number in range(0, MEMBERS, 10):
        known = badge_hash(key, badge(number))
        started = time.perf_counter()
        store.directory.lookup([known])
        taken.append(time.perf_counter() - started)
    return taken

"""What one durable fact costs, beside what the disk's own fsync costs.

``python -m bench.outbox [folder]``: measures in a temporary folder beside the real store, because
another disk has another fsync (a tmpfs has none). Raw fsyncs and facts take turns, so that a busy
machine weighs on both alike.
"""

import asyncio
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.row import Row
from mqtt.messages import BadgeData, Entry, Who
from store import Store

ALONE = 1000
ROUNDS = 20
TOGETHER = 100
MEMBERS = 50_000
_BODY = b"x" * 4096
_FACT = BadgeData(device="reader", badge="0" * 32, who=Who(kind="member", id=1), shown="ok")


def run(folder: Path | None = None) -> list[Row]:
    """Measure on the disk of `folder` (default: the working directory)."""
    with tempfile.TemporaryDirectory(dir=folder or Path.cwd(), prefix="bench-") as scratch:
        return asyncio.run(_measure(Path(scratch)))


async def _measure(folder: Path) -> list[Row]:
    store = await Store.open(folder / "store", clock=lambda: "synced")
    try:
        raw, alone = await _fsync_and_put(folder / "raw", store)
        together = [await _together(store) for _ in range(ROUNDS)]
        lookups = await _lookups(store)
    finally:
        await store.close()
    return [
        Row("fsync of 4 KiB, p50", _at(raw, 50), "ms"),
        Row("fsync of 4 KiB, p99", _at(raw, 99), "ms"),
        Row("one durable fact, p50", _at(alone, 50), "ms", 2 * _at(raw, 50)),
        Row("one durable fact, p99", _at(alone, 99), "ms", 2 * _at(raw, 99)),
        Row(f"{TOGETHER} facts at once, all durable, p50", _at(together, 50), "ms"),
        Row("look-up among 50,000 members, p50", _at(lookups, 50), "ms"),
        Row("look-up among 50,000 members, p99", _at(lookups, 99), "ms", 1.0),
    ]


async def _fsync_and_put(path: Path, store: Store) -> tuple[list[float], list[float]]:
    raw: list[float] = []
    alone: list[float] = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(ALONE):
            started = time.perf_counter()
            os.write(fd, _BODY)
            os.fsync(fd)
            raw.append(time.perf_counter() - started)
            started = time.perf_counter()
            await store.outbox.put("badge", _FACT)
            alone.append(time.perf_counter() - started)
    finally:
        os.close(fd)
    return raw, alone


async def _together(store: Store) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(store.outbox.put("badge", _FACT) for _ in range(TOGETHER)))
    return time.perf_counter() - started


async def _lookups(store: Store) -> list[float]:
    await store.directory.replace([_member(n) for n in range(MEMBERS)], datetime.now(UTC))
    taken = []
    for n in range(0, MEMBERS, 10):
        badge = _member(n).badge
        started = time.perf_counter()
        store.directory.lookup([badge])
        taken.append(time.perf_counter() - started)
    return taken


def _member(n: int) -> Entry:
    badge = f"{n * 0x9E3779B1 % (1 << 32):08x}{n:024x}"
    return Entry(badge=badge, who=Who(kind="member", id=n), first_name="Camille", verdict="ok")


def _at(seconds: list[float], percent: int) -> float:
    """The percentile, in milliseconds."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


if __name__ == "__main__":
    for row in run(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        share = "" if row.ratio is None else f"{row.ratio:6.0%} of {row.budget:.3f}"
        print(f"{row.name:45} {row.value:9.3f} {row.unit} {share}")

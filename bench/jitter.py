"""How late this machine wakes a process that only sleeps: below that, no figure can be.

The one rule: it runs beside each measurement, in a process of its own, and does nothing else.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Event, Thread

from bench.row import Row, spread

SLEEP_S = 0.01


@asynccontextmanager
async def jitter(rows: list[Row]) -> AsyncIterator[None]:
    """Measure while the block lasts, then add the row."""
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "bench.jitter"]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    try:
        yield
    finally:
        output, _ = await process.communicate(b"")  # closes its input: it is over
    late = [float(word) for word in output.split()]
    rows.append(spread("  meanwhile, a process that only sleeps woke too late by", late))


def main() -> None:
    over = Event()
    Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    late = []
    while not over.is_set():
        due = time.monotonic() + SLEEP_S
        time.sleep(SLEEP_S)
        late.append(time.monotonic() - due)
    print(*late)


if __name__ == "__main__":
    main()

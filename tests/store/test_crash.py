"""A process that is killed while it keeps facts: what it was told was kept, is."""

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.stores import ack, opened
from support.strace import environment

CHILD = """
import asyncio, sys
from pathlib import Path
from support.stores import fact, opened

async def keep(store, worker):
    for n in range(1000000):
        photo = b"portrait %d" % n if n % 40 == 7 else None
        envelope = await store.outbox.put("badge", fact(worker * 1000 + n % 1000), attachment=photo)
        line = f"{envelope.epoch} {envelope.seq} {envelope.id} {'photo' if photo else '-'}\\n"
        sys.stdout.write(line)
        sys.stdout.flush()

async def main():
    async with opened(Path(sys.argv[1])) as store:
        await asyncio.gather(*(keep(store, worker) for worker in range(8)))

asyncio.run(main())
"""


def run_and_kill(folder: Path, acknowledged: int) -> list[tuple[str, int, str, bool]]:
    """What the child was promised before it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, env=environment()
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(acknowledged)]
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read()
    child.stdout.close()
    child.wait()
    # The last line may have been cut.
    whole = [*lines, *rest.splitlines(keepends=True)]
    promised = [line.decode().split() for line in whole if line.endswith(b"\n")]
    return [(epoch, int(seq), fact_id, photo == "photo") for epoch, seq, fact_id, photo in promised]


@pytest.mark.parametrize("seed", range(3))
async def test_every_fact_that_was_promised_is_there_after_kill_9(tmp_path, seed):
    chance = random.Random(seed)
    promised: list[tuple[str, int, str, bool]] = []
    bodies: dict[str, bytes] = {}
    for _ in range(2):
        promised += await asyncio.to_thread(run_and_kill, tmp_path, chance.randint(50, 300))
        async with opened(tmp_path) as store:
            assert store.set_aside is None
            rows = []
            for epoch in store.outbox.kept():
                await store.outbox.replay(epoch.epoch, 1)
            while more := await store.outbox.waiting(0, 1_000_000):
                assert [row.seq for row in more] == list(range(1, len(more) + 1))
                rows += more
                await store.outbox.acknowledge(ack(more[0].epoch, stored=len(more)))
            kept = {(row.epoch, row.seq): row for row in rows}
            for epoch, seq, fact_id, photo in promised:
                row = kept[epoch, seq]
                assert row.id == fact_id
                if photo:
                    assert row.attachment is not None
                    assert row.attachment.read_bytes().startswith(b"portrait ")
            # What was read after the first crash is the very same after the second.
            now = {row.id: row.body for row in rows}
            assert all(now[fact_id] == body for fact_id, body in bodies.items())
            bodies = now
            photos = {row.attachment.name for row in rows if row.attachment}
            assert photos == {file.name for file in (tmp_path / "photos").iterdir()}

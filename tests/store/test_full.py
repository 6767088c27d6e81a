"""Disks that take nothing more. `max_page_count` fills SQLite as ENOSPC does, for any user; the
child below has a real limit on how large its files may grow.
"""

import asyncio
import itertools
import subprocess
import sys

import pytest
from support.damage import damage, pages_of
from support.stores import ack, entry, fact, opened, put
from support.strace import environment

from durable.reserve import SIZE
from store import StoreFull
from store.opening import FILE


def limit(connection, pages):
    connection.execute(f"PRAGMA max_page_count = {pages}")


async def fill(store):
    """Put facts until one is refused; returns how many were kept."""
    await grow_by(store, 20)
    for n in itertools.count():
        try:
            await store.outbox.put("badge", fact(n))
        except StoreFull:
            break
    assert store.outbox.trouble.get() == "store.full"
    return store.outbox.last.get()


async def grow_by(store, pages):
    """Let the file grow by so many pages of 4 KiB, and no further."""
    await store._writer.run(
        lambda c: limit(c, c.execute("PRAGMA page_count").fetchone()[0] + pages)
    )


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path):
    async with opened(tmp_path) as store:
        kept = await fill(store)
        assert kept > 10
        assert store.outbox.status().waiting == kept
        await store._writer.run(lambda c: limit(c, 1 << 30))
        assert (await store.outbox.put("badge", fact())).seq == kept + 1
        assert store.outbox.trouble.get() == ""
        keys = [line.key for line in await store.journal.recent()]
        assert keys == ["store.takes_again", "store.full"]
        assert len(await store.outbox.waiting(0, 10_000)) == kept + 1


async def test_when_full_the_reserve_is_given_back_and_then_put_back(tmp_path):
    async with opened(tmp_path) as store:
        reserve = tmp_path / "reserve"
        assert reserve.stat().st_blocks * 512 >= SIZE
        await fill(store)
        assert not reserve.exists()
        await store._writer.run(lambda c: limit(c, 1 << 30))
        await store.outbox.put("badge", fact())
        assert reserve.stat().st_size == SIZE


async def test_a_group_that_does_not_fit_keeps_what_fits_and_refuses_the_rest(tmp_path):
    async with opened(tmp_path) as store:
        await grow_by(store, 5)
        puts = (store.outbox.put("badge", fact(n)) for n in range(200))
        results = await asyncio.gather(*puts, return_exceptions=True)
        kept = [result.seq for result in results if not isinstance(result, BaseException)]
        refused = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(error, StoreFull) for error in refused)
        assert refused
        assert kept == list(range(1, len(kept) + 1))
        assert [row.seq for row in await store.outbox.waiting(0, 999)] == kept


async def test_acknowledgements_are_taken_although_the_disk_is_full(tmp_path):
    async with opened(tmp_path) as store:
        kept = await fill(store)
        # What the reserve gave back.
        await grow_by(store, SIZE // 4096)
        await store.outbox.acknowledge(ack(store.outbox.epoch, stored=kept, done=kept))
        assert store.outbox.status().waiting == 0


async def test_no_room_for_members_leaves_the_old_directory(tmp_path):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(1)], entry(1).next_shift)
        await grow_by(store, 5)
        with pytest.raises(StoreFull):
            await store.directory.replace([entry(n) for n in range(5000)], entry(2).next_shift)
        assert store.directory.lookup([entry(1).badge]) == entry(1)
        assert store.directory.count == 1


async def test_a_photo_that_does_not_fit_leaves_nothing_behind(tmp_path):
    async with opened(tmp_path) as store:
        kept = await fill(store)
        with pytest.raises(StoreFull):
            await store.outbox.put("photo", fact(), attachment=b"portrait")
        assert list((tmp_path / "photos").iterdir()) == []
        await store._writer.run(lambda c: limit(c, 1 << 30))
        assert (await store.outbox.put("photo", fact(), attachment=b"x")).seq == kept + 1


async def test_damage_is_not_taken_for_a_full_disk(tmp_path):
    async with opened(tmp_path) as store:
        await put(store.outbox, 300)
    async with opened(tmp_path) as store:
        damage(tmp_path / FILE, at=pages_of(tmp_path / FILE, "outbox")[-1])
        with pytest.raises(StoreFull):
            await store.outbox.put("photo", fact(), attachment=b"portrait")
        assert store.outbox.trouble.get() == "store.corrupted"
        assert (tmp_path / "reserve").exists()
        assert list((tmp_path / "photos").iterdir()) == []


CHILD = """
import asyncio, resource, sys
from pathlib import Path
from store import StoreFull
from support.stores import ack, fact, opened

def may_grow_to(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    async with opened(Path(sys.argv[1])) as store:
        outbox = store.outbox
        may_grow_to(300_000)
        kept = 0
        refused = None
        while refused is None:
            try:
                await outbox.put("badge", fact(kept))
                kept += 1
            except StoreFull as error:
                refused = error.key
        assert kept > 10, kept
        for attachment in (None, b"x" * 400_000):
            try:
                await outbox.put("photo", fact(), attachment=attachment)
                raise SystemExit("taken although there is no room")
            except StoreFull:
                pass
        assert not list((Path(sys.argv[1]) / "photos").iterdir())
        may_grow_to(resource.RLIM_INFINITY)
        for n in range(3):
            await outbox.put("photo", fact(n), attachment=b"x" * 400_000)
        assert outbox.trouble.get() == ""
        rows = await outbox.waiting(0, 100_000)
        assert [row.seq for row in rows] == list(range(1, kept + 4)), (len(rows), kept)
        print(refused)

asyncio.run(main())
"""


async def test_files_that_may_not_grow(tmp_path):
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    assert child.stdout.strip() in ("store.full", "store.unwritable")

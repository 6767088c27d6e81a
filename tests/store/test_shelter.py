"""Disks that take nothing at the start: the station answers, refuses to record, and comes back."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.damage import PAGE, spoil
from support.disks import fill, read_only, small_disk
from support.echo import until
from support.root import needs_root
from support.stores import ack, badge, entry, fact, opened, put

from durable import StoreFull
from durable.reserve import SIZE
from edged.transfer import kept_facts
from store import Store
from store import store as store_module
from store.opening import FILE
from store.shelter import shelter, takes_facts

pytestmark = needs_root


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", megabytes=24) as folder:
        yield folder


async def make(folder: Path) -> None:
    async with opened(folder) as store:
        await put(store.outbox, 5)
        await store.outbox.put("photo", fact(), attachment=b"portrait")
        await store.directory.replace([entry(n) for n in range(50)], entry(1).next_shift)


async def sheltered(folder: Path) -> Store:
    return await Store.open(folder, clock=lambda: "synced", sheltered=True)


async def answers_and_refuses(store: Store, key: str) -> None:
    assert store.sheltered_from == key
    assert store.outbox.trouble.get() == key
    found = store.directory.lookup([badge(7)])
    assert found is not None
    assert found.who.id == 7
    with pytest.raises(StoreFull) as refused:
        await store.outbox.put("badge", fact())
    assert refused.value.key == key
    with pytest.raises(StoreFull):
        await store.outbox.put("photo", fact(), attachment=b"another")
    # What waits can be sent, and settled as far as this process knows.
    rows = await store.outbox.waiting(0, 99)
    assert [row.seq for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1].attachment.read_bytes() == b"portrait"
    await store.outbox.acknowledge(ack(rows[0].epoch, stored=6))
    assert await store.outbox.waiting(0, 99) == []
    assert (await store.journal.recent())[0].key == key


async def test_a_full_disk_at_the_start(disk):
    await make(disk)
    (disk / "reserve").unlink()
    filler = fill(disk)
    with pytest.raises(StoreFull) as refused:  # an import must not write into a copy
        async with opened(disk):
            pass
    assert refused.value.key == "store.full"
    store = await sheltered(disk)
    await answers_and_refuses(store, "store.full")
    assert not takes_facts(disk)
    await store.close()
    filler.unlink()
    assert takes_facts(disk)
    store = await sheltered(disk)
    assert store.sheltered_from == ""
    assert len(await store.outbox.waiting(0, 99)) == 6
    await store.outbox.put("badge", fact())
    await store.close()


@pytest.mark.parametrize("name", ["lock", FILE, f"{FILE}-wal", f"{FILE}-shm"])
@pytest.mark.parametrize("wrong", ["folder", "link"])
def test_a_disk_on_which_no_store_can_be_opened_takes_no_facts(disk, name, wrong):
    """It would start the station anew every few seconds."""
    assert takes_facts(disk)
    if wrong == "folder":
        (disk / name).mkdir()
    else:
        (disk / name).symlink_to(disk / "away" / name)
    assert not takes_facts(disk)


async def test_what_is_held_in_reserve_is_enough_to_open_an_ordinary_store(disk):
    await make(disk)
    fill(disk)
    store = await sheltered(disk)
    assert store.sheltered_from == ""
    assert not (disk / "reserve").exists()
    with pytest.raises(StoreFull) as refused:
        await store.outbox.put("badge", fact())
    assert refused.value.key == "store.full"
    assert len(await store.outbox.waiting(0, 99)) == 6
    await store.close()


async def test_a_read_only_disk_at_the_start(disk):
    await make(disk)
    with read_only(disk):
        store = await sheltered(disk)
        await answers_and_refuses(store, "store.read_only")
        with pytest.raises(StoreFull) as refused:
            async with opened(disk):
                pass
        assert refused.value.key == "store.read_only"
        await store.close()
    async with opened(disk) as store:
        assert len(await store.outbox.waiting(0, 99)) == 6


@pytest.mark.parametrize("room", range(0, 700_000, 100_000))
async def test_a_rescue_without_room_for_it_loses_nothing(disk, room):
    async with opened(disk) as store:
        facts = await put(store.outbox, 400)
    spoil(disk / FILE, "journal")
    size = (disk / FILE).stat().st_size
    (disk / "reserve").unlink()
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - room)
    store = await sheltered(disk)
    assert [row.id for row in await store.outbox.waiting(0, 999)] == [fact.id for fact in facts]
    await store.close()
    filler.unlink()
    store = await sheltered(disk)
    assert store.sheltered_from == ""
    assert [row.id for row in await store.outbox.waiting(0, 999)] == [fact.id for fact in facts]
    await store.close()
    (aside,) = (path for path in disk.glob(f"{FILE}.corrupt-*") if "-wal" not in path.name)
    assert aside.stat().st_size == size


@pytest.mark.parametrize("killed", [False, True])
async def test_facts_can_be_exported_from_a_read_only_disk(disk, tmp_path, killed):
    """It is the moment in which somebody wants to get them out."""
    async with opened(tmp_path / "running") as store:
        await put(store.outbox, 5)
        if killed:
            shutil.copytree(tmp_path / "running", disk, dirs_exist_ok=True)
    if not killed:
        shutil.copytree(tmp_path / "running", disk, dirs_exist_ok=True)
    (disk / f"{FILE}-shm").unlink(missing_ok=True)
    with read_only(disk):
        assert [fact["seq"] for fact in kept_facts(disk)] == [1, 2, 3, 4, 5]


async def test_facts_that_were_only_in_the_log_are_answered_from_too(disk, tmp_path):
    """After a power cut what came last lies in the log (-wal) alone."""
    async with opened(tmp_path / "running") as store:
        await store.directory.replace([entry(n) for n in range(50)], entry(1).next_shift)
        await put(store.outbox, 3)
        subprocess.run(["cp", "-r", f"{tmp_path}/running/.", str(disk)], check=True)
    with read_only(disk):
        store = await sheltered(disk)
        assert store.directory.lookup([badge(7)]) is not None
        assert len(await store.outbox.waiting(0, 99)) == 3
        await store.close()


async def test_an_empty_full_disk_at_the_first_start(disk):
    fill(disk)
    store = await sheltered(disk)
    assert store.sheltered_from == "store.full"
    assert store.directory.as_of is None
    await store.close()


async def test_two_stations_do_not_share_a_disk_that_takes_nothing(disk):
    await make(disk)
    with read_only(disk):
        store = await sheltered(disk)
        with pytest.raises(Exception, match=r"store\.busy"):
            await sheltered(disk)
        await store.close()
        await (await sheltered(disk)).close()


async def test_the_copy_goes_with_the_store(disk, tmp_path, monkeypatch):
    place = tmp_path / "run"
    place.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(place))
    await make(disk)
    (disk / "reserve").unlink()
    fill(disk)
    store = await sheltered(disk)
    (copy,) = place.iterdir()
    assert copy.stat().st_mode & 0o777 == 0o700
    await store.close()
    assert list(place.iterdir()) == []


async def test_the_copy_that_a_killed_station_left_goes_with_the_next_start(disk):
    await make(disk)
    (disk / "reserve").unlink()
    fill(disk)
    left = shelter(disk)
    store = await sheltered(disk)
    assert not left.exists()
    await answers_and_refuses(store, "store.full")
    await store.close()


async def test_the_disk_is_tried_until_it_takes_facts(disk, monkeypatch):
    tried = []

    def look(folder):
        tried.append(takes_facts(folder))
        return tried[-1]

    monkeypatch.setattr(store_module, "LOOK_S", 0.01)
    monkeypatch.setattr(store_module, "takes_facts", look)
    await make(disk)
    (disk / "reserve").unlink()
    filler = fill(disk)
    store = await sheltered(disk)
    waiting = asyncio.create_task(store.disk_takes_facts())
    await until(lambda: len(tried) > 2)
    assert not waiting.done()
    filler.unlink()
    async with asyncio.timeout(20):
        await waiting
    assert tried == [False] * (len(tried) - 1) + [True]
    await store.close()


@pytest.mark.parametrize(("room", "takes"), [(2 * SIZE - PAGE, False), (2 * SIZE, True)])
def test_a_disk_with_less_room_than_the_reserve_needs_takes_no_facts(disk, room, takes):
    os.truncate(filler := fill(disk), filler.stat().st_size - room)
    assert takes_facts(disk) == takes
    assert list(disk.iterdir()) == [filler]

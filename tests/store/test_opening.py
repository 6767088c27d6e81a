import errno
import fcntl
import os
import sqlite3
import stat
import threading

import pytest
from support.damage import change, damage, pages_of
from support.stores import badge, entry, fact, opened

from durable.sqlite import snapshot
from store import StoreBusy, StoreError, StoreFull, StoreTooNew
from store.schema import MIGRATIONS
from store.store import FILE


def of_version(version, path, sql):
    change(path, sql)
    change(path, f"PRAGMA user_version = {version}")


async def test_files_are_for_this_user_only(tmp_path):
    folder = tmp_path / "deep" / "store"
    async with opened(folder) as store:
        await store.outbox.put("badge", fact())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert modes.pop("photos") == 0o700
        assert set(modes) >= {"lock", FILE, f"{FILE}-wal", f"{FILE}-shm", "reserve"}
        assert set(modes.values()) == {0o600}


async def test_a_second_opener_is_told_that_it_is_busy(tmp_path):
    async with opened(tmp_path):
        with pytest.raises(StoreBusy) as refused:
            async with opened(tmp_path):
                pass
        assert refused.value.key == "store.busy"
    async with opened(tmp_path):
        pass


async def test_a_folder_that_is_not_ours_is_told_with_its_path(tmp_path, monkeypatch):
    def denied(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(fcntl, "flock", denied)  # root may write anywhere
    with pytest.raises(StoreError) as refused:
        async with opened(tmp_path):
            pass
    assert refused.value.key == "store.permission"
    assert refused.value.params == {"path": str(tmp_path)}


@pytest.mark.parametrize(
    ("number", "key"),
    [
        (errno.EROFS, "store.read_only"),
        (errno.ENOSPC, "store.full"),
        (errno.EIO, "store.unwritable"),
    ],
)
async def test_a_disk_that_takes_nothing_is_told_for_what_it_is(tmp_path, monkeypatch, number, key):
    """Each error in turn; test_shelter.py has real disks that are full, or may only be read."""

    def refused(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(StoreFull) as told:
        async with opened(tmp_path):
            pass
    assert (told.value.key, told.value.params) == (key, {"path": str(tmp_path)})


async def test_damage_met_in_use_is_told_and_set_aside_at_the_next_start(tmp_path):
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(5000)], entry(1).next_shift)
    path = tmp_path / FILE
    async with opened(tmp_path) as store:
        # The pages in use lie damaged behind the connection's back.
        damage(path, at=8192, length=path.stat().st_size)
        with pytest.raises(StoreError) as refused:
            store.directory.lookup([badge(100_000 + n) for n in range(5000)])
        assert refused.value.key == "store.corrupted"
    assert (tmp_path / "damaged").exists()
    async with opened(tmp_path) as store:
        assert store.set_aside is not None
        assert not (tmp_path / "damaged").exists()


async def test_after_a_mark_of_damage_all_of_the_file_is_looked_at_once(tmp_path, monkeypatch):
    """Without one, the look gives up before it has come to the last members."""
    monkeypatch.setattr("durable.sqlite._QUICK_CHECK_S", 0.0)
    async with opened(tmp_path) as store:
        await store.directory.replace([entry(n) for n in range(5000)], entry(1).next_shift)
    for harmed, marked in [(False, True), (True, False), (True, True), (True, False)]:
        if harmed:
            damage(tmp_path / FILE, at=pages_of(tmp_path / FILE, "directory")[-1])
        if marked:
            (tmp_path / "damaged").touch()
        async with opened(tmp_path) as store:
            assert (store.set_aside is not None) == (harmed and marked)
            assert not (tmp_path / "damaged").exists()


async def test_a_store_of_a_newer_edged_is_left_untouched(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())
    of_version(len(MIGRATIONS) + 1, tmp_path / FILE, "CREATE TABLE later(x)")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreTooNew) as refused:
        async with opened(tmp_path):
            pass
    assert refused.value.params == {
        "found": str(len(MIGRATIONS) + 1),
        "known": str(len(MIGRATIONS)),
    }
    assert (tmp_path / FILE).read_bytes() == before
    with pytest.raises(StoreTooNew):
        snapshot(tmp_path / FILE, MIGRATIONS)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR])
async def test_what_is_not_the_files_fault_sets_no_file_aside(tmp_path, monkeypatch, code):
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())

    def refused(*_args, **_more):
        error = sqlite3.OperationalError("not now")
        error.sqlite_errorcode = code
        raise error

    with monkeypatch.context() as patched:
        patched.setattr("store.opening.sound", refused)
        with pytest.raises((sqlite3.OperationalError, StoreFull)):
            async with opened(tmp_path):
                pass
    assert not list(tmp_path.glob("*.corrupt-*"))
    async with opened(tmp_path) as store:
        assert len(await store.outbox.waiting(0, 9)) == 1


async def test_a_refused_opening_leaves_neither_lock_nor_thread(tmp_path):
    async with opened(tmp_path):
        pass
    of_version(99, tmp_path / FILE, "CREATE TABLE later(x)")
    threads = {thread.name for thread in threading.enumerate()}
    with pytest.raises(StoreTooNew):
        async with opened(tmp_path):
            pass
    assert "sqlite-writer" not in {t.name for t in threading.enumerate()} - threads
    of_version(len(MIGRATIONS), tmp_path / FILE, "DROP TABLE later")
    async with opened(tmp_path):
        pass


async def test_a_copy_can_be_taken_while_the_daemon_runs(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("badge", fact())
        copy = snapshot(tmp_path / FILE, MIGRATIONS)
        assert copy.execute("SELECT count(*) FROM outbox").fetchone() == (1,)
        copy.close()
        await store.outbox.put("badge", fact())


async def test_nothing_runs_after_closing(tmp_path):
    async with opened(tmp_path) as store:
        store.journal.add("info", "x.y")
    with pytest.raises(StoreError) as refused:
        await store.outbox.put("badge", fact())
    assert refused.value.key == "store.closed"
    async with opened(tmp_path) as store:
        assert [line.key for line in await store.journal.recent()] == ["x.y"]

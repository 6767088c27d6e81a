import asyncio
import errno
import sqlite3
import threading

import pytest

from durable.errors import StoreError, StoreFull
from durable.sqlite import connect_writer, migrate
from durable.writer import Writer
from store.schema import MIGRATIONS


@pytest.fixture
async def writer(tmp_path):
    connection = connect_writer(tmp_path / "w.sqlite")
    migrate(connection, MIGRATIONS)
    connection.execute("CREATE TABLE t(x UNIQUE)")
    writer = Writer(connection, on_damage=lambda: None)
    yield writer
    await writer.close()


def add(x):
    return lambda connection: connection.execute("INSERT INTO t VALUES(?)", (x,))


def found(connection):
    return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY rowid")]


def fail(_connection):
    raise ValueError("a bug in a job")


async def test_jobs_run_in_the_order_they_were_given(writer):
    await asyncio.gather(*(writer.run(add(n), durable=n % 3 == 0) for n in range(600)))
    assert await writer.run(found) == list(range(600))


async def test_a_job_that_fails_takes_nobody_down_and_keeps_nothing(writer):
    def half(connection):
        add("half")(connection)
        raise ValueError("halfway")

    jobs = [writer.run(add(1)), writer.run(half), writer.run(add(1)), writer.run(add(2))]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(results[1], ValueError)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert await writer.run(found) == [1, 2]


async def test_the_callback_comes_on_the_loops_thread_before_the_caller_goes_on(writer):
    seen = []

    def then(result):
        seen.append((result, threading.current_thread() is threading.main_thread()))

    assert await writer.run(lambda _: 7, then=then) == 7
    assert seen == [(7, True)]


async def test_the_callback_comes_also_when_the_caller_has_gone(writer):
    seen = asyncio.Event()
    task = asyncio.create_task(writer.run(add(1), then=lambda _: seen.set()))
    await asyncio.sleep(0)
    task.cancel()
    await seen.wait()
    assert await writer.run(found) == [1]


async def test_what_rides_goes_along_with_the_next_job_and_costs_no_fsync(writer):
    writer.ride(add("ride"), lambda _: None)
    before = writer.commits
    assert await writer.run(found) == ["ride"]
    assert writer.commits == before


async def test_what_rides_goes_alone_after_a_while(writer, monkeypatch):
    monkeypatch.setattr("durable.writer.PATIENCE_S", 0.01)
    done = asyncio.Event()
    writer.ride(add("ride"), lambda _: done.set())
    await done.wait()


async def test_closing_finishes_what_was_given(writer, tmp_path):
    puts = [asyncio.create_task(writer.run(add(n), durable=True)) for n in range(100)]
    await asyncio.sleep(0)
    writer.ride(add("ride"), lambda _: None)
    await writer.close()
    await asyncio.gather(*puts)
    with sqlite3.connect(tmp_path / "w.sqlite") as connection:
        assert found(connection) == [*range(100), "ride"]
    connection.close()
    with pytest.raises(StoreError, match=r"store\.closed"):
        await writer.run(found)


async def test_a_bug_in_something_that_rides_is_logged_and_the_writer_lives(writer, caplog):
    writer.ride(fail, lambda _: None)
    assert await writer.run(found) == []
    assert "a line was not kept" in caplog.text


async def test_damage_that_cannot_be_marked_is_a_refusal_and_the_writer_lives(tmp_path):
    """As on a card that the kernel has made read-only because it fails."""

    def read_only():
        raise OSError(errno.EROFS, "Read-only file system")

    def meet_damage(_connection):
        broken = sqlite3.connect(tmp_path / "broken.sqlite")
        try:
            broken.execute("SELECT 1 FROM sqlite_master")
        finally:
            broken.close()

    (tmp_path / "broken.sqlite").write_bytes(b"\xa5" * 4096)
    writer = Writer(connect_writer(tmp_path / "w.sqlite"), on_damage=read_only)
    async with asyncio.timeout(10):
        with pytest.raises(StoreFull) as refused:
            await writer.run(meet_damage)
        assert refused.value.key == "store.corrupted"
        assert await writer.run(lambda _: "alive") == "alive"
    await writer.close()

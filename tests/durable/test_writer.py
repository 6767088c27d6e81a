"""The thread that writes: order, groups, and an answer for every caller."""

import asyncio
import errno
import sqlite3
import threading
import time

import pytest
from support.echo import until

from durable.errors import StoreError, StoreFull
from durable.sqlite import connect_writer
from durable.writer import Change, Writer


@pytest.fixture
async def writer(tmp_path):
    connection = connect_writer(tmp_path / "w.sqlite")
    connection.execute("CREATE TABLE t(x UNIQUE)")
    writer = Writer(connection, on_damage=lambda: None)
    yield writer
    await writer.close()


@pytest.fixture
async def held(writer):
    """Holds the thread that writes until it is set, so that what is given meanwhile is a group."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_connection):
        begun.set()
        assert go_on.wait(60)

    holding = asyncio.create_task(writer.run(hold))
    await until(begun.is_set)
    yield go_on
    go_on.set()
    await holding


async def in_a_group(held, *jobs):
    """What became of the jobs, given while the thread was held. In 60 s."""
    tasks = [asyncio.create_task(job) for job in jobs]
    await asyncio.sleep(0)  # each task runs up to its first wait, which is for the thread
    held.set()
    async with asyncio.timeout(60):
        return await asyncio.gather(*tasks, return_exceptions=True)


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


async def test_what_rides_waits_five_seconds_for_company_then_goes_alone(writer):
    done = asyncio.Event()
    begun = time.monotonic()
    writer.ride(add("ride"), lambda _: done.set())
    async with asyncio.timeout(40):
        await done.wait()
    assert time.monotonic() - begun > 4.9


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


# --- every caller gets an answer -----------------------------------------------------------------


def stumble(_result):
    raise ValueError("a bug in what follows")


async def test_a_callback_that_raises_starves_nobody(writer, held, caplog):
    after = []
    results = await in_a_group(
        held,
        writer.run(add(1), then=after.append),
        writer.run(add(2), then=stumble),
        writer.run(add(3), then=lambda _: after.append("told")),
    )
    assert [type(result) for result in results] == [sqlite3.Cursor, ValueError, sqlite3.Cursor]
    assert after[1:] == ["told"]
    assert await writer.run(found) == [1, 2, 3], "what the guilty one had done was committed"
    assert caplog.text.count("ValueError: a bug in what follows") == 1


async def test_a_callback_that_raises_is_told_though_nobody_asked(writer, caplog):
    writer.ride(add(1), stumble)
    assert await writer.run(found) == [1]
    assert caplog.text.count("ValueError: a bug in what follows") == 1


async def test_a_change_whose_callback_raises_hides_its_result_from_no_other(writer):
    seen = []
    with pytest.raises(ValueError, match="what follows"):
        await writer.apply(
            Change(add(1), lambda _: seen.append("first")),
            Change(add(2), stumble),
            Change(add(3), lambda _: seen.append("third")),
        )
    assert seen == ["first", "third"]
    assert await writer.run(found) == [1, 2, 3]


async def test_changes_are_made_all_or_none(writer):
    seen = []
    with pytest.raises(ValueError, match="in a job"):
        await writer.apply(Change(add(1), seen.append), Change(fail, seen.append))
    assert seen == []
    assert await writer.run(found) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
async def test_whatever_a_job_raises_reaches_its_caller_and_the_thread_lives(writer, held, error):
    def leave(_connection):
        raise error

    async def caller():
        try:
            await writer.run(leave)
        except BaseException as raised:  # pytest itself would end at two of them
            return type(raised)

    results = await in_a_group(held, writer.run(add(1)), caller(), writer.run(add(2)))
    assert results[1] is error
    assert await writer.run(found) == [1, 2]


async def test_a_stop_iteration_that_no_future_takes_starves_nobody(writer, held):
    """As from ``next(rows)`` when there is no row."""
    rows = [writer.run(lambda c: next(c.execute("SELECT x FROM t"))), writer.run(add(1))]
    first, _ = await in_a_group(held, *rows)
    assert isinstance(first, RuntimeError)
    assert "StopIteration" in str(first)
    assert await writer.run(found) == [1]


async def test_a_thread_that_dies_answers_all_who_wait_and_all_who_come(writer, held, caplog):
    class Unjudgeable(sqlite3.OperationalError):
        sqlite_errorcode = None  # what judges errors on the thread stumbles over it

    def break_it(_connection):
        raise Unjudgeable

    results = await in_a_group(held, writer.run(break_it), writer.run(add(2)), writer.run(add(3)))
    assert [str(result) for result in results] == ["store.closed"] * 3
    with pytest.raises(StoreError, match=r"store\.closed"):
        await writer.run(found)
    writer.ride(add(4), stumble)
    assert "the thread that writes has ended" in caplog.text


async def test_what_comes_while_it_closes_is_done_or_refused_and_never_left(writer, tmp_path):
    async def keep(n):
        try:
            await writer.run(add(n), durable=True)
        except StoreError:
            return False
        return True

    tasks = []
    closing = None
    for n in range(300):
        tasks.append(asyncio.create_task(keep(n)))
        if n % 10 == 0:
            await asyncio.sleep(0)
        if n == 150:
            closing = asyncio.create_task(writer.close())
    async with asyncio.timeout(60):
        kept = await asyncio.gather(*tasks)
        await asyncio.gather(closing, writer.close())
    assert True in kept
    assert False in kept
    reader = sqlite3.connect(tmp_path / "w.sqlite")
    assert found(reader) == [n for n, done in enumerate(kept) if done]
    reader.close()


def test_a_loop_that_is_closed_leaves_the_thread_its_work(tmp_path, monkeypatch):
    failures = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    connection = connect_writer(tmp_path / "w.sqlite")
    connection.execute("CREATE TABLE t(x UNIQUE)")
    loop_closed = threading.Event()

    def late(connection):
        assert loop_closed.wait(60)
        add("late")(connection)

    async def leave_in_a_hurry():
        writer = Writer(connection, on_damage=lambda: None)
        writer.ride(late, lambda _: None)
        asyncio.get_running_loop().create_task(writer.run(add("last")))
        await asyncio.sleep(0)
        return writer

    writer = asyncio.run(leave_in_a_hurry())
    loop_closed.set()
    asyncio.run(writer.close())  # on another loop: it waits for the thread alone
    reader = sqlite3.connect(tmp_path / "w.sqlite")
    assert found(reader) == ["late", "last"]
    reader.close()
    assert failures == []


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "commits"), [(1000, 2), (1001, 3)])
async def test_a_group_is_five_hundred_jobs_at_most(writer, held, jobs, commits):
    await in_a_group(held, *(writer.run(add(n), durable=True) for n in range(jobs)))
    assert writer.commits == commits


async def test_a_hundred_jobs_that_wait_are_one_transaction(writer, held):
    await in_a_group(held, *(writer.run(add(n), durable=True) for n in range(100)))
    assert writer.commits == 1

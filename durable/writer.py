"""The one thread that writes, and the group commit.

The one rule: a job's caller hears of it only after COMMIT. What arrives during an fsync shares the
next one (at most `GROUP` jobs), so a hundred waiting facts cost one fsync and a lone one no delay.

Jobs that need not survive a power cut by themselves (`durable=False`) are committed without an
fsync of their own: SQLite keeps the order of the log, so a later fact's fsync covers them and a
cut loses the newest of them, never the file. A job may run twice when a neighbour in its group
failed: it must do everything through the connection it is given.

Every caller gets an answer, also when another one's job or its `then` raises, or this thread ends.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from durable.errors import StoreError, damaged, refusal
from durable.sqlite import transaction

T = TypeVar("T")
Connection = sqlite3.Connection

GROUP = 500
"""Jobs in one transaction, at most: the first of them hears of it after the last was done."""
PATIENCE_S = 5.0
"""How long what rides (`Writer.ride`) waits for a job to go along with."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """What `Writer.apply` does together with others: on its thread, and afterwards on the loop."""

    work: Callable[[Connection], T]
    then: Callable[[T], None]


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[Connection], Any]
    durable: bool
    then: Callable[[Any], None] | None
    future: asyncio.Future[Any] | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    job: _Job
    result: Any
    error: BaseException | None


class Writer:
    """Runs jobs on the writing connection, in the order they were given."""

    def __init__(self, connection: Connection, *, on_damage: Callable[[], None]) -> None:
        self._connection = connection
        self._on_damage = on_damage
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._full_sync = True
        self.commits = 0
        """Transactions committed with an fsync of their own."""
        self._thread = threading.Thread(target=self._work, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(
        self,
        work: Callable[[Connection], T],
        *,
        durable: bool = False,
        then: Callable[[T], None] | None = None,
    ) -> T:
        """Do `work` in a transaction and return what it returned, after COMMIT. From the loop's
        thread.

        `then` is called with it on the loop's thread, even if the caller has been cancelled.
        Raises `StoreFull` when the disk takes nothing, `StoreError` (``store.closed``) after
        `close`, or whatever `work` raised; then nothing of it was kept. What `then` raises is
        raised too, but then the work was committed. ``store.closed`` also comes when the thread
        has ended by a fault of ours, and only then the work may have been committed or not.
        """
        if self._closed:
            raise StoreError("store.closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put(_Job(work, durable, then, future))
        return await future

    async def apply(self, *changes: Change[Any]) -> None:
        """All of them in one durable transaction, or none. Raises as `run` does; each `then` is
        called, also when the one before it raised.
        """

        def work(connection: Connection) -> list[Any]:
            return [change.work(connection) for change in changes]

        def then(results: list[Any]) -> None:
            with contextlib.ExitStack() as calls:  # it goes on after one that raised, and raises
                for change, result in reversed(list(zip(changes, results, strict=True))):
                    calls.callback(change.then, result)

        await self.run(work, durable=True, then=then)

    def ride(self, work: Callable[[Connection], T], then: Callable[[T], None]) -> None:
        """Do `work` along with the next job, or alone after `PATIENCE_S`. Never waits."""
        if not self._closed:
            self._queue.put(_Job(work, durable=False, then=then, future=None))

    async def close(self) -> None:
        """Finish what was given, then close the connection. May be called twice."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def note_damage(self, error: Exception) -> None:
        """Have the file looked through at the next start, if `error` says that it is broken."""
        if not damaged(error):
            return
        try:
            self._on_damage()
        except Exception as refused:  # noqa: BLE001 - a failing card is read-only by now
            log.error("store: damaged, and that cannot be marked: %s", refused)  # noqa: TRY400

    # --- on the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        batch: list[_Job] = []
        more = True
        try:
            while more:
                batch, more = self._gather()
                outcomes = self._settle(batch)
                batch = []
                self._on_loop(_resolve, outcomes)
        except BaseException:
            log.exception("store: the thread that writes has ended")
            self._on_loop(self._abandon, batch)
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()

    def _gather(self) -> tuple[list[_Job], bool]:
        batch: list[_Job] = []
        until: float | None = None
        eager = False
        while len(batch) < GROUP:
            try:
                if eager:
                    job = self._queue.get_nowait()
                else:
                    left = None if until is None else max(0.0, until - time.monotonic())
                    job = self._queue.get(timeout=left)
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
            eager = eager or job.future is not None
            until = until or time.monotonic() + PATIENCE_S
        return batch, True

    def _settle(self, batch: Sequence[_Job]) -> list[_Outcome]:
        if not batch:
            return []
        try:
            results = self._transaction(batch)
        except BaseException as error:  # noqa: BLE001 - handed to the caller it belongs to
            if len(batch) > 1:
                return [outcome for job in batch for outcome in self._settle([job])]
            if isinstance(error, Exception):
                self.note_damage(error)
                error = refusal(error)
            if batch[0].future is None:
                log.warning("store: a line was not kept: %s", error)
            return [_Outcome(batch[0], None, error)]
        return [_Outcome(job, result, None) for job, result in zip(batch, results, strict=True)]

    def _transaction(self, batch: Sequence[_Job]) -> list[Any]:
        connection = self._connection
        durable = any(job.durable for job in batch)
        if durable != self._full_sync:
            level = "FULL" if durable else "NORMAL"
            connection.execute(f"PRAGMA synchronous = {level}").close()
            self._full_sync = durable
        with transaction(connection):
            results = [job.work(connection) for job in batch]
        self.commits += durable
        return results

    def _on_loop(self, function: Callable[[T], None], argument: T) -> None:
        # The loop may be closed when a process ends in a hurry: then nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, argument)

    # --- on the loop's thread ----------------------------------------------------------------

    def _abandon(self, batch: Sequence[_Job]) -> None:
        """Answer who still waits: nobody writes any more. On the loop's thread, where `run` looks
        at `_closed` and queues in one step, so that no job can slip in behind.
        """
        self._closed = True
        left = list(batch)
        with contextlib.suppress(queue.Empty):
            while True:
                job = self._queue.get_nowait()
                left += [] if job is None else [job]
        _resolve([_Outcome(job, None, StoreError("store.closed")) for job in left])


def _resolve(outcomes: Sequence[_Outcome]) -> None:
    for outcome in outcomes:
        job, error = outcome.job, outcome.error
        if error is None and job.then is not None:
            error = _raised_by(job.then, outcome.result)
        if job.future is None or job.future.done():
            continue
        if error is None:
            job.future.set_result(outcome.result)
        elif isinstance(error, StopIteration):  # which no future takes
            job.future.set_exception(RuntimeError(f"a job raised {error!r}"))
        else:
            job.future.set_exception(error)


def _raised_by(then: Callable[[Any], None], result: Any) -> BaseException | None:
    try:
        then(result)
    except BaseException as error:
        log.exception("store: kept, but what was to follow failed")
        return error
    return None

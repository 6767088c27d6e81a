"""Facts that Odoo does not have yet, in the order in which they happened.

The one rule: `put` returns when the fact is on the disk (fsync), and nothing but the bridge's word
lets a fact go. A row is kept 7 days after Odoo has it, for a bridge that lost its own disk.

Numbers: `seq` is taken inside the transaction that writes the row, so it has no gaps; it means
something only together with `epoch`, which is made with the store.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from devices import Value
from durable.errors import StoreFull
from durable.reserve import Reserve
from durable.writer import Connection, Writer
from mqtt.messages import Ack, Clock, Envelope, Message
from store.attachments import Attachments
from store.envelope import Draft, Ids, boot_id, now_ms, uptime_ms
from store.journal import Journal
from store.schema import get_meta, set_meta
from store.settling import (
    WAITING,
    Counts,
    Outcome,
    Settled,
    count,
    last_seq,
    purge,
    rewind,
    settle,
    settled,
)

_PURGE_EVERY_S = 3600
_NO_SEQ = 1 << 53
"""Numbers from here on are nobody's: JSON cannot even carry all of them."""
_ROW = "seq, id, kind, body, attachment"


@dataclass(frozen=True, slots=True)
class Row:
    """A fact to be sent: `body` is the exact bytes, `attachment` its photo while it exists."""

    seq: int
    id: str
    kind: str
    body: bytes
    attachment: Path | None


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How many facts wait for the bridge, are stored by it, were refused by Odoo."""

    waiting: int
    stored: int
    parked: int
    oldest_at: datetime | None
    """When the oldest waiting fact happened, as its station's clock had it."""


class Outbox:
    """Made by `Store.open`, with the two connections that it owns."""

    def __init__(
        self,
        writer: Writer,
        reader: sqlite3.Connection,
        attachments: Attachments,
        reserve: Reserve,
        journal: Journal,
        clock: Callable[[], Clock],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._attachments = attachments
        self._reserve = reserve
        self._journal = journal
        self._clock = clock
        self._boot = boot_id()
        self._ids = Ids()
        self._counts = count(reader)
        self._purge_at = 0.0
        self.undated = get_meta(reader, "undated") == self._boot
        """Facts of this boot were made before the clock was right, and no `clock` fact came since;
        also if another process of ours made them."""
        self.epoch = get_meta(reader, "epoch")
        self.last: Value[int] = Value(last_seq(reader))
        """The highest number that is on the disk."""
        self.settled: Value[Settled] = Value(settled(reader))
        self.trouble: Value[str] = Value("")
        """Catalogue key of why facts are refused now, such as ``store.full``; "" when they are
        taken."""

    async def put(self, kind: str, data: Message, *, attachment: bytes | None = None) -> Envelope:
        """Keep a fact. It happened now; it is on the disk when this returns.

        A caller that is cancelled meanwhile may have kept it. Raises `StoreFull`: it was not kept.
        """
        clock = self._clock()  # first: if it is set right now, a right time may be called wrong
        draft = Draft(
            id=self._ids.next(),
            at=now_ms(),
            clock=clock,
            boot=self._boot,
            up=uptime_ms(),
            kind=kind,
            data=data.model_dump(mode="json"),
        )
        try:
            envelope = await self._put(draft, attachment)
        except StoreFull as error:
            if error.key != "store.corrupted":
                self._reserve.release()
            if self.trouble.get() != error.key:
                self._journal.add("error", error.key)
            self.trouble.set(error.key)
            raise
        # One of the same group may have fitted in just before the reserve was given back.
        if self.trouble.get() and self._reserve.held:
            self._journal.add("info", "store.takes_again")
            self.trouble.set("")
        return envelope

    async def _put(self, draft: Draft, attachment: bytes | None) -> Envelope:
        if not self._reserve.hold():
            raise StoreFull(self.trouble.get() or "store.full")
        attached = attachment is not None
        undated = False if draft.kind == "clock" else True if draft.clock == "unsynced" else None
        if attachment is not None:
            await asyncio.to_thread(self._attachments.write, draft.id, attachment)

        def insert(connection: Connection) -> Envelope:
            envelope, body = draft.sealed(self.epoch, last_seq(connection) + 1)
            connection.execute(
                f"INSERT INTO outbox({_ROW}, since) VALUES(?, ?, ?, ?, ?, ?)",
                (envelope.seq, draft.id, draft.kind, body, attached, int(time.time())),
            )
            if undated is not None:
                set_meta(connection, "undated", draft.boot if undated else "")
            return envelope

        def committed(envelope: Envelope) -> None:
            self._counts += Counts(waiting=1, attached=int(attached))
            self.last.set(envelope.seq)
            if undated is not None:
                self.undated = undated

        try:
            return await self._writer.run(insert, durable=True, then=committed)
        except Exception:
            if attached:
                self._attachments.remove([draft.id])
            raise

    async def waiting(self, after: int, limit: int) -> list[Row]:
        """At most `limit` facts above `after` that the bridge has not stored, in order."""

        def read(connection: Connection) -> list[Row]:
            found = connection.execute(
                f"SELECT {_ROW} FROM outbox WHERE seq > ? AND state = ? "  # noqa: S608
                "ORDER BY seq LIMIT ?",
                (max(after, settled(connection).stored), WAITING, limit),
            )
            return [
                Row(seq, fact_id, kind, body, self._attachments.find(fact_id) if attached else None)
                for seq, fact_id, kind, body, attached in found
            ]

        return await self._writer.run(read)

    async def acknowledge(self, ack: Ack) -> None:
        """Take the bridge's word: cumulative, never backwards, ignored for another epoch.

        `ack.parked` is the whole list: a fact parked before and not in it any more, at or below
        `done`, is done. Raises `StoreFull`; then it may have been taken in part, and can be given
        again.
        """
        if ack.epoch != self.epoch or max(ack.stored, ack.done) >= _NO_SEQ:
            return

        def work(connection: Connection) -> Outcome:
            outcome = settle(connection, ack)
            self._purge(connection)
            return outcome

        def committed(outcome: Outcome) -> None:
            self._counts += outcome.change
            self.settled.set(outcome.settled)
            self.last.set(outcome.last)
            self._attachments.remove(outcome.released)
            if outcome.behind:
                self._journal.add("error", "store.behind")

        # A photo goes only when the disk says that its fact is done.
        durable = self._counts.attached > 0
        while (await self._writer.run(work, durable=durable, then=committed)).more:
            pass

    async def replay(self, first: int) -> int:
        """Let everything from `first` wait again, whatever became of it.

        Returns the lowest number that there is at or above `first` (one more than the last, if
        none): what lies below it is gone from here, and the bridge must accept the hole. A photo
        that was acknowledged is gone too; its fact comes without it.
        """

        def work(connection: Connection) -> tuple[int, Counts, Settled]:
            there = rewind(connection, min(max(first, 1), _NO_SEQ))
            return there, count(connection), settled(connection)

        def committed(result: tuple[int, Counts, Settled]) -> None:
            _, self._counts, now = result
            self.settled.set(now)

        there, _, _ = await self._writer.run(work, durable=True, then=committed)
        return there

    def status(self) -> OutboxStatus:
        counts = self._counts
        row = self._reader.execute(
            "SELECT body FROM outbox WHERE seq > ? AND state = ? ORDER BY seq LIMIT 1",
            (self.settled.get().stored, WAITING),
        ).fetchone()
        oldest = None if row is None else Envelope.model_validate_json(row[0]).at
        return OutboxStatus(counts.waiting, counts.stored, counts.parked, oldest)

    async def export(self) -> AsyncIterator[Envelope]:
        """Every fact that is still kept, done ones included, in order."""
        after = 0
        while True:

            def read(connection: Connection, after: int = after) -> list[tuple[int, bytes]]:
                return connection.execute(
                    "SELECT seq, body FROM outbox WHERE seq > ? ORDER BY seq LIMIT 500", (after,)
                ).fetchall()

            rows = await self._writer.run(read)
            for after, body in rows:  # noqa: B007 - the last one is where to go on
                yield Envelope.model_validate_json(body)
            if not rows:
                return

    def _purge(self, connection: Connection) -> None:
        if time.monotonic() >= self._purge_at:
            self._purge_at = time.monotonic() + _PURGE_EVERY_S
            purge(connection)

"""Facts that Odoo does not have yet, in the order in which they happened.

The one rule: `put` returns when the fact is on the disk (fsync), and nothing but the bridge's word
lets a fact go. A row is kept 7 days after Odoo has it, for a bridge that lost its own disk.

Numbers: `seq` is taken inside the transaction that writes the row, so it has no gaps; it means
something only together with its epoch (`store.epochs`), of which each start of the daemon has one
of its own. An epoch is sent only when the bridge has stored all older ones, because facts of one
person must not overtake each other.
"""

import asyncio
import logging
import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from devices import Value
from durable.errors import StoreError, StoreFull
from durable.reserve import Reserve
from durable.sqlite import checksum
from durable.writer import Connection, Writer
from mqtt.messages import Ack, Clock, Envelope, EpochKept, Message
from store import epochs
from store.age import Age
from store.attachments import Attachments
from store.documents import understood
from store.envelope import Draft, Ids, boot_id, now_ms, uptime_ms
from store.epochs import Epoch
from store.journal import Journal
from store.rows import Read, Row, read_rows
from store.schema import get_meta, place, set_meta
from store.settling import (
    HIGHEST,
    Counts,
    Outcome,
    count,
    purge,
    rewind,
    says_less,
    settle,
)

_PURGE_EVERY_S = 3600
RETELL_S = 10.0
"""A bridge that has forgotten something is told at most this often what is here."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutboxStatus:
    """How many facts wait for the bridge, are stored by it, were refused by Odoo."""

    waiting: int
    stored: int
    parked: int
    oldest_at: datetime | None
    """When the oldest waiting fact happened, as its station's clock had it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a word of the bridge's was good for."""

    progress: bool = False
    """It stored more than before."""
    news: bool = False
    """It moved anything at all."""
    less: bool = False
    """It has forgotten what it had."""


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
        *,
        closed: str = "",
    ) -> None:
        """`closed`: catalogue key of why no fact can be kept while this store is open; "" for an
        ordinary store.
        """
        self._writer = writer
        self._reader = reader
        self._attachments = attachments
        self._reserve = reserve
        self._journal = journal
        self._clock = clock
        self._closed = closed
        self._age = Age(reader)
        self._boot = boot_id()
        self._ids = Ids()
        self._counts = count(reader)
        self._purge_at = self._retell_at = 0.0
        self.undated = get_meta(reader, "undated") == self._boot
        """Facts of this boot were made before the clock was right, and no `clock` fact came since;
        also if another process of ours made them."""
        self.epoch = secrets.token_hex(8)
        """The name of this start's epoch, which begins with its first fact."""
        self.epochs: Value[Mapping[int, Epoch]] = Value(epochs.read(reader))
        """By number, oldest first: those of which something is still here."""
        self.last: Value[int] = Value(0)
        """The highest number of this start's epoch that is on the disk."""
        self.untold: Value[int] = Value(0)
        """Grows when the bridge should be told once more which epochs are here."""
        self.trouble: Value[str] = Value(closed)
        """Catalogue key of why facts are refused now, such as ``store.full``; "" when they are
        taken."""

    async def put(
        self,
        kind: str,
        data: Message,
        *,
        attachment: bytes | None = None,
    ) -> Envelope:
        """Keep a fact. It happened now; it is on the disk when this returns.

        A caller that is cancelled meanwhile may have kept it. Raises `StoreFull`: it was not kept.
        """
        if self._closed:
            raise StoreFull(self._closed)
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

        def insert(connection: Connection) -> tuple[Envelope, int]:
            number, seq = epochs.next_number(connection, self.epoch)
            envelope, body = draft.sealed(self.epoch, seq)
            connection.execute(
                "INSERT INTO outbox(n, id, kind, body, sum, attachment, since)"
                " VALUES(?, ?, ?, ?, ?, ?, ?)",
                (
                    place(number, seq),
                    draft.id,
                    draft.kind,
                    body,
                    checksum(body),
                    attached,
                    self._age(),
                ),
            )
            if undated is not None:
                set_meta(connection, "undated", draft.boot if undated else "")
            return envelope, number

        def committed(result: tuple[Envelope, int]) -> None:
            envelope, number = result
            self._counts += Counts(waiting=1, attached=int(attached))
            self._grown(number, envelope.seq)
            if undated is not None:
                self.undated = undated

        try:
            envelope, _ = await self._writer.run(insert, durable=True, then=committed)
        except StoreError:  # what else is raised may come after the fact was committed
            if attached:
                self._attachments.remove([draft.id])
            raise
        return envelope

    def _grown(self, number: int, seq: int) -> None:
        known = self.epochs.get()
        # Facts of one group are told in their order; the epoch is that of the last one.
        before = known.get(number) or Epoch(number, self.epoch, first=1, last=0)
        self.epochs.set({**known, number: before.grown(seq)})
        self.last.set(seq)
        if number not in known:
            self.untold.set(self.untold.get() + 1)

    async def waiting(self, after: int, limit: int) -> list[Row]:
        """At most `limit` facts behind the place `after` (a row's `n`) that the bridge has not
        stored, in order: those of the oldest epoch that it has not stored whole.

        A fact that the disk has lost comes as one of kind ``damaged`` under its number.
        """

        def read(connection: Connection) -> Read:
            epoch = epochs.to_send(connection)
            if epoch is None:
                return Read([])
            return read_rows(connection, epoch, after, limit, self._attachments.find)

        found = await self._writer.run(read)
        if found.lost:
            self._journal.add("error", "store.facts_damaged", {"count": str(found.lost)})
            log.error("%d facts are damaged on the disk; the bridge is told", found.lost)
        return found.rows

    async def acknowledge(self, ack: Ack) -> Taken:
        """Take the bridge's word: cumulative, never backwards, ignored for epochs that are not
        here.

        A parked fact that is not listed any more is done. Raises `StoreFull`; then it may have been
        taken in part, and can be given again.
        """
        before = self.epochs.get()
        less = says_less(before, ack)
        if less and time.monotonic() >= self._retell_at:
            self._retell_at = time.monotonic() + RETELL_S
            self.untold.set(self.untold.get() + 1)

        def work(connection: Connection) -> tuple[Outcome, Mapping[int, Epoch] | None]:
            outcome = settle(connection, ack, self._age())
            purged = self._purge(connection)
            return outcome, epochs.read(connection) if purged else None

        def committed(result: tuple[Outcome, Mapping[int, Epoch] | None]) -> None:
            outcome, everything = result
            self._counts += outcome.change
            if everything is None:
                everything = {**self.epochs.get(), **outcome.epochs}
            self.epochs.set(everything)
            self._attachments.remove(outcome.released)

        # A photo goes only when the disk says that its fact is done.
        durable = self._counts.attached > 0
        while (await self._writer.run(work, durable=durable, then=committed))[0].more:
            pass
        after = self.epochs.get()
        return Taken(
            progress=any(
                epoch.stored > before[number].stored
                for number, epoch in after.items()
                if number in before
            ),
            news=after != before,
            less=less,
        )

    async def replay(self, epoch: str, first: int) -> EpochKept | None:
        """Let everything of `epoch` from `first` on be sent again, also what Odoo had.

        Returns the epoch with, as its `first`, the lowest number that there is from there on (one
        more than the last, if none): what lies below it is gone from here, and the bridge must
        accept the hole. None: nothing of that epoch is here. A photo whose fact was done is gone
        too; its fact comes without it.
        """
        known = next((e for e in self.epochs.get().values() if e.name == epoch), None)
        if known is None:
            return None
        begin = min(max(first, 1), HIGHEST - 1)

        def work(connection: Connection) -> tuple[int, Counts, Mapping[int, Epoch]]:
            there = rewind(connection, known, begin, self._age())
            return there, count(connection), epochs.read(connection)

        def committed(result: tuple[int, Counts, Mapping[int, Epoch]]) -> None:
            _, self._counts, now = result
            self.epochs.set(now)

        there, _, now = await self._writer.run(work, durable=True, then=committed)
        return now[known.number].kept().model_copy(update={"first": there})

    def kept(self) -> tuple[EpochKept, ...]:
        """Every epoch of which something is here, oldest first. From any thread."""
        return tuple(epoch.kept() for epoch in self.epochs.get().values())

    def newest(self, kind: str, limit: int) -> list[Envelope]:
        """The last facts of a kind that are still here, newest first, delivered ones included."""
        rows = self._reader.execute(
            "SELECT body, sum FROM (SELECT n, kind, body, sum FROM outbox ORDER BY n DESC LIMIT ?)"
            " WHERE kind = ?",
            (limit, kind),
        )
        found = (
            understood(Envelope, body, "fact") for body, sum_ in rows if checksum(body) == sum_
        )
        return [envelope for envelope in found if envelope is not None]

    def status(self) -> OutboxStatus:
        counts = self._counts
        oldest = self._oldest_waiting()
        return OutboxStatus(
            counts.waiting, counts.stored, counts.parked, None if oldest is None else oldest.at
        )

    def _oldest_waiting(self) -> Envelope | None:
        for epoch in self.epochs.get().values():
            if epoch.stored < epoch.last:
                row = self._reader.execute(
                    "SELECT body FROM outbox WHERE n > ? ORDER BY n LIMIT 1",
                    (place(epoch.number, epoch.stored),),
                ).fetchone()
                return None if row is None else understood(Envelope, row[0], "a fact")
        return None

    async def export(self) -> AsyncIterator[Envelope]:
        """Every fact that is still kept and whole, done ones included, in order."""
        after = 0
        while True:

            def read(connection: Connection, after: int = after) -> list[tuple[int, bytes, bytes]]:
                return connection.execute(
                    "SELECT n, body, sum FROM outbox WHERE n > ? ORDER BY n LIMIT 500", (after,)
                ).fetchall()

            rows = await self._writer.run(read)
            for after, body, checked in rows:  # noqa: B007 - the last one is where to go on
                whole = checksum(body) == checked
                envelope = understood(Envelope, body, "a fact") if whole else None
                if envelope is not None:
                    yield envelope
            if not rows:
                return

    def _purge(self, connection: Connection) -> bool:
        """Once an hour; whether it was time."""
        if time.monotonic() < self._purge_at:
            return False
        self._purge_at = time.monotonic() + _PURGE_EVERY_S
        self._age.note(connection)
        purge(connection, self._age(), self.epoch)
        return True

"""What the stations told, kept until Odoo has it, and remembered afterwards.

The one rule: a fact's state changes in one transaction, together with what the bridge itself keeps
of it, so that a crash leaves it either to be applied or applied.

SQLite, written by one thread (`durable.writer`), so that the facts of several stations and what
became of those of several shops share an fsync; binary parts lie beside it as files. A folder has
one process at a time.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from bridge import clocks, epochs
from bridge.blobs import Blobs
from bridge.intake import Intake
from bridge.ledger import (
    LONGEST_UP_MS,
    Fact,
    Item,
    Key,
    ParkedFact,
    State,
    Station,
    Stored,
    Told,
    envelope_of,
    from_ms,
    one,
    row,
    to_ms,
)
from bridge.schema import DAMAGED, MIGRATIONS, open_writer
from bridge.strays import TroubleLog
from durable.errors import damaged
from durable.files import lock_folder
from durable.sqlite import checksum, connect_reader, refuse_newer, unreadable
from durable.writer import Writer
from mqtt.messages import Ack

Connection = sqlite3.Connection
EPOCHS_KEPT = timedelta(days=5 * 365)
"""How far an epoch came is remembered this long; it is a line of some hundred bytes a start."""
UNREADABLE = "the bridge's disk has changed this fact"


class Inbox:
    """Made by `open`. Every method raises `StoreError`, sqlite3.Error or OSError when the disk says
    no; then nothing of what was asked was done.
    """

    def __init__(self, folder: Path, connection: Connection, lock: int, min_free: int) -> None:
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self._lock = lock
        self._writer = Writer(connection, on_damage=(folder / DAMAGED).touch)
        self._intake = Intake(self.blobs, folder, min_free)
        self._trouble_log = TroubleLog()

    @classmethod
    async def open(cls, folder: Path, *, min_free_mb: int = 0) -> Self:
        """Lock `folder` and open (or make) its inbox.sqlite.

        Raises `StoreBusy` when another process has it, `StoreTooNew`, another `StoreError` when the
        file is damaged, OSError and sqlite3.Error.
        """
        lock = await asyncio.to_thread(lock_folder, folder)
        try:
            connection = await asyncio.to_thread(open_writer, folder)
            try:
                return cls(folder, connection, lock, min_free_mb * 1_000_000)
            except BaseException:
                connection.close()
                raise
        except BaseException:
            os.close(lock)
            raise

    async def close(self) -> None:
        await self._writer.close()
        os.close(self._lock)

    # --- taking in ------------------------------------------------------------------------

    async def store(self, items: Sequence[Item | Told], unanswered: Collection[Key] = ()) -> Stored:
        """See `Intake.store`; on return it is on the disk."""
        outcome, settled = await self._writer.run(
            lambda db: self._intake.store(db, items, unanswered), durable=True
        )
        gone = [
            (station, f"facts {first} to {last} are gone") for station, first, last in outcome.lost
        ]
        self._trouble_log.say([*gone, *outcome.strays])
        await self._drop_blobs(settled)
        return outcome

    # --- giving out -----------------------------------------------------------------------

    async def stations(self) -> list[Station]:
        sql = "SELECT DISTINCT site, station FROM streams"
        return await self._writer.run(lambda db: [Station(*found) for found in db.execute(sql)])

    async def leftovers(self) -> list[Station]:
        """Whose facts are on their way to Odoo."""
        sql = "SELECT DISTINCT site, station FROM facts WHERE state IN (0, 1)"
        return await self._writer.run(lambda db: [Station(*found) for found in db.execute(sql)])

    async def ack(self, station: Station) -> Ack:
        """See `epochs.ack`."""
        return await self._writer.run(lambda db: epochs.ack(db, station))

    async def waiting(
        self,
        site: str,
        limit: int,
        *,
        not_stations: Iterable[str] = (),
        not_kinds: Iterable[str] = (),
    ) -> list[Fact]:
        """The oldest facts that wait, at most `limit`, but for stations and kinds (of a station, as
        ``station/kind``) that rest.
        """
        without = json.dumps(list(not_stations)), json.dumps(list(not_kinds))

        def work(db: Connection) -> list[Fact]:
            rows = db.execute(
                "SELECT station, n, body, sum, received, tries FROM facts"
                " WHERE site = ? AND state = 0"
                " AND station NOT IN (SELECT value FROM json_each(?))"
                " AND station || '/' || kind NOT IN (SELECT value FROM json_each(?))"
                " ORDER BY n LIMIT ?",
                (site, *without, limit),
            ).fetchall()
            found = [_fact(db, Station(site, station), *found) for station, *found in rows]
            return [fact for fact in found if fact is not None]

        return await self._writer.run(work)

    # --- what became of it ----------------------------------------------------------------

    async def done(self, facts: Iterable[tuple[Fact, Mapping[str, Any] | None]]) -> None:
        """Odoo has them; or, with a record, the bridge itself keeps it, in the same transaction."""
        facts = list(facts)

        def work(db: Connection) -> None:
            for fact, record in facts:
                if record is not None:
                    _keep(db, fact, record)
                db.execute(
                    "UPDATE facts SET state = ?, listed = 0, why = '', detail = '' WHERE n = ?",
                    (State.DONE, fact.n),
                )

        await self._writer.run(work, durable=True)
        await self._drop_blobs([fact.id for fact, _ in facts if fact.kind == "photo"])

    async def park(self, fact: Fact, why: str, detail: str = "") -> None:
        """Odoo refuses it: it is listed until a person has seen to it. Nothing happens to a fact
        that does not wait any more.
        """
        await self._writer.run(
            lambda db: db.execute(
                "UPDATE facts SET state = ?, listed = 1, why = ?, detail = ?"
                " WHERE n = ? AND state = 0",
                (State.PARKED, why, detail, fact.n),
            ).close(),
            durable=True,
        )

    async def hold(self, fact: Fact) -> None:
        """Keep a fact back until its time is known, or never will be.

        What decides that may have come since the fact was looked at, and comes only once: then the
        fact goes on waiting, and is looked at again.
        """

        def work(db: Connection) -> None:
            dated = clocks.date(db, fact.station, fact.envelope, fact.received).dated
            if not dated and clocks.datable(db, fact.station, fact.envelope):
                sql = "UPDATE facts SET state = ? WHERE n = ? AND state = 0"
                db.execute(sql, (State.HELD, fact.n))

        await self._writer.run(work)

    async def tried(self, fact: Fact) -> None:
        sql = "UPDATE facts SET tries = tries + 1 WHERE n = ?"
        await self._writer.run(lambda db: db.execute(sql, (fact.n,)).close())

    async def _drop_blobs(self, facts: Collection[str]) -> None:
        """In a job of its own, so that the files go after COMMIT."""
        if facts:
            await self._writer.run(lambda db: self.blobs.settled(db, facts))

    # --- for a person ---------------------------------------------------------------------

    async def parked(self) -> list[ParkedFact]:
        return await self._writer.run(_parked)

    async def retry(self, fact_id: str) -> Station | None:
        """Let a parked fact be applied again; it stays listed until Odoo has it. None when no such
        fact is parked.
        """
        return await self._unpark(fact_id, State.WAITING, listed=True)

    async def drop(self, fact_id: str) -> Station | None:
        """Give a parked fact up; None when no such fact is parked."""
        station = await self._unpark(fact_id, State.DROPPED, listed=False)
        if station is not None:
            await self._drop_blobs([fact_id])
        return station

    async def _unpark(self, fact_id: str, state: State, *, listed: bool) -> Station | None:
        def work(db: Connection) -> Station | None:
            found = row(
                db,
                "UPDATE facts SET state = ?, tries = 0, listed = ?, detail = ''"
                " WHERE id = ? AND state = 3 RETURNING site, station",
                state,
                listed,
                fact_id,
            )
            return Station(*found) if found else None

        return await self._writer.run(work, durable=True)

    async def counts(self, site: str) -> dict[str, int]:
        """How many facts of a site are in which state, and what needs a person."""

        def work(db: Connection) -> dict[str, int]:
            found = dict(
                db.execute(
                    "SELECT state, count(*) FROM facts WHERE site = ? GROUP BY state", (site,)
                )
            )
            counts = {state.name.lower(): found.get(state, 0) for state in State}
            counts["strays"] = one(db, "SELECT count(*) FROM strays WHERE site = ?", site)
            counts["holes"] = one(
                db, "SELECT count(*) FROM holes JOIN streams USING (stream) WHERE site = ?", site
            )
            return counts

        return await self._writer.run(work)

    async def prune(self, keep_days: int) -> None:
        """Forget settled facts, records, strays and epochs older than that, and unclaimed blobs."""
        before = datetime.now(UTC) - timedelta(days=keep_days)

        def work(db: Connection) -> set[str]:
            settled = "DELETE FROM facts WHERE state IN (2, 4) AND received < ?"
            db.execute(settled, (to_ms(before),))
            # Not by its own time: before a station's clock is right, that is any time at all.
            db.execute("DELETE FROM record WHERE id NOT IN (SELECT id FROM facts)")
            db.execute("DELETE FROM strays WHERE received < ?", (to_ms(before),))
            # Not with their facts: a card's image that is put back after a year sends facts of that
            # time, of which only this row says that Odoo had them.
            ended = to_ms(datetime.now(UTC) - EPOCHS_KEPT) * 1_000_000
            db.execute(
                "DELETE FROM holes WHERE stream IN (SELECT stream FROM streams"
                " WHERE closed = 1 AND heard < ?)",
                (ended,),
            )
            db.execute(
                "DELETE FROM streams WHERE closed = 1 AND heard < ?"
                " AND stream NOT IN (SELECT stream FROM facts)"
                " AND stream NOT IN (SELECT stream FROM holes)",
                (ended,),
            )
            return self.blobs.forget(db)

        needed = await self._writer.run(work)
        await asyncio.to_thread(self.blobs.prune, needed)


def parked_in(folder: Path) -> list[ParkedFact]:
    """The parked facts of an inbox that another process may be using; nothing is written.

    Raises `StoreError` for a file that is damaged or of a newer bridge, sqlite3.Error and OSError.
    """
    path = folder / "inbox.sqlite"
    path.stat()  # whose error says more than SQLite's
    try:
        with closing(connect_reader(path)) as reader:
            refuse_newer(reader, len(MIGRATIONS))
            return _parked(reader)
    except sqlite3.Error as error:
        if damaged(error):
            raise unreadable(path, error) from error
        raise


def _parked(db: Connection) -> list[ParkedFact]:
    rows = db.execute(
        "SELECT id, site, station, seq, kind, received, why, detail FROM facts WHERE state = 3"
        " ORDER BY n"
    )
    return [
        ParkedFact(fact, Station(site, station), seq, kind, from_ms(received), why, detail)
        for fact, site, station, seq, kind, received, why, detail in rows
    ]


def _fact(
    db: Connection,
    station: Station,
    n: int,
    body: bytes,
    checked: bytes,
    received_ms: int,
    tries: int,
) -> Fact | None:
    """None, and parked, when its bytes are not what was stored: a flipped bit may have made another
    person's badge of it.
    """
    envelope, received = envelope_of(body), from_ms(received_ms)
    if envelope is None or checksum(body) != checked:
        sql = "UPDATE facts SET state = ?, listed = 1, why = ? WHERE n = ?"
        db.execute(sql, (State.PARKED, UNREADABLE, n))
        return None
    date = clocks.date(db, station, envelope, received)
    return Fact(
        n=n,
        id=envelope.id,
        station=station,
        kind=envelope.kind,
        envelope=envelope,
        received=received,
        at=date.at,
        dated=date.dated,
        datable=clocks.datable(db, station, envelope),
        ahead=date.ahead,
        tries=tries,
    )


def _keep(db: Connection, fact: Fact, record: Mapping[str, Any]) -> None:
    # Its clock fact may have come since it was looked at, and repairs only what is there.
    date = clocks.date(db, fact.station, fact.envelope, fact.received)
    clock: str = fact.envelope.clock
    if not date.dated:
        clock = "unsynced"
    elif clock == "unsynced":
        clock = "repaired"
    db.execute(
        "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            fact.id,
            fact.station.site,
            fact.station.name,
            fact.kind,
            fact.envelope.boot,
            min(max(fact.envelope.up, 0), LONGEST_UP_MS),
            clock,
            to_ms(date.at),
            json.dumps(record, ensure_ascii=False),
        ),
    )

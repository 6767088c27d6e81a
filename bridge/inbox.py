"""What the stations told, kept until Odoo has it, and remembered afterwards.

The one rule: a fact's state changes in one transaction, together with what the bridge itself keeps
of it, so that a crash leaves it either to be applied or applied.

SQLite, used from one thread; binary parts lie beside it as files. `retry` and `drop` may be called
by another process while the bridge runs: `changed_elsewhere` tells it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridge.blobs import Blobs
from bridge.intake import Intake
from bridge.ledger import (
    LONGEST_UP_MS,
    Fact,
    Item,
    Ledger,
    ParkedFact,
    State,
    Station,
    Stored,
    from_ms,
    to_ms,
)
from mqtt.messages import Ack, Envelope, Parked

PARKED_TOLD = 1000
"""Some 150 KB."""


class Inbox:
    """Opens (and makes) `folder`/inbox.sqlite."""

    def __init__(self, folder: Path, *, min_free_mb: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._ledger = Ledger(folder / "inbox.sqlite")
        self.blobs = Blobs(folder / "blobs")
        self._intake = Intake(self._ledger, self.blobs, folder, min_free_mb * 1_000_000)
        self._data_version = self._ledger.one("PRAGMA data_version")

    def close(self) -> None:
        self._ledger.close()

    def store(self, items: Sequence[Item]) -> Stored:
        """See `Intake.store`."""
        return self._intake.store(items)

    def hole(self, station: Station, epoch: str, first: int) -> bool:
        """See `Intake.hole`."""
        return self._intake.hole(station, epoch, first)

    # --- giving out -----------------------------------------------------------------------

    def stations(self) -> list[Station]:
        return [
            Station(*row)
            for row in self._ledger.execute("SELECT DISTINCT site, station FROM streams")
        ]

    def ack(self, station: Station) -> Ack | None:
        """What the station is told; about the store that was heard of last.

        Of its parked facts it is told the newest: a broker must take the message.
        """
        row = self._ledger.row(
            "SELECT stream, epoch, stored FROM streams WHERE site = ? AND station = ?"
            " ORDER BY heard DESC LIMIT 1",
            station.site,
            station.name,
        )
        if row is None:
            return None
        stream, epoch, stored = row
        unsettled = self._ledger.one(
            "SELECT min(seq) FROM facts WHERE stream = ? AND state IN (0, 1)", stream
        )
        parked = self._ledger.execute(
            "SELECT seq, id, why FROM (SELECT * FROM facts WHERE stream = ? AND state = 3"
            " ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            (stream, PARKED_TOLD),
        )
        return Ack(
            epoch=epoch,
            stored=stored,
            done=stored if unsettled is None else unsettled - 1,
            parked=tuple(Parked(seq=seq, id=fact, why=why) for seq, fact, why in parked),
        )

    def waiting(
        self,
        site: str,
        limit: int,
        *,
        not_stations: Iterable[str] = (),
        not_kinds: Iterable[str] = (),
    ) -> list[Fact]:
        """The oldest facts that wait, at most `limit`, but for stations and kinds that rest."""
        rows = self._ledger.execute(
            "SELECT station, n, body, tries FROM facts WHERE site = ? AND state = 0"
            " AND station NOT IN (SELECT value FROM json_each(?))"
            " AND kind NOT IN (SELECT value FROM json_each(?)) ORDER BY n LIMIT ?",
            (site, json.dumps(list(not_stations)), json.dumps(list(not_kinds)), limit),
        ).fetchall()
        return [self._fact(Station(site, station), *row) for station, *row in rows]

    def _fact(self, where: Station, n: int, body: bytes, tries: int) -> Fact:
        envelope = Envelope.model_validate_json(body)
        at, dated = self._date(where, envelope)
        datable = self._datable(where, envelope)
        return Fact(n, envelope.id, where, envelope.kind, envelope, at, dated, datable, tries)

    def _datable(self, station: Station, envelope: Envelope) -> bool:
        """Whether the station is still in the boot of this fact: its clock fact may come.

        Perhaps from a newer store: a store can be replaced within a boot.
        """
        current = self._ledger.one(
            "SELECT boot FROM streams WHERE site = ? AND station = ? AND boot != ''"
            " ORDER BY heard DESC LIMIT 1",
            station.site,
            station.name,
        )
        return bool(envelope.boot == current)

    def _date(self, station: Station, envelope: Envelope) -> tuple[datetime, bool]:
        if envelope.clock != "unsynced":
            return envelope.at, True
        row = self._ledger.row(
            "SELECT up, at FROM clocks WHERE site = ? AND station = ? AND boot = ?",
            station.site,
            station.name,
            envelope.boot,
        )
        if row is None or not 0 <= envelope.up <= LONGEST_UP_MS:
            return envelope.at, False
        return from_ms(row[1] - (row[0] - envelope.up)), True

    # --- what became of it ----------------------------------------------------------------

    def done(self, facts: Iterable[tuple[Fact, Mapping[str, Any] | None]]) -> None:
        """Odoo has them; or, with a record, the bridge itself keeps it, in the same transaction."""
        facts = list(facts)
        with self._ledger.transaction():
            for fact, record in facts:
                if record is not None:
                    self._keep(fact, record)
                self._settle(fact.n, State.DONE)
        for fact, _ in facts:
            self.blobs.drop(fact.id)

    def _keep(self, fact: Fact, record: Mapping[str, Any]) -> None:
        # Its clock fact may have come since it was looked at, and repairs only what is there.
        at, dated = self._date(fact.station, fact.envelope)
        clock: str = fact.envelope.clock
        if clock == "unsynced" and dated:
            clock = "repaired"
        self._ledger.execute(
            "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                fact.id,
                fact.station.site,
                fact.station.name,
                fact.kind,
                fact.envelope.boot,
                min(max(fact.envelope.up, 0), LONGEST_UP_MS),
                clock,
                to_ms(at),
                json.dumps(record, ensure_ascii=False),
            ),
        )

    def park(self, fact: Fact, why: str, detail: str = "") -> None:
        self._settle(fact.n, State.PARKED, why, detail)

    def hold(self, fact: Fact) -> None:
        """Keep a fact back until its time is known, or never will be.

        What decides that may have come since the fact was looked at, and comes only once: then the
        fact goes on waiting, and is looked at again.
        """
        _, dated = self._date(fact.station, fact.envelope)
        if not dated and self._datable(fact.station, fact.envelope):
            self._settle(fact.n, State.HELD)

    def tried(self, fact: Fact) -> None:
        self._ledger.execute("UPDATE facts SET tries = tries + 1 WHERE n = ?", (fact.n,))

    def _settle(self, n: int, state: State, why: str = "", detail: str = "") -> None:
        self._ledger.execute(
            "UPDATE facts SET state = ?, why = ?, detail = ? WHERE n = ?", (state, why, detail, n)
        )

    # --- for a person ---------------------------------------------------------------------

    def parked(self) -> list[ParkedFact]:
        rows = self._ledger.execute(
            "SELECT id, site, station, seq, kind, received, why, detail FROM facts"
            " WHERE state = 3 ORDER BY n"
        )
        return [
            ParkedFact(fact, Station(site, station), seq, kind, from_ms(received), why, detail)
            for fact, site, station, seq, kind, received, why, detail in rows
        ]

    def retry(self, fact_id: str) -> bool:
        """Let a parked fact be applied again; False when no such fact is parked."""
        return self._unpark(fact_id, State.WAITING)

    def drop(self, fact_id: str) -> bool:
        """Give a parked fact up; False when no such fact is parked."""
        if not self._unpark(fact_id, State.DROPPED):
            return False
        self.blobs.drop(fact_id)
        return True

    def _unpark(self, fact_id: str, state: State) -> bool:
        changed = self._ledger.execute(
            "UPDATE facts SET state = ?, tries = 0, why = '', detail = ''"
            " WHERE id = ? AND state = 3",
            (state, fact_id),
        )
        return changed.rowcount == 1

    def changed_elsewhere(self) -> bool:
        """Whether another process wrote since this was last asked."""
        before, self._data_version = self._data_version, self._ledger.one("PRAGMA data_version")
        return bool(before != self._data_version)

    def counts(self, site: str) -> dict[str, int]:
        """How many facts of a site are in which state, and what needs a person."""
        found = dict(
            self._ledger.execute(
                "SELECT state, count(*) FROM facts WHERE site = ? GROUP BY state", (site,)
            )
        )
        counts = {state.name.lower(): found.get(state, 0) for state in State}
        counts["strays"] = self._ledger.one("SELECT count(*) FROM strays WHERE site = ?", site)
        counts["holes"] = self._ledger.one(
            "SELECT count(*) FROM holes JOIN streams USING (stream) WHERE site = ?", site
        )
        return counts

    def prune(self, keep_days: int) -> None:
        """Forget settled facts, records and strays older than that, and blobs nobody claimed."""
        before = to_ms(datetime.now(UTC) - timedelta(days=keep_days))
        with self._ledger.transaction():
            self._ledger.execute(
                "DELETE FROM facts WHERE state IN (2, 4) AND received < ?", (before,)
            )
            # Not by its own time: before a station's clock is right, that is any time at all.
            self._ledger.execute("DELETE FROM record WHERE id NOT IN (SELECT id FROM facts)")
            self._ledger.execute("DELETE FROM strays WHERE received < ?", (before,))
        kept = {
            row[0] for row in self._ledger.execute("SELECT id FROM facts WHERE state IN (0, 1, 3)")
        }
        self.blobs.prune(kept)

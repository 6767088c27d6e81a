"""How far each epoch of a station has come, on both sides.

The one rule: a number that the station knows to be done is never applied again, and nothing that
Odoo lacks is ever called done.

Everything here happens in a transaction of the inbox. A row of `streams` is one epoch; it is closed
when the bridge has brought all of it to Odoo and the station's own list says so too.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.ledger import HIGHEST, Gap, Station, Stored, Told, one, row, to_ms, valid_epoch
from mqtt.messages import Ack, EpochAck, EpochKept, Parked

PARKED_TOLD = 1000
"""Parked facts in an ack: some 150 KB, because a broker must take the message."""
OPEN = 500
"""Epochs of a station that are not settled. An honest one has a few; without a bound one that
invents them would make its ack and the tables grow for ever.
"""
TOLD_PARKED = 10_000
"""Numbers of parked facts that are believed of one epoch."""


@dataclass(frozen=True, slots=True)
class Stream:
    stream: int
    stored: int
    told_done: int
    told_parked: frozenset[int]

    def known_done(self, seq: int) -> bool:
        """Whether Odoo had this fact already, says its station."""
        return seq <= self.told_done and seq not in self.told_parked


def find(connection: sqlite3.Connection, station: Station, epoch: str) -> Stream | None:
    found = row(
        connection,
        "SELECT stream, stored, told_done, told_parked FROM streams"
        " WHERE site = ? AND station = ? AND epoch = ?",
        station.site,
        station.name,
        epoch,
    )
    if found is None:
        return None
    stream, stored, done, parked = found
    return Stream(stream, stored, done, frozenset(json.loads(parked)))


def opened(
    connection: sqlite3.Connection, station: Station, epoch: str, outcome: Stored
) -> Stream | None:
    """The epoch, begun if it is new, and open. None when its station has too many."""
    stream = find(connection, station, epoch)
    now = time.time_ns()
    if stream is not None:
        outcome.touched.add(stream.stream)
        connection.execute(
            "UPDATE streams SET heard = ?, closed = 0 WHERE stream = ?", (now, stream.stream)
        )
        return stream
    if station in outcome.crowded or not _has_room(connection, station, outcome):
        return None
    connection.execute(
        "INSERT INTO streams (site, station, epoch, heard) VALUES (?, ?, ?, ?)",
        (station.site, station.name, epoch, now),
    )
    begun = find(connection, station, epoch)
    assert begun is not None
    outcome.touched.add(begun.stream)
    return begun


def _has_room(connection: sqlite3.Connection, station: Station, outcome: Stored) -> bool:
    """Whether one more epoch of this station may be opened; one that is done here makes room. (If
    the station does not know yet that it is, it lists it, which opens it again.)

    Looked at once in a batch, because a station that invents epochs does so by the thousand.
    """
    count = "SELECT count(*) FROM streams WHERE site = ? AND station = ? AND closed = 0"
    if one(connection, count, station.site, station.name) < OPEN:
        return True
    outcome.crowded.add(station)
    ended = next((known for known in _open(connection, station) if known.settled), None)
    if ended is not None:
        _close(connection, station, ended, outcome)
    return ended is not None


@dataclass(frozen=True, slots=True)
class _Open:
    """An epoch that is not closed. `waits`: its first number that is neither done nor listed."""

    stream: int
    epoch: str
    stored: int
    waits: int | None
    listed: bool

    @property
    def settled(self) -> bool:
        """All that is here of it is in Odoo, or was dropped by a person."""
        return self.waits is None and not self.listed


def _open(connection: sqlite3.Connection, station: Station) -> list[_Open]:
    """In the order in which they were first heard of."""
    return [
        _Open(*found)
        for found in connection.execute(
            "SELECT stream, epoch, stored, (SELECT seq FROM facts WHERE stream = s.stream"
            " AND state IN (0, 1) AND listed = 0 ORDER BY seq LIMIT 1),"
            " EXISTS (SELECT 1 FROM facts WHERE stream = s.stream AND listed = 1)"
            " FROM streams AS s WHERE site = ? AND station = ? AND closed = 0 ORDER BY stream",
            (station.site, station.name),
        )
    ]


def _close(connection: sqlite3.Connection, station: Station, ended: _Open, outcome: Stored) -> None:
    connection.execute("DELETE FROM streams WHERE stream = ? AND stored = 0", (ended.stream,))
    connection.execute("UPDATE streams SET closed = 1 WHERE stream = ?", (ended.stream,))
    outcome.gaps[station, ended.epoch] = None


# --- what the station says ----------------------------------------------------------------------


def hear(connection: sqlite3.Connection, told: Told, outcome: Stored) -> list[str]:
    """Take what a station says of its epochs. Returns the ids of facts that are done by that."""
    station, done = told.station, list[str]()
    listed = {kept.epoch: kept for kept in told.epochs[-OPEN:] if _sane(kept)}
    if not told.replay:
        _close_settled(connection, station, listed, outcome)  # makes room for new ones
    for kept in listed.values():
        done += _hear_one(connection, told, kept, outcome)
    if not told.replay:
        _close_settled(connection, station, listed, outcome)
    outcome.heard.add(station)
    return done


def _sane(kept: EpochKept) -> bool:
    numbers = (kept.first, kept.last, kept.done)
    return valid_epoch(kept.epoch) and all(0 <= number <= HIGHEST for number in numbers)


def _hear_one(
    connection: sqlite3.Connection, told: Told, kept: EpochKept, outcome: Stored
) -> list[str]:
    station = told.station
    stream = find(connection, station, kept.epoch)
    if stream is None:
        if kept.done >= kept.last and not kept.parked and not told.replay:
            return []  # the station knows that it is settled: there is nothing to do
        stream = opened(connection, station, kept.epoch, outcome)
        if stream is None:
            return []
    outcome.touched.add(stream.stream)
    stream = _merge(connection, stream, kept)
    ids = _settle_known(connection, station, stream)
    key, stored = (station, kept.epoch), stream.stored
    if kept.first - 1 > stored:
        stored = kept.first - 1
        pass_over(connection, station, stream, stored, outcome)
        outcome.gaps[key] = None
    if kept.last > stored:
        outcome.gaps[key] = Gap(station, kept.epoch, stored + 1)
    return ids


def _merge(connection: sqlite3.Connection, stream: Stream, kept: EpochKept) -> Stream:
    """Remember what is done. Of two lists both are right: what is done stays done, so the older one
    may only say less.
    """
    parked, done = sorted(number for number in kept.parked if 0 < number <= kept.done), kept.done
    if len(parked) > TOLD_PARKED:
        parked, done = parked[:TOLD_PARKED], parked[TOLD_PARKED] - 1
    said = Stream(stream.stream, stream.stored, done, frozenset(parked))
    still = {
        number
        for number in stream.told_parked | said.told_parked
        if not stream.known_done(number) and not said.known_done(number)
    }
    merged = Stream(stream.stream, stream.stored, max(done, stream.told_done), frozenset(still))
    if merged != stream:
        connection.execute(
            "UPDATE streams SET told_done = ?, told_parked = ? WHERE stream = ?",
            (merged.told_done, json.dumps(sorted(still)), stream.stream),
        )
    return merged


def _settle_known(connection: sqlite3.Connection, station: Station, stream: Stream) -> list[str]:
    """Facts that wait here although Odoo had them: this folder is an older copy.

    A parked fact which the ack had no room for is unknown to the station, whose word then says
    nothing about it.
    """
    if stream.told_done == 0:
        return []
    listed_from = _listed_from(connection, station).get(stream.stream, 1)
    return [
        fact_id
        for (fact_id,) in connection.execute(
            "UPDATE facts SET state = 2, listed = 0, why = '', detail = '' WHERE stream = ?"
            " AND state IN (0, 1, 3) AND seq <= ? AND (listed = 0 OR seq >= ?)"
            " AND seq NOT IN (SELECT value FROM json_each(?)) RETURNING id",
            (
                stream.stream,
                stream.told_done,
                listed_from,
                json.dumps(sorted(stream.told_parked)),
            ),
        ).fetchall()
    ]


def _close_settled(
    connection: sqlite3.Connection,
    station: Station,
    listed: dict[str, EpochKept],
    outcome: Stored,
) -> None:
    for kept in listed.values():
        if kept.done < kept.last or kept.parked:  # it lacks our word: let the ack give it
            connection.execute(
                "UPDATE streams SET closed = 0 WHERE site = ? AND station = ? AND epoch = ?"
                " AND closed = 1",
                (station.site, station.name, kept.epoch),
            )
    for known in _open(connection, station):
        of_it = listed.get(known.epoch)
        if of_it and (of_it.done < of_it.last or of_it.parked or known.stored < of_it.last):
            continue
        if known.settled:
            _close(connection, station, known, outcome)


def pass_over(
    connection: sqlite3.Connection, station: Station, stream: Stream, last: int, outcome: Stored
) -> None:
    """The station has nothing any more from the next number up to `last`. What Odoo had of that is
    no loss; the rest is a hole, which is told.
    """
    gone = range(stream.stored + 1, last + 1)
    unsettled = {number for number in stream.told_parked if number in gone}
    if stream.told_done < last:
        unsettled |= {max(gone[0], stream.told_done + 1), last}
    if unsettled:
        first, end = min(unsettled), max(unsettled)
        connection.execute(
            "INSERT INTO holes VALUES (?, ?, ?, ?)",
            (stream.stream, first, end, to_ms(datetime.now(UTC))),
        )
        outcome.lost.append((station, first, end))
    connection.execute(
        "UPDATE streams SET stored = ?, tries = 0 WHERE stream = ?", (last, stream.stream)
    )


# --- what the bridge says -----------------------------------------------------------------------


def ack(connection: sqlite3.Connection, station: Station) -> Ack:
    """What the station is told: of each epoch that is not settled on both sides."""
    by_stream: dict[int, list[Parked]] = {}
    for stream, seq, fact_id, why in reversed(_listed(connection, station)):
        by_stream.setdefault(stream, []).append(Parked(seq=seq, id=fact_id, why=why))
    listed_from = _listed_from(connection, station)
    return Ack(
        epochs=tuple(
            EpochAck(
                epoch=known.epoch,
                stored=known.stored,
                done=known.stored if known.waits is None else known.waits - 1,
                parked=tuple(by_stream.get(known.stream, ())),
                listed_from=listed_from.get(known.stream, 1),
            )
            for known in _open(connection, station)
        )
    )


def _listed(connection: sqlite3.Connection, station: Station) -> list[tuple[int, int, str, str]]:
    """(stream, number, id, why) of the parked facts that are told: the newest, newest first."""
    return connection.execute(
        "SELECT stream, seq, id, why FROM facts WHERE site = ? AND station = ? AND listed = 1"
        " ORDER BY n DESC LIMIT ?",
        (station.site, station.name, PARKED_TOLD),
    ).fetchall()


def _listed_from(connection: sqlite3.Connection, station: Station) -> dict[int, int]:
    """By stream, the number from which on its parked facts are told; of other streams all are."""
    where = (station.site, station.name)
    oldest_told = one(
        connection,
        "SELECT n FROM facts WHERE site = ? AND station = ? AND listed = 1"
        " ORDER BY n DESC LIMIT 1 OFFSET ?",
        *where,
        PARKED_TOLD - 1,
    )
    untold: Iterable[tuple[int, int]] = connection.execute(
        "SELECT stream, max(seq) FROM facts WHERE site = ? AND station = ? AND listed = 1"
        " AND n < ? GROUP BY stream",
        (*where, oldest_told or 0),
    ).fetchall()
    return {stream: seq + 1 for stream, seq in untold}

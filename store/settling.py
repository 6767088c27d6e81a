"""What the bridge's word does to the rows of the outbox.

The one rule: cumulative and never backwards. `stored` ends the resending, `done` lets go, `parked`
keeps the fact for a person; only `rewind` (the bridge lost its disk) makes facts wait again.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from durable.writer import Connection
from mqtt.messages import Ack, Envelope
from store.schema import get_meta, set_meta

WAITING, STORED, DONE, PARKED = range(4)
KEEP_S = 7 * 24 * 3600
_STEP = 500
"""Rows changed in one transaction, so that a long acknowledgement fits on a full disk too and holds
no fact up."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How far the bridge's word goes: it has everything up to `stored`, Odoo up to `done`."""

    stored: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many facts are in which state; `attached`: with a photo that Odoo does not have yet."""

    waiting: int = 0
    stored: int = 0
    parked: int = 0
    attached: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.waiting + other.waiting,
            self.stored + other.stored,
            self.parked + other.parked,
            self.attached + other.attached,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an acknowledgement changed."""

    settled: Settled
    last: int
    change: Counts
    released: tuple[str, ...] = ()
    """Ids of the facts whose photos may go now."""
    more: bool = False
    """There is more to apply: call again."""
    behind: bool = False
    """The bridge has more of this store's facts than the store: its disk forgot some, or is a copy
    of an older one."""


def last_seq(connection: Connection) -> int:
    """The highest number ever given."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return 0 if row is None else int(row[0])


def settled(connection: Connection) -> Settled:
    return Settled(int(get_meta(connection, "stored", "0")), int(get_meta(connection, "done", "0")))


def count(connection: Connection) -> Counts:
    """Looks at every row: for the start and for `rewind`."""
    states: Mapping[int, int] = dict(
        connection.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall()
    )
    (attached,) = connection.execute(
        "SELECT count(*) FROM outbox WHERE attachment = 1 AND state != ?", (DONE,)
    ).fetchone()
    return Counts(
        states.get(WAITING, 0), states.get(STORED, 0), states.get(PARKED, 0), int(attached)
    )


def settle(connection: Connection, ack: Ack) -> Outcome:
    """Apply an acknowledgement of this store's epoch, or a part of it (`Outcome.more`)."""
    last = last_seq(connection)
    behind = max(ack.stored, ack.done) > last
    was = settled(connection)
    if behind:
        last = _number_anew(connection, was.stored, max(ack.stored, ack.done))
    told = Settled(max(was.stored, ack.stored, ack.done), max(was.done, ack.done))
    now = Settled(
        _step(connection, was.stored, told.stored), _step(connection, was.done, told.done)
    )
    change, released = _park(connection, ack, now.done)
    change += Counts(waiting=-_move(connection, WAITING, DONE, was.done, now.done))
    change += Counts(stored=-_move(connection, STORED, DONE, was.done, now.done))
    moved = _move(connection, WAITING, STORED, was.stored, now.stored)
    change += Counts(waiting=-moved, stored=moved)
    done = connection.execute(
        "SELECT id FROM outbox WHERE attachment = 1 AND state = ? AND seq > ? AND seq <= ?",
        (DONE, was.done, now.done),
    )
    released |= {fact_id for (fact_id,) in done}
    _remember(connection, now)
    return Outcome(
        now,
        last,
        change + Counts(attached=-len(released)),
        tuple(released),
        more=now != told,
        behind=behind,
    )


def rewind(connection: Connection, first: int) -> int:
    """Let everything from `first` wait again. Returns the lowest number there is from there on."""
    connection.execute(
        "UPDATE outbox SET state = ?, since = ?, why = '' WHERE seq >= ?",
        (WAITING, _now(), first),
    )
    was, below = settled(connection), max(first - 1, 0)
    _remember(connection, Settled(min(was.stored, below), min(was.done, below)))
    (lowest,) = connection.execute(
        "SELECT min(seq) FROM outbox WHERE seq >= ?", (first,)
    ).fetchone()
    return int(lowest) if lowest is not None else max(first, last_seq(connection) + 1)


def purge(connection: Connection) -> None:
    """Forget what Odoo has had for 7 days. Nothing else is ever deleted."""
    connection.execute("DELETE FROM outbox WHERE state = ? AND since < ?", (DONE, _now() - KEEP_S))


def _step(connection: Connection, above: int, told: int) -> int:
    """How far to go now from `above` towards `told`."""
    row = connection.execute(
        "SELECT seq FROM outbox WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?",
        (above, told, _STEP - 1),
    ).fetchone()
    return told if row is None else int(row[0])


def _park(connection: Connection, ack: Ack, done: int) -> tuple[Counts, set[str]]:
    """Mark what the list names; what it names no more was retried or dropped by a person."""
    change = Counts()
    last = last_seq(connection)
    for parked in ack.parked:
        if not 0 < parked.seq <= last:
            continue
        row = connection.execute(
            "SELECT state FROM outbox WHERE seq = ? AND id = ? AND state IN (?, ?)",
            (parked.seq, parked.id, WAITING, STORED),
        ).fetchone()
        if row is None:
            continue
        connection.execute(
            "UPDATE outbox SET state = ?, since = ?, why = ? WHERE seq = ?",
            (PARKED, _now(), parked.why, parked.seq),
        )
        change += Counts(waiting=-1, parked=1) if row[0] == WAITING else Counts(stored=-1, parked=1)
    listed = {parked.seq for parked in ack.parked}
    released = set()
    for seq, fact_id, attachment in connection.execute(
        "SELECT seq, id, attachment FROM outbox WHERE state = ? AND seq <= ?", (PARKED, done)
    ).fetchall():
        if seq not in listed:
            connection.execute(
                "UPDATE outbox SET state = ?, since = ? WHERE seq = ?", (DONE, _now(), seq)
            )
            change += Counts(parked=-1)
            released |= {fact_id} if attachment else set()
    return change, released


def _move(connection: Connection, state: int, to: int, above: int, upto: int) -> int:
    """Move rows with ``above < seq <= upto`` from one state to another; returns how many."""
    return connection.execute(
        "UPDATE outbox SET state = ?, since = ? WHERE state = ? AND seq > ? AND seq <= ?",
        (to, _now(), state, above, upto),
    ).rowcount


def _now() -> int:
    return int(time.time())


def _remember(connection: Connection, now: Settled) -> None:
    set_meta(connection, "stored", str(now.stored))
    set_meta(connection, "done", str(now.done))


def _number_anew(connection: Connection, stored: int, taken: int) -> int:
    """Give every fact that waits above `stored` a number above `taken`; returns the last one.

    The numbers that this disk forgot belong to other facts: what has got one of them since would be
    let go unseen at the bridge's word. A fact that the bridge has after all keeps its id, by which
    the bridge knows it.
    """
    waiting = connection.execute(
        "SELECT seq, body FROM outbox WHERE seq > ? AND state = ? ORDER BY seq", (stored, WAITING)
    ).fetchall()
    last = taken
    for last, (seq, body) in enumerate(waiting, start=taken + 1):
        envelope = Envelope.model_validate_json(body).model_copy(update={"seq": last})
        connection.execute(
            "UPDATE outbox SET seq = ?, body = ? WHERE seq = ?",
            (last, envelope.model_dump_json().encode(), seq),
        )
    _skip_to(connection, last)
    return last


def _skip_to(connection: Connection, seq: int) -> None:
    updated = connection.execute(
        "UPDATE sqlite_sequence SET seq = ? WHERE name = 'outbox'", (seq,)
    ).rowcount
    if not updated:
        connection.execute("INSERT INTO sqlite_sequence(name, seq) VALUES('outbox', ?)", (seq,))

"""What the bridge's word does to the rows of the outbox.

The one rule: cumulative and never backwards. `stored` ends the resending, `done` lets go, `parked`
keeps the fact for a person; only `rewind` (the bridge lost its disk) lets facts be sent again, and
what Odoo had then stays done.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from durable.writer import Connection
from mqtt.messages import Ack, EpochAck
from store import epochs
from store.epochs import Epoch
from store.schema import place, put_epoch, seq_of

WAITING, STORED, DONE, PARKED = range(4)
KEEP_S = 7 * 24 * 3600
"""A done fact is kept this long, by the store's own age."""
HIGHEST = 1 << 32
"""Numbers from here on are nobody's: no station makes as many facts between two starts."""
_STEP = 500
"""Rows changed in one transaction, so that a long acknowledgement fits on a full disk too and holds
no fact up."""


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
    """What an acknowledgement changed: the epochs it moved, as they are now."""

    epochs: Mapping[int, Epoch]
    change: Counts
    released: tuple[str, ...] = ()
    """Ids of the facts whose photos may go now."""
    more: bool = False
    """There is more to apply: call again."""


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


def says_less(known: Mapping[int, Epoch], ack: Ack) -> bool:
    """Whether the bridge has forgotten something of which it said before that it has it. Its disk
    was lost, or put back from an older copy.

    An epoch that is settled need not be listed; one that is not must be.
    """
    told = {word.epoch: word for word in ack.epochs}
    for epoch in known.values():
        word = told.get(epoch.name)
        if word is None:
            if epoch.stored and not epoch.settled:
                return True
        elif word.stored < epoch.stored or word.done < epoch.done:
            return True
    return False


def settle(connection: Connection, ack: Ack, age: int) -> Outcome:
    """Apply an acknowledgement, or a part of it (`Outcome.more`). `age`: the store's, now.

    Of epochs that are not here nothing is taken: they are those of another card of this name.
    """
    names = [word.epoch for word in ack.epochs]
    known = {epoch.name: epoch for epoch in epochs.read(connection, names).values()}
    change, released, more = Counts(), set[str](), False
    moved: set[str] = set()
    for word in ack.epochs:
        epoch = known.get(word.epoch)
        if epoch is None or max(word.stored, word.done) >= HIGHEST:
            continue
        part = _Settling(connection, epoch, age)
        part.apply(word)
        change += part.change
        released |= part.released
        more = more or part.more
        moved.add(epoch.name)
    return Outcome(epochs.read(connection, moved), change, tuple(released), more)


class _Settling:
    """One epoch's part of an acknowledgement."""

    def __init__(self, connection: Connection, epoch: Epoch, age: int) -> None:
        self._connection = connection
        self._epoch = epoch
        self._age = age
        self.change = Counts()
        self.released: set[str] = set()
        self.more = False

    def apply(self, word: EpochAck) -> None:
        was = self._epoch
        # A card that was put back from an image has less than the bridge was given.
        done_told = min(max(was.done, word.done), was.last)
        stored_told = min(max(was.stored, word.stored, done_told), was.last)
        stored = self._step(was.stored, stored_told)
        done = self._step(was.done, done_told)
        self.more = (stored, done) != (stored_told, done_told)
        self._park(word, max(0, min(done, word.done)))
        # Before `stored` moves, a fact that is done at once counts as waiting.
        self.change += Counts(waiting=-self._move(WAITING, DONE, was.done, done))
        self.change += Counts(stored=-self._move(STORED, DONE, was.done, done))
        moved = self._move(WAITING, STORED, was.stored, stored)
        self.change += Counts(waiting=-moved, stored=moved)
        released = self._connection.execute(
            "SELECT id FROM outbox WHERE attachment = 1 AND state = ? AND n > ? AND n <= ?",
            (DONE, self._place(was.done), self._place(done)),
        )
        self.released |= {fact_id for (fact_id,) in released}
        self.change += Counts(attached=-len(self.released))
        if (stored, done) != (was.stored, was.done):
            put_epoch(self._connection, was.number, was.name, was.last, stored, done)

    def _place(self, seq: int) -> int:
        return place(self._epoch.number, seq)

    def _step(self, above: int, told: int) -> int:
        """How far to go now from `above` towards `told`."""
        row = self._connection.execute(
            "SELECT n FROM outbox WHERE n > ? AND n <= ? ORDER BY n LIMIT 1 OFFSET ?",
            (self._place(above), self._place(told), _STEP - 1),
        ).fetchone()
        return told if row is None else seq_of(row[0])

    def _park(self, word: EpochAck, done: int) -> None:
        """Mark what the list names. What it names no more, at or below what the bridge itself calls
        done, is in Odoo, or a person dropped it; a bridge that lost its folder calls nothing done.
        """
        for parked in word.parked:
            if not 0 < parked.seq <= self._epoch.last:
                continue
            row = self._connection.execute(
                "SELECT state FROM outbox WHERE n = ? AND id = ? AND state IN (?, ?)",
                (self._place(parked.seq), parked.id, WAITING, STORED),
            ).fetchone()
            if row is None:
                continue
            self._connection.execute(
                "UPDATE outbox SET state = ?, since = ?, why = ? WHERE n = ?",
                (PARKED, self._age, parked.why, self._place(parked.seq)),
            )
            left = Counts(waiting=-1) if row[0] == WAITING else Counts(stored=-1)
            self.change += left + Counts(parked=1)
        listed = {parked.seq for parked in word.parked}
        # Of what lies below `listed_from` the list says nothing.
        for n, fact_id, attachment in self._connection.execute(
            "SELECT n, id, attachment FROM outbox WHERE state = ? AND n >= ? AND n <= ?",
            (PARKED, self._place(max(0, min(word.listed_from, HIGHEST - 1))), self._place(done)),
        ).fetchall():
            if seq_of(n) not in listed:
                self._connection.execute(
                    "UPDATE outbox SET state = ?, since = ? WHERE n = ?", (DONE, self._age, n)
                )
                self.change += Counts(parked=-1)
                self.released |= {fact_id} if attachment else set()

    def _move(self, state: int, to: int, above: int, upto: int) -> int:
        """Move rows with ``above < seq <= upto`` from one state to another; returns how many."""
        return self._connection.execute(
            "UPDATE outbox SET state = ?, since = ? WHERE state = ? AND n > ? AND n <= ?",
            (to, self._age, state, self._place(above), self._place(upto)),
        ).rowcount


def rewind(connection: Connection, epoch: Epoch, first: int, age: int) -> int:
    """Let everything of an epoch from `first` on be sent again.

    Returns the lowest number there is from there on (one more than the last, if none).
    """
    begin, end = place(epoch.number, first), place(epoch.number + 1, 0)
    connection.execute(
        "UPDATE outbox SET state = ?, since = ? WHERE state = ? AND n >= ? AND n < ?",
        (WAITING, age, STORED, begin, end),
    )
    now = epochs.read(connection, [epoch.name])[epoch.number]
    put_epoch(connection, now.number, now.name, now.last, min(now.stored, first - 1), now.done)
    (lowest,) = connection.execute(
        "SELECT min(n) FROM outbox WHERE n >= ? AND n < ?", (begin, end)
    ).fetchone()
    return seq_of(lowest) if lowest is not None else max(first, now.last + 1)


def purge(connection: Connection, age: int, current: str) -> None:
    """Forget what Odoo has had for 7 days of this store's age. Nothing else is ever deleted, and
    nothing that is being sent again.
    """
    for epoch in epochs.read(connection).values():
        connection.execute(
            "DELETE FROM outbox WHERE state = ? AND since < ? AND n > ? AND n <= ?",
            (DONE, age - KEEP_S, place(epoch.number, 0), place(epoch.number, epoch.stored)),
        )
    epochs.forget_empty(connection, current)

"""The epochs of an outbox: which there are, and how far each of them is settled.

The one rule: an epoch begins with the first fact after a start and ends with its process; its name
and numbers are never used again. So a card that was restored from an image, or copied, gives no
number twice: what was recorded since has another epoch.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from mqtt.messages import EpochKept
from store.schema import SEQ_BITS, place, seq_of

PARKED_TOLD = 1000
"""Numbers of parked facts that are told of one epoch: some 7 KB."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """`first` is the lowest number that is still there (`last` + 1 when none is); of `parked` the
    numbers.
    """

    number: int
    name: str
    first: int
    last: int
    stored: int = 0
    done: int = 0
    parked: tuple[int, ...] = ()

    def grown(self, last: int) -> "Epoch":
        """With a fact more."""
        return replace(self, last=last)

    @property
    def settled(self) -> bool:
        """Odoo has all of it."""
        return self.done == self.last and not self.parked

    def kept(self) -> EpochKept:
        """What the bridge is told. With more parked facts than a message should list, the epoch is
        called done only up to the first one that is not listed.
        """
        parked, done = self.parked, self.done
        if len(parked) > PARKED_TOLD:
            parked, done = parked[:PARKED_TOLD], min(done, parked[PARKED_TOLD] - 1)
        return EpochKept(
            epoch=self.name, first=self.first, last=self.last, done=done, parked=parked
        )


def read(connection: sqlite3.Connection, names: Iterable[str] | None = None) -> dict[int, Epoch]:
    """By number, oldest first: all epochs, or those of these names."""
    found: dict[int, Epoch] = {}
    wanted = None if names is None else set(names)
    rows = connection.execute("SELECT number, name, last, stored, done FROM epoch ORDER BY number")
    for number, name, last, stored, done in rows.fetchall():
        if wanted is not None and name not in wanted:
            continue
        within = place(number, 0), place(number + 1, 0)
        (first,) = connection.execute(
            "SELECT min(n) FROM outbox WHERE n >= ? AND n < ?", within
        ).fetchone()
        parked = connection.execute(
            "SELECT n FROM outbox WHERE state = 3 AND n >= ? AND n < ? ORDER BY n", within
        )
        found[number] = Epoch(
            number,
            name,
            last + 1 if first is None else seq_of(first),
            last,
            stored,
            done,
            tuple(seq_of(n) for (n,) in parked),
        )
    return found


def next_number(connection: sqlite3.Connection, name: str) -> tuple[int, int]:
    """The number of the epoch `name`, begun if it is not there, and its next `seq`."""
    row: tuple[int, int] | None = connection.execute(
        "UPDATE epoch SET last = last + 1 WHERE name = ? RETURNING number, last", (name,)
    ).fetchone()
    if row is not None:
        return row
    # No "upsert" for both: each one would use up a number of the epochs'.
    begun: tuple[int, int] = connection.execute(
        "INSERT INTO epoch(name, last) VALUES(?, 1) RETURNING number, last", (name,)
    ).fetchone()
    return begun


def forget_empty(connection: sqlite3.Connection, current: str) -> None:
    """Forget epochs of which nothing is left, but for the `current` one."""
    connection.execute(
        "DELETE FROM epoch WHERE name != ? AND done >= last AND NOT EXISTS ("
        "SELECT 1 FROM outbox WHERE n >= number << ? AND n < (number + 1) << ?)",
        (current, SEQ_BITS, SEQ_BITS),
    )


def to_send(connection: sqlite3.Connection) -> Epoch | None:
    """The oldest epoch that the bridge has not stored whole; the next one begins after it.

    Without `first` and `parked`, which nobody needs who sends.
    """
    row = connection.execute(
        "SELECT number, name, last, stored, done FROM epoch WHERE stored < last"
        " ORDER BY number LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    number, name, last, stored, done = row
    return Epoch(number, name, 1, last, stored, done)

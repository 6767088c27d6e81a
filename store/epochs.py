"""The epochs of an outbox: which there are, and how far each of them is settled.

The one rule: an epoch begins with the first fact after a start and ends with its process; its name
and numbers are never used again. So a card that was restored from an image, or copied, gives no
number twice: what was recorded since has another epoch.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace

from durable.sqlite import checksum, transaction
from mqtt.messages import EpochKept
from store.schema import SEQ_BITS, epoch_sum, place, put_epoch, seq_of

PARKED_TOLD = 1000
"""Numbers of parked facts that are told of one epoch: some 7 KB."""
LOST_AT_THE_END = 1000
"""With more numbers than this without a row at an epoch's end, its `last` itself is wrong."""


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
        "UPDATE epoch SET last = last + 1, sum = epoch_sum(number, name, last + 1, stored, done)"
        " WHERE name = ? RETURNING number, last",
        (name,),
    ).fetchone()
    if row is not None:
        return row
    # AUTOINCREMENT's own memory, so that the number of an epoch that was forgotten is not given
    # again.
    (highest,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'epoch'"
    ).fetchone()
    put_epoch(connection, highest + 1, name, 1, 0, 0)
    return int(highest) + 1, 1


def with_room_for(connection: sqlite3.Connection, name: str, seq: int) -> int:
    """The number of the epoch `name`, begun if it is not there and reaching up to `seq`."""
    row = connection.execute(
        "SELECT number, last, stored, done FROM epoch WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        number, _ = next_number(connection, name)
        put_epoch(connection, number, name, seq, 0, 0)
        return number
    number, last, stored, done = row
    put_epoch(connection, number, name, max(last, seq), stored, done)
    return int(number)


def mend(connection: sqlite3.Connection) -> int:
    """Set right what a card has changed in the table of epochs, by what the facts themselves say.
    Returns how many epochs were wrong.

    What the bridge has of such an epoch is not known any more, so it is sent again from what is not
    done on; the bridge knows a fact that it has.
    """
    rows = connection.execute("SELECT number, name, last, stored, done, sum FROM epoch").fetchall()
    wrong = [row[0] for row in rows if row[5] != epoch_sum(*row[:5])]
    if not wrong:
        return 0
    with transaction(connection):
        connection.executemany("DELETE FROM epoch WHERE number = ?", ((n,) for n in wrong))
        known = {row[0] for row in rows} - set(wrong)
        there = connection.execute("SELECT DISTINCT n >> ? FROM outbox", (SEQ_BITS,))
        for number in {number for (number,) in there.fetchall()} - known:
            _mend_one(connection, number)
    return len(wrong)


def _mend_one(connection: sqlite3.Connection, number: int) -> None:
    within = place(number, 0), place(number + 1, 0)
    facts = connection.execute(
        "SELECT n, body, sum, state FROM outbox WHERE n > ? AND n < ? ORDER BY n", within
    ).fetchall()
    name = next((_name(body) for _, body, sum_, _ in facts if checksum(body) == sum_), None)
    if name is None:
        return
    last = seq_of(facts[-1][0])
    done = next((seq_of(n) - 1 for n, _, _, state in facts if state in (0, 1)), last)
    put_epoch(connection, number, name, last, done, done)


def _name(body: bytes) -> str:
    return str(json.loads(body)["epoch"])


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

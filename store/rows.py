"""Reading the facts that are to be sent, each looked at once more.

The one rule: what leaves the disk is what was put there. A body whose checksum is wrong, that says
another number than its row, or that is not there any more is never sent as a fact: a fact of kind
``damaged`` takes its number, so that there is no gap and a person is told.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from durable.sqlite import checksum
from store.envelope import stand_in
from store.epochs import LOST_AT_THE_END, Epoch
from store.schema import place, put_epoch, seq_of


@dataclass(frozen=True, slots=True)
class Row:
    """A fact to be sent: `body` is the exact bytes, `attachment` its photo while it exists; `n` is
    its place among all that are here.
    """

    n: int
    epoch: str
    seq: int
    id: str
    kind: str
    body: bytes
    attachment: Path | None


@dataclass(frozen=True, slots=True)
class Read:
    rows: list[Row]
    lost: int = 0
    """How many facts turned out to be damaged and were replaced."""


def whole(body: bytes, checked: bytes, epoch: str, seq: int) -> dict[str, Any] | None:
    """The fact, if these are the bytes that were put under that number.

    Its id and kind are read from the body, because the columns beside it have no checksum.
    """
    if checksum(body) != checked:
        return None
    fact: dict[str, Any] = json.loads(body)
    return fact if (fact.get("epoch"), fact.get("seq")) == (epoch, seq) else None


def read_rows(
    connection: sqlite3.Connection,
    epoch: Epoch,
    after: int,
    limit: int,
    photo: Callable[[str], Path | None],
) -> Read:
    """At most `limit` facts of `epoch` behind the place `after` and above what the bridge stored.

    In the writer's transaction: it replaces what is damaged.
    """
    begin = max(after, place(epoch.number, epoch.stored))
    found = connection.execute(
        "SELECT n, kind, body, sum, attachment FROM outbox"
        " WHERE n > ? AND n < ? ORDER BY n LIMIT ?",
        (begin, place(epoch.number + 1, 0), limit),
    ).fetchall()
    rows: list[Row] = []
    lost = 0
    expected = seq_of(begin) + 1
    for n, kind, body, checked, attached in found:
        seq = seq_of(n)
        # What Odoo had may have been forgotten after 7 days; any other number has its row.
        missing = range(max(expected, epoch.done + 1), seq)
        rows += [_replace(connection, epoch, number) for number in missing]
        lost += len(missing)
        expected = seq + 1
        fact = whole(body, checked, epoch.name, seq)
        if fact is not None:
            file = photo(fact["id"]) if attached else None
            rows.append(Row(n, epoch.name, seq, fact["id"], fact["kind"], body, file))
        else:
            rows.append(_replace(connection, epoch, seq, kind))
            lost += 1
    if len(found) < limit:
        missing = range(max(expected, epoch.done + 1), epoch.last + 1)
        if len(missing) > LOST_AT_THE_END:
            last, done = expected - 1, min(epoch.done, expected - 1)
            put_epoch(connection, epoch.number, epoch.name, last, min(epoch.stored, last), done)
        else:
            rows += [_replace(connection, epoch, number) for number in missing]
            lost += len(missing)
    return Read(rows, lost)


def _replace(connection: sqlite3.Connection, epoch: Epoch, seq: int, kind: str = "") -> Row:
    envelope, body = stand_in(epoch.name, seq, kind)
    n = place(epoch.number, seq)
    connection.execute(
        "INSERT INTO outbox(n, id, kind, body, sum, since) VALUES(?, ?, ?, ?, ?, 0)"
        " ON CONFLICT(n) DO UPDATE SET id = excluded.id, kind = excluded.kind,"
        " body = excluded.body, sum = excluded.sum, attachment = 0",
        (n, envelope.id, envelope.kind, body, checksum(body)),
    )
    return Row(n, epoch.name, seq, envelope.id, envelope.kind, body, None)

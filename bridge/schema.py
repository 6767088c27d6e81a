"""The tables of the inbox, as `durable.sqlite` opens and migrates them.

The one rule: a migration that was released is never edited; the next change of the tables is one
more. A file of any earlier bridge opens with all that it holds.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from bridge.ledger import envelope_of
from durable.errors import damaged
from durable.sqlite import (
    Migration,
    checksum,
    connect_writer,
    migrate,
    sound,
    transaction,
    unreadable,
)

log = logging.getLogger(__name__)

STRAY_BYTES = 4096
"""Of what could not be taken as a fact, this much is kept for a person to look at."""

_FIRST = """
CREATE TABLE IF NOT EXISTS streams (
    stream INTEGER PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, epoch TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, boot TEXT NOT NULL DEFAULT '', heard INTEGER NOT NULL,
    UNIQUE (site, station, epoch)) STRICT;
CREATE TABLE IF NOT EXISTS facts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    stream INTEGER NOT NULL REFERENCES streams, seq INTEGER NOT NULL,
    site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL, boot TEXT NOT NULL,
    body BLOB NOT NULL, received INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    UNIQUE (stream, seq)) STRICT;
CREATE INDEX IF NOT EXISTS unsettled ON facts (site, n) WHERE state = 0;
CREATE INDEX IF NOT EXISTS by_state ON facts (stream, state, seq) WHERE state IN (0, 1, 3);
CREATE TABLE IF NOT EXISTS holes (
    stream INTEGER NOT NULL REFERENCES streams, first INTEGER NOT NULL, last INTEGER NOT NULL,
    found INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clocks (
    site TEXT NOT NULL, station TEXT NOT NULL, boot TEXT NOT NULL,
    up INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (site, station, boot)) STRICT;
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL,
    boot TEXT NOT NULL, up INTEGER NOT NULL, clock TEXT NOT NULL, at INTEGER NOT NULL,
    data TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS record_at ON record (site, kind, at);
CREATE TABLE IF NOT EXISTS strays (
    n INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, station TEXT NOT NULL,
    what TEXT NOT NULL, why TEXT NOT NULL, body BLOB NOT NULL, received INTEGER NOT NULL) STRICT;
"""

# streams: what the station knows to be done in Odoo (`told_parked`: the numbers below `told_done`
# that are not), `tries`: how often the next number came and could not be taken, `closed`: both
# sides know that Odoo has all of it. facts.listed: it stands in the ack as parked; `sum`: its
# body's checksum.
_SECOND = """
ALTER TABLE streams ADD COLUMN told_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN told_parked TEXT NOT NULL DEFAULT '[]';
ALTER TABLE streams ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE streams ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
CREATE INDEX open_streams ON streams (site, station, stream) WHERE closed = 0;
ALTER TABLE facts ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE facts ADD COLUMN sum BLOB NOT NULL DEFAULT x'';
UPDATE facts SET listed = 1 WHERE state = 3;
CREATE INDEX pending ON facts (stream, seq) WHERE state IN (0, 1);
CREATE INDEX held ON facts (site, station) WHERE state = 1;
CREATE INDEX listed ON facts (site, station, n) WHERE listed = 1;
CREATE INDEX listed_of ON facts (stream, seq) WHERE listed = 1;
CREATE INDEX undated ON record (site, station, boot) WHERE clock = 'unsynced';
CREATE TABLE blobs (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, size INTEGER NOT NULL,
    received INTEGER NOT NULL) STRICT;
CREATE INDEX blobs_of ON blobs (site, station, received);
ALTER TABLE strays ADD COLUMN digest TEXT NOT NULL DEFAULT '';
CREATE INDEX strays_of ON strays (site, station, digest);
"""


def stray_digest(why: str, body: bytes) -> str:
    """What tells one stray from another."""
    return hashlib.sha256(why.encode() + b"\0" + body).hexdigest()


def _cut_strays(connection: sqlite3.Connection) -> None:
    for n, why, body in connection.execute("SELECT n, why, body FROM strays").fetchall():
        connection.execute(
            "UPDATE strays SET digest = ?, body = ? WHERE n = ?",
            (stray_digest(why, body), body[:STRAY_BYTES], n),
        )


def _sum_facts(connection: sqlite3.Connection) -> None:
    for n, body in connection.execute("SELECT n, body FROM facts").fetchall():
        connection.execute("UPDATE facts SET sum = ? WHERE n = ?", (checksum(body), n))


SEALED = "stream, epoch, stored, told_done, told_parked"
"""What the checksum `streams.sum` covers: it decides what is a resend, and what is done."""


def seal(connection: sqlite3.Connection, streams: Iterable[int]) -> None:
    """Write the checksums of these epochs, at the end of the transaction that changed them."""
    for stream in streams:
        found = connection.execute(
            f"SELECT {SEALED} FROM streams WHERE stream = ?",  # noqa: S608
            (stream,),
        ).fetchone()
        if found is not None:
            connection.execute("UPDATE streams SET sum = ? WHERE stream = ?", (_sum(found), stream))


def _sum(sealed: tuple[object, ...]) -> bytes:
    return checksum(repr(sealed).encode())


def _seal_all(connection: sqlite3.Connection) -> None:
    seal(connection, [stream for (stream,) in connection.execute("SELECT stream FROM streams")])


def _mend(connection: sqlite3.Connection) -> int:
    """Set right the epochs that the disk has changed, by the facts that are here; how many.

    What their stations told is forgotten, and told again when it is asked for.
    """
    rows = connection.execute(f"SELECT {SEALED}, sum FROM streams").fetchall()  # noqa: S608
    wrong = [row[0] for row in rows if row[-1] != _sum(row[:-1])]
    with transaction(connection):
        for stream in wrong:
            last, body = connection.execute(
                "SELECT max(seq), body FROM facts WHERE stream = ?", (stream,)
            ).fetchone()
            envelope = envelope_of(body or b"")
            connection.execute(
                "UPDATE streams SET epoch = coalesce(?, epoch), stored = ?, told_done = 0,"
                " told_parked = '[]', closed = 0 WHERE stream = ?",
                (envelope.epoch if envelope else None, last or 0, stream),
            )
        seal(connection, wrong)
    return len(wrong)


def _statements(text: str) -> list[str]:
    return [statement for statement in text.split(";") if statement.strip()]


MIGRATIONS: list[Migration] = [
    _statements(_FIRST),
    [*_statements(_SECOND), _cut_strays, _sum_facts, _seal_all],
]
DAMAGED = "damaged"
"""This file in the folder: the inbox found itself damaged, so all of it is looked at next time."""


def open_writer(folder: Path) -> sqlite3.Connection:
    """The writing connection to `folder`/inbox.sqlite (made if missing, 0600), migrated.

    Raises `StoreError` for a file that is damaged or of a newer bridge, sqlite3.Error and OSError.
    """
    path, suspect = folder / "inbox.sqlite", folder / DAMAGED
    path.touch(mode=0o600)
    try:
        connection = connect_writer(path)
        try:
            is_sound = sound(connection, ("streams", "facts"), thorough=suspect.exists())
            if is_sound:
                migrate(connection, MIGRATIONS)
                if mended := _mend(connection):
                    log.error("%d epochs were changed by the disk; mended", mended)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        if damaged(error):
            raise unreadable(path, error) from error
        raise  # the disk is full, for example: not the file's fault
    if not is_sound:
        connection.close()
        raise unreadable(path, sqlite3.DatabaseError("SQLite finds its tables damaged"))
    suspect.unlink(missing_ok=True)
    return connection

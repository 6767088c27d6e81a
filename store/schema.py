"""The station's tables and their versions.

The one rule: a step that was released is never edited: add one.
"""

import sqlite3

from durable.sqlite import Migration, checksum

SEQ_BITS = 32


def place(epoch: int, seq: int) -> int:
    """The outbox's primary key: a row lies behind all rows of older epochs, and its number needs no
    index of its own.
    """
    return epoch << SEQ_BITS | seq


def seq_of(n: int) -> int:
    """The fact's number within its epoch, from its place."""
    return n & (1 << SEQ_BITS) - 1


def epoch_sum(number: int, name: str, last: int, stored: int, done: int) -> bytes:
    """A flipped bit in these decides what is sent and what is called done."""
    return checksum(f"{number} {name} {last} {stored} {done}".encode())


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a writing connection the functions that our statements use."""
    connection.create_function("epoch_sum", 5, epoch_sum, deterministic=True)


def put_epoch(
    connection: sqlite3.Connection, number: int, name: str, last: int, stored: int, done: int
) -> None:
    """Write how far an epoch is; the one way in which that is written."""
    values = (name, last, stored, done, epoch_sum(number, name, last, stored, done), number)
    # No "upsert": it would write AUTOINCREMENT's own table as well, for each fact.
    if not connection.execute(
        "UPDATE epoch SET name = ?, last = ?, stored = ?, done = ?, sum = ? WHERE number = ?",
        values,
    ).rowcount:
        connection.execute(
            "INSERT INTO epoch(name, last, stored, done, sum, number) VALUES(?, ?, ?, ?, ?, ?)",
            values,
        )


def _epochs_of_version_1(connection: sqlite3.Connection) -> None:
    """Version 1 had one epoch, made with the store, and its numbers in `sqlite_sequence`, where
    SQLite renamed the table as well.
    """
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox_1'").fetchone()
    if row is not None:
        put_epoch(
            connection,
            1,
            get_meta(connection, "epoch"),
            row[0],
            int(get_meta(connection, "stored", "0")),
            int(get_meta(connection, "done", "0")),
        )
    rows = connection.execute(
        "SELECT seq, id, kind, body, attachment, state, why FROM outbox_1 ORDER BY seq"
    )
    for seq, fact_id, kind, body, attachment, state, why in rows:
        connection.execute(
            "INSERT INTO outbox VALUES(?, ?, ?, ?, ?, ?, ?, 0, ?)",
            (place(1, seq), fact_id, kind, body, checksum(body), attachment, state, why),
        )
    connection.execute("DELETE FROM meta WHERE key IN ('epoch', 'stored', 'done')")


def _sums_of_documents(connection: sqlite3.Connection) -> None:
    """Members and documents get their checksums as they are: until now nobody could tell."""
    for table, key in (("directory", "badge"), ("document", "name")):
        rows = connection.execute(f"SELECT {key}, body FROM {table}").fetchall()  # noqa: S608
        connection.executemany(
            f"UPDATE {table} SET sum = ? WHERE {key} = ?",  # noqa: S608
            ((checksum(body.encode()), name) for name, body in rows),
        )


MIGRATIONS: tuple[Migration, ...] = (
    (
        "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        # AUTOINCREMENT: an emptied table must never give a number again.
        """CREATE TABLE outbox(
            seq        INTEGER PRIMARY KEY AUTOINCREMENT,
            id         TEXT NOT NULL,
            kind       TEXT NOT NULL,
            body       BLOB NOT NULL,              -- the exact bytes: a resend is byte-identical
            attachment INTEGER NOT NULL DEFAULT 0, -- 1: photos/{id}.jpg belongs to it
            state      INTEGER NOT NULL DEFAULT 0, -- 0 waiting, 1 stored, 2 done, 3 parked
            since      INTEGER NOT NULL,           -- when its state began (Unix seconds)
            why        TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        # Partial indexes: they cost an ordinary fact nothing.
        "CREATE INDEX outbox_parked ON outbox(seq) WHERE state = 3",
        "CREATE INDEX outbox_attachment ON outbox(seq) WHERE attachment = 1",
        """CREATE TABLE directory(badge TEXT PRIMARY KEY, body TEXT NOT NULL)
           STRICT, WITHOUT ROWID""",
        """CREATE TABLE shard(
            shard TEXT PRIMARY KEY, digest TEXT NOT NULL, entries INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE document(name TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE journal(
            id     INTEGER PRIMARY KEY,
            at     TEXT NOT NULL,
            level  TEXT NOT NULL,
            key    TEXT NOT NULL,
            params TEXT NOT NULL,
            device TEXT NOT NULL
        ) STRICT""",
    ),
    (
        "ALTER TABLE outbox RENAME TO outbox_1",
        # AUTOINCREMENT: the number of an epoch that was forgotten is never another's.
        """CREATE TABLE epoch(
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            name   TEXT NOT NULL UNIQUE,
            last   INTEGER NOT NULL,           -- the highest number ever given
            stored INTEGER NOT NULL DEFAULT 0, -- the bridge has everything up to here
            done   INTEGER NOT NULL DEFAULT 0, -- Odoo has, but for what is parked
            sum    BLOB NOT NULL               -- `epoch_sum` of all of this
        ) STRICT""",
        """CREATE TABLE outbox(
            n          INTEGER PRIMARY KEY,        -- `place` of the epoch's number and seq
            id         TEXT NOT NULL,
            kind       TEXT NOT NULL,
            body       BLOB NOT NULL,              -- the exact bytes: a resend is byte-identical
            sum        BLOB NOT NULL,              -- `checksum` of the body, right behind it
            attachment INTEGER NOT NULL DEFAULT 0, -- 1: photos/{id}.jpg belongs to it
            state      INTEGER NOT NULL DEFAULT 0, -- 0 waiting, 1 stored, 2 done, 3 parked
            since      INTEGER NOT NULL,           -- when its state began (`store.age`)
            why        TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        _epochs_of_version_1,
        "DROP TABLE outbox_1",
        "CREATE INDEX outbox_parked ON outbox(n) WHERE state = 3",
        "CREATE INDEX outbox_attachment ON outbox(n) WHERE attachment = 1",
        "ALTER TABLE directory ADD COLUMN sum BLOB NOT NULL DEFAULT x''",
        "ALTER TABLE document ADD COLUMN sum BLOB NOT NULL DEFAULT x''",
        _sums_of_documents,
        # Of labels printed before the update nobody noted whether they came out: they did.
        """INSERT INTO meta(key, value)
           SELECT 'label_out', json_extract(CAST(body AS TEXT), '$.data.label') FROM outbox
           WHERE kind = 'label' AND json_valid(CAST(body AS TEXT)) ORDER BY n DESC LIMIT 1""",
    ),
)


def get_meta(connection: sqlite3.Connection, key: str, default: str = "") -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (key, value),
    )

"""The station's tables and their versions.

The one rule: a step that was released is never edited: add one.
"""

import secrets
import sqlite3

from durable.sqlite import Migration, migrate

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
)


def get_meta(connection: sqlite3.Connection, key: str, default: str = "") -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (key, value),
    )


def bring_up_to_date(connection: sqlite3.Connection) -> None:
    """Migrate, and see to it that there is an epoch. Raises `StoreTooNew`."""
    migrate(connection, MIGRATIONS)
    connection.execute(
        "INSERT INTO meta(key, value) VALUES('epoch', ?) ON CONFLICT DO NOTHING",
        (secrets.token_hex(8),),
    )

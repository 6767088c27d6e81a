"""The tables, their versions, and how a connection is set up.

The one rule: one connection writes (`connect_writer`); every other one is `mode=ro`
(`connect_reader`), which can neither commit nor checkpoint. SQLite before 3.51.3 (Debian 12 has
3.40) may corrupt a WAL file when two connections commit or checkpoint at an unlucky moment; with
one that does either, it cannot happen.

`PRAGMA user_version` counts the migrations that were applied. A step that was released is never
edited: add one.
"""

import secrets
import sqlite3
import time
from pathlib import Path

from store.errors import StoreError, StoreTooNew

MIGRATIONS: tuple[tuple[str, ...], ...] = (
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

_QUICK_CHECK_S = 0.3
_TABLES = ("meta", "outbox", "document", "shard", "journal", "directory")


CACHE_KIB = 1024
"""Of each connection; what is not in it is in the kernel's cache of the file."""


def connect_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes. Raises `sqlite3.DatabaseError` when the file is no database."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "wal_autocheckpoint = 1000",
            f"cache_size = -{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that only reads, for look-ups. It may be used by one thread at a time."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    reader = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=1
    )
    reader.execute(f"PRAGMA cache_size = -{CACHE_KIB}").close()
    return reader


def version(connection: sqlite3.Connection) -> int:
    row: tuple[int] = connection.execute("PRAGMA user_version").fetchone()
    return row[0]


def migrate(
    connection: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS
) -> None:
    """Bring the tables up to date, each step whole or not at all.

    Raises `StoreTooNew` for a store of a newer edged, which is left untouched.
    """
    found = version(connection)
    _refuse_newer(found, len(migrations))
    for number, step in enumerate(migrations[found:], start=found + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in step:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    connection.execute(
        "INSERT INTO meta(key, value) VALUES('epoch', ?) ON CONFLICT DO NOTHING",
        (secrets.token_hex(8),),
    )


def _refuse_newer(found: int, known: int) -> None:
    if found > known:
        raise StoreTooNew("store.too_new", found=str(found), known=str(known))


def sound(connection: sqlite3.Connection, *, thorough: bool) -> bool:
    """Whether SQLite finds nothing wrong with the file.

    Unless `thorough`, it looks for 0.3 s at most, the facts first: a store which is damaged later
    says so when it is used, and is then looked through at the next start.
    """
    until = time.monotonic() + _QUICK_CHECK_S
    interrupted = False

    def stop() -> int:
        nonlocal interrupted
        interrupted = not thorough and time.monotonic() > until
        return interrupted

    connection.set_progress_handler(stop, 2000)
    try:
        there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        for table in [table for table in _TABLES if table in there]:
            if connection.execute(f"PRAGMA quick_check({table})").fetchall() != [("ok",)]:
                return False
    except sqlite3.DatabaseError:
        return interrupted
    finally:
        connection.set_progress_handler(None, 0)
        connection.execute("PRAGMA shrink_memory").close()  # megabytes that were read once only
    return True


def get_meta(connection: sqlite3.Connection, key: str, default: str = "") -> str:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute(
        "INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (key, value),
    )


def unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    """What a person is told of a store that is there and damaged."""
    return StoreError("store.unreadable", path=str(path), why=str(error))


def snapshot(path: Path) -> sqlite3.Connection:
    """A copy in memory of a store that a daemon may be using. Raises `StoreError`."""
    try:
        reader = connect_reader(path)
    except sqlite3.Error as error:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError("store.missing", path=str(path)) from None
        except PermissionError:
            raise StoreError("store.permission", path=str(path)) from None
        except OSError:
            pass  # SQLite's own words are as good
        raise unreadable(path, error) from error
    copy = sqlite3.connect(":memory:")
    try:
        reader.backup(copy)
        _refuse_newer(version(copy), len(MIGRATIONS))
    except sqlite3.Error as error:
        copy.close()
        raise unreadable(path, error) from error
    except BaseException:
        copy.close()
        raise
    finally:
        reader.close()
    return copy

"""How a SQLite file is opened, migrated, looked through and copied.

The one rule: one connection writes (`connect_writer`); every other one is `mode=ro`
(`connect_reader`), which can neither commit nor checkpoint. SQLite before 3.51.3 (Debian 12 has
3.40) may corrupt a WAL file when two connections commit or checkpoint at an unlucky moment; with
one that does either, it cannot happen.

`PRAGMA user_version` counts the migrations that were applied. A step that was released is never
edited: add one.
"""

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from zlib import crc32

from durable.errors import StoreError, StoreTooNew, refusal
from durable.files import memory_folder

Migration = Sequence[str | Callable[[sqlite3.Connection], None]]
"""One step: statements, or functions that run some, in order, in one transaction."""

CACHE_KIB = 1024
"""Of each connection; what is not in it is in the kernel's cache of the file."""
_QUICK_CHECK_S = 0.3


def connect_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes. Raises `sqlite3.DatabaseError` when the file is no database."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.text_factory = lenient_text
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
    reader.text_factory = lenient_text
    reader.execute(f"PRAGMA cache_size = -{CACHE_KIB}").close()
    return reader


def checksum(body: bytes) -> bytes:
    """CRC-32, four bytes. Stored beside a body, it tells a flipped bit from what was put there;
    SQLite itself looks at its pages' shape only.
    """
    return crc32(body).to_bytes(4, "big")


def lenient_text(stored: bytes) -> str:
    """A flipped bit may leave bytes that are no UTF-8: a wrong letter, and no error, because one
    such row must not end who reads it.
    """
    return stored.decode("utf-8", "replace")


def version(connection: sqlite3.Connection) -> int:
    row: tuple[int] = connection.execute("PRAGMA user_version").fetchone()
    return row[0]


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Bring the tables up to date, each step whole or not at all.

    Raises `StoreTooNew` for a file of a newer edged, which is left untouched.
    """
    found = version(connection)
    refuse_newer(connection, len(migrations))
    for number, step in enumerate(migrations[found:], start=found + 1):
        with transaction(connection):
            for action in step:
                if isinstance(action, str):
                    connection.execute(action)
                else:
                    action(connection)
            connection.execute(f"PRAGMA user_version = {number}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT; on any error ROLLBACK, so that the next one can begin."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back already
            connection.execute("ROLLBACK")
        raise


def refuse_newer(connection: sqlite3.Connection, known: int) -> None:
    """Raises `StoreTooNew` when more than `known` migrations were applied."""
    found = version(connection)
    if found > known:
        raise StoreTooNew("store.too_new", found=str(found), known=str(known))


def is_ours(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> bool:
    """Whether the tables are, to the letter, those of the version that the file says it has. A bit
    that flips in a column's name or in the version is found by nothing else.

    Raises `StoreTooNew` for a file that says so and has other tables than we know.
    """
    found, there = version(connection), _tables(connection)
    known = _schemas(migrations)
    if 0 <= found < len(known):
        return there == known[found]
    if there == known[-1]:
        return False  # our tables, and a version that never was
    refuse_newer(connection, len(migrations))
    return False


def _schemas(migrations: Sequence[Migration]) -> list[frozenset[tuple[str, str, str | None]]]:
    """The tables of each version, from that of an empty file on."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as made:
        schemas = [_tables(made)]
        for count in range(1, len(migrations) + 1):
            migrate(made, migrations[:count])
            schemas.append(_tables(made))
    return schemas


def _tables(connection: sqlite3.Connection) -> frozenset[tuple[str, str, str | None]]:
    return frozenset(connection.execute("SELECT type, name, sql FROM sqlite_master"))


def sound(connection: sqlite3.Connection, first: Sequence[str] = (), *, thorough: bool) -> bool:
    """Whether SQLite finds nothing wrong with the file.

    Unless `thorough`, it looks for 0.3 s at most, the tables named in `first` before the others: a
    file which is damaged later says so when it is used, and is then looked through at the next
    start.
    """
    until = time.monotonic() + _QUICK_CHECK_S
    interrupted = False

    def stop() -> int:
        nonlocal interrupted
        interrupted = not thorough and time.monotonic() > until
        return interrupted

    connection.set_progress_handler(stop, 2000)
    try:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        order = {name: place for place, name in enumerate(first)}
        for table in sorted(tables, key=lambda name: order.get(name, len(order))):
            if connection.execute(f"PRAGMA quick_check({table})").fetchall() != [("ok",)]:
                return False
    except sqlite3.DatabaseError:
        return interrupted
    finally:
        connection.set_progress_handler(None, 0)
        connection.execute("PRAGMA shrink_memory").close()  # megabytes that were read once only
    return True


def unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    """What a person is told of a file that is there and damaged."""
    return StoreError("store.unreadable", path=str(path), why=str(error))


def snapshot(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """A copy in memory of a file that another process may be using, migrated: an older version may
    have written it, and nobody opened it since.

    Raises `StoreError`.
    """
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.text_factory = lenient_text
    try:
        _copy(path, copy)
        _refuse_empty(copy)
        migrate(copy, migrations)
    except sqlite3.Error as error:
        copy.close()
        raise unreadable(path, error) from error
    except BaseException:
        copy.close()
        raise
    return copy


def _refuse_empty(copy: sqlite3.Connection) -> None:
    """Raises `sqlite3.DatabaseError` for a file that nobody has written: none of ours has no
    version, because its first migration is made in one transaction.
    """
    if version(copy) == 0:
        raise sqlite3.DatabaseError("no tables of edged")


def _copy(path: Path, copy: sqlite3.Connection) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError("store.missing", path=str(path)) from None
    except PermissionError:
        raise StoreError("store.permission", path=str(path)) from None
    except OSError:
        pass  # SQLite's own words are as good
    try:
        with closing(connect_reader(path)) as reader:
            reader.backup(copy)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        _copy_through_memory(path, copy)


def _copy_through_memory(path: Path, copy: sqlite3.Connection) -> None:
    """On a disk that takes nothing SQLite cannot make the files that it wants beside a log: it is
    given the file and its log in a folder in memory.
    """
    try:
        with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
            for suffix in ("", "-wal"):
                original = path.with_name(path.name + suffix)
                if original.exists():
                    shutil.copyfile(original, Path(folder) / original.name)
            with closing(sqlite3.connect(Path(folder) / path.name)) as writable:
                writable.backup(copy)
    except PermissionError:
        raise StoreError("store.permission", path=str(path)) from None
    except OSError as error:
        raise refusal(error, path=str(path)) from error

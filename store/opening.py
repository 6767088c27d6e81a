"""Opening the station's file: migrated, looked through, and made anew where it is damaged.

The one rule: at every moment there is one file under the store's name, and a power cut in the
middle of a rescue leaves either the damaged file with its log, or the whole new one.
"""

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count as count_up
from pathlib import Path

from durable.errors import StoreFull
from durable.files import sync_folder, write_whole
from durable.reserve import Reserve
from durable.sqlite import connect_writer, is_ours, migrate, sound
from store import epochs
from store.rescue import Rescued, rescue, rescue_newer
from store.schema import MIGRATIONS, add_functions

FILE = "edged.sqlite"
RESERVE = "reserve"
DAMAGED = "damaged"
"""Left in the folder by a store that found itself damaged: look at all of it at the next start."""
LOG = f"{FILE}.log"
"""A second name of the log (-wal) that a killed station left, until all its facts are in the file:
SQLite drops what stands behind a wrong frame, and removes the log of a file that it closes."""
_NEW = f"{FILE}.new"
_OF_THE_FILE = frozenset(
    {
        sqlite3.SQLITE_ERROR,  # a table or column that is not there, a schema that makes no sense
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Errors that say that the file is damaged. All others are the disk's, or another process's."""
_FACTS_FIRST = ("meta", "epoch", "outbox", "document", "shard", "journal", "directory")


@dataclass(frozen=True, slots=True)
class Opened:
    """`aside`: where a damaged file was put that stood in the way; `rescued`: what came of it."""

    writer: sqlite3.Connection
    aside: Path | None = None
    rescued: Rescued = field(default_factory=Rescued)


def open_file(folder: Path) -> Opened:
    """The writing connection. Raises `StoreTooNew`, `sqlite3.Error` and OSError."""
    path = folder / FILE
    _finish_rescue(folder)
    _make(path)
    suspect = folder / DAMAGED
    log_bytes = _keep_log(folder)
    writer = _sound_writer(path, thorough=suspect.exists())
    if writer is not None:
        rescued = rescue_newer(writer, log_bytes, folder / LOG)
        rescued.mended = epochs.mend(writer)
        (folder / LOG).unlink(missing_ok=True)
        suspect.unlink(missing_ok=True)
        sync_folder(folder)
        return Opened(writer, rescued=rescued)
    rescued = _rescue(folder, log_bytes)
    aside = _exchange(folder)
    suspect.unlink(missing_ok=True)
    sync_folder(folder)
    writer = connect_writer(path)
    add_functions(writer)
    return Opened(writer, aside, rescued)


def _make(path: Path) -> None:
    # SQLite would make it readable for all; its -wal and -shm take the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _keep_log(folder: Path) -> bytes:
    """What the log holds before SQLite opens it, and what it held at a start that did not finish.
    It stays under the name LOG.
    """
    log_file, kept = _beside(folder / FILE, "-wal"), folder / LOG
    left, found = _content(kept), _content(log_file)
    if left:
        if found not in left:
            write_whole(kept, left + found)
            left += found
        return left
    if found:
        try:
            kept.unlink(missing_ok=True)
            os.link(log_file, kept)
        except OSError:  # a file system without second names
            write_whole(kept, found)
        sync_folder(folder)
    return found


def _sound_writer(path: Path, *, thorough: bool) -> sqlite3.Connection | None:
    """The connection, migrated; None when the file is damaged. Raises what the disk says."""
    if not _has_right_header(path):
        return None
    writer = None
    try:
        writer = connect_writer(path)
        add_functions(writer)
        if is_ours(writer, MIGRATIONS) and sound(writer, _FACTS_FIRST, thorough=thorough):
            migrate(writer, MIGRATIONS)
            return writer
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF not in _OF_THE_FILE:
            _close(writer)
            raise
    except BaseException:
        _close(writer)
        raise
    _close(writer)
    return None


def _close(writer: sqlite3.Connection | None) -> None:
    if writer is not None:
        with suppress(sqlite3.Error):
            writer.close()


def _has_right_header(path: Path) -> bool:
    """Whether the first bytes are what they always are (sqlite.org/fileformat2.html, 1.3). With
    another number there SQLite takes a file for one of a later version, and writes nothing.
    """
    with path.open("rb") as file:
        header = file.read(48)
    if not header:
        return True  # a new file
    return (
        header.startswith(b"SQLite format 3\0")
        and header[18:20] in (b"\1\1", b"\2\2")
        and header[21:24] == bytes((64, 32, 32))
        and int.from_bytes(header[44:48], "big") <= 4  # 0 as long as all is in the log
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _rescue(folder: Path, log_bytes: bytes) -> Rescued:
    """Make the new file beside the damaged one, whole and on the disk."""
    Reserve(folder / RESERVE).release()  # this is what it is kept for
    new = folder / _NEW
    for leftover in (new, _beside(new, "-wal"), _beside(new, "-shm")):
        leftover.unlink(missing_ok=True)
    _make(new)
    writer = connect_writer(new)
    add_functions(writer)
    try:
        migrate(writer, MIGRATIONS)
        rescued = rescue(folder / FILE, log_bytes, writer)
        # SQLite says nothing when it closes a file for whose log there was no room in it.
        busy, *_ = writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy or not sound(writer, thorough=True):
            raise StoreFull("store.full")
    finally:
        writer.close()
    if _beside(new, "-wal").exists():
        raise StoreFull("store.full")
    return rescued


def _exchange(folder: Path) -> Path:
    """Put the damaged file and its log aside and the new one in their place."""
    path = folder / FILE
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    names = (f"{FILE}.corrupt-{stamp}{count or ''}Z" for count in count_up())
    aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
    path.rename(aside)
    _move_log(folder, aside)
    (folder / _NEW).rename(path)
    return aside


def _finish_rescue(folder: Path) -> None:
    """After a power cut in `_exchange`: the new file is whole, and the old one is aside already."""
    path, new = folder / FILE, folder / _NEW
    if new.exists() and not path.exists():
        asides = sorted(folder.glob(f"{FILE}.corrupt-*Z"))
        _move_log(folder, asides[-1] if asides else path.with_name(f"{FILE}.corrupt"))
        new.rename(path)


def _move_log(folder: Path, aside: Path) -> None:
    """The log belongs to the damaged file, and must not be applied to another one."""
    if (folder / LOG).exists():
        (folder / LOG).rename(_beside(aside, "-wal"))
    for suffix in ("-wal", "-shm"):
        _beside(folder / FILE, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")

"""Opening the station's file: migrated, looked through, and made anew where it is damaged.

The one rule: at every moment there is one file under the store's name, and a power cut in the
middle of a rescue leaves either the damaged file or the whole new one.
"""

import os
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from durable.errors import damaged
from durable.files import sync_folder
from durable.sqlite import connect_writer, migrate, sound
from store.rescue import Rescued, rescue, rescue_newer
from store.schema import MIGRATIONS

FILE = "edged.sqlite"
DAMAGED = "damaged"
"""Left in the folder by a store that found itself damaged: look at all of it at the next start."""
_NEW = f"{FILE}.new"
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
    # Read before SQLite opens it: it drops everything behind the first frame that is wrong.
    log_bytes = _content(_beside(path, "-wal"))
    writer = _sound_writer(path, thorough=suspect.exists())
    if writer is not None:
        suspect.unlink(missing_ok=True)
        sync_folder(folder)
        return Opened(writer, rescued=rescue_newer(writer, log_bytes))
    rescued = _rescue(folder, log_bytes)
    aside = _exchange(folder)
    suspect.unlink(missing_ok=True)
    sync_folder(folder)
    return Opened(connect_writer(path), aside, rescued)


def _make(path: Path) -> None:
    # SQLite would make it readable for all; its -wal and -shm take the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _sound_writer(path: Path, *, thorough: bool) -> sqlite3.Connection | None:
    """The connection, migrated; None when the file is damaged."""
    writer = None
    try:
        writer = connect_writer(path)
        if sound(writer, _FACTS_FIRST, thorough=thorough):
            migrate(writer, MIGRATIONS)
            return writer
    except sqlite3.DatabaseError as error:
        if writer is not None:
            writer.close()
        if not damaged(error):
            raise
        return None
    except BaseException:
        if writer is not None:
            writer.close()
        raise
    writer.close()
    return None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _rescue(folder: Path, log_bytes: bytes) -> Rescued:
    """Make the new file beside the damaged one, whole and on the disk."""
    new = folder / _NEW
    for leftover in (new, _beside(new, "-wal"), _beside(new, "-shm")):
        leftover.unlink(missing_ok=True)
    _make(new)
    writer = connect_writer(new)
    try:
        migrate(writer, MIGRATIONS)
        rescued = rescue(folder / FILE, log_bytes, writer)
    finally:
        writer.close()  # the last connection: all of the log is in the file, and synced
    return rescued


def _exchange(folder: Path) -> Path:
    """Put the damaged file and its log aside and the new one in their place."""
    path = folder / FILE
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{FILE}.corrupt-{stamp}")
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
    log_file = _beside(folder / FILE, "-wal")
    if log_file.exists():
        log_file.rename(_beside(aside, "-wal"))
    _beside(folder / FILE, "-shm").unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")

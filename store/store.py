"""What a station keeps: one SQLite file in one folder, opened by one process.

The one rule: a station goes on. A damaged file is set aside and a new one started (with a new
epoch, so that its numbers are not mistaken for the old one's); only a store that another process
has open, or that a newer edged wrote, is refused.

The folder (0700) holds::

    lock             held while the store is open
    edged.sqlite     everything but photos, with its -wal and -shm
    photos/          portraits that Odoo does not have yet
    reserve          four megabytes to be given back when the disk is full
    damaged          left by a store that found itself damaged: look at all of it at the next start
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable.errors import StoreError, damaged, refusal
from durable.files import lock_folder, sync_folder
from durable.reserve import Reserve
from durable.sqlite import connect_reader, connect_writer, sound
from durable.writer import Change, Writer
from mqtt.messages import Catalogue, Clock, Entry
from store.attachments import Attachments
from store.catalogue import CatalogueStore
from store.directory import Directory
from store.journal import Journal
from store.outbox import Outbox
from store.schema import bring_up_to_date
from store.settling import DONE

FILE = "edged.sqlite"
PHOTOS = "photos"
DAMAGED = "damaged"
_TABLES = ("meta", "outbox", "document", "shard", "journal", "directory")

log = logging.getLogger(__name__)


class Store:
    """Open it with `Store.open`; use it from the loop it was opened on."""

    outbox: Outbox
    directory: Directory
    catalogue: CatalogueStore
    journal: Journal
    set_aside: Path | None
    """Where a damaged store was put when this one was opened."""

    def __init__(
        self, folder: Path, connections: "_Connections", clock: Callable[[], Clock]
    ) -> None:
        self._connections = connections
        reader = connections.reader
        self._writer = Writer(connections.writer, on_damage=(folder / DAMAGED).touch)
        self.set_aside = connections.set_aside
        self.journal = Journal(self._writer, reader)
        self.outbox = Outbox(
            self._writer,
            reader,
            connections.attachments,
            connections.reserve,
            self.journal,
            clock,
        )
        self.directory = Directory(self._writer, reader)
        self.catalogue = CatalogueStore(self._writer, reader)
        if self.set_aside is not None:
            log.error("the store was damaged; set aside as %s", self.set_aside)
            self.journal.add("error", "store.set_aside", {"file": self.set_aside.name})

    @classmethod
    async def open(cls, folder: Path, *, clock: Callable[[], Clock]) -> "Store":
        """Open or make the store in `folder`. `clock` says how good this machine's clock is.

        Raises `StoreBusy`, `StoreTooNew`, `StoreFull` (no room, read-only) or `StoreError`
        (``store.permission``).
        """
        connections = await asyncio.to_thread(_open, folder)
        try:
            return cls(folder, connections, clock)
        except BaseException:
            connections.close()
            raise

    @property
    def commits(self) -> int:
        """How many transactions were committed with an fsync of their own."""
        return self._writer.commits

    async def replace(
        self, entries: Iterable[Entry] | None, catalogue: Catalogue | None, *, as_of: datetime
    ) -> None:
        """Put members, products and rules in place of the old ones (`edged import`): all that is
        given, or nothing at all. Raises `StoreFull`.
        """
        changes: list[Change[Any]] = []
        if entries is not None:
            changes.append(self.directory.replacement(entries, as_of))
        if catalogue is not None:
            changes.append(self.catalogue.replacement(catalogue))
        await self._writer.apply(*changes)

    async def close(self) -> None:
        """Write what is still to be written, then let go of the files."""
        # The reader first: the last connection to close is the one that tidies the log up.
        self._connections.reader.close()
        await self._writer.close()
        os.close(self._connections.lock)


class _Connections:
    """What the folder gives: made on a thread, because disks are slow."""

    def __init__(self, folder: Path) -> None:
        self.lock = lock_folder(folder)
        try:
            path = folder / FILE
            self.writer, self.set_aside = _connect(path)
            try:
                self.reader = connect_reader(path)
                self.attachments = Attachments(folder / PHOTOS)
                self.attachments.open(_unsettled(self.reader))
                self.reserve = Reserve(folder / "reserve")
                self.reserve.hold()
            except BaseException:
                self.writer.close()
                raise
        except BaseException:
            os.close(self.lock)
            raise

    def close(self) -> None:
        self.reader.close()
        self.writer.close()
        os.close(self.lock)


def _open(folder: Path) -> _Connections:
    try:
        return _Connections(folder)
    except PermissionError:
        raise StoreError("store.permission", path=str(folder)) from None
    except (OSError, sqlite3.Error) as error:
        raise refusal(error, path=str(folder)) from error


def _connect(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """The writing connection, and where a damaged file was put that stood in the way."""
    # SQLite would make it readable for all; its -wal and -shm take the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    suspect = path.parent / DAMAGED
    writer = _sound_writer(path, thorough=suspect.exists())
    aside = None
    if writer is None:
        aside = _put_aside(path)
        writer = connect_writer(path)
        bring_up_to_date(writer)
    suspect.unlink(missing_ok=True)
    sync_folder(path.parent)
    return writer, aside


def _sound_writer(path: Path, *, thorough: bool) -> sqlite3.Connection | None:
    """The connection, migrated; None when the file is damaged."""
    writer = None
    try:
        writer = connect_writer(path)
        if sound(writer, _TABLES, thorough=thorough):
            bring_up_to_date(writer)
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


def _put_aside(path: Path) -> Path:
    """Move the damaged file, what belongs to it and its photos out of the way."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    moves = {
        path: aside,
        path.with_name(f"{path.name}-wal"): aside.with_name(f"{aside.name}-wal"),
        path.with_name(PHOTOS): path.with_name(f"{PHOTOS}.corrupt-{stamp}"),
    }
    for old, new in moves.items():
        if old.exists():
            old.rename(new)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return aside


def _unsettled(reader: sqlite3.Connection) -> set[str]:
    """Facts whose photos are still needed."""
    rows = reader.execute("SELECT id FROM outbox WHERE attachment = 1 AND state != ?", (DONE,))
    return {fact_id for (fact_id,) in rows}

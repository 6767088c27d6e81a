"""What a station keeps: one SQLite file in one folder, opened by one process.

The one rule: a station goes on. A damaged file is set aside and every fact that can be read is
carried into a new one; on a disk that takes nothing the store still answers. Only a store that
another process has open, or that a newer edged wrote, is refused.

The folder (0700) holds::

    lock             held while the store is open
    edged.sqlite     everything but photos, with its -wal and -shm, and .log
    edged.sqlite.corrupt-…   a damaged one that was set aside, and photos.corrupt-… beside it
    photos/          portraits that Odoo does not have yet
    reserve          four megabytes to be given back when the disk is full
    damaged          left by a store that found itself damaged: look at all of it at the next start
"""

import asyncio
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from durable.errors import StoreFull
from durable.files import lock_folder, lock_read_only
from durable.reserve import Reserve
from durable.sqlite import connect_reader
from durable.writer import Change, Writer
from mqtt.messages import Catalogue, Clock, Entry
from store.attachments import Attachments
from store.catalogue import CatalogueStore
from store.directory import Directory
from store.journal import Journal
from store.labels import Labels
from store.opening import DAMAGED, FILE, RESERVE, Opened, open_file
from store.outbox import Outbox
from store.settling import DONE
from store.shelter import shelter, takes_facts, why_refused

PHOTOS = "photos"
LOOK_S = 10.0
"""How often a disk that took nothing is tried again."""

log = logging.getLogger(__name__)


class Store:
    """Open it with `Store.open`; use it from the loop it was opened on."""

    outbox: Outbox
    labels: Labels
    directory: Directory
    catalogue: CatalogueStore
    journal: Journal
    set_aside: Path | None
    """Where a damaged store was put when this one was opened."""

    def __init__(
        self, folder: Path, connections: "_Connections", clock: Callable[[], Clock]
    ) -> None:
        self._folder = folder
        self._connections = connections
        reader = connections.reader
        self._writer = Writer(connections.opened.writer, on_damage=(folder / DAMAGED).touch)
        self.set_aside = connections.opened.aside
        self.journal = Journal(self._writer, reader)
        self.outbox = Outbox(
            self._writer,
            reader,
            connections.attachments,
            connections.reserve,
            self.journal,
            clock,
            closed=connections.sheltered_from,
        )
        self.labels = Labels(self._writer, reader, self.outbox)
        self.directory = Directory(self._writer, reader)
        self.catalogue = CatalogueStore(self._writer, reader)
        self._tell_what_was_found()

    def _tell_what_was_found(self) -> None:
        opened, why = self._connections.opened, self._connections.sheltered_from
        counts = {"facts": str(opened.rescued.facts), "lost": str(opened.rescued.lost)}
        if opened.aside is not None:
            log.error(
                "the store was damaged; set aside as %s; %s facts carried over, %s lost",
                opened.aside,
                *counts.values(),
            )
            self.journal.add("error", "store.set_aside", {"file": opened.aside.name, **counts})
        elif opened.rescued.facts:
            log.error("the store's log was damaged; %s facts taken out of it", counts["facts"])
            self.journal.add("error", "store.log_damaged", counts)
        if opened.rescued.mended:
            log.error("%d epochs were changed by the disk; mended", opened.rescued.mended)
        if why:
            log.error("%s: nothing can be recorded; look-ups go on from a copy", why)
            self.journal.add("error", why)

    @classmethod
    async def open(
        cls, folder: Path, *, clock: Callable[[], Clock], sheltered: bool = False
    ) -> "Store":
        """Open or make the store in `folder`. `clock` says how good this machine's clock is.

        `sheltered`: where the disk takes nothing, open a copy in memory that refuses every fact.
        Raises `StoreBusy`, `StoreTooNew`, `StoreFull` (no room, read-only) or `StoreError`
        (``store.permission``).
        """
        connections = await asyncio.to_thread(_open, folder, sheltered=sheltered)
        try:
            return cls(folder, connections, clock)
        except BaseException:
            connections.close()
            raise

    @property
    def commits(self) -> int:
        """How many transactions were committed with an fsync of their own."""
        return self._writer.commits

    @property
    def sheltered_from(self) -> str:
        """Catalogue key of why this store only answers; "" for an ordinary one."""
        return self._connections.sheltered_from

    async def disk_takes_facts(self) -> None:
        """Return when a sheltered store can be opened again as an ordinary one."""
        while True:
            await asyncio.sleep(LOOK_S)
            if await asyncio.to_thread(takes_facts, self._folder):
                return

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
        self._connections.let_go()


class _Connections:
    """What the folder gives: made on a thread, because disks are slow."""

    opened: Opened
    reader: sqlite3.Connection
    attachments: Attachments
    reserve: Reserve

    def __init__(self, folder: Path, sheltered_from: str = "") -> None:
        self.sheltered_from = sheltered_from
        self._copy: Path | None = None
        self._lock = lock_read_only(folder) if sheltered_from else lock_folder(folder)
        try:
            if sheltered_from:
                self._copy = shelter(folder)
            home = self._copy or folder
            self.opened = open_file(home)
            try:
                self.reader = connect_reader(home / FILE)
                self.attachments = Attachments(folder / PHOTOS)
                self.reserve = Reserve(home / RESERVE)
                if not sheltered_from:
                    self.attachments.open(_unsettled(self.reader), keep=self.opened.aside)
                    self.reserve.hold()
            except BaseException:
                self.opened.writer.close()
                raise
        except BaseException:
            self.let_go()
            raise

    def close(self) -> None:
        self.reader.close()
        self.opened.writer.close()
        self.let_go()

    def let_go(self) -> None:
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _open(folder: Path, *, sheltered: bool) -> _Connections:
    try:
        try:
            return _connect(folder)
        except StoreFull:
            # What is kept free for this moment: room for SQLite's own files.
            Reserve(folder / RESERVE).release()
            return _connect(folder)
    except StoreFull as full:
        if not sheltered:
            raise
        return _connect(folder, full.key)


def _connect(folder: Path, sheltered_from: str = "") -> _Connections:
    try:
        return _Connections(folder, sheltered_from)
    except (OSError, sqlite3.Error) as error:
        raise why_refused(error, folder) from error


def _unsettled(reader: sqlite3.Connection) -> set[str]:
    """Facts whose photos are still needed."""
    rows = reader.execute("SELECT id FROM outbox WHERE attachment = 1 AND state != ?", (DONE,))
    return {fact_id for (fact_id,) in rows}

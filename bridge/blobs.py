"""The binary parts of facts (photos), as files beside the inbox.

The one rule: a name is a fact's id and nothing else may become a path; a file is whole and on the
disk before it has its name, and is given out only when it is what its fact says.

A blob comes before its fact. Until then it is unclaimed and stands in the table `blobs`, by which
each station's unclaimed blobs are bounded: the oldest go first, because a station sends a blob
again while the bridge lacks its fact.
"""

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Container, Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from bridge.ledger import Item, State, envelope_of, one, row, to_ms, valid_id
from durable.files import make_folder, write_whole
from mqtt.messages import Envelope, PhotoData

UNCLAIMED_S = 7 * 86_400
"""A blob whose fact never came is kept this long."""
UNCLAIMED, UNCLAIMED_BYTES = 256, 64 << 20
"""A station's unclaimed blobs: how many, and how many bytes of them."""
LARGEST = 8 << 20
"""A portrait is some hundred kilobytes."""


class Blobs:
    """Files of mode 0600 in `folder`."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._folder = folder

    def put(self, fact_id: str, content: bytes) -> None:
        """Write and fsync; the last one put under a name counts. Raises OSError."""
        write_whole(self._folder / fact_id, content)

    def get(self, fact_id: str, sha256: str, size: int) -> bytes | None:
        """The bytes, if they are there and the right ones."""
        if not valid_id(fact_id):
            return None
        try:
            content = (self._folder / fact_id).read_bytes()
        except FileNotFoundError:
            return None
        return content if _fits(content, sha256, size) else None

    def drop(self, fact_id: str) -> None:
        if valid_id(fact_id):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / fact_id).unlink()

    def prune(self, keep: Container[str]) -> None:
        """Remove old files whose fact is not among `keep`."""
        before = time.time() - UNCLAIMED_S
        for file in self._folder.iterdir():
            if file.name not in keep and file.stat().st_mtime < before:
                file.unlink(missing_ok=True)

    # --- in a transaction of the inbox --------------------------------------------------------

    def take(self, connection: sqlite3.Connection, item: Item) -> str:
        """Keep a blob that came; "", or why it is not one."""
        if not valid_id(item.name):
            return "a blob's topic ends in the id of its fact"
        if len(item.body) > LARGEST:
            return f"a blob has at most {LARGEST} bytes"
        fact = row(
            connection, "SELECT site, station, state, body FROM facts WHERE id = ?", item.name
        )
        if fact is not None:
            return self._complete(item, *fact)
        owner = row(connection, "SELECT site, station FROM blobs WHERE id = ?", item.name)
        if owner is not None and owner != (item.site, item.station):
            return "this blob is another station's"
        self.put(item.name, item.body)
        connection.execute(
            "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?)",
            (item.name, item.site, item.station, len(item.body), to_ms(datetime.now(UTC))),
        )
        self._bound(connection, item.site, item.station)
        return ""

    def _complete(self, item: Item, site: str, station: str, state: int, body: bytes) -> str:
        """The fact is here already: its own bytes may still be lacking, others change nothing."""
        if (site, station) != (item.site, item.station):
            return "this blob is another station's"
        envelope = envelope_of(body)
        photo = photo_of(envelope) if envelope else None
        if photo is None or not _fits(item.body, photo.sha256, photo.size):
            return "a blob that its fact does not name"
        if state not in (State.DONE, State.DROPPED):
            self.put(item.name, item.body)
        return ""

    def _bound(self, connection: sqlite3.Connection, site: str, station: str) -> None:
        where = (site, station)
        count, size = row(
            connection,
            "SELECT count(*), sum(size) FROM blobs WHERE site = ? AND station = ?",
            *where,
        ) or (0, 0)
        while count > UNCLAIMED or size > UNCLAIMED_BYTES:
            oldest = row(
                connection,
                "SELECT id, size FROM blobs WHERE site = ? AND station = ?"
                " ORDER BY received, rowid LIMIT 1",
                *where,
            )
            assert oldest is not None
            # Safe even if the transaction fails: its station sends it again before its fact.
            self.unclaimed(connection, oldest[0])
            self.drop(oldest[0])
            count, size = count - 1, size - oldest[1]

    def unclaimed(self, connection: sqlite3.Connection, fact_id: str) -> None:
        """Forget that this blob waits for its fact: the fact is here, or the file is not."""
        connection.execute("DELETE FROM blobs WHERE id = ?", (fact_id,))

    def settled(self, connection: sqlite3.Connection, fact_ids: Iterable[str]) -> None:
        """Remove the files of facts that need them no more. After the transaction that settled
        them, so that no crash leaves a waiting fact without its photo.
        """
        for fact_id in fact_ids:
            if one(connection, "SELECT state FROM facts WHERE id = ?", fact_id) not in (0, 1, 3):
                self.drop(fact_id)

    def forget(self, connection: sqlite3.Connection) -> set[str]:
        """Forget unclaimed blobs that are too old. The ids of which a file may still be needed."""
        before = to_ms(datetime.now(UTC)) - UNCLAIMED_S * 1000
        connection.execute("DELETE FROM blobs WHERE received < ?", (before,))
        kept = connection.execute(
            "SELECT id FROM facts WHERE state IN (0, 1) AND kind = 'photo' UNION ALL"
            " SELECT id FROM facts WHERE listed = 1 AND kind = 'photo' UNION ALL"
            " SELECT id FROM blobs"
        )
        return {fact_id for (fact_id,) in kept}


def photo_of(envelope: Envelope) -> PhotoData | None:
    """What a fact says of its photo; None when it has none."""
    if envelope.kind != "photo":
        return None
    try:
        return PhotoData.model_validate(envelope.data)
    except ValidationError:
        return None


def _fits(content: bytes, sha256: str, size: int) -> bool:
    return len(content) == size and hashlib.sha256(content).hexdigest() == sha256

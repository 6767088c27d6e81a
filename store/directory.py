"""The members, by badge hash: what the entrance answers from, with the network away.

The one rule: `lookup` is synchronous and touches nothing but a connection that can only read
(`mode=ro`). It can neither commit nor checkpoint, so the bug of SQLite before 3.51.3 that needs
two connections doing so (see `store.schema`) cannot be met, and it never waits for the writer:
in WAL mode a reader sees the last committed state while a transaction is being written.

A directory is 256 shards by the first two hex digits of the badge hash. The bridge's head names
each shard's digest; a shard is taken only if it has the digest that the head names, so that what
is here is exactly what the bridge meant. `as_of` moves when the last shard of a head is here.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from devices import Value
from durable.errors import refusal
from durable.writer import Change, Connection, Writer
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, DirectoryShard, Entry
from store.schema import get_meta, set_meta

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DirectoryState:
    head: DirectoryHead | None = None
    """The newest one told; its shards may still be on their way."""
    count: int = 0
    """Badges that are here."""
    as_of: datetime | None = None
    """When Odoo last gave the whole truth that is here; None: there never was a whole directory."""


class Directory:
    def __init__(self, writer: Writer, reader: sqlite3.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self.state: Value[DirectoryState] = Value(_state(reader))

    @property
    def head(self) -> DirectoryHead | None:
        return self.state.get().head

    @property
    def count(self) -> int:
        return self.state.get().count

    @property
    def as_of(self) -> datetime | None:
        return self.state.get().as_of

    def lookup(self, badges: Sequence[str]) -> Entry | None:
        """Whose badge this is: the first of the candidate hashes that is known.

        Well under a millisecond with 50,000 members; writes nothing. Raises `StoreFull`
        (``store.corrupted``, ``store.unwritable``) if the file cannot be read.
        """
        try:
            for badge in badges:
                row = self._reader.execute(
                    "SELECT body FROM directory WHERE badge = ?", (badge,)
                ).fetchone()
                if row is not None:
                    return Entry.model_validate_json(row[0])
        except sqlite3.Error as error:
            self._writer.note_damage(error)
            raise refusal(error) from error
        return None

    async def apply_head(self, head: DirectoryHead) -> set[str]:
        """Take a new head. Returns the shards to ask for; those it no longer names are emptied."""

        def write(connection: Connection) -> set[str]:
            held = _held(connection)
            for shard in held.keys() - head.shards.keys():
                _empty(connection, shard)
            set_meta(connection, "head", head.model_dump_json())
            _complete(connection, head)
            return _missing(connection, head)

        return await self._change(write)

    async def apply_shard(self, shard: DirectoryShard) -> bool:
        """Replace a shard. False, and nothing changes, if it is not what the head names."""
        digest = shard_digest(shard.entries)
        if any(shard_of(entry.badge) != shard.shard for entry in shard.entries):
            return False

        def write(connection: Connection) -> bool:
            head = _head(connection)
            if head is None or head.shards.get(shard.shard) != digest:
                return False
            if _held(connection).get(shard.shard) != digest:
                _fill(connection, shard.shard, digest, shard.entries)
                _complete(connection, head)
            return True

        return await self._change(write)

    async def missing(self) -> set[str]:
        """The shards of the head that are not here."""

        def read(connection: Connection) -> set[str]:
            head = _head(connection)
            return set() if head is None else _missing(connection, head)

        return await self._writer.run(read)

    async def replace(self, entries: Iterable[Entry], as_of: datetime) -> None:
        """Put a whole directory in place of the old one, or nothing at all."""
        await self._writer.apply(self.replacement(entries, as_of))

    def replacement(self, entries: Iterable[Entry], as_of: datetime) -> Change[DirectoryState]:
        """What `replace` does, for `Writer.apply`."""
        shards: dict[str, list[Entry]] = {}
        for entry in entries:
            shards.setdefault(shard_of(entry.badge), []).append(entry)
        head = DirectoryHead(
            as_of=as_of,
            count=sum(map(len, shards.values())),
            shards={shard: shard_digest(group) for shard, group in sorted(shards.items())},
        )

        def write(connection: Connection) -> DirectoryState:
            connection.execute("DELETE FROM directory")
            connection.execute("DELETE FROM shard")
            for shard, group in shards.items():
                _fill(connection, shard, head.shards[shard], group)
            set_meta(connection, "head", head.model_dump_json())
            _complete(connection, head)
            return _state(connection)

        return Change(write, self.state.set)

    async def _change(self, write: Callable[[Connection], T]) -> T:
        def work(connection: Connection) -> tuple[T, DirectoryState]:
            return write(connection), _state(connection)

        result, _ = await self._writer.run(work, then=lambda done: self.state.set(done[1]))
        return result


def _state(connection: Connection) -> DirectoryState:
    (count,) = connection.execute("SELECT coalesce(sum(entries), 0) FROM shard").fetchone()
    as_of = get_meta(connection, "as_of")
    return DirectoryState(
        _head(connection), int(count), datetime.fromisoformat(as_of) if as_of else None
    )


def _head(connection: Connection) -> DirectoryHead | None:
    body = get_meta(connection, "head")
    return DirectoryHead.model_validate_json(body) if body else None


def _held(connection: Connection) -> Mapping[str, str]:
    return dict(connection.execute("SELECT shard, digest FROM shard").fetchall())


def _missing(connection: Connection, head: DirectoryHead) -> set[str]:
    held = _held(connection)
    return {shard for shard, digest in head.shards.items() if held.get(shard) != digest}


def _complete(connection: Connection, head: DirectoryHead) -> None:
    if not _missing(connection, head):
        set_meta(connection, "as_of", head.as_of.isoformat())


def _empty(connection: Connection, shard: str) -> None:
    # "g" comes after every hex digit: the range is all badges that begin with the shard's two.
    connection.execute("DELETE FROM directory WHERE badge BETWEEN ? AND ?", (shard, shard + "g"))
    connection.execute("DELETE FROM shard WHERE shard = ?", (shard,))


def _fill(connection: Connection, shard: str, digest: str, entries: Sequence[Entry]) -> None:
    _empty(connection, shard)
    connection.executemany(
        "INSERT OR REPLACE INTO directory VALUES(?, ?)",
        ((entry.badge, entry.model_dump_json()) for entry in entries),
    )
    connection.execute("INSERT INTO shard VALUES(?, ?, ?)", (shard, digest, len(entries)))

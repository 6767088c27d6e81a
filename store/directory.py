"""The members, by badge hash: what the entrance answers from, with the network away.

The one rule: `lookup` is synchronous and touches nothing but a connection that can only read
(`mode=ro`). It can neither commit nor checkpoint, so the bug of SQLite before 3.51.3 that needs
two connections doing so (see `store.schema`) cannot be met, and it never waits for the writer:
in WAL mode a reader sees the last committed state while a transaction is being written.

A directory is 256 shards by the first two hex digits of the badge hash. The bridge's head names
each shard's digest; a shard is taken only if it has the digest that the head names, so that what
is here is exactly what the bridge meant. `as_of` moves when the last shard of a head is here.

Entries are stored as they came and judged at the look-up. One that this version does not understand
answers nobody; its shard is asked for again once, because the row may be damaged or of an older
version. If it comes again just so, then that is what the bridge has to say. A checksum beside each
entry tells a flipped bit from a verdict: that shard is asked for again whenever it is met.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from devices import Value
from durable.errors import refusal
from durable.sqlite import checksum
from durable.writer import Change, Connection, Writer
from mqtt.digest import shard_digest
from mqtt.identity import shard_of
from mqtt.messages import DirectoryHead, Entry, ReceivedShard
from store.documents import understood
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
    missing: frozenset[str] = frozenset()
    """The shards of the head that are not here."""


class Directory:
    def __init__(self, writer: Writer, reader: sqlite3.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._judged: set[str] = set()
        """The shards that came, or were asked for again, since this program started."""
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

    async def held(self) -> frozenset[str]:
        """The shards that are here, as the writing thread sees them."""
        return frozenset(await self._writer.run(_held))

    @property
    def missing(self) -> frozenset[str]:
        return self.state.get().missing

    def lookup(self, badges: Sequence[str]) -> Entry | None:
        """Whose badge this is: the first of the candidate hashes that is known and understood.

        Well under a millisecond with 50,000 members; writes nothing. Raises `StoreFull`
        (``store.corrupted``, ``store.unwritable``) if the file cannot be read.
        """
        try:
            for badge in badges:
                row = self._reader.execute(
                    "SELECT body, sum FROM directory WHERE badge = ?", (badge,)
                ).fetchone()
                if row is None:
                    continue
                shard, (body, checked) = shard_of(badge), row
                if checksum(body.encode()) != checked:
                    self._judged.discard(shard)  # what came was right: the disk has changed it
                    self._ask_again(shard)
                    continue
                entry = understood(Entry, body, f"an entry of shard {shard}")
                if entry is not None:
                    return entry
                self._ask_again(shard)
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

    async def apply_shard(self, shard: ReceivedShard) -> bool:
        """Replace a shard. False, and nothing changes, if it is not what the head names."""
        digest = shard_digest(shard.entries)
        rows = [
            (str(entry.get("badge", "")), json.dumps(entry, ensure_ascii=False))
            for entry in shard.entries
        ]
        if any(shard_of(badge) != shard.shard for badge, _ in rows):
            return False

        def write(connection: Connection) -> bool:
            head = _head(connection)
            if head is None or head.shards.get(shard.shard) != digest:
                return False
            _fill(connection, shard.shard, digest, rows)
            _complete(connection, head)
            return True

        taken = await self._change(write)
        if taken:
            self._judged.add(shard.shard)
        return taken

    def _ask_again(self, shard: str) -> None:
        """Have a shard count as not held, unless what is here came since the start. Never waits."""
        if shard in self._judged:
            return
        self._judged.add(shard)

        def write(connection: Connection) -> DirectoryState:
            connection.execute("UPDATE shard SET digest = '' WHERE shard = ?", (shard,))
            return _state(connection)

        self._writer.ride(write, self.state.set)

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
                rows = [(entry.badge, entry.model_dump_json()) for entry in group]
                _fill(connection, shard, head.shards[shard], rows)
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
    head = _head(connection)
    return DirectoryState(
        head,
        int(count),
        _as_of(connection),
        frozenset(_missing(connection, head) if head else ()),
    )


def _as_of(connection: Connection) -> datetime | None:
    """None also for a time that the disk has changed into none."""
    try:
        as_of = datetime.fromisoformat(get_meta(connection, "as_of"))
    except ValueError:
        return None
    return as_of if as_of.tzinfo is not None else None


def _head(connection: Connection) -> DirectoryHead | None:
    body = get_meta(connection, "head")
    return understood(DirectoryHead, body, "the directory's head") if body else None


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


def carry_over(old: Connection, into: Connection) -> None:
    """Copy a damaged store's members: each shard that still has the digest that the head names."""
    head = _head(old)
    if head is None:
        return
    set_meta(into, "head", head.model_dump_json())
    set_meta(into, "as_of", get_meta(old, "as_of"))
    for shard, digest in head.shards.items():
        try:
            rows = old.execute(
                "SELECT badge, body FROM directory WHERE badge BETWEEN ? AND ?",
                (shard, shard + "g"),
            ).fetchall()
            if shard_digest(json.loads(body) for _, body in rows) == digest:
                _fill(into, shard, digest, rows)
        except (sqlite3.Error, ValueError, AttributeError):
            continue  # it is missing, and comes again


def _fill(connection: Connection, shard: str, digest: str, rows: Sequence[tuple[str, str]]) -> None:
    """Put these badges and their entries in place of a shard's."""
    _empty(connection, shard)
    connection.executemany(
        "INSERT OR REPLACE INTO directory(badge, body, sum) VALUES(?, ?, ?)",
        ((badge, body, checksum(body.encode())) for badge, body in rows),
    )
    connection.execute("INSERT INTO shard VALUES(?, ?, ?)", (shard, digest, len(rows)))

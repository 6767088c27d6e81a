"""The inbox's tables, and the words for what is in them.

The one rule: a transaction is on the disk when it has ended (WAL, `synchronous = FULL`).
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any

from mqtt.messages import Envelope

LONGEST_UP_MS = 2**40
"""Thirty-four years: a larger number is no uptime, and would not fit a date."""


class State(IntEnum):
    WAITING = 0
    HELD = 1
    """Made before its station's clock was right; waits for the `clock` fact of its boot."""
    DONE = 2
    PARKED = 3
    DROPPED = 4


@dataclass(frozen=True, slots=True)
class Item:
    """A message as it came: `what` is "fact" or "blob", `name` the kind or the fact's id.

    `properties`: MQTT 5's user properties; a station sends a fact's `epoch` and `seq` there too.
    """

    site: str
    station: str
    what: str
    name: str
    body: bytes = field(repr=False)
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Station:
    site: str
    name: str


@dataclass(frozen=True, slots=True)
class Gap:
    """The station's next fact that we lack."""

    station: Station
    epoch: str
    expected: int


@dataclass(slots=True)
class Stored:
    """What a batch did: who wants an ack, who has a gap (None: no more), what is wrong."""

    stations: set[Station] = field(default_factory=set)
    gaps: dict[Station, Gap | None] = field(default_factory=dict)
    facts: int = 0


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored fact, ready to be applied. `at` is repaired when the clock was not right."""

    n: int
    id: str
    station: Station
    kind: str
    envelope: Envelope
    at: datetime
    dated: bool
    """Whether `at` can be believed."""
    datable: bool
    """Whether a clock fact may still come."""
    tries: int


@dataclass(frozen=True, slots=True)
class ParkedFact:
    """For a person: `detail` may hold what Odoo said, with names."""

    id: str
    station: Station
    seq: int
    kind: str
    received: datetime
    why: str
    detail: str = field(repr=False)

    def __str__(self) -> str:
        """One line for the terminal of the person who decides: nowhere else is `detail` shown."""
        where = f"{self.station.site}/{self.station.name} no. {self.seq}"
        said = f": {' '.join(self.detail.split())}" if self.detail else ""
        return f"{self.id}  {self.received:%Y-%m-%d %H:%M}  {where}  {self.kind}: {self.why}{said}"


SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
    stream INTEGER PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, epoch TEXT NOT NULL,
    stored INTEGER NOT NULL DEFAULT 0, boot TEXT NOT NULL DEFAULT '', heard INTEGER NOT NULL,
    UNIQUE (site, station, epoch)) STRICT;
CREATE TABLE IF NOT EXISTS facts (
    n INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    stream INTEGER NOT NULL REFERENCES streams, seq INTEGER NOT NULL,
    site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL, boot TEXT NOT NULL,
    body BLOB NOT NULL, received INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
    why TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    UNIQUE (stream, seq)) STRICT;
CREATE INDEX IF NOT EXISTS unsettled ON facts (site, n) WHERE state = 0;
CREATE INDEX IF NOT EXISTS by_state ON facts (stream, state, seq) WHERE state IN (0, 1, 3);
CREATE TABLE IF NOT EXISTS holes (
    stream INTEGER NOT NULL REFERENCES streams, first INTEGER NOT NULL, last INTEGER NOT NULL,
    found INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS clocks (
    site TEXT NOT NULL, station TEXT NOT NULL, boot TEXT NOT NULL,
    up INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (site, station, boot)) STRICT;
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, site TEXT NOT NULL, station TEXT NOT NULL, kind TEXT NOT NULL,
    boot TEXT NOT NULL, up INTEGER NOT NULL, clock TEXT NOT NULL, at INTEGER NOT NULL,
    data TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS record_at ON record (site, kind, at);
CREATE TABLE IF NOT EXISTS strays (
    n INTEGER PRIMARY KEY AUTOINCREMENT, site TEXT NOT NULL, station TEXT NOT NULL,
    what TEXT NOT NULL, why TEXT NOT NULL, body BLOB NOT NULL, received INTEGER NOT NULL) STRICT;
"""
VERSION = 1


def to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


class Ledger:
    """One connection to `file`, made if missing, readable by its owner only."""

    def __init__(self, file: Path) -> None:
        file.touch(mode=0o600)
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=10)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        version = self.one("PRAGMA user_version")
        if version > VERSION:
            raise RuntimeError(f"{file} was written by a newer bridge (schema {version})")
        self.db.executescript(SCHEMA)
        self.db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        self.db.close()

    def execute(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Cursor:
        return self.db.execute(sql, args)

    def row(self, sql: str, *args: Any) -> tuple[Any, ...] | None:
        with closing(self.db.execute(sql, args)) as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def one(self, sql: str, *args: Any) -> Any:
        row = self.row(sql, *args)
        return row[0] if row else None

    def transaction(self) -> "Transaction":
        return Transaction(self.db)


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK on an error, that of a COMMIT without room as well: a
    transaction that stayed open would let no other begin.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

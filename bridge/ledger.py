"""The words for what is in the inbox, and two ways to ask its tables.

The one rule: a fact's state is one of `State`, and only DONE and DROPPED end its way.
"""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

from pydantic import ValidationError

from mqtt.messages import Envelope, EpochKept

LONGEST_UP_MS = 2**40
"""Thirty-four years: a larger number is no uptime, and would not fit a date."""
HIGHEST = 10**18 - 1
"""No epoch ever counts further; what would be the next number still fits SQLite."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = re.compile(r"[ -~]{1,64}")


class State(IntEnum):
    WAITING = 0
    HELD = 1
    """Made before its station's clock was right; waits for the `clock` fact of its boot."""
    DONE = 2
    PARKED = 3
    DROPPED = 4


@dataclass(frozen=True, slots=True)
class Station:
    site: str
    name: str

    def __str__(self) -> str:
        return f"{self.site}/{self.name}"


Key = tuple[Station, str]
"""A station's epoch."""


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
class Told:
    """What a station says of its epochs: of all that it keeps, or (`replay`) of the one that it is
    about to send again.
    """

    station: Station
    epochs: tuple[EpochKept, ...]
    replay: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """The next fact of an epoch that we lack."""

    station: Station
    epoch: str
    expected: int


@dataclass(slots=True)
class Stored:
    """What a batch did."""

    stations: set[Station] = field(default_factory=set)
    """Those that sent facts: they want an ack, even if it says what the last one said."""
    heard: set[Station] = field(default_factory=set)
    """Those whose ack may have changed."""
    gaps: dict[Key, Gap | None] = field(default_factory=dict)
    """None: nothing is missing there any more."""
    answered: set[Key] = field(default_factory=set)
    """Replays that are answered."""
    facts: int = 0
    crowded: set[Station] = field(default_factory=set)
    """Those that begin no further epoch in this batch, because they have too many."""
    strays: list[tuple[Station, str]] = field(default_factory=list)
    """What could not be taken as a fact, and why; a resend of the same is not listed again."""
    touched: set[int] = field(default_factory=set)
    """The epochs (`streams.stream`) of which a row may have changed."""
    lost: list[tuple[Station, int, int]] = field(default_factory=list)
    """Numbers, from and to, that are gone and that Odoo never had."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A stored fact, ready to be applied. `at` is repaired when the clock was not right."""

    n: int
    id: str
    station: Station
    kind: str
    envelope: Envelope
    received: datetime
    at: datetime
    dated: bool
    """Whether `at` can be believed."""
    datable: bool
    """Whether a clock fact may still come."""
    ahead: bool
    """`at` lies in the future: the station's clock is wrong."""
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
        where = f"{self.station} no. {self.seq}"
        said = f": {' '.join(self.detail.split())}" if self.detail else ""
        return f"{self.id}  {self.received:%Y-%m-%d %H:%M}  {where}  {self.kind}: {self.why}{said}"


def valid_id(fact_id: str) -> bool:
    """Whether this is the id of a fact; nothing else may become a file's name."""
    return _ID.fullmatch(fact_id) is not None


def envelope_of(body: bytes) -> Envelope | None:
    """None for bytes that are no envelope: of a hostile station, of a newer one, or of a disk that
    has changed them.
    """
    try:
        return Envelope.model_validate_json(body)
    except ValidationError:
        return None


def valid_epoch(epoch: str) -> bool:
    """Whether an epoch may have this name: any short text, because it comes back in each ack."""
    return _EPOCH.fullmatch(epoch) is not None


def to_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def from_ms(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def row(connection: sqlite3.Connection, sql: str, *args: Any) -> tuple[Any, ...] | None:
    """The first row, None when there is none."""
    with closing(connection.execute(sql, args)) as cursor:
        found: tuple[Any, ...] | None = cursor.fetchone()
        return found


def one(connection: sqlite3.Connection, sql: str, *args: Any) -> Any:
    """The first row's first column, None when there is no row."""
    found = row(connection, sql, *args)
    return found[0] if found else None

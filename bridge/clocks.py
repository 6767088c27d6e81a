"""When a fact happened, also where its station's clock was wrong.

The one rule: no time is believed that lies after the bridge's own. A fact made before its station's
clock was right is dated by the `clock` fact of its boot, and waits for it as long as it may come.
"""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from pydantic import ValidationError

from bridge.ledger import LONGEST_UP_MS, Item, State, Station, from_ms, one, row, to_ms
from mqtt.messages import ClockData, Envelope

EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
"""A clock that became right says a later time than this."""
AHEAD = timedelta(minutes=10)
"""Two clocks that are right may differ by less than this."""


class Date(NamedTuple):
    """`ahead`: `at` lies in the future, and is not believed."""

    at: datetime
    dated: bool
    ahead: bool = False


def is_ahead(at: datetime, received: datetime) -> bool:
    """Whether that time had not come when its message did, and has not come yet.

    The second because the bridge's own clock may have been behind and mended since.
    """
    return at > received + AHEAD and at > datetime.now(UTC)


def date(
    connection: sqlite3.Connection, station: Station, envelope: Envelope, received: datetime
) -> Date:
    at, dated = _time(connection, station, envelope)
    ahead = dated and is_ahead(at, received)
    return Date(at, dated and not ahead, ahead)


def _time(
    connection: sqlite3.Connection, station: Station, envelope: Envelope
) -> tuple[datetime, bool]:
    if envelope.clock != "unsynced":
        return envelope.at, True
    known = row(
        connection,
        "SELECT up, at FROM clocks WHERE site = ? AND station = ? AND boot = ?",
        station.site,
        station.name,
        envelope.boot,
    )
    if known is None or not 0 <= envelope.up <= LONGEST_UP_MS:
        return envelope.at, False
    return from_ms(known[1] - (known[0] - envelope.up)), True


def datable(connection: sqlite3.Connection, station: Station, envelope: Envelope) -> bool:
    """Whether the station is still in the boot of this fact: its clock fact may come.

    Perhaps in a newer epoch, because the daemon can be restarted within a boot.
    """
    return envelope.boot == current_boot(connection, station)


def current_boot(connection: sqlite3.Connection, station: Station) -> str:
    """The boot of the newest epoch that facts came from: old ones may still be sent again."""
    found: str | None = one(
        connection,
        "SELECT boot FROM streams WHERE site = ? AND station = ? AND boot != ''"
        " ORDER BY stream DESC LIMIT 1",
        station.site,
        station.name,
    )
    return found or ""


def take(connection: sqlite3.Connection, item: Item, envelope: Envelope) -> None:
    """A `clock` fact came: date by it what was made before it in its boot."""
    try:
        clock = ClockData.model_validate(envelope.data)
    except ValidationError:
        return
    now = datetime.now(UTC)
    if not 0 <= clock.up <= LONGEST_UP_MS or clock.at < EARLIEST or is_ahead(clock.at, now):
        return  # no clock of this world: later its facts are parked as never dated
    connection.execute(
        "INSERT OR IGNORE INTO clocks VALUES (?, ?, ?, ?, ?)",
        (item.site, item.station, clock.boot, clock.up, to_ms(clock.at)),
    )
    connection.execute(
        "UPDATE record SET at = ? - (? - up), clock = 'repaired'"
        " WHERE site = ? AND station = ? AND boot = ? AND clock = 'unsynced'",
        (to_ms(clock.at), clock.up, item.site, item.station, clock.boot),
    )
    _release(connection, Station(item.site, item.station), clock.boot, of_it=True)


def new_boot(connection: sqlite3.Connection, station: Station, boot: str) -> None:
    """A station was started: no clock fact of an earlier boot will come any more."""
    _release(connection, station, boot, of_it=False)


def _release(connection: sqlite3.Connection, station: Station, boot: str, *, of_it: bool) -> None:
    """Let a station's facts of that boot be looked at again; or those of every other one."""
    connection.execute(
        "UPDATE facts SET state = ? WHERE site = ? AND station = ? AND (boot = ?) = ?"
        " AND state = 1",
        (State.WAITING, station.site, station.name, boot, of_it),
    )

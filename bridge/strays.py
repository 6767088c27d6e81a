"""What a station sent that is no fact: kept for a person, in small.

The one rule: however much of it comes, it costs a bounded place and a line a minute; no body is
ever compared or kept whole.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.ledger import Item, Station, Stored, row, to_ms
from bridge.schema import STRAY_BYTES, stray_digest

STRAYS = 100
"""Kept of each station; the oldest go first."""
SAY_S = 60.0

log = logging.getLogger(__name__)


def keep(connection: sqlite3.Connection, item: Item, why: str, outcome: Stored) -> None:
    """In a transaction of the inbox. Nothing happens for a resend of what is kept already."""
    where, digest = (item.site, item.station), stray_digest(why, item.body)
    if row(
        connection,
        "SELECT 1 FROM strays WHERE site = ? AND station = ? AND digest = ?",
        *where,
        digest,
    ):
        return
    outcome.strays.append((Station(*where), f"{item.what}: {why}"))
    connection.execute(
        "INSERT INTO strays (site, station, what, why, body, received, digest)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*where, item.what, why, item.body[:STRAY_BYTES], to_ms(datetime.now(UTC)), digest),
    )
    connection.execute(
        "DELETE FROM strays WHERE site = ? AND station = ? AND n <= (SELECT n FROM strays"
        " WHERE site = ? AND station = ? ORDER BY n DESC LIMIT 1 OFFSET ?)",
        (*where, *where, STRAYS),
    )


@dataclass(slots=True)
class _Said:
    at: float
    untold: int = 0


class TroubleLog:
    """Logs what is wrong with stations: the first of each at once, the others as a number with the
    next minute's.
    """

    def __init__(self) -> None:
        self._said: dict[Station, _Said] = {}

    def say(self, troubles: Iterable[tuple[Station, str]]) -> None:
        now = time.monotonic()
        for station, what in troubles:
            said = self._said.get(station)
            if said is not None and now < said.at + SAY_S:
                said.untold += 1
                continue
            more = f" ({said.untold} more since the last line)" if said and said.untold else ""
            log.error("%s: %s%s", station, what, more)
            self._said[station] = _Said(now)

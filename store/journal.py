"""What happened at this station, for the technician's page: keys and values, never names.

The one rule: `add` never waits and never fails. Lines are for people; they are written along with
facts or after a few seconds, the newest 2,000 are kept, and a power cut may cost the last ones.
"""

import json
import sqlite3
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from durable.writer import Connection, Writer

KEEP = 2000
Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Line:
    at: datetime
    level: Level
    key: str
    params: Mapping[str, str] = field(default_factory=dict)
    device: str = ""


class Journal:
    def __init__(self, writer: Writer, reader: sqlite3.Connection) -> None:
        self._writer = writer
        self._pending: deque[tuple[int, Line]] = deque(maxlen=KEEP)
        self._riding = False
        (self._last,) = reader.execute("SELECT coalesce(max(id), 0) FROM journal").fetchone()

    def add(
        self, level: Level, key: str, params: Mapping[str, str] | None = None, device: str = ""
    ) -> None:
        """Note that something happened now. From the loop's thread."""
        self._last += 1
        line = Line(datetime.now(UTC), level, key, dict(params or {}), device)
        self._pending.append((self._last, line))
        if not self._riding:
            self._riding = True
            self._writer.ride(self._write, self._written)

    async def recent(self, limit: int = 200) -> list[Line]:
        """The newest lines, newest first."""

        def read(connection: Connection) -> tuple[int, list[Line]]:
            written = self._write(connection)
            rows = connection.execute(
                "SELECT at, level, key, params, device FROM journal ORDER BY id DESC LIMIT ?",
                (limit,),
            )
            found = [_line(*row) for row in rows]
            return written, [line for line in found if line is not None]

        _, lines = await self._writer.run(read, then=lambda done: self._written(done[0]))
        return lines

    def _write(self, connection: Connection) -> int:
        """On the writer's thread. Returns the number up to which all is written once committed.

        Lines bring their own numbers, so that writing one again (its group failed, or it rides
        twice) changes nothing.
        """
        self._riding = False
        pending = list(self._pending)
        connection.executemany(
            "INSERT OR IGNORE INTO journal VALUES(?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    line.at.isoformat(),
                    line.level,
                    line.key,
                    json.dumps(line.params, ensure_ascii=False),
                    line.device,
                )
                for number, line in pending
            ),
        )
        last = pending[-1][0] if pending else 0
        connection.execute("DELETE FROM journal WHERE id <= ?", (last - KEEP,))
        return last

    def _written(self, last: int) -> None:
        while self._pending and self._pending[0][0] <= last:
            self._pending.popleft()


def _line(at: str, level: str, key: str, params: str, device: str) -> Line | None:
    """None for a line that the disk has changed: the others are read all the same."""
    if level not in get_args(Level):
        return None
    try:
        told = json.loads(params)
        when = datetime.fromisoformat(at)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or when.tzinfo is None:
        return None
    texts = {str(name): str(value) for name, value in told.items()}
    return Line(when, cast(Level, level), key, texts, device)

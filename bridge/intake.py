"""Taking messages of stations into the inbox.

The one rule: only the next number of a station's store (`epoch`) is accepted, so that `stored` is
one number and nothing below it is missing. The first bytes that came under an id are kept; other
bytes under it raise an alarm and are put aside for a person. So are bytes that are no envelope:
they will be none the next time either, and must not hold up their station for ever.
"""

import json
import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from bridge.blobs import Blobs
from bridge.ledger import LONGEST_UP_MS, Gap, Item, Ledger, State, Station, Stored, to_ms
from mqtt.messages import ClockData, Envelope, PhotoData

log = logging.getLogger(__name__)

_NUMBER = re.compile(r"[1-9][0-9]{0,17}")

BLOB_TRIES = 5
"""How often a photo may come without its right bytes before it stops holding up its station."""
HIGHEST = 10**18 - 1
"""No store ever counts further; what would be the next number still fits the ledger."""
UNREADABLE_TRIES = 5
"""How often bytes that are no envelope may come under a number before it is given up."""
EARLIEST, LATEST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""A clock that became right says a time between these."""
STRAYS = 1000
"""Messages kept for a person because they could not be taken as facts."""


class InboxFull(Exception):
    """The disk has too little room: nothing was stored."""


class Intake:
    def __init__(self, ledger: Ledger, blobs: Blobs, folder: Path, min_free: int) -> None:
        self._ledger = ledger
        self._blobs = blobs
        self._folder = folder
        self._min_free = min_free
        self._blob_tries: dict[str, int] = {}
        self._unreadable_tries: Counter[tuple[int, int]] = Counter()

    def store(self, items: Sequence[Item]) -> Stored:
        """Store what may be stored; on return it is on the disk. Raises `InboxFull`, OSError."""
        if shutil.disk_usage(self._folder).free < self._min_free:
            raise InboxFull
        outcome = Stored()
        with self._ledger.transaction():
            for item in items:
                if item.what == "blob":
                    self._take_blob(item)
                else:
                    self._take_fact(item, outcome)
        return outcome

    def _take_blob(self, item: Item) -> None:
        if not self._blobs.valid(item.name):
            self._stray(item, "a blob's topic ends in the id of its fact")
            return
        row = self._ledger.row("SELECT state FROM facts WHERE id = ?", item.name)
        if row is None or row[0] not in (State.DONE, State.DROPPED):
            self._blobs.put(item.name, item.body)

    def _take_fact(self, item: Item, outcome: Stored) -> None:
        station = Station(item.site, item.station)
        try:
            envelope = Envelope.model_validate_json(item.body)
        except ValidationError:
            self._stray(item, "not an envelope")
            self._unreadable(item, station, outcome)
            return
        stream, stored = self._stream(station, envelope.epoch)
        outcome.stations.add(station)
        if envelope.seq <= stored:
            self._again(item, stream, envelope)
        elif envelope.seq > stored + 1 or self._lacks_blob(envelope):
            outcome.gaps[station] = Gap(station, envelope.epoch, stored + 1)
        else:
            self._accept(item, stream, envelope)
            outcome.gaps[station] = None
            outcome.facts += 1

    def _unreadable(self, item: Item, station: Station, outcome: Stored) -> None:
        """After some tries the number that such bytes stand under becomes a hole.

        Only when their station says beside them which number that is (MQTT 5), and not when they
        may be an envelope of a later version: that one waits for a newer bridge.
        """
        epoch, number = item.properties.get("epoch", ""), item.properties.get("seq", "")
        if not (epoch and _NUMBER.fullmatch(number)) or _of_another_version(item.body):
            return
        seq = int(number)
        stream, stored = self._stream(station, epoch)
        outcome.stations.add(station)
        if seq <= stored:
            return
        if seq == stored + 1:
            self._unreadable_tries[stream, seq] += 1
            if self._unreadable_tries[stream, seq] >= UNREADABLE_TRIES:
                del self._unreadable_tries[stream, seq]
                self._skip(station, stream, seq, seq)
                outcome.gaps[station] = None
                return
        outcome.gaps[station] = Gap(station, epoch, stored + 1)

    def _stream(self, station: Station, epoch: str) -> tuple[int, int]:
        now = time.time_ns()  # also the order in which stores were heard of
        row = self._ledger.row(
            "INSERT INTO streams (site, station, epoch, heard) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET heard = excluded.heard RETURNING stream, stored",
            station.site,
            station.name,
            epoch,
            now,
        )
        assert row is not None
        return row[0], row[1]

    def _again(self, item: Item, stream: int, envelope: Envelope) -> None:
        """A resend: silently dropped, unless it says something else than the first time."""
        row = self._ledger.row(
            "SELECT id, body FROM facts WHERE stream = ? AND seq = ?", stream, envelope.seq
        )
        if row is not None and row != (envelope.id, item.body):
            self._stray(
                item, f"number {envelope.seq} came again with other bytes; the first are kept"
            )

    def _lacks_blob(self, envelope: Envelope) -> bool:
        """Whether a photo has to be sent again because its bytes are missing or wrong.

        Not for ever: after some tries it is taken without them, and parked when it is applied.
        """
        if envelope.kind != "photo":
            return False
        try:
            photo = PhotoData.model_validate(envelope.data)
        except ValidationError:
            return False
        if self._blobs.get(envelope.id, photo.sha256, photo.size) is not None:
            self._blob_tries.pop(envelope.id, None)
            return False
        tries = self._blob_tries[envelope.id] = self._blob_tries.get(envelope.id, 0) + 1
        return tries < BLOB_TRIES

    def _accept(self, item: Item, stream: int, envelope: Envelope) -> None:
        taken = self._ledger.row("SELECT body FROM facts WHERE id = ?", envelope.id)
        if taken is not None:
            if taken[0] != item.body:
                self._stray(item, "this id came before with other bytes; the first are kept")
        else:
            self._ledger.execute(
                "INSERT INTO facts (id, stream, seq, site, station, kind, boot, body, received)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    envelope.id,
                    stream,
                    envelope.seq,
                    item.site,
                    item.station,
                    envelope.kind,
                    envelope.boot,
                    item.body,
                    to_ms(datetime.now(UTC)),
                ),
            )
        boot = self._ledger.one("SELECT boot FROM streams WHERE stream = ?", stream)
        self._ledger.execute(
            "UPDATE streams SET stored = ?, boot = ? WHERE stream = ?",
            (envelope.seq, envelope.boot, stream),
        )
        if envelope.kind == "clock":
            self._take_clock(item, envelope)
        if boot != envelope.boot:  # no clock fact of an earlier boot will come any more
            self._release(item.site, item.station, envelope.boot, of_it=False)

    def _take_clock(self, item: Item, envelope: Envelope) -> None:
        try:
            clock = ClockData.model_validate(envelope.data)
        except ValidationError:
            return
        if not (0 <= clock.up <= LONGEST_UP_MS and EARLIEST <= clock.at < LATEST):
            return  # no clock of this world: later its facts are parked as never dated
        self._ledger.execute(
            "INSERT OR IGNORE INTO clocks VALUES (?, ?, ?, ?, ?)",
            (item.site, item.station, clock.boot, clock.up, to_ms(clock.at)),
        )
        self._ledger.execute(
            "UPDATE record SET at = ? - (? - up), clock = 'repaired'"
            " WHERE site = ? AND station = ? AND boot = ? AND clock = 'unsynced'",
            (to_ms(clock.at), clock.up, item.site, item.station, clock.boot),
        )
        self._release(item.site, item.station, clock.boot, of_it=True)

    def _release(self, site: str, station: str, boot: str, *, of_it: bool) -> None:
        """Let a station's facts of that boot be looked at again; or those of every other one."""
        self._ledger.execute(
            "UPDATE facts SET state = ? WHERE site = ? AND station = ? AND (boot = ?) = ?"
            " AND state = ?",
            (State.WAITING, site, station, boot, of_it, State.HELD),
        )

    def _stray(self, item: Item, why: str) -> None:
        if self._ledger.row("SELECT 1 FROM strays WHERE why = ? AND body = ?", why, item.body):
            return  # a resend: said and kept already
        log.error("%s/%s %s: %s", item.site, item.station, item.what, why)
        self._ledger.execute(
            "INSERT INTO strays (site, station, what, why, body, received) VALUES (?,?,?,?,?,?)",
            (item.site, item.station, item.what, why, item.body, to_ms(datetime.now(UTC))),
        )
        self._ledger.execute(
            "DELETE FROM strays WHERE n <= (SELECT max(n) FROM strays) - ?", (STRAYS,)
        )

    def hole(self, station: Station, epoch: str, first: int) -> bool:
        """The station has nothing below `first` any more: accept that, and say so."""
        with self._ledger.transaction():
            row = self._ledger.row(
                "SELECT stream, stored FROM streams WHERE site = ? AND station = ? AND epoch = ?",
                station.site,
                station.name,
                epoch,
            )
            if row is None or not row[1] + 1 < first <= HIGHEST:
                return False
            self._skip(station, row[0], row[1] + 1, first - 1)
        return True

    def _skip(self, station: Station, stream: int, first: int, last: int) -> None:
        self._ledger.execute(
            "INSERT INTO holes VALUES (?, ?, ?, ?)", (stream, first, last, to_ms(datetime.now(UTC)))
        )
        self._ledger.execute("UPDATE streams SET stored = ? WHERE stream = ?", (last, stream))
        log.error("%s/%s: facts %d to %d are gone", station.site, station.name, first, last)


def _of_another_version(body: bytes) -> bool:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("v", 1) != 1
